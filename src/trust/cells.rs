//! What memory keeps of many counters of one merchant, small: most merchants never send most counters.
#![expect(clippy::arithmetic_side_effects, reason = "positions and lengths of what stands in memory do not overflow")]

use crate::domain::{Day, FIRST_FACTS_DAY};

/// The day before every facts day: nothing was sent yet.
pub(super) const NEVER: Day = Day(i32::MIN);
/// A day in two bytes is counted from this one; 0 stands for [`NEVER`].
const FIRST_SHORT: i32 = FIRST_FACTS_DAY.0 - 1;
/// Bytes of one word of bits.
const WORD: usize = 8;

/// A value, and the last day that had a part in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) day: Day,
    pub(super) value: u64,
}

impl Cell {
    /// A cell that nothing was sent for.
    pub(super) const EMPTY: Self = Self { day: NEVER, value: 0 };

    fn short_day(self) -> Option<u16> {
        if self.day == NEVER {
            return Some(0);
        }
        u16::try_from(self.day.0.checked_sub(FIRST_SHORT)?).ok().filter(|day| *day > 0)
    }

    fn is_narrow(self) -> bool {
        u32::try_from(self.value).is_ok() && self.short_day().is_some()
    }
}

/// Cells by position, in one allocation and without those that are empty: a bit for each position says whether its cell
/// is there, then come the values, then the days.
#[derive(Clone, Default)]
pub(super) struct Cells {
    bytes: Box<[u8]>,
    /// Words of bits.
    words: u16,
    /// Cells that are there.
    count: u16,
    /// Values take eight bytes instead of four, days four instead of two: one of the values or days needs it.
    is_wide: bool,
}

impl Cells {
    /// These cells, in order of position, each position once.
    pub(super) fn new(cells: &[(usize, Cell)]) -> Self {
        let Some((last, _)) = cells.last() else { return Self::default() };
        let is_wide = cells.iter().any(|(_, cell)| !cell.is_narrow());
        let words = last / (8 * WORD) + 1;
        let (value_len, day_len) = widths(is_wide);
        let mut bytes = vec![0; words * WORD];
        for (at, _) in cells {
            if let Some(byte) = bytes.get_mut(at / 8) {
                *byte |= 1 << (at % 8);
            }
        }
        bytes.reserve_exact(cells.len() * (value_len + day_len));
        bytes.extend(cells.iter().flat_map(|(_, cell)| cell.value.to_le_bytes().into_iter().take(value_len)));
        bytes.extend(cells.iter().flat_map(|(_, cell)| day_bytes(*cell, is_wide).into_iter().take(day_len)));
        let short = |of: usize| u16::try_from(of).unwrap_or(u16::MAX);
        Self { bytes: bytes.into(), words: short(words), count: short(cells.len()), is_wide }
    }

    /// The cell at a position.
    #[inline]
    pub(super) fn get(&self, at: usize) -> Cell {
        self.rank(at).map_or(Cell::EMPTY, |rank| self.nth(rank))
    }

    /// Hands over the cells that are there, in order of position: quicker than the iterator, for those who want all.
    pub(super) fn for_each(&self, mut take: impl FnMut(usize, Cell)) {
        if self.is_wide {
            return self.iter().for_each(|(at, cell)| take(at, cell));
        }
        let (value_len, _) = widths(false);
        let (bits, rest) = self.bytes.split_at_checked(self.head()).unwrap_or_default();
        let (values, days) = rest.split_at_checked(usize::from(self.count) * value_len).unwrap_or_default();
        let (words, _) = bits.as_chunks::<WORD>();
        let (values, _) = values.as_chunks();
        let (days, _) = days.as_chunks();
        let mut cells = values.iter().zip(days);
        for (at, word) in words.iter().enumerate() {
            for (position, (value, day)) in Bits(u64::from_le_bytes(*word), at * 64).zip(&mut cells) {
                let day = short_to_day(u16::from_le_bytes(*day));
                take(position, Cell { day, value: u64::from(u32::from_le_bytes(*value)) });
            }
        }
    }

    /// The cells that are there, in order of position.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Cell)> {
        let (words, _) = self.bytes.get(..self.head()).unwrap_or_default().as_chunks::<WORD>();
        let positions = words.iter().enumerate().flat_map(|(at, word)| Bits(u64::from_le_bytes(*word), at * 64));
        positions.enumerate().map(|(rank, at)| (at, self.nth(rank)))
    }

    /// Replaces cells; each position at most once.
    pub(super) fn set(&mut self, changes: &[(usize, Cell)]) {
        let fits = |(at, cell): &(usize, Cell)| self.rank(*at).is_some() && (self.is_wide || cell.is_narrow());
        if !changes.iter().all(fits) {
            let mut all: Vec<(usize, Cell)> = changes.to_vec();
            all.extend(self.iter());
            // What stood there comes behind what replaces it, and goes.
            all.sort_by_key(|(at, _)| *at);
            all.dedup_by_key(|(at, _)| *at);
            *self = Self::new(&all);
            return;
        }
        for (at, cell) in changes {
            if let Some(rank) = self.rank(*at) {
                self.put(rank, *cell);
            }
        }
    }

    /// Bytes of the bits.
    fn head(&self) -> usize {
        usize::from(self.words) * WORD
    }

    /// How many cells come before the one at a position; none if it is not there.
    #[inline]
    fn rank(&self, at: usize) -> Option<usize> {
        let (before, here) = (at / 64, at % 64);
        let (words, _) = self.bytes.get(..self.head())?.as_chunks::<WORD>();
        let word = u64::from_le_bytes(*words.get(before)?);
        if word >> here & 1 == 0 {
            return None;
        }
        let earlier = words.iter().take(before).map(|word| u64::from_le_bytes(*word).count_ones()).sum::<u32>();
        usize::try_from(earlier + (word & ((1 << here) - 1)).count_ones()).ok()
    }

    /// The cell with so many before it.
    #[inline]
    fn nth(&self, rank: usize) -> Cell {
        let (value_at, day_at) = self.places(rank);
        let cell = || {
            Some(if self.is_wide {
                let value = u64::from_le_bytes(*self.bytes.get(value_at..)?.first_chunk()?);
                Cell { day: Day(i32::from_le_bytes(*self.bytes.get(day_at..)?.first_chunk()?)), value }
            } else {
                let value = u32::from_le_bytes(*self.bytes.get(value_at..)?.first_chunk()?);
                let day = u16::from_le_bytes(*self.bytes.get(day_at..)?.first_chunk()?);
                Cell { day: short_to_day(day), value: u64::from(value) }
            })
        };
        cell().unwrap_or(Cell::EMPTY)
    }

    /// Writes a cell that fits.
    fn put(&mut self, rank: usize, cell: Cell) {
        let (value_at, day_at) = self.places(rank);
        let (value_len, day_len) = widths(self.is_wide);
        let value = cell.value.to_le_bytes();
        let day = day_bytes(cell, self.is_wide);
        for (at, from, len) in [(value_at, value.as_slice(), value_len), (day_at, day.as_slice(), day_len)] {
            if let (Some(to), Some(from)) = (self.bytes.get_mut(at..at + len), from.get(..len)) {
                to.copy_from_slice(from);
            }
        }
    }

    /// Where the value and the day of a cell begin.
    #[inline]
    fn places(&self, rank: usize) -> (usize, usize) {
        let (value_len, day_len) = widths(self.is_wide);
        let head = self.head();
        (head + rank * value_len, head + usize::from(self.count) * value_len + rank * day_len)
    }
}

/// The bits of a word that are set, from the lowest on, as positions: the lowest bit has the one beside.
struct Bits(u64, usize);

impl Iterator for Bits {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let Self(word, first) = *self;
        self.0 = word & word.checked_sub(1)?;
        usize::try_from(word.trailing_zeros()).ok().map(|bit| first + bit)
    }
}

/// Bytes of a value and of a day.
const fn widths(is_wide: bool) -> (usize, usize) {
    if is_wide { (8, 4) } else { (4, 2) }
}

fn short_to_day(short: u16) -> Day {
    if short == 0 { NEVER } else { Day(FIRST_SHORT + i32::from(short)) }
}

fn day_bytes(cell: Cell, is_wide: bool) -> [u8; 4] {
    if is_wide {
        return cell.day.0.to_le_bytes();
    }
    // Asked only of days that fit.
    u32::from(cell.short_day().unwrap_or(0)).to_le_bytes()
}

impl PartialEq for Cells {
    fn eq(&self, other: &Self) -> bool {
        let sent = |cells: &Self| cells.iter().filter(|(_, cell)| *cell != Cell::EMPTY).collect::<Vec<_>>();
        sent(self) == sent(other)
    }
}

impl Eq for Cells {}

impl std::fmt::Debug for Cells {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::{Cell, Cells, NEVER};
    use crate::domain::{Day, FIRST_FACTS_DAY};

    fn cell() -> impl Strategy<Value = Cell> {
        let day = prop_oneof![
            8 => (0..70_000_i32).prop_map(|after| Day(FIRST_FACTS_DAY.0 + after)),
            1 => Just(NEVER),
            1 => any::<i32>().prop_map(Day),
        ];
        let value = prop_oneof![9 => 0..u64::from(u32::MAX), 1 => any::<u64>()];
        (day, value).prop_map(|(day, value)| Cell { day, value })
    }

    proptest! {
        #[test]
        fn they_answer_as_a_map_does(steps in vec(vec((0..300_usize, cell()), 0..20), 0..12)) {
            let (mut cells, mut map) = (Cells::default(), BTreeMap::new());
            for mut changes in steps {
                changes.sort_by_key(|(at, _)| *at);
                changes.dedup_by_key(|(at, _)| *at);
                cells.set(&changes);
                map.extend(changes);
                for at in 0..310 {
                    prop_assert_eq!(cells.get(at), map.get(&at).copied().unwrap_or(Cell::EMPTY));
                }
                let sorted: Vec<_> = map.iter().map(|(at, cell)| (*at, *cell)).collect();
                prop_assert_eq!(cells.iter().collect::<Vec<_>>(), sorted.clone());
                let mut handed = Vec::new();
                cells.for_each(|at, cell| handed.push((at, cell)));
                prop_assert_eq!(&handed, &sorted);
                prop_assert_eq!(&cells, &Cells::new(&sorted));
            }
        }
    }

    #[test]
    fn a_cell_takes_six_bytes() {
        let cells: Vec<_> = (0..120).map(|at| (at, Cell { day: Day(20_000), value: 4_000_000_000 })).collect();
        assert_eq!(Cells::new(&cells).bytes.len(), 120 * 6 + 16);
        assert_eq!(Cells::new(&[]).bytes.len(), 0);
    }
}
