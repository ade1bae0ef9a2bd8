//! Taking the state back from stored rows.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use std::sync::atomic::AtomicU64;

use super::classes::ItemClasses;
use super::history::{History, HistoryError};
use super::hot::{NOTHING_CLOSED, Side, World};
use super::ledgers::LedgerRow;
use super::recording::anchors;
use super::reports::ReportRow;
use super::rows::{RequestRow, Row, WindowsRow};
use super::state::State;
use super::table::MerchantTable;
use crate::domain::{Day, ItemId, ItemKind, MerchantId, Profile, ProfileKey, Rejection, RequestKey, Subject};
use crate::policy::text_hash;
use crate::trust::{DayRange, FactsLayout};

/// Collects rows and makes the state of them.
#[derive(Default)]
pub struct Restore {
    state: State,
    requests: Vec<(RequestKey, RequestRow)>,
    reports: Vec<(u128, ReportRow)>,
    /// Slots of the merchants that are registered.
    registered: Vec<(MerchantId, u32)>,
    /// Items by kind. A map that is made of all of them at once is packed full.
    items: [Vec<(u64, Profile)>; 3],
    /// Sums of merchants that are not registered.
    strangers: Vec<(MerchantId, WindowsRow)>,
    /// Merchants whose sums are of another day, by that day.
    behind: BTreeMap<Day, Vec<u32>>,
    /// Merchants whose sums are of another layout.
    relaid: Vec<u32>,
    /// Items whose sums are of another day, by that day; none stands for another layout.
    stale_items: BTreeMap<Option<Day>, BTreeSet<ItemId>>,
    is_compiled: bool,
}

/// Why the state cannot be taken back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Stored facts cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The stored policy does not compile with this program.
    #[error(
        "the stored policy version {version} cannot be used by this program: {problem}; start the program that served \
         it, publish a version that both accept, then start this one again"
    )]
    Policy {
        /// Which version.
        version: u64,
        /// Why not.
        problem: Rejection,
    },
}

impl Restore {
    /// Takes one row. Meta and policies come before all others, then come profiles.
    ///
    /// # Errors
    /// When the stored policy does not compile.
    pub fn row(&mut self, row: Row) -> Result<(), RestoreError> {
        if !self.is_compiled && !matches!(row, Row::Meta(_) | Row::Policy(_)) {
            self.compile()?;
        }
        let state = &mut self.state;
        match row {
            Row::Meta(meta) => state.meta = meta,
            Row::Policy(mut policy) => {
                if policy.hash.is_empty() {
                    policy.hash = text_hash(&policy.text);
                }
                state.policies.insert(policy.version, policy);
            }
            Row::Profile(_, Some(profile)) => self.profile(profile),
            Row::Windows(Subject::Merchant(id), row) => match state.hot.merchant_slot(id) {
                Some(slot) => self.windows(slot, row),
                None => self.strangers.push((id, row)),
            },
            Row::Windows(Subject::Item(item), row) => self.item_windows(item, row),
            Row::Rights(id, rights) => {
                let slot = state.slot_of(id);
                if let Some(entry) = state.entry_mut(slot) {
                    entry.rights = rights;
                }
            }
            Row::Violation(violation) => {
                let slot = state.slot_of(violation.merchant);
                if let Some(item) = violation.item {
                    state.item_violations.entry(item).or_default().push((slot, violation.id));
                }
                if let Some(entry) = state.entry_mut(slot) {
                    entry.violations.push(violation);
                }
            }
            Row::Request(key, Some(row)) => self.requests.push((key, row)),
            Row::Import(id, Some(row)) => state.imports.set(&id, row),
            Row::Ledger(row) => self.ledger(row),
            Row::Facts(..) | Row::Audit(_) | Row::Profile(_, None) | Row::Request(_, None) | Row::Import(_, None) => {}
        }
        Ok(())
    }

    fn ledger(&mut self, row: LedgerRow) {
        let state = &mut self.state;
        let ledgers = &mut state.ledgers;
        match row {
            LedgerRow::Account(key, Some(row)) => state.restore_account(key, row),
            LedgerRow::Programme(bit, Some(row)) => drop(ledgers.programmes.insert(bit, row)),
            LedgerRow::Guarantee(key, Some(row)) => state.restore_guarantee(key, row),
            LedgerRow::Package(number, Some(row)) => state.restore_package(number, row),
            LedgerRow::Wallet(merchant, scene, Some(row)) => drop(ledgers.wallets.insert((merchant, scene), row)),
            LedgerRow::Member(bit, merchant, Some(row)) => drop(ledgers.members.insert((bit, merchant), row)),
            LedgerRow::Recent(merchant, Some(row)) => drop(ledgers.recent.insert(merchant, row)),
            LedgerRow::Reached(bit, day, Some(members)) => drop(ledgers.reached.insert((bit, day), members)),
            LedgerRow::Hours(week, scene, Some(row)) => drop(ledgers.hours.insert((week, scene), row)),
            LedgerRow::Report(key, Some(row)) => self.reports.push((key, row)),
            LedgerRow::Account(_, None)
            | LedgerRow::Programme(_, None)
            | LedgerRow::Guarantee(_, None)
            | LedgerRow::Package(_, None)
            | LedgerRow::Wallet(.., None)
            | LedgerRow::Member(.., None)
            | LedgerRow::Recent(_, None)
            | LedgerRow::Reached(.., None)
            | LedgerRow::Hours(.., None)
            | LedgerRow::Report(_, None) => {}
        }
    }

    fn compile(&mut self) -> Result<(), RestoreError> {
        self.is_compiled = true;
        let state = &mut self.state;
        let version = state.meta.policy_version;
        if version > 0 {
            let policy = state.compile_stored(version);
            state.policy = policy.map_err(|problem| RestoreError::Policy { version, problem })?;
        }
        if let Some(version) = state.meta.pending.map(|pending| pending.version) {
            let policy = state.compile_stored(version);
            state.pending_policy = Some(policy.map_err(|problem| RestoreError::Policy { version, problem })?);
        }
        // The first programs kept neither; they published nothing but what they were configured with.
        if let Some(last) = state.policies.values().next_back().filter(|_| state.meta.policy_revision == 0) {
            state.meta.policy_revision = last.revision;
            state.meta.configured_hash.clone_from(&last.hash);
        }
        state.hot.set_kill_switch(state.meta.kill_switch.is_some());
        Ok(())
    }

    fn profile(&mut self, profile: Profile) {
        let state = &mut self.state;
        match profile {
            Profile::Merchant(merchant) => {
                let slot = state.slot_of(merchant.id);
                self.registered.push((merchant.id, slot));
                state.serve(slot, None, merchant.service_provider);
                if let Some(entry) = state.entry_mut(slot) {
                    entry.profile = Some(*merchant);
                }
            }
            Profile::Provider(provider) => drop(state.providers.insert(provider.id, *provider)),
            item @ (Profile::Product(_) | Profile::LiveRoom(_) | Profile::ShortVideo(_)) => {
                if let ProfileKey::Item(id) = item.key() {
                    id.kind.of_mut(&mut self.items).push((id.id, item));
                }
            }
        }
    }

    fn windows(&mut self, slot: u32, row: WindowsRow) {
        let facts_day = self.state.facts_day();
        let policy = self.state.policy.clone();
        let same_layout = row.layout == policy.layout_fingerprint;
        let facts = Some(row.facts).filter(|facts| same_layout && facts.fits(&policy.model.layout));
        let Some(entry) = self.state.entry_mut(slot) else { return };
        entry.last_stored = row.last_stored;
        match facts {
            Some(facts) => {
                entry.facts = facts;
                if row.facts_day != facts_day {
                    self.behind.entry(row.facts_day).or_default().push(slot);
                }
            }
            None => self.relaid.push(slot),
        }
    }

    fn item_windows(&mut self, item: ItemId, row: WindowsRow) {
        let policy = self.state.policy.clone();
        let same_layout = row.layout == policy.item_layout_fingerprint;
        let facts = Some(row.facts).filter(|facts| same_layout && facts.fits(&policy.item_layout));
        let summed_to = facts.as_ref().map(|_| row.facts_day);
        if let Some(facts) = facts {
            self.state.item_facts.insert(item, facts);
        }
        if summed_to != Some(self.state.facts_day()) && !policy.item_layout.sums().is_empty() {
            self.stale_items.entry(summed_to).or_default().insert(item);
        }
    }

    /// The state: sums brought up to the facts day, every record made.
    ///
    /// # Errors
    /// When stored facts cannot be read or the stored policy does not compile.
    pub fn finish(mut self, applied: u64, history: &dyn History) -> Result<State, RestoreError> {
        if !self.is_compiled {
            self.compile()?;
        }
        self.state.registered = std::mem::take(&mut self.registered).into_iter().collect();
        self.state.items = std::mem::take(&mut self.items).map(|items| items.into_iter().collect());
        // They come from several threads: slots follow from the ids all the same.
        let mut strangers = std::mem::take(&mut self.strangers);
        strangers.sort_by_key(|(id, _)| *id);
        for (id, row) in strangers {
            let slot = self.state.slot_of(id);
            self.windows(slot, row);
        }

        let layout = self.state.policy.model.layout.clone();
        for (from, slots) in std::mem::take(&mut self.behind) {
            self.catch_up(&layout, &layout, from, slots, history)?;
        }
        let relaid = std::mem::take(&mut self.relaid);
        self.catch_up(&FactsLayout::default(), &layout, NOTHING_CLOSED, relaid, history)?;

        for (from, items) in std::mem::take(&mut self.stale_items) {
            self.state.catch_items_up(from, &items, history)?;
        }

        let mut state = self.state;
        state.requests.restore(self.requests);
        state.ledgers.reports.restore(self.reports);
        let holders: BTreeSet<MerchantId> = state.ledgers.wallets.keys().map(|(merchant, _)| *merchant).collect();
        for merchant in holders {
            state.refresh_packages(merchant);
        }
        let meta = &state.meta;
        state.disabled = super::transition::disabled_signals(&state.policy, &meta.unseen_at_close);
        let _ = state.hot.set_world(World {
            policy: state.policy.clone(),
            facts_day: state.facts_day(),
            disabled: state.disabled.clone(),
            table: MerchantTable::default(),
            classes: ItemClasses::new(&state.policy.programmes),
            side: Side::default(),
            open: AtomicU64::new(0),
            opening: AtomicU64::new(0),
        });
        state.open_windows();
        if let Some(row) = state.meta.transition.take() {
            let version = row.policy_version;
            let policy = state.compile_stored(version);
            let policy = policy.map_err(|problem| RestoreError::Policy { version, problem })?;
            state.begin(row, policy);
        }
        let due = state.make_records();
        state.due.extend(due);
        for kind in ItemKind::ALL {
            let due = state.refresh_items(kind);
            state.due.extend(due);
        }
        let violated: Vec<ItemId> = state.item_violations.keys().copied().collect();
        for item in violated {
            state.refresh_item(item);
        }
        state.finish(applied);
        state.start_transition(history);
        Ok(state)
    }

    /// Brings the sums of some merchants from a day and layout to the current ones.
    fn catch_up(
        &mut self,
        older: &FactsLayout,
        layout: &FactsLayout,
        from: Day,
        slots: Vec<u32>,
        history: &dyn History,
    ) -> Result<(), RestoreError> {
        let to = self.state.facts_day();
        if slots.is_empty() || to <= NOTHING_CLOSED {
            return Ok(());
        }
        let mut days: Vec<DayRange> = layout.days_to_read(older, from, to);
        if older != layout {
            days = vec![DayRange { first: NOTHING_CLOSED.plus(1), last: to }];
        }
        let new_sums = layout.new_sums(older);
        let chosen: HashSet<u32, foldhash::fast::FixedState> = slots.iter().copied().collect();
        let mut moved = BTreeSet::new();
        for item in history.rows(days) {
            let (key, row) = item?;
            let Subject::Merchant(id) = key.subject else { continue };
            let slot = self.state.slot_of(id);
            let Some(entry) = self.state.entry_mut(slot).filter(|_| chosen.contains(&slot)) else { continue };
            let anchors = anchors(entry.profile.as_ref(), &entry.facts);
            if entry.facts.move_row(layout, &anchors, (from, to), &new_sums, key.day, &row) {
                moved.insert(slot);
            }
        }
        for slot in moved {
            self.state.sum_anchored_again(slot, history)?;
        }
        self.state.stale_windows.extend(slots);
        Ok(())
    }
}
