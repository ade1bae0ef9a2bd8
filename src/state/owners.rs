//! Whose slot is whose, for requests that know a merchant by its slot only. Slots are given once and kept until a
//! restart, so that one word each suffices.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::MerchantId;

/// Slots of one chunk: 4,096 of 8 bytes.
const CHUNK: usize = 4_096;
/// Chunks at most, as many as the table of records has.
const MAX_CHUNKS: usize = super::MAX_SLOTS / CHUNK;

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
        let slot = usize::try_from(slot).ok()?;
        let id = self.chunks.get(slot / CHUNK)?.get()?.get(slot % CHUNK)?.load(Ordering::Relaxed);
        (id != 0).then_some(MerchantId(id))
    }

    /// Gives a slot.
    pub(super) fn set(&self, slot: u32, id: MerchantId) {
        let Ok(slot) = usize::try_from(slot) else { return };
        let empty = || (0..CHUNK).map(|_| AtomicU64::new(0)).collect();
        let chunk = self.chunks.get(slot / CHUNK).map(|chunk| chunk.get_or_init(empty));
        if let Some(place) = chunk.and_then(|chunk| chunk.get(slot % CHUNK)) {
            place.store(id.0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Owners};
    use crate::domain::MerchantId;

    #[test]
    fn a_slot_is_whose_it_was_given_to() {
        let owners = Owners::default();
        let far = u32::try_from(CHUNK * 2 + 1).expect("small");
        owners.set(far, MerchantId(77));
        assert_eq!(owners.get(far), Some(MerchantId(77)));
        assert_eq!([0, far - 1, u32::MAX].map(|slot| owners.get(slot)), [None; 3]);
    }
}
