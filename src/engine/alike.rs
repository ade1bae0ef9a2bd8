//! What targets come to whose merchants and items are of the same classes: worked out once under prices, then looked
//! up.
//!
//! Each thread remembers for itself what it worked out, so that nothing is shared and nobody waits; what it forgets it
//! works out again. A place is taken by whoever came last.

use std::cell::RefCell;

use crate::domain::{Scene, TargetKind};
use crate::state::MerchantClass;
use crate::traffic::{ItemClass, Lines, PricedLines, ScenePrices, SceneRules};

/// Places of a thread, a power of two: 400 KiB, which stay in its core's cache.
const PLACES: usize = 1 << 10;

thread_local! {
    static ALIKE: RefCell<Alike> = RefCell::new(Alike::default());
}

/// What everything that is remembered of one kind of target in one scene was worked out under, beside prices.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ground {
    /// Where the targets will be shown.
    pub(super) scene: Scene,
    /// What is ranked.
    pub(super) kind: TargetKind,
    /// Identity of the classes of the world.
    pub(super) classes: u64,
    /// Programmes that take part, as bits.
    pub(super) open: u64,
    /// Whether all weights are neutral.
    pub(super) kill_switch: bool,
}

/// A ground, the prices on it, and the number of the two.
struct Grounded {
    ground: Ground,
    prices: ScenePrices,
    number: u64,
}

/// What one thing that is remembered is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key {
    /// Position of the class of the merchant.
    pub(super) merchant_class: u32,
    /// Position of the class of the item.
    pub(super) item_class: u32,
    /// Programmes that the member gets nothing more of, beside those of the prices, as bits.
    pub(super) spent: u64,
}

impl Key {
    /// A number that differs for most that differ.
    fn hash(self) -> u64 {
        let positions = u64::from(self.merchant_class) << 32 | u64::from(self.item_class);
        (positions ^ self.spent.rotate_left(11)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

#[derive(Clone, Default)]
struct Place {
    /// Number of the ground; 0 is none.
    number: u64,
    key: Key,
    /// None for what is to be worked out target by target.
    lines: Option<PricedLines>,
}

/// What a thread remembers.
pub(super) struct Alike {
    places: Box<[Place]>,
    /// Of each scene and kind the last: recommenders ask for several in turns.
    grounds: [[Option<Grounded>; TargetKind::COUNT]; Scene::COUNT],
    grounds_seen: u64,
    /// Room to work in.
    lines: Lines,
}

impl Default for Alike {
    fn default() -> Self {
        Self {
            places: vec![Place::default(); PLACES].into(),
            grounds: Default::default(),
            grounds_seen: 0,
            lines: Lines::default(),
        }
    }
}

/// Does something with what this thread remembers. Not within itself.
pub(super) fn with<T>(work: impl FnOnce(&mut Alike) -> T) -> T {
    ALIKE.with_borrow_mut(work)
}

/// What a request can look up.
pub(super) struct Remembered<'a> {
    places: &'a mut [Place],
    lines: &'a mut Lines,
    rules: &'a SceneRules<'a>,
    prices: &'a ScenePrices,
    kind: TargetKind,
    number: u64,
}

impl Alike {
    /// What there is to look up on a ground: nothing yet, if it or the prices are others than at the last request for
    /// this kind of target in this scene.
    pub(super) fn on<'a>(
        &'a mut self,
        ground: Ground,
        rules: &'a SceneRules<'a>,
        prices: &'a ScenePrices,
    ) -> Remembered<'a> {
        let kind = ground.kind;
        let number = self.number(ground, prices);
        Remembered { places: &mut self.places, lines: &mut self.lines, rules, prices, kind, number }
    }

    fn number(&mut self, ground: Ground, prices: &ScenePrices) -> u64 {
        let scene = self.grounds.get_mut(ground.scene.index());
        let Some(last) = scene.and_then(|kinds| kinds.get_mut(ground.kind.index())) else { return 0 };
        if let Some(last) = last.as_ref().filter(|last| last.ground == ground && last.prices == *prices) {
            return last.number;
        }
        self.grounds_seen = self.grounds_seen.wrapping_add(1);
        *last = Some(Grounded { ground, prices: prices.clone(), number: self.grounds_seen });
        self.grounds_seen
    }
}

impl Remembered<'_> {
    /// What the lines of a merchant and an item come to. None if they are to be worked out for this target alone, or
    /// where `find` finds no class.
    #[inline]
    pub(super) fn priced<'f>(
        &mut self,
        key: Key,
        find: impl FnOnce() -> Option<(&'f MerchantClass, &'f ItemClass)>,
    ) -> Option<&PricedLines> {
        let hash = key.hash() ^ self.number;
        let place = self.places.get_mut(usize::try_from(hash >> 32 ^ hash).unwrap_or(0) % PLACES)?;
        if (place.number, place.key) != (self.number, key) {
            let (merchant_class, item_class) = find()?;
            let Self { rules, prices, kind, number, .. } = *self;
            let lines = work_out(self.lines, rules, (merchant_class, kind), item_class, (prices, key.spent));
            *place = Place { number, key, lines };
        }
        place.lines.as_ref()
    }
}

/// What is the same for all of a class.
#[inline(never)]
fn work_out(
    lines: &mut Lines,
    rules: &SceneRules,
    (merchant_class, kind): (&MerchantClass, TargetKind),
    item_class: &ItemClass,
    (prices, spent): (&ScenePrices, u64),
) -> Option<PricedLines> {
    lines.set(rules, 0, &merchant_class.row(kind), item_class);
    // Under the kill switch tilts say nothing. Packages are their members' own.
    if rules.kill_switch || lines.limited & rules.packages != 0 {
        return None;
    }
    lines.priced(prices, spent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Alike, Ground, Key};
    use crate::domain::{Scene, TargetKind};
    use crate::policy::{self, Dictionary};
    use crate::state::MerchantTable;
    use crate::traffic::{Boost, ItemClass, Lines, MAX_BOOSTS, MemberPrice, MerchantRecord, ScenePrices, mask_of};

    /// Of the 64 bits the shipped policy uses the first.
    const BITS: u8 = 26;

    prop_compose! {
        fn records()(
            programmes in 0..1_u64 << BITS,
            tilts in prop::array::uniform6(0.2_f32..2.0),
            boosts in prop::collection::vec((0..BITS, 1_u8..64, 1_u16..3_000), 0..7),
            penalty in prop::sample::select(vec![1.0_f32, 1.0, 1.0, 0.5, 0.0]),
            held_out in prop::sample::select(vec![0_u64, 0, 1 << 4]),
            is_registered in prop::bool::weighted(0.9),
        ) -> MerchantRecord {
            let mut record = MerchantRecord {
                is_registered,
                trust: 61.5,
                tilt: tilts,
                programmes,
                held_out,
                penalty: [penalty; TargetKind::COUNT],
                ..MerchantRecord::UNREGISTERED
            };
            for (place, (bit, scenes, thousandths)) in record.boosts.iter_mut().take(MAX_BOOSTS).zip(boosts) {
                *place = Boost { bit, scenes, thousandths };
            }
            record
        }
    }

    prop_compose! {
        fn classes()(
            factor in prop::sample::select(vec![1.0_f32, 1.0, 0.5, 0.0]),
            programmes in prop::sample::select(vec![u64::MAX, u64::MAX, 0x00ff_00ff]),
            uplift_factors in prop::collection::vec((0..BITS, 0.0_f32..3.0), 0..2),
        ) -> ItemClass {
            ItemClass { factor, programmes, uplift_factors }
        }
    }

    fn members() -> impl Strategy<Value = MemberPrice> {
        let own = (-1.0_f32..1.0, 0.1_f32..3.0);
        let own = own.prop_map(|(additive, factor)| MemberPrice { additive, factor, ..MemberPrice::default() });
        prop_oneof![Just(MemberPrice::default()), own]
    }

    prop_compose! {
        fn all_prices()(
            priced in prop::collection::vec((0..usize::from(BITS), 0.0_f32..2.0, 0.01_f32..1.0), 0..8),
            spent in prop::collection::vec(0..BITS, 0..3),
        ) -> ScenePrices {
            let mut prices = ScenePrices::default();
            for (bit, lambda, discount) in priced {
                (prices.lambda[bit], prices.discount[bit]) = (lambda, discount);
            }
            prices.spent = spent.into_iter().fold(0, |mask, bit| mask | mask_of(bit));
            prices.note_priced();
            prices
        }
    }

    proptest! {
        /// Requests on changing grounds, against lines put together one by one.
        #[test]
        fn what_is_looked_up_is_what_would_be_worked_out(
            requests in prop::collection::vec(
                (prop::collection::vec((records(), classes(), 0.0_f32..3.0, members()), 1..20), all_prices(), any::<[bool; 3]>()),
                1..4,
            ),
        ) {
            let policy = policy::compile(&policy::embedded(), 1, &mut Dictionary::default()).expect("the shipped policy");
            let (scene, kind) = (Scene::Live, TargetKind::Product);
            let mut alike = Alike::default();
            for (classes, (targets, prices, [is_open, is_spent, kill_switch])) in (0..).zip(requests) {
                let open = if is_open { u64::MAX } else { 0x0f0f_0f0f };
                let spent = if is_spent { 1 << 3 } else { 0 };
                let rules = policy.weight_rules.in_scene(scene, open, kill_switch);
                let table = MerchantTable::default();
                let mut remembered = alike.on(Ground { scene, kind, classes, open, kill_switch }, &rules, &prices);
                // Twice: worked out, and looked up.
                for (position, (record, class, base, price)) in targets.iter().enumerate().chain(targets.iter().enumerate()) {
                    let position = u32::try_from(position).expect("small");
                    table.write(position, record);
                    let brief = table.read_brief(position).expect("just written");
                    let tilt = record.tilt[scene.index()];
                    let find = || Some((table.merchant_class(brief.class)?, class));
                    let key = Key { merchant_class: brief.class, item_class: position, spent };
                    let found = remembered.priced(key, find);
                    let mut lines = Lines::default();
                    lines.set(&rules, position, &table.read_row(position, scene, kind), class);
                    let Some(found) = found else {
                        let is_left = !record.is_registered || lines.is_excluded || kill_switch;
                        prop_assert!(is_left || lines.limited & rules.packages != 0, "{:?}", lines);
                        continue;
                    };
                    let price = MemberPrice { spent, ..*price };
                    let is_neutral_taken = found.takes(&MemberPrice { spent, ..MemberPrice::default() });
                    prop_assert!(is_neutral_taken);
                    if !found.takes(&price) {
                        continue;
                    }
                    let member = lines.member_price(price);
                    let weight = lines.weight(&prices, &member);
                    prop_assert_eq!(brief.trust.to_bits(), record.trust.to_bits());
                    prop_assert_eq!(found.weight(tilt, &price).to_bits(), weight.weight.to_bits());
                    prop_assert_eq!((found.programmes, found.labels), (weight.programmes, weight.labels));
                    prop_assert_eq!(found.is_limited, lines.limited != 0);
                    let bid = lines.adjusted(&prices, &member, 0.7, *base);
                    let adjusted = found.adjusted(tilt, &price, 0.7, *base);
                    prop_assert_eq!((adjusted.score.to_bits(), adjusted.charged), (bid.score.to_bits(), bid.charged));
                    prop_assert_eq!(found.hard, lines.programmes(None));
                }
            }
        }
    }
}
