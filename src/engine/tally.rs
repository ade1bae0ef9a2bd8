//! What a simulation counts, merchant by merchant; tallies of parts of the population add up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::domain::{MerchantId, Scene};

/// Bins of a hundredth of a point of trust.
const SCORE_BINS: usize = 10_001;
/// Bins of a hundredth of weight; policies allow at most 100.
const WEIGHT_BINS: usize = 10_001;
/// Merchants named as examples for each programme.
const EXAMPLES: usize = 10;

/// How a number is distributed over the population.
#[derive(Clone, Debug)]
pub struct Distribution {
    bins: Vec<u64>,
    /// What one bin is wide.
    step: f64,
    count: u64,
    sum: f64,
}

impl Distribution {
    fn new(bins: usize, step: f64) -> Self {
        Self { bins: vec![0; bins], step, count: 0, sum: 0.0 }
    }

    fn add(&mut self, value: f64) {
        let last = self.bins.len().saturating_sub(1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is bounded next")]
        let bin = ((value / self.step).round() as usize).min(last);
        if let Some(bin) = self.bins.get_mut(bin) {
            *bin += 1;
        }
        self.count += 1;
        self.sum += value;
    }

    fn merge(&mut self, other: &Self) {
        self.bins.iter_mut().zip(&other.bins).for_each(|(bin, more)| *bin += more);
        self.count += other.count;
        self.sum += other.sum;
    }

    /// The mean; 0 of nobody.
    #[must_use]
    pub fn mean(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "populations are far below 2^53")]
        let count = self.count.max(1) as f64;
        self.sum / count
    }

    /// The values below which 10, 20, ... 90 % lie, to a hundredth.
    #[must_use]
    pub fn deciles(&self) -> [f64; 9] {
        std::array::from_fn(|at| {
            let wanted = self.count * (at as u64 + 1) / 10;
            let mut seen = 0;
            let bin = self.bins.iter().position(|count| {
                seen += count;
                seen > 0 && seen >= wanted
            });
            self.value(bin.unwrap_or(0))
        })
    }

    /// How many lie in each of some buckets of a width, the last one open.
    #[must_use]
    pub fn histogram(&self, width: f64, buckets: usize) -> Vec<u64> {
        let mut counts = vec![0; buckets];
        for (bin, count) in self.bins.iter().enumerate().filter(|(_, count)| **count > 0) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded next")]
            let bucket = ((self.value(bin) / width + 1e-9) as usize).min(buckets.saturating_sub(1));
            if let Some(bucket) = counts.get_mut(bucket) {
                *bucket += count;
            }
        }
        counts
    }

    fn value(&self, bin: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "bins are few")]
        let bin = bin as f64;
        bin * self.step
    }
}

/// The same of before and after.
#[derive(Clone, Debug)]
pub struct Change<T> {
    /// Under the policy that serves.
    pub before: T,
    /// Under the candidate.
    pub after: T,
}

/// One merchant that moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Move {
    /// Whose.
    pub merchant: MerchantId,
    /// Its slot.
    pub slot: u32,
    /// Trust scores.
    pub score: (f32, f32),
    /// Weights in the scene that movers are ranked by.
    pub weight: (f64, f64),
}

impl Move {
    /// How far it moves: by weight, then by score; in millionths, so that it has an order.
    fn distance(&self) -> (u64, u64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and far below 2^63")]
        let millionths = |difference: f64| (difference.abs() * 1e6) as u64;
        (millionths(self.weight.1 - self.weight.0), millionths(f64::from(self.score.1) - f64::from(self.score.0)))
    }
}

/// Moves in order of their distance, then of their merchant.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ranked(Move);

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |ranked: &Self| (ranked.0.distance(), Reverse(ranked.0.merchant));
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Who enters and leaves a programme, and the exposures a day that it would be charged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProgrammeFlow {
    /// Members before.
    pub before: u64,
    /// Members after.
    pub after: u64,
    /// How many enter.
    pub entered: u64,
    /// How many leave.
    pub left: u64,
    /// Some of those that enter.
    pub entering: Vec<MerchantId>,
    /// Some of those that leave.
    pub leaving: Vec<MerchantId>,
    /// Exposures a day, by what the last days were like: before and after.
    pub exposures_per_day: (f64, f64),
}

/// What was counted.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Merchants looked at.
    pub merchants: u64,
    /// Trust scores.
    pub scores: Change<Distribution>,
    /// Weights, by scene index.
    pub weights: Change<Vec<Distribution>>,
    /// Merchants by position of the tier before and of the tier after.
    pub tiers: BTreeMap<(usize, usize), u64>,
    /// In the order of the simulation's programmes.
    pub programmes: Vec<ProgrammeFlow>,
    /// The merchants that move most.
    movers: BinaryHeap<Reverse<Ranked>>,
    keep: usize,
}

impl Tally {
    /// Nothing counted yet of some programmes; `keep` movers will be kept.
    #[must_use]
    pub fn new(programmes: usize, keep: usize) -> Self {
        let scores = || Distribution::new(SCORE_BINS, 0.01);
        let weights = || Scene::ALL.iter().map(|_| Distribution::new(WEIGHT_BINS, 0.01)).collect();
        Self {
            merchants: 0,
            scores: Change { before: scores(), after: scores() },
            weights: Change { before: weights(), after: weights() },
            tiers: BTreeMap::new(),
            programmes: vec![ProgrammeFlow::default(); programmes],
            movers: BinaryHeap::new(),
            keep,
        }
    }

    /// Counts a merchant's scores and tiers.
    pub fn score(&mut self, score: (f32, f32), tiers: (usize, usize)) {
        self.merchants += 1;
        self.scores.before.add(f64::from(score.0));
        self.scores.after.add(f64::from(score.1));
        *self.tiers.entry(tiers).or_default() += 1;
    }

    /// Counts a merchant's weights in a scene.
    pub fn weight(&mut self, scene: Scene, weight: (f64, f64)) {
        let at = scene.index();
        if let (Some(before), Some(after)) = (self.weights.before.get_mut(at), self.weights.after.get_mut(at)) {
            before.add(weight.0);
            after.add(weight.1);
        }
    }

    /// Remembers a merchant if it is among those that move most.
    pub fn moved(&mut self, moved: Move) {
        if moved.distance() == (0, 0) {
            return;
        }
        self.movers.push(Reverse(Ranked(moved)));
        if self.movers.len() > self.keep {
            self.movers.pop();
        }
    }

    /// Counts whether a merchant is in a programme.
    pub fn member(&mut self, programme: usize, merchant: MerchantId, was: bool, is: bool) {
        let Some(flow) = self.programmes.get_mut(programme) else { return };
        flow.before += u64::from(was);
        flow.after += u64::from(is);
        let (count, examples) = match (was, is) {
            (false, true) => (&mut flow.entered, &mut flow.entering),
            (true, false) => (&mut flow.left, &mut flow.leaving),
            _ => return,
        };
        *count += 1;
        if examples.len() < EXAMPLES {
            examples.push(merchant);
        }
    }

    /// Adds exposures a day that would be charged to a programme.
    pub fn expose(&mut self, programme: usize, (before, after): (f64, f64)) {
        let Some(flow) = self.programmes.get_mut(programme) else { return };
        let sum = &mut flow.exposures_per_day;
        *sum = (sum.0 + before, sum.1 + after);
    }

    /// Adds what another part of the population came to.
    pub fn merge(&mut self, other: Self) {
        self.merchants += other.merchants;
        self.scores.before.merge(&other.scores.before);
        self.scores.after.merge(&other.scores.after);
        self.weights.before.iter_mut().zip(&other.weights.before).for_each(|(one, more)| one.merge(more));
        self.weights.after.iter_mut().zip(&other.weights.after).for_each(|(one, more)| one.merge(more));
        for (tiers, count) in other.tiers {
            *self.tiers.entry(tiers).or_default() += count;
        }
        for (flow, more) in self.programmes.iter_mut().zip(other.programmes) {
            flow.before += more.before;
            flow.after += more.after;
            flow.entered += more.entered;
            flow.left += more.left;
            for (examples, others) in [(&mut flow.entering, more.entering), (&mut flow.leaving, more.leaving)] {
                examples.extend(others);
                examples.sort_unstable();
                examples.truncate(EXAMPLES);
            }
            let (before, after) = more.exposures_per_day;
            flow.exposures_per_day = (flow.exposures_per_day.0 + before, flow.exposures_per_day.1 + after);
        }
        other.movers.into_iter().for_each(|Reverse(Ranked(moved))| self.moved(moved));
    }

    /// The merchants that move most, farthest first.
    #[must_use]
    pub fn movers(&self) -> Vec<Move> {
        let mut movers: Vec<Ranked> = self.movers.iter().map(|Reverse(ranked)| *ranked).collect();
        movers.sort_unstable_by(|a, b| b.cmp(a));
        movers.into_iter().map(|Ranked(moved)| moved).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Move, Tally};
    use crate::domain::MerchantId;

    #[test]
    fn deciles_and_histogram_describe_what_was_added() {
        let mut tally = Tally::new(0, 0);
        for score in 1_u8..=100 {
            tally.score((f32::from(score), 50.0), (0, 0));
        }
        let before = &tally.scores.before;
        assert_eq!(format!("{:.0?}", before.deciles()), "[10, 20, 30, 40, 50, 60, 70, 80, 90]");
        assert_eq!(before.histogram(50.0, 2), [49, 51]);
        assert!((before.mean() - 50.5).abs() < 1e-9);
        assert_eq!(format!("{:.0?}", tally.scores.after.deciles()), "[50, 50, 50, 50, 50, 50, 50, 50, 50]");
    }

    #[test]
    fn the_farthest_movers_are_kept_in_whatever_order_parts_come() {
        let moved = |id: u64, weight: f64| Move {
            merchant: MerchantId(id),
            slot: 0,
            score: (50.0, 50.0),
            weight: (1.0, weight),
        };
        let tally = |moves: &[Move]| {
            let mut tally = Tally::new(0, 2);
            for one in moves {
                tally.moved(*one);
            }
            tally
        };
        let (near, far, farther) = (moved(1, 1.1), moved(2, 0.4), moved(3, 2.0));
        for (one, other) in [([near, far], [farther]), ([far, farther], [near])] {
            let mut sum = tally(&one);
            sum.merge(tally(&other));
            assert_eq!(sum.movers(), [farther, far]);
        }
        assert_eq!(tally(&[moved(4, 1.0)]).movers(), [], "who does not move is no mover");
    }
}
