//! `policy`: validate, publish, list, get, compare and roll back policies; the kill switch.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::client::{Link, Target};
use super::error::CliError;
use super::operate::both;
use super::out;
use super::policy_text;
use super::simulation;
use super::time::optional_instant;
use super::words::SceneWord;
use crate::proto::policy_service_client::PolicyServiceClient;
use crate::proto::{
    DiffPoliciesRequest, GetPolicyRequest, ListPolicyVersionsRequest, PolicyFile, PolicyProblem, PolicyState,
    PublishPolicyRequest, RollbackPolicyRequest, SetKillSwitchRequest, SimulatePolicyRequest, ValidatePolicyRequest,
};

/// Largest answer: a version with its whole text.
const MAX_ANSWER: usize = 16 << 20;

/// What is done with policy folders on this side. Given by the program, since the client names nothing of the server.
#[derive(Clone, Copy, Debug)]
pub struct PolicyFolder {
    /// Reads the files of a folder, or says what cannot be read.
    pub read: fn(&Path) -> Result<Vec<PolicyFile>, Vec<PolicyProblem>>,
    /// Checks a folder without a server; answers how many files it has, or every problem.
    pub check: fn(&Path) -> Result<usize, Vec<PolicyProblem>>,
    /// Describes what a folder supports, for people who do not read TOML, or answers every problem.
    pub describe: fn(&Path) -> Result<String, Vec<PolicyProblem>>,
    /// The JSON Schemas of policy files, by name.
    pub schemas: fn() -> Vec<(&'static str, String)>,
}

/// What to do with policies.
#[derive(Debug, clap::Subcommand)]
pub(super) enum PolicyAction {
    /// Check a folder here, without a server
    Check {
        /// The policy folder
        dir: PathBuf,
    },
    /// Describe what a folder supports, as Markdown, for people who do not read TOML; without a server
    Docs {
        /// The policy folder
        dir: PathBuf,
    },
    /// Print the JSON Schema of a kind of policy file, for editors; without a server
    Schema {
        /// score, rights, violations, programme, ...
        name: String,
    },
    /// Have the server check a folder, as it would for publishing
    Validate {
        /// The policy folder
        dir: PathBuf,
    },
    /// What a candidate would change for every merchant; nothing changes
    Simulate {
        /// A policy folder, or a version; 0 is the version that serves
        candidate: String,
        /// Scene that movers are ranked by
        #[arg(long, value_enum, default_value = "live")]
        scene: SceneWord,
        /// How many movers to name
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        movers: u32,
    },
    /// Publish a folder; answers once it serves
    Publish(PublishArgs),
    /// List versions, newest first
    List {
        /// At most so many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
    },
    /// Show a version, or write its files to a folder
    Get {
        /// Which; the one that serves unless given
        version: Option<u64>,
        /// Write the files below this folder
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// What two policies differ in
    Diff {
        /// The one before: a version, or a folder; 0 is the version that serves
        from: String,
        /// The one after: a version, or a folder; 0 is the version that serves
        to: String,
        /// Colours are left out when this environment variable is set
        #[arg(long, env = "NO_COLOR", hide = true, default_value = "")]
        no_color: String,
    },
    /// Let an earlier version serve again; drops the one that waits for its time
    Rollback(RollbackArgs),
    /// Make every weight 1, exclusions kept, or end that
    KillSwitch {
        /// on or off
        #[arg(value_enum)]
        position: Position,
        /// Why; must be given to turn it on
        #[arg(long, default_value = "", required_if_eq("position", "on"))]
        reason: String,
        /// Who asks for it
        #[arg(long, default_value = "")]
        author: String,
        /// Repeating a request id answers the first outcome
        #[arg(long, default_value = "")]
        request_id: String,
    },
}

/// Positions of the kill switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Position {
    /// Every weight is 1
    On,
    /// Weights follow from the policy
    Off,
}

/// Arguments of `policy publish`.
#[derive(Debug, clap::Args)]
pub(super) struct PublishArgs {
    /// The policy folder
    dir: PathBuf,
    /// Refuse if the policy changed since this etag was read
    #[arg(long, default_value = "")]
    etag: String,
    /// When it is to serve, RFC 3339 or a date for its 00:00 in Asia/Shanghai; at once unless given
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Who publishes it
    #[arg(long, env = "TRUSTFLOW_AUTHOR", default_value = "")]
    author: String,
    /// Why
    #[arg(long, default_value = "")]
    comment: String,
    /// Repeating a request id answers the first outcome
    #[arg(long, default_value = "")]
    request_id: String,
}

/// Arguments of `policy rollback`.
#[derive(Debug, clap::Args)]
pub(super) struct RollbackArgs {
    /// Which version is to serve again
    version: u64,
    /// Refuse if the policy changed since this etag was read
    #[arg(long, default_value = "")]
    etag: String,
    /// Why
    #[arg(long, default_value = "")]
    reason: String,
    /// Who asks for it
    #[arg(long, env = "TRUSTFLOW_AUTHOR", default_value = "")]
    author: String,
    /// Repeating a request id answers the first outcome
    #[arg(long, default_value = "")]
    request_id: String,
}

type Client = PolicyServiceClient<Link>;

async fn client(target: &Target) -> Result<Client, CliError> {
    Ok(PolicyServiceClient::new(target.connect().await?).max_decoding_message_size(MAX_ANSWER))
}

/// `policy`.
pub(super) async fn run(action: PolicyAction, target: &Target, folder: &PolicyFolder) -> Result<(), CliError> {
    match action {
        PolicyAction::Check { dir } => match (folder.check)(&dir) {
            Ok(files) => both(target, &json!({"problems": []}), &format!("{}: {files} files, right", dir.display())),
            Err(problems) => refuse(target, &problems),
        },
        PolicyAction::Docs { dir } => match (folder.describe)(&dir) {
            Ok(page) => out::result(&page),
            Err(problems) => refuse(target, &problems),
        },
        PolicyAction::Schema { name } => {
            let schemas = (folder.schemas)();
            let known = || schemas.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            let found = schemas.iter().find(|(other, _)| *other == name);
            let (_, schema) = found
                .ok_or_else(|| CliError::argument("NAME", format!("there is no schema {name}; use {}", known())))?;
            out::result(schema)
        }
        PolicyAction::Validate { dir } => {
            let files = read(target, folder, &dir)?;
            let answer = validate(&mut client(target).await?, target, files).await?;
            let known = match answer.version {
                0 => "new".to_owned(),
                version => format!("version {version} already"),
            };
            let value = json!({"problems": [], "hash": answer.hash, "version": answer.version});
            both(target, &value, &format!("{}: right, {known} ({})", dir.display(), answer.hash))
        }
        PolicyAction::Simulate { candidate, scene, movers } => {
            let (version, files) = side(&candidate, target, folder)?;
            let scene = scene.wire().into();
            let request = SimulatePolicyRequest { files, version, scene, movers };
            let answer = client(target).await?.simulate_policy(request).await;
            let answer = answer.map_err(CliError::rpc("SimulatePolicy"))?.into_inner();
            both(target, &simulation::json(&answer), &simulation::text(&answer))
        }
        PolicyAction::Publish(args) => publish(args, target, folder).await,
        PolicyAction::List { limit } => list(limit, target).await,
        PolicyAction::Get { version, out } => get(version.unwrap_or(0), out.as_deref(), target).await,
        PolicyAction::Diff { from, to, no_color } => {
            let is_coloured = no_color.is_empty() && out::is_terminal();
            diff((&from, &to), is_coloured, target, folder).await
        }
        PolicyAction::Rollback(args) => rollback(args, target).await,
        PolicyAction::KillSwitch { position, reason, author, request_id } => {
            let on = position == Position::On;
            let request = SetKillSwitchRequest { request_id, on, reason, author };
            let answer = client(target).await?.set_kill_switch(request).await;
            let revision = answer.map_err(CliError::rpc("SetKillSwitch"))?.into_inner().revision;
            let said = if on { "on: every weight is 1" } else { "off: weights follow from the policy" };
            let text = format!("the kill switch is {said} (revision {revision})");
            both(target, &json!({"on": on, "revision": revision}), &text)
        }
    }
}

/// Prints every problem, and fails.
fn refuse(target: &Target, problems: &[PolicyProblem]) -> Result<(), CliError> {
    both(target, &json!({"problems": policy_text::problems_json(problems)}), &policy_text::problems(problems))?;
    Err(CliError::PolicyProblems { count: problems.len() })
}

fn read(target: &Target, folder: &PolicyFolder, dir: &Path) -> Result<Vec<PolicyFile>, CliError> {
    match (folder.read)(dir) {
        Ok(files) => Ok(files),
        Err(problems) => {
            refuse(target, &problems)?;
            Ok(Vec::new())
        }
    }
}

async fn validate(
    client: &mut Client,
    target: &Target,
    files: Vec<PolicyFile>,
) -> Result<crate::proto::ValidatePolicyResponse, CliError> {
    let answer = client.validate_policy(ValidatePolicyRequest { files }).await;
    let answer = answer.map_err(CliError::rpc("ValidatePolicy"))?.into_inner();
    if !answer.problems.is_empty() {
        refuse(target, &answer.problems)?;
    }
    Ok(answer)
}

async fn publish(args: PublishArgs, target: &Target, folder: &PolicyFolder) -> Result<(), CliError> {
    let PublishArgs { dir, etag, at, author, comment, request_id } = args;
    let effective_at = optional_instant("--at", at.as_deref())?;
    let files = read(target, folder, &dir)?;
    let mut client = client(target).await?;
    // First, since a refusal of publishing cannot hold every problem of a text that has many.
    let known = validate(&mut client, target, files.clone()).await?.version;
    let request = PublishPolicyRequest { request_id, files, etag, effective_at, author, comment };
    let answer = client.publish_policy(request).await;
    let answer = answer.map_err(CliError::rpc("PublishPolicy"))?.into_inner();
    let again = if known != 0 && !answer.unchanged { ", which had this text already," } else { "" };
    let state = state_text(answer.state(), answer.unchanged);
    let value = json!({
        "version": answer.version, "etag": answer.etag, "revision": answer.revision,
        "state": policy_text::state_word(answer.state()), "unchanged": answer.unchanged,
    });
    let text =
        format!("version {}{again} {state} (revision {}, etag {})", answer.version, answer.revision, answer.etag);
    both(target, &value, &text)
}

fn state_text(state: PolicyState, unchanged: bool) -> String {
    let state = match state {
        PolicyState::Serving => "serves",
        PolicyState::Preparing => "is being prepared",
        PolicyState::Scheduled => "waits for its time",
        PolicyState::Retired => "was replaced by a later change",
        PolicyState::Unspecified => "was taken",
    };
    if unchanged { format!("{state} already") } else { state.to_owned() }
}

async fn list(limit: u32, target: &Target) -> Result<(), CliError> {
    let request = ListPolicyVersionsRequest { page_size: limit, page_token: String::new() };
    let answer = client(target).await?.list_policy_versions(request).await;
    let answer = answer.map_err(CliError::rpc("ListPolicyVersions"))?.into_inner();
    let versions: Vec<_> = answer.versions.iter().map(policy_text::version_json).collect();
    both(target, &json!({"versions": versions, "etag": answer.etag}), &policy_text::versions(&answer))
}

async fn get(version: u64, folder: Option<&Path>, target: &Target) -> Result<(), CliError> {
    let answer = client(target).await?.get_policy(GetPolicyRequest { version }).await;
    let answer = answer.map_err(CliError::rpc("GetPolicy"))?.into_inner();
    let missing = || CliError::Answer { call: "GetPolicy", missing: "the version" };
    let found = answer.version.as_ref().ok_or_else(missing)?;
    if let Some(folder) = folder {
        for file in &answer.files {
            write(folder, file)?;
        }
        let text = format!("wrote {} files of version {} to {}", answer.files.len(), found.version, folder.display());
        let value =
            json!({"version": policy_text::version_json(found), "etag": answer.etag, "files": answer.files.len()});
        return both(target, &value, &text);
    }
    let files: Vec<_> = answer.files.iter().map(|file| json!({"path": file.path, "content": file.content})).collect();
    let value = json!({"version": policy_text::version_json(found), "etag": answer.etag, "files": files});
    both(target, &value, &policy_text::whole(found, &answer.files))
}

/// Writes a file below a folder, and nowhere else, whatever the server calls it.
fn write(folder: &Path, file: &PolicyFile) -> Result<(), CliError> {
    let is_inside = !file.path.is_empty() && file.path.split('/').all(|part| !part.is_empty() && part != "..");
    if !is_inside || file.path.contains('\\') {
        return Err(CliError::input(&file.path, 0, "the server names a file outside the folder; nothing was written"));
    }
    let path = folder.join(&file.path);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    Ok(std::fs::write(path, &file.content)?)
}

/// A version, or the files of a folder.
fn side(text: &str, target: &Target, folder: &PolicyFolder) -> Result<(u64, Vec<PolicyFile>), CliError> {
    match text.parse::<u64>() {
        Ok(version) => Ok((version, Vec::new())),
        Err(_) => read(target, folder, Path::new(text)).map(|files| (0, files)),
    }
}

async fn diff(
    (from, to): (&str, &str),
    is_coloured: bool,
    target: &Target,
    folder: &PolicyFolder,
) -> Result<(), CliError> {
    let ((from_version, from_files), (to_version, to_files)) = (side(from, target, folder)?, side(to, target, folder)?);
    let request = DiffPoliciesRequest { from_version, from_files, to_version, to_files };
    let answer = client(target).await?.diff_policies(request).await;
    let changes = answer.map_err(CliError::rpc("DiffPolicies"))?.into_inner().changes;
    both(target, &policy_text::changes_json(&changes), &policy_text::changes(&changes, is_coloured))
}

async fn rollback(args: RollbackArgs, target: &Target) -> Result<(), CliError> {
    let RollbackArgs { version, etag, reason, author, request_id } = args;
    let request = RollbackPolicyRequest { request_id, version, etag, reason, author };
    let answer = client(target).await?.rollback_policy(request).await;
    let answer = answer.map_err(CliError::rpc("RollbackPolicy"))?.into_inner();
    let value = json!({
        "version": answer.version, "etag": answer.etag, "revision": answer.revision,
        "state": policy_text::state_word(answer.state()), "unchanged": answer.unchanged,
    });
    let state = state_text(answer.state(), answer.unchanged);
    both(
        target,
        &value,
        &format!("version {} {state} (revision {}, etag {})", answer.version, answer.revision, answer.etag),
    )
}
