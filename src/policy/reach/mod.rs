//! What can never happen: programmes nobody can be eligible for, cases and stages that earlier ones cover, programmes
//! of one exclusive group that can have the same member.
//!
//! A search over the outcomes of conditions finds contradictions between numbers, texts, lists and flags. It knows
//! nothing of how columns hang together in the world, beyond what the policy and the service define; what it does not
//! refute counts as possible.

mod exclusive;
mod node;
mod search;
mod store;
#[cfg(test)]
mod tests;
mod values;

pub(super) use exclusive::{Member, exclusive_groups};

use super::problem::Report;
use super::programme_file::{ProgrammeFile, UpliftFile};
use super::spanned::Spanned;
use crate::domain::{Day, TargetKind};
use crate::traffic::{Programme, ProgrammeWindow, Stage, Uplift};
use crate::trust::{Layer, Predicate, Signal, Tier};
use node::Node;
use search::{Conflict, Found, Known, STEPS_IN_ALL, search};
use std::cell::Cell;
use std::ops::Range;
use store::Limits;

/// Sums of weights are allowed to be so far from 1.
const ROUNDING: f64 = 1e-6;

/// What searches know about merchants: tiers, signals, and stages once they are compiled.
pub(super) struct Reach<'a> {
    known: Known<'a>,
}

/// Tiers with the scores they have.
pub(super) type TierScores<'a> = Vec<(&'a str, f64, f64)>;

/// The scores of each tier: from, and below.
pub(super) fn tier_scores(tiers: &[Tier]) -> TierScores<'_> {
    let ends = tiers.iter().skip(1).map(|tier| tier.min_score).chain([f64::INFINITY]);
    tiers.iter().zip(ends).map(|(tier, end)| (tier.id.as_str(), tier.min_score, end)).collect()
}

/// The highest trust score and the highest layer scores that any merchant can have.
pub(super) fn highest_scores(signals: &[Signal], weights: [f64; 3], priors: [f64; 3]) -> (f64, [f64; 3]) {
    // Signals that do not apply leave the others all the weight: one good signal alone can make the layer.
    let best = |layer: Layer, prior: f64| {
        let of_layer = signals.iter().filter(|signal| signal.layer == layer && signal.weight > 0.0);
        let values = of_layer.flat_map(|signal| signal.curve.points()).map(|(_, value)| *value);
        values.fold(prior, f64::max)
    };
    let mut layers = [0.0; 3];
    let mut score = 0.0;
    for (((layer, weight), prior), highest) in Layer::ALL.into_iter().zip(weights).zip(priors).zip(&mut layers) {
        let best = best(layer, prior);
        *highest = (100.0 * best + ROUNDING).min(100.0);
        score += weight * best;
    }
    ((100.0 * score + ROUNDING).min(100.0), layers)
}

impl<'a> Reach<'a> {
    /// Before stages are known. What could not be compiled is given as empty.
    pub(super) fn new(tiers: &'a [(&'a str, f64, f64)], signals: &'a [Signal], highest: (f64, [f64; 3])) -> Self {
        let limits = Limits { tiers, stages: &[], signals, max_score: highest.0, max_layers: highest.1 };
        Self { known: Known { limits, stages: Vec::new(), steps: Cell::new(STEPS_IN_ALL) } }
    }

    /// With the stages, whose names are given beside them.
    pub(super) fn with_stages(self, stages: &'a [Stage], names: &'a [&'a str]) -> Self {
        let nodes = stages.iter().map(|stage| Node::of(&stage.when, &[])).collect();
        let limits = Limits { stages: names, ..self.known.limits };
        Self { known: Known { limits, stages: nodes, steps: self.known.steps } }
    }

    fn node<'p>(&self, predicate: &'p Predicate) -> (Node<'p>, Node<'p>)
    where
        'a: 'p,
    {
        Node::of(predicate, self.known.limits.stages)
    }
}

impl Reach<'_> {
    /// An expression that can never hold becomes a problem, which `what` begins.
    pub(super) fn expression(&self, predicate: &Predicate, span: Range<usize>, what: &str, report: &mut Report) {
        let (holds, _) = self.node(predicate);
        if let Some(Conflict { part, message }) = self.refuted(&[&holds]) {
            report.within(span, &part, format!("{what}: {message}"), "correct the conditions");
        }
    }

    /// Stages that earlier ones cover or whose conditions contradict each other.
    pub(super) fn stages(&self, stages: &[(Predicate, Range<usize>)], report: &mut Report) {
        let nodes: Vec<(Node, Node)> = stages.iter().map(|(when, _)| self.node(when)).collect();
        self.cases("stage", &[], &nodes, |at| stages.get(at).map_or(0..0, |(_, span)| span.clone()), report);
    }

    /// Everything about one programme that can never happen.
    pub(super) fn programme(&self, programme: &Programme, file: &ProgrammeFile, report: &mut Report) {
        if !opens(&programme.window) {
            let span = file.weekdays.as_ref().map_or(0..0, Spanned::span);
            report.at(
                span,
                "none of these days of the week lies between the first day and the last",
                "correct the days",
            );
        }
        self.items(programme, file, report);
        let (eligible, _) = self.node(&programme.eligibility);
        if let Some(Conflict { part, message }) = self.refuted(&[&eligible]) {
            let message = format!("nobody can be eligible: {message}");
            let fix = "correct the conditions, or remove the programme";
            return report.within(file.eligibility.span(), &part, message, fix);
        }
        if let (Uplift::Cases(cases), Some(UpliftFile { cases: Some(files), .. })) =
            (&programme.uplift, file.uplift.as_ref().map(Spanned::get_ref))
            && cases.len() == files.len()
        {
            let nodes: Vec<(Node, Node)> = cases.iter().map(|(when, _)| self.node(when)).collect();
            let span = |at: usize| files.get(at).map_or(0..0, |case| case.when.span());
            self.cases("case", &[&eligible], &nodes, span, report);
        }
        if programme.scene_conditions.len() == file.scene_condition.len() {
            for (condition, file) in programme.scene_conditions.iter().zip(&file.scene_condition) {
                let (holds, _) = self.node(&condition.when);
                if let Some(Conflict { message, .. }) = self.refuted(&[&eligible, &holds]) {
                    let message = format!("no member can meet it: {message}");
                    report.at(file.when.span(), message, "correct it, or remove the scenes from `scenes`");
                }
                let works = condition.scenes.iter().zip(programme.scenes).any(|(asked, works)| *asked && works);
                if !works && programme.scenes.contains(&true) {
                    let message = "a condition on scenes in which the programme does not work";
                    report.at(file.scenes.span(), message, "name some of its scenes, or remove it");
                }
            }
        }
        if programme.conditional_labels.len() == file.conditional_label.len() {
            for ((when, _), file) in programme.conditional_labels.iter().zip(&file.conditional_label) {
                let (holds, _) = self.node(when);
                if let Some(Conflict { message, .. }) = self.refuted(&[&eligible, &holds]) {
                    let message = format!("no member can have these labels: {message}");
                    report.at(file.when.span(), message, "correct or remove it");
                }
            }
        }
    }

    /// What is said about items, kind by kind.
    fn items(&self, programme: &Programme, file: &ProgrammeFile, report: &mut Report) {
        for kind in TargetKind::ALL {
            let always = Predicate::default();
            let (eligible, _) = self.node(programme.item_condition(kind).unwrap_or(&always));
            if let Some(Conflict { part, message }) = self.refuted(&[&eligible]) {
                let message = format!("no {} can meet it: {message}", kind.name());
                report.within(file.eligibility.span(), &part, message, "correct the conditions");
                continue;
            }
            if programme.item_uplifts.len() != file.item_uplift.len() {
                continue;
            }
            let of_kind = || programme.item_uplifts.iter().zip(&file.item_uplift).filter(|(case, _)| case.kind == kind);
            let nodes: Vec<(Node, Node)> = of_kind().map(|(case, _)| self.node(&case.when)).collect();
            let spans: Vec<Range<usize>> = of_kind().map(|(_, file)| file.when.span()).collect();
            let span = |at: usize| spans.get(at).cloned().unwrap_or(0..0);
            self.cases("item uplift", &[&eligible], &nodes, span, report);
        }
    }

    /// Cases of which the first that holds counts: each that no one can reach becomes a problem.
    fn cases<'p>(
        &'p self,
        what: &str,
        base: &[&Node<'p>],
        cases: &[(Node<'p>, Node<'p>)],
        span: impl Fn(usize) -> Range<usize>,
        report: &mut Report,
    ) {
        for (at, (holds, _)) in cases.iter().enumerate() {
            let mut roots: Vec<&Node> = base.to_vec();
            roots.push(holds);
            let number = at.saturating_add(1);
            if let Some(Conflict { message, .. }) = self.refuted(&roots) {
                report.at(span(at), format!("{what} {number} is never reached: {message}"), "correct or remove it");
                continue;
            }
            roots.extend(cases.iter().take(at).map(|(_, fails)| fails));
            if at > 0 && self.refuted(&roots).is_some() {
                let message = format!("{what} {number} is never reached: those before it cover it");
                report.at(span(at), message, "put it before them, or remove it");
            }
        }
    }

    /// Why expressions can never hold together, if they cannot.
    fn refuted<'p>(&'p self, roots: &[&Node<'p>]) -> Option<Conflict> {
        let unnamed = || Conflict { part: String::new(), message: "its conditions contradict each other".to_owned() };
        match search(&self.known, roots) {
            Found::Together(_) | Found::Unknown => None,
            Found::Never(conflict) => Some(conflict.unwrap_or_else(unnamed)),
        }
    }
}

/// Whether a window is ever open.
fn opens(window: &ProgrammeWindow) -> bool {
    days_open(window.first, window.last, window.weekdays)
}

/// Whether two windows are ever open at the same time.
fn open_together(a: &ProgrammeWindow, b: &ProgrammeWindow) -> bool {
    let first = a.first.max(b.first);
    let last = match (a.last, b.last) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    };
    let weekdays = match (a.weekdays, b.weekdays) {
        (Some(a), Some(b)) => Some(std::array::from_fn(|day| {
            a.get(day).copied().unwrap_or(false) && b.get(day).copied().unwrap_or(false)
        })),
        (one, other) => one.or(other),
    };
    let ((open_a, close_a), (open_b, close_b)) = (a.hours.unwrap_or((0, 24)), b.hours.unwrap_or((0, 24)));
    open_a.max(open_b) < close_a.min(close_b) && days_open(first, last, weekdays)
}

/// Whether some day lies between two days and on one of the days of the week.
fn days_open(first: Option<Day>, last: Option<Day>, weekdays: Option<[bool; 7]>) -> bool {
    let Some(weekdays) = weekdays else { return first.is_none() || last.is_none() || first <= last };
    let (Some(first), Some(last)) = (first, last) else { return weekdays.contains(&true) };
    let mut days = (0..7).map(|ahead| first.plus(ahead)).filter(|day| *day <= last);
    days.any(|day| {
        let weekday = usize::try_from(day.days_since(day.week().monday())).unwrap_or(0);
        weekdays.get(weekday).copied().unwrap_or(false)
    })
}
