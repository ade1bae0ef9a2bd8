//! Facts → layers → trust score, with its explanation (DESIGN section 6). No I/O, no clock, no protobuf.
//!
//! Read in this order: `signal` (what is declared), `facts` (window sums), `formula` and `score` (how they become a
//! score).
#![deny(clippy::arithmetic_side_effects, clippy::as_conversions)]

mod cells;
mod check;
mod clocks;
mod closing;
mod columns;
pub mod consumer_rights;
mod curve;
pub mod experience;
mod facts;
mod formula;
pub mod governance;
mod opened;
mod predicate;
mod score;
mod signal;
pub mod validation;
mod view;
mod window;

pub use check::Check;
pub use clocks::Clocks;
pub use closing::{Closing, Ground, closing};
pub use columns::{FlagColumn, ListColumn, NumberColumn, TextColumn};
pub use curve::{Curve, CurveError};
pub use facts::{Anchors, FactsLayout, FirstSale, Level, MerchantFacts, MerchantFactsParts, merge_ranges};
pub use formula::Formulas;
pub use opened::{Facts, Room};
pub use predicate::{Comparison, Condition, ConditionResult, Predicate, Step, Test, TypedResult};
pub use score::{LayerScore, ScoreModel, SignalRow, SignalState, Tier, Trust, score};
pub use signal::{Derived, Dimension, Input, Layer, Signal, SignalKind};
pub use view::{ItemView, MerchantView, ProviderView, Seen, TrustView};
pub use window::{Anchor, DayRange, LevelId, Span, SumId, Window};
