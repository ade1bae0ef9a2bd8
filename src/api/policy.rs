//! `PolicyService`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::{Request, Response, Status};

use super::{accepted, author, deadline, off_the_path, off_the_path_while_wanted, signed};
use crate::domain::{Body, Outcome, Rejection, RequestKey};
use crate::engine::Engine;
use crate::proto;
use crate::proto::policy_service_server::PolicyService;
use crate::wire::{self, Published, payload_hash, request_key};

/// Publishes policies.
pub struct PolicyApi {
    engine: Arc<Engine>,
    /// Held while a simulation runs: one is work enough for the machine.
    simulating: Arc<Semaphore>,
    /// Held while texts are checked or compared: a few megabytes of text keep a core busy.
    judging: Arc<Semaphore>,
}

impl PolicyApi {
    /// The service.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine, simulating: Arc::new(Semaphore::new(1)), judging: Arc::new(Semaphore::new(JUDGED_AT_A_TIME)) }
    }

    /// Waits for its turn to work on texts.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Status> {
        self.judging.acquire().await.map_err(|_| Status::unavailable("the server stops"))
    }

    /// Changes the policy; answers what it came to by when the caller wants to know.
    async fn change(&self, request: RequestKey, body: Body, deadline: Option<Duration>) -> Result<Published, Status> {
        // The last tenth of the caller's time is for the answer.
        let patience = deadline.map(|deadline| deadline.mul_f64(0.9));
        let changed = self.engine.change_policy(Some(request), body, patience).await;
        let applied = changed.map_err(|error| wire::write_status(&error))?;
        if let Outcome::Rejected(rejection) = &applied.outcome {
            return Err(wire::rejected_status(rejection));
        }
        let published = self.engine.read(|state| Published::of(&applied, state));
        published.ok_or_else(|| Status::internal("an unexpected outcome; please report this"))
    }
}

/// Texts that are checked or compared at a time; others wait.
const JUDGED_AT_A_TIME: usize = 2;

fn no_version(version: u64) -> Status {
    wire::rejected_status(&Rejection::NotFound { what: "policy version".to_owned(), id: version })
}

#[tonic::async_trait]
impl PolicyService for PolicyApi {
    async fn validate_policy(
        &self,
        request: Request<proto::ValidatePolicyRequest>,
    ) -> Result<Response<proto::ValidatePolicyResponse>, Status> {
        let text = wire::policy_text(request.into_inner().files)?;
        let engine = self.engine.clone();
        let _turn = self.turn().await?;
        let response = off_the_path_while_wanted(move |wanted| {
            let problems = engine.judge_while(wanted, &text).err().unwrap_or_default();
            engine.read(|state| wire::validate_response(&text, &problems, state))
        });
        Ok(Response::new(response.await?))
    }

    async fn publish_policy(
        &self,
        request: Request<proto::PublishPolicyRequest>,
    ) -> Result<Response<proto::PublishPolicyResponse>, Status> {
        let deadline = deadline(&request);
        let (sender, mut request) = signed(request);
        let key = request_key(&sender, "PublishPolicy", &request.request_id, payload_hash(&request))?;
        request.author = author(&sender, &request.author);
        let publish = wire::publish(request)?;
        let engine = self.engine.clone();
        // Judged before it is logged: what is in the log is never judged again.
        let turn = self.turn().await?;
        let (publish, judged) = off_the_path(move || {
            let judged = engine.judge_new(&publish.text);
            (publish, judged)
        })
        .await?;
        drop(turn);
        judged.map_err(|problems| wire::bad_policy(&problems))?;
        let published = self.change(key, Body::PublishPolicy(publish), deadline).await?;
        Ok(Response::new(wire::publish_response(&published)))
    }

    async fn list_policy_versions(
        &self,
        request: Request<proto::ListPolicyVersionsRequest>,
    ) -> Result<Response<proto::ListPolicyVersionsResponse>, Status> {
        let request = request.into_inner();
        let page = wire::page(request.page_size, &request.page_token)?;
        Ok(Response::new(self.engine.read(|state| wire::list_response(state, page))))
    }

    async fn get_policy(
        &self,
        request: Request<proto::GetPolicyRequest>,
    ) -> Result<Response<proto::GetPolicyResponse>, Status> {
        let version = request.into_inner().version;
        let found = self.engine.read(|state| wire::get_response(state, version));
        found.map(Response::new).ok_or_else(|| no_version(version))
    }

    async fn diff_policies(
        &self,
        request: Request<proto::DiffPoliciesRequest>,
    ) -> Result<Response<proto::DiffPoliciesResponse>, Status> {
        let [from, to] = wire::diff_sides(request.into_inner())?;
        let texts = self.engine.read(|state| Ok((from.text(state)?, to.text(state)?)));
        let (from, to) = texts.map_err(no_version)?;
        let _turn = self.turn().await?;
        let changes = off_the_path(move || wire::policy_diff(&from, &to)).await??;
        Ok(Response::new(changes))
    }

    async fn rollback_policy(
        &self,
        request: Request<proto::RollbackPolicyRequest>,
    ) -> Result<Response<proto::RollbackPolicyResponse>, Status> {
        let deadline = deadline(&request);
        let (sender, mut request) = signed(request);
        let key = request_key(&sender, "RollbackPolicy", &request.request_id, payload_hash(&request))?;
        request.author = author(&sender, &request.author);
        let published = self.change(key, wire::rollback(request)?, deadline).await?;
        Ok(Response::new(wire::rollback_response(&published)))
    }

    async fn simulate_policy(
        &self,
        request: Request<proto::SimulatePolicyRequest>,
    ) -> Result<Response<proto::SimulatePolicyResponse>, Status> {
        let request = wire::simulate_request(request.into_inner())?;
        let query = self.engine.read(|state| request.query(state)).map_err(no_version)?;
        let running = self.simulating.clone().try_acquire_owned().map_err(|_| wire::simulation_running())?;
        let engine = self.engine.clone();
        let simulated = off_the_path_while_wanted(move |wanted| {
            // Kept until the work is done: that ends soon when the caller goes away, but not at once.
            let _running = running;
            engine.simulate(&query, wanted).map(|simulation| wire::simulate_response(&simulation))
        });
        simulated.await?.map(Response::new).map_err(|error| wire::simulate_status(&error))
    }

    async fn set_kill_switch(
        &self,
        request: Request<proto::SetKillSwitchRequest>,
    ) -> Result<Response<proto::SetKillSwitchResponse>, Status> {
        let (sender, mut request) = signed(request);
        let key = request_key(&sender, "SetKillSwitch", &request.request_id, payload_hash(&request))?;
        request.author = author(&sender, &request.author);
        let set = self.engine.set_kill_switch(Some(key), wire::kill_switch(request)?).await;
        let (revision, _) = accepted(set.map_err(|error| wire::write_status(&error))?)?;
        Ok(Response::new(proto::SetKillSwitchResponse { revision }))
    }
}
