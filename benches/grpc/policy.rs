//! Policies that change under load: publishing and simulating beside a constant rate of Score calls.
//!
//! Two texts that score differently take turns. Every answer must be the one of exactly one version, and the tail of
//! Score beside publishing is held against the tail of the same rate in quiet.

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Runtime;
use tonic::transport::Channel;
use trustflow::proto::policy_service_client::PolicyServiceClient;
use trustflow::proto::scoring_service_client::ScoringServiceClient;
use trustflow::proto::{PolicyFile, PublishPolicyRequest, ScoreRequest, ScoreResponse, SimulatePolicyRequest};

use crate::args::Args;
use crate::clock::Stopwatch;
use crate::durations::Durations;
use crate::population::{Random, connect, random_live_rooms, score_request};
use crate::process::{Cores, Process, Tuning};
use crate::report::{Bar, Report, Spread};
use crate::site::Site;

/// Targets of a call.
const TARGETS: usize = 200;
/// Bodies that are sent in turn, so that every answer can be compared.
const BODIES: usize = 16;
/// Calls a second: far below a third of what two cores can do.
const RATE: u64 = 1_000;
/// One phase.
const PHASE: Duration = Duration::from_secs(8);
/// Gate and goal of how much longer the tail of Score is beside publishing.
const TAIL_BARS: (f64, f64) = (1.5, 1.2);
/// Of the seconds that a million records take.
const RESCORE_BARS: (f64, f64) = (2.0, 1.0);
/// Publishes without any load: what a million records take by themselves.
const QUIET_PUBLISHES: usize = 4;
/// Seconds a simulation of a million merchants may take.
const SIMULATE_GATE: f64 = 4.0;

pub(crate) const PART: &str = "policy";
pub(crate) const TITLE: &str = "Policies changing under load (Score of 200 at 1,000/s)";
pub(crate) const HEAD: [&str; 6] = [
    "merchants",
    "phase",
    "server-side p50 / p99 / p99.9 µs",
    "publishes",
    "publish s min / median / max",
    "mixed answers",
];

/// The shipped policy in two variants: other tilts, and another time to keep answers.
pub(crate) fn variants() -> [Vec<PolicyFile>; 2] {
    [("cache_ttl_ms = 1001", "[65, 1.00]"), ("cache_ttl_ms = 1002", "[65, 1.03]")].map(|(ttl, tilt)| {
        let files = trustflow::policy::embedded().files.into_iter();
        files
            .map(|(path, content)| {
                let content = content.replace("cache_ttl_ms = 2000", ttl).replace("[65, 1.00]", tilt);
                PolicyFile { path, content }
            })
            .collect()
    })
}

/// What Score must answer, by version and body.
type Expected = HashMap<(u64, usize), ScoreResponse>;

/// Everything that changes and is the same for equal records: not the revision.
fn comparable(mut answer: ScoreResponse) -> ScoreResponse {
    answer.revision = 0;
    answer
}

/// What came of one phase.
struct Phase {
    durations: Durations,
    /// Answers that are of no version.
    wrong: u64,
}

/// Counts of one phase.
#[derive(Default)]
struct Counts {
    calls: AtomicU64,
    wrong: AtomicU64,
    failed: AtomicU64,
}

/// Runs the part on what `load` left.
pub(crate) fn run(
    args: &Args,
    runtime: &Runtime,
    site: &Site,
    merchants: u32,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    eprintln!("changing policies with {merchants} merchants");
    // Prices move by themselves, and with them the answers of one version: here each version has one answer.
    let server = site.start_tuned(Cores::All, &Tuning::arguments(&["--control-ms", "0"]))?;
    server.await_idle()?;
    runtime.block_on(measure(args, &server, merchants, report))?;
    server.stop()
}

async fn measure(args: &Args, server: &Process, merchants: u32, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let channel = connect(server.address).await?;
    let mut random = Random::new(7);
    let bodies: Vec<ScoreRequest> =
        (0..BODIES).map(|_| score_request(random_live_rooms(merchants, TARGETS, &mut random))).collect();
    let variants = variants();
    let mut expected = Expected::new();
    for files in &variants {
        let version = publish(&channel, files).await?;
        for (at, body) in bodies.iter().enumerate() {
            let answer = ScoringServiceClient::new(channel.clone()).score(body.clone()).await?.into_inner();
            if answer.policy_version != version {
                return Err(format!("version {} answers, {version} was published", answer.policy_version).into());
            }
            expected.insert((version, at), comparable(answer));
        }
    }
    let mut alone = Vec::new();
    for files in variants.iter().cycle().take(QUIET_PUBLISHES) {
        let clock = Stopwatch::start();
        publish(&channel, files).await?;
        alone.push(clock.elapsed().as_secs_f64());
    }
    let alone = Spread::of(alone);
    let cells = ["without load", "-", &QUIET_PUBLISHES.to_string(), &alone.text(2), "-"].map(str::to_owned);
    report.row(TITLE, [merchants.to_string()].into_iter().chain(cells).collect());
    let load = Load { channel: channel.clone(), bodies: bodies.into(), expected: Arc::new(expected) };
    let publishes = if args.quick { 10 } else { 200 };
    let mut ratios = Vec::new();
    let (mut quiet_tails, mut busy_tails, mut took, mut wrong) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut done = 0;
    while done < publishes {
        let quiet = load.phase(server, PHASE).await?;
        let stop = AtomicBool::new(false);
        let rounds = async {
            let clock = Stopwatch::start();
            let mut seconds = Vec::new();
            // At least four whole publishes, however long one takes.
            while (clock.elapsed() < PHASE || seconds.len() < 4) && done + seconds.len() < publishes {
                let files = variants.get(seconds.len() % 2).ok_or("two variants")?;
                let clock = Stopwatch::start();
                publish(&channel, files).await?;
                seconds.push(clock.elapsed().as_secs_f64());
            }
            stop.store(true, Ordering::Relaxed);
            Ok::<_, Box<dyn Error>>(seconds)
        };
        let (busy, seconds) = tokio::join!(load.until(server, &stop), rounds);
        let (busy, seconds) = (busy?, seconds?);
        done += seconds.len();
        took.extend(seconds);
        wrong += quiet.wrong + busy.wrong;
        ratios.push(busy.durations.quantile(0.99) / quiet.durations.quantile(0.99));
        quiet_tails.push(quiet);
        busy_tails.push(busy);
    }
    let spread = Spread::of(took.clone());
    let rows = [("quiet", &quiet_tails, String::from("-")), ("publishing", &busy_tails, spread.text(2))];
    for (name, phases, seconds) in rows {
        let all = Durations::sum(phases.iter().map(|phase| &phase.durations));
        let count = if name == "quiet" { 0 } else { took.len() };
        let mixed = phases.iter().map(|phase| phase.wrong).sum::<u64>();
        let cells = [merchants.to_string(), name.to_owned(), all.text(), count.to_string(), seconds, mixed.to_string()];
        report.row(TITLE, cells.into());
    }
    let simulated = simulate(&load, server, merchants, &variants, report).await?;
    let million = 1e6 / f64::from(merchants);
    let what = |text: &str| format!("{text}, {merchants} merchants");
    let tail = Spread::of(ratios).median;
    let bar =
        Bar::at_most(what("server-side p99 of Score at 1,000/s, publishing against quiet"), tail, "x", TAIL_BARS.0);
    report.bar(PART, bar.goal(TAIL_BARS.1));
    let wrong = f64::from(u32::try_from(wrong)?);
    report.bar(PART, Bar::at_most(what("answers that are of no version"), wrong, "answers", 0.0));
    if merchants >= 100_000 {
        let (alone, busy, simulated) = (alone.median * million, spread.median * million, simulated * million);
        let bar = Bar::at_most(what("re-scoring of 1 M merchants"), alone, "s", RESCORE_BARS.0);
        report.bar(PART, bar.goal(RESCORE_BARS.1));
        let bar = Bar::at_most(what("re-scoring of 1 M merchants beside 1,000 calls/s"), busy, "s", RESCORE_BARS.0);
        report.bar(PART, bar.goal(RESCORE_BARS.1));
        report.bar(PART, Bar::at_most(what("simulation of 1 M merchants"), simulated, "s", SIMULATE_GATE));
    }
    Ok(())
}

/// Simulates some times under load; answers the median of seconds.
async fn simulate(
    load: &Load,
    server: &Process,
    merchants: u32,
    variants: &[Vec<PolicyFile>; 2],
    report: &mut Report,
) -> Result<f64, Box<dyn Error>> {
    let stop = AtomicBool::new(false);
    let rounds = async {
        let clock = Stopwatch::start();
        let mut seconds = Vec::new();
        while clock.elapsed() < PHASE || seconds.len() < 3 {
            let [files, _] = variants.clone();
            let mut client = PolicyServiceClient::new(load.channel.clone()).max_decoding_message_size(16 << 20);
            let request = SimulatePolicyRequest { files, ..SimulatePolicyRequest::default() };
            let answer = client.simulate_policy(request).await?.into_inner();
            seconds.push(f64::from(u32::try_from(answer.took_ms)?) / 1e3);
        }
        stop.store(true, Ordering::Relaxed);
        Ok::<_, Box<dyn Error>>(seconds)
    };
    let (busy, seconds) = tokio::join!(load.until(server, &stop), rounds);
    let (busy, spread) = (busy?, Spread::of(seconds?));
    let text = spread.text(2);
    let cells = [
        merchants.to_string(),
        "simulating".to_owned(),
        busy.durations.text(),
        "-".to_owned(),
        text,
        busy.wrong.to_string(),
    ];
    report.row(TITLE, cells.into());
    Ok(spread.median)
}

pub(crate) async fn publish(channel: &Channel, files: &[PolicyFile]) -> Result<u64, Box<dyn Error>> {
    let mut client = PolicyServiceClient::new(channel.clone());
    let request = PublishPolicyRequest { files: files.to_vec(), ..PublishPolicyRequest::default() };
    Ok(client.publish_policy(request).await?.into_inner().version)
}

/// A constant rate of calls whose answers are compared.
struct Load {
    channel: Channel,
    bodies: Arc<[ScoreRequest]>,
    expected: Arc<Expected>,
}

impl Load {
    /// Calls for some time.
    async fn phase(&self, server: &Process, time: Duration) -> Result<Phase, Box<dyn Error>> {
        let stop = AtomicBool::new(false);
        let wait = async {
            tokio::time::sleep(time).await;
            stop.store(true, Ordering::Relaxed);
        };
        tokio::join!(self.until(server, &stop), wait).0
    }

    /// Calls until told to stop: one every so often, whether or not earlier ones were answered.
    async fn until(&self, server: &Process, stop: &AtomicBool) -> Result<Phase, Box<dyn Error>> {
        let before = Durations::of_score(server)?;
        let counts = Arc::new(Counts::default());
        let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / RATE));
        let calls = Arc::new(Mutex::new(tokio::task::JoinSet::new()));
        let mut at = 0_usize;
        while !stop.load(Ordering::Relaxed) {
            ticks.tick().await;
            at = (at + 1) % self.bodies.len();
            let Some(body) = self.bodies.get(at).cloned() else { continue };
            let (channel, expected, counts) = (self.channel.clone(), self.expected.clone(), counts.clone());
            let call = async move {
                counts.calls.fetch_add(1, Ordering::Relaxed);
                let Ok(answer) = ScoringServiceClient::new(channel).score(body).await else {
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                    return;
                };
                let answer = comparable(answer.into_inner());
                if expected.get(&(answer.policy_version, at)) != Some(&answer) {
                    counts.wrong.fetch_add(1, Ordering::Relaxed);
                }
            };
            if let Ok(mut calls) = calls.lock() {
                calls.spawn(call);
                while calls.try_join_next().is_some() {}
            }
        }
        let rest = calls.lock().map(|mut calls| std::mem::take(&mut *calls)).map_err(|_| "a call panicked")?;
        rest.join_all().await;
        let failed = counts.failed.load(Ordering::Relaxed);
        if failed > 0 {
            return Err(format!("{failed} calls failed").into());
        }
        let durations = Durations::of_score(server)?.since(&before);
        Ok(Phase { durations, wrong: counts.wrong.load(Ordering::Relaxed) })
    }
}
