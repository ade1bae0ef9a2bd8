//! Memory that is read before it is needed.

/// Reads words and makes nothing of them: the memory around them comes near while each other is waited for.
#[inline]
pub(super) fn bring_near(words: impl Iterator<Item = u64>) {
    std::hint::black_box(words.fold(0, |seen, word| seen ^ word));
}
