//! From trust and programmes to boost weights (DESIGN section 7): pure arithmetic, no I/O.
//!
//! Read in this order: `programme` (what a policy declares), `record` (what a write prepares of a merchant), `item` (and
//! of an item), `lines` (what the two bring to pricing), `price` (what prices make of it), `priced` (and of many that are alike at once), `weight`, `slate`.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::as_conversions))]

mod bits;
mod budget;
pub mod control;
mod coverage;
mod delivery;
mod holdout;
mod item;
mod ledger;
mod lift;
mod limits;
mod lines;
mod price;
mod priced;
mod profile;
mod programme;
mod provider;
mod recipe;
mod record;
mod rules;
mod slate;
mod stage;
mod weight;
mod window;

pub use bits::{BITS, bits, mask_of};
pub use budget::{Budget, Cap, Guarantee, Pacing, Period, Tail};
pub use coverage::{Concentration, Coverage, GuaranteeFacts, Standing};
pub use delivery::{OpenTraffic, Outlook, Plan, Progress, Verdict, outlook};
pub use holdout::Holdout;
pub use item::{ItemClass, ItemRecord};
pub use ledger::{Account, Hold};
pub use lift::{Comparison, Estimate, Interval, LiftGroup, MIN_MERCHANTS, MerchantYield, RatioSums, compare};
pub use limits::{
    BudgetOverride, Limit, MAX_ACCOUNTS, ONLY_PERIOD, SCENE_PACKAGE, account_at, accounts_of, limit, period_of,
};
pub use lines::{Lines, lines};
pub use price::{Bid, MemberPrice, Offer, PriceBook, ScenePrices, Support};
pub use priced::PricedLines;
pub use profile::{Profile, WeekCounts};
pub use programme::{Area, Eligibility, ItemUplift, Programme, ProgrammeKind, SceneCondition, Uplift};
pub use provider::{ProviderRanking, rank};
pub use recipe::Recipe;
pub use record::{Boost, MAX_BOOSTS, Made, Materialised, MerchantRecord, MerchantRow, Rules, make_record, materialise};
pub use rules::{Modifier, SceneRules, WeightRules, next_window_boundary, open_programmes, opening_programmes};
pub use slate::{Charges, SlateQuery, Slot, SlotReason, fill_slate, fill_slate_and_next};
pub use stage::Stage;
pub use weight::{Label, Weight, weigh};
pub use window::ProgrammeWindow;
