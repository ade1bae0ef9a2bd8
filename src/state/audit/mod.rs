//! The audit trail: every command that was accepted makes one entry. What a command concerns is looked at before and
//! after it is applied, and the entry holds the difference.
//!
//! Entries follow from the log alone, so that a replay makes the same ones. Nothing decides by them.

mod look;
mod profiles;

use std::borrow::Cow;

use look::{Fields, Look, Looked, change, first_keys, named};

use super::state::State;
use crate::domain::{
    AUDITED_SUBJECTS, AuditChange, AuditEntry, AuditSubject, Body, ChunkOutcome, Command, FactRow, Outcome, ProfileKey,
    Rejection, ReportOutcome, RequestKey, Subject, Timestamp, Upsert,
};

impl State {
    /// Makes the entry of a command that was applied, unless it was refused or changes nothing that anybody asked for.
    pub(super) fn audit(&mut self, revision: u64, command: &Command, outcome: &Outcome, before: Looked) {
        let is_of_interest = match (&command.body, outcome) {
            (_, Outcome::Rejected(_)) | (Body::OpenSession | Body::RenewLeases { .. }, _) => false,
            (_, Outcome::Items(results)) => results.iter().any(Result::is_ok),
            (_, Outcome::Chunk(chunk)) => !chunk.skipped,
            (_, Outcome::Policy(outcome)) => !outcome.is_unchanged,
            (_, Outcome::Report(report)) => !report.is_duplicate,
            // Time that somebody moved.
            (Body::Tick, _) => command.request.is_some(),
            _ => true,
        };
        if !is_of_interest {
            return;
        }
        let mut entry = entry_of(revision, self.meta.now, command);
        if let Body::Tick = &command.body {
            let fields = |time: Timestamp| Look::Fields(named("state_time", time.to_string().into()));
            entry.changes = vec![change(AuditSubject::Clock, &fields(before.state_time), &fields(self.meta.now))];
        }
        let after = if let Body::Activate { .. } = &command.body {
            // What was being prepared is known before it only.
            before.subjects.iter().map(|(subject, _)| self.look_again(subject)).collect()
        } else {
            self.look(&command.body)
        };
        let both = before.subjects.into_iter().zip(after);
        entry.changes.extend(both.map(|((subject, before), (_, after))| change(subject, &before, &after)));
        self.complete(&mut entry, &command.body, outcome);
        self.changes.audit.push(entry);
    }

    /// Adds what only the outcome tells.
    fn complete(&self, entry: &mut AuditEntry, body: &Body, outcome: &Outcome) {
        match (body, outcome) {
            (Body::UpsertProfiles { profiles, .. }, Outcome::Items(results)) => keep_taken(entry, profiles, results),
            (Body::BeginGuarantees { bit, .. }, Outcome::Items(results)) => {
                let mut taken = results.iter().map(Result::is_ok);
                entry.changes.retain(|_| taken.next().unwrap_or(false));
                let all = results.iter().filter(|result| result.is_ok()).count() as u64;
                entry.more_changes = all - (entry.changes.len() as u64).min(all);
                count(entry, &[("guarantees", all)]);
                let programme = self.programme_at(*bit).map(|programme| programme.id.clone());
                entry.changes.extend(programme.map(|id| mention(AuditSubject::Programme(id))));
            }
            (Body::RecordFacts { rows }, Outcome::Items(results)) => {
                let taken = results.iter().filter(|result| result.is_ok()).count();
                count(entry, &[("facts", taken as u64), ("refused", (results.len() - taken) as u64)]);
                mention_all(entry, rows, results);
            }
            (Body::ImportChunk { import_id, sequence, profiles, rows }, Outcome::Chunk(chunk)) => {
                entry.changes = vec![mention(AuditSubject::Import(import_id.clone()))];
                count_chunk(entry, *sequence, [profiles.len(), rows.len()], chunk);
            }
            (Body::ReportExposures { rows }, Outcome::Report(report)) => count_report(entry, rows.len(), report),
            (Body::PublishPolicy(_), Outcome::Policy(outcome)) => {
                for change in &mut entry.changes {
                    change.subject = AuditSubject::Policy(outcome.version);
                }
            }
            (Body::GrantPackage { merchant, .. }, Outcome::Package(number)) => {
                let after = self.package_fields(*number);
                let subject = AuditSubject::Profile(ProfileKey::Merchant(*merchant));
                entry.changes = vec![change(subject, &Look::Fields(Fields::new()), &Look::Fields(after))];
            }
            _ => {}
        }
    }
}

/// An entry that says who asked, and why.
fn entry_of(revision: u64, at: Timestamp, command: &Command) -> AuditEntry {
    let (method, is_bulk) = described(&command.body);
    let (author, reason) = if let Body::PublishPolicy(publish) = &command.body {
        (publish.author.as_str(), publish.comment.as_str())
    } else if let Body::RollbackPolicy { author, reason, .. }
    | Body::SetKillSwitch { author, reason, .. }
    | Body::ChangeProgramme { author, reason, .. }
    | Body::GrantPackage { author, reason, .. } = &command.body
    {
        (author.as_str(), reason.as_str())
    } else {
        ("", "")
    };
    let own = || RequestKey { method: method.to_owned(), ..RequestKey::default() };
    let asked = command.request.as_ref().map(|request| RequestKey { payload_hash: 0, ..request.clone() });
    AuditEntry {
        revision,
        at,
        is_bulk,
        by_server: command.request.is_none(),
        request: asked.unwrap_or_else(own),
        author: author.to_owned(),
        reason: reason.to_owned(),
        ..AuditEntry::default()
    }
}

/// What a command is called where the server itself writes it, and whether its entry is one of bulk data.
fn described(body: &Body) -> (&'static str, bool) {
    match body {
        Body::Tick => ("AdvanceClock", false),
        Body::UpsertProfiles { .. } => ("UpsertProfiles", false),
        Body::DeleteProfile { .. } => ("DeleteProfile", false),
        Body::RecordFacts { .. } => ("RecordFacts", true),
        Body::RecordViolation(_) => ("RecordViolation", false),
        Body::RevokeViolation { .. } => ("RevokeViolation", false),
        Body::SetRights { .. } => ("SetRights", false),
        Body::ImportChunk { .. } => ("Import", true),
        Body::CloseDay { .. } => ("CloseDay", false),
        Body::PublishPolicy(_) => ("PublishPolicy", false),
        Body::RollbackPolicy { .. } => ("RollbackPolicy", false),
        Body::SetKillSwitch { .. } => ("SetKillSwitch", false),
        Body::Activate { .. } => ("Activate", false),
        Body::OpenSession => ("OpenSession", false),
        Body::RenewLeases { .. } => ("RenewLeases", false),
        Body::ReportExposures { .. } => ("ReportExposures", true),
        Body::ChangeProgramme { .. } => ("ChangeProgramme", false),
        Body::BeginGuarantees { .. } => ("BeginGuarantees", false),
        Body::GrantPackage { .. } => ("GrantPackage", false),
        Body::AssignPackage { .. } => ("AssignPackage", false),
    }
}

/// Leaves out the profiles that were refused, and counts those that the entry does not tell of.
fn keep_taken(entry: &mut AuditEntry, profiles: &[Upsert], results: &[Result<(), Rejection>]) {
    let (_, told) = first_keys(profiles);
    let (first, others) = results.split_at(told.min(results.len()));
    let is_ok = |result: &&Result<(), Rejection>| result.is_ok();
    entry.more_changes = others.iter().filter(is_ok).count() as u64;
    let all = entry.more_changes + first.iter().filter(is_ok).count() as u64;
    let taken = |subject: &AuditSubject| {
        let of_subject = profiles.iter().zip(first).filter(|(upsert, _)| {
            let key = upsert.profile.key();
            *subject == AuditSubject::Profile(key)
        });
        of_subject.into_iter().any(|(_, result)| result.is_ok())
    };
    entry.changes.retain(|change| taken(&change.subject));
    count(entry, &[("profiles", all), ("refused", results.len() as u64 - all)]);
}

/// Names whom a few facts are about; of many only the number is kept.
fn mention_all(entry: &mut AuditEntry, rows: &[FactRow], results: &[Result<(), Rejection>]) {
    if rows.len() > AUDITED_SUBJECTS {
        return;
    }
    for (row, _) in rows.iter().zip(results).filter(|(_, result)| result.is_ok()) {
        let subject = AuditSubject::Profile(match row.subject {
            Subject::Merchant(id) => ProfileKey::Merchant(id),
            Subject::Item(item) => ProfileKey::Item(item),
        });
        if entry.changes.iter().all(|change| change.subject != subject) {
            entry.changes.push(mention(subject));
        }
    }
}

fn count_chunk(entry: &mut AuditEntry, sequence: u64, sent: [usize; 2], chunk: &ChunkOutcome) {
    let [profiles, rows] = sent;
    let refused = [chunk.profiles.len(), chunk.rows.len()];
    count(
        entry,
        &[
            ("sequence", sequence),
            ("profiles", (profiles - refused[0].min(profiles)) as u64),
            ("facts", (rows - refused[1].min(rows)) as u64),
            ("refused", (refused[0] + refused[1]) as u64),
        ],
    );
}

fn count_report(entry: &mut AuditEntry, rows: usize, report: &ReportOutcome) {
    count(
        entry,
        &[
            ("rows", rows as u64),
            ("exposures", report.exposures),
            ("late", report.late),
            ("unattributed", report.unattributed),
            ("over_budget", report.over_budget),
            ("mismatched", report.mismatched),
        ],
    );
}

/// Adds the counts that are not 0.
fn count(entry: &mut AuditEntry, counts: &[(&'static str, u64)]) {
    let counted = counts.iter().filter(|(_, count)| *count > 0);
    entry.counts.extend(counted.map(|(name, count)| (Cow::Borrowed(*name), *count)));
}

/// A subject without values.
fn mention(subject: AuditSubject) -> AuditChange {
    AuditChange { subject, before: String::new(), after: String::new() }
}
