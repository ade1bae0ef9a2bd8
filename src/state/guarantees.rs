//! `apply` for guarantees.

use super::ledgers::{GuaranteeKey, GuaranteeRow, KEPT_GUARANTEE_DAYS, LedgerKey};
use super::state::State;
use crate::domain::{DAY_MS, ExposureRow, MerchantId, NewGuarantee, Rejection, Timestamp};

impl State {
    /// Begins guarantees of a programme; one result for each.
    pub(super) fn begin_guarantees(
        &mut self,
        bit: u8,
        guarantees: &[NewGuarantee],
    ) -> Result<Vec<Result<(), Rejection>>, Rejection> {
        let unknown = || Rejection::UnknownProgramme { programme: format!("bit {bit}") };
        let programme = self.programme_at(bit).ok_or_else(unknown)?;
        let mask = programme.mask();
        let without = || Rejection::ProgrammeWithout { programme: programme.id.clone(), what: "guarantee".to_owned() };
        let terms = programme.guarantee.ok_or_else(without)?;
        // Membership is read from records: they must not depend on when they were last made.
        self.refresh_dirty();
        let from = self.meta.now;
        let until = from.plus_ms(i64::from(terms.days) * DAY_MS);
        let mut results = Vec::with_capacity(guarantees.len());
        for NewGuarantee { merchant, expected } in guarantees.iter().copied() {
            let is_feasible = expected.is_none_or(|expected| expected >= terms.exposures);
            let row = GuaranteeRow { until, target: terms.exposures, delivered: 0, expected, is_feasible };
            results.push(self.begin_guarantee(GuaranteeKey { bit, merchant, from }, mask, row));
        }
        Ok(results)
    }

    fn begin_guarantee(&mut self, key: GuaranteeKey, mask: u64, row: GuaranteeRow) -> Result<(), Rejection> {
        let GuaranteeKey { bit, merchant, from } = key;
        let slot = self.find_merchant(merchant)?;
        if self.hot.world().table.read(slot).programmes & mask == 0 {
            return Err(Rejection::NotMember { merchant });
        }
        if let Some((_, running)) = self.guarantee_at(bit, merchant, from) {
            return Err(Rejection::GuaranteeRuns { merchant, until: running.until });
        }
        self.restore_guarantee(key, row);
        self.changes.ledger.insert(LedgerKey::Guarantee(key));
        Ok(())
    }

    /// Takes a guarantee in, new or stored.
    pub(super) fn restore_guarantee(&mut self, key: GuaranteeKey, row: GuaranteeRow) {
        self.ledgers.ending.insert((forgotten_at(&row), key));
        self.ledgers.guarantees.insert(key, row);
    }

    /// Counts a row for the guarantee of a merchant that ran when it was shown: all its exposures do, boosted or not.
    pub(super) fn count_for_guarantee(&mut self, bit: u8, merchant: MerchantId, row: &ExposureRow) {
        let Some((key, _)) = self.guarantee_at(bit, merchant, row.occurred_at) else { return };
        if let Some(guarantee) = self.ledgers.guarantees.get_mut(&key) {
            guarantee.delivered = guarantee.delivered.saturating_add(row.exposures);
            self.changes.ledger.insert(LedgerKey::Guarantee(key));
        }
    }

    /// Forgets guarantees that ended long ago.
    pub(super) fn forget_guarantees(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.ledgers.ending.first().copied().filter(|(at, _)| *at <= now) {
            self.ledgers.ending.remove(&(at, key));
            self.ledgers.guarantees.remove(&key);
            self.changes.ledger.insert(LedgerKey::Guarantee(key));
        }
    }

    pub(super) fn clear_guarantees(&mut self, bit: u8) {
        let rows: Vec<_> = self.guarantees(bit).map(|(key, row)| (forgotten_at(row), *key)).collect();
        for (at, key) in rows {
            self.ledgers.ending.remove(&(at, key));
            self.ledgers.guarantees.remove(&key);
            self.changes.ledger.insert(LedgerKey::Guarantee(key));
        }
    }
}

fn forgotten_at(row: &GuaranteeRow) -> Timestamp {
    row.until.plus_ms(i64::from(KEPT_GUARANTEE_DAYS) * DAY_MS)
}
