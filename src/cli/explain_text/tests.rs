//! The tree of a whole explanation.

use super::{explanation_text, number};
use crate::cli::explain_json::explanation_json;
use crate::proto::{
    ConditionExplanation, CounterValue, CurvePoint, ExplainScoreResponse, LayerExplanation, ProgrammeExplanation,
    RightExplanation, ScoreRow, SignalExplanation, SignalState, TrustExplanation, ViolationExplanation,
    WaiverExplanation, WeightExplanation,
};

fn condition(text: &str, holds: bool, found: &str) -> ConditionExplanation {
    ConditionExplanation { text: text.into(), holds, found: found.into() }
}

fn layers() -> Vec<LayerExplanation> {
    let shipping = SignalExplanation {
        id: "timely_shipping".into(),
        name: "Timely shipping".into(),
        name_zh: "及时发货".into(),
        state: SignalState::Measured.into(),
        counters: vec![
            CounterValue { name: "shipments_due".into(), value: 40 },
            CounterValue { name: "shipped_on_time".into(), value: 38 },
        ],
        window: "30 days".into(),
        first_day: "2018-05-05".into(),
        last_day: "2018-06-03".into(),
        numerator: 38.0,
        denominator: 40.0,
        prior_mean: 0.9,
        prior_strength: 20.0,
        smoothed: 56.0 / 60.0,
        curve: vec![CurvePoint { x: 0.8, y: 0.0 }, CurvePoint { x: 0.97, y: 1.0 }],
        value: 0.784,
        weight: 2.0,
        effective_weight: 1.0,
        contribution: 0.784,
        ..SignalExplanation::default()
    };
    let off = SignalExplanation {
        name: "Claims".into(),
        state: SignalState::Disabled.into(),
        ..SignalExplanation::default()
    };
    let layer = "consumer_rights".into();
    vec![LayerExplanation {
        layer,
        weight: 0.4,
        score: 0.784,
        points: 31.36,
        prior: false,
        signals: vec![shipping, off],
    }]
}

fn answer() -> ExplainScoreResponse {
    let programme = |id: &str, eligible: bool, conditions: Vec<ConditionExplanation>| ProgrammeExplanation {
        id: id.into(),
        name: "Launch".into(),
        kind: "tilt".into(),
        eligible,
        uplift: 0.5,
        conditions,
        ..ProgrammeExplanation::default()
    };
    ExplainScoreResponse {
        policy_version: 1,
        revision: 42,
        facts_day: "2018-06-03".into(),
        row: Some(ScoreRow {
            trust_score: 31.36,
            boost_weight: 0.9,
            labels: 64,
            ad_price_factor: 1.0,
            ..ScoreRow::default()
        }),
        merchant_id: 7,
        merchant_name: "campinas".into(),
        trust: Some(TrustExplanation { score: 31.36, gate: 1.0, tier: "basic".into(), layers: layers() }),
        programmes: vec![
            programme("outside", false, vec![condition("fans < 1000", false, "5000")]),
            programme("inside", true, Vec::new()),
        ],
        violations: vec![ViolationExplanation {
            violation_id: 3,
            r#type: "ban".into(),
            status: "ended".into(),
            factor: 1.0,
            ..ViolationExplanation::default()
        }],
        rights: vec![RightExplanation {
            id: "freight".into(),
            held: true,
            parameter: Some(90),
            ..RightExplanation::default()
        }],
        weight: Some(WeightExplanation {
            kill_switch: false,
            tilt: 0.9,
            penalty: 1.0,
            item_factor: 1.0,
            ceiling: 10.0,
            weight: 0.9,
            uplift: 0.0,
            member_factor: 1.0,
            hard_factor: 1.0,
            support_factor: 1.0,
            charged_programme: String::new(),
        }),
        waiver: Some(WaiverExplanation {
            week: "2018-06-04".into(),
            used_by_violation_id: 8,
            ..WaiverExplanation::default()
        }),
        ..ExplainScoreResponse::default()
    }
}

#[test]
fn the_tree_shows_every_step() {
    let text = explanation_text(&answer());
    for line in [
        "merchant 7 campinas",
        "trust 31.36  weight 0.9000  labels penalised",
        "trust score 31.36 = 31.36 points, tier basic",
        "└─ consumer rights ████████░░ 0.784 × weight 0.4 = 31.36 points",
        "   ├─ Timely shipping 及时发货 ████████░░ 0.784 × 1 = 0.7840",
        "   │  └─ shipments_due 40, shipped_on_time 38; 30 days (2018-05-05 to 2018-06-03); \
         (38 + 0.9·20) / (40 + 20) = 0.9333; curve 0.8→0 0.97→1",
        "disabled: its counters were never sent for anyone",
        "programmes: eligible for 1 of 2",
        "   └─ ✗ fans < 1000: 5000",
        "used by violation 8",
        "weight 0.9 = tilt 0.9 × penalty 1 × item 1 × (1 + uplift 0), at most 10",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
    assert!(text.find("✓ inside") < text.find("✗ outside"), "those it is in come first:\n{text}");
}

#[test]
fn an_unknown_target_is_explained_as_such() {
    let text = explanation_text(&ExplainScoreResponse::default());
    assert!(text.starts_with("unknown: neither"), "{text}");
}

#[test]
fn json_has_the_fields_of_the_proto() {
    let value = explanation_json(&answer());
    assert_eq!(value["trust"]["layers"][0]["signals"][0]["counters"]["shipments_due"], 40);
    assert_eq!(value["merchant_id"], "7");
    assert_eq!(value["programmes"][0]["conditions"][0]["holds"], false);
}

#[test]
fn numbers_are_short() {
    assert_eq!([0.5, 1.0, 0.0, -0.00001, 1234.56789, 100.0].map(number), ["0.5", "1", "0", "0", "1234.5679", "100"]);
}
