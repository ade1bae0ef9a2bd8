//! What scoring a merchant looks at.

use super::facts::MerchantFacts;
use super::score::{SignalRow, Trust};
use crate::domain::{Day, HeldRight, Merchant, Timestamp, Violation};

/// One merchant at one moment.
#[derive(Clone, Copy, Debug)]
pub struct MerchantView<'a> {
    /// Its profile.
    pub merchant: &'a Merchant,
    /// Its window sums and levels, as of `facts_day`.
    pub facts: &'a MerchantFacts,
    /// The rights it was given.
    pub rights: &'a [HeldRight],
    /// Everything recorded against it.
    pub violations: &'a [Violation],
    /// The last closed day.
    pub facts_day: Day,
    /// State time.
    pub now: Timestamp,
}

/// What scoring found, for expressions that look at it.
#[derive(Clone, Copy, Debug)]
pub struct TrustView<'a> {
    /// The score.
    pub trust: &'a Trust,
    /// The signals, in policy order.
    pub signals: &'a [SignalRow],
    /// Id of the tier.
    pub tier: &'a str,
}
