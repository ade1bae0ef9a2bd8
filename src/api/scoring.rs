//! `ScoringService`: memory only, from the decoded request to the answer.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{Waiter, deadline};
use crate::engine::Engine;
use crate::proto::scoring_service_server::ScoringService;
use crate::proto::{
    AllocateRequest, AllocateResponse, ListUnderservedRequest, ListUnderservedResponse, ScoreRequest, ScoreResponse,
};
use crate::telemetry::{AllocateMetrics, ScoreMetrics};
use crate::wire::{self, ScoreLimits};

/// Answers Score and Allocate.
pub struct ScoringApi {
    engine: Arc<Engine>,
    waiter: Waiter,
    limits: ScoreLimits,
    metrics: ScoreMetrics,
    allocated: AllocateMetrics,
}

impl ScoringApi {
    /// The service.
    #[must_use]
    pub fn new(engine: Arc<Engine>, waiter: Waiter, limits: ScoreLimits) -> Self {
        Self { engine, waiter, limits, metrics: ScoreMetrics::default(), allocated: AllocateMetrics::default() }
    }
}

#[tonic::async_trait]
impl ScoringService for ScoringApi {
    async fn score(&self, request: Request<ScoreRequest>) -> Result<Response<ScoreResponse>, Status> {
        let deadline = if request.get_ref().min_revision == 0 { None } else { deadline(&request) };
        let request = request.into_inner();
        let query = wire::score_query(&request, self.limits)?;
        self.waiter.wait(request.min_revision, deadline).await?;
        let columns = self.engine.score_named(&query, &request.request_id);
        self.metrics.scored(query.target_ids.len(), columns.unknown);
        Ok(Response::new(wire::score_response(columns)))
    }

    async fn allocate(&self, request: Request<AllocateRequest>) -> Result<Response<AllocateResponse>, Status> {
        let deadline = if request.get_ref().min_revision == 0 { None } else { deadline(&request) };
        let request = request.into_inner();
        let query = wire::allocate_query(&request, self.limits)?;
        self.waiter.wait(request.min_revision, deadline).await?;
        let slate = self.engine.allocate_named(&query, &request.request_id);
        self.allocated.allocated(query.target_ids.len(), slate.unknown, query.slots, slate.counts());
        Ok(Response::new(wire::allocate_response(slate)))
    }

    async fn list_underserved(
        &self,
        request: Request<ListUnderservedRequest>,
    ) -> Result<Response<ListUnderservedResponse>, Status> {
        let query = wire::underserved_query(request.get_ref())?;
        Ok(Response::new(wire::underserved_response(self.engine.underserved(&query))))
    }
}
