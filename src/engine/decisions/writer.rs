//! The file of the decision log: appended, bounded, written by one thread.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use serde::Deserialize;
use tracing::{error, info, warn};

use super::line::{Place, write};
use super::{Decision, Message, Switch};
use crate::clock::Stopwatch;
use crate::telemetry::RecordMetrics;

/// What was written is handed to the system so often.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// Most bytes of the first line that are read to know when the file began.
const MAX_FIRST_BYTES: u64 = 16 << 20;

/// A file that decisions are appended to.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
    file: File,
    max_bytes: u64,
}

impl RecordFile {
    /// Opens it, or makes it: a file that cannot be written is found before the server starts.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn open(path: &Path, max_bytes: u64) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        if file.metadata()?.is_dir() {
            return Err(std::io::ErrorKind::IsADirectory.into());
        }
        Ok(Self { path: path.to_owned(), file, max_bytes })
    }
}

/// When the first line of a file is of.
#[derive(Deserialize)]
struct First {
    at: i64,
}

/// The file while it is written.
struct Log {
    path: PathBuf,
    out: BufWriter<File>,
    size: u64,
    max_bytes: u64,
    share: f64,
    /// Instants of the first and the last line, in milliseconds.
    first: Option<i64>,
    last: i64,
    written: u64,
    line: Vec<u8>,
}

/// What came of a decision.
#[derive(PartialEq)]
enum Written {
    Yes,
    Full,
}

impl Log {
    /// Goes on where the file ends. A line that was torn by a crash is ended first, so that it spoils no other.
    fn begin(file: RecordFile, share: f64) -> std::io::Result<Self> {
        let RecordFile { path, mut file, max_bytes } = file;
        let mut size = file.metadata()?.len();
        let mut first = None;
        if size > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut end = [0_u8];
            file.read_exact(&mut end)?;
            if end != *b"\n" {
                warn!(path = %path.display(), "the last line of the record was torn; it is ended");
                file.write_all(b"\n")?;
                size += 1;
            }
            file.rewind()?;
            let mut text = Vec::new();
            BufReader::new((&file).take(MAX_FIRST_BYTES)).read_until(b'\n', &mut text)?;
            first = serde_json::from_slice::<First>(&text).ok().map(|first| first.at);
        }
        let last = first.unwrap_or(i64::MIN);
        let out = BufWriter::with_capacity(1 << 18, file);
        Ok(Self { path, out, size, max_bytes, share, first, last, written: 0, line: Vec::new() })
    }

    fn write(&mut self, decision: &Decision) -> std::io::Result<Written> {
        // Requests overtake each other on their way here, and clocks are set: readers want time to go forward.
        let at_ms = decision.at.0.max(self.last);
        let first = *self.first.get_or_insert(at_ms);
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "milliseconds of a recording")]
        let second = at_ms.saturating_sub(first) as f64 / 1_000.0;
        self.line.clear();
        let place = Place { number: self.written, at_ms, second, share: self.share };
        write(decision, place, &mut self.line)?;
        let length = u64::try_from(self.line.len()).unwrap_or(u64::MAX);
        if self.size.saturating_add(length) > self.max_bytes {
            return Ok(Written::Full);
        }
        self.out.write_all(&self.line)?;
        self.size += length;
        self.last = at_ms;
        self.written += 1;
        Ok(Written::Yes)
    }

    fn say_full(&self) {
        let (path, max_bytes) = (self.path.display(), self.max_bytes);
        warn!(%path, max_bytes, "the record is full (record_max_mb): recording stops, serving goes on");
    }
}

/// Writes what comes until it is told to stop, the file is full, or it cannot be written.
pub(super) fn run(file: RecordFile, share: f64, inbox: &Receiver<Message>, switch: &Switch, metrics: &RecordMetrics) {
    let path = file.path.clone();
    let outcome = Log::begin(file, share).and_then(|mut log| {
        info!(path = %path.display(), share, bytes = log.size, "recording decisions");
        follow(&mut log, inbox, metrics)
    });
    switch.set(false, metrics);
    if let Err(cause) = outcome {
        error!(path = %path.display(), %cause, "the record cannot be written: recording stops, serving goes on");
    }
}

fn follow(log: &mut Log, inbox: &Receiver<Message>, metrics: &RecordMetrics) -> std::io::Result<()> {
    let mut flushed = Stopwatch::start();
    loop {
        match inbox.recv_timeout(FLUSH_EVERY.saturating_sub(flushed.elapsed())) {
            Ok(Message::Decision(decision)) => {
                if log.write(&decision)? == Written::Full {
                    log.say_full();
                    return log.out.flush();
                }
                metrics.recorded();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return log.out.flush(),
        }
        if flushed.elapsed() >= FLUSH_EVERY {
            log.out.flush()?;
            flushed = Stopwatch::start();
        }
    }
}
