//! Order items in; facts per merchant and day, distinct-buyer levels and profiles out. No I/O.
//!
//! Everything counts **order × seller pairs**: the items of one order that belong to one seller are one order of
//! that seller. Every event is counted on its own day:
//!
//! | counter | day | what |
//! |---|---|---|
//! | `created_orders`, `cancelled_orders` | purchase | orders; those of them voided in the end |
//! | `paid_orders`, `paid_items`, `gmv_fen` | payment | orders, their items, the sum of their prices |
//! | `promised_orders` | payment | paid orders whose ship limit is at most the promise window after payment |
//! | `refunded_orders` | payment | paid orders voided in the end |
//! | `bad_orders` | payment | paid orders handed over late, delivered late or reviewed badly, as far as it is known |
//! | `shipments_due`, `shipped_on_time` | ship limit | paid and not (voided and never shipped); handed over by the limit |
//! | `force_majeure_orders` | ship limit | would be due, but sender or recipient was in a listed region on the paid day |
//! | `deliveries_due`, `delivered_on_time` | estimated delivery | paid and not voided; delivered by the estimate |
//! | `delivered_orders`, `reviews`, `negative_reviews`, `review_points` | delivery | paid or not; the review is known from then |
//!
//! Levels are `buyers_N` and `repeat_buyers_N` for N of 14, 30 and 90 days: the distinct buyers with at least one
//! (two) paid orders in the N days that end with the day, sent whenever they change.
//!
//! **As of a day.** With [`Rules::as_of`] only what happened before the first instant of that day is known: later
//! events are taken as not having happened, orders placed later as not existing, and nothing is emitted for that
//! day or a later one. A ship limit or estimate is a promise, not an event, and is known from the start. Whether an
//! order was voided has no time in the source: the final status counts as known all along. Since a shipment or
//! delivery on time precedes its limit, facts of two as-of days agree on every day that both cover, save for
//! orders paid after their ship limit or estimate had passed, and for `bad_orders`, which grows as more is known.
//!
//! Without an as-of day everything in the source is known, and promises of any later day are counted too.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use xxhash_rust::xxh3::xxh3_64;

use super::levels;
use super::rows::{DayRow, Flows};

mod outcome;

const DAY_S: i64 = 86_400;

/// One item of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderItem {
    /// Line of the source, for messages.
    pub line: u64,
    /// Id of the order.
    pub order: String,
    /// Number of the item in the order.
    pub item: u64,
    /// The seller; becomes the merchant id.
    pub seller: u64,
    /// Source id of the product.
    pub product: Option<String>,
    /// Category of the product.
    pub category: Option<String>,
    /// Price in fen.
    pub price_fen: u64,
    /// What all items of the order with this seller share.
    pub head: OrderHead,
}

/// What all items of one order with one seller share. Times are seconds since 1970-01-01.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderHead {
    /// Name or source id of the seller.
    pub seller_name: Option<String>,
    /// The person who bought.
    pub customer: String,
    /// Cancelled or not to be supplied in the end.
    pub voided: bool,
    /// When it was placed.
    pub purchased_s: i64,
    /// When it was paid.
    pub paid_s: Option<i64>,
    /// When it was handed to the carrier.
    pub shipped_s: Option<i64>,
    /// Until when it was to be handed over.
    pub ship_limit_s: Option<i64>,
    /// When it was delivered.
    pub delivered_s: Option<i64>,
    /// Until when it was to be delivered.
    pub estimated_s: Option<i64>,
    /// What the buyer thought of it.
    pub review: Option<Review>,
    /// Region it was sent to.
    pub recipient_region: Option<String>,
}

/// A review of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Review {
    /// Whether it counts as negative.
    pub negative: bool,
    /// Its score.
    pub points: u64,
}

/// Orders from or to a region, paid in these days, leave the shipping rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForceMajeure {
    /// The region.
    pub region: String,
    /// First day, counted from 1970-01-01.
    pub first_day: i32,
    /// Last day, counted from 1970-01-01.
    pub last_day: i32,
}

/// What is known of a seller beside the orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seller {
    /// Region goods are sent from.
    pub region: Option<String>,
    /// City, for the name.
    pub city: Option<String>,
}

/// What the counting depends on beside the items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Added to a time before its day is taken, in seconds.
    pub day_offset_s: i64,
    /// Only what happened before this day is known; counted from 1970-01-01.
    pub as_of: Option<i32>,
    /// Most seconds from payment to ship limit for an order to count as promised.
    pub promise_window_s: i64,
    /// Exempt regions.
    pub force_majeure: Vec<ForceMajeure>,
    /// Sellers by id.
    pub sellers: BTreeMap<u64, Seller>,
}

/// A merchant as the orders show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerchantProfile {
    /// The seller id.
    pub merchant_id: u64,
    /// City and the start of the seller's name where both are known.
    pub name: String,
    /// Region goods are sent from, empty if not known.
    pub region: String,
    /// Categories by paid orders, most first, then by name; at most 64.
    pub categories: Vec<String>,
    /// First payment, source time.
    pub opened_s: Option<i64>,
}

/// A product as the orders show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductProfile {
    /// xxh3-64 of the source id.
    pub product_id: u64,
    /// The source id.
    pub name: String,
    /// The seller of the first order; other sellers of it are not recorded.
    pub merchant_id: u64,
    /// Its category.
    pub category: Option<String>,
    /// First purchase, source time.
    pub listed_s: i64,
}

/// All that follows from the items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aggregate {
    /// Merchants in order of id.
    pub merchants: Vec<MerchantProfile>,
    /// Products in order of id.
    pub products: Vec<ProductProfile>,
    /// Facts by day and merchant.
    pub rows: BTreeMap<(i32, u64), DayRow>,
    /// Orders counted, as order × seller pairs.
    pub orders: u64,
    /// Orders left out because they were placed on the as-of day or later.
    pub later_orders: u64,
}

/// Items that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// One item stands in the source twice.
    #[error("item {item} of order {order} stands on line {first_line} already; every item may stand once")]
    Repeated {
        /// Line of the repetition.
        line: u64,
        /// Line of the first.
        first_line: u64,
        /// The order.
        order: String,
        /// The item's number.
        item: u64,
    },
    /// Two items of an order with one seller disagree.
    #[error("{column} of order {order} differs from line {first_line}; items of one order and seller must agree in it")]
    Disagree {
        /// Line of the item that disagrees.
        line: u64,
        /// Line of the order's first item.
        first_line: u64,
        /// The order.
        order: String,
        /// In what they disagree.
        column: &'static str,
    },
    /// Two products hash to one id.
    #[error("product {product} has the same 64-bit hash as {other}; rename one of them")]
    SameProductId {
        /// Line of one of them.
        line: u64,
        /// Its source id.
        product: String,
        /// The other's source id.
        other: String,
    },
}

impl Conflict {
    /// The line to look at.
    #[must_use]
    pub fn line(&self) -> u64 {
        match self {
            Self::Repeated { line, .. } | Self::Disagree { line, .. } | Self::SameProductId { line, .. } => *line,
        }
    }
}

/// Counts the items.
///
/// # Errors
/// Items that contradict each other.
pub fn aggregate(items: &[OrderItem], rules: &Rules) -> Result<Aggregate, Conflict> {
    let orders = orders_of(items)?;
    let mut book = Book { rules, until: until(items, rules), rows: BTreeMap::new(), shops: BTreeMap::new() };
    let mut later_orders = 0;
    for ((_, seller), items) in &orders {
        if items.first().is_some_and(|first| book.known(Some(first.head.purchased_s)).is_some()) {
            book.add(*seller, items);
        } else {
            later_orders += 1;
        }
    }
    let products = products_of(items, &book)?;
    let merchants = book.shops.iter().map(|(id, shop)| shop.profile(*id, rules)).collect();
    book.add_levels();
    let counted = u64::try_from(orders.len()).unwrap_or(u64::MAX) - later_orders;
    Ok(Aggregate { merchants, products, rows: book.rows, orders: counted, later_orders })
}

/// The day of a time of the source.
#[must_use]
pub fn day_of(time_s: i64, day_offset_s: i64) -> i32 {
    let day = time_s.saturating_add(day_offset_s).div_euclid(DAY_S);
    i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX })
}

type Orders<'a> = BTreeMap<(&'a str, u64), Vec<&'a OrderItem>>;

/// The items by order and seller, refusing those that contradict each other.
fn orders_of(items: &[OrderItem]) -> Result<Orders<'_>, Conflict> {
    let mut seen = BTreeMap::new();
    let mut orders: Orders<'_> = BTreeMap::new();
    for item in items {
        let (line, order) = (item.line, item.order.clone());
        if let Some(first_line) = seen.insert((item.order.as_str(), item.item), line) {
            return Err(Conflict::Repeated { line, first_line, order, item: item.item });
        }
        let pair = orders.entry((&item.order, item.seller)).or_default();
        if let Some(first) = pair.first()
            && let Some(column) = difference(&first.head, &item.head)
        {
            return Err(Conflict::Disagree { line, first_line: first.line, order, column });
        }
        pair.push(item);
    }
    Ok(orders)
}

/// In what two heads differ.
fn difference(a: &OrderHead, b: &OrderHead) -> Option<&'static str> {
    let columns = [
        ("the seller's name", a.seller_name == b.seller_name),
        ("the customer", a.customer == b.customer),
        ("the status", a.voided == b.voided),
        ("the purchase time", a.purchased_s == b.purchased_s),
        ("the payment time", a.paid_s == b.paid_s),
        ("the hand-over time", a.shipped_s == b.shipped_s),
        ("the ship limit", a.ship_limit_s == b.ship_limit_s),
        ("the delivery time", a.delivered_s == b.delivered_s),
        ("the estimated delivery", a.estimated_s == b.estimated_s),
        ("the review", a.review == b.review),
        ("the recipient's region", a.recipient_region == b.recipient_region),
    ];
    columns.into_iter().find(|(_, same)| !same).map(|(column, _)| column)
}

/// The first day for which nothing is emitted.
fn until(items: &[OrderItem], rules: &Rules) -> i32 {
    let last = || {
        let heads = items.iter().map(|item| &item.head);
        heads
            .flat_map(|head| {
                [Some(head.purchased_s), head.paid_s, head.ship_limit_s, head.delivered_s, head.estimated_s]
            })
            .flatten()
            .max()
            .map_or(i32::MIN, |time_s| day_of(time_s, rules.day_offset_s).saturating_add(1))
    };
    rules.as_of.unwrap_or_else(last)
}

/// What is gathered of one merchant.
#[derive(Default)]
struct Shop<'a> {
    name: Option<&'a str>,
    opened_s: Option<i64>,
    /// Paid orders by category.
    categories: BTreeMap<&'a str, u64>,
    /// Paid days by buyer, one per order.
    paid_days: BTreeMap<&'a str, Vec<i32>>,
}

impl Shop<'_> {
    fn profile(&self, merchant_id: u64, rules: &Rules) -> MerchantProfile {
        const MOST_CATEGORIES: usize = 64;
        let mut categories: Vec<_> = self.categories.iter().collect();
        // Stable: names of equal count stay in order.
        categories.sort_by_key(|(_, orders)| std::cmp::Reverse(**orders));
        let seller = rules.sellers.get(&merchant_id);
        let city = seller.and_then(|seller| seller.city.as_deref());
        let name = match (city, self.name) {
            (Some(city), Some(name)) => format!("{city} {}", name.chars().take(8).collect::<String>()),
            (Some(name), None) | (None, Some(name)) => name.to_owned(),
            (None, None) => format!("merchant {merchant_id}"),
        };
        MerchantProfile {
            merchant_id,
            name,
            region: seller.and_then(|seller| seller.region.clone()).unwrap_or_default(),
            categories: categories.into_iter().take(MOST_CATEGORIES).map(|(name, _)| (*name).to_owned()).collect(),
            opened_s: self.opened_s,
        }
    }
}

struct Book<'a> {
    rules: &'a Rules,
    until: i32,
    rows: BTreeMap<(i32, u64), DayRow>,
    shops: BTreeMap<u64, Shop<'a>>,
}

impl<'a> Book<'a> {
    fn day(&self, time_s: i64) -> i32 {
        day_of(time_s, self.rules.day_offset_s)
    }

    /// The time of an event, if it is known by the as-of day.
    fn known(&self, time_s: Option<i64>) -> Option<i64> {
        time_s.filter(|time_s| self.rules.as_of.is_none_or(|as_of| self.day(*time_s) < as_of))
    }

    /// The counts of the day of a time, unless it is not covered.
    fn flows(&mut self, seller: u64, time_s: i64) -> Option<&mut Flows> {
        let day = self.day(time_s);
        (day < self.until).then(|| &mut self.rows.entry((day, seller)).or_default().flows)
    }

    /// Counts one order of one seller, whose purchase is known.
    fn add(&mut self, seller: u64, items: &[&'a OrderItem]) {
        let Some(head) = items.first().map(|first| &first.head) else { return };
        let shop = self.shops.entry(seller).or_default();
        shop.name = shop.name.or(head.seller_name.as_deref());
        if let Some(flows) = self.flows(seller, head.purchased_s) {
            flows.created_orders += 1;
            flows.cancelled_orders += u64::from(head.voided);
        }
        let paid_s = self.known(head.paid_s);
        if let Some(paid_s) = paid_s {
            self.add_payment(seller, head, paid_s, items);
            self.add_promises(seller, head, paid_s);
        }
        self.add_categories(seller, items, paid_s.is_some());
        self.add_delivery(seller, head);
    }

    fn add_payment(&mut self, seller: u64, head: &'a OrderHead, paid_s: i64, items: &[&OrderItem]) {
        let window_s = self.rules.promise_window_s;
        let day = self.day(paid_s);
        let shop = self.shops.entry(seller).or_default();
        shop.opened_s = Some(shop.opened_s.map_or(paid_s, |opened_s| opened_s.min(paid_s)));
        shop.paid_days.entry(&head.customer).or_default().push(day);
        let is_bad = self.is_bad(seller, head, paid_s);
        let Some(flows) = self.flows(seller, paid_s) else { return };
        flows.paid_orders += 1;
        flows.bad_orders += u64::from(is_bad);
        flows.paid_items += u64::try_from(items.len()).unwrap_or(u64::MAX);
        flows.gmv_fen = items.iter().fold(flows.gmv_fen, |sum, item| sum.saturating_add(item.price_fen));
        flows.refunded_orders += u64::from(head.voided);
        let promised = head.ship_limit_s.is_some_and(|limit_s| limit_s.saturating_sub(paid_s) <= window_s);
        flows.promised_orders += u64::from(promised);
    }

    /// Counts what was promised for a paid order on the days it was promised for.
    fn add_promises(&mut self, seller: u64, head: &OrderHead, paid_s: i64) {
        let shipped_s = self.known(head.shipped_s);
        let exempt = self.exempt(seller, head, paid_s);
        if let Some(limit_s) = head.ship_limit_s
            && !(head.voided && shipped_s.is_none())
            && let Some(flows) = self.flows(seller, limit_s)
        {
            if exempt {
                flows.force_majeure_orders += 1;
            } else {
                flows.shipments_due += 1;
                flows.shipped_on_time += u64::from(shipped_s.is_some_and(|shipped_s| shipped_s <= limit_s));
            }
        }
        let delivered_s = self.known(head.delivered_s);
        if let Some(estimated_s) = head.estimated_s
            && !head.voided
            && let Some(flows) = self.flows(seller, estimated_s)
        {
            flows.deliveries_due += 1;
            flows.delivered_on_time += u64::from(delivered_s.is_some_and(|delivered_s| delivered_s <= estimated_s));
        }
    }

    fn add_delivery(&mut self, seller: u64, head: &OrderHead) {
        let Some(delivered_s) = self.known(head.delivered_s) else { return };
        let Some(flows) = self.flows(seller, delivered_s) else { return };
        flows.delivered_orders += 1;
        if let Some(review) = head.review {
            flows.reviews += 1;
            flows.negative_reviews += u64::from(review.negative);
            flows.review_points = flows.review_points.saturating_add(review.points);
        }
    }

    /// Counts the order once in each of its categories; unpaid orders only make a category known.
    fn add_categories(&mut self, seller: u64, items: &[&'a OrderItem], paid: bool) {
        let mut names: Vec<&str> = items.iter().filter_map(|item| item.category.as_deref()).collect();
        names.sort_unstable();
        names.dedup();
        let shop = self.shops.entry(seller).or_default();
        for name in names {
            *shop.categories.entry(name).or_default() += u64::from(paid);
        }
    }

    fn add_levels(&mut self) {
        for (seller, shop) in &self.shops {
            for level in &levels::LEVELS {
                for (day, change) in levels::changes(shop.paid_days.values(), level.days, self.until) {
                    let row = self.rows.entry((day, *seller)).or_default();
                    row.levels.extend(change.buyers.map(|buyers| (level.buyers, buyers)));
                    row.levels.extend(change.repeat_buyers.map(|buyers| (level.repeat_buyers, buyers)));
                }
            }
        }
    }
}

/// The products of all known orders.
fn products_of(items: &[OrderItem], book: &Book<'_>) -> Result<Vec<ProductProfile>, Conflict> {
    let mut products: BTreeMap<u64, ProductProfile> = BTreeMap::new();
    for item in items {
        let Some(product) = &item.product else { continue };
        let Some(listed_s) = book.known(Some(item.head.purchased_s)) else { continue };
        // Zero names nothing on the wire.
        let product_id = xxh3_64(product.as_bytes()).max(1);
        let category = item.category.clone();
        let found = ProductProfile { product_id, name: product.clone(), merchant_id: item.seller, category, listed_s };
        match products.entry(product_id) {
            Entry::Vacant(entry) => {
                entry.insert(found);
            }
            Entry::Occupied(mut entry) => {
                if entry.get().name != *product {
                    let other = entry.get().name.clone();
                    return Err(Conflict::SameProductId { line: item.line, product: product.clone(), other });
                }
                if found.listed_s < entry.get().listed_s {
                    entry.insert(found);
                }
            }
        }
    }
    Ok(products.into_values().collect())
}

#[cfg(test)]
mod tests;
