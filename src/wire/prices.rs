//! The part of explanations that prices have: budgets, guarantees, caps, and the arithmetic of weight and adjusted
//! score.

use super::time::to_proto_time;
use crate::engine::{ExplainedBudget, ExplainedProgramme, Explanation};
use crate::policy::Policy;
use crate::proto;
use crate::state::GuaranteeRow;
use crate::traffic::Programme;

/// The weight, factor by factor.
pub(super) fn weight(explanation: &Explanation) -> proto::WeightExplanation {
    let (weight, prices) = (&explanation.weight, &explanation.prices);
    proto::WeightExplanation {
        tilt: weight.tilt,
        penalty: weight.penalty,
        item_factor: weight.item_factor,
        uplift: weight.uplift,
        ceiling: explanation.policy.weight_rules.ceiling,
        weight: weight.weight,
        kill_switch: explanation.kill_switch,
        member_factor: f64::from(prices.member.factor),
        hard_factor: prices.hard_factor(),
        support_factor: weight.charged.map_or(1.0, |bit| prices.budget(bit).1),
        charged_programme: id_of(&explanation.policy, weight.charged),
    }
}

/// The adjusted score, term by term; none without a base score.
pub(super) fn adjusted(explanation: &Explanation, base_score: f32) -> Option<proto::AdjustedExplanation> {
    let prices = &explanation.prices;
    let bid = prices.adjusted?;
    let value = prices.value(base_score);
    let gain = |bit: u8| prices.lines.uplift(bit) * value - prices.budget(bit).0;
    Some(proto::AdjustedExplanation {
        base_score,
        value,
        hard_prices: prices.hard_prices(),
        member_price: f64::from(prices.member.additive),
        support_gain: bid.charged.map_or(0.0, gain),
        adjusted: bid.score,
        charged_programme: id_of(&explanation.policy, bid.charged),
        stopped: prices.is_stopped(),
    })
}

/// What guarantees and caps make of the merchant.
pub(super) fn member_price(explanation: &Explanation) -> proto::MemberPriceExplanation {
    let member = &explanation.prices.member;
    let spent = explanation.policy.programmes.iter().filter(|programme| member.spent & programme.mask() != 0);
    proto::MemberPriceExplanation {
        additive: f64::from(member.additive),
        factor: f64::from(member.factor),
        spent_programmes: spent.map(|programme| programme.id.clone()).collect(),
        must_serve: member.must_serve,
    }
}

/// The part of a programme's explanation that is about its budget, and what it promises and allows the merchant.
pub(super) fn priced(
    explanation: &Explanation,
    programme: &Programme,
    found: &ExplainedProgramme,
) -> proto::ProgrammeExplanation {
    let (price, price_factor) = explanation.prices.budget(programme.bit);
    proto::ProgrammeExplanation {
        price,
        price_factor,
        spent: explanation.prices.spent & programme.mask() != 0,
        budget: found.budget.as_ref().map(budget),
        guarantee: found.guarantee.as_ref().map(|(_, row)| guarantee(explanation, programme, row)),
        cap: found.cap.map(|(limit_exposures, delivered_exposures)| proto::CapExplanation {
            limit_exposures,
            delivered_exposures,
        }),
        ..proto::ProgrammeExplanation::default()
    }
}

fn budget(budget: &ExplainedBudget) -> proto::BudgetExplanation {
    proto::BudgetExplanation {
        limit_exposures: budget.limit,
        delivered_exposures: budget.delivered,
        reserved_exposures: budget.held,
        period_first_day: budget.first_day.map(|day| day.to_string()).unwrap_or_default(),
        pace: budget.pace.unwrap_or(0.0),
    }
}

fn guarantee(explanation: &Explanation, programme: &Programme, row: &GuaranteeRow) -> proto::GuaranteeExplanation {
    let is_member = explanation.record.programmes & programme.mask() != 0;
    let status = if row.delivered >= row.target {
        "met"
    } else if row.until <= explanation.now {
        "missed"
    } else if explanation.prices.lines.is_excluded || !is_member {
        "suspended"
    } else {
        "open"
    };
    proto::GuaranteeExplanation {
        target_exposures: row.target,
        delivered_exposures: row.delivered,
        ends_at: Some(to_proto_time(row.until)),
        penalty: programme.guarantee.map_or(0.0, |guarantee| guarantee.penalty),
        feasible: row.is_feasible,
        status: status.to_owned(),
    }
}

fn id_of(policy: &Policy, bit: Option<u8>) -> String {
    let found = bit.and_then(|bit| policy.programmes.iter().find(|programme| programme.bit == bit));
    found.map(|programme| programme.id.clone()).unwrap_or_default()
}
