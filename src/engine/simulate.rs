//! The whole population under a candidate policy, beside the traffic. Nothing changes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::Engine;
use super::error::ReadError;
use super::tally::{Move, Tally};
use crate::clock::Stopwatch;
use crate::domain::{PolicyText, Scene, Subject, TargetKind, Wanted, count_to_f64};
use crate::policy::{self, Policy, Problem};
use crate::state::{HistoryError, State, World, disabled_signals, yield_to_requests};
use crate::traffic::{
    ItemClass, Materialised, Programme, ProgrammeKind, SceneRules, Weight, materialise, open_programmes, weigh,
};
use crate::trust::{Anchors, MerchantFacts, MerchantView, SignalRow, Span, SumId};

/// Merchants looked at under one hold of the state's lock: about two milliseconds.
const SLICE: u32 = 512;
/// Recent traffic is scaled by at most this much.
const MAX_SCALE: f64 = 10.0;
/// Reasons given for a mover.
const REASONS: usize = 5;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct SimulateQuery {
    /// The candidate.
    pub text: PolicyText,
    /// The scene that movers are ranked by.
    pub scene: Scene,
    /// How many movers to name.
    pub movers: usize,
}

/// Why there is no simulation.
#[derive(Debug)]
pub enum SimulateError {
    /// The candidate has problems.
    BadPolicy(Vec<Problem>),
    /// Stored facts cannot be read, or nobody waits for the simulation any more.
    Read(ReadError),
    /// Another policy or day became current meanwhile.
    Overtaken,
}

/// What a candidate would change.
#[derive(Debug)]
pub struct Simulation {
    /// Revision of the state it began with.
    pub revision: u64,
    /// The policy that serves.
    pub policy: std::sync::Arc<Policy>,
    /// The candidate, compiled.
    pub candidate: Policy,
    /// What was counted.
    pub tally: Tally,
    /// The programmes of both policies, by id, in the order of the tally.
    pub programmes: Vec<Compared>,
    /// The merchants that move most, farthest first.
    pub movers: Vec<Mover>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Whether windows that the candidate adds were summed from stored facts.
    pub backfilled: bool,
}

/// A merchant that moves, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Mover {
    /// How far.
    pub moved: Move,
    /// Its name.
    pub name: String,
    /// Why, the weightiest reason first.
    pub reasons: Vec<String>,
}

/// A programme of one of the policies, or of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Its id.
    pub id: String,
    /// Its bit in the policy that serves, as a mask; 0 if it has none.
    before: u64,
    /// Its bit in the candidate, as a mask; 0 if it has none.
    after: u64,
}

/// Everything that the workers share.
struct Candidate<'a> {
    policy: &'a Policy,
    disabled: Vec<bool>,
    /// Sums of merchants that have rows in windows the candidate adds.
    backfill: HashMap<u32, MerchantFacts, foldhash::fast::FixedState>,
    is_relaid: bool,
    world: &'a World,
    rules: Vec<(Scene, SceneRules<'a>, SceneRules<'a>)>,
    classes: (ItemClass, ItemClass),
    programmes: Vec<Compared>,
    /// Sums of the current layout that hold recent exposures, and over how many days, by scene index.
    exposures: [Option<(SumId, f64)>; Scene::COUNT],
    scene: Scene,
}

impl Engine {
    /// Simulates a candidate. Works on every core for a second or so per million merchants; the state's lock is held
    /// for milliseconds at a time. Ends soon after it is not wanted any more.
    ///
    /// # Errors
    /// When the candidate has problems, stored facts cannot be read, or the simulation is not wanted any more.
    pub fn simulate(&self, query: &SimulateQuery, wanted: &Wanted) -> Result<Simulation, SimulateError> {
        let took = Stopwatch::start();
        let (current, mut dictionary, unseen, now) = self.read(|state| {
            let meta = state.meta();
            (state.policy().clone(), state.dictionary(), meta.unseen_at_close.clone(), meta.now)
        });
        let version = current.version.saturating_add(1);
        let candidate = policy::compile_while(wanted, &query.text, version, &mut dictionary)
            .map_err(|problems| abandoned_or(wanted, SimulateError::BadPolicy(problems)))?;
        let revision = self.hot().revision();
        // One world for all: a policy that is published meanwhile does not mix into the comparison.
        let world = std::sync::Arc::clone(&self.hot().world());
        if world.policy.version != current.version {
            return Err(SimulateError::Overtaken);
        }
        let is_relaid = candidate.layout_fingerprint != current.layout_fingerprint;
        let backfill = if is_relaid {
            self.backfill(&current, &candidate, wanted)
                .map_err(|error| SimulateError::Read(ReadError::Store(error.to_string())))?
        } else {
            HashMap::default()
        };
        let paused = self.read(State::paused);
        let open = (world.open(), open_programmes(&candidate.programmes, now) & !paused);
        let rules = Scene::ALL.map(|scene| {
            let before = world.policy.weight_rules.in_scene(scene, open.0, false);
            (scene, before, candidate.weight_rules.in_scene(scene, open.1, false))
        });
        let room = |policy: &Policy| ItemClass::new(&policy.programmes, TargetKind::LiveRoom, None, 1.0);
        let shared = Candidate {
            policy: &candidate,
            disabled: disabled_signals(&candidate, &unseen),
            backfill,
            is_relaid,
            world: &world,
            rules: rules.to_vec(),
            classes: (room(&world.policy), room(&candidate)),
            exposures: Scene::ALL.map(|scene| recent_exposures(&world.policy, scene)),
            programmes: compared(&world.policy, &candidate),
            scene: query.scene,
        };
        let tally = self.tally(&shared, query.movers, wanted);
        let tally = tally.ok_or_else(|| abandoned_or(wanted, SimulateError::Overtaken))?;
        let movers = tally.movers().into_iter().take_while(|_| !wanted.is_over());
        let movers = movers.filter_map(|moved| self.mover(&shared, moved)).collect();
        if wanted.is_over() {
            return Err(SimulateError::Read(ReadError::Abandoned));
        }
        Ok(Simulation {
            revision,
            policy: world.policy.clone(),
            tally,
            movers,
            took_ms: u64::try_from(took.elapsed().as_millis()).unwrap_or(u64::MAX),
            backfilled: is_relaid,
            programmes: shared.programmes,
            candidate,
        })
    }
}

/// Why work ended early: it was not wanted any more, or the other cause.
fn abandoned_or(wanted: &Wanted, other: SimulateError) -> SimulateError {
    if wanted.is_over() { SimulateError::Read(ReadError::Abandoned) } else { other }
}

impl Engine {
    /// The sums of merchants with stored rows in windows that the candidate adds.
    fn backfill(
        &self,
        current: &Policy,
        candidate: &Policy,
        wanted: &Wanted,
    ) -> Result<HashMap<u32, MerchantFacts, foldhash::fast::FixedState>, HistoryError> {
        let (from, to) = (&current.model.layout, &candidate.model.layout);
        let day = self.read(State::facts_day);
        let new_sums = to.new_sums(from);
        let mut sums: HashMap<u32, MerchantFacts, foldhash::fast::FixedState> = HashMap::default();
        let rows = crate::state::History::rows(&self.store, to.days_to_read(from, day, day));
        for stored in rows.take_while(|_| !wanted.is_over()) {
            let (key, row) = stored?;
            let Subject::Merchant(id) = key.subject else { continue };
            self.read(|state| {
                let Some(entry) = state.merchant(id) else { return };
                let Some(slot) = state.hot().merchant_slot(id) else { return };
                let anchors = Anchors {
                    first_sale: entry.facts.first_sale(),
                    ..entry.profile.as_ref().map(Anchors::of).unwrap_or_default()
                };
                let facts = sums.entry(slot).or_insert_with(|| entry.facts.laid_out(from, to));
                facts.move_row(to, &anchors, (day, day), &new_sums, key.day, &row);
            });
        }
        Ok(sums)
    }

    /// Counts the whole population, on every core. None if another policy or day became current meanwhile, or nobody
    /// waits any more.
    fn tally(&self, candidate: &Candidate, movers: usize, wanted: &Wanted) -> Option<Tally> {
        let next = AtomicU32::new(0);
        let work = || {
            yield_to_requests();
            let mut tally = Tally::new(candidate.programmes.len(), movers);
            let mut scratch = Vec::new();
            loop {
                if wanted.is_over() {
                    return None;
                }
                let first = next.fetch_add(SLICE, Ordering::Relaxed);
                let goes_on = self.read(|state| {
                    if !candidate.is_of(state) {
                        return None;
                    }
                    let is_last = state.entry(first.saturating_add(SLICE)).is_none();
                    for slot in first..first.saturating_add(SLICE) {
                        candidate.count(state, slot, &mut scratch, &mut tally);
                    }
                    Some(!is_last)
                })?;
                if !goes_on {
                    return Some(tally);
                }
            }
        };
        let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        thread::scope(|scope| {
            let parts: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let mut tally = Tally::new(candidate.programmes.len(), movers);
            for part in parts {
                match part.join() {
                    Ok(part) => tally.merge(part?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Some(tally)
        })
    }

    fn mover(&self, candidate: &Candidate, moved: Move) -> Option<Mover> {
        self.read(|state| {
            let view = state.view(moved.slot).filter(|_| candidate.is_of(state))?;
            let facts = candidate.facts(moved.slot, &view);
            let (mut before, mut after) = (Vec::new(), Vec::new());
            let current = &candidate.world.policy;
            let was = materialise(&current.rules(state.disabled()), &view, &mut before);
            let view = MerchantView { facts: facts.as_ref().into(), ..state.next_view(moved.slot)? };
            let is = materialise(&candidate.policy.rules(&candidate.disabled), &view, &mut after);
            let name = view.merchant.name.clone();
            let reasons = candidate.reasons(&moved, (&was, &before), (&is, &after));
            Some(Mover { moved, name, reasons })
        })
    }
}

impl Candidate<'_> {
    /// Whether the state is still the one that the candidate is compared with.
    fn is_of(&self, state: &State) -> bool {
        state.policy().version == self.world.policy.version && state.facts_day() == self.world.facts_day
    }

    /// A merchant's sums in the candidate's layout.
    fn facts<'a>(&'a self, slot: u32, view: &MerchantView<'a>) -> std::borrow::Cow<'a, MerchantFacts> {
        use std::borrow::Cow;
        let (from, to) = (&self.world.policy.model.layout, &self.policy.model.layout);
        match self.backfill.get(&slot) {
            Some(facts) => Cow::Borrowed(facts),
            None if self.is_relaid => Cow::Owned(view.facts.stored().laid_out(from, to)),
            None => Cow::Borrowed(view.facts.stored()),
        }
    }

    fn count(&self, state: &State, slot: u32, scratch: &mut Vec<SignalRow>, tally: &mut Tally) {
        let Some(view) = state.next_view(slot) else { return };
        let was = self.world.table.read(slot);
        let facts = self.facts(slot, &view);
        let made = materialise(
            &self.policy.rules(&self.disabled),
            &MerchantView { facts: facts.as_ref().into(), ..view },
            scratch,
        );
        let is = &made.record;
        let current = &self.world.policy;
        let before = current.model.tier_of(f64::from(was.trust));
        tally.score((was.trust, is.trust), (before, made.trust.tier));
        let mut ranked = (1.0, 1.0);
        for (scene, rules_before, rules_after) in &self.rules {
            let kind = TargetKind::LiveRoom;
            let before = weigh(rules_before, &was.row(*scene, kind), &self.classes.0);
            let after = weigh(rules_after, &is.row(*scene, kind), &self.classes.1);
            tally.weight(*scene, (before.weight, after.weight));
            if *scene == self.scene {
                ranked = (before.weight, after.weight);
            }
            self.expose(tally, *scene, view.facts.stored(), (&before, &after));
        }
        let merchant = view.merchant.id;
        for (at, programme) in self.programmes.iter().enumerate() {
            let membership = (was.programmes & programme.before != 0, is.programmes & programme.after != 0);
            if membership != (false, false) {
                tally.member(at, merchant, membership.0, membership.1);
            }
        }
        tally.moved(Move { merchant, slot, score: (was.trust, is.trust), weight: ranked });
    }

    /// Exposures a day that count against programmes in a scene, if recent traffic follows the weights.
    fn expose(&self, tally: &mut Tally, scene: Scene, facts: &MerchantFacts, (before, after): (&Weight, &Weight)) {
        let Some((sum, days)) = self.exposures.get(scene.index()).copied().flatten() else { return };
        let recent = count_to_f64(facts.sum(sum)) / days;
        if recent <= 0.0 {
            return;
        }
        let scale = if before.weight > 0.0 { (after.weight / before.weight).min(MAX_SCALE) } else { 0.0 };
        if before.programmes == 0 && after.programmes == 0 {
            return;
        }
        for (at, programme) in self.programmes.iter().enumerate() {
            let counts = |weight: &Weight, mask: u64| f64::from(u8::from(weight.programmes & mask != 0));
            let exposures =
                (recent * counts(before, programme.before), recent * scale * counts(after, programme.after));
            tally.expose(at, exposures);
        }
    }

    /// Why a merchant moves.
    fn reasons(
        &self,
        moved: &Move,
        (was, before): (&Materialised, &[SignalRow]),
        (is, after): (&Materialised, &[SignalRow]),
    ) -> Vec<String> {
        let (current, next) = (&self.world.policy, self.policy);
        let mut reasons: Vec<(f64, String)> = Vec::new();
        let members = |policy: &Policy, made: &Materialised| -> Vec<(String, f64)> {
            let members = policy
                .programmes
                .iter()
                .zip(&made.programmes)
                .filter(|(p, member)| member.is_member() && p.kind != ProgrammeKind::Modifier);
            members.map(|(programme, member)| (programme.id.clone(), member.uplift)).collect()
        };
        let (left, entered) = (members(current, was), members(next, is));
        for (id, uplift) in &entered {
            match left.iter().find(|(other, _)| other == id) {
                None => reasons.push((uplift.abs(), format!("enters {id} (uplift {uplift:.3})"))),
                Some((_, old)) if (old - uplift).abs() > 1e-9 => {
                    reasons.push(((old - uplift).abs(), format!("uplift of {id} {old:.3} -> {uplift:.3}")));
                }
                Some(_) => {}
            }
        }
        for (id, uplift) in left.iter().filter(|(id, _)| !entered.iter().any(|(other, _)| other == id)) {
            reasons.push((uplift.abs(), format!("leaves {id} (uplift {uplift:.3})")));
        }
        for (points, reason) in self.signal_reasons((was, before), (is, after)) {
            // A point of trust moves a weight by about a hundredth.
            reasons.push((points / 100.0, reason));
        }
        if reasons.is_empty() && (moved.weight.0 - moved.weight.1).abs() > 0.0 {
            reasons.push((0.0, "tilt, windows or scenes of the policy changed".to_owned()));
        }
        reasons.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        reasons.into_iter().take(REASONS).map(|(_, reason)| reason).collect()
    }

    /// Signals by how many points of trust they give more or less.
    fn signal_reasons(
        &self,
        (was, before): (&Materialised, &[SignalRow]),
        (is, after): (&Materialised, &[SignalRow]),
    ) -> Vec<(f64, String)> {
        let points = |policy: &Policy, made: &Materialised, rows: &[SignalRow]| -> Vec<(String, f64)> {
            let signals = policy.model.signals.iter().zip(rows);
            let given = signals.map(|(signal, row)| {
                let weight = policy.model.layer_weights.get(signal.layer.index()).copied().unwrap_or(0.0);
                (signal.id.clone(), 100.0 * made.trust.gate * weight * row.effective_weight * row.value)
            });
            given.collect()
        };
        let (old, new) = (points(&self.world.policy, was, before), points(self.policy, is, after));
        let ids = old.iter().chain(&new).map(|(id, _)| id).collect::<std::collections::BTreeSet<_>>();
        let value =
            |list: &[(String, f64)], id: &str| list.iter().find(|(other, _)| other == id).map_or(0.0, |(_, v)| *v);
        let changes = ids.into_iter().map(|id| (id, value(&new, id) - value(&old, id)));
        changes
            .filter(|(_, change)| change.abs() >= 0.05)
            .map(|(id, change)| (change.abs(), format!("{id} gives {change:+.2} points of trust")))
            .collect()
    }
}

/// The programmes of both policies, by id.
fn compared(before: &Policy, after: &Policy) -> Vec<Compared> {
    let ids = before.programmes.iter().chain(&after.programmes).map(|programme| programme.id.clone());
    let ids: std::collections::BTreeSet<String> = ids.collect();
    let mask = |policy: &Policy, id: &str| {
        policy.programmes.iter().find(|programme| programme.id == id).map_or(0, Programme::mask)
    };
    ids.into_iter().map(|id| Compared { before: mask(before, &id), after: mask(after, &id), id }).collect()
}

/// The sum of recent exposures in a scene, and its days: of 30 days where the policy has it.
fn recent_exposures(policy: &Policy, scene: Scene) -> Option<(SumId, f64)> {
    let counter = policy.counter(&format!("exposures_{}", scene.name()))?;
    let sums = (0_u16..).map(SumId).zip(policy.model.layout.sums());
    let recent = sums.filter_map(|(id, (other, window))| match window.span {
        Span::Days(days) if *other == counter && window.offset_days == 0 => Some((id, days)),
        Span::Days(_) | Span::NaturalWeek | Span::Lifetime | Span::From(..) => None,
    });
    recent.min_by_key(|(_, days)| days.abs_diff(30)).map(|(id, days)| (id, f64::from(days)))
}
