//! Allocate: the candidates of one request as offers, the best of them as a slate. Memory only: budgets are charged
//! to leases that this node holds.

use super::Engine;
use super::score::{Located, member_price, scene_prices, to_f32};
use crate::domain::{ReservationId, Scene, TargetKind};
use crate::policy::Policy;
use crate::state::Hot;
use crate::traffic::{Charges, MemberPrice, Offer, SlateQuery, SlotReason, fill_slate, lines};

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
    fn of(hot: &Hot, located: &Located, query: &AllocateQuery, kill_switch: bool) -> Self {
        let count = query.target_ids.len();
        let world = &located.world;
        let rules = world.rules(query.scene, kill_switch);
        let mut field = Self {
            offers: Vec::with_capacity(count),
            members: Vec::with_capacity(count),
            hard: Vec::with_capacity(count),
            unknown: 0,
        };
        for (item, base_score) in located.items.iter().zip(query.base_scores) {
            let slot = item.merchant_slot;
            let row = world.table.read_row(slot, query.scene, query.kind);
            // A world has every class that its items name.
            let Some(class) = world.classes.get(item.class) else { continue };
            let lines = lines(&rules, slot, &row, class);
            field.members.push(member_price(hot, &lines, slot));
            field.hard.push(lines.hard);
            field.offers.push(lines.offer(*base_score));
            field.unknown += usize::from(!row.is_registered);
        }
        field
    }
}

/// Fills the slots of one request by the readers' side of a state. `charges` takes the exposures; `reserve` names what
/// was taken for a slot: a member and programmes, as bits.
#[must_use]
pub fn allocate(
    hot: &Hot,
    charges: &mut impl Charges,
    mut reserve: impl FnMut(u32, u64) -> Option<ReservationId>,
    query: &AllocateQuery,
) -> Slate {
    // The revision first: every record read after it includes at least that much.
    let revision = hot.revision();
    let located = Located::of(hot, query.kind, query.target_ids, query.merchant_ids);
    let policy = &located.world.policy;
    let kill_switch = hot.kill_switch();
    let field = Field::of(hot, &located, query, kill_switch);
    let book = hot.prices().book();
    let (prices, mean) = scene_prices(&book, query.scene, query.kind);
    let asked = SlateQuery {
        offers: &field.offers,
        members: &field.members,
        prices,
        mean,
        slots: query.slots,
        fill: query.fill,
    };
    let filled = if kill_switch { fill_slate(&asked, &mut Unlimited) } else { fill_slate(&asked, charges) };
    let slots = filled.iter().filter_map(|slot| {
        let target_id = *query.target_ids.get(slot.candidate)?;
        let member = located.items.get(slot.candidate)?.merchant_slot;
        let hard = *field.hard.get(slot.candidate)?;
        let programmes = hard | slot.charged.map_or(0, |bit| 1_u64.wrapping_shl(u32::from(bit)));
        Some(SlateSlot {
            candidate: slot.candidate,
            target_id,
            adjusted_score: to_f32(slot.score * mean),
            reason: slot.reason,
            charged_programme: slot.charged.map(|bit| id_of(policy, bit)).unwrap_or_default(),
            reservation: if kill_switch { None } else { reserve(member, programmes) },
            programmes,
        })
    });
    Slate { policy_version: policy.version, revision, slots: slots.collect(), unknown: field.unknown }
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
        allocate(self.hot(), &mut Unlimited, |_, _| None, query)
    }
}
