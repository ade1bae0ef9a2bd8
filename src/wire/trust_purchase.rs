//! The status of Trust Purchase: what the owner sees, and what a promoter does.

use tonic::Status;

use super::closing;
use super::names::{bilingual, signal_name};
use super::scoring::target_kind;
use super::status::{not_registered, trust_purchase_status};
use super::time::to_proto_time;
use super::validate::Fields;
use crate::domain::{MerchantId, Scene, TargetKind};
use crate::engine::{ConditionKind, ConditionStatus, TrustPurchaseError, TrustPurchaseQuery, TrustPurchaseStatus};
use crate::policy::Policy;
use crate::proto;
use crate::trust::{FlagColumn, ListColumn, SignalState, Test};

/// The query of a request.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn trust_purchase_query(request: &proto::GetTrustPurchaseStatusRequest) -> Result<TrustPurchaseQuery, Status> {
    let mut fields = Fields::default();
    let kind = target_kind(&mut fields, "target_kind", request.target_kind);
    fields.id("target_id", request.target_id);
    let view = proto::TrustPurchaseView::try_from(request.view);
    fields.check(view.is_ok(), "view", "is not a view of this version");
    let is_promoter = view == Ok(proto::TrustPurchaseView::Promoter);
    if is_promoter {
        fields.id("promoter_merchant_id", request.promoter_merchant_id);
        let is_product = request.target_kind == i32::from(proto::TargetKind::Product);
        fields.check(is_product, "view", "only products have promoters: ask about a product, or as the owner");
    } else {
        fields.check(request.promoter_merchant_id == 0, "promoter_merchant_id", "is for the promoter's view only");
    }
    fields.finish()?;
    let promoter = is_promoter.then_some(MerchantId(request.promoter_merchant_id));
    Ok(TrustPurchaseQuery { kind, target_id: request.target_id, promoter })
}

/// The status of a status that there is not.
#[must_use]
pub fn no_trust_purchase(error: &TrustPurchaseError) -> Status {
    match error {
        TrustPurchaseError::NotRegistered(key) => not_registered(*key),
        TrustPurchaseError::NoProgramme | TrustPurchaseError::NotPromoter { .. } => trust_purchase_status(error),
    }
}

/// The answer.
#[must_use]
pub fn trust_purchase_response(
    query: &TrustPurchaseQuery,
    status: &TrustPurchaseStatus,
) -> proto::GetTrustPurchaseStatusResponse {
    let is_owner = query.promoter.is_none();
    let policy = &status.policy;
    let programme = policy.programmes.get(status.programme);
    let label = programme.filter(|_| status.is_granted).map_or(0, |programme| {
        let conditional = programme.conditional_labels.iter().fold(0, |labels, (_, more)| labels | more);
        status.labels & (programme.labels | conditional)
    });
    let tilts = status
        .tilts
        .iter()
        .map(|(at, uplift)| proto::TrustPurchaseTilt { scene: scene(*at).into(), uplift: is_owner.then_some(*uplift) });
    proto::GetTrustPurchaseStatusResponse {
        granted: status.is_granted,
        scope: scope(query.kind).into(),
        label,
        tilts: tilts.collect(),
        conditions: status.conditions.iter().map(|found| condition(status, found, is_owner)).collect(),
        rights: rights(status),
        reasons: reasons(query, status),
        merchant_id: status.merchant.id.0,
        merchant_name: status.merchant.name.clone(),
        target_name: status.name.clone(),
        programme_name: programme.map(|programme| programme.name.clone()).unwrap_or_default(),
        programme_name_zh: programme.map(|programme| programme.name_zh.clone()).unwrap_or_default(),
        view: if is_owner { proto::TrustPurchaseView::Owner } else { proto::TrustPurchaseView::Promoter }.into(),
        policy_version: policy.version,
        revision: status.revision,
        facts_day: status.facts_day.to_string(),
        state_time: Some(to_proto_time(status.now)),
    }
}

fn condition(status: &TrustPurchaseStatus, found: &ConditionStatus, is_owner: bool) -> proto::TrustPurchaseCondition {
    let policy = &status.policy;
    let (name, name_zh) = name(policy, found);
    let result = &found.result;
    // The owner's figures are the owner's.
    let figure = |value: Option<f64>| value.filter(|_| is_owner);
    let gap = found.bound.zip(found.value).filter(|_| !result.holds).map(|((_, bound), value)| (bound - value).abs());
    let direction = match found.bound {
        Some((comparison, _)) if comparison.wants_more() => proto::GapDirection::Raise,
        Some((comparison, _)) if comparison.wants_less() => proto::GapDirection::Lower,
        Some(_) | None => proto::GapDirection::Unspecified,
    };
    let signal_state = found.signal_state.filter(|_| is_owner).map_or(proto::SignalState::Unspecified, signal_state);
    proto::TrustPurchaseCondition {
        kind: kind(found.kind).into(),
        text: result.text.clone(),
        holds: result.holds,
        decisive: result.is_decisive,
        group: u32::try_from(found.group).unwrap_or(u32::MAX),
        group_holds: found.group_holds,
        scenes: scenes(found.scenes.unwrap_or(0)),
        sentence: closing::sentence(status, found, &bilingual(&name, &name_zh), is_owner),
        name,
        name_zh,
        value: figure(found.value),
        bound: found.bound.map(|(_, bound)| bound),
        gap: figure(gap),
        direction: direction.into(),
        numerator: figure(found.counts.map(|(n, _)| n)),
        denominator: figure(found.counts.map(|(_, d)| d)),
        signal_state: signal_state.into(),
        what_closes_it: if is_owner { closing::what_closes_it(status, found) } else { None },
    }
}

/// The names of what a condition is about.
fn name(policy: &Policy, found: &ConditionStatus) -> (String, String) {
    let plain = |name: &str, name_zh: &str| (name.to_owned(), name_zh.to_owned());
    match &found.test {
        Test::Number(column, ..) => closing::column_name(policy, column),
        Test::Ratio(above, below, ..) => {
            let (above, below) = (closing::column_name(policy, above), closing::column_name(policy, below));
            (format!("{} / {}", above.0, below.0), String::new())
        }
        Test::Member(ListColumn::Rights, id) => {
            let right = policy.model.rights.iter().find(|right| right.id == *id);
            right.map_or_else(|| plain(id, ""), |right| plain(&right.name, &right.name_zh))
        }
        Test::Flag(FlagColumn::SignalMeasured(index)) => signal_name(policy, *index),
        Test::Flag(FlagColumn::PriorIdentityViolation) => plain("Punished under another identity", "马甲"),
        Test::Flag(FlagColumn::ShipsGoods { .. }) => plain("Ships goods", "有物流"),
        Test::Flag(FlagColumn::ItemVirtual) => plain("Virtual goods", "虚拟商品"),
        Test::Member(column, entry) => match column {
            ListColumn::Categories | ListColumn::ItemCategories => plain(&format!("Category {entry}"), ""),
            ListColumn::Enrolments => plain(&format!("Enrolled on {entry}"), ""),
            ListColumn::Packages => plain(&format!("Package for {entry}"), "流量资源包"),
            ListColumn::Tags | ListColumn::ProviderTags | ListColumn::ItemTags | ListColumn::Rights => {
                plain(&format!("Mark {entry}"), "")
            }
        },
        Test::Text(..) => plain(&found.result.text, ""),
    }
}

fn rights(status: &TrustPurchaseStatus) -> Vec<proto::TrustPurchaseRight> {
    let rights = status.policy.model.rights.iter().zip(&status.rights);
    let shown = rights.filter(|(_, found)| found.is_held || found.is_asked_for);
    let right = |(right, found): (&crate::trust::consumer_rights::Right, &crate::engine::RightStatus)| {
        proto::TrustPurchaseRight {
            id: right.id.clone(),
            name: right.name.clone(),
            name_zh: right.name_zh.clone(),
            held: found.is_held,
            missing: found.is_missing,
            asked_for: found.is_asked_for,
            applies: found.applies,
        }
    };
    shown.map(right).collect()
}

/// Why it is not granted, beside its conditions.
fn reasons(query: &TrustPurchaseQuery, status: &TrustPurchaseStatus) -> Vec<String> {
    let mut reasons = Vec::new();
    if status.kill_switch {
        reasons.push("the kill switch makes every weight neutral: nothing is lifted, labels stay".to_owned());
    }
    if status.is_granted {
        return reasons;
    }
    let programme = status.policy.programmes.get(status.programme);
    if programme.is_some_and(|programme| programme.is_shadow) {
        reasons.push("the programme is in shadow: computed, not applied".to_owned());
    } else if !status.is_open {
        reasons.push("the programme is not open now".to_owned());
    }
    if status.member.is_held_out {
        reasons.push("held out: the merchant is in a control group".to_owned());
    }
    if programme.is_some_and(|programme| !programme.works_for(query.kind)) {
        reasons.push(format!("the programme is not for targets of kind {}", query.kind.name()));
    }
    reasons
}

fn scope(kind: TargetKind) -> proto::TrustPurchaseScope {
    match kind {
        TargetKind::Merchant => proto::TrustPurchaseScope::Shop,
        TargetKind::Product => proto::TrustPurchaseScope::Product,
        TargetKind::LiveRoom => proto::TrustPurchaseScope::LiveRoom,
        TargetKind::ShortVideo => proto::TrustPurchaseScope::ShortVideo,
    }
}

fn kind(kind: ConditionKind) -> proto::TrustPurchaseConditionKind {
    match kind {
        ConditionKind::Right => proto::TrustPurchaseConditionKind::Right,
        ConditionKind::Metric => proto::TrustPurchaseConditionKind::Metric,
        ConditionKind::Violation => proto::TrustPurchaseConditionKind::Violation,
        ConditionKind::Item => proto::TrustPurchaseConditionKind::Item,
        ConditionKind::Other => proto::TrustPurchaseConditionKind::Other,
    }
}

fn signal_state(state: SignalState) -> proto::SignalState {
    match state {
        SignalState::Measured => proto::SignalState::Measured,
        SignalState::NoData => proto::SignalState::NoData,
        SignalState::NotApplicable => proto::SignalState::NotApplicable,
        SignalState::Disabled => proto::SignalState::Disabled,
    }
}

fn scenes(mask: u8) -> Vec<i32> {
    let set = Scene::ALL.into_iter().filter(|at| mask & at.mask() != 0);
    set.map(|at| scene(at).into()).collect()
}

fn scene(at: Scene) -> proto::Scene {
    match at {
        Scene::Live => proto::Scene::Live,
        Scene::ShortVideo => proto::Scene::ShortVideo,
        Scene::ImageText => proto::Scene::ImageText,
        Scene::Search => proto::Scene::Search,
        Scene::Mall => proto::Scene::Mall,
        Scene::Store => proto::Scene::Store,
    }
}
