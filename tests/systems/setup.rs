//! A merchant with its items as a test wants it, in days relative to the day it is written on.

use trustflow::proto::{Merchant, MerchantKind};

/// A merchant, a room, a product and a video of it. All days are days before today.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) kind: MerchantKind,
    /// None: not known. Negative: in the future.
    pub(crate) opened: Option<i32>,
    pub(crate) categories: Vec<&'static str>,
    pub(crate) region: &'static str,
    pub(crate) belt: &'static str,
    pub(crate) fans: u64,
    pub(crate) tags: Vec<&'static str>,
    pub(crate) prior_identity: bool,
    /// Lists and the days they were joined before.
    pub(crate) enrolments: Vec<(&'static str, i32)>,
    pub(crate) rights: Vec<&'static str>,
    /// Its service provider: capabilities and tags.
    pub(crate) provider: Option<([u32; 5], Vec<&'static str>)>,
    /// The provider is the one of this id; a new one if 0.
    pub(crate) provider_id: u64,
    /// Counters on days.
    pub(crate) facts: Vec<(i32, &'static str, u64)>,
    pub(crate) room_tags: Vec<&'static str>,
    pub(crate) product_tags: Vec<&'static str>,
    pub(crate) product_categories: Vec<&'static str>,
    pub(crate) product_virtual: bool,
    pub(crate) product_listed: Option<i32>,
    pub(crate) promoters: Vec<u64>,
    pub(crate) product_facts: Vec<(i32, &'static str, u64)>,
}

/// Every right that every shop can hold.
pub(crate) const SHOP_RIGHTS: [&str; 3] =
    ["fake_one_compensates_ten", "seven_day_no_reason", "return_freight_compensation"];

/// What a careful merchant's day looks like, on 1,000 orders; without GMV.
const GOOD: [(&str, u64); 37] = [
    ("paid_orders", 1_000),
    ("created_orders", 1_000),
    ("cancelled_orders", 0),
    ("promised_orders", 900),
    ("shipments_due", 1_000),
    ("shipped_on_time", 1_000),
    ("collections_due", 1_000),
    ("abnormal_collections", 0),
    ("deliveries_due", 1_000),
    ("delivered_on_time", 1_000),
    ("delivered_orders", 1_000),
    ("reviews", 500),
    ("negative_reviews", 0),
    ("review_points", 2_500),
    ("complaints", 0),
    ("submitted_listings", 500),
    ("intercepted_listings", 0),
    ("jury_votes", 500),
    ("jury_votes_against", 0),
    ("authenticity_checks", 200),
    ("authenticity_failures", 0),
    ("protected_orders", 1_000),
    ("claims_due", 100),
    ("claims_honoured", 100),
    ("liable_refunds", 0),
    ("refunded_orders", 0),
    ("after_sales_requests", 100),
    ("after_sales_on_time", 100),
    ("im_sessions", 500),
    ("im_replied_on_time", 500),
    ("anchor_ratings", 500),
    ("anchor_rating_points", 2_500),
    ("price_index", 8_000),
    ("shopping_experience_score", 490),
    ("repeat_customer_index", 9_000),
    ("buyers_30d", 900),
    ("repeat_buyers_30d", 400),
];

/// And a careless one's.
const BAD: [(&str, u64); 35] = [
    ("paid_orders", 1_000),
    ("created_orders", 1_500),
    ("cancelled_orders", 700),
    ("promised_orders", 0),
    ("shipments_due", 1_000),
    ("shipped_on_time", 200),
    ("collections_due", 1_000),
    ("abnormal_collections", 500),
    ("deliveries_due", 1_000),
    ("delivered_on_time", 200),
    ("delivered_orders", 1_000),
    ("reviews", 500),
    ("negative_reviews", 400),
    ("review_points", 700),
    ("complaints", 300),
    ("submitted_listings", 500),
    ("intercepted_listings", 300),
    ("jury_votes", 500),
    ("jury_votes_against", 400),
    ("authenticity_checks", 200),
    ("authenticity_failures", 100),
    ("protected_orders", 0),
    ("claims_due", 100),
    ("claims_honoured", 10),
    ("liable_refunds", 400),
    ("refunded_orders", 500),
    ("after_sales_requests", 100),
    ("after_sales_on_time", 10),
    ("im_sessions", 500),
    ("im_replied_on_time", 50),
    ("anchor_ratings", 500),
    ("anchor_rating_points", 600),
    ("price_index", 15_000),
    ("shopping_experience_score", 300),
    ("repeat_customer_index", 100),
];

/// An ordinary merchant that opened years ago; nothing was sent of it.
pub(crate) fn plain() -> Setup {
    Setup {
        kind: MerchantKind::Ordinary,
        opened: Some(2_000),
        categories: vec!["auto_parts"],
        region: "guangdong",
        belt: "",
        fans: 5_000,
        tags: Vec::new(),
        prior_identity: false,
        enrolments: Vec::new(),
        rights: Vec::new(),
        provider: None,
        provider_id: 0,
        facts: Vec::new(),
        room_tags: Vec::new(),
        product_tags: Vec::new(),
        product_categories: Vec::new(),
        product_virtual: false,
        product_listed: None,
        promoters: Vec::new(),
        product_facts: Vec::new(),
    }
}

/// The same with levels as most have them: levels stay when nothing else is sent.
pub(crate) fn average() -> Setup {
    plain().fact(2, "price_index", 10_000).fact(2, "shopping_experience_score", 420).fact(
        2,
        "repeat_customer_index",
        5_000,
    )
}

/// A careful merchant that sells 200,000 yuan in 30 days: too much for the long tail, too little for the second pool.
pub(crate) fn good() -> Setup {
    let mut setup = plain();
    setup.facts = GOOD.iter().map(|(counter, value)| (2, *counter, *value)).collect();
    setup.gmv(2, 200_000)
}

impl Setup {
    /// The same merchant, careless: its trust score falls below every bound.
    pub(crate) fn turned_bad(mut self) -> Self {
        let paid = |facts: &Self, counter| facts.facts.iter().any(|(_, name, _)| *name == counter);
        for (counter, value) in BAD {
            if paid(&self, counter) {
                let of_counter = self.facts.iter_mut().filter(|(_, name, _)| *name == counter);
                of_counter.for_each(|fact| fact.2 = value);
            } else {
                self.facts.push((2, counter, value));
            }
        }
        self
    }

    /// GMV on a day, in yuan.
    pub(crate) fn gmv(self, day: i32, yuan: u64) -> Self {
        self.fact(day, "gmv_fen", yuan * 100)
    }

    /// A counter on a day; replaces what was said of it.
    pub(crate) fn fact(mut self, day: i32, counter: &'static str, value: u64) -> Self {
        self.facts.retain(|(other, name, _)| (*other, *name) != (day, counter));
        self.facts.push((day, counter, value));
        self
    }

    pub(crate) fn product_fact(mut self, day: i32, counter: &'static str, value: u64) -> Self {
        self.product_facts.retain(|(other, name, _)| (*other, *name) != (day, counter));
        self.product_facts.push((day, counter, value));
        self
    }

    pub(crate) fn list(mut self, list: &'static str, days: i32) -> Self {
        self.enrolments.retain(|(other, _)| *other != list);
        self.enrolments.push((list, days));
        self
    }

    pub(crate) fn tag(mut self, tag: &'static str) -> Self {
        self.tags.push(tag);
        self
    }

    pub(crate) fn sells(mut self, category: &'static str) -> Self {
        self.categories = vec![category];
        self
    }

    pub(crate) fn opened(mut self, days: i32) -> Self {
        self.opened = Some(days);
        self
    }

    /// Holds what Trust Purchase asks of everybody.
    pub(crate) fn with_rights(mut self) -> Self {
        self.rights = SHOP_RIGHTS.to_vec();
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Its profile as it is sent, without what is dated.
    pub(crate) fn merchant(&self, id: u64) -> Merchant {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Merchant {
            merchant_id: id,
            name: format!("merchant {id}"),
            kind: self.kind.into(),
            categories: texts(&self.categories),
            region: self.region.to_owned(),
            origin_belt: self.belt.to_owned(),
            fan_count: self.fans,
            tags: texts(&self.tags),
            prior_identity_violation: self.prior_identity,
            ..Merchant::default()
        }
    }
}
