//! Commands ⇄ protobuf.

use super::allocation::{bit, required_scene, scene_number};
use super::facts::fact_rows;
use super::nouns::{kind_of_profile, required_profile_key};
use super::{DecodeProblem, all, pb, required};
use crate::domain::{
    Body, Command, Day, FieldMask, MerchantId, PolicyPublish, PolicyText, RequestKey, Timestamp, Upsert,
};

impl From<&Command> for pb::Command {
    fn from(command: &Command) -> Self {
        Self {
            stamp: command.stamp.0,
            node: command.node,
            semantics: command.semantics,
            request: command.request.as_ref().map(Into::into),
            body: Some((&command.body).into()),
        }
    }
}

impl TryFrom<pb::Command> for Command {
    type Error = DecodeProblem;

    fn try_from(message: pb::Command) -> Result<Self, DecodeProblem> {
        Ok(Self {
            stamp: Timestamp(message.stamp),
            node: message.node,
            semantics: message.semantics,
            request: message.request.map(Into::into),
            body: required(message.body, "command.body")?.try_into()?,
        })
    }
}

impl From<&RequestKey> for pb::RequestKey {
    fn from(key: &RequestKey) -> Self {
        let [high, low] = halves(key.payload_hash);
        Self {
            identity: key.identity.clone(),
            method: key.method.clone(),
            request_id: key.request_id.clone(),
            payload_hash_high: high,
            payload_hash_low: low,
            peer: key.peer.clone(),
        }
    }
}

impl From<pb::RequestKey> for RequestKey {
    fn from(message: pb::RequestKey) -> Self {
        Self {
            identity: message.identity,
            peer: message.peer,
            method: message.method,
            request_id: message.request_id,
            payload_hash: u128::from(message.payload_hash_high) << 64 | u128::from(message.payload_hash_low),
        }
    }
}

fn halves(hash: u128) -> [u64; 2] {
    let low = hash & u128::from(u64::MAX);
    // Both halves are below 2^64.
    [hash >> 64, low].map(|half| u64::try_from(half).unwrap_or(u64::MAX))
}

impl From<&Body> for pb::command::Body {
    fn from(body: &Body) -> Self {
        match body {
            Body::Tick => Self::Tick(pb::Tick {}),
            Body::UpsertProfiles { profiles, mask } => Self::UpsertProfiles(pb::UpsertProfiles {
                profiles: profiles.iter().map(Into::into).collect(),
                mask: mask.map(|mask| mask.0),
            }),
            Body::DeleteProfile { key, expected_revision } => {
                let (kind, id) = kind_of_profile(*key);
                let expected_revision = *expected_revision;
                Self::DeleteProfile(pb::DeleteProfile { kind: kind.into(), id, expected_revision })
            }
            Body::RecordFacts { rows } => Self::RecordFacts(rows.as_slice().into()),
            Body::RecordViolation(violation) => Self::RecordViolation(violation.into()),
            Body::RevokeViolation { merchant, violation_id } => {
                Self::RevokeViolation(pb::RevokeViolation { merchant: merchant.0, violation_id: *violation_id })
            }
            Body::SetRights { merchant, rights } => {
                Self::SetRights(pb::SetRights { merchant: merchant.0, rights: rights.iter().map(Into::into).collect() })
            }
            Body::ImportChunk { import_id, sequence, profiles, rows } => Self::ImportChunk(pb::ImportChunk {
                import_id: import_id.clone(),
                sequence: *sequence,
                profiles: profiles.iter().map(Into::into).collect(),
                rows: (!rows.is_empty()).then(|| rows.as_slice().into()),
            }),
            Body::CloseDay { day } => Self::CloseDay(pb::CloseDay { day: day.0 }),
            Body::PublishPolicy(publish) => Self::PublishPolicy(publish.into()),
            Body::RollbackPolicy { version, expected_revision, author, reason } => {
                Self::RollbackPolicy(pb::RollbackPolicy {
                    version: *version,
                    expected_revision: *expected_revision,
                    author: author.clone(),
                    reason: reason.clone(),
                })
            }
            Body::SetKillSwitch { is_on, author, reason } => {
                Self::SetKillSwitch(pb::SetKillSwitch { is_on: *is_on, reason: reason.clone(), author: author.clone() })
            }
            Body::Activate { began } => Self::Activate(pb::Activate { began: *began }),
            Body::OpenSession => Self::OpenSession(pb::OpenSession {}),
            Body::RenewLeases { session, renewals } => Self::RenewLeases(pb::RenewLeases {
                session: *session,
                renewals: renewals.iter().map(Into::into).collect(),
            }),
            Body::ReportExposures { rows } => {
                Self::ReportExposures(pb::ReportExposures { rows: rows.iter().map(Into::into).collect() })
            }
            Body::ChangeProgramme { programme, change, expected_revision, author, reason } => {
                Self::ChangeProgramme(pb::ChangeProgramme {
                    programme: programme.clone(),
                    change: Some(change.into()),
                    expected_revision: *expected_revision,
                    author: author.clone(),
                    reason: reason.clone(),
                })
            }
            Body::BeginGuarantees { bit, guarantees } => Self::BeginGuarantees(pb::BeginGuarantees {
                bit: (*bit).into(),
                guarantees: guarantees.iter().map(Into::into).collect(),
            }),
            Body::GrantPackage { merchant, exposures, expires_at, author, reason } => {
                Self::GrantPackage(pb::GrantPackage {
                    merchant: merchant.0,
                    exposures: *exposures,
                    expires_at: expires_at.map(|at| at.0),
                    author: author.clone(),
                    reason: reason.clone(),
                })
            }
            Body::AssignPackage { merchant, scene, exposures, is_release } => Self::AssignPackage(pb::AssignPackage {
                merchant: merchant.0,
                scene: scene_number(*scene).into(),
                exposures: *exposures,
                is_release: *is_release,
            }),
        }
    }
}

impl TryFrom<pb::command::Body> for Body {
    type Error = DecodeProblem;

    fn try_from(message: pb::command::Body) -> Result<Self, DecodeProblem> {
        use pb::command::Body as Message;
        Ok(match message {
            Message::Tick(pb::Tick {}) => Self::Tick,
            Message::UpsertProfiles(upsert) => {
                Self::UpsertProfiles { profiles: all(upsert.profiles)?, mask: upsert.mask.map(FieldMask) }
            }
            Message::DeleteProfile(delete) => Self::DeleteProfile {
                key: required_profile_key(delete.kind, delete.id, "delete_profile.kind")?,
                expected_revision: delete.expected_revision,
            },
            Message::RecordFacts(rows) => Self::RecordFacts { rows: fact_rows(&rows)? },
            Message::RecordViolation(violation) => Self::RecordViolation(violation.try_into()?),
            Message::RevokeViolation(revoke) => {
                Self::RevokeViolation { merchant: MerchantId(revoke.merchant), violation_id: revoke.violation_id }
            }
            Message::SetRights(set) => Self::SetRights { merchant: MerchantId(set.merchant), rights: all(set.rights)? },
            Message::ImportChunk(chunk) => Self::ImportChunk {
                import_id: chunk.import_id,
                sequence: chunk.sequence,
                profiles: all(chunk.profiles)?,
                rows: chunk.rows.as_ref().map_or_else(|| Ok(Vec::new()), fact_rows)?,
            },
            Message::CloseDay(close) => Self::CloseDay { day: Day(close.day) },
            Message::PublishPolicy(publish) => Self::PublishPolicy(publish.into()),
            Message::RollbackPolicy(pb::RollbackPolicy { version, expected_revision, author, reason }) => {
                Self::RollbackPolicy { version, expected_revision, author, reason }
            }
            Message::SetKillSwitch(pb::SetKillSwitch { is_on, reason, author }) => {
                Self::SetKillSwitch { is_on, author, reason }
            }
            Message::Activate(activate) => Self::Activate { began: activate.began },
            Message::OpenSession(pb::OpenSession {}) => Self::OpenSession,
            Message::RenewLeases(renew) => Self::RenewLeases { session: renew.session, renewals: all(renew.renewals)? },
            Message::ReportExposures(report) => Self::ReportExposures { rows: all(report.rows)? },
            Message::ChangeProgramme(asked) => Self::ChangeProgramme {
                programme: asked.programme,
                change: required(asked.change, "change_programme.change")?.try_into()?,
                expected_revision: asked.expected_revision,
                author: asked.author,
                reason: asked.reason,
            },
            Message::BeginGuarantees(begin) => Self::BeginGuarantees {
                bit: bit(begin.bit, "begin_guarantees.bit")?,
                guarantees: begin.guarantees.into_iter().map(Into::into).collect(),
            },
            Message::GrantPackage(grant) => Self::GrantPackage {
                merchant: MerchantId(grant.merchant),
                exposures: grant.exposures,
                expires_at: grant.expires_at.map(Timestamp),
                author: grant.author,
                reason: grant.reason,
            },
            Message::AssignPackage(assign) => Self::AssignPackage {
                merchant: MerchantId(assign.merchant),
                scene: required_scene(assign.scene, "assign_package.scene")?,
                exposures: assign.exposures,
                is_release: assign.is_release,
            },
        })
    }
}

impl From<&PolicyPublish> for pb::PublishPolicy {
    fn from(publish: &PolicyPublish) -> Self {
        let pb::PolicyText { source, files } = (&publish.text).into();
        Self {
            source,
            files,
            author: publish.author.clone(),
            comment: publish.comment.clone(),
            expected_revision: publish.expected_revision,
            effective_at: publish.effective_at.map(|at| at.0),
            is_configured: publish.is_configured,
        }
    }
}

impl From<pb::PublishPolicy> for PolicyPublish {
    fn from(message: pb::PublishPolicy) -> Self {
        let files = message.files.into_iter().map(|file| (file.path, file.content)).collect();
        Self {
            text: PolicyText { source: message.source, files },
            author: message.author,
            comment: message.comment,
            expected_revision: message.expected_revision,
            effective_at: message.effective_at.map(Timestamp),
            is_configured: message.is_configured,
        }
    }
}

impl From<&Upsert> for pb::Upsert {
    fn from(upsert: &Upsert) -> Self {
        Self { profile: Some((&upsert.profile).into()), expected_revision: upsert.expected_revision }
    }
}

impl TryFrom<pb::Upsert> for Upsert {
    type Error = DecodeProblem;

    fn try_from(message: pb::Upsert) -> Result<Self, DecodeProblem> {
        Ok(Self {
            profile: required(message.profile, "upsert.profile")?.try_into()?,
            expected_revision: message.expected_revision,
        })
    }
}
