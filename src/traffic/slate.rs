//! Fills the slots of one request: the best adjusted scores that budgets, caps and exclusions leave (DESIGN section 7,
//! online control, steps 1 and 2).

use std::cmp::Ordering;

use super::bits::mask_of;
use super::price::{Bid, MemberPrice, Offer, ScenePrices};

/// Accounts of the exposures that a slate takes.
pub trait Charges {
    /// Takes one exposure of a member out of the budgets and caps of all of `programmes`, or out of none of them.
    fn charge(&mut self, member: u32, programmes: u64) -> bool;
}

/// Why a candidate has a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotReason {
    /// By its adjusted score, charged to no support programme.
    Organic,
    /// By its adjusted score, charged to a support programme.
    Support,
    /// Because its merchant's guarantee would be missed otherwise.
    Guarantee,
    /// To fill a slot that nothing worth more could take.
    Fill,
}

/// A filled slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// Position among the candidates.
    pub candidate: usize,
    /// Adjusted score in units of the mean base score.
    pub score: f64,
    /// Why.
    pub reason: SlotReason,
    /// The support programme charged.
    pub charged: Option<u8>,
}

/// What a slate is filled by.
#[derive(Clone, Copy, Debug)]
pub struct SlateQuery<'a> {
    /// Candidates; `None` are excluded and never shown.
    pub offers: &'a [Option<Offer>],
    /// What each candidate is, in the same order; empty if no two are the same. One target is shown once.
    pub targets: &'a [u64],
    /// The price of each candidate's member, in the same order.
    pub members: &'a [MemberPrice],
    /// Prices of the scene.
    pub prices: &'a ScenePrices,
    /// Mean base score of scene and kind.
    pub mean: f64,
    /// Slots to fill at most.
    pub slots: usize,
    /// Whether slots are filled with what is worth nothing, rather than left empty.
    pub fill: bool,
}

/// Fills up to `query.slots` slots of `out`, which is emptied first: members that must be served, then the best
/// adjusted scores above 0, then, with `fill`, the best of the rest. Every slot is charged to `ledger` when it is
/// taken: a candidate whose support programme has nothing left is bid again without it, one that cannot be charged at
/// all is left out. Equal scores go to the earlier candidate.
pub fn fill_slate(query: &SlateQuery<'_>, ledger: &mut impl Charges, out: &mut Vec<Slot>) {
    fill_slate_and_next(query, ledger, out, 0, &mut Vec::new());
}

/// Fills a slate as [`fill_slate`] does, and collects in `next`, in no order, the best of those that were not reached
/// and would be charged to something, `count` at most: whom a request to come may show.
pub fn fill_slate_and_next(
    query: &SlateQuery<'_>,
    ledger: &mut impl Charges,
    out: &mut Vec<Slot>,
    count: usize,
    next: &mut Vec<Slot>,
) {
    out.clear();
    next.clear();
    out.extend(query.offers.iter().zip(query.members).enumerate().filter_map(|(candidate, (offer, member))| {
        let bid = offer.as_ref()?.bid(query.prices, member, query.mean, 0).filter(|bid| !bid.score.is_nan())?;
        Some(Slot { candidate, score: bid.score, reason: reason_of(member.must_serve, bid), charged: bid.charged })
    }));
    // `out` is a heap of what may still be taken up to `waiting`; behind it lies what was taken.
    let mut waiting = out.len();
    heapify(out);
    let mut taken = 0_usize;
    while taken < query.slots {
        let Some(best) = out.get(..waiting).and_then(<[Slot]>::first).copied() else { break };
        if best.reason != SlotReason::Guarantee && best.score <= 0.0 && !query.fill {
            break;
        }
        match take(query, ledger, best, out.get(waiting..).unwrap_or_default()) {
            Verdict::Taken(slot) => {
                waiting = waiting.saturating_sub(1);
                out.swap(0, waiting);
                if let Some(place) = out.get_mut(waiting) {
                    *place = slot;
                }
                taken = taken.saturating_add(1);
            }
            Verdict::Again(slot) => {
                if let Some(place) = out.first_mut() {
                    *place = slot;
                }
            }
            Verdict::Out => {
                waiting = waiting.saturating_sub(1);
                out.swap(0, waiting);
                // The earliest of those taken moves into the gap; the sort below restores their order.
                out.swap_remove(waiting);
            }
        }
        sift_down(out.get_mut(..waiting).unwrap_or_default(), 0);
    }
    if count > 0 {
        let is_charged = |slot: &&Slot| {
            let hard = query.offers.get(slot.candidate).and_then(Option::as_ref).map_or(0, |offer| offer.hard);
            (hard != 0 || slot.charged.is_some()) && (slot.score > 0.0 || slot.reason == SlotReason::Guarantee)
        };
        next.extend(out.iter().take(waiting).filter(is_charged).copied());
        if next.len() > count {
            next.select_nth_unstable_by(count, best_first);
            next.truncate(count);
        }
    }
    out.drain(..waiting);
    out.sort_unstable_by(best_first);
}

enum Verdict {
    /// It has a slot and is charged.
    Taken(Slot),
    /// It competes once more, under another score or reason.
    Again(Slot),
    /// Nothing of it can be charged.
    Out,
}

fn take(query: &SlateQuery<'_>, ledger: &mut impl Charges, slot: Slot, taken: &[Slot]) -> Verdict {
    let offer_of = |candidate: usize| query.offers.get(candidate).and_then(Option::as_ref);
    let (Some(offer), Some(member)) = (offer_of(slot.candidate), query.members.get(slot.candidate)) else {
        return Verdict::Out;
    };
    let target = query.targets.get(slot.candidate);
    if target.is_some() && taken.iter().any(|other| query.targets.get(other.candidate) == target) {
        return Verdict::Out;
    }
    let is_served = || taken.iter().any(|other| offer_of(other.candidate).is_some_and(|o| o.member == offer.member));
    if slot.reason == SlotReason::Guarantee && is_served() {
        // One slot keeps the promise; its other candidates compete like any.
        return Verdict::Again(Slot {
            reason: reason_of(false, Bid { score: slot.score, charged: slot.charged }),
            ..slot
        });
    }
    if ledger.charge(offer.member, offer.hard | slot.charged.map_or(0, mask_of)) {
        return Verdict::Taken(slot);
    }
    let Some(failed) = slot.charged else { return Verdict::Out };
    // Supports that gain more than the failed one failed before it or are spent: all of them are left out.
    let mut without = 0_u64;
    for _ in &offer.supports {
        let charged = offer.bid(query.prices, member, query.mean, without).and_then(|bid| bid.charged);
        without |= charged.map_or(0, mask_of);
        if charged.is_none_or(|bit| bit == failed) {
            break;
        }
    }
    let must_serve = slot.reason == SlotReason::Guarantee;
    offer.bid(query.prices, member, query.mean, without).map_or(Verdict::Out, |bid| {
        Verdict::Again(Slot { score: bid.score, reason: reason_of(must_serve, bid), charged: bid.charged, ..slot })
    })
}

fn reason_of(must_serve: bool, bid: Bid) -> SlotReason {
    match bid {
        _ if must_serve => SlotReason::Guarantee,
        Bid { score, .. } if score <= 0.0 => SlotReason::Fill,
        Bid { charged: Some(_), .. } => SlotReason::Support,
        Bid { charged: None, .. } => SlotReason::Organic,
    }
}

/// Promises come before scores, scores before what merely fills.
fn rank(slot: &Slot) -> u8 {
    match slot.reason {
        SlotReason::Guarantee => 2,
        SlotReason::Organic | SlotReason::Support => 1,
        SlotReason::Fill => 0,
    }
}

/// The order in which candidates are taken and slots are shown.
fn best_first(a: &Slot, b: &Slot) -> Ordering {
    rank(b).cmp(&rank(a)).then(b.score.total_cmp(&a.score)).then(a.candidate.cmp(&b.candidate))
}

fn is_before(a: &Slot, b: &Slot) -> bool {
    best_first(a, b) == Ordering::Less
}

fn heapify(heap: &mut [Slot]) {
    for parent in (0..heap.len().div_ceil(2)).rev() {
        sift_down(heap, parent);
    }
}

fn sift_down(heap: &mut [Slot], mut parent: usize) {
    loop {
        let left = parent.saturating_mul(2).saturating_add(1);
        let best = [left, left.saturating_add(1)].into_iter().fold(parent, |best, child| {
            match (heap.get(child), heap.get(best)) {
                (Some(child_slot), Some(best_slot)) if is_before(child_slot, best_slot) => child,
                _ => best,
            }
        });
        if best == parent {
            return;
        }
        heap.swap(parent, best);
        parent = best;
    }
}

#[cfg(test)]
mod tests {
    use arrayvec::ArrayVec;
    use proptest::prelude::*;

    use super::{Charges, SlateQuery, Slot, SlotReason, fill_slate};
    use crate::traffic::price::{MemberPrice, Offer, ScenePrices, Support};

    /// What is left by bit, and what was charged.
    struct Ledger {
        left: [u64; 64],
        charges: Vec<(u32, u64)>,
    }

    impl Ledger {
        fn with(left: &[(usize, u64)]) -> Self {
            let mut ledger = Self { left: [u64::MAX; 64], charges: Vec::new() };
            for (bit, count) in left {
                ledger.left[*bit] = *count;
            }
            ledger
        }
    }

    impl Charges for Ledger {
        fn charge(&mut self, member: u32, programmes: u64) -> bool {
            let mine = |bit: &usize| programmes >> bit & 1 == 1;
            if (0..64).filter(mine).any(|bit| self.left[bit] == 0) {
                return false;
            }
            (0..64).filter(mine).for_each(|bit| self.left[bit] -= 1);
            self.charges.push((member, programmes));
            true
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as candidates are handed over")]
    fn offer(member: u32, value: f64, hard: u64, supports: &[(u8, f64)]) -> Option<Offer> {
        let supports: ArrayVec<_, _> =
            supports.iter().map(|(bit, uplift)| Support { bit: *bit, uplift: *uplift }).collect();
        Some(Offer { member, value, hard, supports })
    }

    fn fill(offers: &[Option<Offer>], urgent: &[u32], ledger: &mut Ledger, slots: usize, fill: bool) -> Vec<Slot> {
        let price = |offer: &Option<Offer>| {
            let must_serve = offer.as_ref().is_some_and(|offer| urgent.contains(&offer.member));
            MemberPrice { must_serve, ..MemberPrice::default() }
        };
        let members: Vec<MemberPrice> = offers.iter().map(price).collect();
        let mut prices = ScenePrices::default();
        prices.lambda[7] = 100.0;
        let query = SlateQuery { offers, targets: &[], members: &members, prices: &prices, mean: 1.0, slots, fill };
        let mut out = vec![Slot { candidate: 9, score: 0.0, reason: SlotReason::Fill, charged: None }];
        fill_slate(&query, ledger, &mut out);
        out
    }

    fn taken(slots: &[Slot]) -> Vec<(usize, SlotReason, Option<u8>)> {
        slots.iter().map(|slot| (slot.candidate, slot.reason, slot.charged)).collect()
    }

    #[test]
    fn promises_come_first_then_scores_and_the_earlier_of_equals() {
        let offers = [offer(1, 2.0, 0, &[]), offer(2, 3.0, 0, &[]), offer(3, 3.0, 0, &[]), offer(4, 0.1, 0, &[]), None];
        let slots = fill(&offers, &[4], &mut Ledger::with(&[]), 3, false);
        let organic = |at| (at, SlotReason::Organic, None);
        assert_eq!(taken(&slots), [(3, SlotReason::Guarantee, None), organic(1), organic(2)]);
    }

    #[test]
    fn a_promise_takes_one_slot_of_its_member() {
        let offers = [offer(1, 0.2, 0, &[]), offer(1, 0.3, 0, &[]), offer(2, 3.0, 0, &[])];
        let slots = fill(&offers, &[1], &mut Ledger::with(&[]), 2, false);
        assert_eq!(taken(&slots), [(1, SlotReason::Guarantee, None), (2, SlotReason::Organic, None)]);
    }

    #[test]
    fn a_support_with_nothing_left_gives_way_to_the_next_then_to_none() {
        let offers = [offer(1, 2.0, 0, &[(1, 0.9), (2, 0.5)]), offer(2, 2.5, 0, &[])];
        for (left, expected) in [
            (vec![], [(0, SlotReason::Support, Some(1)), (1, SlotReason::Organic, None)]),
            (vec![(1, 0)], [(0, SlotReason::Support, Some(2)), (1, SlotReason::Organic, None)]),
            (vec![(1, 0), (2, 0)], [(1, SlotReason::Organic, None), (0, SlotReason::Organic, None)]),
        ] {
            assert_eq!(taken(&fill(&offers, &[], &mut Ledger::with(&left), 2, false)), expected, "{left:?}");
        }
    }

    #[test]
    fn a_hard_budget_with_nothing_left_keeps_its_members_out() {
        let offers = [offer(1, 3.0, 1 << 3, &[]), offer(2, 2.0, 1 << 3, &[]), offer(3, 1.0, 0, &[])];
        let slots = fill(&offers, &[], &mut Ledger::with(&[(3, 1)]), 3, true);
        assert_eq!(taken(&slots), [(0, SlotReason::Organic, None), (2, SlotReason::Organic, None)]);
    }

    #[test]
    fn what_is_worth_nothing_only_fills() {
        let offers = [offer(1, 3.0, 1 << 7, &[]), offer(2, 1.0, 0, &[])];
        assert_eq!(fill(&offers, &[], &mut Ledger::with(&[]), 2, false).len(), 1);
        let slots = fill(&offers, &[], &mut Ledger::with(&[]), 2, true);
        assert_eq!(taken(&slots), [(1, SlotReason::Organic, None), (0, SlotReason::Fill, None)]);
        assert!(fill(&offers, &[], &mut Ledger::with(&[]), 0, true).is_empty());
    }

    proptest! {
        #[test]
        fn a_slate_keeps_its_bounds(
            made in prop::collection::vec((0_u32..6, -1.0_f64..3.0, 0_u64..16, prop::collection::vec((4_u8..8, 0.0_f64..1.0), 0..3)), 0..40),
            left in prop::collection::vec(0_u64..4, 8),
            urgent in prop::collection::vec(0_u32..6, 0..3),
            slots in 0_usize..12,
            fills in any::<bool>(),
        ) {
            let offers: Vec<_> = made.iter().map(|(member, value, hard, supports)| offer(*member, *value, *hard, supports)).collect();
            let limits: Vec<(usize, u64)> = left.iter().copied().enumerate().collect();
            let mut ledger = Ledger::with(&limits);
            let slate = fill(&offers, &urgent, &mut ledger, slots, fills);
            prop_assert!(slate.len() <= slots);
            let mut candidates: Vec<usize> = slate.iter().map(|slot| slot.candidate).collect();
            candidates.sort_unstable();
            candidates.dedup();
            prop_assert_eq!(candidates.len(), slate.len(), "a candidate is taken once");
            prop_assert_eq!(ledger.charges.len(), slate.len(), "what is shown is charged, and nothing else");
            for slot in &slate {
                let offer = offers[slot.candidate].as_ref().expect("an offer");
                let programmes = offer.hard | slot.charged.map_or(0, |bit| 1 << bit);
                prop_assert!(ledger.charges.contains(&(offer.member, programmes)));
            }
            let again = fill(&offers, &urgent, &mut Ledger::with(&limits), slots, fills);
            prop_assert_eq!(again, slate);
        }
    }
}
