//! Which accounts there are, what they may hold, and the exact instants at which their periods begin.

use proptest::prelude::*;

use super::{BudgetOverride, Limit, ONLY_PERIOD, SCENE_PACKAGE, accounts_of, limit, part};
use crate::domain::{Day, MerchantId, Scene, Scope, TargetKind, Timestamp};
use crate::traffic::{Area, Budget, Cap, Pacing, Period, Programme, ProgrammeKind, ProgrammeWindow, Tail, Uplift};
use crate::trust::Predicate;

const MERCHANT: MerchantId = MerchantId(7);

fn budget(exposures: u64, period: Period) -> Budget {
    Budget {
        exposures,
        period,
        pacing: Pacing::Even,
        by_scene: [None; Scene::COUNT],
        max_member_share: None,
        tail: None,
        daily_members: 0,
    }
}

fn programme(id: &str, budget: Option<Budget>, cap: Option<Cap>) -> Programme {
    Programme {
        id: id.to_owned(),
        bit: 3,
        name: String::new(),
        name_zh: String::new(),
        seed: String::new(),
        area: Area::Traffic,
        kind: ProgrammeKind::Support,
        scenes: [true; Scene::COUNT],
        targets: [true; TargetKind::COUNT],
        window: ProgrammeWindow::default(),
        eligibility: Predicate::default(),
        item_eligibility: TargetKind::ALL.map(|_| Predicate::default()),
        scene_conditions: Vec::new(),
        uplift: Uplift::Constant(0.5),
        item_uplifts: Vec::new(),
        modifies: 0,
        factor: 1.0,
        stacking_group: String::new(),
        exclusive_group: None,
        holdout: None,
        is_shadow: false,
        labels: 0,
        conditional_labels: Vec::new(),
        budget,
        guarantee: None,
        cap,
    }
}

fn day(text: &str) -> Day {
    Day::parse(text).expect("a date")
}

#[test]
fn periods_begin_at_midnight_in_shanghai() {
    // Day, whether the millisecond before it is in the period before: Sunday 12 and Monday 13 February 2023.
    let cases = [
        (Period::Day, "2023-02-13", "2023-02-12", "2023-02-13"),
        (Period::Week, "2023-02-13", "2023-02-06", "2023-02-13"),
        (Period::Week, "2023-02-12", "2023-02-06", "2023-02-06"),
        (Period::Month, "2023-02-13", "2023-02-01", "2023-02-01"),
        (Period::Month, "2023-03-01", "2023-02-01", "2023-03-01"),
        (Period::Month, "2024-03-01", "2024-02-01", "2024-03-01"),
        (Period::Month, "2023-01-01", "2022-12-01", "2023-01-01"),
        (Period::Year, "2023-01-01", "2022-01-01", "2023-01-01"),
        (Period::Year, "2023-12-31", "2023-01-01", "2023-01-01"),
        (Period::Year, "2025-01-01", "2024-01-01", "2025-01-01"),
    ];
    for (period, at, before, from) in cases {
        let midnight = day(at).start();
        assert_eq!(period.first_day(midnight.plus_ms(-1)), day(before), "{period:?}, 1 ms before {at}");
        assert_eq!(period.first_day(midnight), day(from), "{period:?}, {at} 00:00:00");
        assert_eq!(period.first_day(midnight.plus_ms(86_399_999)), day(from), "{period:?}, {at} 23:59:59.999");
    }
    for at in [Timestamp(0), day("2023-02-13").start()] {
        assert_eq!(Period::Window.first_day(at), ONLY_PERIOD);
    }
}

proptest! {
    #[test]
    fn periods_follow_each_other(day in 0..40_000_i32) {
        for period in [Period::Year, Period::Month, Period::Week, Period::Day] {
            let first = period.first_day(Day(day).start());
            let next = period.next(first).expect("it ends");
            prop_assert!(first <= Day(day) && Day(day) < next);
            prop_assert_eq!(period.first_day(next.start()), next);
            prop_assert_eq!(period.first_day(next.start().plus_ms(-1)), first);
        }
        prop_assert_eq!(Period::Window.next(ONLY_PERIOD), None);
    }

    #[test]
    fn parts_of_a_budget_stay_within_it(exposures in any::<u64>(), share in 0..=1_000_000_u64) {
        let (a, b) = (part(exposures, share), part(exposures, 1_000_000 - share));
        prop_assert!(u128::from(a) + u128::from(b) <= u128::from(exposures));
        prop_assert!(exposures - a - b <= 1, "rounded down once each");
    }
}

#[test]
fn limits_are_integers_of_the_budget() {
    let mut by_scene = [None; Scene::COUNT];
    by_scene[Scene::Live.index()] = Some(600);
    by_scene[Scene::Mall.index()] = Some(100);
    let tail = Some(Tail { share: 0.33, max_exposures_30d: 50 });
    let large = Budget { by_scene, max_member_share: Some(0.001), tail, ..budget(1_009, Period::Month) };
    let cap = Some(Cap { exposures: 40, period: Period::Week });
    let whole = programme("whole", Some(large), cap);
    let plain = programme("plain", None, None);
    let package = programme(SCENE_PACKAGE, Some(budget(500, Period::Year)), None);
    let own = BudgetOverride::default();
    let mut more = BudgetOverride { exposures: Some(2_000), ..own };
    more.by_scene[Scene::Live.index()] = Some(1_950);
    let at_most = Limit::AtMost;
    let cases = [
        (&whole, own, Scope::Programme, at_most(309)),
        (&whole, own, Scope::Scene(Scene::Live), at_most(600)),
        (&whole, own, Scope::Scene(Scene::Search), Limit::NoAccount),
        // 67 % of 1,009 is 676.03.
        (&whole, own, Scope::Head, at_most(676)),
        (&whole, own, Scope::Member(MERCHANT), at_most(1)),
        (&whole, own, Scope::Cap(MERCHANT), at_most(40)),
        (&whole, own, Scope::Wallet(MERCHANT, Scene::Live), Limit::NoAccount),
        (&whole, more, Scope::Scene(Scene::Live), at_most(1_950)),
        (&whole, more, Scope::Scene(Scene::Mall), at_most(100)),
        (&whole, more, Scope::Programme, at_most(0)),
        (&whole, more, Scope::Head, at_most(1_340)),
        (&whole, more, Scope::Member(MERCHANT), at_most(2)),
        (&plain, own, Scope::Programme, Limit::Unlimited),
        (&plain, own, Scope::Member(MERCHANT), Limit::Unlimited),
        (&plain, own, Scope::Head, Limit::NoAccount),
        (&plain, own, Scope::Cap(MERCHANT), Limit::NoAccount),
        (&package, own, Scope::Wallet(MERCHANT, Scene::Live), at_most(11)),
        (&package, own, Scope::Programme, at_most(500)),
    ];
    for (programme, adjusted, scope, expected) in cases {
        assert_eq!(limit(programme, &adjusted, scope, 11), expected, "{} {scope:?}", programme.id);
    }
}

#[test]
fn an_exposure_is_charged_to_every_account_it_concerns() {
    let at = day("2023-02-15").start();
    let mut by_scene = [None; Scene::COUNT];
    by_scene[Scene::Live.index()] = Some(600);
    let tail = Some(Tail { share: 0.33, max_exposures_30d: 50 });
    let cap = Some(Cap { exposures: 40, period: Period::Week });
    let whole = programme("whole", Some(Budget { by_scene, tail, ..budget(1_000, Period::Month) }), cap);
    let plain = programme("plain", None, None);
    let package = programme(SCENE_PACKAGE, Some(budget(500, Period::Year)), None);
    let (month, week, year) = (day("2023-02-01"), day("2023-02-13"), day("2023-01-01"));
    let (member, capped) = (Scope::Member(MERCHANT), Scope::Cap(MERCHANT));
    let wallet = Scope::Wallet(MERCHANT, Scene::Mall);
    let cases = [
        (
            &whole,
            Scene::Live,
            false,
            vec![(Scope::Scene(Scene::Live), month), (Scope::Head, month), (member, month), (capped, week)],
        ),
        (&whole, Scene::Mall, true, vec![(Scope::Programme, month), (member, month), (capped, week)]),
        (&plain, Scene::Live, false, vec![(Scope::Programme, ONLY_PERIOD), (member, ONLY_PERIOD)]),
        (&package, Scene::Mall, false, vec![(Scope::Programme, year), (member, year), (wallet, ONLY_PERIOD)]),
    ];
    for (programme, scene, is_tail, expected) in cases {
        let accounts = accounts_of(programme, MERCHANT, scene, at, is_tail);
        assert!(accounts.iter().all(|key| key.bit == 3));
        let found: Vec<(Scope, Day)> = accounts.iter().map(|key| (key.scope, key.period)).collect();
        assert_eq!(found, expected, "{} in {scene:?}", programme.id);
    }
}
