//! What this node may spend by itself: leases of accounts, charged in memory, never in front of the log (DESIGN section
//! 7). Soft: a crash loses it, and the ledger keeps what was leased as orphaned.
//!
//! An exposure goes available → reserved → delivered. `RenewLeases` moves exposures from the ledger into `available`
//! and back. [`NodeAccounts::charge`] moves one of each account to `reserved`, in a bucket of 10 s of state time. When
//! a report of it is applied, [`NodeAccounts::settle`] takes it away: the ledger counts it as delivered from then on.
//! When the bucket's deadline has passed in state time, [`NodeAccounts::expire`] makes it available again. For every
//! account available + reserved is what the ledger has leased to this session.
//!
//! Who calls what:
//!
//! - Allocate makes a [`NodeLedger`] for each request, and asks [`NodeAccounts::is_spent`] where it wants to know.
//!   `charge`, `foresee` and `is_spent` wait for nothing but a lock that is held for microseconds.
//! - The writer calls `settle` in the hold of the state's lock in which it applied a report.
//! - The lease manager (`engine/leases.rs`) calls `expire`, `renewals`, and `granted` or `withdrawn`.
//!
//! Accounts without a limit are not leased, and so the keys handed in here are those of accounts with one. A key that
//! is handed in without a limit is leased all the same, which the ledger grants.
//!
//! A charge of an account that has no lease yet fails and notes the wish: the lease is there after the manager's next
//! turn, some 20 to 250 ms later. `foresee` makes that rare.

mod bell;
mod budgets;
mod ledger;
mod members;
mod pace;
mod ring;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::exposures::reservations_of;
use crate::domain::{AccountKey, ExposureRow, RESERVATION_MS, Renewal, ReservationId, Timestamp};
use crate::traffic::BITS;

use bell::Bell;
use budgets::{Budgets, is_budget};
use members::Members;
use ring::Ring;

pub use ledger::{Charged, NodeLedger};

/// What taking an exposure from one account came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Took {
    /// One was taken. `wakes`: so little is left that the manager should come at once.
    One { wakes: bool },
    /// There was none. `is_spent`: the ledger had none either.
    Nothing { is_spent: bool, wakes: bool },
}

/// What an account has on this node, in exposures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// To be charged.
    pub available: u64,
    /// Charged, and neither reported nor over its deadline.
    pub reserved: u64,
    /// Leased from the ledger.
    pub held: u64,
    /// Delivered out of the lease though reserved elsewhere, when nothing was available: taken from what comes next.
    /// It takes a reservation that is reported twice, or a member that left the long tail meanwhile.
    pub owed: u64,
}

/// What the manager's turn asks of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RenewalTurn {
    /// At most as many as asked for, the most urgent first.
    pub renewals: Vec<Renewal>,
    /// Whether more accounts wait for their turn.
    pub has_more: bool,
}

/// Leases and failures of one programme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgrammeLeases {
    /// Leases that hold something: of the budget and of members.
    pub leases: u64,
    /// Exposures leased of the budget, available or reserved.
    pub budget: u64,
    /// Exposures leased of members' accounts, available or reserved, as of the manager's last round.
    pub members: u64,
    /// Charges that failed because no lease was there, so far.
    pub unleased: u64,
    /// Charges that failed because the account is spent, so far.
    pub spent: u64,
}

/// Reservations of this node, in exposures of slates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reservations {
    /// Open now.
    pub open: u64,
    /// Reported on time, so far.
    pub settled: u64,
    /// Over their deadline, so far.
    pub expired: u64,
}

/// The memory of one node.
pub struct NodeAccounts {
    /// The session that leases are held in; 0 before there is one.
    session: AtomicU32,
    sequence: AtomicU32,
    budgets: Budgets,
    members: Members,
    /// Exposures charged and not yet settled or expired.
    open: Ring,
    settled: AtomicU64,
    expired: AtomicU64,
    /// The last bucket that was looked for.
    last_expired: AtomicU32,
    /// State time as it was last seen, in milliseconds.
    state_ms: AtomicI64,
    /// Failures by the programme's bit.
    unleased: [AtomicU64; BITS],
    spent: [AtomicU64; BITS],
    is_closed: AtomicBool,
    bell: Bell,
}

impl Default for NodeAccounts {
    fn default() -> Self {
        Self {
            session: AtomicU32::new(0),
            sequence: AtomicU32::new(0),
            budgets: Budgets::default(),
            members: Members::default(),
            open: Ring::default(),
            settled: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            last_expired: AtomicU32::new(0),
            state_ms: AtomicI64::new(0),
            unleased: std::array::from_fn(|_| AtomicU64::new(0)),
            spent: std::array::from_fn(|_| AtomicU64::new(0)),
            is_closed: AtomicBool::new(false),
            bell: Bell::default(),
        }
    }
}

/// The manager's time, which wraps around.
fn wrapped(now_ms: i64) -> u32 {
    u32::try_from(now_ms.rem_euclid(1 << 32)).unwrap_or(0)
}

/// The last bucket whose deadline has passed at a state time.
fn last_expired(at: Timestamp) -> Option<u32> {
    ReservationId::bucket_of(at.plus_ms(-RESERVATION_MS - 1)).checked_sub(1)
}

fn add(counters: &[AtomicU64; BITS], bit: u8) {
    if let Some(counter) = counters.get(usize::from(bit)) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl NodeAccounts {
    /// Begins to hold leases, in a session (not 0) that no crash has left anything of.
    pub fn begin(&self, session: u32) {
        self.session.store(session, Ordering::Release);
    }

    /// The session that leases are held in; 0 before there is one.
    #[must_use]
    pub fn session(&self) -> u32 {
        self.session.load(Ordering::Acquire)
    }

    /// A new reservation of a bucket.
    pub(super) fn reservation(&self, bucket: u32) -> ReservationId {
        ReservationId::new(self.session(), bucket, self.sequence.fetch_add(1, Ordering::Relaxed))
    }

    /// The instant to charge at while a clock shows `clock`: state time where the clock is behind it. State time never
    /// goes back, and deadlines are its: what is charged before them would be free again at once.
    #[must_use]
    pub fn instant(&self, clock: Timestamp) -> Timestamp {
        Timestamp(self.state_ms.load(Ordering::Relaxed)).max(clock)
    }

    /// Takes one exposure from each account, reserved in a bucket, or from none of them. No account takes always. A
    /// bucket whose deadline has passed takes nothing: every report of it would be late, and the lease spent again.
    pub fn charge(&self, keys: &[AccountKey], bucket: u32) -> bool {
        if keys.is_empty() {
            return true;
        }
        // 0 is before the first time anything expired.
        let expired = self.last_expired.load(Ordering::Relaxed);
        let is_over = expired > 0 && bucket <= expired;
        if is_over || self.is_closed.load(Ordering::Acquire) || !self.open.add(bucket) {
            return false;
        }
        let charged = self.charge_budgets(keys, bucket).and_then(|woken| {
            let members = self.members.charge(keys, bucket);
            if members.is_err() {
                self.release_budgets(keys, keys.len(), bucket);
            }
            members.map(|also| woken | also)
        });
        let (is_charged, wakes) = match charged {
            Ok(wakes) => (true, wakes),
            Err((at, took)) => (false, self.failed(keys, at, took, bucket)),
        };
        if wakes {
            self.bell.ring();
        }
        is_charged
    }

    fn charge_budgets(&self, keys: &[AccountKey], bucket: u32) -> Result<bool, (usize, Took)> {
        let mut wakes = false;
        for (at, key) in keys.iter().enumerate().filter(|(_, key)| is_budget(key)) {
            match self.budgets.charge(key, bucket) {
                Took::One { wakes: woken } => wakes |= woken,
                nothing @ Took::Nothing { .. } => {
                    self.release_budgets(keys, at, bucket);
                    return Err((at, nothing));
                }
            }
        }
        Ok(wakes)
    }

    /// Undoes the charges of those of the first `count` accounts that are budgets.
    fn release_budgets(&self, keys: &[AccountKey], count: usize, bucket: u32) {
        for key in keys.iter().take(count).filter(|key| is_budget(key)) {
            self.budgets.release(key, bucket);
        }
    }

    /// Notes a charge that failed at an account. What else it would have taken from will be wanted as well.
    fn failed(&self, keys: &[AccountKey], at: usize, took: Took, bucket: u32) -> bool {
        self.open.take(bucket, 1);
        let (Took::Nothing { is_spent, wakes }, Some(key)) = (took, keys.get(at)) else { return false };
        add(if is_spent { &self.spent } else { &self.unleased }, key.bit);
        if !is_spent {
            self.foresee(keys);
        }
        wakes
    }

    /// Undoes a charge.
    pub fn release(&self, keys: &[AccountKey], bucket: u32) {
        if !keys.is_empty() {
            self.open.take(bucket, 1);
            self.release_budgets(keys, keys.len(), bucket);
            self.members.release(keys, bucket);
        }
    }

    /// Has leases fetched for accounts that may be charged soon.
    pub fn foresee(&self, keys: &[AccountKey]) {
        for key in keys.iter().filter(|key| is_budget(key)) {
            self.budgets.foresee(key);
        }
        if self.members.foresee(keys) {
            self.bell.ring();
        }
    }

    /// Whether all of an account is spent as far as this node knows: the ledger granted less than was wanted, and
    /// nothing of it is left.
    #[must_use]
    pub fn is_spent(&self, key: &AccountKey) -> bool {
        if is_budget(key) { self.budgets.is_spent(key) } else { self.members.is_spent(key) }
    }

    /// What an account has on this node.
    #[must_use]
    pub fn balance(&self, key: &AccountKey) -> Balance {
        if is_budget(key) { self.budgets.balance(key) } else { self.members.balance(key) }
    }

    /// Takes what a report delivered out of this node's leases, given the state time at which it was applied: each
    /// reservation of this session that is on time then, at most one for each exposure of its row. Late ones are not
    /// taken out of the lease, here or in the ledger: they were free again at their deadline.
    ///
    /// To be called in the hold of the state's lock in which the report was applied, unless it was refused or had been
    /// taken before. `accounts_of` appends the accounts
    /// that the ledger settled a row's reservations in, given the first instant of their bucket.
    pub fn settle(
        &self,
        at: Timestamp,
        rows: &[ExposureRow],
        mut accounts_of: impl FnMut(&ExposureRow, Timestamp, &mut Vec<AccountKey>),
    ) {
        let session = ReservationId::new(self.session(), 0, 0).session();
        let mut keys = Vec::new();
        // Most rows have their reservations in one bucket.
        let mut buckets: Vec<(u32, u64)> = Vec::new();
        for row in rows {
            buckets.clear();
            let own = |id: &ReservationId| id.session() == session && id.deadline() >= at;
            for id in reservations_of(row).filter(own) {
                match buckets.iter_mut().find(|(bucket, _)| *bucket == id.bucket()) {
                    Some((_, count)) => *count = count.saturating_add(1),
                    None => buckets.push((id.bucket(), 1)),
                }
            }
            for (bucket, count) in &buckets {
                let from = ReservationId::new(session, *bucket, 0).granted_from();
                keys.clear();
                accounts_of(row, from, &mut keys);
                if keys.is_empty() {
                    continue;
                }
                self.settled.fetch_add(self.open.take(*bucket, *count), Ordering::Relaxed);
                for key in &keys {
                    self.settle_account(key, *bucket, *count);
                }
            }
        }
    }

    /// Takes exposures that were delivered out of the lease of one account: what was reserved in the bucket, and if
    /// that is less, what is available or comes next.
    pub fn settle_account(&self, key: &AccountKey, bucket: u32, count: u64) {
        if is_budget(key) {
            self.budgets.settle(key, bucket, count);
        } else {
            self.members.settle(key, bucket, count);
        }
    }

    /// Makes available again what was reserved in buckets whose deadline has passed at a state time. The state must
    /// have been at that time when it was read under its lock: then every report on time has been settled.
    pub fn expire(&self, at: Timestamp) {
        self.state_ms.fetch_max(at.0, Ordering::Relaxed);
        let Some(last) = last_expired(at) else { return };
        // A charge that was held up may have come into a bucket that is over.
        let is_new = self.last_expired.fetch_max(last, Ordering::Relaxed) < last;
        if !is_new && self.open.earliest().is_none_or(|first| first > last) {
            return;
        }
        self.expired.fetch_add(self.open.expire(last), Ordering::Relaxed);
        self.budgets.expire(last);
        self.members.expire(last);
    }

    /// Whether reservations are open whose deadline has passed at a time: then they wait for state time to move on.
    #[must_use]
    pub fn waits_for(&self, at: Timestamp) -> bool {
        self.open.earliest().zip(last_expired(at)).is_some_and(|(first, last)| first <= last)
    }

    /// What to ask of the ledger now, and to give back to it: at most `limit`, the most urgent first. Every renewal
    /// must be answered by [`Self::granted`] or [`Self::withdrawn`]; until then its account is not asked for again.
    /// `now_ms` is monotonic, in milliseconds of wall time, and one thread calls this.
    #[must_use]
    pub fn renewals(&self, now_ms: i64, limit: usize) -> RenewalTurn {
        let mut renewals = Vec::new();
        if self.session() == 0 {
            return RenewalTurn::default();
        }
        self.budgets.renewals(wrapped(now_ms), &mut renewals);
        let has_more = self.members.renewals(wrapped(now_ms), limit, &mut renewals);
        RenewalTurn { renewals, has_more }
    }

    /// Takes what the ledger granted for renewals, in their order.
    pub fn granted(&self, now_ms: i64, renewals: &[Renewal], grants: &[u64]) {
        let grants = grants.iter().copied().chain(std::iter::repeat(0));
        for (renewal, granted) in renewals.iter().zip(grants) {
            self.answered(now_ms, renewal, Some(granted));
        }
    }

    /// Takes renewals back that surely never reached the log. Of those that may have, nothing was granted as far as
    /// this node may rely on it, and what they gave back is gone: `granted` without grants.
    pub fn withdrawn(&self, now_ms: i64, renewals: &[Renewal]) {
        for renewal in renewals {
            self.answered(now_ms, renewal, None);
        }
    }

    fn answered(&self, now_ms: i64, renewal: &Renewal, granted: Option<u64>) {
        if is_budget(&renewal.account) {
            self.budgets.answered(wrapped(now_ms), renewal, granted);
        } else {
            self.members.answered(wrapped(now_ms), renewal, granted);
        }
    }

    /// Charges nothing more, and gives back all that is available: what is left is reserved.
    #[must_use]
    pub fn close(&self) -> Vec<Renewal> {
        self.is_closed.store(true, Ordering::Release);
        self.bell.ring();
        let mut renewals = Vec::new();
        self.budgets.surrender(&mut renewals);
        self.members.surrender(&mut renewals);
        renewals
    }

    /// Waits until an account runs low, at most for so long.
    pub fn wait(&self, patience: Duration) {
        self.bell.wait(patience);
    }

    /// Ends a wait.
    pub fn wake(&self) {
        self.bell.ring();
    }

    /// Leases and failures by the programme's bit.
    #[must_use]
    pub fn leases(&self) -> [ProgrammeLeases; BITS] {
        let mut all = [ProgrammeLeases::default(); BITS];
        for ((programme, unleased), spent) in all.iter_mut().zip(&self.unleased).zip(&self.spent) {
            programme.unleased = unleased.load(Ordering::Relaxed);
            programme.spent = spent.load(Ordering::Relaxed);
        }
        self.budgets.leases(|bit, held| {
            if let Some(programme) = all.get_mut(usize::from(bit)) {
                programme.leases = programme.leases.saturating_add(1);
                programme.budget = programme.budget.saturating_add(held);
            }
        });
        self.members.leases(|bit, leases, held| {
            if let Some(programme) = all.get_mut(usize::from(bit)) {
                programme.leases = programme.leases.saturating_add(leases);
                programme.members = programme.members.saturating_add(held);
            }
        });
        all
    }

    /// Reservations, open and so far.
    #[must_use]
    pub fn reservations(&self) -> Reservations {
        Reservations {
            open: self.open.total(),
            settled: self.settled.load(Ordering::Relaxed),
            expired: self.expired.load(Ordering::Relaxed),
        }
    }

    /// Accounts of members in memory.
    #[must_use]
    pub fn member_accounts(&self) -> usize {
        self.members.count()
    }
}
