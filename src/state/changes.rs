//! What changed since rows were last written.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::ledgers::LedgerKey;
use super::rows::{ImportRow, RequestRow, Row, WindowsRow};
use super::state::State;
use crate::domain::{AuditEntry, DayFacts, FactKey, ItemId, ProfileKey, RequestKey, Subject};

/// Keys of changed rows, and the values of those that memory does not keep.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) profiles: BTreeSet<ProfileKey>,
    pub(super) facts: HashMap<FactKey, DayFacts, foldhash::fast::FixedState>,
    pub(super) windows: BTreeSet<u32>,
    pub(super) item_windows: BTreeSet<ItemId>,
    pub(super) rights: BTreeSet<u32>,
    pub(super) violations: BTreeSet<(u32, u64)>,
    pub(super) requests: Vec<(RequestKey, Option<RequestRow>)>,
    pub(super) imports: BTreeMap<String, Option<ImportRow>>,
    pub(super) policies: BTreeSet<u64>,
    pub(super) ledger: HashSet<LedgerKey, foldhash::fast::FixedState>,
    pub(super) audit: Vec<AuditEntry>,
}

impl State {
    /// The rows that changed since the last call, at most `stale` of them for sums of an earlier day.
    pub fn take_rows(&mut self, stale: usize) -> Vec<Row> {
        let stale_from = self.stale_windows.len().saturating_sub(stale);
        let stale = self.stale_windows.split_off(stale_from);
        let mut changes = std::mem::take(&mut self.changes);
        changes.windows.extend(stale);
        let mut rows = vec![Row::Meta(self.meta.clone())];
        rows.extend(changes.policies.iter().filter_map(|version| self.policies.get(version).cloned().map(Row::Policy)));
        rows.extend(changes.profiles.iter().map(|key| Row::Profile(*key, self.profile(*key))));
        rows.extend(changes.facts.into_iter().map(|(key, facts)| Row::Facts(key, facts)));
        rows.extend(changes.windows.iter().filter_map(|slot| self.windows_row(*slot)));
        rows.extend(changes.item_windows.iter().filter_map(|item| self.item_windows_row(*item)));
        rows.extend(changes.rights.iter().filter_map(|slot| {
            let entry = self.entry(*slot)?;
            Some(Row::Rights(entry.id, entry.rights.clone()))
        }));
        rows.extend(changes.violations.iter().filter_map(|(slot, id)| {
            self.entry(*slot)?.violations.iter().find(|violation| violation.id == *id).cloned().map(Row::Violation)
        }));
        rows.extend(changes.requests.into_iter().map(|(key, row)| Row::Request(key, row)));
        rows.extend(changes.imports.into_iter().map(|(id, row)| Row::Import(id, row)));
        rows.extend(changes.ledger.into_iter().map(|key| Row::Ledger(self.ledgers.row(key))));
        rows.extend(changes.audit.into_iter().map(Row::Audit));
        rows
    }

    /// Whether sums of an earlier day are still to be written.
    #[must_use]
    pub fn has_stale_windows(&self) -> bool {
        !self.stale_windows.is_empty()
    }

    fn windows_row(&self, slot: u32) -> Option<Row> {
        let entry = self.entry(slot)?;
        let row = WindowsRow {
            facts_day: self.facts_day(),
            layout: self.policy.layout_fingerprint,
            last_stored: entry.last_stored,
            facts: entry.facts.clone(),
        };
        Some(Row::Windows(Subject::Merchant(entry.id), row))
    }
}
