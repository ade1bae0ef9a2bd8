//! Groups of commands: how heavy each is, and which are applied under one hold of the state's lock.

use crate::domain::{Body, Command};

/// Rows, their reservations and profiles applied under one hold of the state's lock, unless one command alone has more.
const LOCK_WEIGHT: usize = 2_000;
/// Rows of imports that hold the lock as long as one other.
const IMPORT_SHARE: usize = 10;

/// Runs of commands that are applied under one hold of the lock.
pub(super) fn runs(commands: &[Command]) -> impl Iterator<Item = &[Command]> {
    let mut rest = commands;
    std::iter::from_fn(move || {
        let mut weight = 0;
        let end = rest.iter().position(|command| {
            weight += hold_of(&command.body);
            weight >= LOCK_WEIGHT
        });
        let (run, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
        rest = after;
        (!run.is_empty()).then_some(run)
    })
}

/// How long a command holds the lock, in rows. Most of what a row of an import takes is making its merchant's record,
/// and rows that are applied together make it once.
fn hold_of(body: &Body) -> usize {
    let weight = weight_of(body);
    if matches!(body, Body::ImportChunk { .. }) { weight / IMPORT_SHARE } else { weight }
}

pub(super) fn weight_of(body: &Body) -> usize {
    match body {
        Body::UpsertProfiles { profiles, .. } => profiles.len(),
        Body::RecordFacts { rows } => rows.len(),
        Body::ImportChunk { profiles, rows, .. } => profiles.len() + rows.len(),
        Body::SetRights { rights, .. } => rights.len(),
        // A reservation is worth as much as a row.
        Body::ReportExposures { rows } => rows.iter().map(|row| 1 + row.reservations.len()).sum(),
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

#[cfg(test)]
mod tests {
    use super::{Body, runs, weight_of};
    use crate::domain::{Command, ExposureRow, ReservationId, SEMANTICS, Scene, TargetKind, Timestamp};

    fn report(reservations: usize) -> Command {
        let row = ExposureRow {
            kind: TargetKind::Merchant,
            target: 1,
            merchant: None,
            scene: Scene::Live,
            policy_version: 1,
            programmes: 1,
            reservations: vec![ReservationId(1); reservations],
            exposures: 10_000,
            clicks: 0,
            orders: 0,
            gmv_fen: 0,
            occurred_at: Timestamp(0),
        };
        let body = Body::ReportExposures { rows: vec![row] };
        Command { stamp: Timestamp(0), node: 1, semantics: SEMANTICS, request: None, body }
    }

    #[test]
    fn a_report_weighs_as_much_as_its_reservations() {
        assert_eq!(weight_of(&report(0).body), 1);
        assert_eq!(weight_of(&report(700).body), 701);
        let commands: Vec<Command> = (0..6).map(|_| report(700)).collect();
        let lengths: Vec<usize> = runs(&commands).map(<[Command]>::len).collect();
        assert_eq!(lengths, [3, 3], "2,000 under one hold of the lock");
    }
}
