//! The files of this repository.

use std::fs;
use std::path::Path;

/// Folders that hold no files of ours.
const SKIPPED: &[&str] = &["target", ".git", "data"];
/// Files that people write and read.
const TEXTS: &[&str] = &["rs", "proto", "toml", "md", "json", "py", "yml", "yaml", "service", ""];

/// A file and its text.
pub(crate) struct SourceFile {
    /// Path below the repository, with slashes.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

impl SourceFile {
    /// The room it belongs to: the folder below `src`, or a file directly in it.
    pub(crate) fn room(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        let first = below.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first))
    }

    /// How many modules deep it is below the crate.
    pub(crate) fn depth(&self) -> usize {
        let path = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        path.matches('/').count()
    }
}

/// The extension of a path; empty without one.
pub(crate) fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.trim_start_matches('.').rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Every Rust file: sources, tests, benches, the build script.
pub(crate) fn rust_files() -> Vec<SourceFile> {
    let files: Vec<_> = text_files().into_iter().filter(|file| extension(&file.path) == "rs").collect();
    assert!(files.len() > 100, "only {} Rust files were found", files.len());
    files
}

/// Every text file.
pub(crate) fn text_files() -> Vec<SourceFile> {
    let mut files = Vec::new();
    collect(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut files);
    files
}

fn collect(folder: &Path, below: &str, files: &mut Vec<SourceFile>) {
    let entries = fs::read_dir(folder).expect("a folder of the repository reads");
    let mut entries: Vec<_> = entries.map(|entry| entry.expect("an entry reads")).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let kind = entry.file_type().expect("a file type");
        if below.is_empty() && SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            collect(&entry.path(), &path, files);
        } else if kind.is_file()
            && TEXTS.contains(&extension(&name))
            // What is not text has no lines to judge.
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            files.push(SourceFile { path, text });
        }
    }
}
