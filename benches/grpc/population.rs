//! The merchants, live rooms and facts that the benchmark loads, and the client that loads them.

use std::error::Error;
use std::net::SocketAddr;

use prost::Message;
use prost_types::Timestamp;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use trustflow::domain::Day;
use trustflow::proto::profile_service_client::ProfileServiceClient;
use trustflow::proto::{
    CloseDayRequest, DayFacts, FactColumns, ImportRequest, LiveRoom, Merchant, MerchantKind, Product, Scene,
    ScoreRequest, TargetKind,
};

/// Rows or profiles of one chunk.
const CHUNK: u32 = 5_000;
const CATEGORIES: [&str; 8] = ["apparel", "beauty", "food", "fresh", "home", "jewellery", "digital", "books"];
/// Counters of a merchant-day, in the order `counter_values` gives them.
const COUNTERS: [&str; 12] = [
    "paid_orders",
    "gmv_fen",
    "shipments_due",
    "shipped_on_time",
    "reviews",
    "negative_reviews",
    "review_points",
    "created_orders",
    "cancelled_orders",
    "refunded_orders",
    "deliveries_due",
    "delivered_on_time",
];
/// How many of them the population of `score` has.
const POPULATION_COUNTERS: usize = 6;

/// A small generator with a fixed sequence (splitmix64): the same seed, the same calls.
pub(crate) struct Random(u64);

impl Random {
    /// Starts a sequence.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform below `bound`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let high = ((self.next() >> 32) * u64::from(bound)) >> 32;
        u32::try_from(high).unwrap_or_default()
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// How much there is of each kind.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) merchants: u32,
    pub(crate) products: u32,
    pub(crate) live_rooms: u32,
}

impl Size {
    /// A live room per merchant: what Score is measured on.
    pub(crate) fn rooms(merchants: u32) -> Self {
        Self { merchants, products: 0, live_rooms: merchants }
    }

    /// A product per merchant, and a tenth of them live: what a platform looks like.
    pub(crate) fn platform(merchants: u32) -> Self {
        Self { merchants, products: merchants, live_rooms: merchants / 10 }
    }

    /// Profiles of all kinds.
    pub(crate) fn profiles(self) -> u32 {
        self.merchants + self.products + self.live_rooms
    }
}

fn merchant_id(index: u32) -> u64 {
    1_000_000 + u64::from(index)
}

fn live_room_id(index: u32) -> u64 {
    9_000_000_000 + 7 * u64::from(index)
}

fn product_id(index: u32) -> u64 {
    5_000_000_000 + 3 * u64::from(index)
}

/// Ids of random live rooms of a population.
pub(crate) fn random_live_rooms(live_rooms: u32, targets: usize, random: &mut Random) -> Vec<u64> {
    (0..targets).map(|_| live_room_id(random.below(live_rooms))).collect()
}

/// The call that is measured.
pub(crate) fn score_request(target_ids: Vec<u64>) -> ScoreRequest {
    ScoreRequest {
        request_id: "bench-0123456789".to_owned(),
        scene: Scene::Live.into(),
        target_kind: TargetKind::LiveRoom.into(),
        target_ids,
        ..ScoreRequest::default()
    }
}

/// A message as gRPC frames it: not compressed, length, bytes.
pub(crate) fn framed(message: &impl Message) -> Result<Vec<u8>, Box<dyn Error>> {
    let length = u32::try_from(message.encoded_len())?;
    let mut bytes = vec![0];
    bytes.extend(length.to_be_bytes());
    message.encode(&mut bytes)?;
    Ok(bytes)
}

fn merchant(index: u32, today: Day) -> Merchant {
    let mut random = Random::new(u64::from(index));
    let kind = match random.below(100) {
        0..90 => MerchantKind::Ordinary,
        90..96 => MerchantKind::KuaiBrand,
        _ => MerchantKind::Brand,
    };
    let age_days = i32::try_from(random.below(1_000)).unwrap_or_default();
    let main = CATEGORIES.iter().cycle().skip(usize::try_from(random.below(8)).unwrap_or_default());
    let categories = main.take(2).map(|&category| category.to_owned()).collect();
    Merchant {
        merchant_id: merchant_id(index),
        name: format!("merchant {index}"),
        kind: kind.into(),
        opened_at: Some(Timestamp { seconds: today.plus(-age_days).start().0 / 1_000, nanos: 0 }),
        categories,
        fan_count: u64::from(random.below(2_000_000)),
        ..Merchant::default()
    }
}

fn product(index: u32, merchants: u32, today: Day) -> Product {
    let mut random = Random::new(u64::from(index) ^ (1 << 40));
    let main = CATEGORIES.iter().cycle().skip(usize::try_from(random.below(8)).unwrap_or_default());
    let age_days = i32::try_from(random.below(500)).unwrap_or_default();
    Product {
        product_id: product_id(index),
        name: format!("product {index}"),
        merchant_id: merchant_id(index % merchants),
        categories: main.take(1).map(|&category| category.to_owned()).collect(),
        listed_at: Some(Timestamp { seconds: today.plus(-age_days).start().0 / 1_000, nanos: 0 }),
        ..Product::default()
    }
}

/// A live room; `spread` merchants lie between the owners of two of them.
pub(crate) fn live_room(index: u32, spread: u32) -> LiveRoom {
    LiveRoom {
        live_room_id: live_room_id(index),
        merchant_id: merchant_id(index * spread),
        anchor: format!("anchor {index}"),
        ..LiveRoom::default()
    }
}

/// One plausible day: every share stays at or below one.
fn counter_values(random: &mut Random) -> [u64; 12] {
    let mut share = |of: u64, from: u32, to: u32| of * u64::from(from + random.below(to - from)) / 1_000;
    let created = share(400_000, 0, 1_000) / 1_000;
    let cancelled = share(created, 0, 100);
    let paid = created - cancelled;
    let on_time = share(paid, 850, 1_000);
    let reviews = share(paid, 100, 300);
    let negative = share(reviews, 0, 100);
    let points = share(reviews * 5, 700, 1_000);
    let refunded = share(paid, 0, 80);
    let delivered = share(paid, 800, 1_000);
    let gmv_fen = share(paid * 20_000, 200, 1_000);
    [paid, gmv_fen, paid, on_time, reviews, negative, points, created, cancelled, refunded, paid, delivered]
}

/// The facts of some merchants on one day.
fn facts(indexes: impl Iterator<Item = u32>, day: Day, counters: usize) -> FactColumns {
    let mut columns = FactColumns {
        counter_names: COUNTERS.iter().take(counters).map(|&name| name.to_owned()).collect(),
        ..FactColumns::default()
    };
    let cells = u32::try_from(counters).unwrap_or_default();
    for index in indexes {
        let day_of_year = u64::from(day.0.unsigned_abs());
        let mut random = Random::new((u64::from(index) << 32) | day_of_year);
        columns.ids.push(merchant_id(index));
        columns.days.push(day.0);
        columns.cell_counts.push(cells);
        columns.counters.extend(0..cells);
        columns.values.extend(counter_values(&mut random).into_iter().take(counters));
    }
    columns
}

/// Index ranges of at most `CHUNK`.
fn ranges(merchants: u32) -> impl Iterator<Item = std::ops::Range<u32>> {
    (0..merchants.div_ceil(CHUNK)).map(move |chunk| chunk * CHUNK..merchants.min((chunk + 1) * CHUNK))
}

fn numbered(import_id: String, chunks: impl Iterator<Item = ImportRequest>) -> impl Iterator<Item = ImportRequest> {
    (1..).zip(chunks).map(move |(sequence, chunk)| ImportRequest { import_id: import_id.clone(), sequence, ..chunk })
}

/// Merchants and their items, without facts.
pub(crate) fn profiles(size: Size, today: Day) -> impl Iterator<Item = ImportRequest> {
    let Size { merchants, products, live_rooms } = size;
    let spread = merchants / live_rooms.max(1);
    let owners = ranges(merchants).map(move |range| ImportRequest {
        merchants: range.map(|index| merchant(index, today)).collect(),
        ..ImportRequest::default()
    });
    let products = ranges(products).map(move |range| ImportRequest {
        products: range.map(|index| product(index, merchants, today)).collect(),
        ..ImportRequest::default()
    });
    let rooms = ranges(live_rooms).map(move |range| ImportRequest {
        live_rooms: range.map(|index| live_room(index, spread)).collect(),
        ..ImportRequest::default()
    });
    numbered(format!("profiles-{merchants}"), owners.chain(products).chain(rooms))
}

/// One day of every merchant, with the few counters of the `score` population.
pub(crate) fn day_of_facts(merchants: u32, day: Day) -> impl Iterator<Item = ImportRequest> {
    let chunks = ranges(merchants).map(move |range| ImportRequest {
        facts: Some(facts(range, day, POPULATION_COUNTERS)),
        ..ImportRequest::default()
    });
    numbered(format!("facts-{merchants}-{day}"), chunks)
}

/// The same for one merchant, as `RecordFacts` takes it; `seed` makes the values.
pub(crate) fn one_day(index: u32, day: Day, seed: u64) -> DayFacts {
    let values = counter_values(&mut Random::new(seed));
    let counters = COUNTERS.iter().zip(values).take(POPULATION_COUNTERS);
    DayFacts {
        merchant_id: merchant_id(index),
        date: day.to_string(),
        counters: counters.map(|(&name, value)| (name.to_owned(), value)).collect(),
        ..DayFacts::default()
    }
}

/// Merchant-days of 12 counters over the `days` days up to `last`.
pub(crate) fn merchant_days(merchants: u32, last: Day, days: i32) -> impl Iterator<Item = ImportRequest> {
    let chunks = (0..days).rev().flat_map(move |back| {
        ranges(merchants).map(move |range| ImportRequest {
            facts: Some(facts(range, last.plus(-back), COUNTERS.len())),
            ..ImportRequest::default()
        })
    });
    numbered(format!("merchant-days-{merchants}-{last}"), chunks)
}

/// A connection to a server.
pub(crate) async fn connect(address: SocketAddr) -> Result<Channel, Box<dyn Error>> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.connect().await?)
}

/// Sends an import and checks that every item was taken.
pub(crate) async fn import(
    channel: &Channel,
    chunks: impl Iterator<Item = ImportRequest> + Send + 'static,
    items: u64,
) -> Result<(), Box<dyn Error>> {
    let answer = ProfileServiceClient::new(channel.clone()).import(tokio_stream::iter(chunks)).await?.into_inner();
    if answer.accepted_items == items && answer.rejected_items == 0 {
        return Ok(());
    }
    let first = answer.results.first().map(|item| format!(", the first: {item:?}")).unwrap_or_default();
    let (accepted, rejected) = (answer.accepted_items, answer.rejected_items);
    Err(format!("the import took {accepted} of {items} items and refused {rejected}{first}").into())
}

/// Closes a day, so that scores follow from its facts.
pub(crate) async fn close_day(channel: &Channel, day: Day) -> Result<(), Box<dyn Error>> {
    let request = CloseDayRequest { request_id: format!("bench-{day}"), date: day.to_string() };
    match ProfileServiceClient::new(channel.clone()).close_day(request).await {
        // The server may have closed it by itself.
        Err(status) if status.code() == Code::FailedPrecondition && status.message().contains("closed") => Ok(()),
        Err(status) => Err(format!("CloseDay {day}: {status}").into()),
        Ok(_) => Ok(()),
    }
}
