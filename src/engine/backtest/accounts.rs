//! Who spent what in a backtest: exact counts, kept apart from the prices that steer them.

use super::input::{ConstraintsFile, Programme, whole};
use crate::traffic::Charges;

/// The bit that stands for all exposures of a member: its cap counts them.
pub(super) const ALL_BIT: u8 = 63;

/// Exposures by programme and by member.
#[derive(Clone, Debug)]
pub(super) struct Accounts {
    /// By programme.
    pub(super) spent: Vec<u64>,
    /// By member.
    pub(super) shown: Vec<u64>,
    limits: Vec<u64>,
    caps: Vec<u64>,
    /// What one request charged, in the order of its charges: programmes charged besides the hard ones tell supports.
    pub(super) charged: Vec<(u32, u64)>,
}

impl Accounts {
    pub(super) fn new(file: &ConstraintsFile, members: usize) -> Self {
        let cap = |member| file.merchant_cap.get(member).copied().filter(|cap| *cap >= 0.0).map_or(u64::MAX, whole);
        Self {
            spent: vec![0; file.programmes.len()],
            shown: vec![0; members],
            limits: file.programmes.iter().map(Programme::exposures).collect(),
            caps: (0..members).map(cap).collect(),
            charged: Vec::new(),
        }
    }

    /// Records an exposure, whatever is left.
    pub(super) fn record(&mut self, member: u32, programmes: u64) {
        for (bit, spent) in self.spent.iter_mut().enumerate() {
            *spent += (programmes >> bit) & 1;
        }
        if let Some(shown) = at(member).and_then(|member| self.shown.get_mut(member)) {
            *shown += 1;
        }
        self.charged.push((member, programmes));
    }

    fn has_left(&self, member: u32, programmes: u64) -> bool {
        let mut budgets = self.spent.iter().zip(&self.limits).enumerate();
        let member = at(member);
        let shown = member.and_then(|member| self.shown.get(member)).copied().unwrap_or(0);
        let cap = member.and_then(|member| self.caps.get(member)).copied().unwrap_or(0);
        shown < cap && budgets.all(|(bit, (spent, limit))| (programmes >> bit) & 1 == 0 || spent < limit)
    }
}

impl Charges for Accounts {
    fn charge(&mut self, member: u32, programmes: u64) -> bool {
        let has_left = self.has_left(member, programmes);
        if has_left {
            self.record(member, programmes);
        }
        has_left
    }
}

/// Position of a member in tables.
pub(super) fn at(member: u32) -> Option<usize> {
    usize::try_from(member).ok()
}
