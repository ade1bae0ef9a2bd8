//! What counts of those who have left: targets, merchants, programmes, packages; and budgets of scenes as parts.

use trustflow::domain::{
    AccountKey, Body, DAY_MS, ExposureRow, MerchantId, Outcome, ProfileKey, ProgrammeChange, Rejection, ReservationId,
    Scene, Scope, TargetKind, Timestamp,
};

use super::{DAY, Life, assign, grant, shown};
use crate::spending::spending_policy;

/// Publishes a variant of the policy and waits until it serves.
fn publish(life: &mut Life, variant: usize) {
    life.apply(Body::PublishPolicy(spending_policy(variant).into()));
    let began = life.machine.state.transition().expect("it begins").began;
    life.apply(Body::Activate { began });
}

fn delete(life: &mut Life, merchant: u64) {
    let key = ProfileKey::Merchant(MerchantId(merchant));
    assert_eq!(life.apply(Body::DeleteProfile { key, expected_revision: None }), Outcome::Done);
}

/// Leases 10 of each, and answers the row of 4 that were reserved.
fn reserved(life: &mut Life, merchant: u64, mask: u64, keys: &[AccountKey]) -> ExposureRow {
    let session = life.open();
    for key in keys {
        assert_eq!(life.renew(session, *key, 10, 0), 10, "{key:?}");
    }
    let bucket = ReservationId::bucket_of(life.now);
    let reservations = (0..4).map(|sequence| ReservationId::new(session, bucket, sequence)).collect();
    ExposureRow { reservations, ..shown(merchant, mask, 4, life.now) }
}

/// The accounts as the node finds those to settle.
fn settled(life: &Life, row: &ExposureRow) -> Vec<AccountKey> {
    let mut accounts = Vec::new();
    life.machine.state.settled_in(row, row.reservations[0].granted_from(), &mut accounts);
    accounts
}

#[test]
fn what_was_shown_of_a_target_that_has_left_is_spent() {
    let mut life = Life::begin();
    let (bit, mask) = (life.bit("launch"), life.mask("launch"));
    let budget = AccountKey { bit, scope: Scope::Programme, period: DAY };
    let row = reserved(&mut life, 1, mask, &[budget]);
    // A room that nobody knows any more, without its merchant.
    let row = ExposureRow { kind: TargetKind::LiveRoom, target: 77, ..row };
    let outcome = life.counted("r", vec![row.clone()]);
    assert_eq!((outcome.exposures, outcome.unattributed), (4, 4));
    assert_eq!(life.balance(&budget), (4, 6, 0, 0), "delivered, and not leased any more");
    assert_eq!(settled(&life, &row), [budget], "the node settles the same");
    let own = AccountKey { bit, scope: Scope::Scene(Scene::Live), period: DAY };
    life.counted("live", vec![ExposureRow { scene: Scene::Live, reservations: vec![], ..row }]);
    assert_eq!(life.balance(&own).0, 4, "a scene with a budget of its own");
}

#[test]
fn a_merchant_that_has_left_is_charged_where_it_had_leases() {
    let mut life = Life::begin();
    let (bit, mask) = (life.bit("launch"), life.mask("launch"));
    let budget = AccountKey { bit, scope: Scope::Programme, period: DAY };
    let share = AccountKey { scope: Scope::Member(MerchantId(1)), ..budget };
    let cap = AccountKey { scope: Scope::Cap(MerchantId(1)), period: DAY.week().monday(), ..budget };
    let row = reserved(&mut life, 1, mask, &[budget, share, cap]);
    delete(&mut life, 1);
    assert_eq!(life.counted("r", vec![row.clone()]).unattributed, 4);
    for key in [budget, share, cap] {
        assert_eq!(life.balance(&key), (4, 6, 0, 0), "{key:?}");
        assert!(settled(&life, &row).contains(&key), "{key:?}");
    }
    // Any id can be sent: nothing is begun for it.
    life.counted("unknown", vec![shown(99, mask, 5, life.now)]);
    assert_eq!(life.balance(&budget).0, 9);
    let nobody = AccountKey { scope: Scope::Member(MerchantId(99)), ..share };
    assert!(life.machine.state.account(&nobody).is_none());
}

#[test]
fn a_programme_that_left_the_policy_is_charged_where_it_has_accounts() {
    let mut life = Life::begin();
    let mask = life.mask("scene_package");
    life.apply(grant(1, 30, None));
    life.apply(assign(20, false));
    let wallet = life.machine.state.wallet_key(MerchantId(1), Scene::Mall).expect("a programme");
    let year = AccountKey { scope: Scope::Programme, period: life.now.day().first_of_year(), ..wallet };
    let row = reserved(&mut life, 1, mask, &[year, wallet]);
    publish(&mut life, 2);
    let outcome = life.counted("r", vec![row.clone()]);
    assert_eq!((outcome.unattributed, outcome.over_budget), (0, 0));
    for key in [year, wallet] {
        assert_eq!(life.balance(&key), (4, 6, 0, 0), "{key:?}");
        assert!(settled(&life, &row).contains(&key), "{key:?}");
    }
    let none = life.counted("none", vec![shown(1, 1 << 60, 3, life.now)]);
    assert_eq!(none.unattributed, 3, "a bit that never was");
}

#[test]
fn reservations_are_counted_once_and_those_of_another_time_are_named() {
    let mut life = Life::begin();
    let masks = life.mask("launch") | life.mask("push");
    let session = life.open();
    let at = |instant: Timestamp, sequence| ReservationId::new(session, ReservationId::bucket_of(instant), sequence);
    let (shown_at, key) = (life.now, life.push_month());
    assert_eq!(life.renew(session, key, 10, 0), 10);
    let row = ExposureRow { reservations: vec![at(shown_at, 1), at(shown_at, 2)], ..shown(1, masks, 3, shown_at) };
    life.now = row.reservations[0].deadline().plus_ms(1);
    let outcome = life.counted("late", vec![row.clone()]);
    assert_eq!((outcome.late, outcome.mismatched), (2, 0), "once, not for each programme");

    // The reporter's clock is slow: granted 11 minutes after it was shown.
    let granted = at(life.now, 3);
    let row =
        ExposureRow { reservations: vec![granted], ..shown(1, masks, 2, granted.granted_from().plus_ms(-660_000)) };
    let outcome = life.counted("slow", vec![row]);
    assert_eq!((outcome.late, outcome.mismatched), (0, 1));
    assert_eq!(life.balance(&key), (5, 10, 0, 2));
}

#[test]
fn budgets_of_scenes_stay_parts_of_the_whole() {
    let mut life = Life::begin();
    let mut adjust = |scene, exposures| {
        let change = ProgrammeChange::AdjustBudget { scene, exposures };
        let (author, reason) = ("ops".to_owned(), "a test".to_owned());
        life.apply(Body::ChangeProgramme {
            programme: "launch".into(),
            change,
            expected_revision: None,
            author,
            reason,
        })
    };
    let beyond = |scenes, total| {
        Outcome::Rejected(Rejection::ScenesBeyondBudget { programme: "launch".to_owned(), scenes, total })
    };
    let in_live = Some(Scene::Live);
    assert_eq!(adjust(None, Some(0)), beyond(80, 0), "the scene's budget would run on");
    assert_eq!(adjust(in_live, Some(201)), beyond(201, 200));
    assert_eq!(adjust(in_live, Some(200)), Outcome::Done);
    assert_eq!(adjust(None, Some(199)), beyond(200, 199));
    assert_eq!(adjust(in_live, Some(0)), Outcome::Done);
    assert_eq!(adjust(None, Some(0)), Outcome::Done);
    assert_eq!(adjust(in_live, None), beyond(80, 0));
    assert_eq!(adjust(None, None), Outcome::Done);
}

#[test]
fn packages_are_forgotten_long_after_they_expired() {
    let mut life = Life::begin();
    let expiry = life.now.plus_ms(1_000);
    life.apply(grant(1, 10, Some(expiry)));
    life.apply(grant(1, 10, None));
    life.apply(assign(5, false));
    let kept =
        |life: &Life| -> Vec<u64> { life.machine.state.packages(MerchantId(1)).map(|(number, _)| number).collect() };
    life.at(expiry.plus_ms(35 * DAY_MS - 1));
    assert_eq!(kept(&life), [1, 2]);
    life.machine.write(0);
    life.machine.restart();
    life.at(expiry.plus_ms(35 * DAY_MS));
    assert_eq!(kept(&life), [2]);
    life.machine.write(0);
    life.machine.restart();
    assert_eq!(kept(&life), [2]);
}
