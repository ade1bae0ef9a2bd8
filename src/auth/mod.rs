//! Who calls, and what they may: credentials, identities, roles, and the methods that each role opens.
//!
//! A call is admitted by [`Session::admit`]: its credential names a [`Caller`], whose roles must hold the one that the
//! method needs. What is not in the table of methods is denied. Nothing here shows a token, a hash or a key: neither in
//! errors nor in logs.

mod caller;
mod gate;
mod jwt;
mod jwt_signature;
mod methods;
mod role;
mod token;
mod token_file;

pub use caller::{Caller, Denial};
pub use gate::{Credential, CredentialKind, Gate, Peer, Session};
pub use jwt::JwtSettings;
pub use methods::{Access, access, methods_of};
pub use role::{Role, Roles};
pub use token::{NewToken, new_token};
pub use token_file::check_name;
