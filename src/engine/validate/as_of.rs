//! Scores as of each day: window sums slide over the stored rows as they do when days are closed.
//!
//! What a day's score sees: facts of that day and earlier ones, rights by their dates, violations that had occurred.
//! Profiles are as they are now, since their earlier states are not kept.

use std::collections::HashMap;

use super::{Followed, Member, Members};
use crate::domain::{CounterId, Day, DayFacts, Subject, Violation, Wanted, to_f32};
use crate::policy::Policy;
use crate::store::{FactsSnapshot, StoreError};
use crate::trust::{Anchors, FactsLayout, MerchantFacts, MerchantView, SignalRow, SignalState, score};

/// What was foretold of one merchant on one day.
pub(super) struct Scored {
    /// The trust score.
    pub(super) trust: f64,
    /// By layer index.
    pub(super) layers: [f64; 3],
    /// Position of the tier.
    pub(super) tier: usize,
    /// By signal: the smoothed figure, higher is better; none where it took no part.
    pub(super) signals: Vec<Option<f32>>,
    /// Whether any row of facts was there by the day.
    pub(super) has_facts: bool,
}

/// By day: what was foretold of those whom some outcome is known of.
pub(super) type ScoredDay = HashMap<u32, Scored, foldhash::fast::FixedState>;

/// The facts of all members as of a day that moves forward.
struct Sweep<'a> {
    members: &'a Members,
    layout: &'a FactsLayout,
    facts: Vec<Option<Box<MerchantFacts>>>,
    seen: Vec<bool>,
    wanted: &'a Wanted,
}

/// Scores the members that `followed` asks about, as of each day.
pub(super) fn score_days(
    snapshot: &FactsSnapshot,
    members: &Members,
    policy: &Policy,
    days: &[Day],
    followed: &[Followed],
    wanted: &Wanted,
) -> Result<Vec<ScoredDay>, StoreError> {
    let layout = &policy.model.layout;
    let facts = members.list.iter().map(|_| None).collect();
    let mut sweep = Sweep { members, layout, facts, seen: Vec::new(), wanted };
    let mut scored = Vec::with_capacity(days.len());
    let mut before: Option<Day> = None;
    for (at, day) in days.iter().enumerate() {
        sweep.move_to(snapshot, before, *day)?;
        before = Some(*day);
        scored.push(sweep.score(policy, *day, followed.iter().filter_map(|followed| followed.days.get(at))));
    }
    Ok(scored)
}

impl Sweep<'_> {
    /// Reads the rows that enter or leave some window between two days; all that count, the first time.
    fn move_to(&mut self, snapshot: &FactsSnapshot, before: Option<Day>, day: Day) -> Result<(), StoreError> {
        let nothing = FactsLayout::default();
        let (older, from) = before.map_or((&nothing, day), |before| (self.layout, before));
        let new_sums = self.layout.new_sums(older);
        for range in self.layout.days_to_read(older, from, day) {
            for item in snapshot.day(range).take_while(|_| !self.wanted.is_over()) {
                let (key, row) = item?;
                let Subject::Merchant(id) = key.subject else { continue };
                let Some(position) = self.members.position(id) else { continue };
                self.move_row(position, (from, day), &new_sums, (key.day, &row));
            }
        }
        Ok(())
    }

    fn move_row(&mut self, position: u32, days: (Day, Day), new_sums: &[bool], (day, row): (Day, &DayFacts)) {
        let Ok(position) = usize::try_from(position) else { return };
        let (Some(member), Some(facts)) = (self.members.list.get(position), self.facts.get_mut(position)) else {
            return;
        };
        let facts = facts.get_or_insert_with(|| Box::new(MerchantFacts::empty(self.layout)));
        if day <= days.1 {
            for (counter, _) in row.cells() {
                see(&mut self.seen, *counter);
            }
            // Rows come in order of day, and so the first sale is found before any row that its windows count.
            let sold = self.layout.first_sale_counter().and_then(|counter| row.get(counter)).is_some_and(|n| n > 0);
            if sold && facts.first_sale().is_none() {
                facts.set_first_sale(Some(day));
            }
        }
        let mut anchors = Anchors::of(&member.merchant);
        anchors.first_sale = facts.first_sale();
        facts.move_row(self.layout, &anchors, days, new_sums, day, row);
    }

    /// Scores those asked about; signals whose counters nobody had sent by then are disabled, as on the day itself.
    fn score<'f>(
        &self,
        policy: &Policy,
        day: Day,
        asked: impl Iterator<Item = &'f Vec<(u32, bool, f64)>>,
    ) -> ScoredDay {
        let unseen = |counter: CounterId| !self.seen.get(usize::from(counter.0)).copied().unwrap_or(false);
        let any_seen = self.seen.contains(&true);
        let signals = 0..policy.model.signals.len();
        let disabled: Vec<bool> =
            signals.map(|signal| any_seen && policy.signal_counters(signal).into_iter().any(unseen)).collect();
        let empty = MerchantFacts::empty(self.layout);
        let (mut rows, mut scored) = (Vec::new(), ScoredDay::default());
        for (position, _, _) in asked.flatten().take_while(|_| !self.wanted.is_over()) {
            let Ok(at) = usize::try_from(*position) else { continue };
            let Some(member) = self.members.list.get(at).filter(|_| !scored.contains_key(position)) else { continue };
            let facts = self.facts.get(at).and_then(Option::as_deref);
            let view = View { policy, day, disabled: &disabled };
            let made = view.score(member, facts.unwrap_or(&empty), &mut rows);
            scored.insert(*position, Scored { has_facts: facts.is_some(), ..made });
        }
        scored
    }
}

fn see(seen: &mut Vec<bool>, counter: CounterId) {
    let position = usize::from(counter.0);
    if seen.len() <= position {
        seen.resize(position + 1, false);
    }
    if let Some(seen) = seen.get_mut(position) {
        *seen = true;
    }
}

/// What all merchants of a day are scored with.
struct View<'a> {
    policy: &'a Policy,
    day: Day,
    disabled: &'a [bool],
}

impl View<'_> {
    fn score(&self, member: &Member, facts: &MerchantFacts, rows: &mut Vec<SignalRow>) -> Scored {
        let now = self.day.plus(1).start();
        let violations: Vec<Violation> =
            member.violations.iter().filter(|violation| violation.occurred_at < now).cloned().collect();
        let view = MerchantView {
            provider: None,
            merchant: &member.merchant,
            facts: facts.into(),
            rights: &member.rights,
            violations: &violations,
            facts_day: self.day,
            now,
            packages: 0,
        };
        let trust = score(&self.policy.model, &view, self.disabled, rows);
        let signals = self.policy.model.signals.iter().zip(rows.iter());
        let figure = |falls: bool, smoothed: f64| if falls { -smoothed } else { smoothed };
        Scored {
            trust: trust.score,
            layers: trust.layers.map(|layer| layer.score),
            tier: trust.tier,
            signals: signals
                .map(|(signal, row)| {
                    let took_part = matches!(row.state, SignalState::Measured | SignalState::NoData);
                    took_part.then(|| to_f32(figure(signal.curve.falls(), row.smoothed)))
                })
                .collect(),
            has_facts: false,
        }
    }
}
