//! Work on many things that do not look at each other, on every core, behind the requests.

use std::ops::Range;
use std::sync::OnceLock;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Fewer than this for a thread are not worth starting it.
const MIN_PART: u32 = 256;
/// A tenth of what a request gets where both want the processor: less would let a busy server never finish.
const NICENESS: i32 = 10;
/// Records that are made before a thread asks whether somebody waits: some 50 µs.
const TURN: u32 = 16;

/// Lets a request that wakes up go first. It cannot be taken back, and so it is for threads that do nothing else.
pub fn yield_to_requests() {
    // Where the system does not allow it the work is done all the same.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// Lets whoever waits for this core go on, every few of many things done. However nice a thread is, the scheduler lets it
/// finish its turn of some milliseconds before a request that wakes up: so it gives its turn back early.
pub(super) fn give_way(done: u32) {
    if done.is_multiple_of(TURN) {
        std::thread::yield_now();
    }
}

/// Threads that stay: one that has just been started is not yet known to be nice, and takes its first turn.
fn pool() -> Option<&'static ThreadPool> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let build =
        || ThreadPoolBuilder::new().thread_name(|_| "records".into()).start_handler(|_| yield_to_requests()).build();
    POOL.get_or_init(|| build().ok()).as_ref()
}

/// Splits a range among the cores; answers what each part came to, in order. For the writer alone, which may hold the
/// state's lock meanwhile: work that itself waits for that lock, as simulations do, would stop it for ever.
pub(super) fn in_parallel<T: Send>(slots: Range<u32>, work: impl Fn(Range<u32>) -> Vec<T> + Sync) -> Vec<T> {
    let count = slots.end.saturating_sub(slots.start);
    // Without threads to be had the work is done here.
    let Some(pool) = pool().filter(|_| count >= MIN_PART) else { return work(slots) };
    let cores = u32::try_from(pool.current_num_threads()).unwrap_or(1);
    let parts = cores.min(count / MIN_PART).max(1);
    let border = |part: u32| {
        let offset = u64::from(count) * u64::from(part) / u64::from(parts);
        slots.start.saturating_add(u32::try_from(offset).unwrap_or(count))
    };
    let part = |part: u32| work(border(part)..border(part + 1));
    pool.install(|| (0..parts).into_par_iter().flat_map_iter(part).collect())
}

/// Does a piece of work on one of these threads, and waits for it: what would take milliseconds of a core from requests.
/// Not for work that waits for the state's lock.
pub fn behind_requests<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match pool() {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Frees something large on one of these threads, some time.
pub(super) fn free_later(large: impl Send + 'static) {
    if let Some(pool) = pool() {
        pool.spawn(move || drop(large));
    }
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
