//! Profiles ⇄ protobuf.

use super::{DecodeProblem, known, pb, required};
use crate::domain::{
    Day, Enrolment, LiveRoom, Merchant, MerchantId, MerchantKind, Product, Profile, ProviderId, ServiceProvider,
    ShortVideo, Timestamp,
};
use pb::profile::Kind;

impl From<&Profile> for pb::Profile {
    fn from(profile: &Profile) -> Self {
        let kind = match profile {
            Profile::Merchant(merchant) => Kind::Merchant(merchant.as_ref().into()),
            Profile::Product(product) => Kind::Product(product.as_ref().into()),
            Profile::LiveRoom(room) => Kind::LiveRoom(room.as_ref().into()),
            Profile::ShortVideo(video) => Kind::ShortVideo(video.as_ref().into()),
            Profile::Provider(provider) => Kind::Provider(provider.as_ref().into()),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::Profile> for Profile {
    type Error = DecodeProblem;

    fn try_from(message: pb::Profile) -> Result<Self, DecodeProblem> {
        Ok(match required(message.kind, "profile.kind")? {
            Kind::Merchant(merchant) => Merchant::try_from(merchant)?.into(),
            Kind::Product(product) => Product::from(product).into(),
            Kind::LiveRoom(room) => LiveRoom::from(room).into(),
            Kind::ShortVideo(video) => ShortVideo::from(video).into(),
            Kind::Provider(provider) => ServiceProvider::try_from(provider)?.into(),
        })
    }
}

impl From<MerchantKind> for pb::MerchantKind {
    fn from(kind: MerchantKind) -> Self {
        match kind {
            MerchantKind::Ordinary => Self::Ordinary,
            MerchantKind::KuaiBrand => Self::KuaiBrand,
            MerchantKind::Brand => Self::Brand,
        }
    }
}

impl From<&Merchant> for pb::Merchant {
    fn from(merchant: &Merchant) -> Self {
        let enrolment = |enrolment: &Enrolment| pb::Enrolment { list: enrolment.list.clone(), day: enrolment.day.0 };
        Self {
            id: merchant.id.0,
            name: merchant.name.clone(),
            kind: pb::MerchantKind::from(merchant.kind).into(),
            opened_at: merchant.opened_at.map(|at| at.0),
            categories: merchant.categories.to_vec(),
            region: merchant.region.clone(),
            origin_belt: merchant.origin_belt.clone(),
            fan_count: merchant.fan_count,
            service_provider: merchant.service_provider.map(|provider| provider.0),
            tags: merchant.tags.to_vec(),
            prior_identity_violation: merchant.prior_identity_violation,
            enrolments: merchant.enrolments.iter().map(enrolment).collect(),
            revision: merchant.revision,
        }
    }
}

impl TryFrom<pb::Merchant> for Merchant {
    type Error = DecodeProblem;

    fn try_from(message: pb::Merchant) -> Result<Self, DecodeProblem> {
        const KIND: &str = "merchant.kind";
        let kind = match known(message.kind, KIND)? {
            pb::MerchantKind::Ordinary => MerchantKind::Ordinary,
            pb::MerchantKind::KuaiBrand => MerchantKind::KuaiBrand,
            pb::MerchantKind::Brand => MerchantKind::Brand,
            pb::MerchantKind::Unspecified => return Err(DecodeProblem::Missing { field: KIND }),
        };
        let enrolment = |enrolment: pb::Enrolment| Enrolment { list: enrolment.list, day: Day(enrolment.day) };
        Ok(Self {
            id: MerchantId(message.id),
            name: message.name,
            kind,
            opened_at: message.opened_at.map(Timestamp),
            categories: message.categories.into(),
            region: message.region,
            origin_belt: message.origin_belt,
            fan_count: message.fan_count,
            service_provider: message.service_provider.map(ProviderId),
            tags: message.tags.into(),
            prior_identity_violation: message.prior_identity_violation,
            enrolments: message.enrolments.into_iter().map(enrolment).collect(),
            revision: message.revision,
        })
    }
}

impl From<&Product> for pb::Product {
    fn from(product: &Product) -> Self {
        Self {
            id: product.id,
            name: product.name.clone(),
            merchant: product.merchant.0,
            promoters: product.promoters.iter().map(|merchant| merchant.0).collect(),
            categories: product.categories.to_vec(),
            listed_at: product.listed_at.map(|at| at.0),
            tags: product.tags.to_vec(),
            is_virtual: product.is_virtual,
            revision: product.revision,
        }
    }
}

impl From<pb::Product> for Product {
    fn from(message: pb::Product) -> Self {
        Self {
            id: message.id,
            name: message.name,
            merchant: MerchantId(message.merchant),
            promoters: message.promoters.into_iter().map(MerchantId).collect(),
            categories: message.categories.into(),
            listed_at: message.listed_at.map(Timestamp),
            tags: message.tags.into(),
            is_virtual: message.is_virtual,
            revision: message.revision,
        }
    }
}

impl From<&LiveRoom> for pb::LiveRoom {
    fn from(room: &LiveRoom) -> Self {
        Self {
            id: room.id,
            merchant: room.merchant.0,
            anchor: room.anchor.clone(),
            tags: room.tags.to_vec(),
            started_at: room.started_at.map(|at| at.0),
            ended_at: room.ended_at.map(|at| at.0),
            revision: room.revision,
        }
    }
}

impl From<pb::LiveRoom> for LiveRoom {
    fn from(message: pb::LiveRoom) -> Self {
        Self {
            id: message.id,
            merchant: MerchantId(message.merchant),
            anchor: message.anchor,
            tags: message.tags.into(),
            started_at: message.started_at.map(Timestamp),
            ended_at: message.ended_at.map(Timestamp),
            revision: message.revision,
        }
    }
}

impl From<&ShortVideo> for pb::ShortVideo {
    fn from(video: &ShortVideo) -> Self {
        Self {
            id: video.id,
            merchant: video.merchant.0,
            tags: video.tags.to_vec(),
            posted_at: video.posted_at.map(|at| at.0),
            revision: video.revision,
        }
    }
}

impl From<pb::ShortVideo> for ShortVideo {
    fn from(message: pb::ShortVideo) -> Self {
        Self {
            id: message.id,
            merchant: MerchantId(message.merchant),
            tags: message.tags.into(),
            posted_at: message.posted_at.map(Timestamp),
            revision: message.revision,
        }
    }
}

impl From<&ServiceProvider> for pb::Provider {
    fn from(provider: &ServiceProvider) -> Self {
        Self {
            id: provider.id.0,
            name: provider.name.clone(),
            capabilities: provider.capabilities.map(|scores| scores.to_vec()),
            tags: provider.tags.to_vec(),
            revision: provider.revision,
        }
    }
}

impl TryFrom<pb::Provider> for ServiceProvider {
    type Error = DecodeProblem;

    fn try_from(message: pb::Provider) -> Result<Self, DecodeProblem> {
        let scores = |scores: Vec<u8>| -> Result<[u8; 5], DecodeProblem> {
            let wrong = |scores: Vec<u8>| format!("has {} scores, not 5", scores.len());
            scores.try_into().map_err(|scores| DecodeProblem::invalid("provider.capabilities", wrong(scores)))
        };
        Ok(Self {
            id: ProviderId(message.id),
            name: message.name,
            capabilities: message.capabilities.map(scores).transpose()?,
            tags: message.tags.into(),
            revision: message.revision,
        })
    }
}
