//! Entries of the audit trail: who asked for a change, and what it changed.

use std::borrow::Cow;
use std::fmt;

use super::{Day, ItemId, ItemKind, MerchantId, ProfileKey, ProviderId, RequestKey, Timestamp};

/// Subjects that one entry tells of at most; the others are counted.
pub const AUDITED_SUBJECTS: usize = 16;

/// What became of one command that was accepted. Made by `apply`: the same log makes the same entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditEntry {
    /// Revision of the command.
    pub revision: u64,
    /// State time after it.
    pub at: Timestamp,
    /// Whether it is one of bulk data: counts, and no values.
    pub is_bulk: bool,
    /// Whether the server itself asked for it; then there is no identity, address or request id.
    pub by_server: bool,
    /// Who asked for it, and by which request. The method is there always, of the server's own commands their name.
    pub request: RequestKey,
    /// Whose change it is, as the request and the identity say; empty where requests name no author.
    pub author: String,
    /// Why, as the request says.
    pub reason: String,
    /// What it concerned, at most [`AUDITED_SUBJECTS`] in number.
    pub changes: Vec<AuditChange>,
    /// Subjects that it concerned and that are not among these.
    pub more_changes: u64,
    /// What was counted, by name.
    pub counts: Vec<(Cow<'static, str>, u64)>,
}

/// What an entry says of one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditChange {
    /// Which.
    pub subject: AuditSubject,
    /// The fields that changed, as they were: a JSON object. Empty if it was not there, and where values are not kept.
    pub before: String,
    /// The same as they are after it. Empty if it is gone, and where values are not kept.
    pub after: String,
}

/// What a command concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditSubject {
    /// A merchant, item or service provider.
    Profile(ProfileKey),
    /// A programme, by id.
    Programme(String),
    /// A version of the policy.
    Policy(u64),
    /// The kill switch.
    KillSwitch,
    /// A day that is closed.
    Day(Day),
    /// State time.
    Clock,
    /// An import, by id.
    Import(String),
}

impl fmt::Display for AuditSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile(ProfileKey::Merchant(MerchantId(id))) => write!(f, "merchant/{id}"),
            Self::Profile(ProfileKey::Item(ItemId { kind: ItemKind::LiveRoom, id })) => write!(f, "live_room/{id}"),
            Self::Profile(ProfileKey::Item(ItemId { kind: ItemKind::Product, id })) => write!(f, "product/{id}"),
            Self::Profile(ProfileKey::Item(ItemId { kind: ItemKind::ShortVideo, id })) => write!(f, "short_video/{id}"),
            Self::Profile(ProfileKey::Provider(ProviderId(id))) => write!(f, "service_provider/{id}"),
            Self::Programme(id) => write!(f, "programme/{id}"),
            Self::Policy(version) => write!(f, "policy/{version}"),
            Self::KillSwitch => f.write_str("kill_switch"),
            Self::Day(day) => write!(f, "day/{day}"),
            Self::Clock => f.write_str("clock"),
            Self::Import(id) => write!(f, "import/{id}"),
        }
    }
}

impl AuditSubject {
    /// Reads what it is displayed as.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Some((kind, name)) = text.split_once('/') else {
            return match text {
                "kill_switch" => Some(Self::KillSwitch),
                "clock" => Some(Self::Clock),
                _ => None,
            };
        };
        let id = name.parse::<u64>();
        let item = |kind, id| Self::Profile(ProfileKey::Item(ItemId { kind, id }));
        match (kind, id) {
            ("merchant", Ok(id)) => Some(Self::Profile(ProfileKey::Merchant(MerchantId(id)))),
            ("live_room", Ok(id)) => Some(item(ItemKind::LiveRoom, id)),
            ("product", Ok(id)) => Some(item(ItemKind::Product, id)),
            ("short_video", Ok(id)) => Some(item(ItemKind::ShortVideo, id)),
            ("service_provider", Ok(id)) => Some(Self::Profile(ProfileKey::Provider(ProviderId(id)))),
            ("policy", Ok(version)) => Some(Self::Policy(version)),
            ("programme", _) => Some(Self::Programme(name.to_owned())),
            ("import", _) => Some(Self::Import(name.to_owned())),
            ("day", _) => Day::parse(name).map(Self::Day),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AuditSubject, Day};

    #[test]
    fn subjects_read_back_and_others_are_refused() {
        for text in [
            "merchant/5",
            "live_room/18446744073709551615",
            "product/7",
            "short_video/8",
            "service_provider/9",
            "programme/kuai_brand",
            "policy/3",
            "kill_switch",
            "day/2023-02-13",
            "clock",
            "import/a/b",
        ] {
            let subject = AuditSubject::parse(text);
            assert_eq!(subject.map(|subject| subject.to_string()).as_deref(), Some(text));
        }
        let day = Day::parse("2023-02-13").map(AuditSubject::Day);
        assert_eq!(AuditSubject::parse("day/2023-02-13"), day);
        for text in ["", "merchant", "merchant/", "merchant/x", "merchant/-1", "shop/5", "day/2023-02-30", "clock/1"] {
            assert_eq!(AuditSubject::parse(text), None, "{text}");
        }
    }
}
