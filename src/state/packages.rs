//! `apply` for packages: given to a merchant, assigned to scenes and back, void when they expire.
//!
//! What is spent of a wallet is taken from the packages that expire first. At the end of a package, what of it is neither
//! spent nor leased is void, assigned or not.

use super::ledgers::{KEPT_PACKAGE_DAYS, LedgerKey, PackageRow};
use super::state::{Due, State};
use crate::domain::{DAY_MS, MerchantId, Rejection, Scene, Timestamp};
use crate::traffic::SCENE_PACKAGE;

impl State {
    /// Gives a package; answers its number.
    pub(super) fn grant_package(&mut self, mut row: PackageRow) -> Result<u64, Rejection> {
        self.find_merchant(row.merchant)?;
        if row.expires_at.is_some_and(|at| at <= self.meta.now) {
            row.unassigned = 0;
        }
        self.meta.ledger.last_package = self.meta.ledger.last_package.saturating_add(1);
        let number = self.meta.ledger.last_package;
        self.restore_package(number, row);
        self.changes.ledger.insert(LedgerKey::Package(number));
        Ok(number)
    }

    /// Takes a package in, new or stored.
    pub(super) fn restore_package(&mut self, number: u64, row: PackageRow) {
        self.ledgers.packages_of.insert((row.merchant, number));
        let now = self.meta.now;
        self.ledgers.forgetting.extend(row.expires_at.map(|at| (forgotten_at(at), number)));
        self.ledgers.voiding.extend(row.expires_at.filter(|at| *at > now).map(|at| (at, number)));
        self.ledgers.packages.insert(number, row);
    }

    /// When the next package expires.
    pub(super) fn package_due(&self) -> Option<Timestamp> {
        self.ledgers.voiding.first().map(|(at, _)| *at)
    }

    /// Moves exposures from the packages of a merchant to a scene.
    pub(super) fn assign_package(
        &mut self,
        merchant: MerchantId,
        scene: Scene,
        exposures: u64,
    ) -> Result<(), Rejection> {
        self.find_merchant(merchant)?;
        self.check_packages()?;
        let mut free: Vec<u64> =
            self.packages(merchant).filter(|(_, row)| row.unassigned > 0).map(|(number, _)| number).collect();
        free.sort_by_key(|number| self.spent_after(*number));
        let unassigned = |number: &u64| self.ledgers.packages.get(number).map_or(0, |row| row.unassigned);
        let available = free.iter().fold(0_u64, |sum, number| sum.saturating_add(unassigned(number)));
        if exposures > available {
            return Err(Rejection::PackageShort { available });
        }
        let mut left = exposures;
        for number in free {
            let Some(row) = self.ledgers.packages.get_mut(&number).filter(|_| left > 0) else { continue };
            let moved = left.min(row.unassigned);
            row.unassigned -= moved;
            left -= moved;
            self.changes.ledger.insert(LedgerKey::Package(number));
            self.add_lot(merchant, scene, number, moved);
        }
        self.refresh_packages(merchant);
        Ok(())
    }

    /// Moves exposures that are neither spent nor leased from a scene back to their packages.
    pub(super) fn release_package(
        &mut self,
        merchant: MerchantId,
        scene: Scene,
        exposures: u64,
    ) -> Result<(), Rejection> {
        self.find_merchant(merchant)?;
        self.check_packages()?;
        let available = self.wallet_left(merchant, scene);
        if exposures > available {
            return Err(Rejection::PackageShort { available });
        }
        let mut left = exposures;
        let mut returned = Vec::new();
        if let Some(wallet) = self.ledgers.wallets.get_mut(&(merchant, scene)) {
            wallet.granted -= exposures.min(wallet.granted);
            for (number, lot) in wallet.lots.iter_mut().rev() {
                let moved = left.min(*lot);
                *lot -= moved;
                left -= moved;
                returned.push((*number, moved));
            }
            wallet.lots.retain(|(_, lot)| *lot > 0);
            self.changes.ledger.insert(LedgerKey::Wallet(merchant, scene));
        }
        for (number, moved) in returned.into_iter().filter(|(_, moved)| *moved > 0) {
            if let Some(row) = self.ledgers.packages.get_mut(&number) {
                row.unassigned = row.unassigned.saturating_add(moved);
                self.changes.ledger.insert(LedgerKey::Package(number));
            }
        }
        self.refresh_packages(merchant);
        Ok(())
    }

    fn check_packages(&self) -> Result<(), Rejection> {
        let has = self.policy.programmes.iter().any(|programme| programme.id == SCENE_PACKAGE);
        if has { Ok(()) } else { Err(Rejection::UnknownProgramme { programme: SCENE_PACKAGE.to_owned() }) }
    }

    /// What of a wallet is neither spent nor leased.
    fn wallet_left(&self, merchant: MerchantId, scene: Scene) -> u64 {
        let granted = self.wallet(merchant, scene).map_or(0, |wallet| wallet.granted);
        granted.saturating_sub(self.wallet_taken(merchant, scene))
    }

    fn wallet_taken(&self, merchant: MerchantId, scene: Scene) -> u64 {
        let account = self.wallet_key(merchant, scene).and_then(|key| self.account(&key));
        account.map_or(0, crate::traffic::Account::taken)
    }

    /// Packages in the order in which they are spent.
    fn spent_after(&self, number: u64) -> (Timestamp, u64) {
        let expires_at = self.ledgers.packages.get(&number).and_then(|row| row.expires_at);
        (expires_at.unwrap_or(Timestamp(i64::MAX)), number)
    }

    fn add_lot(&mut self, merchant: MerchantId, scene: Scene, number: u64, exposures: u64) {
        let mut wallet = self.ledgers.wallets.remove(&(merchant, scene)).unwrap_or_default();
        wallet.granted = wallet.granted.saturating_add(exposures);
        match wallet.lots.iter_mut().find(|(other, _)| *other == number) {
            Some((_, lot)) => *lot = lot.saturating_add(exposures),
            None => wallet.lots.push((number, exposures)),
        }
        wallet.lots.sort_by_key(|(number, _)| self.spent_after(*number));
        self.ledgers.wallets.insert((merchant, scene), wallet);
        self.changes.ledger.insert(LedgerKey::Wallet(merchant, scene));
    }

    /// Makes void what is left of packages that are over, and forgets those that have been for long: no wallet names them.
    pub(super) fn expire_packages(&mut self, now: Timestamp) {
        while let Some((at, number)) = self.ledgers.voiding.first().copied().filter(|(at, _)| *at <= now) {
            self.ledgers.voiding.remove(&(at, number));
            let Some(row) = self.ledgers.packages.get_mut(&number) else { continue };
            row.unassigned = 0;
            let merchant = row.merchant;
            self.changes.ledger.insert(LedgerKey::Package(number));
            for scene in Scene::ALL {
                self.void_lot(merchant, scene, number);
            }
            self.refresh_packages(merchant);
        }
        while let Some((at, number)) = self.ledgers.forgetting.first().copied().filter(|(at, _)| *at <= now) {
            self.ledgers.forgetting.remove(&(at, number));
            let Some(row) = self.ledgers.packages.remove(&number) else { continue };
            self.ledgers.packages_of.remove(&(row.merchant, number));
            self.changes.ledger.insert(LedgerKey::Package(number));
        }
    }

    /// Takes a package that is over from a wallet: all but what was spent or is leased of it.
    fn void_lot(&mut self, merchant: MerchantId, scene: Scene, number: u64) {
        let taken = self.wallet_taken(merchant, scene);
        let Some(wallet) = self.ledgers.wallets.get_mut(&(merchant, scene)) else { return };
        let Some(at) = wallet.lots.iter().position(|(other, _)| *other == number) else { return };
        // Lots that are gone were spent; those in front of this one are spent before it.
        let all = wallet.lots.iter().fold(0_u64, |sum, (_, lot)| sum.saturating_add(*lot));
        let before = wallet.lots.iter().take(at).fold(0_u64, |sum, (_, lot)| sum.saturating_add(*lot));
        let (_, lot) = wallet.lots.remove(at);
        let spent_before = wallet.granted.saturating_sub(all).saturating_add(before);
        let spent = taken.saturating_sub(spent_before).min(lot);
        wallet.granted = wallet.granted.saturating_sub(lot - spent);
        self.changes.ledger.insert(LedgerKey::Wallet(merchant, scene));
    }

    /// Takes from a wallet what was spent of it, when the account of it is given up.
    pub(super) fn void_spent(&mut self, merchant: MerchantId, scene: Scene, spent: u64) {
        let Some(wallet) = self.ledgers.wallets.get_mut(&(merchant, scene)) else { return };
        let all = wallet.lots.iter().fold(0_u64, |sum, (_, lot)| sum.saturating_add(*lot));
        let mut left = spent.saturating_sub(wallet.granted.saturating_sub(all));
        for (_, lot) in &mut wallet.lots {
            let moved = left.min(*lot);
            *lot -= moved;
            left -= moved;
        }
        wallet.lots.retain(|(_, lot)| *lot > 0);
        wallet.granted = wallet.lots.iter().fold(0_u64, |sum, (_, lot)| sum.saturating_add(*lot));
        self.changes.ledger.insert(LedgerKey::Wallet(merchant, scene));
        self.refresh_packages(merchant);
    }

    /// Notes in which scenes a merchant has something left of its packages; its record follows.
    pub(super) fn refresh_packages(&mut self, merchant: MerchantId) {
        let has_left = |(scene, wallet): &(Scene, &super::ledgers::WalletRow)| {
            let account = self.wallet_key(merchant, *scene).and_then(|key| self.account(&key));
            wallet.granted > account.map_or(0, |account| account.delivered)
        };
        let scenes = self.wallets(merchant).filter(has_left).fold(0, |scenes, (scene, _)| scenes | scene.mask());
        let slot = self.slot_of(merchant);
        let Some(entry) = self.entry_mut(slot).filter(|entry| entry.packages != scenes) else { return };
        entry.packages = scenes;
        self.dirty.insert(Due::Merchant(slot));
    }
}

/// When a package that expires at an instant is forgotten.
fn forgotten_at(expires_at: Timestamp) -> Timestamp {
    expires_at.plus_ms(i64::from(KEPT_PACKAGE_DAYS) * DAY_MS)
}
