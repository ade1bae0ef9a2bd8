//! `explain`: why a target has its score and weight.

use super::client::Target;
use super::error::CliError;
use super::explain_json::explanation_json;
use super::explain_text::explanation_text;
use super::out;
use super::words::{KindWord, SceneWord};
use crate::proto::ExplainScoreRequest;
use crate::proto::insight_service_client::InsightServiceClient;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// Where the target would be shown
    #[arg(long)]
    scene: SceneWord,
    /// What the id names
    #[arg(long)]
    kind: KindWord,
    /// The recommender's own score
    #[arg(long, value_name = "SCORE")]
    base_score: Option<f32>,
    /// The owner, for a target that is not registered
    #[arg(long, value_name = "ID", default_value_t = 0)]
    merchant: u64,
    /// Target to explain
    #[arg(value_name = "ID")]
    id: u64,
}

/// Asks and prints.
pub(super) async fn run(args: ExplainArgs, target: &Target) -> Result<(), CliError> {
    let request = ExplainScoreRequest {
        scene: args.scene.wire().into(),
        target_kind: args.kind.wire().into(),
        target_id: args.id,
        merchant_id: args.merchant,
        base_score: args.base_score,
        min_revision: 0,
    };
    let answer = InsightServiceClient::new(target.connect().await?).explain_score(request).await;
    let answer = answer.map_err(CliError::rpc("ExplainScore"))?.into_inner();
    if target.json { out::json(&explanation_json(&answer)) } else { out::result(&explanation_text(&answer)) }
}
