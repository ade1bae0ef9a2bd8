//! The data folder: one process at a time, one version of what is in it.
//!
//! It holds the file `VERSION`, written last when a folder is created, the fjall database `db`, and the note
//! `acknowledged` of the log.

use std::any::Any;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fjall::Database;

use super::error::StoreError;
use super::store::Store;
use crate::log::{EmbeddedLog, LogError};

/// What the file VERSION says.
pub const DATA_VERSION: &str = "trustflow data 1";

/// What it says while a backup is restored into the folder.
const UNFINISHED: &str = "trustflow restore unfinished";

/// Blocks of tables kept in memory. Reading everything at a start fills it, and little is read again afterwards: what
/// requests need stands in memory by itself.
const CACHE_BYTES: u64 = 64 << 20;
/// How long the journal may grow before keyspaces must write out what they hold in memory. It bounds how much a start
/// has to read again.
const JOURNAL_BYTES: u64 = 128 << 20;

/// The open data folder. The log and the store that it gives out keep it open.
pub struct DataFolder {
    path: PathBuf,
    db: Database,
}

impl DataFolder {
    /// Opens a data folder, creating it if there is none, and takes its lock.
    ///
    /// # Errors
    /// When the folder is in use by another process, was written by another version, or cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        make_folder(path, sync_folder).map_err(io_error(path))?;
        let mut version = VersionFile::lock(path)?;
        let is_complete = version.check()?;
        if !is_complete {
            clear_unfinished(&path.join("db")).map_err(io_error(path))?;
        }
        let folder = Self::open_database(path)?;
        if !is_complete {
            version.write(DATA_VERSION)?;
        }
        Ok(folder)
    }

    fn open_database(path: &Path) -> Result<Self, StoreError> {
        let builder = Database::builder(path.join("db")).cache_size(CACHE_BYTES).max_journaling_size(JOURNAL_BYTES);
        // It takes some damage for impossible, and panics: the caller hears of it as of any other.
        let opened = catch_unwind(AssertUnwindSafe(|| builder.open()));
        let opened =
            opened.map_err(|panic| StoreError::GaveUp { path: path.to_owned(), problem: words_of(&*panic) })?;
        let db = opened.map_err(|source| {
            let path = path.to_owned();
            if matches!(source, fjall::Error::Locked) {
                StoreError::InUse { path }
            } else {
                StoreError::Open { path, source }
            }
        })?;
        Ok(Self { path: path.to_owned(), db })
    }

    /// The log in it.
    ///
    /// # Errors
    /// When the database fails, entries are missing or damaged, or the log ends before what was acknowledged.
    pub fn log(&self) -> Result<EmbeddedLog, LogError> {
        EmbeddedLog::open(&self.db)?.noting(&self.path.join("acknowledged"))
    }

    /// The store in it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn store(&self) -> Result<Store, StoreError> {
        Store::open(&self.db)
    }
}

/// A data folder that is being filled: no server opens it before it is finished.
pub(super) struct UnfinishedFolder {
    version: VersionFile,
    folder: DataFolder,
}

impl UnfinishedFolder {
    /// Whether nothing is in a folder but what its file system keeps there, and VERSION if that `may_be_there`.
    fn is_empty(path: &Path, may_be_there: &str) -> Result<bool, StoreError> {
        let is_nothing = |name: &OsStr| name == "lost+found" || name == may_be_there;
        match fs::read_dir(path) {
            Ok(mut entries) => Ok(entries.all(|entry| entry.is_ok_and(|entry| is_nothing(&entry.file_name())))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(io_error(path)(error)),
        }
    }

    /// Begins to fill an empty folder; none if it is not empty.
    pub(super) fn create(path: &Path) -> Result<Option<Self>, StoreError> {
        if !Self::is_empty(path, "")? {
            return Ok(None);
        }
        make_folder(path, sync_folder).map_err(io_error(path))?;
        let mut version = VersionFile::lock(path)?;
        // Again, now that nobody else begins: a server may have made it its own meanwhile.
        if !Self::is_empty(path, "VERSION")? {
            return Ok(None);
        }
        version.write(UNFINISHED)?;
        Ok(Some(Self { version, folder: DataFolder::open_database(path)? }))
    }

    pub(super) fn content(&self) -> &DataFolder {
        &self.folder
    }

    /// Makes it a data folder.
    pub(super) fn finish(mut self) -> Result<(), StoreError> {
        self.version.write(DATA_VERSION)
    }
}

/// The file VERSION. Its lock keeps two processes from creating or opening a folder at the same moment; fjall's own
/// lock holds from then on.
struct VersionFile {
    folder: PathBuf,
    file: File,
}

impl VersionFile {
    fn lock(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("VERSION");
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.map_err(io_error(&path))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::InUse { path: folder.to_owned() },
            TryLockError::Error(error) => io_error(&path)(error),
        })?;
        Ok(Self { folder: folder.to_owned(), file })
    }

    /// Whether the folder was created to the end; an error if it is of another version.
    fn check(&mut self) -> Result<bool, StoreError> {
        let mut found = Vec::new();
        self.file.read_to_end(&mut found).map_err(io_error(&self.folder))?;
        let found = String::from_utf8_lossy(&found);
        let found = found.trim_end();
        if found == DATA_VERSION {
            return Ok(true);
        }
        if found == UNFINISHED {
            return Err(StoreError::Unfinished { path: self.folder.clone() });
        }
        // Nothing, or less than all of it: the program ended while it created the folder.
        if DATA_VERSION.starts_with(found) {
            return Ok(false);
        }
        let found = found.lines().next().unwrap_or_default().to_owned();
        Err(StoreError::Version { path: self.folder.clone(), found, supported: DATA_VERSION })
    }

    fn write(&mut self, text: &str) -> Result<(), StoreError> {
        let mut write = || -> io::Result<()> {
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.file.write_all(format!("{text}\n").as_bytes())?;
            self.file.sync_all()?;
            // The names of the file and of the database in their folder.
            sync_folder(&self.folder)
        };
        write().map_err(io_error(&self.folder))
    }
}

/// Makes a folder and those above it that are missing. The name of each is made durable in the folder that holds it:
/// otherwise a machine that loses power can lose what was synced inside.
fn make_folder(path: &Path, sync: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    // The last ancestor of a relative path is empty: the folder that the process works in.
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(path)?;
    for folder in missing {
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Makes the names in a folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes a database whose creation did not come to its end, which fjall would not open. One that holds a keyspace of
/// ours is never touched.
fn clear_unfinished(db: &Path) -> io::Result<()> {
    let keyspaces = match fs::read_dir(db.join("keyspaces")) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    // Keyspace 0 is fjall's own.
    let holds_rows = keyspaces.iter().any(|entry| entry.file_name() != "0");
    if holds_rows || !db.try_exists()? {
        return Ok(());
    }
    fs::remove_dir_all(db)
}

/// What a panic said.
fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    words.unwrap_or("it does not say how").lines().map(str::trim).collect::<Vec<_>>().join(", ")
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::path::Path;

    use super::{make_folder, sync_folder};

    #[test]
    fn the_name_of_every_folder_that_is_made_is_synced() {
        let above = tempfile::tempdir().expect("a folder");
        let synced = RefCell::new(Vec::new());
        let make = |path: &Path| {
            let sync = |folder: &Path| {
                synced.borrow_mut().push(folder.to_owned());
                sync_folder(folder)
            };
            make_folder(path, sync).expect("made");
            synced.take()
        };
        let [one, two] = ["one", "one/two"].map(|name| above.path().join(name));
        assert_eq!(make(&one), [above.path()]);
        assert!(make(&one).is_empty(), "it is there already");
        assert_eq!(make(&two.join("three")), [two.clone(), one]);
        assert!(two.join("three").is_dir());
    }
}
