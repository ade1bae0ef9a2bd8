//! How programmes treat merchants, each way once: of millions of merchants most are in the same few programmes with the
//! same uplifts, and differ by trust alone. What a weight takes beside trust is worked out once for all who are alike.

use dashmap::{DashMap, Entry};

use crate::domain::TargetKind;
use crate::traffic::{Boost, MAX_BOOSTS, MerchantRecord, MerchantRow};

/// Bits of a position in a merchant's record.
pub(super) const POSITION_BITS: u32 = 16;
/// Most treatments that are kept apart; merchants beyond them are worked out one by one.
const MAX_TREATMENTS: usize = 1 << POSITION_BITS;

/// Everything that weights need of a registered merchant's record but its trust.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Treatment {
    labels: u32,
    programmes: u64,
    held_out: u64,
    boosts: [Boost; MAX_BOOSTS],
    /// Factors of merchant-wide violations, as bits.
    penalty: [u32; TargetKind::COUNT],
}

impl Treatment {
    fn of(record: &MerchantRecord) -> Self {
        Self {
            labels: record.labels,
            programmes: record.programmes,
            held_out: record.held_out,
            boosts: record.boosts,
            penalty: record.penalty.map(f32::to_bits),
        }
    }

    /// The part of the record of a merchant so treated for one kind of target, as if its trust said nothing.
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

/// The treatments of one world. They are only ever added; readers need no lock.
#[derive(Default)]
pub(super) struct Treatments {
    list: boxcar::Vec<Treatment>,
    /// Where each is, counted from 1. Whoever makes records looks here, on several cores at a time; Score does not.
    positions: DashMap<Treatment, u32, foldhash::fast::FixedState>,
}

impl Treatments {
    /// The treatment at a position.
    pub(super) fn get(&self, position: u32) -> Option<&Treatment> {
        self.list.get(usize::try_from(position).ok()?.checked_sub(1)?)
    }

    /// The position of a record's treatment, added if it is new; 0 for who is not registered, and where there is no room.
    pub(super) fn position(&self, record: &MerchantRecord) -> u32 {
        if !record.is_registered {
            return 0;
        }
        let treatment = Treatment::of(record);
        if let Some(position) = self.positions.get(&treatment) {
            return *position;
        }
        match self.positions.entry(treatment) {
            Entry::Occupied(known) => *known.get(),
            // One less than fit: 0 is none.
            Entry::Vacant(_) if self.list.count().saturating_add(1) >= MAX_TREATMENTS => 0,
            Entry::Vacant(place) => {
                let position = self.list.push(place.key().clone()).saturating_add(1);
                *place.insert(u32::try_from(position).unwrap_or(0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_TREATMENTS, Treatments};
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
    fn who_differs_by_trust_alone_is_treated_alike() {
        let treatments = Treatments::default();
        let first = treatments.position(&record(3));
        assert!(first > 0);
        let other = MerchantRecord { trust: 12.0, tilt: [0.5; Scene::COUNT], layers: [9.0; 3], ..record(3) };
        assert_eq!(treatments.position(&other), first);
        for unlike in [
            record(2),
            MerchantRecord { labels: 4, ..record(3) },
            MerchantRecord { held_out: 0, ..record(3) },
            MerchantRecord { penalty: [1.0; 4], ..record(3) },
            MerchantRecord { boosts: [Boost::default(); MAX_BOOSTS], ..record(3) },
        ] {
            assert_ne!(treatments.position(&unlike), first, "{unlike:?}");
        }
        for kind in TargetKind::ALL {
            let row = MerchantRecord { trust: 0.0, tilt: [1.0; Scene::COUNT], ..record(3) }.row(Scene::Live, kind);
            assert_eq!(treatments.get(first).map(|treatment| treatment.row(kind)), Some(row));
        }
        assert_eq!(treatments.position(&MerchantRecord::UNREGISTERED), 0);
        assert!(treatments.get(0).is_none());
    }

    #[test]
    fn beyond_the_most_there_is_no_position() {
        let treatments = Treatments::default();
        let positions = (0..MAX_TREATMENTS as u64 + 5).map(|programmes| treatments.position(&record(programmes)));
        let (kept, none): (Vec<u32>, Vec<u32>) = positions.partition(|position| *position > 0);
        assert_eq!((kept.len(), none.len()), (MAX_TREATMENTS - 1, 6));
        assert!(
            kept.iter().all(|position| treatments.get(*position).is_some() && *position >> super::POSITION_BITS == 0)
        );
        assert_eq!(treatments.position(&record(0)), 1, "those that have one keep it");
    }
}
