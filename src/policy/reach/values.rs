//! The values that a number or a text can still have after some conditions.

use crate::trust::Comparison;
use std::cmp::Ordering;

/// What is known of a column before any condition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    /// Smallest value.
    pub(super) low: f64,
    /// Largest value.
    pub(super) high: f64,
    /// Whether all values are whole.
    pub(super) is_whole: bool,
    /// Whether the value is always known.
    pub(super) is_known: bool,
}

/// The numbers that a column can have.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers {
    range: Range,
    is_low_open: bool,
    is_high_open: bool,
    not: Vec<f64>,
}

impl Numbers {
    pub(super) fn new(range: Range) -> Self {
        Self { range, is_low_open: false, is_high_open: false, not: Vec::new() }
    }

    /// From now on the value must be known.
    pub(super) fn know(&mut self) {
        self.range.is_known = true;
    }

    /// A comparison with this outcome. Where it must not hold, the value is not known or the opposite holds.
    pub(super) fn compare(&mut self, comparison: Comparison, constant: f64, outcome: bool) {
        // There is one zero here: -0 compares like 0.
        let constant = constant + 0.0;
        if outcome {
            self.know();
        }
        match if outcome { comparison } else { opposite(comparison) } {
            Comparison::Less => self.below(constant, true),
            Comparison::AtMost => self.below(constant, false),
            Comparison::AtLeast => self.above(constant, false),
            Comparison::Greater => self.above(constant, true),
            Comparison::Equal => {
                self.above(constant, false);
                self.below(constant, false);
            }
            Comparison::NotEqual => self.not.push(constant),
        }
    }

    fn above(&mut self, constant: f64, is_open: bool) {
        let (constant, is_open) = match (self.range.is_whole, is_open) {
            (true, true) => (constant.floor() + 1.0, false),
            (true, false) => (constant.ceil(), false),
            (false, is_open) => (constant, is_open),
        };
        match constant.total_cmp(&self.range.low) {
            Ordering::Greater => (self.range.low, self.is_low_open) = (constant, is_open),
            Ordering::Equal => self.is_low_open |= is_open,
            Ordering::Less => {}
        }
    }

    fn below(&mut self, constant: f64, is_open: bool) {
        let (constant, is_open) = match (self.range.is_whole, is_open) {
            (true, true) => (constant.ceil() - 1.0, false),
            (true, false) => (constant.floor(), false),
            (false, is_open) => (constant, is_open),
        };
        match constant.total_cmp(&self.range.high) {
            Ordering::Less => (self.range.high, self.is_high_open) = (constant, is_open),
            Ordering::Equal => self.is_high_open |= is_open,
            Ordering::Greater => {}
        }
    }

    /// Whether the conditions can hold together.
    pub(super) fn is_possible(&self) -> bool {
        !self.range.is_known || self.has_value()
    }

    /// Whether some known value meets all.
    pub(super) fn has_value(&self) -> bool {
        let Range { low, high, is_whole, .. } = self.range;
        let inside = || self.not.iter().filter(|value| (low..=high).contains(*value));
        match low.total_cmp(&high) {
            Ordering::Greater => false,
            Ordering::Equal => !self.is_low_open && !self.is_high_open && inside().next().is_none(),
            Ordering::Less if is_whole => {
                let mut excluded: Vec<f64> =
                    inside().copied().filter(|value| value.fract().abs() < f64::EPSILON).collect();
                excluded.sort_by(f64::total_cmp);
                excluded.dedup_by(|a, b| a.total_cmp(b).is_eq());
                let excluded = u32::try_from(excluded.len()).unwrap_or(u32::MAX);
                high - low + 1.0 > f64::from(excluded)
            }
            // Between two floats that are neighbours there is nothing, but nobody writes such policies.
            Ordering::Less => true,
        }
    }

    /// Whether some known value inside `[low, high)` meets all.
    pub(super) fn has_value_in(&self, low: f64, high: f64) -> bool {
        let mut part = self.clone();
        part.above(low, false);
        part.below(high, true);
        part.has_value()
    }
}

fn opposite(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::AtLeast,
        Comparison::AtMost => Comparison::Greater,
        Comparison::Equal => Comparison::NotEqual,
        Comparison::NotEqual => Comparison::Equal,
        Comparison::AtLeast => Comparison::Less,
        Comparison::Greater => Comparison::AtMost,
    }
}

/// The texts that a column can have.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Texts<'a> {
    /// Whether the value must be known.
    pub(super) is_known: bool,
    /// One of these, if there is a choice of few.
    pub(super) of: Option<Vec<&'a str>>,
    /// None of these.
    pub(super) not: Vec<&'a str>,
}

impl<'a> Texts<'a> {
    /// The text must be, or must not be, one of these.
    pub(super) fn is_one_of(&mut self, texts: &'a [String], outcome: bool) {
        if outcome {
            self.only(texts);
        } else {
            self.not.extend(texts.iter().map(String::as_str));
        }
    }

    /// It must be known, and one of these.
    pub(super) fn only(&mut self, texts: &'a [String]) {
        self.is_known = true;
        let of: Vec<&str> = match self.of.take() {
            Some(of) => of.into_iter().filter(|text| texts.iter().any(|other| other == text)).collect(),
            None => texts.iter().map(String::as_str).collect(),
        };
        self.of = Some(of);
    }

    /// Whether a text is among those that are left.
    pub(super) fn allows(&self, text: &str) -> bool {
        self.of.as_ref().is_none_or(|of| of.contains(&text)) && !self.not.contains(&text)
    }

    /// Whether the conditions can hold together.
    pub(super) fn is_possible(&self) -> bool {
        let left = || self.of.as_ref().is_none_or(|of| of.iter().any(|text| !self.not.contains(text)));
        !self.is_known || left()
    }
}
