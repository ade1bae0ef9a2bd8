//! The boost weight of one target in one scene, and its labels.

use std::sync::LazyLock;

use super::item::ItemClass;
use super::lines::lines;
use super::price::{MemberPrice, ScenePrices};
use super::record::MerchantRow;
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
    /// The bits of all labels.
    pub const ALL: u32 = (Self::Holdout.bit() << 1).wrapping_sub(1);

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
    /// Whether a violation excludes the target.
    #[must_use]
    pub fn is_excluded(&self) -> bool {
        self.labels & Label::Excluded.bit() != 0
    }
}

/// The weight of a target where every budget has room and nothing has a price: `clamp(tilt · penalty · item factor ·
/// (1 + uplift))`, 0 when excluded. Under the kill switch it is 1 unless excluded.
#[must_use]
pub fn weigh(rules: &SceneRules, merchant: &MerchantRow, item: &ItemClass) -> Weight {
    lines(rules, 0, merchant, item).weight(&NEUTRAL, &MemberPrice::default())
}

/// Prices that change nothing.
static NEUTRAL: LazyLock<ScenePrices> = LazyLock::new(ScenePrices::default);
