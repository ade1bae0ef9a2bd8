//! Draws constraint sets at random, so that a control is judged on more than the shipped ones.
//!
//! A set is feasible because its limits are read off an allocation: merchants get random factors (lower for members of
//! hard programmes and for those to be capped, higher for those to be guaranteed), every request goes to its K best by
//! value times factor, and budgets, caps and guarantees are set at or on the easy side of what that allocation uses.

use super::dice::Dice;
use super::instance::{Constraints, Instance, Kind, Programme, Request};
use super::judge::whole;

const BOOSTS: [f64; 6] = [0.05, 0.1, 0.2, 0.3, 0.5, 0.8];
const TILTS: [f64; 4] = [1.0, 1.0, 1.08, 1.2];
/// The end of a window that lasts to the end: times are below 1, this is above all of them.
const END: f64 = 1.000_000_1;

/// Share of what the best values spend below which a hard budget binds, and how it is brought there.
const BINDS_BELOW: f64 = 0.9;
const HELD_BACK: f64 = 0.85;
const MOST_ROUNDS: usize = 8;

/// Draws a set for a stream. `shipped` gives the slots, the merchants and the order of the penalty.
pub(crate) fn draw(shipped: &Constraints, requests: &[Request], dice: &mut Dice) -> Constraints {
    let merchants = shipped.merchants();
    let tilt: Vec<f64> = (0..merchants).map(|_| TILTS[dice.below(TILTS.len())]).collect();
    let mut programmes = Vec::new();
    for kind in [Kind::Hard, Kind::Support] {
        let count = if kind == Kind::Hard { 1 + dice.below(4) } else { dice.below(5) };
        for _ in 0..count {
            programmes.push(programme(programmes.len(), kind, merchants, dice));
        }
    }
    let mut drawn = Constraints {
        base: shipped.base.clone(),
        per_request: shipped.per_request,
        requests: requests.len(),
        all_slots: requests.len() * shipped.per_request,
        programmes,
        merchant_cap: vec![-1.0; merchants],
        merchant_guarantee: vec![0.0; merchants],
        merchant_tilt: tilt,
        shortfall_penalty: shipped.shortfall_penalty * dice.between(0.5, 1.5),
    };
    let mut plain = drawn.clone();
    plain.programmes.clear();
    let plain = Instance::new(plain, retilted(requests, &drawn.merchant_tilt));
    let (greedy, greedy_spent) = exposures(&plain, &vec![1.0; merchants], &drawn.programmes);

    let capped = capped(&greedy, dice);
    let count = merchants * (20 + dice.below(41)) / 100;
    let guaranteed: Vec<usize> =
        dice.some(count, merchants).into_iter().filter(|merchant| !capped.contains(merchant)).collect();
    let mut factors = factors(&drawn, &capped, &guaranteed, dice);
    let (mut shown, mut spent) = exposures(&plain, &factors, &drawn.programmes);
    // A hard budget that the best values would keep by themselves asks nothing: its members are held back until it binds.
    for _ in 0..MOST_ROUNDS {
        let is_loose = |one: &&Programme| one.kind == Kind::Hard && spent[one.id] > BINDS_BELOW * greedy_spent[one.id];
        let loose: Vec<&Programme> = drawn.programmes.iter().filter(is_loose).collect();
        if loose.is_empty() {
            break;
        }
        loose.iter().flat_map(|one| &one.members).for_each(|member| factors[*member] *= HELD_BACK);
        (shown, spent) = exposures(&plain, &factors, &drawn.programmes);
    }

    for programme in &mut drawn.programmes {
        let share = if programme.kind == Kind::Hard { dice.between(1.0, 1.05) } else { dice.between(0.15, 0.9) };
        programme.budget = whole((spent[programme.id] * share).ceil());
    }
    for merchant in capped {
        drawn.merchant_cap[merchant] = (shown[merchant] * dice.between(1.0, 1.05)).ceil();
    }
    for merchant in guaranteed {
        let least = (shown[merchant] * dice.between(0.4, 0.9)).floor();
        // A handful of exposures is luck, not a guarantee.
        drawn.merchant_guarantee[merchant] = if least < 20.0 { 0.0 } else { least };
    }
    drawn
}

/// Requests whose values follow other tilts.
pub(crate) fn retilted(requests: &[Request], tilt: &[f64]) -> Vec<Request> {
    let mut requests = requests.to_vec();
    for request in &mut requests {
        let values = request.score.iter().zip(&request.merchants);
        // Six decimals, as the checker writes them.
        request.value = values.map(|(score, merchant)| (score * tilt[*merchant] * 1e6).round() / 1e6).collect();
    }
    requests
}

fn programme(id: usize, kind: Kind, merchants: usize, dice: &mut Dice) -> Programme {
    let members = 2 + dice.below(merchants / 2);
    let begin = dice.between(0.0, 0.7);
    let end = begin + dice.between(0.15, 0.5);
    let window = if dice.unit() < 0.5 { [0.0, END] } else { [begin, if end < 1.0 { end } else { END }] };
    Programme {
        id,
        name: format!("{}_{id}", if kind == Kind::Hard { "hard" } else { "support" }),
        kind,
        boost: if kind == Kind::Hard { 0.0 } else { BOOSTS[dice.below(BOOSTS.len())] },
        budget: 0,
        window,
        members: dice.some(members, merchants),
    }
}

/// Up to four of the eight that the best values show most.
fn capped(greedy: &[f64], dice: &mut Dice) -> Vec<usize> {
    let mut largest: Vec<usize> = (0..greedy.len()).collect();
    largest.sort_by(|one, other| greedy[*other].total_cmp(&greedy[*one]));
    let count = dice.below(5);
    dice.some(count, 8.min(greedy.len())).into_iter().map(|at| largest[at]).collect()
}

fn factors(drawn: &Constraints, capped: &[usize], guaranteed: &[usize], dice: &mut Dice) -> Vec<f64> {
    let mut factors: Vec<f64> = (0..drawn.merchants()).map(|_| (0.2 * dice.bell()).exp()).collect();
    for programme in drawn.programmes.iter().filter(|one| one.kind == Kind::Hard) {
        let factor = dice.between(0.6, 0.95);
        programme.members.iter().for_each(|member| factors[*member] *= factor);
    }
    for merchant in capped {
        factors[*merchant] *= dice.between(0.5, 0.9);
    }
    for merchant in guaranteed {
        factors[*merchant] *= dice.between(1.1, 2.0);
    }
    factors
}

/// Exposures by merchant, and by programme those of its members inside its window, when every request goes to its best
/// by value times factor.
fn exposures(instance: &Instance, factors: &[f64], programmes: &[Programme]) -> (Vec<f64>, Vec<f64>) {
    let mut shown = vec![0.0; factors.len()];
    let mut spent = vec![0.0; programmes.len()];
    let mut is_member = vec![vec![false; factors.len()]; programmes.len()];
    for programme in programmes {
        programme.members.iter().for_each(|member| is_member[programme.id][*member] = true);
    }
    for request in &instance.requests {
        let values = request.value.iter().zip(&request.merchants);
        let mut ranked: Vec<(f64, usize)> =
            values.map(|(value, merchant)| (value * factors[*merchant], *merchant)).collect();
        ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
        for (_, merchant) in ranked.iter().take(instance.constraints.per_request) {
            shown[*merchant] += 1.0;
            for programme in programmes.iter().filter(|one| one.is_open(request.time)) {
                spent[programme.id] += f64::from(u8::from(is_member[programme.id][*merchant]));
            }
        }
    }
    (shown, spent)
}
