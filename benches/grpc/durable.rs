//! Writes and restarts: loading the population, `Import` of merchant-days, time to start and memory.

use std::error::Error;

use tokio::runtime::Runtime;

use crate::args::Args;
use crate::clock::{Stopwatch, yesterday};
use crate::population::{Size, close_day, connect, day_of_facts, import, merchant_days, profiles};
use crate::process::{Cores, Process, Tuning};
use crate::report::{Bar, Report, Spread};
use crate::site::Site;

/// Merchants and days of one import: 200,000 merchant-days.
const IMPORT_MERCHANTS: u32 = 10_000;
const IMPORT_DAYS: i32 = 20;
/// Gate and goal of thousands of durable merchant-days a second.
const IMPORT_BARS: (f64, f64) = (200.0, 400.0);
/// Starts of the same folder.
const STARTS: usize = 3;

pub(crate) const LOAD: &str = "load";
pub(crate) const IMPORT: &str = "import";
pub(crate) const START: &str = "start";
pub(crate) const LOAD_TITLE: &str = "Loading the population";
pub(crate) const LOAD_HEAD: [&str; 4] = ["merchants", "profiles/s", "days of 6 counters/s", "CloseDay s"];
pub(crate) const IMPORT_TITLE: &str = "Durable Import of merchant-days of 12 counters";
pub(crate) const IMPORT_HEAD: [&str; 3] = ["merchants x days", "runs", "merchant-days/s min / median / max"];
pub(crate) const START_TITLE: &str = "Start on the loaded data folder";
pub(crate) const START_HEAD: [&str; 4] =
    ["merchants + live rooms", "spawn to listening s min / median / max", "resident MiB", "peak MiB"];

fn per_second(items: u32, clock: Stopwatch) -> f64 {
    f64::from(items) / clock.elapsed().as_secs_f64()
}

/// Loads merchants, a live room each and a day of facts, then closes that day. Answers a row of figures.
pub(crate) fn load(
    runtime: &Runtime,
    site: &Site,
    tuning: &Tuning,
    merchants: u32,
) -> Result<Vec<String>, Box<dyn Error>> {
    eprintln!("loading {merchants} merchants");
    let server = site.start_tuned(Cores::All, tuning)?;
    let cells = runtime.block_on(async {
        let channel = connect(server.address).await?;
        let day = yesterday();
        let clock = Stopwatch::start();
        import(&channel, profiles(Size::rooms(merchants), day), 2 * u64::from(merchants)).await?;
        let profiles_per_second = per_second(merchants * 2, clock);
        let clock = Stopwatch::start();
        import(&channel, day_of_facts(merchants, day), u64::from(merchants)).await?;
        let days_per_second = per_second(merchants, clock);
        let clock = Stopwatch::start();
        close_day(&channel, day).await?;
        let close = clock.elapsed().as_secs_f64();
        Ok::<_, Box<dyn Error>>(vec![
            merchants.to_string(),
            format!("{profiles_per_second:.0}"),
            format!("{days_per_second:.0}"),
            format!("{close:.2}"),
        ])
    })?;
    server.await_idle()?;
    server.stop()?;
    Ok(cells)
}

/// Imports merchant-days, each run those of other days.
pub(crate) fn import_days(
    args: &Args,
    runtime: &Runtime,
    site: &Site,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    eprintln!("importing merchant-days");
    let runs = if args.quick { 2 } else { args.runs };
    let server = site.start(Cores::All)?;
    let rates = runtime.block_on(async {
        let channel = connect(server.address).await?;
        let mut last = yesterday();
        import(&channel, profiles(Size::rooms(IMPORT_MERCHANTS), last), 2 * u64::from(IMPORT_MERCHANTS)).await?;
        let rows = IMPORT_MERCHANTS * IMPORT_DAYS.unsigned_abs();
        let mut rates = Vec::new();
        for _ in 0..runs {
            // Made before the clock starts: the client's arithmetic is not the server's.
            let chunks: Vec<_> = merchant_days(IMPORT_MERCHANTS, last, IMPORT_DAYS).collect();
            let clock = Stopwatch::start();
            import(&channel, chunks.into_iter(), u64::from(rows)).await?;
            rates.push(per_second(rows, clock));
            last = last.plus(-IMPORT_DAYS);
        }
        Ok::<_, Box<dyn Error>>(Spread::of(rates))
    })?;
    server.stop()?;
    report.row(IMPORT_TITLE, vec![format!("{IMPORT_MERCHANTS} x {IMPORT_DAYS}"), runs.to_string(), rates.text(0)]);
    let what = "durable merchant-days of 12 counters".to_owned();
    report.bar(IMPORT, Bar::at_least(what, rates.median / 1e3, "k/s", IMPORT_BARS.0).goal(IMPORT_BARS.1));
    Ok(())
}

/// Starts the server several times on what `load` left.
pub(crate) fn starts(site: &Site, merchants: u32, report: &mut Report) -> Result<(), Box<dyn Error>> {
    eprintln!("starting on {merchants} merchants");
    let (mut seconds, mut resident_mib, mut peak_mib) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let server: Process = site.start(Cores::All)?;
        seconds.push(server.start.as_secs_f64());
        let (resident, peak) = server.memory_mib()?;
        resident_mib.push(f64::from(resident));
        peak_mib.push(f64::from(peak));
        server.stop()?;
    }
    let seconds = Spread::of(seconds);
    report.row(
        START_TITLE,
        vec![
            format!("{merchants} + {merchants}"),
            seconds.text(2),
            format!("{:.0}", Spread::of(resident_mib).median),
            format!("{:.0}", Spread::of(peak_mib).median),
        ],
    );
    Ok(())
}
