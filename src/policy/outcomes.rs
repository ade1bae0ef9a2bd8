//! Outcomes: what scores are measured by, from `[[outcome]]` tables.

use super::checks::{at_most, too_many_names, unique};
use super::counters::Counters;
use super::problem::{Report, did_you_mean};
use super::spanned::Spanned;
use crate::domain::CounterId;
use crate::trust::validation::{Outcome, VIOLATIONS, ValidationRules};
use schemars::JsonSchema;
use serde::Deserialize;

/// Most outcomes of a policy: each is counted for every merchant and day of a validation.
const MAX_OUTCOMES: usize = 16;

/// An outcome (结果): what went wrong with a merchant's orders after a score.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OutcomeFile {
    /// Id: 1 to 64 lower-case letters, digits and _.
    id: Spanned<String>,
    /// English name.
    name: String,
    /// Chinese name.
    name_zh: String,
    /// Flows that are added above the line, 1 to 64.
    #[schemars(length(min = 1, max = 64))]
    bad: Spanned<Vec<String>>,
    /// Flows that are taken off above the line, at most 64.
    #[schemars(length(max = 64))]
    minus: Option<Spanned<Vec<String>>>,
    /// Flows that are added below the line, 1 to 64.
    #[schemars(length(min = 1, max = 64))]
    of: Spanned<Vec<String>>,
    /// Merchants with less below the line are left out, at least 1.
    #[schemars(range(min = 1))]
    min: Spanned<u64>,
}

/// Compiles what validation reads: the outcomes in the order of the file, and the signals of the plain average.
pub(super) fn validation(
    mut files: Vec<OutcomeFile>,
    plain_average: Option<&Spanned<Vec<String>>>,
    (counters, signals): (&Counters, &[String]),
    report: &mut Report,
) -> ValidationRules {
    at_most(&mut files, MAX_OUTCOMES, "outcomes", |file| file.id.span(), report);
    let mut seen = Vec::new();
    for file in &files {
        unique(&file.id, "outcome", &mut seen, report);
        if file.id.get_ref() == VIOLATIONS {
            report.at(file.id.span(), format!("outcome `{VIOLATIONS}` is built in"), "give this one another id");
        }
    }
    let outcomes = files.into_iter().map(|file| outcome(file, counters, report)).collect();
    let plain_average = plain_average.map(|names| positions(names, signals, report)).unwrap_or_default();
    ValidationRules { outcomes, plain_average }
}

fn outcome(file: OutcomeFile, counters: &Counters, report: &mut Report) -> Outcome {
    if *file.min.get_ref() == 0 {
        report.at(file.min.span(), "an outcome of merchants without anything to count", "write at least 1");
    }
    for part in [&file.bad, &file.of] {
        if part.get_ref().is_empty() {
            report.at(part.span(), "no counter is named", "name at least one counter");
        }
    }
    Outcome {
        bad: flows(&file.bad, counters, report),
        minus: file.minus.map(|names| flows(&names, counters, report)).unwrap_or_default(),
        of: flows(&file.of, counters, report),
        min: file.min.into_inner(),
        id: file.id.into_inner(),
        name: file.name,
        name_zh: file.name_zh,
    }
}

fn flows(names: &Spanned<Vec<String>>, counters: &Counters, report: &mut Report) -> Vec<CounterId> {
    if too_many_names(names, report) {
        return Vec::new();
    }
    let found = names.get_ref().iter().filter_map(|name| {
        let found = counters.outcome(name);
        found.map_err(|(message, suggestion)| report.at(names.span(), message, suggestion)).ok()
    });
    found.collect()
}

fn positions(names: &Spanned<Vec<String>>, signals: &[String], report: &mut Report) -> Vec<u16> {
    if too_many_names(names, report) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for name in names.get_ref() {
        let position =
            signals.iter().position(|signal| signal == name).and_then(|position| u16::try_from(position).ok());
        if position.is_none() {
            let fix = did_you_mean(name, signals.iter().map(String::as_str));
            report.at(names.span(), format!("there is no signal `{name}`"), fix);
        }
        found.extend(position);
    }
    found
}
