//! What everyone who takes part shares: where the server is, which faults are on, and what came of every call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use trustflow::domain::Timestamp;

use crate::day::chance::Chance;
use crate::day::population::{Member, Population};
use crate::day::server::{Server, SimulatedTime};

/// Unexpected errors that are kept in words.
const KEPT: usize = 20;
/// No call takes this long, unless it hangs.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// How often who waits looks whether the run is over.
const LOOK: Duration = Duration::from_millis(200);
/// Errors of a connection whose server was killed.
const GONE: [Code; 5] = [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::Internal, Code::DeadlineExceeded];

/// Where the server is in its present life.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) grpc: String,
    time: SimulatedTime,
}

/// What came of the calls.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// By who called and what came.
    pub(crate) answers: BTreeMap<(&'static str, &'static str), u64>,
    /// Errors that were not injected.
    pub(crate) unexpected: u64,
    /// The first of them.
    pub(crate) words: Vec<String>,
}

/// What is shared.
pub(crate) struct Site {
    pub(crate) population: Population,
    place: Mutex<Place>,
    tally: Mutex<Tally>,
    /// Lives of the server; odd while it is down.
    life: AtomicU64,
    /// Grows when an overload begins and when it has ended: odd meanwhile.
    crowd: AtomicU64,
    over: AtomicBool,
}

/// What was going on when a call began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    life: u64,
    crowd: u64,
}

impl Place {
    pub(crate) fn of(server: &Server) -> Self {
        Self { grpc: server.grpc.clone(), time: server.time }
    }
}

impl Site {
    pub(crate) fn new(population: Population, server: &Server) -> Arc<Self> {
        Arc::new(Self {
            population,
            place: Mutex::new(Place::of(server)),
            tally: Mutex::default(),
            life: AtomicU64::new(0),
            crowd: AtomicU64::new(0),
            over: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// The server is about to be killed.
    pub(crate) fn goes(&self) {
        self.life.fetch_add(1, Ordering::SeqCst);
    }

    /// The server is back.
    pub(crate) fn comes(&self, server: &Server) {
        *self.place.lock() = Place::of(server);
        self.life.fetch_add(1, Ordering::SeqCst);
    }

    /// An overload begins or has ended.
    pub(crate) fn turn_crowd(&self) {
        self.crowd.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn is_down(&self) -> bool {
        self.life.load(Ordering::SeqCst) % 2 == 1
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment { life: self.life.load(Ordering::SeqCst), crowd: self.crowd.load(Ordering::SeqCst) }
    }

    pub(crate) fn place(&self) -> Place {
        self.place.lock().clone()
    }

    /// The server's clock shows this or a later time.
    pub(crate) fn now(&self) -> Timestamp {
        self.place.lock().time.at_least()
    }

    /// Connects; none while there is no server.
    pub(crate) async fn connect(&self) -> Option<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.place().grpc)).ok()?.timeout(CALL_LIMIT);
        endpoint.connect().await.ok()
    }

    pub(crate) fn count(&self, who: &'static str, what: &'static str) {
        *self.tally.lock().answers.entry((who, what)).or_default() += 1;
    }

    /// Waits, unless the run ends meanwhile.
    pub(crate) async fn rest(&self, pause: Duration) {
        let mut left = pause;
        while !left.is_zero() && !self.is_over() {
            let step = left.min(LOOK);
            tokio::time::sleep(step).await;
            left -= step;
        }
    }

    /// Something that must not be.
    pub(crate) fn wrong(&self, who: &'static str, words: &str) {
        self.count(who, "UNEXPECTED");
        let mut tally = self.tally.lock();
        tally.unexpected += 1;
        if tally.words.len() < KEPT {
            tally.words.push(format!("{who}: {words}"));
        }
    }

    /// Judges what came of a call that began at a moment. `expected` are codes that the call was made to get.
    pub(crate) fn judge<T>(
        &self,
        who: &'static str,
        began: Moment,
        answer: Result<T, Status>,
        expected: &[Code],
    ) -> Option<T> {
        let status = match answer {
            Ok(answer) => {
                self.count(who, "ok");
                return Some(answer);
            }
            Err(status) => status,
        };
        let ended = self.moment();
        let was_killed = began.life % 2 == 1 || ended.life != began.life;
        let was_crowded = began.crowd % 2 == 1 || ended.crowd != began.crowd;
        let code = status.code();
        if expected.contains(&code) {
            self.count(who, "refused as asked for");
        } else if was_killed && GONE.contains(&code) {
            self.count(who, "server killed");
        } else if was_crowded && code == Code::ResourceExhausted {
            self.count(who, "overload");
        } else {
            self.wrong(who, &format!("{status:?}"));
        }
        None
    }

    pub(crate) fn member(&self, chance: &mut Chance) -> &Member {
        &self.population.members[chance.below(self.population.members.len() as u64) as usize]
    }

    /// What came of everything.
    pub(crate) fn tally(&self) -> Tally {
        std::mem::take(&mut self.tally.lock())
    }
}

/// Works until the run is over: `work` is called again and again with a connection, `pause` apart.
pub(crate) async fn repeat<F>(site: Arc<Site>, pause: Duration, mut work: F)
where
    F: AsyncFnMut(&Site, Channel),
{
    while !site.is_over() {
        let life = site.moment().life;
        if life.is_multiple_of(2)
            && let Some(channel) = site.connect().await
        {
            // A channel leads to one life of the server.
            while !site.is_over() && site.moment().life == life {
                work(&site, channel.clone()).await;
                site.rest(pause).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
