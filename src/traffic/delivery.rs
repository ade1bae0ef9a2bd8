//! Where a budget should be by now, when it will be spent, and whether a guarantee will be met.
//!
//! Everything is measured along the traffic that is expected while the programme's window is open: an hour counts as
//! much as its hour of the week does, and all alike where traffic is not known.

use super::budget::Pacing;
use super::window::ProgrammeWindow;
use crate::domain::{DAY_MS, Day, HOUR_MS, Timestamp, WEEK_HOURS, count_to_f64};

const WEEK_MS: i64 = 7 * DAY_MS;
/// Relative error of a forecast that was never compared with what came.
const UNMEASURED_ERROR: f64 = 0.5;
/// From a mean absolute error to the half of an 80 % band of a normal distribution: √(π/2) · 1.2816. Hours are taken to
/// err together, which is the worst case: what a forecast misses, it misses for days.
const BAND_80: f64 = 1.606_2;
/// Halvings that find an instant in a period to the second.
const HALVINGS: u32 = 40;

/// Expected traffic by hour of the week, in any unit, while a window is open.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenTraffic {
    first: Option<Timestamp>,
    end: Option<Timestamp>,
    /// Of each hour of a week, 0 while the window is closed.
    hours: [f64; WEEK_HOURS],
    week: f64,
}

impl OpenTraffic {
    /// Of a window, under a weekly profile; without one all hours are alike.
    #[must_use]
    pub fn new(window: &ProgrammeWindow, profile: Option<&[f64; WEEK_HOURS]>) -> Self {
        let recurring = ProgrammeWindow { first: None, last: None, ..window.clone() };
        let monday = Day::default().week().monday().start();
        let mut hours = [0.0; WEEK_HOURS];
        let mut at = monday;
        for (hour, open) in hours.iter_mut().enumerate() {
            if recurring.is_open(at) {
                *open = profile.and_then(|profile| profile.get(hour)).copied().unwrap_or(1.0).max(0.0);
            }
            at = at.plus_ms(HOUR_MS);
        }
        let week = hours.iter().sum();
        Self { first: window.first.map(Day::start), end: window.last.map(|last| last.plus(1).start()), hours, week }
    }

    /// Traffic from one instant to another.
    #[must_use]
    pub fn between(&self, from: Timestamp, to: Timestamp) -> f64 {
        let from = self.first.map_or(from, |first| from.max(first));
        let to = self.end.map_or(to, |end| to.min(end));
        if to <= from {
            return 0.0;
        }
        let (from_week, from_part) = self.part_of_week(from);
        let (to_week, to_part) = self.part_of_week(to);
        let weeks = to_week.saturating_sub(from_week).unsigned_abs();
        (count_to_f64(weeks) * self.week + to_part - from_part).max(0.0)
    }

    /// The number of a week, and the traffic from its Monday to an instant.
    fn part_of_week(&self, at: Timestamp) -> (i64, f64) {
        let monday = Day::default().week().monday().start();
        let since = at.0.saturating_sub(monday.0);
        let (week, into) = (since.div_euclid(WEEK_MS), since.rem_euclid(WEEK_MS));
        let whole = usize::try_from(into.div_euclid(HOUR_MS)).unwrap_or(0);
        let rest = count_to_f64(into.rem_euclid(HOUR_MS).unsigned_abs()) / count_to_f64(HOUR_MS.unsigned_abs());
        let before: f64 = self.hours.iter().take(whole).sum();
        (week, before + rest * self.hours.get(whole).copied().unwrap_or(0.0))
    }
}

impl Pacing {
    /// Share of the budget that is to be spent when a share of the period's traffic has passed, both 0 to 1. None where
    /// it is as fast as possible: there is no such plan.
    #[must_use]
    pub fn planned(&self, elapsed: f64) -> Option<f64> {
        let elapsed = elapsed.clamp(0.0, 1.0);
        match self {
            Self::Even => Some(elapsed),
            // Three quarters in the first half; the rate falls evenly to 0 at the end.
            Self::FrontLoaded => Some(elapsed * (2.0 - elapsed)),
            Self::AsFastAsPossible => None,
            Self::Curve(points) => Some(along(points, elapsed)),
        }
    }
}

/// A value between points of rising x; before the first lies (0, 0), behind the last (1, 1).
fn along(points: &[(f64, f64)], x: f64) -> f64 {
    let mut before = (0.0, 0.0);
    for point in points.iter().copied().chain([(1.0, 1.0)]) {
        if x <= point.0 {
            let width = point.0 - before.0;
            let part = if width > 0.0 { (x - before.0) / width } else { 1.0 };
            return before.1 + part * (point.1 - before.1);
        }
        before = point;
    }
    1.0
}

/// What is to be delivered in a period, and by which plan.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// Exposures.
    pub wanted: u64,
    /// How they are to be spread.
    pub pacing: &'a Pacing,
    /// When the period began.
    pub begins: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// Traffic while it can be delivered.
    pub traffic: &'a OpenTraffic,
}

/// Where a plan stands and leads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Exposures that should be delivered by now; none where there is no plan.
    pub target: Option<f64>,
    /// delivered / target; none without a target or while it is below 1.
    pub pace: Option<f64>,
    /// When everything will be delivered; none if not before the end, or if nothing is known.
    pub met_at: Option<Timestamp>,
    /// What would be delivered at the end if there were no limit; none if nothing is known.
    pub at_end: Option<f64>,
}

impl Plan<'_> {
    /// Share of the period's traffic that has passed at an instant; none if there is none to pass.
    #[must_use]
    pub fn elapsed(&self, at: Timestamp) -> Option<f64> {
        let all = self.traffic.between(self.begins, self.ends);
        (all > 0.0).then(|| (self.traffic.between(self.begins, at) / all).clamp(0.0, 1.0))
    }

    /// Share of what is wanted that is planned at an instant. As fast as possible is taken to be even here: more is
    /// not known of it.
    fn planned(&self, at: Timestamp) -> Option<f64> {
        let elapsed = self.elapsed(at)?;
        Some(self.pacing.planned(elapsed).unwrap_or(elapsed))
    }

    /// Where it stands now, and where it leads if delivery stays as far from the plan as it is.
    #[must_use]
    pub fn progress(&self, delivered: u64, now: Timestamp) -> Progress {
        let wanted = count_to_f64(self.wanted);
        let has_plan = self.pacing.planned(0.0).is_some();
        let planned = self.planned(now);
        let target = planned.filter(|_| has_plan).map(|planned| planned * wanted);
        let pace = target.filter(|target| *target >= 1.0).map(|target| count_to_f64(delivered) / target);
        // Before an hour of traffic has passed, nothing can be said.
        let is_known = self.traffic.between(self.begins, now) > 0.0 && now.0.saturating_sub(self.begins.0) >= HOUR_MS;
        let at_end =
            planned.filter(|planned| is_known && *planned > 0.0).map(|planned| count_to_f64(delivered) / planned);
        let met_at =
            if delivered >= self.wanted { None } else { at_end.and_then(|end| self.reaches(wanted / end, now)) };
        Progress { target, pace, met_at, at_end }
    }

    /// The first instant from now on at which a share is planned.
    fn reaches(&self, share: f64, now: Timestamp) -> Option<Timestamp> {
        if !share.is_finite() || self.planned(self.ends)? < share {
            return None;
        }
        let (mut low, mut high) = (now.0, self.ends.0);
        for _ in 0..HALVINGS {
            let middle = low.saturating_add(high.saturating_sub(low).div_euclid(2));
            if self.planned(Timestamp(middle))? < share { low = middle } else { high = middle }
        }
        Some(Timestamp(high))
    }
}

/// How sure it is that something will be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Met,
    /// Also the lower end of the band suffices.
    Likely,
    /// What is wanted lies within the band.
    Uncertain,
    /// Not even the upper end suffices.
    Unlikely,
    /// Nothing is known.
    Unknown,
}

/// What is foretold, with its 80 % band. Exposures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// How sure it is.
    pub verdict: Verdict,
    /// Lower end, expected and upper end of what would be delivered without a limit; none if nothing is known.
    pub band: Option<(f64, f64, f64)>,
}

/// The outlook of a plan. `relative_error` is the mean absolute error of the traffic forecast as a share of traffic.
#[must_use]
pub fn outlook(wanted: u64, delivered: u64, at_end: Option<f64>, relative_error: Option<f64>) -> Outlook {
    let so_far = count_to_f64(delivered);
    let half = BAND_80 * relative_error.unwrap_or(UNMEASURED_ERROR);
    // Only what is to come can err.
    let band = at_end.map(|end| {
        let coming = (end - so_far).max(0.0);
        (so_far + coming * (1.0 - half).max(0.0), so_far + coming, so_far + coming * (1.0 + half))
    });
    let wanted_f64 = count_to_f64(wanted);
    let verdict = match band {
        _ if delivered >= wanted => Verdict::Met,
        None => Verdict::Unknown,
        Some((lower, ..)) if lower >= wanted_f64 => Verdict::Likely,
        Some((.., upper)) if upper < wanted_f64 => Verdict::Unlikely,
        Some(_) => Verdict::Uncertain,
    };
    Outlook { verdict, band }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{OpenTraffic, Outlook, Plan, Verdict, outlook};
    use crate::domain::{Day, HOUR_MS, Timestamp, WEEK_HOURS};
    use crate::traffic::{Pacing, ProgrammeWindow};

    fn day(text: &str) -> Day {
        Day::parse(text).expect("a date")
    }

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-6 * expected.abs().max(1.0)
    }

    fn evenings() -> ProgrammeWindow {
        let mut weekdays = [false; 7];
        weekdays[5..].fill(true);
        ProgrammeWindow {
            first: Some(day("2022-03-21")),
            last: Some(day("2022-04-03")),
            weekdays: Some(weekdays),
            hours: Some((19, 24)),
        }
    }

    #[test]
    fn open_hours_are_counted_within_the_window_only() {
        let traffic = OpenTraffic::new(&evenings(), None);
        let monday = day("2022-03-21").start();
        let at = |days: i64, hours: i64| monday.plus_ms((24 * days + hours) * HOUR_MS);
        for (from, to, expected) in [
            (at(0, 0), at(7, 0), 10.0),
            (at(0, 0), at(14, 0), 20.0),
            (at(-70, 0), at(70, 0), 20.0),
            (at(5, 20), at(5, 22), 2.0),
            (at(5, 20).plus_ms(HOUR_MS / 2), at(6, 20), 4.5),
            (at(6, 0), at(5, 0), 0.0),
        ] {
            assert!(near(traffic.between(from, to), expected), "{from:?} {to:?}: {}", traffic.between(from, to));
        }
        // An hour on Saturday evening with three times the traffic.
        let mut profile = [1.0; WEEK_HOURS];
        profile[5 * 24 + 20] = 3.0;
        let traffic = OpenTraffic::new(&evenings(), Some(&profile));
        assert!(near(traffic.between(at(0, 0), at(14, 0)), 24.0));
        assert!(near(traffic.between(at(5, 20), at(5, 21)), 3.0));
    }

    #[test]
    fn plans_spread_as_their_pacing_says() {
        let curve = Pacing::Curve(vec![(0.0, 0.0), (0.5, 0.2), (1.0, 1.0)]);
        for (pacing, elapsed, expected) in [
            (&Pacing::Even, 0.25, Some(0.25)),
            (&Pacing::FrontLoaded, 0.5, Some(0.75)),
            (&Pacing::FrontLoaded, 1.0, Some(1.0)),
            (&Pacing::AsFastAsPossible, 0.5, None),
            (&curve, 0.25, Some(0.1)),
            (&curve, 0.75, Some(0.6)),
            (&curve, 2.0, Some(1.0)),
        ] {
            assert_eq!(
                pacing.planned(elapsed).map(|share| near(share, expected.unwrap_or(-1.0))),
                expected.map(|_| true)
            );
        }
    }

    #[test]
    fn pace_and_finish_follow_what_was_delivered() {
        let traffic = OpenTraffic::new(&ProgrammeWindow::default(), None);
        let (begins, ends) = (day("2022-03-01").start(), day("2022-03-11").start());
        let plan = |pacing| Plan { wanted: 1_000, pacing, begins, ends, traffic: &traffic };
        let noon = day("2022-03-06").start();
        let even = plan(&Pacing::Even).progress(250, noon);
        assert_eq!((even.target, even.pace, even.met_at), (Some(500.0), Some(0.5), None));
        assert!(near(even.at_end.expect("known"), 500.0));
        let fast = plan(&Pacing::Even).progress(625, noon);
        assert_eq!(fast.pace, Some(1.25));
        let met = fast.met_at.expect("before the end").0 - day("2022-03-09").start().0;
        assert!(met.abs() <= 1_000, "eight of ten days: {met} ms off");
        let front = plan(&Pacing::FrontLoaded).progress(750, noon);
        assert!(front.pace.is_some_and(|pace| near(pace, 1.0)));
        assert!(front.at_end.is_some_and(|end| near(end, 1_000.0)), "on plan at the half is on plan at the end");
        let rush = plan(&Pacing::AsFastAsPossible).progress(800, noon);
        assert_eq!((rush.target, rush.pace), (None, None));
        assert!(rush.met_at.is_some_and(|at| at < ends));
        let early = plan(&Pacing::Even).progress(3, begins.plus_ms(HOUR_MS - 1));
        assert_eq!((early.at_end, early.met_at), (None, None), "too early to say");
        assert_eq!(plan(&Pacing::Even).progress(1_000, noon).met_at, None, "it is met already");
    }

    #[test]
    fn a_band_is_as_wide_as_the_forecast_errs() {
        let of = |wanted, delivered, at_end, error| outlook(wanted, delivered, at_end, error).verdict;
        assert_eq!(of(100, 100, None, None), Verdict::Met);
        assert_eq!(of(100, 50, None, None), Verdict::Unknown);
        assert_eq!(of(100, 50, Some(120.0), Some(0.1)), Verdict::Likely, "50 + 70 · 0.84");
        assert_eq!(of(100, 50, Some(105.0), Some(0.1)), Verdict::Uncertain);
        assert_eq!(of(100, 50, Some(80.0), Some(0.1)), Verdict::Unlikely, "50 + 30 · 1.16");
        assert_eq!(of(100, 50, Some(105.0), Some(0.0)), Verdict::Likely);
        let Outlook { band, .. } = outlook(100, 50, Some(150.0), None);
        let (lower, expected, upper) = band.expect("known");
        assert!(near(lower, 69.69) && near(expected, 150.0) && near(upper, 230.31), "{lower} {expected} {upper}");
    }

    proptest! {
        #[test]
        fn traffic_adds_up(a in 0..2_000_i64, b in 0..2_000_i64, c in 0..2_000_i64, minutes in 0..60_i64) {
            let traffic = OpenTraffic::new(&evenings(), None);
            let base = day("2022-03-01").start();
            let mut cuts = [a, b, c];
            cuts.sort_unstable();
            let at = cuts.map(|hours| base.plus_ms(hours * HOUR_MS + minutes * 60_000));
            let parts = traffic.between(at[0], at[1]) + traffic.between(at[1], at[2]);
            prop_assert!((parts - traffic.between(at[0], at[2])).abs() < 1e-6);
        }

        #[test]
        fn a_plan_rises_from_nothing_to_everything(cut in 0..240_i64, delivered in 0..3_000_u64) {
            let traffic = OpenTraffic::new(&ProgrammeWindow::default(), None);
            let (begins, ends) = (day("2022-03-01").start(), day("2022-03-11").start());
            for pacing in [Pacing::Even, Pacing::FrontLoaded] {
                let plan = Plan { wanted: 1_000, pacing: &pacing, begins, ends, traffic: &traffic };
                let now = begins.plus_ms(cut * HOUR_MS);
                let (here, next) = (plan.progress(delivered, now), plan.progress(delivered, now.plus_ms(HOUR_MS)));
                prop_assert!(here.target <= next.target);
                prop_assert_eq!(plan.progress(delivered, Timestamp(ends.0)).target, Some(1_000.0));
                if let Some(at) = here.met_at {
                    prop_assert!(at >= now && at <= ends);
                    prop_assert!(here.at_end.is_some_and(|end| end >= 999.9));
                }
            }
        }
    }
}
