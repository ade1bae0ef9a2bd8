//! Server CPU time of adjusted scores and of slates against plain Score, on one server in alternating runs.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use trustflow::proto::{AllocateRequest, ScoreRequest};

use crate::args::Args;
use crate::load::{ALLOCATE_PATH, SCORE_PATH, repeated_at};
use crate::population::{Random, random_live_rooms, score_request};
use crate::report::{Bar, Report, Spread};
use crate::score::{Subject, write_bodies};

/// Candidates of a call.
const TARGETS: usize = 200;
/// Slots of a slate.
const SLOTS: u32 = 10;
/// Calls of a run and mode.
const CALLS: u32 = 16_000;
/// Bodies of a mode, each sent its part of the calls.
const BODIES: usize = 8;
/// Gate and goal of CPU against plain Score.
const ADJUSTED_BARS: (f64, f64) = (1.5, 1.2);
const SLATE_BARS: (f64, f64) = (3.0, 2.0);

pub(crate) const PART: &str = "allocate";
pub(crate) const TITLE: &str = "Server CPU per call of 200 candidates, against Score without base scores";
pub(crate) const HEAD: [&str; 5] =
    ["merchants", "mode", "us per call", "ratio of medians", "pair ratios min / median / max"];

/// A way to ask, with its bodies.
struct Mode {
    name: &'static str,
    path: &'static str,
    bodies: Vec<PathBuf>,
}

/// Measures the three modes.
pub(crate) fn run(args: &Args, subject: &Subject<'_>, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let mut random = Random::new(u64::from(subject.merchants) ^ 0x4d);
    let requests: Vec<ScoreRequest> = (0..BODIES)
        .map(|_| {
            let request = score_request(random_live_rooms(subject.merchants, TARGETS, &mut random));
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let base_scores = (0..TARGETS).map(|_| (1 + random.below(1_000)) as f32 / 1_000.0).collect();
            ScoreRequest { base_scores, ..request }
        })
        .collect();
    let plain = requests.iter().map(|request| ScoreRequest { base_scores: Vec::new(), ..request.clone() });
    let plain: Vec<ScoreRequest> = plain.collect();
    let slates = requests.iter().map(|request| AllocateRequest {
        request_id: request.request_id.clone(),
        scene: request.scene,
        target_kind: request.target_kind,
        target_ids: request.target_ids.clone(),
        base_scores: request.base_scores.clone(),
        slots: SLOTS,
        ..AllocateRequest::default()
    });
    let slates: Vec<AllocateRequest> = slates.collect();
    let write = |name: &str, requests: &[ScoreRequest]| write_bodies(subject.folder, name, requests);
    let modes = [
        Mode { name: "weights", path: SCORE_PATH, bodies: write("weights", &plain)? },
        Mode { name: "adjusted", path: SCORE_PATH, bodies: write("adjusted", &requests)? },
        Mode { name: "slate", path: ALLOCATE_PATH, bodies: write_bodies(subject.folder, "slate", &slates)? },
    ];
    let calls = if args.quick { CALLS / 4 } else { CALLS };
    // Once uncounted: leases are fetched, caches filled.
    for mode in &modes {
        measure(subject, mode, calls / 4)?;
    }
    subject.server.await_idle()?;
    let mut micros: [Vec<f64>; 3] = Default::default();
    for round in 0..args.runs {
        // Who goes first rotates, so that a drift of the machine favours none.
        for turn in 0..modes.len() {
            let at = (round + turn) % modes.len();
            if let (Some(mode), Some(figures)) = (modes.get(at), micros.get_mut(at)) {
                figures.push(measure(subject, mode, calls)?);
            }
        }
    }
    let [plain, adjusted, slate] = micros;
    row(subject, "weights", &plain, &plain, report);
    for (name, figures, bar) in [("adjusted", &adjusted, ADJUSTED_BARS), ("slate", &slate, SLATE_BARS)] {
        let ratio = row(subject, name, figures, &plain, report);
        let what = format!("CPU of {name}, {TARGETS} candidates, against Score, {} merchants", subject.merchants);
        report.bar(PART, Bar::at_most(what, ratio, "x", bar.0).goal(bar.1));
    }
    Ok(())
}

/// Microseconds of the server's CPU per call.
fn measure(subject: &Subject<'_>, mode: &Mode, calls: u32) -> Result<f64, Box<dyn Error>> {
    let (mut cpu, mut sent) = (Duration::ZERO, 0_u32);
    for body in &mode.bodies {
        let before = subject.server.usage()?;
        let part = repeated_at(subject.server.address, mode.path, body, calls / u32::try_from(BODIES)?)?;
        cpu += subject.server.usage()?.since(&before).requests;
        // A refused call is answered with 200 and no data.
        if part.answer_bytes < u64::from(part.calls) * 20 {
            return Err(format!("{}: the answers are empty", mode.name).into());
        }
        sent += part.calls;
    }
    Ok(cpu.as_secs_f64() * 1e6 / f64::from(sent))
}

/// Adds a row; answers the median pair.
fn row(subject: &Subject<'_>, name: &str, figures: &[f64], plain: &[f64], report: &mut Report) -> f64 {
    let pairs = Spread::of(figures.iter().zip(plain).map(|(figure, plain)| figure / plain).collect());
    let (of, against) = (Spread::of(figures.to_vec()), Spread::of(plain.to_vec()));
    report.row(
        TITLE,
        vec![
            subject.merchants.to_string(),
            name.to_owned(),
            format!("{:.2}", of.median),
            format!("{:.3}", of.median / against.median),
            pairs.text(3),
        ],
    );
    pairs.median
}
