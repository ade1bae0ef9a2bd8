//! What the tests of the tree itself share: its files, a reader of Rust, a reader of protos.

pub(crate) mod protos;
pub(crate) mod rust;
pub(crate) mod tree;
