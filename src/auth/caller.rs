//! Who a call is from, and why a call is denied.

use metrics::Counter;

use super::role::{Role, Roles};
use crate::domain::Timestamp;

/// Somebody whose credential was found good.
pub struct Caller {
    /// Kind of the credential and a name, such as `token:recommender`, `certificate:recommender` or `jwt:ann`: what
    /// logs, authors of changes and the memory of requests know the caller by.
    pub identity: String,
    /// What the caller may be.
    pub roles: Roles,
    /// When the credential ends, if it does.
    pub(super) expires: Option<Timestamp>,
    /// Counts the caller's calls.
    pub(super) calls: Counter,
}

impl Caller {
    /// The caller in metrics: all subjects of JWTs are one, so that nobody can fill the memory with names.
    #[must_use]
    pub fn label(&self) -> &str {
        if self.identity.starts_with("jwt:") { "jwt" } else { &self.identity }
    }

    /// Whether the credential has ended.
    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Why a call is denied. What is said of it holds nothing that was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// No credential came with the call.
    #[error("this server asks for credentials: send the header `authorization: Bearer TOKEN`")]
    Missing,
    /// The credential is not good.
    #[error("the credentials are not good: {0}")]
    Invalid(&'static str),
    /// The credential was good once.
    #[error("the credentials have expired: get new ones")]
    Expired,
    /// The caller lacks the role.
    #[error("{identity} has the roles {roles}; this method needs {}", role_name(*needed))]
    WrongRole {
        /// Who asks.
        identity: String,
        /// What the caller may be.
        roles: Roles,
        /// The role that opens the method; none if no role does.
        needed: Option<Role>,
    },
}

fn role_name(role: Option<Role>) -> &'static str {
    role.map_or("one that nobody has: it is no method of this server", Role::name)
}

impl Denial {
    /// In one word, for metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Invalid(_) => "invalid",
            Self::Expired => "expired",
            Self::WrongRole { .. } => "role",
        }
    }
}
