//! Allocate requests, slates as they are answered, and whom retrieval should bring in.

use tonic::Status;

use super::scoring::{Candidates, ScoreLimits, check_candidates, scene};
use super::time::to_proto_time;
use super::validate::Fields;
use crate::engine::{AllocateQuery, Slate, SlateSlot, Underserved, UnderservedPage, UnderservedQuery};
use crate::proto;
use crate::traffic::SlotReason;

/// The query of a request.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn allocate_query(request: &proto::AllocateRequest, limits: ScoreLimits) -> Result<AllocateQuery<'_>, Status> {
    let mut fields = Fields::default();
    let candidates = Candidates {
        request_id: &request.request_id,
        scene: request.scene,
        kind: request.target_kind,
        target_ids: &request.target_ids,
        merchant_ids: &request.merchant_ids,
        base_scores: &request.base_scores,
    };
    let (scene, kind) = check_candidates(&mut fields, &candidates, limits);
    let count = request.target_ids.len();
    if request.base_scores.is_empty() && count > 0 {
        fields.wrong("base_scores", "are required, one per target");
    }
    let slots = usize::try_from(request.slots).unwrap_or(usize::MAX);
    if slots == 0 || slots > count {
        fields.wrong("slots", format!("must be 1 to the number of target_ids, {count}"));
    }
    fields.finish()?;
    Ok(AllocateQuery {
        scene,
        kind,
        target_ids: &request.target_ids,
        merchant_ids: &request.merchant_ids,
        base_scores: &request.base_scores,
        slots,
        fill: request.fill_slots,
    })
}

/// The response of a slate.
#[must_use]
pub fn allocate_response(slate: Slate) -> proto::AllocateResponse {
    let slots = slate.slots.into_iter().map(slot).collect();
    proto::AllocateResponse { policy_version: slate.policy_version, revision: slate.revision, slots }
}

fn slot(slot: SlateSlot) -> proto::Slot {
    let reason = match slot.reason {
        SlotReason::Organic => proto::SlotReason::Organic,
        SlotReason::Support => proto::SlotReason::Support,
        SlotReason::Guarantee => proto::SlotReason::Guarantee,
        SlotReason::Fill => proto::SlotReason::Fill,
    };
    proto::Slot {
        // At most as many as a request may have targets.
        candidate_index: u32::try_from(slot.candidate).unwrap_or(u32::MAX),
        target_id: slot.target_id,
        adjusted_score: slot.adjusted_score,
        reason: reason.into(),
        charged_programme: slot.charged_programme,
        reservation_id: slot.reservation.map_or(0, |id| id.0),
        programmes: slot.programmes,
    }
}

/// Merchants of a page when the caller does not say.
const DEFAULT_PAGE: usize = 100;
/// Most merchants of a page.
const MAX_PAGE: usize = 1_000;

/// The query of a request for the underserved.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn underserved_query(request: &proto::ListUnderservedRequest) -> Result<UnderservedQuery, Status> {
    let mut fields = Fields::default();
    let scene = scene(&mut fields, "scene", request.scene);
    let size = usize::try_from(request.page_size).unwrap_or(usize::MAX);
    fields.check(size <= MAX_PAGE, "page_size", "must be at most 1000");
    let token = &request.page_token;
    let skip = if token.is_empty() { Some(0) } else { usize::from_str_radix(token, 16).ok() };
    fields.check(skip.is_some(), "page_token", "must be empty or as it was answered");
    fields.finish()?;
    let limit = if size == 0 { DEFAULT_PAGE } else { size };
    Ok(UnderservedQuery { scene, skip: skip.unwrap_or(0), limit })
}

/// The response of a page of the underserved.
#[must_use]
pub fn underserved_response(page: UnderservedPage) -> proto::ListUnderservedResponse {
    proto::ListUnderservedResponse {
        merchants: page.merchants.into_iter().map(underserved).collect(),
        next_page_token: page.next.map(|next| format!("{next:x}")).unwrap_or_default(),
        revision: page.revision,
    }
}

fn underserved(found: Underserved) -> proto::UnderservedMerchant {
    proto::UnderservedMerchant {
        merchant_id: found.merchant.0,
        programme: found.programme,
        target_exposures: found.target,
        delivered_exposures: found.delivered,
        needed_exposures: found.target.saturating_sub(found.delivered),
        urgency: found.urgency,
        ends_at: Some(to_proto_time(found.ends_at)),
    }
}
