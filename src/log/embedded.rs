//! The log as a keyspace of the data folder's fjall database.
//!
//! Key: the revision, big-endian. Value: format version (1 byte), the command, checksum (xxh3-64 seeded with the
//! revision, 8 bytes big-endian).

use std::ops::Bound;
use std::path::Path;

use fjall::config::{CompressionPolicy, FilterPolicy, FilterPolicyEntry};
use fjall::{CompressionType, Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::acknowledged::Acknowledged;
use super::{Log, LogError, Revision};
use crate::domain::Command;
use crate::record;

const FORMAT: u8 = 1;
const CHECKSUM_LEN: usize = 8;
/// Entries that one batch of a trim removes.
const TRIM_BATCH: u64 = 4_096;
/// How far back a start looks for gaps. What a database loses it loses from its journals, which are shorter.
const TAIL_BYTES: usize = 192 << 20;
/// Key of the last trimmed revision in the keyspace `log_meta`.
const TRIMMED: &[u8] = b"trimmed";

/// The log inside the data folder.
pub struct EmbeddedLog {
    db: Database,
    entries: Keyspace,
    meta: Keyspace,
    /// The last revision written, also after it was trimmed.
    last: Revision,
    /// Everything up to here was forgotten.
    trimmed: Revision,
    /// Where the last durable revision is noted, if anywhere.
    acknowledged: Option<Acknowledged>,
    /// An append failed: nobody knows what is on disk, so nothing may follow.
    is_poisoned: bool,
}

impl EmbeddedLog {
    /// Opens the log of a database, creating it if there is none.
    ///
    /// # Errors
    /// When the database cannot be read, or its rows about the log are damaged.
    pub fn open(db: &Database) -> Result<Self, LogError> {
        let entries = db.keyspace("log", entry_options)?;
        let meta = db.keyspace("log_meta", KeyspaceCreateOptions::default)?;
        let trimmed = match meta.get(TRIMMED)? {
            None => 0,
            Some(value) => revision_of(&value).ok_or(LogError::Other("the row `trimmed` is damaged".to_owned()))?,
        };
        // Behind `trimmed` lie only tombstones, which a search from the end would have to wade through.
        let newest = entries.range((Bound::Excluded(trimmed.to_be_bytes()), Bound::Unbounded)).next_back();
        let last = match newest {
            None => trimmed,
            Some(entry) => key_of(entry, trimmed)?,
        };
        let log = Self { db: db.clone(), entries, meta, last, trimmed, acknowledged: None, is_poisoned: false };
        log.check_tail()?;
        Ok(log)
    }

    /// Compares the end of the log with what a file notes as acknowledged, and goes on noting it there.
    ///
    /// # Errors
    /// When acknowledged entries are not there, or the file is damaged.
    pub fn noting(mut self, file: &Path) -> Result<Self, LogError> {
        let (note, acknowledged) = Acknowledged::open(file)?;
        if self.last < acknowledged {
            return Err(LogError::Lost { last: self.last, acknowledged });
        }
        // What is in the log is durable, noted or not.
        note.note(self.last)?;
        self.acknowledged = Some(note);
        Ok(self)
    }

    /// Everything up to here was forgotten.
    #[must_use]
    pub fn trimmed(&self) -> Revision {
        self.trimmed
    }

    /// Makes an empty log go on behind a revision, as if all before it had been trimmed: what a backup needs of a log.
    ///
    /// # Errors
    /// When the log is not empty, or cannot be written.
    pub fn begin_after(&mut self, revision: Revision) -> Result<(), LogError> {
        if self.last > 0 {
            return Err(LogError::Other(format!("it holds revision {} already", self.last)));
        }
        self.meta.insert(TRIMMED, revision.to_be_bytes())?;
        (self.trimmed, self.last) = (revision, revision);
        self.acknowledged.as_ref().map_or(Ok(()), |note| note.note(revision))
    }

    /// Looks from the end for entries that are missing or damaged. A journal that lost its end, and was followed by
    /// another, leaves a gap here, and rows of the same time are missing with it.
    fn check_tail(&self) -> Result<(), LogError> {
        let tail = self.entries.range((Bound::Excluded(self.trimmed.to_be_bytes()), Bound::Unbounded)).rev();
        let (mut expected, mut bytes) = (self.last, 0);
        for entry in tail {
            let (key, value) = entry.into_inner().map_err(|error| unread(expected, error))?;
            if revision_of(&key) != Some(expected) {
                return Err(LogError::Missing { revision: expected });
            }
            checked(expected, &value)?;
            expected = expected.saturating_sub(1);
            bytes += value.len();
            if bytes > TAIL_BYTES {
                return Ok(());
            }
        }
        if expected > self.trimmed { Err(LogError::Missing { revision: expected }) } else { Ok(()) }
    }

    fn append_all(&mut self, commands: &[Command]) -> Result<Revision, LogError> {
        // One batch is one entry of fjall's journal: it comes back whole or not at all. SyncData (fdatasync) is enough:
        // the journal is preallocated and fdatasync writes out a changed length as well; what it leaves out is the
        // time of modification. fjall syncs the folder itself when it begins a new journal.
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        let mut revision = self.last;
        for command in commands {
            revision = revision.checked_add(1).ok_or(LogError::Other("revisions are used up".to_owned()))?;
            batch.insert(&self.entries, revision.to_be_bytes(), encode_entry(revision, command));
        }
        batch.commit()?;
        Ok(revision)
    }
}

/// Entries are large, written once in order, and read only from front to back. Most are trimmed before they leave
/// memory: a flush then writes only their tombstones.
fn entry_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(32 << 20)
        .filter_policy(FilterPolicy::all(FilterPolicyEntry::None))
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
}

impl Log for EmbeddedLog {
    fn append(&mut self, commands: &[Command]) -> Result<(), LogError> {
        if self.is_poisoned {
            return Err(LogError::Poisoned);
        }
        if commands.is_empty() {
            return Ok(());
        }
        self.is_poisoned = true;
        self.last = self.append_all(commands)?;
        self.acknowledged.as_ref().map_or(Ok(()), |note| note.note(self.last))?;
        self.is_poisoned = false;
        Ok(())
    }

    fn last(&self) -> Revision {
        self.last
    }

    fn read_after<'a>(
        &'a self,
        revision: Revision,
    ) -> Box<dyn Iterator<Item = Result<(Revision, Command), LogError>> + 'a> {
        let entries = self.entries.range((Bound::Excluded(revision.to_be_bytes()), Bound::Unbounded));
        Box::new(Entries { rows: entries, before: revision, last: self.last, is_over: false })
    }

    fn trim(&mut self, upto: Revision) -> Result<bool, LogError> {
        let upto = upto.min(self.last);
        if self.trimmed >= upto {
            return Ok(false);
        }
        let end = upto.min(self.trimmed.saturating_add(TRIM_BATCH));
        let mut batch = self.db.batch();
        for revision in self.trimmed.saturating_add(1)..=end {
            batch.remove(&self.entries, revision.to_be_bytes());
        }
        batch.insert(&self.meta, TRIMMED, end.to_be_bytes());
        // Without a sync: the next append's covers it, and an entry that comes back does no harm.
        batch.commit()?;
        self.trimmed = end;
        Ok(end < upto)
    }
}

/// Entries in order, without gaps, up to the last.
struct Entries {
    rows: fjall::Iter,
    before: Revision,
    last: Revision,
    is_over: bool,
}

impl Entries {
    fn read(&self, entry: Option<Guard>) -> Result<Option<(Revision, Command)>, LogError> {
        let Some(entry) = entry else {
            // A reader that is ahead of the log misses entries as well: those it has read.
            return match self.before.cmp(&self.last) {
                std::cmp::Ordering::Equal => Ok(None),
                std::cmp::Ordering::Less => Err(LogError::Missing { revision: self.before.saturating_add(1) }),
                std::cmp::Ordering::Greater => Err(LogError::Missing { revision: self.last.saturating_add(1) }),
            };
        };
        let expected = self.before.saturating_add(1);
        let (key, value) = entry.into_inner().map_err(|error| unread(expected, error))?;
        let revision = revision_of(&key).ok_or_else(|| damaged(expected, "its key is no revision"))?;
        if revision != expected {
            return Err(LogError::Missing { revision: expected });
        }
        Ok(Some((revision, decode_entry(revision, &value)?)))
    }
}

impl Iterator for Entries {
    type Item = Result<(Revision, Command), LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let entry = self.rows.next();
        let result = self.read(entry).transpose();
        match &result {
            Some(Ok((revision, _))) => self.before = *revision,
            Some(Err(_)) | None => self.is_over = true,
        }
        result
    }
}

fn encode_entry(revision: Revision, command: &Command) -> Vec<u8> {
    let mut value = vec![FORMAT];
    record::append_command(command, &mut value);
    let checksum = xxh3_64_with_seed(&value, revision);
    value.extend(checksum.to_be_bytes());
    value
}

/// An entry without its checksum, if that fits.
fn checked(revision: Revision, value: &[u8]) -> Result<&[u8], LogError> {
    let (checked, checksum) =
        value.split_last_chunk::<CHECKSUM_LEN>().ok_or_else(|| damaged(revision, "it is too short"))?;
    if xxh3_64_with_seed(checked, revision) != u64::from_be_bytes(*checksum) {
        return Err(damaged(revision, "its checksum does not fit"));
    }
    Ok(checked)
}

/// Reads an entry, checksum and all.
///
/// # Errors
/// [`LogError::Damaged`] when the bytes are not the entry of this revision.
#[doc(hidden)]
pub fn decode_entry(revision: Revision, value: &[u8]) -> Result<Command, LogError> {
    match checked(revision, value)? {
        [FORMAT, command @ ..] => {
            record::decode_command(command).map_err(|problem| damaged(revision, &problem.to_string()))
        }
        [format, ..] => Err(damaged(revision, &format!("its format is {format}, this program reads {FORMAT}"))),
        [] => Err(damaged(revision, "it is empty")),
    }
}

fn damaged(revision: Revision, problem: &str) -> LogError {
    LogError::Damaged { revision, problem: problem.to_owned() }
}

/// An entry that does not read: damage that the database found itself, or another failure.
fn unread(revision: Revision, error: fjall::Error) -> LogError {
    if let fjall::Error::Storage(problem) = &error
        && !matches!(problem, fjall::LsmError::Io(_))
    {
        return damaged(revision, &problem.to_string());
    }
    LogError::Database(error)
}

/// The revision of an entry that stands behind another.
fn key_of(entry: Guard, behind: Revision) -> Result<Revision, LogError> {
    let key = entry.key().map_err(|error| unread(behind, error))?;
    revision_of(&key).ok_or(LogError::Other("a key of the log is no revision".to_owned()))
}

fn revision_of(bytes: &[u8]) -> Option<Revision> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}
