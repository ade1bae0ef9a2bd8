//! Materialised records: what a write prepares so that Score only has to look up and multiply.

use super::programme::{Eligibility, Programme, ProgrammeKind};
use super::weight::Label;
use crate::domain::{MerchantKind, Scene, TargetKind, Timestamp};
use crate::trust::{Layer, MerchantView, ScoreModel, SignalRow, Trust, TrustView, consumer_rights, governance, score};

/// `MerchantRecord::support` where no support programme is charged.
pub const NO_SUPPORT: u8 = u8::MAX;

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
    /// Bits of [`Label`] that hold for all its targets.
    pub labels: u32,
    /// Factor of merchant-wide violations, by target kind index.
    pub penalty: [f32; TargetKind::COUNT],
    /// Trust tilt times tilt programmes, by scene index.
    pub tilt: [f32; Scene::COUNT],
    /// Uplift of the charged support programme, by scene index.
    pub uplift: [f32; Scene::COUNT],
    /// Bit of the charged support programme, by scene index.
    pub support: [u8; Scene::COUNT],
    /// Bits of the programmes it is a member of.
    pub programmes: u64,
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
        uplift: [0.0; Scene::COUNT],
        support: [NO_SUPPORT; Scene::COUNT],
        programmes: 0,
    };
}

/// What one weight needs of a merchant's record: its part for one scene and kind of target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MerchantRow {
    /// Whether the merchant is registered.
    pub is_registered: bool,
    /// Trust score, 0 to 100.
    pub trust: f32,
    /// Bits of [`Label`] that hold for all its targets.
    pub labels: u32,
    /// Factor of merchant-wide violations on the kind.
    pub penalty: f32,
    /// Trust tilt times tilt programmes in the scene.
    pub tilt: f32,
    /// Uplift of the charged support programme in the scene.
    pub uplift: f32,
    /// Bit of the charged support programme in the scene.
    pub support: u8,
    /// Bits of the programmes it is a member of.
    pub programmes: u64,
}

impl MerchantRecord {
    /// The part for one scene and kind of target.
    #[must_use]
    pub fn row(&self, scene: Scene, kind: TargetKind) -> MerchantRow {
        let at = scene.index();
        MerchantRow {
            is_registered: self.is_registered,
            trust: self.trust,
            labels: self.labels,
            penalty: self.penalty.get(kind.index()).copied().unwrap_or(1.0),
            tilt: self.tilt.get(at).copied().unwrap_or(1.0),
            uplift: self.uplift.get(at).copied().unwrap_or(0.0),
            support: self.support.get(at).copied().unwrap_or(NO_SUPPORT),
            programmes: self.programmes,
        }
    }
}

/// What Score needs of an item: whose it is, and its own factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ItemRecord {
    /// Slot of its merchant.
    pub merchant_slot: u32,
    /// Product of the factors of violations against the item.
    pub factor: f32,
}

/// A merchant's record and what led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Materialised {
    /// The record.
    pub record: MerchantRecord,
    /// The trust score.
    pub trust: Trust,
    /// Membership of each programme, in policy order.
    pub programmes: Vec<Eligibility>,
    /// When the record can change by itself, if ever.
    pub next_change: Option<Timestamp>,
}

/// Makes a merchant's record. `rows` is left with one row per signal. The explanation calls this too.
#[must_use]
pub fn materialise(
    model: &ScoreModel,
    programmes: &[Programme],
    view: &MerchantView,
    disabled: &[bool],
    rows: &mut Vec<SignalRow>,
) -> Materialised {
    let trust = score(model, view, disabled, rows);
    let tier = model.tiers.get(trust.tier);
    let seen = TrustView { trust: &trust, signals: rows, tier: tier.map_or("", |tier| &tier.id) };
    let members: Vec<Eligibility> = programmes.iter().map(|p| p.eligibility(view, &seen)).collect();

    let mut record = MerchantRecord {
        is_registered: true,
        trust: to_f32(trust.score),
        layers: Layer::ALL.map(|layer| to_f32(100.0 * trust.layer(layer).score)),
        ad_price: tier.map_or(1.0, |tier| to_f32(tier.ad_price_factor)),
        labels: kind_label(view.merchant.kind),
        penalty: TargetKind::ALL.map(|kind| to_f32(model.violations.merchant_factor(view.violations, kind, view.now))),
        ..MerchantRecord::UNREGISTERED
    };
    for (programme, _) in programmes.iter().zip(&members).filter(|(_, member)| member.is_member()) {
        record.labels |= programme.labels_of(view, &seen);
        record.programmes |= 1_u64.wrapping_shl(u32::from(programme.bit));
    }
    for scene in Scene::ALL {
        let (uplift, support) = best_support(programmes, &members, scene);
        let tilt = model.tilt.get(scene.index()).map_or(1.0, |curve| curve.at(trust.score))
            * tilt_programmes(programmes, &members, scene);
        set(&mut record.tilt, scene, to_f32(tilt));
        set(&mut record.uplift, scene, to_f32(uplift));
        set(&mut record.support, scene, support);
    }
    let next_change = programmes
        .iter()
        .filter_map(|programme| programme.next_change(view))
        .chain(model.signals.iter().filter_map(|signal| signal.applies.next_change(view)))
        .chain(consumer_rights::next_change(&model.rights, view.rights, view.now))
        .chain(governance::next_change(view.violations, view.now))
        .min();
    Materialised { record, trust, programmes: members, next_change }
}

/// The support programme with the largest uplift in a scene; the earlier one of equals.
fn best_support(programmes: &[Programme], members: &[Eligibility], scene: Scene) -> (f64, u8) {
    let mut best = (0.0, NO_SUPPORT);
    for (programme, member) in programmes.iter().zip(members) {
        let takes_part = programme.kind == ProgrammeKind::Support && member.is_member() && programme.works_in(scene);
        if takes_part && member.uplift > best.0 {
            best = (member.uplift, programme.bit);
        }
    }
    best
}

/// The product over stacking groups of the largest tilt programme of each.
fn tilt_programmes(programmes: &[Programme], members: &[Eligibility], scene: Scene) -> f64 {
    let tilts = || {
        programmes.iter().zip(members).filter(move |(programme, member)| {
            programme.kind == ProgrammeKind::Tilt && member.is_member() && programme.works_in(scene)
        })
    };
    let mut product = 1.0;
    for (index, (programme, member)) in tilts().enumerate() {
        let in_group = |other: &&Programme| other.stacking_group == programme.stacking_group;
        let beaten = tilts().enumerate().any(|(other_index, (other, other_member))| {
            in_group(&other)
                && (other_member.uplift > member.uplift
                    || (other_index < index && other_member.uplift >= member.uplift))
        });
        if !beaten {
            product *= 1.0 + member.uplift;
        }
    }
    product
}

fn kind_label(kind: MerchantKind) -> u32 {
    match kind {
        MerchantKind::Ordinary => 0,
        MerchantKind::KuaiBrand => Label::KuaiBrand.bit(),
        MerchantKind::Brand => Label::Brand.bit(),
    }
}

fn set<T>(table: &mut [T; Scene::COUNT], scene: Scene, value: T) {
    if let Some(entry) = table.get_mut(scene.index()) {
        *entry = value;
    }
}

/// The one cast of a score or factor to what is stored and sent.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "rounds to the nearest f32, never fails")]
fn to_f32(value: f64) -> f32 {
    value as f32
}
