//! Requests that are wrong: each is refused with its documented code, a reason, and the name of the field; nothing of
//! it is kept.

mod common;

use common::calls::{facts, merchant, score_request, violation};
use common::{Client, Server, instant, item_refusal, refusal, rpc_refusal};
use prost_types::{FieldMask, Timestamp};
use tonic::Code;
use trustflow::proto::{
    AdvanceClockRequest, BatchUpsertMerchantsRequest, BatchUpsertProductsRequest, BatchUpsertServiceProvidersRequest,
    CloseDayRequest, DayFacts, DeleteMerchantRequest, Enrolment, ExplainScoreRequest, FactColumns,
    GetImportProgressRequest, GetMerchantRequest, HeldRight, ImportRequest, ImportSection, ListFactsRequest,
    ListMerchantsRequest, Merchant, OrderContext, Product, RecordFactsRequest, RecordViolationRequest,
    RevokeViolationRequest, Scene, ScoreRequest, ServiceProvider, SetRightsRequest, TargetKind, ValidateScoresRequest,
};

const BAD: (Code, &str) = (Code::InvalidArgument, "BAD_REQUEST");

async fn market() -> Server {
    let server = Server::start().await;
    server.client.register(merchant(1)).await;
    server.client.record(vec![facts(1, "2023-02-27", &[("paid_orders", 5)])]).await;
    server
}

/// Nothing changed since the hash was taken.
async fn unchanged(client: &Client, hash: &str) {
    assert_eq!(client.hash().await, hash, "something was kept of a refused request");
}

#[tokio::test]
async fn score_requests_name_the_wrong_field() {
    let server = market().await;
    let good = || score_request(Scene::Live, TargetKind::Merchant, &[1, 2]);
    let base = |score: f32| ScoreRequest { base_scores: vec![0.5, score], ..good() };
    let cases = [
        ("target_ids", ScoreRequest { target_ids: vec![], ..good() }),
        ("target_ids", ScoreRequest { target_ids: vec![1; 1_001], ..good() }),
        ("scene", ScoreRequest { scene: 0, ..good() }),
        ("scene", ScoreRequest { scene: 7, ..good() }),
        ("target_kind", ScoreRequest { target_kind: 0, ..good() }),
        ("target_kind", ScoreRequest { target_kind: -1, ..good() }),
        ("base_scores[1]", base(f32::NAN)),
        ("base_scores[1]", base(f32::INFINITY)),
        ("base_scores[1]", base(f32::NEG_INFINITY)),
        ("base_scores[1]", base(-0.001)),
        ("base_scores", ScoreRequest { base_scores: vec![0.5], ..good() }),
        ("base_scores", ScoreRequest { base_scores: vec![0.5; 3], ..good() }),
        ("merchant_ids", ScoreRequest { merchant_ids: vec![1], ..good() }),
        ("columns[0]", ScoreRequest { columns: vec![0], ..good() }),
        ("columns[1]", ScoreRequest { columns: vec![1, 99], ..good() }),
        ("request_id", ScoreRequest { request_id: "x".repeat(129), ..good() }),
    ];
    for (field, request) in cases {
        let found = refusal(server.client.scoring.clone().score(request).await);
        found.is(BAD.0, BAD.1, field);
        assert_eq!(found.fields.len(), 1, "only {field} is wrong: {found:?}");
    }
    let all_wrong = ScoreRequest { base_scores: vec![1.0], ..ScoreRequest::default() };
    let found = refusal(server.client.scoring.clone().score(all_wrong).await);
    assert_eq!(found.fields, ["scene", "target_kind", "target_ids", "base_scores"], "every wrong field at once");

    let most = ScoreRequest { base_scores: vec![0.0; 1_000], target_ids: vec![1; 1_000], ..good() };
    assert_eq!(server.client.score_with(most).await.trust_scores.len(), 1_000, "the most that is allowed");
}

#[tokio::test]
async fn explanations_and_lists_name_the_wrong_field() {
    let server = market().await;
    let insight = || server.client.insight.clone();
    let good = || ExplainScoreRequest {
        scene: Scene::Live.into(),
        target_kind: TargetKind::Merchant.into(),
        target_id: 1,
        ..ExplainScoreRequest::default()
    };
    let cases = [
        ("scene", ExplainScoreRequest { scene: 0, ..good() }),
        ("target_kind", ExplainScoreRequest { target_kind: 0, ..good() }),
        ("target_id", ExplainScoreRequest { target_id: 0, ..good() }),
        ("base_score", ExplainScoreRequest { base_score: Some(f32::NAN), ..good() }),
        ("base_score", ExplainScoreRequest { base_score: Some(-1.0), ..good() }),
    ];
    for (field, request) in cases {
        refusal(insight().explain_score(request).await).is(BAD.0, BAD.1, field);
    }
    let days = |first: &str, last: &str| ListFactsRequest {
        target_id: 1,
        first_date: first.to_owned(),
        last_date: last.to_owned(),
        ..ListFactsRequest::default()
    };
    let cases = [
        ("first_date", days("2018-02-30", "2018-03-01")),
        ("last_date", days("2018-02-01", "")),
        ("last_date", days("2018-03-02", "2018-03-01")),
        ("last_date", days("2018-01-01", "2023-01-01")),
        ("target_id", ListFactsRequest { target_id: 0, ..days("2018-03-01", "2018-03-01") }),
        ("target_kind", ListFactsRequest { target_kind: 77, ..days("2018-03-01", "2018-03-01") }),
    ];
    for (field, request) in cases {
        refusal(insight().list_facts(request).await).is(BAD.0, BAD.1, field);
    }
    let nobody = ListFactsRequest { target_id: 404, ..days("2018-03-01", "2018-03-01") };
    refusal(insight().list_facts(nobody).await).is_plain(Code::NotFound, "NOT_REGISTERED");

    let validation = |from: &str, to: &str| ValidateScoresRequest {
        from_date: from.to_owned(),
        to_date: to.to_owned(),
        ..ValidateScoresRequest::default()
    };
    let good = || validation("2018-03-01", "2018-04-01");
    let cases = [
        ("from_date", validation("2018-03", "2018-04-01")),
        ("from_date", validation("1991-12-31", "1992-02-01")),
        ("to_date", validation("2018-03-01", "")),
        ("to_date", validation("2018-03-01", "2018-02-28")),
        ("to_date", validation("2010-03-01", "2018-02-28")),
        ("every_days", ValidateScoresRequest { every_days: 367, ..good() }),
        ("horizon_days", ValidateScoresRequest { horizon_days: u32::MAX, ..good() }),
        ("outcome", ValidateScoresRequest { outcome: "weather".to_owned(), ..good() }),
        ("resamples", ValidateScoresRequest { resamples: 2_001, ..good() }),
        ("max_merchants", ValidateScoresRequest { max_merchants: 200_001, ..good() }),
    ];
    for (field, request) in cases {
        refusal(insight().validate_scores(request).await).is(BAD.0, BAD.1, field);
    }
    let nothing = insight().validate_scores(good()).await.expect("an answer").into_inner();
    assert!(nothing.outcomes.is_empty() && nothing.registered_merchants > 0, "{nothing:?}");

    let profiles = || server.client.profiles.clone();
    let page = |page_size, page_token: &str| ListMerchantsRequest { page_size, page_token: page_token.to_owned() };
    refusal(profiles().list_merchants(page(1_001, "")).await).is(BAD.0, BAD.1, "page_size");
    for token in ["no token", "-1", "1ffffffffffffffff"] {
        refusal(profiles().list_merchants(page(0, token)).await).is(BAD.0, BAD.1, "page_token");
    }
    let get = GetMerchantRequest { merchant_id: 0, min_revision: 0 };
    refusal(profiles().get_merchant(get).await).is(BAD.0, BAD.1, "merchant_id");
    let get = GetMerchantRequest { merchant_id: 404, min_revision: 0 };
    refusal(profiles().get_merchant(get).await).is_plain(Code::NotFound, "NOT_REGISTERED");
    let progress = GetImportProgressRequest::default();
    refusal(profiles().get_import_progress(progress).await).is(BAD.0, BAD.1, "import_id");
}

#[tokio::test]
async fn wrong_batches_change_nothing() {
    let server = market().await;
    let client = &server.client;
    let hash = client.hash().await;
    let profiles = || client.profiles.clone();

    let batch = |merchants: Vec<Merchant>, paths: Option<&[&str]>| BatchUpsertMerchantsRequest {
        merchants,
        update_mask: paths.map(|paths| FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
        ..BatchUpsertMerchantsRequest::default()
    };
    let cases = [
        ("merchants", batch(vec![], None)),
        ("merchants", batch((1..=1_001).map(merchant).collect(), None)),
        ("update_mask", batch(vec![merchant(1)], Some(&[]))),
        ("update_mask", batch(vec![merchant(1)], Some(&["name", "nonsense"]))),
        ("update_mask", batch(vec![merchant(1)], Some(&["merchant_id"]))),
        ("update_mask", batch(vec![merchant(1)], Some(&["etag"]))),
        ("request_id", BatchUpsertMerchantsRequest { request_id: "x".repeat(129), ..batch(vec![merchant(1)], None) }),
    ];
    for (field, request) in cases {
        refusal(profiles().batch_upsert_merchants(request).await).is(BAD.0, BAD.1, field);
    }
    let none = BatchUpsertProductsRequest::default();
    refusal(profiles().batch_upsert_products(none).await).is(BAD.0, BAD.1, "products");
    for rows in [0, 1_001] {
        let facts = vec![facts(1, "2023-02-27", &[("paid_orders", 6)]); rows];
        let request = RecordFactsRequest { facts, ..RecordFactsRequest::default() };
        refusal(profiles().record_facts(request).await).is(BAD.0, BAD.1, "facts");
    }
    let delete =
        |merchant_id, etag: &str| DeleteMerchantRequest { merchant_id, etag: etag.to_owned(), ..Default::default() };
    refusal(profiles().delete_merchant(delete(0, "")).await).is(BAD.0, BAD.1, "merchant_id");
    refusal(profiles().delete_merchant(delete(1, "no etag")).await).is(BAD.0, BAD.1, "etag");
    refusal(profiles().delete_merchant(delete(1, "ffff")).await).is_plain(Code::Aborted, "ETAG_MISMATCH");
    refusal(profiles().delete_merchant(delete(404, "")).await).is_plain(Code::NotFound, "NOT_REGISTERED");
    unchanged(client, &hash).await;
}

#[tokio::test]
async fn a_wrong_item_names_its_field_and_leaves_the_others_applied() {
    let server = market().await;
    let client = &server.client;
    let enrolled = |list: &str, date: &str| Merchant {
        enrolments: vec![Enrolment { list: list.to_owned(), date: date.to_owned() }],
        ..merchant(9)
    };
    let time = |seconds, nanos| Some(Timestamp { seconds, nanos });
    let cases = [
        ("merchant_id", Merchant { merchant_id: 0, ..merchant(9) }),
        ("name", Merchant { name: "名".repeat(257), ..merchant(9) }),
        ("region", Merchant { region: "x".repeat(257), ..merchant(9) }),
        ("categories", Merchant { categories: vec![String::new(); 65], ..merchant(9) }),
        ("tags[1]", Merchant { tags: vec![String::new(), "x".repeat(257)], ..merchant(9) }),
        ("kind", Merchant { kind: 9, ..merchant(9) }),
        ("etag", Merchant { etag: "not hex".to_owned(), ..merchant(9) }),
        ("opened_at", Merchant { opened_at: time(-1, 0), ..merchant(9) }),
        ("opened_at", Merchant { opened_at: time(i64::MAX, 0), ..merchant(9) }),
        ("opened_at", Merchant { opened_at: time(0, -1), ..merchant(9) }),
        ("enrolments[0].list", enrolled("", "2023-01-01")),
        ("enrolments[0].list", enrolled("Not A Name", "2023-01-01")),
        ("enrolments[0].date", enrolled("doujin", "2018-02-30")),
    ];
    let hash = client.hash().await;
    for (field, wrong) in &cases {
        let request = BatchUpsertMerchantsRequest { merchants: vec![wrong.clone()], ..Default::default() };
        let answer = client.profiles.clone().batch_upsert_merchants(request).await.expect("answered").into_inner();
        item_refusal(&answer.results[0]).is(BAD.0, BAD.1, &format!("merchants[0].{field}"));
    }
    unchanged(client, &hash).await;

    let mut merchants: Vec<Merchant> = cases.into_iter().map(|(_, wrong)| wrong).collect();
    merchants.insert(3, Merchant { name: "名".repeat(256), ..merchant(8) });
    let request = BatchUpsertMerchantsRequest { merchants, ..Default::default() };
    let answer = client.profiles.clone().batch_upsert_merchants(request).await.expect("answered").into_inner();
    let taken: Vec<u32> =
        answer.results.iter().filter(|item| item_refusal(item).code == Code::Ok).map(|i| i.index).collect();
    assert_eq!(taken, [3], "the one that is right was taken");
    assert_eq!(client.status().await.merchants, 2);

    let capabilities = |scores: &[u32]| ServiceProvider {
        service_provider_id: 1,
        capabilities: scores.to_vec(),
        ..Default::default()
    };
    for wrong in [capabilities(&[1, 2]), capabilities(&[1, 2, 3, 4, 101])] {
        let request = BatchUpsertServiceProvidersRequest { service_providers: vec![wrong], ..Default::default() };
        let answer = client.profiles.clone().batch_upsert_service_providers(request).await.expect("answered");
        item_refusal(&answer.into_inner().results[0]).is(BAD.0, BAD.1, "service_providers[0].capabilities");
    }
    let orphan = Product { product_id: 5, ..Product::default() };
    let request = BatchUpsertProductsRequest { products: vec![orphan], ..Default::default() };
    let answer = client.profiles.clone().batch_upsert_products(request).await.expect("answered").into_inner();
    item_refusal(&answer.results[0]).is(BAD.0, BAD.1, "products[0].merchant_id");
}

#[tokio::test]
async fn wrong_facts_are_refused_row_by_row() {
    let server = market().await;
    let client = &server.client;
    let orders = [("paid_orders", 7)];
    let of_item = |kind: i32, target_id| DayFacts { target_kind: kind, target_id, ..facts(1, "2023-02-27", &orders) };
    let many: Vec<String> = (0..257).map(|number| format!("c{number}")).collect();
    let many: Vec<(&str, u64)> = many.iter().map(|name| (name.as_str(), 1)).collect();
    // The server's day is 2023-03-01.
    let cases = [
        (facts(1, "2018-02-30", &orders), BAD, "date"),
        (facts(1, "2023-2-27", &orders), BAD, "date"),
        (facts(1, "", &orders), BAD, "date"),
        (facts(1, "1991-12-31", &orders), BAD, "date"),
        (facts(0, "2023-02-27", &orders), BAD, "merchant_id"),
        (facts(1, "2023-02-27", &[]), BAD, "counters"),
        (facts(1, "2023-02-27", &many), BAD, "counters"),
        (of_item(99, 12), BAD, "target_kind"),
        (of_item(TargetKind::Product.into(), 0), BAD, "target_id"),
        (
            facts(1, "2023-02-27", &[("paid_ordres", 1)]),
            (Code::InvalidArgument, "UNKNOWN_COUNTER"),
            "counters[\"paid_ordres\"]",
        ),
        (facts(1, "2023-03-03", &orders), (Code::InvalidArgument, "DAY_IN_FUTURE"), ""),
        (facts(404, "2023-02-27", &orders), (Code::NotFound, "NOT_REGISTERED"), ""),
        (of_item(TargetKind::Product.into(), 404), (Code::NotFound, "NOT_REGISTERED"), ""),
    ];
    let hash = client.hash().await;
    for (row, (code, reason), field) in &cases {
        let request = RecordFactsRequest { facts: vec![row.clone()], ..Default::default() };
        let answer = client.profiles.clone().record_facts(request).await.expect("answered").into_inner();
        let found = item_refusal(&answer.results[0]);
        if field.is_empty() {
            found.is_plain(*code, reason);
        } else {
            found.is(*code, reason, &format!("facts[0].{field}"));
        }
    }
    unchanged(client, &hash).await;

    let mut rows: Vec<DayFacts> = cases.into_iter().map(|case| case.0).collect();
    let count = rows.len();
    rows.insert(0, facts(1, "1992-01-01", &orders));
    rows.push(facts(1, "2023-03-02", &orders));
    let request = RecordFactsRequest { facts: rows, ..Default::default() };
    let answer = client.profiles.clone().record_facts(request).await.expect("answered").into_inner();
    let taken: Vec<bool> = answer.results.iter().map(|item| item_refusal(item).code == Code::Ok).collect();
    assert!(taken[0] && taken[count + 1], "the first day there is, and tomorrow, are right");
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 2);
}

#[tokio::test]
async fn wrong_violations_and_rights_change_nothing() {
    let server = market().await;
    let client = &server.client;
    let hash = client.hash().await;
    let video = || violation(1, 1, "reduce_short_video");
    let at = |text: &str| Some(instant(text));
    let region = || OrderContext { sender_region: "x".repeat(257), ..OrderContext::default() };
    let cases = [
        ("violation_id", violation(0, 1, "ban")),
        ("merchant_id", violation(1, 0, "ban")),
        ("type", violation(1, 1, "")),
        ("type", violation(1, 1, "bann")),
        ("target_kind", video()),
        ("target_kind", RecordViolationRequest { target_kind: 99, target_id: 13, ..video() }),
        ("target_kind", RecordViolationRequest { target_kind: TargetKind::Merchant.into(), target_id: 1, ..video() }),
        ("target_id", RecordViolationRequest { target_kind: TargetKind::ShortVideo.into(), ..video() }),
        ("target_id", RecordViolationRequest { target_id: 13, ..violation(1, 1, "ban") }),
        (
            "effective_until",
            RecordViolationRequest {
                effective_from: at("2023-03-01T09:00:00Z"),
                effective_until: at("2023-03-01T09:00:00Z"),
                ..violation(1, 1, "ban")
            },
        ),
        (
            "effective_until",
            RecordViolationRequest { effective_until: at("2023-02-01T09:00:00Z"), ..violation(1, 1, "ban") },
        ),
        (
            "occurred_at",
            RecordViolationRequest { occurred_at: Some(Timestamp { seconds: -1, nanos: 0 }), ..violation(1, 1, "ban") },
        ),
        (
            "order.sender_region",
            RecordViolationRequest { order: Some(region()), ..violation(1, 1, "overtime_unshipped") },
        ),
    ];
    for (field, request) in cases {
        refusal(client.profiles.clone().record_violation(request).await).is(BAD.0, BAD.1, field);
    }
    let future = RecordViolationRequest { occurred_at: at("2023-03-01T07:00:00.001+08:00"), ..violation(1, 1, "ban") };
    refusal(client.profiles.clone().record_violation(future).await).is_plain(Code::InvalidArgument, "OCCURS_IN_FUTURE");
    let nothing = RevokeViolationRequest::default();
    let found = refusal(client.profiles.clone().revoke_violation(nothing).await);
    assert_eq!(found.fields, ["violation_id", "merchant_id"]);

    let held = |right: &str| HeldRight { right: right.to_owned(), ..HeldRight::default() };
    let backwards = HeldRight {
        from: at("2023-03-02T00:00:00Z"),
        until: at("2023-03-01T00:00:00Z"),
        ..held("seven_day_no_reason")
    };
    let rights = |merchant_id, rights| SetRightsRequest { merchant_id, rights, ..SetRightsRequest::default() };
    let cases = [
        ("merchant_id", rights(0, vec![])),
        ("rights[1].right", rights(1, vec![held("seven_day_no_reason"), held("eight_day")])),
        ("rights[0].until", rights(1, vec![backwards])),
        ("rights", rights(1, vec![held("seven_day_no_reason"); 65])),
    ];
    for (field, request) in cases {
        refusal(client.profiles.clone().set_rights(request).await).is(BAD.0, BAD.1, field);
    }
    refusal(client.profiles.clone().set_rights(rights(404, vec![])).await).is_plain(Code::NotFound, "NOT_REGISTERED");
    unchanged(client, &hash).await;
}

#[tokio::test]
async fn wrong_times_and_days_change_nothing() {
    let server = market().await;
    let client = &server.client;
    let hash = client.hash().await;
    let admin = || client.admin.clone();
    refusal(admin().advance_clock(AdvanceClockRequest { to: None }).await).is(BAD.0, BAD.1, "to");
    let back = AdvanceClockRequest { to: Some(instant("2023-03-01T06:59:59.999+08:00")) };
    refusal(admin().advance_clock(back).await).is(BAD.0, BAD.1, "to");
    for date in ["", "2018-02-30", "tomorrow"] {
        let request = CloseDayRequest { date: date.to_owned(), ..CloseDayRequest::default() };
        refusal(client.profiles.clone().close_day(request).await).is(BAD.0, BAD.1, "date");
    }
    refusal(client.close("2023-03-01").await).is_plain(Code::FailedPrecondition, "DAY_NOT_OVER");
    refusal(client.close("2023-02-28").await).is_plain(Code::FailedPrecondition, "DAY_ALREADY_CLOSED");
    unchanged(client, &hash).await;
}

/// One row of one cell, chunk 1.
fn chunk() -> ImportRequest {
    let facts = FactColumns {
        ids: vec![1],
        days: vec![common::day_number("2023-02-27")],
        cell_counts: vec![1],
        counters: vec![0],
        values: vec![9],
        counter_names: vec!["paid_orders".to_owned()],
        ..FactColumns::default()
    };
    ImportRequest { import_id: "bad".to_owned(), sequence: 1, facts: Some(facts), ..ImportRequest::default() }
}

fn with_facts(change: impl FnOnce(&mut FactColumns)) -> ImportRequest {
    let mut chunk = chunk();
    change(chunk.facts.as_mut().expect("facts"));
    chunk
}

#[tokio::test]
async fn malformed_chunks_are_refused_whole() {
    let server = market().await;
    let client = &server.client;
    let hash = client.hash().await;
    let cases = [
        ("import_id", ImportRequest { import_id: String::new(), ..chunk() }),
        ("import_id", ImportRequest { import_id: "x".repeat(129), ..chunk() }),
        ("sequence", ImportRequest { sequence: 0, ..chunk() }),
        (
            "facts",
            ImportRequest {
                merchants: (1..=10_000).map(|id| Merchant { merchant_id: id, ..Default::default() }).collect(),
                ..chunk()
            },
        ),
        ("facts.days", with_facts(|facts| facts.days.push(1))),
        ("facts.cell_counts", with_facts(|facts| facts.cell_counts = vec![])),
        ("facts.counters", with_facts(|facts| facts.cell_counts = vec![2])),
        ("facts.values", with_facts(|facts| facts.values.push(1))),
        ("facts.counter_names", with_facts(|facts| facts.counter_names = vec![String::new(); 1_025])),
        ("facts.target_kind", with_facts(|facts| facts.target_kind = 99)),
    ];
    for (field, request) in cases {
        let answer = client.profiles.clone().import(tokio_stream::iter([request])).await;
        refusal(answer).is(BAD.0, BAD.1, field);
    }
    let gap = ImportRequest { sequence: 2, ..chunk() };
    refusal(client.profiles.clone().import(tokio_stream::iter([gap])).await).is_plain(Code::OutOfRange, "IMPORT_GAP");
    unchanged(client, &hash).await;
}

#[tokio::test]
async fn wrong_items_of_a_chunk_are_reported_and_the_others_taken() {
    let server = market().await;
    let client = &server.client;
    let good = common::day_number("2023-02-27");
    let request = ImportRequest {
        merchants: vec![Merchant::default(), merchant(2)],
        ..with_facts(|facts| {
            facts.ids = vec![0, 1, 1, 404, 1, 2, 1];
            facts.days =
                vec![good, common::day_number("1991-12-31"), common::day_number("2023-03-03"), good, good, good, good];
            facts.cell_counts = vec![1; 7];
            facts.counters = vec![0, 0, 0, 0, 1, 0, 7];
            facts.values = vec![9; 7];
            facts.counter_names = vec!["paid_orders".to_owned(), "no_such_counter".to_owned()];
        })
    };
    let answer = client.profiles.clone().import(tokio_stream::iter([request])).await.expect("taken").into_inner();
    assert_eq!((answer.accepted_items, answer.rejected_items, answer.committed_sequence), (2, 7, 1));
    let mut found: Vec<_> = answer
        .results
        .iter()
        .map(|item| {
            let refused = rpc_refusal(item.status.as_ref().expect("a status"));
            (item.section(), item.index, refused.code, refused.reason)
        })
        .collect();
    found.sort_by_key(|row| (row.0 as i32, row.1));
    let bad = Code::InvalidArgument;
    let expected = [
        (ImportSection::Merchants, 0, bad, "BAD_REQUEST"),
        (ImportSection::Facts, 0, bad, "BAD_REQUEST"),
        (ImportSection::Facts, 1, bad, "BAD_REQUEST"),
        (ImportSection::Facts, 2, bad, "DAY_IN_FUTURE"),
        (ImportSection::Facts, 3, Code::NotFound, "NOT_REGISTERED"),
        (ImportSection::Facts, 4, bad, "UNKNOWN_COUNTER"),
        (ImportSection::Facts, 6, bad, "BAD_REQUEST"),
    ];
    assert_eq!(found, expected.map(|(section, index, code, reason)| (section, index, code, reason.to_owned())));
    assert_eq!(client.counted(2, "complaint_rate_30d", "paid_orders").await, 9);
    assert_eq!(client.counted(1, "complaint_rate_30d", "paid_orders").await, 5, "nothing of the wrong rows");
}
