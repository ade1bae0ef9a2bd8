//! What became of an order, as far as it is known by the as-of day.

use super::{Book, OrderHead};

impl Book<'_> {
    /// Whether a paid order went wrong for the buyer: handed over late, delivered late, or reviewed badly. A limit that
    /// is not over yet says nothing; what has not happened when it is over is late.
    pub(super) fn is_bad(&self, seller: u64, head: &OrderHead, paid_s: i64) -> bool {
        let missed = |limit_s: Option<i64>, done_s: Option<i64>| {
            limit_s.is_some_and(|limit_s| {
                self.day(limit_s) < self.until && self.known(done_s).is_none_or(|done_s| done_s > limit_s)
            })
        };
        let never_sent = head.voided && self.known(head.shipped_s).is_none();
        let sent_late = !never_sent && !self.exempt(seller, head, paid_s) && missed(head.ship_limit_s, head.shipped_s);
        let came_late = !head.voided && missed(head.estimated_s, head.delivered_s);
        let disliked = self.known(head.delivered_s).is_some() && head.review.is_some_and(|review| review.negative);
        sent_late || came_late || disliked
    }

    /// Whether the sender or the recipient was in a listed region on the paid day.
    pub(super) fn exempt(&self, seller: u64, head: &OrderHead, paid_s: i64) -> bool {
        let day = self.day(paid_s);
        let sender = self.rules.sellers.get(&seller).and_then(|seller| seller.region.as_deref());
        self.rules.force_majeure.iter().any(|rule| {
            let region = Some(rule.region.as_str());
            (rule.first_day..=rule.last_day).contains(&day)
                && (sender == region || head.recipient_region.as_deref() == region)
        })
    }
}
