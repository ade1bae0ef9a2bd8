//! The state hash: equal for equal hard rows, whatever order they were written in.

use xxhash_rust::xxh3::xxh3_128;

use super::error::StoreError;
use super::keys;
use super::snapshot::Scan;
use super::spaces::Space;
use super::store::{Store, applied};

/// Keyspaces with hard rows. Windows follow from facts; requests and imports are memory of calls, not state. Reports are
/// state: what they remember decides what counts.
const HARD: [Space; 8] = [
    Space::Meta,
    Space::Policy,
    Space::Profiles,
    Space::Rights,
    Space::Violations,
    Space::Facts,
    Space::Ledgers,
    Space::Reports,
];

/// Parts of the meta row that are hard.
const HARD_META: [&[u8]; 5] = [keys::CLOCK, keys::DICTIONARY, keys::POLICY, keys::PROVIDER_RANKS, keys::LEDGER];

/// A state hash in the making.
#[derive(Default)]
pub(super) struct StateHash {
    sum: u128,
    bytes: Vec<u8>,
}

impl StateHash {
    /// Adds a row, if it is a hard one.
    pub(super) fn add(&mut self, space: Space, key: &[u8], value: &[u8]) {
        if !HARD.contains(&space) || (space == Space::Meta && !HARD_META.contains(&key)) {
            return;
        }
        self.bytes.clear();
        for part in [space.name().as_bytes(), key] {
            self.bytes.extend(part.len().to_be_bytes());
            self.bytes.extend(part);
        }
        self.bytes.extend(value);
        self.sum = self.sum.wrapping_add(xxh3_128(&self.bytes));
    }

    /// What the rows come to.
    pub(super) fn sum(&self) -> u128 {
        self.sum
    }
}

impl Store {
    /// The applied revision, and the wrapping sum of a hash of every hard row: profiles, facts, rights, violations,
    /// policy, clock, dictionary and ledgers.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn state_hash(&self) -> Result<(u64, u128), StoreError> {
        let snapshot = self.db.snapshot();
        let mut hash = StateHash::default();
        for space in HARD {
            let mut rows = Scan::all(&snapshot, space, self.spaces.of(space));
            while let Some(row) = rows.next_with(|key, value| {
                hash.add(space, key, value);
                Ok(())
            }) {
                row?;
            }
        }
        Ok((applied(&snapshot, &self.spaces)?, hash.sum()))
    }
}
