//! The members of a programme, a page at a time: delivered, cap, share, guarantee.

use std::time::Duration;

use super::audience::is_excluded;
use crate::clock::Stopwatch;
use crate::domain::{AccountKey, MerchantId, Rejection, Scene, Scope, Timestamp};
use crate::engine::Engine;
use crate::state::{GuaranteeKey, GuaranteeRow, Placed, State};
use crate::traffic::{MerchantRecord, Programme, account_at};

/// Merchants looked at under one lock.
const SLICE: usize = 2_048;

/// Which members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberFilter {
    /// Members and held out.
    All,
    /// With a guarantee.
    Guaranteed,
    /// At their cap or share.
    CappedOut,
    /// Held out.
    HeldOut,
}

/// A page of members.
#[derive(Clone, Debug)]
pub struct MemberQuery {
    /// Programme id.
    pub programme: String,
    /// Which.
    pub filter: MemberFilter,
    /// Above this id.
    pub after: MerchantId,
    /// At most.
    pub limit: usize,
    /// How long reading may last.
    pub time: Duration,
}

/// Where a guarantee stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuaranteeStanding {
    /// Running, not met.
    Running,
    /// Met.
    Met,
    /// Ended without being met.
    Missed,
    /// Not pursued now: excluded, held out or no member.
    Suspended,
}

/// A guarantee of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberGuarantee {
    /// Where it stands.
    pub standing: GuaranteeStanding,
    /// When it began.
    pub from: Timestamp,
    /// Its figures.
    pub row: GuaranteeRow,
}

/// One member. Exposures.
#[derive(Clone, Debug)]
pub struct MemberStatus {
    /// The merchant.
    pub merchant: MerchantId,
    /// Its name.
    pub name: String,
    /// A member now.
    pub is_member: bool,
    /// Held out.
    pub is_held_out: bool,
    /// Delivered in the running period of the budget.
    pub exposures: u64,
    /// Share of everything delivered in it, 0 to 1.
    pub share: f64,
    /// Its cap.
    pub cap: Option<u64>,
    /// Delivered in the cap's period.
    pub cap_exposures: u64,
    /// At its cap or the largest share.
    pub is_capped_out: bool,
    /// Its guarantee that began last.
    pub guarantee: Option<MemberGuarantee>,
}

/// The answer.
#[derive(Clone, Debug, Default)]
pub struct MemberPage {
    /// In order of id.
    pub members: Vec<MemberStatus>,
    /// The id that the next page begins after; none on the last.
    pub next: Option<MerchantId>,
    /// Revision of the last merchant read.
    pub revision: u64,
}

impl Engine {
    /// A page of members. Reads merchants in slices; ends early when its time is over.
    ///
    /// # Errors
    /// When there is no such programme.
    pub fn programme_members(&self, query: &MemberQuery) -> Result<MemberPage, Rejection> {
        let took = Stopwatch::start();
        let mut page = MemberPage::default();
        let mut after = query.after;
        loop {
            let (seen, last) = self.read(|state| slice(state, query, after, &mut page))?;
            let Some(last) = last else { return Ok(page) };
            after = last;
            if seen < SLICE && page.members.len() < query.limit {
                return Ok(page);
            }
            if page.members.len() >= query.limit || took.elapsed() >= query.time {
                page.next = Some(after);
                return Ok(page);
            }
        }
    }
}

/// Reads one slice into a page; answers how many merchants it saw, and the last.
fn slice(
    state: &State,
    query: &MemberQuery,
    after: MerchantId,
    page: &mut MemberPage,
) -> Result<(usize, Option<MerchantId>), Rejection> {
    let found = state.programme_named(&query.programme);
    let (_, programme) = found.ok_or_else(|| Rejection::UnknownProgramme { programme: query.programme.clone() })?;
    let reader = MemberReader::new(state, programme);
    let world = state.hot().world();
    page.revision = state.hot().revision();
    let (mut seen, mut last) = (0, None);
    for placed in state.placed_after(after).take(SLICE) {
        seen += 1;
        last = Some(placed.merchant.id);
        let record = world.table.read(placed.slot);
        if let Some(member) = reader.member(placed, &record, query.filter) {
            page.members.push(member);
            if page.members.len() >= query.limit {
                break;
            }
        }
    }
    Ok((seen, last))
}

/// What is shared by the members of a programme.
pub(super) struct MemberReader<'a> {
    state: &'a State,
    programme: &'a Programme,
    now: Timestamp,
    /// Delivered in the running period.
    delivered: u64,
}

impl<'a> MemberReader<'a> {
    pub(super) fn new(state: &'a State, programme: &'a Programme) -> Self {
        let now = state.meta().now;
        let scopes = std::iter::once(Scope::Programme).chain(Scene::ALL.map(Scope::Scene));
        let accounts = scopes.filter_map(|scope| state.account(&account_at(programme, scope, now)));
        let delivered = accounts.fold(0_u64, |sum, account| sum.saturating_add(account.delivered));
        Self { state, programme, now, delivered }
    }

    /// A merchant as a member; none if it is nothing of what is asked for.
    fn member(&self, placed: Placed, record: &MerchantRecord, filter: MemberFilter) -> Option<MemberStatus> {
        let (bit, mask) = (self.programme.bit, self.programme.mask());
        let id = placed.merchant.id;
        let (is_member, is_held_out) = (record.programmes & mask != 0, record.held_out & mask != 0);
        let guarantee = self.programme.guarantee.and_then(|_| self.state.last_guarantee(bit, id));
        let is_asked = match filter {
            MemberFilter::All => is_member || is_held_out || guarantee.is_some(),
            MemberFilter::Guaranteed => guarantee.is_some(),
            MemberFilter::HeldOut => is_held_out,
            MemberFilter::CappedOut => is_member && self.is_capped_out(id),
        };
        if !is_asked {
            return None;
        }
        let exposures = self.delivered(Scope::Member(id));
        let [part, whole] = [exposures, self.delivered].map(crate::domain::count_to_f64);
        Some(MemberStatus {
            merchant: id,
            name: placed.merchant.name.clone(),
            is_member,
            is_held_out,
            exposures,
            share: if self.delivered > 0 { part / whole } else { 0.0 },
            cap: self.programme.cap.map(|cap| cap.exposures),
            cap_exposures: if self.programme.cap.is_some() { self.delivered(Scope::Cap(id)) } else { 0 },
            is_capped_out: self.is_capped_out(id),
            guarantee: guarantee.map(|(key, row)| self.guarantee(key, row, record)),
        })
    }

    /// Where a guarantee stands, given its merchant's record.
    pub(super) fn guarantee(&self, key: GuaranteeKey, row: GuaranteeRow, record: &MerchantRecord) -> MemberGuarantee {
        let is_pursued = record.programmes & self.programme.mask() != 0 && !is_excluded(record, self.programme);
        let standing = if row.delivered >= row.target {
            GuaranteeStanding::Met
        } else if row.until <= self.now {
            GuaranteeStanding::Missed
        } else if is_pursued {
            GuaranteeStanding::Running
        } else {
            GuaranteeStanding::Suspended
        };
        MemberGuarantee { standing, from: key.from, row }
    }

    fn key(&self, scope: Scope) -> AccountKey {
        account_at(self.programme, scope, self.now)
    }

    fn delivered(&self, scope: Scope) -> u64 {
        self.state.account(&self.key(scope)).map_or(0, |account| account.delivered)
    }

    /// Whether a member has everything that its cap or share lets it have.
    pub(super) fn is_capped_out(&self, merchant: MerchantId) -> bool {
        let is_full = |scope| {
            let key = self.key(scope);
            let limit = self.state.limit_of(&key).exposures();
            limit.is_some_and(|limit| self.state.account(&key).is_some_and(|account| account.delivered >= limit))
        };
        is_full(Scope::Member(merchant)) || (self.programme.cap.is_some() && is_full(Scope::Cap(merchant)))
    }
}
