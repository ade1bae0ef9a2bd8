//! Forecasts: what is asked, what is foretold, and what stands in the way, in words.

use tonic::Status;

use super::names::number;
use super::programmes::optional_scene;
use super::time::to_proto_time;
use super::validate::Fields;
use crate::domain::{MerchantId, count_to_f64};
use crate::engine::{ForecastQuery, ForecastReport, Obstacle};
use crate::proto;
use crate::traffic::Verdict;

/// The query of a `GetForecast`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn forecast_query(request: &proto::GetForecastRequest) -> Result<ForecastQuery, Status> {
    let mut fields = Fields::default();
    fields.check(!request.programme_id.is_empty(), "programme_id", "must be given");
    let scene = optional_scene(&mut fields, request.scene);
    let merchant = (request.merchant_id != 0).then_some(MerchantId(request.merchant_id));
    fields.check(scene.is_none() || merchant.is_none(), "scene", "is of budgets only: a guarantee is over all scenes");
    fields.finish()?;
    Ok(ForecastQuery { programme: request.programme_id.clone(), merchant, scene })
}

/// The answer.
#[must_use]
pub fn forecast_response(report: &ForecastReport) -> proto::GetForecastResponse {
    let can = report.obstacles.is_empty();
    let verdict = match report.outlook.verdict {
        Verdict::Met => proto::ForecastVerdict::Met,
        _ if !can => proto::ForecastVerdict::Cannot,
        Verdict::Likely => proto::ForecastVerdict::Likely,
        Verdict::Uncertain => proto::ForecastVerdict::Uncertain,
        Verdict::Unlikely => proto::ForecastVerdict::Unlikely,
        Verdict::Unknown => proto::ForecastVerdict::Unknown,
    };
    // Where something stands in the way, what would come without it says nothing.
    let band = report.outlook.band.filter(|_| can);
    let wanted = count_to_f64(report.wanted);
    proto::GetForecastResponse {
        wanted: report.wanted,
        delivered: report.delivered,
        begins_at: Some(to_proto_time(report.begins)),
        ends_at: report.ends.map(to_proto_time),
        met_at: report.progress.met_at.filter(|_| can).map(to_proto_time),
        expected_at_end: band.map(|(_, expected, _)| expected.min(wanted)),
        lower_at_end: band.map(|(lower, ..)| lower),
        upper_at_end: band.map(|(.., upper)| upper),
        verdict: verdict.into(),
        obstacles: report.obstacles.iter().map(|found| obstacle(*found).0.into()).collect(),
        obstacle_texts: report.obstacles.iter().map(|found| obstacle(*found).1.to_owned()).collect(),
        basis: Some(basis(report)),
        revision: report.revision,
        policy_version: report.policy.version,
        state_time: Some(to_proto_time(report.now)),
    }
}

fn basis(report: &ForecastReport) -> proto::ForecastBasis {
    let profile = report.profile.as_ref();
    let rate = report.rate_per_hour;
    let delivered = match rate {
        Some(rate) => format!("delivered {} exposures an hour so far", number(rate)),
        None => "begun less than an hour ago: no rate is known".to_owned(),
    };
    let traffic = match profile {
        Some(profile) => format!(
            "traffic of {} of 168 hours of the week is known from reports of {} days",
            profile.observed_hours, profile.observed_days
        ),
        None => "no traffic is known: all open hours are taken to be alike".to_owned(),
    };
    let error = match profile.and_then(|profile| profile.relative_error) {
        Some(error) => format!("the last week differed from it by {} %", number(100.0 * error)),
        None => "how well it foretells is not known yet, and taken as 50 %".to_owned(),
    };
    proto::ForecastBasis {
        traffic_known: profile.is_some(),
        observed_days: profile.map_or(0, |profile| profile.observed_days),
        observed_hours: profile.map_or(0, |profile| profile.observed_hours),
        relative_error: profile.and_then(|profile| profile.relative_error),
        rate_per_hour: rate,
        text: format!("{delivered}; {traffic}; {error}"),
    }
}

fn obstacle(obstacle: Obstacle) -> (proto::ForecastObstacle, &'static str) {
    match obstacle {
        Obstacle::NoCandidates => {
            (proto::ForecastObstacle::NoCandidates, "nobody to show: no member, or the merchant is never a candidate")
        }
        Obstacle::Excluded => (proto::ForecastObstacle::Excluded, "a violation excludes the merchant"),
        Obstacle::Paused => (proto::ForecastObstacle::Paused, "the programme is paused"),
        Obstacle::BudgetSpent => (proto::ForecastObstacle::BudgetSpent, "the budget it is to come from is spent"),
        Obstacle::HeldOut => (proto::ForecastObstacle::HeldOut, "the merchant is held out"),
        Obstacle::NotMember => (proto::ForecastObstacle::NotAMember, "the merchant is no member any more"),
        Obstacle::Closed => (proto::ForecastObstacle::Closed, "the programme does not open again before the end"),
        Obstacle::Ended => (proto::ForecastObstacle::Ended, "it ended without being met"),
        Obstacle::CappedOut => {
            (proto::ForecastObstacle::CappedOut, "the merchant reached its cap or the largest share one may have")
        }
        Obstacle::Shadow => (proto::ForecastObstacle::Shadow, "the programme is in shadow: nothing of it is applied"),
        Obstacle::KillSwitch => (proto::ForecastObstacle::KillSwitch, "the kill switch is on: every weight is 1"),
    }
}
