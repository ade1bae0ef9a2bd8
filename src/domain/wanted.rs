//! Long work, and whether anybody still waits for it.

use std::fmt;
use std::sync::Arc;

/// Whether somebody still waits for what long work comes to. The work asks between its slices, and ends early when nobody
/// does; what it then comes to is no answer. What is not wanted any more is never wanted again.
#[derive(Clone, Default)]
pub struct Wanted(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Wanted {
    /// Work that is done to its end.
    #[must_use]
    pub fn to_the_end() -> Self {
        Self(None)
    }

    /// Work that is wanted as long as this says so.
    pub fn as_long_as(is_wanted: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(is_wanted)))
    }

    /// Whether the work may end early.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.as_ref().is_some_and(|is_wanted| !is_wanted())
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_over() { "Wanted(over)" } else { "Wanted" })
    }
}
