//! Stages of the life cycle, and the ranking of service providers.

use super::checks::{at_most, expression, unique};
use super::columns::{Scope, days};
use super::counters::Counters;
use super::layout::LayoutBuilder;
use super::problem::Report;
use super::reach::Reach;
use super::schema::{LifeCycleFile, RankingFile};
use crate::traffic::{ProviderRanking, Stage};
use crate::trust::{Span, Window};

/// Most stages.
const MAX_STAGES: usize = 32;

/// The stages, in the order they are tried.
pub(super) fn stages(
    mut file: LifeCycleFile,
    (scope, reach): (&Scope, &Reach),
    layout: &mut LayoutBuilder,
    report: &mut Report,
) -> Vec<Stage> {
    at_most(&mut file.stage, MAX_STAGES, "stages", |stage| stage.id.span(), report);
    let mut seen = Vec::new();
    file.stage.iter().for_each(|stage| unique(&stage.id, "stage", &mut seen, report));
    let mut stages: Vec<Stage> = Vec::new();
    let mut conditions = Vec::new();
    for stage in file.stage {
        let when = expression(&stage.when, scope, layout, report);
        conditions.extend(when.clone().map(|when| (when, stage.when.span())));
        stages.extend(when.map(|when| Stage {
            id: stage.id.into_inner(),
            name: stage.name,
            name_zh: stage.name_zh,
            when,
        }));
    }
    if report.is_empty() {
        reach.stages(&conditions, report);
    }
    stages
}

/// How service providers are ranked.
pub(super) fn ranking(
    file: &RankingFile,
    counters: &Counters,
    layout: &mut LayoutBuilder,
    report: &mut Report,
) -> Option<ProviderRanking> {
    if *file.min_capability.get_ref() > 100 {
        report.at(file.min_capability.span(), "capabilities go from 0 to 100", "write at most 100");
    }
    let span = match file.window.get_ref().as_str() {
        "week" => Some(Span::NaturalWeek),
        text => days(text).map(Span::Days),
    };
    if span.is_none() {
        report.at(
            file.window.span(),
            format!("{:?} is not a window", file.window.get_ref()),
            "write \"week\" or \"30d\"",
        );
    }
    let counter = counters
        .flow(file.counter.get_ref())
        .map_err(|(message, suggestion)| report.at(file.counter.span(), message, suggestion))
        .ok();
    let sum = layout.sum(counter?, &Window { span: span?, offset_days: 0 })?;
    Some(ProviderRanking { sum, min_capability: *file.min_capability.get_ref() })
}
