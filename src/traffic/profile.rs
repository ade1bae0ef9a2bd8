//! What is learned of traffic by hour of the week, and how well it foretold the last week.

use crate::domain::{DAY_MS, HOUR_MS, Timestamp, WEEK_HOURS, Week, count_to_f64};

const DAY_HOURS: usize = 24;

/// Exposures by hour of one week, Monday 00:00 to 01:00 first.
pub type WeekCounts = [u64; WEEK_HOURS];

/// Expected exposures by hour of the week.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// By hour of the week; hours never seen have the mean of their hour of the day, or of all.
    pub hours: [f64; WEEK_HOURS],
    /// Hours of the week seen at least once.
    pub observed_hours: u32,
    /// Days from the first exposure on, begun days included.
    pub observed_days: u32,
    /// Of the hours of the last week that earlier weeks have, too: what the mean of those missed, as a share of what
    /// came; none before there is such an hour.
    pub relative_error: Option<f64>,
}

#[derive(Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn push(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.0;
    }

    fn value(self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}

impl Profile {
    /// Learns from counts by week. Hours before the first exposure and from the present one on are not known; an hour
    /// in between without any had none. None before the first whole hour.
    #[must_use]
    pub fn learn(weeks: &[(Week, WeekCounts)], now: Timestamp) -> Option<Self> {
        let mut hours: Vec<(i64, u64)> = weeks
            .iter()
            .flat_map(|(week, counts)| {
                let monday = week.monday().start().0;
                (0_i64..)
                    .zip(counts)
                    .map(move |(hour, count)| (monday.saturating_add(hour.saturating_mul(HOUR_MS)), *count))
            })
            .collect();
        hours.sort_unstable();
        let first = hours.iter().find(|(_, count)| *count > 0)?.0;
        let over = |start: i64| start.saturating_add(HOUR_MS) <= now.0;
        let mut means = [Mean::default(); WEEK_HOURS];
        let mut by_day = [Mean::default(); DAY_HOURS];
        let mut all = Mean::default();
        let (mut missed, mut came) = (0.0, 0.0);
        let last_week = now.plus_ms(-7 * DAY_MS).0;
        for (start, count) in hours.into_iter().filter(|(start, _)| *start >= first && over(*start)) {
            let count = count_to_f64(count);
            let hour = Timestamp(start).hour_of_week();
            let Some(mean) = means.get_mut(hour) else { continue };
            if let Some(expected) = mean.value().filter(|_| start >= last_week) {
                missed += (count - expected).abs();
                came += count;
            }
            mean.push(count);
            if let Some(mean) = by_day.get_mut(hour.rem_euclid(DAY_HOURS)) {
                mean.push(count);
            }
            all.push(count);
        }
        let overall = all.value()?;
        let observed = means.iter().filter(|mean| mean.count > 0.0).count();
        let mut expected = [0.0; WEEK_HOURS];
        for ((hour, place), mean) in expected.iter_mut().enumerate().zip(means) {
            let of_day = by_day.get(hour.rem_euclid(DAY_HOURS)).copied().and_then(Mean::value);
            *place = mean.value().or(of_day).unwrap_or(overall);
        }
        let days = now.day().days_since(Timestamp(first).day()).saturating_add(1);
        Some(Self {
            hours: expected,
            observed_hours: u32::try_from(observed).unwrap_or(u32::MAX),
            observed_days: u32::try_from(days).unwrap_or(0),
            relative_error: (came > 0.0).then(|| missed / came),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Profile;
    use crate::domain::{Day, HOUR_MS, WEEK_HOURS};

    #[test]
    fn hours_are_learned_once_they_are_over() {
        let monday = Day::parse("2023-02-13").expect("a date");
        let at = |hours: i64| monday.start().plus_ms(hours * HOUR_MS);
        assert_eq!(Profile::learn(&[], at(5)), None);
        // From 10:00 on: 100, 0, 200, and 50 in the hour that runs.
        let mut counts = [0; WEEK_HOURS];
        counts[10..14].copy_from_slice(&[100, 0, 200, 50]);
        assert_eq!(Profile::learn(&[(monday.week(), counts)], at(11).plus_ms(-1)), None, "no hour is over");
        let found = Profile::learn(&[(monday.week(), counts)], at(13)).expect("three hours");
        assert_eq!((found.observed_hours, found.observed_days, found.relative_error), (3, 1, None));
        assert_eq!(found.hours[10..13], [100.0, 0.0, 200.0]);
        assert_eq!((found.hours[34], found.hours[9]), (100.0, 100.0), "tomorrow at 10:00; never seen: the mean");
    }

    #[test]
    fn the_error_is_what_earlier_weeks_missed() {
        let monday = Day::parse("2023-02-13").expect("a date");
        let (first, second) = ([100; WEEK_HOURS], [125; WEEK_HOURS]);
        let weeks = [(monday.plus(7).week(), second), (monday.week(), first)];
        let found = Profile::learn(&weeks, monday.plus(14).start()).expect("two weeks");
        assert_eq!(found.relative_error, Some(0.2), "25 of 125");
        assert_eq!((found.observed_hours, found.observed_days), (168, 15));
        assert!((found.hours[77] - 112.5).abs() < 1e-9);
    }
}
