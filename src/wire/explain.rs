//! Explanations: the rows that scoring left behind, with the names of what was declared.

use tonic::Status;

use super::prices::{adjusted, member_price, priced, weight};
use super::scoring::{base_score, scene, target_kind};
use super::time::to_proto_time;
use super::validate::Fields;
use crate::domain::{CounterId, Day, Decision, TargetKind, Violation, to_f32};
use crate::engine::{ExplainQuery, ExplainedMerchant, ExplainedProgramme, Explanation};
use crate::policy::{CounterKind, Policy};
use crate::proto;
use crate::state::State;
use crate::traffic::{MAX_BOOSTS, Programme};
use crate::trust::governance::{WaiverRule, shown_share};
use crate::trust::{ConditionResult, Input, Layer, Signal, SignalKind, SignalRow, SignalState};

/// The query of a request.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn explain_query(request: &proto::ExplainScoreRequest) -> Result<ExplainQuery, Status> {
    let mut fields = Fields::default();
    let scene = scene(&mut fields, "scene", request.scene);
    let kind = target_kind(&mut fields, "target_kind", request.target_kind);
    fields.id("target_id", request.target_id);
    base_score(&mut fields, request.base_score);
    fields.finish()?;
    let (target_id, merchant_id) = (request.target_id, request.merchant_id);
    Ok(ExplainQuery { scene, kind, target_id, merchant_id, base_score: request.base_score })
}

/// The answer.
#[must_use]
pub fn explain_response(query: &ExplainQuery, explanation: &Explanation) -> proto::ExplainScoreResponse {
    let policy = &explanation.policy;
    let merchant = explanation.merchant.as_ref();
    proto::ExplainScoreResponse {
        policy_version: policy.version,
        revision: explanation.revision,
        facts_day: explanation.facts_day.to_string(),
        state_time: Some(to_proto_time(explanation.now)),
        row: Some(row(explanation)),
        merchant_id: merchant.map_or(0, |m| m.merchant.id.0),
        merchant_name: merchant.map(|m| m.merchant.name.clone()).unwrap_or_default(),
        trust: merchant.map(|m| trust(policy, explanation.facts_day, m)),
        programmes: merchant.map(|m| programmes(policy, query, explanation, m)).unwrap_or_default(),
        violations: merchant
            .map(|m| m.violations.iter().map(|v| violation(policy, query.kind, explanation, v)).collect())
            .unwrap_or_default(),
        rights: merchant.map(|m| rights(policy, explanation, m)).unwrap_or_default(),
        weight: Some(weight(explanation)),
        waiver: merchant.and_then(|m| waiver(policy, m)),
        stage: merchant.map(|m| m.made.stage.clone()).unwrap_or_default(),
        price_epoch: explanation.prices.epoch,
        mean_base_score: explanation.prices.mean,
        adjusted: query.base_score.and_then(|base_score| adjusted(explanation, base_score)),
        member: merchant.map(|_| member_price(explanation)),
    }
}

fn row(explanation: &Explanation) -> proto::ScoreRow {
    let (record, weight) = (&explanation.record, &explanation.weight);
    let [governance_score, consumer_rights_score, experience_score] = record.layers;
    proto::ScoreRow {
        trust_score: record.trust,
        boost_weight: to_f32(weight.weight),
        programmes: explanation.prices.programmes(weight),
        labels: weight.labels,
        adjusted_score: explanation.prices.adjusted.map(|bid| to_f32(bid.score)),
        governance_score,
        consumer_rights_score,
        experience_score,
        ad_price_factor: record.ad_price,
    }
}

fn trust(policy: &Policy, facts_day: Day, merchant: &ExplainedMerchant) -> proto::TrustExplanation {
    let trust = &merchant.made.trust;
    let model = &policy.model;
    let layers = Layer::ALL.map(|layer| {
        let score = trust.layer(layer);
        let weight = model.layer_weights.get(layer.index()).copied().unwrap_or(0.0);
        let signals = model.signals.iter().zip(&merchant.signals).filter(|(signal, _)| signal.layer == layer);
        proto::LayerExplanation {
            layer: layer.name().to_owned(),
            weight,
            score: score.score,
            points: 100.0 * trust.gate * weight * score.score,
            prior: score.is_prior,
            signals: signals.map(|(signal, row)| self::signal(policy, facts_day, merchant, signal, row)).collect(),
        }
    });
    proto::TrustExplanation {
        score: trust.score,
        gate: trust.gate,
        tier: model.tiers.get(trust.tier).map(|tier| tier.id.clone()).unwrap_or_default(),
        layers: layers.into(),
    }
}

fn signal(
    policy: &Policy,
    facts_day: Day,
    merchant: &ExplainedMerchant,
    signal: &Signal,
    row: &SignalRow,
) -> proto::SignalExplanation {
    let inputs = inputs(&signal.kind);
    let window = inputs.iter().find_map(|input| match input {
        Input::Sum(id) => policy.model.layout.sum(*id).map(|(_, window)| window),
        Input::Level(_) => None,
    });
    let range = window.and_then(|window| {
        let anchors = crate::trust::Anchors {
            first_sale: merchant.facts.first_sale(),
            ..crate::trust::Anchors::of(&merchant.merchant)
        };
        window.range(facts_day, window.anchor().and_then(|anchor| anchors.day(anchor)))
    });
    let state = match row.state {
        SignalState::Measured => proto::SignalState::Measured,
        SignalState::NoData => proto::SignalState::NoData,
        SignalState::NotApplicable => proto::SignalState::NotApplicable,
        SignalState::Disabled => proto::SignalState::Disabled,
    };
    proto::SignalExplanation {
        id: signal.id.clone(),
        name: signal.name.clone(),
        name_zh: signal.name_zh.clone(),
        dimension: signal.dimension.name().to_owned(),
        kind: signal.kind.name().to_owned(),
        state: i32::from(state),
        counters: inputs.iter().filter_map(|input| counter(policy, merchant, *input)).collect(),
        window: window.map(crate::trust::Window::describe).unwrap_or_default(),
        first_day: range.map(|range| range.first.to_string()).unwrap_or_default(),
        last_day: range.map(|range| range.last.to_string()).unwrap_or_default(),
        numerator: row.numerator,
        denominator: row.denominator,
        prior_mean: signal.prior_mean,
        prior_strength: signal.prior_strength,
        smoothed: row.smoothed,
        curve: signal.curve.points().iter().map(|(x, y)| proto::CurvePoint { x: *x, y: *y }).collect(),
        value: row.value,
        weight: signal.weight,
        effective_weight: row.effective_weight,
        contribution: row.effective_weight * row.value,
    }
}

fn inputs(kind: &SignalKind) -> Vec<Input> {
    match kind {
        SignalKind::Share { numerator, denominator } | SignalKind::Mean { numerator, denominator, .. } => {
            numerator.iter().chain(denominator).copied().collect()
        }
        SignalKind::Level { level, .. } => vec![Input::Level(*level)],
        SignalKind::Growth { current, previous } => vec![Input::Sum(*current), Input::Sum(*previous)],
        SignalKind::Composite { .. } | SignalKind::Derived(_) => Vec::new(),
    }
}

fn counter(policy: &Policy, merchant: &ExplainedMerchant, input: Input) -> Option<proto::CounterValue> {
    let (id, value): (CounterId, u64) = match input {
        Input::Sum(sum) => (policy.model.layout.sum(sum)?.0, merchant.facts.sum(sum)),
        Input::Level(level) => {
            let id = policy.model.layout.levels().get(usize::from(level.0)).copied()?;
            (id, merchant.facts.level(level)?.value)
        }
    };
    let name = policy.counters.iter().find(|def| def.id == id)?.name.clone();
    Some(proto::CounterValue { name, value })
}

fn programmes(
    policy: &Policy,
    query: &ExplainQuery,
    explanation: &Explanation,
    merchant: &ExplainedMerchant,
) -> Vec<proto::ProgrammeExplanation> {
    let explained = policy.programmes.iter().zip(&merchant.programmes);
    let charged = explanation.prices.charged(&explanation.weight);
    explained
        .map(|(programme, found)| {
            let reasons = reasons(programme, query, found);
            proto::ProgrammeExplanation {
                id: programme.id.clone(),
                name: programme.name.clone(),
                name_zh: programme.name_zh.clone(),
                bit: u32::from(programme.bit),
                kind: programme.kind.name().to_owned(),
                eligible: reasons.is_empty(),
                reasons,
                conditions: found.conditions.iter().map(condition).collect(),
                uplift: found.uplift,
                charged: charged == Some(programme.bit),
                item_conditions: found.item_conditions.iter().map(condition).collect(),
                shadow: programme.is_shadow,
                held_out: found.member.is_held_out,
                item_factor: found.item_factor,
                modifier_factor: found.modifier_factor,
                seed: programme.seed.clone(),
                ..priced(explanation, programme, found)
            }
        })
        .collect()
}

/// Why a programme takes no part; empty if it does.
fn reasons(programme: &Programme, query: &ExplainQuery, found: &ExplainedProgramme) -> Vec<String> {
    let mut reasons = Vec::new();
    if programme.is_shadow {
        reasons.push("in shadow: computed, not applied".to_owned());
    }
    if found.is_paused {
        reasons.push("paused by an operator".to_owned());
    }
    if !found.is_open {
        reasons.push("outside its window".to_owned());
    }
    if !found.is_in_scene {
        reasons.push(format!("does not work in scene {}", query.scene.name()));
    }
    if !programme.works_for(query.kind) {
        reasons.push(format!("does not work for targets of kind {}", query.kind.name()));
    }
    if found.is_displaced {
        reasons.push(format!("displaced: {MAX_BOOSTS} others that come first lift the merchant"));
    }
    if found.member.is_held_out {
        reasons.push("held out: the merchant is in a control group".to_owned());
    }
    let mut unmet = |conditions: &[ConditionResult]| {
        let failing = conditions.iter().filter(|condition| condition.is_decisive && !condition.holds);
        reasons.extend(failing.map(|c| format!("{} does not hold: found {}", c.text, c.found)));
    };
    if !found.member.is_met || !found.is_in_scene {
        unmet(&found.conditions);
    }
    if !found.takes_target {
        unmet(&found.item_conditions);
    }
    if reasons.is_empty() && !found.takes_target {
        reasons.push("the item is not registered, and so its conditions cannot hold".to_owned());
    }
    reasons
}

fn condition(result: &ConditionResult) -> proto::ConditionExplanation {
    proto::ConditionExplanation { text: result.text.clone(), holds: result.holds, found: result.found.clone() }
}

fn violation(
    policy: &Policy,
    kind: TargetKind,
    explanation: &Explanation,
    violation: &Violation,
) -> proto::ViolationExplanation {
    let now = explanation.now;
    let (status, note) = match violation.decision {
        _ if violation.revoked => ("revoked", "revoked: counts as if it had not been"),
        Decision::Waived => ("waived", "the high-in-stock waiver of its week was used; scores and compensation go on"),
        Decision::Exempt => ("exempt", "force majeure: its order came from or went to a listed region"),
        Decision::Applied if violation.active_at(now) => ("active", ""),
        Decision::Applied if now < violation.effective_from => ("pending", "has not begun"),
        Decision::Applied => ("ended", "has ended"),
    };
    proto::ViolationExplanation {
        violation_id: violation.id,
        r#type: violation.kind.clone(),
        occurred_at: Some(to_proto_time(violation.occurred_at)),
        effective_from: Some(to_proto_time(violation.effective_from)),
        effective_until: violation.effective_until.map(to_proto_time),
        status: status.to_owned(),
        factor: policy.model.violations.factor_of(violation, kind, now),
        points: policy.model.violations.points_of(violation, explanation.facts_day),
        note: note.to_owned(),
    }
}

fn rights(policy: &Policy, explanation: &Explanation, merchant: &ExplainedMerchant) -> Vec<proto::RightExplanation> {
    let (now, today) = (explanation.now, explanation.now.day());
    policy
        .model
        .rights
        .iter()
        .map(|right| proto::RightExplanation {
            id: right.id.clone(),
            name: right.name.clone(),
            name_zh: right.name_zh.clone(),
            applicable: right.applies(&merchant.merchant, today),
            held: right.held(&merchant.rights, now),
            parameter: right.parameter(today),
            parameter_unit: right.parameter_unit.clone(),
        })
        .collect()
}

fn waiver(policy: &Policy, merchant: &ExplainedMerchant) -> Option<proto::WaiverExplanation> {
    let rule: &WaiverRule = policy.model.violations.waiver.as_ref()?;
    let facts = &merchant.waiver_facts;
    let percent = |bp: u32| f64::from(bp) / 100.0;
    let promised = 100.0 * shown_share(facts.promised_orders, facts.promised_of(rule));
    let timely = 100.0 * shown_share(facts.shipped_on_time, facts.shipments_due);
    let texts = [
        (format!("paid orders > {}", rule.paid_orders_above), facts.paid_orders.to_string()),
        (format!("promised-stock share > {} %", percent(rule.promised_share_above_bp)), format!("{promised:.2} %")),
        (format!("timely shipping >= {} %", percent(rule.timely_share_at_least_bp)), format!("{timely:.2} %")),
    ];
    let conditions = texts.into_iter().zip(rule.bounds(facts));
    Some(proto::WaiverExplanation {
        week: merchant.waiver_week.monday().to_string(),
        paid_orders: facts.paid_orders,
        promised_orders: facts.promised_orders,
        shipments_due: facts.shipments_due,
        shipped_on_time: facts.shipped_on_time,
        earned: rule.is_earned(facts),
        used_by_violation_id: merchant.waiver_used_by.unwrap_or(0),
        conditions: conditions
            .map(|((text, found), holds)| proto::ConditionExplanation { text, holds, found })
            .collect(),
    })
}

/// The answer of a `GetRules`.
#[must_use]
pub fn rules_response(state: &State) -> proto::GetRulesResponse {
    let policy = state.policy();
    let seen = |id: CounterId| state.meta().seen.get(usize::from(id.0)).copied().unwrap_or(false);
    let counters = policy.counters.iter().map(|counter| proto::CounterRule {
        name: counter.name.clone(),
        kind: match counter.kind {
            CounterKind::Flow => "flow".to_owned(),
            CounterKind::Level => "level".to_owned(),
        },
        unit: counter.unit.clone(),
        description: counter.description.clone(),
        seen: seen(counter.id),
    });
    let violations = &policy.model.violations;
    proto::GetRulesResponse {
        policy_version: policy.version,
        counters: counters.collect(),
        force_majeure: violations
            .force_majeure
            .iter()
            .map(|rule| proto::ForceMajeureRule {
                region: rule.region.clone(),
                first_date: rule.first.to_string(),
                last_date: rule.last.to_string(),
            })
            .collect(),
        rights: policy.model.rights.iter().map(|right| right.id.clone()).collect(),
        violation_types: violations.types.iter().map(|kind| kind.id.clone()).collect(),
    }
}
