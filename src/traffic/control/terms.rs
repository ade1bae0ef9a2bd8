//! What control has to keep: budgets, and what is promised or allowed to single members.

use crate::domain::{Scene, Timestamp};
use crate::traffic::budget::Pacing;

/// Scene mask that stands for all scenes.
pub const ALL_SCENES: u8 = 0x3f;

/// Which exposures a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BudgetKind {
    /// Every exposure of a member.
    Hard,
    /// Exposures that are charged to it.
    Support,
}

/// A budget of a programme.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetTerm {
    /// The programme's bit.
    pub bit: u8,
    /// Which exposures it counts.
    pub kind: BudgetKind,
    /// The scene it is for; none means all scenes without one of their own.
    pub scene: Option<Scene>,
    /// Exposures that may be spent between `start` and `end`.
    pub limit: u64,
    /// First instant of its window.
    pub start: Timestamp,
    /// The instant after its window.
    pub end: Timestamp,
    /// How spending is spread over the window.
    pub pacing: Pacing,
}

/// What a member may or must have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MemberRule {
    /// At most the limit. Priced if the programme counts every exposure; caps on charged exposures are only stopped.
    AtMost,
    /// At least the limit, of all exposures.
    AtLeast {
        /// Value lost by each that is missing, in units of the mean base score.
        penalty: f64,
    },
}

/// A cap or a guarantee of one member. Its price holds wherever the member is shown; only scenes of `scenes` count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemberTerm {
    /// Slot of the member.
    pub member: u32,
    /// Bit of the programme that says so.
    pub programme: u8,
    /// Cap or guarantee.
    pub rule: MemberRule,
    /// Exposures between `start` and `end`.
    pub limit: u64,
    /// First instant of its period.
    pub start: Timestamp,
    /// The instant after its period.
    pub end: Timestamp,
    /// Scenes whose exposures count, as bits.
    pub scenes: u8,
}

/// What names a budget while constraints change around it: its bit, what it counts, its scene.
pub(super) type BudgetKey = (u8, BudgetKind, Option<Scene>);
/// What names a member term while constraints change around it: the member, the programme, whether it is a guarantee.
pub(super) type MemberKey = (u32, u8, bool);

impl BudgetTerm {
    pub(super) const fn key(&self) -> BudgetKey {
        (self.bit, self.kind, self.scene)
    }
}

impl MemberTerm {
    pub(super) const fn key(&self) -> MemberKey {
        (self.member, self.programme, self.is_guarantee())
    }

    /// Whether it is a guarantee.
    #[must_use]
    pub const fn is_guarantee(&self) -> bool {
        matches!(self.rule, MemberRule::AtLeast { .. })
    }
}

/// Everything control has to keep. At most one budget per bit and scene: that of the scene comes before that of all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Constraints {
    /// Budgets.
    pub budgets: Vec<BudgetTerm>,
    /// Caps and guarantees.
    pub members: Vec<MemberTerm>,
}

/// Exposures spent so far (delivered or reserved), in the order of [`Constraints`]. Ledgers know them, control does not.
#[derive(Clone, Copy, Debug)]
pub struct Spent<'a> {
    /// By budget.
    pub budgets: &'a [u64],
    /// By member term.
    pub members: &'a [u64],
}

/// The share of a budget that should be spent when a share of its window is gone; none if traffic decides.
#[must_use]
pub fn planned_share(pacing: &Pacing, gone: f64) -> Option<f64> {
    if *pacing == Pacing::Even { None } else { pacing.planned(gone) }
}

/// Milliseconds from one instant to another as a float, 0 if it lies before.
pub(super) fn span_ms(from: Timestamp, to: Timestamp) -> f64 {
    crate::domain::count_to_f64(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0))
}
