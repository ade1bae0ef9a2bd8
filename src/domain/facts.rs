//! Facts: named counters of one subject on one day.

use super::{Day, Subject};

/// A counter of the policy's dictionary. Ids are given in log order and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterId(pub u16);

/// The first day facts may be of.
pub const FIRST_FACTS_DAY: Day = Day(8_035);

/// Most counters that one row of facts may carry.
pub const MAX_CELLS_PER_ROW: usize = 256;

/// Where a row of facts stands: day first, so that closing a day reads neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactKey {
    /// The day.
    pub day: Day,
    /// Whom the facts are about.
    pub subject: Subject,
}

/// One row: counters and values, sorted by counter, each counter once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayFacts {
    cells: Vec<(CounterId, u64)>,
}

impl DayFacts {
    /// A row of these cells; of a counter named twice the last value counts.
    #[must_use]
    pub fn new(mut cells: Vec<(CounterId, u64)>) -> Self {
        if cells.is_sorted_by(|one, next| one.0 < next.0) {
            return Self { cells };
        }
        cells.reverse();
        cells.sort_by_key(|cell| cell.0);
        cells.dedup_by_key(|cell| cell.0);
        Self { cells }
    }

    /// The cells, in order of counter.
    #[must_use]
    pub fn cells(&self) -> &[(CounterId, u64)] {
        &self.cells
    }

    /// The value of a counter, if it was sent.
    #[must_use]
    pub fn get(&self, counter: CounterId) -> Option<u64> {
        let position = self.cells.binary_search_by_key(&counter, |cell| cell.0).ok()?;
        self.cells.get(position).map(|cell| cell.1)
    }

    /// Replaces counter by counter; counters that `newer` does not carry stay.
    pub fn merge(&mut self, newer: &Self) {
        if self.cells.is_empty() {
            self.cells.clone_from(&newer.cells);
            return;
        }
        for &(counter, value) in &newer.cells {
            match self.cells.binary_search_by_key(&counter, |cell| cell.0) {
                Ok(position) => {
                    if let Some(cell) = self.cells.get_mut(position) {
                        cell.1 = value;
                    }
                }
                Err(position) => self.cells.insert(position, (counter, value)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CounterId, DayFacts, FIRST_FACTS_DAY};

    #[test]
    fn a_resend_replaces_counter_by_counter() {
        let mut row = DayFacts::new(vec![(CounterId(2), 5), (CounterId(1), 7), (CounterId(2), 6)]);
        assert_eq!(row.cells(), [(CounterId(1), 7), (CounterId(2), 6)]);
        row.merge(&DayFacts::new(vec![(CounterId(2), 1), (CounterId(9), 3)]));
        assert_eq!(row.cells(), [(CounterId(1), 7), (CounterId(2), 1), (CounterId(9), 3)]);
        assert_eq!(row.get(CounterId(3)), None);
    }

    #[test]
    fn facts_begin_after_the_last_daylight_saving() {
        assert_eq!(FIRST_FACTS_DAY.to_string(), "1992-01-01");
    }
}
