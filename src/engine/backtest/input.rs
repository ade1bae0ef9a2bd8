//! The files a backtest reads: requests, constraints, hour profiles. Whatever is wrong is said with file, line, reason.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::members::{Limits, Members};
use crate::domain::Timestamp;
use crate::traffic::BITS;

/// Most bytes of one line: a request of some thousand candidates.
const MAX_LINE_BYTES: u64 = 16 << 20;
/// Most candidates of one request.
const MAX_CANDIDATES: usize = 10_000;
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

/// Requests as they are replayed.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) requests: Vec<Request>,
    /// When the horizon begins and how many seconds it has, where requests are placed by instants.
    pub(super) span: Option<(Option<Timestamp>, f64)>,
    /// Lines that end too early, as a crash of who wrote them leaves one: passed over.
    pub(super) torn: usize,
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
    #[serde(default)]
    at: Option<i64>,
    merchants: Vec<u64>,
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
    members: Vec<u64>,
    /// Numbers of its members.
    #[serde(skip)]
    pub(super) numbers: Vec<u32>,
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
    #[serde(default, rename = "merchant_cap")]
    caps: Limits,
    #[serde(default, rename = "merchant_guarantee")]
    guarantees: Limits,
    /// Most exposures by number of the member, -1 for none.
    #[serde(skip)]
    pub(super) merchant_cap: Vec<f64>,
    /// Fewest exposures by number of the member, 0 for none.
    #[serde(skip)]
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
pub(super) fn read_constraints(path: &Path, members: &mut Members) -> Result<ConstraintsFile, BacktestError> {
    let text = std::fs::read_to_string(path).map_err(|cause| BacktestError::Io { path: path.to_owned(), cause })?;
    let wrong = |line: usize, reason: String| BacktestError::Malformed { path: path.to_owned(), line, reason };
    let mut read: ConstraintsFile =
        serde_json::from_str(&text).map_err(|error| wrong(error.line(), error.to_string()))?;
    number_members(&mut read, members).map_err(|reason| wrong(1, reason))?;
    check_constraints(&read).map_err(|reason| wrong(1, reason))?;
    Ok(read)
}

fn number_members(read: &mut ConstraintsFile, members: &mut Members) -> Result<(), String> {
    for programme in &mut read.programmes {
        let numbers = programme.members.iter().map(|id| members.number(*id));
        programme.numbers =
            numbers.collect::<Result<_, _>>().map_err(|why| format!("programme {}: {why}", programme.name))?;
    }
    read.merchant_cap = read.caps.by_number(-1.0, members).map_err(|why| format!("merchant_cap: {why}"))?;
    read.merchant_guarantee =
        read.guarantees.by_number(0.0, members).map_err(|why| format!("merchant_guarantee: {why}"))?;
    Ok(())
}

fn check_constraints(read: &ConstraintsFile) -> Result<(), String> {
    if read.programmes.len() > MAX_PROGRAMMES {
        return Err(format!("{} programmes, of {MAX_PROGRAMMES} at most", read.programmes.len()));
    }
    let is_count = |count: f64| count.is_finite() && count >= 0.0 && count.fract() < f64::EPSILON;
    for programme in &read.programmes {
        let Programme { name, boost, budget, window, .. } = programme;
        if !is_count(*budget) {
            return Err(format!("programme {name}: its budget is {budget}, not a count of exposures"));
        }
        if !(boost.is_finite() && *boost >= 0.0) {
            return Err(format!("programme {name}: its boost is {boost}, not 0 or more"));
        }
        if !(window.0.is_finite() && window.1.is_finite() && window.0 <= window.1) {
            return Err(format!("programme {name}: its window ends before it begins"));
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

/// Reads requests, one JSON object a line. Those of a stream say where in the horizon they are: by its share (`time`),
/// by instants (`at`), or by seconds since its beginning (`sec`), all in one way. A past sample need not.
pub(super) fn read_requests(
    path: &Path,
    is_history: bool,
    horizon: Option<f64>,
    members: &mut Members,
) -> Result<Stream, BacktestError> {
    let io = |cause| BacktestError::Io { path: path.to_owned(), cause };
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(io)?);
    let (mut stream, mut text, mut line) = (Stream::default(), Vec::new(), 0_usize);
    let mut order = Order { is_history, ..Order::default() };
    loop {
        text.clear();
        line += 1;
        if std::io::Read::take(&mut reader, MAX_LINE_BYTES).read_until(b'\n', &mut text).map_err(io)? == 0 {
            break;
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let wrong = |reason: String| BacktestError::Malformed { path: path.to_owned(), line, reason };
        // Without its end: a line torn inside of a string ends too early, too.
        match serde_json::from_slice::<Line>(text.trim_ascii_end()) {
            Ok(read) => stream.requests.push(request(read, &mut order, members).map_err(wrong)?),
            Err(error) if error.is_eof() => stream.torn += 1,
            Err(error) => return Err(wrong(error.to_string())),
        }
    }
    if order.way.is_some_and(|way| way != Way::Share) {
        let seconds = horizon.unwrap_or(order.last).max(1.0);
        if order.last > seconds {
            return Err(BacktestError::Arguments(format!("requests go on for {} s, beyond --horizon", order.last)));
        }
        stream.requests.iter_mut().for_each(|request| request.time /= seconds);
        stream.span = Some((order.began, seconds));
    }
    Ok(stream)
}

/// In which way requests say where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Share,
    Instant,
    Second,
}

/// Where the requests read so far are.
#[derive(Default)]
struct Order {
    is_history: bool,
    way: Option<Way>,
    began: Option<Timestamp>,
    /// Share of the horizon, or seconds since its beginning.
    last: f64,
}

impl Order {
    /// Share of the horizon, or seconds since its beginning.
    fn place(&mut self, line: &Line) -> Result<f64, String> {
        let found = match (line.time, line.at, line.sec) {
            (Some(_), ..) => Way::Share,
            (None, Some(_), _) => Way::Instant,
            (None, None, Some(_)) => Way::Second,
            (None, None, None) => return Err("time is missing, and neither at nor sec is there".to_owned()),
        };
        let way = *self.way.get_or_insert(found);
        let place = match way {
            Way::Share => line.time.ok_or("time is missing, which lines before have")?,
            Way::Instant => {
                let at = line.at.ok_or("at is missing, which lines before have")?;
                let began = *self.began.get_or_insert(Timestamp(at));
                // Clocks are set back, above all between two runs: what follows is taken to follow at once.
                seconds(at.saturating_sub(began.0)).max(self.last)
            }
            Way::Second => line.sec.ok_or("sec is missing, which lines before have")?,
        };
        if way == Way::Share && !(0.0..=1.0).contains(&place) {
            return Err(format!("time is {place}, not a share of the horizon from 0 to 1"));
        }
        if !(0.0..=1.0e9).contains(&place) {
            return Err(format!("it is {place} seconds after the first, not from 0 to 1000000000"));
        }
        if place < self.last {
            return Err(format!("time goes back, from {} to {place}", self.last));
        }
        self.last = place;
        Ok(place)
    }
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "milliseconds of a recording")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

fn request(read: Line, order: &mut Order, members: &mut Members) -> Result<Request, String> {
    let place = if order.is_history { 0.0 } else { order.place(&read)? };
    let Line { sec, at, merchants, score, value, .. } = read;
    if merchants.len() != score.len() || merchants.len() != value.len() {
        let (m, s, v) = (merchants.len(), score.len(), value.len());
        return Err(format!("{m} merchants, {s} scores and {v} values, which should be as many"));
    }
    if merchants.len() > MAX_CANDIDATES {
        return Err(format!("{} candidates, of {MAX_CANDIDATES} at most", merchants.len()));
    }
    let candidates = merchants.iter().zip(score.iter().zip(&value)).map(|(id, (base, value))| {
        if !(base.is_finite() && value.is_finite() && *base >= 0.0 && *value >= 0.0) {
            return Err(format!("a score of {base} and a value of {value}, of which each should be 0 or more"));
        }
        Ok(Candidate { member: members.number(*id)?, base: *base, value: *value })
    });
    let candidates = candidates.collect::<Result<_, _>>()?;
    // What was recorded counts its seconds from the first line: the second of the day is in the instant.
    let of_day = at.map(|at| seconds(at.saturating_sub(Timestamp(at).day().start().0)));
    Ok(Request { time: place, sec: of_day.or(sec).filter(|sec| sec.is_finite()), candidates })
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
