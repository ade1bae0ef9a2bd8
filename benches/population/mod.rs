//! A population in memory, made through the state machine without log or store: what the benchmarks inside one
//! process read. The same sizes give the same population.

use trustflow::domain::{
    Body, Command, Day, DayFacts, FactKey, FactRow, HeldRight, LiveRoom, Merchant, MerchantId, MerchantKind, Outcome,
    Profile, SEMANTICS, Scene, Subject, TargetKind, Words,
};
use trustflow::engine::ScoreQuery;
use trustflow::policy::{self, CounterDef, CounterKind};
use trustflow::state::{History, HistoryError, HistoryRows, Hot, State};
use trustflow::trust::{DayRange, MerchantView};

/// 2026-03-16, a Monday.
const TODAY: Day = Day(20_528);
/// Merchants of one chunk.
const CHUNK: u32 = 5_000;
/// Days of facts of the first merchant; the last has none, all others one row.
const FULL_DAYS: u8 = 28;
/// Rows or records of one step of a new world, as in the server.
const SLICE: usize = 2_000;
const RIGHTS: [&str; 5] = [
    "fake_one_compensates_ten",
    "seven_day_no_reason",
    "return_freight_compensation",
    "official_authenticity",
    "used_phone_warranty_180",
];

/// A small generator with a fixed sequence (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Uniform below `bound`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let high = (((mixed ^ (mixed >> 31)) >> 32) * u64::from(bound)) >> 32;
        u32::try_from(high).unwrap_or_default()
    }
}

/// Live rooms and their merchants, one each.
pub(crate) struct Population {
    state: State,
    revision: u64,
    merchants: u32,
}

impl Population {
    /// So many merchants under the embedded policy.
    ///
    /// # Panics
    /// When the state machine refuses something.
    pub(crate) fn new(merchants: u32) -> Self {
        let mut made = Self { state: State::default(), revision: 0, merchants };
        made.transit(Body::PublishPolicy(policy::embedded().into()));
        // Closed while empty: facts of closed days go into the sums at once, and nothing is read again.
        made.transit(Body::CloseDay { day: TODAY.plus(-1) });
        for (chunk, sequence) in (0..merchants.div_ceil(CHUNK)).zip(1..) {
            let range = chunk * CHUNK..merchants.min((chunk + 1) * CHUNK);
            let profiles = range.clone().flat_map(|index| [merchant(index), live_room(index)]).collect();
            let rows = range.flat_map(|index| made.facts(index)).collect();
            made.apply(Body::ImportChunk { import_id: "population".to_owned(), sequence, profiles, rows });
        }
        let from = TODAY.plus(-100).start();
        let held = |right: &&str| HeldRight { right: (*right).to_owned(), from, until: None };
        made.apply(Body::SetRights { merchant: merchant_id(0), rights: RIGHTS.iter().map(held).collect() });
        made
    }

    /// What Score reads.
    pub(crate) fn hot(&self) -> &Hot {
        self.state.hot()
    }

    /// The state itself.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The merchant with all rights and a month of every counter.
    pub(crate) fn full_view(&self) -> MerchantView<'_> {
        self.state.view(0).expect("the first merchant is in slot 0")
    }

    /// The merchant without facts.
    pub(crate) fn bare_view(&self) -> MerchantView<'_> {
        self.state.view(self.merchants - 1).expect("slots are given in order")
    }

    /// Ids of random live rooms.
    pub(crate) fn live_rooms(&self, count: usize, random: &mut Random) -> Vec<u64> {
        (0..count).map(|_| live_room_id(random.below(self.merchants))).collect()
    }

    /// Builds the world that was begun last, and makes it current.
    ///
    /// # Panics
    /// When the state machine refuses it.
    pub(crate) fn build_world(&mut self) {
        let began = self.revision;
        self.state.start_transition(&Nothing);
        while !self.state.advance_transition(SLICE, &Nothing).expect("there is nothing to read") {}
        self.apply(Body::Activate { began });
    }

    fn transit(&mut self, body: Body) {
        self.apply(body);
        self.build_world();
    }

    /// Applies a command that must be taken.
    ///
    /// # Panics
    /// When the state machine refuses it.
    pub(crate) fn apply(&mut self, body: Body) {
        self.revision += 1;
        let command = Command { stamp: TODAY.start(), node: 1, semantics: SEMANTICS, request: None, body };
        let outcome = self.state.apply(self.revision, &command, &Nothing).expect("there is nothing to read").outcome;
        let is_taken = match &outcome {
            Outcome::Done | Outcome::Policy(_) => true,
            Outcome::Chunk(chunk) => chunk.profiles.is_empty() && chunk.rows.is_empty(),
            Outcome::Items(_)
            | Outcome::Violation(_)
            | Outcome::Session(_)
            | Outcome::Leases(_)
            | Outcome::Report(_)
            | Outcome::Package(_)
            | Outcome::Rejected(_) => false,
        };
        assert!(is_taken, "refused: {outcome:?}");
        self.state.finish(self.revision);
        drop(self.state.take_rows(usize::MAX));
    }

    fn facts(&self, index: u32) -> Vec<FactRow> {
        let days = match index {
            0 => FULL_DAYS,
            _ if index + 1 == self.merchants => 0,
            _ => 1,
        };
        let counters = &self.state.policy().counters;
        let row = |back: u8| {
            let mut random = Random(u64::from(index) << 8 | u64::from(back));
            let orders = u64::from(100 + random.below(10_000));
            let cell = |counter: &CounterDef| (counter.id, value(counter, orders, &mut random));
            let facts = DayFacts::new(counters.iter().map(cell).collect());
            let day = TODAY.plus(-1 - i32::from(back));
            FactRow { subject: Subject::Merchant(merchant_id(index)), day, facts }
        };
        (0..days).rev().map(row).collect()
    }
}

/// The query that is measured.
pub(crate) fn query(target_ids: &[u64]) -> ScoreQuery<'_> {
    ScoreQuery {
        scene: Scene::Live,
        kind: TargetKind::LiveRoom,
        target_ids,
        merchant_ids: &[],
        base_scores: &[],
        layers: false,
        ad_price: false,
    }
}

/// A plausible value: good things happen to most orders, bad things to a few.
fn value(counter: &CounterDef, orders: u64, random: &mut Random) -> u64 {
    match (counter.kind, counter.name.as_str()) {
        (CounterKind::Level, "price_index") => 10_000,
        (CounterKind::Level, _) => u64::from(400 + random.below(100)),
        (CounterKind::Flow, "gmv_fen") => orders * 9_900,
        (CounterKind::Flow, "review_points") => orders * 4 + orders / 2,
        (CounterKind::Flow, "paid_orders" | "reviews") => orders,
        (CounterKind::Flow, name) if name.ends_with("_due") => orders,
        (CounterKind::Flow, name) if name.ends_with("_on_time") || name.ends_with("_honoured") => {
            orders * u64::from(950 + random.below(50)) / 1_000
        }
        (CounterKind::Flow, _) => orders * u64::from(random.below(30)) / 1_000,
    }
}

fn merchant_id(index: u32) -> MerchantId {
    MerchantId(1_000_000 + u64::from(index))
}

fn live_room_id(index: u32) -> u64 {
    9_000_000_000 + 7 * u64::from(index)
}

fn merchant(index: u32) -> Profile {
    let mut random = Random(u64::from(index));
    let kind = match random.below(100) {
        0..90 => MerchantKind::Ordinary,
        90..96 => MerchantKind::KuaiBrand,
        _ => MerchantKind::Brand,
    };
    let age_days = i32::try_from(random.below(1_000)).unwrap_or_default();
    Profile::from(Merchant {
        id: merchant_id(index),
        name: format!("merchant {index}"),
        kind,
        opened_at: Some(TODAY.plus(-age_days).start()),
        categories: vec!["apparel".to_owned(), "home".to_owned()].into(),
        region: String::new(),
        origin_belt: String::new(),
        fan_count: u64::from(random.below(2_000_000)),
        service_provider: None,
        tags: Words::default(),
        prior_identity_violation: false,
        enrolments: Vec::new(),
        revision: 0,
    })
}

fn live_room(index: u32) -> Profile {
    Profile::from(LiveRoom {
        id: live_room_id(index),
        merchant: merchant_id(index),
        anchor: String::new(),
        tags: Words::default(),
        started_at: None,
        ended_at: None,
        revision: 0,
    })
}

/// A history without facts of earlier days.
struct Nothing;

impl History for Nothing {
    fn row(&self, _: FactKey) -> Result<DayFacts, HistoryError> {
        Ok(DayFacts::default())
    }

    fn rows(&self, _: Vec<DayRange>) -> HistoryRows {
        Box::new(std::iter::empty())
    }
}
