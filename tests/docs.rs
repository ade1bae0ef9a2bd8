//! The documentation says what the program does: reasons, metrics, settings, mapping keys, links.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use trustflow::config::{ServeArgs, Settings};
use trustflow::wire::Reason;

fn path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(file: &str) -> String {
    fs::read_to_string(path(file)).expect(file)
}

/// The cells of the rows of all tables of a page, without headings and backticks around a cell's only word.
fn rows(page: &str) -> Vec<Vec<String>> {
    let lines = page.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    let cell = |cell: &str| cell.trim().trim_matches('`').to_owned();
    lines.map(|line| line.trim_matches('|').split(" |").map(cell).collect()).collect()
}

/// `InvalidArgument` → `INVALID_ARGUMENT`.
fn screaming(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(c.to_uppercase());
    }
    text
}

#[test]
fn every_reason_is_documented_with_its_code() {
    let table = rows(&text("docs/errors.md"));
    let documented: BTreeMap<&str, &str> = table.iter().skip(1).map(|row| (row[0].as_str(), row[1].as_str())).collect();
    let sent: BTreeMap<&str, String> =
        Reason::ALL.iter().map(|(reason, code)| (reason.name(), screaming(&format!("{code:?}")))).collect();
    let sent: BTreeMap<&str, &str> = sent.iter().map(|(reason, code)| (*reason, code.as_str())).collect();
    assert_eq!(documented, sent);
    assert!(table.iter().all(|row| row.len() == 4 && row.iter().all(|cell| !cell.is_empty())), "an empty cell");
}

/// Metrics that the source names: name → type.
fn metrics_of(source: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for kind in ["counter", "gauge", "histogram"] {
        for (at, begin) in source.match_indices(&format!("{kind}!(\"")) {
            let name = source.get(at + begin.len()..).and_then(|rest| rest.split('"').next()).expect("a name");
            found.insert((name.to_owned(), kind.to_owned()));
        }
    }
    found
}

#[test]
fn every_metric_is_documented_with_its_type() {
    let source = text("src/telemetry.rs") + &text("src/telemetry/access.rs") + &text("src/telemetry/control.rs");
    let named = metrics_of(&source);
    assert_eq!(source.matches("\"trustflow_").count(), source.matches("!(\"trustflow_").count(), "named otherwise");
    let table = rows(&text("docs/metrics.md"));
    let documented: BTreeSet<_> = table.iter().skip(1).map(|row| (row[0].clone(), row[1].clone())).collect();
    assert_eq!(documented, named);
}

/// Keys of the settings, those without a default included.
fn settings_keys() -> BTreeSet<String> {
    let (file, text) = (|| Some(PathBuf::from("f")), || Some("t".to_owned()));
    let settings = Settings {
        policy: file(),
        record: file(),
        now: text(),
        tls_cert: file(),
        tls_key: file(),
        tls_client_ca: file(),
        tokens: file(),
        jwks: file(),
        jwt_issuer: text(),
        jwt_audience: text(),
        ..Settings::default()
    };
    let table: toml::Table = settings.to_toml().expect("settings print").parse().expect("they read back");
    table.keys().cloned().collect()
}

#[test]
fn every_setting_is_documented() {
    let table = rows(&text("docs/operations.md"));
    let documented: BTreeMap<_, _> =
        table.iter().skip(1).filter(|row| !row[0].is_empty()).map(|row| (row[0].clone(), row)).collect();
    assert_eq!(documented.keys().cloned().collect::<BTreeSet<_>>(), settings_keys());
    for (key, row) in documented {
        assert_eq!(row[1], format!("--{}", key.replace('_', "-")));
        assert_eq!(row[2], format!("TRUSTFLOW_{}", key.to_uppercase()));
    }
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let defaults: toml::Table = Settings::default().to_toml().expect("settings print").parse().expect("they read back");
    for row in rows(&text("docs/operations.md")).iter().skip(1) {
        let Some(value) = defaults.get(&row[0]) else { continue };
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        assert_eq!(row[3], value.trim_end_matches(".0"), "{}", row[0]);
    }
}

#[test]
fn the_settings_file_to_start_from_reads_and_names_every_setting() {
    let args = ServeArgs { config: Some(path("deploy/trustflow.toml")), ..ServeArgs::default() };
    let settings = Settings::load(&args).expect("the file reads");
    let defaults = Settings::default();
    let changed = Settings { data: defaults.data.clone(), log_format: defaults.log_format, ..settings };
    assert_eq!(changed, defaults, "all else is the default");
    let file = text("deploy/trustflow.toml");
    let named = |key: &str| file.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")));
    for key in settings_keys() {
        assert!(named(&key), "{key} is missing");
    }
}

#[test]
fn every_key_of_a_mapping_is_documented() {
    let mapping: toml::Table = text("src/cli/olist.toml").parse().expect("the mapping reads");
    let page = text("docs/orders-import.md");
    for (key, value) in &mapping {
        let keys = if key == "columns" || key == "sellers" { value.as_table() } else { None };
        for key in keys.map_or_else(|| vec![key], |table| table.keys().collect()) {
            assert!(page.contains(&format!("`{key}`")) || page.contains(&format!(".{key}`")), "{key} is missing");
        }
    }
}

/// With UPDATE=1 in the environment (`just docs`) the files are written anew.
#[test]
fn schemas_for_editors_are_those_of_the_types() {
    let schemas = trustflow::policy::schemas();
    for (name, schema) in &schemas {
        let file = format!("policy/schema/{name}.json");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(path(&file), schema).expect("written");
        }
        let current = fs::read_to_string(path(&file)).unwrap_or_default();
        assert_eq!(current, *schema, "{file} is old: run `just docs`");
    }
    let count = fs::read_dir(path("policy/schema")).expect("the folder").count();
    assert_eq!(count, schemas.len(), "a schema of nothing");
}

#[test]
fn keys_of_policy_files_are_described() {
    fn undescribed(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
        let Some(object) = value.as_object() else { return };
        if let Some(keys) = object.get("properties").and_then(serde_json::Value::as_object) {
            let bare = keys.iter().filter(|(_, schema)| schema.get("description").is_none());
            found.extend(bare.map(|(key, _)| format!("{at}.{key}")));
        }
        object.iter().for_each(|(key, inner)| undescribed(inner, &format!("{at}.{key}"), found));
    }
    let mut found = Vec::new();
    for (name, schema) in trustflow::policy::schemas() {
        undescribed(&serde_json::from_str(&schema).expect("JSON"), name, &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn shipped_policy_files_name_their_schema() {
    for (file, _) in trustflow::policy::embedded().files {
        let first = text(&format!("policy/default/{file}"));
        let schema = first.lines().next().and_then(|line| line.strip_prefix("#:schema ")).unwrap_or_default();
        let folder = path("policy/default").join(&file);
        assert!(folder.parent().expect("a folder").join(schema).is_file(), "{file} names no schema");
    }
}

#[test]
fn the_catalogue_of_programmes_is_the_policy() {
    let mut dictionary = trustflow::policy::Dictionary::default();
    let policy = trustflow::policy::compile(&trustflow::policy::embedded(), 1, &mut dictionary).expect("it compiles");
    let page = trustflow::policy::catalogue(&policy);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path("docs/programmes.md"), &page).expect("written");
    }
    assert!(text("docs/programmes.md") == page, "docs/programmes.md is old: run `just docs`");
    for programme in &policy.programmes {
        assert!(page.contains(&format!("### {} {}\n", programme.name, programme.name_zh)), "{}", programme.id);
    }
}

/// Targets of the links of a page, without those to other sites.
fn links(page: &str) -> Vec<&str> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).collect()
}

/// The anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.replace(' ', "-").chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
}

#[test]
fn links_lead_somewhere() {
    let docs = fs::read_dir(path("docs")).expect("docs").map(|entry| entry.expect("an entry").path());
    let docs = docs.filter(|file| file.extension().is_some_and(|extension| extension == "md"));
    let docs = docs.map(|file| format!("docs/{}", file.file_name().expect("a name").to_string_lossy()));
    for page in docs.chain(["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(str::to_owned)) {
        for link in links(&text(&page)) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = path(&page).parent().expect("a folder").join(file);
            assert!(target.exists(), "{page}: {link} leads nowhere");
            let has_heading = || {
                let target = fs::read_to_string(&target).expect("a page");
                target.lines().any(|line| line.starts_with('#') && anchor(line) == heading)
            };
            assert!(heading.is_empty() || has_heading(), "{page}: {link}: no such heading");
        }
    }
}

#[test]
fn the_readers_of_pages_read() {
    assert_eq!(rows("| a | b |\n|---|---|\n| `x` | 1 |\n"), [["a", "b"], ["x", "1"]]);
    assert_eq!(links("[a](b.md) [c](https://d) [e](#f)"), ["b.md", "#f"]);
    assert_eq!(anchor("## Poisoned writes"), "poisoned-writes");
    assert_eq!(screaming("ResourceExhausted"), "RESOURCE_EXHAUSTED");
    let source = "gauge!(\"a\").set(1.0); counter!(\"b\", \"l\" => x)";
    let expected = [("a", "gauge"), ("b", "counter")].map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    assert_eq!(metrics_of(source), expected.into());
}
