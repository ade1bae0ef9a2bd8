//! Where `apply` finds the facts of earlier days. The store implements it.

use crate::domain::{DayFacts, FactKey};
use crate::trust::DayRange;

/// Facts in order of day.
pub type HistoryRows = Box<dyn Iterator<Item = Result<(FactKey, DayFacts), HistoryError>> + Send>;

/// The stored facts, as of the last rows written.
pub trait History {
    /// One row; empty if there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn row(&self, key: FactKey) -> Result<DayFacts, HistoryError>;

    /// Many rows, one for each key; empty where there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn rows_at(&self, keys: &[FactKey]) -> Result<Vec<DayFacts>, HistoryError> {
        keys.iter().map(|key| self.row(*key)).collect()
    }

    /// The rows of these days in order of day, from one snapshot taken now.
    fn rows(&self, days: Vec<DayRange>) -> HistoryRows;
}

/// The store cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("reading stored facts: {0}")]
pub struct HistoryError(pub String);
