//! Explain: Score's own row for one target, and everything that led to it, from one snapshot.

use std::sync::Arc;

use super::Engine;
use super::error::ReadError;
use crate::domain::{Day, HeldRight, Merchant, Scene, TargetKind, Timestamp, Violation, Week};
use crate::policy::Policy;
use crate::state::{HistoryError, State};
use crate::traffic::{ItemRecord, Materialised, MerchantRecord, SceneRules, Weight, materialise, weigh};
use crate::trust::governance::WaiverFacts;
use crate::trust::{ConditionResult, MerchantFacts, MerchantView, SignalRow, TrustView};

/// Which target.
#[derive(Clone, Copy, Debug)]
pub struct ExplainQuery {
    /// Where it will be shown.
    pub scene: Scene,
    /// What the id names.
    pub kind: TargetKind,
    /// The target.
    pub target_id: u64,
    /// Its owner, if it is not registered; 0 if none was sent.
    pub merchant_id: u64,
}

/// One row of Score and its derivation.
pub struct Explanation {
    /// Revision of the snapshot.
    pub revision: u64,
    /// The policy answered from.
    pub policy: Arc<Policy>,
    /// Last closed day.
    pub facts_day: Day,
    /// State time.
    pub now: Timestamp,
    /// The record that Score reads.
    pub record: MerchantRecord,
    /// The weight that Score computes.
    pub weight: Weight,
    /// Whether all weights are neutral.
    pub kill_switch: bool,
    /// How the record came about; none for unknown targets.
    pub merchant: Option<ExplainedMerchant>,
}

/// The derivation of a merchant's record.
pub struct ExplainedMerchant {
    /// Its profile.
    pub merchant: Merchant,
    /// Its sums and levels.
    pub facts: MerchantFacts,
    /// Its rights.
    pub rights: Vec<HeldRight>,
    /// Its violations, and those of others against the target.
    pub violations: Vec<Violation>,
    /// The record made afresh, by the code that made the one Score reads.
    pub made: Materialised,
    /// One row per signal.
    pub signals: Vec<SignalRow>,
    /// Conditions of each programme's eligibility, in policy order.
    pub conditions: Vec<Vec<ConditionResult>>,
    /// The week whose waiver is explained.
    pub waiver_week: Week,
    /// What the week before it says.
    pub waiver_facts: WaiverFacts,
    /// The violation that used it.
    pub waiver_used_by: Option<u64>,
}

impl Engine {
    /// Explains one target. Reads the waiver's week from the disk.
    ///
    /// # Errors
    /// When stored facts cannot be read.
    pub fn explain(&self, query: &ExplainQuery) -> Result<Explanation, ReadError> {
        self.read(|state| explain(state, &self.store, query)).map_err(|error| ReadError::Store(error.to_string()))
    }
}

fn explain(
    state: &State,
    history: &dyn crate::state::History,
    query: &ExplainQuery,
) -> Result<Explanation, HistoryError> {
    let hot = state.hot();
    let world = hot.world();
    let item = hot.targets(query.kind).locate(&world, query.target_id, query.merchant_id);
    let record = world.table.read(item.merchant_slot);
    let kill_switch = hot.kill_switch();
    let rules = SceneRules { kill_switch, ..world.policy.weight_rules.in_scene(query.scene) };
    let weight = weigh(&rules, &record.row(query.scene, query.kind), item.factor);
    let merchant = match state.view(item.merchant_slot) {
        Some(view) => Some(explain_merchant(state, history, query, item, &view)?),
        None => None,
    };
    Ok(Explanation {
        revision: hot.revision(),
        policy: world.policy.clone(),
        facts_day: world.facts_day,
        now: state.meta().now,
        record,
        weight,
        kill_switch,
        merchant,
    })
}

fn explain_merchant(
    state: &State,
    history: &dyn crate::state::History,
    query: &ExplainQuery,
    item: ItemRecord,
    view: &MerchantView,
) -> Result<ExplainedMerchant, HistoryError> {
    let policy = state.policy();
    let mut signals = Vec::new();
    let made = materialise(&policy.model, &policy.programmes, view, state.disabled(), &mut signals);
    let tier = policy.model.tiers.get(made.trust.tier).map_or("", |tier| &tier.id);
    let trust = TrustView { trust: &made.trust, signals: &signals, tier };
    let conditions = policy.programmes.iter().map(|p| p.eligibility.results(view, Some(&trust))).collect();

    let waiver_week = view.now.day().week();
    let waiver_facts = state.waiver_facts(view.merchant.id, waiver_week.previous(), history)?;
    let mut violations = view.violations.to_vec();
    if let Some(kind) = query.kind.item() {
        let target = crate::domain::ItemId { kind, id: query.target_id };
        let of_others = state.item_violations(target).filter(|(slot, _)| *slot != item.merchant_slot);
        violations.extend(of_others.map(|(_, violation)| violation.clone()));
    }
    Ok(ExplainedMerchant {
        merchant: view.merchant.clone(),
        facts: view.facts.clone(),
        rights: view.rights.to_vec(),
        violations,
        conditions,
        waiver_week,
        waiver_facts,
        waiver_used_by: state.waived_in(item.merchant_slot, waiver_week).map(|violation| violation.id),
        made,
        signals,
    })
}
