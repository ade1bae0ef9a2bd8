//! The accounts as one Allocate request charges them.

use super::NodeAccounts;
use crate::domain::{AccountKey, ReservationId};
use crate::traffic::Charges;

/// An exposure that a request took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    /// Slot of the member.
    pub member: u32,
    /// Bits of the programmes that it counts against.
    pub programmes: u64,
    /// Its reservation; 0 if it counts against no account with a limit.
    pub reservation: ReservationId,
}

/// Charges exposures for one request, and collects what was charged. Dropped before [`NodeLedger::finish`], it gives
/// everything back: a request that ends early takes nothing.
///
/// `accounts_of` appends the accounts *with a limit* that an exposure of a member (slot) counts against, given the bits
/// of its programmes. Budgets should come before accounts of the member.
pub struct NodeLedger<'a, F: FnMut(u32, u64, &mut Vec<AccountKey>)> {
    node: &'a NodeAccounts,
    bucket: u32,
    accounts_of: F,
    charged: Vec<Charged>,
    /// Accounts of all exposures charged, one after another, and where those of each end.
    keys: Vec<AccountKey>,
    ends: Vec<usize>,
}

impl<'a, F: FnMut(u32, u64, &mut Vec<AccountKey>)> NodeLedger<'a, F> {
    /// Charges within a bucket, that of the request's time.
    #[must_use]
    pub fn new(node: &'a NodeAccounts, bucket: u32, accounts_of: F) -> Self {
        Self { node, bucket, accounts_of, charged: Vec::new(), keys: Vec::new(), ends: Vec::new() }
    }

    /// Has leases fetched for a candidate that may be charged soon. It costs a lookup for each of the member's accounts:
    /// for those that come next after a slate, not for all.
    pub fn foresee(&mut self, member: u32, programmes: u64) {
        let from = self.keys.len();
        (self.accounts_of)(member, programmes, &mut self.keys);
        self.node.foresee(self.keys.get(from..).unwrap_or_default());
        self.keys.truncate(from);
    }

    /// What was charged, in order. It stays charged.
    #[must_use]
    pub fn finish(mut self) -> Vec<Charged> {
        self.ends.clear();
        std::mem::take(&mut self.charged)
    }
}

impl<F: FnMut(u32, u64, &mut Vec<AccountKey>)> Charges for NodeLedger<'_, F> {
    fn charge(&mut self, member: u32, programmes: u64) -> bool {
        let from = self.keys.len();
        (self.accounts_of)(member, programmes, &mut self.keys);
        let keys = self.keys.get(from..).unwrap_or_default();
        if !self.node.charge(keys, self.bucket) {
            self.keys.truncate(from);
            return false;
        }
        let reservation = if keys.is_empty() { ReservationId(0) } else { self.node.reservation(self.bucket) };
        self.charged.push(Charged { member, programmes, reservation });
        self.ends.push(self.keys.len());
        true
    }
}

impl<F: FnMut(u32, u64, &mut Vec<AccountKey>)> Drop for NodeLedger<'_, F> {
    fn drop(&mut self) {
        let mut from = 0;
        for end in &self.ends {
            self.node.release(self.keys.get(from..*end).unwrap_or_default(), self.bucket);
            from = *end;
        }
    }
}
