//! The words in which named merchants are described: sheets, written step by step.

use super::counters::{Flow, WHOLE};
use super::facts::{Detail, Standing};
use super::sheet::{Goods, Offence, Room, SHOP_RIGHTS, Sheet};
use crate::domain::{MerchantId, MerchantKind, OrderContext, Scene};

/// An ordinary merchant of one category, told daily, with one live room, open for two years.
pub(super) fn merchant(id: u64, name: &str, category: &str) -> Sheet {
    let mut sheet = Sheet::new(id, name.to_owned());
    sheet.categories.push(category.to_owned());
    sheet.opened_days = Some(730);
    sheet.detail = Detail::Daily;
    sheet.item_facts = true;
    sheet.year_ago = true;
    sheet.region = "guangdong";
    sheet
}

impl Sheet {
    pub(super) fn kind(mut self, kind: MerchantKind) -> Self {
        self.kind = kind;
        self
    }

    pub(super) fn also_sells(mut self, category: &str) -> Self {
        self.categories.push(category.to_owned());
        self
    }

    pub(super) fn from(mut self, region: &'static str, origin_belt: &'static str) -> Self {
        self.region = region;
        self.origin_belt = origin_belt;
        self
    }

    pub(super) fn fans(mut self, fans: u64) -> Self {
        self.fans = fans;
        self
    }

    /// Opened so many days before today: as many days are closed since, the first included.
    pub(super) fn opened(mut self, days: i32) -> Self {
        self.opened_days = Some(days);
        self
    }

    pub(super) fn tagged(mut self, tag: &str) -> Self {
        self.tags.push(tag.to_owned());
        self
    }

    pub(super) fn enrolled(mut self, list: &'static str, days: i32) -> Self {
        self.enrolments.push((list, days));
        self
    }

    pub(super) fn package(mut self, scene: Scene) -> Self {
        self.packages.push(scene);
        self
    }

    pub(super) fn served_by(mut self, provider: u64) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Orders a day, from so many days before the last closed day backwards.
    pub(super) fn orders_a_day(mut self, steps: &[(i32, u64)]) -> Self {
        self.volume = steps.iter().map(|(from, orders)| (*from, orders * 7 * WHOLE)).collect();
        self
    }

    /// Orders in every seven days, exactly.
    pub(super) fn orders_a_week(mut self, orders: u64) -> Self {
        self.volume = vec![(0, orders * WHOLE)];
        self
    }

    /// Orders of a big session on top of a day.
    pub(super) fn session(mut self, days_back: i32, orders: u64) -> Self {
        self.spikes.push((days_back, orders));
        self
    }

    pub(super) fn order_value(mut self, yuan: u64) -> Self {
        self.order_value_yuan(yuan);
        self
    }

    /// A flow in hundredths of a percent of the one it is counted from.
    pub(super) fn share(mut self, flow: Flow, basis_points: u64) -> Self {
        self.habits.share(flow, basis_points * 100);
        self
    }

    /// Exposures of a scene from its GMV: so many yuan per thousand exposures.
    pub(super) fn yuan_per_thousand(mut self, exposures: Flow, yuan: u64) -> Self {
        self.habits.share(exposures, 10_000_000 / yuan);
        self
    }

    pub(super) fn weekly(mut self, flow: Flow, count: u64) -> Self {
        self.habits.weekly(flow, count);
        self
    }

    /// Its owner ran a punished shop before.
    pub(super) fn prior_identity(mut self) -> Self {
        self.prior_identity = true;
        self
    }

    /// Nothing was ever recorded of it.
    pub(super) fn without_facts(mut self) -> Self {
        self.has_facts = false;
        self
    }

    /// Nothing is shipped.
    pub(super) fn ships_nothing(mut self) -> Self {
        self.is_virtual = true;
        self.habits.drop_logistics();
        self
    }

    /// Care well above the ordinary in everything that is measured.
    pub(super) fn careful(self) -> Self {
        self.share(Flow::ShippedOnTime, 9_950)
            .share(Flow::AbnormalCollections, 15)
            .share(Flow::DeliveredOnTime, 9_850)
            .share(Flow::PromisedOrders, 8_800)
            .share(Flow::RefundedOrders, 300)
            .share(Flow::NegativeReviews, 110)
            .share(Flow::ReviewPoints, 48_800)
            .share(Flow::Complaints, 12)
            .share(Flow::Reports, 3)
            .share(Flow::InterceptedListings, 0)
            .share(Flow::AuthenticityFailures, 0)
            .share(Flow::JuryVotesAgainst, 150)
            .share(Flow::ProtectedOrders, 9_600)
            .share(Flow::ClaimsHonoured, 10_000)
            .share(Flow::FreightClaimsHonoured, 10_000)
            .share(Flow::FanOrders, 6_500)
            .share(Flow::AfterSalesOnTime, 9_950)
            .share(Flow::LiableRefunds, 900)
            .share(Flow::QualityReturns, 500)
            .share(Flow::ImRepliedOnTime, 9_900)
            .share(Flow::AnchorRatingPoints, 49_200)
            .share(Flow::AnchorReports, 1)
    }

    /// Care well below the ordinary.
    pub(super) fn careless(self) -> Self {
        self.share(Flow::ShippedOnTime, 6_800)
            .share(Flow::AbnormalCollections, 1_100)
            .share(Flow::PromisedOrders, 1_500)
            .share(Flow::RefundedOrders, 2_400)
            .share(Flow::NegativeReviews, 3_400)
            .share(Flow::ReviewPoints, 31_000)
            .share(Flow::Complaints, 420)
            .share(Flow::Reports, 160)
            .share(Flow::ReportsUpheld, 6_000)
            .share(Flow::JuryVotesAgainst, 3_800)
            .share(Flow::ProtectedOrders, 800)
            .share(Flow::ClaimsHonoured, 6_500)
            .share(Flow::AfterSalesOnTime, 6_000)
            .share(Flow::LiableRefunds, 5_500)
            .share(Flow::QualityReturns, 3_600)
            .share(Flow::ImRepliedOnTime, 5_200)
    }

    pub(super) fn standing(mut self, standing: Standing) -> Self {
        self.standing = standing;
        self
    }

    /// Shares in ten-thousandths of the buyers of 14, 30 and 90 days who bought again.
    pub(super) fn repurchase(mut self, repeat_buyers: [u64; 3]) -> Self {
        self.standing.repeat_buyers = repeat_buyers;
        self
    }

    pub(super) fn fan_purchase_rate(mut self, ten_thousandths: u64) -> Self {
        self.standing.fan_purchase_rate = ten_thousandths;
        self
    }

    pub(super) fn room(self, anchor: &str) -> Self {
        self.tagged_room(anchor, &[])
    }

    pub(super) fn tagged_room(mut self, anchor: &str, tags: &[&str]) -> Self {
        let minutes = 45 + 30 * i64::try_from(self.rooms.len()).unwrap_or(0);
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        self.rooms.push(Room { anchor: anchor.to_owned(), tags, minutes, over: false });
        self
    }

    pub(super) fn goods(self, name: &str, listed_days: i64, tags: &[&str]) -> Self {
        self.promoted_goods(name, listed_days, tags, &[])
    }

    pub(super) fn promoted_goods(mut self, name: &str, listed_days: i64, tags: &[&str], promoters: &[u64]) -> Self {
        self.goods.push(Goods {
            name: name.to_owned(),
            listed_days,
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            promoters: promoters.iter().copied().map(MerchantId).collect(),
        });
        self
    }

    pub(super) fn videos(mut self, count: u64) -> Self {
        self.videos = count;
        self
    }

    /// Holds every right that every shop can hold.
    pub(super) fn trust_purchase(mut self) -> Self {
        self.rights.extend(SHOP_RIGHTS.iter().map(|right| (*right, 300)));
        self
    }

    pub(super) fn right(mut self, right: &'static str) -> Self {
        self.rights.push((right, 200));
        self
    }

    /// An offence of some days ago, in force for some days.
    pub(super) fn offence(mut self, kind: &'static str, days_ago: i64, days: i64) -> Self {
        let days = Some(days);
        self.offences.push(Offence { kind, days_ago, days, short_video: None, order: None });
        self
    }

    /// An offence of today about an order sent from one region to another.
    pub(super) fn offence_about_order(mut self, kind: &'static str, sender: &str, recipient: &str) -> Self {
        let order = OrderContext {
            sender_region: sender.to_owned(),
            recipient_region: recipient.to_owned(),
            is_virtual: false,
        };
        self.offences.push(Offence { kind, days_ago: 0, days: Some(7), short_video: None, order: Some(order) });
        self
    }

    /// Its first short video is shown less.
    pub(super) fn reduced_video(mut self, days_ago: i64, days: i64) -> Self {
        let kind = "reduce_short_video";
        self.offences.push(Offence { kind, days_ago, days: Some(days), short_video: Some(0), order: None });
        self
    }
}
