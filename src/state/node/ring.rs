//! Counts of reservations by bucket, changed by many threads without a lock.

use std::sync::atomic::Ordering;

use crate::state::sync::AtomicU64;

/// Buckets that can be open at a time. Some 62 are within their deadline; the rest is for a simulated clock that runs so
/// fast that many pass between two looks. Models have room for few.
const SLOTS: usize = if cfg!(all(test, trustflow_loom)) { 2 } else { 128 };
/// A slot's word: the bucket in the high bits, as many bits as a reservation's id has for it, and the count.
const COUNT_BITS: u32 = 38;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// Counts by bucket.
pub(super) struct Ring {
    slots: [AtomicU64; SLOTS],
}

impl Default for Ring {
    fn default() -> Self {
        Self { slots: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

fn bucket_of(word: u64) -> u32 {
    u32::try_from(word >> COUNT_BITS).unwrap_or(u32::MAX)
}

impl Ring {
    fn slot(&self, bucket: u32) -> Option<&AtomicU64> {
        self.slots.get(usize::try_from(bucket).unwrap_or(0) % SLOTS)
    }

    /// Counts one more in a bucket. False if its place is taken by another bucket that is still open.
    pub(super) fn add(&self, bucket: u32) -> bool {
        let add = |word: u64| {
            let count = if bucket_of(word) == bucket { word & COUNT } else { 0 };
            let is_free = count == word & COUNT && count < COUNT;
            is_free.then_some(u64::from(bucket) << COUNT_BITS | count.saturating_add(1))
        };
        self.slot(bucket).is_some_and(|slot| slot.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok())
    }

    /// Takes at most so many out of a bucket; answers how many there were.
    pub(super) fn take(&self, bucket: u32, most: u64) -> u64 {
        let there = |word: u64| if bucket_of(word) == bucket { most.min(word & COUNT) } else { 0 };
        let take = |word: u64| Some(there(word)).filter(|taken| *taken > 0).map(|taken| word.saturating_sub(taken));
        self.slot(bucket)
            .and_then(|slot| slot.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).ok())
            .map_or(0, there)
    }

    /// Empties all buckets up to one; answers what was in them.
    pub(super) fn expire(&self, last: u32) -> u64 {
        let is_due = |word: u64| word & COUNT > 0 && bucket_of(word) <= last;
        let expire = |slot: &AtomicU64| {
            let word = slot.load(Ordering::Acquire);
            if is_due(word) { self.take(bucket_of(word), COUNT) } else { 0 }
        };
        self.slots.iter().map(expire).sum()
    }

    /// All that is counted.
    pub(super) fn total(&self) -> u64 {
        self.slots.iter().map(|slot| slot.load(Ordering::Relaxed) & COUNT).sum()
    }

    /// The earliest bucket that something is counted in.
    pub(super) fn earliest(&self) -> Option<u32> {
        let words = self.slots.iter().map(|slot| slot.load(Ordering::Relaxed));
        words.filter(|word| word & COUNT > 0).map(bucket_of).min()
    }
}

#[cfg(test)]
mod tests {
    use super::{Ring, SLOTS};

    #[test]
    fn buckets_are_counted_apart_and_leave_in_order() {
        let ring = Ring::default();
        assert!(ring.add(70) && ring.add(70) && ring.add(71));
        assert_eq!((ring.total(), ring.earliest()), (3, Some(70)));
        assert_eq!((ring.take(70, 1), ring.take(70, 5), ring.take(72, 1)), (1, 1, 0));
        assert!(ring.add(72));
        assert_eq!((ring.expire(70), ring.expire(71), ring.total()), (0, 1, 1));
    }

    #[test]
    fn a_bucket_waits_for_its_place() {
        let ring = Ring::default();
        let later = 5 + u32::try_from(SLOTS).expect("small");
        assert!(ring.add(5) && !ring.add(later));
        assert_eq!(ring.take(later, 1), 0, "it does not take what is another bucket's");
        assert_eq!(ring.expire(5), 1);
        assert!(ring.add(later) && !ring.add(5));
        assert_eq!(ring.expire(5), 0);
    }
}
