//! Control of traffic, beside the requests: learns from samples and reports, solves prices, publishes them.
//!
//! One thread takes a turn every `turn_ms`: it counts the requests, takes their samples, reads from the ledger what was
//! spent, lets prices follow, and publishes. Solving is the work of a second thread, from a plan that owns what it
//! needs. Both let requests go first. Nothing here is decided: budgets are kept by the ledger, prices only steer.
//! A restart begins without prices and learns again.

mod asked;
mod guarded;
mod members;
mod publish;
mod reading;
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

use super::candidacies::Candidacies;
use super::samples::Samples;
use super::underserved::UnderservedLists;
use super::writer::WriterHandle;
use crate::clock::{Clock, Stopwatch};
use crate::domain::{AccountKey, HOUR_MS, Scene, Timestamp, count_to_f64};
use crate::state::{Hot, NodeAccounts, State, yield_to_requests};
use crate::telemetry::ControlMetrics;
use crate::traffic::control::{
    BudgetTerm, Constraints, Controller, Forecast, MemberTerm, Observed, Plan, Settings, Shape, Shown, Solution, Spent,
    learned_shape,
};

use guarded::guarded;
use members::Members;
use publish::movement;
use reading::{Found, MemberSource, Reading, Sources};
use terms::{AccountUse, Awaited, account_use, budget_terms};

/// Slots that a request is taken to have where only the recommender knows.
const USUAL_SLOTS: usize = 10;
/// Samples wanted a second.
const SAMPLES_PER_SECOND: f64 = 200.0;
/// Budgets are read anew and lists are published so often, in milliseconds.
const TERMS_EVERY_MS: i64 = 1_000;
/// What control says of itself and of members is brought up to date so often, in milliseconds.
const FIGURES_EVERY_MS: i64 = 5_000;
/// Rates are means over about this time, in milliseconds.
const RATE_MS: f64 = 2_000.0;
/// Pause after a turn that failed, at least.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

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
    pub(super) candidacies: Arc<Candidacies>,
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
    reading: Reading,
    /// The budgets, and the account of each.
    terms: Vec<BudgetTerm>,
    accounts: Vec<AccountKey>,
    /// Caps and guarantees, and what each goes by.
    member_terms: Vec<MemberTerm>,
    sources: Vec<MemberSource>,
    /// Whether the controller has these constraints: not while a plan of others is solved, whose solution would be lost.
    is_known: bool,
    /// Use of each budget and of each member term when they were last looked at; none of a term that was not yet.
    budgets: Vec<AccountUse>,
    promised: Vec<Option<u64>>,
    /// When members were last read through, and when lists were published, in monotonic milliseconds.
    read_at: i64,
    listed_at: Option<i64>,
    figured_at: Option<i64>,
    /// The hour whose shape of the week is in use.
    shaped_in: i64,
    /// Whether the kill switch was on in the last turn.
    was_killed: bool,
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
    turned_at: i64,
    planned_at: i64,
    metrics: ControlMetrics,
}

impl Turns {
    fn new(context: ControlContext, settings: ControlSettings) -> std::io::Result<Self> {
        let now = context.clock.now();
        let forecast = Forecast::new(shape(&context.state.read(), now).unwrap_or(Shape::Linear), now);
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
            reading: Reading::default(),
            terms: Vec::new(),
            accounts: Vec::new(),
            member_terms: Vec::new(),
            sources: Vec::new(),
            is_known: true,
            budgets: Vec::new(),
            promised: Vec::new(),
            read_at: at,
            listed_at: None,
            figured_at: None,
            shaped_in: now.0.div_euclid(HOUR_MS),
            was_killed: false,
            rates: Vec::new(),
            terms_at: None,
            requests: 0,
            request_rate: 0.0,
            with_bases: 0,
            bases_rate: 0.0,
            turned_at: at,
            planned_at: at,
            metrics: ControlMetrics::default(),
        })
    }

    fn turn(&mut self) {
        let took = Stopwatch::start();
        let now = self.context.clock.now();
        let at = self.context.clock.monotonic_ms();
        let passed = since(at, self.turned_at);
        self.turned_at = at;
        self.reshape(now);
        let requests = self.count(now, passed);
        self.take_samples();
        self.adopt();
        let members = self.read_terms(now, at);
        self.follow(requests, passed, &members);
        let planned = self.plan(now, at);
        self.look_at_members(now);
        self.publish();
        if is_due(&mut self.figured_at, at, FIGURES_EVERY_MS) {
            self.figure(now);
        }
        self.metrics.turned(now.0, took.elapsed(), planned);
    }

    /// Reads under the state's lock, and notes how long it was held.
    fn locked<T>(context: &ControlContext, metrics: &mut ControlMetrics, read: impl FnOnce(&State) -> T) -> T {
        let state = context.state.read();
        let held = Stopwatch::start();
        let found = read(&state);
        drop(state);
        metrics.held(held.elapsed());
        found
    }

    /// Once an hour the forecast takes the shape of the week that reports have told by then.
    fn reshape(&mut self, now: Timestamp) {
        let hour = now.0.div_euclid(HOUR_MS);
        if std::mem::replace(&mut self.shaped_in, hour) != hour {
            let learned = Self::locked(&self.context, &mut self.metrics, |state| shape(state, now));
            if let Some(shape) = learned {
                self.controller.reshape(shape);
            }
        }
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
        self.controller.set_lag(self.request_rate * lag);
        came
    }

    fn take_samples(&mut self) {
        for sample in self.context.samples.take() {
            let slots = if sample.slots == 0 { USUAL_SLOTS.min(sample.offers.len()) } else { sample.slots };
            let (scene, kind) = (sample.scene, sample.kind);
            let shown = if sample.slots == 0 { Shown::Adjusted } else { Shown::Slate };
            let observed = Observed { scene, kind, slots, offers: &sample.offers, bases: &sample.bases, shown };
            self.controller.observe(sample.at, &observed);
            self.members.note(&sample.offers);
            self.metrics.sampled();
        }
        self.metrics.dropped(self.context.samples.dropped());
    }

    /// Reads what is to be kept: budgets at once, members a slice a turn. Prices of what stays are kept. Answers what
    /// members took since they were last read through, by place, when they were.
    fn read_terms(&mut self, now: Timestamp, at: i64) -> Vec<(usize, f64)> {
        if is_due(&mut self.terms_at, at, TERMS_EVERY_MS) {
            let (terms, accounts) = Self::locked(&self.context, &mut self.metrics, |state| budget_terms(state, now));
            if terms != self.terms || accounts != self.accounts {
                // Begun anew: what was spent before is no consumption of now.
                self.budgets.clear();
                self.rates = vec![0.0; accounts.len()];
                (self.terms, self.accounts, self.is_known) = (terms, accounts, false);
            }
        }
        let Self { reading, context, metrics, .. } = self;
        let sources = Sources { hot: &context.hot, node: &context.node, now };
        let found = reading.step(&sources, |read| Self::locked(context, metrics, |state| read(state)));
        // What is found while a plan is solved is found again in the next round, when the solution is there.
        let members = found.filter(|_| !self.solver.is_busy).map(|found| self.take_over(found, at));
        if !self.is_known && !self.solver.is_busy {
            self.is_known = true;
            let constraints = Constraints { budgets: self.terms.clone(), members: self.member_terms.clone() };
            self.controller.set_constraints(constraints);
            self.awaited.keep(&self.member_terms);
        }
        members.unwrap_or_default()
    }

    /// Takes over what a reading found; answers what was taken since the one before, by place.
    fn take_over(&mut self, found: Found, at: i64) -> Vec<(usize, f64)> {
        let passed = since(at, self.read_at);
        self.read_at = at;
        if is_due(&mut self.listed_at, at, TERMS_EVERY_MS) {
            for (scene, list) in Scene::ALL.into_iter().zip(found.underserved) {
                self.context.underserved.publish(scene, list);
            }
        }
        if found.terms != self.member_terms || found.sources != self.sources {
            let before: HashMap<MemberSource, Option<u64>, FixedState> =
                self.sources.drain(..).zip(self.promised.drain(..)).collect();
            self.promised = found.sources.iter().map(|source| before.get(source).copied().flatten()).collect();
            (self.member_terms, self.sources, self.is_known) = (found.terms, found.sources, false);
        }
        let prices = self.context.hot.prices();
        let rows = self.sources.iter().zip(&self.member_terms).zip(&found.used).zip(&mut self.promised);
        let mut taken = Vec::new();
        for (place, (((source, term), used), promised)) in rows.enumerate() {
            let now = match source {
                MemberSource::Cap(_) => *used,
                MemberSource::Guarantee(_) => {
                    self.awaited.update(term, prices.granted(term.member, term.scenes), *used, passed)
                }
            };
            let more = promised.replace(now).map_or(0, |before| now.saturating_sub(before));
            if more > 0 {
                taken.push((place, count_to_f64(more)));
            }
        }
        taken
    }

    /// Lets prices follow what was taken since the last turn. Under the kill switch nothing is steered: what is spent is
    /// noted, and prices stay.
    fn follow(&mut self, requests: f64, passed: f64, members: &[(usize, f64)]) {
        let (accounts, node) = (&self.accounts, &self.context.node);
        let budgets: Vec<AccountUse> = Self::locked(&self.context, &mut self.metrics, |state| {
            accounts.iter().map(|key| account_use(state, node, key)).collect()
        });
        let share = (passed / RATE_MS).min(1.0);
        for ((rate, now), before) in self.rates.iter_mut().zip(&budgets).zip(&self.budgets) {
            let came = count_to_f64(now.delivered.saturating_sub(before.delivered));
            if passed > 0.0 {
                *rate += share * (came * 1_000.0 / passed - *rate);
            }
        }
        let taken = budgets.iter().zip(&self.budgets).map(|(now, before)| now.spent.saturating_sub(before.spent));
        let of_budgets: Vec<(usize, f64)> =
            taken.enumerate().filter(|(_, taken)| *taken > 0).map(|(at, taken)| (at, count_to_f64(taken))).collect();
        self.budgets = budgets;
        let is_killed = self.context.hot.kill_switch();
        if is_killed || !self.is_known {
            self.was_killed |= is_killed;
            return;
        }
        if std::mem::take(&mut self.was_killed) {
            self.controller.pass_over();
        }
        self.controller.consumed(requests, &of_budgets, members);
    }

    /// Takes a solution over when there is one.
    fn adopt(&mut self) {
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
    }

    /// Has the next plan solved when it is due; answers how long that took. Under the kill switch, too: its
    /// end finds prices of what is left then.
    fn plan(&mut self, now: Timestamp, at: i64) -> Option<Duration> {
        let has_terms = !self.accounts.is_empty() || !self.member_terms.is_empty();
        let waited = u64::try_from(at.saturating_sub(self.planned_at)).unwrap_or(0);
        // Of much traffic 0.1 % comes in no time: a solve must not follow the other without a pause.
        let is_due =
            waited >= self.settings.resolve_ms || (self.controller.is_due() && waited * 4 >= self.settings.resolve_ms);
        let is_read = self.is_known && self.budgets.len() == self.accounts.len();
        if self.solver.is_busy || !has_terms || !is_due || !is_read {
            return None;
        }
        self.planned_at = at;
        let took = Stopwatch::start();
        let budgets: Vec<u64> = self.budgets.iter().map(|account| account.spent).collect();
        let members: Vec<u64> = self.promised.iter().map(|used| used.unwrap_or(0)).collect();
        let plan = self.controller.plan(now, &Spent { budgets: &budgets, members: &members });
        let took = took.elapsed();
        self.solver.is_busy = self.solver.plans.try_send(plan).is_ok();
        Some(took)
    }

    /// Says how large the sketch is and whom the guard serves, and how often guaranteed members are candidates.
    fn figure(&mut self, now: Timestamp) {
        let (requests, bytes) = self.controller.sketch_size();
        self.metrics.sketch(requests, bytes);
        self.metrics.members(self.sources.len(), self.controller.guarded());
        if !self.is_known {
            return;
        }
        let foreseen = self.controller.candidacies().filter_map(|(place, count)| {
            let MemberSource::Guarantee(key) = self.sources.get(place)? else { return None };
            Some((*key, (self.member_terms.get(place)?.end, count)))
        });
        self.context.candidacies.publish(foreseen, now);
    }

    fn look_at_members(&mut self, now: Timestamp) {
        let members::Turn { begin, tail_only } = {
            let (members, node) = (&mut self.members, &self.context.node);
            let forecast = self.controller.forecast();
            Self::locked(&self.context, &mut self.metrics, |state| members.turn(state, node, forecast, now))
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
}

/// How traffic was spread over the week, as far as reports tell; none while they tell of less than a day.
fn shape(state: &State, now: Timestamp) -> Option<Shape> {
    let mut weeks: Vec<(i64, Vec<u64>)> = Vec::new();
    for (week, counts) in Scene::ALL.into_iter().flat_map(|scene| state.hour_counts(scene)) {
        let first = week.monday().start().0.div_euclid(HOUR_MS);
        match weeks.iter_mut().find(|(of, _)| *of == first) {
            Some((_, sums)) => sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.saturating_add(*count)),
            None => weeks.push((first, counts.to_vec())),
        }
    }
    learned_shape(&weeks, now.0.div_euclid(HOUR_MS))
}

/// Milliseconds since an instant.
fn since(at: i64, before: i64) -> f64 {
    count_to_f64(u64::try_from(at.saturating_sub(before)).unwrap_or(0))
}

/// Whether something that is done every so often is due; if so, it counts as done.
fn is_due(last: &mut Option<i64>, at: i64, every: i64) -> bool {
    let is_due = last.is_none_or(|last| at.saturating_sub(last) >= every);
    if is_due {
        *last = Some(at);
    }
    is_due
}
