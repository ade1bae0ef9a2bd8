//! CPU time of two servers under the same load, in turns.

use std::error::Error;
use std::path::{Path, PathBuf};

use crate::args::Load;
use crate::clock::Stopwatch;
use crate::load::{Sent, fresh, repeated};
use crate::process::Process;
use crate::report::Spread;
use crate::usage::Cpu;

/// Two servers under one load.
pub(crate) struct Comparison<'a> {
    /// What the target is held against.
    pub(crate) yardstick: &'a Process,
    pub(crate) target: &'a Process,
    pub(crate) load: Load,
    pub(crate) targets: usize,
    pub(crate) live_rooms: u32,
    pub(crate) calls: u32,
    /// Bodies for h2load, one per slice of a run.
    pub(crate) bodies: &'a [PathBuf],
}

/// What came out: microseconds of CPU per call, of the threads that serve requests.
pub(crate) struct Figures {
    pub(crate) yardstick: Spread,
    pub(crate) target: Spread,
    /// Target against yardstick, run by run.
    pub(crate) pairs: Spread,
    /// The target's other threads meanwhile, per call.
    pub(crate) background: Spread,
    /// Calls a second of the target against the yardstick.
    pub(crate) speed: Spread,
}

impl Comparison<'_> {
    /// Measures both in turns, so many times.
    pub(crate) fn run(&self, runs: usize) -> Result<Figures, Box<dyn Error>> {
        for slice in self.slices(0) {
            self.send(self.yardstick, &slice)?;
            self.send(self.target, &slice)?;
        }
        self.target.await_idle()?;
        let (mut yardstick, mut target, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        let (mut background, mut speed) = (Vec::new(), Vec::new());
        for (_, seed) in (0..runs).zip(1_u64..) {
            let (mut one, mut other) = (Used::default(), Used::default());
            for slice in self.slices(seed) {
                // Who goes first alternates, so that a drift of the machine favours neither.
                if slice.yardstick_first {
                    self.measure(self.yardstick, &slice, &mut one)?;
                    self.measure(self.target, &slice, &mut other)?;
                } else {
                    self.measure(self.target, &slice, &mut other)?;
                    self.measure(self.yardstick, &slice, &mut one)?;
                }
            }
            check_equal_size(one.sent, other.sent)?;
            yardstick.push(one.micros_per_call());
            target.push(other.micros_per_call());
            pairs.push(other.micros_per_call() / one.micros_per_call());
            background.push(other.background_micros_per_call());
            speed.push(one.seconds / other.seconds);
        }
        Ok(Figures {
            yardstick: Spread::of(yardstick),
            target: Spread::of(target),
            pairs: Spread::of(pairs),
            background: Spread::of(background),
            speed: Spread::of(speed),
        })
    }

    /// The parts of a run: one body of h2load each, or other ids.
    fn slices(&self, run: u64) -> impl Iterator<Item = Slice<'_>> {
        self.bodies.iter().zip(0_u64..).map(move |(body, number)| Slice {
            body,
            seed: run * 1_000 + number,
            yardstick_first: (run + number).is_multiple_of(2),
        })
    }

    fn measure(&self, server: &Process, slice: &Slice<'_>, used: &mut Used) -> Result<(), Box<dyn Error>> {
        let before = server.usage()?;
        let clock = Stopwatch::start();
        let sent = self.send(server, slice)?;
        used.seconds += clock.elapsed().as_secs_f64();
        used.cpu.add(server.usage()?.since(&before));
        used.sent.calls += sent.calls;
        used.sent.answer_bytes += sent.answer_bytes;
        Ok(())
    }

    fn send(&self, server: &Process, slice: &Slice<'_>) -> Result<Sent, Box<dyn Error>> {
        let calls = self.calls / u32::try_from(self.bodies.len())?;
        match self.load {
            Load::Repeated => repeated(server.address, slice.body, calls),
            Load::Fresh => fresh(server.address, calls, self.targets, self.live_rooms, slice.seed),
        }
    }
}

/// A part of a run that both servers get.
struct Slice<'a> {
    body: &'a Path,
    seed: u64,
    yardstick_first: bool,
}

/// What one server used in a run.
#[derive(Default)]
struct Used {
    cpu: Cpu,
    sent: Sent,
    seconds: f64,
}

impl Used {
    fn micros_per_call(&self) -> f64 {
        self.cpu.requests.as_secs_f64() * 1e6 / f64::from(self.sent.calls)
    }

    fn background_micros_per_call(&self) -> f64 {
        self.cpu.background().as_secs_f64() * 1e6 / f64::from(self.sent.calls)
    }
}

/// A refused call is answered with 200 and no data: bytes tell. Sizes differ a little, labels are varints.
fn check_equal_size(yardstick: Sent, target: Sent) -> Result<(), Box<dyn Error>> {
    let slack = yardstick.answer_bytes / 10;
    if yardstick.calls == target.calls && yardstick.answer_bytes.abs_diff(target.answer_bytes) <= slack {
        return Ok(());
    }
    Err(format!("the answers are not alike: {yardstick:?}, {target:?}").into())
}
