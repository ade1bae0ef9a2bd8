//! Basic governance (基础治理): violation types, their effect, decaying points, the gate, exemptions.

use crate::domain::{Day, OrderContext, TargetKind, Timestamp, Violation, Week, count_to_f64, share};

/// What a type of violation does.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in violations.toml")]
pub struct ViolationType {
    /// Id in policy files.
    pub id: String,
    /// English name.
    pub name: String,
    /// Chinese name.
    pub name_zh: String,
    /// Whether it punishes one item instead of the merchant.
    pub is_item_scoped: bool,
    /// Factor on the weight by target kind while it is active; 0 excludes.
    pub factors: [f64; TargetKind::COUNT],
    /// Whether it closes the gate while it is active: trust score 0.
    pub closes_gate: bool,
    /// Points when it occurs.
    pub points: f64,
    /// Days until the points are gone, falling in a straight line.
    pub decay_days: u16,
    /// How long it has effect when the recorder does not say, in days; none means without end.
    pub default_days: Option<u16>,
    /// Whether the high-in-stock waiver waives it.
    pub is_waivable: bool,
    /// Whether force majeure exempts it.
    pub is_exempt_by_force_majeure: bool,
}

/// Orders of physical goods from or to this region in these days are exempt (seed 000).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForceMajeure {
    /// The region.
    pub region: String,
    /// First day.
    pub first: Day,
    /// Last day.
    pub last: Day,
}

/// Bounds of the high-in-stock waiver (高现货豁免, seed 004).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiverRule {
    /// Paid orders must be above this.
    pub paid_orders_above: u64,
    /// Promised-stock share must be above this, in basis points.
    pub promised_share_above_bp: u32,
    /// Timely shipping must be at least this, in basis points.
    pub timely_share_at_least_bp: u32,
    /// Whether lightning-buy orders (闪电购) stay in the denominator of the promised-stock share.
    pub lightning_buy_in_denominator: bool,
}

/// What the week before says about the waiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaiverFacts {
    /// Paid orders.
    pub paid_orders: u64,
    /// Paid orders with a promise of 24 or 48 hours, without lightning buy.
    pub promised_orders: u64,
    /// Paid lightning-buy orders.
    pub lightning_buy_orders: u64,
    /// Shipments due.
    pub shipments_due: u64,
    /// Of those, shipped on time.
    pub shipped_on_time: u64,
}

/// The violation types of a policy and the rules around them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Violations {
    /// The types.
    pub types: Vec<ViolationType>,
    /// Force-majeure regions.
    pub force_majeure: Vec<ForceMajeure>,
    /// The waiver, if the policy has one.
    pub waiver: Option<WaiverRule>,
}

impl WaiverFacts {
    /// The denominator of the promised-stock share under a rule.
    #[must_use]
    pub fn promised_of(&self, rule: &WaiverRule) -> u64 {
        if rule.lightning_buy_in_denominator {
            self.paid_orders
        } else {
            self.paid_orders.saturating_sub(self.lightning_buy_orders)
        }
    }
}

impl WaiverRule {
    /// Whether each bound is met: paid orders, promised-stock share, timely shipping.
    #[must_use]
    pub fn bounds(&self, facts: &WaiverFacts) -> [bool; 3] {
        [
            facts.paid_orders > self.paid_orders_above,
            share::is_above(facts.promised_orders, facts.promised_of(self), self.promised_share_above_bp),
            share::is_at_least(facts.shipped_on_time, facts.shipments_due, self.timely_share_at_least_bp),
        ]
    }

    /// Whether the week earns a waiver for the week after it.
    #[must_use]
    pub fn is_earned(&self, facts: &WaiverFacts) -> bool {
        self.bounds(facts) == [true; 3]
    }

    /// The week whose facts decide about a violation: the one before it occurred.
    #[must_use]
    pub fn deciding_week(occurred_at: Timestamp) -> Week {
        occurred_at.day().week().previous()
    }
}

impl Violations {
    /// The type with this id.
    #[must_use]
    pub fn kind(&self, id: &str) -> Option<&ViolationType> {
        self.types.iter().find(|kind| kind.id == id)
    }

    /// Whether force majeure exempts an order of that day.
    #[must_use]
    pub fn is_force_majeure(&self, order: &OrderContext, day: Day) -> bool {
        let listed = |region: &str| {
            self.force_majeure.iter().any(|rule| rule.region == region && rule.first <= day && day <= rule.last)
        };
        !order.is_virtual && (listed(&order.sender_region) || listed(&order.recipient_region))
    }

    /// 1, or 0 while a violation closes the gate.
    #[must_use]
    pub fn gate(&self, violations: &[Violation], now: Timestamp) -> f64 {
        let closed = violations
            .iter()
            .any(|violation| violation.active_at(now) && self.kind(&violation.kind).is_some_and(|k| k.closes_gate));
        if closed { 0.0 } else { 1.0 }
    }

    /// Points of one violation after decay, counted in closed days.
    #[must_use]
    pub fn points_of(&self, violation: &Violation, facts_day: Day) -> f64 {
        let Some(kind) = self.kind(&violation.kind).filter(|kind| violation.counts() && kind.decay_days > 0) else {
            return 0.0;
        };
        let age = facts_day.days_since(violation.occurred_at.day()).max(0);
        kind.points * (1.0 - f64::from(age) / f64::from(kind.decay_days)).max(0.0)
    }

    /// Points of all violations after decay.
    #[must_use]
    pub fn points(&self, violations: &[Violation], facts_day: Day) -> f64 {
        violations.iter().map(|violation| self.points_of(violation, facts_day)).fold(0.0, |sum, points| sum + points)
    }

    /// The factor of one violation on targets of a kind; 1 while it is not active.
    #[must_use]
    pub fn factor_of(&self, violation: &Violation, kind: TargetKind, now: Timestamp) -> f64 {
        if !violation.active_at(now) {
            return 1.0;
        }
        self.kind(&violation.kind).and_then(|k| k.factors.get(kind.index())).copied().unwrap_or(1.0)
    }

    /// The product of the factors of merchant-wide violations on targets of a kind.
    #[must_use]
    pub fn merchant_factor(&self, violations: &[Violation], kind: TargetKind, now: Timestamp) -> f64 {
        violations
            .iter()
            .filter(|violation| violation.item.is_none())
            .map(|violation| self.factor_of(violation, kind, now))
            .fold(1.0, |product, factor| product * factor)
    }
}

/// The next instant after `now` at which a violation begins or ends.
#[must_use]
pub fn next_change<'a>(violations: impl IntoIterator<Item = &'a Violation>, now: Timestamp) -> Option<Timestamp> {
    let instants = violations
        .into_iter()
        .filter(|violation| violation.counts())
        .flat_map(|violation| [Some(violation.effective_from), violation.effective_until]);
    instants.flatten().filter(|instant| *instant > now).min()
}

/// A share of counts, for showing.
#[must_use]
pub fn shown_share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { count_to_f64(part) / count_to_f64(whole) }
}

#[cfg(test)]
mod tests {
    use super::{WaiverFacts, WaiverRule};

    const RULE: WaiverRule = WaiverRule {
        paid_orders_above: 3_000,
        promised_share_above_bp: 7_000,
        timely_share_at_least_bp: 9_700,
        lightning_buy_in_denominator: true,
    };

    #[test]
    fn the_waiver_has_exact_bounds() {
        // paid, promised, lightning buy, due, on time -> earned
        let cases = [
            ((3_001, 3_001, 0, 100, 97), true, "97 % is at least 97 %"),
            ((3_000, 3_000, 0, 100, 97), false, "3000 is not above 3000"),
            ((10_000, 7_000, 0, 100, 97), false, "70 % is not above 70 %"),
            ((10_000, 7_001, 0, 100, 97), true, "70.01 % is above 70 %"),
            ((10_000, 7_001, 0, 10_000, 9_699), false, "96.99 % is below 97 %"),
            ((10_000, 10_000, 0, 0, 0), false, "without shipments nothing was timely"),
        ];
        for ((paid_orders, promised_orders, lightning_buy_orders, shipments_due, shipped_on_time), earned, why) in cases
        {
            let facts =
                WaiverFacts { paid_orders, promised_orders, lightning_buy_orders, shipments_due, shipped_on_time };
            assert_eq!(RULE.is_earned(&facts), earned, "{why}");
        }
    }

    #[test]
    fn lightning_buy_leaves_the_denominator_by_a_switch() {
        let facts = WaiverFacts {
            paid_orders: 10_000,
            promised_orders: 6_500,
            lightning_buy_orders: 1_000,
            shipments_due: 1,
            shipped_on_time: 1,
        };
        assert!(!RULE.is_earned(&facts), "65 % of all orders");
        let without = WaiverRule { lightning_buy_in_denominator: false, ..RULE };
        assert!(without.is_earned(&facts), "72 % of the orders that are not lightning buy");
    }
}
