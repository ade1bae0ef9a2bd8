//! Who there is: merchants with their rooms, products and videos, made from their number and the seed alone.

use std::f64::consts::LN_2;

use prost_types::Timestamp as Instant;
use trustflow::domain::{Day, Timestamp};
use trustflow::proto::{Enrolment, LiveRoom, Merchant, MerchantKind, Product, ServiceProvider, ShortVideo, TargetKind};

use super::Options;
use super::chance::{Chance, Urn};

/// Ids of merchants begin here; those of their items follow from them.
const FIRST_MERCHANT: u64 = 1_000_000;
const LIVE_ROOM: u64 = 2_000_000_000;
const PRODUCT: u64 = 4_000_000_000;
const SHORT_VIDEO: u64 = 6_000_000_000;
const PROVIDER: u64 = 100;
/// Products of each merchant.
pub(crate) const PRODUCTS: u64 = 2;
const PROVIDERS: u64 = 20;
/// Members of the Launch Plan opened so many days ago at most: half of the 90 that it takes.
const NEWCOMER_DAYS: u64 = 45;
/// Popularity of rank r is (r + 20)^-0.8.
const ZIPF_OFFSET: f64 = 20.0;
const ZIPF_POWER: f64 = -0.8;
/// Newcomers begin in the lower half of the ranks.
const NEWCOMER_RANK: f64 = 0.5;

const CATEGORIES: [&str; 12] = [
    "womens_wear",
    "womens_wear",
    "womens_wear",
    "plus_size_wear",
    "fur",
    "shoes",
    "luggage",
    "food",
    "fresh_food",
    "beauty",
    "digital",
    "home",
];
const REGIONS: [&str; 5] = ["zhejiang", "guangdong", "shanghai", "jilin", "hebei"];
const BELTS: [&str; 6] = ["", "", "hangzhou", "humen", "haining", "yiwu"];

/// A merchant.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its id.
    pub(crate) id: u64,
    /// How often it is a candidate, as a weight.
    pub(crate) popularity: f64,
    /// How well it fits whoever looks, about 1.
    pub(crate) quality: f64,
    /// When it opened.
    pub(crate) opened: Timestamp,
    /// Whether it opened in the last days.
    pub(crate) is_newcomer: bool,
    kind: MerchantKind,
    category: &'static str,
    seed: u64,
}

impl Member {
    /// The n-th merchant of so many, as of an instant.
    pub(crate) fn new(number: u32, options: &Options, now: Timestamp) -> Self {
        let mut chance = Chance::new(options.seed, u64::from(number) + 0x1_0000);
        // The first and the last follow no other rule: whoever comes later opens now.
        let is_later = number >= options.merchants;
        let is_newcomer = is_later || chance.is(options.newcomers);
        let mut rank = chance.share();
        if is_newcomer {
            rank = NEWCOMER_RANK + rank * (1.0 - NEWCOMER_RANK);
        }
        let age_days = if is_newcomer { chance.below(NEWCOMER_DAYS) } else { 91 + chance.below(1_500) };
        let opened = if is_later { now } else { now.day().plus(-(age_days as i32)).start().plus_ms(36_000_000) };
        let kind = match chance.below(100) {
            0..4 => MerchantKind::Brand,
            4..10 => MerchantKind::KuaiBrand,
            _ => MerchantKind::Ordinary,
        };
        Self {
            id: FIRST_MERCHANT + u64::from(number),
            popularity: (rank * f64::from(options.merchants) + ZIPF_OFFSET).powf(ZIPF_POWER),
            quality: 0.7 + 0.6 * chance.share(),
            opened: opened.min(now),
            is_newcomer,
            kind,
            category: *chance.one_of::<&str>(&CATEGORIES),
            seed: chance.roll(),
        }
    }

    fn chance(&self, stream: u64) -> Chance {
        Chance::new(self.seed, stream)
    }

    /// Its live room, one of its products, its video, or itself.
    pub(crate) fn target(&self, kind: TargetKind, number: u64) -> u64 {
        let place = self.id - FIRST_MERCHANT;
        match kind {
            TargetKind::LiveRoom => LIVE_ROOM + place,
            TargetKind::Product => PRODUCT + place * PRODUCTS + number % PRODUCTS,
            TargetKind::ShortVideo => SHORT_VIDEO + place,
            TargetKind::Merchant | TargetKind::Unspecified => self.id,
        }
    }

    /// Its profile.
    pub(crate) fn profile(&self) -> Merchant {
        let mut chance = self.chance(1);
        let opened = self.opened.day();
        let enrolled = |list: &str, date: Day| Enrolment { list: list.to_owned(), date: date.to_string() };
        let mut enrolments = Vec::new();
        let mut enrol = |share: f64, list: &str, date: &str| {
            if chance.is(share)
                && let Some(date) = Day::parse(date)
            {
                enrolments.push(enrolled(list, date.max(opened)));
            }
        };
        enrol(0.25, "double_11", "2024-10-15");
        enrol(0.10, "promotion", "2024-10-01");
        enrol(0.05, "new_star", "2024-09-01");
        enrol(0.03, "virtual_goods", "2024-05-01");
        if self.is_newcomer {
            enrol(0.5, "doujin", "2024-10-25");
        }
        let mut tags = Vec::new();
        if self.kind == MerchantKind::KuaiBrand && chance.is(0.3) {
            tags.push("benchmark".to_owned());
        }
        if chance.is(0.1) {
            tags.push("womens_wear_circle".to_owned());
        }
        Merchant {
            merchant_id: self.id,
            name: format!("merchant {}", self.id),
            kind: self.kind.into(),
            opened_at: Some(instant(self.opened)),
            categories: vec![self.category.to_owned()],
            region: (*chance.one_of(&REGIONS)).to_owned(),
            origin_belt: (*chance.one_of(&BELTS)).to_owned(),
            fan_count: (1_000.0 * (3.0 * chance.normal()).exp()).clamp(0.0, 2e7) as u64,
            service_provider_id: if chance.is(0.05) { PROVIDER + chance.below(PROVIDERS) } else { 0 },
            tags,
            prior_identity_violation: self.is_newcomer && chance.is(0.02),
            enrolments,
            ..Merchant::default()
        }
    }

    /// Its products.
    pub(crate) fn products(&self) -> Vec<Product> {
        let mut chance = self.chance(2);
        let listed = |chance: &mut Chance| {
            let back = self.opened.plus_ms(-((chance.below(20 * 86_400)) as i64) * 1_000);
            instant(back.max(self.opened))
        };
        let product = |number: u64| {
            let mut tags = Vec::new();
            if chance.is(0.05) {
                tags.push("selected_pool".to_owned());
            }
            if chance.is(0.2) {
                tags.push((*chance.one_of(&["new_release", "big_sale", "daily_sale", "clearance"])).to_owned());
            }
            Product {
                product_id: self.target(TargetKind::Product, number),
                name: format!("product {number} of {}", self.id),
                merchant_id: self.id,
                categories: vec![self.category.to_owned()],
                listed_at: Some(listed(&mut chance)),
                tags,
                r#virtual: chance.is(0.03),
                ..Product::default()
            }
        };
        (0..PRODUCTS).map(product).collect()
    }

    /// Its live room.
    pub(crate) fn live_room(&self) -> LiveRoom {
        LiveRoom { live_room_id: self.target(TargetKind::LiveRoom, 0), merchant_id: self.id, ..LiveRoom::default() }
    }

    /// Its video.
    pub(crate) fn short_video(&self) -> ShortVideo {
        let posted_at = Some(instant(self.opened));
        let short_video_id = self.target(TargetKind::ShortVideo, 0);
        ShortVideo { short_video_id, merchant_id: self.id, posted_at, ..ShortVideo::default() }
    }

    /// Counters of a day; none before it opened, and of the newest that sold nothing yet.
    pub(crate) fn facts(&self, day: Day) -> Vec<(&'static str, u64)> {
        let mut chance = self.chance(day.0.unsigned_abs().into());
        let sells_nothing = self.is_newcomer && self.seed.is_multiple_of(3);
        if day < self.opened.day() || sells_nothing {
            return Vec::new();
        }
        // A day of the most popular has thousands of orders, of the least a few.
        let scale = if self.is_newcomer { 2_000.0 } else { 60_000.0 };
        let growth = ((self.seed % 100) as f64 / 100.0 - 0.4) * LN_2 * f64::from(day.0 - 20_000) / 40.0;
        let orders = (scale * self.popularity * growth.exp() * (0.3 * chance.normal()).exp()) as u64 + 1;
        let of = |chance: &mut Chance, share: f64| (orders as f64 * share * (0.5 + chance.share())) as u64;
        let (bad, late) = (of(&mut chance, 0.02), of(&mut chance, 0.02).min(orders));
        let reviews = of(&mut chance, 0.4);
        let exposures = orders * (20 + chance.below(60));
        vec![
            ("paid_orders", orders),
            ("gmv_fen", orders * (4_000 + chance.below(8_000))),
            ("gmv_live_fen", orders * 3_000),
            ("shipments_due", orders),
            ("shipped_on_time", orders - late),
            ("collections_due", orders),
            ("abnormal_collections", late / 2),
            ("reviews", reviews),
            ("negative_reviews", bad.min(reviews)),
            ("review_points", reviews * 4 + reviews / 2),
            ("complaints", bad / 4),
            ("liable_refunds", bad / 2),
            ("delivered_orders", orders),
            ("exposures_live", exposures),
            ("exposures_mall", exposures / 3),
            ("price_index", 9_000 + chance.below(2_000)),
            ("shopping_experience_score", 380 + chance.below(110)),
            ("repeat_customer_index", 4_000 + chance.below(4_000)),
            ("buyers_30d", orders * 20 + 1),
            ("repeat_buyers_30d", orders * (3 + chance.below(9))),
            ("broadcast_minutes", 60 + chance.below(400)),
        ]
    }

    /// Rights it holds from its first day on.
    pub(crate) fn rights(&self) -> &'static [&'static str] {
        match self.seed % 25 {
            0 => &["fake_one_compensates_ten", "seven_day_no_reason", "return_freight_compensation"],
            1 => &["seven_day_no_reason"],
            _ => &[],
        }
    }
}

/// Everyone, in order of number.
#[derive(Clone, Debug)]
pub(crate) struct Population {
    /// The merchants.
    pub(crate) members: Vec<Member>,
    /// Draws one by popularity.
    pub(crate) urn: Urn,
    /// Numbers of the newcomers, whom retrieval brings in besides.
    pub(crate) newcomers: Vec<usize>,
}

impl Population {
    /// Those of the beginning.
    pub(crate) fn new(options: &Options) -> Self {
        let members = (0..options.merchants).map(|number| Member::new(number, options, options.from)).collect();
        let mut population = Self { members, urn: Urn::default(), newcomers: Vec::new() };
        population.order();
        population
    }

    /// Another one opens.
    pub(crate) fn open(&mut self, options: &Options, now: Timestamp) -> Member {
        let number = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let member = Member::new(number, options, now);
        self.members.push(member.clone());
        self.order();
        member
    }

    fn order(&mut self) {
        self.urn = Urn::new(self.members.iter().map(|member| member.popularity));
        let newcomers = self.members.iter().enumerate().filter(|(_, member)| member.is_newcomer);
        self.newcomers = newcomers.map(|(number, _)| number).collect();
    }
}

/// The service providers.
pub(crate) fn providers() -> Vec<ServiceProvider> {
    let provider = |number| ServiceProvider {
        service_provider_id: PROVIDER + number,
        name: format!("provider {number}"),
        capabilities: vec![70; 5],
        tags: if number == 0 { vec!["gold_operator".to_owned()] } else { Vec::new() },
        ..ServiceProvider::default()
    };
    (0..PROVIDERS).map(provider).collect()
}

/// An instant as messages have it.
pub(crate) fn instant(at: Timestamp) -> Instant {
    let nanos = i32::try_from(at.0.rem_euclid(1_000) * 1_000_000).unwrap_or(0);
    Instant { seconds: at.0.div_euclid(1_000), nanos }
}
