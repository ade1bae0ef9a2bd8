//! `ProgrammeService`.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Response, Status};

use super::{Waiter, accepted, author, deadline, off_the_path, signed};
use crate::domain::{Body, MerchantId, RequestKey};
use crate::engine::{Engine, ProgrammesAnswer, ProgrammesQuery};
use crate::proto;
use crate::proto::programme_service_server::ProgrammeService;
use crate::wire::{self, payload_hash, request_key};

/// Readers of every merchant at a time; others wait.
const READERS: usize = 2;

/// Runs programmes.
pub struct ProgrammeApi {
    engine: Arc<Engine>,
    waiter: Waiter,
    /// Held by who reads every merchant: each keeps a core busy.
    reading: Arc<Semaphore>,
}

impl ProgrammeApi {
    /// The service.
    #[must_use]
    pub fn new(engine: Arc<Engine>, waiter: Waiter) -> Self {
        Self { engine, waiter, reading: Arc::new(Semaphore::new(READERS)) }
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Status> {
        self.reading.clone().acquire_owned().await.map_err(|_| Status::unavailable("the server stops"))
    }

    async fn read(&self, query: ProgrammesQuery, is_full: bool) -> Result<ProgrammesAnswer, Status> {
        let turn = self.turn().await?;
        let engine = self.engine.clone();
        let answer = off_the_path(move || {
            // Kept until the work is done, also when the caller has gone.
            let _turn = turn;
            engine.programmes(&query, is_full)
        });
        answer.await?.map_err(|rejection| wire::rejected_status(&rejection))
    }

    /// Writes what either happens or is rejected; answers the revision.
    async fn write(&self, request: RequestKey, body: Body) -> Result<u64, Status> {
        let applied = self.engine.write(Some(request), body).await.map_err(|error| wire::write_status(&error))?;
        accepted(applied).map(|(revision, _)| revision)
    }

    fn packages(&self, merchant: u64) -> Result<proto::MerchantPackages, Status> {
        let found = self.engine.packages(MerchantId(merchant));
        found.map(|packages| wire::packages_message(&packages)).map_err(|rejection| wire::rejected_status(&rejection))
    }
}

#[tonic::async_trait]
impl ProgrammeService for ProgrammeApi {
    async fn list_programmes(
        &self,
        request: Request<proto::ListProgrammesRequest>,
    ) -> Result<Response<proto::ListProgrammesResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let (query, is_full) = wire::programmes_query(&request)?;
        self.waiter.wait(request.min_revision, deadline).await?;
        let answer = self.read(query, is_full).await?;
        Ok(Response::new(wire::programmes_response(&answer)))
    }

    async fn get_programme(
        &self,
        request: Request<proto::GetProgrammeRequest>,
    ) -> Result<Response<proto::GetProgrammeResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        self.waiter.wait(request.min_revision, deadline).await?;
        let answer = self.read(ProgrammesQuery::One(request.id), true).await?;
        Ok(Response::new(wire::programme_response(&answer)))
    }

    async fn pause_programme(
        &self,
        request: Request<proto::PauseProgrammeRequest>,
    ) -> Result<Response<proto::PauseProgrammeResponse>, Status> {
        let (sender, mut request) = signed(request);
        let key = request_key(&sender, "PauseProgramme", &request.request_id, payload_hash(&request))?;
        request.author = author(&sender, &request.author);
        let revision = self.write(key, wire::pause(&request)?).await?;
        Ok(Response::new(proto::PauseProgrammeResponse { revision, etag: wire::programme_etag(revision) }))
    }

    async fn resume_programme(
        &self,
        request: Request<proto::ResumeProgrammeRequest>,
    ) -> Result<Response<proto::ResumeProgrammeResponse>, Status> {
        let (sender, mut request) = signed(request);
        let key = request_key(&sender, "ResumeProgramme", &request.request_id, payload_hash(&request))?;
        request.author = author(&sender, &request.author);
        let revision = self.write(key, wire::resume(&request)?).await?;
        Ok(Response::new(proto::ResumeProgrammeResponse { revision, etag: wire::programme_etag(revision) }))
    }

    async fn adjust_budget(
        &self,
        request: Request<proto::AdjustBudgetRequest>,
    ) -> Result<Response<proto::AdjustBudgetResponse>, Status> {
        let (sender, mut request) = signed(request);
        let key = request_key(&sender, "AdjustBudget", &request.request_id, payload_hash(&request))?;
        request.author = author(&sender, &request.author);
        let revision = self.write(key, wire::adjust(&request)?).await?;
        Ok(Response::new(proto::AdjustBudgetResponse { revision, etag: wire::programme_etag(revision) }))
    }

    async fn list_members(
        &self,
        request: Request<proto::ListMembersRequest>,
    ) -> Result<Response<proto::ListMembersResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let query = wire::members_query(&request)?;
        self.waiter.wait(request.min_revision, deadline).await?;
        let turn = self.turn().await?;
        let engine = self.engine.clone();
        let page = off_the_path(move || {
            let _turn = turn;
            engine.programme_members(&query)
        });
        let page = page.await?.map_err(|rejection| wire::rejected_status(&rejection))?;
        Ok(Response::new(wire::members_response(page)))
    }

    async fn grant_package(
        &self,
        request: Request<proto::GrantPackageRequest>,
    ) -> Result<Response<proto::GrantPackageResponse>, Status> {
        let (sender, mut request) = signed(request);
        let key = request_key(&sender, "GrantPackage", &request.request_id, payload_hash(&request))?;
        request.author = author(&sender, &request.author);
        let revision = self.write(key, wire::grant(&request)?).await?;
        let packages = self.packages(request.merchant_id)?;
        Ok(Response::new(proto::GrantPackageResponse { revision, packages: Some(packages) }))
    }

    async fn assign_package(
        &self,
        request: Request<proto::AssignPackageRequest>,
    ) -> Result<Response<proto::AssignPackageResponse>, Status> {
        let (sender, request) = signed(request);
        let key = request_key(&sender, "AssignPackage", &request.request_id, payload_hash(&request))?;
        let revision = self.write(key, wire::assign(&request)?).await?;
        let packages = self.packages(request.merchant_id)?;
        Ok(Response::new(proto::AssignPackageResponse { revision, packages: Some(packages) }))
    }

    async fn release_package(
        &self,
        request: Request<proto::ReleasePackageRequest>,
    ) -> Result<Response<proto::ReleasePackageResponse>, Status> {
        let (sender, request) = signed(request);
        let key = request_key(&sender, "ReleasePackage", &request.request_id, payload_hash(&request))?;
        let revision = self.write(key, wire::release(&request)?).await?;
        let packages = self.packages(request.merchant_id)?;
        Ok(Response::new(proto::ReleasePackageResponse { revision, packages: Some(packages) }))
    }

    async fn list_packages(
        &self,
        request: Request<proto::ListPackagesRequest>,
    ) -> Result<Response<proto::ListPackagesResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        wire::merchant_id(request.merchant_id)?;
        self.waiter.wait(request.min_revision, deadline).await?;
        let packages = self.engine.packages(MerchantId(request.merchant_id));
        let packages = packages.map_err(|rejection| wire::rejected_status(&rejection))?;
        let revision = packages.revision;
        Ok(Response::new(proto::ListPackagesResponse { packages: Some(wire::packages_message(&packages)), revision }))
    }
}
