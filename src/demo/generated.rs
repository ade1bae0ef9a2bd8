//! The generated merchants: most small, some large, some new, some careless, some without any facts.

use super::counters::{Flow, WHOLE};
use super::facts::{Detail, Standing};
use super::random::Draw;
use super::sheet::{Goods, Offence, Room, SHOP_RIGHTS, Sheet, Stage};
use super::words::{ANCHORS, CATEGORIES, Category, GOODS_NAMES, PHASES, PLACES, Place, SHOP_NAMES, belongs_to_belt};
use super::{FIRST_GENERATED, FIRST_PROVIDER, GENERATED_COUNT, PROVIDER_COUNT};
use crate::domain::{MerchantId, MerchantKind, Scene};

/// Median of the orders a week, in millionths.
const MEDIAN_WEEKLY_ORDERS: u64 = 14 * WHOLE;
/// Standard deviation of the logarithm of orders: the largest of 20,000 sells some thousand orders a day.
const SIGMA_ORDERS: f64 = 1.9;
/// From so many orders a week on, the last fourteen days are told daily.
const DAILY_FROM: u64 = 150 * WHOLE;

/// Streams of draws for what merchants take part in begin here: beside those of the merchants themselves.
const PARTS_FROM: u64 = 1_000_000_000;
/// Writes the first `count` of them.
pub(super) fn write(stage: &mut Stage, count: u64) {
    for id in FIRST_GENERATED..FIRST_GENERATED + count {
        let mut draw = Draw::of_merchant(id);
        let mut sheet = sheet(id, &mut draw);
        take_part(&mut sheet, &mut Draw::of_merchant(PARTS_FROM + id));
        stage.merchant(sheet, Some(&mut draw));
    }
}

/// What a merchant is like, from which its figures follow.
struct Character {
    /// 0 to 1000.
    quality: u64,
    /// Ships late, answers late, sells what disappoints.
    careless: bool,
    /// Sells counterfeits.
    counterfeiter: bool,
    weekly_orders: u64,
}

fn sheet(id: u64, draw: &mut Draw) -> Sheet {
    let category = category(draw);
    let mut sheet = Sheet::new(id, String::new());
    let character = character(draw);
    describe(&mut sheet, category, draw);
    appoint(&mut sheet, &character, draw);
    furnish(&mut sheet, category, draw);
    trade(&mut sheet, category, &character, draw);
    shape(&mut sheet, &character);
    sheet.standing = standing(&sheet, &character, draw);
    promise(&mut sheet, category, &character, draw);
    offend(&mut sheet, &character, draw);
    sheet
}

fn category(draw: &mut Draw) -> &'static Category {
    let mut rest = draw.below(1_000);
    let mut chosen = &CATEGORIES[0];
    for candidate in &CATEGORIES {
        chosen = candidate;
        if rest < candidate.share {
            break;
        }
        rest -= candidate.share;
    }
    chosen
}

fn character(draw: &mut Draw) -> Character {
    let quality = (draw.bell() + 150).min(1_000);
    Character {
        quality,
        careless: draw.chance(40),
        counterfeiter: draw.chance(6),
        // Good merchants sell more: up to twice the median of the worst.
        weekly_orders: draw.log_normal(MEDIAN_WEEKLY_ORDERS * (700 + quality) / 1_000, SIGMA_ORDERS),
    }
}

fn describe(sheet: &mut Sheet, category: &Category, draw: &mut Draw) {
    // A third of the trades with a belt sit in it.
    let belts: Vec<&Place> = PLACES.iter().filter(|place| belongs_to_belt(category.id, place.belt)).collect();
    let in_belt = if draw.chance(350) { draw.pick(&belts).copied() } else { None };
    if let Some(place) = in_belt.or(draw.pick(&PLACES)) {
        sheet.region = place.region;
        sheet.origin_belt = if belongs_to_belt(category.id, place.belt) { place.belt } else { "" };
        let (chinese, english) = draw.pick(&SHOP_NAMES).copied().unwrap_or_default();
        sheet.name = format!(
            "{}{chinese}{} {} {english} {} {}",
            place.chinese, category.chinese, place.english, category.english, sheet.id
        );
    }
    sheet.categories.push(category.id.to_owned());
    if draw.chance(150) {
        let second = self::category(draw);
        if second.id != category.id && second.is_virtual == category.is_virtual {
            sheet.categories.push(second.id.to_owned());
        }
    }
    if matches!(category.id, "fur" | "plus_size_wear") {
        sheet.tags.push("womens_wear_circle".to_owned());
    }
    sheet.is_virtual = category.is_virtual;
}

/// Kind, age, followers, lists and provider.
fn appoint(sheet: &mut Sheet, character: &Character, draw: &mut Draw) {
    sheet.opened_days = match draw.below(1_000) {
        0..30 => None,
        30..90 => Some(draw.between(1, 29)),
        90..200 => Some(draw.between(30, 179)),
        _ => Some(draw.between(180, 2_500)),
    }
    .and_then(|days| i32::try_from(days).ok());
    let established = sheet.opened_days.is_none_or(|days| days > 90);
    match draw.below(1_000) {
        0..30 if established => {
            sheet.kind = MerchantKind::KuaiBrand;
            if draw.chance(850) {
                sheet.tags.push("benchmark".to_owned());
            }
        }
        30..60 if established => sheet.kind = MerchantKind::Brand,
        _ => {}
    }
    let followers_per_order = draw.log_normal(90, 1.0);
    sheet.fans = character.weekly_orders / WHOLE * followers_per_order + draw.below(800);
    if draw.chance(100) {
        sheet.provider = Some(draw.between(FIRST_PROVIDER, FIRST_PROVIDER + PROVIDER_COUNT - 1));
    }
    sheet.prior_identity = draw.chance(10);
    let age = sheet.opened_days.unwrap_or(2_500);
    if sheet.is_virtual && draw.chance(800) {
        sheet.enrolments.push(("virtual_goods", 60.min(age)));
    }
    if age <= 120 && draw.chance(300) {
        sheet.enrolments.push(("doujin", age));
    }
    if age <= 365 && draw.chance(150) {
        sheet.enrolments.push(("new_star", 30.min(age)));
    }
    if draw.chance(500) {
        sheet.enrolments.push(("double_11", 20.min(age)));
    }
}

/// Lists of campaigns and packages.
fn take_part(sheet: &mut Sheet, draw: &mut Draw) {
    let age = sheet.opened_days.unwrap_or(2_500);
    let category = sheet.categories.first().cloned().unwrap_or_default();
    if draw.chance(60) {
        sheet.enrolments.push(("warm_spring", 15.min(age)));
    }
    if matches!(category.as_str(), "womens_wear" | "plus_size_wear" | "fur") && draw.chance(250) {
        sheet.enrolments.push(("spring_non_stop", 12.min(age)));
    }
    if category == "fur" && draw.chance(400) {
        sheet.enrolments.push(("quality_mink", 10.min(age)));
    }
    if draw.chance(50) {
        sheet.packages.extend(draw.pick(&Scene::ALL));
    }
    // Sells only what others ship.
    if !sheet.is_virtual && draw.chance(5) {
        sheet.tags.push("ships_by_others".to_owned());
    }
}

/// Live rooms, products and short videos.
fn furnish(sheet: &mut Sheet, category: &Category, draw: &mut Draw) {
    for _ in 0..draw.between(1, 3) {
        let mut room = Room { anchor: draw.pick(&ANCHORS).copied().unwrap_or_default().to_owned(), ..Room::default() };
        room.over = draw.chance(600);
        room.minutes = i64::try_from(draw.between(5, 420)).unwrap_or(5);
        if draw.chance(10) {
            room.tags.push("public_welfare".to_owned());
        }
        if draw.chance(15) {
            room.tags.push("digital_human".to_owned());
        }
        sheet.rooms.push(room);
    }
    for position in 0..draw.between(1, 5) {
        let (chinese, english) = draw.pick(&GOODS_NAMES).copied().unwrap_or_default();
        let name = format!("{}{chinese} {english} {} {}-{position}", category.chinese, category.english, sheet.id);
        let mut goods = Goods {
            name,
            listed_days: i64::try_from(draw.between(0, 200)).unwrap_or(0),
            tags: draw.pick(&PHASES).map(|phase| (*phase).to_owned()).into_iter().collect(),
            promoters: Vec::new(),
        };
        if draw.chance(50) {
            let promoter = draw.between(FIRST_GENERATED, FIRST_GENERATED + GENERATED_COUNT - 1);
            goods.promoters.extend((promoter != sheet.id).then_some(MerchantId(promoter)));
        }
        sheet.goods.push(goods);
    }
    sheet.videos = draw.below(4);
}

/// Volume over time, order value and where sales are made.
fn trade(sheet: &mut Sheet, category: &Category, character: &Character, draw: &mut Draw) {
    sheet.has_facts = !draw.chance(50);
    let young = sheet.opened_days.is_some_and(|days| days < 30);
    let detailed = character.weekly_orders >= DAILY_FROM;
    sheet.detail = if detailed || young { Detail::Daily } else { Detail::Weekly };
    sheet.year_ago = detailed;
    // What a month before was, in thousandths of the month after.
    let before = draw.between(750, 1_120);
    let mut weekly = character.weekly_orders;
    for from in [0, 30, 60, 90, 180, 365] {
        sheet.volume.push((from, weekly));
        weekly = weekly.saturating_mul(before) / 1_000;
    }
    sheet.order_value_yuan(draw.log_normal(category.order_yuan, 0.5).clamp(5, 8_000));
    // Shares in thousandths: live, short video, image-text, search, mall; the rest is the store's.
    let mixes: [[u64; 5]; 4] =
        [[750, 100, 10, 50, 60], [300, 480, 40, 60, 80], [200, 60, 20, 300, 320], [480, 180, 30, 110, 140]];
    let mix = draw.pick(&mixes).copied().unwrap_or_default();
    let scenes =
        [Flow::GmvLiveFen, Flow::GmvShortVideoFen, Flow::GmvImageTextFen, Flow::GmvSearchFen, Flow::GmvMallFen];
    let mut store = WHOLE;
    for (flow, share) in scenes.into_iter().zip(mix) {
        sheet.habits.share(flow, share * 1_000);
        store -= share * 1_000;
    }
    sheet.habits.share(Flow::GmvStoreFen, store);
    let minutes = draw.log_normal(500, 0.9).min(7 * 20 * 60);
    sheet.habits.weekly(Flow::BroadcastMinutes, minutes);
    sheet.habits.weekly(Flow::SeedingVideos, draw.below(9));
    sheet.habits.weekly(Flow::SubmittedListings, draw.below(10));
    sheet.habits.weekly(Flow::IdleExposures, draw.log_normal(900, 0.8));
}

/// Rates in thousandths of the worst and the best merchant.
const BY_QUALITY: [(Flow, u64, u64); 30] = [
    (Flow::PromisedOrders, 200, 950),
    (Flow::RefundedOrders, 160, 25),
    (Flow::CancelledOrders, 90, 20),
    (Flow::ShippedOnTime, 900, 998),
    (Flow::AbnormalCollections, 40, 1),
    (Flow::DeliveredOnTime, 880, 990),
    (Flow::DeliveredOrders, 950, 995),
    (Flow::NegativeReviews, 110, 8),
    (Flow::ReviewPoints, 4_100, 4_950),
    (Flow::Complaints, 25, 1),
    (Flow::Reports, 9, 0),
    (Flow::ReportsUpheld, 500, 100),
    (Flow::InterceptedListings, 40, 0),
    (Flow::AuthenticityFailures, 30, 0),
    (Flow::JuryVotesAgainst, 250, 10),
    (Flow::ProtectedOrders, 150, 980),
    (Flow::ClaimsHonoured, 850, 1_000),
    (Flow::FreightClaimsHonoured, 900, 1_000),
    (Flow::FanOrders, 200, 700),
    (Flow::NewBuyerOrders, 450, 280),
    (Flow::FollowPageExposures, 70, 15),
    (Flow::AfterSalesOnTime, 820, 999),
    (Flow::LiableRefunds, 450, 80),
    (Flow::QualityReturns, 300, 40),
    (Flow::DescriptionMismatches, 250, 25),
    (Flow::Disputes, 14, 1),
    (Flow::DisputesLost, 600, 100),
    (Flow::ImRepliedOnTime, 750, 995),
    (Flow::AnchorRatingPoints, 4_200, 4_980),
    (Flow::AnchorReports, 6, 0),
];

fn shape(sheet: &mut Sheet, character: &Character) {
    for (flow, worst, best) in BY_QUALITY {
        let quality = character.quality;
        sheet.habits.share(flow, worst * (1_000 - quality) + best * quality);
    }
    if character.careless {
        sheet.habits.share(Flow::ShippedOnTime, 550_000 + 300 * character.quality);
        sheet.habits.share(Flow::NegativeReviews, 400_000 - 200 * character.quality);
        sheet.habits.share(Flow::AbnormalCollections, 120_000);
        sheet.habits.share(Flow::ImRepliedOnTime, 500_000);
    }
    if character.counterfeiter {
        sheet.habits.share(Flow::InterceptedListings, 350_000);
        sheet.habits.share(Flow::AuthenticityFailures, 300_000);
        sheet.habits.share(Flow::Reports, 25_000);
        sheet.habits.share(Flow::ReportsUpheld, 700_000);
    }
    if sheet.is_virtual {
        sheet.habits.drop_logistics();
    }
}

fn standing(sheet: &Sheet, character: &Character, draw: &mut Draw) -> Standing {
    let quality = if character.careless { character.quality / 3 } else { character.quality };
    let loyal = if sheet.kind == MerchantKind::KuaiBrand { 1_200 } else { 0 };
    let month = (600 + 2 * quality + draw.below(700) + loyal).min(6_000);
    Standing {
        price_index: 7_500 + draw.bell() * 5,
        shopping_experience: (330 + quality * 16 / 100 + draw.below(15)).min(500),
        repeat_customer_index: (1_500 + 5 * quality + draw.below(1_500) + loyal).min(10_000),
        fan_purchase_rate: (200 + quality * 2 + draw.below(800) + loyal).min(10_000),
        repeat_buyers: [month * 55 / 100, month, (month * 190 / 100).min(9_000)],
    }
}

/// Rights held.
fn promise(sheet: &mut Sheet, category: &Category, character: &Character, draw: &mut Draw) {
    let since = |draw: &mut Draw| i32::try_from(draw.between(1, 400)).unwrap_or(1);
    // A third have not opened any.
    if draw.chance(350) {
        return;
    }
    for right in SHOP_RIGHTS {
        if draw.chance(120 + character.quality * 8 / 10) {
            let days = since(draw);
            sheet.rights.push((right, days));
        }
    }
    if category.id == "used_phones" && draw.chance(700) {
        let days = since(draw);
        sheet.rights.push(("used_phone_warranty_180", days));
    }
}

/// Violations: few, mostly by the careless.
fn offend(sheet: &mut Sheet, character: &Character, draw: &mut Draw) {
    let per_mille = if character.counterfeiter {
        600
    } else if character.careless {
        250
    } else {
        6
    };
    if !draw.chance(per_mille) {
        return;
    }
    let kinds: &[(&'static str, i64)] = if character.counterfeiter {
        &[("counterfeit", 90), ("ban", 3_650), ("delist_all", 30)]
    } else {
        &[
            ("overtime_unshipped", 7),
            ("overtime_unshipped", 7),
            ("false_advertising", 30),
            ("suspend_cart", 7),
            ("mute", 7),
            ("reduce_short_video", 14),
        ]
    };
    let Some(&(kind, days)) = draw.pick(kinds) else { return };
    let short_video = (kind == "reduce_short_video").then_some(0);
    if short_video.is_some() && sheet.videos == 0 {
        sheet.videos = 1;
    }
    let age = sheet.opened_days.map_or(2_500, i64::from);
    sheet.offences.push(Offence {
        kind,
        days_ago: i64::try_from(draw.below(40)).unwrap_or(0).min(age - 1),
        days: Some(days),
        short_video,
        order: None,
    });
}
