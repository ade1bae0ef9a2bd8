//! Searches of products, and the tokens of their pages.

use std::time::Duration;

use tonic::Status;

use super::validate::{Fields, MAX_TEXT};
use crate::domain::MerchantId;
use crate::engine::{ProductHit, SearchPage, SearchQuery};
use crate::proto;

/// Products of a page when the caller does not say.
const DEFAULT_PAGE: usize = 20;
/// Most products of a page.
const MAX_PAGE: usize = 100;

/// The query of a request, which may take this long.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn search_query(request: &proto::SearchProductsRequest, time: Duration) -> Result<SearchQuery, Status> {
    let mut fields = Fields::default();
    let text = request.text.trim();
    fields.check((1..=MAX_TEXT).contains(&text.chars().count()), "text", "must have 1 to 256 characters");
    let size = usize::try_from(request.page_size).unwrap_or(usize::MAX);
    fields.check(size <= MAX_PAGE, "page_size", "must be at most 100");
    let after = (!request.page_token.is_empty()).then(|| after(request));
    fields.check(after != Some(None), "page_token", "must be as it was answered for the same text and merchant");
    fields.finish()?;
    Ok(SearchQuery {
        text: text.to_owned(),
        merchant: (request.merchant_id != 0).then_some(MerchantId(request.merchant_id)),
        limit: if size == 0 { DEFAULT_PAGE } else { size },
        after: after.flatten(),
        time,
    })
}

/// Marks what a token is for: with another text it would skip products.
fn mark(request: &proto::SearchProductsRequest) -> u64 {
    let mut bytes = request.merchant_id.to_le_bytes().to_vec();
    bytes.extend_from_slice(request.text.trim().as_bytes());
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

fn token(request: &proto::SearchProductsRequest, after: u64) -> String {
    format!("{after:x}.{:x}", mark(request))
}

fn after(request: &proto::SearchProductsRequest) -> Option<u64> {
    let (after, _) = request.page_token.split_once('.')?;
    let after = u64::from_str_radix(after, 16).ok()?;
    (token(request, after) == request.page_token).then_some(after)
}

/// The answer.
#[must_use]
pub fn search_response(request: &proto::SearchProductsRequest, page: SearchPage) -> proto::SearchProductsResponse {
    let hit = |hit: ProductHit| proto::ProductHit {
        product_id: hit.id,
        name: hit.name,
        merchant_id: hit.merchant.0,
        merchant_name: hit.merchant_name,
        trust_purchase_granted: hit.is_granted,
        labels: hit.labels,
        trust_score: hit.trust,
    };
    proto::SearchProductsResponse {
        next_page_token: page.next.map(|after| token(request, after)).unwrap_or_default(),
        products: page.hits.into_iter().map(hit).collect(),
        revision: page.revision,
    }
}
