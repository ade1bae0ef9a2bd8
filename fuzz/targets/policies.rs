//! Policies: text that is parsed, judged and compiled, and the expressions in it.

use std::fmt::Write;
use std::sync::LazyLock;

use trustflow::domain::PolicyText;
use trustflow::policy::{self, Dictionary};

#[path = "../../tests/support/small_policy.rs"]
mod small_policy;
pub(crate) use small_policy::small_policy;

/// The files that the first byte chooses from.
pub(crate) const PATHS: [&str; 9] = [
    "score.toml",
    "rights.toml",
    "violations.toml",
    "rules/force_majeure.toml",
    "rules/high_in_stock_waiver.toml",
    "life_cycle.toml",
    "providers.toml",
    "programmes/launch.toml",
    "programmes/other.toml",
];

static SMALL: LazyLock<PolicyText> = LazyLock::new(|| small_policy(0));

/// Judges a text. One that is right is taken again without being judged, as a replay takes it, and differs in nothing
/// from itself.
fn judge(text: &PolicyText) {
    let mut dictionary = Dictionary::default();
    let judged = policy::compile(text, 1, &mut dictionary);
    let mut replayed = Dictionary::default();
    let accepted = policy::accept(text, 1, &mut replayed);
    match judged {
        Ok(policy) => {
            let accepted = accepted.expect("what was judged right makes a policy");
            assert_eq!(policy.layout_fingerprint, accepted.layout_fingerprint);
            assert_eq!(policy.hash, accepted.hash);
            assert!(policy::diff(text, text).is_ok_and(|changes| changes.is_empty()), "a text differs from itself");
        }
        Err(problems) => assert!(!problems.is_empty(), "refused without a problem"),
    }
}

/// The first byte chooses a file of a small policy, the rest is its text.
pub(crate) fn policy_text(bytes: &[u8]) {
    let Some((which, content)) = bytes.split_first() else { return };
    let Ok(content) = std::str::from_utf8(content) else { return };
    let path = PATHS.get(usize::from(*which) % PATHS.len()).copied().unwrap_or("score.toml");
    let mut text = SMALL.clone();
    text.files.retain(|(other, _)| other != path);
    text.files.push((path.to_owned(), content.to_owned()));
    judge(&text);
}

/// A programme of this eligibility, which also decides about an uplift.
fn programme(eligibility: &str) -> String {
    let mut quoted = String::new();
    for character in eligibility.chars() {
        let _ = write!(quoted, "\\U{:08X}", u32::from(character));
    }
    format!(
        "name = \"x\"\nname_zh = \"x\"\nseed = \"001\"\narea = \"traffic\"\nkind = \"tilt\"\nscenes = [\"all\"]\n\
         eligibility = \"{quoted}\"\n[uplift]\ncases = [{{ when = \"{quoted}\", uplift = 0.1 }}]\n"
    )
}

/// The text of an expression.
pub(crate) fn expressions(bytes: &[u8]) {
    let Ok(expression) = std::str::from_utf8(bytes) else { return };
    let mut text = SMALL.clone();
    text.files.retain(|(path, _)| path == "score.toml");
    text.files.push(("programmes/other.toml".to_owned(), programme(expression)));
    judge(&text);
}
