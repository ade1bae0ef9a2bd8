//! Files of certificates, tokens and keys: read at the start, and again when they change.
//!
//! They are read again and again, as policies are ([`crate::policy_watch`] says why). What is new takes effect once it is
//! the same in two reads; what is wrong changes nothing but metrics and the log.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, info};
use xxhash_rust::xxh3::Xxh3;

use crate::telemetry::CredentialFileMetrics;
use crate::watched::{self, Watched};

/// Largest file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Takes the contents of files; answers what is in them, or what is wrong.
type Take = Box<dyn Fn(&[Vec<u8>]) -> Result<String, String> + Send>;

/// Files that make one thing together.
pub struct CredentialFiles {
    /// `tls`, `tokens` or `jwks`.
    kind: &'static str,
    paths: Vec<PathBuf>,
    take: Take,
    metrics: CredentialFileMetrics,
    /// Hashes of what was found.
    watched: Watched<u128>,
    /// What was last said to be wrong.
    problem: Option<String>,
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[error("{kind} ({paths}): {problem}")]
pub struct CredentialError {
    kind: &'static str,
    paths: String,
    problem: String,
}

impl CredentialFiles {
    /// Reads and takes files for the first time.
    ///
    /// # Errors
    /// When they cannot be read, or something in them is wrong.
    pub fn begin(
        kind: &'static str,
        paths: Vec<PathBuf>,
        take: impl Fn(&[Vec<u8>]) -> Result<String, String> + Send + 'static,
    ) -> Result<Self, CredentialError> {
        let taken = read(&paths).and_then(|read| Ok((take(&read)?, hash(&read))));
        let (found, hash) = taken.map_err(|problem| CredentialError { kind, paths: names(&paths), problem })?;
        info!(file = kind, paths = names(&paths), found, "read credentials");
        let metrics = CredentialFileMetrics::of(kind);
        metrics.is_well();
        Ok(Self { kind, paths, take: Box::new(take), metrics, watched: Watched::new(hash), problem: None })
    }

    /// Reads again, and takes what has changed since and is the same as in the read before.
    fn look(&mut self) {
        let read = match read(&self.paths) {
            Ok(read) => read,
            Err(problem) => {
                // Taken again when it is back, and said once.
                self.watched.lose();
                if self.problem.as_ref() != Some(&problem) {
                    self.refused(problem);
                }
                return;
            }
        };
        let found = hash(&read);
        if !self.watched.is_new(&found) {
            return;
        }
        self.watched.handle(found);
        match (self.take)(&read) {
            Ok(found) => {
                self.problem = None;
                self.metrics.taken();
                info!(file = self.kind, paths = names(&self.paths), found, "took changed credentials");
            }
            Err(problem) => self.refused(problem),
        }
    }

    fn refused(&mut self, problem: String) {
        self.metrics.refused();
        error!(
            file = self.kind,
            paths = names(&self.paths),
            problem,
            "changed credentials are refused; those from before stay in force"
        );
        self.problem = Some(problem);
    }
}

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn read(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, String> {
    let read = paths.iter().map(|path| {
        let said = |problem: String| format!("{}: {problem}", path.display());
        let length = std::fs::metadata(path).map_err(|cause| said(cause.to_string()))?.len();
        if length > MAX_BYTES {
            return Err(said(format!("larger than {MAX_BYTES} bytes")));
        }
        std::fs::read(path).map_err(|cause| said(cause.to_string()))
    });
    read.collect()
}

fn hash(read: &[Vec<u8>]) -> u128 {
    let mut hash = Xxh3::new();
    for file in read {
        hash.update(&(file.len() as u64).to_le_bytes());
        hash.update(file);
    }
    hash.digest128()
}

/// Watches files until told to stop.
pub async fn watch(mut files: Vec<CredentialFiles>, every: Duration, mut stopped: watch::Receiver<bool>) {
    while watched::next(every, &mut stopped).await {
        let looked = tokio::task::spawn_blocking(move || {
            files.iter_mut().for_each(CredentialFiles::look);
            files
        });
        match looked.await {
            Ok(looked) => files = looked,
            Err(cause) => {
                error!(%cause, "watching credentials failed; restart the server to have changes taken");
                return;
            }
        }
    }
}
