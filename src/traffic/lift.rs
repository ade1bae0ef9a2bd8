//! What a programme brings: a measure over its members against the same over those held out (对照组).
//!
//! A measure is a ratio of sums over merchants, Σy / Σx; a mean is one with x = 1. Merchants differ and are what the
//! hash drew, and so they, not exposures, are what an interval counts: with the residuals e = y − r·x the delta method
//! gives var(r) = Σe² / (n − 1) / n / x̄². Two groups are independent. Intervals are at 95 % by the normal distribution,
//! which is why fewer than [`MIN_MERCHANTS`] in a group have none.

use crate::domain::count_to_f64;

/// Fewest merchants of a group that an interval is given for.
pub const MIN_MERCHANTS: u64 = 30;
/// 97.5 % of a standard normal distribution lie below.
const Z_95: f64 = 1.959_963_984_540_054;

/// Means and co-moments of a measure's two parts over a group, updated merchant by merchant (Welford), so that large
/// values that differ little lose nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RatioSums {
    merchants: u64,
    mean_x: f64,
    mean_y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

/// A measure over one group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Merchants it is of.
    pub merchants: u64,
    /// Σy / Σx.
    pub value: f64,
    /// Its variance; none below two merchants.
    pub variance: Option<f64>,
}

impl RatioSums {
    /// Adds a merchant. `x` is 0 and up.
    pub fn push(&mut self, y: f64, x: f64) {
        self.merchants = self.merchants.saturating_add(1);
        let n = count_to_f64(self.merchants);
        let (dx, dy) = (x - self.mean_x, y - self.mean_y);
        self.mean_x += dx / n;
        self.mean_y += dy / n;
        self.xx += dx * (x - self.mean_x);
        self.yy += dy * (y - self.mean_y);
        self.xy += dx * (y - self.mean_y);
    }

    /// Merchants added.
    #[must_use]
    pub fn merchants(&self) -> u64 {
        self.merchants
    }

    /// The measure; none without anything to divide by.
    #[must_use]
    pub fn estimate(&self) -> Option<Estimate> {
        if self.merchants == 0 || self.mean_x <= 0.0 {
            return None;
        }
        let value = self.mean_y / self.mean_x;
        let variance = (self.merchants > 1).then(|| {
            // Residuals have the mean 0 by the choice of r, and so their squares are co-moments.
            let squares = self.yy - 2.0 * value * self.xy + value * value * self.xx;
            let n = count_to_f64(self.merchants);
            squares.max(0.0) / (n - 1.0) / n / (self.mean_x * self.mean_x)
        });
        Some(Estimate { merchants: self.merchants, value, variance })
    }
}

/// A figure and its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The figure.
    pub value: f64,
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
}

/// Treated against held out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Treated less held out; none with too few merchants.
    pub difference: Option<Interval>,
    /// Treated over held out, symmetric in its logarithm; none with too few merchants or where one of them is 0.
    pub ratio: Option<Interval>,
}

/// Compares two groups.
#[must_use]
pub fn compare(treated: Option<Estimate>, holdout: Option<Estimate>) -> Comparison {
    let enough = |estimate: Option<Estimate>| {
        let estimate = estimate.filter(|estimate| estimate.merchants >= MIN_MERCHANTS)?;
        Some((estimate.value, estimate.variance?))
    };
    let Some(((a, var_a), (b, var_b))) = enough(treated).zip(enough(holdout)) else {
        return Comparison { difference: None, ratio: None };
    };
    let half = Z_95 * (var_a + var_b).sqrt();
    let difference = Interval { value: a - b, lower: a - b - half, upper: a - b + half };
    let ratio = (a > 0.0 && b > 0.0).then(|| {
        let factor = libm::exp(Z_95 * (var_a / (a * a) + var_b / (b * b)).sqrt());
        Interval { value: a / b, lower: a / b / factor, upper: a / b * factor }
    });
    Comparison { difference: Some(difference), ratio }
}

/// What is known of one merchant: exposures and what came of them, over all its traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MerchantYield {
    /// Exposures.
    pub exposures: u64,
    /// Orders.
    pub orders: u64,
    /// Value of the orders, in fen.
    pub gmv_fen: u64,
    /// Its repurchase signal, 0 to 1, if it is measured.
    pub repurchase: Option<f64>,
}

/// The measures of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LiftGroup {
    /// Exposures per merchant.
    pub exposures: RatioSums,
    /// GMV per thousand exposures, in fen; merchants without exposures are no part of it.
    pub gmv: RatioSums,
    /// Orders per thousand exposures; likewise.
    pub orders: RatioSums,
    /// Mean of the repurchase signal, over merchants of which it is measured.
    pub repurchase: RatioSums,
}

impl LiftGroup {
    /// Adds a merchant.
    pub fn push(&mut self, merchant: &MerchantYield) {
        let exposures = count_to_f64(merchant.exposures);
        self.exposures.push(exposures, 1.0);
        if merchant.exposures > 0 {
            self.gmv.push(1_000.0 * count_to_f64(merchant.gmv_fen), exposures);
            self.orders.push(1_000.0 * count_to_f64(merchant.orders), exposures);
        }
        if let Some(repurchase) = merchant.repurchase {
            self.repurchase.push(repurchase, 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Estimate, LiftGroup, MerchantYield, RatioSums, compare};

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
    }

    fn sums(rows: impl IntoIterator<Item = (f64, f64)>) -> RatioSums {
        let mut sums = RatioSums::default();
        rows.into_iter().for_each(|(y, x)| sums.push(y, x));
        sums
    }

    /// 40 merchants of a fixed recipe, one group with more of y.
    fn group(factor: f64) -> RatioSums {
        let row = |i: i32| {
            let x = f64::from(100 + 37 * i % 61 * 10);
            (factor * (x * f64::from(3 + i % 5) + f64::from(i * i % 17)), x)
        };
        sums((0..40).map(row))
    }

    /// Computed apart from this code, in Python from the sums; 20,000 bootstrap samples of the merchants gave the
    /// interval 0.899 to 2.266 for the difference.
    #[test]
    fn estimates_are_those_of_an_independent_computation() {
        let (treated, holdout) = (group(1.3).estimate().expect("data"), group(1.0).estimate().expect("data"));
        assert!(near(treated.value, 6.856_130_268_199_233), "{treated:?}");
        assert!(near(treated.variance.expect("40"), 0.077_618_985_387_289_73), "{treated:?}");
        assert!(near(holdout.value, 5.273_946_360_153_257), "{holdout:?}");
        let compared = compare(Some(treated), Some(holdout));
        let (difference, ratio) = (compared.difference.expect("enough"), compared.ratio.expect("enough"));
        assert!(near(difference.lower, 0.893_270_147_661_954_8), "{difference:?}");
        assert!(near(difference.upper, 2.271_097_668_429_997), "{difference:?}");
        assert!(near(ratio.lower, 1.161_521_348_482_104_3), "{ratio:?}");
        assert!(near(ratio.upper, 1.454_988_323_898_239), "{ratio:?}");
    }

    #[test]
    fn a_mean_has_the_variance_of_a_mean() {
        // 1, 2, 3, 4: mean 2.5, sample variance 5/3, of the mean 5/12.
        let found = sums([1.0, 2.0, 3.0, 4.0].map(|y| (y, 1.0))).estimate().expect("data");
        assert!(near(found.value, 2.5) && near(found.variance.expect("two"), 5.0 / 12.0), "{found:?}");
    }

    #[test]
    fn too_few_merchants_have_no_interval() {
        let of = |n: usize| sums((0..n).map(|i| (f64::from(u32::try_from(i % 7).expect("small")), 1.0))).estimate();
        assert!(compare(of(29), of(1_000)).difference.is_none());
        assert!(compare(of(1_000), of(29)).difference.is_none());
        assert!(compare(None, of(30)).difference.is_none());
        let enough = compare(of(30), of(30));
        assert!(enough.difference.is_some_and(|d| d.lower < 0.0 && d.upper > 0.0) && enough.ratio.is_some());
    }

    #[test]
    fn nothing_to_divide_by_is_no_estimate_and_zero_has_no_ratio() {
        assert_eq!(sums([(1.0, 0.0)]).estimate(), None);
        assert_eq!(sums([]).estimate(), None);
        let zero = sums((0..40).map(|_| (0.0, 1.0))).estimate();
        let one = sums((0..40).map(|_| (1.0, 1.0))).estimate();
        assert_eq!(zero, Some(Estimate { merchants: 40, value: 0.0, variance: Some(0.0) }));
        assert!(compare(one, zero).ratio.is_none() && compare(one, zero).difference.is_some());
    }

    #[test]
    fn merchants_without_exposures_are_no_part_of_what_is_per_exposure() {
        let mut group = LiftGroup::default();
        group.push(&MerchantYield { exposures: 2_000, orders: 3, gmv_fen: 50_000, repurchase: Some(0.5) });
        group.push(&MerchantYield::default());
        assert_eq!((group.exposures.merchants(), group.gmv.merchants(), group.repurchase.merchants()), (2, 1, 1));
        assert!(near(group.exposures.estimate().expect("two").value, 1_000.0));
        assert!(near(group.gmv.estimate().expect("one").value, 25_000.0));
        assert!(near(group.orders.estimate().expect("one").value, 1.5));
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_scale_carries_through(
            rows in prop::collection::vec((0.0..1e6_f64, 1.0..1e4_f64), 2..60),
            factor in 0.1..100.0_f64,
        ) {
            let forward = sums(rows.iter().copied()).estimate().expect("data");
            let backward = sums(rows.iter().rev().copied()).estimate().expect("data");
            prop_assert!((forward.value - backward.value).abs() <= 1e-9 * forward.value.abs() + 1e-12);
            let scaled = sums(rows.iter().map(|(y, x)| (factor * y, *x))).estimate().expect("data");
            prop_assert!((scaled.value - factor * forward.value).abs() <= 1e-9 * scaled.value.abs() + 1e-12);
            let (scaled, plain) = (scaled.variance.expect("two"), forward.variance.expect("two"));
            prop_assert!((scaled - factor * factor * plain).abs() <= 1e-6 * scaled + 1e-9);
        }

        #[test]
        fn a_group_against_itself_differs_by_nothing(
            rows in prop::collection::vec((1.0..1e6_f64, 1.0..1e4_f64), 30..60),
        ) {
            let group = sums(rows).estimate();
            let compared = compare(group, group);
            let (difference, ratio) = (compared.difference.expect("enough"), compared.ratio.expect("enough"));
            prop_assert!(difference.lower <= 0.0 && difference.upper >= 0.0);
            prop_assert!(ratio.lower <= 1.0 && ratio.upper >= 1.0);
        }
    }
}
