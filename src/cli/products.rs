//! `products search`: products by id or part of the name.

use serde_json::{Value, json};

use super::client::Target;
use super::error::CliError;
use super::out;
use super::table::{Side, Table};
use super::words::{id_json, label_words, listed, short_float};
use crate::proto::insight_service_client::InsightServiceClient;
use crate::proto::{ProductHit, SearchProductsRequest};

/// Products of one call.
const PAGE: usize = 100;

/// What to do with products.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ProductsAction {
    /// Products with this id or with this text in their name
    Search(SearchArgs),
}

/// Arguments of `products search`.
#[derive(Debug, clap::Args)]
pub(super) struct SearchArgs {
    /// An id, or part of a name; upper or lower case does not matter
    #[arg(value_name = "TEXT")]
    text: String,
    /// Products of this owner only
    #[arg(long, value_name = "ID", default_value_t = 0)]
    merchant: u64,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// Runs an action on products.
pub(super) async fn run(action: ProductsAction, target: &Target) -> Result<(), CliError> {
    let ProductsAction::Search(args) = action;
    let mut client = InsightServiceClient::new(target.connect().await?);
    let mut found: Vec<ProductHit> = Vec::new();
    let mut page_token = String::new();
    // A page can be empty and yet not the last one.
    while found.len() < args.limit {
        let page_size = u32::try_from((args.limit - found.len()).min(PAGE)).unwrap_or(u32::MAX);
        let request = SearchProductsRequest {
            text: args.text.clone(),
            merchant_id: args.merchant,
            page_size,
            page_token,
            min_revision: 0,
        };
        let page = client.search_products(request).await.map_err(CliError::rpc("SearchProducts"))?.into_inner();
        found.extend(page.products);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    if !page_token.is_empty() {
        out::remark("there may be more; raise --limit to see them");
    }
    if target.json {
        return out::json(&Value::from(found.iter().map(hit_json).collect::<Vec<_>>()));
    }
    if found.is_empty() {
        return out::result(&format!("no product has the id {0:?} or {0:?} in its name", args.text));
    }
    out::result(&table(&found))
}

fn table(found: &[ProductHit]) -> String {
    let mut table = Table::new(&[
        ("product", Side::Right),
        ("name", Side::Left),
        ("merchant", Side::Right),
        ("shop", Side::Left),
        ("trust purchase", Side::Left),
        ("trust", Side::Right),
        ("labels", Side::Left),
    ]);
    for hit in found {
        table.row(vec![
            hit.product_id.to_string(),
            hit.name.clone(),
            hit.merchant_id.to_string(),
            hit.merchant_name.clone(),
            if hit.trust_purchase_granted { "✓" } else { "✗" }.to_owned(),
            format!("{:.1}", hit.trust_score),
            listed(&label_words(hit.labels)),
        ]);
    }
    table.text()
}

fn hit_json(hit: &ProductHit) -> Value {
    json!({
        "product_id": id_json(hit.product_id), "name": hit.name, "merchant_id": id_json(hit.merchant_id),
        "merchant_name": hit.merchant_name, "trust_purchase_granted": hit.trust_purchase_granted, "labels": hit.labels,
        "label_words": label_words(hit.labels), "trust_score": short_float(hit.trust_score),
    })
}

#[cfg(test)]
mod tests {
    use super::table;
    use crate::proto::ProductHit;

    #[test]
    fn products_read_as_a_table() {
        let hit = ProductHit {
            product_id: 72,
            name: "真丝连衣裙".to_owned(),
            merchant_id: 7,
            merchant_name: "杭州丝绸".to_owned(),
            trust_purchase_granted: true,
            labels: 2,
            trust_score: 81.26,
        };
        let text = table(&[hit]);
        assert!(
            text.ends_with("     72  真丝连衣裙         7  杭州丝绸  ✓                81.3  trust purchase\n"),
            "{text}"
        );
    }
}
