//! The state and `apply`, which alone changes it: same log, same state.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::agenda::Agenda;
pub(super) use super::agenda::Due;
use super::changes::Changes;
use super::flips::Flips;
use super::history::{History, HistoryError};
use super::hot::{Hot, NOTHING_CLOSED, World};
use super::ledgers::Ledgers;
use super::providers::ProviderRanks;
use super::requests::{Imports, Remembered, Requests};
use super::rows::{MetaRow, PolicyRow, PolicySwitch, RequestRow};
use super::transition::Transition;
use super::words::WordPool;
use crate::domain::{
    Body, Command, Day, HeldRight, ItemId, ItemKind, Merchant, MerchantId, Outcome, Profile, ProfileKey, ProviderId,
    Rejection, RequestKey, ServiceProvider, Timestamp, Violation,
};
use crate::policy::Policy;
use crate::traffic::{next_window_boundary, open_programmes, opening_programmes};
use crate::trust::{MerchantFacts, MerchantView, SignalRow};

/// Semantics from which on a text that was published before keeps its version.
const VERSIONS_KEPT: u32 = 2;

/// What memory keeps of a merchant id that was ever mentioned.
pub struct MerchantEntry {
    /// The id.
    pub id: MerchantId,
    /// Its profile while it is registered. Facts, rights and violations outlive it: deleting and registering again
    /// sheds nothing.
    pub profile: Option<Merchant>,
    /// Window sums and levels as of the current facts day.
    pub facts: MerchantFacts,
    /// Last day any row of facts was stored for.
    pub last_stored: Option<Day>,
    /// Rights it was given.
    pub rights: Vec<HeldRight>,
    /// Everything recorded against it.
    pub violations: Vec<Violation>,
    /// Scenes in which something is left of its packages, as bits by scene index.
    pub packages: u8,
}

/// What applying a command came to, and since when reads see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The revision that first did it.
    pub revision: u64,
    /// What it came to.
    pub outcome: Outcome,
}

/// Everything hard, in memory. One thread applies; others read under a lock, or lock-free through [`Hot`].
pub struct State {
    pub(super) hot: Arc<Hot>,
    pub(super) meta: MetaRow,
    pub(super) policy: Arc<Policy>,
    pub(super) disabled: Vec<bool>,
    pub(super) policies: BTreeMap<u64, PolicyRow>,
    pub(super) merchants: Vec<MerchantEntry>,
    pub(super) registered: BTreeMap<MerchantId, u32>,
    pub(super) items: [BTreeMap<u64, Profile>; 3],
    pub(super) providers: BTreeMap<ProviderId, ServiceProvider>,
    /// Merchants that each provider serves, by slot.
    pub(super) merchants_of: BTreeMap<ProviderId, BTreeSet<u32>>,
    pub(super) item_violations: HashMap<ItemId, Vec<(u32, u64)>, foldhash::fast::FixedState>,
    /// Window sums of items that facts were sent for, as of the current facts day.
    pub(super) item_facts: HashMap<ItemId, MerchantFacts, foldhash::fast::FixedState>,
    pub(super) requests: Requests,
    pub(super) imports: Imports,
    pub(super) due: Agenda,
    /// When the next programme opens or closes.
    pub(super) next_window: Option<Timestamp>,
    pub(super) dirty: BTreeSet<Due>,
    pub(super) changes: Changes,
    pub(super) transition: Option<Transition>,
    /// The version that waits for its time, compiled.
    pub(super) pending_policy: Option<Arc<Policy>>,
    /// Worlds that served, while some request may still read them.
    pub(super) retired: Vec<Arc<World>>,
    /// Merchants whose stored sums are of an earlier day.
    pub(super) stale_windows: Vec<u32>,
    pub(super) scratch: Vec<SignalRow>,
    /// Changes of membership since they were last reported.
    pub(super) flips: Flips,
    pub(super) ledgers: Ledgers,
    pub(super) words: WordPool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            hot: Arc::default(),
            meta: MetaRow::default(),
            policy: Arc::new(Policy::empty()),
            disabled: Vec::new(),
            policies: BTreeMap::new(),
            merchants: Vec::new(),
            registered: BTreeMap::new(),
            items: ItemKind::ALL.map(|_| BTreeMap::new()),
            providers: BTreeMap::new(),
            merchants_of: BTreeMap::new(),
            item_violations: HashMap::default(),
            item_facts: HashMap::default(),
            requests: Requests::default(),
            imports: Imports::default(),
            due: Agenda::default(),
            next_window: None,
            dirty: BTreeSet::new(),
            changes: Changes::default(),
            transition: None,
            pending_policy: None,
            retired: Vec::new(),
            stale_windows: Vec::new(),
            scratch: Vec::new(),
            flips: Flips::default(),
            ledgers: Ledgers::default(),
            words: WordPool::default(),
        }
    }
}

impl State {
    /// The readers' side.
    #[must_use]
    pub fn hot(&self) -> &Arc<Hot> {
        &self.hot
    }

    /// Time, policy, dictionary.
    #[must_use]
    pub fn meta(&self) -> &MetaRow {
        &self.meta
    }

    /// The policy that serves.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Signals without effect, by position.
    #[must_use]
    pub fn disabled(&self) -> &[bool] {
        &self.disabled
    }

    /// Last closed day; the day before all facts if none is.
    #[must_use]
    pub fn facts_day(&self) -> Day {
        self.meta.facts_day.unwrap_or(NOTHING_CLOSED)
    }

    /// What is remembered of a merchant id.
    #[must_use]
    pub fn merchant(&self, id: MerchantId) -> Option<&MerchantEntry> {
        self.entry(self.hot.merchant_slot(id)?)
    }

    /// What is remembered in a slot.
    #[must_use]
    pub fn entry(&self, slot: u32) -> Option<&MerchantEntry> {
        self.merchants.get(usize::try_from(slot).ok()?)
    }

    pub(super) fn entry_mut(&mut self, slot: u32) -> Option<&mut MerchantEntry> {
        self.merchants.get_mut(usize::try_from(slot).ok()?)
    }

    /// Registered merchants with ids above `after`, in order of id.
    pub fn merchants_after(&self, after: u64) -> impl Iterator<Item = &Merchant> {
        let slots = self.registered.range((std::ops::Bound::Excluded(MerchantId(after)), std::ops::Bound::Unbounded));
        slots.filter_map(|(_, slot)| self.entry(*slot)?.profile.as_ref())
    }

    /// Number of merchants registered.
    #[must_use]
    pub fn merchant_count(&self) -> usize {
        self.registered.len()
    }

    /// Items of a kind, by id.
    #[must_use]
    pub fn items(&self, kind: ItemKind) -> &BTreeMap<u64, Profile> {
        kind.of(&self.items)
    }

    pub(super) fn items_mut(&mut self, kind: ItemKind) -> &mut BTreeMap<u64, Profile> {
        kind.of_mut(&mut self.items)
    }

    /// Service providers, by id.
    #[must_use]
    pub fn providers(&self) -> &BTreeMap<ProviderId, ServiceProvider> {
        &self.providers
    }

    /// Last chunk taken of an import; 0 if none is remembered.
    #[must_use]
    pub fn import_progress(&self, import_id: &str) -> u64 {
        self.imports.committed(import_id, self.meta.now)
    }

    /// Write requests remembered.
    #[must_use]
    pub fn remembered_requests(&self) -> usize {
        self.requests.len()
    }

    /// The change of day or policy that is being prepared.
    #[must_use]
    pub fn transition(&self) -> Option<&Transition> {
        self.transition.as_ref()
    }

    /// The next instant at which a record or the policy changes by itself.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().into_iter().chain(self.next_window).chain(self.policy_due()).chain(self.package_due()).min()
    }

    /// Marks the data folder as running on simulated time.
    pub fn mark_simulated(&mut self) {
        self.meta.is_simulated = true;
    }

    /// Applies one command. [`Self::finish`] makes its effect visible.
    ///
    /// # Errors
    /// When stored facts cannot be read; the state must not be used for writing any more.
    pub fn apply(&mut self, revision: u64, command: &Command, history: &dyn History) -> Result<Applied, HistoryError> {
        let state_time = self.meta.now;
        self.move_time(command.stamp);
        let applied = self.apply_once(revision, command, state_time, history)?;
        self.begin_due_policy(revision);
        Ok(applied)
    }

    /// Applies a command unless it repeats a request that is remembered.
    fn apply_once(
        &mut self,
        revision: u64,
        command: &Command,
        state_time: Timestamp,
        history: &dyn History,
    ) -> Result<Applied, HistoryError> {
        let request = command.request.as_ref().filter(|request| request.has_id());
        if let Body::ReportExposures { rows } = &command.body {
            // Reports are remembered apart: longer, and only by hashes.
            let before = self.look_before(state_time, &command.body);
            let applied = self.report_exposures(revision, request, rows);
            self.audit(revision, command, &applied.outcome, before);
            return Ok(applied);
        }
        if let Some(request) = request {
            match self.requests.find(request) {
                Some(Remembered::Same(row)) => {
                    return Ok(Applied { revision: row.revision, outcome: row.outcome });
                }
                Some(Remembered::OtherPayload) => {
                    return Ok(Applied { revision, outcome: Outcome::Rejected(Rejection::RequestIdReused) });
                }
                None => {}
            }
        }
        let before = self.look_before(state_time, &command.body);
        let outcome = self.apply_body(revision, command, history)?;
        self.audit(revision, command, &outcome, before);
        // What only has to wait is not an outcome: the caller asks again under the same id.
        let is_final = outcome != Outcome::Rejected(Rejection::TransitionPending);
        if let Some(request) = request.filter(|_| is_final).map(RequestKey::without_peer) {
            let row = RequestRow { stamp: self.meta.now, revision, outcome: outcome.clone() };
            self.requests.remember(request.clone(), row.clone());
            self.changes.requests.push((request, Some(row)));
        }
        Ok(Applied { revision, outcome })
    }

    fn apply_body(&mut self, revision: u64, command: &Command, history: &dyn History) -> Result<Outcome, HistoryError> {
        Ok(match &command.body {
            Body::Tick => Outcome::Done,
            Body::UpsertProfiles { profiles, mask } => {
                let mut results = Vec::with_capacity(profiles.len());
                for upsert in profiles {
                    results.push(self.upsert(revision, upsert, *mask, history)?);
                }
                Outcome::Items(results)
            }
            Body::DeleteProfile { key, expected_revision } => or_rejected(self.delete(*key, *expected_revision)),
            Body::RecordFacts { rows } => Outcome::Items(self.record_rows(rows, history)?),
            Body::RecordViolation(violation) => match self.record_violation(violation, history)? {
                Ok(decision) => Outcome::Violation(decision),
                Err(rejection) => Outcome::Rejected(rejection),
            },
            Body::RevokeViolation { merchant, violation_id } => {
                or_rejected(self.revoke_violation(*merchant, *violation_id))
            }
            Body::SetRights { merchant, rights } => or_rejected(self.set_rights(*merchant, rights)),
            Body::ImportChunk { import_id, sequence, profiles, rows } => {
                self.take_chunk(revision, import_id, *sequence, (profiles, rows), history)?
            }
            Body::CloseDay { day } => or_rejected(self.close_day(revision, *day)),
            Body::PublishPolicy(publish) => {
                let keeps_versions = command.semantics >= VERSIONS_KEPT;
                self.publish_policy(revision, publish, keeps_versions).map_or_else(Outcome::Rejected, Outcome::Policy)
            }
            Body::RollbackPolicy { version, expected_revision, author, reason } => {
                let (author, reason) = (author.clone(), reason.clone());
                let switch = PolicySwitch { revision, at: self.meta.now, author, reason };
                self.rollback_policy(*version, *expected_revision, switch)
                    .map_or_else(Outcome::Rejected, Outcome::Policy)
            }
            Body::SetKillSwitch { is_on, author, reason } => {
                self.set_kill_switch(*is_on, author, reason);
                Outcome::Done
            }
            Body::Activate { began } => match self.activate(*began, history)? {
                Ok(()) => Outcome::Done,
                Err(rejection) => Outcome::Rejected(rejection),
            },
            allocation @ (Body::OpenSession
            | Body::RenewLeases { .. }
            | Body::ReportExposures { .. }
            | Body::ChangeProgramme { .. }
            | Body::BeginGuarantees { .. }
            | Body::GrantPackage { .. }
            | Body::AssignPackage { .. }) => self.apply_allocation(revision, command.node, allocation),
        })
    }

    /// Moves state time, marks what changes by it, forgets what is too old.
    fn move_time(&mut self, stamp: Timestamp) {
        self.meta.now = self.meta.now.max(stamp);
        let now = self.meta.now;
        self.dirty.extend(self.due.take_due(now));
        if self.next_window.is_some_and(|at| at <= now) {
            self.open_windows();
        }
        for request in self.requests.forget(now) {
            self.changes.requests.push((request, None));
        }
        for import_id in self.imports.forget(now) {
            self.changes.imports.insert(import_id, None);
        }
        self.move_ledgers(now);
    }

    /// Notes which programmes are open at state time and not paused: no record changes by it.
    pub(super) fn open_windows(&mut self) {
        let programmes = &self.policy.programmes;
        let open = open_programmes(programmes, self.meta.now) & !self.paused();
        let opening = opening_programmes(programmes, self.meta.now) & !self.paused();
        let world = self.hot.world();
        world.open.store(open, Ordering::Relaxed);
        world.opening.store(opening, Ordering::Relaxed);
        self.next_window = next_window_boundary(programmes, self.meta.now);
    }

    /// Makes the records of everything that changed, and answers `revision` from now on. Answers how many records
    /// were made.
    pub fn finish(&mut self, revision: u64) -> usize {
        let made = self.refresh_dirty();
        self.hot.publish(revision);
        made
    }

    /// What scoring looks at under the current policy and day; none if the merchant is not registered.
    #[must_use]
    pub fn view(&self, slot: u32) -> Option<MerchantView<'_>> {
        self.view_with(slot, &self.meta.provider_ranks)
    }

    /// The same with the places of providers that the next policy or day will find.
    #[must_use]
    pub fn next_view(&self, slot: u32) -> Option<MerchantView<'_>> {
        self.view_with(slot, &self.meta.next_provider_ranks)
    }

    pub(super) fn view_with(&self, slot: u32, ranks: &ProviderRanks) -> Option<MerchantView<'_>> {
        let entry = self.entry(slot)?;
        let merchant = entry.profile.as_ref()?;
        Some(MerchantView {
            merchant,
            provider: self.provider_view(merchant.service_provider, ranks),
            facts: (&entry.facts).into(),
            rights: &entry.rights,
            violations: &entry.violations,
            facts_day: self.facts_day(),
            now: self.meta.now,
            packages: entry.packages,
        })
    }

    /// The slot of a merchant id, made if it is new.
    pub(super) fn slot_of(&mut self, id: MerchantId) -> u32 {
        if let Some(slot) = self.hot.merchant_slot(id) {
            return slot;
        }
        let slot = u32::try_from(self.merchants.len()).unwrap_or(u32::MAX);
        self.merchants.push(MerchantEntry {
            id,
            profile: None,
            facts: MerchantFacts::empty(&self.policy.model.layout),
            last_stored: None,
            rights: Vec::new(),
            violations: Vec::new(),
            packages: 0,
        });
        self.hot.set_merchant_slot(id, slot);
        if let Some(transition) = &mut self.transition {
            transition.admit(slot, &self.policy);
        }
        slot
    }

    /// A profile of any kind, as it stands.
    #[must_use]
    pub fn profile(&self, key: ProfileKey) -> Option<Profile> {
        match key {
            ProfileKey::Merchant(id) => self.merchant(id)?.profile.clone().map(Profile::from),
            ProfileKey::Item(item) => self.items(item.kind).get(&item.id).cloned(),
            ProfileKey::Provider(id) => self.providers.get(&id).cloned().map(Profile::from),
        }
    }
}

pub(super) fn or_rejected(result: Result<(), Rejection>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(rejection) => Outcome::Rejected(rejection),
    }
}
