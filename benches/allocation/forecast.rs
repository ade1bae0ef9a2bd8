//! What a control may know of the arrivals to come.

use super::instance::Request;

/// A cumulative curve of arrivals.
#[derive(Clone, Debug)]
pub(crate) enum Forecast {
    /// Evenly over the horizon.
    Linear,
    /// By the hour of the day, over so many days.
    Profile {
        /// Shares of the hours, their sum 1.
        hours: Vec<f64>,
        /// Length of the horizon.
        days: f64,
    },
    /// As they come: the times of all requests.
    Actual(Vec<f64>),
}

/// How many requests a forecast without counts takes for granted, with the weight of one request.
const PRIOR_REQUESTS: f64 = 10_000.0;

impl Forecast {
    /// The true curve.
    pub(crate) fn actual(requests: &[Request]) -> Self {
        Self::Actual(requests.iter().map(|request| request.time).collect())
    }

    /// Share of the arrivals before a time.
    pub(crate) fn share(&self, time: f64) -> f64 {
        match self {
            Self::Linear => time.clamp(0.0, 1.0),
            Self::Profile { hours, days } => {
                let sum: f64 = hours.iter().sum();
                let whole = |days: f64| {
                    let hour = days.fract() * 24.0;
                    let part = |(at, share): (usize, &f64)| share * (hour - at as f64).clamp(0.0, 1.0);
                    days.trunc() * sum + hours.iter().enumerate().map(part).sum::<f64>()
                };
                whole(time.clamp(0.0, 1.0) * days) / whole(*days)
            }
            Self::Actual(times) => times.partition_point(|one| *one < time) as f64 / (times.len().max(1) as f64),
        }
    }

    /// Requests expected from now to a time, when so many were seen.
    pub(crate) fn remaining(&self, seen: usize, now: f64, end: f64) -> f64 {
        let (done, until) = (self.share(now), self.share(end));
        let all = match self {
            Self::Actual(times) => times.len() as f64,
            Self::Linear | Self::Profile { .. } => (seen as f64 + 1.0) / (done + 1.0 / PRIOR_REQUESTS),
        };
        (all * (until - done)).max(0.0)
    }
}
