//! Accounts: what of a budget is delivered, leased to nodes, and kept for reports that a crash left undecided.
//!
//! Law: at every grant of a lease, delivered + held + granted stays within the limit. Delivery is a fact and is recorded
//! whatever the limit says.

use crate::domain::{ReservationId, Timestamp};

/// Exposures of an account that a session of a node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The session.
    pub session: u32,
    /// None while the session is the current one of its node; then, when what is left of it is released.
    pub until: Option<Timestamp>,
    /// Exposures, more than 0.
    pub exposures: u64,
}

/// One account. Exposures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Delivered, as reported.
    pub delivered: u64,
    /// Of these, for reservations that were reported after their deadline.
    pub late: u64,
    /// What sessions hold, in the order in which they began to; usually one.
    pub holds: Vec<Hold>,
}

impl Account {
    /// Held by current sessions.
    #[must_use]
    pub fn leased(&self) -> u64 {
        sum(self.holds.iter().filter(|hold| hold.until.is_none()))
    }

    /// Kept for reports on sessions that are over.
    #[must_use]
    pub fn orphaned(&self) -> u64 {
        sum(self.holds.iter().filter(|hold| hold.until.is_some()))
    }

    /// Delivered or held.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.delivered.saturating_add(sum(self.holds.iter()))
    }

    /// What can be granted under a limit; all there is without one.
    #[must_use]
    pub fn room(&self, limit: Option<u64>) -> u64 {
        limit.unwrap_or(u64::MAX).saturating_sub(self.taken())
    }

    /// What a session holds.
    #[must_use]
    pub fn held_by(&self, session: u32) -> u64 {
        sum(self.holds.iter().filter(|hold| hold.session == session))
    }

    /// Leases up to `wanted` to a session; answers how much.
    pub fn lease(&mut self, session: u32, wanted: u64, limit: Option<u64>) -> u64 {
        let granted = wanted.min(self.room(limit));
        if granted == 0 {
            return 0;
        }
        match self.holds.iter_mut().find(|hold| hold.session == session) {
            Some(hold) => hold.exposures = hold.exposures.saturating_add(granted),
            None => self.holds.push(Hold { session, until: None, exposures: granted }),
        }
        granted
    }

    /// Takes back what a session holds and does not need; answers how much of it there was.
    pub fn give_back(&mut self, session: u32, exposures: u64) -> u64 {
        let Some(hold) = self.holds.iter_mut().find(|hold| hold.session == session) else { return 0 };
        let returned = exposures.min(hold.exposures);
        hold.exposures = hold.exposures.saturating_sub(returned);
        self.holds.retain(|hold| hold.exposures > 0);
        returned
    }

    /// Takes exposures that are delivered from what the session of their reservation holds. Late ones are taken from what
    /// a crash left only: a node that is alive has made its own available again at the deadline.
    pub fn settle(&mut self, reservation: ReservationId, exposures: u64, is_late: bool) {
        let session = reservation.session();
        let is_live = self.holds.iter().any(|hold| hold.session == session && hold.until.is_none());
        if !(is_late && is_live) {
            self.give_back(session, exposures);
        }
    }

    /// Counts delivered exposures.
    pub fn deliver(&mut self, exposures: u64, late: u64) {
        self.delivered = self.delivered.saturating_add(exposures);
        self.late = self.late.saturating_add(late);
    }

    /// Keeps what sessions that are over hold until an instant; answers whether there was any.
    pub fn orphan(&mut self, is_over: impl Fn(u32) -> bool, until: Timestamp) -> bool {
        let mut orphaned = false;
        for hold in self.holds.iter_mut().filter(|hold| hold.until.is_none() && is_over(hold.session)) {
            hold.until = Some(until);
            orphaned = true;
        }
        orphaned
    }

    /// Releases what was kept until now; answers how much.
    pub fn release(&mut self, now: Timestamp) -> u64 {
        let is_due = |hold: &Hold| hold.until.is_some_and(|until| until <= now);
        let released = sum(self.holds.iter().filter(|hold| is_due(hold)));
        self.holds.retain(|hold| !is_due(hold));
        released
    }
}

fn sum<'a>(holds: impl Iterator<Item = &'a Hold>) -> u64 {
    holds.fold(0, |sum, hold| sum.saturating_add(hold.exposures))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::{Account, Hold};
    use crate::domain::{ReservationId, Timestamp};

    #[derive(Clone, Debug)]
    enum Step {
        Lease { session: u32, wanted: u64 },
        GiveBack { session: u32, exposures: u64 },
        Deliver { exposures: u64, late: u64 },
        Report { session: u32, is_late: bool },
        Orphan { before: u32, until: i64 },
        Release { now: i64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        let session = || 1..5_u32;
        prop_oneof![
            (session(), 0..200_u64).prop_map(|(session, wanted)| Step::Lease { session, wanted }),
            (session(), 0..100_u64).prop_map(|(session, exposures)| Step::GiveBack { session, exposures }),
            (0..30_u64, 0..10_u64).prop_map(|(exposures, late)| Step::Deliver { exposures, late }),
            (session(), any::<bool>()).prop_map(|(session, is_late)| Step::Report { session, is_late }),
            (session(), 0..50_i64).prop_map(|(before, until)| Step::Orphan { before, until }),
            (0..50_i64).prop_map(|now| Step::Release { now }),
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_lease_goes_beyond_the_limit(
            limit in prop_oneof![Just(None), (0..500_u64).prop_map(Some)],
            steps in vec(step(), 0..80),
        ) {
            let mut account = Account::default();
            let (mut granted, mut returned, mut settled, mut released, mut delivered) = (0, 0, 0, 0, 0);
            for step in steps {
                match step {
                    Step::Lease { session, wanted } => {
                        let room = account.room(limit);
                        let grant = account.lease(session, wanted, limit);
                        prop_assert_eq!(grant, wanted.min(room));
                        granted += grant;
                        if grant > 0 && let Some(limit) = limit {
                            prop_assert!(account.taken() <= limit);
                        }
                    }
                    Step::GiveBack { session, exposures } => returned += account.give_back(session, exposures),
                    Step::Deliver { exposures, late } => {
                        account.deliver(exposures, late.min(exposures));
                        delivered += exposures;
                    }
                    Step::Report { session, is_late } => {
                        let held = account.held_by(session);
                        account.settle(ReservationId::new(session, 1, 0), 1, is_late);
                        account.deliver(1, 0);
                        settled += held - account.held_by(session);
                        delivered += 1;
                    }
                    Step::Orphan { before, until } => {
                        account.orphan(|session| session < before, Timestamp(until));
                    }
                    Step::Release { now } => released += account.release(Timestamp(now)),
                }
                prop_assert_eq!(account.leased() + account.orphaned() + returned + settled + released, granted);
                prop_assert_eq!(account.delivered, delivered);
                prop_assert!(account.late <= account.delivered);
                prop_assert!(account.holds.iter().all(|hold| hold.exposures > 0));
            }
        }
    }

    #[test]
    fn what_is_orphaned_is_released_at_its_instant() {
        let mut account = Account::default();
        assert_eq!(account.lease(1, 70, Some(100)), 70);
        assert!(account.orphan(|session| session < 2, Timestamp(1_000)));
        assert!(!account.orphan(|session| session < 3, Timestamp(9_000)), "once");
        assert_eq!(account.lease(2, 70, Some(100)), 30);
        assert_eq!(account.release(Timestamp(999)), 0);
        account.settle(ReservationId::new(1, 0, 0), 1, true);
        account.settle(ReservationId::new(2, 0, 0), 1, true);
        account.deliver(1, 1);
        assert_eq!(account.release(Timestamp(1_000)), 69);
        assert_eq!((account.delivered, account.late, account.leased(), account.orphaned()), (1, 1, 30, 0));
        assert_eq!(account.holds, [Hold { session: 2, until: None, exposures: 30 }]);
        account.deliver(500, 0);
        assert_eq!(account.room(Some(100)), 0, "beyond the limit");
    }
}
