//! Reading everything that memory keeps, at the start.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use fjall::{Readable, Snapshot};
use prost::Message;

use super::error::StoreError;
use super::snapshot::Scan;
use super::spaces::{Space, Spaces};
use super::store::Store;
use super::{keys, ledgers, values};
use crate::record::DecodeProblem;
use crate::state::{MetaRow, Row};

/// Rows that are handed over at once.
const BATCH: usize = 1_024;
/// Batches that may wait for their reader.
const BATCHES_WAITING: usize = 8;
/// Keyspaces in the order in which their rows come, after the meta row.
const ORDER: [Space; 9] = [
    Space::Policy,
    Space::Profiles,
    Space::Windows,
    Space::Rights,
    Space::Violations,
    Space::Requests,
    Space::Imports,
    Space::Ledgers,
    Space::Reports,
];

type Batch = Result<Vec<Row>, StoreError>;

impl Store {
    /// Hands every row except facts to `each`: the meta row, if there is one, and policies first, then profiles
    /// (merchants before others), windows, rights, violations, requests, imports, ledgers and reports. Rows are read and decoded on
    /// another thread while `each` works.
    ///
    /// # Errors
    /// When a row cannot be read or is damaged, or the first error of `each`.
    pub fn load<E: From<StoreError>>(&self, each: &mut dyn FnMut(Row) -> Result<(), E>) -> Result<(), E> {
        let snapshot = self.db.snapshot();
        if let Some(meta) = read_meta(&snapshot, &self.spaces)? {
            each(Row::Meta(meta))?;
        }
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel::<Batch>(BATCHES_WAITING);
            scope.spawn(|| read_all(&snapshot, &self.spaces, sender));
            for batch in receiver {
                for row in batch? {
                    each(row)?;
                }
            }
            Ok(())
        })
    }
}

fn read_meta(snapshot: &Snapshot, spaces: &Spaces) -> Result<Option<MetaRow>, StoreError> {
    let Some(clock) = meta_part(snapshot, spaces, keys::CLOCK)? else { return Ok(None) };
    let dictionary = meta_part(snapshot, spaces, keys::DICTIONARY)?.unwrap_or_default();
    let soft = meta_part(snapshot, spaces, keys::SOFT)?.unwrap_or_default();
    let policy = meta_part(snapshot, spaces, keys::POLICY)?.unwrap_or_default();
    let ranks = meta_part(snapshot, spaces, keys::PROVIDER_RANKS)?.unwrap_or_default();
    let ledger = meta_part(snapshot, spaces, keys::LEDGER)?.unwrap_or_default();
    Ok(Some(values::read_meta(values::Meta { clock, dictionary, soft, policy, ranks, ledger })))
}

fn meta_part<M: Message + Default>(snapshot: &Snapshot, spaces: &Spaces, key: &[u8]) -> Result<Option<M>, StoreError> {
    let value = snapshot.get(spaces.of(Space::Meta), key);
    let value = value.map_err(|error| StoreError::unread(Space::Meta, key, error))?;
    let read = |value: fjall::UserValue| {
        values::read(&value).map_err(|problem| StoreError::damaged(Space::Meta, key, &problem))
    };
    value.map(read).transpose()
}

/// Reads the keyspaces in order. Stops when nobody listens any more.
#[expect(clippy::needless_pass_by_value, reason = "the receiver ends when the sender is dropped")]
fn read_all(snapshot: &Snapshot, spaces: &Spaces, sender: SyncSender<Batch>) {
    for space in ORDER {
        let mut rows = Scan::all(snapshot, space, spaces.of(space));
        loop {
            let batch = read_batch(space, &mut rows);
            let goes_on = batch.as_ref().is_ok_and(|rows| rows.len() == BATCH);
            let failed = batch.is_err();
            if sender.send(batch).is_err() || failed {
                return;
            }
            if !goes_on {
                break;
            }
        }
    }
}

fn read_batch(space: Space, rows: &mut Scan) -> Batch {
    let mut batch = Vec::with_capacity(BATCH);
    while batch.len() < BATCH {
        let Some(row) = rows.next_with(|key, value| read_row(space, key, value).map_err(|error| error.to_string()))
        else {
            break;
        };
        batch.push(row?);
    }
    Ok(batch)
}

fn read_row(space: Space, key: &[u8], value: &[u8]) -> Result<Row, DecodeProblem> {
    let of_merchant = || keys::read_merchant(key).ok_or(DecodeProblem::Missing { field: "the merchant in the key" });
    Ok(match space {
        Space::Policy => Row::Policy(values::read_policy(value)?),
        Space::Profiles => {
            let profile = values::read_profile(value)?;
            if keys::read_profile(key) != Some(profile.key()) {
                let problem = "is another than the key's".to_owned();
                return Err(DecodeProblem::Invalid { field: "profile.id", problem });
            }
            Row::Profile(profile.key(), Some(profile))
        }
        Space::Windows => {
            let holder = keys::read_holder(key).ok_or(DecodeProblem::Missing { field: "whose they are in the key" })?;
            Row::Windows(holder, values::read_windows(value)?)
        }
        Space::Rights => Row::Rights(of_merchant()?, values::read_rights(value)?),
        Space::Violations => Row::Violation(values::read_violation(value)?),
        Space::Requests => values::read_request(value)?,
        Space::Imports => values::read_import(value)?,
        Space::Ledgers => Row::Ledger(ledgers::read(key, value)?),
        Space::Reports => Row::Ledger(ledgers::read_report(key, value)?),
        // Not among those that are loaded.
        Space::Meta | Space::Facts => return Err(DecodeProblem::Missing { field: "a way to load it" }),
    })
}
