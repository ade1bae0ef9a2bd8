//! Rows of the market that slates are tested on: a room for each merchant, their violations and exposures.

use trustflow::domain::{
    ExposureRow, LiveRoom, Merchant, MerchantId, MerchantKind, Profile, Scene, TargetKind, Timestamp, Violation,
};

use super::NOW;

pub(crate) fn room(merchant: u64) -> u64 {
    merchant + 100
}

pub(crate) fn sample() -> Violation {
    Violation {
        id: 0,
        merchant: MerchantId(0),
        kind: String::new(),
        item: None,
        occurred_at: NOW,
        effective_from: NOW,
        effective_until: None,
        order: None,
        decision: trustflow::domain::Decision::Applied,
        revoked: false,
    }
}

pub(crate) fn merchant(id: u64, tag: &str) -> Profile {
    Profile::Merchant(Merchant {
        id: MerchantId(id),
        name: format!("merchant {id}"),
        kind: MerchantKind::Ordinary,
        opened_at: Some(Timestamp(NOW.0 - 200 * 86_400_000)),
        categories: vec!["womens_wear".to_owned()],
        region: "guangdong".to_owned(),
        origin_belt: String::new(),
        fan_count: 10,
        service_provider: None,
        tags: if tag.is_empty() { Vec::new() } else { vec![tag.to_owned()] },
        prior_identity_violation: false,
        enrolments: Vec::new(),
        revision: 0,
    })
}

pub(crate) fn live_room(id: u64) -> Profile {
    Profile::LiveRoom(LiveRoom {
        id: room(id),
        merchant: MerchantId(id),
        anchor: String::new(),
        tags: Vec::new(),
        started_at: None,
        ended_at: None,
        revision: 0,
    })
}

/// The merchants of a slate, in order.
pub(crate) fn exposures(merchant: u64, exposures: u64, programmes: u64) -> ExposureRow {
    ExposureRow {
        kind: TargetKind::LiveRoom,
        target: room(merchant),
        merchant: None,
        scene: Scene::Live,
        policy_version: 1,
        programmes,
        reservations: Vec::new(),
        exposures,
        clicks: 0,
        orders: 0,
        gmv_fen: 0,
        occurred_at: NOW,
    }
}
