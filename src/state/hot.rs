//! What Score reads: ids to slots and items, the current table, the revision. No lock is held across calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use dashmap::DashMap;

use super::table::MerchantTable;
use crate::domain::{Day, FIRST_FACTS_DAY, ItemId, ItemKind, MerchantId};
use crate::policy::Policy;
use crate::traffic::ItemRecord;

type Index<V> = DashMap<u64, V, foldhash::fast::FixedState>;

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

/// Where an item belongs, under every policy.
#[derive(Clone, Copy)]
struct ItemSlot {
    merchant_slot: u32,
    /// Whether some violation was ever recorded against it.
    has_factor: bool,
}

/// The day before the first that facts can be of: nothing is closed.
pub const NOTHING_CLOSED: Day = Day(FIRST_FACTS_DAY.0 - 1);

/// The readers' side of the state.
pub struct Hot {
    world: ArcSwap<World>,
    merchants: Index<u32>,
    items: [Index<ItemSlot>; 3],
    revision: AtomicU64,
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
        let items = ItemKind::ALL.map(|_| Index::with_hasher(foldhash::fast::FixedState::default()));
        Self {
            world: ArcSwap::from_pointee(world),
            merchants: Index::with_hasher(foldhash::fast::FixedState::default()),
            items,
            revision: AtomicU64::new(0),
        }
    }
}

impl Hot {
    /// The current world. Cheap, and safe to hold for a request.
    #[must_use]
    pub fn world(&self) -> arc_swap::Guard<Arc<World>> {
        self.world.load()
    }

    /// The revision that every record read after this call includes.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// The slot of a merchant, registered or once mentioned.
    #[must_use]
    pub fn merchant_slot(&self, id: MerchantId) -> Option<u32> {
        self.merchants.get(&id.0).map(|slot| *slot)
    }

    /// The record of an item in a world.
    #[must_use]
    pub fn item(&self, world: &World, item: ItemId) -> Option<ItemRecord> {
        let ItemSlot { merchant_slot, has_factor } = self.index(item.kind).get(&item.id).map(|slot| *slot)?;
        let factor = if has_factor { world.item_factors.get(&item).map(|factor| *factor) } else { None };
        Some(ItemRecord { merchant_slot, factor: factor.unwrap_or(1.0) })
    }

    fn index(&self, kind: ItemKind) -> &Index<ItemSlot> {
        let [rooms, products, videos] = &self.items;
        match kind {
            ItemKind::LiveRoom => rooms,
            ItemKind::Product => products,
            ItemKind::ShortVideo => videos,
        }
    }

    pub(super) fn set_merchant_slot(&self, id: MerchantId, slot: u32) {
        self.merchants.insert(id.0, slot);
    }

    /// Sets where an item belongs, and its factor in the current world if it has one.
    pub(super) fn set_item(&self, item: ItemId, merchant_slot: u32, factor: Option<f32>) {
        if let Some(factor) = factor {
            self.world.load().item_factors.insert(item, factor);
        }
        self.index(item.kind).insert(item.id, ItemSlot { merchant_slot, has_factor: factor.is_some() });
    }

    pub(super) fn remove_item(&self, item: ItemId) {
        self.index(item.kind).remove(&item.id);
    }

    pub(super) fn set_world(&self, world: World) {
        self.world.store(Arc::new(world));
    }

    pub(super) fn publish(&self, revision: u64) {
        self.revision.store(revision, Ordering::Release);
    }
}
