//! Words that one writer changes beside many readers, without a lock.
//!
//! A sequence lock made of atomics: the writer makes the version odd, writes the words, and makes it even; a reader that
//! saw the version change reads again. No reader waits for more than one writing.

use std::sync::atomic::Ordering;

use super::sync::{AtomicU32, fence, spin_loop};

/// The words. Two cache lines, aligned, so that what fits into them never touches a third.
#[repr(align(128))]
pub(super) struct SequenceLock<const N: usize> {
    version: AtomicU32,
    words: [AtomicU32; N],
}

impl<const N: usize> SequenceLock<N> {
    pub(super) fn new(words: [u32; N]) -> Self {
        Self { version: AtomicU32::new(0), words: words.map(AtomicU32::new) }
    }

    /// What stands first in memory.
    #[inline]
    pub(super) fn first(&self) -> &AtomicU32 {
        &self.version
    }

    /// Reads words until none of them changed meanwhile.
    #[inline]
    pub(super) fn read<T>(&self, words: impl Fn(&[AtomicU32; N]) -> T) -> T {
        loop {
            let before = self.version.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                let seen = words(&self.words);
                fence(Ordering::Acquire);
                if self.version.load(Ordering::Relaxed) == before {
                    return seen;
                }
            }
            spin_loop();
        }
    }

    /// Writes all words. Only one thread may write at a time.
    pub(super) fn write(&self, words: [u32; N]) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, value) in self.words.iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }
}

#[cfg(all(test, trustflow_loom))]
mod models {
    use std::sync::atomic::Ordering;

    use loom::sync::Arc;
    use loom::thread;

    use super::SequenceLock;

    fn both(lock: &SequenceLock<2>) -> [u32; 2] {
        lock.read(|words| [words[0].load(Ordering::Relaxed), words[1].load(Ordering::Relaxed)])
    }

    #[test]
    fn readers_see_one_writing_whole_and_never_an_earlier_one_after_it() {
        let mut model = loom::model::Builder::new();
        // With three all that is known to go wrong is found; without a bound it does not end.
        model.preemption_bound = Some(3);
        model.check(|| {
            let lock = Arc::new(SequenceLock::new([0, 0]));
            let writer = {
                let lock = lock.clone();
                thread::spawn(move || {
                    lock.write([1, 10]);
                    lock.write([2, 20]);
                })
            };
            let first = both(&lock);
            assert_eq!(first[0] * 10, first[1], "half a writing");
            let second = both(&lock);
            assert_eq!(second[0] * 10, second[1], "half a writing");
            assert!(second[0] >= first[0], "an earlier writing after a later one");
            writer.join().expect("no panic");
            assert_eq!(both(&lock), [2, 20], "what was written is there");
        });
    }
}
