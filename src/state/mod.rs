//! The deterministic state machine: profiles, facts, materialised records; `apply` is the sole mutator.

mod rows;

pub use rows::{ImportRow, MetaRow, PolicyRow, RequestRow, Row, TransitionRow, WindowsRow};
