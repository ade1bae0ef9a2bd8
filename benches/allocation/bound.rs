//! An upper bound of what any allocation can reach, for constraint sets without a certified optimum.
//!
//! Prices on budgets, caps and guarantees turn the problem into one without coupling: each request takes the K best
//! candidates by adjusted value, and `D(λ, ν, μ) = Σ_t top-K(adjusted) + Σ λ·budget + Σ ν·cap − Σ μ·guarantee`. By weak
//! duality D is at least the penalised value of every allocation that keeps budgets and caps, whatever the prices, as
//! long as λ, ν ≥ 0 and 0 ≤ μ ≤ penalty. The bound is therefore valid however well the prices were found; how tight it
//! is shows against the certified optima of the shipped sets (`--check-bound`).

use super::dice::Dice;
use super::instance::{Instance, Request};

/// Passes over the stream in random order, one step a request.
const PASSES: usize = 16;
/// First and last step of them, in units of the mean value.
const STEPS: (f64, f64) = (0.02, 0.0002);
/// Steps over the whole stream at once that follow.
const POLISH: usize = 250;

/// One vector of prices: programmes, then caps by merchant, then guarantees by merchant.
struct Dual<'a> {
    instance: &'a Instance,
    /// Limits in the order of the prices.
    limits: Vec<f64>,
    /// Highest price allowed; zero where there is nothing to price.
    ceilings: Vec<f64>,
    /// Limit per request that counts against it.
    rates: Vec<f64>,
    /// Unit of prices.
    mean: f64,
}

/// What the slate of one request uses, as positions of prices.
#[derive(Default)]
struct Scratch {
    base: Vec<f64>,
    adjusted: Vec<(f64, usize, Option<usize>)>,
    used: Vec<(usize, f64)>,
}

/// The smallest bound found.
pub(crate) fn upper_bound(instance: &Instance) -> f64 {
    let dual = Dual::new(instance);
    let mut best = Best { bound: f64::INFINITY, prices: vec![0.0; dual.limits.len()] };
    let prices = dual.descend();
    best.offer(dual.value(&prices, None), &prices);
    dual.polish(&mut best);
    best.bound * dual.mean
}

struct Best {
    bound: f64,
    prices: Vec<f64>,
}

impl Best {
    fn offer(&mut self, bound: f64, prices: &[f64]) -> bool {
        let is_better = bound < self.bound;
        if is_better {
            self.bound = bound;
            self.prices.copy_from_slice(prices);
        }
        is_better
    }
}

impl<'a> Dual<'a> {
    fn new(instance: &'a Instance) -> Self {
        let constraints = &instance.constraints;
        let (programmes, merchants) = (constraints.programmes.len(), constraints.merchants());
        let mean = instance.mean_value().max(1e-9);
        let mut limits = vec![0.0; programmes + 2 * merchants];
        let mut ceilings = limits.clone();
        let mut rates = vec![1.0; limits.len()];
        let within = |window: [f64; 2]| {
            let inside = |request: &&Request| window[0] <= request.time && request.time < window[1];
            instance.requests.iter().filter(inside).count().max(1) as f64
        };
        let mut set = |at: usize, limit: f64, ceiling: f64, requests: f64| {
            (limits[at], ceilings[at], rates[at]) = (limit, ceiling, (limit / requests).max(1e-3));
        };
        for programme in &constraints.programmes {
            set(programme.id, programme.budget as f64, f64::INFINITY, within(programme.window));
        }
        let all = instance.requests.len().max(1) as f64;
        for (merchant, cap) in constraints.caps() {
            set(programmes + merchant, cap, f64::INFINITY, all);
        }
        for (merchant, least) in constraints.guarantees() {
            set(programmes + merchants + merchant, least, constraints.shortfall_penalty / mean, all);
        }
        Self { instance, limits, ceilings, rates, mean }
    }

    /// Position of a merchant's cap and guarantee.
    fn places(&self, merchant: usize) -> (usize, usize) {
        let cap = self.instance.constraints.programmes.len() + merchant;
        (cap, cap + self.instance.constraints.merchants())
    }

    /// Limits weigh with this sign: guarantees pay, the others cost.
    fn sign(&self, place: usize) -> f64 {
        let (_, first) = self.places(0);
        if place < first { 1.0 } else { -1.0 }
    }

    /// The best slate of a request under prices: its adjusted value; what it uses is left in `scratch.used`.
    fn slate(&self, request: &Request, prices: &[f64], scratch: &mut Scratch) -> f64 {
        let instance = self.instance;
        scratch.base.clear();
        scratch.base.resize(instance.constraints.merchants(), f64::NAN);
        scratch.adjusted.clear();
        for (merchant, value) in request.merchants.iter().zip(&request.value) {
            let base = &mut scratch.base[*merchant];
            if base.is_nan() {
                let hard: f64 = instance.open(&instance.hard[*merchant], request.time).map(|id| prices[id]).sum();
                let (cap, guarantee) = self.places(*merchant);
                *base = prices[guarantee] - prices[cap] - hard;
            }
            let value = value / self.mean;
            let mut support = (0.0, None);
            for id in instance.open(&instance.support[*merchant], request.time) {
                let gain = instance.programme(id).boost * value - prices[id];
                if gain > support.0 {
                    support = (gain, Some(id));
                }
            }
            let adjusted = value + *base + support.0;
            if adjusted > 0.0 {
                scratch.adjusted.push((adjusted, *merchant, support.1));
            }
        }
        let slots = instance.constraints.per_request;
        if scratch.adjusted.len() > slots {
            scratch.adjusted.select_nth_unstable_by(slots, |one, other| other.0.total_cmp(&one.0));
            scratch.adjusted.truncate(slots);
        }
        scratch.used.clear();
        for (_, merchant, charged) in &scratch.adjusted {
            let (cap, guarantee) = self.places(*merchant);
            let hard = instance.open(&instance.hard[*merchant], request.time);
            scratch.used.extend(hard.chain(*charged).chain([cap, guarantee]).map(|place| (place, 1.0)));
        }
        scratch.adjusted.iter().map(|(adjusted, ..)| adjusted).sum()
    }

    /// D in units of the mean value, and its gradient.
    fn value(&self, prices: &[f64], gradient: Option<&mut Vec<f64>>) -> f64 {
        let mut scratch = Scratch::default();
        let mut used = vec![0.0; prices.len()];
        let mut sum = 0.0;
        for request in &self.instance.requests {
            sum += self.slate(request, prices, &mut scratch);
            for (place, count) in &scratch.used {
                used[*place] += count;
            }
        }
        let places = || prices.iter().zip(&self.limits).enumerate();
        if let Some(gradient) = gradient {
            *gradient = places().map(|(place, (_, limit))| self.sign(place) * (limit - used[place])).collect();
        }
        sum + places().map(|(place, (price, limit))| self.sign(place) * price * limit).sum::<f64>()
    }

    /// Steps on single requests in random order; the mean of the prices of the last third.
    fn descend(&self) -> Vec<f64> {
        let requests = &self.instance.requests;
        let mut dice = Dice::new(1);
        let mut scratch = Scratch::default();
        let mut prices = vec![0.0; self.limits.len()];
        let mut used = prices.clone();
        let mut sums = prices.clone();
        let live: Vec<usize> = (0..prices.len()).filter(|place| self.ceilings[*place] > 0.0).collect();
        // Small streams get as many steps as large ones.
        let steps = (PASSES * requests.len()).max(200_000);
        let averaged = steps - steps * 2 / 3;
        for at in 0..steps {
            let step = STEPS.0 * (STEPS.1 / STEPS.0).powf(at as f64 / steps as f64);
            let request = &requests[dice.below(requests.len())];
            self.slate(request, &prices, &mut scratch);
            for (place, count) in &scratch.used {
                used[*place] += count;
            }
            let programmes = self.instance.constraints.programmes.len();
            for place in &live {
                let is_open = *place >= programmes || self.instance.programme(*place).is_open(request.time);
                if is_open {
                    let rate = self.rates[*place];
                    let move_by = self.sign(*place) * step * (used[*place] - rate) / rate.sqrt();
                    prices[*place] = (prices[*place] + move_by).clamp(0.0, self.ceilings[*place]);
                }
            }
            for (place, _) in &scratch.used {
                used[*place] = 0.0;
            }
            if at >= steps - averaged {
                sums.iter_mut().zip(&prices).for_each(|(sum, price)| *sum += price);
            }
        }
        sums.iter().map(|sum| sum / averaged as f64).collect()
    }

    /// Steps down the whole gradient, as long as Polyak's rule says for a target a little below the best bound.
    fn polish(&self, best: &mut Best) {
        let mut aim = best.bound * 5e-4;
        let mut prices = best.prices.clone();
        let mut gradient = Vec::new();
        let mut idle = 0;
        for _ in 0..POLISH {
            let value = self.value(&prices, Some(&mut gradient));
            let last = best.bound;
            idle = if best.offer(value, &prices) && last - value > aim * 0.1 { 0 } else { idle + 1 };
            if idle >= 8 {
                (aim, idle) = (aim * 0.5, 0);
                prices.copy_from_slice(&best.prices);
                continue;
            }
            let moves = |place: usize| {
                let is_stuck = prices[place] <= 0.0 && gradient[place] > 0.0
                    || prices[place] >= self.ceilings[place] && gradient[place] < 0.0;
                if is_stuck { 0.0 } else { gradient[place] / self.rates[place].sqrt() }
            };
            let length: f64 = (0..prices.len()).map(|place| moves(place) * gradient[place]).sum();
            if length <= 0.0 {
                break;
            }
            let step = (value - best.bound + aim) / length;
            let next: Vec<f64> = (0..prices.len())
                .map(|place| (prices[place] - step * moves(place)).clamp(0.0, self.ceilings[place]))
                .collect();
            prices = next;
        }
    }
}
