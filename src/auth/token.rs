//! Static tokens: how they are made, and how their text becomes the digest that is compared.

use std::fmt;

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

/// What tokens begin with, so that scanners for leaked secrets know one.
const PREFIX: &str = "tfk_";

/// SHA-256 of a credential. Compared in constant time, and never shown.
#[derive(Clone, Copy)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// Of a credential's bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(hash)
    }

    /// Reads 64 hex digits.
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(hash))
    }

    /// Whether two are the same, in a time that does not tell where they part.
    pub(super) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// A token that was made, to be shown once.
pub struct NewToken {
    /// The token itself: a secret.
    pub token: String,
    /// Its SHA-256 in hex, for the tokens file.
    pub sha256: String,
}

/// Makes a token of 256 random bits. So many cannot be guessed, and so a plain hash is enough to keep.
///
/// # Errors
/// When the system gives no random bytes.
pub fn new_token() -> std::io::Result<NewToken> {
    let mut bytes = [0_u8; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    let token = format!("{PREFIX}{}", Hex(&bytes));
    let sha256 = Hex(&Digest::of(token.as_bytes()).0).to_string();
    Ok(NewToken { token, sha256 })
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, new_token};

    #[test]
    fn a_new_token_has_the_hash_that_is_kept() {
        let made = new_token().expect("random bytes");
        assert_eq!(made.token.len(), 4 + 64);
        let kept = Digest::from_hex(&made.sha256).expect("hex");
        assert!(kept.matches(&Digest::of(made.token.as_bytes())));
        assert!(!kept.matches(&Digest::of(b"another")));
        assert_ne!(made.token, new_token().expect("random bytes").token);
    }

    #[test]
    fn digests_are_64_hex_digits() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert!(Digest::from_hex(empty).expect("hex").matches(&Digest::of(b"")));
        assert!(Digest::from_hex(&empty.to_uppercase()).is_some());
        for wrong in ["", "e3", &empty[1..], &format!("{empty}0"), &empty.replace('e', "x"), &"é".repeat(32)] {
            assert!(Digest::from_hex(wrong).is_none(), "{wrong}");
        }
    }
}
