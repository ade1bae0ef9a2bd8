//! Calls as one-liners: what most tests send, and the answers that matter to them.

use tonic::Status;
use trustflow::proto::{
    AdvanceClockRequest, AdvanceClockResponse, BatchUpsertLiveRoomsRequest, BatchUpsertMerchantsRequest,
    BatchUpsertProductsRequest, BatchUpsertShortVideosRequest, CloseDayRequest, CloseDayResponse, DayFacts,
    ExplainScoreRequest, ExplainScoreResponse, GetStateHashRequest, GetStatusRequest, GetStatusResponse, HeldRight,
    LiveRoom, Merchant, Product, RecordFactsRequest, RecordViolationRequest, RecordViolationResponse,
    RevokeViolationRequest, Scene, ScoreColumn, ScoreRequest, ScoreResponse, SetRightsRequest, ShortVideo,
    SignalExplanation, TargetKind,
};

use super::{Client, codes, instant};

pub const SCENES: [Scene; 6] =
    [Scene::Live, Scene::ShortVideo, Scene::ImageText, Scene::Search, Scene::Mall, Scene::Store];
pub const KINDS: [TargetKind; 4] =
    [TargetKind::LiveRoom, TargetKind::Product, TargetKind::Merchant, TargetKind::ShortVideo];

/// A merchant that opened long ago and sells clothes.
pub fn merchant(id: u64) -> Merchant {
    Merchant {
        merchant_id: id,
        name: format!("merchant {id}"),
        opened_at: Some(instant("2020-01-01T00:00:00+08:00")),
        categories: vec!["womens_wear".to_owned()],
        region: "guangdong".to_owned(),
        ..Merchant::default()
    }
}

/// The items of a merchant that tests use: a room, a product and a video, numbered after it.
pub fn items_of(merchant: u64) -> (u64, u64, u64) {
    (merchant * 10 + 1, merchant * 10 + 2, merchant * 10 + 3)
}

/// The id of a merchant's target of a kind, as [`items_of`] numbers them.
pub fn target_of(kind: TargetKind, merchant: u64) -> u64 {
    let (room, product, video) = items_of(merchant);
    match kind {
        TargetKind::LiveRoom => room,
        TargetKind::Product => product,
        TargetKind::ShortVideo => video,
        TargetKind::Merchant | TargetKind::Unspecified => merchant,
    }
}

/// Facts of a merchant on a day.
pub fn facts(merchant: u64, date: &str, counters: &[(&str, u64)]) -> DayFacts {
    DayFacts {
        merchant_id: merchant,
        date: date.to_owned(),
        counters: counters.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        ..DayFacts::default()
    }
}

/// A violation of a merchant, now.
pub fn violation(id: u64, merchant: u64, kind: &str) -> RecordViolationRequest {
    RecordViolationRequest {
        violation_id: id,
        merchant_id: merchant,
        r#type: kind.to_owned(),
        ..RecordViolationRequest::default()
    }
}

/// A score request for targets of a kind.
pub fn score_request(scene: Scene, kind: TargetKind, ids: &[u64]) -> ScoreRequest {
    ScoreRequest {
        scene: scene.into(),
        target_kind: kind.into(),
        target_ids: ids.to_vec(),
        columns: vec![ScoreColumn::Layers.into(), ScoreColumn::AdPrice.into()],
        ..ScoreRequest::default()
    }
}

impl Client {
    pub async fn upsert(&self, merchants: Vec<Merchant>) {
        let request = BatchUpsertMerchantsRequest { merchants, ..BatchUpsertMerchantsRequest::default() };
        let answer = self.profiles.clone().batch_upsert_merchants(request).await.expect("merchants").into_inner();
        assert!(codes(&answer.results).iter().all(|code| *code == tonic::Code::Ok), "{answer:?}");
    }

    /// Registers a merchant with a room, a product and a video.
    pub async fn register(&self, merchant: Merchant) {
        let id = merchant.merchant_id;
        let (room, product, video) = items_of(id);
        self.upsert(vec![merchant]).await;
        let mut profiles = self.profiles.clone();
        let live_rooms = vec![LiveRoom { live_room_id: room, merchant_id: id, ..LiveRoom::default() }];
        let request = BatchUpsertLiveRoomsRequest { live_rooms, ..BatchUpsertLiveRoomsRequest::default() };
        let rooms = profiles.batch_upsert_live_rooms(request).await.expect("a room").into_inner();
        let products = vec![Product { product_id: product, merchant_id: id, ..Product::default() }];
        let request = BatchUpsertProductsRequest { products, ..BatchUpsertProductsRequest::default() };
        let products = profiles.batch_upsert_products(request).await.expect("a product").into_inner();
        let short_videos = vec![ShortVideo { short_video_id: video, merchant_id: id, ..ShortVideo::default() }];
        let request = BatchUpsertShortVideosRequest { short_videos, ..BatchUpsertShortVideosRequest::default() };
        let videos = profiles.batch_upsert_short_videos(request).await.expect("a video").into_inner();
        for results in [rooms.results, products.results, videos.results] {
            assert_eq!(codes(&results), [tonic::Code::Ok]);
        }
    }

    pub async fn record(&self, facts: Vec<DayFacts>) -> u64 {
        let request = RecordFactsRequest { facts, ..RecordFactsRequest::default() };
        let answer = self.profiles.clone().record_facts(request).await.expect("facts").into_inner();
        assert!(codes(&answer.results).iter().all(|code| *code == tonic::Code::Ok), "{answer:?}");
        answer.revision
    }

    pub async fn punish(&self, violation: RecordViolationRequest) -> RecordViolationResponse {
        self.profiles.clone().record_violation(violation).await.expect("a violation").into_inner()
    }

    pub async fn revoke(&self, violation_id: u64, merchant_id: u64) {
        let request = RevokeViolationRequest { violation_id, merchant_id, ..RevokeViolationRequest::default() };
        self.profiles.clone().revoke_violation(request).await.expect("revoked");
    }

    pub async fn grant(&self, merchant_id: u64, rights: Vec<HeldRight>) {
        let request = SetRightsRequest { merchant_id, rights, ..SetRightsRequest::default() };
        self.profiles.clone().set_rights(request).await.expect("rights");
    }

    pub async fn score_with(&self, request: ScoreRequest) -> ScoreResponse {
        self.scoring.clone().score(request).await.expect("scores").into_inner()
    }

    pub async fn score(&self, scene: Scene, kind: TargetKind, ids: &[u64]) -> ScoreResponse {
        self.score_with(score_request(scene, kind, ids)).await
    }

    /// The weight of one target in live rooms' scene.
    pub async fn weight(&self, kind: TargetKind, id: u64) -> f32 {
        self.score(Scene::Live, kind, &[id]).await.boost_weights[0]
    }

    pub async fn explain_with(&self, request: ExplainScoreRequest) -> ExplainScoreResponse {
        self.insight.clone().explain_score(request).await.expect("an explanation").into_inner()
    }

    pub async fn explain(&self, merchant: u64) -> ExplainScoreResponse {
        self.explain_with(ExplainScoreRequest {
            scene: Scene::Live.into(),
            target_kind: TargetKind::Merchant.into(),
            target_id: merchant,
            ..ExplainScoreRequest::default()
        })
        .await
    }

    /// A counter as a signal of a merchant sums it.
    pub async fn counted(&self, merchant: u64, signal: &str, counter: &str) -> u64 {
        count(&self.explain(merchant).await, signal, counter)
    }

    pub async fn advance(&self, to: &str) -> AdvanceClockResponse {
        let request = AdvanceClockRequest { to: Some(instant(to)) };
        self.admin.clone().advance_clock(request).await.expect("time moves").into_inner()
    }

    pub async fn close(&self, date: &str) -> Result<CloseDayResponse, Status> {
        let request = CloseDayRequest { date: date.to_owned(), ..CloseDayRequest::default() };
        self.profiles.clone().close_day(request).await.map(tonic::Response::into_inner)
    }

    pub async fn status(&self) -> GetStatusResponse {
        self.admin.clone().get_status(GetStatusRequest {}).await.expect("a status").into_inner()
    }

    /// State time, ready to be started at.
    pub async fn now(&self) -> String {
        let time = self.status().await.state_time.expect("a time");
        jiff::Timestamp::new(time.seconds, time.nanos).expect("a time").to_string()
    }

    pub async fn hash(&self) -> String {
        let answer = self.admin.clone().get_state_hash(GetStateHashRequest {}).await.expect("a hash");
        answer.into_inner().state_hash
    }
}

/// One signal of an explanation.
pub fn signal<'a>(explained: &'a ExplainScoreResponse, id: &str) -> &'a SignalExplanation {
    let trust = explained.trust.as_ref().expect("a registered merchant");
    trust.layers.iter().flat_map(|layer| &layer.signals).find(|signal| signal.id == id).expect(id)
}

/// A counter of a signal of an explanation.
pub fn count(explained: &ExplainScoreResponse, id: &str, counter: &str) -> u64 {
    let found = signal(explained, id).counters.iter().find(|value| value.name == counter);
    found.unwrap_or_else(|| unreachable!("{id} does not count {counter}")).value
}
