//! Allocate: the candidates of one request as offers, the best of them as a slate. Memory only: budgets are charged
//! to leases that this node holds.

use super::Engine;
use super::decisions::{Answer, Decided, Witness};
use super::score::{Located, member_price, scene_prices, touch_prices};
use crate::domain::{AccountKey, ReservationId, Scene, Scope, TargetKind, Timestamp, to_f32};
use crate::policy::Policy;
use crate::state::{Hot, NodeAccounts, NodeLedger};
use crate::traffic::{
    BudgetOverride, Charges, Limit, Lines, MemberPrice, Offer, SlateQuery, Slot, SlotReason, accounts_of, fill_slate,
    fill_slate_and_next, limit, mask_of,
};

/// Runners-up of a slate that leases are fetched for, for each slot, and at most.
const NEXT_PER_SLOT: usize = 2;
const MAX_NEXT: usize = 32;
/// So long before a day ends, leases of the next are fetched: longer than a lease takes, and within what the ledger
/// gives ahead.
const PERIOD_AHEAD_MS: i64 = 10_000;

/// What to allocate.
#[derive(Clone, Copy, Debug)]
pub struct AllocateQuery<'a> {
    /// Where the slate will be shown.
    pub scene: Scene,
    /// What the ids name.
    pub kind: TargetKind,
    /// The candidates.
    pub target_ids: &'a [u64],
    /// Owners, for targets that are not registered; empty if none were sent.
    pub merchant_ids: &'a [u64],
    /// The recommender's scores, one per candidate.
    pub base_scores: &'a [f32],
    /// Slots to fill at most.
    pub slots: usize,
    /// Whether slots are filled with what is worth nothing, rather than left empty.
    pub fill: bool,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slate {
    /// Version of the policy answered from.
    pub policy_version: u64,
    /// Revision that the answer includes.
    pub revision: u64,
    /// In the order to show.
    pub slots: Vec<SlateSlot>,
    /// How many candidates were unknown.
    pub unknown: usize,
}

impl Slate {
    /// Filled slots by reason: organic, support, guarantee, fill.
    #[must_use]
    pub fn counts(&self) -> [u64; 4] {
        let reasons = [SlotReason::Organic, SlotReason::Support, SlotReason::Guarantee, SlotReason::Fill];
        reasons.map(|reason| self.slots.iter().filter(|slot| slot.reason == reason).count() as u64)
    }
}

/// One slot.
#[derive(Clone, Debug, PartialEq)]
pub struct SlateSlot {
    /// Position among the candidates.
    pub candidate: usize,
    /// The candidate.
    pub target_id: u64,
    /// Adjusted score in units of the base scores.
    pub adjusted_score: f32,
    /// Why it is shown.
    pub reason: SlotReason,
    /// Id of the support programme charged; empty when organic.
    pub charged_programme: String,
    /// The exposure reserved, if any budget or cap was charged.
    pub reservation: Option<ReservationId>,
    /// Bits of the programmes that the exposure counts against.
    pub programmes: u64,
}

/// Candidates as the slate is filled from them.
pub(super) struct Field {
    /// What each offers; none where excluded.
    pub(super) offers: Vec<Option<Offer>>,
    /// The price of each one's member.
    pub(super) members: Vec<MemberPrice>,
    /// Bits of the hard programmes that an exposure of each counts against.
    pub(super) hard: Vec<u64>,
    /// How many were unknown.
    pub(super) unknown: usize,
}

impl Field {
    fn of(
        hot: &Hot,
        located: &Located,
        query: &AllocateQuery,
        kill_switch: bool,
        mut witness: Option<&mut Witness>,
    ) -> Self {
        let count = query.target_ids.len();
        let world = &located.world;
        let rules = world.rules(query.scene, kill_switch);
        touch_prices(hot, &rules, &located.items);
        let planned = witness.as_ref().map(|_| world.planned_rules(query.scene));
        let mut field = Self {
            offers: Vec::with_capacity(count),
            members: Vec::with_capacity(count),
            hard: Vec::with_capacity(count),
            unknown: 0,
        };
        let mut lines = Lines::default();
        for (item, base_score) in located.items.iter().zip(query.base_scores) {
            let slot = item.merchant_slot;
            let row = world.table.read_row(slot, query.scene, query.kind);
            // A world has every class that its items name.
            let Some(class) = world.classes.get(item.class) else { continue };
            lines.set(&rules, slot, &row, class);
            if let (Some(witness), Some(planned)) = (&mut witness, &planned) {
                witness.add(&lines, (planned, &row, class), slot, *base_score);
            }
            field.members.push(member_price(hot, &rules, &lines, slot));
            field.hard.push(lines.hard);
            field.offers.push(lines.offer(*base_score));
            field.unknown += usize::from(!row.is_registered);
        }
        field
    }
}

/// Fills the slots of one request by the readers' side of a state, charged to what a node holds of budgets at an
/// instant.
#[must_use]
pub fn allocate(hot: &Hot, node: &NodeAccounts, now: Timestamp, query: &AllocateQuery) -> Slate {
    allocate_with(hot, node, now, query, None)
}

fn allocate_with(
    hot: &Hot,
    node: &NodeAccounts,
    now: Timestamp,
    query: &AllocateQuery,
    mut witness: Option<&mut Witness>,
) -> Slate {
    // The revision first: every record read after it includes at least that much.
    let revision = hot.revision();
    let ids = (query.target_ids, query.merchant_ids);
    let located = Located::of(hot, query.kind, ids, |world, slot| world.table.touch(slot));
    let policy = &located.world.policy;
    let kill_switch = hot.kill_switch();
    let field = Field::of(hot, &located, query, kill_switch, witness.as_deref_mut());
    let book = hot.prices().book();
    if let Some(witness) = witness {
        witness.priced(book.epoch);
    }
    let (prices, mean) = scene_prices(&book, query.scene, query.kind);
    let asked = SlateQuery {
        offers: &field.offers,
        targets: query.target_ids,
        members: &field.members,
        prices,
        mean,
        slots: query.slots,
        fill: query.fill,
    };
    let mut filled = Vec::with_capacity(field.offers.len());
    let mut charged = if kill_switch {
        fill_slate(&asked, &mut Unlimited, &mut filled);
        Vec::new()
    } else {
        let bucket = ReservationId::bucket_of(now);
        let accounts = |member: u32, programmes: u64, keys: &mut Vec<AccountKey>| {
            accounts(hot, policy, query.scene, now, (member, programmes), keys);
        };
        let mut ledger = NodeLedger::new(node, bucket, accounts);
        let mut next = Vec::new();
        let count = query.slots.saturating_mul(NEXT_PER_SLOT).min(MAX_NEXT);
        fill_slate_and_next(&asked, &mut ledger, &mut filled, count, &mut next);
        // Whom the next request may show, so that its lease is there by then.
        let hard_of = |slot: &Slot| field.hard.get(slot.candidate).copied().unwrap_or(0);
        let member_of = |slot: &Slot| located.items.get(slot.candidate).map(|item| item.merchant_slot);
        for slot in &next {
            if let Some(member) = member_of(slot) {
                ledger.foresee(member, hard_of(slot) | slot.charged.map_or(0, mask_of));
            }
        }
        let later = now.plus_ms(PERIOD_AHEAD_MS);
        if later.day() != now.day() {
            // Periods begin with days: what is charged now will be charged in the next period in a moment.
            let mut keys = Vec::new();
            for slot in filled.iter().chain(&next) {
                let Some(member) = member_of(slot) else { continue };
                keys.clear();
                self::accounts(
                    hot,
                    policy,
                    query.scene,
                    later,
                    (member, hard_of(slot) | slot.charged.map_or(0, mask_of)),
                    &mut keys,
                );
                node.foresee(&keys);
            }
        }
        ledger.finish()
    };
    let slots = filled.iter().filter_map(|slot| {
        let target_id = *query.target_ids.get(slot.candidate)?;
        let member = located.items.get(slot.candidate)?.merchant_slot;
        let hard = *field.hard.get(slot.candidate)?;
        let programmes = hard | slot.charged.map_or(0, mask_of);
        if !kill_switch {
            hot.prices().count_granted(member, query.scene);
        }
        // Those of one member and the same programmes are interchangeable.
        let taken = charged.iter().position(|taken| (taken.member, taken.programmes) == (member, programmes));
        let reservation = taken.map(|at| charged.swap_remove(at).reservation).filter(|reservation| reservation.0 != 0);
        Some(SlateSlot {
            candidate: slot.candidate,
            target_id,
            adjusted_score: to_f32(slot.score * mean),
            reason: slot.reason,
            charged_programme: slot.charged.map(|bit| id_of(policy, bit)).unwrap_or_default(),
            reservation,
            programmes,
        })
    });
    Slate { policy_version: policy.version, revision, slots: slots.collect(), unknown: field.unknown }
}

/// The accounts with a limit that an exposure of a member (slot) counts against in a scene, given the bits of its
/// programmes.
fn accounts(
    hot: &Hot,
    policy: &Policy,
    scene: Scene,
    now: Timestamp,
    (member, bits): (u32, u64),
    keys: &mut Vec<AccountKey>,
) {
    let Some(merchant) = hot.merchant_at(member) else { return };
    let tail = hot.prices().tail_of(member);
    for programme in policy.programmes.iter().filter(|programme| bits & programme.mask() != 0) {
        let is_tail = tail & programme.mask() != 0;
        let all = accounts_of(programme, merchant, scene, now, is_tail).into_iter();
        // Adjusting a budget changes how large it is, not whether it has a limit.
        let limited = |key: &AccountKey| limit(programme, &BudgetOverride::default(), key.scope, 0) != Limit::Unlimited;
        keys.extend(all.filter(limited));
    }
    // Budgets first: they are the ones to run out.
    keys.sort_by_key(|key| matches!(key.scope, Scope::Member(_) | Scope::Cap(_) | Scope::Wallet(..)));
}

/// Takes everything: under the kill switch nothing is charged.
struct Unlimited;

impl Charges for Unlimited {
    fn charge(&mut self, _: u32, _: u64) -> bool {
        true
    }
}

/// Id of the programme of a bit.
fn id_of(policy: &Policy, bit: u8) -> String {
    let found = policy.programmes.iter().find(|programme| programme.bit == bit);
    found.map(|programme| programme.id.clone()).unwrap_or_default()
}

impl Engine {
    /// Fills the slots of one request. Never waits.
    #[must_use]
    pub fn allocate(&self, query: &AllocateQuery) -> Slate {
        self.allocate_named(query, "")
    }

    /// Fills the slots of a request that has a name in the decision log. Never waits.
    #[must_use]
    pub fn allocate_named(&self, query: &AllocateQuery, request_id: &str) -> Slate {
        let now = self.node.instant(self.clock.now());
        let is_sampled = self.samples.counts(query.scene, true);
        let recorder = self.recorder.get().filter(|recorder| recorder.draws());
        let Some(mut witness) = Witness::new(query.target_ids.len(), is_sampled, recorder.is_some()) else {
            return allocate(self.hot(), &self.node, now, query);
        };
        let slate = allocate_with(self.hot(), &self.node, now, query, Some(&mut witness));
        if let Some(sampler) = witness.sampler {
            sampler.finish(&self.samples, query.scene, query.kind, now, query.slots);
        }
        if let (Some(recorder), Some(draft)) = (recorder, witness.draft) {
            let decided = Decided {
                at: now,
                request_id,
                scene: query.scene,
                kind: query.kind,
                policy_version: slate.policy_version,
                revision: slate.revision,
                items: query.target_ids,
                bases: query.base_scores,
                answer: Answer::Slate { slots: query.slots, shown: slate.slots.clone() },
            };
            recorder.hand_over(draft.finish(self.hot(), decided));
        }
        slate
    }
}
