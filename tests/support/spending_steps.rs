//! Commands of allocation, drawn at random, and what must hold after them.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use trustflow::domain::{
    Body, ExposureRow, MerchantId, NewGuarantee, Outcome, ProgrammeChange, Renewal, ReservationId, Scene, TargetKind,
    Timestamp,
};
use trustflow::traffic::{Programme, accounts_of};

use crate::machine::{MERCHANTS, Machine};

const HOUR_MS: i64 = 3_600_000;
/// The last one there is not.
const PROGRAMMES: [&str; 4] = ["launch", "push", "scene_package", "none"];

/// What is wanted of the accounts of one exposure: programme, merchant, scene, wanted, returned.
type Lease = (usize, u64, usize, u64, u64);
/// A row of a report: merchant, scene, programmes, exposures, hours ago, reservations as sessions back and minutes before.
type Shown = (u64, usize, u64, u64, i64, Vec<(u32, i64)>);

#[derive(Clone, Debug)]
pub(crate) enum Spending {
    Session,
    /// Sessions back from the last.
    Renew(u32, Vec<Lease>),
    Report(Vec<Shown>),
    Programme(usize, usize, Option<u64>),
    Guarantees(usize, Vec<u64>),
    /// Merchant, exposures, hours until it expires.
    Grant(u64, u64, Option<i64>),
    Assign(u64, usize, u64, bool),
}

fn shown() -> impl Strategy<Value = Shown> {
    let hours = prop_oneof![6 => 0..30_i64, 2 => 0..170_i64, 1 => -1..200_i64];
    let reservations = vec((0..3_u32, 0..1_000_i64), 0..4);
    (1..=MERCHANTS + 1, 0..Scene::COUNT, 0..16_u64, 0..40_u64, hours, reservations)
}

pub(crate) fn spending() -> impl Strategy<Value = Spending> {
    let lease = (0..PROGRAMMES.len(), 1..=MERCHANTS, 0..Scene::COUNT, 0..80_u64, 0..40_u64);
    let session = prop_oneof![5 => Just(0), 1 => 1..3_u32];
    let change = (0..PROGRAMMES.len(), 0..4_usize, option::of(0..400_u64));
    let package = (1..=MERCHANTS, 0..60_u64, option::of(-1..60_i64));
    let assignment = (1..=MERCHANTS, 0..Scene::COUNT, 0..50_u64, any::<bool>());
    prop_oneof![
        1 => Just(Spending::Session),
        4 => (session, vec(lease, 1..4)).prop_map(|(back, leases)| Spending::Renew(back, leases)),
        8 => vec(shown(), 1..5).prop_map(Spending::Report),
        1 => change.prop_map(|(programme, change, exposures)| Spending::Programme(programme, change, exposures)),
        2 => (0..2_usize, vec(1..=MERCHANTS, 1..3)).prop_map(|(programme, ids)| Spending::Guarantees(programme, ids)),
        2 => package.prop_map(|(id, exposures, hours)| Spending::Grant(id, exposures, hours)),
        3 => assignment.prop_map(|(id, scene, count, is_release)| Spending::Assign(id, scene, count, is_release)),
    ]
}

fn programme(machine: &Machine, position: usize) -> Option<&Programme> {
    machine.state.policy().programmes.iter().find(|other| other.id == PROGRAMMES[position])
}

fn session(machine: &Machine, back: u32) -> u32 {
    machine.state.session_of(1).unwrap_or(0).saturating_sub(back)
}

impl Spending {
    /// The command; none where it needs a programme that is not there.
    pub(crate) fn body(&self, machine: &Machine, now: Timestamp) -> Option<Body> {
        let (author, reason) = (String::new(), String::new());
        Some(match self {
            Self::Session => Body::OpenSession,
            Self::Renew(back, leases) => {
                let renewals = leases.iter().flat_map(|lease| renewals(machine, now, *lease)).collect();
                Body::RenewLeases { session: session(machine, *back), renewals }
            }
            Self::Report(rows) => {
                Body::ReportExposures { rows: rows.iter().map(|row| row_of(machine, now, row)).collect() }
            }
            Self::Programme(position, change, exposures) => {
                let scene = (*change == 3).then_some(Scene::Live);
                let change = match change {
                    0 => ProgrammeChange::Pause,
                    1 => ProgrammeChange::Resume,
                    _ => ProgrammeChange::AdjustBudget { scene, exposures: *exposures },
                };
                let programme = PROGRAMMES[*position].to_owned();
                Body::ChangeProgramme { programme, change, expected_revision: None, author, reason }
            }
            Self::Guarantees(position, ids) => {
                let new = |id: &u64| NewGuarantee { merchant: MerchantId(*id), expected: Some(id * 40) };
                let bit = programme(machine, *position)?.bit;
                Body::BeginGuarantees { bit, guarantees: ids.iter().map(new).collect() }
            }
            Self::Grant(id, exposures, hours) => {
                let expires_at = hours.map(|hours| now.plus_ms(hours * HOUR_MS));
                let (merchant, exposures) = (MerchantId(*id), *exposures);
                Body::GrantPackage { merchant, exposures, expires_at, author, reason }
            }
            Self::Assign(id, scene, exposures, is_release) => {
                let (merchant, scene) = (MerchantId(*id), Scene::ALL[*scene]);
                Body::AssignPackage { merchant, scene, exposures: *exposures, is_release: *is_release }
            }
        })
    }
}

fn renewals(machine: &Machine, now: Timestamp, (position, merchant, scene, wanted, returned): Lease) -> Vec<Renewal> {
    let Some(programme) = programme(machine, position) else { return vec![] };
    let accounts = accounts_of(programme, MerchantId(merchant), Scene::ALL[scene], now, false);
    accounts.into_iter().map(|account| Renewal { account, wanted, returned }).collect()
}

fn row_of(machine: &Machine, now: Timestamp, row: &Shown) -> ExposureRow {
    let (merchant, scene, programmes, exposures, hours, reservations) = row;
    let occurred_at = now.plus_ms(-hours * HOUR_MS);
    let id = |(sequence, (back, minutes)): (u32, &(u32, i64))| {
        let bucket = ReservationId::bucket_of(occurred_at.plus_ms(-minutes * 60_000));
        ReservationId::new(session(machine, *back), bucket, sequence)
    };
    ExposureRow {
        kind: TargetKind::Merchant,
        target: *merchant,
        merchant: None,
        scene: Scene::ALL[*scene],
        policy_version: 1,
        programmes: *programmes,
        reservations: (0..).zip(reservations).map(id).collect(),
        exposures: *exposures,
        clicks: exposures / 3,
        orders: exposures / 9,
        gmv_fen: exposures * 7,
        occurred_at,
    }
}

/// The law: no grant carries an account beyond its limit.
pub(crate) fn check_law(machine: &Machine, body: &Body, outcome: &Outcome) {
    let (Body::RenewLeases { renewals, .. }, Outcome::Leases(granted)) = (body, outcome) else { return };
    for (renewal, granted) in renewals.iter().zip(granted).filter(|(_, granted)| **granted > 0) {
        let taken = machine.state.account(&renewal.account).expect("it has a lease").taken();
        let limit = machine.state.limit_of(&renewal.account).exposures();
        assert!(limit.is_none_or(|limit| taken <= limit), "{renewal:?} of {limit:?}: {granted} to {taken}");
    }
}

/// Parts add up to wholes.
pub(crate) fn check_ledgers(machine: &Machine) {
    let state = &machine.state;
    for bit in 0..64 {
        for (key, account) in state.accounts_in(bit) {
            assert_eq!(account.taken(), account.delivered + account.leased() + account.orphaned(), "{key:?}");
            assert!(account.late <= account.delivered, "{key:?}");
        }
        assert!(state.lift(bit).count() as u64 <= MERCHANTS);
    }
    for id in (1..=MERCHANTS).map(MerchantId) {
        let granted: u64 = state.packages(id).map(|(_, row)| row.exposures).sum();
        let unassigned: u64 = state.packages(id).map(|(_, row)| row.unassigned).sum();
        let assigned: u64 = state.wallets(id).map(|(_, row)| row.granted).sum();
        assert!(unassigned + assigned <= granted, "packages of {id:?}: {unassigned} + {assigned} of {granted}");
        for (scene, wallet) in state.wallets(id) {
            let lots: u64 = wallet.lots.iter().map(|(_, lot)| lot).sum();
            assert!(lots <= wallet.granted, "{id:?} in {scene:?}");
        }
    }
}
