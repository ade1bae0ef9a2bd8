//! Simulations: what is asked, and what came of it.

use tonic::Status;

use super::policy::text_of;
use super::status::{Reason, bad_policy, read_status, retry};
use super::validate::Fields;
use crate::domain::{PolicyText, Scene};
use crate::engine::{Change, Distribution, Mover, SimulateError, SimulateQuery, Simulation};
use crate::policy::Policy;
use crate::proto;
use crate::state::State;

/// Movers named unless the caller says how many.
const MOVERS: u32 = 20;
/// Most movers named.
const MAX_MOVERS: u32 = 1_000;
/// Buckets of the histogram of scores: 5 points each.
const SCORE_BUCKETS: (f64, usize) = (5.0, 20);
/// Buckets of the histograms of weights.
const WEIGHT_BUCKETS: (f64, usize) = (0.25, 41);

/// What to simulate, the text still to be looked up if a version was named.
pub struct SimulateRequest {
    text: Result<PolicyText, u64>,
    scene: Scene,
    movers: usize,
}

/// Reads a request.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn simulate_request(request: proto::SimulatePolicyRequest) -> Result<SimulateRequest, Status> {
    let mut fields = Fields::default();
    fields.check(request.movers <= MAX_MOVERS, "movers", "must be at most 1000");
    let scene = match request.scene {
        0 => Scene::Live,
        scene => super::scoring::scene(&mut fields, "scene", scene),
    };
    let text = if request.files.is_empty() {
        Err(request.version)
    } else {
        fields.check(request.version == 0, "version", "must be 0 when files are given");
        Ok(text_of(&mut fields, "files", request.files))
    };
    fields.finish()?;
    let movers = if request.movers == 0 { MOVERS } else { request.movers };
    Ok(SimulateRequest { text, scene, movers: usize::try_from(movers).unwrap_or(0) })
}

impl SimulateRequest {
    /// The query, with the text of a stored version if one was named.
    ///
    /// # Errors
    /// The version that there is not.
    pub fn query(self, state: &State) -> Result<SimulateQuery, u64> {
        let Self { text, scene, movers } = self;
        let text = match text {
            Ok(text) => text,
            Err(version) => super::policy::row_of(state, version).map(|row| row.text.clone()).ok_or(version)?,
        };
        Ok(SimulateQuery { text, scene, movers })
    }
}

/// Why there is no simulation.
#[must_use]
pub fn simulate_status(error: &SimulateError) -> Status {
    match error {
        SimulateError::BadPolicy(problems) => bad_policy(problems),
        SimulateError::Read(error) => read_status(error),
        SimulateError::Overtaken => {
            retry(Reason::TransitionPending, "another policy or day became current meanwhile; simulate again", 1_000)
        }
    }
}

/// Why a simulation does not begin.
#[must_use]
pub fn simulation_running() -> Status {
    retry(Reason::SimulationRunning, "another simulation is running; try again when it is done", 2_000)
}

/// The answer.
#[must_use]
pub fn simulate_response(simulation: &Simulation) -> proto::SimulatePolicyResponse {
    let tally = &simulation.tally;
    let tier = |policy: &Policy, at: usize| policy.model.tiers.get(at).map(|tier| tier.id.clone()).unwrap_or_default();
    let weights = Scene::ALL.iter().zip(tally.weights.before.iter().zip(&tally.weights.after));
    proto::SimulatePolicyResponse {
        revision: simulation.revision,
        policy_version: simulation.policy.version,
        merchants: tally.merchants,
        took_ms: simulation.took_ms,
        backfilled: simulation.backfilled,
        scores: Some(change(&Change { before: &tally.scores.before, after: &tally.scores.after }, SCORE_BUCKETS)),
        weights: weights
            .map(|(scene, (before, after))| proto::SceneWeights {
                scene: super::scoring::proto_scene(*scene).into(),
                weights: Some(change(&Change { before, after }, WEIGHT_BUCKETS)),
            })
            .collect(),
        tiers: tally
            .tiers
            .iter()
            .map(|((from, to), merchants)| proto::TierFlow {
                from: tier(&simulation.policy, *from),
                to: tier(&simulation.candidate, *to),
                merchants: *merchants,
            })
            .collect(),
        programmes: simulation
            .programmes
            .iter()
            .zip(&tally.programmes)
            .map(|(programme, flow)| proto::ProgrammeChange {
                id: programme.id.clone(),
                before: flow.before,
                after: flow.after,
                entered: flow.entered,
                left: flow.left,
                entering: flow.entering.iter().map(|id| id.0).collect(),
                leaving: flow.leaving.iter().map(|id| id.0).collect(),
                exposures_per_day_before: flow.exposures_per_day.0,
                exposures_per_day_after: flow.exposures_per_day.1,
            })
            .collect(),
        movers: simulation.movers.iter().map(mover).collect(),
    }
}

fn change(change: &Change<&Distribution>, (bucket_width, buckets): (f64, usize)) -> proto::DistributionChange {
    let side = |distribution: &Distribution| proto::Distribution {
        mean: distribution.mean(),
        deciles: distribution.deciles().to_vec(),
        histogram: distribution.histogram(bucket_width, buckets),
        bucket_width,
    };
    proto::DistributionChange { before: Some(side(change.before)), after: Some(side(change.after)) }
}

fn mover(mover: &Mover) -> proto::Mover {
    proto::Mover {
        merchant_id: mover.moved.merchant.0,
        name: mover.name.clone(),
        score_before: mover.moved.score.0,
        score_after: mover.moved.score.1,
        weight_before: mover.moved.weight.0,
        weight_after: mover.moved.weight.1,
        reasons: mover.reasons.clone(),
    }
}
