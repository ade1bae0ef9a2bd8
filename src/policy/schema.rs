//! The shape of policy files. Unknown keys are refused; spans lead back to the line.
//!
//! Comments of types and fields become the descriptions of the JSON Schemas in `policy/schema`.

use super::spanned::Spanned;
use schemars::JsonSchema;
use serde::Deserialize;

/// Points of a curve: x and y.
pub(super) type Points = Vec<(f64, f64)>;

/// The trust score (信任分): counters, layers, tilt, tiers and signals.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScoreFile {
    /// How long a recommender may keep an answer, in milliseconds, at most 3,600,000.
    #[schemars(range(max = 3_600_000))]
    pub(super) cache_ttl_ms: Spanned<u32>,
    /// Largest boost weight (加权), 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub(super) weight_ceiling: Spanned<f64>,
    /// A flow: the first day on which it is above 0 is the merchant's first sale.
    pub(super) first_sale_counter: Spanned<String>,
    /// Categories in which nothing is shipped, at most 256: merchants of these alone do not ship goods.
    #[schemars(length(max = 256))]
    pub(super) no_logistics: Spanned<Vec<String>>,
    /// Merchants kept out of all programmes (全局对照组).
    pub(super) holdout: Option<HoldoutFile>,
    /// Signals whose plain average stands beside the score when scores are measured against outcomes.
    pub(super) plain_average: Option<Spanned<Vec<String>>>,
    /// The three layers (三层): their weights add up to 1.
    pub(super) layer: Spanned<LayersFile>,
    /// From trust score to a factor on the weight, by scene (场域).
    pub(super) tilt: TiltFile,
    /// Bands of trust scores (信任等级), lowest first, 1 to 32; the first begins at 0.
    #[schemars(length(min = 1, max = 32))]
    pub(super) tier: Spanned<Vec<TierFile>>,
    /// What merchants' days are made of.
    #[serde(default)]
    pub(super) counter: Vec<CounterFile>,
    /// Measured quantities (指标), at most 512; weights add up to 1 within each layer.
    #[serde(default)]
    #[schemars(length(max = 512))]
    pub(super) signal: Vec<SignalFile>,
    /// What scores are measured by, at most 16.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(super) outcome: Vec<super::outcomes::OutcomeFile>,
}

/// The three layers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LayersFile {
    /// Basic governance (基础治理).
    pub(super) governance: LayerFile,
    /// Consumer rights (消费者权益).
    pub(super) consumer_rights: LayerFile,
    /// Experience upgrade (体验升级).
    pub(super) experience: LayerFile,
}

/// One layer.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LayerFile {
    /// Share of the score, 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub(super) weight: Spanned<f64>,
    /// Score of a merchant to whom no signal of the layer applies, 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub(super) prior: Spanned<f64>,
}

/// From trust score (0 to 100) to a factor from 0.01 to the ceiling, by scene; never falling.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TiltFile {
    /// Live (直播).
    #[schemars(length(min = 1, max = 256))]
    pub(super) live: Spanned<Points>,
    /// Short video (短视频).
    #[schemars(length(min = 1, max = 256))]
    pub(super) short_video: Spanned<Points>,
    /// Image-text (图文).
    #[schemars(length(min = 1, max = 256))]
    pub(super) image_text: Spanned<Points>,
    /// Search (搜索).
    #[schemars(length(min = 1, max = 256))]
    pub(super) search: Spanned<Points>,
    /// Mall (商城).
    #[schemars(length(min = 1, max = 256))]
    pub(super) mall: Spanned<Points>,
    /// Store (店铺).
    #[schemars(length(min = 1, max = 256))]
    pub(super) store: Spanned<Points>,
}

/// A band of trust scores.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TierFile {
    /// Id: 1 to 64 lower-case letters, digits and _.
    pub(super) id: Spanned<String>,
    /// English name.
    pub(super) name: String,
    /// Chinese name.
    pub(super) name_zh: String,
    /// Lowest score of the band, 0 to 100, above that of the band before.
    #[schemars(range(min = 0, max = 100))]
    pub(super) min_score: Spanned<f64>,
    /// Factor on the price of ads (商业化价格系数), 0.1 to 10.
    #[schemars(range(min = 0.1, max = 10))]
    pub(super) ad_price_factor: Spanned<f64>,
}

/// One counter.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CounterFile {
    /// Name: 1 to 64 lower-case letters, digits and _.
    pub(super) name: Spanned<String>,
    /// How it is read.
    pub(super) kind: CounterKindFile,
    /// What it counts, e.g. `orders`, `fen`, `1/10000`.
    pub(super) unit: String,
    /// What it means.
    pub(super) description: String,
    /// Whether what it counts of a day becomes known later: nothing that scores may read it.
    #[serde(default)]
    pub(super) hindsight: bool,
}

/// How a counter is read.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CounterKindFile {
    /// Summed over a window (累计).
    Flow,
    /// The latest value counts (最新值).
    Level,
}

/// One signal (指标). Which of the optional keys it needs depends on its kind.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignalFile {
    /// Id: 1 to 64 lower-case letters, digits and _.
    pub(super) id: Spanned<String>,
    /// English name.
    pub(super) name: String,
    /// Chinese name.
    pub(super) name_zh: String,
    /// The layer (层) it belongs to.
    pub(super) layer: LayerName,
    /// One of the six dimensions (六维).
    pub(super) dimension: DimensionName,
    /// How it comes from counts.
    pub(super) kind: KindName,
    /// Of share and mean: counters that are added above the line, 1 to 64.
    #[schemars(length(min = 1, max = 64))]
    pub(super) numerator: Option<Spanned<Vec<String>>>,
    /// Of share and mean: counters that are added below the line, 1 to 64.
    #[schemars(length(min = 1, max = 64))]
    pub(super) denominator: Option<Spanned<Vec<String>>>,
    /// Of level and growth: the counter.
    pub(super) counter: Option<Spanned<String>>,
    /// Of mean and level: factor on the value, 1e-9 to 1e9; 1 if absent.
    #[schemars(range(min = 1e-9, max = 1e9))]
    pub(super) scale: Option<Spanned<f64>>,
    /// Of share, mean and growth over flows: whole closed days of Asia/Shanghai, e.g. `30d`, `week`, `lifetime`,
    /// `30d from opening`, `30d from first_sale`, `30d from enrolment:LIST`.
    pub(super) window: Option<Spanned<String>>,
    /// Moves the window back by so many days, 0 to 3660; of growth, where the earlier window lies.
    #[schemars(range(max = 3660))]
    pub(super) offset_days: Option<Spanned<u16>>,
    /// Of composite: signals above this one whose values are averaged, 1 to 64.
    #[schemars(length(min = 1, max = 64))]
    pub(super) parts: Option<Spanned<Vec<String>>>,
    /// Of composite: a signal above this one by which the average is divided (体验价格比: the price index).
    pub(super) over: Option<Spanned<String>>,
    /// Of derived: which quantity.
    pub(super) derived: Option<Spanned<DerivedName>>,
    /// What an average merchant has, inside the curve; 0 to 1 for a share.
    #[schemars(range(min = 0, max = 1e12))]
    pub(super) prior_mean: Option<Spanned<f64>>,
    /// How many observations the prior is worth, up to 1e12.
    #[schemars(range(min = 0, max = 1e12))]
    pub(super) prior_strength: Option<Spanned<f64>>,
    /// From the smoothed value to 0..1: x rising, y only rising or only falling, 1 to 256 points.
    #[schemars(length(min = 1, max = 256))]
    pub(super) curve: Spanned<Points>,
    /// Share of the layer, 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub(super) weight: Spanned<f64>,
    /// An expression over merchant, rights, facts and level; where it does not hold the signal does not apply.
    pub(super) applies: Option<Spanned<String>>,
}

/// The layers by name.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LayerName {
    /// Basic governance (基础治理).
    Governance,
    /// Consumer rights (消费者权益).
    ConsumerRights,
    /// Experience upgrade (体验升级).
    Experience,
}

/// The six dimensions by name.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DimensionName {
    /// Product quality (商品质量).
    ProductQuality,
    /// Service quality (服务质量).
    ServiceQuality,
    /// Anchor attitude (主播态度).
    AnchorAttitude,
    /// Product experience (商品体验).
    ProductExperience,
    /// After-sales (售后).
    AfterSales,
    /// Social evaluation (社会评价).
    SocialEvaluation,
}

/// The kinds of signals by name.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum KindName {
    /// n / d, n a part of d (占比).
    Share,
    /// scale · n / d (均值).
    Mean,
    /// scale · the latest level (最新值).
    Level,
    /// A sum over its earlier self (增长).
    Growth,
    /// The average of signals above it, divided by another (组合).
    Composite,
    /// What the service knows by itself (派生).
    Derived,
}

/// Derived quantities by name.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DerivedName {
    /// Points of violations that have not decayed yet (违规积分).
    ViolationPoints,
    /// 1 if the owner ran another shop that was punished (马甲).
    PriorIdentityViolation,
    /// Weight of the rights held over that of those that apply (权益覆盖).
    RightsCoverage,
    /// Whole days since opening (开店天数).
    DaysSinceOpening,
}

/// The catalogue of rights (权益): dated guarantees to consumers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RightsFile {
    /// The rights, at most 256; their weights add up to 1.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub(super) right: Vec<RightFile>,
}

/// One right.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RightFile {
    /// Id: 1 to 64 lower-case letters, digits and _.
    pub(super) id: Spanned<String>,
    /// English name.
    pub(super) name: String,
    /// Chinese name.
    pub(super) name_zh: String,
    /// First day (Asia/Shanghai) on which it exists, YYYY-MM-DD.
    pub(super) first_day: Option<Spanned<String>>,
    /// Last day on which it exists, YYYY-MM-DD, included.
    pub(super) last_day: Option<Spanned<String>>,
    /// Categories (类目) it is for; all if none is named.
    #[serde(default)]
    pub(super) categories: Vec<String>,
    /// Categories it is not for.
    #[serde(default)]
    pub(super) except_categories: Vec<String>,
    /// Share of the full set of rights, 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub(super) weight: Spanned<f64>,
    /// Unit of its parameter, e.g. `days`.
    #[serde(default)]
    pub(super) parameter_unit: String,
    /// Values of its parameter, sorted by day, at most 256.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub(super) parameters: Vec<ParameterFile>,
}

/// One value of a right's parameter.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ParameterFile {
    /// Day from which it holds, YYYY-MM-DD.
    pub(super) first_day: Spanned<String>,
    /// The value, in the right's unit.
    pub(super) value: u64,
}

/// Types of violations (违规).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ViolationsFile {
    /// The types, at most 256.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub(super) violation: Vec<ViolationFile>,
}

/// One type of violation and what it does.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ViolationFile {
    /// Id: 1 to 64 lower-case letters, digits and _.
    pub(super) id: Spanned<String>,
    /// English name.
    pub(super) name: String,
    /// Chinese name.
    pub(super) name_zh: String,
    /// Whom it punishes.
    pub(super) scope: ScopeName,
    /// Factors on the weight while it is active.
    #[serde(default)]
    pub(super) factors: FactorsFile,
    /// Whether the trust score is 0 while it is active (封禁).
    #[serde(default)]
    pub(super) closes_gate: bool,
    /// Points it adds to the signal `violation_points`, 0 to 1000.
    #[schemars(range(min = 0, max = 1000))]
    pub(super) points: Spanned<f64>,
    /// Days over which the points fall to 0, in a straight line, 1 to 3660; needed where there are points.
    #[schemars(range(min = 1, max = 3660))]
    pub(super) decay_days: Option<Spanned<u16>>,
    /// Days it is active when the recorder names no end, 1 to 3660; until revoked if absent.
    #[schemars(range(min = 1, max = 3660))]
    pub(super) default_days: Option<Spanned<u16>>,
    /// Whether the weekly waiver (豁免券) takes it away.
    #[serde(default)]
    pub(super) waivable: bool,
    /// Whether force majeure (不可抗力) takes it away.
    #[serde(default)]
    pub(super) force_majeure_exempt: bool,
}

/// Whom a violation punishes.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ScopeName {
    /// Everything of the merchant (商家).
    Merchant,
    /// The one item it is about.
    Item,
}

/// Factors on the weight by kind of target, 0 to 1; 0 excludes, what is not named is not touched.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FactorsFile {
    /// Live rooms (直播间).
    #[schemars(range(min = 0, max = 1))]
    pub(super) live_room: Option<Spanned<f64>>,
    /// Products (商品).
    #[schemars(range(min = 0, max = 1))]
    pub(super) product: Option<Spanned<f64>>,
    /// The merchant itself (商家).
    #[schemars(range(min = 0, max = 1))]
    pub(super) merchant: Option<Spanned<f64>>,
    /// Short videos (短视频).
    #[schemars(range(min = 0, max = 1))]
    pub(super) short_video: Option<Spanned<f64>>,
}

/// Force majeure (不可抗力): regions and days whose orders leave the rates of shipping and collection.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForceMajeureFile {
    /// The regions, at most 4096.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub(super) region: Vec<RegionFile>,
}

/// One region and its days.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionFile {
    /// Region (地区), as profiles and orders name it.
    pub(super) id: Spanned<String>,
    /// First day (Asia/Shanghai), YYYY-MM-DD.
    pub(super) first_day: Spanned<String>,
    /// Last day, YYYY-MM-DD, included.
    pub(super) last_day: Spanned<String>,
}

/// The high-in-stock waiver (高现货豁免), decided on the previous natural week.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WaiverFile {
    /// Paid orders must be more than this.
    pub(super) paid_orders_above: Spanned<u64>,
    /// The share of promised in-stock orders (承诺现货) must be more than this, in basis points, 0 to 10000.
    #[schemars(range(max = 10000))]
    pub(super) promised_share_above_bp: Spanned<u32>,
    /// Timely shipping (及时发货率) must be at least this, in basis points, 0 to 10000.
    #[schemars(range(max = 10000))]
    pub(super) timely_share_at_least_bp: Spanned<u32>,
    /// Whether lightning-buy orders (闪电购) stay below the line of the promised share.
    pub(super) lightning_buy_in_denominator: bool,
}

/// Merchants kept out (对照组), to measure the lift.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldoutFile {
    /// Share of merchants kept out, 0 to 0.5.
    #[schemars(range(min = 0, max = 0.5))]
    pub(super) share: Spanned<f64>,
    /// Holdouts of one salt keep out the same merchants; if absent the programme's id, or `global`.
    pub(super) salt: Option<String>,
}

/// Stages of a merchant's life cycle (生命周期).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LifeCycleFile {
    /// The stages, at most 32: a merchant is in the first whose condition holds.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub(super) stage: Vec<StageFile>,
}

/// One stage.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StageFile {
    /// Id: 1 to 64 lower-case letters, digits and _.
    pub(super) id: Spanned<String>,
    /// English name.
    pub(super) name: String,
    /// Chinese name.
    pub(super) name_zh: String,
    /// An expression over the merchant; who is in it unless an earlier stage has them.
    pub(super) when: Spanned<String>,
}

/// Service providers (服务商).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProvidersFile {
    /// How they are ranked (赛马).
    pub(super) ranking: RankingFile,
}

/// How service providers are ranked in each round.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RankingFile {
    /// A flow, summed over the provider's merchants; the larger, the better.
    pub(super) counter: Spanned<String>,
    /// Over which days: `week` or e.g. `30d`.
    pub(super) window: Spanned<String>,
    /// Access (准入): providers with a capability below this are not ranked, 0 to 100.
    #[schemars(range(max = 100))]
    pub(super) min_capability: Spanned<u8>,
}
