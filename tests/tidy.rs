//! The architecture as a test: which room may name which, and what every file owes its reader.
//!
//! ARCHITECTURE.md explains the rooms. A rule that is in the way is changed there and here, in one commit.

mod tidy_tools;

use std::collections::BTreeSet;

use tidy_tools::protos;
use tidy_tools::rust::{self, Token};
use tidy_tools::tree::{SourceFile, extension, rust_files, text_files};

/// Longest file of code, in lines.
const MAX_LINES: usize = 500;

/// What each room may name, beside itself. A room that is not listed fails.
const ROOMS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("trust", &["domain"]),
    ("traffic", &["domain", "trust"]),
    ("policy", &["domain", "trust", "traffic"]),
    ("record", &["domain"]),
    ("demo", &["domain"]),
    ("state", &["domain", "trust", "traffic", "policy"]),
    ("log", &["domain", "record"]),
    ("store", &["domain", "trust", "state", "record", "log"]),
    ("engine", &["domain", "trust", "traffic", "policy", "state", "log", "store", "telemetry", "clock"]),
    ("auth", &["domain", "telemetry", "clock"]),
    ("wire", &["domain", "trust", "traffic", "policy", "state", "store", "engine", "auth", "proto"]),
    ("api", &["domain", "state", "engine", "auth", "wire", "telemetry", "clock", "proto"]),
    ("cli", &["proto"]),
    ("proto", &[]),
    ("clock", &["domain"]),
    ("config", &[]),
    ("telemetry", &["config"]),
    ("tls", &[]),
    ("watched", &[]),
    ("credentials", &["telemetry", "watched"]),
];

/// Where the rooms meet: these name all others.
const TOP: &[&str] = &[
    "access",
    "backtest_tool",
    "backup_tool",
    "boot",
    "policy_tool",
    "policy_watch",
    "preface",
    "token_tool",
    "transport",
    "lib",
    "main",
];

/// Libraries and the only places that may name them: rooms, or files by path.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("tonic", &["wire", "api", "cli", "boot", "transport", "telemetry", "proto"]),
    ("hyper", &["transport", "src/api/front.rs"]),
    ("hyper_util", &["transport"]),
    ("tonic_types", &["wire", "cli", "proto"]),
    ("tonic_health", &["boot"]),
    ("tonic_reflection", &["boot"]),
    ("prost", &["wire", "log", "store", "record", "proto", "src/api/measure.rs"]),
    // Times and field masks are fields of generated messages, and so the client needs them as well.
    ("prost_types", &["wire", "log", "store", "record", "proto", "api", "cli"]),
    ("fjall", &["log", "store"]),
    ("dashmap", &["state"]),
    ("arc_swap", &["state"]),
    // The tests of imports answer as a server would.
    ("axum", &["api", "boot", "src/cli/import/tests.rs"]),
    ("jsonwebtoken", &["auth"]),
    // The node of the state has a module of that name.
    ("ring", &["auth", "src/state/node.rs"]),
    ("subtle", &["auth"]),
    ("tokio_rustls", &["tls", "transport"]),
    ("webpki", &["tls"]),
    ("x509_parser", &["tls"]),
    ("cel", &["policy"]),
    ("governor", &["api"]),
    ("schemars", &["policy"]),
];

/// Rooms that compute: no I/O, nothing asynchronous.
const PURE: &[&str] = &["domain", "trust", "traffic", "policy"];
const IMPURE_WORDS: &[&str] = &["async", "await", "tokio"];
const IMPURE_MODULES: &[&str] = &["fs", "net"];

#[test]
fn rooms_name_only_what_they_may() {
    let rooms: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).chain(TOP.iter().copied()).collect();
    report(rust_files().iter().filter(|file| file.room().is_some()).flat_map(|file| wrong_rooms(file, &rooms)));
}

#[test]
fn libraries_stay_where_they_belong() {
    report(rust_files().iter().filter(|file| file.room().is_some()).flat_map(wrong_libraries));
}

#[test]
fn pure_rooms_do_no_io() {
    report(rust_files().iter().flat_map(impurities));
}

#[test]
fn files_say_what_they_are_and_stay_readable() {
    report(rust_files().iter().flat_map(unreadable));
}

#[test]
fn nothing_is_left_for_later() {
    report(text_files().iter().flat_map(|file| leftovers(&file.path, &file.text)));
}

#[test]
fn no_file_names_a_path_of_somebodys_machine() {
    report(text_files().iter().flat_map(|file| machine_paths(&file.path, &file.text)));
}

#[test]
fn the_public_api_is_commented_and_named_by_the_rules() {
    let files = text_files();
    let public: Vec<_> = files
        .iter()
        .filter(|file| file.path.starts_with("proto/trustflow/v1/") && extension(&file.path) == "proto")
        .collect();
    assert!(!public.is_empty(), "no public protos were found");
    report(public.iter().flat_map(|file| protos::problems(&file.path, &file.text)));
}

fn report(problems: impl Iterator<Item = String>) {
    let problems: Vec<String> = problems.collect();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

fn wrong_rooms(file: &SourceFile, rooms: &BTreeSet<&str>) -> Vec<String> {
    let Some(room) = file.room() else { return Vec::new() };
    if TOP.contains(&room) {
        return Vec::new();
    }
    let Some((_, may)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{}: room `{room}` is not in the table of rooms", file.path)];
    };
    rust::named_rooms(&rust::tokens(&file.text), file.depth())
        .into_iter()
        .filter(|(_, named)| rooms.contains(named) && *named != room && !may.contains(named))
        .map(|(line, named)| format!("{}:{line}: room `{room}` may not name `{named}`", file.path))
        .collect()
}

fn wrong_libraries(file: &SourceFile) -> Vec<String> {
    let Some(room) = file.room() else { return Vec::new() };
    let tokens = rust::tokens(&file.text);
    let wrong = |token: &&Token| {
        let library = LIBRARIES.iter().find(|(library, _)| *library == token.text);
        library.is_some_and(|(_, places)| !places.contains(&room) && !places.contains(&file.path.as_str()))
    };
    let is_path = |at: usize| tokens.get(at).is_some_and(|token| token.text == "::");
    // A path of ours such as `self::tonic` is not the library, nor is a variable of its name.
    let roots = tokens.iter().enumerate().filter(|(at, _)| (*at == 0 || !is_path(at - 1)) && is_path(at + 1));
    roots
        .map(|(_, token)| token)
        .filter(wrong)
        .map(|token| format!("{}:{}: `{}` does not belong in room `{room}`", file.path, token.line, token.text))
        .collect()
}

/// Tests of pure rooms may read files: what is embedded is compared with what it was made from.
fn impurities(file: &SourceFile) -> Vec<String> {
    let is_test = file.path.contains("/tests/") || file.path.ends_with("/tests.rs");
    let Some(room) = file.room().filter(|room| PURE.contains(room) && !is_test) else { return Vec::new() };
    let tokens = rust::tokens(&file.text);
    let words = tokens.iter().filter(|token| IMPURE_WORDS.contains(&token.text)).map(|token| (token.line, token.text));
    let modules = rust::children(&tokens, "std").into_iter().filter(|(_, name)| IMPURE_MODULES.contains(name));
    words
        .chain(modules)
        .map(|(line, name)| format!("{}:{line}: room `{room}` is pure, and so not a place for `{name}`", file.path))
        .collect()
}

fn unreadable(file: &SourceFile) -> Vec<String> {
    let mut problems = Vec::new();
    if !file.text.starts_with("//! ") {
        problems.push(format!("{}:1: the first line must say what the file is for, as a //! line", file.path));
    }
    let lines = file.text.lines().count();
    if lines > MAX_LINES {
        problems.push(format!("{}: {lines} lines; split it at {MAX_LINES}", file.path));
    }
    problems
}

fn leftovers(path: &str, text: &str) -> Vec<String> {
    const MARKS: &[&str] =
        &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!"), concat!("unimpl", "emented!")];
    let marked = |line: &str| MARKS.iter().find(|mark| line.contains(**mark)).copied();
    let lines = (1..).zip(text.lines());
    lines.filter_map(|(number, line)| Some(format!("{path}:{number}: `{}`", marked(line)?))).collect()
}

fn machine_paths(path: &str, text: &str) -> Vec<String> {
    const FOLDERS: &[&str] = &["root", "work", "home", "tmp", "Users"];
    let is_word = |c: char| c.is_alphanumeric() || "_-./~}*".contains(c);
    let names_one = |line: &str| {
        line.match_indices('/').any(|(at, _)| {
            let begins = !line.get(..at).is_some_and(|before| before.ends_with(is_word));
            let after = line.get(at + 1..).unwrap_or_default();
            let is_folder = |folder: &str| {
                let rest = after.strip_prefix(folder);
                rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-'))
            };
            begins && FOLDERS.iter().any(|folder| is_folder(folder))
        })
    };
    let lines = (1..).zip(text.lines());
    lines
        .filter(|(_, line)| names_one(line))
        .map(|(number, line)| format!("{path}:{number}: a path of one machine: {}", line.trim()))
        .collect()
}

/// The checkers find what they are for.
mod checkers {
    use super::{
        MAX_LINES, ROOMS, SourceFile, impurities, leftovers, machine_paths, unreadable, wrong_libraries, wrong_rooms,
    };

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    fn rooms_of(path: &str, text: &str) -> usize {
        wrong_rooms(&file(path, text), &ROOMS.iter().map(|(room, _)| *room).collect()).len()
    }

    #[test]
    fn forbidden_rooms_are_found_however_they_are_named() {
        assert_eq!(rooms_of("src/trust/score.rs", "use crate::policy::Policy;"), 1);
        assert_eq!(rooms_of("src/trust/score.rs", "use crate::{domain::{Day, state}, policy, state::State};"), 2);
        assert_eq!(rooms_of("src/trust/score.rs", "use super::super::state::State;"), 1);
        assert_eq!(rooms_of("src/trust/mod.rs", "use super::{domain, wire};"), 1);
        assert_eq!(rooms_of("src/trust/score.rs", "fn f() -> crate::engine::Engine { g() }"), 1);
        assert_eq!(rooms_of("src/clock.rs", "pub(crate) use super::boot; use crate::wire;"), 1);
        assert_eq!(rooms_of("src/attic/mod.rs", ""), 1, "a room without a rule");
    }

    #[test]
    fn allowed_rooms_comments_and_strings_pass() {
        let text = r##"
            //! crate::state in a comment /* and crate::wire in
            use crate::domain::Day; /* crate::policy /* nested */ crate::wire */
            const TEXT: &str = "crate::engine"; const RAW: &str = r#"crate::api "quoted" "#;
            fn quote<'a>(c: &'a char) -> bool { *c == '"' || *c == '\'' }
            use super::state; // the file trust/state.rs, were there one
        "##;
        assert_eq!(rooms_of("src/trust/score.rs", text), 0);
    }

    #[test]
    fn libraries_out_of_place_are_found() {
        let wrong = |path: &str, text: &str| wrong_libraries(&file(path, text)).len();
        assert_eq!(wrong("src/engine/score.rs", "use tonic::Status;"), 1);
        assert_eq!(wrong("src/wire/status.rs", "use tonic::Status;"), 0);
        assert_eq!(wrong("src/engine/mod.rs", "fn f(m: &dashmap::DashMap<u8, u8>) {}"), 1);
        assert_eq!(wrong("src/api/mod.rs", "use prost::Message;"), 1);
        assert_eq!(wrong("src/api/measure.rs", "use prost::Message;"), 0);
        assert_eq!(wrong("src/state/hot.rs", "use fjall::Database; // dashmap is fine"), 1);
        assert_eq!(wrong("src/state/hot.rs", "fn f(ring: u8) { g(ring) }"), 0, "a variable");
    }

    #[test]
    fn io_in_pure_rooms_is_found() {
        let impure = |path: &str, text: &str| impurities(&file(path, text)).len();
        assert_eq!(impure("src/trust/score.rs", "async fn f() { std::fs::read(\"x\").await }"), 3);
        assert_eq!(impure("src/domain/time.rs", "use std::{fmt, net::IpAddr};"), 1);
        assert_eq!(impure("src/policy/mod.rs", "// async\nuse std::fmt;"), 0);
        assert_eq!(impure("src/engine/mod.rs", "async fn f() {}"), 0);
    }

    #[test]
    fn silent_and_endless_files_are_found() {
        assert_eq!(unreadable(&file("src/x.rs", "use a::b;\n")).len(), 1);
        assert_eq!(unreadable(&file("src/x.rs", "//! What it is for.\n")).len(), 0);
        let endless = format!("//! Long.\n{}", "\n".repeat(MAX_LINES));
        assert_eq!(unreadable(&file("src/x.rs", &endless)).len(), 1);
    }

    #[test]
    fn leftovers_and_machine_paths_are_found() {
        assert_eq!(leftovers("a", concat!("x\n// TO", "DO: later\n")).len(), 1);
        assert_eq!(leftovers("a", "todo = \"deny\"\n").len(), 0);
        for (folder, found) in [("root", 1), ("work", 1), ("home", 1), ("tmp", 1), ("var", 0), ("workers", 0)] {
            let text = format!("cd /{folder}/x");
            assert_eq!(machine_paths("a", &text).len(), found, "{text}");
            assert_eq!(machine_paths("a", &format!("\"/{folder}\"")).len(), found, "{text}");
            assert_eq!(machine_paths("a", &format!("src/{folder}/x http://h/{folder}/y")).len(), 0, "{text}");
        }
    }
}
