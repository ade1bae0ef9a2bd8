//! The tail of Score at a constant rate: quiet, beside writes, beside publishes, beside closings of days.
//!
//! Server and client have a core each, as two machines would: on cores that they share, most of the server's tail beside
//! writes is the client that sends them. All threads of the server share its core, so that whatever works beside Score
//! is in its way. The four conditions take turns in five rounds, so that a change of the machine hits all; each is held
//! against the quiet of its own round.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use trustflow::domain::Day;
use trustflow::proto::profile_service_client::ProfileServiceClient;
use trustflow::proto::{BatchUpsertLiveRoomsRequest, PolicyFile, RecordFactsRequest};

use crate::args::Args;
use crate::clock::{Stopwatch, yesterday};
use crate::durable::load;
use crate::durations::Durations;
use crate::fresh;
use crate::open_loop::{Rate, drive, latencies};
use crate::policy::{publish, variants};
use crate::population::{Random, close_day, connect, live_room, one_day};
use crate::process::{Cores, OnClientCore, Process, Tuning};
use crate::report::{Bar, Report, Spread};
use crate::site::Site;

/// Targets of a call.
const TARGETS: usize = 200;
/// Shares of the capacity, in percent. The bars are about the first.
const LOADS: [u32; 2] = [30, 60];
/// Rounds of a step.
const ROUNDS: u32 = 5;
/// Calls that find the capacity: some to warm up, then as many as take a while.
const WARM_UP: u32 = 5_000;
const CAPACITY_TIME: Duration = Duration::from_secs(3);
/// Items of a write, and writes a second.
const BATCH: u32 = 20;
const BATCHES: u32 = 500;
/// Writes that may wait for their answer at a time.
const WRITES_IN_FLIGHT: usize = 64;
/// From one closing to the next.
const CLOSING_EVERY: Duration = Duration::from_secs(5);
/// What a round leaves behind may end before the next.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) const PART: &str = "tail";
pub(crate) const TITLE: &str = "Score of 200 at a constant rate: microseconds";
pub(crate) const HEAD: [&str; 7] = [
    "load",
    "beside",
    "calls",
    "client p50 / p99 / p99.9 / max",
    "server p50 / p99 / p99.9",
    "server p99 against quiet min / median / max",
    "work beside",
];

/// What goes on beside the calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    Writes,
    Publishes,
    Closings,
}

impl Beside {
    const ALL: [Self; 4] = [Self::Nothing, Self::Writes, Self::Publishes, Self::Closings];

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Writes => "10,000 writes/s",
            Self::Publishes => "publishes, one after another",
            Self::Closings => "a day closing every 5 s",
        }
    }

    /// Gate and goal of the server's p99 against quiet.
    fn bars(self) -> Option<(f64, f64)> {
        match self {
            Self::Writes => Some((1.3, 1.1)),
            Self::Publishes => Some((1.5, 1.2)),
            Self::Nothing | Self::Closings => None,
        }
    }
}

/// What came of one condition at one load.
struct Tail {
    client: Histogram<u64>,
    server: Vec<Durations>,
    seconds: f64,
    work: u64,
}

/// Runs the part on a folder of its own: its clock is simulated and far ahead, for days to close.
pub(crate) fn run(args: &Args, runtime: &Runtime, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let merchants = args.typical();
    let step = Duration::from_secs(args.step_seconds().into());
    let slice = step / ROUNDS;
    let closings = (slice.as_secs() / CLOSING_EVERY.as_secs() + 2) * u64::from(ROUNDS) * LOADS.len() as u64;
    let now = format!("{}T12:00:00+08:00", yesterday().plus(1 + i32::try_from(closings)?));
    let tuning = Tuning::arguments(&["--now", &now, "--close-days", "false"]);
    let site = Site::new(false)?;
    load(runtime, &site, &tuning, merchants)?;
    let _client = OnClientCore::begin()?;
    let server = site.start_tuned(Cores::One, &tuning)?;
    server.await_idle()?;
    let capacity = capacity(&server, merchants)?;
    eprintln!("tails with {merchants} merchants: {capacity:.0} calls/s at most");
    let channel = runtime.block_on(connect(server.address))?;
    let mut work = Work { channel, merchants, day: yesterday(), variants: variants(), published: 0 };
    for percent in LOADS {
        let per_second = capacity * f64::from(percent) / 100.0;
        let mut tails = Vec::new();
        for _ in Beside::ALL {
            tails.push(Tail { client: latencies()?, server: Vec::new(), seconds: 0.0, work: 0 });
        }
        for round in 0..ROUNDS {
            for (beside, tail) in Beside::ALL.into_iter().zip(&mut tails) {
                let rate = Rate {
                    address: server.address,
                    per_second,
                    time: slice,
                    targets: TARGETS,
                    live_rooms: merchants,
                    seed: u64::from(round),
                };
                runtime.block_on(measure(&server, rate, beside, &mut work, tail))?;
                std::thread::sleep(PAUSE);
            }
        }
        let of = Load { percent, per_second, merchants };
        rows(of, &tails, report);
    }
    drop(work);
    server.stop()
}

/// Calls a second when each connection sends as soon as it has an answer.
fn capacity(server: &Process, live_rooms: u32) -> Result<f64, Box<dyn Error>> {
    let clock = Stopwatch::start();
    fresh::drive(server.address, WARM_UP, TARGETS, live_rooms, 1)?;
    let calls = f64::from(WARM_UP) * CAPACITY_TIME.as_secs_f64() / clock.elapsed().as_secs_f64();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of calls")]
    let calls = calls as u32;
    let clock = Stopwatch::start();
    let sent = fresh::drive(server.address, calls, TARGETS, live_rooms, 2)?;
    Ok(f64::from(sent.calls) / clock.elapsed().as_secs_f64())
}

/// One slice: calls at the rate, and the work beside them for as long.
async fn measure(
    server: &Process,
    rate: Rate,
    beside: Beside,
    work: &mut Work,
    tail: &mut Tail,
) -> Result<(), Box<dyn Error>> {
    let before = Durations::of_score(server)?;
    let stop = AtomicBool::new(false);
    let clock = Stopwatch::start();
    let calls = async {
        let latencies = tokio::task::spawn_blocking(move || drive(&rate)).await;
        stop.store(true, Ordering::Relaxed);
        latencies
    };
    let (latencies, done) = tokio::join!(calls, work.until(beside, &stop));
    tail.seconds += clock.elapsed().as_secs_f64();
    tail.server.push(Durations::of_score(server)?.since(&before));
    tail.client.add(latencies??)?;
    tail.work += done?;
    Ok(())
}

/// Whose rows they are.
#[derive(Clone, Copy)]
struct Load {
    percent: u32,
    per_second: f64,
    merchants: u32,
}

fn rows(load: Load, tails: &[Tail], report: &mut Report) {
    let Load { percent, per_second, merchants } = load;
    let Some(quiet) = tails.first() else { return };
    for (beside, tail) in Beside::ALL.into_iter().zip(tails) {
        let p99 = |durations: &Durations| durations.quantile(0.99);
        let ratios = tail.server.iter().zip(&quiet.server).map(|(busy, quiet)| p99(busy) / p99(quiet)).collect();
        let ratios = Spread::of(ratios);
        let micros = |share: f64| tail.client.value_at_quantile(share) / 1_000;
        let client = [micros(0.5), micros(0.99), micros(0.999), tail.client.max() / 1_000].map(|at| at.to_string());
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let rate = tail.work as f64 / tail.seconds;
        let work = match beside {
            Beside::Nothing => "-".to_owned(),
            Beside::Writes => format!("{rate:.0}/s"),
            Beside::Publishes | Beside::Closings => tail.work.to_string(),
        };
        report.row(
            TITLE,
            vec![
                format!("{percent} %: {per_second:.0}/s"),
                beside.name().to_owned(),
                tail.client.len().to_string(),
                client.join(" / "),
                Durations::sum(tail.server.iter()).text(),
                if beside == Beside::Nothing { "-".to_owned() } else { ratios.text(2) },
                work,
            ],
        );
        if let Some((gate, goal)) = beside.bars()
            && percent == LOADS[0]
        {
            let what = format!(
                "server-side p99 of Score at {percent} % load beside {}, against quiet, {merchants} merchants",
                beside.name()
            );
            report.bar(PART, Bar::at_most(what, ratios.median, "x", gate).goal(goal));
        }
    }
}

/// The work beside the calls, and how far it has come.
struct Work {
    channel: Channel,
    merchants: u32,
    /// The last closed day.
    day: Day,
    variants: [Vec<PolicyFile>; 2],
    published: usize,
}

impl Work {
    /// Works until told to stop; answers what was done: items written, policies published, days closed.
    async fn until(&mut self, beside: Beside, stop: &AtomicBool) -> Result<u64, Box<dyn Error>> {
        let mut done = 0;
        match beside {
            Beside::Nothing => {}
            Beside::Writes => done = self.write(stop).await?,
            Beside::Publishes => {
                while !stop.load(Ordering::Relaxed) {
                    let files = self.variants.get(self.published % 2).ok_or("two variants")?;
                    publish(&self.channel, files).await?;
                    self.published += 1;
                    done += 1;
                }
            }
            Beside::Closings => {
                let mut ticks = tokio::time::interval(CLOSING_EVERY);
                ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                while !stop.load(Ordering::Relaxed) {
                    ticks.tick().await;
                    self.day = self.day.plus(1);
                    close_day(&self.channel, self.day).await?;
                    done += 1;
                }
            }
        }
        Ok(done)
    }

    /// Writes at a constant rate, live rooms and facts of a closed day in turns: the latter change scores.
    async fn write(&self, stop: &AtomicBool) -> Result<u64, Box<dyn Error>> {
        let written = Arc::new(AtomicU64::new(0));
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / BATCHES);
        let mut random = Random::new(u64::from(self.merchants));
        let mut calls = tokio::task::JoinSet::new();
        let mut turn = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            ticks.tick().await;
            turn += 1;
            let indexes: Vec<u32> = (0..BATCH).map(|_| random.below(self.merchants)).collect();
            let (mut client, day, written) =
                (ProfileServiceClient::new(self.channel.clone()), self.day, written.clone());
            calls.spawn(async move {
                let statuses = if turn.is_multiple_of(2) {
                    let live_rooms = indexes.into_iter().map(|index| live_room(index, 1)).collect();
                    let request = BatchUpsertLiveRoomsRequest { live_rooms, ..BatchUpsertLiveRoomsRequest::default() };
                    client.batch_upsert_live_rooms(request).await?.into_inner().results
                } else {
                    let facts = indexes.into_iter().map(|index| one_day(index, day, turn)).collect();
                    let request = RecordFactsRequest { facts, ..RecordFactsRequest::default() };
                    client.record_facts(request).await?.into_inner().results
                };
                let taken =
                    statuses.iter().filter(|status| status.status.as_ref().is_none_or(|status| status.code == 0));
                written.fetch_add(taken.count() as u64, Ordering::Relaxed);
                Ok::<(), tonic::Status>(())
            });
            while calls.len() >= WRITES_IN_FLIGHT {
                calls.join_next().await.ok_or("a write is in flight")???;
            }
            while let Some(done) = calls.try_join_next() {
                done??;
            }
        }
        while let Some(done) = calls.join_next().await {
            done??;
        }
        Ok(written.load(Ordering::Relaxed))
    }
}
