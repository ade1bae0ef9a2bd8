//! Every definition of the aggregation, each on a handful of orders.

use super::{Aggregate, Conflict, ForceMajeure, OrderHead, OrderItem, Review, Rules, Seller, aggregate, day_of};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const SHOP: u64 = 7;

/// Noon of a day.
fn noon(day: i64) -> i64 {
    day * DAY + 12 * HOUR
}

/// An order placed and paid at noon of day 100, to be shipped by noon of day 103 and delivered by day 110.
fn order(id: &str) -> OrderItem {
    OrderItem {
        line: 1,
        order: id.to_owned(),
        item: 1,
        seller: SHOP,
        product: Some("lamp".to_owned()),
        category: Some("home".to_owned()),
        price_fen: 1_999,
        head: OrderHead {
            customer: "ann".to_owned(),
            purchased_s: noon(100),
            paid_s: Some(noon(100)),
            ship_limit_s: Some(noon(103)),
            estimated_s: Some(110 * DAY),
            ..OrderHead::default()
        },
    }
}

fn with(id: &str, change: impl FnOnce(&mut OrderHead)) -> OrderItem {
    let mut item = order(id);
    change(&mut item.head);
    item
}

fn rules() -> Rules {
    Rules { promise_window_s: 48 * HOUR, ..Rules::default() }
}

fn count(items: &[OrderItem], rules: &Rules) -> Aggregate {
    aggregate(items, rules).expect("no contradiction")
}

fn cell(items: &[OrderItem], day: i32, counter: &str) -> Option<u64> {
    count(items, &rules()).rows.get(&(day, SHOP)).and_then(|row| row.get(counter))
}

fn cells(items: &[OrderItem], day: i32, counters: [&str; 2]) -> [Option<u64>; 2] {
    counters.map(|counter| cell(items, day, counter))
}

#[test]
fn a_day_is_a_floor_of_shifted_time() {
    assert_eq!(day_of(0, 0), 0);
    assert_eq!(day_of(-1, 0), -1);
    assert_eq!(day_of(16 * HOUR - 1, 8 * HOUR), 0);
    assert_eq!(day_of(16 * HOUR, 8 * HOUR), 1);
}

#[test]
fn created_and_cancelled_count_on_the_purchase_day() {
    let voided = with("b", |head| {
        head.voided = true;
        head.paid_s = Some(noon(101));
    });
    assert_eq!(cells(&[order("a"), voided], 100, ["created_orders", "cancelled_orders"]), [Some(2), Some(1)]);
}

#[test]
fn bad_orders_are_known_when_a_limit_is_over_or_the_review_is_there() {
    let review = |negative| Some(Review { negative, points: if negative { 1 } else { 5 } });
    let fine = with("a", |head| {
        (head.shipped_s, head.delivered_s) = (head.ship_limit_s, head.estimated_s);
        head.review = review(false);
    });
    let sent_late = with("b", |head| head.shipped_s = Some(noon(103) + 1));
    let came_late = with("c", |head| (head.shipped_s, head.delivered_s) = (Some(noon(101)), Some(110 * DAY + 1)));
    let disliked = with("d", |head| {
        (head.shipped_s, head.delivered_s, head.review) = (Some(noon(101)), Some(noon(102)), review(true));
    });
    let voided = with("e", |head| head.voided = true);
    for (item, day, expected) in [
        (&fine, 200, 0),
        (&sent_late, 103, 0),
        (&sent_late, 104, 1),
        (&came_late, 110, 0),
        (&came_late, 111, 1),
        (&disliked, 102, 0),
        (&disliked, 103, 1),
        (&voided, 200, 0),
        (&order("f"), 200, 1),
    ] {
        let rules = Rules { as_of: Some(day), ..rules() };
        let row = count(std::slice::from_ref(item), &rules).rows.get(&(100, SHOP)).cloned().expect("the paid day");
        assert_eq!(row.get("bad_orders"), Some(expected), "{} as of {day}", item.order);
    }
    let flood = ForceMajeure { region: "SP".to_owned(), first_day: 100, last_day: 100 };
    let sellers = [(SHOP, Seller { region: Some("SP".to_owned()), city: None })].into();
    let exempt = Rules { as_of: Some(105), force_majeure: vec![flood], sellers, ..rules() };
    let counted = count(&[sent_late], &exempt);
    assert_eq!(counted.rows.get(&(100, SHOP)).and_then(|row| row.get("bad_orders")), Some(0), "exempt");
}

#[test]
fn items_of_one_order_and_seller_are_one_order() {
    let second = OrderItem { item: 2, price_fen: 1, ..order("a") };
    let elsewhere = OrderItem { item: 3, seller: 8, ..order("a") };
    let items = [order("a"), second, elsewhere];
    assert_eq!(cells(&items, 100, ["created_orders", "paid_orders"]), [Some(1), Some(1)]);
    assert_eq!(cells(&items, 100, ["paid_items", "gmv_fen"]), [Some(2), Some(2_000)]);
    let all = count(&items, &rules());
    assert_eq!(all.orders, 2, "the other seller's is another");
    assert_eq!(all.rows.get(&(100, 8)).and_then(|row| row.get("gmv_fen")), Some(1_999));
}

#[test]
fn an_unpaid_order_is_created_and_nothing_is_due() {
    let items = [with("a", |head| head.paid_s = None)];
    assert_eq!(cells(&items, 100, ["created_orders", "paid_orders"]), [Some(1), None]);
    assert_eq!((cell(&items, 103, "shipments_due"), cell(&items, 110, "deliveries_due")), (None, None));
}

#[test]
fn refunds_count_on_the_paid_day() {
    let items = [with("a", |head| {
        head.voided = true;
        head.paid_s = Some(noon(101));
    })];
    assert_eq!(cells(&items, 101, ["paid_orders", "refunded_orders"]), [Some(1), Some(1)]);
    assert_eq!(cell(&items, 100, "refunded_orders"), None);
}

#[test]
fn a_promise_is_a_ship_limit_within_48_hours_of_payment() {
    let to_limit = |id: &str, seconds: i64| with(id, |head| head.ship_limit_s = Some(noon(100) + seconds));
    assert_eq!(cell(&[to_limit("a", 48 * HOUR)], 100, "promised_orders"), Some(1));
    assert_eq!(cell(&[to_limit("a", 48 * HOUR + 1)], 100, "promised_orders"), Some(0));
    assert_eq!(cell(&[with("a", |head| head.ship_limit_s = None)], 100, "promised_orders"), Some(0));
}

#[test]
fn shipping_on_time_means_by_the_limit_to_the_second() {
    let shipped = |shipped_s: Option<i64>| cells(&[with("a", |head| head.shipped_s = shipped_s)], 103, SHIPPING);
    assert_eq!(shipped(Some(noon(103))), [Some(1), Some(1)]);
    assert_eq!(shipped(Some(noon(103) + 1)), [Some(1), Some(0)]);
    assert_eq!(shipped(None), [Some(1), Some(0)]);
    assert_eq!(shipped(Some(noon(99))), [Some(1), Some(1)], "handed over before payment");
}

const SHIPPING: [&str; 2] = ["shipments_due", "shipped_on_time"];
const DELIVERY: [&str; 2] = ["deliveries_due", "delivered_on_time"];

#[test]
fn a_voided_order_is_due_only_if_it_was_shipped() {
    let voided = |shipped_s: Option<i64>| {
        [with("a", |head| {
            head.voided = true;
            head.shipped_s = shipped_s;
        })]
    };
    assert_eq!(cells(&voided(None), 103, SHIPPING), [None, None]);
    assert_eq!(cells(&voided(Some(noon(102))), 103, SHIPPING), [Some(1), Some(1)]);
    assert_eq!(cells(&voided(Some(noon(102))), 110, DELIVERY), [None, None], "no delivery is due of it");
}

#[test]
fn deliveries_are_due_by_the_estimate() {
    let delivered = |at_s: i64| cells(&[with("a", |head| head.delivered_s = Some(at_s))], 110, DELIVERY);
    assert_eq!(delivered(110 * DAY), [Some(1), Some(1)]);
    assert_eq!(delivered(110 * DAY + 1), [Some(1), Some(0)]);
}

#[test]
fn reviews_count_on_the_delivery_day() {
    let reviewed = |id: &str, negative: bool, points: u64| {
        with(id, |head| {
            head.delivered_s = Some(noon(105));
            head.review = Some(Review { negative, points });
        })
    };
    let unreviewed = with("c", |head| head.delivered_s = Some(noon(105)));
    let items = [reviewed("a", true, 2), reviewed("b", false, 5), unreviewed];
    assert_eq!(cells(&items, 105, ["delivered_orders", "reviews"]), [Some(3), Some(2)]);
    assert_eq!(cells(&items, 105, ["negative_reviews", "review_points"]), [Some(1), Some(7)]);
    let undelivered = [with("a", |head| head.review = Some(Review { negative: true, points: 1 }))];
    assert!(count(&undelivered, &rules()).rows.values().all(|row| row.get("reviews").is_none()));
}

#[test]
fn force_majeure_takes_an_order_out_of_the_shipping_rate() {
    let flood = ForceMajeure { region: "gansu".to_owned(), first_day: 100, last_day: 101 };
    let seller = |region: &str| [(SHOP, Seller { region: Some(region.to_owned()), city: None })].into();
    let sent_to = |region: &str, paid_day: i64| {
        [with("a", |head| {
            head.recipient_region = Some(region.to_owned());
            head.paid_s = Some(noon(paid_day));
            head.shipped_s = Some(noon(102));
        })]
    };
    let due = |items: &[OrderItem], sender: &str| {
        let rules = Rules { force_majeure: vec![flood.clone()], sellers: seller(sender), ..rules() };
        let row = count(items, &rules).rows.get(&(103, SHOP)).cloned().unwrap_or_default();
        [row.flows.shipments_due, row.flows.shipped_on_time, row.flows.force_majeure_orders]
    };
    assert_eq!(due(&sent_to("hebei", 100), "hunan"), [1, 1, 0]);
    assert_eq!(due(&sent_to("gansu", 100), "hunan"), [0, 0, 1], "the recipient");
    assert_eq!(due(&sent_to("hebei", 101), "gansu"), [0, 0, 1], "the sender");
    assert_eq!(due(&sent_to("gansu", 102), "gansu"), [1, 1, 0], "paid after the last day");
}

#[test]
fn buyers_are_levels_of_people_not_of_orders() {
    let bo = with("c", |head| head.customer = "bo".to_owned());
    let again = with("b", |head| head.paid_s = Some(noon(105)));
    let items = [order("a"), again, bo];
    assert_eq!(cells(&items, 100, ["buyers_30d", "repeat_buyers_30d"]), [Some(2), Some(0)]);
    assert_eq!(cells(&items, 105, ["buyers_30d", "repeat_buyers_30d"]), [None, Some(1)]);
    let later = count(&items, &Rules { as_of: Some(200), ..rules() });
    let level = |day: i32, counter: &str| later.rows.get(&(day, SHOP)).and_then(|row| row.get(counter));
    assert_eq!((level(114, "buyers_14d"), level(119, "buyers_14d")), (Some(1), Some(0)));
    assert_eq!((level(130, "buyers_30d"), level(195, "buyers_90d")), (Some(1), Some(0)));
}

#[test]
fn what_happens_on_the_as_of_day_or_later_is_not_known() {
    let late = with("b", |head| head.purchased_s = noon(101));
    let paid_late = with("c", |head| head.paid_s = Some(101 * DAY));
    let delivered_late = with("d", |head| {
        head.paid_s = Some(101 * DAY - 1);
        head.shipped_s = Some(noon(101));
        head.delivered_s = Some(noon(101));
    });
    let known = count(&[order("a"), late, paid_late, delivered_late], &Rules { as_of: Some(101), ..rules() });
    assert_eq!((known.orders, known.later_orders), (3, 1));
    assert_eq!(known.rows.keys().copied().collect::<Vec<_>>(), [(100, SHOP)]);
    let row = known.rows.get(&(100, SHOP)).cloned().unwrap_or_default();
    assert_eq!((row.flows.created_orders, row.flows.paid_orders, row.flows.delivered_orders), (3, 2, 0));
}

#[test]
fn the_final_status_counts_as_known_but_a_later_hand_over_does_not() {
    let voided = with("a", |head| {
        head.voided = true;
        head.shipped_s = Some(noon(104));
    });
    let due = |as_of: i32| {
        let known = count(std::slice::from_ref(&voided), &Rules { as_of: Some(as_of), ..rules() });
        assert_eq!(known.rows.get(&(100, SHOP)).and_then(|row| row.get("cancelled_orders")), Some(1));
        known.rows.get(&(103, SHOP)).and_then(|row| row.get("shipments_due"))
    };
    assert_eq!(due(104), None, "as of day 104 it was never shipped");
    assert_eq!(due(105), Some(1));
}

#[test]
fn profiles_follow_from_the_orders() {
    let category = |id: &str, name: &str, product: &str| OrderItem {
        category: Some(name.to_owned()),
        product: Some(product.to_owned()),
        ..order(id)
    };
    let unpaid = OrderItem { category: Some("zoo".to_owned()), product: None, ..with("e", |head| head.paid_s = None) };
    let mut named = category("d", "toys", "robot");
    named.head.seller_name = Some("0123456789".to_owned());
    named.head.purchased_s = noon(99);
    let items =
        [category("a", "toys", "robot"), category("b", "home", "lamp"), category("c", "art", "lamp"), named, unpaid];
    let sellers = [(SHOP, Seller { region: Some("SP".to_owned()), city: Some("campinas".to_owned()) })].into();
    let all = count(&items, &Rules { sellers, ..rules() });
    let [merchant] = all.merchants.as_slice() else { panic!("one merchant") };
    assert_eq!((merchant.name.as_str(), merchant.region.as_str()), ("campinas 01234567", "SP"));
    assert_eq!(merchant.categories, ["toys", "art", "home", "zoo"]);
    assert_eq!(merchant.opened_s, Some(noon(100)), "the first payment, not the first order");
    let robot = all.products.iter().find(|product| product.name == "robot").expect("the product");
    assert_eq!((robot.listed_s, robot.merchant_id), (noon(99), SHOP));
    assert_eq!(robot.product_id, 14_551_383_859_190_363_840, "stable for ever: ids live in the server");
}

#[test]
fn contradictions_name_both_lines() {
    let at = |line: u64, item: u64, change: fn(&mut OrderHead)| OrderItem { line, item, ..with("a", change) };
    let again = aggregate(&[at(3, 1, |_| {}), at(9, 1, |_| {})], &rules());
    assert_eq!(again, Err(Conflict::Repeated { line: 9, first_line: 3, order: "a".to_owned(), item: 1 }));
    let torn = aggregate(&[at(3, 1, |_| {}), at(9, 2, |head| head.voided = true)], &rules());
    let expected = Conflict::Disagree { line: 9, first_line: 3, order: "a".to_owned(), column: "the status" };
    assert_eq!(torn, Err(expected));
}
