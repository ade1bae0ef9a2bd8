//! Writes: repeated, conflicting, partial, paged, waited for, imported in pieces.

mod common;

use common::calls::{facts, merchant, score_request, signal, target_of, violation};
use common::{Client, NOW, Server, codes, day_number, instant, item_refusal, refusal};
use prost_types::FieldMask;
use std::time::Duration;
use tonic::{Code, Request};
use trustflow::proto::{
    BatchUpsertMerchantsRequest, CloseDayRequest, DayFacts, DeleteMerchantRequest, FactColumns,
    GetImportProgressRequest, GetMerchantRequest, ImportRequest, ListFactsRequest, ListMerchantsRequest, Merchant,
    RecordFactsRequest, RecordViolationRequest, RevokeViolationRequest, Scene, ScoreRequest, SetRightsRequest,
    TargetKind, ViolationDecision,
};

async fn get(client: &Client, merchant_id: u64) -> Merchant {
    let request = GetMerchantRequest { merchant_id, min_revision: 0 };
    client.profiles.clone().get_merchant(request).await.expect("registered").into_inner().merchant.expect("a merchant")
}

fn upsert(request_id: &str, merchants: Vec<Merchant>) -> BatchUpsertMerchantsRequest {
    BatchUpsertMerchantsRequest { request_id: request_id.to_owned(), merchants, update_mask: None }
}

fn named(id: u64, name: &str) -> Merchant {
    Merchant { name: name.to_owned(), ..merchant(id) }
}

#[tokio::test]
async fn a_repeated_request_answers_its_first_outcome() {
    let server = Server::start().await;
    let mut profiles = server.client.profiles.clone();
    let first = profiles.batch_upsert_merchants(upsert("a", vec![named(1, "one")])).await.expect("taken").into_inner();
    profiles.batch_upsert_merchants(upsert("b", vec![named(1, "two")])).await.expect("taken");
    let again = profiles.batch_upsert_merchants(upsert("a", vec![named(1, "one")])).await.expect("taken").into_inner();
    assert_eq!(again, first, "the same outcome and the first revision");
    assert_eq!(get(&server.client, 1).await.name, "two", "it was not applied again");

    let other = profiles.batch_upsert_merchants(upsert("a", vec![named(1, "three")])).await;
    refusal(other).is_plain(Code::AlreadyExists, "REQUEST_ID_REUSED");
    assert_eq!(get(&server.client, 1).await.name, "two");
    // The same id of another method is another request; without an id nothing is remembered.
    let counters = [("paid_orders", 1), ("reviews", 2), ("shipments_due", 3), ("complaints", 0)];
    let record = || RecordFactsRequest { request_id: "a".to_owned(), facts: vec![facts(1, "2023-02-27", &counters)] };
    let recorded = profiles.record_facts(record()).await.expect("taken").into_inner();
    assert_eq!(profiles.record_facts(record()).await.expect("taken").into_inner(), recorded);
    let unnamed =
        profiles.batch_upsert_merchants(upsert("", vec![named(1, "three")])).await.expect("taken").into_inner();
    let twice = profiles.batch_upsert_merchants(upsert("", vec![named(1, "three")])).await.expect("taken").into_inner();
    assert!(twice.revision > unnamed.revision);
}

#[tokio::test]
async fn every_write_can_be_repeated() {
    let server = Server::start().await;
    server.client.register(merchant(1)).await;
    let mut profiles = server.client.profiles.clone();
    let id = || "same".to_owned();

    let punish = || RecordViolationRequest { request_id: id(), ..violation(5, 1, "mute") };
    let first = profiles.record_violation(punish()).await.expect("taken").into_inner();
    let again = profiles.record_violation(punish()).await.expect("not VIOLATION_EXISTS").into_inner();
    assert_eq!(again, first);
    let revoke = || RevokeViolationRequest { request_id: id(), violation_id: 5, merchant_id: 1 };
    let first = profiles.revoke_violation(revoke()).await.expect("taken").into_inner();
    assert_eq!(profiles.revoke_violation(revoke()).await.expect("taken").into_inner(), first);
    let rights = || SetRightsRequest { request_id: id(), merchant_id: 1, rights: vec![] };
    let first = profiles.set_rights(rights()).await.expect("taken").into_inner();
    assert_eq!(profiles.set_rights(rights()).await.expect("taken").into_inner(), first);
    let delete = || DeleteMerchantRequest { request_id: id(), merchant_id: 1, etag: String::new() };
    let first = profiles.delete_merchant(delete()).await.expect("taken").into_inner();
    assert_eq!(profiles.delete_merchant(delete()).await.expect("not NOT_FOUND").into_inner(), first);

    server.client.advance("2023-03-02T05:00:00+08:00").await;
    let close = || CloseDayRequest { request_id: id(), date: "2023-03-01".to_owned() };
    profiles.close_day(close()).await.expect("closed");
    profiles.close_day(close()).await.expect("not DAY_ALREADY_CLOSED");
    // A refusal is an outcome, too.
    let missing = || RevokeViolationRequest { request_id: "other".to_owned(), violation_id: 9, merchant_id: 1 };
    for _ in 0..2 {
        refusal(profiles.revoke_violation(missing()).await).is_plain(Code::NotFound, "NOT_REGISTERED");
    }
}

#[tokio::test]
async fn a_batch_with_wrong_items_repeats_with_the_same_statuses() {
    let server = Server::start().await;
    let mut profiles = server.client.profiles.clone();
    let batch = || upsert("mixed", vec![named(1, "a"), Merchant::default(), named(2, "b")]);
    let first = profiles.batch_upsert_merchants(batch()).await.expect("taken").into_inner();
    assert_eq!(codes(&first.results), [Code::Ok, Code::InvalidArgument, Code::Ok]);
    assert_eq!(profiles.batch_upsert_merchants(batch()).await.expect("taken").into_inner(), first);
}

#[tokio::test]
async fn repeats_are_known_after_a_restart_and_forgotten_after_a_day() {
    let server = Server::start().await;
    let send = async |client: &Client, name: &str| {
        let request = upsert("a", vec![named(1, name)]);
        client.profiles.clone().batch_upsert_merchants(request).await.map(tonic::Response::into_inner)
    };
    let first = send(&server.client, "one").await.expect("taken");
    let server = server.restart().await;
    assert_eq!(send(&server.client, "one").await.expect("known"), first);
    refusal(send(&server.client, "two").await).is_plain(Code::AlreadyExists, "REQUEST_ID_REUSED");

    server.client.advance("2023-03-02T06:59:59.999+08:00").await;
    assert_eq!(send(&server.client, "one").await.expect("known"), first, "24 hours are not over");
    server.client.advance("2023-03-02T07:00:00+08:00").await;
    let later = send(&server.client, "two").await.expect("forgotten");
    assert!(later.revision > first.revision);
    let server = server.restart().await;
    assert_eq!(send(&server.client, "two").await.expect("known"), later, "what was forgotten stays so");
    assert_eq!(get(&server.client, 1).await.name, "two");
}

#[tokio::test]
async fn an_etag_guards_what_was_read() {
    let server = Server::start().await;
    let client = &server.client;
    client.upsert(vec![merchant(1)]).await;
    let read = get(client, 1).await;
    client.upsert(vec![Merchant { name: "mine".to_owned(), ..read.clone() }]).await;
    let late = upsert("", vec![Merchant { name: "late".to_owned(), ..read.clone() }, merchant(2)]);
    let answer = client.profiles.clone().batch_upsert_merchants(late).await.expect("answered").into_inner();
    item_refusal(&answer.results[0]).is_plain(Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(codes(&answer.results), [Code::Aborted, Code::Ok], "the other item was taken");
    let now = get(client, 1).await;
    assert_eq!((now.name.as_str(), now.etag == read.etag, now.revision > read.revision), ("mine", false, true));

    let delete = |etag: &str| DeleteMerchantRequest { merchant_id: 1, etag: etag.to_owned(), ..Default::default() };
    let mut profiles = client.profiles.clone();
    refusal(profiles.delete_merchant(delete(&read.etag)).await).is_plain(Code::Aborted, "ETAG_MISMATCH");
    profiles.delete_merchant(delete(&now.etag)).await.expect("deleted");
    let gone = upsert("", vec![now]);
    let answer = profiles.batch_upsert_merchants(gone).await.expect("answered").into_inner();
    item_refusal(&answer.results[0]).is_plain(Code::Aborted, "ETAG_MISMATCH");
}

#[tokio::test]
async fn a_mask_changes_the_fields_it_names() {
    let server = Server::start().await;
    let client = &server.client;
    let before = Merchant { tags: vec!["a".to_owned()], fan_count: 5, ..merchant(1) };
    client.upsert(vec![before.clone()]).await;
    let patch = Merchant { merchant_id: 1, name: "new".to_owned(), fan_count: 9, ..Merchant::default() };
    let masked = |merchants, paths: &[&str]| BatchUpsertMerchantsRequest {
        merchants,
        update_mask: Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
        ..BatchUpsertMerchantsRequest::default()
    };
    let mut profiles = client.profiles.clone();
    profiles.batch_upsert_merchants(masked(vec![patch.clone()], &["name", "tags"])).await.expect("taken");
    let now = get(client, 1).await;
    let expected = Merchant {
        name: "new".to_owned(),
        tags: vec![],
        revision: now.revision,
        etag: now.etag.clone(),
        kind: now.kind,
        ..before
    };
    assert_eq!(now, expected, "name and tags changed, nothing else");
    let nobody = masked(vec![Merchant { merchant_id: 2, ..patch }], &["name"]);
    let answer = profiles.batch_upsert_merchants(nobody).await.expect("answered").into_inner();
    item_refusal(&answer.results[0]).is_plain(Code::NotFound, "NOT_REGISTERED");
}

#[tokio::test]
async fn a_read_waits_for_the_revision_it_asks_for() {
    let server = Server::start().await;
    let client = server.client.clone();
    client.upsert(vec![merchant(1)]).await;
    let next = client.status().await.revision + 1;
    let ask = |min_revision| ScoreRequest { min_revision, ..score_request(Scene::Live, TargetKind::Merchant, &[2]) };
    let waiting = {
        let (mut scoring, request) = (client.scoring.clone(), ask(next));
        tokio::spawn(async move { scoring.score(request).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished(), "it waits");
    client.upsert(vec![merchant(2)]).await;
    let scores = waiting.await.expect("no panic").expect("reached").into_inner();
    assert!(scores.revision >= next);
    assert_eq!(scores.labels, [0], "and sees what the revision brought");

    let far = next + 1_000;
    let late = refusal(client.scoring.clone().score(ask(far)).await);
    late.is_plain(Code::Unavailable, "REVISION_NOT_REACHED");
    let mut hurried = Request::new(ask(far));
    hurried.set_timeout(Duration::from_millis(150));
    let answered = tokio::time::timeout(Duration::from_millis(1_500), client.scoring.clone().score(hurried)).await;
    let status = answered.expect("at the deadline, not at the server's own limit").expect_err("late");
    assert!(matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded), "{status:?}");
    let get = GetMerchantRequest { merchant_id: 1, min_revision: far };
    refusal(client.profiles.clone().get_merchant(get).await).is_plain(Code::Unavailable, "REVISION_NOT_REACHED");
}

#[tokio::test]
async fn lists_come_in_order_page_by_page_each_once() {
    let server = Server::start().await;
    let ids: Vec<u64> = (0..23).map(|k| (k * 37) % 101 + 1).collect();
    server.client.upsert(ids.iter().map(|id| merchant(*id)).collect()).await;
    let mut sorted = ids;
    sorted.sort_unstable();
    for page_size in [1, 5, 23, 24, 0] {
        let (mut found, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let request = ListMerchantsRequest { page_size, page_token: page_token.clone() };
            let page = server.client.profiles.clone().list_merchants(request).await.expect("a page").into_inner();
            assert!(page_size == 0 || page.merchants.len() <= usize::try_from(page_size).expect("small"));
            found.extend(page.merchants.iter().map(|merchant| merchant.merchant_id));
            page_token = page.next_page_token;
            pages += 1;
            assert!(pages < 30, "it ends");
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(found, sorted, "in pages of {page_size}");
    }
}

#[tokio::test]
async fn deleting_and_registering_again_sheds_nothing() {
    let server = Server::start().await;
    let client = &server.client;
    client.register(merchant(1)).await;
    client.record(vec![facts(1, "2023-02-27", &[("paid_orders", 10), ("refunded_orders", 9)])]).await;
    client.punish(violation(1, 1, "counterfeit")).await;
    let before = client.score(Scene::Live, TargetKind::Merchant, &[1]).await;

    let delete = DeleteMerchantRequest { merchant_id: 1, ..DeleteMerchantRequest::default() };
    client.profiles.clone().delete_merchant(delete).await.expect("deleted");
    let gone = client.score(Scene::Live, TargetKind::Merchant, &[1]).await;
    assert_eq!((gone.labels[0], gone.trust_scores[0].to_bits()), (1, 0), "unknown while it is deleted");
    let room = client.score(Scene::Live, TargetKind::LiveRoom, &[target_of(TargetKind::LiveRoom, 1)]).await;
    assert_eq!(room.labels, [1], "and so are its rooms");
    let server = server.restart().await;
    let client = &server.client;
    client.upsert(vec![merchant(1)]).await;
    let after = client.score(Scene::Live, TargetKind::Merchant, &[1]).await;
    assert_eq!(
        (after.trust_scores, after.boost_weights, after.labels),
        (before.trust_scores, before.boost_weights, before.labels)
    );
    assert_eq!(client.counted(1, "refund_rate_30d", "refunded_orders").await, 9);
    let again = client.profiles.clone().record_violation(violation(1, 1, "ban")).await;
    refusal(again).is_plain(Code::AlreadyExists, "VIOLATION_EXISTS");
}

#[tokio::test]
async fn a_resend_replaces_counter_by_counter() {
    let server = Server::start().await;
    let client = &server.client;
    client.upsert(vec![merchant(1)]).await;
    let stored = async || {
        let request = ListFactsRequest {
            target_id: 1,
            first_date: "2023-02-01".to_owned(),
            last_date: "2023-03-02".to_owned(),
            ..ListFactsRequest::default()
        };
        client.insight.clone().list_facts(request).await.expect("facts").into_inner().facts
    };
    let day = "2023-02-27";
    client
        .record(vec![facts(1, day, &[("paid_orders", 10), ("reviews", 4)]), facts(1, "2023-03-01", &[("reviews", 1)])])
        .await;
    client.record(vec![facts(1, day, &[("paid_orders", 3), ("complaints", 0)])]).await;
    let expected: Vec<DayFacts> = vec![
        facts(1, day, &[("paid_orders", 3), ("reviews", 4), ("complaints", 0)]),
        facts(1, "2023-03-01", &[("reviews", 1)]),
    ];
    assert_eq!(stored().await, expected, "absent counters stay; days without facts are left out");
    let explained = client.explain(1).await;
    assert_eq!(common::calls::count(&explained, "complaint_rate_30d", "paid_orders"), 3, "the sum follows");
    assert_eq!(common::calls::count(&explained, "negative_review_rate_30d", "reviews"), 4, "the open day waits");
    assert_eq!(signal(&explained, "complaint_rate_30d").last_day, "2023-02-28");
}

fn chunk(sequence: u64, orders: u64) -> ImportRequest {
    let facts = FactColumns {
        ids: vec![1],
        days: vec![day_number("2023-02-01") + i32::try_from(sequence).expect("small")],
        cell_counts: vec![1],
        counters: vec![0],
        values: vec![orders],
        counter_names: vec!["paid_orders".to_owned()],
        ..FactColumns::default()
    };
    ImportRequest { import_id: "load".to_owned(), sequence, facts: Some(facts), ..ImportRequest::default() }
}

#[tokio::test]
async fn an_import_goes_on_where_it_broke_off() {
    let server = Server::start().await;
    let client = &server.client;
    client.upsert(vec![merchant(1)]).await;
    let progress = async |client: &Client| {
        let request = GetImportProgressRequest { import_id: "load".to_owned() };
        client.profiles.clone().get_import_progress(request).await.expect("progress").into_inner().committed_sequence
    };
    let import = async |client: &Client, chunks: Vec<ImportRequest>| {
        client.profiles.clone().import(tokio_stream::iter(chunks)).await.map(tonic::Response::into_inner)
    };
    assert_eq!(progress(client).await, 0);
    let first = import(client, vec![chunk(1, 10), chunk(2, 10)]).await.expect("taken");
    assert_eq!((first.committed_sequence, first.skipped_chunks, first.accepted_items), (2, 0, 2));

    let gap = import(client, vec![chunk(3, 10), chunk(5, 10), chunk(6, 10)]).await;
    refusal(gap).is_plain(Code::OutOfRange, "IMPORT_GAP");
    assert_eq!(progress(client).await, 3, "what came before the gap is taken, nothing after it");

    let server = server.restart().await;
    let client = &server.client;
    assert_eq!(progress(client).await, 3, "known after a restart");
    // Repeated chunks are skipped, even with other content.
    let all = import(client, (1..=5).map(|sequence| chunk(sequence, 7)).collect()).await.expect("taken");
    assert_eq!((all.committed_sequence, all.skipped_chunks, all.accepted_items), (5, 3, 2));
    assert_eq!(client.counted(1, "complaint_rate_30d", "paid_orders").await, 3 * 10 + 2 * 7);
    client.advance("2023-03-02T07:00:00+08:00").await;
    assert_eq!(progress(client).await, 0, "forgotten after 24 hours");
}

#[tokio::test]
async fn state_survives_a_restart_to_the_last_row() {
    let server = Server::start_at(NOW).await;
    let client = &server.client;
    client.register(merchant(1)).await;
    client.register(merchant(2)).await;
    client
        .record(vec![
            facts(1, "2023-02-27", &[("paid_orders", 10), ("reviews", 4)]),
            facts(2, "2023-03-01", &[("reviews", 1)]),
        ])
        .await;
    let punished = RecordViolationRequest {
        occurred_at: Some(instant("2023-02-20T00:00:00+08:00")),
        ..violation(1, 1, "false_advertising")
    };
    assert_eq!(client.punish(punished).await.decision(), ViolationDecision::Applied);
    let seen = async |client: &Client| {
        let explained = client.explain(1).await;
        // Not the hash of the state: a start opens a session of leases, which is state. The crash tests compare hashes.
        (client.status().await.facts_day, explained.trust, explained.weight, explained.violations)
    };
    let before = seen(client).await;
    let server = server.restart().await;
    assert_eq!(seen(&server.client).await, before);
}

/// The id of a request that had to wait for another change is not used up by the waiting.
#[tokio::test]
async fn days_closed_at_once_are_all_closed() {
    let server = Server::start_with(NOW, |settings| settings.close_days = false).await;
    let mut closing = Vec::new();
    for day in ["2023-02-25", "2023-02-26", "2023-02-27"] {
        let mut profiles = server.client.profiles.clone();
        let request = CloseDayRequest { request_id: format!("close {day}"), date: day.to_owned() };
        closing.push(tokio::spawn(async move {
            tokio::time::timeout(Duration::from_secs(10), profiles.close_day(request)).await
        }));
    }
    for (position, closed) in closing.into_iter().enumerate() {
        let answer = closed.await.expect("no panic").expect("answered, not forgotten");
        // A later day that comes first closes the earlier ones with it.
        let in_time = answer.as_ref().err().is_none_or(|status| status.message().contains("closed already"));
        assert!(in_time, "{position}: {answer:?}");
    }
    assert_eq!(server.client.status().await.facts_day, "2023-02-27");
}
