//! Values: a format version (1 byte) and a protobuf message.

use prost::Message;

use crate::domain::{Day, DayFacts, HeldRight, Profile, RequestKey, Timestamp, Violation};
use crate::record::{self, DecodeProblem, pb, required};
use crate::state::{ImportRow, MetaRow, PolicyRow, RequestRow, Row, TransitionRow, WindowsRow};
use crate::trust::{Level, MerchantFactsParts};

const FORMAT: u8 = 1;
/// How [`MerchantFactsParts`] says that a counter was never sent.
const NEVER: i32 = i32::MIN;

/// Makes the value of a message.
pub(super) fn write(message: &impl Message, value: &mut Vec<u8>) {
    value.clear();
    value.push(FORMAT);
    record::append(message, value);
}

/// Reads the message of a value.
pub(super) fn read<M: Message + Default>(value: &[u8]) -> Result<M, DecodeProblem> {
    match value {
        [FORMAT, message @ ..] => Ok(M::decode(message)?),
        [format, ..] => Err(DecodeProblem::Invalid { field: "format", problem: format!("{format} is not known") }),
        [] => Err(DecodeProblem::Missing { field: "format" }),
    }
}

pub(super) fn profile(profile: &Profile) -> pb::Profile {
    profile.into()
}

pub(super) fn facts(facts: &DayFacts) -> pb::DayFacts {
    facts.into()
}

pub(super) fn violation(violation: &Violation) -> pb::Violation {
    violation.into()
}

pub(super) fn read_profile(value: &[u8]) -> Result<Profile, DecodeProblem> {
    read::<pb::Profile>(value)?.try_into()
}

pub(super) fn read_facts(value: &[u8]) -> Result<DayFacts, DecodeProblem> {
    read::<pb::DayFacts>(value)?.try_into()
}

pub(super) fn read_violation(value: &[u8]) -> Result<Violation, DecodeProblem> {
    read::<pb::Violation>(value)?.try_into()
}

pub(super) fn rights(rights: &[HeldRight]) -> pb::RightsRow {
    pb::RightsRow { rights: rights.iter().map(Into::into).collect() }
}

pub(super) fn read_rights(value: &[u8]) -> Result<Vec<HeldRight>, DecodeProblem> {
    Ok(read::<pb::RightsRow>(value)?.rights.into_iter().map(Into::into).collect())
}

pub(super) fn windows(row: &WindowsRow) -> pb::WindowsRow {
    let parts = &row.facts;
    let days_before = |day: i32| i64::from(row.facts_day.0) - i64::from(day);
    let code = |day: i32| match days_before(day) {
        before @ 0.. => before + 1,
        before => before,
    };
    pb::WindowsRow {
        facts_day: row.facts_day.0,
        layout: row.layout,
        last_stored: row.last_stored.map(|day| day.0),
        sums: parts.sums.clone(),
        last_sent: parts.last_sent.iter().map(|&day| if day == NEVER { 0 } else { code(day) }).collect(),
        level_days: parts.levels.iter().map(|level| level.map_or(0, |level| code(level.day.0))).collect(),
        level_values: parts.levels.iter().flatten().map(|level| level.value).collect(),
        first_sale: parts.first_sale.map(|day| day.0),
    }
}

pub(super) fn read_windows(value: &[u8]) -> Result<WindowsRow, DecodeProblem> {
    const LEVELS: &str = "windows.level_values";
    let message: pb::WindowsRow = read(value)?;
    let day = |code: i64, field| -> Result<Option<i32>, DecodeProblem> {
        let before = match code {
            0 => return Ok(None),
            1.. => code - 1,
            _ => code,
        };
        let day = i64::from(message.facts_day).checked_sub(before).and_then(|day| i32::try_from(day).ok());
        day.map(Some).ok_or_else(|| DecodeProblem::Invalid { field, problem: format!("holds {code}, which is no day") })
    };
    let mut last_sent = Vec::with_capacity(message.last_sent.len());
    for &code in &message.last_sent {
        last_sent.push(day(code, "windows.last_sent")?.unwrap_or(NEVER));
    }
    let mut level_values = message.level_values.iter();
    let mut levels = Vec::with_capacity(message.level_days.len());
    for &code in &message.level_days {
        levels.push(match day(code, "windows.level_days")? {
            Some(day) => Some(Level { day: Day(day), value: *required(level_values.next(), LEVELS)? }),
            None => None,
        });
    }
    Ok(WindowsRow {
        facts_day: Day(message.facts_day),
        layout: message.layout,
        last_stored: message.last_stored.map(Day),
        facts: MerchantFactsParts { sums: message.sums, last_sent, levels, first_sale: message.first_sale.map(Day) },
    })
}

pub(super) fn request(key: &RequestKey, row: &RequestRow) -> pb::RequestRow {
    let outcome = Some((&row.outcome).into());
    pb::RequestRow { key: Some(key.into()), stamp: row.stamp.0, revision: row.revision, outcome }
}

pub(super) fn read_request(value: &[u8]) -> Result<Row, DecodeProblem> {
    let message: pb::RequestRow = read(value)?;
    let row = RequestRow {
        stamp: Timestamp(message.stamp),
        revision: message.revision,
        outcome: required(message.outcome, "request.outcome")?.try_into()?,
    };
    Ok(Row::Request(required(message.key, "request.key")?.into(), Some(row)))
}

pub(super) fn import(id: &str, row: &ImportRow) -> pb::ImportRow {
    pb::ImportRow { import_id: id.to_owned(), stamp: row.stamp.0, committed: row.committed }
}

pub(super) fn read_import(value: &[u8]) -> Result<Row, DecodeProblem> {
    let message: pb::ImportRow = read(value)?;
    let row = ImportRow { stamp: Timestamp(message.stamp), committed: message.committed };
    Ok(Row::Import(message.import_id, Some(row)))
}

pub(super) fn policy(row: &PolicyRow) -> pb::PolicyRow {
    pb::PolicyRow { version: row.version, revision: row.revision, text: Some((&row.text).into()) }
}

pub(super) fn read_policy(value: &[u8]) -> Result<PolicyRow, DecodeProblem> {
    let message: pb::PolicyRow = read(value)?;
    let text = required(message.text, "policy.text")?.into();
    Ok(PolicyRow { version: message.version, revision: message.revision, text })
}

/// The three values of the row: clock, dictionary, and what is not part of the state hash. They change at very
/// different rates.
pub(super) fn meta(row: &MetaRow) -> (pb::ClockRow, pb::DictionaryRow, pb::SoftRow) {
    let transition = row.transition.as_ref().map(|transition| pb::TransitionRow {
        began: transition.began,
        facts_day: transition.facts_day.map(|day| day.0),
        policy_version: transition.policy_version,
        unseen_at_close: transition.unseen_at_close.clone(),
    });
    let facts_day = row.facts_day.map(|day| day.0);
    (
        pb::ClockRow { now: row.now.0, facts_day, policy_version: row.policy_version },
        pb::DictionaryRow {
            counters: row.counters.clone(),
            seen: row.seen.clone(),
            unseen_at_close: row.unseen_at_close.clone(),
            programme_bits: row.programme_bits.clone(),
        },
        pb::SoftRow { transition, is_simulated: row.is_simulated },
    )
}

pub(super) fn read_meta(clock: pb::ClockRow, dictionary: pb::DictionaryRow, soft: pb::SoftRow) -> MetaRow {
    MetaRow {
        now: Timestamp(clock.now),
        facts_day: clock.facts_day.map(Day),
        policy_version: clock.policy_version,
        counters: dictionary.counters,
        seen: dictionary.seen,
        unseen_at_close: dictionary.unseen_at_close,
        programme_bits: dictionary.programme_bits,
        transition: soft.transition.map(|transition| TransitionRow {
            began: transition.began,
            facts_day: transition.facts_day.map(Day),
            policy_version: transition.policy_version,
            unseen_at_close: transition.unseen_at_close,
        }),
        is_simulated: soft.is_simulated,
    }
}
