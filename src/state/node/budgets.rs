//! A node's accounts of whole programmes: a flat array of atomics, charged by every request.
//!
//! A place (programme, scope) has two lanes, for the present period and for the one before, whose reservations are still
//! open. A lane's word holds its period and what is available in it, so that a charge that comes late cannot take from
//! another period than it means.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use super::pace::{Ask, BUDGET, Found, IDLE_MS, KEPT_MS, Pace};
use super::ring::Ring;
use super::{Balance, Took};
use crate::domain::{AccountKey, Day, Renewal, Scene, Scope};
use crate::state::sync::{AtomicBool, AtomicU64, Mutex};
use crate::traffic::BITS;

/// Scopes of a programme that are not one member's: over all scenes, of each scene, of the head.
const SCOPES: usize = Scene::COUNT + 2;
const LANES: usize = 2;
/// A lane's word: the period in the high bits, what is available in the low ones.
const AVAILABLE_BITS: u32 = 48;
const AVAILABLE: u64 = (1 << AVAILABLE_BITS) - 1;
/// Periods that have a tag of their own; two that are in use at a time are never so far apart.
const TAGS: i32 = 65_535;
/// The tag of a lane without a period.
const NO_TAG: u64 = 65_535;
/// A lane of a period that was followed by another is given back after so long without demand, in milliseconds.
const SUPERSEDED_MS: u32 = 2_000;

/// All places, made when they are first charged.
pub(super) struct Budgets {
    places: Box<[OnceLock<Box<Place>>]>,
}

impl Default for Budgets {
    fn default() -> Self {
        Self { places: (0..BITS.saturating_mul(SCOPES)).map(|_| OnceLock::new()).collect() }
    }
}

#[derive(Default)]
struct Place {
    lanes: [Lane; LANES],
    /// Held while a lane gets or loses its period: how many ever got one.
    claims: Mutex<u64>,
}

struct Lane {
    word: AtomicU64,
    /// Exposures asked of it since the manager last looked.
    demand: AtomicU64,
    /// What it should have available.
    target: AtomicU64,
    is_short: AtomicBool,
    reserved: Ring,
    books: Mutex<Books>,
}

/// What only those who do not serve requests look at.
#[derive(Default)]
struct Books {
    period: Day,
    /// Which claim of the place's it is: the larger is the later.
    claim: u64,
    /// Exposures leased from the ledger: available + reserved + being charged − owed.
    held: u64,
    /// Exposures delivered out of the lease that were reserved elsewhere: taken from what comes next.
    owed: u64,
    pace: Pace,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            word: AtomicU64::new(word(NO_TAG, 0)),
            demand: AtomicU64::new(0),
            target: AtomicU64::new(BUDGET.floor),
            is_short: AtomicBool::new(false),
            reserved: Ring::default(),
            books: Mutex::default(),
        }
    }
}

fn word(tag: u64, available: u64) -> u64 {
    tag << AVAILABLE_BITS | available.min(AVAILABLE)
}

fn tag_of(word: u64) -> u64 {
    word >> AVAILABLE_BITS
}

fn tag(period: Day) -> u64 {
    u64::try_from(period.0.rem_euclid(TAGS)).unwrap_or(0)
}

/// Where a budget's place is; none for accounts of one member.
fn place_of(key: &AccountKey) -> Option<usize> {
    let scope = match key.scope {
        Scope::Programme => 0,
        Scope::Head => 1,
        Scope::Scene(scene) => scene.index().saturating_add(2),
        Scope::Member(_) | Scope::Cap(_) | Scope::Wallet(..) => return None,
    };
    Some(usize::from(key.bit).saturating_mul(SCOPES).saturating_add(scope))
}

/// Whether an account is a whole programme's.
pub(super) fn is_budget(key: &AccountKey) -> bool {
    place_of(key).is_some()
}

fn key_of(place: usize, period: Day) -> Option<AccountKey> {
    let scope = match place % SCOPES {
        0 => Scope::Programme,
        1 => Scope::Head,
        scene => Scope::Scene(*Scene::ALL.get(scene.saturating_sub(2))?),
    };
    Some(AccountKey { bit: u8::try_from(place / SCOPES).ok()?, scope, period })
}

impl Budgets {
    fn place(&self, key: &AccountKey) -> Option<&Place> {
        place_of(key).and_then(|place| self.places.get(place)).map(|place| &**place.get_or_init(Box::default))
    }

    fn lane(&self, key: &AccountKey) -> Option<&Lane> {
        self.place(key)?.find(key.period)
    }

    /// Takes one exposure.
    pub(super) fn charge(&self, key: &AccountKey, bucket: u32) -> Took {
        let place = self.place(key);
        let Some(lane) = place.and_then(|place| place.find(key.period).or_else(|| place.claim(key.period))) else {
            return Took::Nothing { is_spent: false, wakes: false };
        };
        lane.charge(tag(key.period), bucket)
    }

    /// Undoes a charge.
    pub(super) fn release(&self, key: &AccountKey, bucket: u32) {
        if let Some(lane) = self.lane(key) {
            let freed = lane.reserved.take(bucket, 1);
            lane.word.fetch_add(freed, Ordering::AcqRel);
        }
    }

    /// Makes the place of an account that is about to be charged.
    pub(super) fn foresee(&self, key: &AccountKey) {
        if let Some(place) = self.place(key) {
            let _ = place.find(key.period).or_else(|| place.claim(key.period));
        }
    }

    /// Takes exposures that were delivered out of the lease.
    pub(super) fn settle(&self, key: &AccountKey, bucket: u32, count: u64) {
        if let Some(lane) = self.lane(key) {
            lane.settle(tag(key.period), bucket, count);
        }
    }

    /// Frees what was reserved in buckets up to one.
    pub(super) fn expire(&self, last: u32) {
        self.each(|_, lane, books| {
            let freed = lane.reserved.expire(last);
            lane.gain(books, freed);
        });
    }

    /// What to ask for, appended.
    pub(super) fn renewals(&self, now: u32, renewals: &mut Vec<Renewal>) {
        for (at, place) in self.made() {
            let latest = *place.claims.lock();
            for lane in &place.lanes {
                if let Some(renewal) = lane.visit(at, now, latest) {
                    renewals.push(renewal);
                }
                place.retire(lane, now, latest);
            }
        }
    }

    /// Gives back all that is available, appended.
    pub(super) fn surrender(&self, renewals: &mut Vec<Renewal>) {
        self.each(|at, lane, books| {
            let returned = lane.take_up_to(tag(books.period), AVAILABLE);
            books.held = books.held.saturating_sub(returned);
            if let Some(account) = key_of(at, books.period).filter(|_| returned > 0) {
                renewals.push(Renewal { account, wanted: 0, returned });
            }
        });
    }

    /// Takes what was granted; `None` if the ask never reached the log.
    pub(super) fn answered(&self, now: u32, renewal: &Renewal, granted: Option<u64>) {
        if let Some(lane) = self.lane(&renewal.account) {
            let mut books = lane.books.lock();
            match granted {
                Some(granted) => books.pace.answered(now, renewal.wanted, granted),
                None => books.pace.unanswered(),
            }
            // What never reached the ledger is still held.
            let gained = granted.unwrap_or(renewal.returned);
            books.held = books.held.saturating_add(gained);
            lane.gain(&mut books, gained);
            lane.is_short.store(books.pace.is_short(), Ordering::Release);
        }
    }

    /// Whether all of an account is spent, as far as this node knows.
    pub(super) fn is_spent(&self, key: &AccountKey) -> bool {
        self.lane(key).is_some_and(|lane| {
            lane.is_short.load(Ordering::Acquire) && lane.word.load(Ordering::Acquire) & AVAILABLE == 0
        })
    }

    /// What an account has.
    pub(super) fn balance(&self, key: &AccountKey) -> Balance {
        self.lane(key).map_or_else(Balance::default, |lane| {
            let books = lane.books.lock();
            let available = lane.word.load(Ordering::Acquire) & AVAILABLE;
            Balance { available, reserved: lane.reserved.total(), held: books.held, owed: books.owed }
        })
    }

    /// Calls with the programme's bit and the exposures held of every lease.
    pub(super) fn leases(&self, mut see: impl FnMut(u8, u64)) {
        self.each(|at, _, books| {
            if let Some(key) = key_of(at, books.period).filter(|_| books.held > 0) {
                see(key.bit, books.held);
            }
        });
    }

    fn made(&self) -> impl Iterator<Item = (usize, &Place)> {
        self.places.iter().enumerate().filter_map(|(at, place)| Some((at, &**place.get()?)))
    }

    fn each(&self, mut work: impl FnMut(usize, &Lane, &mut Books)) {
        for (at, place) in self.made() {
            for lane in place.lanes.iter().filter(|lane| lane.is_claimed()) {
                work(at, lane, &mut lane.books.lock());
            }
        }
    }
}

impl Place {
    fn find(&self, period: Day) -> Option<&Lane> {
        let tag = tag(period);
        self.lanes.iter().find(|lane| tag_of(lane.word.load(Ordering::Acquire)) == tag)
    }

    /// Gives a lane to a period; none while both have another.
    fn claim(&self, period: Day) -> Option<&Lane> {
        let mut claims = self.claims.lock();
        if let Some(lane) = self.find(period) {
            return Some(lane);
        }
        let lane = self.lanes.iter().find(|lane| !lane.is_claimed())?;
        // A period begins with the demand that the one before it had.
        let latest = self.lanes.iter().find_map(|lane| {
            let books = lane.books.lock();
            (lane.is_claimed() && books.claim == *claims).then(|| Pace::after(&books.pace))
        });
        *claims = claims.saturating_add(1);
        let pace = latest.unwrap_or_default();
        *lane.books.lock() = Books { period, claim: *claims, pace, ..Books::default() };
        lane.demand.store(0, Ordering::Relaxed);
        lane.target.store(BUDGET.floor, Ordering::Relaxed);
        lane.is_short.store(false, Ordering::Release);
        lane.word.store(word(tag(period), 0), Ordering::Release);
        Some(lane)
    }

    /// Takes the period from a lane that nothing is left of.
    fn retire(&self, lane: &Lane, now: u32, latest: u64) {
        let _claims = self.claims.lock();
        let books = lane.books.lock();
        // Whoever is just charging took out of what is held.
        let is_over = books.held == 0 && books.owed == 0 && !books.pace.is_pending();
        if lane.is_claimed() && is_over && books.pace.is_idle(now, idle_ms(&books, latest)) {
            lane.word.store(word(NO_TAG, 0), Ordering::Release);
        }
    }
}

fn idle_ms(books: &Books, latest: u64) -> u32 {
    if books.claim < latest { SUPERSEDED_MS } else { IDLE_MS }
}

impl Lane {
    fn is_claimed(&self) -> bool {
        tag_of(self.word.load(Ordering::Acquire)) != NO_TAG
    }

    fn charge(&self, tag: u64, bucket: u32) -> Took {
        self.demand.fetch_add(1, Ordering::Relaxed);
        let is_there = |word: u64| tag_of(word) == tag && word & AVAILABLE > 0;
        let take = |word: u64| is_there(word).then(|| word.saturating_sub(1));
        let Ok(before) = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, take) else {
            // The manager knows of accounts that are spent, and asks again in its own time.
            let is_spent = self.is_short.load(Ordering::Acquire);
            return Took::Nothing { is_spent, wakes: !is_spent };
        };
        if !self.reserved.add(bucket) {
            self.word.fetch_add(1, Ordering::AcqRel);
            return Took::Nothing { is_spent: false, wakes: false };
        }
        let left = (before & AVAILABLE).saturating_sub(1);
        // Once on the way down: it is not the last that tells.
        Took::One { wakes: left == self.target.load(Ordering::Relaxed) / 2 }
    }

    /// Takes at most so many out of what is available.
    fn take_up_to(&self, tag: u64, most: u64) -> u64 {
        let there = |word: u64| if tag_of(word) == tag { most.min(word & AVAILABLE) } else { 0 };
        let take = |word: u64| Some(there(word)).filter(|taken| *taken > 0).map(|taken| word.saturating_sub(taken));
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).map_or(0, there)
    }

    /// Makes exposures available, after what is owed.
    fn gain(&self, books: &mut Books, gained: u64) {
        let paid = books.owed.min(gained);
        books.owed = books.owed.saturating_sub(paid);
        self.word.fetch_add(gained.saturating_sub(paid), Ordering::AcqRel);
    }

    fn settle(&self, tag: u64, bucket: u32, count: u64) {
        let mut books = self.books.lock();
        let due = count.min(books.held);
        books.held = books.held.saturating_sub(due);
        let reserved = self.reserved.take(bucket, due);
        let available = self.take_up_to(tag, due.saturating_sub(reserved));
        let missing = due.saturating_sub(reserved).saturating_sub(available);
        books.owed = books.owed.saturating_add(missing);
    }

    fn visit(&self, place: usize, now: u32, latest: u64) -> Option<Renewal> {
        let mut books = self.books.lock();
        if !self.is_claimed() {
            return None;
        }
        let tag = tag(books.period);
        // What is owed is paid out of what charges that were undone made available.
        let owed = books.owed;
        books.owed = owed.saturating_sub(self.take_up_to(tag, owed));
        let available = self.word.load(Ordering::Acquire) & AVAILABLE;
        let demand = self.demand.swap(0, Ordering::Relaxed);
        let idle_ms = idle_ms(&books, latest);
        // Those who know that it is spent do not come: it is asked for again all the same.
        let is_seen = books.pace.is_short() && available == 0 && books.claim == latest;
        // Of a period that another has followed nothing is kept.
        let kept_ms = if books.claim < latest { idle_ms } else { KEPT_MS };
        let ask = books.pace.visit(now, Found { demand, is_seen, available, idle_ms, kept_ms }, &BUDGET);
        self.is_short.store(books.pace.is_short(), Ordering::Release);
        let target = books.pace.target(&BUDGET);
        self.target.store(target, Ordering::Relaxed);
        let account = key_of(place, books.period)?;
        match ask {
            Ask::Nothing => None,
            Ask::Want(wanted) => Some(Renewal { account, wanted, returned: 0 }),
            Ask::Return(most) => {
                let returned = self.take_up_to(tag, most);
                books.held = books.held.saturating_sub(returned);
                Some(Renewal { account, wanted: 0, returned })
            }
        }
    }
}

#[cfg(all(test, trustflow_loom))]
mod models;
