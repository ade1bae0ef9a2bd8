//! Service providers: whose merchants they serve, and the round they were ranked in.
//!
//! Places are computed when a day or policy becomes current and hold from the next one on: the records of a world are
//! made before it becomes current, and so they need places that are known by then.

use std::collections::BTreeMap;

use super::state::{Due, State};
use crate::domain::{ProviderId, ServiceProvider};
use crate::traffic::rank;
use crate::trust::ProviderView;

/// Places of a round, by provider.
pub type ProviderRanks = BTreeMap<ProviderId, u32>;

impl State {
    /// What expressions see of a merchant's provider.
    pub(super) fn provider_view(&self, id: Option<ProviderId>, ranks: &ProviderRanks) -> Option<ProviderView<'_>> {
        let id = id?;
        Some(ProviderView { profile: self.providers.get(&id)?, rank: ranks.get(&id).copied() })
    }

    /// Makes the records of a provider's merchants again.
    pub(super) fn touch_merchants_of(&mut self, id: ProviderId) {
        let slots = self.merchants_of.get(&id).into_iter().flatten();
        self.dirty.extend(slots.map(|slot| Due::Merchant(*slot)));
    }

    /// Notes which provider serves a merchant.
    pub(super) fn serve(&mut self, slot: u32, before: Option<ProviderId>, after: Option<ProviderId>) {
        if before == after {
            return;
        }
        if let Some(served) = before.and_then(|id| self.merchants_of.get_mut(&id)) {
            served.remove(&slot);
        }
        if let Some(id) = after {
            self.merchants_of.entry(id).or_default().insert(slot);
        }
    }

    /// Ranks the providers by the facts that are current now.
    pub(super) fn ranked_providers(&self) -> ProviderRanks {
        let Some(ranking) = self.policy.provider_ranking else { return ProviderRanks::new() };
        let result = |provider: &ServiceProvider| {
            let served = self.merchants_of.get(&provider.id).into_iter().flatten();
            let sums = served.filter_map(|slot| self.entry(*slot)).map(|entry| entry.facts.sum(ranking.sum));
            sums.fold(0_u64, u64::saturating_add)
        };
        let admitted = self.providers.values().filter(|provider| ranking.admits(provider));
        rank(admitted.map(|provider| (provider.id, result(provider))).collect()).into_iter().collect()
    }
}
