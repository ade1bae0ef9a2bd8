//! A bounded sample of past requests: what prices are solved on.
//!
//! Requests are kept by hour of the day, because the future of 20 o'clock looks like the past of 20 o'clock, and the
//! latest ones in a ring. Full memory: [`KEPT_PER_HOUR`] requests in each of 25 places and [`KEPT_RECENT`] recent ones,
//! about 16,000 requests; of 200 candidates at 16 bytes each that is 52 MB. A request that is full of more than
//! [`MAX_CANDIDATES`] candidates is kept with the first of them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::forecast::{HOURS, hour_of};
use super::random::Random;
use crate::domain::{DAY_MS, Scene, TargetKind, Timestamp};
use crate::traffic::price::{Offer, Support};

/// Requests kept of each hour of the day.
pub const KEPT_PER_HOUR: usize = 600;
/// Latest requests kept.
pub const KEPT_RECENT: usize = 512;
/// Candidates kept of one request.
pub const MAX_CANDIDATES: usize = 1_024;
/// Different sets of programmes that are told apart; with more the sketch begins anew.
const MAX_CLASSES: usize = 65_536;
/// Different members; with more the sketch begins anew.
const MAX_MEMBERS: usize = 1 << 20;
/// The place of requests whose hour is not known.
const TIMELESS: usize = HOURS;

/// A request as control sees it.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Where it was made.
    pub scene: Scene,
    /// Kind of its candidates.
    pub kind: TargetKind,
    /// Slots it had to fill.
    pub slots: usize,
    /// Its candidates that were not excluded. Programmes stand in an offer whether or not their window is open: what
    /// is planned today is shown tomorrow.
    pub offers: &'a [Option<Offer>],
    /// Base scores of the candidates, in the same order.
    pub bases: &'a [f64],
}

/// A request of the sketch.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) scene: Scene,
    pub(super) kind: TargetKind,
    pub(super) slots: usize,
    pub(super) candidates: Box<[Candidate]>,
}

/// A candidate of the sketch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) value: f32,
    /// Number of its member in the sketch.
    pub(super) member: u32,
    pub(super) class: u32,
}

/// Programmes of a candidate.
#[derive(Clone, Debug)]
pub(super) struct Class {
    pub(super) hard: u64,
    pub(super) supports: Vec<Support>,
}

/// The sample.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    classes: Arc<Vec<Class>>,
    class_of: HashMap<(u64, Vec<(u8, u64)>), u32, FixedState>,
    /// Members that occur, each with its number in the sketch.
    numbers: HashMap<u32, u32, FixedState>,
    hours: Vec<Place>,
    recent: VecDeque<Arc<Sample>>,
    first: Option<Timestamp>,
    last: Timestamp,
}

#[derive(Clone, Debug, Default)]
struct Place {
    kept: Vec<Arc<Sample>>,
}

impl Sketch {
    pub(super) fn new() -> Self {
        Self {
            classes: Arc::new(Vec::new()),
            class_of: HashMap::default(),
            numbers: HashMap::default(),
            hours: vec![Place::default(); HOURS.saturating_add(1)],
            recent: VecDeque::with_capacity(KEPT_RECENT),
            first: None,
            last: Timestamp::default(),
        }
    }

    /// Requests in it; the latest are counted once.
    pub(super) fn len(&self) -> usize {
        self.hours.iter().map(|place| place.kept.len()).sum()
    }

    pub(super) fn classes(&self) -> Arc<Vec<Class>> {
        Arc::clone(&self.classes)
    }

    /// Takes a request in; without an instant it is one of the past whose hour is not known.
    pub(super) fn add(&mut self, at: Option<Timestamp>, request: &Observed<'_>, random: &mut Random) {
        if self.classes.len() >= MAX_CLASSES || self.numbers.len() >= MAX_MEMBERS {
            *self = Self::new();
        }
        let offers = request.offers.iter().flatten().take(MAX_CANDIDATES);
        let candidates: Vec<Candidate> = offers
            .map(|offer| {
                let (member, class) = (self.number(offer.member), self.class(offer));
                Candidate { value: narrow(offer.value), member, class }
            })
            .collect();
        if candidates.is_empty() || request.slots == 0 {
            return;
        }
        let (scene, kind, slots) = (request.scene, request.kind, request.slots);
        let sample = Arc::new(Sample { scene, kind, slots, candidates: candidates.into() });
        if let Some(place) = self.hours.get_mut(at.map_or(TIMELESS, hour_of)) {
            place.add(Arc::clone(&sample), random);
        }
        if let Some(at) = at {
            self.first.get_or_insert(at);
            self.last = self.last.max(at);
            if self.recent.len() >= KEPT_RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(sample);
        }
    }

    fn number(&mut self, member: u32) -> u32 {
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(member).or_insert(next)
    }

    /// Number of a member, if it occurs.
    pub(super) fn number_of(&self, member: u32) -> Option<usize> {
        self.numbers.get(&member).and_then(|number| usize::try_from(*number).ok())
    }

    /// How many members occur.
    pub(super) fn members(&self) -> usize {
        self.numbers.len()
    }

    fn class(&mut self, offer: &Offer) -> u32 {
        let key = (offer.hard, offer.supports.iter().map(|s| (s.bit, s.uplift.to_bits())).collect::<Vec<_>>());
        if let Some(class) = self.class_of.get(&key) {
            return *class;
        }
        let classes = Arc::make_mut(&mut self.classes);
        let class = u32::try_from(classes.len()).unwrap_or(u32::MAX);
        classes.push(Class { hard: offer.hard, supports: offer.supports.to_vec() });
        self.class_of.insert(key, class);
        class
    }

    /// Whether it covers a whole day, so that hours can be told apart.
    fn covers_day(&self) -> bool {
        self.first.is_some_and(|first| self.last.0.saturating_sub(first.0) >= DAY_MS)
    }

    /// Draws requests for instants to come: mostly of their hour of the day, some of the latest.
    pub(super) fn draw(&self, instants: &[Timestamp], recent_share: f64, random: &mut Random) -> Vec<Arc<Sample>> {
        let covers_day = self.covers_day();
        let total = self.len();
        let drawn = instants.iter().filter_map(|at| {
            if !self.recent.is_empty() && random.unit() < recent_share {
                return self.recent.get(random.below(self.recent.len()));
            }
            let place = self.hours.get(hour_of(*at)).filter(|place| covers_day && !place.kept.is_empty());
            match place {
                Some(place) => place.kept.get(random.below(place.kept.len())),
                None => {
                    let mut number = random.below(total);
                    self.hours.iter().find_map(|place| match place.kept.get(number) {
                        Some(sample) => Some(sample),
                        None => {
                            number = number.saturating_sub(place.kept.len());
                            None
                        }
                    })
                }
            }
        });
        drawn.cloned().collect()
    }
}

impl Place {
    /// Keeps the sample, in the place of any other once it is full: memory of older days fades.
    fn add(&mut self, sample: Arc<Sample>, random: &mut Random) {
        if self.kept.len() < KEPT_PER_HOUR {
            self.kept.push(sample);
            return;
        }
        let any = random.below(self.kept.len());
        if let Some(kept) = self.kept.get_mut(any) {
            *kept = sample;
        }
    }
}

/// A float of half the size.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "the nearest f32 is meant")]
pub(super) fn narrow(value: f64) -> f32 {
    value as f32
}
