//! The decision log: a sample of what `Allocate` and `Score` were asked and decided, as lines that `backtest` reads.
//!
//! A request that is drawn hands what it knows over by value and goes on; `writer` owns the file and writes on a thread
//! of its own that lets requests go first. What finds the queue full is dropped and counted. Recording never fails a
//! request: a file that cannot be written ends the recording, not the serving.

mod line;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tracing::error;

use super::allocate::SlateSlot;
use super::samples::Sampler;
use crate::domain::{Scene, TargetKind, Timestamp, to_f32};
use crate::state::{Hot, yield_to_requests};
use crate::telemetry::RecordMetrics;
use crate::traffic::{ItemClass, Lines, MerchantRow, SceneRules};

pub use writer::RecordFile;

/// Decisions that wait at most: some megabytes of usual requests.
const QUEUE: usize = 256;

/// One decision, as the request leaves it behind.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    /// When it was taken.
    pub(super) at: Timestamp,
    /// What the caller called it; may be empty.
    pub(super) request_id: String,
    /// Where.
    pub(super) scene: Scene,
    /// What was ranked.
    pub(super) kind: TargetKind,
    /// Version of the policy.
    pub(super) policy_version: u64,
    /// Revision that it includes.
    pub(super) revision: u64,
    /// Which prices it was taken by.
    pub(super) epoch: u64,
    /// The candidates.
    pub(super) items: Vec<u64>,
    /// Their merchants; 0 where nobody is registered.
    pub(super) merchants: Vec<u64>,
    /// Their base scores.
    pub(super) bases: Vec<f32>,
    /// Base score times factors; none where excluded.
    pub(super) values: Vec<Option<f32>>,
    /// What was decided.
    pub(super) answer: Answer,
}

/// What was decided about the candidates.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// A slate.
    Slate {
        /// Slots asked for.
        slots: usize,
        /// Those filled.
        shown: Vec<SlateSlot>,
    },
    /// Adjusted scores, of which the recommender makes what it likes.
    Adjusted {
        /// By candidate.
        scores: Vec<f32>,
        /// Bits of the programmes that an exposure of it counts against, by candidate.
        programmes: Vec<u64>,
    },
}

/// What goes to the thread that writes.
enum Message {
    Decision(Box<Decision>),
    Stop,
}

/// Whether decisions are wanted: read by every request, set by the writer.
#[derive(Default)]
struct Switch(AtomicBool);

impl Switch {
    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, is_on: bool, metrics: &RecordMetrics) {
        self.0.store(is_on, Ordering::Relaxed);
        metrics.is_active(is_on);
    }
}

/// Where requests leave decisions.
pub(super) struct Recorder {
    switch: Arc<Switch>,
    share: f64,
    asked: AtomicU64,
    dropped: AtomicU64,
    queue: SyncSender<Message>,
    metrics: RecordMetrics,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Recorder {
    /// Starts writing a share of the decisions to a file.
    pub(super) fn start(file: RecordFile, share: f64) -> std::io::Result<Self> {
        let (recorder, inbox) = Self::with_queue(share, QUEUE);
        let (switch, metrics) = (recorder.switch.clone(), recorder.metrics.clone());
        let work = move || {
            yield_to_requests();
            writer::run(file, share, &inbox, &switch, &metrics);
        };
        *recorder.thread.lock() = Some(std::thread::Builder::new().name("record".to_owned()).spawn(work)?);
        Ok(recorder)
    }

    fn with_queue(share: f64, room: usize) -> (Self, Receiver<Message>) {
        let (queue, inbox) = sync_channel(room);
        let (switch, metrics) = (Arc::new(Switch::default()), RecordMetrics::default());
        switch.set(true, &metrics);
        let (asked, dropped) = (AtomicU64::new(0), AtomicU64::new(0));
        (Self { switch, share, asked, dropped, queue, metrics, thread: Mutex::new(None) }, inbox)
    }

    /// Whether the next decision is one to record. Drawn, not counted off: traffic that repeats itself every so many
    /// requests must not give a sample of one kind.
    pub(super) fn draws(&self) -> bool {
        if !self.switch.is_on() {
            return false;
        }
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        self.share >= 1.0 || unit(number) < self.share
    }

    /// Hands a decision over, unless too many wait.
    pub(super) fn hand_over(&self, decision: Decision) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Message::Decision(Box::new(decision))) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.metrics.dropped();
        }
    }

    /// Writes what waits and ends.
    pub(super) fn shut_down(&self) {
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // An error means that the thread has ended already.
            let _ = self.queue.send(Message::Stop);
            if thread.join().is_err() {
                error!("the thread that records decisions panicked; what it had not written is lost");
            }
        }
    }
}

/// A number from 0 to 1 that looks drawn (splitmix64).
#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "53 bits of 64")]
fn unit(number: u64) -> f64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// What looks on while candidates are gone through: for control, for the decision log, or for both. The loops over
/// candidates see one optional witness, so that recording costs those that are not drawn nothing there.
#[derive(Default)]
pub(super) struct Witness {
    /// For control.
    pub(super) sampler: Option<Sampler>,
    /// For the decision log.
    pub(super) draft: Option<Draft>,
}

/// What is known of the candidates of a decision.
#[derive(Default)]
pub(super) struct Draft {
    members: Vec<u32>,
    values: Vec<Option<f32>>,
    epoch: u64,
}

impl Witness {
    /// For so many candidates; none if nobody wants to know.
    pub(super) fn new(candidates: usize, for_control: bool, for_record: bool) -> Option<Self> {
        let draft = || Draft { members: Vec::with_capacity(candidates), ..Draft::default() };
        let of = Self { sampler: for_control.then(|| Sampler::new(candidates)), draft: for_record.then(draft) };
        (for_control || for_record).then_some(of)
    }

    /// Sees a candidate of a member (slot): as it is served, and for control what it is made of.
    pub(super) fn add(
        &mut self,
        lines: &Lines,
        (planned, row, class): (&SceneRules, &MerchantRow, &ItemClass),
        member: u32,
        base_score: f32,
    ) {
        if let Some(sampler) = &mut self.sampler {
            sampler.add(planned, member, (row, class), base_score);
        }
        if let Some(draft) = &mut self.draft {
            let value = (!lines.is_excluded).then(|| lines.factor() * f64::from(base_score));
            draft.members.push(member);
            // A line of JSON has no word for what is beyond all floats.
            draft.values.push(value.map(|value| to_f32(value.min(f64::from(f32::MAX)))));
        }
    }

    /// Sees which prices hold.
    pub(super) fn priced(&mut self, epoch: u64) {
        if let Some(draft) = &mut self.draft {
            draft.epoch = epoch;
        }
    }
}

/// What a query and its answer say about a decision.
pub(super) struct Decided<'a> {
    pub(super) at: Timestamp,
    pub(super) request_id: &'a str,
    pub(super) scene: Scene,
    pub(super) kind: TargetKind,
    pub(super) policy_version: u64,
    pub(super) revision: u64,
    pub(super) items: &'a [u64],
    pub(super) bases: &'a [f32],
    pub(super) answer: Answer,
}

impl Draft {
    /// Puts the decision together.
    pub(super) fn finish(self, hot: &Hot, decided: Decided<'_>) -> Decision {
        let owner = |slot: &u32| hot.merchant_at(*slot).map_or(0, |merchant| merchant.0);
        Decision {
            at: decided.at,
            request_id: decided.request_id.to_owned(),
            scene: decided.scene,
            kind: decided.kind,
            policy_version: decided.policy_version,
            revision: decided.revision,
            epoch: self.epoch,
            items: decided.items.to_vec(),
            merchants: self.members.iter().map(owner).collect(),
            bases: decided.bases.to_vec(),
            values: self.values,
            answer: decided.answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::{Answer, Decision, Message, Recorder, unit};
    use crate::domain::{Scene, TargetKind, Timestamp};

    fn decision(at: i64) -> Decision {
        Decision {
            at: Timestamp(at),
            request_id: String::new(),
            scene: Scene::Live,
            kind: TargetKind::LiveRoom,
            policy_version: 1,
            revision: 2,
            epoch: 3,
            items: vec![10],
            merchants: vec![1],
            bases: vec![0.5],
            values: vec![Some(0.5)],
            answer: Answer::Slate { slots: 1, shown: Vec::new() },
        }
    }

    #[test]
    fn a_share_is_drawn() {
        let (recorder, _inbox) = Recorder::with_queue(0.1, 1);
        let drawn = (0..10_000).filter(|_| recorder.draws()).count();
        assert!((900..1_100).contains(&drawn), "{drawn}");
        let (all, _inbox) = Recorder::with_queue(1.0, 1);
        assert!((0..100).all(|_| all.draws()));
        assert!((0..1_000).all(|number| (0.0..1.0).contains(&unit(number))));
    }

    #[test]
    fn what_finds_the_queue_full_is_dropped_and_a_request_does_not_wait() {
        let (recorder, inbox) = Recorder::with_queue(1.0, 3);
        for at in 0..10 {
            recorder.hand_over(decision(at));
        }
        assert_eq!(recorder.dropped.load(Ordering::Relaxed), 7);
        let kept: Vec<i64> = inbox
            .try_iter()
            .filter_map(|message| match message {
                Message::Decision(decision) => Some(decision.at.0),
                Message::Stop => None,
            })
            .collect();
        assert_eq!(kept, [0, 1, 2]);
        // Nobody listens any more: nothing waits, and nothing is lost that could have been written.
        drop(inbox);
        recorder.hand_over(decision(11));
        assert_eq!(recorder.dropped.load(Ordering::Relaxed), 7);
    }
}
