//! Guarantees that were asked for and are not in the ledger yet, and new members that are watched before they are: both
//! for a while only, since a command may be refused and a member may leave.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::domain::Timestamp;

/// What was asked for is asked for again after this, in milliseconds: the command was refused, or it was lost.
const ASKED_AGAIN_MS: i64 = 60_000;
/// A member that has had no guarantee after this is forgotten, in milliseconds: longer than it takes to look at all.
const WATCHED_AT_MOST_MS: i64 = 3_600_000;
/// What is over is dropped so often, in milliseconds.
const DROPPED_EVERY_MS: i64 = 10_000;

/// A programme's bit and the slot of a member.
pub(super) type Asked = (u8, u32);

/// A new member that waits for its guarantee.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    /// Samples there had been when it was first seen, and when that was.
    pub(super) since: u64,
    pub(super) at: Timestamp,
    /// Samples since in which it was a candidate.
    pub(super) seen: u32,
}

/// Who is watched, and for whom something was asked.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) watched: HashMap<u32, Watched, FixedState>,
    asked: HashMap<Asked, Timestamp, FixedState>,
    dropped_at: Option<Timestamp>,
}

impl Waiting {
    /// Whether it was asked for just now.
    pub(super) fn is_asked(&self, key: Asked, now: Timestamp) -> bool {
        self.asked.get(&key).is_some_and(|at| is_within(*at, now, ASKED_AGAIN_MS))
    }

    pub(super) fn ask(&mut self, key: Asked, now: Timestamp) {
        self.asked.insert(key, now);
    }

    /// It never got there: it is asked for at the next turn.
    pub(super) fn refused(&mut self, keys: &[Asked]) {
        for key in keys {
            self.asked.remove(key);
        }
    }

    /// The guarantee is there.
    pub(super) fn arrived(&mut self, key: Asked) {
        self.asked.remove(&key);
        self.watched.remove(&key.1);
    }

    /// Drops what was kept for long enough, now and then.
    pub(super) fn drop_old(&mut self, now: Timestamp) {
        if self.dropped_at.is_some_and(|at| is_within(at, now, DROPPED_EVERY_MS)) {
            return;
        }
        self.dropped_at = Some(now);
        self.asked.retain(|_, at| is_within(*at, now, ASKED_AGAIN_MS));
        self.watched.retain(|_, watched| is_within(watched.at, now, WATCHED_AT_MOST_MS));
    }
}

/// Whether less than so much time lies between two instants, whichever comes first: clocks are set back at times.
fn is_within(at: Timestamp, now: Timestamp, ms: i64) -> bool {
    now.0.saturating_sub(at.0).saturating_abs() < ms
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, WATCHED_AT_MOST_MS, Waiting, Watched};

    #[test]
    fn what_was_refused_or_lost_is_asked_for_again() {
        let mut waiting = Waiting::default();
        let now = Timestamp(1_000_000);
        waiting.ask((3, 7), now);
        waiting.ask((3, 8), now);
        assert!(waiting.is_asked((3, 7), now.plus_ms(59_999)));
        waiting.refused(&[(3, 7)]);
        assert!(!waiting.is_asked((3, 7), now), "refused");
        assert!(waiting.is_asked((3, 8), now));
        assert!(!waiting.is_asked((3, 8), now.plus_ms(60_000)), "no answer within a minute");
        waiting.drop_old(now.plus_ms(60_000));
        assert!(waiting.asked.is_empty());
    }

    #[test]
    fn members_that_left_are_not_watched_for_good() {
        let mut waiting = Waiting::default();
        let now = Timestamp(1_000_000);
        for (slot, at) in [(1, now), (2, now.plus_ms(WATCHED_AT_MOST_MS / 2))] {
            waiting.watched.insert(slot, Watched { since: 0, at, seen: 0 });
        }
        waiting.drop_old(now.plus_ms(WATCHED_AT_MOST_MS));
        assert_eq!(waiting.watched.keys().copied().collect::<Vec<_>>(), [2]);
        waiting.arrived((9, 2));
        assert!(waiting.watched.is_empty());
    }
}
