//! How much traffic is still to come: a shape known in advance, scaled and corrected by the traffic that came.

use crate::domain::{DAY_MS, Timestamp};

use super::terms::span_ms;

const HOUR_MS: i64 = 3_600_000;
/// Hours of a day.
pub const HOURS: usize = 24;
const WEEK_HOURS: usize = 168;
/// Full hours of a weekday and hour that the given shape counts as much as: then traffic decides.
const SHAPE_STRENGTH: f64 = 0.5;

/// Mean hours that traffic is taken to have lasted at least, so that the first request does not foretell millions.
const LEAST_MASS: f64 = 1e-3;

/// How traffic is spread over time, before its volume is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Evenly.
    Linear,
    /// Share of each hour of the day (Asia/Shanghai).
    HourOfDay([f64; HOURS]),
    /// Share of each hour of the week, Monday first.
    HourOfWeek(Box<[f64; WEEK_HOURS]>),
    /// Requests until instants, rising: an arrival curve that is known. Its counts are not scaled.
    Curve(Vec<(Timestamp, f64)>),
}

/// Expected traffic.
#[derive(Clone, Debug)]
pub struct Forecast {
    shape: Weights,
    began: Timestamp,
    counted_to: Timestamp,
    seen: f64,
    /// Requests in each hour of the day, and the mass the shape gave those hours, hours that are not over excluded.
    hours: [HourSeen; HOURS],
    current: Option<CurrentHour>,
    error: ErrorSum,
}

#[derive(Clone, Copy, Debug, Default)]
struct HourSeen {
    requests: f64,
    mass: f64,
}

#[derive(Clone, Copy, Debug)]
struct CurrentHour {
    number: i64,
    requests: f64,
    expected: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct ErrorSum {
    missed: f64,
    came: f64,
}

#[derive(Clone, Debug)]
enum Weights {
    /// Mass until each hour of the week; mean mass of an hour is 1.
    Weekly { given: Box<[f64; WEEK_HOURS]>, until: Vec<f64> },
    Curve(Vec<(Timestamp, f64)>),
}

impl Forecast {
    /// A forecast of a shape, for traffic that is counted from `began` on.
    #[must_use]
    pub fn new(shape: Shape, began: Timestamp) -> Self {
        let weekly = |given: Box<[f64; WEEK_HOURS]>| {
            let given = normalised(given);
            Weights::Weekly { until: prefix(given.iter().copied()), given }
        };
        let shape = match shape {
            Shape::Linear => weekly(Box::new([1.0; WEEK_HOURS])),
            Shape::HourOfDay(hours) => {
                let mut week = Box::new([1.0; WEEK_HOURS]);
                for (weight, share) in week.iter_mut().zip(hours.iter().cycle()) {
                    *weight = *share;
                }
                weekly(week)
            }
            Shape::HourOfWeek(week) => weekly(week),
            Shape::Curve(points) => Weights::Curve(points),
        };
        Self {
            shape,
            began,
            counted_to: began,
            seen: 0.0,
            hours: [HourSeen::default(); HOURS],
            current: None,
            error: ErrorSum::default(),
        }
    }

    /// Counts requests that came just now.
    pub fn count(&mut self, now: Timestamp, requests: f64) {
        let number = now.0.div_euclid(HOUR_MS);
        if let Some(current) = self.current.filter(|current| current.number != number) {
            self.close_hour(current);
        }
        if self.current.is_none_or(|current| current.number != number) {
            let start = Timestamp(number.saturating_mul(HOUR_MS));
            let expected = self.expected(start.max(self.began), start.plus_ms(HOUR_MS));
            self.current = Some(CurrentHour { number, requests: 0.0, expected });
        }
        if let Some(current) = &mut self.current {
            current.requests += requests;
        }
        self.seen += requests;
        self.counted_to = self.counted_to.max(now);
    }

    fn close_hour(&mut self, current: CurrentHour) {
        self.error.missed += (current.requests - current.expected).abs();
        self.error.came += current.requests;
        let Weights::Weekly { given, until } = &mut self.shape else { return };
        let start = Timestamp(current.number.saturating_mul(HOUR_MS));
        let Some(seen) = self.hours.get_mut(hour_of(start)) else { return };
        seen.requests += current.requests;
        seen.mass += given.get(week_hour(start)).copied().unwrap_or(0.0);
        let (requests, mass) = self.hours.iter().fold((0.0, 0.0), |sum, h| (sum.0 + h.requests, sum.1 + h.mass));
        if requests <= 0.0 || mass <= 0.0 {
            return;
        }
        let level = requests / mass;
        let corrected = given.iter().enumerate().map(|(hour, weight)| {
            let HourSeen { requests, mass } = self.hours.get(hour.rem_euclid(HOURS)).copied().unwrap_or_default();
            weight * (requests / level + SHAPE_STRENGTH) / (mass + SHAPE_STRENGTH)
        });
        *until = prefix(corrected);
    }

    /// Requests seen.
    #[must_use]
    pub const fn seen(&self) -> f64 {
        self.seen
    }

    /// Requests expected from one instant to another, by the traffic so far; 0 if the second is not later.
    #[must_use]
    pub fn expected(&self, from: Timestamp, to: Timestamp) -> f64 {
        self.mass(from, to) * self.scale()
    }

    /// Requests expected per mass of the shape.
    fn scale(&self) -> f64 {
        if matches!(self.shape, Weights::Curve(_)) {
            return 1.0;
        }
        self.seen.max(1.0) / self.mass(self.began, self.counted_to).max(LEAST_MASS)
    }

    /// Mean relative error of the hours that are over: missed requests over requests that came.
    #[must_use]
    pub fn error(&self) -> f64 {
        if self.error.came > 0.0 { self.error.missed / self.error.came } else { 0.0 }
    }

    /// Mass of the shape between two instants.
    #[must_use]
    pub fn mass(&self, from: Timestamp, to: Timestamp) -> f64 {
        if to <= from {
            return 0.0;
        }
        (self.until(to) - self.until(from)).max(0.0)
    }

    fn until(&self, at: Timestamp) -> f64 {
        match &self.shape {
            Weights::Curve(points) => on_points(points, at),
            Weights::Weekly { until, .. } => {
                let week = until.last().copied().unwrap_or(0.0);
                let weeks = at.day().week();
                let hour = week_hour(at);
                let before = until.get(hour).copied().unwrap_or(0.0);
                let after = until.get(hour.saturating_add(1)).copied().unwrap_or(before);
                let into = span_ms(Timestamp(at.0.div_euclid(HOUR_MS).saturating_mul(HOUR_MS)), at)
                    / span_ms(Timestamp(0), Timestamp(HOUR_MS));
                f64::from(weeks.0) * week + before + (after - before) * into
            }
        }
    }
}

/// Hour of the day of an instant, in Asia/Shanghai.
#[must_use]
pub fn hour_of(at: Timestamp) -> usize {
    let into_day = at.0.saturating_sub(at.day().start().0).clamp(0, DAY_MS.saturating_sub(1));
    usize::try_from(into_day.div_euclid(HOUR_MS)).unwrap_or(0)
}

fn week_hour(at: Timestamp) -> usize {
    let day = at.day();
    let weekday = usize::try_from(day.days_since(day.week().monday())).unwrap_or(0);
    weekday.saturating_mul(HOURS).saturating_add(hour_of(at))
}

fn on_points(points: &[(Timestamp, f64)], at: Timestamp) -> f64 {
    let next = points.partition_point(|(instant, _)| *instant <= at);
    let before = next.checked_sub(1).and_then(|i| points.get(i)).copied();
    match (before, points.get(next).copied()) {
        (Some((from, low)), Some((to, high))) => low + (high - low) * span_ms(from, at) / span_ms(from, to).max(1.0),
        (Some((_, last)), None) => last,
        (None, Some((_, first))) => first.min(0.0),
        (None, None) => 0.0,
    }
}

fn prefix(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sum = 0.0;
    let mut until = vec![0.0];
    until.extend(weights.map(|weight| {
        sum += weight;
        sum
    }));
    until
}

fn normalised(mut week: Box<[f64; WEEK_HOURS]>) -> Box<[f64; WEEK_HOURS]> {
    let usable = |weight: &f64| weight.is_finite() && *weight > 0.0;
    let sum: f64 = week.iter().filter(|weight| usable(weight)).sum();
    for weight in week.iter_mut() {
        // An hour without any traffic in the shape can have some after all: it is never quite excluded.
        *weight = if sum > 0.0 && usable(weight) { *weight * 168.0 / sum } else { 1e-3 };
    }
    week
}
