//! Runs `trustflow backtest`.

use std::path::Path;
use std::process::Command;

use super::args::Args;
use super::clock::Stopwatch;
use super::combos::Ready;
use super::instance::Failure;

/// Runs the program on a combination; seconds from its start to its end.
pub(crate) fn run(args: &Args, ready: &Ready, forecast: &str, seed: u64, log: &Path) -> Result<f64, Failure> {
    let constraints = &ready.instance.constraints;
    let mut command = Command::new(env!("CARGO_BIN_EXE_trustflow"));
    command.arg("backtest").arg("--requests").arg(&ready.requests).arg("--constraints").arg(&ready.constraints);
    command.args(["--forecast", forecast, "--mode", args.mode.name()]);
    command.args(["--slots", &constraints.per_request.to_string(), "--horizon", &ready.horizon.to_string()]);
    command.args(["--seed", &seed.to_string()]).arg("--out").arg(log);
    if let Some(history) = &ready.history {
        command.arg("--history").arg(history);
    }
    if let Some(lag) = args.lag() {
        command.args(["--lag", &lag.to_string()]);
    }
    let watch = Stopwatch::start();
    let output = command.output()?;
    let seconds = watch.seconds();
    if output.status.success() {
        return Ok(seconds);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().next().unwrap_or("trustflow backtest failed").into())
}
