//! PID multipliers: the log of a factor on values follows the distance of spend from its curve, its sum and its change.

use super::super::instance::Instance;
use super::{Control, GUARANTEE_END, Ledger, Moment};

const PROPORTIONAL: f64 = 10.0;
const INTEGRAL: f64 = 40.0;
const DERIVATIVE: f64 = 0.05;
/// No factor is beyond e to this.
const LIMIT: f64 = 5.0;

/// One controller.
#[derive(Clone, Copy, Debug, Default)]
struct Loop {
    sum: f64,
    last: f64,
    output: f64,
}

impl Loop {
    /// Takes the distance ahead of the curve as a share of the whole, after a share of the arrivals.
    fn turn(&mut self, error: f64, passed: f64) {
        // Without the limit the sum of a budget that is never short would have to be worked off before it can act.
        self.sum = (self.sum + error * passed).clamp(0.0, LIMIT / INTEGRAL);
        let slope = if passed > 0.0 { (error - self.last) / passed.max(1e-4) } else { 0.0 };
        self.last = error;
        self.output = (PROPORTIONAL * error + INTEGRAL * self.sum + DERIVATIVE * slope).clamp(0.0, LIMIT);
    }
}

/// Controllers of programmes, caps and guarantees.
pub(super) struct Pid {
    programmes: Vec<Loop>,
    caps: Vec<Loop>,
    guarantees: Vec<Loop>,
    done: f64,
}

impl Pid {
    pub(super) fn new(instance: &Instance) -> Self {
        let merchants = vec![Loop::default(); instance.constraints.merchants()];
        let programmes = vec![Loop::default(); instance.constraints.programmes.len()];
        Self { programmes, caps: merchants.clone(), guarantees: merchants, done: 0.0 }
    }
}

impl Control for Pid {
    fn begin(&mut self, moment: &Moment<'_>) {
        let constraints = &moment.instance.constraints;
        let whole = moment.progress([0.0, 1.0]);
        let passed = whole - self.done;
        self.done = whole;
        let ahead = |count: u64, all: f64, progress: f64| count as f64 / all.max(1.0) - progress;
        for programme in constraints.programmes.iter().filter(|one| one.is_open(moment.time)) {
            let progress = moment.progress(programme.window);
            let error = ahead(moment.ledger.spent[programme.id], programme.budget as f64, progress);
            self.programmes[programme.id].turn(error, passed);
        }
        for (merchant, cap) in constraints.caps() {
            self.caps[merchant].turn(ahead(moment.ledger.exposures[merchant], cap, whole), passed);
        }
        for (merchant, least) in constraints.guarantees() {
            let progress = (whole / GUARANTEE_END).min(1.0);
            self.guarantees[merchant].turn(-ahead(moment.ledger.exposures[merchant], least, progress), passed);
        }
    }

    fn bid(&mut self, moment: &Moment<'_>, merchant: usize, value: f64) -> (f64, Option<usize>) {
        let instance = moment.instance;
        let hard = instance.open(&instance.hard[merchant], moment.time);
        let down: f64 = self.caps[merchant].output + hard.map(|id| self.programmes[id].output).sum::<f64>();
        let mut lift = (1.0, None);
        for id in instance.open(&instance.support[merchant], moment.time) {
            let factor = (1.0 + instance.programme(id).boost) * (-self.programmes[id].output).exp();
            if factor > lift.0 && moment.ledger.has_budget(instance, id) {
                lift = (factor, Some(id));
            }
        }
        (value * (self.guarantees[merchant].output - down).exp() * lift.0, lift.1)
    }

    fn end(&mut self, _: &Moment<'_>, _: &Ledger) {}
}
