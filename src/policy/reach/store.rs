//! What conditions say about the columns of one merchant or item, taken together.

use super::values::{Numbers, Range, Texts};
use crate::trust::{
    Comparison, Condition, FlagColumn, Layer, ListColumn, NumberColumn, Signal, SignalKind, Test, TextColumn,
};

/// What a policy says about the values of columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits<'a> {
    /// Ids of the tiers with the scores they have, from and to; empty if they are not known.
    pub(super) tiers: &'a [(&'a str, f64, f64)],
    /// Ids of the stages; empty if they are not known.
    pub(super) stages: &'a [&'a str],
    /// The signals; empty if they are not known.
    pub(super) signals: &'a [Signal],
    /// Highest trust score.
    pub(super) max_score: f64,
    /// Highest layer scores, by layer index.
    pub(super) max_layers: [f64; 3],
}

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Key<'a> {
    Number(&'a NumberColumn),
    /// Days since enrolment on a list, and being on it: these say the same.
    Enrolment(&'a str),
    Ratio(&'a NumberColumn, &'a NumberColumn),
    Text(TextColumn),
    Member(ListColumn, &'a str),
    Flag(&'a FlagColumn),
    Measured(u16),
}

/// What is left of its values.
#[derive(Clone, Debug)]
enum Slot<'a> {
    Numbers(Numbers),
    Texts(Texts<'a>),
    Truth(bool),
}

/// Conditions that hold together, with a way back.
#[derive(Debug)]
pub(super) struct Store<'a> {
    limits: Limits<'a>,
    slots: Vec<(Key<'a>, Slot<'a>)>,
    /// What was there before each change: position, and the slot unless it is new.
    trail: Vec<(usize, Option<Slot<'a>>)>,
}

impl<'a> Store<'a> {
    pub(super) fn new(limits: Limits<'a>) -> Self {
        Self { limits, slots: Vec::new(), trail: Vec::new() }
    }

    /// A mark to go back to.
    pub(super) fn mark(&self) -> usize {
        self.trail.len()
    }

    /// Forgets everything since a mark.
    pub(super) fn back_to(&mut self, mark: usize) {
        while self.trail.len() > mark
            && let Some((position, before)) = self.trail.pop()
        {
            match (before, self.slots.get_mut(position)) {
                (Some(before), Some((_, slot))) => *slot = before,
                _ => self.slots.truncate(position),
            }
        }
    }

    /// Adds a condition with its outcome; whether it can hold together with what is there.
    pub(super) fn add(&mut self, condition: &'a Condition, outcome: bool) -> bool {
        match &condition.test {
            Test::Number(column, comparison, constant) => {
                let key = number_key(column);
                let possible = self.number(key, |numbers| numbers.compare(*comparison, *constant, outcome));
                let score_agrees = *column != NumberColumn::TrustScore || self.tiers_agree();
                // The day of enrolment is known where the days since then are.
                let day_agrees = if let (NumberColumn::EnrolmentDay(list), true) = (column, outcome) {
                    self.number(Key::Enrolment(list), Numbers::know)
                } else {
                    true
                };
                possible && score_agrees && day_agrees
            }
            Test::Ratio(above, below, comparison, constant) => {
                let possible =
                    self.number(Key::Ratio(above, below), |numbers| numbers.compare(*comparison, *constant, outcome));
                // A ratio is known where both are and the second is above 0.
                possible
                    && (!outcome
                        || self.number(number_key(above), Numbers::know)
                            && self.number(number_key(below), |numbers| {
                                numbers.compare(Comparison::Greater, 0.0, true);
                            }))
            }
            Test::Text(column, texts) => {
                let possible = self.text(*column, |left| left.is_one_of(texts, outcome));
                possible
                    && match column {
                        TextColumn::TrustTier => self.tiers_agree(),
                        TextColumn::MainCategory | TextColumn::ItemMainCategory => self.categories_agree(),
                        TextColumn::Kind | TextColumn::Region | TextColumn::OriginBelt | TextColumn::Stage => true,
                    }
            }
            Test::Member(ListColumn::Enrolments, list) => {
                // On the list means enrolled today or before.
                self.number(Key::Enrolment(list), |numbers| numbers.compare(Comparison::AtLeast, 0.0, outcome))
            }
            Test::Member(column, text) => self.truth(Key::Member(*column, text), outcome) && self.categories_agree(),
            Test::Flag(FlagColumn::SignalMeasured(signal)) => {
                self.truth(Key::Measured(*signal), outcome)
                    // What was measured is known.
                    && self.slots.iter().all(|(key, slot)| match (key, slot) {
                        (Key::Number(NumberColumn::Signal(other)), Slot::Numbers(numbers)) => {
                            !outcome || other != signal || numbers.has_value()
                        }
                        _ => true,
                    })
            }
            Test::Flag(flag) => self.truth(Key::Flag(flag), outcome) && self.categories_agree(),
        }
    }

    fn position(&self, key: Key<'a>) -> Option<usize> {
        self.slots.iter().position(|(other, _)| *other == key)
    }

    fn slot(&self, key: Key<'a>) -> Option<&Slot<'a>> {
        self.slots.iter().find(|(other, _)| *other == key).map(|(_, slot)| slot)
    }

    fn put(&mut self, key: Key<'a>, slot: Slot<'a>) {
        let position = self.position(key).unwrap_or(self.slots.len());
        if let Some((_, old)) = self.slots.get_mut(position) {
            let old = std::mem::replace(old, slot);
            self.trail.push((position, Some(old)));
        } else {
            self.trail.push((position, None));
            self.slots.push((key, slot));
        }
    }

    fn numbers(&self, key: Key<'a>) -> Numbers {
        match self.slot(key) {
            Some(Slot::Numbers(numbers)) => numbers.clone(),
            _ => Numbers::new(self.range(key)),
        }
    }

    fn number(&mut self, key: Key<'a>, change: impl FnOnce(&mut Numbers)) -> bool {
        let mut numbers = self.numbers(key);
        change(&mut numbers);
        let is_measured = matches!(key, Key::Number(NumberColumn::Signal(signal))
            if self.truth_of(Key::Measured(*signal)) == Some(true));
        let possible = if is_measured { numbers.has_value() } else { numbers.is_possible() };
        self.put(key, Slot::Numbers(numbers));
        possible
    }

    fn texts(&self, column: TextColumn) -> Texts<'a> {
        match self.slot(Key::Text(column)) {
            Some(Slot::Texts(texts)) => texts.clone(),
            _ => Texts::default(),
        }
    }

    fn text(&mut self, column: TextColumn, change: impl FnOnce(&mut Texts<'a>)) -> bool {
        let mut texts = self.texts(column);
        change(&mut texts);
        let possible = texts.is_possible()
            && match column {
                TextColumn::Kind => ["ordinary", "kuai_brand", "brand"].iter().any(|kind| texts.allows(kind)),
                // Tiers are looked at together with the score; a merchant may be in no stage; the others have no end.
                TextColumn::TrustTier
                | TextColumn::Stage
                | TextColumn::Region
                | TextColumn::OriginBelt
                | TextColumn::MainCategory
                | TextColumn::ItemMainCategory => true,
            };
        self.put(Key::Text(column), Slot::Texts(texts));
        possible
    }

    fn truth_of(&self, key: Key<'a>) -> Option<bool> {
        match self.slot(key) {
            Some(Slot::Truth(truth)) => Some(*truth),
            _ => None,
        }
    }

    fn truth(&mut self, key: Key<'a>, outcome: bool) -> bool {
        if let Some(truth) = self.truth_of(key) {
            return truth == outcome;
        }
        self.put(key, Slot::Truth(outcome));
        true
    }

    /// Whether some tier that is left has a score that is left.
    fn tiers_agree(&self) -> bool {
        let (score, tier) = (self.numbers(Key::Number(&NumberColumn::TrustScore)), self.texts(TextColumn::TrustTier));
        let tiers = self.limits.tiers;
        tiers.is_empty() || tiers.iter().any(|(id, low, high)| tier.allows(id) && score.has_value_in(*low, *high))
    }

    /// Whether the first category, the list of categories and shipping can be as they must.
    fn categories_agree(&self) -> bool {
        let mut no_logistics: Option<&'a [String]> = None;
        for (key, slot) in &self.slots {
            if let (Key::Flag(FlagColumn::ShipsGoods { no_logistics: list }), Slot::Truth(false)) = (key, slot) {
                no_logistics = Some(list);
            }
        }
        self.list_agrees(ListColumn::Categories, TextColumn::MainCategory, no_logistics)
            && self.list_agrees(ListColumn::ItemCategories, TextColumn::ItemMainCategory, None)
    }

    /// `only`: all entries are among these, and there is one.
    fn list_agrees(&self, list: ListColumn, first: TextColumn, only: Option<&'a [String]>) -> bool {
        let mut first = self.texts(first);
        if let Some(only) = only {
            first.only(only);
        }
        for (key, slot) in &self.slots {
            let (Key::Member(column, text), Slot::Truth(is_member)) = (key, slot) else { continue };
            if *column != list {
                continue;
            }
            if *is_member {
                first.is_known = true;
                if only.is_some_and(|only| !only.iter().any(|other| other == text)) {
                    return false;
                }
            } else {
                first.not.push(text);
            }
        }
        first.is_possible()
    }

    /// What is known of a number before any condition.
    fn range(&self, key: Key<'a>) -> Range {
        let count = Range { low: 0.0, high: f64::INFINITY, is_whole: true, is_known: false };
        // Days are below 0 before their first day.
        let days = Range { low: f64::NEG_INFINITY, ..count };
        let any = Range { is_whole: false, ..days };
        match key {
            Key::Number(column) => match column {
                NumberColumn::FanCount | NumberColumn::Sum(_) | NumberColumn::ItemSum(_) | NumberColumn::Promoters => {
                    Range { is_known: true, ..count }
                }
                NumberColumn::Level(_) => count,
                NumberColumn::ProviderRank => Range { low: 1.0, ..count },
                NumberColumn::Capability(_) => Range { high: 100.0, ..count },
                NumberColumn::DaysSinceOpening
                | NumberColumn::DaysSinceFirstSale
                | NumberColumn::DaysSinceEnrolment(_)
                | NumberColumn::EnrolmentDay(_)
                | NumberColumn::ItemAge => days,
                NumberColumn::TrustScore => score(self.limits.max_score),
                NumberColumn::LayerScore(layer) => score(self.max_layer(*layer)),
                NumberColumn::Signal(index) => match self.limits.signals.get(usize::from(*index)) {
                    Some(signal) => match signal.kind {
                        SignalKind::Share { .. } => Range { low: 0.0, high: 1.0, ..any },
                        SignalKind::Mean { .. }
                        | SignalKind::Level { .. }
                        | SignalKind::Growth { .. }
                        | SignalKind::Derived(_) => Range { low: 0.0, ..any },
                        SignalKind::Composite { .. } => any,
                    },
                    None => any,
                },
            },
            Key::Enrolment(_) => days,
            Key::Ratio(above, below) => {
                let is_count = |column| self.range(number_key(column)).low >= 0.0;
                if is_count(above) && is_count(below) { Range { low: 0.0, ..any } } else { any }
            }
            Key::Text(_) | Key::Member(..) | Key::Flag(_) | Key::Measured(_) => any,
        }
    }

    fn max_layer(&self, layer: Layer) -> f64 {
        self.limits.max_layers.get(layer.index()).copied().unwrap_or(100.0)
    }
}

/// A score from 0, which everybody has.
fn score(high: f64) -> Range {
    Range { low: 0.0, high, is_whole: false, is_known: true }
}

fn number_key(column: &NumberColumn) -> Key<'_> {
    if let NumberColumn::DaysSinceEnrolment(list) = column { Key::Enrolment(list) } else { Key::Number(column) }
}
