//! Control of traffic: prices that keep budgets, caps and guarantees, solved beside the traffic (DESIGN section 7).
//!
//! How a server drives it:
//! 1. [`Controller::new`] with a [`Forecast`]; [`Controller::set_constraints`] whenever terms change (prices stay).
//! 2. Every request is counted ([`Controller::count`]); of a sample that brings base scores, [`Controller::observe`] takes
//!    the candidates into the sketch.
//! 3. About every 50 ms, [`Controller::consumed`] is told how many requests came and what they took.
//! 4. When [`Controller::is_due`], [`Controller::plan`] is handed what the ledgers say was spent. A [`Plan`] owns what it
//!    needs: [`Plan::solve`] runs on another thread, and [`Controller::adopt`] takes its [`Solution`].
//! 5. After 3 and 4 the server publishes [`Controller::book`] and [`Controller::changed_members`]; readers never wait.
//! 6. In adjusted and weights mode [`Controller::set_lag`] tells how many requests pass before exposures are reported.
//! 7. Before a guarantee is promised, [`Controller::outlook`] says whether it can be kept.
//!
//! What was spent always comes from outside; prices are soft state. The same calls with the same seed do the same.

mod figures;
mod flight;
mod forecast;
mod guard;
mod plan;
mod random;
mod sketch;
mod solve;
mod terms;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::FixedState;

use crate::domain::{Scene, TargetKind, Timestamp, to_f32};
use crate::traffic::bits::mask_of;
use crate::traffic::price::{MemberPrice, PriceBook};

pub use figures::learned_shape;
pub use flight::{IN_FLIGHT_MARGIN, Shown};
pub use forecast::{Forecast, HOURS, Shape};
pub use sketch::{KEPT_PER_HOUR, KEPT_RECENT, MAX_CANDIDATES, Observed};
pub use solve::{Plan, Solution};
pub use terms::{ALL_SCENES, BudgetKind, BudgetTerm, Constraints, MemberRule, MemberTerm, Spent, planned_share};

use flight::Flight;
use guard::{Appearances, Requests};
use random::Random;
use sketch::Sketch;
use solve::{ADDITIVE, LOG};

/// Step of a price per request.
const ETA: f64 = 0.003;
/// Smallest rate that steps are normalised by.
const RATE_FLOOR: f64 = 1e-3;
/// Most that a price moves in one update, however many requests it sums up.
const MAX_MOVE: f64 = 0.1;
/// Share of the expected traffic after which prices are solved again.
const SOLVE_EVERY: f64 = 0.001;
/// Requests that the recent rate of consumption is a mean of, at least.
const RECENT_REQUESTS: f64 = 200.0;

/// Which prices are solved, and from what seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Seed of everything drawn.
    pub seed: u64,
    /// Whether additive prices are solved (slate and adjusted mode).
    pub additive: bool,
    /// Whether prices in the log domain are solved (weights mode).
    pub log: bool,
}

/// Whether a guarantee can be kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// Requests left in which the member is expected to be a candidate.
    pub appearances: f64,
    /// Exposures it still must have.
    pub need: f64,
    /// Whether the appearances suffice, with what chance takes.
    pub is_feasible: bool,
}

/// A price and what it goes by.
#[derive(Clone, Debug, Default)]
struct Priced {
    price: [f64; 2],
    ceiling: [f64; 2],
    /// Exposures per request that are planned; none if it binds nothing.
    rate: Option<f64>,
    /// Whether nothing is left.
    is_spent: bool,
    /// Exposures per request of late, as of request number `recent_at`.
    recent: f64,
    recent_at: f64,
    /// Request number up to which the price has followed the plan.
    settled_at: f64,
    /// Exposures known to be spent.
    gone: f64,
    flight: Flight,
}

/// A member's term with its state.
#[derive(Clone, Debug)]
struct Member {
    term: MemberTerm,
    priced: Priced,
    appearances: Appearances,
    /// Number of the last observed request it appeared in.
    seen_in: u64,
    /// Exposures it still must have, for guarantees.
    need: f64,
    must_serve: bool,
}

/// Keeps prices. See the module for how it is driven.
#[derive(Clone, Debug)]
pub struct Controller {
    settings: Settings,
    forecast: Forecast,
    random: Random,
    sketch: Sketch,
    requests: Requests,
    observed: u64,
    version: u64,
    budgets: Vec<(BudgetTerm, Priced)>,
    members: Vec<Member>,
    /// Terms of a member.
    terms_of: HashMap<u32, Vec<usize>, FixedState>,
    bases: [[BaseMean; TargetKind::COUNT]; Scene::COUNT],
    book: PriceBook,
    published: HashMap<u32, MemberPrice, FixedState>,
    changed: BTreeSet<u32>,
    lag: f64,
    /// Number of the request that was observed last.
    observed_at: Option<f64>,
    next_solve_at: f64,
    solved_on: usize,
    solves: u64,
    now: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
struct BaseMean {
    sum: f64,
    count: f64,
}

impl Controller {
    /// A controller without constraints.
    #[must_use]
    pub fn new(settings: Settings, forecast: Forecast) -> Self {
        Self {
            settings,
            forecast,
            random: Random::new(settings.seed),
            sketch: Sketch::new(),
            requests: Requests::new(),
            observed: 0,
            version: 0,
            budgets: Vec::new(),
            members: Vec::new(),
            terms_of: HashMap::default(),
            bases: [[BaseMean::default(); TargetKind::COUNT]; Scene::COUNT],
            book: PriceBook::default(),
            published: HashMap::default(),
            changed: BTreeSet::new(),
            lag: 0.0,
            observed_at: None,
            next_solve_at: 0.0,
            solved_on: 0,
            solves: 0,
            // Before any traffic, whenever that begins.
            now: Timestamp(i64::MIN),
        }
    }

    /// Replaces the constraints. Prices and what is known of those that stay are kept.
    pub fn set_constraints(&mut self, constraints: Constraints) {
        self.version = self.version.wrapping_add(1);
        self.next_solve_at = 0.0;
        let mut old: HashMap<_, _, FixedState> =
            self.budgets.drain(..).map(|(term, priced)| (term.key(), priced)).collect();
        let budgets = constraints.budgets.into_iter();
        self.budgets =
            budgets.map(|term| (old.remove(&term.key()).unwrap_or_default(), term)).map(|(p, t)| (t, p)).collect();
        for (_, priced) in &mut self.budgets {
            priced.ceiling = [f64::MAX; 2];
        }
        let mut old: HashMap<_, _, FixedState> =
            self.members.drain(..).map(|member| (member.term.key(), member)).collect();
        self.changed.extend(self.terms_of.keys());
        self.terms_of.clear();
        for (place, term) in constraints.members.into_iter().enumerate() {
            self.terms_of.entry(term.member).or_default().push(place);
            self.changed.insert(term.member);
            let mut member = old.remove(&term.key()).unwrap_or_else(|| Member {
                term,
                priced: Priced { settled_at: self.forecast.seen(), ..Priced::default() },
                appearances: Appearances::new(&self.requests),
                seen_in: 0,
                need: 0.0,
                must_serve: false,
            });
            member.term = term;
            member.priced.ceiling = match term.rule {
                // Weights end at a ceiling, and so a factor beyond e^3 buys nothing.
                MemberRule::AtLeast { penalty } => [penalty.max(0.0), 3.0],
                MemberRule::AtMost => [f64::MAX; 2],
            };
            self.members.push(member);
        }
    }

    /// The forecast.
    #[must_use]
    pub const fn forecast(&self) -> &Forecast {
        &self.forecast
    }

    /// Requests that pass between an exposure and its report; 0 where slates are charged at once.
    pub const fn set_lag(&mut self, requests: f64) {
        self.lag = requests.max(0.0);
    }

    /// Counts requests that came just now.
    pub fn count(&mut self, now: Timestamp, requests: f64) {
        self.now = self.now.max(now);
        self.forecast.count(now, requests);
    }

    /// Mean base score of the requests observed so far, if any were.
    #[must_use]
    pub fn mean_base(&self, scene: Scene, kind: TargetKind) -> Option<f64> {
        let mean = self.bases.get(scene.index())?.get(kind.index())?;
        (mean.count > 0.0 && mean.sum > 0.0).then(|| mean.sum / mean.count)
    }

    /// Takes a request that came just now into the sketch.
    pub fn observe(&mut self, now: Timestamp, request: &Observed<'_>) {
        self.note_bases(request);
        self.requests.count(now);
        self.observed = self.observed.wrapping_add(1);
        for offer in request.offers.iter().flatten() {
            for place in self.terms_of.get(&offer.member).map_or(&[][..], |places| places) {
                let Some(member) = self.members.get_mut(*place) else { continue };
                if member.seen_in != self.observed && member.term.scenes & request.scene.mask() != 0 {
                    member.seen_in = self.observed;
                    member.appearances.count(now);
                }
            }
        }
        self.foretell(request);
        self.sketch.add(now, request, &mut self.random);
    }

    /// Takes a request of the past into the sketch, so that the first prices are not solved on nothing. It counts less
    /// the more traffic comes. `at` tells its hour of the day, if that is known.
    pub fn observe_past(&mut self, at: Option<Timestamp>, request: &Observed<'_>) {
        self.note_bases(request);
        self.sketch.add_past(at, request, &mut self.random);
    }

    fn note_bases(&mut self, request: &Observed<'_>) {
        let mean = self.bases.get_mut(request.scene.index()).and_then(|kinds| kinds.get_mut(request.kind.index()));
        let Some(mean) = mean else { return };
        for (base, _) in request.bases.iter().zip(request.offers).filter(|(_, offer)| offer.is_some()) {
            mean.sum += base;
            mean.count += 1.0;
        }
    }

    /// Tells how many requests came since the last call and what they took: exposures by place of the budget and of
    /// the member term in the constraints. Prices follow (step 3).
    pub fn consumed(&mut self, requests: f64, budgets: &[(usize, f64)], members: &[(usize, f64)]) {
        let number = self.forecast.seen();
        let window = self.lag.max(RECENT_REQUESTS);
        let now = self.now;
        for (place, (term, priced)) in self.budgets.iter_mut().enumerate() {
            let taken: f64 = budgets.iter().filter(|(at, _)| *at == place).map(|(_, taken)| taken).sum();
            priced.note(taken, number, window);
            priced.gone += taken;
            if term.start <= now && now < term.end {
                priced.follow(taken, requests, false);
            }
        }
        for (place, taken) in members {
            let Some(member) = self.members.get_mut(*place) else { continue };
            member.priced.note(*taken, number, window);
            member.priced.gone += taken;
            let since = (number - member.priced.settled_at).max(0.0);
            let is_floor = member.term.is_guarantee();
            if member.term.start <= now && now < member.term.end {
                member.priced.follow(*taken, since, is_floor);
            }
            member.priced.settled_at = number;
            if is_floor {
                member.need -= taken;
                if member.need <= 0.0 {
                    member.must_serve = false;
                    member.priced.price = [0.0; 2];
                    member.priced.rate = None;
                }
            }
            self.changed.insert(member.term.member);
        }
        let places = members.iter().filter_map(|(place, _)| self.members.get(*place));
        let served: Vec<u32> = places.map(|member| member.term.member).collect();
        self.refresh(served.into_iter());
        self.write_book();
    }

    /// Whether prices should be solved again: after 0.1 % of the traffic, and whenever constraints changed.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.forecast.seen() >= self.next_solve_at
    }

    /// How often prices were solved.
    #[must_use]
    pub const fn solves(&self) -> u64 {
        self.solves
    }

    /// Takes solved prices over. Constraints may have been replaced meanwhile: those that stayed have theirs, for terms
    /// that come and go all the time must not keep all others from ever being priced.
    pub fn adopt(&mut self, solution: &Solution) {
        let number = self.forecast.seen();
        let mut is_of_use = false;
        if solution.version == self.version {
            is_of_use = true;
            for ((_, priced), price) in self.budgets.iter_mut().zip(&solution.prices) {
                priced.price = *price;
            }
            for (member, row) in self.members.iter_mut().zip(&solution.term_rows) {
                self.changed.insert(member.take_over(solution, *row, number));
            }
        } else {
            let solved: HashMap<_, _, FixedState> = solution.keys.budgets.iter().zip(&solution.prices).collect();
            for (term, priced) in &mut self.budgets {
                if let Some(price) = solved.get(&term.key()) {
                    priced.price = **price;
                    is_of_use = true;
                }
            }
            let solved: HashMap<_, _, FixedState> = solution.keys.members.iter().zip(&solution.term_rows).collect();
            for member in &mut self.members {
                if let Some(row) = solved.get(&member.term.key()) {
                    self.changed.insert(member.take_over(solution, **row, number));
                    is_of_use = true;
                }
            }
        }
        // Of a solution without any of the present terms nothing was learnt.
        if is_of_use {
            self.solves = self.solves.wrapping_add(1);
            self.write_book();
        }
    }

    /// Prices of budgets as they are now.
    #[must_use]
    pub const fn book(&self) -> &PriceBook {
        &self.book
    }

    /// Prices of the members whose prices changed since the last call.
    pub fn changed_members(&mut self) -> Vec<(u32, MemberPrice)> {
        let changed = std::mem::take(&mut self.changed);
        let mut prices = Vec::with_capacity(changed.len());
        for member in changed {
            let price = self.member_price(member);
            if self.published.get(&member).copied().unwrap_or_default() != price {
                self.published.insert(member, price);
                prices.push((member, price));
            }
        }
        prices
    }

    fn member_price(&self, member: u32) -> MemberPrice {
        let places = self.terms_of.get(&member).map_or(&[][..], |places| places);
        let terms = places.iter().filter_map(|place| self.members.get(*place));
        let (mut additive, mut log, mut spent, mut must_serve) = (0.0, 0.0, 0_u64, false);
        for Member { term, priced, must_serve: is_urgent, .. } in
            terms.filter(|member| member.term.start <= self.now && self.now < member.term.end)
        {
            let sign = if term.is_guarantee() { 1.0 } else { -1.0 };
            additive += sign * priced.price[ADDITIVE];
            log += sign * priced.price[LOG];
            must_serve |= is_urgent;
            if priced.is_spent && !term.is_guarantee() {
                spent |= mask_of(term.programme);
            }
        }
        MemberPrice { additive: to_f32(additive), factor: to_f32(libm::exp(log)), spent, must_serve }
    }

    fn write_book(&mut self) {
        self.book.epoch = self.book.epoch.wrapping_add(1);
        for scene in Scene::ALL {
            let Some(prices) = self.book.scenes.get_mut(scene.index()) else { continue };
            prices.spent = 0;
            // Budgets over all scenes first, so that one of the scene itself takes their place.
            for own in [false, true] {
                let mine = self.budgets.iter().filter(|(term, _)| term.scene.is_some() == own);
                for (term, priced) in mine.filter(|(term, _)| term.scene.is_none_or(|at| at == scene)) {
                    let bit = usize::from(term.bit);
                    let is_open = term.start <= self.now && self.now < term.end;
                    let price = if is_open { priced.price } else { [0.0; 2] };
                    if let (Some(lambda), Some(discount)) = (prices.lambda.get_mut(bit), prices.discount.get_mut(bit)) {
                        *lambda = to_f32(price[ADDITIVE]);
                        *discount = to_f32(libm::exp(-price[LOG]));
                    }
                    let mask = mask_of(term.bit);
                    prices.spent &= !mask;
                    if is_open && priced.is_spent {
                        prices.spent |= mask;
                    }
                }
            }
        }
    }
}

impl Member {
    /// Takes over what was solved in a row, if it has one; answers whose price that is.
    fn take_over(&mut self, solution: &Solution, row: Option<usize>, number: f64) -> u32 {
        if let Some(price) = row.and_then(|row| solution.prices.get(row)) {
            self.priced.price = *price;
        }
        self.priced.settled_at = number;
        self.term.member
    }
}

impl Priced {
    /// Moves the price by what was taken against what was planned.
    fn follow(&mut self, taken: f64, requests: f64, is_floor: bool) {
        let Some(rate) = self.rate else { return };
        let excess = (taken - requests * rate) * if is_floor { -1.0 } else { 1.0 };
        let change = (ETA * excess / rate.max(RATE_FLOOR).sqrt()).clamp(-MAX_MOVE, MAX_MOVE);
        for (price, ceiling) in self.price.iter_mut().zip(self.ceiling) {
            *price = (*price + change).clamp(0.0, ceiling);
        }
    }

    /// Takes into the recent rate what was taken.
    fn note(&mut self, taken: f64, number: f64, window: f64) {
        self.recent = self.recent_rate(number, window) + taken / window;
        self.recent_at = number;
    }

    fn recent_rate(&self, number: f64, window: f64) -> f64 {
        self.recent * libm::exp(-(number - self.recent_at).max(0.0) / window)
    }
}
