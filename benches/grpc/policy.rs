//! Policies that change under load: publishing and simulating beside a constant rate of Score calls.
//!
//! Two texts that score differently take turns. Every answer must be the one of exactly one version, and the tail of
//! Score beside publishing is held against the tail of the same rate in quiet.

use std::collections::HashMap;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
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
use crate::population::{Random, connect, random_live_rooms, score_request};
use crate::process::{Cores, Process};
use crate::report::{Gate, Report, Spread};
use crate::site::Site;

/// Targets of a call.
const TARGETS: usize = 200;
/// Bodies that are sent in turn, so that every answer can be compared.
const BODIES: usize = 16;
/// Calls a second: far below a third of what two cores can do.
const RATE: u64 = 1_000;
/// One phase.
const PHASE: Duration = Duration::from_secs(8);
/// How much longer the tail of Score may be beside publishing.
const TAIL_GATE: f64 = 1.5;
/// Seconds a million records may take.
const RESCORE_GATE: f64 = 2.0;
/// Seconds a simulation of a million merchants may take.
const SIMULATE_GATE: f64 = 4.0;

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
fn variants() -> [Vec<PolicyFile>; 2] {
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
    let server = site.start(Cores::All)?;
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
        ratios.push(busy.quantile(0.99) / quiet.quantile(0.99));
        quiet_tails.push(quiet);
        busy_tails.push(busy);
    }
    let spread = Spread::of(took.clone());
    let rows = [
        ("quiet", &quiet_tails, String::from("-")),
        ("publishing", &busy_tails, format!("{:.2} / {:.2} / {:.2}", spread.min, spread.median, spread.max)),
    ];
    for (name, phases, seconds) in rows {
        let all = Tail::sum(phases);
        let count = if name == "quiet" { 0 } else { took.len() };
        let mixed = phases.iter().map(|phase| phase.wrong).sum::<u64>();
        let cells = [merchants.to_string(), name.to_owned(), all.text(), count.to_string(), seconds, mixed.to_string()];
        report.row(TITLE, cells.into());
    }
    let simulated = simulate(&load, server, merchants, &variants, report).await?;
    let million = 1e6 / f64::from(merchants);
    let what = |text: &str| format!("{text}, {merchants} merchants");
    report.gates.push(Gate::at_most(what("Score p99 publishing / quiet"), Spread::of(ratios).median, TAIL_GATE, "x"));
    report.gates.push(Gate::at_most(what("answers of no version"), f64::from(u32::try_from(wrong)?), 0.0, "answers"));
    if merchants >= 100_000 {
        let per_million = spread.median * million;
        report.gates.push(Gate::at_most(what("publish of 1 M merchants under load"), per_million, RESCORE_GATE, "s"));
        report.gates.push(Gate::at_most(what("simulation of 1 M merchants"), simulated * million, SIMULATE_GATE, "s"));
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
    let text = format!("{:.2} / {:.2} / {:.2}", spread.min, spread.median, spread.max);
    let cells =
        [merchants.to_string(), "simulating".to_owned(), busy.text(), "-".to_owned(), text, busy.wrong.to_string()];
    report.row(TITLE, cells.into());
    Ok(spread.median)
}

async fn publish(channel: &Channel, files: &[PolicyFile]) -> Result<u64, Box<dyn Error>> {
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
    async fn phase(&self, server: &Process, time: Duration) -> Result<Tail, Box<dyn Error>> {
        let stop = AtomicBool::new(false);
        let wait = async {
            tokio::time::sleep(time).await;
            stop.store(true, Ordering::Relaxed);
        };
        tokio::join!(self.until(server, &stop), wait).0
    }

    /// Calls until told to stop: one every so often, whether or not earlier ones were answered.
    async fn until(&self, server: &Process, stop: &AtomicBool) -> Result<Tail, Box<dyn Error>> {
        let before = scrape(server)?;
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
        let tail = scrape(server)?.since(&before);
        Ok(Tail { wrong: counts.wrong.load(Ordering::Relaxed), ..tail })
    }
}

/// The server's histogram of Score's durations: upper bounds in seconds and counts up to them.
#[derive(Clone, Debug, Default)]
struct Tail {
    buckets: Vec<(f64, f64)>,
    wrong: u64,
}

impl Tail {
    fn since(&self, before: &Self) -> Self {
        // A method that was not called yet has no buckets; later they are always the same.
        let earlier = before.buckets.iter().map(|(_, count)| *count).chain(std::iter::repeat(0.0));
        let buckets = self.buckets.iter().zip(earlier).map(|((bound, count), was)| (*bound, count - was)).collect();
        Self { buckets, wrong: 0 }
    }

    fn sum(all: &[Self]) -> Self {
        let mut sum = all.first().cloned().unwrap_or_default();
        for other in all.iter().skip(1) {
            for ((_, count), (_, more)) in sum.buckets.iter_mut().zip(&other.buckets) {
                *count += more;
            }
        }
        sum
    }

    /// A quantile in seconds, between the bounds of its bucket as if calls were spread evenly in it.
    fn quantile(&self, share: f64) -> f64 {
        let total = self.buckets.last().map_or(0.0, |(_, count)| *count);
        let wanted = total * share;
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, count) in &self.buckets {
            if *count >= wanted && *count > below {
                let high = if bound.is_finite() { *bound } else { low * 2.0 };
                return low + (high - low) * (wanted - below) / (count - below);
            }
            (low, below) = (*bound, *count);
        }
        low
    }

    fn text(&self) -> String {
        let micros = |share| self.quantile(share) * 1e6;
        format!("{:.0} / {:.0} / {:.0}", micros(0.5), micros(0.99), micros(0.999))
    }
}

/// Reads the histogram of Score from the server's metrics.
fn scrape(server: &Process) -> Result<Tail, Box<dyn Error>> {
    let mut stream = TcpStream::connect(server.http)?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: bench\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let mut buckets = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("trustflow_grpc_duration_seconds_bucket")) {
        if !line.contains("Score\"") || !line.contains("ScoringService/Score\"") {
            continue;
        }
        let bound = line.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()).ok_or("a bucket without le")?;
        let count = line.rsplit(' ').next().ok_or("a bucket without a count")?;
        buckets.push((if bound == "+Inf" { f64::INFINITY } else { bound.parse()? }, count.parse()?));
    }
    buckets.sort_by(|(a, _): &(f64, f64), (b, _)| a.total_cmp(b));
    Ok(Tail { buckets, wrong: 0 })
}
