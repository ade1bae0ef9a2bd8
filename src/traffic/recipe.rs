//! How a policy's programmes and stages are asked about a merchant: laid out once, for the records of a million. The
//! explanation asks in the same way.

use super::holdout::Holdout;
use super::programme::{Eligibility, Programme, Uplift};
use super::stage::Stage;
use crate::domain::{MerchantId, Scene, Timestamp};
use crate::trust::{Check, Clocks, Predicate, Seen, Signal};

/// What [`super::materialise`] asks. Made of the signals, stages and programmes of a policy, and of nothing else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipe {
    /// When each stage is reached, in their order.
    stages: Vec<Check>,
    /// What each programme asks, in their order.
    entries: Vec<Entry>,
    /// When any of it can change by itself.
    clocks: Clocks,
}

/// What one programme asks of a merchant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    eligibility: Check,
    uplifts: Vec<(Check, f64)>,
    /// Scenes in which it works, as bits by scene index.
    scenes: u8,
    /// What single scenes ask for besides.
    scene_conditions: Vec<(u8, Check)>,
    labels: Vec<(Check, u32)>,
}

impl Recipe {
    /// The recipe of a policy.
    #[must_use]
    pub fn new(signals: &[Signal], stages: &[Stage], programmes: &[Programme]) -> Self {
        let predicates = programmes
            .iter()
            .flat_map(Programme::predicates)
            .chain(stages.iter().map(|stage| &stage.when))
            .chain(signals.iter().map(|signal| &signal.applies));
        Self {
            stages: stages.iter().map(|stage| Check::new(&stage.when)).collect(),
            entries: programmes.iter().map(Entry::new).collect(),
            clocks: Clocks::new(predicates),
        }
    }

    /// The stage of a merchant: the first whose condition holds. Empty where none does.
    pub(super) fn stage<'a>(&self, stages: &'a [Stage], seen: &Seen) -> &'a str {
        let reached = self.stages.iter().zip(stages).find(|(check, _)| check.holds(seen));
        reached.map_or("", |(_, stage)| &stage.id)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The next instant after state time at which signals, stage or memberships can change by themselves. Windows are
    /// not part of membership.
    pub(super) fn next_change(&self, seen: &Seen) -> Option<Timestamp> {
        self.clocks.next_change(seen)
    }
}

impl Entry {
    fn new(programme: &Programme) -> Self {
        let mask = |scenes: &[bool; Scene::COUNT]| {
            let working = Scene::ALL.into_iter().filter(|scene| scenes.get(scene.index()) == Some(&true));
            working.fold(0, |bits, scene| bits | scene.mask())
        };
        let checked = |predicate: &Predicate| Check::new(predicate);
        let uplifts = match &programme.uplift {
            Uplift::Cases(cases) => cases.iter().map(|(case, uplift)| (checked(case), *uplift)).collect(),
            Uplift::Constant(_) | Uplift::ByTrust(_) => Vec::new(),
        };
        let conditions = programme.scene_conditions.iter();
        let labels = programme.conditional_labels.iter();
        Self {
            eligibility: checked(&programme.eligibility),
            uplifts,
            scenes: mask(&programme.scenes),
            scene_conditions: conditions.map(|asked| (mask(&asked.scenes), checked(&asked.when))).collect(),
            labels: labels.map(|(condition, labels)| (checked(condition), *labels)).collect(),
        }
    }

    /// Whether a merchant is in the programme, and with what uplift.
    pub(super) fn eligibility(
        &self,
        programme: &Programme,
        (id, score): (MerchantId, f64),
        seen: &Seen,
        global: Option<&Holdout>,
    ) -> Eligibility {
        if !self.eligibility.holds(seen) {
            return Eligibility::default();
        }
        let holds_out = |holdout: &Holdout| holdout.holds_out(id);
        Eligibility {
            is_met: true,
            is_held_out: global.is_some_and(holds_out) || programme.holdout.as_ref().is_some_and(holds_out),
            uplift: match &programme.uplift {
                Uplift::Constant(uplift) => *uplift,
                Uplift::ByTrust(curve) => curve.at(score),
                Uplift::Cases(_) => {
                    self.uplifts.iter().find(|(case, _)| case.holds(seen)).map_or(0.0, |(_, uplift)| *uplift)
                }
            },
            scenes: self.scenes(seen),
        }
    }

    fn scenes(&self, seen: &Seen) -> u8 {
        let refused = self.scene_conditions.iter().filter(|(_, condition)| !condition.holds(seen));
        refused.fold(self.scenes, |scenes, (refused, _)| scenes & !refused)
    }

    /// The labels of a member that depend on the merchant.
    pub(super) fn labels(&self, seen: &Seen) -> u32 {
        let held = self.labels.iter().filter(|(condition, _)| condition.holds(seen));
        held.fold(0, |labels, (_, more)| labels | more)
    }
}
