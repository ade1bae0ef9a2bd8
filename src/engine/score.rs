//! Score: two rounds of lookups, then arithmetic. Memory only.

use super::Engine;
use super::alike;
use super::decisions::{Answer, Decided, Witness};
use super::scorer::{Frame, Scorer};
use crate::domain::{Scene, TargetKind};
use crate::state::{Hot, World, WorldGuard as Guard};
use crate::traffic::{ItemRecord, Lines, MemberPrice, PriceBook, ScenePrices, SceneRules};

/// What to score. The lists are empty or one per target.
#[derive(Clone, Copy, Debug)]
pub struct ScoreQuery<'a> {
    /// Where the targets will be shown.
    pub scene: Scene,
    /// What the ids name.
    pub kind: TargetKind,
    /// The targets.
    pub target_ids: &'a [u64],
    /// Owners, for targets that are not registered; empty if none were sent.
    pub merchant_ids: &'a [u64],
    /// The recommender's scores; empty if none were sent.
    pub base_scores: &'a [f32],
    /// Whether the layer columns are wanted.
    pub layers: bool,
    /// Whether the ad-price column is wanted.
    pub ad_price: bool,
}

/// The answer, column by column, in request order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreColumns {
    /// Version of the policy answered from.
    pub policy_version: u64,
    /// Revision that the answer includes.
    pub revision: u64,
    /// How long it may be reused.
    pub cache_ttl_ms: u32,
    /// Trust scores, 0 to 100.
    pub trust_scores: Vec<f32>,
    /// Boost weights.
    pub boost_weights: Vec<f32>,
    /// Programme bits.
    pub programmes: Vec<u64>,
    /// Label bits.
    pub labels: Vec<u32>,
    /// Base scores times weights, when base scores were sent.
    pub adjusted_scores: Vec<f32>,
    /// Layer scores, 0 to 100, by layer index, when wanted.
    pub layers: [Vec<f32>; 3],
    /// Ad-price factors, when wanted.
    pub ad_price_factors: Vec<f32>,
    /// How many targets were unknown.
    pub unknown: usize,
}

impl Engine {
    /// Scores targets. Never waits: no lock is held longer than one lookup.
    #[must_use]
    pub fn score(&self, query: &ScoreQuery) -> ScoreColumns {
        self.score_named(query, "")
    }

    /// Scores targets for a request that has a name in the decision log. Never waits, as [`Engine::score`].
    #[must_use]
    pub fn score_named(&self, query: &ScoreQuery, request_id: &str) -> ScoreColumns {
        let has_bases = !query.base_scores.is_empty();
        let is_sampled = self.samples.counts(query.scene, has_bases);
        let recorder = self.recorder.get().filter(|recorder| has_bases && recorder.draws());
        let Some(mut witness) = Witness::new(query.target_ids.len(), is_sampled, recorder.is_some()) else {
            return score(self.hot(), query);
        };
        let columns = score_with(self.hot(), query, Some(&mut witness));
        let now = self.clock.now();
        if let Some(sampler) = witness.sampler {
            sampler.finish(&self.samples, query.scene, query.kind, now, 0);
        }
        if let (Some(recorder), Some(draft)) = (recorder, witness.draft) {
            let (scores, programmes) = (columns.adjusted_scores.clone(), columns.programmes.clone());
            let decided = Decided {
                at: now,
                request_id,
                scene: query.scene,
                kind: query.kind,
                policy_version: columns.policy_version,
                revision: columns.revision,
                items: query.target_ids,
                bases: query.base_scores,
                answer: Answer::Adjusted { scores, programmes },
            };
            recorder.hand_over(draft.finish(self.hot(), decided));
        }
        columns
    }
}

/// Scores targets by the readers' side of a state.
#[must_use]
pub fn score(hot: &Hot, query: &ScoreQuery) -> ScoreColumns {
    score_with(hot, query, None)
}

fn score_with(hot: &Hot, query: &ScoreQuery, witness: Option<&mut Witness>) -> ScoreColumns {
    // The revision first: every record read after it includes at least that much.
    let revision = hot.revision();
    let ids = (query.target_ids, query.merchant_ids);
    let Located { world, items: located } = Located::of(hot, query.kind, ids, |world, slot| {
        world.table.touch_brief(slot);
        hot.prices().touch_told(slot);
    });
    let count = query.target_ids.len();
    let mut columns = ScoreColumns {
        policy_version: world.policy.version,
        revision,
        cache_ttl_ms: world.policy.cache_ttl_ms,
        trust_scores: vec![0.0; count],
        boost_weights: vec![0.0; count],
        programmes: vec![0; count],
        labels: vec![0; count],
        ..ScoreColumns::default()
    };
    columns.weigh(hot, &world, query, &located, witness);
    columns.extras(&world, query, &located);
    columns
}

/// The prices of budgets in a scene, and the mean base score of a kind of target there.
pub(super) fn scene_prices(book: &PriceBook, scene: Scene, kind: TargetKind) -> (&ScenePrices, f64) {
    let [live, ..] = &book.scenes;
    let prices = book.scenes.get(scene.index()).unwrap_or(live);
    let mean = prices.mean_base.get(kind.index()).copied().map_or(1.0, f64::from);
    // Prices are in units of the mean: without one they mean nothing, and values stand for themselves.
    (prices, if mean > 0.0 && mean.is_finite() { mean } else { 1.0 })
}

/// Brings the prices of members near where there can be any.
pub(super) fn touch_prices(hot: &Hot, rules: &SceneRules, located: &[ItemRecord]) {
    if rules.open & rules.limited != 0 {
        for item in located {
            hot.prices().touch(item.merchant_slot);
        }
    }
}

/// The price of a target's member, read only if something is limited or promised there.
#[inline]
pub(super) fn member_price(hot: &Hot, rules: &SceneRules, lines: &Lines, slot: u32) -> MemberPrice {
    if lines.limited == 0 {
        return MemberPrice::default();
    }
    packed(hot, rules, lines, slot, hot.prices().member(slot))
}

/// The price of a target's member where scores steer: what reports on their way may have spent counts as spent, of the
/// member and, in `stopped`, of all.
#[inline]
pub(super) fn score_price(hot: &Hot, rules: &SceneRules, lines: &Lines, slot: u32, stopped: u64) -> MemberPrice {
    if lines.limited == 0 {
        return MemberPrice { spent: stopped, ..MemberPrice::default() };
    }
    packed(hot, rules, lines, slot, own_price(hot, rules, slot, stopped))
}

/// The price of a member where scores steer, packages not looked at. What it has spent of a programme that limits nobody
/// any more, under another policy than when that was noted, counts no longer.
#[inline]
pub(super) fn own_price(hot: &Hot, rules: &SceneRules, slot: u32, stopped: u64) -> MemberPrice {
    let (price, own) = hot.prices().scored(slot);
    MemberPrice { spent: (price.spent | own) & rules.limited | stopped, ..price }
}

/// A member's price for one target, packages included.
fn packed(hot: &Hot, rules: &SceneRules, lines: &Lines, slot: u32, price: MemberPrice) -> MemberPrice {
    let mut price = lines.member_price(price);
    if lines.limited & rules.packages != 0 && hot.prices().unpacked(slot) & rules.scene != 0 {
        price.spent |= rules.packages;
    }
    price
}

/// Targets in the world that serves.
pub(super) struct Located {
    pub(super) world: Guard,
    /// Where each target's records are.
    pub(super) items: Vec<ItemRecord>,
}

impl Located {
    /// Looks targets and their owners up; `touch` as for [`Targets::locate_all`](crate::state::Targets). Once another world serves, the place that an item's class had in this one is given to the
    /// next: what was located then is located again.
    pub(super) fn of(
        hot: &Hot,
        kind: TargetKind,
        (target_ids, merchant_ids): (&[u64], &[u64]),
        touch: impl Fn(&World, u32),
    ) -> Self {
        loop {
            let world = hot.world();
            let items = hot.targets(kind).locate_all(&world, target_ids, merchant_ids, |slot| touch(&world, slot));
            if hot.serves(&world) {
                return Self { world, items };
            }
        }
    }
}

impl ScoreColumns {
    /// The columns of every answer.
    fn weigh(
        &mut self,
        hot: &Hot,
        world: &World,
        query: &ScoreQuery,
        located: &[ItemRecord],
        mut witness: Option<&mut Witness>,
    ) {
        let rules = world.rules(query.scene, hot.kill_switch());
        let book = hot.prices().book();
        let (prices, mean) = scene_prices(&book, query.scene, query.kind);
        if let Some(witness) = &mut witness {
            witness.priced(book.epoch);
        }
        let planned = witness.as_ref().map(|_| world.planned_rules(query.scene));
        let frame = Frame { hot, world, query, rules: &rules, prices, mean };
        self.adjusted_scores = vec![0.0; query.base_scores.len()];
        let rows = (self.trust_scores.iter_mut().zip(&mut self.boost_weights))
            .zip(self.programmes.iter_mut().zip(&mut self.labels))
            .zip(located);
        alike::with(|alike| {
            let mut scorer = Scorer::new(frame, alike);
            for (at, (((trust, boost), (programmes, labels)), item)) in rows.enumerate() {
                let base = query.base_scores.get(at).copied();
                let target = match (&mut witness, &planned) {
                    (Some(witness), Some(planned)) => scorer.score_seen(*item, base, planned, witness),
                    _ => scorer.score(*item, base),
                };
                let Some(target) = target else { continue };
                (*trust, *boost) = (target.trust, target.boost);
                (*programmes, *labels) = (target.programmes, target.labels);
                self.unknown += usize::from(!target.is_registered);
                if let Some(adjusted) = self.adjusted_scores.get_mut(at) {
                    *adjusted = target.adjusted;
                }
            }
        });
    }

    /// The columns of answers that ask for them.
    fn extras(&mut self, world: &World, query: &ScoreQuery, located: &[ItemRecord]) {
        if !query.layers && !query.ad_price {
            return;
        }
        for record in located.iter().map(|item| world.table.read(item.merchant_slot)) {
            if query.layers {
                for (column, layer) in self.layers.iter_mut().zip(record.layers) {
                    column.push(layer);
                }
            }
            if query.ad_price {
                self.ad_price_factors.push(record.ad_price);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::own_price;
    use crate::domain::Scene;
    use crate::policy::{self, Dictionary};
    use crate::state::Hot;
    use crate::traffic::MemberPrice;

    /// Control notes what a member has spent, and comes by again later than a policy that lifts the cap.
    #[test]
    fn what_was_spent_of_a_programme_without_limits_counts_no_longer() {
        let policy = policy::compile(&policy::embedded(), 1, &mut Dictionary::default()).expect("the shipped policy");
        let rules = policy.weight_rules.in_scene(Scene::Live, u64::MAX, false);
        assert!(rules.limited != 0 && rules.limited != u64::MAX, "some limit members, some do not");
        let hot = Hot::default();
        hot.prices().set_member(3, &MemberPrice { spent: u64::MAX, ..MemberPrice::default() });
        assert_eq!(own_price(&hot, &rules, 3, 0).spent, rules.limited);
        assert_eq!(own_price(&hot, &rules, 3, !rules.limited).spent, u64::MAX, "what is stopped for all stays so");
        assert_eq!(own_price(&hot, &rules, 4, 0).spent, 0);
    }
}
