//! From trust and programmes to boost weights (DESIGN section 7): pure arithmetic, no I/O.
#![deny(clippy::arithmetic_side_effects, clippy::as_conversions)]

mod programme;
mod record;
mod weight;

pub use programme::{Eligibility, Programme, ProgrammeKind, Uplift};
pub use record::{ItemRecord, Materialised, MerchantRecord, MerchantRow, NO_SUPPORT, materialise};
pub use weight::{Label, SceneRules, Weight, WeightRules, weigh};
