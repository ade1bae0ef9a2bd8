//! Programmes, members, packages and forecasts as JSON.

use prost_types::Timestamp;
use serde_json::{Value, json};

use super::time::instant_text;
use super::words::id_json;
use crate::proto::{
    GetForecastResponse, GetProgrammeResponse, Interval, LiftMeasure, MemberGuarantee, MerchantPackages, Programme,
    ProgrammeBudget, ProgrammeEvent, ProgrammeMember, Scene,
};

fn at(time: Option<&Timestamp>) -> Value {
    time.map_or(Value::Null, |time| Value::from(instant_text(Some(time))))
}

/// The name of an enum's value without its type, in lower case.
pub(super) fn word(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_ascii_lowercase()
}

/// A scene; none when it is not of a single one.
pub(super) fn scene(scene: Scene) -> Option<String> {
    (scene != Scene::Unspecified).then(|| word(scene.as_str_name(), "SCENE_"))
}

/// One programme.
pub(super) fn programme(programme: &Programme) -> Value {
    json!({
        "id": programme.id, "name": programme.name, "name_zh": programme.name_zh, "bit": programme.bit,
        "kind": word(programme.kind().as_str_name(), "PROGRAMME_KIND_"),
        "serving": word(programme.serving().as_str_name(), "PROGRAMME_SERVING_"),
        "serving_text": programme.serving_text, "open": programme.open,
        "next_boundary": at(programme.next_boundary.as_ref()), "paused": programme.paused, "shadow": programme.shadow,
        "etag": programme.etag, "budgets": programme.budgets.iter().map(budget).collect::<Vec<_>>(),
        "members": programme.members, "held_out": programme.held_out, "members_today": programme.members_today,
        "daily_members": programme.daily_members,
        "concentration": programme.concentration.as_ref().map(|found| json!({
            "exposures": found.exposures, "merchants": found.merchants, "largest_share": found.largest_share,
            "largest_merchant_id": id_json(found.largest_merchant_id), "top_percent_share": found.top_percent_share,
            "herfindahl": found.herfindahl, "max_member_share": found.max_member_share,
        })),
        "coverage": programme.coverage.as_ref().map(|found| json!({
            "counted": found.counted, "delivered_99": found.delivered_99, "delivered_100": found.delivered_100,
            "coverage_99": found.coverage_99, "coverage_100": found.coverage_100, "excluded": found.excluded,
            "held_out": found.held_out, "running": found.running, "running_met": found.running_met,
            "rarely_candidates": found.rarely_candidates, "infeasible": found.infeasible, "promised": found.promised,
            "delivered": found.delivered,
        })),
        "lift": programme.lift.as_ref().map(|found| json!({
            "treated_merchants": found.treated_merchants, "holdout_merchants": found.holdout_merchants,
            "measures": found.measures.iter().map(measure).collect::<Vec<_>>(),
        })),
    })
}

fn budget(budget: &ProgrammeBudget) -> Value {
    json!({
        "scene": scene(budget.scene()), "exposures": budget.exposures, "policy_exposures": budget.policy_exposures,
        "adjusted": budget.adjusted, "period": word(budget.period().as_str_name(), "BUDGET_PERIOD_"),
        "begins_at": at(budget.begins_at.as_ref()), "ends_at": at(budget.ends_at.as_ref()),
        "delivered": budget.delivered, "late": budget.late, "reserved": budget.reserved, "left": budget.left,
        "pacing": word(budget.pacing().as_str_name(), "BUDGET_PACING_"), "target": budget.target,
        "target_basis": word(budget.target_basis().as_str_name(), "TARGET_BASIS_"), "pace": budget.pace,
        "spent_at": at(budget.spent_at.as_ref()), "share_at_end": budget.share_at_end, "price": budget.price,
        "log_price": budget.log_price,
    })
}

fn measure(measure: &LiftMeasure) -> Value {
    let interval = |found: Option<&Interval>| {
        found.map(|found| json!({"value": found.value, "lower": found.lower, "upper": found.upper}))
    };
    json!({
        "metric": word(measure.metric().as_str_name(), "LIFT_METRIC_"), "treated": measure.treated,
        "holdout": measure.holdout, "treated_merchants": measure.treated_merchants,
        "holdout_merchants": measure.holdout_merchants, "difference": interval(measure.difference.as_ref()),
        "ratio": interval(measure.ratio.as_ref()), "not_enough_data": measure.not_enough_data,
    })
}

/// One programme with its changes.
pub(super) fn shown(shown: &Programme, answer: &GetProgrammeResponse) -> Value {
    json!({
        "programme": programme(shown), "events": answer.events.iter().map(event).collect::<Vec<_>>(),
        "revision": answer.revision, "policy_version": answer.policy_version,
        "state_time": at(answer.state_time.as_ref()),
    })
}

fn event(event: &ProgrammeEvent) -> Value {
    json!({
        "at": at(event.at.as_ref()), "author": event.author, "reason": event.reason, "revision": event.revision,
        "kind": word(event.kind().as_str_name(), "PROGRAMME_EVENT_KIND_"), "scene": scene(event.scene()),
        "exposures": event.exposures,
    })
}

/// One member.
pub(super) fn member(member: &ProgrammeMember) -> Value {
    let guarantee = |found: &MemberGuarantee| {
        json!({
            "state": word(found.state().as_str_name(), "GUARANTEE_STATE_"), "promised": found.promised,
            "delivered": found.delivered, "begins_at": at(found.begins_at.as_ref()),
            "ends_at": at(found.ends_at.as_ref()), "infeasible": found.infeasible, "expected": found.expected,
        })
    };
    json!({
        "merchant_id": id_json(member.merchant_id), "name": member.name, "member": member.member,
        "held_out": member.held_out, "exposures": member.exposures, "share": member.share, "cap": member.cap,
        "cap_exposures": member.cap_exposures, "capped_out": member.capped_out,
        "guarantee": member.guarantee.as_ref().map(guarantee),
    })
}

/// A merchant's packages.
pub(super) fn packages(packages: &MerchantPackages) -> Value {
    let scenes = packages.scenes.iter().map(|of| {
        json!({
            "scene": scene(of.scene()), "assigned": of.assigned, "delivered": of.delivered, "reserved": of.reserved,
            "left": of.left,
        })
    });
    let grants = packages.grants.iter().map(|grant| {
        json!({
            "at": at(grant.at.as_ref()), "exposures": grant.exposures, "reason": grant.reason,
            "author": grant.author, "expires_at": at(grant.expires_at.as_ref()), "revision": grant.revision,
        })
    });
    json!({
        "granted": packages.granted, "unassigned": packages.unassigned, "scenes": scenes.collect::<Vec<_>>(),
        "grants": grants.collect::<Vec<_>>(),
    })
}

/// A forecast.
pub(super) fn forecast(answer: &GetForecastResponse) -> Value {
    json!({
        "wanted": answer.wanted, "delivered": answer.delivered, "begins_at": at(answer.begins_at.as_ref()),
        "ends_at": at(answer.ends_at.as_ref()), "met_at": at(answer.met_at.as_ref()),
        "expected_at_end": answer.expected_at_end, "lower_at_end": answer.lower_at_end,
        "upper_at_end": answer.upper_at_end, "verdict": word(answer.verdict().as_str_name(), "FORECAST_VERDICT_"),
        "obstacles": answer.obstacles().map(|one| word(one.as_str_name(), "FORECAST_OBSTACLE_")).collect::<Vec<_>>(),
        "obstacle_texts": answer.obstacle_texts,
        "basis": answer.basis.as_ref().map(|basis| json!({
            "traffic_known": basis.traffic_known, "observed_days": basis.observed_days,
            "observed_hours": basis.observed_hours, "relative_error": basis.relative_error,
            "rate_per_hour": basis.rate_per_hour, "text": basis.text,
        })),
        "revision": answer.revision, "policy_version": answer.policy_version,
        "state_time": at(answer.state_time.as_ref()),
    })
}
