//! From a merchant's habits to rows of facts that agree with each other.

use super::counters::{FLOW_COUNT, FLOWS, Flow, LOGISTICS, Level, SCENE_GMV, WHOLE};
use super::random::Draw;
use crate::domain::{CounterId, Day, DayFacts, FIRST_FACTS_DAY, FactRow, Subject};

/// Rates with which a merchant's flows follow from each other.
pub(super) struct Habits([Rate; FLOW_COUNT]);

/// A rate in millionths.
#[derive(Clone, Copy)]
enum Rate {
    /// Of the flow it is counted from.
    Share(u64),
    /// A week, whatever is sold.
    Weekly(u64),
}

impl Habits {
    /// Those of the table.
    pub(super) fn typical() -> Self {
        let mut rates = [Rate::Share(0); FLOW_COUNT];
        for (rate, entry) in rates.iter_mut().zip(FLOWS) {
            *rate = if entry.of == Flow::Days { Rate::Weekly(entry.typical) } else { Rate::Share(entry.typical) };
        }
        Self(rates)
    }

    /// Sets a flow to some millionths of the one it is counted from.
    pub(super) fn share(&mut self, flow: Flow, millionths: u64) {
        self.set(flow, Rate::Share(millionths));
    }

    /// Sets a flow to a fixed number a week: every seven days in a row sum to it exactly.
    pub(super) fn weekly(&mut self, flow: Flow, count: u64) {
        self.set(flow, Rate::Weekly(count * WHOLE));
    }

    /// Leaves out what does not exist for goods that are not shipped.
    pub(super) fn drop_logistics(&mut self) {
        for flow in LOGISTICS {
            self.share(flow, 0);
        }
    }

    fn set(&mut self, flow: Flow, rate: Rate) {
        if let Some(place) = self.0.get_mut(flow.index()) {
            *place = rate;
        }
    }
}

/// The levels of a merchant; shares in ten-thousandths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// 10000 is the market price.
    pub(super) price_index: u64,
    /// Hundredths of a point, up to 500.
    pub(super) shopping_experience: u64,
    /// Up to 10000.
    pub(super) repeat_customer_index: u64,
    /// Share of fans who bought.
    pub(super) fan_purchase_rate: u64,
    /// Share of the buyers of 14, 30 and 90 days who bought again.
    pub(super) repeat_buyers: [u64; 3],
}

/// How finely the last fourteen days are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// One row a day.
    Daily,
    /// One row a week.
    Weekly,
}

/// What a merchant sells, and when.
pub(super) struct Trade {
    /// Fineness of the rows.
    pub(super) detail: Detail,
    /// Days from opening to the last closed day, both included; none means longer than any window.
    pub(super) open_days: Option<i32>,
    /// Orders a week in millionths, from so many days before the last closed day backwards; ascending, from 0.
    pub(super) volume: Vec<(i32, u64)>,
    /// Orders on top, on single days of the last fourteen, of merchants told daily.
    pub(super) spikes: Vec<(i32, u64)>,
    /// Rates.
    pub(super) habits: Habits,
    /// Levels.
    pub(super) standing: Standing,
    /// Whether a year-ago month is told as well, for growth year on year.
    pub(super) year_ago: bool,
    /// Items among which daily rows are divided: live rooms, products, short videos.
    pub(super) items: [Vec<Subject>; 3],
}

/// One row's worth of days, `newest` days before the last closed day and older.
#[derive(Clone, Copy)]
struct Span {
    newest: i32,
    days: i32,
}

/// Spans older than fourteen days, so cut that windows of 14, 30, 60, 90 and 365 days are sums of whole spans.
const OLDER_OF_WEEKLY: &[Span] = &[
    Span { newest: 14, days: 16 },
    Span { newest: 30, days: 30 },
    Span { newest: 60, days: 30 },
    Span { newest: 90, days: 275 },
];

/// The same, with windows of 21 and 180 days as well.
const OLDER_OF_DAILY: &[Span] = &[
    Span { newest: 14, days: 7 },
    Span { newest: 21, days: 9 },
    Span { newest: 30, days: 30 },
    Span { newest: 60, days: 30 },
    Span { newest: 90, days: 90 },
    Span { newest: 180, days: 185 },
];

/// The month that ended a year before the last closed day.
const YEAR_AGO: Span = Span { newest: 365, days: 30 };

/// Counter ids of the policy's dictionary; none for counters it does not know.
pub(super) struct Dictionary {
    flows: Vec<Option<CounterId>>,
    levels: Vec<Option<CounterId>>,
}

impl Dictionary {
    /// Asks for every counter once.
    pub(super) fn new(counter: &dyn Fn(&str) -> Option<CounterId>) -> Self {
        let named = |name: &str| if name.is_empty() { None } else { counter(name) };
        Self {
            flows: FLOWS.iter().map(|entry| named(entry.name)).collect(),
            levels: Level::ALL.iter().map(|level| named(level.name())).collect(),
        }
    }

    /// The cells of a page, and of levels if there are any. Zeros are left out: nothing sums to the same.
    fn cells(&self, page: &Page, levels: Option<&[u64; Level::ALL.len()]>) -> Vec<(CounterId, u64)> {
        let flows = self.flows.iter().zip(&page.0);
        let mut cells = Vec::with_capacity(flows.clone().filter(|(id, value)| id.is_some() && **value > 0).count());
        cells.extend(flows.filter_map(|(id, value)| id.filter(|_| *value > 0).map(|id| (id, *value))));
        if let Some(levels) = levels {
            cells.extend(self.levels.iter().zip(levels).filter_map(|(id, value)| id.map(|id| (id, *value))));
        }
        cells
    }
}

/// The value of every flow over some days.
struct Page([u64; FLOW_COUNT]);

impl Page {
    fn get(&self, flow: Flow) -> u64 {
        self.0.get(flow.index()).copied().unwrap_or(0)
    }

    fn set(&mut self, flow: Flow, value: u64) {
        if let Some(place) = self.0.get_mut(flow.index()) {
            *place = value;
        }
    }

    /// One of `parts` equal parts, in which parts keep their ratio to the whole they are counted from.
    fn part(&self, parts: u64) -> Self {
        let mut part = Self([0; FLOW_COUNT]);
        for entry in FLOWS {
            let value = self.get(entry.counter);
            let whole = self.get(entry.of);
            let share = if entry.of == Flow::Days || whole == 0 {
                value.checked_div(parts).unwrap_or(0)
            } else {
                let scaled = u128::from(value) * u128::from(part.get(entry.of)) / u128::from(whole);
                u64::try_from(scaled).unwrap_or(u64::MAX)
            };
            part.set(entry.counter, share);
        }
        part
    }
}

/// Writes pages and carries what is less than one over to the next, so that sums stay true to the rates.
struct Book<'a> {
    habits: &'a Habits,
    carried: [u64; FLOW_COUNT],
}

impl<'a> Book<'a> {
    /// Starts with nothing carried, or with something drawn, so that small merchants do not move in step.
    fn new(habits: &'a Habits, draw: Option<&mut Draw>) -> Self {
        let mut carried = [0; FLOW_COUNT];
        if let Some(draw) = draw {
            for place in &mut carried {
                *place = draw.below(WHOLE);
            }
        }
        Self { habits, carried }
    }

    fn page(&mut self, days: u64, weekly_orders: u64, extra_orders: u64) -> Page {
        let mut page = Page([0; FLOW_COUNT]);
        for ((entry, rate), carried) in FLOWS.iter().zip(&self.habits.0).zip(&mut self.carried) {
            let flow = entry.counter;
            let (base, millionths, whole) = match *rate {
                _ if flow == Flow::Days => (days, WHOLE, WHOLE),
                _ if flow == Flow::PaidOrders => (days, weekly_orders, 7 * WHOLE),
                Rate::Weekly(millionths) => (days, millionths, 7 * WHOLE),
                Rate::Share(millionths) => (page.get(entry.of), millionths, WHOLE),
            };
            let sum = base.saturating_mul(millionths).saturating_add(*carried);
            *carried = sum % whole;
            let extra = if flow == Flow::PaidOrders { extra_orders } else { 0 };
            let value = sum / whole + extra;
            page.set(flow, value.min(limit(&page, flow)));
        }
        let live = page.get(Flow::ExposuresLive) + page.get(Flow::IdleExposures);
        page.set(Flow::ExposuresLive, live);
        page
    }
}

/// The most a flow may be on a page that is written up to it.
fn limit(page: &Page, flow: Flow) -> u64 {
    if SCENE_GMV.contains(&flow) {
        let others: u64 = SCENE_GMV.iter().map(|scene| page.get(*scene)).sum();
        page.get(Flow::GmvFen).saturating_sub(others)
    } else if flow == Flow::LightningBuyOrders {
        page.get(Flow::PaidOrders).saturating_sub(page.get(Flow::PromisedOrders))
    } else if flow == Flow::FollowPageExposures {
        page.get(Flow::ExposuresLive)
    } else {
        u64::MAX
    }
}

impl Trade {
    /// Writes the rows of a merchant and of its items, newest first.
    pub(super) fn write(
        &self,
        subject: Subject,
        last: Day,
        dictionary: &Dictionary,
        mut draw: Option<&mut Draw>,
        rows: &mut Vec<FactRow>,
    ) {
        let mut book = Book::new(&self.habits, draw.as_deref_mut());
        let mut pages = Vec::new();
        for span in self.spans() {
            let noise = draw.as_deref_mut().map_or(1_000, |draw| draw.between(750, 1_250));
            let weekly = self.weekly_orders(span.newest).saturating_mul(noise) / 1_000;
            let extra = self.spikes.iter().filter(|spike| spike.0 == span.newest).map(|spike| spike.1).sum();
            pages.push((span, book.page(u64::try_from(span.days).unwrap_or(0), weekly, extra)));
        }
        let levels = self.levels(&pages);
        for (span, page) in &pages {
            let day = last.plus(-span.newest);
            if day < FIRST_FACTS_DAY {
                continue;
            }
            let cells = dictionary.cells(page, (span.newest == 0).then_some(&levels));
            if !cells.is_empty() {
                rows.push(FactRow { subject, day, facts: DayFacts::new(cells) });
            }
            if span.days == 1 {
                self.write_items(page, day, dictionary, rows);
            }
        }
    }

    fn write_items(&self, page: &Page, day: Day, dictionary: &Dictionary, rows: &mut Vec<FactRow>) {
        for (subjects, told) in self.items.iter().zip([ROOM_FLOWS, PRODUCT_FLOWS, VIDEO_FLOWS]) {
            let part = page.part(u64::try_from(subjects.len()).unwrap_or(0));
            let mut kept = Page([0; FLOW_COUNT]);
            for flow in told {
                kept.set(*flow, part.get(*flow));
            }
            let cells = dictionary.cells(&kept, None);
            if !cells.is_empty() {
                rows.extend(subjects.iter().map(|&subject| FactRow {
                    subject,
                    day,
                    facts: DayFacts::new(cells.clone()),
                }));
            }
        }
    }

    fn spans(&self) -> Vec<Span> {
        let (days, count, older) = match self.detail {
            Detail::Daily => (1, 14, OLDER_OF_DAILY),
            Detail::Weekly => (7, 2, OLDER_OF_WEEKLY),
        };
        let recent = (0..count).map(|position| Span { newest: position * days, days });
        recent
            .chain(older.iter().copied())
            .chain(self.year_ago.then_some(YEAR_AGO))
            .filter_map(|span| {
                let days = self.open_days.map_or(span.days, |open| span.days.min(open - span.newest));
                (days > 0).then_some(Span { days, ..span })
            })
            .collect()
    }

    fn weekly_orders(&self, newest: i32) -> u64 {
        self.volume.iter().rev().find(|step| step.0 <= newest).map_or(0, |step| step.1)
    }

    /// Distinct buyers are at most the orders of their window, and grow with it.
    fn levels(&self, pages: &[(Span, Page)]) -> [u64; Level::ALL.len()] {
        let orders_in = |window: i32| {
            pages.iter().filter(|page| page.0.newest < window).map(|page| page.1.get(Flow::PaidOrders)).sum::<u64>()
        };
        let mut buyers = [0; 3];
        let mut repeats = [0; 3];
        let (mut fewest, mut fewest_repeats) = (0, 0);
        let windows = [(14, 90), (30, 82), (90, 70)];
        for (((window, percent), repeat), (all, again)) in
            windows.into_iter().zip(self.standing.repeat_buyers).zip(buyers.iter_mut().zip(&mut repeats))
        {
            let distinct = orders_in(window) * percent / 100;
            // Whole hundreds, so that the shares that are published come out exactly.
            let distinct = if distinct >= 100 { distinct - distinct % 100 } else { distinct };
            fewest = distinct.max(fewest);
            fewest_repeats = (fewest * repeat / 10_000).max(fewest_repeats);
            (*all, *again) = (fewest, fewest_repeats);
        }
        let standing = &self.standing;
        let mut levels = [0; Level::ALL.len()];
        let values = [
            (Level::PriceIndex, standing.price_index),
            (Level::ShoppingExperience, standing.shopping_experience),
            (Level::RepeatCustomerIndex, standing.repeat_customer_index),
            (Level::FanPurchaseRate, standing.fan_purchase_rate),
        ];
        let counts = [Level::Buyers14, Level::Buyers30, Level::Buyers90].into_iter().zip(buyers);
        let again = [Level::RepeatBuyers14, Level::RepeatBuyers30, Level::RepeatBuyers90].into_iter().zip(repeats);
        for (level, value) in values.into_iter().chain(counts).chain(again) {
            if let Some(place) = levels.get_mut(level.index()) {
                *place = value;
            }
        }
        levels
    }
}

/// What is told of a live room.
const ROOM_FLOWS: &[Flow] = &[
    Flow::PaidOrders,
    Flow::GmvLiveFen,
    Flow::ExposuresLive,
    Flow::FollowPageGmvFen,
    Flow::FollowPageExposures,
    Flow::BroadcastMinutes,
    Flow::JuryVotes,
    Flow::JuryVotesAgainst,
    Flow::AnchorRatings,
    Flow::AnchorRatingPoints,
    Flow::AnchorReports,
];

/// What is told of a product.
const PRODUCT_FLOWS: &[Flow] = &[
    Flow::PaidOrders,
    Flow::PaidItems,
    Flow::GmvFen,
    Flow::RefundedOrders,
    Flow::LiableRefunds,
    Flow::QualityReturns,
    Flow::DescriptionMismatches,
    Flow::Reviews,
    Flow::NegativeReviews,
    Flow::ReviewPoints,
    Flow::FanOrders,
    Flow::NewBuyerOrders,
    Flow::ExposuresMall,
    Flow::ExposuresSearch,
];

/// What is told of a short video.
const VIDEO_FLOWS: &[Flow] = &[Flow::GmvShortVideoFen, Flow::ExposuresShortVideo];
