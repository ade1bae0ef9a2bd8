//! What the benchmark was asked to do.

use std::error::Error;
use std::path::PathBuf;

/// Help text.
pub(crate) const USAGE: &str = "\
cargo bench --profile dist --bench grpc -- [OPTIONS] [PART...]

Without names all parts run.
  score               server CPU per Score call against the echo server
  allocate            server CPU of adjusted scores and of slates against plain Score
  import              durable merchant-days a second of ProfileService.Import
  start               time from spawn to `listening`, and memory, on the loaded data folder
  policy              200 publishes and some simulations beside 1,000 Score calls a second: tail, time, consistency
  tail                open loop at 30 % and 60 % of capacity: quiet, beside writes, publishes and closings
  scale               import, restart, score, close a day, publish, at three sizes up to 3 M merchants
  redis               CPU of MGET of as many keys in Redis, on the same core
  settings            one setting of the runtime or the transport changed at a time, against the default

  --quick             fewer calls, 10,000 merchants only, 20 s per step of `tail`
  --merchants N       population instead of 10,000, 1,000,000 and 3,000,000 (`scale`: 30,000, 300,000 and 3,000,000);
                      may be repeated. Parts that need one population take the one nearest to a million
  --runs N            alternating runs of each server (5)
  --load WHAT         h2load (8 bodies, repeated), fresh (random ids in every call), or both (both)
  --step SECONDS      length of a step of `tail` (300)
  --against FILE      another build of trustflow that `settings` compares with this one
  --self              the echo server stands in for trustflow: states the noise floor and the client's own ceiling
  --out FILE          appends all figures as JSON lines, for benches/grpc/report.py
  --gate              exit with failure when a gate does not hold";

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Score,
    Allocate,
    Import,
    Start,
    Policy,
    Tail,
    Scale,
    Redis,
    Settings,
}

impl Part {
    const ALL: [(&'static str, Self); 9] = [
        ("score", Self::Score),
        ("allocate", Self::Allocate),
        ("import", Self::Import),
        ("start", Self::Start),
        ("policy", Self::Policy),
        ("tail", Self::Tail),
        ("scale", Self::Scale),
        ("redis", Self::Redis),
        ("settings", Self::Settings),
    ];
}

/// How calls are driven.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// h2load repeats each of a few bodies: the records asked for stay in the caches.
    Repeated,
    /// Our own client asks for random ids in every call: records come from wherever the population lives.
    Fresh,
}

impl Load {
    /// Name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Repeated => "h2load",
            Self::Fresh => "fresh",
        }
    }
}

/// The settings of a run.
pub(crate) struct Args {
    pub(crate) parts: Vec<Part>,
    pub(crate) quick: bool,
    merchants: Vec<u32>,
    pub(crate) runs: usize,
    pub(crate) loads: Vec<Load>,
    step_seconds: Option<u32>,
    pub(crate) against: Option<PathBuf>,
    pub(crate) echo_as_target: bool,
    pub(crate) out: Option<PathBuf>,
    pub(crate) gate: bool,
}

impl Args {
    /// Reads the arguments that follow the program's name.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut args = Self {
            parts: Vec::new(),
            quick: false,
            merchants: Vec::new(),
            runs: 5,
            loads: vec![Load::Repeated, Load::Fresh],
            step_seconds: None,
            against: None,
            echo_as_target: false,
            out: None,
            gate: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n\n{USAGE}"));
            match word.as_str() {
                "--quick" => args.quick = true,
                "--merchants" => args.merchants.push(value()?.replace('_', "").parse()?),
                "--runs" => args.runs = value()?.parse()?,
                "--load" => {
                    args.loads = match value()?.as_str() {
                        "h2load" => vec![Load::Repeated],
                        "fresh" => vec![Load::Fresh],
                        "both" => vec![Load::Repeated, Load::Fresh],
                        other => return Err(format!("no load is called {other}\n\n{USAGE}").into()),
                    }
                }
                "--step" => args.step_seconds = Some(value()?.parse()?),
                "--against" => args.against = Some(value()?.into()),
                "--self" => args.echo_as_target = true,
                "--out" => args.out = Some(value()?.into()),
                "--gate" => args.gate = true,
                // The first is cargo's; the second separates its arguments from ours, and is easily given twice.
                "--bench" | "--" => {}
                name => match Part::ALL.into_iter().find(|(part, _)| *part == name) {
                    Some((_, part)) => args.parts.push(part),
                    None => return Err(format!("unknown argument {name}\n\n{USAGE}").into()),
                },
            }
        }
        if args.runs == 0 || args.merchants.iter().any(|&merchants| merchants < 10) || args.step_seconds == Some(0) {
            return Err("--runs and --step are at least 1, --merchants at least 10".into());
        }
        if args.parts.is_empty() {
            args.parts = Part::ALL.map(|(_, part)| part).into();
        }
        Ok(args)
    }

    /// Whether a part was asked for.
    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// Populations of one live room per merchant.
    pub(crate) fn populations(&self) -> Vec<u32> {
        match (self.merchants.is_empty(), self.quick) {
            (false, _) => self.merchants.clone(),
            (true, true) => vec![10_000],
            (true, false) => vec![10_000, 1_000_000, 3_000_000],
        }
    }

    /// Populations with products, a tenth of them with live rooms.
    pub(crate) fn scales(&self) -> Vec<u32> {
        match (self.merchants.is_empty(), self.quick) {
            (false, _) => self.merchants.clone(),
            (true, true) => vec![3_000, 30_000],
            (true, false) => vec![30_000, 300_000, 3_000_000],
        }
    }

    /// The population for parts that need only one.
    pub(crate) fn typical(&self) -> u32 {
        self.populations().into_iter().min_by_key(|each| each.abs_diff(1_000_000)).unwrap_or(1_000_000)
    }

    /// Length of a step of `tail`.
    pub(crate) fn step_seconds(&self) -> u32 {
        self.step_seconds.unwrap_or(if self.quick { 20 } else { 300 })
    }
}
