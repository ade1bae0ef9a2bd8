//! Stages of a merchant's life cycle (seed 002): entry → cold start → growth → mature.

use crate::domain::Timestamp;
use crate::trust::{MerchantView, Predicate, Seen, TrustView};

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

/// The stage of a merchant: the first whose condition holds. Empty where none does.
#[must_use]
pub fn stage_of<'a>(stages: &'a [Stage], view: &MerchantView, trust: &TrustView) -> &'a str {
    let seen = Seen::merchant(view, Some(trust));
    stages.iter().find(|stage| stage.when.holds(&seen)).map_or("", |stage| &stage.id)
}

/// The next instant after state time at which the stage can change by itself.
#[must_use]
pub(super) fn next_stage_change(stages: &[Stage], seen: &Seen) -> Option<Timestamp> {
    stages.iter().filter_map(|stage| stage.when.next_change(seen)).min()
}
