//! Flat predicates over typed columns: what an expression of the policy is lowered to.

use super::score::SignalState;
use super::signal::Layer;
use super::view::{MerchantView, TrustView};
use super::window::{LevelId, SumId};
use crate::domain::{Day, MerchantKind, Timestamp, count_to_f64};

/// A boolean expression: conditions, and how their outcomes combine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predicate {
    /// The comparisons.
    pub conditions: Vec<Condition>,
    /// Postfix program over their outcomes; empty means true.
    pub steps: Vec<Step>,
}

/// One step of a predicate's postfix program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Push the outcome of a condition.
    Condition(u16),
    /// Pop two, push whether both hold.
    And,
    /// Pop two, push whether one holds.
    Or,
    /// Negate the top.
    Not,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// As written in the policy.
    pub text: String,
    /// What it tests.
    pub test: Test,
}

/// What a condition tests. A value that is not known meets no test.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// A number against a constant.
    Number(NumberColumn, Comparison, f64),
    /// A text that is one of these.
    Text(TextColumn, Vec<String>),
    /// A list that holds this entry.
    Member(ListColumn, String),
    /// A flag.
    Flag(FlagColumn),
}

/// How numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>=`
    AtLeast,
    /// `>`
    Greater,
}

/// Columns that hold numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum NumberColumn {
    /// Followers.
    FanCount,
    /// Whole days from the opening day to today; not known without an opening.
    DaysSinceOpening,
    /// Whole days from enrolment on a list to today; not known without one.
    DaysSinceEnrolment(String),
    /// The trust score, 0 to 100.
    TrustScore,
    /// A layer score, 0 to 100.
    LayerScore(Layer),
    /// The smoothed value of a signal, by position; not known where it does not apply.
    Signal(u16),
    /// A windowed sum.
    Sum(SumId),
    /// The latest level, in its fixed-point unit; not known before the first.
    Level(LevelId),
}

/// Columns that hold a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextColumn {
    /// `ordinary`, `kuai_brand` or `brand`.
    Kind,
    /// Region.
    Region,
    /// Industry belt.
    OriginBelt,
    /// First category.
    MainCategory,
    /// Trust tier.
    TrustTier,
}

/// Columns that hold several texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListColumn {
    /// Marks.
    Tags,
    /// Categories.
    Categories,
    /// Lists it is enrolled on.
    Enrolments,
    /// Rights held at state time.
    Rights,
}

/// Columns that are true or false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagColumn {
    /// The owner ran another shop that was punished.
    PriorIdentityViolation,
    /// Some category of it ships goods: not all are among these categories without logistics.
    ShipsGoods {
        /// Categories without logistics.
        no_logistics: Vec<String>,
    },
    /// A signal was computed from facts.
    SignalMeasured(u16),
}

/// A condition with its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionResult {
    /// As written.
    pub text: String,
    /// Whether it holds.
    pub holds: bool,
    /// The value found, in words.
    pub found: String,
    /// Whether the outcome of the whole expression rests on it.
    pub is_decisive: bool,
}

/// Part of an expression: its outcome, and its conditions as bits.
#[derive(Default)]
struct Parts {
    holds: bool,
    all: u64,
    decisive: u64,
    negated: u64,
}

impl Parts {
    /// Two parts joined by `&&` or `||`. What already decides alone needs no other: a false side of `&&`, a true one
    /// of `||`.
    fn joined(&self, other: &Self, is_and: bool) -> Self {
        let holds = if is_and { self.holds && other.holds } else { self.holds || other.holds };
        let decides = |part: &Self| if part.holds == holds { part.decisive } else { 0 };
        Self {
            holds,
            all: self.all | other.all,
            decisive: decides(self) | decides(other),
            negated: self.negated | other.negated,
        }
    }
}

impl Predicate {
    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, view: &MerchantView, trust: Option<&TrustView>) -> bool {
        // The lowest bit is the top. Policies are checked to need no more than 64.
        let mut stack = 0_u64;
        for step in &self.steps {
            stack = match step {
                Step::Condition(index) => {
                    let condition = self.conditions.get(usize::from(*index));
                    stack << 1 | u64::from(condition.is_some_and(|condition| condition.holds(view, trust)))
                }
                Step::Not => stack ^ 1,
                Step::And => stack >> 1 & (stack | !1),
                Step::Or => stack >> 1 | stack & 1,
            };
        }
        self.steps.is_empty() || stack & 1 == 1
    }

    /// Each condition with its outcome, from the same code as [`Self::holds`]. Conditions below a negation are shown
    /// negated.
    #[must_use]
    pub fn results(&self, view: &MerchantView, trust: Option<&TrustView>) -> Vec<ConditionResult> {
        let outcomes: Vec<bool> = self.conditions.iter().map(|condition| condition.holds(view, trust)).collect();
        let Parts { decisive, negated, .. } = self.parts(&outcomes);
        let result = |(index, (condition, holds)): (usize, (&Condition, &bool))| {
            let bit = 1_u64.wrapping_shl(u32::try_from(index).unwrap_or(0));
            let is_negated = negated & bit != 0;
            ConditionResult {
                text: if is_negated { format!("!({})", condition.text) } else { condition.text.clone() },
                holds: *holds != is_negated,
                found: condition.found(view, trust),
                is_decisive: decisive & bit != 0,
            }
        };
        self.conditions.iter().zip(&outcomes).enumerate().map(result).collect()
    }

    /// Which conditions the outcome rests on, and which stand below a negation.
    fn parts(&self, outcomes: &[bool]) -> Parts {
        let mut stack: Vec<Parts> = Vec::new();
        for step in &self.steps {
            match step {
                Step::Condition(index) => stack.push(Parts {
                    holds: outcomes.get(usize::from(*index)).copied().unwrap_or(false),
                    all: 1_u64.wrapping_shl(u32::from(*index)),
                    decisive: 1_u64.wrapping_shl(u32::from(*index)),
                    negated: 0,
                }),
                Step::Not => {
                    if let Some(top) = stack.last_mut() {
                        top.holds = !top.holds;
                        top.negated ^= top.all;
                    }
                }
                Step::And | Step::Or => {
                    if let (Some(b), Some(a)) = (stack.pop(), stack.pop()) {
                        stack.push(a.joined(&b, *step == Step::And));
                    }
                }
            }
        }
        stack.pop().unwrap_or_default()
    }

    /// The next instant after state time at which the outcome can change by itself, because a count of days does.
    #[must_use]
    pub fn next_change(&self, view: &MerchantView) -> Option<Timestamp> {
        self.conditions.iter().filter_map(|condition| condition.next_change(view)).min()
    }
}

impl Condition {
    fn holds(&self, view: &MerchantView, trust: Option<&TrustView>) -> bool {
        match &self.test {
            Test::Number(column, comparison, constant) => {
                column.value(view, trust).is_some_and(|value| comparison.holds(value, *constant))
            }
            Test::Text(column, texts) => {
                column.value(view, trust).is_some_and(|value| texts.iter().any(|text| text == value))
            }
            Test::Member(column, entry) => column.values(view).any(|value| value == entry),
            Test::Flag(column) => column.value(view, trust),
        }
    }

    fn found(&self, view: &MerchantView, trust: Option<&TrustView>) -> String {
        let unknown = || "not known".to_owned();
        match &self.test {
            Test::Number(column, ..) => column.value(view, trust).map_or_else(unknown, |value| value.to_string()),
            Test::Text(column, _) => column.value(view, trust).map_or_else(unknown, |value| format!("{value:?}")),
            Test::Member(column, _) => format!("{:?}", column.values(view).collect::<Vec<_>>()),
            Test::Flag(column) => column.value(view, trust).to_string(),
        }
    }

    fn next_change(&self, view: &MerchantView) -> Option<Timestamp> {
        let candidates = match &self.test {
            Test::Number(column, _, constant) => {
                let first = column.first_day(view)?;
                // The count of days passes a constant c on day floor(c) and on the one after it.
                let days = i32::try_from(float_to_i64(libm::floor(*constant))?).ok()?;
                [Some(first.plus(days)), Some(first.plus(days.saturating_add(1)))]
            }
            // An enrolment that lies ahead begins on its day. Rights change when they are held, wherever they are read.
            Test::Member(ListColumn::Enrolments, list) => [view.merchant.enrolled(list), None],
            Test::Member(..) | Test::Text(..) | Test::Flag(_) => return None,
        };
        candidates.into_iter().flatten().map(Day::start).filter(|instant| *instant > view.now).min()
    }
}

/// A whole number that fits, as an integer.
fn float_to_i64(whole: f64) -> Option<i64> {
    // Constants of day counts are small; anything else never comes.
    #[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "bounded just before")]
    (whole.abs() < 1e6).then_some(whole as i64)
}

impl Comparison {
    fn holds(self, a: f64, b: f64) -> bool {
        match a.partial_cmp(&b) {
            None => false,
            Some(order) => match self {
                Self::Less => order.is_lt(),
                Self::AtMost => order.is_le(),
                Self::Equal => order.is_eq(),
                Self::NotEqual => order.is_ne(),
                Self::AtLeast => order.is_ge(),
                Self::Greater => order.is_gt(),
            },
        }
    }
}

impl NumberColumn {
    /// The day that a count of days counts from.
    fn first_day(&self, view: &MerchantView) -> Option<Day> {
        match self {
            Self::DaysSinceOpening => view.merchant.opened_at.map(Timestamp::day),
            Self::DaysSinceEnrolment(list) => view.merchant.enrolled(list),
            Self::FanCount
            | Self::TrustScore
            | Self::LayerScore(_)
            | Self::Signal(_)
            | Self::Sum(_)
            | Self::Level(_) => None,
        }
    }

    fn value(&self, view: &MerchantView, trust: Option<&TrustView>) -> Option<f64> {
        match self {
            Self::FanCount => Some(count_to_f64(view.merchant.fan_count)),
            Self::DaysSinceOpening | Self::DaysSinceEnrolment(_) => {
                let first = self.first_day(view)?;
                Some(f64::from(view.now.day().days_since(first)))
            }
            Self::TrustScore => trust.map(|t| t.trust.score),
            Self::LayerScore(layer) => trust.map(|t| 100.0 * t.trust.layer(*layer).score),
            Self::Signal(index) => {
                let row = trust?.signals.get(usize::from(*index))?;
                matches!(row.state, SignalState::Measured | SignalState::NoData).then_some(row.smoothed)
            }
            Self::Sum(id) => Some(count_to_f64(view.facts.sum(*id))),
            Self::Level(id) => view.facts.level(*id).map(|level| count_to_f64(level.value)),
        }
    }
}

impl TextColumn {
    fn value<'a>(self, view: &MerchantView<'a>, trust: Option<&TrustView<'a>>) -> Option<&'a str> {
        match self {
            Self::Kind => Some(match view.merchant.kind {
                MerchantKind::Ordinary => "ordinary",
                MerchantKind::KuaiBrand => "kuai_brand",
                MerchantKind::Brand => "brand",
            }),
            Self::Region => Some(&view.merchant.region),
            Self::OriginBelt => Some(&view.merchant.origin_belt),
            Self::MainCategory => view.merchant.categories.first().map(String::as_str),
            Self::TrustTier => trust.map(|t| t.tier),
        }
    }
}

impl ListColumn {
    fn values<'a>(self, view: &MerchantView<'a>) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        let now = view.now;
        match self {
            Self::Tags => Box::new(view.merchant.tags.iter().map(String::as_str)),
            Self::Categories => Box::new(view.merchant.categories.iter().map(String::as_str)),
            Self::Enrolments => {
                let today = now.day();
                Box::new(view.merchant.enrolments.iter().filter(move |e| e.day <= today).map(|e| e.list.as_str()))
            }
            Self::Rights => Box::new(view.rights.iter().filter(move |r| r.held_at(now)).map(|r| r.right.as_str())),
        }
    }
}

impl FlagColumn {
    fn value(&self, view: &MerchantView, trust: Option<&TrustView>) -> bool {
        match self {
            Self::PriorIdentityViolation => view.merchant.prior_identity_violation,
            Self::ShipsGoods { no_logistics } => {
                let categories = &view.merchant.categories;
                categories.is_empty() || categories.iter().any(|category| !no_logistics.contains(category))
            }
            Self::SignalMeasured(index) => trust
                .and_then(|t| t.signals.get(usize::from(*index)))
                .is_some_and(|row| row.state == SignalState::Measured),
        }
    }
}
