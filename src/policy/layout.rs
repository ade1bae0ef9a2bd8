//! Which window sums and levels a policy needs, each once.

use crate::domain::CounterId;
use crate::trust::{Anchor, FactsLayout, LevelId, Span, SumId, Window};
use std::fmt::Write;
use xxhash_rust::xxh3::xxh3_64;

/// Most window sums of a policy: every merchant holds 12 bytes for each.
pub(super) const MAX_SUMS: usize = 1_024;

/// Collects the sums and levels that signals and expressions read.
#[derive(Debug, Default)]
pub(super) struct LayoutBuilder {
    sums: Vec<(CounterId, Window)>,
    levels: Vec<CounterId>,
    item_sums: Vec<(CounterId, Window)>,
}

impl LayoutBuilder {
    /// The sum of a counter over a window, added if it is new. `None` when there are too many.
    pub(super) fn sum(&mut self, counter: CounterId, window: &Window) -> Option<SumId> {
        place(&mut self.sums, counter, window)
    }

    /// The sum of a counter of items over a window, added if it is new. `None` when there are too many.
    pub(super) fn item_sum(&mut self, counter: CounterId, window: &Window) -> Option<SumId> {
        place(&mut self.item_sums, counter, window)
    }

    /// The latest value of a counter, added if it is new. `None` when there are too many.
    pub(super) fn level(&mut self, counter: CounterId) -> Option<LevelId> {
        position(&mut self.levels, &counter).map(LevelId)
    }

    /// The layouts of all that was asked for, of merchants and of items.
    pub(super) fn build(self, first_sale: Option<CounterId>) -> (FactsLayout, FactsLayout) {
        (FactsLayout::new(self.sums, self.levels, first_sale), FactsLayout::new(self.item_sums, Vec::new(), None))
    }
}

fn place(sums: &mut Vec<(CounterId, Window)>, counter: CounterId, window: &Window) -> Option<SumId> {
    position(sums, &(counter, window.clone())).map(SumId)
}

/// Where an entry stands; added at the end if it is new and fits.
fn position<T: Clone + PartialEq>(list: &mut Vec<T>, entry: &T) -> Option<u16> {
    let position = list.iter().position(|other| other == entry).or_else(|| {
        let fits = list.len() < MAX_SUMS;
        fits.then(|| {
            list.push(entry.clone());
            list.len() - 1
        })
    })?;
    u16::try_from(position).ok()
}

/// Equal layouts have equal fingerprints, on every machine and in every release.
pub(super) fn fingerprint(layout: &FactsLayout) -> u64 {
    let mut text = String::new();
    for (counter, window) in layout.sums() {
        let span = match &window.span {
            Span::Days(days) => format!("days {days}"),
            Span::NaturalWeek => "week".to_owned(),
            Span::Lifetime => "lifetime".to_owned(),
            Span::From(Anchor::Opening, days) => format!("opening {days}"),
            Span::From(Anchor::FirstSale, days) => format!("first_sale {days}"),
            Span::From(Anchor::Enrolment(list), days) => format!("enrolment {days} {list:?}"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "sum {} {} {span}", counter.0, window.offset_days);
    }
    for counter in layout.levels() {
        let _ = writeln!(text, "level {}", counter.0);
    }
    let _ = writeln!(text, "first_sale {:?}", layout.first_sale_counter().map(|counter| counter.0));
    xxh3_64(text.as_bytes())
}
