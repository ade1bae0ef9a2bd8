//! Programmes, their members and packages, as they are shown.

use tonic::Status;

use super::profiles::{etag, page};
use super::scoring;
use super::time::to_proto_time;
use super::validate::Fields;
use crate::domain::{MerchantId, ProgrammeChange, Scene, Timestamp};
use crate::engine::{
    BudgetStatus, GuaranteeStanding, LiftStatus, MemberFilter, MemberGuarantee, MemberPage, MemberQuery, MemberStatus,
    Packages, ProgrammeStatus, ProgrammesAnswer, ProgrammesQuery, Serving,
};
use crate::policy::Policy;
use crate::proto;
use crate::state::ChangeRow;
use crate::traffic::{
    Concentration, Coverage, Interval, MIN_MERCHANTS, Pacing, Period, Programme, ProgrammeKind, RatioSums, compare,
};

/// How long reading one page of members lasts at most.
const MEMBER_TIME: std::time::Duration = std::time::Duration::from_secs(1);

/// The query of a `ListProgrammes`, and whether in full view.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn programmes_query(request: &proto::ListProgrammesRequest) -> Result<(ProgrammesQuery, bool), Status> {
    let (limit, from) = page(request.page_size, &request.page_token)?;
    let mut fields = Fields::default();
    let view = proto::ProgrammeView::try_from(request.view);
    fields.check(view.is_ok(), "view", "is not a view of this version");
    let from = usize::try_from(from);
    fields.check(from.is_ok(), "page_token", "must be empty or as it was answered");
    fields.finish()?;
    Ok((ProgrammesQuery::Page { from: from.unwrap_or(0), limit }, view == Ok(proto::ProgrammeView::Full)))
}

/// The answer of a `ListProgrammes`.
#[must_use]
pub fn programmes_response(answer: &ProgrammesAnswer) -> proto::ListProgrammesResponse {
    let next = answer.programmes.last().map_or(0, |last| last.position.saturating_add(1));
    let is_last = answer.programmes.is_empty() || next >= answer.policy.programmes.len();
    proto::ListProgrammesResponse {
        programmes: shown(answer),
        next_page_token: if is_last { String::new() } else { format!("{next:x}") },
        revision: answer.revision,
        policy_version: answer.policy.version,
        state_time: Some(to_proto_time(answer.now)),
    }
}

/// The answer of a `GetProgramme`.
#[must_use]
pub fn programme_response(answer: &ProgrammesAnswer) -> proto::GetProgrammeResponse {
    let changes = answer.programmes.first().map_or(&[][..], |status| &status.changes);
    proto::GetProgrammeResponse {
        programme: shown(answer).pop(),
        events: changes.iter().rev().map(event).collect(),
        revision: answer.revision,
        policy_version: answer.policy.version,
        state_time: Some(to_proto_time(answer.now)),
    }
}

fn shown(answer: &ProgrammesAnswer) -> Vec<proto::Programme> {
    let found = answer.programmes.iter().filter_map(|status| {
        let programme = answer.policy.programmes.get(status.position)?;
        Some(programme_message(&answer.policy, programme, status, answer.now))
    });
    found.collect()
}

fn programme_message(
    policy: &Policy,
    programme: &Programme,
    status: &ProgrammeStatus,
    now: Timestamp,
) -> proto::Programme {
    let kind = match programme.kind {
        ProgrammeKind::Tilt => proto::ProgrammeKind::Tilt,
        ProgrammeKind::Support => proto::ProgrammeKind::Support,
        ProgrammeKind::Hard => proto::ProgrammeKind::Hard,
        ProgrammeKind::Modifier => proto::ProgrammeKind::Modifier,
    };
    let has_repurchase = policy.model.signals.iter().any(|signal| signal.id.starts_with("repurchase_"));
    proto::Programme {
        id: programme.id.clone(),
        name: programme.name.clone(),
        name_zh: programme.name_zh.clone(),
        kind: kind.into(),
        bit: programme.bit.into(),
        serving: serving(status.serving).into(),
        serving_text: serving_text(programme, status, now),
        open: status.is_open,
        next_boundary: status.next_boundary.map(to_proto_time),
        paused: status.is_paused,
        shadow: programme.is_shadow,
        etag: etag(status.changed),
        budgets: status.budgets.iter().map(budget_message).collect(),
        members: status.members,
        held_out: status.held_out,
        members_today: status.members_today,
        daily_members: programme.budget.as_ref().map_or(0, |budget| budget.daily_members),
        concentration: status.concentration.map(|found| concentration(&found, programme)),
        coverage: status.coverage.map(|found| coverage(&found)),
        lift: status.lift.map(|found| lift(&found, has_repurchase)),
    }
}

fn serving(serving: Serving) -> proto::ProgrammeServing {
    match serving {
        Serving::KillSwitch => proto::ProgrammeServing::KillSwitch,
        Serving::Paused => proto::ProgrammeServing::Paused,
        Serving::Shadow => proto::ProgrammeServing::Shadow,
        Serving::Closed => proto::ProgrammeServing::Closed,
        Serving::Spent => proto::ProgrammeServing::Spent,
        Serving::Works => proto::ProgrammeServing::Works,
    }
}

fn serving_text(programme: &Programme, status: &ProgrammeStatus, now: Timestamp) -> String {
    match status.serving {
        Serving::KillSwitch => "the kill switch is on: every weight is 1".to_owned(),
        Serving::Paused => {
            let paused = status.changes.iter().rev().find(|change| change.change == ProgrammeChange::Pause);
            let why = paused.map(|change| {
                let by = if change.author.is_empty() { String::new() } else { format!(" by {}", change.author) };
                format!(" on {}{by}: {}", change.at.day(), change.reason)
            });
            format!("paused{}", why.unwrap_or_default())
        }
        Serving::Shadow => "in shadow: computed and explained, not applied".to_owned(),
        Serving::Closed => match (programme.window.first, programme.window.last) {
            (_, Some(last)) if programme.window.is_over(now.day()) => format!("over since the end of {last}"),
            (Some(first), _) if now.day() < first => format!("begins on {first}"),
            (Some(_) | None, _) => "closed at this hour".to_owned(),
        },
        Serving::Spent => "every budget of the running period is delivered or reserved".to_owned(),
        Serving::Works => "works".to_owned(),
    }
}

pub(super) fn scene_message(scene: Option<Scene>) -> proto::Scene {
    match scene {
        None => proto::Scene::Unspecified,
        Some(Scene::Live) => proto::Scene::Live,
        Some(Scene::ShortVideo) => proto::Scene::ShortVideo,
        Some(Scene::ImageText) => proto::Scene::ImageText,
        Some(Scene::Search) => proto::Scene::Search,
        Some(Scene::Mall) => proto::Scene::Mall,
        Some(Scene::Store) => proto::Scene::Store,
    }
}

/// A scene that may be left out.
pub(super) fn optional_scene(fields: &mut Fields, scene: i32) -> Option<Scene> {
    (scene != 0).then(|| scoring::scene(fields, "scene", scene))
}

fn budget_message(budget: &BudgetStatus) -> proto::ProgrammeBudget {
    let period = match budget.period {
        Period::Window => proto::BudgetPeriod::Window,
        Period::Year => proto::BudgetPeriod::Year,
        Period::Month => proto::BudgetPeriod::Month,
        Period::Week => proto::BudgetPeriod::Week,
        Period::Day => proto::BudgetPeriod::Day,
    };
    let pacing = match budget.pacing {
        Pacing::Even => proto::BudgetPacing::Even,
        Pacing::FrontLoaded => proto::BudgetPacing::FrontLoaded,
        Pacing::AsFastAsPossible => proto::BudgetPacing::AsFastAsPossible,
        Pacing::Curve(_) => proto::BudgetPacing::Curve,
    };
    let basis = if budget.progress.target.is_none() {
        proto::TargetBasis::Unspecified
    } else if budget.profile.is_some() {
        proto::TargetBasis::ExpectedTraffic
    } else {
        proto::TargetBasis::OpenHours
    };
    let wanted = crate::domain::count_to_f64(budget.exposures);
    let share = budget.progress.at_end.filter(|_| budget.exposures > 0).map(|at_end| (at_end / wanted).min(1.0));
    proto::ProgrammeBudget {
        scene: scene_message(budget.scene).into(),
        exposures: budget.exposures,
        policy_exposures: budget.policy_exposures,
        adjusted: budget.is_adjusted,
        period: period.into(),
        begins_at: Some(to_proto_time(budget.begins)),
        ends_at: budget.ends.map(to_proto_time),
        delivered: budget.delivered,
        late: budget.late,
        reserved: budget.reserved,
        left: budget.left(),
        pacing: pacing.into(),
        target: budget.progress.target,
        target_basis: basis.into(),
        pace: budget.progress.pace,
        spent_at: budget.progress.met_at.map(to_proto_time),
        share_at_end: share,
        price: budget.price.map(|price| price.additive),
        log_price: budget.price.map(|price| price.log),
    }
}

fn concentration(found: &Concentration, programme: &Programme) -> proto::ProgrammeConcentration {
    proto::ProgrammeConcentration {
        exposures: found.exposures,
        merchants: found.merchants,
        largest_share: found.largest_share,
        largest_merchant_id: found.largest,
        top_percent_share: found.top_percent_share,
        herfindahl: found.herfindahl,
        max_member_share: programme.budget.as_ref().and_then(|budget| budget.max_member_share),
    }
}

fn coverage(found: &Coverage) -> proto::GuaranteeCoverage {
    proto::GuaranteeCoverage {
        counted: found.counted,
        delivered_99: found.delivered_99,
        delivered_100: found.delivered_100,
        coverage_99: found.share_99(),
        coverage_100: found.share_100(),
        excluded: found.excluded,
        held_out: found.held_out,
        running: found.running,
        running_met: found.running_met,
        rarely_candidates: found.rarely_candidates,
        infeasible: found.infeasible,
        promised: found.promised,
        delivered: found.delivered,
    }
}

fn lift(found: &LiftStatus, has_repurchase: bool) -> proto::ProgrammeLift {
    let (treated, holdout) = (&found.treated, &found.holdout);
    let mut measures = vec![
        measure(proto::LiftMetric::ExposuresPerMerchant, &treated.exposures, &holdout.exposures),
        measure(proto::LiftMetric::GmvPerThousand, &treated.gmv, &holdout.gmv),
        measure(proto::LiftMetric::OrdersPerThousand, &treated.orders, &holdout.orders),
    ];
    if has_repurchase {
        measures.push(measure(proto::LiftMetric::Repurchase, &treated.repurchase, &holdout.repurchase));
    }
    proto::ProgrammeLift {
        treated_merchants: treated.exposures.merchants(),
        holdout_merchants: holdout.exposures.merchants(),
        measures,
    }
}

fn measure(metric: proto::LiftMetric, treated: &RatioSums, holdout: &RatioSums) -> proto::LiftMeasure {
    let (of_treated, of_holdout) = (treated.estimate(), holdout.estimate());
    let compared = compare(of_treated, of_holdout);
    let interval = |found: Interval| proto::Interval { value: found.value, lower: found.lower, upper: found.upper };
    let few = |name: &str, group: &RatioSums| {
        let merchants = group.merchants();
        (merchants < MIN_MERCHANTS).then(|| format!("{merchants} of {MIN_MERCHANTS} {name}"))
    };
    let missing: Vec<String> =
        [few("treated merchants", treated), few("held-out merchants", holdout)].into_iter().flatten().collect();
    let not_enough_data = match (&compared.difference, missing.is_empty()) {
        (Some(_), _) => String::new(),
        (None, false) => format!("not enough data: {}", missing.join(", ")),
        (None, true) => "not enough data: nothing to divide by".to_owned(),
    };
    proto::LiftMeasure {
        metric: metric.into(),
        treated_merchants: treated.merchants(),
        holdout_merchants: holdout.merchants(),
        treated: of_treated.map(|estimate| estimate.value),
        holdout: of_holdout.map(|estimate| estimate.value),
        difference: compared.difference.map(interval),
        ratio: compared.ratio.map(interval),
        not_enough_data,
    }
}

fn event(change: &ChangeRow) -> proto::ProgrammeEvent {
    let (kind, scene, exposures) = match &change.change {
        ProgrammeChange::Pause => (proto::ProgrammeEventKind::Paused, None, None),
        ProgrammeChange::Resume => (proto::ProgrammeEventKind::Resumed, None, None),
        ProgrammeChange::AdjustBudget { scene, exposures } => {
            (proto::ProgrammeEventKind::BudgetAdjusted, *scene, *exposures)
        }
    };
    proto::ProgrammeEvent {
        at: Some(to_proto_time(change.at)),
        author: change.author.clone(),
        reason: change.reason.clone(),
        revision: change.revision,
        kind: kind.into(),
        scene: scene_message(scene).into(),
        exposures,
    }
}

/// The query of a `ListMembers`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn members_query(request: &proto::ListMembersRequest) -> Result<MemberQuery, Status> {
    let (limit, after) = page(request.page_size, &request.page_token)?;
    let mut fields = Fields::default();
    let filter = proto::MemberFilter::try_from(request.filter);
    fields.check(filter.is_ok(), "filter", "is not a filter of this version");
    fields.check(!request.id.is_empty(), "id", "must be given");
    fields.finish()?;
    let filter = match filter.unwrap_or_default() {
        proto::MemberFilter::Unspecified => MemberFilter::All,
        proto::MemberFilter::Guaranteed => MemberFilter::Guaranteed,
        proto::MemberFilter::CappedOut => MemberFilter::CappedOut,
        proto::MemberFilter::HeldOut => MemberFilter::HeldOut,
    };
    Ok(MemberQuery { programme: request.id.clone(), filter, after: MerchantId(after), limit, time: MEMBER_TIME })
}

/// The answer of a `ListMembers`.
#[must_use]
pub fn members_response(page: MemberPage) -> proto::ListMembersResponse {
    proto::ListMembersResponse {
        next_page_token: page.next.map(|next| format!("{:x}", next.0)).unwrap_or_default(),
        members: page.members.into_iter().map(member).collect(),
        revision: page.revision,
    }
}

fn member(member: MemberStatus) -> proto::ProgrammeMember {
    proto::ProgrammeMember {
        merchant_id: member.merchant.0,
        name: member.name,
        held_out: member.is_held_out,
        member: member.is_member,
        exposures: member.exposures,
        share: member.share,
        cap: member.cap,
        cap_exposures: member.cap_exposures,
        capped_out: member.is_capped_out,
        guarantee: member.guarantee.as_ref().map(guarantee),
    }
}

fn guarantee(found: &MemberGuarantee) -> proto::MemberGuarantee {
    let state = match found.standing {
        GuaranteeStanding::Running => proto::GuaranteeState::Running,
        GuaranteeStanding::Met => proto::GuaranteeState::Met,
        GuaranteeStanding::Missed => proto::GuaranteeState::Missed,
        GuaranteeStanding::Suspended => proto::GuaranteeState::Suspended,
    };
    proto::MemberGuarantee {
        state: state.into(),
        promised: found.row.target,
        delivered: found.row.delivered,
        begins_at: Some(to_proto_time(found.from)),
        ends_at: Some(to_proto_time(found.row.until)),
        infeasible: !found.row.is_feasible,
        expected: found.row.expected,
    }
}

/// A merchant's packages.
#[must_use]
pub fn packages_message(packages: &Packages) -> proto::MerchantPackages {
    let scenes = packages.scenes.iter().map(|of| proto::PackageScene {
        scene: scene_message(Some(of.scene)).into(),
        assigned: of.assigned,
        delivered: of.delivered,
        reserved: of.reserved,
        left: of.left,
    });
    let grants = packages.grants.iter().map(|row| proto::PackageGrant {
        at: Some(to_proto_time(row.granted_at)),
        exposures: row.exposures,
        reason: row.reason.clone(),
        author: row.author.clone(),
        expires_at: row.expires_at.map(to_proto_time),
        revision: row.revision,
    });
    proto::MerchantPackages {
        granted: packages.granted,
        unassigned: packages.unassigned,
        scenes: scenes.collect(),
        grants: grants.collect(),
    }
}
