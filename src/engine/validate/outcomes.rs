//! What happened after each day: one sweep over the days in which outcomes can fall.

use std::collections::HashMap;

use super::{Members, ValidationQuery};
use crate::domain::{Day, Subject, Wanted};
use crate::policy::Policy;
use crate::store::{FactsSnapshot, StoreError};
use crate::trust::DayRange;
use crate::trust::validation::{OutcomeCounts, VIOLATIONS};

/// What is known of merchants after a day, by position of the merchant.
pub(crate) type Counts = HashMap<u32, OutcomeCounts, foldhash::fast::FixedState>;

/// Who did badly after one day, for one outcome.
pub(crate) struct Followed {
    /// Position of the outcome in the policy; none for violations.
    pub(crate) outcome: Option<usize>,
    /// By day: merchants compared, in order, with whether they were worse than the average, and their share.
    pub(crate) days: Vec<Vec<(u32, bool, f64)>>,
    /// By day: the average share.
    pub(crate) averages: Vec<f64>,
}

/// Reads what came after each day. Violations compare every merchant; those without facts by the day fall out later.
pub(super) fn follow(
    snapshot: &FactsSnapshot,
    members: &Members,
    (policy, asked): (&Policy, &[bool]),
    (days, query): (&[Day], &ValidationQuery),
    wanted: &Wanted,
) -> Result<Vec<Followed>, StoreError> {
    let horizon = i32::from(query.horizon_days);
    let outcomes = &policy.validation.outcomes;
    let mut counts: Vec<Vec<Counts>> = outcomes.iter().map(|_| vec![Counts::default(); days.len()]).collect();
    if let (Some(first), Some(last)) = (days.first(), days.last())
        && asked.contains(&true)
    {
        let rows = snapshot.day(DayRange { first: first.plus(1), last: last.plus(horizon) });
        for item in rows.take_while(|_| !wanted.is_over()) {
            let (key, row) = item?;
            let Subject::Merchant(id) = key.subject else { continue };
            let Some(member) = members.position(id) else { continue };
            for ((outcome, by_day), _) in outcomes.iter().zip(&mut counts).zip(asked).filter(|(_, asked)| **asked) {
                let mut said = OutcomeCounts::default();
                if !outcome.count(&row, &mut said) {
                    continue;
                }
                let after = |day: &Day| *day < key.day && key.day <= day.plus(horizon);
                for (_, counts) in days.iter().zip(by_day).filter(|(day, _)| after(day)) {
                    outcome.count(&row, counts.entry(member).or_default());
                }
            }
        }
    }
    let mut followed: Vec<Followed> = Vec::new();
    for (position, by_day) in counts.into_iter().enumerate().filter(|(at, _)| asked.get(*at) == Some(&true)) {
        let min = outcomes.get(position).map_or(1, |outcome| outcome.min);
        let judged: Vec<_> = by_day.into_iter().map(|counts| judge(counts, min)).collect();
        if judged.iter().any(|(members, _)| !members.is_empty()) {
            let (days, averages) = judged.into_iter().unzip();
            followed.push(Followed { outcome: Some(position), days, averages });
        }
    }
    if query.outcome.as_deref().is_none_or(|only| only == VIOLATIONS) {
        followed.extend(violations(members, days, horizon));
    }
    Ok(followed)
}

/// Compares each merchant that has enough of the whole with the average of all of these.
fn judge(counts: Counts, min: u64) -> (Vec<(u32, bool, f64)>, f64) {
    let mut enough: Vec<(u32, OutcomeCounts)> = counts.into_iter().filter(|(_, counts)| counts.of() >= min).collect();
    enough.sort_unstable_by_key(|(member, _)| *member);
    let sum = |pick: fn(OutcomeCounts) -> u64| {
        enough.iter().fold(0_u64, |sum, (_, counts)| sum.saturating_add(pick(*counts)))
    };
    let average = (sum(OutcomeCounts::bad), sum(OutcomeCounts::of));
    let share = crate::trust::governance::shown_share;
    let judged = enough
        .iter()
        .map(|(member, counts)| (*member, counts.is_above(average), share(counts.bad(), counts.of())))
        .collect();
    (judged, share(average.0, average.1))
}

/// Who had a violation in the days after; none if nobody ever had.
fn violations(members: &Members, days: &[Day], horizon: i32) -> Option<Followed> {
    let occurred = |position: usize, day: Day| {
        let violations = members.list.get(position).map_or(&[][..], |member| &member.violations);
        let range = DayRange { first: day.plus(1), last: day.plus(horizon) };
        violations.iter().any(|violation| violation.counts() && range.contains(violation.occurred_at.day()))
    };
    let mut found = false;
    let mut by_day = Vec::with_capacity(days.len());
    for day in days {
        let mut judged = Vec::with_capacity(members.list.len());
        for (member, position) in (0_u32..).zip(0..members.list.len()) {
            let is_bad = occurred(position, *day);
            found |= is_bad;
            judged.push((member, is_bad, f64::from(u8::from(is_bad))));
        }
        by_day.push(judged);
    }
    // The average is taken once it is known who had facts by the day.
    found.then(|| Followed { outcome: None, days: by_day, averages: vec![0.0; days.len()] })
}
