//! The reference page says what the code does.

use crate::domain::{MerchantId, PolicyText};
use crate::policy::columns::FIXED;
use crate::policy::{Dictionary, compile};
use crate::traffic::Holdout;
use std::collections::BTreeMap;

const PAGE: &str = include_str!("../../../docs/policy.md");

#[test]
fn every_column_is_in_the_reference() {
    for column in FIXED {
        assert!(PAGE.contains(&format!("| `{column}` |")), "docs/policy.md has no row for {column}");
    }
    let rows = PAGE.lines().filter(|line| {
        ["| `merchant.", "| `provider.", "| `trust.", "| `product.", "| `room.", "| `video."]
            .iter()
            .any(|noun| line.starts_with(noun))
    });
    for row in rows {
        let name = row.split('`').nth(1).unwrap_or_default();
        assert!(FIXED.contains(&name), "{name} is no column");
    }
}

/// The TOML examples of the page, joined by the file that their first line names.
fn examples() -> PolicyText {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for block in PAGE.split("```toml\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        let (first, rest) = block.split_once('\n').expect("lines");
        let path = first.strip_prefix("# ").unwrap_or_else(|| panic!("{first:?} names no file"));
        let file = files.entry(path.to_owned()).or_default();
        file.push_str(rest);
        file.push('\n');
    }
    PolicyText { source: "docs".to_owned(), files: files.into_iter().collect() }
}

#[test]
fn the_examples_of_the_reference_are_a_policy() {
    let text = examples();
    assert!(text.files.len() >= 13, "{} files", text.files.len());
    let policy = compile(&text, 1, &mut Dictionary::default()).unwrap_or_else(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    });
    assert_eq!(policy.programmes.len(), 6);
}

#[test]
fn the_worked_holdout_is_right() {
    let holdout = Holdout { share: 0.05, salt: "launch".to_owned() };
    assert!(!holdout.holds_out(MerchantId(1)) && holdout.holds_out(MerchantId(2)));
    let above = Holdout { share: 0.002_742, ..holdout.clone() };
    let below = Holdout { share: 0.002_743, ..holdout };
    assert!(!above.holds_out(MerchantId(2)) && below.holds_out(MerchantId(2)));
}
