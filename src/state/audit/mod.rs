//! The audit trail: every command that was accepted makes one entry. What a command concerns is looked at before and
//! after it is applied, and the entry holds the difference.
//!
//! Entries follow from the log alone, so that a replay makes the same ones. Nothing decides by them.

mod profiles;

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::state::State;
use crate::domain::{
    AUDITED_SUBJECTS, AuditChange, AuditEntry, AuditSubject, Body, ChunkOutcome, Command, Day, FactRow, ItemId,
    MerchantId, NewGuarantee, Outcome, Profile, ProfileKey, Rejection, ReportOutcome, RequestKey, Scene, Subject,
    Timestamp, Upsert,
};

/// Fields by name.
type Fields = Map<String, Value>;

/// What a subject looks like.
enum Look {
    /// A profile; none if it is not registered.
    Profile(Option<Profile>),
    /// What else there is to see. A field that is not there has no value.
    Fields(Fields),
}

/// What a command concerns, before it is applied.
pub(super) struct Looked {
    state_time: Timestamp,
    subjects: Vec<(AuditSubject, Look)>,
}

impl State {
    /// Looks at what a command concerns. `state_time` is what it was before the command.
    pub(super) fn look_before(&self, state_time: Timestamp, body: &Body) -> Looked {
        Looked { state_time, subjects: self.look(body) }
    }

    fn look(&self, body: &Body) -> Vec<(AuditSubject, Look)> {
        match body {
            Body::UpsertProfiles { profiles, .. } => {
                let (keys, _) = first_keys(profiles);
                keys.into_iter().map(|key| self.look_at_profile(key)).collect()
            }
            Body::DeleteProfile { key, .. } => vec![self.look_at_profile(*key)],
            Body::RecordViolation(violation) => {
                self.look_at_violation(violation.merchant, violation.id, violation.item)
            }
            Body::RevokeViolation { merchant, violation_id } => {
                let item = self.violation(*merchant, *violation_id).and_then(|violation| violation.item);
                self.look_at_violation(*merchant, *violation_id, item)
            }
            Body::SetRights { merchant, .. } => vec![self.look_at_rights(*merchant)],
            Body::CloseDay { day } => vec![self.look_at_day(*day)],
            // The version of a text is known when it is published.
            Body::PublishPolicy(_) => vec![self.look_at_policy(0)],
            Body::RollbackPolicy { version, .. } => vec![self.look_at_policy(*version)],
            Body::SetKillSwitch { .. } => vec![self.look_at_kill_switch()],
            Body::Activate { .. } => self.look_at_transition(),
            Body::ChangeProgramme { programme, .. } => vec![self.look_at_programme(programme)],
            Body::BeginGuarantees { bit, guarantees } => self.look_at_guarantees(*bit, guarantees),
            Body::AssignPackage { merchant, scene, .. } => vec![self.look_at_packages(*merchant, *scene)],
            Body::Tick
            | Body::RecordFacts { .. }
            | Body::ImportChunk { .. }
            | Body::OpenSession
            | Body::RenewLeases { .. }
            | Body::ReportExposures { .. }
            | Body::GrantPackage { .. } => Vec::new(),
        }
    }

    /// Makes the entry of a command that was applied, unless it was refused or changes nothing that anybody asked for.
    pub(super) fn audit(&mut self, revision: u64, command: &Command, outcome: &Outcome, before: Looked) {
        let is_of_interest = match (&command.body, outcome) {
            (_, Outcome::Rejected(_)) => false,
            (_, Outcome::Items(results)) => results.iter().any(Result::is_ok),
            (_, Outcome::Chunk(chunk)) => !chunk.skipped,
            (_, Outcome::Policy(outcome)) => !outcome.is_unchanged,
            (_, Outcome::Report(report)) => !report.is_duplicate,
            (Body::OpenSession | Body::RenewLeases { .. }, _) => false,
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
        let after = match &command.body {
            // What was being prepared is known before it only.
            Body::Activate { .. } => before.subjects.iter().map(|(subject, _)| self.look_again(subject)).collect(),
            body => self.look(body),
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

    fn look_at_profile(&self, key: ProfileKey) -> (AuditSubject, Look) {
        (AuditSubject::Profile(key), Look::Profile(self.profile(key)))
    }

    /// A violation stands with its merchant, and with the item it is about.
    fn look_at_violation(&self, merchant: MerchantId, id: u64, item: Option<ItemId>) -> Vec<(AuditSubject, Look)> {
        let look = || {
            let violation = self.violation(merchant, id);
            let fields = violation.map(|violation| named(&format!("violation {id}"), profiles::violation(violation)));
            Look::Fields(fields.unwrap_or_default())
        };
        let keys = [Some(ProfileKey::Merchant(merchant)), item.map(ProfileKey::Item)];
        keys.into_iter().flatten().map(|key| (AuditSubject::Profile(key), look())).collect()
    }

    fn violation(&self, merchant: MerchantId, id: u64) -> Option<&crate::domain::Violation> {
        self.merchant(merchant)?.violations.iter().find(|violation| violation.id == id)
    }

    fn look_at_rights(&self, merchant: MerchantId) -> (AuditSubject, Look) {
        let rights = self.merchant(merchant).map(|entry| entry.rights.as_slice()).unwrap_or_default();
        let rights = rights.iter().map(profiles::right).collect();
        let subject = AuditSubject::Profile(ProfileKey::Merchant(merchant));
        (subject, Look::Fields(named("rights", Value::Array(rights))))
    }

    fn look_at_day(&self, day: Day) -> (AuditSubject, Look) {
        let is_closing = self.transition.as_ref().is_some_and(|transition| transition.facts_day >= day);
        let state = match self.meta.facts_day {
            Some(last) if day <= last => "closed",
            _ if is_closing => "closing",
            _ => "open",
        };
        let mut fields = named("state", state.into());
        fields.extend(self.meta.facts_day.map(|last| ("last_closed".to_owned(), last.to_string().into())));
        (AuditSubject::Day(day), Look::Fields(fields))
    }

    /// Which versions serve and are to serve.
    fn look_at_policy(&self, version: u64) -> (AuditSubject, Look) {
        let serving = self.policy.version;
        let preparing = self.transition.as_ref().map(|transition| transition.policy.version);
        let pending = self.meta.pending;
        let numbers = [
            ("serving", Some(serving).filter(|serving| *serving > 0)),
            ("preparing", preparing.filter(|preparing| *preparing != serving)),
            ("scheduled", pending.map(|pending| pending.version)),
        ];
        let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name.to_owned(), number?.into())));
        let time = pending.map(|pending| ("scheduled_at".to_owned(), pending.effective_at.to_string().into()));
        (AuditSubject::Policy(version), Look::Fields(numbers.chain(time).collect()))
    }

    fn look_at_kill_switch(&self) -> (AuditSubject, Look) {
        let switch = self.meta.kill_switch.as_ref();
        let mut fields = named("on", switch.is_some().into());
        if let Some(switch) = switch {
            fields.extend(named("since", switch.since.to_string().into()));
            fields.extend(named("author", switch.author.as_str().into()));
            fields.extend(named("reason", switch.reason.as_str().into()));
        }
        (AuditSubject::KillSwitch, Look::Fields(fields))
    }

    /// What becomes current: a day, a policy, or both.
    fn look_at_transition(&self) -> Vec<(AuditSubject, Look)> {
        let Some(transition) = &self.transition else { return Vec::new() };
        let day = Some(transition.facts_day).filter(|day| *day > self.facts_day());
        let version = Some(transition.policy.version).filter(|version| *version != self.policy.version);
        let day = day.map(|day| self.look_at_day(day));
        day.into_iter().chain(version.map(|version| self.look_at_policy(version))).collect()
    }

    fn look_again(&self, subject: &AuditSubject) -> (AuditSubject, Look) {
        match subject {
            AuditSubject::Day(day) => self.look_at_day(*day),
            AuditSubject::Policy(version) => self.look_at_policy(*version),
            other => (other.clone(), Look::Fields(Fields::new())),
        }
    }

    fn look_at_programme(&self, id: &str) -> (AuditSubject, Look) {
        let bit = self.programme_named(id).map(|(_, programme)| programme.bit);
        let adjusted = bit.map(|bit| self.adjusted(bit)).unwrap_or_default();
        let is_paused = bit.and_then(|bit| self.switch(bit)).is_some_and(|row| row.is_paused);
        let mut fields = named("paused", is_paused.into());
        fields.extend(adjusted.exposures.map(|own| ("budget".to_owned(), own.into())));
        for (scene, own) in Scene::ALL.into_iter().zip(adjusted.by_scene) {
            fields.extend(own.map(|own| (format!("budget in {}", scene.name()), own.into())));
        }
        (AuditSubject::Programme(id.to_owned()), Look::Fields(fields))
    }

    fn look_at_guarantees(&self, bit: u8, guarantees: &[NewGuarantee]) -> Vec<(AuditSubject, Look)> {
        let programme = self.programme_at(bit).map_or_else(|| format!("bit {bit}"), |programme| programme.id.clone());
        let look = |guarantee: &NewGuarantee| {
            let merchant = guarantee.merchant;
            let running = self.guarantee_at(bit, merchant, self.meta.now);
            let fields = running.map(|(key, row)| {
                let (from, until) = (key.from.to_string(), row.until.to_string());
                named(
                    &format!("guarantee of {programme}"),
                    json!({"exposures": row.target, "from": from, "until": until, "feasible": row.is_feasible}),
                )
            });
            (AuditSubject::Profile(ProfileKey::Merchant(merchant)), Look::Fields(fields.unwrap_or_default()))
        };
        guarantees.iter().take(AUDITED_SUBJECTS).map(look).collect()
    }

    fn look_at_packages(&self, merchant: MerchantId, scene: Scene) -> (AuditSubject, Look) {
        let unassigned = self.packages(merchant).fold(0_u64, |sum, (_, row)| sum.saturating_add(row.unassigned));
        let assigned = self.wallet(merchant, scene).map_or(0, |wallet| wallet.granted);
        let mut fields = named("packages unassigned", unassigned.into());
        fields.extend(named(&format!("packages in {}", scene.name()), assigned.into()));
        (AuditSubject::Profile(ProfileKey::Merchant(merchant)), Look::Fields(fields))
    }

    fn package_fields(&self, number: u64) -> Fields {
        let Some(row) = self.ledgers.packages.get(&number) else { return Fields::new() };
        let mut package = named("exposures", row.exposures.into());
        package.extend(row.expires_at.map(|at| ("expires_at".to_owned(), at.to_string().into())));
        named(&format!("package {number}"), Value::Object(package))
    }
}

/// An entry that says who asked, and why.
fn entry_of(revision: u64, at: Timestamp, command: &Command) -> AuditEntry {
    let (method, is_bulk) = described(&command.body);
    let (author, reason) = match &command.body {
        Body::PublishPolicy(publish) => (publish.author.as_str(), publish.comment.as_str()),
        Body::RollbackPolicy { author, reason, .. }
        | Body::SetKillSwitch { author, reason, .. }
        | Body::ChangeProgramme { author, reason, .. }
        | Body::GrantPackage { author, reason, .. } => (author.as_str(), reason.as_str()),
        _ => ("", ""),
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

/// The first keys of a batch, each once, and how many of its profiles have one of them.
fn first_keys(profiles: &[Upsert]) -> (Vec<ProfileKey>, usize) {
    let mut keys = Vec::with_capacity(profiles.len().min(AUDITED_SUBJECTS));
    for (position, upsert) in profiles.iter().enumerate() {
        let key = upsert.profile.key();
        if keys.contains(&key) {
            continue;
        }
        if keys.len() == AUDITED_SUBJECTS {
            return (keys, position);
        }
        keys.push(key);
    }
    (keys, profiles.len())
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

fn named(name: &str, value: Value) -> Fields {
    std::iter::once((name.to_owned(), value)).collect()
}

/// What differs between two looks at a subject.
fn change(subject: AuditSubject, before: &Look, after: &Look) -> AuditChange {
    let (before, after) = match (before, after) {
        (Look::Profile(before), Look::Profile(after)) => profiles::differences(before.as_ref(), after.as_ref()),
        (Look::Fields(before), Look::Fields(after)) => {
            (differing(before, after).to_string(), differing(after, before).to_string())
        }
        // A subject is looked at in one way.
        _ => (String::new(), String::new()),
    };
    AuditChange { subject, before, after }
}

/// The fields that are not the same in another look.
fn differing(fields: &Fields, other: &Fields) -> Value {
    let differing = fields.iter().filter(|(name, value)| other.get(*name) != Some(value));
    Value::Object(differing.map(|(name, value)| (name.clone(), value.clone())).collect())
}
