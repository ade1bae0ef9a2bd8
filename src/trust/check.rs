//! A predicate put together for deciding alone. Conditions only look: what the outcome does not need is left out, and
//! the outcome is that of [`Predicate::holds`].

use super::columns::{FlagColumn, NumberColumn};
use super::predicate::{Predicate, Step, Test};
use super::view::Seen;

/// A predicate that only answers whether it holds: for every merchant and programme, when a policy is published.
#[derive(Clone, Debug, PartialEq)]
pub struct Check(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Always,
    Never,
    Test(Test),
    Not(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
}

impl Check {
    /// What a predicate comes to.
    #[must_use]
    pub fn new(predicate: &Predicate) -> Self {
        if predicate.is_always() {
            return Self(Node::Always);
        }
        let mut stack: Vec<Node> = Vec::new();
        let pop = |stack: &mut Vec<Node>| stack.pop().unwrap_or(Node::Never);
        for step in &predicate.steps {
            let node = match step {
                Step::Condition(index) => predicate
                    .conditions
                    .get(usize::from(*index))
                    .map_or(Node::Never, |condition| Node::Test(condition.test.clone())),
                Step::Not => Node::Not(Box::new(pop(&mut stack))),
                Step::And => {
                    let (second, first) = (pop(&mut stack), pop(&mut stack));
                    let mut parts = conjuncts(first);
                    parts.extend(conjuncts(second));
                    Node::All(parts)
                }
                Step::Or => {
                    let (second, first) = (pop(&mut stack), pop(&mut stack));
                    let mut parts = disjuncts(first);
                    parts.extend(disjuncts(second));
                    Node::Any(parts)
                }
            };
            stack.push(node);
        }
        let mut node = pop(&mut stack);
        node.sort();
        Self(node)
    }

    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, seen: &Seen) -> bool {
        self.0.holds(seen)
    }
}

/// What `&&` joins in a part.
fn conjuncts(node: Node) -> Vec<Node> {
    if let Node::All(parts) = node { parts } else { vec![node] }
}

/// What `||` joins in a part.
fn disjuncts(node: Node) -> Vec<Node> {
    if let Node::Any(parts) = node { parts } else { vec![node] }
}

impl Node {
    fn holds(&self, seen: &Seen) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Test(test) => test.holds(seen),
            Self::Not(node) => !node.holds(seen),
            Self::All(nodes) => nodes.iter().all(|node| node.holds(seen)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(seen)),
        }
    }

    /// Puts first what is quickly looked at: it often decides.
    fn sort(&mut self) {
        match self {
            Self::Always | Self::Never | Self::Test(_) => {}
            Self::Not(node) => node.sort(),
            Self::All(nodes) | Self::Any(nodes) => {
                nodes.iter_mut().for_each(Self::sort);
                nodes.sort_by_key(Self::cost);
            }
        }
    }

    /// Roughly what it takes to look.
    fn cost(&self) -> usize {
        match self {
            Self::Always | Self::Never => 0,
            Self::Test(Test::Flag(FlagColumn::ShipsGoods { no_logistics })) => no_logistics.len().saturating_add(1),
            Self::Test(Test::Number(NumberColumn::DaysSinceEnrolment(_) | NumberColumn::EnrolmentDay(_), ..)) => 4,
            Self::Test(Test::Flag(_) | Test::Number(..)) => 1,
            Self::Test(Test::Ratio(..)) => 2,
            Self::Test(Test::Member(..)) => 3,
            Self::Test(Test::Text(_, texts)) => texts.len().saturating_add(1),
            Self::Not(node) => node.cost(),
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().map(Self::cost).fold(0, usize::saturating_add),
        }
    }
}
