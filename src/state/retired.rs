//! Worlds that served: freed when nobody reads them any more, by a thread that serves nobody.

use std::sync::Arc;

use super::hot::World;
use super::parallel::free_later;
use super::state::State;

impl State {
    /// Keeps a world that served for as long as requests may read it: the last of them must not be the one to free a
    /// hundred megabytes.
    pub(super) fn retire(&mut self, world: Arc<World>) {
        self.free_retired_worlds();
        self.retired.push(world);
    }

    /// Whether worlds that served are still to be freed.
    #[must_use]
    pub fn has_retired_worlds(&self) -> bool {
        !self.retired.is_empty()
    }

    /// Frees worlds that served and that nobody reads.
    pub fn free_retired_worlds(&mut self) {
        let free = self.retired.extract_if(.., |world| Arc::strong_count(world) == 1);
        free.for_each(free_later);
    }
}
