//! What memory keeps of a merchant's facts: window sums, latest levels, when a counter was last sent.

use super::cells::{Cell, Cells, NEVER};
use super::window::{Anchor, DayRange, LevelId, Span, SumId, Window};
use crate::domain::{CounterId, Day, DayFacts, FIRST_FACTS_DAY, Merchant};

/// Which sums and levels a policy needs. Two policies with equal layouts share their sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactsLayout {
    sums: Vec<(CounterId, Window)>,
    levels: Vec<CounterId>,
    first_sale: Option<CounterId>,
    /// Sums whose window begins with a day of the merchant's life.
    anchored: Vec<SumId>,
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

/// Sums and levels of one merchant, as of a facts day that the holder knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerchantFacts {
    /// Sums, each with the last day its counter was sent, then levels.
    cells: Cells,
    /// How many of the cells are sums.
    sums: u16,
    /// How many are levels.
    levels: u16,
    /// [`NEVER`] if nothing was sold: half the size of an option, for every merchant.
    first_sale: Day,
}

/// Cells of a merchant that are to be replaced, by position.
type Changes = Vec<(usize, Cell)>;

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
        let is_anchored = |sum: &(CounterId, Window)| matches!(sum.1.span, Span::From(..));
        let anchored = (0_u16..).zip(&sums).filter(|(_, sum)| is_anchored(sum)).map(|(id, _)| SumId(id)).collect();
        Self { sums, levels, first_sale, anchored, sums_of, level_of }
    }

    /// The windowed counters.
    #[must_use]
    pub fn sums(&self) -> &[(CounterId, Window)] {
        &self.sums
    }

    /// The sums whose window begins with a day of the merchant's life, with counter and window.
    pub fn anchored(&self) -> impl Iterator<Item = (SumId, &Window)> {
        self.anchored.iter().filter_map(|id| Some((*id, &self.sum(*id)?.1)))
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

impl Default for MerchantFacts {
    fn default() -> Self {
        Self { cells: Cells::default(), sums: 0, levels: 0, first_sale: NEVER }
    }
}

impl MerchantFacts {
    /// No facts yet.
    #[must_use]
    pub fn empty(layout: &FactsLayout) -> Self {
        let (sums, levels) = (count(layout.sums.len()), count(layout.levels.len()));
        Self { sums, levels, ..Self::default() }
    }

    /// Takes a stored form back.
    #[must_use]
    pub fn from_parts(parts: &MerchantFactsParts) -> Self {
        let sums = parts.sums.iter().zip(&parts.last_sent).map(|(value, day)| Cell { day: Day(*day), value: *value });
        let levels =
            parts.levels.iter().map(|level| level.map_or(Cell::EMPTY, |Level { day, value }| Cell { day, value }));
        let cells: Changes = sums.chain(levels).enumerate().filter(|(_, cell)| *cell != Cell::EMPTY).collect();
        Self {
            cells: Cells::new(&cells),
            sums: count(parts.sums.len()),
            levels: count(parts.levels.len()),
            first_sale: parts.first_sale.unwrap_or(NEVER),
        }
    }

    /// Whether it has as many sums and levels as a layout.
    #[must_use]
    pub fn fits(&self, layout: &FactsLayout) -> bool {
        usize::from(self.sums) == layout.sums.len() && usize::from(self.levels) == layout.levels.len()
    }

    /// The form to store.
    #[must_use]
    pub fn to_parts(&self) -> MerchantFactsParts {
        let mut parts = MerchantFactsParts {
            sums: vec![0; self.sums.into()],
            last_sent: vec![NEVER.0; self.sums.into()],
            levels: vec![None; self.levels.into()],
            first_sale: self.first_sale(),
        };
        for (at, Cell { day, value }) in self.cells.iter() {
            if let (Some(sum), Some(last)) = (parts.sums.get_mut(at), parts.last_sent.get_mut(at)) {
                (*sum, *last) = (value, day.0);
            } else if let Some(level) = parts.levels.get_mut(at.saturating_sub(self.sums.into())) {
                *level = (day != NEVER).then_some(Level { day, value });
            }
        }
        parts
    }

    /// Hands over the cells that are there, in order of position: sums first, then levels.
    #[inline]
    pub(super) fn for_each_cell(&self, take: impl FnMut(usize, Cell)) {
        self.cells.for_each(take);
    }

    /// The cell at a position.
    pub(super) fn cell(&self, at: usize) -> Cell {
        self.cells.get(at)
    }

    fn sum_cell(&self, id: SumId) -> Cell {
        if id.0 < self.sums { self.cells.get(id.0.into()) } else { Cell::EMPTY }
    }

    /// A windowed sum.
    #[must_use]
    pub fn sum(&self, id: SumId) -> u64 {
        self.sum_cell(id).value
    }

    /// The latest level.
    #[must_use]
    pub fn level(&self, id: LevelId) -> Option<Level> {
        let Cell { day, value } = self.cells.get(self.level_at(id));
        (day != NEVER).then_some(Level { day, value })
    }

    /// Where the cell of a level stands.
    pub(super) fn level_at(&self, id: LevelId) -> usize {
        usize::from(self.sums).saturating_add(id.0.into())
    }

    /// First day with a paid order.
    #[must_use]
    pub fn first_sale(&self) -> Option<Day> {
        Some(self.first_sale).filter(|day| *day != NEVER)
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
        let mut changes = Changes::with_capacity(after.cells().len().saturating_mul(2));
        for &(counter, value) in after.cells() {
            let old = before.get(counter).unwrap_or(0);
            for &id in layout.sums_of(counter) {
                let Some((_, window)) = layout.sum(id) else { continue };
                let counts = window.range(facts_day, anchor_day(window, anchors)).is_some_and(|r| r.contains(day));
                let change = if counts { (old, value) } else { (0, 0) };
                self.change_sum(id, change, (day <= window.last_day(facts_day)).then_some(day), &mut changes);
            }
            self.take_level(layout, counter, Level { day, value }, true, &mut changes);
        }
        self.cells.set(&changes);
        let sold_nothing = layout.first_sale.and_then(|counter| after.get(counter)) == Some(0);
        if sold_nothing && self.first_sale == day {
            return FirstSale::Lost;
        }
        if self.note_first_sale(layout, day, after) { FirstSale::Moved } else { FirstSale::Unchanged }
    }

    /// Sets the first sale, after it was looked for.
    pub fn set_first_sale(&mut self, day: Option<Day>) {
        self.first_sale = day.unwrap_or(NEVER);
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
        let mut changes = Changes::with_capacity(row.cells().len().saturating_mul(2));
        for &(counter, value) in row.cells() {
            for &id in layout.sums_of(counter) {
                let Some((_, window)) = layout.sum(id) else { continue };
                let anchor = anchor_day(window, anchors);
                let is_new = new_sums.get(usize::from(id.0)).copied().unwrap_or(false);
                let counted = !is_new && window.range(from, anchor).is_some_and(|range| range.contains(day));
                let counts = window.range(to, anchor).is_some_and(|range| range.contains(day));
                let change = match (counted, counts) {
                    (false, true) => (0, value),
                    (true, false) => (value, 0),
                    _ => (0, 0),
                };
                self.change_sum(id, change, (day <= window.last_day(to)).then_some(day), &mut changes);
            }
            if day <= to {
                self.take_level(layout, counter, Level { day, value }, false, &mut changes);
            }
        }
        self.cells.set(&changes);
        day <= to && self.note_first_sale(layout, day, row)
    }

    /// Sets the sums of anchored windows to zero; the rows of their days are then added by [`Self::add_anchored`].
    pub fn clear_anchored(&mut self, layout: &FactsLayout) {
        let places = layout.anchored.iter().map(|id| usize::from(id.0));
        let cleared = places.map(|at| (at, Cell { value: 0, ..self.cells.get(at) }));
        let changes: Changes = cleared.filter(|(at, cell)| self.cells.get(*at) != *cell).collect();
        self.cells.set(&changes);
    }

    /// Adds a stored row to the anchored windows it lies in.
    pub fn add_anchored(&mut self, layout: &FactsLayout, anchors: &Anchors, facts_day: Day, day: Day, row: &DayFacts) {
        let mut changes = Changes::new();
        for &id in &layout.anchored {
            let Some((counter, window)) = layout.sum(id) else { continue };
            let Span::From(anchor, _) = &window.span else { continue };
            let Some(value) = row.get(*counter) else { continue };
            if window.range(facts_day, anchors.day(anchor)).is_some_and(|range| range.contains(day)) {
                self.change_sum(id, (0, value), None, &mut changes);
            }
        }
        self.cells.set(&changes);
    }

    /// The same facts under another layout: what means the same in both is kept, the rest is empty.
    #[must_use]
    pub fn laid_out(&self, from: &FactsLayout, to: &FactsLayout) -> Self {
        let mut facts = Self::empty(to);
        if from.first_sale == to.first_sale {
            facts.first_sale = self.first_sale;
        }
        let mut cells = Changes::new();
        for (at, sum) in to.sums.iter().enumerate().filter(|(_, sum)| to.shares_with(from, sum)) {
            cells.extend(from.position(sum).map(|old| (at, self.cells.get(old))));
        }
        for (id, level) in (0_u16..).map(LevelId).zip(&to.levels) {
            let old = from.level_of(*level);
            cells.extend(old.map(|old| (facts.level_at(id), self.cells.get(self.level_at(old)))));
        }
        cells.retain(|(_, cell)| *cell != Cell::EMPTY);
        facts.cells = Cells::new(&cells);
        facts
    }

    /// Takes the old value of a change out of a sum and the new one in, and notes when its counter was sent.
    fn change_sum(&self, id: SumId, (old, new): (u64, u64), sent: Option<Day>, changes: &mut Changes) {
        let before = self.sum_cell(id);
        let cell = Cell {
            day: sent.map_or(before.day, |day| before.day.max(day)),
            // Wrapping keeps what is added and taken away in balance even where absurd counters overflow.
            value: before.value.wrapping_sub(old).wrapping_add(new),
        };
        if cell != before && id.0 < self.sums {
            changes.push((id.0.into(), cell));
        }
    }

    /// A written level replaces one of the same day; a stored one, read later, does not.
    fn take_level(
        &self,
        layout: &FactsLayout,
        counter: CounterId,
        Level { day, value }: Level,
        is_written: bool,
        changes: &mut Changes,
    ) {
        let Some(id) = layout.level_of(counter).filter(|id| id.0 < self.levels) else { return };
        let before = self.cells.get(self.level_at(id));
        if before.day < day || (is_written && before.day == day) {
            changes.push((self.level_at(id), Cell { day, value }));
        }
    }

    fn note_first_sale(&mut self, layout: &FactsLayout, day: Day, row: &DayFacts) -> bool {
        let sold = layout.first_sale.and_then(|counter| row.get(counter)).is_some_and(|orders| orders > 0);
        let moves = sold && (self.first_sale == NEVER || day < self.first_sale);
        if moves {
            self.first_sale = day;
        }
        moves
    }
}

/// Counters have ids of two bytes, and a policy few windows of each: sums and levels never come near the end.
fn count(of: usize) -> u16 {
    u16::try_from(of).unwrap_or(u16::MAX)
}

fn anchor_day(window: &Window, anchors: &Anchors) -> Option<Day> {
    window.anchor().and_then(|anchor| anchors.day(anchor))
}
