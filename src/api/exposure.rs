//! `ExposureService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{accepted, signed, unexpected};
use crate::domain::{Body, Outcome};
use crate::engine::Engine;
use crate::proto::exposure_service_server::ExposureService;
use crate::proto::{ReportExposuresRequest, ReportExposuresResponse};
use crate::telemetry::ExposureMetrics;
use crate::wire::{self, payload_hash, request_key};

/// Takes reports of exposures.
pub struct ExposureApi {
    engine: Arc<Engine>,
    metrics: ExposureMetrics,
}

impl ExposureApi {
    /// The service.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine, metrics: ExposureMetrics::default() }
    }
}

#[tonic::async_trait]
impl ExposureService for ExposureApi {
    async fn report_exposures(
        &self,
        request: Request<ReportExposuresRequest>,
    ) -> Result<Response<ReportExposuresResponse>, Status> {
        let (sender, request) = signed(request);
        let rows = wire::exposure_rows(&self.engine.hot().world().policy, &request)?;
        let key = request_key(&sender, "ReportExposures", &request.report_id, payload_hash(&request))?;
        let count = rows.len();
        let applied = self.engine.write(Some(key), Body::ReportExposures { rows }).await;
        let applied = applied.map_err(|error| wire::write_status(&error))?;
        let (revision, outcome) = accepted(applied)?;
        let Outcome::Report(outcome) = outcome else { return Err(unexpected(&outcome)) };
        if outcome.is_duplicate {
            self.metrics.repeated();
        } else {
            let [exposures, late] = [outcome.exposures, outcome.late];
            let counts = [exposures, late, outcome.unattributed, outcome.over_budget, outcome.mismatched];
            self.metrics.counted(count, counts);
        }
        let response = ReportExposuresResponse { revision, duplicate: outcome.is_duplicate };
        Ok(Response::new(response))
    }
}
