//! Work on many slots that do not look at each other.

use std::ops::Range;
use std::thread;

/// Fewer slots than this for a thread are not worth starting it.
const MIN_SLOTS: u32 = 256;

/// Splits a range of slots among the cores; answers what each part came to, in order.
pub fn in_parallel<T: Send>(slots: Range<u32>, work: impl Fn(Range<u32>) -> Vec<T> + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    let count = slots.end.saturating_sub(slots.start);
    let parts = cores.min(count / MIN_SLOTS).max(1);
    let border = |part: u32| {
        let offset = u64::from(count) * u64::from(part) / u64::from(parts);
        slots.start.saturating_add(u32::try_from(offset).unwrap_or(count))
    };
    let work = &work;
    thread::scope(|scope| {
        let others: Vec<_> = (1..parts).map(|part| scope.spawn(move || work(border(part)..border(part + 1)))).collect();
        let mut all = work(border(0)..border(1));
        for other in others {
            match other.join() {
                Ok(made) => all.extend(made),
                // What panicked there panics here: a part that is missing must not pass for an empty one.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::in_parallel;

    #[test]
    fn every_slot_is_worked_on_once_and_in_order() {
        for count in [0, 1, 255, 256, 511, 512, 10_007] {
            let seen = in_parallel(5..5 + count, Iterator::collect);
            assert_eq!(seen, (5..5 + count).collect::<Vec<u32>>(), "{count} slots");
        }
    }
}
