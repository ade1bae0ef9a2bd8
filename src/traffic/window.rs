//! When a programme works: dates, days of the week, hours of the day, all in Asia/Shanghai.

use crate::domain::{DAY_MS, Day, HOUR_MS, Timestamp};

/// Boundaries recur within a week.
const DAYS_AHEAD: i32 = 8;

/// The window of a programme.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgrammeWindow {
    /// First day, if it has one.
    pub first: Option<Day>,
    /// Last day, if it ends.
    pub last: Option<Day>,
    /// Days of the week it works on, Monday first; none means all.
    pub weekdays: Option<[bool; 7]>,
    /// First hour and the hour after the last, 0 to 24; none means the whole day.
    pub hours: Option<(u8, u8)>,
}

impl ProgrammeWindow {
    /// Whether it never closes.
    #[must_use]
    pub fn is_always(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an instant lies in it.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        let day = now.day();
        let into_day = now.0.saturating_sub(day.start().0);
        let hours = self.hours.is_none_or(|(from, to)| hour_ms(from) <= into_day && into_day < hour_ms(to));
        self.works_on(day) && hours
    }

    /// Whether it was closed for good on a day.
    #[must_use]
    pub fn is_over(&self, day: Day) -> bool {
        self.last.is_some_and(|last| last < day)
    }

    fn works_on(&self, day: Day) -> bool {
        let weekday = usize::try_from(day.days_since(day.week().monday())).unwrap_or(0);
        self.first.is_none_or(|first| first <= day)
            && self.last.is_none_or(|last| day <= last)
            && self.weekdays.is_none_or(|days| days.get(weekday).copied().unwrap_or(false))
    }

    /// The next instant after `now` at which it opens or closes.
    #[must_use]
    pub fn next_boundary(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_always() {
            return None;
        }
        let was_open = self.is_open(now);
        let today = now.day();
        // The dates themselves, and every day and hour within reach of what recurs.
        let dates = [self.first.map(Day::start), self.last.map(|last| last.plus(1).start())].into_iter().flatten();
        let from = self.first.map_or(today, |first| first.max(today));
        let (open, close) = self.hours.unwrap_or((0, 24));
        let recurring = (0..DAYS_AHEAD).flat_map(|ahead| {
            let start = from.plus(ahead).start();
            [start.plus_ms(hour_ms(open)), start.plus_ms(hour_ms(close))]
        });
        let mut instants: Vec<Timestamp> = dates.chain(recurring).filter(|instant| *instant > now).collect();
        instants.sort_unstable();
        instants.into_iter().find(|instant| self.is_open(*instant) != was_open)
    }
}

fn hour_ms(hour: u8) -> i64 {
    i64::from(hour).saturating_mul(HOUR_MS).min(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::ProgrammeWindow;
    use crate::domain::{Day, HOUR_MS, Timestamp};

    fn day(text: &str) -> Day {
        Day::parse(text).expect("a date")
    }

    #[test]
    fn a_campaign_holds_from_its_first_instant_to_its_last() {
        let window = ProgrammeWindow {
            first: Some(day("2022-03-23")),
            last: Some(day("2022-03-31")),
            ..ProgrammeWindow::default()
        };
        let (begins, ends) = (day("2022-03-23").start(), day("2022-04-01").start());
        let cases = [(begins.plus_ms(-1), false), (begins, true), (ends.plus_ms(-1), true), (ends, false)];
        for (now, is_open) in cases {
            assert_eq!(window.is_open(now), is_open, "{now:?}");
        }
        assert_eq!(window.next_boundary(Timestamp(0)), Some(begins), "years ahead");
        assert_eq!(window.next_boundary(begins), Some(ends));
        assert_eq!(window.next_boundary(ends), None);
    }

    #[test]
    fn weekdays_and_hours_recur() {
        // Saturday and Sunday from 19:00 to 24:00.
        let mut weekdays = [false; 7];
        weekdays[5..].fill(true);
        let window = ProgrammeWindow { weekdays: Some(weekdays), hours: Some((19, 24)), ..ProgrammeWindow::default() };
        let friday = day("2022-03-25");
        let at = |days: i32, hours: i64| friday.plus(days).start().plus_ms(hours * HOUR_MS);
        assert!(!window.is_open(at(0, 20)), "Friday evening");
        assert!(!window.is_open(at(1, 19).plus_ms(-1)));
        assert!(window.is_open(at(1, 19)), "Saturday 19:00");
        assert!(window.is_open(at(2, 0).plus_ms(-1)), "Saturday 23:59:59");
        assert!(!window.is_open(at(2, 0)), "Sunday morning");
        assert_eq!(window.next_boundary(at(0, 20)), Some(at(1, 19)));
        assert_eq!(window.next_boundary(at(1, 19)), Some(at(2, 0)));
        assert_eq!(window.next_boundary(at(3, 0)), Some(at(8, 19)), "the next Saturday");
    }

    #[test]
    fn whole_days_on_end_have_no_boundary_between_them() {
        let mut weekdays = [false; 7];
        weekdays[5..].fill(true);
        let window = ProgrammeWindow { weekdays: Some(weekdays), ..ProgrammeWindow::default() };
        let saturday = day("2022-03-26");
        assert_eq!(window.next_boundary(saturday.start()), Some(saturday.plus(2).start()));
    }
}
