//! Rows: what the store keeps of the state.

use super::ledgers::{LedgerMeta, LedgerRow};
use super::providers::ProviderRanks;
use crate::domain::{
    AuditEntry, Day, DayFacts, FactKey, HeldRight, MerchantId, Outcome, PolicyText, Profile, ProfileKey, RequestKey,
    Subject, Timestamp, Violation,
};
use crate::trust::MerchantFacts;

/// One row as it stands after a change; `None` where it is gone.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A profile of any kind.
    Profile(ProfileKey, Option<Profile>),
    /// Facts of one subject on one day.
    Facts(FactKey, DayFacts),
    /// Window sums of one merchant or item. Derived from facts: not part of the state hash.
    Windows(Subject, WindowsRow),
    /// The rights a merchant was given.
    Rights(MerchantId, Vec<HeldRight>),
    /// A violation, under its merchant.
    Violation(Violation),
    /// A remembered write request.
    Request(RequestKey, Option<RequestRow>),
    /// How far an import has come.
    Import(String, Option<ImportRow>),
    /// The text of a policy version.
    Policy(PolicyRow),
    /// A part of the ledgers.
    Ledger(LedgerRow),
    /// An entry of the audit trail. Not part of the state hash.
    Audit(AuditEntry),
    /// The rest: one row.
    Meta(MetaRow),
}

/// Window sums as of a day, under a layout.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowsRow {
    /// The facts day the sums end with.
    pub facts_day: Day,
    /// Fingerprint of the layout of sums and levels.
    pub layout: u64,
    /// Last day any row of facts was stored for, open days included.
    pub last_stored: Option<Day>,
    /// The sums and levels.
    pub facts: MerchantFacts,
}

/// What is remembered of a write request.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestRow {
    /// When it was applied, for forgetting it.
    pub stamp: Timestamp,
    /// Revision it was applied at.
    pub revision: u64,
    /// What it came to.
    pub outcome: Outcome,
}

/// How far an import has come.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportRow {
    /// When its last chunk was applied, for forgetting it.
    pub stamp: Timestamp,
    /// Last chunk taken.
    pub committed: u64,
}

/// One version of the policy.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyRow {
    /// Version: 1, 2, 3, ...
    pub version: u64,
    /// Revision of the command that published it.
    pub revision: u64,
    /// Its text.
    pub text: PolicyText,
    /// Hash of the text.
    pub hash: String,
    /// Who published it.
    pub author: String,
    /// Why.
    pub comment: String,
    /// When; not known of versions of the first programs.
    pub published_at: Option<Timestamp>,
    /// When it was last asked for again, if it was.
    pub last_switch: Option<PolicySwitch>,
}

/// A version that was there already was asked for again: rolled back to, or published once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySwitch {
    /// Revision of the command.
    pub revision: u64,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub author: String,
    /// Why.
    pub reason: String,
}

/// A version that waits for its time. There is at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingPolicy {
    /// Which.
    pub version: u64,
    /// When its world begins to be built, unless another is built just then.
    pub effective_at: Timestamp,
}

/// Weights are neutral.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KillSwitch {
    /// Since when.
    pub since: Timestamp,
    /// Who asked for it last; empty if nobody said.
    pub author: String,
    /// Why.
    pub reason: String,
}

/// Counters of the dictionary, and where time and policy stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetaRow {
    /// State time.
    pub now: Timestamp,
    /// Last closed day, if any.
    pub facts_day: Option<Day>,
    /// Version of the policy that serves; 0 before the first.
    pub policy_version: u64,
    /// The dictionary: the position of a name is its counter id.
    pub counters: Vec<String>,
    /// Whether a counter was ever sent for anyone, by counter id.
    pub seen: Vec<bool>,
    /// Counters that were unseen when the last day closed: signals that need them are disabled.
    pub unseen_at_close: Vec<bool>,
    /// Ids of programmes by bit; empty where a bit is free.
    pub programme_bits: Vec<String>,
    /// Places of the service providers that records are made with.
    pub provider_ranks: ProviderRanks,
    /// Places that hold from the next change of day or policy on.
    pub next_provider_ranks: ProviderRanks,
    /// By bit: when the programme left the policy that serves, if it has. Shorter where none has.
    pub programme_retired: Vec<Option<Timestamp>>,
    /// Revision of the last publish or rollback: what etags of the policy stand for.
    pub policy_revision: u64,
    /// The version that waits for its time.
    pub pending: Option<PendingPolicy>,
    /// Hash of the text last published from where the server was told to take its policy from.
    pub configured_hash: String,
    /// Set while weights are neutral.
    pub kill_switch: Option<KillSwitch>,
    /// The change of day or policy that is being prepared, if any.
    pub transition: Option<TransitionRow>,
    /// Whether the data folder runs on simulated time.
    pub is_simulated: bool,
    /// Sessions, numbers of packages, what stands only once in the ledgers.
    pub ledger: LedgerMeta,
}

/// A change of day or policy that is being prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitionRow {
    /// Revision of the command that began it.
    pub began: u64,
    /// The facts day it moves to.
    pub facts_day: Option<Day>,
    /// The policy version it moves to.
    pub policy_version: u64,
    /// Counters unseen when it began.
    pub unseen_at_close: Vec<bool>,
}
