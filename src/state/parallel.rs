//! Work on many things that do not look at each other, on every core, behind the requests.

use std::ops::Range;
use std::sync::OnceLock;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Fewer than this for a thread are not worth starting it.
const MIN_PART: usize = 256;
/// A tenth of what a request gets where both want the processor: less would let a busy server never finish.
const NICENESS: i32 = 10;
/// Records that are made before a thread asks whether somebody waits: some 50 µs.
const TURN: usize = 16;

/// Lets a request that wakes up go first. It cannot be taken back, and so it is for threads that do nothing else.
pub fn yield_to_requests() {
    // Where the system does not allow it the work is done all the same.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// Lets whoever waits for this core go on, every few of many things done. However nice a thread is, the scheduler lets it
/// finish its turn of some milliseconds before a request that wakes up: so it gives its turn back early.
pub(super) fn give_way(done: usize) {
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

/// A range in so many parts or fewer, all as long as the first but for the last, in order.
pub(super) fn split(range: Range<usize>, parts: usize) -> impl Iterator<Item = Range<usize>> {
    let length = range.len().div_ceil(parts.max(1)).max(1);
    range.clone().step_by(length).map(move |start| start..range.end.min(start.saturating_add(length)))
}

/// Splits a range among the cores; answers what each part came to, in order. For the writer alone, which may hold the
/// state's lock meanwhile: work that itself waits for that lock, as simulations do, would stop it for ever.
pub(super) fn in_parallel<T: Send>(range: Range<usize>, work: impl Fn(Range<usize>) -> Vec<T> + Sync) -> Vec<T> {
    // Without threads to be had the work is done here.
    let Some(pool) = pool().filter(|_| range.len() >= MIN_PART) else { return work(range) };
    let parts: Vec<Range<usize>> =
        split(range.clone(), pool.current_num_threads().min(range.len() / MIN_PART)).collect();
    pool.install(|| parts.into_par_iter().flat_map_iter(&work).collect())
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
            assert_eq!(seen, (5..5 + count).collect::<Vec<usize>>(), "{count} slots");
        }
    }
}
