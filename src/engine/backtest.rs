//! Backtests: a recorded stream of requests, replayed at full speed through the control that serves.
//!
//! `input` reads the files, `accounts` keeps the exposures, `replay` drives `traffic`'s controller by the clock of the
//! stream. One seed gives one log.

mod accounts;
mod input;
mod members;
mod replay;

use std::path::PathBuf;

pub use input::BacktestError;

use members::Members;

/// How traffic is expected to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForecastChoice {
    /// Evenly over the horizon.
    Linear,
    /// By hour of day: the file has 24 shares.
    Profile(PathBuf),
    /// As it does come in the stream.
    Actual,
}

/// How slots are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BacktestMode {
    /// By slates, charged as they are filled.
    Slate,
    /// By a recommender that ranks by adjusted scores and shows those above 0.
    Adjusted,
    /// By a recommender that ranks by score times weight.
    Weights,
}

/// What is replayed.
#[derive(Clone, Debug)]
pub struct Backtest {
    /// Requests, one JSON object a line.
    pub requests: PathBuf,
    /// Budgets, caps and guarantees.
    pub constraints: PathBuf,
    /// How traffic is expected to come.
    pub forecast: ForecastChoice,
    /// A past sample.
    pub history: Option<PathBuf>,
    /// Slots of a request; those of the constraints file if not given.
    pub slots: Option<usize>,
    /// Seconds of the horizon, which begins at midnight, or with the first request where these tell instants.
    pub horizon_seconds: Option<f64>,
    /// How slots are filled.
    pub mode: BacktestMode,
    /// Share of the stream after which a delivery is known; slates know theirs at once.
    pub lag: f64,
    /// Seed of everything drawn.
    pub seed: u64,
}

/// What a programme spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgrammeSpend {
    /// Its name.
    pub name: String,
    /// Exposures spent.
    pub spent: u64,
    /// Its budget in exposures.
    pub limit: u64,
}

/// What came of a backtest.
#[derive(Clone, Debug, PartialEq)]
pub struct BacktestSummary {
    /// Requests replayed.
    pub requests: usize,
    /// Lines that ended too early and were passed over.
    pub torn: usize,
    /// Slots filled.
    pub slots: u64,
    /// Value of the exposures, with boosts.
    pub value: f64,
    /// How often prices were solved.
    pub solves: u64,
    /// By programme, in the order of the file.
    pub programmes: Vec<ProgrammeSpend>,
    /// Members with a guarantee.
    pub guarantees: usize,
    /// Of those, members that got it.
    pub guarantees_met: usize,
    /// Guaranteed exposures that were not given.
    pub missing: u64,
    /// Mean relative error of the forecast of the traffic left, each time prices were solved.
    pub forecast_error: f64,
}

/// Replays a stream. `log` is called for every exposure: position of the request, of the candidate, and the id of the
/// support programme charged or -1.
///
/// # Errors
/// What is wrong with an input, or what `log` says.
pub fn backtest(
    query: &Backtest,
    log: &mut impl FnMut(usize, usize, i64) -> Result<(), BacktestError>,
) -> Result<BacktestSummary, BacktestError> {
    if !(0.0..=1.0).contains(&query.lag) {
        return Err(BacktestError::Arguments(format!("--lag is {}, not a share from 0 to 1", query.lag)));
    }
    if query.horizon_seconds.is_some_and(|seconds| !(1.0..=1.0e9).contains(&seconds)) {
        return Err(BacktestError::Arguments("--horizon is not from 1 to 1000000000 seconds".to_owned()));
    }
    let mut members = Members::default();
    let constraints = input::read_constraints(&query.constraints, &mut members)?;
    let Some(slots) = query.slots.or(constraints.slots) else {
        return Err(BacktestError::Arguments("the constraints have no K: give --slots".to_owned()));
    };
    if !(1..=1_000).contains(&slots) {
        return Err(BacktestError::Arguments(format!("{slots} slots, of 1 to 1000")));
    }
    let stream = input::read_requests(&query.requests, false, query.horizon_seconds, &mut members)?;
    let history = query.history.as_deref().map(|path| input::read_requests(path, true, None, &mut members));
    let history = history.transpose()?.unwrap_or_default();
    let profile = match &query.forecast {
        ForecastChoice::Profile(path) => Some(input::read_profile(path)?),
        ForecastChoice::Linear | ForecastChoice::Actual => None,
    };
    let summary = replay::Replay::new(query, constraints, slots, &stream, profile)
        .run(&history.requests, &mut |t, c, p| log(t, c, p))?;
    Ok(BacktestSummary { torn: stream.torn + history.torn, ..summary })
}
