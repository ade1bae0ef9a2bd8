//! Stages of a merchant's life cycle (seed 002): entry → cold start → growth → mature.

use crate::trust::Predicate;

/// One stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Id in policy files.
    pub id: String,
    /// English name.
    pub name: String,
    /// Chinese name.
    pub name_zh: String,
    /// Who is in it, unless an earlier stage has them.
    pub when: Predicate,
}
