//! What control knows of itself: how large its sketch is, whom the guard wants served, how often members are candidates.

use super::guard::LEAST_REQUESTS;
use super::{Controller, Shape};
use crate::domain::{WEEK_HOURS, count_to_f64};

/// What is added to the appearances that were seen, so that the sum is hardly ever less than what is to be expected:
/// standard deviations, and appearances where none were seen.
const SURE_DEVIATIONS: f64 = 2.0;
const SURE_APPEARANCES: f64 = 3.0;

impl Controller {
    /// Requests in the sketch, and the bytes that they take.
    #[must_use]
    pub fn sketch_size(&self) -> (usize, usize) {
        (self.sketch.len(), self.sketch.bytes())
    }

    /// Members that the guard wants served.
    #[must_use]
    pub fn guarded(&self) -> usize {
        self.members.iter().filter(|member| member.must_serve).count()
    }

    /// Takes a newly learned shape of the week into the forecast; what traffic there was stays known.
    pub fn reshape(&mut self, shape: Shape) {
        self.forecast.reshape(shape);
    }

    /// What came since the last call came unsteered, as under a kill switch: no price follows for it.
    pub fn pass_over(&mut self) {
        let number = self.forecast.seen();
        for member in &mut self.members {
            member.priced.settled_at = number;
        }
    }

    /// In how many requests of its period each guaranteed member will have been a candidate, at most, at the rate at
    /// which it was one so far; by place of the term. Left out is of whom too little was seen.
    pub fn candidacies(&self) -> impl Iterator<Item = (usize, u64)> {
        let guaranteed = self.members.iter().enumerate().filter(|(_, member)| member.term.is_guarantee());
        guaranteed.filter_map(|(place, member)| {
            let requests = member.appearances.requests(&self.requests);
            let seen = member.appearances.seen();
            let at_most = seen + SURE_DEVIATIONS * seen.sqrt() + SURE_APPEARANCES;
            let share = (at_most / requests).min(1.0);
            let expected = share * self.forecast.expected(member.term.start, member.term.end);
            (requests >= LEAST_REQUESTS).then(|| (place, whole(expected)))
        })
    }
}

#[expect(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn whole(value: f64) -> u64 {
    value.clamp(0.0, 1e15).ceil() as u64
}

/// The shape of the week by what was counted: for each hour of the week the mean of the weeks that have it, the newer
/// twice as much as the one before. `weeks` holds counts from Monday 0:00 on with the number of the week's first hour
/// since 1970; hours before the first count and from `hour` on are not known. None while less than a day is known.
#[must_use]
pub fn learned_shape(weeks: &[(i64, Vec<u64>)], hour: i64) -> Option<Shape> {
    let all = weeks.iter().flat_map(|(first, counts)| (*first..).zip(counts.iter().copied()));
    let begins = all.clone().filter(|(_, count)| *count > 0).map(|(at, _)| at).min()?;
    let mut known: Vec<(i64, u64)> = all.filter(|(at, _)| begins <= *at && *at < hour).collect();
    if known.len() < super::HOURS {
        return None;
    }
    known.sort_unstable();
    let monday = weeks.iter().map(|(first, _)| *first).min()?;
    let mut means: [Option<f64>; WEEK_HOURS] = [None; WEEK_HOURS];
    let mut of_day = [(0.0, 0.0); super::HOURS];
    for (at, count) in known {
        let count = count_to_f64(count);
        let place = usize::try_from(at.saturating_sub(monday).rem_euclid(168)).unwrap_or(0);
        if let Some(mean) = means.get_mut(place) {
            *mean = Some(mean.map_or(count, |before| (before + 2.0 * count) / 3.0));
        }
        if let Some((sum, hours)) = of_day.get_mut(place.rem_euclid(super::HOURS)) {
            *sum += count;
            *hours += 1.0;
        }
    }
    let mut week = Box::new([0.0; WEEK_HOURS]);
    for ((place, share), mean) in week.iter_mut().enumerate().zip(means) {
        // Of a weekday that was never seen the other days tell.
        let (sum, hours) = of_day.get(place.rem_euclid(super::HOURS)).copied().unwrap_or_default();
        *share = mean.unwrap_or(if hours > 0.0 { sum / hours } else { 0.0 });
    }
    Some(Shape::HourOfWeek(week))
}

#[cfg(test)]
mod tests {
    use super::super::{Forecast, Shape, learned_shape};
    use crate::domain::{Day, HOUR_MS, Timestamp};

    #[test]
    fn the_newer_week_counts_twice_and_what_was_not_seen_has_the_mean_of_its_hour() {
        let monday = Day::parse("2023-02-13").expect("a date").start().0 / HOUR_MS;
        let week = |first: i64, count: u64| (first, vec![count; 168]);
        assert_eq!(learned_shape(&[], monday), None);
        assert_eq!(learned_shape(&[week(monday, 3)], monday + 23), None, "less than a day");
        let Some(Shape::HourOfWeek(one)) = learned_shape(&[week(monday, 3)], monday + 24) else { unreachable!() };
        assert!(one.iter().all(|share| (share - 3.0).abs() < 1e-9), "other days are as the one that was seen");
        let weeks = [week(monday + 168, 9), week(monday, 3)];
        let Some(Shape::HourOfWeek(two)) = learned_shape(&weeks, monday + 168 + 24) else { unreachable!() };
        assert!((two[23] - 7.0).abs() < 1e-9 && (two[24] - 3.0).abs() < 1e-9, "{two:?}");
    }

    #[test]
    fn a_new_shape_keeps_the_volume() {
        let monday = Day::parse("2023-02-13").expect("a date").start();
        let at = |hours: i64| Timestamp(monday.0 + hours * HOUR_MS);
        let mut forecast = Forecast::new(Shape::Linear, monday);
        for hour in 1..=168 {
            forecast.count(at(hour), 10.0);
        }
        let mut days = Box::new([1.0; 168]);
        days[..24].fill(3.0);
        forecast.reshape(Shape::HourOfWeek(days));
        let expected = |from, to| forecast.expected(at(from), at(to));
        assert!((expected(168, 336) - 1_680.0).abs() < 1.0, "{}", expected(168, 336));
        assert!((expected(168, 192) / expected(192, 216) - 3.0).abs() < 1e-6);
    }
}
