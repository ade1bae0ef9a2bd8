//! The classes of merchants of one world: of millions most are in the same few programmes with the same uplifts, and
//! differ by trust alone. What a weight takes beside trust is worked out once for all of a class.

use super::distinct::Distinct;
use crate::domain::TargetKind;
use crate::traffic::{Boost, MAX_BOOSTS, MerchantRecord, MerchantRow};

/// Most classes that are kept apart; merchants beyond them are worked out one by one.
const MAX_CLASSES: u32 = 1 << 16;

/// Everything that weights need of a registered merchant's record but its trust: the same for all of a class.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MerchantClass {
    labels: u32,
    programmes: u64,
    held_out: u64,
    boosts: [Boost; MAX_BOOSTS],
    /// Factors of merchant-wide violations, as bits.
    penalty: [u32; TargetKind::COUNT],
}

impl MerchantClass {
    fn of(record: &MerchantRecord) -> Self {
        Self {
            labels: record.labels,
            programmes: record.programmes,
            held_out: record.held_out,
            boosts: record.boosts,
            penalty: record.penalty.map(f32::to_bits),
        }
    }

    /// The part of the record of a merchant of the class for one kind of target, as if its trust said nothing.
    #[must_use]
    pub fn row(&self, kind: TargetKind) -> MerchantRow {
        MerchantRow {
            is_registered: true,
            trust: 0.0,
            labels: self.labels,
            penalty: self.penalty.get(kind.index()).map_or(1.0, |bits| f32::from_bits(*bits)),
            tilt: 1.0,
            programmes: self.programmes,
            held_out: self.held_out,
            boosts: self.boosts,
        }
    }
}

/// The classes of one world.
pub(super) struct MerchantClasses(Distinct<MerchantClass, MerchantClass>);

impl Default for MerchantClasses {
    fn default() -> Self {
        // One less than there are numbers: 0 is none.
        Self(Distinct::new(MAX_CLASSES - 1))
    }
}

impl MerchantClasses {
    /// The class at a position, counted from 1.
    pub(super) fn get(&self, position: u32) -> Option<&MerchantClass> {
        self.0.get(position.checked_sub(1)?)
    }

    /// The position of a record's class, added if it is new; 0 for who is not registered, and where there is no room.
    pub(super) fn position(&self, record: &MerchantRecord) -> u32 {
        let class = record.is_registered.then(|| MerchantClass::of(record));
        let position = class.and_then(|class| self.0.position(class, MerchantClass::clone));
        position.map_or(0, |position| position.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_CLASSES, MerchantClasses};
    use crate::domain::{Scene, TargetKind};
    use crate::traffic::{Boost, MAX_BOOSTS, MerchantRecord};

    fn record(programmes: u64) -> MerchantRecord {
        MerchantRecord {
            is_registered: true,
            trust: 70.0,
            labels: 5,
            penalty: [1.0, 0.5, 0.25, 0.0],
            programmes,
            held_out: 1 << 9,
            boosts: std::array::from_fn(|at| Boost::new(u8::try_from(at).unwrap_or(0), 7, 0.5)),
            ..MerchantRecord::UNREGISTERED
        }
    }

    #[test]
    fn who_differs_by_trust_alone_is_of_one_class() {
        let classes = MerchantClasses::default();
        let first = classes.position(&record(3));
        assert!(first > 0);
        let other = MerchantRecord { trust: 12.0, tilt: [0.5; Scene::COUNT], layers: [9.0; 3], ..record(3) };
        assert_eq!(classes.position(&other), first);
        for unlike in [
            record(2),
            MerchantRecord { labels: 4, ..record(3) },
            MerchantRecord { held_out: 0, ..record(3) },
            MerchantRecord { penalty: [1.0; 4], ..record(3) },
            MerchantRecord { boosts: [Boost::default(); MAX_BOOSTS], ..record(3) },
        ] {
            assert_ne!(classes.position(&unlike), first, "{unlike:?}");
        }
        for kind in TargetKind::ALL {
            let row = MerchantRecord { trust: 0.0, tilt: [1.0; Scene::COUNT], ..record(3) }.row(Scene::Live, kind);
            assert_eq!(classes.get(first).map(|class| class.row(kind)), Some(row));
        }
        assert_eq!(classes.position(&MerchantRecord::UNREGISTERED), 0);
        assert!(classes.get(0).is_none());
    }

    #[test]
    fn beyond_the_most_there_is_no_position() {
        let classes = MerchantClasses::default();
        let positions = (0..u64::from(MAX_CLASSES) + 5).map(|programmes| classes.position(&record(programmes)));
        let (kept, none): (Vec<u32>, Vec<u32>) = positions.partition(|position| *position > 0);
        assert_eq!((kept.len(), none.len()), (MAX_CLASSES as usize - 1, 6));
        assert!(kept.iter().all(|position| classes.get(*position).is_some()));
        assert_eq!(classes.position(&record(0)), 1, "those that have one keep it");
    }
}
