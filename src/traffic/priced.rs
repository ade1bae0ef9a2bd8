//! Lines under prices: what targets have in common whose merchants are of one class. The tilt of trust and the
//! price of the member are all that is left to each.

use arrayvec::ArrayVec;

use super::price::{Bid, MemberPrice, Support, bid, weight};
use super::record::MAX_BOOSTS;

/// A bid below all others: of what is excluded, or whose hard budget is spent.
#[expect(clippy::as_conversions, reason = "widens, which `From` does not do in constants")]
pub(super) const NEVER: Bid = Bid { score: f32::MIN as f64, charged: None };

/// What [`Lines`](super::Lines) of a registered merchant with a trust tilt of 1 come to under prices.
#[derive(Clone, Debug, PartialEq)]
pub struct PricedLines {
    /// Bits of [`Label`](super::Label).
    pub labels: u32,
    /// Whether something is limited or promised to single members: if not, none has a price.
    pub is_limited: bool,
    /// Bits of the programmes that an exposure counts against in weights mode.
    pub programmes: u64,
    /// Bits of the hard programmes among them.
    pub hard: u64,
    /// Whether a hard budget is spent.
    pub(super) is_stopped: bool,
    pub(super) tilt: f64,
    pub(super) penalty: f64,
    pub(super) item_factor: f64,
    pub(super) ceiling: f64,
    /// Factor of the prices of hard budgets.
    pub(super) discount: f64,
    /// Factor of the best support programme.
    pub(super) lift: f64,
    /// Sum of the prices of hard budgets.
    pub(super) debt: f64,
    /// Support programmes with budget left, and the prices of their budgets.
    pub(super) supports: ArrayVec<(Support, f64), MAX_BOOSTS>,
}

impl PricedLines {
    /// Whether all there is to a member is its price: prices of what is punished are cut, and so they take the long way.
    #[must_use]
    #[inline]
    pub fn takes(&self, member: &MemberPrice) -> bool {
        let has_price = member.factor.to_bits() != 1.0_f32.to_bits() || member.additive.to_bits() != 0;
        !has_price || self.penalty * self.item_factor >= 1.0
    }

    /// The value of a target without a base score, given the trust tilt of its merchant.
    #[inline]
    fn value(&self, tilt: f32) -> f64 {
        f64::from(tilt) * self.tilt * self.penalty * self.item_factor
    }

    /// The weight of a target: the same as that of [`Lines::weight`](super::Lines::weight), bit for bit.
    #[must_use]
    #[inline]
    pub fn weight(&self, tilt: f32, member: &MemberPrice) -> f64 {
        if self.is_stopped {
            return 0.0;
        }
        weight(self.value(tilt), f64::from(member.factor), self.discount, self.lift, self.ceiling)
    }

    /// The adjusted score of a target in units of the base score: the same as that of
    /// [`Lines::adjusted`](super::Lines::adjusted), bit for bit.
    #[must_use]
    #[inline]
    pub fn adjusted(&self, tilt: f32, member: &MemberPrice, mean: f64, base_score: f32) -> Bid {
        if self.is_stopped {
            return NEVER;
        }
        let value = self.value(tilt) * f64::from(base_score);
        let bid = bid(value / mean, self.debt, f64::from(member.additive), self.supports.iter().copied());
        Bid { score: bid.score * mean, ..bid }
    }
}
