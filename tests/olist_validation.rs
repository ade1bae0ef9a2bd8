//! Weights that are earned: on a real marketplace, imported by the real command line, the shipped policy's score
//! foretells bad orders better than the best single metric and no worse than the plain average of three. Runs where the
//! shared data lies beside the crate.
#![allow(clippy::indexing_slicing, reason = "a wrong index fails the test, as it should")]

mod common;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use common::process::{Process, finish_within, program};
use trustflow::proto::{
    IntervalEstimate, OutcomeValidation, PredictorKind, PredictorValidation, ValidateScoresRequest,
};

/// An import of everything, in a debug build on a busy machine.
const LONG: Duration = Duration::from_secs(240);
/// The day from which all of the marketplace is known.
const NOW: &str = "2018-10-20";
/// What the issue calls the best single metric: late hand-over over 90 days, shrunk with 10 orders.
const LATE_HANDOVER: &str = "timely_shipping_90d";

fn items() -> Option<PathBuf> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/olist/olist_items.jsonl.gz");
    if file.exists() {
        return Some(file);
    }
    eprintln!("skipped: no ../shared/data/olist beside the crate");
    None
}

fn predictor<'a>(outcome: &'a OutcomeValidation, kind: PredictorKind, id: &str) -> &'a PredictorValidation {
    let found = outcome.predictors.iter().find(|found| found.kind() == kind && found.id == id);
    found.expect(id)
}

fn ahead(outcome: &OutcomeValidation, kind: PredictorKind, id: &str) -> IntervalEstimate {
    predictor(outcome, kind, id).trust_ahead.expect("a difference")
}

/// Prints the score, the metric and the average day by day, and how far the score is ahead.
fn print(outcome: &OutcomeValidation) {
    let three = [
        predictor(outcome, PredictorKind::Trust, "trust"),
        predictor(outcome, PredictorKind::Signal, LATE_HANDOVER),
        predictor(outcome, PredictorKind::PlainAverage, "plain_average"),
    ];
    for (at, date) in outcome.dates.iter().enumerate() {
        let aucs = three.map(|found| found.dates[at].auc.map_or("-".to_owned(), |auc| format!("{auc:.3}")));
        eprintln!("{}  {:>3} of {:>3}  {}", date.date, date.bad_merchants, date.merchants, aucs.join("  "));
    }
    for found in three {
        let (auc, ahead) = (found.auc.expect("an AUC"), found.trust_ahead.expect("a difference"));
        eprintln!(
            "{:<20} {:.3}  trust ahead {:+.3} ({:+.3} to {:+.3})",
            found.id, auc.value, ahead.value, ahead.low, ahead.high
        );
    }
}

#[tokio::test]
async fn the_score_foretells_bad_orders_better_than_any_single_metric() {
    let Some(items) = items() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let server = Process::simulated(&folder.path().join("data"), &format!("{NOW}T07:00:00+08:00"));
    let file = items.display().to_string();
    let import = ["orders", "import", &file, "--as-of", NOW, "--server", &server.url()];
    let child = program(&import).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let output = tokio::task::spawn_blocking(|| finish_within(child, LONG)).await.expect("no panic");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let client = server.client().await;
    // Every fortnight, the year before alone, the year after alone, and every third week from another weekday.
    let runs = [
        ("2017-10-02", "2018-07-09", 14, 21),
        ("2017-09-04", "2017-12-25", 14, 9),
        ("2018-01-08", "2018-07-09", 14, 14),
        ("2017-10-12", "2018-07-15", 21, 14),
    ];
    for (from, to, every_days, dates) in runs {
        let request = ValidateScoresRequest {
            from_date: from.to_owned(),
            to_date: to.to_owned(),
            every_days,
            outcome: "bad_orders".to_owned(),
            ..ValidateScoresRequest::default()
        };
        let answer = client.insight.clone().validate_scores(request).await.expect("validated").into_inner();
        let [outcome] = answer.outcomes.as_slice() else { panic!("one outcome: {answer:?}") };
        eprintln!("{from} to {to}");
        print(outcome);
        assert_eq!((outcome.dates.len(), answer.sampled_merchants), (dates, 3_095));
        assert!(outcome.dates.iter().all(|date| (150..500).contains(&date.merchants)), "{:?}", outcome.dates);
        let metric = ahead(outcome, PredictorKind::Signal, LATE_HANDOVER);
        assert!(metric.value > 0.0 && metric.low > -0.01, "{metric:?}");
        // The best signal was chosen with hindsight, and so half of a year may be kind to it.
        let best = ahead(outcome, PredictorKind::Signal, &outcome.best_signal);
        assert!(best.value > 0.0 && best.low > if dates < 10 { -0.02 } else { -0.01 }, "{best:?}");
        let average = ahead(outcome, PredictorKind::PlainAverage, "plain_average");
        assert!(average.value >= 0.0, "{average:?}");
        // Calibration: the higher the tier, the fewer bad orders.
        let shares: Vec<f64> = outcome.tiers.iter().filter(|t| t.merchants >= 10).map(|t| t.mean_share).collect();
        assert!(shares.len() >= 3 && shares.is_sorted_by(|low, high| low > high), "{:?}", outcome.tiers);
    }
    server.stop().await;
}
