//! Solves prices on a sample of the traffic to come (DESIGN section 7, online control, step 4).
//!
//! The dual of the allocation: each sampled request takes its best K candidates under the prices; a price rises while
//! more is taken than may be, and falls while less is. Additive prices and prices in the log domain are solved by the
//! same code, since the logarithm of a weight is a sum as well.

use std::sync::Arc;

use crate::domain::{Scene, TargetKind, Timestamp, count_to_f64};
use crate::traffic::bits::{BITS, bits, mask_of};

use super::random::Random;
use super::sketch::{Class, Sample};
use super::terms::{ALL_SCENES, BudgetKey, MemberKey};

/// Additive prices, in units of the mean base score.
pub(super) const ADDITIVE: usize = 0;
/// Prices in the log domain.
pub(super) const LOG: usize = 1;

/// Smallest rate that steps are normalised by: 1/√r would blow up on tiny budgets.
const RATE_FLOOR: f64 = 0.02;

/// How long and how fast it descends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    pub(super) batches: usize,
    pub(super) batch: usize,
    pub(super) step: f64,
}

/// The first solve, from no prices.
pub(super) const FIRST: Effort = Effort { batches: 3_000, batch: 4, step: 0.03 };
/// Later ones, from the prices before.
pub(super) const WARM: Effort = Effort { batches: 150, batch: 4, step: 0.01 };

/// One price: of a budget, a member's term, or a pool of terms.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Exposures that may be (or must be) had per request of its window.
    pub(super) rate: f64,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) scenes: u8,
    pub(super) state: RowState,
    /// Whether it is a guarantee: its price is paid to candidates.
    pub(super) is_floor: bool,
    /// By price set.
    pub(super) price: [f64; 2],
    pub(super) ceiling: [f64; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowState {
    /// Its price is solved.
    Priced,
    /// It binds nothing for now: price 0.
    Free,
    /// Nothing is left: what it counts cannot be had.
    Spent,
}

/// A sampled request at an instant to come.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) sample: Arc<Sample>,
    pub(super) at: Timestamp,
}

/// What is solved: complete in itself, so that it can be solved beside the traffic.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) version: u64,
    pub(super) keys: Keys,
    pub(super) pairs: Vec<Pair>,
    pub(super) classes: Arc<Vec<Class>>,
    pub(super) rows: Vec<Row>,
    /// Row of a budget, by scene and bit.
    pub(super) budgets: Box<[[Option<usize>; BITS]; Scene::COUNT]>,
    /// Rows of a member, for those that have any.
    pub(super) members: Arc<MemberRows>,
    /// Row of each member term.
    pub(super) term_rows: Vec<Option<usize>>,
    pub(super) means: [[f64; TargetKind::COUNT]; Scene::COUNT],
    pub(super) sets: [bool; 2],
    pub(super) effort: Effort,
    pub(super) random: Random,
}

/// What the prices of a plan are of, for constraints that have changed until it is solved.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    /// By row, which are the first.
    pub(super) budgets: Vec<BudgetKey>,
    /// By member term.
    pub(super) members: Vec<MemberKey>,
}

/// Rows by member, for the members of the pairs.
#[derive(Clone, Debug, Default)]
pub(super) struct MemberRows {
    /// First row and the one after the last in `rows`, by place of the member.
    pub(super) spans: Vec<(u32, u32)>,
    pub(super) rows: Vec<u32>,
}

/// Solved prices, to be handed back to the controller.
#[derive(Clone, Debug)]
pub struct Solution {
    pub(super) version: u64,
    pub(super) keys: Keys,
    /// By row.
    pub(super) prices: Vec<[f64; 2]>,
    pub(super) term_rows: Vec<Option<usize>>,
}

impl Plan {
    /// Solves it.
    #[must_use]
    pub fn solve(mut self) -> Solution {
        for set in [ADDITIVE, LOG] {
            if self.sets.get(set).copied().unwrap_or(false) && !self.pairs.is_empty() {
                let prices = Descent::new(&self, set).run(&mut self.random.clone());
                for (row, solved) in self.rows.iter_mut().zip(prices) {
                    if let Some(price) = row.price.get_mut(set) {
                        *price = solved;
                    }
                }
            }
        }
        Solution {
            version: self.version,
            keys: self.keys,
            prices: self.rows.iter().map(|row| row.price).collect(),
            term_rows: self.term_rows,
        }
    }
}

struct Descent<'a> {
    plan: &'a Plan,
    set: usize,
    prices: Vec<f64>,
    sums: Vec<f64>,
    taken: Vec<f64>,
    bids: Vec<(f64, u32, u8)>,
    /// Members with rows, and whether these hold for all pairs.
    priced_members: Vec<(u32, bool)>,
    /// By member: the sum of its prices, NaN where it depends on the pair.
    member_prices: Vec<f64>,
}

/// No support programme is charged.
const ORGANIC: u8 = u8::MAX;

impl<'a> Descent<'a> {
    fn new(plan: &'a Plan, set: usize) -> Self {
        let start = |row: &Row| match row.state {
            RowState::Priced => row.price.get(set).copied().unwrap_or(0.0),
            RowState::Free => 0.0,
            RowState::Spent => f64::INFINITY,
        };
        Self {
            plan,
            set,
            prices: plan.rows.iter().map(start).collect(),
            sums: vec![0.0; plan.rows.len()],
            taken: vec![0.0; plan.rows.len()],
            bids: Vec::new(),
            priced_members: plan.priced_members(),
            member_prices: vec![0.0; plan.members.spans.len()],
        }
    }

    /// Sums up the prices of members, so that pairs need not.
    fn sum_members(&mut self) {
        for (member, is_constant) in &self.priced_members {
            let sum = if *is_constant { self.member_price(*member, &|_| true) } else { f64::NAN };
            let place = usize::try_from(*member).ok().and_then(|member| self.member_prices.get_mut(member));
            if let Some(place) = place {
                *place = sum;
            }
        }
    }

    fn run(mut self, random: &mut Random) -> Vec<f64> {
        let Effort { batches, batch, step } = self.plan.effort;
        let mut order: Vec<usize> = (0..self.plan.pairs.len()).collect();
        let mut next = order.len();
        let averaged_from = batches.div_euclid(2);
        let mut averaged = 0.0;
        let mut number = 0.0;
        for round in 0..batches {
            self.taken.fill(0.0);
            self.sum_members();
            for _ in 0..batch {
                if next >= order.len() {
                    random.shuffle(&mut order);
                    next = 0;
                }
                let pair = order.get(next).and_then(|pair| self.plan.pairs.get(*pair));
                next = next.saturating_add(1);
                if let Some(pair) = pair {
                    self.visit(pair);
                }
            }
            self.descend(step / (1.0_f64 + number / 400.0).sqrt());
            number += 1.0;
            if round >= averaged_from {
                averaged += 1.0;
                for (sum, price) in self.sums.iter_mut().zip(&self.prices) {
                    *sum += price;
                }
            }
        }
        let rows = self.plan.rows.iter().zip(&self.sums);
        rows.map(|(row, sum)| match row.state {
            RowState::Priced => sum / f64::max(averaged, 1.0),
            RowState::Free => 0.0,
            RowState::Spent => row.price.get(self.set).copied().unwrap_or(0.0),
        })
        .collect()
    }

    /// Takes the best candidates of a request; `taken` gets what they consume less what may be had.
    fn visit(&mut self, pair: &Pair) {
        let Pair { sample, at } = pair;
        let scene = sample.scene.mask();
        let Some(budgets) = self.plan.budgets.get(sample.scene.index()) else { return };
        let mean = self.plan.means.get(sample.scene.index()).and_then(|means| means.get(sample.kind.index()));
        let per_mean = 1.0 / mean.copied().unwrap_or(1.0);
        let is_open = |row: &Row| row.start <= *at && *at < row.end && row.scenes & scene != 0;
        let mut open = [0.0_f64; BITS];
        let mut priced = [None; BITS];
        let mut open_bits = 0_u64;
        for (bit, row) in budgets.iter().enumerate() {
            let row_at = row.and_then(|row| self.plan.rows.get(row)).filter(|row| is_open(row)).and(*row);
            if let (Some(row), Some(price), Some(place)) = (row_at, open.get_mut(bit), priced.get_mut(bit)) {
                *price = self.prices.get(row).copied().unwrap_or(0.0);
                *place = Some(row);
                open_bits |= 1_u64.wrapping_shl(u32::try_from(bit).unwrap_or(0));
            }
        }
        let price_of = |bit: u8| open.get(usize::from(bit)).copied().unwrap_or(0.0);
        let least = if self.set == ADDITIVE { 0.0 } else { f64::NEG_INFINITY };
        self.bids.clear();
        for (place, candidate) in (0_u32..).zip(sample.candidates.iter()) {
            let class = usize::try_from(candidate.class).ok().and_then(|class| self.plan.classes.get(class));
            let Some(class) = class else { continue };
            let value = f64::from(candidate.value) * per_mean;
            let worth = if self.set == ADDITIVE { value } else { libm::log(value.max(1e-9)) };
            let mut support = (0.0, ORGANIC);
            for offered in &class.supports {
                if mask_of(offered.bit) & open_bits == 0 {
                    continue;
                }
                let lift = if self.set == ADDITIVE { offered.uplift * value } else { libm::log1p(offered.uplift) };
                let gain = lift - price_of(offered.bit);
                if gain > support.0 {
                    support = (gain, offered.bit);
                }
            }
            let hard = sum_of(class.hard & open_bits, &open);
            let constant = usize::try_from(candidate.member).ok().and_then(|member| self.member_prices.get(member));
            let member = match constant {
                Some(price) if !price.is_nan() => *price,
                _ => self.member_price(candidate.member, &is_open),
            };
            let score = worth - hard + member + support.0;
            if score > least {
                self.bids.push((score, place, support.1));
            }
        }
        if self.bids.len() > sample.slots {
            let worst = sample.slots.saturating_sub(1);
            self.bids.select_nth_unstable_by(worst, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            self.bids.truncate(sample.slots);
        }
        for (_, place, charged) in &self.bids {
            let candidate = usize::try_from(*place).ok().and_then(|place| sample.candidates.get(place));
            let Some(candidate) = candidate else { continue };
            let class = usize::try_from(candidate.class).ok().and_then(|class| self.plan.classes.get(class));
            let charged = if *charged == ORGANIC { 0 } else { mask_of(*charged) };
            for bit in bits(class.map_or(0, |class| class.hard) | charged) {
                let row = priced.get(usize::from(bit)).copied().flatten();
                if let Some(taken) = row.and_then(|row| self.taken.get_mut(row)) {
                    *taken += 1.0;
                }
            }
            for row in self.plan.members.of(candidate.member) {
                let is_open = self.plan.rows.get(row).is_some_and(is_open);
                if let Some(taken) = self.taken.get_mut(row).filter(|_| is_open) {
                    *taken += 1.0;
                }
            }
        }
        for (row, taken) in self.plan.rows.iter().zip(&mut self.taken) {
            if row.state == RowState::Priced && row.start <= *at && *at < row.end {
                *taken -= row.rate;
            }
        }
    }

    fn member_price(&self, member: u32, is_open: &impl Fn(&Row) -> bool) -> f64 {
        let rows = self.plan.members.of(member);
        rows.fold(0.0, |sum, place| match (self.plan.rows.get(place), self.prices.get(place)) {
            (Some(row), Some(price)) if is_open(row) => sum + if row.is_floor { *price } else { -*price },
            _ => sum,
        })
    }

    fn descend(&mut self, step: f64) {
        let size = count_to_f64(u64::try_from(self.plan.effort.batch).unwrap_or(1)).max(1.0);
        for ((row, price), taken) in self.plan.rows.iter().zip(&mut self.prices).zip(&self.taken) {
            if row.state == RowState::Priced {
                let gradient = if row.is_floor { -taken } else { *taken };
                let ceiling = row.ceiling.get(self.set).copied().unwrap_or(f64::MAX);
                *price = (*price + step * gradient / size / row.rate.max(RATE_FLOOR).sqrt()).clamp(0.0, ceiling);
            }
        }
    }
}

impl Plan {
    fn priced_members(&self) -> Vec<(u32, bool)> {
        let first = self.pairs.iter().map(|pair| pair.at).min().unwrap_or_default();
        let last = self.pairs.iter().map(|pair| pair.at).max().unwrap_or_default();
        let holds = |row: usize| {
            self.rows.get(row).is_some_and(|row| row.start <= first && last < row.end && row.scenes == ALL_SCENES)
        };
        let members = (0_u32..).zip(&self.members.spans).filter(|(_, span)| span.0 < span.1);
        members.map(|(member, _)| (member, self.members.of(member).all(holds))).collect()
    }
}

impl MemberRows {
    fn of(&self, member: u32) -> impl Iterator<Item = usize> + '_ {
        let span = usize::try_from(member).ok().and_then(|member| self.spans.get(member)).copied().unwrap_or((0, 0));
        let bounds = |at: u32| usize::try_from(at).unwrap_or(0);
        let rows = self.rows.get(bounds(span.0)..bounds(span.1)).unwrap_or_default();
        rows.iter().filter_map(|row| usize::try_from(*row).ok())
    }
}

fn sum_of(mask: u64, prices: &[f64; BITS]) -> f64 {
    bits(mask).fold(0.0, |sum, bit| sum + prices.get(usize::from(bit)).copied().unwrap_or(0.0))
}
