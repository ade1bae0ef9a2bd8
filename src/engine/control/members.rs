//! What control does for single members: says which caps, shares and packages are spent, who left the long tail, and
//! begins guarantees of new members. A bounded number of members has its turn each time: those that were candidates
//! just now come first, the others one after another.

use std::collections::{HashMap, HashSet, VecDeque};

use foldhash::fast::FixedState;

use super::asked::{Asked, Waiting, Watched};
use super::reading::takes_part;
use super::stops::Stops;
use super::terms::account_use;
use crate::domain::{Body, MerchantId, NewGuarantee, Scene, Scope, Timestamp};
use crate::state::{NodeAccounts, State};
use crate::traffic::control::Forecast;
use crate::traffic::{Offer, Programme, SCENE_PACKAGE};

/// Candidates of late that have a turn each time.
const CANDIDATES_PER_TURN: usize = 400;
/// Others that have a turn each time.
const OTHERS_PER_TURN: u32 = 200;
/// Candidates that wait for a turn at most.
const MAX_WAITING: usize = 4_000;
/// Guarantees begun by one command at most.
const MAX_BEGUN: usize = 500;
/// Sampled requests that are looked at before a new member is judged by how often it was a candidate.
const JUDGED_AFTER: u64 = 200;
/// How long a new member is watched at most, in milliseconds.
const WATCHED_MS: i64 = 60_000;
/// New members that are watched at a time.
const MAX_WATCHED: usize = 20_000;

/// Who has a turn, and what is remembered for it.
#[derive(Default)]
pub(super) struct Members {
    waiting: VecDeque<u32>,
    is_waiting: HashSet<u32, FixedState>,
    next: u32,
    samples: u64,
    new: Waiting,
    stops: Stops,
}

/// What a turn came to.
#[derive(Default)]
pub(super) struct Turn {
    /// Guarantees to begin, each command with what it asks for.
    pub(super) begin: Vec<(Vec<Asked>, Body)>,
    /// Programmes in which nothing may be left but the share of the long tail, as bits.
    pub(super) tail_only: u64,
}

impl Members {
    /// Notes the candidates of a sampled request.
    pub(super) fn note(&mut self, offers: &[Option<Offer>]) {
        self.samples += 1;
        for offer in offers.iter().flatten() {
            if let Some(watched) = self.new.watched.get_mut(&offer.member) {
                watched.seen += 1;
            }
            if self.waiting.len() < MAX_WAITING && self.is_waiting.insert(offer.member) {
                self.waiting.push_back(offer.member);
            }
        }
    }

    /// What a command asked for that was not taken.
    pub(super) fn refused(&mut self, keys: &[Asked]) {
        self.new.refused(keys);
    }

    /// Says how long it takes until exposures are reported, in milliseconds.
    pub(super) fn set_lag(&mut self, lag_ms: u64) {
        self.stops.set_lag(lag_ms);
    }

    /// Looks at some members.
    pub(super) fn turn(&mut self, state: &State, node: &NodeAccounts, forecast: &Forecast, now: Timestamp) -> Turn {
        let policy = state.policy().clone();
        let limited: Vec<&Programme> =
            policy.programmes.iter().filter(|p| p.limits_members() && !p.is_shadow).collect();
        let mut begin: HashMap<u8, (Vec<Asked>, Vec<NewGuarantee>), FixedState> = HashMap::default();
        self.new.drop_old(now);
        if limited.is_empty() {
            return Turn::default();
        }
        let mut tail_only = 0;
        for programme in limited.iter().filter(|p| p.budget.as_ref().is_some_and(|budget| budget.tail.is_some())) {
            if self.stops.of((state, node), programme, Scope::Head, now).may_be_spent {
                tail_only |= programme.mask();
            }
        }
        let mut slots: Vec<u32> = Vec::with_capacity(CANDIDATES_PER_TURN);
        while slots.len() < CANDIDATES_PER_TURN {
            let Some(slot) = self.waiting.pop_front() else { break };
            self.is_waiting.remove(&slot);
            slots.push(slot);
        }
        for _ in 0..OTHERS_PER_TURN {
            if state.entry(self.next).is_none() {
                self.next = 0;
                break;
            }
            slots.push(self.next);
            self.next += 1;
        }
        let world = state.hot().world();
        for slot in slots {
            let record = world.table.read(slot);
            let (Some(entry), true) = (state.entry(slot), record.is_registered) else { continue };
            let mine = limited.iter().filter(|programme| record.programmes & programme.mask() != 0);
            let (mut spent, mut stopped, mut tail) = (0, 0, 0);
            for programme in mine {
                let left = self.stops.of_member((state, node), programme, entry.id, now);
                if left.is_spent {
                    spent |= programme.mask();
                }
                if left.may_be_spent {
                    stopped |= programme.mask();
                }
                if state.is_tail(programme, slot) {
                    tail |= programme.mask();
                }
                if programme.id == SCENE_PACKAGE {
                    state.hot().prices().set_unpacked(slot, unpacked(state, node, entry.id));
                }
                let begins = programme.guarantee.is_some()
                    && takes_part(&record, programme)
                    && world.open() & programme.mask() != 0;
                if begins && let Some(guarantee) = self.begins(state, programme, (slot, entry.id), forecast, now) {
                    let list = begin.entry(programme.bit).or_default();
                    if list.1.len() < MAX_BEGUN {
                        self.new.ask((programme.bit, slot), now);
                        list.0.push((programme.bit, slot));
                        list.1.push(guarantee);
                    }
                }
            }
            publish(state, slot, spent, stopped, tail);
        }
        let begin =
            begin.into_iter().map(|(bit, (asked, guarantees))| (asked, Body::BeginGuarantees { bit, guarantees }));
        Turn { begin: begin.collect(), tail_only }
    }

    /// The guarantee that a member is to have now, if it never had one: after it was watched for a while, so that the
    /// forecast can say how often it will be a candidate.
    fn begins(
        &mut self,
        state: &State,
        programme: &Programme,
        (slot, merchant): (u32, MerchantId),
        forecast: &Forecast,
        now: Timestamp,
    ) -> Option<NewGuarantee> {
        if state.last_guarantee(programme.bit, merchant).is_some() {
            self.new.arrived((programme.bit, slot));
            return None;
        }
        if self.new.is_asked((programme.bit, slot), now) {
            return None;
        }
        if self.new.watched.len() >= MAX_WATCHED {
            // Some wait for traffic that does not come: they are judged by what was seen.
            return Some(NewGuarantee { merchant, expected: None });
        }
        let samples = self.samples;
        let watched = *self.new.watched.entry(slot).or_insert(Watched { since: samples, at: now, seen: 0 });
        let looked = samples.saturating_sub(watched.since);
        if looked < JUDGED_AFTER {
            // Callers that send no base scores are not sampled: promised all the same, judged by nothing.
            let is_long = now.0.saturating_sub(watched.at.0) >= WATCHED_MS;
            return is_long.then_some(NewGuarantee { merchant, expected: None });
        }
        let days = programme.guarantee.map_or(0, |guarantee| guarantee.days);
        let until = now.plus_ms(i64::from(days).saturating_mul(crate::domain::DAY_MS));
        let share = f64::from(watched.seen) / crate::domain::count_to_f64(looked);
        let expected = (share * forecast.expected(now, until)).clamp(0.0, 1e15);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let expected = expected as u64;
        Some(NewGuarantee { merchant, expected: Some(expected) })
    }
}

/// Scenes in which a merchant's package is empty.
fn unpacked(state: &State, node: &NodeAccounts, merchant: MerchantId) -> u8 {
    let has_left = |scene: Scene| {
        let granted = state.wallet(merchant, scene).map_or(0, |wallet| wallet.granted);
        let key = state.wallet_key(merchant, scene);
        granted > 0 && key.is_some_and(|key| account_use(state, node, &key).spent < granted)
    };
    Scene::ALL.into_iter().filter(|scene| !has_left(*scene)).fold(0, |mask, scene| mask | scene.mask())
}

fn publish(state: &State, slot: u32, spent: u64, stopped: u64, tail: u64) {
    let prices = state.hot().prices();
    let price = prices.member(slot);
    if price.spent != spent {
        prices.set_member(slot, &crate::traffic::MemberPrice { spent, ..price });
    }
    prices.set_stopped_of(slot, stopped);
    prices.set_tail(slot, tail);
}
