//! The files a backtest reads: requests, constraints, hour profiles. Whatever is wrong is said with file, line, reason.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::traffic::BITS;

/// Most bytes of one line: a request of some thousand candidates.
const MAX_LINE_BYTES: u64 = 16 << 20;
/// Most candidates of one request.
const MAX_CANDIDATES: usize = 10_000;
/// Members are numbered from 0; tables by member have this size at most.
pub(super) const MAX_MEMBERS: usize = 1 << 20;
/// Programmes take the lower bits; the highest stands for all exposures of a member.
pub(super) const MAX_PROGRAMMES: usize = BITS - 1;

/// What is wrong with an input, and where.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// A file that cannot be read or written.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// A file that does not say what it should.
    #[error("{}:{line}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Arguments that do not fit each other or the files.
    #[error("{0}")]
    Arguments(String),
}

/// One request of a stream.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Share of the horizon gone, 0 to 1.
    pub(super) time: f64,
    /// Seconds since the beginning, or second of the day in a past sample; none if it was not recorded.
    pub(super) sec: Option<f64>,
    pub(super) candidates: Vec<Candidate>,
}

/// One candidate of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) member: u32,
    /// The recommender's score.
    pub(super) base: f64,
    /// Score times tilt.
    pub(super) value: f64,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    time: Option<f64>,
    #[serde(default)]
    sec: Option<f64>,
    merchants: Vec<u32>,
    score: Vec<f64>,
    value: Vec<f64>,
}

/// What a programme of a constraints file does with exposures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Every exposure of a member inside the window counts.
    Hard,
    /// Only exposures charged to it count.
    Support,
}

/// A programme of a constraints file.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Programme {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) boost: f64,
    pub(super) budget: f64,
    /// First and last share of the horizon; the last is not inside.
    pub(super) window: (f64, f64),
    pub(super) members: Vec<u32>,
}

impl Programme {
    /// Whether it works at a share of the horizon.
    pub(super) fn is_open(&self, time: f64) -> bool {
        self.window.0 <= time && time < self.window.1
    }

    /// Exposures it may spend.
    pub(super) fn exposures(&self) -> u64 {
        whole(self.budget)
    }
}

/// A constraints file.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ConstraintsFile {
    #[serde(rename = "K", default)]
    pub(super) slots: Option<usize>,
    pub(super) programmes: Vec<Programme>,
    /// Most exposures by member, -1 for none.
    pub(super) merchant_cap: Vec<f64>,
    /// Fewest exposures by member, 0 for none.
    pub(super) merchant_guarantee: Vec<f64>,
    /// Value lost by each missing exposure, in units of value.
    pub(super) shortfall_penalty: f64,
}

/// A count from a file, which writes them as floats.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and in range")]
pub(super) fn whole(count: f64) -> u64 {
    count.clamp(0.0, 9.0e15) as u64
}

/// Reads a constraints file.
pub(super) fn read_constraints(path: &Path) -> Result<ConstraintsFile, BacktestError> {
    let text = std::fs::read_to_string(path).map_err(|cause| BacktestError::Io { path: path.to_owned(), cause })?;
    let wrong = |line: usize, reason: String| BacktestError::Malformed { path: path.to_owned(), line, reason };
    let read: ConstraintsFile =
        serde_json::from_str(&text).map_err(|error| wrong(error.line(), error.to_string()))?;
    check_constraints(&read).map_err(|reason| wrong(1, reason))?;
    Ok(read)
}

fn check_constraints(read: &ConstraintsFile) -> Result<(), String> {
    let members = read.merchant_cap.len().max(read.merchant_guarantee.len());
    if read.programmes.len() > MAX_PROGRAMMES {
        return Err(format!("{} programmes, of {MAX_PROGRAMMES} at most", read.programmes.len()));
    }
    if members > MAX_MEMBERS {
        return Err(format!("{members} merchants, of {MAX_MEMBERS} at most"));
    }
    let is_count = |count: f64| count.is_finite() && count >= 0.0 && count.fract() < f64::EPSILON;
    for programme in &read.programmes {
        let Programme { name, boost, budget, window, members, .. } = programme;
        if !is_count(*budget) {
            return Err(format!("programme {name}: its budget is {budget}, not a count of exposures"));
        }
        if !(boost.is_finite() && *boost >= 0.0) {
            return Err(format!("programme {name}: its boost is {boost}, not 0 or more"));
        }
        if !(window.0.is_finite() && window.1.is_finite() && window.0 <= window.1) {
            return Err(format!("programme {name}: its window ends before it begins"));
        }
        if members.iter().any(|member| usize::try_from(*member).map_or(true, |m| m >= MAX_MEMBERS)) {
            return Err(format!("programme {name}: a member is not below {MAX_MEMBERS}"));
        }
    }
    if let Some(cap) = read.merchant_cap.iter().find(|cap| !is_count(**cap) && **cap >= 0.0 || cap.is_nan()) {
        return Err(format!("merchant_cap holds {cap}, neither a count nor below 0"));
    }
    if let Some(guarantee) = read.merchant_guarantee.iter().find(|guarantee| !is_count(**guarantee)) {
        return Err(format!("merchant_guarantee holds {guarantee}, not a count"));
    }
    if !(read.shortfall_penalty.is_finite() && read.shortfall_penalty >= 0.0) {
        return Err(format!("shortfall_penalty is {}, not 0 or more", read.shortfall_penalty));
    }
    Ok(())
}

/// Reads a stream of requests, one JSON object a line. A stream needs `time`; a past sample does not.
pub(super) fn read_requests(path: &Path, is_history: bool) -> Result<Vec<Request>, BacktestError> {
    let io = |cause| BacktestError::Io { path: path.to_owned(), cause };
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(io)?);
    let (mut requests, mut text, mut line) = (Vec::new(), String::new(), 0_usize);
    let mut last = 0.0_f64;
    loop {
        text.clear();
        line += 1;
        if std::io::Read::take(&mut reader, MAX_LINE_BYTES).read_line(&mut text).map_err(io)? == 0 {
            return Ok(requests);
        }
        if text.trim().is_empty() {
            continue;
        }
        let wrong = |reason: String| BacktestError::Malformed { path: path.to_owned(), line, reason };
        let request = read_line(&text, is_history).map_err(wrong)?;
        if request.time < last {
            return Err(wrong(format!("time goes back, from {last} to {}", request.time)));
        }
        last = request.time;
        requests.push(request);
    }
}

fn read_line(text: &str, is_history: bool) -> Result<Request, String> {
    let read: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Line { time, sec, merchants, score, value } = read;
    if merchants.len() != score.len() || merchants.len() != value.len() {
        let (m, s, v) = (merchants.len(), score.len(), value.len());
        return Err(format!("{m} merchants, {s} scores and {v} values, which should be as many"));
    }
    if merchants.len() > MAX_CANDIDATES {
        return Err(format!("{} candidates, of {MAX_CANDIDATES} at most", merchants.len()));
    }
    let time = if is_history { 0.0 } else { time.ok_or("time is missing")? };
    if !(0.0..=1.0).contains(&time) {
        return Err(format!("time is {time}, not a share of the horizon from 0 to 1"));
    }
    let candidates = merchants.iter().zip(score.iter().zip(&value)).map(|(member, (base, value))| {
        if !(base.is_finite() && value.is_finite() && *base >= 0.0 && *value >= 0.0) {
            return Err(format!("a score of {base} and a value of {value}, of which each should be 0 or more"));
        }
        if usize::try_from(*member).map_or(true, |member| member >= MAX_MEMBERS) {
            return Err(format!("merchant {member} is not below {MAX_MEMBERS}"));
        }
        Ok(Candidate { member: *member, base: *base, value: *value })
    });
    Ok(Request { time, sec: sec.filter(|sec| sec.is_finite()), candidates: candidates.collect::<Result<_, _>>()? })
}

/// Reads 24 hour shares: a JSON array, or one number a line.
pub(super) fn read_profile(path: &Path) -> Result<[f64; 24], BacktestError> {
    let text = std::fs::read_to_string(path).map_err(|cause| BacktestError::Io { path: path.to_owned(), cause })?;
    let wrong = |line: usize, reason: String| BacktestError::Malformed { path: path.to_owned(), line, reason };
    let shares: Vec<f64> = if text.trim_start().starts_with('[') {
        serde_json::from_str(&text).map_err(|error| wrong(error.line(), error.to_string()))?
    } else {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let parse = |(number, line): (usize, &str)| {
            line.trim().parse().map_err(|_| wrong(number + 1, format!("{:?} is not a number", line.trim())))
        };
        lines.map(parse).collect::<Result<_, _>>()?
    };
    let count = shares.len();
    let hours: [f64; 24] = shares.try_into().map_err(|_| wrong(1, format!("{count} shares, not 24")))?;
    if hours.iter().any(|share| !share.is_finite() || *share < 0.0) || hours.iter().sum::<f64>() <= 0.0 {
        return Err(wrong(1, "shares should be 0 or more, and one above 0".to_owned()));
    }
    Ok(hours)
}
