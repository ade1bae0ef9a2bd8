//! The shape of programme files. Unknown keys are refused; spans lead back to the line.

use super::schema::{HoldoutFile, Points};
use serde::Deserialize;
use toml::Spanned;

/// `programmes/<id>.toml`. There is no default kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProgrammeFile {
    pub(super) name: String,
    pub(super) name_zh: String,
    /// Where the rule comes from: the number of a seed text.
    pub(super) seed: Spanned<String>,
    pub(super) area: AreaName,
    pub(super) kind: Spanned<ProgrammeKindName>,
    pub(super) scenes: Spanned<Vec<SceneName>>,
    /// Kinds of targets it works for; all if absent.
    pub(super) targets: Option<Spanned<Vec<TargetName>>>,
    pub(super) first_day: Option<Spanned<String>>,
    pub(super) last_day: Option<Spanned<String>>,
    /// Days of the week it works on; all if absent.
    pub(super) weekdays: Option<Spanned<Vec<WeekdayName>>>,
    /// First hour and the hour after the last; the whole day if absent.
    pub(super) hours: Option<Spanned<(u8, u8)>>,
    pub(super) eligibility: Spanned<String>,
    #[serde(default)]
    pub(super) scene_condition: Vec<SceneConditionFile>,
    pub(super) uplift: Option<Spanned<UpliftFile>>,
    #[serde(default)]
    pub(super) item_uplift: Vec<ItemUpliftFile>,
    /// Of a modifier: the programmes whose uplift it scales.
    pub(super) modifies: Option<Spanned<Vec<String>>>,
    /// Of a modifier: by how much.
    pub(super) factor: Option<Spanned<f64>>,
    pub(super) stacking_group: Option<Spanned<String>>,
    /// No merchant may be in two programmes of one group at the same time.
    pub(super) exclusive_group: Option<Spanned<String>>,
    /// Computed and explained, not applied.
    #[serde(default)]
    pub(super) shadow: bool,
    pub(super) holdout: Option<HoldoutFile>,
    pub(super) budget: Option<Spanned<BudgetFile>>,
    pub(super) guarantee: Option<Spanned<GuaranteeFile>>,
    pub(super) cap: Option<Spanned<CapFile>>,
    #[serde(default)]
    pub(super) labels: Vec<LabelName>,
    #[serde(default)]
    pub(super) conditional_label: Vec<ConditionalLabelFile>,
}

/// The five areas of support (seed 000).
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AreaName {
    Traffic,
    Supplies,
    Activities,
    Policies,
    Products,
}

/// How a programme takes part.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ProgrammeKindName {
    Tilt,
    Support,
    Hard,
    Modifier,
}

/// Scenes, and words for several.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SceneName {
    Live,
    ShortVideo,
    ImageText,
    Search,
    Mall,
    Store,
    /// Search, mall and store (泛货架).
    PanShelf,
    /// Every scene.
    All,
}

/// How much a programme lifts: exactly one of these.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpliftFile {
    pub(super) constant: Option<Spanned<f64>>,
    pub(super) by_trust: Option<Spanned<Points>>,
    pub(super) cases: Option<Vec<CaseFile>>,
}

/// One case; the first whose condition holds counts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseFile {
    pub(super) when: Spanned<String>,
    pub(super) uplift: Spanned<f64>,
}

/// Labels for members that also meet a condition.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConditionalLabelFile {
    pub(super) when: Spanned<String>,
    pub(super) labels: Vec<LabelName>,
}

/// Labels that a programme may give.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum LabelName {
    TrustPurchase,
    KuaiBrand,
    Brand,
    NewMerchant,
    Benchmark,
}

/// Kinds of targets by name.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TargetName {
    LiveRoom,
    Product,
    Merchant,
    ShortVideo,
}

/// Days of the week by name.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WeekdayName {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// `[[scene_condition]]`: what single scenes ask for besides.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SceneConditionFile {
    pub(super) scenes: Spanned<Vec<SceneName>>,
    pub(super) when: Spanned<String>,
}

/// `[[item_uplift]]`: the first whose condition holds scales the uplift for an item.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ItemUpliftFile {
    pub(super) when: Spanned<String>,
    pub(super) factor: Spanned<f64>,
}

/// `[budget]`: exposures to spend.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BudgetFile {
    pub(super) exposures: Spanned<u64>,
    pub(super) period: PeriodName,
    #[serde(default)]
    pub(super) pacing: PacingName,
    /// Share of the period to share spent, with `pacing = "curve"`.
    pub(super) pacing_curve: Option<Spanned<Points>>,
    pub(super) by_scene: Option<Spanned<SceneBudgetsFile>>,
    /// Largest share of one member.
    pub(super) max_member_share: Option<Spanned<f64>>,
    pub(super) tail: Option<TailFile>,
    /// Members to reach every day at least.
    pub(super) daily_members: Option<u64>,
}

/// Budgets of single scenes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SceneBudgetsFile {
    pub(super) live: Option<u64>,
    pub(super) short_video: Option<u64>,
    pub(super) image_text: Option<u64>,
    pub(super) search: Option<u64>,
    pub(super) mall: Option<u64>,
    pub(super) store: Option<u64>,
}

/// The part of a budget that is kept for small members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TailFile {
    pub(super) share: Spanned<f64>,
    pub(super) max_exposures_30d: u64,
}

/// How often a budget or cap begins anew.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PeriodName {
    Window,
    Year,
    Month,
    Week,
    Day,
}

/// How spending is spread over a period.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PacingName {
    #[default]
    Even,
    FrontLoaded,
    AsFastAsPossible,
    Curve,
}

/// `[guarantee]`: exposures promised to each member.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GuaranteeFile {
    pub(super) exposures: Spanned<u64>,
    pub(super) days: Spanned<u16>,
    pub(super) penalty: Spanned<f64>,
}

/// `[cap]`: exposures a member may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CapFile {
    pub(super) exposures: Spanned<u64>,
    pub(super) period: PeriodName,
}
