//! Checks of fields: every problem of a message is named, with its path.

use prost::Message;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::status::{DOMAIN, Reason};
use crate::domain::RequestKey;

/// Longest text of a field, in characters.
pub(super) const MAX_TEXT: usize = 256;
/// Longest list of a field.
pub(super) const MAX_LIST: usize = 64;
/// Longest request id, in bytes.
const MAX_REQUEST_ID: usize = 128;

/// One thing wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field, e.g. `merchants[3].name`.
    pub field: String,
    /// What is wrong, and what is allowed.
    pub description: String,
    /// `BadRequest`, or a reason of its own.
    pub reason: Reason,
}

/// Collects what is wrong with a message.
#[derive(Debug, Default)]
pub struct Fields {
    prefix: String,
    problems: Vec<Problem>,
}

impl Fields {
    /// Checks of fields below a path, which is empty or ends with a dot.
    #[must_use]
    pub fn below(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), problems: Vec::new() }
    }

    /// Notes that something is wrong.
    pub fn wrong(&mut self, field: &str, description: impl Into<String>) {
        self.wrong_for(field, description, Reason::BadRequest);
    }

    /// Notes that something is wrong for a reason of its own.
    pub(super) fn wrong_for(&mut self, field: &str, description: impl Into<String>, reason: Reason) {
        let field = format!("{}{field}", self.prefix);
        self.problems.push(Problem { field, description: description.into(), reason });
    }

    /// Notes a problem unless `ok`.
    pub fn check(&mut self, ok: bool, field: &str, description: &str) {
        if !ok {
            self.wrong(field, description);
        }
    }

    /// A text of bounded length.
    pub fn text(&mut self, field: &str, text: &str) {
        self.check(text.chars().count() <= MAX_TEXT, field, "must have at most 256 characters");
    }

    /// A list of bounded length of texts of bounded length.
    pub fn texts(&mut self, field: &str, texts: &[String]) {
        self.check(texts.len() <= MAX_LIST, field, "must have at most 64 entries");
        for (index, text) in texts.iter().enumerate().take(MAX_LIST) {
            self.text(&format!("{field}[{index}]"), text);
        }
    }

    /// An id.
    pub fn id(&mut self, field: &str, id: u64) {
        self.check(id != 0, field, "must not be 0");
    }

    /// How much is wrong so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// What was wrong.
    ///
    /// # Errors
    /// The problems, if there are any.
    pub fn done(self) -> Result<(), Vec<Problem>> {
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems) }
    }

    /// What was wrong, as a status.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming every field.
    pub fn finish(self) -> Result<(), Status> {
        self.done().map_err(|problems| bad_request(&problems))
    }
}

/// `INVALID_ARGUMENT` naming the fields.
#[must_use]
pub(super) fn bad_request(problems: &[Problem]) -> Status {
    let mut details = ErrorDetails::new();
    for problem in problems {
        details.add_bad_request_violation(&problem.field, &problem.description);
    }
    details.set_error_info(Reason::BadRequest.name(), DOMAIN, std::collections::HashMap::<String, String>::new());
    Status::with_error_details(Code::InvalidArgument, message(problems), details)
}

/// The problems in one line.
#[must_use]
pub(super) fn message(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().take(8).map(|p| format!("{}: {}", p.field, p.description)).collect();
    let more = problems.len().saturating_sub(8);
    let end = if more == 0 { String::new() } else { format!("; and {more} more") };
    format!("{}{end}", texts.join("; "))
}

/// A hash of what a request carries.
#[must_use]
pub fn payload_hash(request: &impl Message) -> u128 {
    xxhash_rust::xxh3::xxh3_128(&request.encode_to_vec())
}

/// Who sends a request, and from where.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    /// Who; empty where everybody may come in.
    pub identity: String,
    /// The address, without the port.
    pub peer: String,
}

/// Who asks for a write by which request, for the audit trail and deduplication. Each identity has request ids of its own.
///
/// # Errors
/// `INVALID_ARGUMENT` when the id is too long.
pub fn request_key(sender: &Sender, method: &str, request_id: &str, payload_hash: u128) -> Result<RequestKey, Status> {
    let mut fields = Fields::default();
    fields.check(request_id.len() <= MAX_REQUEST_ID, "request_id", "must have at most 128 bytes");
    fields.finish()?;
    Ok(RequestKey {
        identity: sender.identity.clone(),
        peer: sender.peer.clone(),
        method: method.to_owned(),
        request_id: request_id.to_owned(),
        payload_hash,
    })
}
