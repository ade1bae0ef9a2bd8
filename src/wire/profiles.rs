//! Profiles of every kind.

use tonic::Status;

use super::status::Batch;
use super::time::{optional_time, to_proto_time};
use super::validate::{Fields, MAX_LIST, Problem};
use crate::domain::{
    Day, Enrolment, FieldMask, ItemId, ItemKind, LIVE_ROOM_FIELDS, LiveRoom, MERCHANT_FIELDS, Merchant, MerchantId,
    MerchantKind, PRODUCT_FIELDS, PROVIDER_FIELDS, Product, Profile, ProfileKey, ProviderId, SHORT_VIDEO_FIELDS,
    ServiceProvider, ShortVideo, Upsert,
};
use crate::proto;

/// Most profiles of one batch.
const MAX_BATCH: usize = 1_000;
/// Profiles of a page when the caller does not say.
const DEFAULT_PAGE: usize = 100;
/// Most profiles of a page.
const MAX_PAGE: usize = 1_000;

/// A profile message: what the five kinds have in common.
pub trait ProfileMessage: Sized + Send {
    /// Name of a list of them, for paths in messages.
    const LIST: &'static str;
    /// Name of the field of its id.
    const ID: &'static str;
    /// Fields that a mask can name.
    const FIELDS: &'static [&'static str];

    /// The key of an id of this kind.
    fn key(id: u64) -> ProfileKey;

    /// The profile and the revision of the etag sent with it; problems are named below `prefix`.
    ///
    /// # Errors
    /// Everything that is wrong.
    fn into_profile(self, prefix: &str) -> Result<(Profile, Option<u64>), Vec<Problem>>;

    /// The message of a profile of this kind.
    fn from_profile(profile: Profile) -> Option<Self>;
}

/// The etag of a revision.
pub(super) fn etag(revision: u64) -> String {
    format!("{revision:x}")
}

/// The revision of an etag; none when it is empty.
pub(super) fn expected_revision(fields: &mut Fields, etag: &str) -> Option<u64> {
    if etag.is_empty() {
        return None;
    }
    let revision = u64::from_str_radix(etag, 16).ok();
    fields.check(revision.is_some(), "etag", "must be empty or as it was read");
    revision
}

/// The mask of an update; none replaces all.
///
/// # Errors
/// `INVALID_ARGUMENT` naming a path that cannot be updated.
pub fn field_mask<M: ProfileMessage>(mask: Option<&prost_types::FieldMask>) -> Result<Option<FieldMask>, Status> {
    let Some(mask) = mask else { return Ok(None) };
    let mut fields = Fields::default();
    fields.check(!mask.paths.is_empty(), "update_mask", "must name a field, or be unset to replace all");
    let found = FieldMask::from_paths(M::FIELDS, mask.paths.iter().map(String::as_str));
    if let Err(path) = found {
        fields.wrong("update_mask", format!("{path:?} is not one of {}", M::FIELDS.join(", ")));
    }
    fields.finish()?;
    Ok(found.ok())
}

/// Checks the profiles of a batch, each on its own; those that are wrong are left out.
///
/// # Errors
/// `INVALID_ARGUMENT` when there are none or too many.
pub fn upserts<M: ProfileMessage>(messages: Vec<M>) -> Result<(Vec<Upsert>, Batch), Status> {
    let mut fields = Fields::default();
    fields.check((1..=MAX_BATCH).contains(&messages.len()), M::LIST, "must have 1 to 1000 entries");
    fields.finish()?;
    let (mut upserts, mut batch) = (Vec::new(), Batch::default());
    for (index, message) in messages.into_iter().enumerate() {
        match message.into_profile(&format!("{}[{index}].", M::LIST)) {
            Ok((profile, expected_revision)) => {
                upserts.push(Upsert { profile, expected_revision });
                batch.push(None);
            }
            Err(problems) => batch.push(Some(&problems)),
        }
    }
    Ok((upserts, batch))
}

/// The size of a page and the id it begins after.
///
/// # Errors
/// `INVALID_ARGUMENT` for a token that was not given out.
pub fn page(page_size: u32, page_token: &str) -> Result<(usize, u64), Status> {
    let mut fields = Fields::default();
    let after = if page_token.is_empty() { Some(0) } else { u64::from_str_radix(page_token, 16).ok() };
    fields.check(after.is_some(), "page_token", "must be empty or as it was answered");
    let size = usize::try_from(page_size).unwrap_or(usize::MAX);
    fields.check(size <= MAX_PAGE, "page_size", "must be at most 1000");
    fields.finish()?;
    Ok((if size == 0 { DEFAULT_PAGE } else { size }, after.unwrap_or(0)))
}

impl ProfileMessage for proto::Merchant {
    const LIST: &'static str = "merchants";
    const ID: &'static str = "merchant_id";
    const FIELDS: &'static [&'static str] = MERCHANT_FIELDS;

    fn key(id: u64) -> ProfileKey {
        ProfileKey::Merchant(MerchantId(id))
    }

    fn into_profile(self, prefix: &str) -> Result<(Profile, Option<u64>), Vec<Problem>> {
        let mut fields = Fields::below(prefix);
        fields.id("merchant_id", self.merchant_id);
        fields.text("name", &self.name);
        fields.texts("categories", &self.categories);
        fields.text("region", &self.region);
        fields.text("origin_belt", &self.origin_belt);
        fields.texts("tags", &self.tags);
        let kind = match proto::MerchantKind::try_from(self.kind) {
            Ok(proto::MerchantKind::KuaiBrand) => MerchantKind::KuaiBrand,
            Ok(proto::MerchantKind::Brand) => MerchantKind::Brand,
            Ok(proto::MerchantKind::Ordinary | proto::MerchantKind::Unspecified) => MerchantKind::Ordinary,
            Err(_) => {
                fields.wrong("kind", "is not a merchant kind of this version");
                MerchantKind::Ordinary
            }
        };
        let opened_at = optional_time(&mut fields, "opened_at", self.opened_at);
        let expected = expected_revision(&mut fields, &self.etag);
        let enrolments = enrolments(&mut fields, self.enrolments);
        fields.done()?;
        let merchant = Merchant {
            id: MerchantId(self.merchant_id),
            name: self.name,
            kind,
            opened_at,
            categories: self.categories.into(),
            region: self.region,
            origin_belt: self.origin_belt,
            fan_count: self.fan_count,
            service_provider: (self.service_provider_id != 0).then_some(ProviderId(self.service_provider_id)),
            tags: self.tags.into(),
            prior_identity_violation: self.prior_identity_violation,
            enrolments,
            revision: 0,
        };
        Ok((merchant.into(), expected))
    }

    fn from_profile(profile: Profile) -> Option<Self> {
        let Profile::Merchant(merchant) = profile else { return None };
        let kind = match merchant.kind {
            MerchantKind::Ordinary => proto::MerchantKind::Ordinary,
            MerchantKind::KuaiBrand => proto::MerchantKind::KuaiBrand,
            MerchantKind::Brand => proto::MerchantKind::Brand,
        };
        let enrolments = merchant.enrolments.into_iter();
        Some(Self {
            merchant_id: merchant.id.0,
            name: merchant.name,
            kind: i32::from(kind),
            opened_at: merchant.opened_at.map(to_proto_time),
            categories: merchant.categories.to_vec(),
            region: merchant.region,
            origin_belt: merchant.origin_belt,
            fan_count: merchant.fan_count,
            service_provider_id: merchant.service_provider.map_or(0, |id| id.0),
            tags: merchant.tags.to_vec(),
            prior_identity_violation: merchant.prior_identity_violation,
            revision: merchant.revision,
            etag: etag(merchant.revision),
            enrolments: enrolments.map(|e| proto::Enrolment { list: e.list, date: e.day.to_string() }).collect(),
        })
    }
}

fn enrolments(fields: &mut Fields, messages: Vec<proto::Enrolment>) -> Vec<Enrolment> {
    fields.check(messages.len() <= MAX_LIST, "enrolments", "must have at most 64 entries");
    let mut enrolments = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let is_name = (1..=64).contains(&message.list.len())
            && message.list.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        fields.check(is_name, &format!("enrolments[{index}].list"), "must be 1 to 64 characters of [a-z0-9_]");
        let day = Day::parse(&message.date);
        fields.check(day.is_some(), &format!("enrolments[{index}].date"), "must be an existing date, YYYY-MM-DD");
        enrolments.push(Enrolment { list: message.list, day: day.unwrap_or_default() });
    }
    enrolments
}

impl ProfileMessage for proto::Product {
    const LIST: &'static str = "products";
    const ID: &'static str = "product_id";
    const FIELDS: &'static [&'static str] = PRODUCT_FIELDS;

    fn key(id: u64) -> ProfileKey {
        ProfileKey::Item(ItemId { kind: ItemKind::Product, id })
    }

    fn into_profile(self, prefix: &str) -> Result<(Profile, Option<u64>), Vec<Problem>> {
        let mut fields = Fields::below(prefix);
        fields.id("product_id", self.product_id);
        fields.id("merchant_id", self.merchant_id);
        fields.text("name", &self.name);
        fields.check(self.promoter_ids.len() <= MAX_LIST, "promoter_ids", "must have at most 64 entries");
        fields.texts("categories", &self.categories);
        fields.texts("tags", &self.tags);
        let listed_at = optional_time(&mut fields, "listed_at", self.listed_at);
        let expected = expected_revision(&mut fields, &self.etag);
        fields.done()?;
        let product = Product {
            id: self.product_id,
            name: self.name,
            merchant: MerchantId(self.merchant_id),
            promoters: self.promoter_ids.into_iter().map(MerchantId).collect(),
            categories: self.categories.into(),
            listed_at,
            tags: self.tags.into(),
            is_virtual: self.r#virtual,
            revision: 0,
        };
        Ok((product.into(), expected))
    }

    fn from_profile(profile: Profile) -> Option<Self> {
        let Profile::Product(product) = profile else { return None };
        Some(Self {
            product_id: product.id,
            name: product.name,
            merchant_id: product.merchant.0,
            promoter_ids: product.promoters.into_iter().map(|id| id.0).collect(),
            categories: product.categories.to_vec(),
            listed_at: product.listed_at.map(to_proto_time),
            tags: product.tags.to_vec(),
            r#virtual: product.is_virtual,
            revision: product.revision,
            etag: etag(product.revision),
        })
    }
}

impl ProfileMessage for proto::LiveRoom {
    const LIST: &'static str = "live_rooms";
    const ID: &'static str = "live_room_id";
    const FIELDS: &'static [&'static str] = LIVE_ROOM_FIELDS;

    fn key(id: u64) -> ProfileKey {
        ProfileKey::Item(ItemId { kind: ItemKind::LiveRoom, id })
    }

    fn into_profile(self, prefix: &str) -> Result<(Profile, Option<u64>), Vec<Problem>> {
        let mut fields = Fields::below(prefix);
        fields.id("live_room_id", self.live_room_id);
        fields.id("merchant_id", self.merchant_id);
        fields.text("anchor", &self.anchor);
        fields.texts("tags", &self.tags);
        let started_at = optional_time(&mut fields, "started_at", self.started_at);
        let ended_at = optional_time(&mut fields, "ended_at", self.ended_at);
        let in_order = started_at.zip(ended_at).is_none_or(|(start, end)| start <= end);
        fields.check(in_order, "ended_at", "must not be before started_at");
        let expected = expected_revision(&mut fields, &self.etag);
        fields.done()?;
        let room = LiveRoom {
            id: self.live_room_id,
            merchant: MerchantId(self.merchant_id),
            anchor: self.anchor,
            tags: self.tags.into(),
            started_at,
            ended_at,
            revision: 0,
        };
        Ok((room.into(), expected))
    }

    fn from_profile(profile: Profile) -> Option<Self> {
        let Profile::LiveRoom(room) = profile else { return None };
        Some(Self {
            live_room_id: room.id,
            merchant_id: room.merchant.0,
            anchor: room.anchor,
            tags: room.tags.to_vec(),
            started_at: room.started_at.map(to_proto_time),
            ended_at: room.ended_at.map(to_proto_time),
            revision: room.revision,
            etag: etag(room.revision),
        })
    }
}

impl ProfileMessage for proto::ShortVideo {
    const LIST: &'static str = "short_videos";
    const ID: &'static str = "short_video_id";
    const FIELDS: &'static [&'static str] = SHORT_VIDEO_FIELDS;

    fn key(id: u64) -> ProfileKey {
        ProfileKey::Item(ItemId { kind: ItemKind::ShortVideo, id })
    }

    fn into_profile(self, prefix: &str) -> Result<(Profile, Option<u64>), Vec<Problem>> {
        let mut fields = Fields::below(prefix);
        fields.id("short_video_id", self.short_video_id);
        fields.id("merchant_id", self.merchant_id);
        fields.texts("tags", &self.tags);
        let posted_at = optional_time(&mut fields, "posted_at", self.posted_at);
        let expected = expected_revision(&mut fields, &self.etag);
        fields.done()?;
        let video = ShortVideo {
            id: self.short_video_id,
            merchant: MerchantId(self.merchant_id),
            tags: self.tags.into(),
            posted_at,
            revision: 0,
        };
        Ok((video.into(), expected))
    }

    fn from_profile(profile: Profile) -> Option<Self> {
        let Profile::ShortVideo(video) = profile else { return None };
        Some(Self {
            short_video_id: video.id,
            merchant_id: video.merchant.0,
            tags: video.tags.to_vec(),
            posted_at: video.posted_at.map(to_proto_time),
            revision: video.revision,
            etag: etag(video.revision),
        })
    }
}

impl ProfileMessage for proto::ServiceProvider {
    const LIST: &'static str = "service_providers";
    const ID: &'static str = "service_provider_id";
    const FIELDS: &'static [&'static str] = PROVIDER_FIELDS;

    fn key(id: u64) -> ProfileKey {
        ProfileKey::Provider(ProviderId(id))
    }

    fn into_profile(self, prefix: &str) -> Result<(Profile, Option<u64>), Vec<Problem>> {
        let mut fields = Fields::below(prefix);
        fields.id("service_provider_id", self.service_provider_id);
        fields.text("name", &self.name);
        fields.texts("tags", &self.tags);
        let scores: Option<Vec<u8>> =
            self.capabilities.iter().map(|score| u8::try_from(*score).ok().filter(|score| *score <= 100)).collect();
        let capabilities = scores.as_deref().and_then(|scores| <[u8; 5]>::try_from(scores).ok());
        let is_right = self.capabilities.is_empty() || capabilities.is_some();
        fields.check(is_right, "capabilities", "must be empty or five scores of 0 to 100");
        let expected = expected_revision(&mut fields, &self.etag);
        fields.done()?;
        let provider = ServiceProvider {
            id: ProviderId(self.service_provider_id),
            name: self.name,
            capabilities,
            tags: self.tags.into(),
            revision: 0,
        };
        Ok((provider.into(), expected))
    }

    fn from_profile(profile: Profile) -> Option<Self> {
        let Profile::Provider(provider) = profile else { return None };
        Some(Self {
            service_provider_id: provider.id.0,
            name: provider.name,
            capabilities: provider.capabilities.into_iter().flatten().map(u32::from).collect(),
            tags: provider.tags.to_vec(),
            revision: provider.revision,
            etag: etag(provider.revision),
        })
    }
}

/// The key and expected revision of a delete request.
///
/// # Errors
/// `INVALID_ARGUMENT` naming the wrong field.
pub fn deletion<M: ProfileMessage>(id: u64, etag: &str) -> Result<(ProfileKey, Option<u64>), Status> {
    let mut fields = Fields::default();
    fields.id(M::ID, id);
    let expected = expected_revision(&mut fields, etag);
    fields.finish()?;
    Ok((M::key(id), expected))
}

/// The number of a key.
#[must_use]
pub fn id_of(key: ProfileKey) -> u64 {
    match key {
        ProfileKey::Merchant(id) => id.0,
        ProfileKey::Item(item) => item.id,
        ProfileKey::Provider(id) => id.0,
    }
}
