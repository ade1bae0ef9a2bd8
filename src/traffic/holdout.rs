//! Holdouts (对照组): merchants kept out of a programme to measure its lift.

use crate::domain::MerchantId;
use xxhash_rust::xxh3::xxh3_64;

/// A share of merchants, chosen by a hash that never changes.
///
/// A merchant is held out when the upper 53 bits of XXH3-64 over the salt's UTF-8 bytes followed by the merchant id as
/// 8 little-endian bytes, divided by 2^53, are below the share. Other services that know salt and share come to the
/// same answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Holdout {
    /// Share of merchants, 0 to 1.
    pub share: f64,
    /// Programmes of one salt hold out the same merchants.
    pub salt: String,
}

impl Holdout {
    /// Whether a merchant is kept out.
    #[must_use]
    pub fn holds_out(&self, merchant: MerchantId) -> bool {
        let mut bytes = self.salt.as_bytes().to_vec();
        bytes.extend(merchant.0.to_le_bytes());
        #[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "53 bits are exact in f64")]
        let part = (xxh3_64(&bytes) >> 11) as f64 / 9_007_199_254_740_992.0;
        part < self.share
    }
}

#[cfg(test)]
mod tests {
    use super::Holdout;
    use crate::domain::MerchantId;

    fn holdout(share: f64, salt: &str) -> Holdout {
        Holdout { share, salt: salt.to_owned() }
    }

    #[test]
    fn the_choice_is_fixed_for_ever() {
        let held: Vec<u64> = (1..=60).filter(|id| holdout(0.1, "kuai_brand").holds_out(MerchantId(*id))).collect();
        assert_eq!(held, HELD_OF_60, "a change moves merchants between groups in the middle of a measurement");
    }

    /// Computed by another implementation of XXH3 (Python's xxhash).
    const HELD_OF_60: [u64; 2] = [18, 40];

    #[test]
    fn shares_are_kept_and_salts_are_independent() {
        let count =
            |share: f64, salt: &str| (0..20_000).filter(|id| holdout(share, salt).holds_out(MerchantId(*id))).count();
        assert_eq!(count(0.0, "a"), 0);
        assert_eq!(count(1.0, "a"), 20_000);
        assert!((1_880..=2_120).contains(&count(0.1, "a")), "{}", count(0.1, "a"));
        let both = (0..20_000)
            .filter(|id| holdout(0.1, "a").holds_out(MerchantId(*id)) && holdout(0.1, "b").holds_out(MerchantId(*id)))
            .count();
        assert!((140..=260).contains(&both), "{both} of about 200");
    }
}
