//! The shape of programme files. Unknown keys are refused; spans lead back to the line.
//!
//! Comments of types and fields become the descriptions of the JSON Schema in `policy/schema`.

use super::schema::{HoldoutFile, Points};
use super::spanned::Spanned;
use schemars::JsonSchema;
use serde::Deserialize;

/// A programme (扶持计划) or campaign (活动). The file's name is its id. There is no default kind.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProgrammeFile {
    /// English name.
    pub(super) name: String,
    /// Chinese name.
    pub(super) name_zh: String,
    /// Where the rule comes from: the number of a seed text, three digits.
    #[schemars(regex(pattern = "^[0-9]{3}$"))]
    pub(super) seed: Spanned<String>,
    /// Area of support (扶持方向).
    pub(super) area: AreaName,
    /// How it takes part in weights.
    pub(super) kind: Spanned<ProgrammeKindName>,
    /// Scenes (场域) it works in.
    #[schemars(length(min = 1))]
    pub(super) scenes: Spanned<Vec<SceneName>>,
    /// Kinds of targets it works for; all if absent.
    #[schemars(length(min = 1))]
    pub(super) targets: Option<Spanned<Vec<TargetName>>>,
    /// First day (Asia/Shanghai), YYYY-MM-DD.
    pub(super) first_day: Option<Spanned<String>>,
    /// Last day, YYYY-MM-DD, included.
    pub(super) last_day: Option<Spanned<String>>,
    /// Days of the week it works on; all if absent.
    #[schemars(length(min = 1))]
    pub(super) weekdays: Option<Spanned<Vec<WeekdayName>>>,
    /// First hour and the hour after the last, 0 to 24, e.g. [19, 24]; the whole day if absent.
    pub(super) hours: Option<Spanned<(u8, u8)>>,
    /// A CEL expression: which merchants, and with product, room and video columns which of their items. At most 4096
    /// bytes and 64 comparisons.
    pub(super) eligibility: Spanned<String>,
    /// What single scenes ask for besides, at most 32; tilt and support only.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub(super) scene_condition: Vec<SceneConditionFile>,
    /// How much it lifts (加权幅度); tilt and support only.
    pub(super) uplift: Option<Spanned<UpliftFile>>,
    /// Scales the uplift by what the item is, at most 32; the first that holds counts, 1 if none does.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub(super) item_uplift: Vec<ItemUpliftFile>,
    /// Of a modifier: the programmes whose uplift it scales.
    pub(super) modifies: Option<Spanned<Vec<String>>>,
    /// Of a modifier: by how much, 0 to 10.
    #[schemars(range(min = 0, max = 10))]
    pub(super) factor: Option<Spanned<f64>>,
    /// Of the tilt programmes in one group only the largest counts; its id if absent.
    pub(super) stacking_group: Option<Spanned<String>>,
    /// No merchant may be in two programmes of one group at the same time (互斥).
    pub(super) exclusive_group: Option<Spanned<String>>,
    /// Computed and explained, not applied (影子).
    #[serde(default)]
    pub(super) shadow: bool,
    /// Members kept out of it (对照组).
    pub(super) holdout: Option<HoldoutFile>,
    /// Exposures (曝光) it may spend; support and hard only, which need one.
    pub(super) budget: Option<Spanned<BudgetFile>>,
    /// Exposures promised to each member (保量); support only.
    pub(super) guarantee: Option<Spanned<GuaranteeFile>>,
    /// Exposures a member may have; support and hard only.
    pub(super) cap: Option<Spanned<CapFile>>,
    /// Labels (标签) of its members.
    #[serde(default)]
    pub(super) labels: Vec<LabelName>,
    /// Labels of members that also meet a condition, at most 32.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub(super) conditional_label: Vec<ConditionalLabelFile>,
}

/// The five areas of support (seed 000).
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum AreaName {
    /// Exposures (流量).
    Traffic,
    /// Goods (货源).
    Supplies,
    /// Campaigns (活动).
    Activities,
    /// Rules that favour (政策).
    Policies,
    /// Tools (产品).
    Products,
}

/// How a programme takes part.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ProgrammeKindName {
    /// A factor without a budget (倾斜).
    Tilt,
    /// An uplift; an exposure is charged to at most one (扶持).
    Support,
    /// Every exposure of a member counts; nothing is added (硬预算).
    Hard,
    /// Scales the uplift of other programmes (系数).
    Modifier,
}

/// Scenes (场域), and words for several.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SceneName {
    /// Live (直播).
    Live,
    /// Short video (短视频).
    ShortVideo,
    /// Image-text (图文).
    ImageText,
    /// Search (搜索).
    Search,
    /// Mall (商城).
    Mall,
    /// Store (店铺).
    Store,
    /// Search, mall and store (泛货架).
    PanShelf,
    /// Every scene.
    All,
}

/// How much a programme lifts: exactly one of these. 0.5 means half as much again; the ceiling less 1 is the most.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpliftFile {
    /// The same for all members.
    #[schemars(range(min = 0))]
    pub(super) constant: Option<Spanned<f64>>,
    /// From trust score (0 to 100) to uplift, never falling, 1 to 256 points.
    #[schemars(length(min = 1, max = 256))]
    pub(super) by_trust: Option<Spanned<Points>>,
    /// By condition, at most 32; the first that holds counts, 0 if none does.
    #[schemars(length(min = 1, max = 32))]
    pub(super) cases: Option<Vec<CaseFile>>,
}

/// One case of an uplift.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseFile {
    /// An expression over the merchant.
    pub(super) when: Spanned<String>,
    /// The uplift where it holds.
    #[schemars(range(min = 0))]
    pub(super) uplift: Spanned<f64>,
}

/// Labels for members that also meet a condition.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConditionalLabelFile {
    /// An expression over the merchant.
    pub(super) when: Spanned<String>,
    /// The labels.
    pub(super) labels: Vec<LabelName>,
}

/// Labels that a programme may give.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum LabelName {
    /// Trust Purchase (信任购).
    TrustPurchase,
    /// Kuai brand (快品牌).
    KuaiBrand,
    /// Brand (品牌).
    Brand,
    /// New merchant (新商).
    NewMerchant,
    /// Benchmark (标杆).
    Benchmark,
}

/// Kinds of targets by name.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TargetName {
    /// Live room (直播间).
    LiveRoom,
    /// Product (商品).
    Product,
    /// The merchant itself (商家).
    Merchant,
    /// Short video (短视频).
    ShortVideo,
}

/// Days of the week by name.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum WeekdayName {
    /// Monday (周一).
    Mon,
    /// Tuesday (周二).
    Tue,
    /// Wednesday (周三).
    Wed,
    /// Thursday (周四).
    Thu,
    /// Friday (周五).
    Fri,
    /// Saturday (周六).
    Sat,
    /// Sunday (周日).
    Sun,
}

/// What single scenes ask for besides.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SceneConditionFile {
    /// The scenes.
    #[schemars(length(min = 1))]
    pub(super) scenes: Spanned<Vec<SceneName>>,
    /// An expression over the merchant that membership needs there.
    pub(super) when: Spanned<String>,
}

/// Scales the uplift for items that meet a condition.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ItemUpliftFile {
    /// An expression over product, room or video columns.
    pub(super) when: Spanned<String>,
    /// Factor on the uplift, 0 to 10.
    #[schemars(range(min = 0, max = 10))]
    pub(super) factor: Spanned<f64>,
}

/// Exposures (曝光) to spend.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BudgetFile {
    /// How many in each period, at least 1.
    #[schemars(range(min = 1))]
    pub(super) exposures: Spanned<u64>,
    /// How often it begins anew.
    pub(super) period: PeriodName,
    /// How it is spread over a period (匀速投放); even if absent.
    #[serde(default)]
    pub(super) pacing: PacingName,
    /// With pacing = "curve": from share of the period to share spent, [0, 0] to [1, 1], 2 to 256 points.
    #[schemars(length(min = 2, max = 256))]
    pub(super) pacing_curve: Option<Spanned<Points>>,
    /// Budgets of single scenes, together at most that of the programme.
    pub(super) by_scene: Option<Spanned<SceneBudgetsFile>>,
    /// Largest share of one member, 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub(super) max_member_share: Option<Spanned<f64>>,
    /// The part that is kept for small members (长尾).
    pub(super) tail: Option<TailFile>,
    /// Members to reach every day at least.
    pub(super) daily_members: Option<u64>,
}

/// Budgets of single scenes, in exposures.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SceneBudgetsFile {
    /// Live (直播).
    pub(super) live: Option<u64>,
    /// Short video (短视频).
    pub(super) short_video: Option<u64>,
    /// Image-text (图文).
    pub(super) image_text: Option<u64>,
    /// Search (搜索).
    pub(super) search: Option<u64>,
    /// Mall (商城).
    pub(super) mall: Option<u64>,
    /// Store (店铺).
    pub(super) store: Option<u64>,
}

/// The part of a budget that is kept for small members (长尾).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TailFile {
    /// Share of the budget, 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub(super) share: Spanned<f64>,
    /// Members with at most so many exposures in the last 30 days belong to it.
    pub(super) max_exposures_30d: u64,
}

/// How often a budget or cap begins anew, in Asia/Shanghai.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PeriodName {
    /// Never: from the first day to the last, which it needs.
    Window,
    /// On 1 January.
    Year,
    /// On the first of the month.
    Month,
    /// On Monday.
    Week,
    /// At midnight.
    Day,
}

/// How spending is spread over a period.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PacingName {
    /// In step with expected traffic.
    #[default]
    Even,
    /// More in the first half.
    FrontLoaded,
    /// Whatever can be spent.
    AsFastAsPossible,
    /// By `pacing_curve`.
    Curve,
}

/// Exposures promised to each member (保量).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GuaranteeFile {
    /// How many at least.
    #[schemars(range(min = 1))]
    pub(super) exposures: Spanned<u64>,
    /// Within so many days of becoming a member, 1 to 366.
    #[schemars(range(min = 1, max = 366))]
    pub(super) days: Spanned<u16>,
    /// Value lost by each that is missing, in units of the mean base score, 0 to 1000.
    #[schemars(range(min = 0, max = 1000))]
    pub(super) penalty: Spanned<f64>,
}

/// Exposures a member may have.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CapFile {
    /// How many at most.
    #[schemars(range(min = 1))]
    pub(super) exposures: Spanned<u64>,
    /// In which period.
    pub(super) period: PeriodName,
}
