//! Ranked rounds of service providers (seed 001: strict access, horse racing): who did best for their merchants.

use crate::domain::{Capability, ProviderId, ServiceProvider};
use crate::trust::SumId;

/// How providers are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderRanking {
    /// Summed over a provider's merchants; the larger, the better.
    pub sum: SumId,
    /// Access: providers with a capability below this are not ranked.
    pub min_capability: u8,
}

impl ProviderRanking {
    /// Whether a provider is admitted to the round.
    #[must_use]
    pub fn admits(&self, provider: &ServiceProvider) -> bool {
        Capability::ALL
            .into_iter()
            .all(|capability| provider.capability(capability).is_some_and(|score| score >= self.min_capability))
    }
}

/// Places of a round, from 1: the larger result first, of equals the smaller id. Results of 0 get no place.
#[must_use]
pub fn rank(mut results: Vec<(ProviderId, u64)>) -> Vec<(ProviderId, u32)> {
    results.retain(|(_, result)| *result > 0);
    results.sort_by_key(|(id, result)| (std::cmp::Reverse(*result), *id));
    results.into_iter().map(|(id, _)| id).zip(1_u32..).collect()
}

#[cfg(test)]
mod tests {
    use super::{ProviderRanking, rank};
    use crate::domain::{ProviderId, ServiceProvider, Words};
    use crate::trust::SumId;

    #[test]
    fn the_best_result_is_first_and_equals_go_by_id() {
        let results = [(3, 500), (1, 0), (9, 500), (2, 700)].map(|(id, result)| (ProviderId(id), result));
        let places = rank(results.to_vec());
        assert_eq!(places, [(2, 1), (3, 2), (9, 3)].map(|(id, place)| (ProviderId(id), place)));
    }

    #[test]
    fn access_asks_for_every_capability() {
        let ranking = ProviderRanking { sum: SumId(0), min_capability: 60 };
        let provider = |capabilities| ServiceProvider {
            id: ProviderId(1),
            name: String::new(),
            capabilities,
            tags: Words::default(),
            revision: 0,
        };
        assert!(ranking.admits(&provider(Some([60; 5]))));
        assert!(!ranking.admits(&provider(Some([100, 100, 59, 100, 100]))));
        assert!(!ranking.admits(&provider(None)), "no scores, no access");
    }
}
