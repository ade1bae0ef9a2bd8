//! The audit trail on disk: entries under kind and revision, so that each kind is kept as long as it is meant to be, and
//! the few changes that people make are found without reading the many of bulk data.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fjall::Snapshot;

use super::error::StoreError;
use super::snapshot::Scan;
use super::spaces::Space;
use super::store::Store;
use super::{keys, values};
use crate::domain::{AuditEntry, DAY_MS, Timestamp};
use crate::record::{DecodeProblem, audit_entry, pb};

/// Kinds of entries: changes, and bulk data.
const KINDS: [bool; 2] = [false, true];

/// How long entries are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditRetention {
    /// Days of state time that entries of changes are kept.
    pub days: u32,
    /// The same of entries of bulk data.
    pub bulk_days: u32,
    /// Entries of each kind that are kept at most, however young they are.
    pub max_entries: u64,
}

impl AuditRetention {
    /// What is kept unless settings say otherwise.
    pub const DEFAULT: Self = Self { days: 400, bulk_days: 7, max_entries: 5_000_000 };

    fn days_of(&self, is_bulk: bool) -> u32 {
        if is_bulk { self.bulk_days } else { self.days }
    }
}

/// Where the entries of one kind begin and end.
#[derive(Debug, Default)]
struct Ends {
    /// A revision before which there is none.
    from: AtomicU64,
    /// Number of the first; 1 above the last if there is none.
    first: AtomicU64,
    /// Number of the last.
    last: AtomicU64,
}

/// The ends of both kinds. One thread writes and trims.
#[derive(Clone, Debug, Default)]
pub(super) struct AuditEnds(Arc<[Ends; 2]>);

impl AuditEnds {
    fn of(&self, is_bulk: bool) -> &Ends {
        let [changes, bulk] = &*self.0;
        if is_bulk { bulk } else { changes }
    }

    /// The number of a new entry.
    pub(super) fn next_number(&self, is_bulk: bool) -> u64 {
        self.of(is_bulk).last.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Which entries to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditRange {
    /// Whether changes are among them.
    pub changes: bool,
    /// Whether bulk data is among them.
    pub bulk: bool,
    /// First and last revision.
    pub revisions: (u64, u64),
    /// The first instant, if it matters.
    pub from: Option<Timestamp>,
    /// The first instant after them, if it matters.
    pub until: Option<Timestamp>,
    /// Whether they are read from the last to the first.
    pub newest_first: bool,
}

impl AuditRange {
    /// Everything, from the oldest to the newest.
    pub const ALL: Self =
        Self { changes: true, bulk: true, revisions: (0, u64::MAX), from: None, until: None, newest_first: false };
}

impl Store {
    /// Reads where the audit trail ends.
    pub(super) fn find_audit_ends(&self) -> Result<(), StoreError> {
        let snapshot = self.db.snapshot();
        for is_bulk in KINDS {
            let ends = self.audit_ends.of(is_bulk);
            let all = || self.scan_audit(&snapshot, is_bulk, (0, u64::MAX));
            let first = all().next_with(textual(place)).transpose()?;
            let last = all().last_with(textual(place)).transpose()?;
            ends.from.store(first.as_ref().map_or(0, |first| first.revision), Ordering::Relaxed);
            ends.first.store(first.map_or(1, |first| first.number), Ordering::Relaxed);
            ends.last.store(last.map_or(0, |last| last.number), Ordering::Relaxed);
        }
        Ok(())
    }

    fn scan_audit(&self, snapshot: &Snapshot, is_bulk: bool, (first, last): (u64, u64)) -> Scan {
        let range = (
            std::ops::Bound::Included(keys::audit(is_bulk, first)),
            std::ops::Bound::Included(keys::audit(is_bulk, last)),
        );
        Scan::range(snapshot, Space::Audit, self.spaces.of(Space::Audit), range)
    }

    /// How many entries of changes and of bulk data are kept.
    #[must_use]
    pub fn audit_entries(&self) -> [u64; 2] {
        KINDS.map(|is_bulk| {
            let ends = self.audit_ends.of(is_bulk);
            (ends.last.load(Ordering::Relaxed) + 1).saturating_sub(ends.first.load(Ordering::Relaxed))
        })
    }

    /// Entries in order of revision, as they are now.
    ///
    /// # Errors
    /// When an entry cannot be read or is damaged.
    pub fn audit(&self, range: &AuditRange) -> Result<AuditEntries, StoreError> {
        let snapshot = self.db.snapshot();
        let mut scans = [None, None];
        let kinds = KINDS.into_iter().zip([range.changes, range.bulk]).zip(&mut scans);
        for ((is_bulk, _), scan) in kinds.filter(|((_, is_wanted), _)| *is_wanted) {
            let (mut first, mut last) = range.revisions;
            if let Some(from) = range.from {
                first = first.max(self.revision_at(&snapshot, is_bulk, from)?);
            }
            if let Some(until) = range.until {
                last = last.min(self.revision_at(&snapshot, is_bulk, until)?.saturating_sub(1));
            }
            // Not over what was removed, which takes its time.
            first = first.max(self.audit_ends.of(is_bulk).from.load(Ordering::Relaxed));
            // A range that ends before it begins is empty, which the database would refuse.
            *scan = (first <= last).then(|| self.scan_audit(&snapshot, is_bulk, (first, last)));
        }
        Ok(AuditEntries { scans, heads: [None, None], newest_first: range.newest_first })
    }

    /// The revision of the first entry of a kind at or after an instant, or one above all: state time never goes back,
    /// and so halving finds it.
    fn revision_at(&self, snapshot: &Snapshot, is_bulk: bool, at: Timestamp) -> Result<u64, StoreError> {
        let from = |revision| self.scan_audit(snapshot, is_bulk, (revision, u64::MAX));
        let mut low = self.audit_ends.of(is_bulk).from.load(Ordering::Relaxed);
        let mut high =
            from(low).last_with(textual(place)).transpose()?.map_or(0, |last| last.revision.saturating_add(1));
        while low < high {
            let middle = low.midpoint(high);
            match from(middle).next_with(textual(place)).transpose()? {
                Some(entry) if entry.at < at => low = entry.revision.saturating_add(1),
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// Removes entries that are kept no longer at an instant, at most so many of each kind; answers whether there are
    /// more. To be called by the thread that writes.
    ///
    /// # Errors
    /// When the database failed, or an entry is damaged.
    pub fn trim_audit(&self, now: Timestamp, keep: &AuditRetention, limit: usize) -> Result<bool, StoreError> {
        let snapshot = self.db.snapshot();
        let mut is_more = false;
        for is_bulk in KINDS {
            let ends = self.audit_ends.of(is_bulk);
            let oldest = now.plus_ms(-i64::from(keep.days_of(is_bulk)).saturating_mul(DAY_MS));
            let last = ends.last.load(Ordering::Relaxed);
            let mut scan = self.scan_audit(&snapshot, is_bulk, (ends.from.load(Ordering::Relaxed), u64::MAX));
            let mut batch = self.db.batch();
            let mut removed = 0;
            let kept = loop {
                let row = scan.next_with(textual(place));
                let Some(Place { revision, number, at }) = row.transpose()? else { break None };
                let is_kept = at >= oldest && number.saturating_add(keep.max_entries) > last;
                if is_kept || removed == limit {
                    is_more |= !is_kept;
                    break Some((revision, number));
                }
                batch.remove(self.spaces.of(Space::Audit), keys::audit(is_bulk, revision));
                removed += 1;
            };
            if removed > 0 {
                batch.commit()?;
            }
            if let Some((revision, number)) = kept {
                ends.from.store(revision, Ordering::Relaxed);
                ends.first.store(number, Ordering::Relaxed);
            } else {
                ends.first.store(last + 1, Ordering::Relaxed);
            }
        }
        Ok(is_more)
    }
}

/// Entries of both kinds, in order of revision. It ends after the first error.
pub struct AuditEntries {
    scans: [Option<Scan>; 2],
    heads: [Option<AuditEntry>; 2],
    newest_first: bool,
}

impl Iterator for AuditEntries {
    type Item = Result<AuditEntry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        for (head, scan) in self.heads.iter_mut().zip(&mut self.scans) {
            let Some(rows) = scan.as_mut().filter(|_| head.is_none()) else { continue };
            match if self.newest_first { rows.last_with(textual(read)) } else { rows.next_with(textual(read)) } {
                Some(Ok(entry)) => *head = Some(entry),
                Some(Err(error)) => {
                    self.scans = [None, None];
                    self.heads = [None, None];
                    return Some(Err(error));
                }
                None => *scan = None,
            }
        }
        let [changes, bulk] = &mut self.heads;
        let is_bulk_next = match (&changes, &bulk) {
            (Some(change), Some(bulk)) => (bulk.revision > change.revision) == self.newest_first,
            (None, _) => true,
            (_, None) => false,
        };
        if is_bulk_next { bulk.take().map(Ok) } else { changes.take().map(Ok) }
    }
}

const NO_KEY: DecodeProblem = DecodeProblem::Missing { field: "kind and revision in the key" };

/// Reads a row.
pub(super) fn read(key: &[u8], value: &[u8]) -> Result<AuditEntry, DecodeProblem> {
    let (is_bulk, revision) = keys::read_audit(key).ok_or(NO_KEY)?;
    audit_entry(values::read::<pb::AuditRow>(value)?, revision, is_bulk)
}

/// The same with problems as text.
fn textual<T>(
    read: impl FnOnce(&[u8], &[u8]) -> Result<T, DecodeProblem>,
) -> impl FnOnce(&[u8], &[u8]) -> Result<T, String> {
    |key, value| read(key, value).map_err(|problem| problem.to_string())
}

/// Where an entry stands.
struct Place {
    revision: u64,
    /// Among those of its kind, from 1.
    number: u64,
    at: Timestamp,
}

fn place(key: &[u8], value: &[u8]) -> Result<Place, DecodeProblem> {
    let (_, revision) = keys::read_audit(key).ok_or(NO_KEY)?;
    let row: pb::AuditRow = values::read(value)?;
    Ok(Place { revision, number: row.number, at: Timestamp(row.at) })
}
