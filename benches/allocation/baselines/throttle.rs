//! Throttling: a candidate passes by chance, so that the spend of what it would use follows the target curve; a merchant
//! behind the curve of its guarantee goes first.

use super::super::dice::Dice;
use super::super::instance::Instance;
use super::{Control, GUARANTEE_END, Ledger, Moment};

/// Relative change of a chance by one request.
const STEP: f64 = 0.02;
/// No chance falls below this: it could not rise again in time.
const FLOOR: f64 = 0.001;

/// Chances of programmes and of capped merchants.
pub(super) struct Throttle {
    programmes: Vec<f64>,
    merchants: Vec<f64>,
    behind: Vec<bool>,
    dice: Dice,
}

impl Throttle {
    pub(super) fn new(instance: &Instance, seed: u64) -> Self {
        let (programmes, merchants) = (instance.constraints.programmes.len(), instance.constraints.merchants());
        Self {
            programmes: vec![1.0; programmes],
            merchants: vec![1.0; merchants],
            behind: vec![false; merchants],
            dice: Dice::new(seed),
        }
    }
}

fn moved(chance: f64, spent: u64, target: f64) -> f64 {
    let factor = if spent as f64 > target { 1.0 - STEP } else { 1.0 + STEP };
    (chance * factor).clamp(FLOOR, 1.0)
}

impl Control for Throttle {
    fn begin(&mut self, moment: &Moment<'_>) {
        let constraints = &moment.instance.constraints;
        let whole = moment.progress([0.0, 1.0]);
        for programme in constraints.programmes.iter().filter(|one| one.is_open(moment.time)) {
            let target = programme.budget as f64 * moment.progress(programme.window);
            let chance = &mut self.programmes[programme.id];
            *chance = moved(*chance, moment.ledger.spent[programme.id], target);
        }
        for (merchant, cap) in constraints.caps() {
            let chance = &mut self.merchants[merchant];
            *chance = moved(*chance, moment.ledger.exposures[merchant], cap * whole);
        }
        for (merchant, least) in constraints.guarantees() {
            let target = least * (whole / GUARANTEE_END).min(1.0);
            self.behind[merchant] = (moment.ledger.exposures[merchant] as f64) < target;
        }
    }

    fn bid(&mut self, moment: &Moment<'_>, merchant: usize, value: f64) -> (f64, Option<usize>) {
        let instance = moment.instance;
        let hard = instance.open(&instance.hard[merchant], moment.time);
        let chance = self.merchants[merchant] * hard.map(|id| self.programmes[id]).product::<f64>();
        if self.dice.unit() > chance {
            return (0.0, None);
        }
        let mut open = instance.open(&instance.support[merchant], moment.time);
        let charged =
            open.find(|id| moment.ledger.has_budget(instance, *id) && self.dice.unit() < self.programmes[*id]);
        let value = value * (1.0 + charged.map_or(0.0, |id| instance.programme(id).boost));
        (if self.behind[merchant] { value + 1e6 } else { value }, charged)
    }

    fn end(&mut self, _: &Moment<'_>, _: &Ledger) {}
}
