//! Out-of-process benchmark of the `trustflow` binary: server CPU per Score call against an echo server, durable
//! import, start-up, and policies that change under load. Needs `h2load` (nghttp2-client) and `taskset` (util-linux), two cores and Linux.
//!
//! Client and server are separate processes on separate cores, so that only the server's CPU time is counted. Echo
//! and trustflow take turns, so that a change of the machine hits both. See `args::USAGE` for the options.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod allocate;
mod args;
mod clock;
mod durable;
mod echo;
mod fresh;
mod load;
mod policy;
mod population;
mod process;
mod report;
mod score;
mod sink;
mod site;

use std::error::Error;
use std::process::ExitCode;

use args::{Args, Part};
use process::Cores;
use report::Report;
use score::Subject;
use site::Site;

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
        _ => {
            let words: Vec<String> = words.collect();
            // `cargo test --all-targets` runs every target, without this flag: nothing to test here.
            if words.iter().any(|word| word == "--bench") {
                return measure(&Args::parse(words.into_iter())?);
            }
            println!("{}", args::USAGE);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn measure(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report::default();
    let mut measured = Vec::new();
    report.table(score::TITLE, &score::HEAD);
    report.table(allocate::TITLE, &allocate::HEAD);
    report.table(durable::IMPORT_TITLE, &durable::IMPORT_HEAD);
    report.table(durable::LOAD_TITLE, &durable::LOAD_HEAD);
    report.table(durable::START_TITLE, &durable::START_HEAD);
    report.table(policy::TITLE, &policy::HEAD);
    if args.has(Part::Import) {
        durable::import_days(args, &runtime, &Site::new(args.echo_as_target)?, &mut report)?;
    }
    let needs_data = [Part::Score, Part::Allocate, Part::Start, Part::Policy];
    if needs_data.into_iter().any(|part| args.has(part)) {
        for &merchants in &args.merchants {
            let site = Site::new(args.echo_as_target)?;
            durable::load(&runtime, &site, merchants, &mut report)?;
            if args.has(Part::Start) {
                durable::starts(&site, merchants, &mut report)?;
            }
            if args.has(Part::Policy) {
                policy::run(args, &runtime, &site, merchants, &mut report)?;
            }
            if args.has(Part::Allocate) && !args.echo_as_target {
                eprintln!("allocating with {merchants} merchants");
                let server = site.start(Cores::One)?;
                server.await_idle()?;
                allocate::run(args, &Subject { server: &server, merchants, folder: site.path() }, &mut report)?;
                server.stop()?;
            }
            if args.has(Part::Score) {
                eprintln!("scoring with {merchants} merchants");
                let server = site.start(Cores::One)?;
                server.await_idle()?;
                let subject = Subject { server: &server, merchants, folder: site.path() };
                measured.extend(score::run(args, &runtime, &subject, &mut report)?);
                server.stop()?;
            }
        }
        score::compare_populations(&measured, &mut report);
    }
    if args.echo_as_target {
        println!("\nThe echo server stood in for trustflow: ratios show noise, rates the client's own ceiling.");
    }
    report.print();
    let failed = report.gates.iter().any(|gate| !gate.holds);
    Ok(if args.gate && failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
