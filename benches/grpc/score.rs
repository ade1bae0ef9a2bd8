//! Server CPU time per Score call: trustflow against the echo server, in alternating runs.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use tokio::runtime::Runtime;
use trustflow::proto::scoring_service_client::ScoringServiceClient;
use trustflow::proto::{Label, ScoreRequest, ScoreResponse};

use crate::args::{Args, Load};
use crate::compare::{Comparison, Figures};
use crate::population::{Random, connect, framed, random_live_rooms, score_request};
use crate::process::{Cores, Process, Program, Tuning};
use crate::report::{Bar, Report};

/// Targets per call, and calls per run: about a second of CPU each.
const SIZES: [(usize, u32); 4] = [(1, 64_000), (50, 48_000), (200, 24_000), (500, 12_000)];
/// Slices of a run, each with its own body for h2load.
const BODIES: usize = 8;
/// Gate and goal of CPU against echo.
const ECHO_BARS: (f64, f64) = (1.1, 1.0);
/// Of millions of candidates a second that one core reaches at 500 per call.
const CANDIDATES_BARS: (f64, f64) = (15.0, 20.0);
/// Of CPU of 200 targets, the largest population against the smallest.
const POPULATION_BARS: (f64, f64) = (1.5, 1.3);

pub(crate) const PART: &str = "score";
pub(crate) const TITLE: &str = "Server CPU per Score call";
pub(crate) const HEAD: [&str; 9] = [
    "merchants",
    "targets",
    "load",
    "echo us",
    "trustflow us",
    "other threads us",
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

pub(crate) fn write_answer(folder: &Path, name: &str, answer: &ScoreResponse) -> Result<PathBuf, Box<dyn Error>> {
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
        let requests = requests(subject.merchants, targets);
        let answer = runtime.block_on(real_answer(subject.server, &requests))?;
        let answer_file = write_answer(subject.folder, "echo", &answer)?;
        let log = subject.folder.join("echo.log");
        let echo = Process::start(&Program::Echo(&[answer_file]), Cores::One, &Tuning::default(), &log)?;
        let bodies = write_bodies(subject.folder, &targets.to_string(), &requests)?;
        let calls = if args.quick { full_calls / 4 } else { full_calls };
        for &load in &args.loads {
            let (yardstick, target, live_rooms) = (&echo, subject.server, subject.merchants);
            let comparison = Comparison { yardstick, target, load, targets, live_rooms, calls, bodies: &bodies };
            measured.push(add_row(&comparison, &comparison.run(args.runs)?, report));
        }
        echo.stop()?;
    }
    Ok(measured)
}

/// The calls that h2load repeats.
pub(crate) fn requests(live_rooms: u32, targets: usize) -> Vec<ScoreRequest> {
    let mut random = Random::new(u64::from(live_rooms));
    (0..BODIES).map(|_| score_request(random_live_rooms(live_rooms, targets, &mut random))).collect()
}

/// Writes messages as h2load sends them, a file each.
pub(crate) fn write_bodies(
    folder: &Path,
    name: &str,
    requests: &[impl Message],
) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut bodies = Vec::new();
    for (number, request) in requests.iter().enumerate() {
        let file = folder.join(format!("{name}-{number}.body"));
        fs::write(&file, framed(request)?)?;
        bodies.push(file);
    }
    Ok(bodies)
}

/// Asks once for every body and checks that the answers are real; returns one of them.
pub(crate) async fn real_answer(server: &Process, requests: &[ScoreRequest]) -> Result<ScoreResponse, Box<dyn Error>> {
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

fn add_row(of: &Comparison<'_>, figures: &Figures, report: &mut Report) -> Measured {
    let Figures { yardstick: echo, target, pairs, background, .. } = figures;
    let targets = f64::from(u32::try_from(of.targets).unwrap_or(u32::MAX));
    let candidates = targets / target.median * 1e6;
    let merchants = of.live_rooms;
    let load = of.load.name();
    report.row(
        TITLE,
        vec![
            merchants.to_string(),
            of.targets.to_string(),
            load.to_owned(),
            format!("{:.2}", echo.median),
            format!("{:.2}", target.median),
            format!("{:.2}", background.median),
            format!("{:.3}", target.median / echo.median),
            pairs.text(3),
            format!("{:.1} M", candidates / 1e6),
        ],
    );
    // The median pair, not the quotient of medians: a busy machine shifts whole runs, and both of a pair alike.
    let ratio = pairs.median;
    if matches!(of.targets, 1 | 200) {
        let what = format!("CPU of Score against echo, {} targets, {merchants} merchants, {load}", of.targets);
        report.bar(PART, Bar::at_most(what, ratio, "x", ECHO_BARS.0).goal(ECHO_BARS.1));
    }
    if of.targets == 500 {
        let what = format!("candidates a second and core, 500 a call, {merchants} merchants, {load}");
        report.bar(PART, Bar::at_least(what, candidates / 1e6, "M", CANDIDATES_BARS.0).goal(CANDIDATES_BARS.1));
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
            let what = format!("CPU of Score, 200 targets, {to} against {from} merchants, {name}");
            let bar = Bar::at_most(what, large.ratio / small.ratio, "x", POPULATION_BARS.0);
            report.bar(PART, bar.goal(POPULATION_BARS.1));
        }
    }
}
