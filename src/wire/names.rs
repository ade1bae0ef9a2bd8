//! What signals, counters and columns are called.

use crate::domain::CounterId;
use crate::policy::Policy;
use crate::trust::{FactsLayout, Input, Layer, LevelId, NumberColumn, SumId};

/// Both names as one.
pub(super) fn bilingual(name: &str, name_zh: &str) -> String {
    if name_zh.is_empty() { name.to_owned() } else { format!("{name} ({name_zh})") }
}

/// A figure as people read it: at most four decimals.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text.as_str() };
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}

/// The names of a signal, English and Chinese.
pub(super) fn signal_name(policy: &Policy, index: u16) -> (String, String) {
    let signal = policy.model.signals.get(usize::from(index));
    signal.map(|signal| (signal.name.clone(), signal.name_zh.clone())).unwrap_or_default()
}

fn counter(policy: &Policy, id: Option<CounterId>) -> Option<&crate::policy::CounterDef> {
    policy.counters.iter().find(|counter| Some(counter.id) == id)
}

fn level_id(layout: &FactsLayout, level: LevelId) -> Option<CounterId> {
    layout.levels().get(usize::from(level.0)).copied()
}

fn sum_id(layout: &FactsLayout, sum: SumId) -> Option<CounterId> {
    layout.sum(sum).map(|(counter, _)| *counter)
}

/// The counter of a level.
pub(super) fn level_counter(policy: &Policy, level: LevelId) -> Vec<String> {
    counter_names(policy, &[Input::Level(level)])
}

/// The counters of a merchant's inputs.
pub(super) fn counter_names(policy: &Policy, inputs: &[Input]) -> Vec<String> {
    let layout = &policy.model.layout;
    let id = |input: &Input| match input {
        Input::Sum(sum) => sum_id(layout, *sum),
        Input::Level(level) => level_id(layout, *level),
    };
    inputs.iter().filter_map(|input| counter(policy, id(input))).map(|counter| counter.name.clone()).collect()
}

/// The counter that a column counts; empty where it is none.
pub(super) fn column_counter(policy: &Policy, column: &NumberColumn) -> Vec<String> {
    let id = match column {
        NumberColumn::Sum(sum) => sum_id(&policy.model.layout, *sum),
        NumberColumn::ItemSum(sum) => sum_id(&policy.item_layout, *sum),
        NumberColumn::Level(level) => level_id(&policy.model.layout, *level),
        NumberColumn::FanCount
        | NumberColumn::DaysSinceOpening
        | NumberColumn::DaysSinceFirstSale
        | NumberColumn::DaysSinceEnrolment(_)
        | NumberColumn::EnrolmentDay(_)
        | NumberColumn::TrustScore
        | NumberColumn::LayerScore(_)
        | NumberColumn::Signal(_)
        | NumberColumn::Capability(_)
        | NumberColumn::ProviderRank
        | NumberColumn::ItemAge
        | NumberColumn::Promoters => None,
    };
    counter(policy, id).map(|counter| counter.name.clone()).into_iter().collect()
}

/// The names of a column, English and Chinese.
pub(super) fn column_name(policy: &Policy, column: &NumberColumn) -> (String, String) {
    let summed = |layout: &FactsLayout, sum: SumId| {
        let Some((id, window)) = layout.sum(sum) else { return (String::new(), String::new()) };
        let what = counter(policy, Some(*id)).map(|counter| counter.description.as_str()).unwrap_or_default();
        (format!("{what}, {}", window.describe()), String::new())
    };
    let (name, name_zh) = match column {
        NumberColumn::Signal(index) => return signal_name(policy, *index),
        NumberColumn::Sum(sum) => return summed(&policy.model.layout, *sum),
        NumberColumn::ItemSum(sum) => return summed(&policy.item_layout, *sum),
        NumberColumn::Level(level) => {
            let level = counter(policy, level_id(&policy.model.layout, *level));
            return (level.map(|counter| counter.description.clone()).unwrap_or_default(), String::new());
        }
        NumberColumn::DaysSinceEnrolment(list) => return (format!("Days since enrolment on {list}"), String::new()),
        NumberColumn::EnrolmentDay(list) => return (format!("Day of enrolment on {list}"), String::new()),
        NumberColumn::Capability(capability) => return (format!("Provider's {}", capability.name()), String::new()),
        NumberColumn::FanCount => ("Followers", "粉丝数"),
        NumberColumn::DaysSinceOpening => ("Days since opening", "开店天数"),
        NumberColumn::DaysSinceFirstSale => ("Days since the first sale", "首单天数"),
        NumberColumn::TrustScore => ("Trust score", "信任分"),
        NumberColumn::LayerScore(Layer::Governance) => ("Basic governance", "基础治理"),
        NumberColumn::LayerScore(Layer::ConsumerRights) => ("Consumer rights", "消费者权益"),
        NumberColumn::LayerScore(Layer::Experience) => ("Experience upgrade", "体验升级"),
        NumberColumn::ProviderRank => ("Place of the service provider", "服务商排名"),
        NumberColumn::ItemAge => ("Days since it was listed, posted or on air", "上架天数"),
        NumberColumn::Promoters => ("Promoters", "带货商家数"),
    };
    (name.to_owned(), name_zh.to_owned())
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [(0.1, "0.1"), (2.0, "2"), (-0.000_001, "0"), (0.123_456, "0.1235"), (100.0, "100")] {
            assert_eq!(number(value), text);
        }
    }
}
