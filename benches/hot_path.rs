//! Times of the hot path inside one process: making a record, weighing, looking up, decoding and encoding, Score as a
//! whole. Run with `cargo bench --bench hot_path`, or a part of it: `cargo bench --bench hot_path -- score_1m`.
//!
//! Target ids are drawn anew for each call, so that a large population shows what its cache misses cost.

mod population;

use std::cell::{Cell, RefCell};
use std::sync::{Arc, LazyLock};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use population::{Population, Random, query};
use prost::Message;
use trustflow::auth::{Gate, Peer, Session};
use trustflow::clock::SystemClock;
use trustflow::domain::{AccountKey, Body, Day, MerchantId, ReservationId, Scene, Scope, TargetKind, Timestamp};
use trustflow::engine::{AllocateQuery, ScoreQuery, allocate, score};
use trustflow::policy;
use trustflow::proto::{self, ScoreRequest, ScoreResponse};
use trustflow::state::{NodeAccounts, NodeLedger};
use trustflow::traffic::control::{
    ALL_SCENES, BudgetKind, BudgetTerm, Constraints, Controller, Forecast, MemberRule, MemberTerm, Observed, Plan,
    Settings, Shape, Shown, Spent,
};
use trustflow::traffic::{
    Charges, MemberPrice, MerchantRecord, Offer, ScenePrices, SlateQuery, Support, Weight, fill_slate, materialise,
    weigh,
};
use trustflow::trust::MerchantView;
use trustflow::wire::score_response;

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

static SMALL: LazyLock<Population> = LazyLock::new(|| Population::new(10_000));
static LARGE: LazyLock<Population> = LazyLock::new(|| Population::new(1_000_000));

const TARGETS: [usize; 4] = [1, 50, 200, 500];

fn main() {
    // `cargo test --all-targets` runs every target, without this flag: nothing to test here.
    if std::env::args().any(|word| word == "--bench") {
        divan::main();
    }
}

#[divan::bench]
fn materialise_full_facts(bencher: Bencher) {
    materialised(bencher, SMALL.full_view());
}

#[divan::bench]
fn materialise_no_facts(bencher: Bencher) {
    materialised(bencher, SMALL.bare_view());
}

fn materialised(bencher: Bencher, view: MerchantView<'_>) {
    let (policy, disabled) = (SMALL.state().policy(), SMALL.state().disabled());
    let mut rows = Vec::new();
    bencher.bench_local(|| materialise(&policy.rules(disabled), black_box(&view), &mut rows));
}

/// A policy is published: every merchant's record and every item's class is made anew. With `RAYON_NUM_THREADS=1` the
/// time is that of one core, and so items per second are merchants per second of CPU.
#[divan::bench(args = [20_000, 1_000_000], sample_count = 3, sample_size = 1)]
fn rescore(bencher: Bencher, merchants: u32) {
    let population = RefCell::new(Population::new(merchants));
    let version = Cell::new(0);
    let publish = || {
        let mut text = policy::embedded();
        // Another text is another version, whatever it says.
        version.set(version.get() + 1);
        let remark = format!("# {}\n", version.get());
        text.files.iter_mut().for_each(|(_, content)| content.push_str(&remark));
        population.borrow_mut().apply(Body::PublishPolicy(text.into()));
    };
    bencher
        .counter(ItemsCount::new(merchants))
        .with_inputs(publish)
        .bench_local_values(|()| population.borrow_mut().build_world());
}

#[divan::bench]
fn weigh_one(bencher: Bencher) {
    let world = SMALL.hot().world();
    let row = world.table.read_row(0, Scene::Live, TargetKind::LiveRoom);
    let rules = world.rules(Scene::Live, false);
    let class = world.classes.get(0).expect("every world has classes");
    bencher.bench_local(|| weigh(&rules, black_box(&row), black_box(class)));
}

#[divan::bench]
fn read_one(bencher: Bencher) {
    let world = SMALL.hot().world();
    bencher.bench_local(|| -> MerchantRecord { world.table.read(black_box(7)) });
}

#[divan::bench]
fn locate_read_weigh_200_of_10k(bencher: Bencher) {
    located(bencher, &SMALL);
}

#[divan::bench]
fn locate_read_weigh_200_of_1m(bencher: Bencher) {
    located(bencher, &LARGE);
}

/// The parts of Score one target after the other: what it gains by two rounds shows against this.
fn located(bencher: Bencher, population: &Population) {
    let hot = population.hot();
    let world = hot.world();
    let rules = world.rules(Scene::Live, false);
    let targets = hot.targets(TargetKind::LiveRoom);
    let weight = |id: &u64| -> Weight {
        let item = targets.locate(&world, *id, 0);
        let row = world.table.read_row(item.merchant_slot, Scene::Live, TargetKind::LiveRoom);
        weigh(&rules, &row, world.classes.get(item.class).expect("every class is there"))
    };
    let mut random = Random(1);
    bencher
        .with_inputs(|| population.live_rooms(200, &mut random))
        .bench_local_refs(|ids| ids.iter().map(&weight).map(|weight| weight.weight).sum::<f64>());
}

/// What the gate costs a call whose credential its connection has seen before: the length is that of a static token,
/// and that of a JWT.
#[divan::bench(args = [68, 800])]
fn admit_known(bencher: Bencher, length: usize) {
    // SHA-256 of as many `x`.
    let sha256 = match length {
        68 => "c79817d7383e27961c1c0e247201b41ac1fd5a152677757dd0958f616228f330",
        _ => "20885ae2150992180a94350ef60c6d8a1599899bcd2752d3392f8ad591ddd8b1",
    };
    let gate = Gate::new(None, Arc::new(SystemClock::default()));
    gate.take_tokens(&format!("[[token]]\nname = \"a\"\nsha256 = \"{sha256}\"\nroles = [\"scorer\"]\n"))
        .expect("tokens");
    let peer = Peer { address: ([127, 0, 0, 1], 1).into(), names: Vec::new() };
    let session = Session::new(Arc::new(gate), peer);
    let header = format!("Bearer {}", "x".repeat(length));
    bencher.bench_local(|| {
        let headers = std::iter::once(black_box(header.as_bytes()));
        session.admit("/trustflow.v1.ScoringService/Score", headers).expect("admitted")
    });
}

#[divan::bench(args = TARGETS)]
fn decode_request(bencher: Bencher, targets: usize) {
    let request = ScoreRequest {
        request_id: "bench-0123456789".to_owned(),
        scene: proto::Scene::Live.into(),
        target_kind: proto::TargetKind::LiveRoom.into(),
        target_ids: SMALL.live_rooms(targets, &mut Random(2)),
        ..ScoreRequest::default()
    };
    let bytes = request.encode_to_vec();
    bencher.bench_local(|| ScoreRequest::decode(black_box(bytes.as_slice())));
}

#[divan::bench(args = TARGETS)]
fn encode_response(bencher: Bencher, targets: usize) {
    let ids = SMALL.live_rooms(targets, &mut Random(3));
    let response: ScoreResponse = score_response(score(SMALL.hot(), &query(&ids)));
    let mut bytes = Vec::with_capacity(response.encoded_len());
    bencher.bench_local(|| {
        bytes.clear();
        black_box(&response).encode(&mut bytes)
    });
}

#[divan::bench(args = TARGETS)]
fn score_10k(bencher: Bencher, targets: usize) {
    scored(bencher, &SMALL, targets);
}

#[divan::bench(args = TARGETS)]
fn score_1m(bencher: Bencher, targets: usize) {
    scored(bencher, &LARGE, targets);
}

#[divan::bench(args = TARGETS)]
fn adjusted_1m(bencher: Bencher, targets: usize) {
    let mut random = Random(4);
    let base = vec![0.5; targets];
    bencher
        .with_inputs(|| LARGE.live_rooms(targets, &mut random))
        .bench_local_refs(|ids| score(LARGE.hot(), &ScoreQuery { base_scores: &base, ..query(ids) }));
}

/// Slates of 10 out of the candidates, charged to leases that never run low.
#[divan::bench(args = [50, 200, 500])]
fn allocate_1m(bencher: Bencher, targets: usize) {
    let node = NodeAccounts::default();
    node.begin(1);
    let now = Day(20_528).start();
    let base = vec![0.5; targets];
    let slate = |ids: &[u64]| {
        let (scene, kind) = (Scene::Live, TargetKind::LiveRoom);
        let query = AllocateQuery {
            scene,
            kind,
            target_ids: ids,
            merchant_ids: &[],
            base_scores: &base,
            slots: 10,
            fill: false,
        };
        allocate(LARGE.hot(), &node, now, &query)
    };
    let mut random = Random(4);
    for turn in 0..100 {
        drop(slate(&LARGE.live_rooms(targets, &mut random)));
        let wanted = node.renewals(turn * 1_000, 10_000).renewals;
        let grants: Vec<u64> = wanted.iter().map(|_| 1 << 40).collect();
        node.granted(turn * 1_000, &wanted, &grants);
    }
    bencher.with_inputs(|| LARGE.live_rooms(targets, &mut random)).bench_local_refs(|ids| slate(ids));
}

fn scored(bencher: Bencher, population: &Population, targets: usize) {
    let mut random = Random(4);
    bencher
        .with_inputs(|| population.live_rooms(targets, &mut random))
        .bench_local_refs(|ids| score(population.hot(), &query(ids)));
}

/// A plan over a sketch of 1,200 requests of 200 candidates, which have 5,000 different sets of programmes: uplifts that
/// follow trust make that many. Its solve is the one after the first.
#[divan::bench(sample_count = 20)]
fn resolve_200_candidates_5k_classes(bencher: Bencher) {
    let now = Timestamp(1_790_000_000_000);
    let end = now.plus_ms(86_400_000);
    let mut controller =
        Controller::new(Settings { seed: 1, additive: true, log: false }, Forecast::new(Shape::Linear, now));
    let budget = |bit, kind| BudgetTerm {
        bit,
        kind,
        scene: None,
        limit: 2_000_000,
        start: now,
        end,
        pacing: trustflow::traffic::Pacing::Even,
    };
    let kinds = [BudgetKind::Hard, BudgetKind::Hard, BudgetKind::Support, BudgetKind::Support];
    let promise = |member| MemberTerm {
        member,
        programme: 60,
        rule: MemberRule::AtLeast { penalty: 3.0 },
        limit: 2_000,
        start: now,
        end,
        scenes: ALL_SCENES,
    };
    controller.set_constraints(Constraints {
        budgets: (0..).zip(kinds).map(|(bit, kind)| budget(bit, kind)).collect(),
        members: (0..1_000).map(promise).collect(),
    });
    let mut random = Random(6);
    let bases = vec![1.0; 200];
    for number in 0..1_400_i64 {
        let at = now.plus_ms(number * 1_000);
        let offers: Vec<Option<Offer>> = (0..200).map(|_| Some(class_offer(&mut random))).collect();
        let observed = Observed {
            scene: Scene::Live,
            kind: TargetKind::LiveRoom,
            slots: 10,
            offers: &offers,
            bases: &bases,
            shown: Shown::Slate,
        };
        controller.count(at, 1.0);
        controller.observe(at, &observed);
    }
    let now = now.plus_ms(1_400_000);
    let (budgets, members) = ([0; 4], vec![0; 1_000]);
    let spent = Spent { budgets: &budgets, members: &members };
    // The first solve takes longer, and is not what is timed.
    let first = controller.plan(now, &spent).solve();
    controller.adopt(&first);
    bencher.with_inputs(|| controller.plan(now, &spent)).bench_local_values(Plan::solve);
}

/// One of 10,000 members; its class is one of 5,000.
fn class_offer(random: &mut Random) -> Offer {
    let (member, class) = (random.below(10_000), random.below(5_000));
    let mut offer = Offer { member, value: f64::from(random.below(1_000)) / 500.0, ..Offer::default() };
    offer.hard = u64::from(class % 4) | 1 << 63;
    for (bit, uplift) in [(2, class % 1_250), (3, class / 4 % 100)] {
        offer.supports.push(Support { bit, uplift: f64::from(uplift) / 1_000.0 });
    }
    offer
}

/// What a slate is charged to where everything has a budget.
struct Endless;

impl Charges for Endless {
    fn charge(&mut self, _: u32, _: u64) -> bool {
        true
    }
}

#[divan::bench]
fn fill_slate_10_of_200(bencher: Bencher) {
    let mut random = Random(8);
    let offers: Vec<Option<Offer>> = (0..200).map(|_| Some(class_offer(&mut random))).collect();
    let members = vec![MemberPrice::default(); 200];
    let prices = ScenePrices::default();
    let mut slots = Vec::new();
    bencher.bench_local(|| {
        let query = SlateQuery {
            offers: &offers,
            targets: &[],
            members: &members,
            prices: &prices,
            mean: 1.0,
            slots: 10,
            fill: false,
        };
        fill_slate(&query, &mut Endless, &mut slots);
        slots.len()
    });
}

/// Members that slates are drawn from.
const MEMBERS: u32 = 100_000;

/// A node with leases of one budget, and of the cap and the share of every member.
fn leased() -> (NodeAccounts, u32) {
    let node = NodeAccounts::default();
    node.begin(1);
    let mut keys = Vec::new();
    for member in 0..MEMBERS {
        accounts_of(member, &mut keys);
        node.foresee(&keys);
        keys.clear();
    }
    for turn in 0.. {
        let asked = node.renewals(turn * 100, 1 << 20);
        node.granted(turn * 100, &asked.renewals, &vec![1 << 30; asked.renewals.len()]);
        if !asked.has_more {
            break;
        }
    }
    (node, ReservationId::bucket_of(Timestamp(1_790_000_000_000)))
}

fn accounts_of(member: u32, keys: &mut Vec<AccountKey>) {
    let merchant = MerchantId(u64::from(member) + 1);
    for scope in [Scope::Programme, Scope::Member(merchant), Scope::Cap(merchant)] {
        keys.push(AccountKey { bit: 3, scope, period: Day(20_000) });
    }
}

/// Ten slots of one request, each charged to a budget, a share and a cap: what Allocate pays for never overspending.
#[divan::bench(threads = [1, 2], sample_count = 200, sample_size = 100)]
fn charge_10_slots_3_accounts(bencher: Bencher) {
    let (node, bucket) = leased();
    let slate = |random: &mut Random| -> Vec<u32> { (0..10).map(|_| random.below(MEMBERS)).collect() };
    let seed = std::sync::atomic::AtomicU64::new(5);
    bencher.with_inputs(|| slate(&mut Random(seed.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))).bench_refs(
        |members| {
            let mut ledger = NodeLedger::new(&node, bucket, |member, _, keys| accounts_of(member, keys));
            let charged = members.iter().filter(|member| ledger.charge(**member, 1 << 3)).count();
            assert_eq!(charged, 10);
            ledger.finish()
        },
    );
}
