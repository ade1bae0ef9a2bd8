//! Mixed load with faults against the real server, which is killed in the middle: memory over time, and every error
//! that was not injected. `docs/hostile-input.md` tells more.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    reason = "figures of a run, far below any limit; a wrong index ends the run, as it should"
)]

#[allow(dead_code, unused_imports, reason = "the soak takes the server and the population of the simulated day")]
#[path = "../simulated_day/day/mod.rs"]
mod day;
mod faults;
mod memory;
#[path = "../program/mod.rs"]
mod program;
mod reads;
mod run;
mod site;
mod writes;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

/// What may fail: a run that cannot go on.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str = "\
just soak [MINUTES]

  --minutes M    length of the run (2); the server is killed in the middle
  --merchants N  merchants (20000)";

/// What a run was asked to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Its length.
    pub(crate) wall: Duration,
    /// Merchants.
    pub(crate) merchants: u32,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = Self { wall: Duration::from_secs(120), merchants: 20_000 };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n\n{USAGE}"));
            match word.as_str() {
                "--minutes" => options.wall = Duration::from_secs_f64(60.0 * value()?.parse::<f64>()?),
                "--merchants" => options.merchants = value()?.parse()?,
                "--bench" => {}
                other => return Err(format!("unknown argument {other}\n\n{USAGE}").into()),
            }
        }
        if options.wall < Duration::from_secs(40) || options.merchants < 200 {
            return Err("at least 40 seconds and 200 merchants are needed".into());
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    let run = async |words: Vec<String>| run::run(Options::parse(words.into_iter())?).await;
    program::program(USAGE, run, run::Verdict::holds)
}
