//! Writes of every kind, of which the n-th follows from n alone, and the check of what a failure left of them.

use std::path::Path;

use trustflow::domain::{
    AuditEntry, Body, Day, DayFacts, Decision, ExposureRow, FactRow, Merchant, MerchantId, MerchantKind, Outcome,
    ProfileKey, ProgrammeChange, Rejection, RequestKey, Scene, Subject, TargetKind, Timestamp, Upsert, Violation,
    Words,
};
use trustflow::engine::{Engine, WriteError, WriterSettings, recover};
use trustflow::state::State;
use trustflow::store::{AuditRange, AuditRetention, DataFolder, Store};

use crate::spending::spending_policy;

/// The whole log is kept, so that it can be replayed at the end.
pub(crate) const SETTINGS: WriterSettings =
    WriterSettings { node: 1, log_retain: 1_000_000_000, close_days: false, audit: AuditRetention::DEFAULT };

/// Writes that are on their way at a time: they are committed as groups.
const AT_A_TIME: u64 = 4;
const MERCHANTS: u64 = 3;
/// Every so many-th write is one of those that touch every merchant.
const ROUND: u64 = 24;

/// A write that was acknowledged, and the revision it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) n: u64,
    /// 0 if it was told to wait, which is no outcome.
    pub(crate) revision: u64,
}

/// The n-th write. `began` is an instant that stays the same for a folder.
pub(crate) fn body(n: u64, began: Timestamp, state: &State) -> Body {
    let id = MerchantId(1 + n % MERCHANTS);
    let (author, reason) = ("ops".to_owned(), format!("the {n}th write"));
    let push = "push".to_owned();
    match (n % ROUND, n % 6) {
        _ if n <= 1 => Body::PublishPolicy(spending_policy(0).into()),
        (5, _) => Body::PublishPolicy(spending_policy(usize::try_from(n / ROUND % 4).expect("small")).into()),
        (11, _) => Body::CloseDay { day: closed(n, began) },
        (17, _) => Body::GrantPackage { merchant: id, exposures: n, expires_at: None, author, reason },
        (23, _) => {
            let change = if n.is_multiple_of(2) { ProgrammeChange::Pause } else { ProgrammeChange::Resume };
            Body::ChangeProgramme { programme: push, change, expected_revision: None, author, reason }
        }
        (_, 0) => upsert(n),
        (_, 2) => facts(n, id, began, state),
        (_, 3) => Body::RecordViolation(violation(n, id, began)),
        _ => Body::ReportExposures { rows: vec![report(n, id, began, state)] },
    }
}

fn key(n: u64, body: &Body) -> RequestKey {
    let method = if matches!(body, Body::ReportExposures { .. }) { "ReportExposures" } else { "Mixed" };
    let (method, request_id) = (method.to_owned(), n.to_string());
    RequestKey { method, request_id, payload_hash: u128::from(n), ..RequestKey::default() }
}

/// Each closes another day, all of them long ago.
fn closed(n: u64, began: Timestamp) -> Day {
    began.day().plus(-4_000 + i32::try_from(n / ROUND).expect("small"))
}

/// All merchants under one name: who sees two names sees half a write.
fn upsert(n: u64) -> Body {
    let merchant = |id| Merchant {
        id: MerchantId(id),
        name: n.to_string(),
        kind: MerchantKind::Ordinary,
        opened_at: None,
        categories: Words::default(),
        region: String::new(),
        origin_belt: String::new(),
        fan_count: n,
        service_provider: None,
        tags: Words::default(),
        prior_identity_violation: false,
        enrolments: vec![],
        revision: 0,
    };
    let profiles = (1..=MERCHANTS).map(|id| Upsert { profile: merchant(id).into(), expected_revision: None });
    Body::UpsertProfiles { profiles: profiles.collect(), mask: None }
}

fn facts(n: u64, id: MerchantId, began: Timestamp, state: &State) -> Body {
    let day = began.day().plus(-1 - i32::try_from(n % 40).expect("small"));
    let paid = state.policy().counter("paid").into_iter().map(|counter| (counter, n));
    let facts = DayFacts::new(paid.collect());
    Body::RecordFacts { rows: vec![FactRow { subject: Subject::Merchant(id), day, facts }] }
}

fn violation(n: u64, merchant: MerchantId, began: Timestamp) -> Violation {
    Violation {
        id: n,
        merchant,
        kind: "fake".to_owned(),
        item: None,
        occurred_at: began,
        effective_from: began,
        effective_until: None,
        order: None,
        decision: Decision::Applied,
        revoked: false,
    }
}

fn exposures(n: u64) -> u64 {
    n % 50 + 1
}

fn report(n: u64, id: MerchantId, began: Timestamp, state: &State) -> ExposureRow {
    ExposureRow {
        kind: TargetKind::Merchant,
        target: id.0,
        merchant: None,
        scene: Scene::Live,
        policy_version: 1,
        programmes: 1 << push(state),
        reservations: vec![],
        exposures: exposures(n),
        clicks: 0,
        orders: 0,
        gmv_fen: 0,
        occurred_at: began,
    }
}

/// The bit of the programme that every report counts against.
fn push(state: &State) -> u8 {
    state.policy().programmes.iter().find(|programme| programme.id == "push").map_or(0, |programme| programme.bit)
}

/// Writes from one number on, some at a time. `tell` hears of each before it is handed over, and when it is acknowledged.
pub(crate) async fn write(
    engine: &Engine,
    began: Timestamp,
    numbers: std::ops::Range<u64>,
    mut tell: impl FnMut(u64, Option<Acknowledged>),
) -> Result<(), WriteError> {
    let mut next = numbers.start;
    while next < numbers.end {
        // Bits and counters are those of a policy.
        let many = if next <= 1 { 1 } else { AT_A_TIME };
        let mut pending = Vec::new();
        let end = numbers.end.min(next + many);
        for n in next..end {
            tell(n, None);
            let body = engine.read(|state| body(n, began, state));
            pending.push((n, engine.begin_write(Some(key(n, &body)), body)?));
        }
        for (n, write) in pending {
            let applied = write.outcome().await?;
            let waits = applied.outcome == Outcome::Rejected(Rejection::TransitionPending);
            tell(n, Some(Acknowledged { n, revision: if waits { 0 } else { applied.revision } }));
        }
        if next <= 1 {
            engine.wait_for_first_policy().await?;
        }
        next = end;
    }
    Ok(())
}

/// Checks what a failure left: every acknowledged write is there, each once, none torn. `sent` is the last number that was
/// handed over; what nobody answered is there as a whole or not at all, and is written now.
pub(crate) async fn check(engine: &Engine, began: Timestamp, acknowledged: &[Acknowledged], sent: u64) {
    let last = acknowledged.last().map_or(0, |last| last.n);
    let newest = acknowledged.iter().map(|write| write.revision).max().unwrap_or(0);
    assert!(engine.hot().revision() >= newest, "revision {} after {newest}", engine.hot().revision());
    let delivered = |engine: &Engine| engine.read(|state| state.delivered(push(state)).0);
    let counted = |upto: u64| -> u64 {
        let state = |n| engine.read(|state| body(n, began, state));
        let is_report = |n: &u64| matches!(state(*n), Body::ReportExposures { .. });
        (1..=upto).filter(is_report).map(exposures).sum()
    };
    let found = delivered(engine);
    let possible: Vec<u64> = (last..=sent.max(last)).map(counted).collect();
    assert!(possible.contains(&found), "{found} exposures were counted, not one of {possible:?}");
    names(engine);

    for write in acknowledged.iter().filter(|write| write.revision > 0) {
        assert_eq!(repeat(engine, began, write.n).await, Some(write.revision), "the outcome of write {}", write.n);
    }
    for n in last + 1..=sent {
        if let Some(first) = repeat(engine, began, n).await {
            assert_eq!(repeat(engine, began, n).await, Some(first), "write {n}, repeated twice");
        }
    }
    assert_eq!(delivered(engine), counted(sent.max(last)), "every report counts once");
    names(engine);
    conserve(engine);
}

/// Repeats a write; answers the revision of its first outcome, unless it was told to wait.
async fn repeat(engine: &Engine, began: Timestamp, n: u64) -> Option<u64> {
    let body = engine.read(|state| body(n, began, state));
    let applied = engine.write(Some(key(n, &body)), body).await.expect("writes are taken");
    (applied.outcome != Outcome::Rejected(Rejection::TransitionPending)).then_some(applied.revision)
}

/// All merchants have one name.
fn names(engine: &Engine) {
    let name = |id| engine.read(|state| state.profile(ProfileKey::Merchant(MerchantId(id))));
    let name = |id| match name(id) {
        Some(trustflow::domain::Profile::Merchant(merchant)) => Some(merchant.name.clone()),
        _ => None,
    };
    assert!((2..=MERCHANTS).all(|id| name(id) == name(1)), "half a write is there");
}

/// Parts of ledgers add up to wholes.
fn conserve(engine: &Engine) {
    engine.read(|state| {
        for bit in 0..64 {
            for (key, account) in state.accounts_in(bit) {
                assert_eq!(account.taken(), account.delivered + account.leased() + account.orphaned(), "{key:?}");
                assert!(account.late <= account.delivered, "{key:?}");
            }
        }
        for id in (1..=MERCHANTS).map(MerchantId) {
            let granted: u64 = state.packages(id).map(|(_, row)| row.exposures).sum();
            let unassigned: u64 = state.packages(id).map(|(_, row)| row.unassigned).sum();
            assert!(unassigned <= granted, "packages of {id:?}");
        }
    });
}

/// The whole log, replayed elsewhere, gives the state that the folder holds.
pub(crate) fn check_replay(folder: &Path) {
    let folder = DataFolder::open(folder).expect("opens");
    let (log, store) = (folder.log().expect("the log"), folder.store().expect("the store"));
    recover(&log, &store).expect("recovers");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let empty = DataFolder::open(elsewhere.path()).expect("opens").store().expect("the store");
    recover(&log, &empty).expect("replays");
    assert_eq!(empty.state_hash().expect("hashes"), store.state_hash().expect("hashes"), "replayed, and as it was");
    let trail = |store: &Store| -> Vec<AuditEntry> {
        store.audit(&AuditRange::ALL).expect("reads").collect::<Result<_, _>>().expect("reads")
    };
    assert_eq!(trail(&empty), trail(&store), "the audit trail, replayed and as it was");
}
