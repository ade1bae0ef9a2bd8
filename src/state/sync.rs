//! The atomics and locks by which hand-written structures of `state` are shared: the standard library's, or loom's where
//! its models run (`just models`), which try the orders in which threads can come and what memory may show them.
//!
//! Only structures that have a model take them from here.

#[cfg(not(all(test, trustflow_loom)))]
mod chosen {
    pub(in crate::state) use std::hint::spin_loop;
    pub(in crate::state) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, fence};

    pub(in crate::state) use parking_lot::Mutex;
}

#[cfg(all(test, trustflow_loom))]
mod chosen {
    use std::sync::PoisonError;

    pub(in crate::state) use loom::hint::spin_loop;
    use loom::sync::MutexGuard;
    pub(in crate::state) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, fence};

    /// Loom's lock with the methods of `parking_lot`'s.
    #[derive(Debug)]
    pub(in crate::state) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Self(loom::sync::Mutex::new(T::default()))
        }
    }

    impl<T> Mutex<T> {
        pub(in crate::state) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

pub(in crate::state) use chosen::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Mutex, fence, spin_loop};
