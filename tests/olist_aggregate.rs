//! The built-in order mapping against a real marketplace: what the importer would send, summed over windows, equals
//! the figures that were counted independently. Runs where the shared data lies beside the crate.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use serde_json::Value;
use trustflow::cli::orders::aggregate::{Aggregate, Rules, aggregate};
use trustflow::cli::orders::mapping::Mapping;
use trustflow::cli::orders::records::{Items, read_items, read_sellers};
use trustflow::cli::orders::rows::{DayRow, Flows};

/// Window figures of the profiles that are sums of one counter.
const SUMS: [(&str, &str); 12] = [
    ("created", "created_orders"),
    ("voided", "cancelled_orders"),
    ("paid_orders", "paid_orders"),
    ("gmv", "gmv_fen"),
    ("paid_then_voided", "refunded_orders"),
    ("ship_due", "shipments_due"),
    ("ship_ontime", "shipped_on_time"),
    ("deliver_due", "deliveries_due"),
    ("deliver_ontime", "delivered_on_time"),
    ("reviewed", "reviews"),
    ("low_reviews", "negative_reviews"),
    ("promise_48h", "promised_orders"),
];
const WEEK_SUMS: [(&str, &str); 12] = [
    ("created", "created_orders"),
    ("voided", "cancelled_orders"),
    ("paid", "paid_orders"),
    ("paid_items", "paid_items"),
    ("gmv", "gmv_fen"),
    ("ship_due", "shipments_due"),
    ("ship_ontime", "shipped_on_time"),
    ("deliver_due", "deliveries_due"),
    ("deliver_ontime", "delivered_on_time"),
    ("reviewed", "reviews"),
    ("low_reviews", "negative_reviews"),
    ("delivered", "delivered_orders"),
];

/// The data folder; `None` and a line when there is none.
fn data() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/olist");
    if folder.join("olist_items.jsonl.gz").exists() {
        return Some(folder);
    }
    eprintln!("skipped: no ../shared/data/olist beside the crate");
    None
}

/// Read once for all tests.
static SOURCE: LazyLock<Option<Source>> = LazyLock::new(Source::read);

struct Source {
    folder: PathBuf,
    mapping: Mapping,
    items: Items,
}

impl Source {
    fn read() -> Option<Self> {
        let folder = data()?;
        let (mapping, _) = Mapping::load(None).expect("the built-in mapping");
        let file = folder.join("olist_items.jsonl.gz");
        let items = read_items(&file.display().to_string(), &mapping).expect("the items");
        assert_eq!(items.items.len(), 112_650);
        Some(Self { folder, mapping, items })
    }

    fn count(&self, as_of: Option<i32>) -> Aggregate {
        let sellers = self.folder.join("olist_sellers.jsonl").display().to_string();
        let (sellers, _) = read_sellers(&sellers, &self.mapping).expect("the sellers");
        let rules = Rules {
            day_offset_s: self.mapping.day_offset_hours * 3_600,
            as_of,
            promise_window_s: self.mapping.promise_window_hours * 3_600,
            force_majeure: Vec::new(),
            sellers,
        };
        aggregate(&self.items.items, &rules).expect("no contradiction")
    }

    fn rows(&self, file: &str) -> Vec<Value> {
        let mut text = String::new();
        let packed = std::fs::File::open(self.folder.join(file)).expect("the file");
        GzDecoder::new(packed).read_to_string(&mut text).expect("the text");
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }
}

/// Counters by merchant, then day: what a server holds after the import.
type Facts = BTreeMap<u64, BTreeMap<i32, BTreeMap<&'static str, u64>>>;

fn facts(aggregate: &Aggregate) -> Facts {
    let mut facts = Facts::new();
    for ((day, merchant), row) in &aggregate.rows {
        facts.entry(*merchant).or_default().insert(*day, row.cells().into_iter().collect());
    }
    facts
}

/// A flow over the days from `first` up to, not including, `until`.
fn sum(facts: &Facts, merchant: u64, counter: &str, first: i32, until: i32) -> u64 {
    let days = facts.get(&merchant).into_iter().flat_map(|days| days.range(first..until));
    days.filter_map(|(_, cells)| cells.get(counter)).sum()
}

/// A level on the last day before `until`.
fn level(facts: &Facts, merchant: u64, counter: &str, until: i32) -> u64 {
    let days = facts.get(&merchant).into_iter().flat_map(|days| days.range(..until));
    days.filter_map(|(_, cells)| cells.get(counter)).next_back().copied().unwrap_or(0)
}

/// Money in the files is in units with two decimals.
fn fen(value: &Value) -> u64 {
    format!("{:.0}", value.as_f64().expect("money") * 100.0).parse().expect("whole fen")
}

fn figure(row: &Value, name: &str) -> u64 {
    if name.starts_with("gmv") { fen(&row[name]) } else { row[name].as_u64().expect(name) }
}

fn day(text: &str) -> i32 {
    let date: jiff::civil::Date = text.parse().expect("a date");
    date.since(jiff::civil::date(1970, 1, 1)).expect("a span").get_days()
}

/// How many agree, by figure.
#[derive(Default)]
struct Agreement(BTreeMap<String, (u64, u64)>);

impl Agreement {
    fn note(&mut self, figure: String, same: bool) {
        let (agree, all) = self.0.entry(figure).or_default();
        *agree += u64::from(same);
        *all += 1;
    }

    /// Prints all figures; every one must agree for all sellers but those known not to, by exact number.
    fn check(&self, title: &str, known: &[(&str, u64)]) {
        eprintln!("{title}");
        for (figure, (agree, all)) in &self.0 {
            eprintln!("  {figure:<24} {agree} of {all} agree");
        }
        for (figure, (agree, all)) in &self.0 {
            let differ = known.iter().find(|(name, _)| name == figure).map_or(0, |(_, differ)| *differ);
            assert_eq!(all - agree, differ, "{title}: {figure}");
        }
    }
}

fn compare_profiles(source: &Source, as_of: &str, known: &[(&str, u64)]) {
    let until = day(as_of);
    let counted = source.count(Some(until));
    let facts = facts(&counted);
    assert!(counted.rows.keys().all(|(day, _)| *day < until), "nothing of the as-of day or later");
    let rows = source.rows(&format!("olist_profiles_asof_{as_of}.jsonl.gz"));
    let merchants: BTreeMap<u64, _> =
        counted.merchants.iter().map(|merchant| (merchant.merchant_id, merchant)).collect();
    let sellers: BTreeSet<u64> = rows.iter().map(|row| row["seller_ix"].as_u64().expect("an id")).collect();
    assert_eq!(merchants.keys().copied().collect::<BTreeSet<_>>(), sellers, "the same sellers");
    let mut agreement = Agreement::default();
    for row in &rows {
        let seller = row["seller_ix"].as_u64().expect("an id");
        for days in [30, 90] {
            for (figure_name, counter) in SUMS {
                let name = format!("{figure_name}_{days}d");
                let ours = sum(&facts, seller, counter, until - days, until);
                let same = if figure_name == "promise_48h" {
                    share_agrees(
                        &row[format!("promise_48h_share_{days}d")],
                        ours,
                        figure(row, &format!("paid_orders_{days}d")),
                    )
                } else {
                    ours == figure(row, &name)
                };
                agreement.note(name, same);
            }
            for counter in [format!("buyers_{days}d"), format!("repeat_buyers_{days}d")] {
                let same = level(&facts, seller, &counter, until) == figure(row, &counter);
                agreement.note(counter, same);
            }
        }
        let weeks: Vec<u64> =
            (1..=4).rev().map(|k| sum(&facts, seller, "paid_orders", until - 7 * k, until - 7 * (k - 1))).collect();
        agreement.note("paid_orders_week".to_owned(), Value::from(weeks) == row["paid_orders_week"]);
        let merchant = merchants.get(&seller).expect("a merchant");
        agreement.note(
            "paid_orders_total".to_owned(),
            sum(&facts, seller, "paid_orders", i32::MIN, until) == figure(row, "paid_orders_total"),
        );
        agreement
            .note("gmv_total".to_owned(), sum(&facts, seller, "gmv_fen", i32::MIN, until) == figure(row, "gmv_total"));
        agreement.note("first_paid_ts".to_owned(), merchant.opened_s == row["first_paid_ts"].as_i64());
        agreement.note("state".to_owned(), Some(merchant.region.as_str()) == row["state"].as_str());
        if let Some(main) = row["main_category"].as_str() {
            agreement.note("main_category".to_owned(), merchant.categories.first().is_some_and(|first| first == main));
        }
    }
    agreement.check(&format!("profiles as of {as_of}, {} sellers", rows.len()), known);
}

/// A share of paid orders, null without any.
fn share_agrees(share: &Value, part: u64, whole: u64) -> bool {
    match share.as_f64() {
        None => whole == 0,
        Some(share) => {
            (share * f64::from(u32::try_from(whole).expect("small")) - f64::from(u32::try_from(part).expect("small")))
                .abs()
                < 0.01
        }
    }
}

/// Two definitions differ from the files' on purpose, both outside what the files must confirm:
/// `refunded_orders` counts on the paid day, `paid_then_voided_N` those *placed* in the window; and a merchant's main
/// category is that of most paid orders, in the files that of most paid items.
#[test]
fn facts_as_of_a_day_equal_the_profiles() {
    let Some(source) = &*SOURCE else { return };
    let march = [("paid_then_voided_30d", 3), ("paid_then_voided_90d", 1), ("main_category", 30)];
    compare_profiles(source, "2018-03-05", &march);
    compare_profiles(source, "2018-06-04", &[("main_category", 43)]);
}

#[test]
fn facts_of_everything_equal_the_weeks() {
    let Some(source) = &*SOURCE else { return };
    let counted = source.count(None);
    assert_eq!((counted.orders, counted.later_orders), (100_010, 0));
    assert_eq!((counted.merchants.len(), counted.products.len()), (3_095, 32_951));
    let facts = facts(&counted);
    let mut agreement = Agreement::default();
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for row in source.rows("olist_seller_weeks.jsonl.gz") {
        let seller = row["seller_ix"].as_u64().expect("an id");
        let monday = day(row["week"].as_str().expect("a week"));
        for (name, counter) in WEEK_SUMS {
            let theirs = figure(&row, name);
            agreement.note(name.to_owned(), sum(&facts, seller, counter, monday, monday + 7) == theirs);
            *totals.entry(counter).or_default() += theirs;
        }
    }
    agreement.check("seller weeks", &[]);
    for (counter, total) in totals {
        let ours: u64 = facts.keys().map(|seller| sum(&facts, *seller, counter, i32::MIN, i32::MAX)).sum();
        assert_eq!(ours, total, "{counter}: nothing outside the weeks of the file");
    }
}

/// An import as of a later day only adds days: on those that an earlier one covered it says the same, but for orders
/// that went wrong since.
#[test]
fn a_later_as_of_day_only_adds_days() {
    let Some(source) = &*SOURCE else { return };
    let early = source.count(Some(day("2018-03-05")));
    let late = source.count(Some(day("2018-06-04")));
    let mut went_wrong = 0;
    let mut same = |row: &DayRow, later: &DayRow| {
        assert!(later.flows.bad_orders >= row.flows.bad_orders, "a bad order stays bad");
        went_wrong += later.flows.bad_orders - row.flows.bad_orders;
        let flows = Flows { bad_orders: row.flows.bad_orders, ..later.flows.clone() };
        DayRow { flows, ..later.clone() } == *row
    };
    let differ =
        early.rows.iter().filter(|(key, row)| !late.rows.get(key).is_some_and(|later| same(row, later))).count();
    assert!(went_wrong > 100, "{went_wrong} orders paid before the first day went wrong after it");
    let unknown = late.rows.range(..(day("2018-03-05"), 0)).filter(|(key, _)| !early.rows.contains_key(key)).count();
    eprintln!(
        "{} merchant-days as of 2018-03-05, of which {differ} differ as of 2018-06-04; {unknown} more appear",
        early.rows.len()
    );
    assert_eq!((differ, unknown), (0, 0));
}
