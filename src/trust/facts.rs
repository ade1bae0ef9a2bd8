//! What memory keeps of a merchant's facts: window sums, latest levels, when a counter was last sent.

use super::window::{Anchor, DayRange, LevelId, Span, SumId, Window};
use crate::domain::{CounterId, Day, DayFacts, FIRST_FACTS_DAY, Merchant};

/// The day before every facts day: nothing was sent yet.
const NEVER: Day = Day(i32::MIN);
/// A level before it is sent.
const UNSENT: Level = Level { day: NEVER, value: 0 };

/// Which sums and levels a policy needs. Two policies with equal layouts share their sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactsLayout {
    sums: Vec<(CounterId, Window)>,
    levels: Vec<CounterId>,
    first_sale: Option<CounterId>,
    sums_of: Vec<Vec<SumId>>,
    level_of: Vec<Option<LevelId>>,
}

/// Days of a merchant's life that windows begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anchors {
    /// The shop opened.
    pub opening: Option<Day>,
    /// First day with a paid order.
    pub first_sale: Option<Day>,
    /// Enrolments, by list.
    pub enrolments: Vec<(String, Day)>,
}

impl Anchors {
    /// The anchors of a profile, without the first sale.
    #[must_use]
    pub fn of(merchant: &Merchant) -> Self {
        let mut enrolments: Vec<(String, Day)> = merchant.enrolments.iter().map(|e| (e.list.clone(), e.day)).collect();
        enrolments.sort();
        enrolments.dedup_by(|later, first| later.0 == first.0);
        Self { opening: merchant.opened_at.map(crate::domain::Timestamp::day), first_sale: None, enrolments }
    }

    /// The day of an anchor, if the merchant has it.
    #[must_use]
    pub fn day(&self, anchor: &Anchor) -> Option<Day> {
        match anchor {
            Anchor::Opening => self.opening,
            Anchor::FirstSale => self.first_sale,
            Anchor::Enrolment(list) => self.enrolments.iter().find(|(name, _)| name == list).map(|(_, day)| *day),
        }
    }
}

/// The latest value of a level counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The day it is of.
    pub day: Day,
    /// Its value.
    pub value: u64,
}

impl Level {
    /// Itself, unless it was never sent.
    fn sent(self) -> Option<Self> {
        (self.day != NEVER).then_some(self)
    }
}

/// Sums and levels of one merchant, as of a facts day that the holder knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MerchantFacts {
    sums: Box<[u64]>,
    last_sent: Box<[Day]>,
    /// Those never sent are of the day [`NEVER`]: a third smaller than options, for every merchant.
    levels: Box<[Level]>,
    first_sale: Option<Day>,
}

/// What a row did to the first sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstSale {
    /// Nothing.
    Unchanged,
    /// It is earlier now, or there is one now: anchored windows must be summed again.
    Moved,
    /// The row took it away: the next day with a paid order must be looked for.
    Lost,
}

/// The parts of [`MerchantFacts`], for storing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MerchantFactsParts {
    /// One sum per windowed counter of the layout.
    pub sums: Vec<u64>,
    /// Last day each windowed counter was sent, as far as its window reaches; `i32::MIN` for never.
    pub last_sent: Vec<i32>,
    /// One level per level counter of the layout.
    pub levels: Vec<Option<Level>>,
    /// First day with a paid order.
    pub first_sale: Option<Day>,
}

impl FactsLayout {
    /// A layout of these windowed counters and levels. `first_sale` names the counter whose first positive day
    /// anchors windows.
    #[must_use]
    pub fn new(sums: Vec<(CounterId, Window)>, levels: Vec<CounterId>, first_sale: Option<CounterId>) -> Self {
        let counters = sums.iter().map(|s| s.0).chain(levels.iter().copied()).map(|c| usize::from(c.0)).max();
        let len = counters.map_or(0, |highest| highest.saturating_add(1));
        let mut sums_of = vec![Vec::new(); len];
        let mut level_of = vec![None; len];
        for (index, (counter, _)) in (0_u16..).zip(&sums) {
            if let Some(list) = sums_of.get_mut(usize::from(counter.0)) {
                list.push(SumId(index));
            }
        }
        for (index, counter) in (0_u16..).zip(&levels) {
            if let Some(entry) = level_of.get_mut(usize::from(counter.0)) {
                *entry = Some(LevelId(index));
            }
        }
        Self { sums, levels, first_sale, sums_of, level_of }
    }

    /// The windowed counters.
    #[must_use]
    pub fn sums(&self) -> &[(CounterId, Window)] {
        &self.sums
    }

    /// The level counters.
    #[must_use]
    pub fn levels(&self) -> &[CounterId] {
        &self.levels
    }

    /// The counter and window of a sum.
    #[must_use]
    pub fn sum(&self, id: SumId) -> Option<&(CounterId, Window)> {
        self.sums.get(usize::from(id.0))
    }

    /// Flags the sums that `older` does not have.
    #[must_use]
    pub fn new_sums(&self, older: &Self) -> Vec<bool> {
        self.sums.iter().map(|sum| !self.shares_with(older, sum)).collect()
    }

    /// Whether one of this layout's sums means the same under `older`.
    fn shares_with(&self, older: &Self, sum: &(CounterId, Window)) -> bool {
        let is_anchored_to_sale = matches!(sum.1.span, Span::From(Anchor::FirstSale, _));
        older.position(sum).is_some() && (self.first_sale == older.first_sale || !is_anchored_to_sale)
    }

    /// Where a sum stands, among the few of its counter.
    fn position(&self, sum: &(CounterId, Window)) -> Option<usize> {
        let places = self.sums_of(sum.0).iter().map(|id| usize::from(id.0));
        places.into_iter().find(|place| self.sums.get(*place) == Some(sum))
    }

    /// The counter whose first positive day anchors windows.
    #[must_use]
    pub fn first_sale_counter(&self) -> Option<CounterId> {
        self.first_sale
    }

    /// The days of which some row must be read to move from layout `older` at day `from` to this layout at day `to`.
    #[must_use]
    pub fn days_to_read(&self, older: &Self, from: Day, to: Day) -> Vec<DayRange> {
        let mut ranges = self.days_touched(from, to);
        if self.levels.iter().any(|level| !older.levels.contains(level)) || self.first_sale != older.first_sale {
            ranges.push(DayRange { first: FIRST_FACTS_DAY, last: to });
        }
        for (_, window) in self.sums.iter().filter(|sum| !self.shares_with(older, sum)) {
            let everything = matches!(window.span, Span::From(..));
            let range = if everything { None } else { window.range(to, None) };
            ranges.push(range.unwrap_or(DayRange { first: FIRST_FACTS_DAY, last: to }));
        }
        merge_ranges(ranges)
    }

    /// The sums of a counter.
    fn sums_of(&self, counter: CounterId) -> &[SumId] {
        self.sums_of.get(usize::from(counter.0)).map_or(&[], Vec::as_slice)
    }

    fn level_of(&self, counter: CounterId) -> Option<LevelId> {
        self.level_of.get(usize::from(counter.0)).copied().flatten()
    }

    /// The days of which some row can change a sum when the facts day moves from `from` to `to`.
    fn days_touched(&self, from: Day, to: Day) -> Vec<DayRange> {
        // Levels and the first sale look at every day that is closed.
        let mut ranges = vec![DayRange { first: from.plus(1), last: to }];
        for (_, window) in &self.sums {
            if matches!(window.span, Span::Lifetime | Span::From(..)) {
                // Every day that comes to an end can count, and none leaves.
                ranges.push(DayRange { first: window.last_day(from).plus(1), last: window.last_day(to) });
                continue;
            }
            let (counted, counts) = (window.range(from, None), window.range(to, None));
            for (range, other) in [(counted, counts), (counts, counted)] {
                ranges.extend(range.into_iter().flat_map(|range| difference(range, other)));
            }
        }
        merge_ranges(ranges)
    }
}

/// The days of `range` that are not in `other`.
fn difference(range: DayRange, other: Option<DayRange>) -> Vec<DayRange> {
    let Some(other) = other.filter(|o| o.first <= range.last && range.first <= o.last) else {
        return vec![range];
    };
    let before = DayRange { first: range.first, last: other.first.plus(-1) };
    let after = DayRange { first: other.last.plus(1), last: range.last };
    [before, after].into_iter().filter(|r| r.first <= r.last).collect()
}

/// Ranges of days in order, those that touch joined, without days before the first that facts can be of.
#[must_use]
pub fn merge_ranges(mut ranges: Vec<DayRange>) -> Vec<DayRange> {
    ranges.retain_mut(|range| {
        range.first = range.first.max(FIRST_FACTS_DAY);
        range.first <= range.last
    });
    ranges.sort_by_key(|range| range.first);
    let mut merged: Vec<DayRange> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.first <= last.last.plus(1) => last.last = last.last.max(range.last),
            _ => merged.push(range),
        }
    }
    merged
}

impl MerchantFacts {
    /// No facts yet.
    #[must_use]
    pub fn empty(layout: &FactsLayout) -> Self {
        Self {
            sums: vec![0; layout.sums.len()].into(),
            last_sent: vec![NEVER; layout.sums.len()].into(),
            levels: vec![UNSENT; layout.levels.len()].into(),
            first_sale: None,
        }
    }

    /// Takes a stored form back. `None` if it is of another layout.
    #[must_use]
    pub fn from_parts(layout: &FactsLayout, parts: MerchantFactsParts) -> Option<Self> {
        let fits = parts.sums.len() == layout.sums.len()
            && parts.last_sent.len() == layout.sums.len()
            && parts.levels.len() == layout.levels.len();
        fits.then(|| Self {
            sums: parts.sums.into(),
            last_sent: parts.last_sent.into_iter().map(Day).collect(),
            levels: parts.levels.into_iter().map(|level| level.unwrap_or(UNSENT)).collect(),
            first_sale: parts.first_sale,
        })
    }

    /// The form to store.
    #[must_use]
    pub fn to_parts(&self) -> MerchantFactsParts {
        MerchantFactsParts {
            sums: self.sums.to_vec(),
            last_sent: self.last_sent.iter().map(|day| day.0).collect(),
            levels: self.levels.iter().map(|level| level.sent()).collect(),
            first_sale: self.first_sale,
        }
    }

    /// A windowed sum.
    #[must_use]
    pub fn sum(&self, id: SumId) -> u64 {
        self.sums.get(usize::from(id.0)).copied().unwrap_or(0)
    }

    /// Last day a windowed counter was sent, as far as its window reaches; none if never.
    #[must_use]
    pub fn last_sent(&self, id: SumId) -> Option<Day> {
        self.last_sent.get(usize::from(id.0)).copied().filter(|day| *day != NEVER)
    }

    /// The latest level.
    #[must_use]
    pub fn level(&self, id: LevelId) -> Option<Level> {
        self.levels.get(usize::from(id.0)).and_then(|level| level.sent())
    }

    /// First day with a paid order.
    #[must_use]
    pub fn first_sale(&self) -> Option<Day> {
        self.first_sale
    }

    /// Takes in a row that was written: `before` is what stood there. Rows of open days wait for the day's closing.
    pub fn write_row(
        &mut self,
        layout: &FactsLayout,
        anchors: &Anchors,
        facts_day: Day,
        day: Day,
        before: &DayFacts,
        after: &DayFacts,
    ) -> FirstSale {
        if day > facts_day {
            return FirstSale::Unchanged;
        }
        for &(counter, value) in after.cells() {
            let old = before.get(counter).unwrap_or(0);
            for &id in layout.sums_of(counter) {
                let Some((_, window)) = layout.sum(id) else { continue };
                if window.range(facts_day, anchor_day(window, anchors)).is_some_and(|range| range.contains(day)) {
                    self.change_sum(id, old, value);
                }
                if day <= window.last_day(facts_day) {
                    self.note_sent(id, day);
                }
            }
            self.take_level(layout, counter, Level { day, value }, true);
        }
        let sold_nothing = layout.first_sale.and_then(|counter| after.get(counter)) == Some(0);
        if sold_nothing && self.first_sale == Some(day) {
            return FirstSale::Lost;
        }
        if self.note_first_sale(layout, day, after) { FirstSale::Moved } else { FirstSale::Unchanged }
    }

    /// Sets the first sale, after it was looked for.
    pub fn set_first_sale(&mut self, day: Option<Day>) {
        self.first_sale = day;
    }

    /// Takes in a stored row of a day while the facts day moves from `from` to `to`; `new_sums` flags the sums
    /// that did not exist before. Answers whether the first sale moved, after which anchored windows must be summed again.
    pub fn move_row(
        &mut self,
        layout: &FactsLayout,
        anchors: &Anchors,
        (from, to): (Day, Day),
        new_sums: &[bool],
        day: Day,
        row: &DayFacts,
    ) -> bool {
        for &(counter, value) in row.cells() {
            for &id in layout.sums_of(counter) {
                let Some((_, window)) = layout.sum(id) else { continue };
                let anchor = anchor_day(window, anchors);
                let is_new = new_sums.get(usize::from(id.0)).copied().unwrap_or(false);
                let counted = !is_new && window.range(from, anchor).is_some_and(|range| range.contains(day));
                let counts = window.range(to, anchor).is_some_and(|range| range.contains(day));
                match (counted, counts) {
                    (false, true) => self.change_sum(id, 0, value),
                    (true, false) => self.change_sum(id, value, 0),
                    _ => {}
                }
                if day <= window.last_day(to) {
                    self.note_sent(id, day);
                }
            }
            if day <= to {
                self.take_level(layout, counter, Level { day, value }, false);
            }
        }
        day <= to && self.note_first_sale(layout, day, row)
    }

    /// Sets the sums of anchored windows to zero; the rows of their days are then added by [`Self::add_anchored`].
    pub fn clear_anchored(&mut self, layout: &FactsLayout) {
        for (index, (_, window)) in layout.sums.iter().enumerate() {
            if matches!(window.span, Span::From(..))
                && let Some(sum) = self.sums.get_mut(index)
            {
                *sum = 0;
            }
        }
    }

    /// Adds a stored row to the anchored windows it lies in.
    pub fn add_anchored(&mut self, layout: &FactsLayout, anchors: &Anchors, facts_day: Day, day: Day, row: &DayFacts) {
        for (id, (counter, window)) in (0_u16..).map(SumId).zip(&layout.sums) {
            let Span::From(anchor, _) = &window.span else { continue };
            let Some(value) = row.get(*counter) else { continue };
            if window.range(facts_day, anchors.day(anchor)).is_some_and(|range| range.contains(day)) {
                self.change_sum(id, 0, value);
            }
        }
    }

    /// The same facts under another layout: what means the same in both is kept, the rest is empty.
    #[must_use]
    pub fn laid_out(&self, from: &FactsLayout, to: &FactsLayout) -> Self {
        let mut facts = Self::empty(to);
        facts.first_sale = self.first_sale.filter(|_| from.first_sale == to.first_sale);
        for (index, sum) in to.sums.iter().enumerate().filter(|(_, sum)| to.shares_with(from, sum)) {
            let Some(old) = from.position(sum) else { continue };
            if let (Some(to), Some(from)) = (facts.sums.get_mut(index), self.sums.get(old)) {
                *to = *from;
            }
            if let (Some(to), Some(from)) = (facts.last_sent.get_mut(index), self.last_sent.get(old)) {
                *to = *from;
            }
        }
        for (index, level) in to.levels.iter().enumerate() {
            let Some(old) = from.level_of(*level).map(|id| usize::from(id.0)) else { continue };
            if let (Some(to), Some(from)) = (facts.levels.get_mut(index), self.levels.get(old)) {
                *to = *from;
            }
        }
        facts
    }

    fn change_sum(&mut self, id: SumId, old: u64, new: u64) {
        if let Some(sum) = self.sums.get_mut(usize::from(id.0)) {
            // Wrapping keeps what is added and taken away in balance even where absurd counters overflow.
            *sum = sum.wrapping_sub(old).wrapping_add(new);
        }
    }

    fn note_sent(&mut self, id: SumId, day: Day) {
        if let Some(last) = self.last_sent.get_mut(usize::from(id.0)) {
            *last = (*last).max(day);
        }
    }

    /// A written level replaces one of the same day; a stored one, read later, does not.
    fn take_level(&mut self, layout: &FactsLayout, counter: CounterId, level: Level, is_written: bool) {
        let Some(entry) = layout.level_of(counter).and_then(|id| self.levels.get_mut(usize::from(id.0))) else {
            return;
        };
        if entry.day < level.day || (is_written && entry.day == level.day) {
            *entry = level;
        }
    }

    fn note_first_sale(&mut self, layout: &FactsLayout, day: Day, row: &DayFacts) -> bool {
        let sold = layout.first_sale.and_then(|counter| row.get(counter)).is_some_and(|orders| orders > 0);
        let moves = sold && self.first_sale.is_none_or(|first| day < first);
        if moves {
            self.first_sale = Some(day);
        }
        moves
    }
}

fn anchor_day(window: &Window, anchors: &Anchors) -> Option<Day> {
    window.anchor().and_then(|anchor| anchors.day(anchor))
}
