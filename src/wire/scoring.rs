//! Score requests and responses.

use tonic::Status;

use super::validate::Fields;
use crate::domain::{Scene, TargetKind};
use crate::engine::{ScoreColumns, ScoreQuery};
use crate::proto;

/// Limits of a Score request.
#[derive(Clone, Copy, Debug)]
pub struct ScoreLimits {
    /// Most targets of one request.
    pub max_targets: usize,
}

/// The query of a request.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn score_query(request: &proto::ScoreRequest, limits: ScoreLimits) -> Result<ScoreQuery<'_>, Status> {
    let mut fields = Fields::default();
    let candidates = Candidates {
        request_id: &request.request_id,
        scene: request.scene,
        kind: request.target_kind,
        target_ids: &request.target_ids,
        merchant_ids: &request.merchant_ids,
        base_scores: &request.base_scores,
    };
    let (scene, kind) = check_candidates(&mut fields, &candidates, limits);
    let (mut layers, mut ad_price) = (false, false);
    for (index, column) in request.columns.iter().enumerate() {
        match proto::ScoreColumn::try_from(*column) {
            Ok(proto::ScoreColumn::Layers) => layers = true,
            Ok(proto::ScoreColumn::AdPrice) => ad_price = true,
            Ok(proto::ScoreColumn::Unspecified) | Err(_) => {
                fields.wrong(&format!("columns[{index}]"), "must be LAYERS or AD_PRICE");
            }
        }
    }
    fields.finish()?;
    Ok(ScoreQuery {
        scene,
        kind,
        target_ids: &request.target_ids,
        merchant_ids: &request.merchant_ids,
        base_scores: &request.base_scores,
        layers,
        ad_price,
    })
}

/// What requests about candidates have in common.
pub(super) struct Candidates<'a> {
    pub(super) request_id: &'a str,
    pub(super) scene: i32,
    pub(super) kind: i32,
    pub(super) target_ids: &'a [u64],
    pub(super) merchant_ids: &'a [u64],
    pub(super) base_scores: &'a [f32],
}

/// Notes every wrong field of them; answers scene and kind.
pub(super) fn check_candidates(fields: &mut Fields, request: &Candidates, limits: ScoreLimits) -> (Scene, TargetKind) {
    let count = request.target_ids.len();
    let scene = scene(fields, "scene", request.scene);
    let kind = target_kind(fields, "target_kind", request.kind);
    if count == 0 || count > limits.max_targets {
        fields.wrong("target_ids", format!("must have 1 to {} entries, has {count}", limits.max_targets));
    }
    let parallel = |len: usize| len == 0 || len == count;
    fields.check(parallel(request.merchant_ids.len()), "merchant_ids", "must be empty or as long as target_ids");
    fields.check(parallel(request.base_scores.len()), "base_scores", "must be empty or as long as target_ids");
    if let Some(index) = request.base_scores.iter().position(|score| !is_base_score(*score)) {
        fields.wrong(&format!("base_scores[{index}]"), "must be finite and at least 0");
    }
    fields.check(request.request_id.len() <= 128, "request_id", "must have at most 128 bytes");
    (scene, kind)
}

/// Whether a float can be a base score.
fn is_base_score(score: f32) -> bool {
    score.is_finite() && score >= 0.0
}

/// A single base score, checked as those of a Score request are.
pub fn base_score(fields: &mut Fields, score: Option<f32>) {
    fields.check(score.is_none_or(is_base_score), "base_score", "must be finite and at least 0");
}

/// The response of columns.
#[must_use]
pub fn score_response(columns: ScoreColumns) -> proto::ScoreResponse {
    let [governance_scores, consumer_rights_scores, experience_scores] = columns.layers;
    proto::ScoreResponse {
        policy_version: columns.policy_version,
        revision: columns.revision,
        cache_ttl_ms: columns.cache_ttl_ms,
        trust_scores: columns.trust_scores,
        boost_weights: columns.boost_weights,
        programmes: columns.programmes,
        labels: columns.labels,
        adjusted_scores: columns.adjusted_scores,
        governance_scores,
        consumer_rights_scores,
        experience_scores,
        ad_price_factors: columns.ad_price_factors,
    }
}

/// A scene that was specified.
pub(super) fn scene(fields: &mut Fields, field: &str, scene: i32) -> Scene {
    match proto::Scene::try_from(scene) {
        Ok(proto::Scene::Live) => return Scene::Live,
        Ok(proto::Scene::ShortVideo) => return Scene::ShortVideo,
        Ok(proto::Scene::ImageText) => return Scene::ImageText,
        Ok(proto::Scene::Search) => return Scene::Search,
        Ok(proto::Scene::Mall) => return Scene::Mall,
        Ok(proto::Scene::Store) => return Scene::Store,
        Ok(proto::Scene::Unspecified) => fields.wrong(field, "must be specified"),
        Err(_) => fields.wrong(field, "is not a scene of this version"),
    }
    Scene::Live
}

/// A scene as it is sent.
pub(super) fn proto_scene(scene: Scene) -> proto::Scene {
    match scene {
        Scene::Live => proto::Scene::Live,
        Scene::ShortVideo => proto::Scene::ShortVideo,
        Scene::ImageText => proto::Scene::ImageText,
        Scene::Search => proto::Scene::Search,
        Scene::Mall => proto::Scene::Mall,
        Scene::Store => proto::Scene::Store,
    }
}

/// A target kind that was specified.
pub(super) fn target_kind(fields: &mut Fields, field: &str, kind: i32) -> TargetKind {
    match proto::TargetKind::try_from(kind) {
        Ok(proto::TargetKind::LiveRoom) => return TargetKind::LiveRoom,
        Ok(proto::TargetKind::Product) => return TargetKind::Product,
        Ok(proto::TargetKind::Merchant) => return TargetKind::Merchant,
        Ok(proto::TargetKind::ShortVideo) => return TargetKind::ShortVideo,
        Ok(proto::TargetKind::Unspecified) => fields.wrong(field, "must be specified"),
        Err(_) => fields.wrong(field, "is not a target kind of this version"),
    }
    TargetKind::Merchant
}
