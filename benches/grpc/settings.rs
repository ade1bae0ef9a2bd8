//! One setting at a time, changed from the default: what it does to CPU per call and to calls a second.
//!
//! Settings of the server are tried on the server; those of the transport that are no settings of it, on the echo
//! server, where they are a larger part of the whole.

use std::error::Error;
use std::path::PathBuf;

use tokio::runtime::Runtime;

use crate::args::{Args, Load};
use crate::compare::Comparison;
use crate::load::{CONNECTIONS, fresh};
use crate::process::{Cores, Process, Program, Tuning};
use crate::report::Report;
use crate::score::{real_answer, requests, write_answer, write_bodies};
use crate::site::Site;

/// Targets of a call, and calls of a run.
const SIZES: [(usize, u32); 2] = [(1, 32_000), (200, 16_000)];
/// Times that all connections are opened anew.
const OPENINGS: u32 = 50;

/// Flags of `serve`.
const SERVER_FLAGS: [(&str, &[&str]); 6] = [
    ("none: the noise of this table", &[]),
    ("2 worker threads on one core", &["--worker-threads", "2"]),
    ("8 streams of a connection at a time", &["--max-concurrent-streams", "8"]),
    ("1,024 streams of a connection at a time", &["--max-concurrent-streams", "1024"]),
    ("control off", &["--control-ms", "0"]),
    ("control every 500 ms", &["--control-ms", "500"]),
];

/// Environment of the server: settings of its allocator.
const ALLOCATOR: [(&str, (&str, &str)); 3] = [
    ("mimalloc keeps freed memory", ("MIMALLOC_PURGE_DELAY", "-1")),
    ("mimalloc returns freed memory at once", ("MIMALLOC_PURGE_DELAY", "0")),
    ("mimalloc asks for large pages", ("MIMALLOC_ALLOW_LARGE_OS_PAGES", "1")),
];

/// Settings of the echo server.
const TRANSPORT: [(&str, &str); 10] = [
    ("none: the noise of this table", "workers=1"),
    ("2 worker threads on one core", "workers=2"),
    ("single-threaded runtime", "runtime=current-thread"),
    ("windows of 64 KiB, as HTTP/2 begins", "windows=65535"),
    ("windows that adapt", "adaptive-windows=true"),
    ("frames of up to 64 KiB", "frame=65536"),
    ("frames of up to 1 MiB", "frame=1048576"),
    ("1,024 streams of a connection at a time", "streams=1024"),
    ("keepalive pings every 30 s", "keepalive-s=30"),
    ("Nagle's algorithm on (nodelay off)", "nodelay=false"),
];

pub(crate) const PART: &str = "settings";
pub(crate) const TITLE: &str = "One setting changed at a time";
pub(crate) const HEAD: [&str; 7] = [
    "server",
    "change",
    "targets",
    "load",
    "default us",
    "CPU ratio min / median / max",
    "calls/s ratio min / median / max",
];
pub(crate) const OPEN_TITLE: &str = "A new connection (what a maximum connection age costs each time)";
pub(crate) const OPEN_HEAD: [&str; 2] = ["server", "us of CPU per connection with one call"];

/// Tries everything.
pub(crate) fn run(
    args: &Args,
    runtime: &Runtime,
    site: &Site,
    merchants: u32,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    eprintln!("changing settings with {merchants} merchants");
    let twin = site.twin()?;
    let server = site.start(Cores::One)?;
    server.await_idle()?;
    let mut answers = Vec::new();
    for (targets, _) in SIZES {
        let answer = runtime.block_on(real_answer(&server, &requests(merchants, targets)))?;
        answers.push(write_answer(site.path(), "settings", &answer)?);
    }
    let subject = Subject { args, site, merchants };
    let mut trials = Vec::new();
    for (name, flags) in SERVER_FLAGS {
        trials.push((name.to_owned(), Tuning::arguments(flags)));
    }
    for (name, (key, value)) in ALLOCATOR {
        let environment = vec![(key.to_owned(), value.to_owned())];
        trials.push((name.to_owned(), Tuning { environment, ..Tuning::default() }));
    }
    if let Some(path) = &args.against {
        let tuning = Tuning { executable: Some(path.clone()), ..Tuning::default() };
        trials.push((format!("another build: {}", path.file_name().unwrap_or_default().display()), tuning));
    }
    for (name, tuning) in trials {
        let changed = twin.start_tuned(Cores::One, &tuning)?;
        changed.await_idle()?;
        subject.compare("trustflow", &name, [&server, &changed], Load::Fresh, report)?;
        changed.stop()?;
    }
    subject.connections("trustflow", &server, report)?;
    server.stop()?;

    let echo = subject.echo(&answers, &Tuning::default())?;
    for (name, change) in TRANSPORT {
        let changed = subject.echo(&answers, &Tuning::arguments(&[change]))?;
        subject.compare("echo", name, [&echo, &changed], Load::Repeated, report)?;
        changed.stop()?;
    }
    subject.connections("echo", &echo, report)?;
    echo.stop()
}

struct Subject<'a> {
    args: &'a Args,
    site: &'a Site,
    merchants: u32,
}

impl Subject<'_> {
    fn echo(&self, answers: &[PathBuf], tuning: &Tuning) -> Result<Process, Box<dyn Error>> {
        Process::start(&Program::Echo(answers), Cores::One, tuning, &self.site.path().join("echo.log"))
    }

    /// Adds a row per size: the second server against the first.
    fn compare(
        &self,
        name: &str,
        change: &str,
        [default, changed]: [&Process; 2],
        load: Load,
        report: &mut Report,
    ) -> Result<(), Box<dyn Error>> {
        for (targets, calls) in SIZES {
            let requests = requests(self.merchants, targets);
            let bodies = write_bodies(self.site.path(), &format!("settings-{targets}"), &requests)?;
            let comparison = Comparison {
                yardstick: default,
                target: changed,
                load,
                targets,
                live_rooms: self.merchants,
                calls: if self.args.quick { calls / 4 } else { calls },
                bodies: &bodies,
            };
            let figures = comparison.run(self.args.runs)?;
            report.row(
                TITLE,
                vec![
                    name.to_owned(),
                    change.to_owned(),
                    targets.to_string(),
                    load.name().to_owned(),
                    format!("{:.2}", figures.yardstick.median),
                    figures.pairs.text(3),
                    figures.speed.text(3),
                ],
            );
        }
        Ok(())
    }

    /// What connecting costs: every connection makes one small call and ends.
    fn connections(&self, name: &str, server: &Process, report: &mut Report) -> Result<(), Box<dyn Error>> {
        let before = server.usage()?;
        for seed in 0..OPENINGS {
            fresh(server.address, CONNECTIONS, 1, self.merchants, u64::from(seed))?;
        }
        let used = server.usage()?.since(&before);
        // The thread that accepts is not one of the runtime.
        let micros = used.total().saturating_sub(used.control).as_secs_f64() * 1e6 / f64::from(OPENINGS * CONNECTIONS);
        report.row(OPEN_TITLE, vec![name.to_owned(), format!("{micros:.0}")]);
        Ok(())
    }
}
