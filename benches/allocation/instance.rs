//! An instance of the allocation benchmark: a stream of requests, and the programmes, caps and guarantees on top of it.
//!
//! The formats are those of the shared data: one request a line as JSON, constraints as one JSON object, and a log of
//! `t,candidate,programme[,delivered]` lines.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

/// Any failure, with its words.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// How exposures count against a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Every exposure of a member inside the window counts.
    Hard,
    /// An exposure counts if it is charged to the programme, and is then worth more.
    Support,
}

/// A budget.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Programme {
    /// Its position in the list.
    pub(crate) id: usize,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// What an exposure charged to it is worth more, as a share.
    pub(crate) boost: f64,
    #[serde(deserialize_with = "whole")]
    pub(crate) budget: u64,
    /// Begin (included) and end (excluded) as shares of the horizon.
    pub(crate) window: [f64; 2],
    /// Merchants.
    pub(crate) members: Vec<usize>,
}

impl Programme {
    /// Whether it runs at a time.
    pub(crate) fn is_open(&self, time: f64) -> bool {
        self.window[0] <= time && time < self.window[1]
    }
}

/// What must be kept, and what merchants are worth.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Constraints {
    pub(crate) base: String,
    /// Slots of one request.
    #[serde(rename = "K")]
    pub(crate) per_request: usize,
    /// Requests of the stream; nothing that allocates may read it.
    #[serde(rename = "T", default)]
    pub(crate) requests: usize,
    /// Slots of all requests together.
    #[serde(rename = "slots", default)]
    pub(crate) all_slots: usize,
    pub(crate) programmes: Vec<Programme>,
    /// Exposures at most, by merchant; below zero without a cap.
    pub(crate) merchant_cap: Vec<f64>,
    /// Exposures at least, by merchant; zero without a guarantee.
    pub(crate) merchant_guarantee: Vec<f64>,
    /// Factor on the score, by merchant.
    pub(crate) merchant_tilt: Vec<f64>,
    /// Value lost per missing guaranteed exposure.
    pub(crate) shortfall_penalty: f64,
}

impl Constraints {
    /// Reads a file.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?)
    }

    /// Writes a file.
    pub(crate) fn write(&self, file: &Path) -> Result<(), Failure> {
        Ok(std::fs::write(file, serde_json::to_string(self)?)?)
    }

    /// Merchants with a cap, and their caps.
    pub(crate) fn caps(&self) -> impl Iterator<Item = (usize, f64)> {
        self.merchant_cap.iter().copied().enumerate().filter(|(_, cap)| *cap >= 0.0)
    }

    /// Merchants with a guarantee, and their guarantees.
    pub(crate) fn guarantees(&self) -> impl Iterator<Item = (usize, f64)> {
        self.merchant_guarantee.iter().copied().enumerate().filter(|(_, guarantee)| *guarantee > 0.0)
    }

    /// Number of merchants.
    pub(crate) fn merchants(&self) -> usize {
        self.merchant_tilt.len()
    }
}

fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let number = f64::deserialize(from)?;
    if number < 0.0 || number.fract() != 0.0 {
        return Err(serde::de::Error::custom(format!("{number} is not a number of exposures")));
    }
    format!("{number:.0}").parse().map_err(serde::de::Error::custom)
}

/// One request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Position in the stream.
    pub(crate) t: usize,
    /// Share of the horizon, 0 to 1; past samples have none.
    #[serde(default)]
    pub(crate) time: f64,
    /// Seconds since the beginning; in past samples the second of the day, where known.
    #[serde(default)]
    pub(crate) sec: Option<f64>,
    pub(crate) items: Vec<u64>,
    /// Merchants of the candidates.
    pub(crate) merchants: Vec<usize>,
    pub(crate) score: Vec<f64>,
    /// Score times tilt.
    pub(crate) value: Vec<f64>,
}

/// Reads requests, one a line.
pub(crate) fn read_requests(file: &Path) -> Result<Vec<Request>, Failure> {
    let lines = BufReader::new(File::open(file).map_err(|error| format!("{}: {error}", file.display()))?).lines();
    let parse = |(number, line): (usize, std::io::Result<String>)| {
        let request = serde_json::from_str(&line?);
        Ok(request.map_err(|error| format!("{}:{}: {error}", file.display(), number + 1))?)
    };
    lines.enumerate().map(parse).collect()
}

/// Writes requests, one a line.
pub(crate) fn write_requests(file: &Path, requests: &[Request]) -> Result<(), Failure> {
    let mut out = BufWriter::new(File::create(file)?);
    for request in requests {
        serde_json::to_writer(&mut out, request)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// A stream under constraints.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) constraints: Constraints,
    pub(crate) requests: Vec<Request>,
    /// Hard programmes of each merchant.
    pub(crate) hard: Vec<Vec<usize>>,
    /// Support programmes of each merchant, the largest boost first.
    pub(crate) support: Vec<Vec<usize>>,
}

impl Instance {
    /// Puts the two together.
    pub(crate) fn new(constraints: Constraints, requests: Vec<Request>) -> Self {
        let of = |kind: Kind| {
            let mut lists = vec![Vec::new(); constraints.merchants()];
            let mut programmes: Vec<_> = constraints.programmes.iter().filter(|one| one.kind == kind).collect();
            programmes.sort_by(|one, other| other.boost.total_cmp(&one.boost));
            for programme in programmes {
                for member in &programme.members {
                    lists[*member].push(programme.id);
                }
            }
            lists
        };
        let (hard, support) = (of(Kind::Hard), of(Kind::Support));
        Self { constraints, requests, hard, support }
    }

    /// A programme by its id.
    pub(crate) fn programme(&self, id: usize) -> &Programme {
        &self.constraints.programmes[id]
    }

    /// Programmes of a list that run at a time.
    pub(crate) fn open<'a>(&'a self, list: &'a [usize], time: f64) -> impl Iterator<Item = usize> + 'a {
        list.iter().copied().filter(move |id| self.programme(*id).is_open(time))
    }

    /// Mean value of a candidate.
    pub(crate) fn mean_value(&self) -> f64 {
        let count: usize = self.requests.iter().map(|request| request.value.len()).sum();
        self.requests.iter().flat_map(|request| &request.value).sum::<f64>() / (count.max(1) as f64)
    }
}

/// A slot that was given to a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Position of the request.
    pub(crate) t: usize,
    /// Position of the candidate in it.
    pub(crate) candidate: usize,
    /// The support programme charged.
    pub(crate) charged: Option<usize>,
    /// Whether it was seen; a slot that was not counts for nothing.
    pub(crate) delivered: bool,
}

/// Writes a log.
pub(crate) fn write_log(file: &Path, log: &[Choice]) -> Result<(), Failure> {
    let mut out = BufWriter::new(File::create(file)?);
    for choice in log {
        let programme = choice.charged.map_or("-1".to_owned(), |id| id.to_string());
        writeln!(out, "{},{},{programme},{}", choice.t, choice.candidate, u8::from(choice.delivered))?;
    }
    Ok(out.flush()?)
}

/// Reads a log; empty lines, comments and a header are passed over.
pub(crate) fn read_log(file: &Path) -> Result<Vec<Choice>, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let lines = (1..).zip(text.lines().map(str::trim));
    let counted =
        lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(|c: char| c == '#' || c.is_alphabetic()));
    counted
        .map(|(number, line)| {
            choice(line).ok_or_else(|| format!("{}:{number}: not a line of a log: {line}", file.display()).into())
        })
        .collect()
}

fn choice(line: &str) -> Option<Choice> {
    let mut fields = line.split(',').map(str::trim);
    let (t, candidate) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let programme: i64 = fields.next()?.parse().ok()?;
    let delivered = fields.next().is_none_or(|field| field != "0");
    Some(Choice { t, candidate, charged: usize::try_from(programme).ok(), delivered })
}
