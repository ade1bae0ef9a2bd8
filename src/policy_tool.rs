//! Policy folders: reading one, and checking one without a server.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::cli::PolicyFolder;
use crate::domain::PolicyText;
use crate::policy::{self, Dictionary, MAX_BYTES, MAX_FILES, Problem};
use crate::proto::{PolicyFile, PolicyProblem};

/// Folders below the policy folder, which has one level: links that lead back to it end here.
const MAX_DEPTH: usize = 3;

/// The TOML files below a folder, by path. Names that begin with a dot are left out: editors keep their copies there,
/// and a mounted `ConfigMap` the folders that its links point to.
///
/// # Errors
/// What cannot be read.
pub fn read_folder(folder: &Path) -> Result<PolicyText, Vec<Problem>> {
    let mut reader = Reader { folder, files: Vec::new(), bytes: 0, problems: Vec::new() };
    reader.read_below(folder, 0);
    let Reader { mut files, problems, .. } = reader;
    if !problems.is_empty() {
        return Err(problems);
    }
    files.sort();
    Ok(PolicyText { source: folder.display().to_string(), files })
}

struct Reader<'a> {
    folder: &'a Path,
    files: Vec<(String, String)>,
    bytes: u64,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn read_below(&mut self, folder: &Path, depth: usize) {
        let entries = std::fs::read_dir(folder).and_then(|entries| {
            let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>, std::io::Error>>()?;
            paths.sort();
            Ok(paths)
        });
        let entries = match entries {
            Ok(entries) => entries,
            Err(cause) => return self.unreadable(folder, &cause),
        };
        for path in entries {
            let is_hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
            if is_hidden || self.is_too_much(folder) {
                continue;
            }
            if path.is_dir() {
                if depth < MAX_DEPTH {
                    self.read_below(&path, depth + 1);
                }
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                self.read_file(&path);
            }
        }
    }

    /// Whether more was found than a policy may have; says so once.
    fn is_too_much(&mut self, folder: &Path) -> bool {
        let is_too_much = self.files.len() > MAX_FILES || self.bytes > MAX_BYTES as u64;
        if is_too_much && self.problems.is_empty() {
            let message = "holds more files or bytes than a policy may".to_owned();
            self.problem(folder, 0, message, format!("a policy has at most {MAX_FILES} files and {MAX_BYTES} bytes"));
        }
        is_too_much
    }

    fn read_file(&mut self, path: &Path) {
        // Counted before it is read: a file of gigabytes must not fill the memory.
        let (size, is_file) = match std::fs::metadata(path) {
            Ok(metadata) => (metadata.len(), metadata.is_file()),
            // A link to nothing, or a file that went away while the folder was listed.
            Err(cause) => return self.unreadable(path, &cause),
        };
        if !is_file {
            let suggestion = "name files and links to files only".to_owned();
            return self.problem(path, 0, "neither a file nor a link to one".to_owned(), suggestion);
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.is_too_much(path) {
            return;
        }
        match std::fs::read(path).map(String::from_utf8) {
            Ok(Ok(text)) => self.files.push((self.name(path), text)),
            Ok(Err(error)) => {
                let valid = error.utf8_error().valid_up_to();
                let before = error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count();
                let line = u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
                self.problem(path, line, "not UTF-8".to_owned(), "save the file as UTF-8".to_owned());
            }
            Err(cause) => self.unreadable(path, &cause),
        }
    }

    fn unreadable(&mut self, path: &Path, cause: &std::io::Error) {
        let remedies = [
            (ErrorKind::NotFound, "create it, or name another folder"),
            (ErrorKind::PermissionDenied, "let the user that reads it do so"),
            (ErrorKind::NotADirectory, "name the folder, not a file"),
        ];
        let remedy = remedies.iter().find(|(kind, _)| *kind == cause.kind());
        let remedy = remedy.map_or("look at the disk", |(_, remedy)| remedy);
        self.problem(path, 0, format!("cannot be read: {cause}"), remedy.to_owned());
    }

    fn problem(&mut self, path: &Path, line: u32, message: String, suggestion: String) {
        self.problems.push(Problem { file: self.name(path), line, message, suggestion });
    }

    /// The path inside the folder; the folder's own name for itself.
    fn name(&self, path: &Path) -> String {
        let inside = path.strip_prefix(self.folder).ok().filter(|inside| !inside.as_os_str().is_empty());
        inside.unwrap_or(path).to_string_lossy().replace('\\', "/")
    }
}

/// What the client does with policy folders.
#[must_use]
pub fn client_side() -> PolicyFolder {
    PolicyFolder {
        read: |folder| {
            let text = read_folder(folder).map_err(to_proto)?;
            Ok(text.files.into_iter().map(|(path, content)| PolicyFile { path, content }).collect())
        },
        check: |folder| {
            let text = read_folder(folder).map_err(to_proto)?;
            let compiled = policy::compile(&text, 1, &mut Dictionary::default());
            compiled.map(|_| text.files.len()).map_err(to_proto)
        },
        describe: |folder| {
            let text = read_folder(folder).map_err(to_proto)?;
            let compiled = policy::compile(&text, 1, &mut Dictionary::default());
            compiled.map(|policy| policy::catalogue(&policy)).map_err(to_proto)
        },
        schemas: policy::schemas,
    }
}

fn to_proto(problems: Vec<Problem>) -> Vec<PolicyProblem> {
    let problem = |Problem { file, line, message, suggestion }| PolicyProblem { file, line, message, suggestion };
    problems.into_iter().map(problem).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::read_folder;

    #[test]
    fn hidden_names_and_other_files_are_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("programmes")).expect("made");
        fs::create_dir(at("..data")).expect("made");
        for name in ["score.toml", "programmes/a.toml", "README.md", ".score.toml.swp.toml", "..data/score.toml"] {
            fs::write(at(name), name).expect("written");
        }
        let text = read_folder(folder.path()).expect("reads");
        let names: Vec<&str> = text.files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(names, ["programmes/a.toml", "score.toml"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = folder.path().join("nothing");
        let problems = read_folder(&missing).expect_err("nothing there");
        assert!(problems[0].file.ends_with("nothing") && problems[0].message.contains("cannot be read"));
        fs::write(folder.path().join("score.toml"), b"a\nb\xff").expect("written");
        let problems = read_folder(folder.path()).expect_err("not UTF-8");
        assert_eq!((problems[0].file.as_str(), problems[0].line), ("score.toml", 2));
    }

    #[test]
    fn links_in_a_circle_end() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("score.toml"), "").expect("written");
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).expect("a link");
        assert!(read_folder(folder.path()).is_ok_and(|text| text.files.len() < 10));
    }

    #[test]
    fn too_much_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..300 {
            fs::write(folder.path().join(format!("{number}.toml")), "").expect("written");
        }
        let problems = read_folder(folder.path()).expect_err("too much");
        assert_eq!(problems.len(), 1, "{problems:?}");
    }
}
