//! Protobuf ⇄ domain, and domain errors → gRPC status with details. The only room that knows both.

mod admin;
mod conduct;
mod explain;
mod facts;
mod import;
mod policy;
mod profiles;
mod scoring;
mod status;
mod time;
mod validate;
mod validation;

pub use admin::{Status, status_response};
pub use conduct::{decision, revocation, rights, violation};
pub use explain::{explain_query, explain_response, rules_response};
pub use facts::{fact_rows, facts_query, facts_response};
pub use import::{ChunkPlaces, ImportReport, chunk};
pub use policy::{
    DiffSide, Published, diff_sides, get_response, kill_switch, list_response, policy_diff, policy_text, publish,
    publish_response, rollback, rollback_response, validate_response,
};
pub use profiles::{ProfileMessage, deletion, field_mask, id_of, page, upserts};
pub use scoring::{ScoreLimits, base_score, score_query, score_response};
pub use status::{
    Batch, Reason, bad_policy, item_status, not_registered, read_status, rejected_status, rejection_to_item,
    store_status, write_status,
};
pub use time::{date, timestamp, to_proto_time};
pub use validate::{Fields, Problem, payload_hash, request_key};
pub use validation::{validation_query, validation_response};
