//! Signals (指标): measured quantities, declared in policy.

use super::curve::Curve;
use super::predicate::Predicate;
use super::window::{LevelId, SumId};

/// The three layers of trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Basic governance (基础治理).
    Governance,
    /// Consumer rights (消费者权益).
    ConsumerRights,
    /// Experience upgrade (体验升级).
    Experience,
}

impl Layer {
    /// All layers, bottom first.
    pub const ALL: [Self; 3] = [Self::Governance, Self::ConsumerRights, Self::Experience];

    /// Position in tables by layer.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Governance => 0,
            Self::ConsumerRights => 1,
            Self::Experience => 2,
        }
    }

    /// Name in policy files and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Governance => "governance",
            Self::ConsumerRights => "consumer_rights",
            Self::Experience => "experience",
        }
    }
}

/// The six dimensions a signal is tagged with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Product quality.
    ProductQuality,
    /// Service quality.
    ServiceQuality,
    /// Anchor attitude.
    AnchorAttitude,
    /// Product experience.
    ProductExperience,
    /// After-sales.
    AfterSales,
    /// Social evaluation.
    SocialEvaluation,
}

impl Dimension {
    /// Name in policy files and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProductQuality => "product_quality",
            Self::ServiceQuality => "service_quality",
            Self::AnchorAttitude => "anchor_attitude",
            Self::ProductExperience => "product_experience",
            Self::AfterSales => "after_sales",
            Self::SocialEvaluation => "social_evaluation",
        }
    }
}

/// A count a signal reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A flow, summed over a window.
    Sum(SumId),
    /// The latest level.
    Level(LevelId),
}

/// How a signal comes from counts.
#[derive(Clone, Debug, PartialEq)]
pub enum SignalKind {
    /// `n / d` with n a part of d.
    Share {
        /// n: the inputs added.
        numerator: Vec<Input>,
        /// d: the inputs added.
        denominator: Vec<Input>,
    },
    /// `n / d`, any ratio of sums, n scaled.
    Mean {
        /// n: the inputs added.
        numerator: Vec<Input>,
        /// d: the inputs added.
        denominator: Vec<Input>,
        /// Factor on n, e.g. 0.01 from fen to yuan.
        scale: f64,
    },
    /// The latest value of a level, scaled.
    Level {
        /// Which.
        level: LevelId,
        /// Factor, e.g. 0.0001 for four fixed-point decimals.
        scale: f64,
    },
    /// A window over an earlier one: 1 is no growth.
    Growth {
        /// The window now.
        current: SumId,
        /// The window before.
        previous: SumId,
    },
    /// Mean of other signals' values, over the smoothed value of another: the experience-price ratio.
    Composite {
        /// Positions of the signals, all before this one.
        parts: Vec<u16>,
        /// Position of the divisor, if any.
        over: Option<u16>,
    },
    /// From the profile, violations and rights.
    Derived(Derived),
}

impl SignalKind {
    /// Name in policy files and messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Share { .. } => "share",
            Self::Mean { .. } => "mean",
            Self::Level { .. } => "level",
            Self::Growth { .. } => "growth",
            Self::Composite { .. } => "composite",
            Self::Derived(_) => "derived",
        }
    }
}

/// Quantities that are not counted but follow from what is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derived {
    /// Violation points now, after decay.
    ViolationPoints,
    /// 1 if the owner ran another shop that was punished, else 0.
    PriorIdentityViolation,
    /// Weighted share of the applicable rights that are held.
    RightsCoverage,
    /// Whole days since the shop opened.
    DaysSinceOpening,
}

/// One signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Id in policy files.
    pub id: String,
    /// English name.
    pub name: String,
    /// Chinese name.
    pub name_zh: String,
    /// Layer it counts in.
    pub layer: Layer,
    /// Dimension it is tagged with.
    pub dimension: Dimension,
    /// How it comes from counts.
    pub kind: SignalKind,
    /// m: what small samples shrink to.
    pub prior_mean: f64,
    /// k: how many observations the prior is worth.
    pub prior_strength: f64,
    /// From the smoothed quantity to 0..1.
    pub curve: Curve,
    /// Weight in its layer.
    pub weight: f64,
    /// When it applies; elsewhere it is left out and the other weights renormalise.
    pub applies: Predicate,
}
