//! What follows from reports on this node: its leases, which it keeps in memory, shrink by what was delivered of them.

use crate::domain::ExposureRow;
use crate::state::{NodeAccounts, State};

/// Keeps leases in memory.
pub trait Settle: Send + Sync {
    /// A session was opened: what was leased before is not this node's any more.
    fn begin(&self, session: u32);

    /// A report was counted. Called inside the hold of the state's lock in which it was applied, so that whoever reads
    /// the ledgers sees both or neither. State time is `state.meta().now`; [`State::settled_in`] answers the accounts.
    fn settled(&self, state: &State, rows: &[ExposureRow]);
}

impl Settle for NodeAccounts {
    fn begin(&self, session: u32) {
        Self::begin(self, session);
    }

    fn settled(&self, state: &State, rows: &[ExposureRow]) {
        self.settle(state.meta().now, rows, |row, granted, accounts| state.settled_in(row, granted, accounts));
    }
}
