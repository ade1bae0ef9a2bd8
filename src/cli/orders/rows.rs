//! The counters of one merchant on one day.

use std::collections::BTreeMap;

/// Counts that add up over days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the counters', explained in a table in `aggregate`")]
pub struct Flows {
    pub created_orders: u64,
    pub cancelled_orders: u64,
    pub paid_orders: u64,
    pub paid_items: u64,
    pub gmv_fen: u64,
    pub refunded_orders: u64,
    pub promised_orders: u64,
    pub bad_orders: u64,
    pub shipments_due: u64,
    pub shipped_on_time: u64,
    pub force_majeure_orders: u64,
    pub deliveries_due: u64,
    pub delivered_on_time: u64,
    pub delivered_orders: u64,
    pub reviews: u64,
    pub negative_reviews: u64,
    pub review_points: u64,
}

/// All counters of one merchant on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayRow {
    /// Counts of what fell on the day.
    pub flows: Flows,
    /// Levels that changed on the day, by counter.
    pub levels: BTreeMap<&'static str, u64>,
}

impl DayRow {
    /// Counters and values to send. Counters that belong to one event go together, zeros included, so that a
    /// corrected source replaces them; groups without any event are left out.
    #[must_use]
    pub fn cells(&self) -> Vec<(&'static str, u64)> {
        let flows = &self.flows;
        let groups: [&[(&'static str, u64)]; 5] = [
            &[("created_orders", flows.created_orders), ("cancelled_orders", flows.cancelled_orders)],
            &[
                ("paid_orders", flows.paid_orders),
                ("paid_items", flows.paid_items),
                ("gmv_fen", flows.gmv_fen),
                ("refunded_orders", flows.refunded_orders),
                ("promised_orders", flows.promised_orders),
                ("bad_orders", flows.bad_orders),
            ],
            &[
                ("shipments_due", flows.shipments_due),
                ("shipped_on_time", flows.shipped_on_time),
                ("force_majeure_orders", flows.force_majeure_orders),
            ],
            &[("deliveries_due", flows.deliveries_due), ("delivered_on_time", flows.delivered_on_time)],
            &[
                ("delivered_orders", flows.delivered_orders),
                ("reviews", flows.reviews),
                ("negative_reviews", flows.negative_reviews),
                ("review_points", flows.review_points),
            ],
        ];
        let happened = groups.into_iter().filter(|group| group.iter().any(|(_, value)| *value > 0));
        let levels = self.levels.iter().map(|(name, value)| (*name, *value));
        happened.flatten().copied().chain(levels).collect()
    }

    /// The value of a counter, if it is sent.
    #[must_use]
    pub fn get(&self, counter: &str) -> Option<u64> {
        self.cells().into_iter().find(|(name, _)| *name == counter).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::{DayRow, Flows};

    #[test]
    fn counters_of_one_event_go_together() {
        let flows = Flows { shipments_due: 2, ..Flows::default() };
        let row = DayRow { flows, levels: [("buyers_14d", 0)].into() };
        let cells = [("shipments_due", 2), ("shipped_on_time", 0), ("force_majeure_orders", 0), ("buyers_14d", 0)];
        assert_eq!(row.cells(), cells);
        assert_eq!((row.get("shipped_on_time"), row.get("paid_orders")), (Some(0), None));
    }
}
