//! Fills the slots of one request: the best adjusted scores that budgets, caps and exclusions leave (DESIGN section 7,
//! online control, steps 1 and 2).

use super::price::{MemberPrice, Offer, ScenePrices};

/// Accounts of the exposures that a slate takes.
pub trait Charges {
    /// Takes one exposure of a member out of the budgets and caps of all of `programmes`, or out of none of them.
    fn charge(&mut self, member: u32, programmes: u64) -> bool;
}

/// Why a candidate has a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotReason {
    /// By its adjusted score, charged to no support programme.
    Organic,
    /// By its adjusted score, charged to a support programme.
    Support,
    /// Because its merchant's guarantee would be missed otherwise.
    Guarantee,
    /// To fill a slot that nothing worth more could take.
    Fill,
}

/// A filled slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// Position among the candidates.
    pub candidate: usize,
    /// Adjusted score in units of the mean base score.
    pub score: f64,
    /// Why.
    pub reason: SlotReason,
    /// The support programme charged.
    pub charged: Option<u8>,
}

/// What a slate is filled by.
#[derive(Clone, Copy, Debug)]
pub struct SlateQuery<'a> {
    /// Candidates; `None` are excluded and never shown.
    pub offers: &'a [Option<Offer>],
    /// The price of each candidate's member, in the same order.
    pub members: &'a [MemberPrice],
    /// Prices of the scene.
    pub prices: &'a ScenePrices,
    /// Mean base score of scene and kind.
    pub mean: f64,
    /// Slots to fill at most.
    pub slots: usize,
    /// Whether slots are filled with what is worth nothing, rather than left empty.
    pub fill: bool,
}
