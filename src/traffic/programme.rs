//! Support programmes (扶持计划): who is eligible, where, when and with how much uplift.

use crate::domain::{Scene, Timestamp};
use crate::trust::{Curve, MerchantView, Predicate, TrustView};

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
    /// How it takes part.
    pub kind: ProgrammeKind,
    /// Whether it works in each scene, by scene index.
    pub scenes: [bool; Scene::COUNT],
    /// First instant, if it has one.
    pub begins: Option<Timestamp>,
    /// First instant after it, if it ends.
    pub ends: Option<Timestamp>,
    /// Who is eligible.
    pub eligibility: Predicate,
    /// How much it lifts.
    pub uplift: Uplift,
    /// Of the tilt programmes in one group only the largest counts.
    pub stacking_group: String,
    /// Labels of its members: bits of [`super::Label`].
    pub labels: u32,
    /// Labels of members that also meet a condition.
    pub conditional_labels: Vec<(Predicate, u32)>,
}

/// Whether a merchant is in a programme, wherever its scenes are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Eligibility {
    /// Inside the window.
    pub is_open: bool,
    /// The expression holds.
    pub is_met: bool,
    /// Uplift, 0 when not eligible.
    pub uplift: f64,
}

impl Eligibility {
    /// Whether the merchant is a member now.
    #[must_use]
    pub fn is_member(self) -> bool {
        self.is_open && self.is_met
    }
}

impl Programme {
    /// Whether it works in a scene.
    #[must_use]
    pub fn works_in(&self, scene: Scene) -> bool {
        self.scenes.get(scene.index()).copied().unwrap_or(false)
    }

    /// Whether an instant lies in its window.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.begins.is_none_or(|begins| begins <= now) && self.ends.is_none_or(|ends| now < ends)
    }

    /// Whether a merchant is in it, and with what uplift.
    #[must_use]
    pub fn eligibility(&self, view: &MerchantView, trust: &TrustView) -> Eligibility {
        let is_open = self.is_open(view.now);
        let is_met = self.eligibility.holds(view, Some(trust));
        let uplift = if is_open && is_met { self.uplift_of(view, trust) } else { 0.0 };
        Eligibility { is_open, is_met, uplift }
    }

    fn uplift_of(&self, view: &MerchantView, trust: &TrustView) -> f64 {
        match &self.uplift {
            Uplift::Constant(uplift) => *uplift,
            Uplift::ByTrust(curve) => curve.at(trust.trust.score),
            Uplift::Cases(cases) => {
                cases.iter().find(|(case, _)| case.holds(view, Some(trust))).map_or(0.0, |(_, uplift)| *uplift)
            }
        }
    }

    /// The labels of a member.
    #[must_use]
    pub fn labels_of(&self, view: &MerchantView, trust: &TrustView) -> u32 {
        self.conditional_labels
            .iter()
            .filter(|(condition, _)| condition.holds(view, Some(trust)))
            .fold(self.labels, |labels, (_, more)| labels | more)
    }

    /// The next instant after state time at which membership can change by itself.
    #[must_use]
    pub fn next_change(&self, view: &MerchantView) -> Option<Timestamp> {
        let bounds = [self.begins, self.ends].into_iter().flatten().filter(|instant| *instant > view.now);
        let cases: &[(Predicate, f64)] = match &self.uplift {
            Uplift::Cases(cases) => cases,
            Uplift::Constant(_) | Uplift::ByTrust(_) => &[],
        };
        let predicates = std::iter::once(&self.eligibility)
            .chain(cases.iter().map(|(case, _)| case))
            .chain(self.conditional_labels.iter().map(|(condition, _)| condition));
        bounds.chain(predicates.filter_map(|predicate| predicate.next_change(view))).min()
    }
}
