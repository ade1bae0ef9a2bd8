//! What Score reads: ids to slots and items, the current table, the revision. No lock is held across calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};

use super::classes::{ItemClasses, MAX_CLASSES};
use super::index::{IdIndex, IdTable};
use super::owners::Owners;
use super::prices::Prices;
use super::table::MerchantTable;
use crate::domain::{Day, FIRST_FACTS_DAY, ItemId, ItemKind, MerchantId, Scene, TargetKind};
use crate::policy::Policy;
use crate::traffic::{ItemRecord, SceneRules};

/// One policy and facts day, with every merchant's record under them. A request answers from one world.
pub struct World {
    /// The policy.
    pub policy: Arc<Policy>,
    /// Last closed day.
    pub facts_day: Day,
    /// Signals without effect, by position.
    pub disabled: Vec<bool>,
    /// The records.
    pub table: MerchantTable,
    /// The classes of items: they follow from the policy, so each world has its own.
    pub classes: ItemClasses,
    /// Which of the two classes of an item's value is of this world.
    pub(super) side: Side,
    /// Programmes that take part now, as bits: their window is open and they are not in shadow.
    pub(super) open: AtomicU64,
    /// Programmes whose window is still to open, as bits: what control plans for.
    pub(super) opening: AtomicU64,
}

/// Two worlds at a time, the one that serves and the one being built, each on its side of an item's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Side {
    #[default]
    Even,
    Odd,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }

    fn shift(self) -> u32 {
        match self {
            Self::Even => SLOT_BITS,
            Self::Odd => SLOT_BITS + CLASS_BITS,
        }
    }
}

impl World {
    /// What all weights of a request share.
    #[must_use]
    pub fn rules(&self, scene: Scene, kill_switch: bool) -> SceneRules<'_> {
        self.policy.weight_rules.in_scene(scene, self.open.load(Ordering::Relaxed), kill_switch)
    }

    /// The rules of a scene as control plans by them: hard and support programmes stand in them before their window
    /// opens, and under the kill switch, too. What tilts is as it is now.
    #[must_use]
    pub fn planned_rules(&self, scene: Scene) -> SceneRules<'_> {
        let open = self.open.load(Ordering::Relaxed) | self.opening.load(Ordering::Relaxed);
        self.policy.weight_rules.in_scene(scene, open, false)
    }

    /// Programmes that take part now, as bits.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }
}

/// A world that is held for a request.
pub type WorldGuard = Guard<Arc<World>>;

/// Slots beyond every table: their records are unregistered.
const NO_SLOT: u32 = u32::MAX;
/// An item's value: the slot of its merchant, and its class in each of two worlds. One word, so that readers never see
/// a part of it.
const SLOT_BITS: u32 = 26;
const CLASS_BITS: u32 = 19;
/// In place of the slot: the item is not registered, but violations against it are.
const NO_OWNER: u32 = (1 << SLOT_BITS) - 1;

const _: () = assert!(MAX_CLASSES < 1 << CLASS_BITS && SLOT_BITS + 2 * CLASS_BITS == 64);

fn owner_of(value: u64) -> u32 {
    low_half(value) & NO_OWNER
}

fn class_in(value: u64, side: Side) -> u32 {
    low_half(value >> side.shift()) & ((1 << CLASS_BITS) - 1)
}

fn with_class(value: u64, side: Side, class: u32) -> u64 {
    let mask = ((1_u64 << CLASS_BITS) - 1) << side.shift();
    value & !mask | u64::from(class) << side.shift()
}

/// The day before the first that facts can be of: nothing is closed.
pub const NOTHING_CLOSED: Day = Day(FIRST_FACTS_DAY.0 - 1);

/// The readers' side of the state.
pub struct Hot {
    world: ArcSwap<World>,
    /// Slots by merchant.
    merchants: IdIndex,
    /// Values of items: slot of the merchant and class.
    items: [IdIndex; 3],
    revision: AtomicU64,
    kill_switch: AtomicBool,
    prices: Prices,
    owners: Owners,
}

impl Default for Hot {
    fn default() -> Self {
        let world = World {
            policy: Arc::new(Policy::empty()),
            facts_day: NOTHING_CLOSED,
            disabled: Vec::new(),
            table: MerchantTable::default(),
            classes: ItemClasses::new(&[]),
            side: Side::default(),
            open: AtomicU64::new(0),
            opening: AtomicU64::new(0),
        };
        Self {
            world: ArcSwap::from_pointee(world),
            merchants: IdIndex::default(),
            items: ItemKind::ALL.map(|_| IdIndex::default()),
            revision: AtomicU64::new(0),
            kill_switch: AtomicBool::new(false),
            prices: Prices::default(),
            owners: Owners::default(),
        }
    }
}

impl Hot {
    /// The current world. Cheap, and safe to hold for a request.
    #[must_use]
    pub fn world(&self) -> WorldGuard {
        self.world.load()
    }

    /// Whether a world is still the current one.
    #[must_use]
    pub fn serves(&self, world: &WorldGuard) -> bool {
        Arc::ptr_eq(world, &self.world.load())
    }

    /// The revision that every record read after this call includes.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Whether all weights are neutral.
    #[must_use]
    pub fn kill_switch(&self) -> bool {
        self.kill_switch.load(Ordering::Acquire)
    }

    /// The prices of budgets and members.
    #[must_use]
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    pub(super) fn set_kill_switch(&self, is_on: bool) {
        self.kill_switch.store(is_on, Ordering::Release);
    }

    /// The slot of a merchant, registered or once mentioned.
    #[must_use]
    pub fn merchant_slot(&self, id: MerchantId) -> Option<u32> {
        self.merchants.get(id.0).map(low_half)
    }

    /// Looks targets of a kind up, for one request.
    #[must_use]
    pub fn targets(&self, kind: TargetKind) -> Targets {
        Targets { merchants: self.merchants.table(), items: kind.item().map(|kind| (kind, self.index(kind).table())) }
    }

    fn index(&self, kind: ItemKind) -> &IdIndex {
        kind.of(&self.items)
    }

    /// Whose a slot is.
    #[must_use]
    pub fn merchant_at(&self, slot: u32) -> Option<MerchantId> {
        self.owners.get(slot)
    }

    pub(super) fn set_merchant_slot(&self, id: MerchantId, slot: u32) {
        // Before anybody can find the slot.
        self.owners.set(slot, id);
        self.merchants.set(id.0, u64::from(slot));
    }

    /// Sets where an item belongs, none if only violations against it are left, and its classes in the worlds there are:
    /// all at once.
    pub(super) fn set_item(&self, item: ItemId, merchant_slot: Option<u32>, classes: &[(Side, u32)]) {
        let index = self.index(item.kind);
        let slot = merchant_slot.filter(|slot| *slot < NO_OWNER).unwrap_or(NO_OWNER);
        let class = ItemClasses::unregistered(item.kind.target());
        let plain = || with_class(with_class(0, Side::Even, class), Side::Odd, class);
        let value = index.get(item.id).unwrap_or_else(plain) & !u64::from(NO_OWNER) | u64::from(slot);
        index.set(item.id, classes.iter().fold(value, |value, (side, class)| with_class(value, *side, *class)));
    }

    /// Sets the class of an item in a world. The item must have been set.
    pub(super) fn set_class(&self, item: ItemId, side: Side, class: u32) {
        let index = self.index(item.kind);
        if let Some(value) = index.get(item.id) {
            index.set(item.id, with_class(value, side, class));
        }
    }

    pub(super) fn remove_item(&self, item: ItemId) {
        self.index(item.kind).remove(item.id);
    }

    /// Makes a world current; answers the one that was.
    pub(super) fn set_world(&self, world: World) -> Arc<World> {
        self.world.swap(Arc::new(world))
    }

    pub(super) fn publish(&self, revision: u64) {
        self.revision.store(revision, Ordering::Release);
    }
}

/// The indexes of one kind of target, held for a request.
pub struct Targets {
    merchants: Guard<Arc<IdTable>>,
    items: Option<(ItemKind, Guard<Arc<IdTable>>)>,
}

impl Targets {
    /// Locates every target of a request; `owners` is empty or holds one merchant per target. `touch` brings near what
    /// will be read of each merchant, given its slot.
    #[must_use]
    pub fn locate_all(&self, world: &World, ids: &[u64], owners: &[u64], touch: impl Fn(u32)) -> Vec<ItemRecord> {
        let table = self.items.as_ref().map_or(&self.merchants, |(_, items)| items);
        // All places first: they come while each other is waited for. Then each record, as soon as it is known which.
        let homes = ids.iter().map(|id| {
            let home = table.home(*id);
            table.touch(home);
            home
        });
        let homes: Vec<usize> = homes.collect();
        let owner = |at: usize| owners.get(at).copied().unwrap_or(0);
        let is_item = self.items.is_some();
        let locate = |(at, (id, home)): (usize, (&u64, usize))| match table.get_from(home, *id) {
            // Most targets: a registered item.
            Some(value) if is_item && owner_of(value) != NO_OWNER => {
                ItemRecord { merchant_slot: owner_of(value), class: class_in(value, world.side) }
            }
            _ => self.locate(world, *id, owner(at)),
        };
        let located = ids.iter().zip(homes).enumerate().map(|target| {
            let record = locate(target);
            touch(record.merchant_slot);
            record
        });
        located.collect()
    }

    /// Where a target's records are: its own, or those of the owner sent with a target that is not registered.
    #[must_use]
    pub fn locate(&self, world: &World, target_id: u64, merchant_id: u64) -> ItemRecord {
        let Some((kind, items)) = &self.items else {
            let class = ItemClasses::unregistered(TargetKind::Merchant);
            let at = |slot| ItemRecord { merchant_slot: slot, class };
            // A merchant that was deleted keeps its slot until a restart: what counts is whether it is registered.
            let own = self.merchant(target_id).filter(|own| world.table.read(*own).is_registered);
            return at(own.or_else(|| self.merchant(merchant_id)).unwrap_or(NO_SLOT));
        };
        let owner = || self.merchant(merchant_id).unwrap_or(NO_SLOT);
        match items.get(target_id) {
            Some(value) => {
                // Deleting an item sheds no violation against it: its class is left.
                let slot = Some(owner_of(value)).filter(|slot| *slot != NO_OWNER).unwrap_or_else(owner);
                ItemRecord { merchant_slot: slot, class: class_in(value, world.side) }
            }
            None => ItemRecord { merchant_slot: owner(), class: ItemClasses::unregistered(kind.target()) },
        }
    }

    fn merchant(&self, id: u64) -> Option<u32> {
        self.merchants.get(id).map(low_half)
    }
}

/// The low half of a value: a merchant's is its slot.
#[expect(clippy::cast_possible_truncation, reason = "takes the low half")]
fn low_half(value: u64) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests {
    use super::{MAX_CLASSES, NO_OWNER, Side, class_in, owner_of, with_class};

    #[test]
    fn the_parts_of_an_item_do_not_touch_each_other() {
        let value = with_class(with_class(u64::from(NO_OWNER - 1), Side::Even, 7), Side::Odd, MAX_CLASSES - 1);
        let parts = |value| (owner_of(value), class_in(value, Side::Even), class_in(value, Side::Odd));
        assert_eq!(parts(value), (NO_OWNER - 1, 7, MAX_CLASSES - 1));
        assert_eq!(
            parts(with_class(value, Side::Even, MAX_CLASSES - 1)),
            (NO_OWNER - 1, MAX_CLASSES - 1, MAX_CLASSES - 1)
        );
        assert_eq!(parts(with_class(value, Side::Odd, 0)), (NO_OWNER - 1, 7, 0));
    }
}
