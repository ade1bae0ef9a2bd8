//! The run's own books: what the server acknowledged, counted once; what it may spend; and what it broke.
//!
//! They are kept apart from the server's: accounts are made from the programme files and the rows of reports alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use foldhash::fast::FixedState;
use trustflow::clock::Stopwatch;
use trustflow::domain::{Day, ReservationId, Timestamp};
use trustflow::proto::{Scene, TargetKind};

use super::policy::{Period, Programme, Programmes};

/// The programme whose budget is the merchants' own packages.
pub(crate) const PACKAGES: &str = "scene_package";
/// Breaches of one law that are told in words.
const TOLD: usize = 5;

type Map<K, V> = HashMap<K, V, FixedState>;

/// How a row came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// By `Allocate`.
    Slate,
    /// By `Score` with base scores, ranked by adjusted scores.
    Adjusted,
    /// By `Score`, base scores times weights.
    Weights,
}

/// Exposures of one target, shown once or to a crowd.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// How it came about.
    pub(crate) mode: Mode,
    /// Where.
    pub(crate) scene: Scene,
    /// What the target is.
    pub(crate) kind: TargetKind,
    /// Its id.
    pub(crate) target: u64,
    /// Whose it is.
    pub(crate) merchant: u64,
    /// Version of the policy that answered.
    pub(crate) policy_version: u64,
    /// As answered.
    pub(crate) programmes: u64,
    /// As answered; 0 is none.
    pub(crate) reservation: u64,
    /// How many saw it.
    pub(crate) exposures: u64,
    /// Clicks, orders and their value in fen.
    pub(crate) bought: (u64, u64, u64),
    /// When.
    pub(crate) at: Timestamp,
}

impl Shown {
    /// The instant whose period it counts in: of a reservation the first of the ten seconds it was granted in.
    pub(crate) fn counts_at(&self) -> Timestamp {
        if self.reservation == 0 { self.at } else { ReservationId(self.reservation).granted_from() }
    }
}

/// Which part of a programme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    /// The budget of scenes without their own.
    Shared,
    /// A scene's own budget.
    Scene(i32),
    /// A member's share of the budget.
    Member(u64),
    /// A member's cap.
    Cap(u64),
    /// A member's package in a scene.
    Wallet(u64, i32),
}

/// A part of a programme (by bit) in one period.
pub(crate) type AccountKey = (u8, Part, Day);

/// What was acknowledged. Exposures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// All.
    pub(crate) exposures: u64,
    /// Of these, not by `Allocate`.
    pub(crate) crowd: u64,
    /// Of these, reported after their deadline for certain.
    pub(crate) late_at_least: u64,
    /// Of these, reported after their deadline perhaps.
    pub(crate) late_at_most: u64,
}

/// Targets of a merchant that must not be shown.
#[derive(Clone, Debug)]
pub(crate) struct Exclusion {
    /// Which violation.
    pub(crate) violation: u64,
    /// Kinds of targets.
    pub(crate) kinds: Vec<TargetKind>,
    /// Until when, in simulated time.
    pub(crate) until: Timestamp,
    /// When it was acknowledged, on the run's watch.
    pub(crate) from_ms: u64,
    /// When its revocation was sent.
    pub(crate) revoked_ms: Option<u64>,
}

/// What there is of each kind of thing, for the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(pub(crate) BTreeMap<&'static str, u64>);

impl Tally {
    /// So many more.
    pub(crate) fn add(&mut self, what: &'static str, more: u64) {
        *self.0.entry(what).or_default() += more;
    }

    /// How many.
    pub(crate) fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }
}

/// The books.
#[derive(Debug)]
pub(crate) struct Books {
    /// The programmes of the policy that serves.
    pub(crate) programmes: Programmes,
    /// Their bits.
    pub(crate) bits: BTreeMap<u8, String>,
    /// What was acknowledged, by account.
    pub(crate) accounts: Map<AccountKey, Sums>,
    /// Every acknowledged row by merchant: a guarantee counts all that was shown of its merchant, boosted or not.
    pub(crate) shown: Map<u64, Vec<(Timestamp, u64)>>,
    /// Exposures that newcomers were candidates for.
    pub(crate) offered: Map<u64, u64>,
    /// Exposures assigned to packages.
    pub(crate) wallets: Map<(u64, i32), u64>,
    /// Whom violations exclude.
    pub(crate) exclusions: Map<u64, Vec<Exclusion>>,
    /// When accounts were seen to be spent, on the run's watch.
    spent: Map<AccountKey, u64>,
    reservations: HashSet<u64, FixedState>,
    /// The highest revision that was acknowledged.
    pub(crate) revision: u64,
    /// Counts of everything.
    pub(crate) tally: Tally,
    /// What was broken: the law, how often, and the first times in words.
    pub(crate) breaches: BTreeMap<&'static str, (u64, Vec<String>)>,
    /// Runs since the beginning.
    watch: Stopwatch,
}

impl Books {
    /// Empty books of a policy.
    pub(crate) fn new(programmes: Programmes) -> Self {
        Self {
            programmes,
            bits: BTreeMap::new(),
            accounts: Map::default(),
            shown: Map::default(),
            offered: Map::default(),
            wallets: Map::default(),
            exclusions: Map::default(),
            spent: Map::default(),
            reservations: HashSet::default(),
            revision: 0,
            tally: Tally::default(),
            breaches: BTreeMap::new(),
            watch: Stopwatch::start(),
        }
    }

    /// Milliseconds since the run began.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.watch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A law was broken.
    pub(crate) fn breach(&mut self, law: &'static str, words: impl fmt::Display) {
        let (count, told) = self.breaches.entry(law).or_default();
        *count += 1;
        if told.len() < TOLD {
            eprintln!("BROKEN: {law}: {words}");
            told.push(words.to_string());
        }
    }

    /// A write was acknowledged at a revision.
    pub(crate) fn acknowledged_at(&mut self, revision: u64) {
        self.revision = self.revision.max(revision);
    }

    /// The programme of a bit.
    pub(crate) fn programme(&self, bit: u8) -> Option<(&str, &Programme)> {
        let id = self.bits.get(&bit)?;
        Some((id, self.programmes.get(id)?))
    }

    /// The accounts that an exposure counts against under one programme, and what each may have.
    pub(crate) fn accounts_of(
        &self,
        bit: u8,
        merchant: u64,
        scene: Scene,
        at: Timestamp,
    ) -> Vec<(AccountKey, Option<u64>)> {
        let Some((id, programme)) = self.programme(bit) else { return Vec::new() };
        let mut accounts = Vec::new();
        let mut add = |part, period: Period, limit| accounts.push(((bit, part, period.first(at.day())), limit));
        if let Some(budget) = &programme.budget {
            let (limit, is_own) = budget.of(scene_name(scene));
            add(if is_own { Part::Scene(scene.into()) } else { Part::Shared }, budget.period, Some(limit));
            add(Part::Member(merchant), budget.period, budget.of_member());
        }
        if let Some(cap) = programme.cap {
            add(Part::Cap(merchant), cap.period, Some(cap.exposures));
        }
        if id == PACKAGES {
            let limit = self.wallets.get(&(merchant, scene.into())).copied().unwrap_or(0);
            add(Part::Wallet(merchant, scene.into()), Period::Window, Some(limit));
        }
        accounts
    }

    /// All that counts against a budget in one period, of one scene or of all.
    pub(crate) fn budget(&self, bit: u8, scene: Scene, first_day: Day) -> Sums {
        let account = |part| self.accounts.get(&(bit, part, first_day)).copied().unwrap_or_default();
        if scene != Scene::Unspecified {
            return account(Part::Scene(scene.into()));
        }
        let mut whole = account(Part::Shared);
        for scene in SCENES {
            let part = account(Part::Scene(scene.into()));
            whole.exposures += part.exposures;
            whole.crowd += part.crowd;
            whole.late_at_least += part.late_at_least;
            whole.late_at_most += part.late_at_most;
        }
        whole
    }

    /// A report was acknowledged for the first time; its command was applied between two instants.
    pub(crate) fn acknowledge(&mut self, rows: &[Shown], (earliest, latest): (Timestamp, Timestamp)) {
        let now_ms = self.now_ms();
        for row in rows {
            let deadline = ReservationId(row.reservation).deadline();
            let is_late = |at: Timestamp| if row.reservation != 0 && at > deadline { row.exposures } else { 0 };
            let sums = Sums {
                exposures: row.exposures,
                crowd: if row.mode == Mode::Slate { 0 } else { row.exposures },
                late_at_least: is_late(earliest),
                late_at_most: is_late(latest),
            };
            self.tally.add("exposures acknowledged", row.exposures);
            self.tally.add("exposures acknowledged late, at least", sums.late_at_least);
            self.shown.entry(row.merchant).or_default().push((row.at, row.exposures));
            for bit in bits_of(row.programmes) {
                for (key, limit) in self.accounts_of(bit, row.merchant, row.scene, row.counts_at()) {
                    let account = self.accounts.entry(key).or_default();
                    account.exposures += sums.exposures;
                    account.crowd += sums.crowd;
                    account.late_at_least += sums.late_at_least;
                    account.late_at_most += sums.late_at_most;
                    if limit.is_some_and(|limit| account.exposures >= limit) {
                        self.spent.entry(key).or_insert(now_ms);
                    }
                }
            }
        }
    }

    /// More was assigned to a package: what was spent is not any more.
    pub(crate) fn assign(&mut self, merchant: u64, scene: Scene, exposures: u64) {
        *self.wallets.entry((merchant, scene.into())).or_default() += exposures;
        self.spent.retain(|(_, part, _), _| *part != Part::Wallet(merchant, scene.into()));
    }

    /// A slot was granted to a call that was sent at a time on the run's watch: nothing it is charged to was spent then.
    pub(crate) fn check_grant(&mut self, slot: &Shown, sent_ms: u64, (earliest, latest): (Timestamp, Timestamp)) {
        if slot.reservation != 0 && !self.reservations.insert(slot.reservation) {
            self.breach("reservations are unique", format!("{} was granted twice", slot.reservation));
        }
        for bit in bits_of(slot.programmes) {
            for (key, limit) in self.accounts_of(bit, slot.merchant, slot.scene, earliest) {
                let has = self.accounts.get(&key).copied().unwrap_or_default();
                // What others delivered beyond it does not take back what a node holds of it already.
                let is_of_slates = has.crowd == 0 && has.late_at_most == 0;
                let was_spent = self.spent.get(&key).is_some_and(|spent_ms| *spent_ms < sent_ms);
                // Around midnight the two clocks may stand in two periods.
                if is_of_slates && (was_spent || limit == Some(0)) && Period::Day.is_one(earliest, latest) {
                    let id = self.bits.get(&bit).cloned().unwrap_or_default();
                    let words =
                        format!("{id} {:?} had {} of {limit:?} when a slot was asked for", key.1, has.exposures);
                    self.breach("nothing spent is granted", words);
                }
            }
        }
    }

    /// Whether a target had to be excluded all the time between two moments on the run's watch.
    pub(crate) fn is_excluded(&self, merchant: u64, kind: TargetKind, sent_ms: u64, now: Timestamp) -> bool {
        let now_ms = self.now_ms();
        self.exclusions.get(&merchant).is_some_and(|exclusions| {
            exclusions.iter().any(|exclusion| {
                exclusion.kinds.contains(&kind)
                    && exclusion.from_ms < sent_ms
                    && exclusion.revoked_ms.is_none_or(|revoked| now_ms < revoked)
                    && now < exclusion.until
            })
        })
    }

    /// A violation is about to be revoked: from now on either answer is right.
    pub(crate) fn begin_revocation(&mut self, merchant: u64, violation: u64) {
        let now_ms = self.now_ms();
        let exclusions = self.exclusions.entry(merchant).or_default();
        for exclusion in exclusions.iter_mut().filter(|exclusion| exclusion.violation == violation) {
            exclusion.revoked_ms.get_or_insert(now_ms);
        }
    }

    /// After everything: what slates were granted, on time, stays within every limit.
    pub(crate) fn check_limits(&mut self) {
        let mut broken = Vec::new();
        for (key @ (bit, part, _), sums) in &self.accounts {
            let Some(limit) = self.limit_of(*bit, *part) else { continue };
            let slate = sums.exposures - sums.crowd - sums.late_at_most.min(sums.exposures - sums.crowd);
            if slate > limit {
                broken.push(format!("{} {:?}: {slate} of {limit} in slates alone", self.bits[bit], key));
            }
        }
        for words in broken {
            self.breach("slates stay within every limit", words);
        }
    }

    /// What a part of a programme may have.
    pub(crate) fn limit_of(&self, bit: u8, part: Part) -> Option<u64> {
        let (_, programme) = self.programme(bit)?;
        let budget = programme.budget.as_ref();
        match part {
            Part::Shared => budget.map(|budget| budget.of("").0),
            Part::Scene(scene) => budget.map(|budget| budget.of(Scene::try_from(scene).map_or("", scene_name)).0),
            Part::Member(_) => budget.and_then(super::policy::Budget::of_member),
            Part::Cap(_) => programme.cap.map(|cap| cap.exposures),
            Part::Wallet(merchant, scene) => Some(self.wallets.get(&(merchant, scene)).copied().unwrap_or(0)),
        }
    }

    /// How many accounts with a limit reached it, by what they are.
    pub(crate) fn reached(&self) -> BTreeMap<&'static str, u64> {
        let mut reached = BTreeMap::new();
        for (_, part, _) in self.spent.keys() {
            let what = match part {
                Part::Shared | Part::Scene(_) => "budgets",
                Part::Member(_) => "members' shares",
                Part::Cap(_) => "caps",
                Part::Wallet(..) => "packages",
            };
            *reached.entry(what).or_default() += 1;
        }
        reached
    }
}

/// Every scene.
const SCENES: [Scene; 6] = [Scene::Live, Scene::ShortVideo, Scene::ImageText, Scene::Search, Scene::Mall, Scene::Store];

/// The bits that are set.
pub(crate) fn bits_of(mask: u64) -> impl Iterator<Item = u8> {
    (0..64_u8).filter(move |bit| mask >> bit & 1 == 1)
}

/// The name of a scene in policy files.
pub(crate) fn scene_name(scene: Scene) -> &'static str {
    match scene {
        Scene::Live => "live",
        Scene::ShortVideo => "short_video",
        Scene::ImageText => "image_text",
        Scene::Search => "search",
        Scene::Mall => "mall",
        Scene::Store => "store",
        Scene::Unspecified => "",
    }
}
