//! The protocol suite h2spec (Go) against the server: every generic, HPACK and HTTP/2 case, strict ones included.
//!
//! Not run by `cargo test`, which needs nothing but Rust: `just h2spec`, and `.ci/run` where h2spec is installed.

mod common;

use std::collections::BTreeSet;
use std::process::Command;

use common::{Client, Server};
use tempfile::TempDir;

/// Fewer cases than there are mean that the suite did not run as a whole.
const FEWEST_CASES: usize = 140;
/// How often a case may race. Some cases send frames behind a request and expect them to be judged before the request is
/// answered. The server answers at once, as it may (RFC 9113, 8.1), and then ignores what comes for that stream: such a
/// case fails now and then. One that is really broken fails each time.
const RACES: usize = 6;

/// One case of the suite.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Case {
    /// Such as `http2/5.1`.
    section: String,
    /// Such as `closed: Sends a DATA frame after sending RST_STREAM frame`.
    sentence: String,
}

/// The cases of a report in `JUnit`'s XML, and whether they failed.
fn cases(report: &str) -> Vec<(Case, bool)> {
    let attribute = |element: &str, name: &str| {
        let (_, rest) = element.split_once(&format!("{name}=\"")).expect("every case has a section and a sentence");
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    let case = |element: &str| {
        let case = Case { section: attribute(element, "package"), sentence: attribute(element, "classname") };
        (case, element.contains("<failure") || element.contains("<error"))
    };
    report.split("<testcase ").skip(1).map(case).collect()
}

/// Runs some sections; answers their cases, and what h2spec said.
async fn run(server: &Server, sections: &BTreeSet<String>) -> (Vec<(Case, bool)>, String) {
    let folder = TempDir::new().expect("a folder");
    let report = folder.path().join("report.xml");
    let mut h2spec = Command::new("h2spec");
    h2spec.args(["--strict", "--host", "127.0.0.1", "--port", &server.addresses.grpc.port().to_string()]);
    h2spec.arg("--junit-report").arg(&report).args(sections);
    let output = tokio::task::spawn_blocking(move || h2spec.output()).await.expect("no panic").expect("h2spec runs");
    let report = std::fs::read_to_string(&report).expect("a report");
    (cases(&report), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs h2spec: go install github.com/summerwind/h2spec/cmd/h2spec@latest"]
async fn the_server_speaks_http2_as_h2spec_demands() {
    let server = Server::start().await;
    let all = ["generic", "hpack", "http2"].map(str::to_owned).into();
    let (cases, mut said) = run(&server, &all).await;
    assert!(cases.len() >= FEWEST_CASES, "only {} cases ran:\n{said}", cases.len());
    let failed = |cases: &[(Case, bool)]| -> BTreeSet<Case> {
        cases.iter().filter(|(_, has_failed)| *has_failed).map(|(case, _)| case.clone()).collect()
    };
    let mut failing = failed(&cases);
    let raced = failing.len();
    for _ in 0..RACES {
        if failing.is_empty() {
            break;
        }
        let sections = failing.iter().map(|case| case.section.clone()).collect();
        let (again, words) = run(&server, &sections).await;
        failing = failing.intersection(&failed(&again)).cloned().collect();
        said = words;
    }
    assert!(failing.is_empty(), "{failing:#?} of {} cases failed each time:\n{said}", cases.len());
    println!("{} cases pass, {raced} of them not at the first time", cases.len());
    // It serves on.
    assert!(Client::connect(server.addresses.grpc).await.status().await.revision > 0);
}
