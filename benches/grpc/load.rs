//! Drives Score calls from another core and checks that each was answered.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::fresh;
use crate::process::{CLIENT_CORE, pinned};
use crate::redis;

/// The method that is measured.
pub(crate) const SCORE_PATH: &str = "/trustflow.v1.ScoringService/Score";
/// The method of slates.
pub(crate) const ALLOCATE_PATH: &str = "/trustflow.v1.ScoringService/Allocate";
/// Connections of a run.
pub(crate) const CONNECTIONS: u32 = 4;
/// Calls in flight on each.
pub(crate) const STREAMS: u32 = 8;

/// What a run sent and got.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sent {
    /// Calls answered.
    pub(crate) calls: u32,
    /// Bytes of answers, with their gRPC prefixes.
    pub(crate) answer_bytes: u64,
}

/// Sends `calls` of one body with h2load.
pub(crate) fn repeated(address: SocketAddr, body: &Path, calls: u32) -> Result<Sent, Box<dyn Error>> {
    repeated_at(address, SCORE_PATH, body, calls)
}

/// The same for a method by its path.
pub(crate) fn repeated_at(address: SocketAddr, path: &str, body: &Path, calls: u32) -> Result<Sent, Box<dyn Error>> {
    let mut command = pinned(CLIENT_CORE, Path::new("h2load"));
    command.args(["-n", &calls.to_string(), "-c", &CONNECTIONS.to_string(), "-m", &STREAMS.to_string(), "-d"]);
    command.arg(body);
    command.args(["-H", "content-type: application/grpc", "-H", "te: trailers"]);
    command.arg(format!("http://{address}{path}"));
    let sent = parse_h2load(&output(&mut command)?)?;
    if sent.calls == calls {
        Ok(sent)
    } else {
        Err(format!("h2load: {} of {calls} calls succeeded", sent.calls).into())
    }
}

/// Reads h2load's summary: calls that succeeded with 2xx, and bytes of data.
fn parse_h2load(summary: &str) -> Result<Sent, Box<dyn Error>> {
    let line = |start: &str| {
        let found = summary.lines().find_map(|line| line.strip_prefix(start));
        found.ok_or_else(|| format!("h2load printed no `{start}` line:\n{summary}"))
    };
    let number_before = |line: &str, word: &str| -> Result<u32, Box<dyn Error>> {
        let part =
            line.split(", ").find_map(|part| part.strip_suffix(word)).ok_or_else(|| format!("no{word} in {line}"))?;
        Ok(part.trim().parse()?)
    };
    let succeeded = number_before(line("requests:")?, " succeeded")?;
    let answered = number_before(line("status codes:")?, " 2xx")?;
    let data =
        line("traffic:")?.split(", ").find(|part| part.ends_with(" data")).ok_or("no data in the traffic line")?;
    let bytes = data.split(['(', ')']).nth(1).ok_or("no byte count in the traffic line")?;
    Ok(Sent { calls: succeeded.min(answered), answer_bytes: bytes.parse()? })
}

/// Sends `calls` of random ids each, from this executable run again on the client's core.
pub(crate) fn fresh(
    address: SocketAddr,
    calls: u32,
    targets: usize,
    live_rooms: u32,
    seed: u64,
) -> Result<Sent, Box<dyn Error>> {
    let text = again(fresh::FLAG, address, [&calls, &targets, &live_rooms, &seed])?;
    let (calls, answer_bytes) = text.trim().split_once(' ').ok_or("the load client printed no summary")?;
    Ok(Sent { calls: calls.parse()?, answer_bytes: answer_bytes.parse()? })
}

/// The same for MGET of random keys.
pub(crate) fn redis(
    address: SocketAddr,
    calls: u32,
    targets: usize,
    keys: u32,
    seed: u64,
) -> Result<(), Box<dyn Error>> {
    again(redis::FLAG, address, [&calls, &targets, &keys, &seed]).map(|_| ())
}

fn again(flag: &str, address: SocketAddr, numbers: [&dyn ToString; 4]) -> Result<String, Box<dyn Error>> {
    let mut command = pinned(CLIENT_CORE, &std::env::current_exe()?);
    command.args([flag, &address.to_string()]).args(numbers.map(ToString::to_string));
    output(&mut command)
}

fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}\n{stdout}{stderr}", output.status).into())
}
