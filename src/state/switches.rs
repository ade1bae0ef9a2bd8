//! `apply` for changes that operations make to programmes beside the policy.

use super::ledgers::{ChangeRow, KEPT_CHANGES, LedgerKey};
use super::state::State;
use crate::domain::{ProgrammeChange, Rejection, Scene};
use crate::traffic::{BudgetOverride, Programme};

/// A change that is asked for.
pub(super) struct Asked<'a> {
    pub(super) programme: &'a str,
    pub(super) change: &'a ProgrammeChange,
    pub(super) expected_revision: Option<u64>,
    pub(super) author: &'a str,
    pub(super) reason: &'a str,
}

impl State {
    pub(super) fn change_programme(&mut self, revision: u64, asked: &Asked) -> Result<(), Rejection> {
        let id = asked.programme;
        let programme = self.policy.programmes.iter().find(|programme| programme.id == id);
        let programme = programme.ok_or_else(|| Rejection::UnknownProgramme { programme: id.to_owned() })?;
        let bit = programme.bit;
        let actual = self.switch(bit).map_or(0, |row| row.revision);
        if asked.expected_revision.is_some_and(|expected| expected != actual) {
            return Err(Rejection::EtagMismatch { actual });
        }
        if let ProgrammeChange::AdjustBudget { scene, exposures } = asked.change {
            let budget = programme.budget.as_ref();
            let has = |what: &str, has: bool| {
                let missing = Rejection::ProgrammeWithout { programme: id.to_owned(), what: what.to_owned() };
                if has { Ok(()) } else { Err(missing) }
            };
            has("budget", budget.is_some())?;
            if let Some(scene) = scene {
                let own = budget.and_then(|budget| budget.by_scene.get(scene.index()).copied().flatten());
                has(&format!("budget of its own in {}", scene.name()), own.is_some())?;
            }
            let after = adjusted(self.adjusted(bit), *scene, *exposures);
            check_parts(programme, &after)?;
        }
        let at = self.meta.now;
        let row = self.ledgers.programmes.entry(bit).or_default();
        match asked.change {
            ProgrammeChange::Pause => row.is_paused = true,
            ProgrammeChange::Resume => row.is_paused = false,
            ProgrammeChange::AdjustBudget { scene, exposures } => {
                row.adjusted = adjusted(row.adjusted, *scene, *exposures);
            }
        }
        row.revision = revision;
        let (author, reason) = (asked.author.to_owned(), asked.reason.to_owned());
        row.changes.push(ChangeRow { revision, at, change: asked.change.clone(), author, reason });
        let beyond = row.changes.len().saturating_sub(KEPT_CHANGES);
        row.changes.drain(..beyond);
        self.changes.ledger.insert(LedgerKey::Programme(bit));
        self.open_windows();
        Ok(())
    }
}

/// Budgets with one of them set, or set back.
fn adjusted(mut all: BudgetOverride, scene: Option<Scene>, exposures: Option<u64>) -> BudgetOverride {
    match scene {
        None => all.exposures = exposures,
        Some(scene) => {
            if let Some(own) = all.by_scene.get_mut(scene.index()) {
                *own = exposures;
            }
        }
    }
    all
}

/// Scenes' own budgets are parts of the whole: beyond it nothing would hold them, and a whole of 0 would not stop them.
fn check_parts(programme: &Programme, adjusted: &BudgetOverride) -> Result<(), Rejection> {
    let Some(budget) = programme.budget.as_ref() else { return Ok(()) };
    let total = budget.total(adjusted);
    let own = Scene::ALL.into_iter().filter_map(|scene| budget.of_scene(adjusted, scene));
    let scenes = own.fold(0, u64::saturating_add);
    let beyond = || Rejection::ScenesBeyondBudget { programme: programme.id.clone(), scenes, total };
    if scenes > total { Err(beyond()) } else { Ok(()) }
}
