//! The audit trail.

use tonic::Status;

use super::profiles::page;
use super::time::{optional_time, to_proto_time};
use super::validate::Fields;
use crate::domain::{AuditChange, AuditEntry, AuditSubject};
use crate::engine::{AuditPage, AuditQuery};
use crate::proto;
use crate::store::AuditRange;

/// Methods whose entries are of bulk data.
const BULK_METHODS: [&str; 3] = ["Import", "RecordFacts", "ReportExposures"];

/// What a `ListAuditEntries` asks for.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn audit_query(request: proto::ListAuditEntriesRequest) -> Result<AuditQuery, Status> {
    let mut fields = Fields::default();
    fields.text("identity", &request.identity);
    fields.text("method", &request.method);
    let subject = AuditSubject::parse(&request.subject);
    let is_subject = request.subject.is_empty() || subject.is_some();
    fields.check(is_subject, "subject", "must be empty, or a kind and an id like merchant/5 or programme/kuai_brand");
    let from = optional_time(&mut fields, "from_time", request.from_time);
    let until = optional_time(&mut fields, "until_time", request.until_time);
    let is_span = from.zip(until).is_none_or(|(from, until)| from < until);
    fields.check(is_span, "until_time", "must be after from_time");
    let (first, last) = (request.from_revision, request.until_revision);
    let last = if last == 0 { u64::MAX } else { last };
    fields.check(first <= last, "until_revision", "must be 0, or not below from_revision");
    fields.finish()?;
    let (size, at) = page(request.page_size, &request.page_token)?;
    let revisions = match (request.page_token.is_empty(), request.oldest_first) {
        (true, _) => (first, last),
        (false, true) => (first.max(at), last),
        (false, false) => (first, last.min(at)),
    };
    let names_bulk =
        BULK_METHODS.contains(&request.method.as_str()) || matches!(subject, Some(AuditSubject::Import(_)));
    let range = AuditRange {
        changes: !names_bulk,
        bulk: names_bulk || (request.bulk && request.method.is_empty()),
        revisions,
        from,
        until,
        newest_first: !request.oldest_first,
    };
    Ok(AuditQuery { range, identity: request.identity, method: request.method, subject, size })
}

/// The answer of a `ListAuditEntries`.
#[must_use]
pub fn audit_response(page: AuditPage) -> proto::ListAuditEntriesResponse {
    proto::ListAuditEntriesResponse {
        entries: page.entries.into_iter().map(entry).collect(),
        next_page_token: page.next.map(|revision| format!("{revision:x}")).unwrap_or_default(),
    }
}

fn entry(entry: AuditEntry) -> proto::AuditEntry {
    let change = |AuditChange { subject, before, after }| {
        let subject = subject.to_string();
        proto::AuditChange { subject, before, after }
    };
    proto::AuditEntry {
        revision: entry.revision,
        time: Some(to_proto_time(entry.at)),
        identity: entry.request.identity,
        by_server: entry.by_server,
        peer: entry.request.peer,
        method: entry.request.method,
        request_id: entry.request.request_id,
        author: entry.author,
        reason: entry.reason,
        changes: entry.changes.into_iter().map(change).collect(),
        more_changes: entry.more_changes,
        counts: entry.counts.into_iter().map(|(name, count)| (name.into_owned(), count)).collect(),
        bulk: entry.is_bulk,
    }
}
