//! How the columns of a source file become order items: a documented TOML file, see `olist.toml`.

use serde::Deserialize;

use crate::cli::error::CliError;

const OLIST: &str = include_str!("../olist.toml");
/// What `--mapping` names to get the built-in mapping, and what messages call it.
pub(crate) const BUILT_IN: &str = "olist";

/// The mapping of one source, key by key as `olist.toml` explains it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Added to times before their day is taken.
    pub day_offset_hours: i64,
    /// Most hours from payment to ship limit of a promised order.
    pub promise_window_hours: i64,
    /// Highest score of a negative review.
    pub negative_review_at_most: u64,
    /// Points of reviews whose score is not known.
    pub unknown_review_points: ReviewPoints,
    /// Statuses of cancelled orders.
    pub voided_statuses: Vec<String>,
    /// Fen in one unit of the price.
    pub fen_per_price_unit: f64,
    /// Columns of the order items.
    pub columns: Columns,
    /// Columns of the sellers file.
    pub sellers: SellerColumns,
}

/// Points that stand in for unknown scores.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewPoints {
    /// Of negative reviews.
    pub negative: u64,
    /// Of the others.
    pub other: u64,
}

/// Names of the columns of an order item.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "explained in olist.toml")]
pub struct Columns {
    pub order: String,
    pub item: String,
    pub seller: String,
    pub customer: String,
    pub price: String,
    pub status: String,
    pub purchased_at: String,
    pub paid_at: Option<String>,
    pub shipped_at: Option<String>,
    pub ship_limit_at: Option<String>,
    pub delivered_at: Option<String>,
    pub estimated_at: Option<String>,
    pub seller_name: Option<String>,
    pub product: Option<String>,
    pub category: Option<String>,
    pub review_score: Option<String>,
    pub review_negative: Option<String>,
    pub recipient_region: Option<String>,
}

/// Names of the columns of a seller.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "explained in olist.toml")]
pub struct SellerColumns {
    pub seller: String,
    pub region: Option<String>,
    pub city: Option<String>,
}

impl Mapping {
    /// The built-in mapping, or the one of a file; and its text, which is part of an import's name.
    ///
    /// # Errors
    /// The file cannot be read, or does not say what a mapping must.
    pub fn load(file: Option<&str>) -> Result<(Self, String), CliError> {
        let Some(file) = file.filter(|file| *file != BUILT_IN) else {
            return Ok((Self::parse(BUILT_IN, OLIST)?, OLIST.to_owned()));
        };
        let text = std::fs::read_to_string(file).map_err(|source| CliError::Read { file: file.to_owned(), source })?;
        Ok((Self::parse(file, &text)?, text))
    }

    fn parse(file: &str, text: &str) -> Result<Self, CliError> {
        let mapping: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.bytes().filter(|byte| *byte == b'\n').count();
            CliError::input(file, u64::try_from(line).map_or(0, |line| line + 1), error.message())
        })?;
        let problem = if !(-12..=14).contains(&mapping.day_offset_hours) {
            "day_offset_hours: expected -12 to 14"
        } else if !(mapping.fen_per_price_unit > 0.0 && mapping.fen_per_price_unit <= 1e6) {
            "fen_per_price_unit: expected a factor above 0 and up to 1000000"
        } else if !(0..=24 * 365).contains(&mapping.promise_window_hours) {
            "promise_window_hours: expected 0 to 8760"
        } else {
            return Ok(mapping);
        };
        Err(CliError::input(file, 0, problem))
    }
}

#[cfg(test)]
mod tests {
    use super::{Mapping, OLIST};

    #[test]
    fn the_built_in_mapping_reads() {
        let (mapping, _) = Mapping::load(None).expect("a mapping");
        assert_eq!((mapping.columns.seller.as_str(), mapping.day_offset_hours), ("seller_ix", 0));
    }

    #[test]
    fn a_wrong_key_is_refused_with_its_line() {
        let text = OLIST.replace("category = \"category\"", "categorie = \"category\"");
        let wrong = text.lines().position(|line| line.starts_with("categorie")).expect("the line") + 1;
        let problem = Mapping::parse("my.toml", &text).expect_err("an error").to_string();
        assert!(problem.starts_with(&format!("my.toml:{wrong}: unknown field `categorie`")), "{problem}");
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let text = OLIST.replace("day_offset_hours = 0", "day_offset_hours = 99");
        assert!(Mapping::parse("my.toml", &text).is_err());
        let text = OLIST.replace("fen_per_price_unit = 100", "fen_per_price_unit = nan");
        assert!(Mapping::parse("my.toml", &text).is_err());
    }
}
