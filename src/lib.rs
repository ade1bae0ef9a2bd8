//! Trustflow (信流): trust scores and support traffic for a live-stream e-commerce platform.

pub mod domain;
pub mod log;
pub mod proto;
pub mod record;
pub mod state;
pub mod store;
pub mod traffic;
pub mod trust;
