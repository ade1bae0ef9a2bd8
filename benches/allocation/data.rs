//! The shared data: streams written out by its own checker, its forecasts, its certified optima and what others reached.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::instance::{Failure, Request, read_requests, write_requests};

/// Streams.
pub(crate) const STREAMS: [&str; 4] = ["steam_elastic", "steam_ltp", "zozo", "ipinyou"];
/// Shipped constraint sets.
pub(crate) const SETS: [&str; 2] = ["caps", "support"];
/// Variants of arrivals.
pub(crate) const VARIANTS: [&str; 3] = ["real", "iid", "diurnal"];
/// The days of the diurnal variant, whatever the horizon of the stream: its hours are a 24th of a third of it.
const DIURNAL_DAYS: f64 = 3.0;
const DAY: f64 = 86_400.0;
/// Runs the checker with every array unpacked once: left to itself it unpacks them again for every request, which takes
/// minutes on the larger streams.
const CHECKER: &str = "\
import runpy, sys, numpy
load = numpy.load
numpy.load = lambda *args, **named: dict(load(*args, **named).items())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')";

/// What a control reached on a combination.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Reached {
    pub(crate) penalised: f64,
    pub(crate) coverage_99pct: f64,
}

#[derive(Deserialize)]
struct Optimum {
    #[serde(rename = "UB")]
    bound: f64,
}

/// What the checker says of a log, as far as it is compared with our own judge.
#[derive(Debug, Deserialize)]
pub(crate) struct Checked {
    pub(crate) errors: usize,
    pub(crate) value_ratio: f64,
    pub(crate) penalised_ratio: f64,
    pub(crate) overspend_exposures: u64,
    pub(crate) cap_excess_exposures: u64,
    pub(crate) guarantee_shortfall_pct: f64,
    pub(crate) coverage_at_99pct: f64,
}

/// The shared data and the folder for what is made from it.
pub(crate) struct Data {
    folder: PathBuf,
    python: String,
    cache: PathBuf,
    reference: BTreeMap<String, BTreeMap<String, Reached>>,
    optima: BTreeMap<String, Optimum>,
}

/// A stream made ready: the file that the program reads, and the same in memory.
pub(crate) struct Prepared {
    pub(crate) file: PathBuf,
    pub(crate) requests: Vec<Request>,
    pub(crate) history: Option<PathBuf>,
    /// Seconds of the horizon, on the clock by which the hours of the day count.
    pub(crate) horizon: f64,
}

impl Data {
    /// The data in a folder; none where it is not there or cannot be read out.
    pub(crate) fn open(folder: &Path, python: &str) -> Result<Option<Self>, Failure> {
        if !folder.join("checker.py").exists() {
            eprintln!("skipped: no {} (see --data)", folder.display());
            return Ok(None);
        }
        let has_numpy = Command::new(python).args(["-c", "import numpy"]).output();
        if !has_numpy.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: {python} with numpy is needed to read the streams (see --python)");
            return Ok(None);
        }
        let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("allocation");
        fs::create_dir_all(&cache)?;
        Ok(Some(Self {
            reference: json(&folder.join("reference.json"))?,
            optima: json(&folder.join("lp_optimum.json"))?,
            folder: folder.to_owned(),
            python: python.to_owned(),
            cache,
        }))
    }

    /// The folder for what is made.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// A shipped constraint set.
    pub(crate) fn constraints(&self, stream: &str, set: &str) -> PathBuf {
        self.folder.join(format!("{stream}.{set}.json"))
    }

    /// The forecasts that the reference has for a stream and variant.
    pub(crate) fn forecasts(&self, stream: &str, variant: &str) -> Vec<String> {
        let key = format!("{stream}|caps|{variant}|");
        self.reference.keys().filter_map(|one| Some(one.strip_prefix(&key)?.to_owned())).collect()
    }

    /// What a control of the reference reached.
    pub(crate) fn reached(&self, key: &str, control: &str) -> Option<Reached> {
        self.reference.get(key)?.get(control).copied()
    }

    /// The certified optimum of a shipped combination.
    pub(crate) fn optimum(&self, stream: &str, set: &str, variant: &str) -> Option<f64> {
        Some(self.optima.get(&format!("{stream}|{set}|{variant}"))?.bound)
    }

    /// A stream under a shipped set.
    pub(crate) fn prepare(&self, stream: &str, set: &str, variant: &str) -> Result<Prepared, Failure> {
        let dumped = self.dump("--dump", &[stream, set, variant])?;
        let mut requests = read_requests(&dumped)?;
        let last = requests.last().ok_or("an empty stream")?;
        let mut horizon = (last.sec.unwrap_or_default() / last.time).round();
        let mut file = dumped;
        if variant == "diurnal" {
            horizon = DIURNAL_DAYS * DAY;
            for request in &mut requests {
                request.sec = Some(request.time * horizon);
            }
            file = self.cache.join(format!("{stream}.{set}.{variant}.clocked.jsonl"));
            write_requests(&file, &requests)?;
        }
        let history = self.has_history(stream)?.then(|| self.dump("--dump-history", &[stream, set])).transpose()?;
        Ok(Prepared { file, requests, history, horizon })
    }

    /// The hour profile: its shares, and a file with one of them a line.
    pub(crate) fn profile(&self) -> Result<(Vec<f64>, PathBuf), Failure> {
        let bytes = fs::read(self.folder.join("hour_profile.npy"))?;
        let length: [u8; 2] = bytes.get(8..10).ok_or("a short hour profile")?.try_into()?;
        let shares = bytes.get(10 + usize::from(u16::from_le_bytes(length))..).ok_or("a short hour profile")?;
        let hours: Vec<f64> = shares.as_chunks::<8>().0.iter().map(|one| f64::from_le_bytes(*one)).collect();
        if hours.len() != 24 {
            return Err(format!("{} hours in the hour profile", hours.len()).into());
        }
        let file = self.cache.join("hour_profile.txt");
        let lines: Vec<String> = hours.iter().map(f64::to_string).collect();
        fs::write(&file, lines.join("\n") + "\n")?;
        Ok((hours, file))
    }

    /// Has the checker judge a log of a shipped combination.
    pub(crate) fn check(&self, stream: &str, set: &str, variant: &str, log: &Path) -> Result<Checked, Failure> {
        let output = Command::new(&self.python)
            .args(["-B", "-c", CHECKER])
            .arg(self.folder.join("checker.py"))
            .args([stream, set, variant])
            .arg(log)
            .output()?;
        if !output.status.success() {
            return Err(format!("checker.py: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Writes a part of the data out once; again when the data is newer.
    fn dump(&self, what: &str, names: &[&str]) -> Result<PathBuf, Failure> {
        let file = self.cache.join(format!("{}{what}.jsonl", names.join(".")));
        let (stream, set) = (names.first().unwrap_or(&""), names.get(1).unwrap_or(&""));
        let sources = [self.folder.join(format!("{stream}.npz")), self.constraints(stream, set)];
        let changed = |file: &Path| fs::metadata(file).and_then(|data| data.modified());
        let made = changed(&file).ok();
        let is_fresh =
            sources.iter().all(|source| changed(source).ok().is_some_and(|when| made.is_some_and(|made| made >= when)));
        if is_fresh {
            return Ok(file);
        }
        let part = file.with_extension(format!("part{}", std::process::id()));
        let mut command = Command::new(&self.python);
        command
            .args(["-B", "-c", CHECKER])
            .arg(self.folder.join("checker.py"))
            .arg(what)
            .args(names)
            .stdout(File::create(&part)?);
        if !command.status()?.success() {
            return Err(format!("checker.py {what} {} failed", names.join(" ")).into());
        }
        fs::rename(&part, &file)?;
        Ok(file)
    }

    /// Whether a stream has a past sample: the names of its arrays stand in the directory of its archive.
    fn has_history(&self, stream: &str) -> Result<bool, Failure> {
        let bytes = fs::read(self.folder.join(format!("{stream}.npz")))?;
        let name = b"hist_indptr.npy";
        Ok(bytes.windows(name.len()).any(|window| window == name))
    }
}

fn json<T: DeserializeOwned>(file: &Path) -> Result<T, Failure> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let value: Value = serde_json::from_str(&text)?;
    serde_json::from_value(value).map_err(|error| format!("{}: {error}", file.display()).into())
}
