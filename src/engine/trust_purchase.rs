//! The status of Trust Purchase (信任购) for one target: granted or not, every condition, and what would close it.
//!
//! Nothing about its thresholds stands here: they are the conditions of the policy's programme with this id.

use std::sync::Arc;

use super::Engine;
use crate::domain::{Day, ItemId, Merchant, MerchantId, Profile, ProfileKey, Scene, TargetKind, Timestamp};
use crate::policy::Policy;
use crate::state::{State, World};
use crate::traffic::{
    Eligibility, ItemClass, ItemRecord, MerchantRecord, Programme, ProgrammeKind, SceneRules, materialise, weigh,
};
use crate::trust::{
    Closing, Comparison, ConditionResult, Derived, FlagColumn, Ground, ListColumn, NumberColumn, Predicate, Seen,
    SignalKind, SignalRow, SignalState, Test, TrustView, TypedResult, closing,
};

/// Id of the programme that grants Trust Purchase.
pub const TRUST_PURCHASE: &str = "trust_purchase";

/// Whose status, and who asks.
#[derive(Clone, Copy, Debug)]
pub struct TrustPurchaseQuery {
    /// What the id names.
    pub kind: TargetKind,
    /// The target.
    pub target_id: u64,
    /// The merchant that promotes the product and asks; none for the owner.
    pub promoter: Option<MerchantId>,
}

/// Why there is no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustPurchaseError {
    /// The policy has no programme with the id.
    #[error("the policy has no programme `{TRUST_PURCHASE}`")]
    NoProgramme,
    /// The target or its merchant is not registered.
    #[error("not registered")]
    NotRegistered(ProfileKey),
    /// The product does not name the merchant among its promoters.
    #[error("merchant {} is not among the promoters of product {product}", promoter.0)]
    NotPromoter {
        /// The product.
        product: u64,
        /// Who asked.
        promoter: MerchantId,
    },
}

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionKind {
    /// A right of the catalogue.
    Right,
    /// A figure of the merchant.
    Metric,
    /// Violations.
    Violation,
    /// The item.
    Item,
    /// What the merchant is or sells.
    Other,
}

/// One condition.
#[derive(Clone, Debug)]
pub struct ConditionStatus {
    /// What it is about.
    pub kind: ConditionKind,
    /// As the serving code found it.
    pub result: ConditionResult,
    /// What it tests.
    pub test: Test,
    /// Whether it stands below a negation.
    pub is_negated: bool,
    /// Conditions of one group are alternatives to each other in some way; all groups must hold.
    pub group: usize,
    /// Whether the group holds.
    pub group_holds: bool,
    /// Scenes that ask for it, as bits by scene index; none if membership itself does.
    pub scenes: Option<u8>,
    /// The comparison that must come true, and its constant.
    pub bound: Option<(Comparison, f64)>,
    /// The number compared.
    pub value: Option<f64>,
    /// n and d of a signal or ratio.
    pub counts: Option<(f64, f64)>,
    /// Whether the signal it reads took part.
    pub signal_state: Option<SignalState>,
    /// What would make it hold.
    pub closing: Closing,
}

/// One right of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct RightStatus {
    /// Whether the merchant holds it.
    pub is_held: bool,
    /// Whether it is offered now for what the merchant sells.
    pub applies: bool,
    /// Whether a condition asks for it.
    pub is_asked_for: bool,
    /// Whether that condition fails for want of it.
    pub is_missing: bool,
}

/// The status of one target, from one snapshot.
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct TrustPurchaseStatus {
    /// Revision of the snapshot.
    pub revision: u64,
    /// The policy answered from.
    pub policy: Arc<Policy>,
    /// Position of the programme.
    pub programme: usize,
    /// Last closed day.
    pub facts_day: Day,
    /// State time.
    pub now: Timestamp,
    /// The merchant that owns the target.
    pub merchant: Merchant,
    /// Name of the product; empty for other targets.
    pub name: String,
    /// Whether Score treats the target as a member now.
    pub is_granted: bool,
    /// Labels as Score answers them.
    pub labels: u32,
    /// Scenes in which it lifts the target, and by how much.
    pub tilts: Vec<(Scene, f64)>,
    /// Whether an operator made all weights neutral.
    pub kill_switch: bool,
    /// Membership of the merchant.
    pub member: Eligibility,
    /// Whether the programme's window is open and it is not in shadow.
    pub is_open: bool,
    /// Whether it takes the target.
    pub takes_target: bool,
    /// The conditions, in policy order: on the merchant, of single scenes, on the item.
    pub conditions: Vec<ConditionStatus>,
    /// Each right of the catalogue, in policy order.
    pub rights: Vec<RightStatus>,
}

impl Engine {
    /// The status of Trust Purchase of one target.
    ///
    /// # Errors
    /// When there is none.
    pub fn trust_purchase(&self, query: &TrustPurchaseQuery) -> Result<TrustPurchaseStatus, TrustPurchaseError> {
        self.read(|state| status(state, query))
    }
}

/// The owner of a target.
fn owner(state: &State, query: &TrustPurchaseQuery) -> Result<MerchantId, TrustPurchaseError> {
    let Some(kind) = query.kind.item() else { return Ok(MerchantId(query.target_id)) };
    let item = ItemId { kind, id: query.target_id };
    let profile = state.items(kind).get(&item.id);
    let owner = profile.and_then(Profile::owner).ok_or(TrustPurchaseError::NotRegistered(ProfileKey::Item(item)))?;
    if let (Some(promoter), Some(Profile::Product(product))) = (query.promoter, profile)
        && !product.promoters.contains(&promoter)
    {
        return Err(TrustPurchaseError::NotPromoter { product: product.id, promoter });
    }
    Ok(owner)
}

fn status(state: &State, query: &TrustPurchaseQuery) -> Result<TrustPurchaseStatus, TrustPurchaseError> {
    let hot = state.hot();
    let world = hot.world();
    let policy = state.policy();
    let position = policy.programmes.iter().position(|programme| programme.id == TRUST_PURCHASE);
    let (position, programme) = position
        .and_then(|position| Some((position, policy.programmes.get(position)?)))
        .ok_or(TrustPurchaseError::NoProgramme)?;
    let owner = owner(state, query)?;
    let view = hot.merchant_slot(owner).and_then(|slot| state.view(slot));
    let view = view.ok_or(TrustPurchaseError::NotRegistered(ProfileKey::Merchant(owner)))?;

    let mut signals = Vec::new();
    let made = materialise(&policy.rules(state.disabled()), &view, &mut signals);
    let tier = policy.model.tiers.get(made.trust.tier).map_or("", |tier| &tier.id);
    let trust = TrustView { trust: &made.trust, signals: &signals, tier, stage: &made.stage };
    let item = query.kind.item().and_then(|kind| state.item_view(ItemId { kind, id: query.target_id }));
    let ground =
        Ground { model: &policy.model, seen: Seen { item: item.as_ref(), ..Seen::merchant(&view, Some(&trust)) } };
    let mut conditions = Conditions { ground: &ground, rows: &signals, found: Vec::new(), groups: 0 };
    conditions.take(&programme.eligibility, None, false);
    for condition in &programme.scene_conditions {
        let asking = Scene::ALL.into_iter().filter(|scene| condition.scenes.get(scene.index()) == Some(&true));
        conditions.take(&condition.when, Some(asking.fold(0, |scenes, scene| scenes | scene.mask())), false);
    }
    if let Some(condition) = programme.item_condition(query.kind) {
        conditions.take(condition, None, true);
    }
    let conditions = conditions.found;

    let located = hot.targets(query.kind).locate(&world, query.target_id, owner.0);
    let served = Served::new(&world, query.kind, located);
    let today = view.now.day();
    let rights = policy.model.rights.iter().map(|right| {
        let asks = |c: &&ConditionStatus| matches!(&c.test, Test::Member(ListColumn::Rights, id) if *id == right.id);
        let mut asking = conditions.iter().filter(|condition| !condition.is_negated).filter(asks).peekable();
        RightStatus {
            is_held: right.held(view.rights, view.now),
            applies: right.applies(view.merchant, today),
            is_asked_for: asking.peek().is_some(),
            is_missing: asking.any(|condition| !condition.result.holds && !condition.group_holds),
        }
    });
    let rights = rights.collect();
    Ok(TrustPurchaseStatus {
        revision: hot.revision(),
        programme: position,
        facts_day: world.facts_day,
        now: view.now,
        merchant: view.merchant.clone(),
        name: match item.map(|view| view.profile) {
            Some(Profile::Product(product)) => product.name.clone(),
            Some(Profile::LiveRoom(_) | Profile::ShortVideo(_) | Profile::Merchant(_) | Profile::Provider(_))
            | None => String::new(),
        },
        is_granted: served.is_member(programme.mask()),
        labels: served.labels(),
        kill_switch: hot.kill_switch(),
        // Under the kill switch nothing is lifted, nor what a violation excludes; labels stay.
        tilts: if hot.kill_switch() || served.labels() & crate::traffic::Label::Excluded.bit() != 0 {
            Vec::new()
        } else {
            served.tilts(programme)
        },
        member: made.programmes.get(position).copied().unwrap_or_default(),
        is_open: world.open() & programme.mask() != 0,
        takes_target: programme.takes(query.kind, item.as_ref()),
        policy: policy.clone(),
        conditions,
        rights,
    })
}

/// What Score reads of one target.
pub(super) struct Served<'a> {
    world: &'a World,
    kind: TargetKind,
    record: MerchantRecord,
    class: ItemClass,
}

impl<'a> Served<'a> {
    pub(super) fn new(world: &'a World, kind: TargetKind, located: ItemRecord) -> Self {
        let record = world.table.read(located.merchant_slot);
        // Every class that an item names is there.
        let neutral = || ItemClass { factor: 1.0, programmes: 0, uplift_factors: Vec::new() };
        let class = world.classes.get(located.class).cloned().unwrap_or_else(neutral);
        Self { world, kind, record, class }
    }

    /// Programmes that the target takes part in now, as bits, whatever the scene.
    fn active(&self) -> u64 {
        self.record.programmes & self.class.programmes & self.world.open()
    }

    /// Whether the target takes part in a programme.
    pub(super) fn is_member(&self, mask: u64) -> bool {
        self.active() & mask != 0
    }

    /// The trust score.
    pub(super) fn trust(&self) -> f32 {
        self.record.trust
    }

    /// Labels do not depend on the scene.
    pub(super) fn labels(&self) -> u32 {
        let rules = self.world.rules(Scene::Mall, false);
        weigh(&rules, &self.record.row(Scene::Mall, self.kind), &self.class).labels
    }

    fn tilts(&self, programme: &Programme) -> Vec<(Scene, f64)> {
        if !self.is_member(programme.mask()) || programme.kind == ProgrammeKind::Modifier {
            return Vec::new();
        }
        let boost = self.record.boosts.iter().find(|boost| boost.bit == programme.bit && boost.thousandths > 0);
        let Some(boost) = boost else { return Vec::new() };
        let scenes = Scene::ALL.into_iter().filter(|scene| boost.scenes & scene.mask() != 0);
        let in_scene = |scene| {
            let rules: SceneRules = self.world.rules(scene, false);
            let factor = rules.modified(programme.bit, self.active() & rules.in_scene);
            (scene, boost.uplift() * factor * self.class.uplift_factor(programme.bit))
        };
        scenes.map(in_scene).collect()
    }
}

/// Collects conditions with what closes them.
struct Conditions<'a> {
    ground: &'a Ground<'a>,
    rows: &'a [SignalRow],
    found: Vec<ConditionStatus>,
    groups: usize,
}

impl Conditions<'_> {
    fn take(&mut self, predicate: &Predicate, scenes: Option<u8>, is_item: bool) {
        let first = self.groups;
        for typed in predicate.typed_results(&self.ground.seen) {
            let group = first + typed.part;
            self.groups = self.groups.max(group + 1);
            let row = signal_of(typed.test).and_then(|index| self.rows.get(usize::from(index)));
            self.found.push(ConditionStatus {
                kind: if is_item { ConditionKind::Item } else { self.kind_of(typed.test) },
                closing: closing(self.ground, &typed),
                is_negated: typed.is_negated,
                group,
                group_holds: typed.part_holds,
                scenes,
                bound: typed.test.bound(typed.is_negated),
                value: typed.value,
                counts: row.map(|row| (row.numerator, row.denominator)).or_else(|| self.ratio_counts(&typed)),
                signal_state: row.map(|row| row.state),
                test: typed.test.clone(),
                result: typed.result,
            });
        }
    }

    fn ratio_counts(&self, typed: &TypedResult) -> Option<(f64, f64)> {
        let Test::Ratio(above, below, ..) = typed.test else { return None };
        Some((above.value(&self.ground.seen)?, below.value(&self.ground.seen)?))
    }

    fn kind_of(&self, test: &Test) -> ConditionKind {
        if let Some(index) = signal_of(test) {
            let kind = self.ground.model.signals.get(usize::from(index)).map(|signal| &signal.kind);
            let is_violation =
                matches!(kind, Some(SignalKind::Derived(Derived::ViolationPoints | Derived::PriorIdentityViolation)));
            return if is_violation { ConditionKind::Violation } else { ConditionKind::Metric };
        }
        match test {
            Test::Member(ListColumn::Rights, _) => ConditionKind::Right,
            Test::Number(..) | Test::Ratio(..) => ConditionKind::Metric,
            Test::Flag(FlagColumn::PriorIdentityViolation) => ConditionKind::Violation,
            Test::Member(..) | Test::Text(..) | Test::Flag(_) => ConditionKind::Other,
        }
    }
}

/// The signal that a test reads.
fn signal_of(test: &Test) -> Option<u16> {
    match test {
        Test::Number(NumberColumn::Signal(index), ..) | Test::Flag(FlagColumn::SignalMeasured(index)) => Some(*index),
        Test::Number(..) | Test::Ratio(..) | Test::Text(..) | Test::Member(..) | Test::Flag(_) => None,
    }
}
