//! What control asks of the state beside what others read.

use super::ledgers::{GuaranteeKey, GuaranteeRow};
use super::state::State;
use crate::domain::{MerchantId, Timestamp};

impl State {
    /// The guarantee of a programme that began last for a merchant, running or over and still remembered.
    #[must_use]
    pub fn last_guarantee(&self, bit: u8, merchant: MerchantId) -> Option<(GuaranteeKey, GuaranteeRow)> {
        let key = |from| GuaranteeKey { bit, merchant, from: Timestamp(from) };
        let (key, row) = self.ledgers.guarantees.range(key(i64::MIN)..=key(i64::MAX)).next_back()?;
        Some((*key, *row))
    }

    /// A guarantee.
    #[must_use]
    pub fn guarantee(&self, key: &GuaranteeKey) -> Option<&GuaranteeRow> {
        self.ledgers.guarantees.get(key)
    }
}
