//! How well scores foretold what came after: outcomes, rank statistics, intervals. No draws: whoever resamples hands
//! in how often each merchant was drawn.

use crate::domain::{CounterId, DayFacts, count_to_f64};

/// Id of the outcome that every policy has: a violation occurred.
pub const VIOLATIONS: &str = "violations";

/// What scores are measured by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidationRules {
    /// The declared outcomes.
    pub outcomes: Vec<Outcome>,
    /// Positions of the signals whose z-scores make the plain average that the score is compared with.
    pub plain_average: Vec<u16>,
}

/// A share of bad things among all things in the days after a score: (Σ bad − Σ minus) / Σ of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Id in policy files.
    pub id: String,
    /// English name.
    pub name: String,
    /// Chinese name.
    pub name_zh: String,
    /// Counters that are added.
    pub bad: Vec<CounterId>,
    /// Counters that are taken away again, e.g. what was on time of what was due.
    pub minus: Vec<CounterId>,
    /// Counters of the whole.
    pub of: Vec<CounterId>,
    /// A merchant with less of the whole than this is left out: its share would be noise.
    pub min: u64,
}

/// The counts of one merchant's outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeCounts {
    bad: u64,
    minus: u64,
    of: u64,
}

impl Outcome {
    /// Adds what a day's row says; answers whether it said anything.
    pub fn count(&self, row: &DayFacts, counts: &mut OutcomeCounts) -> bool {
        let mut said = false;
        let mut add = |counters: &[CounterId], sum: &mut u64| {
            for value in counters.iter().filter_map(|counter| row.get(*counter)) {
                *sum = sum.saturating_add(value);
                said = true;
            }
        };
        add(&self.bad, &mut counts.bad);
        add(&self.minus, &mut counts.minus);
        add(&self.of, &mut counts.of);
        said
    }
}

impl OutcomeCounts {
    /// Bad things; never more than all.
    #[must_use]
    pub fn bad(self) -> u64 {
        self.bad.saturating_sub(self.minus).min(self.of)
    }

    /// All things.
    #[must_use]
    pub fn of(self) -> u64 {
        self.of
    }

    /// Whether the share is above `average`, itself a share given as part and whole. Exact.
    #[must_use]
    pub fn is_above(self, (part, whole): (u64, u64)) -> bool {
        let product = |a: u64, b: u64| u128::from(a).saturating_mul(u128::from(b));
        product(self.bad(), whole) > product(part, self.of)
    }
}

/// Members in order of what a predictor says of them, worst first. The values are forgotten: only ranks count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranking {
    /// Member, and whether it is tied with the one before.
    order: Vec<(u32, bool)>,
}

impl Ranking {
    /// Ranks members by value, lowest first.
    #[must_use]
    pub fn new(mut values: Vec<(u32, f64)>) -> Self {
        values.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        let mut before = None;
        let order = values
            .into_iter()
            .map(|(member, value)| {
                let tied = before.is_some_and(|before: f64| before.total_cmp(&value).is_eq());
                before = Some(value);
                (member, tied)
            })
            .collect();
        Self { order }
    }

    /// How many members are ranked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nobody is ranked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether the same is said of all, which tells nobody apart.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        self.order.iter().skip(1).all(|(_, tied)| *tied)
    }

    /// The chance that of a bad and a good member the bad one is ranked lower, half for ties: the area under the ROC
    /// curve. `look` says whether a member is bad and how often it counts. `None` unless there are both.
    #[must_use]
    pub fn auc(&self, look: impl Fn(u32) -> (bool, f64)) -> Option<f64> {
        let (mut area, mut bad_below, mut good_below) = (0.0, 0.0, 0.0);
        let (mut bad_here, mut good_here) = (0.0, 0.0);
        for (member, tied) in &self.order {
            if !tied {
                area += good_here * (bad_below + 0.5 * bad_here);
                bad_below += bad_here;
                good_below += good_here;
                (bad_here, good_here) = (0.0, 0.0);
            }
            let (is_bad, times) = look(*member);
            if is_bad {
                bad_here += times;
            } else {
                good_here += times;
            }
        }
        area += good_here * (bad_below + 0.5 * bad_here);
        let pairs = (bad_below + bad_here) * (good_below + good_here);
        (pairs > 0.0).then(|| area / pairs)
    }
}

/// The mean; `None` of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    let count = u64::try_from(values.len()).ok().filter(|count| *count > 0)?;
    Some(values.iter().fold(0.0, |sum, value| sum + value) / count_to_f64(count))
}

/// Values from which the 2.5 % lowest and the 2.5 % highest are left out, as lowest and highest; `None` of nothing.
#[must_use]
pub fn interval(mut values: Vec<f64>) -> Option<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let out = values.len().saturating_mul(25) / 1_000;
    let last = values.len().checked_sub(1)?.checked_sub(out)?;
    Some((*values.get(out)?, *values.get(last)?))
}

/// The z-scores of a column: distance from the mean in standard deviations. What is missing is put at the mean; a
/// column that says the same of all says nothing, which is 0.
#[must_use]
pub fn z_scores(column: &[Option<f64>]) -> Vec<f64> {
    let known: Vec<f64> = column.iter().flatten().copied().collect();
    let Some(middle) = mean(&known) else { return vec![0.0; column.len()] };
    let squares: Vec<f64> = known.iter().map(|value| (value - middle) * (value - middle)).collect();
    let deviation = mean(&squares).unwrap_or(0.0).sqrt();
    let z = |value: &Option<f64>| value.map_or(0.0, |value| (value - middle) / deviation);
    if deviation > 0.0 { column.iter().map(z).collect() } else { vec![0.0; column.len()] }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, OutcomeCounts, Ranking, interval, mean, z_scores};
    use crate::domain::{CounterId, DayFacts};

    fn auc(values: &[f64], bad: &[bool]) -> Option<f64> {
        let ranking = Ranking::new((0..).zip(values.iter().copied()).collect());
        assert_eq!(ranking.len(), values.len());
        ranking.auc(|member| (bad[usize::try_from(member).expect("small")], 1.0))
    }

    fn close(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < 1e-12)
    }

    #[test]
    fn the_area_equals_a_count_of_pairs_by_hand() {
        // Bad ones at 1 and 3, good ones at 2 and 4: of four pairs the bad one is lower in 1<2, 1<4, 3<4.
        assert!(close(auc(&[1.0, 2.0, 3.0, 4.0], &[true, false, true, false]), 0.75));
        assert!(close(auc(&[1.0, 2.0, 3.0], &[true, true, false]), 1.0));
        assert!(close(auc(&[3.0, 1.0], &[true, false]), 0.0));
        // Ties count half: bad 2, 2; good 2, 5. Pairs: ½, 1, ½, 1.
        assert!(close(auc(&[2.0, 2.0, 2.0, 5.0], &[true, true, false, false]), 0.75));
        assert!(close(auc(&[7.0; 5], &[true, false, true, false, false]), 0.5), "all equal says nothing");
    }

    #[test]
    fn without_both_sorts_there_is_no_area() {
        for (values, bad) in [(&[][..], &[][..]), (&[1.0][..], &[true][..]), (&[1.0, 2.0][..], &[false, false][..])] {
            assert_eq!(auc(values, bad), None);
        }
        assert!(Ranking::new(Vec::new()).is_empty());
    }

    #[test]
    fn a_member_drawn_twice_counts_as_two() {
        let ranking = Ranking::new(vec![(0, 1.0), (1, 2.0), (2, 3.0)]);
        let bad = [false, true, false];
        let times = [1.0, 1.0, 3.0];
        let at = |member: u32| usize::try_from(member).expect("small");
        let look = |member: u32| (bad[at(member)], times[at(member)]);
        assert!(close(ranking.auc(look), 0.75), "three of four good ones stand above");
        let never = ranking.auc(|member| (bad[at(member)], if member == 1 { 0.0 } else { 1.0 }));
        assert_eq!(never, None, "the only bad one was not drawn");
    }

    #[test]
    fn intervals_leave_out_both_ends() {
        assert_eq!(interval(Vec::new()), None);
        assert_eq!(interval(vec![4.0]), Some((4.0, 4.0)));
        let hundred: Vec<f64> = (0..100).rev().map(f64::from).collect();
        assert_eq!(interval(hundred), Some((2.0, 97.0)));
    }

    #[test]
    fn means_and_z_scores() {
        assert_eq!(mean(&[]), None);
        assert!(close(mean(&[1.0, 2.0, 6.0]), 3.0));
        let z = z_scores(&[Some(1.0), None, Some(3.0)]);
        assert!((z[0] + 1.0).abs() < 1e-12 && z[1].abs() < 1e-12 && (z[2] - 1.0).abs() < 1e-12);
        assert_eq!(z_scores(&[Some(5.0), Some(5.0), None]), [0.0; 3]);
        assert_eq!(z_scores(&[None]), [0.0]);
    }

    #[test]
    fn an_outcome_counts_its_share() {
        let [due, on_time] = [CounterId(0), CounterId(1)];
        let outcome = Outcome {
            id: "late".into(),
            name: String::new(),
            name_zh: String::new(),
            bad: vec![due],
            minus: vec![on_time],
            of: vec![due],
            min: 1,
        };
        let mut counts = OutcomeCounts::default();
        assert!(outcome.count(&DayFacts::new(vec![(due, 6), (on_time, 4)]), &mut counts));
        assert!(outcome.count(&DayFacts::new(vec![(due, 4), (on_time, 3)]), &mut counts));
        assert!(!outcome.count(&DayFacts::new(vec![(CounterId(9), 1)]), &mut counts));
        assert_eq!((counts.bad(), counts.of()), (3, 10));
        assert!(counts.is_above((29, 100)) && !counts.is_above((3, 10)) && !counts.is_above((31, 100)));
    }
}
