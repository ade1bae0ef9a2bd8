//! Records: commands, outcomes and the domain's nouns as the bytes that the log and the store write to disk.
//!
//! Messages stand in `proto/trustflow/storage/v1`. Encoding never fails and is the same for equal values; decoding
//! takes any bytes, never panics, and gives back exactly what was encoded.

mod allocation;
mod audit;
pub(crate) mod column;
mod command;
mod facts;
mod nouns;
mod outcome;
mod profile;

#[cfg(test)]
pub(crate) mod arbitrary;
#[cfg(test)]
mod tests;

use prost::Message;

use crate::domain::{
    Command, DayFacts, HeldRight, Outcome, PolicyText, Profile, ProgrammeChange, Rejection, Violation,
};

pub use allocation::{scene_number, scene_of, scope_of, scope_parts};
pub use audit::{audit_entry, audit_row};
pub use nouns::{kind_of_profile, kind_of_subject, profile_key, subject};

/// Generated code of the storage messages.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated from proto/, where the documentation stands"
)]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/trustflow.storage.v1.rs"));
}

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeProblem {
    /// They are no protobuf message of this type.
    #[error("not a message: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// A part that every message of this type has is not there.
    #[error("{field} is missing")]
    Missing {
        /// The message and its field.
        field: &'static str,
    },
    /// A field holds what it cannot hold.
    #[error("{field} {problem}")]
    Invalid {
        /// The message and its field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl DecodeProblem {
    pub(crate) fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { field, problem: problem.into() }
    }
}

/// The part, or an error that names it.
pub(crate) fn required<T>(part: Option<T>, field: &'static str) -> Result<T, DecodeProblem> {
    part.ok_or(DecodeProblem::Missing { field })
}

/// An enum's value; zero counts as missing.
fn known<E: TryFrom<i32>>(value: i32, field: &'static str) -> Result<E, DecodeProblem> {
    if value == 0 {
        return Err(DecodeProblem::Missing { field });
    }
    E::try_from(value).map_err(|_| DecodeProblem::invalid(field, format!("{value} is not known")))
}

fn all<A, B: TryFrom<A, Error = DecodeProblem>>(list: Vec<A>) -> Result<Vec<B>, DecodeProblem> {
    list.into_iter().map(B::try_from).collect()
}

/// A pair of functions between a domain type and its bytes.
macro_rules! codec {
    ($encode:ident, $decode:ident, $domain:ty, $message:ty, $what:literal) => {
        #[doc = concat!("The bytes of ", $what, ".")]
        #[must_use]
        pub fn $encode(value: &$domain) -> Vec<u8> {
            <$message>::from(value).encode_to_vec()
        }

        #[doc = concat!("Reads ", $what, ".")]
        ///
        /// # Errors
        /// When the bytes are not one.
        pub fn $decode(bytes: &[u8]) -> Result<$domain, DecodeProblem> {
            <$domain>::try_from(<$message>::decode(bytes)?)
        }
    };
}

codec!(encode_command, decode_command, Command, pb::Command, "a command");
codec!(encode_outcome, decode_outcome, Outcome, pb::Outcome, "an outcome");
codec!(encode_rejection, decode_rejection, Rejection, pb::Rejection, "a rejection");
codec!(encode_profile, decode_profile, Profile, pb::Profile, "a profile");
codec!(encode_day_facts, decode_day_facts, DayFacts, pb::DayFacts, "the facts of a day");
codec!(encode_violation, decode_violation, Violation, pb::Violation, "a violation");
codec!(encode_right, decode_right, HeldRight, pb::HeldRight, "a right");
codec!(encode_programme_change, decode_programme_change, ProgrammeChange, pb::ProgrammeChange, "a programme's change");
codec!(encode_policy_text, decode_policy_text, PolicyText, pb::PolicyText, "a policy's text");

/// Appends the bytes of a command.
pub fn append_command(command: &Command, bytes: &mut Vec<u8>) {
    append(&pb::Command::from(command), bytes);
}

/// Appends the bytes of a message.
///
/// # Panics
/// Never: a vector grows.
pub(crate) fn append(message: &impl Message, bytes: &mut Vec<u8>) {
    message.encode(bytes).expect("a vector grows");
}
