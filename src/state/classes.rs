//! The classes of items of one world: items that are alike share one, so that an item takes no more memory than its
//! place in the index.

use std::sync::atomic::{AtomicU64, Ordering};

use super::distinct::Distinct;
use crate::domain::TargetKind;
use crate::traffic::{ItemClass, Programme};

/// Most classes of a world: what fits into an item's value.
pub(super) const MAX_CLASSES: u32 = (1 << 19) - 1;
/// The class of items that violations exclude, for when there is no room for another.
const EXCLUDED: u32 = 4;

/// Worlds whose classes were begun in this process.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// What makes two classes the same.
type Key = (u32, u64, Vec<(u8, u32)>);

/// The classes.
pub struct ItemClasses {
    distinct: Distinct<Key, ItemClass>,
    identity: u64,
}

impl ItemClasses {
    /// The classes of targets that are not registered, by kind index, and of excluded items.
    pub(super) fn new(programmes: &[Programme]) -> Self {
        let identity = BEGUN.fetch_add(1, Ordering::Relaxed);
        let classes = Self { distinct: Distinct::new(MAX_CLASSES), identity };
        for kind in TargetKind::ALL {
            classes.distinct.push(ItemClass::new(programmes, kind, None, 1.0));
        }
        classes.distinct.push(ItemClass { factor: 0.0, programmes: 0, uplift_factors: Vec::new() });
        classes
    }

    /// The class of targets of a kind that are not registered, and of merchants.
    pub(super) fn unregistered(kind: TargetKind) -> u32 {
        u32::try_from(kind.index()).unwrap_or(0)
    }

    /// A number that no other world's classes have in this process: what is remembered of a position holds under it.
    #[must_use]
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// The class at a position.
    #[must_use]
    #[inline]
    pub fn get(&self, position: u32) -> Option<&ItemClass> {
        self.distinct.get(position)
    }

    /// The position of a class, added if it is new. When there are too many, excluded items stay excluded and others
    /// of their kind lose what sets them apart.
    pub(super) fn position(&self, class: ItemClass, kind: TargetKind) -> u32 {
        let factors = class.uplift_factors.iter().map(|(bit, factor)| (*bit, factor.to_bits())).collect();
        let key: Key = (class.factor.to_bits(), class.programmes, factors);
        let is_excluded = class.factor <= 0.0;
        let full = || if is_excluded { EXCLUDED } else { Self::unregistered(kind) };
        self.distinct.position(key, |_| class).unwrap_or_else(full)
    }
}

#[cfg(test)]
mod tests {
    use super::ItemClasses;
    use crate::domain::TargetKind;
    use crate::traffic::ItemClass;

    #[test]
    fn like_items_share_a_class() {
        let classes = ItemClasses::new(&[]);
        let class = |factor: f32, programmes| ItemClass { factor, programmes, uplift_factors: vec![] };
        let first = classes.position(class(0.5, 3), TargetKind::Product);
        assert_eq!(classes.position(class(0.5, 3), TargetKind::Product), first);
        let other = classes.position(class(0.5, 2), TargetKind::Product);
        assert_ne!(other, first);
        assert_eq!(classes.get(other), Some(&class(0.5, 2)));
        assert_eq!(classes.get(super::EXCLUDED).map(|class| class.factor), Some(0.0));
    }
}
