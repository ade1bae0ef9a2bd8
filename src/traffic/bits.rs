//! Programmes as bits of a mask.

/// Bits of a mask.
pub const BITS: usize = 64;

/// A bit as a mask.
#[must_use]
pub fn mask_of(bit: u8) -> u64 {
    1_u64.wrapping_shl(u32::from(bit))
}

/// The bits that are set in a mask, lowest first.
pub fn bits(mut mask: u64) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let bit = u8::try_from(mask.trailing_zeros()).ok().filter(|_| mask != 0)?;
        mask &= mask.wrapping_sub(1);
        Some(bit)
    })
}
