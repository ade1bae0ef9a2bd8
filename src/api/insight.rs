//! `InsightService`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::{Waiter, deadline, off_the_path, off_the_path_while_wanted};
use crate::domain::{ProfileKey, Subject, Wanted};
use crate::engine::Engine;
use crate::proto::insight_service_server::InsightService;
use crate::proto::{
    ExplainScoreRequest, ExplainScoreResponse, GetForecastRequest, GetForecastResponse, GetRulesRequest,
    GetRulesResponse, GetTrustPurchaseStatusRequest, GetTrustPurchaseStatusResponse, ListFactsRequest,
    ListFactsResponse, SearchProductsRequest, SearchProductsResponse, ValidateScoresRequest, ValidateScoresResponse,
};
use crate::wire;

/// Searches at a time: each keeps a core busy.
const SEARCHES: usize = 2;
/// Forecasts at a time; others wait.
const FORECASTS: usize = 2;
/// How long one search lasts at most; the next page goes on.
const SEARCH_TIME: Duration = Duration::from_secs(2);

/// Answers why.
pub struct InsightApi {
    engine: Arc<Engine>,
    waiter: Waiter,
    searches: Arc<Semaphore>,
    /// Validations read the whole history and keep much of it: one at a time, so that they do not crowd out serving.
    validating: Arc<Semaphore>,
    /// Held by who foretells a budget: its members are counted among all merchants.
    forecasts: Arc<Semaphore>,
}

impl InsightApi {
    /// The service.
    #[must_use]
    pub fn new(engine: Arc<Engine>, waiter: Waiter) -> Self {
        let [searches, validating, forecasts] =
            [SEARCHES, 1, FORECASTS].map(|permits| Arc::new(Semaphore::new(permits)));
        Self { engine, waiter, searches, validating, forecasts }
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
        Ok(Response::new(wire::explain_response(&query, &explanation)))
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

    async fn get_trust_purchase_status(
        &self,
        request: Request<GetTrustPurchaseStatusRequest>,
    ) -> Result<Response<GetTrustPurchaseStatusResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let query = wire::trust_purchase_query(&request)?;
        self.waiter.wait(request.min_revision, deadline).await?;
        let status = self.engine.trust_purchase(&query).map_err(|error| wire::no_trust_purchase(&error))?;
        Ok(Response::new(wire::trust_purchase_response(&query, &status)))
    }

    async fn search_products(
        &self,
        request: Request<SearchProductsRequest>,
    ) -> Result<Response<SearchProductsResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        // What is left of the deadline carries the answer back.
        let time = deadline.map_or(SEARCH_TIME, |deadline| SEARCH_TIME.min(deadline.mul_f64(0.6)));
        let query = wire::search_query(&request, time)?;
        self.waiter.wait(request.min_revision, deadline).await?;
        let searching = self.searches.clone().try_acquire_owned().map_err(|_| wire::too_many_searches())?;
        let engine = self.engine.clone();
        let search = move || {
            let page = engine.search_products(&query);
            // Not before: a caller that gives up does not end the scan.
            drop(searching);
            page
        };
        let page = off_the_path(search).await?;
        Ok(Response::new(wire::search_response(&request, page)))
    }

    async fn get_forecast(
        &self,
        request: Request<GetForecastRequest>,
    ) -> Result<Response<GetForecastResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let query = wire::forecast_query(&request)?;
        self.waiter.wait(request.min_revision, deadline).await?;
        let turn = self.forecasts.clone().acquire_owned().await;
        let turn = turn.map_err(|_| Status::unavailable("the server stops"))?;
        let engine = self.engine.clone();
        let forecast = move || {
            let _turn = turn;
            engine.forecast(&query)
        };
        let report = off_the_path(forecast).await?;
        let report = report.map_err(|rejection| wire::rejected_status(&rejection))?;
        Ok(Response::new(wire::forecast_response(&report)))
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
        let work = move |wanted: &Wanted| {
            // Kept until the work is done, also when the caller has gone.
            let _turn = turn;
            engine.validate(&query, wanted).map(|validation| wire::validation_response(&query, &validation))
        };
        off_the_path_while_wanted(work).await?.map(Response::new).map_err(|error| wire::read_status(&error))
    }
}
