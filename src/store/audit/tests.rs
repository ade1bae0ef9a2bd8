//! Entries come back in order, by span, by time and by kind; what is kept no longer goes, the oldest first.

use proptest::prelude::*;
use tempfile::TempDir;

use super::{AuditRange, AuditRetention};
use crate::domain::{AuditEntry, DAY_MS, RequestKey, Timestamp};
use crate::record::arbitrary;
use crate::state::Row;
use crate::store::{DataFolder, Store};

const DAY: u64 = DAY_MS.unsigned_abs();

fn opened() -> (TempDir, Store) {
    let folder = TempDir::new().expect("a folder");
    let store = DataFolder::open(folder.path()).expect("opens").store().expect("opens");
    (folder, store)
}

/// Entry number `revision`, one a day; every third is of bulk data.
fn entry(revision: u64) -> AuditEntry {
    let at = Timestamp(i64::try_from(revision * DAY).expect("fits"));
    let request = RequestKey { method: format!("Method{revision}"), ..RequestKey::default() };
    AuditEntry { revision, at, is_bulk: revision.is_multiple_of(3), request, by_server: true, ..AuditEntry::default() }
}

fn filled(upto: u64) -> (TempDir, Store) {
    let (folder, store) = opened();
    store.write(upto, (1..=upto).map(|revision| Row::Audit(entry(revision)))).expect("writes");
    (folder, store)
}

fn revisions(store: &Store, range: &AuditRange) -> Vec<u64> {
    store.audit(range).expect("reads").map(|entry| entry.expect("reads").revision).collect()
}

#[test]
fn entries_are_read_by_span_time_kind_and_order() {
    let (_folder, store) = filled(12);
    let all = AuditRange::ALL;
    assert_eq!(revisions(&store, &all), (1..=12).collect::<Vec<_>>());
    assert_eq!(revisions(&store, &AuditRange { newest_first: true, ..all }), (1..=12).rev().collect::<Vec<_>>());
    assert_eq!(revisions(&store, &AuditRange { changes: false, ..all }), [3, 6, 9, 12]);
    assert_eq!(revisions(&store, &AuditRange { bulk: false, ..all }), [1, 2, 4, 5, 7, 8, 10, 11]);
    assert_eq!(revisions(&store, &AuditRange { revisions: (5, 7), newest_first: true, ..all }), [7, 6, 5]);
    assert!(revisions(&store, &AuditRange { revisions: (13, u64::MAX), ..all }).is_empty());
    let day = |day: u64, ms: i64| Some(Timestamp(i64::try_from(day * DAY).expect("fits") + ms));
    for (from, until, expected) in [
        (day(5, 0), None, 5..=12),
        (day(5, 1), None, 6..=12),
        (None, day(5, 0), 1..=4),
        (None, day(5, 1), 1..=5),
        (day(4, 0), day(9, 0), 4..=8),
        (day(0, 0), day(99, 0), 1..=12),
    ] {
        let found = revisions(&store, &AuditRange { from, until, ..all });
        assert_eq!(found, expected.collect::<Vec<_>>(), "{from:?} to {until:?}");
    }
    assert!(revisions(&store, &AuditRange { from: day(13, 0), ..all }).is_empty());
    let (_folder, empty) = opened();
    assert!(revisions(&empty, &AuditRange { from: day(1, 0), until: day(2, 0), ..all }).is_empty());
}

#[test]
fn what_is_kept_no_longer_goes_the_oldest_first() {
    let (folder, store) = filled(12);
    assert_eq!(store.audit_entries(), [8, 4]);
    let now = entry(12).at;
    let keep = |days, bulk_days, max_entries| AuditRetention { days, bulk_days, max_entries };
    assert!(!store.trim_audit(now, &keep(400, 400, 100), 10).expect("trims"));
    assert_eq!(store.audit_entries(), [8, 4], "nothing is old");
    // Bulk data of before day 9; changes of before day 2.
    assert!(!store.trim_audit(now, &keep(10, 3, 100), 10).expect("trims"));
    assert_eq!(revisions(&store, &AuditRange::ALL), [2, 4, 5, 7, 8, 9, 10, 11, 12]);
    assert_eq!(store.audit_entries(), [7, 2]);
    // Too many: a slice at a time.
    assert!(store.trim_audit(now, &keep(400, 400, 4), 2).expect("trims"), "there are more");
    assert_eq!(revisions(&store, &AuditRange { bulk: false, ..AuditRange::ALL }), [5, 7, 8, 10, 11]);
    assert!(!store.trim_audit(now, &keep(400, 400, 4), 2).expect("trims"));
    assert_eq!(store.audit_entries(), [4, 2]);
    // Numbers go on where they were, and so do the bounds.
    drop(store);
    let store = DataFolder::open(folder.path()).expect("opens").store().expect("opens");
    assert_eq!(store.audit_entries(), [4, 2]);
    store.write(13, [Row::Audit(entry(13))]).expect("writes");
    assert!(!store.trim_audit(now, &keep(400, 400, 4), 2).expect("trims"));
    assert_eq!(revisions(&store, &AuditRange::ALL), [8, 9, 10, 11, 12, 13]);
    // All of them.
    assert!(!store.trim_audit(entry(999).at, &keep(1, 1, 4), 9).expect("trims"));
    assert!(revisions(&store, &AuditRange::ALL).is_empty());
    assert_eq!(store.audit_entries(), [0, 0]);
}

proptest! {
    // Few: creating a folder takes many syncs.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn entries_come_back_after_reopening(mut entry in arbitrary::audit_entry(), revision in 1_u64..u64::MAX) {
        let (folder, store) = opened();
        entry.revision = revision;
        store.write(revision, []).expect("writes");
        let (_, hash) = store.state_hash().expect("hashes");
        store.write(revision, [Row::Audit(entry.clone())]).expect("writes");
        prop_assert_eq!(store.state_hash().expect("hashes").1, hash, "entries are no part of the state");
        drop(store);
        let store = DataFolder::open(folder.path()).expect("opens").store().expect("opens");
        let found: Vec<_> = store.audit(&AuditRange::ALL).expect("reads").map(|found| found.expect("reads")).collect();
        prop_assert_eq!(found, [entry]);
    }
}
