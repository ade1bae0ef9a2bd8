//! Ids of merchants and items, scenes and target kinds.

/// Id of a merchant (商家); never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MerchantId(pub u64);

/// Id of a service provider (服务商); never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderId(pub u64);

/// What belongs to a merchant and can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKind {
    /// A live room (直播间).
    LiveRoom,
    /// A product (商品).
    Product,
    /// A short video (短视频).
    ShortVideo,
}

impl ItemKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::LiveRoom, Self::Product, Self::ShortVideo];

    /// What is kept for this kind, where something is kept for each in the order of [`Self::ALL`].
    pub const fn of<T>(self, [rooms, products, videos]: &[T; 3]) -> &T {
        match self {
            Self::LiveRoom => rooms,
            Self::Product => products,
            Self::ShortVideo => videos,
        }
    }

    /// The same, for changing it.
    pub const fn of_mut<T>(self, [rooms, products, videos]: &mut [T; 3]) -> &mut T {
        match self {
            Self::LiveRoom => rooms,
            Self::Product => products,
            Self::ShortVideo => videos,
        }
    }

    /// The kind as a scoring target.
    #[must_use]
    pub fn target(self) -> TargetKind {
        match self {
            Self::LiveRoom => TargetKind::LiveRoom,
            Self::Product => TargetKind::Product,
            Self::ShortVideo => TargetKind::ShortVideo,
        }
    }
}

/// A live room, product or short video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId {
    /// What it is.
    pub kind: ItemKind,
    /// Its id; never zero.
    pub id: u64,
}

/// Whom facts are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The merchant.
    Merchant(MerchantId),
    /// One of its items.
    Item(ItemId),
}

/// What a ranking request asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// Live rooms.
    LiveRoom,
    /// Products.
    Product,
    /// Merchants themselves.
    Merchant,
    /// Short videos.
    ShortVideo,
}

impl TargetKind {
    /// How many kinds there are.
    pub const COUNT: usize = 4;
    /// All kinds, in index order.
    pub const ALL: [Self; Self::COUNT] = [Self::LiveRoom, Self::Product, Self::Merchant, Self::ShortVideo];

    /// Position in tables by kind.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::LiveRoom => 0,
            Self::Product => 1,
            Self::Merchant => 2,
            Self::ShortVideo => 3,
        }
    }

    /// The item kind, or none for merchants.
    #[must_use]
    pub const fn item(self) -> Option<ItemKind> {
        match self {
            Self::LiveRoom => Some(ItemKind::LiveRoom),
            Self::Product => Some(ItemKind::Product),
            Self::ShortVideo => Some(ItemKind::ShortVideo),
            Self::Merchant => None,
        }
    }

    /// Name in policy files and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LiveRoom => "live_room",
            Self::Product => "product",
            Self::Merchant => "merchant",
            Self::ShortVideo => "short_video",
        }
    }
}

/// Where traffic is shown (场域).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scene {
    /// Live rooms.
    Live,
    /// Short videos.
    ShortVideo,
    /// Image-text posts.
    ImageText,
    /// Search.
    Search,
    /// The mall channel.
    Mall,
    /// A merchant's store page.
    Store,
}

impl Scene {
    /// How many scenes there are.
    pub const COUNT: usize = 6;
    /// All scenes, in index order.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Live, Self::ShortVideo, Self::ImageText, Self::Search, Self::Mall, Self::Store];

    /// Position in tables by scene.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Live => 0,
            Self::ShortVideo => 1,
            Self::ImageText => 2,
            Self::Search => 3,
            Self::Mall => 4,
            Self::Store => 5,
        }
    }

    /// Its bit in masks of scenes.
    #[must_use]
    pub fn mask(self) -> u8 {
        match self {
            Self::Live => 1,
            Self::ShortVideo => 2,
            Self::ImageText => 4,
            Self::Search => 8,
            Self::Mall => 16,
            Self::Store => 32,
        }
    }

    /// Name in policy files and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::ShortVideo => "short_video",
            Self::ImageText => "image_text",
            Self::Search => "search",
            Self::Mall => "mall",
            Self::Store => "store",
        }
    }
}
