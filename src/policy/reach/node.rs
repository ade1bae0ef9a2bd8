//! Expressions as trees without negation above a condition: what a search walks.

use crate::trust::{Condition, Predicate, Step, Test, TextColumn};

/// What has to hold.
#[derive(Clone, Debug)]
pub(super) enum Node<'a> {
    /// A condition, and the outcome it must have. A value that is not known meets no condition, and so the outcome
    /// `false` does not say that the opposite comparison holds.
    Test(&'a Condition, bool),
    /// All of these.
    All(Vec<Node<'a>>),
    /// One of these.
    Any(Vec<Node<'a>>),
    /// The merchant is, or is not, in the stage at this position.
    Stage(usize, bool),
}

impl<'a> Node<'a> {
    /// An expression that must hold, and the same that must not. `stages` are the names of all stages, where known.
    pub(super) fn of(predicate: &'a Predicate, stages: &[&str]) -> (Self, Self) {
        let mut stack: Vec<(Self, Self)> = Vec::new();
        for step in &predicate.steps {
            let made = match step {
                Step::Condition(index) => match predicate.conditions.get(usize::from(*index)) {
                    Some(condition) => (Self::test(condition, true, stages), Self::test(condition, false, stages)),
                    None => (Self::Any(Vec::new()), Self::All(Vec::new())),
                },
                Step::Not => {
                    let Some((holds, fails)) = stack.pop() else { continue };
                    (fails, holds)
                }
                Step::And | Step::Or => {
                    let (Some(right), Some(left)) = (stack.pop(), stack.pop()) else { continue };
                    if *step == Step::And {
                        (left.0.and(right.0), left.1.or(right.1))
                    } else {
                        (left.0.or(right.0), left.1.and(right.1))
                    }
                }
            };
            stack.push(made);
        }
        // No steps: it holds for everything.
        stack.pop().unwrap_or_else(|| (Self::All(Vec::new()), Self::Any(Vec::new())))
    }

    /// A condition; one about the stage brings in what stages are made of.
    fn test(condition: &'a Condition, outcome: bool, stages: &[&str]) -> Self {
        let test = Self::Test(condition, outcome);
        let Test::Text(TextColumn::Stage, names) = &condition.test else { return test };
        let position = |name: &String| stages.iter().position(|stage| stage == name);
        let Some(positions) = names.iter().map(position).collect::<Option<Vec<usize>>>() else { return test };
        let stages = positions.into_iter().map(|stage| Self::Stage(stage, outcome));
        if outcome { test.and(Self::Any(stages.collect())) } else { stages.fold(test, Self::and) }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All(mut all), Self::All(more)) => {
                all.extend(more);
                Self::All(all)
            }
            (Self::All(mut all), one) => {
                all.push(one);
                Self::All(all)
            }
            (one, other) => Self::All(vec![one, other]),
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any(mut any), Self::Any(more)) => {
                any.extend(more);
                Self::Any(any)
            }
            (Self::Any(mut any), one) => {
                any.push(one);
                Self::Any(any)
            }
            (one, other) => Self::Any(vec![one, other]),
        }
    }
}
