//! Those who ask: recommenders, merchants' tools, operators.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Channel;
use trustflow::proto::admin_service_client::AdminServiceClient;
use trustflow::proto::exposure_service_client::ExposureServiceClient;
use trustflow::proto::insight_service_client::InsightServiceClient;
use trustflow::proto::profile_service_client::ProfileServiceClient;
use trustflow::proto::programme_service_client::ProgrammeServiceClient;
use trustflow::proto::scoring_service_client::ScoringServiceClient;
use trustflow::proto::{
    AllocateRequest, BackupRequest, ExplainScoreRequest, ExposureRow, GetStatusRequest, ListFactsRequest,
    ListMerchantsRequest, ListProgrammesRequest, ReportExposuresRequest, Scene, ScoreRequest, SearchProductsRequest,
    TargetKind,
};

use crate::day::chance::Chance;
use crate::day::population::instant;
use crate::site::{Site, repeat};

const SCENES: [Scene; 4] = [Scene::Live, Scene::ShortVideo, Scene::Search, Scene::Mall];
const KINDS: [TargetKind; 4] =
    [TargetKind::LiveRoom, TargetKind::Product, TargetKind::Merchant, TargetKind::ShortVideo];
const SCORERS: u64 = 4;
const ALLOCATORS: u64 = 2;

/// Everyone who asks.
pub(crate) fn begin(site: &Arc<Site>, tasks: &mut JoinSet<()>) {
    for number in 0..SCORERS {
        let mut chance = Chance::new(1, number);
        tasks.spawn(repeat(site.clone(), Duration::from_millis(20), async move |site, channel| {
            score(site, channel, &mut chance).await;
        }));
    }
    for number in 0..ALLOCATORS {
        let mut chance = Chance::new(2, number);
        tasks.spawn(repeat(site.clone(), Duration::from_millis(40), async move |site, channel| {
            allocate(site, channel, &mut chance).await;
        }));
    }
    let mut chance = Chance::new(3, 0);
    tasks.spawn(repeat(site.clone(), Duration::from_millis(100), async move |site, channel| {
        look(site, channel, &mut chance).await;
    }));
    tasks.spawn(repeat(site.clone(), Duration::from_secs(1), list));
    tasks.spawn(repeat(site.clone(), Duration::from_secs(45), backup));
}

pub(crate) fn score_request(site: &Site, chance: &mut Chance) -> ScoreRequest {
    let kind = *chance.one_of(&KINDS);
    let targets = 50 + chance.below(200);
    let target_ids: Vec<u64> = (0..targets).map(|number| site.member(chance).target(kind, number)).collect();
    let base_scores = if chance.is(0.25) { vec![0.5; target_ids.len()] } else { Vec::new() };
    let scene = *chance.one_of(&SCENES);
    ScoreRequest { scene: scene.into(), target_kind: kind.into(), target_ids, base_scores, ..ScoreRequest::default() }
}

async fn score(site: &Site, channel: Channel, chance: &mut Chance) {
    let request = score_request(site, chance);
    let (began, targets) = (site.moment(), request.target_ids.len());
    let answer = ScoringServiceClient::new(channel).score(request).await;
    if let Some(answer) = site.judge("Score", began, answer, &[])
        && answer.get_ref().boost_weights.len() != targets
    {
        site.wrong("Score", &format!("{} weights of {targets}", answer.get_ref().boost_weights.len()));
    }
}

/// A slate, and the report of what was shown.
async fn allocate(site: &Site, channel: Channel, chance: &mut Chance) {
    let scene = *chance.one_of(&SCENES);
    let members: Vec<_> = (0..100).map(|_| site.member(chance).id).collect();
    let request = AllocateRequest {
        scene: scene.into(),
        target_kind: TargetKind::Merchant.into(),
        base_scores: members.iter().map(|_| 0.5 + chance.share() as f32).collect(),
        target_ids: members,
        slots: 10,
        fill_slots: true,
        ..AllocateRequest::default()
    };
    let (began, at) = (site.moment(), site.now());
    let answer = ScoringServiceClient::new(channel.clone()).allocate(request).await;
    let Some(slate) = site.judge("Allocate", began, answer, &[]) else { return };
    let slate = slate.into_inner();
    let row = |slot: &trustflow::proto::Slot| ExposureRow {
        target_kind: TargetKind::Merchant.into(),
        target_id: slot.target_id,
        scene: scene.into(),
        policy_version: slate.policy_version,
        programmes: slot.programmes,
        reservation_ids: (slot.reservation_id != 0).then_some(slot.reservation_id).into_iter().collect(),
        exposures: 1,
        occurred_at: Some(instant(at)),
        ..ExposureRow::default()
    };
    let rows: Vec<ExposureRow> = slate.slots.iter().map(row).collect();
    if rows.is_empty() {
        return;
    }
    let report = ReportExposuresRequest { report_id: format!("{:x}", chance.roll()), rows };
    let began = site.moment();
    let answer = ExposureServiceClient::new(channel).report_exposures(report).await;
    site.judge("ReportExposures", began, answer, &[]);
}

async fn look(site: &Site, channel: Channel, chance: &mut Chance) {
    let member = site.member(chance).id;
    let explain = ExplainScoreRequest {
        scene: Scene::Live.into(),
        target_kind: TargetKind::Merchant.into(),
        target_id: member,
        ..ExplainScoreRequest::default()
    };
    let mut insight = InsightServiceClient::new(channel);
    let began = site.moment();
    let answer = insight.explain_score(explain).await;
    site.judge("ExplainScore", began, answer, &[]);
    let today = site.now().day();
    let facts = ListFactsRequest {
        target_kind: TargetKind::Merchant.into(),
        target_id: member,
        first_date: today.plus(-30).to_string(),
        last_date: today.to_string(),
        min_revision: 0,
    };
    let began = site.moment();
    let answer = insight.list_facts(facts).await;
    site.judge("ListFacts", began, answer, &[]);
}

async fn list(site: &Site, channel: Channel) {
    let began = site.moment();
    let page = ListMerchantsRequest { page_size: 500, page_token: String::new() };
    let answer = ProfileServiceClient::new(channel.clone()).list_merchants(page).await;
    site.judge("ListMerchants", began, answer, &[]);
    let answer = ProgrammeServiceClient::new(channel.clone()).list_programmes(ListProgrammesRequest::default()).await;
    site.judge("ListProgrammes", began, answer, &[]);
    let search = SearchProductsRequest { text: "1".to_owned(), ..SearchProductsRequest::default() };
    let answer = InsightServiceClient::new(channel.clone()).search_products(search).await;
    site.judge("SearchProducts", began, answer, &[Code::InvalidArgument]);
    let answer = AdminServiceClient::new(channel).get_status(GetStatusRequest {}).await;
    if let Some(status) = site.judge("GetStatus", began, answer, &[])
        && status.get_ref().writes != "ok"
    {
        site.wrong("GetStatus", &format!("writes: {}", status.get_ref().writes));
    }
}

async fn backup(site: &Site, channel: Channel) {
    let began = site.moment();
    let answer = AdminServiceClient::new(channel).backup(BackupRequest {}).await;
    let Some(parts) = site.judge("Backup", began, answer, &[]) else { return };
    let mut parts = parts.into_inner();
    while let Some(part) = parts.next().await {
        if site.judge("parts of Backup", began, part, &[]).is_none() {
            return;
        }
    }
}
