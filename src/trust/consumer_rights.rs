//! Consumer rights (消费者权益): the dated catalogue of Trust Purchase (信任购) and what of it a merchant holds.

use crate::domain::{Day, HeldRight, Merchant, Timestamp};

/// One right of the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub struct Right {
    /// Id in policy files.
    pub id: String,
    /// English name.
    pub name: String,
    /// Chinese name.
    pub name_zh: String,
    /// First day the platform offers it.
    pub effective_from: Option<Day>,
    /// Last day the platform offers it.
    pub effective_until: Option<Day>,
    /// Categories it applies to; empty means all.
    pub categories: Vec<String>,
    /// Categories it does not apply to.
    pub except_categories: Vec<String>,
    /// Weight in the coverage of rights.
    pub weight: f64,
    /// What the parameter counts, e.g. `days` or `times the price`.
    pub parameter_unit: String,
    /// The parameter from a day on, ascending.
    pub parameters: Vec<(Day, u64)>,
}

impl Right {
    /// Whether the platform offers it on a day and the merchant sells what it is for.
    #[must_use]
    pub fn applies(&self, merchant: &Merchant, day: Day) -> bool {
        let offered =
            self.effective_from.is_none_or(|from| from <= day) && self.effective_until.is_none_or(|until| day <= until);
        let sells = |list: &[String]| merchant.categories.iter().any(|category| list.contains(category));
        let all_excepted = !merchant.categories.is_empty()
            && merchant.categories.iter().all(|category| self.except_categories.contains(category));
        offered && (self.categories.is_empty() || sells(&self.categories)) && !all_excepted
    }

    /// Whether a merchant holds it at an instant.
    #[must_use]
    pub fn held(&self, rights: &[HeldRight], at: Timestamp) -> bool {
        rights.iter().any(|held| held.right == self.id && held.held_at(at))
    }

    /// The parameter in force on a day, e.g. a claim window that grew from 30 to 90 days.
    #[must_use]
    pub fn parameter(&self, day: Day) -> Option<u64> {
        self.parameters.iter().rev().find(|(from, _)| *from <= day).map(|(_, value)| *value)
    }

    /// The days on which what it means changes.
    fn changes(&self) -> impl Iterator<Item = Day> + '_ {
        let ends = self.effective_until.map(|until| until.plus(1));
        self.effective_from.into_iter().chain(ends)
    }
}

/// Weighted share of the applicable rights that are held; (held weight, applicable weight).
#[must_use]
pub fn coverage(catalogue: &[Right], merchant: &Merchant, rights: &[HeldRight], now: Timestamp) -> (f64, f64) {
    let today = now.day();
    let mut held = 0.0;
    let mut applicable = 0.0;
    for right in catalogue.iter().filter(|right| right.applies(merchant, today)) {
        applicable += right.weight;
        if right.held(rights, now) {
            held += right.weight;
        }
    }
    (held, applicable)
}

/// The next instant after `now` at which the rights of a merchant can change by themselves.
#[must_use]
pub fn next_change(catalogue: &[Right], rights: &[HeldRight], now: Timestamp) -> Option<Timestamp> {
    let offered = catalogue.iter().flat_map(Right::changes).map(Day::start);
    let held = rights.iter().flat_map(|right| [Some(right.from), right.until]).flatten();
    offered.chain(held).filter(|instant| *instant > now).min()
}
