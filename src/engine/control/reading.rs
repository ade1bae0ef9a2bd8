//! Reads guarantees and caps from the ledger in slices, so that no reading holds up the writer, however many there are:
//! under the state's lock rows are copied and nothing else. One reading follows the other; what changes meanwhile is
//! seen by the next.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::domain::{AccountKey, MerchantId, Scene, Scope, Timestamp, count_to_f64};
use crate::engine::underserved::{MAX_KEPT, Underserved};
use crate::policy::Policy;
use crate::state::{GuaranteeKey, GuaranteeRow, Hot, NodeAccounts, State};
use crate::traffic::control::{MemberRule, MemberTerm};
use crate::traffic::{MerchantRecord, Programme, ProgrammeKind, account_at};

use super::terms::{is_steered, period};

/// Guarantees and caps that are priced at most; of more, those of the first programmes and merchants.
const MAX_MEMBER_TERMS: usize = 200_000;
/// Rows that are copied in one hold of the state's lock.
const SLICE: usize = 1_500;
/// Slices of one turn.
const SLICES_PER_TURN: usize = 3;

/// Who falls behind, by scene index.
pub(super) type UnderservedByScene = [Vec<Underserved>; Scene::COUNT];

/// What a member term goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum MemberSource {
    Guarantee(GuaranteeKey),
    Cap(AccountKey),
}

/// What one reading found, in the order of programmes and merchants.
#[derive(Default)]
pub(super) struct Found {
    pub(super) terms: Vec<MemberTerm>,
    /// What each goes by.
    pub(super) sources: Vec<MemberSource>,
    /// Delivered of each guarantee; delivered and reserved of each cap.
    pub(super) used: Vec<u64>,
    pub(super) underserved: UnderservedByScene,
}

/// One programme's part of a reading.
#[derive(Clone, Copy)]
enum Part {
    /// Its guarantees after one.
    Guarantees(usize, Option<GuaranteeKey>),
    /// Its caps after a merchant's.
    Caps(usize, MerchantId),
}

/// A reading under way.
#[derive(Default)]
pub(super) struct Reading {
    policy: Option<Arc<Policy>>,
    paused: u64,
    /// What is still to be read, the next last.
    parts: Vec<Part>,
    found: Found,
}

/// What is read from.
pub(super) struct Sources<'a> {
    pub(super) hot: &'a Hot,
    pub(super) node: &'a NodeAccounts,
    pub(super) now: Timestamp,
}

/// What one hold of the lock copied.
enum Rows {
    /// The policy or the paused programmes are others.
    Stale(Arc<Policy>, u64),
    Guarantees(Vec<(GuaranteeKey, GuaranteeRow)>),
    Caps(Vec<(MerchantId, u64)>, Option<MerchantId>),
    Nothing,
}

impl Reading {
    /// Reads some slices; answers what there is once all was read. `locked` reads under the state's lock.
    pub(super) fn step(&mut self, sources: &Sources, mut locked: impl FnMut(&mut dyn FnMut(&State))) -> Option<Found> {
        for _ in 0..SLICES_PER_TURN {
            let part = self.parts.last().copied();
            let mut rows = Rows::Nothing;
            locked(&mut |state| rows = self.copy(state, part, sources.now));
            match (rows, part) {
                (Rows::Stale(policy, paused), _) => self.begin(policy, paused, sources.now),
                (Rows::Guarantees(rows), Some(Part::Guarantees(at, _))) => self.add_guarantees(sources, at, &rows),
                (Rows::Caps(rows, last), Some(Part::Caps(at, _))) => self.add_caps(sources, at, &rows, last),
                (Rows::Guarantees(_) | Rows::Caps(..) | Rows::Nothing, _) => {}
            }
            if self.parts.is_empty() || self.found.terms.len() >= MAX_MEMBER_TERMS {
                // The next begins anew.
                self.policy = None;
                self.parts.clear();
                let mut found = std::mem::take(&mut self.found);
                for list in &mut found.underserved {
                    list.sort_by(by_urgency);
                    list.truncate(MAX_KEPT);
                }
                return Some(found);
            }
        }
        None
    }

    fn copy(&self, state: &State, part: Option<Part>, now: Timestamp) -> Rows {
        let (policy, paused) = (state.policy(), state.paused());
        if self.policy.as_ref().is_none_or(|mine| !Arc::ptr_eq(mine, policy)) || self.paused != paused {
            return Rows::Stale(policy.clone(), paused);
        }
        let programme = |at: usize| policy.programmes.get(at);
        match part {
            Some(Part::Guarantees(at, after)) => programme(at).map_or(Rows::Nothing, |programme| {
                Rows::Guarantees(state.guarantees_after(programme.bit, after).take(SLICE).collect())
            }),
            Some(Part::Caps(at, after)) => programme(at).map_or(Rows::Nothing, |programme| {
                let period = account_at(programme, Scope::Cap(after), now).period;
                let (rows, last) = state.caps_after(programme.bit, period, after, SLICE);
                Rows::Caps(rows, last)
            }),
            None => Rows::Nothing,
        }
    }

    fn begin(&mut self, policy: Arc<Policy>, paused: u64, now: Timestamp) {
        self.found = Found::default();
        self.parts.clear();
        for (at, programme) in policy.programmes.iter().enumerate().rev() {
            if !is_steered(programme, paused, now) {
                continue;
            }
            if programme.cap.is_some() && programme.kind == ProgrammeKind::Hard {
                self.parts.push(Part::Caps(at, MerchantId(0)));
            }
            if programme.guarantee.is_some() {
                self.parts.push(Part::Guarantees(at, None));
            }
        }
        self.policy = Some(policy);
        self.paused = paused;
    }

    fn add_guarantees(&mut self, sources: &Sources, at: usize, rows: &[(GuaranteeKey, GuaranteeRow)]) {
        let now = sources.now;
        self.parts.pop();
        let Some(policy) = self.policy.clone() else { return };
        let Some(programme) = policy.programmes.get(at) else { return };
        if rows.len() >= SLICE {
            self.parts.push(Part::Guarantees(at, rows.last().map(|(key, _)| *key)));
        }
        for list in self.found.underserved.iter_mut().filter(|list| list.len() >= 2 * MAX_KEPT) {
            // No more are kept than can be asked for.
            list.select_nth_unstable_by(MAX_KEPT, by_urgency);
            list.truncate(MAX_KEPT);
        }
        let penalty = programme.guarantee.map_or(0.0, |guarantee| guarantee.penalty);
        let scenes = scenes_of(programme);
        let world = sources.hot.world();
        for (key, row) in rows.iter().filter(|(key, row)| key.from <= now && now < row.until) {
            let Some(slot) = sources.hot.merchant_slot(key.merchant) else { continue };
            // Suspended while the merchant is excluded, and over for whoever is no member any more.
            if !takes_part(&world.table.read(slot), programme) {
                continue;
            }
            if let Some(behind) = falls_behind(programme, (key, row), now) {
                for scene in Scene::ALL.into_iter().filter(|scene| scenes & scene.mask() != 0) {
                    if let Some(list) = self.found.underserved.get_mut(scene.index()) {
                        list.push(behind.clone());
                    }
                }
            }
            self.found.sources.push(MemberSource::Guarantee(*key));
            self.found.used.push(row.delivered);
            self.found.terms.push(MemberTerm {
                member: slot,
                programme: programme.bit,
                rule: MemberRule::AtLeast { penalty },
                limit: row.target,
                start: key.from,
                end: row.until,
                scenes,
            });
        }
    }

    fn add_caps(&mut self, sources: &Sources, at: usize, rows: &[(MerchantId, u64)], last: Option<MerchantId>) {
        self.parts.pop();
        let Some(policy) = self.policy.clone() else { return };
        let Some(programme) = policy.programmes.get(at) else { return };
        if let Some(last) = last {
            self.parts.push(Part::Caps(at, last));
        }
        let Some(limit) = programme.cap.map(|cap| cap.exposures) else { return };
        let scenes = scenes_of(programme);
        for (merchant, delivered) in rows {
            let Some(member) = sources.hot.merchant_slot(*merchant) else { continue };
            let scope = Scope::Cap(*merchant);
            let key = account_at(programme, scope, sources.now);
            let (start, end) = period(programme, scope, sources.now);
            self.found.sources.push(MemberSource::Cap(key));
            self.found.used.push(delivered.saturating_add(sources.node.balance(&key).reserved));
            self.found.terms.push(MemberTerm {
                member,
                programme: programme.bit,
                rule: MemberRule::AtMost,
                limit,
                start,
                end,
                scenes,
            });
        }
    }
}

fn by_urgency(a: &Underserved, b: &Underserved) -> Ordering {
    b.urgency.total_cmp(&a.urgency).then(a.merchant.cmp(&b.merchant))
}

fn scenes_of(programme: &Programme) -> u8 {
    Scene::ALL.into_iter().filter(|s| programme.works_in(*s)).fold(0, |mask, scene| mask | scene.mask())
}

/// Whether a merchant is a member and may be shown at all.
pub(super) fn takes_part(record: &MerchantRecord, programme: &Programme) -> bool {
    record.is_registered
        && record.programmes & programme.mask() != 0
        && record.penalty.iter().any(|factor| *factor > 0.0)
}

/// A guarantee that is behind an even delivery.
fn falls_behind(
    programme: &Programme,
    (key, row): (&GuaranteeKey, &GuaranteeRow),
    now: Timestamp,
) -> Option<Underserved> {
    if row.delivered >= row.target {
        return None;
    }
    let span = |from: Timestamp, to: Timestamp| count_to_f64(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0));
    let left = span(now, row.until) / span(key.from, row.until).max(1.0);
    let missing = 1.0 - count_to_f64(row.delivered) / count_to_f64(row.target.max(1));
    let urgency = missing / left.max(1e-9);
    (urgency > 1.0).then(|| Underserved {
        merchant: key.merchant,
        programme: programme.id.clone(),
        target: row.target,
        delivered: row.delivered,
        urgency,
        ends_at: row.until,
    })
}
