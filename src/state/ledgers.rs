//! What allocation must agree on: accounts, leases, switches of programmes, guarantees, packages, and what reports of
//! exposures add up to. This file holds what is kept and how it is read; `exposures`, `leases`, `switches`,
//! `guarantees` and `packages` are the parts of `apply` that change it.
//!
//! To read: [`State::account`], [`State::accounts_in`], [`State::limit_of`], [`State::delivered`]; [`State::switch`],
//! [`State::paused`], [`State::adjusted`]; [`State::guarantees`], [`State::guarantee_at`]; [`State::packages`],
//! [`State::wallets`]; [`State::lift`], [`State::recent_exposures`], [`State::is_tail`], [`State::members_reached`],
//! [`State::hour_counts`]; [`State::session_of`], [`State::unattributed`], [`State::remembered_reports`].

use std::collections::{BTreeMap, BTreeSet};

use super::audience::{HoursRow, MemberRow, RecentRow};
use super::reports::{ReportRow, Reports};
use super::state::State;
use crate::domain::{AccountKey, Day, MerchantId, ProgrammeChange, Scene, Scope, Timestamp, Week};
use crate::traffic::{BudgetOverride, Limit, ONLY_PERIOD, Programme, SCENE_PACKAGE, limit, mask_of};

/// What rows of accounts hold.
pub use crate::traffic::{Account, Hold};

/// Changes of a programme that are kept.
pub const KEPT_CHANGES: usize = 20;
/// Days that a guarantee is kept after its end.
pub const KEPT_GUARANTEE_DAYS: i32 = 35;
/// Days that a package is kept after it expired.
pub(super) const KEPT_PACKAGE_DAYS: i32 = 35;
/// Days that an account is kept after the end of its period: every report of it has come or comes too late.
pub const KEPT_ACCOUNT_DAYS: i32 = 8;

/// An account and when its period ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountRow {
    /// The account.
    pub account: Account,
    /// The first day after its period; none where there is only one.
    pub ends: Option<Day>,
}

/// What operations changed in a programme, and what it delivered in periods that are no longer kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgrammeRow {
    /// It lifts nobody and charges nothing.
    pub is_paused: bool,
    /// Budgets beside the policy.
    pub adjusted: BudgetOverride,
    /// Revision of the last change: what etags stand for; 0 before the first.
    pub revision: u64,
    /// The last changes, oldest first, at most [`KEPT_CHANGES`].
    pub changes: Vec<ChangeRow>,
    /// Exposures delivered in periods whose accounts are gone.
    pub delivered_before: u64,
    /// Of these, late ones.
    pub late_before: u64,
}

/// One change of a programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRow {
    /// Revision of the command.
    pub revision: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub change: ProgrammeChange,
    /// By whom.
    pub author: String,
    /// Why.
    pub reason: String,
}

/// Names a guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuaranteeKey {
    /// Bit of the programme.
    pub bit: u8,
    /// To whom.
    pub merchant: MerchantId,
    /// When it began.
    pub from: Timestamp,
}

/// Exposures promised to one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuaranteeRow {
    /// The first instant after it.
    pub until: Timestamp,
    /// Exposures promised.
    pub target: u64,
    /// Exposures delivered within it, boosted or not, in scenes of the programme.
    pub delivered: u64,
    /// Exposures the forecast expected the merchant to be a candidate for.
    pub expected: Option<u64>,
    /// Whether the forecast said that it can be met.
    pub is_feasible: bool,
}

/// A package of exposures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageRow {
    /// Whose.
    pub merchant: MerchantId,
    /// Exposures given.
    pub exposures: u64,
    /// Of these, not assigned to a scene.
    pub unassigned: u64,
    /// Revision of the command that gave it.
    pub revision: u64,
    /// When it was given.
    pub granted_at: Timestamp,
    /// When what is left of it becomes void.
    pub expires_at: Option<Timestamp>,
    /// By whom.
    pub author: String,
    /// Why.
    pub reason: String,
}

/// What a merchant assigned to a scene. Its deliveries are those of the account of the same scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalletRow {
    /// Exposures assigned, spent ones included.
    pub granted: u64,
    /// Package and exposures, in the order in which they are spent: what expires first comes first.
    pub lots: Vec<(u64, u64)>,
}

/// Names a row of the ledgers that may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LedgerKey {
    Account(AccountKey),
    Programme(u8),
    Guarantee(GuaranteeKey),
    Package(u64),
    Wallet(MerchantId, Scene),
    Member(u8, MerchantId),
    Recent(MerchantId),
    Reached(u8, Day),
    Hours(Week, Scene),
    Report(u128),
}

/// One row of the ledgers as it stands after a change; `None` where it is gone.
#[derive(Clone, Debug, PartialEq)]
pub enum LedgerRow {
    /// An account.
    Account(AccountKey, Option<AccountRow>),
    /// What operations changed in the programme with a bit.
    Programme(u8, Option<ProgrammeRow>),
    /// A guarantee.
    Guarantee(GuaranteeKey, Option<GuaranteeRow>),
    /// A package, by number.
    Package(u64, Option<PackageRow>),
    /// What a merchant assigned to a scene.
    Wallet(MerchantId, Scene, Option<WalletRow>),
    /// What a merchant inside a programme, or held out of it, was shown.
    Member(u8, MerchantId, Option<MemberRow>),
    /// Recent exposures of a merchant.
    Recent(MerchantId, Option<RecentRow>),
    /// Distinct members that a programme reached on a day.
    Reached(u8, Day, Option<u64>),
    /// Exposures of a scene in a week.
    Hours(Week, Scene, Option<HoursRow>),
    /// A remembered report, under the hash of who sent it and its id.
    Report(u128, Option<ReportRow>),
}

/// What stands only once in the ledgers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerMeta {
    /// The session opened last, on any node; 0 before the first.
    pub last_session: u32,
    /// The current session of every node.
    pub sessions: BTreeMap<u32, u32>,
    /// The package given last; 0 before the first.
    pub last_package: u64,
    /// Exposures reported that count for no merchant or no programme.
    pub unattributed: u64,
    /// Where reports had to be forgotten early: rows before it are too old.
    pub reports_floor: Option<Timestamp>,
}

/// All ledgers.
#[derive(Default)]
pub(super) struct Ledgers {
    pub(super) accounts: BTreeMap<AccountKey, AccountRow>,
    /// Accounts with leases of sessions that are not over.
    pub(super) leased: BTreeSet<AccountKey>,
    /// Accounts with what crashes left undecided, by when it is released.
    pub(super) orphans: BTreeSet<(Timestamp, AccountKey)>,
    /// Accounts by the day from which they are not kept.
    pub(super) expiring: BTreeSet<(Day, AccountKey)>,
    pub(super) programmes: BTreeMap<u8, ProgrammeRow>,
    pub(super) guarantees: BTreeMap<GuaranteeKey, GuaranteeRow>,
    /// Guarantees by when they are forgotten.
    pub(super) ending: BTreeSet<(Timestamp, GuaranteeKey)>,
    pub(super) packages: BTreeMap<u64, PackageRow>,
    pub(super) packages_of: BTreeSet<(MerchantId, u64)>,
    /// Packages by when what is left of them becomes void.
    pub(super) voiding: BTreeSet<(Timestamp, u64)>,
    /// Packages by when they are forgotten.
    pub(super) forgetting: BTreeSet<(Timestamp, u64)>,
    pub(super) wallets: BTreeMap<(MerchantId, Scene), WalletRow>,
    pub(super) members: BTreeMap<(u8, MerchantId), MemberRow>,
    pub(super) recent: BTreeMap<MerchantId, RecentRow>,
    pub(super) reached: BTreeMap<(u8, Day), u64>,
    /// The first day whose counts of members are kept.
    pub(super) reached_from: Day,
    pub(super) hours: BTreeMap<(Week, Scene), HoursRow>,
    pub(super) reports: Reports,
}

impl Ledgers {
    /// A row as it stands.
    pub(super) fn row(&self, key: LedgerKey) -> LedgerRow {
        match key {
            LedgerKey::Account(key) => LedgerRow::Account(key, self.accounts.get(&key).cloned()),
            LedgerKey::Programme(bit) => LedgerRow::Programme(bit, self.programmes.get(&bit).cloned()),
            LedgerKey::Guarantee(key) => LedgerRow::Guarantee(key, self.guarantees.get(&key).copied()),
            LedgerKey::Package(number) => LedgerRow::Package(number, self.packages.get(&number).cloned()),
            LedgerKey::Wallet(merchant, scene) => {
                LedgerRow::Wallet(merchant, scene, self.wallets.get(&(merchant, scene)).cloned())
            }
            LedgerKey::Member(bit, merchant) => {
                LedgerRow::Member(bit, merchant, self.members.get(&(bit, merchant)).copied())
            }
            LedgerKey::Recent(merchant) => LedgerRow::Recent(merchant, self.recent.get(&merchant).copied()),
            LedgerKey::Reached(bit, day) => LedgerRow::Reached(bit, day, self.reached.get(&(bit, day)).copied()),
            LedgerKey::Hours(week, scene) => LedgerRow::Hours(week, scene, self.hours.get(&(week, scene)).cloned()),
            LedgerKey::Report(key) => LedgerRow::Report(key, self.reports.get(key)),
        }
    }
}

impl State {
    /// An account, if anything was ever charged to it.
    #[must_use]
    pub fn account(&self, key: &AccountKey) -> Option<&Account> {
        self.ledgers.accounts.get(key).map(|row| &row.account)
    }

    /// The accounts of a programme, by scope and period: the present ones, and those that ended in the last
    /// [`KEPT_ACCOUNT_DAYS`].
    pub fn accounts_in(&self, bit: u8) -> impl Iterator<Item = (&AccountKey, &Account)> {
        let accounts = self.ledgers.accounts.range(first_of(bit)..);
        accounts.take_while(move |(key, _)| key.bit == bit).map(|(key, row)| (key, &row.account))
    }

    /// What an account may hold under the policy that serves and what operations adjusted.
    #[must_use]
    pub fn limit_of(&self, key: &AccountKey) -> Limit {
        let Some(programme) = self.programme_at(key.bit) else { return Limit::NoAccount };
        let granted = match key.scope {
            Scope::Wallet(merchant, scene) => self.wallet(merchant, scene).map_or(0, |wallet| wallet.granted),
            Scope::Programme | Scope::Scene(_) | Scope::Head | Scope::Member(_) | Scope::Cap(_) => 0,
        };
        limit(programme, &self.adjusted(key.bit), key.scope, granted)
    }

    /// Exposures that a programme ever delivered, and how many of them were reported late.
    #[must_use]
    pub fn delivered(&self, bit: u8) -> (u64, u64) {
        let before = self.switch(bit).map_or((0, 0), |row| (row.delivered_before, row.late_before));
        // The accounts of all scenes come first; those of members follow.
        let whole =
            self.accounts_in(bit).take_while(|(key, _)| matches!(key.scope, Scope::Programme | Scope::Scene(_)));
        whole.fold(before, |(delivered, late), (_, account)| {
            (delivered.saturating_add(account.delivered), late.saturating_add(account.late))
        })
    }

    /// The programme of the serving policy with a bit.
    #[must_use]
    pub fn programme_at(&self, bit: u8) -> Option<&Programme> {
        self.policy.programmes.iter().find(|programme| programme.bit == bit)
    }

    /// What operations changed in a programme; none if nothing was.
    #[must_use]
    pub fn switch(&self, bit: u8) -> Option<&ProgrammeRow> {
        self.ledgers.programmes.get(&bit)
    }

    /// Programmes that operations paused, as bits.
    #[must_use]
    pub fn paused(&self) -> u64 {
        let paused = self.ledgers.programmes.iter().filter(|(_, row)| row.is_paused);
        paused.fold(0, |bits, (bit, _)| bits | mask_of(*bit))
    }

    /// Budgets that operations set beside the policy.
    #[must_use]
    pub fn adjusted(&self, bit: u8) -> BudgetOverride {
        self.switch(bit).map_or_else(BudgetOverride::default, |row| row.adjusted)
    }

    /// Guarantees of a programme, by merchant and beginning: running ones, and those that ended in the last
    /// [`KEPT_GUARANTEE_DAYS`].
    pub fn guarantees(&self, bit: u8) -> impl Iterator<Item = (&GuaranteeKey, &GuaranteeRow)> {
        let first = GuaranteeKey { bit, merchant: MerchantId(0), from: Timestamp(i64::MIN) };
        self.ledgers.guarantees.range(first..).take_while(move |(key, _)| key.bit == bit)
    }

    /// The guarantee of a member that runs at an instant.
    #[must_use]
    pub fn guarantee_at(&self, bit: u8, merchant: MerchantId, at: Timestamp) -> Option<(GuaranteeKey, GuaranteeRow)> {
        let key = |from| GuaranteeKey { bit, merchant, from };
        let (key, row) = self.ledgers.guarantees.range(key(Timestamp(i64::MIN))..=key(at)).next_back()?;
        (at < row.until).then_some((*key, *row))
    }

    /// The packages of a merchant, by number.
    pub fn packages(&self, merchant: MerchantId) -> impl Iterator<Item = (u64, &PackageRow)> {
        let numbers = self.ledgers.packages_of.range((merchant, 0)..=(merchant, u64::MAX));
        numbers.filter_map(|(_, number)| Some((*number, self.ledgers.packages.get(number)?)))
    }

    /// What a merchant assigned, by scene.
    pub fn wallets(&self, merchant: MerchantId) -> impl Iterator<Item = (Scene, &WalletRow)> {
        let wallets = self.ledgers.wallets.range((merchant, Scene::Live)..=(merchant, Scene::Store));
        wallets.map(|((_, scene), wallet)| (*scene, wallet))
    }

    /// What a merchant assigned to a scene.
    #[must_use]
    pub fn wallet(&self, merchant: MerchantId, scene: Scene) -> Option<&WalletRow> {
        self.ledgers.wallets.get(&(merchant, scene))
    }

    /// The account that exposures of a wallet are charged to; none if no policy had a programme of packages.
    #[must_use]
    pub fn wallet_key(&self, merchant: MerchantId, scene: Scene) -> Option<AccountKey> {
        // By the dictionary: what was spent stays spent while a policy without the programme serves.
        let bit = self.meta.programme_bits.iter().position(|id| id == SCENE_PACKAGE)?;
        let scope = Scope::Wallet(merchant, scene);
        Some(AccountKey { bit: u8::try_from(bit).ok()?, scope, period: ONLY_PERIOD })
    }

    /// What merchants inside a programme with a holdout, and those held out of it, were shown while it was open, in its
    /// scenes, by merchant. Which are held out follows from the hash of the holdout.
    pub fn lift(&self, bit: u8) -> impl Iterator<Item = (MerchantId, &MemberRow)> {
        let members = self.ledgers.members.range((bit, MerchantId(0))..=(bit, MerchantId(u64::MAX)));
        members.map(|((_, merchant), row)| (*merchant, row))
    }

    /// Exposures of a merchant in the last 30 days: the current span of five days and the five before it.
    #[must_use]
    pub fn recent_exposures(&self, merchant: MerchantId) -> u64 {
        self.ledgers.recent.get(&merchant).map_or(0, |row| row.total(self.meta.now.day()))
    }

    /// Whether the merchant in a slot belongs to the long tail of a programme.
    #[must_use]
    pub fn is_tail(&self, programme: &Programme, slot: u32) -> bool {
        let Some(entry) = self.entry(slot) else { return false };
        programme.budget.as_ref().is_some_and(|budget| budget.is_tail(self.recent_exposures(entry.id)))
    }

    /// Distinct members that a programme with a daily floor reached on a day; days are kept for 8.
    #[must_use]
    pub fn members_reached(&self, bit: u8, day: Day) -> u64 {
        self.ledgers.reached.get(&(bit, day)).copied().unwrap_or(0)
    }

    /// Exposures of a scene by hour of the week, Monday 00:00 Asia/Shanghai first: this week and the two before.
    pub fn hour_counts(&self, scene: Scene) -> impl Iterator<Item = (Week, &[u64])> {
        let of_scene = self.ledgers.hours.iter().filter(move |((_, other), _)| *other == scene);
        of_scene.map(|((week, _), row)| (*week, row.counts.as_slice()))
    }

    /// The session that a node opened last.
    #[must_use]
    pub fn session_of(&self, node: u32) -> Option<u32> {
        self.meta.ledger.sessions.get(&node).copied()
    }

    /// Exposures that were reported and count for no merchant or no programme.
    #[must_use]
    pub fn unattributed(&self) -> u64 {
        self.meta.ledger.unattributed
    }

    /// Reports remembered, so that none counts twice.
    #[must_use]
    pub fn remembered_reports(&self) -> usize {
        self.ledgers.reports.len()
    }

    /// The earliest instant that exposures can still be reported of.
    #[must_use]
    pub fn reportable_from(&self) -> Timestamp {
        let window = self.meta.now.plus_ms(-crate::domain::REPORT_WINDOW_MS);
        self.meta.ledger.reports_floor.map_or(window, |floor| floor.max(window))
    }
}

/// Before every account of a programme.
pub(super) fn first_of(bit: u8) -> AccountKey {
    AccountKey { bit, scope: Scope::Programme, period: Day(i32::MIN) }
}
