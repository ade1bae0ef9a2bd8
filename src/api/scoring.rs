//! `ScoringService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{Waiter, deadline};
use crate::engine::Engine;
use crate::proto::scoring_service_server::ScoringService;
use crate::proto::{ScoreRequest, ScoreResponse};
use crate::telemetry::ScoreMetrics;
use crate::wire::{self, ScoreLimits};

/// Answers Score.
pub struct ScoringApi {
    engine: Arc<Engine>,
    waiter: Waiter,
    limits: ScoreLimits,
    metrics: ScoreMetrics,
}

impl ScoringApi {
    /// The service.
    #[must_use]
    pub fn new(engine: Arc<Engine>, waiter: Waiter, limits: ScoreLimits) -> Self {
        Self { engine, waiter, limits, metrics: ScoreMetrics::default() }
    }
}

#[tonic::async_trait]
impl ScoringService for ScoringApi {
    async fn score(&self, request: Request<ScoreRequest>) -> Result<Response<ScoreResponse>, Status> {
        let deadline = if request.get_ref().min_revision == 0 { None } else { deadline(&request) };
        let request = request.into_inner();
        let query = wire::score_query(&request, self.limits)?;
        self.waiter.wait(request.min_revision, deadline).await?;
        let columns = self.engine.score(&query);
        self.metrics.scored(query.target_ids.len(), columns.unknown);
        Ok(Response::new(wire::score_response(columns)))
    }
}
