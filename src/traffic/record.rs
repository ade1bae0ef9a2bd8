//! Materialised records: what a write prepares so that Score only has to look up and multiply.

use super::holdout::Holdout;
use super::programme::{Eligibility, Programme, ProgrammeKind};
use super::stage::{Stage, next_stage_change, stage_of};
use super::weight::Label;
use crate::domain::{Day, MerchantKind, Scene, TargetKind, Timestamp};
use crate::trust::{
    Layer, MerchantView, ScoreModel, Seen, SignalRow, Trust, TrustView, consumer_rights, governance, score,
};

/// Most programmes that lift one merchant at a time: tilts first, then support programmes, of each those with the
/// largest uplift. Campaigns that were over on the facts day take no place.
pub const MAX_BOOSTS: usize = 11;
/// Uplifts are kept in thousandths.
const THOUSANDTHS: f64 = 1_000.0;

/// What one programme lifts a merchant by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// Makes a merchant's record. `rows` is left with one row per signal. The explanation calls this too.
#[must_use]
pub fn materialise(rules: &Rules, view: &MerchantView, rows: &mut Vec<SignalRow>) -> Materialised {
    let Rules { model, disabled, stages, programmes, holdout } = *rules;
    let trust = score(model, view, disabled, rows);
    let tier = model.tiers.get(trust.tier);
    let tier_id = tier.map_or("", |tier| &tier.id);
    let unstaged = TrustView { trust: &trust, signals: rows, tier: tier_id, stage: "" };
    let stage = stage_of(stages, view, &unstaged);
    let found = TrustView { stage, ..unstaged };
    let seen = Seen::merchant(view, Some(&found));
    let members: Vec<Eligibility> = programmes.iter().map(|p| p.eligibility(view, &found, holdout)).collect();

    let mut record = MerchantRecord {
        is_registered: true,
        trust: to_f32(trust.score),
        layers: Layer::ALL.map(|layer| to_f32(100.0 * trust.layer(layer).score)),
        ad_price: tier.map_or(1.0, |tier| to_f32(tier.ad_price_factor)),
        labels: kind_label(view.merchant.kind),
        penalty: TargetKind::ALL.map(|kind| to_f32(model.violations.merchant_factor(view.violations, kind, view.now))),
        tilt: Scene::ALL.map(|scene| to_f32(model.tilt.get(scene.index()).map_or(1.0, |curve| curve.at(trust.score)))),
        boosts: boosts(programmes, &members, view.facts_day),
        ..MerchantRecord::UNREGISTERED
    };
    for (programme, member) in programmes.iter().zip(&members).filter(|(_, member)| member.is_met) {
        if member.is_held_out {
            record.held_out |= programme.mask();
        } else {
            record.programmes |= programme.mask();
            record.labels |= programme.conditional_labels_of(&seen);
        }
    }
    let next_change = programmes
        .iter()
        .filter_map(|programme| programme.next_change(&seen))
        .chain(next_stage_change(stages, &seen))
        .chain(model.signals.iter().filter_map(|signal| signal.applies.next_change(&seen)))
        .chain(consumer_rights::next_change(&model.rights, view.rights, view.now))
        .chain(governance::next_change(view.violations, view.now))
        .min();
    let stage = stage.to_owned();
    Materialised { record, trust, stage, programmes: members, next_change }
}

/// What lifts a merchant, in the order of the record. Windows open and close without making records again, and so only
/// what was over on the facts day is left out.
fn boosts(programmes: &[Programme], members: &[Eligibility], facts_day: Day) -> [Boost; MAX_BOOSTS] {
    let lifting = |programme: &Programme| programme.lifts() && !programme.window.is_over(facts_day);
    let mut found: Vec<(bool, Boost)> = programmes
        .iter()
        .zip(members)
        .filter(|(programme, member)| member.is_member() && lifting(programme))
        .map(|(programme, member)| {
            let boost = Boost::new(programme.bit, member.scenes, member.uplift);
            (programme.kind == ProgrammeKind::Support, boost)
        })
        .filter(|(_, boost)| boost.is_some())
        .collect();
    found.sort_by_key(|(is_support, boost)| (*is_support, std::cmp::Reverse(boost.thousandths)));
    let mut boosts = [Boost::default(); MAX_BOOSTS];
    for (place, (_, boost)) in boosts.iter_mut().zip(found) {
        *place = boost;
    }
    boosts
}

fn kind_label(kind: MerchantKind) -> u32 {
    match kind {
        MerchantKind::Ordinary => 0,
        MerchantKind::KuaiBrand => Label::KuaiBrand.bit(),
        MerchantKind::Brand => Label::Brand.bit(),
    }
}

/// The one cast of a score or factor to what is stored and sent.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "rounds to the nearest f32, never fails")]
fn to_f32(value: f64) -> f32 {
    value as f32
}
