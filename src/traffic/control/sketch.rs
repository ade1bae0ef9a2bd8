//! A bounded sample of past requests: what prices are solved on.
//!
//! Requests are kept by hour of the day, because the future of 20 o'clock looks like the past of 20 o'clock, and the
//! latest ones in a ring. Full memory: [`KEPT_PER_HOUR`] requests in each hour, as many of a past sample and
//! [`KEPT_RECENT`] recent ones, about 30,000 requests; of 200 candidates at 12 bytes each that is 72 MB. A request that is full of more than
//! [`MAX_CANDIDATES`] candidates is kept with the first of them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::flight::Shown;
use super::forecast::{HOURS, hour_of};
use super::random::Random;
use crate::domain::{DAY_MS, Scene, TargetKind, Timestamp, count_to_f64, to_f32};
use crate::traffic::price::{Offer, Support};

/// Requests kept of each hour of the day.
pub const KEPT_PER_HOUR: usize = 600;
/// Latest requests kept.
pub const KEPT_RECENT: usize = 512;
/// Candidates kept of one request.
pub const MAX_CANDIDATES: usize = 1_024;
/// Different sets of programmes that are told apart; with more, those of forgotten requests are forgotten.
const MAX_CLASSES: usize = 65_536;
/// Different members; with more, those of forgotten requests are forgotten.
const MAX_MEMBERS: usize = 1 << 20;
/// Requests of an hour that a past sample of that hour counts as much as.
const PAST_COUNTS: f64 = 20.0;
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
    /// How its slots are filled.
    pub shown: Shown,
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

/// Hard programmes, and supports with the bits of their uplifts.
type ClassKey = (u64, Vec<(u8, u64)>);

/// The sample.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    names: Names,
    /// Names of either sort after which those out of use are forgotten.
    most: (usize, usize),
    hours: Vec<Place>,
    /// A past sample, which counts until there is enough of the traffic itself.
    past: Vec<Place>,
    recent: VecDeque<Arc<Sample>>,
    first: Option<Timestamp>,
    last: Timestamp,
}

/// Members and classes by number.
#[derive(Clone, Debug, Default)]
struct Names {
    classes: Arc<Vec<Class>>,
    class_of: HashMap<ClassKey, u32, FixedState>,
    /// Members that occurred, each with its number in the sketch.
    numbers: HashMap<u32, u32, FixedState>,
}

#[derive(Clone, Debug, Default)]
struct Place {
    kept: Vec<Arc<Sample>>,
}

impl Sketch {
    pub(super) fn new() -> Self {
        Self {
            names: Names::default(),
            most: (MAX_MEMBERS, MAX_CLASSES),
            hours: vec![Place::default(); HOURS],
            past: vec![Place::default(); HOURS.saturating_add(1)],
            recent: VecDeque::with_capacity(KEPT_RECENT),
            first: None,
            last: Timestamp(i64::MIN),
        }
    }

    /// Requests of the traffic itself in it; the latest are counted once.
    pub(super) fn len(&self) -> usize {
        size(&self.hours)
    }

    /// Bytes that its requests take; those of the traffic itself stand among the latest, too, and are counted once.
    pub(super) fn bytes(&self) -> usize {
        let samples = self.hours.iter().chain(&self.past).flat_map(|place| &place.kept);
        samples.fold(0, |bytes: usize, sample| {
            let candidates = sample.candidates.len().saturating_mul(size_of::<Candidate>());
            bytes.saturating_add(candidates).saturating_add(size_of::<Sample>())
        })
    }

    pub(super) fn classes(&self) -> Arc<Vec<Class>> {
        Arc::clone(&self.names.classes)
    }

    /// Takes a request in that came just now.
    pub(super) fn add(&mut self, at: Timestamp, request: &Observed<'_>, random: &mut Random) {
        let Some(sample) = self.sample(request) else { return };
        if let Some(place) = self.hours.get_mut(hour_of(at)) {
            place.add(Arc::clone(&sample), random);
        }
        self.first.get_or_insert(at);
        self.last = self.last.max(at);
        if self.recent.len() >= KEPT_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(sample);
    }

    /// Takes a request of the past in; `at` tells its hour of the day, if that is known.
    pub(super) fn add_past(&mut self, at: Option<Timestamp>, request: &Observed<'_>, random: &mut Random) {
        let sample = self.sample(request);
        if let (Some(sample), Some(place)) = (sample, self.past.get_mut(at.map_or(TIMELESS, hour_of))) {
            place.add(sample, random);
        }
    }

    fn sample(&mut self, request: &Observed<'_>) -> Option<Arc<Sample>> {
        if self.names.numbers.len() >= self.most.0 || self.names.classes.len() >= self.most.1 {
            self.forget_names();
        }
        let offers = request.offers.iter().flatten().take(MAX_CANDIDATES);
        let candidates: Vec<Candidate> = offers
            .map(|offer| {
                let (member, class) = (self.names.number(offer.member), self.names.class(offer.hard, &offer.supports));
                Candidate { value: to_f32(offer.value), member, class }
            })
            .collect();
        let (scene, kind, slots) = (request.scene, request.kind, request.slots);
        let is_empty = candidates.is_empty() || slots == 0;
        (!is_empty).then(|| Arc::new(Sample { scene, kind, slots, candidates: candidates.into() }))
    }

    /// Number of a member, if it occurs.
    pub(super) fn number_of(&self, member: u32) -> Option<usize> {
        self.names.numbers.get(&member).and_then(|number| usize::try_from(*number).ok())
    }

    /// How many members occur.
    pub(super) fn members(&self) -> usize {
        self.names.numbers.len()
    }

    /// Numbers members and classes anew by the requests that are kept. Where these alone name too many, every second
    /// one is given up: a smaller sample still is one.
    fn forget_names(&mut self) {
        loop {
            let (members, classes) = self.names_in_use();
            let fits = members <= self.most.0.div_euclid(2) && classes <= self.most.1.div_euclid(2);
            if fits || !self.thin() {
                break;
            }
        }
        let old = std::mem::take(&mut self.names);
        let mut slots = vec![0_u32; old.numbers.len()];
        for (member, number) in &old.numbers {
            if let Some(slot) = usize::try_from(*number).ok().and_then(|number| slots.get_mut(number)) {
                *slot = *member;
            }
        }
        let names = &mut self.names;
        // Plans under way read the samples as they were, and so samples are written anew.
        let mut renamed = |sample: &Sample| {
            let candidates = sample.candidates.iter().filter_map(|candidate| {
                let member = slots.get(usize::try_from(candidate.member).ok()?)?;
                let class = old.classes.get(usize::try_from(candidate.class).ok()?)?;
                let (member, class) = (names.number(*member), names.class(class.hard, &class.supports));
                Some(Candidate { member, class, ..*candidate })
            });
            Arc::new(Sample {
                scene: sample.scene,
                kind: sample.kind,
                slots: sample.slots,
                candidates: candidates.collect(),
            })
        };
        // The latest are kept in an hour as well, and share their memory.
        let mut latest: HashMap<*const Sample, Arc<Sample>, FixedState> = HashMap::default();
        let before = self.recent.clone();
        for sample in &mut self.recent {
            let new = renamed(sample);
            latest.insert(Arc::as_ptr(sample), Arc::clone(&new));
            *sample = new;
        }
        for sample in self.hours.iter_mut().chain(&mut self.past).flat_map(|place| &mut place.kept) {
            *sample = latest.get(&Arc::as_ptr(sample)).map_or_else(|| renamed(sample), Arc::clone);
        }
        // Until here, so that no new sample lies where one of the latest lay.
        drop(before);
    }

    /// Members and classes of the requests that are kept.
    fn names_in_use(&self) -> (usize, usize) {
        let mut members = vec![false; self.names.numbers.len()];
        let mut classes = vec![false; self.names.classes.len()];
        let mut mark = |sample: &Arc<Sample>| {
            for candidate in &sample.candidates {
                for (used, number) in [(&mut members, candidate.member), (&mut classes, candidate.class)] {
                    if let Some(used) = usize::try_from(number).ok().and_then(|number| used.get_mut(number)) {
                        *used = true;
                    }
                }
            }
        };
        self.recent.iter().for_each(&mut mark);
        self.hours.iter().chain(&self.past).flat_map(|place| &place.kept).for_each(&mut mark);
        let count = |used: &[bool]| used.iter().filter(|used| **used).count();
        (count(&members), count(&classes))
    }

    /// Gives up every second request; answers whether there were any.
    fn thin(&mut self) -> bool {
        let mut had_any = false;
        let mut is_kept = false;
        let mut every_second = |_: &Arc<Sample>| {
            had_any = true;
            is_kept = !is_kept;
            !is_kept
        };
        self.recent.retain(&mut every_second);
        for place in self.hours.iter_mut().chain(&mut self.past) {
            place.kept.retain(&mut every_second);
        }
        had_any
    }

    /// Whether it covers a whole day, so that hours can be told apart.
    fn covers_day(&self) -> bool {
        self.first.is_some_and(|first| self.last.0.saturating_sub(first.0) >= DAY_MS)
    }

    /// Draws requests for instants to come: mostly of their hour of the day, some of the latest, and of the past sample
    /// while there is little else. `None` stands for an instant that nothing is known of.
    pub(super) fn draw(
        &self,
        instants: &[Timestamp],
        recent_share: f64,
        random: &mut Random,
    ) -> Vec<Option<Arc<Sample>>> {
        let covers_day = self.covers_day();
        let total = self.len();
        let drawn = instants.iter().map(|at| {
            let own = self.hours.get(hour_of(*at)).filter(|place| covers_day && !place.kept.is_empty());
            let past = self.past.get(hour_of(*at)).filter(|place| !place.kept.is_empty());
            let past = past.or_else(|| self.past.get(TIMELESS)).filter(|place| !place.kept.is_empty());
            let known = count(own.map_or(total, |place| place.kept.len()));
            let chance = past.map_or(0.0, |_| PAST_COUNTS / (PAST_COUNTS + known));
            if let Some(past) = past.filter(|_| random.unit() < chance) {
                return past.any(random);
            }
            if !self.recent.is_empty() && random.unit() < recent_share {
                return self.recent.get(random.below(self.recent.len()));
            }
            match own {
                Some(place) => place.any(random),
                None => nth(&self.hours, random.below(total)),
            }
        });
        drawn.map(Option::<&Arc<Sample>>::cloned).collect()
    }
}

impl Names {
    fn number(&mut self, member: u32) -> u32 {
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(member).or_insert(next)
    }

    fn class(&mut self, hard: u64, supports: &[Support]) -> u32 {
        let key = (hard, supports.iter().map(|s| (s.bit, s.uplift.to_bits())).collect::<Vec<_>>());
        if let Some(class) = self.class_of.get(&key) {
            return *class;
        }
        let classes = Arc::make_mut(&mut self.classes);
        let class = u32::try_from(classes.len()).unwrap_or(u32::MAX);
        classes.push(Class { hard, supports: supports.to_vec() });
        self.class_of.insert(key, class);
        class
    }
}

fn nth(places: &[Place], mut number: usize) -> Option<&Arc<Sample>> {
    for place in places {
        if let Some(sample) = place.kept.get(number) {
            return Some(sample);
        }
        number = number.saturating_sub(place.kept.len());
    }
    None
}

fn size(places: &[Place]) -> usize {
    places.iter().map(|place| place.kept.len()).sum()
}

fn count(number: usize) -> f64 {
    count_to_f64(u64::try_from(number).unwrap_or(u64::MAX))
}

impl Place {
    fn any(&self, random: &mut Random) -> Option<&Arc<Sample>> {
        self.kept.get(random.below(self.kept.len()))
    }

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

#[cfg(test)]
mod tests {
    use super::{KEPT_PER_HOUR, KEPT_RECENT, Observed, Offer, Random, Scene, Sketch, Support, TargetKind, Timestamp};

    fn place(number: u32) -> usize {
        usize::try_from(number).expect("small")
    }

    /// Adds requests of member 7 and another one each, in a class of its own each.
    fn filled(most: (usize, usize), requests: u32) -> Sketch {
        let mut sketch = Sketch { most, ..Sketch::new() };
        let mut random = Random::new(1);
        for number in 0..requests {
            let support = Support { bit: 1, uplift: f64::from(number) };
            let other =
                Offer { member: 1_000 + number, value: 2.0, hard: 4, supports: [support].into_iter().collect() };
            let offers = [Some(Offer { member: 7, value: 1.0, ..Offer::default() }), Some(other)];
            let (scene, kind, bases) = (Scene::Live, TargetKind::Product, [1.0, 2.0]);
            sketch.add(
                Timestamp(0),
                &Observed {
                    shown: crate::traffic::control::Shown::Slate,
                    scene,
                    kind,
                    slots: 1,
                    offers: &offers,
                    bases: &bases,
                },
                &mut random,
            );
        }
        sketch
    }

    #[test]
    fn requests_are_kept_when_members_and_classes_come_and_go() {
        for most in [(4_000, usize::MAX), (usize::MAX, 4_000)] {
            let sketch = filled(most, 9_000);
            assert_eq!((sketch.len(), sketch.recent.len()), (KEPT_PER_HOUR, KEPT_RECENT));
            assert!(sketch.members() <= 4_001 || most.0 > 4_000, "{}", sketch.members());
            assert!(sketch.classes().len() <= 4_001 || most.1 > 4_000, "{}", sketch.classes().len());
            let mut slots = vec![0; sketch.members()];
            sketch.names.numbers.iter().for_each(|(slot, number)| slots[place(*number)] = *slot);
            for sample in sketch.hours.iter().flat_map(|place| &place.kept).chain(&sketch.recent) {
                let (first, other) = (&sample.candidates[0], &sample.candidates[1]);
                assert_eq!(slots[place(first.member)], 7);
                let class = &sketch.classes()[place(other.class)];
                assert_eq!(f64::from(slots[place(other.member)] - 1_000).to_bits(), class.supports[0].uplift.to_bits());
                assert_eq!(class.hard, 4);
            }
        }
    }

    #[test]
    fn where_the_kept_alone_are_too_many_half_of_them_go() {
        let sketch = filled((300, usize::MAX), 5_000);
        assert!(sketch.members() <= 301 && sketch.len() >= 30, "{} {}", sketch.members(), sketch.len());
    }
}
