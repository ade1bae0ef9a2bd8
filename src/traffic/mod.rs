//! From trust and programmes to boost weights (DESIGN section 7): pure arithmetic, no I/O.
//!
//! Read in this order: `programme` (what a policy declares), `record` (what a write prepares of a merchant), `item` (and
//! of an item), `weight` (what Score computes of the two).
#![deny(clippy::arithmetic_side_effects, clippy::as_conversions)]

mod budget;
pub mod control;
mod holdout;
mod item;
mod price;
mod programme;
mod provider;
mod record;
mod rules;
mod slate;
mod stage;
mod weight;
mod window;

pub use budget::{Budget, Cap, Guarantee, Pacing, Period, Tail};
pub use holdout::Holdout;
pub use item::{ItemClass, ItemRecord};
pub use price::{BITS, Bid, MemberPrice, Offer, PriceBook, ScenePrices, Support};
pub use programme::{Area, Eligibility, ItemUplift, Programme, ProgrammeKind, SceneCondition, Uplift};
pub use provider::{ProviderRanking, rank};
pub use record::{Boost, MAX_BOOSTS, Materialised, MerchantRecord, MerchantRow, Rules, materialise};
pub use rules::{Modifier, SceneRules, WeightRules, next_window_boundary, open_programmes};
pub use slate::{Charges, SlateQuery, Slot, SlotReason, fill_slate};
pub use stage::{Stage, stage_of};
pub use weight::{Label, Weight, weigh};
pub use window::ProgrammeWindow;
