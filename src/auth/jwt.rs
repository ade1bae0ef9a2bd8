//! JSON Web Tokens of one issuer, whose public keys stand in a JWKS file. Keys come and go with the file.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use metrics::Counter;
use serde_json::{Map, Value};

use super::caller::{Caller, Denial};
use super::jwt_signature;
use super::role::{Role, Roles};
use crate::domain::Timestamp;
use crate::telemetry;

/// How far the issuer's clock and this one may be apart, in seconds.
const LEEWAY_S: u64 = 30;
/// Longest subject, in bytes.
const MAX_SUBJECT: usize = 128;
/// Most keys of a file.
const MAX_KEYS: usize = 100;

/// Which tokens are taken.
#[derive(Clone, Debug)]
pub struct JwtSettings {
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must be or hold.
    pub audience: String,
    /// The claim that holds roles: a list, or words in one text. Dots lead into claims within claims.
    pub roles_claim: String,
}

/// A public key and the algorithms that it is used with.
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    public: DecodingKey,
}

/// The issuer's keys.
pub(super) struct Keys(Vec<Key>);

impl Keys {
    /// Reads the text of a JWKS file.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        jwt_signature::install();
        let value: Value = serde_json::from_str(text)
            .map_err(|error| format!("no JSON at line {}, column {}", error.line(), error.column()))?;
        let keys = value.get("keys").and_then(Value::as_array).ok_or("no JWKS: it lacks the list `keys`")?;
        if keys.len() > MAX_KEYS {
            return Err(format!("more than {MAX_KEYS} keys"));
        }
        // Members of RFC 7518 that only private and shared keys have.
        if keys.iter().any(|key| key.get("d").is_some() || key.get("k").is_some()) {
            return Err("a private or a shared key stands in it; a JWKS for checking holds public keys only".to_owned());
        }
        let set: JwkSet = serde_json::from_value(value).map_err(|_| "no JWKS: a key cannot be read")?;
        let keys: Vec<Key> = set.keys.iter().filter_map(Key::of).collect();
        if keys.is_empty() {
            return Err("no key in it is for RS, PS, ES or EdDSA signatures".to_owned());
        }
        Ok(Self(keys))
    }

    /// Ids of the keys, for people.
    pub(super) fn ids(&self) -> String {
        self.0.iter().map(|key| key.id.as_deref().unwrap_or("(no kid)")).collect::<Vec<_>>().join(", ")
    }

    /// The key that a token names; a token that names none means the only one.
    fn find(&self, id: Option<&str>) -> Option<&Key> {
        match (id, self.0.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(id), keys) => keys.iter().find(|key| key.id.as_deref() == Some(id)),
        }
    }
}

impl Key {
    /// None for keys that are not for signatures by key pairs: those of other uses may stand in the file.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not named is left out")]
    fn of(jwk: &Jwk) -> Option<Self> {
        if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
            return None;
        }
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => vec![
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
            _ => return None,
        };
        if let Some(named) = jwk.common.key_algorithm {
            algorithms.retain(|algorithm| name(*algorithm) == Some(named));
        }
        let public = DecodingKey::from_jwk(jwk).ok()?;
        (!algorithms.is_empty()).then(|| Self { id: jwk.common.key_id.clone(), algorithms, public })
    }
}

/// An algorithm as keys name it.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not named is refused")]
fn name(algorithm: Algorithm) -> Option<KeyAlgorithm> {
    Some(match algorithm {
        Algorithm::RS256 => KeyAlgorithm::RS256,
        Algorithm::RS384 => KeyAlgorithm::RS384,
        Algorithm::RS512 => KeyAlgorithm::RS512,
        Algorithm::PS256 => KeyAlgorithm::PS256,
        Algorithm::PS384 => KeyAlgorithm::PS384,
        Algorithm::PS512 => KeyAlgorithm::PS512,
        Algorithm::ES256 => KeyAlgorithm::ES256,
        Algorithm::ES384 => KeyAlgorithm::ES384,
        Algorithm::EdDSA => KeyAlgorithm::EdDSA,
        _ => return None,
    })
}

/// Checks tokens.
pub(super) struct Checker {
    pub(super) settings: JwtSettings,
    /// All subjects count as one: they are not bounded.
    calls: Counter,
}

impl Checker {
    pub(super) fn new(settings: JwtSettings) -> Self {
        Self { settings, calls: telemetry::calls_of("jwt") }
    }

    /// Who a token is of. Signature first: nothing is said of what a forged one claims.
    pub(super) fn check(&self, keys: &Keys, token: &str) -> Result<Caller, Denial> {
        let header = decode_header(token).map_err(|_| Denial::Invalid("no token of this server, and no JWT either"))?;
        let key = keys.find(header.kid.as_deref()).ok_or(Denial::Invalid("the JWT names a key that is not known"))?;
        if !key.algorithms.contains(&header.alg) {
            return Err(Denial::Invalid("the JWT is signed by an algorithm that its key is not for"));
        }
        if header.crit.is_some() {
            return Err(Denial::Invalid("the JWT has critical extensions"));
        }
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let decoded = decode::<Map<String, Value>>(token, &key.public, &validation);
        let claims = decoded.map_err(|error| denial(error.kind()))?.claims;
        // The library takes a list of issuers, too, of which one would be enough.
        if claims.get("iss").and_then(Value::as_str) != Some(self.settings.issuer.as_str()) {
            return Err(Denial::Invalid("the JWT is of another issuer"));
        }
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        if subject.is_empty() || subject.len() > MAX_SUBJECT || subject.chars().any(char::is_control) {
            return Err(Denial::Invalid("the subject of the JWT is empty, too long or no plain text"));
        }
        Ok(Caller {
            identity: format!("jwt:{subject}"),
            roles: self.roles(&claims),
            expires: claims.get("exp").and_then(Value::as_f64).map(end),
            calls: self.calls.clone(),
        })
    }

    /// The roles that a token claims. Words that are no role are for other services.
    fn roles(&self, claims: &Map<String, Value>) -> Roles {
        let claim = &self.settings.roles_claim;
        let nested = || {
            let mut parts = claim.split('.');
            let first = claims.get(parts.next()?)?;
            parts.try_fold(first, |value, part| value.get(part))
        };
        match claims.get(claim).or_else(nested) {
            Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).filter_map(Role::named).collect(),
            Some(Value::String(words)) => words.split_whitespace().filter_map(Role::named).collect(),
            _ => Roles::default(),
        }
    }
}

/// When a token ends: as long after `exp` as it is taken.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "far times stay far")]
fn end(exp: f64) -> Timestamp {
    Timestamp(((exp + LEEWAY_S as f64) * 1_000.0) as i64)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the others are all of one kind to a caller")]
fn denial(kind: &ErrorKind) -> Denial {
    match kind {
        ErrorKind::ExpiredSignature => Denial::Expired,
        ErrorKind::InvalidSignature => Denial::Invalid("the signature of the JWT is wrong"),
        ErrorKind::InvalidIssuer => Denial::Invalid("the JWT is of another issuer"),
        ErrorKind::InvalidAudience => Denial::Invalid("the JWT is for another audience"),
        ErrorKind::ImmatureSignature => Denial::Invalid("the JWT is not valid yet"),
        ErrorKind::MissingRequiredClaim(_) => Denial::Invalid("the JWT lacks one of exp, iss, aud and sub"),
        _ => Denial::Invalid("the JWT cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;
    use jsonwebtoken::crypto::verify;

    use super::Keys;

    /// The examples of RFC 7515 (A.2, A.3) and RFC 8037 (A.4), which other programs made.
    #[test]
    fn signatures_of_the_standards_are_right_and_others_are_not() {
        let cases = [
            (
                Algorithm::RS256,
                r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
                "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
                "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
            ),
            (
                Algorithm::ES256,
                r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
                "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
                "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
            ),
            (
                Algorithm::EdDSA,
                r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
                "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
                "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
            ),
        ];
        for (algorithm, jwk, message, signature) in cases {
            let keys = Keys::read(&format!(r#"{{"keys":[{jwk}]}}"#)).expect("a JWKS");
            let key = keys.find(None).expect("the only key");
            assert!(key.algorithms.contains(&algorithm));
            let is_right = |message: &str, algorithm| verify(signature, message.as_bytes(), &key.public, algorithm);
            assert_eq!(is_right(message, algorithm), Ok(true), "{algorithm:?}");
            assert_eq!(is_right("another", algorithm), Ok(false), "{algorithm:?}");
            for shared in [Algorithm::HS256, Algorithm::HS512] {
                assert!(is_right(message, shared).is_err(), "{algorithm:?}: the public key as a shared secret");
            }
        }
    }

    #[test]
    fn keys_of_other_uses_are_left_out_and_a_name_is_asked_for() {
        let key = |more: &str| {
            let point = r#""x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
            format!(r#"{{"kty":"EC","crv":"P-256",{point}{more}}}"#)
        };
        let read = |keys: &[String]| Keys::read(&format!(r#"{{"keys":[{}]}}"#, keys.join(",")));
        let both = read(&[key(r#","kid":"a""#), key(r#","kid":"b","use":"enc""#)]).expect("one is for signatures");
        assert_eq!(both.ids(), "a");
        assert!(both.find(Some("a")).is_some() && both.find(None).is_some() && both.find(Some("b")).is_none());
        let two = read(&[key(r#","kid":"a""#), key(r#","kid":"b""#)]).expect("two keys");
        assert!(two.find(None).is_none() && two.find(Some("b")).is_some());
        assert!(read(&[key(r#","alg":"RS256""#)]).is_err(), "an algorithm that the key is not for");
        assert!(read(&[key(r#","d":"c2VjcmV0""#)]).is_err(), "a private key");
    }
}
