//! Work on many things that do not look at each other, on every core, behind the requests.

use std::ops::Range;
use std::thread;

/// Fewer than this for a thread are not worth starting it.
const MIN_PART: u32 = 256;
/// A tenth of what a request gets where both want the processor: less would let a busy server never finish.
const NICENESS: i32 = 10;

/// Lets a request that wakes up go first. It cannot be taken back, and so it is for threads that do nothing else.
pub fn yield_to_requests() {
    // Where the system does not allow it the work is done all the same.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// Splits a range among the cores; answers what each part came to, in order.
pub fn in_parallel<T: Send>(slots: Range<u32>, work: impl Fn(Range<u32>) -> Vec<T> + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    let count = slots.end.saturating_sub(slots.start);
    if count < MIN_PART {
        return work(slots);
    }
    let parts = cores.min(count / MIN_PART).max(1);
    let border = |part: u32| {
        let offset = u64::from(count) * u64::from(part) / u64::from(parts);
        slots.start.saturating_add(u32::try_from(offset).unwrap_or(count))
    };
    let work = &work;
    thread::scope(|scope| {
        let start = |part| {
            scope.spawn(move || {
                yield_to_requests();
                work(border(part)..border(part + 1))
            })
        };
        let parts: Vec<_> = (0..parts).map(start).collect();
        let mut all = Vec::new();
        for part in parts {
            match part.join() {
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
