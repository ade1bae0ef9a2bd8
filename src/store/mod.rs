//! The data folder, and in it the store: what the state machine made of the log, so that a start need not replay all.
//!
//! Read in this order: `folder` (what is opened), `spaces` (which keyspaces there are and how they are tuned), `keys`
//! and `values` (what stands in them; `ledgers` for what allocation keeps), `store` (writing and looking up), `load` and `snapshot` (reading it all),
//! `audit` (who changed what), `backup` (taking it elsewhere).

mod audit;
mod backup;
mod error;
mod folder;
mod hash;
mod keys;
mod ledgers;
mod load;
mod snapshot;
mod spaces;
#[expect(clippy::module_inception, reason = "the store of the room store")]
mod store;
mod values;

#[cfg(test)]
mod tests;

pub use audit::{AuditEntries, AuditRange, AuditRetention};
#[doc(hidden)]
pub use backup::check_bytes;
pub use backup::{BackupError, BackupSummary, FolderContent, Restoring, Taken, verify_backup};
pub use error::StoreError;
pub use folder::{DATA_VERSION, DataFolder};
pub use snapshot::{FactsIter, FactsSnapshot};
pub use store::Store;
