//! `apply` for violations and rights, with the decisions about exemption and waiver.

use super::history::{History, HistoryError};
use super::state::{Due, State};
use crate::domain::{
    CounterId, DayFacts, Decision, HeldRight, ItemId, MerchantId, ProfileKey, Rejection, Violation, Week,
};
use crate::trust::governance::{WaiverFacts, WaiverRule};

impl State {
    /// Records a violation and decides about it, on the facts known now.
    pub(super) fn record_violation(
        &mut self,
        violation: &Violation,
        history: &dyn History,
    ) -> Result<Result<Decision, Rejection>, HistoryError> {
        let slot = match self.check_violation(violation) {
            Ok(slot) => slot,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let decision = self.decide(slot, violation, history)?;
        let mut recorded = violation.clone();
        recorded.decision = decision;
        if recorded.effective_until.is_none() {
            let days = self.policy.model.violations.kind(&recorded.kind).and_then(|kind| kind.default_days);
            recorded.effective_until =
                days.map(|days| recorded.effective_from.plus_ms(i64::from(days).saturating_mul(crate::domain::DAY_MS)));
        }
        if let Some(item) = recorded.item {
            self.index_violation(item, slot, recorded.id);
            self.dirty.insert(Due::Item(item));
        }
        self.dirty.insert(Due::Merchant(slot));
        self.changes.violations.insert((slot, recorded.id));
        if let Some(entry) = self.entry_mut(slot) {
            // In order of id, as they come back from the store: factors and points are multiplied and added in order.
            let at = entry.violations.partition_point(|other| other.id < recorded.id);
            entry.violations.insert(at, recorded);
        }
        Ok(Ok(decision))
    }

    /// Notes a violation under its item, in order of merchant and id.
    fn index_violation(&mut self, item: ItemId, slot: u32, id: u64) {
        let mut listed = self.item_violations.remove(&item).unwrap_or_default();
        let merchant = |slot: u32| self.entry(slot).map(|entry| entry.id);
        let key = (merchant(slot), id);
        let at = listed.partition_point(|(other, other_id)| (merchant(*other), *other_id) < key);
        listed.insert(at, (slot, id));
        self.item_violations.insert(item, listed);
    }

    fn check_violation(&self, violation: &Violation) -> Result<u32, Rejection> {
        let slot = self.find_merchant(violation.merchant)?;
        if let Some(item) = violation.item {
            self.find_item(item)?;
        }
        if violation.occurred_at > self.meta.now {
            return Err(Rejection::OccursInFuture);
        }
        let exists =
            self.entry(slot).is_some_and(|entry| entry.violations.iter().any(|other| other.id == violation.id));
        if exists { Err(Rejection::ViolationExists { id: violation.id }) } else { Ok(slot) }
    }

    fn decide(&self, slot: u32, violation: &Violation, history: &dyn History) -> Result<Decision, HistoryError> {
        let rules = &self.policy.model.violations;
        let Some(kind) = rules.kind(&violation.kind) else { return Ok(Decision::Applied) };
        let day = violation.occurred_at.day();
        let exempt = violation.order.as_ref().is_some_and(|order| rules.is_force_majeure(order, day));
        if kind.is_exempt_by_force_majeure && exempt {
            return Ok(Decision::Exempt);
        }
        let Some(rule) = rules.waiver.as_ref().filter(|_| kind.is_waivable) else { return Ok(Decision::Applied) };
        // One waiver a week, for violations that occurred in it.
        if self.waived_in(slot, day.week()).is_some() {
            return Ok(Decision::Applied);
        }
        let facts = self.waiver_facts(violation.merchant, WaiverRule::deciding_week(violation.occurred_at), history)?;
        Ok(if rule.is_earned(&facts) { Decision::Waived } else { Decision::Applied })
    }

    /// The violation that used the waiver of a week.
    #[must_use]
    pub fn waived_in(&self, slot: u32, week: Week) -> Option<&Violation> {
        self.entry(slot)?.violations.iter().find(|violation| {
            violation.decision == Decision::Waived && !violation.revoked && violation.occurred_at.day().week() == week
        })
    }

    /// What a natural week says about the waiver.
    ///
    /// # Errors
    /// When stored facts cannot be read.
    pub fn waiver_facts(
        &self,
        merchant: MerchantId,
        week: Week,
        history: &dyn History,
    ) -> Result<WaiverFacts, HistoryError> {
        let Some(counters) = &self.policy.waiver_counters else { return Ok(WaiverFacts::default()) };
        let rows = self.week_rows(merchant, week, history)?;
        let sum = |counter: CounterId| {
            rows.iter().filter_map(|row: &DayFacts| row.get(counter)).fold(0_u64, u64::saturating_add)
        };
        Ok(WaiverFacts {
            paid_orders: sum(counters.paid_orders),
            promised_orders: sum(counters.promised_orders),
            lightning_buy_orders: sum(counters.lightning_buy_orders),
            shipments_due: sum(counters.shipments_due),
            shipped_on_time: sum(counters.shipped_on_time),
        })
    }

    pub(super) fn revoke_violation(&mut self, merchant: MerchantId, id: u64) -> Result<(), Rejection> {
        let slot =
            self.hot.merchant_slot(merchant).ok_or_else(|| Rejection::not_found(ProfileKey::Merchant(merchant)))?;
        let violation = self
            .entry_mut(slot)
            .and_then(|entry| entry.violations.iter_mut().find(|violation| violation.id == id))
            .ok_or(Rejection::NotFound { what: "violation".to_owned(), id })?;
        violation.revoked = true;
        let item = violation.item;
        self.dirty.extend(item.map(Due::Item));
        self.dirty.insert(Due::Merchant(slot));
        self.changes.violations.insert((slot, id));
        Ok(())
    }

    pub(super) fn set_rights(&mut self, merchant: MerchantId, rights: &[HeldRight]) -> Result<(), Rejection> {
        let slot = self.find_merchant(merchant)?;
        if let Some(entry) = self.entry_mut(slot) {
            entry.rights = rights.to_vec();
        }
        self.dirty.insert(Due::Merchant(slot));
        self.changes.rights.insert(slot);
        Ok(())
    }
}
