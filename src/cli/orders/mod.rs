//! `orders import`: order items of another system become facts and profiles.

pub mod aggregate;
mod levels;
pub mod mapping;
pub mod records;
pub mod rows;

use prost_types::Timestamp;
use serde_json::{Value, json};
use xxhash_rust::xxh3::Xxh3;

use self::aggregate::{Aggregate, ForceMajeure, MerchantProfile, ProductProfile, Rules, aggregate};
use self::mapping::Mapping;
use super::client::{Link, Target};
use super::error::CliError;
use super::import::{self, Plan};
use super::out;
use super::time::{SHANGHAI_OFFSET_S, day_text, parse_facts_day};
use crate::proto::insight_service_client::InsightServiceClient;
use crate::proto::{GetRulesRequest, Merchant, MerchantKind, Product, TargetKind};

/// Part of every import's name: a new way of counting is a new import.
const COUNTING: &str = "orders/2";
/// The counter that looks ahead of its day.
const OUTCOME: &str = "bad_orders";

/// What to do with orders.
#[derive(Debug, clap::Subcommand)]
pub enum OrdersAction {
    /// Count order items into facts and profiles and import them
    Import(ImportArgs),
}

/// Arguments of `orders import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// JSON lines, one order item each, plain or gzip; - for stdin
    file: String,
    /// Only what happened before this day is known; the day itself is left out
    #[arg(long, value_name = "YYYY-MM-DD")]
    as_of: Option<String>,
    /// How columns become orders: a file, or the built-in olist
    #[arg(long, value_name = "FILE.toml", default_value = mapping::BUILT_IN)]
    mapping: String,
    /// Sellers' regions and cities: JSON lines
    #[arg(long, value_name = "FILE")]
    sellers: Option<String>,
    /// Name of the import, to resume under; follows from content and options unless given
    #[arg(long, value_name = "NAME")]
    import_id: Option<String>,
    /// Read, check and count only: needs no server, and so knows no force-majeure regions
    #[arg(long)]
    dry_run: bool,
}

/// Runs an action on orders.
pub(super) async fn run(action: OrdersAction, target: &Target) -> Result<(), CliError> {
    match action {
        OrdersAction::Import(args) => import_orders(&args, target).await,
    }
}

/// Nothing is sent before the whole file has been read, checked and counted.
async fn import_orders(args: &ImportArgs, target: &Target) -> Result<(), CliError> {
    let (mapping, mapping_text) = Mapping::load(Some(&args.mapping))?;
    let as_of = args.as_of.as_deref().map(parse_facts_day).transpose();
    let as_of = as_of.map_err(|problem| CliError::argument("--as-of", problem))?;
    let (sellers, sellers_hash) = match &args.sellers {
        Some(file) => records::read_sellers(file, &mapping)?,
        None => Default::default(),
    };
    let source = records::read_items(&args.file, &mapping)?;
    let mut rules = Rules {
        day_offset_s: mapping.day_offset_hours * 3_600,
        as_of,
        promise_window_s: mapping.promise_window_hours * 3_600,
        force_majeure: Vec::new(),
        sellers,
    };
    let channel = if args.dry_run { None } else { Some(target.connect().await?) };
    let mut takes_outcome = false;
    if let Some(channel) = &channel {
        (rules.force_majeure, takes_outcome) = server_rules(channel.clone()).await?;
    }
    let counted = aggregate(&source.items, &rules)
        .map_err(|conflict| CliError::input(&args.file, conflict.line(), conflict.to_string()))?;
    let summary = Summary::of(&counted, source.items.len());
    drop(source.items);
    if !target.json {
        out::result(&summary.text())?;
    }
    let Some(channel) = channel else {
        return if target.json { out::json(&summary.json()) } else { Ok(()) };
    };
    let import_id = match &args.import_id {
        Some(name) => name.clone(),
        None => name_of(source.hash, sellers_hash, &mapping_text, &rules),
    };
    let report = import::send(channel, plan(import_id, &counted, rules.day_offset_s, takes_outcome)).await?;
    report.print(target.json, &summary.json())
}

/// The regions whose orders leave the shipping rate, as the server's policy lists them, and whether it declares the
/// counter that only validation reads: a policy may do without.
async fn server_rules(channel: Link) -> Result<(Vec<ForceMajeure>, bool), CliError> {
    let answer = InsightServiceClient::new(channel).get_rules(GetRulesRequest {}).await;
    let answer = answer.map_err(CliError::rpc("GetRules"))?.into_inner();
    let day = |text: &str| {
        parse_facts_day(text)
            .map_err(|_| CliError::Answer { call: "GetRules", missing: "a date of a force-majeure rule" })
    };
    let takes_outcome = answer.counters.iter().any(|counter| counter.name == OUTCOME);
    let rules = answer.force_majeure.into_iter().map(|rule| {
        let (first_day, last_day) = (day(&rule.first_date)?, day(&rule.last_date)?);
        Ok(ForceMajeure { region: rule.region, first_day, last_day })
    });
    Ok((rules.collect::<Result<_, CliError>>()?, takes_outcome))
}

/// A name that follows from everything the chunks follow from.
fn name_of(items_hash: u128, sellers_hash: u128, mapping: &str, rules: &Rules) -> String {
    let mut hasher = Xxh3::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&bytes.len().to_le_bytes());
        hasher.update(bytes);
    };
    part(COUNTING.as_bytes());
    part(&items_hash.to_le_bytes());
    part(&sellers_hash.to_le_bytes());
    part(mapping.as_bytes());
    part(rules.as_of.map(day_text).unwrap_or_default().as_bytes());
    for rule in &rules.force_majeure {
        part(rule.region.as_bytes());
        part(&rule.first_day.to_le_bytes());
        part(&rule.last_day.to_le_bytes());
    }
    format!("orders-{:032x}", hasher.digest128())
}

/// The chunks: merchants, then products, then facts by day and merchant.
fn plan(import_id: String, counted: &Aggregate, day_offset_s: i64, takes_outcome: bool) -> Plan {
    let mut plan = Plan::new(import_id);
    plan.merchants(&counted.merchants.iter().map(|merchant| merchant_wire(merchant, day_offset_s)).collect::<Vec<_>>());
    plan.products(&counted.products.iter().map(|product| product_wire(product, day_offset_s)).collect::<Vec<_>>());
    for ((day, merchant), row) in &counted.rows {
        let mut cells = row.cells();
        cells.retain(|(name, _)| takes_outcome || *name != OUTCOME);
        plan.facts(TargetKind::Merchant, *merchant, *day, cells.into_iter());
    }
    plan
}

fn merchant_wire(merchant: &MerchantProfile, day_offset_s: i64) -> Merchant {
    Merchant {
        merchant_id: merchant.merchant_id,
        name: merchant.name.clone(),
        kind: MerchantKind::Ordinary.into(),
        opened_at: merchant.opened_s.map(|opened_s| instant(opened_s, day_offset_s)),
        categories: merchant.categories.clone(),
        region: merchant.region.clone(),
        ..Merchant::default()
    }
}

fn product_wire(product: &ProductProfile, day_offset_s: i64) -> Product {
    Product {
        product_id: product.product_id,
        name: product.name.clone(),
        merchant_id: product.merchant_id,
        categories: product.category.iter().cloned().collect(),
        listed_at: Some(instant(product.listed_s, day_offset_s)),
        ..Product::default()
    }
}

/// The instant whose Asia/Shanghai day is the day that the source's time is counted on. The source's days are taken
/// as the server's days, so an instant must keep its place in its day; otherwise a shop could open on the day after
/// its first order, or after the as-of day.
fn instant(time_s: i64, day_offset_s: i64) -> Timestamp {
    Timestamp { seconds: time_s + day_offset_s - SHANGHAI_OFFSET_S, nanos: 0 }
}

/// What was read and counted, in figures.
struct Summary {
    items: usize,
    orders: u64,
    later_orders: u64,
    merchants: usize,
    products: usize,
    rows: usize,
    first_day: Option<i32>,
    last_day: Option<i32>,
}

impl Summary {
    fn of(counted: &Aggregate, items: usize) -> Self {
        Self {
            items,
            orders: counted.orders,
            later_orders: counted.later_orders,
            merchants: counted.merchants.len(),
            products: counted.products.len(),
            rows: counted.rows.len(),
            first_day: counted.rows.keys().next().map(|(day, _)| *day),
            last_day: counted.rows.keys().next_back().map(|(day, _)| *day),
        }
    }

    fn text(&self) -> String {
        let Self { items, orders, later_orders, merchants, products, rows, .. } = self;
        let days = match (self.first_day, self.last_day) {
            (Some(first), Some(last)) => format!(" of {} to {}", day_text(first), day_text(last)),
            _ => String::new(),
        };
        let later = if *later_orders > 0 { format!(" ({later_orders} later ones left out)") } else { String::new() };
        format!(
            "{items} items read: {orders} orders by seller{later}, {merchants} merchants, {products} products, \
             {rows} merchant-days of facts{days}"
        )
    }

    fn json(&self) -> Value {
        json!({
            "items": self.items, "orders": self.orders, "later_orders": self.later_orders, "merchants": self.merchants,
            "products": self.products, "fact_rows": self.rows,
            "first_date": self.first_day.map(day_text), "last_date": self.last_day.map(day_text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::aggregate::{ForceMajeure, Rules};
    use super::{instant, name_of};
    use crate::cli::time::instant_text;

    #[test]
    fn the_name_follows_from_content_and_options() {
        let rules = Rules::default();
        let name = name_of(1, 2, "mapping", &rules);
        assert_eq!(name, name_of(1, 2, "mapping", &rules));
        let dated = Rules { as_of: Some(17_686), ..Rules::default() };
        let flood = ForceMajeure { region: "SP".to_owned(), first_day: 1, last_day: 2 };
        let exempt = Rules { force_majeure: vec![flood], ..Rules::default() };
        let others = [
            name_of(2, 2, "mapping", &rules),
            name_of(1, 3, "mapping", &rules),
            name_of(1, 2, "other", &rules),
            name_of(1, 2, "mapping", &dated),
            name_of(1, 2, "mapping", &exempt),
        ];
        assert!(!others.contains(&name));
        assert!(name.len() <= 128);
    }

    #[test]
    fn instants_keep_their_place_in_the_day() {
        // 2017-05-05 16:25:11 of the source stays 16:25:11 of the same day in Asia/Shanghai.
        assert_eq!(instant_text(Some(&instant(1_494_001_511, 0))), "2017-05-05T16:25:11+08:00");
        assert_eq!(instant(1_494_001_511, 8 * 3_600).seconds, 1_494_001_511, "true UTC times of a Shanghai source");
    }
}
