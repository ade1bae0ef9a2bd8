//! The recommender: whom it asks about, in which of the three modes, what it shows.

use std::time::Duration;

use tonic::Status;
use trustflow::domain::Timestamp;
use trustflow::proto::{AllocateRequest, Scene, ScoreRequest, SlotReason, TargetKind};

use super::books::{Books, Mode, Shown};
use super::chance::Chance;
use super::population::Population;
use super::world::World;

/// Candidates of one request.
const CANDIDATES: usize = 50;
/// Of these, brought in by the retrieval of newcomers: nobody looks for them by name yet.
const COLD_START_CANDIDATES: usize = 3;
/// Slots.
const SLOTS: usize = 10;
/// Share of calls by `Allocate`, and by adjusted scores; the rest goes by weights.
const SLATE_SHARE: f64 = 0.4;
const ADJUSTED_SHARE: f64 = 0.3;
/// Deviation of the logarithm of base scores.
const RELEVANCE: f64 = 0.6;
/// Traffic of each hour of the day, Asia/Shanghai, against the mean: quiet nights, a peak in the evening.
const HOURS: [f64; 24] = [
    0.60, 0.40, 0.28, 0.22, 0.20, 0.26, 0.42, 0.62, 0.78, 0.86, 0.92, 1.02, 1.18, 1.12, 1.00, 0.98, 1.02, 1.10, 1.32,
    1.72, 2.08, 2.20, 1.72, 1.00,
];

/// Traffic at an instant against the mean of a day, between the hours in a straight line.
pub(crate) fn traffic_at(at: Timestamp) -> f64 {
    let hour = (at.0 - at.day().start().0) as f64 / 3_600_000.0;
    let (from, within) = (hour.floor() as usize % 24, hour.fract());
    let mean = HOURS.iter().sum::<f64>() / 24.0;
    (HOURS[from] * (1.0 - within) + HOURS[(from + 1) % 24] * within) / mean
}

/// Traffic between two instants, in days of mean traffic.
pub(crate) fn traffic_between(from: Timestamp, to: Timestamp) -> f64 {
    const STEP_MS: i64 = 600_000;
    let (mut at, mut sum) = (from.0, 0.0);
    while at < to.0 {
        let step = STEP_MS.min(to.0 - at);
        sum += traffic_at(Timestamp(at + step / 2)) * step as f64;
        at += step;
    }
    sum / 86_400_000.0
}

/// What is asked.
struct Query {
    mode: Mode,
    scene: Scene,
    kind: TargetKind,
    merchants: Vec<u64>,
    targets: Vec<u64>,
    base_scores: Vec<f32>,
    /// How many of them, the first, were brought in as newcomers.
    cold: usize,
}

impl Query {
    fn new(population: &Population, chance: &mut Chance) -> Self {
        let (scene, kind) = match chance.below(100) {
            0..45 => (Scene::Live, TargetKind::LiveRoom),
            45..60 => (Scene::ShortVideo, TargetKind::ShortVideo),
            60..72 => (Scene::Search, TargetKind::Product),
            72..92 => (Scene::Mall, TargetKind::Product),
            92..97 => (Scene::ImageText, TargetKind::Merchant),
            _ => (Scene::Store, TargetKind::Merchant),
        };
        let mode = match chance.share() {
            share if share < SLATE_SHARE => Mode::Slate,
            share if share < SLATE_SHARE + ADJUSTED_SHARE => Mode::Adjusted,
            _ => Mode::Weights,
        };
        let mut numbers: Vec<usize> = Vec::with_capacity(CANDIDATES);
        let mut tries = 0;
        while numbers.len() < CANDIDATES && tries < 10 * CANDIDATES {
            tries += 1;
            let is_cold = numbers.len() < COLD_START_CANDIDATES && !population.newcomers.is_empty();
            let number = if is_cold { *chance.one_of(&population.newcomers) } else { population.urn.draw(chance) };
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        let mut query = Self {
            mode,
            scene,
            kind,
            merchants: Vec::new(),
            targets: Vec::new(),
            base_scores: Vec::new(),
            cold: COLD_START_CANDIDATES,
        };
        for number in numbers {
            let member = &population.members[number];
            query.merchants.push(member.id);
            query.targets.push(member.target(kind, chance.roll() >> 7));
            query.base_scores.push((member.quality * (RELEVANCE * chance.normal()).exp()) as f32);
        }
        query
    }

    fn offer(&self, books: &mut Books, exposures: u64) {
        for merchant in self.merchants.iter().take(self.cold) {
            *books.offered.entry(*merchant).or_default() += exposures;
        }
    }

    fn shown(&self, candidate: usize, programmes: u64, policy_version: u64) -> Shown {
        Shown {
            mode: self.mode,
            scene: self.scene,
            kind: self.kind,
            target: self.targets[candidate],
            merchant: self.merchants[candidate],
            policy_version,
            programmes,
            reservation: 0,
            exposures: 1,
            bought: (0, 0, 0),
            at: Timestamp(0),
        }
    }
}

/// Asks as one of several recommenders until it is told to stop or the server is gone.
pub(crate) async fn recommend(world: World, number: u64, recommenders: u64) {
    let mut chance = Chance::new(world.options.seed, (world.life << 8) + number);
    // Requests of wall time are thinned and thickened by the hour; who falls behind does not catch up.
    let mean_s = recommenders as f64 / world.options.calls_per_second;
    while !world.is_over() {
        let began = world.now_ms();
        match ask(&world, &mut chance).await {
            Ok(()) => {}
            Err(_) if world.is_killed() => return,
            Err(status) => world.books().breach("calls are answered", format!("{status:?}")),
        }
        let wait_s = mean_s * chance.waiting() / traffic_at(world.time.at_least());
        let took_ms = world.now_ms() - began;
        let left = Duration::from_secs_f64(wait_s).saturating_sub(Duration::from_millis(took_ms));
        // A night on a slow clock is long: it looks up again now and then.
        tokio::time::sleep(left.min(Duration::from_secs(2))).await;
    }
}

async fn ask(world: &World, chance: &mut Chance) -> Result<(), Status> {
    let query = Query::new(&world.population(), chance);
    let (sent_ms, earliest) = (world.now_ms(), world.time.at_least());
    let mut shown = match query.mode {
        Mode::Slate => slate(world, &query, sent_ms, earliest).await?,
        Mode::Adjusted | Mode::Weights => ranked(world, &query, sent_ms).await?,
    };
    for row in &mut shown {
        row.at = world.time.at_least();
        let orders = (0..row.exposures.min(50)).filter(|_| chance.is(0.01)).count() as u64;
        row.bought = (orders * 3, orders, orders * 6_000);
    }
    world.outbox().put(shown);
    Ok(())
}

async fn slate(world: &World, query: &Query, sent_ms: u64, earliest: Timestamp) -> Result<Vec<Shown>, Status> {
    let request = AllocateRequest {
        scene: query.scene.into(),
        target_kind: query.kind.into(),
        target_ids: query.targets.clone(),
        base_scores: query.base_scores.clone(),
        slots: SLOTS as u32,
        fill_slots: true,
        ..AllocateRequest::default()
    };
    let response = world.scoring().allocate(request).await?.into_inner();
    let latest = world.time.at_most();
    let mut books = world.books();
    books.tally.add("slates", 1);
    query.offer(&mut books, 1);
    let mut shown = Vec::with_capacity(SLOTS);
    for slot in &response.slots {
        let candidate = slot.candidate_index as usize;
        if query.targets.get(candidate) != Some(&slot.target_id) {
            books.breach("slots name candidates", format!("{slot:?}"));
            continue;
        }
        let mut row = query.shown(candidate, slot.programmes, response.policy_version);
        row.reservation = slot.reservation_id;
        books.tally.add(reason(slot.reason()), 1);
        check_exclusion(&mut books, query, candidate, sent_ms, latest, false);
        books.check_grant(&row, sent_ms, (earliest, latest));
        shown.push(row);
    }
    Ok(shown)
}

async fn ranked(world: &World, query: &Query, sent_ms: u64) -> Result<Vec<Shown>, Status> {
    let is_adjusted = query.mode == Mode::Adjusted;
    let request = ScoreRequest {
        scene: query.scene.into(),
        target_kind: query.kind.into(),
        target_ids: query.targets.clone(),
        base_scores: if is_adjusted { query.base_scores.clone() } else { Vec::new() },
        ..ScoreRequest::default()
    };
    let response = world.scoring().score(request).await?.into_inner();
    let latest = world.time.at_most();
    let mut books = world.books();
    books.tally.add(if is_adjusted { "calls in adjusted mode" } else { "calls in weights mode" }, 1);
    query.offer(&mut books, world.options.crowd);
    let ranks: Vec<f64> = if is_adjusted {
        response.adjusted_scores.iter().map(|score| f64::from(*score)).collect()
    } else {
        let pairs = response.boost_weights.iter().zip(&query.base_scores);
        pairs.map(|(weight, base)| f64::from(*weight) * f64::from(*base)).collect()
    };
    if ranks.len() != query.targets.len() || response.programmes.len() != ranks.len() {
        books.breach("columns have one entry per target", format!("{} of {}", ranks.len(), query.targets.len()));
        return Ok(Vec::new());
    }
    for (candidate, rank) in ranks.iter().enumerate() {
        let is_out = if is_adjusted { *rank <= f64::from(f32::MIN) } else { *rank <= 0.0 };
        check_exclusion(&mut books, query, candidate, sent_ms, latest, is_out);
    }
    let mut order: Vec<usize> = (0..ranks.len()).filter(|candidate| ranks[*candidate] > 0.0).collect();
    order.sort_by(|a, b| ranks[*b].total_cmp(&ranks[*a]));
    order.truncate(SLOTS);
    let crowd = world.options.crowd;
    let row = |candidate: usize| Shown {
        exposures: crowd,
        ..query.shown(candidate, response.programmes[candidate], response.policy_version)
    };
    Ok(order.into_iter().map(row).collect())
}

fn check_exclusion(books: &mut Books, query: &Query, candidate: usize, sent_ms: u64, latest: Timestamp, is_out: bool) {
    let merchant = query.merchants[candidate];
    if books.is_excluded(merchant, query.kind, sent_ms, latest) {
        books.tally.add("candidates that had to be excluded", 1);
        if !is_out {
            books
                .breach("who is excluded is not served", format!("{merchant} as {:?} by {:?}", query.kind, query.mode));
        }
    }
}

fn reason(reason: SlotReason) -> &'static str {
    match reason {
        SlotReason::Organic => "slots, organic",
        SlotReason::Support => "slots, support",
        SlotReason::Guarantee => "slots, guarantee",
        SlotReason::Fill => "slots, fill",
        SlotReason::Unspecified => "slots without a reason",
    }
}
