//! A whole platform at several sizes: imported, restarted, scored, a day closed, re-scored under another policy.
//!
//! Every step is measured in time, CPU of the whole server and memory, and at the end it is said how each grows.

use std::error::Error;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::args::Args;
use crate::clock::{Stopwatch, yesterday};
use crate::load::fresh;
use crate::policy::{publish, variants};
use crate::population::{Size, close_day, connect, import, merchant_days, profiles};
use crate::process::{Cores, Process, Tuning};
use crate::report::{Bar, Report};
use crate::site::Site;

/// Targets of a call, and calls.
const TARGETS: usize = 200;
const CALLS: u32 = 24_000;
/// The population of the bars of the start.
const FULL: u32 = 3_000_000;
/// Gate and goal of its seconds, and of its GiB.
const START_BARS: (f64, f64) = (10.0, 5.0);
const MEMORY_BARS: (f64, f64) = (4.0, 3.0);

pub(crate) const PART: &str = "scale";
pub(crate) const TITLE: &str = "A platform: merchants, as many products, a tenth as many live rooms";
pub(crate) const HEAD: [&str; 7] =
    ["merchants", "step", "items", "s", "s of CPU, all threads", "resident MiB", "peak MiB since the start"];
pub(crate) const GROWTH_TITLE: &str = "How the steps grow";
pub(crate) const GROWTH_HEAD: [&str; 5] = ["step", "merchants", "time", "CPU", "resident memory"];

/// One step at one size.
struct Step {
    name: &'static str,
    merchants: u32,
    seconds: f64,
    cpu: f64,
    resident_mib: f64,
}

/// Goes through all sizes.
pub(crate) fn run(args: &Args, runtime: &Runtime, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let mut steps = Vec::new();
    for merchants in args.scales() {
        eprintln!("a platform of {merchants} merchants");
        steps.extend(measure(args, runtime, Size::platform(merchants), report)?);
    }
    growth(&steps, report);
    Ok(())
}

fn measure(args: &Args, runtime: &Runtime, population: Size, report: &mut Report) -> Result<Vec<Step>, Box<dyn Error>> {
    let site = Site::new(false)?;
    // Days are closed when they are measured.
    let tuning = Tuning::arguments(&["--close-days", "false"]);
    let (day, merchants) = (yesterday(), population.merchants);
    let mut steps = Steps { merchants, done: Vec::new(), report };

    let server = site.start_tuned(Cores::All, &tuning)?;
    let channel = runtime.block_on(connect(server.address))?;
    steps.measure("import profiles", population.profiles(), &server, || {
        runtime.block_on(import(&channel, profiles(population, day), population.profiles().into()))
    })?;
    steps.measure("import 2 days of 12 counters", 2 * merchants, &server, || {
        runtime.block_on(import(&channel, merchant_days(merchants, day, 2), (2 * merchants).into()))
    })?;
    steps.measure("close the first day", merchants, &server, || runtime.block_on(close_day(&channel, day.plus(-1))))?;
    drop(channel);
    server.await_idle()?;
    server.stop()?;

    let server = site.start_tuned(Cores::All, &tuning)?;
    let resident = steps.add("restart", population.profiles(), server.start, server.whole_cpu()?, &server)?;
    if merchants >= FULL {
        let what = |text: &str| {
            format!("{text} with {merchants} merchants, as many products, {} live rooms", population.live_rooms)
        };
        let seconds = server.start.as_secs_f64();
        let bar = Bar::at_most(what("start"), seconds, "s", START_BARS.0).goal(START_BARS.1);
        steps.report.bar(PART, bar);
        let bar = Bar::at_most(what("resident memory after the start"), resident / 1_024.0, "GiB", MEMORY_BARS.0);
        steps.report.bar(PART, bar.goal(MEMORY_BARS.1));
    }
    server.await_idle()?;
    let calls = if args.quick { CALLS / 4 } else { CALLS };
    fresh(server.address, calls / 4, TARGETS, population.live_rooms, 0)?;
    steps.measure("score 200 live rooms a call", calls, &server, || {
        fresh(server.address, calls, TARGETS, population.live_rooms, 1).map(|_| ())
    })?;
    let channel = runtime.block_on(connect(server.address))?;
    steps.measure("close the second day", merchants, &server, || runtime.block_on(close_day(&channel, day)))?;
    let [files, _] = variants();
    steps.measure("publish another policy", merchants, &server, || {
        runtime.block_on(publish(&channel, &files)).map(|_| ())
    })?;
    drop(channel);
    let done = steps.done;
    server.stop()?;
    Ok(done)
}

/// The steps of one size.
struct Steps<'a> {
    merchants: u32,
    done: Vec<Step>,
    report: &'a mut Report,
}

impl Steps<'_> {
    fn measure(
        &mut self,
        name: &'static str,
        items: u32,
        server: &Process,
        work: impl FnOnce() -> Result<(), Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        let before = server.whole_cpu()?;
        let clock = Stopwatch::start();
        work()?;
        let took = clock.elapsed();
        self.add(name, items, took, server.whole_cpu()?.saturating_sub(before), server)?;
        Ok(())
    }

    /// Adds a row; answers the resident MiB.
    fn add(
        &mut self,
        name: &'static str,
        items: u32,
        took: Duration,
        cpu: Duration,
        server: &Process,
    ) -> Result<f64, Box<dyn Error>> {
        let (resident, peak) = server.memory_mib()?;
        let (seconds, cpu, resident_mib) = (took.as_secs_f64(), cpu.as_secs_f64(), f64::from(resident));
        self.report.row(
            TITLE,
            vec![
                self.merchants.to_string(),
                name.to_owned(),
                items.to_string(),
                format!("{seconds:.2}"),
                format!("{cpu:.2}"),
                resident.to_string(),
                peak.to_string(),
            ],
        );
        self.done.push(Step { name, merchants: self.merchants, seconds, cpu, resident_mib });
        Ok(resident_mib)
    }
}

/// Every step of the largest size against the same of the smallest.
fn growth(steps: &[Step], report: &mut Report) {
    let Some(smallest) = steps.iter().map(|step| step.merchants).min() else { return };
    let Some(largest) = steps.iter().map(|step| step.merchants).max() else { return };
    for large in steps.iter().filter(|step| step.merchants == largest && largest > smallest) {
        let Some(small) = steps.iter().find(|step| step.merchants == smallest && step.name == large.name) else {
            continue;
        };
        // Below the resolution of the clock a ratio means nothing.
        let ratio = |large: f64, small: f64| {
            if small < 0.01 { "-".to_owned() } else { format!("{:.1} x", large / small) }
        };
        report.row(
            GROWTH_TITLE,
            vec![
                large.name.to_owned(),
                format!("{smallest} to {largest}: {}", ratio(largest.into(), smallest.into())),
                ratio(large.seconds, small.seconds),
                ratio(large.cpu, small.cpu),
                ratio(large.resident_mib, small.resident_mib),
            ],
        );
    }
}
