//! What a programme may spend, promises, and allows one member. Allocation enforces it (DESIGN section 7).

use crate::domain::Scene;

/// How often a budget or a cap begins anew, in Asia/Shanghai.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Once, over the programme's whole window.
    Window,
    /// Every calendar year.
    Year,
    /// Every calendar month.
    Month,
    /// Every natural week.
    Week,
    /// Every day.
    Day,
}

impl Period {
    /// Name in policy files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::Year => "year",
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
        }
    }
}

/// How spending is spread over a period.
#[derive(Clone, Debug, PartialEq)]
pub enum Pacing {
    /// As traffic comes.
    Even,
    /// More early than late.
    FrontLoaded,
    /// As soon as there is a use for it.
    AsFastAsPossible,
    /// Share of the period to share spent, both 0 to 1, rising.
    Curve(Vec<(f64, f64)>),
}

impl Pacing {
    /// Name in policy files.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Even => "even",
            Self::FrontLoaded => "front_loaded",
            Self::AsFastAsPossible => "as_fast_as_possible",
            Self::Curve(_) => "curve",
        }
    }
}

/// The exposures a programme may spend.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// In each period, over all scenes or those without their own.
    pub exposures: u64,
    /// How often it begins anew.
    pub period: Period,
    /// How it is spread.
    pub pacing: Pacing,
    /// Budgets of single scenes, by scene index.
    pub by_scene: [Option<u64>; Scene::COUNT],
    /// Largest share that one member may take, 0 to 1; none means no bound.
    pub max_member_share: Option<f64>,
    /// Share kept for the long tail, 0 to 1, and who belongs to it: members with at most so many exposures a day.
    pub tail: Option<Tail>,
    /// Members that must be reached every day at least; 0 if there is no such floor.
    pub daily_members: u64,
}

/// A part of a budget that only small members may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    /// Share of the budget, 0 to 1.
    pub share: f64,
    /// Members with at most so many exposures in the last 30 days belong to it.
    pub max_exposures_30d: u64,
}

/// Exposures promised to each member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guarantee {
    /// How many at least.
    pub exposures: u64,
    /// Within so many days of becoming a member.
    pub days: u16,
    /// Value lost by each that is missing, in units of the mean base score.
    pub penalty: f64,
}

/// Exposures one member may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// How many at most.
    pub exposures: u64,
    /// In which period.
    pub period: Period,
}
