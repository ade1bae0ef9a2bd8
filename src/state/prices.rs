//! The prices that Score and Allocate read: of budgets, all at once, and of members, by slot. Soft state, written by
//! control alone: it belongs to no world and survives every change of one.

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};

use super::near::{bring_near, on_large_pages};
use super::table::{MAX_CHUNKS, find, find_or_make, slots_of};
use crate::domain::Scene;
use crate::traffic::{MemberPrice, PriceBook, ScenePrices};

/// In the sign of the factor, which has none: whether the guard wants the member served.
const MUST_SERVE: u32 = 1 << 31;

/// One member's prices, half a cache line. Each is read whole; a reader between the two sees a price beside a mask of a
/// moment before, which harms nothing: both were true just now.
#[repr(align(32))]
struct Place {
    /// The additive price above, the factor below.
    price: AtomicU64,
    spent: AtomicU64,
    /// Programmes whose cap or share reports on their way may have spent, as bits.
    stopped: AtomicU64,
    /// Programmes with a share for the long tail that the member is known to belong to, as bits.
    tail: AtomicU64,
}

impl Place {
    fn price(&self) -> MemberPrice {
        let [additive, factor] = halves(self.price.load(Ordering::Relaxed));
        MemberPrice {
            additive: f32::from_bits(additive),
            factor: f32::from_bits(factor & !MUST_SERVE),
            spent: self.spent.load(Ordering::Relaxed),
            must_serve: factor & MUST_SERVE != 0,
        }
    }
}

/// What few requests read of a member.
#[derive(Default)]
struct Rest {
    /// Slots that slates of this node gave the member, by scene index; each wraps around.
    granted: [AtomicU16; Scene::COUNT],
    /// Scenes in which the member's package is empty, as bits.
    unpacked: AtomicU8,
}

/// What the byte of a member says: nothing is its own.
const NOTHING: u8 = 0;
/// Its place is to be read. The numbers between are those of [`Tails`]: the place says nothing but that.
const PLACE: u8 = u8::MAX;

/// Members side by side.
struct Chunk {
    /// A byte for each: for most it says all there is to know, and a request need not wait for their places.
    told: Box<[AtomicU8]>,
    places: Box<[Place]>,
    rest: Box<[Rest]>,
}

impl Chunk {
    fn new(number: usize) -> Self {
        let slots = slots_of(number);
        let neutral = MemberPrice::default();
        let empty = || Place {
            price: AtomicU64::new(word(neutral.additive, neutral.factor, false)),
            spent: AtomicU64::new(neutral.spent),
            stopped: AtomicU64::new(0),
            tail: AtomicU64::new(0),
        };
        Self {
            told: (0..slots).map(|_| AtomicU8::new(NOTHING)).collect(),
            places: on_large_pages(slots, empty),
            rest: (0..slots).map(|_| Rest::default()).collect(),
        }
    }

    /// Notes what a place says, after it was written.
    fn tell(&self, at: usize, tails: &Tails) {
        let (Some(place), Some(told)) = (self.places.get(at), self.told.get(at)) else { return };
        let neutral = MemberPrice::default();
        let is_neutral = place.price.load(Ordering::Relaxed) == word(neutral.additive, neutral.factor, false)
            && [&place.spent, &place.stopped].iter().all(|mask| mask.load(Ordering::Relaxed) == 0);
        let byte = if is_neutral { tails.number(place.tail.load(Ordering::Relaxed)) } else { PLACE };
        // Mostly nothing has changed, and a word that is written leaves the caches of all who read it.
        if told.load(Ordering::Relaxed) != byte {
            told.store(byte, Ordering::Release);
        }
    }
}

/// The sets of programmes to whose long tail some member belongs, each once.
struct Tails([AtomicU64; 255]);

impl Default for Tails {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Tails {
    /// The number of a set, the next one if it is new; [`PLACE`] when there are too many. One thread alone calls it.
    fn number(&self, programmes: u64) -> u8 {
        if programmes == 0 {
            return NOTHING;
        }
        for (number, place) in (0..PLACE).zip(&self.0).skip(1) {
            match place.load(Ordering::Relaxed) {
                0 => {
                    place.store(programmes, Ordering::Relaxed);
                    return number;
                }
                known if known == programmes => return number,
                _ => {}
            }
        }
        PLACE
    }

    fn get(&self, number: u8) -> u64 {
        self.0.get(usize::from(number)).map_or(0, |programmes| programmes.load(Ordering::Relaxed))
    }
}

/// What there is to know of a member.
enum Told<'a> {
    /// Nothing but to the long tail of which programmes it belongs, as bits.
    Tail(u64),
    /// What its place says.
    Place(&'a Place),
}

/// A price book that is held for a request.
pub type PriceGuard = Guard<Arc<PriceBook>>;

/// The published prices.
pub struct Prices {
    book: ArcSwap<PriceBook>,
    chunks: Box<[OnceLock<Chunk>]>,
    tails: Tails,
    /// By scene index.
    stopped: [AtomicU64; Scene::COUNT],
    /// Programmes in which nothing is left but the share of the long tail.
    tail_only: AtomicU64,
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            book: ArcSwap::default(),
            chunks: (0..MAX_CHUNKS).map(|_| OnceLock::new()).collect(),
            tails: Tails::default(),
            stopped: std::array::from_fn(|_| AtomicU64::new(0)),
            tail_only: AtomicU64::new(0),
        }
    }
}

impl Prices {
    /// The prices of budgets.
    #[must_use]
    pub fn book(&self) -> PriceGuard {
        self.book.load()
    }

    /// Publishes prices of budgets.
    pub fn publish(&self, mut book: PriceBook) {
        book.scenes.iter_mut().for_each(ScenePrices::note_priced);
        self.book.store(Arc::new(book));
    }

    /// The prices of a member: neutral ones unless they were set.
    #[must_use]
    #[inline]
    pub fn member(&self, slot: u32) -> MemberPrice {
        match self.told(slot) {
            Told::Tail(_) => MemberPrice::default(),
            Told::Place(place) => place.price(),
        }
    }

    /// The prices of a member, and the programmes of which it may have nothing more by scores, beside those that are
    /// spent: its cap or share may be, or only the part of the long tail is left and it is not known to belong there.
    #[must_use]
    #[inline]
    pub fn scored(&self, slot: u32) -> (MemberPrice, u64) {
        let only = self.tail_only.load(Ordering::Relaxed);
        match self.told(slot) {
            Told::Tail(tail) => (MemberPrice::default(), only & !tail),
            Told::Place(place) => {
                let not_in_tail = only & !place.tail.load(Ordering::Relaxed);
                (place.price(), place.stopped.load(Ordering::Relaxed) | not_in_tail)
            }
        }
    }

    /// Brings near what says whether a member has a price, before it is read.
    #[inline]
    pub fn touch_told(&self, slot: u32) {
        if let Some(told) = find(&self.chunks, slot).and_then(|(chunk, at)| chunk.told.get(at)) {
            bring_near(told);
        }
    }

    /// Brings the price of a member near, before it is read.
    pub fn touch(&self, slot: u32) {
        if let Told::Place(place) = self.told(slot) {
            bring_near(place);
        }
    }

    /// Publishes the prices of a member.
    pub fn set_member(&self, slot: u32, price: &MemberPrice) {
        // What cannot be a price changes nothing rather than everything.
        let additive = if price.additive.is_finite() { price.additive } else { 0.0 };
        let factor = if price.factor.is_finite() && price.factor > 0.0 { price.factor } else { 1.0 };
        self.set_place(slot, *price == MemberPrice::default(), |place| {
            place.spent.store(price.spent, Ordering::Relaxed);
            place.price.store(word(additive, factor, price.must_serve), Ordering::Relaxed);
        });
    }

    /// Programmes to whose long tail the member is known to belong, as bits. Who was never looked at belongs to none:
    /// what is kept for small members must not be open to all until somebody has looked.
    #[must_use]
    pub fn tail_of(&self, slot: u32) -> u64 {
        match self.told(slot) {
            Told::Tail(tail) => tail,
            Told::Place(place) => place.tail.load(Ordering::Relaxed),
        }
    }

    /// Says to the long tail of which programmes a member belongs.
    pub fn set_tail(&self, slot: u32, programmes: u64) {
        self.set_place(slot, programmes == 0, |place| place.tail.store(programmes, Ordering::Relaxed));
    }

    /// Says which programmes' cap or share of a member reports on their way may have spent.
    pub fn set_stopped_of(&self, slot: u32, programmes: u64) {
        self.set_place(slot, programmes == 0, |place| place.stopped.store(programmes, Ordering::Relaxed));
    }

    /// Says in which programmes nothing is left but the share of the long tail.
    pub fn set_tail_only(&self, programmes: u64) {
        self.tail_only.store(programmes, Ordering::Relaxed);
    }

    /// Scenes in which the member's package is empty, as bits by scene index.
    #[must_use]
    #[inline]
    pub fn unpacked(&self, slot: u32) -> u8 {
        self.rest(slot).map_or(0, |rest| rest.unpacked.load(Ordering::Relaxed))
    }

    /// Says in which scenes a member's package is empty.
    pub fn set_unpacked(&self, slot: u32, scenes: u8) {
        let rest = if scenes == 0 { self.rest(slot) } else { self.rest_or_new(slot) };
        if let Some(rest) = rest {
            rest.unpacked.store(scenes, Ordering::Relaxed);
        }
    }

    /// Counts a slot that a slate gave a member that control follows.
    pub fn count_granted(&self, slot: u32, scene: Scene) {
        if let Some(granted) = self.rest(slot).and_then(|rest| rest.granted.get(scene.index())) {
            granted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Slots that slates gave a member in some scenes, as bits by scene index; wraps around. From the first call on
    /// they are counted.
    #[must_use]
    pub fn granted(&self, slot: u32, scenes: u8) -> u16 {
        let Some(rest) = self.rest_or_new(slot) else { return 0 };
        let wanted = Scene::ALL.into_iter().zip(&rest.granted).filter(|(scene, _)| scenes & scene.mask() != 0);
        wanted.fold(0, |sum, (_, granted)| sum.wrapping_add(granted.load(Ordering::Relaxed)))
    }

    /// Programmes that reports on their way may have spent in a scene, as bits.
    #[must_use]
    #[inline]
    pub fn stopped(&self, scene: Scene) -> u64 {
        self.stopped.get(scene.index()).map_or(0, |mask| mask.load(Ordering::Relaxed))
    }

    /// Says which programmes reports on their way may have spent in a scene: slates know what they charge and go on.
    pub fn set_stopped(&self, scene: Scene, programmes: u64) {
        if let Some(mask) = self.stopped.get(scene.index()) {
            mask.store(programmes, Ordering::Relaxed);
        }
    }

    /// Writes a member's place: who never had one needs none for what is neutral. Control's thread alone calls it.
    fn set_place(&self, slot: u32, is_neutral: bool, write: impl FnOnce(&Place)) {
        let found = if is_neutral { find(&self.chunks, slot) } else { self.chunk_or_new(slot) };
        let Some((chunk, at)) = found else { return };
        if let Some(place) = chunk.places.get(at) {
            write(place);
        }
        chunk.tell(at, &self.tails);
    }

    /// What there is to know of a member.
    #[inline]
    fn told(&self, slot: u32) -> Told<'_> {
        let Some((chunk, at)) = find(&self.chunks, slot) else { return Told::Tail(0) };
        match chunk.told.get(at).map_or(NOTHING, |told| told.load(Ordering::Acquire)) {
            NOTHING => Told::Tail(0),
            PLACE => chunk.places.get(at).map_or(Told::Tail(0), Told::Place),
            number => Told::Tail(self.tails.get(number)),
        }
    }

    fn rest(&self, slot: u32) -> Option<&Rest> {
        let (chunk, at) = find(&self.chunks, slot)?;
        chunk.rest.get(at)
    }

    fn rest_or_new(&self, slot: u32) -> Option<&Rest> {
        let (chunk, at) = self.chunk_or_new(slot)?;
        chunk.rest.get(at)
    }

    fn chunk_or_new(&self, slot: u32) -> Option<(&Chunk, usize)> {
        find_or_make(&self.chunks, slot, Chunk::new)
    }
}

fn word(additive: f32, factor: f32, must_serve: bool) -> u64 {
    let flag = if must_serve { MUST_SERVE } else { 0 };
    u64::from(additive.to_bits()) << 32 | u64::from(factor.to_bits() | flag)
}

#[expect(clippy::cast_possible_truncation, reason = "takes the high and the low half")]
fn halves(word: u64) -> [u32; 2] {
    [(word >> 32) as u32, word as u32]
}

#[cfg(test)]
mod tests {
    use super::Prices;
    use crate::domain::Scene;
    use crate::traffic::MemberPrice;

    #[test]
    fn what_was_set_is_read_and_all_else_is_neutral() {
        let prices = Prices::default();
        let price = MemberPrice { additive: -0.75, factor: 0.25, spent: 1 << 63 | 1, must_serve: true };
        let far = 300_003;
        prices.set_member(far, &price);
        assert_eq!(prices.member(far), price);
        for other in [0, far + 1, u32::MAX] {
            assert_eq!(prices.member(other), MemberPrice::default());
        }
        prices.set_member(far, &MemberPrice { must_serve: false, ..price });
        assert!(!prices.member(far).must_serve);
    }

    #[test]
    fn only_who_is_known_to_be_in_the_tail_has_its_share() {
        let prices = Prices::default();
        prices.set_tail_only(0b101);
        assert_eq!((prices.tail_of(7), prices.scored(7).1), (0, 0b101), "never looked at");
        prices.set_tail(7, 0b001);
        assert_eq!(prices.scored(7).1, 0b100);
        assert_eq!(prices.scored(8).1, 0b101, "a place beside it");
        prices.set_stopped_of(7, 0b010);
        assert_eq!(prices.scored(7).1, 0b110);
        prices.set_tail_only(0);
        assert_eq!((prices.scored(7).1, prices.scored(8).1), (0b010, 0));
    }

    #[test]
    fn any_number_of_tails_is_kept() {
        let prices = Prices::default();
        let tail = |slot: u32| u64::from(slot) + 1;
        (0..400).for_each(|slot| prices.set_tail(slot, tail(slot)));
        prices.set_tail_only(u64::MAX);
        for slot in 0..400 {
            assert_eq!((prices.tail_of(slot), prices.scored(slot).1), (tail(slot), !tail(slot)));
        }
        prices.set_tail(3, 0);
        assert_eq!(prices.tail_of(3), 0);
    }

    #[test]
    fn slots_are_counted_by_scene() {
        let prices = Prices::default();
        prices.count_granted(3, Scene::Live);
        assert_eq!(prices.granted(3, u8::MAX), 0, "counted from now on");
        for (scene, count) in [(Scene::Live, 3), (Scene::Mall, 5), (Scene::ALL[1], 70_000)] {
            (0..count).for_each(|_| prices.count_granted(3, scene));
        }
        assert_eq!(prices.granted(3, Scene::Live.mask()), 3);
        assert_eq!(prices.granted(3, Scene::Live.mask() | Scene::Mall.mask()), 8);
        let of_one = prices.granted(3, Scene::ALL[1].mask());
        prices.count_granted(3, Scene::ALL[1]);
        assert_eq!(prices.granted(3, Scene::ALL[1].mask()).wrapping_sub(of_one), 1, "though it wraps around");
    }

    #[test]
    fn what_cannot_be_a_price_is_neutral() {
        let prices = Prices::default();
        for (additive, factor) in [(f32::NAN, f32::NAN), (f32::INFINITY, 0.0), (f32::NEG_INFINITY, -1.0)] {
            prices.set_member(1, &MemberPrice { additive, factor, ..MemberPrice::default() });
            assert_eq!(prices.member(1), MemberPrice::default());
        }
    }
}
