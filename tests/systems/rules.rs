//! The rules beside the programmes: force majeure, waiver, violations, rights.

use trustflow::proto::{
    HeldRight, Label, OrderContext, RecordViolationRequest, Scene, SignalState, TargetKind, ViolationDecision,
};

use crate::common::calls::{KINDS, items_of, signal, target_of, violation};
use crate::common::plus;
use crate::driver::Driver;
use crate::setup::{good, plain};

/// The dated parameter of return freight: 30 days, 90 since spring 2022.
pub(crate) async fn claim_window(driver: &mut Driver, expected: u64) {
    let id = driver.fresh_id(None);
    driver.put(id, &plain()).await;
    let explained = driver.explain(id, Scene::Live, TargetKind::Merchant).await;
    let right = explained.rights.iter().find(|right| right.id == "return_freight_compensation").expect("a right");
    assert_eq!(right.parameter, Some(expected), "on {}", driver.today);
}

/// In the region's days an order of physical goods from or to it draws no penalty.
pub(crate) async fn force_majeure(driver: &mut Driver) {
    let order = |sender: &str, recipient: &str, is_virtual| OrderContext {
        sender_region: sender.to_owned(),
        recipient_region: recipient.to_owned(),
        r#virtual: is_virtual,
    };
    // 1 April 2022, and 1 June 2022 for the last two.
    let is_later = driver.today.as_str() >= "2022-06-01";
    let regions = driver.policy.model.violations.force_majeure.clone();
    assert!(!regions.is_empty());
    let mut exempt = 0;
    for region in &regions {
        let today = trustflow::domain::Day::parse(&driver.today).expect("a date");
        let is_on = region.first <= today && today <= region.last;
        let other = "guangdong";
        for (order, expected) in [
            (order(&region.region, other, false), is_on),
            (order(other, &region.region, false), is_on),
            (order(&region.region, other, true), false),
            (order(other, other, false), false),
        ] {
            let id = driver.fresh_id(None);
            driver.put(id, &good()).await;
            let before = driver.client.weight(TargetKind::Merchant, id).await;
            let request = violation(driver.fresh_violation(), id, "overtime_unshipped");
            let answer = driver.client.punish(RecordViolationRequest { order: Some(order.clone()), ..request }).await;
            let after = driver.client.weight(TargetKind::Merchant, id).await;
            let what = format!("{order:?} on {today}");
            assert_eq!(answer.decision() == ViolationDecision::Exempt, expected, "{what}");
            assert_eq!(after.to_bits() == before.to_bits(), expected, "{what}: {before} and {after}");
            exempt += usize::from(expected);
        }
    }
    assert_eq!(exempt > 0, !is_later, "on {}", driver.today);
}

/// Every right: where it applies, held and not; what is held raises the score.
pub(crate) async fn rights(driver: &mut Driver) {
    let today = trustflow::domain::Day::parse(&driver.today).expect("a date");
    for right in driver.policy.model.rights.clone() {
        let category: &'static str = match right.categories.first().map(String::as_str) {
            None => "auto_parts",
            Some("used_phones") => "used_phones",
            Some(_) => "beauty",
        };
        let id = driver.fresh_id(None);
        driver.put(id, &plain().sells(category)).await;
        let without = driver.explain(id, Scene::Live, TargetKind::Merchant).await;
        let held = vec![HeldRight { right: right.id.clone(), ..HeldRight::default() }];
        driver.client.grant(id, held).await;
        let with = driver.explain(id, Scene::Live, TargetKind::Merchant).await;
        let of = |explained: &trustflow::proto::ExplainScoreResponse| {
            let shown = explained.rights.iter().find(|shown| shown.id == right.id).expect("in the catalogue");
            (shown.applicable, shown.held, signal(explained, "rights_coverage").numerator)
        };
        let (applies, was_held, before) = of(&without);
        assert!(applies && !was_held, "{} on {today}", right.id);
        let (_, is_held, after) = of(&with);
        assert!(is_held && after > before, "{} raises the coverage: {before} to {after}", right.id);
        let score =
            |explained: &trustflow::proto::ExplainScoreResponse| explained.trust.as_ref().expect("a score").score;
        assert!(score(&with) > score(&without), "{} raises the score", right.id);
        // Where it does not apply it is neither held nor missing.
        let elsewhere: &'static str = if right.except_categories.is_empty() { "auto_parts" } else { "mobile_recharge" };
        let is_for_all = right.categories.is_empty() && right.except_categories.is_empty();
        driver.put(id, &plain().sells(elsewhere)).await;
        let explained = driver.explain(id, Scene::Live, TargetKind::Merchant).await;
        assert_eq!(of(&explained).0, is_for_all, "{} for {elsewhere}", right.id);
    }
    // Goods that another party ships, and goods that nobody ships: signals of shipping do not apply.
    let id = driver.fresh_id(None);
    for (setup, applies) in [
        (good(), true),
        (good().tag("ships_by_others"), false),
        (good().sells("local_catering"), false),
        (good(), true),
    ] {
        driver.put(id, &setup).await;
        let explained = driver.explain(id, Scene::Live, TargetKind::Merchant).await;
        for shipping in ["timely_shipping_30d", "timely_shipping_90d", "abnormal_collection_rate_30d"] {
            let state = signal(&explained, shipping).state();
            assert_eq!(state != SignalState::NotApplicable, applies, "{shipping}: {state:?}");
        }
    }
}

/// Every type of violation: what it leaves of each kind of target, and that it ends.
pub(crate) async fn violations(driver: &mut Driver) {
    for kind in driver.policy.model.violations.types.clone() {
        let id = driver.fresh_id(None);
        driver.put(id, &good()).await;
        let mut before = Vec::new();
        for target in KINDS {
            before.push(driver.explain(id, Scene::Live, target).await);
        }
        let punishment = driver.fresh_violation();
        let mut request = violation(punishment, id, &kind.id);
        if kind.is_item_scoped {
            (request.target_kind, request.target_id) = (TargetKind::ShortVideo.into(), items_of(id).2);
        }
        driver.client.punish(request).await;
        for (target, before) in KINDS.into_iter().zip(&before) {
            let at = match target {
                TargetKind::LiveRoom => 0,
                TargetKind::Product => 1,
                TargetKind::Merchant | TargetKind::Unspecified => 2,
                TargetKind::ShortVideo => 3,
            };
            let expected = kind.factors[domain_kind(at).index()];
            let explained = driver.explain(id, Scene::Live, target).await;
            let weight = explained.weight.as_ref().expect("a weight");
            let row = explained.row.as_ref().expect("a row");
            let what = format!("{} on {target:?}", kind.id);
            assert!((weight.penalty * weight.item_factor - expected).abs() < 1e-6, "{what}: {weight:?}");
            let labels = [(expected <= 0.0, Label::Excluded), (expected < 1.0, Label::Penalised)];
            for (expected, label) in labels {
                assert_eq!(row.labels & label as u32 != 0, expected, "{what}: {label:?}");
            }
            let was = before.row.as_ref().expect("a row").boost_weight;
            assert_eq!(row.boost_weight < was, expected < 1.0 || kind.points > 0.0, "{what}: {was} before");
            assert_eq!(row.trust_score.to_bits() == 0, kind.closes_gate, "{what}: the gate");
        }
        driver.client.revoke(punishment, id).await;
        let scored = driver.client.score(Scene::Live, TargetKind::ShortVideo, &[items_of(id).2]).await;
        let was = before.last().and_then(|explained| explained.row.as_ref()).expect("a row").boost_weight;
        assert_eq!(scored.boost_weights[0].to_bits(), was.to_bits(), "{}: revoked", kind.id);
    }
}

fn domain_kind(at: usize) -> trustflow::domain::TargetKind {
    use trustflow::domain::TargetKind::{LiveRoom, Merchant, Product, ShortVideo};
    [LiveRoom, Product, Merchant, ShortVideo][at]
}

/// One penalty a week is waived for who met the bounds in the week before; each bound is missed by one.
pub(crate) async fn high_in_stock_waiver(driver: &mut Driver) {
    // The Wednesday after; the week before ended on Sunday the 12th.
    driver.go("2023-03-15T07:00").await;
    let week = |paid, promised, due, on_time| {
        plain().fact(4, "paid_orders", paid).fact(4, "promised_orders", promised).fact(4, "shipments_due", due).fact(
            4,
            "shipped_on_time",
            on_time,
        )
    };
    for (setup, is_waived) in [
        (week(3_001, 2_101, 3_000, 2_910), true),
        (week(3_000, 2_101, 3_000, 2_910), false),
        (week(3_010, 2_107, 3_000, 2_910), false),
        (week(3_001, 2_101, 3_000, 2_909), false),
    ] {
        let id = driver.fresh_id(None);
        driver.put(id, &setup).await;
        let before = driver.client.weight(TargetKind::LiveRoom, target_of(TargetKind::LiveRoom, id)).await;
        let punishment = driver.fresh_violation();
        let answer = driver.client.punish(violation(punishment, id, "overtime_unshipped")).await;
        assert_eq!(answer.decision() == ViolationDecision::Waived, is_waived, "{:?}", setup.facts);
        let after = driver.client.weight(TargetKind::LiveRoom, target_of(TargetKind::LiveRoom, id)).await;
        assert_eq!(after.to_bits() == before.to_bits(), is_waived, "{before} and {after}");
        let explained = driver.explain(id, Scene::Live, TargetKind::LiveRoom).await;
        let waiver = explained.waiver.expect("a waiver");
        assert_eq!((waiver.earned, waiver.used_by_violation_id != 0), (is_waived, is_waived));
        if is_waived {
            // Another kind of penalty is not, nor a second one; a new week is no better for the old one.
            let others = [("overtime_unshipped", false), ("false_advertising", false)];
            for (kind, expected) in others {
                let request = violation(driver.fresh_violation(), id, kind);
                let answer = driver.client.punish(request).await;
                assert_eq!(answer.decision() == ViolationDecision::Waived, expected, "{kind}");
            }
        }
    }
    let unused = driver.fresh_id(None);
    driver.put(unused, &week(3_001, 2_101, 3_000, 2_910)).await;
    let next_week = format!("{}T07:00", plus(&driver.today, 7));
    driver.go(&next_week).await;
    let request = violation(driver.fresh_violation(), unused, "overtime_unshipped");
    let answer = driver.client.punish(request).await;
    assert_eq!(answer.decision(), ViolationDecision::Applied, "what was not used is void");
}
