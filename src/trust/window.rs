//! Windows over whole closed Asia/Shanghai days.

use crate::domain::{Day, FIRST_FACTS_DAY};

/// Position of a windowed counter among a merchant's sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SumId(pub u16);

/// Position of a level counter among a merchant's levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LevelId(pub u16);

/// A day in a merchant's life that a window can begin with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// The shop opened.
    Opening,
    /// The first paid order.
    FirstSale,
    /// Enrolment on a list.
    Enrolment(String),
}

/// How long a window is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// So many days ending with the facts day.
    Days(u16),
    /// The last whole natural week, Monday to Sunday.
    NaturalWeek,
    /// Everything up to the facts day.
    Lifetime,
    /// So many days beginning with a day of the merchant's life.
    From(Anchor, u16),
}

/// A window: which closed days count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// How long.
    pub span: Span,
    /// How many days back it is shifted, for month-on-month and year-on-year comparisons.
    pub offset_days: u16,
}

/// Days from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayRange {
    /// First day.
    pub first: Day,
    /// Last day.
    pub last: Day,
}

impl DayRange {
    /// Whether a day lies in it.
    #[must_use]
    pub fn contains(self, day: Day) -> bool {
        self.first <= day && day <= self.last
    }
}

impl Window {
    /// The days that count when `facts_day` is the last closed day. `anchor` is the day of the anchor, if the window
    /// has one and the merchant does. `None` when no day counts.
    #[must_use]
    pub fn range(&self, facts_day: Day, anchor: Option<Day>) -> Option<DayRange> {
        let end = self.last_day(facts_day);
        let range = match &self.span {
            Span::Days(days) => DayRange { first: end.plus(1_i32.saturating_sub(i32::from(*days))), last: end },
            Span::NaturalWeek => DayRange { first: end.week().monday(), last: end },
            Span::Lifetime => DayRange { first: FIRST_FACTS_DAY, last: end },
            Span::From(_, days) => {
                let first = anchor?;
                DayRange { first, last: first.plus(i32::from(*days).saturating_sub(1)).min(end) }
            }
        };
        (range.first <= range.last).then_some(range)
    }

    /// The last day that can count when `facts_day` is the last closed day.
    #[must_use]
    pub fn last_day(&self, facts_day: Day) -> Day {
        let end = facts_day.plus(i32::from(self.offset_days).saturating_neg());
        match self.span {
            // A week counts once its Sunday is closed.
            Span::NaturalWeek => end.plus(1).week().previous().sunday(),
            Span::Days(_) | Span::Lifetime | Span::From(..) => end,
        }
    }

    /// The day of the merchant's life it begins with, if it does.
    #[must_use]
    pub fn anchor(&self) -> Option<&Anchor> {
        match &self.span {
            Span::From(anchor, _) => Some(anchor),
            Span::Days(_) | Span::NaturalWeek | Span::Lifetime => None,
        }
    }

    /// The window in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let span = match &self.span {
            Span::Days(days) => format!("{days} days"),
            Span::NaturalWeek => "natural week".to_owned(),
            Span::Lifetime => "lifetime".to_owned(),
            Span::From(Anchor::Opening, days) => format!("{days} days from opening"),
            Span::From(Anchor::FirstSale, days) => format!("{days} days from first sale"),
            Span::From(Anchor::Enrolment(list), days) => format!("{days} days from enrolment in {list}"),
        };
        if self.offset_days == 0 { span } else { format!("{span}, {} days before", self.offset_days) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Anchor, Span, Window};
    use crate::domain::Day;

    fn range(span: Span, offset_days: u16, facts_day: &str, anchor: Option<&str>) -> Option<String> {
        let day = |text| Day::parse(text).expect("a date");
        let range = Window { span, offset_days }.range(day(facts_day), anchor.map(day))?;
        Some(format!("{}..{}", range.first, range.last))
    }

    #[test]
    fn windows_end_with_the_last_closed_day() {
        let cases = [
            (Span::Days(7), 0, "2023-02-12", None, Some("2023-02-06..2023-02-12")),
            (Span::Days(30), 30, "2023-03-02", None, Some("2023-01-02..2023-01-31")),
            (Span::NaturalWeek, 0, "2023-02-12", None, Some("2023-02-06..2023-02-12")),
            (Span::NaturalWeek, 0, "2023-02-11", None, Some("2023-01-30..2023-02-05")),
            (Span::NaturalWeek, 0, "2023-02-13", None, Some("2023-02-06..2023-02-12")),
            (Span::Lifetime, 0, "2023-02-13", None, Some("1992-01-01..2023-02-13")),
            (Span::From(Anchor::Opening, 30), 0, "2023-02-13", Some("2023-02-10"), Some("2023-02-10..2023-02-13")),
            (Span::From(Anchor::Opening, 3), 0, "2023-02-13", Some("2023-02-01"), Some("2023-02-01..2023-02-03")),
            (Span::From(Anchor::Opening, 3), 0, "2023-02-13", Some("2023-02-14"), None),
            (Span::From(Anchor::FirstSale, 3), 0, "2023-02-13", None, None),
        ];
        for (span, offset, facts_day, anchor, expected) in cases {
            assert_eq!(range(span.clone(), offset, facts_day, anchor).as_deref(), expected, "{span:?} at {facts_day}");
        }
    }
}
