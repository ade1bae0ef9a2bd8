//! The trust score: signals → layers → 0 to 100. The explanation reads the rows this leaves behind.

use super::consumer_rights::{self, Right};
use super::curve::Curve;
use super::experience;
use super::facts::FactsLayout;
use super::governance::Violations;
use super::signal::{Derived, Input, Layer, Signal, SignalKind};
use super::view::{MerchantView, Seen};
use crate::domain::{Scene, count_to_f64};

/// Everything the policy says about scores.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreModel {
    /// Which window sums and levels are needed.
    pub layout: FactsLayout,
    /// The signals; parts of composites come before them.
    pub signals: Vec<Signal>,
    /// Weight of each layer in the score, adding up to 1, by layer index.
    pub layer_weights: [f64; 3],
    /// Score 0..1 of a layer none of whose signals applies, by layer index.
    pub layer_priors: [f64; 3],
    /// Tiers, lowest first; the first begins at 0.
    pub tiers: Vec<Tier>,
    /// From trust score to tilt, by scene index.
    pub tilt: [Curve; Scene::COUNT],
    /// The rights catalogue.
    pub rights: Vec<Right>,
    /// Violation types, force majeure and the waiver.
    pub violations: Violations,
}

/// A band of trust scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Tier {
    /// Id in policy files.
    pub id: String,
    /// English name.
    pub name: String,
    /// Chinese name.
    pub name_zh: String,
    /// Lowest score of the band.
    pub min_score: f64,
    /// Commercial tier: factor on the price of ads (seed 001: better commercial price for trusted merchants).
    pub ad_price_factor: f64,
}

/// Whether a signal took part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalState {
    /// Computed from facts.
    Measured,
    /// No facts in the window: the prior stands in.
    NoData,
    /// Does not apply to this merchant.
    NotApplicable,
    /// Its counters were never sent for anyone.
    Disabled,
}

/// What one signal came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignalRow {
    /// Whether it took part.
    pub state: SignalState,
    /// n.
    pub numerator: f64,
    /// d.
    pub denominator: f64,
    /// (n + m·k) / (d + k).
    pub smoothed: f64,
    /// The curve at `smoothed`, 0..1.
    pub value: f64,
    /// Share of the layer after renormalising.
    pub effective_weight: f64,
}

/// What one layer came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LayerScore {
    /// 0..1.
    pub score: f64,
    /// Whether no signal applied and the declared prior stands in.
    pub is_prior: bool,
}

/// The trust score of one merchant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trust {
    /// 0 to 100.
    pub score: f64,
    /// 1, or 0 under a ban.
    pub gate: f64,
    /// By layer index.
    pub layers: [LayerScore; 3],
    /// Position of the tier.
    pub tier: usize,
}

impl Trust {
    /// One layer.
    #[must_use]
    pub fn layer(&self, layer: Layer) -> LayerScore {
        self.layers.get(layer.index()).copied().unwrap_or_default()
    }
}

/// Scores one merchant. `disabled` holds one flag per signal; `rows` is cleared and left with one row per signal.
/// Sums are taken in policy order, so that equal inputs give equal bits.
#[must_use]
pub fn score(model: &ScoreModel, view: &MerchantView, disabled: &[bool], rows: &mut Vec<SignalRow>) -> Trust {
    rows.clear();
    let mut totals = [0.0_f64; 3];
    for (index, signal) in model.signals.iter().enumerate() {
        let is_disabled = disabled.get(index).copied().unwrap_or(false);
        let row = evaluate(model, signal, view, is_disabled, rows);
        if matches!(row.state, SignalState::Measured | SignalState::NoData)
            && let Some(total) = totals.get_mut(signal.layer.index())
        {
            *total += signal.weight;
        }
        rows.push(row);
    }

    let mut layers = [LayerScore::default(); 3];
    for (signal, row) in model.signals.iter().zip(rows.iter_mut()) {
        let index = signal.layer.index();
        let (Some(total), Some(layer)) = (totals.get(index), layers.get_mut(index)) else { continue };
        if matches!(row.state, SignalState::Measured | SignalState::NoData) && *total > 0.0 {
            row.effective_weight = signal.weight / total;
            layer.score += row.effective_weight * row.value;
        }
    }
    let gate = model.violations.gate(view.violations, view.now);
    let mut sum = 0.0;
    for (((layer, total), weight), prior) in
        layers.iter_mut().zip(totals).zip(model.layer_weights).zip(model.layer_priors)
    {
        if total <= 0.0 {
            *layer = LayerScore { score: prior, is_prior: true };
        }
        layer.score = layer.score.clamp(0.0, 1.0);
        sum += weight * layer.score;
    }
    let score = (100.0 * gate * sum).clamp(0.0, 100.0);
    Trust { score, gate, layers, tier: model.tier_of(score) }
}

impl ScoreModel {
    /// Position of the tier a score falls in.
    #[must_use]
    pub fn tier_of(&self, score: f64) -> usize {
        self.tiers.iter().rposition(|tier| tier.min_score <= score).unwrap_or(0)
    }
}

/// One signal. `rows` holds those before it.
pub(super) fn evaluate(
    model: &ScoreModel,
    signal: &Signal,
    view: &MerchantView,
    is_disabled: bool,
    rows: &[SignalRow],
) -> SignalRow {
    let absent = |state| SignalRow {
        state,
        numerator: 0.0,
        denominator: 0.0,
        smoothed: signal.prior_mean,
        value: 0.0,
        effective_weight: 0.0,
    };
    if is_disabled {
        return absent(SignalState::Disabled);
    }
    if !signal.applies.holds(&Seen::merchant(view, None)) {
        return absent(SignalState::NotApplicable);
    }
    let (numerator, denominator, state) = match &signal.kind {
        SignalKind::Share { numerator, denominator } => {
            let d = total(view, denominator);
            // A share counts a part of the whole; what is reported beyond the whole cannot make it better.
            counted(model, signal, view, numerator, total(view, numerator).min(d), d)
        }
        SignalKind::Mean { numerator, denominator, scale } => {
            let n = scale * total(view, numerator);
            counted(model, signal, view, numerator, n, total(view, denominator))
        }
        SignalKind::Level { level, scale } => match view.facts.level(*level) {
            Some(level) => (scale * count_to_f64(level.value), 1.0, SignalState::Measured),
            None => (0.0, 0.0, SignalState::NoData),
        },
        SignalKind::Growth { current, previous } => {
            let (now, before) = (count_to_f64(view.facts.sum(*current)), count_to_f64(view.facts.sum(*previous)));
            let state = if now + before > 0.0 { SignalState::Measured } else { SignalState::NoData };
            (now, before, state)
        }
        SignalKind::Composite { parts, over } => match experience::ratio(rows, parts, *over) {
            Some((ratio, state)) => return finish(signal, ratio, 1.0, state, ratio),
            None => return absent(SignalState::NotApplicable),
        },
        SignalKind::Derived(derived) => match derive(model, *derived, view) {
            Some((value, whole)) => return finish(signal, value, whole, SignalState::Measured, value / whole),
            None => (0.0, 0.0, SignalState::NoData),
        },
    };
    let smoothed =
        if state == SignalState::NoData { signal.prior_mean } else { smooth(signal, numerator, denominator) };
    finish(signal, numerator, denominator, state, smoothed)
}

/// (n + m·k) / (d + k): what n of d observations come to beside the prior.
pub(super) fn smooth(signal: &Signal, numerator: f64, denominator: f64) -> f64 {
    let whole = denominator + signal.prior_strength;
    if whole <= 0.0 {
        return signal.prior_mean;
    }
    (numerator + signal.prior_mean * signal.prior_strength) / whole
}

fn finish(signal: &Signal, numerator: f64, denominator: f64, state: SignalState, smoothed: f64) -> SignalRow {
    let value = signal.curve.at(smoothed).clamp(0.0, 1.0);
    SignalRow { state, numerator, denominator, smoothed, value, effective_weight: 0.0 }
}

pub(super) fn total(view: &MerchantView, inputs: &[Input]) -> f64 {
    let mut sum = 0.0;
    for input in inputs {
        sum += match input {
            Input::Sum(id) => count_to_f64(view.facts.sum(*id)),
            Input::Level(id) => view.facts.level(*id).map_or(0.0, |level| count_to_f64(level.value)),
        };
    }
    sum
}

/// n and d of a ratio. Without observations there is no data. Where more is worse, a numerator that was not sent in
/// the window is no data either: withholding a bad figure is not the same as having none.
fn counted(
    model: &ScoreModel,
    signal: &Signal,
    view: &MerchantView,
    numerator: &[Input],
    n: f64,
    d: f64,
) -> (f64, f64, SignalState) {
    let withheld = || signal.curve.falls() && numerator.iter().all(|input| !was_sent(model, view, *input));
    if d <= 0.0 || withheld() { (0.0, 0.0, SignalState::NoData) } else { (n, d, SignalState::Measured) }
}

fn was_sent(model: &ScoreModel, view: &MerchantView, input: Input) -> bool {
    match input {
        Input::Sum(id) => {
            // Windows that begin with a day of the merchant's life have no range here: sent at all is enough.
            let range = model.layout.sum(id).and_then(|(_, window)| window.range(view.facts_day, None));
            view.facts.last_sent(id).is_some_and(|day| range.is_none_or(|range| range.first <= day))
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
