//! What can go wrong in a client command, in words for the person at the terminal.

use std::fmt;
use std::fmt::Write as _;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, RpcStatusExt, StatusExt};

/// Why a client command failed: what was wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A file's content cannot be used.
    #[error("{place}: {problem}")]
    Input {
        /// File, and line where there is one.
        place: Place,
        /// What is wrong there and what was expected.
        problem: String,
    },
    /// A file cannot be read.
    #[error("{file}: cannot read it: {source}")]
    Read {
        /// The file.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("{file}: cannot write it: {source}")]
    Write {
        /// The file.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// An argument makes no sense.
    #[error("{argument}: {problem}")]
    Argument {
        /// The argument as it is typed.
        argument: String,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// There is no way to the server.
    #[error("cannot reach {server}: {problem}; is `trustflow serve` running there? Name another server by --server")]
    Connect {
        /// The address tried.
        server: String,
        /// What the transport says.
        problem: String,
    },
    /// The server refused a call.
    #[error("{call}: {}", describe_status(status))]
    Rpc {
        /// The method called.
        call: &'static str,
        /// Its answer.
        status: Box<Status>,
    },
    /// An import broke off; what was taken stays.
    #[error(
        "import {import_id} broke off: {}. What was taken stays: run the same command again to go on",
        describe_status(status)
    )]
    ImportBroken {
        /// Name of the import.
        import_id: String,
        /// The server's answer.
        status: Box<Status>,
    },
    /// The server took the call but refused some of its items.
    #[error("{refused} of {total} items were refused, see above; the others were taken")]
    ItemsRefused {
        /// Items refused.
        refused: u64,
        /// Items sent.
        total: u64,
    },
    /// A policy has problems, which were printed.
    #[error("the policy has {count} {}, see above", if *count == 1 { "problem" } else { "problems" })]
    PolicyProblems {
        /// How many.
        count: usize,
    },
    /// The server's answer does not hold what its contract promises.
    #[error("{call}: the answer lacks {missing}; do client and server have the same version?")]
    Answer {
        /// The method called.
        call: &'static str,
        /// What is missing.
        missing: &'static str,
    },
    /// Output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

/// A file and, where known, a line of it, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named.
    pub file: String,
    /// The line, 0 when the whole file is meant.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { write!(f, "{}", self.file) } else { write!(f, "{}:{}", self.file, self.line) }
    }
}

impl CliError {
    /// A problem on one line of a file; line 0 means the whole file.
    pub(crate) fn input(file: &str, line: u64, problem: impl Into<String>) -> Self {
        Self::Input { place: Place { file: file.to_owned(), line }, problem: problem.into() }
    }

    /// A problem with an argument.
    pub(crate) fn argument(argument: &str, problem: impl Into<String>) -> Self {
        Self::Argument { argument: argument.to_owned(), problem: problem.into() }
    }

    /// Names the call that a status answers; for `map_err`.
    pub(crate) fn rpc(call: &'static str) -> impl FnOnce(Status) -> Self {
        move |status| Self::Rpc { call, status: Box::new(status) }
    }
}

/// A status with its reason, its field violations and when to try again.
fn describe_status(status: &Status) -> String {
    let details = status.get_error_details();
    let mut text = with_details(status.code(), status.message(), &details);
    if details.error_info().is_none() && status.code() == Code::Unimplemented {
        text.push_str("; does the server have this version's API?");
    }
    text
}

/// The status of one item of a batch, in words.
pub(crate) fn describe_item(status: &tonic_types::Status) -> String {
    with_details(Code::from_i32(status.code), &status.message, &status.get_error_details())
}

fn with_details(code: Code, message: &str, details: &ErrorDetails) -> String {
    let mut text = message.trim_end_matches('.').to_owned();
    if text.is_empty() {
        code.description().clone_into(&mut text);
    }
    let code = code_name(code);
    // Writing to a String cannot fail.
    let _ = match details.error_info() {
        Some(info) => write!(text, " [{code}, {}]", info.reason),
        None => write!(text, " [{code}]"),
    };
    if let Some(request) = details.bad_request() {
        for violation in &request.field_violations {
            let _ = write!(text, "\n  {}: {}", violation.field, violation.description);
        }
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        let _ = write!(text, "\n  try again in {} ms", delay.as_millis());
    }
    text
}

/// The name that the gRPC documents use.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::CliError;
    use std::collections::HashMap;
    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt};

    #[test]
    fn a_status_shows_its_reason_and_its_fields() {
        let mut details = ErrorDetails::new();
        details.set_error_info("BAD_REQUEST", "trustflow", HashMap::new());
        details.add_bad_request_violation("target_ids", "needs 1 to 1000 ids");
        let status = Status::with_error_details(Code::InvalidArgument, "the request is not valid", details);
        let text = CliError::rpc("Score")(status).to_string();
        assert_eq!(
            text,
            "Score: the request is not valid [INVALID_ARGUMENT, BAD_REQUEST]\n  target_ids: needs 1 to 1000 ids"
        );
    }

    #[test]
    fn a_place_names_the_line_when_there_is_one() {
        assert_eq!(CliError::input("a.jsonl", 7, "half a line").to_string(), "a.jsonl:7: half a line");
        assert_eq!(CliError::input("a.jsonl", 0, "empty").to_string(), "a.jsonl: empty");
    }
}
