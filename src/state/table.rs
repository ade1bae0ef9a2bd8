//! A slab of merchant records that one writer changes beside many readers, without locks.
//!
//! Each slot is a sequence lock (`sequence_lock.rs`): no reader waits for more than one slot's writing.
//!
//! A slot takes two cache lines. What weights need of most merchants stands in the first: the memory is what a weight
//! waits for. Score mostly needs a word of each merchant, and those words stand side by side.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::merchant_classes::{MerchantClass, MerchantClasses};
use super::near::{bring_near, on_large_pages};
use super::sequence_lock::SequenceLock;
use super::sync::AtomicU32;
use crate::domain::{Scene, TargetKind};
use crate::traffic::{Boost, Label, MAX_BOOSTS, MerchantRecord, MerchantRow};

/// Slots of a chunk, of 128 bytes each: 8 MiB, four large pages.
const CHUNK: usize = 1 << 16;
/// The first chunk is in parts: half a mebibyte each, for small populations.
const PARTS: usize = 16;
const PART: usize = CHUNK / PARTS;
/// Chunks at most, the parts of the first counted one by one: 67 million merchants.
pub(super) const MAX_CHUNKS: usize = PARTS + 1_023;
/// Words of a record: with the version they fill its two cache lines.
const WORDS: usize = 31;

/// Most merchants that one table holds.
pub const MAX_SLOTS: usize = CHUNK * (MAX_CHUNKS - PARTS + 1);

/// One record.
type Slot = SequenceLock<WORDS>;

const _: () = assert!(cfg!(all(test, trustflow_loom)) || size_of::<Slot>() == 128, "a record takes two cache lines");

/// Slots side by side.
struct Chunk {
    slots: Box<[Slot]>,
    /// Of each record the [`Brief`], in one word: it is read whole, without the version.
    briefs: Box<[AtomicU64]>,
}

/// Records by slot. Slots that were never written hold [`MerchantRecord::UNREGISTERED`].
pub struct MerchantTable {
    chunks: Box<[OnceLock<Chunk>]>,
    classes: MerchantClasses,
}

/// What tells merchants of one class apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Brief {
    /// Position of the merchant's class; 0 is none.
    pub class: u32,
    /// Trust score, 0 to 100.
    pub trust: f32,
}

impl Brief {
    fn to_word(self) -> u64 {
        both(self.trust.to_bits(), self.class)
    }

    fn of_word(word: u64) -> Self {
        let [trust, class] = halves(word);
        Self { class, trust: f32::from_bits(trust) }
    }
}

impl Default for MerchantTable {
    fn default() -> Self {
        Self { chunks: (0..MAX_CHUNKS).map(|_| OnceLock::new()).collect(), classes: MerchantClasses::default() }
    }
}

impl MerchantTable {
    /// The record in a slot.
    #[must_use]
    pub fn read(&self, slot: u32) -> MerchantRecord {
        self.slot(slot).map_or(MerchantRecord::UNREGISTERED, |slot| {
            slot.read(|words| unpack(&std::array::from_fn(|i| words.get(i).map_or(0, load))))
        })
    }

    /// The part of the record in a slot for one scene and kind of target.
    #[must_use]
    #[inline]
    pub fn read_row(&self, slot: u32, scene: Scene, kind: TargetKind) -> MerchantRow {
        let Some(slot) = self.slot(slot) else { return MerchantRecord::UNREGISTERED.row(scene, kind) };
        slot.read(|words| {
            let word = |at: usize| words.get(at).map_or(0, load);
            let mut row = MerchantRow {
                is_registered: word(LABELS) & REGISTERED != 0,
                trust: f32::from_bits(word(TRUST)),
                labels: word(LABELS) & LABEL_MASK,
                penalty: 1.0,
                tilt: f32::from_bits(word(FIRST_TILT + scene.index())),
                programmes: both(word(PROGRAMMES), word(PROGRAMMES + 1)),
                held_out: 0,
                boosts: [Boost::default(); MAX_BOOSTS],
            };
            let (near, far) = row.boosts.split_at_mut(NEAR_BOOSTS);
            for (at, place) in near.iter_mut().enumerate() {
                *place = boost(word(FIRST_BOOST + at));
            }
            if word(LABELS) & IS_NEAR == 0 {
                for (at, place) in far.iter_mut().enumerate() {
                    *place = boost(word(FIRST_BOOST + NEAR_BOOSTS + at));
                }
                row.penalty = f32::from_bits(word(FIRST_PENALTY + kind.index()));
                row.held_out = both(word(HELD_OUT), word(HELD_OUT + 1));
            }
            row
        })
    }

    /// The brief of the merchant in a slot; none where nobody ever was.
    #[must_use]
    #[inline]
    pub fn read_brief(&self, slot: u32) -> Option<Brief> {
        // Acquire: who reads the position of a class finds the class.
        Some(Brief::of_word(self.brief(slot)?.load(Ordering::Acquire)))
    }

    /// The class at a position that a brief names.
    #[must_use]
    pub fn merchant_class(&self, position: u32) -> Option<&MerchantClass> {
        self.classes.get(position)
    }

    /// Brings the first line of the record in a slot near.
    #[inline]
    pub fn touch(&self, slot: u32) {
        if let Some(slot) = self.slot(slot) {
            bring_near(slot.first());
        }
    }

    /// Brings the brief of the merchant in a slot near.
    #[inline]
    pub fn touch_brief(&self, slot: u32) {
        if let Some(brief) = self.brief(slot) {
            bring_near(brief);
        }
    }

    /// Writes a record. Only one thread may write a slot at a time.
    pub fn write(&self, slot: u32, record: &MerchantRecord) {
        let words = pack(record);
        let Some((chunk, at)) = find_or_make(&self.chunks, slot, Chunk::new) else { return };
        let (Some(slot), Some(brief)) = (chunk.slots.get(at), chunk.briefs.get(at)) else { return };
        slot.write(words);
        let class = self.classes.position(record);
        brief.store(Brief { class, trust: record.trust }.to_word(), Ordering::Release);
    }

    #[inline]
    fn slot(&self, slot: u32) -> Option<&Slot> {
        let (chunk, at) = find(&self.chunks, slot)?;
        chunk.slots.get(at)
    }

    #[inline]
    fn brief(&self, slot: u32) -> Option<&AtomicU64> {
        let (chunk, at) = find(&self.chunks, slot)?;
        chunk.briefs.get(at)
    }
}

/// The chunk of a slot, and its place there: of everything that is kept by slot.
#[inline]
fn place(slot: u32) -> Option<(usize, usize)> {
    let slot = usize::try_from(slot).ok()?;
    Some(if slot < CHUNK { (slot / PART, slot % PART) } else { (slot / CHUNK + PARTS - 1, slot % CHUNK) })
}

/// The chunk of a slot, if it was ever made, and the slot's place there.
#[inline]
pub(super) fn find<T>(chunks: &[OnceLock<T>], slot: u32) -> Option<(&T, usize)> {
    let (chunk, at) = place(slot)?;
    Some((chunks.get(chunk)?.get()?, at))
}

/// The same with a chunk that is made, given its number, if it never was.
pub(super) fn find_or_make<T>(chunks: &[OnceLock<T>], slot: u32, make: impl FnOnce(usize) -> T) -> Option<(&T, usize)> {
    let (number, at) = place(slot)?;
    Some((chunks.get(number)?.get_or_init(|| make(number)), at))
}

/// Slots of a chunk.
pub(super) fn slots_of(chunk: usize) -> usize {
    if chunk < PARTS { PART } else { CHUNK }
}

impl Chunk {
    fn new(number: usize) -> Self {
        let words = pack(&MerchantRecord::UNREGISTERED);
        let nobody = Brief { class: 0, trust: 0.0 }.to_word();
        Self {
            slots: on_large_pages(slots_of(number), || Slot::new(words)),
            briefs: (0..slots_of(number)).map(|_| AtomicU64::new(nobody)).collect(),
        }
    }
}

/// Where the words stand. The version and the first fifteen are one cache line.
const LABELS: usize = 0;
const TRUST: usize = 1;
const PROGRAMMES: usize = 2;
const FIRST_TILT: usize = 4;
const FIRST_BOOST: usize = FIRST_TILT + Scene::COUNT;
const FIRST_LAYER: usize = FIRST_BOOST + MAX_BOOSTS;
const AD_PRICE: usize = FIRST_LAYER + 3;
const FIRST_PENALTY: usize = AD_PRICE + 1;
const HELD_OUT: usize = FIRST_PENALTY + TargetKind::COUNT;
/// Boosts of the first line.
const NEAR_BOOSTS: usize = 15 - FIRST_BOOST;
/// Bit beside the labels that says whether the merchant is registered.
const REGISTERED: u32 = 1 << 31;
/// Bit beside the labels that says that the first line is all that weights need: no penalty, no holdout, few boosts.
const IS_NEAR: u32 = 1 << 30;
/// The labels themselves.
const LABEL_MASK: u32 = IS_NEAR - 1;

const _: () = assert!(Label::ALL & !LABEL_MASK == 0, "labels have room beside the two bits");

const _: () = assert!(HELD_OUT + 2 == WORDS, "a record fills its words");

fn load(word: &AtomicU32) -> u32 {
    word.load(Ordering::Relaxed)
}

fn both(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

#[expect(clippy::cast_possible_truncation, reason = "takes the low and the high half")]
fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

fn boost(word: u32) -> Boost {
    let [low, high, bit, scenes] = word.to_le_bytes();
    Boost { bit, scenes, thousandths: u16::from_le_bytes([low, high]) }
}

/// Whether the first line is all that weights need.
fn is_near(record: &MerchantRecord) -> bool {
    let is_unpunished = record.penalty.iter().all(|factor| factor.to_bits() == 1.0_f32.to_bits());
    let further = record.boosts.iter().skip(NEAR_BOOSTS);
    is_unpunished && record.held_out == 0 && further.into_iter().all(|boost| *boost == Boost::default())
}

fn pack(record: &MerchantRecord) -> [u32; WORDS] {
    let registered = if record.is_registered { REGISTERED } else { 0 };
    let near = if is_near(record) { IS_NEAR } else { 0 };
    let boosts = record.boosts.iter().map(|boost| {
        let [low, high] = boost.thousandths.to_le_bytes();
        u32::from_le_bytes([low, high, boost.bit, boost.scenes])
    });
    let labels = record.labels & LABEL_MASK | near | registered;
    let values = [labels, record.trust.to_bits()]
        .into_iter()
        .chain(halves(record.programmes))
        .chain(record.tilt.map(f32::to_bits))
        .chain(boosts)
        .chain(record.layers.map(f32::to_bits))
        .chain([record.ad_price.to_bits()])
        .chain(record.penalty.map(f32::to_bits))
        .chain(halves(record.held_out));
    let mut words = [0; WORDS];
    for (word, value) in words.iter_mut().zip(values) {
        *word = value;
    }
    words
}

fn unpack(words: &[u32; WORDS]) -> MerchantRecord {
    let word = |at: usize| words.get(at).copied().unwrap_or(0);
    let float = |at: usize| f32::from_bits(word(at));
    MerchantRecord {
        is_registered: word(LABELS) & REGISTERED != 0,
        trust: float(TRUST),
        layers: std::array::from_fn(|at| float(FIRST_LAYER + at)),
        ad_price: float(AD_PRICE),
        labels: word(LABELS) & LABEL_MASK,
        penalty: std::array::from_fn(|at| float(FIRST_PENALTY + at)),
        tilt: std::array::from_fn(|at| float(FIRST_TILT + at)),
        programmes: both(word(PROGRAMMES), word(PROGRAMMES + 1)),
        held_out: both(word(HELD_OUT), word(HELD_OUT + 1)),
        boosts: std::array::from_fn(|at| boost(word(FIRST_BOOST + at))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{CHUNK, MAX_BOOSTS, MAX_CHUNKS, MAX_SLOTS, MerchantTable, NEAR_BOOSTS, PART, is_near, place, slots_of};
    use crate::domain::{Scene, TargetKind};
    use crate::traffic::{Boost, MerchantRecord};

    fn record(n: f32) -> MerchantRecord {
        MerchantRecord {
            is_registered: true,
            trust: n,
            layers: [n + 1.0, n + 2.0, n + 3.0],
            ad_price: n + 4.0,
            labels: 77,
            penalty: [n + 5.0, n + 5.1, n + 5.2, n + 5.3],
            tilt: [n + 6.0, n + 7.0, n + 8.0, n + 9.0, n + 10.0, n + 11.0],
            programmes: u64::MAX - 5,
            held_out: 1 << 40 | 1,
            boosts: std::array::from_fn(|at| Boost::new(63 - u8::try_from(at).unwrap_or(0), 0x3f, 65.535)),
        }
    }

    #[test]
    fn every_slot_has_a_place_of_its_own() {
        let mut expected = (0..MAX_CHUNKS).flat_map(|chunk| (0..slots_of(chunk)).map(move |at| (chunk, at)));
        for slot in 0..CHUNK * 3 {
            assert_eq!(place(u32::try_from(slot).expect("small")), expected.next(), "{slot}");
        }
        let last = u32::try_from(MAX_SLOTS - 1).expect("fits");
        assert_eq!(place(last), Some((MAX_CHUNKS - 1, CHUNK - 1)));
        assert_eq!(place(u32::try_from(PART).expect("small")), Some((1, 0)));
    }

    #[test]
    fn a_record_reads_back_whole() {
        let table = MerchantTable::default();
        let far = u32::try_from(CHUNK + 1).expect("small");
        table.write(far, &record(0.5));
        assert_eq!(table.read(far), record(0.5));
        for (scene, kind) in Scene::ALL.into_iter().flat_map(|scene| TargetKind::ALL.map(|kind| (scene, kind))) {
            assert_eq!(table.read_row(far, scene, kind), record(0.5).row(scene, kind));
            assert_eq!(table.read_row(0, scene, kind), MerchantRecord::UNREGISTERED.row(scene, kind));
        }
        // What is all in the first line, and what one thing keeps from it.
        let near =
            MerchantRecord { penalty: [1.0; 4], held_out: 0, boosts: [Boost::default(); MAX_BOOSTS], ..record(2.5) };
        let mut fifth = near;
        fifth.boosts[NEAR_BOOSTS - 1] = Boost::new(7, 1, 0.5);
        let mut sixth = near;
        sixth.boosts[NEAR_BOOSTS] = Boost::new(7, 1, 0.5);
        let punished = MerchantRecord { penalty: [1.0, 1.0, 0.5, 1.0], ..near };
        for (record, expected) in [
            (near, true),
            (fifth, true),
            (sixth, false),
            (punished, false),
            (MerchantRecord { held_out: 1, ..near }, false),
        ] {
            assert_eq!(is_near(&record), expected);
            table.write(far, &record);
            assert_eq!(table.read(far), record);
            let brief = table.read_brief(far).expect("just written");
            assert_eq!(brief.trust.to_bits(), record.trust.to_bits());
            let class = table.merchant_class(brief.class).expect("a class of its own");
            assert_eq!(class.row(TargetKind::Product).boosts, record.boosts);
            for kind in TargetKind::ALL {
                assert_eq!(table.read_row(far, Scene::Mall, kind), record.row(Scene::Mall, kind));
            }
        }
        assert_eq!(table.read(far + 1), MerchantRecord::UNREGISTERED, "never written, same chunk");
        assert_eq!(table.read(0), MerchantRecord::UNREGISTERED, "never written, no chunk");
        assert_eq!(table.read(u32::MAX), MerchantRecord::UNREGISTERED, "beyond the table");
    }

    #[test]
    fn readers_never_see_half_a_record() {
        let table = MerchantTable::default();
        table.write(0, &record(0.0));
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = || {
                while !done.load(Ordering::Relaxed) {
                    let seen = table.read(0);
                    assert_eq!(seen, record(seen.trust));
                }
            };
            scope.spawn(reader);
            scope.spawn(reader);
            for n in 0_u16..20_000 {
                table.write(0, &record(f32::from(n)));
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
