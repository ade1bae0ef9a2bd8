//! For how many exposures members with a guarantee are candidates, as control foresees it while the guarantee runs: what
//! coverage leaves out needs it. Soft: after a restart nothing is known of what had ended before.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use parking_lot::RwLock;

use super::Engine;
use crate::domain::{DAY_MS, Timestamp};
use crate::state::{GuaranteeKey, KEPT_GUARANTEE_DAYS};

/// Guarantees that are remembered at most.
const MAX_KEPT: usize = 500_000;

/// A guarantee's end, and the exposures that its merchant is a candidate for from its beginning to then, at most.
type Foreseen = (Timestamp, u64);

/// By guarantee.
#[derive(Default)]
pub(super) struct Candidacies(RwLock<HashMap<GuaranteeKey, Foreseen, FixedState>>);

impl Candidacies {
    /// What is known of a guarantee.
    pub(super) fn of(&self, key: &GuaranteeKey) -> Option<u64> {
        self.0.read().get(key).map(|(_, count)| *count)
    }

    /// Takes what control foresees of guarantees that run, and forgets those that the ledger has forgotten.
    pub(super) fn publish(&self, foreseen: impl Iterator<Item = (GuaranteeKey, Foreseen)>, now: Timestamp) {
        let mut known = self.0.write();
        for (key, foreseen) in foreseen {
            if known.len() < MAX_KEPT || known.contains_key(&key) {
                known.insert(key, foreseen);
            }
        }
        known.retain(|_, (until, _)| until.plus_ms(i64::from(KEPT_GUARANTEE_DAYS).saturating_mul(DAY_MS)) > now);
    }
}

impl Engine {
    /// For how many exposures within a guarantee's period its merchant is expected to be a candidate, at most, as far as
    /// control has seen enough to tell.
    #[must_use]
    pub fn candidacies(&self, key: &GuaranteeKey) -> Option<u64> {
        self.candidacies.of(key)
    }
}

#[cfg(test)]
mod tests {
    use super::Candidacies;
    use crate::domain::{DAY_MS, MerchantId, Timestamp};
    use crate::state::{GuaranteeKey, KEPT_GUARANTEE_DAYS};

    #[test]
    fn what_was_foreseen_stays_after_the_end_until_the_guarantee_is_forgotten() {
        let candidacies = Candidacies::default();
        let key = |merchant| GuaranteeKey { bit: 3, merchant: MerchantId(merchant), from: Timestamp(0) };
        let until = Timestamp(7 * DAY_MS);
        candidacies.publish([(key(1), (until, 40)), (key(2), (until, 2))].into_iter(), Timestamp(1));
        candidacies.publish([(key(1), (until, 50))].into_iter(), until);
        assert_eq!([key(1), key(2), key(9)].map(|key| candidacies.of(&key)), [Some(50), Some(2), None]);
        let forgotten = until.plus_ms(i64::from(KEPT_GUARANTEE_DAYS) * DAY_MS);
        candidacies.publish(std::iter::empty(), forgotten);
        assert_eq!(candidacies.of(&key(1)), None);
    }
}
