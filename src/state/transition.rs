//! Changes that touch every merchant: closing a day, publishing a policy (DESIGN section 3, Days).
//!
//! A second world is built beside the one that serves, in slices of the writer's time: first the facts of the days
//! that enter or leave some window are read from one snapshot, then every merchant's record is made. Writes that come
//! meanwhile go to both worlds. `Activate` makes the second one current, at once.

use std::collections::{BTreeSet, HashMap};
use std::ops::{Bound, Range};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

use super::classes::ItemClasses;
use super::flips::Flips;
use super::history::{History, HistoryError, HistoryRows};
use super::hot::{NOTHING_CLOSED, Side, World};
use super::parallel::{free_later, give_way, in_parallel};
use super::recording::anchors;
use super::rows::TransitionRow;
use super::state::{Due, State};
use super::table::MerchantTable;
use crate::domain::{Day, DayFacts, FactKey, ItemId, ItemKind, Rejection, Subject, Timestamp};
use crate::policy::Policy;
use crate::traffic::{MerchantRecord, make_record, open_programmes};
use crate::trust::{FirstSale, MerchantFacts, MerchantView, SignalRow, merge_ranges};

/// A world being built.
pub struct Transition {
    /// Revision of the command that began it.
    pub began: u64,
    /// The policy it moves to.
    pub policy: Arc<Policy>,
    /// The facts day it moves to.
    pub facts_day: Day,
    disabled: Vec<bool>,
    /// Sums that the current layout does not have, by position.
    new_sums: Vec<bool>,
    /// The same of items.
    pub(super) new_item_sums: Arc<[bool]>,
    table: MerchantTable,
    /// Classes of items, and which of the two in an item's value they are.
    pub(super) classes: ItemClasses,
    pub(super) side: Side,
    /// Sums of items that differ from the current ones.
    pub(super) item_facts: HashMap<ItemId, MerchantFacts, foldhash::fast::FixedState>,
    /// Sums that differ from the current ones: all of them when the layout does.
    pub(super) forked: HashMap<u32, MerchantFacts, foldhash::fast::FixedState>,
    /// Merchants whose anchored windows are summed once all rows are read.
    pub(super) reanchor: BTreeSet<u32>,
    /// How memberships differ from the current ones, of the merchants scored so far.
    flips: Mutex<Flips>,
    phase: Phase,
}

enum Phase {
    /// The command that began it is not stored yet.
    Waiting,
    /// Laying out sums anew, from this slot on, before rows are read.
    Forking(usize, Mutex<HistoryRows>),
    /// Rows of days that enter or leave some window. Never locked: the mutex only makes it shareable.
    Reading(Mutex<HistoryRows>),
    /// Windows that begin with a day of a merchant's life.
    Anchoring(Vec<u32>),
    /// Making records, from this slot on.
    Scoring(usize),
    /// Classifying items of a kind, those after this id.
    Classifying(ItemKind, u64),
    /// Complete.
    Ready,
}

impl Transition {
    /// What it prepares, in words.
    #[must_use]
    pub fn describe(&self, current: &Policy) -> String {
        if self.policy.version == current.version {
            format!("close day {}", self.facts_day)
        } else {
            format!("policy {}", self.policy.version)
        }
    }

    /// The sums of a merchant that is new while it is built, where the layout differs from the current one.
    pub(super) fn admit(&mut self, slot: u32, current: &Policy) {
        if self.policy.layout_fingerprint != current.layout_fingerprint {
            self.forked.insert(slot, MerchantFacts::empty(&self.policy.model.layout));
        }
    }

    /// Whether it waits for `Activate`.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// Whether it waits for the rows of everything before it to be stored: [`State::start_transition`] comes next.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting)
    }

    pub(super) fn is_reading(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::Forking(..) | Phase::Reading(_))
    }
}

/// Signals whose counters were never sent for anyone.
#[must_use]
pub fn disabled_signals(policy: &Policy, unseen: &[bool]) -> Vec<bool> {
    let is_unseen = |counter: crate::domain::CounterId| unseen.get(usize::from(counter.0)).copied().unwrap_or(false);
    (0..policy.model.signals.len()).map(|index| policy.signal_counters(index).into_iter().any(is_unseen)).collect()
}

impl State {
    pub(super) fn close_day(&mut self, began: u64, day: Day) -> Result<(), Rejection> {
        if day >= self.meta.now.day() {
            return Err(Rejection::DayNotOver { day });
        }
        if let Some(last) = self.meta.facts_day.filter(|last| day <= *last) {
            return Err(Rejection::DayAlreadyClosed { day, last });
        }
        // In an empty marketplace nothing was withheld: signals are disabled only once some counter was sent.
        let any_seen = self.meta.seen.iter().any(|seen| *seen);
        let unseen = self.meta.seen.iter().map(|seen| any_seen && !seen).collect();
        if self.transition.is_some() {
            return Err(Rejection::TransitionPending);
        }
        let policy_version = self.policy.version;
        let row = TransitionRow { began, facts_day: Some(day), policy_version, unseen_at_close: unseen };
        self.begin(row, self.policy.clone());
        Ok(())
    }

    /// Begins a transition; also called for one that a restart interrupted.
    pub(super) fn begin(&mut self, row: TransitionRow, policy: Arc<Policy>) {
        let side = self.hot.world().side.other();
        self.transition = Some(Transition {
            began: row.began,
            facts_day: row.facts_day.unwrap_or(NOTHING_CLOSED),
            disabled: disabled_signals(&policy, &row.unseen_at_close),
            new_sums: policy.model.layout.new_sums(&self.policy.model.layout),
            new_item_sums: policy.item_layout.new_sums(&self.policy.item_layout).into(),
            classes: ItemClasses::new(&policy.programmes),
            policy,
            table: MerchantTable::default(),
            side,
            item_facts: HashMap::default(),
            forked: HashMap::default(),
            reanchor: BTreeSet::new(),
            flips: Mutex::default(),
            phase: Phase::Waiting,
        });
        self.meta.transition = Some(row);
    }

    /// Starts reading, once the rows of everything applied so far are stored.
    pub fn start_transition(&mut self, history: &dyn History) {
        let (policy, from) = (self.policy.clone(), self.facts_day());
        let Some(transition) = &mut self.transition else { return };
        if !matches!(transition.phase, Phase::Waiting) {
            return;
        }
        let layout = &transition.policy.model.layout;
        let item_layout = &transition.policy.item_layout;
        let mut days = layout.days_to_read(&policy.model.layout, from, transition.facts_day);
        days.extend(item_layout.days_to_read(&policy.item_layout, from, transition.facts_day));
        let days = merge_ranges(days);
        let rows = Mutex::new(history.rows(days));
        let differs = policy.layout_fingerprint != transition.policy.layout_fingerprint;
        transition.phase = if differs { Phase::Forking(0, rows) } else { Phase::Reading(rows) };
        self.fork_items();
    }

    fn slots(&self) -> u32 {
        u32::try_from(self.merchants.len()).unwrap_or(u32::MAX)
    }

    /// The slot after so many from one on.
    fn after(&self, first: usize, budget: usize) -> usize {
        first.saturating_add(budget).min(self.merchants.len())
    }

    /// Does up to `budget` rows or records of work. Answers whether the transition is ready.
    ///
    /// # Errors
    /// When stored facts cannot be read.
    pub fn advance_transition(&mut self, budget: usize, history: &dyn History) -> Result<bool, HistoryError> {
        let Some(mut transition) = self.transition.take() else { return Ok(false) };
        let advanced = self.advance(&mut transition, budget, history);
        let is_ready = transition.is_ready();
        self.transition = Some(transition);
        advanced.map(|()| is_ready)
    }

    fn advance(
        &mut self,
        transition: &mut Transition,
        budget: usize,
        history: &dyn History,
    ) -> Result<(), HistoryError> {
        match &mut transition.phase {
            Phase::Waiting | Phase::Ready => {}
            Phase::Forking(next, _) => {
                let first = *next;
                let last = self.after(first, budget);
                *next = last;
                self.fork_slots(transition, first..last);
                if last >= self.merchants.len()
                    && let Phase::Forking(_, rows) = std::mem::replace(&mut transition.phase, Phase::Waiting)
                {
                    transition.phase = Phase::Reading(rows);
                }
            }
            Phase::Reading(rows) => {
                let batch: Vec<(FactKey, DayFacts)> = rows.get_mut().take(budget).collect::<Result<_, _>>()?;
                if batch.is_empty() {
                    transition.phase = Phase::Anchoring(transition.reanchor.iter().copied().collect());
                }
                for (key, row) in batch {
                    self.move_row(transition, key, &row);
                }
            }
            Phase::Anchoring(slots) => {
                let slots = slots.split_off(slots.len().saturating_sub(budget));
                if slots.is_empty() {
                    transition.phase = Phase::Scoring(0);
                }
                for slot in slots {
                    self.anchor_in(transition, slot, history)?;
                }
            }
            Phase::Scoring(next) => {
                let first = *next;
                let last = self.after(first, budget);
                self.score_slots(transition, first..last);
                transition.phase = if last < self.merchants.len() {
                    Phase::Scoring(last)
                } else {
                    Phase::Classifying(ItemKind::LiveRoom, 0)
                };
            }
            Phase::Classifying(kind, after) => {
                let kind = *kind;
                let ids: Vec<u64> = self.items_after(kind, *after).take(budget).collect();
                self.classify_items(transition, kind, &ids);
                transition.phase = match (ids.last(), kind) {
                    (Some(last), _) => Phase::Classifying(kind, *last),
                    (None, ItemKind::LiveRoom) => Phase::Classifying(ItemKind::Product, 0),
                    (None, ItemKind::Product) => Phase::Classifying(ItemKind::ShortVideo, 0),
                    (None, ItemKind::ShortVideo) => {
                        self.classify_deleted(transition);
                        Phase::Ready
                    }
                };
            }
        }
        Ok(())
    }

    fn items_after(&self, kind: ItemKind, after: u64) -> impl Iterator<Item = u64> {
        self.items(kind).range((Bound::Excluded(after), Bound::Unbounded)).map(|(id, _)| *id)
    }

    fn move_row(&self, transition: &mut Transition, key: FactKey, row: &DayFacts) {
        let id = match key.subject {
            Subject::Merchant(id) => id,
            Subject::Item(item) => return self.move_item_row(transition, item, key.day, row),
        };
        let Some(slot) = self.hot.merchant_slot(id) else { return };
        let Some(entry) = self.entry(slot) else { return };
        let (from, to) = (&self.policy.model.layout, &transition.policy.model.layout);
        let facts = transition.forked.entry(slot).or_insert_with(|| entry.facts.laid_out(from, to));
        let days = (self.facts_day(), transition.facts_day);
        let anchors = anchors(entry.profile.as_ref(), facts);
        if facts.move_row(to, &anchors, days, &transition.new_sums, key.day, row) {
            transition.reanchor.insert(slot);
        }
    }

    fn anchor_in(&mut self, transition: &mut Transition, slot: u32, history: &dyn History) -> Result<(), HistoryError> {
        let Some(mut facts) = transition.forked.remove(&slot) else { return Ok(()) };
        let layout = &transition.policy.model.layout;
        // A row that was read from the snapshot may have been taken back since.
        let summed = self.first_sale_stands(slot, layout, &facts, history).and_then(|stands| {
            let change = if stands { FirstSale::Moved } else { FirstSale::Lost };
            self.settle_first_sale(slot, layout, &mut facts, transition.facts_day, change, history)
        });
        transition.forked.insert(slot, facts);
        summed
    }

    /// Notes a merchant's record in the world being built; `before` are the programmes of its current record when it was
    /// last noted.
    fn note_in(&self, transition: &Transition, slot: u32, before: u64, record: &MerchantRecord, flips: &mut Flips) {
        let noted = transition.table.read(slot);
        if noted.is_registered {
            flips.uncount(before, noted.programmes);
        }
        if record.is_registered {
            flips.count(self.current_programmes(slot), record.programmes);
        }
        transition.table.write(slot, record);
    }

    fn current_programmes(&self, slot: u32) -> u64 {
        self.hot.world().table.read(slot).programmes
    }

    /// Makes records in the world being built, on every core: they do not look at each other.
    fn score_slots(&mut self, transition: &Transition, slots: Range<usize>) {
        let state = &*self;
        let made: Vec<(Timestamp, Due)> = in_parallel(slots, |slots| {
            let (mut scratch, mut flips) = (Vec::new(), Flips::default());
            let due = |slot| {
                give_way(slot);
                let slot = u32::try_from(slot).ok()?;
                let before = state.current_programmes(slot);
                Some((state.score_slot(transition, slot, before, &mut scratch, &mut flips)?, Due::Merchant(slot)))
            };
            let due = slots.filter_map(due).collect();
            transition.flips.lock().merge(&flips);
            due
        });
        // A change that only one of the worlds has coming makes the record again, which does no harm.
        self.due.extend(made);
    }

    /// Makes a merchant's record in the world being built; answers when it changes by itself. `before` as for
    /// [`Self::note_in`].
    fn score_slot(
        &self,
        transition: &Transition,
        slot: u32,
        before: u64,
        scratch: &mut Vec<SignalRow>,
        flips: &mut Flips,
    ) -> Option<Timestamp> {
        let view = self.view_in(transition, slot)?;
        let made = make_record(&transition.policy.rules(&transition.disabled), &view, scratch);
        self.note_in(transition, slot, before, &made.record, flips);
        made.next_change
    }

    /// Makes one merchant's record in the world being built.
    fn score_in(&mut self, transition: &Transition, slot: u32, before: u64) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let flips = &mut *transition.flips.lock();
        let next_change = self.score_slot(transition, slot, before, &mut scratch, flips);
        self.scratch = scratch;
        self.due.extend(next_change.map(|at| (at, Due::Merchant(slot))));
    }

    fn view_in<'a>(&'a self, transition: &'a Transition, slot: u32) -> Option<MerchantView<'a>> {
        let view = self.view_with(slot, &self.meta.next_provider_ranks)?;
        let facts = transition.forked.get(&slot).map_or(view.facts, Into::into);
        Some(MerchantView { facts, facts_day: transition.facts_day, ..view })
    }

    pub(super) fn sum_anchored_in_transition(&mut self, slot: u32, history: &dyn History) -> Result<(), HistoryError> {
        let Some(mut transition) = self.transition.take() else { return Ok(()) };
        transition.reanchor.insert(slot);
        // While rows are still read it waits for the end of reading.
        let summed = if transition.is_reading() { Ok(()) } else { self.anchor_in(&mut transition, slot, history) };
        self.transition = Some(transition);
        summed
    }

    /// Makes a merchant's record again in the world being built; `before` are the programmes of its current record
    /// before it changed.
    pub(super) fn refresh_in_transition(&mut self, slot: u32, before: u64) {
        let Some(transition) = self.transition.take() else { return };
        if matches!(transition.phase, Phase::Scoring(_) | Phase::Classifying(..) | Phase::Ready) {
            if self.view(slot).is_some() {
                self.score_in(&transition, slot, before);
            } else {
                let flips = &mut *transition.flips.lock();
                self.note_in(&transition, slot, before, &MerchantRecord::UNREGISTERED, flips);
            }
        }
        self.transition = Some(transition);
    }

    /// Makes the world being built current; completes it first if it is not.
    pub(super) fn activate(
        &mut self,
        began: u64,
        history: &dyn History,
    ) -> Result<Result<(), Rejection>, HistoryError> {
        if self.transition.as_ref().is_none_or(|transition| transition.began != began) {
            return Ok(Err(Rejection::NothingToActivate { began }));
        }
        self.refresh_dirty();
        self.start_transition(history);
        while !self.advance_transition(usize::from(u16::MAX), history)? {}
        let Some(transition) = self.transition.take() else { return Ok(Ok(())) };
        let row = self.meta.transition.take();
        let mut former = Vec::with_capacity(transition.forked.len());
        for (slot, facts) in transition.forked {
            if let Some(entry) = self.entry_mut(slot) {
                former.push(std::mem::replace(&mut entry.facts, facts));
            }
        }
        free_later(former);
        if transition.policy.item_layout_fingerprint != self.policy.item_layout_fingerprint {
            self.item_facts.clear();
        }
        self.changes.item_windows.extend(transition.item_facts.keys().copied());
        self.item_facts.extend(transition.item_facts);
        self.flips.merge(&transition.flips.lock());
        // Another policy over the same sums leaves the stored ones as they are.
        let same_sums = self.facts_day() == transition.facts_day
            && self.policy.layout_fingerprint == transition.policy.layout_fingerprint
            && self.stale_windows.is_empty();
        self.meta.facts_day = Some(transition.facts_day).filter(|day| *day > NOTHING_CLOSED);
        self.meta.policy_version = transition.policy.version;
        self.meta.unseen_at_close = row.map(|row| row.unseen_at_close).unwrap_or_default();
        self.policy = transition.policy.clone();
        self.disabled.clone_from(&transition.disabled);
        if !same_sums {
            self.stale_windows = (0..self.slots()).collect();
        }
        self.meta.provider_ranks = std::mem::take(&mut self.meta.next_provider_ranks);
        self.meta.next_provider_ranks = self.ranked_providers();
        let retired = self.hot.set_world(World {
            policy: transition.policy,
            facts_day: transition.facts_day,
            disabled: transition.disabled,
            table: transition.table,
            classes: transition.classes,
            side: transition.side,
            open: AtomicU64::new(open_programmes(&self.policy.programmes, self.meta.now)),
            opening: AtomicU64::new(0),
        });
        self.retire(retired);
        self.open_windows();
        self.retire_programmes();
        Ok(Ok(()))
    }
}
