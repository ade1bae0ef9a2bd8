//! The data folder and the store.

use std::fs;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use tempfile::TempDir;

use super::spaces::Space;
use super::{DATA_VERSION, DataFolder, Store, StoreError, keys};
use crate::domain::{
    CounterId, Day, DayFacts, FactKey, MerchantId, Profile, ProfileKey, ProviderId, Subject, Timestamp,
};
use crate::log::Log;
use crate::record::arbitrary;
use crate::state::{
    ImportRow, KillSwitch, MetaRow, PendingPolicy, PolicyRow, PolicySwitch, RequestRow, Row, TransitionRow, WindowsRow,
};
use crate::trust::{DayRange, Level, MerchantFacts, MerchantFactsParts};

struct Opened {
    store: Store,
    folder: TempDir,
}

fn opened() -> Opened {
    let folder = TempDir::new().expect("a folder");
    let store = DataFolder::open(folder.path()).expect("opens").store().expect("opens");
    Opened { store, folder }
}

impl Opened {
    fn reopened(self) -> Self {
        drop(self.store);
        let store = DataFolder::open(self.folder.path()).expect("opens").store().expect("opens");
        Self { store, folder: self.folder }
    }
}

fn fact(id: u64, day: i32, value: u64) -> Row {
    Row::Facts(fact_key(id, day), DayFacts::new(vec![(CounterId(1), value)]))
}

fn fact_key(id: u64, day: i32) -> FactKey {
    FactKey { day: Day(day), subject: Subject::Merchant(MerchantId(id)) }
}

fn profile_row(profile: Profile) -> Row {
    Row::Profile(profile.key(), Some(profile))
}

fn loaded(store: &Store) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut each = |row| -> Result<(), StoreError> {
        rows.push(row);
        Ok(())
    };
    store.load(&mut each).expect("loads");
    rows
}

fn windows_row() -> impl Strategy<Value = WindowsRow> {
    let level = (arbitrary::day(), any::<u64>()).prop_map(|(day, value)| Level { day, value });
    let sent = prop_oneof![Just(i32::MIN), 19_000..19_400, any::<i32>()];
    let sums = vec((any::<u64>(), sent), 0..5);
    let parts =
        (sums, vec(option::of(level), 0..5), option::of(arbitrary::day())).prop_map(|(sums, levels, first_sale)| {
            let (sums, last_sent) = sums.into_iter().unzip();
            MerchantFacts::from_parts(&MerchantFactsParts { sums, last_sent, levels, first_sale })
        });
    (arbitrary::day(), any::<u64>(), option::of(arbitrary::day()), parts)
        .prop_map(|(facts_day, layout, last_stored, facts)| WindowsRow { facts_day, layout, last_stored, facts })
}

fn meta_row() -> impl Strategy<Value = MetaRow> {
    let flags = || vec(any::<bool>(), 0..4);
    let texts = || vec(arbitrary::text(), 0..4);
    let ranks = || btree_map(any::<u64>().prop_map(ProviderId), any::<u32>(), 0..4);
    let transition = (any::<u64>(), option::of(arbitrary::day()), any::<u64>(), flags()).prop_map(
        |(began, facts_day, policy_version, unseen_at_close)| TransitionRow {
            began,
            facts_day,
            policy_version,
            unseen_at_close,
        },
    );
    (
        (arbitrary::timestamp(), option::of(arbitrary::day()), any::<u64>(), texts(), flags()),
        (flags(), texts(), option::of(transition), any::<bool>(), ranks(), ranks()),
        policy_control(),
    )
        .prop_map(|((now, facts_day, policy_version, counters, seen), rest, control)| {
            let (unseen_at_close, programme_bits, transition, is_simulated, provider_ranks, next_provider_ranks) = rest;
            MetaRow {
                now,
                facts_day,
                policy_version,
                counters,
                seen,
                unseen_at_close,
                programme_bits,
                provider_ranks,
                next_provider_ranks,
                transition,
                is_simulated,
                ..control
            }
        })
}

/// The part of the meta row that says how the policy changes.
fn policy_control() -> impl Strategy<Value = MetaRow> {
    let retired = vec(option::of(1..i64::MAX), 0..4);
    let pending = option::of((any::<u64>(), arbitrary::timestamp()))
        .prop_map(|pending| pending.map(|(version, effective_at)| PendingPolicy { version, effective_at }));
    let kill_switch = option::of((arbitrary::timestamp(), arbitrary::text(), arbitrary::text()))
        .prop_map(|switch| switch.map(|(since, author, reason)| KillSwitch { since, author, reason }));
    (retired, any::<u64>(), pending, arbitrary::text(), kill_switch).prop_map(
        |(retired, policy_revision, pending, configured_hash, kill_switch)| MetaRow {
            programme_retired: retired.into_iter().map(|at| at.map(Timestamp)).collect(),
            policy_revision,
            pending,
            configured_hash,
            kill_switch,
            ..MetaRow::default()
        },
    )
}

fn policy_row() -> impl Strategy<Value = PolicyRow> {
    let last_switch = (any::<u64>(), arbitrary::timestamp(), arbitrary::text(), arbitrary::text())
        .prop_map(|(revision, at, author, reason)| PolicySwitch { revision, at, author, reason });
    (
        (any::<u64>(), any::<u64>(), arbitrary::policy_text(), arbitrary::text()),
        (arbitrary::text(), arbitrary::text(), option::of(arbitrary::timestamp()), option::of(last_switch)),
    )
        .prop_map(|((version, revision, text, hash), (author, comment, published_at, last_switch))| PolicyRow {
            version,
            revision,
            text,
            hash,
            author,
            comment,
            published_at,
            last_switch,
        })
}

/// Any row that stands for something: none that removes.
fn row() -> impl Strategy<Value = Row> {
    let fact_key = (arbitrary::day(), arbitrary::subject()).prop_map(|(day, subject)| FactKey { day, subject });
    let request = (arbitrary::timestamp(), any::<u64>(), arbitrary::outcome())
        .prop_map(|(stamp, revision, outcome)| RequestRow { stamp, revision, outcome });
    let import = (arbitrary::timestamp(), any::<u64>()).prop_map(|(stamp, committed)| ImportRow { stamp, committed });
    prop_oneof![
        1 => arbitrary::profile().prop_map(profile_row),
        1 => (fact_key, arbitrary::day_facts()).prop_map(|(key, facts)| Row::Facts(key, facts)),
        1 => (arbitrary::subject(), windows_row()).prop_map(|(holder, row)| Row::Windows(holder, row)),
        1 => (arbitrary::merchant_id(), vec(arbitrary::right(), 1..3)).prop_map(|(id, rights)| Row::Rights(id, rights)),
        1 => arbitrary::violation().prop_map(Row::Violation),
        1 => (arbitrary::request_key(), request).prop_map(|(key, row)| Row::Request(key, Some(row))),
        1 => (arbitrary::text(), import).prop_map(|(id, row)| Row::Import(id, Some(row))),
        1 => policy_row().prop_map(Row::Policy),
        1 => meta_row().prop_map(Row::Meta),
        3 => super::ledgers::tests::row().prop_map(Row::Ledger),
    ]
}

/// Where a row stands: rows that replace each other have equal places.
fn place(row: &Row) -> String {
    match row {
        Row::Profile(key, _) => format!("profile {key:?}"),
        Row::Facts(key, _) => format!("facts {key:?}"),
        Row::Windows(holder, _) => format!("windows {holder:?}"),
        Row::Rights(merchant, _) => format!("rights {merchant:?}"),
        Row::Violation(violation) => format!("violation {:?} {}", violation.merchant, violation.id),
        Row::Request(key, _) => format!("request {:?} {:?} {:?}", key.identity, key.method, key.request_id),
        Row::Import(id, _) => format!("import {id:?}"),
        Row::Policy(row) => format!("policy {}", row.version),
        Row::Ledger(row) => {
            let is_report = matches!(row, crate::state::LedgerRow::Report(..));
            format!("ledger {is_report} {:?}", super::ledgers::write(row, &mut Vec::new()).0)
        }
        Row::Audit(entry) => format!("audit {} {}", entry.is_bulk, entry.revision),
        Row::Meta(_) => "meta".to_owned(),
    }
}

proptest! {
    // Few and large: creating a folder takes many syncs.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn rows_come_back_after_reopening(rows in vec(row(), 0..120)) {
        let opened = opened();
        opened.store.write(7, rows.clone()).expect("writes");
        let opened = opened.reopened();
        prop_assert_eq!(opened.store.applied().expect("reads"), 7);
        let mut latest: std::collections::BTreeMap<String, Row> =
            rows.into_iter().map(|row| (place(&row), row)).collect();
        for row in loaded(&opened.store) {
            prop_assert_eq!(latest.remove(&place(&row)), Some(row));
        }
        for row in latest.into_values() {
            let Row::Facts(key, facts) = row else { panic!("not loaded: {row:?}") };
            prop_assert_eq!(opened.store.facts(key).expect("reads"), Some(facts));
        }
    }

    #[test]
    fn the_state_hash_does_not_depend_on_the_way(rows in vec(row(), 1..80), at in any::<prop::sample::Index>()) {
        let mut unique: Vec<Row> = Vec::new();
        for row in rows {
            if unique.iter().all(|other| place(other) != place(&row)) {
                unique.push(row);
            }
        }
        let (one, other) = (opened().store, opened().store);
        one.write(9, unique.clone()).expect("writes");
        let cut = at.index(unique.len());
        let (first, last) = unique.split_at(cut);
        other.write(4, last.iter().rev().cloned()).expect("writes");
        other.write(9, first.iter().cloned()).expect("writes");
        prop_assert_eq!(one.state_hash().expect("hashes"), other.state_hash().expect("hashes"));
        other.write(10, [fact(3, 19_000, 1)]).expect("writes");
        let (revision, hash) = other.state_hash().expect("hashes");
        prop_assert_eq!(revision, 10);
        prop_assert_ne!(hash, one.state_hash().expect("hashes").1);
    }
}

#[test]
fn rows_that_are_gone_are_removed() {
    let Opened { store, folder: _folder } = opened();
    let empty = store.state_hash().expect("hashes");
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut sample = |strategy: BoxedStrategy<Row>| {
        use proptest::strategy::ValueTree;
        strategy.new_tree(&mut runner).expect("a sample").current()
    };
    let profile = sample(arbitrary::profile().prop_map(profile_row).boxed());
    let Row::Profile(key, _) = profile else { panic!("a profile") };
    let merchant = MerchantId(5);
    let right = sample(arbitrary::right().prop_map(move |right| Row::Rights(merchant, vec![right])).boxed());
    let import = Row::Import(String::new(), Some(ImportRow { stamp: crate::domain::Timestamp(1), committed: 2 }));
    store.write(1, [profile, right, import]).expect("writes");
    assert_eq!(loaded(&store).len(), 3);
    let gone = [Row::Profile(key, None), Row::Rights(merchant, vec![]), Row::Import(String::new(), None)];
    store.write(2, gone).expect("writes");
    assert_eq!(loaded(&store), []);
    assert_eq!(store.state_hash().expect("hashes").1, empty.1);
}

#[test]
fn the_last_meta_row_counts() {
    let mut opened = opened();
    let mut row = MetaRow { counters: vec!["orders".to_owned()], seen: vec![false], ..MetaRow::default() };
    for now in 1..6 {
        row.now = crate::domain::Timestamp(now);
        row.seen = vec![now > 3];
        row.is_simulated = now % 2 == 0;
        opened.store.write(1, [Row::Meta(row.clone())]).expect("writes");
        assert_eq!(loaded(&opened.store), [Row::Meta(row.clone())]);
        opened = opened.reopened();
        assert_eq!(loaded(&opened.store), [Row::Meta(row.clone())]);
    }
}

#[test]
fn rows_are_loaded_in_order() {
    let Opened { store, folder: _folder } = opened();
    let mut rows: Vec<Row> = Vec::new();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..3_000 {
        use proptest::strategy::ValueTree;
        rows.push(row().new_tree(&mut runner).expect("a sample").current());
    }
    rows.push(Row::Meta(MetaRow::default()));
    store.write(1, rows).expect("writes");
    let order: Vec<usize> = loaded(&store)
        .iter()
        .map(|row| match row {
            Row::Meta(_) => 0,
            Row::Policy(_) => 1,
            Row::Profile(..) => 2,
            Row::Windows(..) => 3,
            Row::Rights(..) => 4,
            Row::Violation(_) => 5,
            Row::Request(..) => 6,
            Row::Import(..) => 7,
            Row::Ledger(_) => 8,
            Row::Facts(..) | Row::Audit(_) => panic!("neither is loaded"),
        })
        .collect();
    assert!(order.is_sorted());
    assert_eq!(order.first(), Some(&0));
    let merchants = loaded(&store).into_iter().filter_map(|row| {
        let Row::Profile(ProfileKey::Merchant(id), _) = row else { return None };
        Some(id)
    });
    assert!(merchants.is_sorted(), "slots are given in order of id");
}

#[test]
fn loading_stops_at_the_first_error_of_its_caller() {
    let Opened { store, folder: _folder } = opened();
    let window = |id| {
        let facts = MerchantFacts::default();
        Row::Windows(
            Subject::Merchant(MerchantId(id)),
            WindowsRow { facts_day: Day(1), layout: 1, last_stored: None, facts },
        )
    };
    store.write(1, (0..50_000).map(window)).expect("writes");
    let mut seen = 0;
    let result = store.load(&mut |_| {
        seen += 1;
        if seen < 10 { Ok(()) } else { Err(StoreError::damaged(Space::Windows, &[], &"enough")) }
    });
    assert!(result.is_err());
    assert_eq!(seen, 10);
}

#[test]
fn facts_are_read_by_day_over_a_state_that_does_not_move() {
    let Opened { store, folder: _folder } = opened();
    let days = [-1, 0, 1, 19_000, i32::MAX, i32::MIN];
    store.write(1, days.iter().flat_map(|&day| [fact(2, day, 1), fact(1, day, 1)])).expect("writes");
    let snapshot = store.snapshot();
    store.write(2, [fact(1, 0, 5), fact(3, 0, 5)]).expect("writes");
    let read = |first, last| -> Vec<(i32, u64)> {
        snapshot
            .day(DayRange { first: Day(first), last: Day(last) })
            .map(|row| {
                let (key, facts) = row.expect("reads");
                assert_eq!(facts.get(CounterId(1)), Some(1), "as it was");
                let Subject::Merchant(merchant) = key.subject else { panic!("a merchant") };
                (key.day.0, merchant.0)
            })
            .collect()
    };
    assert_eq!(read(-1, 0), [(-1, 1), (-1, 2), (0, 1), (0, 2)]);
    assert_eq!(read(1, 18_999), [(1, 1), (1, 2)]);
    assert_eq!(read(i32::MIN, i32::MIN), [(i32::MIN, 1), (i32::MIN, 2)]);
    assert_eq!(read(i32::MIN, i32::MAX).len(), 12);
    assert_eq!(read(1, 0), []);
    assert_eq!(snapshot.facts(fact_key(3, 0)).expect("reads"), None);
    assert!(store.facts(fact_key(3, 0)).expect("reads").is_some());
    // It can be read on another thread, after everything else is gone.
    let rows = snapshot.day(DayRange { first: Day(0), last: Day(0) });
    drop(snapshot);
    drop(store);
    assert_eq!(std::thread::spawn(move || rows.count()).join().expect("reads"), 2);
}

#[test]
fn a_write_is_whole_and_carries_its_revision() {
    let opened = opened();
    opened.store.write(3, (0..100).map(|id| fact(id, 1, id))).expect("writes");
    opened.store.write(4, (0..100).map(|id| fact(id, 1, id + 1))).expect("writes");
    let path = opened.folder.path().join("db").join("0.jnl");
    let len = journal_len(&path);
    drop(opened.store);
    // The end of the journal is lost, as in a crash: the second write goes as a whole, its revision with it.
    fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(len - 20)).expect("cuts");
    let store = DataFolder::open(opened.folder.path()).expect("opens").store().expect("opens");
    assert_eq!(store.applied().expect("reads"), 3);
    for id in 0..100 {
        let facts = store.facts(fact_key(id, 1)).expect("reads").expect("is there");
        assert_eq!(facts.get(CounterId(1)), Some(id));
    }
}

/// Length of a preallocated journal up to its last byte that is not zero.
fn journal_len(path: &std::path::Path) -> u64 {
    let bytes = fs::read(path).expect("reads");
    let len = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    u64::try_from(len).expect("fits")
}

#[test]
fn a_folder_is_for_one_process() {
    let opened = opened();
    let error = DataFolder::open(opened.folder.path()).err().expect("in use");
    let expected = format!("data folder {} is in use by another trustflow process", opened.folder.path().display());
    assert_eq!(error.to_string(), expected);
    drop(opened.store);
    assert!(DataFolder::open(opened.folder.path()).is_ok(), "free again");
}

#[test]
fn log_and_store_keep_the_folder_open() {
    let folder = TempDir::new().expect("a folder");
    let data = DataFolder::open(folder.path()).expect("opens");
    let (mut log, store) = (data.log().expect("opens"), data.store().expect("opens"));
    drop(data);
    let tick = crate::domain::Command {
        stamp: crate::domain::Timestamp(1),
        node: 1,
        semantics: 1,
        request: None,
        body: crate::domain::Body::Tick,
    };
    log.append(&[tick]).expect("appends");
    drop(log);
    store.write(1, []).expect("writes");
    store.sync().expect("syncs");
    assert!(matches!(DataFolder::open(folder.path()), Err(StoreError::InUse { .. })));
}

#[test]
fn a_folder_of_another_version_is_refused() {
    let opened = opened();
    drop(opened.store);
    let version = opened.folder.path().join("VERSION");
    assert_eq!(fs::read_to_string(&version).expect("reads"), format!("{DATA_VERSION}\n"));
    fs::write(&version, "trustflow data 2\n").expect("writes");
    let error = DataFolder::open(opened.folder.path()).err().expect("another version").to_string();
    assert!(error.contains("holds `trustflow data 2`, this program reads `trustflow data 1`: start the"), "{error}");
    assert_eq!(fs::read_to_string(&version).expect("reads"), "trustflow data 2\n", "untouched");
}

#[test]
fn a_creation_that_broke_off_is_begun_again() {
    for version in ["", "trustflow"] {
        let folder = TempDir::new().expect("a folder");
        let db = folder.path().join("db");
        fs::create_dir_all(db.join("keyspaces")).expect("creates");
        fs::write(db.join("lock"), "").expect("writes");
        fs::write(db.join("0.jnl"), [0; 64]).expect("writes");
        fs::write(folder.path().join("VERSION"), version).expect("writes");
        let store = DataFolder::open(folder.path()).expect("opens").store().expect("opens");
        store.write(1, [fact(1, 1, 1)]).expect("writes");
    }
}

#[test]
fn rows_outlive_a_lost_version_file() {
    let opened = opened();
    opened.store.write(1, [fact(1, 1, 1)]).expect("writes");
    fs::remove_file(opened.folder.path().join("VERSION")).expect("removes");
    let opened = opened.reopened();
    assert_eq!(opened.store.applied().expect("reads"), 1);
}

#[test]
fn a_damaged_value_names_its_place() {
    let Opened { store, folder: _folder } = opened();
    let key = fact_key(258, 1);
    let damage = |space: Space, key: &[u8], value: &[u8]| store.spaces.of(space).insert(key, value).expect("writes");
    let intact = [1, 10, 2, 1, 5];
    damage(Space::Facts, &keys::facts(key), &intact);
    assert!(store.facts(key).expect("reads").is_some());
    for value in [&[][..], &[2], &[1, 0xff], &[1, 10, 2, 1], &intact[1..]] {
        damage(Space::Facts, &keys::facts(key), value);
        let error = store.facts(key).expect_err("damaged").to_string();
        let place = "store: key 80000001010000000000000102 of keyspace facts is damaged: ";
        assert!(error.starts_with(place), "{error}");
        assert!(error.ends_with("; restore the data folder from a backup"), "{error}");
        let range = DayRange { first: Day(1), last: Day(1) };
        assert!(store.snapshot().day(range).any(|row| matches!(row, Err(StoreError::Damaged { .. }))));
    }
    for (space, name) in [
        (Space::Policy, "policy"),
        (Space::Profiles, "profiles"),
        (Space::Windows, "windows"),
        (Space::Rights, "rights"),
        (Space::Violations, "violations"),
        (Space::Requests, "requests"),
        (Space::Imports, "imports"),
    ] {
        damage(space, &[7], &[1, 0xff]);
        let error = store.load::<StoreError>(&mut |_| Ok(())).expect_err("damaged");
        assert!(matches!(&error, StoreError::Damaged { keyspace, key, .. } if *keyspace == name && key == "07"));
        store.spaces.of(space).remove([7]).expect("removes");
    }
    damage(Space::Meta, keys::APPLIED, &[1]);
    assert!(matches!(store.applied(), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_flipped_bit_in_a_file_is_found() {
    let opened = opened();
    opened.store.write(1, (0..10_000).map(|id| fact(id, 1, id))).expect("writes");
    opened.store.spaces.of(Space::Facts).rotate_memtable_and_wait().expect("flushes");
    let tables = opened.store.spaces.of(Space::Facts).path().join("tables");
    drop(opened.store);
    for entry in fs::read_dir(tables).expect("lists") {
        let path = entry.expect("an entry").path();
        let mut bytes = fs::read(&path).expect("reads");
        bytes[5_000] ^= 1;
        fs::write(&path, bytes).expect("writes");
    }
    let store = DataFolder::open(opened.folder.path()).expect("opens").store().expect("opens");
    let range = DayRange { first: Day(1), last: Day(1) };
    let rows: Vec<_> = store.snapshot().day(range).take(20_000).collect();
    assert!(rows.iter().any(|row| matches!(row, Err(StoreError::Damaged { keyspace: "facts", .. }))));
    assert!(matches!(store.state_hash(), Err(StoreError::Damaged { .. })));
}
