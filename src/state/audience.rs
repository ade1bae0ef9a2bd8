//! What reports add up to beside accounts: recent exposures of a merchant, lift and reach of members, exposures by hour
//! of the week.

use crate::domain::{Day, WEEK_HOURS};

/// Days of one bucket of recent exposures.
const BUCKET_DAYS: i32 = 5;
/// Buckets: 30 days.
const BUCKETS: usize = 6;
/// Days that one row remembers whether a member was reached on: the report window, today and a day ahead.
const REACH_DAYS: u32 = 16;

/// Recent exposures of a merchant, by spans of five days counted from 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecentRow {
    /// Number of the newest span.
    pub newest: i32,
    /// Exposures in it and in the five before, newest first.
    pub counts: [u64; BUCKETS],
}

impl RecentRow {
    /// Counts exposures of a day.
    pub(super) fn count(&mut self, day: Day, exposures: u64) {
        let span = day.0.div_euclid(BUCKET_DAYS);
        if span > self.newest {
            let ahead = usize::try_from(span.saturating_sub(self.newest)).unwrap_or(BUCKETS).min(BUCKETS);
            self.counts.rotate_right(ahead % BUCKETS);
            self.counts.iter_mut().take(ahead).for_each(|count| *count = 0);
            self.newest = span;
        }
        let back = usize::try_from(self.newest.saturating_sub(span)).unwrap_or(BUCKETS);
        if let Some(count) = self.counts.get_mut(back) {
            *count = count.saturating_add(exposures);
        }
    }

    /// Exposures in the span of a day and the five before.
    pub(super) fn total(&self, today: Day) -> u64 {
        let gone = today.0.div_euclid(BUCKET_DAYS).saturating_sub(self.newest);
        let kept = BUCKETS.saturating_sub(usize::try_from(gone).unwrap_or(0));
        self.counts.iter().take(kept).fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// What a merchant inside a programme, or held out of it, was shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberRow {
    /// Exposures in scenes of the programme while it was open.
    pub exposures: u64,
    /// Clicks on them.
    pub clicks: u64,
    /// Orders from them.
    pub orders: u64,
    /// Value of the orders, in fen.
    pub gmv_fen: u64,
    /// The last day on which an exposure was charged to the programme.
    pub reached: Day,
    /// Whether one was on that day (lowest bit) and on each of the days before.
    pub reached_days: u16,
}

impl MemberRow {
    /// Notes that the member was reached on a day; answers whether it had not been.
    pub(super) fn reach(&mut self, day: Day) -> bool {
        if day > self.reached || self.reached_days == 0 {
            let ahead = u32::try_from(day.days_since(self.reached)).unwrap_or(REACH_DAYS);
            self.reached_days = self.reached_days.checked_shl(ahead).unwrap_or(0);
            self.reached = day;
        }
        let back = u32::try_from(self.reached.days_since(day)).unwrap_or(REACH_DAYS);
        let Some(bit) = 1_u16.checked_shl(back) else { return false };
        let is_new = self.reached_days & bit == 0;
        self.reached_days |= bit;
        is_new
    }
}

/// Exposures of a scene in one week, by hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoursRow {
    /// From Monday 00:00 Asia/Shanghai on, [`WEEK_HOURS`] of them.
    pub counts: Vec<u64>,
}

impl Default for HoursRow {
    fn default() -> Self {
        Self { counts: vec![0; WEEK_HOURS] }
    }
}

impl HoursRow {
    pub(super) fn count(&mut self, hour: usize, exposures: u64) {
        if let Some(count) = self.counts.get_mut(hour) {
            *count = count.saturating_add(exposures);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MemberRow, RecentRow};
    use crate::domain::Day;

    #[test]
    fn recent_exposures_leave_after_six_spans() {
        let first = Day(20_000);
        let mut row = RecentRow::default();
        row.count(first, 7);
        row.count(first.plus(4), 1);
        row.count(first.plus(10), 100);
        row.count(first.plus(2), 10);
        assert_eq!(row.counts, [100, 0, 18, 0, 0, 0]);
        for (days, total) in [(10, 118), (29, 118), (30, 100), (39, 100), (40, 0), (4_000, 0)] {
            assert_eq!(row.total(first.plus(days)), total, "after {days} days");
        }
        row.count(first.plus(35), 5);
        assert_eq!(row.counts, [5, 0, 0, 0, 0, 100]);
        row.count(first, 9);
        assert_eq!(row.counts, [5, 0, 0, 0, 0, 100], "too old");
        row.count(first.plus(400), 2);
        assert_eq!(row.counts, [2, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_member_is_reached_once_a_day() {
        let day = Day(20_000);
        let mut row = MemberRow::default();
        let cases =
            [(0, true), (0, false), (-3, true), (-3, false), (2, true), (0, false), (-3, false), (1, true), (40, true)];
        for (days, is_new) in cases {
            assert_eq!(row.reach(day.plus(days)), is_new, "{days}");
        }
        assert!(!row.reach(day), "long forgotten");
    }
}
