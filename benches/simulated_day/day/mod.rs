//! The simulated day: a recommender, its reports and the operators, over gRPC, against a server that is killed again and
//! again; and the run's own books, which the server's must equal to the exposure.
//!
//! The bench of the same name and `tests/simulated_day.rs` share it; the soak takes its server and population. Read `run`
//! first, then `books`.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "figures of a simulation, far below any limit; a wrong index ends the run, as it should"
)]

mod audit;
mod books;
pub(crate) mod chance;
mod governance;
pub(crate) mod load;
mod options;
pub(crate) mod policy;
pub(crate) mod population;
mod replay;
mod reports;
mod run;
pub(crate) mod server;
mod traffic;
pub(crate) mod verdict;
mod world;

use std::error::Error;

pub(crate) use options::{Options, USAGE};
pub(crate) use run::run;

/// What may fail: a run that cannot go on. A law that is broken goes into the books instead.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;
