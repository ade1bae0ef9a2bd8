//! A history that is lived: steps drawn at random, and the commands that they become.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use trustflow::domain::{
    Body, CounterId, Day, DayFacts, Decision, Enrolment, FactRow, HeldRight, ItemId, ItemKind, Merchant, MerchantId,
    MerchantKind, Outcome, PolicyPublish, Profile, ProfileKey, Rejection, ReportOutcome, RequestKey, ShortVideo,
    Subject, Timestamp, Upsert, Violation, Words,
};
use trustflow::state::{Applied, REMEMBERED_MS};

use crate::machine::{Facts, MERCHANTS, Machine, VIDEOS, accept_outcome, check, check_stored};
use crate::spending::spending_policy;
use crate::spending_steps::{Spending, check_law, check_ledgers, spending};

/// Policies to choose from.
pub(crate) const VARIANTS: usize = 4;
/// Counters of every variant: `paid`, `due`, `on_time`, `bad`, `trial`, `price_index`.
const COUNTERS: u16 = 6;
const HOUR_MS: i64 = 3_600_000;
/// The day on which histories begin.
const FIRST: Day = Day(19_400);
/// Steps of a history.
pub(crate) const STEPS: usize = 160;

/// A row: merchant, days before today, counter, value, second value.
type Cells = (u64, i32, u16, u64, u64);

/// What happens next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Merchant {
        id: u64,
        opened: Option<i32>,
        enrolled: Option<i32>,
    },
    Delete(u64),
    Video {
        id: u64,
        owner: u64,
    },
    DeleteVideo(u64),
    Facts(Vec<Cells>),
    /// Corrects the first sale of a merchant, of the days not closed if there is one, to nothing.
    TakeBack(u64),
    Chunk {
        sequence_ahead: u64,
        merchant: u64,
        rows: Vec<Cells>,
    },
    Violation {
        merchant: u64,
        video: Option<u64>,
        kind: usize,
        hours_ago: i64,
    },
    Revoke {
        merchant: u64,
        nth: u64,
    },
    Rights(u64),
    Close(i32),
    Publish(usize),
    Schedule(usize, i64),
    Rollback(u64),
    KillSwitch(bool),
    Spend(Spending),
    Tick,
    Wait(i64),
    Again(usize),
    ActivateNow,
    // What the driver does between commands.
    Advance(usize),
    Write(usize),
    Restart,
}

fn merchant_id() -> impl Strategy<Value = u64> {
    1..=MERCHANTS
}

fn cells() -> impl Strategy<Value = Cells> {
    let back = prop_oneof![4 => -1..6_i32, 3 => 0..45_i32, 1 => 0..125_i32];
    (merchant_id(), back, 0..COUNTERS, prop_oneof![1 => Just(0), 3 => 1..50_u64], 0..20_u64)
}

/// Any step.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![3 => other_step(), 1 => spending().prop_map(Step::Spend)]
}

fn other_step() -> impl Strategy<Value = Step> {
    let ago = || option::of(-3..60_i32);
    prop_oneof![
        4 => (merchant_id(), ago(), ago())
            .prop_map(|(id, opened, enrolled)| Step::Merchant { id, opened, enrolled }),
        1 => merchant_id().prop_map(Step::Delete),
        2 => (1..=VIDEOS, merchant_id()).prop_map(|(id, owner)| Step::Video { id, owner }),
        1 => (1..=VIDEOS).prop_map(Step::DeleteVideo),
        14 => vec(cells(), 1..8).prop_map(Step::Facts),
        4 => merchant_id().prop_map(Step::TakeBack),
        2 => (0..3_u64, merchant_id(), vec(cells(), 0..6))
            .prop_map(|(sequence_ahead, merchant, rows)| Step::Chunk { sequence_ahead, merchant, rows }),
        3 => (merchant_id(), option::of(1..=VIDEOS), 0..3_usize, -1..200_i64)
            .prop_map(|(merchant, video, kind, hours_ago)| Step::Violation { merchant, video, kind, hours_ago }),
        1 => (merchant_id(), 0..6_u64).prop_map(|(merchant, nth)| Step::Revoke { merchant, nth }),
        1 => merchant_id().prop_map(Step::Rights),
        5 => (1..=10_i32).prop_map(Step::Close),
        2 => (0..VARIANTS).prop_map(Step::Publish),
        2 => (0..VARIANTS, 0..100_i64).prop_map(|(variant, hours)| Step::Schedule(variant, hours)),
        1 => (1..6_u64).prop_map(Step::Rollback),
        1 => any::<bool>().prop_map(Step::KillSwitch),
        2 => Just(Step::Tick),
        5 => (1..80_i64).prop_map(Step::Wait),
        2 => (0..40_usize).prop_map(Step::Again),
        1 => Just(Step::ActivateNow),
        12 => (1..25_usize).prop_map(Step::Advance),
        4 => (0..4_usize).prop_map(Step::Write),
        2 => Just(Step::Restart),
    ]
}

/// A history that is being lived.
pub(crate) struct Life {
    pub(crate) machine: Machine,
    pub(crate) facts: Facts,
    now: Timestamp,
    violations: u64,
    sent: Vec<(Timestamp, RequestKey, Body, Applied)>,
}

impl Life {
    /// Publishes a first policy and registers merchants.
    pub(crate) fn begin(first: usize) -> Self {
        let now = FIRST.start().plus_ms(12 * HOUR_MS);
        let mut life = Self { machine: Machine::new(), facts: Facts::new(), now, violations: 0, sent: vec![] };
        life.publish(first);
        life.activate();
        for id in 1..MERCHANTS {
            life.take(life.merchant(id, Some(20), Some(5)));
        }
        life
    }

    fn take(&mut self, body: Body) {
        self.now = self.now.plus_ms(1_000);
        let request = RequestKey {
            identity: String::new(),
            peer: String::new(),
            method: "Test".to_owned(),
            request_id: self.sent.len().to_string(),
            payload_hash: 7,
        };
        let applied = self.machine.apply(self.now, Some(request.clone()), body.clone());
        accept_outcome(&mut self.facts, &body, &applied.outcome);
        self.sent.push((self.now, request, body, applied));
    }

    fn activate(&mut self) {
        let Some(began) = self.machine.state.transition().map(|transition| transition.began) else { return };
        let applied = self.machine.apply(self.now, None, Body::Activate { began });
        assert_eq!(applied.outcome, Outcome::Done);
        check(&mut self.machine, &self.facts, &format!("after what began at {began}"));
    }

    fn merchant(&self, id: u64, opened: Option<i32>, enrolled: Option<i32>) -> Body {
        let profile = Profile::from(self.profile(id, opened, enrolled));
        Body::UpsertProfiles { profiles: vec![Upsert { profile, expected_revision: None }], mask: None }
    }

    fn profile(&self, id: u64, opened: Option<i32>, enrolled: Option<i32>) -> Merchant {
        let today = self.now.day();
        let enrolment = |ago: i32| Enrolment { list: "club".into(), day: today.plus(-ago) };
        Merchant {
            id: MerchantId(id),
            name: format!("merchant {id}"),
            kind: MerchantKind::Ordinary,
            opened_at: opened.map(|ago| today.plus(-ago).start().plus_ms(5 * HOUR_MS)),
            categories: Words::default(),
            region: String::new(),
            origin_belt: String::new(),
            fan_count: 0,
            service_provider: None,
            tags: Words::default(),
            prior_identity_violation: false,
            enrolments: enrolled.map(enrolment).into_iter().collect(),
            revision: 0,
        }
    }

    fn rows(&self, cells: &[Cells]) -> Vec<FactRow> {
        let row = |&(merchant, back, counter, value, second): &Cells| {
            let other = (counter + 1) % COUNTERS;
            FactRow {
                subject: Subject::Merchant(MerchantId(merchant)),
                day: self.now.day().plus(-back),
                facts: DayFacts::new(vec![(CounterId(counter), value), (CounterId(other), second)]),
            }
        };
        cells.iter().map(row).collect()
    }

    fn violation(&mut self, merchant: u64, video: Option<u64>, kind: usize, hours_ago: i64) -> Body {
        self.violations += 1;
        let at = self.now.plus_ms(-hours_ago * HOUR_MS);
        let kind = if video.is_some() { "reduce" } else { ["fake", "ban", "fake"][kind] };
        Body::RecordViolation(Violation {
            // Not in the order in which they are recorded.
            id: self.violations * 7 % 64 + 1,
            merchant: MerchantId(merchant),
            kind: kind.to_owned(),
            item: video.map(|id| ItemId { kind: ItemKind::ShortVideo, id }),
            occurred_at: at,
            effective_from: at.plus_ms(2 * HOUR_MS),
            effective_until: (hours_ago % 2 == 0).then(|| at.plus_ms(30 * HOUR_MS)),
            order: None,
            decision: Decision::Applied,
            revoked: false,
        })
    }

    fn close(&mut self, days: i32) {
        let state = &self.machine.state;
        let next = state.meta().facts_day.map_or(self.now.day().plus(-12), |day| day.plus(days));
        self.take(Body::CloseDay { day: next.min(self.now.day().plus(-1)) });
    }

    fn take_back(&mut self, id: MerchantId) {
        let state = &self.machine.state;
        let Some(counter) = state.policy().model.layout.first_sale_counter() else { return };
        let sold = |(day, merchant): &(Day, MerchantId), row: &DayFacts| {
            (*merchant == id && row.get(counter) > Some(0)).then_some(*day)
        };
        let days: Vec<Day> = self.facts.iter().filter_map(|(key, row)| sold(key, row)).collect();
        let open = days.iter().find(|day| **day > state.facts_day());
        let Some(day) = open.or(days.first()).copied() else { return };
        let facts = DayFacts::new(vec![(counter, 0)]);
        self.take(Body::RecordFacts { rows: vec![FactRow { subject: Subject::Merchant(id), day, facts }] });
    }

    fn publish(&mut self, variant: usize) {
        self.take(Body::PublishPolicy(spending_policy(variant).into()));
        let outcome = self.sent.last().map(|(.., applied)| &applied.outcome);
        assert!(!matches!(outcome, Some(Outcome::Rejected(Rejection::BadPolicy { .. }))), "{outcome:?}");
    }

    /// Sends a request again: it answers what it answered first.
    fn again(&mut self, back: usize) {
        let Some(index) = self.sent.len().checked_sub(back + 1) else { return };
        let (at, request, body, first) = self.sent[index].clone();
        let is_transient = first.outcome == Outcome::Rejected(Rejection::TransitionPending);
        if is_transient || self.now >= at.plus_ms(REMEMBERED_MS) {
            return;
        }
        // A report that was refused is not remembered.
        if let (Body::ReportExposures { .. }, Outcome::Rejected(_)) = (&body, &first.outcome) {
            return;
        }
        let repeated = self.machine.apply(self.now, Some(request.clone()), body.clone());
        if let Outcome::Report(_) = first.outcome {
            let outcome = ReportOutcome { is_duplicate: true, ..ReportOutcome::default() };
            assert_eq!(repeated, Applied { revision: first.revision, outcome: Outcome::Report(outcome) });
        } else {
            assert_eq!(repeated, first, "{request:?}");
        }
        let other = RequestKey { payload_hash: 8, ..request };
        let reused = self.machine.apply(self.now, Some(other), body).outcome;
        assert_eq!(reused, Outcome::Rejected(Rejection::RequestIdReused));
    }

    fn spend(&mut self, spending: &Spending) {
        let Some(body) = spending.body(&self.machine, self.now) else { return };
        self.take(body);
        let (.., body, applied) = self.sent.last().expect("sent");
        check_law(&self.machine, body, &applied.outcome);
    }

    /// Lives a step.
    pub(crate) fn step(&mut self, step: Step) {
        let video = |id| ItemId { kind: ItemKind::ShortVideo, id };
        match step {
            Step::Merchant { id, opened, enrolled } => self.take(self.merchant(id, opened, enrolled)),
            Step::Delete(id) => self.take(delete(ProfileKey::Merchant(MerchantId(id)))),
            Step::Video { id, owner } => {
                let merchant = MerchantId(owner);
                let profile =
                    Profile::from(ShortVideo { id, merchant, tags: Words::default(), posted_at: None, revision: 0 });
                let profiles = vec![Upsert { profile, expected_revision: None }];
                self.take(Body::UpsertProfiles { profiles, mask: None });
            }
            Step::DeleteVideo(id) => self.take(delete(ProfileKey::Item(video(id)))),
            Step::Facts(cells) => self.take(Body::RecordFacts { rows: self.rows(&cells) }),
            Step::TakeBack(id) => self.take_back(MerchantId(id)),
            Step::Chunk { sequence_ahead, merchant, rows } => {
                let profiles = vec![Profile::from(self.profile(merchant, Some(9), None))];
                let sequence = self.machine.state.import_progress("import") + sequence_ahead;
                let import_id = "import".to_owned();
                self.take(Body::ImportChunk { import_id, sequence, profiles, rows: self.rows(&rows) });
            }
            Step::Violation { merchant, video, kind, hours_ago } => {
                let body = self.violation(merchant, video, kind, hours_ago);
                self.take(body);
            }
            Step::Revoke { merchant, nth } => {
                let violation_id = nth * 7 % 64 + 1;
                self.take(Body::RevokeViolation { merchant: MerchantId(merchant), violation_id });
            }
            Step::Rights(id) => {
                let rights = vec![HeldRight { right: "x".into(), from: self.now, until: None }];
                self.take(Body::SetRights { merchant: MerchantId(id), rights });
            }
            Step::Close(days) => self.close(days),
            Step::Publish(variant) => self.publish(variant),
            Step::Schedule(variant, hours) => {
                let effective_at = Some(self.now.plus_ms(hours * HOUR_MS));
                let text = spending_policy(variant);
                let publish = PolicyPublish { text, effective_at, ..PolicyPublish::default() };
                self.take(Body::PublishPolicy(publish));
            }
            Step::Rollback(version) => {
                let (author, reason) = (String::new(), String::new());
                self.take(Body::RollbackPolicy { version, expected_revision: None, author, reason });
            }
            Step::KillSwitch(is_on) => {
                self.take(Body::SetKillSwitch { is_on, author: String::new(), reason: String::new() });
            }
            Step::Spend(spending) => self.spend(&spending),
            Step::Tick => drop(self.machine.apply(self.now, None, Body::Tick)),
            Step::Wait(hours) => {
                self.now = self.now.plus_ms(hours * HOUR_MS);
                self.machine.apply(self.now, None, Body::Tick);
            }
            Step::Again(back) => self.again(back),
            Step::ActivateNow => self.activate(),
            Step::Advance(budget) => self.machine.advance(budget),
            Step::Write(stale) => self.machine.write(stale),
            Step::Restart => self.machine.restart(),
        }
        if self.machine.state.transition().is_some_and(trustflow::state::Transition::is_ready) {
            self.activate();
        }
    }

    /// Checks everything at the end.
    pub(crate) fn end(&mut self) {
        self.machine.finish();
        self.activate();
        check(&mut self.machine, &self.facts, "at the end");
        check_stored(&mut self.machine, &self.facts);
        check_ledgers(&self.machine);
    }
}

fn delete(key: ProfileKey) -> Body {
    Body::DeleteProfile { key, expected_revision: None }
}
