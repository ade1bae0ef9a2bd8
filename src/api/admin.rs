//! `AdminService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::backup::{BackupStream, Backups};
use super::{off_the_path, signed};
use crate::auth::Gate;
use crate::engine::Engine;
use crate::proto::admin_service_server::AdminService;
use crate::proto::{
    AcceptTimeRequest, AcceptTimeResponse, AdvanceClockRequest, AdvanceClockResponse, BackupRequest,
    GetStateHashRequest, GetStateHashResponse, GetStatusRequest, GetStatusResponse, ListAuditEntriesRequest,
    ListAuditEntriesResponse, ListCredentialsRequest, ListCredentialsResponse,
};
use crate::wire::{self, Fields, request_key};

/// The running process.
pub struct AdminApi {
    engine: Arc<Engine>,
    start_ms: u64,
    gate: Option<Arc<Gate>>,
    backups: Backups,
}

impl AdminApi {
    /// The service of a process that took so long to start, and of the gate of its callers, if there is one.
    #[must_use]
    pub fn new(engine: Arc<Engine>, start_ms: u64, gate: Option<Arc<Gate>>) -> Self {
        Self { engine, start_ms, gate, backups: Backups::default() }
    }
}

#[tonic::async_trait]
impl AdminService for AdminApi {
    type BackupStream = BackupStream;

    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        let (engine, start_ms) = (self.engine.clone(), self.start_ms);
        let response = off_the_path(move || {
            let (revision, writes) = (engine.hot().revision(), engine.write_status());
            let source = engine.policy_source();
            let status = wire::Status { revision, writes: &writes, start_ms, source: &source };
            engine.read(|state| wire::status_response(state, &status))
        });
        Ok(Response::new(response.await?))
    }

    async fn get_state_hash(&self, _: Request<GetStateHashRequest>) -> Result<Response<GetStateHashResponse>, Status> {
        let engine = self.engine.clone();
        let hashed = off_the_path(move || engine.state_hash()).await?;
        let (revision, hash) = hashed.map_err(|error| wire::store_status(&error))?;
        Ok(Response::new(GetStateHashResponse { state_hash: format!("{hash:032x}"), revision }))
    }

    async fn advance_clock(
        &self,
        request: Request<AdvanceClockRequest>,
    ) -> Result<Response<AdvanceClockResponse>, Status> {
        let (sender, request) = signed(request);
        let mut fields = Fields::default();
        let to = if let Some(to) = request.to {
            wire::timestamp(&mut fields, "to", to)
        } else {
            fields.wrong("to", "must be set");
            crate::domain::Timestamp::default()
        };
        fields.finish()?;
        let key = request_key(&sender, "AdvanceClock", "", 0)?;
        self.engine.advance_clock(Some(key), to).await.map_err(|error| wire::write_status(&error))?;
        let revision = self.engine.hot().revision();
        let (now, facts_day) = self.engine.read(|state| (state.meta().now, state.facts_day()));
        Ok(Response::new(AdvanceClockResponse {
            state_time: Some(wire::to_proto_time(now)),
            revision,
            facts_day: facts_day.to_string(),
        }))
    }

    async fn accept_time(&self, _: Request<AcceptTimeRequest>) -> Result<Response<AcceptTimeResponse>, Status> {
        let accepted = self.engine.accept_time();
        Ok(Response::new(AcceptTimeResponse { accepted: Some(wire::to_proto_time(accepted)) }))
    }

    async fn list_credentials(
        &self,
        _: Request<ListCredentialsRequest>,
    ) -> Result<Response<ListCredentialsResponse>, Status> {
        Ok(Response::new(wire::credentials_response(self.gate.as_ref().map(|gate| gate.credentials()))))
    }

    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Result<Response<ListAuditEntriesResponse>, Status> {
        let query = wire::audit_query(request.into_inner())?;
        let engine = self.engine.clone();
        let page = off_the_path(move || engine.audit(&query)).await?;
        page.map(|page| Response::new(wire::audit_response(page))).map_err(|error| wire::store_status(&error))
    }

    async fn backup(&self, _: Request<BackupRequest>) -> Result<Response<BackupStream>, Status> {
        self.backups.begin(self.engine.clone()).map(Response::new)
    }
}
