//! Instructions of the hot path, counted by callgrind: the same on a busy machine as on a quiet one.
//!
//! Needs `valgrind` and the runner of the same version as the library:
//! `cargo install gungraun-runner --version 0.20.0 --locked`. Run it through `python3 benches/instruction_gate.py`,
//! which compares with the committed counts, or alone with `cargo bench --bench instructions`.
#![expect(missing_docs, reason = "the macros make public items without")]

mod population;

use std::hint::black_box;
use std::process::{Command, ExitCode, Stdio};

use gungraun::{library_benchmark, library_benchmark_group};
use population::{Population, Random, query};
use prost::Message;
use trustflow::domain::{Day, Scene, TargetKind};
use trustflow::engine::{AllocateQuery, ScoreColumns, ScoreQuery, Slate, allocate, score};
use trustflow::proto::{self, ScoreRequest, ScoreResponse};
use trustflow::state::NodeAccounts;
use trustflow::traffic::{Materialised, materialise};
use trustflow::trust::MerchantView;
use trustflow::wire::{ScoreLimits, score_query, score_response};

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Counts hardly depend on the size of the population, but making it does.
const MERCHANTS: u32 = 1_000;
const TARGETS: usize = 200;

/// Slots of a slate.
const SLOTS: usize = 10;
/// The instant at which slates are charged: of the day on which the population lives.
const NOW: Day = Day(20_528);
/// Slates before the one that is counted. After each, what it wanted is leased, as the server does beside it.
const SLATES_BEFORE: i64 = 20;

/// What a benchmark reads, made outside the count.
struct Fixture {
    population: Population,
    ids: Vec<u64>,
    /// What the caller ranks by, one per id.
    base_scores: Vec<f32>,
    /// Leases that slates are charged to.
    accounts: NodeAccounts,
}

fn fixture(warm_up: impl Fn(&Fixture)) -> Fixture {
    let population = Population::new(MERCHANTS);
    let ids = population.live_rooms(TARGETS, &mut Random(1));
    let mut random = Random(2);
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let base_scores = (0..TARGETS).map(|_| (1 + random.below(1_000)) as f32 / 1_000.0).collect();
    let accounts = NodeAccounts::default();
    accounts.begin(1);
    let made = Fixture { population, ids, base_scores, accounts };
    // Once uncounted: first allocations and thread locals are not the hot path.
    warm_up(&made);
    made
}

/// Weights of 200 live rooms, as `Score` without base scores.
fn weights(made: &Fixture) -> ScoreColumns {
    score(made.population.hot(), &query(&made.ids))
}

#[library_benchmark]
#[bench::rooms(fixture(|made| drop(black_box(weights(made)))))]
fn score_200(made: Fixture) -> (Fixture, ScoreColumns) {
    let columns = weights(black_box(&made));
    (made, columns)
}

/// The same with base scores, each adjusted by the prices of its programmes.
fn adjusted(made: &Fixture) -> ScoreColumns {
    score(made.population.hot(), &ScoreQuery { base_scores: &made.base_scores, ..query(&made.ids) })
}

#[library_benchmark]
#[bench::rooms(fixture(|made| drop(black_box(adjusted(made)))))]
fn score_adjusted_200(made: Fixture) -> (Fixture, ScoreColumns) {
    let columns = adjusted(black_box(&made));
    (made, columns)
}

/// A slate of 10 out of 200 live rooms.
fn slate(made: &Fixture) -> Slate {
    let query = AllocateQuery {
        scene: Scene::Live,
        kind: TargetKind::LiveRoom,
        target_ids: &made.ids,
        merchant_ids: &[],
        base_scores: &made.base_scores,
        slots: SLOTS,
        fill: false,
    };
    allocate(made.population.hot(), &made.accounts, NOW.start(), &query)
}

fn slate_fixture() -> Fixture {
    fixture(|made| {
        for turn in 0..SLATES_BEFORE {
            drop(black_box(slate(made)));
            let wanted = made.accounts.renewals(turn * 1_000, 10_000).renewals;
            let grants: Vec<u64> = wanted.iter().map(|_| 1 << 40).collect();
            made.accounts.granted(turn * 1_000, &wanted, &grants);
        }
    })
}

#[library_benchmark]
#[bench::rooms(slate_fixture())]
fn allocate_200(made: Fixture) -> (Fixture, Slate) {
    let slate = slate(black_box(&made));
    (made, slate)
}

/// A request as it arrives and the answer to it.
struct Messages {
    request: Vec<u8>,
    columns: ScoreColumns,
    answer: Vec<u8>,
}

fn messages() -> Messages {
    let made = fixture(|made| drop(black_box(weights(made))));
    let columns = weights(&made);
    let request = ScoreRequest {
        request_id: "bench-0123456789".to_owned(),
        scene: proto::Scene::Live.into(),
        target_kind: proto::TargetKind::LiveRoom.into(),
        target_ids: made.ids,
        ..ScoreRequest::default()
    };
    let response: ScoreResponse = score_response(columns.clone());
    let answer = Vec::with_capacity(response.encoded_len());
    Messages { request: request.encode_to_vec(), columns, answer }
}

#[library_benchmark]
#[bench::rooms(messages())]
fn decode_and_encode_200(mut made: Messages) -> Messages {
    let request = ScoreRequest::decode(black_box(made.request.as_slice())).expect("just encoded");
    let query = score_query(&request, ScoreLimits { max_targets: 1_000 }).expect("valid");
    black_box(query.target_ids.len());
    let response = score_response(std::mem::take(&mut made.columns));
    response.encode(&mut made.answer).expect("a vector grows");
    made
}

fn materialised(made: &Fixture, view: &MerchantView<'_>) -> Materialised {
    let (policy, disabled) = (made.population.state().policy(), made.population.state().disabled());
    materialise(&policy.rules(disabled), view, &mut Vec::with_capacity(policy.model.signals.len()))
}

fn materialise_fixture() -> Fixture {
    fixture(|made| drop(black_box(materialised(made, &made.population.full_view()))))
}

#[library_benchmark]
#[bench::merchant(materialise_fixture())]
fn materialise_full_facts(made: Fixture) -> (Fixture, Materialised) {
    let record = materialised(&made, black_box(&made.population.full_view()));
    (made, record)
}

#[library_benchmark]
#[bench::merchant(materialise_fixture())]
fn materialise_no_facts(made: Fixture) -> (Fixture, Materialised) {
    let record = materialised(&made, black_box(&made.population.bare_view()));
    (made, record)
}

library_benchmark_group!(
    name = hot_path,
    benchmarks = [
        score_200,
        score_adjusted_200,
        allocate_200,
        decode_and_encode_200,
        materialise_full_facts,
        materialise_no_facts
    ]
);

#[expect(clippy::exit, reason = "the macro ends the process when a count fails")]
mod counted {
    use super::hot_path;

    gungraun::main!(library_benchmark_groups = hot_path);

    pub(super) fn run() {
        main();
    }
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    // `cargo test --all-targets` runs every target, without either flag: nothing to test here.
    match words.next().as_deref() {
        Some("--gungraun-run") => {}
        Some(first) if first == "--bench" || words.any(|word| word == "--bench") => {
            let runner = Command::new("gungraun-runner").arg("--version").stdout(Stdio::null()).status();
            if runner.is_err() {
                eprintln!(
                    "gungraun-runner is not on the PATH: cargo install gungraun-runner --version 0.20.0 --locked"
                );
                return ExitCode::FAILURE;
            }
        }
        _ => return ExitCode::SUCCESS,
    }
    counted::run();
    ExitCode::SUCCESS
}
