//! `apply` for allocation: hands each command to the file that decides about it.

use super::ledgers::PackageRow;
use super::state::{State, or_rejected};
use super::switches::Asked;
use crate::domain::{Body, Outcome, Timestamp};

impl State {
    /// Applies a command of allocation; none of the others comes here.
    pub(super) fn apply_allocation(&mut self, revision: u64, node: u32, body: &Body) -> Outcome {
        match body {
            Body::OpenSession => Outcome::Session(self.open_session(node)),
            Body::RenewLeases { session, renewals } => {
                self.renew_leases(node, *session, renewals).map_or_else(Outcome::Rejected, Outcome::Leases)
            }
            Body::ReportExposures { rows } => self.report_exposures(revision, None, rows).outcome,
            Body::ChangeProgramme { programme, change, expected_revision, author, reason } => {
                let expected_revision = *expected_revision;
                let asked = Asked { programme, change, expected_revision, author, reason };
                or_rejected(self.change_programme(revision, &asked))
            }
            Body::BeginGuarantees { bit, guarantees } => {
                self.begin_guarantees(*bit, guarantees).map_or_else(Outcome::Rejected, Outcome::Items)
            }
            Body::GrantPackage { merchant, exposures, expires_at, author, reason } => {
                let row = PackageRow {
                    merchant: *merchant,
                    exposures: *exposures,
                    unassigned: *exposures,
                    revision,
                    granted_at: self.meta.now,
                    expires_at: *expires_at,
                    author: author.clone(),
                    reason: reason.clone(),
                };
                self.grant_package(row).map_or_else(Outcome::Rejected, Outcome::Package)
            }
            Body::AssignPackage { merchant, scene, exposures, is_release: false } => {
                or_rejected(self.assign_package(*merchant, *scene, *exposures))
            }
            Body::AssignPackage { merchant, scene, exposures, is_release: true } => {
                or_rejected(self.release_package(*merchant, *scene, *exposures))
            }
            Body::Tick
            | Body::UpsertProfiles { .. }
            | Body::DeleteProfile { .. }
            | Body::RecordFacts { .. }
            | Body::RecordViolation(_)
            | Body::RevokeViolation { .. }
            | Body::SetRights { .. }
            | Body::ImportChunk { .. }
            | Body::CloseDay { .. }
            | Body::PublishPolicy(_)
            | Body::RollbackPolicy { .. }
            | Body::SetKillSwitch { .. }
            | Body::Activate { .. } => Outcome::Done,
        }
    }

    /// What time does to the ledgers.
    pub(super) fn move_ledgers(&mut self, now: Timestamp) {
        self.move_accounts(now);
        self.move_reports(now);
        self.forget_guarantees(now);
        self.expire_packages(now);
    }
}
