//! When a budget will be spent or a guarantee met, and what stands in the way.

use std::sync::Arc;

use super::audience::{is_excluded, record_of};
use super::members::MemberReader;
use super::{Profiles, budgets};
use crate::domain::{MerchantId, ProfileKey, Rejection, Scene, Scope, Timestamp, count_to_f64};
use crate::engine::Engine;
use crate::policy::Policy;
use crate::state::State;
use crate::traffic::{OpenTraffic, Outlook, Pacing, Plan, Profile, Programme, Progress, account_at, outlook};

const HOUR_MS: f64 = 3_600_000.0;

/// What to foretell.
#[derive(Clone, Debug)]
pub struct ForecastQuery {
    /// Programme id.
    pub programme: String,
    /// The merchant whose guarantee is meant; none for the budget.
    pub merchant: Option<MerchantId>,
    /// The scene whose own budget is meant; none for the whole.
    pub scene: Option<Scene>,
}

/// What stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// No candidate: the programme has no member, or the merchant was never expected to be shown.
    NoCandidates,
    /// A violation excludes the merchant.
    Excluded,
    /// Paused.
    Paused,
    /// The budget is spent.
    BudgetSpent,
    /// Held out.
    HeldOut,
    /// No member any more.
    NotMember,
    /// The window is not open again before the end.
    Closed,
    /// It ended.
    Ended,
    /// At its cap or share.
    CappedOut,
    /// In shadow.
    Shadow,
    /// The kill switch is on.
    KillSwitch,
}

/// What is foretold. Exposures.
#[derive(Clone, Debug)]
pub struct ForecastReport {
    /// What is to be delivered.
    pub wanted: u64,
    /// Delivered so far.
    pub delivered: u64,
    /// When the period began.
    pub begins: Timestamp,
    /// When it ends; none if it does not.
    pub ends: Option<Timestamp>,
    /// Where it stands and leads.
    pub progress: Progress,
    /// How sure it is.
    pub outlook: Outlook,
    /// What stands in the way.
    pub obstacles: Vec<Obstacle>,
    /// What is known of traffic.
    pub profile: Option<Profile>,
    /// Exposures an hour since the period began; none before an hour of it has passed.
    pub rate_per_hour: Option<f64>,
    /// Revision answered from.
    pub revision: u64,
    /// The policy.
    pub policy: Arc<Policy>,
    /// State time.
    pub now: Timestamp,
}

impl Engine {
    /// Foretells a budget or a guarantee.
    ///
    /// # Errors
    /// When there is no such programme, budget, merchant or guarantee.
    pub fn forecast(&self, query: &ForecastQuery) -> Result<ForecastReport, Rejection> {
        // Counted before, since it reads every merchant.
        let members = if query.merchant.is_none() {
            let answer = self.programmes(&super::ProgrammesQuery::One(query.programme.clone()), false)?;
            answer.programmes.first().map_or(0, |status| status.members)
        } else {
            0
        };
        self.read(|state| {
            let found = state.programme_named(&query.programme);
            let (_, programme) =
                found.ok_or_else(|| Rejection::UnknownProgramme { programme: query.programme.clone() })?;
            match query.merchant {
                Some(merchant) => of_guarantee(state, programme, merchant),
                None => of_budget(state, programme, query.scene, members),
            }
        })
    }
}

/// What stands in the way of everything of a programme.
fn common_obstacles(state: &State, programme: &Programme, comes: f64) -> Vec<Obstacle> {
    let is_paused = state.switch(programme.bit).is_some_and(|row| row.is_paused);
    [
        (state.hot().kill_switch(), Obstacle::KillSwitch),
        (is_paused, Obstacle::Paused),
        (programme.is_shadow, Obstacle::Shadow),
        (comes <= 0.0, Obstacle::Closed),
    ]
    .into_iter()
    .filter_map(|(holds, obstacle)| holds.then_some(obstacle))
    .collect()
}

fn rate(delivered: u64, begins: Timestamp, now: Timestamp) -> Option<f64> {
    let since = count_to_f64(now.0.saturating_sub(begins.0).max(0).unsigned_abs());
    (since >= HOUR_MS).then(|| count_to_f64(delivered) / (since / HOUR_MS))
}

fn of_budget(
    state: &State,
    programme: &Programme,
    scene: Option<Scene>,
    members: u64,
) -> Result<ForecastReport, Rejection> {
    let now = state.meta().now;
    let budgets = budgets::of(state, &Profiles::learn(state), programme);
    let budget = budgets.into_iter().find(|budget| budget.scene == scene);
    let budget = budget.ok_or_else(|| Rejection::ProgrammeWithout {
        programme: programme.id.clone(),
        what: "such budget".to_owned(),
    })?;
    let traffic = OpenTraffic::new(&programme.window, budget.profile.as_ref().map(|profile| &profile.hours));
    let comes = budget.ends.map_or(1.0, |ends| traffic.between(now, ends));
    let mut obstacles = common_obstacles(state, programme, comes);
    if members == 0 {
        obstacles.push(Obstacle::NoCandidates);
    }
    let error = budget.profile.as_ref().and_then(|profile| profile.relative_error);
    let outlook = outlook(budget.exposures, budget.delivered, budget.progress.at_end, error);
    Ok(ForecastReport {
        wanted: budget.exposures,
        delivered: budget.delivered,
        begins: budget.begins,
        ends: budget.ends,
        progress: budget.progress,
        outlook,
        obstacles: if budget.delivered >= budget.exposures { Vec::new() } else { obstacles },
        rate_per_hour: rate(budget.delivered, budget.begins, now),
        profile: budget.profile,
        revision: state.hot().revision(),
        policy: state.policy().clone(),
        now,
    })
}

fn of_guarantee(state: &State, programme: &Programme, merchant: MerchantId) -> Result<ForecastReport, Rejection> {
    let key = ProfileKey::Merchant(merchant);
    let record = record_of(state, merchant).filter(|record| record.is_registered);
    let record = record.ok_or(Rejection::not_found(key))?;
    let what = format!("guarantee of merchant {}", merchant.0);
    let none = || Rejection::ProgrammeWithout { programme: programme.id.clone(), what };
    let (guarantee, row) = state.last_guarantee(programme.bit, merchant).ok_or_else(none)?;
    let now = state.meta().now;
    let scenes = || Scene::ALL.into_iter().filter(|scene| programme.works_in(*scene));
    let profile = Profiles::learn(state).of(scenes());
    let traffic = OpenTraffic::new(&programme.window, profile.as_ref().map(|profile| &profile.hours));
    let plan =
        Plan { wanted: row.target, pacing: &Pacing::Even, begins: guarantee.from, ends: row.until, traffic: &traffic };
    let progress = plan.progress(row.delivered, now);
    let mut obstacles = Vec::new();
    if row.delivered < row.target {
        if row.until <= now {
            obstacles.push(Obstacle::Ended);
        }
        obstacles.extend(common_obstacles(state, programme, traffic.between(now, row.until)));
        let mask = programme.mask();
        let is_spent = |scope| {
            let key = account_at(programme, scope, now);
            let limit = state.limit_of(&key).exposures();
            limit.is_some_and(|limit| state.account(&key).is_some_and(|account| account.taken() >= limit))
        };
        let has_own = |scene: Scene| {
            let own = programme.budget.as_ref().and_then(|budget| budget.by_scene.get(scene.index()));
            own.is_some_and(Option::is_some)
        };
        let all_spent = scenes().all(|s| is_spent(if has_own(s) { Scope::Scene(s) } else { Scope::Programme }));
        let reader = MemberReader::new(state, programme);
        let of_merchant = [
            (is_excluded(&record, programme), Obstacle::Excluded),
            (record.held_out & mask != 0, Obstacle::HeldOut),
            ((record.programmes | record.held_out) & mask == 0, Obstacle::NotMember),
            (all_spent, Obstacle::BudgetSpent),
            (reader.is_capped_out(merchant), Obstacle::CappedOut),
            (row.expected == Some(0), Obstacle::NoCandidates),
        ];
        obstacles.extend(of_merchant.into_iter().filter_map(|(holds, obstacle)| holds.then_some(obstacle)));
    }
    let error = profile.as_ref().and_then(|profile| profile.relative_error);
    Ok(ForecastReport {
        wanted: row.target,
        delivered: row.delivered,
        begins: guarantee.from,
        ends: Some(row.until),
        progress,
        outlook: outlook(row.target, row.delivered, progress.at_end, error),
        obstacles,
        rate_per_hour: rate(row.delivered, guarantee.from, now),
        profile,
        revision: state.hot().revision(),
        policy: state.policy().clone(),
        now,
    })
}
