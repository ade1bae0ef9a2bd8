//! The deterministic state machine: profiles, facts, materialised records; `apply` is the sole mutator.

mod agenda;
mod allocation;
mod audience;
mod audit;
mod changes;
mod classes;
mod conduct;
mod distinct;
mod exposures;
mod flips;
mod forks;
mod guarantees;
mod history;
mod hot;
mod index;
mod items;
mod leases;
mod ledgers;
mod merchant_classes;
mod near;
mod node;
mod owners;
mod packages;
mod parallel;
mod policies;
mod prices;
mod profiles;
mod programmes;
mod providers;
mod recording;
mod records;
mod reports;
mod requests;
mod restore;
mod retired;
mod rows;
mod scoped;
mod sequence_lock;
#[expect(clippy::module_inception, reason = "the state of the room `state`")]
mod state;
mod switches;
mod sync;
mod table;
mod transition;
mod upkeep;
mod words;

pub use audience::{HoursRow, MemberRow, RecentRow};
pub use classes::ItemClasses;
pub use history::{History, HistoryError, HistoryRows};
pub use hot::{Hot, NOTHING_CLOSED, Targets, World, WorldGuard};
pub use ledgers::{
    Account, AccountRow, ChangeRow, GuaranteeKey, GuaranteeRow, Hold, KEPT_ACCOUNT_DAYS, KEPT_CHANGES,
    KEPT_GUARANTEE_DAYS, LedgerMeta, LedgerRow, PackageRow, ProgrammeRow, WalletRow,
};
pub use merchant_classes::MerchantClass;
pub use node::{Balance, Charged, NodeAccounts, NodeLedger, ProgrammeLeases, RenewalTurn, Reservations};
pub use parallel::{behind_requests, yield_to_requests};
pub use prices::{PriceGuard, Prices};
pub use programmes::Placed;
pub use providers::ProviderRanks;
pub use reports::{MAX_REPORTS, ReportRow};
pub use requests::{MAX_REMEMBERED, REMEMBERED_MS};
pub use restore::{Restore, RestoreError};
pub use rows::{
    ImportRow, KillSwitch, MetaRow, PendingPolicy, PolicyRow, PolicySwitch, RequestRow, Row, TransitionRow, WindowsRow,
};
pub use state::{Applied, MerchantEntry, State};
pub use table::{Brief, MAX_SLOTS, MerchantTable};
pub use transition::{Transition, disabled_signals};
pub use words::WordPool;
