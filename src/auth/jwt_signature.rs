//! The signatures of JWTs, checked by `ring`, which TLS brings along: one library of cryptography, not two.
//!
//! `jsonwebtoken` asks a provider for them, one for the whole process. This one checks and signs nothing, and knows only
//! signatures by key pairs: with a shared secret, everybody who can check a token could make one.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use ring::signature as ring_signature;
use ring::signature::{RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use signature::Verifier;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    verifier_factory: |algorithm, key| Ok(Box::new(Checked::new(*algorithm, key)?)),
    // For making JWKs of keys, which nothing here does.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes this the provider of the process; every time but the first does nothing.
pub(super) fn install() {
    // The error says that one is installed already: this one.
    let _ = PROVIDER.install_default();
}

/// How a signature is checked.
#[derive(Clone, Copy)]
enum Check {
    Rsa(&'static RsaParameters),
    Other(&'static dyn VerificationAlgorithm),
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is not named is refused")]
fn check_of(algorithm: Algorithm) -> Option<Check> {
    Some(match algorithm {
        Algorithm::RS256 => Check::Rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Check::Rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Check::Rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Check::Rsa(&ring_signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Check::Rsa(&ring_signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Check::Rsa(&ring_signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => Check::Other(&ring_signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Check::Other(&ring_signature::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Check::Other(&ring_signature::ED25519),
        _ => return None,
    })
}

/// A key and the algorithm that it is used with.
struct Checked {
    algorithm: Algorithm,
    check: Check,
    key: DecodingKey,
}

impl Checked {
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self> {
        let check = check_of(algorithm).filter(|_| algorithm.family() == key.family());
        let check = check.ok_or_else(|| new_error(ErrorKind::InvalidAlgorithm))?;
        Ok(Self { algorithm, check, key: key.clone() })
    }
}

impl Verifier<Vec<u8>> for Checked {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        let checked = match (self.check, self.key.kind()) {
            (Check::Rsa(check), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(check, message, signature)
            }
            (Check::Other(check), DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(check, key).verify(message, signature)
            }
            _ => Err(ring::error::Unspecified),
        };
        checked.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Checked {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
