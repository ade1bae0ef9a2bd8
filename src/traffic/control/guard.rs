//! Whether promises can still be kept: how often a member will be a candidate, against what it must have yet
//! (DESIGN section 7, online control, step 2).

use crate::domain::{DAY_MS, Timestamp, count_to_f64, to_f32};

use super::forecast::Forecast;
use super::terms::span_ms;

/// Standard deviations of appearances that the guard keeps in hand.
const Z: f64 = 2.0;
/// Requests of an hour that the mean over all hours counts as much as, where an hour knows little of its own.
const SHRINK: f64 = 2.0;
/// Requests before rates are believed.
pub(super) const LEAST_REQUESTS: f64 = 30.0;
/// Half hours of a day: finer than hours, since merchants come and go within them.
const SLOTS: usize = 48;
const SLOT_MS: i64 = 1_800_000;
/// Share by which availability differs from one day to the next, beyond chance.
const UNEVEN: f64 = 0.1;
/// Steps that the time ahead is cut into.
const STEPS: usize = 720;

/// Half hour of the day of an instant, in Asia/Shanghai.
fn slot_of(at: Timestamp) -> usize {
    let into_day = at.0.saturating_sub(at.day().start().0).clamp(0, DAY_MS.saturating_sub(1));
    usize::try_from(into_day.div_euclid(SLOT_MS)).unwrap_or(0)
}

/// How often a member is a candidate, by half hour of the day.
#[derive(Clone, Debug)]
pub(super) struct Appearances {
    by_slot: [f32; SLOTS],
    /// Requests of each hour before counting began.
    before: [f32; SLOTS],
}

/// Requests by half hour of the day, which appearances are shares of.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    by_slot: [f64; SLOTS],
}

impl Appearances {
    /// Counting that begins now.
    pub(super) fn new(requests: &Requests) -> Self {
        Self { by_slot: [0.0; SLOTS], before: requests.by_slot.map(to_f32) }
    }

    /// Requests of each hour since counting began.
    fn since(&self, requests: &Requests) -> [f64; SLOTS] {
        let mut since = requests.by_slot;
        for (requests, before) in since.iter_mut().zip(&self.before) {
            *requests = (*requests - f64::from(*before)).max(0.0);
        }
        since
    }

    /// Requests since counting began.
    pub(super) fn requests(&self, requests: &Requests) -> f64 {
        self.since(requests).iter().sum()
    }

    /// Requests it appeared in.
    pub(super) fn seen(&self) -> f64 {
        self.by_slot.iter().copied().map(f64::from).sum()
    }

    pub(super) fn count(&mut self, at: Timestamp) {
        if let Some(hour) = self.by_slot.get_mut(slot_of(at)) {
            *hour += 1.0;
        }
    }

    /// Shares of the requests of each hour.
    fn rates(&self, requests: &Requests) -> [f64; SLOTS] {
        let requests = self.since(requests);
        let total: f64 = requests.iter().sum();
        let seen: f64 = self.by_slot.iter().copied().map(f64::from).sum();
        let mean = if total > 0.0 { seen / total } else { 0.0 };
        let mut rates = [mean; SLOTS];
        for ((rate, seen), requests) in rates.iter_mut().zip(&self.by_slot).zip(&requests) {
            *rate = (f64::from(*seen) + SHRINK * mean) / (requests + SHRINK);
        }
        rates
    }

    /// Whether it is bound to hours: at least a quarter of the traffic comes when it is hardly ever a candidate.
    pub(super) fn is_bound_to_hours(&self, requests: &Requests) -> bool {
        let rates = self.rates(requests);
        let requests = self.since(requests);
        let total: f64 = requests.iter().sum();
        let mean = rates.iter().zip(&requests).map(|(rate, n)| rate * n).sum::<f64>() / total.max(1.0);
        let away = rates.iter().zip(&requests).filter(|(rate, _)| **rate < mean / 3.0).map(|(_, n)| n);
        total >= LEAST_REQUESTS && away.sum::<f64>() >= total / 4.0
    }
}

impl Requests {
    /// None so far.
    pub(super) const fn new() -> Self {
        Self { by_slot: [0.0; SLOTS] }
    }

    pub(super) fn count(&mut self, at: Timestamp) {
        if let Some(hour) = self.by_slot.get_mut(slot_of(at)) {
            *hour += 1.0;
        }
    }
}

/// The traffic ahead, cut into steps.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    now: Timestamp,
    step_ms: i64,
    /// Requests expected in each step.
    pub(super) steps: Vec<(Timestamp, f64)>,
    /// Requests expected until the end of each step, by half hour of the day.
    by_slot: Vec<[f32; SLOTS]>,
}

impl Ahead {
    pub(super) fn new(forecast: &Forecast, now: Timestamp, end: Timestamp) -> Self {
        let whole = end.0.saturating_sub(now.0).max(1);
        let steps = i64::try_from(STEPS).unwrap_or(1);
        let step_ms = whole.div_euclid(steps).max(1);
        let mut sum = [0.0_f32; SLOTS];
        let mut ahead = Self { now, step_ms, steps: Vec::with_capacity(STEPS), by_slot: Vec::with_capacity(STEPS) };
        let mut from = now;
        while from < end && ahead.steps.len() <= STEPS {
            let to = from.plus_ms(step_ms).min(end);
            let middle = from.plus_ms(to.0.saturating_sub(from.0).div_euclid(2));
            let requests = forecast.expected(from, to);
            if let Some(hour) = sum.get_mut(slot_of(middle)) {
                *hour += to_f32(requests);
            }
            ahead.steps.push((middle, requests));
            ahead.by_slot.push(sum);
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
        if seen.requests(requests) < LEAST_REQUESTS {
            return None;
        }
        let rates = seen.rates(requests);
        let expected = forecast.expected(self.now, end);
        let steps = end.0.saturating_sub(self.now.0).max(0).div_euclid(self.step_ms);
        let share = if steps < 4 {
            rates.get(slot_of(self.now)).copied().unwrap_or(0.0)
        } else {
            let at = usize::try_from(steps).unwrap_or(0).min(self.by_slot.len()).saturating_sub(1);
            let by_slot = self.by_slot.get(at).copied().unwrap_or([0.0; SLOTS]);
            let sum = |weights: &mut dyn Iterator<Item = f64>| weights.sum::<f64>();
            let total = sum(&mut by_slot.iter().copied().map(f64::from));
            let mine = sum(&mut by_slot.iter().zip(&rates).map(|(requests, rate)| f64::from(*requests) * rate));
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

/// Whether `need` exposures call for every appearance that is left, if `caution` of what is expected comes.
pub(super) fn is_urgent(need: f64, (appearances, share): (f64, f64), caution: f64) -> bool {
    let appearances = appearances * caution;
    let uneven = UNEVEN * appearances;
    need > 0.0 && need >= appearances - Z * (appearances * (1.0 - share).max(0.0) + uneven * uneven).sqrt() - 0.5
}

/// Share of a period, or of the appearances in it, that a guarantee is planned not to need.
pub(super) const fn spare_share(is_bound_to_hours: bool) -> f64 {
    if is_bound_to_hours { 0.05 } else { 0.03 }
}

/// The instant a guarantee is planned to be kept by while nothing is known of its appearances; then its end.
pub(super) fn planned_end(start: Timestamp, end: Timestamp, now: Timestamp, is_bound_to_hours: bool) -> Timestamp {
    let planned = after_ms(start, span_ms(start, end) * (1.0 - spare_share(is_bound_to_hours)));
    if now < planned { planned } else { end }
}

/// The instant some milliseconds later.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "a float too large becomes the largest")]
pub(super) fn after_ms(start: Timestamp, ms: f64) -> Timestamp {
    start.plus_ms(ms as i64)
}
