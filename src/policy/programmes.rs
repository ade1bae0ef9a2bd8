//! Programmes: one file each, named by the file.

use super::checks::{curve, expression, number, period};
use super::columns::Scope;
use super::counters::{NAME_RULE, is_name};
use super::layout::LayoutBuilder;
use super::model::Dictionary;
use super::problem::{Problem, Report};
use super::schema::{LabelName, ProgrammeFile, ProgrammeKindName, SceneName, UpliftFile};
use crate::domain::Scene;
use crate::traffic::{Label, Programme, ProgrammeKind, Uplift, WeightRules};
use crate::trust::Predicate;
use toml::Spanned;

/// Bits of a programmes mask.
const MAX_PROGRAMMES: usize = 64;

/// Folder of the programme files.
pub(super) const FOLDER: &str = "programmes/";

/// The programme that a file is of.
fn id_of(path: &str) -> Option<&str> {
    path.strip_prefix(FOLDER)?.strip_suffix(".toml")
}

/// Compiles the programme files, which come sorted by path, and gives each its bit.
pub(super) fn programmes(
    files: &[(&str, &str)],
    (scope, ceiling): (&Scope, f64),
    layout: &mut LayoutBuilder,
    dictionary: &mut Dictionary,
    problems: &mut Vec<Problem>,
) -> Vec<Programme> {
    let mut programmes = Vec::new();
    dictionary.keep(files.iter().filter_map(|(path, _)| id_of(path)));
    for (index, (path, text)) in files.iter().enumerate() {
        let mut report = Report::new(path, text, problems);
        let id = id_of(path).unwrap_or_default();
        if !is_name(id) {
            report.at(0..0, format!("the file names the programme `{id}`"), NAME_RULE);
        }
        let bit = bit_of(id, dictionary).filter(|_| index < MAX_PROGRAMMES);
        if index >= MAX_PROGRAMMES {
            report.at(0..0, format!("more than {MAX_PROGRAMMES} live programmes"), "remove one");
        } else if bit.is_none() {
            report.at(0..0, format!("no programme bit is free: {}", dictionary.shortage()), "wait, or remove one");
        }
        let Some(file) = report.read::<ProgrammeFile>() else { continue };
        programmes.extend(programme(id, bit.unwrap_or(0), file, (scope, ceiling), layout, &mut report));
    }
    programmes.sort_by(|a, b| a.id.cmp(&b.id));
    programmes
}

/// Whether every programme stands at its bit: one that found none does not.
pub(super) fn have_bits(programmes: &[Programme], dictionary: &Dictionary) -> bool {
    programmes.iter().all(|programme| dictionary.programme_bits.get(usize::from(programme.bit)) == Some(&programme.id))
}

/// The bit a programme has for life: its own, else the first that nobody had, else the one that is free the longest.
fn bit_of(id: &str, dictionary: &mut Dictionary) -> Option<u8> {
    let bits = &dictionary.programme_bits;
    let position = bits.iter().position(|name| name == id).or_else(|| bits.iter().position(String::is_empty));
    let fresh = (bits.len() < MAX_PROGRAMMES).then_some(bits.len());
    let position = position.or(fresh).or_else(|| dictionary.free_bit())?;
    if let Some(retired) = dictionary.programme_retired.get_mut(position) {
        *retired = None;
    }
    match dictionary.programme_bits.get_mut(position) {
        Some(name) => id.clone_into(name),
        None => dictionary.programme_bits.push(id.to_owned()),
    }
    u8::try_from(position).ok()
}

fn programme(
    id: &str,
    bit: u8,
    file: ProgrammeFile,
    (scope, ceiling): (&Scope, f64),
    layout: &mut LayoutBuilder,
    report: &mut Report,
) -> Option<Programme> {
    let seed = file.seed.get_ref();
    if seed.len() != 3 || !seed.bytes().all(|byte| byte.is_ascii_digit()) {
        report.at(file.seed.span(), format!("seed {seed:?}"), "write the number of the source text, e.g. \"002\"");
    }
    let (first, last) = period(file.first_day.as_ref(), file.last_day.as_ref(), report);
    let kind = kind_of(&file.kind, report);
    let group = file.stacking_group.as_ref().map_or(id, |group| group.get_ref());
    if !is_name(group) {
        report.at(
            file.stacking_group.as_ref().map_or(0..0, Spanned::span),
            format!("stacking group `{group}`"),
            NAME_RULE,
        );
    }
    let scenes = scenes_of(&file.scenes, report);
    let eligibility = expression(&file.eligibility, scope, layout, report);
    let uplift = uplift_of(&file, (scope, ceiling), layout, report);
    let mut conditional_labels: Vec<(Predicate, u32)> = Vec::new();
    for label in &file.conditional_label {
        let condition = expression(&label.when, scope, layout, report);
        conditional_labels.extend(condition.map(|condition| (condition, labels_of(&label.labels))));
    }
    Some(Programme {
        id: id.to_owned(),
        bit,
        kind,
        scenes,
        begins: first.map(crate::domain::Day::start),
        ends: last.map(|day| day.plus(1).start()),
        eligibility: eligibility?,
        uplift: uplift?,
        stacking_group: group.to_owned(),
        labels: labels_of(&file.labels),
        conditional_labels,
        name: file.name,
        name_zh: file.name_zh,
    })
}

fn kind_of(kind: &Spanned<ProgrammeKindName>, report: &mut Report) -> ProgrammeKind {
    match kind.get_ref() {
        ProgrammeKindName::Tilt => ProgrammeKind::Tilt,
        ProgrammeKindName::Support => ProgrammeKind::Support,
        ProgrammeKindName::Hard => ProgrammeKind::Hard,
        ProgrammeKindName::Modifier => {
            // Accepting what has no effect yet would promise something.
            report.at(kind.span(), "modifiers have no effect in this version", "use tilt, support or hard");
            ProgrammeKind::Modifier
        }
    }
}

fn scenes_of(names: &Spanned<Vec<SceneName>>, report: &mut Report) -> [bool; Scene::COUNT] {
    if names.get_ref().is_empty() {
        report.at(names.span(), "a programme without a scene", "name scenes, `pan_shelf` or `all`");
    }
    let names = |name: SceneName| names.get_ref().contains(&name);
    Scene::ALL.map(|scene| {
        let shelf = names(SceneName::PanShelf);
        names(SceneName::All)
            || match scene {
                Scene::Live => names(SceneName::Live),
                Scene::ShortVideo => names(SceneName::ShortVideo),
                Scene::ImageText => names(SceneName::ImageText),
                Scene::Search => names(SceneName::Search) || shelf,
                Scene::Mall => names(SceneName::Mall) || shelf,
                Scene::Store => names(SceneName::Store) || shelf,
            }
    })
}

fn uplift_of(
    file: &ProgrammeFile,
    (scope, ceiling): (&Scope, f64),
    layout: &mut LayoutBuilder,
    report: &mut Report,
) -> Option<Uplift> {
    let kind = *file.kind.get_ref();
    let Some(uplift) = &file.uplift else {
        if kind == ProgrammeKindName::Hard {
            return Some(Uplift::Constant(0.0));
        }
        report.at(file.kind.span(), "a programme without an uplift", "add [uplift] with constant, by_trust or cases");
        return None;
    };
    if kind == ProgrammeKindName::Hard {
        report.at(uplift.span(), "a hard programme counts exposures and lifts none", "remove [uplift] or use support");
    }
    let highest = (ceiling - 1.0).max(0.0);
    let bounds = || 0.0..=highest;
    match uplift.get_ref() {
        UpliftFile { constant: Some(constant), by_trust: None, cases: None } => {
            Some(Uplift::Constant(number(constant, "an uplift", bounds(), report)))
        }
        UpliftFile { constant: None, by_trust: Some(points), cases: None } => {
            let curve = curve(points.clone(), "the uplift", bounds(), report)?;
            if curve.falls() {
                report.at(points.span(), "the uplift falls with trust", "let it rise, or use cases");
            }
            Some(Uplift::ByTrust(curve))
        }
        UpliftFile { constant: None, by_trust: None, cases: Some(cases) } if !cases.is_empty() => {
            let mut lowered: Vec<(Predicate, f64)> = Vec::new();
            for case in cases {
                if lowered.last().is_some_and(|(before, _)| before.steps.is_empty()) {
                    report.at(case.when.span(), "a case after one that always holds", "put the case `true` last");
                }
                let value = number(&case.uplift, "an uplift", bounds(), report);
                lowered.extend(expression(&case.when, scope, layout, report).map(|when| (when, value)));
            }
            Some(Uplift::Cases(lowered))
        }
        _ => {
            report.at(uplift.span(), "the uplift is not clear", "write exactly one of constant, by_trust and cases");
            None
        }
    }
}

fn labels_of(names: &[LabelName]) -> u32 {
    let label = |name: &LabelName| match name {
        LabelName::TrustPurchase => Label::TrustPurchase,
        LabelName::KuaiBrand => Label::KuaiBrand,
        LabelName::Brand => Label::Brand,
        LabelName::NewMerchant => Label::NewMerchant,
        LabelName::Benchmark => Label::Benchmark,
    };
    names.iter().fold(0, |labels, name| labels | label(name).bit())
}

/// What all weights share.
pub(super) fn weight_rules(programmes: &[Programme], ceiling: f64) -> WeightRules {
    let bits = |wanted: &dyn Fn(&Programme) -> bool| {
        programmes.iter().filter(|p| wanted(p)).fold(0_u64, |bits, p| bits | 1_u64.wrapping_shl(u32::from(p.bit)))
    };
    WeightRules {
        ceiling,
        scene_programmes: Scene::ALL.map(|scene| bits(&|programme| programme.works_in(scene))),
        hard_programmes: bits(&|programme| programme.kind == ProgrammeKind::Hard),
    }
}
