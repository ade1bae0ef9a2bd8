//! What control does for a market: guarantees begin, spent programmes stop, who falls behind is listed, leases are there
//! in time.

#[path = "support/market.rs"]
mod market;

use std::time::Duration;

use market::{BANNED, CAPPED, HARD, Market, NOW, PLAIN, PROMISED, SECOND, SUPPORTED, room, score_query, shown};
use trustflow::domain::{
    AccountKey, Body, DAY_MS, ExposureRow, MerchantId, NewGuarantee, ProgrammeChange, Scene, Scope, TargetKind,
    Timestamp,
};
use trustflow::engine::{ControlSettings, ExplainQuery, ProgrammesQuery, UnderservedQuery};
use trustflow::traffic::account_at;

const SETTINGS: ControlSettings = ControlSettings { turn_ms: 5, resolve_ms: 50, report_lag_ms: 0 };

/// Tries until it succeeds: how long that takes depends on what else the machine does.
async fn until(what: &str, mut succeeds: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if succeeds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    unreachable!("never: {what}");
}

fn account(market: &Market, programme: &str, scope: Scope) -> AccountKey {
    market.engine.read(|state| {
        let found = state.policy().programmes.iter().find(|p| p.id == programme).expect("there");
        account_at(found, scope, NOW)
    })
}

#[tokio::test]
async fn after_a_restart_runners_up_are_leased_before_they_are_first() {
    let market = Market::open().await.restart();
    let hard = account(&market, "hard", Scope::Programme);
    let cap = account(&market, "capped", Scope::Cap(MerchantId(CAPPED)));
    let available = |key: &AccountKey| market.engine.node().balance(key).available;
    assert_eq!([available(&hard), available(&cap)], [0, 0]);
    // They come behind the only slot, and are charged nothing.
    let slate = market.slate(&[(PLAIN, 0.9), (HARD, 0.3), (CAPPED, 0.2)], 1, false);
    assert_eq!(shown(&slate), [PLAIN]);
    until("leases of runners-up", || available(&hard) > 0 && available(&cap) > 0).await;
    let slate = market.slate(&[(CAPPED, 0.8)], 1, false);
    assert_eq!(shown(&slate), [CAPPED]);
    let _ = market.leased_slate(&[(HARD, 0.9)], 1, &[HARD]).await;
    // Just before midnight the leases of the next day are fetched.
    market.engine.advance_clock(None, Timestamp(NOW.day().plus(1).start().0 - 5_000)).await.expect("moves");
    let tomorrow = AccountKey { period: NOW.day().plus(1), ..cap };
    assert_eq!(available(&tomorrow), 0);
    let _ = market.slate(&[(PLAIN, 0.9), (CAPPED, 0.2)], 1, false);
    until("leases of the next day", || available(&tomorrow) > 0).await;
    market.engine.shut_down();
}

#[tokio::test]
async fn control_plans_for_what_is_still_to_open() {
    let market = Market::open().await;
    let later = 1_u64 << market.bit("later");
    let masks = || {
        let world = market.engine.hot().world();
        [world.open() & later, world.planned_rules(Scene::Live).open & later]
    };
    assert_eq!(masks(), [0, later]);
    market.engine.advance_clock(None, NOW.day().plus(1).start()).await.expect("moves");
    assert_eq!(masks(), [later, later], "open");
}

#[tokio::test]
async fn an_explanation_says_that_a_programme_is_paused() {
    let market = Market::open().await;
    let (programme, change) = ("support".to_owned(), ProgrammeChange::Pause);
    let (author, reason) = ("test".to_owned(), "test".to_owned());
    market.write(Body::ChangeProgramme { programme, change, expected_revision: None, author, reason }).await;
    let (scene, kind, target_id) = (Scene::Live, TargetKind::LiveRoom, room(SUPPORTED));
    let query = ExplainQuery { scene, kind, target_id, merchant_id: 0, base_score: None };
    let explained = market.engine.explain(&query).expect("explained");
    let text = format!("{:?}", trustflow::wire::explain_response(&query, &explained));
    assert!(text.contains("paused by an operator"), "{text}");
}

#[tokio::test]
async fn who_falls_behind_is_listed_and_who_is_no_candidate_is_not_counted() {
    let market = Market::open().await;
    let price = || {
        let query = ProgrammesQuery::One("support".to_owned());
        market.engine.programmes(&query, false).expect("there").programmes.remove(0).budgets.remove(0).price
    };
    assert_eq!(price(), None, "none was published yet");
    market.engine.start_control(SETTINGS).expect("threads");
    let (bit, merchant) = (market.bit("promise"), MerchantId(PROMISED));
    let guarantees = vec![NewGuarantee { merchant, expected: None }];
    market.write(Body::BeginGuarantees { bit, guarantees }).await;
    let (key, _) = market.engine.read(|state| state.last_guarantee(bit, merchant)).expect("begun");
    let days = |days: f64| Timestamp(NOW.0).plus_ms(whole(days * 86_400_000.0));
    let traffic = || market.slate(&[(PLAIN, 0.9), (SECOND, 0.4)], 1, false);
    let list = || market.engine.underserved(&UnderservedQuery { scene: Scene::Live, skip: 0, limit: 10 }).merchants;
    market.engine.advance_clock(None, days(3.5)).await.expect("moves");
    until("it falls behind", || !traffic().slots.is_empty() && !list().is_empty()).await;
    let found = list().remove(0);
    assert_eq!((found.merchant, found.programme.as_str()), (merchant, "promise"));
    assert_eq!((found.target, found.delivered, found.ends_at), (5, 0, Timestamp(NOW.0 + 7 * DAY_MS)));
    assert!((found.urgency - 2.0).abs() < 1e-6, "{found:?}");
    assert!(price().is_some(), "what steers is shown");
    // Nearly the whole period, and never a candidate.
    market.engine.advance_clock(None, days(6.9)).await.expect("moves");
    let rarely = || market.engine.candidacies(&key).is_some_and(|count| count < 5);
    until("it was no candidate", || !traffic().slots.is_empty() && rarely()).await;
    market.engine.advance_clock(None, days(8.0)).await.expect("moves");
    until("it is listed no more", || list().is_empty()).await;
    let promise = market.engine.programmes(&ProgrammesQuery::One("promise".to_owned()), true).expect("there");
    let coverage = promise.programmes.first().and_then(|status| status.coverage).expect("guarantees");
    assert_eq!((coverage.rarely_candidates, coverage.counted, coverage.running), (1, 0, 0), "{coverage:?}");
    market.engine.shut_down();
}

#[expect(clippy::cast_possible_truncation, reason = "a few days")]
fn whole(ms: f64) -> i64 {
    ms as i64
}

#[tokio::test]
async fn control_begins_guarantees_and_stops_what_is_spent() {
    let market = Market::open().await;
    let settings = ControlSettings { turn_ms: 5, resolve_ms: 50, report_lag_ms: 0 };
    market.engine.start_control(settings).expect("threads");
    let candidates = [(PLAIN, 0.9), (PROMISED, 0.1), (BANNED, 0.8), (SUPPORTED, 0.2)];
    let promised = |state: &trustflow::state::State, merchant| {
        let programme = state.policy().programmes.iter().find(|p| p.id == "promise").expect("there");
        state.last_guarantee(programme.bit, MerchantId(merchant))
    };
    // After it was a candidate often enough, and never to whom is excluded.
    let mut begun = None;
    for _ in 0..2_000 {
        market.slate(&candidates, 1, false);
        begun = market.engine.read(|state| promised(state, PROMISED));
        if begun.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (_, guarantee) = begun.expect("begun");
    assert_eq!((guarantee.target, guarantee.delivered), (5, 0));
    assert!(guarantee.expected.is_some(), "judged by what was seen");
    assert!(market.engine.read(|state| promised(state, BANNED)).is_none());
    // Reported beyond its budget, support stops lifting scores.
    let support = market.bit("support");
    let rows = vec![ExposureRow {
        kind: TargetKind::LiveRoom,
        target: room(SUPPORTED),
        merchant: None,
        scene: Scene::Live,
        policy_version: 1,
        programmes: 1 << support,
        reservations: Vec::new(),
        exposures: 2,
        clicks: 0,
        orders: 0,
        gmv_fen: 0,
        occurred_at: NOW,
    }];
    market.write(Body::ReportExposures { rows }).await;
    let ids = [room(SUPPORTED)];
    for _ in 0..1_000 {
        if market.engine.score(&score_query(&ids, &[])).programmes[0] == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(market.engine.score(&score_query(&ids, &[])).programmes, [0]);
    let page = market.engine.underserved(&UnderservedQuery { scene: Scene::Mall, skip: 0, limit: 10 });
    assert!(page.merchants.is_empty() && page.next.is_none(), "nothing is promised in the mall");
    market.engine.shut_down();
}
