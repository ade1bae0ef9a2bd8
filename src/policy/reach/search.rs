//! Looks for outcomes of conditions that make expressions hold: alternatives are tried one after the other, and a
//! branch ends where conditions contradict each other. Steps are counted; what they do not suffice for is not refuted.

use super::node::Node;
use super::store::{Limits, Store};
use crate::trust::Condition;
use std::cell::Cell;

/// Most steps of one search.
pub(super) const STEPS_PER_SEARCH: u32 = 4_096;
/// Most steps of all searches of a policy.
pub(super) const STEPS_IN_ALL: u32 = 400_000;

/// What is known about merchants before any search.
pub(super) struct Known<'a> {
    pub(super) limits: Limits<'a>,
    /// Of each stage: its condition, and that it does not hold.
    pub(super) stages: Vec<(Node<'a>, Node<'a>)>,
    /// What is left for all searches.
    pub(super) steps: Cell<u32>,
}

/// What a search came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// They can hold together: the conditions of one way to do so, as written.
    Together(Vec<String>),
    /// They cannot; two conditions that contradict each other, where these alone decide.
    Never(Option<String>),
    /// There are too many alternatives to tell.
    Unknown,
}

/// Whether expressions can hold together.
pub(super) fn search<'a>(known: &Known<'a>, roots: &[&Node<'a>]) -> Found {
    Search {
        known,
        store: Store::new(known.limits),
        agenda: Vec::new(),
        head: None,
        choices: Vec::new(),
        path: Vec::new(),
        conflict: None,
    }
    .run(roots)
}

struct Search<'s, 'a> {
    known: &'s Known<'a>,
    store: Store<'a>,
    /// Lists that share their tails: a node, and the position of the next.
    agenda: Vec<(&'s Node<'a>, Option<usize>)>,
    head: Option<usize>,
    choices: Vec<Choice<'s, 'a>>,
    path: Vec<(&'a Condition, bool)>,
    conflict: Option<String>,
}

/// Alternatives that are left, and the way back to where they began.
struct Choice<'s, 'a> {
    left: Vec<&'s Node<'a>>,
    head: Option<usize>,
    agenda: usize,
    path: usize,
    mark: usize,
}

impl<'s, 'a> Search<'s, 'a> {
    fn run(mut self, roots: &[&'s Node<'a>]) -> Found {
        self.push_all(roots.iter().copied());
        let mut was_choice = false;
        for _ in 0..STEPS_PER_SEARCH {
            let Some((node, next)) = self.head.and_then(|head| self.agenda.get(head).copied()) else {
                return Found::Together(
                    self.path.iter().map(|(condition, outcome)| written(condition, *outcome)).collect(),
                );
            };
            let left = self.known.steps.get();
            if left == 0 {
                return Found::Unknown;
            }
            self.known.steps.set(left - 1);
            self.head = next;
            let goes_on = self.step(node);
            was_choice |= !self.choices.is_empty();
            if !goes_on && !self.go_back() {
                return Found::Never(self.conflict.filter(|_| !was_choice));
            }
        }
        Found::Unknown
    }

    fn step(&mut self, node: &'s Node<'a>) -> bool {
        match node {
            Node::Test(condition, outcome) => self.add(condition, *outcome),
            Node::All(nodes) => {
                self.push_all(nodes.iter());
                true
            }
            Node::Any(nodes) => self.choose(nodes.iter().collect()),
            Node::Stage(position, true) => {
                let stages = &self.known.stages;
                let earlier = stages.iter().take(*position).map(|(_, is_not)| is_not);
                self.push_all(earlier.chain(stages.get(*position).map(|(is, _)| is)));
                true
            }
            Node::Stage(position, false) => {
                let stages = &self.known.stages;
                let not = stages.get(*position).map(|(_, is_not)| is_not);
                self.choose(not.into_iter().chain(stages.iter().take(*position).map(|(is, _)| is)).collect())
            }
        }
    }

    fn add(&mut self, condition: &'a Condition, outcome: bool) -> bool {
        let possible = self.store.add(condition, outcome);
        if !possible && self.conflict.is_none() {
            self.conflict = self.contradiction(condition, outcome);
        }
        self.path.push((condition, outcome));
        possible
    }

    /// Names the condition that another contradicts, alone.
    fn contradiction(&self, condition: &'a Condition, outcome: bool) -> Option<String> {
        let new = written(condition, outcome);
        if !Store::new(self.known.limits).add(condition, outcome) {
            return Some(format!("`{new}` never holds"));
        }
        let (other, other_outcome) = self.path.iter().find(|(other, other_outcome)| {
            let mut store = Store::new(self.known.limits);
            !(store.add(other, *other_outcome) && store.add(condition, outcome))
        })?;
        Some(format!("`{}` and `{new}` contradict each other", written(other, *other_outcome)))
    }

    /// Puts nodes first on the agenda, those without alternatives before the others.
    fn push_all(&mut self, nodes: impl DoubleEndedIterator<Item = &'s Node<'a>> + Clone) {
        let has_alternatives = |node: &&Node| matches!(node, Node::Any(_) | Node::Stage(_, false));
        for node in
            nodes.clone().rev().filter(has_alternatives).chain(nodes.rev().filter(|node| !has_alternatives(node)))
        {
            self.push(node);
        }
    }

    fn push(&mut self, node: &'s Node<'a>) {
        self.agenda.push((node, self.head));
        self.head = Some(self.agenda.len() - 1);
    }

    /// Takes the first of some alternatives.
    fn choose(&mut self, mut alternatives: Vec<&'s Node<'a>>) -> bool {
        alternatives.reverse();
        let Some(first) = alternatives.pop() else { return false };
        if !alternatives.is_empty() {
            self.choices.push(Choice {
                left: alternatives,
                head: self.head,
                agenda: self.agenda.len(),
                path: self.path.len(),
                mark: self.store.mark(),
            });
        }
        self.push(first);
        true
    }

    /// Takes the next alternative of the last choice; whether there was one.
    fn go_back(&mut self) -> bool {
        let Some(choice) = self.choices.last_mut() else { return false };
        self.store.back_to(choice.mark);
        self.agenda.truncate(choice.agenda);
        self.path.truncate(choice.path);
        self.head = choice.head;
        let next = choice.left.pop();
        if choice.left.is_empty() {
            self.choices.pop();
        }
        next.is_some_and(|next| {
            self.push(next);
            true
        })
    }
}

fn written(condition: &Condition, outcome: bool) -> String {
    if outcome { condition.text.clone() } else { format!("!({})", condition.text) }
}
