//! Merchants that entered or left programmes: counted for metrics, no part of the state.

use super::state::State;
use crate::traffic::{BITS, bits, mask_of};

/// How many merchants entered and left each programme, by bit.
#[derive(Clone, Debug)]
pub(super) struct Flips {
    entered: [i64; BITS],
    left: [i64; BITS],
    is_empty: bool,
}

impl Default for Flips {
    fn default() -> Self {
        Self { entered: [0; BITS], left: [0; BITS], is_empty: true }
    }
}

impl Flips {
    /// Counts a merchant whose programmes changed.
    pub(super) fn count(&mut self, before: u64, after: u64) {
        self.add(before, after, 1);
    }

    /// Takes back what was counted for a merchant.
    pub(super) fn uncount(&mut self, before: u64, after: u64) {
        self.add(before, after, -1);
    }

    fn add(&mut self, before: u64, after: u64, by: i64) {
        let changed = before ^ after;
        self.is_empty &= changed == 0;
        for bit in bits(changed) {
            let counts = if after & mask_of(bit) != 0 { &mut self.entered } else { &mut self.left };
            if let Some(count) = counts.get_mut(usize::from(bit)) {
                *count += by;
            }
        }
    }

    /// Adds what was counted elsewhere.
    pub(super) fn merge(&mut self, other: &Self) {
        self.is_empty &= other.is_empty;
        let sums = self.entered.iter_mut().chain(&mut self.left);
        for (sum, more) in sums.zip(other.entered.iter().chain(&other.left)) {
            *sum += more;
        }
    }

    /// Whether nothing changed.
    pub(super) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// What was counted, by bit: entered, left. Never below 0, since only what was counted is taken back.
    pub(super) fn counts(&self) -> impl Iterator<Item = (u64, u64)> {
        let count = |count: &i64| u64::try_from(*count).unwrap_or(0);
        self.entered.iter().map(count).zip(self.left.iter().map(count))
    }
}

impl State {
    /// Programmes whose members changed since the last call: id, merchants that entered, merchants that left.
    pub fn take_membership_changes(&mut self) -> Vec<(String, u64, u64)> {
        if self.flips.is_empty() {
            return Vec::new();
        }
        let flips = std::mem::take(&mut self.flips);
        let named = self.meta.programme_bits.iter().zip(flips.counts());
        let changed = named.filter(|(id, (entered, left))| !id.is_empty() && entered + left > 0);
        changed.map(|(id, (entered, left))| (id.clone(), entered, left)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Flips;

    #[test]
    fn what_is_taken_back_was_never_counted() {
        let mut flips = Flips::default();
        assert!(flips.is_empty());
        flips.count(0b0110, 0b0011);
        flips.count(0b0001, 0b0001);
        flips.count(0, 1 << 63);
        let mut more = Flips::default();
        more.count(0, 0b1);
        flips.merge(&more);
        flips.uncount(0, 1 << 63);
        assert!(!flips.is_empty());
        let counts: Vec<_> = flips.counts().collect();
        assert_eq!(counts[..3], [(2, 0), (0, 0), (0, 1)]);
        assert_eq!(counts[63], (0, 0));
    }
}
