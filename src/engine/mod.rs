//! The machine around the state: one writer, many readers.

mod alike;
mod allocate;
mod audit;
mod backtest;
mod backup;
mod candidacies;
mod control;
mod decisions;
mod error;
mod explain;
mod faults;
mod group;
mod history;
mod leases;
mod policy;
mod programmes;
mod recovery;
mod samples;
mod score;
mod scorer;
mod search;
mod settle;
mod simulate;
mod tally;
mod trust_purchase;
mod underserved;
mod validate;
mod writer;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{oneshot, watch};
use tracing::warn;

use crate::clock::Clock;
use crate::domain::{Body, Day, DayFacts, FactKey, Outcome, Rejection, RequestKey, Subject, Timestamp};
use crate::log::{Log, LogError};
use crate::state::{Applied, Hot, NodeAccounts, RestoreError, State, behind_requests};
use crate::store::{DataFolder, Store, StoreError};
use crate::trust::DayRange;

pub use allocate::{AllocateQuery, Slate, SlateSlot, allocate};
pub use audit::{AUDIT_LOOKED_AT, AuditPage, AuditQuery};
pub use backtest::{Backtest, BacktestError, BacktestMode, BacktestSummary, ForecastChoice, ProgrammeSpend, backtest};
pub use control::ControlSettings;
pub use decisions::RecordFile;
pub use error::{ReadError, WriteError, WriteStatus};
pub use explain::{ExplainQuery, ExplainedBudget, ExplainedMerchant, ExplainedPrices, ExplainedProgramme, Explanation};
pub use faults::{Faults, NoFaults, Step};
pub use leases::{LeaseContext, LeaseError, LeaseLog, LeaseManager};
pub use policy::PolicySource;
pub use programmes::{
    BudgetPrice, BudgetStatus, ForecastQuery, ForecastReport, GuaranteeStanding, LiftStatus, MemberFilter,
    MemberGuarantee, MemberPage, MemberQuery, MemberStatus, Obstacle, PackageScene, Packages, ProgrammeStatus,
    ProgrammesAnswer, ProgrammesQuery, Serving,
};
pub use recovery::{RecoveryError, load, recover};
pub use score::{ScoreColumns, ScoreQuery, score};
pub use search::{ProductHit, SearchPage, SearchQuery};
pub use settle::Settle;
pub use simulate::{Compared, Mover, SimulateError, SimulateQuery, Simulation};
pub use tally::{Change, Distribution, Move, ProgrammeFlow, Tally};
pub use trust_purchase::{
    ConditionKind, ConditionStatus, RightStatus, TRUST_PURCHASE, TrustPurchaseError, TrustPurchaseQuery,
    TrustPurchaseStatus,
};
pub use underserved::{Underserved, UnderservedPage, UnderservedQuery};
pub use validate::{
    Calibration, DateValidation, Estimate, OutcomeValidation, Predictor, PredictorKind, PredictorValidation,
    Validation, ValidationQuery,
};
pub use writer::{WriterSettings, due_day};

use candidacies::Candidacies;
use control::{Control, ControlContext};
use decisions::Recorder;
use leases::WriterLog;
use samples::Samples;
use underserved::UnderservedLists;
use writer::{Writer, WriterHandle};

/// The running service, without its wire.
pub struct Engine {
    hot: Arc<Hot>,
    state: Arc<RwLock<State>>,
    store: Store,
    clock: Arc<dyn Clock>,
    writer: Arc<WriterHandle>,
    node: Arc<NodeAccounts>,
    leases: LeaseManager,
    revisions: watch::Receiver<u64>,
    node_id: u32,
    close_days: bool,
    policy_source: RwLock<PolicySource>,
    underserved: Arc<UnderservedLists>,
    candidacies: Arc<Candidacies>,
    samples: Arc<Samples>,
    control: Mutex<Option<Control>>,
    /// Empty when decisions are not recorded: all that requests look at then.
    recorder: OnceLock<Recorder>,
}

/// A write that was handed over.
pub struct PendingWrite(oneshot::Receiver<Result<Applied, WriteError>>);

impl PendingWrite {
    /// Waits until it is durable, applied and visible.
    ///
    /// # Errors
    /// When it was refused or failed.
    pub async fn outcome(self) -> Result<Applied, WriteError> {
        self.0.await.unwrap_or(Err(WriteError::ShuttingDown))
    }
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The state cannot be taken back.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The log cannot be replayed.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// Real time on a simulated data folder, or the other way round.
    #[error("{0}")]
    Time(String),
    /// The session of this node cannot be written.
    #[error("opening a session: {0}")]
    Session(String),
    /// The writer's thread cannot be started.
    #[error("starting the writer: {0}")]
    Thread(#[from] std::io::Error),
}

impl Engine {
    /// Opens a data folder, recovers its state and starts the writer.
    ///
    /// # Errors
    /// When the folder is in use, damaged, of another version, or of another kind of time.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>, settings: WriterSettings) -> Result<Self, StartError> {
        // The database's own threads are as nice as the one that opens it.
        let folder = behind_requests(|| DataFolder::open(folder))?;
        Self::start(Box::new(folder.log()?), folder.store()?, clock, settings)
    }

    /// Recovers the state of a log and a store and starts the writer.
    ///
    /// # Errors
    /// When they are damaged, or of another kind of time.
    pub fn start(
        log: Box<dyn Log>,
        store: Store,
        clock: Arc<dyn Clock>,
        settings: WriterSettings,
    ) -> Result<Self, StartError> {
        Self::start_with(log, store, clock, settings, Box::new(NoFaults))
    }

    /// The same with a writer that fails where a test wants it to.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn start_with(
        log: Box<dyn Log>,
        store: Store,
        clock: Arc<dyn Clock>,
        settings: WriterSettings,
        faults: Box<dyn Faults>,
    ) -> Result<Self, StartError> {
        let mut state = recover(log.as_ref(), &store)?;
        if check_time(&mut state, clock.as_ref())? {
            // Durable before the first command: a crash between the two must not leave simulated history unmarked.
            store.write(state.hot().revision(), state.take_rows(0))?;
            store.sync()?;
        }
        // What recovery made again was counted when it happened.
        drop(state.take_membership_changes());
        warn_behind(state.meta().now, clock.now());
        let hot = state.hot().clone();
        let node = Arc::new(NodeAccounts::default());
        // Before the first request: a clock that is behind must not charge where deadlines have passed.
        node.expire(state.meta().now);
        let state = Arc::new(RwLock::new(state));
        let (published, revisions) = watch::channel(hot.revision());
        let (node_id, close_days) = (settings.node, settings.close_days);
        let mut writer =
            Writer::new(log, store.clone(), state.clone(), clock.clone(), published, node.clone(), settings);
        writer.open_session().map_err(StartError::Session)?;
        // The start itself passes: what fails in it is the start.
        let writer = Arc::new(writer.failing(faults).spawn()?);
        let context = LeaseContext { node: node.clone(), state: state.clone(), clock: clock.clone() };
        let leases = LeaseManager::start(context, Box::new(WriterLog(Arc::downgrade(&writer))))?;
        Ok(Self {
            hot,
            state,
            store,
            clock,
            writer,
            node,
            leases,
            revisions,
            node_id,
            close_days,
            policy_source: RwLock::default(),
            underserved: Arc::default(),
            candidacies: Arc::default(),
            samples: Arc::default(),
            control: Mutex::new(None),
            recorder: OnceLock::new(),
        })
    }

    /// Starts control: from now on prices steer what Score and Allocate answer.
    ///
    /// # Errors
    /// When its threads cannot be started.
    pub fn start_control(&self, settings: ControlSettings) -> std::io::Result<()> {
        let context = ControlContext {
            hot: self.hot.clone(),
            state: self.state.clone(),
            node: self.node.clone(),
            samples: self.samples.clone(),
            underserved: self.underserved.clone(),
            candidacies: self.candidacies.clone(),
            clock: self.clock.clone(),
            writer: Arc::downgrade(&self.writer),
        };
        let started = Control::start(context, settings)?;
        if let Some(before) = self.control.lock().replace(started) {
            before.shut_down();
        }
        Ok(())
    }

    /// Starts the decision log: from now on a share of the decisions of Score and Allocate is appended to a file. Once
    /// for an engine: a second file is not written.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub fn start_recording(&self, file: RecordFile, share: f64) -> std::io::Result<()> {
        if self.recorder.get().is_none() {
            let recorder = Recorder::start(file, share)?;
            if let Err(second) = self.recorder.set(recorder) {
                second.shut_down();
            }
        }
        Ok(())
    }

    /// Writes: durable, applied and visible when it answers.
    ///
    /// # Errors
    /// When writes are refused or fail; nothing was acknowledged then.
    pub async fn write(&self, request: Option<RequestKey>, body: Body) -> Result<Applied, WriteError> {
        self.begin_write(request, body)?.outcome().await
    }

    /// Hands a write over without waiting for it, so that a stream of writes keeps the writer busy. Writes handed over
    /// one after another are applied in that order.
    ///
    /// # Errors
    /// When the queue is full or the writer stopped.
    pub fn begin_write(&self, request: Option<RequestKey>, body: Body) -> Result<PendingWrite, WriteError> {
        self.writer.submit(request, body).map(PendingWrite)
    }

    /// Waits until reads include a revision.
    ///
    /// # Errors
    /// When it does not come in time.
    pub async fn wait_for(&self, revision: u64, patience: Duration) -> Result<(), ReadError> {
        let mut revisions = self.revisions.clone();
        if *revisions.borrow() >= revision {
            return Ok(());
        }
        let reached = tokio::time::timeout(patience, revisions.wait_for(|at| *at >= revision)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(ReadError::RevisionNotReached { wanted: revision, at: self.hot.revision() }),
        }
    }

    /// Reads the state, under its lock: keep it short.
    pub fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read())
    }

    /// The readers' side of the state.
    #[must_use]
    pub fn hot(&self) -> &Hot {
        &self.hot
    }

    /// What this node may spend by itself.
    #[must_use]
    pub fn node(&self) -> &NodeAccounts {
        &self.node
    }

    /// Whether writes are taken, and if not why.
    #[must_use]
    pub fn write_status(&self) -> WriteStatus {
        self.writer.status()
    }

    /// Follows whether writes are taken.
    #[must_use]
    pub fn watch_write_status(&self) -> watch::Receiver<WriteStatus> {
        self.writer.watch_status()
    }

    /// The clock that commands are stamped with.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Resumes writes after the wall clock jumped; answers the time from which stamps go on.
    #[must_use]
    pub fn accept_time(&self) -> Timestamp {
        self.writer.accept_time();
        self.clock.now()
    }

    /// Closes a day and waits until scores follow from it. Waits for another change of day or policy to finish first.
    ///
    /// # Errors
    /// When writes are refused or fail.
    pub async fn close_day(&self, request: Option<RequestKey>, day: Day) -> Result<Applied, WriteError> {
        let mut revisions = self.revisions.clone();
        loop {
            revisions.borrow_and_update();
            if self.read(|state| state.transition().is_some()) {
                self.next_revision(&mut revisions).await?;
                continue;
            }
            let applied = self.write(request.clone(), Body::CloseDay { day }).await?;
            if applied.outcome == Outcome::Done {
                self.wait_for_day(day).await?;
                return Ok(Applied { revision: self.hot.revision(), ..applied });
            }
            // Pending: another change came first.
            if applied.outcome != Outcome::Rejected(Rejection::TransitionPending) {
                return Ok(applied);
            }
        }
    }

    /// Moves simulated time forward and waits until days due are closed.
    ///
    /// # Errors
    /// On real time, when it would go back, or when writes fail.
    pub async fn advance_clock(&self, request: Option<RequestKey>, to: Timestamp) -> Result<(), WriteError> {
        let clock = self.clock.simulated().ok_or(WriteError::ClockNotSimulated)?;
        clock.advance_to(to).map_err(|now| WriteError::ClockWouldGoBack { now, to })?;
        self.write(request, Body::Tick).await?;
        if self.close_days { self.wait_for_day(due_day(to)).await } else { Ok(()) }
    }

    /// Waits until a day is closed and scores follow from it.
    ///
    /// # Errors
    /// When the writer stops before.
    pub async fn wait_for_day(&self, day: Day) -> Result<(), WriteError> {
        let mut revisions = self.revisions.clone();
        loop {
            let closed = self.read(|state| state.facts_day() >= day && state.transition().is_none());
            if closed {
                return Ok(());
            }
            self.next_revision(&mut revisions).await?;
        }
    }

    /// Waits for the next revision, as long as writes are taken.
    async fn next_revision(&self, revisions: &mut watch::Receiver<u64>) -> Result<(), WriteError> {
        let mut status = self.writer.watch_status();
        loop {
            if let Some(refusal) = status.borrow_and_update().refusal() {
                return Err(refusal);
            }
            let changed = tokio::select! {
                changed = revisions.changed() => return changed.map_err(|_| WriteError::ShuttingDown),
                changed = status.changed() => changed,
            };
            changed.map_err(|_| WriteError::ShuttingDown)?;
        }
    }

    /// The stored facts of one subject in a range of days. Reads the disk.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn facts(&self, subject: Subject, range: DayRange) -> Result<Vec<(Day, DayFacts)>, StoreError> {
        let mut found = Vec::new();
        for day in range.first.0..=range.last.0 {
            let key = FactKey { day: Day(day), subject };
            if let Some(row) = self.store.facts(key)? {
                found.push((key.day, row));
            }
        }
        Ok(found)
    }

    /// A hash over every hard row, and the revision it is of. Reads the whole store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn state_hash(&self) -> Result<(u64, u128), StoreError> {
        self.store.state_hash()
    }

    /// Stops control, ends the decision log, gives leases back, stops the writer after what was submitted, and waits
    /// for it; later writes are refused.
    pub fn shut_down(&self) {
        if let Some(recorder) = self.recorder.get() {
            recorder.shut_down();
        }
        if let Some(control) = self.control.lock().take() {
            control.shut_down();
        }
        self.leases.shut_down();
        self.writer.shut_down();
    }
}

/// A clock may be behind state time by so much before it is said at the start.
const MAX_BEHIND_MS: i64 = 600_000;

/// How far a clock is behind state time, if that is too far.
fn behind_ms(state: Timestamp, clock: Timestamp) -> Option<i64> {
    Some(state.0.saturating_sub(clock.0)).filter(|behind| *behind > MAX_BEHIND_MS)
}

/// Says that state time stands still until the clock has caught up: no reservation ends, no window opens, no day closes.
fn warn_behind(state: Timestamp, clock: Timestamp) {
    if let Some(behind_ms) = behind_ms(state, clock) {
        warn!(behind_ms, "the clock is behind the data folder: state time stands still until it catches up; check it");
    }
}

/// Whether clock and folder are of one kind of time; marks a new folder, and answers whether it did.
fn check_time(state: &mut State, clock: &dyn Clock) -> Result<bool, StartError> {
    let is_new = state.meta().now == Timestamp::default();
    match (clock.simulated().is_some(), state.meta().is_simulated) {
        (true, false) if is_new => {
            state.mark_simulated();
            Ok(true)
        }
        (true, false) => Err(StartError::Time(
            "this data folder runs on real time; use another folder for --now, or start without it".to_owned(),
        )),
        (false, true) => Err(StartError::Time(
            "this data folder runs on simulated time; start with --now, or use another folder".to_owned(),
        )),
        (true, true) | (false, false) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BEHIND_MS, Timestamp, behind_ms};

    #[test]
    fn a_clock_far_behind_state_time_is_said() {
        let state = Timestamp(1_700_000_000_000);
        assert_eq!(behind_ms(state, state.plus_ms(-MAX_BEHIND_MS)), None);
        assert_eq!(behind_ms(state, state.plus_ms(-MAX_BEHIND_MS - 1)), Some(MAX_BEHIND_MS + 1));
        assert_eq!(behind_ms(state, state.plus_ms(1_000_000_000)), None);
    }
}
