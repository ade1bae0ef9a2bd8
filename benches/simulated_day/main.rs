//! A day of traffic against the real server, which is killed again and again, and the books that must balance at its
//! end. `docs/simulated-day.md` explains it; `day::options::USAGE` lists the options.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod day;

use std::process::ExitCode;

use day::{Options, USAGE};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs every target, without this flag: nothing to test here.
    if !words.iter().any(|word| word == "--bench") || words.iter().any(|word| word == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let run = || {
        let options = Options::parse(words.into_iter())?;
        // One thread: the server is to have the rest of the machine.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(day::run(&options))
    };
    match run() {
        Ok(verdict) => {
            println!("{verdict}");
            if verdict.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
