//! Facts as scoring reads them: laid open for one record, so that each figure is one load instead of a search among
//! the cells that are there.

use super::cells::{Cell, NEVER};
use super::facts::MerchantFacts;
use super::window::{LevelId, SumId};
use crate::domain::{Day, count_to_f64};

/// Positions that are laid open. The shipped policy has half as many sums and levels; those of a larger one that lie
/// beyond are looked up where they stand.
const POSITIONS: usize = 256;

/// A sum or level, ready for arithmetic.
#[derive(Clone, Copy, Debug)]
struct OpenCell {
    value: f64,
    day: Day,
}

impl OpenCell {
    const EMPTY: Self = Self { value: 0.0, day: NEVER };
}

impl From<Cell> for OpenCell {
    fn from(Cell { day, value }: Cell) -> Self {
        Self { value: count_to_f64(value), day }
    }
}

/// Room for the facts of one merchant. It lies on the stack of whoever makes a record.
#[derive(Debug)]
pub struct Room([OpenCell; POSITIONS]);

impl Default for Room {
    fn default() -> Self {
        Self([OpenCell::EMPTY; POSITIONS])
    }
}

/// The facts of one merchant, laid open or not: they answer alike.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    stored: &'a MerchantFacts,
    /// The first positions, if they were laid open.
    open: &'a [OpenCell],
}

impl<'a> From<&'a MerchantFacts> for Facts<'a> {
    fn from(stored: &'a MerchantFacts) -> Self {
        Self { stored, open: &[] }
    }
}

impl<'a> Facts<'a> {
    /// The same facts, laid open in a room that nothing was laid open in before.
    #[must_use]
    pub fn opened(self, room: &'a mut Room) -> Self {
        self.stored.for_each_cell(|at, cell| {
            if let Some(place) = room.0.get_mut(at) {
                *place = cell.into();
            }
        });
        Self { open: &room.0, ..self }
    }

    /// The facts as memory keeps them.
    #[must_use]
    pub fn stored(self) -> &'a MerchantFacts {
        self.stored
    }

    /// A windowed sum.
    #[must_use]
    #[inline]
    pub fn sum(self, id: SumId) -> f64 {
        self.cell(id.0.into()).value
    }

    /// Last day a windowed counter was sent, as far as its window reaches; none if never.
    #[must_use]
    #[inline]
    pub fn last_sent(self, id: SumId) -> Option<Day> {
        Some(self.cell(id.0.into()).day).filter(|day| *day != NEVER)
    }

    /// The latest value of a level.
    #[must_use]
    #[inline]
    pub fn level(self, id: LevelId) -> Option<f64> {
        let OpenCell { value, day } = self.cell(self.stored.level_at(id));
        (day != NEVER).then_some(value)
    }

    /// First day with a paid order.
    #[must_use]
    pub fn first_sale(self) -> Option<Day> {
        self.stored.first_sale()
    }

    #[inline]
    fn cell(self, at: usize) -> OpenCell {
        self.open.get(at).copied().unwrap_or_else(|| self.look_up(at))
    }

    #[cold]
    fn look_up(self, at: usize) -> OpenCell {
        self.stored.cell(at).into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::{Facts, NEVER, POSITIONS, Room};
    use crate::domain::Day;
    use crate::trust::{Level, LevelId, MerchantFacts, MerchantFactsParts, SumId};

    proptest! {
        #[test]
        fn facts_answer_alike_open_or_not(
            sums in 0..400_usize,
            levels in 0..20_usize,
            sent in btree_map(0..420_usize, (any::<u64>(), 19_000..21_000_i32), 0..60),
        ) {
            let mut parts = MerchantFactsParts {
                sums: vec![0; sums],
                last_sent: vec![NEVER.0; sums],
                levels: vec![None; levels],
                first_sale: Some(Day(19_500)),
            };
            for (at, (value, day)) in sent {
                if at < sums {
                    (parts.sums[at], parts.last_sent[at]) = (value, day);
                } else if let Some(level) = parts.levels.get_mut(at.saturating_sub(sums)) {
                    *level = Some(Level { day: Day(day), value });
                }
            }
            let stored = MerchantFacts::from_parts(&parts);
            let (closed, mut room) = (Facts::from(&stored), Room::default());
            let open = closed.opened(&mut room);
            prop_assert_eq!(open.first_sale(), closed.first_sale());
            for id in (0..u16::try_from(sums).expect("few")).map(SumId) {
                prop_assert_eq!(open.sum(id).to_bits(), crate::domain::count_to_f64(stored.sum(id)).to_bits());
                prop_assert_eq!(closed.sum(id).to_bits(), open.sum(id).to_bits());
                let sent = parts.last_sent.get(usize::from(id.0)).map(|day| Day(*day)).filter(|day| *day != NEVER);
                prop_assert_eq!((open.last_sent(id), closed.last_sent(id)), (sent, sent));
            }
            for id in (0..u16::try_from(levels).expect("few")).map(LevelId) {
                let level = stored.level(id).map(|level| crate::domain::count_to_f64(level.value));
                prop_assert_eq!((open.level(id), closed.level(id)), (level, level));
            }
            prop_assert!(POSITIONS < 400, "both kinds of position are looked at");
        }
    }
}
