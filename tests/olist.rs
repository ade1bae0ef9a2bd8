//! A real marketplace, imported by the real command line into the real program: every seller's figures over gRPC equal
//! those that were counted independently. Runs where the shared data lies beside the crate.
#![allow(clippy::indexing_slicing, reason = "a wrong index fails the test, as it should")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use common::calls::{SCENES, count, score_request};
use common::process::{Process, finish_within, program};
use common::{Client, day_number, plus};
use flate2::read::GzDecoder;
use serde_json::Value;
use trustflow::proto::{
    ExplainScoreRequest, ExplainScoreResponse, GetImportProgressRequest, ListFactsRequest, ScoreResponse, TargetKind,
};

/// An import of everything, in a debug build on a busy machine.
const LONG: Duration = Duration::from_secs(240);
const AS_OF: &str = "2018-06-04";

fn data() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/olist");
    if folder.join("olist_items.jsonl.gz").exists() {
        return Some(folder);
    }
    eprintln!("skipped: no ../shared/data/olist beside the crate");
    None
}

fn lines(file: &Path) -> impl Iterator<Item = String> {
    let packed = std::fs::File::open(file).expect("a file");
    BufReader::new(GzDecoder::new(packed)).lines().map(|line| line.expect("a line"))
}

fn import_args(file: &Path, url: &str) -> Vec<String> {
    let file = file.display().to_string();
    ["orders", "import", &file, "--as-of", AS_OF, "--import-id", "olist", "--server", url].map(str::to_owned).to_vec()
}

fn spawn(args: &[String]) -> std::process::Child {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    program(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

async fn import(file: &Path, url: &str) -> Output {
    let child = spawn(&import_args(file, url));
    tokio::task::spawn_blocking(|| finish_within(child, LONG)).await.expect("no panic")
}

async fn progress(client: &Client) -> u64 {
    let request = GetImportProgressRequest { import_id: "olist".to_owned() };
    client.profiles.clone().get_import_progress(request).await.expect("progress").into_inner().committed_sequence
}

/// Files that are cut off name file and line, and nothing of them is taken.
async fn refuses_cut_files(items: &Path, folder: &Path, server: &Process, client: &Client) {
    let hash = client.hash().await;
    let mut bytes = Vec::new();
    std::fs::File::open(items).expect("a file").take(100_000).read_to_end(&mut bytes).expect("read");
    let cut = folder.join("cut.jsonl.gz");
    std::fs::write(&cut, bytes).expect("written");
    let head: Vec<String> = lines(items).take(3).collect();
    let half = folder.join("half.jsonl");
    std::fs::write(&half, format!("{}\n{}\n{}", head[0], head[1], &head[2][..head[2].len() / 2])).expect("written");
    for (file, place) in [(&cut, "cut.jsonl.gz:"), (&half, "half.jsonl:3")] {
        let output = import(file, &server.url()).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(place), "{place}: {said}");
    }
    assert_eq!((client.hash().await, progress(client).await), (hash, 0), "nothing of either was taken");
}

/// Kills an import when part of it is taken, and runs it again.
async fn imports_in_two_runs(items: &Path, server: &Process, client: &Client) {
    let mut first = spawn(&import_args(items, &server.url()));
    let begun = async {
        while progress(client).await < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let begun = tokio::time::timeout(LONG, begun).await;
    first.kill().expect("a child of ours");
    first.wait().expect("a child of ours");
    begun.expect("the import begins in time");
    let taken = progress(client).await;
    let output = import(items, &server.url()).await;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(said.contains("of them taken before"), "killed after chunk {taken}, then resumed: {said}");
    assert!(said.contains(" 0 refused"), "{said}");
    eprintln!("killed after chunk {taken}; then {}", said.lines().last().unwrap_or_default());
}

fn figure(row: &Value, name: &str) -> u64 {
    row[name].as_u64().expect(name)
}

/// Figures of the profile and where an explanation holds them.
const FIGURES: [(&str, &str, &str); 12] = [
    ("paid_orders_30d", "refund_rate_30d", "paid_orders"),
    ("paid_orders_90d", "refund_rate_90d", "paid_orders"),
    ("ship_due_30d", "timely_shipping_30d", "shipments_due"),
    ("ship_due_90d", "timely_shipping_90d", "shipments_due"),
    ("ship_ontime_30d", "timely_shipping_30d", "shipped_on_time"),
    ("ship_ontime_90d", "timely_shipping_90d", "shipped_on_time"),
    ("reviewed_30d", "negative_review_rate_30d", "reviews"),
    ("low_reviews_30d", "negative_review_rate_30d", "negative_reviews"),
    ("low_reviews_90d", "negative_review_rate_90d", "negative_reviews"),
    ("deliver_ontime_90d", "timely_delivery_90d", "delivered_on_time"),
    ("repeat_buyers_30d", "repurchase_30d", "repeat_buyers_30d"),
    ("repeat_buyers_90d", "repurchase_90d", "repeat_buyers_90d"),
];

/// A counter of an explanation; a level that was never sent is not there.
fn counted(explained: &ExplainScoreResponse, signal: &str, counter: &str) -> u64 {
    let sent = common::calls::signal(explained, signal).counters.iter().any(|value| value.name == counter);
    if sent { count(explained, signal, counter) } else { 0 }
}

/// Paid orders of the last four natural weeks, oldest first.
async fn weekly(client: &Client, seller: u64) -> Vec<u64> {
    let request = ListFactsRequest {
        target_id: seller,
        first_date: plus(AS_OF, -28),
        last_date: plus(AS_OF, -1),
        ..ListFactsRequest::default()
    };
    let facts = client.insight.clone().list_facts(request).await.expect("facts").into_inner().facts;
    let mut weeks = vec![0; 4];
    for day in facts {
        let back = day_number(AS_OF) - 1 - day_number(&day.date);
        weeks[3 - usize::try_from(back / 7).expect("in the past")] += day.counters.get("paid_orders").unwrap_or(&0);
    }
    weeks
}

fn same_row(scores: &ScoreResponse, at: usize, explained: &ExplainScoreResponse) -> bool {
    let row = explained.row.as_ref().expect("a row");
    let floats = [
        (scores.trust_scores[at], row.trust_score),
        (scores.boost_weights[at], row.boost_weight),
        (scores.governance_scores[at], row.governance_score),
        (scores.consumer_rights_scores[at], row.consumer_rights_score),
        (scores.experience_scores[at], row.experience_score),
        (scores.ad_price_factors[at], row.ad_price_factor),
    ];
    floats.iter().all(|(scored, explained)| scored.to_bits() == explained.to_bits())
        && (scores.programmes[at], scores.labels[at]) == (row.programmes, row.labels)
}

#[tokio::test]
async fn every_sellers_figures_are_those_counted_independently() {
    let Some(source) = data() else { return };
    let items = source.join("olist_items.jsonl.gz");
    let folder = tempfile::tempdir().expect("a folder");
    let now = format!("{AS_OF}T07:00:00+08:00");
    // Without control: it would change what is spent between a score and its explanation.
    let args = ["--now", &now, "--clock-rate", "0", "--control-ms", "0"];
    let server = Process::serve(&folder.path().join("data"), &args).expect("it serves");
    let client = server.client().await;
    refuses_cut_files(&items, folder.path(), &server, &client).await;
    imports_in_two_runs(&items, &server, &client).await;

    let profiles = source.join(format!("olist_profiles_asof_{AS_OF}.jsonl.gz"));
    let rows: Vec<Value> = lines(&profiles).map(|line| serde_json::from_str(&line).expect("JSON")).collect();
    assert_eq!(rows.len(), 2_570);
    assert_eq!(client.status().await.merchants, 2_570);
    let mut agreeing: BTreeMap<&str, usize> = BTreeMap::new();
    let mut identical = 0;
    for (block, sellers) in rows.chunks(500).enumerate() {
        let scene = SCENES[block];
        let ids: Vec<u64> = sellers.iter().map(|row| figure(row, "seller_ix")).collect();
        let scores = client.score_with(score_request(scene, TargetKind::Merchant, &ids)).await;
        for (at, row) in sellers.iter().enumerate() {
            let explained = client
                .explain_with(ExplainScoreRequest {
                    scene: scene.into(),
                    target_kind: TargetKind::Merchant.into(),
                    target_id: ids[at],
                    ..ExplainScoreRequest::default()
                })
                .await;
            for (name, signal, counter) in FIGURES {
                let equal = counted(&explained, signal, counter) == figure(row, name);
                *agreeing.entry(name).or_default() += usize::from(equal);
            }
            let weeks = Value::from(weekly(&client, ids[at]).await);
            *agreeing.entry("paid_orders_week").or_default() += usize::from(weeks == row["paid_orders_week"]);
            identical += usize::from(same_row(&scores, at, &explained));
            assert!((0.0..=100.0).contains(&scores.trust_scores[at]) && scores.trust_scores[at] > 0.0);
        }
    }
    for (name, sellers) in &agreeing {
        eprintln!("{name}: {sellers} of {} sellers agree", rows.len());
    }
    eprintln!("Score and ExplainScore: {identical} of {} agree to the last bit", rows.len());
    assert!(agreeing.values().all(|agree| *agree == rows.len()), "{agreeing:?}");
    assert_eq!(identical, rows.len());
    server.stop().await;
}
