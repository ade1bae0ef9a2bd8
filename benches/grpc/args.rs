//! What the benchmark was asked to do.

use std::error::Error;

/// Help text.
pub(crate) const USAGE: &str = "\
cargo bench --profile dist --bench grpc -- [OPTIONS] [score] [allocate] [import] [start] [policy]

Without names all five run.
  score               server CPU per Score call against the echo server
  allocate            server CPU of adjusted scores and of slates against plain Score
  import              durable merchant-days a second of ProfileService.Import
  start               time from spawn to `listening`, and resident memory, on the loaded data folder
  policy              200 publishes and some simulations beside 1,000 Score calls a second: tail, time, consistency

  --quick             fewer calls, 10,000 merchants only
  --merchants N       population instead of 10,000 and 1,000,000; may be repeated
  --runs N            alternating runs of each server (5)
  --load WHAT         h2load (8 bodies, repeated), fresh (random ids in every call), or both (both)
  --self              the echo server stands in for trustflow: states the noise floor and the client's own ceiling
  --ratio X           CPU ratio that the gate allows (1.4)
  --gate              exit with failure when a gate does not hold";

/// A part of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Score,
    Allocate,
    Import,
    Start,
    Policy,
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
    pub(crate) merchants: Vec<u32>,
    pub(crate) runs: usize,
    pub(crate) loads: Vec<Load>,
    pub(crate) echo_as_target: bool,
    pub(crate) ratio: f64,
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
            echo_as_target: false,
            ratio: 1.4,
            gate: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n\n{USAGE}"));
            match word.as_str() {
                "score" => args.parts.push(Part::Score),
                "allocate" => args.parts.push(Part::Allocate),
                "import" => args.parts.push(Part::Import),
                "start" => args.parts.push(Part::Start),
                "policy" => args.parts.push(Part::Policy),
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
                "--self" => args.echo_as_target = true,
                "--ratio" => args.ratio = value()?.parse()?,
                "--gate" => args.gate = true,
                "--bench" => {}
                other => return Err(format!("unknown argument {other}\n\n{USAGE}").into()),
            }
        }
        if args.runs == 0 || args.merchants.contains(&0) {
            return Err("--runs and --merchants are at least 1".into());
        }
        if args.parts.is_empty() {
            args.parts = vec![Part::Score, Part::Allocate, Part::Import, Part::Start, Part::Policy];
        }
        if args.merchants.is_empty() {
            args.merchants = if args.quick { vec![10_000] } else { vec![10_000, 1_000_000] };
        }
        Ok(args)
    }

    /// Whether a part was asked for.
    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}
