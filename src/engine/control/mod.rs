//! Control of traffic, beside the requests: learns from samples and reports, solves prices, publishes them.
//!
//! One thread takes a turn every `turn_ms`: it counts the requests, takes their samples, reads from the ledger what was
//! spent, lets prices follow, and publishes. Solving is the work of a second thread, from a plan that owns what it
//! needs. Both let requests go first. Nothing here is decided: budgets are kept by the ledger, prices only steer.
//! A restart begins without prices and learns again.

mod asked;
mod guarded;
mod members;
mod stops;
mod terms;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use foldhash::fast::FixedState;
use parking_lot::{Mutex, RwLock};
use tracing::error;

use super::samples::Samples;
use super::underserved::UnderservedLists;
use super::writer::WriterHandle;
use crate::clock::{Clock, Stopwatch};
use crate::domain::{AccountKey, Scene, Scope, Timestamp, count_to_f64};
use crate::state::{Hot, NodeAccounts, State, yield_to_requests};
use crate::telemetry::ControlMetrics;
use crate::traffic::control::{
    Constraints, Controller, Forecast, MemberTerm, Observed, Plan, Settings, Shape, Solution, Spent,
};
use crate::traffic::{MemberPrice, PriceBook};

use guarded::guarded;
use members::Members;
use terms::{AccountUse, Awaited, MemberSource, Terms, account_use, terms};

/// Slots that a request is taken to have where only the recommender knows.
const USUAL_SLOTS: usize = 10;
/// Samples wanted a second.
const SAMPLES_PER_SECOND: f64 = 200.0;
/// Terms are read anew so often, in milliseconds.
const TERMS_EVERY_MS: i64 = 1_000;
/// Multiple of the exposures on their way that budgets keep in hand.
const IN_FLIGHT_MARGIN: f64 = 1.5;
/// Rates are means over about this time, in milliseconds.
const RATE_MS: f64 = 2_000.0;
/// Pause after a turn that failed, at least.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Hours of a week.
const WEEK_HOURS: usize = 168;

/// Settings of control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// Time between two turns, in milliseconds.
    pub turn_ms: u64,
    /// Prices are solved again after this at the latest, in milliseconds; sooner after 0.1 % of the expected traffic.
    pub resolve_ms: u64,
    /// Time between an answer of Score and the report of its exposures, in milliseconds.
    pub report_lag_ms: u64,
}

/// What control looks at and writes to.
pub(super) struct ControlContext {
    pub(super) hot: Arc<Hot>,
    pub(super) state: Arc<RwLock<State>>,
    pub(super) node: Arc<NodeAccounts>,
    pub(super) samples: Arc<Samples>,
    pub(super) underserved: Arc<UnderservedLists>,
    pub(super) clock: Arc<dyn Clock>,
    /// It does not keep the writer from stopping.
    pub(super) writer: Weak<WriterHandle>,
}

/// Control's threads.
pub(super) struct Control {
    stopping: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Control {
    pub(super) fn start(context: ControlContext, settings: ControlSettings) -> std::io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let mut turns = Turns::new(context, settings)?;
        let stop = stopping.clone();
        let every = Duration::from_millis(settings.turn_ms.max(1));
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(move || {
            yield_to_requests();
            while !stop.load(Ordering::Acquire) {
                // What fails at once would fail at once again, and fill the log.
                let pause = guarded("turn", || turns.turn()).map_or(every.max(AFTER_FAILURE), |()| every);
                std::thread::park_timeout(pause);
            }
        })?;
        Ok(Self { stopping, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn shut_down(&self) {
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            self.stopping.store(true, Ordering::Release);
            thread.thread().unpark();
            if thread.join().is_err() {
                error!("the thread of control panicked; prices stay as they were last published");
            }
        }
    }
}

/// Solves plans on a thread of its own, one at a time.
struct Solver {
    plans: SyncSender<Plan>,
    /// None where solving failed.
    solutions: Receiver<Option<(Solution, Duration)>>,
    is_busy: bool,
}

impl Solver {
    fn start() -> std::io::Result<Self> {
        let (plans, inbox) = sync_channel::<Plan>(1);
        let (outbox, solutions) = sync_channel(1);
        std::thread::Builder::new().name("solver".to_owned()).spawn(move || {
            yield_to_requests();
            // It ends when control does.
            while let Ok(plan) = inbox.recv() {
                let took = Stopwatch::start();
                let solution = guarded("solving", || plan.solve());
                if outbox.send(solution.map(|solution| (solution, took.elapsed()))).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { plans, solutions, is_busy: false })
    }
}

/// What one turn leaves to the next.
struct Turns {
    context: ControlContext,
    settings: ControlSettings,
    controller: Controller,
    solver: Solver,
    members: Members,
    awaited: Awaited,
    terms: Terms,
    /// Use of each budget and of each member term when they were last looked at.
    budgets: Vec<AccountUse>,
    promised: Vec<u64>,
    /// Delivered a second, by budget.
    rates: Vec<f64>,
    terms_at: Option<i64>,
    /// Requests counted.
    requests: u64,
    /// Requests a second.
    request_rate: f64,
    /// Requests with base scores: counted, and a second.
    with_bases: u64,
    bases_rate: f64,
    /// Share of the samples that are Score's.
    score_share: f64,
    turned_at: i64,
    planned_at: i64,
    metrics: ControlMetrics,
}

impl Turns {
    fn new(context: ControlContext, settings: ControlSettings) -> std::io::Result<Self> {
        let now = context.clock.now();
        let forecast = Forecast::new(shape(&context.state.read()), now);
        let solved = Settings { seed: 1, additive: true, log: true };
        let at = context.clock.monotonic_ms();
        context.samples.set_stride(1);
        let mut members = Members::default();
        members.set_lag(settings.report_lag_ms);
        Ok(Self {
            context,
            settings,
            controller: Controller::new(solved, forecast),
            solver: Solver::start()?,
            members,
            awaited: Awaited::default(),
            terms: Terms::default(),
            budgets: Vec::new(),
            promised: Vec::new(),
            rates: Vec::new(),
            terms_at: None,
            requests: 0,
            request_rate: 0.0,
            with_bases: 0,
            bases_rate: 0.0,
            score_share: 0.0,
            turned_at: at,
            planned_at: at,
            metrics: ControlMetrics::default(),
        })
    }

    fn turn(&mut self) {
        let now = self.context.clock.now();
        let at = self.context.clock.monotonic_ms();
        let passed = count_to_f64(u64::try_from(at.saturating_sub(self.turned_at)).unwrap_or(0));
        self.turned_at = at;
        let requests = self.count(now, passed);
        self.take_samples();
        if self.terms_at.is_none_or(|read| at.saturating_sub(read) >= TERMS_EVERY_MS) {
            self.terms_at = Some(at);
            self.read_terms(now);
        }
        // Under the kill switch nothing is steered, and nothing is to be learnt from what comes of that.
        if !self.context.hot.kill_switch() {
            self.follow(requests, passed);
            self.adopt_and_plan(now, at);
        }
        self.look_at_members(now);
        self.publish();
        self.metrics.turned(now.0);
    }

    /// Counts the requests that came, and sets how many of the next are sampled.
    fn count(&mut self, now: Timestamp, passed: f64) -> f64 {
        let total: u64 = self.context.samples.requests().iter().sum();
        let came = count_to_f64(total.saturating_sub(self.requests));
        self.requests = total;
        self.controller.count(now, came);
        let share = (passed / RATE_MS).min(1.0);
        if passed > 0.0 {
            self.request_rate += share * (came * 1_000.0 / passed - self.request_rate);
            let with_bases = self.context.samples.with_bases();
            let came = count_to_f64(with_bases.saturating_sub(self.with_bases));
            self.with_bases = with_bases;
            self.bases_rate += share * (came * 1_000.0 / passed - self.bases_rate);
        }
        let stride = (self.bases_rate / SAMPLES_PER_SECOND).clamp(1.0, 1e6);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let stride = stride.round() as u64;
        self.context.samples.set_stride(stride);
        let lag = count_to_f64(self.settings.report_lag_ms) / 1_000.0;
        self.controller.set_lag(self.request_rate * lag * self.score_share);
        came
    }

    fn take_samples(&mut self) {
        for sample in self.context.samples.take() {
            let is_score = f64::from(u8::from(sample.slots == 0));
            self.score_share += 0.01 * (is_score - self.score_share);
            let slots = if sample.slots == 0 { USUAL_SLOTS.min(sample.offers.len()) } else { sample.slots };
            let (scene, kind) = (sample.scene, sample.kind);
            let observed = Observed { scene, kind, slots, offers: &sample.offers, bases: &sample.bases };
            self.controller.observe(sample.at, &observed);
            self.members.note(&sample.offers);
            self.metrics.sampled();
        }
        self.metrics.dropped(self.context.samples.dropped());
    }

    /// Reads what is to be kept; prices of what stays are kept.
    fn read_terms(&mut self, now: Timestamp) {
        let (found, underserved) = terms(&self.context.state.read(), now);
        for (scene, list) in Scene::ALL.into_iter().zip(underserved) {
            self.context.underserved.publish(scene, list);
        }
        let is_new = found.constraints != self.terms.constraints || found.accounts != self.terms.accounts;
        if !is_new && found.members == self.terms.members {
            return;
        }
        let before = std::mem::replace(&mut self.terms, found);
        self.controller.set_constraints(self.terms.constraints.clone());
        self.awaited.keep(&self.terms.constraints.members);
        // What was spent of those that stayed is known; what was spent of new ones before now is no consumption of now.
        let known = (before.accounts.iter().copied(), self.budgets.iter().copied().zip(self.rates.iter().copied()));
        let kept = keep(known, &self.terms.accounts);
        let promised = keep((before.members.iter().copied(), self.promised.iter().copied()), &self.terms.members);
        let state = self.context.state.read();
        let fresh = |key: &AccountKey| (account_use(&state, &self.context.node, key), 0.0);
        let accounts = self.terms.accounts.iter().zip(kept);
        (self.budgets, self.rates) = accounts.map(|(key, known)| known.unwrap_or_else(|| fresh(key))).unzip();
        let terms = self.terms.members.iter().zip(&self.terms.constraints.members).zip(promised);
        self.promised = terms
            .map(|((source, term), known)| {
                known.unwrap_or_else(|| promised_use(&mut self.awaited, &self.context, &state, (source, term), 0.0))
            })
            .collect();
    }

    /// Lets prices follow what was taken since the last turn.
    fn follow(&mut self, requests: f64, passed: f64) {
        let Self { terms, awaited, context, .. } = self;
        let (budgets, promised) = {
            let state = context.state.read();
            let node = &context.node;
            let budgets: Vec<AccountUse> = terms.accounts.iter().map(|key| account_use(&state, node, key)).collect();
            let members = terms.members.iter().zip(&terms.constraints.members);
            let promised: Vec<u64> =
                members.map(|member| promised_use(awaited, context, &state, member, passed)).collect();
            (budgets, promised)
        };
        let share = (passed / RATE_MS).min(1.0);
        for ((rate, now), before) in self.rates.iter_mut().zip(&budgets).zip(&self.budgets) {
            let came = count_to_f64(now.delivered.saturating_sub(before.delivered));
            if passed > 0.0 {
                *rate += share * (came * 1_000.0 / passed - *rate);
            }
        }
        let taken = |now: u64, before: u64| count_to_f64(now.saturating_sub(before));
        let of_budgets: Vec<(usize, f64)> = budgets
            .iter()
            .zip(&self.budgets)
            .enumerate()
            .map(|(place, (now, before))| (place, taken(now.spent, before.spent)))
            .filter(|(_, taken)| *taken > 0.0)
            .collect();
        let of_members: Vec<(usize, f64)> = promised
            .iter()
            .zip(&self.promised)
            .enumerate()
            .map(|(place, (now, before))| (place, taken(*now, *before)))
            .filter(|(_, taken)| *taken > 0.0)
            .collect();
        self.controller.consumed(requests, &of_budgets, &of_members);
        (self.budgets, self.promised) = (budgets, promised);
    }

    /// Takes a solution over when there is one, and has the next plan solved when it is due.
    fn adopt_and_plan(&mut self, now: Timestamp, at: i64) {
        match self.solver.solutions.try_recv() {
            Ok(None) => self.solver.is_busy = false,
            Ok(Some((solution, took))) => {
                self.solver.is_busy = false;
                let before = self.controller.book().clone();
                self.controller.adopt(&solution);
                self.metrics.solved(took, movement(&before, self.controller.book()));
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        let has_terms = !self.terms.accounts.is_empty() || !self.terms.members.is_empty();
        let waited = u64::try_from(at.saturating_sub(self.planned_at)).unwrap_or(0);
        // Of much traffic 0.1 % comes in no time: a solve must not follow the other without a pause.
        let is_due =
            waited >= self.settings.resolve_ms || (self.controller.is_due() && waited * 4 >= self.settings.resolve_ms);
        let is_read = self.budgets.len() == self.terms.accounts.len();
        if self.solver.is_busy || !has_terms || !is_due || !is_read {
            return;
        }
        self.planned_at = at;
        let budgets: Vec<u64> = self.budgets.iter().map(|account| account.spent).collect();
        let plan = self.controller.plan(now, &Spent { budgets: &budgets, members: &self.promised });
        self.solver.is_busy = self.solver.plans.try_send(plan).is_ok();
    }

    fn look_at_members(&mut self, now: Timestamp) {
        let members::Turn { begin, tail_only } = {
            let state = self.context.state.read();
            self.members.turn(&state, &self.context.node, self.controller.forecast(), now)
        };
        self.context.hot.prices().set_tail_only(tail_only);
        let Some(writer) = self.context.writer.upgrade() else { return };
        for (asked, body) in begin {
            // A full queue means that writes have other worries: asked for again at the members' next turn. What is
            // refused later on is asked for again after a while, for nobody waits for the answer.
            if writer.submit(None, body).is_err() {
                self.members.refused(&asked);
            }
        }
    }

    /// Publishes prices, and what is spent as of this turn.
    fn publish(&mut self) {
        let prices = self.context.hot.prices();
        let mut book = self.controller.book().clone();
        let lag = count_to_f64(self.settings.report_lag_ms) / 1_000.0;
        let mut stopped = [0_u64; Scene::COUNT];
        for prices in &mut book.scenes {
            prices.spent = 0;
        }
        let budgets = self.terms.constraints.budgets.iter().zip(&self.terms.accounts);
        for ((term, key), (used, rate)) in budgets.zip(self.budgets.iter().zip(&self.rates)) {
            let mask = 1_u64.wrapping_shl(u32::from(term.bit));
            let own = |scene: Scene| match key.scope {
                Scope::Scene(only) => only == scene,
                Scope::Programme | Scope::Head | Scope::Member(_) | Scope::Cap(_) | Scope::Wallet(..) => {
                    !has_own(&self.terms.constraints, term.bit, scene)
                }
            };
            let in_flight = IN_FLIGHT_MARGIN * rate * lag;
            let is_spent = used.spent >= term.limit;
            let may_be_spent = count_to_f64(used.taken.max(used.spent)) + in_flight >= count_to_f64(term.limit);
            for scene in Scene::ALL.into_iter().filter(|scene| own(*scene)) {
                if let Some(prices) = book.scenes.get_mut(scene.index()).filter(|_| is_spent) {
                    prices.spent |= mask;
                }
                if let Some(stopped) = stopped.get_mut(scene.index()).filter(|_| may_be_spent) {
                    *stopped |= mask;
                }
            }
        }
        for (scene, mask) in Scene::ALL.into_iter().zip(stopped) {
            prices.set_stopped(scene, mask);
        }
        for (slot, price) in self.controller.changed_members() {
            // What is spent is said by whoever looks at members: it knows more caps than those that are priced.
            let spent = prices.member(slot).spent;
            prices.set_member(slot, &MemberPrice { spent, ..price });
        }
        self.metrics.published(book.epoch, self.controller.forecast().error());
        if *prices.book().as_ref() != book {
            prices.publish(book);
        }
    }
}

/// What was known by key, in the order of other keys.
fn keep<K: std::hash::Hash + Eq + Copy, V: Copy>(
    known: (impl Iterator<Item = K>, impl Iterator<Item = V>),
    keys: &[K],
) -> Vec<Option<V>> {
    let known: HashMap<K, V, FixedState> = known.0.zip(known.1).collect();
    keys.iter().map(|key| known.get(key).copied()).collect()
}

/// What a member term has been given, `passed` milliseconds after it was last looked at.
fn promised_use(
    awaited: &mut Awaited,
    context: &ControlContext,
    state: &State,
    (source, term): (&MemberSource, &MemberTerm),
    passed: f64,
) -> u64 {
    match source {
        MemberSource::Cap(key) => account_use(state, &context.node, key).spent,
        MemberSource::Guarantee(key) => {
            let delivered = state.guarantee(key).map_or(0, |row| row.delivered);
            awaited.update(term, context.hot.prices().granted(term.member, term.scenes), delivered, passed)
        }
    }
}

fn has_own(constraints: &Constraints, bit: u8, scene: Scene) -> bool {
    constraints.budgets.iter().any(|term| term.bit == bit && term.scene == Some(scene))
}

/// Mean movement of the prices that are above 0.
fn movement(before: &PriceBook, after: &PriceBook) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (before, after) in before.scenes.iter().zip(&after.scenes) {
        for (before, after) in before.lambda.iter().zip(&after.lambda).filter(|(a, b)| **a > 0.0 || **b > 0.0) {
            sum += f64::from((after - before).abs());
            count += 1.0;
        }
    }
    if count > 0.0 { sum / count } else { 0.0 }
}

/// How traffic was spread over the week, as far as reports tell: evenly where they do not.
fn shape(state: &State) -> Shape {
    let mut hours = Box::new([0.0; WEEK_HOURS]);
    for scene in Scene::ALL {
        for (_, counts) in state.hour_counts(scene) {
            for (hour, count) in hours.iter_mut().zip(counts) {
                *hour += count_to_f64(*count);
            }
        }
    }
    let known = hours.iter().filter(|count| **count > 0.0).count();
    // Of less than a day nothing can be told but that it was quiet before.
    if known < 24 { Shape::Linear } else { Shape::HourOfWeek(hours) }
}

#[cfg(test)]
mod tests {
    use super::keep;

    #[test]
    fn what_was_known_is_kept_by_key_whatever_comes_in_front() {
        let known = keep(([7, 8, 9].into_iter(), [70, 80, 90].into_iter()), &[5, 9, 7]);
        assert_eq!(known, [None, Some(90), Some(70)]);
    }
}
