//! A slab of merchant records that one writer changes beside many readers, without locks.
//!
//! Each slot is a sequence lock made of atomics: the writer makes the version odd, writes the words, and makes it
//! even; a reader that saw the version change reads again. No reader waits for more than one slot's writing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::domain::{Scene, TargetKind};
use crate::traffic::{MerchantRecord, MerchantRow, NO_SUPPORT};

/// Slots per chunk: 4,096 of 128 bytes are half a mebibyte.
const CHUNK: usize = 4_096;
/// Chunks at most: 67 million merchants.
const MAX_CHUNKS: usize = 16_384;
const WORDS: usize = 13;

/// Most merchants that one table holds.
pub const MAX_SLOTS: usize = CHUNK * MAX_CHUNKS;

/// One record. Two cache lines, aligned, so that a record never touches a third.
#[repr(align(128))]
struct Slot {
    version: AtomicU32,
    words: [AtomicU64; WORDS],
}

/// Records by slot. Slots that were never written hold [`MerchantRecord::UNREGISTERED`].
pub struct MerchantTable {
    chunks: Box<[OnceLock<Box<[Slot]>>]>,
}

impl Default for MerchantTable {
    fn default() -> Self {
        Self { chunks: (0..MAX_CHUNKS).map(|_| OnceLock::new()).collect() }
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
        let Some(slot) = self.slot(slot) else { return UNREGISTERED_ROW };
        let (scene, kind) = (scene.index(), kind.index());
        slot.read(|words| {
            let [first, .., marks, programmes] = words;
            let marks = load(marks);
            let in_scene = words.get(FIRST_SCENE + scene).map_or(0, load);
            let penalties = words.get(FIRST_PENALTY + kind / 2).map_or(0, load);
            row(load(first), in_scene, penalties >> (kind % 2 * 32), marks >> (scene * 8), marks, load(programmes))
        })
    }

    /// Brings the records of slots near, before they are read one by one.
    pub fn touch(&self, slots: impl Iterator<Item = u32>) {
        let version = |slot| self.slot(slot).map_or(0, |slot| slot.version.load(Ordering::Relaxed));
        std::hint::black_box(slots.fold(0, |seen, slot| seen ^ version(slot)));
    }

    /// Writes a record. Only one thread may write.
    pub fn write(&self, slot: u32, record: &MerchantRecord) {
        let Some((chunk, at)) = place(slot) else { return };
        let Some(chunk) = self.chunks.get(chunk) else { return };
        let Some(slot) = chunk.get_or_init(empty_chunk).get(at) else { return };
        let version = slot.version.load(Ordering::Relaxed);
        slot.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, value) in slot.words.iter().zip(pack(record)) {
            word.store(value, Ordering::Relaxed);
        }
        slot.version.store(version.wrapping_add(2), Ordering::Release);
    }

    fn slot(&self, slot: u32) -> Option<&Slot> {
        let (chunk, at) = place(slot)?;
        self.chunks.get(chunk)?.get()?.get(at)
    }
}

fn place(slot: u32) -> Option<(usize, usize)> {
    let slot = usize::try_from(slot).ok()?;
    Some((slot / CHUNK, slot % CHUNK))
}

fn empty_chunk() -> Box<[Slot]> {
    let words = pack(&MerchantRecord::UNREGISTERED);
    (0..CHUNK).map(|_| Slot { version: AtomicU32::new(0), words: words.map(AtomicU64::new) }).collect()
}

/// Where the words stand: labels and trust; layers and ad price; penalties; tilt and uplift by scene; marks: support by
/// scene and whether it is registered; programmes.
const FIRST_PENALTY: usize = 3;
const FIRST_SCENE: usize = 5;
/// Byte of the marks that says whether the merchant is registered.
const REGISTERED: u32 = 48;

const UNREGISTERED_ROW: MerchantRow = MerchantRow {
    is_registered: false,
    trust: 0.0,
    labels: 0,
    penalty: 1.0,
    tilt: 1.0,
    uplift: 0.0,
    support: NO_SUPPORT,
    programmes: 0,
};

impl Slot {
    /// Reads words until none of them changed meanwhile.
    #[inline]
    fn read<T>(&self, words: impl Fn(&[AtomicU64; WORDS]) -> T) -> T {
        loop {
            let before = self.version.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                let seen = words(&self.words);
                fence(Ordering::Acquire);
                if self.version.load(Ordering::Relaxed) == before {
                    return seen;
                }
            }
            std::hint::spin_loop();
        }
    }
}

fn load(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

/// A row of its words; `penalty` and `support` are shifted so that the ones wanted are lowest.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "takes parts of words")]
fn row(first: u64, in_scene: u64, penalty: u64, support: u64, marks: u64, programmes: u64) -> MerchantRow {
    let [tilt, uplift] = halves(in_scene);
    MerchantRow {
        is_registered: marks >> REGISTERED & 0xff != 0,
        trust: halves(first)[1],
        labels: first as u32,
        penalty: halves(penalty)[0],
        tilt,
        uplift,
        support: support as u8,
        programmes,
    }
}

fn pair(low: f32, high: f32) -> u64 {
    u64::from(low.to_bits()) | u64::from(high.to_bits()) << 32
}

fn pack(record: &MerchantRecord) -> [u64; WORDS] {
    let [l0, l1, l2] = record.layers;
    let [p0, p1, p2, p3] = record.penalty;
    let [t0, t1, t2, t3, t4, t5] = record.tilt;
    let [u0, u1, u2, u3, u4, u5] = record.uplift;
    let [s0, s1, s2, s3, s4, s5] = record.support;
    [
        u64::from(record.labels) | u64::from(record.trust.to_bits()) << 32,
        pair(l0, l1),
        pair(l2, record.ad_price),
        pair(p0, p1),
        pair(p2, p3),
        pair(t0, u0),
        pair(t1, u1),
        pair(t2, u2),
        pair(t3, u3),
        pair(t4, u4),
        pair(t5, u5),
        u64::from_le_bytes([s0, s1, s2, s3, s4, s5, u8::from(record.is_registered), 0]),
        record.programmes,
    ]
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "takes the low and the high half of a word")]
fn halves(word: u64) -> [f32; 2] {
    [f32::from_bits(word as u32), f32::from_bits((word >> 32) as u32)]
}

#[expect(clippy::cast_possible_truncation, reason = "takes the low half of a word")]
fn unpack(words: &[u64; WORDS]) -> MerchantRecord {
    let [w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, programmes] = *words;
    let ([l0, l1], [l2, ad_price]) = (halves(w1), halves(w2));
    let ([p0, p1], [p2, p3]) = (halves(w3), halves(w4));
    let scenes = [w5, w6, w7, w8, w9, w10].map(halves);
    let [s0, s1, s2, s3, s4, s5, is_registered, _] = w11.to_le_bytes();
    MerchantRecord {
        is_registered: is_registered != 0,
        trust: halves(w0)[1],
        layers: [l0, l1, l2],
        ad_price,
        labels: w0 as u32,
        penalty: [p0, p1, p2, p3],
        tilt: scenes.map(|[tilt, _]| tilt),
        uplift: scenes.map(|[_, uplift]| uplift),
        support: [s0, s1, s2, s3, s4, s5],
        programmes,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{CHUNK, MerchantTable};
    use crate::domain::{Scene, TargetKind};
    use crate::traffic::MerchantRecord;

    fn record(n: f32) -> MerchantRecord {
        MerchantRecord {
            is_registered: true,
            trust: n,
            layers: [n + 1.0, n + 2.0, n + 3.0],
            ad_price: n + 4.0,
            labels: 77,
            penalty: [n + 5.0, n + 5.1, n + 5.2, n + 5.3],
            tilt: [n + 6.0, n + 7.0, n + 8.0, n + 9.0, n + 10.0, n + 11.0],
            uplift: [n + 12.0, n + 13.0, n + 14.0, n + 15.0, n + 16.0, n + 17.0],
            support: [1, 2, 3, 4, 5, 255],
            programmes: u64::MAX - 5,
        }
    }

    #[test]
    fn a_record_reads_back_whole() {
        let table = MerchantTable::default();
        let far = u32::try_from(CHUNK * 3 + 1).expect("small");
        table.write(far, &record(0.5));
        assert_eq!(table.read(far), record(0.5));
        for (scene, kind) in Scene::ALL.into_iter().flat_map(|scene| TargetKind::ALL.map(|kind| (scene, kind))) {
            assert_eq!(table.read_row(far, scene, kind), record(0.5).row(scene, kind));
            assert_eq!(table.read_row(0, scene, kind), MerchantRecord::UNREGISTERED.row(scene, kind));
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
