//! What changes by itself, and when: for each merchant the next instant only, since whatever is looked at then is put
//! down again for the instant after it.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{ItemId, Timestamp};

/// Not in the agenda.
const NEVER: Timestamp = Timestamp(i64::MAX);

/// Whose record changes at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Merchant(u32),
    Item(ItemId),
}

/// Records by the instant at which they have to be made again.
#[derive(Default)]
pub(super) struct Agenda {
    /// Slots by instant. Those that have meanwhile been put down for an earlier one stand here, too.
    merchants: BTreeMap<Timestamp, Vec<u32>>,
    /// The instant that counts, by slot.
    next: Vec<Timestamp>,
    items: BTreeSet<(Timestamp, ItemId)>,
}

impl Agenda {
    /// Puts down a record, unless it is down for that instant or an earlier one.
    pub(super) fn insert(&mut self, at: Timestamp, due: Due) {
        match due {
            Due::Merchant(slot) => self.insert_merchant(at, slot),
            Due::Item(item) => {
                self.items.insert((at, item));
            }
        }
    }

    fn insert_merchant(&mut self, at: Timestamp, slot: u32) {
        let Ok(place) = usize::try_from(slot) else { return };
        if place >= self.next.len() {
            self.next.resize(place + 1, NEVER);
        }
        let Some(next) = self.next.get_mut(place).filter(|next| at < **next) else { return };
        *next = at;
        self.merchants.entry(at).or_default().push(slot);
    }

    /// The first instant that something is put down for.
    pub(super) fn first(&self) -> Option<Timestamp> {
        let merchants = self.merchants.first_key_value().map(|(at, _)| *at);
        let items = self.items.first().map(|(at, _)| *at);
        merchants.into_iter().chain(items).min()
    }

    /// Takes out what is due at an instant, in no order.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<Due> {
        let mut due = Vec::new();
        while let Some(entry) = self.merchants.first_entry().filter(|entry| *entry.key() <= now) {
            let (at, slots) = entry.remove_entry();
            for slot in slots {
                let next = usize::try_from(slot).ok().and_then(|place| self.next.get_mut(place));
                if let Some(next) = next.filter(|next| **next == at) {
                    *next = NEVER;
                    due.push(Due::Merchant(slot));
                }
            }
        }
        while let Some((at, item)) = self.items.first().copied().filter(|(at, _)| *at <= now) {
            self.items.remove(&(at, item));
            due.push(Due::Item(item));
        }
        due
    }
}

impl Extend<(Timestamp, Due)> for Agenda {
    fn extend<I: IntoIterator<Item = (Timestamp, Due)>>(&mut self, due: I) {
        due.into_iter().for_each(|(at, due)| self.insert(at, due));
    }
}

#[cfg(test)]
mod tests {
    use super::{Agenda, Due};
    use crate::domain::{ItemId, ItemKind, Timestamp};

    #[test]
    fn a_merchant_comes_up_at_its_first_instant_and_then_as_it_is_put_down_again() {
        let mut agenda = Agenda::default();
        let item = Due::Item(ItemId { kind: ItemKind::Product, id: 9 });
        for (at, due) in
            [(30, Due::Merchant(2)), (20, Due::Merchant(2)), (20, Due::Merchant(0)), (25, item), (40, item)]
        {
            agenda.insert(Timestamp(at), due);
        }
        agenda.insert(Timestamp(35), Due::Merchant(2));
        assert_eq!(agenda.first(), Some(Timestamp(20)));
        assert_eq!(agenda.take_due(Timestamp(19)), []);
        assert_eq!(agenda.take_due(Timestamp(25)), [Due::Merchant(2), Due::Merchant(0), item]);
        agenda.insert(Timestamp(30), Due::Merchant(2));
        agenda.insert(Timestamp(30), Due::Merchant(2));
        assert_eq!(agenda.take_due(Timestamp(30)), [Due::Merchant(2)], "once, though it stood there before");
        assert_eq!(agenda.first(), Some(Timestamp(40)));
        assert_eq!(agenda.take_due(Timestamp(40)), [item]);
        assert_eq!(agenda.first(), None);
    }
}
