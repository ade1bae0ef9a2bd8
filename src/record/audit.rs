//! Entries of the audit trail ⇄ protobuf.

use super::{DecodeProblem, all, pb};
use crate::domain::{AuditChange, AuditEntry, AuditSubject, RequestKey, Timestamp};

/// The message of an entry with its place among those of its kind.
#[must_use]
pub fn audit_row(entry: &AuditEntry, number: u64) -> pb::AuditRow {
    let RequestKey { identity, peer, method, request_id, .. } = &entry.request;
    let caller = || pb::AuditCaller { identity: identity.clone(), peer: peer.clone(), request_id: request_id.clone() };
    pb::AuditRow {
        number,
        at: entry.at.0,
        caller: (!entry.by_server).then(caller),
        method: method.clone(),
        author: entry.author.clone(),
        reason: entry.reason.clone(),
        changes: entry.changes.iter().map(Into::into).collect(),
        more_changes: entry.more_changes,
        counts: entry
            .counts
            .iter()
            .map(|(name, count)| pb::AuditCount { name: name.to_string(), count: *count })
            .collect(),
    }
}

/// The entry of a message, which stands under its kind and revision.
///
/// # Errors
/// When it names a subject that there is not.
pub fn audit_entry(message: pb::AuditRow, revision: u64, is_bulk: bool) -> Result<AuditEntry, DecodeProblem> {
    let by_server = message.caller.is_none();
    let pb::AuditCaller { identity, peer, request_id } = message.caller.unwrap_or_default();
    Ok(AuditEntry {
        revision,
        at: Timestamp(message.at),
        is_bulk,
        by_server,
        request: RequestKey { identity, peer, method: message.method, request_id, payload_hash: 0 },
        author: message.author,
        reason: message.reason,
        changes: all(message.changes)?,
        more_changes: message.more_changes,
        counts: message.counts.into_iter().map(|count| (count.name.into(), count.count)).collect(),
    })
}

impl From<&AuditChange> for pb::AuditChange {
    fn from(change: &AuditChange) -> Self {
        let AuditChange { subject, before, after } = change;
        Self { subject: subject.to_string(), before: before.clone(), after: after.clone() }
    }
}

impl TryFrom<pb::AuditChange> for AuditChange {
    type Error = DecodeProblem;

    fn try_from(message: pb::AuditChange) -> Result<Self, DecodeProblem> {
        let pb::AuditChange { subject, before, after } = message;
        let subject = AuditSubject::parse(&subject)
            .ok_or_else(|| DecodeProblem::invalid("audit_change.subject", format!("{subject:?} is not known")))?;
        Ok(Self { subject, before, after })
    }
}
