//! Prices of budgets, caps and guarantees, and what they make of a candidate (DESIGN section 7, weights and prices).
//!
//! A price says what one more exposure of something scarce is worth, in units of the mean base score. Control solves
//! them (`control`); Score and Allocate only read them. Prices are soft state: lost, they are solved again.

use arrayvec::ArrayVec;

use super::bits::{BITS, bits, mask_of};
use super::record::MAX_BOOSTS;
use crate::domain::{Scene, TargetKind};

/// A support programme that an exposure may be charged to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Support {
    /// The programme's bit.
    pub bit: u8,
    /// Its uplift after modifiers and item factors: 0.5 means half as much again.
    pub uplift: f64,
}

/// A candidate before prices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offer {
    /// Slot of its merchant.
    pub member: u32,
    /// Base score times tilt, penalty and item factor; without a base score only the factors.
    pub value: f64,
    /// Bits of the hard programmes that its exposure counts against.
    pub hard: u64,
    /// Support programmes that its exposure may be charged to, the largest uplift first.
    pub supports: ArrayVec<Support, MAX_BOOSTS>,
}

/// Prices of the budgets of one scene, by programme bit. A budget over all scenes has one price in all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct ScenePrices {
    /// Price of a budget in units of the mean base score, 0 and up (slate and adjusted mode).
    pub lambda: [f32; BITS],
    /// e^-price of the prices solved in the log domain, 0 to 1 (weights mode).
    pub discount: [f32; BITS],
    /// Programmes whose budget may have a price, as bits: all, until [`ScenePrices::note_priced`] has looked.
    pub priced: u64,
    /// Programmes without budget left, as bits.
    pub spent: u64,
    /// Mean base score, by target kind index; above 0.
    pub mean_base: [f32; TargetKind::COUNT],
}

impl ScenePrices {
    /// Notes which budgets have a price: the others change no sum and no product, and are passed over.
    pub fn note_priced(&mut self) {
        let budgets = self.lambda.iter().zip(&self.discount).zip(0_u8..);
        let is_priced =
            |(lambda, discount): (&f32, &f32)| lambda.to_bits() != 0 || discount.to_bits() != 1.0_f32.to_bits();
        self.priced = budgets.fold(0, |bits, (price, bit)| bits | u64::from(is_priced(price)) << bit);
    }
}

impl Default for ScenePrices {
    fn default() -> Self {
        Self {
            lambda: [0.0; BITS],
            discount: [1.0; BITS],
            priced: u64::MAX,
            spent: 0,
            mean_base: [1.0; TargetKind::COUNT],
        }
    }
}

/// All prices of budgets, as of one epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PriceBook {
    /// Counts publications, so that an explanation can name the one it speaks of.
    pub epoch: u64,
    /// By scene index.
    pub scenes: [ScenePrices; Scene::COUNT],
}

/// What guarantees and caps make of one member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemberPrice {
    /// Prices of its guarantees less those of its caps, in units of the mean base score (slate and adjusted mode).
    pub additive: f32,
    /// The same as a factor, e^(guarantees - caps), solved in the log domain (weights mode).
    pub factor: f32,
    /// Programmes whose cap or share is spent for this member, as bits.
    pub spent: u64,
    /// Whether the guard wants it served whenever it is a candidate (slate mode).
    pub must_serve: bool,
}

impl Default for MemberPrice {
    fn default() -> Self {
        Self { additive: 0.0, factor: 1.0, spent: 0, must_serve: false }
    }
}

/// What a candidate comes to under prices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bid {
    /// Adjusted score in units of the mean base score (`bid`), or the weight (`weight`).
    pub score: f64,
    /// The support programme that its exposure is charged to.
    pub charged: Option<u8>,
}

fn at(prices: &[f32; BITS], bit: u8) -> f64 {
    // A bit is below 64: said so, nothing has to be checked.
    prices.get(usize::from(bit) % BITS).map_or(0.0, |price| f64::from(*price))
}

impl Offer {
    /// `v − Σ λ(hard) + member + max(0, max(uplift·v − λ(support)))` with `v = value / mean`, over the programmes that
    /// are not in `spent`. None if a hard programme of it is spent: then nothing may be shown.
    #[must_use]
    pub fn bid(&self, prices: &ScenePrices, member: &MemberPrice, mean: f64, spent: u64) -> Option<Bid> {
        let spent = spent | prices.spent | member.spent;
        if self.hard & spent != 0 {
            return None;
        }
        let additive = f64::from(member.additive);
        Some(bid(self.value / mean, self.debt(prices), additive, self.open_supports(prices, spent)))
    }

    /// `value · member · Π discount(hard) · max(1, max((1 + uplift)·discount(support)))`, clamped to the ceiling, over
    /// the programmes that are not in `spent`. None if a hard programme of it is spent.
    #[must_use]
    pub fn weight(&self, prices: &ScenePrices, member: &MemberPrice, ceiling: f64, spent: u64) -> Option<Bid> {
        let spent = spent | prices.spent | member.spent;
        if self.hard & spent != 0 {
            return None;
        }
        let (lift, charged) = self.lift(prices, spent);
        let factor = f64::from(member.factor);
        Some(Bid { score: weight(self.value, factor, self.discount(prices), lift, ceiling), charged })
    }

    /// Sum of the prices of its hard budgets.
    pub(super) fn debt(&self, prices: &ScenePrices) -> f64 {
        bits(self.hard & prices.priced).fold(0.0, |sum, bit| sum + at(&prices.lambda, bit))
    }

    /// Product of the factors that its hard budgets' prices are in weights mode.
    pub(super) fn discount(&self, prices: &ScenePrices) -> f64 {
        bits(self.hard & prices.priced).fold(1.0, |product, bit| product * at(&prices.discount, bit))
    }

    /// The largest factor of a support programme that has budget left after its price, and whose; at least 1.
    pub(super) fn lift(&self, prices: &ScenePrices, spent: u64) -> (f64, Option<u8>) {
        let mut best = (1.0, None);
        for Support { bit, uplift } in &self.supports {
            let lift = (1.0 + uplift) * at(&prices.discount, *bit);
            if mask_of(*bit) & spent == 0 && lift > best.0 {
                best = (lift, Some(*bit));
            }
        }
        best
    }

    /// Its support programmes with budget left, and the prices of their budgets.
    pub(super) fn open_supports(&self, prices: &ScenePrices, spent: u64) -> impl Iterator<Item = (Support, f64)> {
        let open = self.supports.iter().filter(move |support| mask_of(support.bit) & spent == 0);
        open.map(|support| (*support, at(&prices.lambda, support.bit)))
    }
}

/// The bid of a value in units of the mean base score, given what its hard budgets and its member cost and add.
pub(super) fn bid(value: f64, debt: f64, additive: f64, supports: impl Iterator<Item = (Support, f64)>) -> Bid {
    let mut best = (0.0, None);
    for (Support { bit, uplift }, price) in supports {
        let gain = uplift * value - price;
        if gain > best.0 {
            best = (gain, Some(bit));
        }
    }
    Bid { score: value - debt + additive + best.0, charged: best.1 }
}

/// The weight of a value, given the factors of its member, its hard budgets and its best support programme.
pub(super) fn weight(value: f64, member: f64, discount: f64, lift: f64, ceiling: f64) -> f64 {
    (value * member * discount * lift).clamp(0.0, ceiling)
}

#[cfg(test)]
mod tests {
    use arrayvec::ArrayVec;
    use proptest::prelude::*;

    use super::{MemberPrice, Offer, ScenePrices, Support};

    proptest! {
        #[test]
        fn budgets_without_a_price_are_passed_over_and_nothing_changes(
            hard in any::<u64>(),
            priced in prop::collection::vec((0_usize..64, 0.0_f32..2.0, 0.0_f32..1.0), 0..8),
            supports in prop::collection::vec((0_u8..64, 0.0_f64..2.0), 0..4),
            value in -1.0_f64..5.0,
        ) {
            let supports: ArrayVec<_, _> = supports.iter().map(|(bit, uplift)| Support { bit: *bit, uplift: *uplift }).collect();
            let offer = Offer { member: 1, value, hard, supports };
            let mut all = ScenePrices::default();
            for (bit, lambda, discount) in priced {
                (all.lambda[bit], all.discount[bit]) = (lambda, discount);
            }
            let mut noted = all.clone();
            noted.note_priced();
            let member = MemberPrice::default();
            prop_assert_eq!(offer.bid(&noted, &member, 0.5, 0), offer.bid(&all, &member, 0.5, 0));
            prop_assert_eq!(offer.weight(&noted, &member, 9.0, 0), offer.weight(&all, &member, 9.0, 0));
        }
    }
}
