//! Who falls behind its guarantee, as control last found it: retrieval asks, so that the merchants become candidates.

use std::sync::Arc;

use parking_lot::RwLock;

use super::Engine;
use crate::domain::{MerchantId, Scene, Timestamp};

/// Merchants of one scene that are kept, the most urgent: more than a retrieval can bring in.
pub(super) const MAX_KEPT: usize = 10_000;

/// A page of them.
#[derive(Clone, Copy, Debug)]
pub struct UnderservedQuery {
    /// The scene.
    pub scene: Scene,
    /// Merchants to leave out in front.
    pub skip: usize,
    /// Merchants at most.
    pub limit: usize,
}

/// One guarantee that falls behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Underserved {
    /// To whom.
    pub merchant: MerchantId,
    /// Id of the programme that promises it.
    pub programme: String,
    /// Exposures promised.
    pub target: u64,
    /// Exposures delivered.
    pub delivered: u64,
    /// Share of the promise that is missing over the share of the period that is left.
    pub urgency: f64,
    /// When the period ends.
    pub ends_at: Timestamp,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct UnderservedPage {
    /// The most urgent first.
    pub merchants: Vec<Underserved>,
    /// How many to leave out for the next page; none on the last.
    pub next: Option<usize>,
    /// Revision answered from.
    pub revision: u64,
}

/// Lists by scene, replaced as a whole.
#[derive(Default)]
pub(super) struct UnderservedLists {
    scenes: RwLock<[Arc<Vec<Underserved>>; Scene::COUNT]>,
}

impl UnderservedLists {
    /// Publishes the list of a scene, the most urgent first.
    pub(super) fn publish(&self, scene: Scene, list: Vec<Underserved>) {
        if let Some(place) = self.scenes.write().get_mut(scene.index()) {
            *place = Arc::new(list);
        }
    }

    fn of(&self, scene: Scene) -> Arc<Vec<Underserved>> {
        self.scenes.read().get(scene.index()).cloned().unwrap_or_default()
    }
}

impl Engine {
    /// Merchants whose guarantee falls behind in a scene.
    #[must_use]
    pub fn underserved(&self, query: &UnderservedQuery) -> UnderservedPage {
        let list = self.underserved.of(query.scene);
        let page = list.iter().skip(query.skip).take(query.limit);
        let end = query.skip.saturating_add(query.limit);
        UnderservedPage {
            merchants: page.cloned().collect(),
            next: (end < list.len()).then_some(end),
            revision: self.hot().revision(),
        }
    }
}
