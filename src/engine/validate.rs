//! Validation: scores of earlier days, rebuilt from the stored history, against what happened after them.
//!
//! The history is read from one snapshot, off the state's lock, so that the server keeps serving and writing. It is
//! swept twice from the first day to the last: once for what came after each day (`outcomes`), once with sliding
//! windows for the scores as of each day (`as_of`). `measure` then compares the two.

mod as_of;
mod measure;
mod outcomes;

use std::collections::HashMap;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Engine;
use super::error::ReadError;
use crate::domain::{Day, HeldRight, Merchant, MerchantId, Violation, Wanted};
use crate::policy::Policy;
use crate::trust::Layer;

pub(super) use outcomes::Followed;

/// Merchants copied under the state's lock at a time: short enough that the writer hardly waits.
const SLOTS_AT_ONCE: u32 = 4_096;

/// Which days, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationQuery {
    /// First day whose scores are rebuilt.
    pub from: Day,
    /// No later day is.
    pub to: Day,
    /// Days from one to the next.
    pub every_days: u16,
    /// Days after each in which its outcomes happen.
    pub horizon_days: u16,
    /// Only this outcome; none means all.
    pub outcome: Option<String>,
    /// Seed of resampling, and of the sample of merchants.
    pub seed: u64,
    /// How often merchants are drawn again for intervals.
    pub resamples: u16,
    /// Most merchants looked at; of more, a sample by hash.
    pub max_merchants: u32,
}

/// What a validation found.
#[derive(Clone, Debug)]
pub struct Validation {
    /// Revision read at.
    pub revision: u64,
    /// The policy scored with.
    pub policy: Arc<Policy>,
    /// Merchants registered.
    pub registered: u64,
    /// Merchants looked at.
    pub sampled: u64,
    /// Days measured, ascending.
    pub days: Vec<Day>,
    /// Days left out because their horizon is not closed yet.
    pub open_days: Vec<Day>,
    /// By outcome, in policy order, `violations` last. Outcomes that nothing was counted for are left out.
    pub outcomes: Vec<OutcomeValidation>,
}

/// How well an outcome was foretold.
#[derive(Clone, Debug)]
pub struct OutcomeValidation {
    /// Id of the outcome.
    pub id: String,
    /// English name.
    pub name: String,
    /// Chinese name.
    pub name_zh: String,
    /// Day by day.
    pub dates: Vec<DateValidation>,
    /// The score, the plain average, the layers, the signals; without those that said the same of all merchants.
    pub predictors: Vec<PredictorValidation>,
    /// Position of the signal that foretold best.
    pub best_single: Option<usize>,
    /// By tier, lowest first.
    pub tiers: Vec<Calibration>,
}

/// One day of an outcome.
#[derive(Clone, Copy, Debug)]
pub struct DateValidation {
    /// The last closed day of the scores.
    pub day: Day,
    /// Merchants compared.
    pub merchants: u64,
    /// Of these, worse than the average.
    pub bad: u64,
    /// The average share of bad things.
    pub average: f64,
}

/// What foretells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predictor {
    /// What sort.
    pub kind: PredictorKind,
    /// Id of the layer or signal, else the name of the kind.
    pub id: String,
}

/// Sorts of predictors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredictorKind {
    /// The trust score.
    Trust,
    /// A layer.
    Layer(Layer),
    /// A signal by its smoothed figure, by position in the policy.
    Signal(usize),
    /// The average of the z-scores of the policy's `plain_average`.
    PlainAverage,
}

/// How well one predictor foretold.
#[derive(Clone, Debug)]
pub struct PredictorValidation {
    /// Which.
    pub predictor: Predictor,
    /// By day: merchants it said something of, and its AUC where there were enough bad and good ones.
    pub dates: Vec<(u64, Option<f64>)>,
    /// Mean AUC over the days.
    pub auc: Option<Estimate>,
    /// Mean over the days of the trust score's AUC less this one's, of the same merchants drawn.
    pub trust_ahead: Option<Estimate>,
}

/// A figure with a 95 % interval over merchants drawn again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// 2.5 % of resamples lie below.
    pub low: f64,
    /// 2.5 % of resamples lie above.
    pub high: f64,
}

/// What became of the merchants of a tier, over all days.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// Id of the tier.
    pub tier: String,
    /// Merchants, counted once a day.
    pub merchants: u64,
    /// Of these, worse than the average of their day.
    pub bad: u64,
    /// Mean over the merchants of their share of bad things.
    pub mean_share: f64,
}

/// A merchant whose history is looked at: what the state knows of it now.
struct Member {
    merchant: Merchant,
    rights: Vec<HeldRight>,
    violations: Vec<Violation>,
}

/// The merchants looked at, with positions by id.
#[derive(Default)]
struct Members {
    list: Vec<Member>,
    by_id: HashMap<MerchantId, u32, foldhash::fast::FixedState>,
}

impl Members {
    fn position(&self, id: MerchantId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }
}

impl Engine {
    /// Rebuilds scores of earlier days and measures them by what came after. Reads the whole history: not for a path
    /// that somebody waits on. Ends soon after it is not wanted any more.
    ///
    /// # Errors
    /// When stored facts cannot be read, or the validation is not wanted any more.
    pub fn validate(&self, query: &ValidationQuery, wanted: &Wanted) -> Result<Validation, ReadError> {
        let (policy, facts_day, registered) =
            self.read(|state| (state.policy().clone(), state.facts_day(), state.merchant_count()));
        let members = self.members(query, registered, wanted);
        // After the members: what is read of them is at least as new.
        let (revision, snapshot) = (self.hot.revision(), self.store.snapshot());
        let (days, open_days) = days(query, facts_day);
        let failed = |error: crate::store::StoreError| ReadError::Store(error.to_string());
        let outcomes = policy.validation.outcomes.iter().map(|outcome| outcome.id.as_str());
        let asked = outcomes.map(|id| query.outcome.as_deref().is_none_or(|only| only == id)).collect::<Vec<_>>();
        let followed = outcomes::follow(&snapshot, &members, (&policy, &asked), (&days, query), wanted);
        let followed = followed.map_err(failed)?;
        let scored = as_of::score_days(&snapshot, &members, &policy, &days, &followed, wanted).map_err(failed)?;
        let outcomes = measure::measure(&policy, query, &days, &followed, &scored, wanted);
        // What was left in the middle is no answer.
        if wanted.is_over() {
            return Err(ReadError::Abandoned);
        }
        let sampled = u64::try_from(members.list.len()).unwrap_or(u64::MAX);
        let registered = u64::try_from(registered).unwrap_or(u64::MAX);
        Ok(Validation { revision, policy, registered, sampled, days, open_days, outcomes })
    }

    /// Copies the merchants to look at, a few at a time.
    fn members(&self, query: &ValidationQuery, registered: usize, wanted: &Wanted) -> Members {
        let limit = sample_limit(query.max_merchants, registered);
        let mut members = Members::default();
        let mut first: u32 = 0;
        loop {
            let last = first.saturating_add(SLOTS_AT_ONCE);
            let is_end = self.read(|state| {
                for slot in first..last {
                    let Some(entry) = state.entry(slot) else { return true };
                    let Some(merchant) = &entry.profile else { continue };
                    if xxh3_64_with_seed(&entry.id.0.to_le_bytes(), query.seed) > limit {
                        continue;
                    }
                    let position = u32::try_from(members.list.len()).unwrap_or(u32::MAX);
                    members.by_id.insert(entry.id, position);
                    members.list.push(Member {
                        merchant: merchant.clone(),
                        rights: entry.rights.clone(),
                        violations: entry.violations.clone(),
                    });
                }
                false
            });
            if is_end || last == u32::MAX || wanted.is_over() {
                return members;
            }
            first = last;
        }
    }
}

/// The highest hash that is in the sample.
fn sample_limit(max_merchants: u32, registered: usize) -> u64 {
    let registered = u128::try_from(registered).unwrap_or(u128::MAX);
    if registered <= u128::from(max_merchants) {
        return u64::MAX;
    }
    u64::try_from(u128::from(u64::MAX) * u128::from(max_merchants) / registered).unwrap_or(u64::MAX)
}

/// The days asked for: those whose horizon is closed, and the others.
fn days(query: &ValidationQuery, facts_day: Day) -> (Vec<Day>, Vec<Day>) {
    let mut days = Vec::new();
    let mut day = query.from;
    while day <= query.to {
        days.push(day);
        day = day.plus(i32::from(query.every_days.max(1)));
    }
    let is_closed = |day: &Day| day.plus(i32::from(query.horizon_days)) <= facts_day;
    days.into_iter().partition(is_closed)
}

#[cfg(test)]
mod tests;
