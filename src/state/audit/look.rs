//! What a subject of the audit trail looks like, and what differs between two looks at it.

use serde_json::{Map, Value, json};

use super::profiles;
use crate::domain::{
    AUDITED_SUBJECTS, AuditChange, AuditSubject, Body, Day, ItemId, MerchantId, NewGuarantee, Profile, ProfileKey,
    Scene, Timestamp, Upsert, Violation,
};
use crate::state::state::State;

/// Bytes of one value that are kept at most.
const MAX_VALUE: usize = 1_000;

/// Fields by name.
pub(super) type Fields = Map<String, Value>;

/// What a subject looks like.
pub(super) enum Look {
    /// A profile; none if it is not registered.
    Profile(Option<Profile>),
    /// What else there is to see. A field that is not there has no value.
    Fields(Fields),
}

/// What a command concerns, before it is applied.
pub(in crate::state) struct Looked {
    pub(super) state_time: Timestamp,
    pub(super) subjects: Vec<(AuditSubject, Look)>,
}

impl State {
    /// Looks at what a command concerns. `state_time` is what it was before the command.
    pub(in crate::state) fn look_before(&self, state_time: Timestamp, body: &Body) -> Looked {
        Looked { state_time, subjects: self.look(body) }
    }

    pub(super) fn look(&self, body: &Body) -> Vec<(AuditSubject, Look)> {
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

    fn violation(&self, merchant: MerchantId, id: u64) -> Option<&Violation> {
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

    /// The same of what has become current.
    pub(super) fn look_again(&self, subject: &AuditSubject) -> (AuditSubject, Look) {
        if let AuditSubject::Day(day) = subject {
            self.look_at_day(*day)
        } else if let AuditSubject::Policy(version) = subject {
            self.look_at_policy(*version)
        } else {
            (subject.clone(), Look::Fields(Fields::new()))
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

    pub(super) fn package_fields(&self, number: u64) -> Fields {
        let Some(row) = self.ledgers.packages.get(&number) else { return Fields::new() };
        let mut package = named("exposures", row.exposures.into());
        package.extend(row.expires_at.map(|at| ("expires_at".to_owned(), at.to_string().into())));
        named(&format!("package {number}"), Value::Object(package))
    }
}

/// The first keys of a batch, each once, and how many of its profiles have one of them.
pub(super) fn first_keys(profiles: &[Upsert]) -> (Vec<ProfileKey>, usize) {
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

pub(super) fn named(name: &str, value: Value) -> Fields {
    std::iter::once((name.to_owned(), value)).collect()
}

/// What differs between two looks at a subject.
pub(super) fn change(subject: AuditSubject, before: &Look, after: &Look) -> AuditChange {
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
    Value::Object(differing.map(|(name, value)| (name.clone(), short(value.clone()))).collect())
}

/// A value that is not too long to be kept with every change; of a longer one its beginning, as text.
pub(super) fn short(value: Value) -> Value {
    let text = match &value {
        Value::Null | Value::Bool(_) | Value::Number(_) => return value,
        Value::String(text) if text.len() <= MAX_VALUE => return value,
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    if text.len() <= MAX_VALUE {
        return value;
    }
    let begins = text.char_indices().take_while(|(at, _)| *at < MAX_VALUE).map(|(_, c)| c).collect::<String>();
    Value::from(format!("{begins}… ({} bytes)", text.len()))
}
