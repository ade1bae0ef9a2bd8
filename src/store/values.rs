//! Values: a format version (1 byte) and a protobuf message.

use prost::Message;

use super::ledgers;
use crate::domain::{Day, DayFacts, HeldRight, Profile, ProviderId, RequestKey, Timestamp, Violation};
use crate::record::column::{Column, push, push_signed};
use crate::record::{self, DecodeProblem, pb, required};
use crate::state::{
    ImportRow, KillSwitch, MetaRow, PendingPolicy, PolicyRow, PolicySwitch, ProviderRanks, RequestRow, Row,
    TransitionRow, WindowsRow,
};
use crate::trust::{Level, MerchantFacts, MerchantFactsParts};

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
    read::<pb::RightsRow>(value)?.rights.into_iter().map(TryInto::try_into).collect()
}

pub(super) fn windows(row: &WindowsRow) -> pb::WindowsRow {
    let parts = row.facts.to_parts();
    let mut message = pb::WindowsRow {
        facts_day: row.facts_day.0,
        layout: row.layout,
        last_stored: row.last_stored.map(|day| day.0),
        sums: Vec::with_capacity(parts.sums.len() * 3),
        last_sent: Vec::with_capacity(parts.last_sent.len()),
        level_days: Vec::with_capacity(parts.levels.len()),
        level_values: Vec::with_capacity(parts.levels.len() * 3),
        first_sale: parts.first_sale.map(|day| day.0),
    };
    let code = |day: i32| match i64::from(row.facts_day.0) - i64::from(day) {
        before @ 0.. => before + 1,
        before => before,
    };
    for &sum in &parts.sums {
        push(&mut message.sums, sum);
    }
    for &day in &parts.last_sent {
        push_signed(&mut message.last_sent, if day == NEVER { 0 } else { code(day) });
    }
    for level in &parts.levels {
        push_signed(&mut message.level_days, level.map_or(0, |level| code(level.day.0)));
        if let Some(level) = level {
            push(&mut message.level_values, level.value);
        }
    }
    message
}

pub(super) fn read_windows(value: &[u8]) -> Result<WindowsRow, DecodeProblem> {
    const LAST_SENT: &str = "windows.last_sent";
    const LEVEL_DAYS: &str = "windows.level_days";
    let message: pb::WindowsRow = read(value)?;
    let facts_day = i64::from(message.facts_day);
    let day = |code: i64, field| -> Result<Option<i32>, DecodeProblem> {
        let before = match code {
            0 => return Ok(None),
            1.. => code - 1,
            _ => code,
        };
        let day = facts_day.checked_sub(before).and_then(|day| i32::try_from(day).ok());
        day.map(Some).ok_or_else(|| DecodeProblem::invalid(field, format!("hold {code}, which is no day")))
    };
    let mut column = Column::new(&message.sums, "windows.sums");
    let mut sums = Vec::with_capacity(column.len());
    while !column.is_empty() {
        sums.push(column.next()?);
    }
    let mut days = Column::new(&message.last_sent, LAST_SENT);
    let mut last_sent = Vec::with_capacity(days.len());
    while !days.is_empty() {
        last_sent.push(day(days.next_signed()?, LAST_SENT)?.unwrap_or(NEVER));
    }
    let mut days = Column::new(&message.level_days, LEVEL_DAYS);
    let mut values = Column::new(&message.level_values, "windows.level_values");
    let mut levels = Vec::with_capacity(days.len());
    while !days.is_empty() {
        levels.push(match day(days.next_signed()?, LEVEL_DAYS)? {
            Some(day) => Some(Level { day: Day(day), value: values.next()? }),
            None => None,
        });
    }
    let parts = MerchantFactsParts { sums, last_sent, levels, first_sale: message.first_sale.map(Day) };
    if parts.sums.len() != parts.last_sent.len() {
        return Err(DecodeProblem::invalid(LAST_SENT, "are not as many as the sums"));
    }
    Ok(WindowsRow {
        facts_day: Day(message.facts_day),
        layout: message.layout,
        last_stored: message.last_stored.map(Day),
        facts: MerchantFacts::from_parts(&parts),
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
    pb::PolicyRow {
        version: row.version,
        revision: row.revision,
        text: Some((&row.text).into()),
        hash: row.hash.clone(),
        author: row.author.clone(),
        comment: row.comment.clone(),
        published_at: row.published_at.map(|at| at.0),
        last_switch: row.last_switch.as_ref().map(|switch| pb::PolicySwitch {
            revision: switch.revision,
            at: switch.at.0,
            author: switch.author.clone(),
            reason: switch.reason.clone(),
        }),
    }
}

pub(super) fn read_policy(value: &[u8]) -> Result<PolicyRow, DecodeProblem> {
    let message: pb::PolicyRow = read(value)?;
    Ok(PolicyRow {
        version: message.version,
        revision: message.revision,
        text: required(message.text, "policy.text")?.try_into()?,
        hash: message.hash,
        author: message.author,
        comment: message.comment,
        published_at: message.published_at.map(Timestamp),
        last_switch: message.last_switch.map(|switch| PolicySwitch {
            revision: switch.revision,
            at: Timestamp(switch.at),
            author: switch.author,
            reason: switch.reason,
        }),
    })
}

/// The values of the meta row: clock, dictionary, what is not part of the state hash, how the policy changes, places of
/// service providers, ledgers. They
/// change at very different rates.
pub(super) struct Meta {
    pub(super) clock: pb::ClockRow,
    pub(super) dictionary: pb::DictionaryRow,
    pub(super) soft: pb::SoftRow,
    pub(super) policy: pb::PolicyControlRow,
    pub(super) ranks: pb::ProviderRanksRow,
    pub(super) ledger: pb::LedgerMetaRow,
}

/// What stands for a programme that has not retired.
const NOT_RETIRED: i64 = i64::MIN;

pub(super) fn meta(row: &MetaRow) -> Meta {
    let transition = row.transition.as_ref().map(|transition| pb::TransitionRow {
        began: transition.began,
        facts_day: transition.facts_day.map(|day| day.0),
        policy_version: transition.policy_version,
        unseen_at_close: transition.unseen_at_close.clone(),
    });
    let facts_day = row.facts_day.map(|day| day.0);
    let pending =
        row.pending.map(|pending| pb::PendingPolicy { version: pending.version, effective_at: pending.effective_at.0 });
    Meta {
        clock: pb::ClockRow { now: row.now.0, facts_day, policy_version: row.policy_version },
        dictionary: pb::DictionaryRow {
            counters: row.counters.clone(),
            seen: row.seen.clone(),
            unseen_at_close: row.unseen_at_close.clone(),
            programme_bits: row.programme_bits.clone(),
            programme_retired: row.programme_retired.iter().map(|at| at.map_or(NOT_RETIRED, |at| at.0)).collect(),
        },
        soft: pb::SoftRow { transition, is_simulated: row.is_simulated },
        ranks: provider_ranks(row),
        ledger: ledgers::meta(&row.ledger),
        policy: pb::PolicyControlRow {
            policy_revision: row.policy_revision,
            pending,
            configured_hash: row.configured_hash.clone(),
            kill_switch: row.kill_switch.as_ref().map(|KillSwitch { since, author, reason }| pb::KillSwitch {
                since: since.0,
                reason: reason.clone(),
                author: author.clone(),
            }),
        },
    }
}

/// Places of service providers, now and next.
fn provider_ranks(row: &MetaRow) -> pb::ProviderRanksRow {
    let column = |ranks: &ProviderRanks| {
        let ids = ranks.keys().map(|id| id.0).collect();
        pb::ProviderRanks { ids, ranks: ranks.values().copied().collect() }
    };
    pb::ProviderRanksRow { current: Some(column(&row.provider_ranks)), next: Some(column(&row.next_provider_ranks)) }
}

fn read_ranks(column: Option<pb::ProviderRanks>) -> ProviderRanks {
    let column = column.unwrap_or_default();
    column.ids.into_iter().map(ProviderId).zip(column.ranks).collect()
}

pub(super) fn read_meta(Meta { clock, dictionary, soft, policy, ranks, ledger }: Meta) -> MetaRow {
    let retired = |at: i64| (at != NOT_RETIRED).then_some(Timestamp(at));
    MetaRow {
        provider_ranks: read_ranks(ranks.current),
        next_provider_ranks: read_ranks(ranks.next),
        now: Timestamp(clock.now),
        facts_day: clock.facts_day.map(Day),
        policy_version: clock.policy_version,
        counters: dictionary.counters,
        seen: dictionary.seen,
        unseen_at_close: dictionary.unseen_at_close,
        programme_bits: dictionary.programme_bits,
        programme_retired: dictionary.programme_retired.into_iter().map(retired).collect(),
        policy_revision: policy.policy_revision,
        pending: policy
            .pending
            .map(|pending| PendingPolicy { version: pending.version, effective_at: Timestamp(pending.effective_at) }),
        configured_hash: policy.configured_hash,
        kill_switch: policy.kill_switch.map(|pb::KillSwitch { since, reason, author }| KillSwitch {
            since: Timestamp(since),
            author,
            reason,
        }),
        transition: soft.transition.map(|transition| TransitionRow {
            began: transition.began,
            facts_day: transition.facts_day.map(Day),
            policy_version: transition.policy_version,
            unseen_at_close: transition.unseen_at_close,
        }),
        is_simulated: soft.is_simulated,
        ledger: ledgers::read_meta(ledger),
    }
}
