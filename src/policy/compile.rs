//! The order of the work: rights, rules, counters, signals, programmes.

use super::checks::{at_most, curve, number, sums_to_one, unique};
use super::columns::{Scope, Stages};
use super::counters::{Counters, declare};
use super::layout::{LayoutBuilder, fingerprint};
use super::model::{Dictionary, Policy, WaiverCounters};
use super::outcomes::validation;
use super::problem::{Problem, Problems, Report, Unusable, did_you_mean};
use super::programme_file::ProgrammeFile;
use super::programmes::{FOLDER, have_bits, holdout, programmes};
use super::reach::{Reach, highest_scores, tier_scores};
use super::schema::{
    ForceMajeureFile, HoldoutFile, LayersFile, LifeCycleFile, ProvidersFile, ScoreFile, TierFile, TiltFile,
    ViolationsFile, WaiverFile,
};
use super::spanned::Spanned;
use super::stages::{ranking, stages};
use super::{check_size, rules, signals::signals, text_hash};
use crate::domain::{PolicyText, Scene, Wanted};
use crate::traffic::{Holdout, ProviderRanking, Recipe, Stage, WeightRules};
use crate::trust::consumer_rights::Right;
use crate::trust::governance::{Violations, WaiverRule};
use crate::trust::{Curve, Formulas, ScoreModel, Tier};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ops::Range;

const SCORE: &str = "score.toml";
const RIGHTS: &str = "rights.toml";
const VIOLATIONS: &str = "violations.toml";
const FORCE_MAJEURE: &str = "rules/force_majeure.toml";
const WAIVER: &str = "rules/high_in_stock_waiver.toml";
const LIFE_CYCLE: &str = "life_cycle.toml";
const PROVIDERS: &str = "providers.toml";
const FIXED_FILES: [&str; 7] = [SCORE, RIGHTS, VIOLATIONS, FORCE_MAJEURE, WAIVER, LIFE_CYCLE, PROVIDERS];

/// Most tiers.
const MAX_TIERS: usize = 32;
/// Most categories without logistics.
const MAX_CATEGORIES: usize = 256;
/// Longest time an answer may be kept.
const MAX_TTL_MS: u32 = 3_600_000;

/// See [`super::compile`].
pub(super) fn compile(
    text: &PolicyText,
    version: u64,
    dictionary: &mut Dictionary,
    wanted: &Wanted,
) -> Result<Policy, Vec<Problem>> {
    check_size(text)?;
    let (policy, names, problems) = compiled(text, version, dictionary, Problems::wanted(wanted.clone()));
    match policy {
        // What was left in the middle has no problems, and is no policy either.
        Some(policy) if problems.is_empty() && !wanted.is_over() => {
            *dictionary = names;
            Ok(policy)
        }
        _ => Err(problems),
    }
}

/// See [`super::accept`].
pub(super) fn accept(text: &PolicyText, version: u64, dictionary: &mut Dictionary) -> Result<Policy, Unusable> {
    let (policy, names, problems) = compiled(text, version, dictionary, Problems::unjudged());
    match policy {
        Some(policy) if have_bits(&policy.programmes, &names) => {
            *dictionary = names;
            Ok(policy)
        }
        Some(_) => Err(Unusable::NoProgrammeBit(names.shortage())),
        None => Err(Unusable::Problems(problems)),
    }
}

fn compiled(
    text: &PolicyText,
    version: u64,
    dictionary: &Dictionary,
    problems: Problems,
) -> (Option<Policy>, Dictionary, Vec<Problem>) {
    let mut names = dictionary.clone();
    let mut work = Work { files: BTreeMap::new(), names: &mut names, problems };
    work.take_files(text);
    let policy = work.policy(text, version);
    let mut problems = work.problems.into_list();
    problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    (policy, names, problems)
}

/// A policy under compilation.
struct Work<'a, 'd> {
    files: BTreeMap<&'a str, &'a str>,
    names: &'d mut Dictionary,
    problems: Problems,
}

/// The parts of `score.toml` that do not read counters.
struct Frame {
    tiers: Vec<Tier>,
    layer_weights: [f64; 3],
    layer_priors: [f64; 3],
    tilt: Option<[Curve; Scene::COUNT]>,
    ceiling: f64,
    cache_ttl_ms: u32,
    holdout: Option<Holdout>,
}

impl<'a> Work<'a, '_> {
    fn take_files(&mut self, text: &'a PolicyText) {
        for (path, content) in &text.files {
            let is_programme = path.starts_with(FOLDER);
            let is_toml = std::path::Path::new(path).extension().is_some_and(|extension| extension == "toml");
            if !is_toml {
                continue;
            }
            let mut report = Report::new(path, content, &mut self.problems);
            if !is_programme && !FIXED_FILES.contains(&path.as_str()) {
                let fix = did_you_mean(path, FIXED_FILES.iter().copied());
                report.at(0..0, format!("`{path}` is not a file of a policy"), fix);
            } else if self.files.insert(path, content).is_some() {
                report.at(0..0, "the file is there twice", "send each path once");
            }
        }
    }

    /// Reads a file if it is there and hands it on.
    fn read<F: DeserializeOwned, T>(&mut self, path: &str, then: impl FnOnce(F, &mut Report) -> T) -> Option<T> {
        let text = self.files.get(path)?;
        let mut report = Report::new(path, text, &mut self.problems);
        report.read().map(|file| then(file, &mut report))
    }

    fn policy(&mut self, text: &PolicyText, version: u64) -> Option<Policy> {
        let rights = if self.files.contains_key(RIGHTS) { self.read(RIGHTS, rules::rights) } else { Some(Vec::new()) };
        let waiver = self.read(WAIVER, |file: WaiverFile, report| rules::waiver(&file, report));
        let violations = Violations {
            types: self
                .read(VIOLATIONS, |file: ViolationsFile, report| rules::violations(file, report))
                .unwrap_or_default(),
            force_majeure: self
                .read(FORCE_MAJEURE, |file: ForceMajeureFile, report| rules::force_majeure(file, report))
                .unwrap_or_default(),
            waiver,
        };
        let Some(score) = self.read(SCORE, |file: ScoreFile, _| file) else {
            self.without_score();
            return None;
        };
        self.with_score(score, rights, violations).map(|policy| Policy {
            version,
            hash: text_hash(text),
            source: text.source.clone(),
            ..policy
        })
    }

    /// What can be said about the rest when `score.toml` cannot be read.
    fn without_score(&mut self) {
        if !self.files.contains_key(SCORE) {
            Report::new(SCORE, "", &mut self.problems).at(0..0, "the file is missing", "add it; see policy/default");
        }
        let paths: Vec<&str> = self.files.keys().copied().filter(|path| path.starts_with(FOLDER)).collect();
        for path in paths {
            self.read(path, |_: ProgrammeFile, _| ());
        }
    }

    fn with_score(
        &mut self,
        mut file: ScoreFile,
        rights: Option<Vec<Right>>,
        violations: Violations,
    ) -> Option<Policy> {
        let score_text = self.files.get(SCORE).copied().unwrap_or_default();
        let mut report = Report::new(SCORE, score_text, &mut self.problems);
        let counters = declare(std::mem::take(&mut file.counter), self.names, &mut report);
        let first_sale = counters.flow(file.first_sale_counter.get_ref());
        let first_sale = first_sale
            .map_err(|(message, suggestion)| report.at(file.first_sale_counter.span(), message, suggestion))
            .ok();
        let span = file.no_logistics.span();
        at_most(file.no_logistics.get_mut(), MAX_CATEGORIES, "categories", |_| span, &mut report);
        let no_logistics = std::mem::take(file.no_logistics.get_mut());
        let span = file.tier.span();
        at_most(file.tier.get_mut(), MAX_TIERS, "tiers", |_| span, &mut report);
        let tier_ids: Vec<String> = file.tier.get_ref().iter().map(|tier| tier.id.get_ref().clone()).collect();
        let right_ids: Option<Vec<String>> =
            rights.as_ref().map(|rights| rights.iter().map(|right| right.id.clone()).collect());
        let signal_ids: Vec<String> = file.signal.iter().map(|signal| signal.id.get_ref().clone()).collect();
        let scope = Scope {
            counters: &counters,
            signals: None,
            tiers: &tier_ids,
            rights: right_ids.as_deref(),
            stages: Stages::Hidden,
            no_logistics: &no_logistics,
            items: false,
        };
        let mut layout = LayoutBuilder::default();
        let applies_spans: Vec<Option<Range<usize>>> =
            file.signal.iter().map(|signal| signal.applies.as_ref().map(Spanned::span)).collect();
        let compiled = signals(std::mem::take(&mut file.signal), &scope, &mut layout, &mut report);
        let tier_spans: Vec<Range<usize>> = file.tier.get_ref().iter().map(|tier| tier.min_score.span()).collect();
        let outcomes = std::mem::take(&mut file.outcome);
        let validation = validation(outcomes, file.plain_average.as_ref(), (&counters, &signal_ids), &mut report);
        let frame = frame(file, &mut report);
        // What is wrong already would only be found again, or lead astray.
        let is_right = report.is_empty() && report.judges();
        let highest = highest_scores(&compiled, frame.layer_weights, frame.layer_priors);
        if is_right {
            reachable(&frame.tiers, &tier_spans, highest.0, &mut report);
        }
        let tiers = if is_right { tier_scores(&frame.tiers) } else { Vec::new() };
        let signals = if is_right { compiled.as_slice() } else { &[] };
        let highest = if is_right { highest } else { (100.0, [100.0; 3]) };
        let reach = Reach::new(&tiers, signals, highest);
        for (signal, span) in signals.iter().zip(&applies_spans) {
            if let Some(span) = span {
                reach.expression(&signal.applies, span.clone(), "it never applies", &mut report);
            }
        }

        let scope = Scope { signals: Some(&signal_ids), ..scope };
        let read_stages = self.stages(&scope, &reach, &mut layout);
        let is_read = read_stages.is_some() || !self.files.contains_key(LIFE_CYCLE);
        let stages = read_stages.unwrap_or_default();
        let stage_ids: Vec<String> = stages.iter().map(|stage| stage.id.clone()).collect();
        let stage_names: Vec<&str> = stage_ids.iter().map(String::as_str).collect();
        let is_right = self.problems.is_empty();
        let reach = if is_right { reach.with_stages(&stages, &stage_names) } else { reach };
        let provider_ranking = self.ranking(&counters, &mut layout);
        let paths: Vec<(&str, &str)> =
            self.files.iter().filter(|(path, _)| path.starts_with(FOLDER)).map(|(path, text)| (*path, *text)).collect();
        let stage_scope = if is_read { Stages::Ids(&stage_ids) } else { Stages::Unread };
        let scope = Scope { stages: stage_scope, items: true, ..scope };
        let ceiling = frame.ceiling;
        let programmes = programmes(&paths, (&scope, ceiling, &reach), &mut layout, self.names, &mut self.problems);
        let waiver_counters = self.waiver_counters(violations.waiver.as_ref(), &counters);
        let (layout, item_layout) = layout.build(first_sale);
        let recipe = Recipe::new(&compiled, &stages, &programmes);
        Some(Policy {
            layout_fingerprint: fingerprint(&layout),
            item_layout_fingerprint: fingerprint(&item_layout),
            counters: counters.into_defs(),
            model: ScoreModel {
                layout,
                formulas: Formulas::new(&compiled),
                signals: compiled,
                layer_weights: frame.layer_weights,
                layer_priors: frame.layer_priors,
                tiers: frame.tiers,
                tilt: frame.tilt?,
                rights: rights?,
                violations,
            },
            item_layout,
            stages,
            provider_ranking,
            holdout: frame.holdout,
            weight_rules: WeightRules::new(ceiling, &programmes),
            recipe,
            programmes,
            cache_ttl_ms: frame.cache_ttl_ms,
            waiver_counters,
            validation,
            ..Policy::empty()
        })
    }

    fn stages(&mut self, scope: &Scope, reach: &Reach, layout: &mut LayoutBuilder) -> Option<Vec<Stage>> {
        let read = |file: LifeCycleFile, report: &mut Report| stages(file, (scope, reach), layout, report);
        self.read(LIFE_CYCLE, read)
    }

    fn ranking(&mut self, counters: &Counters, layout: &mut LayoutBuilder) -> Option<ProviderRanking> {
        self.read(PROVIDERS, |file: ProvidersFile, report| ranking(&file.ranking, counters, layout, report)).flatten()
    }

    /// The counters the waiver reads, which must be declared when there is one.
    fn waiver_counters(&mut self, rule: Option<&WaiverRule>, counters: &Counters) -> Option<WaiverCounters> {
        rule?;
        let text = self.files.get(WAIVER).copied().unwrap_or_default();
        let mut report = Report::new(WAIVER, text, &mut self.problems);
        let mut flow = |name: &str| {
            counters
                .flow(name)
                .map_err(|(message, _)| report.at(0..0, message, "the waiver reads it: declare it in score.toml"))
                .ok()
        };
        let [paid, promised, lightning, due, on_time] =
            ["paid_orders", "promised_orders", "lightning_buy_orders", "shipments_due", "shipped_on_time"]
                .map(&mut flow);
        Some(WaiverCounters {
            paid_orders: paid?,
            promised_orders: promised?,
            lightning_buy_orders: lightning?,
            shipments_due: due?,
            shipped_on_time: on_time?,
        })
    }
}

fn frame(file: ScoreFile, report: &mut Report) -> Frame {
    let ceiling = number(&file.weight_ceiling, "the weight ceiling", 1.0..=100.0, report);
    if *file.cache_ttl_ms.get_ref() > MAX_TTL_MS {
        report.at(file.cache_ttl_ms.span(), "answers would be kept for more than an hour", "write at most 3600000");
    }
    let (layer_weights, layer_priors) = layers(&file.layer, report);
    Frame {
        tiers: tiers(file.tier, report),
        layer_weights,
        layer_priors,
        tilt: tilt(file.tilt, ceiling, report),
        ceiling,
        cache_ttl_ms: *file.cache_ttl_ms.get_ref(),
        holdout: file.holdout.as_ref().map(|file: &HoldoutFile| holdout(file, "global", report)),
    }
}

fn layers(file: &Spanned<LayersFile>, report: &mut Report) -> ([f64; 3], [f64; 3]) {
    let LayersFile { governance, consumer_rights, experience } = file.get_ref();
    let layers = [governance, consumer_rights, experience];
    let weights = layers.map(|layer| number(&layer.weight, "the weight of a layer", 0.0..=1.0, report));
    sums_to_one(weights.into_iter(), "the weights of the layers", governance.weight.span(), report);
    (weights, layers.map(|layer| number(&layer.prior, "the prior of a layer", 0.0..=1.0, report)))
}

fn tiers(file: Spanned<Vec<TierFile>>, report: &mut Report) -> Vec<Tier> {
    let mut seen = Vec::new();
    file.get_ref().iter().for_each(|tier| unique(&tier.id, "tier", &mut seen, report));
    match file.get_ref().first() {
        None => report.at(file.span(), "there are no tiers", "declare at least one, from 0"),
        Some(first) if *first.min_score.get_ref() > 0.0 => {
            let message = format!("the lowest tier begins at {}", first.min_score.get_ref());
            report.at(first.min_score.span(), message, "let it begin at 0, so that every score has a tier");
        }
        Some(_) => {}
    }
    let mut tiers: Vec<Tier> = Vec::new();
    for tier in file.into_inner() {
        let min_score = number(&tier.min_score, "the lowest score of a tier", 0.0..=100.0, report);
        if let Some(before) = tiers.last().filter(|before| before.min_score >= min_score) {
            let message =
                format!("tier `{}` begins at {min_score}, `{}` at {}", tier.id.get_ref(), before.id, before.min_score);
            report.at(tier.min_score.span(), message, "sort tiers by their lowest score, each above the one before");
        }
        tiers.push(Tier {
            id: tier.id.into_inner(),
            name: tier.name,
            name_zh: tier.name_zh,
            min_score,
            ad_price_factor: number(&tier.ad_price_factor, "the factor on the price of ads", 0.1..=10.0, report),
        });
    }
    tiers
}

/// Tiers that begin above the highest score that signals and layers allow.
fn reachable(tiers: &[Tier], spans: &[Range<usize>], highest: f64, report: &mut Report) {
    for (tier, span) in tiers.iter().zip(spans).filter(|(tier, _)| tier.min_score > highest) {
        let highest = (highest * 10.0).round() / 10.0;
        report.at(
            span.clone(),
            format!("nobody reaches the tier `{}`: the highest trust score is {highest}", tier.id),
            "let it begin lower, or let curves of signals rise higher",
        );
    }
}

/// The tilt of each scene, in scene order.
fn tilt(file: TiltFile, ceiling: f64, report: &mut Report) -> Option<[Curve; Scene::COUNT]> {
    let TiltFile { live, short_video, image_text, search, mall, store } = file;
    let points = [live, short_video, image_text, search, mall, store];
    let mut curves = Vec::new();
    for (scene, points) in Scene::ALL.into_iter().zip(points) {
        let span = points.span();
        let name = format!("the tilt of {}", scene.name());
        let outside = points.get_ref().iter().any(|(x, _)| !(0.0..=100.0).contains(x));
        if outside {
            report.at(span.clone(), format!("{name} has a point outside 0 to 100"), "trust scores go from 0 to 100");
        }
        // 0 would exclude; that is what violations are for.
        let Some(curve) = curve(points, &name, 0.01..=ceiling, report) else { continue };
        if curve.falls() {
            report.at(span, format!("{name} falls"), "more trust never means less traffic: let it rise");
        }
        curves.push(curve);
    }
    curves.try_into().ok()
}
