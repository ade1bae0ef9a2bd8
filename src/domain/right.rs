//! Rights (权益) that a merchant holds.

use super::Timestamp;

/// A right of the catalogue, held for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRight {
    /// Right id of the catalogue.
    pub right: String,
    /// Held from this instant.
    pub from: Timestamp,
    /// Held until just before this instant, if it ends.
    pub until: Option<Timestamp>,
}

impl HeldRight {
    /// Whether it is held at an instant.
    #[must_use]
    pub fn held_at(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}
