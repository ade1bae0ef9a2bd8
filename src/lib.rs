//! Trustflow (信流): trust scores and support traffic for a live-stream e-commerce platform.
//!
//! ARCHITECTURE.md is the map. A reader who wants to know how a score comes about reads [`trust`] and nothing else.

pub mod access;
pub mod api;
pub mod auth;
pub mod backtest_tool;
pub mod backup_tool;
pub mod boot;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod demo;
pub mod domain;
pub mod engine;
pub mod log;
pub mod policy;
pub mod policy_tool;
pub mod policy_watch;
mod preface;
pub mod proto;
pub mod record;
pub mod state;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod token_tool;
pub mod traffic;
pub mod transport;
pub mod trust;
pub mod watched;
pub mod wire;
