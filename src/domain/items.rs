//! Profiles of products, live rooms, short videos and service providers.

use super::{ItemId, ItemKind, MerchantId, ProviderId, Timestamp, Words};

/// One product (商品).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Its id.
    pub id: u64,
    /// Display name.
    pub name: String,
    /// Owner of the goods (货主).
    pub merchant: MerchantId,
    /// Merchants that promote it (带货).
    pub promoters: Vec<MerchantId>,
    /// Category ids, main category first.
    pub categories: Words,
    /// When it was listed, if known.
    pub listed_at: Option<Timestamp>,
    /// Free marks.
    pub tags: Words,
    /// Virtual goods or a local service: nothing is shipped.
    pub is_virtual: bool,
    /// Revision of the last change.
    pub revision: u64,
}

impl Product {
    /// Its key among items.
    #[must_use]
    pub fn item(&self) -> ItemId {
        ItemId { kind: ItemKind::Product, id: self.id }
    }
}

/// One live room (直播间).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveRoom {
    /// Its id.
    pub id: u64,
    /// The merchant it belongs to.
    pub merchant: MerchantId,
    /// Who presents.
    pub anchor: String,
    /// Free marks.
    pub tags: Words,
    /// Start of the broadcast, if known.
    pub started_at: Option<Timestamp>,
    /// End of the broadcast, if it is over.
    pub ended_at: Option<Timestamp>,
    /// Revision of the last change.
    pub revision: u64,
}

impl LiveRoom {
    /// Its key among items.
    #[must_use]
    pub fn item(&self) -> ItemId {
        ItemId { kind: ItemKind::LiveRoom, id: self.id }
    }
}

/// One short video (短视频).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortVideo {
    /// Its id.
    pub id: u64,
    /// The merchant it belongs to.
    pub merchant: MerchantId,
    /// Free marks.
    pub tags: Words,
    /// When it was posted, if known.
    pub posted_at: Option<Timestamp>,
    /// Revision of the last change.
    pub revision: u64,
}

impl ShortVideo {
    /// Its key among items.
    #[must_use]
    pub fn item(&self) -> ItemId {
        ItemId { kind: ItemKind::ShortVideo, id: self.id }
    }
}

/// What a service provider can do (seed 001), in the order of its scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Traffic marketing (流量营销).
    TrafficMarketing,
    /// Anchor incubation (主播孵化).
    AnchorIncubation,
    /// Fulfilment (履约).
    Fulfilment,
    /// Supply chain (供应链).
    SupplyChain,
    /// Live operation (直播运营).
    LiveOperation,
}

impl Capability {
    /// All of them, in the order of a provider's scores.
    pub const ALL: [Self; 5] =
        [Self::TrafficMarketing, Self::AnchorIncubation, Self::Fulfilment, Self::SupplyChain, Self::LiveOperation];

    /// Name in policy files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TrafficMarketing => "traffic_marketing",
            Self::AnchorIncubation => "anchor_incubation",
            Self::Fulfilment => "fulfilment",
            Self::SupplyChain => "supply_chain",
            Self::LiveOperation => "live_operation",
        }
    }
}

/// One service provider (服务商).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceProvider {
    /// Its id.
    pub id: ProviderId,
    /// Display name.
    pub name: String,
    /// Scores 0 to 100: traffic marketing, anchor incubation, fulfilment, supply chain, live operation.
    pub capabilities: Option<[u8; 5]>,
    /// Free marks.
    pub tags: Words,
    /// Revision of the last change.
    pub revision: u64,
}

impl ServiceProvider {
    /// Its score 0 to 100 in one capability; none if it has no scores.
    #[must_use]
    pub fn capability(&self, capability: Capability) -> Option<u8> {
        let position = Capability::ALL.iter().position(|other| *other == capability)?;
        self.capabilities?.get(position).copied()
    }
}
