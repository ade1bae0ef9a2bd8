//! The real program: started, asked, stopped; killed when a test forgets it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use trustflow::clock::Stopwatch;

use super::{Client, PATIENCE};

/// The program, with an environment that cannot change what it does.
pub fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trustflow"));
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn run(args: &[&str]) -> Output {
    finish(program(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
}

/// Waits for a child's end, kills it when it takes too long.
pub fn finish(child: Child) -> Output {
    finish_within(child, PATIENCE)
}

/// Waits for the end of a child that may take long.
pub fn finish_within(mut child: Child, patience: Duration) -> Output {
    let stdout = collect(child.stdout.take().expect("a pipe"));
    let stderr = collect(child.stderr.take().expect("a pipe"));
    let status = wait(&mut child, patience);
    Output { status, stdout: stdout.join().expect("no panic"), stderr: stderr.join().expect("no panic") }
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks ends what can be read of it.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

fn wait(child: &mut Child, patience: Duration) -> ExitStatus {
    let waited = Stopwatch::start();
    loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return status;
        }
        if waited.elapsed() > patience {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
            unreachable!("the program did not end in time and was killed");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A serving program.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    pub grpc: SocketAddr,
    pub http: SocketAddr,
}

impl Process {
    /// Serves a folder on free ports, unless `args` name others. The error is what it said when it ended instead.
    pub fn serve(data: &Path, args: &[&str]) -> Result<Self, String> {
        let data = data.to_str().expect("a path");
        let fixed = ["serve", "--data", data, "--http", "127.0.0.1:0"];
        let listen = if args.contains(&"--listen") { &[][..] } else { &["--listen", "127.0.0.1:0"] };
        let mut command = program(&[&fixed, listen, args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let stderr = collect(child.stderr.take().expect("a pipe"));
        let (sender, lines) = sync_channel(100);
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        if let Ok(line) = lines.recv_timeout(PATIENCE) {
            let (grpc, http) = addresses(&line);
            return Ok(Self { child, lines, stderr: Some(stderr), grpc, http });
        }
        let status = wait(&mut child, PATIENCE);
        assert!(!status.success(), "it ended without having served");
        Err(String::from_utf8_lossy(&stderr.join().expect("no panic")).into_owned())
    }

    /// Serves on simulated time that stands still.
    pub fn simulated(data: &Path, now: &str) -> Self {
        Self::serve(data, &["--now", now, "--clock-rate", "0"]).expect("it serves")
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.grpc).await
    }

    /// The address as the command line wants it.
    pub fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().expect("kill");
        assert!(sent.success());
    }

    /// Waits for its end; answers how it ended and what it logged.
    pub fn end(mut self) -> (ExitStatus, String) {
        let status = wait(&mut self.child, PATIENCE);
        let log = self.stderr.take().map(|log| log.join().expect("no panic")).unwrap_or_default();
        (status, String::from_utf8_lossy(&log).into_owned())
    }

    /// Stops it in an orderly way. Waits beside the clients' connections, which have a part in an orderly end.
    pub async fn stop(self) {
        self.signal("TERM");
        let (status, log) = tokio::task::spawn_blocking(|| self.end()).await.expect("no panic");
        assert!(status.success(), "{log}");
        assert!(!log.contains("still in flight"), "nothing was in flight: {log}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The addresses of the line `listening grpc=ADDR http=ADDR`.
fn addresses(line: &str) -> (SocketAddr, SocketAddr) {
    let words: Vec<&str> = line.split(' ').collect();
    let ["listening", grpc, http] = words.as_slice() else { unreachable!("not the line that scripts read: {line:?}") };
    let address =
        |word: &str, name: &str| word.strip_prefix(name).and_then(|address| address.parse().ok()).expect("an address");
    (address(grpc, "grpc="), address(http, "http="))
}

/// The status line and body of a GET.
pub async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let answer = async {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("HTTP listens");
        let mut request = String::new();
        let _ = write!(request, "GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("an answer");
        text
    };
    let text = tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time");
    let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status code");
    (code, body.to_owned())
}
