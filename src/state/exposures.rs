//! `apply` for reports of exposures. A report is taken as a whole or refused as a whole.
//!
//! Exposures count in the period in which they were shown; those of reservations in the period in which they were
//! granted, where they were charged: so reports that are in time never carry an account beyond its limit.

use super::audience::{MemberRow, hour_of_week};
use super::ledgers::LedgerKey;
use super::reports::{ReportRow, key_of};
use super::state::{Applied, State};
use crate::domain::{
    AccountKey, DAY_MS, Day, ExposureRow, MerchantId, Outcome, Profile, REPORT_AHEAD_MS, Rejection, ReportOutcome,
    RequestKey, ReservationId, Scope, Timestamp, Week,
};
use crate::policy::Policy;
use crate::traffic::{Programme, ProgrammeKind, accounts_of};

/// Weeks of hours that are kept before the present one.
const KEPT_WEEKS: i32 = 2;
/// Days that the counts of members reached are kept before today.
const KEPT_REACH_DAYS: i32 = 8;

/// The programmes of a policy, for one report.
struct Counted<'a> {
    by_bit: [Option<&'a Programme>; 64],
    /// Those with a guarantee.
    guaranteed: Vec<&'a Programme>,
    /// Those with a holdout.
    held_out: Vec<&'a Programme>,
}

impl<'a> Counted<'a> {
    fn new(policy: &'a Policy) -> Self {
        let mut by_bit = [None; 64];
        for programme in &policy.programmes {
            // Tilts and modifiers have no budget: no exposure counts against them.
            let is_charged = matches!(programme.kind, ProgrammeKind::Hard | ProgrammeKind::Support);
            if let Some(place) = by_bit.get_mut(usize::from(programme.bit)).filter(|_| is_charged) {
                *place = Some(programme);
            }
        }
        let programmes = || policy.programmes.iter();
        Self {
            by_bit,
            guaranteed: programmes().filter(|programme| programme.guarantee.is_some()).collect(),
            held_out: programmes().filter(|programme| programme.holdout.is_some()).collect(),
        }
    }
}

impl State {
    /// Takes a report unless it was taken before.
    pub(super) fn report_exposures(
        &mut self,
        revision: u64,
        request: Option<&RequestKey>,
        rows: &[ExposureRow],
    ) -> Applied {
        let key = request.map(|request| (key_of(request), request.payload_hash));
        if let Some((key, payload_hash)) = key
            && let Some(first) = self.ledgers.reports.get(key)
        {
            if first.payload_hash != payload_hash {
                return Applied { revision, outcome: Outcome::Rejected(Rejection::RequestIdReused) };
            }
            let outcome = ReportOutcome { is_duplicate: true, ..ReportOutcome::default() };
            return Applied { revision: first.revision, outcome: Outcome::Report(outcome) };
        }
        if let Err(rejection) = self.check_times(rows) {
            return Applied { revision, outcome: Outcome::Rejected(rejection) };
        }
        // Who is inside which programme is read from records: they must not depend on when they were last made.
        self.refresh_dirty();
        let policy = self.policy.clone();
        let counted = Counted::new(&policy);
        let mut outcome = ReportOutcome::default();
        for row in rows {
            self.count_row(&counted, row, &mut outcome);
        }
        let meta = &mut self.meta.ledger;
        meta.unattributed = meta.unattributed.saturating_add(outcome.unattributed);
        if let Some((key, payload_hash)) = key {
            self.remember_report(key, ReportRow { stamp: self.meta.now, revision, payload_hash });
        }
        Applied { revision, outcome: Outcome::Report(outcome) }
    }

    fn check_times(&self, rows: &[ExposureRow]) -> Result<(), Rejection> {
        let oldest = self.reportable_from();
        let latest = self.meta.now.plus_ms(REPORT_AHEAD_MS);
        for (row, exposures) in (0_u32..).zip(rows) {
            if exposures.occurred_at < oldest {
                return Err(Rejection::ReportTooOld { row, oldest });
            }
            if exposures.occurred_at > latest {
                return Err(Rejection::ExposureInFuture { row, latest });
            }
        }
        Ok(())
    }

    fn remember_report(&mut self, key: u128, row: ReportRow) {
        self.changes.ledger.insert(LedgerKey::Report(key));
        if let Some((forgotten, floor)) = self.ledgers.reports.remember(key, row) {
            self.changes.ledger.insert(LedgerKey::Report(forgotten));
            let before = self.meta.ledger.reports_floor;
            self.meta.ledger.reports_floor = Some(before.map_or(floor, |before| before.max(floor)));
        }
    }

    /// For whom a row counts: the merchant it names, or the owner of its target; none if that is not registered.
    #[must_use]
    pub fn counts_for(&self, row: &ExposureRow) -> Option<MerchantId> {
        let merchant = row.merchant.or_else(|| match row.kind.item() {
            None => Some(MerchantId(row.target)),
            Some(kind) => self.items(kind).get(&row.target).and_then(owner),
        })?;
        self.registered.contains_key(&merchant).then_some(merchant)
    }

    fn count_row(&mut self, counted: &Counted, row: &ExposureRow, outcome: &mut ReportOutcome) {
        outcome.exposures = outcome.exposures.saturating_add(row.exposures);
        let (week, hour) = hour_of_week(row.occurred_at);
        self.ledgers.hours.entry((week, row.scene)).or_default().count(hour, row.exposures);
        self.changes.ledger.insert(LedgerKey::Hours(week, row.scene));
        let Some(merchant) = self.counts_for(row) else {
            outcome.unattributed = outcome.unattributed.saturating_add(row.exposures);
            return;
        };
        let Some(slot) = self.registered.get(&merchant).copied() else { return };
        let recent = self.ledgers.recent.entry(merchant).or_default();
        recent.count(row.occurred_at.day(), row.exposures);
        self.changes.ledger.insert(LedgerKey::Recent(merchant));
        self.count_lift(counted, slot, merchant, row);
        for programme in counted.guaranteed.iter().filter(|programme| programme.works_in(row.scene)) {
            self.count_for_guarantee(programme.bit, merchant, row);
        }
        let mut bits = row.programmes;
        while bits != 0 {
            let bit = bits.trailing_zeros();
            bits &= bits - 1;
            match usize::try_from(bit).ok().and_then(|bit| counted.by_bit.get(bit).copied().flatten()) {
                Some(programme) => self.charge(programme, slot, merchant, row, outcome),
                None => outcome.unattributed = outcome.unattributed.saturating_add(row.exposures),
            }
        }
    }

    /// Counts what members of a programme with a holdout were shown, and those held out of it.
    fn count_lift(&mut self, counted: &Counted, slot: u32, merchant: MerchantId, row: &ExposureRow) {
        if counted.held_out.is_empty() {
            return;
        }
        let record = self.hot.world().table.read(slot);
        let inside = record.programmes | record.held_out;
        for programme in &counted.held_out {
            let is_counted = inside & programme.mask() != 0
                && programme.works_in(row.scene)
                && programme.window.is_open(row.occurred_at);
            if !is_counted {
                continue;
            }
            let member = self.member(programme.bit, merchant);
            member.exposures = member.exposures.saturating_add(row.exposures);
            member.clicks = member.clicks.saturating_add(row.clicks);
            member.orders = member.orders.saturating_add(row.orders);
            member.gmv_fen = member.gmv_fen.saturating_add(row.gmv_fen);
        }
    }

    fn member(&mut self, bit: u8, merchant: MerchantId) -> &mut MemberRow {
        self.changes.ledger.insert(LedgerKey::Member(bit, merchant));
        self.ledgers.members.entry((bit, merchant)).or_default()
    }

    /// Appends the accounts in which the reservations of a row are settled that were granted at an instant.
    pub fn settled_in(&self, row: &ExposureRow, granted: Timestamp, accounts: &mut Vec<AccountKey>) {
        let Some(merchant) = self.counts_for(row) else { return };
        let Some(slot) = self.registered.get(&merchant).copied() else { return };
        for programme in &self.policy.programmes {
            let is_charged = matches!(programme.kind, ProgrammeKind::Hard | ProgrammeKind::Support);
            if is_charged && row.programmes & programme.mask() != 0 {
                let is_tail = self.is_tail(programme, slot);
                accounts.extend(accounts_of(programme, merchant, row.scene, granted, is_tail));
            }
        }
    }

    /// Charges a row to the accounts of one programme.
    fn charge(
        &mut self,
        programme: &Programme,
        slot: u32,
        merchant: MerchantId,
        row: &ExposureRow,
        outcome: &mut ReportOutcome,
    ) {
        let is_tail = self.is_tail(programme, slot);
        let accounts = |at| accounts_of(programme, merchant, row.scene, at, is_tail);
        let mut left = row.exposures;
        for reservation in reservations_of(row) {
            left -= 1;
            let late = u64::from(self.meta.now > reservation.deadline());
            for key in accounts(reservation.granted_from()) {
                self.deliver(key, 1, late, Some(reservation), outcome);
            }
            outcome.late = outcome.late.saturating_add(late);
        }
        if left > 0 {
            for key in accounts(row.occurred_at) {
                self.deliver(key, left, 0, None, outcome);
            }
        }
        if row.exposures > 0 && programme.budget.as_ref().is_some_and(|budget| budget.daily_members > 0) {
            let day = row.occurred_at.day();
            if self.member(programme.bit, merchant).reach(day) {
                *self.ledgers.reached.entry((programme.bit, day)).or_default() += 1;
                self.changes.ledger.insert(LedgerKey::Reached(programme.bit, day));
            }
        }
    }

    fn deliver(
        &mut self,
        key: AccountKey,
        exposures: u64,
        late: u64,
        reservation: Option<ReservationId>,
        outcome: &mut ReportOutcome,
    ) {
        let limit = self.limit_of(&key).exposures().unwrap_or(u64::MAX);
        let beyond = |delivered: u64| delivered.saturating_sub(limit);
        let (before, after) = self.change_account(key, |account| {
            let before = account.delivered;
            if let Some(reservation) = reservation {
                account.settle(reservation, late > 0);
            }
            account.deliver(exposures, late);
            (before, account.delivered)
        });
        outcome.over_budget = outcome.over_budget.saturating_add(beyond(after) - beyond(before));
        if let Scope::Wallet(merchant, _) = key.scope {
            self.refresh_packages(merchant);
        }
    }

    /// What time does to what reports add up to.
    pub(super) fn move_reports(&mut self, now: Timestamp) {
        while let Some(key) = self.ledgers.reports.forget(now) {
            self.changes.ledger.insert(LedgerKey::Report(key));
        }
        let week = Week(now.day().week().0.saturating_sub(KEPT_WEEKS));
        while let Some(key) = self.ledgers.hours.keys().next().copied().filter(|(other, _)| *other < week) {
            self.ledgers.hours.remove(&key);
            self.changes.ledger.insert(LedgerKey::Hours(key.0, key.1));
        }
        let day = now.day().plus(-KEPT_REACH_DAYS);
        if self.ledgers.reached_from < day {
            self.ledgers.reached_from = day;
            let old: Vec<(u8, Day)> = self.ledgers.reached.keys().filter(|(_, other)| *other < day).copied().collect();
            for (bit, day) in old {
                self.ledgers.reached.remove(&(bit, day));
                self.changes.ledger.insert(LedgerKey::Reached(bit, day));
            }
        }
    }

    pub(super) fn clear_members(&mut self, bit: u8) {
        let merchants: Vec<MerchantId> = self.lift(bit).map(|(merchant, _)| merchant).collect();
        for merchant in merchants {
            self.ledgers.members.remove(&(bit, merchant));
            self.changes.ledger.insert(LedgerKey::Member(bit, merchant));
        }
        let days = self.ledgers.reached.range((bit, Day(i32::MIN))..=(bit, Day(i32::MAX)));
        let days: Vec<Day> = days.map(|((_, day), _)| *day).collect();
        for day in days {
            self.ledgers.reached.remove(&(bit, day));
            self.changes.ledger.insert(LedgerKey::Reached(bit, day));
        }
    }
}

/// The reservations of a row that count as such: at most one for each exposure.
pub(super) fn reservations_of(row: &ExposureRow) -> impl Iterator<Item = ReservationId> {
    let most = usize::try_from(row.exposures).unwrap_or(usize::MAX);
    row.reservations.iter().copied().take(most).filter(|id| is_of(*id, row.occurred_at))
}

/// Whether an id can be of the reservation of an exposure: granted at most a day before it was shown. Anything else is
/// counted as an exposure without one.
fn is_of(reservation: ReservationId, shown: Timestamp) -> bool {
    let granted = reservation.granted_from();
    granted <= shown.plus_ms(REPORT_AHEAD_MS) && granted.plus_ms(DAY_MS) >= shown
}

fn owner(item: &Profile) -> Option<MerchantId> {
    match item {
        Profile::Product(product) => Some(product.merchant),
        Profile::LiveRoom(room) => Some(room.merchant),
        Profile::ShortVideo(video) => Some(video.merchant),
        Profile::Merchant(_) | Profile::Provider(_) => None,
    }
}
