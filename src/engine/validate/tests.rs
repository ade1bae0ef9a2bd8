//! Rebuilt scores are those that served; what foretells is found to foretell, and what comes later is not seen. Work that
//! nobody waits for any more ends, here and in simulations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Followed, PredictorKind, Validation, ValidationQuery, as_of, sample_limit};
use crate::clock::SimulatedClock;
use crate::domain::{
    Body, Day, DayFacts, Decision, FactRow, HeldRight, Merchant, MerchantId, MerchantKind, Outcome, Scene, Subject,
    Upsert, Violation, Wanted, Words,
};
use crate::engine::{Engine, ReadError, SimulateError, SimulateQuery, WriterSettings};
use crate::policy::{Policy, embedded};
use crate::store::AuditRetention;
use crate::trust::score;

const FIRST: Day = Day(19_000);

/// Day, merchant, counters.
type Row<'a> = (Day, u64, Vec<(&'a str, u64)>);

/// An engine on simulated time that runs the shipped policy.
struct Bench {
    engine: Engine,
    policy: Arc<Policy>,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(SimulatedClock::new(FIRST.start(), 0.0));
        let settings = WriterSettings { node: 1, log_retain: 1_000, close_days: false, audit: AuditRetention::DEFAULT };
        let engine = Engine::open(folder.path(), clock, settings).expect("starts");
        engine.publish_policy(embedded()).await.expect("published");
        let policy = engine.read(|state| state.policy().clone());
        Self { engine, policy, _folder: folder }
    }

    /// Merchants 1 to `count`; every third opened in the course of the test.
    async fn register(&self, count: u64) {
        let merchant = |id: u64| Merchant {
            id: MerchantId(id),
            name: String::new(),
            kind: MerchantKind::Ordinary,
            opened_at: id.is_multiple_of(3).then(|| FIRST.plus(i32::try_from(id).expect("small")).start()),
            categories: vec![if id.is_multiple_of(7) { "mobile_recharge" } else { "clothing" }.to_owned()].into(),
            region: String::new(),
            origin_belt: String::new(),
            fan_count: 0,
            service_provider: None,
            tags: Words::default(),
            prior_identity_violation: id.is_multiple_of(11),
            enrolments: vec![],
            revision: 0,
        };
        let upsert = |id| Upsert { profile: merchant(id).into(), expected_revision: None };
        let profiles = (1..=count).map(upsert).collect();
        self.write(Body::UpsertProfiles { profiles, mask: None }).await;
    }

    async fn write(&self, body: Body) {
        let outcome = self.engine.write(None, body).await.expect("written").outcome;
        let taken = if let Outcome::Items(items) = &outcome {
            items.iter().all(Result::is_ok)
        } else {
            !matches!(outcome, Outcome::Rejected(_))
        };
        assert!(taken, "{outcome:?}");
    }

    async fn record(&self, rows: Vec<Row<'_>>) {
        let rows = rows.into_iter().map(|(day, merchant, counters)| {
            let cell = |(name, value): (&str, u64)| (self.policy.counter(name).expect(name), value);
            let facts = DayFacts::new(counters.into_iter().map(cell).collect());
            FactRow { subject: Subject::Merchant(MerchantId(merchant)), day, facts }
        });
        self.write(Body::RecordFacts { rows: rows.collect() }).await;
    }

    async fn punish(&self, merchant: u64, kind: &str, day: Day) {
        let violation = Violation {
            id: merchant,
            merchant: MerchantId(merchant),
            kind: kind.to_owned(),
            item: None,
            occurred_at: day.start(),
            effective_from: day.start(),
            effective_until: None,
            order: None,
            decision: Decision::Applied,
            revoked: false,
        };
        self.write(Body::RecordViolation(violation)).await;
    }

    /// Moves to the end of a day.
    async fn end(&self, day: Day) {
        self.engine.advance_clock(None, day.plus(1).start()).await.expect("time moves");
    }

    async fn close(&self, day: Day) {
        self.engine.close_day(None, day).await.expect("closed");
    }

    fn validate(&self, query: &ValidationQuery) -> Validation {
        self.engine.validate(query, &Wanted::to_the_end()).expect("the store can be read")
    }
}

fn query(day: Day) -> ValidationQuery {
    ValidationQuery {
        from: day,
        to: day,
        every_days: 14,
        horizon_days: 30,
        outcome: None,
        seed: 1,
        resamples: 50,
        max_merchants: 1_000,
    }
}

fn below(state: &mut u64, end: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % end
}

#[tokio::test]
async fn rebuilt_scores_are_those_that_served_on_the_day() {
    const COUNT: u64 = 40;
    let bench = Bench::start().await;
    bench.register(COUNT).await;
    let rights = |merchant| {
        let from = FIRST.plus(100).start();
        let held = HeldRight { right: "seven_day_no_reason".to_owned(), from, until: None };
        Body::SetRights { merchant: MerchantId(merchant), rights: vec![held] }
    };
    let names: Vec<String> = bench.policy.counters.iter().map(|counter| counter.name.clone()).collect();
    let days: Vec<Day> = [60, 74, 75, 200, 410, 424].map(|day| FIRST.plus(day)).to_vec();
    let (mut dice, mut before, mut served) = (7, FIRST, Vec::new());
    for (at, day) in days.iter().enumerate() {
        let mut rows = Vec::new();
        for back in (before.0..=day.0).map(Day) {
            for merchant in 1..=COUNT {
                if below(&mut dice, 4) > 0 {
                    continue;
                }
                // Some counters begin late, so that signals are disabled on the first days.
                let known = u64::try_from((names.len() * (at + 1) / days.len()).max(20)).expect("small");
                let pick = |dice: &mut u64| names[usize::try_from(below(dice, known)).expect("small")].as_str();
                let cells = (0..12).map(|_| (pick(&mut dice), below(&mut dice, 50))).collect();
                rows.push((back, merchant, cells));
            }
        }
        bench.end(*day).await;
        bench.record(rows).await;
        before = day.plus(1);
        bench.punish(u64::try_from(at + 1).expect("small"), "counterfeit", *day).await;
        if at == 3 {
            bench.write(rights(5)).await;
        }
        bench.close(*day).await;
        served.push(bench.engine.read(|state| {
            let (policy, mut rows) = (state.policy(), Vec::new());
            let trust =
                |slot| score(&policy.model, &state.view(slot).expect("registered"), state.disabled(), &mut rows);
            (0..u32::try_from(COUNT).expect("small"))
                .map(trust)
                .map(|trust| (trust.score, trust.tier))
                .collect::<Vec<_>>()
        }));
    }
    let members = bench.engine.members(&query(FIRST), 40, &Wanted::to_the_end());
    assert_eq!(members.list.len(), 40);
    let all: Vec<(u32, bool, f64)> = (0..40).map(|member| (member, false, 0.0)).collect();
    let followed = [Followed { outcome: None, days: vec![all; days.len()], averages: vec![0.0; days.len()] }];
    let snapshot = bench.engine.store.snapshot();
    let rebuilt =
        as_of::score_days(&snapshot, &members, &bench.policy, &days, &followed, &Wanted::to_the_end()).expect("read");
    for ((day, served), rebuilt) in days.iter().zip(&served).zip(&rebuilt) {
        for (slot, (trust, tier)) in (0_u32..).zip(served) {
            let found = &rebuilt[&slot];
            assert_eq!((found.trust.to_bits(), found.tier), (trust.to_bits(), *tier), "{day}, slot {slot}");
        }
        assert!(served.iter().any(|(trust, _)| (trust - served[0].0).abs() > 1.0), "they differ");
    }
    bench.engine.shut_down();
}

/// Of 40 merchants the odd ones are late from one day on, the even ones until then.
async fn turncoats(turn: Day, last: Day) -> Bench {
    let bench = Bench::start().await;
    bench.register(40).await;
    let mut rows = Vec::new();
    for day in (FIRST.0..=last.0).map(Day) {
        for merchant in 1..=40 {
            let is_bad = (merchant % 2 == 1) == (day > turn);
            // How many of ten go wrong differs a little, so that ranks are not all tied.
            let late = if is_bad { 4 + merchant % 5 } else { 0 };
            let cells = vec![
                ("paid_orders", 10),
                ("shipments_due", 10),
                ("shipped_on_time", 10 - late),
                ("reviews", 5),
                ("negative_reviews", late / 2),
                ("bad_orders", late),
            ];
            rows.push((day, merchant, cells));
        }
    }
    bench.end(last).await;
    for rows in rows.chunks(4_000) {
        bench.record(rows.to_vec()).await;
    }
    bench.close(last).await;
    bench
}

fn trust(validation: &Validation, outcome: &str) -> f64 {
    let outcome = validation.outcomes.iter().find(|found| found.id == outcome).expect("measured");
    let trust = outcome.predictors.iter().find(|found| found.predictor.kind == PredictorKind::Trust);
    trust.and_then(|found| found.auc).expect("an AUC").value
}

#[tokio::test]
async fn what_is_foretold_is_found_and_what_comes_later_is_not_seen() {
    let turn = FIRST.plus(60);
    let bench = turncoats(turn, turn.plus(80)).await;
    // Ten days before the turn the next ten days are as the ones before; on the turn everything changes.
    let steady = ValidationQuery { horizon_days: 10, ..query(turn.plus(-10)) };
    let steady = bench.validate(&steady);
    let turned = bench.validate(&ValidationQuery { horizon_days: 10, ..query(turn) });
    for outcome in ["bad_orders", "late_handover", "low_reviews"] {
        assert!(trust(&steady, outcome) > 0.999, "{outcome}: {}", trust(&steady, outcome));
        assert!(trust(&turned, outcome) < 0.001, "{outcome}: {}", trust(&turned, outcome));
    }
    let outcome = &steady.outcomes[0];
    assert_eq!((outcome.id.as_str(), outcome.dates[0].merchants, outcome.dates[0].bad), ("bad_orders", 40, 20));
    assert!(
        (outcome.dates[0].average - 0.3).abs() < 1e-12,
        "12 of 40 in every ten pairs: {}",
        outcome.dates[0].average
    );
    let best = &outcome.predictors[outcome.best_single.expect("a best signal")];
    assert!(matches!(best.predictor.kind, PredictorKind::Signal(_)));
    let auc = best.auc.expect("an AUC");
    assert!(auc.low <= auc.value && auc.value <= auc.high && auc.value > 0.999);
    let ahead = best.trust_ahead.expect("a difference");
    assert!(ahead.low <= ahead.value && ahead.value <= ahead.high);
    assert_eq!(outcome.tiers.iter().map(|tier| tier.merchants).sum::<u64>(), 40);
    assert!(outcome.predictors.iter().all(|found| found.predictor.id != "violation_points"), "it says the same of all");
    assert!(steady.outcomes.iter().all(|outcome| outcome.id != "late_delivery"), "nothing was counted for it");
    bench.engine.shut_down();
}

#[tokio::test]
async fn the_same_seed_gives_the_same_answer_and_open_horizons_are_left_out() {
    let turn = FIRST.plus(60);
    let bench = turncoats(turn, turn.plus(40)).await;
    let asked = ValidationQuery { to: turn.plus(28), outcome: Some("bad_orders".to_owned()), ..query(turn) };
    let (one, two) = (bench.validate(&asked), bench.validate(&asked));
    let text = |validation: &Validation| format!("{:?}", validation.outcomes);
    assert_eq!(text(&one), text(&two));
    assert_eq!(one.days, [turn]);
    assert_eq!(one.open_days, [turn.plus(14), turn.plus(28)], "their 30 days are not closed");
    assert_eq!(one.outcomes.len(), 1, "only the one asked for");
    let sampled = bench.validate(&ValidationQuery { max_merchants: 20, ..asked });
    assert!((5..=35).contains(&sampled.sampled) && sampled.registered == 40, "{} of 40", sampled.sampled);
    bench.engine.shut_down();
}

#[tokio::test]
async fn violations_are_an_outcome_of_every_history() {
    let turn = FIRST.plus(60);
    let bench = turncoats(turn, turn.plus(80)).await;
    // The even ones were late before the turn; they are punished after it, one of them too late to count.
    for merchant in (2..=16).step_by(2) {
        bench.punish(merchant, "false_advertising", turn.plus(5)).await;
    }
    bench.punish(18, "false_advertising", turn.plus(31)).await;
    let asked = ValidationQuery { outcome: Some("violations".to_owned()), ..query(turn) };
    let found = bench.validate(&asked);
    let outcome = &found.outcomes[0];
    assert_eq!((outcome.id.as_str(), outcome.dates[0].merchants, outcome.dates[0].bad), ("violations", 40, 8));
    assert!((outcome.dates[0].average - 0.2).abs() < 1e-12);
    // Eight of the twenty late ones: half of those below are ties of the other late ones at worst.
    assert!(trust(&found, "violations") > 0.6, "{}", trust(&found, "violations"));
    bench.engine.shut_down();
}

/// Work that is wanted until it has asked so often; answers what it came to, and how often it asked.
fn until<T>(times: u64, work: impl FnOnce(&Wanted) -> T) -> (T, u64) {
    let asked = Arc::new(AtomicU64::new(0));
    let counted = asked.clone();
    let wanted = Wanted::as_long_as(move || counted.fetch_add(1, Ordering::Relaxed) < times);
    (work(&wanted), asked.load(Ordering::Relaxed))
}

/// Checks that work asks again and again, and comes to no answer whenever it is not wanted any more.
fn ends_early<T>(what: &str, work: impl Fn(&Wanted) -> T, is_answer: impl Fn(&T) -> bool) {
    let (answer, times) = until(u64::MAX, &work);
    assert!(is_answer(&answer) && times >= 10, "{what} asks {times} times");
    for enough in [0, 1, times / 4, times / 2, times * 3 / 4] {
        assert!(!is_answer(&until(enough, &work).0), "{what} ends after it asked {enough} of {times} times");
    }
}

#[tokio::test]
async fn work_that_nobody_waits_for_any_more_ends_in_the_middle() {
    let turn = FIRST.plus(60);
    let bench = turncoats(turn, turn.plus(40)).await;
    bench.register(3_000).await;
    let engine = &bench.engine;
    ends_early("judging", |wanted| engine.judge_while(wanted, &embedded()), Result::is_ok);
    let asked = SimulateQuery { text: embedded(), scene: Scene::Live, movers: 5 };
    let simulate = |wanted: &Wanted| engine.simulate(&asked, wanted).map(drop);
    ends_early("a simulation", simulate, Result::is_ok);
    let ended = until(0, simulate).0;
    assert!(matches!(ended, Err(SimulateError::Read(ReadError::Abandoned))), "{ended:?}");
    let asked = query(turn);
    let validate = |wanted: &Wanted| engine.validate(&asked, wanted).map(drop);
    ends_early("a validation", validate, Result::is_ok);
    assert_eq!(until(0, validate).0, Err(ReadError::Abandoned));
    bench.engine.shut_down();
}

#[test]
fn a_sample_is_as_large_as_asked_for() {
    assert_eq!(sample_limit(100, 100), u64::MAX);
    assert_eq!(sample_limit(100, 200), u64::MAX / 2);
    assert_eq!(sample_limit(1, 1_000_000), u64::MAX / 1_000_000);
}
