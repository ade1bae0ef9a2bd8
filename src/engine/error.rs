//! Errors of reading and writing, by what the caller should do.

use crate::domain::Timestamp;

/// Why a write was not taken. Nothing was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The queue is full: try again later.
    #[error("the write queue is full; try again after {retry_ms} ms")]
    QueueFull {
        /// When to try again.
        retry_ms: u32,
    },
    /// An earlier append, sync or apply failed: restart the process.
    #[error("writes are refused since a commit failed: {cause}; fix the cause and restart the process")]
    Poisoned {
        /// What failed.
        cause: String,
    },
    /// The wall clock jumped.
    #[error(
        "writes are refused since the wall clock jumped by {jump_ms} ms; check the clock, then run `trustflow admin accept-time`"
    )]
    ClockJumped {
        /// By how much, in milliseconds.
        jump_ms: i64,
    },
    /// The process stops.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// Only simulated time can be moved.
    #[error("the clock is not simulated; start with --now to move time")]
    ClockNotSimulated,
    /// Time does not go back.
    #[error("the clock stands at {} ms and cannot go back to {} ms", now.0, to.0)]
    ClockWouldGoBack {
        /// Where it stands.
        now: Timestamp,
        /// Where it was to go.
        to: Timestamp,
    },
}

/// Why a read was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The revision asked for did not come in time.
    #[error("revision {wanted} was not reached in time; this server is at {at}")]
    RevisionNotReached {
        /// The revision asked for.
        wanted: u64,
        /// Where the server is.
        at: u64,
    },
    /// The store cannot be read.
    #[error("{0}")]
    Store(String),
    /// Nobody waited for the answer any more.
    #[error("nobody waits for this answer any more")]
    Abandoned,
}

/// Whether writes are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteStatus {
    /// They are.
    Ok,
    /// A commit failed.
    Poisoned {
        /// What failed.
        cause: String,
    },
    /// The wall clock jumped.
    ClockJumped {
        /// By how much, in milliseconds.
        jump_ms: i64,
    },
}

impl WriteStatus {
    /// What a write is answered while they are not taken.
    #[must_use]
    pub fn refusal(&self) -> Option<WriteError> {
        match self {
            Self::Ok => None,
            Self::Poisoned { cause } => Some(WriteError::Poisoned { cause: cause.clone() }),
            Self::ClockJumped { jump_ms } => Some(WriteError::ClockJumped { jump_ms: *jump_ms }),
        }
    }
}
