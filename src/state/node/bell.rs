//! Wakes the manager from requests, which do not wait for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Rings once until it is heard: between two turns of the manager at most one request pays for waking it.
#[derive(Default)]
pub(super) struct Bell {
    is_rung: AtomicBool,
    sleeping: Mutex<()>,
    woken: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        if !self.is_rung.load(Ordering::Relaxed) && !self.is_rung.swap(true, Ordering::AcqRel) {
            // Under the lock, or it could ring between the look at it and falling asleep.
            let _sleeping = self.sleeping.lock();
            self.woken.notify_one();
        }
    }

    /// Waits until it rings, or rang since it was last heard.
    pub(super) fn wait(&self, patience: Duration) {
        let mut sleeping = self.sleeping.lock();
        if !self.is_rung.load(Ordering::Acquire) {
            self.woken.wait_for(&mut sleeping, patience);
        }
        self.is_rung.store(false, Ordering::Release);
    }
}
