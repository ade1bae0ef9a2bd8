//! Violations: typed, scoped, dated, revocable.

use super::{ItemId, MerchantId, Timestamp};

/// What was decided when a violation was recorded (DESIGN section 6, exemptions).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It has its effect.
    Applied,
    /// The high-in-stock waiver of its week was used up by it.
    Waived,
    /// The order was exempt by force majeure.
    Exempt,
}

/// The order a violation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderContext {
    /// Region it was sent from.
    pub sender_region: String,
    /// Region it was sent to.
    pub recipient_region: String,
    /// Virtual goods are never exempt.
    pub is_virtual: bool,
}

/// One recorded violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Id chosen by the recorder.
    pub id: u64,
    /// Whom it is against.
    pub merchant: MerchantId,
    /// Type id of violations.toml.
    pub kind: String,
    /// The item it is about, for types that punish one item.
    pub item: Option<ItemId>,
    /// When it occurred.
    pub occurred_at: Timestamp,
    /// From when it has effect.
    pub effective_from: Timestamp,
    /// Until just before when, if it ends.
    pub effective_until: Option<Timestamp>,
    /// The order it is about, if any.
    pub order: Option<OrderContext>,
    /// What was decided when it was recorded.
    pub decision: Decision,
    /// Whether it was revoked.
    pub revoked: bool,
}

impl Violation {
    /// Whether it can have effect at all: applied and not revoked.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.decision == Decision::Applied && !self.revoked
    }

    /// Whether it has effect at an instant.
    #[must_use]
    pub fn active_at(&self, at: Timestamp) -> bool {
        self.counts() && self.effective_from <= at && self.effective_until.is_none_or(|until| at < until)
    }
}
