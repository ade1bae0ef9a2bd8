//! Budgets in their running period: delivered, reserved, target by now, pace, forecast, price.

use super::Profiles;
use crate::domain::{AccountKey, Day, Scene, Scope, Timestamp};
use crate::state::{PriceGuard, State};
use crate::traffic::{
    Budget, BudgetOverride, OpenTraffic, Pacing, Period, Plan, PriceBook, Profile, Programme, Progress,
};

/// What one exposure of a budget costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetPrice {
    /// In units of the mean base score (slate and adjusted mode).
    pub additive: f64,
    /// In the log domain (weights mode).
    pub log: f64,
}

impl BudgetPrice {
    /// The price of a programme's budget in a scene.
    #[must_use]
    pub fn of(book: &PriceBook, scene: Scene, bit: u8) -> Option<Self> {
        let prices = book.scenes.get(scene.index())?;
        let at = |prices: &[f32]| prices.get(usize::from(bit)).copied().map(f64::from);
        // A discount of 0 has no finite logarithm: the least that f32 tells from it.
        let discount = at(&prices.discount)?.max(f64::from(f32::MIN_POSITIVE));
        Some(Self { additive: at(&prices.lambda)?, log: -libm::log(discount) })
    }
}

/// A budget in its running period. Exposures.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetStatus {
    /// Of a single scene; none for the whole.
    pub scene: Option<Scene>,
    /// What may be spent.
    pub exposures: u64,
    /// What the policy says.
    pub policy_exposures: u64,
    /// Whether an operator adjusted it.
    pub is_adjusted: bool,
    /// How often it begins anew.
    pub period: Period,
    /// First day of the period as accounts name it.
    pub first_day: Day,
    /// When it began, no earlier than the programme's window.
    pub begins: Timestamp,
    /// When it ends, no later than the window; none if it does not.
    pub ends: Option<Timestamp>,
    /// Reported.
    pub delivered: u64,
    /// Of those, reported late.
    pub late: u64,
    /// Leased to nodes, or kept for what crashed nodes may still report.
    pub reserved: u64,
    /// How it is to be spread.
    pub pacing: Pacing,
    /// Where it stands and leads.
    pub progress: Progress,
    /// What is known of traffic in its scenes; none if all hours are taken to be alike.
    pub profile: Option<Profile>,
    /// What it costs now; none where there are no prices.
    pub price: Option<BudgetPrice>,
}

impl BudgetStatus {
    /// Neither delivered nor reserved.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.exposures.saturating_sub(self.delivered).saturating_sub(self.reserved)
    }
}

/// The period of a budget that runs at an instant, cut to the window.
fn period_at(programme: &Programme, period: Period, now: Timestamp) -> (Day, Timestamp, Option<Timestamp>) {
    let first_day = period.first_day(now);
    let window = &programme.window;
    let (opens, closes) = (window.first.map(Day::start), window.last.map(|last| last.plus(1).start()));
    let begins = if period == Period::Window {
        opens.unwrap_or(now)
    } else {
        opens.map_or(first_day.start(), |at| at.max(first_day.start()))
    };
    let ends = period.next(first_day).map(Day::start).into_iter().chain(closes).min();
    (first_day, begins, ends)
}

/// The budgets of a programme: the whole, then those of single scenes.
pub(super) fn of(state: &State, profiles: &Profiles, programme: &Programme) -> Vec<BudgetStatus> {
    let Some(budget) = &programme.budget else { return Vec::new() };
    let adjusted = state.adjusted(programme.bit);
    let own = Scene::ALL.into_iter().filter(|scene| budget.by_scene.get(scene.index()).is_some_and(Option::is_some));
    let reader = Reader { state, profiles, programme, budget, adjusted };
    std::iter::once(None).chain(own.map(Some)).map(|scene| reader.status(scene)).collect()
}

struct Reader<'a> {
    state: &'a State,
    profiles: &'a Profiles,
    programme: &'a Programme,
    budget: &'a Budget,
    adjusted: BudgetOverride,
}

impl Reader<'_> {
    fn exposures(&self, scene: Option<Scene>, adjusted: &BudgetOverride) -> u64 {
        match scene {
            None => self.budget.total(adjusted),
            Some(scene) => self.budget.of_scene(adjusted, scene).unwrap_or(0),
        }
    }

    fn status(&self, scene: Option<Scene>) -> BudgetStatus {
        let (programme, budget) = (self.programme, self.budget);
        let now = self.state.meta().now;
        let (first_day, begins, ends) = period_at(programme, budget.period, now);
        let exposures = self.exposures(scene, &self.adjusted);
        let (delivered, late, taken) = self.spent(scene, first_day);
        let scenes =
            Scene::ALL.into_iter().filter(|other| scene.map_or(programme.works_in(*other), |own| own == *other));
        let profile = self.profiles.of(scenes.clone());
        let traffic = OpenTraffic::new(&programme.window, profile.as_ref().map(|profile| &profile.hours));
        let progress = ends.map(|ends| {
            let plan = Plan { wanted: exposures, pacing: &budget.pacing, begins, ends, traffic: &traffic };
            plan.progress(delivered, now)
        });
        let is_adjusted = match scene {
            None => self.adjusted.exposures.is_some(),
            Some(scene) => self.adjusted.by_scene.get(scene.index()).is_some_and(Option::is_some),
        };
        BudgetStatus {
            scene,
            exposures,
            policy_exposures: self.exposures(scene, &BudgetOverride::default()),
            is_adjusted,
            period: budget.period,
            first_day,
            begins,
            ends,
            delivered,
            late,
            reserved: taken.saturating_sub(delivered),
            pacing: budget.pacing.clone(),
            progress: progress.unwrap_or_default(),
            profile,
            price: prices(self.state).and_then(|book| BudgetPrice::of(&book, scenes.clone().next()?, programme.bit)),
        }
    }

    /// Delivered, late and taken of the accounts behind a budget: the whole is those of all scenes.
    fn spent(&self, scene: Option<Scene>, period: Day) -> (u64, u64, u64) {
        let all = std::iter::once(Scope::Programme).chain(Scene::ALL.map(Scope::Scene));
        let scopes = all.filter(|scope| scene.is_none_or(|scene| *scope == Scope::Scene(scene)));
        let keys = scopes.map(|scope| AccountKey { bit: self.programme.bit, scope, period });
        keys.filter_map(|key| self.state.account(&key)).fold(
            (0, 0, 0),
            |(delivered, late, taken): (u64, u64, u64), account| {
                (
                    delivered.saturating_add(account.delivered),
                    late.saturating_add(account.late),
                    taken.saturating_add(account.taken()),
                )
            },
        )
    }
}

/// The prices that serve; none before the first were published.
fn prices(state: &State) -> Option<PriceGuard> {
    let book = state.hot().prices().book();
    (book.epoch > 0).then_some(book)
}
