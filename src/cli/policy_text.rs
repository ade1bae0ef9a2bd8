//! Policies, their problems and differences as text and JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::table::{Side, Table};
use super::time::instant_text;
use crate::proto::{
    ListPolicyVersionsResponse, PolicyChange, PolicyChangeKind, PolicyFile, PolicyProblem, PolicyState, PolicyVersion,
};

/// Every problem on a line: `file:line: message; suggestion`.
pub(super) fn problems(problems: &[PolicyProblem]) -> String {
    let line = |problem: &PolicyProblem| {
        let PolicyProblem { file, line, message, suggestion } = problem;
        if *line == 0 {
            format!("{file}: {message}; {suggestion}")
        } else {
            format!("{file}:{line}: {message}; {suggestion}")
        }
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn problems_json(problems: &[PolicyProblem]) -> Value {
    let problem = |problem: &PolicyProblem| {
        json!({
            "file": problem.file, "line": problem.line, "message": problem.message, "suggestion": problem.suggestion,
        })
    };
    problems.iter().map(problem).collect()
}

pub(super) fn state_word(state: PolicyState) -> String {
    state.as_str_name().trim_start_matches("POLICY_STATE_").to_ascii_lowercase()
}

pub(super) fn version_json(version: &PolicyVersion) -> Value {
    let switch = version.last_switch.as_ref().map(|switch| {
        json!({
            "at": instant_text(switch.at.as_ref()), "author": switch.author, "reason": switch.reason,
            "revision": switch.revision,
        })
    });
    json!({
        "version": version.version, "state": state_word(version.state()), "hash": version.hash,
        "author": version.author, "comment": version.comment, "source": version.source,
        "published_at": version.published_at.as_ref().map(|at| instant_text(Some(at))),
        "revision": version.revision,
        "effective_at": version.effective_at.as_ref().map(|at| instant_text(Some(at))),
        "last_switch": switch,
    })
}

/// A table of versions.
pub(super) fn versions(answer: &ListPolicyVersionsResponse) -> String {
    let mut table = Table::new(&[
        ("version", Side::Right),
        ("state", Side::Left),
        ("published", Side::Left),
        ("by", Side::Left),
        ("hash", Side::Left),
        ("comment", Side::Left),
    ]);
    for version in &answer.versions {
        let by = if version.author.is_empty() { &version.source } else { &version.author };
        let mut state = state_word(version.state());
        if let Some(at) = &version.effective_at {
            let _ = write!(state, " for {}", instant_text(Some(at)));
        }
        let mut comment = version.comment.lines().next().unwrap_or_default().to_owned();
        if let Some(switch) = &version.last_switch {
            let _ = write!(comment, " (again {}: {})", instant_text(switch.at.as_ref()), switch.reason);
        }
        let published = instant_text(version.published_at.as_ref());
        let hash = version.hash.chars().take(12).collect();
        table.row(vec![version.version.to_string(), state, published, by.clone(), hash, comment.trim().to_owned()]);
    }
    format!("{}etag {}\n", table.text(), answer.etag)
}

/// A version with its files, each under its path.
pub(super) fn whole(version: &PolicyVersion, files: &[PolicyFile]) -> String {
    let mut text = format!("# version {}, {}, hash {}\n", version.version, state_word(version.state()), version.hash);
    for file in files {
        let _ = write!(text, "\n# ==== {} ====\n{}", file.path, file.content);
        if !file.content.ends_with('\n') {
            text.push('\n');
        }
    }
    text
}

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const YELLOW: &str = "\u{1b}[33m";
const PLAIN: &str = "\u{1b}[0m";

/// A change on a line, with a mark in front: `+` new, `-` gone, `~` another.
pub(super) fn changes(changes: &[PolicyChange], is_coloured: bool) -> String {
    if changes.is_empty() {
        return "no differences".to_owned();
    }
    let paint = |colour: &str, text: &str| {
        if is_coloured { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
    };
    let line = |change: &PolicyChange| {
        let PolicyChange { path, before, after, .. } = change;
        match change.kind() {
            PolicyChangeKind::Added => paint(GREEN, &format!("+ {path} = {after}")),
            PolicyChangeKind::Removed => paint(RED, &format!("- {path} = {before}")),
            PolicyChangeKind::Changed | PolicyChangeKind::Unspecified => {
                format!("{} = {} → {}", paint(YELLOW, &format!("~ {path}")), paint(RED, before), paint(GREEN, after))
            }
        }
    };
    changes.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn changes_json(changes: &[PolicyChange]) -> Value {
    let change = |change: &PolicyChange| {
        let kind = change.kind().as_str_name().trim_start_matches("POLICY_CHANGE_KIND_").to_ascii_lowercase();
        json!({"kind": kind, "path": change.path, "before": change.before, "after": change.after})
    };
    json!({"changes": changes.iter().map(change).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::{changes, problems};
    use crate::proto::{PolicyChange, PolicyChangeKind, PolicyProblem};

    #[test]
    fn changes_are_marked_and_coloured_on_request() {
        let change = |kind: PolicyChangeKind, before: &str, after: &str| PolicyChange {
            kind: kind.into(),
            path: "score: cache_ttl_ms".into(),
            before: before.into(),
            after: after.into(),
        };
        let all = [
            change(PolicyChangeKind::Added, "", "1"),
            change(PolicyChangeKind::Removed, "1", ""),
            change(PolicyChangeKind::Changed, "1", "2"),
        ];
        let plain = "+ score: cache_ttl_ms = 1\n- score: cache_ttl_ms = 1\n~ score: cache_ttl_ms = 1 → 2";
        assert_eq!(changes(&all, false), plain);
        assert!(changes(&all, true).contains("\u{1b}[32m2\u{1b}[0m"));
        assert_eq!(changes(&[], true), "no differences");
    }

    #[test]
    fn problems_stand_on_lines_that_editors_understand() {
        let problem = |line| PolicyProblem {
            file: "score.toml".into(),
            line,
            message: "wrong".into(),
            suggestion: "mend it".into(),
        };
        assert_eq!(problems(&[problem(3), problem(0)]), "score.toml:3: wrong; mend it\nscore.toml: wrong; mend it");
    }
}
