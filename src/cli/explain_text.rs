//! An explanation as a tree that a person reads from the top: the answer first, then what it is made of.

use super::table::{bar, pad, width};
use super::time::instant_text;
use super::words::{label_words, listed};
use crate::proto::{
    AdjustedExplanation, BudgetExplanation, ConditionExplanation, ExplainScoreResponse, LayerExplanation,
    MemberPriceExplanation, ProgrammeExplanation, RightExplanation, ScoreRow, SignalExplanation, SignalState,
    TrustExplanation, ViolationExplanation, WaiverExplanation, WeightExplanation,
};

/// A line of the tree and what hangs below it.
struct Node {
    line: String,
    below: Vec<Node>,
}

impl Node {
    fn leaf(line: impl Into<String>) -> Self {
        Self { line: line.into(), below: Vec::new() }
    }

    fn new(line: impl Into<String>, below: Vec<Node>) -> Self {
        Self { line: line.into(), below }
    }

    fn write(&self, text: &mut String, indent: &str) {
        text.push_str(&self.line);
        text.push('\n');
        let last = self.below.len().saturating_sub(1);
        for (position, node) in self.below.iter().enumerate() {
            let (branch, trunk) = if position == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            text.push_str(indent);
            text.push_str(branch);
            node.write(text, &format!("{indent}{trunk}"));
        }
    }
}

/// The whole answer.
pub(super) fn explanation_text(answer: &ExplainScoreResponse) -> String {
    let mut parts = Vec::new();
    parts.extend(answer.trust.as_ref().map(trust));
    if !answer.rights.is_empty() {
        parts.push(Node::new("rights", answer.rights.iter().map(right).collect()));
    }
    if !answer.violations.is_empty() {
        parts.push(Node::new("violations", answer.violations.iter().map(violation).collect()));
    }
    parts.extend(answer.waiver.as_ref().map(waiver));
    if !answer.programmes.is_empty() {
        parts.push(programmes(&answer.programmes));
    }
    let row = answer.row.unwrap_or_default();
    parts.extend(answer.weight.as_ref().map(|explained| weight(explained, &row)));
    parts.extend(answer.adjusted.as_ref().map(|explained| adjusted(explained, answer)));
    parts.extend(answer.member.as_ref().and_then(member));
    let who = match answer.merchant_id {
        0 => "unknown: neither the target nor its merchant is registered".to_owned(),
        id => format!("merchant {id} {}", answer.merchant_name),
    };
    let facts_day = if answer.facts_day.is_empty() { "no day closed yet" } else { &answer.facts_day };
    let mut text = format!(
        "{who}\ntrust {:.2}  weight {:.4}  labels {}\nfacts to {facts_day}, as of {}, policy {}, revision {}\n\n",
        row.trust_score,
        row.boost_weight,
        listed(&label_words(row.labels)),
        instant_text(answer.state_time.as_ref()),
        answer.policy_version,
        answer.revision
    );
    for part in parts {
        part.write(&mut text, "");
        text.push('\n');
    }
    let end = text.trim_end().len();
    text.truncate(end);
    text
}

fn trust(trust: &TrustExplanation) -> Node {
    let points: Vec<String> = trust.layers.iter().map(|layer| format!("{:.2}", layer.points)).collect();
    let gate = if trust.gate < 1.0 { format!("; gate {} closes it", number(trust.gate)) } else { String::new() };
    let line = format!("trust score {:.2} = {} points, tier {}{gate}", trust.score, points.join(" + "), trust.tier);
    Node::new(line, trust.layers.iter().map(layer).collect())
}

fn layer(layer: &LayerExplanation) -> Node {
    let prior = if layer.prior { "; no signal applies, the declared prior stands in" } else { "" };
    let line = format!(
        "{} {} {:.3} × weight {} = {:.2} points{prior}",
        pad(&layer.layer.replace('_', " "), 15),
        bar(layer.score),
        layer.score,
        number(layer.weight),
        layer.points
    );
    let wide = layer.signals.iter().map(|signal| width(&signal_name(signal))).max().unwrap_or(0);
    Node::new(line, layer.signals.iter().map(|one| signal(one, wide)).collect())
}

fn signal_name(signal: &SignalExplanation) -> String {
    if signal.name_zh.is_empty() { signal.name.clone() } else { format!("{} {}", signal.name, signal.name_zh) }
}

fn signal(signal: &SignalExplanation, wide: usize) -> Node {
    let name = pad(&signal_name(signal), wide);
    let off = match signal.state() {
        SignalState::NotApplicable => Some("does not apply; the others' weights share its part"),
        SignalState::Disabled => Some("disabled: its counters were never sent for anyone"),
        SignalState::Unspecified | SignalState::Measured | SignalState::NoData => None,
    };
    if let Some(off) = off {
        return Node::leaf(format!("{name} {} {off}", " ".repeat(10)));
    }
    let line = format!(
        "{name} {} {:.3} × {} = {:.4}",
        bar(signal.value),
        signal.value,
        number(signal.effective_weight),
        signal.contribution
    );
    Node::new(line, vec![Node::leaf(signal_derivation(signal))])
}

/// From raw counts to the curve's input.
fn signal_derivation(signal: &SignalExplanation) -> String {
    let counters: Vec<String> =
        signal.counters.iter().map(|counter| format!("{} {}", counter.name, counter.value)).collect();
    let days = match (signal.first_day.as_str(), signal.last_day.as_str()) {
        ("", "") => signal.window.clone(),
        (first, last) => format!("{} ({first} to {last})", signal.window),
    };
    let counted = match signal.state() {
        SignalState::NoData => "no data".to_owned(),
        SignalState::Unspecified | SignalState::Measured | SignalState::NotApplicable | SignalState::Disabled => {
            if counters.is_empty() {
                signal.kind.clone()
            } else {
                counters.join(", ")
            }
        }
    };
    let smoothed = if signal.prior_strength > 0.0 {
        format!(
            "({} + {}·{}) / ({} + {}) = {}",
            number(signal.numerator),
            number(signal.prior_mean),
            number(signal.prior_strength),
            number(signal.denominator),
            number(signal.prior_strength),
            number(signal.smoothed)
        )
    } else {
        number(signal.smoothed)
    };
    let mut parts = vec![counted, days, smoothed];
    parts.retain(|part| !part.is_empty());
    format!("{}{}", parts.join("; "), curve(signal))
}

fn curve(signal: &SignalExplanation) -> String {
    if signal.curve.is_empty() {
        return String::new();
    }
    let points: Vec<String> =
        signal.curve.iter().map(|point| format!("{}→{}", number(point.x), number(point.y))).collect();
    format!("; curve {}", points.join(" "))
}

fn right(right: &RightExplanation) -> Node {
    let mark = match (right.held, right.applicable) {
        (true, true) => "✓ held   ",
        (false, true) => "✗ missing",
        // Not offered at this time, or not for what the merchant sells.
        (_, false) => "· n/a    ",
    };
    let parameter = right.parameter.map(|value| format!(", {value} {}", right.parameter_unit)).unwrap_or_default();
    Node::leaf(format!("{mark} {} {} ({}){parameter}", right.name, right.name_zh, right.id))
}

fn violation(violation: &ViolationExplanation) -> Node {
    let until =
        violation.effective_until.as_ref().map_or_else(|| "no end".to_owned(), |until| instant_text(Some(until)));
    let line = format!(
        "{} {} ({}): factor {}, {} points",
        violation.violation_id,
        violation.r#type,
        violation.status,
        number(violation.factor),
        number(violation.points)
    );
    let occurred = instant_text(violation.occurred_at.as_ref());
    let from = instant_text(violation.effective_from.as_ref());
    let mut below = vec![Node::leaf(format!("occurred {occurred}; in effect from {from} to {until}"))];
    if !violation.note.is_empty() {
        below.push(Node::leaf(violation.note.clone()));
    }
    Node::new(line, below)
}

fn waiver(waiver: &WaiverExplanation) -> Node {
    let state = match (waiver.earned, waiver.used_by_violation_id) {
        (_, id @ 1..) => format!("used by violation {id}"),
        (true, 0) => "earned, not used".to_owned(),
        (false, 0) => "not earned".to_owned(),
    };
    let line = format!(
        "high-in-stock waiver of the week of {}: {state} (the week before: {} paid, {} promised, {} of {} shipped on time)",
        waiver.week, waiver.paid_orders, waiver.promised_orders, waiver.shipped_on_time, waiver.shipments_due
    );
    Node::new(line, waiver.conditions.iter().map(condition).collect())
}

fn programmes(programmes: &[ProgrammeExplanation]) -> Node {
    let eligible = programmes.iter().filter(|programme| programme.eligible).count();
    let line = format!("programmes: eligible for {eligible} of {}", programmes.len());
    // Those it is in come first; the order is kept otherwise.
    let (inside, outside): (Vec<_>, Vec<_>) = programmes.iter().partition(|programme| programme.eligible);
    Node::new(line, inside.into_iter().chain(outside).map(programme).collect())
}

fn programme(programme: &ProgrammeExplanation) -> Node {
    let mark = if programme.eligible { "✓" } else { "✗" };
    let charged = if programme.charged { ", charged" } else { "" };
    let uplift = if programme.eligible { format!(", uplift {}", number(programme.uplift)) } else { String::new() };
    let line = format!(
        "{mark} {} {} {} ({}{uplift}{charged})",
        programme.id, programme.name, programme.name_zh, programme.kind
    );
    let reasons = programme.reasons.iter().map(|reason| Node::leaf(reason.clone()));
    let ledger = if programme.eligible { ledger(programme) } else { Vec::new() };
    Node::new(line, reasons.chain(ledger).chain(programme.conditions.iter().map(condition)).collect())
}

fn condition(condition: &ConditionExplanation) -> Node {
    let mark = if condition.holds { "✓" } else { "✗" };
    Node::leaf(format!("{mark} {}: {}", condition.text, condition.found))
}

fn weight(weight: &WeightExplanation, row: &ScoreRow) -> Node {
    let line = format!(
        "weight {} = tilt {} × penalty {} × item {} × (1 + uplift {}), at most {}",
        number(weight.weight),
        number(weight.tilt),
        number(weight.penalty),
        number(weight.item_factor),
        number(weight.uplift),
        number(weight.ceiling)
    );
    let mut below = Vec::new();
    let prices = [
        ("guarantees and caps", weight.member_factor),
        ("hard budgets", weight.hard_factor),
        ("support budget", weight.support_factor),
    ];
    let changed: Vec<String> = prices
        .iter()
        .filter(|(_, factor)| (factor - 1.0).abs() > 0.0)
        .map(|(name, factor)| format!("{name} × {}", number(*factor)))
        .collect();
    if !changed.is_empty() {
        below.push(Node::leaf(format!("prices: {}", changed.join(", "))));
    }
    if weight.kill_switch {
        below
            .push(Node::leaf("the kill switch is on: the weight is 1 whatever the factors are, unless it is excluded"));
    }
    below.push(Node::leaf(format!("ad price factor {}", number(f64::from(row.ad_price_factor)))));
    Node::new(line, below)
}

fn adjusted(explained: &AdjustedExplanation, answer: &ExplainScoreResponse) -> Node {
    if explained.stopped {
        return Node::leaf("adjusted score: never shown, excluded or a hard budget or cap of it is spent");
    }
    let line = format!(
        "adjusted score {} = (value {} − hard prices {} + guarantees and caps {} + support {}) × mean base score {}",
        number(explained.adjusted),
        number(explained.value),
        number(explained.hard_prices),
        number(explained.member_price),
        number(explained.support_gain),
        number(answer.mean_base_score)
    );
    let charged = match explained.charged_programme.as_str() {
        "" => "organic: charged to no support programme".to_owned(),
        id => format!("charged to {id}"),
    };
    Node::new(line, vec![Node::leaf(charged), Node::leaf(format!("prices of publication {}", answer.price_epoch))])
}

/// What guarantees and caps do to the merchant; nothing to say while they do nothing.
fn member(member: &MemberPriceExplanation) -> Option<Node> {
    let mut below = Vec::new();
    if member.must_serve {
        below
            .push(Node::leaf("Allocate serves it whenever it is a candidate: its guarantee would be missed otherwise"));
    }
    if !member.spent_programmes.is_empty() {
        below.push(Node::leaf(format!("cap or share spent: {}", member.spent_programmes.join(", "))));
    }
    let is_neutral = member.additive.abs() <= 0.0 && (member.factor - 1.0).abs() <= 0.0;
    (!below.is_empty() || !is_neutral).then(|| {
        let (additive, factor) = (number(member.additive), number(member.factor));
        Node::new(format!("guarantees and caps of the merchant: {additive} on scores, × {factor} on weights"), below)
    })
}

/// What the ledger says of a programme.
fn ledger(programme: &ProgrammeExplanation) -> Vec<Node> {
    let mut lines = Vec::new();
    if programme.spent {
        lines.push("spent: it lifts nothing and takes no exposure".to_owned());
    }
    if programme.price > 0.0 || (programme.price_factor - 1.0).abs() > 0.0 {
        let (price, factor) = (number(programme.price), number(programme.price_factor));
        lines.push(format!("price of an exposure {price}, on weights × {factor}"));
    }
    lines.extend(programme.budget.as_ref().map(|budget| {
        let pace = if budget.pace > 0.0 { format!(", pace {}", number(budget.pace)) } else { String::new() };
        let BudgetExplanation { limit_exposures, delivered_exposures, reserved_exposures, .. } = budget;
        format!("budget: {delivered_exposures} of {limit_exposures} delivered, {reserved_exposures} reserved{pace}")
    }));
    lines.extend(programme.guarantee.as_ref().map(|guarantee| {
        let feasible = if guarantee.feasible { "" } else { ", judged infeasible when it began" };
        format!(
            "guarantee: {} of {} delivered until {}, {}{feasible}",
            guarantee.delivered_exposures,
            guarantee.target_exposures,
            instant_text(guarantee.ends_at.as_ref()),
            guarantee.status
        )
    }));
    lines.extend(
        programme.cap.as_ref().map(|cap| format!("cap: {} of {} used", cap.delivered_exposures, cap.limit_exposures)),
    );
    lines.into_iter().map(Node::leaf).collect()
}

/// At most four decimals, without trailing zeros.
fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text.as_str() };
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}

#[cfg(test)]
mod tests;
