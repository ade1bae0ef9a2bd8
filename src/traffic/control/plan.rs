//! Makes plans: what is left of every term per request to come, and a sample of these requests.

use std::sync::Arc;

use super::guard::{Ahead, is_urgent, planned_end, spare_share};
use super::solve::{Effort, FIRST, Keys, MemberRows, Pair, Plan, Row, RowState, WARM};
use super::terms::{ALL_SCENES, MemberRule, Spent, planned_share, span_ms};
use super::{BudgetKind, Controller, Forecast, Member, MemberTerm, Outlook, Priced, SOLVE_EVERY};
use crate::domain::{DAY_MS, Scene, TargetKind, Timestamp, count_to_f64, to_f32};
use crate::traffic::bits::BITS;
use crate::traffic::budget::Pacing;

/// Requests drawn for a plan.
const PAIRS: usize = 1_200;
/// Share of them that are the latest, whatever their hour.
const RECENT_SHARE: f64 = 0.1;
/// How far a plan looks ahead: windows that end later are taken by their share until then.
const HORIZON_DAYS: i64 = 7;
/// Appearances in the drawn requests below which terms of a programme share a price.
const OWN_PRICE_FROM: u32 = 20;
/// Classes of urgency that pools of terms are made by.
const URGENCIES: usize = 5;
/// Share of a member's appearances, the last ones, that the guard does not count on.
const GUARD_SPARE: f64 = 0.01;
/// Share of a window over which a curve of spending is looked ahead.
const CURVE_AHEAD: f64 = 0.05;

/// What a term asks of the requests to come.
struct Demand {
    rate: f64,
    state: RowState,
}

impl Controller {
    /// A plan from what was spent so far. The solution of the one before should have been adopted.
    pub fn plan(&mut self, now: Timestamp, spent: &Spent<'_>) -> Plan {
        self.now = self.now.max(now);
        let ends = self.budgets.iter().map(|(term, _)| term.end).chain(self.members.iter().map(|m| m.term.end));
        let horizon = now.plus_ms(HORIZON_DAYS.saturating_mul(DAY_MS));
        let end = ends.max().unwrap_or(now).min(horizon);
        let ahead = Ahead::new(&self.forecast, now, end);
        let left = self.forecast.expected(now, end);
        self.next_solve_at = self.forecast.seen() + ((self.forecast.seen() + left) * SOLVE_EVERY).max(1.0);
        self.set_means();

        let effort = self.effort();
        let instants = ahead.instants(PAIRS, self.random.unit());
        let samples = self.sketch.draw(&instants, RECENT_SHARE, &mut self.random);
        let pairs = samples.into_iter().zip(instants).filter_map(|(sample, at)| Some(Pair { sample: sample?, at }));
        let pairs: Vec<Pair> = pairs.collect();

        let mut rows = self.budget_rows(now, spent.budgets);
        let mut budgets = Box::new([[None; BITS]; Scene::COUNT]);
        for own in [false, true] {
            for (row, (term, _)) in self.budgets.iter().enumerate().filter(|(_, (term, _))| term.scene.is_some() == own)
            {
                for scene in Scene::ALL.iter().filter(|scene| term.scene.is_none_or(|at| at == **scene)) {
                    let places = budgets.get_mut(scene.index()).and_then(|bits| bits.get_mut(usize::from(term.bit)));
                    if let Some(place) = places {
                        *place = Some(row);
                    }
                }
            }
        }
        let (term_rows, members) = self.member_rows(now, spent.members, &ahead, &pairs, &mut rows);
        let mut means = [[1.0; TargetKind::COUNT]; Scene::COUNT];
        for (means, prices) in means.iter_mut().zip(&self.book.scenes) {
            for (mean, base) in means.iter_mut().zip(prices.mean_base) {
                *mean = f64::from(base);
            }
        }
        Plan {
            version: self.version,
            keys: Keys {
                budgets: self.budgets.iter().map(|(term, _)| term.key()).collect(),
                members: self.members.iter().map(|member| member.term.key()).collect(),
            },
            pairs,
            classes: self.sketch.classes(),
            rows,
            budgets,
            members: Arc::new(members),
            term_rows,
            means,
            sets: [self.settings.additive, self.settings.log],
            effort,
            random: super::Random::new(self.random.next()),
        }
    }

    /// Solves from no prices when the sketch has doubled since that was last done: what was solved on little is no start.
    fn effort(&mut self) -> Effort {
        let kept = self.sketch.len();
        let has_doubled = kept >= self.solved_on.saturating_mul(2).max(1) && self.solved_on < PAIRS;
        if self.solves == 0 || has_doubled {
            self.solved_on = kept;
            return FIRST;
        }
        WARM
    }

    fn set_means(&mut self) {
        for (prices, bases) in self.book.scenes.iter_mut().zip(&self.bases) {
            for (mean, base) in prices.mean_base.iter_mut().zip(bases) {
                if base.count > 0.0 && base.sum > 0.0 {
                    *mean = to_f32(base.sum / base.count);
                }
            }
        }
    }

    fn budget_rows(&mut self, now: Timestamp, spent: &[u64]) -> Vec<Row> {
        let number = self.forecast.seen();
        let is_foretold = self.is_foretold();
        let mut rows = Vec::with_capacity(self.budgets.len());
        for (place, (term, priced)) in self.budgets.iter_mut().enumerate() {
            let gone = count_to_f64(spent.get(place).copied().unwrap_or(0));
            priced.gone = gone;
            let in_flight = priced.in_flight(number, self.lag, is_foretold);
            let left = priced.left(term.limit, in_flight);
            let planned = planned_share(&term.pacing, share_gone(term.start, term.end, now) + CURVE_AHEAD);
            let demand = match planned {
                _ if left < 1.0 => Demand { rate: 0.0, state: RowState::Spent },
                _ if term.pacing == Pacing::AsFastAsPossible => Demand { rate: left, state: RowState::Free },
                None => demand(left, self.forecast.expected(now.max(term.start), term.end)),
                Some(share) => {
                    let allowed = (count_to_f64(term.limit) * share - gone).clamp(0.0, left);
                    let until = part_of(term.start, term.end, share_gone(term.start, term.end, now) + CURVE_AHEAD);
                    demand(allowed, self.forecast.expected(now.max(term.start), until))
                }
            };
            priced.set(&demand, left);
            let scenes = term.scene.map_or(ALL_SCENES, Scene::mask);
            rows.push(row(priced, &demand, (term.start, term.end), scenes, false));
        }
        rows
    }

    /// Rows of the member terms, behind those of the budgets: own ones, and pools for those seldom seen.
    fn member_rows(
        &mut self,
        now: Timestamp,
        spent: &[u64],
        ahead: &Ahead,
        pairs: &[Pair],
        rows: &mut Vec<Row>,
    ) -> (Vec<Option<usize>>, MemberRows) {
        let mut seen = vec![0_u32; self.sketch.members()];
        let mut last = vec![u32::MAX; self.sketch.members()];
        for (pair, number) in pairs.iter().zip(0_u32..) {
            for candidate in &pair.sample.candidates {
                let Ok(member) = usize::try_from(candidate.member) else { continue };
                if let (Some(seen), Some(last)) = (seen.get_mut(member), last.get_mut(member))
                    && *last != number
                {
                    *last = number;
                    *seen = seen.saturating_add(1);
                }
            }
        }
        let (number_now, lag, is_foretold) = (self.forecast.seen(), self.lag, self.is_foretold());
        let charged_only: Vec<u8> = self
            .budgets
            .iter()
            .filter(|(term, _)| term.kind == BudgetKind::Support)
            .map(|(term, _)| term.bit)
            .collect();
        let mut pools: Vec<Option<usize>> = vec![None; BITS.saturating_mul(URGENCIES)];
        let mut term_rows = Vec::with_capacity(self.members.len());
        let mut by_number: Vec<Vec<u32>> = vec![Vec::new(); self.sketch.members()];
        for (place, member) in self.members.iter_mut().enumerate() {
            let gone = count_to_f64(spent.get(place).copied().unwrap_or(0));
            let number = self.sketch.number_of(member.term.member);
            member.priced.gone = gone;
            let in_flight = member.priced.in_flight(number_now, lag, is_foretold);
            let (demand, urgency) = member.demand(now, gone, in_flight, &self.forecast, &self.requests, ahead);
            let is_unpriced = !member.term.is_guarantee() && charged_only.contains(&member.term.programme);
            if is_unpriced || member.term.end <= now {
                term_rows.push(None);
                continue;
            }
            let appears = number.and_then(|number| seen.get(number)).copied().unwrap_or(0);
            let is_pooled = member.term.is_guarantee()
                && demand.state == RowState::Priced
                && appears < OWN_PRICE_FROM
                && pairs.len() >= PAIRS;
            let place_of_pool = usize::from(member.term.programme).saturating_mul(URGENCIES).saturating_add(urgency);
            let pool = pools.get(place_of_pool).copied().flatten().filter(|_| is_pooled);
            let at = if let Some(pool) = pool {
                if let (Some(row), RowState::Priced) = (rows.get_mut(pool), demand.state) {
                    row.rate += demand.rate;
                    row.start = row.start.min(member.term.start);
                    row.end = row.end.max(member.term.end);
                }
                pool
            } else {
                let at = rows.len();
                let MemberTerm { start, end, scenes, .. } = member.term;
                rows.push(row(&member.priced, &demand, (start, end), scenes, member.term.is_guarantee()));
                if let Some(place) = pools.get_mut(place_of_pool).filter(|_| is_pooled) {
                    *place = Some(at);
                }
                at
            };
            term_rows.push(Some(at));
            if let (Some(rows), Ok(at)) = (number.and_then(|number| by_number.get_mut(number)), u32::try_from(at)) {
                rows.push(at);
            }
        }
        let mut members = MemberRows::default();
        for mine in by_number {
            let start = u32::try_from(members.rows.len()).unwrap_or(u32::MAX);
            members.rows.extend(mine);
            members.spans.push((start, u32::try_from(members.rows.len()).unwrap_or(u32::MAX)));
        }
        (term_rows, members)
    }

    /// Whether a guarantee could be kept, were it promised now, given how often its member was a candidate so far.
    /// None while too little traffic was seen to tell, or for a member that has no term yet.
    #[must_use]
    pub fn outlook(&self, term: &MemberTerm, now: Timestamp) -> Option<Outlook> {
        let places = self.terms_of.get(&term.member)?;
        let member = places.iter().find_map(|place| self.members.get(*place))?;
        let from = now.max(term.start);
        let ahead = Ahead::new(&self.forecast, from, term.end);
        let left = ahead.appearances(&self.forecast, &member.appearances, &self.requests, term.end)?;
        let need = count_to_f64(term.limit);
        Some(Outlook { appearances: left.0, need, is_feasible: !is_urgent(need, left, 1.0) })
    }
}

impl Member {
    /// What the term asks per request, and its class of urgency. Sets whether it must be served.
    fn demand(
        &mut self,
        now: Timestamp,
        gone: f64,
        in_flight: f64,
        forecast: &Forecast,
        requests: &super::Requests,
        ahead: &Ahead,
    ) -> (Demand, usize) {
        let MemberTerm { rule, limit, start, end, .. } = self.term;
        let from = now.max(start);
        let MemberRule::AtLeast { .. } = rule else {
            let left = self.priced.left(limit, in_flight);
            let demand = if left < 1.0 {
                Demand { rate: 0.0, state: RowState::Spent }
            } else {
                demand(left, forecast.expected(from, end))
            };
            self.priced.set(&demand, left);
            return (demand, 0);
        };
        self.need = count_to_f64(limit) - gone - in_flight;
        let appearances = ahead.appearances(forecast, &self.appearances, requests, end);
        let whole = appearances.map_or(0.0, |(left, share)| left + share * forecast.expected(start, from));
        let is_open = start <= now && now < end;
        // The very last appearances may fail to come, and so the guard does not count on them.
        self.must_serve = is_open
            && appearances.is_some_and(|(left, share)| {
                let sure = (left - GUARD_SPARE * whole).max(0.0);
                is_urgent(self.need, (sure, share), forecast.caution())
            });
        let is_bound = self.appearances.is_bound_to_hours(requests);
        let demand = match appearances {
            _ if self.need <= 0.0 => Demand { rate: 0.0, state: RowState::Free },
            Some((left, _)) => {
                // Kept in hand: the last of the appearances, wherever in the period they are expected.
                let kept = spare_share(is_bound) * whole;
                let planned = if left > kept { left / (left - kept) } else { 1.0 };
                demand(self.need * planned, forecast.expected(from, end))
            }
            None => demand(self.need, forecast.expected(from, planned_end(start, end, now, is_bound))),
        };
        self.priced.set(&demand, 1.0);
        let share = appearances.map_or(0.0, |(left, _)| self.need / left.max(1.0));
        let urgency = [0.25, 0.5, 0.75, 1.0].iter().filter(|bound| share > **bound).count();
        (demand, urgency)
    }
}

impl Priced {
    fn set(&mut self, demand: &Demand, left: f64) {
        self.is_spent = left < 1.0;
        self.rate = (demand.state == RowState::Priced).then_some(demand.rate);
        if demand.state == RowState::Free {
            self.price = [0.0; 2];
        }
    }
}

fn demand(exposures: f64, requests: f64) -> Demand {
    // Less than one request to come: what is left may be taken by it.
    Demand { rate: exposures / requests.max(1.0), state: RowState::Priced }
}

fn row(priced: &Priced, demand: &Demand, window: (Timestamp, Timestamp), scenes: u8, is_floor: bool) -> Row {
    Row {
        rate: demand.rate,
        start: window.0,
        end: window.1,
        scenes,
        state: demand.state,
        is_floor,
        price: priced.price,
        ceiling: priced.ceiling,
    }
}

fn share_gone(start: Timestamp, end: Timestamp, now: Timestamp) -> f64 {
    let whole = span_ms(start, end);
    if whole > 0.0 { (span_ms(start, now) / whole).min(1.0) } else { 1.0 }
}

/// The instant at which a share of a window is gone.
fn part_of(start: Timestamp, end: Timestamp, share: f64) -> Timestamp {
    let whole = span_ms(start, end);
    super::guard::after_ms(start, whole * share.min(1.0))
}
