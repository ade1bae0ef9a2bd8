//! Additive dual descent: every request moves the price of what it used by what was used beyond the even share of what
//! is left (DESIGN section 7, online control, step 3), and nothing else does: no re-solve, no guard.

use super::super::instance::Instance;
use super::{Control, GUARANTEE_END, Ledger, Moment};

/// Step, in units of the mean value.
const STEP: f64 = 0.01;

/// Prices in units of the mean value.
pub(super) struct DualDescent {
    programmes: Vec<f64>,
    caps: Vec<f64>,
    guarantees: Vec<f64>,
    /// Sum and number of the values seen.
    seen: (f64, f64),
    /// Mean of the values before the current request.
    mean: f64,
}

impl DualDescent {
    pub(super) fn new(instance: &Instance) -> Self {
        let merchants = vec![0.0; instance.constraints.merchants()];
        let programmes = vec![0.0; instance.constraints.programmes.len()];
        Self { programmes, caps: merchants.clone(), guarantees: merchants, seen: (0.0, 0.0), mean: 1.0 }
    }
}

/// How a price moves when so much was used and so much a request is left.
fn step(used: f64, left: f64) -> f64 {
    STEP * (used - left) / left.max(1e-3).sqrt()
}

impl Control for DualDescent {
    fn begin(&mut self, moment: &Moment<'_>) {
        let request = &moment.instance.requests[moment.t];
        self.seen.0 += request.value.iter().sum::<f64>();
        self.seen.1 += request.value.len() as f64;
        self.mean = (self.seen.0 / self.seen.1.max(1.0)).max(1e-9);
    }

    fn bid(&mut self, moment: &Moment<'_>, merchant: usize, value: f64) -> (f64, Option<usize>) {
        let instance = moment.instance;
        let value = value / self.mean;
        let hard: f64 = instance.open(&instance.hard[merchant], moment.time).map(|id| self.programmes[id]).sum();
        let mut support = (0.0, None);
        for id in instance.open(&instance.support[merchant], moment.time) {
            let gain = instance.programme(id).boost * value - self.programmes[id];
            if gain > support.0 && moment.ledger.has_budget(instance, id) {
                support = (gain, Some(id));
            }
        }
        (value - hard - self.caps[merchant] + self.guarantees[merchant] + support.0, support.1)
    }

    fn end(&mut self, moment: &Moment<'_>, before: &Ledger) {
        let constraints = &moment.instance.constraints;
        let penalty = constraints.shortfall_penalty / self.mean;
        for programme in constraints.programmes.iter().filter(|one| one.is_open(moment.time)) {
            let used = moment.ledger.spent[programme.id] - before.spent[programme.id];
            let left = (programme.budget - before.spent[programme.id].min(programme.budget)) as f64;
            let price = &mut self.programmes[programme.id];
            let rate = left / moment.remaining(programme.window[1]).max(1.0);
            *price = (*price + step(used as f64, rate)).max(0.0);
        }
        let whole = moment.remaining(1.0).max(1.0);
        for (merchant, cap) in constraints.caps() {
            let shown = before.exposures[merchant];
            let used = (moment.ledger.exposures[merchant] - shown) as f64;
            let price = &mut self.caps[merchant];
            *price = (*price + step(used, (cap - shown as f64).max(0.0) / whole)).max(0.0);
        }
        let planned = (whole - (1.0 - GUARANTEE_END) * (moment.t as f64 + whole)).max(1.0);
        for (merchant, least) in constraints.guarantees() {
            let shown = before.exposures[merchant];
            let used = (moment.ledger.exposures[merchant] - shown) as f64;
            let price = &mut self.guarantees[merchant];
            *price = (*price - step(used, (least - shown as f64).max(0.0) / planned)).clamp(0.0, penalty);
        }
    }
}
