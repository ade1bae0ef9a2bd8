//! Checks that several files share: numbers, curves, dates, expressions.

use super::columns::Scope;
use super::expression::Refusal;
use super::layout::LayoutBuilder;
use super::lower::{Parted, lower, lower_parted};
use super::problem::Report;
use super::schema::Points;
use super::spanned::Spanned;
use crate::domain::Day;
use crate::trust::{Curve, Predicate};
use std::ops::{Range, RangeInclusive};

/// Most names of counters or signals in one list.
const MAX_NAMES: usize = 64;
/// Most points of a curve.
pub(super) const MAX_POINTS: usize = 256;

/// A number inside bounds; notes a problem otherwise. The number stays what it is, since a text that was accepted before
/// the bounds were drawn must mean what it meant.
pub(super) fn number(value: &Spanned<f64>, what: &str, bounds: RangeInclusive<f64>, report: &mut Report) -> f64 {
    let number = *value.get_ref();
    if bounds.contains(&number) {
        return number;
    }
    let (low, high) = (bounds.start(), bounds.end());
    report.at(value.span(), format!("{what} is {number}"), format!("write a number from {low} to {high}"));
    if number.is_finite() { number } else { *low }
}

/// Notes a problem when weights do not add up to 1.
pub(super) fn sums_to_one(weights: impl Iterator<Item = f64>, what: &str, span: Range<usize>, report: &mut Report) {
    let sum = weights.fold(0.0, |sum, weight| sum + weight);
    if (sum - 1.0).abs() > 1e-9 {
        let rounded = (sum * 1e9).round() / 1e9;
        let change = ((1.0 - sum) * 1e9).round() / 1e9;
        report.at(
            span,
            format!("{what} add up to {rounded}, not 1"),
            format!("change some of them by {change} in all"),
        );
    }
}

/// Cuts a list that is too long and notes a problem at the first entry beyond its end.
pub(super) fn at_most<T>(
    list: &mut Vec<T>,
    most: usize,
    what: &str,
    span: impl FnOnce(&T) -> Range<usize>,
    report: &mut Report,
) {
    if let Some(extra) = list.get(most) {
        report.at(span(extra), format!("{} {what}, at most {most} are read", list.len()), "merge or remove some");
        // A text that was accepted before the limit was drawn must mean what it meant.
        if report.judges() {
            list.truncate(most);
        }
    }
}

/// Whether a list of names is too long to be looked up, or nobody would hear of what is found.
pub(super) fn too_many_names(names: &Spanned<Vec<String>>, report: &mut Report) -> bool {
    let count = names.get_ref().len();
    if count > MAX_NAMES {
        report.at(names.span(), format!("{count} names, at most {MAX_NAMES} are read"), "merge or remove some");
    }
    report.judges() && (count > MAX_NAMES || report.is_full())
}

/// A curve whose values lie inside bounds.
pub(super) fn curve(
    mut points: Spanned<Points>,
    what: &str,
    bounds: RangeInclusive<f64>,
    report: &mut Report,
) -> Option<Curve> {
    let span = points.span();
    at_most(points.get_mut(), MAX_POINTS, &format!("points of {what}"), |_| span.clone(), report);
    let outside = points.get_ref().iter().find(|(_, y)| !bounds.contains(y)).map(|point| point.1);
    if let Some(y) = outside {
        let (low, high) = (bounds.start(), bounds.end());
        report.at(span.clone(), format!("{what} has the value {y}"), format!("values lie from {low} to {high}"));
    }
    match Curve::new(points.into_inner()) {
        Ok(curve) => Some(curve),
        Err(error) => {
            report.at(
                span,
                format!("{what}: {error}"),
                "write points as [[x, y], ...], x rising, y only rising or falling",
            );
            None
        }
    }
}

/// A date; notes a problem when it is none.
pub(super) fn day(text: &Spanned<String>, report: &mut Report) -> Option<Day> {
    let day = Day::parse(text.get_ref());
    if day.is_none() {
        report.at(text.span(), format!("{:?} is not a date", text.get_ref()), "write YYYY-MM-DD, e.g. \"2022-03-23\"");
    }
    day
}

/// First and last day, in order.
pub(super) fn period(
    first: Option<&Spanned<String>>,
    last: Option<&Spanned<String>>,
    report: &mut Report,
) -> (Option<Day>, Option<Day>) {
    let days = (first.and_then(|text| day(text, report)), last.and_then(|text| day(text, report)));
    if let ((Some(first), Some(end)), Some(last)) = (days, last)
        && end < first
    {
        report.at(last.span(), format!("the last day {end} is before the first, {first}"), "exchange them");
    }
    days
}

/// An expression, lowered; `None` when it has problems.
pub(super) fn expression(
    text: &Spanned<String>,
    scope: &Scope,
    layout: &mut LayoutBuilder,
    report: &mut Report,
) -> Option<Predicate> {
    if report.is_full() {
        return None;
    }
    noted(lower(text.get_ref(), scope, layout), text, report)
}

/// An expression about merchants and items, lowered; `None` when it has problems.
pub(super) fn parted_expression(
    text: &Spanned<String>,
    scope: &Scope,
    layout: &mut LayoutBuilder,
    report: &mut Report,
) -> Option<Parted> {
    if report.is_full() {
        return None;
    }
    noted(lower_parted(text.get_ref(), scope, layout), text, report)
}

fn noted<T>(lowered: Result<T, Vec<Refusal>>, text: &Spanned<String>, report: &mut Report) -> Option<T> {
    match lowered {
        Ok(lowered) => Some(lowered),
        Err(refusals) => {
            for Refusal { part, message, suggestion } in refusals {
                report.within(text.span(), &part, message, suggestion);
            }
            None
        }
    }
}

/// Notes a problem when an id was seen before.
pub(super) fn unique<'a>(id: &'a Spanned<String>, what: &str, seen: &mut Vec<&'a str>, report: &mut Report) {
    let name = id.get_ref().as_str();
    if !super::counters::is_name(name) {
        report.at(id.span(), format!("{what} id `{name}`"), super::counters::NAME_RULE);
    }
    if seen.contains(&name) {
        report.at(id.span(), format!("{what} `{name}` is declared twice"), "give one of them another id");
    }
    seen.push(name);
}
