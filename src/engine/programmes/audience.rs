//! What is said of a programme's merchants taken together: counts, concentration, coverage, lift. Every merchant is read,
//! in slices, so that the writer never waits for long; what changes meanwhile is seen or not.

use super::{ProgrammeStatus, ProgrammesAnswer};
use crate::domain::{Day, MerchantId, TargetKind, Timestamp};
use crate::engine::Engine;
use crate::policy::Policy;
use crate::state::{GuaranteeKey, State};
use crate::traffic::{Concentration, Coverage, GuaranteeFacts, LiftGroup, MerchantRecord, MerchantYield, Programme};
use crate::trust::{SignalRow, SignalState, score};

/// Merchants of one slice: their records are at hand.
const SLICE: usize = 8_192;
/// Merchants of one slice whose scores are made for their repurchase.
const SCORED_SLICE: usize = 256;
/// The signal that repurchase is read from; the first that the policy has.
const REPURCHASE: [&str; 3] = ["repurchase_30d", "repurchase_90d", "repurchase_14d"];

/// What a programme brings: its members and those held out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LiftStatus {
    /// Members.
    pub treated: LiftGroup,
    /// Eligible and held out.
    pub holdout: LiftGroup,
}

/// Where a merchant stands, as the records have it.
struct Seen {
    id: MerchantId,
    slot: u32,
    record: MerchantRecord,
}

impl Engine {
    /// Counts members, and in full view whatever else every merchant is read for.
    pub(super) fn count_audiences(&self, answer: &mut ProgrammesAnswer, is_full: bool) {
        let policy = answer.policy.clone();
        let repurchase = REPURCHASE.into_iter().find_map(|id| policy.model.signals.iter().position(|s| s.id == id));
        let mut shown: Vec<(&Programme, &mut ProgrammeStatus)> = answer
            .programmes
            .iter_mut()
            .filter_map(|status| Some((policy.programmes.get(status.position)?, status)))
            .collect();
        let measures_lift = |programme: &Programme| is_full && programme.holdout.is_some();
        for (programme, status) in &mut shown {
            status.lift = measures_lift(programme).then(LiftStatus::default);
        }
        let slice = if shown.iter().any(|(programme, _)| measures_lift(programme)) { SCORED_SLICE } else { SLICE };
        let mut after = MerchantId(0);
        let mut rows = Vec::new();
        loop {
            let seen = self.read(|state| {
                let seen = slice_of(state, after, slice);
                for (programme, status) in &mut shown {
                    count(state, &policy, programme, status, &seen, repurchase, &mut rows);
                }
                seen
            });
            let Some(last) = seen.last() else { break };
            after = last.id;
        }
        for (programme, status) in shown.into_iter().filter(|_| is_full) {
            let period = status.budgets.first().map(|budget| budget.first_day);
            status.concentration = period.map(|period| self.concentration(programme.bit, period));
            status.coverage = programme.guarantee.is_some().then(|| self.coverage(programme, answer.now));
        }
    }

    fn concentration(&self, bit: u8, period: Day) -> Concentration {
        let mut rows = Vec::new();
        let mut after = MerchantId(0);
        loop {
            let before = rows.len();
            self.read(|state| {
                let members = state.member_exposures(bit, period, after).take(SLICE);
                rows.extend(members.map(|(merchant, exposures)| (merchant.0, exposures)));
            });
            match rows.last() {
                Some((last, _)) if rows.len() > before => after = MerchantId(*last),
                Some(_) | None => break,
            }
        }
        Concentration::of(&mut rows)
    }

    fn coverage(&self, programme: &Programme, now: Timestamp) -> Coverage {
        let mut coverage = Coverage::default();
        let mut after: Option<GuaranteeKey> = None;
        loop {
            let last = self.read(|state| {
                let mut last = None;
                for (key, row) in state.guarantees_after(programme.bit, after).take(SLICE) {
                    let record = record_of(state, key.merchant);
                    coverage.push(&GuaranteeFacts {
                        promised: row.target,
                        delivered: row.delivered,
                        is_over: row.until <= now,
                        is_excluded: record.as_ref().is_some_and(|record| is_excluded(record, programme)),
                        is_held_out: record.as_ref().is_some_and(|record| record.held_out & programme.mask() != 0),
                        candidacies: self.candidacies.of(&key),
                        is_infeasible: !row.is_feasible,
                    });
                    last = Some(key);
                }
                last
            });
            match last {
                Some(last) => after = Some(last),
                None => return coverage,
            }
        }
    }
}

fn slice_of(state: &State, after: MerchantId, slice: usize) -> Vec<Seen> {
    let world = state.hot().world();
    let placed = state.placed_after(after).take(slice);
    placed
        .map(|placed| Seen { id: placed.merchant.id, slot: placed.slot, record: world.table.read(placed.slot) })
        .collect()
}

/// The record of a merchant; none if it was never mentioned.
pub(super) fn record_of(state: &State, merchant: MerchantId) -> Option<MerchantRecord> {
    let slot = state.hot().merchant_slot(merchant)?;
    Some(state.hot().world().table.read(slot))
}

/// Whether violations exclude a merchant from every kind of target that a programme works for.
pub(super) fn is_excluded(record: &MerchantRecord, programme: &Programme) -> bool {
    let mut kinds = TargetKind::ALL.into_iter().filter(|kind| programme.works_for(*kind));
    record.is_registered && kinds.all(|kind| record.penalty.get(kind.index()).is_some_and(|factor| *factor <= 0.0))
}

fn count(
    state: &State,
    policy: &Policy,
    programme: &Programme,
    status: &mut ProgrammeStatus,
    seen: &[Seen],
    repurchase: Option<usize>,
    rows: &mut Vec<SignalRow>,
) {
    let mask = programme.mask();
    for merchant in seen {
        let (is_member, is_held_out) = (merchant.record.programmes & mask != 0, merchant.record.held_out & mask != 0);
        status.members = status.members.saturating_add(u64::from(is_member));
        status.held_out = status.held_out.saturating_add(u64::from(is_held_out));
        let Some(lift) = status.lift.as_mut().filter(|_| is_member || is_held_out) else { continue };
        let row = state.member_row(programme.bit, merchant.id).copied().unwrap_or_default();
        let found = MerchantYield {
            exposures: row.exposures,
            orders: row.orders,
            gmv_fen: row.gmv_fen,
            repurchase: repurchase.and_then(|signal| measured(state, policy, merchant.slot, signal, rows)),
        };
        let group = if is_member { &mut lift.treated } else { &mut lift.holdout };
        group.push(&found);
    }
}

/// A signal of a merchant, if facts measure it.
fn measured(state: &State, policy: &Policy, slot: u32, signal: usize, rows: &mut Vec<SignalRow>) -> Option<f64> {
    let view = state.view(slot)?;
    // The rows are what is wanted of it.
    let _ = score(&policy.model, &view, state.disabled(), rows);
    let row = rows.get(signal).filter(|row| row.state == SignalState::Measured)?;
    // Without the prior: what is compared is what happened.
    (row.denominator > 0.0).then(|| row.numerator / row.denominator)
}
