//! The boost weight of one target in one scene.

use super::record::{MerchantRow, NO_SUPPORT};
use crate::domain::Scene;

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

/// What all weights of a policy share.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightRules {
    /// Highest weight.
    pub ceiling: f64,
    /// Programmes that work in each scene, as bits, by scene index.
    pub scene_programmes: [u64; Scene::COUNT],
    /// Hard programmes, as bits.
    pub hard_programmes: u64,
}

impl WeightRules {
    /// The rules in one scene.
    #[must_use]
    pub fn in_scene(&self, scene: Scene) -> SceneRules {
        let in_scene = self.scene_programmes.get(scene.index()).copied().unwrap_or(0);
        // A policy is checked to have a ceiling of at least 0; NaN would make every clamp panic.
        let hard_programmes = self.hard_programmes & in_scene;
        SceneRules { ceiling: self.ceiling.max(0.0), hard_programmes, kill_switch: false }
    }
}

/// What all weights of a request share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SceneRules {
    /// Highest weight.
    pub ceiling: f64,
    /// Hard programmes that work in the scene, as bits.
    pub hard_programmes: u64,
    /// Whether weights are neutral: 1 for what is not excluded, and no support programme is charged.
    pub kill_switch: bool,
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

/// The weight of a target: `clamp(tilt · penalty · item factor · (1 + uplift))`, 0 when excluded.
#[must_use]
#[inline]
pub fn weigh(rules: &SceneRules, merchant: &MerchantRow, item_factor: f32) -> Weight {
    if !merchant.is_registered {
        return Weight::UNKNOWN;
    }
    let tilt = f64::from(merchant.tilt);
    let penalty = f64::from(merchant.penalty);
    let item_factor = f64::from(item_factor);
    let uplift = f64::from(merchant.uplift);
    let factor = penalty * item_factor;
    let mut weight = Weight {
        tilt,
        penalty,
        item_factor,
        uplift,
        weight: (tilt * penalty * item_factor * (1.0 + uplift)).clamp(0.0, rules.ceiling),
        programmes: 0,
        labels: merchant.labels,
    };
    if factor <= 0.0 {
        weight.weight = 0.0;
        weight.labels |= Label::Excluded.bit() | Label::Penalised.bit();
        return weight;
    }
    if factor < 1.0 {
        weight.labels |= Label::Penalised.bit();
    }
    weight.programmes = merchant.programmes & rules.hard_programmes;
    if rules.kill_switch {
        weight.weight = 1.0;
        return weight;
    }
    if merchant.support != NO_SUPPORT {
        weight.programmes |= 1_u64.wrapping_shl(u32::from(merchant.support));
    }
    weight
}
