//! Status of the running process, and who may call it.

use super::policy::{pending, problems};
use super::time::to_proto_time;
use crate::auth::{self, Credential, CredentialKind};
use crate::engine::{PolicySource, WriteStatus};
use crate::proto;
use crate::state::State;

/// What the state does not know of itself.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    /// Applied revision.
    pub revision: u64,
    /// Whether writes are taken.
    pub writes: &'a WriteStatus,
    /// Milliseconds from start to ready.
    pub start_ms: u64,
    /// What was last read of the configured policy.
    pub source: &'a PolicySource,
}

/// The answer of a `GetStatus`.
#[must_use]
pub fn status_response(state: &State, status: &Status) -> proto::GetStatusResponse {
    let policy = state.policy();
    let members = state.programme_members();
    let programmes = policy.programmes.iter().map(|programme| proto::ProgrammeStatus {
        id: programme.id.clone(),
        bit: u32::from(programme.bit),
        kind: programme.kind.name().to_owned(),
        members: members.get(usize::from(programme.bit)).copied().unwrap_or(0),
    });
    let disabled = policy.model.signals.iter().zip(state.disabled()).filter(|(_, disabled)| **disabled);
    let [rooms, products, videos] = crate::domain::ItemKind::ALL.map(|kind| state.items(kind).len() as u64);
    proto::GetStatusResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: status.revision,
        policy_version: policy.version,
        policy_hash: policy.hash.clone(),
        policy_source: policy.source.clone(),
        state_time: Some(to_proto_time(state.meta().now)),
        simulated_time: state.meta().is_simulated,
        facts_day: state.meta().facts_day.map(|day| day.to_string()).unwrap_or_default(),
        building: state.transition().map(|t| t.describe(policy)).unwrap_or_default(),
        merchants: state.merchant_count() as u64,
        products,
        live_rooms: rooms,
        short_videos: videos,
        service_providers: state.providers().len() as u64,
        writes: match status.writes {
            WriteStatus::Ok => "ok".to_owned(),
            WriteStatus::Poisoned { cause } => format!("refused since a commit failed: {cause}"),
            WriteStatus::ClockJumped { jump_ms } => format!("refused since the clock jumped by {jump_ms} ms"),
        },
        disabled_signals: disabled.map(|(signal, _)| signal.id.clone()).collect(),
        programmes: programmes.collect(),
        start_ms: status.start_ms,
        deduplication_entries: state.remembered_requests() as u64,
        pending_policy: state.meta().pending.map(pending),
        kill_switch: state.meta().kill_switch.as_ref().map(|switch| proto::KillSwitch {
            since: Some(to_proto_time(switch.since)),
            reason: switch.reason.clone(),
            author: switch.author.clone(),
        }),
        configured_policy: Some(proto::ConfiguredPolicy {
            source: status.source.name.clone(),
            watched: status.source.is_watched,
            last_read: status.source.last_read.map(to_proto_time),
            problems: problems(&status.source.problems),
        }),
    }
}

/// The answer of a `ListCredentials`; none where everybody may come in.
#[must_use]
pub fn credentials_response(credentials: Option<Vec<Credential>>) -> proto::ListCredentialsResponse {
    let authentication = credentials.is_some();
    let roles = auth::Role::ALL
        .into_iter()
        .map(|role| proto::RoleMethods { role: role_of(role).into(), methods: auth::methods_of(role).collect() });
    proto::ListCredentialsResponse {
        authentication,
        credentials: credentials.unwrap_or_default().into_iter().map(credential).collect(),
        roles: roles.collect(),
    }
}

fn credential(credential: Credential) -> proto::Credential {
    let kind = match credential.kind {
        CredentialKind::Token => proto::CredentialKind::Token,
        CredentialKind::Certificate => proto::CredentialKind::Certificate,
        CredentialKind::Issuer => proto::CredentialKind::Jwt,
    };
    proto::Credential {
        kind: kind.into(),
        identity: credential.identity,
        subject: credential.subject,
        roles: credential.roles.iter().map(|role| role_of(role).into()).collect(),
        expires_at: credential.expires.map(to_proto_time),
        expired: credential.has_expired,
    }
}

fn role_of(role: auth::Role) -> proto::Role {
    match role {
        auth::Role::Scorer => proto::Role::Scorer,
        auth::Role::Ingester => proto::Role::Ingester,
        auth::Role::Viewer => proto::Role::Viewer,
        auth::Role::Operator => proto::Role::Operator,
        auth::Role::Admin => proto::Role::Admin,
    }
}
