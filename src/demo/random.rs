//! Repeatable draws: one `ChaCha8` stream per merchant, with `libm` for the one exponential, so that every machine
//! draws the same.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::domain::count_to_f64;

/// The seed of the whole population.
const SEED: u64 = 20_220_513;

/// One merchant's stream of draws.
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    /// The stream of a merchant: independent of how many others are drawn, and in which order.
    pub(super) fn of_merchant(id: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        rng.set_stream(id);
        Self(rng)
    }

    /// A number from 0 to just below `end`; 0 if `end` is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        let product = u128::from(self.0.next_u64()) * u128::from(end);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// A number from `first` to `last`, both included.
    pub(super) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last.saturating_sub(first) + 1)
    }

    /// True in `per_mille` of a thousand cases.
    pub(super) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// One of some choices, none of an empty list.
    pub(super) fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        let position = self.below(u64::try_from(choices.len()).unwrap_or(0));
        choices.get(usize::try_from(position).unwrap_or(0))
    }

    /// A nearly normal number in thousandths of the standard deviation: the sum of twelve even draws.
    fn normal_milli(&mut self) -> f64 {
        let sum: u64 = (0..12).map(|_| self.below(1_001)).sum();
        count_to_f64(sum) - 6_000.0
    }

    /// A log-normal number around `median`; `sigma` is the standard deviation of its logarithm.
    pub(super) fn log_normal(&mut self, median: u64, sigma: f64) -> u64 {
        let factor = libm::exp(sigma * self.normal_milli() / 1_000.0);
        whole(count_to_f64(median) * factor)
    }

    /// A bell-shaped number from 0 to 1000, around 500.
    pub(super) fn bell(&mut self) -> u64 {
        (self.below(1_001) + self.below(1_001) + self.below(1_001)) / 3
    }
}

/// The whole part of a number that is finite, not negative and below 2^53.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a range that u64 holds exactly"
)]
fn whole(number: f64) -> u64 {
    number.clamp(0.0, 9e15) as u64
}

#[cfg(test)]
mod tests {
    use super::Draw;

    #[test]
    fn streams_repeat_and_differ() {
        let run = |id| {
            let mut draw = Draw::of_merchant(id);
            (0..4).map(|_| draw.below(1_000_000)).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn draws_keep_their_bounds() {
        let mut draw = Draw::of_merchant(1);
        for _ in 0..10_000 {
            assert!((3..=5).contains(&draw.between(3, 5)));
            assert!(draw.bell() <= 1_000);
        }
        assert_eq!(draw.below(0), 0);
        assert_eq!(draw.pick::<u8>(&[]), None);
        let mut sizes: Vec<u64> = (0..2_001).map(|_| draw.log_normal(1_000, 1.5)).collect();
        sizes.sort_unstable();
        assert!((850..1_150).contains(&sizes[1_000]), "median {}", sizes[1_000]);
        assert!(sizes[2_000] > 30_000, "a long tail: {}", sizes[2_000]);
    }
}
