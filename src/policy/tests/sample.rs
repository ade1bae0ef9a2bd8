//! A merchant to ask a policy about.

use crate::domain::{
    CounterId, Day, DayFacts, Decision, HeldRight, Merchant, MerchantId, MerchantKind, Scene, TargetKind, Timestamp,
    Violation, Words,
};
use crate::policy::{Dictionary, Policy, compile, embedded};
use crate::traffic::{ItemClass, Made, Materialised, Weight, make_record, materialise, open_programmes, weigh};
use crate::trust::{Anchors, MerchantFacts, MerchantView, SignalRow, Trust};

/// The policy the program carries.
pub(super) fn embedded_policy() -> Policy {
    compile(&embedded(), 1, &mut Dictionary::default()).expect("the embedded policy compiles")
}

/// A date.
pub(super) fn day(text: &str) -> Day {
    Day::parse(text).expect("a date")
}

/// The last closed day of the samples: a Sunday.
pub(super) const FACTS_DAY: &str = "2023-02-12";

/// A merchant with facts of one day, far enough inside every window, and what was recorded about it.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) merchant: Merchant,
    pub(super) facts: Vec<(String, u64)>,
    pub(super) rights: Vec<HeldRight>,
    pub(super) violations: Vec<Violation>,
    /// Scenes in which something is left of its packages, as bits.
    pub(super) packages: u8,
}

impl Default for Sample {
    /// An ordinary merchant of whom nothing is known.
    fn default() -> Self {
        let merchant = Merchant {
            id: MerchantId(1),
            name: "sample".into(),
            kind: MerchantKind::Ordinary,
            opened_at: None,
            categories: vec!["clothing".into()].into(),
            region: "hangzhou".into(),
            origin_belt: String::new(),
            fan_count: 0,
            service_provider: None,
            tags: Words::default(),
            prior_identity_violation: false,
            enrolments: vec![],
            revision: 0,
        };
        Self { merchant, facts: vec![], rights: vec![], violations: vec![], packages: 0 }
    }
}

impl Sample {
    /// With these counters.
    pub(super) fn with(mut self, facts: &[(&str, u64)]) -> Self {
        self.facts.extend(facts.iter().map(|(name, value)| ((*name).to_owned(), *value)));
        self
    }

    /// Holding these rights since ever.
    pub(super) fn holding(mut self, rights: &[&str]) -> Self {
        let held = |right: &&str| HeldRight { right: (*right).to_owned(), from: Timestamp(0), until: None };
        self.rights.extend(rights.iter().map(held));
        self
    }

    /// With a violation that began on the last closed day.
    pub(super) fn violating(mut self, kind: &str) -> Self {
        let at = day(FACTS_DAY).start();
        self.violations.push(Violation {
            id: 1,
            merchant: MerchantId(1),
            kind: kind.to_owned(),
            item: None,
            occurred_at: at,
            effective_from: at,
            effective_until: None,
            order: None,
            decision: Decision::Applied,
            revoked: false,
        });
        self
    }

    /// Opened so many days before today.
    pub(super) fn opened(mut self, days: i32) -> Self {
        self.merchant.opened_at = Some(day(FACTS_DAY).plus(1 - days).start());
        self
    }

    /// Hands its view under a policy to a function.
    pub(super) fn view<T>(&self, policy: &Policy, then: impl FnOnce(&MerchantView) -> T) -> T {
        let facts_day = day(FACTS_DAY);
        let cells: Vec<(CounterId, u64)> = self
            .facts
            .iter()
            .map(|(name, value)| (policy.counter(name).unwrap_or_else(|| panic!("no counter {name}")), *value))
            .collect();
        let mut facts = MerchantFacts::empty(&policy.model.layout);
        let mut anchors = Anchors::of(&self.merchant);
        let row = DayFacts::new(cells);
        let layout = &policy.model.layout;
        facts.write_row(layout, &anchors, facts_day, facts_day, &DayFacts::default(), &row);
        if facts.first_sale().is_some() {
            anchors.first_sale = facts.first_sale();
            facts.clear_anchored(layout);
            facts.add_anchored(layout, &anchors, facts_day, facts_day, &row);
        }
        then(&MerchantView {
            merchant: &self.merchant,
            facts: (&facts).into(),
            rights: &self.rights,
            violations: &self.violations,
            provider: None,
            facts_day,
            now: facts_day.plus(1).start(),
            packages: self.packages,
        })
    }

    /// Its record, with one row per signal.
    pub(super) fn record(&self, policy: &Policy) -> (Materialised, Vec<SignalRow>) {
        let mut rows = Vec::new();
        let made = self.view(policy, |view| materialise(&policy.rules(&[]), view, &mut rows));
        let alone = self.view(policy, |view| make_record(&policy.rules(&[]), view, &mut Vec::new()));
        assert_eq!(alone, Made { record: made.record, next_change: made.next_change }, "told or not, it is the same");
        (made, rows)
    }

    /// The weight of its live room.
    pub(super) fn weight(&self, policy: &Policy) -> Weight {
        let record = self.record(policy).0.record;
        let now = day(FACTS_DAY).plus(1).start();
        let rules = policy.weight_rules.in_scene(Scene::Live, open_programmes(&policy.programmes, now), false);
        let class = ItemClass::new(&policy.programmes, TargetKind::LiveRoom, None, 1.0);
        weigh(&rules, &record.row(Scene::Live, TargetKind::LiveRoom), &class)
    }

    /// Its trust score.
    pub(super) fn trust(&self, policy: &Policy) -> Trust {
        self.record(policy).0.trust
    }
}
