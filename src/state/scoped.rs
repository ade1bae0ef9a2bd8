//! Work on every core that somebody waits for: a start, or the records of a large import.
//!
//! The threads of [`super::parallel`] let everything else on the machine go first. That is right for a second world,
//! which nobody waits for, and wrong at a start: on a busy machine the one who waits would get a tenth of a core. These
//! are as nice as whoever starts them: those of an import as the writer, which lets requests go first.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::thread;

use super::parallel::split;

/// Fewer than this for a thread are not worth starting it.
const MIN_PART: usize = 512;

/// Splits a range among the cores; answers what each part came to, in order.
pub(super) fn on_every_core<T: Send>(range: Range<usize>, work: impl Fn(Range<usize>) -> Vec<T> + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let parts = cores.min(range.len() / MIN_PART);
    if parts < 2 {
        return work(range);
    }
    thread::scope(|scope| {
        let work = &work;
        let mut parts = split(range, parts);
        let first = parts.next();
        // The caller works as well, and in place of a thread that cannot be started.
        let others: Vec<_> = parts
            .map(|part| {
                let own = part.clone();
                (part, thread::Builder::new().name("records".into()).spawn_scoped(scope, move || work(own)))
            })
            .collect();
        let mut made = first.map(work).unwrap_or_default();
        for (part, other) in others {
            match other.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(more)) => made.extend(more),
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                Err(_) => made.extend(work(part)),
            }
        }
        made
    })
}

#[cfg(test)]
mod tests {
    use super::on_every_core;

    #[test]
    fn every_place_is_worked_on_once_and_in_order() {
        for count in [0, 1, 511, 512, 1_023, 1_024, 10_007] {
            let seen = on_every_core(5..5 + count, Iterator::collect);
            assert_eq!(seen, (5..5 + count).collect::<Vec<usize>>(), "{count} places");
        }
    }
}
