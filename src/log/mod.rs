//! The one ordered log of commands: durable order, nothing else.

mod acknowledged;
mod embedded;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::domain::Command;

pub use embedded::EmbeddedLog;
#[doc(hidden)]
pub use embedded::decode_entry;

/// Where a command stands in the log. The first is 1.
pub type Revision = u64;

/// A durable, ordered log. One writer; appends come back durable or not at all.
pub trait Log: Send {
    /// Appends commands in order and makes them durable with one sync. The first gets revision `last() + 1`.
    ///
    /// # Errors
    /// When the append or the sync failed: what was appended may or may not be there after a restart, and the log
    /// must not be written again.
    fn append(&mut self, commands: &[Command]) -> Result<(), LogError>;

    /// The last revision in the log; 0 when it is empty.
    fn last(&self) -> Revision;

    /// The commands after a revision, in order.
    ///
    /// # Errors
    /// Each item fails when its entry cannot be read or decoded, or when a revision is missing.
    fn read_after<'a>(
        &'a self,
        revision: Revision,
    ) -> Box<dyn Iterator<Item = Result<(Revision, Command), LogError>> + 'a>;

    /// Forgets commands up to and including a revision, the first of them and a batch at most; their rows are durable in
    /// the store. Answers whether there are more.
    ///
    /// # Errors
    /// When the log cannot be written.
    fn trim(&mut self, upto: Revision) -> Result<bool, LogError>;
}

/// Why the log failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The database refused.
    #[error("log: {0}")]
    Database(#[from] fjall::Error),
    /// An entry does not decode: the data folder is damaged or of another program version.
    #[error("log entry {revision} does not decode: {problem}; restore the data folder from a backup")]
    Damaged {
        /// Which entry.
        revision: Revision,
        /// What is wrong with it.
        problem: String,
    },
    /// An entry is missing.
    #[error("log entry {revision} is missing; restore the data folder from a backup")]
    Missing {
        /// Which entry.
        revision: Revision,
    },
    /// The end of the log is not there.
    #[error(
        "the log ends at revision {last}, but revision {acknowledged} was acknowledged: the end of the database's journal \
         is damaged; restore the data folder from a backup, or remove the file `acknowledged` in it to go on without \
         what is lost"
    )]
    Lost {
        /// The last entry there is.
        last: Revision,
        /// The last one that was acknowledged.
        acknowledged: Revision,
    },
    /// The note of the last acknowledged revision is damaged.
    #[error(
        "{}: damaged, so that nobody can say whether the log is whole; restore the data folder from a backup, or remove \
         the file to go on with what is there",
        path.display()
    )]
    DamagedNote {
        /// The file.
        path: PathBuf,
    },
    /// A file beside the database cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// An earlier append failed.
    #[error("log: an earlier write failed, so that what is on disk is unknown: restart the program")]
    Poisoned,
    /// Any other cause, from implementations beside fjall.
    #[error("log: {0}")]
    Other(String),
}
