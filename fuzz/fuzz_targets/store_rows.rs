//! `targets::store_rows` under libFuzzer.
#![no_main]
#![allow(dead_code, unused_imports, reason = "each of these programs runs one target")]

#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::store_rows(bytes));
