//! Signals: from `[[signal]]` tables to typed inputs.

use super::checks::{at_most, curve, expression, number, sums_to_one, too_many_names, unique};
use super::columns::{Scope, days};
use super::counters::Counters;
use super::layout::LayoutBuilder;
use super::model::CounterKind;
use super::problem::{Report, did_you_mean};
use super::schema::{DerivedName, DimensionName, KindName, LayerName, SignalFile};
use super::spanned::Spanned;
use crate::trust::{Anchor, Curve, Derived, Dimension, Input, Layer, Signal, SignalKind, Span, Window};
use std::ops::Range;

/// Most signals: every merchant is scored with each.
const MAX_SIGNALS: usize = 512;

/// Compiles the signals in the order of the file.
pub(super) fn signals(
    mut files: Vec<SignalFile>,
    scope: &Scope,
    layout: &mut LayoutBuilder,
    report: &mut Report,
) -> Vec<Signal> {
    at_most(&mut files, MAX_SIGNALS, "signals", |signal| signal.id.span(), report);
    let mut seen = Vec::new();
    for file in &files {
        unique(&file.id, "signal", &mut seen, report);
    }
    for layer in Layer::ALL {
        let members: Vec<&SignalFile> = files.iter().filter(|file| layer_of(file.layer) == layer).collect();
        if let Some(first) = members.first() {
            let weights = members.iter().map(|file| *file.weight.get_ref());
            let what = format!("the weights of the {} signals", layer.name());
            sums_to_one(weights, &what, first.weight.span(), report);
        }
    }
    let ids: Vec<String> = files.iter().map(|file| file.id.get_ref().clone()).collect();
    let mut signals = Vec::new();
    for (position, file) in files.into_iter().enumerate() {
        let earlier = ids.get(..position).unwrap_or_default();
        let mut reader = Reader { file: &file, counters: scope.counters, earlier, layout, report };
        let (kind, prior) = (reader.kind(), reader.prior());
        reader.unused();
        let applies = file
            .applies
            .as_ref()
            .map_or_else(|| Some(crate::trust::Predicate::default()), |text| expression(text, scope, layout, report));
        let weight = number(&file.weight, "the weight of a signal", 0.0..=1.0, report);
        let id = file.id.get_ref().clone();
        let curve = curve(file.curve, &format!("the curve of `{id}`"), 0.0..=1.0, report);
        if let (Some(kind), Some((prior_mean, prior_strength)), Some(curve), Some(applies)) =
            (kind, prior, curve, applies)
        {
            if !matches!(kind, SignalKind::Composite { .. })
                && let Some(span) = file.prior_mean.as_ref().map(Spanned::span)
            {
                check_prior(prior_mean, &curve, span, report);
            }
            let (layer, dimension) = (layer_of(file.layer), dimension_of(file.dimension));
            let (name, name_zh) = (file.name, file.name_zh);
            signals.push(Signal {
                id,
                name,
                name_zh,
                layer,
                dimension,
                kind,
                prior_mean,
                prior_strength,
                curve,
                weight,
                applies,
            });
        }
    }
    signals
}

/// A prior beyond the ends of the curve says nothing about where small samples shrink to.
fn check_prior(prior: f64, curve: &Curve, span: Range<usize>, report: &mut Report) {
    if let (Some((low, _)), Some((high, _))) = (curve.points().first(), curve.points().last())
        && !(*low..=*high).contains(&prior)
    {
        report.at(
            span,
            format!("prior mean {prior} lies outside the curve, which goes from {low} to {high}"),
            "write what an average merchant has, inside the curve",
        );
    }
}

/// Reads one signal; what it takes out of the file is what its kind uses.
struct Reader<'a, 'r, 'p> {
    file: &'a SignalFile,
    counters: &'a Counters,
    earlier: &'a [String],
    layout: &'a mut LayoutBuilder,
    report: &'r mut Report<'p>,
}

impl Reader<'_, '_, '_> {
    fn problem(&mut self, span: Range<usize>, message: impl Into<String>, suggestion: impl Into<String>) {
        self.report.at(span, message, suggestion);
    }

    /// A key that the kind cannot do without.
    fn needed<'v, T>(&mut self, value: Option<&'v Spanned<T>>, key: &str) -> Option<&'v Spanned<T>> {
        if value.is_none() {
            let file = self.file;
            let message = format!("signal `{}` of kind {} has no `{key}`", file.id.get_ref(), kind_name(file.kind));
            self.problem(file.id.span(), message, format!("add `{key} = ...`"));
        }
        value
    }

    fn kind(&mut self) -> Option<SignalKind> {
        let file = self.file;
        match file.kind {
            KindName::Share => {
                let (numerator, denominator) = self.ratio()?;
                Some(SignalKind::Share { numerator, denominator })
            }
            KindName::Mean => {
                let scale = self.scale();
                let (numerator, denominator) = self.ratio()?;
                Some(SignalKind::Mean { numerator, denominator, scale })
            }
            KindName::Level => {
                let counter = self.needed(file.counter.as_ref(), "counter")?;
                let scale = self.scale();
                let id = self.looked_up(counter.span(), self.counters.level(counter.get_ref()))?;
                let level = self.layout.level(id);
                Some(SignalKind::Level { level: self.fits(level, counter.span())?, scale })
            }
            KindName::Growth => self.growth(),
            KindName::Composite => self.composite(),
            KindName::Derived => {
                let derived = self.needed(file.derived.as_ref(), "derived")?;
                Some(SignalKind::Derived(match derived.get_ref() {
                    DerivedName::ViolationPoints => Derived::ViolationPoints,
                    DerivedName::PriorIdentityViolation => Derived::PriorIdentityViolation,
                    DerivedName::RightsCoverage => Derived::RightsCoverage,
                    DerivedName::DaysSinceOpening => Derived::DaysSinceOpening,
                }))
            }
        }
    }

    fn scale(&mut self) -> f64 {
        self.file.scale.as_ref().map_or(1.0, |scale| number(scale, "scale", 1e-9..=1e9, self.report))
    }

    fn looked_up<T>(&mut self, span: Range<usize>, found: Result<T, (String, String)>) -> Option<T> {
        found.map_err(|(message, suggestion)| self.problem(span, message, suggestion)).ok()
    }

    fn fits<T>(&mut self, id: Option<T>, span: Range<usize>) -> Option<T> {
        if id.is_none() {
            self.problem(span, "the policy needs too many window sums", "use windows that other signals use");
        }
        id
    }

    fn ratio(&mut self) -> Option<(Vec<Input>, Vec<Input>)> {
        let file = self.file;
        let numerator = self.needed(file.numerator.as_ref(), "numerator");
        let denominator = self.needed(file.denominator.as_ref(), "denominator");
        let (numerator, denominator) = (numerator?, denominator?);
        let window = self.window();
        let has_flow = numerator
            .get_ref()
            .iter()
            .chain(denominator.get_ref())
            .any(|name| self.counters.get(name).is_some_and(|counter| counter.kind == CounterKind::Flow));
        if !has_flow && let Some(window) = &file.window {
            self.problem(window.span(), "levels have no window", "remove `window`");
        }
        let numerator = self.inputs(numerator, window.as_ref());
        let denominator = self.inputs(denominator, window.as_ref());
        Some((numerator?, denominator?))
    }

    fn inputs(&mut self, names: &Spanned<Vec<String>>, window: Option<&Window>) -> Option<Vec<Input>> {
        let span = names.span();
        if names.get_ref().is_empty() {
            self.problem(span.clone(), "no counter is named", "name at least one counter");
        }
        if too_many_names(names, self.report) {
            return None;
        }
        let inputs: Vec<Option<Input>> =
            names.get_ref().iter().map(|name| self.input(name, window, span.clone())).collect();
        inputs.into_iter().collect()
    }

    fn input(&mut self, name: &str, window: Option<&Window>, span: Range<usize>) -> Option<Input> {
        let found = self.counters.find(name).map(|counter| (counter.id, counter.kind));
        let (id, kind) = self.looked_up(span.clone(), found)?;
        if kind == CounterKind::Level {
            let level = self.layout.level(id);
            return self.fits(level, span).map(Input::Level);
        }
        if self.file.window.is_none() {
            self.problem(span, format!("the flow `{name}` needs a window"), "add `window = \"30d\"`");
            return None;
        }
        let sum = self.layout.sum(id, window?);
        self.fits(sum, span).map(Input::Sum)
    }

    fn growth(&mut self) -> Option<SignalKind> {
        let file = self.file;
        let counter = self.needed(file.counter.as_ref(), "counter");
        let window = self.needed(file.window.as_ref(), "window").and_then(|_| self.window());
        let offset = self.needed(file.offset_days.as_ref(), "offset_days");
        let (counter, window, offset) = (counter?, window?, offset?);
        if *offset.get_ref() == 0 {
            self.problem(
                offset.span(),
                "growth over the same days",
                "shift the earlier window back, e.g. 30 or 365 days",
            );
        }
        let id = self.looked_up(counter.span(), self.counters.flow(counter.get_ref()))?;
        let now = self.layout.sum(id, &Window { offset_days: 0, ..window.clone() });
        let before = self.layout.sum(id, &window);
        Some(SignalKind::Growth {
            current: self.fits(now, counter.span())?,
            previous: self.fits(before, counter.span())?,
        })
    }

    fn composite(&mut self) -> Option<SignalKind> {
        let file = self.file;
        let parts = self.needed(file.parts.as_ref(), "parts")?;
        if parts.get_ref().is_empty() {
            self.problem(parts.span(), "a composite of nothing", "name at least one signal above it");
        }
        if too_many_names(parts, self.report) {
            return None;
        }
        let positions: Vec<Option<u16>> = parts.get_ref().iter().map(|part| self.earlier(part, parts.span())).collect();
        let over = match &file.over {
            None => None,
            Some(over) => Some(self.earlier(over.get_ref(), over.span())?),
        };
        Some(SignalKind::Composite { parts: positions.into_iter().collect::<Option<_>>()?, over })
    }

    /// The position of a signal that stands above this one.
    fn earlier(&mut self, id: &str, span: Range<usize>) -> Option<u16> {
        let position = self.earlier.iter().position(|earlier| earlier == id).and_then(|p| u16::try_from(p).ok());
        if position.is_none() {
            let fix = did_you_mean(id, self.earlier.iter().map(String::as_str));
            self.problem(span, format!("no signal `{id}` stands above `{}`", self.file.id.get_ref()), fix);
        }
        position
    }

    fn window(&mut self) -> Option<Window> {
        let file = self.file;
        let text = file.window.as_ref()?;
        let offset_days = file.offset_days.as_ref().map_or(0, |offset| *offset.get_ref());
        if offset_days > 3_660 {
            let span = file.offset_days.as_ref().map_or(0..0, Spanned::span);
            self.problem(span, format!("offset of {offset_days} days"), "write at most 3660");
        }
        let span = span_of(text.get_ref());
        if span.is_none() {
            self.problem(
                text.span(),
                format!("{:?} is not a window", text.get_ref()),
                "write \"30d\", \"week\", \"lifetime\", \"30d from opening\", \"30d from first_sale\" or \"30d from enrolment:LIST\"",
            );
        }
        span.map(|span| Window { span, offset_days })
    }

    /// Mean and strength of the prior.
    fn prior(&mut self) -> Option<(f64, f64)> {
        let file = self.file;
        if file.kind == KindName::Composite {
            return Some((0.0, 0.0));
        }
        let share = file.kind == KindName::Share;
        let mean = self.needed(file.prior_mean.as_ref(), "prior_mean")?;
        let mean = number(mean, "the prior mean", if share { 0.0..=1.0 } else { 0.0..=1e12 }, self.report);
        if file.kind == KindName::Derived {
            return Some((mean, 0.0));
        }
        let strength = self.needed(file.prior_strength.as_ref(), "prior_strength")?;
        let least = if file.kind == KindName::Level { 0.0 } else { 1e-6 };
        Some((mean, number(strength, "the prior strength", least..=1e12, self.report)))
    }

    /// Keys that the kind does not look at are mistakes.
    fn unused(&mut self) {
        use KindName::{Composite, Derived, Growth, Level, Mean, Share};
        let file = self.file;
        let keys = [
            ("numerator", file.numerator.as_ref().map(Spanned::span), [Share, Mean].as_slice()),
            ("denominator", file.denominator.as_ref().map(Spanned::span), &[Share, Mean]),
            ("counter", file.counter.as_ref().map(Spanned::span), &[Level, Growth]),
            ("scale", file.scale.as_ref().map(Spanned::span), &[Mean, Level]),
            ("window", file.window.as_ref().map(Spanned::span), &[Share, Mean, Growth]),
            ("offset_days", file.offset_days.as_ref().map(Spanned::span), &[Share, Mean, Growth]),
            ("parts", file.parts.as_ref().map(Spanned::span), &[Composite]),
            ("over", file.over.as_ref().map(Spanned::span), &[Composite]),
            ("derived", file.derived.as_ref().map(Spanned::span), &[Derived]),
            ("prior_mean", file.prior_mean.as_ref().map(Spanned::span), &[Share, Mean, Level, Growth, Derived]),
            ("prior_strength", file.prior_strength.as_ref().map(Spanned::span), &[Share, Mean, Level, Growth]),
        ];
        for (key, span, kinds) in keys {
            if let Some(span) = span.filter(|_| !kinds.contains(&file.kind)) {
                let message = format!("kind {} has no `{key}`", kind_name(file.kind));
                self.problem(span, message, format!("remove `{key}` or change the kind"));
            }
        }
    }
}

fn span_of(text: &str) -> Option<Span> {
    if let Some((length, anchor)) = text.split_once(" from ") {
        let anchor = match anchor {
            "opening" => Anchor::Opening,
            "first_sale" => Anchor::FirstSale,
            _ => Anchor::Enrolment(anchor.strip_prefix("enrolment:").filter(|list| !list.is_empty())?.to_owned()),
        };
        return days(length).map(|days| Span::From(anchor, days));
    }
    match text {
        "week" => Some(Span::NaturalWeek),
        "lifetime" => Some(Span::Lifetime),
        _ => days(text).map(Span::Days),
    }
}

fn kind_name(kind: KindName) -> &'static str {
    match kind {
        KindName::Share => "share",
        KindName::Mean => "mean",
        KindName::Level => "level",
        KindName::Growth => "growth",
        KindName::Composite => "composite",
        KindName::Derived => "derived",
    }
}

fn layer_of(layer: LayerName) -> Layer {
    match layer {
        LayerName::Governance => Layer::Governance,
        LayerName::ConsumerRights => Layer::ConsumerRights,
        LayerName::Experience => Layer::Experience,
    }
}

fn dimension_of(dimension: DimensionName) -> Dimension {
    match dimension {
        DimensionName::ProductQuality => Dimension::ProductQuality,
        DimensionName::ServiceQuality => Dimension::ServiceQuality,
        DimensionName::AnchorAttitude => Dimension::AnchorAttitude,
        DimensionName::ProductExperience => Dimension::ProductExperience,
        DimensionName::AfterSales => Dimension::AfterSales,
        DimensionName::SocialEvaluation => Dimension::SocialEvaluation,
    }
}
