//! What answers will come to before it is reported: exposures under way (DESIGN section 7, online control, step 7).
//!
//! In adjusted and weights mode the recommender shows what it ranks, and says so later. What it will show of a request
//! that brought its base scores is known at once: the best of them under the prices that were answered. What is under way
//! is the sum of that over the last lag, and a budget is spent when the reports and a multiple of this sum reach it; it
//! opens again when less is reported. How much of the foretold is reported corrects what is foretold next.

use std::collections::VecDeque;

use super::{Controller, MemberRule, Observed, Priced, RECENT_REQUESTS};
use crate::domain::count_to_f64;
use crate::traffic::bits::{BITS, bits, mask_of};
use crate::traffic::price::{Bid, Offer};

/// Parts that a lag is cut into at most, to sum up what is under way.
const PARTS: f64 = 32.0;
/// Exposures that a correction needs to be believed half.
const BELIEVED_FROM: f64 = 10.0;
/// Multiple of the exposures under way that budgets keep in hand (DESIGN section 7, step 7).
pub const IN_FLIGHT_MARGIN: f64 = 1.5;

/// How the slots of a request are filled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shown {
    /// By a slate, which charges what it shows at once.
    Slate,
    /// By a recommender that ranks by adjusted scores.
    Adjusted,
    /// By a recommender that multiplies its scores by weights of at most `ceiling`.
    Weighted {
        /// Largest weight.
        ceiling: f64,
    },
}

/// Foretold exposures of one budget or member term.
#[derive(Clone, Debug, Default)]
pub(super) struct Flight {
    /// Request number, and what was foretold until then since the part before.
    parts: VecDeque<(f64, f64)>,
    /// Foretold exposures per request whose reports are due, of late, as of request number `due_at`.
    due: f64,
    due_at: f64,
}

impl Flight {
    fn add(&mut self, number: f64, foretold: f64, lag: f64) {
        match self.parts.back_mut() {
            Some((at, sum)) if number - *at < lag / PARTS => *sum += foretold,
            _ => self.parts.push_back((number, foretold)),
        }
    }

    /// Moves what was reported by now, if it was shown, out of the way.
    fn settle(&mut self, number: f64, lag: f64, window: f64) {
        while let Some((at, foretold)) = self.parts.front().copied().filter(|(at, _)| *at <= number - lag) {
            self.due = self.due * fade(at - self.due_at, window) + foretold / window;
            self.due_at = at;
            self.parts.pop_front();
        }
    }
}

fn fade(requests: f64, window: f64) -> f64 {
    libm::exp(-requests.max(0.0) / window)
}

impl Priced {
    /// Exposures that are expected to be under way.
    pub(super) fn in_flight(&mut self, number: f64, lag: f64, is_foretold: bool) -> f64 {
        if lag <= 0.0 {
            return 0.0;
        }
        let window = lag.max(RECENT_REQUESTS);
        let reported = self.recent_rate(number, window);
        if !is_foretold {
            return reported * lag;
        }
        self.flight.settle(number, lag, window);
        let due = self.flight.due * fade(number - lag - self.flight.due_at, window);
        let believed = BELIEVED_FROM / window;
        // Reports count what slates charged as well, and so they only ever thin out what was foretold.
        let correction = ((reported + believed) / (due + believed)).min(1.0);
        self.flight.parts.iter().map(|(_, foretold)| foretold).sum::<f64>() * correction
    }

    /// What is left of a limit when exposures under way are kept in hand.
    pub(super) fn left(&self, limit: u64, in_flight: f64) -> f64 {
        count_to_f64(limit) - self.gone - IN_FLIGHT_MARGIN * in_flight
    }

    /// Whether the state of a limit changed: spent, or open again.
    fn refresh(&mut self, limit: u64, in_flight: f64) -> bool {
        let is_spent = self.left(limit, in_flight) < 1.0;
        std::mem::replace(&mut self.is_spent, is_spent) != is_spent
    }
}

impl Controller {
    /// Whether requests were observed of late: what slates show is charged, what others show is foretold.
    pub(super) fn is_foretold(&self) -> bool {
        self.observed_at.is_some_and(|at| at + self.lag.max(RECENT_REQUESTS) >= self.forecast.seen())
    }

    /// Foretells what the answer to a request will take. It stands for all requests since the last one observed.
    pub(super) fn foretell(&mut self, request: &Observed<'_>) {
        let number = self.forecast.seen();
        let stands_for = number - self.observed_at.replace(number).unwrap_or(number - 1.0);
        if self.lag <= 0.0 || request.shown == Shown::Slate || stands_for <= 0.0 {
            return;
        }
        let stands_for = stands_for.min(self.lag);
        let taken = self.best(request);
        let (now, lag) = (self.now, self.lag);
        let mut by_bit = [0.0_f64; BITS];
        for (member, programmes) in &taken {
            for bit in bits(*programmes) {
                if let Some(sum) = by_bit.get_mut(usize::from(bit)) {
                    *sum += stands_for;
                }
            }
            for place in self.terms_of.get(member).map_or(&[][..], |places| places) {
                let Some(member) = self.members.get_mut(*place) else { continue };
                let is_open = member.term.start <= now && now < member.term.end;
                if is_open && member.term.scenes & request.scene.mask() != 0 {
                    member.priced.flight.add(number, stands_for, lag);
                }
            }
        }
        for (term, priced) in &mut self.budgets {
            let foretold = by_bit.get(usize::from(term.bit)).copied().unwrap_or(0.0);
            let is_mine = term.scene.is_none_or(|scene| scene == request.scene);
            if foretold > 0.0 && is_mine && term.start <= now && now < term.end {
                priced.flight.add(number, foretold, lag);
            }
        }
        self.refresh(taken.iter().map(|(member, _)| *member));
    }

    /// What will be shown of a request: members, and the bits of what their exposures count against.
    fn best(&self, request: &Observed<'_>) -> Vec<(u32, u64)> {
        let Some(prices) = self.book.scenes.get(request.scene.index()) else { return Vec::new() };
        let mean = prices.mean_base.get(request.kind.index()).copied().map_or(1.0, f64::from);
        let closed = self.budgets.iter().filter(|(term, _)| {
            term.kind == super::BudgetKind::Support
                && term.scene.is_none_or(|scene| scene == request.scene)
                && !(term.start <= self.now && self.now < term.end)
        });
        let closed = closed.fold(0, |mask, (term, _)| mask | mask_of(term.bit));
        let bid = |offer: &Offer, base: f64| {
            let member = self.published.get(&offer.member).copied().unwrap_or_default();
            match request.shown {
                Shown::Weighted { ceiling } => {
                    let tilt = if base > 0.0 { offer.value / base } else { 1.0 };
                    let bid = Offer { value: tilt, ..offer.clone() }.weight(prices, &member, ceiling, closed)?;
                    Some(Bid { score: bid.score * base, ..bid })
                }
                Shown::Adjusted | Shown::Slate => offer.bid(prices, &member, mean, closed),
            }
        };
        let offers = request.offers.iter().zip(request.bases).enumerate();
        let bids = offers.filter_map(|(place, (offer, base))| {
            let offer = offer.as_ref()?;
            let bid = bid(offer, *base).filter(|bid| bid.score > 0.0)?;
            let charged = bid.charged.map_or(0, mask_of);
            Some((bid.score, place, offer.member, offer.hard | charged))
        });
        let mut bids: Vec<(f64, usize, u32, u64)> = bids.collect();
        if bids.len() > request.slots {
            let worst = request.slots.saturating_sub(1);
            bids.select_nth_unstable_by(worst, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            bids.truncate(request.slots);
        }
        bids.into_iter().map(|(_, _, member, bits)| (member, bits)).collect()
    }

    /// Looks again at what is spent: all budgets, and the terms of some members.
    pub(super) fn refresh(&mut self, members: impl Iterator<Item = u32>) {
        if self.lag <= 0.0 {
            return;
        }
        let (number, lag, is_foretold) = (self.forecast.seen(), self.lag, self.is_foretold());
        let mut has_changed = false;
        for (term, priced) in &mut self.budgets {
            let in_flight = priced.in_flight(number, lag, is_foretold);
            has_changed |= priced.refresh(term.limit, in_flight);
        }
        for place in members.filter_map(|member| self.terms_of.get(&member)).flatten() {
            let Some(member) = self.members.get_mut(*place) else { continue };
            if member.term.rule == MemberRule::AtMost {
                let in_flight = member.priced.in_flight(number, lag, is_foretold);
                if member.priced.refresh(member.term.limit, in_flight) {
                    self.changed.insert(member.term.member);
                }
            }
        }
        if has_changed {
            self.write_book();
        }
    }
}
