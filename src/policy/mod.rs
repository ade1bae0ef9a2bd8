//! Policy text → checked → compiled [`Policy`]. No I/O, not async: same text and same dictionary, same policy.
//!
//! Read in this order: `schema` (what files may say), `compile` (the order of the work), `expression` and `lower`
//! (how CEL becomes a flat predicate).

mod checks;
mod columns;
mod compile;
mod counters;
mod expression;
mod json_schema;
mod layout;
mod lower;
mod model;
mod problem;
mod programme_file;
mod programmes;
mod reach;
mod rules;
mod schema;
mod signals;
mod size;
mod spanned;
mod spending;
mod stages;
#[cfg(test)]
mod tests;

pub use json_schema::schemas;
pub use model::{CounterDef, CounterKind, Dictionary, Policy, WaiverCounters};
pub use problem::Problem;
pub use size::check_size;

use crate::domain::PolicyText;
use xxhash_rust::xxh3::Xxh3;

/// Every file of `policy/default`, sorted by path.
const EMBEDDED: [(&str, &str); 8] = [
    ("programmes/kuai_brand.toml", include_str!("../../policy/default/programmes/kuai_brand.toml")),
    ("programmes/new_merchant_launch.toml", include_str!("../../policy/default/programmes/new_merchant_launch.toml")),
    ("programmes/trust_purchase.toml", include_str!("../../policy/default/programmes/trust_purchase.toml")),
    ("rights.toml", include_str!("../../policy/default/rights.toml")),
    ("rules/force_majeure.toml", include_str!("../../policy/default/rules/force_majeure.toml")),
    ("rules/high_in_stock_waiver.toml", include_str!("../../policy/default/rules/high_in_stock_waiver.toml")),
    ("score.toml", include_str!("../../policy/default/score.toml")),
    ("violations.toml", include_str!("../../policy/default/violations.toml")),
];

/// Checks and compiles a policy text. Names that are new get the next free number of the dictionary.
///
/// # Errors
/// Everything that is wrong with it, at once; the dictionary is left as it was.
pub fn compile(text: &PolicyText, version: u64, dictionary: &mut Dictionary) -> Result<Policy, Vec<Problem>> {
    compile::compile(text, version, dictionary)
}

/// The policy that the program carries.
#[must_use]
pub fn embedded() -> PolicyText {
    let files = EMBEDDED.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect();
    PolicyText { source: "embedded".to_owned(), files }
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
