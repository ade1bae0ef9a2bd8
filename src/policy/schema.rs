//! The shape of policy files. Unknown keys are refused; spans lead back to the line.

use serde::Deserialize;
use toml::Spanned;

/// Points of a curve: x and y.
pub(super) type Points = Vec<(f64, f64)>;

/// `score.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScoreFile {
    pub(super) cache_ttl_ms: Spanned<u32>,
    pub(super) weight_ceiling: Spanned<f64>,
    pub(super) first_sale_counter: Spanned<String>,
    pub(super) no_logistics: Vec<String>,
    pub(super) holdout: Option<HoldoutFile>,
    pub(super) plain_average: Option<Spanned<Vec<String>>>,
    pub(super) layer: Spanned<LayersFile>,
    pub(super) tilt: TiltFile,
    pub(super) tier: Spanned<Vec<TierFile>>,
    #[serde(default)]
    pub(super) counter: Vec<CounterFile>,
    #[serde(default)]
    pub(super) signal: Vec<SignalFile>,
    #[serde(default)]
    pub(super) outcome: Vec<super::outcomes::OutcomeFile>,
}

/// The three layers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LayersFile {
    pub(super) governance: LayerFile,
    pub(super) consumer_rights: LayerFile,
    pub(super) experience: LayerFile,
}

/// One layer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LayerFile {
    pub(super) weight: Spanned<f64>,
    pub(super) prior: Spanned<f64>,
}

/// From trust score to tilt, by scene.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TiltFile {
    pub(super) live: Spanned<Points>,
    pub(super) short_video: Spanned<Points>,
    pub(super) image_text: Spanned<Points>,
    pub(super) search: Spanned<Points>,
    pub(super) mall: Spanned<Points>,
    pub(super) store: Spanned<Points>,
}

/// `[[tier]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TierFile {
    pub(super) id: Spanned<String>,
    pub(super) name: String,
    pub(super) name_zh: String,
    pub(super) min_score: Spanned<f64>,
    pub(super) ad_price_factor: Spanned<f64>,
}

/// `[[counter]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CounterFile {
    pub(super) name: Spanned<String>,
    pub(super) kind: CounterKindFile,
    pub(super) unit: String,
    pub(super) description: String,
    /// Whether what it counts of a day becomes known later: nothing that scores may read it.
    #[serde(default)]
    pub(super) hindsight: bool,
}

/// How a counter is read.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CounterKindFile {
    Flow,
    Level,
}

/// `[[signal]]`. Which of the optional keys it needs depends on its kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignalFile {
    pub(super) id: Spanned<String>,
    pub(super) name: String,
    pub(super) name_zh: String,
    pub(super) layer: LayerName,
    pub(super) dimension: DimensionName,
    pub(super) kind: KindName,
    pub(super) numerator: Option<Spanned<Vec<String>>>,
    pub(super) denominator: Option<Spanned<Vec<String>>>,
    pub(super) counter: Option<Spanned<String>>,
    pub(super) scale: Option<Spanned<f64>>,
    pub(super) window: Option<Spanned<String>>,
    pub(super) offset_days: Option<Spanned<u16>>,
    pub(super) parts: Option<Spanned<Vec<String>>>,
    pub(super) over: Option<Spanned<String>>,
    pub(super) derived: Option<Spanned<DerivedName>>,
    pub(super) prior_mean: Option<Spanned<f64>>,
    pub(super) prior_strength: Option<Spanned<f64>>,
    pub(super) curve: Spanned<Points>,
    pub(super) weight: Spanned<f64>,
    pub(super) applies: Option<Spanned<String>>,
}

/// The layers by name.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LayerName {
    Governance,
    ConsumerRights,
    Experience,
}

/// The six dimensions by name.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DimensionName {
    ProductQuality,
    ServiceQuality,
    AnchorAttitude,
    ProductExperience,
    AfterSales,
    SocialEvaluation,
}

/// The kinds of signals by name.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KindName {
    Share,
    Mean,
    Level,
    Growth,
    Composite,
    Derived,
}

/// Derived quantities by name.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DerivedName {
    ViolationPoints,
    PriorIdentityViolation,
    RightsCoverage,
    DaysSinceOpening,
}

/// `rights.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RightsFile {
    #[serde(default)]
    pub(super) right: Vec<RightFile>,
}

/// `[[right]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RightFile {
    pub(super) id: Spanned<String>,
    pub(super) name: String,
    pub(super) name_zh: String,
    pub(super) first_day: Option<Spanned<String>>,
    pub(super) last_day: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) categories: Vec<String>,
    #[serde(default)]
    pub(super) except_categories: Vec<String>,
    pub(super) weight: Spanned<f64>,
    #[serde(default)]
    pub(super) parameter_unit: String,
    #[serde(default)]
    pub(super) parameters: Vec<ParameterFile>,
}

/// One value of a right's parameter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ParameterFile {
    pub(super) first_day: Spanned<String>,
    pub(super) value: u64,
}

/// `violations.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ViolationsFile {
    #[serde(default)]
    pub(super) violation: Vec<ViolationFile>,
}

/// `[[violation]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ViolationFile {
    pub(super) id: Spanned<String>,
    pub(super) name: String,
    pub(super) name_zh: String,
    pub(super) scope: ScopeName,
    #[serde(default)]
    pub(super) factors: FactorsFile,
    #[serde(default)]
    pub(super) closes_gate: bool,
    pub(super) points: Spanned<f64>,
    pub(super) decay_days: Option<Spanned<u16>>,
    pub(super) default_days: Option<Spanned<u16>>,
    #[serde(default)]
    pub(super) waivable: bool,
    #[serde(default)]
    pub(super) force_majeure_exempt: bool,
}

/// Whom a violation punishes.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ScopeName {
    Merchant,
    Item,
}

/// Factors on the weight by kind of target; what is not named is not touched.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FactorsFile {
    pub(super) live_room: Option<Spanned<f64>>,
    pub(super) product: Option<Spanned<f64>>,
    pub(super) merchant: Option<Spanned<f64>>,
    pub(super) short_video: Option<Spanned<f64>>,
}

/// `rules/force_majeure.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForceMajeureFile {
    #[serde(default)]
    pub(super) region: Vec<RegionFile>,
}

/// `[[region]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionFile {
    pub(super) id: Spanned<String>,
    pub(super) first_day: Spanned<String>,
    pub(super) last_day: Spanned<String>,
}

/// `rules/high_in_stock_waiver.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaiverFile {
    pub(super) paid_orders_above: Spanned<u64>,
    pub(super) promised_share_above_bp: Spanned<u32>,
    pub(super) timely_share_at_least_bp: Spanned<u32>,
    pub(super) lightning_buy_in_denominator: bool,
}

/// Merchants kept out of one programme, or of all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldoutFile {
    pub(super) share: Spanned<f64>,
    pub(super) salt: Option<String>,
}

/// `life_cycle.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LifeCycleFile {
    #[serde(default)]
    pub(super) stage: Vec<StageFile>,
}

/// `[[stage]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StageFile {
    pub(super) id: Spanned<String>,
    pub(super) name: String,
    pub(super) name_zh: String,
    pub(super) when: Spanned<String>,
}

/// `providers.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProvidersFile {
    pub(super) ranking: RankingFile,
}

/// `[ranking]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RankingFile {
    pub(super) counter: Spanned<String>,
    pub(super) window: Spanned<String>,
    pub(super) min_capability: Spanned<u8>,
}
