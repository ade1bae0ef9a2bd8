//! Programmes: one file each, named by the file.

use super::checks::{at_most, curve, expression, number, parted_expression, period};
use super::columns::Scope;
use super::counters::{NAME_RULE, is_name};
use super::layout::LayoutBuilder;
use super::lower::Parted;
use super::model::Dictionary;
use super::problem::{Problems, Report, did_you_mean};
use super::programme_file::{
    AreaName, LabelName, ProgrammeFile, ProgrammeKindName, SceneName, TargetName, UpliftFile, WeekdayName,
};
use super::reach::{Member, Reach, exclusive_groups};
use super::schema::HoldoutFile;
use super::spanned::Spanned;
use super::spending::{budget, cap, guarantee};
use crate::domain::{Scene, TargetKind};
use crate::traffic::{
    Area, Holdout, ItemUplift, Label, Programme, ProgrammeKind, ProgrammeWindow, SceneCondition, Uplift,
};
use crate::trust::Predicate;

/// Highest factor of modifiers and items.
const MAX_FACTOR: f64 = 10.0;
/// Highest uplift: what a record can hold.
const MAX_UPLIFT: f64 = 65.0;
/// Most cases of an uplift, and of what else is by condition.
const MAX_CASES: usize = 32;
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
    (scope, ceiling, reach): (&Scope, f64, &Reach),
    layout: &mut LayoutBuilder,
    dictionary: &mut Dictionary,
    problems: &mut Problems,
) -> Vec<Programme> {
    let mut programmes = Vec::new();
    let mut modifiers: Vec<(&str, &str, String, Spanned<Vec<String>>)> = Vec::new();
    let mut exclusive = Vec::new();
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
        let Some(mut file) = report.read::<ProgrammeFile>() else { continue };
        bounded(&mut file, &mut report);
        if let Some(names) = &file.modifies
            && *file.kind.get_ref() == ProgrammeKindName::Modifier
        {
            modifiers.push((path, text, id.to_owned(), names.clone()));
        }
        if let Some(group) = &file.exclusive_group {
            exclusive.push(Member { file: (path, text), span: group.span(), id: id.to_owned() });
        }
        let place = Place { scope, ceiling };
        let Some(programme) = programme(id, bit.unwrap_or(0), &file, place, layout, &mut report) else { continue };
        reach.programme(&programme, &file, &mut report);
        programmes.push(programme);
    }
    exclusive_groups(reach, &exclusive, &programmes, problems);
    for (path, text, id, modifies) in modifiers {
        let bits = modified(&modifies, &programmes, files, &mut Report::new(path, text, problems));
        programmes.iter_mut().filter(|programme| programme.id == id).for_each(|modifier| modifier.modifies = bits);
    }
    programmes.sort_by(|a, b| a.id.cmp(&b.id));
    programmes
}

/// Cuts lists that are too long.
fn bounded(file: &mut ProgrammeFile, report: &mut Report) {
    at_most(&mut file.scene_condition, MAX_CASES, "conditions on scenes", |condition| condition.when.span(), report);
    at_most(&mut file.item_uplift, MAX_CASES, "uplifts of items", |case| case.when.span(), report);
    at_most(&mut file.conditional_label, MAX_CASES, "labels under a condition", |label| label.when.span(), report);
    if let Some(cases) = file.uplift.as_mut().and_then(|uplift| uplift.get_mut().cases.as_mut()) {
        at_most(cases, MAX_CASES, "cases", |case| case.when.span(), report);
    }
    if let Some(names) = &mut file.modifies {
        let span = names.span();
        at_most(names.get_mut(), MAX_PROGRAMMES, "programmes", |_| span, report);
    }
}

/// The bits of the programmes that a modifier names.
fn modified(
    names: &Spanned<Vec<String>>,
    programmes: &[Programme],
    files: &[(&str, &str)],
    report: &mut Report,
) -> u64 {
    let mut bits = 0;
    // A programme with problems of its own is not missing.
    let has_file = |name: &str| files.iter().any(|(path, _)| *path == format!("{FOLDER}{name}.toml"));
    for name in names.get_ref() {
        match programmes.iter().find(|programme| programme.id == *name) {
            Some(programme) if matches!(programme.kind, ProgrammeKind::Tilt | ProgrammeKind::Support) => {
                bits |= programme.mask();
            }
            Some(programme) => {
                let message = format!("`{name}` is a {} programme and has no uplift", programme.kind.name());
                report.within(names.span(), name, message, "name tilt and support programmes");
            }
            None if has_file(name) => {}
            None => {
                let known = programmes.iter().map(|programme| programme.id.as_str());
                report.within(names.span(), name, format!("there is no programme `{name}`"), did_you_mean(name, known));
            }
        }
    }
    if names.get_ref().is_empty() {
        report.at(names.span(), "a modifier of nothing", "name the programmes whose uplift it scales");
    }
    bits
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

/// Where programmes stand: what expressions see, and what bounds uplifts.
#[derive(Clone, Copy)]
struct Place<'a, 'b> {
    scope: &'a Scope<'b>,
    ceiling: f64,
}

fn programme(
    id: &str,
    bit: u8,
    file: &ProgrammeFile,
    place: Place,
    layout: &mut LayoutBuilder,
    report: &mut Report,
) -> Option<Programme> {
    let seed = file.seed.get_ref();
    if seed.len() != 3 || !seed.bytes().all(|byte| byte.is_ascii_digit()) {
        report.at(file.seed.span(), format!("seed {seed:?}"), "write the number of the source text, e.g. \"002\"");
    }
    let scope = place.scope;
    let window = window(file, report);
    let eligibility = parted_expression(&file.eligibility, scope, layout, report);
    let scene_conditions = scene_conditions(file, scope, layout, report);
    let uplift = uplift_of(file, place, layout, report);
    let item_uplifts = item_uplifts(file, scope, layout, report);
    let mut conditional_labels: Vec<(Predicate, u32)> = Vec::new();
    for label in &file.conditional_label {
        let condition = expression(&label.when, scope, layout, report);
        conditional_labels.extend(condition.map(|condition| (condition, labels_of(&label.labels))));
    }
    let factor = modifier_factor(file, report);
    let Parted { merchant, items } = eligibility?;
    let programme = Programme {
        id: id.to_owned(),
        bit,
        seed: seed.clone(),
        area: area_of(file.area),
        kind: kind_of(*file.kind.get_ref()),
        scenes: scenes_of(&file.scenes, report),
        targets: targets_of(file.targets.as_ref(), report),
        window,
        eligibility: merchant,
        item_eligibility: items,
        scene_conditions,
        uplift: uplift?,
        item_uplifts,
        // Known once every programme has its bit.
        modifies: 0,
        factor,
        stacking_group: group(file.stacking_group.as_ref(), "stacking", report).unwrap_or_else(|| id.to_owned()),
        exclusive_group: group(file.exclusive_group.as_ref(), "exclusive", report),
        holdout: file.holdout.as_ref().map(|file| holdout(file, id, report)),
        is_shadow: file.shadow,
        labels: labels_of(&file.labels),
        conditional_labels,
        budget: budget(file, report),
        guarantee: guarantee(file, report),
        cap: cap(file, report),
        name: file.name.clone(),
        name_zh: file.name_zh.clone(),
    };
    check_items(&programme, file, report);
    Some(programme)
}

/// What does not go together with conditions on items.
fn check_items(programme: &Programme, file: &ProgrammeFile, report: &mut Report) {
    for kind in TargetKind::ALL.into_iter().filter(|kind| !programme.works_for(*kind)) {
        let has_uplift = programme.item_uplifts.iter().any(|case| case.kind == kind);
        if programme.item_condition(kind).is_some() || has_uplift {
            report.at(
                file.targets.as_ref().map_or_else(|| file.eligibility.span(), Spanned::span),
                format!("a condition on targets of kind {} that it does not work for", kind.name()),
                "name the kind in `targets`, or remove the condition",
            );
        }
    }
    if let Some(label) = file.conditional_label.first()
        && !(programme.is_for_all_targets() && programme.window.is_always() && !programme.is_shadow)
    {
        report.at(
            label.when.span(),
            "labels under a condition need a programme that is always open, for all targets and not in shadow",
            "put them into a programme of their own",
        );
    }
}

fn group(name: Option<&Spanned<String>>, what: &str, report: &mut Report) -> Option<String> {
    let name = name?;
    if !is_name(name.get_ref()) {
        report.at(name.span(), format!("{what} group `{}`", name.get_ref()), NAME_RULE);
    }
    Some(name.get_ref().clone())
}

/// A holdout; programmes that name no salt have their own.
pub(super) fn holdout(file: &HoldoutFile, salt: &str, report: &mut Report) -> Holdout {
    Holdout {
        share: number(&file.share, "the share held out", 0.0..=0.5, report),
        salt: file.salt.clone().unwrap_or_else(|| salt.to_owned()),
    }
}

fn window(file: &ProgrammeFile, report: &mut Report) -> ProgrammeWindow {
    let (first, last) = period(file.first_day.as_ref(), file.last_day.as_ref(), report);
    let weekdays = file.weekdays.as_ref().map(|names| {
        use WeekdayName::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
        if names.get_ref().is_empty() {
            report.at(names.span(), "no day of the week", "name some, or remove `weekdays`");
        }
        [Mon, Tue, Wed, Thu, Fri, Sat, Sun].map(|day| names.get_ref().contains(&day))
    });
    let hours = file.hours.as_ref().map(|hours| {
        let (from, to) = *hours.get_ref();
        if from >= to || to > 24 {
            report.at(
                hours.span(),
                format!("hours from {from} to {to}"),
                "write the first hour and the hour after the last, e.g. [19, 24]",
            );
        }
        (from, to)
    });
    ProgrammeWindow { first, last, weekdays, hours }
}

fn scene_conditions(
    file: &ProgrammeFile,
    scope: &Scope,
    layout: &mut LayoutBuilder,
    report: &mut Report,
) -> Vec<SceneCondition> {
    let mut conditions = Vec::new();
    for condition in &file.scene_condition {
        let scenes = scenes_of(&condition.scenes, report);
        let when = expression(&condition.when, scope, layout, report);
        conditions.extend(when.map(|when| SceneCondition { scenes, when }));
    }
    if let Some(first) = file.scene_condition.first()
        && matches!(*file.kind.get_ref(), ProgrammeKindName::Hard | ProgrammeKindName::Modifier)
    {
        report.at(first.when.span(), "only tilt and support programmes choose scenes by merchant", "remove it");
    }
    conditions
}

fn item_uplifts(
    file: &ProgrammeFile,
    scope: &Scope,
    layout: &mut LayoutBuilder,
    report: &mut Report,
) -> Vec<ItemUplift> {
    let mut uplifts = Vec::new();
    for case in &file.item_uplift {
        let factor = number(&case.factor, "the factor of an item", 0.0..=MAX_FACTOR, report);
        let Some(Parted { merchant, items }) = parted_expression(&case.when, scope, layout, report) else { continue };
        let mut about = TargetKind::ALL.into_iter().zip(items).filter(|(_, condition)| !condition.is_always());
        match (merchant.is_always(), about.next(), about.next()) {
            (true, Some((kind, when)), None) => uplifts.push(ItemUplift { kind, when, factor }),
            _ => report.at(
                case.when.span(),
                "the condition of an item uplift is about one of product, room and video alone",
                "move what is about the merchant to `eligibility` or [uplift]",
            ),
        }
    }
    if let Some(first) = file.item_uplift.first()
        && file.uplift.is_none()
    {
        report.at(first.when.span(), "nothing to scale: the programme has no uplift", "add [uplift], or remove it");
    }
    uplifts
}

/// The factor of a modifier; 1 for other kinds.
fn modifier_factor(file: &ProgrammeFile, report: &mut Report) -> f64 {
    let is_modifier = *file.kind.get_ref() == ProgrammeKindName::Modifier;
    match (&file.factor, &file.modifies) {
        (Some(factor), Some(_)) if is_modifier => number(factor, "the factor of a modifier", 0.0..=MAX_FACTOR, report),
        (None, None) if !is_modifier => 1.0,
        _ if is_modifier => {
            report.at(
                file.kind.span(),
                "a modifier needs `modifies` and `factor`",
                "say what it scales, and by how much",
            );
            1.0
        }
        (factor, modifies) => {
            let span = modifies.as_ref().map(Spanned::span).or(factor.as_ref().map(Spanned::span)).unwrap_or(0..0);
            report.at(span, "`modifies` and `factor` are for modifiers", "write kind = \"modifier\", or remove them");
            1.0
        }
    }
}

fn kind_of(kind: ProgrammeKindName) -> ProgrammeKind {
    match kind {
        ProgrammeKindName::Tilt => ProgrammeKind::Tilt,
        ProgrammeKindName::Support => ProgrammeKind::Support,
        ProgrammeKindName::Hard => ProgrammeKind::Hard,
        ProgrammeKindName::Modifier => ProgrammeKind::Modifier,
    }
}

fn area_of(area: AreaName) -> Area {
    match area {
        AreaName::Traffic => Area::Traffic,
        AreaName::Supplies => Area::Supplies,
        AreaName::Activities => Area::Activities,
        AreaName::Policies => Area::Policies,
        AreaName::Products => Area::Products,
    }
}

fn targets_of(names: Option<&Spanned<Vec<TargetName>>>, report: &mut Report) -> [bool; TargetKind::COUNT] {
    let Some(names) = names else { return [true; TargetKind::COUNT] };
    if names.get_ref().is_empty() {
        report.at(names.span(), "a programme without a kind of target", "name some, or remove `targets` for all");
    }
    TargetKind::ALL.map(|kind| {
        let name = match kind {
            TargetKind::LiveRoom => TargetName::LiveRoom,
            TargetKind::Product => TargetName::Product,
            TargetKind::Merchant => TargetName::Merchant,
            TargetKind::ShortVideo => TargetName::ShortVideo,
        };
        names.get_ref().contains(&name)
    })
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

fn uplift_of(file: &ProgrammeFile, place: Place, layout: &mut LayoutBuilder, report: &mut Report) -> Option<Uplift> {
    let kind = *file.kind.get_ref();
    let lifts = matches!(kind, ProgrammeKindName::Tilt | ProgrammeKindName::Support);
    let Some(uplift) = &file.uplift else {
        if !lifts {
            return Some(Uplift::Constant(0.0));
        }
        report.at(file.kind.span(), "a programme without an uplift", "add [uplift] with constant, by_trust or cases");
        return None;
    };
    if !lifts {
        let message = format!("a {} programme lifts nothing itself", kind_of(kind).name());
        report.at(uplift.span(), message, "remove [uplift], or use tilt or support");
    }
    let highest = (place.ceiling - 1.0).clamp(0.0, MAX_UPLIFT);
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
                let value = number(&case.uplift, "an uplift", bounds(), report);
                lowered.extend(expression(&case.when, place.scope, layout, report).map(|when| (when, value)));
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
