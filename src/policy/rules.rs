//! Rights, violations, force majeure and the waiver.

use super::checks::{at_most, day, number, period, sums_to_one, unique};
use super::problem::Report;
use super::schema::{
    FactorsFile, ForceMajeureFile, ParameterFile, RightsFile, ScopeName, ViolationFile, ViolationsFile, WaiverFile,
};
use super::spanned::Spanned;
use crate::domain::{Day, TargetKind};
use crate::trust::consumer_rights::Right;
use crate::trust::governance::{ForceMajeure, ViolationType, WaiverRule};

/// Longest decay and longest default duration.
const MAX_DAYS: u16 = 3_660;
/// Most rights, values of a right's parameter, and types of violations.
const MAX_ENTRIES: usize = 256;
/// Most regions under force majeure, over all years.
const MAX_REGIONS: usize = 4_096;

/// The rights catalogue.
pub(super) fn rights(mut file: RightsFile, report: &mut Report) -> Vec<Right> {
    at_most(&mut file.right, MAX_ENTRIES, "rights", |right| right.id.span(), report);
    let mut seen = Vec::new();
    file.right.iter().for_each(|right| unique(&right.id, "right", &mut seen, report));
    if let Some(first) = file.right.first() {
        let weights = file.right.iter().map(|right| *right.weight.get_ref());
        sums_to_one(weights, "the weights of the rights", first.weight.span(), report);
    }
    let mut rights = Vec::new();
    for mut right in file.right {
        at_most(&mut right.parameters, MAX_ENTRIES, "parameters", |parameter| parameter.first_day.span(), report);
        let (effective_from, effective_until) = period(right.first_day.as_ref(), right.last_day.as_ref(), report);
        let weight = number(&right.weight, "the weight of a right", 0.0..=1.0, report);
        rights.push(Right {
            id: right.id.into_inner(),
            name: right.name,
            name_zh: right.name_zh,
            effective_from,
            effective_until,
            categories: right.categories,
            except_categories: right.except_categories,
            weight,
            parameter_unit: right.parameter_unit,
            parameters: parameters(&right.parameters, report),
        });
    }
    rights
}

fn parameters(files: &[ParameterFile], report: &mut Report) -> Vec<(Day, u64)> {
    let mut parameters: Vec<(Day, u64)> = Vec::new();
    for file in files {
        let Some(first) = day(&file.first_day, report) else { continue };
        if parameters.last().is_some_and(|(before, _)| *before >= first) {
            report.at(file.first_day.span(), format!("{first} is not after the value before it"), "sort them by day");
        }
        parameters.push((first, file.value));
    }
    parameters
}

/// The violation types.
pub(super) fn violations(mut file: ViolationsFile, report: &mut Report) -> Vec<ViolationType> {
    at_most(&mut file.violation, MAX_ENTRIES, "violations", |violation| violation.id.span(), report);
    let mut seen = Vec::new();
    file.violation.iter().for_each(|violation| unique(&violation.id, "violation", &mut seen, report));
    file.violation.into_iter().map(|violation| violation_type(violation, report)).collect()
}

fn violation_type(file: ViolationFile, report: &mut Report) -> ViolationType {
    let points = number(&file.points, "points", 0.0..=1_000.0, report);
    if points > 0.0 && file.decay_days.is_none() {
        report.at(file.points.span(), "points that never decay", "add `decay_days`, e.g. 90");
    }
    if file.scope == ScopeName::Item && file.closes_gate {
        report.at(
            file.id.span(),
            "a violation of one item closes the gate",
            "use scope = \"merchant\" or leave the gate",
        );
    }
    ViolationType {
        name: file.name,
        name_zh: file.name_zh,
        is_item_scoped: file.scope == ScopeName::Item,
        factors: factors(&file.factors, report),
        closes_gate: file.closes_gate,
        points,
        decay_days: file.decay_days.map_or(0, |days| bounded_days(&days, report)),
        default_days: file.default_days.map(|days| bounded_days(&days, report)),
        is_waivable: file.waivable,
        is_exempt_by_force_majeure: file.force_majeure_exempt,
        id: file.id.into_inner(),
    }
}

fn factors(file: &FactorsFile, report: &mut Report) -> [f64; TargetKind::COUNT] {
    TargetKind::ALL.map(|kind| {
        let factor = match kind {
            TargetKind::LiveRoom => &file.live_room,
            TargetKind::Product => &file.product,
            TargetKind::Merchant => &file.merchant,
            TargetKind::ShortVideo => &file.short_video,
        };
        factor.as_ref().map_or(1.0, |factor| number(factor, "a factor of a violation", 0.0..=1.0, report))
    })
}

fn bounded_days(days: &Spanned<u16>, report: &mut Report) -> u16 {
    if !(1..=MAX_DAYS).contains(days.get_ref()) {
        report.at(days.span(), format!("{} days", days.get_ref()), format!("write 1 to {MAX_DAYS}"));
    }
    *days.get_ref()
}

/// The regions under force majeure.
pub(super) fn force_majeure(mut file: ForceMajeureFile, report: &mut Report) -> Vec<ForceMajeure> {
    at_most(&mut file.region, MAX_REGIONS, "regions", |region| region.id.span(), report);
    let mut regions = Vec::new();
    for region in file.region {
        if region.id.get_ref().trim().is_empty() {
            report.at(region.id.span(), "region without a name", "write the region as profiles and orders name it");
        }
        let (first, last) = period(Some(&region.first_day), Some(&region.last_day), report);
        if let (Some(first), Some(last)) = (first, last) {
            regions.push(ForceMajeure { region: region.id.into_inner(), first, last });
        }
    }
    regions
}

/// The high-in-stock waiver.
pub(super) fn waiver(file: &WaiverFile, report: &mut Report) -> WaiverRule {
    let share = |value: &Spanned<u32>, report: &mut Report| {
        if *value.get_ref() > 10_000 {
            report.at(value.span(), format!("share of {} basis points", value.get_ref()), "10000 is all of them");
        }
        *value.get_ref()
    };
    WaiverRule {
        paid_orders_above: *file.paid_orders_above.get_ref(),
        promised_share_above_bp: share(&file.promised_share_above_bp, report),
        timely_share_at_least_bp: share(&file.timely_share_at_least_bp, report),
        lightning_buy_in_denominator: file.lightning_buy_in_denominator,
    }
}
