//! How much of the hindsight optimum `trustflow backtest` reaches on the shared request streams, beside baselines, on the
//! shipped constraint sets or on others. `just bench-allocation --help` lists the options, docs/allocation-benchmark.md
//! explains them.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "indexes are of merchants and programmes that were counted, and no count comes near 2^52"
)]

mod args;
mod baselines;
mod bound;
mod clock;
mod combos;
mod data;
mod dice;
mod forecast;
mod instance;
mod judge;
mod ledger;
mod ours;
mod report;
mod sets;

use std::fs;
use std::process::ExitCode;

use args::Args;
use baselines::Baseline;
use clap::{CommandFactory, Parser};
use clock::Stopwatch;
use combos::{Combo, Ready};
use data::Data;
use instance::{Choice, Failure, read_log, write_log};
use judge::{Verdict, judge};
use report::Row;

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode, Failure> {
    // `cargo test --all-targets` runs every target, without this flag: nothing to test here.
    if !std::env::args().any(|word| word == "--bench") {
        Args::command().print_help()?;
        return Ok(ExitCode::SUCCESS);
    }
    let args = Args::parse();
    let Some(data) = Data::open(&args.folder(), &args.python)? else { return Ok(ExitCode::SUCCESS) };
    if args.check_bound {
        return check_bound(&args, &data);
    }
    let mut rows = Vec::new();
    for combo in combos::combos(&args)? {
        let forecasts = combo.forecasts(&args, &data);
        if !forecasts.is_empty() {
            measure(&args, &data, &combo, &forecasts, &mut rows)?;
        }
    }
    let holds = report::print(&args, &rows);
    Ok(if holds || !args.gate { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs every control that was asked for on a combination.
fn measure(args: &Args, data: &Data, combo: &Combo, forecasts: &[String], rows: &mut Vec<Row>) -> Result<(), Failure> {
    let ready = combo.ready(args, data)?;
    let log = data.cache().join(format!("{}.{}.{}.csv", combo.stream, combo.set, combo.variant));
    for forecast in forecasts {
        let (curve, words) = ready.forecast(forecast, data)?;
        if !args.baselines_only {
            let mut row = row(data, &ready, forecast, args.mode.name());
            for seed in 1..=args.seeds.max(1) {
                let done =
                    ours::run(args, &ready, &words, seed, &log).and_then(|seconds| Ok((seconds, read_log(&log)?)));
                match done {
                    Ok((seconds, choices)) => add(data, &ready, &mut row, seconds, &choices)?,
                    Err(error) => row.failure = Some(error.to_string()),
                }
            }
            finish(row, rows);
        }
        if args.baselines || args.baselines_only {
            for baseline in Baseline::ALL {
                let mut row = row(data, &ready, forecast, baseline.name());
                let watch = Stopwatch::start();
                let choices = baseline.run(&ready.instance, &curve, 1);
                let seconds = watch.seconds();
                write_log(&log, &choices)?;
                add(data, &ready, &mut row, seconds, &read_log(&log)?)?;
                finish(row, rows);
            }
        }
    }
    fs::remove_file(&log).or_else(|error| if log.exists() { Err(error) } else { Ok(()) })?;
    Ok(())
}

fn row(data: &Data, ready: &Ready, forecast: &str, control: &str) -> Row {
    let combo = &ready.combo;
    let is_ours = Baseline::ALL.iter().all(|one| one.name() != control);
    Row {
        key: [&combo.stream, &combo.set, &combo.variant, forecast].map(ToString::to_string),
        control: control.to_owned(),
        is_ours,
        optimum: ready.optimum,
        verdicts: Vec::new(),
        wall: 0.0,
        failure: None,
        reference: data.reached(&combo.key(forecast), if is_ours { "hybrid" } else { control }),
    }
}

/// Judges a log; where the checker knows the instance, it must agree.
fn add(data: &Data, ready: &Ready, row: &mut Row, seconds: f64, log: &[Choice]) -> Result<(), Failure> {
    let verdict = judge(&ready.instance, log);
    if ready.is_shipped {
        let combo = &ready.combo;
        let file = data.cache().join(format!("{}.{}.{}.csv", combo.stream, combo.set, combo.variant));
        let checked = data.check(&combo.stream, &combo.set, &combo.variant, &file)?;
        let near = |one: f64, other: f64| (one - other).abs() < 2e-4;
        let agrees = (checked.errors == 0) == verdict.errors.is_empty()
            && near(checked.value_ratio, verdict.value / ready.optimum)
            && near(checked.penalised_ratio, verdict.penalised / ready.optimum)
            && (checked.overspend_exposures, checked.cap_excess_exposures) == (verdict.overspend, verdict.cap_excess)
            && near(checked.guarantee_shortfall_pct, verdict.shortfall)
            && (checked.coverage_at_99pct - verdict.coverage).abs() < 0.01;
        if verdict.errors.is_empty() && !agrees {
            return Err(format!("{}: the checker says {checked:?}, we say {verdict:?}", row.key.join("|")).into());
        }
    }
    let runs = row.verdicts.len() as f64;
    row.wall = (row.wall * runs + seconds) / (runs + 1.0);
    row.verdicts.push(verdict);
    Ok(())
}

fn finish(row: Row, rows: &mut Vec<Row>) {
    let last = row.verdicts.last().map_or(0.0, |one: &Verdict| 100.0 * one.penalised / row.optimum);
    eprintln!("{} {}: {last:.3} % in {:.1} s", row.key.join("|"), row.control, row.wall);
    rows.push(row);
}

/// The bound that random sets are judged by, beside certified optima.
fn check_bound(args: &Args, data: &Data) -> Result<ExitCode, Failure> {
    let mut holds = true;
    for combo in combos::combos(&Args { random_sets: None, sets: None, ..args.clone() })? {
        if combo.forecasts(args, data).is_empty() {
            continue;
        }
        let ready = combo.ready(args, data)?;
        let watch = Stopwatch::start();
        let bound = bound::upper_bound(&ready.instance);
        let above = 100.0 * (bound / ready.optimum - 1.0);
        eprintln!("{}: the bound is {above:.4} % above the optimum, in {:.1} s", combo.key(""), watch.seconds());
        // The optima are certified to five parts in ten million.
        holds &= bound > ready.optimum * (1.0 - 1e-6);
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
