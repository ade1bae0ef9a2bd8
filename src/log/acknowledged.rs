//! How far the log was acknowledged, noted beside the database.
//!
//! A database whose journal was damaged at its end opens as if what stood there had never been written. Whoever was told
//! that it was durable would not be contradicted by anything: so the last revision whose sync succeeded is noted in a
//! file of its own, and a log that ends before it is refused.
//!
//! The note is written without a sync, which would double what a commit costs. So it is as new as the last commit after
//! a crash of the program, and some seconds old after one of the machine; it is never ahead of what is durable.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::{LogError, Revision};

/// The revision and the xxh3-64 of its bytes, both big-endian.
const LENGTH: usize = 16;

/// The open note.
pub(super) struct Acknowledged {
    path: PathBuf,
    file: File,
}

impl Acknowledged {
    /// Opens the note, creating it if there is none; answers what it says.
    pub(super) fn open(path: &Path) -> Result<(Self, Revision), LogError> {
        let io = |source| LogError::Io { path: path.to_owned(), source };
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).map_err(io)?;
        let note = Self { path: path.to_owned(), file };
        if note.file.metadata().map_err(io)?.len() == 0 {
            // Its block is given out now, so that noting needs no space later.
            note.write(0).and_then(|()| note.file.sync_all()).map_err(io)?;
        }
        let mut bytes = [0; LENGTH];
        let read = note.file.read_exact_at(&mut bytes, 0);
        let damaged = || LogError::DamagedNote { path: path.to_owned() };
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(damaged()),
            other => other.map_err(io)?,
        }
        let revision = u64::from_be_bytes(*bytes.first_chunk().ok_or_else(damaged)?);
        if bytes != encode(revision) {
            return Err(damaged());
        }
        Ok((note, revision))
    }

    /// Notes that everything up to a revision is durable.
    pub(super) fn note(&self, revision: Revision) -> Result<(), LogError> {
        self.write(revision).map_err(|source| LogError::Io { path: self.path.clone(), source })
    }

    fn write(&self, revision: Revision) -> io::Result<()> {
        self.file.write_all_at(&encode(revision), 0)
    }
}

fn encode(revision: Revision) -> [u8; LENGTH] {
    let number = revision.to_be_bytes();
    (u128::from(revision) << 64 | u128::from(xxh3_64(&number))).to_be_bytes()
}
