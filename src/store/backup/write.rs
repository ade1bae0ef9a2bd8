//! Taking a backup: one pass over one snapshot.

use std::io::Write;

use super::format::{FRAME_BYTES, FrameWriter};
use super::{BackupError, BackupSummary};
use crate::domain::Timestamp;
use crate::record::pb;
use crate::record::pb::backup_frame::Part;
use crate::store::hash::StateHash;
use crate::store::snapshot::Scan;
use crate::store::spaces::Space;
use crate::store::store::applied;
use crate::store::{DATA_VERSION, Store};

/// Who took a backup, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The node.
    pub node: u32,
    /// When it was begun.
    pub at: Timestamp,
}

impl Store {
    /// Writes a backup of all rows as they are now, whatever is written meanwhile; rows that are replaced stay on disk
    /// until it is done. It holds one frame in memory, and goes on as fast as `out` takes it.
    ///
    /// Rows are written together with the revision they are of, after its commands are durable. So what one snapshot
    /// shows is the state at exactly that revision, and nothing of the log has to come with it.
    ///
    /// # Errors
    /// When a row cannot be read, or `out` fails.
    pub fn backup(&self, taken: Taken, out: impl Write) -> Result<BackupSummary, BackupError> {
        let snapshot = self.db.snapshot();
        let revision = applied(&snapshot, &self.spaces)?;
        let mut file = FrameWriter::begin(out).map_err(BackupError::Output)?;
        let header = pb::BackupHeader {
            data_version: DATA_VERSION.to_owned(),
            revision,
            node: taken.node,
            taken_at: taken.at.0,
            program: env!("CARGO_PKG_VERSION").to_owned(),
        };
        file.frame(Part::Header(header)).map_err(BackupError::Output)?;

        let (mut rows, mut state) = (0, StateHash::default());
        for space in Space::ALL {
            let mut scan = Scan::all(&snapshot, space, self.spaces.of(space));
            loop {
                let mut frame = pb::BackupRows { keyspace: space.name().to_owned(), ..pb::BackupRows::default() };
                let mut bytes = 0;
                while bytes < FRAME_BYTES
                    && let Some(row) = scan.next_with(|key, value| {
                        state.add(space, key, value);
                        Ok((key.to_vec(), value.to_vec()))
                    })
                {
                    let (key, value) = row?;
                    bytes += key.len() + value.len();
                    frame.keys.push(key);
                    frame.values.push(value);
                }
                if frame.keys.is_empty() {
                    break;
                }
                rows += frame.keys.len() as u64;
                file.frame(Part::Rows(frame)).map_err(BackupError::Output)?;
            }
        }
        let state_hash = state.sum();
        let footer = pb::BackupFooter {
            rows,
            state_hash: state_hash.to_be_bytes().into(),
            file_hash: file.hash().to_be_bytes().into(),
        };
        file.frame(Part::Footer(footer)).map_err(BackupError::Output)?;
        let (bytes, file_hash) = file.finish().map_err(BackupError::Output)?;
        Ok(BackupSummary { revision, taken, state_hash, rows, bytes, file_hash })
    }
}
