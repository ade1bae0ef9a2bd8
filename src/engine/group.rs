//! Groups of commands: how heavy each is, and which are applied under one hold of the state's lock.

use crate::domain::{Body, Command};

/// Rows and profiles applied under one hold of the state's lock, unless one command alone has more.
const LOCK_WEIGHT: usize = 2_000;

/// Runs of commands that are applied under one hold of the lock.
pub(super) fn runs(commands: &[Command]) -> impl Iterator<Item = &[Command]> {
    let mut rest = commands;
    std::iter::from_fn(move || {
        let mut weight = 0;
        let end = rest.iter().position(|command| {
            weight += weight_of(&command.body);
            weight >= LOCK_WEIGHT
        });
        let (run, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
        rest = after;
        (!run.is_empty()).then_some(run)
    })
}

pub(super) fn weight_of(body: &Body) -> usize {
    match body {
        Body::UpsertProfiles { profiles, .. } => profiles.len(),
        Body::RecordFacts { rows } => rows.len(),
        Body::ImportChunk { profiles, rows, .. } => profiles.len() + rows.len(),
        Body::SetRights { rights, .. } => rights.len(),
        Body::ReportExposures { rows } => rows.len(),
        Body::RenewLeases { renewals, .. } => renewals.len(),
        Body::BeginGuarantees { guarantees, .. } => guarantees.len(),
        // It begins a second world, and so its run ends.
        Body::CloseDay { .. } | Body::PublishPolicy(_) | Body::RollbackPolicy { .. } => LOCK_WEIGHT,
        Body::Tick
        | Body::DeleteProfile { .. }
        | Body::RecordViolation(_)
        | Body::RevokeViolation { .. }
        | Body::SetKillSwitch { .. }
        | Body::OpenSession
        | Body::ChangeProgramme { .. }
        | Body::GrantPackage { .. }
        | Body::AssignPackage { .. }
        | Body::Activate { .. } => 1,
    }
}

/// Whether a command usually begins a second world: its group ends with it, so that what follows is not delayed by the
/// rows that must be stored first.
pub(super) fn begins_transition(body: &Body) -> bool {
    matches!(body, Body::CloseDay { .. } | Body::PublishPolicy(_) | Body::RollbackPolicy { .. })
}
