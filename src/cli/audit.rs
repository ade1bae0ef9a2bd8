//! `admin audit`: who changed what, as a table and as JSON lines.

use serde_json::{Value, json};

use super::client::Target;
use super::error::CliError;
use super::out;
use super::table::{Side, Table};
use super::time::{instant_text, optional_instant};
use crate::proto::admin_service_client::AdminServiceClient;
use crate::proto::{AuditChange, AuditEntry, ListAuditEntriesRequest};

/// Entries that are asked for at a time.
const PAGE: u32 = 1_000;
/// Entries of a table unless asked otherwise.
const DEFAULT_LIMIT: u64 = 50;

/// Arguments of `admin audit`.
#[derive(Debug, clap::Args)]
pub(super) struct AuditArgs {
    /// Who asked, e.g. token:console
    #[arg(long, default_value = "")]
    identity: String,
    /// The method called, e.g. `SetRights`
    #[arg(long, default_value = "")]
    method: String,
    /// What was concerned, e.g. `product/7`, `programme/kuai_brand`, `policy/3`, `kill_switch`
    #[arg(long, default_value = "", conflicts_with = "merchant")]
    subject: String,
    /// The merchant that was concerned
    #[arg(long, value_name = "ID")]
    merchant: Option<u64>,
    /// From this time on: RFC 3339, or a date for its 00:00 in Asia/Shanghai
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// From this revision on
    #[arg(long, value_name = "REVISION", default_value_t = 0)]
    from_revision: u64,
    /// Up to this revision
    #[arg(long, value_name = "REVISION", default_value_t = 0)]
    until_revision: u64,
    /// Bulk data too: imports, facts, reports of exposures
    #[arg(long)]
    bulk: bool,
    /// From the oldest to the newest
    #[arg(long)]
    oldest_first: bool,
    /// Entries at most [default: 50 in a table, all as JSON lines]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// A table for people, or a JSON object a line for programs, which --json means too
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Forms of the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A table
    Text,
    /// A JSON object a line
    Jsonl,
}

/// `admin audit`.
pub(super) async fn run(args: AuditArgs, target: &Target) -> Result<(), CliError> {
    let is_lines = target.json || args.format == Format::Jsonl;
    let mut left = args.limit.unwrap_or(if is_lines { u64::MAX } else { DEFAULT_LIMIT });
    let mut request = ListAuditEntriesRequest {
        identity: args.identity,
        method: args.method,
        subject: args.merchant.map_or(args.subject, |merchant| format!("merchant/{merchant}")),
        from_time: optional_instant("--from", args.from.as_deref())?,
        until_time: optional_instant("--until", args.until.as_deref())?,
        from_revision: args.from_revision,
        until_revision: args.until_revision,
        bulk: args.bulk,
        oldest_first: args.oldest_first,
        page_size: PAGE,
        page_token: String::new(),
    };
    let heads = ["revision", "time", "who", "from", "method", "what"];
    let mut table = Table::new(&heads.map(|head| (head, if head == "revision" { Side::Right } else { Side::Left })));
    let mut client = AdminServiceClient::new(target.connect().await?);
    while left > 0 {
        request.page_size = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let answer = client.list_audit_entries(request.clone()).await;
        let answer = answer.map_err(CliError::rpc("ListAuditEntries"))?.into_inner();
        left = left.saturating_sub(answer.entries.len() as u64);
        if is_lines {
            let lines: Vec<String> = answer.entries.iter().map(|entry| line(entry).to_string() + "\n").collect();
            if !out::part(&lines.concat())? {
                return Ok(());
            }
        } else {
            answer.entries.iter().for_each(|entry| table.row(cells(entry)));
        }
        request.page_token = answer.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    if is_lines { Ok(()) } else { out::result(&table.text()) }
}

fn cells(entry: &AuditEntry) -> Vec<String> {
    let who = match (entry.by_server, entry.identity.as_str()) {
        (true, _) => "(the server)",
        (false, "") => "(anonymous)",
        (false, identity) => identity,
    };
    let mut what: Vec<String> = entry.changes.iter().map(change_text).collect();
    if entry.more_changes > 0 {
        what.push(format!("and {} more", entry.more_changes));
    }
    what.extend(entry.counts.iter().map(|(name, count)| format!("{name} {count}")));
    if !entry.reason.is_empty() {
        what.push(format!("reason: {}", entry.reason));
    }
    let time = instant_text(entry.time.as_ref());
    vec![entry.revision.to_string(), time, who.to_owned(), entry.peer.clone(), entry.method.clone(), what.join("; ")]
}

fn change_text(change: &AuditChange) -> String {
    let AuditChange { subject, before, after } = change;
    match (before.as_str(), after.as_str()) {
        ("", "") => subject.clone(),
        ("", after) => format!("{subject} new {after}"),
        (before, "") => format!("{subject} gone {before}"),
        (before, after) => format!("{subject} {before} → {after}"),
    }
}

/// An entry as a JSON object.
fn line(entry: &AuditEntry) -> Value {
    let fields = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    let changes = entry.changes.iter().map(
        |change| json!({"subject": change.subject, "before": fields(&change.before), "after": fields(&change.after)}),
    );
    json!({
        "revision": entry.revision, "time": instant_text(entry.time.as_ref()),
        "identity": entry.identity, "by_server": entry.by_server, "peer": entry.peer,
        "method": entry.method, "request_id": entry.request_id, "author": entry.author, "reason": entry.reason,
        "changes": changes.collect::<Vec<_>>(), "more_changes": entry.more_changes,
        "counts": entry.counts, "bulk": entry.bulk,
    })
}
