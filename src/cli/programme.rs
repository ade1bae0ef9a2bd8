//! `programme`, `package` and `forecast`: run support programmes.

use serde_json::json;

use super::client::{Link, Target};
use super::error::CliError;
use super::operate::both;
use super::programme_json as as_json;
use super::programme_text as as_text;
use super::time::optional_instant;
use super::words::{SceneWord, id_json};
use crate::proto::insight_service_client::InsightServiceClient;
use crate::proto::programme_service_client::ProgrammeServiceClient;
use crate::proto::{
    AdjustBudgetRequest, AssignPackageRequest, GetForecastRequest, GetProgrammeRequest, GrantPackageRequest,
    ListMembersRequest, ListPackagesRequest, ListProgrammesRequest, MemberFilter, MerchantPackages,
    PauseProgrammeRequest, ProgrammeView, ReleasePackageRequest, ResumeProgrammeRequest,
};

/// Most that one page holds.
const MAX_PAGE: u32 = 1_000;

/// What to do with programmes.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ProgrammeAction {
    /// Every programme: state, budget, pace
    List {
        /// Also concentration, coverage and lift, for which every merchant is read
        #[arg(long)]
        full: bool,
    },
    /// One programme with everything that is known of it
    Show {
        /// Programme id
        id: String,
    },
    /// Its members, by merchant id
    Members {
        /// Programme id
        id: String,
        /// Only those
        #[arg(long, value_enum)]
        only: Option<FilterWord>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// Begin where an earlier list ended
        #[arg(long, value_name = "TOKEN", default_value = "")]
        from: String,
    },
    /// Stop it: it lifts nobody and charges nothing
    Pause(ChangeArgs),
    /// Let it work again
    Resume(ChangeArgs),
    /// Replace its budget beside the policy, or set it back
    Adjust(AdjustArgs),
}

/// Which members.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum FilterWord {
    /// With a guarantee (保量)
    Guaranteed,
    /// At their cap or share
    CappedOut,
    /// Held out (对照组)
    HeldOut,
}

/// What every change says.
#[derive(Debug, clap::Args)]
pub(super) struct ChangeArgs {
    /// Programme id
    id: String,
    /// Why
    #[arg(long)]
    reason: String,
    /// Refuse if the programme was changed since this etag was read
    #[arg(long, default_value = "")]
    etag: String,
    /// Who asks for it
    #[arg(long, env = "TRUSTFLOW_AUTHOR", default_value = "")]
    author: String,
    /// Repeating a request id answers the first outcome
    #[arg(long, default_value = "")]
    request_id: String,
}

/// Arguments of `programme adjust`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("to").required(true).args(["exposures", "reset"])))]
pub(super) struct AdjustArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// The part of a scene with a budget of its own; the whole budget unless given
    #[arg(long, value_enum)]
    scene: Option<SceneWord>,
    /// Exposures in each period from now on
    #[arg(long)]
    exposures: Option<u64>,
    /// Back to what the policy says
    #[arg(long)]
    reset: bool,
}

/// What to do with packages.
#[derive(Debug, clap::Subcommand)]
pub(super) enum PackageAction {
    /// Give a merchant a package of exposures (流量资源包)
    Grant {
        /// The merchant
        merchant: u64,
        /// How many
        exposures: u64,
        /// Why
        #[arg(long)]
        reason: String,
        /// What is not delivered of it is lost then, RFC 3339 or a date for its 00:00 in Asia/Shanghai; never unless given
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// Who grants it
        #[arg(long, env = "TRUSTFLOW_AUTHOR", default_value = "")]
        author: String,
        /// Repeating a request id answers the first outcome
        #[arg(long, default_value = "")]
        request_id: String,
    },
    /// Put exposures to use in a scene
    Assign(MoveArgs),
    /// Take exposures that are not delivered back from a scene
    Release(MoveArgs),
    /// A merchant's packages and where they work
    List {
        /// The merchant
        merchant: u64,
    },
}

/// Arguments of `package assign` and `package release`.
#[derive(Debug, clap::Args)]
pub(super) struct MoveArgs {
    /// The merchant
    merchant: u64,
    /// The scene
    #[arg(value_enum)]
    scene: SceneWord,
    /// How many
    exposures: u64,
    /// Repeating a request id answers the first outcome
    #[arg(long, default_value = "")]
    request_id: String,
}

/// What to foretell.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ForecastAction {
    /// When a programme's budget will be spent
    Programme {
        /// Programme id
        id: String,
        /// The part of a scene with a budget of its own; the whole budget unless given
        #[arg(long, value_enum)]
        scene: Option<SceneWord>,
    },
    /// Whether a merchant's guarantee will be met
    Guarantee {
        /// Programme id
        id: String,
        /// The merchant
        merchant: u64,
    },
}

type Client = ProgrammeServiceClient<Link>;

async fn client(target: &Target) -> Result<Client, CliError> {
    Ok(ProgrammeServiceClient::new(target.connect().await?))
}

fn scene_number(scene: Option<SceneWord>) -> i32 {
    scene.map_or(0, |scene| scene.wire().into())
}

/// `programme`.
pub(super) async fn run(action: ProgrammeAction, target: &Target) -> Result<(), CliError> {
    match action {
        ProgrammeAction::List { full } => list(full, target).await,
        ProgrammeAction::Show { id } => {
            let answer = client(target).await?.get_programme(GetProgrammeRequest { id, min_revision: 0 }).await;
            let answer = answer.map_err(CliError::rpc("GetProgramme"))?.into_inner();
            let missing = || CliError::Answer { call: "GetProgramme", missing: "the programme" };
            let programme = answer.programme.as_ref().ok_or_else(missing)?;
            let text = as_text::programme(programme, &answer.events, answer.state_time.as_ref());
            both(target, &as_json::shown(programme, &answer), &text)
        }
        ProgrammeAction::Members { id, only, limit, from } => members(id, only, limit, from, target).await,
        ProgrammeAction::Pause(args) => {
            let ChangeArgs { id, reason, etag, author, request_id } = args;
            let request = PauseProgrammeRequest { request_id, id: id.clone(), etag, reason, author };
            let answer = client(target).await?.pause_programme(request).await;
            let answer = answer.map_err(CliError::rpc("PauseProgramme"))?.into_inner();
            changed(target, &id, "is paused", answer.revision, &answer.etag)
        }
        ProgrammeAction::Resume(args) => {
            let ChangeArgs { id, reason, etag, author, request_id } = args;
            let request = ResumeProgrammeRequest { request_id, id: id.clone(), etag, reason, author };
            let answer = client(target).await?.resume_programme(request).await;
            let answer = answer.map_err(CliError::rpc("ResumeProgramme"))?.into_inner();
            changed(target, &id, "works again", answer.revision, &answer.etag)
        }
        ProgrammeAction::Adjust(AdjustArgs { change, scene, exposures, reset }) => {
            let ChangeArgs { id, reason, etag, author, request_id } = change;
            let scene = scene_number(scene);
            let request =
                AdjustBudgetRequest { request_id, id: id.clone(), scene, exposures, reset, etag, reason, author };
            let answer = client(target).await?.adjust_budget(request).await;
            let answer = answer.map_err(CliError::rpc("AdjustBudget"))?.into_inner();
            let what = exposures.map_or_else(
                || "has the policy's budget again".to_owned(),
                |exposures| format!("may spend {exposures} exposures a period"),
            );
            changed(target, &id, &what, answer.revision, &answer.etag)
        }
    }
}

fn changed(target: &Target, id: &str, what: &str, revision: u64, etag: &str) -> Result<(), CliError> {
    let value = json!({"id": id, "revision": revision, "etag": etag});
    both(target, &value, &format!("{id} {what} (revision {revision}, etag {etag})"))
}

async fn list(full: bool, target: &Target) -> Result<(), CliError> {
    let view = if full { ProgrammeView::Full } else { ProgrammeView::Basic };
    let request = ListProgrammesRequest { page_size: MAX_PAGE, view: view.into(), ..ListProgrammesRequest::default() };
    let answer = client(target).await?.list_programmes(request).await;
    let answer = answer.map_err(CliError::rpc("ListProgrammes"))?.into_inner();
    let programmes: Vec<_> = answer.programmes.iter().map(as_json::programme).collect();
    let value = json!({
        "programmes": programmes, "revision": answer.revision, "policy_version": answer.policy_version,
    });
    both(target, &value, &as_text::list(&answer.programmes, full))
}

async fn members(
    id: String,
    only: Option<FilterWord>,
    limit: u32,
    from: String,
    target: &Target,
) -> Result<(), CliError> {
    let filter = match only {
        None => MemberFilter::Unspecified,
        Some(FilterWord::Guaranteed) => MemberFilter::Guaranteed,
        Some(FilterWord::CappedOut) => MemberFilter::CappedOut,
        Some(FilterWord::HeldOut) => MemberFilter::HeldOut,
    };
    let mut client = client(target).await?;
    let (mut found, mut page_token) = (Vec::new(), from);
    loop {
        let left = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        let request = ListMembersRequest {
            id: id.clone(),
            filter: filter.into(),
            page_size: left.clamp(1, MAX_PAGE),
            page_token,
            min_revision: 0,
        };
        let page = client.list_members(request).await.map_err(CliError::rpc("ListMembers"))?.into_inner();
        found.extend(page.members);
        page_token = page.next_page_token;
        if page_token.is_empty() || found.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
            break;
        }
    }
    let members: Vec<_> = found.iter().map(as_json::member).collect();
    both(target, &json!({"members": members, "next": page_token}), &as_text::members(&found, &page_token))
}

/// `package`.
pub(super) async fn package(action: PackageAction, target: &Target) -> Result<(), CliError> {
    let mut client = client(target).await?;
    let (merchant, revision, packages) = match action {
        PackageAction::Grant { merchant, exposures, reason, expires_at, author, request_id } => {
            let expires_at = optional_instant("--expires-at", expires_at.as_deref())?;
            let request =
                GrantPackageRequest { request_id, merchant_id: merchant, exposures, reason, expires_at, author };
            let answer = client.grant_package(request).await.map_err(CliError::rpc("GrantPackage"))?.into_inner();
            (merchant, answer.revision, answer.packages)
        }
        PackageAction::Assign(MoveArgs { merchant, scene, exposures, request_id }) => {
            let scene = scene.wire().into();
            let request = AssignPackageRequest { request_id, merchant_id: merchant, scene, exposures };
            let answer = client.assign_package(request).await.map_err(CliError::rpc("AssignPackage"))?.into_inner();
            (merchant, answer.revision, answer.packages)
        }
        PackageAction::Release(MoveArgs { merchant, scene, exposures, request_id }) => {
            let scene = scene.wire().into();
            let request = ReleasePackageRequest { request_id, merchant_id: merchant, scene, exposures };
            let answer = client.release_package(request).await.map_err(CliError::rpc("ReleasePackage"))?.into_inner();
            (merchant, answer.revision, answer.packages)
        }
        PackageAction::List { merchant } => {
            let request = ListPackagesRequest { merchant_id: merchant, min_revision: 0 };
            let answer = client.list_packages(request).await.map_err(CliError::rpc("ListPackages"))?.into_inner();
            (merchant, answer.revision, answer.packages)
        }
    };
    let packages: MerchantPackages = packages.unwrap_or_default();
    let value = json!({
        "merchant_id": id_json(merchant), "revision": revision, "packages": as_json::packages(&packages),
    });
    both(target, &value, &as_text::packages(merchant, &packages))
}

/// `forecast`.
pub(super) async fn forecast(action: ForecastAction, target: &Target) -> Result<(), CliError> {
    let request = match action {
        ForecastAction::Programme { id, scene } => {
            GetForecastRequest { programme_id: id, scene: scene_number(scene), ..GetForecastRequest::default() }
        }
        ForecastAction::Guarantee { id, merchant } => {
            GetForecastRequest { programme_id: id, merchant_id: merchant, ..GetForecastRequest::default() }
        }
    };
    let answer = InsightServiceClient::new(target.connect().await?).get_forecast(request).await;
    let answer = answer.map_err(CliError::rpc("GetForecast"))?.into_inner();
    both(target, &as_json::forecast(&answer), &as_text::forecast(&answer))
}
