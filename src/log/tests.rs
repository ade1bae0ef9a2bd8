//! The embedded log: order, durability across a reopening, gaps, damage and trimming.

use fjall::{Database, KeyspaceCreateOptions};
use tempfile::TempDir;

use super::{EmbeddedLog, Log, LogError, Revision};
use crate::domain::{Body, Command, Timestamp};

fn open(folder: &TempDir) -> Database {
    Database::builder(folder).open().expect("opens")
}

fn commands(stamps: std::ops::RangeInclusive<i64>) -> Vec<Command> {
    let tick = |stamp| Command { stamp: Timestamp(stamp), node: 1, semantics: 1, request: None, body: Body::Tick };
    stamps.map(tick).collect()
}

/// Revisions, and whether the stamps equal them.
fn read(log: &EmbeddedLog, after: Revision) -> Result<Vec<Revision>, LogError> {
    log.read_after(after)
        .map(|entry| {
            let (revision, command) = entry?;
            assert_eq!(Ok(command.stamp.0), i64::try_from(revision));
            Ok(revision)
        })
        .collect()
}

fn filled(db: &Database, upto: i64) -> EmbeddedLog {
    let mut log = EmbeddedLog::open(db).expect("opens");
    log.append(&commands(1..=upto)).expect("appends");
    log
}

#[test]
fn an_empty_log_has_no_entries() {
    let folder = TempDir::new().expect("a folder");
    let mut log = EmbeddedLog::open(&open(&folder)).expect("opens");
    assert_eq!((log.last(), read(&log, 0).expect("reads")), (0, vec![]));
    log.append(&[]).expect("nothing to do");
    assert!(!log.trim(9).expect("nothing to do"));
    assert_eq!(log.last(), 0);
}

#[test]
fn entries_come_back_in_order_after_reopening() {
    let folder = TempDir::new().expect("a folder");
    {
        let mut log = filled(&open(&folder), 3);
        log.append(&commands(4..=5)).expect("appends");
        assert_eq!(read(&log, 0).expect("reads"), [1, 2, 3, 4, 5]);
    }
    let log = EmbeddedLog::open(&open(&folder)).expect("opens");
    assert_eq!(log.last(), 5);
    assert_eq!(read(&log, 3).expect("reads"), [4, 5]);
    assert_eq!(read(&log, 5).expect("reads"), Vec::<u64>::new());
}

#[test]
fn trimming_keeps_the_last_revision() {
    let folder = TempDir::new().expect("a folder");
    {
        let mut log = filled(&open(&folder), 10_000);
        assert!(log.trim(9_000).expect("trims"), "there are more than one batch");
        assert!(log.trimmed() < 9_000);
        while log.trim(9_000).expect("trims") {}
        assert_eq!(read(&log, 9_998).expect("reads"), [9_999, 10_000]);
        assert!(matches!(read(&log, 8_999), Err(LogError::Missing { revision: 9_000 })));
        assert!(!log.trim(u64::MAX).expect("trims"), "these are one batch");
        assert_eq!(log.last(), 10_000);
    }
    let mut log = EmbeddedLog::open(&open(&folder)).expect("opens");
    assert_eq!(log.last(), 10_000, "survives, although no entry is left");
    log.append(&commands(10_001..=10_001)).expect("appends");
    assert_eq!(read(&log, 10_000).expect("reads"), [10_001]);
}

#[test]
fn a_gap_is_found() {
    let folder = TempDir::new().expect("a folder");
    let db = open(&folder);
    let log = filled(&db, 5);
    let entries = db.keyspace("log", KeyspaceCreateOptions::default).expect("opens");
    entries.remove(3_u64.to_be_bytes()).expect("removes");
    assert!(matches!(read(&log, 0), Err(LogError::Missing { revision: 3 })));
    assert_eq!(read(&log, 3).expect("the gap is behind"), [4, 5]);
    entries.remove(5_u64.to_be_bytes()).expect("removes");
    assert!(matches!(read(&log, 3), Err(LogError::Missing { revision: 5 })), "also at the end");
    assert!(matches!(read(&log, 6), Err(LogError::Missing { revision: 6 })), "a reader ahead of the log");
}

#[test]
fn damage_is_found() {
    let folder = TempDir::new().expect("a folder");
    let db = open(&folder);
    let log = filled(&db, 2);
    let entries = db.keyspace("log", KeyspaceCreateOptions::default).expect("opens");
    let intact = entries.get(2_u64.to_be_bytes()).expect("reads").expect("is there").to_vec();
    let cut = |len: usize| intact.get(..len).expect("long enough").to_vec();
    let mut flipped = intact.clone();
    flipped[2] ^= 4;
    let other = entries.get(1_u64.to_be_bytes()).expect("reads").expect("is there").to_vec();
    for value in [flipped, cut(intact.len() - 1), cut(8), cut(3), vec![], other] {
        entries.insert(2_u64.to_be_bytes(), value.clone()).expect("writes");
        assert!(matches!(read(&log, 1), Err(LogError::Damaged { revision: 2, .. })), "{value:?}");
        let mut rest = log.read_after(0);
        assert!(rest.next().is_some_and(|entry| entry.is_ok()));
        assert!(rest.next().is_some_and(|entry| entry.is_err()));
        assert!(rest.next().is_none(), "it ends after an error");
    }
}

#[test]
fn an_entry_of_another_format_is_named() {
    let folder = TempDir::new().expect("a folder");
    let db = open(&folder);
    let log = filled(&db, 1);
    let mut value = vec![9_u8];
    value.extend(xxhash_rust::xxh3::xxh3_64_with_seed(&value, 1).to_be_bytes());
    let entries = db.keyspace("log", KeyspaceCreateOptions::default).expect("opens");
    entries.insert(1_u64.to_be_bytes(), value).expect("writes");
    let error = read(&log, 0).expect_err("another format").to_string();
    assert!(error.contains("its format is 9, this program reads 1"), "{error}");
}
