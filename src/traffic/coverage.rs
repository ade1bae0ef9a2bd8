//! How well guarantees are kept, and how exposures are spread over members.
//!
//! Coverage is a share of the guarantees that could be kept: those that have ended, of merchants that are neither
//! excluded nor held out and were candidates often enough (DESIGN section 7, step 9). The others are shown beside it,
//! each counted once, for the first reason that holds. A guarantee that is met before its end waits for its end like
//! all others: counting the quick ones first would flatter.

use crate::domain::count_to_f64;
use crate::domain::share::is_at_least;

/// Delivered so far of what was promised, 99 %, counts as kept, in basis points.
const NEARLY_BP: u32 = 9_900;

/// What coverage looks at of one guarantee. Exposures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct GuaranteeFacts {
    /// Promised.
    pub promised: u64,
    /// Delivered within its period.
    pub delivered: u64,
    /// Its period is over.
    pub is_over: bool,
    /// A violation excludes the merchant.
    pub is_excluded: bool,
    /// The merchant is held out.
    pub is_held_out: bool,
    /// Exposures that the merchant was a candidate for; none where that is not known, which counts as often enough.
    pub candidacies: Option<u64>,
    /// The forecast said when it was made that it could not be met.
    pub is_infeasible: bool,
}

/// How a guarantee counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Counted,
    /// A violation excludes the merchant.
    Excluded,
    /// The merchant is held out.
    HeldOut,
    /// Still running.
    Running,
    /// The merchant was a candidate for fewer exposures than promised.
    RarelyCandidate,
}

impl GuaranteeFacts {
    /// How it counts.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.is_excluded {
            Standing::Excluded
        } else if self.is_held_out {
            Standing::HeldOut
        } else if !self.is_over {
            Standing::Running
        } else if self.candidacies.is_some_and(|candidacies| candidacies < self.promised) {
            Standing::RarelyCandidate
        } else {
            Standing::Counted
        }
    }

    /// Everything promised is delivered.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.delivered >= self.promised
    }
}

/// Guarantees of a programme, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// What the shares are of.
    pub counted: u64,
    /// Of those, delivered at least 99 %.
    pub delivered_99: u64,
    /// Of those, delivered in full.
    pub delivered_100: u64,
    /// Not counted: excluded.
    pub excluded: u64,
    /// Not counted: held out.
    pub held_out: u64,
    /// Not counted: not candidates often enough.
    pub rarely_candidates: u64,
    /// Not counted yet: running.
    pub running: u64,
    /// Of those that run, delivered in full already.
    pub running_met: u64,
    /// Of all, flagged when made.
    pub infeasible: u64,
    /// Exposures promised by those counted.
    pub promised: u64,
    /// Exposures delivered to those counted, of each at most what was promised.
    pub delivered: u64,
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

impl Coverage {
    /// Counts one guarantee.
    pub fn push(&mut self, guarantee: &GuaranteeFacts) {
        if guarantee.is_infeasible {
            count(&mut self.infeasible);
        }
        match guarantee.standing() {
            Standing::Excluded => count(&mut self.excluded),
            Standing::HeldOut => count(&mut self.held_out),
            Standing::RarelyCandidate => count(&mut self.rarely_candidates),
            Standing::Running => {
                count(&mut self.running);
                if guarantee.is_met() {
                    count(&mut self.running_met);
                }
            }
            Standing::Counted => {
                count(&mut self.counted);
                let delivered = guarantee.delivered.min(guarantee.promised);
                self.promised = self.promised.saturating_add(guarantee.promised);
                self.delivered = self.delivered.saturating_add(delivered);
                if is_at_least(delivered, guarantee.promised, NEARLY_BP) || guarantee.is_met() {
                    count(&mut self.delivered_99);
                }
                if guarantee.is_met() {
                    count(&mut self.delivered_100);
                }
            }
        }
    }

    /// Share of those counted that got at least 99 %; none while nothing is counted.
    #[must_use]
    pub fn share_99(&self) -> Option<f64> {
        self.share(self.delivered_99)
    }

    /// Share of those counted that got everything; none while nothing is counted.
    #[must_use]
    pub fn share_100(&self) -> Option<f64> {
        self.share(self.delivered_100)
    }

    fn share(&self, part: u64) -> Option<f64> {
        (self.counted > 0).then(|| count_to_f64(part) / count_to_f64(self.counted))
    }
}

/// How exposures are spread over members.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Concentration {
    /// All exposures.
    pub exposures: u64,
    /// Merchants with at least one.
    pub merchants: u64,
    /// Share of the merchant with most, 0 to 1.
    pub largest_share: f64,
    /// That merchant's id; of several the lowest, 0 without exposures.
    pub largest: u64,
    /// Share of the 1 % of the merchants with most, rounded up to whole merchants, 0 to 1.
    pub top_percent_share: f64,
    /// Sum of squared shares, 1 / merchants to 1; 0 without exposures.
    pub herfindahl: f64,
}

impl Concentration {
    /// Of exposures by merchant id; the order of the rows is lost.
    #[must_use]
    pub fn of(rows: &mut Vec<(u64, u64)>) -> Self {
        rows.retain(|(_, exposures)| *exposures > 0);
        let exposures = rows.iter().fold(0_u64, |sum, (_, exposures)| sum.saturating_add(*exposures));
        let largest = rows.iter().max_by_key(|(id, exposures)| (*exposures, std::cmp::Reverse(*id))).copied();
        let Some((largest, most)) = largest else { return Self::default() };
        let all = count_to_f64(exposures);
        let top = rows.len().div_ceil(100);
        if top < rows.len() {
            rows.select_nth_unstable_by_key(top, |(_, exposures)| std::cmp::Reverse(*exposures));
        }
        let in_top = rows.iter().take(top).fold(0_u64, |sum, (_, exposures)| sum.saturating_add(*exposures));
        // In the order of size, so that the sum does not depend on the order of the rows.
        rows.sort_unstable_by_key(|(_, exposures)| *exposures);
        let herfindahl = rows.iter().fold(0.0, |sum, (_, exposures)| {
            let share = count_to_f64(*exposures) / all;
            sum + share * share
        });
        Self {
            exposures,
            merchants: u64::try_from(rows.len()).unwrap_or(u64::MAX),
            largest_share: count_to_f64(most) / all,
            largest,
            top_percent_share: count_to_f64(in_top) / all,
            herfindahl,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Concentration, Coverage, GuaranteeFacts, Standing};

    const KEPT: GuaranteeFacts = GuaranteeFacts {
        promised: 1_000,
        delivered: 1_000,
        is_over: true,
        is_excluded: false,
        is_held_out: false,
        candidacies: Some(5_000),
        is_infeasible: false,
    };

    #[test]
    fn the_denominator_has_only_guarantees_that_could_be_kept() {
        let cases = [
            (KEPT, Standing::Counted),
            (GuaranteeFacts { delivered: 0, ..KEPT }, Standing::Counted),
            (GuaranteeFacts { candidacies: None, ..KEPT }, Standing::Counted),
            (GuaranteeFacts { candidacies: Some(1_000), ..KEPT }, Standing::Counted),
            (GuaranteeFacts { candidacies: Some(999), delivered: 7, ..KEPT }, Standing::RarelyCandidate),
            (GuaranteeFacts { is_over: false, ..KEPT }, Standing::Running),
            (GuaranteeFacts { is_over: false, is_held_out: true, ..KEPT }, Standing::HeldOut),
            (GuaranteeFacts { is_excluded: true, is_held_out: true, ..KEPT }, Standing::Excluded),
            (GuaranteeFacts { is_infeasible: true, ..KEPT }, Standing::Counted),
        ];
        for (guarantee, expected) in cases {
            assert_eq!(guarantee.standing(), expected, "{guarantee:?}");
        }
    }

    #[test]
    fn shares_are_of_those_counted_and_the_others_stand_beside_them() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.share_99(), None);
        for guarantee in [
            KEPT,
            GuaranteeFacts { delivered: 1_500, is_infeasible: true, ..KEPT },
            GuaranteeFacts { delivered: 990, ..KEPT },
            GuaranteeFacts { delivered: 989, ..KEPT },
            GuaranteeFacts { delivered: 5, is_excluded: true, ..KEPT },
            GuaranteeFacts { is_over: false, ..KEPT },
            GuaranteeFacts { is_over: false, delivered: 3, is_infeasible: true, ..KEPT },
        ] {
            coverage.push(&guarantee);
        }
        let expected = Coverage {
            counted: 4,
            delivered_99: 3,
            delivered_100: 2,
            excluded: 1,
            running: 2,
            running_met: 1,
            infeasible: 2,
            promised: 4_000,
            delivered: 3_979,
            ..Coverage::default()
        };
        assert_eq!(coverage, expected);
        assert_eq!((coverage.share_99(), coverage.share_100()), (Some(0.75), Some(0.5)));
    }

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-12
    }

    #[test]
    fn concentration_by_hand() {
        assert_eq!(Concentration::of(&mut Vec::new()), Concentration::default());
        // Shares 0.5, 0.3, 0.2: 0.25 + 0.09 + 0.04.
        let found = Concentration::of(&mut vec![(7, 30), (5, 50), (9, 20), (11, 0)]);
        assert_eq!((found.exposures, found.merchants, found.largest), (100, 3, 5));
        assert!(near(found.largest_share, 0.5) && near(found.top_percent_share, 0.5) && near(found.herfindahl, 0.38));
        // 200 merchants: the top percent are two of them.
        let mut rows: Vec<_> = (1..=200).map(|id| (id, if id > 198 { 101 } else { 1 })).collect();
        let found = Concentration::of(&mut rows);
        assert_eq!((found.exposures, found.largest), (400, 199));
        assert!(near(found.top_percent_share, 202.0 / 400.0), "{found:?}");
    }

    proptest! {
        #[test]
        fn bounds_of_concentration(exposures in prop::collection::vec(0..1_000_000_u64, 0..300)) {
            let mut rows: Vec<_> = (1..).zip(exposures.iter().copied()).collect();
            let found = Concentration::of(&mut rows);
            let mut backward: Vec<_> = (1..).zip(exposures.iter().copied()).collect();
            backward.reverse();
            prop_assert_eq!(found, Concentration::of(&mut backward), "the order of rows does not matter");
            if found.merchants > 0 {
                let equal = 1.0 / f64::from(u32::try_from(found.merchants).expect("few"));
                prop_assert!(found.herfindahl >= equal - 1e-12 && found.herfindahl <= 1.0 + 1e-12);
                prop_assert!(found.herfindahl >= found.largest_share * found.largest_share - 1e-12);
                prop_assert!(found.herfindahl <= found.largest_share + 1e-12);
                prop_assert!(found.top_percent_share >= found.largest_share - 1e-12);
                prop_assert!(found.top_percent_share <= 1.0);
            }
        }
    }
}
