//! Validation: `ValidateScores` ⇄ the engine's query and findings.

use tonic::Status;

use super::facts::check_day;
use super::time::date;
use super::validate::Fields;
use crate::engine::{
    Calibration, DateValidation, Estimate, OutcomeValidation, PredictorKind, PredictorValidation, Validation,
    ValidationQuery,
};
use crate::policy::Policy;
use crate::proto;
use crate::trust::validation::VIOLATIONS;

/// Most days of one validation: each keeps a ranking per signal.
const MAX_DATES: i32 = 120;
/// Most days between two days, and after one.
const MAX_STEP: u32 = 366;
const MAX_RESAMPLES: u32 = 2_000;
const MAX_MERCHANTS: u32 = 200_000;
/// Most merchants times days: each is remembered with every signal, in about a kilobyte.
const MAX_SCORED: u32 = 1_000_000;

/// Days, horizon, outcome and effort of a `ValidateScores`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn validation_query(policy: &Policy, request: &proto::ValidateScoresRequest) -> Result<ValidationQuery, Status> {
    let mut fields = Fields::default();
    let from = date(&mut fields, "from_date", &request.from_date);
    let to = date(&mut fields, "to_date", &request.to_date);
    check_day(&mut fields, "from_date", from);
    let mut days = |field: &str, given: u32, default: u16| {
        fields.check(given <= MAX_STEP, field, "must be at most 366");
        if given == 0 { default } else { u16::try_from(given).unwrap_or(u16::MAX) }
    };
    let every_days = days("every_days", request.every_days, 14);
    let horizon_days = days("horizon_days", request.horizon_days, 30);
    let span = to.days_since(from);
    fields.check(span >= 0, "to_date", "must not be before from_date");
    fields.check(span / i32::from(every_days.max(1)) < MAX_DATES, "to_date", "must make at most 120 days in all");
    fields.check(request.resamples <= MAX_RESAMPLES, "resamples", "must be at most 2000");
    fields.check(request.max_merchants <= MAX_MERCHANTS, "max_merchants", "must be at most 200000");
    let known = policy.validation.outcomes.iter().map(|outcome| outcome.id.as_str()).chain([VIOLATIONS]);
    let known: Vec<&str> = known.collect();
    if !request.outcome.is_empty() && !known.contains(&request.outcome.as_str()) {
        fields.wrong("outcome", format!("must be empty or one of {}", known.join(", ")));
    }
    fields.finish()?;
    let or = |given: u32, default: u32| if given == 0 { default } else { given };
    let dates = u32::try_from(span / i32::from(every_days.max(1))).unwrap_or(0).saturating_add(1);
    Ok(ValidationQuery {
        from,
        to,
        every_days,
        horizon_days,
        outcome: Some(request.outcome.clone()).filter(|outcome| !outcome.is_empty()),
        seed: request.seed,
        resamples: u16::try_from(or(request.resamples, 200)).unwrap_or(u16::MAX),
        // The answer says how many were sampled.
        max_merchants: or(request.max_merchants, 20_000).min(MAX_SCORED / dates),
    })
}

/// The answer of a `ValidateScores`.
#[must_use]
pub fn validation_response(query: &ValidationQuery, found: &Validation) -> proto::ValidateScoresResponse {
    proto::ValidateScoresResponse {
        policy_version: found.policy.version,
        revision: found.revision,
        registered_merchants: found.registered,
        sampled_merchants: found.sampled,
        horizon_days: query.horizon_days.into(),
        resamples: query.resamples.into(),
        open_dates: found.open_days.iter().map(ToString::to_string).collect(),
        outcomes: found.outcomes.iter().map(|outcome| outcome_message(&found.policy, outcome)).collect(),
    }
}

fn outcome_message(policy: &Policy, outcome: &OutcomeValidation) -> proto::OutcomeValidation {
    let best = outcome.best_single.and_then(|at| outcome.predictors.get(at));
    proto::OutcomeValidation {
        id: outcome.id.clone(),
        name: outcome.name.clone(),
        name_zh: outcome.name_zh.clone(),
        dates: outcome.dates.iter().map(date_message).collect(),
        predictors: outcome.predictors.iter().map(|predictor| predictor_message(policy, predictor)).collect(),
        best_signal: best.map(|predictor| predictor.predictor.id.clone()).unwrap_or_default(),
        tiers: outcome.tiers.iter().map(tier_message).collect(),
    }
}

fn date_message(date: &DateValidation) -> proto::DateValidation {
    proto::DateValidation {
        date: date.day.to_string(),
        merchants: date.merchants,
        bad_merchants: date.bad,
        average_share: date.average,
    }
}

fn predictor_message(policy: &Policy, found: &PredictorValidation) -> proto::PredictorValidation {
    use proto::PredictorKind as Wire;
    let (kind, layer, name) = match found.predictor.kind {
        PredictorKind::Trust => (Wire::Trust, "", ""),
        PredictorKind::PlainAverage => (Wire::PlainAverage, "", ""),
        PredictorKind::Layer(_) => (Wire::Layer, "", ""),
        PredictorKind::Signal(at) => match policy.model.signals.get(at) {
            Some(signal) => (Wire::Signal, signal.layer.name(), signal.name.as_str()),
            None => (Wire::Signal, "", ""),
        },
    };
    let dates = found.dates.iter().map(|(merchants, auc)| proto::DateAuc { merchants: *merchants, auc: *auc });
    proto::PredictorValidation {
        kind: kind.into(),
        id: found.predictor.id.clone(),
        layer: layer.to_owned(),
        name: name.to_owned(),
        dates: dates.collect(),
        auc: found.auc.map(estimate_message),
        trust_ahead: found.trust_ahead.map(estimate_message),
    }
}

fn estimate_message(estimate: Estimate) -> proto::IntervalEstimate {
    proto::IntervalEstimate { value: estimate.value, low: estimate.low, high: estimate.high }
}

fn tier_message(tier: &Calibration) -> proto::TierCalibration {
    proto::TierCalibration {
        tier: tier.tier.clone(),
        merchants: tier.merchants,
        bad_merchants: tier.bad,
        mean_share: tier.mean_share,
    }
}
