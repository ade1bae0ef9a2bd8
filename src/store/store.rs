//! Writing rows and looking facts up.

use std::sync::Arc;

use fjall::{Database, OwnedWriteBatch, PersistMode, UserKey};
use parking_lot::Mutex;

use super::audit::AuditEnds;
use super::error::StoreError;
use super::snapshot::{FactsSnapshot, facts_value};
use super::spaces::{Space, Spaces};
use super::{keys, ledgers, values};
use crate::domain::{DayFacts, FactKey};
use crate::record::audit_row;
use crate::state::{LedgerRow, MetaRow, Row};

/// Keys of the parts of the meta row.
const META_KEYS: [&[u8]; 6] =
    [keys::CLOCK, keys::DICTIONARY, keys::SOFT, keys::POLICY, keys::PROVIDER_RANKS, keys::LEDGER];

/// The materialised rows of the state, and the revision up to which they are applied.
#[derive(Clone)]
pub struct Store {
    pub(super) db: Database,
    pub(super) spaces: Spaces,
    /// The values of the meta row as they were last written: parts that did not change are not written again.
    meta_written: Arc<Mutex<MetaValues>>,
    pub(super) audit_ends: AuditEnds,
}

/// The values of the meta row, by key.
type MetaValues = [(&'static [u8], Vec<u8>); META_KEYS.len()];

impl Store {
    pub(super) fn open(db: &Database) -> Result<Self, StoreError> {
        let spaces = Spaces::open(db)?;
        let meta_written = META_KEYS.map(|key| (key, Vec::new()));
        let meta_written = Arc::new(Mutex::new(meta_written));
        let store = Self { db: db.clone(), spaces, meta_written, audit_ends: AuditEnds::default() };
        store.find_audit_ends()?;
        Ok(store)
    }

    /// Writes rows together with the revision that they bring the store to, as one whole. It becomes durable with the
    /// next sync of the log, which shares the database's journal.
    ///
    /// # Errors
    /// When the database failed. After that it takes no more writes.
    pub fn write(&self, revision: u64, rows: impl IntoIterator<Item = Row>) -> Result<(), StoreError> {
        let (spaces, audit_ends) = (&self.spaces, &self.audit_ends);
        let mut writing = Writing { spaces, audit_ends, batch: self.db.batch(), value: Vec::new() };
        let mut meta = None;
        for row in rows {
            if let Row::Meta(row) = row {
                meta = Some(row);
            } else {
                writing.put(&row);
            }
        }
        let meta_space = self.spaces.of(Space::Meta);
        writing.batch.insert(meta_space, keys::APPLIED, revision.to_be_bytes());
        let mut meta_written = self.meta_written.lock();
        let meta_values = meta.map(|row| meta_values(&row));
        for (new, written) in meta_values.iter().flatten().zip(meta_written.iter()) {
            if new.1 != written.1 {
                writing.batch.insert(meta_space, new.0, new.1.as_slice());
            }
        }
        writing.batch.commit()?;
        if let Some(meta_values) = meta_values {
            *meta_written = meta_values;
        }
        Ok(())
    }

    /// Makes everything written so far durable, without waiting for the log's next sync.
    ///
    /// # Errors
    /// When the database failed. After that it takes no more writes.
    pub fn sync(&self) -> Result<(), StoreError> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }

    /// The revision that the store is brought to; 0 when nothing was written.
    ///
    /// # Errors
    /// When the row cannot be read or is damaged.
    pub fn applied(&self) -> Result<u64, StoreError> {
        applied(&self.db.snapshot(), &self.spaces)
    }

    /// Facts of one subject on one day.
    ///
    /// # Errors
    /// When the row cannot be read or is damaged.
    pub fn facts(&self, key: FactKey) -> Result<Option<DayFacts>, StoreError> {
        let key = keys::facts(key);
        facts_value(&key, self.spaces.of(Space::Facts).get(&key))
    }

    /// All facts as they are now, whatever is written later. Rows that are replaced stay on disk until it is dropped.
    #[must_use]
    pub fn snapshot(&self) -> FactsSnapshot {
        FactsSnapshot::new(self.db.snapshot(), self.spaces.of(Space::Facts).clone())
    }
}

/// The applied revision of a snapshot.
pub(super) fn applied(snapshot: &fjall::Snapshot, spaces: &Spaces) -> Result<u64, StoreError> {
    use fjall::Readable;
    let value = snapshot.get(spaces.of(Space::Meta), keys::APPLIED);
    let value = value.map_err(|error| StoreError::unread(Space::Meta, keys::APPLIED, error))?;
    let Some(value) = value else { return Ok(0) };
    let revision = <[u8; 8]>::try_from(&*value);
    let revision = revision.map_err(|_| StoreError::damaged(Space::Meta, keys::APPLIED, &"it is no revision"))?;
    Ok(u64::from_be_bytes(revision))
}

fn meta_values(row: &MetaRow) -> MetaValues {
    let values::Meta { clock, dictionary, soft, policy, ranks, ledger } = values::meta(row);
    [
        (keys::CLOCK, value_of(&clock)),
        (keys::DICTIONARY, value_of(&dictionary)),
        (keys::SOFT, value_of(&soft)),
        (keys::POLICY, value_of(&policy)),
        (keys::PROVIDER_RANKS, value_of(&ranks)),
        (keys::LEDGER, value_of(&ledger)),
    ]
}

fn value_of(message: &impl prost::Message) -> Vec<u8> {
    let mut value = Vec::new();
    values::write(message, &mut value);
    value
}

/// A batch that is being filled.
struct Writing<'a> {
    spaces: &'a Spaces,
    audit_ends: &'a AuditEnds,
    batch: OwnedWriteBatch,
    value: Vec<u8>,
}

impl Writing<'_> {
    /// Adds any row but the meta row.
    fn put(&mut self, row: &Row) {
        match row {
            Row::Profile(key, profile) => {
                self.change(Space::Profiles, keys::profile(*key), profile.as_ref().map(values::profile));
            }
            Row::Facts(key, facts) => self.change(Space::Facts, keys::facts(*key), Some(values::facts(facts))),
            Row::Windows(holder, row) => {
                self.change(Space::Windows, keys::holder(*holder), Some(values::windows(row)));
            }
            Row::Rights(merchant, rights) => {
                let value = (!rights.is_empty()).then(|| values::rights(rights));
                self.change(Space::Rights, keys::merchant(*merchant), value);
            }
            Row::Violation(violation) => {
                let key = keys::violation(violation.merchant, violation.id);
                self.change(Space::Violations, key, Some(values::violation(violation)));
            }
            Row::Request(key, row) => {
                let value = row.as_ref().map(|row| values::request(key, row));
                self.change(Space::Requests, keys::request(key), value);
            }
            Row::Import(id, row) => {
                self.change(Space::Imports, keys::import(id), row.as_ref().map(|row| values::import(id, row)));
            }
            Row::Policy(row) => self.change(Space::Policy, keys::policy(row.version), Some(values::policy(row))),
            Row::Ledger(row) => self.ledger(row),
            Row::Audit(entry) => {
                let number = self.audit_ends.next_number(entry.is_bulk);
                let key = keys::audit(entry.is_bulk, entry.revision);
                self.change(Space::Audit, key, Some(audit_row(entry, number)));
            }
            Row::Meta(_) => {}
        }
    }

    fn ledger(&mut self, row: &LedgerRow) {
        let space = if matches!(row, LedgerRow::Report(..)) { Space::Reports } else { Space::Ledgers };
        let keyspace = self.spaces.of(space);
        let (key, is_there) = ledgers::write(row, &mut self.value);
        if is_there {
            self.batch.insert(keyspace, key, self.value.as_slice());
        } else {
            self.batch.remove(keyspace, key);
        }
    }

    fn change(&mut self, space: Space, key: UserKey, message: Option<impl prost::Message>) {
        let keyspace = self.spaces.of(space);
        match message {
            Some(message) => {
                values::write(&message, &mut self.value);
                self.batch.insert(keyspace, key, self.value.as_slice());
            }
            None => self.batch.remove(keyspace, key),
        }
    }
}
