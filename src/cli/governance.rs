//! `violation` and `rights`: what governance operations record of a merchant.

use serde_json::json;

use super::client::Target;
use super::error::CliError;
use super::operate::both;
use super::time::{optional_instant, parse_instant};
use super::words::{KindWord, id_json};
use crate::proto::profile_service_client::ProfileServiceClient;
use crate::proto::{
    HeldRight, OrderContext, RecordViolationRequest, RevokeViolationRequest, SetRightsRequest, TargetKind,
    ViolationDecision,
};

/// What to do with violations.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ViolationAction {
    /// Record a violation; it takes effect on the next read
    Record(RecordArgs),
    /// End a violation as if it had not been, returning the waiver it used
    Revoke(RevokeArgs),
}

/// Arguments of `violation record`. Times are RFC 3339, or a date for its 00:00 in Asia/Shanghai.
#[derive(Debug, clap::Args)]
pub(super) struct RecordArgs {
    /// Chosen by you, not used before
    violation_id: u64,
    /// The merchant punished
    #[arg(long, value_name = "ID")]
    merchant: u64,
    /// Type id of violations.toml
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// For types that punish one item: what it is
    #[arg(long, requires = "target_id")]
    target_kind: Option<KindWord>,
    /// For types that punish one item: which
    #[arg(long, requires = "target_kind", value_name = "ID")]
    target_id: Option<u64>,
    /// When it occurred; now unless given
    #[arg(long, value_name = "TIME")]
    occurred_at: Option<String>,
    /// From when it has effect; now unless given
    #[arg(long, value_name = "TIME")]
    effective_from: Option<String>,
    /// Until when; as the type says unless given
    #[arg(long, value_name = "TIME")]
    effective_until: Option<String>,
    /// Region the order it is about was sent from
    #[arg(long, value_name = "REGION")]
    sender_region: Option<String>,
    /// Region the order it is about was sent to
    #[arg(long, value_name = "REGION")]
    recipient_region: Option<String>,
    /// The order it is about was of virtual goods
    #[arg(long = "virtual")]
    virtual_goods: bool,
    /// Repeating a request id answers the first outcome
    #[arg(long, default_value = "")]
    request_id: String,
}

/// Arguments of `violation revoke`.
#[derive(Debug, clap::Args)]
pub(super) struct RevokeArgs {
    /// Which
    violation_id: u64,
    /// Whose it is
    #[arg(long, value_name = "ID")]
    merchant: u64,
    /// Repeating a request id answers the first outcome
    #[arg(long, default_value = "")]
    request_id: String,
}

/// What to do with rights.
#[derive(Debug, clap::Subcommand)]
pub(super) enum RightsAction {
    /// Replace the rights that a merchant holds
    Set(SetArgs),
}

/// Arguments of `rights set`.
#[derive(Debug, clap::Args)]
pub(super) struct SetArgs {
    /// Whose
    merchant_id: u64,
    /// All rights held: RIGHT, RIGHT@FROM or RIGHT@FROM..UNTIL; times are RFC 3339 or dates in Asia/Shanghai
    #[arg(required_unless_present = "none", value_name = "RIGHT")]
    rights: Vec<String>,
    /// The merchant holds none
    #[arg(long, conflicts_with = "rights")]
    none: bool,
    /// Repeating a request id answers the first outcome
    #[arg(long, default_value = "")]
    request_id: String,
}

/// `violation`.
pub(super) async fn violation(action: ViolationAction, target: &Target) -> Result<(), CliError> {
    match action {
        ViolationAction::Record(args) => {
            let request = record_request(args)?;
            let (violation, merchant) = (request.violation_id, request.merchant_id);
            let answer = ProfileServiceClient::new(target.connect().await?).record_violation(request).await;
            let answer = answer.map_err(CliError::rpc("RecordViolation"))?.into_inner();
            let (word, meaning) = match answer.decision() {
                ViolationDecision::Applied => ("applied", "it has its effect"),
                ViolationDecision::Waived => ("waived", "the high-in-stock waiver of its week was used: no penalty"),
                ViolationDecision::Exempt => ("exempt", "force majeure: no penalty"),
                ViolationDecision::Unspecified => ("unspecified", "the server does not say what it decided"),
            };
            let value = json!({
                "violation_id": id_json(violation), "merchant_id": id_json(merchant), "decision": word,
                "revision": answer.revision,
            });
            let text =
                format!("violation {violation} of merchant {merchant}: {meaning} (revision {})", answer.revision);
            both(target, &value, &text)
        }
        ViolationAction::Revoke(RevokeArgs { violation_id, merchant, request_id }) => {
            let request = RevokeViolationRequest { request_id, violation_id, merchant_id: merchant };
            let answer = ProfileServiceClient::new(target.connect().await?).revoke_violation(request).await;
            let revision = answer.map_err(CliError::rpc("RevokeViolation"))?.into_inner().revision;
            let value = json!({
                "violation_id": id_json(violation_id), "merchant_id": id_json(merchant), "revision": revision,
            });
            both(
                target,
                &value,
                &format!("violation {violation_id} of merchant {merchant} is revoked (revision {revision})"),
            )
        }
    }
}

fn record_request(args: RecordArgs) -> Result<RecordViolationRequest, CliError> {
    let about_an_order = args.sender_region.is_some() || args.recipient_region.is_some() || args.virtual_goods;
    let order = about_an_order.then(|| OrderContext {
        sender_region: args.sender_region.unwrap_or_default(),
        recipient_region: args.recipient_region.unwrap_or_default(),
        r#virtual: args.virtual_goods,
    });
    Ok(RecordViolationRequest {
        request_id: args.request_id,
        violation_id: args.violation_id,
        merchant_id: args.merchant,
        r#type: args.kind,
        target_kind: args.target_kind.map_or(TargetKind::Unspecified, KindWord::wire).into(),
        target_id: args.target_id.unwrap_or_default(),
        occurred_at: optional_instant("--occurred-at", args.occurred_at.as_deref())?,
        effective_from: optional_instant("--effective-from", args.effective_from.as_deref())?,
        effective_until: optional_instant("--effective-until", args.effective_until.as_deref())?,
        order,
    })
}

/// `rights`.
pub(super) async fn rights(action: RightsAction, target: &Target) -> Result<(), CliError> {
    let RightsAction::Set(SetArgs { merchant_id, rights, none: _, request_id }) = action;
    let held = rights.iter().map(|text| parse_right(text)).collect::<Result<Vec<_>, _>>()?;
    let count = held.len();
    let request = SetRightsRequest { request_id, merchant_id, rights: held };
    let answer = ProfileServiceClient::new(target.connect().await?).set_rights(request).await;
    let revision = answer.map_err(CliError::rpc("SetRights"))?.into_inner().revision;
    let value = json!({"merchant_id": id_json(merchant_id), "rights": rights, "revision": revision});
    both(target, &value, &format!("merchant {merchant_id} holds {count} rights (revision {revision})"))
}

/// `RIGHT`, `RIGHT@FROM` or `RIGHT@FROM..UNTIL`; either time may be left out.
fn parse_right(text: &str) -> Result<HeldRight, CliError> {
    let instant = |text: &str| {
        let given = (!text.is_empty()).then(|| parse_instant(text));
        given.transpose().map_err(|problem| CliError::argument("RIGHT", problem))
    };
    let (right, times) = text.split_once('@').unwrap_or((text, ""));
    let (from, until) = times.split_once("..").unwrap_or((times, ""));
    Ok(HeldRight { right: right.to_owned(), from: instant(from)?, until: instant(until)? })
}

#[cfg(test)]
mod tests {
    use super::parse_right;
    use crate::cli::time::instant_text;

    #[test]
    fn rights_carry_optional_times() {
        let times = |text: &str| {
            let held = parse_right(text).expect("a right");
            assert_eq!(held.right, "claim");
            (instant_text(held.from.as_ref()), instant_text(held.until.as_ref()))
        };
        let day = |text: &str| format!("{text}T00:00:00+08:00");
        assert_eq!(times("claim"), ("-".to_owned(), "-".to_owned()));
        assert_eq!(times("claim@2024-01-01"), (day("2024-01-01"), "-".to_owned()));
        assert_eq!(times("claim@2024-01-01..2025-01-01"), (day("2024-01-01"), day("2025-01-01")));
        assert_eq!(times("claim@..2025-01-01T00:00:00+08:00"), ("-".to_owned(), day("2025-01-01")));
        assert!(parse_right("claim@soon").is_err());
    }
}
