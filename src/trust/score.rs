//! The trust score: signals → layers → 0 to 100. The explanation reads the rows this leaves behind.

use super::consumer_rights::Right;
use super::curve::Curve;
use super::facts::FactsLayout;
use super::formula::{Formulas, LastCondition};
use super::governance::Violations;
use super::signal::{Layer, Signal};
use super::view::MerchantView;
use crate::domain::{Scene, to_f32};

/// Everything the policy says about scores.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreModel {
    /// Which window sums and levels are needed.
    pub layout: FactsLayout,
    /// The signals; parts of composites come before them.
    pub signals: Vec<Signal>,
    /// What is computed of each: made of the signals.
    pub formulas: Formulas,
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

impl SignalRow {
    /// A signal that comes to nothing.
    pub(super) fn absent(state: SignalState, prior_mean: f64) -> Self {
        let (numerator, denominator, value, effective_weight) = (0.0, 0.0, 0.0, 0.0);
        Self { state, numerator, denominator, smoothed: prior_mean, value, effective_weight }
    }

    /// Whether it counts in its layer.
    fn counts(&self) -> bool {
        matches!(self.state, SignalState::Measured | SignalState::NoData)
    }
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
    let formulas = &model.formulas;
    let mut totals = [0.0_f64; 3];
    let mut last = LastCondition::default();
    for (index, formula) in formulas.list().iter().enumerate() {
        let row = if disabled.get(index).copied().unwrap_or(false) {
            SignalRow::absent(SignalState::Disabled, formula.prior_mean())
        } else {
            formulas.evaluate(formula, (model, view), rows, &mut last)
        };
        if row.counts()
            && let Some(total) = totals.get_mut(formula.layer.index())
        {
            *total += formula.weight;
        }
        rows.push(row);
    }

    let mut layers = [LayerScore::default(); 3];
    for (formula, row) in formulas.list().iter().zip(rows.iter_mut()) {
        let index = formula.layer.index();
        let (Some(total), Some(layer)) = (totals.get(index), layers.get_mut(index)) else { continue };
        if row.counts() && *total > 0.0 {
            row.effective_weight = formula.weight / total;
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
    /// Trust tilt in a scene at a trust score as it is stored and sent: what is tilted by is what is shown.
    #[must_use]
    #[inline]
    pub fn tilt_at(&self, scene: Scene, trust: f32) -> f32 {
        to_f32(self.tilt.get(scene.index()).map_or(1.0, |curve| curve.at(f64::from(trust))))
    }

    /// Position of the tier a score falls in.
    #[must_use]
    pub fn tier_of(&self, score: f64) -> usize {
        self.tiers.iter().rposition(|tier| tier.min_score <= score).unwrap_or(0)
    }
}
