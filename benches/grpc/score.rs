//! Server CPU time per Score call: trustflow against the echo server, in alternating runs.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prost::Message;
use tokio::runtime::Runtime;
use trustflow::proto::scoring_service_client::ScoringServiceClient;
use trustflow::proto::{Label, ScoreRequest, ScoreResponse};

use crate::args::{Args, Load};
use crate::load::{Sent, fresh, repeated};
use crate::population::{Random, connect, framed, random_live_rooms, score_request};
use crate::process::{Cores, Process, Program};
use crate::report::{Gate, Report, Spread};

/// Targets per call, and calls per run: about a second of CPU each.
const SIZES: [(usize, u32); 4] = [(1, 64_000), (50, 48_000), (200, 24_000), (500, 12_000)];
/// Slices of a run, each with its own body for h2load.
const BODIES: usize = 8;
/// Candidates a second that one core must reach at 500 per call.
const CANDIDATES_GATE: f64 = 15e6;
/// CPU of 200 targets, the largest population against the smallest.
const POPULATION_GATE: f64 = 1.5;
/// The bars of the design for CPU against echo, stricter than the default gate.
const DESIGN_RATIO: f64 = 1.1;

pub(crate) const TITLE: &str = "Server CPU per Score call";
pub(crate) const HEAD: [&str; 8] = [
    "merchants",
    "targets",
    "load",
    "echo us",
    "trustflow us",
    "ratio of medians",
    "pair ratios min / median / max",
    "candidates/s/core",
];

/// The running server under test, and where to put files.
pub(crate) struct Subject<'a> {
    pub(crate) server: &'a Process,
    pub(crate) merchants: u32,
    pub(crate) folder: &'a Path,
}

/// CPU per call against echo, for comparisons between populations.
pub(crate) struct Measured {
    load: Load,
    targets: usize,
    merchants: u32,
    ratio: f64,
}

/// Writes the answers that let the echo server stand in for the real one.
pub(crate) fn typical_answers(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    SIZES.iter().map(|&(targets, _)| write_answer(folder, "typical", &crate::echo::typical_answer(targets))).collect()
}

fn write_answer(folder: &Path, name: &str, answer: &ScoreResponse) -> Result<PathBuf, Box<dyn Error>> {
    let file = folder.join(format!("{name}-{}.answer", answer.trust_scores.len()));
    fs::write(&file, answer.encode_to_vec())?;
    Ok(file)
}

/// Measures every size under every load.
pub(crate) fn run(
    args: &Args,
    runtime: &Runtime,
    subject: &Subject<'_>,
    report: &mut Report,
) -> Result<Vec<Measured>, Box<dyn Error>> {
    let mut measured = Vec::new();
    for (targets, full_calls) in SIZES {
        let mut random = Random::new(u64::from(subject.merchants));
        let requests: Vec<ScoreRequest> =
            (0..BODIES).map(|_| score_request(random_live_rooms(subject.merchants, targets, &mut random))).collect();
        let answer = runtime.block_on(real_answer(subject.server, &requests))?;
        let answer_file = write_answer(subject.folder, "echo", &answer)?;
        let log = subject.folder.join("echo.log");
        let echo = Process::start(&Program::Echo(&[answer_file]), Cores::One, &log)?;
        let mut bodies = Vec::new();
        for (number, request) in requests.iter().enumerate() {
            let file = subject.folder.join(format!("{targets}-{number}.body"));
            fs::write(&file, framed(request)?)?;
            bodies.push(file);
        }
        let calls = if args.quick { full_calls / 4 } else { full_calls };
        for &load in &args.loads {
            let comparison = Comparison { subject, echo: &echo, load, targets, calls, bodies: &bodies };
            measured.push(add_row(args, &comparison, &comparison.run(args.runs)?, report));
        }
        echo.stop()?;
    }
    Ok(measured)
}

/// Asks once for every body and checks that the answers are real; returns one of them.
async fn real_answer(server: &Process, requests: &[ScoreRequest]) -> Result<ScoreResponse, Box<dyn Error>> {
    let mut client = ScoringServiceClient::new(connect(server.address).await?);
    let mut last = ScoreResponse::default();
    for request in requests {
        last = client.score(request.clone()).await?.into_inner();
        let targets = request.target_ids.len();
        let columns = [last.trust_scores.len(), last.boost_weights.len(), last.programmes.len(), last.labels.len()];
        if columns != [targets; 4] {
            return Err(format!("columns of {columns:?} entries for {targets} targets").into());
        }
        let unknown = last.labels.iter().filter(|&&labels| labels & Label::Unknown as u32 != 0).count();
        let zero = last.trust_scores.iter().filter(|&&score| score <= 0.0).count();
        if unknown > 0 || zero == targets {
            return Err(format!("{unknown} of {targets} live rooms are unknown, {zero} score 0").into());
        }
    }
    Ok(last)
}

/// Two servers under one load.
struct Comparison<'a> {
    subject: &'a Subject<'a>,
    echo: &'a Process,
    load: Load,
    targets: usize,
    calls: u32,
    bodies: &'a [PathBuf],
}

/// What came out: microseconds of CPU per call.
struct Figures {
    echo: Spread,
    trustflow: Spread,
    pairs: Spread,
}

impl Comparison<'_> {
    fn run(&self, runs: usize) -> Result<Figures, Box<dyn Error>> {
        let target = self.subject.server;
        for slice in self.slices(0) {
            self.send(self.echo, &slice)?;
            self.send(target, &slice)?;
        }
        target.await_idle()?;
        let (mut echo, mut trustflow, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        for (_, seed) in (0..runs).zip(1_u64..) {
            let (mut of_echo, mut of_trustflow) = (Used::default(), Used::default());
            for slice in self.slices(seed) {
                // Who goes first alternates, so that a drift of the machine favours neither.
                if slice.echo_first {
                    self.measure(self.echo, &slice, &mut of_echo)?;
                    self.measure(target, &slice, &mut of_trustflow)?;
                } else {
                    self.measure(target, &slice, &mut of_trustflow)?;
                    self.measure(self.echo, &slice, &mut of_echo)?;
                }
            }
            check_equal_size(of_echo.sent, of_trustflow.sent)?;
            echo.push(of_echo.micros_per_call());
            trustflow.push(of_trustflow.micros_per_call());
            pairs.push(of_trustflow.micros_per_call() / of_echo.micros_per_call());
        }
        Ok(Figures { echo: Spread::of(echo), trustflow: Spread::of(trustflow), pairs: Spread::of(pairs) })
    }

    /// The parts of a run: one body of h2load each, or other ids.
    fn slices(&self, run: u64) -> impl Iterator<Item = Slice<'_>> {
        self.bodies.iter().zip(0_u64..).map(move |(body, number)| Slice {
            body,
            seed: run * 1_000 + number,
            echo_first: (run + number).is_multiple_of(2),
        })
    }

    fn measure(&self, server: &Process, slice: &Slice<'_>, used: &mut Used) -> Result<(), Box<dyn Error>> {
        let before = server.cpu()?;
        let sent = self.send(server, slice)?;
        used.cpu += server.cpu()?.saturating_sub(before);
        used.sent.calls += sent.calls;
        used.sent.answer_bytes += sent.answer_bytes;
        Ok(())
    }

    fn send(&self, server: &Process, slice: &Slice<'_>) -> Result<Sent, Box<dyn Error>> {
        let calls = self.calls / u32::try_from(self.bodies.len())?;
        match self.load {
            Load::Repeated => repeated(server.address, slice.body, calls),
            Load::Fresh => fresh(server.address, calls, self.targets, self.subject.merchants, slice.seed),
        }
    }
}

/// A part of a run that both servers get.
struct Slice<'a> {
    body: &'a Path,
    seed: u64,
    echo_first: bool,
}

/// What one server used in a run.
#[derive(Default)]
struct Used {
    cpu: Duration,
    sent: Sent,
}

impl Used {
    fn micros_per_call(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / f64::from(self.sent.calls)
    }
}

/// A refused call is answered with 200 and no data: bytes tell. Sizes differ a little, labels are varints.
fn check_equal_size(echo: Sent, trustflow: Sent) -> Result<(), Box<dyn Error>> {
    let slack = echo.answer_bytes / 10;
    if echo.calls == trustflow.calls && echo.answer_bytes.abs_diff(trustflow.answer_bytes) <= slack {
        return Ok(());
    }
    Err(format!("the answers are not alike: echo {echo:?}, trustflow {trustflow:?}").into())
}

fn add_row(args: &Args, of: &Comparison<'_>, figures: &Figures, report: &mut Report) -> Measured {
    let Figures { echo, trustflow, pairs } = figures;
    let targets = f64::from(u32::try_from(of.targets).unwrap_or(u32::MAX));
    let candidates = targets / trustflow.median * 1e6;
    let merchants = of.subject.merchants;
    let load = of.load.name();
    report.row(
        TITLE,
        vec![
            merchants.to_string(),
            of.targets.to_string(),
            load.to_owned(),
            format!("{:.2}", echo.median),
            format!("{:.2}", trustflow.median),
            format!("{:.3}", trustflow.median / echo.median),
            format!("{:.3} / {:.3} / {:.3}", pairs.min, pairs.median, pairs.max),
            format!("{:.1} M", candidates / 1e6),
        ],
    );
    let what = format!("CPU against echo, {} targets, {merchants} merchants, {load}", of.targets);
    // The median pair, not the quotient of medians: a busy machine shifts whole runs, and both of a pair alike.
    let ratio = pairs.median;
    report.gates.push(Gate::at_most(what.clone(), ratio, args.ratio, "x"));
    if matches!(of.targets, 1 | 200) && DESIGN_RATIO < args.ratio {
        report.aims.push(Gate::at_most(what, ratio, DESIGN_RATIO, "x"));
    }
    if of.targets == 500 {
        let what = format!("candidates/s/core, {merchants} merchants, {load}");
        report.gates.push(Gate::at_least(what, candidates / 1e6, CANDIDATES_GATE / 1e6, "M"));
    }
    Measured { load: of.load, targets: of.targets, merchants, ratio }
}

/// What a larger population costs: CPU per call of the largest against the smallest, 200 targets. Echo knows no
/// population: taking both against it leaves out how the machine changed between them.
pub(crate) fn compare_populations(measured: &[Measured], report: &mut Report) {
    for load in [Load::Repeated, Load::Fresh] {
        let alike = || measured.iter().filter(move |one| one.load == load && one.targets == 200);
        let small = alike().min_by_key(|one| one.merchants);
        let large = alike().max_by_key(|one| one.merchants);
        if let (Some(small), Some(large)) = (small, large)
            && small.merchants < large.merchants
        {
            let (name, from, to) = (load.name(), small.merchants, large.merchants);
            let what = format!("CPU of 200 targets, {to} against {from} merchants, {name}");
            report.gates.push(Gate::at_most(what, large.ratio / small.ratio, POPULATION_GATE, "x"));
        }
    }
}
