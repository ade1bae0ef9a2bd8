//! Those who write: pipelines, governance, operators. All is about merchants that there are, so that nothing has to grow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::Channel;
use trustflow::proto::policy_service_client::PolicyServiceClient;
use trustflow::proto::profile_service_client::ProfileServiceClient;
use trustflow::proto::{
    BatchUpsertMerchantsRequest, DayFacts, FactColumns, ImportRequest, PolicyFile, PublishPolicyRequest,
    RecordFactsRequest, RecordViolationRequest, RevokeViolationRequest, RollbackPolicyRequest, SetKillSwitchRequest,
    SimulatePolicyRequest, TargetKind,
};

use crate::day::chance::Chance;
use crate::day::load::rights;
use crate::site::{Site, repeat};

/// Rows of one chunk of an import.
const ROWS: u64 = 500;
/// Policies are published anew once in so many turns; between, one goes back and forth between the first two.
const PUBLISH_EVERY: u64 = 10;
/// While a day closes or a policy is made current, the next one waits.
const PENDING: [Code; 1] = [Code::Unavailable];

/// Everyone who writes.
pub(crate) fn begin(site: &Arc<Site>, tasks: &mut JoinSet<()>) {
    let mut chance = Chance::new(4, 0);
    tasks.spawn(repeat(site.clone(), Duration::from_millis(50), async move |site, channel| {
        profiles(site, channel, &mut chance).await;
    }));
    let mut chance = Chance::new(5, 0);
    tasks.spawn(repeat(site.clone(), Duration::from_millis(500), async move |site, channel| {
        govern(site, channel, &mut chance).await;
    }));
    let mut chance = Chance::new(6, 0);
    tasks.spawn(repeat(site.clone(), Duration::from_secs(2), async move |site, channel| {
        import(site, channel, &mut chance).await;
    }));
    let mut turn = 0;
    tasks.spawn(repeat(site.clone(), Duration::from_secs(12), async move |site, channel| {
        operate(site, channel, turn).await;
        turn += 1;
    }));
}

async fn profiles(site: &Site, channel: Channel, chance: &mut Chance) {
    let mut client = ProfileServiceClient::new(channel);
    let merchants = (0..10).map(|_| site.member(chance).profile()).collect();
    let request_id = format!("{:x}", chance.roll());
    let request = BatchUpsertMerchantsRequest { request_id, merchants, update_mask: None };
    let began = site.moment();
    let answer = client.batch_upsert_merchants(request).await;
    site.judge("BatchUpsertMerchants", began, answer, &[]);
    let date = site.now().day().plus(-1).to_string();
    let row = |merchant_id, orders| DayFacts {
        merchant_id,
        date: date.clone(),
        counters: BTreeMap::from([("paid_orders".to_owned(), orders), ("shipments_due".to_owned(), orders)]),
        ..DayFacts::default()
    };
    let facts = (0..20).map(|_| row(site.member(chance).id, chance.below(100))).collect();
    let request = RecordFactsRequest { request_id: format!("{:x}", chance.roll()), facts };
    let began = site.moment();
    let answer = client.record_facts(request).await;
    site.judge("RecordFacts", began, answer, &[]);
}

async fn govern(site: &Site, channel: Channel, chance: &mut Chance) {
    let mut client = ProfileServiceClient::new(channel);
    let member = site.member(chance);
    let violation = RecordViolationRequest {
        violation_id: chance.roll() | 1,
        merchant_id: member.id,
        r#type: "mute".to_owned(),
        ..RecordViolationRequest::default()
    };
    let (violation_id, merchant_id) = (violation.violation_id, member.id);
    let began = site.moment();
    let answer = client.record_violation(violation).await;
    if site.judge("RecordViolation", began, answer, &[]).is_some() {
        let revoke = RevokeViolationRequest { violation_id, merchant_id, ..RevokeViolationRequest::default() };
        let answer = client.revoke_violation(revoke).await;
        site.judge("RevokeViolation", began, answer, &[]);
    }
    let mut request = rights(member);
    request.request_id = format!("{:x}", chance.roll());
    let began = site.moment();
    let answer = client.set_rights(request).await;
    site.judge("SetRights", began, answer, &[]);
}

async fn import(site: &Site, channel: Channel, chance: &mut Chance) {
    let import_id = format!("{:x}", chance.roll());
    let day = site.now().day().0 - 1;
    let chunk = |sequence| {
        let ids: Vec<u64> = (0..ROWS).map(|_| site.member(chance).id).collect();
        let facts = FactColumns {
            target_kind: TargetKind::Merchant.into(),
            days: vec![day; ids.len()],
            cell_counts: vec![1; ids.len()],
            counters: vec![0; ids.len()],
            values: ids.iter().map(|id| id % 50).collect(),
            counter_names: vec!["reviews".to_owned()],
            ids,
        };
        ImportRequest { import_id: import_id.clone(), sequence, facts: Some(facts), ..ImportRequest::default() }
    };
    let chunks: Vec<ImportRequest> = (1..=3).map(chunk).collect();
    let began = site.moment();
    let answer = ProfileServiceClient::new(channel).import(tokio_stream::iter(chunks)).await;
    if let Some(answer) = site.judge("Import", began, answer, &[])
        && answer.get_ref().rejected_items > 0
    {
        site.wrong("Import", &format!("{:?}", answer.get_ref().results.first()));
    }
}

fn files(comment: u64) -> Vec<PolicyFile> {
    let mut files = trustflow::policy::embedded().files;
    for (_, content) in files.iter_mut().filter(|(path, _)| path == "score.toml") {
        *content = format!("# {comment}\n{content}");
    }
    files.into_iter().map(|(path, content)| PolicyFile { path, content }).collect()
}

async fn operate(site: &Site, channel: Channel, turn: u64) {
    let mut client = PolicyServiceClient::new(channel);
    let began = site.moment();
    if turn.is_multiple_of(PUBLISH_EVERY) {
        let request = PublishPolicyRequest { files: files(turn), ..PublishPolicyRequest::default() };
        let answer = client.publish_policy(request).await;
        site.judge("PublishPolicy", began, answer, &PENDING);
    } else if turn % 2 == 1 {
        let (version, reason) = (1 + turn / 2 % 2, "soak".to_owned());
        let request = RollbackPolicyRequest { version, reason, ..RollbackPolicyRequest::default() };
        let answer = client.rollback_policy(request).await;
        site.judge("RollbackPolicy", began, answer, &PENDING);
    } else {
        let request = SimulatePolicyRequest { files: files(0), ..SimulatePolicyRequest::default() };
        let answer = client.simulate_policy(request).await;
        site.judge("SimulatePolicy", began, answer, &[]);
    }
    for is_on in [true, false] {
        let request = SetKillSwitchRequest { on: is_on, reason: "soak".to_owned(), ..SetKillSwitchRequest::default() };
        let began = site.moment();
        let answer = client.set_kill_switch(request).await;
        site.judge("SetKillSwitch", began, answer, &[]);
    }
}
