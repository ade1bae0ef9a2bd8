//! The one place that writes to the terminal: results to stdout, remarks to stderr.

use std::io::{ErrorKind, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::error::CliError;

/// Writes a result to stdout, ending it with a newline. A reader that went away (`| head`) is no error.
pub(crate) fn result(text: &str) -> Result<(), CliError> {
    let ended = if text.ends_with('\n') { "" } else { "\n" };
    part(&[text, ended].concat()).map(drop)
}

/// Writes a part of a result to stdout; answers whether somebody reads on.
pub(crate) fn part(text: &str) -> Result<bool, CliError> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CliError::Output(error)),
    }
}

/// Writes a result as JSON for a program, indented for a person.
pub(crate) fn json(value: &serde_json::Value) -> Result<(), CliError> {
    result(&format!("{value:#}"))
}

/// Whether results go to a person's terminal.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Writes a remark to stderr; that it cannot be written is nobody's error.
pub(crate) fn remark(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A progress bar on stderr; nothing when stderr is no terminal.
pub(crate) fn progress(total: u64, what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let template = "{msg} [{bar:32}] {human_pos}/{human_len} {elapsed} (left: {eta})";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(what);
    bar
}
