//! What follows from reports on this node: its leases, which it keeps in memory, shrink by what was delivered of them.

use crate::domain::ExposureRow;
use crate::state::State;

/// Keeps leases in memory.
pub trait Settle: Send + Sync {
    /// A session was opened: what was leased before is not this node's any more.
    fn begin(&self, session: u32);

    /// A report was counted. Called inside the hold of the state's lock in which it was applied, so that whoever reads
    /// the ledgers sees both or neither. State time is `state.meta().now`; [`State::settled_in`] answers the accounts.
    fn settled(&self, state: &State, rows: &[ExposureRow]);
}

/// Keeps none: every exposure is reported without a reservation.
pub struct NoLeases;

impl Settle for NoLeases {
    fn begin(&self, _: u32) {}

    fn settled(&self, _: &State, _: &[ExposureRow]) {}
}
