//! Backups of a running engine.

use std::io::Write;

use super::Engine;
use crate::store::{BackupError, BackupSummary, Taken};

impl Engine {
    /// Writes a backup of everything at one revision, beside reads and writes. It takes as long as `out` takes: for a
    /// thread of its own.
    ///
    /// # Errors
    /// When a row cannot be read, or `out` fails.
    pub fn backup(&self, out: impl Write) -> Result<BackupSummary, BackupError> {
        self.store.backup(Taken { node: self.node_id, at: self.clock.now() }, out)
    }
}
