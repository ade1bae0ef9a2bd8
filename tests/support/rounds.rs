//! How often a test tries, and from which seed.

/// A number that the environment may set.
#[expect(clippy::disallowed_methods, reason = "settings of tests alone")]
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}
