//! What closes a condition: exactly enough, and one less is not.

use proptest::prelude::*;

use super::sample::{FACTS_DAY, Sample, day, embedded_policy};
use crate::policy::Policy;
use crate::trust::{
    Closing, Comparison, Condition, Ground, Input, ListColumn, MerchantView, NumberColumn, Predicate, Seen, Step, Test,
    TrustView, closing, score,
};

/// A predicate of one condition.
fn single(test: Test, is_negated: bool) -> Predicate {
    let mut steps = vec![Step::Condition(0)];
    if is_negated {
        steps.push(Step::Not);
    }
    Predicate { conditions: vec![Condition { text: "tested".to_owned(), test }], steps }
}

/// Whether a predicate holds for a view, and what closes its first condition.
fn judge(policy: &Policy, view: &MerchantView, predicate: &Predicate) -> (bool, Closing) {
    let mut signals = Vec::new();
    let trust = score(&policy.model, view, &[], &mut signals);
    let found = TrustView { trust: &trust, signals: &signals, tier: "", stage: "" };
    let ground = Ground { model: &policy.model, seen: Seen::merchant(view, Some(&found)) };
    let results = predicate.typed_results(&ground.seen);
    (predicate.holds(&ground.seen), closing(&ground, &results[0]))
}

fn judged(policy: &Policy, sample: &Sample, predicate: &Predicate) -> (bool, Closing) {
    sample.view(policy, |view| judge(policy, view, predicate))
}

fn signal(policy: &Policy, id: &str) -> u16 {
    let position = policy.model.signals.iter().position(|signal| signal.id == id).expect("a signal");
    u16::try_from(position).expect("few")
}

/// A merchant with these counters and some more of some.
fn counting(facts: &[(String, u64)], more: &[(&str, u64)]) -> Sample {
    let mut facts = facts.to_vec();
    for (name, by) in more {
        match facts.iter_mut().find(|(known, _)| known == name) {
            Some((_, value)) => *value += by,
            None => facts.push(((*name).to_owned(), *by)),
        }
    }
    Sample { facts, ..Sample::default() }
}

fn name_of(policy: &Policy, inputs: &[Input]) -> Option<String> {
    let Input::Sum(sum) = inputs.first()? else { return None };
    let (id, _) = policy.model.layout.sum(*sum).expect("a sum");
    policy.counters.iter().find(|counter| counter.id == *id).map(|counter| counter.name.clone())
}

/// Signal, part, whole, and whether more is better.
const SHARES: [(&str, &str, &str, bool); 4] = [
    ("timely_shipping_90d", "shipped_on_time", "shipments_due", true),
    ("negative_review_rate_90d", "negative_reviews", "reviews", false),
    ("liable_refund_rate_30d", "liable_refunds", "paid_orders", false),
    ("complaint_rate_30d", "complaints", "paid_orders", false),
];

thread_local! {
    static POLICY: std::rc::Rc<Policy> = std::rc::Rc::new(embedded_policy());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn exactly_so_many_good_observations_make_a_share_hold(
        which in 0..SHARES.len(),
        whole in 0_u64..20_000,
        part in prop::option::of(0_u64..25_000),
        bound in 1_u32..1_000,
        is_strict: bool,
        is_negated: bool,
    ) {
        let policy = POLICY.with(Clone::clone);
        let (id, part_name, whole_name, is_better) = SHARES[which];
        let wanted = match (is_better, is_strict) {
            (true, true) => Comparison::Greater,
            (true, false) => Comparison::AtLeast,
            (false, true) => Comparison::Less,
            (false, false) => Comparison::AtMost,
        };
        let column = NumberColumn::Signal(signal(&policy, id));
        let comparison = if is_negated { wanted.negated() } else { wanted };
        let predicate = single(Test::Number(column, comparison, f64::from(bound) / 1_000.0), is_negated);
        let mut facts = vec![(whole_name.to_owned(), whole)];
        facts.extend(part.map(|part| (part_name.to_owned(), part)));
        let (holds, closing) = judged(&policy, &counting(&facts, &[]), &predicate);
        if holds {
            prop_assert_eq!(closing, Closing::Nothing);
            return Ok(());
        }
        let Closing::Observations { more, whole, part, withheld } = closing else {
            // A part that exceeds the whole is capped: nothing else is out of reach of bounds between 0 and 1.
            prop_assert_eq!(closing, Closing::Unknown);
            return Err(TestCaseError::fail("out of reach"));
        };
        let names = (name_of(&policy, &whole), name_of(&policy, &part));
        prop_assert_eq!(names, (Some(whole_name.to_owned()), is_better.then(|| part_name.to_owned())));
        let after = |more: u64| {
            let mut good = vec![(whole_name, more)];
            // What is withheld is sent with the first of them: 0 if there were none.
            good.push((part_name, if is_better { more } else { 0 }));
            judged(&policy, &counting(&facts, &good), &predicate).0
        };
        prop_assert!(after(more), "{} are enough", more);
        prop_assert_eq!(more == 0, !withheld.is_empty() && after(0));
        // Without any, what is withheld stays so; the first one already sends it.
        if more > 1 {
            prop_assert!(!after(more - 1), "{} are not", more - 1);
        }
    }

    #[test]
    fn exactly_so_many_days_take_the_points_below_a_bound(
        kinds in prop::collection::vec(prop::sample::select(vec!["delist_all", "overtime_unshipped", "false_advertising"]), 1..4),
        bound in 1_u32..30,
        ago in 0_i32..60,
    ) {
        let policy = POLICY.with(Clone::clone);
        let mut sample = Sample::default();
        for kind in kinds {
            sample = sample.violating(kind);
        }
        sample.violations[0].occurred_at = day(FACTS_DAY).plus(-ago).start();
        let column = NumberColumn::Signal(signal(&policy, "violation_points"));
        let predicate = single(Test::Number(column, Comparison::Less, f64::from(bound)), false);
        sample.view(&policy, |view| {
            let (holds, closing) = judge(&policy, view, &predicate);
            let Closing::FactsDay(first) = closing else {
                prop_assert_eq!((holds, closing), (true, Closing::Nothing));
                return Ok(());
            };
            prop_assert!(!holds && first > view.facts_day);
            let on = |facts_day| judge(&policy, &MerchantView { facts_day, ..*view }, &predicate).0;
            prop_assert!(on(first) && !on(first.plus(-1)), "{} and not the day before", first);
            Ok(())
        })?;
    }
}

#[test]
fn figures_without_data_ask_for_what_was_not_sent() {
    let policy = embedded_policy();
    let index = signal(&policy, "negative_review_rate_90d");
    let measured = single(Test::Flag(crate::trust::FlagColumn::SignalMeasured(index)), false);
    let reviews = vec![("reviews".to_owned(), 30)];
    let (holds, closing) = judged(&policy, &counting(&reviews, &[]), &measured);
    let Closing::Observations { more: 0, withheld, .. } = closing else { panic!("{closing:?}") };
    assert!(!holds && name_of(&policy, &withheld).as_deref() == Some("negative_reviews"));
    assert!(judged(&policy, &counting(&reviews, &[("negative_reviews", 0)]), &measured).0);
    let (_, closing) = judged(&policy, &counting(&[], &[]), &measured);
    assert!(matches!(closing, Closing::Observations { more: 1, .. }), "{closing:?}");
}

#[test]
fn levels_counts_and_days_are_exact() {
    let policy = embedded_policy();
    let sample = Sample::default().opened(10);
    let (_, closing) = judged(
        &policy,
        &sample,
        &single(Test::Number(NumberColumn::DaysSinceOpening, Comparison::Greater, 30.0), false),
    );
    assert_eq!(closing, Closing::Day(day(FACTS_DAY).plus(1 + 21)));
    let fans = single(Test::Number(NumberColumn::FanCount, Comparison::AtLeast, 99.5), false);
    assert_eq!(judged(&policy, &sample, &fans).1, Closing::More { by: 100, of: vec![] });
    let late = single(Test::Number(NumberColumn::DaysSinceOpening, Comparison::Less, 5.0), false);
    assert_eq!(judged(&policy, &sample, &late).1, Closing::Unknown, "time does not go back");

    let column = NumberColumn::Signal(signal(&policy, "price_index"));
    let cheap = single(Test::Number(column, Comparison::AtMost, 0.9), false);
    let with = |index: u64| Sample::default().with(&[("price_index", index)]);
    let (holds, closing) = judged(&policy, &with(12_000), &cheap);
    let Closing::Level { to, .. } = closing else { panic!("{closing:?}") };
    assert!(!holds && judged(&policy, &with(to), &cheap).0 && !judged(&policy, &with(to + 1), &cheap).0);
}

#[test]
fn rights_and_points_are_named() {
    let policy = embedded_policy();
    let right = single(Test::Member(ListColumn::Rights, "seven_day_no_reason".to_owned()), false);
    let wanted = Closing::Rights(vec!["seven_day_no_reason".to_owned()]);
    assert_eq!(judged(&policy, &Sample::default(), &right).1, wanted);

    let column = NumberColumn::Signal(signal(&policy, "rights_coverage"));
    let coverage = single(Test::Number(column, Comparison::AtLeast, 0.5), false);
    let (_, closing) = judged(&policy, &Sample::default(), &coverage);
    let Closing::Rights(rights) = closing else { panic!("{closing:?}") };
    let ids: Vec<&str> = rights.iter().map(String::as_str).collect();
    assert!(judged(&policy, &Sample::default().holding(&ids), &coverage).0);
    assert!(!judged(&policy, &Sample::default().holding(&ids[1..]), &coverage).0, "the fewest");

    let high = single(Test::Number(NumberColumn::TrustScore, Comparison::AtLeast, 90.0), false);
    let (_, closing) = judged(&policy, &Sample::default(), &high);
    assert!(matches!(&closing, Closing::Points(gains) if gains.len() == 3 && gains[0].1 >= gains[2].1), "{closing:?}");
    let mut banned = Sample::default().violating("ban");
    assert_eq!(judged(&policy, &banned, &high).1, Closing::Unknown, "without end");
    let until = day(FACTS_DAY).plus(9).start();
    banned.violations[0].effective_until = Some(until);
    assert_eq!(judged(&policy, &banned, &high).1, Closing::Gate(until));
}

#[test]
fn conditions_of_one_group_are_alternatives() {
    let policy = embedded_policy();
    let programme = policy.programmes.iter().find(|programme| programme.id == "trust_purchase").expect("a programme");
    let sample = Sample::default().holding(&["seven_day_no_reason"]);
    sample.view(&policy, |view| {
        let found = programme.eligibility.typed_results(&Seen::merchant(view, None));
        let of = |text: &str| found.iter().find(|typed| typed.result.text.contains(text)).expect("a condition");
        let (seven, fresh) = (of("seven_day_no_reason"), of("fresh_food"));
        assert_eq!(seven.part, fresh.part);
        assert!(seven.part_holds && seven.result.holds && !fresh.result.holds);
        let freight = of("return_freight_compensation");
        assert!(freight.part != seven.part && !freight.part_holds && freight.result.is_decisive);
        assert_eq!(found[0].part, 0);
    });
}
