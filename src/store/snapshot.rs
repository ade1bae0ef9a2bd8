//! Reading facts by day, over a state that does not move.

use fjall::{Keyspace, Readable, Snapshot, UserValue};

use super::error::StoreError;
use super::spaces::Space;
use super::{keys, values};
use crate::domain::{DayFacts, FactKey};
use crate::trust::DayRange;

/// All facts as they were when it was taken.
#[derive(Clone)]
pub struct FactsSnapshot {
    snapshot: Snapshot,
    facts: Keyspace,
}

impl FactsSnapshot {
    pub(super) fn new(snapshot: Snapshot, facts: Keyspace) -> Self {
        Self { snapshot, facts }
    }

    /// The rows of some days, in order of day, then kind, then id.
    #[must_use]
    pub fn day(&self, range: DayRange) -> FactsIter {
        let (first, last) = (keys::facts_begin(range.first), keys::facts_end(range.last));
        // A range that ends before it begins is empty, which the database would refuse.
        let is_empty = range.last < range.first;
        FactsIter(Scan {
            space: Space::Facts,
            rows: (!is_empty).then(|| self.snapshot.range(&self.facts, first..=last)),
        })
    }

    /// Facts of one subject on one day.
    ///
    /// # Errors
    /// When the row cannot be read or is damaged.
    pub fn facts(&self, key: FactKey) -> Result<Option<DayFacts>, StoreError> {
        let key = keys::facts(key);
        facts_value(&key, self.snapshot.get(&self.facts, &key))
    }
}

/// What stands under a facts key.
pub(super) fn facts_value(
    key: &[u8],
    value: Result<Option<UserValue>, fjall::Error>,
) -> Result<Option<DayFacts>, StoreError> {
    let value = value.map_err(|error| StoreError::unread(Space::Facts, key, error))?;
    value
        .map(|value| values::read_facts(&value).map_err(|problem| StoreError::damaged(Space::Facts, key, &problem)))
        .transpose()
}

/// Rows of facts in order of day. It ends after the first error.
pub struct FactsIter(Scan);

impl Iterator for FactsIter {
    type Item = Result<(FactKey, DayFacts), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_with(|key, value| {
            let facts = values::read_facts(value).map_err(|problem| problem.to_string())?;
            Ok((keys::read_facts(key).ok_or("the key is not one of facts")?, facts))
        })
    }
}

/// Rows of a keyspace in order. It ends after the first error.
pub(super) struct Scan {
    space: Space,
    /// None when it is over.
    rows: Option<fjall::Iter>,
}

impl Scan {
    /// All rows of a keyspace.
    pub(super) fn all(snapshot: &Snapshot, space: Space, keyspace: &Keyspace) -> Self {
        Self { space, rows: Some(snapshot.iter(keyspace)) }
    }

    /// The next row as `read` reads it.
    pub(super) fn next_with<T>(
        &mut self,
        read: impl FnOnce(&[u8], &[u8]) -> Result<T, String>,
    ) -> Option<Result<T, StoreError>> {
        let row = self.rows.as_mut()?.next()?;
        let result = match row.into_inner() {
            Ok((key, value)) => read(&key, &value).map_err(|problem| StoreError::damaged(self.space, &key, &problem)),
            Err(error) => Err(StoreError::unread(self.space, &[], error)),
        };
        if result.is_err() {
            self.rows = None;
        }
        Some(result)
    }
}
