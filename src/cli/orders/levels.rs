//! Distinct buyers in the N days that end with a day: levels, since days of distinct people do not add up.
//!
//! A paid order of day p counts from day p to day p + N − 1. A level is emitted on every day on which it changes,
//! also when it falls, so that the latest level at or before any day is exact.

use std::collections::BTreeMap;

/// A window and the names of its levels.
pub(super) struct Level {
    /// N.
    pub(super) days: i32,
    /// Counter of buyers with at least one paid order.
    pub(super) buyers: &'static str,
    /// Counter of buyers with at least two.
    pub(super) repeat_buyers: &'static str,
}

/// The levels sent.
pub(super) const LEVELS: [Level; 3] = [
    Level { days: 14, buyers: "buyers_14d", repeat_buyers: "repeat_buyers_14d" },
    Level { days: 30, buyers: "buyers_30d", repeat_buyers: "repeat_buyers_30d" },
    Level { days: 90, buyers: "buyers_90d", repeat_buyers: "repeat_buyers_90d" },
];

/// New values of the levels that change on a day.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) buyers: Option<u64>,
    pub(super) repeat_buyers: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Enters,
    Leaves,
}

/// The days before `until` on which a level changes. `paid_days` holds the paid days of each buyer, one per order.
pub(super) fn changes<'a>(paid_days: impl Iterator<Item = &'a Vec<i32>>, days: i32, until: i32) -> Vec<(i32, Change)> {
    let mut buyers: Vec<u64> = Vec::new();
    let mut steps: BTreeMap<i32, Vec<(usize, Step)>> = BTreeMap::new();
    for (buyer, paid) in paid_days.enumerate() {
        buyers.push(0);
        for &day in paid {
            steps.entry(day).or_default().push((buyer, Step::Enters));
            steps.entry(day.saturating_add(days)).or_default().push((buyer, Step::Leaves));
        }
    }
    let (mut once, mut twice) = (0_u64, 0_u64);
    let mut sent = None;
    let mut changes = Vec::new();
    for (day, steps) in steps.range(..until) {
        for (buyer, step) in steps {
            let Some(orders) = buyers.get_mut(*buyer) else { continue };
            let before = *orders;
            *orders = if *step == Step::Enters { before + 1 } else { before.saturating_sub(1) };
            once = once + u64::from(*orders >= 1) - u64::from(before >= 1);
            twice = twice + u64::from(*orders >= 2) - u64::from(before >= 2);
        }
        let (old_once, old_twice) = sent.map_or((None, None), |(once, twice)| (Some(once), Some(twice)));
        let change = Change {
            buyers: (old_once != Some(once)).then_some(once),
            repeat_buyers: (old_twice != Some(twice)).then_some(twice),
        };
        if change != Change::default() {
            changes.push((*day, change));
        }
        sent = Some((once, twice));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::{Change, changes};

    fn change(buyers: impl Into<Option<u64>>, repeat_buyers: impl Into<Option<u64>>) -> Change {
        Change { buyers: buyers.into(), repeat_buyers: repeat_buyers.into() }
    }

    #[test]
    fn a_level_rises_and_falls_and_is_exact_to_the_day() {
        // Ann buys on days 100 and 105, Bo on day 100: with a window of 14 days Bo and Ann's first leave on 114.
        let days = [vec![100, 105], vec![100]];
        let expected = [(100, change(2, 0)), (105, change(None, 1)), (114, change(1, 0)), (119, change(0, None))];
        assert_eq!(changes(days.iter(), 14, 1_000), expected);
        assert_eq!(changes(days.iter(), 14, 114), expected[..2], "nothing of the as-of day itself");
    }

    #[test]
    fn one_leaving_as_another_enters_is_no_change() {
        assert_eq!(changes([vec![100], vec![114]].iter(), 14, 120), [(100, change(1, 0))]);
    }

    #[test]
    fn two_orders_of_one_day_make_a_repeat_buyer() {
        assert_eq!(changes([vec![7, 7]].iter(), 14, 8), [(7, change(1, 1))]);
    }

    #[test]
    fn levels_equal_a_count_by_hand_on_every_day() {
        let days = [vec![3, 9, 9, 40], vec![5, 18], vec![20], vec![22, 35, 37]];
        let changes = changes(days.iter(), 14, 60);
        for day in 0..60 {
            let by_hand = |least: usize| {
                days.iter()
                    .filter(|paid| paid.iter().filter(|p| (day - 13..=day).contains(*p)).count() >= least)
                    .count() as u64
            };
            let latest = |pick: fn(&Change) -> Option<u64>| {
                changes.iter().filter(|(changed, _)| *changed <= day).filter_map(|(_, change)| pick(change)).next_back()
            };
            assert_eq!(latest(|c| c.buyers).unwrap_or(0), by_hand(1), "buyers on day {day}");
            assert_eq!(latest(|c| c.repeat_buyers).unwrap_or(0), by_hand(2), "repeat buyers on day {day}");
        }
    }
}
