//! How much traffic is still to come: a shape known in advance, scaled and corrected by the traffic that came.

use crate::domain::{DAY_MS, HOUR_MS, Timestamp, WEEK_HOURS};

use super::terms::span_ms;

/// Hours of a day.
pub const HOURS: usize = 24;
/// Mean hours that a shape without knowledge counts as much as, for each hour of the day: then traffic decides.
const LINE_STRENGTH: f64 = 0.5;
/// The same for a profile, which was learned from many days.
const PROFILE_STRENGTH: f64 = 3.0;

/// Mean hours that traffic is taken to have lasted at least, so that the first request does not foretell millions.
const LEAST_MASS: f64 = 1e-3;

/// The power that the weight of older traffic falls with, where only late traffic counts.
const RECENT_POWER: f64 = 4.0;
/// Days after which the older half of the traffic is forgotten.
const LEVEL_DAYS: i64 = 56;

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
    /// The traffic that volume is learned from: all of it at first, later the last weeks.
    level_from: Timestamp,
    level_seen: f64,
    counted_to: Timestamp,
    seen: f64,
    recent: Recent,
    /// Requests in each hour of the day, and the mass the shape gave those hours, hours that are not over excluded.
    hours: [HourSeen; HOURS],
    current: Option<CurrentHour>,
    error: ErrorSum,
}

/// Traffic of late, weighted by its age.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    requests: f64,
    mass: f64,
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
    Weekly {
        given: Box<[f64; WEEK_HOURS]>,
        until: Vec<f64>,
        strength: f64,
    },
    Curve(Vec<(Timestamp, f64)>),
}

impl Forecast {
    /// A forecast of a shape, for traffic that is counted from `began` on.
    #[must_use]
    pub fn new(shape: Shape, began: Timestamp) -> Self {
        let weekly = |given: Box<[f64; WEEK_HOURS]>, strength: f64| {
            let given = normalised(given);
            Weights::Weekly { until: prefix(given.iter().copied()), given, strength }
        };
        let shape = match shape {
            Shape::Linear => weekly(Box::new([1.0; WEEK_HOURS]), LINE_STRENGTH),
            Shape::HourOfDay(hours) => {
                let mut week = Box::new([1.0; WEEK_HOURS]);
                for (weight, share) in week.iter_mut().zip(hours.iter().cycle()) {
                    *weight = *share;
                }
                weekly(week, PROFILE_STRENGTH)
            }
            Shape::HourOfWeek(week) => weekly(week, PROFILE_STRENGTH),
            Shape::Curve(points) => Weights::Curve(points),
        };
        Self {
            shape,
            level_from: began,
            level_seen: 0.0,
            counted_to: began,
            seen: 0.0,
            recent: Recent::default(),
            hours: [HourSeen::default(); HOURS],
            current: None,
            error: ErrorSum::default(),
        }
    }

    /// Takes another shape of the week; what came stays counted, and its volume is spread over the new shape. The
    /// corrections by hour of the day begin anew: the shape has learned of the same traffic.
    pub(super) fn reshape(&mut self, shape: Shape) {
        let fresh = Self::new(shape, self.level_from);
        self.shape = fresh.shape;
        self.hours = fresh.hours;
    }

    /// Counts requests that came just now.
    pub fn count(&mut self, now: Timestamp, requests: f64) {
        let number = now.0.div_euclid(HOUR_MS);
        if let Some(current) = self.current.filter(|current| current.number != number) {
            self.close_hour(current);
        }
        if self.current.is_none_or(|current| current.number != number) {
            let start = Timestamp(number.saturating_mul(HOUR_MS));
            let expected = self.expected(start.max(self.level_from), start.plus_ms(HOUR_MS));
            self.current = Some(CurrentHour { number, requests: 0.0, expected });
        }
        if let Some(current) = &mut self.current {
            current.requests += requests;
        }
        let gone = self.mass(self.level_from, now).max(LEAST_MASS);
        let step = self.mass(self.counted_to, now);
        // The weight of older traffic falls with a power of its age: the last fifth of the time decides.
        let fade = libm::pow((gone - step).max(0.0) / gone, RECENT_POWER);
        self.recent.requests = self.recent.requests * fade + requests;
        self.recent.mass = self.recent.mass * fade + step;
        self.seen += requests;
        self.level_seen += requests;
        self.counted_to = self.counted_to.max(now);
        let age = now.0.saturating_sub(self.level_from.0);
        if age > LEVEL_DAYS.saturating_mul(DAY_MS) {
            let from = self.level_from.plus_ms(age.div_euclid(2));
            self.level_seen *= self.mass(from, now) / gone;
            self.level_from = from;
        }
    }

    fn close_hour(&mut self, current: CurrentHour) {
        self.error.missed += (current.requests - current.expected).abs();
        self.error.came += current.requests;
        let Weights::Weekly { given, until, strength } = &mut self.shape else { return };
        let start = Timestamp(current.number.saturating_mul(HOUR_MS));
        let Some(seen) = self.hours.get_mut(hour_of(start)) else { return };
        seen.requests += current.requests;
        seen.mass += given.get(start.hour_of_week()).copied().unwrap_or(0.0);
        let (requests, mass) = self.hours.iter().fold((0.0, 0.0), |sum, h| (sum.0 + h.requests, sum.1 + h.mass));
        if requests <= 0.0 || mass <= 0.0 {
            return;
        }
        let level = requests / mass;
        let corrected = given.iter().enumerate().map(|(hour, weight)| {
            let HourSeen { requests, mass } = self.hours.get(hour.rem_euclid(HOURS)).copied().unwrap_or_default();
            weight * (requests / level + *strength) / (mass + *strength)
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
        self.level_seen.max(1.0) / self.mass(self.level_from, self.counted_to).max(LEAST_MASS)
    }

    /// How much less than expected may come if traffic stays as it was of late, 0 to 1. Promises are guarded by it,
    /// since the shape may be wrong.
    #[must_use]
    pub fn caution(&self) -> f64 {
        if matches!(self.shape, Weights::Curve(_)) || self.recent.mass <= LEAST_MASS {
            return 1.0;
        }
        (self.recent.requests / self.recent.mass / self.scale()).clamp(0.1, 1.0)
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
                let hour = at.hour_of_week();
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
pub(super) fn hour_of(at: Timestamp) -> usize {
    at.hour_of_week().rem_euclid(HOURS)
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
