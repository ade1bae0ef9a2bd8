//! Whose slot is whose, for requests that know a merchant by its slot only. Slots are given once and kept until a
//! restart, so that one word each suffices.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::table::{MAX_CHUNKS, find, find_or_make, slots_of};
use crate::domain::MerchantId;

/// Merchant ids by slot.
pub(super) struct Owners {
    chunks: Box<[OnceLock<Box<[AtomicU64]>>]>,
}

impl Default for Owners {
    fn default() -> Self {
        Self { chunks: (0..MAX_CHUNKS).map(|_| OnceLock::new()).collect() }
    }
}

impl Owners {
    /// Whose a slot is; none if it was never given.
    pub(super) fn get(&self, slot: u32) -> Option<MerchantId> {
        let (chunk, at) = find(&self.chunks, slot)?;
        let id = chunk.get(at)?.load(Ordering::Relaxed);
        (id != 0).then_some(MerchantId(id))
    }

    /// Gives a slot.
    pub(super) fn set(&self, slot: u32, id: MerchantId) {
        let empty = |number| (0..slots_of(number)).map(|_| AtomicU64::new(0)).collect();
        let found = find_or_make(&self.chunks, slot, empty);
        if let Some(owner) = found.and_then(|(chunk, at)| chunk.get(at)) {
            owner.store(id.0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Owners;
    use crate::domain::MerchantId;

    #[test]
    fn a_slot_is_whose_it_was_given_to() {
        let owners = Owners::default();
        let far = 200_001;
        owners.set(far, MerchantId(77));
        assert_eq!(owners.get(far), Some(MerchantId(77)));
        assert_eq!([0, far - 1, u32::MAX].map(|slot| owners.get(slot)), [None; 3]);
    }
}
