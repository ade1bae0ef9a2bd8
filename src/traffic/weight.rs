//! The boost weight of one target in one scene.

use super::item::ItemClass;
use super::record::{Boost, MAX_BOOSTS, MerchantRow};
use super::rules::SceneRules;

/// Bits of the label set of a target. The numbers are those of the public `Label` enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Not registered.
    Unknown = 1,
    /// Holds Trust Purchase.
    TrustPurchase = 2,
    /// A Kuai brand.
    KuaiBrand = 4,
    /// A traditional brand.
    Brand = 8,
    /// In the New Merchant Launch Plan.
    NewMerchant = 16,
    /// A benchmark of the Kuai brand programme.
    Benchmark = 32,
    /// A violation lowers the weight.
    Penalised = 64,
    /// A violation excludes the target.
    Excluded = 128,
    /// Kept out of a programme to measure its lift.
    Holdout = 256,
}

impl Label {
    /// The bit.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the discriminant is the bit")]
    pub const fn bit(self) -> u32 {
        self as u32
    }
}

/// A weight and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weight {
    /// Factor of the trust score and the tilt programmes in this scene.
    pub tilt: f64,
    /// Factor of the merchant's violations on this kind of target.
    pub penalty: f64,
    /// Factor of the item itself.
    pub item_factor: f64,
    /// Uplift of the charged support programme.
    pub uplift: f64,
    /// Bit of the charged support programme.
    pub charged: Option<u8>,
    /// The weight, before the cast to f32.
    pub weight: f64,
    /// Bits of the programmes that an exposure counts against.
    pub programmes: u64,
    /// Bits of [`Label`].
    pub labels: u32,
}

impl Weight {
    /// The weight of a target whose merchant is not registered: neutral.
    pub const UNKNOWN: Self = Self {
        tilt: 1.0,
        penalty: 1.0,
        item_factor: 1.0,
        uplift: 0.0,
        charged: None,
        weight: 1.0,
        programmes: 0,
        labels: Label::Unknown.bit(),
    };

    /// Whether a violation excludes the target.
    #[must_use]
    pub fn is_excluded(&self) -> bool {
        self.labels & Label::Excluded.bit() != 0
    }

    /// The recommender's score times the weight; the lowest float when excluded.
    #[must_use]
    pub fn adjusted(&self, base_score: f32) -> f64 {
        if self.is_excluded() { f64::from(f32::MIN) } else { f64::from(base_score) * self.weight }
    }
}

/// The weight of a target: `clamp(tilt · penalty · item factor · (1 + uplift))`, 0 when excluded. Under the kill switch
/// it is 1 unless excluded.
#[must_use]
#[inline]
pub fn weigh(rules: &SceneRules, merchant: &MerchantRow, item: &ItemClass) -> Weight {
    if !merchant.is_registered {
        let excluded = Label::Excluded.bit() | Label::Penalised.bit();
        let labels = if item.factor > 0.0 { Label::Unknown.bit() } else { Label::Unknown.bit() | excluded };
        // A violation against an item outlives its registration and that of its merchant.
        let weight = if item.factor > 0.0 { 1.0 } else { 0.0 };
        return Weight { weight, labels, item_factor: f64::from(item.factor), ..Weight::UNKNOWN };
    }
    let penalty = f64::from(merchant.penalty);
    let item_factor = f64::from(item.factor);
    let factor = penalty * item_factor;
    let member = merchant.programmes & item.programmes & rules.open;
    let mut labels = merchant.labels | rules.labels_of(member);
    if merchant.held_out & item.programmes & rules.open != 0 {
        labels |= Label::Holdout.bit();
    }
    let mut weight = Weight { penalty, item_factor, programmes: 0, labels, ..Weight::UNKNOWN };
    if factor <= 0.0 {
        weight.tilt = f64::from(merchant.tilt);
        weight.weight = 0.0;
        weight.labels |= Label::Excluded.bit() | Label::Penalised.bit();
        return weight;
    }
    if factor < 1.0 {
        weight.labels |= Label::Penalised.bit();
    }
    let active = member & rules.in_scene;
    weight.programmes = active & rules.hard;
    if rules.kill_switch {
        return weight;
    }
    let lift = if active & rules.lifting == 0 { Lift::NONE } else { lift(rules, merchant, item, active) };
    weight.tilt = f64::from(merchant.tilt) * lift.tilt;
    weight.uplift = lift.uplift;
    weight.weight = (weight.tilt * penalty * item_factor * (1.0 + lift.uplift)).clamp(0.0, rules.ceiling);
    if let Some(bit) = lift.charged {
        weight.charged = lift.charged;
        weight.programmes |= 1_u64.wrapping_shl(u32::from(bit));
    }
    weight
}

/// What programmes come to.
struct Lift {
    /// Product over stacking groups of the largest tilt programme of each.
    tilt: f64,
    /// The largest uplift of a support programme.
    uplift: f64,
    /// Whose it is.
    charged: Option<u8>,
}

impl Lift {
    const NONE: Self = Self { tilt: 1.0, uplift: 0.0, charged: None };
}

fn lift(rules: &SceneRules, merchant: &MerchantRow, item: &ItemClass, active: u64) -> Lift {
    let is_scaled = active & rules.modifiers != 0 || !item.uplift_factors.is_empty();
    let mut boosts = [(0.0, Boost::default()); MAX_BOOSTS];
    for (place, boost) in boosts.iter_mut().zip(merchant.boosts) {
        if boost.thousandths == 0 {
            break;
        }
        let scale = if is_scaled { rules.modified(boost.bit, active) * item.uplift_factor(boost.bit) } else { 1.0 };
        *place = (boost.uplift() * scale, boost);
    }
    if is_scaled {
        // Stable: equal ones stay in the order they were prepared in.
        boosts.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    }
    let mut lift = Lift::NONE;
    let mut groups = 0_u64;
    for (uplift, boost) in boosts {
        let mask = 1_u64.wrapping_shl(u32::from(boost.bit));
        if uplift <= 0.0 || active & mask == 0 || boost.scenes & rules.scene == 0 {
            continue;
        }
        if rules.tilts & mask != 0 {
            let group = rules.group_of(boost.bit);
            if groups & group == 0 {
                groups |= group;
                lift.tilt *= 1.0 + uplift;
            }
        } else if lift.charged.is_none() {
            lift.uplift = uplift;
            lift.charged = Some(boost.bit);
        }
    }
    lift
}
