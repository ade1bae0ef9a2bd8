//! `apply` for reports of exposures. A report is taken as a whole or refused as a whole.
//!
//! Exposures count in the period in which they were shown; those of reservations in the period in which they were
//! granted, where they were charged: so reports that are in time never carry an account beyond its limit.
//!
//! What was shown is spent, whoever has left meanwhile. A row whose target or merchant is not registered any more still
//! counts against its programmes' budgets, and one of a programme that left the policy against the accounts that are
//! kept of it: otherwise the reservations would end unreported, and the budget would be granted again.

use std::collections::BTreeMap;

use super::audience::MemberRow;
use super::ledgers::LedgerKey;
use super::reports::{ReportRow, key_of};
use super::state::{Applied, State};
use crate::domain::{
    AccountKey, DAY_MS, Day, ExposureRow, MerchantId, Outcome, Profile, REPORT_AHEAD_MS, Rejection, ReportOutcome,
    RequestKey, ReservationId, Scene, Scope, Timestamp, Week,
};
use crate::policy::Policy;
use crate::traffic::{Limit, Programme, ProgrammeKind, accounts_of, bits};

/// Weeks of hours that are kept before the present one.
const KEPT_WEEKS: i32 = 2;
/// Days that the counts of members reached are kept before today.
const KEPT_REACH_DAYS: i32 = 8;

/// Reservations of a row that end together and are of one session: one of them, and how many there are.
type Grouped = Vec<(ReservationId, u64)>;

/// Whom a row counts for.
#[derive(Clone, Copy)]
struct Payer {
    /// Whom it names, registered or not; none if nobody knows.
    merchant: Option<MerchantId>,
    /// The slot, if it is registered.
    slot: Option<u32>,
}

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
            if let Some(place) = by_bit.get_mut(usize::from(programme.bit)).filter(|_| is_charged(programme)) {
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

    /// For whom a row counts: the merchant it names, or the owner of its target.
    fn payer(&self, row: &ExposureRow) -> Payer {
        let merchant = row.merchant.or_else(|| match row.kind.item() {
            None => Some(MerchantId(row.target)),
            Some(kind) => self.items(kind).get(&row.target).and_then(owner),
        });
        let slot = merchant.and_then(|merchant| self.registered.get(&merchant).copied());
        Payer { merchant, slot }
    }

    fn count_row(&mut self, counted: &Counted, row: &ExposureRow, outcome: &mut ReportOutcome) {
        outcome.exposures = outcome.exposures.saturating_add(row.exposures);
        let week = row.occurred_at.day().week();
        self.ledgers.hours.entry((week, row.scene)).or_default().count(row.occurred_at.hour_of_week(), row.exposures);
        self.changes.ledger.insert(LedgerKey::Hours(week, row.scene));
        let payer = self.payer(row);
        if let (Some(merchant), Some(slot)) = (payer.merchant, payer.slot) {
            self.count_for_merchant(counted, merchant, slot, row);
        } else {
            outcome.unattributed = outcome.unattributed.saturating_add(row.exposures);
        }
        let reservations = self.group_reservations(row, outcome);
        for bit in bits(row.programmes) {
            let programme = counted.by_bit.get(usize::from(bit)).copied().flatten();
            let is_charged = self.charge(bit, programme, payer, row, &reservations, outcome);
            // Counted once, if it was not for want of a merchant.
            if !is_charged && programme.is_none() && payer.slot.is_some() {
                outcome.unattributed = outcome.unattributed.saturating_add(row.exposures);
            }
        }
    }

    /// The reservations of a row that count as such, those of one session that end together as one: a row can have many,
    /// and the state's lock is held. Notes how many came late, and how many count as none.
    fn group_reservations(&self, row: &ExposureRow, outcome: &mut ReportOutcome) -> Grouped {
        let mut groups: BTreeMap<(u32, u32), (ReservationId, u64)> = BTreeMap::new();
        for id in reservations_of(row) {
            let (_, count) = groups.entry((id.bucket(), id.session())).or_insert((id, 0));
            *count = count.saturating_add(1);
        }
        let groups: Grouped = groups.into_values().collect();
        let count = |groups: &mut dyn Iterator<Item = &(ReservationId, u64)>| -> u64 {
            groups.fold(0, |sum, (_, count)| sum.saturating_add(*count))
        };
        let late = count(&mut groups.iter().filter(|(id, _)| self.meta.now > id.deadline()));
        outcome.late = outcome.late.saturating_add(late);
        let sent = u64::try_from(row.reservations.len()).unwrap_or(u64::MAX).min(row.exposures);
        let mismatched = sent.saturating_sub(count(&mut groups.iter()));
        outcome.mismatched = outcome.mismatched.saturating_add(mismatched);
        groups
    }

    /// Counts a row of a registered merchant for what is known of it.
    fn count_for_merchant(&mut self, counted: &Counted, merchant: MerchantId, slot: u32, row: &ExposureRow) {
        let recent = self.ledgers.recent.entry(merchant).or_default();
        recent.count(row.occurred_at.day(), row.exposures);
        self.changes.ledger.insert(LedgerKey::Recent(merchant));
        self.count_lift(counted, slot, merchant, row);
        for programme in counted.guaranteed.iter().filter(|programme| programme.works_in(row.scene)) {
            self.count_for_guarantee(programme.bit, merchant, row);
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
        let payer = self.payer(row);
        for bit in bits(row.programmes) {
            let programme = self.programme_at(bit).filter(|programme| is_charged(programme));
            self.accounts_at(bit, programme, payer, row.scene, granted, accounts);
        }
    }

    /// Appends the accounts of a programme, or of one that left the policy, that an exposure at an instant counts in.
    fn accounts_at(
        &self,
        bit: u8,
        programme: Option<&Programme>,
        payer: Payer,
        scene: Scene,
        at: Timestamp,
        accounts: &mut Vec<AccountKey>,
    ) {
        let Some(programme) = programme else {
            // A programme that serves as another kind now has no accounts of its own to look for.
            if self.programme_at(bit).is_none() {
                self.standing_at(bit, payer.merchant, scene, at, accounts);
            }
            return;
        };
        let Some(merchant) = payer.merchant else {
            // Whose share and cap it was nobody can tell.
            let all = accounts_of(programme, MerchantId(0), scene, at, true).into_iter();
            accounts.extend(all.filter(|key| is_budget(key.scope)));
            return;
        };
        let recent = self.recent_exposures(merchant);
        let is_tail = match payer.slot {
            Some(slot) => self.is_tail(programme, slot),
            None => programme.budget.as_ref().is_some_and(|budget| budget.is_tail(recent)),
        };
        let all = accounts_of(programme, merchant, scene, at, is_tail).into_iter();
        // Of somebody who is not registered only accounts that were leased: any number could be sent as an id.
        accounts.extend(all.filter(|key| payer.slot.is_some() || is_budget(key.scope) || self.account(key).is_some()));
    }

    /// Appends the accounts that are kept of a programme that left the policy. Its terms are gone: the period that an
    /// instant falls in is that of the account.
    fn standing_at(
        &self,
        bit: u8,
        merchant: Option<MerchantId>,
        scene: Scene,
        at: Timestamp,
        accounts: &mut Vec<AccountKey>,
    ) {
        let day = at.day();
        let of = |scope| {
            let key = |period| AccountKey { bit, scope, period };
            let (key, row) = self.ledgers.accounts.range(key(Day(i32::MIN))..=key(day)).next_back()?;
            row.ends.is_none_or(|ends| day < ends).then_some(*key)
        };
        accounts.extend(of(Scope::Scene(scene)).or_else(|| of(Scope::Programme)));
        if let Some(merchant) = merchant {
            let own = [Scope::Member(merchant), Scope::Cap(merchant), Scope::Wallet(merchant, scene)];
            accounts.extend(own.into_iter().filter_map(of));
        }
    }

    /// Charges a row to the accounts of one programme; answers whether there were any.
    fn charge(
        &mut self,
        bit: u8,
        programme: Option<&Programme>,
        payer: Payer,
        row: &ExposureRow,
        reservations: &Grouped,
        outcome: &mut ReportOutcome,
    ) -> bool {
        let mut left = row.exposures;
        let mut is_any = false;
        let mut keys = Vec::new();
        for (reservation, count) in reservations {
            left = left.saturating_sub(*count);
            keys.clear();
            self.accounts_at(bit, programme, payer, row.scene, reservation.granted_from(), &mut keys);
            is_any |= !keys.is_empty();
            let late = if self.meta.now > reservation.deadline() { *count } else { 0 };
            for key in &keys {
                self.deliver(*key, *count, late, Some(*reservation), outcome);
            }
        }
        if left > 0 {
            keys.clear();
            self.accounts_at(bit, programme, payer, row.scene, row.occurred_at, &mut keys);
            is_any |= !keys.is_empty();
            for key in &keys {
                self.deliver(*key, left, 0, None, outcome);
            }
        }
        if let (Some(programme), Some(merchant), Some(_)) = (programme, payer.merchant, payer.slot) {
            self.count_reached(programme, merchant, row);
        }
        is_any
    }

    /// Counts a member that a programme with a daily floor reached.
    fn count_reached(&mut self, programme: &Programme, merchant: MerchantId, row: &ExposureRow) {
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
        // A programme that left the policy has no limits to go beyond.
        let limit = match self.limit_of(&key) {
            Limit::AtMost(exposures) => exposures,
            Limit::Unlimited | Limit::NoAccount => u64::MAX,
        };
        let beyond = |delivered: u64| delivered.saturating_sub(limit);
        let (before, after) = self.change_account(key, |account| {
            let before = account.delivered;
            if let Some(reservation) = reservation {
                account.settle(reservation, exposures, late > 0);
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

/// Tilts and modifiers have no budget: no exposure counts against them.
fn is_charged(programme: &Programme) -> bool {
    matches!(programme.kind, ProgrammeKind::Hard | ProgrammeKind::Support)
}

/// Whether an account is the programme's, whoever is shown.
fn is_budget(scope: Scope) -> bool {
    matches!(scope, Scope::Programme | Scope::Scene(_))
}
