//! Keys and values of the ledgers. Numbers in keys are big-endian; days and instants have their sign flipped.

use fjall::UserKey;

use super::values;
use crate::domain::{AccountKey, Day, MerchantId, Scene, Timestamp, WEEK_HOURS, Week};
use crate::record::{self, DecodeProblem, pb, required};
use crate::state::{
    Account, AccountRow, ChangeRow, GuaranteeKey, GuaranteeRow, Hold, HoursRow, LedgerMeta, LedgerRow, MemberRow,
    PackageRow, ProgrammeRow, RecentRow, ReportRow, WalletRow,
};

/// First byte of every key of the keyspace `ledgers`: what it is of.
const ACCOUNT: u8 = 1;
const PROGRAMME: u8 = 2;
const GUARANTEE: u8 = 3;
const PACKAGE: u8 = 4;
const WALLET: u8 = 5;
const MEMBER: u8 = 6;
const RECENT: u8 = 7;
const REACHED: u8 = 8;
const HOURS: u8 = 9;

/// The bytes of a row: its key, and its value unless it is gone. Reports stand in a keyspace of their own, without the
/// first byte.
pub(super) fn write(row: &LedgerRow, value: &mut Vec<u8>) -> (UserKey, bool) {
    let mut key = Vec::with_capacity(24);
    let is_there = match row {
        LedgerRow::Account(account, row) => {
            key.push(ACCOUNT);
            push_account(account, &mut key);
            put(row.as_ref().map(account_row), value)
        }
        LedgerRow::Programme(bit, row) => {
            key.extend([PROGRAMME, *bit]);
            put(row.as_ref().map(programme_row), value)
        }
        LedgerRow::Guarantee(name, row) => {
            key.extend([GUARANTEE, name.bit]);
            key.extend(name.merchant.0.to_be_bytes());
            key.extend((name.from.0 ^ i64::MIN).to_be_bytes());
            put(row.as_ref().map(guarantee_row), value)
        }
        LedgerRow::Package(number, row) => {
            key.push(PACKAGE);
            key.extend(number.to_be_bytes());
            put(row.as_ref().map(package_row), value)
        }
        LedgerRow::Wallet(merchant, scene, row) => {
            key.push(WALLET);
            key.extend(merchant.0.to_be_bytes());
            key.push(scene_byte(*scene));
            put(row.as_ref().map(wallet_row), value)
        }
        LedgerRow::Member(bit, merchant, row) => {
            key.extend([MEMBER, *bit]);
            key.extend(merchant.0.to_be_bytes());
            put(row.as_ref().map(member_row), value)
        }
        LedgerRow::Recent(merchant, row) => {
            key.push(RECENT);
            key.extend(merchant.0.to_be_bytes());
            let message = |row: &RecentRow| pb::RecentRow { newest: row.newest, counts: row.counts.to_vec() };
            put(row.as_ref().map(message), value)
        }
        LedgerRow::Reached(bit, day, members) => {
            key.extend([REACHED, *bit]);
            key.extend(day_bytes(day.0));
            put(members.map(|members| pb::ReachedRow { members }), value)
        }
        LedgerRow::Hours(week, scene, row) => {
            key.push(HOURS);
            key.extend(day_bytes(week.0));
            key.push(scene_byte(*scene));
            put(row.as_ref().map(|row| pb::HoursRow { counts: row.counts.clone() }), value)
        }
        LedgerRow::Report(hash, row) => {
            key.extend(hash.to_be_bytes());
            put(row.as_ref().map(report_row), value)
        }
    };
    (key.into(), is_there)
}

fn put(message: Option<impl prost::Message>, value: &mut Vec<u8>) -> bool {
    let Some(message) = message else { return false };
    values::write(&message, value);
    true
}

/// Reads a row of the keyspace `ledgers`.
pub(super) fn read(key: &[u8], value: &[u8]) -> Result<LedgerRow, DecodeProblem> {
    let bad_key = || DecodeProblem::Missing { field: "a ledger key that is known" };
    let row = match key {
        [ACCOUNT, rest @ ..] => {
            read_account(rest).map(|key| Ok(LedgerRow::Account(key, Some(read_account_row(values::read(value)?)))))
        }
        [PROGRAMME, bit] => {
            Some(values::read(value).and_then(read_programme).map(|row| LedgerRow::Programme(*bit, Some(row))))
        }
        [GUARANTEE, bit, rest @ ..] => read_guarantee_key(*bit, rest)
            .map(|key| Ok(LedgerRow::Guarantee(key, Some(read_guarantee(&values::read(value)?))))),
        [PACKAGE, rest @ ..] => {
            read_u64(rest).map(|number| Ok(LedgerRow::Package(number, Some(read_package(values::read(value)?)))))
        }
        [WALLET, rest @ .., scene] => read_u64(rest).zip(read_scene(*scene)).map(|(merchant, scene)| {
            Ok(LedgerRow::Wallet(MerchantId(merchant), scene, Some(read_wallet(values::read(value)?))))
        }),
        [MEMBER, bit, rest @ ..] => read_u64(rest).map(|merchant| {
            Ok(LedgerRow::Member(*bit, MerchantId(merchant), Some(read_member(&values::read(value)?)?)))
        }),
        [RECENT, rest @ ..] => read_u64(rest)
            .map(|merchant| Ok(LedgerRow::Recent(MerchantId(merchant), Some(read_recent(values::read(value)?)?)))),
        [REACHED, bit, rest @ ..] => read_day(rest)
            .map(|day| Ok(LedgerRow::Reached(*bit, Day(day), Some(values::read::<pb::ReachedRow>(value)?.members)))),
        [HOURS, rest @ .., scene] => read_day(rest)
            .zip(read_scene(*scene))
            .map(|(week, scene)| Ok(LedgerRow::Hours(Week(week), scene, Some(read_hours(values::read(value)?)?)))),
        _ => None,
    };
    row.ok_or_else(bad_key)?
}

/// Reads a row of the keyspace `reports`.
pub(super) fn read_report(key: &[u8], value: &[u8]) -> Result<LedgerRow, DecodeProblem> {
    let key = <[u8; 16]>::try_from(key).map_err(|_| DecodeProblem::Missing { field: "the hash in a report's key" })?;
    let row: pb::ReportRow = values::read(value)?;
    let row = ReportRow {
        stamp: Timestamp(row.stamp),
        revision: row.revision,
        payload_hash: u128::from(row.payload_hash_high) << 64 | u128::from(row.payload_hash_low),
    };
    Ok(LedgerRow::Report(u128::from_be_bytes(key), Some(row)))
}

fn push_account(account: &AccountKey, key: &mut Vec<u8>) {
    let (scope, merchant, scene) = record::scope_parts(account.scope);
    key.extend([account.bit, byte(scope.into())]);
    key.extend(merchant.to_be_bytes());
    key.push(byte(scene.into()));
    key.extend(day_bytes(account.period.0));
}

fn read_account(key: &[u8]) -> Option<AccountKey> {
    let ([bit, scope], rest) = key.split_first_chunk()?;
    let (merchant, rest) = rest.split_first_chunk::<8>()?;
    let (scene, period) = rest.split_first()?;
    let scope = pb::Scope::try_from(i32::from(*scope)).ok()?;
    let scene = pb::Scene::try_from(i32::from(*scene)).ok()?;
    let scope = record::scope_of(scope, u64::from_be_bytes(*merchant), scene)?;
    Some(AccountKey { bit: *bit, scope, period: Day(read_day(period)?) })
}

fn read_guarantee_key(bit: u8, key: &[u8]) -> Option<GuaranteeKey> {
    let (merchant, from) = key.split_first_chunk::<8>()?;
    let from = i64::from_be_bytes(from.try_into().ok()?) ^ i64::MIN;
    Some(GuaranteeKey { bit, merchant: MerchantId(u64::from_be_bytes(*merchant)), from: Timestamp(from) })
}

fn byte(number: i32) -> u8 {
    // Scopes and scenes are few.
    u8::try_from(number).unwrap_or(0)
}

fn scene_byte(scene: Scene) -> u8 {
    byte(record::scene_number(scene).into())
}

fn read_scene(byte: u8) -> Option<Scene> {
    record::scene_of(pb::Scene::try_from(i32::from(byte)).ok()?)
}

fn day_bytes(day: i32) -> [u8; 4] {
    (day ^ i32::MIN).to_be_bytes()
}

fn read_day(bytes: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(bytes.try_into().ok()?) ^ i32::MIN)
}

fn read_u64(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

fn account_row(row: &AccountRow) -> pb::AccountRow {
    let hold = |hold: &Hold| pb::Hold {
        session: hold.session,
        until: hold.until.map(|until| until.0),
        exposures: hold.exposures,
    };
    pb::AccountRow {
        delivered: row.account.delivered,
        late: row.account.late,
        holds: row.account.holds.iter().map(hold).collect(),
        ends: row.ends.map(|day| day.0),
    }
}

fn read_account_row(message: pb::AccountRow) -> AccountRow {
    let hold =
        |hold: pb::Hold| Hold { session: hold.session, until: hold.until.map(Timestamp), exposures: hold.exposures };
    let holds = message.holds.into_iter().map(hold).collect();
    let account = Account { delivered: message.delivered, late: message.late, holds };
    AccountRow { account, ends: message.ends.map(Day) }
}

fn programme_row(row: &ProgrammeRow) -> pb::ProgrammeRow {
    let own = Scene::ALL.into_iter().zip(row.adjusted.by_scene);
    let own = own.filter_map(|(scene, exposures)| {
        Some(pb::SceneExposures { scene: record::scene_number(scene).into(), exposures: exposures? })
    });
    let change = |change: &ChangeRow| pb::ChangeRow {
        revision: change.revision,
        at: change.at.0,
        change: Some((&change.change).into()),
        author: change.author.clone(),
        reason: change.reason.clone(),
    };
    pb::ProgrammeRow {
        is_paused: row.is_paused,
        exposures: row.adjusted.exposures,
        by_scene: own.collect(),
        revision: row.revision,
        changes: row.changes.iter().map(change).collect(),
        delivered_before: row.delivered_before,
        late_before: row.late_before,
    }
}

fn read_programme(message: pb::ProgrammeRow) -> Result<ProgrammeRow, DecodeProblem> {
    let mut row = ProgrammeRow {
        is_paused: message.is_paused,
        revision: message.revision,
        delivered_before: message.delivered_before,
        late_before: message.late_before,
        ..ProgrammeRow::default()
    };
    row.adjusted.exposures = message.exposures;
    for own in message.by_scene {
        let scene = pb::Scene::try_from(own.scene).ok().and_then(record::scene_of);
        let scene = required(scene, "programme_row.by_scene.scene")?;
        if let Some(exposures) = row.adjusted.by_scene.get_mut(scene.index()) {
            *exposures = Some(own.exposures);
        }
    }
    for change in message.changes {
        row.changes.push(ChangeRow {
            revision: change.revision,
            at: Timestamp(change.at),
            change: required(change.change, "programme_row.changes.change")?.try_into()?,
            author: change.author,
            reason: change.reason,
        });
    }
    Ok(row)
}

fn guarantee_row(row: &GuaranteeRow) -> pb::GuaranteeRow {
    let GuaranteeRow { until, target, delivered, expected, is_feasible } = *row;
    pb::GuaranteeRow { until: until.0, target, delivered, expected, is_feasible }
}

fn read_guarantee(message: &pb::GuaranteeRow) -> GuaranteeRow {
    let pb::GuaranteeRow { until, target, delivered, expected, is_feasible } = *message;
    GuaranteeRow { until: Timestamp(until), target, delivered, expected, is_feasible }
}

fn package_row(row: &PackageRow) -> pb::PackageRow {
    pb::PackageRow {
        merchant: row.merchant.0,
        exposures: row.exposures,
        unassigned: row.unassigned,
        revision: row.revision,
        granted_at: row.granted_at.0,
        expires_at: row.expires_at.map(|at| at.0),
        author: row.author.clone(),
        reason: row.reason.clone(),
    }
}

fn read_package(message: pb::PackageRow) -> PackageRow {
    PackageRow {
        merchant: MerchantId(message.merchant),
        exposures: message.exposures,
        unassigned: message.unassigned,
        revision: message.revision,
        granted_at: Timestamp(message.granted_at),
        expires_at: message.expires_at.map(Timestamp),
        author: message.author,
        reason: message.reason,
    }
}

fn wallet_row(row: &WalletRow) -> pb::WalletRow {
    let (packages, exposures) = row.lots.iter().copied().unzip();
    pb::WalletRow { granted: row.granted, packages, exposures }
}

fn read_wallet(message: pb::WalletRow) -> WalletRow {
    WalletRow { granted: message.granted, lots: message.packages.into_iter().zip(message.exposures).collect() }
}

fn member_row(row: &MemberRow) -> pb::MemberRow {
    pb::MemberRow {
        exposures: row.exposures,
        clicks: row.clicks,
        orders: row.orders,
        gmv_fen: row.gmv_fen,
        reached: row.reached.0,
        reached_days: row.reached_days.into(),
    }
}

fn read_member(message: &pb::MemberRow) -> Result<MemberRow, DecodeProblem> {
    const DAYS: &str = "member_row.reached_days";
    let days = message.reached_days;
    Ok(MemberRow {
        exposures: message.exposures,
        clicks: message.clicks,
        orders: message.orders,
        gmv_fen: message.gmv_fen,
        reached: Day(message.reached),
        reached_days: days.try_into().map_err(|_| DecodeProblem::invalid(DAYS, format!("{days} are too many")))?,
    })
}

fn read_recent(message: pb::RecentRow) -> Result<RecentRow, DecodeProblem> {
    let counts = message.counts.try_into().map_err(|_| DecodeProblem::invalid("recent_row.counts", "are not six"))?;
    Ok(RecentRow { newest: message.newest, counts })
}

fn read_hours(message: pb::HoursRow) -> Result<HoursRow, DecodeProblem> {
    if message.counts.len() != WEEK_HOURS {
        return Err(DecodeProblem::invalid("hours_row.counts", "are not those of a week"));
    }
    Ok(HoursRow { counts: message.counts })
}

fn report_row(row: &ReportRow) -> pb::ReportRow {
    let half = |half: u128| u64::try_from(half & u128::from(u64::MAX)).unwrap_or(0);
    pb::ReportRow {
        stamp: row.stamp.0,
        revision: row.revision,
        payload_hash_high: half(row.payload_hash >> 64),
        payload_hash_low: half(row.payload_hash),
    }
}

/// The part of the meta row that the ledgers have.
pub(super) fn meta(meta: &LedgerMeta) -> pb::LedgerMetaRow {
    pb::LedgerMetaRow {
        last_session: meta.last_session,
        nodes: meta.sessions.keys().copied().collect(),
        sessions: meta.sessions.values().copied().collect(),
        last_package: meta.last_package,
        unattributed: meta.unattributed,
        reports_floor: meta.reports_floor.map(|at| at.0),
    }
}

pub(super) fn read_meta(message: pb::LedgerMetaRow) -> LedgerMeta {
    LedgerMeta {
        last_session: message.last_session,
        sessions: message.nodes.into_iter().zip(message.sessions).collect(),
        last_package: message.last_package,
        unattributed: message.unattributed,
        reports_floor: message.reports_floor.map(Timestamp),
    }
}

#[cfg(test)]
pub(super) mod tests;
