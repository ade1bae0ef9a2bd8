//! Policies that are wrong in different ways, each with all that is said about it; and policies made to harm.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use trustflow::domain::PolicyText;
use trustflow::policy::{Dictionary, compile};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies").join(name)
}

/// The TOML files below a folder, by path inside it.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                let name = path.strip_prefix(folder).expect("inside").to_string_lossy().replace('\\', "/");
                found.insert(name, fs::read_to_string(&path).expect("text"));
            }
        }
    }
    found
}

fn text(files: BTreeMap<String, String>) -> PolicyText {
    PolicyText { source: "test".to_owned(), files: files.into_iter().collect() }
}

fn said(text: &PolicyText) -> Vec<String> {
    let mut dictionary = Dictionary::default();
    match compile(text, 1, &mut dictionary) {
        Ok(_) => Vec::new(),
        Err(problems) => {
            assert_eq!(dictionary, Dictionary::default(), "the dictionary is untouched");
            problems.iter().map(ToString::to_string).collect()
        }
    }
}

#[test]
fn the_base_is_right() {
    assert_eq!(said(&text(files(&folder("base")))), Vec::<String>::new());
}

/// Each folder of `bad` holds the files that differ from `base`, and what is said in `expected.txt`. With UPDATE=1 in
/// the environment that file is written anew: read it before you commit it.
#[test]
fn all_that_is_wrong_is_said() {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(folder("bad")).expect("bad").map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    assert!(folders.len() >= 24, "{} bad policies", folders.len());
    let mut wrong = Vec::new();
    for bad in folders {
        let mut all = files(&folder("base"));
        all.extend(files(&bad));
        let found = said(&text(all)).join("\n") + "\n";
        let expected = bad.join("expected.txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, &found).expect("written");
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if found != wanted || found.trim().is_empty() {
            wrong.push(format!("{}\nfound:\n{found}expected:\n{wanted}", bad.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
