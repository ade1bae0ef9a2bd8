//! What changed since rows were last written.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::ledgers::LedgerKey;
use super::rows::{ImportRow, RequestRow};
use crate::domain::{DayFacts, FactKey, ItemId, ProfileKey, RequestKey};

/// Keys of changed rows, and the values of those that memory does not keep.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) profiles: BTreeSet<ProfileKey>,
    pub(super) facts: HashMap<FactKey, DayFacts, foldhash::fast::FixedState>,
    pub(super) windows: BTreeSet<u32>,
    pub(super) item_windows: BTreeSet<ItemId>,
    pub(super) rights: BTreeSet<u32>,
    pub(super) violations: BTreeSet<(u32, u64)>,
    pub(super) requests: Vec<(RequestKey, Option<RequestRow>)>,
    pub(super) imports: BTreeMap<String, Option<ImportRow>>,
    pub(super) policies: BTreeSet<u64>,
    pub(super) ledger: HashSet<LedgerKey, foldhash::fast::FixedState>,
}
