//! What Score needs of an item beside its merchant. Items that are alike share one class.

use super::programme::Programme;
use crate::domain::{TargetKind, to_f32};
use crate::trust::ItemView;

/// What Score needs of an item: whose it is, and its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRecord {
    /// Slot of its merchant.
    pub merchant_slot: u32,
    /// Position of its class.
    pub class: u32,
}

/// Everything that weights of one item have in common with those of items like it.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemClass {
    /// Product of the factors of violations against the item.
    pub factor: f32,
    /// Bits of the programmes that take the item if its merchant is a member.
    pub programmes: u64,
    /// Factors on the uplift of single programmes, by bit; the others have 1.
    pub uplift_factors: Vec<(u8, f32)>,
}

impl ItemClass {
    /// The class of an item, or of a target of a kind that is not registered.
    #[must_use]
    pub fn new(programmes: &[Programme], kind: TargetKind, item: Option<&ItemView>, factor: f32) -> Self {
        let taken = programmes.iter().filter(|programme| programme.takes(kind, item));
        let mut class = Self { factor, programmes: 0, uplift_factors: Vec::new() };
        for programme in taken {
            class.programmes |= programme.mask();
            let scaled = to_f32(programme.item_uplift(kind, item));
            if scaled.to_bits() != 1.0_f32.to_bits() {
                class.uplift_factors.push((programme.bit, scaled));
            }
        }
        class
    }

    /// Factor on the uplift of a programme.
    #[must_use]
    pub fn uplift_factor(&self, bit: u8) -> f64 {
        let found = self.uplift_factors.iter().find(|(other, _)| *other == bit);
        found.map_or(1.0, |(_, factor)| f64::from(*factor))
    }
}
