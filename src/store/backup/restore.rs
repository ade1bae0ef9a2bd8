//! Making a data folder of a backup.

use std::path::Path;

use super::read::read_backup;
use super::{BackupError, BackupSummary, verify_backup};
use crate::store::folder::UnfinishedFolder;
use crate::store::{DataFolder, StoreError};

/// A data folder that holds what a backup holds, and that no server opens before it is finished.
pub struct Restoring {
    folder: UnfinishedFolder,
    /// What was restored.
    pub summary: BackupSummary,
}

impl Restoring {
    /// Fills an empty folder from a backup, and reads back what was written. A damaged backup is refused before
    /// anything is created.
    ///
    /// # Errors
    /// When the file is damaged, the folder is not empty, or what was written is not what was read.
    pub fn fill(file: &Path, path: &Path) -> Result<Self, BackupError> {
        verify_backup(file)?;
        let Some(folder) = UnfinishedFolder::create(path)? else {
            return Err(BackupError::NotEmpty { path: path.to_owned() });
        };
        let store = folder.content().store()?;
        let summary = read_backup(file, |space, rows| {
            let mut batch = store.db.batch();
            for (key, value) in rows.keys.into_iter().zip(rows.values) {
                batch.insert(store.spaces.of(space), key, value);
            }
            Ok(batch.commit().map_err(StoreError::from)?)
        })?;
        // The log goes on where the rows end.
        folder.content().log()?.begin_after(summary.revision)?;
        store.sync()?;
        let found = folder.content().check()?;
        let differs = |problem| Err(BackupError::Differs { path: path.to_owned(), problem });
        if (found.applied, found.last) != (summary.revision, summary.revision) {
            return differs(format!("it is at revision {}, its log at {}", found.applied, found.last));
        }
        if (found.rows, found.state_hash) != (summary.rows, summary.state_hash) {
            return differs("its rows are not those that were written".to_owned());
        }
        Ok(Self { folder, summary })
    }

    /// What was restored so far.
    #[must_use]
    pub fn content(&self) -> &DataFolder {
        self.folder.content()
    }

    /// Hands the folder over to servers.
    ///
    /// # Errors
    /// When its VERSION cannot be written.
    pub fn finish(self) -> Result<BackupSummary, BackupError> {
        self.folder.finish()?;
        Ok(self.summary)
    }
}
