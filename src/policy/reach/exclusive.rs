//! Programmes of one exclusive group: no two may have the same member at the same time.

use super::node::Node;
use super::search::{Found, search};
use super::{Reach, open_together};
use crate::domain::{Scene, TargetKind};
use crate::policy::problem::{Problems, Report};
use crate::traffic::{Programme, SceneCondition};
use crate::trust::Predicate;
use std::ops::Range;

/// Most conditions that a message names.
const MAX_NAMED: usize = 8;

/// A programme of an exclusive group, and where its file says so.
pub(in crate::policy) struct Member<'f> {
    /// Its file.
    pub(in crate::policy) file: (&'f str, &'f str),
    /// Where the group is named.
    pub(in crate::policy) span: Range<usize>,
    /// Its id.
    pub(in crate::policy) id: String,
}

/// Two programmes that can meet, and how.
enum Meeting {
    Together(String),
    Unknown,
}

/// Notes every pair of programmes of one group that can have the same member at the same time. Programmes in shadow
/// apply to nobody.
pub(in crate::policy) fn exclusive_groups(
    reach: &Reach,
    members: &[Member],
    programmes: &[Programme],
    problems: &mut Problems,
) {
    let programme = |id: &str| programmes.iter().find(|programme| programme.id == id && !programme.is_shadow);
    for (at, later) in members.iter().enumerate() {
        if Report::new(later.file.0, later.file.1, problems).is_full() {
            return;
        }
        let Some(second) = programme(&later.id) else { continue };
        for earlier in members.iter().take(at) {
            let Some(first) = programme(&earlier.id) else { continue };
            if first.exclusive_group != second.exclusive_group {
                continue;
            }
            let Some(meeting) = meeting(reach, first, second) else { continue };
            let group = second.exclusive_group.as_deref().unwrap_or_default();
            let (a, b) = (&first.id, &second.id);
            let message = match meeting {
                Meeting::Together(how) => {
                    format!("`{a}` and `{b}` of the exclusive group `{group}` can have the same member: {how}")
                }
                Meeting::Unknown => format!(
                    "`{a}` and `{b}` of the exclusive group `{group}` have too many alternatives to tell whether they \
                     exclude each other"
                ),
            };
            let fix = "let their eligibility contradict each other, or give them other days, scenes, targets or groups";
            Report::new(later.file.0, later.file.1, problems).at(later.span.clone(), message, fix);
        }
    }
}

fn meeting(reach: &Reach, a: &Programme, b: &Programme) -> Option<Meeting> {
    if !open_together(&a.window, &b.window) {
        return None;
    }
    let works = |kind: &TargetKind| a.works_for(*kind) && b.works_for(*kind);
    let mut kinds = TargetKind::ALL.into_iter().filter(works);
    kinds.find(|kind| together(reach, &[condition(a, *kind), condition(b, *kind)]).is_some())?;
    let scenes = Scene::ALL.into_iter().filter(|scene| a.works_in(*scene) && b.works_in(*scene));
    let mut unknown = None;
    for scene in scenes {
        let mut needed = vec![Some(&a.eligibility), Some(&b.eligibility)];
        needed.extend(asked(a, scene).chain(asked(b, scene)).map(|condition| Some(&condition.when)));
        match together(reach, &needed) {
            Some(Found::Together(conditions)) => return Some(Meeting::Together(named(conditions, scene))),
            Some(_) => unknown = Some(Meeting::Unknown),
            None => {}
        }
    }
    unknown
}

/// What a programme asks of items of a kind.
fn condition(programme: &Programme, kind: TargetKind) -> Option<&Predicate> {
    programme.item_condition(kind)
}

/// What a programme asks of members in a scene.
fn asked(programme: &Programme, scene: Scene) -> impl Iterator<Item = &SceneCondition> {
    programme
        .scene_conditions
        .iter()
        .filter(move |condition| condition.scenes.get(scene.index()).copied().unwrap_or(false))
}

/// How expressions can hold together; `None` where they cannot.
fn together(reach: &Reach, predicates: &[Option<&Predicate>]) -> Option<Found> {
    let nodes: Vec<Node> = predicates.iter().flatten().map(|predicate| reach.node(predicate).0).collect();
    match search(&reach.known, &nodes.iter().collect::<Vec<_>>()) {
        Found::Never(_) => None,
        found @ (Found::Together(_) | Found::Unknown) => Some(found),
    }
}

fn named(conditions: Vec<String>, scene: Scene) -> String {
    let mut seen: Vec<String> = Vec::new();
    for condition in conditions {
        if !seen.contains(&condition) {
            seen.push(condition);
        }
    }
    let more = seen.len() > MAX_NAMED;
    seen.truncate(MAX_NAMED);
    let (scene, end) = (scene.name(), if more { " && ..." } else { "" });
    if seen.is_empty() {
        return format!("everybody, in scene {scene}");
    }
    format!("in scene {scene} where {}{end}", seen.join(" && "))
}
