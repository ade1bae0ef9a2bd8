//! Times and dates of messages.

use prost_types::Timestamp as ProtoTime;

use super::validate::Fields;
use crate::domain::{Day, Timestamp};

/// The last millisecond of year 9999.
const MAX_MS: i64 = 253_402_300_799_999;

/// An instant between 1970 and 9999.
pub fn timestamp(fields: &mut Fields, field: &str, time: ProtoTime) -> Timestamp {
    let ms = time.seconds.checked_mul(1_000).and_then(|ms| ms.checked_add(i64::from(time.nanos / 1_000_000)));
    let is_valid = |ms: &i64| (0..=MAX_MS).contains(ms) && (0..1_000_000_000).contains(&time.nanos);
    ms.filter(is_valid).map_or_else(
        || {
            fields.wrong(field, "must be a time between 1970 and 9999");
            Timestamp(0)
        },
        Timestamp,
    )
}

/// An instant, if one was sent.
pub(super) fn optional_time(fields: &mut Fields, field: &str, time: Option<ProtoTime>) -> Option<Timestamp> {
    time.map(|time| timestamp(fields, field, time))
}

/// A date, `YYYY-MM-DD`.
pub fn date(fields: &mut Fields, field: &str, text: &str) -> Day {
    let day = Day::parse(text);
    fields.check(day.is_some(), field, "must be an existing date, YYYY-MM-DD");
    day.unwrap_or_default()
}

/// An instant as it is sent.
#[must_use]
pub fn to_proto_time(time: Timestamp) -> ProtoTime {
    let nanos = i32::try_from(time.0.rem_euclid(1_000) * 1_000_000).unwrap_or(0);
    ProtoTime { seconds: time.0.div_euclid(1_000), nanos }
}
