//! Protobuf ⇄ domain, and domain errors → gRPC status with details. The only room that knows both.

mod admin;
mod conduct;
mod explain;
mod facts;
mod import;
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
pub use profiles::{ProfileMessage, deletion, field_mask, id_of, page, upserts};
pub use scoring::{ScoreLimits, base_score, score_query, score_response};
pub use status::{
    Batch, Reason, item_status, not_registered, read_status, rejected_status, rejection_to_item, store_status,
    write_status,
};
pub use time::{date, timestamp, to_proto_time};
pub use validate::{Fields, Problem, payload_hash, request_key};
pub use validation::{validation_query, validation_response};
