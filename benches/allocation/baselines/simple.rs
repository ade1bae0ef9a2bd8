//! Greedy and hard stop: the best values, with the largest boost that can be charged.

use super::{Control, Ledger, Moment};

/// Takes the best; where strict, only what budgets and caps leave.
pub(super) struct Best {
    pub(super) strict: bool,
}

impl Control for Best {
    fn begin(&mut self, _: &Moment<'_>) {}

    fn bid(&mut self, moment: &Moment<'_>, merchant: usize, value: f64) -> (f64, Option<usize>) {
        let instance = moment.instance;
        let mut open = instance.open(&instance.support[merchant], moment.time);
        let charged = open.find(|id| !self.strict || moment.ledger.has_budget(instance, *id));
        (value * (1.0 + charged.map_or(0.0, |id| instance.programme(id).boost)), charged)
    }

    fn end(&mut self, _: &Moment<'_>, _: &Ledger) {}
}
