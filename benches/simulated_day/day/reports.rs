//! Reports of exposures: collected, lost, held back, sent, sent again.

use std::collections::BTreeMap;
use std::time::Duration;

use tonic::{Code, Status};
use trustflow::domain::{ReservationId, Timestamp};
use trustflow::proto::{ExposureRow, ReportExposuresRequest};

use super::Options;
use super::books::Shown;
use super::chance::Chance;
use super::population::instant;
use super::world::World;

/// Rows after which a report is closed, and how long it is open at most.
const ROWS: usize = 40;
const OPEN_MS: u64 = 300;
/// Reports in flight.
const IN_FLIGHT: usize = 8;
/// Share of reports that others overtake, and by how much simulated time.
const OVERTAKEN: f64 = 0.1;
const OVERTAKEN_MS: u64 = 240_000;
/// How long after the last deadline a late report comes, at least and at most besides.
const LATE_MS: (i64, u64) = (20_000, 60_000);
/// After how much simulated time a report comes again at most.
const AGAIN_MS: u64 = 1_800_000;
const LOOK: Duration = Duration::from_millis(20);

/// One report.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    id: String,
    rows: Vec<Shown>,
    /// When it is to be sent, in simulated time.
    due: Timestamp,
    /// Whether it is held back until it is late.
    is_late: bool,
    /// Whether it comes again.
    is_twice: bool,
    /// When it was sent first, in simulated time; none if it was not.
    first_sent: Option<Timestamp>,
    /// Whether it was acknowledged before: it comes again.
    is_known: bool,
}

/// Reports on their way.
#[derive(Debug)]
pub(crate) struct Outbox {
    chance: Chance,
    lost: f64,
    late: f64,
    duplicated: f64,
    collected: Vec<Shown>,
    next: u64,
    waiting: BTreeMap<(Timestamp, u64), Report>,
    /// Sent, and not answered: nobody knows whether they were taken.
    unanswered: Vec<Report>,
    /// Reports that were lost.
    pub(crate) lost_reports: u64,
}

impl Outbox {
    /// Empty.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            chance: Chance::new(options.seed, 0x0B0C),
            lost: options.lost,
            late: options.late,
            duplicated: options.duplicated,
            collected: Vec::new(),
            next: 1,
            waiting: BTreeMap::new(),
            unanswered: Vec::new(),
            lost_reports: 0,
        }
    }

    /// Takes what was shown.
    pub(crate) fn put(&mut self, shown: Vec<Shown>) {
        self.collected.extend(shown);
        if self.collected.len() >= ROWS {
            self.close();
        }
    }

    /// Makes a report of what was collected.
    fn close(&mut self) {
        let rows = std::mem::take(&mut self.collected);
        let Some(last) = rows.iter().map(|row| row.at).max() else { return };
        let number = self.next;
        self.next += 1;
        let fate = self.chance.share();
        if fate < self.lost {
            self.lost_reports += 1;
            return;
        }
        let is_late = fate < self.lost + self.late;
        let due = if is_late {
            let deadline = rows.iter().map(|row| ReservationId(row.reservation).deadline()).max().unwrap_or(last);
            deadline.max(last).plus_ms(LATE_MS.0 + self.chance.below(LATE_MS.1) as i64)
        } else if self.chance.is(OVERTAKEN) {
            last.plus_ms(self.chance.below(OVERTAKEN_MS) as i64)
        } else {
            last
        };
        let is_twice = self.chance.is(self.duplicated);
        let id = format!("day-{number}");
        let report = Report { id, rows, due, is_late, is_twice, first_sent: None, is_known: false };
        self.waiting.insert((due, number), report);
    }

    fn take_due(&mut self, now: Timestamp) -> Option<Report> {
        let entry = self.waiting.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    fn put_back(&mut self, mut report: Report, due: Timestamp) {
        report.due = due;
        self.next += 1;
        self.waiting.insert((due, self.next), report);
    }

    /// Closes what was collected, and takes out what is held back until it is late, unless that is to go, too.
    fn hold_back(&mut self, with_late: bool) -> BTreeMap<(Timestamp, u64), Report> {
        self.close();
        let waiting = std::mem::take(&mut self.waiting);
        let (now, late) = waiting.into_iter().partition(|(_, report)| with_late || !report.is_late);
        self.waiting = now;
        late
    }

    /// How many are on their way.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.unanswered.len()
    }
}

impl Report {
    fn request(&self) -> ReportExposuresRequest {
        let row = |shown: &Shown| ExposureRow {
            target_kind: shown.kind.into(),
            target_id: shown.target,
            // Every other row leaves it to the server whose target it is.
            merchant_id: if shown.target.is_multiple_of(2) { shown.merchant } else { 0 },
            scene: shown.scene.into(),
            policy_version: shown.policy_version,
            programmes: shown.programmes,
            reservation_ids: if shown.reservation == 0 { Vec::new() } else { vec![shown.reservation] },
            exposures: shown.exposures,
            clicks: shown.bought.0,
            orders: shown.bought.1,
            gmv_fen: shown.bought.2,
            occurred_at: Some(instant(shown.at)),
        };
        ReportExposuresRequest { report_id: self.id.clone(), rows: self.rows.iter().map(row).collect() }
    }
}

/// Sends what is due until everyone is to finish.
pub(crate) async fn send(world: World) {
    let mut closed_ms = 0;
    while !world.is_over() {
        if world.now_ms() >= closed_ms + OPEN_MS {
            closed_ms = world.now_ms();
            world.outbox().close();
        }
        send_due(&world, world.time.at_least()).await;
        tokio::time::sleep(LOOK).await;
    }
}

async fn send_due(world: &World, now: Timestamp) {
    let mut flying = tokio::task::JoinSet::new();
    loop {
        let due = if world.is_killed() { None } else { world.outbox().take_due(now) };
        let is_last = due.is_none();
        if let Some(report) = due {
            let world = world.clone();
            flying.spawn(async move { send_one(&world, report).await });
        }
        if flying.is_empty() {
            return;
        }
        if is_last || flying.len() >= IN_FLIGHT {
            flying.join_next().await;
        }
    }
}

async fn send_one(world: &World, mut report: Report) {
    let is_first = report.first_sent.is_none();
    let earliest = *report.first_sent.get_or_insert_with(|| world.time.at_least());
    match world.exposures().report_exposures(report.request()).await {
        Ok(response) => {
            let response = response.into_inner();
            let latest = world.time.at_most();
            let mut books = world.books();
            books.acknowledged_at(response.revision);
            if report.is_known {
                books.tally.add("reports sent twice", 1);
                if !response.duplicate {
                    books.breach("a report counts once", format!("{} was taken again", report.id));
                }
                return;
            }
            books.tally.add("reports acknowledged", 1);
            if is_first && response.duplicate {
                books.breach("a report counts once", format!("{} was a duplicate when it came first", report.id));
            }
            if !is_first {
                let what = if response.duplicate { "re-sent, had been taken" } else { "re-sent, had not been taken" };
                books.tally.add(what, 1);
            }
            books.acknowledge(&report.rows, (earliest, latest));
            drop(books);
            if report.is_twice {
                report.is_known = true;
                let mut outbox = world.outbox();
                let due = world.time.at_least().plus_ms(outbox.chance.below(AGAIN_MS) as i64);
                outbox.put_back(report, due);
            }
        }
        Err(status) => refused(world, report, &status),
    }
}

fn refused(world: &World, report: Report, status: &Status) {
    if world.is_killed() {
        world.outbox().unanswered.push(report);
    } else if matches!(status.code(), Code::ResourceExhausted | Code::Unavailable) {
        world.books().tally.add("reports refused for now", 1);
        let due = world.time.at_least();
        world.outbox().put_back(report, due);
    } else {
        world.books().breach("reports are taken", format!("{}: {status:?}", report.id));
    }
}

/// After a restart: sends what was not answered, so that the books know again what was taken.
pub(crate) async fn send_unanswered(world: &World) {
    let unanswered = std::mem::take(&mut world.outbox().unanswered);
    for report in unanswered {
        send_one(world, report).await;
    }
}

/// At the end: sends all that is not held back until it is late, or that too.
pub(crate) async fn send_rest(world: &World, with_late: bool) {
    let late = world.outbox().hold_back(with_late);
    // What comes again is put back on the way: everything once more, until nothing is left.
    while world.outbox().len() > 0 && !world.is_killed() {
        send_due(world, Timestamp(i64::MAX)).await;
    }
    world.outbox().waiting.extend(late);
}
