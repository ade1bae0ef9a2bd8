//! The one writer: collect, append, sync, apply, publish, acknowledge.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{oneshot, watch};
use tracing::{debug, error, info, warn};

use super::audit::AuditTrimmer;
use super::error::{WriteError, WriteStatus};
use super::faults::{Faults, NoFaults, Step};
use super::group::{begins_transition, runs, weight_of};
use super::settle::Settle;
use crate::clock::{Clock, Stopwatch};
use crate::domain::{Body, Command, Day, Outcome, RequestKey, SEMANTICS, Timestamp};
use crate::log::Log;
use crate::state::{Applied, State, Transition, yield_to_requests};
use crate::store::{AuditRetention, Store};
use crate::telemetry::WriterMetrics;

/// Writes that wait at most.
const QUEUE: usize = 4_096;
/// Commands of one group at most.
const GROUP_COMMANDS: usize = 1_024;
/// Rows and profiles of one group at most, unless one command alone has more.
const GROUP_WEIGHT: usize = 40_000;
/// Rows or records of background work between two groups.
const SLICE: usize = 2_000;
/// How long the writer waits for work before it looks at the clock.
const IDLE: Duration = Duration::from_millis(20);
/// Wall clock and monotonic clock may part by this much.
const MAX_JUMP_MS: i64 = 600_000;
/// Days close by themselves at 06:00 Asia/Shanghai.
const CLOSE_AT_MS: i64 = 6 * 3_600_000;
/// Trim the log when it is this much longer than it has to be.
const TRIM_SLACK: u64 = 1_000;

/// Settings of the writer.
#[derive(Clone, Copy, Debug)]
pub struct WriterSettings {
    /// Id of this node in commands.
    pub node: u32,
    /// Revisions that stay in the log after their rows are durable.
    pub log_retain: u64,
    /// Whether days close by themselves at 06:00.
    pub close_days: bool,
    /// How long entries of the audit trail are kept.
    pub audit: AuditRetention,
}

/// The day that is due to be closed at an instant: yesterday from 06:00 on, the day before until then.
#[must_use]
pub fn due_day(now: Timestamp) -> Day {
    now.plus_ms(-CLOSE_AT_MS).day().plus(-1)
}

struct Job {
    request: Option<RequestKey>,
    body: Body,
    reply: Option<oneshot::Sender<Result<Applied, WriteError>>>,
}

enum Message {
    Job(Box<Job>),
    AcceptTime,
    ShutDown,
}

/// Hands writes to the writer.
pub(super) struct WriterHandle {
    messages: SyncSender<Message>,
    status: watch::Receiver<WriteStatus>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl WriterHandle {
    pub(super) fn submit(
        &self,
        request: Option<RequestKey>,
        body: Body,
    ) -> Result<oneshot::Receiver<Result<Applied, WriteError>>, WriteError> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Job { request, body, reply: Some(reply) });
        match self.messages.try_send(Message::Job(job)) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => Err(WriteError::QueueFull { retry_ms: 50 }),
            Err(TrySendError::Disconnected(_)) => Err(WriteError::ShuttingDown),
        }
    }

    pub(super) fn status(&self) -> WriteStatus {
        self.status.borrow().clone()
    }

    pub(super) fn watch_status(&self) -> watch::Receiver<WriteStatus> {
        self.status.clone()
    }

    pub(super) fn accept_time(&self) {
        // A full queue means the writer is awake, and the caller sees writes refused and asks again.
        let _ = self.messages.try_send(Message::AcceptTime);
    }

    pub(super) fn shut_down(&self) {
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // The writer may have stopped by itself, which is what is wanted.
            let _ = self.messages.send(Message::ShutDown);
            if thread.join().is_err() {
                error!("the writer's thread panicked; what it acknowledged is durable");
            }
        }
    }
}

/// The writer, before it has its thread.
pub(super) struct Writer {
    log: Box<dyn Log>,
    store: Store,
    state: Arc<RwLock<State>>,
    clock: Arc<dyn Clock>,
    published: watch::Sender<u64>,
    settings: WriterSettings,
    status: watch::Sender<WriteStatus>,
    metrics: WriterMetrics,
    /// Where wall clock and monotonic clock last agreed.
    agreed: (Timestamp, i64),
    /// Revision up to which rows are surely durable.
    synced: u64,
    trimmed: u64,
    audit: AuditTrimmer,
    /// The second world that is being built, and since when.
    building: Option<(u64, Stopwatch)>,
    /// Leases of this node.
    node: Arc<dyn Settle>,
    faults: Box<dyn Faults>,
}

impl Writer {
    pub(super) fn new(
        log: Box<dyn Log>,
        store: Store,
        state: Arc<RwLock<State>>,
        clock: Arc<dyn Clock>,
        published: watch::Sender<u64>,
        node: Arc<dyn Settle>,
        settings: WriterSettings,
    ) -> Self {
        let agreed = (clock.now(), clock.monotonic_ms());
        let status = watch::Sender::new(WriteStatus::Ok);
        let metrics = WriterMetrics::default();
        let (synced, trimmed, building) = (0, 0, None);
        let audit = AuditTrimmer::new(settings.audit);
        let faults = Box::new(NoFaults);
        Self {
            log,
            store,
            state,
            clock,
            published,
            settings,
            status,
            metrics,
            agreed,
            synced,
            trimmed,
            audit,
            building,
            node,
            faults,
        }
    }

    /// Fails where it is told to.
    pub(super) fn failing(mut self, faults: Box<dyn Faults>) -> Self {
        self.faults = faults;
        self
    }

    /// Opens the session of this start, before anything is served.
    pub(super) fn open_session(&mut self) -> Result<(), String> {
        let (stamp, node) = (self.clock.now(), self.settings.node);
        let command = Command { stamp, node, semantics: SEMANTICS, request: None, body: Body::OpenSession };
        let took = Stopwatch::start();
        let applied = self.append_and_apply(self.log.last() + 1, &[command])?;
        self.metrics.commit(1, took.elapsed());
        self.published.send_replace(self.log.last());
        for applied in applied {
            if let Outcome::Session(session) = applied.outcome {
                info!(session, "opened a session");
                self.node.begin(session);
            }
        }
        Ok(())
    }

    pub(super) fn spawn(self) -> std::io::Result<WriterHandle> {
        let (messages, inbox) = sync_channel(QUEUE);
        let status = self.status.subscribe();
        let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(move || self.run(&inbox))?;
        Ok(WriterHandle { messages, status, thread: Mutex::new(Some(thread)) })
    }

    fn run(mut self, inbox: &Receiver<Message>) {
        yield_to_requests();
        let mut is_busy = true;
        loop {
            let (mut jobs, shut_down) = self.collect(inbox, if is_busy { Duration::ZERO } else { IDLE });
            self.check_clock();
            if let Some(own) = self.own_work().filter(|_| !shut_down) {
                let is_open = jobs.last().is_none_or(|job| !begins_transition(&job.body));
                if !begins_transition(&own.body) {
                    // In front, so that writes that begin a second world cannot keep a complete one waiting.
                    jobs.insert(0, own);
                } else if is_open {
                    jobs.push(own);
                }
            }
            if !jobs.is_empty() {
                self.commit(jobs);
            }
            is_busy = self.background();
            if shut_down {
                // Dropping the inbox refuses later writes; dropping their replies fails whoever still waits.
                info!("the writer stopped");
                return;
            }
        }
    }

    /// Jobs that wait, up to one group; a command that begins a second world ends its group.
    fn collect(&mut self, inbox: &Receiver<Message>, patience: Duration) -> (Vec<Job>, bool) {
        let mut jobs = Vec::new();
        let mut weight = 0;
        let mut message = inbox.recv_timeout(patience);
        loop {
            match message {
                Ok(Message::Job(job)) => {
                    weight += weight_of(&job.body);
                    let ends = begins_transition(&job.body);
                    jobs.push(*job);
                    if ends || weight >= GROUP_WEIGHT || jobs.len() >= GROUP_COMMANDS {
                        return (jobs, false);
                    }
                }
                Ok(Message::AcceptTime) => self.accept_time(),
                Ok(Message::ShutDown) | Err(RecvTimeoutError::Disconnected) => return (jobs, true),
                Err(RecvTimeoutError::Timeout) => return (jobs, false),
            }
            message = inbox.recv_timeout(Duration::ZERO);
        }
    }

    /// What the writer itself has to write: a closing that is due, a world that is ready, a moment that has come.
    fn own_work(&self) -> Option<Job> {
        if *self.status.borrow() != WriteStatus::Ok {
            return None;
        }
        let now = self.clock.now();
        let state = self.state.read();
        let body = match state.transition() {
            Some(transition) if transition.is_ready() => Some(Body::Activate { began: transition.began }),
            Some(_) => None,
            None => {
                let day = due_day(now);
                (self.settings.close_days && day > state.facts_day()).then_some(Body::CloseDay { day })
            }
        };
        let tick = || state.next_due().is_some_and(|due| due <= now).then_some(Body::Tick);
        body.or_else(tick).map(|body| Job { request: None, body, reply: None })
    }

    fn commit(&mut self, jobs: Vec<Job>) {
        let refusal = self.status.borrow().refusal();
        if let Some(refusal) = refusal {
            for reply in jobs.into_iter().filter_map(|job| job.reply) {
                let _ = reply.send(Err(refusal.clone()));
            }
            return;
        }
        let took = Stopwatch::start();
        let stamp = self.clock.now();
        let node = self.settings.node;
        let (commands, replies): (Vec<Command>, Vec<_>) = jobs
            .into_iter()
            .map(|job| {
                let Job { request, body, reply } = job;
                (Command { stamp, node, semantics: SEMANTICS, request, body }, reply)
            })
            .unzip();
        let first = self.log.last() + 1;
        let outcome = self.append_and_apply(first, &commands);
        self.metrics.commit(commands.len(), took.elapsed());
        match outcome {
            Ok(applied) => {
                self.published.send_replace(self.log.last());
                // It is durable and visible, whatever comes now.
                let _ = self.faults.at(Step::Published);
                for (reply, applied) in replies.into_iter().zip(applied) {
                    if let Some(reply) = reply {
                        // The caller may have gone; what it wrote stands.
                        let _ = reply.send(Ok(applied));
                    }
                }
                self.trim();
            }
            Err(cause) => {
                error!(%cause, "a commit failed; writes are refused until the process is restarted");
                self.poison(cause.clone());
                for reply in replies.into_iter().flatten() {
                    let _ = reply.send(Err(WriteError::Poisoned { cause: cause.clone() }));
                }
            }
        }
    }

    fn append_and_apply(&mut self, first: u64, commands: &[Command]) -> Result<Vec<Applied>, String> {
        let rows_before = first - 1;
        let took = Stopwatch::start();
        self.faults.at(Step::Append)?;
        self.log.append(commands).map_err(|error| error.to_string())?;
        self.metrics.append(took.elapsed());
        self.faults.at(Step::Appended)?;
        // The sync that made these commands durable covered the rows written before them.
        self.synced = rows_before;

        let mut applied = Vec::with_capacity(commands.len());
        let mut revision = rows_before;
        for run in runs(commands) {
            let mut state = self.state.write();
            for command in run {
                revision += 1;
                let outcome = state.apply(revision, command, &self.store).map_err(|error| error.to_string())?;
                if let (Body::ReportExposures { rows }, Outcome::Report(report)) = (&command.body, &outcome.outcome)
                    && !report.is_duplicate
                {
                    self.node.settled(&state, rows);
                }
                applied.push(outcome);
                // Whether a second world begins is decided by applying: by the command, or because its time has come.
                if state.transition().is_some_and(Transition::is_waiting) {
                    self.start_transition(&mut state, revision)?;
                }
            }
            let made = state.finish(revision);
            self.metrics.records(made);
            for (programme, entered, left) in state.take_membership_changes() {
                self.metrics.members(&programme, entered, left);
            }
        }
        self.note_transition();
        self.faults.at(Step::Applied)?;
        let rows = self.state.write().take_rows(SLICE);
        self.store.write(revision, rows).map_err(|error| error.to_string())?;
        self.faults.at(Step::Written)?;
        Ok(applied)
    }

    /// Stores the rows of everything before a second world, then begins to read for it: a row that came between would
    /// count twice.
    fn start_transition(&self, state: &mut State, revision: u64) -> Result<(), String> {
        let made = state.finish(revision);
        self.metrics.records(made);
        self.store.write(revision, state.take_rows(0)).map_err(|error| error.to_string())?;
        state.start_transition(&self.store);
        Ok(())
    }

    /// Measures how long a second world takes from its beginning to its activation.
    fn note_transition(&mut self) {
        let began = self.state.read().transition().map(|transition| transition.began);
        if let Some((before, took)) = self.building.filter(|(before, _)| Some(*before) != began) {
            debug!(began = before, took_ms = took.elapsed().as_millis(), "a second world became current");
            self.metrics.transition(took.elapsed());
            self.building = None;
        }
        if self.building.is_none() {
            self.building = began.map(|began| (began, Stopwatch::start()));
        }
    }

    /// Does a slice of background work. Answers whether there is more.
    fn background(&mut self) -> bool {
        if matches!(*self.status.borrow(), WriteStatus::Poisoned { .. }) {
            return false;
        }
        let building = self.state.read().transition().is_some_and(|transition| !transition.is_ready());
        if building {
            let advance =
                || self.state.write().advance_transition(SLICE, &self.store).map_err(|error| error.to_string());
            return match self.faults.at(Step::Building).and_then(|()| advance()) {
                Ok(_) => true,
                Err(cause) => {
                    error!(%cause, "preparing a new day or policy failed; writes are refused");
                    self.poison(cause);
                    false
                }
            };
        }
        if self.state.read().has_retired_worlds() {
            self.state.write().free_retired_worlds();
        }
        if self.state.read().has_stale_windows() {
            let (revision, rows) = {
                let mut state = self.state.write();
                (state.hot().revision(), state.take_rows(SLICE))
            };
            if let Err(cause) = self.store.write(revision, rows) {
                error!(%cause, "writing rows failed; writes are refused until the process is restarted");
                self.poison(cause.to_string());
            }
            return true;
        }
        let (now, is_waiting) = {
            let state = self.state.read();
            (state.meta().now, state.transition().is_some())
        };
        match self.audit.trim(&self.store, now, SLICE, &mut *self.faults) {
            Ok(is_more) => is_more || is_waiting,
            Err(cause) => {
                error!(%cause, "trimming the audit trail failed; writes are refused until the process is restarted");
                self.poison(cause);
                false
            }
        }
    }

    fn poison(&self, cause: String) {
        self.status.send_replace(WriteStatus::Poisoned { cause });
        self.metrics.refused(true);
    }

    fn trim(&mut self) {
        let upto = self.synced.saturating_sub(self.settings.log_retain);
        if upto < self.trimmed.saturating_add(TRIM_SLACK) {
            return;
        }
        match self.trim_log(upto) {
            Ok(()) => self.trimmed = upto,
            // A log that stays long is safe; the next group tries again.
            Err(cause) => warn!(%cause, "trimming the log failed"),
        }
    }

    fn trim_log(&mut self, upto: u64) -> Result<(), String> {
        let mut is_more = true;
        while is_more {
            self.faults.at(Step::TrimmingLog)?;
            is_more = self.log.trim(upto).map_err(|error| error.to_string())?;
        }
        self.faults.at(Step::TrimmingLog)
    }

    /// Compares wall clock and monotonic clock since they last agreed. Simulated time jumps on purpose.
    fn check_clock(&mut self) {
        if self.clock.simulated().is_some() {
            return;
        }
        let (wall, monotonic) = (self.clock.now(), self.clock.monotonic_ms());
        let jump_ms = (wall.0 - self.agreed.0.0) - (monotonic - self.agreed.1);
        let is_ok = *self.status.borrow() == WriteStatus::Ok;
        if jump_ms.abs() <= MAX_JUMP_MS {
            // Small corrections of the wall clock add up over months without being a jump.
            if is_ok && monotonic - self.agreed.1 > MAX_JUMP_MS {
                self.agreed = (wall, monotonic);
            }
        } else if is_ok {
            error!(jump_ms, "the wall clock jumped; writes are refused until the time is accepted");
            self.status.send_replace(WriteStatus::ClockJumped { jump_ms });
            self.metrics.refused(true);
        }
    }

    fn accept_time(&mut self) {
        self.agreed = (self.clock.now(), self.clock.monotonic_ms());
        let jumped = matches!(*self.status.borrow(), WriteStatus::ClockJumped { .. });
        if jumped {
            self.status.send_replace(WriteStatus::Ok);
            self.metrics.refused(false);
            info!("the time was accepted; writes go on");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::due_day;
    use crate::domain::Day;

    #[test]
    fn yesterday_is_due_from_six_in_the_morning() {
        let today = Day::parse("2023-02-13").expect("a date");
        let six = today.start().plus_ms(6 * 3_600_000);
        assert_eq!(due_day(six), today.plus(-1));
        assert_eq!(due_day(six.plus_ms(-1)), today.plus(-2));
    }
}
