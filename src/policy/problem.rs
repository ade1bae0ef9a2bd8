//! What is wrong with a policy text: where, and what to do about it.

use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::Range;

use crate::domain::Wanted;

/// One thing that is wrong with a policy text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path inside the policy folder.
    pub file: String,
    /// Line, from 1; 0 when the whole file or folder is meant.
    pub line: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub suggestion: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.file, self.line, self.message, self.suggestion)
    }
}

/// Most problems that are named.
const MAX_PROBLEMS: usize = 200;
/// Longest message or suggestion, in bytes.
const MAX_MESSAGE_BYTES: usize = 1_000;
/// Longest word for which one like it is looked for, and most words it is compared with.
const MAX_COMPARED: usize = 64;
const MAX_WORDS: usize = 512;
/// Why a text cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It makes no policy.
    #[error("{}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Problems(Vec<Problem>),
    /// A programme finds no free bit.
    #[error("no programme bit is free: {0}")]
    NoProgrammeBit(String),
}

/// The problems of a policy text, as far as they are named.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: Vec<Problem>,
    is_unjudged: bool,
    wanted: Wanted,
}

impl Problems {
    /// Of a text that was accepted before: whatever is found, it means what it meant.
    pub(super) fn unjudged() -> Self {
        Self { is_unjudged: true, ..Self::default() }
    }

    /// Of a text that is judged as long as somebody wants to know.
    pub(super) fn wanted(wanted: Wanted) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Whether nothing was found so far.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them.
    pub(super) fn into_list(self) -> Vec<Problem> {
        self.list
    }
}

/// One file under check, and where its problems go.
pub(super) struct Report<'a> {
    file: &'a str,
    text: &'a str,
    problems: &'a mut Problems,
}

impl<'a> Report<'a> {
    /// A report about a file of the policy.
    pub(super) fn new(file: &'a str, text: &'a str, problems: &'a mut Problems) -> Self {
        Self { file, text, problems }
    }

    /// Whether nothing was found so far, in any file.
    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether the text is judged: whether what is wrong with it refuses it.
    pub(super) fn judges(&self) -> bool {
        !self.problems.is_unjudged
    }

    /// Whether no more problems are taken, or nobody asks for them any more: what would only find more may be left.
    pub(super) fn is_full(&self) -> bool {
        self.judges() && (self.problems.list.len() >= MAX_PROBLEMS || self.problems.wanted.is_over())
    }

    /// Notes a problem at a place of the file. After the most that are named, one says so.
    pub(super) fn at(&mut self, span: Range<usize>, message: impl Into<String>, suggestion: impl Into<String>) {
        let count = self.problems.list.len();
        if count >= MAX_PROBLEMS {
            return;
        }
        let is_last = count.saturating_add(1) == MAX_PROBLEMS;
        let (message, suggestion) = if is_last {
            (format!("{MAX_PROBLEMS} problems; those from here on are not named"), "repair the others first".to_owned())
        } else {
            (clipped(message.into()), clipped(suggestion.into()))
        };
        self.problems.list.push(Problem {
            file: self.file.to_owned(),
            line: line_of(self.text, span.start),
            message,
            suggestion,
        });
    }

    /// Notes a problem with a part of the value at `span`, on the line where the part stands.
    pub(super) fn within(
        &mut self,
        span: Range<usize>,
        part: &str,
        message: impl Into<String>,
        suggestion: impl Into<String>,
    ) {
        let offset = self.text.get(span.clone()).and_then(|value| value.find(part)).unwrap_or(0);
        self.at(span.start.saturating_add(offset)..span.end, message, suggestion);
    }

    /// Reads the file as TOML of a given shape; what does not fit becomes a problem. None as well if nobody asks any more.
    pub(super) fn read<T: DeserializeOwned>(&mut self) -> Option<T> {
        if self.problems.wanted.is_over() {
            return None;
        }
        match toml::from_str(self.text) {
            Ok(value) => Some(value),
            Err(error) => {
                let message = error.message().lines().collect::<Vec<_>>().join(", ");
                let suggestion = repair(&message);
                self.at(error.span().unwrap_or(0..0), message, suggestion);
                None
            }
        }
    }
}

/// What to do about an error of the TOML reader.
fn repair(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        let unknown = quoted.next().unwrap_or_default();
        let known: Vec<&str> = quoted.collect();
        return did_you_mean(unknown, known.iter().copied());
    }
    if message.starts_with("missing field") {
        return format!("add `{} = ...`", quoted.next().unwrap_or_default());
    }
    if message.contains("expected a string") {
        return "write it in quotes, dates too: \"2022-03-23\"".to_owned();
    }
    "see policy/default for files that are right".to_owned()
}

/// A message that fits a terminal, whatever the file says.
fn clipped(mut message: String) -> String {
    if message.len() > MAX_MESSAGE_BYTES {
        let end = message.char_indices().map(|(at, _)| at).take_while(|at| *at <= MAX_MESSAGE_BYTES).last();
        message.truncate(end.unwrap_or(0));
        message.push_str("...");
    }
    message
}

fn line_of(text: &str, offset: usize) -> u32 {
    let before = text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count();
    u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
}

/// Names the known word that is nearest to an unknown one, or all of them when none is near.
pub(super) fn did_you_mean<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let is_near = |word: &&&str| word.len().max(unknown.len()) <= MAX_COMPARED;
    let nearest = known.iter().filter(is_near).take(MAX_WORDS).map(|word| (distance(unknown, word), *word)).min();
    match nearest {
        None if !known.is_empty() => "use one of the names that are declared".to_owned(),
        None => "there are none to choose from".to_owned(),
        Some((distance, word)) if distance <= unknown.chars().count().div_ceil(3).max(2) => {
            format!("did you mean `{word}`?")
        }
        Some(_) if known.len() <= 12 => format!("use one of {}", known.join(", ")),
        Some((_, word)) => format!("there is nothing like it; the nearest is `{word}`"),
    }
}

/// Edit distance: single characters inserted, removed or replaced.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((y, above), diagonal) in b.iter().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or(0);
            next.push((diagonal + usize::from(x != *y)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
