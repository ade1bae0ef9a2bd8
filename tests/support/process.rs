//! The real program as a process that can be killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running server.
pub(crate) struct Process {
    child: Child,
    /// Where it takes calls.
    pub(crate) address: String,
}

impl Process {
    /// Starts the program on a data folder and waits until it serves.
    pub(crate) fn start(data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trustflow"));
        command.arg("serve").arg("--data").arg(data).args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        // Nothing is trimmed: the whole log is replayed at the end.
        command.args(["--log-retain", "1000000000", "--close-days", "false", "--log", "error"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("its first line");
        let address = line.split_whitespace().find_map(|word| word.strip_prefix("grpc=")).map(ToOwned::to_owned);
        Self { child, address: address.unwrap_or_else(|| panic!("it says where it listens: {line:?}")) }
    }

    /// Kills it: SIGKILL, nothing is flushed or finished.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A test that failed leaves no server behind; one that was killed is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
