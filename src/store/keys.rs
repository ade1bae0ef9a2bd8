//! Key layouts. Numbers are big-endian, so that keys sort like what they stand for.

use fjall::UserKey;
use xxhash_rust::xxh3::xxh3_128;

use crate::domain::{Day, FactKey, MerchantId, ProfileKey, RequestKey, Subject};
use crate::record::{kind_of_profile, kind_of_subject, pb, profile_key, subject};

/// Keys of the keyspace `meta`.
pub(super) const APPLIED: &[u8] = b"applied";
pub(super) const CLOCK: &[u8] = b"clock";
pub(super) const DICTIONARY: &[u8] = b"dictionary";
pub(super) const SOFT: &[u8] = b"soft";
pub(super) const PROVIDER_RANKS: &[u8] = b"provider_ranks";
pub(super) const POLICY: &[u8] = b"policy";
pub(super) const LEDGER: &[u8] = b"ledger";

/// Length of a facts key: day, kind, id.
const FACTS_LEN: usize = 13;

/// Day (sign flipped), kind, id: a day's rows are neighbours.
pub(super) fn facts(key: FactKey) -> UserKey {
    facts_bytes(key).into()
}

/// The same as plain bytes, for sorting.
pub(super) fn facts_bytes(key: FactKey) -> [u8; FACTS_LEN] {
    let (kind, id) = kind_of_subject(key.subject);
    let mut bytes = [0; FACTS_LEN];
    let parts = day(key.day).into_iter().chain([kind_byte(kind)]).chain(id.to_be_bytes());
    for (byte, part) in bytes.iter_mut().zip(parts) {
        *byte = part;
    }
    bytes
}

/// Reads a facts key.
pub(super) fn read_facts(key: &[u8]) -> Option<FactKey> {
    let (day, rest) = key.split_first_chunk::<4>()?;
    let (kind, id) = read_kind(rest)?;
    Some(FactKey { day: Day(i32::from_be_bytes(*day) ^ i32::MIN), subject: subject(kind, id)? })
}

/// Before every facts key of a day.
pub(super) fn facts_begin(of: Day) -> [u8; FACTS_LEN] {
    let mut bytes = [0; FACTS_LEN];
    for (byte, part) in bytes.iter_mut().zip(day(of)) {
        *byte = part;
    }
    bytes
}

/// After every facts key of a day.
pub(super) fn facts_end(of: Day) -> [u8; FACTS_LEN] {
    let mut bytes = [u8::MAX; FACTS_LEN];
    for (byte, part) in bytes.iter_mut().zip(day(of)) {
        *byte = part;
    }
    bytes
}

fn day(day: Day) -> [u8; 4] {
    (day.0 ^ i32::MIN).to_be_bytes()
}

/// Kind, id: merchants come first.
pub(super) fn profile(key: ProfileKey) -> UserKey {
    let (kind, id) = kind_of_profile(key);
    let mut bytes = [0; 9];
    for (byte, part) in bytes.iter_mut().zip([kind_byte(kind)].into_iter().chain(id.to_be_bytes())) {
        *byte = part;
    }
    bytes.into()
}

/// The first key that a profile of another kind than a merchant can have.
pub(super) fn profiles_behind_merchants() -> UserKey {
    [kind_byte(pb::Kind::Merchant).saturating_add(1)].into()
}

/// Reads a profile's key.
pub(super) fn read_profile(key: &[u8]) -> Option<ProfileKey> {
    let (kind, id) = read_kind(key)?;
    profile_key(kind, id)
}

/// A merchant's id; kind and id of an item.
pub(super) fn holder(subject: Subject) -> UserKey {
    match subject {
        Subject::Merchant(id) => merchant(id),
        Subject::Item(item) => profile(ProfileKey::Item(item)),
    }
}

/// The first key that windows of an item can have.
pub(super) fn windows_of_items() -> UserKey {
    [1].into()
}

/// Reads what [`holder`] makes.
pub(super) fn read_holder(key: &[u8]) -> Option<Subject> {
    if let Some(id) = read_merchant(key) {
        return Some(Subject::Merchant(id));
    }
    match read_profile(key)? {
        ProfileKey::Item(item) => Some(Subject::Item(item)),
        ProfileKey::Merchant(_) | ProfileKey::Provider(_) => None,
    }
}

/// A merchant's id.
pub(super) fn merchant(id: MerchantId) -> UserKey {
    id.0.to_be_bytes().into()
}

/// Reads a merchant's id.
pub(super) fn read_merchant(key: &[u8]) -> Option<MerchantId> {
    Some(MerchantId(u64::from_be_bytes(key.try_into().ok()?)))
}

/// Merchant, violation.
pub(super) fn violation(merchant: MerchantId, violation: u64) -> UserKey {
    (u128::from(merchant.0) << 64 | u128::from(violation)).to_be_bytes().into()
}

/// The hash of a request's parts; the value keeps them.
pub(super) fn request(key: &RequestKey) -> UserKey {
    let mut parts = Vec::new();
    for part in [&key.identity, &key.method, &key.request_id] {
        // The length keeps ("a", "bc") and ("ab", "c") apart.
        parts.extend(part.len().to_be_bytes());
        parts.extend(part.as_bytes());
    }
    xxh3_128(&parts).to_be_bytes().into()
}

/// The hash of an import's id, which may be of any length; the value keeps it.
pub(super) fn import(id: &str) -> UserKey {
    xxh3_128(id.as_bytes()).to_be_bytes().into()
}

/// A policy's version.
pub(super) fn policy(version: u64) -> UserKey {
    version.to_be_bytes().into()
}

/// Kind of an audit entry, revision.
pub(super) fn audit(is_bulk: bool, revision: u64) -> UserKey {
    let mut bytes = [0; 9];
    for (byte, part) in bytes.iter_mut().zip([u8::from(is_bulk)].into_iter().chain(revision.to_be_bytes())) {
        *byte = part;
    }
    bytes.into()
}

/// Reads the key of an audit entry.
pub(super) fn read_audit(key: &[u8]) -> Option<(bool, u64)> {
    let (kind, revision) = key.split_first()?;
    let is_bulk = match kind {
        0 => false,
        1 => true,
        _ => return None,
    };
    Some((is_bulk, u64::from_be_bytes(revision.try_into().ok()?)))
}

fn kind_byte(kind: pb::Kind) -> u8 {
    // All kinds are below 256.
    u8::try_from(i32::from(kind)).unwrap_or(0)
}

fn read_kind(key: &[u8]) -> Option<(pb::Kind, u64)> {
    let (kind, id) = key.split_first()?;
    let kind = pb::Kind::try_from(i32::from(*kind)).ok()?;
    Some((kind, u64::from_be_bytes(id.try_into().ok()?)))
}
