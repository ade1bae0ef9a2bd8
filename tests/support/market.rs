//! Merchants, rooms and programmes of each kind, for tests of slates and of control.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs of it")]

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use trustflow::clock::SimulatedClock;
use trustflow::domain::{
    Body, ExposureRow, LiveRoom, Merchant, MerchantId, MerchantKind, Outcome, PolicyText, Profile, Scene, TargetKind,
    Timestamp, Violation, Words,
};
use trustflow::engine::{AllocateQuery, Engine, ScoreQuery, Slate, WriterSettings};
use trustflow::store::AuditRetention;
use trustflow::traffic::{MemberPrice, PriceBook, SlotReason};

/// 2023-03-01T07:00:00+08:00.
pub const NOW: Timestamp = Timestamp(1_677_625_200_000);

/// Merchants and what they are in. Their rooms are numbered 100 above them.
pub const PLAIN: u64 = 1;
pub const SECOND: u64 = 2;
pub const HARD: u64 = 3;
pub const SUPPORTED: u64 = 4;
pub const CAPPED: u64 = 5;
pub const PROMISED: u64 = 6;
pub const BANNED: u64 = 7;
/// In a programme with a share for the long tail: one with many exposures, one with none.
pub const LARGE: u64 = 8;
pub const SMALL: u64 = 9;
pub const UNKNOWN: u64 = 8_000;

pub fn room(merchant: u64) -> u64 {
    merchant + 100
}

pub fn programme(kind: &str, tag: &str, uplift: &str, rest: &str) -> String {
    format!(
        "name = \"{tag}\"\nname_zh = \"{tag}\"\nseed = \"002\"\narea = \"traffic\"\nkind = \"{kind}\"\n\
         scenes = [\"live\"]\neligibility = '\"{tag}\" in merchant.tags'\n{uplift}\n{rest}"
    )
}

/// The embedded policy's scores with programmes of our own.
pub fn policy() -> PolicyText {
    let mut text = trustflow::policy::embedded();
    text.files.retain(|(path, _)| !path.starts_with("programmes/"));
    let day = |exposures: u64| format!("[budget]\nexposures = {exposures}\nperiod = \"day\"\n");
    let lift = |uplift: f64| format!("uplift = {{ constant = {uplift:.1} }}");
    let files = [
        ("hard", programme("hard", "hard", "", &day(2))),
        ("support", programme("support", "support", &lift(1.0), &day(2))),
        (
            "capped",
            programme("support", "capped", &lift(1.0), &format!("{}[cap]\nexposures = 1\nperiod = \"day\"\n", day(50))),
        ),
        (
            "promise",
            programme(
                "support",
                "promise",
                &lift(0.1),
                &format!("{}[guarantee]\nexposures = 5\ndays = 7\npenalty = 0.5\n", day(50)),
            ),
        ),
        (
            "tailed",
            programme(
                "support",
                "tailed",
                &lift(1.0),
                &format!("{}tail = {{ share = 0.5, max_exposures_30d = 3 }}\n", day(10)),
            ),
        ),
    ];
    let later = programme("hard", "later", "", &format!("first_day = \"2023-03-02\"\n{}", day(2)));
    text.files.push(("programmes/later.toml".to_owned(), later));
    for (name, file) in files {
        text.files.push((format!("programmes/{name}.toml"), file));
    }
    text.files.sort();
    text
}

fn open(folder: &TempDir) -> Engine {
    let clock = Arc::new(SimulatedClock::new(NOW, 0.0));
    let settings = WriterSettings { node: 1, log_retain: 100, close_days: false, audit: AuditRetention::DEFAULT };
    Engine::open(&folder.path().join("data"), clock, settings).expect("opens")
}

pub struct Market {
    pub engine: Engine,
    folder: TempDir,
}

impl Market {
    /// An engine without control: prices are what the test says.
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let market = Self { engine: open(&folder), folder };
        market.write(Body::PublishPolicy(policy().into())).await;
        market.engine.wait_for_first_policy().await.expect("a policy");
        let members = [
            (PLAIN, ""),
            (SECOND, ""),
            (HARD, "hard"),
            (SUPPORTED, "support"),
            (CAPPED, "capped"),
            (PROMISED, "promise"),
            (BANNED, "promise"),
            (LARGE, "tailed"),
            (SMALL, "tailed"),
        ];
        let profiles = members.iter().flat_map(|(id, tag)| [merchant(*id, tag), live_room(*id)]).collect();
        let (import_id, sequence, rows) = ("market".to_owned(), 1, Vec::new());
        market.write(Body::ImportChunk { import_id, sequence, profiles, rows }).await;
        market.ban(BANNED).await;
        market
    }

    /// The same data in a new process, as far as memory goes.
    pub fn restart(self) -> Self {
        let Self { engine, folder } = self;
        engine.shut_down();
        drop(engine);
        Self { engine: open(&folder), folder }
    }

    pub async fn write(&self, body: Body) -> Outcome {
        let outcome = self.engine.write(None, body).await.expect("written").outcome;
        assert!(!matches!(outcome, Outcome::Rejected(_)), "{outcome:?}");
        outcome
    }

    pub async fn ban(&self, merchant: u64) {
        let violation = Violation { id: merchant, merchant: MerchantId(merchant), kind: "ban".to_owned(), ..sample() };
        self.write(Body::RecordViolation(violation)).await;
    }

    pub fn slate(&self, merchants: &[(u64, f32)], slots: usize, fill: bool) -> Slate {
        let target_ids: Vec<u64> = merchants.iter().map(|(merchant, _)| room(*merchant)).collect();
        let base_scores: Vec<f32> = merchants.iter().map(|(_, base)| *base).collect();
        let (scene, kind) = (Scene::Live, TargetKind::LiveRoom);
        let (target_ids, base_scores) = (&target_ids[..], &base_scores[..]);
        self.engine.allocate(&AllocateQuery { scene, kind, target_ids, merchant_ids: &[], base_scores, slots, fill })
    }

    /// A slate once leases are there that it can be charged to: they come some milliseconds after they are missed.
    pub async fn leased_slate(&self, merchants: &[(u64, f32)], slots: usize, expected: &[u64]) -> Slate {
        for _ in 0..400 {
            let slate = self.slate(merchants, slots, false);
            let is_reserved = slate.slots.iter().all(|slot| slot.programmes == 0 || slot.reservation.is_some());
            if shown(&slate) == expected && is_reserved {
                return slate;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let last = self.slate(merchants, slots, false);
        assert_eq!(shown(&last), expected, "{last:?}");
        last
    }

    pub fn price(&self, change: impl FnOnce(&mut PriceBook)) {
        let mut book = PriceBook::clone(&self.engine.hot().prices().book());
        book.epoch += 1;
        change(&mut book);
        self.engine.hot().prices().publish(book);
    }

    pub fn price_member(&self, merchant: u64, price: MemberPrice) {
        let slot = self.engine.hot().merchant_slot(MerchantId(merchant)).expect("registered");
        self.engine.hot().prices().set_member(slot, &price);
    }

    pub fn bit(&self, id: &str) -> u8 {
        self.engine.read(|state| state.policy().programmes.iter().find(|p| p.id == id).expect(id).bit)
    }

    pub fn must_serve(&self, merchant: u64) {
        self.price_member(merchant, MemberPrice { must_serve: true, ..MemberPrice::default() });
    }
}

pub fn sample() -> Violation {
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

pub fn merchant(id: u64, tag: &str) -> Profile {
    Profile::from(Merchant {
        id: MerchantId(id),
        name: format!("merchant {id}"),
        kind: MerchantKind::Ordinary,
        opened_at: Some(Timestamp(NOW.0 - 200 * 86_400_000)),
        categories: vec!["womens_wear".to_owned()].into(),
        region: "guangdong".to_owned(),
        origin_belt: String::new(),
        fan_count: 10,
        service_provider: None,
        tags: (!tag.is_empty()).then(|| tag.to_owned()).into_iter().collect(),
        prior_identity_violation: false,
        enrolments: Vec::new(),
        revision: 0,
    })
}

pub fn live_room(id: u64) -> Profile {
    Profile::from(LiveRoom {
        id: room(id),
        merchant: MerchantId(id),
        anchor: String::new(),
        tags: Words::default(),
        started_at: None,
        ended_at: None,
        revision: 0,
    })
}

/// The merchants of a slate, in order.
pub fn shown(slate: &Slate) -> Vec<u64> {
    slate.slots.iter().map(|slot| slot.target_id - 100).collect()
}

pub fn reasons(slate: &Slate) -> Vec<SlotReason> {
    slate.slots.iter().map(|slot| slot.reason).collect()
}

pub fn score_query<'a>(target_ids: &'a [u64], base_scores: &'a [f32]) -> ScoreQuery<'a> {
    let (scene, kind) = (Scene::Live, TargetKind::LiveRoom);
    ScoreQuery { scene, kind, target_ids, merchant_ids: &[], base_scores, layers: false, ad_price: false }
}

/// Exposures of a merchant's room, that count against programmes.
pub fn exposures(merchant: u64, exposures: u64, programmes: u64) -> ExposureRow {
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
