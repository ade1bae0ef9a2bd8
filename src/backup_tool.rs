//! `restore` and `verify`: backups and data folders without a server.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::engine::{self, RecoveryError};
use crate::store::{BackupError, BackupSummary, DataFolder, FolderContent, Restoring, StoreError, verify_backup};

/// Arguments of `restore`.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data folder to make: new, or empty
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct VerifyArgs {
    /// The backup to check
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The data folder to check; no server may have it open
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Why a backup or a data folder is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum BackupToolError {
    /// The backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The data folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rows are there, but make no state.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

/// Makes a data folder of a backup: it can be served when this answers, and not before.
///
/// # Errors
/// When the backup is damaged, the folder is not empty, or what was restored is not what was backed up.
pub fn restore(args: &RestoreArgs) -> Result<String, BackupToolError> {
    let restoring = Restoring::fill(&args.file, &args.data)?;
    // The rows are the same, byte for byte. That this program can serve from them is another matter.
    engine::load(&restoring.content().store()?)?;
    let summary = restoring.finish()?;
    Ok(format!("{}: {}", args.data.display(), backup_text(&summary)))
}

/// Reads all of a backup or a data folder.
///
/// # Errors
/// What is damaged, and what to do.
pub fn verify(args: &VerifyArgs) -> Result<String, BackupToolError> {
    if let Some(file) = &args.file {
        return Ok(format!("{}: whole; {}", file.display(), backup_text(&verify_backup(file)?)));
    }
    let path = args.data.clone().unwrap_or_default();
    let folder = DataFolder::open_existing(&path)?;
    let content = folder.check()?;
    engine::load(&folder.store()?)?;
    let FolderContent { applied, last, state_hash, rows, entries } = content;
    Ok(format!(
        "{}: whole; rows of revision {applied}, log up to {last} ({entries} entries), {rows} rows, state hash \
         {state_hash:032x} at revision {applied}",
        path.display()
    ))
}

fn backup_text(summary: &BackupSummary) -> String {
    let BackupSummary { revision, taken, state_hash, rows, bytes, .. } = summary;
    let at = Timestamp::from_millisecond(taken.at.0).map_or_else(|_| "an unknown time".to_owned(), |at| at.to_string());
    format!(
        "revision {revision}, taken by node {} at {at}, {rows} rows, {bytes} bytes, state hash {state_hash:032x}",
        taken.node
    )
}
