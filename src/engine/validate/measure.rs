//! How well what was foretold agrees with what came after.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::as_of::{Scored, ScoredDay};
use super::{
    Calibration, DateValidation, Estimate, Followed, OutcomeValidation, Predictor, PredictorKind, PredictorValidation,
    ValidationQuery,
};
use crate::domain::{Day, Wanted, count_to_f64};
use crate::policy::Policy;
use crate::trust::validation::{Ranking, VIOLATIONS, interval, mean, z_scores};
use crate::trust::{Layer, SignalKind};

/// Least bad and least good merchants of a day that is measured.
const LEAST_OF_A_SORT: usize = 5;

/// Measures each outcome.
pub(super) fn measure(
    policy: &Policy,
    query: &ValidationQuery,
    days: &[Day],
    followed: &[Followed],
    scored: &[ScoredDay],
    wanted: &Wanted,
) -> Vec<OutcomeValidation> {
    followed.iter().filter_map(|followed| measure_outcome(policy, query, days, followed, scored, wanted)).collect()
}

/// One merchant on one day: its position, what was foretold, what came.
struct Case<'a> {
    merchant: u32,
    scored: &'a Scored,
    is_bad: bool,
    share: f64,
}

/// The merchants of a day, and their order by each predictor. Members of rankings are positions in `cases`.
struct DayCases<'a> {
    cases: Vec<Case<'a>>,
    /// Whether there are enough of both sorts: a day with one bad merchant is a toss.
    is_measured: bool,
    rankings: Vec<Ranking>,
}

fn measure_outcome(
    policy: &Policy,
    query: &ValidationQuery,
    days: &[Day],
    followed: &Followed,
    scored: &[ScoredDay],
    wanted: &Wanted,
) -> Option<OutcomeValidation> {
    let predictors = predictors(policy);
    let by_day: Vec<DayCases> = followed
        .days
        .iter()
        .zip(scored)
        .map(|(judged, scored)| {
            let cases = cases(judged, scored, followed.outcome.is_none());
            let ranked = predictors.iter().take_while(|_| !wanted.is_over());
            let rankings = ranked.map(|predictor| rank(policy, predictor, &cases)).collect();
            let bad = cases.iter().filter(|case| case.is_bad).count();
            DayCases { is_measured: bad.min(cases.len() - bad) >= LEAST_OF_A_SORT, cases, rankings }
        })
        .collect();
    let dates = by_day.iter().zip(days).zip(&followed.averages).map(|((day_cases, day), average)| {
        let bad = count(day_cases.cases.iter().filter(|case| case.is_bad).count());
        let merchants = count(day_cases.cases.len());
        let is_share = followed.outcome.is_some() || merchants == 0;
        let average = if is_share { *average } else { count_to_f64(bad) / count_to_f64(merchants) };
        DateValidation { day: *day, merchants, bad, average }
    });
    let dates: Vec<DateValidation> = dates.collect();
    let drawn = resample(&by_day, query, wanted);
    let predictors = compare(predictors, &by_day, &drawn, wanted);
    let best_single = best(policy, &predictors);
    let outcome = followed.outcome.and_then(|position| policy.validation.outcomes.get(position));
    let (id, name, name_zh) = outcome.map_or((VIOLATIONS, "Violations", "违规"), |o| (&o.id, &o.name, &o.name_zh));
    dates.iter().any(|date| date.merchants > 0).then(|| OutcomeValidation {
        id: id.to_owned(),
        name: name.to_owned(),
        name_zh: name_zh.to_owned(),
        dates,
        predictors,
        best_single,
        tiers: tiers(policy, &by_day),
    })
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// The merchants of a day whom something was foretold of.
fn cases<'a>(judged: &[(u32, bool, f64)], scored: &'a ScoredDay, need_facts: bool) -> Vec<Case<'a>> {
    let case = |(merchant, is_bad, share): &(u32, bool, f64)| {
        let scored = scored.get(merchant).filter(|scored| scored.has_facts || !need_facts)?;
        Some(Case { merchant: *merchant, scored, is_bad: *is_bad, share: *share })
    };
    judged.iter().filter_map(case).collect()
}

fn predictors(policy: &Policy) -> Vec<Predictor> {
    let named = |kind, id: &str| Predictor { kind, id: id.to_owned() };
    let layers = Layer::ALL.into_iter().map(|layer| named(PredictorKind::Layer(layer), layer.name()));
    let signals = policy.model.signals.iter().enumerate();
    let signals = signals.map(|(position, signal)| named(PredictorKind::Signal(position), &signal.id));
    let average =
        (!policy.validation.plain_average.is_empty()).then(|| named(PredictorKind::PlainAverage, "plain_average"));
    std::iter::once(named(PredictorKind::Trust, "trust")).chain(average).chain(layers).chain(signals).collect()
}

fn rank(policy: &Policy, predictor: &Predictor, cases: &[Case]) -> Ranking {
    let signal = |case: &Case, at: usize| case.scored.signals.get(at).copied().flatten().map(f64::from);
    let values: Vec<Option<f64>> = match predictor.kind {
        PredictorKind::Trust => cases.iter().map(|case| Some(case.scored.trust)).collect(),
        PredictorKind::Layer(layer) => {
            cases.iter().map(|case| case.scored.layers.get(layer.index()).copied()).collect()
        }
        PredictorKind::Signal(at) => cases.iter().map(|case| signal(case, at)).collect(),
        PredictorKind::PlainAverage => {
            let mut sums = vec![0.0; cases.len()];
            for at in &policy.validation.plain_average {
                let column: Vec<Option<f64>> = cases.iter().map(|case| signal(case, usize::from(*at))).collect();
                sums.iter_mut().zip(z_scores(&column)).for_each(|(sum, z)| *sum += z);
            }
            sums.into_iter().map(Some).collect()
        }
    };
    Ranking::new((0_u32..).zip(values).filter_map(|(case, value)| Some((case, value?))).collect())
}

/// How often each merchant was drawn, by position, for each resample. Merchants are drawn and not cases, so that all
/// days of a merchant come or go together: days of one merchant resemble each other.
fn resample(by_day: &[DayCases], query: &ValidationQuery, wanted: &Wanted) -> Vec<Vec<u16>> {
    let mut merchants: Vec<u32> = by_day.iter().flat_map(|day| day.cases.iter().map(|case| case.merchant)).collect();
    merchants.sort_unstable();
    merchants.dedup();
    let positions = merchants.last().and_then(|last| usize::try_from(*last).ok()).map_or(0, |last| last + 1);
    let mut random = ChaCha8Rng::seed_from_u64(query.seed);
    let mut draw = || {
        let mut times = vec![0_u16; positions];
        for _ in &merchants {
            let product = u128::from(random.next_u64()) * u128::from(count(merchants.len()));
            let merchant = usize::try_from(product >> 64).ok().and_then(|at| merchants.get(at));
            let merchant = merchant.and_then(|merchant| usize::try_from(*merchant).ok());
            if let Some(times) = merchant.and_then(|merchant| times.get_mut(merchant)) {
                *times = times.saturating_add(1);
            }
        }
        times
    };
    (0..query.resamples).take_while(|_| !wanted.is_over()).map(|_| draw()).collect()
}

/// The AUCs of a ranking by day; with `times`, of the merchants drawn.
fn aucs(at: usize, by_day: &[DayCases], times: Option<&[u16]>) -> Vec<Option<f64>> {
    let by_day = by_day.iter().map(|day| {
        let look = |case: u32| {
            let case = usize::try_from(case).ok().and_then(|case| day.cases.get(case));
            let Some(case) = case else { return (false, 0.0) };
            let merchant = usize::try_from(case.merchant).unwrap_or(usize::MAX);
            let drawn = times.map_or(1, |times| times.get(merchant).copied().unwrap_or(0));
            (case.is_bad, f64::from(drawn))
        };
        day.rankings.get(at).filter(|_| day.is_measured).and_then(|ranking| ranking.auc(look))
    });
    by_day.collect()
}

fn mean_of(aucs: &[Option<f64>]) -> Option<f64> {
    mean(&aucs.iter().flatten().copied().collect::<Vec<_>>())
}

/// Mean over the days on which both are known of how far one is ahead.
fn ahead(one: &[Option<f64>], other: &[Option<f64>]) -> Option<f64> {
    let both = one.iter().zip(other).filter_map(|(one, other)| Some((*one)? - (*other)?));
    mean(&both.collect::<Vec<_>>())
}

fn compare(
    predictors: Vec<Predictor>,
    by_day: &[DayCases],
    drawn: &[Vec<u16>],
    wanted: &Wanted,
) -> Vec<PredictorValidation> {
    let redrawn = |at: usize| -> Vec<Vec<Option<f64>>> {
        drawn.iter().take_while(|_| !wanted.is_over()).map(|times| aucs(at, by_day, Some(times))).collect()
    };
    // The trust score is the first predictor.
    let trust = aucs(0, by_day, None);
    let trust_drawn = redrawn(0);
    let mut compared = Vec::new();
    for (at, predictor) in predictors.into_iter().enumerate().take_while(|_| !wanted.is_over()) {
        let plain = aucs(at, by_day, None);
        // Signals that took no part on any day have nothing to compare, those that said the same of all neither.
        let is_flat = by_day.iter().all(|day| day.rankings.get(at).is_none_or(Ranking::is_flat));
        let Some(auc) = mean_of(&plain).filter(|_| !is_flat || at == 0) else { continue };
        let redrawn = redrawn(at);
        let estimate = |value: f64, drawn: Vec<f64>| {
            let (low, high) = interval(drawn).unwrap_or((value, value));
            Estimate { value, low, high }
        };
        let ahead_drawn = trust_drawn.iter().zip(&redrawn).filter_map(|(trust, other)| ahead(trust, other)).collect();
        let ranked = by_day.iter().map(|day| day.rankings.get(at).map_or(0, |ranking| count(ranking.len())));
        compared.push(PredictorValidation {
            dates: ranked.zip(&plain).map(|(ranked, auc)| (ranked, *auc)).collect(),
            auc: Some(estimate(auc, redrawn.iter().filter_map(|drawn| mean_of(drawn)).collect())),
            trust_ahead: ahead(&trust, &plain).map(|value| estimate(value, ahead_drawn)),
            predictor,
        });
    }
    compared
}

/// The signal with the highest mean AUC. Composites are averages already, not single metrics.
fn best(policy: &Policy, predictors: &[PredictorValidation]) -> Option<usize> {
    let single = |predictor: &PredictorValidation| match predictor.predictor.kind {
        PredictorKind::Signal(at) => {
            policy.model.signals.get(at).is_some_and(|signal| !matches!(signal.kind, SignalKind::Composite { .. }))
        }
        PredictorKind::Trust | PredictorKind::Layer(_) | PredictorKind::PlainAverage => false,
    };
    let aucs = predictors.iter().enumerate().filter(|(_, predictor)| single(predictor));
    let aucs = aucs.filter_map(|(at, predictor)| Some((at, predictor.auc?.value)));
    aucs.max_by(|one, other| one.1.total_cmp(&other.1).then(other.0.cmp(&one.0))).map(|(at, _)| at)
}

fn tiers(policy: &Policy, by_day: &[DayCases]) -> Vec<Calibration> {
    let tier = |(position, tier): (usize, &crate::trust::Tier)| {
        let cases = || by_day.iter().flat_map(|day| &day.cases).filter(move |case| case.scored.tier == position);
        let shares: Vec<f64> = cases().map(|case| case.share).collect();
        Calibration {
            tier: tier.id.clone(),
            merchants: count(shares.len()),
            bad: count(cases().filter(|case| case.is_bad).count()),
            mean_share: mean(&shares).unwrap_or(0.0),
        }
    };
    policy.model.tiers.iter().enumerate().map(tier).collect()
}
