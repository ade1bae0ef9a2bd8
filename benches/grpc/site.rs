//! A folder on disk with the data of one server under test.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::process::{Cores, Process, Program, Tuning};
use crate::score;

/// Removed with everything in it at the end.
pub(crate) struct Site {
    folder: TempDir,
    /// Answers of the echo server, when it stands in.
    stand_in: Option<Vec<PathBuf>>,
}

impl Site {
    /// An empty folder beside the build, on a real disk: a temporary file system would make every sync free.
    pub(crate) fn new(echo_as_target: bool) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::Builder::new().prefix("bench-grpc-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let stand_in = if echo_as_target { Some(score::typical_answers(folder.path())?) } else { None };
        Ok(Self { folder, stand_in })
    }

    /// Another folder with the same data, for a second server. The first must be stopped.
    pub(crate) fn twin(&self) -> Result<Self, Box<dyn Error>> {
        let twin = Self::new(false)?;
        copy(&self.path().join("data"), &twin.path().join("data"))?;
        Ok(twin)
    }

    /// Where files of the run may go.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the server under test on this folder.
    pub(crate) fn start(&self, cores: Cores) -> Result<Process, Box<dyn Error>> {
        self.start_tuned(cores, &Tuning::default())
    }

    /// The same with other settings.
    pub(crate) fn start_tuned(&self, cores: Cores, tuning: &Tuning) -> Result<Process, Box<dyn Error>> {
        let data = self.path().join("data");
        let program = match &self.stand_in {
            Some(answers) => Program::Echo(answers),
            None => Program::Trustflow(&data),
        };
        // The flags are those of the real server.
        let none = Tuning::default();
        let tuning = if self.stand_in.is_some() { &none } else { tuning };
        Process::start(&program, cores, tuning, &self.path().join("server.log"))
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
