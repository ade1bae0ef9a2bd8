//! `trust-purchase status`: granted or not, what holds, what fails, and what would close it.

use serde_json::{Value, json};

use super::client::Target;
use super::error::CliError;
use super::operate::both;
use super::time::instant_text;
use super::words::{id_json, label_words};
use crate::proto::insight_service_client::InsightServiceClient;
use crate::proto::{
    ClosingGain, ClosingRight, GetTrustPurchaseStatusRequest, GetTrustPurchaseStatusResponse, Scene, SignalState,
    TargetKind, TrustPurchaseCondition, TrustPurchaseRight, TrustPurchaseScope, TrustPurchaseView, WhatClosesIt,
};

/// What to do about Trust Purchase.
#[derive(Debug, clap::Subcommand)]
pub(super) enum TrustPurchaseAction {
    /// Whether it is granted, which rights and figures are missing, and what would close the gaps
    Status(StatusArgs),
}

/// Arguments of `trust-purchase status`.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group(clap::ArgGroup::new("of").required(true).args(["product", "merchant", "live_room"])))]
pub(super) struct StatusArgs {
    /// Of a product
    #[arg(long, value_name = "ID")]
    product: Option<u64>,
    /// Of a merchant's shop
    #[arg(long, value_name = "ID")]
    merchant: Option<u64>,
    /// Of a live room
    #[arg(long, value_name = "ID")]
    live_room: Option<u64>,
    /// As this merchant sees it, one of the product's promoters
    #[arg(long, value_name = "ID", conflicts_with_all = ["merchant", "live_room"])]
    as_promoter: Option<u64>,
}

/// Asks and prints.
pub(super) async fn run(action: TrustPurchaseAction, target: &Target) -> Result<(), CliError> {
    let TrustPurchaseAction::Status(args) = action;
    let kinds = [
        (TargetKind::Product, args.product),
        (TargetKind::Merchant, args.merchant),
        (TargetKind::LiveRoom, args.live_room),
    ];
    let asked = kinds.into_iter().find_map(|(kind, id)| Some((kind, id?)));
    let (kind, target_id) = asked.unwrap_or((TargetKind::Unspecified, 0));
    let view = if args.as_promoter.is_some() { TrustPurchaseView::Promoter } else { TrustPurchaseView::Owner };
    let request = GetTrustPurchaseStatusRequest {
        target_kind: kind.into(),
        target_id,
        view: view.into(),
        promoter_merchant_id: args.as_promoter.unwrap_or(0),
        min_revision: 0,
    };
    let answer = InsightServiceClient::new(target.connect().await?).get_trust_purchase_status(request).await;
    let answer = answer.map_err(CliError::rpc("GetTrustPurchaseStatus"))?.into_inner();
    both(target, &status_json(&answer), &status_text(&answer))
}

fn scope_word(scope: TrustPurchaseScope) -> String {
    scope.as_str_name().trim_start_matches("TRUST_PURCHASE_SCOPE_").to_ascii_lowercase().replace('_', " ")
}

fn scene_word(scene: Scene) -> String {
    scene.as_str_name().trim_start_matches("SCENE_").to_ascii_lowercase()
}

fn status_text(answer: &GetTrustPurchaseStatusResponse) -> String {
    let granted = if answer.granted { "granted" } else { "not granted" };
    let mut text = format!(
        "{} {}: {granted}\n{} of merchant {} {}{}\nfacts to {}, as of {}, policy {}, revision {}\n",
        answer.programme_name,
        answer.programme_name_zh,
        scope_word(answer.scope()),
        answer.merchant_id,
        answer.merchant_name,
        if answer.target_name.is_empty() { String::new() } else { format!(": {}", answer.target_name) },
        answer.facts_day,
        instant_text(answer.state_time.as_ref()),
        answer.policy_version,
        answer.revision,
    );
    for reason in &answer.reasons {
        line(&mut text, &format!("✗ {reason}"));
    }
    let tilts: Vec<String> = answer
        .tilts
        .iter()
        .map(|tilt| {
            let uplift = tilt.uplift.map(|uplift| format!(" +{:.1} %", 100.0 * uplift)).unwrap_or_default();
            format!("{}{uplift}", scene_word(tilt.scene()))
        })
        .collect();
    if !tilts.is_empty() {
        line(&mut text, &format!("lifted in {}", tilts.join(", ")));
    }
    let (failing, others): (Vec<_>, Vec<_>) =
        answer.conditions.iter().partition(|condition| !condition.holds && !condition.group_holds);
    section(&mut text, "missing", failing.iter().map(|condition| format!("✗ {}", condition.sentence)));
    section(&mut text, "rights", answer.rights.iter().map(right_line));
    let mark = |condition: &TrustPurchaseCondition| if condition.holds { "✓" } else { "·" };
    section(
        &mut text,
        "in order",
        others.iter().map(|condition| format!("{} {}", mark(condition), condition.sentence)),
    );
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn section(text: &mut String, heading: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    if !lines.is_empty() {
        line(text, "");
        line(text, heading);
        for one in lines {
            line(text, &format!("  {one}"));
        }
    }
}

fn right_line(right: &TrustPurchaseRight) -> String {
    let state = match (right.held, right.missing) {
        (true, _) => "✓ held   ",
        (false, true) => "✗ missing",
        (false, false) => "· not needed",
    };
    let applies = if right.applies { "" } else { ", not offered now for what the merchant sells" };
    format!("{state} {} {} ({}){applies}", right.name, right.name_zh, right.id)
}

fn status_json(answer: &GetTrustPurchaseStatusResponse) -> Value {
    let tilts: Vec<Value> =
        answer.tilts.iter().map(|tilt| json!({"scene": scene_word(tilt.scene()), "uplift": tilt.uplift})).collect();
    json!({
        "granted": answer.granted, "scope": scope_word(answer.scope()).replace(' ', "_"), "label": answer.label,
        "label_words": label_words(answer.label), "tilts": tilts,
        "conditions": answer.conditions.iter().map(condition_json).collect::<Vec<_>>(),
        "rights": answer.rights.iter().map(right_json).collect::<Vec<_>>(), "reasons": answer.reasons,
        "merchant_id": id_json(answer.merchant_id), "merchant_name": answer.merchant_name,
        "target_name": answer.target_name, "programme_name": answer.programme_name,
        "programme_name_zh": answer.programme_name_zh, "view": answer.view().as_str_name(),
        "policy_version": answer.policy_version, "revision": answer.revision, "facts_day": answer.facts_day,
        "state_time": instant_text(answer.state_time.as_ref()),
    })
}

fn condition_json(condition: &TrustPurchaseCondition) -> Value {
    let state = condition.signal_state();
    json!({
        "kind": condition.kind().as_str_name(), "text": condition.text, "holds": condition.holds,
        "decisive": condition.decisive, "group": condition.group, "group_holds": condition.group_holds,
        "scenes": condition.scenes().map(scene_word).collect::<Vec<_>>(), "name": condition.name,
        "name_zh": condition.name_zh, "value": condition.value, "bound": condition.bound, "gap": condition.gap,
        "direction": condition.direction().as_str_name(), "numerator": condition.numerator,
        "denominator": condition.denominator,
        "signal_state": (state != SignalState::Unspecified).then(|| state.as_str_name()),
        "what_closes_it": condition.what_closes_it.as_ref().map(closing_json), "sentence": condition.sentence,
    })
}

fn closing_json(closing: &WhatClosesIt) -> Value {
    let right = |right: &ClosingRight| json!({"id": right.id, "name": right.name, "name_zh": right.name_zh, "applies": right.applies});
    let gain =
        |gain: &ClosingGain| json!({"id": gain.id, "name": gain.name, "name_zh": gain.name_zh, "points": gain.points});
    json!({
        "step": closing.step().as_str_name(), "count": closing.count, "counters": closing.counters,
        "part_counters": closing.part_counters, "withheld_counters": closing.withheld_counters, "date": closing.date,
        "at": closing.at.as_ref().map(|at| instant_text(Some(at))),
        "rights": closing.rights.iter().map(right).collect::<Vec<_>>(),
        "gains": closing.gains.iter().map(gain).collect::<Vec<_>>(),
    })
}

fn right_json(right: &TrustPurchaseRight) -> Value {
    json!({
        "id": right.id, "name": right.name, "name_zh": right.name_zh, "held": right.held, "missing": right.missing,
        "asked_for": right.asked_for, "applies": right.applies,
    })
}

#[cfg(test)]
mod tests {
    use super::{status_json, status_text};
    use crate::proto::{
        GetTrustPurchaseStatusResponse, Scene, TrustPurchaseCondition, TrustPurchaseRight, TrustPurchaseScope,
        TrustPurchaseTilt,
    };

    #[test]
    fn what_is_missing_comes_first() {
        let condition = |sentence: &str, holds, group_holds| TrustPurchaseCondition {
            sentence: sentence.to_owned(),
            holds,
            group_holds,
            ..TrustPurchaseCondition::default()
        };
        let right = TrustPurchaseRight {
            id: "seven".to_owned(),
            name: "Seven days".to_owned(),
            name_zh: "七天".to_owned(),
            missing: true,
            asked_for: true,
            ..TrustPurchaseRight::default()
        };
        let answer = GetTrustPurchaseStatusResponse {
            scope: TrustPurchaseScope::LiveRoom.into(),
            tilts: vec![TrustPurchaseTilt { scene: Scene::Live.into(), uplift: Some(0.15) }],
            conditions: vec![
                condition("fine", true, true),
                condition("bad", false, false),
                condition("so", false, true),
            ],
            rights: vec![right],
            merchant_id: 5,
            merchant_name: "丝绸".to_owned(),
            programme_name: "Trust Purchase".to_owned(),
            programme_name_zh: "信任购".to_owned(),
            ..GetTrustPurchaseStatusResponse::default()
        };
        let text = status_text(&answer);
        for part in [
            "Trust Purchase 信任购: not granted\nlive room of merchant 5 丝绸\n",
            "lifted in live +15.0 %\n",
            "\nmissing\n  ✗ bad\n",
            "✗ missing Seven days 七天 (seven), not offered now for what the merchant sells\n",
            "\nin order\n  ✓ fine\n  · so\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(status_json(&answer)["scope"], "live_room");
    }
}
