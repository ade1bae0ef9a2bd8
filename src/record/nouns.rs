//! Kinds, violations, rights and policy texts ⇄ protobuf.

use super::{DecodeProblem, known, pb, required};
use crate::domain::{
    Decision, HeldRight, ItemId, ItemKind, MerchantId, OrderContext, PolicyText, ProfileKey, ProviderId, Subject,
    Timestamp, Violation,
};

/// Kind and id of a profile's key.
#[must_use]
pub fn kind_of_profile(key: ProfileKey) -> (pb::Kind, u64) {
    match key {
        ProfileKey::Merchant(merchant) => (pb::Kind::Merchant, merchant.0),
        ProfileKey::Item(item) => (kind_of_item(item.kind), item.id),
        ProfileKey::Provider(provider) => (pb::Kind::Provider, provider.0),
    }
}

/// Kind and id of a subject.
#[must_use]
pub fn kind_of_subject(subject: Subject) -> (pb::Kind, u64) {
    match subject {
        Subject::Merchant(merchant) => (pb::Kind::Merchant, merchant.0),
        Subject::Item(item) => (kind_of_item(item.kind), item.id),
    }
}

/// The profile key of a kind and an id.
#[must_use]
pub fn profile_key(kind: pb::Kind, id: u64) -> Option<ProfileKey> {
    match kind {
        pb::Kind::Merchant => Some(ProfileKey::Merchant(MerchantId(id))),
        pb::Kind::Provider => Some(ProfileKey::Provider(ProviderId(id))),
        pb::Kind::LiveRoom | pb::Kind::Product | pb::Kind::ShortVideo | pb::Kind::Unspecified => {
            item_kind(kind).map(|kind| ProfileKey::Item(ItemId { kind, id }))
        }
    }
}

/// The subject of a kind and an id; none for kinds that facts are not about.
#[must_use]
pub fn subject(kind: pb::Kind, id: u64) -> Option<Subject> {
    match kind {
        pb::Kind::Merchant => Some(Subject::Merchant(MerchantId(id))),
        pb::Kind::LiveRoom | pb::Kind::Product | pb::Kind::ShortVideo | pb::Kind::Provider | pb::Kind::Unspecified => {
            item_kind(kind).map(|kind| Subject::Item(ItemId { kind, id }))
        }
    }
}

fn kind_of_item(kind: ItemKind) -> pb::Kind {
    match kind {
        ItemKind::LiveRoom => pb::Kind::LiveRoom,
        ItemKind::Product => pb::Kind::Product,
        ItemKind::ShortVideo => pb::Kind::ShortVideo,
    }
}

fn item_kind(kind: pb::Kind) -> Option<ItemKind> {
    match kind {
        pb::Kind::LiveRoom => Some(ItemKind::LiveRoom),
        pb::Kind::Product => Some(ItemKind::Product),
        pb::Kind::ShortVideo => Some(ItemKind::ShortVideo),
        pb::Kind::Merchant | pb::Kind::Provider | pb::Kind::Unspecified => None,
    }
}

impl From<Decision> for pb::Decision {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Applied => Self::Applied,
            Decision::Waived => Self::Waived,
            Decision::Exempt => Self::Exempt,
        }
    }
}

/// The decision of a field's value.
pub(super) fn decision(value: i32, field: &'static str) -> Result<Decision, DecodeProblem> {
    match known(value, field)? {
        pb::Decision::Applied => Ok(Decision::Applied),
        pb::Decision::Waived => Ok(Decision::Waived),
        pb::Decision::Exempt => Ok(Decision::Exempt),
        pb::Decision::Unspecified => Err(DecodeProblem::Missing { field }),
    }
}

impl From<&Violation> for pb::Violation {
    fn from(violation: &Violation) -> Self {
        Self {
            id: violation.id,
            merchant: violation.merchant.0,
            r#type: violation.kind.clone(),
            item: violation.item.map(|item| pb::Item { kind: kind_of_item(item.kind).into(), id: item.id }),
            occurred_at: violation.occurred_at.0,
            effective_from: violation.effective_from.0,
            effective_until: violation.effective_until.map(|until| until.0),
            order: violation.order.as_ref().map(|order| pb::OrderContext {
                sender_region: order.sender_region.clone(),
                recipient_region: order.recipient_region.clone(),
                is_virtual: order.is_virtual,
            }),
            decision: pb::Decision::from(violation.decision).into(),
            revoked: violation.revoked,
        }
    }
}

impl TryFrom<pb::Violation> for Violation {
    type Error = DecodeProblem;

    fn try_from(message: pb::Violation) -> Result<Self, DecodeProblem> {
        let item = |item: pb::Item| -> Result<ItemId, DecodeProblem> {
            let kind = item_kind(known(item.kind, "violation.item.kind")?);
            let kind = kind.ok_or_else(|| DecodeProblem::invalid("violation.item.kind", "is not of an item"))?;
            Ok(ItemId { kind, id: item.id })
        };
        Ok(Self {
            id: message.id,
            merchant: MerchantId(message.merchant),
            kind: message.r#type,
            item: message.item.map(item).transpose()?,
            occurred_at: Timestamp(message.occurred_at),
            effective_from: Timestamp(message.effective_from),
            effective_until: message.effective_until.map(Timestamp),
            order: message.order.map(|order| OrderContext {
                sender_region: order.sender_region,
                recipient_region: order.recipient_region,
                is_virtual: order.is_virtual,
            }),
            decision: decision(message.decision, "violation.decision")?,
            revoked: message.revoked,
        })
    }
}

impl From<&HeldRight> for pb::HeldRight {
    fn from(right: &HeldRight) -> Self {
        Self { right: right.right.clone(), from: right.from.0, until: right.until.map(|until| until.0) }
    }
}

impl TryFrom<pb::HeldRight> for HeldRight {
    type Error = DecodeProblem;

    fn try_from(message: pb::HeldRight) -> Result<Self, DecodeProblem> {
        Ok(Self { right: message.right, from: Timestamp(message.from), until: message.until.map(Timestamp) })
    }
}

impl From<&PolicyText> for pb::PolicyText {
    fn from(text: &PolicyText) -> Self {
        let file = |(path, content): &(String, String)| pb::PolicyFile { path: path.clone(), content: content.clone() };
        Self { source: text.source.clone(), files: text.files.iter().map(file).collect() }
    }
}

impl TryFrom<pb::PolicyText> for PolicyText {
    type Error = DecodeProblem;

    fn try_from(message: pb::PolicyText) -> Result<Self, DecodeProblem> {
        let files = message.files.into_iter().map(|file| (file.path, file.content)).collect();
        Ok(Self { source: message.source, files })
    }
}

/// The key of a profile, or an error that names the field its kind stands in.
pub(super) fn required_profile_key(kind: i32, id: u64, field: &'static str) -> Result<ProfileKey, DecodeProblem> {
    required(profile_key(known(kind, field)?, id), field)
}
