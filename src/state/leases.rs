//! `apply` for accounts: sessions, leases, what time releases.

use super::ledgers::{AccountRow, KEPT_ACCOUNT_DAYS, LedgerKey, first_of};
use super::state::State;
use crate::domain::{AccountKey, REPORT_WINDOW_MS, RESERVATION_MS, Rejection, Renewal, Scope, Timestamp};
use crate::traffic::{Account, Limit, account_at, period_of};

/// Accounts forgotten at one command: the rest waits for the next.
const FORGOTTEN_AT_ONCE: usize = 2_000;
/// A lease may be taken for a period that begins within this time.
const LEASE_AHEAD_MS: i64 = 60_000;
/// Sessions are numbered in so many bits of reservations.
const SESSIONS: u32 = 1 << 18;

impl State {
    /// Opens a session of a node: what its earlier ones hold is kept for reports that may still come.
    pub(super) fn open_session(&mut self, node: u32) -> u32 {
        let meta = &mut self.meta.ledger;
        // 0 is no session: an id of all zeros is no reservation.
        meta.last_session = meta.last_session.saturating_add(1) % SESSIONS;
        meta.last_session = meta.last_session.max(1);
        meta.sessions.insert(node, meta.last_session);
        let session = meta.last_session;
        let current: Vec<u32> = meta.sessions.values().copied().collect();
        let until = self.meta.now.plus_ms(RESERVATION_MS + REPORT_WINDOW_MS);
        let leased: Vec<AccountKey> = self.ledgers.leased.iter().copied().collect();
        for key in leased {
            self.change_account(key, |account| {
                account.orphan(|session| !current.contains(&session), until);
            });
        }
        session
    }

    /// Takes back what a node does not need and leases what there is; answers how much was granted to each renewal.
    pub(super) fn renew_leases(
        &mut self,
        node: u32,
        session: u32,
        renewals: &[Renewal],
    ) -> Result<Vec<u64>, Rejection> {
        if self.session_of(node) != Some(session) {
            return Err(Rejection::SessionOver { session });
        }
        let mut granted = Vec::with_capacity(renewals.len());
        for renewal in renewals {
            granted.push(self.renew(session, renewal));
        }
        Ok(granted)
    }

    fn renew(&mut self, session: u32, renewal: &Renewal) -> u64 {
        let Renewal { account: key, wanted, returned } = *renewal;
        if returned > 0 && self.ledgers.accounts.contains_key(&key) {
            self.change_account(key, |account| {
                account.give_back(session, returned);
            });
        }
        let limit = self.limit_of(&key);
        if wanted == 0 || limit == Limit::NoAccount || !self.may_lease(&key) {
            return 0;
        }
        let room = self
            .account(&key)
            .map_or_else(|| Account::default().room(limit.exposures()), |account| account.room(limit.exposures()));
        if room == 0 {
            return 0;
        }
        self.change_account(key, |account| account.lease(session, wanted, limit.exposures()))
    }

    /// Whether leases of an account are given now: its programme is not paused, its period is the present one or begins
    /// shortly.
    fn may_lease(&self, key: &AccountKey) -> bool {
        let Some(programme) = self.programme_at(key.bit) else { return false };
        let now = self.meta.now;
        let is_present = |at| account_at(programme, key.scope, at) == *key;
        !self.switch(key.bit).is_some_and(|row| row.is_paused)
            && (is_present(now) || is_present(now.plus_ms(LEASE_AHEAD_MS)))
    }

    /// Changes an account, which begins to be if it was not, and keeps what is looked up by its holds in step.
    pub(super) fn change_account<T>(&mut self, key: AccountKey, change: impl FnOnce(&mut Account) -> T) -> T {
        self.changes.ledger.insert(LedgerKey::Account(key));
        let ends = match self.ledgers.accounts.get(&key) {
            Some(row) => row.ends,
            None => self.programme_at(key.bit).and_then(|programme| period_of(programme, key.scope).next(key.period)),
        };
        let ledgers = &mut self.ledgers;
        let row = ledgers.accounts.entry(key).or_insert_with(|| AccountRow { account: Account::default(), ends });
        let had_holds = !row.account.holds.is_empty();
        if had_holds {
            for until in row.account.holds.iter().filter_map(|hold| hold.until) {
                ledgers.orphans.remove(&(until, key));
            }
        }
        let changed = change(&mut row.account);
        if had_holds || !row.account.holds.is_empty() {
            if row.account.holds.iter().any(|hold| hold.until.is_none()) {
                ledgers.leased.insert(key);
            } else {
                ledgers.leased.remove(&key);
            }
            ledgers.orphans.extend(row.account.holds.iter().filter_map(|hold| Some((hold.until?, key))));
        }
        if let Some(ends) = ends {
            ledgers.expiring.insert((ends.plus(KEPT_ACCOUNT_DAYS), key));
        }
        changed
    }

    /// What time does to accounts: releases what was kept for reports, forgets periods that are long over.
    pub(super) fn move_accounts(&mut self, now: Timestamp) {
        while let Some((_, key)) = self.ledgers.orphans.first().copied().filter(|(until, _)| *until <= now) {
            self.change_account(key, |account| account.release(now));
        }
        let today = now.day();
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some((_, key)) = self.ledgers.expiring.first().copied().filter(|(day, _)| *day <= today) else { break };
            self.forget_account(key);
        }
    }

    /// Forgets an account; what it delivered stays in the sum of its programme.
    fn forget_account(&mut self, key: AccountKey) {
        let Some(row) = self.drop_account(key) else { return };
        if matches!(key.scope, Scope::Programme | Scope::Scene(_)) {
            let programme = self.ledgers.programmes.entry(key.bit).or_default();
            programme.delivered_before = programme.delivered_before.saturating_add(row.account.delivered);
            programme.late_before = programme.late_before.saturating_add(row.account.late);
            self.changes.ledger.insert(LedgerKey::Programme(key.bit));
        }
    }

    fn drop_account(&mut self, key: AccountKey) -> Option<AccountRow> {
        let ledgers = &mut self.ledgers;
        let row = ledgers.accounts.remove(&key)?;
        ledgers.leased.remove(&key);
        for until in row.account.holds.iter().filter_map(|hold| hold.until) {
            ledgers.orphans.remove(&(until, key));
        }
        if let Some(ends) = row.ends {
            ledgers.expiring.remove(&(ends.plus(KEPT_ACCOUNT_DAYS), key));
        }
        self.changes.ledger.insert(LedgerKey::Account(key));
        Some(row)
    }

    /// Forgets everything about a bit that is given to another programme.
    pub(super) fn clear_programme(&mut self, bit: u8) {
        let keys: Vec<AccountKey> = self.accounts_in(bit).map(|(key, _)| *key).collect();
        for key in keys {
            let spent = self.drop_account(key);
            if let (Scope::Wallet(merchant, scene), Some(row)) = (key.scope, spent) {
                // What was spent of a package is not there again under another bit.
                self.void_spent(merchant, scene, row.account.delivered);
            }
        }
        if self.ledgers.programmes.remove(&bit).is_some() {
            self.changes.ledger.insert(LedgerKey::Programme(bit));
        }
        self.clear_guarantees(bit);
        self.clear_members(bit);
    }

    /// Takes a stored account back.
    pub(super) fn restore_account(&mut self, key: AccountKey, row: AccountRow) {
        let ledgers = &mut self.ledgers;
        if row.account.holds.iter().any(|hold| hold.until.is_none()) {
            ledgers.leased.insert(key);
        }
        ledgers.orphans.extend(row.account.holds.iter().filter_map(|hold| Some((hold.until?, key))));
        ledgers.expiring.extend(row.ends.map(|ends| (ends.plus(KEPT_ACCOUNT_DAYS), key)));
        ledgers.accounts.insert(key, row);
        debug_assert!(first_of(key.bit) <= key, "the first key of a programme is before all");
    }
}
