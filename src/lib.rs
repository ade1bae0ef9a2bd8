//! Trustflow (信流): trust scores and support traffic for a live-stream e-commerce platform.

pub mod demo;
pub mod domain;
pub mod policy;
pub mod proto;
pub mod state;
pub mod traffic;
pub mod trust;
