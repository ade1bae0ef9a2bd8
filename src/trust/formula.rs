//! The signals of a model as scoring reads them: only what is computed with, close together, so that scoring a million
//! merchants reads the same few kilobytes again and again. The explanation computes with the same.

use std::ops::Range;

use super::check::Check;
use super::consumer_rights;
use super::curve::value_at;
use super::experience;
use super::predicate::Predicate;
use super::score::{ScoreModel, SignalRow, SignalState};
use super::signal::{Derived, Input, Layer, Signal, SignalKind};
use super::view::{MerchantView, Seen};
use super::window::{LevelId, SumId};

/// All signals of a model. Made of them by [`Formulas::new`], and of nothing else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Formulas {
    list: Vec<Formula>,
    /// Conditions of signals that do not apply to everyone, each once.
    conditions: Vec<Check>,
    inputs: Vec<Input>,
    parts: Vec<u16>,
    points: Vec<(f64, f64)>,
}

/// One signal. Ranges are of the lists of [`Formulas`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Formula {
    pub(super) layer: Layer,
    pub(super) weight: f64,
    kind: Kind,
    prior: Prior,
    points: Range<usize>,
    /// Whether more is worse.
    falls: bool,
    /// Position of the condition under which it applies; none applies to everyone.
    condition: Option<usize>,
    /// What it comes to without data.
    unknown: SignalRow,
}

/// What small samples shrink to, and how many observations that is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Prior {
    mean: f64,
    strength: f64,
}

/// As [`SignalKind`].
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Share { numerator: Range<usize>, denominator: Range<usize> },
    Mean { numerator: Range<usize>, denominator: Range<usize>, scale: f64 },
    Level { level: LevelId, scale: f64 },
    Growth { current: SumId, previous: SumId },
    Composite { parts: Range<usize>, over: Option<u16> },
    Derived(Derived),
}

/// Which of the conditions was looked at last: signals that share one mostly follow each other.
#[derive(Default)]
pub(super) struct LastCondition(Option<(usize, bool)>);

impl Prior {
    pub(super) fn of(signal: &Signal) -> Self {
        Self { mean: signal.prior_mean, strength: signal.prior_strength }
    }

    /// (n + m·k) / (d + k): what n of d observations come to beside the prior.
    pub(super) fn smooth(self, numerator: f64, denominator: f64) -> f64 {
        let whole = denominator + self.strength;
        if whole <= 0.0 {
            return self.mean;
        }
        (numerator + self.mean * self.strength) / whole
    }
}

impl Formula {
    pub(super) fn prior_mean(&self) -> f64 {
        self.prior.mean
    }
}

impl Formulas {
    /// The formulas of these signals.
    #[must_use]
    pub fn new(signals: &[Signal]) -> Self {
        let mut formulas = Self::default();
        let mut conditions: Vec<&Predicate> = Vec::new();
        for signal in signals {
            let condition = (!signal.applies.is_always()).then(|| {
                let known = conditions.iter().position(|known| known.says_as(&signal.applies));
                known.unwrap_or_else(|| {
                    conditions.push(&signal.applies);
                    conditions.len().saturating_sub(1)
                })
            });
            formulas.add(signal, condition);
        }
        formulas.conditions = conditions.into_iter().map(Check::new).collect();
        formulas
    }

    fn add(&mut self, signal: &Signal, condition: Option<usize>) {
        let kind = match &signal.kind {
            SignalKind::Share { numerator, denominator } => Kind::Share {
                numerator: append(&mut self.inputs, numerator),
                denominator: append(&mut self.inputs, denominator),
            },
            SignalKind::Mean { numerator, denominator, scale } => Kind::Mean {
                numerator: append(&mut self.inputs, numerator),
                denominator: append(&mut self.inputs, denominator),
                scale: *scale,
            },
            SignalKind::Level { level, scale } => Kind::Level { level: *level, scale: *scale },
            SignalKind::Growth { current, previous } => Kind::Growth { current: *current, previous: *previous },
            SignalKind::Composite { parts, over } => {
                Kind::Composite { parts: append(&mut self.parts, parts), over: *over }
            }
            SignalKind::Derived(derived) => Kind::Derived(*derived),
        };
        let value = value_at(signal.curve.points(), signal.prior_mean).clamp(0.0, 1.0);
        self.list.push(Formula {
            layer: signal.layer,
            weight: signal.weight,
            kind,
            prior: Prior::of(signal),
            points: append(&mut self.points, signal.curve.points()),
            falls: signal.curve.falls(),
            condition,
            unknown: SignalRow { value, ..SignalRow::absent(SignalState::NoData, signal.prior_mean) },
        });
    }

    /// The formulas, in the order of the signals.
    pub(super) fn list(&self) -> &[Formula] {
        &self.list
    }

    /// One signal. `rows` holds those before it.
    pub(super) fn evaluate(
        &self,
        formula: &Formula,
        (model, view): (&ScoreModel, &MerchantView),
        rows: &[SignalRow],
        last: &mut LastCondition,
    ) -> SignalRow {
        if !self.applies(formula, view, last) {
            return SignalRow::absent(SignalState::NotApplicable, formula.prior.mean);
        }
        match &formula.kind {
            Kind::Share { numerator, denominator } => {
                let d = total(view, self.inputs(denominator));
                let numerator = self.inputs(numerator);
                if d <= 0.0 || is_withheld(formula, (model, view), numerator) {
                    return formula.unknown;
                }
                // A share counts a part of the whole; what is reported beyond the whole cannot make it better.
                self.measured(formula, total(view, numerator).min(d), d)
            }
            Kind::Mean { numerator, denominator, scale } => {
                let d = total(view, self.inputs(denominator));
                let numerator = self.inputs(numerator);
                if d <= 0.0 || is_withheld(formula, (model, view), numerator) {
                    return formula.unknown;
                }
                self.measured(formula, scale * total(view, numerator), d)
            }
            Kind::Level { level, scale } => match view.facts.level(*level) {
                Some(level) => self.measured(formula, scale * level, 1.0),
                None => formula.unknown,
            },
            Kind::Growth { current, previous } => {
                let (now, before) = (view.facts.sum(*current), view.facts.sum(*previous));
                if now + before > 0.0 { self.measured(formula, now, before) } else { formula.unknown }
            }
            Kind::Composite { parts, over } => {
                match experience::ratio(rows, self.parts.get(parts.clone()).unwrap_or_default(), *over) {
                    Some((ratio, state)) => self.row(formula, (ratio, 1.0), state, ratio),
                    None => SignalRow::absent(SignalState::NotApplicable, formula.prior.mean),
                }
            }
            Kind::Derived(derived) => match derive(model, *derived, view) {
                Some((value, whole)) => self.row(formula, (value, whole), SignalState::Measured, value / whole),
                None => formula.unknown,
            },
        }
    }

    fn applies(&self, formula: &Formula, view: &MerchantView, last: &mut LastCondition) -> bool {
        let Some(position) = formula.condition else { return true };
        if let Some((known, holds)) = last.0
            && known == position
        {
            return holds;
        }
        let holds = self.conditions.get(position).is_some_and(|check| check.holds(&Seen::merchant(view, None)));
        last.0 = Some((position, holds));
        holds
    }

    fn inputs(&self, range: &Range<usize>) -> &[Input] {
        self.inputs.get(range.clone()).unwrap_or_default()
    }

    fn measured(&self, formula: &Formula, numerator: f64, denominator: f64) -> SignalRow {
        let smoothed = formula.prior.smooth(numerator, denominator);
        self.row(formula, (numerator, denominator), SignalState::Measured, smoothed)
    }

    fn row(
        &self,
        formula: &Formula,
        (numerator, denominator): (f64, f64),
        state: SignalState,
        smoothed: f64,
    ) -> SignalRow {
        let points = self.points.get(formula.points.clone()).unwrap_or_default();
        let value = value_at(points, smoothed).clamp(0.0, 1.0);
        SignalRow { state, numerator, denominator, smoothed, value, effective_weight: 0.0 }
    }
}

/// Puts items at the end of a list; answers where they stand.
fn append<T: Clone>(list: &mut Vec<T>, items: &[T]) -> Range<usize> {
    let first = list.len();
    list.extend_from_slice(items);
    first..list.len()
}

/// The inputs of a figure, added.
pub(super) fn total(view: &MerchantView, inputs: &[Input]) -> f64 {
    let mut sum = 0.0;
    for input in inputs {
        sum += match input {
            Input::Sum(id) => view.facts.sum(*id),
            Input::Level(id) => view.facts.level(*id).unwrap_or(0.0),
        };
    }
    sum
}

/// Where more is worse, a numerator that was not sent in the window is no data: withholding a bad figure is not the
/// same as having none.
fn is_withheld(formula: &Formula, (model, view): (&ScoreModel, &MerchantView), numerator: &[Input]) -> bool {
    formula.falls && numerator.iter().all(|input| !was_sent(model, view, *input))
}

fn was_sent(model: &ScoreModel, view: &MerchantView, input: Input) -> bool {
    match input {
        Input::Sum(id) => {
            let Some(day) = view.facts.last_sent(id) else { return false };
            // No window begins after the facts day: most merchants send every day, and nothing has to be computed.
            if day >= view.facts_day {
                return true;
            }
            // Windows that begin with a day of the merchant's life have no range here: sent at all is enough.
            let range = model.layout.sum(id).and_then(|(_, window)| window.range(view.facts_day, None));
            range.is_none_or(|range| range.first <= day)
        }
        Input::Level(id) => view.facts.level(id).is_some(),
    }
}

/// A derived quantity as value and whole; `None` when it is not known.
fn derive(model: &ScoreModel, derived: Derived, view: &MerchantView) -> Option<(f64, f64)> {
    match derived {
        Derived::ViolationPoints => Some((model.violations.points(view.violations, view.facts_day), 1.0)),
        Derived::PriorIdentityViolation => Some((f64::from(u8::from(view.merchant.prior_identity_violation)), 1.0)),
        Derived::RightsCoverage => {
            let (held, applicable) = consumer_rights::coverage(&model.rights, view.merchant, view.rights, view.now);
            (applicable > 0.0).then_some((held, applicable))
        }
        Derived::DaysSinceOpening => {
            let opened = view.merchant.opened_at?.day();
            Some((f64::from(view.facts_day.days_since(opened).max(0)), 1.0))
        }
    }
}
