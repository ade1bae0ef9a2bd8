//! What is read again and again: what is new counts once it is the same in two reads, since a read may have seen a
//! change half way.

use std::time::Duration;

use tokio::sync::watch;

/// What the reads of something found.
pub struct Watched<T> {
    seen: Option<T>,
    /// What was last taken or refused.
    handled: Option<T>,
}

impl<T: Clone + PartialEq> Watched<T> {
    /// Begins with what the first read found, which was taken or refused.
    #[must_use]
    pub fn new(handled: T) -> Self {
        Self { seen: Some(handled.clone()), handled: Some(handled) }
    }

    /// Whether what a read found is to be taken: it is the same as in the read before, and was not handled yet.
    pub fn is_new(&mut self, found: &T) -> bool {
        let is_stable = self.seen.as_ref() == Some(found);
        self.seen = Some(found.clone());
        is_stable && self.handled.as_ref() != Some(found)
    }

    /// What was found was taken or refused.
    pub fn handle(&mut self, found: T) {
        self.handled = Some(found);
    }

    /// Nothing could be read: what was there before is taken again when it is back.
    pub fn lose(&mut self) {
        self.handled = None;
    }
}

/// Waits for the time of the next read; answers whether there is to be one.
pub async fn next(every: Duration, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(every) => true,
        // An error means the sender is gone, which is a stop too.
        _ = stopped.wait_for(|stopped| *stopped) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Watched;

    #[test]
    fn what_is_new_counts_when_it_stands_still() {
        let mut watched = Watched::new(1);
        assert_eq!([1, 2, 3, 3].map(|found| watched.is_new(&found)), [false, false, false, true]);
        assert!(watched.is_new(&3), "until it is handled");
        watched.handle(3);
        assert_eq!([3, 1, 1].map(|found| watched.is_new(&found)), [false, false, true]);
        watched.handle(1);
        watched.lose();
        assert!(watched.is_new(&1), "it is back");
    }
}
