//! Calls of who runs programmes, as one-liners, and the two programmes that tests run.

use tonic::Status;
use tonic::transport::Channel;
use trustflow::proto::exposure_service_client::ExposureServiceClient;
use trustflow::proto::programme_service_client::ProgrammeServiceClient;
use trustflow::proto::{
    AdjustBudgetRequest, ExposureRow, GetForecastRequest, GetForecastResponse, GetProgrammeRequest,
    GetProgrammeResponse, ListMembersRequest, ListMembersResponse, ListPackagesRequest, ListProgrammesRequest,
    Merchant, MerchantPackages, PauseProgrammeRequest, PolicyFile, Programme, PublishPolicyRequest,
    ReportExposuresRequest, Scene, TargetKind,
};

use crate::common::calls::merchant;
use crate::common::{Client, Refusal, instant, refusal};

/// A campaign of ten days that [`NOW`] is seven hours into: 10,000 exposures, 2,000 of them in the mall.
pub(crate) const PUSH: &str = r#"
name = "Push"
name_zh = "推"
seed = "003"
area = "traffic"
kind = "support"
scenes = ["all"]
first_day = "2023-03-01"
last_day = "2023-03-10"
eligibility = '"push" in merchant.tags'
[uplift]
constant = 0.5
[budget]
exposures = 10_000
period = "window"
max_member_share = 0.6
daily_members = 5
by_scene = { mall = 2_000 }
[cap]
exposures = 500
period = "day"
"#;

/// Half of its merchants are held out; members are promised 100 exposures in a day.
pub(crate) const TRIAL: &str = r#"
name = "Trial"
name_zh = "试"
seed = "003"
area = "traffic"
kind = "support"
scenes = ["all"]
eligibility = '"trial" in merchant.tags'
[holdout]
share = 0.5
[uplift]
constant = 0.4
[budget]
exposures = 1_000_000
period = "month"
[guarantee]
exposures = 100
days = 1
penalty = 0.5
"#;

pub(crate) fn tagged(id: u64, tag: &str) -> Merchant {
    Merchant { tags: vec![tag.to_owned()], ..merchant(id) }
}

/// Exposures of a merchant in a scene, a half hour ago.
pub(crate) fn shown(merchant: u64, scene: Scene, programmes: u64, exposures: u64) -> ExposureRow {
    ExposureRow {
        target_kind: TargetKind::Merchant.into(),
        target_id: merchant,
        scene: scene.into(),
        programmes,
        exposures,
        occurred_at: Some(instant("2023-03-01T06:30:00+08:00")),
        ..ExposureRow::default()
    }
}

/// The calls of this page.
pub(crate) trait Operator {
    fn programmes(&self) -> ProgrammeServiceClient<Channel>;
    async fn publish_programmes(&self);
    async fn report(&self, id: &str, rows: Vec<ExposureRow>) -> u64;
    async fn get(&self, id: &str) -> GetProgrammeResponse;
    async fn shown(&self, id: &str) -> Programme;
    async fn listed(&self, id: &str) -> Programme;
    async fn pause(&self, id: &str, reason: &str) -> String;
    async fn members(&self, request: ListMembersRequest) -> ListMembersResponse;
    async fn packages(&self, merchant: u64) -> MerchantPackages;
    async fn forecast(&self, programme: &str, merchant: u64) -> Result<GetForecastResponse, Status>;
    async fn adjust(&self, request: AdjustBudgetRequest) -> Result<String, Refusal>;
    /// The weight of a merchant in a scene, and the programmes its exposures count against.
    async fn weighed(&self, scene: Scene, merchant: u64) -> (f32, u64);
}

impl Operator for Client {
    fn programmes(&self) -> ProgrammeServiceClient<Channel> {
        ProgrammeServiceClient::new(self.channel.clone())
    }

    async fn publish_programmes(&self) {
        let shipped = trustflow::policy::embedded().files;
        let mut files: Vec<_> = shipped.into_iter().map(|(path, content)| PolicyFile { path, content }).collect();
        for (name, content) in [("push", PUSH), ("trial", TRIAL)] {
            files.push(PolicyFile { path: format!("programmes/{name}.toml"), content: content.to_owned() });
        }
        let request = PublishPolicyRequest { files, ..PublishPolicyRequest::default() };
        self.policies.clone().publish_policy(request).await.expect("published");
    }

    async fn report(&self, id: &str, rows: Vec<ExposureRow>) -> u64 {
        let request = ReportExposuresRequest { report_id: id.to_owned(), rows };
        let answer = ExposureServiceClient::new(self.channel.clone()).report_exposures(request).await;
        answer.expect("reported").into_inner().revision
    }

    async fn get(&self, id: &str) -> GetProgrammeResponse {
        let request = GetProgrammeRequest { id: id.to_owned(), min_revision: 0 };
        self.programmes().get_programme(request).await.expect("the programme").into_inner()
    }

    async fn shown(&self, id: &str) -> Programme {
        self.get(id).await.programme.expect("the programme")
    }

    async fn listed(&self, id: &str) -> Programme {
        let answer = self.programmes().list_programmes(ListProgrammesRequest::default()).await.expect("a list");
        let found = answer.into_inner().programmes.into_iter().find(|programme| programme.id == id);
        found.expect("listed")
    }

    async fn pause(&self, id: &str, reason: &str) -> String {
        let (id, reason, author) = (id.to_owned(), reason.to_owned(), "ann".to_owned());
        let request = PauseProgrammeRequest { id, reason, author, ..PauseProgrammeRequest::default() };
        self.programmes().pause_programme(request).await.expect("paused").into_inner().etag
    }

    async fn members(&self, request: ListMembersRequest) -> ListMembersResponse {
        self.programmes().list_members(request).await.expect("members").into_inner()
    }

    async fn packages(&self, merchant_id: u64) -> MerchantPackages {
        let request = ListPackagesRequest { merchant_id, min_revision: 0 };
        let answer = self.programmes().list_packages(request).await.expect("packages").into_inner();
        answer.packages.expect("packages")
    }

    async fn forecast(&self, programme: &str, merchant_id: u64) -> Result<GetForecastResponse, Status> {
        let programme_id = programme.to_owned();
        let request = GetForecastRequest { programme_id, merchant_id, ..GetForecastRequest::default() };
        self.insight.clone().get_forecast(request).await.map(tonic::Response::into_inner)
    }

    async fn adjust(&self, request: AdjustBudgetRequest) -> Result<String, Refusal> {
        let request = AdjustBudgetRequest { id: "push".to_owned(), reason: "a test".to_owned(), ..request };
        match self.programmes().adjust_budget(request).await {
            Ok(answer) => Ok(answer.into_inner().etag),
            Err(status) => Err(refusal::<()>(Err(status))),
        }
    }

    async fn weighed(&self, scene: Scene, merchant: u64) -> (f32, u64) {
        let answer = self.score(scene, TargetKind::Merchant, &[merchant]).await;
        let first = answer.boost_weights.iter().copied().zip(answer.programmes).next();
        first.expect("one target")
    }
}
