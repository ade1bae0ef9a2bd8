//! The merchant profile (商家).

use super::{Day, MerchantId, ProviderId, Timestamp, Words};

/// What sort of seller a merchant is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MerchantKind {
    /// An ordinary merchant.
    #[default]
    Ordinary,
    /// A brand grown on the platform (快品牌).
    KuaiBrand,
    /// A traditional brand.
    Brand,
}

/// A dated entry on a list that programmes and windows refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// Name of the list.
    pub list: String,
    /// Day of enrolment.
    pub day: Day,
}

/// One seller account group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merchant {
    /// Its id.
    pub id: MerchantId,
    /// Display name.
    pub name: String,
    /// Sort of seller.
    pub kind: MerchantKind,
    /// When the shop opened, if known.
    pub opened_at: Option<Timestamp>,
    /// Category ids, main category first.
    pub categories: Words,
    /// Region goods are sent from.
    pub region: String,
    /// Industry belt (产业带), empty if none.
    pub origin_belt: String,
    /// Followers.
    pub fan_count: u64,
    /// Service provider, if any.
    pub service_provider: Option<ProviderId>,
    /// Free marks.
    pub tags: Words,
    /// The owner ran another shop that was punished (马甲).
    pub prior_identity_violation: bool,
    /// Dated list entries.
    pub enrolments: Vec<Enrolment>,
    /// Revision of the last change; the etag is derived from it.
    pub revision: u64,
}

impl Merchant {
    /// The day of its enrolment on a list, the first if there are several.
    #[must_use]
    pub fn enrolled(&self, list: &str) -> Option<Day> {
        self.enrolments.iter().filter(|e| e.list == list).map(|e| e.day).min()
    }
}
