//! What is written comes back; what was never written is refused.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::{meta, read, read_meta, read_report, write};
use crate::domain::{Scene, WEEK_HOURS, Week};
use crate::record::arbitrary::{account_key, day, merchant_id, programme_change, scene, text, timestamp};
use crate::state::{
    Account, AccountRow, ChangeRow, GuaranteeKey, GuaranteeRow, Hold, HoursRow, LedgerMeta, LedgerRow, MemberRow,
    PackageRow, ProgrammeRow, RecentRow, ReportRow, WalletRow,
};

fn account_row() -> impl Strategy<Value = AccountRow> {
    let hold = (any::<u32>(), option::of(timestamp()), any::<u64>());
    let hold = hold.prop_map(|(session, until, exposures)| Hold { session, until, exposures });
    (any::<u64>(), any::<u64>(), vec(hold, 0..3), option::of(day()))
        .prop_map(|(delivered, late, holds, ends)| AccountRow { account: Account { delivered, late, holds }, ends })
}

fn programme_row() -> impl Strategy<Value = ProgrammeRow> {
    let change = (any::<u64>(), timestamp(), programme_change(), text(), text());
    let change =
        change.prop_map(|(revision, at, change, author, reason)| ChangeRow { revision, at, change, author, reason });
    let by_scene = vec(option::of(any::<u64>()), Scene::COUNT);
    let counts = (any::<u64>(), any::<u64>(), any::<u64>());
    (any::<bool>(), option::of(any::<u64>()), by_scene, vec(change, 0..3), counts).prop_map(
        |(is_paused, exposures, by_scene, changes, (revision, delivered_before, late_before))| {
            let mut row =
                ProgrammeRow { is_paused, revision, changes, delivered_before, late_before, ..Default::default() };
            row.adjusted.exposures = exposures;
            row.adjusted.by_scene.iter_mut().zip(by_scene).for_each(|(own, exposures)| *own = exposures);
            row
        },
    )
}

fn package_row() -> impl Strategy<Value = PackageRow> {
    let counts = (any::<u64>(), any::<u64>(), any::<u64>());
    (merchant_id(), counts, timestamp(), option::of(timestamp()), text(), text()).prop_map(
        |(merchant, (exposures, unassigned, revision), granted_at, expires_at, author, reason)| PackageRow {
            merchant,
            exposures,
            unassigned,
            revision,
            granted_at,
            expires_at,
            author,
            reason,
        },
    )
}

/// Any row of the ledgers.
pub(in crate::store) fn row() -> impl Strategy<Value = LedgerRow> {
    let guarantee_key = (any::<u8>(), merchant_id(), timestamp());
    let guarantee_key = guarantee_key.prop_map(|(bit, merchant, from)| GuaranteeKey { bit, merchant, from });
    let guarantee = (timestamp(), any::<u64>(), any::<u64>(), option::of(any::<u64>()), any::<bool>());
    let guarantee = guarantee.prop_map(|(until, target, delivered, expected, is_feasible)| GuaranteeRow {
        until,
        target,
        delivered,
        expected,
        is_feasible,
    });
    let wallet = (any::<u64>(), vec((any::<u64>(), any::<u64>()), 0..3));
    let wallet = wallet.prop_map(|(granted, lots)| WalletRow { granted, lots });
    let member = (any::<[u64; 4]>(), day(), any::<u16>());
    let member = member.prop_map(|([exposures, clicks, orders, gmv_fen], reached, reached_days)| MemberRow {
        exposures,
        clicks,
        orders,
        gmv_fen,
        reached,
        reached_days,
    });
    let recent = (any::<i32>(), any::<[u64; 6]>()).prop_map(|(newest, counts)| RecentRow { newest, counts });
    let hours = vec(any::<u64>(), WEEK_HOURS).prop_map(|counts| HoursRow { counts });
    let report = (timestamp(), any::<u64>(), any::<u128>());
    let report = report.prop_map(|(stamp, revision, payload_hash)| ReportRow { stamp, revision, payload_hash });
    prop_oneof![
        (account_key(), account_row()).prop_map(|(key, row)| LedgerRow::Account(key, Some(row))),
        (any::<u8>(), programme_row()).prop_map(|(bit, row)| LedgerRow::Programme(bit, Some(row))),
        (guarantee_key, guarantee).prop_map(|(key, row)| LedgerRow::Guarantee(key, Some(row))),
        (any::<u64>(), package_row()).prop_map(|(number, row)| LedgerRow::Package(number, Some(row))),
        (merchant_id(), scene(), wallet).prop_map(|(id, scene, row)| LedgerRow::Wallet(id, scene, Some(row))),
        (any::<u8>(), merchant_id(), member).prop_map(|(bit, id, row)| LedgerRow::Member(bit, id, Some(row))),
        (merchant_id(), recent).prop_map(|(id, row)| LedgerRow::Recent(id, Some(row))),
        (any::<u8>(), day(), any::<u64>()).prop_map(|(bit, day, row)| LedgerRow::Reached(bit, day, Some(row))),
        (any::<i32>(), scene(), hours).prop_map(|(week, scene, row)| LedgerRow::Hours(Week(week), scene, Some(row))),
        (any::<u128>(), report).prop_map(|(key, row)| LedgerRow::Report(key, Some(row))),
    ]
}

proptest! {
    #[test]
    fn rows_come_back(row in row()) {
        let mut value = Vec::new();
        let (key, is_there) = write(&row, &mut value);
        prop_assert!(is_there);
        let back = if matches!(row, LedgerRow::Report(..)) { read_report(&key, &value) } else { read(&key, &value) };
        prop_assert_eq!(back, Ok(row));
    }

    #[test]
    fn what_stands_once_comes_back(
        numbers in any::<(u32, u64, u64)>(),
        sessions in btree_map(any::<u32>(), any::<u32>(), 0..4),
        reports_floor in option::of(timestamp()),
    ) {
        let (last_session, last_package, unattributed) = numbers;
        let row = LedgerMeta { last_session, sessions, last_package, unattributed, reports_floor };
        prop_assert_eq!(read_meta(meta(&row)), row);
    }

    #[test]
    fn hostile_bytes_never_panic(key in vec(any::<u8>(), 0..24), value in vec(any::<u8>(), 0..40)) {
        let _ = read(&key, &value);
        let _ = read_report(&key, &value);
    }
}

#[test]
fn what_is_gone_has_no_value() {
    let mut value = b"before".to_vec();
    let (key, is_there) = write(&LedgerRow::Package(7, None), &mut value);
    assert!(!is_there && key.len() == 9);
}
