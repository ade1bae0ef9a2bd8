//! `apply` for facts: history rows, window sums, the first sale, import chunks.

use std::collections::{BTreeSet, HashMap};

use super::history::{History, HistoryError};
use super::rows::ImportRow;
use super::state::{Due, MerchantEntry, State};
use crate::domain::{
    ChunkOutcome, Day, DayFacts, FactKey, FactRow, MerchantId, Outcome, Profile, Rejection, Subject, Week,
};
use crate::trust::{Anchors, FactsLayout, FirstSale, MerchantFacts, Span};

/// Merchants whose anchored windows are summed again at once: so many that a day's rows are worth a pass, so few that
/// their rows take a few mebibytes.
const MERCHANTS_AT_ONCE: usize = 512;

/// Rows of the store by key.
type StoredRows = HashMap<FactKey, DayFacts, foldhash::fast::FixedState>;

impl State {
    /// Records rows of facts in order: the history rows, and the sums of the current day and of the one being prepared.
    /// What stands in the store is read for all of them at once.
    pub(super) fn record_rows(
        &mut self,
        rows: &[FactRow],
        history: &dyn History,
    ) -> Result<Vec<Result<(), Rejection>>, HistoryError> {
        let stored = self.stored_rows(rows, history)?;
        let mut moved = BTreeSet::new();
        let mut results = Vec::with_capacity(rows.len());
        for row in rows {
            results.push(self.record_row(row, &stored, &mut moved, history)?);
        }
        self.sum_moved_again(&moved, history)?;
        Ok(results)
    }

    /// What the store holds under the keys of rows, as far as it holds something.
    fn stored_rows(&self, rows: &[FactRow], history: &dyn History) -> Result<StoredRows, HistoryError> {
        let may_stand = |row: &&FactRow| match row.subject {
            // Rows beyond the last stored day of a merchant do not exist: feeding in order reads nothing.
            Subject::Merchant(id) => {
                self.merchant(id).and_then(|entry| entry.last_stored).is_some_and(|last| row.day <= last)
            }
            Subject::Item(item) => self.find_item(item).is_ok(),
        };
        let keys: Vec<FactKey> = rows.iter().filter(may_stand).map(FactRow::key).collect();
        let found = history.rows_at(&keys)?;
        Ok(keys.into_iter().zip(found).filter(|(_, row)| !row.cells().is_empty()).collect())
    }

    /// Records one row; merchants whose first sale it moved are noted in `moved`, for their anchored windows to be summed
    /// again.
    fn record_row(
        &mut self,
        row: &FactRow,
        stored: &StoredRows,
        moved: &mut BTreeSet<u32>,
        history: &dyn History,
    ) -> Result<Result<(), Rejection>, HistoryError> {
        let slot = match self.check_row(row) {
            Ok(slot) => slot,
            Err(rejection) => return Ok(Err(rejection)),
        };
        for (counter, _) in row.facts.cells() {
            if let Some(seen) = self.meta.seen.get_mut(usize::from(counter.0)) {
                *seen = true;
            }
        }
        let key = row.key();
        let before = self.changes.facts.get(&key).or_else(|| stored.get(&key)).cloned().unwrap_or_default();
        let mut after = before.clone();
        after.merge(&row.facts);
        self.changes.facts.insert(key, after);
        if let Subject::Item(item) = row.subject {
            self.write_item_sums(item, row, &before);
        }
        if let Some(slot) = slot {
            self.write_sums(slot, row, &before, moved, history)?;
        }
        Ok(Ok(()))
    }

    /// The slot of the row's merchant, none if it is about an item.
    fn check_row(&self, row: &FactRow) -> Result<Option<u32>, Rejection> {
        let latest = self.meta.now.day().plus(1);
        if row.day > latest {
            return Err(Rejection::DayInFuture { day: row.day, latest });
        }
        let known = self.meta.counters.len();
        if let Some((counter, _)) = row.facts.cells().iter().find(|(counter, _)| usize::from(counter.0) >= known) {
            return Err(Rejection::UnknownCounter { counter: *counter });
        }
        match row.subject {
            Subject::Merchant(id) => self.find_merchant(id).map(Some),
            Subject::Item(item) => self.find_item(item).map(|_| None),
        }
    }

    fn write_sums(
        &mut self,
        slot: u32,
        row: &FactRow,
        before: &DayFacts,
        moved: &mut BTreeSet<u32>,
        history: &dyn History,
    ) -> Result<(), HistoryError> {
        self.fork(slot);
        let policy = self.policy.clone();
        let facts_day = self.facts_day();
        // No record looks beyond the last closed day.
        if row.day <= self.transition.as_ref().map_or(facts_day, |building| building.facts_day.max(facts_day)) {
            self.dirty.insert(Due::Merchant(slot));
        }
        self.changes.windows.insert(slot);
        let Some(entry) = self.entry_mut(slot) else { return Ok(()) };
        entry.last_stored = Some(entry.last_stored.map_or(row.day, |last| last.max(row.day)));
        let anchors = anchors(entry.profile.as_ref(), &entry.facts);
        let layout = &policy.model.layout;
        let first_sale = entry.facts.write_row(layout, &anchors, facts_day, row.day, before, &row.facts);
        if first_sale == FirstSale::Moved {
            moved.insert(slot);
        } else if first_sale == FirstSale::Lost {
            let mut facts = std::mem::take(&mut entry.facts);
            let looked = self.settle_first_sale(slot, layout, &mut facts, facts_day, first_sale, history);
            if let Some(entry) = self.entry_mut(slot) {
                entry.facts = facts;
            }
            looked?;
        }
        self.write_in_transition(slot, row, before, history)
    }

    /// After the first sale moved or was lost: finds it, and sums anchored windows again.
    pub(super) fn settle_first_sale(
        &self,
        slot: u32,
        layout: &FactsLayout,
        facts: &mut MerchantFacts,
        facts_day: Day,
        change: FirstSale,
        history: &dyn History,
    ) -> Result<(), HistoryError> {
        if change == FirstSale::Lost {
            let found = self.find_first_sale(slot, layout, facts.first_sale(), facts_day, history)?;
            facts.set_first_sale(found);
        }
        self.sum_anchored(slot, layout, facts, facts_day, history)
    }

    /// Whether the row of the first sale still says so.
    pub(super) fn first_sale_stands(
        &self,
        slot: u32,
        layout: &FactsLayout,
        facts: &MerchantFacts,
        history: &dyn History,
    ) -> Result<bool, HistoryError> {
        let (Some(entry), Some(counter), Some(day)) =
            (self.entry(slot), layout.first_sale_counter(), facts.first_sale())
        else {
            return Ok(true);
        };
        let row = self.fact_row(FactKey { day, subject: Subject::Merchant(entry.id) }, history)?;
        Ok(row.get(counter).is_some_and(|orders| orders > 0))
    }

    fn find_first_sale(
        &self,
        slot: u32,
        layout: &FactsLayout,
        after: Option<Day>,
        facts_day: Day,
        history: &dyn History,
    ) -> Result<Option<Day>, HistoryError> {
        let (Some(entry), Some(counter), Some(mut day)) = (self.entry(slot), layout.first_sale_counter(), after) else {
            return Ok(None);
        };
        let end = entry.last_stored.map_or(facts_day, |last| last.min(facts_day));
        while day < end {
            day = day.plus(1);
            let row = self.fact_row(FactKey { day, subject: Subject::Merchant(entry.id) }, history)?;
            if row.get(counter).is_some_and(|orders| orders > 0) {
                return Ok(Some(day));
            }
        }
        Ok(None)
    }

    /// Sums the windows that begin with a day of the merchant's life again, now and in what is being prepared.
    pub(super) fn sum_anchored_again(&mut self, slot: u32, history: &dyn History) -> Result<(), HistoryError> {
        self.fork(slot);
        let policy = self.policy.clone();
        let facts_day = self.facts_day();
        let Some(entry) = self.entry_mut(slot) else { return Ok(()) };
        let mut facts = std::mem::take(&mut entry.facts);
        let summed = self.sum_anchored(slot, &policy.model.layout, &mut facts, facts_day, history);
        if let Some(entry) = self.entry_mut(slot) {
            entry.facts = facts;
        }
        self.changes.windows.insert(slot);
        summed?;
        self.sum_anchored_in_transition(slot, history)
    }

    pub(super) fn sum_anchored(
        &self,
        slot: u32,
        layout: &FactsLayout,
        facts: &mut MerchantFacts,
        facts_day: Day,
        history: &dyn History,
    ) -> Result<(), HistoryError> {
        facts.clear_anchored(layout);
        let Some(entry) = self.entry(slot) else { return Ok(()) };
        let anchors = anchors(entry.profile.as_ref(), facts);
        for day in anchored_days(entry, layout, &anchors, facts_day) {
            let row = self.fact_row(FactKey { day, subject: Subject::Merchant(entry.id) }, history)?;
            facts.add_anchored(layout, &anchors, facts_day, day, &row);
        }
        Ok(())
    }

    /// Sums the anchored windows of many merchants again. Their rows are read day by day: merchants that are imported
    /// together stand together on disk.
    fn sum_moved_again(&mut self, moved: &BTreeSet<u32>, history: &dyn History) -> Result<(), HistoryError> {
        let policy = self.policy.clone();
        let layout = &policy.model.layout;
        let facts_day = self.facts_day();
        let moved: Vec<u32> = moved.iter().copied().collect();
        for slots in moved.chunks(MERCHANTS_AT_ONCE) {
            let merchants: Vec<(u32, Anchors, Vec<FactKey>)> = slots
                .iter()
                .filter_map(|slot| {
                    let entry = self.entry(*slot)?;
                    let anchors = anchors(entry.profile.as_ref(), &entry.facts);
                    let key = |day| FactKey { day, subject: Subject::Merchant(entry.id) };
                    let keys = anchored_days(entry, layout, &anchors, facts_day).into_iter().map(key).collect();
                    Some((*slot, anchors, keys))
                })
                .collect();
            let changed = &self.changes.facts;
            let keys = merchants.iter().flat_map(|(.., keys)| keys);
            let unchanged: Vec<FactKey> = keys.filter(|key| !changed.contains_key(key)).copied().collect();
            let mut stored = history.rows_at(&unchanged)?.into_iter();
            for (slot, anchors, keys) in merchants {
                let Some(entry) = usize::try_from(slot).ok().and_then(|slot| self.merchants.get_mut(slot)) else {
                    continue;
                };
                entry.facts.clear_anchored(layout);
                for key in keys {
                    let read = if self.changes.facts.contains_key(&key) { None } else { stored.next() };
                    if let Some(row) = self.changes.facts.get(&key).or(read.as_ref()) {
                        entry.facts.add_anchored(layout, &anchors, facts_day, key.day, row);
                    }
                }
            }
        }
        Ok(())
    }

    /// A row of facts as it stands: changed and not yet written, or stored.
    pub(super) fn fact_row(&self, key: FactKey, history: &dyn History) -> Result<DayFacts, HistoryError> {
        match self.changes.facts.get(&key) {
            Some(row) => Ok(row.clone()),
            None => history.row(key),
        }
    }

    /// The rows of a merchant in a natural week, open days included.
    pub(super) fn week_rows(
        &self,
        merchant: MerchantId,
        week: Week,
        history: &dyn History,
    ) -> Result<Vec<DayFacts>, HistoryError> {
        let days = week.monday().0..=week.sunday().0;
        let key = |day| FactKey { day: Day(day), subject: Subject::Merchant(merchant) };
        days.map(|day| self.fact_row(key(day), history)).collect()
    }

    /// Takes one chunk of an import, in order, once.
    pub(super) fn take_chunk(
        &mut self,
        revision: u64,
        import_id: &str,
        sequence: u64,
        (profiles, rows): (&[Profile], &[FactRow]),
        history: &dyn History,
    ) -> Result<Outcome, HistoryError> {
        let committed = self.imports.committed(import_id, self.meta.now);
        if sequence <= committed {
            return Ok(Outcome::Chunk(ChunkOutcome { skipped: true, ..ChunkOutcome::default() }));
        }
        if sequence != committed.saturating_add(1) {
            return Ok(Outcome::Rejected(Rejection::ImportGap { sequence, committed }));
        }
        let mut outcome = ChunkOutcome::default();
        for profile in profiles {
            let mut profile = profile.clone();
            profile.set_revision(revision);
            self.put(profile, history)?;
        }
        for (index, result) in (0_u32..).zip(self.record_rows(rows, history)?) {
            outcome.rows.extend(result.err().map(|rejection| (index, rejection)));
        }
        let row = ImportRow { stamp: self.meta.now, committed: sequence };
        self.imports.set(import_id, row.clone());
        self.changes.imports.insert(import_id.to_owned(), Some(row));
        Ok(Outcome::Chunk(outcome))
    }
}

/// The days that the anchored windows of a merchant reach, as far as it has rows.
fn anchored_days(entry: &MerchantEntry, layout: &FactsLayout, anchors: &Anchors, facts_day: Day) -> BTreeSet<Day> {
    let mut days = BTreeSet::new();
    let Some(last_stored) = entry.last_stored else { return days };
    for (_, window) in layout.anchored() {
        let Span::From(anchor, _) = &window.span else { continue };
        let Some(range) = window.range(facts_day, anchors.day(anchor)) else { continue };
        days.extend((range.first.0..=range.last.min(last_stored).0).map(Day));
    }
    days
}

/// The anchors of a merchant: of its profile, and its first sale.
pub(super) fn anchors(profile: Option<&crate::domain::Merchant>, facts: &MerchantFacts) -> Anchors {
    let mut anchors = profile.map(Anchors::of).unwrap_or_default();
    anchors.first_sale = facts.first_sale();
    anchors
}
