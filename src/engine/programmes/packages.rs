//! What a merchant has of packages, and where they work.

use crate::domain::{MerchantId, ProfileKey, Rejection, Scene};
use crate::engine::Engine;
use crate::state::{PackageRow, State};

/// Packages in one scene. Exposures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackageScene {
    /// The scene.
    pub scene: Scene,
    /// Assigned, delivered ones included.
    pub assigned: u64,
    /// Delivered.
    pub delivered: u64,
    /// Leased, not reported yet.
    pub reserved: u64,
    /// Neither.
    pub left: u64,
}

/// What a merchant has of packages. Exposures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// Granted and not expired, delivered or not.
    pub granted: u64,
    /// In no scene yet.
    pub unassigned: u64,
    /// By scene, those with any.
    pub scenes: Vec<PackageScene>,
    /// As they were granted, oldest first.
    pub grants: Vec<PackageRow>,
    /// Revision answered from.
    pub revision: u64,
}

impl Engine {
    /// The packages of a merchant.
    ///
    /// # Errors
    /// When it is not registered.
    pub fn packages(&self, merchant: MerchantId) -> Result<Packages, Rejection> {
        self.read(|state| read(state, merchant))
    }
}

fn read(state: &State, merchant: MerchantId) -> Result<Packages, Rejection> {
    let key = ProfileKey::Merchant(merchant);
    if state.profile(key).is_none() {
        return Err(Rejection::not_found(key));
    }
    let scenes = state.wallets(merchant).map(|(scene, wallet)| {
        let account = state.wallet_key(merchant, scene).and_then(|key| state.account(&key));
        let (delivered, taken) = account.map_or((0, 0), |account| (account.delivered, account.taken()));
        PackageScene {
            scene,
            assigned: wallet.granted,
            delivered,
            reserved: taken.saturating_sub(delivered),
            left: wallet.granted.saturating_sub(taken),
        }
    });
    let grants: Vec<PackageRow> = state.packages(merchant).map(|(_, row)| row.clone()).collect();
    let now = state.meta().now;
    let lasting = grants.iter().filter(|row| row.expires_at.is_none_or(|at| at > now));
    Ok(Packages {
        granted: lasting.fold(0, |sum, row| sum.saturating_add(row.exposures)),
        unassigned: grants.iter().fold(0, |sum, row| sum.saturating_add(row.unassigned)),
        scenes: scenes.collect(),
        grants,
        revision: state.hot().revision(),
    })
}
