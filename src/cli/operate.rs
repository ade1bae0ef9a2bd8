//! `status`, `close-day` and `admin`: the running server.

use serde_json::{Value, json};

use super::audit;
use super::client::Target;
use super::credentials;
use super::error::CliError;
use super::out;
use super::policy_text;
use super::table::{Side, Table};
use super::time::{instant_text, parse_facts_day, parse_instant};
use crate::proto::admin_service_client::AdminServiceClient;
use crate::proto::profile_service_client::ProfileServiceClient;
use crate::proto::{
    AcceptTimeRequest, AdvanceClockRequest, CloseDayRequest, ConfiguredPolicy, GetStateHashRequest, GetStatusRequest,
    GetStatusResponse, KillSwitch, ListCredentialsRequest, PendingPolicy,
};

/// Arguments of `close-day`.
#[derive(Debug, clap::Args)]
pub(super) struct CloseDayArgs {
    /// The day, in Asia/Shanghai; earlier open days are closed with it
    #[arg(value_name = "YYYY-MM-DD")]
    date: String,
    /// Repeating a request id answers the first outcome
    #[arg(long, default_value = "")]
    request_id: String,
}

/// What to do with the server.
#[derive(Debug, clap::Subcommand)]
pub(super) enum AdminAction {
    /// Move simulated time forward, closing the days on the way
    AdvanceClock {
        /// RFC 3339, or a date for its 00:00 in Asia/Shanghai
        #[arg(value_name = "TO")]
        to: String,
    },
    /// Resume writes after the wall clock jumped
    AcceptTime,
    /// Hash over all state: equal states, equal hashes
    StateHash,
    /// Who may call, and what each role opens; never a token or a hash
    Tokens,
    /// Who changed what, when and from where
    Audit(audit::AuditArgs),
}

/// `status`.
pub(super) async fn status(target: &Target) -> Result<(), CliError> {
    let answer = AdminServiceClient::new(target.connect().await?).get_status(GetStatusRequest {}).await;
    let status = answer.map_err(CliError::rpc("GetStatus"))?.into_inner();
    if target.json { out::json(&status_json(&status)) } else { out::result(&status_text(&status)) }
}

fn status_text(status: &GetStatusResponse) -> String {
    let none = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    let simulated = if status.simulated_time { " (simulated)" } else { "" };
    let hash: String = status.policy_hash.chars().take(12).collect();
    let configured = status.configured_policy.clone().unwrap_or_default();
    let lines = [
        ("version", status.version.clone()),
        ("revision", status.revision.to_string()),
        ("policy", format!("version {} from {} ({hash})", status.policy_version, status.policy_source)),
        ("configured policy", configured_text(&configured)),
        ("pending policy", pending_text(status.pending_policy.as_ref())),
        ("kill switch", kill_switch_text(status.kill_switch.as_ref())),
        ("state time", format!("{}{simulated}", instant_text(status.state_time.as_ref()))),
        ("facts day", none(&status.facts_day, "none closed yet")),
        ("building", none(&status.building, "nothing")),
        ("writes", none(&status.writes, "ok")),
        (
            "profiles",
            format!(
                "{} merchants, {} products, {} live rooms, {} short videos, {} service providers",
                status.merchants, status.products, status.live_rooms, status.short_videos, status.service_providers
            ),
        ),
        ("deduplication", format!("{} entries", status.deduplication_entries)),
        ("started in", format!("{} ms", status.start_ms)),
        ("disabled signals", none(&status.disabled_signals.join(", "), "none")),
    ];
    let mut text = listing(&lines);
    if !configured.problems.is_empty() {
        let problems = policy_text::problems(&configured.problems);
        text = format!("THE CONFIGURED POLICY HAS PROBLEMS; an earlier version serves:\n{problems}\n\n{text}");
    }
    if !status.programmes.is_empty() {
        let mut table = Table::new(&[
            ("bit", Side::Right),
            ("programme", Side::Left),
            ("kind", Side::Left),
            ("members", Side::Right),
        ]);
        for programme in &status.programmes {
            let cells = [
                programme.bit.to_string(),
                programme.id.clone(),
                programme.kind.clone(),
                programme.members.to_string(),
            ];
            table.row(cells.into());
        }
        text.push('\n');
        text.push_str(&table.text());
    }
    text
}

fn configured_text(configured: &ConfiguredPolicy) -> String {
    let ConfiguredPolicy { source, watched, last_read, problems } = configured;
    let watched = if *watched { "watched, " } else { "" };
    let found = if problems.is_empty() { "right".to_owned() } else { format!("{} problems", problems.len()) };
    format!("{source} ({watched}read {}: {found})", instant_text(last_read.as_ref()))
}

fn pending_text(pending: Option<&PendingPolicy>) -> String {
    pending.map_or_else(
        || "none".to_owned(),
        |pending| format!("version {} from {}", pending.version, instant_text(pending.effective_at.as_ref())),
    )
}

fn kill_switch_text(switch: Option<&KillSwitch>) -> String {
    switch.map_or_else(
        || "off".to_owned(),
        |switch| {
            let by = if switch.author.is_empty() { String::new() } else { format!(" by {}", switch.author) };
            format!("ON since {}{by}: {}", instant_text(switch.since.as_ref()), switch.reason)
        },
    )
}

fn status_json(status: &GetStatusResponse) -> Value {
    let programmes = status.programmes.iter().map(|programme| {
        json!({"id": programme.id, "bit": programme.bit, "kind": programme.kind, "members": programme.members})
    });
    json!({
        "version": status.version, "revision": status.revision,
        "policy_version": status.policy_version, "policy_hash": status.policy_hash, "policy_source": status.policy_source,
        "state_time": instant_text(status.state_time.as_ref()), "simulated_time": status.simulated_time,
        "facts_day": status.facts_day, "building": status.building, "writes": status.writes,
        "merchants": status.merchants, "products": status.products, "live_rooms": status.live_rooms,
        "short_videos": status.short_videos, "service_providers": status.service_providers,
        "disabled_signals": status.disabled_signals, "programmes": programmes.collect::<Vec<_>>(),
        "pending_policy": status.pending_policy.as_ref().map(|pending| {
            json!({"version": pending.version, "effective_at": instant_text(pending.effective_at.as_ref())})
        }),
        "kill_switch": status.kill_switch.as_ref().map(|switch| {
            let since = instant_text(switch.since.as_ref());
            json!({"since": since, "author": switch.author, "reason": switch.reason})
        }),
        "configured_policy": status.configured_policy.as_ref().map(|configured| {
            json!({
                "source": configured.source, "watched": configured.watched,
                "last_read": instant_text(configured.last_read.as_ref()),
                "problems": policy_text::problems_json(&configured.problems),
            })
        }),
        "start_ms": status.start_ms, "deduplication_entries": status.deduplication_entries,
    })
}

/// `close-day`.
pub(super) async fn close_day(args: CloseDayArgs, target: &Target) -> Result<(), CliError> {
    let CloseDayArgs { date, request_id } = args;
    parse_facts_day(&date).map_err(|problem| CliError::argument("DATE", problem))?;
    let request = CloseDayRequest { request_id, date: date.clone() };
    let answer = ProfileServiceClient::new(target.connect().await?).close_day(request).await;
    let revision = answer.map_err(CliError::rpc("CloseDay"))?.into_inner().revision;
    let value = json!({"date": date, "revision": revision});
    both(target, &value, &format!("{date} is closed; scores follow from it as of revision {revision}"))
}

/// `admin`.
pub(super) async fn admin(action: AdminAction, target: &Target) -> Result<(), CliError> {
    match action {
        AdminAction::AdvanceClock { to } => {
            let to = parse_instant(&to).map_err(|problem| CliError::argument("TO", problem))?;
            let request = AdvanceClockRequest { to: Some(to) };
            let answer = AdminServiceClient::new(target.connect().await?).advance_clock(request).await;
            let answer = answer.map_err(CliError::rpc("AdvanceClock"))?.into_inner();
            let time = instant_text(answer.state_time.as_ref());
            let value = json!({"state_time": time, "revision": answer.revision, "facts_day": answer.facts_day});
            both(
                target,
                &value,
                &format!("it is {time} now, facts day {}, revision {}", answer.facts_day, answer.revision),
            )
        }
        AdminAction::AcceptTime => {
            let answer = AdminServiceClient::new(target.connect().await?).accept_time(AcceptTimeRequest {}).await;
            let answer = answer.map_err(CliError::rpc("AcceptTime"))?.into_inner();
            let time = instant_text(answer.accepted.as_ref());
            both(target, &json!({"accepted": time}), &format!("writes go on from {time}"))
        }
        AdminAction::StateHash => {
            let answer = AdminServiceClient::new(target.connect().await?).get_state_hash(GetStateHashRequest {}).await;
            let answer = answer.map_err(CliError::rpc("GetStateHash"))?.into_inner();
            let value = json!({"state_hash": answer.state_hash, "revision": answer.revision});
            both(target, &value, &format!("{} at revision {}", answer.state_hash, answer.revision))
        }
        AdminAction::Tokens => {
            let request = ListCredentialsRequest {};
            let answer = AdminServiceClient::new(target.connect().await?).list_credentials(request).await;
            let answer = answer.map_err(CliError::rpc("ListCredentials"))?.into_inner();
            both(target, &credentials::json(&answer), &credentials::text(&answer))
        }
        AdminAction::Audit(args) => audit::run(args, target).await,
    }
}

/// Names and values, a line each.
pub(super) fn listing(lines: &[(&str, String)]) -> String {
    let lines = lines.iter().map(|(name, value)| format!("{name:<17} {value}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// Prints the form asked for.
pub(super) fn both(target: &Target, value: &Value, text: &str) -> Result<(), CliError> {
    if target.json { out::json(value) } else { out::result(text) }
}
