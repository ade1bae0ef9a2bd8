//! Instants, Asia/Shanghai days and natural weeks (Monday to Sunday).
//!
//! Asia/Shanghai has been UTC+8 without daylight saving since 1991, before any fact this service can hold
//! (see `FIRST_FACTS_DAY`), and so a fixed offset is exact.

use std::fmt;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;
/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;
/// Hours of a week; the first begins on Monday at 00:00 in Asia/Shanghai.
pub const WEEK_HOURS: usize = 168;
const SHANGHAI_OFFSET_MS: i64 = 8 * HOUR_MS;

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The Asia/Shanghai day this instant falls in.
    #[must_use]
    pub fn day(self) -> Day {
        let days = self.0.saturating_add(SHANGHAI_OFFSET_MS).div_euclid(DAY_MS);
        Day(i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX }))
    }

    /// The hour of the natural week it falls in, 0 to 167.
    #[must_use]
    pub fn hour_of_week(self) -> usize {
        let into = self.0.saturating_sub(self.day().week().monday().start().0);
        usize::try_from(into.div_euclid(HOUR_MS)).unwrap_or(0).min(WEEK_HOURS.saturating_sub(1))
    }

    /// This instant moved by some milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in Asia/Shanghai, to the millisecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = self.day();
        let ms = self.0.saturating_sub(day.start().0);
        let part = |unit: i64, of: i64| ms.div_euclid(unit).rem_euclid(of);
        let (hour, minute, second) = (part(HOUR_MS, 24), part(60_000, 60), part(1_000, 60));
        write!(f, "{day}T{hour:02}:{minute:02}:{second:02}.{:03}+08:00", part(1, 1_000))
    }
}

/// An Asia/Shanghai calendar day: days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    /// The first instant of the day in Asia/Shanghai.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp(i64::from(self.0).saturating_mul(DAY_MS).saturating_sub(SHANGHAI_OFFSET_MS))
    }

    /// The day some days later, earlier when negative.
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Days from `earlier` to this day; negative if this day is before it.
    #[must_use]
    pub fn days_since(self, earlier: Self) -> i32 {
        self.0.saturating_sub(earlier.0)
    }

    /// The natural week the day falls in.
    #[must_use]
    pub fn week(self) -> Week {
        // Day 0 was a Thursday: Monday is three days before.
        Week(self.0.saturating_add(3).div_euclid(7))
    }

    /// The first day of its calendar month.
    #[must_use]
    pub fn first_of_month(self) -> Self {
        let (.., day) = self.civil();
        self.plus(i32::try_from(1_i64.saturating_sub(day)).unwrap_or(0))
    }

    /// The first day of its calendar year.
    #[must_use]
    pub fn first_of_year(self) -> Self {
        let (year, ..) = self.civil();
        i32::try_from(year).ok().and_then(|year| Self::from_civil(year, 1, 1)).unwrap_or(self)
    }

    /// Reads `YYYY-MM-DD`. `None` for anything else and for days that do not exist.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let shaped = bytes.len() == 10
            && bytes.iter().enumerate().all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
        if !shaped {
            return None;
        }
        let day = Self::from_civil(
            text.get(0..4)?.parse().ok()?,
            text.get(5..7)?.parse().ok()?,
            text.get(8..10)?.parse().ok()?,
        )?;
        // Reading back refuses days that do not exist, such as 30 February.
        (day.to_string() == text).then_some(day)
    }

    /// The day of a date of the proleptic Gregorian calendar, by counting days of 400-year eras.
    fn from_civil(year: i32, month: i32, day: i32) -> Option<Self> {
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let year_from_march = if month <= 2 { year.checked_sub(1)? } else { year };
        let era = year_from_march.div_euclid(400);
        let year_of_era = year_from_march.rem_euclid(400);
        let month_from_march = month.checked_add(9)?.rem_euclid(12);
        let day_of_year =
            month_from_march.checked_mul(153)?.checked_add(2)?.div_euclid(5).checked_add(day)?.checked_sub(1)?;
        let day_of_era = year_of_era
            .checked_mul(365)?
            .checked_add(year_of_era.div_euclid(4))?
            .checked_sub(year_of_era.div_euclid(100))?
            .checked_add(day_of_year)?;
        Some(Self(era.checked_mul(146_097)?.checked_add(day_of_era)?.checked_sub(719_468)?))
    }

    fn civil(self) -> (i64, i64, i64) {
        let shifted = i64::from(self.0).saturating_add(719_468);
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = day_of_era
            .saturating_sub(day_of_era.div_euclid(1_460))
            .saturating_add(day_of_era.div_euclid(36_524))
            .saturating_sub(day_of_era.div_euclid(146_096))
            .div_euclid(365);
        let day_of_year = day_of_era.saturating_sub(
            year_of_era
                .saturating_mul(365)
                .saturating_add(year_of_era.div_euclid(4))
                .saturating_sub(year_of_era.div_euclid(100)),
        );
        let month_from_march = day_of_year.saturating_mul(5).saturating_add(2).div_euclid(153);
        let day = day_of_year
            .saturating_sub(month_from_march.saturating_mul(153).saturating_add(2).div_euclid(5))
            .saturating_add(1);
        let month = month_from_march.saturating_add(2).rem_euclid(12).saturating_add(1);
        let year = year_of_era.saturating_add(era.saturating_mul(400)).saturating_add(i64::from(month <= 2));
        (year, month, day)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A natural week, Monday to Sunday in Asia/Shanghai: weeks since the one of 1969-12-29.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Week(pub i32);

impl Week {
    /// Its Monday.
    #[must_use]
    pub fn monday(self) -> Day {
        Day(self.0.saturating_mul(7).saturating_sub(3))
    }

    /// Its Sunday.
    #[must_use]
    pub fn sunday(self) -> Day {
        self.monday().plus(6)
    }

    /// The week before.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::{Day, Timestamp};

    #[test]
    fn dates_read_and_print() {
        for (text, number) in [("1970-01-01", 0), ("2000-02-29", 11_016), ("2018-06-04", 17_686), ("1969-12-31", -1)] {
            assert_eq!(Day::parse(text), Some(Day(number)), "{text}");
            assert_eq!(Day(number).to_string(), text);
        }
        for text in
            ["", "2018-6-4", "2018-02-30", "2018-13-01", "2018-00-10", "2018/06/04", "+018-06-04", "2018-06-04 "]
        {
            assert_eq!(Day::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_day_of_two_centuries_reads_back() {
        for number in -36_525..36_525 {
            assert_eq!(Day::parse(&Day(number).to_string()), Some(Day(number)));
        }
    }

    #[test]
    fn months_and_years_begin() {
        let cases = [
            ("2024-02-29", "2024-02-01", "2024-01-01"),
            ("2023-12-31", "2023-12-01", "2023-01-01"),
            ("2024-01-01", "2024-01-01", "2024-01-01"),
            ("2023-03-01", "2023-03-01", "2023-01-01"),
        ];
        for (day, month, year) in cases {
            let day = Day::parse(day).expect("a date");
            assert_eq!(
                (day.first_of_month().to_string(), day.first_of_year().to_string()),
                (month.into(), year.into())
            );
        }
    }

    #[test]
    fn the_hours_of_a_week_begin_on_monday() {
        let monday = Day::parse("2023-02-13").expect("a date");
        let hour = |at: Timestamp| (at.day().week(), at.hour_of_week());
        assert_eq!(hour(monday.start()), (monday.week(), 0));
        assert_eq!(hour(monday.start().plus_ms(-1)), (monday.week().previous(), 167));
        assert_eq!(hour(monday.plus(2).start().plus_ms(3_600_000)), (monday.week(), 49));
    }

    #[test]
    fn sunday_and_monday_fall_in_different_weeks() {
        let monday = Day::parse("2023-02-13").expect("a date");
        let midnight = monday.start();
        let before = Timestamp(midnight.0 - 1);
        assert_eq!(before.day().to_string(), "2023-02-12", "Sunday 23:59:59.999 Asia/Shanghai");
        assert_eq!(before.day().week(), midnight.day().week().previous());
        assert_eq!(midnight.day().week().monday(), monday);
        assert_eq!(midnight.day().week().sunday().to_string(), "2023-02-19");
    }
}
