//! Start: load the rows, replay the log after the revision they are of.

use tracing::info;

use crate::domain::SEMANTICS;
use crate::log::{Log, LogError};
use crate::state::{HistoryError, Restore, RestoreError, State, Transition};
use crate::store::{Store, StoreError};

/// Commands between two writings of rows while replaying.
const REPLAY_BATCH: usize = 1_000;

/// Why the state cannot be recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The rows do not make a state.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A newer program wrote the log.
    #[error("log entry {revision} is of semantics {found}, written by a newer program; start that one")]
    Semantics {
        /// Which entry.
        revision: u64,
        /// Its version.
        found: u32,
    },
    /// Stored facts cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// The state that the rows make, without what the log holds after them. Writes nothing.
///
/// # Errors
/// When the store is damaged, or a stored policy cannot be used.
pub fn load(store: &Store) -> Result<State, RecoveryError> {
    let applied = store.applied()?;
    let mut restore = Restore::default();
    store.load::<RecoveryError>(&mut |row| Ok(restore.row(row)?))?;
    Ok(restore.finish(applied, store)?)
}

/// The state as of the end of the log: rows first, then what the log holds after them. Rows of what was replayed are
/// written, so that an empty store and a whole log give the same folder as the one that was lost.
///
/// # Errors
/// When the store or the log is damaged, or a stored policy cannot be used.
pub fn recover(log: &dyn Log, store: &Store) -> Result<State, RecoveryError> {
    let mut state = load(store)?;
    let applied = state.hot().revision();
    let mut last = applied;
    for (count, entry) in log.read_after(applied).enumerate() {
        let (revision, command) = entry?;
        if command.semantics > SEMANTICS {
            return Err(RecoveryError::Semantics { revision, found: command.semantics });
        }
        state.apply(revision, &command, store)?;
        last = revision;
        let begins = state.transition().is_some_and(Transition::is_waiting);
        if begins || count % REPLAY_BATCH == REPLAY_BATCH - 1 {
            state.finish(last);
            store.write(last, state.take_rows(0))?;
        }
        if begins {
            state.start_transition(store);
        }
    }
    if last > applied {
        state.finish(last);
        store.write(last, state.take_rows(0))?;
        info!(from = applied, to = last, "replayed the log");
    }
    Ok(state)
}
