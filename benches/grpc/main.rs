//! Out-of-process benchmark of the `trustflow` binary: every figure of docs/performance.md. Needs `h2load`
//! (nghttp2-client) and `taskset` (util-linux), two cores and Linux; `redis-server` for one part.
//!
//! Client and server are separate processes on separate cores, so that only the server's CPU time is counted. Echo
//! and trustflow take turns, so that a change of the machine hits both. See `args::USAGE` for the options.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod allocate;
mod args;
mod clock;
mod compare;
mod durable;
mod durations;
mod echo;
mod frames;
mod fresh;
mod load;
mod open_loop;
mod policy;
mod population;
mod process;
mod redis;
mod report;
mod scale;
mod score;
mod settings;
mod sink;
mod site;
mod tail;
mod usage;

use std::error::Error;
use std::process::ExitCode;

use args::{Args, Part};
use process::{Cores, Tuning};
use report::Report;
use score::{Measured, Subject};
use site::Site;
use tokio::runtime::Runtime;

/// The allocator of the binary under test: echo must not lose by a slower one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let mut words = std::env::args().skip(1).peekable();
    match words.peek().map(String::as_str) {
        Some(echo::FLAG) => echo::run(words.skip(1)).map(|()| ExitCode::SUCCESS),
        Some(fresh::FLAG) => fresh::run(words.skip(1)).map(|()| ExitCode::SUCCESS),
        Some(redis::FLAG) => redis::client(words.skip(1)).map(|()| ExitCode::SUCCESS),
        _ => {
            let words: Vec<String> = words.collect();
            // `cargo test --all-targets` runs every target, without this flag: nothing to test here.
            if words.iter().any(|word| word == "--bench") && !words.iter().any(|word| word == "--help") {
                return measure(&Args::parse(words.into_iter())?);
            }
            println!("{}", args::USAGE);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn measure(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report::new(args)?;
    report.table(score::PART, score::TITLE, &score::HEAD);
    report.table(allocate::PART, allocate::TITLE, &allocate::HEAD);
    report.table(durable::IMPORT, durable::IMPORT_TITLE, &durable::IMPORT_HEAD);
    report.table(durable::LOAD, durable::LOAD_TITLE, &durable::LOAD_HEAD);
    report.table(durable::START, durable::START_TITLE, &durable::START_HEAD);
    report.table(policy::PART, policy::TITLE, &policy::HEAD);
    report.table(tail::PART, tail::TITLE, &tail::HEAD);
    report.table(scale::PART, scale::TITLE, &scale::HEAD);
    report.table(scale::PART, scale::GROWTH_TITLE, &scale::GROWTH_HEAD);
    report.table(redis::PART, redis::TITLE, &redis::HEAD);
    report.table(settings::PART, settings::TITLE, &settings::HEAD);
    report.table(settings::PART, settings::OPEN_TITLE, &settings::OPEN_HEAD);
    if args.has(Part::Import) {
        durable::import_days(args, &runtime, &Site::new(args.echo_as_target)?, &mut report)?;
    }
    let on_every = [Part::Score, Part::Allocate, Part::Start].into_iter().any(|part| args.has(part));
    let on_one = [Part::Policy, Part::Redis, Part::Settings].into_iter().any(|part| args.has(part));
    if on_every || on_one {
        let mut measured = Vec::new();
        for merchants in args.populations().into_iter().filter(|&each| on_every || args.typical() == each) {
            measured.extend(measure_population(args, &runtime, merchants, &mut report)?);
        }
        score::compare_populations(&measured, &mut report);
    }
    if args.has(Part::Tail) && !args.echo_as_target {
        tail::run(args, &runtime, &mut report)?;
    }
    if args.has(Part::Scale) && !args.echo_as_target {
        scale::run(args, &runtime, &mut report)?;
    }
    if args.echo_as_target {
        println!("\nThe echo server stood in for trustflow: ratios show noise, rates the client's own ceiling.");
    }
    report.print();
    Ok(if args.gate && !report.holds() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The parts that need a population of live rooms, on one data folder.
fn measure_population(
    args: &Args,
    runtime: &Runtime,
    merchants: u32,
    report: &mut Report,
) -> Result<Vec<Measured>, Box<dyn Error>> {
    let is_real = !args.echo_as_target;
    let has_typical = |part| args.has(part) && args.typical() == merchants && is_real;
    let site = Site::new(args.echo_as_target)?;
    report.row(durable::LOAD_TITLE, durable::load(runtime, &site, &Tuning::default(), merchants)?);
    if args.has(Part::Start) {
        durable::starts(&site, merchants, report)?;
    }
    let mut measured = Vec::new();
    if args.has(Part::Score) || args.has(Part::Allocate) {
        let server = site.start(Cores::One)?;
        server.await_idle()?;
        let subject = Subject { server: &server, merchants, folder: site.path() };
        if args.has(Part::Allocate) && is_real {
            eprintln!("allocating with {merchants} merchants");
            allocate::run(args, &subject, report)?;
        }
        if args.has(Part::Score) {
            eprintln!("scoring with {merchants} merchants");
            measured = score::run(args, runtime, &subject, report)?;
        }
        server.stop()?;
    }
    if has_typical(Part::Redis) {
        redis::run(args, &site, merchants, report)?;
    }
    if has_typical(Part::Settings) {
        settings::run(args, runtime, &site, merchants, report)?;
    }
    if has_typical(Part::Policy) {
        policy::run(args, runtime, &site, merchants, report)?;
    }
    Ok(measured)
}
