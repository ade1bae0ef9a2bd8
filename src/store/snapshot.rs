//! Reading facts by day, over a state that does not move.

use std::ops::Bound;

use fjall::{Keyspace, Readable, Snapshot, UserKey, UserValue};

use super::error::StoreError;
use super::spaces::Space;
use super::store::Store;
use super::{keys, values};
use crate::domain::{DayFacts, FactKey};
use crate::trust::DayRange;

/// So many keys of one day are worth a pass over its rows.
const PASS_FROM: usize = 32;
/// Rows that a pass reads for each key at most.
const PASS_ROWS: usize = 4;

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

impl Store {
    /// Facts under many keys, one row for each; empty where there is none. Keys of one day that are near each other are
    /// read in one pass: that costs a small part of looking each of them up.
    ///
    /// # Errors
    /// When a row cannot be read or is damaged.
    pub fn facts_at(&self, wanted: &[FactKey]) -> Result<Vec<DayFacts>, StoreError> {
        let facts = self.spaces.of(Space::Facts);
        let snapshot = self.db.snapshot();
        let mut found = vec![DayFacts::default(); wanted.len()];
        let mut sorted: Vec<_> = wanted.iter().enumerate().map(|(at, key)| (keys::facts_bytes(*key), at)).collect();
        sorted.sort_unstable();
        for day in sorted.chunk_by(|(one, _), (next, _)| one.first_chunk::<4>() == next.first_chunk()) {
            let mut left = day;
            if let [(first, _), .., (last, _)] = day
                && day.len() >= PASS_FROM
            {
                let mut rows = snapshot.range::<&[u8], _>(facts, first.as_slice()..=last.as_slice());
                // Where many rows lie between those that are wanted, the rest is looked up.
                for row in rows.by_ref().take(day.len() * PASS_ROWS) {
                    let row = row.into_inner().map_err(|error| StoreError::unread(Space::Facts, &[], error))?;
                    let (key, value): (UserKey, UserValue) = row;
                    left = left.split_at(left.partition_point(|(wanted, _)| wanted.as_slice() < &*key)).1;
                    if let [(wanted, at), rest @ ..] = left
                        && wanted.as_slice() == &*key
                        && let Some(place) = found.get_mut(*at)
                    {
                        *place = facts_value(&key, Ok(Some(value)))?.unwrap_or_default();
                        left = rest;
                    }
                }
                if rows.next().is_none() {
                    continue;
                }
            }
            for (key, at) in left {
                if let Some(place) = found.get_mut(*at) {
                    *place = facts_value(key, snapshot.get(facts, key))?.unwrap_or_default();
                }
            }
        }
        Ok(found)
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

    /// Rows from one key to another.
    pub(super) fn range(
        snapshot: &Snapshot,
        space: Space,
        keyspace: &Keyspace,
        (from, to): (Bound<UserKey>, Bound<UserKey>),
    ) -> Self {
        Self { space, rows: Some(snapshot.range(keyspace, (from, to))) }
    }

    /// The next row as `read` reads it.
    pub(super) fn next_with<T>(
        &mut self,
        read: impl FnOnce(&[u8], &[u8]) -> Result<T, String>,
    ) -> Option<Result<T, StoreError>> {
        let row = self.rows.as_mut()?.next()?;
        Some(self.read(row, read))
    }

    /// The last row that was not read yet, as `read` reads it.
    pub(super) fn last_with<T>(
        &mut self,
        read: impl FnOnce(&[u8], &[u8]) -> Result<T, String>,
    ) -> Option<Result<T, StoreError>> {
        let row = self.rows.as_mut()?.next_back()?;
        Some(self.read(row, read))
    }

    fn read<T>(
        &mut self,
        row: fjall::Guard,
        read: impl FnOnce(&[u8], &[u8]) -> Result<T, String>,
    ) -> Result<T, StoreError> {
        let result = match row.into_inner() {
            Ok((key, value)) => read(&key, &value).map_err(|problem| StoreError::damaged(self.space, &key, &problem)),
            Err(error) => Err(StoreError::unread(self.space, &[], error)),
        };
        if result.is_err() {
            self.rows = None;
        }
        result
    }
}
