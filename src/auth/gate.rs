//! The gate that every call goes through, and what a connection remembers of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use tracing::warn;

use super::caller::{Caller, Denial};
use super::jwt::{Checker, JwtSettings, Keys};
use super::methods::{Access, access};
use super::role::Roles;
use super::token::Digest;
use super::token_file::TokenFile;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::telemetry;

/// Longest credential, in bytes: what is longer is not looked at.
const MAX_CREDENTIAL: usize = 8_192;
/// Credentials that a connection remembers: more take turns, and each turn is a full check.
const MAX_REMEMBERED: usize = 8;
/// Denied calls that are logged a second: metrics count all of them.
const MAX_LOGGED: u64 = 10;

/// Who may come in: replaced in parts when a file changes.
pub struct Gate {
    known: RwLock<Known>,
    checker: Option<Checker>,
    /// Rises with every change, so that connections forget what they remember.
    generation: AtomicU64,
    /// Real time, also where the state runs on simulated time: credentials are made by others.
    clock: Arc<dyn Clock>,
    logged: Mutex<(i64, u64)>,
}

#[derive(Default)]
struct Known {
    tokens: Arc<TokenFile>,
    keys: Option<Arc<Keys>>,
}

impl Gate {
    /// A gate that nobody passes yet.
    #[must_use]
    pub fn new(jwt: Option<JwtSettings>, clock: Arc<dyn Clock>) -> Self {
        Self {
            known: RwLock::default(),
            checker: jwt.map(Checker::new),
            generation: AtomicU64::new(0),
            clock,
            logged: Mutex::default(),
        }
    }

    /// Takes the text of a tokens file; answers what is in it.
    ///
    /// # Errors
    /// What is wrong with it; then nothing changes.
    pub fn take_tokens(&self, text: &str) -> Result<String, String> {
        let file = TokenFile::read(text)?;
        let found = format!("{} tokens, {} certificates", file.tokens.len(), file.certificates.len());
        self.known.write().tokens = Arc::new(file);
        self.generation.fetch_add(1, Ordering::Release);
        Ok(found)
    }

    /// Takes the text of a JWKS file; answers what is in it.
    ///
    /// # Errors
    /// What is wrong with it; then nothing changes.
    pub fn take_keys(&self, text: &str) -> Result<String, String> {
        let keys = Keys::read(text)?;
        let found = format!("keys {}", keys.ids());
        self.known.write().keys = Some(Arc::new(keys));
        self.generation.fetch_add(1, Ordering::Release);
        Ok(found)
    }

    fn check_token(&self, token: &str, digest: &Digest) -> Result<Arc<Caller>, Denial> {
        let (tokens, keys) = {
            let known = self.known.read();
            (known.tokens.clone(), known.keys.clone())
        };
        if let Some(caller) = tokens.token(digest) {
            return Ok(caller);
        }
        let (Some(checker), Some(keys)) = (&self.checker, keys) else {
            return Err(Denial::Invalid("no token of this server"));
        };
        checker.check(&keys, token).map(Arc::new)
    }

    fn check_certificate(&self, names: &[String]) -> Result<Arc<Caller>, Denial> {
        // A certificate that no entry names proves nothing more than that its authority knows the caller.
        self.known.read().tokens.certificate(names).ok_or(Denial::Missing)
    }

    /// Every credential that is known, without what proves it.
    #[must_use]
    pub fn credentials(&self) -> Vec<Credential> {
        let tokens = self.known.read().tokens.clone();
        let now = self.clock.now();
        let listed = |kind, caller: &Caller, subject: &str| Credential {
            kind,
            identity: caller.identity.clone(),
            subject: subject.to_owned(),
            roles: caller.roles,
            expires: caller.expires,
            has_expired: caller.has_expired(now),
        };
        let mut found: Vec<Credential> =
            tokens.tokens.iter().map(|(_, caller)| listed(CredentialKind::Token, caller, "")).collect();
        let certificates = tokens.certificates.iter();
        found.extend(certificates.map(|(name, caller)| listed(CredentialKind::Certificate, caller, name)));
        if let Some(checker) = &self.checker {
            found.push(Credential {
                kind: CredentialKind::Issuer,
                identity: "jwt".to_owned(),
                subject: checker.settings.issuer.clone(),
                roles: Roles::default(),
                expires: None,
                has_expired: false,
            });
        }
        found
    }

    /// Whether a denied call is logged: callers without credentials must not fill the log.
    fn may_log(&self) -> bool {
        let second = self.clock.now().0.div_euclid(1_000);
        let mut logged = self.logged.lock();
        if logged.0 != second {
            *logged = (second, 0);
        }
        logged.1 += 1;
        logged.1 <= MAX_LOGGED
    }
}

/// A credential as it is listed: never a token, a hash or a key.
#[derive(Clone, Debug)]
pub struct Credential {
    /// What proves it.
    pub kind: CredentialKind,
    /// What logs and writes know the caller by; `jwt` stands for all subjects of the issuer.
    pub identity: String,
    /// The name in the certificate, or the issuer.
    pub subject: String,
    /// The roles; those of JWTs stand in each.
    pub roles: Roles,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// Whether it has ended.
    pub has_expired: bool,
}

/// What proves who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A static token, kept as its hash.
    Token,
    /// A client certificate.
    Certificate,
    /// A JWT of an issuer.
    Issuer,
}

/// The other side of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// DNS and URI names of the certificate that it proved to have, if it did.
    pub names: Vec<String>,
}

/// One connection at the gate. It remembers what it has seen checked: most send the same credential with every call.
pub struct Session {
    gate: Arc<Gate>,
    peer: Peer,
    remembered: Mutex<Vec<Remembered>>,
}

struct Remembered {
    /// Of the token; none for the certificate of the connection.
    digest: Option<Digest>,
    generation: u64,
    caller: Arc<Caller>,
}

impl Session {
    /// A connection that has just been made.
    #[must_use]
    pub fn new(gate: Arc<Gate>, peer: Peer) -> Self {
        Self { gate, peer, remembered: Mutex::default() }
    }

    /// The other side.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Admits a call of a method with what its `authorization` headers say; answers who calls, or none where anybody
    /// may.
    ///
    /// # Errors
    /// Why the call is denied.
    pub fn admit<'a>(
        &self,
        path: &str,
        headers: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Option<Arc<Caller>>, Denial> {
        let asked = access(path);
        if asked == Some(Access::Open) {
            return Ok(None);
        }
        let admitted = self.identify(headers).and_then(|caller| allow(caller, asked));
        match &admitted {
            Ok(caller) => caller.calls.increment(1),
            Err(denial) => {
                telemetry::call_denied(denial.label());
                if self.gate.may_log() {
                    let method = if asked.is_some() { path } else { "(not of this server)" };
                    warn!(method, peer = %self.peer.address, %denial, "a call was denied");
                }
            }
        }
        admitted.map(Some)
    }

    fn identify<'a>(&self, mut headers: impl Iterator<Item = &'a [u8]>) -> Result<Arc<Caller>, Denial> {
        let token = match (headers.next(), headers.next()) {
            (Some(header), None) => Some(bearer(header)?),
            (Some(_), Some(_)) => return Err(Denial::Invalid("more than one authorization header")),
            (None, _) if self.peer.names.is_empty() => return Err(Denial::Missing),
            (None, _) => None,
        };
        let digest = token.map(|token| Digest::of(token.as_bytes()));
        // Read before the check: what changes meanwhile is checked again by the next call.
        let generation = self.gate.generation.load(Ordering::Acquire);
        let now = self.gate.clock.now();
        let mut remembered = self.remembered.lock();
        remembered.retain(|known| known.generation == generation && !known.caller.has_expired(now));
        if let Some(known) = remembered.iter().find(|known| known.is_of(digest.as_ref())) {
            return Ok(known.caller.clone());
        }
        let caller = match (token, &digest) {
            (Some(token), Some(digest)) => self.gate.check_token(token, digest)?,
            _ => self.gate.check_certificate(&self.peer.names)?,
        };
        if caller.has_expired(now) {
            return Err(Denial::Expired);
        }
        if remembered.len() == MAX_REMEMBERED {
            remembered.remove(0);
        }
        remembered.push(Remembered { digest, generation, caller: caller.clone() });
        Ok(caller)
    }
}

impl Remembered {
    fn is_of(&self, digest: Option<&Digest>) -> bool {
        match (&self.digest, digest) {
            (Some(own), Some(other)) => own.matches(other),
            (own, other) => own.is_none() && other.is_none(),
        }
    }
}

/// The token of a header.
fn bearer(header: &[u8]) -> Result<&str, Denial> {
    if header.len() > MAX_CREDENTIAL {
        return Err(Denial::Invalid("longer than any token is"));
    }
    let text = std::str::from_utf8(header).ok();
    let (scheme, token) = text.and_then(|text| text.split_once(' ')).unwrap_or_default();
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Denial::Invalid("the authorization header must be `Bearer TOKEN`"));
    }
    Ok(token)
}

/// Whether a caller may call a method.
fn allow(caller: Arc<Caller>, asked: Option<Access>) -> Result<Arc<Caller>, Denial> {
    let needed = match asked {
        Some(Access::Open | Access::Known) => return Ok(caller),
        Some(Access::Role(role)) if caller.roles.open(role) => return Ok(caller),
        Some(Access::Role(role)) => Some(role),
        None => None,
    };
    Err(Denial::WrongRole { identity: caller.identity.clone(), roles: caller.roles, needed })
}
