//! What came of it: a table, the laws that held, and those that did not.

use std::collections::BTreeMap;
use std::fmt;

use trustflow::domain::Timestamp;
use trustflow::proto::{GuaranteeState, MemberFilter, ProgrammeMember};

use super::Outcome;
use super::audit::{Snapshot, members, timestamp};
use super::traffic::traffic_between;
use super::world::World;

/// Guarantees are planned to finish at this share of their period.
const PLANNED: f64 = 0.97;
/// On its path is who has at least this share of what is planned by now.
const ON_PATH: f64 = 0.9;
/// Share of feasible guarantees that are to be met, or on their path.
const COVERAGE: f64 = 0.99;

/// Laws that are looked at all the time. What is not broken held.
const LAWS: [&str; 17] = [
    "a report counts once",
    "bits of programmes stay",
    "budgets are the policy's",
    "calls are answered",
    "columns have one entry per target",
    "delivered is what was acknowledged",
    "guarantees count what was acknowledged",
    "late is what came late",
    "members have what was acknowledged",
    "nothing acknowledged is lost",
    "nothing spent is granted",
    "packages are what was assigned and acknowledged",
    "reports are taken",
    "reservations are unique",
    "slates stay within every limit",
    "who is excluded is not served",
    "writes are taken",
];

/// The verdict.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Lines of the table.
    lines: Vec<(String, String)>,
    /// Laws: whether they held, and what is to be said about it.
    laws: Vec<(String, bool, String)>,
}

impl Verdict {
    /// Whether every law held.
    pub(crate) fn holds(&self) -> bool {
        self.laws.iter().all(|(_, holds, _)| *holds)
    }

    /// A line of the table.
    pub(crate) fn line(&mut self, what: impl Into<String>, value: impl fmt::Display) {
        self.lines.push((what.into(), value.to_string()));
    }

    /// Whether a law held.
    pub(crate) fn law(&mut self, law: impl Into<String>, holds: bool, words: impl fmt::Display) {
        self.laws.push((law.into(), holds, words.to_string()));
    }

    /// What the books say.
    pub(crate) fn take_books(&mut self, world: &World) {
        let books = world.books();
        for (what, count) in &books.tally.0 {
            self.line(*what, grouped(*count));
        }
        for (what, count) in books.reached() {
            self.line(format!("limits reached: {what}"), grouped(count));
        }
        for law in LAWS {
            let broken = books.breaches.get(law);
            let words = broken.map(|(count, told)| format!("{count} times: {}", told.join("; "))).unwrap_or_default();
            self.law(law, broken.is_none(), words);
        }
        for (law, (count, told)) in books.breaches.iter().filter(|(law, _)| !LAWS.contains(law)) {
            self.law(*law, false, format!("{count} times: {}", told.join("; ")));
        }
    }

    /// What each programme spent.
    pub(crate) fn take_programmes(&mut self, snapshot: &Snapshot) {
        for programme in &snapshot.programmes {
            for budget in programme.budgets.iter().filter(|budget| budget.delivered > 0) {
                let scene = if budget.scene == 0 { String::new() } else { format!(" in scene {}", budget.scene) };
                let pace = budget.pace.map(|pace| format!(", pace {pace:.2}")).unwrap_or_default();
                let words = format!(
                    "{} of {} delivered, {} late, {} reserved{pace}",
                    grouped(budget.delivered),
                    grouped(budget.exposures),
                    grouped(budget.late),
                    grouped(budget.reserved)
                );
                self.line(format!("{}{scene}", programme.id), words);
            }
        }
    }

    /// Guarantees: met where they ended, on their path where they run.
    pub(crate) async fn take_guarantees(&mut self, world: &World, snapshot: &Snapshot) -> Outcome<()> {
        let promising: Vec<String> = {
            let books = world.books();
            let promises =
                |id: &String| books.programmes.get(id).is_some_and(|programme| programme.guarantee.is_some());
            books.bits.values().filter(|id| promises(id)).cloned().collect()
        };
        for id in promising {
            let guaranteed = members(world, &id, MemberFilter::Guaranteed).await?;
            let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
            let (mut behind, mut ratios) = (Vec::new(), Vec::new());
            for member in &guaranteed {
                let standing = standing(world, member, snapshot.at);
                ratios.extend(over_plan(member, snapshot.at));
                *counts.entry(standing).or_default() += 1;
                if matches!(standing, "behind its path" | "missed") {
                    behind.push(member.merchant_id);
                }
            }
            for (standing, count) in &counts {
                self.line(format!("guarantees of {id}: {standing}"), grouped(*count));
            }
            ratios.sort_by(f64::total_cmp);
            let at = |share: f64| ratios.get((share * ratios.len() as f64) as usize).copied().unwrap_or_default();
            let words = format!("{:.2}, {:.2}, {:.2}, {:.2}", at(0.0), at(0.1), at(0.5), at(0.9));
            self.line(format!("guarantees of {id}: delivered over planned, least, 10 %, 50 %, 90 %"), words);
            let of = |standing: &str| counts.get(standing).copied().unwrap_or(0);
            let (met, missed) = (of("met"), of("missed"));
            let has_ended = guaranteed
                .iter()
                .filter_map(|member| member.guarantee.as_ref())
                .any(|guarantee| guarantee.ends_at.as_ref().is_some_and(|ends| timestamp(ends) <= snapshot.at));
            // Where guarantees have ended they say it; before, their paths must do.
            let (good, bad, what) = if has_ended {
                (met, missed, "met")
            } else {
                (met + of("on its path"), missed + of("behind its path"), "met or on their path")
            };
            let counted = good + bad;
            let share = if counted == 0 { 1.0 } else { good as f64 / counted as f64 };
            behind.truncate(5);
            let words = format!(
                "{:.2} % of {counted} feasible guarantees are {what}; behind, for example: {behind:?}",
                100.0 * share
            );
            self.law(format!("cold-start coverage of {id} is at least 99 %"), counted > 0 && share >= COVERAGE, words);
            if let Some(programme) = snapshot.programmes.iter().find(|programme| programme.id == id)
                && let Some(coverage) = &programme.coverage
            {
                self.line(format!("coverage of {id} as the server says"), format!("{coverage:?}"));
            }
        }
        Ok(())
    }
}

/// Exposures that a guarantee should have by now.
fn planned(promised: u64, (from, to): (Timestamp, Timestamp), now: Timestamp) -> f64 {
    let share = traffic_between(from, now.min(to)) / (PLANNED * traffic_between(from, to));
    promised as f64 * share.min(1.0)
}

/// What was delivered of a guarantee over what was planned by now.
fn over_plan(member: &ProgrammeMember, now: Timestamp) -> Option<f64> {
    let guarantee = member.guarantee.as_ref()?;
    let period = (timestamp(guarantee.begins_at.as_ref()?), timestamp(guarantee.ends_at.as_ref()?));
    let planned = planned(guarantee.promised, period, now);
    (planned >= 1.0).then(|| guarantee.delivered as f64 / planned)
}

/// Where a guarantee stands.
fn standing(world: &World, member: &ProgrammeMember, now: Timestamp) -> &'static str {
    let Some(guarantee) = &member.guarantee else { return "none" };
    let (Some(from), Some(to)) = (&guarantee.begins_at, &guarantee.ends_at) else { return "none" };
    let planned = planned(guarantee.promised, (timestamp(from), timestamp(to)), now);
    let offered = world.books().offered.get(&member.merchant_id).copied().unwrap_or(0);
    // A last crowd and what is on its way are not counted against it.
    let slack = 2.0 * world.options.crowd as f64;
    match guarantee.state() {
        GuaranteeState::Met => "met",
        GuaranteeState::Suspended => "suspended",
        _ if guarantee.delivered >= guarantee.promised => "met",
        _ if guarantee.infeasible => "flagged as infeasible",
        _ if (offered as f64) < planned => "not a candidate often enough",
        GuaranteeState::Missed => "missed",
        GuaranteeState::Running | GuaranteeState::Unspecified => {
            if guarantee.delivered as f64 + slack >= ON_PATH * planned { "on its path" } else { "behind its path" }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.lines.iter().map(|(what, _)| what.chars().count()).max().unwrap_or(0);
        for (what, value) in &self.lines {
            writeln!(f, "{what:width$}  {value}")?;
        }
        writeln!(f)?;
        for (law, holds, words) in &self.laws {
            let holds = if *holds { "held  " } else { "BROKEN" };
            writeln!(f, "{holds}  {law}{}{words}", if words.is_empty() { "" } else { ": " })?;
        }
        let broken = self.laws.iter().filter(|(_, holds, _)| !holds).count();
        let verdict = if broken == 0 { "all hold".to_owned() } else { format!("{broken} are broken") };
        write!(f, "\n{} laws: {verdict}", self.laws.len())
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
