//! What must hold of the population.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::counters::{FLOWS, Level};
use super::{GENERATED_COUNT, Population, cases, named, populate, population};
use crate::domain::{
    CounterId, Day, MAX_CELLS_PER_ROW, Merchant, MerchantKind, Profile, ProfileKey, Subject, Timestamp, share,
};

/// A Monday, 10:30 in Shanghai.
fn monday() -> Timestamp {
    Day::parse("2024-11-18").expect("a date").start().plus_ms(37_800_000)
}

/// The whole population of that day: the one that takes a while, made once.
static WHOLE: LazyLock<Population> = LazyLock::new(|| population(monday(), &id));

fn id(name: &str) -> Option<CounterId> {
    let flows = FLOWS.iter().map(|entry| entry.name).filter(|name| !name.is_empty());
    let position = flows.chain(Level::ALL.iter().map(|level| level.name())).position(|known| known == name)?;
    u16::try_from(position).ok().map(CounterId)
}

/// Facts by subject and by days before the last closed day.
struct Figures<'a> {
    population: &'a Population,
    by_subject: BTreeMap<Subject, BTreeMap<i32, usize>>,
}

impl<'a> Figures<'a> {
    fn new(population: &'a Population, now: Timestamp) -> Self {
        let last = now.day().plus(-1);
        let mut by_subject: BTreeMap<Subject, BTreeMap<i32, usize>> = BTreeMap::new();
        for (position, row) in population.rows.iter().enumerate() {
            let before = by_subject.entry(row.subject).or_default().insert(last.days_since(row.day), position);
            assert!(before.is_none(), "one row for a subject and day: {row:?}");
        }
        Self { population, by_subject }
    }

    fn sum(&self, merchant: u64, counter: &str, days: std::ops::Range<i32>) -> u64 {
        let counter = id(counter).expect("a counter");
        let rows = self.by_subject.get(&Subject::Merchant(crate::domain::MerchantId(merchant)));
        rows.map_or(0, |rows| {
            let rows = rows.range(days).filter_map(|(_, row)| self.population.rows[*row].facts.get(counter));
            rows.sum()
        })
    }

    fn level(&self, merchant: u64, counter: &str) -> u64 {
        self.sum(merchant, counter, 0..1)
    }
}

fn merchants(population: &Population) -> BTreeMap<u64, &Merchant> {
    let found = population.profiles.iter().filter_map(|profile| match profile {
        Profile::Merchant(merchant) => Some((merchant.id.0, merchant.as_ref())),
        Profile::Product(_) | Profile::LiveRoom(_) | Profile::ShortVideo(_) | Profile::Provider(_) => None,
    });
    found.collect()
}

/// Flows of which the first is never above the second.
const BOUNDS: [(&str, &str); 38] = [
    ("promised_orders", "paid_orders"),
    ("lightning_buy_orders", "paid_orders"),
    ("refunded_orders", "paid_orders"),
    ("force_majeure_orders", "paid_orders"),
    ("protected_orders", "paid_orders"),
    ("fan_orders", "paid_orders"),
    ("new_buyer_orders", "paid_orders"),
    ("reviews", "paid_orders"),
    ("paid_orders", "created_orders"),
    ("cancelled_orders", "created_orders"),
    ("shipped_on_time", "shipments_due"),
    ("abnormal_collections", "collections_due"),
    ("delivered_orders", "deliveries_due"),
    ("delivered_on_time", "delivered_orders"),
    ("negative_reviews", "reviews"),
    ("reports_upheld", "reports"),
    ("intercepted_listings", "submitted_listings"),
    ("authenticity_failures", "authenticity_checks"),
    ("jury_votes_against", "jury_votes"),
    ("claims_due", "protected_orders"),
    ("claims_honoured", "claims_due"),
    ("freight_claims_honoured", "freight_claims_due"),
    ("after_sales_on_time", "after_sales_requests"),
    ("liable_refunds", "refunded_orders"),
    ("quality_returns", "refunded_orders"),
    ("description_mismatches", "refunded_orders"),
    ("disputes_lost", "disputes"),
    ("im_replied_on_time", "im_sessions"),
    ("follow_page_gmv_fen", "gmv_live_fen"),
    ("follow_page_exposures", "exposures_live"),
    ("gmv_live_fen", "gmv_fen"),
    ("repeat_buyers_14d", "buyers_14d"),
    ("repeat_buyers_30d", "buyers_30d"),
    ("repeat_buyers_90d", "buyers_90d"),
    ("buyers_14d", "buyers_30d"),
    ("buyers_30d", "buyers_90d"),
    ("repeat_buyers_14d", "repeat_buyers_30d"),
    ("repeat_buyers_30d", "repeat_buyers_90d"),
];

#[test]
fn every_row_agrees_with_itself() {
    let now = monday();
    let population = populate(now, &id, 3_000);
    let bounds: Vec<_> = BOUNDS.iter().map(|(part, whole)| (id(part).expect(part), id(whole).expect(whole))).collect();
    let scenes = ["live", "short_video", "image_text", "search", "mall", "store"];
    let scenes: Vec<_> = scenes.iter().filter_map(|scene| id(&format!("gmv_{scene}_fen"))).collect();
    assert_eq!(scenes.len(), 6);
    let [gmv, promised, lightning, paid, reviews, points, created, ratings, rating_points] = [
        "gmv_fen",
        "promised_orders",
        "lightning_buy_orders",
        "paid_orders",
        "reviews",
        "review_points",
        "created_orders",
        "anchor_ratings",
        "anchor_rating_points",
    ]
    .map(|name| id(name).expect(name));
    for row in &population.rows {
        let get = |counter| row.facts.get(counter).unwrap_or(0);
        assert!(row.day < now.day() && !row.facts.cells().is_empty(), "{row:?}");
        assert!(row.facts.cells().len() <= MAX_CELLS_PER_ROW);
        assert!(get(points) <= 5 * get(reviews) && get(rating_points) <= 5 * get(ratings), "{row:?}");
        if matches!(row.subject, Subject::Item(_)) {
            continue;
        }
        for &(part, whole) in &bounds {
            let allowed = get(whole) + u64::from(whole == created);
            assert!(get(part) <= allowed, "{part:?} {} above {whole:?} {} in {row:?}", get(part), get(whole));
        }
        assert!(get(promised) + get(lightning) <= get(paid), "{row:?}");
        assert!(scenes.iter().map(|scene| get(*scene)).sum::<u64>() <= get(gmv), "{row:?}");
    }
}

#[test]
fn the_same_now_gives_the_same_and_another_day_only_shifts_it() {
    let now = monday();
    let first = populate(now, &id, 500);
    assert_eq!(first, populate(now, &id, 500));
    let later = populate(now.plus_ms(3 * crate::domain::DAY_MS), &id, 500);
    assert_eq!(first.rows.len(), later.rows.len());
    assert!(
        first
            .rows
            .iter()
            .zip(&later.rows)
            .all(|(a, b)| (a.subject, a.day.plus(3), &a.facts) == (b.subject, b.day, &b.facts))
    );
    assert!(first.profiles.iter().map(Profile::key).eq(later.profiles.iter().map(Profile::key)));
    let shifted = |a: &super::HeldRight, b: &super::HeldRight| a.from.plus_ms(3 * crate::domain::DAY_MS) == b.from;
    assert!(
        first
            .rights
            .iter()
            .zip(&later.rights)
            .all(|(a, b)| a.0 == b.0 && a.1.iter().zip(&b.1).all(|(a, b)| shifted(a, b)))
    );
    assert!(
        first
            .violations
            .iter()
            .zip(&later.violations)
            .all(|(a, b)| { a.id == b.id && a.occurred_at.plus_ms(3 * crate::domain::DAY_MS) == b.occurred_at })
    );
}

#[test]
fn the_population_is_bounded_and_its_ids_differ() {
    let now = monday();
    let population = &*WHOLE;
    assert!(population.rows.len() <= 500_000, "{} rows", population.rows.len());
    let keys: BTreeSet<ProfileKey> = population.profiles.iter().map(Profile::key).collect();
    assert_eq!(keys.len(), population.profiles.len());
    let merchants = merchants(population);
    assert_eq!(merchants.keys().filter(|id| **id >= 1_000).count(), usize::try_from(GENERATED_COUNT).expect("small"));
    for profile in &population.profiles {
        let owner = profile.owner();
        assert!(owner.is_none_or(|owner| merchants.contains_key(&owner.0)), "{profile:?}");
    }
    for merchant in merchants.values() {
        assert!(keys.contains(&ProfileKey::Item(crate::domain::ItemId {
            kind: crate::domain::ItemKind::LiveRoom,
            id: super::live_room_id(merchant.id, 0),
        })));
        assert!(merchant.opened_at.is_none_or(|opened| opened < now));
        assert!(!merchant.name.is_empty() && merchant.name.chars().count() <= 256);
    }
    let violations: BTreeSet<u64> = population.violations.iter().map(|violation| violation.id).collect();
    assert_eq!(violations.len(), population.violations.len());
    for violation in &population.violations {
        assert!(violation.occurred_at <= now && merchants.contains_key(&violation.merchant.0));
        assert!(violation.item.is_none_or(|item| keys.contains(&ProfileKey::Item(item))), "{violation:?}");
        let opened = merchants[&violation.merchant.0].opened_at;
        assert!(opened.is_none_or(|opened| opened <= violation.occurred_at), "{violation:?}");
    }
    for row in &population.rows {
        let key = match row.subject {
            Subject::Merchant(merchant) => ProfileKey::Merchant(merchant),
            Subject::Item(item) => ProfileKey::Item(item),
        };
        assert!(keys.contains(&key));
        let opened = merchants.get(&key_merchant(row.subject)).and_then(|merchant| merchant.opened_at);
        assert!(opened.is_none_or(|opened| opened.day() <= row.day), "no facts before opening: {row:?}");
    }
}

fn key_merchant(subject: Subject) -> u64 {
    match subject {
        Subject::Merchant(merchant) => merchant.0,
        Subject::Item(item) => item.id % 1_000_000 / 10,
    }
}

#[test]
fn named_merchants_show_the_figures_they_publish() {
    let now = monday();
    let population = &*WHOLE;
    let figures = Figures::new(population, now);
    let yuan = |merchant, days| figures.sum(merchant, "gmv_fen", days) / 100;

    assert!(yuan(named::YEXIN, 0..30) > 10_000_000);
    assert!((1_900_000..2_200_000).contains(&(yuan(named::YEXIN, 90..180) / 2)), "two months of the first 2 M");
    assert!(yuan(named::YEXIN, 0..30) / figures.sum(named::YEXIN, "paid_orders", 0..30) > 700);
    assert_eq!(figures.level(named::YEXIN, "fan_purchase_rate"), 7_671);
    let exposures = figures.sum(named::YEXIN, "follow_page_exposures", 0..30);
    let per_thousand = figures.sum(named::YEXIN, "follow_page_gmv_fen", 0..30) * 10 / exposures;
    assert_eq!(per_thousand, 3_200);

    let bought_again = |merchant, days: i32| {
        let again = figures.level(merchant, &format!("repeat_buyers_{days}d"));
        again * 10_000 / figures.level(merchant, &format!("buyers_{days}d"))
    };
    assert_eq!(bought_again(named::LAIRUN, 30), 4_000);
    assert_eq!(bought_again(named::LAIRUN, 90), 7_600);
    assert!(bought_again(named::TONGERPU_DAHAI, 30) > 8_000);
    assert_eq!(figures.sum(named::TONGERPU_DAHAI, "broadcast_minutes", 0..7), 7 * 7 * 60);
    assert!(yuan(named::TONGERPU_DAHAI, 3..4) > 1_000_000);

    let scenes = ["live", "short_video", "image_text", "search", "mall", "store"];
    let first_week: u64 =
        scenes.iter().map(|scene| figures.sum(named::PANJIN_BAISHI_RICE, &format!("exposures_{scene}"), 0..7)).sum();
    assert!(first_week > 1_000_000, "{first_week}");
    assert!(yuan(named::DOUBLE_STAR, 0..30) > 1_500_000);
    assert!(yuan(cases::GRADUATE, 0..30) > 2_000_000);
    assert!(yuan(named::CC_DATONGTONG, 7..8) > 15_000_000);
    assert!(yuan(named::ZHANG_MING, 4..5) > 1_000_000);
    assert!((3_700_000..4_000_000).contains(&yuan(named::SHENZHEN_OUHUO_CHAOJIE, 5..6)));
    assert!((9_500_000..10_000_000).contains(&yuan(named::YINIAN, 6..7)));
    let big_days = (0..14).filter(|day| yuan(named::JUNJUN, *day..day + 1) > 1_000_000).count();
    assert_eq!(big_days, 4);
    assert!(yuan(named::JUNJUN, 0..30) > yuan(named::JUNJUN, 365..395) * 33 / 10, "up by 230 %");
    assert!(figures.sum(named::JUNJUN, "seeding_videos", 0..7) >= 7);
    let year_before = |merchant| yuan(merchant, 0..30) / yuan(merchant, 365..395);
    assert_eq!([11, 12, 13, 14].map(|brand| year_before(brand) >= if brand == 11 { 25 } else { 5 }), [true; 4]);
    let catering = |days| figures.sum(cases::LOCAL_CATERING, "paid_orders", days) * 100;
    assert!(catering(0..30) >= catering(30..60) / 100 * 245, "up by 145 %");

    let merchants = merchants(population);
    assert_eq!(merchants[&named::YEXIN].kind, MerchantKind::KuaiBrand);
    assert_eq!(merchants[&named::CC_DATONGTONG].fan_count, 1_300_000);
    assert!(now.day().days_since(merchants[&named::PANJIN_BAISHI_RICE].opened_at.expect("known").day()) < 7);
}

#[test]
fn the_waiver_is_met_and_missed_on_every_day_of_the_week() {
    for weekday in 0..7 {
        let now = monday().plus_ms(weekday * crate::domain::DAY_MS);
        let population = &populate(now, &id, 0);
        let figures = Figures::new(population, now);
        let week = now.day().week().previous();
        let last = now.day().plus(-1);
        let days = last.days_since(week.sunday())..last.days_since(week.monday()) + 1;
        let meets = |merchant| {
            let sum = |counter| figures.sum(merchant, counter, days.clone());
            let paid = sum("paid_orders");
            assert!(share::is_at_least(sum("shipped_on_time"), sum("shipments_due"), 9_700));
            assert_eq!(sum("shipped_on_time") * 100, sum("shipments_due") * 97);
            assert!(share::is_above(sum("promised_orders"), paid, 7_000));
            assert_eq!(sum("lightning_buy_orders"), 0);
            paid
        };
        assert_eq!(meets(cases::WAIVER_MET), 3_001);
        assert_eq!(meets(cases::WAIVER_USED), 3_001);
        assert_eq!(meets(cases::WAIVER_MISSED), 3_000);
    }
}

#[test]
fn the_generated_differ_as_real_ones_do() {
    let now = monday();
    let population = &*WHOLE;
    let figures = Figures::new(population, now);
    let merchants = merchants(population);
    let generated = || merchants.values().filter(|merchant| merchant.id.0 >= 1_000);
    let mut orders: Vec<u64> = generated().map(|merchant| figures.sum(merchant.id.0, "paid_orders", 0..30)).collect();
    orders.sort_unstable();
    let total: u64 = orders.iter().sum();
    let top: u64 = orders.iter().rev().take(orders.len() / 100).sum();
    assert!(top * 100 / total > 25, "the largest hundredth sells {} %", top * 100 / total);
    assert!(orders[orders.len() / 2] < 100, "most are small");
    let silent = generated().filter(|m| !figures.by_subject.contains_key(&Subject::Merchant(m.id))).count();
    assert!((500..2_000).contains(&silent), "{silent} without facts");
    let benchmarks = generated().filter(|merchant| merchant.tags.iter().any(|tag| tag == "benchmark")).count();
    assert!(benchmarks > 400, "{benchmarks} benchmarks");
    let new = generated().filter(|m| m.opened_at.is_some_and(|opened| now.day().days_since(opened.day()) < 30)).count();
    assert!(new > 500, "{new} new");
    let belts = generated().filter(|merchant| !merchant.origin_belt.is_empty()).count();
    assert!(belts > 1_000, "{belts} in belts");
    let kinds: BTreeSet<&str> = population.violations.iter().map(|violation| violation.kind.as_str()).collect();
    assert_eq!(kinds.len(), 8, "{kinds:?}");
    assert!(population.violations.len() < 1_000);
    let sent: BTreeSet<CounterId> =
        population.rows.iter().flat_map(|row| row.facts.cells().iter().map(|cell| cell.0)).collect();
    let known = FLOWS.iter().filter(|entry| !entry.name.is_empty()).count() + Level::ALL.len();
    assert_eq!(sent.len(), known, "every counter is sent for someone");
}

#[test]
fn counters_that_the_policy_does_not_know_are_left_out() {
    let only = |name: &str| (name == "paid_orders").then_some(CounterId(3));
    let population = populate(monday(), &only, 50);
    assert!(population.rows.iter().all(|row| row.facts.cells().iter().all(|cell| cell.0 == CounterId(3))));
    assert!(populate(monday(), &|_| None, 50).rows.is_empty());
}
