//! The part of explanations that prices have: budgets, guarantees, caps, and the arithmetic of weight and adjusted
//! score.

use crate::engine::Explanation;
use crate::policy::Policy;
use crate::proto;
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

/// The part of a programme's explanation that is about its budget.
pub(super) fn priced(explanation: &Explanation, programme: &Programme) -> proto::ProgrammeExplanation {
    let (price, price_factor) = explanation.prices.budget(programme.bit);
    proto::ProgrammeExplanation {
        price,
        price_factor,
        spent: explanation.prices.spent & programme.mask() != 0,
        ..proto::ProgrammeExplanation::default()
    }
}

fn id_of(policy: &Policy, bit: Option<u8>) -> String {
    let found = bit.and_then(|bit| policy.programmes.iter().find(|programme| programme.bit == bit));
    found.map(|programme| programme.id.clone()).unwrap_or_default()
}
