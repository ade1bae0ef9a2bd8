//! Drives control through a stream, as a server would through its traffic.

use std::collections::VecDeque;

use super::accounts::{ALL_BIT, Accounts, at};
use super::input::{Candidate, ConstraintsFile, Kind, Request, Stream, whole};
use super::{Backtest, BacktestError, BacktestMode, BacktestSummary, ForecastChoice, ProgrammeSpend};
use crate::domain::{Day, Scene, TargetKind, Timestamp};
use crate::traffic::control::{
    ALL_SCENES, BudgetKind, BudgetTerm, Constraints, Controller, Forecast, MemberRule, MemberTerm, Observed, Settings,
    Shape, Shown, Spent,
};
use crate::traffic::{MemberPrice, Offer, Pacing, SlateQuery, Slot, SlotReason, Support, fill_slate};

/// Streams have no scenes: one stands for all.
const SCENE: Scene = Scene::Live;
const KIND: TargetKind = TargetKind::Product;
/// Largest weight, as the service is shipped.
const CEILING: f64 = 10.0;
/// 2024-01-01, a Monday: hours of the day and of the week begin with the stream.
const MONDAY: Day = Day(19_723);
/// Seconds of the horizon where nothing tells them.
const DAY_SECONDS: f64 = 86_400.0;

/// Where exposures go.
pub(super) type Log<'a> = dyn FnMut(usize, usize, i64) -> Result<(), BacktestError> + 'a;

/// A stream and what it is replayed against.
pub(super) struct Replay<'a> {
    mode: BacktestMode,
    file: ConstraintsFile,
    slots: usize,
    requests: &'a [Request],
    clock: StreamClock,
    controller: Controller,
    /// What was shown.
    accounts: Accounts,
    /// What the service knows of it: in slates all, else what was reported.
    known: Accounts,
    /// Exposures not yet reported, with the request at which they will be.
    under_way: VecDeque<(usize, Vec<(u32, u64)>)>,
    lag: usize,
    /// Bits of the programmes that a member belongs to.
    programmes: Vec<u64>,
    /// Places of a member's terms in the constraints, and the member of each place.
    terms_of: Vec<Vec<usize>>,
    term_members: Vec<usize>,
    prices: Vec<MemberPrice>,
    value: f64,
}

/// Turns shares of the horizon into instants.
#[derive(Clone, Copy)]
struct StreamClock {
    began: Timestamp,
    horizon_ms: f64,
}

impl StreamClock {
    fn new(began: Option<Timestamp>, seconds: f64) -> Self {
        Self { began: began.unwrap_or_else(|| MONDAY.start()), horizon_ms: seconds * 1_000.0 }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the horizon has at most 1e12 milliseconds")]
    fn at(self, share: f64) -> Timestamp {
        self.began.plus_ms((share * self.horizon_ms).round() as i64)
    }

    #[expect(clippy::cast_possible_truncation, reason = "a second of the day")]
    fn at_second_of_day(self, second: f64) -> Timestamp {
        self.began.day().start().plus_ms((second.clamp(0.0, DAY_SECONDS - 1.0) * 1_000.0) as i64)
    }
}

impl<'a> Replay<'a> {
    pub(super) fn new(
        query: &Backtest,
        file: ConstraintsFile,
        slots: usize,
        stream: &'a Stream,
        profile: Option<[f64; 24]>,
    ) -> Self {
        let requests = &stream.requests[..];
        let named = requests.iter().flat_map(|request| &request.candidates).filter_map(|c| at(c.member)).max();
        let members = named.map_or(0, |last| last + 1).max(file.merchant_cap.len()).max(file.merchant_guarantee.len());
        let mut programmes = vec![0_u64; members];
        for (bit, programme) in file.programmes.iter().enumerate() {
            for member in &programme.numbers {
                if let Some(bits) = at(*member).and_then(|member| programmes.get_mut(member)) {
                    *bits |= 1 << bit;
                }
            }
        }
        let clock = match stream.span {
            Some((began, seconds)) => StreamClock::new(began, seconds),
            None => StreamClock::new(None, query.horizon_seconds.unwrap_or_else(|| horizon_of(requests))),
        };
        let shape = match (&query.forecast, profile) {
            (ForecastChoice::Actual, _) => arrivals(requests, clock),
            (_, Some(hours)) => Shape::HourOfDay(hours),
            (_, None) => Shape::Linear,
        };
        let is_weights = query.mode == BacktestMode::Weights;
        let settings = Settings { seed: query.seed, additive: !is_weights, log: is_weights };
        let accounts = Accounts::new(&file, members);
        Self {
            mode: query.mode,
            controller: Controller::new(settings, Forecast::new(shape, clock.began)),
            known: accounts.clone(),
            accounts,
            under_way: VecDeque::new(),
            lag: if query.mode == BacktestMode::Slate { 0 } else { share_of(requests.len(), query.lag) },
            file,
            slots,
            requests,
            clock,
            programmes,
            terms_of: vec![Vec::new(); members],
            term_members: Vec::new(),
            prices: vec![MemberPrice::default(); members],
            value: 0.0,
        }
    }

    pub(super) fn run(mut self, history: &[Request], log: &mut Log<'_>) -> Result<BacktestSummary, BacktestError> {
        let mut offers = Offers::default();
        for request in history {
            offers.make(&self.file, &self.programmes, request);
            let at = request.sec.map(|second| self.clock.at_second_of_day(second));
            self.controller.observe_past(at, &offers.observed(self.slots, self.shown()));
        }
        let constraints = self.constraints();
        self.controller.set_constraints(constraints);
        if self.lag > 0 {
            self.controller.set_lag(count(self.lag));
        }
        let mut slate = Vec::new();
        for (t, request) in self.requests.iter().enumerate() {
            let now = self.clock.at(request.time);
            self.controller.count(now, 1.0);
            offers.make(&self.file, &self.programmes, request);
            self.learn_reports(t);
            if self.controller.is_due() {
                self.solve(now);
            }
            for (member, price) in self.controller.changed_members() {
                if let Some(place) = at(member).and_then(|member| self.prices.get_mut(member)) {
                    *place = price;
                }
            }
            self.fill(&mut offers, &mut slate);
            self.count_and_log(t, request, &slate, log)?;
            let charged = std::mem::take(&mut self.accounts.charged);
            if self.mode == BacktestMode::Slate {
                self.tell(&charged);
            } else {
                self.under_way.push_back((t.saturating_add(self.lag), charged));
            }
            self.controller.observe(now, &offers.observed(self.slots, self.shown()));
        }
        Ok(self.summary())
    }

    const fn shown(&self) -> Shown {
        match self.mode {
            BacktestMode::Slate => Shown::Slate,
            BacktestMode::Adjusted => Shown::Adjusted,
            BacktestMode::Weights => Shown::Weighted { ceiling: CEILING },
        }
    }

    fn constraints(&mut self) -> Constraints {
        let mut constraints = Constraints::default();
        for (bit, programme) in (0_u8..).zip(&self.file.programmes) {
            constraints.budgets.push(BudgetTerm {
                bit,
                kind: if programme.kind == Kind::Hard { BudgetKind::Hard } else { BudgetKind::Support },
                scene: None,
                limit: programme.exposures(),
                start: self.clock.at(programme.window.0),
                end: self.clock.at(programme.window.1),
                pacing: Pacing::Even,
            });
        }
        // Penalties come in units of value, prices in units of the mean base score: the past sample tells its size, or
        // the first requests of the stream do.
        let mean = self.controller.mean_base(SCENE, KIND).unwrap_or_else(|| {
            let first = self.requests.first().map_or(&[][..], |request| &request.candidates);
            first.iter().map(|candidate| candidate.base).sum::<f64>() / count(first.len()).max(1.0)
        });
        let penalty = self.file.shortfall_penalty / if mean > 0.0 { mean } else { 1.0 };
        let (start, end) = (self.clock.began, self.clock.at(1.0));
        let rules = [
            (&self.file.merchant_cap, MemberRule::AtMost),
            (&self.file.merchant_guarantee, MemberRule::AtLeast { penalty }),
        ];
        for (limits, rule) in rules {
            for (member, limit) in limits.iter().enumerate() {
                let is_cap = rule == MemberRule::AtMost;
                if *limit < 0.0 || (!is_cap && *limit <= 0.0) {
                    continue;
                }
                if let Some(terms) = self.terms_of.get_mut(member) {
                    terms.push(constraints.members.len());
                    self.term_members.push(member);
                }
                let member = u32::try_from(member).unwrap_or(u32::MAX);
                let limit = whole(*limit);
                constraints.members.push(MemberTerm {
                    member,
                    programme: ALL_BIT,
                    rule,
                    limit,
                    start,
                    end,
                    scenes: ALL_SCENES,
                });
            }
        }
        constraints
    }

    fn solve(&mut self, now: Timestamp) {
        let shown = |member: &usize| self.known.shown.get(*member).copied().unwrap_or(0);
        let members: Vec<u64> = self.term_members.iter().map(shown).collect();
        let plan = self.controller.plan(now, &Spent { budgets: &self.known.spent, members: &members });
        self.controller.adopt(&plan.solve());
    }

    /// Takes note of the exposures whose report arrives with request `t`.
    fn learn_reports(&mut self, t: usize) {
        while self.under_way.front().is_some_and(|(due, _)| *due <= t) {
            let Some((_, charged)) = self.under_way.pop_front() else { return };
            self.tell(&charged);
        }
    }

    fn tell(&mut self, charged: &[(u32, u64)]) {
        let mut budgets = vec![0.0; self.file.programmes.len()];
        let mut members: Vec<(usize, f64)> = Vec::new();
        for (member, programmes) in charged {
            self.known.record(*member, *programmes);
            for (bit, taken) in budgets.iter_mut().enumerate().filter(|(bit, _)| (programmes >> bit) & 1 == 1) {
                let _ = bit;
                *taken += 1.0;
            }
            for place in at(*member).and_then(|member| self.terms_of.get(member)).map_or(&[][..], |terms| terms) {
                match members.iter_mut().find(|(known, _)| known == place) {
                    Some((_, taken)) => *taken += 1.0,
                    None => members.push((*place, 1.0)),
                }
            }
        }
        self.known.charged.clear();
        let budgets: Vec<(usize, f64)> = budgets.into_iter().enumerate().collect();
        self.controller.consumed(1.0, &budgets, &members);
    }

    fn fill(&mut self, offers: &mut Offers, slate: &mut Vec<Slot>) {
        let Some(prices) = self.controller.book().scenes.get(SCENE.index()) else { return };
        let mean = prices.mean_base.get(KIND.index()).copied().map_or(1.0, f64::from);
        let price = |member: u32| at(member).and_then(|m| self.prices.get(m)).copied().unwrap_or_default();
        offers.members.clear();
        offers.members.extend(offers.open.iter().flatten().map(|offer| price(offer.member)));
        if self.mode == BacktestMode::Slate {
            let (offers, members) = (&offers.open[..], &offers.members[..]);
            let query = SlateQuery { offers, targets: &[], members, prices, mean, slots: self.slots, fill: false };
            return fill_slate(&query, &mut self.accounts, slate);
        }
        slate.clear();
        let is_weights = self.mode == BacktestMode::Weights;
        for (candidate, (offer, member)) in offers.open.iter().zip(&offers.members).enumerate() {
            let Some(offer) = offer else { continue };
            let base = offers.bases.get(candidate).copied().unwrap_or(0.0);
            let bid = if is_weights {
                // The weight holds the tilt; the recommender brings the score.
                let tilt = if base > 0.0 { offer.value / base } else { 1.0 };
                let bid = Offer { value: tilt, ..offer.clone() }.weight(prices, member, CEILING, 0);
                bid.map(|bid| crate::traffic::Bid { score: bid.score * base, ..bid })
            } else {
                offer.bid(prices, member, mean, 0)
            };
            if let Some(bid) = bid.filter(|bid| bid.score > 0.0) {
                let reason = if bid.charged.is_some() { SlotReason::Support } else { SlotReason::Organic };
                slate.push(Slot { candidate, score: bid.score, reason, charged: bid.charged });
            }
        }
        slate.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.candidate.cmp(&b.candidate)));
        slate.truncate(self.slots);
        for slot in slate {
            if let Some(offer) = offers.open.get(slot.candidate).and_then(Option::as_ref) {
                self.accounts.record(offer.member, offer.hard | slot.charged.map_or(0, |bit| 1 << bit));
            }
        }
    }

    fn count_and_log(
        &mut self,
        t: usize,
        request: &Request,
        slate: &[Slot],
        log: &mut Log<'_>,
    ) -> Result<(), BacktestError> {
        for slot in slate {
            let programme = slot.charged.and_then(|bit| self.file.programmes.get(usize::from(bit)));
            let value = request.candidates.get(slot.candidate).map_or(0.0, |candidate| candidate.value);
            self.value += value * programme.map_or(1.0, |programme| 1.0 + programme.boost);
            log(t, slot.candidate, programme.map_or(-1, |programme| programme.id))?;
        }
        Ok(())
    }

    fn summary(&self) -> BacktestSummary {
        let spends = self.file.programmes.iter().zip(&self.accounts.spent).map(|(programme, spent)| ProgrammeSpend {
            name: programme.name.clone(),
            spent: *spent,
            limit: programme.exposures(),
        });
        let needs = self.file.merchant_guarantee.iter().zip(&self.accounts.shown).filter(|(need, _)| **need > 0.0);
        let missing: Vec<u64> = needs.map(|(need, shown)| whole(*need).saturating_sub(*shown)).collect();
        BacktestSummary {
            requests: self.requests.len(),
            torn: 0,
            slots: self.accounts.shown.iter().sum(),
            value: self.value,
            solves: self.controller.solves(),
            programmes: spends.collect(),
            guarantees: missing.len(),
            guarantees_met: missing.iter().filter(|missing| **missing == 0).count(),
            missing: missing.iter().sum(),
            forecast_error: self.controller.forecast().error(),
        }
    }
}

/// The candidates of one request, as offers.
#[derive(Default)]
struct Offers {
    /// With the programmes whose window is open.
    open: Vec<Option<Offer>>,
    /// With all programmes of the member: what the sketch is to know.
    whole: Vec<Option<Offer>>,
    bases: Vec<f64>,
    members: Vec<MemberPrice>,
}

impl Offers {
    fn make(&mut self, file: &ConstraintsFile, programmes: &[u64], request: &Request) {
        let mut open = 1_u64 << ALL_BIT;
        let (mut hard, mut supports) = (1_u64 << ALL_BIT, Vec::new());
        for (bit, programme) in (0_u8..).zip(&file.programmes) {
            if programme.is_open(request.time) {
                open |= 1 << bit;
            }
            match programme.kind {
                Kind::Hard => hard |= 1 << bit,
                Kind::Support => supports.push(Support { bit, uplift: programme.boost }),
            }
        }
        supports.sort_by(|a, b| b.uplift.total_cmp(&a.uplift));
        self.open.clear();
        self.whole.clear();
        self.bases.clear();
        for Candidate { member, base, value } in &request.candidates {
            let bits = at(*member).and_then(|member| programmes.get(member)).copied().unwrap_or(0) | 1 << ALL_BIT;
            let mut offer = Offer { member: *member, value: *value, hard: bits & hard, ..Offer::default() };
            for support in supports.iter().filter(|support| (bits >> support.bit) & 1 == 1) {
                // More supports than an offer can hold: the largest are kept.
                let _ = offer.supports.try_push(*support);
            }
            self.whole.push(Some(offer.clone()));
            offer.hard &= open;
            offer.supports.retain(|support| (open >> support.bit) & 1 == 1);
            self.open.push(Some(offer));
            self.bases.push(*base);
        }
    }

    fn observed(&self, slots: usize, shown: Shown) -> Observed<'_> {
        Observed { scene: SCENE, kind: KIND, slots, offers: &self.whole, bases: &self.bases, shown }
    }
}

/// Seconds of the horizon, from the latest request that tells both its share and its second.
fn horizon_of(requests: &[Request]) -> f64 {
    let told =
        requests.iter().rev().find_map(|request| Some((request.sec?, request.time)).filter(|(_, time)| *time > 0.0));
    told.map_or(DAY_SECONDS, |(sec, time)| sec / time).clamp(1.0, 1.0e9)
}

fn arrivals(requests: &[Request], clock: StreamClock) -> Shape {
    let arrivals = requests.iter().enumerate().map(|(t, request)| (clock.at(request.time), count(t) + 1.0));
    Shape::Curve([(clock.began.plus_ms(-1), 0.0)].into_iter().chain(arrivals).collect())
}

fn count(number: usize) -> f64 {
    crate::domain::count_to_f64(u64::try_from(number).unwrap_or(u64::MAX))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
fn share_of(length: usize, share: f64) -> usize {
    (count(length) * share).round().max(0.0) as usize
}
