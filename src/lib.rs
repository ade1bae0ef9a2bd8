//! Trustflow (信流): trust scores and support traffic for a live-stream e-commerce platform.

pub mod cli;
pub mod domain;
pub mod proto;
