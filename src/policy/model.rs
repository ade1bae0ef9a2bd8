//! A compiled policy, and the dictionary of names it shares with the policies before and after it.

use crate::domain::{CounterId, DAY_MS, Timestamp};
use crate::traffic::{Holdout, Programme, ProviderRanking, Recipe, Rules, Stage, WeightRules};
use crate::trust::validation::ValidationRules;
use crate::trust::{Curve, FactsLayout, Formulas, Input, ScoreModel, SignalKind, SumId, Tier};

/// Names that keep their numbers from version to version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dictionary {
    /// Counters: the position of a name is its [`CounterId`]. Grows; ids are never reused.
    pub counters: Vec<String>,
    /// Programmes: the position of a name is its bit; a position that holds an empty name is free.
    pub programme_bits: Vec<String>,
    /// By bit: when the programme left the policy that serves, if it has. Shorter where none has.
    pub programme_retired: Vec<Option<Timestamp>>,
    /// State time, which decides whose bits are free again.
    pub now: Timestamp,
}

/// How long the bit of a programme that left stays its own: reports and answers in caches still name it.
pub const BIT_REUSED_AFTER_DAYS: i64 = 30;

impl Dictionary {
    /// When a bit comes free, if its programme has retired.
    fn free_at(&self, bit: usize) -> Option<Timestamp> {
        let retired = self.programme_retired.get(bit).copied().flatten()?;
        Some(retired.plus_ms(BIT_REUSED_AFTER_DAYS * DAY_MS))
    }

    /// The bit that was free the longest, if any is.
    pub(super) fn free_bit(&self) -> Option<usize> {
        let retired = (0..self.programme_bits.len()).filter_map(|bit| Some((self.free_at(bit)?, bit)));
        retired.min().filter(|(at, _)| *at <= self.now).map(|(_, bit)| bit)
    }

    /// Takes back that programmes have retired: nobody else gets their bits.
    pub(super) fn keep<'a>(&mut self, ids: impl Iterator<Item = &'a str>) {
        for id in ids {
            let bit = self.programme_bits.iter().position(|name| name == id);
            if let Some(retired) = bit.and_then(|bit| self.programme_retired.get_mut(bit)) {
                *retired = None;
            }
        }
    }

    /// Which bit comes free next, and when, in words.
    pub(super) fn shortage(&self) -> String {
        let retired = (0..self.programme_bits.len()).filter_map(|bit| Some((self.free_at(bit)?, bit)));
        match retired.min().and_then(|(at, bit)| Some((at, self.programme_bits.get(bit)?))) {
            Some((at, name)) => {
                let day = at.day();
                format!("all 64 are in use or were until lately; that of `{name}`, which left, comes free on {day}")
            }
            None => "all 64 are in use, and none of their programmes has left".to_owned(),
        }
    }
}

/// How a counter is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterKind {
    /// Summed over a window.
    Flow,
    /// The latest value counts.
    Level,
}

/// A counter that a policy declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterDef {
    /// Its id in the dictionary.
    pub id: CounterId,
    /// Name in policy files, imports and requests.
    pub name: String,
    /// How it is read.
    pub kind: CounterKind,
    /// What it counts, e.g. `orders` or `fen`.
    pub unit: String,
    /// What it means.
    pub description: String,
    /// Whether what it counts of a day becomes known later. Outcomes read it; signals and expressions may not.
    pub hindsight: bool,
}

/// The counters that decide about the high-in-stock waiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaiverCounters {
    /// Paid orders.
    pub paid_orders: CounterId,
    /// Paid orders with a promise of 24 or 48 hours, without lightning buy.
    pub promised_orders: CounterId,
    /// Paid lightning-buy orders.
    pub lightning_buy_orders: CounterId,
    /// Shipments due.
    pub shipments_due: CounterId,
    /// Of those, shipped on time.
    pub shipped_on_time: CounterId,
}

/// A checked and compiled policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its version; 0 before the first publish.
    pub version: u64,
    /// XXH3-128 of its files, 32 hexadecimal digits; independent of where they came from.
    pub hash: String,
    /// `embedded`, or the folder it was read from.
    pub source: String,
    /// The declared counters, by id.
    pub counters: Vec<CounterDef>,
    /// How scores come about.
    pub model: ScoreModel,
    /// Which window sums of items are needed.
    pub item_layout: FactsLayout,
    /// Stages of a merchant's life cycle, in the order they are tried.
    pub stages: Vec<Stage>,
    /// How service providers are ranked, if they are.
    pub provider_ranking: Option<ProviderRanking>,
    /// Merchants kept out of all programmes, if any.
    pub holdout: Option<Holdout>,
    /// The programmes, by id.
    pub programmes: Vec<Programme>,
    /// How records are made: of signals, stages and programmes.
    pub recipe: Recipe,
    /// What all weights share.
    pub weight_rules: WeightRules,
    /// How long a caller may keep an answer.
    pub cache_ttl_ms: u32,
    /// Of the layouts of sums and levels: equal layouts have equal fingerprints.
    pub layout_fingerprint: u64,
    /// The same for those of items.
    pub item_layout_fingerprint: u64,
    /// What the waiver is decided by, if the policy has one.
    pub waiver_counters: Option<WaiverCounters>,
    /// What scores are measured by.
    pub validation: ValidationRules,
}

impl Policy {
    /// What a merchant's record is made by; `disabled` flags signals without effect, by position.
    #[must_use]
    pub fn rules<'a>(&'a self, disabled: &'a [bool]) -> Rules<'a> {
        Rules {
            model: &self.model,
            disabled,
            stages: &self.stages,
            programmes: &self.programmes,
            recipe: &self.recipe,
            holdout: self.holdout.as_ref(),
        }
    }

    /// The id of a declared counter.
    #[must_use]
    pub fn counter(&self, name: &str) -> Option<CounterId> {
        self.counters.iter().find(|counter| counter.name == name).map(|counter| counter.id)
    }

    /// The counters that a signal reads, ascending. Composite and derived signals read none.
    #[must_use]
    pub fn signal_counters(&self, index: usize) -> Vec<CounterId> {
        let layout = &self.model.layout;
        let flow = |sum: SumId| layout.sum(sum).map(|(counter, _)| *counter);
        let level = |level: crate::trust::LevelId| layout.levels().get(usize::from(level.0)).copied();
        let input = |input: &Input| match input {
            Input::Sum(id) => flow(*id),
            Input::Level(id) => level(*id),
        };
        let Some(signal) = self.model.signals.get(index) else { return Vec::new() };
        let mut counters: Vec<CounterId> = match &signal.kind {
            SignalKind::Share { numerator, denominator } | SignalKind::Mean { numerator, denominator, .. } => {
                numerator.iter().chain(denominator).filter_map(input).collect()
            }
            SignalKind::Level { level: id, .. } => level(*id).into_iter().collect(),
            SignalKind::Growth { current, previous } => [*current, *previous].into_iter().filter_map(flow).collect(),
            SignalKind::Composite { .. } | SignalKind::Derived(_) => Vec::new(),
        };
        counters.sort_unstable();
        counters.dedup();
        counters
    }

    /// The policy before the first publish: version 0, no signals, every weight neutral.
    #[must_use]
    pub fn empty() -> Self {
        let layout = FactsLayout::default();
        Self {
            version: 0,
            hash: "0".repeat(32),
            source: String::new(),
            counters: Vec::new(),
            layout_fingerprint: super::layout::fingerprint(&layout),
            item_layout_fingerprint: super::layout::fingerprint(&FactsLayout::default()),
            item_layout: FactsLayout::default(),
            stages: Vec::new(),
            provider_ranking: None,
            holdout: None,
            model: ScoreModel {
                layout,
                signals: Vec::new(),
                formulas: Formulas::default(),
                layer_weights: [0.25, 0.25, 0.5],
                layer_priors: [0.5; 3],
                tiers: vec![Tier {
                    id: "standard".to_owned(),
                    name: "Standard".to_owned(),
                    name_zh: "标准".to_owned(),
                    min_score: 0.0,
                    ad_price_factor: 1.0,
                }],
                tilt: std::array::from_fn(|_| Curve::flat(1.0)),
                rights: Vec::new(),
                violations: crate::trust::governance::Violations::default(),
            },
            programmes: Vec::new(),
            recipe: Recipe::default(),
            weight_rules: WeightRules::new(10.0, &[]),
            cache_ttl_ms: 1_000,
            waiver_counters: None,
            validation: ValidationRules::default(),
        }
    }
}
