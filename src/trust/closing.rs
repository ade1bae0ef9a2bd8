//! What would make a condition hold: computed from the same figures, with the code that scores.
//!
//! Everything is the least that suffices if nothing else changes: days that leave a window meanwhile are not foreseen.

use super::columns::{FlagColumn, ListColumn, NumberColumn};
use super::consumer_rights::Right;
use super::formula::{LastCondition, Prior, total};
use super::predicate::{Comparison, Test, TypedResult};
use super::score::{ScoreModel, SignalRow, SignalState};
use super::signal::{Derived, Input, Layer, Signal, SignalKind};
use super::view::{MerchantView, Seen};
use super::window::LevelId;
use crate::domain::{Day, HeldRight, Timestamp, count_to_f64};

/// Numbers beyond this are no advice any more.
const MOST: u64 = 1 << 40;
/// Signals named as those with the most to gain.
const GAINS: usize = 3;

/// What would make a condition hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Closing {
    /// It holds.
    Nothing,
    /// Further good observations of a share: each raises the whole by one and, where more is better, the part too.
    Observations {
        /// The smallest number that reaches the bound. 0: what is withheld only has to be sent.
        more: u64,
        /// Counters of the whole.
        whole: Vec<Input>,
        /// Counters of the part that each raises as well; empty where a good observation leaves the part as it is.
        part: Vec<Input>,
        /// Counters that were not sent and so count as withheld: to be sent, 0 if there were none.
        withheld: Vec<Input>,
    },
    /// Further observations of a ratio of two columns, that raise the lower one by one and not the upper.
    RatioObservations {
        /// The smallest number that reaches the bound.
        more: u64,
    },
    /// The counters of these inputs, or the column itself where there are none, higher by this much.
    More {
        /// The smallest difference.
        by: u64,
        /// The counters.
        of: Vec<Input>,
    },
    /// The column lower by this much.
    Less {
        /// The smallest difference.
        by: u64,
    },
    /// A level at this value, or better.
    Level {
        /// Which.
        level: LevelId,
        /// Its value, in its fixed-point unit.
        to: u64,
    },
    /// Time: it holds from this day on.
    Day(Day),
    /// Time: it holds once this day is closed.
    FactsDay(Day),
    /// Time: a ban closes the gate until then, and the score is 0.
    Gate(Timestamp),
    /// These rights.
    Rights(Vec<String>),
    /// A higher score: the signals with the most to gain, and how many points each could add.
    Points(Vec<(u16, f64)>),
    /// A signal that does not apply to the merchant, or has no effect for anyone: nothing the merchant does.
    OutOfReach(SignalState),
    /// Nothing that is counted would: the number wanted cannot be reached, or it is no matter of numbers.
    Unknown,
}

/// What the conditions looked at.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// How scores come about.
    pub model: &'a ScoreModel,
    /// Merchant, trust, item.
    pub seen: Seen<'a>,
}

/// What would make a condition hold.
#[must_use]
pub fn closing(ground: &Ground, found: &TypedResult) -> Closing {
    if found.result.holds {
        return Closing::Nothing;
    }
    let bound = found.test.bound(found.is_negated);
    let closing = match (found.test, bound) {
        (Test::Number(column, ..), Some((comparison, constant))) => {
            ground.number(column, Bound { comparison, constant }, found.value)
        }
        (Test::Ratio(above, below, ..), Some((comparison, constant))) => {
            ground.ratio(above, below, Bound { comparison, constant })
        }
        (Test::Member(ListColumn::Rights, right), _) if !found.is_negated => Some(Closing::Rights(vec![right.clone()])),
        (Test::Flag(FlagColumn::SignalMeasured(index)), _) if !found.is_negated => ground.measured(*index),
        (Test::Number(..) | Test::Ratio(..) | Test::Text(..) | Test::Member(..) | Test::Flag(_), _) => None,
    };
    closing.unwrap_or(Closing::Unknown)
}

/// What a number must come to.
#[derive(Clone, Copy)]
struct Bound {
    comparison: Comparison,
    constant: f64,
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        self.comparison.holds(value, self.constant)
    }

    fn wants_more(self) -> bool {
        self.comparison.wants_more()
    }

    fn wants_less(self) -> bool {
        self.comparison.wants_less()
    }
}

/// The smallest number from 1 on for which a test holds that holds from some number on.
fn smallest(holds: impl Fn(u64) -> bool) -> Option<u64> {
    let mut above = 1_u64;
    while !holds(above) {
        above = above.saturating_mul(2);
        if above > MOST {
            return None;
        }
    }
    // It fails at `below`, or `below` is 0, and holds at `above`.
    let mut below = above / 2;
    while above.saturating_sub(below) > 1 {
        let middle = below.midpoint(above);
        if holds(middle) { above = middle } else { below = middle }
    }
    Some(above)
}

impl Ground<'_> {
    fn number(&self, column: &NumberColumn, bound: Bound, value: Option<f64>) -> Option<Closing> {
        match column {
            NumberColumn::Signal(index) => self.signal(*index, bound),
            NumberColumn::TrustScore => self.points(None, bound),
            NumberColumn::LayerScore(layer) => self.points(Some(*layer), bound),
            NumberColumn::DaysSinceOpening
            | NumberColumn::DaysSinceFirstSale
            | NumberColumn::DaysSinceEnrolment(_)
            | NumberColumn::ItemAge => {
                let days = value?;
                let more = smallest(|more| bound.wants_more() && bound.holds(days + count_to_f64(more)))?;
                Some(Closing::Day(self.seen.now().day().plus(i32::try_from(more).ok()?)))
            }
            // A date that has passed stays where it is.
            NumberColumn::EnrolmentDay(_) => None,
            NumberColumn::Level(level) => Self::level(*level, bound, &count_to_f64),
            NumberColumn::FanCount
            | NumberColumn::Sum(_)
            | NumberColumn::ItemSum(_)
            | NumberColumn::Promoters
            | NumberColumn::Capability(_) => {
                let value = value?;
                if bound.wants_more() {
                    let by = smallest(|more| bound.holds(value + count_to_f64(more)))?;
                    return Some(Closing::More { by, of: Vec::new() });
                }
                less(value, bound)
            }
            // A lower place is a better one.
            NumberColumn::ProviderRank => less(value?, bound),
        }
    }

    fn ratio(&self, above: &NumberColumn, below: &NumberColumn, bound: Bound) -> Option<Closing> {
        let (above, below) = (above.value(&self.seen)?, below.value(&self.seen)?);
        if bound.wants_less() {
            let more = smallest(|more| bound.holds(above / (below + count_to_f64(more))))?;
            return Some(Closing::RatioObservations { more });
        }
        // Not every ratio is a share: the upper number alone rises.
        let reaches = |more| below > 0.0 && bound.wants_more() && bound.holds((above + count_to_f64(more)) / below);
        smallest(reaches).map(|by| Closing::More { by, of: Vec::new() })
    }

    fn row(&self, index: u16) -> Option<(&Signal, SignalRow)> {
        let index = usize::from(index);
        Some((self.model.signals.get(index)?, *self.seen.trust?.signals.get(index)?))
    }

    fn signal(&self, index: u16, bound: Bound) -> Option<Closing> {
        let (signal, row) = self.row(index)?;
        if matches!(row.state, SignalState::NotApplicable | SignalState::Disabled) {
            return Some(Closing::OutOfReach(row.state));
        }
        let view = self.seen.merchant?;
        match &signal.kind {
            SignalKind::Share { numerator, denominator } => self.share(signal, &row, (numerator, denominator), bound),
            SignalKind::Mean { numerator, denominator, scale } => {
                let (n, d) = (total(view, numerator), total(view, denominator));
                if bound.wants_less() {
                    let after = |more| Prior::of(signal).smooth(scale * n, d + count_to_f64(more));
                    let more = smallest(|more| bound.holds(after(more)))?;
                    let withheld = withheld(&row, d, numerator);
                    return Some(Closing::Observations { more, whole: denominator.clone(), part: vec![], withheld });
                }
                let reaches = |more| bound.holds(Prior::of(signal).smooth(scale * (n + count_to_f64(more)), d));
                let by = smallest(|more| d > 0.0 && bound.wants_more() && reaches(more))?;
                Some(Closing::More { by, of: numerator.clone() })
            }
            SignalKind::Level { level, scale } => {
                Self::level(*level, bound, &|value| Prior::of(signal).smooth(scale * count_to_f64(value), 1.0))
            }
            SignalKind::Growth { current, previous } => {
                let now = view.facts.sum(*current);
                let before = view.facts.sum(*previous);
                let after = |more| Prior::of(signal).smooth(now + count_to_f64(more), before);
                let by = smallest(|more| bound.wants_more() && bound.holds(after(more)))?;
                Some(Closing::More { by, of: vec![Input::Sum(*current)] })
            }
            SignalKind::Derived(derived) => self.derived(index, *derived, bound),
            SignalKind::Composite { .. } => None,
        }
    }

    /// A share after further good observations. The part never counts beyond the whole.
    fn share(
        &self,
        signal: &Signal,
        row: &SignalRow,
        (numerator, denominator): (&[Input], &[Input]),
        bound: Bound,
    ) -> Option<Closing> {
        let view = self.seen.merchant?;
        let (n, d) = (total(view, numerator), total(view, denominator));
        let raises = bound.wants_more();
        let after = |more: u64| {
            let more = count_to_f64(more);
            let (n, d) = (if raises { n + more } else { n }, d + more);
            bound.holds(Prior::of(signal).smooth(n.min(d), d))
        };
        let withheld = withheld(row, d, numerator);
        // What is withheld holds the prior in place: once it is sent the figure may be there already.
        let more = if !withheld.is_empty() && after(0) { 0 } else { smallest(after)? };
        let part = if raises { numerator.to_vec() } else { Vec::new() };
        (raises || bound.wants_less()).then(|| Closing::Observations {
            more,
            whole: denominator.to_vec(),
            part,
            withheld,
        })
    }

    /// What makes a signal one that was measured.
    fn measured(&self, index: u16) -> Option<Closing> {
        let (signal, row) = self.row(index)?;
        let view = self.seen.merchant?;
        match (&signal.kind, row.state) {
            (_, state @ (SignalState::NotApplicable | SignalState::Disabled)) => Some(Closing::OutOfReach(state)),
            (SignalKind::Share { numerator, denominator } | SignalKind::Mean { numerator, denominator, .. }, _) => {
                let d = total(view, denominator);
                let more = u64::from(d <= 0.0);
                // Of a figure of which more is worse, the part must be sent, even if it is 0.
                let withheld = if signal.curve.falls() { numerator.clone() } else { Vec::new() };
                Some(Closing::Observations { more, whole: denominator.clone(), part: Vec::new(), withheld })
            }
            (SignalKind::Growth { current, .. }, _) => Some(Closing::More { by: 1, of: vec![Input::Sum(*current)] }),
            (SignalKind::Level { level, .. }, _) => Some(Closing::More { by: 1, of: vec![Input::Level(*level)] }),
            (SignalKind::Composite { .. } | SignalKind::Derived(_), _) => None,
        }
    }

    /// The level nearest to the present one that reaches the bound.
    fn level(level: LevelId, bound: Bound, figure: &dyn Fn(u64) -> f64) -> Option<Closing> {
        let holds = |value| bound.holds(figure(value));
        let to = if bound.wants_more() {
            smallest(holds)?
        } else {
            // The largest below the first that fails.
            (bound.wants_less() && holds(0)).then(|| smallest(|value| !holds(value)))??.saturating_sub(1)
        };
        Some(Closing::Level { level, to })
    }

    fn derived(&self, index: u16, derived: Derived, bound: Bound) -> Option<Closing> {
        let view = self.seen.merchant?;
        let formulas = &self.model.formulas;
        let formula = formulas.list().get(usize::from(index))?;
        let reaches = |view: &MerchantView| {
            let row = formulas.evaluate(formula, (self.model, view), &[], &mut LastCondition::default());
            bound.holds(row.smoothed)
        };
        match derived {
            Derived::ViolationPoints => {
                // After the longest decay nothing is left, and no day after it differs.
                let longest = self.model.violations.types.iter().map(|kind| kind.decay_days).max().unwrap_or(0);
                Self::first_day(view, i32::from(longest).saturating_add(1), &reaches)
            }
            Derived::DaysSinceOpening if bound.wants_more() => {
                view.merchant.opened_at?;
                Self::first_day(view, i32::from(u16::MAX), &reaches)
            }
            Derived::RightsCoverage if bound.wants_more() => {
                let today = view.now.day();
                let is_open =
                    |right: &&Right| right.applies(view.merchant, today) && !right.held(view.rights, view.now);
                let mut open: Vec<&Right> = self.model.rights.iter().filter(is_open).collect();
                // The heaviest first: the fewest rights that suffice.
                open.sort_by(|a, b| b.weight.total_cmp(&a.weight));
                let mut rights = view.rights.to_vec();
                let mut wanted = Vec::new();
                for right in open {
                    rights.push(HeldRight { right: right.id.clone(), from: view.now, until: None });
                    wanted.push(right.id.clone());
                    if reaches(&MerchantView { rights: &rights, ..*view }) {
                        return Some(Closing::Rights(wanted));
                    }
                }
                None
            }
            Derived::DaysSinceOpening | Derived::RightsCoverage | Derived::PriorIdentityViolation => None,
        }
    }

    /// The first closed day after the present one on which a merchant that does nothing reaches a bound.
    fn first_day(view: &MerchantView, most: i32, reaches: &dyn Fn(&MerchantView) -> bool) -> Option<Closing> {
        let days = (1..=most).map(|days| view.facts_day.plus(days));
        let mut later = days.map(|facts_day| MerchantView { facts_day, ..*view });
        later.find(|view| reaches(view)).map(|view| Closing::FactsDay(view.facts_day))
    }

    /// What lifts the score, or that of one layer.
    fn points(&self, layer: Option<Layer>, bound: Bound) -> Option<Closing> {
        let (trust, view) = (self.seen.trust?, self.seen.merchant?);
        if !bound.wants_more() {
            return None;
        }
        if layer.is_none() && trust.trust.gate <= 0.0 {
            let closes = |kind: &str| self.model.violations.kind(kind).is_some_and(|kind| kind.closes_gate);
            let closing = view.violations.iter().filter(|v| v.active_at(view.now) && closes(&v.kind));
            // One without end keeps it closed until it is revoked.
            let ends: Option<Vec<Timestamp>> = closing.map(|violation| violation.effective_until).collect();
            return ends?.into_iter().max().map(Closing::Gate);
        }
        let weight = |of: Layer| match layer {
            Some(only) => f64::from(u8::from(only == of)),
            None => self.model.layer_weights.get(of.index()).copied().unwrap_or(0.0),
        };
        let rows = (0_u16..).zip(self.model.signals.iter().zip(trust.signals));
        let gain = |(index, (signal, row)): (u16, (&Signal, &SignalRow))| {
            (index, 100.0 * weight(signal.layer) * row.effective_weight * (1.0 - row.value))
        };
        let mut gains: Vec<(u16, f64)> = rows.map(gain).filter(|(_, points)| *points > 0.0).collect();
        gains.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        gains.truncate(GAINS);
        Some(Closing::Points(gains))
    }
}

/// The numerator of a figure that has observations and yet counts as without data: it was not sent.
fn withheld(row: &SignalRow, d: f64, numerator: &[Input]) -> Vec<Input> {
    if row.state == SignalState::NoData && d > 0.0 { numerator.to_vec() } else { Vec::new() }
}

fn less(value: f64, bound: Bound) -> Option<Closing> {
    let reaches = |by| bound.wants_less() && value >= count_to_f64(by) && bound.holds(value - count_to_f64(by));
    // Beyond the value itself there is nothing to take away: the search stops there.
    let by = smallest(|by| reaches(by) || count_to_f64(by) > value)?;
    reaches(by).then_some(Closing::Less { by })
}
