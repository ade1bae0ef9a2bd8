//! Reading a backup: nothing of it counts unless all of it is there.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::check::check_row;
use super::format::{FrameReader, MAGIC};
use super::{BackupError, BackupSummary, Problem, Taken};
use crate::domain::Timestamp;
use crate::record::pb;
use crate::record::pb::backup_frame::Part;
use crate::store::hash::StateHash;
use crate::store::spaces::Space;
use crate::store::{DATA_VERSION, StoreError, keys};

/// Reads a backup to its end: every checksum holds, every row decodes, everything the footer promises is there.
///
/// # Errors
/// What is wrong with the file, and where.
pub fn verify_backup(file: &Path) -> Result<BackupSummary, BackupError> {
    read_backup(file, |_, _| Ok(()))
}

/// Reads a backup and hands over its rows, frame by frame. They count only if it answers a summary.
pub(super) fn read_backup(
    path: &Path,
    mut each: impl FnMut(Space, pb::BackupRows) -> Result<(), BackupError>,
) -> Result<BackupSummary, BackupError> {
    let mut file = Reader::open(path)?;
    let header = file.header()?;
    let (mut rows, mut state) = (0, StateHash::default());
    loop {
        let (at, before) = (file.frames.bytes(), file.frames.hash());
        match file.frame()? {
            Part::Rows(frame) => {
                let space = check(&header, &frame, &mut state).map_err(|problem| file.problem(at, problem))?;
                rows += frame.keys.len() as u64;
                each(space, frame)?;
            }
            Part::Footer(footer) => {
                let found = [(state.sum(), footer.state_hash, "state hash"), (before, footer.file_hash, "file hash")];
                for (found, expected, what) in found {
                    if found.to_be_bytes().as_slice() != expected {
                        return Err(file.damaged(at, &format!("the {what} does not fit")));
                    }
                }
                if rows != footer.rows {
                    return Err(file.damaged(at, &format!("it holds {rows} rows instead of {}", footer.rows)));
                }
                let (bytes, file_hash) = (file.frames.bytes(), file.frames.hash());
                if !file.frames.is_over().map_err(|source| file.io(source))? {
                    return Err(file.damaged(bytes, "something follows its footer"));
                }
                let taken = Taken { node: header.node, at: Timestamp(header.taken_at) };
                let (revision, state_hash) = (header.revision, state.sum());
                return Ok(BackupSummary { revision, taken, state_hash, rows, bytes, file_hash });
            }
            Part::Header(_) => return Err(file.damaged(at, "a second header")),
        }
    }
}

/// Checks the rows of a frame, and adds them to the state hash.
fn check(header: &pb::BackupHeader, frame: &pb::BackupRows, state: &mut StateHash) -> Result<Space, Problem> {
    let space = Space::ALL.into_iter().find(|space| space.name() == frame.keyspace);
    let space = space.ok_or_else(|| Problem::Damage(format!("keyspace {:?} is not known", frame.keyspace)))?;
    if frame.keys.len() != frame.values.len() {
        return Err(Problem::Damage("it has not as many values as keys".to_owned()));
    }
    for (key, value) in frame.keys.iter().zip(&frame.values) {
        check_row(space, key, value)
            .map_err(|problem| Problem::Damage(StoreError::damaged(space, key, &problem).to_string()))?;
        if space == Space::Meta && key == keys::APPLIED && *value != header.revision.to_be_bytes() {
            return Err(Problem::Damage("its rows are of another revision than its header says".to_owned()));
        }
        state.add(space, key, value);
    }
    Ok(space)
}

/// A backup that is being read.
struct Reader {
    path: PathBuf,
    frames: FrameReader<BufReader<File>>,
}

impl Reader {
    fn open(path: &Path) -> Result<Self, BackupError> {
        let io = |source| BackupError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let mut frames = FrameReader::new(BufReader::with_capacity(1 << 20, file));
        let found = frames.magic().map_err(io)?;
        if found != MAGIC {
            return Err(foreign(path, &found, MAGIC));
        }
        Ok(Self { path: path.to_owned(), frames })
    }

    fn header(&mut self) -> Result<pb::BackupHeader, BackupError> {
        let at = self.frames.bytes();
        let Part::Header(header) = self.frame()? else { return Err(self.damaged(at, "it has no header")) };
        if header.data_version != DATA_VERSION {
            return Err(foreign(&self.path, &header.data_version, DATA_VERSION));
        }
        Ok(header)
    }

    fn frame(&mut self) -> Result<Part, BackupError> {
        let at = self.frames.bytes();
        self.frames.frame().map_err(|problem| self.problem(at, problem))
    }

    fn problem(&self, at: u64, problem: Problem) -> BackupError {
        match problem {
            Problem::Io(source) => self.io(source),
            Problem::Damage(problem) => self.damaged(at, &problem),
        }
    }

    fn io(&self, source: std::io::Error) -> BackupError {
        BackupError::Io { path: self.path.clone(), source }
    }

    fn damaged(&self, at: u64, problem: &str) -> BackupError {
        BackupError::Damaged { path: self.path.clone(), at, problem: problem.to_owned() }
    }
}

fn foreign(path: &Path, found: &str, expected: &str) -> BackupError {
    let (found, expected) = (found.trim_end().to_owned(), expected.trim_end().to_owned());
    BackupError::Foreign { path: path.to_owned(), found, expected }
}
