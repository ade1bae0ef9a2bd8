//! What a target brings to pricing: its factors, the budgets that an exposure of it counts against, and the lines
//! that support programmes offer (DESIGN section 7, weights and prices).

use arrayvec::ArrayVec;

use super::bits::mask_of;
use super::item::ItemClass;
use super::price::{Bid, MemberPrice, Offer, ScenePrices, Support};
use super::priced::{NEVER, PricedLines};
use super::record::{Boost, MAX_BOOSTS, MerchantRow};
use super::rules::SceneRules;
use super::weight::{Label, Weight};
use crate::domain::to_f32;

/// A target before prices.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines {
    /// Factor of the trust score and the tilt programmes in this scene.
    pub tilt: f64,
    /// Factor of the merchant's violations on this kind of target.
    pub penalty: f64,
    /// Factor of the item itself.
    pub item_factor: f64,
    /// Bits of [`Label`].
    pub labels: u32,
    /// Bits of the hard programmes that an exposure counts against, also where no budget is looked at.
    pub hard: u64,
    /// Bits of the programmes that limit or promise something to single members: if there are any, its member's price
    /// is to be read.
    pub limited: u64,
    /// Whether a violation excludes it: then it is never shown, and the offer says nothing.
    pub is_excluded: bool,
    /// Highest weight.
    ceiling: f64,
    /// Its value without a base score, the hard budgets that may stop it, and its support lines.
    offer: Offer,
}

impl Default for Lines {
    /// Nothing yet, for [`Lines::set`].
    fn default() -> Self {
        Self {
            tilt: 1.0,
            penalty: 1.0,
            item_factor: 1.0,
            labels: 0,
            hard: 0,
            limited: 0,
            is_excluded: false,
            ceiling: f64::MAX,
            offer: Offer { value: 1.0, ..Offer::default() },
        }
    }
}

impl Lines {
    /// Becomes what a target brings to pricing: one after the other, in one place, as a request has hundreds. `member`
    /// is the slot of its merchant.
    #[inline]
    pub fn set(&mut self, rules: &SceneRules, member: u32, merchant: &MerchantRow, item: &ItemClass) {
        self.tilt = 1.0;
        self.hard = 0;
        self.limited = 0;
        self.is_excluded = false;
        self.ceiling = f64::MAX;
        self.item_factor = f64::from(item.factor);
        self.offer.member = member;
        self.offer.value = 1.0;
        self.offer.hard = 0;
        self.offer.supports.clear();
        if !merchant.is_registered {
            self.set_unregistered();
            return;
        }
        self.penalty = f64::from(merchant.penalty);
        let factor = self.penalty * self.item_factor;
        let programmes = merchant.programmes & item.programmes & rules.open;
        self.labels = merchant.labels | rules.labels_of(programmes);
        if merchant.held_out & item.programmes & rules.open != 0 {
            self.labels |= Label::Holdout.bit();
        }
        if factor <= 0.0 {
            self.tilt = f64::from(merchant.tilt);
            self.is_excluded = true;
            self.labels |= Label::Excluded.bit() | Label::Penalised.bit();
            return;
        }
        if factor < 1.0 {
            self.labels |= Label::Penalised.bit();
        }
        let active = programmes & rules.in_scene;
        self.hard = active & rules.hard;
        if rules.kill_switch {
            return;
        }
        self.limited = active & rules.limited;
        self.ceiling = rules.ceiling;
        self.offer.hard = self.hard;
        self.tilt = f64::from(merchant.tilt);
        if active & rules.lifting != 0 {
            self.lift(rules, merchant, item, active);
        }
        self.offer.value = self.tilt * self.penalty * self.item_factor;
    }

    /// A target that nothing is known of but its violations.
    fn set_unregistered(&mut self) {
        self.penalty = 1.0;
        // A violation against an item outlives its registration and that of its merchant.
        self.is_excluded = self.item_factor <= 0.0;
        let excluded = if self.is_excluded { Label::Excluded.bit() | Label::Penalised.bit() } else { 0 };
        self.labels = Label::Unknown.bit() | excluded;
    }

    /// Its offer for a base score; none when excluded.
    #[must_use]
    pub fn offer(&self, base_score: f32) -> Option<Offer> {
        if self.is_excluded {
            return None;
        }
        Some(Offer { value: self.offer.value * f64::from(base_score), ..self.offer.clone() })
    }

    /// The price of its member as it holds for this target: what is punished is neither lifted for a guarantee as
    /// others are, nor served whatever else there is.
    #[must_use]
    pub fn member_price(&self, mut price: MemberPrice) -> MemberPrice {
        let factor = self.penalty * self.item_factor;
        if factor < 1.0 {
            let factor = to_f32(factor);
            if price.additive > 0.0 {
                price.additive *= factor;
            }
            if price.factor > 1.0 {
                price.factor = 1.0 + (price.factor - 1.0) * factor;
            }
            price.must_serve = false;
        }
        price
    }

    /// Its weight under the prices of weights mode.
    #[must_use]
    #[inline]
    pub fn weight(&self, prices: &ScenePrices, member: &MemberPrice) -> Weight {
        let bid = if self.is_excluded { None } else { self.offer.weight(prices, member, self.ceiling, 0) };
        let bid = bid.unwrap_or(Bid { score: 0.0, charged: None });
        Weight {
            tilt: self.tilt,
            penalty: self.penalty,
            item_factor: self.item_factor,
            uplift: bid.charged.map_or(0.0, |bit| self.uplift(bit)),
            charged: bid.charged,
            weight: bid.score,
            programmes: self.hard | charged_mask(bid.charged),
            labels: self.labels,
        }
    }

    /// Its adjusted score in units of the base score, under the prices of adjusted mode: the lowest float when it is
    /// excluded or a hard budget of it is spent. Call it once: the base score becomes part of the value.
    #[must_use]
    #[inline]
    pub fn adjusted(&mut self, prices: &ScenePrices, member: &MemberPrice, mean: f64, base_score: f32) -> Bid {
        if self.is_excluded {
            return NEVER;
        }
        self.offer.value *= f64::from(base_score);
        let bid = self.offer.bid(prices, member, mean, 0);
        bid.map_or(NEVER, |bid| Bid { score: bid.score * mean, ..bid })
    }

    /// What it comes to under prices for all whose merchants are of the class of this one's, a registered one; `spent`
    /// are programmes that the member gets nothing more of, beside those of the prices. None when excluded. Not for the
    /// kill switch: then tilts say nothing.
    #[must_use]
    pub fn priced(&self, prices: &ScenePrices, spent: u64) -> Option<PricedLines> {
        if self.is_excluded {
            return None;
        }
        let closed = spent | prices.spent;
        let is_stopped = self.offer.hard & closed != 0;
        let (lift, charged) = self.offer.lift(prices, closed);
        Some(PricedLines {
            labels: self.labels,
            is_limited: self.limited != 0,
            programmes: self.programmes(charged.filter(|_| !is_stopped)),
            hard: self.hard,
            is_stopped,
            tilt: self.tilt,
            penalty: self.penalty,
            item_factor: self.item_factor,
            ceiling: self.ceiling,
            discount: self.offer.discount(prices),
            lift,
            debt: self.offer.debt(prices),
            supports: self.offer.open_supports(prices, closed).collect(),
        })
    }

    /// Bits of the programmes that an exposure counts against when it is charged to a support programme.
    #[must_use]
    pub fn programmes(&self, charged: Option<u8>) -> u64 {
        self.hard | charged_mask(charged)
    }

    /// Uplift of a support programme on this target, after modifiers and item factors; 0 if it has no line.
    #[must_use]
    pub fn uplift(&self, bit: u8) -> f64 {
        self.offer.supports.iter().find(|support| support.bit == bit).map_or(0.0, |support| support.uplift)
    }

    /// The value without a base score.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.offer.value
    }

    /// Bits of the hard programmes whose budgets and caps may stop it: none under the kill switch.
    #[must_use]
    pub fn stopped_by(&self) -> u64 {
        self.offer.hard
    }
}

fn charged_mask(charged: Option<u8>) -> u64 {
    charged.map_or(0, mask_of)
}

/// What a target brings to pricing. `member` is the slot of its merchant.
#[must_use]
pub fn lines(rules: &SceneRules, member: u32, merchant: &MerchantRow, item: &ItemClass) -> Lines {
    let mut lines = Lines::default();
    lines.set(rules, member, merchant, item);
    lines
}

impl Lines {
    /// What programmes add: to the tilt the largest of each stacking group, and a line for each support programme.
    fn lift(&mut self, rules: &SceneRules, merchant: &MerchantRow, item: &ItemClass, active: u64) {
        let boosts = merchant.boosts.iter().take_while(|boost| boost.thousandths != 0);
        if active & rules.modifiers == 0 && item.uplift_factors.is_empty() {
            self.stack(rules, active, boosts.map(|boost| (boost.uplift(), *boost)));
            return;
        }
        let scale = |boost: &Boost| rules.modified(boost.bit, active) * item.uplift_factor(boost.bit);
        let mut boosts: ArrayVec<(f64, Boost), MAX_BOOSTS> =
            boosts.map(|boost| (boost.uplift() * scale(boost), *boost)).collect();
        // Stable: equal ones stay in the order they were prepared in.
        boosts.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        self.stack(rules, active, boosts.into_iter());
    }

    /// Takes boosts, the largest of each kind first.
    #[inline]
    fn stack(&mut self, rules: &SceneRules, active: u64, boosts: impl Iterator<Item = (f64, Boost)>) {
        let mut tilt = 1.0;
        let mut groups = 0_u64;
        for (uplift, boost) in boosts {
            let mask = mask_of(boost.bit);
            if uplift <= 0.0 || active & mask == 0 || boost.scenes & rules.scene == 0 {
                continue;
            }
            if rules.tilts & mask != 0 {
                let group = rules.group_of(boost.bit);
                if groups & group == 0 {
                    groups |= group;
                    tilt *= 1.0 + uplift;
                }
            } else {
                // As many places as boosts.
                let _ = self.offer.supports.try_push(Support { bit: boost.bit, uplift });
            }
        }
        self.tilt *= tilt;
    }
}
