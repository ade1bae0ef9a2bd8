//! What was seen of the policy: conditions that held and that failed, lifts, factors of items.

use std::collections::{BTreeMap, BTreeSet};

use trustflow::policy::Policy;
use trustflow::proto::ExplainScoreResponse;
use trustflow::traffic::{Programme, Uplift};

/// A programme and one of its conditions.
type Key = (String, String);

#[derive(Default)]
pub(crate) struct Coverage {
    held: BTreeMap<Key, usize>,
    failed: BTreeMap<Key, usize>,
    /// Lifts of members in millionths, before factors.
    lifts: BTreeSet<(String, i64)>,
    /// Factors of items in millionths.
    factors: BTreeSet<(String, i64)>,
    /// Stages merchants were in.
    pub(crate) stages: BTreeSet<String>,
}

impl Coverage {
    pub(crate) fn see(&mut self, explained: &ExplainScoreResponse) {
        self.stages.insert(explained.stage.clone());
        for programme in &explained.programmes {
            for condition in programme.conditions.iter().chain(&programme.item_conditions) {
                let (text, holds) = as_written(&condition.text, condition.holds);
                let seen = if holds { &mut self.held } else { &mut self.failed };
                *seen.entry((programme.id.clone(), text)).or_default() += 1;
            }
            let factors = programme.item_factor * programme.modifier_factor;
            if programme.eligible && factors > 0.0 {
                self.lifts.insert((programme.id.clone(), millionths(programme.uplift / factors)));
                self.factors.insert((programme.id.clone(), millionths(programme.item_factor)));
            }
        }
    }

    /// One line for each programme, and one for each condition.
    pub(crate) fn print(&self, policy: &Policy) {
        println!("{:>6} {:>6}  condition", "held", "failed");
        for programme in &policy.programmes {
            println!("{} ({})", programme.id, programme.kind.name());
            for text in conditions(programme) {
                let key = (programme.id.clone(), text.clone());
                let count = |seen: &BTreeMap<Key, usize>| seen.get(&key).copied().unwrap_or(0);
                println!("{:>6} {:>6}  {}", count(&self.held), count(&self.failed), text.replace('\n', " "));
            }
            for (lift, when) in lifts(programme) {
                let seen = self.lifts.contains(&(programme.id.clone(), millionths(lift)));
                println!("{:>6} {:>6}  lift {lift}: {when}", if seen { "seen" } else { "-" }, "");
            }
            for case in &programme.item_uplifts {
                let seen = self.factors.contains(&(programme.id.clone(), millionths(case.factor)));
                println!("{:>6} {:>6}  item factor {}", if seen { "seen" } else { "-" }, "", case.factor);
            }
        }
    }

    /// Fails unless everything was seen.
    pub(crate) fn check(&self, policy: &Policy) {
        let mut missing = Vec::new();
        for programme in &policy.programmes {
            let id = &programme.id;
            for text in conditions(programme) {
                let key = (id.clone(), text.clone());
                if !self.held.contains_key(&key) {
                    missing.push(format!("{id}: never held: {text}"));
                }
                if !self.failed.contains_key(&key) {
                    missing.push(format!("{id}: never failed: {text}"));
                }
            }
            for (lift, when) in lifts(programme) {
                if !self.lifts.contains(&(id.clone(), millionths(lift))) {
                    missing.push(format!("{id}: never lifted by {lift}: {when}"));
                }
            }
            for case in &programme.item_uplifts {
                if !self.factors.contains(&(id.clone(), millionths(case.factor))) {
                    missing.push(format!("{id}: no item with factor {}", case.factor));
                }
            }
        }
        for stage in &policy.stages {
            if !self.stages.contains(&stage.id) {
                missing.push(format!("no merchant in stage {}", stage.id));
            }
        }
        assert!(missing.is_empty(), "not covered:\n{}", missing.join("\n"));
    }
}

/// Conditions below a negation are shown negated.
fn as_written(text: &str, holds: bool) -> (String, bool) {
    let inner = text.strip_prefix("!(").and_then(|rest| rest.strip_suffix(')'));
    inner.map_or_else(|| (text.to_owned(), holds), |inner| (inner.to_owned(), !holds))
}

/// Every condition of a programme's members, items and scenes, as written.
fn conditions(programme: &Programme) -> BTreeSet<String> {
    let of_scenes = programme.scene_conditions.iter().map(|condition| &condition.when);
    let all = std::iter::once(&programme.eligibility).chain(&programme.item_eligibility).chain(of_scenes);
    all.flat_map(|predicate| predicate.conditions.iter().map(|condition| condition.text.clone())).collect()
}

/// The lifts that are constants, and when they hold.
fn lifts(programme: &Programme) -> Vec<(f64, String)> {
    match &programme.uplift {
        Uplift::Cases(cases) => cases
            .iter()
            .map(|(when, lift)| {
                let texts: Vec<&str> = when.conditions.iter().map(|condition| condition.text.as_str()).collect();
                (*lift, if texts.is_empty() { "otherwise".to_owned() } else { texts.join(", ") })
            })
            .collect(),
        Uplift::Constant(lift) if *lift > 0.0 => vec![(*lift, "always".to_owned())],
        Uplift::Constant(_) | Uplift::ByTrust(_) => Vec::new(),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "lifts are small")]
fn millionths(value: f64) -> i64 {
    (value * 1e6).round() as i64
}
