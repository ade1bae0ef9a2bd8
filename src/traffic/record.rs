//! Materialised records: what a write prepares so that Score only has to look up and multiply.

use super::holdout::Holdout;
use super::programme::{Eligibility, Programme, ProgrammeKind};
use super::recipe::Recipe;
use super::stage::Stage;
use super::weight::Label;
use crate::domain::{MerchantKind, Scene, TargetKind, Timestamp, to_f32};
use crate::trust::{
    Layer, MerchantView, Room, ScoreModel, Seen, SignalRow, Trust, TrustView, consumer_rights, governance, score,
};

/// Most programmes that lift one merchant at a time: tilts first, then support programmes, of each those with the
/// largest uplift. Campaigns that were over on the facts day take no place.
pub const MAX_BOOSTS: usize = 11;
/// Uplifts are kept in thousandths.
const THOUSANDTHS: f64 = 1_000.0;

/// What one programme lifts a merchant by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Boost {
    /// The programme's bit.
    pub bit: u8,
    /// Scenes in which it does, as bits by scene index.
    pub scenes: u8,
    /// Uplift in thousandths; 0 where there is none.
    pub thousandths: u16,
}

impl Boost {
    /// A boost; uplifts beyond 65.535 are that.
    #[must_use]
    pub fn new(bit: u8, scenes: u8, uplift: f64) -> Self {
        let thousandths = libm::round(uplift * THOUSANDTHS).clamp(0.0, f64::from(u16::MAX));
        #[expect(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let thousandths = thousandths as u16;
        Self { bit, scenes, thousandths }
    }

    /// Whether there is anything to it.
    #[must_use]
    pub fn is_some(self) -> bool {
        self.thousandths > 0 && self.scenes != 0
    }

    /// The uplift: 0.5 means half as much again.
    #[must_use]
    pub fn uplift(self) -> f64 {
        f64::from(self.thousandths) / THOUSANDTHS
    }
}

/// What Score needs of a merchant. Factors are f32, as they are stored: the explanation starts from the same bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MerchantRecord {
    /// Whether the merchant is registered.
    pub is_registered: bool,
    /// Trust score, 0 to 100.
    pub trust: f32,
    /// Layer scores, 0 to 100, by layer index.
    pub layers: [f32; 3],
    /// Factor on the price of ads.
    pub ad_price: f32,
    /// Bits of [`Label`] that hold for all its targets at all times.
    pub labels: u32,
    /// Factor of merchant-wide violations, by target kind index.
    pub penalty: [f32; TargetKind::COUNT],
    /// Trust tilt, by scene index.
    pub tilt: [f32; Scene::COUNT],
    /// Bits of the programmes it is a member of, open or not.
    pub programmes: u64,
    /// Bits of the programmes it would be a member of but for a holdout.
    pub held_out: u64,
    /// What programmes lift it by: tilts first, of each kind the largest first, then in policy order.
    pub boosts: [Boost; MAX_BOOSTS],
}

impl MerchantRecord {
    /// The record of an id that is not registered.
    pub const UNREGISTERED: Self = Self {
        is_registered: false,
        trust: 0.0,
        layers: [0.0; 3],
        ad_price: 1.0,
        labels: 0,
        penalty: [1.0; TargetKind::COUNT],
        tilt: [1.0; Scene::COUNT],
        programmes: 0,
        held_out: 0,
        boosts: [Boost { bit: 0, scenes: 0, thousandths: 0 }; MAX_BOOSTS],
    };
}

/// What one weight needs of a merchant's record: its part for one scene and kind of target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MerchantRow {
    /// Whether the merchant is registered.
    pub is_registered: bool,
    /// Trust score, 0 to 100.
    pub trust: f32,
    /// Bits of [`Label`] that hold for all its targets at all times.
    pub labels: u32,
    /// Factor of merchant-wide violations on the kind.
    pub penalty: f32,
    /// Trust tilt in the scene.
    pub tilt: f32,
    /// Bits of the programmes it is a member of, open or not.
    pub programmes: u64,
    /// Bits of the programmes it would be a member of but for a holdout.
    pub held_out: u64,
    /// What programmes lift it by, in the order of the record.
    pub boosts: [Boost; MAX_BOOSTS],
}

impl MerchantRecord {
    /// The part for one scene and kind of target.
    #[must_use]
    pub fn row(&self, scene: Scene, kind: TargetKind) -> MerchantRow {
        MerchantRow {
            is_registered: self.is_registered,
            trust: self.trust,
            labels: self.labels,
            penalty: self.penalty.get(kind.index()).copied().unwrap_or(1.0),
            tilt: self.tilt.get(scene.index()).copied().unwrap_or(1.0),
            programmes: self.programmes,
            held_out: self.held_out,
            boosts: self.boosts,
        }
    }
}

/// What a merchant's record is made by.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// How scores come about.
    pub model: &'a ScoreModel,
    /// Signals without effect, by position.
    pub disabled: &'a [bool],
    /// Stages of the life cycle.
    pub stages: &'a [Stage],
    /// The programmes, by id.
    pub programmes: &'a [Programme],
    /// How signals, stages and programmes are asked.
    pub recipe: &'a Recipe,
    /// Merchants kept out of all programmes.
    pub holdout: Option<&'a Holdout>,
}

/// A merchant's record and what led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Materialised {
    /// The record.
    pub record: MerchantRecord,
    /// The trust score.
    pub trust: Trust,
    /// Id of the stage of its life cycle.
    pub stage: String,
    /// Membership of each programme, in policy order.
    pub programmes: Vec<Eligibility>,
    /// When the record can change by itself, if ever.
    pub next_change: Option<Timestamp>,
}

/// A merchant's record and when it can change by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Made {
    /// The record.
    pub record: MerchantRecord,
    /// When the record can change by itself, if ever.
    pub next_change: Option<Timestamp>,
}

/// Makes a merchant's record and keeps nothing of what led to it; `rows` is only room to work in.
#[must_use]
pub fn make_record(rules: &Rules, view: &MerchantView, rows: &mut Vec<SignalRow>) -> Made {
    work_out(rules, view, rows, |_| ()).0
}

/// Makes a merchant's record, and tells what led to it. `rows` is left with one row per signal. The explanation calls
/// this: the record comes from the same lines as that of [`make_record`].
#[must_use]
pub fn materialise(rules: &Rules, view: &MerchantView, rows: &mut Vec<SignalRow>) -> Materialised {
    let mut programmes = Vec::with_capacity(rules.programmes.len());
    let (Made { record, next_change }, trust, stage) = work_out(rules, view, rows, |member| programmes.push(member));
    Materialised { record, trust, stage: stage.to_owned(), programmes, next_change }
}

/// The record, the trust score and the stage; `tell` hears of each programme in policy order.
fn work_out<'a>(
    rules: &Rules<'a>,
    view: &MerchantView,
    rows: &mut Vec<SignalRow>,
    mut tell: impl FnMut(Eligibility),
) -> (Made, Trust, &'a str) {
    let Rules { model, disabled, stages, programmes, recipe, holdout } = *rules;
    let mut room = Room::default();
    let view = &MerchantView { facts: view.facts.opened(&mut room), ..*view };
    let trust = score(model, view, disabled, rows);
    let tier = model.tiers.get(trust.tier);
    let tier_id = tier.map_or("", |tier| &tier.id);
    let unstaged = TrustView { trust: &trust, signals: rows, tier: tier_id, stage: "" };
    let stage = recipe.stage(stages, &Seen::merchant(view, Some(&unstaged)));
    let found = TrustView { stage, ..unstaged };
    let seen = Seen::merchant(view, Some(&found));

    let mut record = MerchantRecord {
        is_registered: true,
        trust: to_f32(trust.score),
        layers: Layer::ALL.map(|layer| to_f32(100.0 * trust.layer(layer).score)),
        ad_price: tier.map_or(1.0, |tier| to_f32(tier.ad_price_factor)),
        labels: kind_label(view.merchant.kind),
        penalty: TargetKind::ALL.map(|kind| to_f32(model.violations.merchant_factor(view.violations, kind, view.now))),
        tilt: Scene::ALL.map(|scene| model.tilt_at(scene, to_f32(trust.score))),
        ..MerchantRecord::UNREGISTERED
    };
    let mut boosts = Boosts::default();
    let known = (view.merchant.id, trust.score);
    for (programme, entry) in programmes.iter().zip(recipe.entries()) {
        let member = entry.eligibility(programme, known, &seen, holdout);
        tell(member);
        if member.is_held_out {
            record.held_out |= programme.mask();
        } else if member.is_met {
            record.programmes |= programme.mask();
            record.labels |= entry.labels(&seen);
            // Windows open and close without making records again, and so only what was over on the facts day is left
            // out.
            if programme.lifts() && !programme.window.is_over(view.facts_day) {
                let boost = Boost::new(programme.bit, member.scenes, member.uplift);
                boosts.add(boost, programme.kind == ProgrammeKind::Support);
            }
        }
    }
    record.boosts = boosts.list;
    let next_change = [
        recipe.next_change(&seen),
        consumer_rights::next_change(&model.rights, view.rights, view.now),
        governance::next_change(view.violations, view.now),
    ];
    (Made { record, next_change: next_change.into_iter().flatten().min() }, trust, stage)
}

/// What lifts a merchant, in the order of the record, as far as there is room.
#[derive(Default)]
struct Boosts {
    list: [Boost; MAX_BOOSTS],
    supports: [bool; MAX_BOOSTS],
    count: usize,
}

impl Boosts {
    /// Puts one behind all that come before it: tilts first, of each kind the largest first, of equals the earlier.
    fn add(&mut self, boost: Boost, is_support: bool) {
        if !boost.is_some() {
            return;
        }
        let rank = |boost: &Boost, is_support: bool| (is_support, std::cmp::Reverse(boost.thousandths));
        let placed = self.list.iter().zip(self.supports).take(self.count);
        let at = placed.filter(|(other, other_is)| rank(other, *other_is) <= rank(&boost, is_support)).count();
        let (Some(list), Some(supports)) = (self.list.get_mut(at..), self.supports.get_mut(at..)) else { return };
        // Each moves on by one; the last falls off, where there is no room.
        let (mut boost, mut is_support) = (boost, is_support);
        for (place, place_is) in list.iter_mut().zip(supports) {
            std::mem::swap(place, &mut boost);
            std::mem::swap(place_is, &mut is_support);
        }
        self.count = MAX_BOOSTS.min(self.count.saturating_add(1));
    }
}

fn kind_label(kind: MerchantKind) -> u32 {
    match kind {
        MerchantKind::Ordinary => 0,
        MerchantKind::KuaiBrand => Label::KuaiBrand.bit(),
        MerchantKind::Brand => Label::Brand.bit(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Boost, Boosts, MAX_BOOSTS};
    use proptest::prelude::*;
    use std::cmp::Reverse;

    proptest! {
        #[test]
        fn tilts_come_first_then_the_largest_then_the_earlier(
            found in prop::collection::vec((any::<bool>(), 0_u16..6), 0..40),
        ) {
            let mut boosts = Boosts::default();
            let mut sorted: Vec<(bool, Boost)> = Vec::new();
            for (bit, (is_support, thousandths)) in (0_u8..).zip(found) {
                let boost = Boost { bit, scenes: 1, thousandths };
                boosts.add(boost, is_support);
                sorted.extend(boost.is_some().then_some((is_support, boost)));
            }
            sorted.sort_by_key(|(is_support, boost)| (*is_support, Reverse(boost.thousandths)));
            let mut expected: Vec<Boost> = sorted.into_iter().map(|(_, boost)| boost).collect();
            expected.resize(MAX_BOOSTS, Boost::default());
            prop_assert_eq!(boosts.list.to_vec(), expected);
        }
    }
}
