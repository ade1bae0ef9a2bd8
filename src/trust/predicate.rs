//! Flat predicates over typed columns: what an expression of the policy is lowered to.

use super::columns::{FlagColumn, ListColumn, NumberColumn, TextColumn};
use super::view::Seen;
use crate::domain::{Day, Timestamp};

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
    /// The ratio of two numbers against a constant; not known where the second is 0.
    Ratio(NumberColumn, NumberColumn, Comparison, f64),
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

/// A condition with its outcome, and what it compared: for those who compute with it instead of showing it.
#[derive(Clone, Debug, PartialEq)]
pub struct TypedResult<'a> {
    /// What is shown.
    pub result: ConditionResult,
    /// What it tests.
    pub test: &'a Test,
    /// Whether it stands below a negation: then it holds when the test does not.
    pub is_negated: bool,
    /// The number that was compared, where it is known.
    pub value: Option<f64>,
    /// The part of the expression it belongs to. The parts are joined by `&&`, the conditions of one part otherwise.
    pub part: usize,
    /// Whether that part holds.
    pub part_holds: bool,
}

/// Part of an expression: its outcome, and its conditions as bits.
#[derive(Default)]
struct Parts {
    holds: bool,
    all: u64,
    decisive: u64,
    negated: u64,
    /// What `&&` joins at its top: conditions and outcome of each.
    conjuncts: Vec<(u64, bool)>,
}

impl Parts {
    /// Two parts joined by `&&` or `||`. What already decides alone needs no other: a false side of `&&`, a true one
    /// of `||`.
    fn joined(&self, other: &Self, is_and: bool) -> Self {
        let holds = if is_and { self.holds && other.holds } else { self.holds || other.holds };
        let decides = |part: &Self| if part.holds == holds { part.decisive } else { 0 };
        let all = self.all | other.all;
        let conjuncts = if is_and { [&self.conjuncts[..], &other.conjuncts].concat() } else { vec![(all, holds)] };
        Self { holds, all, conjuncts, decisive: decides(self) | decides(other), negated: self.negated | other.negated }
    }
}

impl Predicate {
    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, seen: &Seen) -> bool {
        // The lowest bit is the top. Policies are checked to need no more than 64.
        let mut stack = 0_u64;
        for step in &self.steps {
            stack = match step {
                Step::Condition(index) => {
                    let condition = self.conditions.get(usize::from(*index));
                    stack << 1 | u64::from(condition.is_some_and(|condition| condition.holds(seen)))
                }
                Step::Not => stack ^ 1,
                Step::And => stack >> 1 & (stack | !1),
                Step::Or => stack >> 1 | stack & 1,
            };
        }
        self.steps.is_empty() || stack & 1 == 1
    }

    /// Whether it holds for everything: it has no condition.
    #[must_use]
    pub fn is_always(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether another holds for the same, because it says the same.
    pub(super) fn says_as(&self, other: &Self) -> bool {
        let tests = self.conditions.iter().map(|condition| &condition.test);
        self.steps == other.steps && tests.eq(other.conditions.iter().map(|condition| &condition.test))
    }

    /// Adds another expression that has to hold as well.
    pub fn and(&mut self, other: Self) {
        if other.is_always() {
            return;
        }
        let is_first = self.is_always();
        let offset = u16::try_from(self.conditions.len()).unwrap_or(u16::MAX);
        self.conditions.extend(other.conditions);
        self.steps.extend(other.steps.into_iter().map(|step| match step {
            Step::Condition(index) => Step::Condition(index.saturating_add(offset)),
            Step::And | Step::Or | Step::Not => step,
        }));
        if !is_first {
            self.steps.push(Step::And);
        }
    }

    /// Each condition with its outcome, from the same code as [`Self::holds`]. Conditions below a negation are shown
    /// negated.
    #[must_use]
    pub fn results(&self, seen: &Seen) -> Vec<ConditionResult> {
        self.typed_results(seen).into_iter().map(|typed| typed.result).collect()
    }

    /// The same, with what each condition compared.
    #[must_use]
    pub fn typed_results(&self, seen: &Seen) -> Vec<TypedResult<'_>> {
        let outcomes: Vec<bool> = self.conditions.iter().map(|condition| condition.holds(seen)).collect();
        let Parts { decisive, negated, conjuncts, .. } = self.parts(&outcomes);
        let mut typed = Vec::with_capacity(outcomes.len());
        for (index, (condition, holds)) in self.conditions.iter().zip(outcomes).enumerate() {
            let bit = 1_u64.wrapping_shl(u32::try_from(index).unwrap_or(0));
            let is_negated = negated & bit != 0;
            let part = conjuncts.iter().position(|(conditions, _)| conditions & bit != 0).unwrap_or(0);
            let result = ConditionResult {
                text: if is_negated { format!("!({})", condition.text) } else { condition.text.clone() },
                holds: holds != is_negated,
                found: condition.found(seen),
                is_decisive: decisive & bit != 0,
            };
            let part_holds = conjuncts.get(part).is_some_and(|(_, holds)| *holds);
            let value = condition.test.value(seen);
            typed.push(TypedResult { result, test: &condition.test, is_negated, value, part, part_holds });
        }
        typed
    }

    /// Which conditions the outcome rests on, and which stand below a negation.
    fn parts(&self, outcomes: &[bool]) -> Parts {
        let mut stack: Vec<Parts> = Vec::new();
        for step in &self.steps {
            match step {
                Step::Condition(index) => {
                    let holds = outcomes.get(usize::from(*index)).copied().unwrap_or(false);
                    let bit = 1_u64.wrapping_shl(u32::from(*index));
                    let conjuncts = vec![(bit, holds)];
                    stack.push(Parts { holds, all: bit, decisive: bit, negated: 0, conjuncts });
                }
                Step::Not => {
                    if let Some(top) = stack.last_mut() {
                        top.holds = !top.holds;
                        top.negated ^= top.all;
                        top.conjuncts = vec![(top.all, top.holds)];
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
    pub fn next_change(&self, seen: &Seen) -> Option<Timestamp> {
        self.conditions.iter().filter_map(|condition| condition.next_change(seen)).min()
    }
}

impl Test {
    /// Whether it is met.
    pub(super) fn holds(&self, seen: &Seen) -> bool {
        match self {
            Self::Number(column, comparison, constant) => {
                column.value(seen).is_some_and(|value| comparison.holds(value, *constant))
            }
            Self::Ratio(above, below, comparison, constant) => {
                ratio(above, below, seen).is_some_and(|value| comparison.holds(value, *constant))
            }
            Self::Text(column, texts) => column.value(seen).is_some_and(|value| texts.iter().any(|text| text == value)),
            Self::Member(column, entry) => column.contains(seen, entry),
            Self::Flag(column) => column.value(seen),
        }
    }

    /// The number that is compared; none if it is not known, or if no number is.
    fn value(&self, seen: &Seen) -> Option<f64> {
        match self {
            Self::Number(column, ..) => column.value(seen),
            Self::Ratio(above, below, ..) => ratio(above, below, seen),
            Self::Text(..) | Self::Member(..) | Self::Flag(_) => None,
        }
    }

    /// The comparison that must come true and its constant, for tests of numbers.
    #[must_use]
    pub fn bound(&self, is_negated: bool) -> Option<(Comparison, f64)> {
        match self {
            Self::Number(_, comparison, constant) | Self::Ratio(_, _, comparison, constant) => {
                Some((if is_negated { comparison.negated() } else { *comparison }, *constant))
            }
            Self::Text(..) | Self::Member(..) | Self::Flag(_) => None,
        }
    }
}

impl Condition {
    fn holds(&self, seen: &Seen) -> bool {
        self.test.holds(seen)
    }

    fn found(&self, seen: &Seen) -> String {
        let unknown = || "not known".to_owned();
        match &self.test {
            Test::Number(NumberColumn::EnrolmentDay(list), ..) => {
                let day = seen.merchant.and_then(|view| view.merchant.enrolled(list));
                day.map_or_else(unknown, |day| day.to_string())
            }
            Test::Number(column, ..) => column.value(seen).map_or_else(unknown, |value| value.to_string()),
            Test::Ratio(above, below, ..) => ratio(above, below, seen).map_or_else(unknown, |value| value.to_string()),
            Test::Text(column, _) => column.value(seen).map_or_else(unknown, |value| format!("{value:?}")),
            Test::Member(column, _) => format!("{:?}", column.values(seen).collect::<Vec<_>>()),
            Test::Flag(column) => column.value(seen).to_string(),
        }
    }

    fn next_change(&self, seen: &Seen) -> Option<Timestamp> {
        let candidates = match &self.test {
            Test::Number(column, _, constant) => {
                let first = column.first_day(seen)?;
                let days = day_count(*constant)?;
                [Some(first.plus(days)), Some(first.plus(days.saturating_add(1)))]
            }
            // An enrolment that lies ahead begins on its day. Rights change when they are held, wherever they are read.
            Test::Member(ListColumn::Enrolments, list) => {
                [seen.merchant.and_then(|view| view.merchant.enrolled(list)), None]
            }
            Test::Member(..) | Test::Text(..) | Test::Flag(_) | Test::Ratio(..) => return None,
        };
        candidates.into_iter().flatten().map(Day::start).filter(|instant| *instant > seen.now()).min()
    }
}

/// Rounded once, so that a ratio that equals a decimal constant compares equal to it.
fn ratio(above: &NumberColumn, below: &NumberColumn, seen: &Seen) -> Option<f64> {
    let (above, below) = (above.value(seen)?, below.value(seen)?);
    (below > 0.0).then(|| above / below)
}

/// The count of days passes a constant c on day floor(c) and on the one after it: the first of the two.
pub(super) fn day_count(constant: f64) -> Option<i32> {
    i32::try_from(float_to_i64(libm::floor(constant))?).ok()
}

/// A whole number that fits, as an integer.
fn float_to_i64(whole: f64) -> Option<i64> {
    // Constants of day counts are small; anything else never comes.
    #[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "bounded just before")]
    (whole.abs() < 1e6).then_some(whole as i64)
}

impl Comparison {
    /// The comparison that holds when this one does not.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::Less => Self::AtLeast,
            Self::AtMost => Self::Greater,
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::AtLeast => Self::Less,
            Self::Greater => Self::AtMost,
        }
    }

    /// Whether a larger number can make it hold.
    #[must_use]
    pub fn wants_more(self) -> bool {
        matches!(self, Self::AtLeast | Self::Greater)
    }

    /// Whether a smaller number can make it hold.
    #[must_use]
    pub fn wants_less(self) -> bool {
        matches!(self, Self::Less | Self::AtMost)
    }

    /// Whether it holds.
    #[must_use]
    pub fn holds(self, a: f64, b: f64) -> bool {
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
