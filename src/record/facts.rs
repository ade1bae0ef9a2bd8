//! Facts ⇄ protobuf: one row, and many rows column by column.

use super::outcome::counter_id;
use super::{DecodeProblem, kind_of_subject, known, pb, required, subject};
use crate::domain::{CounterId, Day, DayFacts, FactRow};

impl From<&DayFacts> for pb::DayFacts {
    fn from(facts: &DayFacts) -> Self {
        let cells = facts.cells();
        let mut message =
            Self { counter_steps: Vec::with_capacity(cells.len()), values: Vec::with_capacity(cells.len()) };
        let mut before = 0_u32;
        for &(counter, value) in cells {
            let counter = u32::from(counter.0);
            // Cells are in order of counter, so that a step is never negative.
            message.counter_steps.push(counter.saturating_sub(before));
            message.values.push(value);
            before = counter;
        }
        message
    }
}

impl TryFrom<pb::DayFacts> for DayFacts {
    type Error = DecodeProblem;

    fn try_from(message: pb::DayFacts) -> Result<Self, DecodeProblem> {
        if message.counter_steps.len() != message.values.len() {
            return Err(DecodeProblem::invalid("day_facts.values", "are not as many as the counters"));
        }
        let mut before = 0_u32;
        let mut cells = Vec::with_capacity(message.values.len());
        for (step, value) in message.counter_steps.into_iter().zip(message.values) {
            before = before.saturating_add(step);
            cells.push((counter_id(before, "day_facts.counter_steps")?, value));
        }
        Ok(Self::new(cells))
    }
}

impl From<&[FactRow]> for pb::FactRows {
    fn from(rows: &[FactRow]) -> Self {
        let cells: usize = rows.iter().map(|row| row.facts.cells().len()).sum();
        let mut message = Self {
            kinds: Vec::new(),
            ids: Vec::with_capacity(rows.len()),
            day_steps: Vec::with_capacity(rows.len()),
            shapes: Vec::with_capacity(rows.len()),
            counters: Vec::new(),
            values: Vec::with_capacity(cells),
        };
        let kind = |row: &FactRow| kind_of_subject(row.subject).0;
        if rows.iter().any(|row| kind(row) != pb::Kind::Merchant) {
            message.kinds = rows.iter().map(|row| i32::from(kind(row)).unsigned_abs()).collect();
        }
        let mut day_before = 0_i32;
        let mut before: &[(CounterId, u64)] = &[];
        for row in rows {
            let cells = row.facts.cells();
            message.ids.push(kind_of_subject(row.subject).1);
            message.day_steps.push(row.day.0.wrapping_sub(day_before));
            day_before = row.day.0;
            if cells.len() == before.len() && cells.iter().zip(before).all(|(now, before)| now.0 == before.0) {
                message.shapes.push(0);
            } else {
                // A row has at most 65,536 counters, one per counter id.
                message.shapes.push(u32::try_from(cells.len()).unwrap_or(u32::MAX).saturating_add(1));
                message.counters.extend(cells.iter().map(|cell| u32::from(cell.0.0)));
            }
            message.values.extend(cells.iter().map(|cell| cell.1));
            before = cells;
        }
        message
    }
}

/// The rows of a message.
pub(super) fn fact_rows(message: pb::FactRows) -> Result<Vec<FactRow>, DecodeProblem> {
    let len = message.ids.len();
    let has_kinds = !message.kinds.is_empty();
    for (column, column_len) in [
        ("fact_rows.kinds", if has_kinds { message.kinds.len() } else { len }),
        ("fact_rows.day_steps", message.day_steps.len()),
        ("fact_rows.shapes", message.shapes.len()),
    ] {
        if column_len != len {
            return Err(DecodeProblem::invalid(column, format!("has {column_len} entries for {len} rows")));
        }
    }
    let mut counters = message.counters.into_iter();
    let mut values = message.values.as_slice();
    let mut shape: Vec<CounterId> = Vec::new();
    let mut day = 0_i32;
    let mut rows = Vec::with_capacity(len);
    let mut kinds = message.kinds.into_iter();
    for ((id, day_step), counters_after) in message.ids.into_iter().zip(message.day_steps).zip(message.shapes) {
        let kind = match kinds.next() {
            Some(kind) => known(i32::try_from(kind).unwrap_or(i32::MAX), "fact_rows.kinds")?,
            None => pb::Kind::Merchant,
        };
        let subject = subject(kind, id)
            .ok_or_else(|| DecodeProblem::invalid("fact_rows.kinds", "names a kind that facts are not about"))?;
        day = day.wrapping_add(day_step);
        if let Some(count) = counters_after.checked_sub(1) {
            shape.clear();
            for _ in 0..count {
                let counter = required(counters.next(), "fact_rows.counters")?;
                shape.push(counter_id(counter, "fact_rows.counters")?);
            }
        }
        let (own, rest) = required(values.split_at_checked(shape.len()), "fact_rows.values")?;
        values = rest;
        let facts = DayFacts::new(shape.iter().copied().zip(own.iter().copied()).collect());
        rows.push(FactRow { subject, day: Day(day), facts });
    }
    if counters.next().is_some() || !values.is_empty() {
        return Err(DecodeProblem::invalid("fact_rows.values", "go on after the last row"));
    }
    Ok(rows)
}
