//! What would make a condition hold, as a message and in words.

use super::names::{bilingual, column_counter, counter_names, level_counter, number, signal_name};
use super::time::to_proto_time;
use crate::domain::Timestamp;
use crate::engine::{ConditionStatus, TrustPurchaseStatus};
use crate::proto::{self, ClosingStep};
use crate::trust::{Closing, Comparison, SignalState, Test};

pub(super) use super::names::column_name;

/// The message; none if the condition holds.
pub(super) fn what_closes_it(status: &TrustPurchaseStatus, found: &ConditionStatus) -> Option<proto::WhatClosesIt> {
    let policy = &status.policy;
    let empty = proto::WhatClosesIt::default();
    let step = |step: ClosingStep| proto::WhatClosesIt { step: step.into(), ..empty.clone() };
    Some(match &found.closing {
        Closing::Nothing => return None,
        Closing::Observations { more, whole, part, withheld } => proto::WhatClosesIt {
            count: *more,
            counters: counter_names(policy, whole),
            part_counters: counter_names(policy, part),
            withheld_counters: counter_names(policy, withheld),
            ..step(ClosingStep::Observations)
        },
        Closing::RatioObservations { more } => proto::WhatClosesIt {
            count: *more,
            counters: lower_counter(status, found),
            ..step(ClosingStep::Observations)
        },
        Closing::More { by, of } => proto::WhatClosesIt {
            count: *by,
            counters: if of.is_empty() { tested_counter(status, found) } else { counter_names(policy, of) },
            ..step(ClosingStep::RaiseCount)
        },
        Closing::Less { by } => {
            proto::WhatClosesIt { count: *by, counters: tested_counter(status, found), ..step(ClosingStep::LowerCount) }
        }
        Closing::Level { level, to } => {
            proto::WhatClosesIt { count: *to, counters: level_counter(policy, *level), ..step(ClosingStep::Level) }
        }
        Closing::Day(day) => proto::WhatClosesIt { date: day.to_string(), ..step(ClosingStep::Day) },
        Closing::FactsDay(day) => proto::WhatClosesIt { date: day.to_string(), ..step(ClosingStep::FactsDay) },
        Closing::Gate(until) => proto::WhatClosesIt { at: Some(to_proto_time(*until)), ..step(ClosingStep::Instant) },
        Closing::Rights(rights) => proto::WhatClosesIt {
            rights: rights.iter().map(|id| right(status, id)).collect(),
            ..step(ClosingStep::Rights)
        },
        Closing::Points(gains) => proto::WhatClosesIt {
            gains: gains.iter().map(|(index, points)| gain(status, *index, *points)).collect(),
            ..step(ClosingStep::Points)
        },
        Closing::OutOfReach(_) | Closing::Unknown => step(ClosingStep::None),
    })
}

fn right(status: &TrustPurchaseStatus, id: &str) -> proto::ClosingRight {
    let rights = status.policy.model.rights.iter().zip(&status.rights);
    let (name, name_zh, applies) = rights
        .filter(|(right, _)| right.id == id)
        .map(|(right, found)| (right.name.clone(), right.name_zh.clone(), found.applies))
        .next()
        .unwrap_or_default();
    proto::ClosingRight { id: id.to_owned(), name, name_zh, applies }
}

fn gain(status: &TrustPurchaseStatus, index: u16, points: f64) -> proto::ClosingGain {
    let (name, name_zh) = signal_name(&status.policy, index);
    let id = status.policy.model.signals.get(usize::from(index)).map(|signal| signal.id.clone()).unwrap_or_default();
    proto::ClosingGain { id, name, name_zh, points }
}

/// The counter of the column that is compared, or of the upper one of two.
fn tested_counter(status: &TrustPurchaseStatus, found: &ConditionStatus) -> Vec<String> {
    match &found.test {
        Test::Number(column, ..) | Test::Ratio(column, ..) => column_counter(&status.policy, column),
        Test::Text(..) | Test::Member(..) | Test::Flag(_) => Vec::new(),
    }
}

fn lower_counter(status: &TrustPurchaseStatus, found: &ConditionStatus) -> Vec<String> {
    match &found.test {
        Test::Ratio(_, below, ..) => column_counter(&status.policy, below),
        Test::Number(..) | Test::Text(..) | Test::Member(..) | Test::Flag(_) => Vec::new(),
    }
}

/// A condition in a plain sentence. A promoter reads no figure of the owner.
pub(super) fn sentence(status: &TrustPurchaseStatus, found: &ConditionStatus, name: &str, is_owner: bool) -> String {
    let result = &found.result;
    let need = if result.holds || !found.group_holds { "" } else { " It need not: an alternative does." };
    if !is_owner {
        return format!("{name}: {}.{need}", if result.holds { "holds" } else { "does not hold" });
    }
    let wanted = found.bound.map(|(comparison, bound)| format!("{} {}", words(comparison), number(bound)));
    let compared = match (found.value, wanted) {
        (Some(value), Some(wanted)) => format!(": {}, must be {wanted}.", number(value)),
        (None, Some(wanted)) => format!(": not known, must be {wanted}."),
        (_, None) if result.holds => " holds.".to_owned(),
        (_, None) => " does not hold.".to_owned(),
    };
    if result.holds {
        return format!("{name}{compared}");
    }
    format!("{name}{compared}{need}{}", remedy(status, found))
}

fn words(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Less => "below",
        Comparison::AtMost => "at most",
        Comparison::Equal => "exactly",
        Comparison::NotEqual => "other than",
        Comparison::AtLeast => "at least",
        Comparison::Greater => "above",
    }
}

/// What to do, with a blank in front; empty where nothing is to be said.
fn remedy(status: &TrustPurchaseStatus, found: &ConditionStatus) -> String {
    let policy = &status.policy;
    match &found.closing {
        Closing::Observations { more, whole, part, withheld } => {
            let sent = if withheld.is_empty() {
                String::new()
            } else {
                format!(" Send {}, 0 if there were none.", counter_names(policy, withheld).join(" and "))
            };
            if *more == 0 {
                return sent;
            }
            let (whole, part) = (one_of(&counter_names(policy, whole)), one_of(&counter_names(policy, part)));
            let and = if part.is_empty() { String::new() } else { format!(" and to {part}") };
            format!("{sent} {more} further good observations reach it, each adding 1 to {whole}{and}.")
        }
        Closing::RatioObservations { more } => {
            let counter = one_of(&lower_counter(status, found));
            format!(" {more} further good observations reach it, each adding 1 to {counter} only.")
        }
        Closing::More { by, of } => {
            let counters = if of.is_empty() { tested_counter(status, found) } else { counter_names(policy, of) };
            let what = if counters.is_empty() { "it".to_owned() } else { one_of(&counters) };
            format!(" Raise {what} by {by}.")
        }
        Closing::Less { by } => format!(" It must fall by {by}: by nothing new, while earlier days leave the window."),
        Closing::Level { level, to } => {
            let counter = one_of(&level_counter(policy, *level));
            let side =
                if found.bound.is_some_and(|(comparison, _)| comparison.wants_less()) { "most" } else { "least" };
            format!(" {counter} must be at {side} {to}.")
        }
        Closing::Day(day) => format!(" It holds from {day} on."),
        Closing::FactsDay(day) => format!(" It holds once {day} is closed, by itself at 06:00 on the day after it."),
        Closing::Gate(until) => format!(" A ban closes the gate until {}.", instant(*until)),
        Closing::Rights(rights) => {
            let rights: Vec<_> = rights.iter().map(|id| right(status, id)).collect();
            let names: Vec<_> = rights.iter().map(|right| bilingual(&right.name, &right.name_zh)).collect();
            let except = rights.iter().filter(|right| !right.applies).count();
            let note = if except == 0 { "" } else { " It is not offered now for what the merchant sells." };
            format!(" Obtain {}.{note}", names.join(", "))
        }
        Closing::Points(gains) => {
            let gains = gains.iter().map(|(index, points)| {
                let (name, name_zh) = signal_name(policy, *index);
                format!("{} up to {}", bilingual(&name, &name_zh), number(*points))
            });
            format!(" Most points to gain: {}.", gains.collect::<Vec<_>>().join("; "))
        }
        Closing::OutOfReach(SignalState::Disabled) => " Its counters were never sent for anyone.".to_owned(),
        Closing::OutOfReach(_) => " It does not apply to the merchant.".to_owned(),
        Closing::Unknown if found.bound.is_some() => " No further observations reach it now.".to_owned(),
        Closing::Nothing | Closing::Unknown => String::new(),
    }
}

fn one_of(counters: &[String]) -> String {
    match counters {
        [] => String::new(),
        [one] => one.clone(),
        several => format!("one of {}", several.join(", ")),
    }
}

/// An instant as the day it lies in, which is what people plan by.
fn instant(at: Timestamp) -> String {
    at.day().to_string()
}
