//! The records of merchants: made again for those that something changed, and for all at a start.

use super::scoped::on_every_core;
use super::state::{Due, State};
use crate::domain::Timestamp;
use crate::traffic::{Made, MerchantRecord, make_record};
use crate::trust::SignalRow;

/// Fewer records than this are made one after the other.
const RECORDS_ON_EVERY_CORE: usize = 2_048;

impl State {
    /// Makes the records of everything that changed; answers how many.
    pub(super) fn refresh_dirty(&mut self) -> usize {
        let dirty = std::mem::take(&mut self.dirty);
        let merchant = |due: &Due| if let Due::Merchant(slot) = due { Some(*slot) } else { None };
        let slots: Vec<u32> = dirty.iter().filter_map(merchant).collect();
        if slots.len() < RECORDS_ON_EVERY_CORE {
            let mut scratch = std::mem::take(&mut self.scratch);
            for slot in slots {
                let made = self.materialised(slot, &mut scratch);
                self.set_record(slot, made.as_ref());
            }
            self.scratch = scratch;
        } else {
            self.refresh_many(&slots);
        }
        for due in &dirty {
            if let Due::Item(item) = due {
                self.refresh_item(*item);
            }
        }
        dirty.len()
    }

    /// Makes many records on every core, then sets them.
    fn refresh_many(&mut self, slots: &[u32]) {
        let state = &*self;
        let made = on_every_core(0..slots.len(), |part| {
            let mut scratch = Vec::new();
            slots
                .get(part)
                .unwrap_or_default()
                .iter()
                .map(|slot| (*slot, state.materialised(*slot, &mut scratch)))
                .collect()
        });
        for (slot, made) in &made {
            self.set_record(*slot, made.as_ref());
        }
    }

    fn set_record(&mut self, slot: u32, made: Option<&Made>) {
        let world = self.hot.world();
        let record = made.map_or(MerchantRecord::UNREGISTERED, |made| made.record);
        let before = world.table.read(slot).programmes;
        self.flips.count(before, record.programmes);
        world.table.write(slot, &record);
        self.due.extend(made.and_then(|made| made.next_change).map(|at| (at, Due::Merchant(slot))));
        self.refresh_in_transition(slot, before);
    }

    /// A merchant's record under the current policy and day, made afresh; none if it is not registered.
    fn materialised(&self, slot: u32, scratch: &mut Vec<SignalRow>) -> Option<Made> {
        self.view(slot).map(|view| make_record(&self.policy.rules(&self.disabled), &view, scratch))
    }

    /// Makes the record of every merchant, on every core; answers which change by themselves, and when.
    pub(super) fn make_records(&self) -> Vec<(Timestamp, Due)> {
        on_every_core(0..self.merchants.len(), |slots| {
            let world = self.hot.world();
            let rules = self.policy.rules(&self.disabled);
            let mut scratch = Vec::new();
            let mut due = Vec::new();
            for slot in slots.filter_map(|slot| u32::try_from(slot).ok()) {
                let Some(view) = self.view(slot) else { continue };
                let made = make_record(&rules, &view, &mut scratch);
                world.table.write(slot, &made.record);
                due.extend(made.next_change.map(|at| (at, Due::Merchant(slot))));
            }
            due
        })
    }
}
