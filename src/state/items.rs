//! `apply` for what follows from items: their classes, and the sums of facts about them.

use std::collections::BTreeSet;

use arrayvec::ArrayVec;

use super::classes::ItemClasses;
use super::history::{History, HistoryError};
use super::hot::Side;
use super::parallel::{give_way, in_parallel};
use super::rows::{Row, WindowsRow};
use super::scoped::on_every_core;
use super::state::{Due, State};
use super::transition::Transition;
use crate::domain::{
    Day, DayFacts, FactRow, ItemId, ItemKind, MerchantId, Profile, Subject, Timestamp, Violation, to_f32,
};
use crate::policy::Policy;
use crate::traffic::ItemClass;
use crate::trust::{Anchors, FactsLayout, ItemView, MerchantFacts, governance};

/// Items that are looked at on every core before they are written.
const ITEMS_AT_ONCE: usize = 1 << 16;

/// What Score needs of an item.
struct Placed {
    /// Whose it is; none if only violations against it are left.
    owner: Option<MerchantId>,
    /// Its class in each world there is.
    classes: ArrayVec<(Side, u32), 2>,
    /// When that changes by itself.
    next_change: Option<Timestamp>,
}

impl State {
    /// Makes what Score needs of an item, in the world that serves and in the one being built.
    pub(super) fn refresh_item(&mut self, item: ItemId) {
        match self.placed(item) {
            Some(placed) => {
                let due = placed.next_change.map(|at| (at, Due::Item(item)));
                self.place(item, &placed);
                self.due.extend(due);
            }
            None => self.hot.remove_item(item),
        }
    }

    /// Makes what Score needs of every item of a kind. Each is looked at on any core; then they are written in order.
    /// Answers which change by themselves, and when.
    pub(super) fn refresh_items(&mut self, kind: ItemKind) -> Vec<(Timestamp, Due)> {
        let ids: Vec<u64> = self.items(kind).keys().copied().collect();
        let mut due = Vec::new();
        for ids in ids.chunks(ITEMS_AT_ONCE) {
            let state = &*self;
            let placed = on_every_core(0..ids.len(), |part| {
                let items = ids.get(part).unwrap_or_default().iter().map(|id| ItemId { kind, id: *id });
                items.filter_map(|item| Some((item, state.placed(item)?))).collect()
            });
            for (item, placed) in &placed {
                self.place(*item, placed);
                due.extend(placed.next_change.map(|at| (at, Due::Item(*item))));
            }
        }
        due
    }

    /// What Score needs of an item; none if neither the item nor a violation against it is there.
    fn placed(&self, item: ItemId) -> Option<Placed> {
        let owner = self.items(item.kind).get(&item.id).and_then(Profile::owner);
        if owner.is_none() && !self.item_violations.contains_key(&item) {
            return None;
        }
        let world = self.hot.world();
        let class = self.class_of(item, &self.policy, &world.classes, self.item_facts.get(&item));
        let in_transition =
            self.transition.as_ref().map(|building| (building.side, self.class_in_transition(building, item)));
        let classes = std::iter::once((world.side, class)).chain(in_transition).collect();
        Some(Placed { owner, classes, next_change: self.next_item_change(item) })
    }

    fn place(&mut self, item: ItemId, placed: &Placed) {
        let slot = placed.owner.map(|owner| self.slot_of(owner));
        self.hot.set_item(item, slot, &placed.classes);
    }

    /// The class of an item under a policy.
    fn class_of(&self, item: ItemId, policy: &Policy, classes: &ItemClasses, facts: Option<&MerchantFacts>) -> u32 {
        let kind = item.kind.target();
        let view = self.item_view(item).map(|view| ItemView { facts, ..view });
        let class = ItemClass::new(&policy.programmes, kind, view.as_ref(), self.item_factor(policy, item));
        classes.position(class, kind)
    }

    /// Sets the class of an item in the world being built.
    pub(super) fn classify_in(&self, transition: &Transition, item: ItemId) {
        self.hot.set_class(item, transition.side, self.class_in_transition(transition, item));
    }

    /// The class of an item in the world being built.
    pub(super) fn class_in_transition(&self, transition: &Transition, item: ItemId) -> u32 {
        let facts = transition.item_facts.get(&item).or_else(|| {
            let same = transition.policy.item_layout_fingerprint == self.policy.item_layout_fingerprint;
            self.item_facts.get(&item).filter(|_| same)
        });
        self.class_of(item, &transition.policy, &transition.classes, facts)
    }

    fn next_item_change(&self, item: ItemId) -> Option<Timestamp> {
        let violations = self.item_violations(item).map(|(_, violation)| violation);
        let by_violation = governance::next_change(violations, self.meta.now);
        let policies = std::iter::once(&self.policy).chain(self.transition.as_ref().map(|building| &building.policy));
        by_violation.into_iter().chain(policies.filter_map(|policy| self.next_change_under(policy, item))).min()
    }

    /// When an item's part in the programmes of a policy changes by itself. Violations are due whatever the policy.
    fn next_change_under(&self, policy: &Policy, item: ItemId) -> Option<Timestamp> {
        let view = self.item_view(item)?;
        policy.programmes.iter().filter_map(|programme| programme.next_item_change(item.kind.target(), &view)).min()
    }

    /// The product of the factors of the violations against an item under a policy; 1 if there is none.
    fn item_factor(&self, policy: &Policy, item: ItemId) -> f32 {
        let factors = self
            .item_violations(item)
            .map(|(_, violation)| policy.model.violations.factor_of(violation, item.kind.target(), self.meta.now));
        to_f32(factors.fold(1.0, |product, factor| product * factor))
    }

    /// Violations against an item, with the slot of the merchant they are recorded under.
    pub fn item_violations(&self, item: ItemId) -> impl Iterator<Item = (u32, &Violation)> {
        self.item_violations.get(&item).into_iter().flatten().filter_map(|(slot, id)| {
            Some((*slot, self.entry(*slot)?.violations.iter().find(|violation| violation.id == *id)?))
        })
    }

    /// What expressions see of an item; none if it is not registered.
    #[must_use]
    pub fn item_view(&self, item: ItemId) -> Option<ItemView<'_>> {
        let profile = self.items(item.kind).get(&item.id)?;
        Some(ItemView { profile, facts: self.item_facts.get(&item), now: self.meta.now })
    }

    /// Finds the classes of items on every core, then sets them.
    pub(super) fn classify_items(&mut self, transition: &Transition, kind: ItemKind, ids: &[u64]) {
        let state = &*self;
        let found = in_parallel(0..ids.len(), |part| {
            let items = ids.get(part).unwrap_or_default().iter().enumerate();
            let items = items.inspect(|(at, _)| give_way(*at)).map(|(_, id)| ItemId { kind, id: *id });
            let class = |item| state.class_in_transition(transition, item);
            items.map(|item| (item, class(item), state.next_change_under(&transition.policy, item))).collect()
        });
        for (item, class, next_change) in found {
            self.hot.set_class(item, transition.side, class);
            self.due.extend(next_change.map(|at| (at, Due::Item(item))));
        }
    }

    /// Items that are gone while violations against them are not.
    pub(super) fn classify_deleted(&self, transition: &Transition) {
        let deleted = self.item_violations.keys().filter(|item| !self.items(item.kind).contains_key(&item.id));
        deleted.for_each(|item| self.classify_in(transition, *item));
    }

    /// The row of an item's sums.
    pub(super) fn item_windows_row(&self, item: ItemId) -> Option<Row> {
        let row = WindowsRow {
            facts_day: self.facts_day(),
            layout: self.policy.item_layout_fingerprint,
            last_stored: None,
            facts: self.item_facts.get(&item)?.clone(),
        };
        Some(Row::Windows(Subject::Item(item), row))
    }

    /// The part of recording a row that concerns the sums of an item: those of now, and those being prepared.
    pub(super) fn write_item_sums(&mut self, item: ItemId, row: &FactRow, before: &DayFacts) {
        let none = Anchors::default();
        let facts_day = self.facts_day();
        if let Some(mut transition) = self.transition.take() {
            if !transition.policy.item_layout.sums().is_empty() {
                let (to, day) = (transition.policy.clone(), transition.facts_day);
                let forked = self.forked_item(&mut transition, item);
                forked.write_row(&to.item_layout, &none, day, row.day, before, &row.facts);
            }
            self.transition = Some(transition);
        }
        let policy = self.policy.clone();
        let layout = &policy.item_layout;
        if !layout.sums().is_empty() {
            let facts = self.item_facts.entry(item).or_insert_with(|| MerchantFacts::empty(layout));
            facts.write_row(layout, &none, facts_day, row.day, before, &row.facts);
            self.changes.item_windows.insert(item);
        }
        self.dirty.insert(Due::Item(item));
    }

    /// The sums of an item in the world being built, its own from now on.
    pub(super) fn forked_item<'a>(&self, transition: &'a mut Transition, item: ItemId) -> &'a mut MerchantFacts {
        let (from, to) = (&self.policy.item_layout, &transition.policy.item_layout);
        transition.item_facts.entry(item).or_insert_with(|| match self.item_facts.get(&item) {
            Some(facts) if from == to => facts.clone(),
            Some(facts) => facts.laid_out(from, to),
            None => MerchantFacts::empty(to),
        })
    }

    /// Takes a stored row of an item into the sums being prepared.
    pub(super) fn move_item_row(&self, transition: &mut Transition, item: ItemId, day: Day, row: &DayFacts) {
        let policy = transition.policy.clone();
        if policy.item_layout.sums().is_empty() {
            return;
        }
        let days = (self.facts_day(), transition.facts_day);
        let new_sums = transition.new_item_sums.clone();
        let facts = self.forked_item(transition, item);
        facts.move_row(&policy.item_layout, &Anchors::default(), days, &new_sums, day, row);
    }

    /// Brings the sums of items up to the facts day: each from the day its sums are of, none if they are of another
    /// layout.
    ///
    /// # Errors
    /// When stored facts cannot be read.
    pub(super) fn catch_items_up(
        &mut self,
        from: Option<Day>,
        items: &BTreeSet<ItemId>,
        history: &dyn History,
    ) -> Result<(), HistoryError> {
        let policy = self.policy.clone();
        let layout = &policy.item_layout;
        let to = self.facts_day();
        self.changes.item_windows.extend(items.iter().copied());
        let empty = FactsLayout::default();
        let (older, from) = from.map_or((&empty, to), |from| (layout, from));
        let new_sums = layout.new_sums(older);
        // From the facts day to itself only what new sums reach back to is read.
        for stored in history.rows(layout.days_to_read(older, from, to)) {
            let (key, row) = stored?;
            let Subject::Item(item) = key.subject else { continue };
            if items.contains(&item) {
                let facts = self.item_facts.entry(item).or_insert_with(|| MerchantFacts::empty(layout));
                facts.move_row(layout, &Anchors::default(), (from, to), &new_sums, key.day, &row);
            }
        }
        Ok(())
    }
}
