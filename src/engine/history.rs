//! The store as the state's history of facts.

use crate::domain::{DayFacts, FactKey};
use crate::state::{History, HistoryError, HistoryRows};
use crate::store::Store;
use crate::trust::DayRange;

impl History for Store {
    fn row(&self, key: FactKey) -> Result<DayFacts, HistoryError> {
        self.facts(key).map(Option::unwrap_or_default).map_err(|error| HistoryError(error.to_string()))
    }

    fn rows_at(&self, keys: &[FactKey]) -> Result<Vec<DayFacts>, HistoryError> {
        self.facts_at(keys).map_err(|error| HistoryError(error.to_string()))
    }

    fn rows(&self, days: Vec<DayRange>) -> HistoryRows {
        let snapshot = self.snapshot();
        Box::new(days.into_iter().flat_map(move |range| {
            snapshot.day(range).map(|item| item.map_err(|error| HistoryError(error.to_string())))
        }))
    }
}
