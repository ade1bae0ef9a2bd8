//! Short lists of words that many profiles have alike.

use std::ops::Deref;
use std::sync::Arc;

/// A list of words, such as categories or tags. Most profiles have one of few lists: a clone shares the words, and an
/// empty list takes one word of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Words(Option<Arc<Vec<String>>>);

impl Words {
    /// The words.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl Deref for Words {
    type Target = [String];

    fn deref(&self) -> &[String] {
        self.as_slice()
    }
}

impl From<Vec<String>> for Words {
    fn from(mut words: Vec<String>) -> Self {
        words.shrink_to_fit();
        Self((!words.is_empty()).then(|| Arc::new(words)))
    }
}

impl FromIterator<String> for Words {
    fn from_iter<I: IntoIterator<Item = String>>(words: I) -> Self {
        Self::from(words.into_iter().collect::<Vec<_>>())
    }
}
