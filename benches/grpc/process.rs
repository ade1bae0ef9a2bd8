//! A server process: started on chosen cores, watched through `/proc`, stopped again.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::echo;
use crate::usage::{self, Usage};

/// Where servers run when they are measured.
pub(crate) const SERVER_CORE: &str = "0";
/// Where clients run then.
pub(crate) const CLIENT_CORE: &str = "1";

const START_LIMIT: Duration = Duration::from_secs(300);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const IDLE_LIMIT: Duration = Duration::from_secs(120);

/// How many cores a server gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// One core and one worker thread: what CPU comparisons use.
    One,
    /// All of the machine, default threads.
    All,
}

/// What to start.
pub(crate) enum Program<'a> {
    /// The binary under test on a data folder.
    Trustflow(&'a Path),
    /// This executable as the echo server, with the files of its answers.
    Echo(&'a [PathBuf]),
}

/// How a start differs from the usual one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tuning {
    /// More arguments: flags of `serve`, or settings of the echo server.
    pub(crate) arguments: Vec<String>,
    /// More environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Another build of the program under test.
    pub(crate) executable: Option<PathBuf>,
}

impl Tuning {
    /// One with more arguments.
    pub(crate) fn arguments(arguments: &[&str]) -> Self {
        Self { arguments: arguments.iter().map(|&word| word.to_owned()).collect(), ..Self::default() }
    }
}

/// A running server.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    /// Where it takes calls.
    pub(crate) address: SocketAddr,
    /// Where it answers metrics; the echo server has none and names its only address.
    pub(crate) http: SocketAddr,
    /// From spawn to its `listening` line.
    pub(crate) start: Duration,
}

impl Process {
    /// Starts a server and waits until it is ready. Its standard error goes to `log`.
    pub(crate) fn start(
        program: &Program<'_>,
        cores: Cores,
        tuning: &Tuning,
        log: &Path,
    ) -> Result<Self, Box<dyn Error>> {
        let executable = match (program, &tuning.executable) {
            (Program::Echo(_), _) => std::env::current_exe()?,
            (Program::Trustflow(_), Some(other)) => other.clone(),
            (Program::Trustflow(_), None) => PathBuf::from(env!("CARGO_BIN_EXE_trustflow")),
        };
        let mut command = match cores {
            Cores::One => pinned(SERVER_CORE, &executable),
            Cores::All => Command::new(&executable),
        };
        match program {
            Program::Trustflow(data) => {
                command.arg("serve").arg("--data").arg(data);
                command.args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--insecure"]);
                // One worker per core is the default: on one core it is stated, unless it is what is tried.
                if cores == Cores::One && !tuning.arguments.iter().any(|word| word == "--worker-threads") {
                    command.args(["--worker-threads", "1"]);
                }
                command.args(&tuning.arguments);
            }
            Program::Echo(answers) => {
                command.arg(echo::FLAG).args(&tuning.arguments).args(*answers);
            }
        }
        command.envs(tuning.environment.iter().map(|(key, value)| (key, value)));
        let stderr = File::options().create(true).append(true).open(log)?;
        let clock = Stopwatch::start();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn()?;
        let address = child.stdout.take().map(BufReader::new).and_then(await_listening);
        let start = clock.elapsed();
        if let Some((address, http)) = address {
            return Ok(Self { child, log: log.to_owned(), address, http, start });
        }
        // It may have ended by itself; either way it must not stay.
        let _ = child.kill();
        let status = child.wait()?;
        Err(format!("{} printed no `listening` line ({status}){}", executable.display(), tail(log)).into())
    }

    /// CPU time used so far, by thread.
    pub(crate) fn usage(&self) -> Result<Usage, Box<dyn Error>> {
        Usage::of(self.child.id()).map_err(|error| format!("{error}{}", tail(&self.log)).into())
    }

    /// CPU time of all threads since the start.
    pub(crate) fn whole_cpu(&self) -> Result<Duration, Box<dyn Error>> {
        usage::whole_life(self.child.id())
    }

    /// Resident memory now, and the most there was, in MiB.
    pub(crate) fn memory_mib(&self) -> Result<(u32, u32), Box<dyn Error>> {
        usage::memory_mib(self.child.id())
    }

    /// Waits until what a load or a start left behind (compaction, closing of a day) has ended: below 2 % of a core
    /// for one second. Control never ends and is not waited for.
    pub(crate) fn await_idle(&self) -> Result<(), Box<dyn Error>> {
        let clock = Stopwatch::start();
        while clock.elapsed() < IDLE_LIMIT {
            let before = self.usage()?;
            thread::sleep(Duration::from_secs(1));
            let used = self.usage()?.since(&before);
            if used.requests + used.others < Duration::from_millis(20) {
                return Ok(());
            }
        }
        eprintln!("  the server was still busy after {} s", IDLE_LIMIT.as_secs());
        Ok(())
    }

    /// Asks it to end and waits for that.
    pub(crate) fn stop(mut self) -> Result<(), Box<dyn Error>> {
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status()?;
        let clock = Stopwatch::start();
        while clock.elapsed() < STOP_LIMIT {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(format!("the server did not end within {} s of SIGTERM{}", STOP_LIMIT.as_secs(), tail(&self.log)).into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that runs on one core.
pub(crate) fn pinned(core: &str, executable: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(executable);
    command
}

/// Keeps the main thread, and all it starts, on the core of clients until it is dropped.
pub(crate) struct OnClientCore {
    before: String,
}

impl OnClientCore {
    pub(crate) fn begin() -> Result<Self, Box<dyn Error>> {
        let last = thread::available_parallelism()?.get() - 1;
        move_to(CLIENT_CORE)?;
        Ok(Self { before: format!("0-{last}") })
    }
}

impl Drop for OnClientCore {
    fn drop(&mut self) {
        // Parts that come later would have one core for what is to have all: better none of them.
        move_to(&self.before).expect("taskset worked before");
    }
}

/// Moves the main thread of this process to some cores.
fn move_to(cores: &str) -> Result<(), Box<dyn Error>> {
    let own = std::process::id().to_string();
    let moved = Command::new("taskset").args(["-cp", cores, &own]).stdout(Stdio::null()).status()?;
    if moved.success() { Ok(()) } else { Err(format!("taskset -cp {cores}: {moved}").into()) }
}

/// Reads the addresses from the `listening` line; a thread drains what follows, so that the server never blocks.
fn await_listening(stdout: BufReader<impl std::io::Read + Send + 'static>) -> Option<(SocketAddr, SocketAddr)> {
    let (found, address) = sync_channel(1);
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let Some(addresses) = line.strip_prefix("listening grpc=") else { continue };
            let (grpc, http) = addresses.split_once(" http=").unwrap_or((addresses, addresses));
            // Only the first one is waited for.
            let _ = found.try_send(grpc.trim().parse().ok().map(|grpc| (grpc, http.trim().parse().unwrap_or(grpc))));
        }
    });
    address.recv_timeout(START_LIMIT).ok().flatten()
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(20).collect();
    if lines.is_empty() {
        return String::from("; its log is empty");
    }
    lines.into_iter().rev().fold(String::from("; the end of its log:"), |all, line| all + "\n  " + line)
}
