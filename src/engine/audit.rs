//! Reading the audit trail: a page at a time, with a bounded amount of work for each. And trimming it.

use tracing::error;

use super::Engine;
use super::faults::{Faults, Step};
use crate::domain::{AuditEntry, AuditSubject, Timestamp};
use crate::store::{AuditRange, AuditRetention, Store, StoreError};

/// Entries that are read for one page at most, whether they match or not.
pub const AUDIT_LOOKED_AT: usize = 10_000;

/// Bytes of what entries tell after which a page ends: clients take messages of 4 MiB.
const PAGE_BYTES: usize = 1 << 20;

/// Which entries are asked for.
#[derive(Clone, Debug)]
pub struct AuditQuery {
    /// The kinds, the time and the order; `revisions` also says where the page begins.
    pub range: AuditRange,
    /// Who asked; empty for everybody.
    pub identity: String,
    /// The method called; empty for all.
    pub method: String,
    /// What was concerned; none for everything.
    pub subject: Option<AuditSubject>,
    /// Entries of the page at most.
    pub size: usize,
}

/// Entries that match.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// In the order asked for.
    pub entries: Vec<AuditEntry>,
    /// The revision at which the next page begins; none after the last.
    pub next: Option<u64>,
}

impl AuditQuery {
    fn matches(&self, entry: &AuditEntry) -> bool {
        let is_subject = |subject: &AuditSubject| entry.changes.iter().any(|change| change.subject == *subject);
        (self.identity.is_empty() || self.identity == entry.request.identity)
            && (self.method.is_empty() || self.method == entry.request.method)
            && self.subject.as_ref().is_none_or(is_subject)
    }
}

impl Engine {
    /// A page of the audit trail. It can be empty although there is a next one: what matches may lie far apart. Reads the
    /// disk.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn audit(&self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        let mut page = AuditPage { entries: Vec::new(), next: None };
        let mut bytes = 0;
        for (looked_at, entry) in self.store.audit(&query.range)?.enumerate() {
            let entry = entry?;
            if looked_at == AUDIT_LOOKED_AT || page.entries.len() == query.size || bytes >= PAGE_BYTES {
                page.next = Some(entry.revision);
                break;
            }
            if query.matches(&entry) {
                bytes += bytes_of(&entry);
                page.entries.push(entry);
            }
        }
        Ok(page)
    }

    /// How many entries of changes and of bulk data the audit trail holds.
    #[must_use]
    pub fn audit_entries(&self) -> [u64; 2] {
        self.store.audit_entries()
    }
}

/// Bytes of what an entry tells, about.
fn bytes_of(entry: &AuditEntry) -> usize {
    let changes = entry.changes.iter().map(|change| change.before.len() + change.after.len());
    entry.reason.len() + changes.sum::<usize>()
}

/// Pause, in state time, between two looks for entries that are kept no longer.
const TRIM_EVERY_MS: i64 = 60_000;

/// Removes entries that are kept no longer, a slice at a time.
pub(super) struct AuditTrimmer {
    keep: AuditRetention,
    /// State time from which to look again.
    due: Timestamp,
}

impl AuditTrimmer {
    pub(super) fn new(keep: AuditRetention) -> Self {
        Self { keep, due: Timestamp(i64::MIN) }
    }

    /// Removes a slice, if there is one. Answers whether there is more.
    ///
    /// # Errors
    /// When the database failed.
    pub(super) fn trim(
        &mut self,
        store: &Store,
        now: Timestamp,
        limit: usize,
        faults: &mut dyn Faults,
    ) -> Result<bool, String> {
        if now < self.due {
            return Ok(false);
        }
        faults.at(Step::TrimmingAudit)?;
        match store.trim_audit(now, &self.keep, limit) {
            Ok(true) => Ok(true),
            Ok(false) => {
                self.due = now.plus_ms(TRIM_EVERY_MS);
                faults.at(Step::TrimmingAudit).map(|()| false)
            }
            // No write hangs on it, and who reads that far is told.
            Err(cause @ StoreError::Damaged { .. }) => {
                error!(%cause, "the audit trail is not trimmed until the process is restarted");
                self.due = Timestamp(i64::MAX);
                Ok(false)
            }
            Err(cause) => Err(cause.to_string()),
        }
    }
}
