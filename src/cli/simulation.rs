//! `policy simulate` as text and as JSON.

use serde_json::{Value, json};

use super::table::{Side, Table};
use crate::proto::{Distribution, DistributionChange, Mover, ProgrammeChange, Scene, SimulatePolicyResponse};

/// A scene as it is typed.
fn scene_word(scene: Scene) -> String {
    scene.as_str_name().trim_start_matches("SCENE_").to_ascii_lowercase().replace('_', "-")
}

/// The simulation for a person.
pub(super) fn text(answer: &SimulatePolicyResponse) -> String {
    let backfilled = if answer.backfilled { ", new windows summed from stored facts first" } else { "" };
    let mut parts = vec![format!(
        "{} merchants under the candidate, beside version {} (revision {}, {} ms{backfilled}); nothing changed",
        answer.merchants, answer.policy_version, answer.revision, answer.took_ms
    )];
    parts.push(distributions(answer));
    if let Some(scores) = &answer.scores {
        parts.push(histogram(scores));
    }
    parts.push(tiers(answer));
    parts.push(programmes(&answer.programmes));
    parts.push(movers(&answer.movers));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn distributions(answer: &SimulatePolicyResponse) -> String {
    let headings = [("", Side::Left), ("", Side::Left), ("mean", Side::Right), ("10 %", Side::Right)];
    let more = [("30 %", Side::Right), ("50 %", Side::Right), ("70 %", Side::Right), ("90 %", Side::Right)];
    let mut table = Table::new(&[headings, more].concat());
    let mut rows = |name: &str, change: &DistributionChange| {
        for (side, distribution) in [("before", &change.before), ("after", &change.after)] {
            let Some(Distribution { mean, deciles, .. }) = distribution else { continue };
            let decile = |at: usize| deciles.get(at).map_or(String::new(), |value| format!("{value:.2}"));
            let name = if side == "before" { name } else { "" };
            let cells = [name.to_owned(), side.to_owned(), format!("{mean:.3}")];
            table.row(cells.into_iter().chain([0, 2, 4, 6, 8].map(decile)).collect());
        }
    };
    if let Some(scores) = &answer.scores {
        rows("trust score", scores);
    }
    for entry in &answer.weights {
        if let Some(weights) = &entry.weights {
            rows(&format!("weight, {}", scene_word(entry.scene())), weights);
        }
    }
    table.text()
}

/// Both histograms of scores, bucket by bucket.
fn histogram(scores: &DistributionChange) -> String {
    let (Some(before), Some(after)) = (&scores.before, &scores.after) else { return String::new() };
    let most = before.histogram.iter().chain(&after.histogram).copied().max().unwrap_or(0).max(1);
    let bar = |count: u64| "#".repeat(usize::try_from((count * 30).div_ceil(most)).unwrap_or(0));
    let headings = [("from score", Side::Right), ("before", Side::Right), ("", Side::Left), ("after", Side::Right)];
    let mut table = Table::new(&[headings.as_slice(), &[("", Side::Left)]].concat());
    let buckets = before.histogram.iter().zip(&after.histogram);
    for (at, (was, is)) in buckets.enumerate().filter(|(_, (was, is))| **was > 0 || **is > 0) {
        let from = before.bucket_width * f64::from(u32::try_from(at).unwrap_or(0));
        table.row(vec![format!("{from:.0}"), was.to_string(), bar(*was), is.to_string(), bar(*is)]);
    }
    table.text()
}

fn tiers(answer: &SimulatePolicyResponse) -> String {
    let mut table = Table::new(&[("tier before", Side::Left), ("after", Side::Left), ("merchants", Side::Right)]);
    for flow in &answer.tiers {
        let to = if flow.from == flow.to { "(stays)".to_owned() } else { flow.to.clone() };
        table.row(vec![flow.from.clone(), to, flow.merchants.to_string()]);
    }
    table.text()
}

fn programmes(changes: &[ProgrammeChange]) -> String {
    let right = |heading| (heading, Side::Right);
    let mut table = Table::new(&[
        ("programme", Side::Left),
        right("before"),
        right("after"),
        right("enter"),
        right("leave"),
        right("exposures/day before"),
        right("after"),
        ("for example", Side::Left),
    ]);
    for change in changes {
        let listed = |ids: &[u64]| ids.iter().take(3).map(u64::to_string).collect::<Vec<_>>().join(" ");
        let examples = [("in: ", &change.entering), ("out: ", &change.leaving)];
        let examples =
            examples.iter().filter(|(_, ids)| !ids.is_empty()).map(|(what, ids)| format!("{what}{}", listed(ids)));
        table.row(vec![
            change.id.clone(),
            change.before.to_string(),
            change.after.to_string(),
            change.entered.to_string(),
            change.left.to_string(),
            format!("{:.0}", change.exposures_per_day_before),
            format!("{:.0}", change.exposures_per_day_after),
            examples.collect::<Vec<_>>().join(", "),
        ]);
    }
    table.text()
}

fn movers(movers: &[Mover]) -> String {
    if movers.is_empty() {
        return "no merchant moves".to_owned();
    }
    let right = |heading| (heading, Side::Right);
    let mut table = Table::new(&[
        right("merchant"),
        ("name", Side::Left),
        right("weight"),
        right("-> after"),
        right("score"),
        right("-> after"),
        ("why", Side::Left),
    ]);
    for mover in movers {
        table.row(vec![
            mover.merchant_id.to_string(),
            mover.name.clone(),
            format!("{:.3}", mover.weight_before),
            format!("{:.3}", mover.weight_after),
            format!("{:.2}", mover.score_before),
            format!("{:.2}", mover.score_after),
            mover.reasons.join("; "),
        ]);
    }
    table.text()
}

/// The simulation for a program.
pub(super) fn json(answer: &SimulatePolicyResponse) -> Value {
    let side = |distribution: &Option<Distribution>| {
        distribution.as_ref().map(
            |d| json!({"mean": d.mean, "deciles": d.deciles, "histogram": d.histogram, "bucket_width": d.bucket_width}),
        )
    };
    let change = |change: &Option<DistributionChange>| {
        change.as_ref().map(|change| json!({"before": side(&change.before), "after": side(&change.after)}))
    };
    let ids = |ids: &[u64]| ids.iter().map(u64::to_string).collect::<Vec<_>>();
    json!({
        "revision": answer.revision, "policy_version": answer.policy_version, "merchants": answer.merchants,
        "took_ms": answer.took_ms, "backfilled": answer.backfilled, "scores": change(&answer.scores),
        "weights": answer.weights.iter().map(|entry| json!({
            "scene": scene_word(entry.scene()), "weights": change(&entry.weights),
        })).collect::<Vec<_>>(),
        "tiers": answer.tiers.iter().map(|flow| json!({
            "from": flow.from, "to": flow.to, "merchants": flow.merchants,
        })).collect::<Vec<_>>(),
        "programmes": answer.programmes.iter().map(|p| json!({
            "id": p.id, "before": p.before, "after": p.after, "entered": p.entered, "left": p.left,
            "entering": ids(&p.entering), "leaving": ids(&p.leaving),
            "exposures_per_day_before": p.exposures_per_day_before,
            "exposures_per_day_after": p.exposures_per_day_after,
        })).collect::<Vec<_>>(),
        "movers": answer.movers.iter().map(|m| json!({
            "merchant_id": m.merchant_id.to_string(), "name": m.name, "score_before": m.score_before,
            "score_after": m.score_after, "weight_before": m.weight_before, "weight_after": m.weight_after,
            "reasons": m.reasons,
        })).collect::<Vec<_>>(),
    })
}
