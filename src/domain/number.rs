//! Exact shares of counts, and conversions of numbers.

/// A count as f64. Exact up to 2^53; above, the nearest f64, the same on every machine.
#[must_use]
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "the one place where counts become floats")]
pub fn count_to_f64(count: u64) -> f64 {
    count as f64
}

/// A figure as it is stored and sent: the nearest f32.
#[must_use]
#[inline]
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "the one place where f64 become f32")]
pub fn to_f32(value: f64) -> f32 {
    value as f32
}

/// Exact comparisons of `part / whole` with a threshold in basis points, by cross-multiplication:
/// 70 % is not above 70 %, 97 % is at least 97 %. An empty whole meets no threshold.
pub mod share {
    /// Whether `part / whole > threshold_bp / 10_000`.
    #[must_use]
    pub fn is_above(part: u64, whole: u64, threshold_bp: u32) -> bool {
        whole > 0 && scaled(part, 10_000) > scaled(whole, threshold_bp)
    }

    /// Whether `part / whole >= threshold_bp / 10_000`.
    #[must_use]
    pub fn is_at_least(part: u64, whole: u64, threshold_bp: u32) -> bool {
        whole > 0 && scaled(part, 10_000) >= scaled(whole, threshold_bp)
    }

    fn scaled(count: u64, factor: u32) -> u128 {
        // u64::MAX * u32::MAX is below u128::MAX, so that this never saturates.
        u128::from(count).saturating_mul(u128::from(factor))
    }

    #[cfg(test)]
    mod tests {
        use super::{is_above, is_at_least};

        #[test]
        fn bounds_are_exact() {
            assert!(!is_above(70, 100, 7_000), "70 % is not > 70 %");
            assert!(is_above(701, 1_000, 7_000));
            assert!(is_at_least(97, 100, 9_700), "97 % is >= 97 %");
            assert!(!is_at_least(9_699, 10_000, 9_700));
            assert!(is_above(u64::MAX, u64::MAX - 1, 10_000), "no rounding at the top of the range");
            assert!(!is_above(0, 0, 0) && !is_at_least(0, 0, 0), "nothing meets no threshold");
        }
    }
}
