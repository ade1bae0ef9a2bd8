//! `ProfileService`: profiles of five kinds, facts, violations, rights, imports, closing a day.

use std::collections::VecDeque;
use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming};

use super::{Waiter, accepted, deadline, signed, unexpected};
use crate::domain::{Body, ItemKind, Merchant, Outcome, Profile, ProfileKey, Rejection, RequestKey};
use crate::engine::{Engine, PendingWrite};
use crate::proto::profile_service_server::ProfileService;
use crate::proto::{self, ItemStatus};
use crate::state::Applied;
use crate::wire::{self, Fields, ImportReport, ProfileMessage, Sender, payload_hash, request_key};

/// Chunks of one import that are on their way at a time.
const CHUNKS_IN_FLIGHT: usize = 8;

/// Feeds the state.
pub struct ProfileApi {
    engine: Arc<Engine>,
    waiter: Waiter,
}

impl ProfileApi {
    /// The service.
    #[must_use]
    pub fn new(engine: Arc<Engine>, waiter: Waiter) -> Self {
        Self { engine, waiter }
    }

    async fn write(&self, request: RequestKey, body: Body) -> Result<Applied, Status> {
        self.engine.write(Some(request), body).await.map_err(|error| wire::write_status(&error))
    }

    /// Writes what either happens or is rejected.
    async fn write_done(&self, request: RequestKey, body: Body) -> Result<u64, Status> {
        done(self.write(request, body).await?)
    }

    /// Writes the items of a batch that are right; nothing when none is.
    async fn write_items(
        &self,
        request: RequestKey,
        is_empty: bool,
        body: Body,
    ) -> Result<(u64, Vec<Result<(), Rejection>>), Status> {
        if is_empty {
            return Ok((self.engine.hot().revision(), Vec::new()));
        }
        let (revision, outcome) = accepted(self.write(request, body).await?)?;
        let Outcome::Items(results) = outcome else { return Err(unexpected(&outcome)) };
        Ok((revision, results))
    }

    async fn upsert<M: ProfileMessage>(
        &self,
        (sender, method, request_id, payload_hash): (&Sender, &str, &str, u128),
        messages: Vec<M>,
        mask: Option<&prost_types::FieldMask>,
    ) -> Result<(u64, Vec<ItemStatus>), Status> {
        let mask = wire::field_mask::<M>(mask)?;
        let (profiles, batch) = wire::upserts(messages)?;
        let key = request_key(sender, method, request_id, payload_hash ^ batch.mark())?;
        let (revision, results) =
            self.write_items(key, profiles.is_empty(), Body::UpsertProfiles { profiles, mask }).await?;
        Ok((revision, batch.statuses(&results)?))
    }

    async fn get<M: ProfileMessage>(
        &self,
        id: u64,
        min_revision: u64,
        deadline: Option<std::time::Duration>,
    ) -> Result<(M, u64), Status> {
        let (key, _) = wire::deletion::<M>(id, "")?;
        self.waiter.wait(min_revision, deadline).await?;
        let (profile, revision) = self.engine.read(|state| (state.profile(key), state.hot().revision()));
        let message = profile.and_then(M::from_profile).ok_or_else(|| wire::not_registered(key))?;
        Ok((message, revision))
    }

    fn list<M: ProfileMessage>(&self, page_size: u32, page_token: &str) -> Result<(Vec<M>, String), Status> {
        let (size, after) = wire::page(page_size, page_token)?;
        let profiles = self.engine.read(|state| -> Vec<Profile> {
            let beyond = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
            let items = |kind: ItemKind| state.items(kind).range(beyond).take(size).map(|(_, item)| item.clone());
            match M::key(after) {
                ProfileKey::Merchant(_) => {
                    state.merchants_after(after).take(size).map(Merchant::clone).map(Profile::from).collect()
                }
                ProfileKey::Item(item) => items(item.kind).collect(),
                ProfileKey::Provider(id) => {
                    let beyond = (std::ops::Bound::Excluded(id), std::ops::Bound::Unbounded);
                    let page = state.providers().range(beyond).take(size);
                    page.map(|(_, provider)| Profile::from(provider.clone())).collect()
                }
            }
        });
        let is_last = profiles.len() < size;
        let last = profiles.last().map_or(0, |profile| wire::id_of(profile.key()));
        let token = if is_last { String::new() } else { format!("{last:x}") };
        Ok((profiles.into_iter().filter_map(M::from_profile).collect(), token))
    }

    async fn delete<M: ProfileMessage>(&self, request: RequestKey, id: u64, etag: &str) -> Result<u64, Status> {
        let (key, expected_revision) = wire::deletion::<M>(id, etag)?;
        self.write_done(request, Body::DeleteProfile { key, expected_revision }).await
    }

    /// Waits for the oldest chunk on its way and counts it.
    async fn settle(&self, pending: Pending, report: &mut ImportReport) -> Result<(), Status> {
        let applied = pending.write.outcome().await.map_err(|error| wire::write_status(&error))?;
        let (revision, outcome) = accepted(applied)?;
        let Outcome::Chunk(chunk) = outcome else { return Err(unexpected(&outcome)) };
        report.applied(pending.places, revision, &chunk);
        Ok(())
    }
}

struct Pending {
    write: PendingWrite,
    places: wire::ChunkPlaces,
}

fn done(applied: Applied) -> Result<u64, Status> {
    let (revision, outcome) = accepted(applied)?;
    if outcome == Outcome::Done { Ok(revision) } else { Err(unexpected(&outcome)) }
}

#[tonic::async_trait]
impl ProfileService for ProfileApi {
    async fn batch_upsert_merchants(
        &self,
        request: Request<proto::BatchUpsertMerchantsRequest>,
    ) -> Result<Response<proto::BatchUpsertMerchantsResponse>, Status> {
        let (sender, request) = signed(request);
        let key = (&sender, "BatchUpsertMerchants", request.request_id.as_str(), payload_hash(&request));
        let (revision, results) = self.upsert(key, request.merchants, request.update_mask.as_ref()).await?;
        Ok(Response::new(proto::BatchUpsertMerchantsResponse { revision, results }))
    }

    async fn get_merchant(
        &self,
        request: Request<proto::GetMerchantRequest>,
    ) -> Result<Response<proto::GetMerchantResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let (merchant, revision) = self.get(request.merchant_id, request.min_revision, deadline).await?;
        Ok(Response::new(proto::GetMerchantResponse { merchant: Some(merchant), revision }))
    }

    async fn list_merchants(
        &self,
        request: Request<proto::ListMerchantsRequest>,
    ) -> Result<Response<proto::ListMerchantsResponse>, Status> {
        let request = request.into_inner();
        let (merchants, next_page_token) = self.list(request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListMerchantsResponse { merchants, next_page_token }))
    }

    async fn delete_merchant(
        &self,
        request: Request<proto::DeleteMerchantRequest>,
    ) -> Result<Response<proto::DeleteMerchantResponse>, Status> {
        let (sender, request) = signed(request);
        let key = request_key(&sender, "DeleteMerchant", &request.request_id, payload_hash(&request))?;
        let revision = self.delete::<proto::Merchant>(key, request.merchant_id, &request.etag).await?;
        Ok(Response::new(proto::DeleteMerchantResponse { revision }))
    }

    async fn batch_upsert_products(
        &self,
        request: Request<proto::BatchUpsertProductsRequest>,
    ) -> Result<Response<proto::BatchUpsertProductsResponse>, Status> {
        let (sender, request) = signed(request);
        let key = (&sender, "BatchUpsertProducts", request.request_id.as_str(), payload_hash(&request));
        let (revision, results) = self.upsert(key, request.products, request.update_mask.as_ref()).await?;
        Ok(Response::new(proto::BatchUpsertProductsResponse { revision, results }))
    }

    async fn get_product(
        &self,
        request: Request<proto::GetProductRequest>,
    ) -> Result<Response<proto::GetProductResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let (product, revision) = self.get(request.product_id, request.min_revision, deadline).await?;
        Ok(Response::new(proto::GetProductResponse { product: Some(product), revision }))
    }

    async fn list_products(
        &self,
        request: Request<proto::ListProductsRequest>,
    ) -> Result<Response<proto::ListProductsResponse>, Status> {
        let request = request.into_inner();
        let (products, next_page_token) = self.list(request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListProductsResponse { products, next_page_token }))
    }

    async fn delete_product(
        &self,
        request: Request<proto::DeleteProductRequest>,
    ) -> Result<Response<proto::DeleteProductResponse>, Status> {
        let (sender, request) = signed(request);
        let key = request_key(&sender, "DeleteProduct", &request.request_id, payload_hash(&request))?;
        let revision = self.delete::<proto::Product>(key, request.product_id, &request.etag).await?;
        Ok(Response::new(proto::DeleteProductResponse { revision }))
    }

    async fn batch_upsert_live_rooms(
        &self,
        request: Request<proto::BatchUpsertLiveRoomsRequest>,
    ) -> Result<Response<proto::BatchUpsertLiveRoomsResponse>, Status> {
        let (sender, request) = signed(request);
        let key = (&sender, "BatchUpsertLiveRooms", request.request_id.as_str(), payload_hash(&request));
        let (revision, results) = self.upsert(key, request.live_rooms, request.update_mask.as_ref()).await?;
        Ok(Response::new(proto::BatchUpsertLiveRoomsResponse { revision, results }))
    }

    async fn get_live_room(
        &self,
        request: Request<proto::GetLiveRoomRequest>,
    ) -> Result<Response<proto::GetLiveRoomResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let (live_room, revision) = self.get(request.live_room_id, request.min_revision, deadline).await?;
        Ok(Response::new(proto::GetLiveRoomResponse { live_room: Some(live_room), revision }))
    }

    async fn list_live_rooms(
        &self,
        request: Request<proto::ListLiveRoomsRequest>,
    ) -> Result<Response<proto::ListLiveRoomsResponse>, Status> {
        let request = request.into_inner();
        let (live_rooms, next_page_token) = self.list(request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListLiveRoomsResponse { live_rooms, next_page_token }))
    }

    async fn delete_live_room(
        &self,
        request: Request<proto::DeleteLiveRoomRequest>,
    ) -> Result<Response<proto::DeleteLiveRoomResponse>, Status> {
        let (sender, request) = signed(request);
        let key = request_key(&sender, "DeleteLiveRoom", &request.request_id, payload_hash(&request))?;
        let revision = self.delete::<proto::LiveRoom>(key, request.live_room_id, &request.etag).await?;
        Ok(Response::new(proto::DeleteLiveRoomResponse { revision }))
    }

    async fn batch_upsert_short_videos(
        &self,
        request: Request<proto::BatchUpsertShortVideosRequest>,
    ) -> Result<Response<proto::BatchUpsertShortVideosResponse>, Status> {
        let (sender, request) = signed(request);
        let key = (&sender, "BatchUpsertShortVideos", request.request_id.as_str(), payload_hash(&request));
        let (revision, results) = self.upsert(key, request.short_videos, request.update_mask.as_ref()).await?;
        Ok(Response::new(proto::BatchUpsertShortVideosResponse { revision, results }))
    }

    async fn get_short_video(
        &self,
        request: Request<proto::GetShortVideoRequest>,
    ) -> Result<Response<proto::GetShortVideoResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let (short_video, revision) = self.get(request.short_video_id, request.min_revision, deadline).await?;
        Ok(Response::new(proto::GetShortVideoResponse { short_video: Some(short_video), revision }))
    }

    async fn list_short_videos(
        &self,
        request: Request<proto::ListShortVideosRequest>,
    ) -> Result<Response<proto::ListShortVideosResponse>, Status> {
        let request = request.into_inner();
        let (short_videos, next_page_token) = self.list(request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListShortVideosResponse { short_videos, next_page_token }))
    }

    async fn delete_short_video(
        &self,
        request: Request<proto::DeleteShortVideoRequest>,
    ) -> Result<Response<proto::DeleteShortVideoResponse>, Status> {
        let (sender, request) = signed(request);
        let key = request_key(&sender, "DeleteShortVideo", &request.request_id, payload_hash(&request))?;
        let revision = self.delete::<proto::ShortVideo>(key, request.short_video_id, &request.etag).await?;
        Ok(Response::new(proto::DeleteShortVideoResponse { revision }))
    }

    async fn batch_upsert_service_providers(
        &self,
        request: Request<proto::BatchUpsertServiceProvidersRequest>,
    ) -> Result<Response<proto::BatchUpsertServiceProvidersResponse>, Status> {
        let (sender, request) = signed(request);
        let key = (&sender, "BatchUpsertServiceProviders", request.request_id.as_str(), payload_hash(&request));
        let (revision, results) = self.upsert(key, request.service_providers, request.update_mask.as_ref()).await?;
        Ok(Response::new(proto::BatchUpsertServiceProvidersResponse { revision, results }))
    }

    async fn get_service_provider(
        &self,
        request: Request<proto::GetServiceProviderRequest>,
    ) -> Result<Response<proto::GetServiceProviderResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let (service_provider, revision) =
            self.get(request.service_provider_id, request.min_revision, deadline).await?;
        Ok(Response::new(proto::GetServiceProviderResponse { service_provider: Some(service_provider), revision }))
    }

    async fn list_service_providers(
        &self,
        request: Request<proto::ListServiceProvidersRequest>,
    ) -> Result<Response<proto::ListServiceProvidersResponse>, Status> {
        let request = request.into_inner();
        let (service_providers, next_page_token) = self.list(request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListServiceProvidersResponse { service_providers, next_page_token }))
    }

    async fn delete_service_provider(
        &self,
        request: Request<proto::DeleteServiceProviderRequest>,
    ) -> Result<Response<proto::DeleteServiceProviderResponse>, Status> {
        let (sender, request) = signed(request);
        let key = request_key(&sender, "DeleteServiceProvider", &request.request_id, payload_hash(&request))?;
        let revision = self.delete::<proto::ServiceProvider>(key, request.service_provider_id, &request.etag).await?;
        Ok(Response::new(proto::DeleteServiceProviderResponse { revision }))
    }

    async fn record_facts(
        &self,
        request: Request<proto::RecordFactsRequest>,
    ) -> Result<Response<proto::RecordFactsResponse>, Status> {
        let (sender, request) = signed(request);
        let policy = self.engine.hot().world().policy.clone();
        let (rows, batch) = wire::fact_rows(&policy, &request)?;
        let key = request_key(&sender, "RecordFacts", &request.request_id, payload_hash(&request) ^ batch.mark())?;
        let (revision, results) = self.write_items(key, rows.is_empty(), Body::RecordFacts { rows }).await?;
        let results = batch.statuses(&results)?;
        Ok(Response::new(proto::RecordFactsResponse { revision, results }))
    }

    async fn record_violation(
        &self,
        request: Request<proto::RecordViolationRequest>,
    ) -> Result<Response<proto::RecordViolationResponse>, Status> {
        let (sender, request) = signed(request);
        let key = request_key(&sender, "RecordViolation", &request.request_id, payload_hash(&request))?;
        let policy = self.engine.hot().world().policy.clone();
        let violation = wire::violation(&policy, self.engine.clock().now(), &request)?;
        let (revision, outcome) = accepted(self.write(key, Body::RecordViolation(violation)).await?)?;
        let Outcome::Violation(decision) = outcome else { return Err(unexpected(&outcome)) };
        let decision = i32::from(wire::decision(decision));
        Ok(Response::new(proto::RecordViolationResponse { revision, decision }))
    }

    async fn revoke_violation(
        &self,
        request: Request<proto::RevokeViolationRequest>,
    ) -> Result<Response<proto::RevokeViolationResponse>, Status> {
        let (sender, request) = signed(request);
        let key = request_key(&sender, "RevokeViolation", &request.request_id, payload_hash(&request))?;
        let (merchant, violation_id) = wire::revocation(&request)?;
        let revision = self.write_done(key, Body::RevokeViolation { merchant, violation_id }).await?;
        Ok(Response::new(proto::RevokeViolationResponse { revision }))
    }

    async fn set_rights(
        &self,
        request: Request<proto::SetRightsRequest>,
    ) -> Result<Response<proto::SetRightsResponse>, Status> {
        let (sender, request) = signed(request);
        let key = request_key(&sender, "SetRights", &request.request_id, payload_hash(&request))?;
        let policy = self.engine.hot().world().policy.clone();
        let (merchant, rights) = wire::rights(&policy, self.engine.clock().now(), &request)?;
        let revision = self.write_done(key, Body::SetRights { merchant, rights }).await?;
        Ok(Response::new(proto::SetRightsResponse { revision }))
    }

    async fn import(
        &self,
        request: Request<Streaming<proto::ImportRequest>>,
    ) -> Result<Response<proto::ImportResponse>, Status> {
        let (sender, mut chunks) = signed(request);
        let mut report = ImportReport::default();
        let mut in_flight: VecDeque<Pending> = VecDeque::new();
        while let Some(chunk) = chunks.message().await? {
            let policy = self.engine.hot().world().policy.clone();
            let (body, places) = wire::chunk(&policy, chunk)?.split();
            if in_flight.len() >= CHUNKS_IN_FLIGHT
                && let Some(oldest) = in_flight.pop_front()
            {
                self.settle(oldest, &mut report).await?;
            }
            let key = request_key(&sender, "Import", "", 0)?;
            let write = self.engine.begin_write(Some(key), body).map_err(|error| wire::write_status(&error))?;
            in_flight.push_back(Pending { write, places });
        }
        for pending in in_flight {
            self.settle(pending, &mut report).await?;
        }
        Ok(Response::new(report.response))
    }

    async fn get_import_progress(
        &self,
        request: Request<proto::GetImportProgressRequest>,
    ) -> Result<Response<proto::GetImportProgressResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        fields.check(!request.import_id.is_empty(), "import_id", "must not be empty");
        fields.finish()?;
        let response = self.engine.read(|state| proto::GetImportProgressResponse {
            committed_sequence: state.import_progress(&request.import_id),
            revision: state.hot().revision(),
        });
        Ok(Response::new(response))
    }

    async fn close_day(
        &self,
        request: Request<proto::CloseDayRequest>,
    ) -> Result<Response<proto::CloseDayResponse>, Status> {
        let (sender, request) = signed(request);
        let key = request_key(&sender, "CloseDay", &request.request_id, payload_hash(&request))?;
        let mut fields = Fields::default();
        let day = wire::date(&mut fields, "date", &request.date);
        fields.finish()?;
        let applied = self.engine.close_day(Some(key), day).await.map_err(|error| wire::write_status(&error))?;
        Ok(Response::new(proto::CloseDayResponse { revision: done(applied)? }))
    }
}
