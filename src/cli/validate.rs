//! `score validate`: how well scores of earlier days foretold what came after them, as tables.

use serde_json::{Value, json};

use super::client::Target;
use super::error::CliError;
use super::out;
use super::table::{Side, Table};
use super::time::{day_text, parse_facts_day};
use crate::proto::insight_service_client::InsightServiceClient;
use crate::proto::{
    IntervalEstimate, OutcomeValidation, PredictorKind, PredictorValidation, ValidateScoresRequest,
    ValidateScoresResponse,
};

/// Arguments of `score validate`.
#[derive(Debug, clap::Args)]
pub(super) struct ValidateArgs {
    /// First day whose scores are rebuilt
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: String,
    /// No later day is
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: String,
    /// Days from one to the next
    #[arg(long, value_name = "DAYS", default_value = "14d", value_parser = days)]
    every: u32,
    /// Days after each in which outcomes happen
    #[arg(long, value_name = "DAYS", default_value = "30d", value_parser = days)]
    horizon: u32,
    /// Only this outcome of the policy, or `violations`
    #[arg(long, value_name = "ID", default_value = "")]
    outcome: String,
    /// Seed of the draws behind the intervals: the same seed gives the same answer
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How often merchants are drawn again for the intervals
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    resamples: u32,
    /// Most merchants looked at; of more, a sample
    #[arg(long, value_name = "COUNT", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    max_merchants: u32,
}

/// Days, written like `14d` or `14`.
fn days(text: &str) -> Result<u32, String> {
    let days = text.strip_suffix('d').unwrap_or(text).parse().ok().filter(|days| (1..=366).contains(days));
    days.ok_or_else(|| "write 1d to 366d".to_owned())
}

/// Asks and prints.
pub(super) async fn run(args: &ValidateArgs, target: &Target) -> Result<(), CliError> {
    let date = |option: &'static str, text: &str| {
        parse_facts_day(text).map(day_text).map_err(|problem| CliError::argument(option, problem))
    };
    let request = ValidateScoresRequest {
        from_date: date("--from", &args.from)?,
        to_date: date("--to", &args.to)?,
        every_days: args.every,
        horizon_days: args.horizon,
        outcome: args.outcome.clone(),
        seed: args.seed,
        resamples: args.resamples,
        max_merchants: args.max_merchants,
    };
    let answer = InsightServiceClient::new(target.connect().await?).validate_scores(request).await;
    let answer = answer.map_err(CliError::rpc("ValidateScores"))?.into_inner();
    if target.json { out::json(&answer_json(&answer)) } else { out::result(&answer_text(&answer)) }
}

fn answer_text(answer: &ValidateScoresResponse) -> String {
    let mut parts: Vec<String> =
        answer.outcomes.iter().map(|outcome| outcome_text(outcome, answer.horizon_days)).collect();
    if parts.is_empty() {
        parts.push("nothing to measure: no day has merchants with enough of any outcome\n".to_owned());
    }
    let ValidateScoresResponse { sampled_merchants, registered_merchants, resamples, horizon_days, .. } = answer;
    let open = if answer.open_dates.is_empty() {
        String::new()
    } else {
        let dates = answer.open_dates.join(", ");
        format!("left out, since the {horizon_days} days after are not closed: {dates}\n")
    };
    parts.push(format!(
        "{open}{sampled_merchants} of {registered_merchants} merchants, 95 % intervals of {resamples} draws of \
         merchants, profiles as they are now; policy {}, revision {}\n",
        answer.policy_version, answer.revision
    ));
    parts.join("\n")
}

fn outcome_text(outcome: &OutcomeValidation, horizon_days: u32) -> String {
    let OutcomeValidation { id, name, name_zh, .. } = outcome;
    format!(
        "{name} {name_zh} ({id}) in the {horizon_days} days after, {} days\n{}\n{}\n{}",
        outcome.dates.len(),
        dates_text(outcome),
        predictors_text(outcome),
        tiers_text(outcome)
    )
}

/// The three that are compared day by day, under their headings.
fn compared(outcome: &OutcomeValidation) -> Vec<(&'static str, &PredictorValidation)> {
    let of = |kind: PredictorKind| outcome.predictors.iter().find(move |predictor| predictor.kind() == kind);
    let best = outcome.predictors.iter().find(|predictor| is_best(outcome, predictor));
    let three = [
        ("trust", of(PredictorKind::Trust)),
        ("best signal", best),
        ("plain average", of(PredictorKind::PlainAverage)),
    ];
    three.into_iter().filter_map(|(heading, predictor)| Some((heading, predictor?))).collect()
}

fn is_best(outcome: &OutcomeValidation, predictor: &PredictorValidation) -> bool {
    predictor.kind() == PredictorKind::Signal && predictor.id == outcome.best_signal
}

fn dates_text(outcome: &OutcomeValidation) -> String {
    let compared = compared(outcome);
    let mut headings =
        vec![("score of", Side::Left), ("merchants", Side::Right), ("bad", Side::Right), ("average", Side::Right)];
    headings.extend(compared.iter().map(|(heading, _)| (*heading, Side::Right)));
    let mut table = Table::new(&headings);
    for (at, date) in outcome.dates.iter().enumerate() {
        let mut cells = vec![
            date.date.clone(),
            date.merchants.to_string(),
            date.bad_merchants.to_string(),
            format!("{:.3}", date.average_share),
        ];
        let auc = |predictor: &PredictorValidation| predictor.dates.get(at).and_then(|date| date.auc);
        let cell = |predictor| auc(predictor).map_or_else(|| "-".to_owned(), |auc| format!("{auc:.3}"));
        cells.extend(compared.iter().map(|(_, predictor)| cell(predictor)));
        table.row(cells);
    }
    table.text()
}

fn predictors_text(outcome: &OutcomeValidation) -> String {
    let mut table = Table::new(&[
        ("foretold by", Side::Left),
        ("layer", Side::Left),
        ("AUC", Side::Right),
        ("95 %", Side::Left),
        ("trust ahead", Side::Right),
        ("95 %", Side::Left),
    ]);
    let mut predictors: Vec<&PredictorValidation> = outcome.predictors.iter().collect();
    let value = |predictor: &PredictorValidation| predictor.auc.as_ref().map_or(0.0, |auc| auc.value);
    // Sorts of predictors stay together, best first among each.
    let sort = |predictor: &PredictorValidation| match predictor.kind() {
        PredictorKind::Trust | PredictorKind::Unspecified => 0,
        PredictorKind::PlainAverage => 1,
        PredictorKind::Layer => 2,
        PredictorKind::Signal => 3,
    };
    predictors.sort_by(|a, b| sort(a).cmp(&sort(b)).then(value(b).total_cmp(&value(a))));
    for predictor in predictors {
        let (auc, range) = estimate(predictor.auc.as_ref(), "");
        let ahead = predictor.trust_ahead.as_ref().filter(|_| predictor.kind() != PredictorKind::Trust);
        let (ahead, ahead_range) = estimate(ahead, "+");
        let best = if is_best(outcome, predictor) { " *" } else { "" };
        table.row(vec![format!("{}{best}", predictor.id), predictor.layer.clone(), auc, range, ahead, ahead_range]);
    }
    format!("{}* the best single signal; composites are not single\n", table.text())
}

/// A figure and its interval; `sign` is `+` for differences.
fn estimate(estimate: Option<&IntervalEstimate>, sign: &str) -> (String, String) {
    let number = |value: f64| if sign.is_empty() { format!("{value:.3}") } else { format!("{value:+.3}") };
    estimate.map_or_else(Default::default, |found| {
        (number(found.value), format!("{} to {}", number(found.low), number(found.high)))
    })
}

fn tiers_text(outcome: &OutcomeValidation) -> String {
    let mut table = Table::new(&[
        ("tier", Side::Left),
        ("merchant-days", Side::Right),
        ("bad share", Side::Right),
        ("worse than average", Side::Right),
    ]);
    for tier in &outcome.tiers {
        let share = |part: u64| match u32::try_from(part).ok().zip(u32::try_from(tier.merchants).ok()) {
            Some((part, whole)) if whole > 0 => format!("{:.3}", f64::from(part) / f64::from(whole)),
            _ => "-".to_owned(),
        };
        let mean = if tier.merchants == 0 { "-".to_owned() } else { format!("{:.3}", tier.mean_share) };
        table.row(vec![tier.tier.clone(), tier.merchants.to_string(), mean, share(tier.bad_merchants)]);
    }
    table.text()
}

fn answer_json(answer: &ValidateScoresResponse) -> Value {
    json!({
        "policy_version": answer.policy_version, "revision": answer.revision,
        "registered_merchants": answer.registered_merchants, "sampled_merchants": answer.sampled_merchants,
        "horizon_days": answer.horizon_days, "resamples": answer.resamples, "open_dates": answer.open_dates,
        "outcomes": answer.outcomes.iter().map(outcome_json).collect::<Vec<_>>(),
    })
}

fn outcome_json(outcome: &OutcomeValidation) -> Value {
    let dates = outcome.dates.iter().map(|date| {
        json!({
            "date": date.date, "merchants": date.merchants, "bad_merchants": date.bad_merchants,
            "average_share": date.average_share,
        })
    });
    let tiers = outcome.tiers.iter().map(|tier| {
        json!({
            "tier": tier.tier, "merchants": tier.merchants, "bad_merchants": tier.bad_merchants,
            "mean_share": tier.mean_share,
        })
    });
    let predictors = outcome.predictors.iter().map(|predictor| {
        let dates = predictor.dates.iter().map(|date| json!({"merchants": date.merchants, "auc": date.auc}));
        json!({
            "kind": kind_word(predictor.kind()), "id": predictor.id, "layer": predictor.layer, "name": predictor.name,
            "dates": dates.collect::<Vec<_>>(), "auc": predictor.auc.as_ref().map(estimate_json),
            "trust_ahead": predictor.trust_ahead.as_ref().map(estimate_json),
        })
    });
    json!({
        "id": outcome.id, "name": outcome.name, "name_zh": outcome.name_zh, "best_signal": outcome.best_signal,
        "dates": dates.collect::<Vec<_>>(), "predictors": predictors.collect::<Vec<_>>(),
        "tiers": tiers.collect::<Vec<_>>(),
    })
}

fn estimate_json(estimate: &IntervalEstimate) -> Value {
    json!({"value": estimate.value, "low": estimate.low, "high": estimate.high})
}

fn kind_word(kind: PredictorKind) -> &'static str {
    match kind {
        PredictorKind::Unspecified => "unspecified",
        PredictorKind::Trust => "trust",
        PredictorKind::Layer => "layer",
        PredictorKind::Signal => "signal",
        PredictorKind::PlainAverage => "plain_average",
    }
}

#[cfg(test)]
mod tests {
    use super::{answer_json, answer_text, days};
    use crate::proto::{
        DateAuc, DateValidation, IntervalEstimate, OutcomeValidation, PredictorKind, PredictorValidation,
        TierCalibration, ValidateScoresResponse,
    };

    fn predictor(kind: PredictorKind, id: &str, auc: f64) -> PredictorValidation {
        PredictorValidation {
            kind: kind.into(),
            id: id.to_owned(),
            dates: vec![DateAuc { merchants: 300, auc: Some(auc) }, DateAuc { merchants: 2, auc: None }],
            auc: Some(IntervalEstimate { value: auc, low: auc - 0.03, high: auc + 0.03 }),
            trust_ahead: Some(IntervalEstimate { value: 0.7 - auc, low: -0.01, high: 0.05 }),
            ..PredictorValidation::default()
        }
    }

    fn answer() -> ValidateScoresResponse {
        let date = |date: &str| DateValidation {
            date: date.to_owned(),
            merchants: 300,
            bad_merchants: 90,
            average_share: 0.21,
        };
        let outcome = OutcomeValidation {
            id: "bad_orders".to_owned(),
            name: "Bad orders".to_owned(),
            name_zh: "不良订单".to_owned(),
            dates: vec![date("2018-01-15"), date("2018-01-29")],
            predictors: vec![
                predictor(PredictorKind::Trust, "trust", 0.7),
                predictor(PredictorKind::Signal, "stars", 0.61),
                predictor(PredictorKind::Signal, "late", 0.65),
            ],
            best_signal: "late".to_owned(),
            tiers: vec![TierCalibration { tier: "watch".to_owned(), merchants: 4, bad_merchants: 3, mean_share: 0.5 }],
        };
        ValidateScoresResponse {
            outcomes: vec![outcome],
            open_dates: vec!["2018-09-01".to_owned()],
            ..Default::default()
        }
    }

    #[test]
    fn the_score_stands_beside_the_best_signal() {
        let text = answer_text(&answer());
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
        assert!(line("2018-01-15").ends_with("0.700        0.650"), "{text}");
        assert!(line("2018-01-29").ends_with("-            -"), "{text}");
        assert!(line("late *").contains("+0.050"), "{text}");
        assert!(text.find("late *") < text.find("stars"), "best first: {text}");
        assert!(line("watch").ends_with("0.750"), "{text}");
        assert!(text.contains("2018-09-01"), "{text}");
        assert!(answer_text(&ValidateScoresResponse::default()).starts_with("nothing to measure"));
    }

    #[test]
    fn json_has_everything() {
        let json = answer_json(&answer());
        assert_eq!(json["outcomes"][0]["predictors"][2]["id"], "late");
        assert_eq!(json["outcomes"][0]["predictors"][0]["dates"][1]["auc"], serde_json::Value::Null);
        assert_eq!(json["outcomes"][0]["tiers"][0]["bad_merchants"], 3);
    }

    #[test]
    fn days_are_written_with_or_without_a_d() {
        assert_eq!((days("14d"), days("30")), (Ok(14), Ok(30)));
        for wrong in ["0d", "367", "d", "2w", ""] {
            assert!(days(wrong).is_err(), "{wrong}");
        }
    }
}
