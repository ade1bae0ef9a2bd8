//! What all weights of a policy share, and what those of one request do.

use super::bits::mask_of;
use super::limits::SCENE_PACKAGE;
use super::programme::{Programme, ProgrammeKind};
use crate::domain::{Scene, Timestamp};

/// Scales the uplift of other programmes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Modifier {
    /// Its bit as a mask.
    pub mask: u64,
    /// Bits of the programmes it scales.
    pub modifies: u64,
    /// Factor on their uplift.
    pub factor: f64,
}

/// What all weights of a policy share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeightRules {
    /// Highest weight.
    pub ceiling: f64,
    /// Programmes that work in each scene, as bits, by scene index.
    scene_programmes: [u64; Scene::COUNT],
    /// By kind, as bits.
    hard: u64,
    tilts: u64,
    supports: u64,
    /// Those with caps, guarantees or a bound on one member's share.
    limited: u64,
    /// That of packages.
    packages: u64,
    modifying: u64,
    /// Those whose members have labels.
    labelled: u64,
    modifiers: Vec<Modifier>,
    /// Labels of members, for each bit that has any.
    labels: Vec<(u64, u32)>,
    /// Bit of the stacking group of each bit.
    groups: Vec<u64>,
}

impl WeightRules {
    /// What the programmes of a policy come to.
    #[must_use]
    pub fn new(ceiling: f64, programmes: &[Programme]) -> Self {
        let bits = |wanted: &dyn Fn(&Programme) -> bool| {
            programmes.iter().filter(|p| wanted(p)).fold(0_u64, |bits, p| bits | p.mask())
        };
        let of_kind = |kind: ProgrammeKind| bits(&|programme| programme.kind == kind);
        let mut groups = vec![0_u64; 64];
        let mut names: Vec<&str> = Vec::new();
        for programme in programmes {
            let name = programme.stacking_group.as_str();
            let position = names.iter().position(|other| *other == name).unwrap_or_else(|| {
                names.push(name);
                names.len().saturating_sub(1)
            });
            if let Some(group) = groups.get_mut(usize::from(programme.bit)) {
                *group = 1_u64.wrapping_shl(u32::try_from(position).unwrap_or(0));
            }
        }
        Self {
            ceiling,
            scene_programmes: Scene::ALL.map(|scene| bits(&|programme| programme.works_in(scene))),
            hard: of_kind(ProgrammeKind::Hard),
            tilts: of_kind(ProgrammeKind::Tilt),
            supports: of_kind(ProgrammeKind::Support),
            limited: bits(&Programme::limits_members),
            packages: bits(&|programme| programme.id == SCENE_PACKAGE),
            modifying: of_kind(ProgrammeKind::Modifier),
            labelled: bits(&|programme| programme.labels != 0),
            modifiers: programmes
                .iter()
                .filter(|programme| programme.kind == ProgrammeKind::Modifier)
                .map(|p| Modifier { mask: p.mask(), modifies: p.modifies, factor: p.factor })
                .collect(),
            labels: programmes.iter().filter(|p| p.labels != 0).map(|p| (p.mask(), p.labels)).collect(),
            groups,
        }
    }

    /// The rules of one request: `open` holds the programmes whose window is open and that are not in shadow.
    #[must_use]
    pub fn in_scene(&self, scene: Scene, open: u64, kill_switch: bool) -> SceneRules<'_> {
        SceneRules {
            // A policy is checked to have a ceiling of at least 0; NaN would make every clamp panic.
            ceiling: self.ceiling.max(0.0),
            kill_switch,
            scene: scene.mask(),
            open,
            in_scene: self.scene_programmes.get(scene.index()).copied().unwrap_or(0),
            hard: self.hard,
            tilts: self.tilts,
            lifting: self.tilts | self.supports,
            limited: self.limited,
            packages: self.packages,
            modifiers: self.modifying,
            labelled: self.labelled,
            rules: self,
        }
    }
}

/// Programmes that take part at an instant, as bits: inside their window, and not in shadow.
#[must_use]
pub fn open_programmes(programmes: &[Programme], now: Timestamp) -> u64 {
    let open = programmes.iter().filter(|programme| !programme.is_shadow && programme.window.is_open(now));
    open.fold(0, |bits, programme| bits | programme.mask())
}

/// Programmes with a budget that take part from a day to come on, as bits. What recurs by weekday or hour is left out:
/// plans know when a window begins and ends, not what lies between.
#[must_use]
pub fn opening_programmes(programmes: &[Programme], now: Timestamp) -> u64 {
    let is_ahead = |programme: &&Programme| {
        let window = &programme.window;
        let has_budget = matches!(programme.kind, ProgrammeKind::Hard | ProgrammeKind::Support);
        let recurs = window.weekdays.is_some() || window.hours.is_some();
        has_budget && !programme.is_shadow && !recurs && window.first.is_some_and(|first| now < first.start())
    };
    programmes.iter().filter(is_ahead).fold(0, |bits, programme| bits | programme.mask())
}

/// The next instant after `now` at which a programme opens or closes.
#[must_use]
pub fn next_window_boundary(programmes: &[Programme], now: Timestamp) -> Option<Timestamp> {
    programmes.iter().filter_map(|programme| programme.window.next_boundary(now)).min()
}

/// What all weights of a request share.
#[derive(Clone, Copy, Debug)]
pub struct SceneRules<'a> {
    /// Highest weight.
    pub ceiling: f64,
    /// Whether weights are neutral whatever programmes say.
    pub kill_switch: bool,
    /// The scene, as a bit.
    pub scene: u8,
    /// Programmes that take part now in any scene, as bits.
    pub open: u64,
    /// Programmes that work in the scene, open or not.
    pub in_scene: u64,
    /// Hard programmes.
    pub hard: u64,
    /// Tilt programmes.
    pub tilts: u64,
    /// Programmes that lift: tilt and support.
    pub lifting: u64,
    /// Programmes that limit or promise something to single members.
    pub limited: u64,
    /// The programme that all packages share.
    pub packages: u64,
    /// Modifiers.
    pub modifiers: u64,
    labelled: u64,
    rules: &'a WeightRules,
}

impl SceneRules<'_> {
    /// Labels of the members of programmes.
    #[must_use]
    #[inline]
    pub fn labels_of(&self, programmes: u64) -> u32 {
        if programmes & self.labelled == 0 {
            return 0;
        }
        // Without branches: who is a member of what is not to be foreseen.
        let label = |(mask, label): &(u64, u32)| label & 0_u32.wrapping_sub(u32::from(programmes & mask != 0));
        self.rules.labels.iter().map(label).fold(0, |labels, label| labels | label)
    }

    /// The stacking group of a programme, as a bit.
    #[must_use]
    pub fn group_of(&self, bit: u8) -> u64 {
        self.rules.groups.get(usize::from(bit)).copied().unwrap_or(0)
    }

    /// Factor of the modifiers among `active` on the uplift of a programme.
    #[must_use]
    pub fn modified(&self, bit: u8, active: u64) -> f64 {
        let mask = mask_of(bit);
        let scales = self.rules.modifiers.iter().filter(|m| m.mask & active != 0 && m.modifies & mask != 0);
        scales.fold(1.0, |factor, modifier| factor * modifier.factor)
    }
}
