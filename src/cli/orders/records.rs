//! Reads order items and sellers by a mapping, refusing wrong types and absurd times with file and line.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::aggregate::{OrderHead, OrderItem, Review, Seller};
use super::mapping::Mapping;
use crate::cli::error::CliError;
use crate::cli::input::{self, Content};
use crate::cli::time::{END_SECOND, FIRST_SECOND};

/// Highest price taken, in fen: a thousand million yuan.
const MAX_PRICE_FEN: f64 = 1e11;

type Record = Map<String, Value>;

/// What was read from a file of orders.
#[derive(Clone, Debug)]
pub struct Items {
    /// The items in order of the file.
    pub items: Vec<OrderItem>,
    /// Hash of the file's text.
    pub hash: u128,
}

/// Reads all order items of a file, `-` for stdin, plain or gzip.
///
/// # Errors
/// Whatever is wrong, with file and line.
pub fn read_items(file: &str, mapping: &Mapping) -> Result<Items, CliError> {
    let mut reader = RecordReader { mapping, met: BTreeMap::new() };
    let mut items = Vec::new();
    let content = input::json_lines(file, |line, record: Record| {
        items.push(reader.item(line, &record).map_err(|problem| CliError::input(file, line, problem))?);
        Ok(())
    })?;
    if items.is_empty() {
        return Err(CliError::input(file, 0, "no records; one JSON object per order item is expected"));
    }
    if let Some(column) = reader.never_met() {
        let problem = format!("no record has the column {column:?}; correct the mapping or leave the column out of it");
        return Err(CliError::input(file, 0, problem));
    }
    Ok(Items { items, hash: content.hash })
}

/// Reads the sellers file.
///
/// # Errors
/// Whatever is wrong, with file and line.
pub fn read_sellers(file: &str, mapping: &Mapping) -> Result<(BTreeMap<u64, Seller>, u128), CliError> {
    let columns = &mapping.sellers;
    let mut reader = RecordReader { mapping, met: BTreeMap::new() };
    let mut sellers = BTreeMap::new();
    let Content { hash, .. } = input::json_lines(file, |line, record: Record| {
        let mut read = || {
            let region = reader.text(&record, columns.region.as_deref())?;
            let city = reader.text(&record, columns.city.as_deref())?;
            Ok((id(&record, &columns.seller)?, Seller { region, city }))
        };
        let (seller, found) = read().map_err(|problem: String| CliError::input(file, line, problem))?;
        match sellers.insert(seller, found) {
            None => Ok(()),
            Some(_) => Err(CliError::input(file, line, format!("seller {seller} stands in the file twice"))),
        }
    })?;
    Ok((sellers, hash))
}

struct RecordReader<'a> {
    mapping: &'a Mapping,
    /// Optional columns of the mapping, and whether a record had them.
    met: BTreeMap<&'a str, bool>,
}

impl<'a> RecordReader<'a> {
    fn item(&mut self, line: u64, record: &Record) -> Result<OrderItem, String> {
        let mapping = self.mapping;
        let columns = &mapping.columns;
        let status = needed(record, &columns.status)?;
        let status = status.as_str().ok_or_else(|| expected(&columns.status, "text", status))?;
        let head = OrderHead {
            seller_name: self.text(record, columns.seller_name.as_deref())?,
            customer: label(&columns.customer, needed(record, &columns.customer)?)?,
            voided: mapping.voided_statuses.iter().any(|voided| voided == status),
            purchased_s: time(&columns.purchased_at, needed(record, &columns.purchased_at)?)?,
            paid_s: self.time(record, columns.paid_at.as_deref())?,
            shipped_s: self.time(record, columns.shipped_at.as_deref())?,
            ship_limit_s: self.time(record, columns.ship_limit_at.as_deref())?,
            delivered_s: self.time(record, columns.delivered_at.as_deref())?,
            estimated_s: self.time(record, columns.estimated_at.as_deref())?,
            review: self.review(record)?,
            recipient_region: self.text(record, columns.recipient_region.as_deref())?,
        };
        let product = self.optional(record, columns.product.as_deref());
        Ok(OrderItem {
            line,
            order: label(&columns.order, needed(record, &columns.order)?)?,
            item: whole(&columns.item, needed(record, &columns.item)?)?,
            seller: id(record, &columns.seller)?,
            product: product.map(|(name, value)| label(name, value)).transpose()?,
            category: self.text(record, columns.category.as_deref())?,
            price_fen: price(&columns.price, needed(record, &columns.price)?, mapping.fen_per_price_unit)?,
            head,
        })
    }

    /// The value of an optional column, unless it is unmapped, absent or null.
    fn optional<'r>(&mut self, record: &'r Record, column: Option<&'a str>) -> Option<(&'a str, &'r Value)> {
        let column = column?;
        let value = record.get(column);
        let met = self.met.entry(column).or_default();
        *met = *met || value.is_some();
        value.filter(|value| !value.is_null()).map(|value| (column, value))
    }

    fn text(&mut self, record: &Record, column: Option<&'a str>) -> Result<Option<String>, String> {
        let Some((column, value)) = self.optional(record, column) else { return Ok(None) };
        value.as_str().map(|text| Some(text.to_owned())).ok_or_else(|| expected(column, "text or null", value))
    }

    fn time(&mut self, record: &Record, column: Option<&'a str>) -> Result<Option<i64>, String> {
        self.optional(record, column).map(|(column, value)| time(column, value)).transpose()
    }

    fn review(&mut self, record: &Record) -> Result<Option<Review>, String> {
        let mapping = self.mapping;
        let score = self.optional(record, mapping.columns.review_score.as_deref());
        let score = score.map(|(column, value)| match whole(column, value) {
            Ok(score @ 1..=5) => Ok(score),
            _ => Err(expected(column, "a score from 1 to 5 or null", value)),
        });
        let negative = self.optional(record, mapping.columns.review_negative.as_deref());
        let negative = negative
            .map(|(column, value)| value.as_bool().ok_or_else(|| expected(column, "true, false or null", value)))
            .transpose()?;
        let (negative, points) = match (negative, score.transpose()?) {
            (None, None) => return Ok(None),
            (Some(negative), Some(score)) => (negative, score),
            (None, Some(score)) => (score <= mapping.negative_review_at_most, score),
            (Some(true), None) => (true, mapping.unknown_review_points.negative),
            (Some(false), None) => (false, mapping.unknown_review_points.other),
        };
        Ok(Some(Review { negative, points }))
    }

    fn never_met(&self) -> Option<&'a str> {
        self.met.iter().find(|(_, met)| !**met).map(|(column, _)| *column)
    }
}

fn needed<'r>(record: &'r Record, column: &str) -> Result<&'r Value, String> {
    record.get(column).ok_or_else(|| {
        format!("the column {column:?} is missing; correct the record, or the column's name in the mapping")
    })
}

fn expected(column: &str, what: &str, found: &Value) -> String {
    let found: String = found.to_string().chars().take(60).collect();
    format!("{column}: expected {what}, found {found}")
}

fn whole(column: &str, value: &Value) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| expected(column, "a whole number from 0", value))
}

fn id(record: &Record, column: &str) -> Result<u64, String> {
    match whole(column, needed(record, column)?)? {
        0 => Err(format!("{column}: expected an id above 0, found 0")),
        id => Ok(id),
    }
}

/// Text, or a whole number as text.
fn label(column: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            Err(expected(column, "text or a whole number", value))
        }
    }
}

fn time(column: &str, value: &Value) -> Result<i64, String> {
    let time = value.as_i64().ok_or_else(|| expected(column, "whole seconds since 1970-01-01", value))?;
    if !(FIRST_SECOND..END_SECOND).contains(&time) {
        let hint = if (FIRST_SECOND..END_SECOND).contains(&(time / 1_000)) { "; are these milliseconds?" } else { "" };
        return Err(format!("{column}: {time} is outside 1992 to 2099 in seconds since 1970-01-01{hint}"));
    }
    Ok(time)
}

/// A price in fen, rounded.
fn price(column: &str, value: &Value, fen_per_unit: f64) -> Result<u64, String> {
    let fen = value.as_f64().map(|price| (price * fen_per_unit).round());
    match fen {
        // The text of a whole number in this range reads as one.
        Some(fen) if (0.0..=MAX_PRICE_FEN).contains(&fen) => {
            format!("{:.0}", fen.abs()).parse().map_err(|_| column.to_owned())
        }
        _ => Err(expected(column, "a price from 0 to 1000000000 yuan", value)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Mapping, RecordReader, Review, read_items};
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
    use std::io::Write;

    fn record() -> Value {
        json!({"order_id": "a", "item_no": 1, "seller_id": "s", "seller_ix": 5, "customer_uid": "c", "customer_state": "SP",
            "product_id": "p", "category": null, "price": 39.99, "status": "delivered", "purchase_ts": 1_500_000_000,
            "approved_ts": 1_500_000_001, "carrier_ts": null, "ship_limit_ts": 1_500_100_000, "delivered_ts": null,
            "estimated_ts": 1_500_200_000, "review_score": 5, "review_low": false})
    }

    fn read(change: &Value) -> Result<super::OrderItem, String> {
        let (mapping, _) = Mapping::load(None).expect("a mapping");
        let mut record = record().as_object().expect("an object").clone();
        record.extend(change.as_object().expect("an object").clone());
        RecordReader { mapping: &mapping, met: BTreeMap::new() }.item(1, &record)
    }

    #[test]
    fn a_record_becomes_an_item() {
        let item = read(&json!({})).expect("an item");
        assert_eq!((item.seller, item.price_fen, item.category), (5, 3_999, None));
        assert_eq!((item.head.paid_s, item.head.shipped_s, item.head.voided), (Some(1_500_000_001), None, false));
        assert!(read(&json!({"status": "unavailable"})).expect("an item").head.voided);
    }

    #[test]
    fn prices_round_to_whole_fen() {
        for (price, fen) in [(0.0, 0), (0.29, 29), (1.15, 115), (6_735.0, 673_500), (4.35, 435)] {
            assert_eq!(read(&json!({"price": price})).expect("an item").price_fen, fen);
        }
        assert!(read(&json!({"price": -1.0})).is_err());
        assert!(read(&json!({"price": 1e300})).is_err());
    }

    #[test]
    fn wrong_types_and_absurd_times_are_refused() {
        for (change, says) in [
            (json!({"seller_ix": "5"}), "seller_ix: expected a whole number from 0, found \"5\""),
            (json!({"seller_ix": 0}), "seller_ix: expected an id above 0"),
            (json!({"price": "1"}), "price: expected a price"),
            (json!({"purchase_ts": null}), "purchase_ts: expected whole seconds"),
            (json!({"approved_ts": 1_500_000_000.5}), "approved_ts: expected whole seconds"),
            (json!({"approved_ts": 600_000_000}), "approved_ts: 600000000 is outside 1992 to 2099"),
            (json!({"approved_ts": 1_500_000_000_000_i64}), "are these milliseconds?"),
            (json!({"review_score": 6}), "review_score: expected a score from 1 to 5"),
            (json!({"review_low": 1}), "review_low: expected true, false or null"),
            (json!({"customer_uid": ""}), "customer_uid: expected text"),
        ] {
            let problem = read(&change).expect_err("an error");
            assert!(problem.contains(says), "{problem}");
        }
    }

    #[test]
    fn a_review_may_be_known_only_as_negative_or_not() {
        let review = |score: Value, low: Value| {
            read(&json!({"review_score": score, "review_low": low})).expect("an item").head.review
        };
        assert_eq!(review(json!(2), json!(null)), Some(Review { negative: true, points: 2 }));
        assert_eq!(review(json!(3), json!(null)), Some(Review { negative: false, points: 3 }));
        assert_eq!(review(json!(null), json!(true)), Some(Review { negative: true, points: 1 }));
        assert_eq!(review(json!(null), json!(false)), Some(Review { negative: false, points: 5 }));
        assert_eq!(review(json!(null), json!(null)), None);
    }

    #[test]
    fn a_mapped_column_that_never_comes_is_an_error() {
        let (mapping, _) = Mapping::load(None).expect("a mapping");
        let mut fields = record().as_object().expect("an object").clone();
        fields.remove("carrier_ts");
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "{}", Value::Object(fields)).expect("written");
        let problem = read_items(&file.path().display().to_string(), &mapping).expect_err("an error").to_string();
        assert!(problem.contains("no record has the column \"carrier_ts\""), "{problem}");
    }
}
