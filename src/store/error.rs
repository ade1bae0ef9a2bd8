//! Why the data folder or the store failed.

use std::fmt::{Display, Write};
use std::path::PathBuf;

use super::spaces::Space;

/// Why the data folder or the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of the data folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process holds the folder.
    #[error("data folder {} is in use by another trustflow process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Another version of the program wrote the folder.
    #[error(
        "data folder {} holds `{found}`, this program reads `{supported}`: start the trustflow release that wrote it, \
         or restore a backup into an empty folder",
        path.display()
    )]
    Version {
        /// The folder.
        path: PathBuf,
        /// What its VERSION file says.
        found: String,
        /// What this program reads and writes.
        supported: &'static str,
    },
    /// A backup was not restored to its end.
    #[error(
        "data folder {} holds a restore that did not come to its end: remove the folder and restore the backup again",
        path.display()
    )]
    Unfinished {
        /// The folder.
        path: PathBuf,
    },
    /// The database inside does not open.
    #[error("data folder {} does not open: {source}; if its files are damaged, restore a backup", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// What the database says.
        source: fjall::Error,
    },
    /// The database gave up on a damaged file while it opened.
    #[error("data folder {} does not open, a file of its database is damaged: {problem}; restore a backup", path.display())]
    GaveUp {
        /// The folder.
        path: PathBuf,
        /// What it said.
        problem: String,
    },
    /// The database failed at work. After a failed write it takes no more.
    #[error("store: {0}")]
    Database(#[from] fjall::Error),
    /// A row is damaged.
    #[error("store: key {key} of keyspace {keyspace} is damaged: {problem}; restore the data folder from a backup")]
    Damaged {
        /// The keyspace.
        keyspace: &'static str,
        /// The key in hexadecimal; empty if only the neighbourhood is known.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl StoreError {
    /// A row that does not decode.
    pub(super) fn damaged(space: Space, key: &[u8], problem: &(impl Display + ?Sized)) -> Self {
        let hexadecimal = key.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Self::Damaged { keyspace: space.name(), key: hexadecimal, problem: problem.to_string() }
    }

    /// A row that does not read: damage that the database found itself, or another failure.
    pub(super) fn unread(space: Space, key: &[u8], error: fjall::Error) -> Self {
        if let fjall::Error::Storage(problem) = &error
            && !matches!(problem, fjall::LsmError::Io(_))
        {
            return Self::damaged(space, key, problem);
        }
        Self::Database(error)
    }
}
