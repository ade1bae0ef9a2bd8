//! One merchant of the demo before it is written down: profile, goods, rooms, trade, rights and offences.

use super::counters::Flow;
use super::facts::{Detail, Dictionary, Habits, Standing, Trade};
use super::random::Draw;
use super::{Package, Population, live_room_id, product_id, short_video_id, violation_id};
use crate::domain::{
    DAY_MS, Day, Decision, Enrolment, HeldRight, ItemId, ItemKind, LiveRoom, Merchant, MerchantId, MerchantKind,
    OrderContext, Product, Profile, ProviderId, Scene, ServiceProvider, ShortVideo, Subject, Timestamp, Violation,
};

/// Exposures of a traffic package.
const PACKAGE: u64 = 200_000;

/// The rights every shop can hold.
pub(super) const SHOP_RIGHTS: [&str; 5] = [
    "fake_one_compensates_ten",
    "refund_without_return",
    "seven_day_no_reason",
    "return_freight_compensation",
    "official_authenticity",
];

/// The levels of a merchant nothing is remarkable about.
pub(super) const ORDINARY: Standing = Standing {
    price_index: 10_000,
    shopping_experience: 440,
    repeat_customer_index: 4_500,
    fan_purchase_rate: 1_200,
    repeat_buyers: [1_200, 2_200, 4_500],
};

/// An offence to record.
pub(super) struct Offence {
    /// Type id of violations.toml.
    pub(super) kind: &'static str,
    /// How many days before now it occurred and took effect.
    pub(super) days_ago: i64,
    /// For how many days; none means as the type says.
    pub(super) days: Option<i64>,
    /// The position of the short video it is about.
    pub(super) short_video: Option<u64>,
    /// The order it is about.
    pub(super) order: Option<OrderContext>,
}

/// A live room to open.
#[derive(Clone, Default)]
pub(super) struct Room {
    /// Who presents.
    pub(super) anchor: String,
    /// Free marks.
    pub(super) tags: Vec<String>,
    /// Minutes since the broadcast began.
    pub(super) minutes: i64,
    /// Whether it is over since half of that.
    pub(super) over: bool,
}

/// A product to list.
pub(super) struct Goods {
    /// Display name.
    pub(super) name: String,
    /// Days since it was listed, at most since the shop opened.
    pub(super) listed_days: i64,
    /// Free marks.
    pub(super) tags: Vec<String>,
    /// Who else promotes it.
    pub(super) promoters: Vec<MerchantId>,
}

/// Everything about one merchant.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact about a merchant, and all combine")]
pub(super) struct Sheet {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) kind: MerchantKind,
    /// Days before today it opened, at least 1, if known.
    pub(super) opened_days: Option<i32>,
    pub(super) categories: Vec<String>,
    pub(super) region: &'static str,
    pub(super) origin_belt: &'static str,
    pub(super) fans: u64,
    pub(super) provider: Option<u64>,
    pub(super) tags: Vec<String>,
    pub(super) prior_identity: bool,
    /// List and days before today.
    pub(super) enrolments: Vec<(&'static str, i32)>,
    /// Scenes it has a traffic package for.
    pub(super) packages: Vec<Scene>,
    pub(super) rooms: Vec<Room>,
    pub(super) goods: Vec<Goods>,
    pub(super) is_virtual: bool,
    pub(super) videos: u64,
    /// Right and days before today.
    pub(super) rights: Vec<(&'static str, i32)>,
    pub(super) offences: Vec<Offence>,
    /// Whether facts are sent at all.
    pub(super) has_facts: bool,
    /// Whether facts of its items are sent.
    pub(super) item_facts: bool,
    pub(super) detail: Detail,
    /// Orders a week in millionths, as in `Trade`.
    pub(super) volume: Vec<(i32, u64)>,
    pub(super) spikes: Vec<(i32, u64)>,
    pub(super) habits: Habits,
    pub(super) standing: Standing,
    pub(super) year_ago: bool,
}

impl Sheet {
    /// An ordinary merchant that sells nothing yet.
    pub(super) fn new(id: u64, name: String) -> Self {
        Self {
            id,
            name,
            kind: MerchantKind::Ordinary,
            opened_days: None,
            categories: Vec::new(),
            region: "",
            origin_belt: "",
            fans: 0,
            provider: None,
            tags: Vec::new(),
            prior_identity: false,
            enrolments: Vec::new(),
            packages: Vec::new(),
            rooms: Vec::new(),
            goods: Vec::new(),
            is_virtual: false,
            videos: 0,
            rights: Vec::new(),
            offences: Vec::new(),
            has_facts: true,
            item_facts: false,
            detail: Detail::Weekly,
            volume: Vec::new(),
            spikes: Vec::new(),
            habits: Habits::typical(),
            standing: ORDINARY,
            year_ago: false,
        }
    }

    /// Sets the mean value of an order.
    pub(super) fn order_value_yuan(&mut self, yuan: u64) {
        self.habits.share(Flow::GmvFen, yuan * 100_000_000);
    }
}

/// Where sheets are written down.
pub(super) struct Stage {
    now: Timestamp,
    today: Day,
    dictionary: Dictionary,
    population: Population,
}

impl Stage {
    /// An empty stage.
    pub(super) fn new(now: Timestamp, dictionary: Dictionary) -> Self {
        Self { now, today: now.day(), dictionary, population: Population::default() }
    }

    /// What was written.
    pub(super) fn finish(self) -> Population {
        self.population
    }

    /// Writes a service provider.
    pub(super) fn provider(&mut self, id: u64, name: String, capabilities: [u8; 5], tags: Vec<String>) {
        let capabilities = Some(capabilities);
        self.population.profiles.push(Profile::from(ServiceProvider {
            id: ProviderId(id),
            name,
            capabilities,
            tags: tags.into(),
            revision: 0,
        }));
    }

    /// Writes a merchant and all that belongs to it.
    pub(super) fn merchant(&mut self, sheet: Sheet, draw: Option<&mut Draw>) {
        let id = MerchantId(sheet.id);
        let opened_at = sheet.opened_days.map(|days| self.today.plus(-days).start().plus_ms(9 * 3_600_000));
        self.population.profiles.push(Profile::from(Merchant {
            id,
            name: sheet.name.clone(),
            kind: sheet.kind,
            opened_at,
            categories: sheet.categories.clone().into(),
            region: sheet.region.to_owned(),
            origin_belt: sheet.origin_belt.to_owned(),
            fan_count: sheet.fans,
            service_provider: sheet.provider.map(ProviderId),
            tags: sheet.tags.clone().into(),
            prior_identity_violation: sheet.prior_identity,
            enrolments: sheet
                .enrolments
                .iter()
                .map(|(list, days)| Enrolment { list: (*list).to_owned(), day: self.today.plus(-days) })
                .collect(),
            revision: 0,
        }));
        let items = self.items(&sheet, id, opened_at);
        let rights: Vec<HeldRight> = sheet
            .rights
            .iter()
            .map(|(right, days)| HeldRight {
                right: (*right).to_owned(),
                from: opened_at
                    .map_or(self.today.plus(-days).start(), |opened| opened.max(self.today.plus(-days).start())),
                until: None,
            })
            .collect();
        let packages = sheet.packages.iter().map(|scene| Package { merchant: id, scene: *scene, exposures: PACKAGE });
        self.population.packages.extend(packages);
        if !rights.is_empty() {
            self.population.rights.push((id, rights));
        }
        for (position, offence) in (0..).zip(&sheet.offences) {
            self.offence(sheet.id, position, offence);
        }
        if sheet.has_facts {
            let trade = Trade {
                detail: sheet.detail,
                open_days: sheet.opened_days,
                volume: sheet.volume,
                spikes: sheet.spikes,
                habits: sheet.habits,
                standing: sheet.standing,
                year_ago: sheet.year_ago,
                items: if sheet.item_facts { items } else { [Vec::new(), Vec::new(), Vec::new()] },
            };
            let last = self.today.plus(-1);
            trade.write(Subject::Merchant(id), last, &self.dictionary, draw, &mut self.population.rows);
        }
    }

    fn items(&mut self, sheet: &Sheet, merchant: MerchantId, opened_at: Option<Timestamp>) -> [Vec<Subject>; 3] {
        let not_before_opening = |at: Timestamp| opened_at.map_or(at, |opened| at.max(opened));
        let mut subjects = [Vec::new(), Vec::new(), Vec::new()];
        let [rooms, products, videos] = &mut subjects;
        let subject = |kind, id| Subject::Item(ItemId { kind, id });
        for (position, room) in (0..).zip(&sheet.rooms) {
            let id = live_room_id(merchant, position);
            let started_at = self.now.plus_ms(-room.minutes * 60_000);
            rooms.push(subject(ItemKind::LiveRoom, id));
            self.population.profiles.push(Profile::from(LiveRoom {
                id,
                merchant,
                anchor: room.anchor.clone(),
                tags: room.tags.clone().into(),
                started_at: Some(started_at),
                ended_at: room.over.then_some(started_at.plus_ms(room.minutes * 30_000)),
                revision: 0,
            }));
        }
        for (position, goods) in (0..).zip(&sheet.goods) {
            let id = product_id(merchant, position);
            products.push(subject(ItemKind::Product, id));
            self.population.profiles.push(Profile::from(Product {
                id,
                name: goods.name.clone(),
                merchant,
                promoters: goods.promoters.clone(),
                categories: sheet.categories.clone().into(),
                listed_at: Some(not_before_opening(self.now.plus_ms(-goods.listed_days * DAY_MS))),
                tags: goods.tags.clone().into(),
                is_virtual: sheet.is_virtual,
                revision: 0,
            }));
        }
        for position in 0..sheet.videos {
            let id = short_video_id(merchant, position);
            videos.push(subject(ItemKind::ShortVideo, id));
            let age = i64::try_from(position).unwrap_or(0) * DAY_MS;
            self.population.profiles.push(Profile::from(ShortVideo {
                id,
                merchant,
                tags: (position == 0).then(|| "seeding".to_owned()).into_iter().collect(),
                posted_at: Some(not_before_opening(self.now.plus_ms(-3_600_000 - age))),
                revision: 0,
            }));
        }
        subjects
    }

    fn offence(&mut self, merchant: u64, position: u64, offence: &Offence) {
        let merchant = MerchantId(merchant);
        let occurred_at = self.now.plus_ms(-offence.days_ago * DAY_MS);
        self.population.violations.push(Violation {
            id: violation_id(merchant, position),
            merchant,
            kind: offence.kind.to_owned(),
            item: offence
                .short_video
                .map(|video| ItemId { kind: ItemKind::ShortVideo, id: short_video_id(merchant, video) }),
            occurred_at,
            effective_from: occurred_at,
            effective_until: offence.days.map(|days| occurred_at.plus_ms(days * DAY_MS)),
            order: offence.order.clone(),
            decision: Decision::Applied,
            revoked: false,
        });
    }
}
