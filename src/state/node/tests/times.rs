//! Leases where time is unusual: a clock behind state time, accounts that are charged now and then.

use super::{START, budget, cap, holding, renew};
use crate::domain::{BUCKET_MS, RESERVATION_MS, ReservationId};

#[test]
fn a_clock_behind_state_time_spends_nothing_twice() {
    for account in [budget(), cap(5)] {
        let node = holding(account, 4);
        let state = START.plus_ms(3_600_000);
        node.expire(state);
        // The clock is an hour behind: what it names is over, and would be free again at the next look.
        let over = ReservationId::bucket_of(START);
        assert!(!node.charge(&[account], over), "{account:?}");
        assert_eq!((node.balance(&account).available, node.reservations().open), (4, 0));
        assert_eq!(node.instant(START), state);
        assert_eq!(node.instant(state.plus_ms(1)), state.plus_ms(1));
        let bucket = ReservationId::bucket_of(node.instant(START));
        assert!((0..4).all(|_| node.charge(&[account], bucket)) && !node.charge(&[account], bucket));
        node.expire(state);
        assert!(!node.charge(&[account], bucket), "it is reserved until state time moves on");
        node.expire(state.plus_ms(RESERVATION_MS + 2 * BUCKET_MS));
        assert_eq!(node.balance(&account).available, 4);
    }
}

#[test]
fn who_comes_every_ten_minutes_finds_a_lease() {
    const APART_MS: i64 = 600_000;
    for account in [budget(), cap(5)] {
        let node = holding(account, 4);
        let mut missed = 0;
        for appearance in 1..20 {
            let now = appearance * APART_MS;
            let at = START.plus_ms(now);
            node.expire(at);
            missed += u32::from(!node.charge(&[account], ReservationId::bucket_of(at)));
            // The manager comes round twice in the half minute after which a lease is idle, and many times later.
            renew(&node, now, 150);
            renew(&node, now + 40_000, 150);
            assert!((1..=4).contains(&node.balance(&account).available), "{account:?} {:?}", node.balance(&account));
        }
        assert_eq!(missed, 0, "{account:?}");
    }
}
