//! Whether promises can still be kept: how often a member will be a candidate, against what it must have yet
//! (DESIGN section 7, online control, step 2).

use crate::domain::{Timestamp, count_to_f64};

use super::forecast::{Forecast, HOURS, hour_of};
use super::sketch::narrow;
use super::terms::span_ms;

/// Standard deviations of appearances that the guard keeps in hand.
const Z: f64 = 2.0;
/// Requests of an hour that the mean over all hours counts as much as, where an hour knows little of its own.
const SHRINK: f64 = 20.0;
/// Requests before rates are believed.
const LEAST_REQUESTS: f64 = 30.0;
/// Steps that the time ahead is cut into.
const STEPS: usize = 720;

/// How often a member is a candidate, by hour of the day.
#[derive(Clone, Debug, Default)]
pub(super) struct Appearances {
    by_hour: [f32; HOURS],
}

/// Requests by hour of the day, which appearances are shares of.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    by_hour: [f64; HOURS],
}

impl Appearances {
    pub(super) fn count(&mut self, at: Timestamp) {
        if let Some(hour) = self.by_hour.get_mut(hour_of(at)) {
            *hour += 1.0;
        }
    }

    /// Shares of the requests of each hour.
    fn rates(&self, requests: &Requests) -> [f64; HOURS] {
        let total: f64 = requests.by_hour.iter().sum();
        let seen: f64 = self.by_hour.iter().copied().map(f64::from).sum();
        let mean = if total > 0.0 { seen / total } else { 0.0 };
        let mut rates = [mean; HOURS];
        for ((rate, seen), requests) in rates.iter_mut().zip(&self.by_hour).zip(&requests.by_hour) {
            *rate = (f64::from(*seen) + SHRINK * mean) / (requests + SHRINK);
        }
        rates
    }

    /// Whether it is bound to hours: at least a quarter of the traffic comes when it is hardly ever a candidate.
    pub(super) fn is_bound_to_hours(&self, requests: &Requests) -> bool {
        let total: f64 = requests.by_hour.iter().sum();
        let rates = self.rates(requests);
        let mean = rates.iter().zip(&requests.by_hour).map(|(rate, n)| rate * n).sum::<f64>() / total.max(1.0);
        let away = rates.iter().zip(&requests.by_hour).filter(|(rate, _)| **rate < mean / 3.0).map(|(_, n)| n);
        total >= LEAST_REQUESTS && away.sum::<f64>() >= total / 4.0
    }
}

impl Requests {
    pub(super) fn count(&mut self, at: Timestamp) {
        if let Some(hour) = self.by_hour.get_mut(hour_of(at)) {
            *hour += 1.0;
        }
    }

    pub(super) fn total(&self) -> f64 {
        self.by_hour.iter().sum()
    }
}

/// The traffic ahead, cut into steps.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    now: Timestamp,
    step_ms: i64,
    /// Requests expected in each step.
    pub(super) steps: Vec<(Timestamp, f64)>,
    /// Requests expected until the end of each step, by hour of the day.
    by_hour: Vec<[f32; HOURS]>,
}

impl Ahead {
    pub(super) fn new(forecast: &Forecast, now: Timestamp, end: Timestamp) -> Self {
        let whole = end.0.saturating_sub(now.0).max(1);
        let steps = i64::try_from(STEPS).unwrap_or(1);
        let step_ms = whole.div_euclid(steps).max(1);
        let mut sum = [0.0_f32; HOURS];
        let mut ahead = Self { now, step_ms, steps: Vec::with_capacity(STEPS), by_hour: Vec::with_capacity(STEPS) };
        let mut from = now;
        while from < end && ahead.steps.len() <= STEPS {
            let to = from.plus_ms(step_ms).min(end);
            let middle = from.plus_ms(to.0.saturating_sub(from.0).div_euclid(2));
            let requests = forecast.expected(from, to);
            if let Some(hour) = sum.get_mut(hour_of(middle)) {
                *hour += narrow(requests);
            }
            ahead.steps.push((middle, requests));
            ahead.by_hour.push(sum);
            from = to;
        }
        ahead
    }

    /// In how many requests until `end` a member will be a candidate, and in what share of them; none while too little
    /// was seen.
    pub(super) fn appearances(
        &self,
        forecast: &Forecast,
        seen: &Appearances,
        requests: &Requests,
        end: Timestamp,
    ) -> Option<(f64, f64)> {
        if requests.total() < LEAST_REQUESTS {
            return None;
        }
        let rates = seen.rates(requests);
        let expected = forecast.expected(self.now, end);
        let steps = end.0.saturating_sub(self.now.0).max(0).div_euclid(self.step_ms);
        let share = if steps < 4 {
            rates.get(hour_of(self.now)).copied().unwrap_or(0.0)
        } else {
            let at = usize::try_from(steps).unwrap_or(0).min(self.by_hour.len()).saturating_sub(1);
            let by_hour = self.by_hour.get(at).copied().unwrap_or([0.0; HOURS]);
            let sum = |weights: &mut dyn Iterator<Item = f64>| weights.sum::<f64>();
            let total = sum(&mut by_hour.iter().copied().map(f64::from));
            let mine = sum(&mut by_hour.iter().zip(&rates).map(|(requests, rate)| f64::from(*requests) * rate));
            if total > 0.0 { mine / total } else { 0.0 }
        };
        Some((expected * share, share))
    }

    /// Instants to come, spread as the traffic is.
    pub(super) fn instants(&self, count: usize, offset: f64) -> Vec<Timestamp> {
        let total: f64 = self.steps.iter().map(|(_, requests)| requests).sum();
        let mut instants = Vec::with_capacity(count);
        let stride = total / count_to_f64(u64::try_from(count).unwrap_or(1)).max(1.0);
        if stride <= 0.0 {
            return vec![self.now; count];
        }
        let mut next = offset * stride;
        let mut until = 0.0;
        for (at, requests) in &self.steps {
            until += requests;
            while next < until && instants.len() < count {
                instants.push(*at);
                next += stride;
            }
        }
        while instants.len() < count {
            instants.push(self.steps.last().map_or(self.now, |(at, _)| *at));
        }
        instants
    }
}

/// Whether `need` exposures call for every appearance that is left.
pub(super) fn is_urgent(need: f64, (appearances, share): (f64, f64)) -> bool {
    need > 0.0 && need >= appearances - Z * (appearances * (1.0 - share)).max(0.0).sqrt() - 0.5
}

/// The instant a guarantee is planned to be kept by.
pub(super) fn planned_end(start: Timestamp, end: Timestamp, now: Timestamp, is_bound_to_hours: bool) -> Timestamp {
    let whole = span_ms(start, end);
    // 97 %, or 95 % where availability is bound to hours, of the period; then what is left of it.
    let spare = whole * if is_bound_to_hours { 0.05 } else { 0.03 };
    let planned = after_ms(start, whole - spare);
    if now < planned { planned } else { end }
}

/// The instant some milliseconds later.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "a float too large becomes the largest")]
pub(super) fn after_ms(start: Timestamp, ms: f64) -> Timestamp {
    start.plus_ms(ms as i64)
}
