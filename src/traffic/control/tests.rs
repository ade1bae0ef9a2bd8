//! What control promises, case by case.

use proptest::prelude::*;

use super::{
    ALL_SCENES, BudgetKind, BudgetTerm, Constraints, Controller, Forecast, MemberRule, MemberTerm, Observed, Settings,
    Shape, Shown, Spent, planned_share,
};
use crate::domain::{Day, Scene, TargetKind, Timestamp};
use crate::traffic::{Bid, MemberPrice, Offer, Pacing, Support};

const HOUR: i64 = 3_600_000;

fn monday() -> Timestamp {
    Day(19_723).start()
}

fn at(hours: f64) -> Timestamp {
    super::guard::after_ms(monday(), hours * 3_600_000.0)
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * b.abs().max(1.0)
}

fn budget(bit: u8, kind: BudgetKind, limit: u64) -> BudgetTerm {
    BudgetTerm { bit, kind, scene: None, limit, start: monday(), end: at(24.0), pacing: Pacing::Even }
}

fn guarantee(member: u32, limit: u64) -> MemberTerm {
    let rule = MemberRule::AtLeast { penalty: 3.0 };
    MemberTerm { member, programme: 60, rule, limit, start: monday(), end: at(24.0), scenes: ALL_SCENES }
}

/// Four members: 0 and 1 in the hard programme 0, 1 and 2 in the support programme 1, 3 in none.
fn offers(tilt: f64) -> Vec<Option<Offer>> {
    let made = |member: u32, value: f64| {
        let mut offer = Offer { member, value, hard: u64::from(member < 2), ..Offer::default() };
        if member == 1 || member == 2 {
            offer.supports.push(Support { bit: 1, uplift: 0.5 });
        }
        Some(offer)
    };
    vec![made(0, 2.0 * tilt), made(1, 1.5 + tilt), made(2, 1.0), made(3, 0.2 + tilt / 4.0)]
}

fn settings(seed: u64) -> Settings {
    Settings { seed, additive: true, log: true }
}

/// A day of 2,400 requests with one slot; what was spent and the controller afterwards.
fn day(seed: u64, limits: (u64, u64, u64), mean: f64) -> (Vec<u64>, Vec<u64>, Controller) {
    let mut controller = Controller::new(settings(seed), Forecast::new(Shape::Linear, monday()));
    controller.set_constraints(Constraints {
        budgets: vec![budget(0, BudgetKind::Hard, limits.0), budget(1, BudgetKind::Support, limits.1)],
        members: vec![guarantee(3, limits.2)],
    });
    let (mut budgets, mut members) = (vec![0_u64; 2], vec![0_u64; 1]);
    for number in 0..2_400_u32 {
        let now = at(f64::from(number) / 100.0);
        let offers: Vec<_> = offers(f64::from(number * 7 % 11) / 10.0);
        let bases: Vec<f64> = offers.iter().flatten().map(|offer| offer.value * mean).collect();
        controller.count(now, 1.0);
        controller.observe(
            now,
            &Observed {
                scene: Scene::Live,
                kind: TargetKind::Product,
                slots: 1,
                offers: &offers,
                bases: &bases,
                shown: Shown::Slate,
            },
        );
        if controller.is_due() && number % 10 == 0 {
            let plan = controller.plan(now, &Spent { budgets: &budgets, members: &members });
            controller.adopt(&plan.solve());
        }
        let price = |member: u32| controller.member_price(member);
        let prices = &controller.book().scenes[0];
        let mean = f64::from(prices.mean_base[TargetKind::Product.index()]);
        let bids = offers
            .iter()
            .flatten()
            .filter_map(|offer| Some((offer, offer.bid(prices, &price(offer.member), mean, 0)?)));
        let best = bids.filter(|(_, bid)| bid.score > 0.0).max_by(|a, b| a.1.score.total_cmp(&b.1.score));
        let mut taken = [(0, 0.0), (1, 0.0)];
        let mut served = Vec::new();
        if let Some((offer, bid)) = best {
            if offer.hard == 1 {
                taken[0].1 = 1.0;
                budgets[0] += 1;
            }
            if bid.charged.is_some() {
                taken[1].1 = 1.0;
                budgets[1] += 1;
            }
            if offer.member == 3 {
                served.push((0, 1.0));
                members[0] += 1;
            }
        }
        controller.consumed(1.0, &taken, &served);
    }
    (budgets, members, controller)
}

#[test]
fn budgets_are_spent_and_promises_kept() {
    let (budgets, members, _) = day(1, (600, 300, 200), 1.0);
    // A request may be under way when a budget ends between two solves.
    assert!((590..=612).contains(&budgets[0]) && (295..=312).contains(&budgets[1]), "{budgets:?}");
    assert!(members[0] >= 200, "{members:?}");
}

#[test]
fn the_same_seed_gives_the_same_prices() {
    let (spent, served, mut controller) = day(7, (500, 200, 100), 2.0);
    let (again, served_again, mut other) = day(7, (500, 200, 100), 2.0);
    assert_eq!((spent, served), (again, served_again));
    assert_eq!(controller.book(), other.book());
    assert_eq!(controller.changed_members(), other.changed_members());
}

#[test]
fn prices_of_constraints_that_stay_are_kept() {
    let (_, _, mut controller) = day(1, (2_400, 10, 2_000), 1.0);
    let before = controller.budgets[1].1.price;
    controller.set_constraints(Constraints { budgets: vec![budget(1, BudgetKind::Support, 20)], members: Vec::new() });
    assert_eq!(controller.budgets[0].1.price.map(f64::to_bits), before.map(f64::to_bits));
    assert!(controller.is_due());
    assert!(controller.changed_members().iter().all(|(_, price)| *price == crate::traffic::MemberPrice::default()));
}

#[test]
fn a_solution_of_other_constraints_is_left_alone() {
    let mut controller = Controller::new(settings(1), Forecast::new(Shape::Linear, monday()));
    let plan = controller.plan(monday(), &Spent { budgets: &[], members: &[] });
    controller.set_constraints(Constraints::default());
    controller.adopt(&plan.solve());
    assert_eq!(controller.solves(), 0);
}

#[test]
fn a_solution_is_taken_over_by_the_constraints_that_stayed() {
    let (_, _, mut controller) = day(1, (600, 300, 200), 1.0);
    let (hard, support) = (budget(0, BudgetKind::Hard, 5_000), budget(1, BudgetKind::Support, 5_000));
    let end = at(48.0);
    let (hard, support) = (BudgetTerm { end, ..hard }, BudgetTerm { end, ..support });
    let promised = |member| MemberTerm { end, ..guarantee(member, 4_000) };
    let constraints = |budgets, members| Constraints { budgets, members };
    controller.set_constraints(constraints(vec![hard.clone(), support.clone()], vec![promised(3)]));
    let solved = controller.plan(at(24.0), &Spent { budgets: &[600, 300], members: &[200] }).solve();
    let before = controller.solves();
    // Another guarantee began in front, a budget ended, and what stayed has moved to other places.
    controller.set_constraints(constraints(vec![support], vec![promised(2), promised(3)]));
    controller.budgets[0].1.price = [9.0; 2];
    controller.members.iter_mut().for_each(|member| member.priced.price = [9.0; 2]);
    controller.adopt(&solved);
    assert_eq!(controller.solves(), before + 1);
    let bits = |price: [f64; 2]| price.map(f64::to_bits);
    assert_eq!(bits(controller.budgets[0].1.price), bits(solved.prices[1]));
    assert_eq!(bits(controller.members[1].priced.price), bits(solved.prices[solved.term_rows[0].expect("a row")]));
    assert_eq!(bits(controller.members[0].priced.price), bits([9.0; 2]), "it was no part of what was solved");
}

#[test]
fn shapes_tell_what_is_to_come() {
    let mut morning = [0.0; 24];
    morning[..12].fill(1.0);
    let curve = vec![(monday(), 0.0), (at(6.0), 30.0), (at(24.0), 40.0)];
    for (shape, expected) in [(Shape::Linear, 18.0), (Shape::HourOfDay(morning), 6.0), (Shape::Curve(curve), 10.0)] {
        let mut forecast = Forecast::new(shape.clone(), monday());
        (0..6).for_each(|hour| forecast.count(at(f64::from(hour) + 0.999_999), 1.0));
        let left = forecast.expected(at(6.0), at(24.0));
        assert!((left - expected).abs() < 0.1, "{shape:?}: {left}");
    }
}

#[test]
fn forecasts_have_no_edges() {
    for shape in
        [Shape::Linear, Shape::HourOfDay([0.0; 24]), Shape::HourOfDay([f64::NAN; 24]), Shape::Curve(Vec::new())]
    {
        let mut forecast = Forecast::new(shape, monday());
        for (from, to) in [(0.0, 0.0), (5.0, 4.0), (0.0, 1e6), (-1e6, 1.0)] {
            let expected = forecast.expected(at(from), at(to));
            assert!(expected.is_finite() && expected >= 0.0, "no traffic: {expected}");
        }
        forecast.count(monday(), 1.0);
        assert!(forecast.expected(at(0.0), at(1e6)).is_finite() && (0.0..=1.0).contains(&forecast.caution()));
        assert!(near(forecast.expected(at(3.0), at(3.0)), 0.0), "a window of no length");
    }
}

#[test]
fn hours_are_learned_from_traffic() {
    let mut forecast = Forecast::new(Shape::Linear, monday());
    for hour in 0_u32..49 {
        let is_evening = hour % 24 >= 12;
        forecast.count(at(f64::from(hour) + 0.5), if is_evening { 900.0 } else { 100.0 });
    }
    let (morning, evening) = (forecast.mass(at(72.0), at(84.0)), forecast.mass(at(84.0), at(96.0)));
    assert!(evening > 4.0 * morning, "{morning} {evening}");
    assert!(forecast.error() > 0.0);
}

#[test]
fn pacing_says_how_much_by_when() {
    let curve = Pacing::Curve(vec![(0.5, 0.2)]);
    for (pacing, gone, share) in [
        (Pacing::Even, 0.5, None),
        (Pacing::AsFastAsPossible, 0.5, None),
        (Pacing::FrontLoaded, 0.5, Some(0.75)),
        (curve.clone(), 0.5, Some(0.2)),
        (curve.clone(), 0.75, Some(0.6)),
        (curve, 2.0, Some(1.0)),
    ] {
        assert!(planned_share(&pacing, gone).zip(share).is_none_or(|(a, b)| near(a, b)), "{pacing:?} at {gone}");
        assert_eq!(planned_share(&pacing, gone).is_some(), share.is_some());
    }
}

#[test]
fn a_promise_beyond_reach_is_seen_when_it_is_made() {
    let (_, _, controller) = day(1, (600, 300, 200), 1.0);
    let late = at(24.0);
    for (limit, is_feasible) in [(100, true), (100_000, false)] {
        let term = MemberTerm { start: late, end: late.plus_ms(24 * HOUR), ..guarantee(3, limit) };
        assert_eq!(controller.outlook(&term, late).map(|outlook| outlook.is_feasible), Some(is_feasible), "{limit}");
    }
    assert_eq!(controller.outlook(&guarantee(99, 1), late), None, "nothing is known of it");
}

#[test]
fn windows_over_or_of_no_length_bind_nothing() {
    let mut controller = Controller::new(settings(1), Forecast::new(Shape::Linear, monday()));
    let over = BudgetTerm { end: monday(), ..budget(0, BudgetKind::Hard, 0) };
    let member = MemberTerm { end: monday(), ..guarantee(1, 5) };
    controller.set_constraints(Constraints { budgets: vec![over], members: vec![member] });
    controller.count(at(1.0), 1.0);
    let plan = controller.plan(at(1.0), &Spent { budgets: &[0], members: &[0] });
    controller.adopt(&plan.solve());
    assert_eq!(controller.book().scenes[0].spent, 0);
    assert!(controller.changed_members().is_empty());
}

/// A day of 2,400 requests with one slot and a report that comes 40 requests later, in adjusted or weights mode; every
/// `every`th request is observed, and of what is answered a `share` is shown. What was spent at the end.
fn day_with_lag(shown: Shown, every: u32, shares: u32) -> [u64; 2] {
    const LAG: usize = 40;
    let mut controller = Controller::new(settings(3), Forecast::new(Shape::Linear, monday()));
    let budgets = vec![budget(0, BudgetKind::Hard, 400), budget(1, BudgetKind::Support, 200)];
    controller.set_constraints(Constraints { budgets, members: Vec::new() });
    controller.set_lag(40.0);
    let (mut known, mut all, mut under_way) = ([0_u64; 2], [0_u64; 2], std::collections::VecDeque::new());
    for number in 0..2_400_u32 {
        let now = at(f64::from(number) / 100.0);
        let offers = offers(f64::from(number * 7 % 11) / 10.0);
        let bases: Vec<f64> = offers.iter().flatten().map(|offer| offer.value).collect();
        controller.count(now, 1.0);
        if under_way.len() >= LAG {
            let taken: [u64; 2] = under_way.pop_front().unwrap_or_default();
            known[0] += taken[0];
            known[1] += taken[1];
            let taken = [(0, if taken[0] > 0 { 1.0 } else { 0.0 }), (1, if taken[1] > 0 { 1.0 } else { 0.0 })];
            controller.consumed(1.0, &taken, &[]);
        }
        if controller.is_due() && number % 10 == 0 {
            let plan = controller.plan(now, &Spent { budgets: &known, members: &[] });
            controller.adopt(&plan.solve());
        }
        let prices = &controller.book().scenes[0];
        let mean = f64::from(prices.mean_base[TargetKind::Product.index()]);
        let bid = |offer: &Offer| match shown {
            Shown::Weighted { ceiling } => {
                let bid = Offer { value: 1.0, ..offer.clone() }.weight(prices, &MemberPrice::default(), ceiling, 0)?;
                Some(Bid { score: bid.score * offer.value, ..bid })
            }
            Shown::Adjusted | Shown::Slate => offer.bid(prices, &MemberPrice::default(), mean, 0),
        };
        let bids = offers.iter().flatten().filter_map(|offer| Some((offer, bid(offer)?)));
        let best = bids.filter(|(_, bid)| bid.score > 0.0).max_by(|a, b| a.1.score.total_cmp(&b.1.score));
        let mut taken = [0; 2];
        if let Some((offer, bid)) = best.filter(|_| number % shares == 0) {
            taken = [offer.hard & 1, u64::from(bid.charged.is_some())];
        }
        all[0] += taken[0];
        all[1] += taken[1];
        under_way.push_back(taken);
        if number % every == 0 {
            let (scene, kind) = (Scene::Live, TargetKind::Product);
            controller.observe(now, &Observed { scene, kind, slots: 1, offers: &offers, bases: &bases, shown });
        }
    }
    all
}

#[test]
fn budgets_close_before_reports_say_that_they_are_spent() {
    for shown in [Shown::Adjusted, Shown::Weighted { ceiling: 10.0 }] {
        for every in [1, 5] {
            let spent = day_with_lag(shown, every, 1);
            assert!((380..=402).contains(&spent[0]) && (180..=202).contains(&spent[1]), "{shown:?} {every}: {spent:?}");
        }
    }
}

#[test]
fn what_answers_promise_and_nobody_shows_is_not_kept_in_hand() {
    let spent = day_with_lag(Shown::Adjusted, 1, 3);
    // Two of three answers come to nothing: prices are solved as if all were shown, and so not all is spent.
    assert!((280..=402).contains(&spent[0]) && (150..=202).contains(&spent[1]), "{spent:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2))]
    #[test]
    fn prices_stay_finite_and_within_bounds(
        seed in any::<u64>(), hard in 0_u64..3_000, support in 0_u64..3_000, need in 0_u64..4_000, mean in 1e-6_f64..1e6,
    ) {
        let (_, _, controller) = day(seed, (hard, support, need), mean);
        for scene in &controller.book().scenes {
            prop_assert!(scene.lambda.iter().all(|price| price.is_finite() && *price >= 0.0));
            prop_assert!(scene.discount.iter().all(|discount| (0.0..=1.0).contains(discount)));
            prop_assert!(scene.mean_base.iter().all(|mean| *mean > 0.0));
        }
        let price = controller.member_price(3);
        prop_assert!((0.0..=3.0).contains(&price.additive) && price.factor >= 1.0 && price.factor.is_finite());
    }
}
