//! Policy text → checked → compiled [`Policy`]. No I/O, not async: same text and same dictionary, same policy.
//!
//! Read in this order: `schema` (what files may say), `compile` (the order of the work), `expression` and `lower`
//! (how CEL becomes a flat predicate).

mod catalogue;
mod checks;
mod columns;
mod compile;
mod counters;
mod diff;
mod expression;
mod json_schema;
mod layout;
mod lower;
mod model;
mod outcomes;
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
mod words;

pub use catalogue::catalogue;
pub use diff::{Change, ChangeKind, diff};
pub use json_schema::schemas;
pub use model::{BIT_REUSED_AFTER_DAYS, CounterDef, CounterKind, Dictionary, Policy, WaiverCounters};
pub use problem::{Problem, Unusable};
pub use size::{MAX_BYTES, MAX_FILES, check_size};

use crate::domain::{PolicyText, Wanted};
use xxhash_rust::xxh3::Xxh3;

/// Every file of `policy/default`, sorted by path.
const EMBEDDED: [(&str, &str); 31] = [
    ("life_cycle.toml", include_str!("../../policy/default/life_cycle.toml")),
    ("programmes/big_brand.toml", include_str!("../../policy/default/programmes/big_brand.toml")),
    ("programmes/category_day.toml", include_str!("../../policy/default/programmes/category_day.toml")),
    ("programmes/double_11.toml", include_str!("../../policy/default/programmes/double_11.toml")),
    ("programmes/doujin.toml", include_str!("../../policy/default/programmes/doujin.toml")),
    ("programmes/growth_reward.toml", include_str!("../../policy/default/programmes/growth_reward.toml")),
    ("programmes/hot_product.toml", include_str!("../../policy/default/programmes/hot_product.toml")),
    ("programmes/kuai_brand.toml", include_str!("../../policy/default/programmes/kuai_brand.toml")),
    ("programmes/long_tail_floor.toml", include_str!("../../policy/default/programmes/long_tail_floor.toml")),
    ("programmes/mall_launch.toml", include_str!("../../policy/default/programmes/mall_launch.toml")),
    ("programmes/new_merchant_launch.toml", include_str!("../../policy/default/programmes/new_merchant_launch.toml")),
    ("programmes/new_product_super.toml", include_str!("../../policy/default/programmes/new_product_super.toml")),
    ("programmes/new_star.toml", include_str!("../../policy/default/programmes/new_star.toml")),
    ("programmes/origin_belt.toml", include_str!("../../policy/default/programmes/origin_belt.toml")),
    ("programmes/promotion_reward.toml", include_str!("../../policy/default/programmes/promotion_reward.toml")),
    ("programmes/public_welfare_live.toml", include_str!("../../policy/default/programmes/public_welfare_live.toml")),
    (
        "programmes/real_good_things_festival.toml",
        include_str!("../../policy/default/programmes/real_good_things_festival.toml"),
    ),
    ("programmes/scene_package.toml", include_str!("../../policy/default/programmes/scene_package.toml")),
    ("programmes/selected_pool.toml", include_str!("../../policy/default/programmes/selected_pool.toml")),
    ("programmes/service_provider.toml", include_str!("../../policy/default/programmes/service_provider.toml")),
    ("programmes/spring_non_stop.toml", include_str!("../../policy/default/programmes/spring_non_stop.toml")),
    ("programmes/trust_purchase.toml", include_str!("../../policy/default/programmes/trust_purchase.toml")),
    ("programmes/upward_mobility.toml", include_str!("../../policy/default/programmes/upward_mobility.toml")),
    ("programmes/virtual_goods.toml", include_str!("../../policy/default/programmes/virtual_goods.toml")),
    ("programmes/warm_spring.toml", include_str!("../../policy/default/programmes/warm_spring.toml")),
    ("providers.toml", include_str!("../../policy/default/providers.toml")),
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
    compile::compile(text, version, dictionary, &Wanted::to_the_end())
}

/// The same as long as somebody wants to know.
///
/// # Errors
/// As above; what was found so far, perhaps nothing, once nobody wants to know any more.
pub fn compile_while(
    wanted: &Wanted,
    text: &PolicyText,
    version: u64,
    dictionary: &mut Dictionary,
) -> Result<Policy, Vec<Problem>> {
    compile::compile(text, version, dictionary, wanted)
}

/// Compiles a text that was judged before: by an earlier program, perhaps, whose checks were others. Whatever makes a
/// policy is taken, so that replaying a log never judges anew.
///
/// # Errors
/// When the text makes no policy at all; the dictionary is left as it was.
pub fn accept(text: &PolicyText, version: u64, dictionary: &mut Dictionary) -> Result<Policy, Unusable> {
    compile::accept(text, version, dictionary)
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
