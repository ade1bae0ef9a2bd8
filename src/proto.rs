//! Generated code of the public API, `trustflow.v1`.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated from proto/, where the documentation stands"
)]

tonic::include_proto!("trustflow.v1");
// `ScoringService`, with the codec of `wire`.
tonic::include_proto!("scoring/trustflow.v1");

/// The serialised `FileDescriptorSet`, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("trustflow_descriptor");

/// The same of the details that errors carry.
pub const ERROR_DETAILS_DESCRIPTOR_SET: &[u8] = tonic_types::pb::FILE_DESCRIPTOR_SET;
