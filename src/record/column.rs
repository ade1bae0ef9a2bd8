//! Columns: varints one after the other (see the head of storage.proto).

use super::DecodeProblem;

/// Most bytes of a varint.
const MAX_VARINT: usize = 10;

/// Appends a number.
pub(crate) fn push(column: &mut Vec<u8>, mut value: u64) {
    while let Ok(more) = u8::try_from(value & 0x7f)
        && value >= 0x80
    {
        column.push(more | 0x80);
        value >>= 7;
    }
    column.push(u8::try_from(value).unwrap_or(0x7f));
}

/// Appends a signed number.
pub(crate) fn push_signed(column: &mut Vec<u8>, value: i64) {
    push(column, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Reads the numbers of a column.
pub(crate) struct Column<'a> {
    bytes: &'a [u8],
    field: &'static str,
}

impl<'a> Column<'a> {
    /// A column; the field is named in errors.
    pub(crate) fn new(bytes: &'a [u8], field: &'static str) -> Self {
        Self { bytes, field }
    }

    /// How many numbers are left.
    pub(crate) fn len(&self) -> usize {
        // Each ends with the only byte of it that is below 128.
        self.bytes.iter().filter(|byte| **byte < 0x80).count()
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next number; an error when there is none.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<u64, DecodeProblem> {
        match self.bytes {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.bytes = rest;
                Ok(u64::from(*byte))
            }
            [first, second, rest @ ..] if *second < 0x80 => {
                self.bytes = rest;
                Ok(u64::from(*first & 0x7f) | u64::from(*second) << 7)
            }
            _ => self.next_long(),
        }
    }

    fn next_long(&mut self) -> Result<u64, DecodeProblem> {
        let mut value = 0_u64;
        for (position, byte) in self.bytes.iter().take(MAX_VARINT).enumerate() {
            let low = u64::from(byte & 0x7f);
            // Of the tenth byte only one bit is left.
            if position + 1 == MAX_VARINT && low > 1 {
                break;
            }
            value |= low << (7 * position);
            if *byte < 0x80 {
                self.bytes = self.bytes.get(position + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        match self.bytes {
            [] => Err(DecodeProblem::Missing { field: self.field }),
            _ => Err(DecodeProblem::invalid(self.field, "holds no number where it should")),
        }
    }

    /// The next signed number; an error when there is none.
    #[inline]
    pub(crate) fn next_signed(&mut self) -> Result<i64, DecodeProblem> {
        let code = self.next()?;
        Ok((code >> 1).cast_signed() ^ -(code & 1).cast_signed())
    }

    /// The next number as one of a smaller type.
    #[inline]
    pub(crate) fn next_as<T: TryFrom<u64>>(&mut self) -> Result<T, DecodeProblem> {
        let value = self.next()?;
        T::try_from(value).map_err(|_| DecodeProblem::invalid(self.field, format!("holds {value}, out of range")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::{Column, push, push_signed};

    proptest! {
        #[test]
        fn numbers_come_back(values in vec((any::<u64>(), 0..64_u32), 0..20)) {
            let values: Vec<u64> = values.into_iter().map(|(value, shift)| value >> shift).collect();
            let mut bytes = Vec::new();
            for &value in &values {
                push(&mut bytes, value);
                push_signed(&mut bytes, value.cast_signed());
            }
            let packed: Vec<u64> =
                values.iter().flat_map(|&v| [v, ((v.cast_signed() << 1) ^ (v.cast_signed() >> 63)).cast_unsigned()]).collect();
            let mut expected = Vec::new();
            for value in packed {
                prost::encoding::encode_varint(value, &mut expected);
            }
            prop_assert_eq!(&bytes, &expected, "as protobuf writes them");
            let mut column = Column::new(&bytes, "test");
            prop_assert_eq!(column.len(), 2 * values.len());
            for value in values {
                prop_assert_eq!(column.next(), Ok(value));
                prop_assert_eq!(column.next_signed(), Ok(value.cast_signed()));
            }
            prop_assert!(column.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..30)) {
            let mut column = Column::new(&bytes, "test");
            while column.next().is_ok() {}
        }
    }
}
