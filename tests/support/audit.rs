//! Calls of the audit trail, for tests.

use trustflow::proto::{AuditEntry, HeldRight, ListAuditEntriesRequest, ListAuditEntriesResponse};

use crate::common::{Client, instant};

/// Calls of the audit trail.
pub(crate) trait Audit {
    async fn page(&self, request: ListAuditEntriesRequest) -> ListAuditEntriesResponse;
    async fn audit(&self, request: ListAuditEntriesRequest) -> Vec<AuditEntry>;
    async fn last(&self) -> AuditEntry;
}

impl Audit for Client {
    async fn page(&self, request: ListAuditEntriesRequest) -> ListAuditEntriesResponse {
        self.admin.clone().list_audit_entries(request).await.expect("listed").into_inner()
    }

    /// Everything that matches, page by page.
    async fn audit(&self, mut request: ListAuditEntriesRequest) -> Vec<AuditEntry> {
        let mut found = Vec::new();
        loop {
            let answer = self.page(request.clone()).await;
            found.extend(answer.entries);
            if answer.next_page_token.is_empty() {
                return found;
            }
            request.page_token = answer.next_page_token;
        }
    }

    /// The newest entry of all.
    async fn last(&self) -> AuditEntry {
        let request = ListAuditEntriesRequest { bulk: true, page_size: 1, ..everything() };
        self.page(request).await.entries.remove(0)
    }
}

pub(crate) fn everything() -> ListAuditEntriesRequest {
    ListAuditEntriesRequest::default()
}

pub(crate) fn of_method(method: &str) -> ListAuditEntriesRequest {
    ListAuditEntriesRequest { method: method.to_owned(), ..everything() }
}

pub(crate) fn of_subject(subject: &str) -> ListAuditEntriesRequest {
    ListAuditEntriesRequest { subject: subject.to_owned(), ..everything() }
}

/// A right that is held since the beginning of 2023.
pub(crate) fn right(id: &str) -> HeldRight {
    HeldRight { right: id.to_owned(), from: Some(instant("2023-01-01T00:00:00+08:00")), until: None }
}
