//! Leases, reservations and what becomes of them, against a small model of the ledger.

mod times;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;

use super::pace::KEPT_MS;
use super::{Balance, Charged, NodeAccounts, NodeLedger};
use crate::domain::{
    AccountKey, BUCKET_MS, Day, ExposureRow, MerchantId, RESERVATION_MS, Renewal, ReservationId, Scene, Scope,
    TargetKind, Timestamp,
};
use crate::traffic::Charges;

const START: Timestamp = Timestamp(1_700_000_000_000);
const TURN_MS: i64 = 100;
const BATCH: usize = 4_096;

fn key(scope: Scope) -> AccountKey {
    AccountKey { bit: 3, scope, period: Day(19_000) }
}

fn cap(merchant: u64) -> AccountKey {
    key(Scope::Cap(MerchantId(merchant)))
}

fn budget() -> AccountKey {
    key(Scope::Programme)
}

/// A row of exposures that were shown when they were granted.
fn row(reservations: Vec<ReservationId>) -> ExposureRow {
    let occurred_at = reservations.first().map_or(START, |id| id.granted_from());
    ExposureRow {
        kind: TargetKind::LiveRoom,
        target: 1,
        merchant: None,
        scene: Scene::Live,
        policy_version: 1,
        programmes: 8,
        exposures: reservations.len() as u64,
        reservations,
        clicks: 0,
        orders: 0,
        gmv_fen: 0,
        occurred_at,
    }
}

/// A node that was granted all it asks for, `times` turns long.
fn renew(node: &NodeAccounts, from_ms: i64, times: i64) {
    for turn in 0..times {
        let now = from_ms + turn * TURN_MS;
        let asked = node.renewals(now, BATCH).renewals;
        let grants: Vec<u64> = asked.iter().map(|renewal| renewal.wanted).collect();
        node.granted(now, &asked, &grants);
    }
}

/// A node with so much of one account.
fn holding(account: AccountKey, exposures: u64) -> NodeAccounts {
    let node = NodeAccounts::default();
    node.begin(1);
    node.foresee(&[account]);
    let asked = node.renewals(0, BATCH).renewals;
    assert_eq!(asked.len(), 1);
    node.granted(0, &asked, &[exposures]);
    assert_eq!(node.balance(&account).available, exposures);
    node
}

#[test]
fn threads_take_what_is_leased_and_no_more() {
    const LEASE: u64 = 40_000;
    for account in [budget(), cap(7)] {
        let node = holding(account, LEASE);
        let bucket = ReservationId::bucket_of(START);
        let taken: u64 = std::thread::scope(|scope| {
            let charge = || (0..LEASE).filter(|_| node.charge(&[account], bucket)).count() as u64;
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(charge)).collect();
            threads.into_iter().map(|thread| thread.join().expect("it does not panic")).sum()
        });
        assert_eq!(taken, LEASE);
        let balance = node.balance(&account);
        assert_eq!(balance, Balance { available: 0, reserved: LEASE, held: LEASE, owed: 0 });
    }
}

#[test]
fn threads_that_charge_expire_and_settle_lose_nothing() {
    const LEASE: u64 = 5_000;
    let node = holding(budget(), LEASE);
    let other = cap(9);
    node.foresee(&[other]);
    let asked = node.renewals(100, BATCH).renewals;
    node.granted(100, &asked, &vec![LEASE; asked.len()]);
    let before = node.balance(&budget()).held;
    let settled = AtomicU64::new(0);
    let late = START.plus_ms(BUCKET_MS + RESERVATION_MS + 1);
    std::thread::scope(|scope| {
        for thread in 0..3_i64 {
            let (node, settled) = (&node, &settled);
            scope.spawn(move || {
                for turn in 0..2_000_i64 {
                    let at = START.plus_ms((thread * 700 + turn) * 50);
                    let bucket = ReservationId::bucket_of(at);
                    let is_charged = node.charge(&[budget(), other], bucket);
                    match turn % 3 {
                        0 if is_charged => node.release(&[budget(), other], bucket),
                        1 if is_charged => {
                            let id = ReservationId::new(1, bucket, 0);
                            settled.fetch_add(1, Ordering::Relaxed);
                            node.settle(START, &[row(vec![id])], |_, _, keys| keys.extend([budget(), other]));
                        }
                        _ => {}
                    }
                    if turn % 100 == 0 {
                        node.expire(late.plus_ms(turn * 50));
                    }
                }
            });
        }
    });
    node.expire(late.plus_ms(1_000_000));
    for account in [budget(), other] {
        let Balance { available, reserved, held, owed } = node.balance(&account);
        assert_eq!((available, reserved, owed), (held, 0, 0), "{account:?}");
    }
    // Some had been freed by another thread before: these came out of what was available.
    let settled = settled.load(Ordering::Relaxed);
    assert!(settled > 0 && node.balance(&budget()).held == before - settled, "{settled}");
    assert_eq!(node.reservations().open, 0);
}

#[test]
fn all_accounts_pay_or_none() {
    let node = holding(budget(), 32);
    let bucket = ReservationId::bucket_of(START);
    let keys = [budget(), cap(1), key(Scope::Member(MerchantId(1)))];
    assert!(!node.charge(&keys, bucket), "the member's accounts have no lease yet");
    assert_eq!(node.balance(&budget()), Balance { available: 32, held: 32, ..Balance::default() });
    assert_eq!(node.reservations().open, 0);
    let programme = node.leases()[3];
    assert_eq!((programme.unleased, programme.spent), (1, 0));
    let asked = node.renewals(100, BATCH).renewals;
    let wanted: Vec<AccountKey> = asked.iter().map(|renewal| renewal.account).collect();
    assert!(keys[1..].iter().all(|key| wanted.contains(key)), "all that it needs is asked for at once: {asked:?}");
    node.granted(100, &asked, &vec![4; asked.len()]);
    assert!((0..4).all(|_| node.charge(&keys, bucket)) && !node.charge(&keys, bucket));
    assert_eq!(node.balance(&budget()).available, 28);
    assert!(node.charge(&[], bucket), "what has no limit always takes");
}

#[test]
fn an_account_is_spent_when_the_ledger_has_none_left() {
    for account in [budget(), cap(5)] {
        let node = NodeAccounts::default();
        node.begin(1);
        let bucket = ReservationId::bucket_of(START);
        assert!(!node.charge(&[account], bucket));
        assert!(!node.is_spent(&account), "it is only not leased yet");
        let asked = node.renewals(0, BATCH).renewals;
        assert!(asked[0].wanted > 1);
        node.granted(0, &asked, &[1]);
        assert!(!node.is_spent(&account), "one is left");
        assert!(node.charge(&[account], bucket) && !node.charge(&[account], bucket));
        assert!(node.is_spent(&account));
        assert_eq!((node.leases()[3].unleased, node.leases()[3].spent), (1, 1));
        // What comes back can be spent.
        node.expire(START.plus_ms(RESERVATION_MS + 2 * BUCKET_MS));
        assert!(!node.is_spent(&account) && node.charge(&[account], bucket + 63));
        // It is asked for again after a while, and so operations may raise the limit.
        let later = (1..100).find(|turn| {
            let asked = node.renewals(turn * TURN_MS, BATCH).renewals;
            let is_asked = asked.iter().any(|renewal| renewal.wanted > 0);
            node.granted(turn * TURN_MS, &asked, &[64]);
            is_asked
        });
        assert!(later.is_some_and(|turn| turn >= 9) && !node.is_spent(&account), "{later:?}");
    }
}

#[test]
fn what_is_foreseen_is_there_and_what_is_idle_goes() {
    let node = NodeAccounts::default();
    node.begin(1);
    let accounts: Vec<AccountKey> = (0..10_000).map(cap).collect();
    node.foresee(&accounts);
    let first = node.renewals(0, 1_000);
    assert!(first.has_more && first.renewals.len() <= 1_000);
    node.granted(0, &first.renewals, &vec![4; first.renewals.len()]);
    renew(&node, 100, 20);
    assert!(accounts.iter().all(|account| node.balance(account).available == 4));
    assert_eq!(node.member_accounts(), 10_000);
    let later = 2_100 + i64::from(KEPT_MS);
    renew(&node, later, 500);
    assert!(accounts.iter().all(|account| node.balance(account) == Balance::default()), "given back after hours");
    renew(&node, later + 50_000, 300);
    assert_eq!(node.member_accounts(), 0, "dropped after a minute");
}

#[test]
fn a_renewal_that_never_reached_the_log_is_undone() {
    for account in [budget(), cap(5)] {
        let node = holding(account, 64);
        let idle =
            (1..200).map(|turn| node.renewals(31_000 + turn * TURN_MS, BATCH).renewals).find(|all| !all.is_empty());
        let asked = idle.expect("what is idle is given back");
        assert_eq!(asked, [Renewal { account, wanted: 0, returned: asked[0].returned }]);
        assert_eq!(node.balance(&account).available, 64 - asked[0].returned);
        node.withdrawn(60_000, &asked);
        assert_eq!(node.balance(&account), Balance { available: 64, held: 64, ..Balance::default() });
    }
}

#[test]
fn a_report_that_comes_twice_is_taken_from_what_comes_next() {
    for account in [budget(), cap(5)] {
        let node = holding(account, 2);
        let bucket = ReservationId::bucket_of(START);
        assert!(node.charge(&[account], bucket) && node.charge(&[account], bucket + 1));
        let id = ReservationId::new(1, bucket, 0);
        for _ in 0..2 {
            node.settle(START, &[row(vec![id])], |_, from, keys| {
                assert!(from <= START && START < from.plus_ms(BUCKET_MS));
                keys.push(account);
            });
        }
        assert_eq!(node.balance(&account), Balance { available: 0, reserved: 1, held: 0, owed: 1 });
        node.expire(START.plus_ms(RESERVATION_MS + 3 * BUCKET_MS));
        assert_eq!(node.balance(&account), Balance::default());
    }
}

#[test]
fn a_new_period_begins_beside_the_one_before() {
    let yesterday = budget();
    let today = AccountKey { period: Day(19_001), ..yesterday };
    let node = holding(yesterday, 32);
    let bucket = ReservationId::bucket_of(START);
    assert!(node.charge(&[yesterday], bucket) && !node.charge(&[today], bucket + 1));
    renew(&node, 100, 1);
    assert!(node.charge(&[today], bucket + 1));
    // Half a minute is not waited for where another period has begun.
    renew(&node, 200, 40);
    assert_eq!(node.balance(&yesterday), Balance { available: 0, reserved: 1, held: 1, owed: 0 });
    node.expire(START.plus_ms(RESERVATION_MS + 2 * BUCKET_MS));
    renew(&node, 4_200, 40);
    let tomorrow = AccountKey { period: Day(19_002), ..yesterday };
    assert!(!node.charge(&[tomorrow], bucket + 2), "it has no lease yet");
    renew(&node, 8_200, 1);
    assert!(node.charge(&[tomorrow], bucket + 2));
}

#[test]
fn a_request_that_ends_early_takes_nothing() {
    let node = holding(budget(), 32);
    let bucket = ReservationId::bucket_of(START);
    let accounts_of = |_: u32, programmes: u64, keys: &mut Vec<AccountKey>| {
        if programmes & 8 != 0 {
            keys.push(budget());
        }
    };
    let mut early = NodeLedger::new(&node, bucket, accounts_of);
    assert!(early.charge(1, 8) && early.charge(2, 0));
    assert_eq!(node.balance(&budget()).available, 31);
    drop(early);
    assert_eq!(node.balance(&budget()).available, 32);
    let mut whole = NodeLedger::new(&node, bucket, accounts_of);
    assert!(whole.charge(1, 8) && whole.charge(2, 0) && whole.charge(1, 8));
    let charged = whole.finish();
    assert_eq!(node.balance(&budget()).reserved, 2);
    let [first, free, second] = charged.as_slice() else { panic!("{charged:?}") };
    assert_eq!(*free, Charged { member: 2, programmes: 0, reservation: ReservationId(0) });
    assert!(first.reservation != second.reservation && first.reservation.bucket() == bucket);
}

#[test]
fn closing_gives_back_all_but_what_is_reserved() {
    let node = holding(budget(), 32);
    node.foresee(&[cap(1)]);
    renew(&node, 100, 2);
    assert!(node.charge(&[budget(), cap(1)], ReservationId::bucket_of(START)));
    let mut returned: Vec<u64> = node.close().iter().map(|renewal| renewal.returned).collect();
    returned.sort_unstable();
    assert_eq!(returned, [3, 31]);
    assert!(!node.charge(&[budget()], ReservationId::bucket_of(START)));
}

/// What the log's ledger keeps of an account.
#[derive(Clone, Copy, Debug)]
struct Hard {
    limit: u64,
    on_time: u64,
    late: u64,
    leased: u64,
    orphaned: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Charge { merchant: u64, keep: bool },
    Report { which: usize },
    Advance { ms: i64 },
    Turn { wait_ms: i64, fate: Fate },
    Crash,
    Release,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answered,
    Withdrawn,
    /// It was applied, and the answer was lost.
    Lost,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (1..4_u64, prop::bool::weighted(0.9)).prop_map(|(merchant, keep)| Step::Charge { merchant, keep }),
        6 => any::<usize>().prop_map(|which| Step::Report { which }),
        3 => prop_oneof![0..30_000_i64, 500_000..900_000_i64].prop_map(|ms| Step::Advance { ms }),
        8 => (
            prop_oneof![9 => 20..2_000_i64, 1 => 30_000..70_000_i64],
            prop_oneof![8 => Just(Fate::Answered), 1 => Just(Fate::Withdrawn), 1 => Just(Fate::Lost)],
        ).prop_map(|(wait_ms, fate)| Step::Turn { wait_ms, fate }),
        1 => Just(Step::Crash),
        1 => Just(Step::Release),
    ]
}

struct World {
    node: NodeAccounts,
    session: u32,
    hard: BTreeMap<AccountKey, Hard>,
    /// State time; the clock that buckets are taken from is the same.
    now: Timestamp,
    wall_ms: i64,
    open: Vec<(ReservationId, Vec<AccountKey>)>,
    has_lost: bool,
}

impl World {
    fn new(budget_limit: u64, cap_limit: u64) -> Self {
        let hard = |limit| Hard { limit, on_time: 0, late: 0, leased: 0, orphaned: 0 };
        let caps = (1..4).map(|merchant| (cap(merchant), hard(cap_limit)));
        let hard = std::iter::once((budget(), hard(budget_limit))).chain(caps).collect();
        let node = NodeAccounts::default();
        node.begin(1);
        Self { node, session: 1, hard, now: START, wall_ms: 0, open: Vec::new(), has_lost: false }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Charge { merchant, keep } => self.charge(*merchant, *keep),
            Step::Report { which } => self.report(*which),
            Step::Advance { ms } => {
                self.now = self.now.plus_ms(*ms);
                self.node.expire(self.now);
            }
            Step::Turn { wait_ms, fate } => self.turn(*wait_ms, *fate),
            Step::Crash => {
                self.node = NodeAccounts::default();
                self.session += 1;
                self.node.begin(self.session);
                for hard in self.hard.values_mut() {
                    hard.orphaned += std::mem::take(&mut hard.leased);
                }
            }
            Step::Release => {
                for hard in self.hard.values_mut() {
                    hard.orphaned = 0;
                }
                // It happens long after the last report of what was orphaned.
                self.open.retain(|(id, _)| id.session() == self.session);
            }
        }
    }

    fn charge(&mut self, merchant: u64, keep: bool) {
        let keys = vec![budget(), cap(merchant)];
        let bucket = ReservationId::bucket_of(self.now);
        let accounts_of = |_: u32, _: u64, all: &mut Vec<AccountKey>| all.extend(&keys);
        let mut ledger = NodeLedger::new(&self.node, bucket, accounts_of);
        if ledger.charge(1, 8) && keep {
            let reservation = ledger.finish()[0].reservation;
            self.open.push((reservation, keys));
        }
    }

    fn report(&mut self, which: usize) {
        if self.open.is_empty() {
            return;
        }
        let (id, keys) = self.open.remove(which % self.open.len());
        let before: Vec<Balance> = keys.iter().map(|key| self.node.balance(key)).collect();
        let is_late = id.deadline() < self.now;
        for key in &keys {
            let hard = self.hard.get_mut(key).expect("every account is known");
            // A node that is alive has made its own available again; what a crash left is kept for late reports too.
            match (id.session() == self.session, is_late) {
                (true, true) => {}
                (true, false) => hard.leased -= 1,
                // A late one may have been free and taken again before the crash: then one of the two finds nothing.
                (false, _) => hard.orphaned = hard.orphaned.saturating_sub(1),
            }
            *(if is_late { &mut hard.late } else { &mut hard.on_time }) += 1;
        }
        self.node.settle(self.now, &[row(vec![id])], |_, _, all| all.extend(&keys));
        let after: Vec<Balance> = keys.iter().map(|key| self.node.balance(key)).collect();
        if is_late || id.session() != self.session {
            assert_eq!(before, after, "it is not this node's any more");
        }
        assert!(before.iter().zip(&after).all(|(before, after)| after.available <= before.available));
    }

    fn turn(&mut self, wait_ms: i64, fate: Fate) {
        self.wall_ms += wait_ms;
        let asked = self.node.renewals(self.wall_ms, BATCH).renewals;
        if fate == Fate::Withdrawn {
            self.node.withdrawn(self.wall_ms, &asked);
            return;
        }
        let mut grants = Vec::new();
        for renewal in &asked {
            let hard = self.hard.get_mut(&renewal.account).expect("every account is known");
            hard.leased = hard.leased.checked_sub(renewal.returned).expect("only what is leased is given back");
            let room = hard.limit.saturating_sub(hard.on_time + hard.late + hard.leased + hard.orphaned);
            let granted = renewal.wanted.min(room);
            hard.leased += granted;
            grants.push(granted);
        }
        if fate == Fate::Lost {
            self.has_lost |= grants.iter().any(|granted| *granted > 0);
            grants.clear();
        }
        self.node.granted(self.wall_ms, &asked, &grants);
    }

    fn check(&self) {
        for (key, hard) in &self.hard {
            let soft = self.node.balance(key);
            let spent = hard.on_time + soft.reserved + soft.available + hard.orphaned;
            assert!(spent <= hard.limit, "{key:?}: {hard:?} {soft:?}");
            assert_eq!(soft.available + soft.reserved, soft.held, "{key:?}");
            assert_eq!(soft.owed, 0, "{key:?}");
            let is_kept = if self.has_lost { soft.held <= hard.leased } else { soft.held == hard.leased };
            assert!(is_kept, "{key:?}: {hard:?} {soft:?}");
        }
    }

    /// Lets all deadlines pass, and the manager go on until nothing more is given back.
    fn end(mut self) {
        self.take(&Step::Advance { ms: RESERVATION_MS + 2 * BUCKET_MS });
        for _ in 0..300 {
            self.turn(500, Fate::Answered);
        }
        self.check();
        let most = self.hard.keys().map(|key| self.node.balance(key).available).max();
        assert!(most <= Some(4), "what is idle keeps a remainder: {most:?}");
        self.turn(i64::from(KEPT_MS), Fate::Answered);
        for _ in 0..300 {
            self.turn(500, Fate::Answered);
        }
        self.check();
        assert_eq!(self.node.member_accounts(), 0);
        assert_eq!(self.node.reservations().open, 0);
        for (key, hard) in &self.hard {
            assert_eq!(self.node.balance(key), Balance::default(), "{key:?}");
            assert!(self.has_lost || hard.leased == 0, "{key:?}: {hard:?}");
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_spent_twice_and_nothing_is_lost(
        budget_limit in prop_oneof![0..10_u64, 0..200_u64, Just(100_000)],
        cap_limit in prop_oneof![0..10_u64, Just(1_000)],
        steps in vec(step(), 0..120),
    ) {
        let mut world = World::new(budget_limit, cap_limit);
        for step in &steps {
            world.take(step);
            world.check();
        }
        world.end();
    }
}
