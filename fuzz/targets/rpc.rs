//! Requests: the codec of the hot path beside prost, and every message with its way into the domain.

use std::sync::LazyLock;
use std::time::Duration;

use prost::bytes::Buf;
use prost::{DecodeError, Message};
use trustflow::domain::Timestamp;
use trustflow::policy::{self, Dictionary, Policy};
use trustflow::proto::{self, *};
use trustflow::state::State;
use trustflow::wire::{self, Fast, ProfileMessage, ScoreLimits};

/// The first byte says where the rest is cut in two: columns that are not at hand in one piece are read otherwise.
pub(crate) fn hot_codec(bytes: &[u8]) {
    let Some((cut, message)) = bytes.split_first() else { return };
    let cut = usize::from(*cut).min(message.len());
    reads_as_prost::<ScoreRequest>(message, cut);
    reads_as_prost::<ScoreResponse>(message, cut);
    reads_as_prost::<AllocateRequest>(message, cut);
    reads_as_prost::<AllocateResponse>(message, cut);
}

/// Reads bytes as prost does, and writes what was read as prost does.
fn reads_as_prost<M: Fast>(bytes: &[u8], cut: usize) {
    // NaN is not equal to itself: what was read is compared as prost writes it.
    let outcome = |read: Result<M, DecodeError>| {
        read.map(|message| {
            let expected = message.encode_to_vec();
            let mut written = Vec::new();
            message.write(&mut written);
            assert!(written == expected, "written otherwise than by prost");
            expected
        })
        .map_err(|error| error.to_string())
    };
    let expected = outcome(M::decode(bytes));
    assert_eq!(outcome(M::read(bytes)), expected, "read otherwise than by prost");
    let (front, back) = bytes.split_at(cut);
    assert_eq!(outcome(M::read(front.chain(back))), expected, "read otherwise than by prost, in two pieces");
}

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    policy::compile(&policy::embedded(), 1, &mut Dictionary::default()).expect("the embedded policy compiles")
});
const NOW: Timestamp = Timestamp(1_700_000_000_000);
const LIMITS: ScoreLimits = ScoreLimits { max_targets: 1_000 };

/// Reads a message if the bytes are one.
fn read<M: Message + Default>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    let written = message.encode_to_vec();
    let again = M::decode(written.as_slice()).expect("what was written reads");
    assert!(again.encode_to_vec() == written, "a message that is read again is another");
    // As each write does with its payload.
    let _ = wire::payload_hash(&message);
    Some(message)
}

fn batch<M: ProfileMessage>(messages: Vec<M>, mask: Option<&prost_types::FieldMask>) {
    let _ = wire::field_mask::<M>(mask);
    let _ = wire::upserts(messages);
}

fn deletion<M: ProfileMessage>(id: u64, etag: &str) {
    let _ = wire::deletion::<M>(id, etag);
}

fn page(size: u32, token: &str) {
    let _ = wire::page(size, token);
}

/// Makes the list of messages: their types, and what is done with one that was read.
macro_rules! messages {
    ($($message:ident => $convert:expr),* $(,)?) => {
        /// How to read each message and take it into the domain.
        const MESSAGES: &[fn(&[u8])] = &[$(|bytes| {
            if let Some(message) = read::<proto::$message>(bytes) {
                let convert: fn(proto::$message) = $convert;
                convert(message);
            }
        }),*];
        /// Their names, in the same order.
        #[allow(dead_code, reason = "seeds are made by name; libFuzzer knows none")]
        pub(crate) const NAMES: &[&str] = &[$(stringify!($message)),*];
    };
}

messages! {
    ScoreRequest => |request| drop(wire::score_query(&request, LIMITS).map(drop)),
    AllocateRequest => |request| drop(wire::allocate_query(&request, LIMITS).map(drop)),
    ListUnderservedRequest => |request| drop(wire::underserved_query(&request)),
    ReportExposuresRequest => |request| {
        let _ = wire::request_key(&wire::Sender::default(), "ReportExposures", &request.report_id, 0);
        let _ = wire::exposure_rows(&POLICY, &request);
    },
    ExplainScoreRequest => |request| drop(wire::explain_query(&request).map(drop)),
    ListFactsRequest => |request| drop(wire::facts_query(&request)),
    GetTrustPurchaseStatusRequest => |request| drop(wire::trust_purchase_query(&request).map(drop)),
    SearchProductsRequest => |request| drop(wire::search_query(&request, Duration::from_secs(1)).map(drop)),
    GetForecastRequest => |request| drop(wire::forecast_query(&request).map(drop)),
    ValidateScoresRequest => |request| drop(wire::validation_query(&POLICY, &request).map(drop)),
    GetRulesRequest => drop,
    ValidatePolicyRequest => |request| {
        if let Ok(text) = wire::policy_text(request.files) {
            let _ = wire::validate_response(&text, &[], &State::default());
        }
    },
    PublishPolicyRequest => |request| drop(wire::publish(request)),
    ListPolicyVersionsRequest => |request| page(request.page_size, &request.page_token),
    GetPolicyRequest => |request| drop(wire::get_response(&State::default(), request.version)),
    DiffPoliciesRequest => |request| {
        let Ok([from, to]) = wire::diff_sides(request) else { return };
        let state = State::default();
        if let (Ok(from), Ok(to)) = (from.text(&state), to.text(&state)) {
            let _ = wire::policy_diff(&from, &to);
        }
    },
    RollbackPolicyRequest => |request| drop(wire::rollback(request)),
    SimulatePolicyRequest => |request| {
        let _ = wire::simulate_request(request).map(|request| request.query(&State::default()).map(drop));
    },
    SetKillSwitchRequest => |request| drop(wire::kill_switch(request)),
    BatchUpsertMerchantsRequest => |request| batch(request.merchants, request.update_mask.as_ref()),
    GetMerchantRequest => drop,
    ListMerchantsRequest => |request| page(request.page_size, &request.page_token),
    DeleteMerchantRequest => |request| deletion::<Merchant>(request.merchant_id, &request.etag),
    BatchUpsertProductsRequest => |request| batch(request.products, request.update_mask.as_ref()),
    ListProductsRequest => |request| page(request.page_size, &request.page_token),
    DeleteProductRequest => |request| deletion::<Product>(request.product_id, &request.etag),
    BatchUpsertLiveRoomsRequest => |request| batch(request.live_rooms, request.update_mask.as_ref()),
    ListLiveRoomsRequest => |request| page(request.page_size, &request.page_token),
    DeleteLiveRoomRequest => |request| deletion::<LiveRoom>(request.live_room_id, &request.etag),
    BatchUpsertShortVideosRequest => |request| batch(request.short_videos, request.update_mask.as_ref()),
    ListShortVideosRequest => |request| page(request.page_size, &request.page_token),
    DeleteShortVideoRequest => |request| deletion::<ShortVideo>(request.short_video_id, &request.etag),
    BatchUpsertServiceProvidersRequest => |request| batch(request.service_providers, request.update_mask.as_ref()),
    ListServiceProvidersRequest => |request| page(request.page_size, &request.page_token),
    DeleteServiceProviderRequest => |request| deletion::<ServiceProvider>(request.service_provider_id, &request.etag),
    RecordFactsRequest => |request| drop(wire::fact_rows(&POLICY, &request).map(drop)),
    RecordViolationRequest => |request| drop(wire::violation(&POLICY, NOW, &request)),
    RevokeViolationRequest => |request| drop(wire::revocation(&request)),
    SetRightsRequest => |request| drop(wire::rights(&POLICY, NOW, &request)),
    ImportRequest => |request| drop(wire::chunk(&POLICY, request).map(drop)),
    GetImportProgressRequest => drop,
    CloseDayRequest => |request| {
        let mut fields = wire::Fields::default();
        let _ = wire::date(&mut fields, "date", &request.date);
    },
    ListProgrammesRequest => |request| drop(wire::programmes_query(&request).map(drop)),
    GetProgrammeRequest => drop,
    PauseProgrammeRequest => |request| drop(wire::pause(&request)),
    ResumeProgrammeRequest => |request| drop(wire::resume(&request)),
    AdjustBudgetRequest => |request| drop(wire::adjust(&request)),
    ListMembersRequest => |request| drop(wire::members_query(&request).map(drop)),
    GrantPackageRequest => |request| drop(wire::grant(&request)),
    AssignPackageRequest => |request| drop(wire::assign(&request)),
    ReleasePackageRequest => |request| drop(wire::release(&request)),
    ListPackagesRequest => |request| drop(wire::merchant_id(request.merchant_id)),
    AdvanceClockRequest => |request| {
        if let Some(to) = request.to {
            let _ = wire::timestamp(&mut wire::Fields::default(), "to", to);
        }
    },
    ListAuditEntriesRequest => |request| drop(wire::audit_query(request).map(drop)),
}

/// The first byte says which message the rest is.
pub(crate) fn rpc_messages(bytes: &[u8]) {
    let Some((which, message)) = bytes.split_first() else { return };
    if let Some(take) = MESSAGES.get(usize::from(*which) % MESSAGES.len()) {
        take(message);
    }
}
