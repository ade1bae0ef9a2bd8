//! What Score reads: ids to slots and items, the current table, the revision. No lock is held across calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};
use dashmap::DashMap;

use super::index::{IdIndex, IdTable};
use super::table::MerchantTable;
use crate::domain::{Day, FIRST_FACTS_DAY, ItemId, ItemKind, MerchantId, TargetKind};
use crate::policy::Policy;
use crate::traffic::ItemRecord;

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
    /// Factors of items that violations are recorded against: they follow from the policy, so each world has its own.
    pub(super) item_factors: ItemFactors,
}

/// Product of the factors of the violations against an item.
pub(super) type ItemFactors = DashMap<ItemId, f32, foldhash::fast::FixedState>;

/// Slots beyond every table: their records are unregistered.
const NO_SLOT: u32 = u32::MAX;
/// In an item's value, above its merchant's slot: a violation was once recorded against it.
const HAS_FACTOR: u64 = 1 << 32;

/// The day before the first that facts can be of: nothing is closed.
pub const NOTHING_CLOSED: Day = Day(FIRST_FACTS_DAY.0 - 1);

/// The readers' side of the state.
pub struct Hot {
    world: ArcSwap<World>,
    /// Slots by merchant.
    merchants: IdIndex,
    /// Slots of their merchants by item, with [`HAS_FACTOR`].
    items: [IdIndex; 3],
    revision: AtomicU64,
    kill_switch: AtomicBool,
}

impl Default for Hot {
    fn default() -> Self {
        let world = World {
            policy: Arc::new(Policy::empty()),
            facts_day: NOTHING_CLOSED,
            disabled: Vec::new(),
            table: MerchantTable::default(),
            item_factors: ItemFactors::default(),
        };
        Self {
            world: ArcSwap::from_pointee(world),
            merchants: IdIndex::default(),
            items: ItemKind::ALL.map(|_| IdIndex::default()),
            revision: AtomicU64::new(0),
            kill_switch: AtomicBool::new(false),
        }
    }
}

impl Hot {
    /// The current world. Cheap, and safe to hold for a request.
    #[must_use]
    pub fn world(&self) -> Guard<Arc<World>> {
        self.world.load()
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

    pub(super) fn set_kill_switch(&self, is_on: bool) {
        self.kill_switch.store(is_on, Ordering::Release);
    }

    /// The slot of a merchant, registered or once mentioned.
    #[must_use]
    pub fn merchant_slot(&self, id: MerchantId) -> Option<u32> {
        self.merchants.get(id.0).map(slot_of)
    }

    /// Looks targets of a kind up, for one request.
    #[must_use]
    pub fn targets(&self, kind: TargetKind) -> Targets {
        Targets { merchants: self.merchants.table(), items: kind.item().map(|kind| (kind, self.index(kind).table())) }
    }

    fn index(&self, kind: ItemKind) -> &IdIndex {
        let [rooms, products, videos] = &self.items;
        match kind {
            ItemKind::LiveRoom => rooms,
            ItemKind::Product => products,
            ItemKind::ShortVideo => videos,
        }
    }

    pub(super) fn set_merchant_slot(&self, id: MerchantId, slot: u32) {
        self.merchants.set(id.0, u64::from(slot));
    }

    /// Sets where an item belongs, and its factor in the current world if it has one.
    pub(super) fn set_item(&self, item: ItemId, merchant_slot: u32, factor: Option<f32>) {
        if let Some(factor) = factor {
            self.world.load().item_factors.insert(item, factor);
        }
        let flag = if factor.is_some() { HAS_FACTOR } else { 0 };
        self.index(item.kind).set(item.id, u64::from(merchant_slot) | flag);
    }

    pub(super) fn remove_item(&self, item: ItemId) {
        self.index(item.kind).remove(item.id);
    }

    pub(super) fn set_world(&self, world: World) {
        self.world.store(Arc::new(world));
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
    /// Locates every target of a request; `owners` is empty or holds one merchant per target.
    #[must_use]
    pub fn locate_all(&self, world: &World, ids: &[u64], owners: &[u64]) -> Vec<ItemRecord> {
        let table = self.items.as_ref().map_or(&self.merchants, |(_, items)| items);
        if table.is_large() {
            // All places first: they come while each other is waited for.
            std::hint::black_box(ids.iter().fold(0, |seen, id| seen ^ table.touch(*id)));
        }
        let owner = |at: usize| owners.get(at).copied().unwrap_or(0);
        let is_item = self.items.is_some();
        let locate = |(at, id): (usize, &u64)| match table.get(*id) {
            // Most targets: a registered item without a violation against it.
            Some(value) if is_item && value & HAS_FACTOR == 0 => {
                ItemRecord { merchant_slot: slot_of(value), factor: 1.0 }
            }
            _ => self.locate(world, *id, owner(at)),
        };
        let located: Vec<ItemRecord> = ids.iter().enumerate().map(locate).collect();
        if table.is_large() {
            world.table.touch(located.iter().map(|item| item.merchant_slot));
        }
        located
    }

    /// Where a target's records are: its own, or those of the owner sent with a target that is not registered.
    #[must_use]
    pub fn locate(&self, world: &World, target_id: u64, merchant_id: u64) -> ItemRecord {
        let unknown = ItemRecord { merchant_slot: NO_SLOT, factor: 1.0 };
        let Some((kind, items)) = &self.items else {
            // A merchant that was deleted keeps its slot until a restart: what counts is whether it is registered.
            let own = self.merchant(target_id).filter(|own| world.table.read(own.merchant_slot).is_registered);
            return own.or_else(|| self.merchant(merchant_id)).unwrap_or(unknown);
        };
        let factor = || {
            let item = ItemId { kind: *kind, id: target_id };
            world.item_factors.get(&item).map_or(1.0, |factor| *factor)
        };
        match items.get(target_id) {
            Some(value) => ItemRecord {
                merchant_slot: slot_of(value),
                factor: if value & HAS_FACTOR != 0 { factor() } else { 1.0 },
            },
            // Deleting an item sheds no violation against it.
            None => self.merchant(merchant_id).map_or(unknown, |owner| ItemRecord { factor: factor(), ..owner }),
        }
    }

    fn merchant(&self, id: u64) -> Option<ItemRecord> {
        let value = self.merchants.get(id)?;
        Some(ItemRecord { merchant_slot: slot_of(value), factor: 1.0 })
    }
}

/// The slot in the low half of a value.
#[expect(clippy::cast_possible_truncation, reason = "takes the low half")]
fn slot_of(value: u64) -> u32 {
    value as u32
}
