//! Facts of messages.

use tonic::Status;

use super::scoring::target_kind;
use super::status::{Batch, Reason};
use super::time::date;
use super::validate::{Fields, Problem};
use crate::domain::{Day, DayFacts, FIRST_FACTS_DAY, FactRow, ItemId, MAX_CELLS_PER_ROW, MerchantId, Subject};
use crate::policy::Policy;
use crate::proto;
use crate::trust::DayRange;

/// Most rows of one `RecordFacts`.
const MAX_ROWS: usize = 1_000;
/// Most days of one `ListFacts`.
const MAX_DAYS: i32 = 400;

/// Whom facts are about.
pub(super) fn subject(fields: &mut Fields, kind: i32, merchant_id: u64, target_id: u64) -> Subject {
    let kind = if kind == 0 { None } else { target_kind(fields, "target_kind", kind).item() };
    match kind {
        None => {
            fields.id("merchant_id", merchant_id);
            Subject::Merchant(MerchantId(merchant_id))
        }
        Some(kind) => {
            fields.id("target_id", target_id);
            Subject::Item(ItemId { kind, id: target_id })
        }
    }
}

/// A day that facts can be of.
pub(super) fn check_day(fields: &mut Fields, field: &str, day: Day) {
    if day < FIRST_FACTS_DAY {
        fields.wrong(field, format!("must not be before {FIRST_FACTS_DAY}"));
    }
}

/// What to say of a counter that the policy does not have.
pub(super) const UNKNOWN_COUNTER: &str = "is not declared in the policy; InsightService.GetRules lists the counters";

fn fact_row(policy: &Policy, facts: &proto::DayFacts, prefix: &str) -> Result<FactRow, Vec<Problem>> {
    let mut fields = Fields::below(prefix);
    let subject = subject(&mut fields, facts.target_kind, facts.merchant_id, facts.target_id);
    let day = date(&mut fields, "date", &facts.date);
    if Day::parse(&facts.date).is_some() {
        check_day(&mut fields, "date", day);
    }
    let count = facts.counters.len();
    fields.check((1..=MAX_CELLS_PER_ROW).contains(&count), "counters", "must have 1 to 256 entries");
    let mut cells = Vec::with_capacity(count);
    for (name, value) in &facts.counters {
        match policy.counter(name) {
            Some(counter) => cells.push((counter, *value)),
            None => fields.wrong_for(&format!("counters[{name:?}]"), UNKNOWN_COUNTER, Reason::UnknownCounter),
        }
    }
    fields.done()?;
    Ok(FactRow { subject, day, facts: DayFacts::new(cells) })
}

/// Checks the rows of a request, each on its own; those that are wrong are left out.
///
/// # Errors
/// `INVALID_ARGUMENT` when there are none or too many.
pub fn fact_rows(policy: &Policy, request: &proto::RecordFactsRequest) -> Result<(Vec<FactRow>, Batch), Status> {
    let mut fields = Fields::default();
    fields.check((1..=MAX_ROWS).contains(&request.facts.len()), "facts", "must have 1 to 1000 entries");
    fields.finish()?;
    let (mut rows, mut batch) = (Vec::new(), Batch::default());
    for (index, facts) in request.facts.iter().enumerate() {
        match fact_row(policy, facts, &format!("facts[{index}].")) {
            Ok(row) => {
                rows.push(row);
                batch.push(None);
            }
            Err(problems) => batch.push(Some(&problems)),
        }
    }
    Ok((rows, batch))
}

/// The subject and days of a `ListFacts`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn facts_query(request: &proto::ListFactsRequest) -> Result<(Subject, DayRange), Status> {
    let mut fields = Fields::default();
    fields.id("target_id", request.target_id);
    let kind = if request.target_kind == 0 {
        None
    } else {
        target_kind(&mut fields, "target_kind", request.target_kind).item()
    };
    let first = date(&mut fields, "first_date", &request.first_date);
    let last = date(&mut fields, "last_date", &request.last_date);
    let days = last.days_since(first);
    fields.check((0..MAX_DAYS).contains(&days), "last_date", "must be 0 to 399 days after first_date");
    fields.finish()?;
    let subject = match kind {
        None => Subject::Merchant(MerchantId(request.target_id)),
        Some(kind) => Subject::Item(ItemId { kind, id: request.target_id }),
    };
    Ok((subject, DayRange { first, last }))
}

/// The answer of a `ListFacts`.
#[must_use]
pub fn facts_response(
    policy: &Policy,
    request: &proto::ListFactsRequest,
    rows: &[(Day, DayFacts)],
    revision: u64,
) -> proto::ListFactsResponse {
    let is_item = request.target_kind != 0 && request.target_kind != i32::from(proto::TargetKind::Merchant);
    let name = |counter| {
        let known = policy.counters.iter().find(|def| def.id == counter);
        known.map_or_else(|| format!("counter_{}", counter.0), |def| def.name.clone())
    };
    let facts = rows
        .iter()
        .map(|(day, facts)| proto::DayFacts {
            merchant_id: if is_item { 0 } else { request.target_id },
            date: day.to_string(),
            counters: facts.cells().iter().map(|(counter, value)| (name(*counter), *value)).collect(),
            target_kind: request.target_kind,
            target_id: if is_item { request.target_id } else { 0 },
        })
        .collect();
    proto::ListFactsResponse { facts, revision }
}
