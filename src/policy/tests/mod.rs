//! What a policy text means, by example.

mod bad_policies;
mod closing;
mod diffs;
mod embedded_policy;
mod lowering;
mod reference;
mod sample;
mod scores;
