//! What requests leave behind for control: how many came, and a sample of them. A request adds to a counter; one in
//! many is copied, and none waits: what finds the queue taken or full is dropped and counted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::domain::{Scene, TargetKind, Timestamp};
use crate::traffic::{ItemClass, MerchantRow, Offer, SceneRules, lines};

/// Samples that wait at most: control takes them 20 times a second.
const QUEUE: usize = 64;
/// Candidates of a sample at most: of more, the first.
const MAX_CANDIDATES: usize = 1_000;

/// One request as control learns from it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Where.
    pub(super) scene: Scene,
    /// What was ranked.
    pub(super) kind: TargetKind,
    /// When it came.
    pub(super) at: Timestamp,
    /// Slots that were to be filled; 0 where only the recommender knows.
    pub(super) slots: usize,
    /// What candidates offer, base scores included; none where excluded.
    pub(super) offers: Vec<Option<Offer>>,
    /// Base scores of the candidates, in the same order.
    pub(super) bases: Vec<f64>,
}

/// Where requests leave them.
pub(super) struct Samples {
    /// Requests by scene, since the start.
    requests: [AtomicU64; Scene::COUNT],
    /// Of these, requests with base scores: those that can be copied.
    with_bases: AtomicU64,
    /// Of those with base scores one in so many is copied; 0 copies none.
    stride: AtomicU64,
    queue: Mutex<VecDeque<Sample>>,
    dropped: AtomicU64,
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            requests: std::array::from_fn(|_| AtomicU64::new(0)),
            with_bases: AtomicU64::new(0),
            // Nobody listens until control says so.
            stride: AtomicU64::new(0),
            queue: Mutex::default(),
            dropped: AtomicU64::new(0),
        }
    }
}

impl Samples {
    /// Counts a request; answers whether it is one to copy. Without base scores none is, and so those do not move
    /// the count that says which: where few requests bring them, those few would be passed over.
    pub(super) fn counts(&self, scene: Scene, has_bases: bool) -> bool {
        if let Some(requests) = self.requests.get(scene.index()) {
            requests.fetch_add(1, Ordering::Relaxed);
        }
        if !has_bases {
            return false;
        }
        let stride = self.stride.load(Ordering::Relaxed);
        let before = self.with_bases.fetch_add(1, Ordering::Relaxed);
        stride != 0 && before.is_multiple_of(stride)
    }

    /// Hands a copy over, unless somebody else just does or too many wait.
    pub(super) fn hand_over(&self, sample: Sample) {
        match self.queue.try_lock() {
            Some(mut queue) if queue.len() < QUEUE => queue.push_back(sample),
            _ => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What waits, oldest first.
    pub(super) fn take(&self) -> VecDeque<Sample> {
        std::mem::take(&mut *self.queue.lock())
    }

    /// From now on one request in so many is copied; 0 copies none.
    pub(super) fn set_stride(&self, stride: u64) {
        self.stride.store(stride, Ordering::Relaxed);
    }

    /// Requests so far, by scene index.
    pub(super) fn requests(&self) -> [u64; Scene::COUNT] {
        std::array::from_fn(|at| self.requests.get(at).map_or(0, |count| count.load(Ordering::Relaxed)))
    }

    /// Requests with base scores so far.
    pub(super) fn with_bases(&self) -> u64 {
        self.with_bases.load(Ordering::Relaxed)
    }

    /// Samples dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Puts a sample together, candidate by candidate.
pub(super) struct Sampler {
    offers: Vec<Option<Offer>>,
    bases: Vec<f64>,
}

impl Sampler {
    /// For so many candidates.
    pub(super) fn new(candidates: usize) -> Self {
        let capacity = candidates.min(MAX_CANDIDATES);
        Self { offers: Vec::with_capacity(capacity), bases: Vec::with_capacity(capacity) }
    }

    /// Adds a candidate as it stands under the rules that control plans by.
    pub(super) fn add(
        &mut self,
        rules: &SceneRules,
        slot: u32,
        (row, class): (&MerchantRow, &ItemClass),
        base_score: f32,
    ) {
        if self.offers.len() < MAX_CANDIDATES {
            self.offers.push(lines(rules, slot, row, class).offer(base_score));
            self.bases.push(f64::from(base_score));
        }
    }

    /// Hands it over.
    pub(super) fn finish(self, samples: &Samples, scene: Scene, kind: TargetKind, at: Timestamp, slots: usize) {
        samples.hand_over(Sample { scene, kind, at, slots, offers: self.offers, bases: self.bases });
    }
}

#[cfg(test)]
mod tests {
    use super::{QUEUE, Sample, Samples};
    use crate::domain::{Scene, TargetKind, Timestamp};

    fn sample(slots: usize) -> Sample {
        let (scene, kind) = (Scene::Mall, TargetKind::Product);
        Sample { scene, kind, at: Timestamp(1), slots, offers: Vec::new(), bases: Vec::new() }
    }

    #[test]
    fn one_in_so_many_is_copied_and_all_are_counted() {
        let samples = Samples::default();
        assert!(!(0..10).any(|_| samples.counts(Scene::Live, true)), "nobody listens yet");
        samples.set_stride(4);
        let copied = (0..40).filter(|_| samples.counts(Scene::Mall, true)).count();
        assert_eq!(copied, 10);
        assert_eq!((samples.requests()[Scene::Live.index()], samples.requests()[Scene::Mall.index()]), (10, 40));
    }

    #[test]
    fn of_few_requests_with_base_scores_as_many_are_copied() {
        let samples = Samples::default();
        samples.set_stride(4);
        // Callers of weights mode send base scores with one call in a hundred.
        let copied = (0..4_000).filter(|number| samples.counts(Scene::Mall, number % 100 == 1)).count();
        assert_eq!((copied, samples.with_bases(), samples.requests()[Scene::Mall.index()]), (10, 40, 4_000));
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let samples = Samples::default();
        for slots in 0..QUEUE + 5 {
            samples.hand_over(sample(slots));
        }
        assert_eq!(samples.dropped(), 5);
        assert_eq!(samples.take().len(), QUEUE);
        samples.hand_over(sample(7));
        assert_eq!(samples.take().front().map(|sample| sample.slots), Some(7));
        assert!(samples.take().is_empty());
    }
}
