//! The run from the first import to the verdict.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinSet;
use trustflow::clock::Stopwatch;
use trustflow::proto::GetStateHashRequest;
use trustflow::proto::admin_service_client::AdminServiceClient;

use crate::day::load::load;
use crate::day::population::Population;
use crate::day::server::{self, Server};
use crate::memory::{Memory, Trend};
use crate::site::{Site, Tally};
use crate::{Options, Outcome, day, faults, reads, writes};

/// Simulated time: a day in half a minute, so that days close, and what is kept for a week comes to its size within
/// minutes.
const CLOCK_RATE: f64 = 2_880.0;
const LOOK: Duration = Duration::from_secs(1);
/// Memory may grow by so much from the first third of a life after its warm-up to the last; below so many seconds that
/// are looked at, or so many MiB, it is noise.
const MOST_GROWTH: f64 = 0.1;
const NOISE_S: usize = 120;

/// What a run came to.
pub(crate) struct Verdict {
    tally: Tally,
    trends: Vec<Trend>,
    seconds: f64,
    samples: String,
}

/// Runs; the error is what kept it from going on.
pub(crate) async fn run(options: Options) -> Outcome<Verdict> {
    let folder = TempDir::new()?;
    let words = format!("--merchants {}", options.merchants);
    let people = day::Options::parse(words.split(' ').map(ToOwned::to_owned))?;
    let site = server::Site {
        data: folder.path().join("data"),
        policy: None,
        log: folder.path().join("server.log"),
        args: ["--max-calls-per-second", faults::MAX_CALLS_PER_SECOND].map(ToOwned::to_owned).into(),
    };
    let ended = soak(options, &people, &site).await;
    ended.map_err(|error| format!("{error}; the end of the server's log:\n{}", server::tail(&site.log)).into())
}

async fn soak(options: Options, people: &day::Options, place: &server::Site) -> Outcome<Verdict> {
    let population = Population::new(people);
    // The limit of calls a second is for the run: loading goes as fast as it can.
    let unlimited = server::Site { args: Vec::new(), ..place.clone() };
    let mut server = Server::start(&unlimited, people.from, 0.0).await?;
    load(&server.channel, &population, people.from.day()).await?;
    let now = server.kill()?;
    server = Server::start(place, now, CLOCK_RATE).await?;
    let site = Site::new(population, &server);
    let mut tasks = JoinSet::new();
    reads::begin(&site, &mut tasks);
    writes::begin(&site, &mut tasks);
    faults::begin(&site, &mut tasks);

    let (watch, mut memory, mut life) = (Stopwatch::start(), Memory::default(), 0);
    while watch.elapsed() < options.wall {
        tokio::time::sleep(LOOK).await;
        memory.add(watch.elapsed().as_secs_f64(), life, server.resident_kib());
        if life == 0 && watch.elapsed() > options.wall / 2 {
            site.goes();
            let now = server.kill()?;
            server = Server::start(place, now, CLOCK_RATE).await?;
            site.comes(&server);
            life = 1;
        }
        if let Some(task) = tasks.try_join_next() {
            task?;
            return Err("somebody stopped before the end".into());
        }
    }
    site.end();
    while let Some(task) = tasks.join_next().await {
        task?;
    }
    // It still answers, and what it answers is whole.
    AdminServiceClient::new(server.channel.clone()).get_state_hash(GetStateHashRequest {}).await?;
    let page = server.metrics().await?;
    if !page.contains("trustflow_") {
        site.wrong("metrics", "are not told");
    }
    let log = std::fs::read_to_string(&place.log)?;
    for line in log.lines().filter(|line| line.contains("panicked") || line.contains("ERROR")) {
        site.wrong("the server's log", line);
    }
    server.kill()?;
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/soak.csv");
    std::fs::write(&samples, memory.csv())?;
    Ok(Verdict {
        tally: site.tally(),
        trends: memory.trends(),
        seconds: watch.elapsed().as_secs_f64(),
        samples: samples.display().to_string(),
    })
}

impl Verdict {
    fn grows(&self) -> bool {
        self.trends.iter().any(|trend| trend.samples >= NOISE_S && trend.growth > MOST_GROWTH)
    }

    /// Whether nothing was wrong.
    pub(crate) fn holds(&self) -> bool {
        self.tally.unexpected == 0 && !self.grows()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:.0} s of mixed load with faults, one kill -9 in the middle\n", self.seconds)?;
        writeln!(f, "| who | what came | times |\n|---|---|---|")?;
        for ((who, what), times) in &self.tally.answers {
            writeln!(f, "| {who} | {what} | {times} |")?;
        }
        writeln!(
            f,
            "\n| memory after warm-up | MiB, mean (least to most) | slope, MiB/h | fit, R² | last third against first |"
        )?;
        writeln!(f, "|---|---|---|---|---|")?;
        for trend in &self.trends {
            let Trend { life, samples, mean_mib, range_mib: (low, high), slope_mib_h: (slope, error), fit, growth } =
                trend;
            writeln!(
                f,
                "| life {}, {samples} s | {mean_mib:.1} ({low:.1} to {high:.1}) | {slope:+.1} ± {error:.1} | {fit:.2} | {:+.1} % |",
                life + 1,
                growth * 100.0,
            )?;
        }
        writeln!(f, "\nsamples: {}", self.samples)?;
        for words in &self.tally.words {
            writeln!(f, "unexpected: {words}")?;
        }
        if self.grows() {
            writeln!(f, "memory grows")?;
        }
        write!(f, "{}", if self.holds() { "holds" } else { "FAILS" })
    }
}
