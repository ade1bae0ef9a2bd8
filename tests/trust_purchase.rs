//! Trust Purchase as merchants and promoters see it: granted, lost and granted again by itself, and what closes a gap.
//! Also the search by which they find their products.
#![allow(clippy::indexing_slicing, reason = "a wrong index fails the test, as it should")]

mod common;

use common::calls::{facts, items_of, merchant, violation};
use common::process::get;
use common::{Client, NOW, Refusal, Server, codes, plus, refusal};
use tonic::Code;
use trustflow::proto::{
    BatchUpsertProductsRequest, ClosingStep, DayFacts, GapDirection, GetTrustPurchaseStatusRequest,
    GetTrustPurchaseStatusResponse, HeldRight, Label, Product, Scene, SearchProductsRequest, SearchProductsResponse,
    TargetKind, TrustPurchaseCondition, TrustPurchaseConditionKind, TrustPurchaseScope, TrustPurchaseView,
};

const RIGHTS: [&str; 3] = ["fake_one_compensates_ten", "return_freight_compensation", "seven_day_no_reason"];

fn ask(kind: TargetKind, target_id: u64) -> GetTrustPurchaseStatusRequest {
    GetTrustPurchaseStatusRequest { target_kind: kind.into(), target_id, ..GetTrustPurchaseStatusRequest::default() }
}

async fn status_of(client: &Client, request: GetTrustPurchaseStatusRequest) -> GetTrustPurchaseStatusResponse {
    client.insight.clone().get_trust_purchase_status(request).await.expect("a status").into_inner()
}

async fn shop(client: &Client, merchant: u64) -> GetTrustPurchaseStatusResponse {
    status_of(client, ask(TargetKind::Merchant, merchant)).await
}

async fn refused(client: &Client, request: GetTrustPurchaseStatusRequest) -> Refusal {
    refusal(client.insight.clone().get_trust_purchase_status(request).await)
}

fn held(rights: &[&str]) -> Vec<HeldRight> {
    rights.iter().map(|right| HeldRight { right: (*right).to_owned(), ..HeldRight::default() }).collect()
}

fn condition<'a>(status: &'a GetTrustPurchaseStatusResponse, text: &str) -> &'a TrustPurchaseCondition {
    status.conditions.iter().find(|condition| condition.text.contains(text)).expect(text)
}

/// Texts of the conditions that keep it from being granted.
fn failing(status: &GetTrustPurchaseStatusResponse) -> Vec<&str> {
    let failing = status.conditions.iter().filter(|condition| !condition.group_holds && !condition.holds);
    failing.map(|condition| condition.text.as_str()).collect()
}

fn good_day(id: u64, date: &str) -> DayFacts {
    let counters = [
        ("paid_orders", 200),
        ("liable_refunds", 1),
        ("reviews", 100),
        ("negative_reviews", 2),
        ("shipments_due", 200),
        ("shipped_on_time", 198),
    ];
    facts(id, date, &counters)
}

/// A merchant that holds Trust Purchase.
async fn trusted(client: &Client, id: u64) {
    client.register(merchant(id)).await;
    client.record(vec![good_day(id, "2023-02-27")]).await;
    client.grant(id, held(&RIGHTS)).await;
}

#[tokio::test]
async fn it_is_granted_lost_and_granted_again_by_itself() {
    let server = Server::start_at(NOW).await;
    let client = &server.client;
    client.register(merchant(1)).await;
    let at_first = shop(client, 1).await;
    assert!(!at_first.granted && at_first.tilts.is_empty() && at_first.label == 0);
    assert_eq!(at_first.scope(), TrustPurchaseScope::Shop);
    assert_eq!(at_first.programme_name_zh, "信任购");
    let missing: Vec<&str> =
        at_first.rights.iter().filter(|right| right.missing).map(|right| right.id.as_str()).collect();
    assert_eq!(missing.len(), 3, "{missing:?}");
    let closes = condition(&at_first, "fake_one").what_closes_it.clone().expect("a right is missing");
    assert_eq!(
        (closes.step(), closes.rights[0].id.as_str(), closes.rights[0].applies),
        (ClosingStep::Rights, RIGHTS[0], true)
    );

    client.grant(1, held(&RIGHTS)).await;
    let with_rights = shop(client, 1).await;
    assert!(with_rights.rights.iter().all(|right| right.held && !right.missing));
    assert_eq!(failing(&with_rights), ["measured.negative_review_rate_90d"], "only the figures are missing");

    client.record(vec![good_day(1, "2023-03-01")]).await;
    assert!(!shop(client, 1).await.granted, "the day is not closed");
    client.advance("2023-03-02T07:00:00+08:00").await;
    for (kind, id) in
        [(TargetKind::Merchant, 1), (TargetKind::LiveRoom, items_of(1).0), (TargetKind::Product, items_of(1).1)]
    {
        let granted = status_of(client, ask(kind, id)).await;
        assert!(granted.granted && failing(&granted).is_empty(), "{kind:?}: {granted:?}");
        assert_eq!(granted.label, Label::TrustPurchase as u32);
        let scenes: Vec<Scene> = granted.tilts.iter().map(trustflow::proto::TrustPurchaseTilt::scene).collect();
        assert_eq!(scenes, [Scene::Live, Scene::Search, Scene::Mall, Scene::Store]);
        assert!(granted.tilts.iter().all(|tilt| tilt.uplift.expect("the owner's view") > 0.0));
        let labels = client.score(Scene::Live, kind, &[id]).await.labels[0];
        assert_eq!(labels & granted.label, granted.label, "Score shows it as well");
    }

    client.punish(violation(7, 1, "overtime_unshipped")).await;
    let punished = shop(client, 1).await;
    assert!(!punished.granted);
    let points = condition(&punished, "violation_points");
    assert_eq!(points.kind(), TrustPurchaseConditionKind::Violation);
    assert_eq!(
        (points.value, points.bound, points.gap, points.direction()),
        (Some(3.0), Some(2.0), Some(1.0), GapDirection::Lower)
    );
    let closes = points.what_closes_it.clone().expect("it does not hold");
    assert_eq!(closes.step(), ClosingStep::FactsDay);
    // 3 points over 90 days: 2 are left after 30 days, less after 31.
    assert_eq!(closes.date, plus("2023-03-02", 31));
    assert!(points.sentence.contains(&closes.date), "{}", points.sentence);

    client.advance(&format!("{}T07:00:00+08:00", closes.date)).await;
    assert!(!shop(client, 1).await.granted, "the day itself is not closed yet");
    client.advance(&format!("{}T07:00:00+08:00", plus(&closes.date, 1))).await;
    let again = shop(client, 1).await;
    assert!(again.granted, "{:?}", failing(&again));

    let metrics = get(server.addresses.http, "/metrics").await.1;
    // Servers of other tests in this process count as well.
    for (name, least) in [("entered", 2.0), ("left", 1.0)] {
        let series = format!("trustflow_programme_{name}_total{{programme=\"trust_purchase\"}} ");
        let counted = metrics.lines().find_map(|line| line.strip_prefix(&series)).expect("counted");
        assert!(counted.parse::<f64>().expect("a number") >= least, "{name}: {counted}");
    }
}

#[tokio::test]
async fn exactly_so_many_shipments_on_time_close_the_gap() {
    let server = Server::start_at(NOW).await;
    let client = &server.client;
    trusted(client, 1).await;
    client.record(vec![facts(1, "2023-02-27", &[("shipped_on_time", 150)])]).await;
    let status = shop(client, 1).await;
    assert!(!status.granted);
    let shipping = condition(&status, "timely_shipping_90d");
    assert_eq!((shipping.kind(), shipping.direction()), (TrustPurchaseConditionKind::Metric, GapDirection::Raise));
    assert_eq!((shipping.numerator, shipping.denominator), (Some(150.0), Some(200.0)));
    let gap = shipping.bound.expect("a bound") - shipping.value.expect("a value");
    assert_eq!(shipping.gap, Some(gap));
    assert_eq!(shipping.name_zh, "近90天及时发货率");
    let closes = shipping.what_closes_it.clone().expect("it does not hold");
    assert_eq!(closes.step(), ClosingStep::Observations);
    assert_eq!(
        (&closes.counters[..], &closes.part_counters[..]),
        (&["shipments_due".to_owned()][..], &["shipped_on_time".to_owned()][..])
    );
    let more = async |count: u64| {
        client.record(vec![facts(1, "2023-02-26", &[("shipments_due", count), ("shipped_on_time", count)])]).await;
        shop(client, 1).await.granted
    };
    assert!(!more(closes.count - 1).await, "one fewer is not enough");
    assert!(more(closes.count).await, "{} are", closes.count);
}

/// A product of a merchant.
fn product(id: u64, owner: u64, name: &str, promoters: &[u64]) -> Product {
    Product {
        product_id: id,
        merchant_id: owner,
        name: name.to_owned(),
        promoter_ids: promoters.to_vec(),
        ..Product::default()
    }
}

async fn list(client: &Client, products: Vec<Product>) {
    let request = BatchUpsertProductsRequest { products, ..BatchUpsertProductsRequest::default() };
    let answer = client.profiles.clone().batch_upsert_products(request).await.expect("products").into_inner();
    assert!(codes(&answer.results).iter().all(|code| *code == Code::Ok), "{answer:?}");
}

#[tokio::test]
async fn a_product_can_fail_where_its_shop_does_not() {
    let server = Server::start_at(NOW).await;
    let client = &server.client;
    trusted(client, 1).await;
    let id = items_of(1).1;
    let sold = |date: &str, counters: &[(&str, u64)]| DayFacts {
        target_kind: TargetKind::Product.into(),
        target_id: id,
        ..facts(0, date, counters)
    };
    client.record(vec![sold("2023-02-25", &[("reviews", 100), ("negative_reviews", 20)])]).await;
    assert!(shop(client, 1).await.granted, "the shop keeps it");
    let status = status_of(client, ask(TargetKind::Product, id)).await;
    assert!(!status.granted);
    assert_eq!(status.scope(), TrustPurchaseScope::Product);
    let bad = condition(&status, "product.facts.negative_reviews");
    assert_eq!(bad.kind(), TrustPurchaseConditionKind::Item);
    assert_eq!((bad.numerator, bad.denominator, bad.value), (Some(20.0), Some(100.0), Some(0.2)));
    let closes = bad.what_closes_it.clone().expect("it does not hold");
    // 20 of 201 are below 10 %, 20 of 200 are not.
    assert_eq!(
        (closes.step(), closes.count, &closes.counters[..]),
        (ClosingStep::Observations, 101, &["reviews".to_owned()][..])
    );
    client.record(vec![sold("2023-02-26", &[("reviews", 100)])]).await;
    assert!(!status_of(client, ask(TargetKind::Product, id)).await.granted);
    client.record(vec![sold("2023-02-26", &[("reviews", 101)])]).await;
    assert!(status_of(client, ask(TargetKind::Product, id)).await.granted);
}

#[tokio::test]
async fn a_promoter_sees_what_fails_and_no_figure_of_the_owner() {
    let server = Server::start_at(NOW).await;
    let client = &server.client;
    trusted(client, 1).await;
    client.upsert(vec![merchant(2), merchant(3)]).await;
    client.record(vec![facts(1, "2023-02-27", &[("shipped_on_time", 150)])]).await;
    client.grant(1, held(&RIGHTS[1..])).await;
    list(client, vec![product(77, 1, "丝绸", &[2])]).await;
    let view = TrustPurchaseView::Promoter.into();
    let promoter = GetTrustPurchaseStatusRequest { view, promoter_merchant_id: 2, ..ask(TargetKind::Product, 77) };
    let owner = status_of(client, ask(TargetKind::Product, 77)).await;
    let seen = status_of(client, promoter).await;
    assert_eq!((seen.granted, seen.label, failing(&seen)), (owner.granted, owner.label, failing(&owner)));
    assert_eq!(seen.rights, owner.rights);
    assert_eq!((seen.target_name.as_str(), seen.merchant_id, seen.view()), ("丝绸", 1, TrustPurchaseView::Promoter));
    for part in ["fake_one_compensates_ten", "timely_shipping_90d"] {
        assert!(failing(&seen).iter().any(|text| text.contains(part)), "{part}: {:?}", failing(&seen));
    }
    for (shown, whole) in seen.conditions.iter().zip(&owner.conditions) {
        assert_eq!(
            (&shown.name, shown.holds, shown.decisive, shown.bound),
            (&whole.name, whole.holds, whole.decisive, whole.bound)
        );
        let figures = [shown.value, shown.gap, shown.numerator, shown.denominator];
        assert!(figures.iter().all(Option::is_none) && shown.what_closes_it.is_none(), "{shown:?}");
        assert!(!shown.sentence.chars().any(|c| c.is_ascii_digit()) || shown.name.chars().any(|c| c.is_ascii_digit()));
    }
    client.grant(1, held(&RIGHTS)).await;
    client.record(vec![good_day(1, "2023-02-27")]).await;
    let seen = status_of(client, promoter).await;
    assert!(seen.granted && !seen.tilts.is_empty());
    assert!(seen.tilts.iter().all(|tilt| tilt.uplift.is_none()), "it follows from the trust score");

    let other = GetTrustPurchaseStatusRequest { promoter_merchant_id: 3, ..promoter };
    refused(client, other).await.is_plain(Code::FailedPrecondition, "NOT_PROMOTER");
    let of_shop = GetTrustPurchaseStatusRequest { target_id: 1, target_kind: TargetKind::Merchant.into(), ..promoter };
    refused(client, of_shop).await.is(Code::InvalidArgument, "BAD_REQUEST", "view");
    let nobody = GetTrustPurchaseStatusRequest { promoter_merchant_id: 0, ..promoter };
    refused(client, nobody).await.is(Code::InvalidArgument, "BAD_REQUEST", "promoter_merchant_id");
    refused(client, ask(TargetKind::Product, 999)).await.is_plain(Code::NotFound, "NOT_REGISTERED");
    refused(client, ask(TargetKind::Merchant, 999)).await.is_plain(Code::NotFound, "NOT_REGISTERED");
    refused(client, ask(TargetKind::Unspecified, 0)).await.is(Code::InvalidArgument, "BAD_REQUEST", "target_kind");
}

#[tokio::test]
async fn a_policy_without_it_has_no_status() {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, content) in trustflow::policy::embedded().files {
        if path != "programmes/trust_purchase.toml" {
            let file = folder.path().join(path);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            std::fs::write(file, content).expect("a file");
        }
    }
    let policy = folder.path().to_owned();
    let server = Server::start_with(NOW, |settings| settings.policy = Some(policy)).await;
    server.client.upsert(vec![merchant(1)]).await;
    let refusal = refused(&server.client, ask(TargetKind::Merchant, 1)).await;
    refusal.is_plain(Code::FailedPrecondition, "NO_TRUST_PURCHASE");
}

async fn search(client: &Client, request: SearchProductsRequest) -> SearchProductsResponse {
    client.insight.clone().search_products(request).await.expect("products").into_inner()
}

fn looking_for(text: &str) -> SearchProductsRequest {
    SearchProductsRequest { text: text.to_owned(), ..SearchProductsRequest::default() }
}

fn ids(found: &SearchProductsResponse) -> Vec<u64> {
    found.products.iter().map(|hit| hit.product_id).collect()
}

#[tokio::test]
async fn products_are_found_by_id_and_by_part_of_the_name() {
    let server = Server::start_at(NOW).await;
    let client = &server.client;
    trusted(client, 1).await;
    client.upsert(vec![merchant(2)]).await;
    let mut products = vec![
        product(500, 1, "新款真丝连衣裙", &[]),
        product(501, 2, "真皮 ÉTÉ Bag", &[]),
        product(502, 1, "第500号真丝围巾", &[]),
    ];
    products.extend((1_000..1_250).map(|id| product(id, 2, &format!("Cotton Sock {id}"), &[])));
    list(client, products).await;

    let found = search(client, looking_for("真丝")).await;
    assert_eq!((ids(&found), found.next_page_token.as_str()), (vec![500, 502], ""));
    let hit = &found.products[0];
    assert_eq!((hit.name.as_str(), hit.merchant_name.as_str()), ("新款真丝连衣裙", "merchant 1"));
    assert!(hit.trust_purchase_granted && hit.labels & Label::TrustPurchase as u32 != 0 && hit.trust_score > 60.0);
    assert_eq!(ids(&search(client, looking_for("500")).await), [500, 502], "the id first, and only once");
    assert_eq!(ids(&search(client, looking_for("été bAG")).await), [501]);
    assert!(!search(client, looking_for("été")).await.products[0].trust_purchase_granted);
    let of_two = SearchProductsRequest { merchant_id: 2, ..looking_for("真") };
    assert_eq!(ids(&search(client, of_two).await), [501]);
    assert!(ids(&search(client, looking_for("羊绒")).await).is_empty());

    let mut request = SearchProductsRequest { page_size: 100, ..looking_for("cotton sock") };
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let page = search(client, request.clone()).await;
        assert!(page.products.len() <= 100);
        all.extend(ids(&page));
        pages += 1;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(all, (1_000..1_250).collect::<Vec<u64>>());
    assert_eq!(pages, 3);

    let refuse = async |request| refusal(client.insight.clone().search_products(request).await);
    let elsewhere = SearchProductsRequest { text: "silk".to_owned(), ..request.clone() };
    refuse(elsewhere).await.is(Code::InvalidArgument, "BAD_REQUEST", "page_token");
    refuse(SearchProductsRequest { page_size: 101, ..looking_for("a") }).await.is(
        Code::InvalidArgument,
        "BAD_REQUEST",
        "page_size",
    );
    refuse(looking_for(" ")).await.is(Code::InvalidArgument, "BAD_REQUEST", "text");
}
