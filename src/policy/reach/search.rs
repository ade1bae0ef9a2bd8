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

/// One or two conditions that decide alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    /// The condition that came last, as written.
    pub(super) part: String,
    /// What is wrong with it.
    pub(super) message: String,
}

/// What a search came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// They can hold together: the conditions of one way to do so, as written.
    Together(Vec<String>),
    /// They cannot; why, where one or two conditions alone decide.
    Never(Option<Conflict>),
    /// There are too many alternatives to tell.
    Unknown,
}

/// Whether expressions can hold together.
pub(super) fn search<'a>(known: &Known<'a>, roots: &[&Node<'a>]) -> Found {
    Search {
        known,
        store: Store::new(known.limits),
        agenda: Vec::new(),
        heads: Heads::default(),
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
    heads: Heads,
    choices: Vec<Choice<'s, 'a>>,
    path: Vec<(&'a Condition, bool)>,
    conflict: Option<Conflict>,
}

/// Where the lists of the agenda begin.
#[derive(Clone, Copy, Default)]
struct Heads {
    /// What has no alternatives: it narrows everything else, and goes first.
    certain: Option<usize>,
    /// What has.
    open: Option<usize>,
}

/// Alternatives that are left, and the way back to where they began.
struct Choice<'s, 'a> {
    left: Vec<&'s Node<'a>>,
    heads: Heads,
    agenda: usize,
    path: usize,
    mark: usize,
}

impl<'s, 'a> Search<'s, 'a> {
    fn run(mut self, roots: &[&'s Node<'a>]) -> Found {
        self.push_all(roots.iter().copied());
        let mut was_choice = false;
        for _ in 0..STEPS_PER_SEARCH {
            let Some(node) = self.next() else {
                let path = self.path.iter().map(|(condition, outcome)| written(condition, *outcome));
                return Found::Together(path.collect());
            };
            let left = self.known.steps.get();
            if left == 0 {
                return Found::Unknown;
            }
            self.known.steps.set(left - 1);
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
    fn contradiction(&self, condition: &'a Condition, outcome: bool) -> Option<Conflict> {
        let (new, part) = (written(condition, outcome), condition.text.clone());
        if !Store::new(self.known.limits).add(condition, outcome) {
            return Some(Conflict { part, message: format!("`{new}` never holds") });
        }
        let (other, other_outcome) = self.path.iter().find(|(other, other_outcome)| {
            let mut store = Store::new(self.known.limits);
            !(store.add(other, *other_outcome) && store.add(condition, outcome))
        })?;
        let message = format!("`{}` and `{new}` contradict each other", written(other, *other_outcome));
        Some(Conflict { part, message })
    }

    fn push_all(&mut self, nodes: impl DoubleEndedIterator<Item = &'s Node<'a>>) {
        nodes.rev().for_each(|node| self.push(node));
    }

    fn push(&mut self, node: &'s Node<'a>) {
        let is_open = matches!(node, Node::Any(_) | Node::Stage(_, false));
        let head = if is_open { &mut self.heads.open } else { &mut self.heads.certain };
        self.agenda.push((node, *head));
        *head = Some(self.agenda.len() - 1);
    }

    /// Takes the next node off the agenda.
    fn next(&mut self) -> Option<&'s Node<'a>> {
        let head = if self.heads.certain.is_some() { &mut self.heads.certain } else { &mut self.heads.open };
        let (node, next) = self.agenda.get((*head)?).copied()?;
        *head = next;
        Some(node)
    }

    /// Takes the first of some alternatives.
    fn choose(&mut self, mut alternatives: Vec<&'s Node<'a>>) -> bool {
        alternatives.reverse();
        let Some(first) = alternatives.pop() else { return false };
        if !alternatives.is_empty() {
            self.choices.push(Choice {
                left: alternatives,
                heads: self.heads,
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
        self.heads = choice.heads;
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
