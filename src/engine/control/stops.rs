//! Which accounts have nothing left, and which may have nothing left once the exposures on their way are reported: the
//! same rule for caps and shares of members and for the part outside the long tail as for budgets.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::RATE_MS;
use super::terms::{AccountUse, account_use};
use crate::domain::{AccountKey, MerchantId, Scope, Timestamp, count_to_f64};
use crate::state::{NodeAccounts, State};
use crate::traffic::control::IN_FLIGHT_MARGIN;
use crate::traffic::{Limit, Programme, account_at};

/// Accounts whose rate is followed at a time; of more, nothing is taken to be on its way.
const MAX_FOLLOWED: usize = 100_000;
/// Without a look for so long an account is followed no more, in milliseconds: longer than it takes to look at all.
const FOLLOWED_MS: i64 = 3_600_000;

/// What an account came to when it was last looked at.
#[derive(Clone, Copy, Debug)]
struct Followed {
    at: Timestamp,
    delivered: u64,
    /// Delivered a second.
    rate: f64,
}

/// Whether something is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Delivered and reserved reach the limit.
    pub(super) is_spent: bool,
    /// With what is on its way, they may.
    pub(super) may_be_spent: bool,
}

impl Left {
    /// What is left under a limit, of which so much is spent a second and reported `lag_ms` later.
    pub(super) fn of(used: AccountUse, limit: u64, rate: f64, lag_ms: u64) -> Self {
        let on_its_way = IN_FLIGHT_MARGIN * rate * count_to_f64(lag_ms) / 1_000.0;
        Self {
            is_spent: used.spent >= limit,
            may_be_spent: count_to_f64(used.taken.max(used.spent)) + on_its_way >= count_to_f64(limit),
        }
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self { is_spent: self.is_spent || other.is_spent, may_be_spent: self.may_be_spent || other.may_be_spent }
    }
}

/// How fast accounts were spent of late.
#[derive(Default)]
pub(super) struct Stops {
    followed: HashMap<AccountKey, Followed, FixedState>,
    /// Time between an answer and the report of its exposures, in milliseconds.
    lag_ms: u64,
}

impl Stops {
    pub(super) fn set_lag(&mut self, lag_ms: u64) {
        self.lag_ms = lag_ms;
    }

    /// What is left of a member's cap and share in a programme.
    pub(super) fn of_member(
        &mut self,
        (state, node): (&State, &NodeAccounts),
        programme: &Programme,
        merchant: MerchantId,
        now: Timestamp,
    ) -> Left {
        let cap = programme.cap.map(|_| Scope::Cap(merchant));
        let scopes = cap.into_iter().chain([Scope::Member(merchant)]);
        scopes.fold(Left::default(), |left, scope| left.or(self.of((state, node), programme, scope, now)))
    }

    /// What is left of the account of a scope.
    pub(super) fn of(
        &mut self,
        (state, node): (&State, &NodeAccounts),
        programme: &Programme,
        scope: Scope,
        now: Timestamp,
    ) -> Left {
        let key = account_at(programme, scope, now);
        match state.limit_of(&key) {
            Limit::AtMost(limit) => self.left(key, account_use(state, node, &key), limit, now),
            Limit::Unlimited | Limit::NoAccount => Left::default(),
        }
    }

    fn left(&mut self, key: AccountKey, used: AccountUse, limit: u64, now: Timestamp) -> Left {
        Left::of(used, limit, self.rate(key, used.delivered, now), self.lag_ms)
    }

    fn rate(&mut self, key: AccountKey, delivered: u64, now: Timestamp) -> f64 {
        // Where reports come at once nothing is on its way, and of what was never shown nothing is.
        if self.lag_ms == 0 || delivered == 0 {
            return 0.0;
        }
        if self.followed.len() >= MAX_FOLLOWED && !self.followed.contains_key(&key) {
            self.followed.retain(|_, followed| now.0.saturating_sub(followed.at.0) < FOLLOWED_MS);
            if self.followed.len() >= MAX_FOLLOWED {
                return 0.0;
            }
        }
        let followed = self.followed.entry(key).or_insert(Followed { at: now, delivered, rate: 0.0 });
        let passed = count_to_f64(u64::try_from(now.0.saturating_sub(followed.at.0)).unwrap_or(0));
        if passed > 0.0 {
            let came = count_to_f64(delivered.saturating_sub(followed.delivered));
            followed.rate += (passed / RATE_MS).min(1.0) * (came * 1_000.0 / passed - followed.rate);
            (followed.at, followed.delivered) = (now, delivered);
        }
        followed.rate
    }
}

#[cfg(test)]
mod tests {
    use super::{AccountKey, AccountUse, Left, MerchantId, Scope, Stops, Timestamp};
    use crate::domain::Day;

    #[test]
    fn what_is_on_its_way_stops_before_the_limit() {
        let mut stops = Stops::default();
        stops.set_lag(4_000);
        let key = AccountKey { bit: 3, scope: Scope::Cap(MerchantId(9)), period: Day(0) };
        let used = |delivered: u64, taken: u64| AccountUse { spent: delivered, taken, delivered };
        let at = |seconds: i64| Timestamp(1_000_000 + seconds * 1_000);
        let open = Left::default();
        assert_eq!(stops.left(key, used(10, 10), 100, at(0)), open);
        // 10 a second, reported 4 seconds later: 60 are kept in hand.
        assert_eq!(stops.left(key, used(30, 30), 100, at(2)), open);
        let held = Left { is_spent: false, may_be_spent: true };
        assert_eq!(stops.left(key, used(50, 50), 100, at(4)), held);
        // Nothing comes any more: what is left may be had.
        assert_eq!(stops.left(key, used(50, 50), 100, at(20)), open);
        assert_eq!(stops.left(key, used(50, 100), 100, at(22)), held, "leased by another node");
        assert_eq!(stops.left(key, used(100, 100), 100, at(60)), Left { is_spent: true, may_be_spent: true });
    }
}
