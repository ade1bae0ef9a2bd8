//! The counters of the demo, each derived from an earlier one at a rate that a merchant's habits can change.

/// Parts of a whole; rates are in millionths.
pub(super) const WHOLE: u64 = 1_000_000;

/// How a counter comes about when nothing else is said.
pub(super) struct Entry {
    /// The counter.
    pub(super) counter: Flow,
    /// Its name in the policy's dictionary; empty for steps that are not sent.
    pub(super) name: &'static str,
    /// What it is counted from. `Days` makes the rate one per week.
    pub(super) of: Flow,
    /// Typical rate in millionths.
    pub(super) typical: u64,
}

macro_rules! flows {
    ($($flow:ident $name:literal = $typical:literal of $of:ident;)+) => {
        /// A flow: summed over windows. Stands after the one it is counted from.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Flow { $($flow),+ }

        /// Every flow, in the order of the enum.
        pub(super) const FLOWS: &[Entry] =
            &[$(Entry { counter: Flow::$flow, name: $name, of: Flow::$of, typical: $typical }),+];
    };
}

flows! {
    Days "" = 0 of Days;
    PaidOrders "paid_orders" = 0 of Days;
    PaidItems "paid_items" = 1_300_000 of PaidOrders;
    GmvFen "gmv_fen" = 8_000_000_000 of PaidOrders;
    CreatedOrders "created_orders" = 1_120_000 of PaidOrders;
    CancelledOrders "cancelled_orders" = 60_000 of CreatedOrders;
    RefundedOrders "refunded_orders" = 70_000 of PaidOrders;
    PromisedOrders "promised_orders" = 650_000 of PaidOrders;
    LightningBuyOrders "lightning_buy_orders" = 30_000 of PaidOrders;
    ForceMajeureOrders "force_majeure_orders" = 2_000 of PaidOrders;
    ShipmentsDue "shipments_due" = 980_000 of PaidOrders;
    ShippedOnTime "shipped_on_time" = 975_000 of ShipmentsDue;
    CollectionsDue "collections_due" = 1_000_000 of ShipmentsDue;
    AbnormalCollections "abnormal_collections" = 8_000 of CollectionsDue;
    DeliveriesDue "deliveries_due" = 990_000 of ShipmentsDue;
    DeliveredOrders "delivered_orders" = 985_000 of DeliveriesDue;
    DeliveredOnTime "delivered_on_time" = 960_000 of DeliveredOrders;
    Reviews "reviews" = 300_000 of PaidOrders;
    NegativeReviews "negative_reviews" = 35_000 of Reviews;
    ReviewPoints "review_points" = 4_650_000 of Reviews;
    Complaints "complaints" = 6_000 of PaidOrders;
    Reports "reports" = 2_000 of PaidOrders;
    ReportsUpheld "reports_upheld" = 250_000 of Reports;
    SubmittedListings "submitted_listings" = 5_000_000 of Days;
    InterceptedListings "intercepted_listings" = 5_000 of SubmittedListings;
    AuthenticityChecks "authenticity_checks" = 200_000 of SubmittedListings;
    AuthenticityFailures "authenticity_failures" = 4_000 of AuthenticityChecks;
    JuryVotes "jury_votes" = 50_000 of PaidOrders;
    JuryVotesAgainst "jury_votes_against" = 60_000 of JuryVotes;
    ProtectedOrders "protected_orders" = 600_000 of PaidOrders;
    ClaimsDue "claims_due" = 10_000 of ProtectedOrders;
    ClaimsHonoured "claims_honoured" = 970_000 of ClaimsDue;
    FreightClaimsDue "freight_claims_due" = 400_000 of RefundedOrders;
    FreightClaimsHonoured "freight_claims_honoured" = 980_000 of FreightClaimsDue;
    FanOrders "fan_orders" = 450_000 of PaidOrders;
    NewBuyerOrders "new_buyer_orders" = 350_000 of PaidOrders;
    GmvLiveFen "gmv_live_fen" = 600_000 of GmvFen;
    GmvShortVideoFen "gmv_short_video_fen" = 150_000 of GmvFen;
    GmvImageTextFen "gmv_image_text_fen" = 20_000 of GmvFen;
    GmvSearchFen "gmv_search_fen" = 80_000 of GmvFen;
    GmvMallFen "gmv_mall_fen" = 100_000 of GmvFen;
    GmvStoreFen "gmv_store_fen" = 50_000 of GmvFen;
    IdleExposures "" = 1_500_000_000 of Days;
    ExposuresLive "exposures_live" = 160_000 of GmvLiveFen;
    ExposuresShortVideo "exposures_short_video" = 250_000 of GmvShortVideoFen;
    ExposuresImageText "exposures_image_text" = 300_000 of GmvImageTextFen;
    ExposuresSearch "exposures_search" = 50_000 of GmvSearchFen;
    ExposuresMall "exposures_mall" = 80_000 of GmvMallFen;
    ExposuresStore "exposures_store" = 40_000 of GmvStoreFen;
    FollowPageGmvFen "follow_page_gmv_fen" = 350_000 of GmvLiveFen;
    FollowPageExposures "follow_page_exposures" = 40_000 of FollowPageGmvFen;
    BroadcastMinutes "broadcast_minutes" = 840_000_000 of Days;
    SeedingVideos "seeding_videos" = 2_000_000 of Days;
    AfterSalesRequests "after_sales_requests" = 90_000 of PaidOrders;
    AfterSalesOnTime "after_sales_on_time" = 950_000 of AfterSalesRequests;
    LiableRefunds "liable_refunds" = 250_000 of RefundedOrders;
    QualityReturns "quality_returns" = 120_000 of RefundedOrders;
    DescriptionMismatches "description_mismatches" = 80_000 of RefundedOrders;
    Disputes "disputes" = 4_000 of PaidOrders;
    DisputesLost "disputes_lost" = 300_000 of Disputes;
    ImSessions "im_sessions" = 250_000 of PaidOrders;
    ImRepliedOnTime "im_replied_on_time" = 920_000 of ImSessions;
    AnchorRatings "anchor_ratings" = 120_000 of PaidOrders;
    AnchorRatingPoints "anchor_rating_points" = 4_700_000 of AnchorRatings;
    AnchorReports "anchor_reports" = 1_000 of PaidOrders;
}

/// How many flows there are.
pub(super) const FLOW_COUNT: usize = FLOWS.len();

/// The scenes' GMV, each at most what the others leave of the total.
pub(super) const SCENE_GMV: [Flow; 6] = [
    Flow::GmvLiveFen,
    Flow::GmvShortVideoFen,
    Flow::GmvImageTextFen,
    Flow::GmvSearchFen,
    Flow::GmvMallFen,
    Flow::GmvStoreFen,
];

/// What does not exist for goods that are not shipped.
pub(super) const LOGISTICS: [Flow; 8] = [
    Flow::ForceMajeureOrders,
    Flow::ShipmentsDue,
    Flow::CollectionsDue,
    Flow::DeliveriesDue,
    Flow::DeliveredOrders,
    Flow::FreightClaimsDue,
    Flow::PromisedOrders,
    Flow::LightningBuyOrders,
];

impl Flow {
    /// Position in `FLOWS`.
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// What is sent as a level: the latest value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    PriceIndex,
    ShoppingExperience,
    RepeatCustomerIndex,
    FanPurchaseRate,
    Buyers14,
    RepeatBuyers14,
    Buyers30,
    RepeatBuyers30,
    Buyers90,
    RepeatBuyers90,
}

impl Level {
    /// Every level.
    pub(super) const ALL: [Self; 10] = [
        Self::PriceIndex,
        Self::ShoppingExperience,
        Self::RepeatCustomerIndex,
        Self::FanPurchaseRate,
        Self::Buyers14,
        Self::RepeatBuyers14,
        Self::Buyers30,
        Self::RepeatBuyers30,
        Self::Buyers90,
        Self::RepeatBuyers90,
    ];

    /// Position in `ALL`.
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// Name in the policy's dictionary.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PriceIndex => "price_index",
            Self::ShoppingExperience => "shopping_experience_score",
            Self::RepeatCustomerIndex => "repeat_customer_index",
            Self::FanPurchaseRate => "fan_purchase_rate",
            Self::Buyers14 => "buyers_14d",
            Self::RepeatBuyers14 => "repeat_buyers_14d",
            Self::Buyers30 => "buyers_30d",
            Self::RepeatBuyers30 => "repeat_buyers_30d",
            Self::Buyers90 => "buyers_90d",
            Self::RepeatBuyers90 => "repeat_buyers_90d",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FLOWS, Level};

    #[test]
    fn every_flow_stands_after_the_one_it_is_counted_from() {
        for (position, entry) in FLOWS.iter().enumerate() {
            assert_eq!(entry.counter.index(), position);
            assert!(entry.of.index() < position || position == 0, "{}", entry.name);
        }
        for (position, level) in Level::ALL.iter().enumerate() {
            assert_eq!(level.index(), position, "{}", level.name());
        }
    }
}
