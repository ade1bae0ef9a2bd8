//! An index from ids to small values that one writer changes beside many readers, without locks.
//!
//! Open addressing over atomics. A lookup is plain loads, so that the processor works on many at once: a `DashMap`
//! takes a shard lock per lookup, whose atomic writes make it wait for one memory access after another.
//! Ids are never 0; an id keeps its place for life, and a removed one holds [`ABSENT`].

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::{ArcSwap, Guard};

use super::near::{bring_near, on_large_pages};
use super::sync::{AtomicU64, AtomicUsize};

/// The value of an id that is not there; it cannot be stored.
const ABSENT: u64 = u64::MAX;
/// Places of a new table; a power of two.
const FIRST_PLACES: usize = 1_024;

struct Place {
    id: AtomicU64,
    value: AtomicU64,
}

/// One table of places; a larger one takes over when it is seven tenths full.
pub(super) struct IdTable {
    places: Box<[Place]>,
    used: AtomicUsize,
}

/// The index: readers hold a table for a request, the writer replaces it to grow.
pub(super) struct IdIndex {
    table: ArcSwap<IdTable>,
}

impl IdTable {
    fn with_places(count: usize) -> Self {
        let empty = || Place { id: AtomicU64::new(0), value: AtomicU64::new(ABSENT) };
        Self { places: on_large_pages(count, empty), used: AtomicUsize::new(0) }
    }

    /// The places of an id: from its home on, round the end.
    fn probe(&self, id: u64) -> impl Iterator<Item = &Place> {
        let home = home(id, self.places.len());
        let (before, after) = self.places.split_at(home);
        after.iter().chain(before)
    }

    /// Where an id's search begins.
    #[inline]
    pub(super) fn home(&self, id: u64) -> usize {
        home(id, self.places.len())
    }

    /// Brings a place near.
    #[inline]
    pub(super) fn touch(&self, at: usize) {
        if let Some(place) = self.places.get(at) {
            bring_near(place);
        }
    }

    /// The value of an id.
    pub(super) fn get(&self, id: u64) -> Option<u64> {
        self.get_from(self.home(id), id)
    }

    /// The value of an id whose search begins at `home`.
    #[inline]
    pub(super) fn get_from(&self, home: usize, id: u64) -> Option<u64> {
        if id == 0 {
            return None;
        }
        let mask = self.places.len().wrapping_sub(1);
        let mut at = home;
        loop {
            let place = self.places.get(at)?;
            match place.id.load(Ordering::Acquire) {
                found if found == id => {
                    return Some(place.value.load(Ordering::Acquire)).filter(|value| *value != ABSENT);
                }
                0 => return None,
                _ => at = at.wrapping_add(1) & mask,
            }
        }
    }

    /// Puts a value; there must be an empty place.
    fn put(&self, id: u64, value: u64) {
        for place in self.probe(id) {
            match place.id.load(Ordering::Relaxed) {
                0 => {
                    // The value first: who sees the id sees a value.
                    place.value.store(value, Ordering::Release);
                    place.id.store(id, Ordering::Release);
                    self.used.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                found if found == id => {
                    place.value.store(value, Ordering::Release);
                    return;
                }
                _ => {}
            }
        }
    }

    /// Whether another id fits without making lookups long.
    fn has_room(&self) -> bool {
        self.used.load(Ordering::Relaxed).saturating_mul(10) < self.places.len().saturating_mul(7)
    }
}

/// Where an id's search begins: mixed, so that no plain pattern of ids shares a place. There are a power of two.
#[inline]
fn home(id: u64, places: usize) -> usize {
    let mixed = (id ^ id >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // The high half is the well-mixed one.
    let high = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32;
    usize::try_from(high).unwrap_or(0) & places.wrapping_sub(1)
}

impl Default for IdIndex {
    fn default() -> Self {
        Self { table: ArcSwap::from_pointee(IdTable::with_places(FIRST_PLACES)) }
    }
}

impl IdIndex {
    /// The table as it stands, for a number of lookups.
    pub(super) fn table(&self) -> Guard<Arc<IdTable>> {
        self.table.load()
    }

    /// The value of an id.
    pub(super) fn get(&self, id: u64) -> Option<u64> {
        self.table.load().get(id)
    }

    /// Sets the value of an id. Only one thread may write.
    pub(super) fn set(&self, id: u64, value: u64) {
        debug_assert!(id != 0 && value != ABSENT, "0 marks empty places, the highest value absent ids");
        let table = self.table.load();
        if table.get(id).is_some() || table.has_room() {
            table.put(id, value);
            return;
        }
        // Removed ids are left behind; where they are many, no more room is needed.
        let live = table.places.iter().filter(|place| place.value.load(Ordering::Relaxed) != ABSENT).count();
        let factor = if live.saturating_mul(20) > table.places.len().saturating_mul(7) { 2 } else { 1 };
        let larger = IdTable::with_places(table.places.len().saturating_mul(factor));
        for place in &table.places {
            let (id, value) = (place.id.load(Ordering::Relaxed), place.value.load(Ordering::Relaxed));
            if id != 0 && value != ABSENT {
                larger.put(id, value);
            }
        }
        larger.put(id, value);
        self.table.store(Arc::new(larger));
    }

    /// Removes an id. Only one thread may write.
    pub(super) fn remove(&self, id: u64) {
        let table = self.table.load();
        if table.get(id).is_some() {
            table.put(id, ABSENT);
        }
    }
}

#[cfg(all(test, trustflow_loom))]
mod models;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicBool, Ordering};

    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::IdIndex;

    proptest! {
        #[test]
        fn it_answers_as_a_map_does(steps in prop::collection::vec((1_u64..400, any::<Option<u32>>()), 0..4_000)) {
            let (index, mut map) = (IdIndex::default(), HashMap::new());
            for (id, value) in steps {
                // Far apart and side by side.
                let id = if id % 2 == 0 { id } else { id.wrapping_mul(0x1_0000_0001) };
                if let Some(value) = value.map(u64::from) {
                    index.set(id, value);
                    map.insert(id, value);
                } else {
                    index.remove(id);
                    map.remove(&id);
                }
            }
            for id in (1_u64..400).flat_map(|id| [id, id.wrapping_mul(0x1_0000_0001)]) {
                prop_assert_eq!(index.get(id), map.get(&id).copied());
            }
        }
    }

    #[test]
    fn plain_patterns_of_ids_are_spread() {
        let patterns: [fn(u64) -> u64; 5] =
            [|n| n, |n| n << 20, |n| n.wrapping_mul(0x1_0000_0001), |n| n << 42 | n << 10, |n| n << 48];
        for (which, pattern) in patterns.iter().enumerate() {
            let table = super::IdTable::with_places(1 << 16);
            for n in 1..1_u64 << 15 {
                table.put(pattern(n), n);
            }
            let mut run = 0;
            let mut longest = 0;
            for place in &table.places {
                run = if place.id.load(Ordering::Relaxed) == 0 { 0 } else { run + 1 };
                longest = longest.max(run);
            }
            assert!(longest < 200, "pattern {which}: a run of {longest}");
        }
    }

    #[test]
    fn ids_that_come_and_go_do_not_make_it_grow() {
        let index = IdIndex::default();
        for id in 1..100_000 {
            index.set(id, 1);
            index.remove(id);
        }
        assert_eq!(index.table().places.len(), super::FIRST_PLACES);
    }

    #[test]
    fn readers_find_every_id_while_it_grows() {
        let index = IdIndex::default();
        index.set(7, 70);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = || {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(index.get(7), Some(70));
                    if let Some(value) = index.get(40_000) {
                        assert_eq!(value, 400_000, "never an id without its value");
                    }
                }
            };
            scope.spawn(reader);
            scope.spawn(reader);
            for id in 8..60_000 {
                index.set(id, id * 10);
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!((8..60_000).all(|id| index.get(id) == Some(id * 10)));
    }
}
