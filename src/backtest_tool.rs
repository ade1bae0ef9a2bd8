//! The command `backtest`: arguments in, a log and a short summary out. `engine::backtest` does the work.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use crate::clock::Stopwatch;
use crate::engine::{Backtest, BacktestError, BacktestMode, BacktestSummary, ForecastChoice, backtest};

/// Replays a stream of requests against budgets, caps and guarantees
#[derive(Debug, clap::Args)]
pub struct BacktestArgs {
    /// Requests in their order, one JSON object a line: merchants, score, value, and time (share of the horizon), or at
    /// (milliseconds since 1970), or sec; what `serve --record` writes
    #[arg(long)]
    requests: PathBuf,
    /// Budgets, caps and guarantees as JSON
    #[arg(long)]
    constraints: PathBuf,
    /// How traffic is expected to come: linear, actual, or profile:FILE with 24 hour shares (a JSON array, or one a line)
    #[arg(long, default_value = "linear", value_parser = parse_forecast)]
    forecast: ForecastChoice,
    /// A past sample of requests, of the same form; sec is the second of the day
    #[arg(long)]
    history: Option<PathBuf>,
    /// Slots of a request; those of the constraints file if not given
    #[arg(long)]
    slots: Option<usize>,
    /// Seconds that the horizon stands for, from midnight, by default what the requests say (sec / time); of instants,
    /// from the first request, by default to the last
    #[arg(long)]
    horizon: Option<f64>,
    /// How slots are filled: by slates, or by a recommender that ranks by adjusted scores or by weights
    #[arg(long, value_enum, default_value = "slate")]
    mode: BacktestMode,
    /// Share of the stream after which a delivery is known (adjusted and weights mode)
    #[arg(long, default_value_t = 0.0)]
    lag: f64,
    /// Seed of everything drawn: the same seed writes the same log
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The log to write: t,cand,programme
    #[arg(long)]
    out: PathBuf,
}

fn parse_forecast(text: &str) -> Result<ForecastChoice, String> {
    match text {
        "linear" => Ok(ForecastChoice::Linear),
        "actual" => Ok(ForecastChoice::Actual),
        _ => match text.strip_prefix("profile:") {
            Some(path) if !path.is_empty() => Ok(ForecastChoice::Profile(path.into())),
            _ => Err("expected linear, actual or profile:FILE".to_owned()),
        },
    }
}

/// Runs a backtest and prints its summary.
///
/// # Errors
/// What is wrong with an input, with file, line and reason.
#[expect(clippy::print_stdout, reason = "what the caller of `backtest` reads")]
pub fn run(args: BacktestArgs) -> Result<(), BacktestError> {
    let started = Stopwatch::start();
    let BacktestArgs { requests, constraints, forecast, history, slots, horizon, mode, lag, seed, out } = args;
    let query = Backtest { requests, constraints, forecast, history, slots, horizon_seconds: horizon, mode, lag, seed };
    let failed = |cause| BacktestError::Io { path: out.clone(), cause };
    let mut log = BufWriter::new(std::fs::File::create(&out).map_err(failed)?);
    let summary =
        backtest(&query, &mut |t, candidate, programme| writeln!(log, "{t},{candidate},{programme}").map_err(failed))?;
    log.flush().map_err(failed)?;
    if summary.torn > 0 {
        eprintln!("warning: {} lines end too early and were passed over", summary.torn);
    }
    let wall = started.elapsed();
    print!("{}", describe(&summary));
    println!("wall {:.2} s", wall.as_secs_f64());
    Ok(())
}

fn describe(summary: &BacktestSummary) -> String {
    let BacktestSummary { requests, slots, value, solves, programmes, guarantees, guarantees_met, missing, .. } =
        summary;
    let mut lines = vec![
        format!("requests {requests}"),
        format!("slots {slots}"),
        format!("value {value:.3}"),
        format!("solves {solves}"),
    ];
    lines.extend(programmes.iter().map(|p| format!("programme {} {} of {}", p.name, p.spent, p.limit)));
    lines.push(format!("guarantees {guarantees_met} of {guarantees} met, {missing} exposures missing"));
    lines.push(format!("forecast error {:.4}\n", summary.forecast_error));
    lines.join("\n")
}
