//! `trustflow backtest` end to end: a small stream, its log, and what is said about bad files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const REQUESTS: u32 = 300;
const BUDGET: usize = 60;
const BOOSTED: usize = 30;
const NEED: usize = 20;

/// Requests of four merchants: 0 and 1 in a hard programme, 1 and 2 in a support programme, 3 guaranteed.
fn stream(folder: &TempDir) -> (PathBuf, PathBuf) {
    let line = |t: u32| {
        let time = f64::from(t) / f64::from(REQUESTS);
        let tilt = f64::from(t * 7 % 11) / 10.0;
        let scores = format!("[{}, {}, 1.0, {}]", 1.0 + tilt, 1.5, 0.2 + tilt / 4.0);
        format!(
            r#"{{"t": {t}, "time": {time}, "sec": {}, "merchants": [0, 1, 2, 3], "score": {scores}, "value": {scores}}}"#,
            time * 86_400.0
        )
    };
    let requests = folder.path().join("requests.jsonl");
    fs::write(&requests, (0..REQUESTS).map(line).collect::<Vec<_>>().join("\n")).expect("written");
    let constraints = folder.path().join("constraints.json");
    let text = format!(
        r#"{{"K": 2, "programmes": [
            {{"id": 0, "name": "brand", "kind": "hard", "boost": 0.0, "budget": {BUDGET}, "window": [0.0, 1.1], "members": [0, 1]}},
            {{"id": 1, "name": "launch", "kind": "support", "boost": 0.5, "budget": {BOOSTED}, "window": [0.2, 0.8], "members": [1, 2]}}],
          "merchant_cap": [-1.0, -1.0, 500.0, -1.0], "merchant_guarantee": [0.0, 0.0, 0.0, {NEED}.0], "shortfall_penalty": 3.0}}"#
    );
    fs::write(&constraints, text).expect("written");
    (requests, constraints)
}

fn run(requests: &Path, constraints: &Path, out: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trustflow"));
    command.arg("backtest").arg("--requests").arg(requests).arg("--constraints").arg(constraints);
    command.arg("--out").arg(out).args(more).output().expect("runs")
}

#[test]
fn slates_keep_every_bound_and_one_seed_gives_one_log() {
    let folder = TempDir::new().expect("a folder");
    let (requests, constraints) = stream(&folder);
    for forecast in ["linear", "actual"] {
        let logs: Vec<String> = ["a.csv", "b.csv"]
            .iter()
            .map(|name| {
                let out = folder.path().join(name);
                let output = run(&requests, &constraints, &out, &["--forecast", forecast, "--seed", "5"]);
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                fs::read_to_string(&out).expect("a log")
            })
            .collect();
        assert_eq!(logs[0], logs[1], "one seed, one log");
        let rows: Vec<Vec<i64>> =
            logs[0].lines().map(|line| line.split(',').map(|n| n.parse().expect("a number")).collect()).collect();
        let taken = |wanted: &dyn Fn(&[i64]) -> bool| rows.iter().filter(|row| wanted(row)).count();
        assert!(taken(&|row| row[1] < 2) <= BUDGET);
        assert!(taken(&|row| row[1] == 2) <= 500, "a cap");
        assert!((BOOSTED - 5..=BOOSTED).contains(&taken(&|row| row[2] == 1)), "{}", taken(&|row| row[2] == 1));
        assert!(taken(&|row| row[2] == 1 && !(60..240).contains(&row[0])) == 0, "outside of its window");
        assert!(taken(&|row| row[1] == 3) >= NEED, "a promise");
        assert!(rows.windows(2).all(|two| (two[0][0], two[0][1]) != (two[1][0], two[1][1]) && two[0][0] <= two[1][0]));
        assert!(rows.windows(3).all(|three| three[0][0] != three[2][0]), "two slots a request");
    }
}

#[test]
fn the_other_modes_spend_about_their_budgets() {
    let folder = TempDir::new().expect("a folder");
    let (requests, constraints) = stream(&folder);
    let out = folder.path().join("log.csv");
    for mode in ["adjusted", "weights"] {
        let output = run(&requests, &constraints, &out, &["--mode", mode, "--lag", "0.005"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let log = fs::read_to_string(&out).expect("a log");
        let hard = log.lines().filter(|line| ["0", "1"].contains(&line.split(',').nth(1).unwrap_or(""))).count();
        assert!((BUDGET / 2..=BUDGET + BUDGET / 20).contains(&hard), "{mode}: {hard}");
    }
}

#[test]
fn bad_files_are_named_with_line_and_reason() {
    let folder = TempDir::new().expect("a folder");
    let (requests, constraints) = stream(&folder);
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path
    };
    let good = r#"{"time": 0.5, "merchants": [1], "score": [1.0], "value": [1.0]}"#;
    let out = folder.path().join("log.csv");
    for (text, reason) in [
        ("{]", ":1: key must be a string"),
        (&format!("{good}\n{}", good.replace("\"time\": 0.5, ", "")), ":2: time is missing"),
        (r#"{"merchants": [], "score": [], "value": []}"#, ":1: time is missing"),
        (&format!("{good}\n{}", good.replace("0.5", "0.4")), ":2: time goes back"),
        (&good.replace("[1.0], \"v", "[1.0, 2.0], \"v"), "should be as many"),
        (&good.replace("[1]", "[-1]"), "expected u64"),
        (&good.replace("0.5", "1.5"), "not a share of the horizon"),
    ] {
        let output = run(&file("bad.jsonl", text), &constraints, &out, &[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(reason) && said.contains("bad.jsonl"), "{text}: {said}");
    }
    let output = run(&requests, &file("bad.json", "{\"K\": 2}"), &out, &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("bad.json:1: missing field"));
    let profile = file("profile.txt", "1\n2\nx\n");
    let output = run(&requests, &constraints, &out, &["--forecast", &format!("profile:{}", profile.display())]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("profile.txt:3: \"x\" is not a number"));
}
