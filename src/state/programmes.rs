//! Reads of what a programme delivered, promised and was asked for: in slices, so that no lock is held for long.

use std::ops::Bound;

use super::audience::MemberRow;
use super::ledgers::{GuaranteeKey, GuaranteeRow};
use super::state::State;
use crate::domain::{AccountKey, Day, Merchant, MerchantId, Scope, Timestamp};
use crate::traffic::Programme;

/// A merchant of a slice, and where its records stand.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// Its slot.
    pub slot: u32,
    /// Its profile.
    pub merchant: &'a Merchant,
}

impl State {
    /// A programme of the policy that serves, with its position there.
    #[must_use]
    pub fn programme_named(&self, id: &str) -> Option<(usize, &Programme)> {
        self.policy.programmes.iter().enumerate().find(|(_, programme)| programme.id == id)
    }

    /// Registered merchants with ids above `after`, in order of id.
    pub fn placed_after(&self, after: MerchantId) -> impl Iterator<Item = Placed<'_>> {
        let slots = self.registered.range((Bound::Excluded(after), Bound::Unbounded));
        slots.filter_map(|(_, slot)| Some(Placed { slot: *slot, merchant: self.entry(*slot)?.profile.as_ref()? }))
    }

    /// What members above `after` were delivered in a period of a programme, in order of id.
    pub fn member_exposures(&self, bit: u8, period: Day, after: MerchantId) -> impl Iterator<Item = (MerchantId, u64)> {
        let from = AccountKey { bit, scope: Scope::Member(after), period: Day(i32::MAX) };
        let accounts = self.ledgers.accounts.range((Bound::Excluded(from), Bound::Unbounded));
        let members = accounts.map_while(move |(key, row)| match key.scope {
            Scope::Member(merchant) if key.bit == bit => Some((key.period, merchant, row.account.delivered)),
            Scope::Member(_) | Scope::Programme | Scope::Scene(_) | Scope::Head | Scope::Cap(_) | Scope::Wallet(..) => {
                None
            }
        });
        members.filter(move |(of, ..)| *of == period).map(|(_, merchant, delivered)| (merchant, delivered))
    }

    /// Delivered exposures of the caps of a programme in a period, of `count` merchants that follow one, and the last
    /// merchant that was looked at; none after the last. Earlier periods are stepped over, not read.
    #[must_use]
    pub fn caps_after(
        &self,
        bit: u8,
        period: Day,
        after: MerchantId,
        count: usize,
    ) -> (Vec<(MerchantId, u64)>, Option<MerchantId>) {
        let mut found = Vec::new();
        let mut last = None;
        for _ in 0..count {
            let from = AccountKey { bit, scope: Scope::Cap(last.unwrap_or(after)), period: Day(i32::MAX) };
            let next = self.ledgers.accounts.range((Bound::Excluded(from), Bound::Unbounded)).next();
            let Some(AccountKey { bit: of, scope: Scope::Cap(merchant), .. }) = next.map(|(key, _)| *key) else {
                return (found, None);
            };
            if of != bit {
                return (found, None);
            }
            let key = AccountKey { bit, scope: Scope::Cap(merchant), period };
            if let Some(account) = self.account(&key) {
                found.push((merchant, account.delivered));
            }
            last = Some(merchant);
        }
        (found, last)
    }

    /// Guarantees of a programme that follow one, by merchant and beginning; none begins with the first.
    pub fn guarantees_after(
        &self,
        bit: u8,
        after: Option<GuaranteeKey>,
    ) -> impl Iterator<Item = (GuaranteeKey, GuaranteeRow)> {
        let first = GuaranteeKey { bit, merchant: MerchantId(0), from: Timestamp(i64::MIN) };
        let from = after.map_or(Bound::Included(first), Bound::Excluded);
        let rows = self.ledgers.guarantees.range((from, Bound::Unbounded));
        rows.take_while(move |(key, _)| key.bit == bit).map(|(key, row)| (*key, *row))
    }

    /// What a merchant inside a programme with a holdout, or held out of it, was shown.
    #[must_use]
    pub fn member_row(&self, bit: u8, merchant: MerchantId) -> Option<&MemberRow> {
        self.ledgers.members.get(&(bit, merchant))
    }
}
