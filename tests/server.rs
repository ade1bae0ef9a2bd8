//! The program as operators meet it: start, health, metrics, settings, policy folders, data folders, stop.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::calls::{facts, merchant, score_request};
use common::process::{Process, get, program, run};
use common::{Client, NOW, refusal};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use trustflow::proto::{AdvanceClockRequest, ListMerchantsRequest, Scene, TargetKind};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Many callers score without a break while the program is told to stop.
async fn drains(signal: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Process::simulated(&folder.path().join("data"), NOW);
    server.client().await.upsert((1..=500).map(merchant).collect()).await;
    let (stopping, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut callers = Vec::new();
    for _ in 0..8 {
        let client = server.client().await;
        for _ in 0..4 {
            let (client, stopping, begun) = (client.clone(), stopping.clone(), begun.clone());
            callers.push(tokio::spawn(async move {
                let ids: Vec<u64> = (1..=500).collect();
                let mut answered = 0_u64;
                while !stopping.load(Ordering::SeqCst) {
                    begun.fetch_add(1, Ordering::SeqCst);
                    let request = score_request(Scene::Live, TargetKind::Merchant, &ids);
                    let scores = client.scoring.clone().score(request).await?.into_inner();
                    assert_eq!(scores.trust_scores.len(), 500);
                    answered += 1;
                }
                Ok::<u64, tonic::Status>(answered)
            }));
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    stopping.store(true, Ordering::SeqCst);
    server.signal(signal);
    let mut answered = 0;
    for caller in callers {
        answered += caller.await.expect("no panic").expect("no call that was begun fails");
    }
    assert!(answered > 32, "there was traffic");
    assert_eq!(answered, begun.load(Ordering::SeqCst));
    let (status, log) = tokio::task::spawn_blocking(|| server.end()).await.expect("no panic");
    assert!(status.success(), "{signal}: {log}");
    assert!(log.contains("draining") && log.contains("stopped"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_by_sigterm_fails_no_call_in_flight() {
    drains("TERM").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_by_sigint_fails_no_call_in_flight() {
    drains("INT").await;
}

/// The value of a series, by the beginning of its line.
fn series(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| unreachable!("no series {name} in\n{metrics}"));
    line.rsplit(' ').next().expect("a value").parse().expect("a number")
}

#[tokio::test]
async fn metrics_tell_what_happened() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Process::simulated(&folder.path().join("data"), NOW);
    let client = server.client().await;
    client.register(merchant(1)).await;
    client.record(vec![facts(1, "2023-02-27", &[("paid_orders", 1)])]).await;
    client.score(Scene::Live, TargetKind::Merchant, &[1, 2, 3]).await;
    client.score(Scene::Live, TargetKind::Merchant, &[1]).await;
    refusal(client.scoring.clone().score(score_request(Scene::Live, TargetKind::Merchant, &[])).await);

    let (code, metrics) = get(server.http, "/metrics").await;
    assert_eq!(code, 200);
    let revision = client.status().await.revision;
    let expected = [
        ("trustflow_grpc_requests_total{method=\"ScoringService/Score\",code=\"OK\"}", 2),
        ("trustflow_grpc_requests_total{method=\"ScoringService/Score\",code=\"INVALID_ARGUMENT\"}", 1),
        ("trustflow_grpc_requests_total{method=\"ProfileService/RecordFacts\",code=\"OK\"}", 1),
        ("trustflow_grpc_duration_seconds_count{method=\"ScoringService/Score\"}", 3),
        ("trustflow_score_candidates_total", 4),
        ("trustflow_score_unknown_total", 2),
        ("trustflow_score_batch_size_count", 2),
        ("trustflow_profiles{kind=\"merchant\"}", 1),
        ("trustflow_profiles{kind=\"live_room\"}", 1),
        ("trustflow_profiles{kind=\"service_provider\"}", 0),
        ("trustflow_policy_version", 1),
        ("trustflow_building", 0),
        ("trustflow_policy_pending", 0),
        ("trustflow_kill_switch", 0),
        ("trustflow_policy_watch_problems", 0),
        ("trustflow_policy_changes_total{kind=\"publish\",outcome=\"taken\"}", 1),
        ("trustflow_remembered_requests", 0),
        // Seven hours since the end of the last closed day.
        ("trustflow_facts_age_seconds", 7 * 3_600),
        ("trustflow_state_lag_seconds", 0),
    ];
    for (name, value) in expected {
        assert!((series(&metrics, name) - f64::from(value)).abs() < 1e-9, "{name} is {}", series(&metrics, name));
    }
    let revision = f64::from(u32::try_from(revision).expect("small"));
    assert!((series(&metrics, "trustflow_revision") - revision).abs() < 1e-9);
    assert!((series(&metrics, "trustflow_commands_total") - revision).abs() < 1e-9, "every revision is a command");
    for name in [
        "trustflow_commit_size_count",
        "trustflow_commit_duration_seconds_count",
        "trustflow_commit_sync_duration_seconds_count",
        "trustflow_transition_duration_seconds_count",
    ] {
        assert!((1.0..=revision).contains(&series(&metrics, name)), "{name}");
    }
    assert!(series(&metrics, "trustflow_commit_sync_duration_seconds_sum") > 0.0);
    assert!(series(&metrics, "trustflow_records_materialised_total") >= 1.0);
    server.stop().await;
}

#[tokio::test]
async fn health_is_answered_over_http_and_for_each_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Process::simulated(&folder.path().join("data"), NOW);
    assert_eq!(get(server.http, "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(server.http, "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(get(server.http, "/nothing").await.0, 404);
    let channel = server.client().await.channel;
    let check = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        HealthClient::new(channel.clone()).check(request).await.map(|answer| answer.into_inner().status)
    };
    for service in [
        "",
        "trustflow.v1.ScoringService",
        "trustflow.v1.ProfileService",
        "trustflow.v1.InsightService",
        "trustflow.v1.PolicyService",
        "trustflow.v1.ProgrammeService",
        "trustflow.v1.AdminService",
    ] {
        assert_eq!(check(service).await.expect("known"), 1, "{service:?} is SERVING");
    }
    assert_eq!(check("trustflow.v1.NoService").await.expect_err("unknown").code(), tonic::Code::NotFound);
    server.stop().await;
}

/// Lists the services by one version of the reflection protocol.
macro_rules! reflected {
    ($version:ident, $channel:expr) => {{
        use tonic_reflection::pb::$version::ServerReflectionRequest;
        use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
        let list = ServerReflectionRequest {
            message_request: Some(MessageRequest::ListServices(String::new())),
            ..ServerReflectionRequest::default()
        };
        let answers = ServerReflectionClient::new($channel).server_reflection_info(tokio_stream::iter([list])).await;
        let answer = answers.expect("reflection").into_inner().message().await.expect("an answer").expect("one");
        let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
            unreachable!("not a list of services")
        };
        list.service.into_iter().map(|service| service.name).collect::<Vec<String>>()
    }};
}

#[tokio::test]
async fn reflection_lists_the_services_in_both_versions() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Process::simulated(&folder.path().join("data"), NOW);
    let channel = server.client().await.channel;
    for services in [reflected!(v1, channel.clone()), reflected!(v1alpha, channel.clone())] {
        for service in
            ["ScoringService", "ProfileService", "InsightService", "PolicyService", "ProgrammeService", "AdminService"]
        {
            assert!(services.contains(&format!("trustflow.v1.{service}")), "{services:?}");
        }
        assert!(services.contains(&"grpc.health.v1.Health".to_owned()), "{services:?}");
    }
    server.stop().await;
}

fn refused(data: &Path, args: &[&str]) -> String {
    match Process::serve(data, args) {
        Err(said) => said,
        Ok(_) => unreachable!("it must not serve"),
    }
}

#[tokio::test]
async fn a_data_folder_is_guarded() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let simulated = ["--now", NOW, "--clock-rate", "0"];
    let server = Process::simulated(&data, NOW);
    server.client().await.upsert(vec![merchant(1)]).await;
    let said = refused(&data, &simulated);
    assert!(said.contains("in use") && said.contains("data"), "a second process: {said}");
    assert_eq!(server.client().await.status().await.merchants, 1, "the first one goes on");
    server.stop().await;

    let said = refused(&data, &[]);
    assert!(said.contains("simulated time") && said.contains("--now"), "on real time: {said}");
    let version = std::fs::read_to_string(data.join("VERSION")).expect("a version");
    std::fs::write(data.join("VERSION"), "trustflow data 2\n").expect("written");
    let said = refused(&data, &simulated);
    assert!(said.contains("trustflow data 2") && said.contains("trustflow data 1"), "both versions: {said}");
    std::fs::write(data.join("VERSION"), version).expect("written");
    let server = Process::simulated(&data, NOW);
    assert_eq!(server.client().await.status().await.merchants, 1, "a refusal changes nothing");
    server.stop().await;

    let real = folder.path().join("real");
    let server = Process::serve(&real, &[]).expect("real time");
    let advance = AdvanceClockRequest { to: Some(common::instant("2099-01-01T00:00:00Z")) };
    let found = refusal(server.client().await.admin.clone().advance_clock(advance).await);
    found.is_plain(tonic::Code::FailedPrecondition, "CLOCK_NOT_SIMULATED");
    server.stop().await;
    let said = refused(&real, &simulated);
    assert!(said.contains("real time"), "{said}");
}

#[test]
fn settings_come_from_file_environment_and_flags_in_rising_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trustflow.toml");
    let from_flags =
        run(&["serve", "--print-config", "--data", "from-flags", "--listen", "127.0.0.1:1234", "--now", NOW]);
    assert!(from_flags.status.success(), "{}", text(&from_flags.stderr));
    std::fs::write(&file, &from_flags.stdout).expect("written");
    let file = file.to_str().expect("a path");
    let read_back = run(&["serve", "--print-config", "--config", file]);
    assert_eq!(text(&read_back.stdout), text(&from_flags.stdout), "what it prints can be read back");

    let mut command = program(&["serve", "--print-config", "--config", file, "--max-targets", "7"]);
    let output = command.env("TRUSTFLOW_DATA", "from-environment").env("TRUSTFLOW_MAX_TARGETS", "5").output();
    let printed = text(&output.expect("it ran").stdout);
    assert!(printed.contains("data = \"from-environment\"") && printed.contains("max_targets = 7"), "{printed}");
    assert!(printed.contains("listen = \"127.0.0.1:1234\""), "{printed}");

    let wrong = run(&["serve", "--listen", "0.0.0.0:0"]);
    assert!(!wrong.status.success() && text(&wrong.stderr).contains("--insecure"), "{}", text(&wrong.stderr));
    let wrong = run(&["serve", "--now", "yesterday", "--data", file]);
    assert!(!wrong.status.success(), "{}", text(&wrong.stderr));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copied");
        }
    }
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).expect("a file");
    assert!(text.contains(from), "{from} stands in {}", file.display());
    std::fs::write(file, text.replace(from, to)).expect("written");
}

#[tokio::test]
async fn a_policy_folder_changes_scores_and_a_broken_one_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, policy) = (folder.path().join("data"), folder.path().join("policy"));
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("policy/default"), &policy);
    let score = policy.join("score.toml");
    let (now, path) = (["--now", NOW, "--clock-rate", "0"], policy.to_str().expect("a path"));
    let with_policy = [&now[..], &["--policy", path]].concat();
    let figures = async |client: &Client| {
        let scores = client.score(Scene::Live, TargetKind::Merchant, &[1]).await;
        (scores.policy_version, scores.trust_scores[0], scores.experience_scores[0])
    };

    let server = Process::serve(&data, &with_policy).expect("it serves");
    let client = server.client().await;
    client.upsert(vec![merchant(1)]).await;
    client.record(vec![facts(1, "2023-02-27", &[("reviews", 500), ("negative_reviews", 400)])]).await;
    let first = figures(&client).await;
    assert_eq!((first.0, client.status().await.policy_source), (1, path.to_owned()));
    server.stop().await;

    replace(&score, "governance = { weight = 0.25", "governance = { weight = 0.05");
    replace(&score, "experience = { weight = 0.45", "experience = { weight = 0.65");
    let server = Process::serve(&data, &with_policy).expect("it serves");
    let second = figures(&server.client().await).await;
    assert_eq!(second.0, 2, "another text is another version");
    assert!(second.1 < first.1 - 1.0, "its bad experience weighs more: {first:?}, {second:?}");
    assert_eq!(second.2.to_bits(), first.2.to_bits(), "layers as before");
    server.stop().await;
    let server = Process::serve(&data, &with_policy).expect("it serves");
    assert_eq!(figures(&server.client().await).await, second, "the same text is the same version");
    server.stop().await;

    replace(&score, "cache_ttl_ms = 2000", "cache_ttl_ms = 2000\nno_such_key = 1");
    let said = refused(&folder.path().join("empty"), &with_policy);
    let broken = std::fs::read_to_string(&score).expect("a file");
    let line = broken.lines().position(|line| line.contains("no_such_key")).expect("a line") + 1;
    assert!(said.contains(&format!("score.toml:{line}:")) && said.contains("no_such_key"), "{said}");
    let server = Process::serve(&data, &with_policy).expect("the last good one serves on");
    let client = server.client().await;
    assert_eq!(figures(&client).await, second);
    let configured = client.status().await.configured_policy.expect("it is said");
    assert_eq!((configured.problems.len(), configured.problems[0].line as usize), (1, line), "{configured:?}");
    assert!(series(&get(server.http, "/metrics").await.1, "trustflow_policy_watch_problems") > 0.5);
    drop(client);
    server.signal("TERM");
    let (_, log) = tokio::task::spawn_blocking(|| server.end()).await.expect("no panic");
    assert!(log.contains("no_such_key"), "{log}");
    replace(&score, "\nno_such_key = 1", "");
    let server = Process::serve(&data, &with_policy).expect("it serves");
    assert_eq!(figures(&server.client().await).await, second, "the refusal left everything as it was");
    server.stop().await;
}

#[tokio::test]
async fn acknowledged_writes_survive_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = Process::simulated(&data, NOW);
    let client = server.client().await;
    for id in 1..=20 {
        client.upsert(vec![merchant(id)]).await;
    }
    server.signal("KILL");
    let (status, _) = server.end();
    assert!(!status.success());
    let server = Process::simulated(&data, NOW);
    let list = ListMerchantsRequest::default();
    let page = server.client().await.profiles.clone().list_merchants(list).await.expect("a page").into_inner();
    assert_eq!(page.merchants.len(), 20);
    server.stop().await;
}
