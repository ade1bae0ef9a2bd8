//! A day of traffic against the real server, which is killed again and again, and the books that must balance at its
//! end. `docs/simulated-day.md` explains it; `day::options::USAGE` lists the options.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod day;
#[path = "../program/mod.rs"]
mod program;

use std::process::ExitCode;

use day::verdict::Verdict;
use day::{Options, USAGE};

fn main() -> ExitCode {
    let run = async |words: Vec<String>| day::run(&Options::parse(words.into_iter())?).await;
    program::program(USAGE, run, Verdict::holds)
}
