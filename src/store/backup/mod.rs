//! Backups: every row of the store at exactly one revision, as one file.
//!
//! Read in this order: `format` (frames and their checksums), `write` (taking one), `read` (checking one), `restore`
//! (making a data folder of one), `check` (what a row must be).

mod check;
mod format;
mod read;
mod restore;
mod write;

use std::io;
use std::path::PathBuf;

use super::error::StoreError;
use crate::log::LogError;
use crate::record::DecodeProblem;

pub use check::{FolderContent, check_bytes};
pub use read::verify_backup;
pub use restore::Restoring;
pub use write::Taken;

/// What is in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSummary {
    /// The revision that everything in it is of.
    pub revision: u64,
    /// Who took it and when.
    pub taken: Taken,
    /// State hash at that revision.
    pub state_hash: u128,
    /// Rows in it.
    pub rows: u64,
    /// Length of the file.
    pub bytes: u64,
    /// xxh3-128 of the file.
    pub file_hash: u128,
}

/// Why a backup could not be taken, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log of the folder that is restored failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What the backup is written to failed, or nobody takes it any more.
    #[error("writing the backup: {0}")]
    Output(io::Error),
    /// The file cannot be read.
    #[error("backup {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no backup, or one of another version.
    #[error("{} is no backup that this program reads: it begins with {found:?}, not with {expected:?}; restore it with the trustflow release that wrote it", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How it begins.
        found: String,
        /// How it would have to begin.
        expected: String,
    },
    /// The file was cut or changed since it was written.
    #[error("backup {} is damaged at byte {at}: {problem}; nothing was restored from it, use another backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the frame in question begins.
        at: u64,
        /// What is wrong.
        problem: String,
    },
    /// There is something in the folder.
    #[error("{} is not empty: a backup is restored into an empty or new folder only", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// What was restored is not what was in the file.
    #[error("data folder {} differs from the backup: {problem}; remove the folder and restore again", path.display())]
    Differs {
        /// The folder.
        path: PathBuf,
        /// In what.
        problem: String,
    },
}

/// What is wrong with a frame, before it is known where it stands.
#[derive(Debug)]
enum Problem {
    Io(io::Error),
    Damage(String),
}

impl From<DecodeProblem> for Problem {
    fn from(problem: DecodeProblem) -> Self {
        Self::Damage(problem.to_string())
    }
}
