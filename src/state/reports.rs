//! Remembered reports of exposures: none counts twice.
//!
//! A report is remembered until all its rows are too old to be taken again: for the report window and the time by which
//! rows may lie ahead. When more come than are kept, the oldest are forgotten early and what they could hold is refused
//! from then on ([`Reports::remember`] answers from which instant): the window becomes shorter, nothing counts twice.

use std::collections::{HashMap, VecDeque};

use xxhash_rust::xxh3::xxh3_128;

use crate::domain::{REPORT_AHEAD_MS, REPORT_WINDOW_MS, RequestKey, Timestamp};

/// Most reports remembered: 6.6 a second over the window, about 100 bytes each.
pub const MAX_REPORTS: usize = 4_000_000;

/// What is remembered of a report, under the hash of who sent it and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportRow {
    /// When it was taken.
    pub stamp: Timestamp,
    /// Revision it was taken at.
    pub revision: u64,
    /// Hash of what it held.
    pub payload_hash: u128,
}

/// The reports.
#[derive(Default)]
pub(super) struct Reports {
    by_key: HashMap<u128, ReportRow, foldhash::fast::FixedState>,
    by_age: VecDeque<u128>,
}

impl Reports {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn get(&self, key: u128) -> Option<ReportRow> {
        self.by_key.get(&key).copied()
    }

    /// Remembers a report; reports come in order of their revisions. Answers a report that had to be forgotten early,
    /// and the instant from which on its rows could not have been.
    pub(super) fn remember(&mut self, key: u128, row: ReportRow) -> Option<(u128, Timestamp)> {
        self.remember_at_most(MAX_REPORTS, key, row)
    }

    fn remember_at_most(&mut self, most: usize, key: u128, row: ReportRow) -> Option<(u128, Timestamp)> {
        self.by_key.insert(key, row);
        self.by_age.push_back(key);
        if self.by_age.len() <= most {
            return None;
        }
        let oldest = self.by_age.pop_front()?;
        let row = self.by_key.remove(&oldest)?;
        Some((oldest, row.stamp.plus_ms(REPORT_AHEAD_MS + 1)))
    }

    /// Takes stored reports back, in any order.
    pub(super) fn restore(&mut self, mut stored: Vec<(u128, ReportRow)>) {
        stored.sort_unstable_by_key(|(_, row)| row.revision);
        self.by_age = stored.iter().map(|(key, _)| *key).collect();
        self.by_key = stored.into_iter().collect();
    }

    /// Forgets the oldest report if all its rows are too old by now; answers which.
    pub(super) fn forget(&mut self, now: Timestamp) -> Option<u128> {
        let oldest = *self.by_age.front()?;
        let is_kept = |row: &ReportRow| row.stamp.plus_ms(REPORT_AHEAD_MS + REPORT_WINDOW_MS) >= now;
        if self.by_key.get(&oldest).is_some_and(is_kept) {
            return None;
        }
        self.by_age.pop_front();
        self.by_key.remove(&oldest);
        Some(oldest)
    }
}

/// The key of a report: the hash of who sent it and its id.
pub(super) fn key_of(request: &RequestKey) -> u128 {
    let mut parts = Vec::with_capacity(request.identity.len() + request.request_id.len() + 8);
    // The length keeps ("a", "bc") and ("ab", "c") apart.
    parts.extend(request.identity.len().to_le_bytes());
    parts.extend(request.identity.as_bytes());
    parts.extend(request.request_id.as_bytes());
    xxh3_128(&parts)
}

#[cfg(test)]
mod tests {
    use super::{ReportRow, Reports};
    use crate::domain::{REPORT_AHEAD_MS, REPORT_WINDOW_MS, Timestamp};

    fn row(stamp: i64) -> ReportRow {
        ReportRow { stamp: Timestamp(stamp), revision: stamp.unsigned_abs(), payload_hash: 1 }
    }

    #[test]
    fn a_report_is_kept_as_long_as_its_rows_could_come_again() {
        let mut reports = Reports::default();
        assert_eq!(reports.remember(1, row(0)), None);
        // A row 10 minutes ahead of the report is too old one millisecond after the window that follows it.
        let last = Timestamp(REPORT_AHEAD_MS + REPORT_WINDOW_MS);
        assert_eq!(reports.forget(last), None);
        assert_eq!(reports.forget(last.plus_ms(1)), Some(1));
        assert_eq!((reports.forget(last.plus_ms(1)), reports.len()), (None, 0));
    }

    #[test]
    fn what_does_not_fit_shortens_the_window() {
        let mut reports = Reports::default();
        assert_eq!(reports.remember_at_most(2, 1, row(100)), None);
        assert_eq!(reports.remember_at_most(2, 2, row(200)), None);
        let forgotten = reports.remember_at_most(2, 3, row(300));
        assert_eq!(forgotten, Some((1, Timestamp(101 + REPORT_AHEAD_MS))));
        assert_eq!((reports.len(), reports.get(1), reports.get(2)), (2, None, Some(row(200))));
        let mut again = Reports::default();
        again.restore(vec![(3, row(300)), (2, row(200))]);
        assert_eq!(again.by_age, reports.by_age);
    }
}
