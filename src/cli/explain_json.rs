//! An explanation as JSON, with the field names of the proto; 64-bit ids and masks as text.

use serde_json::{Map, Value, json};

use super::time::instant_text;
use super::words::{id_json, label_words, short_float};
use crate::proto::{
    AdjustedExplanation, BudgetExplanation, CapExplanation, ConditionExplanation, CurvePoint, ExplainScoreResponse,
    GuaranteeExplanation, LayerExplanation, MemberPriceExplanation, ProgrammeExplanation, RightExplanation, ScoreRow,
    SignalExplanation, TrustExplanation, ViolationExplanation, WaiverExplanation, WeightExplanation,
};

/// The whole answer.
pub(super) fn explanation_json(answer: &ExplainScoreResponse) -> Value {
    json!({
        "policy_version": answer.policy_version, "revision": answer.revision, "facts_day": answer.facts_day,
        "state_time": instant_text(answer.state_time.as_ref()), "row": answer.row.as_ref().map(row),
        "merchant_id": id_json(answer.merchant_id), "merchant_name": answer.merchant_name,
        "trust": answer.trust.as_ref().map(trust), "programmes": list(&answer.programmes, programme),
        "violations": list(&answer.violations, violation), "rights": list(&answer.rights, right),
        "weight": answer.weight.as_ref().map(weight), "waiver": answer.waiver.as_ref().map(waiver),
        "price_epoch": answer.price_epoch, "mean_base_score": answer.mean_base_score,
        "adjusted": answer.adjusted.as_ref().map(adjusted), "member": answer.member.as_ref().map(member),
    })
}

fn list<T>(items: &[T], item: fn(&T) -> Value) -> Vec<Value> {
    items.iter().map(item).collect()
}

fn row(row: &ScoreRow) -> Value {
    json!({
        "trust_score": short_float(row.trust_score), "boost_weight": short_float(row.boost_weight),
        "programmes": id_json(row.programmes), "labels": row.labels, "label_words": label_words(row.labels),
        "adjusted_score": row.adjusted_score.map(short_float), "governance_score": short_float(row.governance_score),
        "consumer_rights_score": short_float(row.consumer_rights_score),
        "experience_score": short_float(row.experience_score), "ad_price_factor": short_float(row.ad_price_factor),
    })
}

fn trust(trust: &TrustExplanation) -> Value {
    json!({"score": trust.score, "gate": trust.gate, "tier": trust.tier, "layers": list(&trust.layers, layer)})
}

fn layer(layer: &LayerExplanation) -> Value {
    json!({
        "layer": layer.layer, "weight": layer.weight, "score": layer.score, "points": layer.points, "prior": layer.prior,
        "signals": list(&layer.signals, signal),
    })
}

fn signal(signal: &SignalExplanation) -> Value {
    let counters: Map<String, Value> =
        signal.counters.iter().map(|counter| (counter.name.clone(), Value::from(counter.value))).collect();
    json!({
        "id": signal.id, "name": signal.name, "name_zh": signal.name_zh, "dimension": signal.dimension,
        "kind": signal.kind, "state": signal.state().as_str_name(), "counters": counters, "window": signal.window,
        "first_day": signal.first_day, "last_day": signal.last_day, "numerator": signal.numerator,
        "denominator": signal.denominator, "prior_mean": signal.prior_mean, "prior_strength": signal.prior_strength,
        "smoothed": signal.smoothed, "curve": list(&signal.curve, curve_point), "value": signal.value,
        "weight": signal.weight, "effective_weight": signal.effective_weight, "contribution": signal.contribution,
    })
}

fn curve_point(point: &CurvePoint) -> Value {
    json!([point.x, point.y])
}

fn programme(programme: &ProgrammeExplanation) -> Value {
    json!({
        "id": programme.id, "name": programme.name, "name_zh": programme.name_zh, "bit": programme.bit,
        "kind": programme.kind, "eligible": programme.eligible, "reasons": programme.reasons,
        "conditions": list(&programme.conditions, condition), "uplift": programme.uplift, "charged": programme.charged,
        "price": programme.price, "price_factor": programme.price_factor, "spent": programme.spent,
        "budget": programme.budget.as_ref().map(budget), "guarantee": programme.guarantee.as_ref().map(guarantee),
        "cap": programme.cap.as_ref().map(cap),
    })
}

fn condition(condition: &ConditionExplanation) -> Value {
    json!({"text": condition.text, "holds": condition.holds, "found": condition.found})
}

fn violation(violation: &ViolationExplanation) -> Value {
    let until = violation.effective_until.as_ref();
    json!({
        "violation_id": id_json(violation.violation_id), "type": violation.r#type,
        "occurred_at": instant_text(violation.occurred_at.as_ref()),
        "effective_from": instant_text(violation.effective_from.as_ref()),
        "effective_until": until.map(|until| instant_text(Some(until))), "status": violation.status,
        "factor": violation.factor, "points": violation.points, "note": violation.note,
    })
}

fn right(right: &RightExplanation) -> Value {
    json!({
        "id": right.id, "name": right.name, "name_zh": right.name_zh, "applicable": right.applicable, "held": right.held,
        "parameter": right.parameter, "parameter_unit": right.parameter_unit,
    })
}

fn weight(weight: &WeightExplanation) -> Value {
    json!({
        "tilt": weight.tilt, "penalty": weight.penalty, "item_factor": weight.item_factor, "uplift": weight.uplift,
        "ceiling": weight.ceiling, "weight": weight.weight, "kill_switch": weight.kill_switch,
        "member_factor": weight.member_factor, "hard_factor": weight.hard_factor,
        "support_factor": weight.support_factor, "charged_programme": weight.charged_programme,
    })
}

fn adjusted(adjusted: &AdjustedExplanation) -> Value {
    json!({
        "base_score": short_float(adjusted.base_score), "value": adjusted.value, "hard_prices": adjusted.hard_prices,
        "member_price": adjusted.member_price, "support_gain": adjusted.support_gain, "adjusted": adjusted.adjusted,
        "charged_programme": adjusted.charged_programme, "stopped": adjusted.stopped,
    })
}

fn member(member: &MemberPriceExplanation) -> Value {
    json!({
        "additive": member.additive, "factor": member.factor, "spent_programmes": member.spent_programmes,
        "must_serve": member.must_serve,
    })
}

fn budget(budget: &BudgetExplanation) -> Value {
    json!({
        "limit_exposures": budget.limit_exposures, "delivered_exposures": budget.delivered_exposures,
        "reserved_exposures": budget.reserved_exposures, "period_first_day": budget.period_first_day,
        "pace": budget.pace,
    })
}

fn guarantee(guarantee: &GuaranteeExplanation) -> Value {
    json!({
        "target_exposures": guarantee.target_exposures, "delivered_exposures": guarantee.delivered_exposures,
        "ends_at": instant_text(guarantee.ends_at.as_ref()), "penalty": guarantee.penalty,
        "feasible": guarantee.feasible, "status": guarantee.status,
    })
}

fn cap(cap: &CapExplanation) -> Value {
    json!({"limit_exposures": cap.limit_exposures, "delivered_exposures": cap.delivered_exposures})
}

fn waiver(waiver: &WaiverExplanation) -> Value {
    json!({
        "week": waiver.week, "paid_orders": waiver.paid_orders, "promised_orders": waiver.promised_orders,
        "shipments_due": waiver.shipments_due, "shipped_on_time": waiver.shipped_on_time, "earned": waiver.earned,
        "used_by_violation_id": id_json(waiver.used_by_violation_id), "conditions": list(&waiver.conditions, condition),
    })
}
