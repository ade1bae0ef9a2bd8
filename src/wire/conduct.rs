//! Violations and rights of messages.

use tonic::Status;

use super::scoring::target_kind;
use super::time::optional_time;
use super::validate::{Fields, MAX_LIST};
use crate::domain::{Decision, HeldRight, ItemId, MerchantId, OrderContext, Timestamp, Violation};
use crate::policy::Policy;
use crate::proto;

/// The violation of a request; times that are not sent are `now`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn violation(
    policy: &Policy,
    now: Timestamp,
    request: &proto::RecordViolationRequest,
) -> Result<Violation, Status> {
    let mut fields = Fields::default();
    fields.id("violation_id", request.violation_id);
    fields.id("merchant_id", request.merchant_id);
    let item = item(&mut fields, policy, request);
    let occurred_at = optional_time(&mut fields, "occurred_at", request.occurred_at);
    let effective_from = optional_time(&mut fields, "effective_from", request.effective_from);
    let effective_until = optional_time(&mut fields, "effective_until", request.effective_until);
    let from = effective_from.unwrap_or(now);
    let ends_later = effective_until.is_none_or(|until| from < until);
    fields.check(ends_later, "effective_until", "must be after effective_from");
    let order = request.order.clone().map(|order| {
        fields.text("order.sender_region", &order.sender_region);
        fields.text("order.recipient_region", &order.recipient_region);
        OrderContext {
            sender_region: order.sender_region,
            recipient_region: order.recipient_region,
            is_virtual: order.r#virtual,
        }
    });
    fields.finish()?;
    Ok(Violation {
        id: request.violation_id,
        merchant: MerchantId(request.merchant_id),
        kind: request.r#type.clone(),
        item,
        occurred_at: occurred_at.unwrap_or(now),
        effective_from: from,
        effective_until,
        order,
        decision: Decision::Applied,
        revoked: false,
    })
}

/// The item of a violation whose type punishes one; checks the type on the way.
fn item(fields: &mut Fields, policy: &Policy, request: &proto::RecordViolationRequest) -> Option<ItemId> {
    let Some(kind) = policy.model.violations.kind(&request.r#type) else {
        let known: Vec<&str> = policy.model.violations.types.iter().map(|kind| kind.id.as_str()).collect();
        fields.wrong("type", format!("{:?} is not one of {}", request.r#type, known.join(", ")));
        return None;
    };
    if !kind.is_item_scoped {
        fields.check(request.target_id == 0, "target_id", "must be unset: this type punishes the merchant");
        return None;
    }
    let item = target_kind(fields, "target_kind", request.target_kind).item();
    fields.check(item.is_some(), "target_kind", "must be an item: this type punishes one item");
    fields.id("target_id", request.target_id);
    item.map(|kind| ItemId { kind, id: request.target_id })
}

/// The decision as it is sent.
#[must_use]
pub fn decision(decision: Decision) -> proto::ViolationDecision {
    match decision {
        Decision::Applied => proto::ViolationDecision::Applied,
        Decision::Waived => proto::ViolationDecision::Waived,
        Decision::Exempt => proto::ViolationDecision::Exempt,
    }
}

/// The merchant and violation of a revocation.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn revocation(request: &proto::RevokeViolationRequest) -> Result<(MerchantId, u64), Status> {
    let mut fields = Fields::default();
    fields.id("violation_id", request.violation_id);
    fields.id("merchant_id", request.merchant_id);
    fields.finish()?;
    Ok((MerchantId(request.merchant_id), request.violation_id))
}

/// The rights of a request; rights without a beginning begin `now`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn rights(
    policy: &Policy,
    now: Timestamp,
    request: &proto::SetRightsRequest,
) -> Result<(MerchantId, Vec<HeldRight>), Status> {
    let mut fields = Fields::default();
    fields.id("merchant_id", request.merchant_id);
    fields.check(request.rights.len() <= MAX_LIST, "rights", "must have at most 64 entries");
    let mut rights = Vec::with_capacity(request.rights.len());
    for (index, held) in request.rights.iter().enumerate() {
        let path = |field: &str| format!("rights[{index}].{field}");
        if !policy.model.rights.iter().any(|right| right.id == held.right) {
            let known: Vec<&str> = policy.model.rights.iter().map(|right| right.id.as_str()).collect();
            fields.wrong(&path("right"), format!("{:?} is not one of {}", held.right, known.join(", ")));
        }
        let from = optional_time(&mut fields, &path("from"), held.from).unwrap_or(now);
        let until = optional_time(&mut fields, &path("until"), held.until);
        fields.check(until.is_none_or(|until| from < until), &path("until"), "must be after from");
        rights.push(HeldRight { right: held.right.clone(), from, until });
    }
    fields.finish()?;
    Ok((MerchantId(request.merchant_id), rights))
}
