//! What a row must be, and the check of a whole data folder.

use std::path::Path;

use super::BackupError;
use crate::log::Log;
use crate::record::{DecodeProblem, pb};
use crate::store::hash::StateHash;
use crate::store::load::read_row;
use crate::store::snapshot::Scan;
use crate::store::spaces::Space;
use crate::store::store::applied;
use crate::store::{DataFolder, Store, StoreError, keys, values};

/// Whether a row is one that the store would have written.
pub(super) fn check_row(space: Space, key: &[u8], value: &[u8]) -> Result<(), DecodeProblem> {
    let unknown = DecodeProblem::Missing { field: "a key that is known" };
    match (space, key) {
        (Space::Meta, keys::APPLIED) if value.len() == size_of::<u64>() => Ok(()),
        (Space::Meta, keys::CLOCK) => values::read::<pb::ClockRow>(value).map(drop),
        (Space::Meta, keys::DICTIONARY) => values::read::<pb::DictionaryRow>(value).map(drop),
        (Space::Meta, keys::SOFT) => values::read::<pb::SoftRow>(value).map(drop),
        (Space::Meta, keys::POLICY) => values::read::<pb::PolicyControlRow>(value).map(drop),
        (Space::Meta, keys::PROVIDER_RANKS) => values::read::<pb::ProviderRanksRow>(value).map(drop),
        (Space::Meta, keys::LEDGER) => values::read::<pb::LedgerMetaRow>(value).map(drop),
        (Space::Meta, _) => Err(unknown),
        (Space::Facts, key) => {
            keys::read_facts(key).ok_or(unknown)?;
            values::read_facts(value).map(drop)
        }
        (space, key) => read_row(space, key, value).map(drop),
    }
}

/// [`check_row`] for whatever bytes, in a keyspace of this name: what fuzzing feeds.
///
/// # Errors
/// What is wrong with the row.
#[doc(hidden)]
pub fn check_bytes(keyspace: &str, key: &[u8], value: &[u8]) -> Result<(), DecodeProblem> {
    let space = Space::ALL.into_iter().find(|space| space.name() == keyspace);
    check_row(space.ok_or(DecodeProblem::Missing { field: "a keyspace that is known" })?, key, value)
}

/// What a data folder was found to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderContent {
    /// The revision that the rows are of.
    pub applied: u64,
    /// The last revision in the log: a start replays those between the two.
    pub last: u64,
    /// State hash of the rows.
    pub state_hash: u128,
    /// Rows of all keyspaces.
    pub rows: u64,
    /// Entries of the log.
    pub entries: u64,
}

impl DataFolder {
    /// Reads everything in the folder: every row and every log entry decodes, every checksum holds, and the log joins
    /// on to the rows.
    ///
    /// # Errors
    /// The first row, entry or file that is damaged, and what to do.
    pub fn check(&self) -> Result<FolderContent, BackupError> {
        let store = self.store()?;
        let (applied, rows, state_hash) = store.check()?;
        let log = self.log()?;
        let mut entries = 0;
        for entry in log.read_after(log.trimmed()) {
            entry?;
            entries += 1;
        }
        // Fails where the log ends before the rows, or begins behind them.
        if let Some(entry) = log.read_after(applied).next() {
            entry?;
        }
        Ok(FolderContent { applied, last: log.last(), state_hash, rows, entries })
    }

    /// Opens a folder that is there already: [`DataFolder::open`] would create it.
    ///
    /// # Errors
    /// When it is not there, and as [`DataFolder::open`] does.
    pub fn open_existing(path: &Path) -> Result<Self, StoreError> {
        let version = path.join("VERSION");
        let found = std::fs::metadata(&version);
        found.map_err(|source| StoreError::Io { path: version, source })?;
        Self::open(path)
    }
}

impl Store {
    /// Reads every row; answers the applied revision, the rows and the state hash.
    fn check(&self) -> Result<(u64, u64, u128), StoreError> {
        let snapshot = self.db.snapshot();
        let (mut rows, mut hash) = (0, StateHash::default());
        for space in Space::ALL {
            let mut scan = Scan::all(&snapshot, space, self.spaces.of(space));
            while let Some(row) = scan.next_with(|key, value| {
                hash.add(space, key, value);
                check_row(space, key, value).map_err(|problem| problem.to_string())
            }) {
                row?;
                rows += 1;
            }
        }
        Ok((applied(&snapshot, &self.spaces)?, rows, hash.sum()))
    }
}
