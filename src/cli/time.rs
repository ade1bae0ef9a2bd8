//! Dates and instants as people type and read them.

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use prost_types::Timestamp;

use super::error::CliError;

const DAY_S: i64 = 86_400;
/// The first second that facts and orders may be of: 1992-01-01T00:00:00Z.
pub(crate) const FIRST_SECOND: i64 = 694_224_000;
/// The first second that no order is of any more: 2100-01-01T00:00:00Z.
pub(crate) const END_SECOND: i64 = 4_102_444_800;

/// Days from 1970-01-01 to a date written `YYYY-MM-DD`.
pub(crate) fn parse_day(text: &str) -> Result<i32, String> {
    let wrong = || format!("{text:?} is no date; write it like 2018-06-04");
    if text.len() != 10 {
        return Err(wrong());
    }
    let date: Date = text.parse().map_err(|_| wrong())?;
    let seconds = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).map_err(|_| wrong())?.as_second();
    i32::try_from(seconds.div_euclid(DAY_S)).map_err(|_| wrong())
}

/// A day that the server takes facts of.
pub(crate) fn parse_facts_day(text: &str) -> Result<i32, String> {
    let day = parse_day(text)?;
    if !(FIRST_SECOND..END_SECOND).contains(&(i64::from(day) * DAY_S)) {
        return Err(format!("{text} is out of range; facts are of 1992-01-01 to 2099-12-31"));
    }
    Ok(day)
}

/// `YYYY-MM-DD` of a day counted from 1970-01-01.
pub(crate) fn day_text(day: i32) -> String {
    match jiff::Timestamp::from_second(i64::from(day) * DAY_S) {
        Ok(instant) => TimeZone::UTC.to_datetime(instant).date().to_string(),
        Err(_) => format!("day {day}"),
    }
}

/// An instant written as RFC 3339, or a date for its first instant in Asia/Shanghai.
pub(crate) fn parse_instant(text: &str) -> Result<Timestamp, String> {
    let instant = if let Ok(day) = parse_day(text) {
        jiff::Timestamp::from_second(i64::from(day) * DAY_S - SHANGHAI_OFFSET_S)
    } else {
        text.parse::<jiff::Timestamp>()
    };
    let instant = instant.map_err(|_| {
        format!("{text:?} is no time; write RFC 3339 like 2018-06-04T09:30:00+08:00, or a date for 00:00 Asia/Shanghai")
    })?;
    let seconds = instant.as_second();
    let nanos = instant.subsec_nanosecond();
    // Nanoseconds of a protobuf time count forward, also before 1970.
    if nanos < 0 {
        return Ok(Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 });
    }
    Ok(Timestamp { seconds, nanos })
}

/// Seconds that Asia/Shanghai is ahead of UTC.
pub(crate) const SHANGHAI_OFFSET_S: i64 = 8 * 3_600;

/// An instant in Asia/Shanghai time, as RFC 3339; `-` when there is none.
pub(crate) fn instant_text(instant: Option<&Timestamp>) -> String {
    let Some(Timestamp { seconds, nanos }) = instant else { return "-".to_owned() };
    match jiff::Timestamp::new(*seconds, *nanos) {
        Ok(instant) => instant.display_with_offset(Offset::constant(8)).to_string(),
        Err(_) => format!("second {seconds}"),
    }
}

/// Reads an optional instant of an option.
pub(crate) fn optional_instant(argument: &str, text: Option<&str>) -> Result<Option<Timestamp>, CliError> {
    text.map(|text| parse_instant(text).map_err(|problem| CliError::argument(argument, problem))).transpose()
}

#[cfg(test)]
mod tests {
    use super::{day_text, instant_text, parse_day, parse_facts_day, parse_instant};

    #[test]
    fn dates_read_back_and_wrong_ones_are_refused() {
        assert_eq!(parse_day("2018-06-04"), Ok(17_686));
        assert_eq!(day_text(17_686), "2018-06-04");
        for wrong in ["2018-6-4", "2018-02-30", "20180604", "2018-06-04T00", ""] {
            assert!(parse_day(wrong).is_err(), "{wrong}");
        }
        assert!(parse_facts_day("1991-12-31").is_err());
        assert!(parse_facts_day("1992-01-01").is_ok());
    }

    #[test]
    fn instants_are_shown_in_shanghai_time() {
        let instant = parse_instant("2018-06-04").expect("a date");
        assert_eq!(instant_text(Some(&instant)), "2018-06-04T00:00:00+08:00");
        assert_eq!(parse_instant("2018-06-03T16:00:00Z"), Ok(instant));
        assert!(parse_instant("yesterday").is_err());
        assert_eq!(instant_text(None), "-");
        let before = parse_instant("1969-12-31T23:59:59.5Z").expect("an instant");
        assert_eq!((before.seconds, before.nanos), (-1, 500_000_000));
    }
}
