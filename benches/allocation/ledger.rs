//! What was spent so far, and a slate that asks it before every slot.

use super::instance::{Choice, Instance};

/// Exposures by programme and merchant.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) spent: Vec<u64>,
    pub(crate) exposures: Vec<u64>,
}

impl Ledger {
    /// Nothing spent.
    pub(crate) fn new(instance: &Instance) -> Self {
        let constraints = &instance.constraints;
        Self { spent: vec![0; constraints.programmes.len()], exposures: vec![0; constraints.merchants()] }
    }

    /// Whether a programme has budget for one more.
    pub(crate) fn has_budget(&self, instance: &Instance, programme: usize) -> bool {
        self.spent[programme] < instance.programme(programme).budget
    }

    /// Whether a merchant may be shown once more: its cap and its hard budgets allow it.
    pub(crate) fn allows(&self, instance: &Instance, merchant: usize, time: f64) -> bool {
        let cap = instance.constraints.merchant_cap[merchant];
        (cap < 0.0 || self.exposures[merchant] as f64 + 1.0 <= cap)
            && instance.open(&instance.hard[merchant], time).all(|id| self.has_budget(instance, id))
    }

    /// Counts an exposure.
    pub(crate) fn charge(&mut self, instance: &Instance, merchant: usize, time: f64, charged: Option<usize>) {
        self.exposures[merchant] += 1;
        for id in instance.open(&instance.hard[merchant], time).chain(charged) {
            self.spent[id] += 1;
        }
    }
}

/// What a control makes of a candidate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bid {
    pub(crate) candidate: usize,
    /// Rank; only above zero is shown.
    pub(crate) score: f64,
    /// The support programme to charge.
    pub(crate) charged: Option<usize>,
}

/// Gives the slots of a request to the best bids above zero. Where `strict`, no budget and no cap is overspent.
pub(crate) fn fill(
    instance: &Instance,
    ledger: &mut Ledger,
    t: usize,
    bids: &mut Vec<Bid>,
    strict: bool,
) -> Vec<Choice> {
    let request = &instance.requests[t];
    bids.retain(|bid| bid.score > 0.0);
    bids.sort_unstable_by(|one, other| other.score.total_cmp(&one.score).then(one.candidate.cmp(&other.candidate)));
    let mut slate = Vec::with_capacity(instance.constraints.per_request);
    for bid in bids.iter() {
        if slate.len() == instance.constraints.per_request {
            break;
        }
        let merchant = request.merchants[bid.candidate];
        if strict && !ledger.allows(instance, merchant, request.time) {
            continue;
        }
        let charged = bid.charged.filter(|id| !strict || ledger.has_budget(instance, *id));
        ledger.charge(instance, merchant, request.time, charged);
        slate.push(Choice { t, candidate: bid.candidate, charged, delivered: true });
    }
    slate
}
