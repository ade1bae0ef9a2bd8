//! Keeps the leases of this node: renews them through the log, ahead of the requests that charge them.
//!
//! A thread of its own takes a turn ten times a second, and at once when an account runs low. A turn frees reservations
//! whose deadline has passed, asks [`NodeAccounts`] what it wants and has too much of, writes that as one command, and
//! hands the grants over. No request waits for a turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tracing::{error, info, warn};

use super::error::WriteError;
use super::writer::WriterHandle;
use crate::clock::{Clock, Stopwatch};
use crate::domain::{Body, Outcome, Rejection, Renewal, Timestamp};
use crate::state::{NodeAccounts, ProgrammeLeases, State};
use crate::telemetry::{LeaseGauges, LeaseMetrics};

/// How often it takes a turn when nothing runs low.
const INTERVAL: Duration = Duration::from_millis(100);
/// No sooner than this after the last: accounts that run low together are renewed together.
const BREATH: Duration = Duration::from_millis(20);
/// Accounts renewed by one command at most.
const BATCH: usize = 2_000;
/// Commands of one turn at most.
const COMMANDS: usize = 8;
/// How often the gauges are set.
const GAUGES_EVERY: Duration = Duration::from_secs(1);
/// After a failure it waits so long: writes do not come back at once.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The log as the manager of leases sees it. It waits for what it writes; only its own thread calls it.
pub trait LeaseLog: Send {
    /// Renews leases of a session; answers how much was granted to each, in order. Without renewals it only moves state
    /// time to the present.
    ///
    /// # Errors
    /// When it is not known to be durable and applied.
    fn renew(&self, session: u32, renewals: &[Renewal]) -> Result<Vec<u64>, LeaseError>;
}

/// Why leases were not renewed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// It was refused before it was logged: nothing changed.
    #[error("{0}")]
    NotLogged(String),
    /// It may have been logged, and may take effect.
    #[error("{0}")]
    Unknown(String),
    /// Another session of this node has followed: its leases are gone.
    #[error("session {0} is over")]
    SessionOver(u32),
}

/// The writer as the manager sees it. It does not keep the writer from stopping.
pub(super) struct WriterLog(pub(super) Weak<WriterHandle>);

impl WriterLog {
    fn write(&self, body: Body) -> Result<Outcome, LeaseError> {
        let not_logged = |cause: WriteError| LeaseError::NotLogged(cause.to_string());
        let writer = self.0.upgrade().ok_or(WriteError::ShuttingDown).map_err(not_logged)?;
        let answer = writer.submit(None, body).map_err(not_logged)?;
        match answer.blocking_recv() {
            Ok(Ok(applied)) => Ok(applied.outcome),
            Ok(Err(cause @ WriteError::ClockJumped { .. })) => Err(not_logged(cause)),
            Ok(Err(cause)) => Err(LeaseError::Unknown(cause.to_string())),
            Err(_) => Err(LeaseError::Unknown(WriteError::ShuttingDown.to_string())),
        }
    }
}

impl LeaseLog for WriterLog {
    fn renew(&self, session: u32, renewals: &[Renewal]) -> Result<Vec<u64>, LeaseError> {
        let outcome = self.write(Body::RenewLeases { session, renewals: renewals.to_vec() })?;
        if let Outcome::Leases(granted) = outcome {
            return Ok(granted);
        }
        if let Outcome::Rejected(Rejection::SessionOver { session }) = outcome {
            return Err(LeaseError::SessionOver(session));
        }
        Err(unexpected(&outcome))
    }
}

fn unexpected(outcome: &Outcome) -> LeaseError {
    LeaseError::Unknown(format!("leases were answered with {outcome:?}"))
}

/// What the manager looks at.
pub struct LeaseContext {
    /// The leases.
    pub node: Arc<NodeAccounts>,
    /// State time and the names of programmes.
    pub state: Arc<RwLock<State>>,
    /// Wall time for rates, and how far state time could be.
    pub clock: Arc<dyn Clock>,
}

/// The manager's thread.
pub struct LeaseManager {
    node: Arc<NodeAccounts>,
    stopping: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl LeaseManager {
    /// Starts it, in the session that the node has begun.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(context: LeaseContext, log: Box<dyn LeaseLog>) -> std::io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let node = context.node.clone();
        let mut worker = Worker {
            context,
            log,
            stopping: stopping.clone(),
            metrics: LeaseMetrics::default(),
            shown: None,
            is_failing: false,
        };
        let thread = std::thread::Builder::new().name("leases".to_owned()).spawn(move || worker.run())?;
        Ok(Self { node, stopping, thread: Mutex::new(Some(thread)) })
    }

    /// Gives back what is not reserved, and stops. To be called while writes are still taken: what is given back here
    /// need not be kept for reports after a restart.
    pub fn shut_down(&self) {
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            self.stopping.store(true, Ordering::Release);
            self.node.wake();
            if thread.join().is_err() {
                error!("the thread of leases panicked; what it held is released after the window of reports");
            }
        }
    }
}

impl Drop for LeaseManager {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        self.node.wake();
    }
}

struct Worker {
    context: LeaseContext,
    log: Box<dyn LeaseLog>,
    stopping: Arc<AtomicBool>,
    metrics: LeaseMetrics,
    /// When the gauges were last set.
    shown: Option<Stopwatch>,
    is_failing: bool,
}

impl Worker {
    fn run(&mut self) {
        while !self.stopping.load(Ordering::Acquire) {
            let took = Stopwatch::start();
            let is_well = self.turn();
            self.show();
            self.context.node.wait(if is_well { INTERVAL } else { AFTER_FAILURE });
            let pause = if is_well { BREATH } else { AFTER_FAILURE };
            self.pause(pause.saturating_sub(took.elapsed()));
        }
        self.close();
    }

    /// Lets time pass whatever rings, but for the end.
    fn pause(&self, left: Duration) {
        let mut left = left;
        while !left.is_zero() && !self.stopping.load(Ordering::Acquire) {
            let part = left.min(BREATH);
            std::thread::sleep(part);
            left = left.saturating_sub(part);
        }
    }

    /// Answers whether all went well.
    fn turn(&mut self) -> bool {
        let at = self.state_time();
        self.context.node.expire(at);
        for _ in 0..COMMANDS {
            let turn = self.context.node.renewals(self.context.clock.monotonic_ms(), BATCH);
            // State time stands still while nothing is written.
            let is_late = turn.renewals.is_empty() && self.context.node.waits_for(self.context.clock.now());
            if turn.renewals.is_empty() && !is_late {
                break;
            }
            let renewed = self.renew(&turn.renewals);
            if !self.note(renewed) {
                return false;
            }
            if is_late {
                self.context.node.expire(self.state_time());
            }
            if !turn.has_more {
                break;
            }
        }
        true
    }

    /// Every report on time at the state time that is read here has been settled: both happen in one hold of the
    /// writer's lock.
    fn state_time(&self) -> Timestamp {
        self.context.state.read().meta().now
    }

    fn renew(&self, renewals: &[Renewal]) -> Result<(), LeaseError> {
        let node = &self.context.node;
        let took = Stopwatch::start();
        let granted = self.log.renew(node.session(), renewals);
        let now_ms = self.context.clock.monotonic_ms();
        match granted {
            Ok(grants) => {
                node.granted(now_ms, renewals, &grants);
                let grants = grants.iter().copied().chain(std::iter::repeat(0));
                let short = renewals.iter().zip(grants).filter(|(renewal, granted)| *granted < renewal.wanted).count();
                self.metrics.renewed(renewals.len(), short, took.elapsed());
                Ok(())
            }
            Err(failure) => {
                self.metrics.failed();
                match failure {
                    LeaseError::NotLogged(_) => node.withdrawn(now_ms, renewals),
                    // What may have been given back is not spent, and what may have been granted neither.
                    LeaseError::Unknown(_) => node.granted(now_ms, renewals, &[]),
                    LeaseError::SessionOver(_) => {
                        // The ledger keeps all that was leased for reports; nothing more may be charged to it.
                        node.granted(now_ms, renewals, &[]);
                        drop(node.close());
                    }
                }
                Err(failure)
            }
        }
    }

    /// Says once when renewals begin to fail, and once when they are well again.
    fn note(&mut self, outcome: Result<(), LeaseError>) -> bool {
        match outcome {
            Ok(()) => {
                if std::mem::take(&mut self.is_failing) {
                    info!("leases are renewed again");
                }
                true
            }
            Err(cause) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    warn!(%cause, "leases are not renewed; slates soon charge nothing");
                }
                false
            }
        }
    }

    fn close(&mut self) {
        let returned = self.context.node.close();
        for renewals in returned.chunks(BATCH) {
            if let Err(cause) = self.renew(renewals) {
                warn!(%cause, "leases are not given back; they are released after the window of reports");
                break;
            }
        }
        self.show_now();
    }

    fn show(&mut self) {
        if self.shown.is_none_or(|shown| shown.elapsed() >= GAUGES_EVERY) {
            self.show_now();
        }
    }

    fn show_now(&mut self) {
        self.shown = Some(Stopwatch::start());
        let node = &self.context.node;
        let reservations = node.reservations();
        let (open, settled, expired) = (reservations.open, reservations.settled, reservations.expired);
        self.metrics.reservations(node.member_accounts(), open, settled, expired);
        let leases = node.leases();
        let policy = self.context.state.read().policy().clone();
        for programme in &policy.programmes {
            let held = leases.get(usize::from(programme.bit)).copied().unwrap_or_default();
            if held != ProgrammeLeases::default() {
                let ProgrammeLeases { leases, budget, members, unleased, spent } = held;
                let gauges = LeaseGauges { leases, budget, members, unleased, spent };
                self.metrics.programme(&programme.id, &gauges);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::Duration;

    use parking_lot::RwLock;

    use super::{LeaseContext, LeaseError, LeaseLog, LeaseManager};
    use crate::clock::{Stopwatch, SystemClock};
    use crate::domain::{AccountKey, Day, Renewal, ReservationId, Scope, Timestamp};
    use crate::state::{NodeAccounts, State};

    /// A ledger of one account.
    #[derive(Default)]
    struct Ledger {
        left: AtomicU64,
        commands: AtomicU64,
        refuses: AtomicBool,
    }

    impl LeaseLog for Arc<Ledger> {
        fn renew(&self, session: u32, renewals: &[Renewal]) -> Result<Vec<u64>, LeaseError> {
            assert_eq!(session, 5);
            if self.refuses.load(Ordering::SeqCst) {
                return Err(LeaseError::NotLogged("the queue is full".to_owned()));
            }
            self.commands.fetch_add(1, Ordering::SeqCst);
            let grant = |renewal: &Renewal| {
                let room = self.left.fetch_add(renewal.returned, Ordering::SeqCst) + renewal.returned;
                let granted = renewal.wanted.min(room);
                self.left.fetch_sub(granted, Ordering::SeqCst);
                granted
            };
            Ok(renewals.iter().map(grant).collect())
        }
    }

    fn started(left: u64) -> (Arc<NodeAccounts>, Arc<Ledger>, LeaseManager) {
        let node = Arc::new(NodeAccounts::default());
        node.begin(5);
        let ledger = Arc::new(Ledger { left: AtomicU64::new(left), ..Ledger::default() });
        let state = Arc::new(RwLock::new(State::default()));
        let context = LeaseContext { node: node.clone(), state, clock: Arc::new(SystemClock::default()) };
        let manager = LeaseManager::start(context, Box::new(ledger.clone())).expect("a thread");
        (node, ledger, manager)
    }

    /// Tries until it succeeds: how long that takes depends on what else the machine does.
    fn until(mut succeeds: impl FnMut() -> bool) {
        let took = Stopwatch::start();
        while !succeeds() {
            assert!(took.elapsed() < Duration::from_secs(60), "it does not happen");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    const ACCOUNT: AccountKey = AccountKey { bit: 1, scope: Scope::Programme, period: Day(0) };

    #[test]
    fn a_lease_is_there_soon_after_it_is_first_wanted_and_all_is_given_back() {
        let (node, ledger, manager) = started(1_000);
        let bucket = ReservationId::bucket_of(Timestamp(1_700_000_000_000));
        until(|| node.charge(&[ACCOUNT], bucket));
        let mut charged = 1;
        until(|| {
            charged += u64::from(node.charge(&[ACCOUNT], bucket));
            charged == 1_000
        });
        until(|| node.is_spent(&ACCOUNT));
        node.release(&[ACCOUNT], bucket);
        manager.shut_down();
        assert_eq!(ledger.left.load(Ordering::SeqCst), 1, "what was not reserved is the ledger's again");
        assert!(!node.charge(&[ACCOUNT], bucket));
    }

    #[test]
    fn what_was_refused_is_asked_for_again() {
        let (node, ledger, manager) = started(1_000);
        ledger.refuses.store(true, Ordering::SeqCst);
        let bucket = ReservationId::bucket_of(Timestamp(1_700_000_000_000));
        assert!(!node.charge(&[ACCOUNT], bucket));
        std::thread::sleep(Duration::from_millis(50));
        ledger.refuses.store(false, Ordering::SeqCst);
        until(|| node.charge(&[ACCOUNT], bucket));
        manager.shut_down();
        assert_eq!(ledger.left.load(Ordering::SeqCst), 999);
    }

    #[test]
    fn state_time_is_moved_when_reservations_wait_for_it() {
        let (node, ledger, manager) = started(1_000);
        // The clock is far beyond its deadline, the state at the beginning of time.
        let bucket = ReservationId::bucket_of(Timestamp(1_600_000_000_000));
        until(|| node.charge(&[ACCOUNT], bucket));
        let before = ledger.commands.load(Ordering::SeqCst);
        until(|| ledger.commands.load(Ordering::SeqCst) > before + 2);
        manager.shut_down();
    }
}
