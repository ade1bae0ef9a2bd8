//! Stages of the life cycle, and the ranking of service providers.

use super::checks::{expression, unique};
use super::columns::{Scope, days};
use super::counters::Counters;
use super::layout::LayoutBuilder;
use super::problem::Report;
use super::schema::{LifeCycleFile, RankingFile};
use crate::traffic::{ProviderRanking, Stage};
use crate::trust::{Span, Window};

/// The stages, in the order they are tried.
pub(super) fn stages(
    file: LifeCycleFile,
    scope: &Scope,
    layout: &mut LayoutBuilder,
    report: &mut Report,
) -> Vec<Stage> {
    let mut seen = Vec::new();
    file.stage.iter().for_each(|stage| unique(&stage.id, "stage", &mut seen, report));
    let mut stages: Vec<Stage> = Vec::new();
    for stage in file.stage {
        if stages.last().is_some_and(|before| before.when.is_always()) {
            report.at(stage.when.span(), "a stage after one that has everybody", "put the stage `true` last");
        }
        let when = expression(&stage.when, scope, layout, report);
        stages.extend(when.map(|when| Stage {
            id: stage.id.into_inner(),
            name: stage.name,
            name_zh: stage.name_zh,
            when,
        }));
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
