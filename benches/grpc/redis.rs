//! Redis beside trustflow on the same core: MGET of as many keys as Score has targets, values as large as a record.
//!
//! A store that is asked for ready scores still leaves the weighing to its caller. Both get random ids of the same
//! population, with as many connections and calls in flight.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use trustflow::traffic::MerchantRecord;

use crate::args::Args;
use crate::load::{CONNECTIONS, STREAMS, fresh, redis as load};
use crate::population::Random;
use crate::process::{Cores, Process, SERVER_CORE, pinned};
use crate::report::{Bar, Report, Spread};
use crate::site::Site;
use crate::usage::Usage;

/// The first argument that turns the executable into the client.
pub(crate) const FLAG: &str = "--redis-load";

/// Keys of a call, and calls of a run.
const TARGETS: usize = 200;
const CALLS: u32 = 16_000;
/// Bytes of a value: what Score needs of a merchant.
const VALUE: usize = size_of::<MerchantRecord>();
/// Keys of one MSET.
const FILL: u32 = 1_000;
/// Waits of this length for a server that starts.
const START_POLL: Duration = Duration::from_millis(20);
const START_POLLS: u32 = 500;
/// Redis's CPU against ours that is promised.
const GATE: f64 = 6.0;

pub(crate) const PART: &str = "redis";
pub(crate) const TITLE: &str = "Redis MGET against Score with full scoring, 200 ids, same core";
pub(crate) const HEAD: [&str; 6] =
    ["keys", "bytes of a value", "MGET us", "Score us", "MGET / Score min / median / max", "keys/s/core of MGET"];

/// Measures both in turns, or says that Redis is missing.
pub(crate) fn run(args: &Args, site: &Site, merchants: u32, report: &mut Report) -> Result<(), Box<dyn Error>> {
    if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
        report.note(PART, "SKIPPED: redis: redis-server is not installed".to_owned());
        return Ok(());
    }
    eprintln!("comparing with Redis, {merchants} keys");
    let redis = Redis::start(site.path())?;
    redis.fill(merchants)?;
    let server = site.start(Cores::One)?;
    server.await_idle()?;
    let calls = if args.quick { CALLS / 4 } else { CALLS };
    // Once uncounted: caches fill.
    of_redis(&redis, calls / 4, merchants, 0)?;
    of_server(&server, calls / 4, merchants, 0)?;
    let (mut mget, mut score, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for (_, seed) in (0..args.runs).zip(1_u64..) {
        // Who goes first alternates, so that a drift of the machine favours neither.
        let (one, other) = if seed.is_multiple_of(2) {
            let one = of_redis(&redis, calls, merchants, seed)?;
            (one, of_server(&server, calls, merchants, seed)?)
        } else {
            let other = of_server(&server, calls, merchants, seed)?;
            (of_redis(&redis, calls, merchants, seed)?, other)
        };
        mget.push(one);
        score.push(other);
        ratios.push(one / other);
    }
    server.stop()?;
    let (mget, score, ratios) = (Spread::of(mget), Spread::of(score), Spread::of(ratios));
    let keys = f64::from(u32::try_from(TARGETS)?) / mget.median;
    report.row(
        TITLE,
        vec![
            merchants.to_string(),
            VALUE.to_string(),
            format!("{:.2}", mget.median),
            format!("{:.2}", score.median),
            ratios.text(2),
            format!("{keys:.1} M"),
        ],
    );
    let what = format!("CPU of Redis MGET against Score, {TARGETS} ids, {merchants} merchants");
    report.bar(PART, Bar::at_least(what, ratios.median, "x", GATE));
    Ok(())
}

/// Microseconds of Redis's CPU per MGET, all threads.
fn of_redis(redis: &Redis, calls: u32, keys: u32, seed: u64) -> Result<f64, Box<dyn Error>> {
    let before = Usage::of(redis.child.id())?;
    load(redis.address, calls, TARGETS, keys, seed)?;
    let used = Usage::of(redis.child.id())?.since(&before).total();
    Ok(used.as_secs_f64() * 1e6 / f64::from(calls))
}

/// Microseconds of the server's CPU per Score.
fn of_server(server: &Process, calls: u32, live_rooms: u32, seed: u64) -> Result<f64, Box<dyn Error>> {
    let before = server.usage()?;
    fresh(server.address, calls, TARGETS, live_rooms, seed)?;
    let used = server.usage()?.since(&before).requests;
    Ok(used.as_secs_f64() * 1e6 / f64::from(calls))
}

/// A Redis without persistence, on the server's core.
struct Redis {
    child: Child,
    address: SocketAddr,
}

impl Redis {
    fn start(folder: &Path) -> Result<Self, Box<dyn Error>> {
        // Redis cannot pick a free port by itself.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = pinned(SERVER_CORE, Path::new("redis-server"));
        command.args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "no", "--dir"]).arg(folder);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let redis = Self { child, address };
        for _ in 0..START_POLLS {
            if TcpStream::connect(address).is_ok() {
                return Ok(redis);
            }
            thread::sleep(START_POLL);
        }
        Err("redis-server does not answer".into())
    }

    /// A value under every key.
    fn fill(&self, keys: u32) -> Result<(), Box<dyn Error>> {
        let mut stream = TcpStream::connect(self.address)?;
        let mut random = Random::new(11);
        let mut answer = [0; 5];
        for first in (0..keys).step_by(usize::try_from(FILL)?) {
            let range = first..keys.min(first + FILL);
            let mut out = Vec::new();
            write!(out, "*{}\r\n$4\r\nMSET\r\n", 1 + 2 * range.len())?;
            for index in range {
                word(&mut out, key(index).as_bytes())?;
                let value: Vec<u8> = (0..VALUE).map(|_| u8::try_from(random.below(256)).unwrap_or_default()).collect();
                word(&mut out, &value)?;
            }
            stream.write_all(&out)?;
            stream.read_exact(&mut answer)?;
            if &answer != b"+OK\r\n" {
                return Err(format!("MSET answered {:?}", String::from_utf8_lossy(&answer)).into());
            }
        }
        Ok(())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn key(index: u32) -> String {
    format!("merchant:{}", 1_000_000 + u64::from(index))
}

/// A word as the protocol of Redis frames it.
fn word(out: &mut Vec<u8>, bytes: &[u8]) -> std::io::Result<()> {
    write!(out, "${}\r\n", bytes.len())?;
    out.extend(bytes);
    out.extend(b"\r\n");
    Ok(())
}

/// The client. Arguments: address, calls, keys per call, keys, seed.
pub(crate) fn client(words: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = words.collect();
    let [address, calls, targets, keys, seed] = words.as_slice() else {
        return Err("the client of Redis takes five arguments".into());
    };
    let (address, calls, targets): (SocketAddr, u32, usize) = (address.parse()?, calls.parse()?, targets.parse()?);
    let (keys, seed): (u32, u64) = (keys.parse()?, seed.parse()?);
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let share = calls / CONNECTIONS + u32::from(number < calls % CONNECTIONS);
            let random = Random::new(seed.wrapping_mul(0x1000).wrapping_add(u64::from(number)));
            thread::spawn(move || drive(address, share, targets, keys, random).map_err(|error| error.to_string()))
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a connection's thread panicked")??;
    }
    Ok(())
}

/// Keeps several calls in flight. Every answer has the same length: all keys exist.
fn drive(address: SocketAddr, calls: u32, targets: usize, keys: u32, mut random: Random) -> Result<(), Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let head = format!("*{targets}\r\n").len();
    let value = format!("${VALUE}\r\n").len() + VALUE + 2;
    let answer = head + targets * value;
    let (mut started, mut answered, mut received) = (0, 0, 0);
    let mut chunk = vec![0; 256 * 1024];
    let mut out = Vec::new();
    while answered < calls {
        while started < calls && started - answered < STREAMS {
            write!(out, "*{}\r\n$4\r\nMGET\r\n", 1 + targets)?;
            for _ in 0..targets {
                word(&mut out, key(random.below(keys)).as_bytes())?;
            }
            started += 1;
        }
        stream.write_all(&out)?;
        out.clear();
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err("redis-server closed the connection".into());
        }
        received += read;
        answered += u32::try_from(received / answer)?;
        received %= answer;
    }
    if received == 0 { Ok(()) } else { Err("an answer of another length: a key is missing".into()) }
}
