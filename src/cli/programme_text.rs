//! Programmes, members, packages and forecasts for people.

use prost_types::Timestamp;

use super::operate::listing;
use super::programme_json::{scene, word};
use super::table::{Side, Table, bar};
use super::time::instant_text;
use crate::proto::{
    ForecastVerdict, GetForecastResponse, GuaranteeCoverage, Interval, LiftMetric, MerchantPackages, Programme,
    ProgrammeBudget, ProgrammeConcentration, ProgrammeEvent, ProgrammeEventKind, ProgrammeLift, ProgrammeMember,
    ProgrammeServing,
};

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

fn figure(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// Digits in groups of three.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn serving(programme: &Programme) -> String {
    word(programme.serving().as_str_name(), "PROGRAMME_SERVING_").replace('_', " ")
}

/// A table of programmes.
pub(super) fn list(programmes: &[Programme], full: bool) -> String {
    let mut headings = vec![
        ("programme", Side::Left),
        ("kind", Side::Left),
        ("state", Side::Left),
        ("budget", Side::Right),
        ("delivered", Side::Right),
        ("reserved", Side::Right),
        ("pace", Side::Right),
        ("at the end", Side::Right),
        ("members", Side::Right),
    ];
    if full {
        headings.extend([("largest", Side::Right), ("coverage", Side::Right)]);
    }
    let mut table = Table::new(&headings);
    for programme in programmes {
        let budget = programme.budgets.first();
        let of = |figure: fn(&ProgrammeBudget) -> String| budget.map_or_else(|| "-".to_owned(), figure);
        let mut cells = vec![
            programme.id.clone(),
            word(programme.kind().as_str_name(), "PROGRAMME_KIND_"),
            serving(programme),
            of(|budget| format!("{}{}", if budget.adjusted { "*" } else { "" }, grouped(budget.exposures))),
            of(|budget| grouped(budget.delivered)),
            of(|budget| grouped(budget.reserved)),
            of(|budget| figure(budget.pace, 2)),
            of(|budget| percent(budget.share_at_end)),
            grouped(programme.members),
        ];
        if full {
            let largest = programme.concentration.as_ref().filter(|found| found.exposures > 0);
            cells.push(percent(largest.map(|found| found.largest_share)));
            cells.push(percent(programme.coverage.as_ref().and_then(|coverage| coverage.coverage_99)));
        }
        table.row(cells);
    }
    let adjusted = programmes.iter().flat_map(|programme| &programme.budgets).any(|budget| budget.adjusted);
    let note = if adjusted { "* adjusted beside the policy\n" } else { "" };
    format!("{}{note}", table.text())
}

/// One programme with everything that is known of it.
pub(super) fn programme(programme: &Programme, events: &[ProgrammeEvent], now: Option<&Timestamp>) -> String {
    let works = programme.serving() == ProgrammeServing::Works;
    let state = if works { "works".to_owned() } else { programme.serving_text.clone() };
    let floor = match programme.daily_members {
        0 => String::new(),
        floor => format!("; {} reached today of at least {}", grouped(programme.members_today), grouped(floor)),
    };
    let members = format!("{}, {} held out{floor}", grouped(programme.members), grouped(programme.held_out));
    let mut parts = vec![
        format!("{} {} {}", programme.id, programme.name, programme.name_zh),
        listing(&[
            ("kind", format!("{}, bit {}", word(programme.kind().as_str_name(), "PROGRAMME_KIND_"), programme.bit)),
            ("state", state),
            ("opens or closes", instant_text(programme.next_boundary.as_ref())),
            ("members", members),
            ("as of", instant_text(now)),
            ("etag", programme.etag.clone()),
        ]),
    ];
    parts.extend(programme.budgets.iter().map(budget));
    parts.extend(programme.concentration.as_ref().map(concentration));
    parts.extend(programme.coverage.as_ref().map(coverage));
    parts.extend(programme.lift.as_ref().map(lift));
    if !events.is_empty() {
        let lines: Vec<String> = events.iter().map(event).collect();
        parts.push(format!("changes\n{}\n", lines.join("\n")));
    }
    parts.join("\n")
}

fn budget(budget: &ProgrammeBudget) -> String {
    let of = scene(budget.scene()).map_or_else(|| "budget".to_owned(), |scene| format!("budget in {scene}"));
    let adjusted = if budget.adjusted {
        format!(" (adjusted; the policy says {})", grouped(budget.policy_exposures))
    } else {
        String::new()
    };
    let period = word(budget.period().as_str_name(), "BUDGET_PERIOD_");
    let pacing = word(budget.pacing().as_str_name(), "BUDGET_PACING_").replace('_', " ");
    let basis = word(budget.target_basis().as_str_name(), "TARGET_BASIS_").replace('_', " ");
    let target = match budget.target {
        Some(target) => format!("{target:.0} by {basis}, {pacing}"),
        None => format!("none: {pacing}"),
    };
    let finish = match (budget.spent_at.as_ref(), budget.share_at_end) {
        (Some(at), _) => format!("spent {}", instant_text(Some(at))),
        (None, Some(share)) => format!("{} delivered at the end", percent(Some(share))),
        (None, None) => "nothing known yet".to_owned(),
    };
    let price = match (budget.price, budget.log_price) {
        (Some(price), Some(log)) => format!("{price:.4} mean base scores; {log:.4} in the log domain"),
        (Some(_) | None, _) => "none yet".to_owned(),
    };
    let (begins, ends) = (instant_text(budget.begins_at.as_ref()), instant_text(budget.ends_at.as_ref()));
    format!(
        "{of}\n{}",
        listing(&[
            ("  exposures", format!("{}{adjusted}", grouped(budget.exposures))),
            ("  period", format!("{period}, {begins} to {ends}")),
            ("  delivered", format!("{}, of these {} late", grouped(budget.delivered), grouped(budget.late))),
            ("  reserved", grouped(budget.reserved)),
            ("  left", grouped(budget.left)),
            ("  target by now", target),
            ("  pace", figure(budget.pace, 3)),
            ("  forecast", finish),
            ("  price", price),
        ])
    )
}

fn concentration(found: &ProgrammeConcentration) -> String {
    let bound = found.max_member_share.map(|share| format!(", at most {}", percent(Some(share)))).unwrap_or_default();
    format!(
        "concentration in the running period\n{}",
        listing(&[
            ("  merchants", format!("{} with {} exposures", grouped(found.merchants), grouped(found.exposures))),
            (
                "  largest",
                format!("{} (merchant {}){bound}", percent(Some(found.largest_share)), found.largest_merchant_id)
            ),
            ("  top 1 %", percent(Some(found.top_percent_share))),
            ("  Herfindahl", format!("{:.5}", found.herfindahl)),
        ])
    )
}

fn coverage(found: &GuaranteeCoverage) -> String {
    let of =
        |part: u64, share: Option<f64>| format!("{} ({} of {})", percent(share), grouped(part), grouped(found.counted));
    format!(
        "guarantees\n{}",
        listing(&[
            ("  at least 99 %", of(found.delivered_99, found.coverage_99)),
            ("  in full", of(found.delivered_100, found.coverage_100)),
            ("  exposures", format!("{} of {}", grouped(found.delivered), grouped(found.promised))),
            ("  running", format!("{}, of these {} met", grouped(found.running), grouped(found.running_met))),
            (
                "  not counted",
                format!(
                    "{} excluded, {} held out, {} not candidates often enough",
                    grouped(found.excluded),
                    grouped(found.held_out),
                    grouped(found.rarely_candidates)
                )
            ),
            ("  infeasible", format!("{} flagged when made", grouped(found.infeasible))),
        ])
    )
}

fn lift(found: &ProgrammeLift) -> String {
    let mut table = Table::new(&[
        ("", Side::Left),
        ("treated", Side::Right),
        ("holdout", Side::Right),
        ("difference (95 %)", Side::Left),
        ("ratio (95 %)", Side::Left),
    ]);
    let interval = |found: Option<&Interval>, decimals: usize| {
        found.map_or_else(String::new, |found| {
            let Interval { value, lower, upper } = found;
            format!("{value:.decimals$} ({lower:.decimals$} to {upper:.decimals$})")
        })
    };
    for measure in &found.measures {
        let (name, decimals) = match measure.metric() {
            LiftMetric::ExposuresPerMerchant => ("exposures per merchant", 1),
            LiftMetric::GmvPerThousand => ("GMV per thousand exposures, fen", 1),
            LiftMetric::OrdersPerThousand => ("orders per thousand exposures", 3),
            LiftMetric::Repurchase => ("repurchase", 4),
            LiftMetric::Unspecified => ("?", 3),
        };
        let difference = match measure.not_enough_data.as_str() {
            "" => interval(measure.difference.as_ref(), decimals),
            missing => missing.to_owned(),
        };
        table.row(vec![
            name.to_owned(),
            figure(measure.treated, decimals),
            figure(measure.holdout, decimals),
            difference,
            interval(measure.ratio.as_ref(), 3),
        ]);
    }
    let (treated, holdout) = (grouped(found.treated_merchants), grouped(found.holdout_merchants));
    format!("lift: {treated} members against {holdout} held out\n{}", table.text())
}

fn event(event: &ProgrammeEvent) -> String {
    let what = match event.kind() {
        ProgrammeEventKind::Paused => "paused".to_owned(),
        ProgrammeEventKind::Resumed => "resumed".to_owned(),
        ProgrammeEventKind::BudgetAdjusted => {
            let of = scene(event.scene()).map(|scene| format!(" in {scene}")).unwrap_or_default();
            let to = event.exposures.map_or_else(|| "the policy's".to_owned(), grouped);
            format!("budget{of} set to {to}")
        }
        ProgrammeEventKind::Unspecified => "changed".to_owned(),
    };
    let by = if event.author.is_empty() { String::new() } else { format!(" by {}", event.author) };
    format!("  {} {what}{by}: {} (revision {})", instant_text(event.at.as_ref()), event.reason, event.revision)
}

/// A table of members.
pub(super) fn members(members: &[ProgrammeMember], next: &str) -> String {
    let mut table = Table::new(&[
        ("merchant", Side::Right),
        ("name", Side::Left),
        ("state", Side::Left),
        ("delivered", Side::Right),
        ("share", Side::Right),
        ("cap", Side::Right),
        ("guarantee", Side::Left),
    ]);
    for member in members {
        let state = match (member.held_out, member.capped_out, member.member) {
            (true, ..) => "held out",
            (_, true, _) => "capped out",
            (_, _, true) => "member",
            (false, false, false) => "left",
        };
        let cap = member.cap.map(|cap| format!("{} of {}", grouped(member.cap_exposures), grouped(cap)));
        let guarantee = member.guarantee.as_ref().map(|found| {
            let state = word(found.state().as_str_name(), "GUARANTEE_STATE_");
            let flag = if found.infeasible { ", infeasible" } else { "" };
            let until = instant_text(found.ends_at.as_ref());
            format!("{state}: {} of {} until {until}{flag}", grouped(found.delivered), grouped(found.promised))
        });
        table.row(vec![
            member.merchant_id.to_string(),
            member.name.clone(),
            state.to_owned(),
            grouped(member.exposures),
            percent(Some(member.share)),
            cap.unwrap_or_else(|| "-".to_owned()),
            guarantee.unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    let more = if next.is_empty() { String::new() } else { format!("more: --from {next}\n") };
    format!("{}{more}", table.text())
}

/// A merchant's packages.
pub(super) fn packages(merchant: u64, packages: &MerchantPackages) -> String {
    let mut text = format!(
        "merchant {merchant}: {} exposures granted, {} of them in no scene\n",
        grouped(packages.granted),
        grouped(packages.unassigned)
    );
    if !packages.scenes.is_empty() {
        let mut table = Table::new(&[
            ("scene", Side::Left),
            ("assigned", Side::Right),
            ("delivered", Side::Right),
            ("reserved", Side::Right),
            ("left", Side::Right),
        ]);
        for of in &packages.scenes {
            let counts = [of.assigned, of.delivered, of.reserved, of.left].map(grouped);
            table.row(std::iter::once(scene(of.scene()).unwrap_or_default()).chain(counts).collect());
        }
        text.push('\n');
        text.push_str(&table.text());
    }
    if !packages.grants.is_empty() {
        let mut table = Table::new(&[
            ("granted", Side::Left),
            ("exposures", Side::Right),
            ("expires", Side::Left),
            ("by", Side::Left),
            ("why", Side::Left),
        ]);
        for grant in &packages.grants {
            let expires = grant.expires_at.as_ref().map_or_else(|| "never".to_owned(), |at| instant_text(Some(at)));
            let granted = instant_text(grant.at.as_ref());
            table.row(vec![granted, grouped(grant.exposures), expires, grant.author.clone(), grant.reason.clone()]);
        }
        text.push('\n');
        text.push_str(&table.text());
    }
    text
}

/// A forecast.
pub(super) fn forecast(answer: &GetForecastResponse) -> String {
    let verdict = match answer.verdict() {
        ForecastVerdict::Met => "met",
        ForecastVerdict::Likely => "likely: even the lower end of the band suffices",
        ForecastVerdict::Uncertain => "uncertain: what is wanted lies within the band",
        ForecastVerdict::Unlikely => "unlikely: not even the upper end of the band suffices",
        ForecastVerdict::Cannot => "cannot be met as things stand",
        ForecastVerdict::Unknown | ForecastVerdict::Unspecified => "unknown: nothing to foretell from yet",
    };
    let share = if answer.wanted == 0 {
        1.0
    } else {
        // Only for a bar.
        answer.delivered.min(answer.wanted).to_string().parse().unwrap_or(0.0)
            / answer.wanted.to_string().parse().unwrap_or(1.0)
    };
    let delivered = format!("{} {} of {}", bar(share), grouped(answer.delivered), grouped(answer.wanted));
    let band = answer.lower_at_end.zip(answer.upper_at_end);
    let band = band.map(|(lower, upper)| format!(", 80 % band {lower:.0} to {upper:.0}")).unwrap_or_default();
    let expected = answer.expected_at_end.map_or_else(|| "-".to_owned(), |expected| format!("{expected:.0}{band}"));
    let basis = answer.basis.as_ref().map(|basis| basis.text.clone()).unwrap_or_default();
    let mut text = listing(&[
        ("verdict", verdict.to_owned()),
        ("delivered", delivered),
        ("period", format!("{} to {}", instant_text(answer.begins_at.as_ref()), instant_text(answer.ends_at.as_ref()))),
        ("met", instant_text(answer.met_at.as_ref())),
        ("at the end", expected),
        ("basis", basis),
    ]);
    for obstacle in &answer.obstacle_texts {
        text.push_str("✗ ");
        text.push_str(obstacle);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{forecast, grouped, list, members, packages, programme};
    use crate::proto::{
        ForecastVerdict, GetForecastResponse, MemberGuarantee, MerchantPackages, PackageScene, Programme,
        ProgrammeBudget, ProgrammeEvent, ProgrammeEventKind, ProgrammeMember, ProgrammeServing, Scene,
    };

    #[test]
    fn figures_are_grouped() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (23_000_000_000, "23,000,000,000")];
        for (count, text) in cases {
            assert_eq!(grouped(count), text);
        }
    }

    fn sample() -> Programme {
        Programme {
            id: "kuai_brand".to_owned(),
            name: "Kuai".to_owned(),
            serving: ProgrammeServing::Paused.into(),
            serving_text: "paused on 2023-03-01 by ann: too much".to_owned(),
            budgets: vec![ProgrammeBudget {
                exposures: 5_000,
                policy_exposures: 9_000,
                adjusted: true,
                delivered: 1_000,
                target: Some(2_000.0),
                pace: Some(0.5),
                share_at_end: Some(0.5),
                ..ProgrammeBudget::default()
            }],
            members: 12,
            ..Programme::default()
        }
    }

    #[test]
    fn what_matters_is_said() {
        let text = list(&[sample()], false);
        for part in ["kuai_brand", "paused", "*5,000", "0.50", "50.0 %", "* adjusted beside the policy"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let event = ProgrammeEvent {
            kind: ProgrammeEventKind::BudgetAdjusted.into(),
            scene: Scene::Mall.into(),
            exposures: Some(7_000),
            reason: "less".to_owned(),
            author: "ann".to_owned(),
            ..ProgrammeEvent::default()
        };
        let text = programme(&sample(), &[event], None);
        for part in ["too much", "the policy says 9,000", "0.500", "budget in mall set to 7,000 by ann: less"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn members_and_packages_stand_in_tables() {
        let guarantee = MemberGuarantee { promised: 10, delivered: 4, infeasible: true, ..MemberGuarantee::default() };
        let member = ProgrammeMember { merchant_id: 7, guarantee: Some(guarantee), ..ProgrammeMember::default() };
        let text = members(&[member], "7");
        assert!(text.contains("4 of 10") && text.contains("infeasible") && text.contains("--from 7"), "{text}");
        let of = PackageScene { scene: Scene::Mall.into(), assigned: 500, left: 300, ..PackageScene::default() };
        let found = MerchantPackages { granted: 1_500, unassigned: 1_000, scenes: vec![of], grants: Vec::new() };
        let text = packages(7, &found);
        assert!(text.contains("1,500 exposures granted, 1,000 of them") && text.contains("mall"), "{text}");
    }

    #[test]
    fn a_forecast_says_what_stands_in_the_way() {
        let answer = GetForecastResponse {
            wanted: 100,
            delivered: 50,
            verdict: ForecastVerdict::Cannot.into(),
            obstacle_texts: vec!["the programme is paused".to_owned()],
            ..GetForecastResponse::default()
        };
        let text = forecast(&answer);
        assert!(text.contains("cannot be met") && text.contains("█████░░░░░ 50 of 100"), "{text}");
        assert!(text.contains("✗ the programme is paused"), "{text}");
    }
}
