//! A node's accounts of single members: caps, shares, wallets. There can be millions, each charged now and then.
//!
//! Maps under locks of their own rather than a concurrent map: one exposure's accounts are all of one merchant, and so
//! of one map and under one lock; and the manager goes through a map at a time, which no request waits long for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::fast::FixedState;
use parking_lot::{Mutex, MutexGuard};

use super::budgets::is_budget;
use super::pace::{Ask, Found, IDLE_MS, KEPT_MS, MEMBER, Pace, is_low};
use super::{Balance, Took};
use crate::domain::{AccountKey, Renewal, Scope};
use crate::traffic::BITS;

/// Maps. With a million accounts one has a thousand, which takes some 10 µs to go through.
const SHARD_BITS: u32 = 10;
const SHARDS: usize = 1 << SHARD_BITS;
/// Maps that one turn of the manager goes through: it comes round in 6 s.
const SWEPT: usize = 16;
/// Accounts at most: beyond them members without an account are not charged. About 300 MiB.
const MAX_ACCOUNTS: usize = 2_000_000;
/// With so many accounts the remainders of idle ones are given back sooner, those that were idle longest first.
const CROWDED: usize = MAX_ACCOUNTS / 2;
/// Accounts that wait for the manager at most; those that find no place are met when it comes round.
const MAX_QUEUED: usize = 1 << 16;
/// An account that nothing was asked of for so long is dropped, in milliseconds of wall time.
const DROPPED_MS: u32 = 60_000;
/// Spreads ids, which may follow one another, over the maps.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Bytes of an account beside the map's own, without its reservations, which take 8 for each bucket.
const ACCOUNT_BYTES: usize = size_of::<(AccountKey, Member)>();
const _: () = assert!(ACCOUNT_BYTES <= 112);

/// All accounts of members.
pub(super) struct Members {
    shards: Box<[Mutex<Shard>]>,
    queue: Mutex<Queue>,
    count: AtomicUsize,
    sweep: Mutex<Sweep>,
}

/// Where the manager's round is.
#[derive(Default)]
struct Sweep {
    next: usize,
    /// Leases by programme and the exposures that they hold, as far as this round has come.
    counted: Holdings,
    /// The same of the last whole round.
    last: Holdings,
}

/// By a programme's bit: leases, and the exposures that they hold.
type Holdings = Vec<(u64, u64)>;

#[derive(Default)]
struct Shard {
    accounts: HashMap<AccountKey, Member, FixedState>,
    /// The earliest bucket that one of them may have a reservation in.
    earliest: Option<u32>,
}

/// Accounts that the manager should look at, in the order they came.
#[derive(Default)]
struct Queue {
    /// Those that a charge failed for.
    missed: Vec<AccountKey>,
    /// Those that run low, or will be wanted.
    low: Vec<AccountKey>,
}

/// Whether an account waits for the manager.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Queued {
    #[default]
    No,
    Low,
    Missed,
}

/// What a node keeps of one account. held = available + reserved − owed.
#[derive(Default)]
struct Member {
    available: u32,
    held: u32,
    owed: u32,
    /// What it should have available.
    target: u32,
    demand: u32,
    pace: Pace,
    queued: Queued,
    is_seen: bool,
    /// Bucket and count.
    reserved: Vec<(u32, u32)>,
}

impl Default for Members {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            queue: Mutex::default(),
            count: AtomicUsize::new(0),
            sweep: Mutex::default(),
        }
    }
}

fn shard_of(key: &AccountKey) -> usize {
    let (Scope::Member(merchant) | Scope::Cap(merchant) | Scope::Wallet(merchant, _)) = key.scope else { return 0 };
    usize::try_from(merchant.0.wrapping_mul(SPREAD) >> (u64::BITS - SHARD_BITS)).unwrap_or(0)
}

fn count(holdings: &mut Holdings, bit: u8, held: u64) {
    if holdings.len() < BITS {
        holdings.resize(BITS, (0, 0));
    }
    if let Some((leases, exposures)) = holdings.get_mut(usize::from(bit)) {
        *leases = leases.saturating_add(1);
        *exposures = exposures.saturating_add(held);
    }
}

/// How long the remainder of an idle account is kept: less the more accounts there are, nothing when there is room for
/// none.
fn kept_ms(accounts: usize) -> u32 {
    let free = MAX_ACCOUNTS.saturating_sub(accounts.max(CROWDED));
    let part = u64::try_from(free).unwrap_or(0).saturating_mul(u64::from(KEPT_MS));
    let room = u64::try_from(MAX_ACCOUNTS.saturating_sub(CROWDED)).unwrap_or(1).max(1);
    low32(part / room).max(IDLE_MS)
}

fn low32(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The map of the accounts that are just worked on: those of one exposure are of one merchant, and so all in one.
#[derive(Default)]
struct Cursor<'a>(Option<(usize, MutexGuard<'a, Shard>)>);

impl<'a> Cursor<'a> {
    fn shard(&mut self, members: &'a Members, key: &AccountKey) -> Option<&mut Shard> {
        let at = shard_of(key);
        if self.0.as_ref().is_none_or(|(here, _)| *here != at) {
            // The one map is left before the other is entered.
            self.0 = None;
            self.0 = Some((at, members.shards.get(at)?.lock()));
        }
        self.0.as_mut().map(|(_, shard)| &mut **shard)
    }
}

impl Members {
    /// Takes one exposure from each account that is a member's, or from none. At the first that has none left it says
    /// at which position that is, and what it found there.
    pub(super) fn charge(&self, keys: &[AccountKey], bucket: u32) -> Result<bool, (usize, Took)> {
        let mut cursor = Cursor::default();
        let mut wakes = false;
        for (at, key) in keys.iter().enumerate().filter(|(_, key)| !is_budget(key)) {
            let Some(shard) = cursor.shard(self, key) else { continue };
            match self.take(shard, key, bucket) {
                Took::One { wakes: woken } => wakes |= woken,
                nothing @ Took::Nothing { .. } => {
                    for key in keys.iter().take(at).filter(|key| !is_budget(key)) {
                        if let Some(shard) = cursor.shard(self, key) {
                            shard.release(key, bucket);
                        }
                    }
                    return Err((at, nothing));
                }
            }
        }
        Ok(wakes)
    }

    fn take(&self, shard: &mut Shard, key: &AccountKey, bucket: u32) -> Took {
        let Some(member) = self.account(shard, key) else { return Took::Nothing { is_spent: false, wakes: false } };
        member.demand = member.demand.saturating_add(1);
        let Some(left) = member.available.checked_sub(1) else {
            let is_spent = member.pace.is_short();
            let wakes = !is_spent && self.enqueue(member, *key, Queued::Missed);
            return Took::Nothing { is_spent, wakes };
        };
        member.available = left;
        member.reserve(bucket);
        // An account that is not yet near its end can wait for the manager's next turn.
        if is_low(u64::from(left), u64::from(member.target)) {
            self.enqueue(member, *key, Queued::Low);
        }
        shard.earliest = Some(shard.earliest.map_or(bucket, |earliest| earliest.min(bucket)));
        Took::One { wakes: left == 0 }
    }

    /// The account of a key, made if it is new and there is room.
    fn account<'s>(&self, shard: &'s mut Shard, key: &AccountKey) -> Option<&'s mut Member> {
        match shard.accounts.entry(*key) {
            Entry::Occupied(entry) => Some(entry.into_mut()),
            Entry::Vacant(entry) => {
                if self.count.load(Ordering::Relaxed) >= MAX_ACCOUNTS {
                    return None;
                }
                self.count.fetch_add(1, Ordering::Relaxed);
                Some(entry.insert(Member { target: low32(MEMBER.floor), ..Member::default() }))
            }
        }
    }

    fn enqueue(&self, member: &mut Member, key: AccountKey, as_what: Queued) -> bool {
        if member.queued >= as_what || member.pace.is_pending() {
            return false;
        }
        let mut queue = self.queue.lock();
        let list = if as_what == Queued::Missed { &mut queue.missed } else { &mut queue.low };
        let has_room = list.len() < MAX_QUEUED;
        if has_room {
            list.push(key);
            member.queued = as_what;
        }
        has_room
    }

    /// Undoes the charge of those accounts that are a member's.
    pub(super) fn release(&self, keys: &[AccountKey], bucket: u32) {
        let mut cursor = Cursor::default();
        for key in keys.iter().filter(|key| !is_budget(key)) {
            if let Some(shard) = cursor.shard(self, key) {
                shard.release(key, bucket);
            }
        }
    }

    /// Notes that accounts will be wanted; answers whether one was new.
    pub(super) fn foresee(&self, keys: &[AccountKey]) -> bool {
        let mut cursor = Cursor::default();
        let mut is_new = false;
        for key in keys.iter().filter(|key| !is_budget(key)) {
            let Some(member) = cursor.shard(self, key).and_then(|shard| self.account(shard, key)) else { continue };
            member.is_seen = true;
            if member.available == 0 && !member.pace.is_short() {
                is_new |= self.enqueue(member, *key, Queued::Low);
            }
        }
        is_new
    }

    /// Takes exposures that were delivered out of the lease.
    pub(super) fn settle(&self, key: &AccountKey, bucket: u32, count: u64) {
        self.with(key, |member| {
            let due = low32(count).min(member.held);
            member.held = member.held.saturating_sub(due);
            let reserved = member.unreserve(bucket, due);
            let available = due.saturating_sub(reserved).min(member.available);
            member.available = member.available.saturating_sub(available);
            let missing = due.saturating_sub(reserved).saturating_sub(available);
            member.owed = member.owed.saturating_add(missing);
        });
    }

    /// Frees what was reserved in buckets up to one.
    pub(super) fn expire(&self, last: u32) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            if shard.earliest.is_none_or(|earliest| earliest > last) {
                continue;
            }
            let earliest = shard.accounts.values_mut().filter_map(|member| member.expire(last)).min();
            shard.earliest = earliest;
        }
    }

    /// What to ask for, appended up to `limit` renewals in all; answers whether more wait. An eighth of the room is
    /// for what is given back.
    pub(super) fn renewals(&self, now: u32, limit: usize, renewals: &mut Vec<Renewal>) -> bool {
        let room = limit.saturating_sub(renewals.len());
        let urgent = room.saturating_sub(room / 8);
        let (keys, has_more) = self.dequeue(urgent);
        for key in keys {
            renewals.extend(self.visit(&key, now));
        }
        self.sweep(now, limit, renewals);
        has_more
    }

    fn dequeue(&self, most: usize) -> (Vec<AccountKey>, bool) {
        let mut queue = self.queue.lock();
        let missed = queue.missed.len().min(most);
        let mut keys: Vec<AccountKey> = queue.missed.drain(..missed).collect();
        let low = queue.low.len().min(most.saturating_sub(missed));
        keys.extend(queue.low.drain(..low));
        (keys, !queue.missed.is_empty() || !queue.low.is_empty())
    }

    fn visit(&self, key: &AccountKey, now: u32) -> Option<Renewal> {
        let kept_ms = kept_ms(self.count());
        self.with(key, |member| {
            member.queued = Queued::No;
            member.visit(key, now, kept_ms)
        })?
    }

    /// Looks at the next maps: measures, gives back what is idle, drops what is over.
    fn sweep(&self, now: u32, limit: usize, renewals: &mut Vec<Renewal>) {
        let mut sweep = self.sweep.lock();
        for _ in 0..SWEPT {
            let Some(shard) = self.shards.get(sweep.next) else { return };
            if !self.sweep_shard(&mut shard.lock(), now, limit, renewals) {
                // Those that wait for an answer by then are passed over the next time.
                return;
            }
            for (key, member) in shard.lock().accounts.iter().filter(|(_, member)| member.held > 0) {
                count(&mut sweep.counted, key.bit, member.held.into());
            }
            sweep.next = sweep.next.wrapping_add(1) % SHARDS;
            if sweep.next == 0 {
                sweep.last = std::mem::take(&mut sweep.counted);
            }
        }
    }

    /// Answers whether there was room for all that it found.
    fn sweep_shard(&self, shard: &mut Shard, now: u32, limit: usize, renewals: &mut Vec<Renewal>) -> bool {
        let before = shard.accounts.len();
        let kept_ms = kept_ms(self.count());
        let mut has_room = true;
        shard.accounts.retain(|key, member| {
            has_room &= renewals.len() < limit;
            if has_room {
                renewals.extend(member.visit(key, now, kept_ms));
            }
            !(has_room && member.is_over(now))
        });
        let left = shard.accounts.len();
        self.count.fetch_sub(before.saturating_sub(left), Ordering::Relaxed);
        if shard.accounts.capacity() > left.saturating_mul(4).saturating_add(16) {
            shard.accounts.shrink_to(left.saturating_mul(2));
        }
        has_room
    }

    /// Calls with the programme's bit, the leases and the exposures that they held in the manager's last round.
    pub(super) fn leases(&self, mut see: impl FnMut(u8, u64, u64)) {
        let sweep = self.sweep.lock();
        for (bit, (leases, held)) in (0_u8..).zip(&sweep.last) {
            see(bit, *leases, *held);
        }
    }

    /// Gives back all that is available, appended.
    pub(super) fn surrender(&self, renewals: &mut Vec<Renewal>) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            for (account, member) in &mut shard.accounts {
                let returned = u64::from(std::mem::take(&mut member.available));
                member.held = member.held.saturating_sub(low32(returned));
                if returned > 0 {
                    renewals.push(Renewal { account: *account, wanted: 0, returned });
                }
            }
        }
    }

    /// Takes what was granted; `None` if the ask never reached the log.
    pub(super) fn answered(&self, now: u32, renewal: &Renewal, granted: Option<u64>) {
        self.with(&renewal.account, |member| {
            match granted {
                Some(granted) => member.pace.answered(now, renewal.wanted, granted),
                None => member.pace.unanswered(),
            }
            // What never reached the ledger is still held.
            let gained = low32(granted.unwrap_or(renewal.returned));
            member.held = member.held.saturating_add(gained);
            member.gain(gained);
        });
    }

    /// Whether all of an account is spent, as far as this node knows. Who asks is interested in it.
    pub(super) fn is_spent(&self, key: &AccountKey) -> bool {
        let is_spent = self.with(key, |member| {
            member.is_seen = true;
            member.pace.is_short() && member.available == 0
        });
        is_spent.unwrap_or(false)
    }

    /// What an account has.
    pub(super) fn balance(&self, key: &AccountKey) -> Balance {
        let balance = self.with(key, |member| Balance {
            available: member.available.into(),
            reserved: member.reserved.iter().map(|(_, count)| u64::from(*count)).sum(),
            held: member.held.into(),
            owed: member.owed.into(),
        });
        balance.unwrap_or_default()
    }

    /// Accounts in memory.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn with<T>(&self, key: &AccountKey, work: impl FnOnce(&mut Member) -> T) -> Option<T> {
        let mut shard = self.shards.get(shard_of(key))?.lock();
        shard.accounts.get_mut(key).map(work)
    }
}

impl Shard {
    fn release(&mut self, key: &AccountKey, bucket: u32) {
        if let Some(member) = self.accounts.get_mut(key) {
            let freed = member.unreserve(bucket, 1);
            member.gain(freed);
        }
    }
}

impl Member {
    fn reserve(&mut self, bucket: u32) {
        // Almost always the last one.
        match self.reserved.iter_mut().rev().find(|(at, _)| *at == bucket) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.reserved.push((bucket, 1)),
        }
    }

    /// Takes at most so many reservations out of a bucket; answers how many there were.
    fn unreserve(&mut self, bucket: u32, most: u32) -> u32 {
        let Some(at) = self.reserved.iter().position(|(at, _)| *at == bucket) else { return 0 };
        let Some((_, count)) = self.reserved.get_mut(at) else { return 0 };
        let taken = most.min(*count);
        *count = count.saturating_sub(taken);
        if *count == 0 {
            self.reserved.remove(at);
        }
        taken
    }

    /// Frees what was reserved in buckets up to one; answers the earliest bucket that is left.
    fn expire(&mut self, last: u32) -> Option<u32> {
        let mut freed = 0_u32;
        let mut earliest = None;
        self.reserved.retain(|(bucket, count)| {
            let is_due = *bucket <= last;
            if is_due {
                freed = freed.saturating_add(*count);
            } else {
                earliest = Some(earliest.map_or(*bucket, |earliest: u32| earliest.min(*bucket)));
            }
            !is_due
        });
        if self.reserved.is_empty() {
            self.reserved = Vec::new();
        }
        self.gain(freed);
        earliest
    }

    /// Makes exposures available, after what is owed.
    fn gain(&mut self, gained: u32) {
        let paid = self.owed.min(gained);
        self.owed = self.owed.saturating_sub(paid);
        self.available = self.available.saturating_add(gained.saturating_sub(paid));
    }

    fn visit(&mut self, key: &AccountKey, now: u32, kept_ms: u32) -> Option<Renewal> {
        let demand = u64::from(std::mem::take(&mut self.demand));
        let is_seen = std::mem::take(&mut self.is_seen);
        let available = u64::from(self.available);
        let found = Found { demand, is_seen, available, idle_ms: IDLE_MS, kept_ms };
        let ask = self.pace.visit(now, found, &MEMBER);
        self.target = low32(self.pace.target(&MEMBER));
        match ask {
            Ask::Nothing => None,
            Ask::Want(wanted) => Some(Renewal { account: *key, wanted, returned: 0 }),
            Ask::Return(returned) => {
                self.available = self.available.saturating_sub(low32(returned));
                self.held = self.held.saturating_sub(low32(returned));
                Some(Renewal { account: *key, wanted: 0, returned })
            }
        }
    }

    fn is_over(&self, now: u32) -> bool {
        let is_empty = self.held == 0 && self.owed == 0 && self.reserved.is_empty();
        is_empty && !self.pace.is_pending() && self.queued == Queued::No && self.pace.is_idle(now, DROPPED_MS)
    }
}
