//! Support programmes (扶持计划): who is eligible, where, when and with how much uplift.

use super::bits::mask_of;
use super::budget::{Budget, Cap, Guarantee};
use super::holdout::Holdout;
use super::limits::SCENE_PACKAGE;
use super::window::ProgrammeWindow;
use crate::domain::{Scene, TargetKind, Timestamp};
use crate::trust::{Curve, ItemView, Predicate, Seen};

/// How a programme takes part in a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgrammeKind {
    /// A factor, no budget: it is part of the tilt.
    Tilt,
    /// An exposure is charged to at most one of these.
    Support,
    /// Every exposure of a member counts, boosted or not.
    Hard,
    /// Scales the uplift of other programmes.
    Modifier,
}

impl ProgrammeKind {
    /// Name in policy files and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tilt => "tilt",
            Self::Support => "support",
            Self::Hard => "hard",
            Self::Modifier => "modifier",
        }
    }
}

/// The five areas of support (seed 000).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// Exposures.
    Traffic,
    /// Goods.
    Supplies,
    /// Campaigns.
    Activities,
    /// Rules that favour.
    Policies,
    /// Tools.
    Products,
}

impl Area {
    /// Name in policy files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traffic => "traffic",
            Self::Supplies => "supplies",
            Self::Activities => "activities",
            Self::Policies => "policies",
            Self::Products => "products",
        }
    }
}

/// How much a programme lifts: 0.5 means half as much again.
#[derive(Clone, Debug, PartialEq)]
pub enum Uplift {
    /// The same for all.
    Constant(f64),
    /// By trust score.
    ByTrust(Curve),
    /// By the first case whose condition holds; 0 if none does.
    Cases(Vec<(Predicate, f64)>),
}

/// Scales the uplift by what the item is: goods phases, tiers of products.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemUplift {
    /// Kind of item it is about.
    pub kind: TargetKind,
    /// Which items.
    pub when: Predicate,
    /// Factor on the programme's uplift.
    pub factor: f64,
}

/// A condition that membership needs in some scenes only.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneCondition {
    /// The scenes, by scene index.
    pub scenes: [bool; Scene::COUNT],
    /// What must hold there.
    pub when: Predicate,
}

/// One programme.
#[derive(Clone, Debug, PartialEq)]
pub struct Programme {
    /// Id: its file name.
    pub id: String,
    /// Its bit in `programmes`, kept for life.
    pub bit: u8,
    /// English name.
    pub name: String,
    /// Chinese name.
    pub name_zh: String,
    /// Number of the text it comes from.
    pub seed: String,
    /// Area of support.
    pub area: Area,
    /// How it takes part.
    pub kind: ProgrammeKind,
    /// Whether it works in each scene, by scene index.
    pub scenes: [bool; Scene::COUNT],
    /// Whether it works for each kind of target, by kind index.
    pub targets: [bool; TargetKind::COUNT],
    /// When it works.
    pub window: ProgrammeWindow,
    /// Which merchants are eligible.
    pub eligibility: Predicate,
    /// Which of their items, by kind index; items of a kind without a condition all are.
    pub item_eligibility: [Predicate; TargetKind::COUNT],
    /// What single scenes ask for besides.
    pub scene_conditions: Vec<SceneCondition>,
    /// How much it lifts.
    pub uplift: Uplift,
    /// By what the uplift is scaled for single items: the first that holds counts, 1 if none does.
    pub item_uplifts: Vec<ItemUplift>,
    /// Of a modifier: the bits of the programmes whose uplift it scales.
    pub modifies: u64,
    /// Of a modifier: by how much.
    pub factor: f64,
    /// Of the tilt programmes in one group only the largest counts.
    pub stacking_group: String,
    /// Of the programmes in one group no two may have the same member at the same time.
    pub exclusive_group: Option<String>,
    /// Merchants kept out to measure its lift.
    pub holdout: Option<Holdout>,
    /// Computed and explained, not applied.
    pub is_shadow: bool,
    /// Labels of its members: bits of [`super::Label`].
    pub labels: u32,
    /// Labels of members that also meet a condition.
    pub conditional_labels: Vec<(Predicate, u32)>,
    /// What it may spend.
    pub budget: Option<Budget>,
    /// What each member is promised.
    pub guarantee: Option<Guarantee>,
    /// What each member may have.
    pub cap: Option<Cap>,
}

/// Whether a merchant is in a programme, whatever its window, scenes and targets are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Eligibility {
    /// The expression holds.
    pub is_met: bool,
    /// Kept out by the programme's holdout or the global one.
    pub is_held_out: bool,
    /// Uplift, 0 where the expression does not hold.
    pub uplift: f64,
    /// Scenes in which it works for the merchant, as bits by scene index.
    pub scenes: u8,
}

impl Eligibility {
    /// Whether the merchant is a member.
    #[must_use]
    pub fn is_member(self) -> bool {
        self.is_met && !self.is_held_out
    }
}

impl Programme {
    /// Whether it takes part in what lifts its members.
    #[must_use]
    pub fn lifts(&self) -> bool {
        !self.is_shadow && matches!(self.kind, ProgrammeKind::Tilt | ProgrammeKind::Support)
    }

    /// Whether it limits or promises something to single members.
    #[must_use]
    pub fn limits_members(&self) -> bool {
        let bounds = |budget: &Budget| budget.max_member_share.is_some() || budget.tail.is_some();
        self.cap.is_some()
            || self.guarantee.is_some()
            || self.id == SCENE_PACKAGE
            || self.budget.as_ref().is_some_and(bounds)
    }

    /// Its bit as a mask.
    #[must_use]
    pub fn mask(&self) -> u64 {
        mask_of(self.bit)
    }

    /// Whether it works in a scene.
    #[must_use]
    pub fn works_in(&self, scene: Scene) -> bool {
        self.scenes.get(scene.index()).copied().unwrap_or(false)
    }

    /// Whether it works for a kind of target.
    #[must_use]
    pub fn works_for(&self, kind: TargetKind) -> bool {
        self.targets.get(kind.index()).copied().unwrap_or(false)
    }

    /// The condition on items of a kind.
    #[must_use]
    pub fn item_condition(&self, kind: TargetKind) -> Option<&Predicate> {
        self.item_eligibility.get(kind.index()).filter(|condition| !condition.is_always())
    }

    /// Whether all targets of a member are in it: whether the merchant alone decides.
    #[must_use]
    pub fn is_for_all_targets(&self) -> bool {
        TargetKind::ALL.into_iter().all(|kind| self.works_for(kind) && self.item_condition(kind).is_none())
    }

    /// Whether an item may take part. An item that is not registered meets no condition.
    #[must_use]
    pub fn takes(&self, kind: TargetKind, item: Option<&ItemView>) -> bool {
        self.works_for(kind)
            && self
                .item_condition(kind)
                .is_none_or(|condition| item.is_some_and(|item| condition.holds(&Seen::item(item))))
    }

    /// Factor on the uplift for an item.
    #[must_use]
    pub fn item_uplift(&self, kind: TargetKind, item: Option<&ItemView>) -> f64 {
        let Some(item) = item else { return 1.0 };
        let seen = Seen::item(item);
        self.item_uplifts
            .iter()
            .find(|case| case.kind == kind && case.when.holds(&seen))
            .map_or(1.0, |case| case.factor)
    }

    /// Everything it asks of merchants.
    pub(super) fn predicates(&self) -> impl Iterator<Item = &Predicate> {
        let cases: &[(Predicate, f64)] = match &self.uplift {
            Uplift::Cases(cases) => cases,
            Uplift::Constant(_) | Uplift::ByTrust(_) => &[],
        };
        std::iter::once(&self.eligibility)
            .chain(cases.iter().map(|(case, _)| case))
            .chain(self.conditional_labels.iter().map(|(condition, _)| condition))
            .chain(self.scene_conditions.iter().map(|condition| &condition.when))
    }

    /// The next instant after state time at which an item's part in it can change by itself.
    #[must_use]
    pub fn next_item_change(&self, kind: TargetKind, item: &ItemView) -> Option<Timestamp> {
        let seen = Seen::item(item);
        self.item_condition(kind)
            .into_iter()
            .chain(self.item_uplifts.iter().filter(|case| case.kind == kind).map(|case| &case.when))
            .filter_map(|predicate| predicate.next_change(&seen))
            .min()
    }
}
