//! CPU time and memory of a process, from `/proc`.
//!
//! Figures per call count the threads that serve requests. What others do (control, leases, the writer, compaction)
//! goes on whether or not calls come, and is reported apart: beside few calls it would look like their cost.

use std::error::Error;
use std::fs;
use std::time::Duration;

/// The threads of the runtime that serves requests, as the kernel names them.
const REQUEST_THREADS: &str = "tokio-rt-worker";
/// Threads that are never idle for long: waiting for them would take forever.
const ALWAYS_AWAKE: [&str; 3] = ["control", "solver", "leases"];
/// The kernel's unit in `/proc/PID/stat`.
const TICK: Duration = Duration::from_millis(10);

/// CPU time used so far, by thread.
pub(crate) struct Usage(Vec<Thread>);

struct Thread {
    id: String,
    name: String,
    nanos: u64,
}

/// CPU time between two moments.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// Threads that serve requests.
    pub(crate) requests: Duration,
    /// Threads that are always awake.
    pub(crate) control: Duration,
    /// All other threads.
    pub(crate) others: Duration,
}

impl Cpu {
    /// Everything but the threads that serve requests.
    pub(crate) fn background(self) -> Duration {
        self.control + self.others
    }

    /// All threads.
    pub(crate) fn total(self) -> Duration {
        self.requests + self.background()
    }

    /// Adds what was used in another span.
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.control += other.control;
        self.others += other.others;
    }
}

impl Usage {
    /// Of a running process.
    pub(crate) fn of(pid: u32) -> Result<Self, Box<dyn Error>> {
        let mut threads = Vec::new();
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?;
            // A thread may end while the folder is read.
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            let Ok(name) = fs::read_to_string(task.path().join("comm")) else { continue };
            let running = text.split_whitespace().next().ok_or("empty schedstat")?;
            let id = task.file_name().to_string_lossy().into_owned();
            threads.push(Thread { id, name: name.trim().to_owned(), nanos: running.parse()? });
        }
        if threads.iter().all(|thread| thread.nanos == 0) {
            return Err("the kernel keeps no schedstat, or the process is gone".into());
        }
        Ok(Self(threads))
    }

    /// What was used since an earlier moment. A thread that ended in between is left out.
    pub(crate) fn since(&self, before: &Self) -> Cpu {
        let mut cpu = Cpu::default();
        for thread in &self.0 {
            let earlier = before.0.iter().find(|earlier| earlier.id == thread.id).map_or(0, |earlier| earlier.nanos);
            let used = Duration::from_nanos(thread.nanos.saturating_sub(earlier));
            match thread.name.as_str() {
                REQUEST_THREADS => cpu.requests += used,
                name if ALWAYS_AWAKE.contains(&name) => cpu.control += used,
                _ => cpu.others += used,
            }
        }
        cpu
    }
}

/// CPU time of a process since it began, threads that have ended included.
pub(crate) fn whole_life(pid: u32) -> Result<Duration, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold blanks. After it, user and system time are the 12th and 13th field.
    let (_, fields) = stat.rsplit_once(')').ok_or("a stat without a name")?;
    let mut times = fields.split_whitespace().skip(11);
    let mut ticks = || -> Result<u32, Box<dyn Error>> { Ok(times.next().ok_or("a short stat")?.parse()?) };
    Ok(TICK * (ticks()? + ticks()?))
}

/// Resident memory now, and the most there was, in MiB.
pub(crate) fn memory_mib(pid: u32) -> Result<(u32, u32), Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mib = |key: &str| -> Result<u32, Box<dyn Error>> {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).ok_or_else(|| format!("no {key}"))?;
        let kib: u32 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1_024)
    };
    Ok((mib("VmRSS:")?, mib("VmHWM:")?))
}
