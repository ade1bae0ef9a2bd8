//! The codec of `ScoringService`: prost, but for the columns of numbers.
//!
//! A column is one run of little-endian numbers on the wire and in memory: it is copied as a whole, where prost takes
//! one number after the other. Everything else (strings, enums, unknown fields, columns that are not packed, and
//! whatever is wrong) is left to prost, so that every message is read alike and refused alike.

use std::marker::PhantomData;

use prost::bytes::{Buf, BufMut};
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint,
};
use prost::{DecodeError, Message};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::proto;

const _: () = assert!(cfg!(target_endian = "little"), "columns are copied as they stand in memory");

/// A message that this codec sends and receives. As they stand, the methods are those of prost.
pub trait Fast: Message + Default {
    /// Appends the message. The bytes are those that prost would write.
    fn write(&self, out: &mut impl BufMut) {
        // It fails only where there is no room; buffers grow.
        let _ = self.encode(out);
    }

    /// Bytes that the message takes, more or less: so many are made room for at once.
    fn size_hint(&self) -> usize {
        0
    }

    /// Takes a field if it is a whole packed column; answers whether it did. `payload` follows the key.
    fn take_column(&mut self, _tag: u32, _payload: &mut impl Buf) -> bool {
        false
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Those of prost, for the same bytes.
    fn read(mut bytes: impl Buf) -> Result<Self, DecodeError> {
        let mut message = Self::default();
        while bytes.has_remaining() {
            let (tag, wire_type) = decode_key(&mut bytes)?;
            if wire_type == WireType::LengthDelimited && message.take_column(tag, &mut bytes) {
                continue;
            }
            message.merge_field(tag, wire_type, &mut bytes, DecodeContext::default())?;
        }
        Ok(message)
    }
}

impl Fast for proto::ScoreRequest {
    fn take_column(&mut self, tag: u32, payload: &mut impl Buf) -> bool {
        let Self { target_ids, merchant_ids, base_scores, .. } = self;
        take_candidates(tag, payload, (target_ids, merchant_ids, base_scores))
    }
}

impl Fast for proto::AllocateRequest {
    fn take_column(&mut self, tag: u32, payload: &mut impl Buf) -> bool {
        let Self { target_ids, merchant_ids, base_scores, .. } = self;
        take_candidates(tag, payload, (target_ids, merchant_ids, base_scores))
    }
}

impl Fast for proto::ScoreResponse {
    fn write(&self, out: &mut impl BufMut) {
        put_number(1, self.policy_version, out);
        put_number(2, self.revision, out);
        put_number(3, u64::from(self.cache_ttl_ms), out);
        put_column(4, &self.trust_scores, out);
        put_column(5, &self.boost_weights, out);
        put_column(6, &self.programmes, out);
        put_varints(7, &self.labels, out);
        put_column(8, &self.adjusted_scores, out);
        put_column(9, &self.governance_scores, out);
        put_column(10, &self.consumer_rights_scores, out);
        put_column(11, &self.experience_scores, out);
        put_column(12, &self.ad_price_factors, out);
    }

    fn size_hint(&self) -> usize {
        // Four numbers, and columns that are as long as the first or empty.
        let Self { trust_scores, adjusted_scores, governance_scores, ad_price_factors, .. } = self;
        let narrow =
            trust_scores.len() * 2 + adjusted_scores.len() + governance_scores.len() * 3 + ad_price_factors.len();
        64 + narrow * size_of::<f32>() + self.programmes.len() * size_of::<u64>() + self.labels.len() * 2
    }
}

impl Fast for proto::AllocateResponse {}
impl Fast for proto::ListUnderservedRequest {}
impl Fast for proto::ListUnderservedResponse {}

/// The columns about candidates, which all requests number alike: targets, owners, base scores.
fn take_candidates(
    tag: u32,
    payload: &mut impl Buf,
    (targets, owners, base_scores): (&mut Vec<u64>, &mut Vec<u64>, &mut Vec<f32>),
) -> bool {
    match tag {
        4 => extend(targets, payload),
        5 => extend(owners, payload),
        6 => extend(base_scores, payload),
        _ => false,
    }
}

/// Appends a packed column of numbers of fixed size, if it is whole and at hand; else nothing is taken of it.
fn extend<T: bytemuck::Pod>(column: &mut Vec<T>, payload: &mut impl Buf) -> bool {
    let mut ahead = payload.chunk();
    let before = ahead.len();
    let Ok(len) = decode_varint(&mut ahead) else { return false };
    let Some(bytes) = usize::try_from(len).ok().and_then(|len| ahead.get(..len)) else { return false };
    if bytes.len() % size_of::<T>() != 0 {
        return false;
    }
    let taken = before - ahead.len() + bytes.len();
    let start = column.len();
    column.resize(start + bytes.len() / size_of::<T>(), T::zeroed());
    if let Some(numbers) = column.get_mut(start..) {
        bytemuck::cast_slice_mut(numbers).copy_from_slice(bytes);
    }
    payload.advance(taken);
    true
}

fn put_number(tag: u32, number: u64, out: &mut impl BufMut) {
    if number != 0 {
        encode_key(tag, WireType::Varint, out);
        encode_varint(number, out);
    }
}

fn put_column<T: bytemuck::Pod>(tag: u32, column: &[T], out: &mut impl BufMut) {
    let bytes: &[u8] = bytemuck::cast_slice(column);
    if !bytes.is_empty() {
        encode_key(tag, WireType::LengthDelimited, out);
        encode_varint(bytes.len() as u64, out);
        out.put_slice(bytes);
    }
}

fn put_varints(tag: u32, column: &[u32], out: &mut impl BufMut) {
    if column.is_empty() {
        return;
    }
    encode_key(tag, WireType::LengthDelimited, out);
    // Most labels are below 128 and take a byte each.
    if column.iter().fold(0, |bits, number| bits | number) < 128 {
        encode_varint(column.len() as u64, out);
        for part in column.chunks(256) {
            let mut bytes = [0; 256];
            for (byte, number) in bytes.iter_mut().zip(part) {
                [*byte, ..] = number.to_le_bytes();
            }
            out.put_slice(bytes.get(..part.len()).unwrap_or_default());
        }
        return;
    }
    let len: usize = column.iter().map(|number| encoded_len_varint(u64::from(*number))).sum();
    encode_varint(len as u64, out);
    for number in column {
        encode_varint(u64::from(*number), out);
    }
}

/// The codec.
pub struct ScoringCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for ScoringCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Fast + 'static, U: Fast + 'static> Codec for ScoringCodec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = ScoringEncoder<T>;
    type Decoder = ScoringDecoder<U>;

    fn encoder(&mut self) -> ScoringEncoder<T> {
        ScoringEncoder(PhantomData)
    }

    fn decoder(&mut self) -> ScoringDecoder<U> {
        ScoringDecoder(PhantomData)
    }
}

/// Its encoder.
pub struct ScoringEncoder<T>(PhantomData<T>);

impl<T: Fast> Encoder for ScoringEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(message.size_hint());
        message.write(out);
        Ok(())
    }
}

/// Its decoder.
pub struct ScoringDecoder<U>(PhantomData<U>);

impl<U: Fast> Decoder for ScoringDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // As tonic's own decoder answers.
        U::read(bytes).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;
    use prost::bytes::Buf;
    use prost::encoding::{WireType, encode_key, encode_varint};

    use super::Fast;
    use crate::proto::{AllocateRequest, ScoreRequest, ScoreResponse};

    /// What a reader makes of bytes: the message, written by prost, as NaN is not equal to itself; or the error.
    fn outcome<M: Message>(read: Result<M, prost::DecodeError>) -> Result<Vec<u8>, String> {
        read.map(|message| message.encode_to_vec()).map_err(|error| error.to_string())
    }

    /// Whole, and cut in two: columns that are not at hand in one piece are left to prost.
    fn check<M: Fast>(bytes: &[u8], cut: usize) {
        let expected = outcome(M::decode(bytes));
        assert_eq!(outcome(M::read(bytes)), expected);
        let (front, back) = bytes.split_at(cut.min(bytes.len()));
        assert_eq!(outcome(M::read(front.chain(back))), expected);
    }

    fn check_all(bytes: &[u8], cut: usize) {
        check::<ScoreRequest>(bytes, cut);
        check::<AllocateRequest>(bytes, cut);
        check::<ScoreResponse>(bytes, cut);
    }

    prop_compose! {
        fn requests()(
            request_id in ".{0,20}",
            scene in any::<i32>(),
            target_kind in any::<i32>(),
            target_ids in prop::collection::vec(any::<u64>(), 0..40),
            merchant_ids in prop::collection::vec(any::<u64>(), 0..40),
            base_scores in prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..40),
            min_revision in any::<u64>(),
            columns in prop::collection::vec(0..5_i32, 0..4),
        ) -> ScoreRequest {
            ScoreRequest { request_id, scene, target_kind, target_ids, merchant_ids, base_scores, min_revision, columns }
        }
    }

    /// A field as any sender might write it: of this message or not, packed or not, whole or not.
    fn fields() -> impl Strategy<Value = Vec<u8>> {
        let payload = prop::collection::vec(any::<u8>(), 0..40);
        let parts = (0_u32..20, 0_u64..6, any::<u64>(), payload, any::<Option<u8>>());
        parts.prop_map(|(tag, wire, number, payload, lie)| {
            let mut bytes = Vec::new();
            let Ok(wire) = WireType::try_from(wire) else { return vec![0xff; 3] };
            if tag == 0 {
                return vec![u8::try_from(wire as i32).unwrap_or(0)];
            }
            encode_key(tag, wire, &mut bytes);
            match wire {
                WireType::Varint => encode_varint(number, &mut bytes),
                WireType::SixtyFourBit => bytes.extend(number.to_le_bytes()),
                WireType::ThirtyTwoBit => bytes.extend(7_u32.to_le_bytes()),
                WireType::LengthDelimited => {
                    let len = lie.map_or(payload.len() as u64, u64::from);
                    encode_varint(len, &mut bytes);
                    bytes.extend(payload);
                }
                WireType::StartGroup | WireType::EndGroup => {}
            }
            bytes
        })
    }

    proptest! {
        #[test]
        fn requests_are_read_as_prost_reads_them(request in requests(), cut in 0_usize..600) {
            let bytes = request.encode_to_vec();
            check_all(&bytes, cut);
            prop_assert_eq!(ScoreRequest::read(bytes.as_slice()).map(|read| read.encode_to_vec()), Ok(bytes));
        }

        #[test]
        fn whatever_is_sent_is_read_or_refused_as_prost_does(
            parts in prop::collection::vec(fields(), 0..12), request in requests(), cut in 0_usize..600,
        ) {
            // Before and behind a real message: columns come in several parts then, and go on.
            let (before, behind) = parts.split_at(parts.len() / 2);
            check_all(&[before.concat(), request.encode_to_vec(), behind.concat()].concat(), cut);
        }

        #[test]
        fn bytes_that_were_changed_are_read_or_refused_as_prost_does(
            request in requests(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            kept in any::<prop::sample::Index>(), cut in 0_usize..600,
        ) {
            let mut bytes = request.encode_to_vec();
            bytes.push(0);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            check_all(&bytes, cut);
            bytes.truncate(kept.index(bytes.len()) + 1);
            check_all(&bytes, cut);
        }

        #[test]
        fn answers_are_the_bytes_that_prost_writes(
            numbers in any::<(u64, u64, u32)>(),
            floats in prop::collection::vec(prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..30), 7),
            programmes in prop::collection::vec(any::<u64>(), 0..30),
            labels in prop_oneof![
                prop::collection::vec(any::<u32>(), 0..30), prop::collection::vec(0_u32..128, 0..600),
            ],
        ) {
            let mut floats = floats.into_iter();
            let mut column = || floats.next().unwrap_or_default();
            let response = ScoreResponse {
                policy_version: numbers.0,
                revision: numbers.1,
                cache_ttl_ms: numbers.2,
                trust_scores: column(),
                boost_weights: column(),
                programmes,
                labels,
                adjusted_scores: column(),
                governance_scores: column(),
                consumer_rights_scores: column(),
                experience_scores: column(),
                ad_price_factors: column(),
            };
            let mut written = Vec::new();
            response.write(&mut written);
            prop_assert_eq!(written, response.encode_to_vec());
        }
    }
}
