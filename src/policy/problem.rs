//! What is wrong with a policy text: where, and what to do about it.

use std::fmt;

/// One thing that is wrong with a policy text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path inside the policy folder.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub suggestion: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.file, self.line, self.message, self.suggestion)
    }
}
