//! What the benchmark was asked to do.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// How the program serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// It fills the slots.
    Slate,
    /// It returns adjusted scores.
    Adjusted,
    /// It returns weights.
    Weights,
}

impl Mode {
    /// Its name on the command line of the program and in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Slate => "slate",
            Self::Adjusted => "adjusted",
            Self::Weights => "weights",
        }
    }
}

/// Value of an allocation as a share of the hindsight optimum, over all streams, constraint sets, arrivals and forecasts.
#[derive(Clone, Debug, Parser)]
#[command(name = "allocation")]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Args {
    /// Only combinations whose STREAM|SET|VARIANT|FORECAST contains this; may be repeated
    #[arg(long, value_name = "SUBSTRING")]
    pub(crate) only: Vec<String>,
    /// How the program serves
    #[arg(long, value_enum, default_value_t = Mode::Slate)]
    pub(crate) mode: Mode,
    /// Lag of reports as a share of the horizon; 0.001 in adjusted and weights mode, none in slate mode, unless given
    #[arg(long, value_name = "FRACTION")]
    pub(crate) lag: Option<f64>,
    /// Runs of each combination, with seeds 1 to N; the mean and the worst are shown
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seeds: u64,
    /// Runs the baselines as well
    #[arg(long)]
    pub(crate) baselines: bool,
    /// Runs the baselines alone
    #[arg(long, conflicts_with = "baselines")]
    pub(crate) baselines_only: bool,
    /// Runs the constraint sets STREAM.NAME.json of a folder instead of the shipped ones
    #[arg(long, value_name = "DIR")]
    pub(crate) sets: Option<PathBuf>,
    /// Runs so many constraint sets drawn at random instead of the shipped ones
    #[arg(long, value_name = "N", conflicts_with = "sets")]
    pub(crate) random_sets: Option<u64>,
    /// Seed of the random constraint sets
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// One combination of each stream and set only
    #[arg(long)]
    pub(crate) quick: bool,
    /// Fails when a gate is missed
    #[arg(long)]
    pub(crate) gate: bool,
    /// Compares the upper bound of random sets with the certified optima of the shipped ones, and runs nothing else
    #[arg(long)]
    pub(crate) check_bound: bool,
    /// The shared data; by default the folder beside the crate
    #[arg(long, env = "TRUSTFLOW_ALLOCATION_DATA", value_name = "DIR", hide_env_values = true)]
    pub(crate) data: Option<PathBuf>,
    /// A Python with numpy
    #[arg(long, env = "TRUSTFLOW_PYTHON", value_name = "PROGRAM", default_value = "python3", hide_env_values = true)]
    pub(crate) python: String,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

impl Args {
    /// The folder of the shared data.
    pub(crate) fn folder(&self) -> PathBuf {
        let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/allocation");
        self.data.clone().unwrap_or_else(beside)
    }

    /// The lag that the program is run with.
    pub(crate) fn lag(&self) -> Option<f64> {
        self.lag.or((self.mode != Mode::Slate).then_some(0.001))
    }
}
