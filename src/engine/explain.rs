//! Explain: Score's own row for one target, and everything that led to it, from one snapshot.

use std::sync::Arc;

use super::Engine;
use super::error::ReadError;
use super::score::{scene_prices, score_price};
use crate::domain::{Day, HeldRight, Merchant, Scene, Scope, TargetKind, Timestamp, Violation, Week, count_to_f64};
use crate::policy::Policy;
use crate::state::{GuaranteeKey, GuaranteeRow, HistoryError, Hot, State};
use crate::traffic::{
    Bid, Boost, Eligibility, ItemClass, ItemRecord, Lines, Materialised, MemberPrice, MerchantRecord, ONLY_PERIOD,
    Programme, ProgrammeKind, SceneRules, Weight, account_at, lines, materialise, period_of,
};
use crate::trust::governance::WaiverFacts;
use crate::trust::{ConditionResult, ItemView, MerchantFacts, MerchantView, Seen, SignalRow, TrustView};

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
    /// The recommender's score, if one was sent.
    pub base_score: Option<f32>,
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
    /// The prices that made the row.
    pub prices: ExplainedPrices,
    /// How the record came about; none for unknown targets.
    pub merchant: Option<ExplainedMerchant>,
}

/// The prices of one target's row.
pub struct ExplainedPrices {
    /// Which publication of prices.
    pub epoch: u64,
    /// Mean base score of scene and kind.
    pub mean: f64,
    /// What the target brought to pricing.
    pub lines: Lines,
    /// The price of its member, as it holds for this target.
    pub member: MemberPrice,
    /// Prices of budgets in the scene, by bit: additive, and as a factor.
    pub budgets: Vec<(f32, f32)>,
    /// Programmes without budget left, for this member or at all, as bits.
    pub spent: u64,
    /// The adjusted score in units of the base score, if one was sent.
    pub adjusted: Option<Bid>,
}

impl ExplainedPrices {
    /// Bits of the programmes that an exposure counts against, as Score answers them.
    #[must_use]
    pub fn programmes(&self, weight: &Weight) -> u64 {
        self.adjusted.map_or(weight.programmes, |bid| self.lines.programmes(bid.charged))
    }

    /// Price of a budget: additive, and as a factor.
    #[must_use]
    pub fn budget(&self, bit: u8) -> (f64, f64) {
        let found = self.budgets.get(usize::from(bit)).copied().unwrap_or((0.0, 1.0));
        (f64::from(found.0), f64::from(found.1))
    }

    /// Sum of the prices of the hard budgets that an exposure counts against, in order of bits as pricing adds them.
    #[must_use]
    pub fn hard_prices(&self) -> f64 {
        self.hard().fold(0.0, |sum, (price, _)| sum + price)
    }

    /// Product of the factors of the same.
    #[must_use]
    pub fn hard_factor(&self) -> f64 {
        self.hard().fold(1.0, |product, (_, factor)| product * factor)
    }

    fn hard(&self) -> impl Iterator<Item = (f64, f64)> {
        let stopped_by = self.lines.stopped_by();
        (0..64_u8).filter(move |bit| stopped_by >> bit & 1 == 1).map(|bit| self.budget(bit))
    }

    /// The value of the target for a base score, in units of the mean.
    #[must_use]
    pub fn value(&self, base_score: f32) -> f64 {
        self.lines.factor() * f64::from(base_score) / self.mean
    }

    /// Whether nothing may be shown: excluded, or a hard budget or cap of it is spent.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.lines.is_excluded || self.lines.stopped_by() & self.spent != 0
    }

    /// The support programme charged, as Score answers it.
    #[must_use]
    pub fn charged(&self, weight: &Weight) -> Option<u8> {
        self.adjusted.map_or(weight.charged, |bid| bid.charged)
    }
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
    /// Each programme for this target in this scene, in policy order.
    pub programmes: Vec<ExplainedProgramme>,
    /// The week whose waiver is explained.
    pub waiver_week: Week,
    /// What the week before it says.
    pub waiver_facts: WaiverFacts,
    /// The violation that used it.
    pub waiver_used_by: Option<u64>,
}

/// One programme for one target in one scene.
#[expect(clippy::struct_excessive_bools, reason = "each is a reason of its own to take no part")]
pub struct ExplainedProgramme {
    /// Whether the merchant is a member.
    pub member: Eligibility,
    /// The conditions on the merchant, those of the scene included.
    pub conditions: Vec<ConditionResult>,
    /// The conditions on the item.
    pub item_conditions: Vec<ConditionResult>,
    /// Whether its window is open.
    pub is_open: bool,
    /// Whether an operator paused it.
    pub is_paused: bool,
    /// Whether it works in the scene for this merchant.
    pub is_in_scene: bool,
    /// Whether it takes the target.
    pub takes_target: bool,
    /// Whether it would lift the merchant, were there not as many others as a record holds that come first.
    pub is_displaced: bool,
    /// Uplift for this target: what the merchant has, scaled by the item and by modifiers.
    pub uplift: f64,
    /// Factor of the item on the uplift.
    pub item_factor: f64,
    /// Factor of the modifiers on the uplift.
    pub modifier_factor: f64,
    /// The budget that an exposure in the scene counts against.
    pub budget: Option<ExplainedBudget>,
    /// The guarantee that began last for the merchant.
    pub guarantee: Option<(GuaranteeKey, GuaranteeRow)>,
    /// The merchant's cap: exposures allowed in the period, and delivered.
    pub cap: Option<(u64, u64)>,
}

/// A budget in its current period, in exposures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExplainedBudget {
    /// What may be spent.
    pub limit: u64,
    /// Delivered.
    pub delivered: u64,
    /// Held by nodes, reserved or not.
    pub held: u64,
    /// First day of the period; none where there is one.
    pub first_day: Option<Day>,
    /// Delivered over what an even delivery would have delivered by now; none without an end.
    pub pace: Option<f64>,
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
    let rules = world.rules(query.scene, kill_switch);
    // Every class that an item names is there.
    let neutral = ItemClass { factor: 1.0, programmes: 0, uplift_factors: Vec::new() };
    let class = world.classes.get(item.class).unwrap_or(&neutral);
    let (weight, prices) = explain_prices(hot, &rules, query, item.merchant_slot, (&record, class));
    let facts_day = world.facts_day;
    let target = Target { query, item, class, record: &record, rules: &rules, facts_day };
    let merchant = match state.view(item.merchant_slot) {
        Some(view) => Some(explain_merchant(state, history, &target, &view)?),
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
        prices,
        merchant,
    })
}

/// The row's weight and adjusted score, by the code and the prices that Score uses, each read once.
fn explain_prices(
    hot: &Hot,
    rules: &SceneRules,
    query: &ExplainQuery,
    slot: u32,
    (record, class): (&MerchantRecord, &ItemClass),
) -> (Weight, ExplainedPrices) {
    let book = hot.prices().book();
    let (scene, mean) = scene_prices(&book, query.scene, query.kind);
    let lines = lines(rules, slot, &record.row(query.scene, query.kind), class);
    let member = score_price(hot, rules, &lines, slot, hot.prices().stopped(query.scene));
    let weight = lines.weight(scene, &member);
    let adjusted = query.base_score.map(|base| lines.clone().adjusted(scene, &member, mean, base));
    let budgets = scene.lambda.iter().copied().zip(scene.discount).collect();
    let spent = scene.spent | member.spent;
    (weight, ExplainedPrices { epoch: book.epoch, mean, lines, member, budgets, spent, adjusted })
}

/// What is explained, as Score read it.
struct Target<'a> {
    query: &'a ExplainQuery,
    item: ItemRecord,
    class: &'a ItemClass,
    record: &'a MerchantRecord,
    rules: &'a SceneRules<'a>,
    facts_day: Day,
}

impl Target<'_> {
    fn programme(&self, state: &State, programme: &Programme, member: Eligibility, seen: &Seen) -> ExplainedProgramme {
        let query = self.query;
        let active = self.record.programmes & self.class.programmes & self.rules.open & self.rules.in_scene;
        let item = seen.item;
        let merchant = seen.merchant.map(|view| view.merchant.id);
        let mut conditions = programme.eligibility.results(seen);
        let asked = programme.scene_conditions.iter().filter(|c| c.scenes.get(query.scene.index()) == Some(&true));
        conditions.extend(asked.flat_map(|condition| condition.when.results(seen)));
        let own = self.record.boosts.iter().find(|boost| boost.bit == programme.bit && boost.thousandths > 0);
        let would_lift =
            programme.lifts() && member.is_member() && Boost::new(0, member.scenes, member.uplift).is_some();
        let is_displaced = would_lift && own.is_none() && !programme.window.is_over(self.facts_day);
        let modifier_factor = match programme.kind {
            ProgrammeKind::Modifier => programme.factor,
            ProgrammeKind::Tilt | ProgrammeKind::Support | ProgrammeKind::Hard => {
                self.rules.modified(programme.bit, active)
            }
        };
        let item_factor = self.class.uplift_factor(programme.bit);
        ExplainedProgramme {
            member,
            conditions,
            item_conditions: programme.item_condition(query.kind).map(|c| c.results(seen)).unwrap_or_default(),
            is_open: programme.window.is_open(seen.now()),
            is_paused: state.switch(programme.bit).is_some_and(|row| row.is_paused),
            is_in_scene: programme.works_in(query.scene) && (!member.is_met || member.scenes & query.scene.mask() != 0),
            takes_target: programme.takes(query.kind, item),
            is_displaced,
            // In shadow nothing is prepared: what it would be.
            uplift: own.map_or(if is_displaced { 0.0 } else { member.uplift }, |boost| boost.uplift())
                * (modifier_factor * item_factor),
            item_factor,
            modifier_factor,
            budget: explain_budget(state, programme, query.scene),
            guarantee: programme
                .guarantee
                .zip(merchant)
                .and_then(|(_, merchant)| state.last_guarantee(programme.bit, merchant)),
            cap: programme.cap.zip(merchant).map(|(cap, merchant)| {
                let key = account_at(programme, Scope::Cap(merchant), state.meta().now);
                (cap.exposures, state.account(&key).map_or(0, |account| account.delivered))
            }),
        }
    }
}

fn explain_budget(state: &State, programme: &Programme, scene: Scene) -> Option<ExplainedBudget> {
    let budget = programme.budget.as_ref()?;
    let now = state.meta().now;
    let has_own = budget.by_scene.get(scene.index()).copied().flatten().is_some();
    let scope = if has_own { Scope::Scene(scene) } else { Scope::Programme };
    let key = account_at(programme, scope, now);
    let limit = state.limit_of(&key).exposures()?;
    let (delivered, taken) = state.account(&key).map_or((0, 0), |account| (account.delivered, account.taken()));
    let first_day = (key.period != ONLY_PERIOD).then_some(key.period);
    let window = &programme.window;
    let start = first_day.into_iter().chain(window.first).max();
    let next = period_of(programme, scope).next(key.period);
    let end = next.into_iter().chain(window.last.map(|last| last.plus(1))).min();
    let pace = start.zip(end).and_then(|(start, end)| {
        let span = |to: Timestamp| count_to_f64(u64::try_from(to.0.saturating_sub(start.start().0)).unwrap_or(0));
        let planned = count_to_f64(limit) * span(now) / span(end.start());
        (planned > 0.0 && planned.is_finite()).then(|| count_to_f64(delivered) / planned)
    });
    Some(ExplainedBudget { limit, delivered, held: taken.saturating_sub(delivered), first_day, pace })
}

fn explain_merchant(
    state: &State,
    history: &dyn crate::state::History,
    target: &Target,
    view: &MerchantView,
) -> Result<ExplainedMerchant, HistoryError> {
    let (query, item) = (target.query, target.item);
    let policy = state.policy();
    let mut signals = Vec::new();
    let made = materialise(&policy.rules(state.disabled()), view, &mut signals);
    let tier = policy.model.tiers.get(made.trust.tier).map_or("", |tier| &tier.id);
    let trust = TrustView { trust: &made.trust, signals: &signals, tier, stage: &made.stage };
    let item_view: Option<ItemView> =
        query.kind.item().and_then(|kind| state.item_view(crate::domain::ItemId { kind, id: query.target_id }));
    let seen = Seen { item: item_view.as_ref(), ..Seen::merchant(view, Some(&trust)) };
    let members = policy.programmes.iter().zip(&made.programmes);
    let programmes = members.map(|(programme, member)| target.programme(state, programme, *member, &seen)).collect();

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
        facts: view.facts.stored().clone(),
        rights: view.rights.to_vec(),
        violations,
        programmes,
        waiver_week,
        waiver_facts,
        waiver_used_by: state.waived_in(item.merchant_slot, waiver_week).map(|violation| violation.id),
        made,
        signals,
    })
}
