//! Reading everything that memory keeps, at the start.

use std::ops::Bound;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use fjall::{Readable, Snapshot, UserKey};
use prost::Message;

use super::error::StoreError;
use super::snapshot::Scan;
use super::spaces::{Space, Spaces};
use super::store::Store;
use super::{audit, keys, ledgers, values};
use crate::domain::MerchantId;
use crate::record::DecodeProblem;
use crate::state::{MetaRow, Row, WordPool};

/// Rows that are handed over at once.
const BATCH: usize = 1_024;
/// Batches that may wait for their reader.
const BATCHES_WAITING: usize = 8;
/// Keyspaces that are read after profiles and windows, in this order.
const SMALL: [Space; 6] =
    [Space::Rights, Space::Violations, Space::Requests, Space::Imports, Space::Ledgers, Space::Reports];

type Batch = Result<Vec<Row>, StoreError>;

impl Store {
    /// Hands every row except facts to `each`: the meta row, if there is one, and policies first, then profiles, then
    /// windows, then rights, violations, requests, imports, ledgers and reports. Profiles of merchants come in order of
    /// id, and so do those of other kinds and the windows of merchants; rows of both are read and decoded on threads of
    /// their own while `each` works.
    ///
    /// # Errors
    /// When a row cannot be read or is damaged, or the first error of `each`.
    pub fn load<E: From<StoreError>>(&self, each: &mut dyn FnMut(Row) -> Result<(), E>) -> Result<(), E> {
        let snapshot = self.db.snapshot();
        if let Some(meta) = read_meta(&snapshot, &self.spaces)? {
            each(Row::Meta(meta))?;
        }
        let behind_merchants = keys::profiles_behind_merchants();
        let windows = keys::merchant(self.middle_merchant(&snapshot)?);
        let stages = [
            vec![vec![Part::all(Space::Policy)]],
            Part::halves(Space::Profiles, behind_merchants),
            Part::halves(Space::Windows, windows),
            vec![SMALL.map(Part::all).to_vec()],
        ];
        stages.into_iter().try_for_each(|stage| self.load_stage(&snapshot, stage, each))
    }

    /// Reads several lists of parts beside each other.
    fn load_stage<E: From<StoreError>>(
        &self,
        snapshot: &Snapshot,
        lists: Vec<Vec<Part>>,
        each: &mut dyn FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel::<Batch>(BATCHES_WAITING);
            for list in lists {
                let sender = sender.clone();
                scope.spawn(|| read_all(snapshot, &self.spaces, list, sender));
            }
            drop(sender);
            for batch in receiver {
                for row in batch? {
                    each(row)?;
                }
            }
            Ok(())
        })
    }

    /// A merchant with about as many windows before as behind it, if ids are spread evenly.
    fn middle_merchant(&self, snapshot: &Snapshot) -> Result<MerchantId, StoreError> {
        // Windows of items lie in between from here on.
        let mut merchants = snapshot.range(self.spaces.of(Space::Windows), ..keys::windows_of_items());
        let id = |row: Option<fjall::Guard>| -> Result<u64, StoreError> {
            let Some(row) = row else { return Ok(0) };
            let key = row.key().map_err(|error| StoreError::unread(Space::Windows, &[], error))?;
            Ok(keys::read_merchant(&key).map_or(0, |merchant| merchant.0))
        };
        let first = id(merchants.next())?;
        let last = id(merchants.next_back())?;
        Ok(MerchantId(first.midpoint(last)))
    }
}

/// Rows of a keyspace from one key to another.
#[derive(Clone)]
struct Part {
    space: Space,
    from: Bound<UserKey>,
    to: Bound<UserKey>,
}

impl Part {
    fn all(space: Space) -> Self {
        Self { space, from: Bound::Unbounded, to: Bound::Unbounded }
    }

    /// What comes before a key, and what comes from it on.
    fn halves(space: Space, border: UserKey) -> Vec<Vec<Self>> {
        let before = Self { to: Bound::Excluded(border.clone()), ..Self::all(space) };
        let behind = Self { from: Bound::Included(border), ..Self::all(space) };
        vec![vec![before], vec![behind]]
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

/// Reads parts in order. Stops when nobody listens any more.
#[expect(clippy::needless_pass_by_value, reason = "the receiver ends when the last sender is dropped")]
fn read_all(snapshot: &Snapshot, spaces: &Spaces, parts: Vec<Part>, sender: SyncSender<Batch>) {
    let mut words = WordPool::default();
    for Part { space, from, to } in parts {
        let mut rows = Scan::range(snapshot, space, spaces.of(space), (from, to));
        loop {
            let batch = read_batch(space, &mut rows, &mut words);
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

fn read_batch(space: Space, rows: &mut Scan, words: &mut WordPool) -> Batch {
    let mut batch = Vec::with_capacity(BATCH);
    while batch.len() < BATCH {
        let Some(row) = rows.next_with(|key, value| read_row(space, key, value).map_err(|error| error.to_string()))
        else {
            break;
        };
        let mut row = row?;
        if let Row::Profile(_, Some(profile)) = &mut row {
            words.share(profile);
        }
        batch.push(row);
    }
    Ok(batch)
}

pub(super) fn read_row(space: Space, key: &[u8], value: &[u8]) -> Result<Row, DecodeProblem> {
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
        Space::Audit => Row::Audit(audit::read(key, value)?),
        // Not among those that are loaded.
        Space::Meta | Space::Facts => return Err(DecodeProblem::Missing { field: "a way to load it" }),
    })
}
