//! Backups: chunks and what they add up to.

use tonic::Status;

use super::status::{Reason, retry, store_status};
use crate::proto;
use crate::proto::backup_response::Part;
use crate::store::{BackupError, BackupSummary};

/// Why a backup does not begin.
#[must_use]
pub fn backup_running() -> Status {
    retry(Reason::BackupRunning, "another backup is running; try again when it is done", 10_000)
}

/// What the caller of a backup that broke off is told: nothing where it is the one that went away.
#[must_use]
pub fn backup_status(error: &BackupError) -> Option<Status> {
    if let BackupError::Store(error) = error { Some(store_status(error)) } else { None }
}

/// The next bytes of a backup.
#[must_use]
pub fn backup_chunk(bytes: Vec<u8>) -> proto::BackupResponse {
    proto::BackupResponse { part: Some(Part::Chunk(bytes)) }
}

/// The end of a backup.
#[must_use]
pub fn backup_summary(summary: &BackupSummary) -> proto::BackupResponse {
    let summary = proto::BackupSummary {
        revision: summary.revision,
        state_hash: format!("{:032x}", summary.state_hash),
        rows: summary.rows,
        bytes: summary.bytes,
        file_hash: format!("{:032x}", summary.file_hash),
    };
    proto::BackupResponse { part: Some(Part::Summary(summary)) }
}
