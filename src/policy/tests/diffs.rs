//! Differences of texts, as readers mean them.

use crate::domain::PolicyText;
use crate::policy::{Change, ChangeKind, diff, embedded};

fn edited(file: &str, from: &str, to: &str) -> PolicyText {
    let mut text = embedded();
    let (_, content) = text.files.iter_mut().find(|(path, _)| path == file).expect("the file");
    assert!(content.contains(from), "{from}");
    *content = content.replacen(from, to, 1);
    text
}

fn changes(after: &PolicyText) -> Vec<Change> {
    diff(&embedded(), after).expect("both are TOML")
}

#[test]
fn an_uplift_is_named_with_its_programme_and_case() {
    let changed = changes(&edited("programmes/kuai_brand.toml", "uplift = 0.8", "uplift = 0.9"));
    let expected = Change {
        kind: ChangeKind::Changed,
        path: "programmes/kuai_brand: uplift.cases[0].uplift".into(),
        before: "0.8".into(),
        after: "0.9".into(),
    };
    assert_eq!(changed, [expected]);
}

#[test]
fn tables_with_an_id_or_a_name_are_known_by_it() {
    let text = edited("score.toml", "min_score = 70.0", "min_score = 71");
    let text = PolicyText {
        files: text
            .files
            .into_iter()
            .map(|(path, content)| {
                let content = content.replacen(
                    "name = \"paid_items\", kind = \"flow\"",
                    "name = \"paid_items\", kind = \"level\"",
                    1,
                );
                (path, content)
            })
            .collect(),
        ..text
    };
    let paths: Vec<String> = changes(&text).into_iter().map(|change| change.path).collect();
    assert_eq!(paths, ["score: counter[paid_items].kind", "score: tier[trusted].min_score"]);
}

#[test]
fn comments_layout_and_the_way_numbers_are_written_are_no_changes() {
    let text = edited("score.toml", "weight_ceiling = 10.0", "# higher?\n\nweight_ceiling   = 10");
    assert_eq!(changes(&text), []);
    let mut text = embedded();
    text.files.reverse();
    assert_eq!(changes(&text), []);
}

#[test]
fn programmes_come_and_go_whole() {
    let mut text = embedded();
    text.files.retain(|(path, _)| path != "programmes/trust_purchase.toml");
    text.files.push(("programmes/new_moon.toml".into(), "name = 'x'\nscenes = [\"live\"]".into()));
    text.files.push(("README.md".into(), "not policy".into()));
    let changed = changes(&text);
    let kinds: Vec<(ChangeKind, &str)> = changed.iter().map(|change| (change.kind, change.path.as_str())).collect();
    assert_eq!(kinds, [(ChangeKind::Added, "programmes/new_moon"), (ChangeKind::Removed, "programmes/trust_purchase")]);
    assert_eq!(changed[0].after, "{ name = \"x\", scenes = [\"live\"] }");
    assert!(changed[1].before.contains("eligibility"), "{:?}", changed[1]);
}

#[test]
fn an_expression_is_shown_before_and_after() {
    let changed = changes(&edited("programmes/kuai_brand.toml", "trust.score >= 55", "trust.score >= 56"));
    assert_eq!(changed[0].path, "programmes/kuai_brand: eligibility");
    let lines = ["\n", "merchant.kind == \"kuai_brand\" && trust.score >= 56 &&\n"];
    assert!(changed[0].after.starts_with(&format!("\"\"\"{}", lines.concat())), "{}", changed[0].after);
}

#[test]
fn tables_that_share_a_name_are_compared_by_position() {
    let text = |body: &str| PolicyText { source: String::new(), files: vec![("rights.toml".into(), body.into())] };
    let before = text("a = [{ id = \"x\", v = 1 }, { id = \"x\", v = 2 }]");
    let after = text("a = [{ id = \"x\", v = 1 }, { id = \"x\", v = 3 }, { id = \"y\" }]");
    let changed = diff(&before, &after).expect("TOML");
    let paths: Vec<&str> = changed.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["rights: a[1].v", "rights: a[2]"]);
}

#[test]
fn what_is_not_toml_is_named_with_its_line() {
    let problems =
        diff(&embedded(), &edited("score.toml", "weight_ceiling = 10.0", "weight_ceiling =")).expect_err("not TOML");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].file, "score.toml");
    assert!(problems[0].line > 1);
}
