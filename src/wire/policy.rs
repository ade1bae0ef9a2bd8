//! Policies: texts, versions, differences, changes.

use tonic::Status;

use super::profiles::{etag, expected_revision};
use super::status::bad_policy;
use super::time::{optional_time, to_proto_time};
use super::validate::Fields;
use crate::domain::{Body, Outcome, PolicyOutcome, PolicyPublish, PolicyState, PolicyText};
use crate::policy::{self, Change, ChangeKind, MAX_BYTES, MAX_FILES, Problem};
use crate::proto;
use crate::state::{Applied, PendingPolicy, PolicyRow, PolicySwitch, State};

/// Source of texts that come over the API.
const SOURCE: &str = "rpc";
/// Longest comment or reason, in bytes.
const MAX_COMMENT: usize = 4_096;
/// Longest path of a file, in bytes.
const MAX_PATH: usize = 256;

/// The text of a request.
///
/// # Errors
/// `INVALID_ARGUMENT` when it is empty or too large, or names a file as no policy may.
pub fn policy_text(files: Vec<proto::PolicyFile>) -> Result<PolicyText, Status> {
    let mut fields = Fields::default();
    let text = text_of(&mut fields, "files", files);
    fields.finish()?;
    Ok(text)
}

pub(super) fn text_of(fields: &mut Fields, field: &str, files: Vec<proto::PolicyFile>) -> PolicyText {
    let bytes: usize = files.iter().map(|file| file.path.len() + file.content.len()).sum();
    fields.check((1..=MAX_FILES).contains(&files.len()), field, "must have 1 to 256 entries");
    fields.check(bytes <= MAX_BYTES, field, "must have at most 4 MiB in all");
    for (index, file) in files.iter().enumerate().take(MAX_FILES) {
        let rule = "must be a path inside the policy folder that ends with .toml, of letters, digits, _, -, . and /";
        fields.check(is_path(&file.path), &format!("{field}[{index}].path"), rule);
    }
    let mut files: Vec<(String, String)> = files.into_iter().map(|file| (file.path, file.content)).collect();
    files.sort();
    PolicyText { source: SOURCE.to_owned(), files }
}

/// Whether a file may be called this: the client writes policies to folders by these names.
fn is_path(path: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
    };
    path.len() <= MAX_PATH && path.strip_suffix(".toml").is_some() && path.split('/').all(is_part)
}

/// The command of a `PublishPolicy`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn publish(request: proto::PublishPolicyRequest) -> Result<PolicyPublish, Status> {
    let mut fields = Fields::default();
    fields.text("author", &request.author);
    fields.check(request.comment.len() <= MAX_COMMENT, "comment", "must have at most 4096 bytes");
    let publish = PolicyPublish {
        expected_revision: expected_revision(&mut fields, &request.etag),
        effective_at: optional_time(&mut fields, "effective_at", request.effective_at),
        text: text_of(&mut fields, "files", request.files),
        author: request.author,
        comment: request.comment,
        is_configured: false,
    };
    fields.finish()?;
    Ok(publish)
}

/// The command of a `RollbackPolicy`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn rollback(request: proto::RollbackPolicyRequest) -> Result<Body, Status> {
    let mut fields = Fields::default();
    fields.id("version", request.version);
    fields.text("author", &request.author);
    fields.check(request.reason.len() <= MAX_COMMENT, "reason", "must have at most 4096 bytes");
    let expected_revision = expected_revision(&mut fields, &request.etag);
    fields.finish()?;
    let proto::RollbackPolicyRequest { version, author, reason, .. } = request;
    Ok(Body::RollbackPolicy { version, expected_revision, author, reason })
}

/// The command of a `SetKillSwitch`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn kill_switch(request: proto::SetKillSwitchRequest) -> Result<Body, Status> {
    let mut fields = Fields::default();
    fields.check(!request.on || !request.reason.trim().is_empty(), "reason", "must be given to turn it on");
    fields.check(request.reason.len() <= MAX_COMMENT, "reason", "must have at most 4096 bytes");
    fields.text("author", &request.author);
    fields.finish()?;
    let proto::SetKillSwitchRequest { on, author, reason, .. } = request;
    Ok(Body::SetKillSwitch { is_on: on, author, reason })
}

/// A change of policy that was taken, and where its version stands.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// What it came to.
    pub outcome: PolicyOutcome,
    /// Revision of the command.
    pub revision: u64,
    /// Where the version stands now.
    pub state: PolicyState,
}

impl Published {
    /// What a command came to; none if it was no change of policy that was taken.
    #[must_use]
    pub fn of(applied: &Applied, state: &State) -> Option<Self> {
        let Outcome::Policy(outcome) = applied.outcome else { return None };
        Some(Self { outcome, revision: applied.revision, state: state.policy_state(outcome.version) })
    }
}

/// The answer of a `PublishPolicy`.
#[must_use]
pub fn publish_response(published: &Published) -> proto::PublishPolicyResponse {
    proto::PublishPolicyResponse {
        version: published.outcome.version,
        etag: etag(published.outcome.policy_revision),
        revision: published.revision,
        state: state_of(published.state).into(),
        unchanged: published.outcome.is_unchanged,
    }
}

/// The answer of a `RollbackPolicy`.
#[must_use]
pub fn rollback_response(published: &Published) -> proto::RollbackPolicyResponse {
    let proto::PublishPolicyResponse { version, etag, revision, state, unchanged } = publish_response(published);
    proto::RollbackPolicyResponse { version, etag, revision, state, unchanged }
}

fn state_of(state: PolicyState) -> proto::PolicyState {
    match state {
        PolicyState::Serving => proto::PolicyState::Serving,
        PolicyState::Preparing => proto::PolicyState::Preparing,
        PolicyState::Scheduled => proto::PolicyState::Scheduled,
        PolicyState::Retired => proto::PolicyState::Retired,
    }
}

/// Problems as they are sent.
pub(super) fn problems(problems: &[Problem]) -> Vec<proto::PolicyProblem> {
    let problem = |problem: &Problem| proto::PolicyProblem {
        file: problem.file.clone(),
        line: problem.line,
        message: problem.message.clone(),
        suggestion: problem.suggestion.clone(),
    };
    problems.iter().map(problem).collect()
}

/// The answer of a `ValidatePolicy`.
#[must_use]
pub fn validate_response(text: &PolicyText, found: &[Problem], state: &State) -> proto::ValidatePolicyResponse {
    let hash = policy::text_hash(text);
    let version = state.version_of(&hash).unwrap_or(0);
    proto::ValidatePolicyResponse { problems: problems(found), hash, version }
}

/// The version that waits, as it is sent.
pub(super) fn pending(pending: PendingPolicy) -> proto::PendingPolicy {
    proto::PendingPolicy { version: pending.version, effective_at: Some(to_proto_time(pending.effective_at)) }
}

fn version_of(row: &PolicyRow, state: &State) -> proto::PolicyVersion {
    let pending = state.meta().pending.filter(|pending| pending.version == row.version);
    let switch = |switch: &PolicySwitch| proto::PolicySwitch {
        at: Some(to_proto_time(switch.at)),
        author: switch.author.clone(),
        reason: switch.reason.clone(),
        revision: switch.revision,
    };
    proto::PolicyVersion {
        version: row.version,
        state: state_of(state.policy_state(row.version)).into(),
        hash: row.hash.clone(),
        author: row.author.clone(),
        comment: row.comment.clone(),
        source: row.text.source.clone(),
        published_at: row.published_at.map(to_proto_time),
        revision: row.revision,
        effective_at: pending.map(|pending| to_proto_time(pending.effective_at)),
        last_switch: row.last_switch.as_ref().map(switch),
    }
}

/// A page of versions, newest first, below a version; 0 begins with the newest.
#[must_use]
pub fn list_response(state: &State, (size, below): (usize, u64)) -> proto::ListPolicyVersionsResponse {
    let rows = state.policies().rev().filter(|row| below == 0 || row.version < below);
    let versions: Vec<_> = rows.take(size).map(|row| version_of(row, state)).collect();
    let last = versions.last().map_or(0, |version| version.version);
    let is_last = state.policies().next().is_none_or(|first| versions.len() < size || first.version == last);
    let next_page_token = if is_last { String::new() } else { format!("{last:x}") };
    proto::ListPolicyVersionsResponse { versions, next_page_token, etag: etag(state.meta().policy_revision) }
}

/// A version and its text; 0 is the one that serves.
#[must_use]
pub fn get_response(state: &State, version: u64) -> Option<proto::GetPolicyResponse> {
    let row = row_of(state, version)?;
    let file = |(path, content): &(String, String)| proto::PolicyFile { path: path.clone(), content: content.clone() };
    Some(proto::GetPolicyResponse {
        version: Some(version_of(row, state)),
        files: row.text.files.iter().map(file).collect(),
        etag: etag(state.meta().policy_revision),
    })
}

pub(super) fn row_of(state: &State, version: u64) -> Option<&PolicyRow> {
    state.policy_row(if version == 0 { state.policy().version } else { version })
}

/// A side of a comparison: a version, 0 for the one that serves, or a text.
type Side = Result<u64, PolicyText>;

/// The two sides of a `DiffPolicies`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn diff_sides(request: proto::DiffPoliciesRequest) -> Result<[DiffSide; 2], Status> {
    let mut fields = Fields::default();
    let mut side = |name: &str, version: u64, files: Vec<proto::PolicyFile>| {
        if files.is_empty() {
            return DiffSide(Ok(version));
        }
        let both = "must be 0 when files are given";
        fields.check(version == 0, &format!("{name}_version"), both);
        DiffSide(Err(text_of(&mut fields, &format!("{name}_files"), files)))
    };
    let sides =
        [side("from", request.from_version, request.from_files), side("to", request.to_version, request.to_files)];
    fields.finish()?;
    Ok(sides)
}

/// One side of a comparison.
pub struct DiffSide(Side);

impl DiffSide {
    /// The text of this side.
    ///
    /// # Errors
    /// The version that there is not.
    pub fn text(self, state: &State) -> Result<PolicyText, u64> {
        match self.0 {
            Err(text) => Ok(text),
            Ok(version) => row_of(state, version).map(|row| row.text.clone()).ok_or(version),
        }
    }
}

/// The answer of a `DiffPolicies`.
///
/// # Errors
/// `INVALID_ARGUMENT` (`BAD_POLICY`) when a text is not TOML.
pub fn policy_diff(from: &PolicyText, to: &PolicyText) -> Result<proto::DiffPoliciesResponse, Status> {
    let changes = policy::diff(from, to).map_err(|problems| bad_policy(&problems))?;
    let change = |Change { kind, path, before, after }| {
        let kind = match kind {
            ChangeKind::Added => proto::PolicyChangeKind::Added,
            ChangeKind::Removed => proto::PolicyChangeKind::Removed,
            ChangeKind::Changed => proto::PolicyChangeKind::Changed,
        };
        proto::PolicyChange { kind: kind.into(), path, before, after }
    };
    Ok(proto::DiffPoliciesResponse { changes: changes.into_iter().map(change).collect() })
}
