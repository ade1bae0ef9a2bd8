//! The tokens file: static tokens by their hash, and client certificates by their name.
//!
//! ```toml
//! [[token]]
//! name = "recommender"
//! sha256 = "…"                            # 64 hex digits; `trustflow token new` prints them
//! roles = ["scorer"]
//! expires = 2027-01-01T00:00:00+08:00     # may be left out
//!
//! [[certificate]]
//! name = "pipeline"
//! subject = "pipeline.internal"           # a DNS or URI name of the certificate (subjectAltName)
//! roles = ["ingester"]
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use super::caller::Caller;
use super::role::{Role, Roles};
use super::token::Digest;
use crate::domain::Timestamp;
use crate::telemetry;

/// Most tokens and certificates of a file: each is compared for a credential that a connection has not shown before,
/// and each is a series of metrics.
const MAX_ENTRIES: usize = 1_000;
/// Longest name, in bytes.
const MAX_NAME: usize = 64;

/// What the file says.
#[derive(Default)]
pub(super) struct TokenFile {
    pub(super) tokens: Vec<(Digest, Arc<Caller>)>,
    /// By DNS or URI name.
    pub(super) certificates: Vec<(String, Arc<Caller>)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    token: Vec<Spanned<TokenText>>,
    #[serde(default)]
    certificate: Vec<Spanned<CertificateText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenText {
    name: String,
    sha256: String,
    roles: Vec<String>,
    expires: Option<Datetime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CertificateText {
    name: String,
    subject: String,
    roles: Vec<String>,
    expires: Option<Datetime>,
}

impl TokenFile {
    /// Reads the text of a file. What is wrong is said with its line, and without the value that stands there: it may be
    /// a secret that was put into the wrong place.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        let parsed: Text = toml::from_str(text).map_err(|error| {
            // What follows the colon of a message quotes values.
            let kind = error.message().split(':').next().unwrap_or_default();
            format!("line {}: {kind}", line(error.span().map_or(0, |span| span.start)))
        })?;
        if parsed.token.len() + parsed.certificate.len() > MAX_ENTRIES {
            return Err(format!("more than {MAX_ENTRIES} tokens and certificates"));
        }
        let mut file = Self::default();
        let mut names = Names::default();
        for entry in parsed.token {
            let at = format!("line {}", line(entry.span().start));
            let TokenText { name, sha256, roles, expires } = entry.into_inner();
            let caller = caller("token", &name, &roles, expires).map_err(|problem| format!("{at}: {problem}"))?;
            let digest = Digest::from_hex(&sha256)
                .ok_or_else(|| format!("{at}: sha256 must be 64 hex digits, as `trustflow token new` prints them"))?;
            if file.tokens.iter().any(|(other, _)| other.matches(&digest)) {
                return Err(format!("{at}: another token has the same sha256"));
            }
            names.take(&caller).map_err(|problem| format!("{at}: {problem}"))?;
            file.tokens.push((digest, Arc::new(caller)));
        }
        for entry in parsed.certificate {
            let at = format!("line {}", line(entry.span().start));
            let CertificateText { name, subject, roles, expires } = entry.into_inner();
            let caller = caller("certificate", &name, &roles, expires).map_err(|problem| format!("{at}: {problem}"))?;
            if subject.is_empty() || subject.contains('*') {
                return Err(format!("{at}: subject must be a DNS or URI name, without wildcards"));
            }
            if file.certificates.iter().any(|(other, _)| *other == subject) {
                return Err(format!("{at}: another certificate has the same subject"));
            }
            names.take(&caller).map_err(|problem| format!("{at}: {problem}"))?;
            file.certificates.push((subject, Arc::new(caller)));
        }
        Ok(file)
    }

    /// Who a token belongs to. Every one is compared, whichever it is.
    pub(super) fn token(&self, digest: &Digest) -> Option<Arc<Caller>> {
        self.tokens
            .iter()
            .fold(None, |found, (other, caller)| if other.matches(digest) { Some(caller) } else { found })
            .cloned()
    }

    /// Who a certificate with these names belongs to: the first that stands in the file.
    pub(super) fn certificate(&self, names: &[String]) -> Option<Arc<Caller>> {
        self.certificates.iter().find(|(subject, _)| names.contains(subject)).map(|(_, caller)| caller.clone())
    }
}

/// The names of a file. Several entries may have one name, so that a caller can change tokens and stay who it is:
/// requests are remembered by identity.
#[derive(Default)]
struct Names(BTreeMap<String, Roles>);

impl Names {
    fn take(&mut self, caller: &Caller) -> Result<(), &'static str> {
        let roles = *self.0.entry(caller.identity.clone()).or_insert(caller.roles);
        if roles == caller.roles { Ok(()) } else { Err("another entry of the same name has other roles") }
    }
}

/// Checks the name of a token or certificate: it is part of log lines and metrics.
///
/// # Errors
/// What it must be.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_plain) {
        return Err(format!("name must be 1 to {MAX_NAME} letters, digits, `_`, `.` and `-`"));
    }
    Ok(())
}

fn caller(kind: &str, name: &str, roles: &[String], expires: Option<Datetime>) -> Result<Caller, String> {
    check_name(name)?;
    let roles: Option<Roles> = roles.iter().map(|role| Role::named(role)).collect();
    let roles = roles.filter(|roles| !roles.is_empty());
    let roles = roles.ok_or_else(|| format!("{name}: roles must be one or more of {}", Role::names()))?;
    let expires = expires.map(|expires| expires.to_string().parse::<jiff::Timestamp>()).transpose();
    let expires =
        expires.map_err(|_| format!("{name}: expires must have an offset, as in 2027-01-01T00:00:00+08:00"))?;
    let identity = format!("{kind}:{name}");
    let calls = telemetry::calls_of(&identity);
    Ok(Caller { identity, roles, expires: expires.map(|expires| Timestamp(expires.as_millisecond())), calls })
}

#[cfg(test)]
mod tests {
    use super::{Digest, TokenFile};
    use crate::domain::Timestamp;

    const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn tokens_and_certificates_are_found() {
        let text = format!(
            "[[token]]\nname = \"a\"\nsha256 = \"{HASH}\"\nroles = [\"viewer\", \"scorer\"]\n\
             expires = 1970-01-01T08:00:01+08:00\n\
             [[certificate]]\nname = \"b\"\nsubject = \"b.internal\"\nroles = [\"admin\"]\n"
        );
        let file = TokenFile::read(&text).expect("a right file");
        let caller = file.token(&Digest::of(b"")).expect("known");
        assert_eq!((caller.identity.as_str(), caller.roles.to_string().as_str()), ("token:a", "scorer, viewer"));
        assert!(caller.has_expired(Timestamp(1_000)) && !caller.has_expired(Timestamp(999)));
        assert!(file.token(&Digest::of(b"x")).is_none());
        let names = ["c.internal".to_owned(), "b.internal".to_owned()];
        assert_eq!(file.certificate(&names).expect("known").identity, "certificate:b");
        assert!(file.certificate(&[]).is_none());
    }

    #[test]
    fn what_is_wrong_is_said_without_the_value() {
        let token =
            |name: &str, hash: &str, rest: &str| format!("\n[[token]]\nname = \"{name}\"\nsha256 = {hash}\n{rest}");
        let good = format!("\"{HASH}\"");
        let roles = "roles = [\"admin\"]\n";
        let cases = [
            (token("a", "\"tfk_SECRET\"", roles), "line 2: sha256 must be 64 hex digits"),
            (token("a", "tfk_SECRET", roles), "line 4"),
            (token("a", "[\"SECRET\"]", roles), "line 4: invalid type"),
            (token("a", &good, "roles = [\"SECRET\"]"), "line 2: a: roles must be one or more of scorer, ingester"),
            (token("a", &good, "roles = []"), "roles must be one or more"),
            (token("a b", &good, roles), "line 2: name must be"),
            (token("a", &good, &format!("{roles}expires = 2027-01-01\n")), "expires must have an offset"),
            (token("a", &good, &format!("{roles}token = \"SECRET\"\n")), "line 6: unknown field `token`"),
            (token("a", &good, roles) + &token("b", &good, roles), "line 7: another token has the same sha256"),
            (
                token("a", &good, roles) + &token("a", &good.replace('e', "f"), "roles = [\"viewer\"]\n"),
                "line 7: another entry of the same name has other roles",
            ),
            ("[[certificate]]\nname = \"a\"\nsubject = \"*.x\"\nroles = [\"admin\"]".to_owned(), "without wildcards"),
        ];
        for (text, expected) in cases {
            let problem = TokenFile::read(&text).err().expect(expected);
            assert!(problem.contains(expected) && !problem.contains("SECRET"), "{problem}, not {expected}");
        }
    }
}
