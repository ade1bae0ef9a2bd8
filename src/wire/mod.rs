//! Protobuf ⇄ domain, and domain errors → gRPC status with details. The only room that knows both.

mod admin;
mod allocate;
mod audit;
mod backup;
mod closing;
mod codec;
mod conduct;
mod explain;
mod exposure;
mod facts;
mod forecast;
mod import;
mod names;
mod policy;
mod prices;
mod profiles;
mod programme_changes;
mod programmes;
mod scoring;
mod search;
mod simulate;
mod status;
mod time;
mod trust_purchase;
mod validate;
mod validation;

pub use admin::{Status, credentials_response, status_response};
pub use allocate::{allocate_query, allocate_response, underserved_query, underserved_response};
pub use audit::{audit_query, audit_response};
pub use backup::{backup_chunk, backup_running, backup_status, backup_summary};
pub use codec::{Fast, ScoringCodec};
pub use conduct::{decision, revocation, rights, violation};
pub use explain::{explain_query, explain_response, rules_response};
pub use exposure::{MAX_EXPOSURE_ROWS, exposure_rows};
pub use facts::{fact_rows, facts_query, facts_response};
pub use forecast::{forecast_query, forecast_response};
pub use import::{ChunkPlaces, ImportReport, chunk};
pub use policy::{
    DiffSide, Published, diff_sides, get_response, kill_switch, list_response, policy_diff, policy_text, publish,
    publish_response, rollback, rollback_response, validate_response,
};
pub use profiles::{ProfileMessage, deletion, field_mask, id_of, page, upserts};
pub use programme_changes::{adjust, assign, grant, merchant_id, pause, programme_etag, release, resume};
pub use programmes::{
    members_query, members_response, packages_message, programme_response, programmes_query, programmes_response,
};
pub use scoring::{ScoreLimits, base_score, score_query, score_response};
pub use search::{search_query, search_response};
pub use simulate::{SimulateRequest, simulate_request, simulate_response, simulate_status, simulation_running};
pub use status::{
    Batch, Reason, bad_policy, denied_status, item_status, not_registered, rate_limited, read_status, rejected_status,
    rejection_to_item, store_status, too_many_calls, too_many_searches, write_status,
};
pub use time::{date, timestamp, to_proto_time};
pub use trust_purchase::{no_trust_purchase, trust_purchase_query, trust_purchase_response};
pub use validate::{Fields, Problem, Sender, payload_hash, request_key};
pub use validation::{validation_query, validation_response};
