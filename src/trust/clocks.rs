//! When predicates change by themselves: because a count of days passes a constant, or an enrolment begins.

use super::columns::{ListColumn, NumberColumn};
use super::predicate::{Predicate, Test, day_count};
use super::view::Seen;
use crate::domain::{Day, Timestamp};

/// The instants of many predicates, each looked for once. What [`Predicate::next_change`] is to one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clocks {
    /// Counts of days, and the days on which some comparison with them turns, ascending.
    counts: Vec<(NumberColumn, Vec<i32>)>,
    /// Lists that enrolments are looked for on.
    lists: Vec<String>,
}

impl Clocks {
    /// The clocks of these predicates.
    pub fn new<'a>(predicates: impl IntoIterator<Item = &'a Predicate>) -> Self {
        let mut clocks = Self::default();
        for condition in predicates.into_iter().flat_map(|predicate| &predicate.conditions) {
            match &condition.test {
                Test::Number(column, _, constant) if column.counts_days() => {
                    if let Some(days) = day_count(*constant) {
                        clocks.count(column, days);
                    }
                }
                Test::Member(ListColumn::Enrolments, list) if !clocks.lists.contains(list) => {
                    clocks.lists.push(list.clone());
                }
                Test::Number(..) | Test::Member(..) | Test::Text(..) | Test::Flag(_) | Test::Ratio(..) => {}
            }
        }
        for (_, days) in &mut clocks.counts {
            days.sort_unstable();
            days.dedup();
        }
        clocks
    }

    fn count(&mut self, column: &NumberColumn, days: i32) {
        let turns = [days, days.saturating_add(1)];
        match self.counts.iter_mut().find(|(known, _)| known == column) {
            Some((_, list)) => list.extend(turns),
            None => self.counts.push((column.clone(), turns.to_vec())),
        }
    }

    /// The next instant after state time at which one of the predicates can change by itself.
    #[must_use]
    pub fn next_change(&self, seen: &Seen) -> Option<Timestamp> {
        let today = seen.now().day();
        let counted = self.counts.iter().filter_map(|(column, turns)| {
            let first = column.first_day(seen)?;
            turns.iter().map(|days| first.plus(*days)).find(|day| *day > today)
        });
        let merchant = seen.merchant.map(|view| view.merchant).filter(|merchant| !merchant.enrolments.is_empty());
        let begun = merchant.into_iter().flat_map(|merchant| {
            self.lists.iter().filter_map(|list| merchant.enrolled(list)).filter(|day| *day > today)
        });
        counted.chain(begun).min().map(Day::start)
    }
}
