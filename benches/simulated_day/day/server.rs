//! The real server: started on a data folder and simulated time, asked, killed.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::transport::{Channel, Endpoint};
use trustflow::clock::Stopwatch;
use trustflow::domain::Timestamp;
use trustflow::proto::GetStatusRequest;
use trustflow::proto::admin_service_client::AdminServiceClient;

use super::Outcome;
use super::audit::timestamp;

/// A call that takes longer has hung.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(300);

/// Simulated time as this process knows it: the server started its clock after the spawn, and told its state time when it
/// was asked. On a clock that runs fast the time between the two is long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SimulatedTime {
    base: Timestamp,
    rate: f64,
    spawned: Stopwatch,
    /// What it had come to at least when it was asked, and when that was.
    asked: (Timestamp, Stopwatch),
}

impl SimulatedTime {
    /// The server's clock shows this or a later time.
    pub(crate) fn at_least(&self) -> Timestamp {
        let (from, since) = self.asked;
        self.after(from, since)
    }

    /// The server's clock shows this or an earlier time.
    pub(crate) fn at_most(&self) -> Timestamp {
        self.after(self.base, self.spawned)
    }

    fn after(&self, from: Timestamp, since: Stopwatch) -> Timestamp {
        from.plus_ms((since.elapsed().as_secs_f64() * 1e3 * self.rate) as i64)
    }
}

/// What a server is started with.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// The data folder.
    pub(crate) data: PathBuf,
    /// The folder of the policy; none for the one that is built in.
    pub(crate) policy: Option<PathBuf>,
    /// Where the server logs to.
    pub(crate) log: PathBuf,
    /// More arguments of `serve`.
    pub(crate) args: Vec<String>,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it takes calls.
    #[allow(dead_code, reason = "the soak connects again and again, the simulated day once")]
    pub(crate) grpc: String,
    /// Where it answers metrics.
    pub(crate) http: String,
    /// The connection of this life.
    pub(crate) channel: Channel,
    /// Its clock.
    pub(crate) time: SimulatedTime,
    /// From the spawn to its first line.
    pub(crate) start: Duration,
}

impl Server {
    /// Starts it and waits until it serves.
    pub(crate) async fn start(site: &Site, now: Timestamp, rate: f64) -> Outcome<Self> {
        let base = jiff::Timestamp::from_millisecond(now.0)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_trustflow"));
        command.env_clear().arg("serve").arg("--data").arg(&site.data);
        command.args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--insecure"]);
        command.args(["--now", &base.to_string(), "--clock-rate", &rate.to_string()]);
        // Nothing is trimmed: the whole log is replayed at the end.
        command.args(["--log-retain", "1000000000", "--log", "info,fjall=warn,lsm_tree=warn"]).args(&site.args);
        if let Some(policy) = &site.policy {
            command.arg("--policy").arg(policy);
        }
        let log = File::options().create(true).append(true).open(&site.log)?;
        let spawned = Stopwatch::start();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let stdout = child.stdout.take().ok_or("no pipe")?;
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).map(|_| line)
        });
        let line = tokio::time::timeout(START_LIMIT, read).await???;
        let start = spawned.elapsed();
        let word = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name)).map(ToOwned::to_owned);
        let (Some(grpc), Some(http)) = (word("grpc="), word("http=")) else {
            child.wait()?;
            return Err(format!("the server did not start; its log: {}", tail(&site.log)).into());
        };
        let endpoint = Endpoint::from_shared(format!("http://{grpc}"))?.timeout(CALL_LIMIT);
        let channel = endpoint.connect().await?;
        let status = AdminServiceClient::new(channel.clone()).get_status(GetStatusRequest {}).await?.into_inner();
        let shown = status.state_time.as_ref().map_or(now, timestamp).max(now);
        let time = SimulatedTime { base: now, rate, spawned, asked: (shown, Stopwatch::start()) };
        Ok(Self { child, grpc, http, channel, time, start })
    }

    /// Kills it: SIGKILL, nothing is flushed or finished. Answers the time from which the next life must go on.
    pub(crate) fn kill(&mut self) -> Outcome<Timestamp> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(self.time.at_most())
    }

    /// Resident memory, MiB; 0 where the system does not say.
    pub(crate) fn resident_mib(&self) -> u64 {
        self.resident_kib() / 1_024
    }

    /// Resident memory, KiB; 0 where the system does not say.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
    }

    /// The metrics page.
    pub(crate) async fn metrics(&self) -> Outcome<String> {
        let mut stream = tokio::net::TcpStream::connect(&self.http).await?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A run that failed leaves no server behind; one that was killed is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
