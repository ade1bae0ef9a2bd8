//! How much of an account a node should hold: about two seconds of what is asked of it.

/// A lease covers so much of the recent demand, in seconds.
const LEASE_S: u64 = 2;
/// What was not asked for so long is given back, in milliseconds of wall time.
pub(super) const IDLE_MS: u32 = 30_000;
/// But for a remainder, which is given back after so long: who comes less than once in half a minute would otherwise find
/// nothing, each time again.
pub(super) const KEPT_MS: u32 = 6 * 3_600_000;
/// How fast the measured demand rises and falls, in milliseconds: a lease that is too small costs exposures, one that
/// is too large only keeps them from other nodes for some seconds.
const RISE_MS: u64 = 500;
const FALL_MS: u64 = 4_000;
/// What the first demand of an account is taken to have come within, in milliseconds.
const FIRST_MS: u32 = 100;
/// No interval counts as longer than this, in milliseconds.
const LONGEST_MS: u64 = 60_000;

/// Sizes of the leases of one sort of account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Exposures that a lease has at least.
    pub floor: u64,
    /// Exposures that a lease has at most.
    pub most: u64,
    /// Exposures that an idle lease keeps for who comes now and then. Few: a crash leaves them undecided for days.
    pub keep: u64,
    /// After a grant that fell short it asks again no sooner, in milliseconds.
    pub retry_ms: u32,
}

/// Leases of budgets: there are few, and every request charges them.
pub(super) const BUDGET: Sizes = Sizes { floor: 32, most: 1 << 24, keep: 4, retry_ms: 1_000 };
/// Leases of accounts of one member: there are many, and each is charged now and then.
pub(super) const MEMBER: Sizes = Sizes { floor: 4, most: 1 << 16, keep: 4, retry_ms: 5_000 };

/// What to ask for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Nothing.
    Nothing,
    /// So many exposures more.
    Want(u64),
    /// To give so many back.
    Return(u64),
}

/// What a look at an account finds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// Exposures asked of it since the last look, those it had not included.
    pub demand: u64,
    /// Whether somebody was interested in it, without asking.
    pub is_seen: bool,
    /// Exposures it has left.
    pub available: u64,
    /// How long it must have been left alone to be given back but for a remainder, in milliseconds.
    pub idle_ms: u32,
    /// How long to be given back as a whole.
    pub kept_ms: u32,
}

/// The recent demand on an account, and what was asked for it. Times are milliseconds of a monotonic clock that wrap
/// around after 49 days; every account is looked at within seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// Thousandths of an exposure a second.
    rate: u32,
    visited: u32,
    used: u32,
    /// When a grant last fell short.
    refused: u32,
    is_known: bool,
    is_pending: bool,
    is_short: bool,
}

impl Pace {
    /// Of an account that follows another, whose demand it will have.
    pub(super) fn after(other: &Self) -> Self {
        Self { rate: other.rate, ..Self::default() }
    }

    /// Looks at the account, and says what to ask for it: then it waits for what comes of that.
    pub(super) fn visit(&mut self, now: u32, found: Found, sizes: &Sizes) -> Ask {
        if !self.is_known {
            (self.is_known, self.visited, self.used) = (true, now.wrapping_sub(FIRST_MS), now);
        }
        self.measure(now, found.demand);
        if found.demand > 0 || found.is_seen {
            self.used = now;
        }
        if self.is_pending {
            return Ask::Nothing;
        }
        let ask = self.ask(now, found, sizes);
        self.is_pending = ask != Ask::Nothing;
        ask
    }

    fn measure(&mut self, now: u32, demand: u64) {
        let took = u64::from(now.wrapping_sub(self.visited)).min(LONGEST_MS);
        self.visited = now;
        let rate = u64::from(self.rate);
        let demand = demand.saturating_mul(1_000_000);
        let inertia = if demand > rate.saturating_mul(took) { RISE_MS } else { FALL_MS };
        let rate = rate.saturating_mul(inertia).saturating_add(demand) / took.saturating_add(inertia);
        self.rate = u32::try_from(rate).unwrap_or(u32::MAX);
    }

    fn ask(&mut self, now: u32, found: Found, sizes: &Sizes) -> Ask {
        let available = found.available;
        if self.is_idle(now, found.idle_ms) {
            // It may be more than was left by now: the next who wants it finds out.
            self.is_short = false;
            let keep = if self.is_idle(now, found.kept_ms) { 0 } else { sizes.keep };
            return if available > keep { Ask::Return(available.saturating_sub(keep)) } else { Ask::Nothing };
        }
        let target = self.target(sizes);
        if available > target.saturating_mul(4) {
            return Ask::Return(available.saturating_sub(target.saturating_mul(2)));
        }
        let waits = self.is_short && now.wrapping_sub(self.refused) < sizes.retry_ms;
        if waits || !is_low(available, target) { Ask::Nothing } else { Ask::Want(target.saturating_sub(available)) }
    }

    /// Exposures that the account should have left.
    pub(super) fn target(&self, sizes: &Sizes) -> u64 {
        (u64::from(self.rate).saturating_mul(LEASE_S) / 1_000).clamp(sizes.floor, sizes.most)
    }

    /// Whether nobody wanted the account for so long.
    pub(super) fn is_idle(&self, now: u32, idle_ms: u32) -> bool {
        self.is_known && now.wrapping_sub(self.used) >= idle_ms
    }

    /// Whether an answer is awaited.
    pub(super) fn is_pending(&self) -> bool {
        self.is_pending
    }

    /// Whether the last grant fell short of what was wanted.
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }

    /// Notes what came of the last ask.
    pub(super) fn answered(&mut self, now: u32, wanted: u64, granted: u64) {
        self.is_pending = false;
        if wanted > 0 {
            self.is_short = granted < wanted;
            self.refused = now;
        }
    }

    /// Notes that the last ask never got through: it may be asked again.
    pub(super) fn unanswered(&mut self) {
        self.is_pending = false;
    }
}

/// Whether so little is left that it is time to ask for more.
pub(super) fn is_low(available: u64, target: u64) -> bool {
    available.saturating_mul(4) < target.saturating_mul(3)
}

#[cfg(test)]
mod tests {
    use super::{Ask, BUDGET, Found, IDLE_MS, KEPT_MS, MEMBER, Pace};

    fn found(demand: u64, available: u64) -> Found {
        Found { demand, is_seen: false, available, idle_ms: IDLE_MS, kept_ms: KEPT_MS }
    }

    #[test]
    fn a_steady_demand_makes_a_lease_of_two_seconds() {
        let mut pace = Pace::default();
        for turn in 0..100 {
            pace.visit(turn * 100, found(50, 0), &BUDGET);
            pace.unanswered();
        }
        assert!((980..=1_020).contains(&pace.target(&BUDGET)), "{}", pace.target(&BUDGET));
        assert!(pace.target(&MEMBER) < pace.target(&BUDGET) + 1);
    }

    #[test]
    fn the_first_demand_is_met_with_more_than_it_was() {
        let mut pace = Pace::default();
        let Ask::Want(wanted) = pace.visit(7, found(100, 0), &BUDGET) else { panic!("it wants nothing") };
        assert!(wanted >= 200, "{wanted}");
        assert_eq!(pace.visit(8, found(1, 0), &BUDGET), Ask::Nothing, "an answer is awaited");
        assert_eq!(Pace::default().visit(7, found(1, 0), &MEMBER), Ask::Want(4));
    }

    #[test]
    fn a_grant_that_falls_short_is_not_asked_for_again_at_once() {
        let mut pace = Pace::default();
        assert!(matches!(pace.visit(u32::MAX - 50, found(1, 0), &BUDGET), Ask::Want(_)));
        pace.answered(u32::MAX - 40, 32, 0);
        assert!(pace.is_short());
        assert_eq!(pace.visit(200, found(1, 0), &BUDGET), Ask::Nothing);
        assert!(matches!(pace.visit(1_000, found(1, 0), &BUDGET), Ask::Want(_)), "a second has passed, over zero");
        pace.answered(1_001, 32, 32);
        assert!(!pace.is_short());
    }

    #[test]
    fn what_is_idle_or_far_too_much_is_given_back() {
        let mut pace = Pace::default();
        assert_eq!(pace.visit(0, found(1, 32), &BUDGET), Ask::Nothing);
        assert_eq!(pace.visit(100, found(0, 1_000), &BUDGET), Ask::Return(936));
        pace.unanswered();
        assert_eq!(pace.visit(IDLE_MS, found(0, 32), &BUDGET), Ask::Return(28));
        pace.unanswered();
        let seen = Found { is_seen: true, ..found(0, 32) };
        assert_eq!(pace.visit(IDLE_MS, seen, &BUDGET), Ask::Nothing);
        assert_eq!(pace.visit(IDLE_MS + KEPT_MS - 1, found(0, 4), &BUDGET), Ask::Nothing, "the remainder stays");
        assert_eq!(pace.visit(IDLE_MS + KEPT_MS, found(0, 4), &BUDGET), Ask::Return(4));
    }
}
