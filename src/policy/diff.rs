//! What two policy texts differ in, as their readers mean it: programmes, signals, tiers, not lines.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::{Problem, Problems, Report};
use crate::domain::PolicyText;
use toml::Value;

/// Keys by which the tables of an array are known, in order of preference.
const KEYS: [&str; 2] = ["id", "name"];

/// Most changes that are shown.
const MAX_CHANGES: usize = 10_000;
/// Most bytes of one name in a path, and of one value.
const MAX_NAME: usize = 100;
const MAX_VALUE: usize = 2_000;

/// What happened to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
}

/// One difference of two policy texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// File without its ending, and the path of the value in it: `programmes/kuai_brand: uplift.cases[0].uplift`,
    /// `score: signal[complaint_rate_30d].weight`.
    pub path: String,
    /// The value before, as TOML; empty when it is new.
    pub before: String,
    /// The value after, as TOML; empty when it is gone.
    pub after: String,
}

/// The differences of two texts, by path. Comments, layout, the order of tables that have an id or a name, and how a
/// number is written are none.
///
/// # Errors
/// What is not TOML in either of them.
pub fn diff(before: &PolicyText, after: &PolicyText) -> Result<Vec<Change>, Vec<Problem>> {
    super::size::check_size(before).and_then(|()| super::size::check_size(after))?;
    let mut problems = Problems::default();
    let (before, after) = (parse(before, &mut problems), parse(after, &mut problems));
    if !problems.is_empty() {
        return Err(problems.into_list());
    }
    let mut changes = Vec::new();
    let paths: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    for path in paths {
        let file = path.strip_suffix(".toml").unwrap_or(path);
        compare(file, ": ", (before.get(path), after.get(path)), &mut changes);
    }
    if changes.len() >= MAX_CHANGES {
        let path = format!("more than {MAX_CHANGES} changes: the others are not shown");
        changes.push(Change { kind: ChangeKind::Changed, path, before: String::new(), after: String::new() });
    }
    Ok(changes)
}

/// The TOML files of a text; others are not policy.
fn parse<'a>(text: &'a PolicyText, problems: &mut Problems) -> BTreeMap<&'a str, Value> {
    let mut files = BTreeMap::new();
    for (path, content) in &text.files {
        if path.strip_suffix(".toml").is_some()
            && let Some(table) = Report::new(path, content, problems).read::<toml::Table>()
        {
            files.insert(path.as_str(), Value::Table(table));
        }
    }
    files
}

/// Compares two values under a path; `joint` stands between the path and the name of a part.
fn compare(path: &str, joint: &str, values: (Option<&Value>, Option<&Value>), changes: &mut Vec<Change>) {
    if changes.len() >= MAX_CHANGES {
        return;
    }
    let (kind, before, after) = match values {
        (None, None) => return,
        (Some(before), None) => (ChangeKind::Removed, inline(before), String::new()),
        (None, Some(after)) => (ChangeKind::Added, String::new(), inline(after)),
        (Some(Value::Table(before)), Some(Value::Table(after))) => {
            let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for name in names {
                compare(
                    &format!("{path}{joint}{}", clipped(name, MAX_NAME)),
                    ".",
                    (before.get(name), after.get(name)),
                    changes,
                );
            }
            return;
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) if has_tables(before) && has_tables(after) => {
            return compare_tables(path, before, after, changes);
        }
        (Some(before), Some(after)) if equal(before, after) => return,
        (Some(before), Some(after)) => (ChangeKind::Changed, inline(before), inline(after)),
    };
    let shown = |value: String| clipped(&value, MAX_VALUE).into_owned();
    changes.push(Change { kind, path: path.to_owned(), before: shown(before), after: shown(after) });
}

/// The beginning of a text that is longer than so many bytes.
fn clipped(text: &str, most: usize) -> std::borrow::Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default()).into()
}

fn has_tables(array: &[Value]) -> bool {
    array.iter().all(Value::is_table)
}

/// Compares arrays of tables: by id or name where every table has one of its own, else by position.
fn compare_tables(path: &str, before: &[Value], after: &[Value], changes: &mut Vec<Change>) {
    let keyed = KEYS.iter().find_map(|key| Some((by_key(before, key)?, by_key(after, key)?)));
    if let Some((before, after)) = keyed {
        let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        for name in names {
            let values = (before.get(name).copied(), after.get(name).copied());
            compare(&format!("{path}[{}]", clipped(name, MAX_NAME)), ".", values, changes);
        }
        return;
    }
    for index in 0..before.len().max(after.len()) {
        compare(&format!("{path}[{index}]"), ".", (before.get(index), after.get(index)), changes);
    }
}

/// The tables by the value of a key; none unless each has one of its own.
fn by_key<'a>(array: &'a [Value], key: &str) -> Option<BTreeMap<&'a str, &'a Value>> {
    let mut tables = BTreeMap::new();
    for table in array {
        if tables.insert(table.get(key)?.as_str()?, table).is_some() {
            return None;
        }
    }
    Some(tables)
}

/// Whether two values mean the same: 1 and 1.0 do.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Integer(a), Value::Float(b)) | (Value::Float(b), Value::Integer(a)) => {
            // Text to text: a whole number that a float cannot hold is another one.
            a.to_string() == b.to_string()
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Table(a), Value::Table(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}

/// A value on one line, as TOML.
fn inline(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let parts: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            if parts.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", parts.join(", ")) }
        }
        Value::Array(array) => format!("[{}]", array.iter().map(inline).collect::<Vec<_>>().join(", ")),
        // Quotes inside an expression read better in a text of single quotes.
        Value::String(text) if text.contains('"') && !text.contains(['\'', '\n']) => format!("'{text}'"),
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
            value.to_string()
        }
    }
}
