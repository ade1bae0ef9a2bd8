//! The catalogue: what a policy supports, as a page for people who do not read TOML. Pure text, so that it can be
//! compared.

use super::model::Policy;
use super::words::{Words, either, kind_name, percent, plain};
use crate::domain::{Scene, TargetKind};
use crate::traffic::{Area, Budget, Label, Period, Programme, ProgrammeKind, ProgrammeWindow, Uplift};
use crate::trust::Predicate;
use std::fmt::Write;

const AREAS: [(Area, &str, &str); 5] = [
    (Area::Traffic, "Traffic", "流量扶持"),
    (Area::Supplies, "Supplies", "货品扶持"),
    (Area::Activities, "Activities", "活动扶持"),
    (Area::Policies, "Policies", "政策扶持"),
    (Area::Products, "Products", "产品扶持"),
];

const LABELS: [(Label, &str); 5] = [
    (Label::TrustPurchase, "Trust Purchase"),
    (Label::KuaiBrand, "Kuai brand"),
    (Label::Brand, "brand"),
    (Label::NewMerchant, "new merchant"),
    (Label::Benchmark, "benchmark"),
];

const INTRODUCTION: &str = "\
A page for reading. It is written from the policy that the program carries, by `just docs`; to change what it says, \
change `policy/default` and write it again. How a file of the policy is read: [policy](policy.md). How a campaign is \
run again under new dates: [operations](operations.md#running-a-campaign-again).

A programme lifts what its members show: 50 % more weight means that the recommender counts their targets half as much \
again. An exposure is charged to at most one *support* programme, the one that lifts most. A *tilt* has no budget and \
comes on top. A *modifier* scales the lift of others. Whoever meets the conditions is a member; there is nothing to \
apply for beside the lists that a condition names, on which operations or the merchant's own tools put it. Exposures \
and shares are of the programme's own budget. All days and hours are those of Shanghai.
";

/// The page of a policy: programmes by area, then the rules beside them.
#[must_use]
pub fn catalogue(policy: &Policy) -> String {
    let mut page = String::from("# What the platform supports\n\n");
    page.push_str(INTRODUCTION);
    for (area, name, name_zh) in AREAS {
        let programmes: Vec<&Programme> = policy.programmes.iter().filter(|p| p.area == area).collect();
        if programmes.is_empty() {
            continue;
        }
        line(&mut page, &format!("\n## {name} ({name_zh})\n"));
        line(&mut page, "| programme | 中文 | source | kind | open | scenes | lift | budget |");
        line(&mut page, "|---|---|---|---|---|---|---|---|");
        for programme in &programmes {
            line(&mut page, &table_row(programme));
        }
        for programme in programmes {
            section(&mut page, policy, programme);
        }
    }
    rules(&mut page, policy);
    page
}

/// A String takes every line.
fn line(page: &mut String, text: &str) {
    let _ = writeln!(page, "{text}");
}

fn table_row(programme: &Programme) -> String {
    let budget = programme.budget.as_ref().map_or_else(|| "none".to_owned(), amount);
    format!(
        "| {} (`{}`) | {} | {} | {} | {} | {} | {} | {budget} |",
        programme.name,
        programme.id,
        programme.name_zh,
        programme.seed,
        programme.kind.name(),
        open(&programme.window),
        scenes(programme.scenes),
        range(programme),
    )
}

/// The lifts from the smallest to the largest.
fn range(programme: &Programme) -> String {
    let lifts: Vec<f64> = match &programme.uplift {
        _ if programme.kind == ProgrammeKind::Modifier => return format!("× {}", plain(programme.factor)),
        Uplift::Constant(lift) => vec![*lift],
        Uplift::ByTrust(curve) => curve.points().iter().map(|(_, lift)| *lift).collect(),
        Uplift::Cases(cases) => cases.iter().map(|(_, lift)| *lift).collect(),
    };
    let (low, high) = lifts.iter().fold((f64::MAX, 0.0_f64), |(low, high), lift| (low.min(*lift), high.max(*lift)));
    if low < high { format!("{} to {}", percent(low), percent(high)) } else { percent(high) }
}

fn amount(budget: &Budget) -> String {
    format!("{} {}", number(budget.exposures), each(budget.period))
}

fn number(count: u64) -> String {
    plain(crate::domain::count_to_f64(count))
}

fn each(period: Period) -> &'static str {
    match period {
        Period::Window => "in all",
        Period::Year => "a year",
        Period::Month => "a month",
        Period::Week => "a week",
        Period::Day => "a day",
    }
}

fn open(window: &ProgrammeWindow) -> String {
    let mut parts = match (window.first, window.last) {
        (Some(first), Some(last)) => vec![format!("{first} to {last}")],
        (Some(first), None) => vec![format!("since {first}")],
        (None, Some(last)) => vec![format!("until {last}")],
        (None, None) => Vec::new(),
    };
    if let Some(days) = window.weekdays {
        let names = ["Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"];
        let names: Vec<&str> = names.into_iter().zip(days).filter(|(_, works)| *works).map(|(name, _)| name).collect();
        parts.push(names.join(" and "));
    }
    if let Some((from, to)) = window.hours {
        parts.push(format!("{from}:00 to {to}:00"));
    }
    if parts.is_empty() { "always".to_owned() } else { parts.join(", ") }
}

fn scenes(works: [bool; Scene::COUNT]) -> String {
    if works == [true; Scene::COUNT] {
        return "all".to_owned();
    }
    let names = Scene::ALL.into_iter().zip(works).filter(|(_, works)| *works);
    names.map(|(scene, _)| scene.name().replace('_', " ")).collect::<Vec<_>>().join(", ")
}

fn section(page: &mut String, policy: &Policy, programme: &Programme) {
    line(page, &format!("\n### {} {}\n", programme.name, programme.name_zh));
    line(page, &format!("`{}`, source text {}. Open: {}.", programme.id, programme.seed, open(&programme.window)));
    if programme.is_shadow {
        line(page, "\nIn shadow: computed and explained, not applied.");
    }
    who(page, policy, programme);
    what(page, policy, programme);
    spending(page, programme);
    labels(page, policy, programme);
}

/// Members, targets, scenes.
fn who(page: &mut String, policy: &Policy, programme: &Programme) {
    let conditions = Words::new(policy).all_of(&programme.eligibility);
    if conditions.is_empty() {
        line(page, "\n**Who:** every merchant.");
    } else {
        line(page, "\n**Who:** a merchant of which all of this holds:\n");
        for condition in &conditions {
            line(page, &format!("- {condition}"));
        }
    }
    if let Some(holdout) = &programme.holdout {
        line(page, &format!("\n{} of them are held out, to measure what it brings.", percent(holdout.share)));
    }
    if let Some(group) = &programme.exclusive_group {
        let others = policy.programmes.iter().filter(|p| p.exclusive_group.as_ref() == Some(group));
        let others: Vec<&str> = others.filter(|p| p.id != programme.id).map(|p| p.name.as_str()).collect();
        line(page, &format!("\nNobody is in this and in {} at the same time.", others.join(", ")));
    }
    let kinds: Vec<String> = TargetKind::ALL
        .into_iter()
        .filter(|kind| programme.works_for(*kind))
        .map(|kind| match programme.item_condition(kind) {
            None => format!("every {}", kind_name(kind)),
            Some(condition) => {
                format!("a {} if {}", kind_name(kind), Words::of_items(policy, kind).sentence(condition))
            }
        })
        .collect();
    let shown = if programme.is_for_all_targets() { "everything it shows".to_owned() } else { kinds.join("; ") };
    line(page, &format!("\n**What of theirs:** {shown}."));
    line(page, &format!("\n**Where:** {}.", scenes_of(programme)));
    for condition in &programme.scene_conditions {
        let when = Words::new(policy).sentence(&condition.when);
        line(page, &format!("- {}: only if {when}", scenes(condition.scenes)));
    }
}

fn scenes_of(programme: &Programme) -> String {
    match scenes(programme.scenes).as_str() {
        "all" => "in every scene".to_owned(),
        some => some.to_owned(),
    }
}

/// Lifts.
fn what(page: &mut String, policy: &Policy, programme: &Programme) {
    if programme.kind == ProgrammeKind::Modifier {
        let scaled = policy.programmes.iter().filter(|other| programme.modifies & other.mask() != 0);
        let names: Vec<&str> = scaled.map(|other| other.name.as_str()).collect();
        line(page, &format!("\n**Lift:** × {} of the lift of {}.", plain(programme.factor), names.join("; ")));
        return;
    }
    match &programme.uplift {
        Uplift::Constant(lift) => line(page, &format!("\n**Lift:** {}.", percent(*lift))),
        Uplift::ByTrust(curve) => {
            let points: Vec<String> =
                curve.points().iter().map(|(score, lift)| format!("{} at {}", percent(*lift), plain(*score))).collect();
            line(page, &format!("\n**Lift:** by trust score, {}, straight between.", points.join(", ")));
        }
        Uplift::Cases(cases) => {
            line(page, "\n**Lift:** the first of these that holds:\n");
            for (when, lift) in cases {
                line(page, &format!("- {}: {}", percent(*lift), otherwise(policy, when)));
            }
        }
    }
    if !programme.item_uplifts.is_empty() {
        line(page, "\nScaled for single items by the first of these that holds:\n");
        for case in &programme.item_uplifts {
            let when = Words::of_items(policy, case.kind).sentence(&case.when);
            line(page, &format!("- × {}: {when}", plain(case.factor)));
        }
    }
    if programme.kind == ProgrammeKind::Tilt && programme.stacking_group != programme.id {
        line(page, &format!("\nOf the tilts of the group `{}` only the largest counts.", programme.stacking_group));
    }
}

/// Budget, guarantee, cap.
fn spending(page: &mut String, programme: &Programme) {
    if let Some(budget) = &programme.budget {
        let mut parts =
            vec![format!("{} exposures {}, spread {}", number(budget.exposures), each(budget.period), pacing(budget))];
        for (scene, exposures) in Scene::ALL.into_iter().zip(budget.by_scene) {
            parts.extend(exposures.map(|of| format!("{} of them for {}", number(of), scene.name().replace('_', " "))));
        }
        parts.extend(budget.max_member_share.map(|share| format!("at most {} for one member", percent(share))));
        parts.extend(budget.tail.map(|tail| {
            let small = number(tail.max_exposures_30d);
            format!("{} kept for members with at most {small} exposures in 30 days", percent(tail.share))
        }));
        if budget.daily_members > 0 {
            parts.push(format!("at least {} members reached every day", number(budget.daily_members)));
        }
        line(page, &format!("\n**Budget:** {}.", parts.join("; ")));
    }
    if let Some(guarantee) = &programme.guarantee {
        let (exposures, days) = (number(guarantee.exposures), guarantee.days);
        line(page, &format!("\n**Guarantee:** {exposures} exposures for each member within {days} days."));
    }
    if let Some(cap) = programme.cap {
        let exposures = number(cap.exposures);
        line(page, &format!("\n**Cap:** {exposures} exposures {} for one member.", each(cap.period)));
    }
}

fn pacing(budget: &Budget) -> &'static str {
    match budget.pacing.name() {
        "even" => "evenly over the traffic",
        "front_loaded" => "more early than late",
        "curve" => "along a curve of its own",
        _ => "as soon as there is a use for it",
    }
}

fn labels(page: &mut String, policy: &Policy, programme: &Programme) {
    let names = |bits: u32| -> Vec<String> {
        LABELS.into_iter().filter(|(label, _)| bits & label.bit() != 0).map(|(_, name)| name.to_owned()).collect()
    };
    if programme.labels != 0 {
        line(page, &format!("\n**Label:** {}.", names(programme.labels).join(", ")));
    }
    for (when, bits) in &programme.conditional_labels {
        let when = Words::new(policy).sentence(when);
        line(page, &format!("\n**Label:** {}, if {when}.", names(*bits).join(", ")));
    }
}

/// A condition that is tried after others.
fn otherwise(policy: &Policy, condition: &Predicate) -> String {
    if condition.is_always() { "everybody else".to_owned() } else { Words::new(policy).sentence(condition) }
}

/// What stands beside the programmes.
fn rules(page: &mut String, policy: &Policy) {
    if !policy.stages.is_empty() {
        line(page, "\n## Stages of a merchant's life (生命周期)\n");
        line(page, "Tried in this order; the first that holds.\n\n| stage | 中文 | who |\n|---|---|---|");
        for stage in &policy.stages {
            line(
                page,
                &format!(
                    "| {} (`{}`) | {} | {} |",
                    stage.name,
                    stage.id,
                    stage.name_zh,
                    otherwise(policy, &stage.when)
                ),
            );
        }
    }
    if let Some(ranking) = policy.provider_ranking {
        let by = Words::new(policy).sum_of(ranking.sum);
        line(page, "\n## Ranking of service providers (服务商赛马)\n");
        line(
            page,
            &format!(
                "Ranked whenever a day closes, with effect from the next: service providers with at least {} of 100 in each of the five \
                 capabilities, by what their merchants sold together: {by}.",
                ranking.min_capability
            ),
        );
    }
    rights(page, policy);
    violations(page, policy);
}

fn rights(page: &mut String, policy: &Policy) {
    line(page, "\n## Rights of Trust Purchase (信任购权益)\n");
    line(page, "| right | 中文 | offered | goods | parameter |\n|---|---|---|---|---|");
    for right in &policy.model.rights {
        let window = ProgrammeWindow { first: right.effective_from, last: right.effective_until, ..Default::default() };
        let list = |ids: &[String]| ids.iter().map(|id| id.replace('_', " ")).collect::<Vec<_>>();
        let goods = match (right.categories.as_slice(), right.except_categories.as_slice()) {
            ([], []) => "all".to_owned(),
            ([], except) => format!("all but {}", list(except).join(", ")),
            (only, _) => either(&list(only)),
        };
        let values = right.parameters.iter().map(|(from, value)| format!("{value} from {from}"));
        let parameter = match right.parameters.as_slice() {
            [] => "–".to_owned(),
            _ => format!("{}: {}", right.parameter_unit, values.collect::<Vec<_>>().join(", ")),
        };
        let (name, name_zh) = (&right.name, &right.name_zh);
        line(page, &format!("| {name} (`{}`) | {name_zh} | {} | {goods} | {parameter} |", right.id, open(&window)));
    }
}

fn violations(page: &mut String, policy: &Policy) {
    let violations = &policy.model.violations;
    line(page, "\n## Violations (违规)\n");
    line(page, "What an active violation leaves of a weight; points lower the trust score and fade.\n");
    line(page, "| violation | 中文 | live rooms | products | the merchant | short videos | points | lasts |");
    line(page, "|---|---|---|---|---|---|---|---|");
    for kind in &violations.types {
        let left = |target: TargetKind| match kind.factors.get(target.index()) {
            Some(factor) if *factor <= 0.0 => "excluded".to_owned(),
            Some(factor) if *factor < 1.0 => percent(*factor),
            _ => "all".to_owned(),
        };
        let kinds = [TargetKind::LiveRoom, TargetKind::Product, TargetKind::Merchant, TargetKind::ShortVideo].map(left);
        let points = if kind.points > 0.0 {
            format!("{}, gone in {} days", plain(kind.points), kind.decay_days)
        } else {
            "none".to_owned()
        };
        let mut lasts = kind.default_days.map_or_else(|| "until revoked".to_owned(), |days| format!("{days} days"));
        for (holds, note) in [
            (kind.closes_gate, "trust score 0 while it lasts"),
            (kind.is_item_scoped, "only the item it is about"),
            (kind.is_waivable, "can be waived"),
            (kind.is_exempt_by_force_majeure, "exempt by force majeure"),
        ] {
            if holds {
                lasts.push_str("; ");
                lasts.push_str(note);
            }
        }
        let (name, name_zh) = (&kind.name, &kind.name_zh);
        line(page, &format!("| {name} (`{}`) | {name_zh} | {} | {points} | {lasts} |", kind.id, kinds.join(" | ")));
    }
    if let Some(rule) = &violations.waiver {
        line(page, "\n## High-in-stock waiver (高现货豁免)\n");
        let lightning = if rule.lightning_buy_in_denominator { "counted among all orders" } else { "left out" };
        line(
            page,
            &format!(
                "A merchant that in the natural week before had more than {} paid orders, more than {} of them promised \
                 within 24 or 48 hours (lightning buy never counts as promised, and is {lightning}), and shipped at least \
                 {} on time is spared its first penalty for overtime-unshipped orders of the week. Not used is void at \
                 the week's end. Nothing but that penalty is waived.",
                number(rule.paid_orders_above),
                percent(f64::from(rule.promised_share_above_bp) / 10_000.0),
                percent(f64::from(rule.timely_share_at_least_bp) / 10_000.0),
            ),
        );
    }
    line(page, "\n## Force majeure (不可抗力)\n");
    line(
        page,
        "Orders of physical goods whose sender or recipient is in one of these regions on one of these days leave the \
         rates of timely shipping and abnormal collection, and draw no penalty.\n",
    );
    line(page, "| region | from | to |\n|---|---|---|");
    for region in &violations.force_majeure {
        line(page, &format!("| {} | {} | {} |", region.region, region.first, region.last));
    }
}
