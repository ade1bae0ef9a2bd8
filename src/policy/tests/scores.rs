//! What the shipped policy makes of merchants.

use super::sample::{Sample, embedded_policy};
use crate::domain::{Enrolment, MerchantKind, Scene, TargetKind};
use crate::policy::{Dictionary, Policy, compile, embedded};
use crate::traffic::{ItemClass, Label, weigh};
use crate::trust::{SignalRow, SignalState};
use proptest::prelude::*;

fn row(policy: &Policy, rows: &[SignalRow], id: &str) -> SignalRow {
    let index = policy.model.signals.iter().position(|signal| signal.id == id).expect("a signal");
    rows[index]
}

/// A merchant that does everything well.
fn perfect() -> Sample {
    let facts = [
        ("paid_orders", 10_000),
        ("created_orders", 10_000),
        ("cancelled_orders", 5),
        ("gmv_fen", 100_000_000),
        ("refunded_orders", 100),
        ("liable_refunds", 5),
        ("promised_orders", 9_500),
        ("lightning_buy_orders", 0),
        ("shipments_due", 10_000),
        ("shipped_on_time", 9_980),
        ("collections_due", 10_000),
        ("abnormal_collections", 5),
        ("deliveries_due", 10_000),
        ("delivered_on_time", 9_950),
        ("delivered_orders", 10_000),
        ("reviews", 5_000),
        ("negative_reviews", 20),
        ("review_points", 24_900),
        ("complaints", 2),
        ("reports", 0),
        ("reports_upheld", 0),
        ("submitted_listings", 500),
        ("intercepted_listings", 0),
        ("jury_votes", 500),
        ("jury_votes_against", 5),
        ("claims_due", 100),
        ("claims_honoured", 100),
        ("freight_claims_due", 300),
        ("freight_claims_honoured", 300),
        ("protected_orders", 10_000),
        ("fan_orders", 8_000),
        ("new_buyer_orders", 5_000),
        ("exposures_live", 5_000_000),
        ("gmv_live_fen", 200_000_000),
        ("after_sales_requests", 300),
        ("after_sales_on_time", 300),
        ("quality_returns", 10),
        ("description_mismatches", 5),
        ("im_sessions", 1_000),
        ("im_replied_on_time", 995),
        ("anchor_ratings", 1_000),
        ("anchor_rating_points", 4_950),
        ("anchor_reports", 0),
        ("broadcast_minutes", 12_600),
        ("authenticity_checks", 100),
        ("authenticity_failures", 0),
        ("disputes", 20),
        ("disputes_lost", 0),
        ("price_index", 8_500),
        ("shopping_experience_score", 490),
        ("repeat_customer_index", 9_500),
        ("fan_purchase_rate", 7_671),
        ("buyers_14d", 5_000),
        ("repeat_buyers_14d", 1_500),
        ("buyers_30d", 5_000),
        ("repeat_buyers_30d", 2_100),
        ("buyers_90d", 8_000),
        ("repeat_buyers_90d", 6_200),
    ];
    Sample::default().with(&facts).opened(800).holding(&[
        "fake_one_compensates_ten",
        "refund_without_return",
        "seven_day_no_reason",
        "return_freight_compensation",
    ])
}

/// A merchant that does most things badly.
fn poor() -> Sample {
    let facts = [
        ("paid_orders", 3_000),
        ("created_orders", 4_000),
        ("cancelled_orders", 600),
        ("refunded_orders", 1_200),
        ("liable_refunds", 600),
        ("shipments_due", 3_000),
        ("shipped_on_time", 1_500),
        ("collections_due", 3_000),
        ("abnormal_collections", 500),
        ("deliveries_due", 3_000),
        ("delivered_on_time", 1_500),
        ("delivered_orders", 2_500),
        ("reviews", 1_000),
        ("negative_reviews", 450),
        ("review_points", 2_500),
        ("complaints", 300),
        ("reports_upheld", 80),
        ("exposures_live", 1_000_000),
        ("submitted_listings", 200),
        ("intercepted_listings", 30),
        ("quality_returns", 400),
        ("description_mismatches", 350),
        ("price_index", 12_500),
        ("shopping_experience_score", 310),
        ("buyers_30d", 2_500),
        ("repeat_buyers_30d", 20),
        ("buyers_90d", 2_500),
        ("repeat_buyers_90d", 40),
    ];
    Sample::default().with(&facts).opened(400).violating("counterfeit")
}

#[test]
fn a_merchant_without_facts_scores_its_priors_and_is_neutral() {
    let policy = embedded_policy();
    let (made, rows) = Sample::default().record(&policy);
    assert!((60.0..70.0).contains(&made.trust.score), "{}", made.trust.score);
    assert!(made.trust.layers.iter().all(|layer| layer.score > 0.3 && !layer.is_prior));
    let shipping = row(&policy, &rows, "timely_shipping_90d");
    assert_eq!(shipping.state, SignalState::NoData);
    assert!((shipping.smoothed - 0.93).abs() < 1e-12);
    for scene in Scene::ALL {
        assert!((made.record.tilt[scene.index()] - 1.0).abs() < 0.05, "{}", scene.name());
    }
    assert_eq!(policy.model.tiers[made.trust.tier].id, "standard");
}

#[test]
fn good_average_and_poor_merchants_are_told_apart() {
    let policy = embedded_policy();
    let scores = [perfect(), Sample::default(), poor()].map(|sample| sample.trust(&policy).score);
    let [perfect, unknown, poor] = scores;
    assert!(perfect > 92.0, "{scores:?}");
    assert!(unknown - poor > 20.0 && perfect - unknown > 20.0, "{scores:?}");
    assert!(poor < 35.0, "{scores:?}");
}

#[test]
fn orders_shipping_and_reviews_alone_tell_merchants_apart() {
    let policy = embedded_policy();
    let shop = |on_time: u64, bad: u64, points: u64| {
        let facts = [
            ("paid_orders", 200),
            ("created_orders", 202),
            ("cancelled_orders", 2),
            ("shipments_due", 200),
            ("shipped_on_time", on_time),
            ("deliveries_due", 200),
            ("delivered_on_time", on_time),
            ("reviews", 150),
            ("negative_reviews", bad),
            ("review_points", points),
            ("buyers_90d", 190),
            ("repeat_buyers_90d", 6),
        ];
        Sample::default().with(&facts).trust(&policy).score
    };
    let (good, late, disliked) = (shop(198, 6, 690), shop(150, 6, 690), shop(198, 60, 480));
    assert!(good - late > 10.0 && good - disliked > 10.0, "{good} {late} {disliked}");
}

#[test]
fn withholding_a_bad_figure_is_not_the_same_as_having_none() {
    let policy = embedded_policy();
    let reviewed = Sample::default().with(&[("reviews", 1_000)]);
    let (withheld, rows) = reviewed.record(&policy);
    let rate = row(&policy, &rows, "negative_review_rate_90d");
    assert_eq!(rate.state, SignalState::NoData, "negative_reviews was never sent");
    let (clean, rows) = reviewed.with(&[("negative_reviews", 0)]).record(&policy);
    assert_eq!(row(&policy, &rows, "negative_review_rate_90d").state, SignalState::Measured);
    assert!(clean.trust.score > withheld.trust.score);
}

#[test]
fn virtual_goods_have_no_logistics_and_the_other_weights_renormalise() {
    let policy = embedded_policy();
    let late = Sample::default().with(&[("paid_orders", 100), ("shipments_due", 100), ("shipped_on_time", 10)]);
    let mut virtual_shop = late.clone();
    virtual_shop.merchant.categories = vec!["mobile_recharge".into()].into();
    let (made, rows) = virtual_shop.record(&policy);
    assert_eq!(row(&policy, &rows, "timely_shipping_90d").state, SignalState::NotApplicable);
    assert!(made.trust.score > late.trust(&policy).score + 3.0, "late shipping is not theirs");
    for layer in crate::trust::Layer::ALL {
        let weights = policy.model.signals.iter().zip(&rows).filter(|(signal, _)| signal.layer == layer);
        let sum: f64 = weights.map(|(_, row)| row.effective_weight).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{} {sum}", layer.name());
    }
    virtual_shop.merchant.categories = vec!["mobile_recharge".into(), "clothing".into()].into();
    let (_, rows) = virtual_shop.record(&policy);
    assert_eq!(row(&policy, &rows, "timely_shipping_90d").state, SignalState::Measured, "some of it is shipped");
}

#[test]
fn the_experience_price_ratio_rises_as_prices_fall() {
    let policy = embedded_policy();
    let value = |index: u64| {
        let (_, rows) = Sample::default().with(&[("price_index", index)]).record(&policy);
        row(&policy, &rows, "experience_price_ratio").value
    };
    assert!(value(8_000) > value(10_000) && value(10_000) > value(12_000));
}

#[test]
fn a_ban_closes_the_gate() {
    let policy = embedded_policy();
    let (made, _) = perfect().violating("ban").record(&policy);
    assert_eq!((made.record.trust, made.trust.tier), (0.0, 0));
    let rules = policy.weight_rules.in_scene(Scene::Mall, u64::MAX, false);
    for kind in TargetKind::ALL {
        let class = ItemClass::new(&policy.programmes, kind, None, 1.0);
        let weight = weigh(&rules, &made.record.row(Scene::Mall, kind), &class);
        assert!(weight.is_excluded() && weight.weight <= 0.0, "{}", kind.name());
    }
}

#[test]
fn newcomers_are_launched_unless_their_owner_was_punished() {
    let policy = embedded_policy();
    let uplift = |sample: &Sample| sample.weight(&policy).uplift;
    for (days, expected) in [(0, 1.5), (6, 1.5), (7, 1.0), (29, 1.0), (30, 0.4), (89, 0.4), (90, 0.0)] {
        let found = uplift(&Sample::default().opened(days));
        assert!((found - expected).abs() < 1e-6, "{days} days: {found}");
    }
    let mut again = Sample::default().opened(3);
    assert_ne!(again.weight(&policy).labels & Label::NewMerchant.bit(), 0);
    again.merchant.prior_identity_violation = true;
    assert!(uplift(&again) <= 0.0);
    let next = Sample::default().opened(3).record(&policy).0.next_change.expect("it changes by itself");
    assert_eq!(next.day(), super::sample::day(super::sample::FACTS_DAY).plus(1 + 4), "on the seventh day");
}

#[test]
fn kuai_brands_are_supported_and_benchmarks_more() {
    let policy = embedded_policy();
    let mut brand = perfect();
    brand.merchant.kind = MerchantKind::KuaiBrand;
    let plain = brand.weight(&policy);
    brand.merchant.tags = vec!["benchmark".into()].into();
    let benchmark = brand.weight(&policy);
    assert!(benchmark.uplift > plain.uplift && plain.uplift > 0.0);
    assert_eq!(plain.labels & Label::Benchmark.bit(), 0);
    assert_ne!(benchmark.labels & Label::Benchmark.bit(), 0);
    assert_ne!(plain.labels & Label::KuaiBrand.bit(), 0);
}

#[test]
fn an_enrolment_that_lies_ahead_changes_the_record_on_its_day() {
    let mut text = crate::policy::embedded();
    for (_, content) in &mut text.files {
        *content = content.replace("\"benchmark\" in merchant.tags", "\"kuai_brand\" in merchant.enrolments");
    }
    let policy = crate::policy::compile(&text, 1, &mut crate::policy::Dictionary::default()).expect("a policy");
    let mut brand = perfect();
    brand.merchant.kind = MerchantKind::KuaiBrand;
    let begins = super::sample::day("2023-02-20");
    brand.merchant.enrolments = vec![Enrolment { list: "kuai_brand".into(), day: begins }];
    let (made, _) = brand.record(&policy);
    assert_eq!(made.record.labels & Label::Benchmark.bit(), 0);
    assert_eq!(made.next_change, Some(begins.start()));
}

#[test]
fn trust_purchase_is_granted_on_rights_and_thresholds() {
    let policy = embedded_policy();
    let is_member = |sample: &Sample| sample.weight(&policy).labels & Label::TrustPurchase.bit() != 0;
    assert!(is_member(&perfect()));
    let mut without = perfect();
    without.rights.retain(|right| right.right != "fake_one_compensates_ten");
    assert!(!is_member(&without), "a right is missing");
    assert!(!is_member(&perfect().violating("delist_all")), "not clean");
    let mut disliked = perfect();
    disliked.facts.retain(|(name, _)| name != "negative_reviews");
    assert!(!is_member(&disliked), "reviews were withheld");
    assert!(!is_member(&disliked.with(&[("negative_reviews", 1_300)])), "26 % bad reviews");
    let (made, _) = perfect().record(&policy);
    let tilt = f64::from(made.record.tilt[Scene::Live.index()]);
    assert!(perfect().weight(&policy).tilt > tilt, "tilted in live rooms");
    let bit = policy.programmes.iter().find(|p| p.id == "trust_purchase").expect("it is shipped").bit;
    let boost = made.record.boosts.iter().find(|boost| boost.bit == bit).expect("it lifts");
    assert_eq!(boost.scenes & Scene::ShortVideo.mask(), 0, "not in short videos");
    assert_ne!(boost.scenes & Scene::Live.mask(), 0, "in live rooms");
}

#[test]
fn counters_never_sent_are_no_reason_to_fail() {
    let policy = compile(&embedded(), 1, &mut Dictionary::default()).expect("compiles");
    let disabled = vec![true; policy.model.signals.len()];
    let mut rows = Vec::new();
    let trust = Sample::default().view(&policy, |view| crate::trust::score(&policy.model, view, &disabled, &mut rows));
    assert!(trust.layers.iter().all(|layer| layer.is_prior), "each layer takes its declared prior");
    assert!((trust.score - 50.0).abs() < 1e-9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_score_is_between_0_and_100_and_the_same_again(
        values in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![0_u64..20, 0_u64..100_000, any::<u64>()]), 0..80),
        days in -5_i32..800,
        kind in prop::sample::select(vec!["none", "counterfeit", "overtime_unshipped", "ban"]),
    ) {
        let policy = EMBEDDED.with(Clone::clone);
        let mut sample = Sample::default().opened(days);
        for (index, value) in values {
            sample.facts.push((policy.counters[index.index(policy.counters.len())].name.clone(), value));
        }
        if kind != "none" {
            sample = sample.violating(kind);
        }
        let (made, rows) = sample.record(&policy);
        prop_assert!((0.0..=100.0).contains(&made.trust.score));
        for row in &rows {
            prop_assert!((0.0..=1.0).contains(&row.value) && row.smoothed.is_finite());
        }
        let (again, rows_again) = sample.record(&policy);
        prop_assert_eq!(again.trust.score.to_bits(), made.trust.score.to_bits());
        prop_assert_eq!(again.record, made.record);
        prop_assert_eq!(rows_again, rows);
    }
}

thread_local! {
    static EMBEDDED: std::rc::Rc<Policy> = std::rc::Rc::new(embedded_policy());
}
