//! Publishing policies: what a command asks for and what it comes to.

use super::{PolicyText, Timestamp};

/// A policy text to publish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyPublish {
    /// The whole text, which was judged before it was logged.
    pub text: PolicyText,
    /// Who publishes it.
    pub author: String,
    /// Why.
    pub comment: String,
    /// The policy revision it follows from, if that matters.
    pub expected_revision: Option<u64>,
    /// When it is to serve; at once if there is none or it is past.
    pub effective_at: Option<Timestamp>,
    /// Whether it comes from where the server was told to take its policy from.
    pub is_configured: bool,
}

impl From<PolicyText> for PolicyPublish {
    fn from(text: PolicyText) -> Self {
        Self { text, ..Self::default() }
    }
}

/// What became of a change of policy that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyOutcome {
    /// The version that the text has.
    pub version: u64,
    /// The policy revision as it is now.
    pub policy_revision: u64,
    /// Whether everything was as asked already.
    pub is_unchanged: bool,
}

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyState {
    /// Scores follow from it.
    Serving,
    /// Its world is being built.
    Preparing,
    /// It waits for its time.
    Scheduled,
    /// None of these.
    Retired,
}
