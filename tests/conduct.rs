//! Violations: what each type does to each kind of target, when it begins and ends, and what exempts from it.
#![allow(clippy::indexing_slicing, reason = "a wrong index fails the test, as it should")]

mod common;

use common::calls::{KINDS, facts, items_of, merchant, signal, target_of, violation};
use common::{Client, Server, instant, plus, refusal};
use tonic::Code;
use trustflow::proto::{
    ExplainScoreResponse, Label, OrderContext, RecordViolationRequest, Scene, TargetKind, ViolationDecision,
};

const EXCLUDED: u32 = Label::Excluded as u32 | Label::Penalised as u32;
const PENALISED: u32 = Label::Penalised as u32;

/// Weights and labels of a merchant's targets, in the order room, product, merchant, video.
async fn effect(client: &Client, merchant: u64) -> Vec<(f32, u32)> {
    let mut found = Vec::new();
    for kind in KINDS {
        let scores = client.score(Scene::Live, kind, &[target_of(kind, merchant)]).await;
        found.push((scores.boost_weights[0], scores.labels[0]));
    }
    found
}

/// Factors of `now` against `before`, rounded to two digits.
fn factors(before: &[(f32, u32)], now: &[(f32, u32)]) -> Vec<f32> {
    before.iter().zip(now).map(|((before, _), (now, _))| (now / before * 100.0).round() / 100.0).collect()
}

#[tokio::test]
async fn each_type_acts_on_its_kinds_of_targets() {
    let server = Server::start().await;
    let client = &server.client;
    // Type; excluded or lowered room, product, merchant, video. Points lower the score a little besides.
    let cases = [
        ("ban", [0.0, 0.0, 0.0, 0.0]),
        ("delist_all", [1.0, 0.0, 1.0, 1.0]),
        ("suspend_cart", [0.0, 1.0, 1.0, 0.0]),
        ("mute", [1.0, 1.0, 1.0, 1.0]),
        ("overtime_unshipped", [0.8, 0.8, 0.8, 0.8]),
        ("counterfeit", [0.3, 0.3, 0.3, 0.3]),
        ("false_advertising", [0.6, 0.8, 0.7, 0.6]),
    ];
    for (id, (kind, expected)) in (1..).zip(cases) {
        client.register(merchant(id)).await;
        let before = effect(client, id).await;
        client.punish(violation(id, id, kind)).await;
        let now = effect(client, id).await;
        for (at, factor) in factors(&before, &now).into_iter().enumerate() {
            let (wanted, labels) = (expected[at], now[at].1);
            assert!((factor - wanted).abs() < 0.06, "{kind} on {:?}: {factor}, not {wanted}", KINDS[at]);
            let label = if wanted < 0.01 {
                EXCLUDED
            } else if wanted < 1.0 {
                PENALISED
            } else {
                0
            };
            assert_eq!(labels, label, "{kind} on {:?}", KINDS[at]);
        }
        let trust = client.score(Scene::Live, TargetKind::Merchant, &[id]).await.trust_scores[0];
        assert_eq!(trust.to_bits() == 0, kind == "ban", "only a ban closes the gate: {kind} leaves {trust}");
        client.revoke(id, id).await;
        assert_eq!(effect(client, id).await, before, "revoking {kind} restores everything");
    }
}

#[tokio::test]
async fn reducing_a_short_video_touches_only_that_video() {
    let server = Server::start().await;
    let client = &server.client;
    client.register(merchant(1)).await;
    client.register(merchant(2)).await;
    let before = effect(client, 1).await;
    let request = RecordViolationRequest {
        target_kind: TargetKind::ShortVideo.into(),
        target_id: items_of(1).2,
        ..violation(1, 1, "reduce_short_video")
    };
    client.punish(request).await;
    let now = effect(client, 1).await;
    let [room, product, own, video] = factors(&before, &now)[..] else { unreachable!("four kinds") };
    assert!([room, product, own].iter().all(|factor| *factor > 0.97), "{now:?}");
    assert!((video - 0.2).abs() < 0.02, "{video}");
    assert_eq!(now.iter().map(|row| row.1).collect::<Vec<_>>(), [0, 0, 0, PENALISED]);
    client.revoke(1, 1).await;
    assert_eq!(effect(client, 1).await, before);
}

#[tokio::test]
async fn a_violation_begins_and_ends_by_itself() {
    let server = Server::start_at("2023-03-01T07:00:00+08:00").await;
    let client = &server.client;
    client.register(merchant(1)).await;
    let request = RecordViolationRequest {
        effective_from: Some(instant("2023-03-01T09:00:00+08:00")),
        effective_until: Some(instant("2023-03-01T10:30:00+08:00")),
        ..violation(1, 1, "suspend_cart")
    };
    client.punish(request).await;
    let room = items_of(1).0;
    let mut seen = Vec::new();
    let times = ["07:00:00", "08:59:59.999", "09:00:00", "10:29:59.999", "10:30:00"];
    for time in times {
        client.advance(&format!("2023-03-01T{time}+08:00")).await;
        let weight = client.weight(TargetKind::LiveRoom, room).await;
        let status = client.explain(1).await.violations[0].status.clone();
        seen.push((weight > 0.0, status));
    }
    let expected = [(true, "pending"), (true, "pending"), (false, "active"), (false, "active"), (true, "ended")];
    assert_eq!(seen, expected.map(|(serves, status)| (serves, status.to_owned())));
}

#[tokio::test]
async fn the_default_length_of_a_type_ends_it_to_the_millisecond() {
    let server = Server::start_at("2023-03-01T07:00:00+08:00").await;
    let client = &server.client;
    client.register(merchant(1)).await;
    client.punish(violation(1, 1, "delist_all")).await;
    let product = items_of(1).1;
    client.advance("2023-03-08T06:59:59.999+08:00").await;
    assert_eq!(client.weight(TargetKind::Product, product).await.to_bits(), 0);
    client.advance("2023-03-08T07:00:00+08:00").await;
    assert!(client.weight(TargetKind::Product, product).await > 0.0, "seven days are over");
}

#[tokio::test]
async fn what_was_sent_first_counts_and_what_is_not_there_cannot_be_revoked() {
    let server = Server::start().await;
    let client = &server.client;
    client.register(merchant(1)).await;
    client.punish(violation(1, 1, "mute")).await;
    let mut profiles = client.profiles.clone();
    let again = profiles.record_violation(violation(1, 1, "ban")).await;
    refusal(again).is_plain(Code::AlreadyExists, "VIOLATION_EXISTS");
    assert!(client.weight(TargetKind::Merchant, 1).await > 0.0, "the ban was not taken");
    for (id, merchant) in [(2, 1), (1, 2)] {
        let request =
            trustflow::proto::RevokeViolationRequest { violation_id: id, merchant_id: merchant, ..Default::default() };
        refusal(profiles.revoke_violation(request).await).is_plain(Code::NotFound, "NOT_REGISTERED");
    }
    refusal(profiles.record_violation(violation(5, 99, "ban")).await).is_plain(Code::NotFound, "NOT_REGISTERED");
}

fn late(id: u64, occurred_at: &str, order: Option<(&str, &str, bool)>) -> RecordViolationRequest {
    let order = order.map(|(sender, recipient, is_virtual)| OrderContext {
        sender_region: sender.to_owned(),
        recipient_region: recipient.to_owned(),
        r#virtual: is_virtual,
    });
    RecordViolationRequest { occurred_at: Some(instant(occurred_at)), order, ..violation(id, 1, "overtime_unshipped") }
}

#[tokio::test]
async fn force_majeure_exempts_orders_from_and_to_its_regions_in_its_days() {
    let server = Server::start_at("2022-06-15T07:00:00+08:00").await;
    let client = &server.client;
    client.register(merchant(1)).await;
    let before = effect(client, 1).await;
    // Shenzhen: 14 to 20 March 2022.
    let cases = [
        (Some(("shenzhen", "beijing", false)), "2022-03-15T12:00:00+08:00", true, "the sender is there"),
        (Some(("beijing", "shenzhen", false)), "2022-03-15T12:00:00+08:00", true, "the recipient is there"),
        (Some(("shenzhen", "shenzhen", true)), "2022-03-15T12:00:00+08:00", false, "virtual goods need no road"),
        (Some(("beijing", "chengdu", false)), "2022-03-15T12:00:00+08:00", false, "neither is there"),
        (Some(("shenzhen", "beijing", false)), "2022-03-13T23:59:59.999+08:00", false, "the day before"),
        (Some(("shenzhen", "beijing", false)), "2022-03-14T00:00:00+08:00", true, "its first instant"),
        (Some(("shenzhen", "beijing", false)), "2022-03-20T23:59:59.999+08:00", true, "its last instant"),
        (Some(("shenzhen", "beijing", false)), "2022-03-21T00:00:00+08:00", false, "the day after"),
        (None, "2022-03-15T12:00:00+08:00", false, "without an order nothing is known"),
    ];
    for (id, (order, occurred_at, exempt, why)) in (1..).zip(cases) {
        let decision = client.punish(late(id, occurred_at, order)).await.decision();
        let wanted = if exempt { ViolationDecision::Exempt } else { ViolationDecision::Applied };
        assert_eq!(decision, wanted, "{why}");
        if exempt {
            assert_eq!(effect(client, 1).await, before, "{why}: no penalty and no points");
        } else {
            assert_eq!(effect(client, 1).await[0].1, PENALISED, "{why}");
            client.revoke(id, 1).await;
        }
    }
    let ban = RecordViolationRequest { r#type: "ban".to_owned(), ..late(50, "2022-03-15T12:00:00+08:00", cases[0].0) };
    assert_eq!(client.punish(ban).await.decision(), ViolationDecision::Applied, "it excuses lateness, nothing else");
}

/// A server on Wednesday 2023-02-15 whose merchant 1 has these sums in the week before, spread over Monday and Sunday.
async fn week(paid: u64, promised: u64, due: u64, on_time: u64) -> Server {
    let server = Server::start_at("2023-02-15T07:00:00+08:00").await;
    server.client.register(merchant(1)).await;
    feed(&server.client, "2023-02-06", [paid, promised, due, on_time]).await;
    server
}

/// Writes the sums of the week that begins on `monday`: part of them on Monday, the rest on Sunday.
async fn feed(client: &Client, monday: &str, sums: [u64; 4]) {
    let names = ["paid_orders", "promised_orders", "shipments_due", "shipped_on_time"];
    let part =
        |share: fn(u64) -> u64| names.iter().zip(sums).map(|(name, sum)| (*name, share(sum))).collect::<Vec<_>>();
    let rows = vec![facts(1, monday, &part(|sum| sum / 3)), facts(1, &plus(monday, 6), &part(|sum| sum - sum / 3))];
    client.record(rows).await;
}

const TUESDAY: &str = "2023-02-14T12:00:00+08:00";

#[tokio::test]
async fn the_waiver_has_exact_bounds() {
    // Paid, promised, due, on time in the week before.
    let cases = [
        ([3_001, 3_001, 100, 97], true, "3001 is above 3000, 97 % is at least 97 %"),
        ([3_000, 3_000, 100, 100], false, "3000 is not above 3000"),
        ([10_000, 7_000, 100, 100], false, "70 % is not above 70 %"),
        ([10_000, 7_001, 100, 100], true, "70.01 % is"),
        ([10_000, 10_000, 10_000, 9_699], false, "96.99 % is below 97 %"),
        ([10_000, 10_000, 10_000, 9_700], true, "97 % is enough"),
        ([10_000, 10_000, 0, 0], false, "nothing due, nothing timely"),
    ];
    for ([paid, promised, due, on_time], earned, why) in cases {
        let server = week(paid, promised, due, on_time).await;
        let client = &server.client;
        let before = effect(client, 1).await;
        let waiver = client.explain(1).await.waiver.expect("a waiver");
        assert_eq!(waiver.week, "2023-02-13");
        assert_eq!(
            [waiver.paid_orders, waiver.promised_orders, waiver.shipments_due, waiver.shipped_on_time],
            [paid, promised, due, on_time]
        );
        assert_eq!(waiver.earned, earned, "{why}: {:?}", waiver.conditions);
        let decision = client.punish(late(1, TUESDAY, None)).await.decision();
        let wanted = if earned { ViolationDecision::Waived } else { ViolationDecision::Applied };
        assert_eq!(decision, wanted, "{why}");
        let now = effect(client, 1).await;
        if earned {
            assert_eq!(now, before, "{why}: no penalty at all");
            let explained = client.explain(1).await;
            assert_eq!(explained.waiver.expect("a waiver").used_by_violation_id, 1);
            assert_eq!(explained.violations[0].status, "waived");
            assert!(explained.violations[0].points.abs() < f64::EPSILON, "no points either");
        } else {
            assert!((factors(&before, &now)[0] - 0.8).abs() < 0.02, "{why}");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_violation_belongs_to_the_week_it_occurred_in() {
    let server = week(5_000, 5_000, 100, 100).await;
    let client = &server.client;
    let decided = async |id: u64, at: &str| client.punish(late(id, at, None)).await.decision();
    let sunday = decided(1, "2023-02-12T23:59:59.999+08:00").await;
    assert_eq!(sunday, ViolationDecision::Applied, "the week before that Sunday's had no orders");
    let monday = decided(2, "2023-02-13T00:00:00+08:00").await;
    assert_eq!(monday, ViolationDecision::Waived, "a millisecond later is another week");
}

#[tokio::test]
async fn one_waiver_a_week_and_revoking_returns_it() {
    let server = week(5_000, 5_000, 100, 100).await;
    let client = &server.client;
    let decided = async |id: u64| client.punish(late(id, TUESDAY, None)).await.decision();
    assert_eq!(decided(1).await, ViolationDecision::Waived);
    assert_eq!(decided(2).await, ViolationDecision::Applied, "it is used up");
    client.revoke(2, 1).await;
    assert_eq!(decided(3).await, ViolationDecision::Applied, "revoking another one returns nothing");
    client.revoke(1, 1).await;
    assert_eq!(client.explain(1).await.waiver.expect("a waiver").used_by_violation_id, 0);
    assert_eq!(decided(4).await, ViolationDecision::Waived, "revoking the one that used it returns it");
    assert_eq!(decided(5).await, ViolationDecision::Applied);
}

#[tokio::test]
async fn an_unused_waiver_is_void_at_the_weeks_end() {
    let server = week(5_000, 5_000, 100, 100).await;
    let client = &server.client;
    client.advance("2023-02-20T07:00:00+08:00").await;
    let waiver = client.explain(1).await.waiver.expect("a waiver");
    assert_eq!((waiver.week.as_str(), waiver.earned), ("2023-02-20", false), "the new week's waiver is not earned");
    let new = client.punish(late(1, "2023-02-20T00:00:00+08:00", None)).await;
    assert_eq!(new.decision(), ViolationDecision::Applied);
    // What occurred in the week itself but is recorded later still finds that week's waiver.
    let old = client.punish(late(2, TUESDAY, None)).await;
    assert_eq!(old.decision(), ViolationDecision::Waived);
}

#[tokio::test]
async fn a_decision_is_final_when_facts_change_later() {
    let server = week(5_000, 5_000, 100, 100).await;
    let client = &server.client;
    assert_eq!(client.punish(late(1, TUESDAY, None)).await.decision(), ViolationDecision::Waived);
    feed(client, "2023-02-06", [5, 5, 100, 1]).await;
    let status = |explained: ExplainScoreResponse| explained.violations[0].status.clone();
    assert_eq!(status(client.explain(1).await), "waived", "facts took the ground away, the decision stands");
    client.advance("2023-02-17T07:00:00+08:00").await;
    assert_eq!(status(client.explain(1).await), "waived");

    let other = week(5, 5, 100, 1).await;
    let client = &other.client;
    assert_eq!(client.punish(late(1, TUESDAY, None)).await.decision(), ViolationDecision::Applied);
    feed(client, "2023-02-06", [5_000, 5_000, 100, 100]).await;
    assert_eq!(status(client.explain(1).await), "active", "better facts come too late for it");
    assert_eq!(client.punish(late(2, TUESDAY, None)).await.decision(), ViolationDecision::Waived, "not for the next");
}

#[tokio::test]
async fn points_decay_with_closed_days_and_lower_the_score() {
    let server = Server::start_at("2023-03-01T07:00:00+08:00").await;
    let client = &server.client;
    client.upsert(vec![merchant(1), merchant(2)]).await;
    client.punish(violation(1, 1, "overtime_unshipped")).await;
    let points = async |at: &str| {
        client.advance(at).await;
        let explained = client.explain(1).await;
        (explained.violations[0].points, signal(&explained, "violation_points").numerator)
    };
    for (at, expected) in
        [("2023-03-01T08:00:00+08:00", 3.0), ("2023-04-16T07:00:00+08:00", 1.5), ("2023-05-31T07:00:00+08:00", 0.0)]
    {
        let (of_violation, of_signal) = points(at).await;
        assert!((of_violation - expected).abs() < 1e-9 && (of_signal - expected).abs() < 1e-9, "{at}: {of_violation}");
    }
    let scores = client.score(Scene::Live, TargetKind::Merchant, &[1, 2]).await.trust_scores;
    assert_eq!(scores[0].to_bits(), scores[1].to_bits(), "gone after 90 days");
}
