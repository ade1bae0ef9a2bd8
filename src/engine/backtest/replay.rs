//! Drives control through a stream, as a server would through its traffic.

use super::accounts::{ALL_BIT, Accounts, at, is_hard};
use super::input::{Candidate, ConstraintsFile, Request};
use super::{Backtest, BacktestError, BacktestSummary, ProgrammeSpend};
use crate::traffic::{MemberPrice, Offer, ScenePrices, SlateQuery, Slot, Support, fill_slate};

/// A stream and what it is replayed against.
pub(super) struct Replay<'a> {
    file: ConstraintsFile,
    slots: usize,
    requests: &'a [Request],
    accounts: Accounts,
    /// Bits of the programmes that a member belongs to.
    programmes: Vec<u64>,
    value: f64,
}

impl<'a> Replay<'a> {
    pub(super) fn new(
        _query: &Backtest,
        file: ConstraintsFile,
        slots: usize,
        requests: &'a [Request],
        _profile: Option<[f64; 24]>,
    ) -> Self {
        let named = requests.iter().flat_map(|request| &request.candidates).filter_map(|c| at(c.member)).max();
        let members = named.map_or(0, |last| last + 1).max(file.merchant_cap.len()).max(file.merchant_guarantee.len());
        let mut programmes = vec![0_u64; members];
        for (bit, programme) in file.programmes.iter().enumerate() {
            for member in &programme.members {
                if let Some(bits) = at(*member).and_then(|member| programmes.get_mut(member)) {
                    *bits |= 1 << bit;
                }
            }
        }
        Self { accounts: Accounts::new(&file, members), file, slots, requests, programmes, value: 0.0 }
    }

    pub(super) fn run(
        mut self,
        _history: &[Request],
        log: &mut impl FnMut(usize, usize, i64) -> Result<(), BacktestError>,
    ) -> Result<BacktestSummary, BacktestError> {
        let (mut offers, mut members, mut slate) = (Vec::new(), Vec::new(), Vec::new());
        let prices = ScenePrices::default();
        for (t, request) in self.requests.iter().enumerate() {
            self.make_offers(request, &mut offers);
            members.resize(offers.len(), MemberPrice::default());
            let query = SlateQuery {
                offers: &offers,
                members: &members,
                prices: &prices,
                mean: 1.0,
                slots: self.slots,
                fill: false,
            };
            self.accounts.charged.clear();
            fill_slate(&query, &mut self.accounts, &mut slate);
            self.count_and_log(t, request, &slate, log)?;
        }
        Ok(self.summary())
    }

    fn make_offers(&self, request: &Request, offers: &mut Vec<Option<Offer>>) {
        let open = |bit: &usize| self.file.programmes.get(*bit).is_some_and(|programme| programme.is_open(request.time));
        let (mut hard, mut supports) = (0_u64, Vec::new());
        for bit in (0..self.file.programmes.len()).filter(open) {
            let Some(programme) = self.file.programmes.get(bit) else { continue };
            if is_hard(programme.kind) {
                hard |= 1 << bit;
            } else {
                supports.push(Support { bit: u8::try_from(bit).unwrap_or(ALL_BIT), uplift: programme.boost });
            }
        }
        supports.sort_by(|a, b| b.uplift.total_cmp(&a.uplift));
        offers.clear();
        offers.extend(request.candidates.iter().map(|Candidate { member, value, .. }| {
            let bits = at(*member).and_then(|member| self.programmes.get(member)).copied().unwrap_or(0);
            let mine = supports.iter().copied().filter(|support| bits >> support.bit & 1 == 1);
            let mut offer =
                Offer { member: *member, value: *value, hard: bits & hard | 1 << ALL_BIT, ..Offer::default() };
            for support in mine {
                // More supports than an offer can hold: the largest are kept.
                let _ = offer.supports.try_push(support);
            }
            Some(offer)
        }));
    }

    fn count_and_log(
        &mut self,
        t: usize,
        request: &Request,
        slate: &[Slot],
        log: &mut impl FnMut(usize, usize, i64) -> Result<(), BacktestError>,
    ) -> Result<(), BacktestError> {
        for slot in slate {
            let programme = slot.charged.and_then(|bit| self.file.programmes.get(usize::from(bit)));
            let value = request.candidates.get(slot.candidate).map_or(0.0, |candidate| candidate.value);
            self.value += value * programme.map_or(1.0, |programme| 1.0 + programme.boost);
            log(t, slot.candidate, programme.map_or(-1, |programme| programme.id))?;
        }
        Ok(())
    }

    fn summary(&self) -> BacktestSummary {
        let spends = self.file.programmes.iter().zip(&self.accounts.spent).map(|(programme, spent)| ProgrammeSpend {
            name: programme.name.clone(),
            spent: *spent,
            limit: programme.exposures(),
        });
        let needs = self.file.merchant_guarantee.iter().zip(&self.accounts.shown).filter(|(need, _)| **need > 0.0);
        let missing: Vec<u64> = needs.map(|(need, shown)| super::input::whole(*need).saturating_sub(*shown)).collect();
        BacktestSummary {
            requests: self.requests.len(),
            slots: self.accounts.shown.iter().sum(),
            value: self.value,
            solves: 0,
            programmes: spends.collect(),
            guarantees: missing.len(),
            guarantees_met: missing.iter().filter(|missing| **missing == 0).count(),
            missing: missing.iter().sum(),
            forecast_error: 0.0,
        }
    }
}
