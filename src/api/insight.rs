//! `InsightService`.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::{Waiter, deadline, off_the_path};
use crate::domain::{ProfileKey, Subject};
use crate::engine::Engine;
use crate::proto::insight_service_server::InsightService;
use crate::proto::{
    ExplainScoreRequest, ExplainScoreResponse, GetRulesRequest, GetRulesResponse, ListFactsRequest, ListFactsResponse,
    ValidateScoresRequest, ValidateScoresResponse,
};
use crate::wire;

/// Answers why.
pub struct InsightApi {
    engine: Arc<Engine>,
    waiter: Waiter,
    /// Validations read the whole history and keep much of it: one at a time, so that they do not crowd out serving.
    validating: Arc<Semaphore>,
}

impl InsightApi {
    /// The service.
    #[must_use]
    pub fn new(engine: Arc<Engine>, waiter: Waiter) -> Self {
        Self { engine, waiter, validating: Arc::new(Semaphore::new(1)) }
    }
}

#[tonic::async_trait]
impl InsightService for InsightApi {
    async fn explain_score(
        &self,
        request: Request<ExplainScoreRequest>,
    ) -> Result<Response<ExplainScoreResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let query = wire::explain_query(&request)?;
        self.waiter.wait(request.min_revision, deadline).await?;
        let engine = self.engine.clone();
        let explanation =
            off_the_path(move || engine.explain(&query)).await?.map_err(|error| wire::read_status(&error))?;
        Ok(Response::new(wire::explain_response(&query, request.base_score, &explanation)))
    }

    async fn list_facts(&self, request: Request<ListFactsRequest>) -> Result<Response<ListFactsResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let (subject, range) = wire::facts_query(&request)?;
        self.waiter.wait(request.min_revision, deadline).await?;
        let key = match subject {
            Subject::Merchant(id) => ProfileKey::Merchant(id),
            Subject::Item(item) => ProfileKey::Item(item),
        };
        let (policy, is_registered) = self.engine.read(|state| (state.policy().clone(), state.profile(key).is_some()));
        if !is_registered {
            return Err(wire::not_registered(key));
        }
        let revision = self.engine.hot().revision();
        let engine = self.engine.clone();
        let rows = off_the_path(move || engine.facts(subject, range)).await?;
        let rows = rows.map_err(|error| wire::store_status(&error))?;
        Ok(Response::new(wire::facts_response(&policy, &request, &rows, revision)))
    }

    async fn get_rules(&self, _: Request<GetRulesRequest>) -> Result<Response<GetRulesResponse>, Status> {
        Ok(Response::new(self.engine.read(wire::rules_response)))
    }

    async fn validate_scores(
        &self,
        request: Request<ValidateScoresRequest>,
    ) -> Result<Response<ValidateScoresResponse>, Status> {
        let policy = self.engine.read(|state| state.policy().clone());
        let query = wire::validation_query(&policy, request.get_ref())?;
        let turn = self.validating.clone().acquire_owned().await;
        let turn = turn.map_err(|error| Status::internal(format!("waiting for a turn: {error}")))?;
        let engine = self.engine.clone();
        let work = move || {
            // Kept until the work is done, also when the caller has gone.
            let _turn = turn;
            engine.validate(&query).map(|validation| wire::validation_response(&query, &validation))
        };
        off_the_path(work).await?.map(Response::new).map_err(|error| wire::read_status(&error))
    }
}
