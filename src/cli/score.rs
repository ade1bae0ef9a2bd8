//! `score`: what a recommender gets, as a table.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::client::Target;
use super::error::CliError;
use super::out;
use super::table::{Side, Table};
use super::words::{KindWord, SceneWord, id_json, label_words, listed, programme_bits, short_float};
use crate::proto::admin_service_client::AdminServiceClient;
use crate::proto::scoring_service_client::ScoringServiceClient;
use crate::proto::{GetStatusRequest, ScoreColumn, ScoreRequest, ScoreResponse};

/// Arguments of `score`.
#[derive(Debug, clap::Args)]
pub(super) struct ScoreArgs {
    /// Where the targets would be shown
    #[arg(long)]
    scene: SceneWord,
    /// What the ids name
    #[arg(long)]
    kind: KindWord,
    /// The recommender's own scores, one per id
    #[arg(long, value_delimiter = ',', value_name = "SCORE")]
    base_score: Vec<f32>,
    /// Owners, one per id, for targets that are not registered
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    merchant: Vec<u64>,
    /// Targets to score
    #[arg(required = true, value_name = "ID")]
    ids: Vec<u64>,
}

/// Programme ids by bit.
type Programmes = BTreeMap<u32, String>;

/// Scores and prints.
pub(super) async fn run(args: ScoreArgs, target: &Target) -> Result<(), CliError> {
    for (option, given) in [("--base-score", args.base_score.len()), ("--merchant", args.merchant.len())] {
        if given != 0 && given != args.ids.len() {
            let problem = format!("{given} given for {} ids; give one per id or none", args.ids.len());
            return Err(CliError::argument(option, problem));
        }
    }
    let channel = target.connect().await?;
    let status = AdminServiceClient::new(channel.clone()).get_status(GetStatusRequest {}).await;
    let status = status.map_err(CliError::rpc("GetStatus"))?.into_inner();
    let programmes: Programmes = status.programmes.into_iter().map(|programme| (programme.bit, programme.id)).collect();
    let request = ScoreRequest {
        scene: args.scene.wire().into(),
        target_kind: args.kind.wire().into(),
        target_ids: args.ids.clone(),
        merchant_ids: args.merchant,
        base_scores: args.base_score,
        columns: vec![ScoreColumn::Layers.into(), ScoreColumn::AdPrice.into()],
        ..ScoreRequest::default()
    };
    let answer = ScoringServiceClient::new(channel).score(request).await;
    let answer = answer.map_err(CliError::rpc("Score"))?.into_inner();
    let rows = rows(&args.ids, &answer)
        .ok_or(CliError::Answer { call: "Score", missing: "a column as long as the request" })?;
    if target.json {
        return out::json(&answer_json(&answer, &rows, &programmes));
    }
    let ScoreResponse { policy_version, revision, .. } = answer;
    out::result(&format!("{}\npolicy {policy_version}, revision {revision}", rows_text(&rows, &programmes)))
}

/// One target across the columns.
struct Row {
    id: u64,
    trust: f32,
    weight: f32,
    adjusted: Option<f32>,
    layers: [f32; 3],
    ad_price: f32,
    labels: u32,
    programmes: u64,
}

/// The columns as rows; `None` if one is too short.
fn rows(ids: &[u64], answer: &ScoreResponse) -> Option<Vec<Row>> {
    let row = |(index, id): (usize, &u64)| {
        Some(Row {
            id: *id,
            trust: *answer.trust_scores.get(index)?,
            weight: *answer.boost_weights.get(index)?,
            adjusted: answer.adjusted_scores.get(index).copied(),
            layers: [
                *answer.governance_scores.get(index)?,
                *answer.consumer_rights_scores.get(index)?,
                *answer.experience_scores.get(index)?,
            ],
            ad_price: *answer.ad_price_factors.get(index)?,
            labels: *answer.labels.get(index)?,
            programmes: *answer.programmes.get(index)?,
        })
    };
    ids.iter().enumerate().map(row).collect()
}

/// Ids of the programmes in a mask, the bit's number for one that came since status was asked.
fn programme_words(mask: u64, programmes: &Programmes) -> Vec<String> {
    let bits = programme_bits(mask).into_iter();
    bits.map(|bit| programmes.get(&bit).cloned().unwrap_or_else(|| format!("bit {bit}"))).collect()
}

fn rows_text(rows: &[Row], programmes: &Programmes) -> String {
    let adjusted = rows.iter().any(|row| row.adjusted.is_some());
    let mut headings = vec![("id", Side::Right), ("trust", Side::Right), ("weight", Side::Right)];
    headings.extend(adjusted.then_some(("adjusted", Side::Right)));
    headings.extend([
        ("governance", Side::Right),
        ("rights", Side::Right),
        ("experience", Side::Right),
        ("ad price", Side::Right),
        ("labels", Side::Left),
        ("programmes", Side::Left),
    ]);
    let mut table = Table::new(&headings);
    for row in rows {
        let mut cells = vec![row.id.to_string(), format!("{:.2}", row.trust), format!("{:.4}", row.weight)];
        cells.extend(row.adjusted.filter(|_| adjusted).map(|score| match score {
            score if score <= f32::MIN => "excluded".to_owned(),
            score => format!("{score:.4}"),
        }));
        cells.extend(row.layers.map(|score| format!("{score:.2}")));
        cells.push(format!("{:.3}", row.ad_price));
        cells.push(listed(&label_words(row.labels)));
        cells.push(listed(&programme_words(row.programmes, programmes)));
        table.row(cells);
    }
    table.text()
}

fn answer_json(answer: &ScoreResponse, rows: &[Row], programmes: &Programmes) -> Value {
    let targets = rows.iter().map(|row| {
        let [governance, rights, experience] = row.layers.map(short_float);
        json!({
            "id": id_json(row.id), "trust_score": short_float(row.trust), "boost_weight": short_float(row.weight),
            "adjusted_score": row.adjusted.map(short_float), "governance_score": governance,
            "consumer_rights_score": rights, "experience_score": experience,
            "ad_price_factor": short_float(row.ad_price), "labels": label_words(row.labels),
            "programmes": programme_words(row.programmes, programmes), "programmes_mask": id_json(row.programmes),
        })
    });
    json!({
        "policy_version": answer.policy_version, "revision": answer.revision, "cache_ttl_ms": answer.cache_ttl_ms,
        "targets": targets.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::{answer_json, rows, rows_text};
    use crate::proto::ScoreResponse;

    fn answer() -> ScoreResponse {
        ScoreResponse {
            policy_version: 3,
            revision: 9,
            trust_scores: vec![81.25, 0.0],
            boost_weights: vec![1.5, 0.0],
            programmes: vec![0b101, 0],
            labels: vec![2, 128],
            adjusted_scores: vec![0.75, f32::MIN],
            governance_scores: vec![100.0, 0.0],
            consumer_rights_scores: vec![70.0, 0.0],
            experience_scores: vec![60.5, 0.0],
            ad_price_factors: vec![0.9, 1.0],
            ..ScoreResponse::default()
        }
    }

    #[test]
    fn a_table_names_labels_and_programmes() {
        let programmes = [(0, "long_tail_floor".to_owned())].into();
        let text = rows_text(&rows(&[7, 8], &answer()).expect("whole columns"), &programmes);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("adjusted"), "{text}");
        assert!(lines[1].ends_with("trust purchase  long_tail_floor, bit 2"), "{text}");
        assert!(lines[2].contains("excluded"), "{text}");
    }

    #[test]
    fn a_short_column_is_noticed() {
        assert!(rows(&[7, 8, 9], &answer()).is_none());
    }

    #[test]
    fn json_keeps_floats_short_and_masks_whole() {
        let answer = answer();
        let value = answer_json(&answer, &rows(&[7, 8], &answer).expect("whole columns"), &[].into());
        assert_eq!(value["targets"][0]["ad_price_factor"].to_string(), "0.9");
        assert_eq!(value["targets"][0]["programmes_mask"], "5");
    }
}
