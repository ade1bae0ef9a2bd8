//! Sums of the world being built where they differ from the current ones: laid out anew, and written to beside them.

use std::ops::Range;

use super::history::{History, HistoryError};
use super::parallel::{give_way, in_parallel};
use super::recording::anchors;
use super::state::State;
use super::transition::Transition;
use crate::domain::{DayFacts, FactRow};
use crate::trust::{FirstSale, MerchantFacts};

impl State {
    /// Gives every item its own sums where the layouts differ.
    pub(super) fn fork_items(&mut self) {
        let Some(mut transition) = self.transition.take() else { return };
        let differs = transition.policy.item_layout_fingerprint != self.policy.item_layout_fingerprint;
        if differs && !transition.policy.item_layout.sums().is_empty() {
            for item in self.item_facts.keys() {
                self.forked_item(&mut transition, *item);
            }
        }
        self.transition = Some(transition);
    }

    /// Gives merchants their own sums in the world being built, unless they have them already.
    pub(super) fn fork_slots(&self, transition: &mut Transition, slots: Range<usize>) {
        let (from, to, forked) = (&self.policy.model.layout, &transition.policy.model.layout, &transition.forked);
        let laid_out = |slot| Some((slot, self.entry(slot)?.facts.laid_out(from, to)));
        let made: Vec<(u32, MerchantFacts)> = in_parallel(slots, |slots| {
            slots
                .inspect(|slot| give_way(*slot))
                .filter_map(|slot| u32::try_from(slot).ok())
                .filter(|slot| !forked.contains_key(slot))
                .filter_map(laid_out)
                .collect()
        });
        transition.forked.extend(made);
    }

    /// Gives a merchant its own sums in the world being built, before the current ones change.
    pub(super) fn fork(&mut self, slot: u32) {
        let Some(mut transition) = self.transition.take() else { return };
        let (from, to) = (&self.policy.model.layout, &transition.policy.model.layout);
        if let Some(entry) = self.entry(slot) {
            transition
                .forked
                .entry(slot)
                .or_insert_with(|| if from == to { entry.facts.clone() } else { entry.facts.laid_out(from, to) });
        }
        self.transition = Some(transition);
    }

    /// The part of recording a row that concerns the world being built.
    pub(super) fn write_in_transition(
        &mut self,
        slot: u32,
        row: &FactRow,
        before: &DayFacts,
        history: &dyn History,
    ) -> Result<(), HistoryError> {
        let Some(mut transition) = self.transition.take() else { return Ok(()) };
        let written = self.write_forked(&mut transition, slot, row, before, history);
        self.transition = Some(transition);
        written
    }

    fn write_forked(
        &self,
        transition: &mut Transition,
        slot: u32,
        row: &FactRow,
        before: &DayFacts,
        history: &dyn History,
    ) -> Result<(), HistoryError> {
        let is_reading = transition.is_reading();
        let Some(mut facts) = transition.forked.remove(&slot) else { return Ok(()) };
        let anchors = anchors(self.entry(slot).and_then(|entry| entry.profile.as_ref()), &facts);
        let layout = &transition.policy.model.layout;
        let change = facts.write_row(layout, &anchors, transition.facts_day, row.day, before, &row.facts);
        let settled = match change {
            FirstSale::Unchanged => Ok(()),
            FirstSale::Moved if is_reading => {
                transition.reanchor.insert(slot);
                Ok(())
            }
            FirstSale::Moved | FirstSale::Lost => {
                transition.reanchor.insert(slot);
                self.settle_first_sale(slot, layout, &mut facts, transition.facts_day, change, history)
            }
        };
        transition.forked.insert(slot, facts);
        settled
    }
}
