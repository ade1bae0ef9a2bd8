//! Days and instants: what a closed day changes, what time changes by itself, what late facts and moved dates change.

mod common;

use std::collections::BTreeMap;

use common::calls::{count, facts, merchant, score_request, signal};
use common::{Client, NOW, Server, instant, plus, refusal};
use tonic::Code;
use trustflow::proto::{
    BatchUpsertProductsRequest, ExplainScoreRequest, ExplainScoreResponse, HeldRight, Label, Merchant, PolicyFile,
    Product, PublishPolicyRequest, Scene, SignalState, TargetKind,
};

/// The orders of the last 30 days, as a signal counts them.
async fn orders(client: &Client, merchant: u64) -> u64 {
    client.counted(merchant, "complaint_rate_30d", "paid_orders").await
}

fn opened(id: u64, at: &str) -> Merchant {
    Merchant { opened_at: Some(instant(at)), ..merchant(id) }
}

#[tokio::test]
async fn facts_of_an_open_day_count_when_it_closes_at_six_in_the_morning() {
    let server = Server::start_at(NOW).await;
    let client = &server.client;
    client.upsert(vec![merchant(1)]).await;
    client
        .record(vec![facts(1, "2023-02-28", &[("paid_orders", 5)]), facts(1, "2023-03-01", &[("paid_orders", 70)])])
        .await;
    assert_eq!(orders(client, 1).await, 5, "yesterday is closed, today is not");
    client.advance("2023-03-02T05:59:59.999+08:00").await;
    assert_eq!(orders(client, 1).await, 5, "it is over, but not closed");
    assert_eq!(client.status().await.facts_day, "2023-02-28");
    let moved = client.advance("2023-03-02T06:00:00+08:00").await;
    assert_eq!(moved.facts_day, "2023-03-01");
    assert_eq!(orders(client, 1).await, 75);
}

#[tokio::test]
async fn a_pipeline_can_close_a_day_before_six() {
    let server = Server::start_at(NOW).await;
    let client = &server.client;
    client.upsert(vec![merchant(1)]).await;
    client.record(vec![facts(1, "2023-03-01", &[("paid_orders", 70)])]).await;
    refusal(client.close("2023-03-01").await).is_plain(Code::FailedPrecondition, "DAY_NOT_OVER");
    client.advance("2023-03-02T00:00:00+08:00").await;
    let closed = client.close("2023-03-01").await.expect("it is over");
    assert_eq!(orders(client, 1).await, 70);
    assert!(client.status().await.revision >= closed.revision);
    refusal(client.close("2023-03-01").await).is_plain(Code::FailedPrecondition, "DAY_ALREADY_CLOSED");
    refusal(client.close("2023-02-01").await).is_plain(Code::FailedPrecondition, "DAY_ALREADY_CLOSED");
}

#[tokio::test]
async fn days_enter_and_leave_windows_one_by_one() {
    let server = Server::start_at(NOW).await;
    let client = &server.client;
    client.upsert(vec![merchant(1)]).await;
    // 2^k orders on day k: every sum says which days it holds.
    let days: Vec<String> = (0..10).map(|k| plus("2023-02-19", k)).collect();
    let rows =
        days.iter().enumerate().map(|(k, day)| facts(1, day, &[("paid_orders", 1 << k), ("im_sessions", 1 << k)]));
    client.record(rows.collect()).await;
    assert_eq!(orders(client, 1).await, 0b11_1111_1111);
    // 30 days end with 2023-03-21: from 2023-02-20 on.
    for (date, expected) in [
        ("2023-03-21", 0b11_1111_1111),
        ("2023-03-22", 0b11_1111_1110),
        ("2023-03-25", 0b11_1111_0000),
        ("2023-04-01", 0),
    ] {
        client.advance(&format!("{date}T06:00:00+08:00")).await;
        assert_eq!(orders(client, 1).await, expected, "on {date}");
        let explained = client.explain(1).await;
        let window = signal(&explained, "complaint_rate_30d");
        assert_eq!((&window.first_day, &window.last_day), (&plus(date, -30), &plus(date, -1)));
        assert_eq!(count(&explained, "im_reply_timely_7d", "im_sessions"), 0, "a week is over since long");
        assert_eq!(count(&explained, "complaint_rate_365d", "paid_orders"), 0b11_1111_1111, "a year is not");
    }
}

#[tokio::test]
async fn late_facts_into_closed_days_count_at_once_and_resends_correct() {
    let server = Server::start_at(NOW).await;
    let client = &server.client;
    client.upsert(vec![merchant(1)]).await;
    for (date, sent, expected) in [
        ("2023-02-28", 5, 5),
        ("2023-01-30", 7, 12),
        ("2023-01-29", 100, 12),
        ("2023-02-28", 2, 9),
        ("2023-02-28", 0, 7),
    ] {
        client.record(vec![facts(1, date, &[("paid_orders", sent)])]).await;
        assert_eq!(orders(client, 1).await, expected, "{sent} on {date}");
    }
    assert_eq!(client.counted(1, "complaint_rate_365d", "paid_orders").await, 107);
}

#[tokio::test]
async fn of_a_level_the_latest_closed_day_counts() {
    let server = Server::start_at(NOW).await;
    let client = &server.client;
    client.upsert(vec![merchant(1)]).await;
    let level = async || client.counted(1, "price_index", "price_index").await;
    for (date, sent, expected) in [
        ("2023-02-10", 9_000, 9_000),
        ("2023-02-20", 8_000, 8_000),
        ("2023-02-15", 1, 8_000),
        ("2023-02-20", 8_500, 8_500),
        ("2023-03-01", 7_000, 8_500),
    ] {
        client.record(vec![facts(1, date, &[("price_index", sent)])]).await;
        assert_eq!(level().await, expected, "{sent} of {date}");
    }
    client.advance("2023-03-02T06:00:00+08:00").await;
    assert_eq!(level().await, 7_000, "the open day closed");
    client.advance("2023-07-01T06:00:00+08:00").await;
    assert_eq!(level().await, 7_000, "a level does not age");
}

#[tokio::test]
async fn a_natural_week_counts_once_its_sunday_is_closed() {
    // Saturday 2023-03-04.
    let server = Server::start_at("2023-03-04T07:00:00+08:00").await;
    let client = &server.client;
    client.upsert(vec![merchant(1)]).await;
    let days = ["2023-02-20", "2023-02-26", "2023-02-27", "2023-03-05"];
    let rows = days.iter().enumerate().map(|(k, day)| facts(1, day, &[("shipments_due", 1 << k)]));
    client.record(rows.collect()).await;
    let week = async |at: &str| {
        client.advance(at).await;
        let explained = client.explain(1).await;
        let signal = signal(&explained, "timely_shipping_week");
        (signal.counters.iter().find(|c| c.name == "shipments_due").expect("counted").value, signal.first_day.clone())
    };
    assert_eq!(week("2023-03-05T07:00:00+08:00").await, (0b0011, "2023-02-20".to_owned()), "Sunday: last week");
    assert_eq!(week("2023-03-06T05:59:59+08:00").await, (0b0011, "2023-02-20".to_owned()), "Monday before six");
    assert_eq!(week("2023-03-06T06:00:00+08:00").await, (0b1100, "2023-02-27".to_owned()), "Sunday is closed");
    assert_eq!(week("2023-03-12T07:00:00+08:00").await, (0b1100, "2023-02-27".to_owned()), "all week long");
}

#[tokio::test]
async fn windows_from_the_opening_move_with_its_date() {
    let server = Server::start_at(NOW).await;
    let client = &server.client;
    let opening = |date: &str| opened(1, &format!("{date}T10:00:00+08:00"));
    client.upsert(vec![opening("2023-01-10")]).await;
    let days = ["2023-01-09", "2023-01-10", "2023-02-08", "2023-02-09", "2023-02-28"];
    let rows = days.iter().enumerate().map(|(k, day)| facts(1, day, &[("reviews", 1 << k)]));
    client.record(rows.collect()).await;
    let reviews = async || client.counted(1, "first_month_negative_reviews", "reviews").await;
    assert_eq!(reviews().await, 0b0_0110, "30 days from 10 January end with 8 February");
    for (date, expected) in
        [("2023-01-09", 0b0_0011), ("2023-02-01", 0b1_1100), ("2023-03-01", 0), ("2023-01-10", 0b0_0110)]
    {
        client.upsert(vec![opening(date)]).await;
        assert_eq!(reviews().await, expected, "opened on {date}");
    }
    client.upsert(vec![Merchant { opened_at: None, ..merchant(1) }]).await;
    assert_eq!(reviews().await, 0, "without an opening there is no window");
}

#[tokio::test]
async fn windows_from_the_first_sale_follow_its_correction() {
    let server = Server::start_at(NOW).await;
    let client = &server.client;
    client.upsert(vec![merchant(1)]).await;
    let days = ["2023-01-05", "2023-01-10", "2023-02-05", "2023-02-20", "2023-02-28"];
    let rows = days.iter().enumerate().map(|(k, day)| facts(1, day, &[("shipments_due", 1 << k)]));
    client.record(rows.collect()).await;
    let due = async || client.counted(1, "first_month_timely_shipping", "shipments_due").await;
    let sold = async |date: &str, orders| client.record(vec![facts(1, date, &[("paid_orders", orders)])]).await;
    assert_eq!(due().await, 0, "nothing sold yet");
    sold("2023-02-05", 1).await;
    assert_eq!(due().await, 0b1_1100);
    sold("2023-01-10", 2).await;
    assert_eq!(due().await, 0b0_0110, "an earlier sale came late: 10 January to 8 February");
    sold("2023-01-10", 0).await;
    assert_eq!(due().await, 0b1_1100, "it was a mistake: the next sale is the first");
    sold("2023-02-05", 0).await;
    assert_eq!(due().await, 0, "and so was that one");
    sold("2023-03-01", 3).await;
    client.record(vec![facts(1, "2023-03-01", &[("shipments_due", 64)])]).await;
    assert_eq!(due().await, 0, "a sale of an open day");
    client.advance("2023-03-02T06:00:00+08:00").await;
    assert_eq!(due().await, 64);
}

/// Counters, state and value of every signal.
fn figures(explained: &ExplainScoreResponse) -> BTreeMap<String, (i32, u64, BTreeMap<String, u64>)> {
    let trust = explained.trust.as_ref().expect("registered");
    let signals = trust.layers.iter().flat_map(|layer| &layer.signals);
    signals
        .map(|s| {
            let counters = s.counters.iter().map(|c| (format!("{} {}", s.first_day, c.name), c.value));
            (s.id.clone(), (s.state, s.value.to_bits(), counters.collect()))
        })
        .collect()
}

#[tokio::test]
async fn many_days_at_once_equal_day_by_day() {
    let (steps, leap) = (Server::start_at(NOW).await, Server::start_at(NOW).await);
    for server in [&steps, &leap] {
        let client = &server.client;
        client
            .upsert(vec![opened(1, "2023-02-20T00:00:00+08:00"), opened(2, "2022-03-05T00:00:00+08:00"), merchant(3)])
            .await;
        let names = [
            "paid_orders",
            "gmv_fen",
            "reviews",
            "negative_reviews",
            "shipments_due",
            "shipped_on_time",
            "price_index",
            "im_sessions",
        ];
        for id in 1..=3_u64 {
            // From four hundred days back to tomorrow.
            let rows = (0..100_u64).map(|k| {
                let date = plus("2023-03-02", -4 * i32::try_from(k).expect("small"));
                let counters: Vec<_> =
                    (0..).zip(names).map(|(at, name)| (name, (k * 31 + id * 17 + at * 7) % 97)).collect();
                facts(id, &date, &counters)
            });
            client.record(rows.collect()).await;
        }
    }
    for day in 2..=40 {
        steps.client.advance(&format!("{}T06:00:00+08:00", plus("2023-03-01", day - 1))).await;
    }
    let end = format!("{}T06:00:00+08:00", plus("2023-03-01", 39));
    let moved = leap.client.advance(&end).await;
    assert_eq!(moved.facts_day, steps.client.status().await.facts_day);
    for id in 1..=3 {
        let (stepped, leapt) = (steps.client.explain(id).await, leap.client.explain(id).await);
        assert_eq!(figures(&stepped), figures(&leapt), "merchant {id}");
        assert_eq!(stepped.row, leapt.row, "merchant {id}");
    }
    let leap = leap.restart().await;
    for id in 1..=3 {
        assert_eq!(
            figures(&steps.client.explain(id).await),
            figures(&leap.client.explain(id).await),
            "after a restart"
        );
    }
}

#[tokio::test]
async fn a_counter_sent_for_nobody_disables_its_signals_at_a_close() {
    let server = Server::start_at(NOW).await;
    let client = &server.client;
    client.upsert(vec![merchant(1), merchant(2)]).await;
    assert!(client.status().await.disabled_signals.is_empty(), "in an empty market nothing was withheld");
    client.record(vec![facts(1, "2023-02-28", &[("paid_orders", 5), ("complaints", 0)])]).await;
    assert!(client.status().await.disabled_signals.is_empty(), "it is decided when a day closes");
    let disabled = async |at: &str| {
        client.advance(at).await;
        let list = client.status().await.disabled_signals;
        let explained = client.explain(2).await;
        for id in &list {
            assert_eq!(signal(&explained, id).state(), SignalState::Disabled, "{id}");
            assert_eq!(signal(&explained, id).effective_weight.to_bits(), 0);
        }
        list
    };
    let first = disabled("2023-03-02T06:00:00+08:00").await;
    let is_off = |list: &[String], id: &str| list.iter().any(|signal| signal == id);
    assert!(is_off(&first, "negative_review_rate_30d") && is_off(&first, "price_index"));
    assert!(!is_off(&first, "complaint_rate_30d") && !is_off(&first, "violation_points"));
    client.record(vec![facts(1, "2023-02-28", &[("reviews", 3), ("negative_reviews", 1)])]).await;
    assert!(is_off(&client.status().await.disabled_signals, "negative_review_rate_30d"), "until the next close");
    let second = disabled("2023-03-03T06:00:00+08:00").await;
    assert!(!is_off(&second, "negative_review_rate_30d") && is_off(&second, "price_index"));
    let state = signal(&client.explain(2).await, "negative_review_rate_30d").state();
    assert_eq!(state, SignalState::NoData, "back for everybody");
    let server = server.restart().await;
    assert_eq!(server.client.status().await.disabled_signals, second);
}

#[tokio::test]
async fn membership_ends_by_itself() {
    let server = Server::start_at("2023-03-01T12:00:00+08:00").await;
    let client = &server.client;
    client.upsert(vec![opened(1, "2023-03-01T09:00:00+08:00"), merchant(2)]).await;
    let is_new = async |at: &str| {
        client.advance(at).await;
        let scores = client.score(Scene::Live, TargetKind::Merchant, &[1, 2]).await;
        let lift = scores.boost_weights[0] / scores.boost_weights[1];
        (scores.labels[0] & Label::NewMerchant as u32 != 0, (lift * 10.0).round() / 10.0)
    };
    assert_eq!(is_new("2023-03-01T12:00:00+08:00").await, (true, 2.5));
    assert_eq!(is_new("2023-03-07T23:59:59.999+08:00").await, (true, 2.5), "the first week");
    assert_eq!(is_new("2023-03-08T00:00:00+08:00").await, (true, 2.0), "less from the second on");
    assert_eq!(is_new("2023-03-31T00:00:00+08:00").await, (true, 1.4));
    assert_eq!(is_new("2023-05-29T23:59:59.999+08:00").await, (true, 1.4));
    assert_eq!(is_new("2023-05-30T00:00:00+08:00").await, (false, 1.0), "after 90 days");
}

#[tokio::test]
async fn rights_begin_and_end_at_the_instant() {
    let server = Server::start_at("2023-03-01T07:00:00+08:00").await;
    let client = &server.client;
    client.upsert(vec![merchant(1)]).await;
    let right = HeldRight {
        right: "seven_day_no_reason".to_owned(),
        from: Some(instant("2023-03-01T08:00:00+08:00")),
        until: Some(instant("2023-03-01T09:30:00+08:00")),
    };
    client.grant(1, vec![right]).await;
    let held = async |time: &str| {
        client.advance(&format!("2023-03-01T{time}+08:00")).await;
        let explained = client.explain(1).await;
        let held = explained.rights.iter().find(|r| r.id == "seven_day_no_reason").expect("a right").held;
        let scored = client.score(Scene::Live, TargetKind::Merchant, &[1]).await.consumer_rights_scores[0];
        let shown = explained.row.as_ref().expect("a row").consumer_rights_score;
        assert_eq!(scored.to_bits(), shown.to_bits(), "at {time}: Score follows without a write");
        (held, signal(&explained, "rights_coverage").numerator)
    };
    let steps = [("07:59:59.999", false), ("08:00:00", true), ("09:29:59.999", true), ("09:30:00", false)];
    for (time, expected) in steps {
        let (holds, numerator) = held(time).await;
        assert_eq!((holds, numerator > 0.0), (expected, expected), "at {time}");
    }
}

/// While a day closes, two merchants with equal facts have equal scores in every answer: each is from one world.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn every_answer_is_from_one_day() {
    const TWINS: u64 = 400;
    let server = Server::start_at(NOW).await;
    let client = &server.client;
    client.upsert((1..=TWINS).map(merchant).collect()).await;
    let row = |id, date: &str, late| {
        facts(id, date, &[("shipments_due", 50), ("shipped_on_time", late), ("paid_orders", 50)])
    };
    for day in 0..8_u64 {
        let date = plus("2023-03-01", i32::try_from(day).expect("small"));
        client.advance(&format!("{date}T07:00:00+08:00")).await;
        client.record((1..=TWINS).map(|id| row(id, &date, 50 - day * 5)).collect()).await;
    }
    let ids: Vec<u64> = (1..=TWINS).collect();
    let mut seen = std::collections::BTreeSet::new();
    let closing = {
        let client = client.clone();
        tokio::spawn(async move {
            for day in 8..12 {
                client.advance(&format!("{}T06:00:00+08:00", plus("2023-03-01", day))).await;
            }
        })
    };
    while !closing.is_finished() {
        let scores = client.score_with(score_request(Scene::Live, TargetKind::Merchant, &ids)).await;
        let first = scores.trust_scores[0].to_bits();
        assert!(scores.trust_scores.iter().all(|score| score.to_bits() == first), "two days in one answer");
        seen.insert(first);
    }
    closing.await.expect("closed");
    assert!(!seen.is_empty());
}

#[tokio::test]
async fn an_items_days_count_on_under_a_policy_that_came_later() {
    let server = Server::start().await;
    let client = &server.client;
    let shipped =
        || trustflow::policy::embedded().files.into_iter().map(|(path, content)| PolicyFile { path, content });
    let publish = async |files| {
        let request = PublishPolicyRequest { files, ..PublishPolicyRequest::default() };
        client.policies.clone().publish_policy(request).await.expect("published");
    };
    publish(shipped().filter(|file| !file.path.ends_with("new_product_super.toml")).map(unmodified).collect()).await;
    client.upsert(vec![merchant(1)]).await;
    let listed_at = instant(&format!("{}T12:00:00+08:00", plus("2023-03-01", -29)));
    let products = vec![Product { product_id: 2, merchant_id: 1, listed_at: Some(listed_at), ..Product::default() }];
    let request = BatchUpsertProductsRequest { products, ..BatchUpsertProductsRequest::default() };
    client.profiles.clone().batch_upsert_products(request).await.expect("a product");
    publish(shipped().collect()).await;
    let taken = async || {
        let request = ExplainScoreRequest {
            scene: Scene::Mall.into(),
            target_kind: TargetKind::Product.into(),
            target_id: 2,
            ..ExplainScoreRequest::default()
        };
        let explained = client.explain_with(request).await;
        let programme = explained.programmes.into_iter().find(|p| p.id == "new_product_super").expect("it is there");
        programme.item_conditions.iter().all(|condition| condition.holds)
    };
    let charged = async || client.score(Scene::Mall, TargetKind::Product, &[2]).await.programmes[0];
    assert!(taken().await, "29 days since it was listed");
    let before = charged().await;
    assert_ne!(before, 0);
    // Midnight, long before the day is closed at six.
    client.advance("2023-03-02T00:00:00+08:00").await;
    assert!(!taken().await, "30 days are too many");
    assert_ne!(charged().await, before, "the class of the product followed");
}

/// The mall's launch names every programme it doubles.
fn unmodified(file: PolicyFile) -> PolicyFile {
    PolicyFile { content: file.content.replace("\"new_product_super\", ", ""), ..file }
}
