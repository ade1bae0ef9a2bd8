//! The deterministic state machine: profiles, facts, materialised records; `apply` is the sole mutator.

mod changes;
mod classes;
mod conduct;
mod flips;
mod history;
mod hot;
mod index;
mod items;
mod node;
mod owners;
mod parallel;
mod policies;
mod prices;
mod profiles;
mod providers;
mod recording;
mod requests;
mod restore;
mod rows;
#[expect(clippy::module_inception, reason = "the state of the room `state`")]
mod state;
mod table;
mod transition;

pub use classes::ItemClasses;
pub use history::{History, HistoryError, HistoryRows};
pub use hot::{Hot, NOTHING_CLOSED, Targets, World, WorldGuard};
pub use node::{Balance, Charged, NodeAccounts, NodeLedger, ProgrammeLeases, RenewalTurn, Reservations};
pub use parallel::yield_to_requests;
pub use prices::{PriceGuard, Prices};
pub use providers::ProviderRanks;
pub use requests::{MAX_REMEMBERED, REMEMBERED_MS};
pub use restore::{Restore, RestoreError};
pub use rows::{
    ImportRow, KillSwitch, MetaRow, PendingPolicy, PolicyRow, PolicySwitch, RequestRow, Row, TransitionRow, WindowsRow,
};
pub use state::{Applied, MerchantEntry, State};
pub use table::{MAX_SLOTS, MerchantTable};
pub use transition::{Transition, disabled_signals};
