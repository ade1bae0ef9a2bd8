//! How benches begin and end that come to a verdict.

use std::error::Error;
use std::fmt::Display;
use std::process::ExitCode;

/// Runs such a bench with the words it was given, and prints its verdict.
pub(crate) fn program<V: Display>(
    usage: &str,
    run: impl AsyncFnOnce(Vec<String>) -> Result<V, Box<dyn Error + Send + Sync>>,
    holds: impl Fn(&V) -> bool,
) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs every target, without this flag: nothing to test here.
    if !words.iter().any(|word| word == "--bench") || words.iter().any(|word| word == "--help") {
        println!("{usage}");
        return ExitCode::SUCCESS;
    }
    // One thread: the server is to have the rest of the machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(words))) {
        Ok(verdict) => {
            println!("{verdict}");
            if holds(&verdict) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
