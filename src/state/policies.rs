//! `apply` for the policy: publishing, rolling back, the version that waits for its time, programme bits, the kill
//! switch. Every distinct text has one version, whose row is never removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::parallel::behind_requests;
use super::rows::{KillSwitch, PendingPolicy, PolicyRow, PolicySwitch, TransitionRow};
use super::state::State;
use crate::domain::{PolicyOutcome, PolicyPublish, PolicyState, PolicyText, Rejection, Timestamp};
use crate::policy::{self, Dictionary, Policy, Unusable};
use crate::traffic::bits;

impl State {
    /// The versions there are, by number.
    pub fn policies(&self) -> impl DoubleEndedIterator<Item = &PolicyRow> {
        self.policies.values()
    }

    /// One version.
    #[must_use]
    pub fn policy_row(&self, version: u64) -> Option<&PolicyRow> {
        self.policies.get(&version)
    }

    /// The version of a text, by its hash.
    #[must_use]
    pub fn version_of(&self, hash: &str) -> Option<u64> {
        self.policies.values().rev().find(|row| row.hash == hash).map(|row| row.version)
    }

    /// Where a version stands.
    #[must_use]
    pub fn policy_state(&self, version: u64) -> PolicyState {
        if version == self.policy.version {
            PolicyState::Serving
        } else if version == self.target_version() {
            PolicyState::Preparing
        } else if self.meta.pending.is_some_and(|pending| pending.version == version) {
            PolicyState::Scheduled
        } else {
            PolicyState::Retired
        }
    }

    /// Merchants eligible for each programme in any scene, by bit.
    #[must_use]
    pub fn programme_members(&self) -> [u64; 64] {
        let world = self.hot.world();
        let mut members = [0_u64; 64];
        for slot in self.registered.values() {
            let record = world.table.read(*slot);
            for bit in bits(record.programmes) {
                if let Some(count) = members.get_mut(usize::from(bit)) {
                    *count += 1;
                }
            }
        }
        members
    }

    /// The names that a text is compiled with now.
    #[must_use]
    pub fn dictionary(&self) -> Dictionary {
        Dictionary {
            counters: self.meta.counters.clone(),
            programme_bits: self.meta.programme_bits.clone(),
            programme_retired: self.meta.programme_retired.clone(),
            now: self.meta.now,
        }
    }

    fn set_dictionary(&mut self, dictionary: Dictionary) {
        let before = std::mem::take(&mut self.meta.programme_bits);
        let given_on = before.iter().zip(&dictionary.programme_bits).zip(0_u8..);
        let given_on: Vec<u8> =
            given_on.filter(|((old, new), _)| !old.is_empty() && old != new).map(|(_, bit)| bit).collect();
        self.meta.programme_bits = before;
        for bit in given_on {
            self.clear_programme(bit);
        }
        self.meta.seen.resize(dictionary.counters.len(), false);
        self.meta.counters = dictionary.counters;
        self.meta.programme_bits = dictionary.programme_bits;
        self.meta.programme_retired = dictionary.programme_retired;
    }

    /// The version that serves, or will as soon as its world is built.
    fn target_version(&self) -> u64 {
        self.transition.as_ref().map_or(self.policy.version, |transition| transition.policy.version)
    }

    /// Publishes a text. One that has a version already is switched to instead, unless the command is of a time when
    /// every publish made a version.
    pub(super) fn publish_policy(
        &mut self,
        revision: u64,
        publish: &PolicyPublish,
        keeps_versions: bool,
    ) -> Result<PolicyOutcome, Rejection> {
        self.check_policy_revision(publish.expected_revision)?;
        let hash = policy::text_hash(&publish.text);
        let known = if keeps_versions { self.version_of(&hash) } else { None };
        let outcome = if let Some(version) = known {
            let (author, reason) = (publish.author.clone(), publish.comment.clone());
            let switch = PolicySwitch { revision, at: self.meta.now, author, reason };
            self.switch_policy(version, publish.effective_at, switch)?
        } else {
            self.publish_text(revision, publish, hash.clone())?
        };
        // The first programs published nothing else.
        if publish.is_configured || !keeps_versions {
            self.meta.configured_hash = hash;
        }
        Ok(outcome)
    }

    fn publish_text(
        &mut self,
        revision: u64,
        publish: &PolicyPublish,
        hash: String,
    ) -> Result<PolicyOutcome, Rejection> {
        let effective_at = self.later(publish.effective_at);
        if effective_at.is_none() && self.transition.is_some() {
            return Err(Rejection::TransitionPending);
        }
        let version = self.policies.keys().next_back().map_or(1, |last| last.saturating_add(1));
        let policy = self.accept(version, &publish.text)?;
        let row = PolicyRow {
            version,
            revision,
            text: publish.text.clone(),
            hash,
            author: publish.author.clone(),
            comment: publish.comment.clone(),
            published_at: Some(self.meta.now),
            last_switch: None,
        };
        self.policies.insert(version, row);
        self.changes.policies.insert(version);
        Ok(self.aim_at(revision, policy, effective_at))
    }

    /// Lets an earlier version serve again; the one that waits for its time is dropped.
    pub(super) fn rollback_policy(
        &mut self,
        version: u64,
        expected_revision: Option<u64>,
        switch: PolicySwitch,
    ) -> Result<PolicyOutcome, Rejection> {
        self.check_policy_revision(expected_revision)?;
        self.switch_policy(version, None, switch)
    }

    fn switch_policy(
        &mut self,
        version: u64,
        effective_at: Option<Timestamp>,
        switch: PolicySwitch,
    ) -> Result<PolicyOutcome, Rejection> {
        let effective_at = self.later(effective_at);
        let is_target = version == self.target_version();
        let is_as_asked = match self.meta.pending {
            None => is_target,
            Some(pending) => pending.version == version && Some(pending.effective_at) == effective_at,
        };
        if is_as_asked {
            return Ok(PolicyOutcome { version, policy_revision: self.meta.policy_revision, is_unchanged: true });
        }
        if !is_target && effective_at.is_none() && self.transition.is_some() {
            return Err(Rejection::TransitionPending);
        }
        let Some(row) = self.policies.get(&version) else {
            return Err(Rejection::NotFound { what: "policy version".to_owned(), id: version });
        };
        let text = row.text.clone();
        let policy = self.accept(version, &text)?;
        let revision = switch.revision;
        if let Some(row) = self.policies.get_mut(&version) {
            row.last_switch = Some(switch);
            self.changes.policies.insert(version);
        }
        // What is the target already needs no time of its own.
        Ok(self.aim_at(revision, policy, effective_at.filter(|_| !is_target)))
    }

    /// An instant that is still to come.
    fn later(&self, at: Option<Timestamp>) -> Option<Timestamp> {
        at.filter(|at| *at > self.meta.now)
    }

    fn check_policy_revision(&self, expected: Option<u64>) -> Result<(), Rejection> {
        let actual = self.meta.policy_revision;
        match expected {
            Some(expected) if expected != actual => Err(Rejection::EtagMismatch { actual }),
            Some(_) | None => Ok(()),
        }
    }

    /// Compiles a text that was judged before it was logged, and gives its names their numbers.
    fn accept(&mut self, version: u64, text: &PolicyText) -> Result<Arc<Policy>, Rejection> {
        let mut dictionary = self.dictionary();
        // The writer waits for it: what it holds no request needs.
        let policy = behind_requests(|| policy::accept(text, version, &mut dictionary));
        let policy = policy.map_err(|error| rejection(version, error))?;
        self.set_dictionary(dictionary);
        Ok(Arc::new(policy))
    }

    /// Makes a version the one to come: at once, or at its time.
    fn aim_at(&mut self, revision: u64, policy: Arc<Policy>, effective_at: Option<Timestamp>) -> PolicyOutcome {
        let version = policy.version;
        self.meta.policy_revision = revision;
        self.meta.pending = effective_at.map(|effective_at| PendingPolicy { version, effective_at });
        self.pending_policy = None;
        if effective_at.is_some() {
            self.pending_policy = Some(policy);
        } else if version != self.target_version() {
            self.begin_policy(revision, policy);
        }
        self.retire_programmes();
        PolicyOutcome { version, policy_revision: revision, is_unchanged: false }
    }

    fn begin_policy(&mut self, began: u64, policy: Arc<Policy>) {
        let row = TransitionRow {
            began,
            facts_day: self.meta.facts_day,
            policy_version: policy.version,
            unseen_at_close: self.meta.unseen_at_close.clone(),
        };
        self.begin(row, policy);
    }

    /// Begins to build the world of the version whose time has come, unless another is built. Called after the body of
    /// every command: what the command itself wrote must be stored before rows are read for the new world.
    pub(super) fn begin_due_policy(&mut self, revision: u64) {
        if self.transition.is_some() || self.policy_due().is_none_or(|at| at > self.meta.now) {
            return;
        }
        self.meta.pending = None;
        if let Some(policy) = self.pending_policy.take().filter(|policy| policy.version != self.policy.version) {
            self.begin_policy(revision, policy);
        }
    }

    /// When the version that waits begins, if nothing else keeps it waiting.
    pub(super) fn policy_due(&self) -> Option<Timestamp> {
        self.meta.pending.filter(|_| self.transition.is_none()).map(|pending| pending.effective_at)
    }

    /// Notes which programmes have left: their bits come free after a time. Those of a version that is prepared or
    /// waits are kept.
    pub(super) fn retire_programmes(&mut self) {
        let next = self.transition.as_ref().map(|transition| &transition.policy);
        let policies = [Some(&self.policy), next, self.pending_policy.as_ref()];
        let used: BTreeSet<&str> = policies
            .into_iter()
            .flatten()
            .flat_map(|policy| policy.programmes.iter().map(|programme| programme.id.as_str()))
            .collect();
        let retired = self.meta.programme_bits.iter().enumerate().map(|(bit, name)| {
            let since = self.meta.programme_retired.get(bit).copied().flatten();
            let is_used = name.is_empty() || used.contains(name.as_str());
            if is_used { None } else { since.or(Some(self.meta.now)) }
        });
        self.meta.programme_retired = retired.collect();
    }

    /// Compiles a stored version; its names are in the dictionary already.
    pub(super) fn compile_stored(&self, version: u64) -> Result<Arc<Policy>, Rejection> {
        if version == self.policy.version {
            return Ok(self.policy.clone());
        }
        let Some(row) = self.policies.get(&version) else {
            return Err(Rejection::NotFound { what: "policy version".to_owned(), id: version });
        };
        let policy = policy::accept(&row.text, version, &mut self.dictionary());
        policy.map(Arc::new).map_err(|error| rejection(version, error))
    }

    pub(super) fn set_kill_switch(&mut self, is_on: bool, author: &str, reason: &str) {
        let since = self.meta.kill_switch.as_ref().map_or(self.meta.now, |switch| switch.since);
        let switch = || KillSwitch { since, author: author.to_owned(), reason: reason.to_owned() };
        self.meta.kill_switch = is_on.then(switch);
        self.hot.set_kill_switch(is_on);
    }
}

fn rejection(version: u64, error: Unusable) -> Rejection {
    match error {
        Unusable::NoProgrammeBit(shortage) => Rejection::NoProgrammeBit { shortage },
        problems @ Unusable::Problems(_) => Rejection::BadPolicy { problem: format!("version {version}: {problems}") },
    }
}
