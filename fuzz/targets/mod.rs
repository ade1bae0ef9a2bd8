//! What fuzzing feeds: one function for each kind of bytes that comes from outside. Each takes any bytes; a panic, a
//! hang or memory without bound is a defect.
//!
//! `fuzz_targets/` runs them under libFuzzer, `tests/fuzz.rs` over the corpora and some thousands of changed inputs.

mod files;
mod policies;
mod rpc;
mod stored;

pub(crate) use files::import_files;
pub(crate) use policies::{expressions, policy_text};
pub(crate) use rpc::{hot_codec, rpc_messages};
pub(crate) use stored::{backup_files, log_entries, store_rows};
#[allow(unused_imports, reason = "seeds are made by name; libFuzzer knows none")]
pub(crate) use {policies::PATHS, policies::small_policy, rpc::NAMES as MESSAGES, stored::KEYSPACES};
