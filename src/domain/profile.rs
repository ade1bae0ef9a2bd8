//! Profiles of every kind, and updates of some of their fields.

use super::{ItemId, LiveRoom, Merchant, MerchantId, Product, ProviderId, ServiceProvider, ShortVideo};

/// Which profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProfileKey {
    /// A merchant.
    Merchant(MerchantId),
    /// A product, live room or short video.
    Item(ItemId),
    /// A service provider.
    Provider(ProviderId),
}

/// A profile of any kind. Kinds differ much in size, and so each stands by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Profile {
    /// A merchant.
    Merchant(Box<Merchant>),
    /// A product.
    Product(Box<Product>),
    /// A live room.
    LiveRoom(Box<LiveRoom>),
    /// A short video.
    ShortVideo(Box<ShortVideo>),
    /// A service provider.
    Provider(Box<ServiceProvider>),
}

/// Which fields of a profile an update changes: bit i is the i-th name of the kind's `*_FIELDS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldMask(pub u32);

/// Fields of a merchant that a mask can name.
pub const MERCHANT_FIELDS: &[&str] = &[
    "name",
    "kind",
    "opened_at",
    "categories",
    "region",
    "origin_belt",
    "fan_count",
    "service_provider_id",
    "tags",
    "prior_identity_violation",
    "enrolments",
];
/// Fields of a product that a mask can name.
pub const PRODUCT_FIELDS: &[&str] =
    &["name", "merchant_id", "promoter_ids", "categories", "listed_at", "tags", "virtual"];
/// Fields of a live room that a mask can name.
pub const LIVE_ROOM_FIELDS: &[&str] = &["merchant_id", "anchor", "tags", "started_at", "ended_at"];
/// Fields of a short video that a mask can name.
pub const SHORT_VIDEO_FIELDS: &[&str] = &["merchant_id", "tags", "posted_at"];
/// Fields of a service provider that a mask can name.
pub const PROVIDER_FIELDS: &[&str] = &["name", "capabilities", "tags"];

/// Swaps the fields a mask names, in the order of the kind's field list.
macro_rules! swap_fields {
    ($mask:expr, $a:expr, $b:expr, $($field:ident),+) => {{
        let mut bit = 0_u32;
        $(
            if $mask.0 & 1_u32.wrapping_shl(bit) != 0 {
                std::mem::swap(&mut $a.$field, &mut $b.$field);
            }
            bit = bit.saturating_add(1);
        )+
        let _ = bit;
    }};
}

impl Profile {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> ProfileKey {
        match self {
            Self::Merchant(merchant) => ProfileKey::Merchant(merchant.id),
            Self::Product(product) => ProfileKey::Item(product.item()),
            Self::LiveRoom(room) => ProfileKey::Item(room.item()),
            Self::ShortVideo(video) => ProfileKey::Item(video.item()),
            Self::Provider(provider) => ProfileKey::Provider(provider.id),
        }
    }

    /// The merchant an item belongs to; none for merchants and providers.
    #[must_use]
    pub fn owner(&self) -> Option<MerchantId> {
        match self {
            Self::Product(product) => Some(product.merchant),
            Self::LiveRoom(room) => Some(room.merchant),
            Self::ShortVideo(video) => Some(video.merchant),
            Self::Merchant(_) | Self::Provider(_) => None,
        }
    }

    /// Revision of the last change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        match self {
            Self::Merchant(profile) => profile.revision,
            Self::Product(profile) => profile.revision,
            Self::LiveRoom(profile) => profile.revision,
            Self::ShortVideo(profile) => profile.revision,
            Self::Provider(profile) => profile.revision,
        }
    }

    /// Marks the profile as changed at a revision.
    pub fn set_revision(&mut self, revision: u64) {
        match self {
            Self::Merchant(profile) => profile.revision = revision,
            Self::Product(profile) => profile.revision = revision,
            Self::LiveRoom(profile) => profile.revision = revision,
            Self::ShortVideo(profile) => profile.revision = revision,
            Self::Provider(profile) => profile.revision = revision,
        }
    }

    /// This profile with the fields that `mask` names taken from `newer`, which must be of the same kind.
    #[must_use]
    pub fn updated(mut self, mut newer: Self, mask: FieldMask) -> Self {
        match (&mut self, &mut newer) {
            (Self::Merchant(a), Self::Merchant(b)) => swap_fields!(
                mask,
                a,
                b,
                name,
                kind,
                opened_at,
                categories,
                region,
                origin_belt,
                fan_count,
                service_provider,
                tags,
                prior_identity_violation,
                enrolments
            ),
            (Self::Product(a), Self::Product(b)) => {
                swap_fields!(mask, a, b, name, merchant, promoters, categories, listed_at, tags, is_virtual);
            }
            (Self::LiveRoom(a), Self::LiveRoom(b)) => {
                swap_fields!(mask, a, b, merchant, anchor, tags, started_at, ended_at);
            }
            (Self::ShortVideo(a), Self::ShortVideo(b)) => swap_fields!(mask, a, b, merchant, tags, posted_at),
            (Self::Provider(a), Self::Provider(b)) => swap_fields!(mask, a, b, name, capabilities, tags),
            // Keys differ by kind, so that profiles under one key are of one kind.
            _ => {}
        }
        self
    }
}

/// Each kind makes a profile.
macro_rules! profile_from {
    ($($kind:ident($of:ty)),+) => {
        $(
            impl From<$of> for Profile {
                fn from(profile: $of) -> Self {
                    Self::$kind(Box::new(profile))
                }
            }
        )+
    };
}

profile_from!(
    Merchant(Merchant),
    Product(Product),
    LiveRoom(LiveRoom),
    ShortVideo(ShortVideo),
    Provider(ServiceProvider)
);

impl FieldMask {
    /// The mask of these field names, or the first name that is not in `fields`.
    ///
    /// # Errors
    /// The unknown name.
    pub fn from_paths<'a>(fields: &[&str], paths: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut mask = 0_u32;
        for path in paths {
            let position = fields.iter().position(|field| *field == path).ok_or(path)?;
            mask |= 1_u32.wrapping_shl(u32::try_from(position).unwrap_or(0));
        }
        Ok(Self(mask))
    }
}

#[cfg(test)]
mod tests {
    use super::{FieldMask, PRODUCT_FIELDS, Profile};
    use crate::domain::{MerchantId, Product, Words};

    #[test]
    fn a_mask_changes_only_what_it_names() {
        let product = |name: &str, tag: &str| {
            Profile::from(Product {
                id: 1,
                name: name.into(),
                merchant: MerchantId(2),
                promoters: vec![],
                categories: Words::default(),
                listed_at: None,
                tags: vec![tag.into()].into(),
                is_virtual: false,
                revision: 3,
            })
        };
        let mask = FieldMask::from_paths(PRODUCT_FIELDS, ["tags"]).expect("a field");
        assert_eq!(product("a", "x").updated(product("b", "y"), mask), product("a", "y"));
        assert_eq!(FieldMask::from_paths(PRODUCT_FIELDS, ["tags", "etag"]), Err("etag"));
    }
}
