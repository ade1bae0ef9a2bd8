//! Work of control's threads that may fail without ending them: a thread that is gone would leave prices, and what is
//! stopped, as they were for good, and nobody would know before the server stops.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::error;

/// What the work came to; none, and an error in the log, if it panicked. What it left half done is what the next piece
/// of work finds: prices only steer, and each turn reads anew what was spent.
pub(super) fn guarded<T>(what: &'static str, work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    if let Err(cause) = &done {
        let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_default();
        error!(what, cause = text, "control failed and goes on; prices stay as they were last published until it does");
    }
    done.ok()
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn what_fails_ends_no_thread() {
        assert_eq!(guarded("a turn", || "x".parse::<u8>().expect("no figure")), None);
        assert_eq!(guarded("a turn", || 7), Some(7));
    }
}
