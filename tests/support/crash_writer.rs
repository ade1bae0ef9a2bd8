//! Writers that remember what was acknowledged, and can tell from the server how far they came.
//!
//! The n-th write of a writer follows from n alone: after a crash the server stands at the last acknowledged write or at
//! the one after it, and nowhere between.

use std::collections::BTreeMap;

use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Status};
use trustflow::domain::Day;
use trustflow::proto::admin_service_client::AdminServiceClient;
use trustflow::proto::exposure_service_client::ExposureServiceClient;
use trustflow::proto::insight_service_client::InsightServiceClient;
use trustflow::proto::policy_service_client::PolicyServiceClient;
use trustflow::proto::profile_service_client::ProfileServiceClient;
use trustflow::proto::{
    BatchUpsertMerchantsRequest, CloseDayRequest, DayFacts, ExplainScoreRequest, ExposureRow, FactColumns,
    GetImportProgressRequest, GetMerchantRequest, GetStatusRequest, HeldRight, ImportRequest, ItemStatus,
    ListFactsRequest, ListPolicyVersionsRequest, Merchant, PolicyFile, PublishPolicyRequest, RecordFactsRequest,
    RecordViolationRequest, ReportExposuresRequest, Scene, SetRightsRequest, TargetKind,
};

/// Merchants that one batch of the profile writer upserts.
const BATCH: u64 = 3;
/// Rows of one batch of facts, each of a day of its own.
const ROWS: u64 = 5;
/// Batches of facts after which the days are written again.
const ROUND: u64 = 40;
/// Violations of one merchant.
const VIOLATIONS: u64 = 20;
/// Merchants that violations are recorded against.
pub(crate) const VIOLATORS: u64 = 400;
/// Rows of one import chunk.
const CHUNK_ROWS: u64 = 4;
/// The first day that is closed, and the first that facts are of.
const FIRST: &str = "2000-01-01";

/// Lets writers write until the server is gone.
pub(crate) fn begin(writers: Vec<Writer>, clients: &Clients) -> Vec<JoinHandle<Writer>> {
    let write = |mut writer: Writer| {
        let clients = clients.clone();
        tokio::spawn(async move {
            writer.run(clients).await;
            writer
        })
    };
    writers.into_iter().map(write).collect()
}

/// The writers, when all have seen it go.
pub(crate) async fn ended(running: Vec<JoinHandle<Writer>>) -> Vec<Writer> {
    let mut writers = Vec::new();
    for writer in running {
        writers.push(writer.await.expect("the writer's own checks hold"));
    }
    writers
}

/// What a writer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Batches of merchants.
    Profiles,
    /// Batches of facts.
    Facts,
    /// A right that is given and taken.
    Rights,
    /// Violations.
    Violations,
    /// Chunks of an import.
    Import,
    /// Closings of days.
    Closing,
    /// Reports of exposures.
    Exposures,
    /// Policies, each of a text of its own.
    Policies,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 8] = [
        Self::Profiles,
        Self::Facts,
        Self::Rights,
        Self::Violations,
        Self::Import,
        Self::Closing,
        Self::Exposures,
        Self::Policies,
    ];
}

/// The services of one connection.
#[derive(Clone)]
pub(crate) struct Clients {
    profiles: ProfileServiceClient<Channel>,
    insight: InsightServiceClient<Channel>,
    exposures: ExposureServiceClient<Channel>,
    policies: PolicyServiceClient<Channel>,
    pub(crate) admin: AdminServiceClient<Channel>,
}

impl Clients {
    pub(crate) async fn connect(address: &str) -> Self {
        let endpoint = Channel::from_shared(format!("http://{address}")).expect("an address");
        let channel = endpoint.connect().await.expect("connects");
        Self {
            profiles: ProfileServiceClient::new(channel.clone()),
            insight: InsightServiceClient::new(channel.clone()),
            exposures: ExposureServiceClient::new(channel.clone()),
            policies: PolicyServiceClient::new(channel.clone()),
            admin: AdminServiceClient::new(channel),
        }
    }

    /// Registers merchants, all under one name.
    pub(crate) async fn register(&mut self, request_id: String, ids: Vec<u64>, name: &str) -> Result<u64, Status> {
        let merchant = |merchant_id| Merchant { merchant_id, name: name.to_owned(), ..Merchant::default() };
        let merchants = ids.into_iter().map(merchant).collect();
        let request = BatchUpsertMerchantsRequest { request_id, merchants, update_mask: None };
        let response = self.profiles.batch_upsert_merchants(request).await?.into_inner();
        assert_all_ok(&response.results);
        Ok(response.revision)
    }

    async fn facts(&mut self, merchant: u64, days: u64) -> Vec<DayFacts> {
        let request = ListFactsRequest {
            target_kind: TargetKind::Merchant.into(),
            target_id: merchant,
            first_date: date(0),
            last_date: date(days),
            min_revision: 0,
        };
        self.insight.list_facts(request).await.expect("lists facts").into_inner().facts
    }

    async fn explain(&mut self, merchant: u64) -> trustflow::proto::ExplainScoreResponse {
        let request = ExplainScoreRequest {
            scene: Scene::Live.into(),
            target_kind: TargetKind::Merchant.into(),
            target_id: merchant,
            ..ExplainScoreRequest::default()
        };
        self.insight.explain_score(request).await.expect("explains").into_inner()
    }
}

fn assert_all_ok(results: &[ItemStatus]) {
    let is_ok = |item: &ItemStatus| item.status.as_ref().is_none_or(|status| status.code == 0);
    assert!(results.iter().all(is_ok), "{results:?}");
}

fn file((path, content): (String, String)) -> PolicyFile {
    PolicyFile { path, content }
}

/// The date some days after the first.
fn date(days: u64) -> String {
    let first = Day::parse(FIRST).expect("a date");
    first.plus(i32::try_from(days).expect("few days")).to_string()
}

/// One writer, across all crashes.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) kind: Kind,
    /// Its merchants have ids from here on.
    base: u64,
    /// The last write that was acknowledged.
    pub(crate) acknowledged: u64,
    /// The last write that was sent: the same, or the next.
    sent: u64,
    /// Revision of the last acknowledged write.
    pub(crate) revision: u64,
    /// When exposures were shown: a retry must repeat its payload.
    began: prost_types::Timestamp,
}

impl Writer {
    pub(crate) fn new(kind: Kind, base: u64) -> Self {
        let now = trustflow::clock::Clock::now(&trustflow::clock::SystemClock::default());
        let began = prost_types::Timestamp { seconds: now.0.div_euclid(1_000), nanos: 0 };
        Self { kind, base, acknowledged: 0, sent: 0, revision: 0, began }
    }

    /// The merchant whose exposures it reports, and how many were acknowledged: 1 + 2 + … of them.
    pub(crate) fn exposures(&self) -> Option<(u64, u64)> {
        (self.kind == Kind::Exposures).then_some((self.base, self.acknowledged * (self.acknowledged + 1) / 2))
    }

    /// Ids of merchants that must be registered before it writes.
    pub(crate) fn merchants(&self) -> Vec<u64> {
        match self.kind {
            Kind::Profiles | Kind::Closing | Kind::Policies => Vec::new(),
            Kind::Facts | Kind::Rights | Kind::Import | Kind::Exposures => vec![self.base],
            Kind::Violations => (0..VIOLATORS).map(|n| self.base + n).collect(),
        }
    }

    /// Writes until the server is gone.
    pub(crate) async fn run(&mut self, mut clients: Clients) {
        loop {
            self.sent = self.acknowledged + 1;
            match self.send(&mut clients, self.sent).await {
                Ok(revision) => {
                    assert!(revision > self.revision, "{self:?}: revision {revision} follows");
                    self.revision = revision;
                    self.acknowledged = self.sent;
                }
                Err(status) => {
                    let is_gone = matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled);
                    assert!(is_gone || status.code() == Code::Internal, "{self:?}: {status}");
                    return;
                }
            }
            if matches!(self.kind, Kind::Violations | Kind::Closing) {
                // Each leaves something behind that grows.
                tokio::time::sleep(std::time::Duration::from_millis(4)).await;
            }
        }
    }

    /// Checks after a crash: acknowledged is there, nothing is torn, and what hung in the air is applied once.
    pub(crate) async fn check(&mut self, clients: &mut Clients) {
        let stands = self.stands(clients).await;
        assert!(stands == self.acknowledged || stands == self.sent, "the server stands at {stands}: {self:?}");
        if self.sent == self.acknowledged {
            return;
        }
        let first = self.send(clients, self.sent).await.expect("the retry");
        let second = self.send(clients, self.sent).await.expect("the second retry");
        match self.kind {
            // A chunk that was taken is skipped; a closing answers from which revision on reads follow from the day.
            Kind::Import | Kind::Closing => assert!(second >= first, "{self:?}"),
            Kind::Profiles | Kind::Facts | Kind::Rights | Kind::Violations | Kind::Exposures | Kind::Policies => {
                assert_eq!(first, second, "{self:?}: a repeated request answers its first revision");
            }
        }
        assert!(first > self.revision, "{self:?}: revision {first} after the retry");
        self.acknowledged = self.sent;
        self.revision = first;
        assert_eq!(self.stands(clients).await, self.sent, "{self:?}: after the retry");
        if self.kind == Kind::Profiles {
            for id in self.base..self.base + BATCH {
                let request = GetMerchantRequest { merchant_id: id, min_revision: first };
                let merchant = clients.profiles.get_merchant(request).await.expect("is there").into_inner().merchant;
                assert_eq!(merchant.map(|merchant| merchant.revision), Some(first), "{self:?}: applied once");
            }
        }
    }

    /// The id that the n-th write is sent under.
    pub(crate) fn request_id(&self, n: u64) -> String {
        format!("{:?} {n}", self.kind)
    }

    async fn send(&self, clients: &mut Clients, n: u64) -> Result<u64, Status> {
        let request_id = self.request_id(n);
        let profiles = &mut clients.profiles;
        Ok(match self.kind {
            Kind::Profiles => {
                let ids = (self.base..self.base + BATCH).collect();
                clients.register(request_id, ids, &format!("n{n}")).await?
            }
            Kind::Facts => {
                let row = |day| DayFacts {
                    merchant_id: self.base,
                    date: date(day),
                    counters: BTreeMap::from([("paid_orders".to_owned(), n), ("shipments_due".to_owned(), n)]),
                    ..DayFacts::default()
                };
                let first = n % ROUND * ROWS;
                let request = RecordFactsRequest { request_id, facts: (first..first + ROWS).map(row).collect() };
                let response = profiles.record_facts(request).await?.into_inner();
                assert_all_ok(&response.results);
                response.revision
            }
            Kind::Rights => {
                let from = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
                let right = HeldRight { right: "seven_day_no_reason".to_owned(), from, until: None };
                let rights = if n % 2 == 1 { vec![right] } else { Vec::new() };
                let request = SetRightsRequest { request_id, merchant_id: self.base, rights };
                profiles.set_rights(request).await?.into_inner().revision
            }
            Kind::Violations => {
                let seconds = 1_700_000_000 + i64::try_from(n).expect("few violations");
                let request = RecordViolationRequest {
                    request_id,
                    violation_id: n,
                    merchant_id: self.violator(n),
                    r#type: "mute".to_owned(),
                    occurred_at: Some(prost_types::Timestamp { seconds, nanos: 0 }),
                    ..RecordViolationRequest::default()
                };
                profiles.record_violation(request).await?.into_inner().revision
            }
            Kind::Import => {
                let days: Vec<i32> = (0..CHUNK_ROWS).map(|day| Day::parse(&date(day)).expect("a date").0).collect();
                let rows = days.len();
                let facts = FactColumns {
                    target_kind: TargetKind::Merchant.into(),
                    ids: vec![self.base; rows],
                    days,
                    cell_counts: vec![1; rows],
                    counters: vec![0; rows],
                    values: vec![n; rows],
                    counter_names: vec!["paid_orders".to_owned()],
                };
                let merchant = Merchant { merchant_id: self.base, name: format!("n{n}"), ..Merchant::default() };
                let chunk = ImportRequest {
                    import_id: "crash".to_owned(),
                    sequence: n,
                    merchants: vec![merchant],
                    facts: Some(facts),
                    ..ImportRequest::default()
                };
                let response = profiles.import(tokio_stream::once(chunk)).await?.into_inner();
                assert_eq!(response.rejected_items, 0, "{:?}", response.results);
                response.revision
            }
            Kind::Exposures => {
                let row = ExposureRow {
                    target_kind: TargetKind::Merchant.into(),
                    target_id: self.base,
                    scene: Scene::Live.into(),
                    exposures: n,
                    occurred_at: Some(self.began),
                    ..ExposureRow::default()
                };
                let request = ReportExposuresRequest { report_id: request_id, rows: vec![row] };
                clients.exposures.report_exposures(request).await?.into_inner().revision
            }
            Kind::Policies => {
                let mut files: Vec<PolicyFile> = trustflow::policy::embedded().files.into_iter().map(file).collect();
                for file in files.iter_mut().filter(|file| file.path == "score.toml") {
                    file.content = format!("# {n}\n{}", file.content);
                }
                let comment = n.to_string();
                let request = PublishPolicyRequest { request_id, files, comment, ..PublishPolicyRequest::default() };
                clients.policies.publish_policy(request).await?.into_inner().revision
            }
            Kind::Closing => {
                let request = CloseDayRequest { request_id, date: date(n) };
                profiles.close_day(request).await?.into_inner().revision
            }
        })
    }

    fn violator(&self, n: u64) -> u64 {
        let nth = n / VIOLATIONS;
        assert!(nth < VIOLATORS, "more merchants are needed");
        self.base + nth
    }

    /// The write up to which the server has this writer's.
    async fn stands(&self, clients: &mut Clients) -> u64 {
        match self.kind {
            Kind::Profiles => self.profiles_stand(clients).await,
            Kind::Facts => self.facts_stand(clients).await,
            Kind::Rights => {
                let rights = clients.explain(self.base).await.rights;
                let right = rights.iter().find(|right| right.id == "seven_day_no_reason").expect("the right");
                // Only whether it is odd can be seen.
                if right.held == (self.acknowledged % 2 == 1) { self.acknowledged } else { self.sent }
            }
            Kind::Violations => self.violations_stand(clients, self.violator(self.acknowledged)).await,
            Kind::Import => {
                let request = GetImportProgressRequest { import_id: "crash".to_owned() };
                let progress = clients.profiles.get_import_progress(request).await.expect("progress").into_inner();
                let facts = clients.facts(self.base, CHUNK_ROWS).await;
                let values: Vec<u64> = facts.iter().map(|row| row.counters["paid_orders"]).collect();
                let rows = if progress.committed_sequence == 0 { 0 } else { CHUNK_ROWS };
                assert_eq!(values, vec![progress.committed_sequence; usize::try_from(rows).expect("few")], "torn");
                progress.committed_sequence
            }
            // How far it came is seen at the end, in what was counted.
            Kind::Exposures => self.acknowledged,
            Kind::Policies => {
                let request = ListPolicyVersionsRequest { page_size: 1, ..ListPolicyVersionsRequest::default() };
                let listed = clients.policies.list_policy_versions(request).await.expect("lists").into_inner();
                // The first is the one that the program brings with it.
                listed.versions.first().and_then(|newest| newest.comment.parse().ok()).unwrap_or(0)
            }
            Kind::Closing => loop {
                let status = clients.admin.get_status(GetStatusRequest {}).await.expect("status").into_inner();
                if status.building.is_empty() {
                    let (day, first) = (Day::parse(&status.facts_day), Day::parse(FIRST).expect("a date"));
                    break day.map_or(0, |day| u64::try_from(day.days_since(first)).expect("after the first"));
                }
            },
        }
    }

    async fn profiles_stand(&self, clients: &mut Clients) -> u64 {
        let mut found = Vec::new();
        for id in self.base..self.base + BATCH {
            let request = GetMerchantRequest { merchant_id: id, min_revision: 0 };
            found.push(match clients.profiles.get_merchant(request).await {
                Ok(response) => {
                    let merchant = response.into_inner().merchant.expect("a merchant");
                    assert!(merchant.revision >= self.revision, "revision of {id} went back: {self:?}");
                    (merchant.name.trim_start_matches('n').parse().expect("a number"), merchant.revision)
                }
                Err(status) if status.code() == Code::NotFound => (0, 0),
                Err(status) => panic!("{status}"),
            });
        }
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "torn: {found:?}");
        found[0].0
    }

    async fn facts_stand(&self, clients: &mut Clients) -> u64 {
        let facts = clients.facts(self.base, ROUND * ROWS).await;
        let found: BTreeMap<String, Vec<u64>> =
            facts.into_iter().map(|row| (row.date, row.counters.into_values().collect())).collect();
        let stands = found.values().flatten().copied().max().unwrap_or(0);
        let mut expected = BTreeMap::new();
        for n in stands.saturating_sub(ROUND - 1).max(1)..=stands {
            let first = n % ROUND * ROWS;
            expected.extend((first..first + ROWS).map(|day| (date(day), vec![n, n])));
        }
        assert_eq!(found, expected, "torn or lost: {self:?}");
        stands
    }

    /// The last violation of the merchant, after checking that none is missing.
    async fn violations_stand(&self, clients: &mut Clients, merchant: u64) -> u64 {
        let found = clients.explain(merchant).await.violations;
        let mut ids: Vec<u64> = found.iter().map(|violation| violation.violation_id).collect();
        ids.sort_unstable();
        let first = (merchant - self.base) * VIOLATIONS;
        let last = ids.last().copied().unwrap_or(first.saturating_sub(1));
        assert_eq!(ids, (first.max(1)..=last).collect::<Vec<_>>(), "violations of {merchant}: {self:?}");
        if last == first + VIOLATIONS - 1 {
            let next = clients.explain(merchant + 1).await.violations;
            return next.iter().map(|violation| violation.violation_id).max().unwrap_or(last);
        }
        last
    }

    /// Checks everything that was ever acknowledged and can still be seen.
    pub(crate) async fn check_all(&mut self, clients: &mut Clients) {
        assert_eq!(self.stands(clients).await, self.acknowledged, "{self:?}");
        if self.kind == Kind::Violations {
            for n in (0..self.acknowledged).step_by(usize::try_from(VIOLATIONS).expect("few")) {
                self.violations_stand(clients, self.violator(n)).await;
            }
        }
    }
}
