//! Budgets, guarantees and caps of programmes.

use super::checks::{MAX_POINTS, at_most, number};
use super::problem::Report;
use super::programme_file::{
    BudgetFile, CapFile, GuaranteeFile, PacingName, PeriodName, ProgrammeFile, ProgrammeKindName, SceneBudgetsFile,
};
use super::schema::Points;
use super::spanned::Spanned;
use crate::domain::Scene;
use crate::traffic::{Budget, Cap, Guarantee, Pacing, Period, Tail};

/// Longest period of a guarantee: a year.
const MAX_GUARANTEE_DAYS: u16 = 366;
/// Highest value of a missing exposure.
const MAX_PENALTY: f64 = 1_000.0;

/// What a programme may spend; support and hard programmes have a budget, the others none.
pub(super) fn budget(file: &ProgrammeFile, report: &mut Report) -> Option<Budget> {
    let kind = *file.kind.get_ref();
    let spends = matches!(kind, ProgrammeKindName::Support | ProgrammeKindName::Hard);
    match &file.budget {
        None if spends => {
            report.at(
                file.kind.span(),
                "a programme that counts exposures without a budget",
                "add [budget] with exposures and period",
            );
            None
        }
        Some(budget) if !spends => {
            report.at(budget.span(), "only support and hard programmes have a budget", "remove [budget]");
            None
        }
        None => None,
        Some(budget) => Some(spend(budget.get_ref(), file, report)),
    }
}

fn spend(budget: &BudgetFile, file: &ProgrammeFile, report: &mut Report) -> Budget {
    let exposures = at_least_one(&budget.exposures, "a budget", report);
    let has_window = file.first_day.is_some() && file.last_day.is_some();
    if budget.period == PeriodName::Window && !has_window {
        report.at(
            budget.exposures.span(),
            "a budget for a window that has no end",
            "add first_day and last_day, or write period = \"year\"",
        );
    }
    let by_scene = budget.by_scene.as_ref().map_or([None; Scene::COUNT], |scenes| {
        let SceneBudgetsFile { live, short_video, image_text, search, mall, store } = *scenes.get_ref();
        let by_scene = [live, short_video, image_text, search, mall, store];
        let sum = by_scene.iter().flatten().fold(0_u64, |sum, part| sum.saturating_add(*part));
        if sum > exposures {
            report.at(
                scenes.span(),
                format!("the scenes have {sum} exposures, the programme {exposures}"),
                "give the scenes less or the programme more",
            );
        }
        by_scene
    });
    let share = |value: &Option<Spanned<f64>>, what: &str, report: &mut Report| {
        value.as_ref().map(|share| number(share, what, 0.0..=1.0, report))
    };
    Budget {
        exposures,
        period: period(budget.period),
        pacing: pacing(budget, report),
        by_scene,
        max_member_share: share(&budget.max_member_share, "the largest share of a member", report),
        tail: budget.tail.as_ref().map(|tail| Tail {
            share: number(&tail.share, "the share of the long tail", 0.0..=1.0, report),
            max_exposures_30d: tail.max_exposures_30d,
        }),
        daily_members: budget.daily_members.unwrap_or(0),
    }
}

fn pacing(budget: &BudgetFile, report: &mut Report) -> Pacing {
    if let (Some(curve), false) = (&budget.pacing_curve, budget.pacing == PacingName::Curve) {
        report.at(curve.span(), "a pacing curve that is not used", "write pacing = \"curve\", or remove it");
    }
    match (budget.pacing, &budget.pacing_curve) {
        (PacingName::Even, _) => Pacing::Even,
        (PacingName::FrontLoaded, _) => Pacing::FrontLoaded,
        (PacingName::AsFastAsPossible, _) => Pacing::AsFastAsPossible,
        (PacingName::Curve, Some(points)) => Pacing::Curve(spend_curve(points, report)),
        (PacingName::Curve, None) => {
            report.at(budget.exposures.span(), "pacing by a curve without one", "add pacing_curve = [[0, 0], [1, 1]]");
            Pacing::Even
        }
    }
}

/// From share of the period to share spent: from (0, 0) to (1, 1), never falling.
fn spend_curve(points: &Spanned<Points>, report: &mut Report) -> Points {
    let mut points = points.clone();
    let span = points.span();
    at_most(points.get_mut(), MAX_POINTS, "points of the pacing curve", |_| span, report);
    let list = points.get_ref();
    let is_from_to = list.first() == Some(&(0.0, 0.0)) && list.last() == Some(&(1.0, 1.0));
    let rises = list.iter().zip(list.iter().skip(1)).all(|((x, y), (next_x, next_y))| x < next_x && y <= next_y);
    if !is_from_to || !rises {
        report.at(
            points.span(),
            "a pacing curve goes from [0, 0] to [1, 1] and never falls",
            "write share of the period and share spent, e.g. [[0, 0], [0.5, 0.7], [1, 1]]",
        );
    }
    list.clone()
}

/// What each member is promised.
pub(super) fn guarantee(file: &ProgrammeFile, report: &mut Report) -> Option<Guarantee> {
    let guarantee = file.guarantee.as_ref()?;
    if *file.kind.get_ref() != ProgrammeKindName::Support {
        report.at(guarantee.span(), "only support programmes guarantee exposures", "remove [guarantee]");
    }
    let GuaranteeFile { exposures, days, penalty } = guarantee.get_ref();
    if !(1..=MAX_GUARANTEE_DAYS).contains(days.get_ref()) {
        report.at(days.span(), format!("{} days", days.get_ref()), format!("write 1 to {MAX_GUARANTEE_DAYS}"));
    }
    Some(Guarantee {
        exposures: at_least_one(exposures, "a guarantee", report),
        days: *days.get_ref(),
        penalty: number(penalty, "the value of a missing exposure", 0.0..=MAX_PENALTY, report),
    })
}

/// What each member may have.
pub(super) fn cap(file: &ProgrammeFile, report: &mut Report) -> Option<Cap> {
    let cap = file.cap.as_ref()?;
    let kind = *file.kind.get_ref();
    if !matches!(kind, ProgrammeKindName::Support | ProgrammeKindName::Hard) {
        report.at(cap.span(), "only support and hard programmes cap exposures", "remove [cap]");
    }
    let CapFile { exposures, period: name } = cap.get_ref();
    Some(Cap { exposures: at_least_one(exposures, "a cap", report), period: period(*name) })
}

fn at_least_one(exposures: &Spanned<u64>, what: &str, report: &mut Report) -> u64 {
    if *exposures.get_ref() == 0 {
        report.at(exposures.span(), format!("{what} of 0 exposures"), "write at least 1, or remove it");
    }
    *exposures.get_ref()
}

fn period(name: PeriodName) -> Period {
    match name {
        PeriodName::Window => Period::Window,
        PeriodName::Year => Period::Year,
        PeriodName::Month => Period::Month,
        PeriodName::Week => Period::Week,
        PeriodName::Day => Period::Day,
    }
}
