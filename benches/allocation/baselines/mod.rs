//! The controls that ours is compared with: they see the same stream and the same forecast, and write the same log.

mod dual;
mod pid;
mod simple;
mod throttle;

use super::forecast::Forecast;
use super::instance::{Choice, Instance};
use super::ledger::{Bid, Ledger, fill};

/// Guarantees are planned to be met at this share of the arrivals, so that noise at the end does not break them.
const GUARANTEE_END: f64 = 0.97;

/// A control by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Baseline {
    /// The best values, whatever the budgets.
    Greedy,
    /// The best values until a budget or cap is spent.
    HardStop,
    /// Candidates pass by chance, so that spend follows its curve.
    Throttle,
    /// Factors on values, set by the distance of spend from its curve.
    Pid,
    /// Additive prices, moved by every request.
    DualDescent,
}

impl Baseline {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Greedy, Self::HardStop, Self::Throttle, Self::Pid, Self::DualDescent];

    /// Its name, as in `reference.json`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Greedy => "greedy",
            Self::HardStop => "hard_stop",
            Self::Throttle => "throttle",
            Self::Pid => "pid",
            Self::DualDescent => "dual_descent",
        }
    }

    /// Allocates a stream.
    pub(crate) fn run(self, instance: &Instance, forecast: &Forecast, seed: u64) -> Vec<Choice> {
        let mut control: Box<dyn Control> = match self {
            Self::Greedy => Box::new(simple::Best { strict: false }),
            Self::HardStop => Box::new(simple::Best { strict: true }),
            Self::Throttle => Box::new(throttle::Throttle::new(instance, seed)),
            Self::Pid => Box::new(pid::Pid::new(instance)),
            Self::DualDescent => Box::new(dual::DualDescent::new(instance)),
        };
        drive(control.as_mut(), instance, forecast, self != Self::Greedy)
    }
}

/// A moment of the stream, as a control sees it.
struct Moment<'a> {
    instance: &'a Instance,
    ledger: &'a Ledger,
    forecast: &'a Forecast,
    /// Position of the request.
    t: usize,
    /// Share of the horizon.
    time: f64,
}

/// What a baseline decides.
trait Control {
    /// A request comes.
    fn begin(&mut self, moment: &Moment<'_>);
    /// What showing one of its candidates is worth, and whom to charge.
    fn bid(&mut self, moment: &Moment<'_>, merchant: usize, value: f64) -> (f64, Option<usize>);
    /// What the slate took, by programme and merchant: `moment` is after it, `before` is before it.
    fn end(&mut self, moment: &Moment<'_>, before: &Ledger);
}

fn drive(control: &mut dyn Control, instance: &Instance, forecast: &Forecast, strict: bool) -> Vec<Choice> {
    let mut ledger = Ledger::new(instance);
    let mut log = Vec::new();
    let mut bids = Vec::new();
    for (t, request) in instance.requests.iter().enumerate() {
        let before = ledger.clone();
        let moment = Moment { instance, ledger: &before, forecast, t, time: request.time };
        control.begin(&moment);
        bids.clear();
        for (candidate, (merchant, value)) in request.merchants.iter().zip(&request.value).enumerate() {
            let (score, charged) = control.bid(&moment, *merchant, *value);
            bids.push(Bid { candidate, score, charged });
        }
        log.extend(fill(instance, &mut ledger, t, &mut bids, strict));
        control.end(&Moment { ledger: &ledger, ..moment }, &before);
    }
    log
}

impl Moment<'_> {
    /// Share of a window's arrivals that is over.
    fn progress(&self, window: [f64; 2]) -> f64 {
        let [begin, end] = window.map(|edge| self.forecast.share(edge));
        ((self.forecast.share(self.time) - begin) / (end - begin).max(1e-9)).clamp(0.0, 1.0)
    }

    /// Requests still to come before an end.
    fn remaining(&self, end: f64) -> f64 {
        self.forecast.remaining(self.t, self.time, end)
    }
}
