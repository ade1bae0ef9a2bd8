//! Programmes as operators see them: state, budgets and pace (this file and `budgets`), members (`members`), what every
//! merchant must be read for (`audience`), packages (`packages`), forecasts (`forecast`).

mod audience;
mod budgets;
mod forecast;
mod members;
mod packages;

use std::sync::Arc;

use super::Engine;
use crate::domain::{Rejection, Scene, Timestamp, WEEK_HOURS};
use crate::policy::Policy;
use crate::state::{ChangeRow, State};
use crate::traffic::{Concentration, Coverage, Profile, Programme};

pub use audience::LiftStatus;
pub use budgets::{BudgetPrice, BudgetStatus};
pub use forecast::{ForecastQuery, ForecastReport, Obstacle};
pub use members::{GuaranteeStanding, MemberFilter, MemberGuarantee, MemberPage, MemberQuery, MemberStatus};
pub use packages::{PackageScene, Packages};

/// Whether a programme works now; the first that is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// The kill switch is on.
    KillSwitch,
    /// An operator paused it.
    Paused,
    /// It is computed, not applied.
    Shadow,
    /// Its window is closed.
    Closed,
    /// Every budget is delivered or reserved.
    Spent,
    /// It works.
    Works,
}

/// One programme.
#[derive(Clone, Debug)]
pub struct ProgrammeStatus {
    /// Its position in the policy.
    pub position: usize,
    /// Whether it works now.
    pub serving: Serving,
    /// Whether its window is open.
    pub is_open: bool,
    /// When the window opens or closes next.
    pub next_boundary: Option<Timestamp>,
    /// Whether an operator paused it.
    pub is_paused: bool,
    /// Revision of the last change by operators; 0 before the first.
    pub changed: u64,
    /// Its budgets: the whole, then those of single scenes.
    pub budgets: Vec<BudgetStatus>,
    /// Distinct members it delivered to today.
    pub members_today: u64,
    /// Members.
    pub members: u64,
    /// Eligible and held out.
    pub held_out: u64,
    /// How exposures are spread. Full view.
    pub concentration: Option<Concentration>,
    /// How guarantees are kept. Full view.
    pub coverage: Option<Coverage>,
    /// What it brings. Full view.
    pub lift: Option<LiftStatus>,
    /// What operators changed, oldest first.
    pub changes: Vec<ChangeRow>,
}

/// Programmes, and what they are of.
#[derive(Clone, Debug)]
pub struct ProgrammesAnswer {
    /// Revision of the budgets.
    pub revision: u64,
    /// State time.
    pub now: Timestamp,
    /// The policy.
    pub policy: Arc<Policy>,
    /// By id.
    pub programmes: Vec<ProgrammeStatus>,
}

/// Which programmes to show.
#[derive(Clone, Debug)]
pub enum ProgrammesQuery {
    /// Positions in order of id, from one on, at most so many.
    Page {
        /// The first.
        from: usize,
        /// At most.
        limit: usize,
    },
    /// One by its id.
    One(String),
}

impl Engine {
    /// Programmes in basic or full view. Reads every merchant, in slices.
    ///
    /// # Errors
    /// When there is none of the id.
    pub fn programmes(&self, query: &ProgrammesQuery, is_full: bool) -> Result<ProgrammesAnswer, Rejection> {
        let mut answer = self.read(|state| read(state, query))?;
        self.count_audiences(&mut answer, is_full);
        Ok(answer)
    }
}

fn read(state: &State, query: &ProgrammesQuery) -> Result<ProgrammesAnswer, Rejection> {
    let policy = state.policy().clone();
    let positions = match query {
        ProgrammesQuery::Page { from, limit } => {
            let end = from.saturating_add(*limit).min(policy.programmes.len());
            *from..end
        }
        ProgrammesQuery::One(id) => {
            let found = state.programme_named(id);
            let (position, _) = found.ok_or_else(|| Rejection::UnknownProgramme { programme: id.clone() })?;
            position..position.saturating_add(1)
        }
    };
    let profiles = Profiles::learn(state);
    let shown = positions.filter_map(|position| Some((position, policy.programmes.get(position)?)));
    let programmes = shown.map(|(position, programme)| status(state, &profiles, position, programme)).collect();
    Ok(ProgrammesAnswer { revision: state.hot().revision(), now: state.meta().now, policy, programmes })
}

fn status(state: &State, profiles: &Profiles, position: usize, programme: &Programme) -> ProgrammeStatus {
    let (now, bit) = (state.meta().now, programme.bit);
    let row = state.switch(bit);
    let budgets = budgets::of(state, profiles, programme);
    let is_open = programme.window.is_open(now);
    let is_paused = row.is_some_and(|row| row.is_paused);
    let is_spent = !budgets.is_empty() && budgets.iter().all(|budget| budget.left() == 0);
    let serving = if state.hot().kill_switch() {
        Serving::KillSwitch
    } else if is_paused {
        Serving::Paused
    } else if programme.is_shadow {
        Serving::Shadow
    } else if !is_open {
        Serving::Closed
    } else if is_spent {
        Serving::Spent
    } else {
        Serving::Works
    };
    ProgrammeStatus {
        position,
        serving,
        is_open,
        next_boundary: programme.window.next_boundary(now),
        is_paused,
        changed: row.map_or(0, |row| row.revision),
        budgets,
        members_today: state.members_reached(bit, now.day()),
        members: 0,
        held_out: 0,
        concentration: None,
        coverage: None,
        lift: None,
        changes: row.map(|row| row.changes.clone()).unwrap_or_default(),
    }
}

/// Traffic by hour of the week, of each scene.
struct Profiles {
    scenes: [Option<Profile>; Scene::COUNT],
}

impl Profiles {
    fn learn(state: &State) -> Self {
        let now = state.meta().now;
        let scenes = Scene::ALL.map(|scene| {
            let weeks = state.hour_counts(scene).filter_map(|(week, counts)| Some((week, counts.try_into().ok()?)));
            Profile::learn(&weeks.collect::<Vec<_>>(), now)
        });
        Self { scenes }
    }

    /// Of several scenes together; none if no traffic of theirs is known. What is said of days, hours and errors is of
    /// the scene with most traffic.
    fn of(&self, scenes: impl Iterator<Item = Scene>) -> Option<Profile> {
        let known: Vec<&Profile> = scenes.filter_map(|scene| self.scenes.get(scene.index())?.as_ref()).collect();
        let volume = |profile: &&Profile| profile.hours.iter().sum::<f64>();
        let largest = known.iter().copied().max_by(|a, b| volume(a).total_cmp(&volume(b)))?;
        let mut hours = [0.0; WEEK_HOURS];
        for profile in &known {
            hours.iter_mut().zip(profile.hours).for_each(|(sum, of)| *sum += of);
        }
        Some(Profile { hours, ..largest.clone() })
    }
}
