//! Facts ⇄ protobuf: one row, and many rows column by column.

use super::column::{Column, push, push_signed};
use super::{DecodeProblem, kind_of_subject, pb, subject};
use crate::domain::{CounterId, Day, DayFacts, FactRow};

/// Bytes that a cell usually needs.
const CELL: usize = 4;

impl From<&DayFacts> for pb::DayFacts {
    fn from(facts: &DayFacts) -> Self {
        let mut cells = Vec::with_capacity(facts.cells().len() * CELL);
        let mut before = 0_u16;
        for &(counter, value) in facts.cells() {
            // Cells are in order of counter, so that a step is never negative.
            push(&mut cells, counter.0.saturating_sub(before).into());
            push(&mut cells, value);
            before = counter.0;
        }
        Self { cells }
    }
}

impl TryFrom<pb::DayFacts> for DayFacts {
    type Error = DecodeProblem;

    fn try_from(message: pb::DayFacts) -> Result<Self, DecodeProblem> {
        const CELLS: &str = "day_facts.cells";
        let mut column = Column::new(&message.cells, CELLS);
        let mut cells = Vec::with_capacity(column.len() / 2);
        let mut before = 0_u16;
        while !column.is_empty() {
            let counter = before.checked_add(column.next_as()?);
            before = counter.ok_or_else(|| DecodeProblem::invalid(CELLS, "hold a counter out of range"))?;
            cells.push((CounterId(before), column.next()?));
        }
        Ok(Self::new(cells))
    }
}

impl From<&[FactRow]> for pb::FactRows {
    fn from(rows: &[FactRow]) -> Self {
        let cells: usize = rows.iter().map(|row| row.facts.cells().len()).sum();
        let mut message = Self { values: Vec::with_capacity(cells * 2), ..Self::default() };
        message.ids.reserve(rows.len());
        let kind = |row: &FactRow| kind_of_subject(row.subject).0;
        let has_kinds = rows.iter().any(|row| kind(row) != pb::Kind::Merchant);
        let mut day_before = Day(0);
        let mut before: &[(CounterId, u64)] = &[];
        for row in rows {
            if has_kinds {
                push(&mut message.kinds, i32::from(kind(row)).unsigned_abs().into());
            }
            message.ids.push(kind_of_subject(row.subject).1);
            push_signed(&mut message.day_steps, i64::from(row.day.0) - i64::from(day_before.0));
            day_before = row.day;
            let cells = row.facts.cells();
            if cells.len() == before.len() && cells.iter().zip(before).all(|(now, before)| now.0 == before.0) {
                push(&mut message.shapes, 0);
            } else {
                // A row has at most one cell per counter id, 65,536.
                push(&mut message.shapes, u64::try_from(cells.len()).unwrap_or(u64::MAX).saturating_add(1));
                for cell in cells {
                    push(&mut message.counters, cell.0.0.into());
                }
            }
            for cell in cells {
                push(&mut message.values, cell.1);
            }
            before = cells;
        }
        message
    }
}

/// The rows of a message.
pub(super) fn fact_rows(message: &pb::FactRows) -> Result<Vec<FactRow>, DecodeProblem> {
    let mut kinds = Column::new(&message.kinds, "fact_rows.kinds");
    let mut day_steps = Column::new(&message.day_steps, "fact_rows.day_steps");
    let mut shapes = Column::new(&message.shapes, "fact_rows.shapes");
    let mut counters = Column::new(&message.counters, "fact_rows.counters");
    let mut values = Column::new(&message.values, "fact_rows.values");
    let has_kinds = !kinds.is_empty();
    let mut shape: Vec<CounterId> = Vec::new();
    let mut day = 0_i64;
    let mut rows = Vec::with_capacity(message.ids.len());
    for &id in &message.ids {
        let kind = if has_kinds { pb::Kind::try_from(kinds.next_as::<i32>()?).ok() } else { Some(pb::Kind::Merchant) };
        let subject = kind
            .and_then(|kind| subject(kind, id))
            .ok_or_else(|| DecodeProblem::invalid("fact_rows.kinds", "name a kind that facts are not about"))?;
        day = day.wrapping_add(day_steps.next_signed()?);
        let own_day = i32::try_from(day);
        let own_day = own_day.map_err(|_| DecodeProblem::invalid("fact_rows.day_steps", "lead to no day"))?;
        if let Some(count) = shapes.next()?.checked_sub(1) {
            shape.clear();
            for _ in 0..count {
                shape.push(CounterId(counters.next_as()?));
            }
        }
        let mut cells = Vec::with_capacity(shape.len());
        for &counter in &shape {
            cells.push((counter, values.next()?));
        }
        rows.push(FactRow { subject, day: Day(own_day), facts: DayFacts::new(cells) });
    }
    if [kinds, day_steps, shapes, counters, values].iter().any(|column| !column.is_empty()) {
        return Err(DecodeProblem::invalid("fact_rows", "go on after the last row"));
    }
    Ok(rows)
}
