//! Which accounts an exposure is charged to, what each may hold, and when its period begins.

use arrayvec::ArrayVec;

use super::budget::{Budget, Period};
use super::programme::Programme;
use crate::domain::{AccountKey, Day, MerchantId, Scene, Scope, Timestamp};

/// Id of the programme that all packages share.
pub const SCENE_PACKAGE: &str = "scene_package";
/// Most accounts that one programme charges an exposure to.
pub const MAX_ACCOUNTS: usize = 5;
/// Period of accounts that have only one.
pub const ONLY_PERIOD: Day = Day(0);
/// Shares of a budget are taken in millionths.
const MILLION: u64 = 1_000_000;

/// Budgets that operations set beside the policy; none for what the policy says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetOverride {
    /// Over all scenes, in each period.
    pub exposures: Option<u64>,
    /// Of scenes with a budget of their own, by scene index.
    pub by_scene: [Option<u64>; Scene::COUNT],
}

/// What an account may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// At most so many exposures.
    AtMost(u64),
    /// As many as there are.
    Unlimited,
    /// The programme has no such account.
    NoAccount,
}

impl Limit {
    /// The exposures; none without a limit. Where there is no account there are 0.
    #[must_use]
    pub fn exposures(self) -> Option<u64> {
        match self {
            Self::AtMost(exposures) => Some(exposures),
            Self::Unlimited => None,
            Self::NoAccount => Some(0),
        }
    }
}

impl Period {
    /// The first day of the period that an instant falls in, in Asia/Shanghai; day 0 where there is only one.
    #[must_use]
    pub fn first_day(self, at: Timestamp) -> Day {
        let day = at.day();
        match self {
            Self::Window => ONLY_PERIOD,
            Self::Year => day.first_of_year(),
            Self::Month => day.first_of_month(),
            Self::Week => day.week().monday(),
            Self::Day => day,
        }
    }

    /// The first day of the next period; none where there is only one.
    #[must_use]
    pub fn next(self, first_day: Day) -> Option<Day> {
        match self {
            Self::Window => None,
            // No year has more days, and none so few that two would be passed.
            Self::Year => Some(first_day.plus(366).first_of_year()),
            Self::Month => Some(first_day.plus(31).first_of_month()),
            Self::Week => Some(first_day.plus(7)),
            Self::Day => Some(first_day.plus(1)),
        }
    }
}

impl Budget {
    /// Exposures over all scenes, as adjusted.
    #[must_use]
    pub fn total(&self, adjusted: &BudgetOverride) -> u64 {
        adjusted.exposures.unwrap_or(self.exposures)
    }

    /// Exposures of a scene's own budget, as adjusted; none if it has none.
    #[must_use]
    pub fn of_scene(&self, adjusted: &BudgetOverride, scene: Scene) -> Option<u64> {
        let own = self.by_scene.get(scene.index()).copied().flatten()?;
        Some(adjusted.by_scene.get(scene.index()).copied().flatten().unwrap_or(own))
    }

    /// What scenes without a budget of their own share: the rest of the total.
    #[must_use]
    pub fn of_other_scenes(&self, adjusted: &BudgetOverride) -> u64 {
        let own = Scene::ALL.into_iter().filter_map(|scene| self.of_scene(adjusted, scene));
        own.fold(self.total(adjusted), u64::saturating_sub)
    }

    /// Whether a member with so many exposures in the last 30 days belongs to the long tail; without one nobody does.
    #[must_use]
    pub fn is_tail(&self, exposures_30d: u64) -> bool {
        self.tail.is_some_and(|tail| exposures_30d <= tail.max_exposures_30d)
    }
}

/// A share, 0 to 1, in millionths, to the nearest: the one step from a float to integers.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn millionths(share: f64) -> u64 {
    libm::round(share * 1e6).clamp(0.0, 1e6) as u64
}

/// So many millionths of a budget, rounded down.
fn part(exposures: u64, millionths: u64) -> u64 {
    let product = u128::from(exposures).saturating_mul(u128::from(millionths));
    u64::try_from(product.div_euclid(u128::from(MILLION))).unwrap_or(u64::MAX)
}

/// What the account of a scope may hold in one period. `granted` is what the merchant assigned to a wallet; other
/// scopes do not look at it.
#[must_use]
pub fn limit(programme: &Programme, adjusted: &BudgetOverride, scope: Scope, granted: u64) -> Limit {
    let budget = programme.budget.as_ref();
    let at_most = |exposures: Option<u64>| exposures.map_or(Limit::NoAccount, Limit::AtMost);
    match scope {
        Scope::Programme => budget.map_or(Limit::Unlimited, |b| Limit::AtMost(b.of_other_scenes(adjusted))),
        Scope::Scene(scene) => at_most(budget.and_then(|b| b.of_scene(adjusted, scene))),
        Scope::Head => at_most(budget.and_then(|b| {
            let kept = millionths(b.tail?.share);
            Some(part(b.total(adjusted), MILLION.saturating_sub(kept)))
        })),
        Scope::Member(_) => {
            let share = budget.and_then(|b| Some(part(b.total(adjusted), millionths(b.max_member_share?))));
            share.map_or(Limit::Unlimited, Limit::AtMost)
        }
        Scope::Cap(_) => at_most(programme.cap.map(|cap| cap.exposures)),
        Scope::Wallet(..) => at_most((programme.id == SCENE_PACKAGE).then_some(granted)),
    }
}

/// How often the account of a scope begins anew.
#[must_use]
pub fn period_of(programme: &Programme, scope: Scope) -> Period {
    match scope {
        Scope::Programme | Scope::Scene(_) | Scope::Head | Scope::Member(_) => {
            programme.budget.as_ref().map_or(Period::Window, |budget| budget.period)
        }
        Scope::Cap(_) => programme.cap.map_or(Period::Window, |cap| cap.period),
        Scope::Wallet(..) => Period::Window,
    }
}

/// The account of a scope at an instant.
#[must_use]
pub fn account_at(programme: &Programme, scope: Scope, at: Timestamp) -> AccountKey {
    AccountKey { bit: programme.bit, scope, period: period_of(programme, scope).first_day(at) }
}

/// The accounts that one exposure is charged to: the scene's own budget or the programme's, the part outside the long
/// tail unless the member is in it, the member's share, its cap, its package. The same order always.
#[must_use]
pub fn accounts_of(
    programme: &Programme,
    merchant: MerchantId,
    scene: Scene,
    at: Timestamp,
    is_tail: bool,
) -> ArrayVec<AccountKey, MAX_ACCOUNTS> {
    let budget = programme.budget.as_ref();
    let has_own = budget.is_some_and(|budget| budget.by_scene.get(scene.index()).is_some_and(Option::is_some));
    let is_head = !is_tail && budget.is_some_and(|budget| budget.tail.is_some());
    let scopes = [
        Some(if has_own { Scope::Scene(scene) } else { Scope::Programme }),
        is_head.then_some(Scope::Head),
        Some(Scope::Member(merchant)),
        programme.cap.map(|_| Scope::Cap(merchant)),
        (programme.id == SCENE_PACKAGE).then_some(Scope::Wallet(merchant, scene)),
    ];
    scopes.into_iter().flatten().map(|scope| account_at(programme, scope, at)).collect()
}

#[cfg(test)]
mod tests;
