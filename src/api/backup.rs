//! The stream of a backup: a thread of low priority reads, the caller takes, and whoever is slower sets the pace.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::{info, warn};

use crate::clock::Stopwatch;
use crate::engine::Engine;
use crate::proto::BackupResponse;
use crate::state::yield_to_requests;
use crate::wire;

/// Bytes of one message.
const CHUNK_BYTES: usize = 256 << 10;
/// Messages that may wait for the caller.
const CHUNKS_WAITING: usize = 4;
/// How long a caller may take for one message. Rows that are replaced stay on disk until a backup ends, and so one that
/// nobody takes must not last for ever.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) type BackupStream = ReceiverStream<Result<BackupResponse, Status>>;

/// Hands out backups, one at a time.
pub(super) struct Backups {
    /// Held while one is taken.
    running: Arc<Semaphore>,
}

impl Default for Backups {
    fn default() -> Self {
        Self { running: Arc::new(Semaphore::new(1)) }
    }
}

impl Backups {
    /// Begins a backup. It ends when it is done, or when the stream is dropped.
    pub(super) fn begin(&self, engine: Arc<Engine>) -> Result<BackupStream, Status> {
        let running = self.running.clone().try_acquire_owned().map_err(|_| wire::backup_running())?;
        let (sender, receiver) = channel(CHUNKS_WAITING);
        let sending = Sending { sender, runtime: Handle::current() };
        let work = move || {
            let _running = running;
            yield_to_requests();
            back_up(&engine, &sending);
        };
        let spawned = thread::Builder::new().name("backup".to_owned()).spawn(work);
        spawned.map_err(|error| Status::internal(format!("starting the backup: {error}")))?;
        Ok(ReceiverStream::new(receiver))
    }
}

fn back_up(engine: &Engine, sending: &Sending) {
    let took = Stopwatch::start();
    let last = match engine.backup(BufWriter::with_capacity(CHUNK_BYTES, sending)) {
        Ok(summary) => {
            let (revision, rows, bytes) = (summary.revision, summary.rows, summary.bytes);
            info!(revision, rows, bytes, took_ms = took.elapsed().as_millis(), "backed up");
            Some(Ok(wire::backup_summary(&summary)))
        }
        Err(error) => {
            warn!(%error, "a backup broke off");
            wire::backup_status(&error).map(Err)
        }
    };
    if let Some(last) = last {
        // Nobody may be there to hear it.
        let _ = sending.send(last);
    }
}

/// The caller, as something to write to.
struct Sending {
    sender: Sender<Result<BackupResponse, Status>>,
    runtime: Handle,
}

impl Sending {
    fn send(&self, message: Result<BackupResponse, Status>) -> io::Result<()> {
        let sent = self.runtime.block_on(self.sender.send_timeout(message, PATIENCE));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "its caller has gone, or takes no more of it"))
    }
}

impl Write for &Sending {
    /// What is written at once may be longer than a chunk.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = bytes.get(..CHUNK_BYTES).unwrap_or(bytes);
        self.send(Ok(wire::backup_chunk(chunk.to_vec()))).map(|()| chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
