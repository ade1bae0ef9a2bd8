//! Profiles, violations and rights as the audit trail shows them: fields in JSON, ids as text since many readers of JSON
//! keep numbers as f64, instants in Asia/Shanghai.

use serde_json::{Map, Value, json};

use super::look::short;
use crate::domain::{
    Capability, Decision, Enrolment, HeldRight, MerchantId, MerchantKind, Profile, ProviderId, Timestamp, Violation,
    Words,
};

/// The fields in which a profile differs from what it was, before and after: JSON objects, empty where it is not there.
/// Fields that hold nothing are left out.
pub(super) fn differences(before: Option<&Profile>, after: Option<&Profile>) -> (String, String) {
    let mut found = Differences::default();
    found.of(before, after);
    let text = |profile: Option<&Profile>, fields| profile.map(|_| Value::Object(fields).to_string());
    (text(before, found.before).unwrap_or_default(), text(after, found.after).unwrap_or_default())
}

/// Fields that differ.
#[derive(Default)]
struct Differences {
    before: Map<String, Value>,
    after: Map<String, Value>,
}

/// Compares fields of two profiles of one kind, under the names that field masks have.
macro_rules! compare {
    ($found:ident, $before:expr, $after:expr, $($name:literal: $field:ident),+) => {{
        let (before, after) = ($before, $after);
        $($found.field(
            $name,
            before.as_ref().map(|profile| &profile.$field),
            after.as_ref().map(|profile| &profile.$field),
        );)+
    }};
}

/// The part of both profiles that is of a kind; none where they are not.
macro_rules! of_kind {
    ($before:ident, $after:ident, $kind:ident) => {
        (
            $before.and_then(|profile| if let Profile::$kind(profile) = profile { Some(profile) } else { None }),
            $after.and_then(|profile| if let Profile::$kind(profile) = profile { Some(profile) } else { None }),
        )
    };
}

impl Differences {
    /// Both are of one kind: keys differ by kind.
    fn of(&mut self, before: Option<&Profile>, after: Option<&Profile>) {
        match after.or(before) {
            Some(Profile::Merchant(_)) => {
                let (a, b) = of_kind!(before, after, Merchant);
                compare!(self, a, b, "name": name, "kind": kind, "opened_at": opened_at, "categories": categories,
                    "region": region, "origin_belt": origin_belt, "fan_count": fan_count,
                    "service_provider_id": service_provider, "tags": tags,
                    "prior_identity_violation": prior_identity_violation, "enrolments": enrolments);
            }
            Some(Profile::Product(_)) => {
                let (a, b) = of_kind!(before, after, Product);
                compare!(self, a, b, "name": name, "merchant_id": merchant, "promoter_ids": promoters,
                    "categories": categories, "listed_at": listed_at, "tags": tags, "virtual": is_virtual);
            }
            Some(Profile::LiveRoom(_)) => {
                let (a, b) = of_kind!(before, after, LiveRoom);
                compare!(self, a, b, "merchant_id": merchant, "anchor": anchor, "tags": tags,
                    "started_at": started_at, "ended_at": ended_at);
            }
            Some(Profile::ShortVideo(_)) => {
                let (a, b) = of_kind!(before, after, ShortVideo);
                compare!(self, a, b, "merchant_id": merchant, "tags": tags, "posted_at": posted_at);
            }
            Some(Profile::Provider(_)) => {
                let (a, b) = of_kind!(before, after, Provider);
                compare!(self, a, b, "name": name, "capabilities": capabilities, "tags": tags);
            }
            None => {}
        }
    }

    fn field<T: Shown + PartialEq>(&mut self, name: &str, before: Option<&T>, after: Option<&T>) {
        if before != after {
            self.before.extend(before.and_then(Shown::shown).map(|value| (name.to_owned(), short(value))));
            self.after.extend(after.and_then(Shown::shown).map(|value| (name.to_owned(), short(value))));
        }
    }
}

/// A value that JSON can show; none if it holds nothing.
trait Shown {
    fn shown(&self) -> Option<Value>;
}

impl Shown for String {
    fn shown(&self) -> Option<Value> {
        (!self.is_empty()).then(|| Value::from(self.as_str()))
    }
}

impl Shown for u64 {
    fn shown(&self) -> Option<Value> {
        (*self > 0).then(|| Value::from(*self))
    }
}

impl Shown for bool {
    fn shown(&self) -> Option<Value> {
        self.then_some(Value::Bool(true))
    }
}

impl Shown for MerchantId {
    fn shown(&self) -> Option<Value> {
        Some(Value::from(self.0.to_string()))
    }
}

impl Shown for Option<ProviderId> {
    fn shown(&self) -> Option<Value> {
        self.map(|id| Value::from(id.0.to_string()))
    }
}

impl Shown for Option<Timestamp> {
    fn shown(&self) -> Option<Value> {
        self.map(|at| Value::from(at.to_string()))
    }
}

impl Shown for MerchantKind {
    fn shown(&self) -> Option<Value> {
        let kind = match self {
            Self::Ordinary => "ordinary",
            Self::KuaiBrand => "kuai_brand",
            Self::Brand => "brand",
        };
        Some(Value::from(kind))
    }
}

impl Shown for Words {
    fn shown(&self) -> Option<Value> {
        (!self.is_empty()).then(|| Value::from(self.to_vec()))
    }
}

impl Shown for Vec<MerchantId> {
    fn shown(&self) -> Option<Value> {
        (!self.is_empty()).then(|| self.iter().map(|id| id.0.to_string()).collect())
    }
}

impl Shown for Vec<Enrolment> {
    fn shown(&self) -> Option<Value> {
        let enrolments =
            self.iter().map(|enrolment| json!({"list": enrolment.list, "date": enrolment.day.to_string()}));
        (!self.is_empty()).then(|| enrolments.collect())
    }
}

impl Shown for Option<[u8; 5]> {
    fn shown(&self) -> Option<Value> {
        let scores = self.as_ref()?;
        let named = Capability::ALL.iter().zip(scores);
        Some(Value::Object(named.map(|(what, score)| (what.name().to_owned(), (*score).into())).collect()))
    }
}

/// A violation as it stands.
pub(super) fn violation(violation: &Violation) -> Value {
    let decision = match violation.decision {
        Decision::Applied => "applied",
        Decision::Waived => "waived",
        Decision::Exempt => "exempt",
    };
    json!({
        "type": violation.kind, "occurred_at": violation.occurred_at.to_string(),
        "effective_from": violation.effective_from.to_string(),
        "effective_until": violation.effective_until.map(|until| until.to_string()),
        "decision": decision, "revoked": violation.revoked,
    })
}

/// A right as it is held.
pub(super) fn right(right: &HeldRight) -> Value {
    json!({
        "right": right.right, "from": right.from.to_string(), "until": right.until.map(|until| until.to_string()),
    })
}
