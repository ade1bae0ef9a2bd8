//! Any value of every type that is written to disk, for property tests.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::domain::{
    AccountKey, AuditChange, AuditEntry, AuditSubject, Body, ChunkOutcome, Command, CounterId, Day, DayFacts, Decision,
    Enrolment, ExposureRow, FactRow, FieldMask, HeldRight, ItemId, ItemKind, LiveRoom, Merchant, MerchantId,
    MerchantKind, NewGuarantee, OrderContext, Outcome, PolicyOutcome, PolicyPublish, PolicyText, Product, Profile,
    ProfileKey, ProgrammeChange, ProviderId, Rejection, Renewal, ReportOutcome, RequestKey, ReservationId, Scene,
    Scope, ServiceProvider, ShortVideo, Subject, TargetKind, Timestamp, Upsert, Violation,
};

pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_]{0,8}", any::<String>()]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..3)
}

pub(crate) fn day() -> impl Strategy<Value = Day> {
    prop_oneof![(19_000..19_400).prop_map(Day), any::<i32>().prop_map(Day)]
}

pub(crate) fn timestamp() -> impl Strategy<Value = Timestamp> {
    prop_oneof![(1_600_000_000_000..1_700_000_000_000_i64).prop_map(Timestamp), any::<i64>().prop_map(Timestamp)]
}

pub(crate) fn merchant_id() -> impl Strategy<Value = MerchantId> {
    any::<u64>().prop_map(MerchantId)
}

fn item_id() -> impl Strategy<Value = ItemId> {
    (prop::sample::select(ItemKind::ALL.to_vec()), any::<u64>()).prop_map(|(kind, id)| ItemId { kind, id })
}

fn profile_key() -> impl Strategy<Value = ProfileKey> {
    prop_oneof![
        merchant_id().prop_map(ProfileKey::Merchant),
        item_id().prop_map(ProfileKey::Item),
        any::<u64>().prop_map(|id| ProfileKey::Provider(ProviderId(id))),
    ]
}

pub(crate) fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![4 => merchant_id().prop_map(Subject::Merchant), 1 => item_id().prop_map(Subject::Item)]
}

pub(crate) fn day_facts() -> impl Strategy<Value = DayFacts> {
    let value = prop_oneof![0..1_000_u64, any::<u64>()];
    let any_cells = vec((any::<u16>().prop_map(CounterId), value.clone()), 0..20);
    let usual_cells = vec(value, 3).prop_map(|values| (0..3).map(CounterId).zip(values).collect());
    prop_oneof![any_cells, usual_cells].prop_map(DayFacts::new)
}

fn fact_rows() -> impl Strategy<Value = Vec<FactRow>> {
    let row = (subject(), day(), day_facts()).prop_map(|(subject, day, facts)| FactRow { subject, day, facts });
    vec(row, 0..6)
}

fn merchant() -> impl Strategy<Value = Merchant> {
    let kind = prop::sample::select(vec![MerchantKind::Ordinary, MerchantKind::KuaiBrand, MerchantKind::Brand]);
    let enrolment = (text(), day()).prop_map(|(list, day)| Enrolment { list, day });
    (
        (merchant_id(), text(), kind, option::of(timestamp()), texts(), text()),
        (text(), any::<u64>(), option::of(any::<u64>()), texts(), any::<bool>(), vec(enrolment, 0..3), any::<u64>()),
    )
        .prop_map(|((id, name, kind, opened_at, categories, region), rest)| {
            let (origin_belt, fan_count, provider, tags, prior_identity_violation, enrolments, revision) = rest;
            Merchant {
                id,
                name,
                kind,
                opened_at,
                categories: categories.into(),
                region,
                origin_belt,
                fan_count,
                service_provider: provider.map(ProviderId),
                tags: tags.into(),
                prior_identity_violation,
                enrolments,
                revision,
            }
        })
}

fn product() -> impl Strategy<Value = Product> {
    (
        (any::<u64>(), text(), merchant_id(), vec(merchant_id(), 0..3), texts()),
        (option::of(timestamp()), texts(), any::<bool>(), any::<u64>()),
    )
        .prop_map(|((id, name, merchant, promoters, categories), (listed_at, tags, is_virtual, revision))| {
            let (categories, tags) = (categories.into(), tags.into());
            Product { id, name, merchant, promoters, categories, listed_at, tags, is_virtual, revision }
        })
}

fn live_room() -> impl Strategy<Value = LiveRoom> {
    let times = (option::of(timestamp()), option::of(timestamp()));
    (any::<u64>(), merchant_id(), text(), texts(), times, any::<u64>()).prop_map(
        |(id, merchant, anchor, tags, (started_at, ended_at), revision)| LiveRoom {
            id,
            merchant,
            anchor,
            tags: tags.into(),
            started_at,
            ended_at,
            revision,
        },
    )
}

fn short_video() -> impl Strategy<Value = ShortVideo> {
    (any::<u64>(), merchant_id(), texts(), option::of(timestamp()), any::<u64>()).prop_map(
        |(id, merchant, tags, posted_at, revision)| ShortVideo { id, merchant, tags: tags.into(), posted_at, revision },
    )
}

fn provider() -> impl Strategy<Value = ServiceProvider> {
    (any::<u64>(), text(), option::of(any::<[u8; 5]>()), texts(), any::<u64>()).prop_map(
        |(id, name, capabilities, tags, revision)| ServiceProvider {
            id: ProviderId(id),
            name,
            capabilities,
            tags: tags.into(),
            revision,
        },
    )
}

pub(crate) fn profile() -> impl Strategy<Value = Profile> {
    prop_oneof![
        merchant().prop_map(Profile::from),
        product().prop_map(Profile::from),
        live_room().prop_map(Profile::from),
        short_video().prop_map(Profile::from),
        provider().prop_map(Profile::from),
    ]
}

fn decision() -> impl Strategy<Value = Decision> {
    prop::sample::select(vec![Decision::Applied, Decision::Waived, Decision::Exempt])
}

pub(crate) fn violation() -> impl Strategy<Value = Violation> {
    let order = (text(), text(), any::<bool>()).prop_map(|(sender_region, recipient_region, is_virtual)| {
        OrderContext { sender_region, recipient_region, is_virtual }
    });
    (
        (any::<u64>(), merchant_id(), text(), option::of(item_id()), timestamp(), timestamp()),
        (option::of(timestamp()), option::of(order), decision(), any::<bool>()),
    )
        .prop_map(|((id, merchant, kind, item, occurred_at, effective_from), rest)| {
            let (effective_until, order, decision, revoked) = rest;
            Violation {
                id,
                merchant,
                kind,
                item,
                occurred_at,
                effective_from,
                effective_until,
                order,
                decision,
                revoked,
            }
        })
}

pub(crate) fn right() -> impl Strategy<Value = HeldRight> {
    (text(), timestamp(), option::of(timestamp())).prop_map(|(right, from, until)| HeldRight { right, from, until })
}

pub(crate) fn policy_text() -> impl Strategy<Value = PolicyText> {
    (text(), vec((text(), text()), 0..4)).prop_map(|(source, files)| PolicyText { source, files })
}

fn policy_publish() -> impl Strategy<Value = PolicyPublish> {
    let revision = option::of(any::<u64>());
    (policy_text(), text(), text(), revision, option::of(timestamp()), any::<bool>()).prop_map(
        |(text, author, comment, expected_revision, effective_at, is_configured)| PolicyPublish {
            text,
            author,
            comment,
            expected_revision,
            effective_at,
            is_configured,
        },
    )
}

pub(crate) fn request_key() -> impl Strategy<Value = RequestKey> {
    (text(), text(), text(), text(), any::<u128>()).prop_map(|(identity, peer, method, request_id, payload_hash)| {
        RequestKey { identity, peer, method, request_id, payload_hash }
    })
}

fn upsert() -> impl Strategy<Value = Upsert> {
    (profile(), option::of(any::<u64>())).prop_map(|(profile, expected_revision)| Upsert { profile, expected_revision })
}

pub(crate) fn scene() -> impl Strategy<Value = Scene> {
    prop::sample::select(Scene::ALL.to_vec())
}

pub(crate) fn account_key() -> impl Strategy<Value = AccountKey> {
    let scope = prop_oneof![
        Just(Scope::Programme),
        scene().prop_map(Scope::Scene),
        Just(Scope::Head),
        merchant_id().prop_map(Scope::Member),
        merchant_id().prop_map(Scope::Cap),
        (merchant_id(), scene()).prop_map(|(merchant, scene)| Scope::Wallet(merchant, scene)),
    ];
    (any::<u8>(), scope, day()).prop_map(|(bit, scope, period)| AccountKey { bit, scope, period })
}

fn exposure_row() -> impl Strategy<Value = ExposureRow> {
    let ids = vec(any::<u64>().prop_map(ReservationId), 0..3);
    (
        (prop::sample::select(TargetKind::ALL.to_vec()), any::<u64>(), option::of(merchant_id()), scene()),
        (any::<u64>(), any::<u64>(), ids),
        (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), timestamp()),
    )
        .prop_map(|((kind, target, merchant, scene), (policy_version, programmes, reservations), counts)| {
            let (exposures, clicks, orders, gmv_fen, occurred_at) = counts;
            ExposureRow {
                kind,
                target,
                merchant,
                scene,
                policy_version,
                programmes,
                reservations,
                exposures,
                clicks,
                orders,
                gmv_fen,
                occurred_at,
            }
        })
}

pub(crate) fn programme_change() -> impl Strategy<Value = ProgrammeChange> {
    prop_oneof![
        Just(ProgrammeChange::Pause),
        Just(ProgrammeChange::Resume),
        (option::of(scene()), option::of(any::<u64>()))
            .prop_map(|(scene, exposures)| ProgrammeChange::AdjustBudget { scene, exposures }),
    ]
}

fn allocation_body() -> impl Strategy<Value = Body> {
    let renewal = (account_key(), any::<u64>(), any::<u64>()).prop_map(|(account, wanted, returned)| Renewal {
        account,
        wanted,
        returned,
    });
    let guarantee =
        (merchant_id(), option::of(any::<u64>())).prop_map(|(merchant, expected)| NewGuarantee { merchant, expected });
    prop_oneof![
        Just(Body::OpenSession),
        (any::<u32>(), vec(renewal, 0..4)).prop_map(|(session, renewals)| Body::RenewLeases { session, renewals }),
        vec(exposure_row(), 0..4).prop_map(|rows| Body::ReportExposures { rows }),
        (text(), programme_change(), option::of(any::<u64>()), text(), text()).prop_map(
            |(programme, change, expected_revision, author, reason)| Body::ChangeProgramme {
                programme,
                change,
                expected_revision,
                author,
                reason,
            }
        ),
        (any::<u8>(), vec(guarantee, 0..4)).prop_map(|(bit, guarantees)| Body::BeginGuarantees { bit, guarantees }),
        (merchant_id(), any::<u64>(), option::of(timestamp()), text(), text()).prop_map(
            |(merchant, exposures, expires_at, author, reason)| Body::GrantPackage {
                merchant,
                exposures,
                expires_at,
                author,
                reason,
            }
        ),
        (merchant_id(), scene(), any::<u64>(), any::<bool>()).prop_map(|(merchant, scene, exposures, is_release)| {
            Body::AssignPackage { merchant, scene, exposures, is_release }
        }),
    ]
}

fn profile_body() -> impl Strategy<Value = Body> {
    let mask = option::of(any::<u32>().prop_map(FieldMask));
    let chunk = (text(), any::<u64>(), vec(profile(), 0..3), fact_rows());
    prop_oneof![
        Just(Body::Tick),
        (vec(upsert(), 0..3), mask).prop_map(|(profiles, mask)| Body::UpsertProfiles { profiles, mask }),
        (profile_key(), option::of(any::<u64>()))
            .prop_map(|(key, expected_revision)| Body::DeleteProfile { key, expected_revision }),
        fact_rows().prop_map(|rows| Body::RecordFacts { rows }),
        violation().prop_map(Body::RecordViolation),
        (merchant_id(), any::<u64>())
            .prop_map(|(merchant, violation_id)| Body::RevokeViolation { merchant, violation_id }),
        (merchant_id(), vec(right(), 0..3)).prop_map(|(merchant, rights)| Body::SetRights { merchant, rights }),
        chunk.prop_map(|(import_id, sequence, profiles, rows)| Body::ImportChunk {
            import_id,
            sequence,
            profiles,
            rows
        }),
        day().prop_map(|day| Body::CloseDay { day }),
        policy_publish().prop_map(Body::PublishPolicy),
        (any::<u64>(), option::of(any::<u64>()), text(), text()).prop_map(
            |(version, expected_revision, author, reason)| Body::RollbackPolicy {
                version,
                expected_revision,
                author,
                reason,
            }
        ),
        (any::<bool>(), text(), text()).prop_map(|(is_on, author, reason)| Body::SetKillSwitch {
            is_on,
            author,
            reason
        }),
        any::<u64>().prop_map(|began| Body::Activate { began }),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![2 => profile_body(), 1 => allocation_body()]
}

pub(crate) fn command() -> impl Strategy<Value = Command> {
    (timestamp(), any::<u32>(), any::<u32>(), option::of(request_key()), body())
        .prop_map(|(stamp, node, semantics, request, body)| Command { stamp, node, semantics, request, body })
}

pub(crate) fn rejection() -> impl Strategy<Value = Rejection> {
    prop_oneof![
        (text(), any::<u64>()).prop_map(|(what, id)| Rejection::NotFound { what, id }),
        any::<u64>().prop_map(|actual| Rejection::EtagMismatch { actual }),
        any::<u16>().prop_map(|id| Rejection::UnknownCounter { counter: CounterId(id) }),
        (day(), day()).prop_map(|(day, latest)| Rejection::DayInFuture { day, latest }),
        any::<u64>().prop_map(|id| Rejection::ViolationExists { id }),
        Just(Rejection::OccursInFuture),
        Just(Rejection::RequestIdReused),
        Just(Rejection::TransitionPending),
        day().prop_map(|day| Rejection::DayNotOver { day }),
        (day(), day()).prop_map(|(day, last)| Rejection::DayAlreadyClosed { day, last }),
        any::<u64>().prop_map(|began| Rejection::NothingToActivate { began }),
        (any::<u64>(), any::<u64>()).prop_map(|(sequence, committed)| Rejection::ImportGap { sequence, committed }),
        text().prop_map(|problem| Rejection::BadPolicy { problem }),
        text().prop_map(|shortage| Rejection::NoProgrammeBit { shortage }),
        any::<u32>().prop_map(|session| Rejection::SessionOver { session }),
        (any::<u32>(), timestamp()).prop_map(|(row, oldest)| Rejection::ReportTooOld { row, oldest }),
        (any::<u32>(), timestamp()).prop_map(|(row, latest)| Rejection::ExposureInFuture { row, latest }),
        text().prop_map(|programme| Rejection::UnknownProgramme { programme }),
        (text(), text()).prop_map(|(programme, what)| Rejection::ProgrammeWithout { programme, what }),
        (text(), any::<u64>(), any::<u64>()).prop_map(|(programme, scenes, total)| Rejection::ScenesBeyondBudget {
            programme,
            scenes,
            total
        }),
        merchant_id().prop_map(|merchant| Rejection::NotMember { merchant }),
        (merchant_id(), timestamp()).prop_map(|(merchant, until)| Rejection::GuaranteeRuns { merchant, until }),
        any::<u64>().prop_map(|available| Rejection::PackageShort { available }),
    ]
}

fn report_outcome() -> impl Strategy<Value = ReportOutcome> {
    let counts = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    (any::<bool>(), counts).prop_map(|(is_duplicate, (exposures, late, unattributed, over_budget, mismatched))| {
        ReportOutcome { is_duplicate, exposures, late, unattributed, over_budget, mismatched }
    })
}

pub(crate) fn outcome() -> impl Strategy<Value = Outcome> {
    let item = prop_oneof![Just(Ok(())), rejection().prop_map(Err)];
    let refused = || vec((any::<u32>(), rejection()), 0..3);
    let chunk = (any::<bool>(), refused(), refused()).prop_map(|(skipped, profiles, rows)| ChunkOutcome {
        skipped,
        profiles,
        rows,
    });
    prop_oneof![
        Just(Outcome::Done),
        vec(item, 0..5).prop_map(Outcome::Items),
        decision().prop_map(Outcome::Violation),
        chunk.prop_map(Outcome::Chunk),
        (any::<u64>(), any::<u64>(), any::<bool>()).prop_map(|(version, policy_revision, is_unchanged)| {
            Outcome::Policy(PolicyOutcome { version, policy_revision, is_unchanged })
        }),
        rejection().prop_map(Outcome::Rejected),
        any::<u32>().prop_map(Outcome::Session),
        vec(any::<u64>(), 0..4).prop_map(Outcome::Leases),
        report_outcome().prop_map(Outcome::Report),
        any::<u64>().prop_map(Outcome::Package),
    ]
}

fn audit_subject() -> impl Strategy<Value = AuditSubject> {
    prop_oneof![
        profile_key().prop_map(AuditSubject::Profile),
        text().prop_map(AuditSubject::Programme),
        any::<u64>().prop_map(AuditSubject::Policy),
        Just(AuditSubject::KillSwitch),
        (0..100_000).prop_map(|day| AuditSubject::Day(Day(day))),
        Just(AuditSubject::Clock),
        text().prop_map(AuditSubject::Import),
    ]
}

/// Any entry that a command can make.
pub(crate) fn audit_entry() -> impl Strategy<Value = AuditEntry> {
    let change =
        (audit_subject(), text(), text()).prop_map(|(subject, before, after)| AuditChange { subject, before, after });
    let counts = vec((text().prop_map(Into::into), any::<u64>()), 0..3);
    let who = (any::<bool>(), request_key(), text(), text());
    let what = (vec(change, 0..4), any::<u64>(), counts);
    (any::<u64>(), timestamp(), any::<bool>(), who, what).prop_map(
        |(revision, at, is_bulk, (by_server, asked, author, reason), (changes, more_changes, counts))| {
            let RequestKey { method, .. } = asked.clone();
            let own = RequestKey { method, ..RequestKey::default() };
            let request = if by_server { own } else { RequestKey { payload_hash: 0, ..asked } };
            AuditEntry { revision, at, is_bulk, by_server, request, author, reason, changes, more_changes, counts }
        },
    )
}
