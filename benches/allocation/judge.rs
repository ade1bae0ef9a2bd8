//! Judges a log against an instance, by the rules of the data's `checker.py`.
//!
//! The checker knows the shipped constraint sets only; this one knows any, and so sets drawn at random can be judged.

use std::collections::BTreeSet;

use super::instance::{Choice, Instance};

/// What a log comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// What breaks the rules of a log: too many slots, a candidate twice or unknown, a programme that may not be charged.
    pub(crate) errors: Vec<String>,
    /// Value of all exposures.
    pub(crate) value: f64,
    /// Value less the penalty of missing guaranteed exposures.
    pub(crate) penalised: f64,
    /// Exposures beyond budgets.
    pub(crate) overspend: u64,
    /// Exposures beyond caps.
    pub(crate) cap_excess: u64,
    /// Missing guaranteed exposures as a share of all guaranteed ones, in percent.
    pub(crate) shortfall: f64,
    /// Guaranteed merchants with at least 99 % delivered, in percent.
    pub(crate) coverage: f64,
}

/// Judges a log.
pub(crate) fn judge(instance: &Instance, log: &[Choice]) -> Verdict {
    let constraints = &instance.constraints;
    let mut verdict = Verdict::default();
    let mut spent = vec![0_u64; constraints.programmes.len()];
    let mut exposures = vec![0_u64; constraints.merchants()];
    let mut slots = BTreeSet::new();
    let mut last = (0, 0);
    for choice in log {
        if choice.t < last.0 {
            verdict.errors.push(format!("request {} after request {}", choice.t, last.0));
        }
        last = (choice.t, if choice.t == last.0 { last.1 + 1 } else { 1 });
        if last.1 > constraints.per_request {
            verdict.errors.push(format!("request {}: slot {}", choice.t, last.1));
        }
        if !slots.insert((choice.t, choice.candidate)) {
            verdict.errors.push(format!("request {}: candidate {} twice", choice.t, choice.candidate));
        }
        count(instance, *choice, &mut verdict, &mut spent, &mut exposures);
    }
    let over = |spent: u64, limit: f64| whole((spent as f64 - limit).max(0.0));
    let budgets = constraints.programmes.iter().map(|programme| programme.budget as f64);
    verdict.overspend = spent.iter().zip(budgets).map(|(spent, budget)| over(*spent, budget)).sum();
    verdict.cap_excess = constraints.caps().map(|(merchant, cap)| over(exposures[merchant], cap)).sum();
    let guaranteed: Vec<(f64, f64)> = constraints
        .guarantees()
        .map(|(merchant, least)| (least, (least - exposures[merchant] as f64).max(0.0)))
        .collect();
    let (all, missing) = guaranteed.iter().fold((0.0, 0.0), |sums, (least, short)| (sums.0 + least, sums.1 + short));
    let covered = guaranteed.iter().filter(|(least, short)| *short <= 0.01 * least).count();
    verdict.penalised = verdict.value - constraints.shortfall_penalty * missing;
    (verdict.shortfall, verdict.coverage) = match guaranteed.len() {
        0 => (0.0, 100.0),
        count => (100.0 * missing / all, 100.0 * covered as f64 / count as f64),
    };
    verdict
}

fn count(instance: &Instance, choice: Choice, verdict: &mut Verdict, spent: &mut [u64], exposures: &mut [u64]) {
    let request = instance.requests.get(choice.t);
    let Some((request, merchant)) = request.and_then(|one| Some((one, *one.merchants.get(choice.candidate)?))) else {
        verdict.errors.push(format!("request {}: no candidate {}", choice.t, choice.candidate));
        return;
    };
    if !choice.delivered {
        return;
    }
    exposures[merchant] += 1;
    for id in instance.open(&instance.hard[merchant], request.time) {
        spent[id] += 1;
    }
    let mut value = request.value[choice.candidate];
    if let Some(charged) = choice.charged {
        if instance.open(&instance.support[merchant], request.time).any(|id| id == charged) {
            spent[charged] += 1;
            value *= 1.0 + instance.programme(charged).boost;
        } else {
            verdict.errors.push(format!("request {}: programme {charged} charged for {merchant}", choice.t));
        }
    }
    verdict.value += value;
}

/// A number that is whole and not below zero, as an integer.
pub(crate) fn whole(number: f64) -> u64 {
    format!("{:.0}", number.max(0.0)).parse().unwrap_or_default()
}
