//! Conditions in words, for people who do not read expressions.

use super::model::Policy;
use crate::domain::{Day, TargetKind};
use crate::trust::{
    Comparison, FlagColumn, ListColumn, NumberColumn, Predicate, Span, Step, SumId, Test, TextColumn, Window,
};

/// A part of a condition.
enum Node<'a> {
    Test(&'a Test),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

/// The words of a policy.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    policy: &'a Policy,
    /// What items are called where conditions are about items.
    item: &'static str,
    /// How an item comes to be.
    began: &'static str,
}

impl<'a> Words<'a> {
    /// Words about merchants.
    pub(super) fn new(policy: &'a Policy) -> Self {
        Self { policy, item: "item", began: "began" }
    }

    /// Words about items of a kind.
    pub(super) fn of_items(policy: &'a Policy, kind: TargetKind) -> Self {
        let began = match kind {
            TargetKind::LiveRoom => "went on air",
            TargetKind::Product => "was listed",
            TargetKind::ShortVideo => "was posted",
            TargetKind::Merchant => "opened",
        };
        Self { policy, item: kind_name(kind), began }
    }

    /// The parts of a condition that all have to hold. None for a condition that always does.
    pub(super) fn all_of(self, predicate: &Predicate) -> Vec<String> {
        match tree(predicate) {
            None => Vec::new(),
            Some(Node::And(parts)) => parts.iter().map(|part| self.node(part, false, false)).collect(),
            Some(other) => vec![self.node(&other, false, false)],
        }
    }

    /// A condition in one sentence; `everybody` for one that always holds.
    pub(super) fn sentence(self, predicate: &Predicate) -> String {
        tree(predicate).map_or_else(|| "everybody".to_owned(), |tree| self.node(&tree, false, false))
    }

    /// A part, or what it means when it does not hold.
    fn node(self, node: &Node, negated: bool, inside: bool) -> String {
        let (parts, joint) = match (node, negated) {
            (Node::Test(test), _) => return self.test(test, negated),
            (Node::Not(part), _) => return self.node(part, !negated, inside),
            // Not both: one of them not.
            (Node::And(parts), false) | (Node::Or(parts), true) => (parts, " and "),
            (Node::Or(parts), false) | (Node::And(parts), true) => (parts, " or "),
        };
        let text = parts.iter().map(|part| self.node(part, negated, true)).collect::<Vec<_>>().join(joint);
        if inside { format!("({text})") } else { text }
    }

    fn test(self, test: &Test, negated: bool) -> String {
        let not = if negated { "not " } else { "" };
        match test {
            Test::Number(NumberColumn::EnrolmentDay(list), comparison, day) => {
                let days = (-1e6..1e6).contains(day).then(|| format!("{day:.0}").parse().ok()).flatten();
                let day = Day(days.unwrap_or(0));
                let when = match comparison {
                    Comparison::Less => "before",
                    Comparison::AtMost => "no later than",
                    Comparison::Equal => "on",
                    Comparison::NotEqual => "not on",
                    Comparison::AtLeast => "no earlier than",
                    Comparison::Greater => "after",
                };
                format!("{not}put on the list `{list}` {when} {day}")
            }
            Test::Number(NumberColumn::DaysSinceFirstSale, Comparison::AtLeast, constant) if *constant <= 0.0 => {
                format!("has {not}sold yet")
            }
            Test::Number(column, comparison, constant) => {
                let value = self.value(column, *constant);
                format!("{} {not}{} {value}", self.number(column), compare(*comparison))
            }
            Test::Ratio(above, below, comparison, constant) => {
                let (above, below) = (self.number(above), self.number(below));
                format!("{above} over {below} {not}{} {}", compare(*comparison), plain(*constant))
            }
            Test::Text(column, texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                format!("{} is {not}{}", self.text(*column), either(&texts))
            }
            Test::Member(list, entry) => self.member(*list, entry, negated),
            Test::Flag(flag) => self.flag(flag, negated),
        }
    }

    fn number(self, column: &NumberColumn) -> String {
        match column {
            NumberColumn::FanCount => "followers".to_owned(),
            NumberColumn::DaysSinceOpening => "days since the shop opened".to_owned(),
            NumberColumn::DaysSinceFirstSale => "days since the first sale".to_owned(),
            NumberColumn::DaysSinceEnrolment(list) => format!("days on the list `{list}`"),
            NumberColumn::EnrolmentDay(list) => format!("day it was put on the list `{list}`"),
            NumberColumn::TrustScore => "trust score".to_owned(),
            NumberColumn::LayerScore(layer) => format!("score of the layer {}", layer.name().replace('_', " ")),
            NumberColumn::Signal(index) => self.signal(*index),
            NumberColumn::Sum(id) => self.sum(self.policy.model.layout.sum(*id)),
            NumberColumn::Level(id) => {
                let counter = self.policy.model.layout.levels().get(usize::from(id.0));
                self.policy
                    .counters
                    .iter()
                    .find(|def| Some(&def.id) == counter)
                    .map_or_else(String::new, |def| def.description.clone())
            }
            NumberColumn::Capability(capability) => {
                format!("{} of its service provider", capability.name().replace('_', " "))
            }
            NumberColumn::ProviderRank => "place of its service provider".to_owned(),
            NumberColumn::ItemAge => format!("days since the {} {}", self.item, self.began),
            NumberColumn::Promoters => format!("merchants that promote the {}", self.item),
            NumberColumn::ItemSum(id) => format!("{} of the {}", self.sum(self.policy.item_layout.sum(*id)), self.item),
        }
    }

    fn signal(self, index: u16) -> String {
        let signal = self.policy.model.signals.get(usize::from(index));
        signal.map_or_else(String::new, |signal| format!("“{}”", signal.name))
    }

    /// A sum by its position, in words.
    pub(super) fn sum_of(self, id: SumId) -> String {
        self.sum(self.policy.model.layout.sum(id))
    }

    fn sum(self, sum: Option<&(crate::domain::CounterId, Window)>) -> String {
        let Some((counter, window)) = sum else { return String::new() };
        let name = self.policy.counters.iter().find(|def| def.id == *counter).map_or("", |def| def.name.as_str());
        let name = name.trim_end_matches("_fen").replace('_', " ").replace("gmv", "GMV");
        match (&window.span, window.offset_days) {
            (_, 0) => format!("{name} ({})", window.describe()),
            (Span::Days(days), offset) if *days == offset => format!("{name} (the {days} days before those)"),
            (span, offset) => {
                let window = Window { span: span.clone(), offset_days: 0 };
                format!("{name} ({}, {offset} days earlier)", window.describe())
            }
        }
    }

    /// A constant in the unit of its column; money in yuan.
    fn value(self, column: &NumberColumn, constant: f64) -> String {
        let unit = |layout: &crate::trust::FactsLayout, id: SumId| {
            let counter = layout.sum(id).map(|(counter, _)| *counter);
            self.policy.counters.iter().any(|def| Some(def.id) == counter && def.unit == "fen")
        };
        let is_money = if let NumberColumn::Sum(id) = column {
            unit(&self.policy.model.layout, *id)
        } else if let NumberColumn::ItemSum(id) = column {
            unit(&self.policy.item_layout, *id)
        } else {
            false
        };
        if is_money { format!("{} yuan", plain(constant / 100.0)) } else { plain(constant) }
    }

    fn text(self, column: TextColumn) -> String {
        match column {
            TextColumn::Kind => "kind of merchant".to_owned(),
            TextColumn::Region => "region".to_owned(),
            TextColumn::OriginBelt => "industry belt".to_owned(),
            TextColumn::MainCategory => "main category".to_owned(),
            TextColumn::TrustTier => "trust tier".to_owned(),
            TextColumn::Stage => "stage".to_owned(),
            TextColumn::ItemMainCategory => format!("main category of the {}", self.item),
        }
    }

    fn member(self, list: ListColumn, entry: &str, negated: bool) -> String {
        let not = if negated { "not " } else { "" };
        match list {
            ListColumn::Tags => format!("{not}tagged `{entry}`"),
            ListColumn::Categories => format!("{} {}", if negated { "does not sell" } else { "sells" }, quoted(entry)),
            ListColumn::Enrolments => format!("{not}on the list `{entry}`"),
            ListColumn::Packages => {
                let has = if negated { "nothing" } else { "something" };
                format!("{has} left of its packages for {}", entry.replace('_', " "))
            }
            ListColumn::Rights => {
                let right = self.policy.model.rights.iter().find(|right| right.id == entry);
                let name = right.map_or(entry, |right| right.name.as_str());
                format!("{} the right “{name}”", if negated { "does not hold" } else { "holds" })
            }
            ListColumn::ProviderTags => format!("its service provider is {not}tagged `{entry}`"),
            ListColumn::ItemTags => format!("the {} is {not}tagged `{entry}`", self.item),
            ListColumn::ItemCategories => format!("the {} is {not}of {}", self.item, quoted(entry)),
        }
    }

    fn flag(self, flag: &FlagColumn, negated: bool) -> String {
        match (flag, negated) {
            (FlagColumn::PriorIdentityViolation, false) => "its owner ran a punished shop before".to_owned(),
            (FlagColumn::PriorIdentityViolation, true) => "its owner ran no punished shop before".to_owned(),
            (FlagColumn::ShipsGoods { .. }, false) => "ships goods".to_owned(),
            (FlagColumn::ShipsGoods { .. }, true) => "ships nothing".to_owned(),
            (FlagColumn::SignalMeasured(index), false) => format!("{} was measured", self.signal(*index)),
            (FlagColumn::SignalMeasured(index), true) => format!("{} was not measured", self.signal(*index)),
            (FlagColumn::ItemVirtual, false) => format!("the {} is virtual", self.item),
            (FlagColumn::ItemVirtual, true) => format!("the {} is shipped", self.item),
        }
    }
}

/// The tree of a predicate's postfix program.
fn tree(predicate: &Predicate) -> Option<Node<'_>> {
    let mut stack: Vec<Node> = Vec::new();
    for step in &predicate.steps {
        let node = match step {
            Step::Condition(index) => Node::Test(&predicate.conditions.get(usize::from(*index))?.test),
            Step::Not => Node::Not(Box::new(stack.pop()?)),
            Step::And | Step::Or => {
                let (right, left) = (stack.pop()?, stack.pop()?);
                if *step == Step::And { Node::And(both(left, right, true)) } else { Node::Or(both(left, right, false)) }
            }
        };
        stack.push(node);
    }
    stack.pop()
}

/// Two parts as one list, those of parts of the same joint included.
fn both<'a>(left: Node<'a>, right: Node<'a>, is_and: bool) -> Vec<Node<'a>> {
    let parts = |node| match node {
        Node::And(parts) if is_and => parts,
        Node::Or(parts) if !is_and => parts,
        part @ (Node::Test(_) | Node::Not(_) | Node::And(_) | Node::Or(_)) => vec![part],
    };
    let mut joined = parts(left);
    joined.extend(parts(right));
    joined
}

fn compare(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Less => "below",
        Comparison::AtMost => "at most",
        Comparison::Equal => "exactly",
        Comparison::NotEqual => "other than",
        Comparison::AtLeast => "at least",
        Comparison::Greater => "above",
    }
}

/// What a kind of target is called.
pub(super) fn kind_name(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::LiveRoom => "live room",
        TargetKind::Product => "product",
        TargetKind::Merchant => "merchant",
        TargetKind::ShortVideo => "short video",
    }
}

/// An id without underscores; a text that is empty says so.
fn quoted(text: &str) -> String {
    if text.is_empty() { "empty".to_owned() } else { text.replace('_', " ") }
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn either(texts: &[String]) -> String {
    match texts {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        [only] => only.clone(),
        _ => String::new(),
    }
}

/// A number as people write it: thousands apart.
pub(super) fn plain(number: f64) -> String {
    let text = number.to_string();
    let (whole, part) = text.split_once('.').map_or((text.as_str(), None), |(whole, part)| (whole, Some(part)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let grouped = digits.bytes().enumerate().fold(String::new(), |mut grouped, (position, digit)| {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(char::from(digit));
        grouped
    });
    format!("{sign}{grouped}{}", part.map(|part| format!(".{part}")).unwrap_or_default())
}

/// A share in percent.
pub(super) fn percent(share: f64) -> String {
    // Ten decimals hide what a hundredth cannot say exactly.
    let rounded = format!("{:.10}", share * 100.0);
    format!("{} %", rounded.trim_end_matches('0').trim_end_matches('.'))
}
