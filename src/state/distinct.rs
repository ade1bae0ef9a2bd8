//! Values of which like ones are kept once, each at a position of its own that it keeps.

use std::hash::Hash;

use dashmap::{DashMap, Entry};

/// Distinct values by what makes two the same. They are only ever added; readers need no lock.
pub(super) struct Distinct<K, T> {
    list: boxcar::Vec<T>,
    /// Where each value is. Whoever makes records looks here, on several cores at a time; Score does not.
    positions: DashMap<K, u32, foldhash::fast::FixedState>,
    most: u32,
}

impl<K: Eq + Hash, T> Distinct<K, T> {
    /// Room for so many values.
    pub(super) fn new(most: u32) -> Self {
        Self { list: boxcar::Vec::new(), positions: DashMap::default(), most }
    }

    /// Adds a value at the next position, whether or not there is one like it.
    pub(super) fn push(&self, value: T) {
        self.list.push(value);
    }

    /// The value at a position.
    #[inline]
    pub(super) fn get(&self, position: u32) -> Option<&T> {
        self.list.get(usize::try_from(position).ok()?)
    }

    /// The position of the value of a key, added if it is new; none where there is no room.
    pub(super) fn position(&self, key: K, value: impl FnOnce(&K) -> T) -> Option<u32> {
        if let Some(position) = self.positions.get(&key) {
            return Some(*position);
        }
        match self.positions.entry(key) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(place) => {
                let has_room = |count: &u32| *count < self.most;
                u32::try_from(self.list.count()).ok().filter(has_room)?;
                let position = self.list.push(value(place.key()));
                // Others may have added meanwhile, each of them seeing the last room.
                let position = u32::try_from(position).ok().filter(has_room)?;
                Some(*place.insert(position))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Distinct;

    #[test]
    fn like_values_are_kept_once_and_no_more_than_there_is_room_for() {
        const MOST: u32 = 1_000;
        let distinct = Distinct::new(MOST);
        let add = || (0..2 * MOST).map(|n| distinct.position(n, |key| *key)).collect::<Vec<_>>();
        let seen: Vec<Vec<Option<u32>>> = std::thread::scope(|scope| {
            let adding: Vec<_> = (0..4).map(|_| scope.spawn(add)).collect();
            adding.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        for (key, position) in seen.iter().flat_map(|positions| (0..).zip(positions)) {
            let Some(position) = position else { continue };
            assert!(*position < MOST);
            assert_eq!(distinct.get(*position), Some(&key), "each has a position of its own");
            assert_eq!(distinct.position(key, |_| u32::MAX), Some(*position), "and keeps it");
        }
        assert_eq!(seen.iter().flatten().flatten().max(), Some(&(MOST - 1)), "all the room is used");
        assert_eq!(distinct.position(u32::MAX, |key| *key), None);
    }
}
