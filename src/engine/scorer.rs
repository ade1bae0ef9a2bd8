//! What the targets of one request come to, one after the other: looked up where it is the same for many merchants,
//! else worked out from the record.

use super::alike::{Alike, Ground, Key, Remembered};
use super::decisions::Witness;
use super::score::{ScoreQuery, own_price, score_price};
use crate::domain::to_f32;
use crate::state::{Hot, World};
use crate::traffic::{ItemClass, ItemRecord, Lines, MemberPrice, MerchantRow, ScenePrices, SceneRules, mask_of};

/// What one target comes to.
#[derive(Clone, Copy)]
pub(super) struct Scored {
    pub(super) trust: f32,
    pub(super) boost: f32,
    /// 0 without a base score.
    pub(super) adjusted: f32,
    pub(super) programmes: u64,
    pub(super) labels: u32,
    pub(super) is_registered: bool,
}

/// What all targets of a request share.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) hot: &'a Hot,
    pub(super) world: &'a World,
    pub(super) query: &'a ScoreQuery<'a>,
    pub(super) rules: &'a SceneRules<'a>,
    pub(super) prices: &'a ScenePrices,
    /// Mean base score of such targets.
    pub(super) mean: f64,
}

impl Frame<'_> {
    fn row(&self, item: ItemRecord) -> MerchantRow {
        self.world.table.read_row(item.merchant_slot, self.query.scene, self.query.kind)
    }

    /// A world has every class that its items name.
    fn class(&self, item: ItemRecord) -> Option<&ItemClass> {
        self.world.classes.get(item.class)
    }
}

/// Scores the targets of a request.
pub(super) struct Scorer<'a> {
    frame: Frame<'a>,
    remembered: Remembered<'a>,
    /// Programmes that reports on their way may have spent, as bits.
    stopped: u64,
    lines: Lines,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(frame: Frame<'a>, alike: &'a mut Alike) -> Self {
        let stopped = frame.hot.prices().stopped(frame.query.scene);
        let ground = Ground {
            scene: frame.query.scene,
            kind: frame.query.kind,
            classes: frame.world.classes.identity(),
            open: frame.rules.open,
            kill_switch: frame.rules.kill_switch,
        };
        Self { frame, remembered: alike.on(ground, frame.rules, frame.prices), stopped, lines: Lines::default() }
    }

    /// Scores a target.
    #[inline]
    pub(super) fn score(&mut self, item: ItemRecord, base: Option<f32>) -> Option<Scored> {
        self.look_up(item, base).or_else(|| self.work_out(item, base, |_, _, _| ()))
    }

    /// Scores a target from its merchant's record, and has it witnessed.
    pub(super) fn score_seen(
        &mut self,
        item: ItemRecord,
        base: Option<f32>,
        planned: &SceneRules,
        witness: &mut Witness,
    ) -> Option<Scored> {
        self.work_out(item, base, |lines, row, class| {
            if let Some(base) = base {
                witness.add(lines, (planned, row, class), item.merchant_slot, base);
            }
        })
    }

    /// Scores a target by what those of its classes come to; none where that does not do.
    #[inline]
    fn look_up(&mut self, item: ItemRecord, base: Option<f32>) -> Option<Scored> {
        let Frame { hot, world, query, rules, mean, .. } = self.frame;
        let brief = world.table.read_brief(item.merchant_slot)?;
        let price = own_price(hot, rules, item.merchant_slot, self.stopped);
        let key = Key { merchant_class: brief.class, item_class: item.class, spent: price.spent };
        let find = || Some((world.table.merchant_class(brief.class)?, world.classes.get(item.class)?));
        let priced = self.remembered.priced(key, find)?;
        // What has no part in anything limited here has no price here.
        let member = if priced.is_limited { price } else { MemberPrice::default() };
        if !priced.takes(&member) {
            return None;
        }
        let tilt = world.policy.model.tilt_at(query.scene, brief.trust);
        let mut scored = Scored {
            trust: brief.trust,
            boost: to_f32(priced.weight(tilt, &member)),
            adjusted: 0.0,
            programmes: priced.programmes,
            labels: priced.labels,
            is_registered: true,
        };
        if let Some(base) = base {
            let bid = priced.adjusted(tilt, &member, mean, base);
            scored.adjusted = to_f32(bid.score);
            scored.programmes = priced.hard | bid.charged.map_or(0, mask_of);
        }
        Some(scored)
    }

    /// Scores a target from its merchant's record; `see` sees its lines before prices.
    fn work_out(
        &mut self,
        item: ItemRecord,
        base: Option<f32>,
        see: impl FnOnce(&Lines, &MerchantRow, &ItemClass),
    ) -> Option<Scored> {
        let Frame { hot, rules, prices, mean, .. } = self.frame;
        let (row, class) = (self.frame.row(item), self.frame.class(item)?);
        let lines = &mut self.lines;
        lines.set(rules, item.merchant_slot, &row, class);
        see(lines, &row, class);
        let member = score_price(hot, rules, lines, item.merchant_slot, self.stopped);
        let weight = lines.weight(prices, &member);
        let mut scored = Scored {
            trust: row.trust,
            boost: to_f32(weight.weight),
            adjusted: 0.0,
            programmes: weight.programmes,
            labels: weight.labels,
            is_registered: row.is_registered,
        };
        if let Some(base) = base {
            let bid = lines.adjusted(prices, &member, mean, base);
            scored.adjusted = to_f32(bid.score);
            scored.programmes = lines.programmes(bid.charged);
        }
        Some(scored)
    }
}
