//! The decision log end to end: what is recorded, where it stops, what a crash leaves, and a backtest of it as
//! docs/backtest.md tells.
#![allow(clippy::indexing_slicing, reason = "a wrong index fails the test")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::calls::{merchant, target_of};
use common::process::{Process, get, run};
use common::{Client, NOW, PATIENCE};
use serde_json::Value;
use tempfile::TempDir;
use trustflow::clock::Stopwatch;
use trustflow::proto::{AllocateRequest, AllocateResponse, Scene, ScoreRequest, TargetKind};

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: TempDir::new().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An empty server that records every decision into a file.
    fn serve(&self, record: &str, args: &[&str]) -> Result<Process, String> {
        let fixed = ["--now", NOW, "--control-ms", "0", "--record-share", "1", "--record", record];
        Process::serve(&self.path("data"), &[&fixed, args].concat())
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a record");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

async fn allocate(client: &Client, request_id: &str, ids: Vec<u64>, base_scores: Vec<f32>) -> AllocateResponse {
    let request = AllocateRequest {
        request_id: request_id.to_owned(),
        scene: Scene::Live.into(),
        target_kind: TargetKind::LiveRoom.into(),
        target_ids: ids,
        base_scores,
        slots: 3,
        ..AllocateRequest::default()
    };
    client.scoring.clone().allocate(request).await.expect("a slate").into_inner()
}

async fn score(client: &Client, base_scores: Vec<f32>) {
    let request = ScoreRequest {
        scene: Scene::Mall.into(),
        target_kind: TargetKind::Product.into(),
        target_ids: vec![4, 5],
        base_scores,
        ..ScoreRequest::default()
    };
    client.scoring.clone().score(request).await.expect("scores");
}

/// The figure of a metric; none if it was never set.
async fn metric(process: &Process, name: &str) -> Option<f64> {
    let (_, body) = get(process.http, "/metrics").await;
    let line = body.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
    line.map(|figure| figure.trim().parse().expect("a figure"))
}

async fn wait_for_metric(process: &Process, name: &str, wanted: f64) {
    let begun = Stopwatch::start();
    loop {
        let found = metric(process, name).await;
        if found.is_some_and(|found| (found - wanted).abs() < 0.5) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{name} is {found:?}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_recorded_and_a_restart_appends() {
    let place = Place::new();
    let record = place.path("decisions.jsonl");
    let process = place.serve(text(&record), &[]).expect("it serves");
    let client = process.client().await;
    let slate = allocate(&client, "first", vec![7, 8, 9, 10], vec![0.25, 4.0, 2.0, 1.0]).await;
    score(&client, vec![1.5, 0.5]).await;
    // There is nothing to replay in a call without base scores.
    score(&client, Vec::new()).await;
    wait_for_metric(&process, "trustflow_recorded_total", 2.0).await;
    assert_eq!(metric(&process, "trustflow_record_active").await, Some(1.0));
    drop(client);
    process.stop().await;

    let found = lines(&record);
    assert_eq!(found.len(), 2, "{found:?}");
    let first = &found[0];
    for (key, value) in [
        ("request_id", Value::from("first")),
        ("mode", "slate".into()),
        ("scene", "live".into()),
        ("kind", "live_room".into()),
        ("K", 3.into()),
        ("t", 0.into()),
        ("sec", 0.0.into()),
        ("share", 1.0.into()),
        ("items", vec![7, 8, 9, 10].into()),
        ("merchants", vec![0; 4].into()),
        ("score", vec![0.25, 4.0, 2.0, 1.0].into()),
        ("value", vec![0.25, 4.0, 2.0, 1.0].into()),
        ("policy_version", slate.policy_version.into()),
        ("revision", slate.revision.into()),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    let shown: Vec<u64> = slate.slots.iter().map(|slot| slot.target_id).collect();
    assert_eq!(shown, [8, 9, 10]);
    let recorded: Vec<u64> =
        first["slate"].as_array().expect("slots").iter().map(|s| s["item"].as_u64().expect("an id")).collect();
    assert_eq!(recorded, shown);
    assert_eq!(first["slate"][0]["reason"], "organic");
    assert_eq!(found[1]["mode"], "adjusted");
    assert_eq!(found[1]["adjusted"], Value::from(vec![1.5, 0.5]));

    let process = place.serve(text(&record), &[]).expect("it serves again");
    let client = process.client().await;
    allocate(&client, "second", vec![7, 8, 9], vec![1.0; 3]).await;
    drop(client);
    process.stop().await;
    let again = lines(&record);
    assert_eq!(again.len(), 3, "written at the stop, after what was there");
    assert_eq!(again[..2], found[..]);
    assert!(again[2]["at"].as_i64() >= again[0]["at"].as_i64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_line_is_ended_and_passed_over() {
    let place = Place::new();
    let record = place.path("decisions.jsonl");
    let whole = r#"{"at":1677625200000,"merchants":[1],"score":[1.0],"value":[1.0]}"#;
    fs::write(&record, format!("{whole}\n{}", &whole[..30])).expect("written");
    let process = place.serve(text(&record), &[]).expect("it serves");
    let client = process.client().await;
    for _ in 0..5 {
        allocate(&client, "", vec![7, 8, 9], vec![1.0; 3]).await;
    }
    drop(client);
    process.stop().await;
    let written = fs::read_to_string(&record).expect("a record");
    assert_eq!(written.lines().count(), 7);
    assert_eq!(written.lines().nth(1), Some(&whole[..30]));

    // A crash in the middle of a write.
    let torn = &written[..written.len() - 40];
    fs::write(&record, torn).expect("written");
    let constraints = place.path("constraints.json");
    fs::write(&constraints, r#"{"K": 1, "programmes": [], "shortfall_penalty": 0}"#).expect("written");
    let out = place.path("log.csv");
    let args = ["backtest", "--requests", text(&record), "--constraints", text(&constraints), "--out", text(&out)];
    let output = run(&args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("2 lines end too early"), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("requests 5\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_stops_at_the_bound_and_serving_goes_on() {
    let place = Place::new();
    let record = place.path("decisions.jsonl");
    let process = place.serve(text(&record), &["--record-max-mb", "1"]).expect("it serves");
    let client = process.client().await;
    for round in 0..400_u64 {
        let ids = (0..1_000).map(|n| 1_000_000 * (round + 1) + n).collect();
        allocate(&client, "", ids, vec![0.123_456; 1_000]).await;
        if round % 20 == 19 && metric(&process, "trustflow_record_active").await == Some(0.0) {
            break;
        }
    }
    wait_for_metric(&process, "trustflow_record_active", 0.0).await;
    let size = fs::metadata(&record).expect("a record").len();
    assert!((1 << 19..=1 << 20).contains(&size), "{size}");
    assert!(!lines(&record).is_empty(), "every line is whole");
    assert_eq!(allocate(&client, "", vec![7, 8, 9], vec![1.0; 3]).await.slots.len(), 3);
    drop(client);
    process.stop().await;
    assert_eq!(fs::metadata(&record).expect("a record").len(), size);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_recording_only() {
    let place = Place::new();
    let process = place.serve("/dev/full", &[]).expect("it serves");
    let client = process.client().await;
    allocate(&client, "", vec![7, 8, 9], vec![1.0; 3]).await;
    wait_for_metric(&process, "trustflow_record_active", 0.0).await;
    assert_eq!(allocate(&client, "", vec![7, 8, 9], vec![1.0; 3]).await.slots.len(), 3);
    drop(client);
    process.signal("TERM");
    let (status, log) = tokio::task::spawn_blocking(|| process.end()).await.expect("no panic");
    assert!(status.success() && log.contains("the record cannot be written"), "{log}");
}

#[test]
fn a_place_that_cannot_be_written_is_said_at_the_start() {
    let place = Place::new();
    for record in [place.path("missing").join("decisions.jsonl"), place.folder.path().to_owned()] {
        let said = place.serve(text(&record), &[]).err().expect("it does not start");
        assert!(said.contains("error: record ") && said.contains(text(&record)), "{said}");
    }
}

/// The example of docs/backtest.md, as it stands there, on twenty merchants with the numbers that they have in the demo:
/// all of the demo takes a minute and a half to load unoptimised.
#[tokio::test(flavor = "multi_thread")]
async fn the_documented_example_runs_on_recorded_traffic() {
    let place = Place::new();
    let (record, constraints, out) =
        (place.path("decisions.jsonl"), place.path("constraints.json"), place.path("log.csv"));
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/backtest.md")).expect("the page");
    let example =
        page.split("```json constraints\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    fs::write(&constraints, example).expect("written");

    let process = place.serve(text(&record), &["--clock-rate", "60"]).expect("it serves");
    let client = process.client().await;
    for id in 1_000..1_020 {
        client.register(merchant(id)).await;
    }
    for call in 0..400_u64 {
        // Ten rooms of the twenty merchants of the example, another score each time.
        let merchants: Vec<u64> = (0..10).map(|n| 1_000 + (call * 7 + n * 3) % 20).collect();
        let bases = (0..10).map(|n| 0.5 + f32::from(u8::try_from((call * 31 + n * 17) % 50).expect("small")) / 50.0);
        let ids = merchants.iter().map(|merchant| target_of(TargetKind::LiveRoom, *merchant)).collect();
        allocate(&client, "", ids, bases.collect()).await;
    }
    drop(client);
    process.stop().await;

    let recorded = lines(&record);
    assert!(recorded.len() > 300, "{} of 400 recorded", recorded.len());
    let args = ["backtest", "--requests", text(&record), "--constraints", text(&constraints), "--out", text(&out)];
    let output = run(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_str(example).expect("JSON");
    let of = |programme: usize, key: &str| read["programmes"][programme][key].clone();
    let count = |value: &Value| usize::try_from(value.as_u64().expect("a count")).expect("small");
    let hard: Vec<u64> = serde_json::from_value(of(0, "members")).expect("ids");
    let mut spent = [0, 0];
    let mut promised = 0;
    let log = fs::read_to_string(&out).expect("a log");
    for row in log.lines() {
        let row: Vec<i64> = row.split(',').map(|n| n.parse().expect("a number")).collect();
        let at = |n: usize| usize::try_from(row[n]).expect("a position");
        let merchant = recorded[at(0)]["merchants"][at(1)].as_u64().expect("an id");
        spent[0] += usize::from(hard.contains(&merchant));
        spent[1] += usize::from(row[2] == of(1, "id").as_i64().expect("an id"));
        promised += usize::from(merchant == 1_012);
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(spent[0] > 0 && spent[0] <= count(&of(0, "budget")), "{said}");
    assert!(spent[1] > 0 && spent[1] <= count(&of(1, "budget")), "{said}");
    assert!(promised >= count(&read["merchant_guarantee"]["1012"]), "{said}");
}
