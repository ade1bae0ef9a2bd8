//! The programmes without an end, in March 2023.

use trustflow::proto::{Label, MerchantKind, Scene, TargetKind};

use crate::common::calls::{facts, merchant, target_of, violation};
use crate::common::plus;
use crate::driver::{Case, Driver, shown};
use crate::setup::{Setup, average, good, plain};

const TRUST: &str = "trust.score";

fn kuai_brand() -> Case {
    let member = good().with(|setup| setup.kind = MerchantKind::KuaiBrand);
    let benchmark = average().tag("benchmark").with(|setup| setup.kind = MerchantKind::KuaiBrand);
    let no_repurchase = member.clone().fact(2, "buyers_30d", 1_000).fact(2, "repeat_buyers_30d", 0);
    Case::new("kuai_brand", Scene::Live, TargetKind::LiveRoom, member.clone(), 0.3)
        .refused("merchant.kind", good())
        .refused("signal.experience_price_ratio", member.clone().turned_bad())
        .refused("signal.repurchase_30d", no_repurchase)
        .lift(0.8, member.clone().tag("benchmark"))
        .lift(0.5, benchmark)
        // Newcomers have the Launch Plan, unless their owner is none.
        .lift(0.45, member.clone().opened(60).with(|setup| setup.prior_identity = true))
        .lift(0.4, member.with(|setup| setup.provider = Some(([10; 5], vec!["gold_operator"]))))
}

fn big_brand() -> Case {
    let member = good().with(|setup| setup.kind = MerchantKind::Brand);
    let fans = |fans| member.clone().with(|setup| setup.fans = fans);
    let tagged = |tag| member.clone().with(|setup| setup.product_tags = vec![tag]);
    Case::new("big_brand", Scene::Search, TargetKind::Product, fans(99_999), 0.5)
        .refused("merchant.kind", good())
        .refused(TRUST, member.clone().turned_bad())
        .lift(0.4, fans(100_000))
        .lift(0.4, fans(999_999))
        .lift(0.25, fans(1_000_000))
        // Half of 200,000 yuan in its own rooms.
        .lift(0.3, fans(5_000_000).fact(2, "gmv_live_fen", 10_000_000))
        .lift(0.25, fans(5_000_000).fact(2, "gmv_live_fen", 9_900_000))
        .lift(0.1, fans(5_000_001))
        .lift(0.15, fans(8_000_000).gmv(100, 49_800_000))
        .lift(0.2, fans(8_000_000).gmv(100, 99_800_000))
        .lift(0.75, tagged("new_release"))
        .lift(0.625, tagged("big_sale"))
        .lift(0.55, tagged("daily_sale"))
        .lift(0.35, tagged("clearance"))
}

fn launch() -> Case {
    let newcomer = plain().opened(3);
    let sells = |setup: Setup, yuan| setup.fact(2, "paid_orders", 100).gmv(2, yuan);
    Case::new("new_merchant_launch", Scene::Mall, TargetKind::LiveRoom, newcomer.clone(), 1.5)
        .refused("prior_identity_violation", newcomer.clone().with(|setup| setup.prior_identity = true))
        .refused("merchant.days_since_opening >= 0", newcomer.clone().with(|setup| setup.opened = None))
        .refused("merchant.days_since_opening < 90", plain().opened(90))
        .refused("merchant.stage", sells(newcomer.clone(), 500_000))
        .lift(1.5, sells(newcomer, 499_999))
        .lift(1.5, plain().opened(6))
        .lift(1.0, plain().opened(7))
        .lift(0.4, plain().opened(30))
        .lift(0.4, sells(plain().opened(89), 10_000))
        .with(|case| case.label = Some(Label::NewMerchant))
}

fn upward() -> Case {
    let grown = good().opened(200).gmv(2, 500_000);
    Case::new("upward_mobility", Scene::ShortVideo, TargetKind::ShortVideo, grown.clone(), 0.45)
        .refused("facts.gmv_fen_30d >= 50000000", grown.clone().gmv(2, 499_999))
        .refused("facts.gmv_fen_30d < 5000000000", grown.clone().gmv(2, 50_000_000))
        .refused("merchant.stage", good().opened(60).with(|setup| setup.prior_identity = true))
        .refused(TRUST, grown.clone().turned_bad())
        .lift(0.6, grown.clone().gmv(40, 400_000))
        .lift(0.45, grown.gmv(40, 450_000))
        .lift(0.3, good().gmv(2, 500_000))
        .lift(0.4, good().gmv(2, 600_000).gmv(40, 500_000))
}

fn long_tail() -> Case {
    let member = good().gmv(2, 99_999);
    Case::new("long_tail_floor", Scene::ImageText, TargetKind::Merchant, member.clone(), 0.1)
        .refused("facts.paid_orders_30d", plain())
        .refused("facts.gmv_fen_30d", good().gmv(2, 100_000))
        .refused(TRUST, member.turned_bad())
}

fn hot_product() -> Case {
    let sells = |yuan: u64| good().product_fact(2, "gmv_fen", yuan * 100);
    let reviewed = |bad| sells(1_000_000).product_fact(2, "reviews", 100).product_fact(2, "negative_reviews", bad);
    Case::new("hot_product", Scene::Mall, TargetKind::Product, sells(1_000_000), 0.3)
        .refused("product.facts.gmv_fen_30d", sells(999_999))
        .refused("product.facts.negative_reviews_30d / product.facts.reviews_30d", reviewed(10))
        .refused(TRUST, sells(1_000_000).turned_bad())
        .lift(0.3, reviewed(9))
        .lift(0.45, sells(10_000_000))
        .lift(0.6, sells(100_000_000))
        .not_for(TargetKind::LiveRoom)
}

fn new_product() -> Case {
    let listed = |days| good().with(|setup| setup.product_listed = Some(days));
    Case::new("new_product_super", Scene::ShortVideo, TargetKind::Product, listed(1), 0.4)
        .refused("product.days_since_listing >= 0", good())
        .refused("product.days_since_listing < 30", listed(30))
        .refused("product.facts.fan_orders_30d", listed(20).product_fact(10, "fan_orders", 1))
        .refused(TRUST, listed(1).turned_bad())
        // Others bought it.
        .lift(0.4, listed(29).product_fact(10, "paid_orders", 50))
        .not_for(TargetKind::ShortVideo)
}

/// What keeps a merchant out of Trust Purchase, with the part of the reason.
fn untrusted(member: &Setup) -> Vec<(&'static str, Setup)> {
    let without = |right| member.clone().with(|setup| setup.rights.retain(|other| *other != right));
    vec![
        ("\"fake_one_compensates_ten\" in rights.held", without("fake_one_compensates_ten")),
        ("\"return_freight_compensation\" in rights.held", without("return_freight_compensation")),
        ("\"seven_day_no_reason\" in rights.held", without("seven_day_no_reason")),
        ("measured.negative_review_rate_90d", plain().with_rights().list("promotion", 1)),
        ("signal.negative_review_rate_90d", member.clone().fact(2, "negative_reviews", 130)),
        ("signal.liable_refund_rate_30d", member.clone().fact(2, "liable_refunds", 140)),
        ("signal.timely_shipping_90d", member.clone().fact(2, "shipped_on_time", 880)),
        (TRUST, member.clone().turned_bad()),
    ]
}

/// Members in other ways: what cannot be returned, what is not shipped.
fn trusted_otherwise(member: &Setup) -> [Setup; 2] {
    let only = |setup: Setup, rights: &[&'static str]| setup.with(|setup| setup.rights = rights.to_vec());
    let fresh = member.clone().sells("fresh_food");
    let recharge = member.clone().sells("mobile_recharge");
    [
        only(fresh, &["fake_one_compensates_ten", "return_freight_compensation"]),
        only(recharge, &["fake_one_compensates_ten"]),
    ]
}

async fn trust_purchase(driver: &mut Driver) {
    let member = good().with_rights();
    for (kind, scene) in [
        (TargetKind::LiveRoom, Scene::Live),
        (TargetKind::Product, Scene::Search),
        (TargetKind::Merchant, Scene::Store),
        (TargetKind::Product, Scene::Mall),
    ] {
        let mut case = Case::new("trust_purchase", scene, kind, member.clone(), 0.0).not_in(Scene::ShortVideo);
        case.lift = None;
        case.label = Some(Label::TrustPurchase);
        case.lifts = trusted_otherwise(&member).map(|setup| (None, setup)).to_vec();
        case.refused = untrusted(&member);
        if kind == TargetKind::Product {
            let rated = |bad| member.clone().product_fact(2, "reviews", 50).product_fact(2, "negative_reviews", bad);
            case.refused.push(("product.facts.negative_reviews_30d", rated(5)));
            case.lifts.push((None, rated(4)));
        }
        driver.run(&case).await;
    }
    // The label stands along the whole way of an order, also where nothing is lifted.
    let (case, id) =
        (Case::new("trust_purchase", Scene::Live, TargetKind::Product, member, 0.0), driver.fresh_id(None));
    driver.put(id, &case.setup).await;
    for kind in crate::common::calls::KINDS {
        let scored = driver.client.score(Scene::ShortVideo, kind, &[target_of(kind, id)]).await;
        assert!(scored.labels[0] & Label::TrustPurchase as u32 != 0, "{kind:?} without the label");
    }
    // A violation takes it away at once; when its points are less than 2 it is back by itself.
    let punishment = driver.fresh_violation();
    driver.client.punish(violation(punishment, id, "overtime_unshipped")).await;
    driver.expect_not(&case, id, (Scene::Live, TargetKind::Product), "signal.violation_points").await;
    driver.client.revoke(punishment, id).await;
    let explained = driver.explain(id, Scene::Live, TargetKind::Product).await;
    assert!(shown(&explained, "trust_purchase").eligible);
}

fn promotion_reward() -> Case {
    let member = good().with_rights().list("promotion", 1);
    let mut case = Case::new("promotion_reward", Scene::Live, TargetKind::Product, member.clone(), 0.0)
        .refused("merchant.enrolments", good().with_rights());
    case.refused.extend(untrusted(&member));
    case.lift = None;
    case.lifts = trusted_otherwise(&member).map(|setup| (None, setup)).to_vec();
    case.lifts.push((None, member.clone().with(|setup| setup.promoters = vec![1])));
    case.lifts.push((None, good().with_rights().list("double_11", 1)));
    case.lifts.push((None, good().with_rights().list("spring_non_stop", 1)));
    case
}

fn category_day() -> Case {
    let member = good().sells("shoes");
    Case::new("category_day", Scene::Live, TargetKind::LiveRoom, member.clone(), 0.25)
        .refused("merchant.main_category", good())
        .refused(TRUST, member.clone().turned_bad())
        .lift(0.4, good().sells("fur").tag("womens_wear_circle"))
        .lift(0.5, good().sells("fur").list("quality_mink", 59))
        .lift(0.25, good().sells("fur").list("quality_mink", 60))
        .not_in(Scene::Search)
}

/// Providers are ranked when a day closes; the more their merchants sold, the better.
async fn service_providers(driver: &mut Driver) {
    const STRONG: [u32; 5] = [80; 5];
    const FIRST: u64 = 800_000;
    let yesterday = plus(&driver.today, -1);
    let mut rows = Vec::new();
    let mut merchants = Vec::new();
    for place in 1..=52_u64 {
        driver.provider(FIRST + place, STRONG, if place == 1 { &["gold_operator"] } else { &[] }).await;
        let mut seller = merchant(FIRST + place);
        seller.service_provider_id = FIRST + place;
        merchants.push(seller);
        rows.push(facts(FIRST + place, &yesterday, &[("gmv_fen", 100_000_000_000 - place * 1_000_000_000)]));
    }
    for (at, weak) in (0..5).map(|at| (at, std::array::from_fn(|of| if of == at { 59 } else { 100 }))) {
        let id = FIRST + 60 + at as u64;
        driver.provider(id, weak, &[]).await;
        let mut seller = merchant(id);
        seller.service_provider_id = id;
        merchants.push(seller);
        rows.push(facts(id, &yesterday, &[("gmv_fen", 500_000_000_000)]));
    }
    driver.client.upsert(merchants).await;
    driver.client.record(rows).await;
    // Ranked when the first day closes; their places count from the second on.
    for _ in 0..2 {
        let next = format!("{}T07:00", plus(&driver.today, 1));
        driver.go(&next).await;
    }

    let served = |setup: Setup, place: u64| setup.with(|setup| setup.provider_id = FIRST + place);
    let mut case = Case::new("service_provider", Scene::Live, TargetKind::LiveRoom, served(good(), 2), 0.25)
        .refused("provider.rank", good())
        .refused("provider.rank", served(good(), 51))
        .refused("provider.traffic_marketing", served(good(), 60))
        .refused("provider.anchor_incubation", served(good(), 61))
        .refused("provider.fulfilment", served(good(), 62))
        .refused("provider.supply_chain", served(good(), 63))
        .refused("provider.live_operation", served(good(), 64))
        .refused(TRUST, served(good().turned_bad(), 2))
        .lift(0.5, served(good(), 1))
        .lift(0.4, served(good().opened(60).with(|setup| setup.prior_identity = true), 3))
        .lift(0.35, served(good().with(|setup| setup.kind = MerchantKind::KuaiBrand), 3))
        .lift(0.3, served(good().with(|setup| setup.belt = "baigou"), 10))
        .lift(0.25, served(good(), 10))
        .lift(0.15, served(good(), 11))
        .lift(0.15, served(good(), 50));
    case.not_in = Some(Scene::Mall);
    driver.run(&case).await;
}

/// Out of the Launch Plan, into the Upward Mobility Plan: never in both.
async fn graduation(driver: &mut Driver) {
    let id = driver.fresh_id(None);
    let steps =
        [("entry", 0, 0), ("cold_start", 100, 300_000), ("growth", 1_000, 700_000), ("mature", 1_000, 6_000_000)];
    for (stage, orders, yuan) in steps {
        let setup = good().opened(60).fact(2, "paid_orders", orders).gmv(2, yuan);
        driver.put(id, &setup).await;
        let explained = driver.explain(id, Scene::Live, TargetKind::LiveRoom).await;
        assert_eq!(explained.stage, stage);
        let is_in = ["new_merchant_launch", "upward_mobility"].map(|id| shown(&explained, id).eligible);
        let is_young = stage == "entry" || stage == "cold_start";
        assert_eq!(is_in, [is_young, !is_young], "{stage}");
    }
}

/// Who is held out is told so, is lifted by nothing, and stays out.
async fn holdout(driver: &mut Driver) {
    let case = upward();
    let id = driver.fresh_id(Some("upward_mobility"));
    driver.put(id, &case.setup).await;
    driver.expect_not(&case, id, (case.scene, case.kind), "held out").await;
    let scored = driver.client.score(case.scene, case.kind, &[target_of(case.kind, id)]).await;
    assert!(scored.labels[0] & Label::Holdout as u32 != 0, "labelled");
}

pub(crate) async fn run(driver: &mut Driver) {
    driver.go("2023-02-14T07:00").await;
    driver.run_closed(&promotion_reward()).await;
    // A Wednesday.
    driver.go("2023-03-01T07:00").await;
    driver.run_closed(&category_day()).await;
    for case in [kuai_brand(), big_brand(), launch(), upward(), long_tail(), hot_product(), new_product()] {
        driver.run(&case).await;
    }
    graduation(driver).await;
    holdout(driver).await;
    trust_purchase(driver).await;
    driver.run(&promotion_reward()).await;
    service_providers(driver).await;
    // Saturday: from 18 o'clock to midnight.
    driver.go("2023-03-04T17:59").await;
    driver.run_closed(&category_day()).await;
    driver.go("2023-03-04T18:00").await;
    driver.run(&category_day()).await;
    driver.go("2023-03-05T00:00").await;
    driver.run_closed(&category_day()).await;
}
