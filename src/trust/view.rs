//! What scoring and eligibility look at.

use super::facts::MerchantFacts;
use super::opened::Facts;
use super::score::{SignalRow, Trust};
use crate::domain::{Day, HeldRight, Merchant, Profile, ServiceProvider, Timestamp, Violation};

/// One merchant at one moment.
#[derive(Clone, Copy, Debug)]
pub struct MerchantView<'a> {
    /// Its profile.
    pub merchant: &'a Merchant,
    /// Its window sums and levels, as of `facts_day`.
    pub facts: Facts<'a>,
    /// The rights it was given.
    pub rights: &'a [HeldRight],
    /// Everything recorded against it.
    pub violations: &'a [Violation],
    /// Its service provider, if it has one that is registered.
    pub provider: Option<ProviderView<'a>>,
    /// The last closed day.
    pub facts_day: Day,
    /// State time.
    pub now: Timestamp,
    /// Scenes in which something is left of the packages it assigned, as bits by scene index.
    pub packages: u8,
}

/// A service provider and where it stands among the others.
#[derive(Clone, Copy, Debug)]
pub struct ProviderView<'a> {
    /// Its profile.
    pub profile: &'a ServiceProvider,
    /// Its place in the last round, from 1; none if it was not ranked.
    pub rank: Option<u32>,
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
    /// Id of the stage of the merchant's life cycle; empty while it is being determined.
    pub stage: &'a str,
}

/// One product, live room or short video at one moment.
#[derive(Clone, Copy, Debug)]
pub struct ItemView<'a> {
    /// Its profile.
    pub profile: &'a Profile,
    /// Its window sums and levels, if any facts were sent for it.
    pub facts: Option<&'a MerchantFacts>,
    /// State time.
    pub now: Timestamp,
}

/// What an expression can see. What is not there is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// The merchant.
    pub merchant: Option<&'a MerchantView<'a>>,
    /// What scoring it found.
    pub trust: Option<&'a TrustView<'a>>,
    /// The item.
    pub item: Option<&'a ItemView<'a>>,
}

impl<'a> Seen<'a> {
    /// A merchant, before or after it was scored.
    #[must_use]
    pub fn merchant(merchant: &'a MerchantView<'a>, trust: Option<&'a TrustView<'a>>) -> Self {
        Self { merchant: Some(merchant), trust, item: None }
    }

    /// An item alone.
    #[must_use]
    pub fn item(item: &'a ItemView<'a>) -> Self {
        Self { item: Some(item), ..Self::default() }
    }

    /// State time of what is seen.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.merchant.map(|view| view.now).or(self.item.map(|view| view.now)).unwrap_or_default()
    }
}
