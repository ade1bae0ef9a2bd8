//! How large a policy text may be: refused before anything is parsed.

use super::problem::Problem;
use crate::domain::PolicyText;

/// Most files.
pub const MAX_FILES: usize = 256;
/// Most bytes of one file.
const MAX_FILE_BYTES: usize = 1 << 20;
/// Most bytes of all files and their paths.
pub const MAX_BYTES: usize = 4 << 20;
/// Longest path.
const MAX_PATH_BYTES: usize = 255;

/// Checks count, sizes and paths of the files of a policy, whatever is in them.
///
/// # Errors
/// The files that are too large or whose paths lead elsewhere; the first limit of the whole that is broken.
pub fn check_size(text: &PolicyText) -> Result<(), Vec<Problem>> {
    let whole = |message: String, suggestion: &str| {
        Err(vec![Problem { file: String::new(), line: 1, message, suggestion: suggestion.to_owned() }])
    };
    if text.files.len() > MAX_FILES {
        let message = format!("{} files, at most {MAX_FILES} are read", text.files.len());
        return whole(message, "a policy is a few fixed files and one a programme");
    }
    let bytes = text
        .files
        .iter()
        .fold(0_usize, |sum, (path, content)| sum.saturating_add(path.len()).saturating_add(content.len()));
    if bytes > MAX_BYTES {
        return whole(
            format!("{bytes} bytes in all, at most {MAX_BYTES} are read"),
            "move lists of members to enrolments",
        );
    }
    let problems: Vec<Problem> = text.files.iter().filter_map(|(path, content)| wrong(path, content)).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn wrong(path: &str, content: &str) -> Option<Problem> {
    let problem = |message: String, suggestion: &str| {
        // A path that is not sane is not printed whole.
        let file: String = path.chars().filter(|c| !c.is_control()).take(80).collect();
        Some(Problem { file, line: 1, message, suggestion: suggestion.to_owned() })
    };
    if path.is_empty() || path.len() > MAX_PATH_BYTES {
        return problem(format!("path of {} bytes", path.len()), "paths have 1 to 255 bytes");
    }
    if path.chars().any(char::is_control) {
        return problem("path with control characters".to_owned(), "use letters, digits, _, . and /");
    }
    let leaves = path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.contains(['\\', ':']);
    if leaves {
        return problem(
            "path that leads out of the folder".to_owned(),
            "write it relative, with / and without `.` and `..`",
        );
    }
    if content.len() > MAX_FILE_BYTES {
        return problem(format!("file of {} bytes", content.len()), "files have at most 1 MiB");
    }
    None
}
