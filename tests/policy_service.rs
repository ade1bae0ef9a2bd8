//! Policies as operators change them: over gRPC, by a watched folder, by the client; and what a restart keeps.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::calls::{facts, merchant, score_request, target_of, violation};
use common::process::{get, run};
use common::{Client, NOW, PATIENCE, Refusal, Server, instant, refusal};
use tempfile::TempDir;
use tonic::Code;
use trustflow::proto::{
    DiffPoliciesRequest, GetPolicyRequest, ListPolicyVersionsRequest, ListPolicyVersionsResponse, PolicyChangeKind,
    PolicyFile, PolicyState, PublishPolicyRequest, PublishPolicyResponse, RollbackPolicyRequest,
    RollbackPolicyResponse, Scene, ScoreRequest, SetKillSwitchRequest, TargetKind, ValidatePolicyRequest,
};

/// The files of the shipped policy.
fn shipped() -> Vec<PolicyFile> {
    let files = trustflow::policy::embedded().files;
    files.into_iter().map(|(path, content)| PolicyFile { path, content }).collect()
}

/// The shipped policy with a file edited.
fn edited(file: &str, from: &str, to: &str) -> Vec<PolicyFile> {
    let mut files = shipped();
    let found = files.iter_mut().find(|found| found.path == file).expect("the file");
    assert!(found.content.contains(from), "{from}");
    found.content = found.content.replacen(from, to, 1);
    files
}

/// Texts that differ in what every answer says.
fn with_ttl(ms: u32) -> Vec<PolicyFile> {
    edited("score.toml", "cache_ttl_ms = 2000", &format!("cache_ttl_ms = {ms}"))
}

impl Client {
    async fn publish(&self, request: PublishPolicyRequest) -> PublishPolicyResponse {
        self.policies.clone().publish_policy(request).await.expect("published").into_inner()
    }

    async fn publish_files(&self, files: Vec<PolicyFile>) -> PublishPolicyResponse {
        self.publish(PublishPolicyRequest { files, ..PublishPolicyRequest::default() }).await
    }

    async fn refused(&self, request: PublishPolicyRequest) -> Refusal {
        refusal(self.policies.clone().publish_policy(request).await)
    }

    async fn rollback(&self, version: u64) -> RollbackPolicyResponse {
        let request = RollbackPolicyRequest { version, reason: "worse".into(), ..RollbackPolicyRequest::default() };
        self.policies.clone().rollback_policy(request).await.expect("rolled back").into_inner()
    }

    async fn list(&self, page_size: u32, page_token: &str) -> ListPolicyVersionsResponse {
        let request = ListPolicyVersionsRequest { page_size, page_token: page_token.to_owned() };
        self.policies.clone().list_policy_versions(request).await.expect("versions").into_inner()
    }

    /// Versions and where they stand, newest first.
    async fn states(&self) -> Vec<(u64, PolicyState)> {
        self.list(0, "").await.versions.iter().map(|version| (version.version, version.state())).collect()
    }

    /// Version and time to live of an answer.
    async fn served(&self) -> (u64, u32) {
        let answer = self.score(Scene::Live, TargetKind::Merchant, &[1]).await;
        (answer.policy_version, answer.cache_ttl_ms)
    }

    async fn kill(&self, on: bool, reason: &str) {
        let request = SetKillSwitchRequest { on, reason: reason.into(), ..SetKillSwitchRequest::default() };
        self.policies.clone().set_kill_switch(request).await.expect("set");
    }
}

/// Asks again and again until something holds.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let asked = async {
        loop {
            match ask().await {
                Ok(found) => return found,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect(what)
}

fn holds(holds: bool) -> Result<(), String> {
    if holds { Ok(()) } else { Err(String::new()) }
}

#[tokio::test]
async fn a_published_text_serves_and_is_listed_with_who_and_why() {
    let server = Server::start().await;
    let client = &server.client;
    assert_eq!(client.served().await, (1, 2_000));
    let etag = client.list(0, "").await.etag;
    let request = PublishPolicyRequest {
        files: with_ttl(1_500),
        etag: etag.clone(),
        author: "ann".into(),
        comment: "shorter".into(),
        ..PublishPolicyRequest::default()
    };
    let answer = client.publish(request.clone()).await;
    assert_eq!((answer.version, answer.state(), answer.unchanged), (2, PolicyState::Serving, false));
    assert_eq!(client.served().await, (2, 1_500), "it serves when it is answered");
    client.refused(request).await.is_plain(Code::Aborted, "ETAG_MISMATCH");
    let again = client.publish_files(with_ttl(1_500)).await;
    assert_eq!((again.version, again.unchanged, &again.etag), (2, true, &answer.etag));

    let list = client.list(1, "").await;
    let newest = &list.versions[0];
    assert_eq!((newest.author.as_str(), newest.comment.as_str(), newest.source.as_str()), ("ann", "shorter", "rpc"));
    assert_eq!((newest.revision, &newest.published_at), (answer.revision, &Some(instant(NOW))));
    assert_eq!(list.etag, answer.etag);
    let rest = client.list(1, &list.next_page_token).await;
    assert_eq!((rest.versions[0].version, rest.versions[0].state()), (1, PolicyState::Retired));
    assert_eq!(rest.next_page_token, "");
    assert_eq!(client.status().await.policy_hash, newest.hash);
}

#[tokio::test]
async fn versions_are_got_compared_and_rolled_back_to() {
    let server = Server::start().await;
    let client = &server.client;
    client.publish_files(edited("programmes/kuai_brand.toml", "uplift = 0.8", "uplift = 0.9")).await;
    let got = async |version| client.policies.clone().get_policy(GetPolicyRequest { version }).await;
    let first = got(1).await.expect("a version").into_inner();
    assert_eq!(first.files, shipped());
    let serving = got(0).await.expect("the one that serves").into_inner();
    assert_eq!(serving.version.expect("a version").version, 2);
    refusal(got(9).await).is_plain(Code::NotFound, "NOT_REGISTERED");

    let diff = async |request: DiffPoliciesRequest| {
        client.policies.clone().diff_policies(request).await.map(|answer| answer.into_inner().changes)
    };
    let changes =
        diff(DiffPoliciesRequest { from_version: 1, ..DiffPoliciesRequest::default() }).await.expect("a diff");
    assert_eq!(changes.len(), 1);
    let change = &changes[0];
    assert_eq!(change.path, "programmes/kuai_brand: uplift.cases[0].uplift");
    assert_eq!(
        (change.kind(), change.before.as_str(), change.after.as_str()),
        (PolicyChangeKind::Changed, "0.8", "0.9")
    );
    let to_files = edited("score.toml", "weight_ceiling = 10.0", "weight_ceiling = 10 # as before");
    let request = DiffPoliciesRequest { from_version: 1, to_files, ..DiffPoliciesRequest::default() };
    assert_eq!(diff(request.clone()).await.expect("a diff"), []);
    let both = DiffPoliciesRequest { to_version: 1, ..request };
    refusal(diff(both).await).is(Code::InvalidArgument, "BAD_REQUEST", "to_version");
    let no_toml = vec![PolicyFile { path: "score.toml".into(), content: "a = 1\nb =".into() }];
    let request = DiffPoliciesRequest { to_files: no_toml, ..DiffPoliciesRequest::default() };
    refusal(diff(request).await).is(Code::InvalidArgument, "BAD_POLICY", "score.toml:2");

    let back = client.rollback(1).await;
    assert_eq!((back.version, back.state(), back.unchanged), (1, PolicyState::Serving, false));
    assert_eq!(client.states().await, [(2, PolicyState::Retired), (1, PolicyState::Serving)]);
    let row = client.list(0, "").await.versions[1].clone();
    assert_eq!(row.last_switch.expect("it is said").reason, "worse");
    let unknown = RollbackPolicyRequest { version: 9, ..RollbackPolicyRequest::default() };
    refusal(client.policies.clone().rollback_policy(unknown).await).is_plain(Code::NotFound, "NOT_REGISTERED");
}

#[tokio::test]
async fn a_bad_text_is_refused_with_every_line_and_leaves_nothing_behind() {
    let server = Server::start().await;
    let client = &server.client;
    let revision = client.status().await.revision;
    let mut files = with_ttl(9_000_000);
    files[0].content.push_str("no_such_key = 1\n");
    let validate = async |files| {
        client.policies.clone().validate_policy(ValidatePolicyRequest { files }).await.expect("looked at").into_inner()
    };
    let found = validate(files.clone()).await;
    assert_eq!(found.problems.len(), 2, "{found:?}");
    let refused = client.refused(PublishPolicyRequest { files, ..PublishPolicyRequest::default() }).await;
    for problem in &found.problems {
        assert!(problem.line > 1 && !problem.suggestion.is_empty(), "{problem:?}");
        refused.is(Code::InvalidArgument, "BAD_POLICY", &format!("{}:{}", problem.file, problem.line));
    }
    assert_eq!(validate(shipped()).await.version, 1);
    let new = validate(with_ttl(1_000)).await;
    assert_eq!((new.version, new.problems.len()), (0, 0));
    assert_eq!(client.status().await.revision, revision, "nothing was logged");
    assert_eq!(client.states().await, [(1, PolicyState::Serving)]);
}

#[tokio::test]
async fn what_is_too_large_or_misnamed_is_not_looked_at() {
    let server = Server::start().await;
    let client = &server.client;
    let file = |path: &str, content: &str| PolicyFile { path: path.into(), content: content.into() };
    let refused = async |files| client.refused(PublishPolicyRequest { files, ..PublishPolicyRequest::default() }).await;
    refused(vec![]).await.is(Code::InvalidArgument, "BAD_REQUEST", "files");
    refused(vec![file("score.toml", &"#".repeat(5 << 20))]).await.is(Code::InvalidArgument, "BAD_REQUEST", "files");
    refused(vec![file("score.toml", ""); 257]).await.is(Code::InvalidArgument, "BAD_REQUEST", "files");
    for path in ["../score.toml", "/etc/x.toml", "score", "programmes//x.toml", "a\\b.toml", ".x.toml", ""] {
        refused(vec![file(path, "")]).await.is(Code::InvalidArgument, "BAD_REQUEST", "files[0].path");
    }
    let etag = PublishPolicyRequest { files: shipped(), etag: "no etag".into(), ..PublishPolicyRequest::default() };
    client.refused(etag).await.is(Code::InvalidArgument, "BAD_REQUEST", "etag");
    // A file of problems only: as many as fit into an answer are named.
    let many = vec![file("score.toml", &"x\n".repeat(1_000)), file("programmes/x.toml", "y")];
    assert_eq!(refused(many).await.reason, "BAD_POLICY");
    let many: Vec<_> = (0..200).map(|n| file(&format!("no_file_of_a_policy_{n}.toml"), "")).collect();
    let found = refused(many).await;
    assert!((10..200).contains(&found.fields.len()) && found.message.contains("200 problems"), "{}", found.message);
}

#[tokio::test]
async fn a_repeated_request_answers_its_first_outcome() {
    let server = Server::start().await;
    let client = &server.client;
    let request =
        PublishPolicyRequest { request_id: "a".into(), files: with_ttl(1_500), ..PublishPolicyRequest::default() };
    let first = client.publish(request.clone()).await;
    client.rollback(1).await;
    let again = client.publish(request.clone()).await;
    assert_eq!((again.version, again.revision, again.state()), (2, first.revision, PolicyState::Retired));
    assert_eq!(client.served().await.0, 1, "it changed nothing");
    let other = PublishPolicyRequest { files: with_ttl(1_600), ..request };
    client.refused(other).await.is_plain(Code::AlreadyExists, "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn of_two_operators_who_read_the_same_one_is_told_to_look_again() {
    let server = Server::start().await;
    let client = &server.client;
    let etag = client.list(0, "").await.etag;
    let publish = async |ms| {
        let request =
            PublishPolicyRequest { files: with_ttl(ms), etag: etag.clone(), ..PublishPolicyRequest::default() };
        client.policies.clone().publish_policy(request).await
    };
    let (one, other) = tokio::join!(publish(1_500), publish(1_600));
    let (taken, refused) = if one.is_ok() { (one, other) } else { (other, one) };
    refusal(refused).is_plain(Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(client.served().await.0, taken.expect("one of them").into_inner().version);

    // Without an etag both are taken, one after the other.
    let (one, other) = tokio::join!(client.publish_files(with_ttl(1_700)), client.publish_files(with_ttl(1_800)));
    let last = if one.revision > other.revision { one } else { other };
    assert_eq!((client.served().await.0, last.state()), (last.version, PolicyState::Serving));
}

#[tokio::test]
async fn a_scheduled_policy_serves_from_its_time_on() {
    let server = Server::start().await;
    let client = &server.client;
    let at = |hour: u32| Some(instant(&format!("2023-03-01T{hour:02}:00:00+08:00")));
    let schedule = |ms, hour| PublishPolicyRequest {
        files: with_ttl(ms),
        effective_at: at(hour),
        ..PublishPolicyRequest::default()
    };
    let first = client.publish(schedule(1_500, 9)).await;
    assert_eq!((first.version, first.state()), (2, PolicyState::Scheduled));
    let stale = PublishPolicyRequest { etag: client.list(0, "").await.etag, ..schedule(1_600, 10) };
    client.publish(stale.clone()).await;
    client
        .refused(PublishPolicyRequest { files: with_ttl(1_700), ..stale })
        .await
        .is_plain(Code::Aborted, "ETAG_MISMATCH");
    let states = [(3, PolicyState::Scheduled), (2, PolicyState::Retired), (1, PolicyState::Serving)];
    assert_eq!(client.states().await, states);
    let pending = client.status().await.pending_policy.expect("it is shown");
    assert_eq!((pending.version, pending.effective_at), (3, at(10)));
    assert_eq!(client.list(0, "").await.versions[0].effective_at, at(10));

    let server = server.restart().await;
    let client = &server.client;
    client.advance("2023-03-01T09:59:59+08:00").await;
    assert_eq!(client.served().await, (1, 2_000));
    client.advance("2023-03-01T10:00:00+08:00").await;
    until("it serves", async || holds(client.served().await == (3, 1_600))).await;
    assert_eq!(client.status().await.pending_policy, None);

    client.publish(schedule(1_800, 12)).await;
    let back = client.rollback(3).await;
    assert_eq!((back.state(), back.unchanged), (PolicyState::Serving, false), "it cancels what waits");
    client.advance("2023-03-01T13:00:00+08:00").await;
    assert_eq!(client.served().await.0, 3);
}

#[tokio::test]
async fn the_kill_switch_makes_every_weight_neutral_and_keeps_exclusions() {
    let server = Server::start().await;
    let client = &server.client;
    for id in [1, 2] {
        client.register(merchant(id)).await;
    }
    client.record(vec![facts(1, "2023-02-27", &[("reviews", 500), ("negative_reviews", 400)])]).await;
    client.punish(violation(1, 2, "ban")).await;
    let rooms = [target_of(TargetKind::LiveRoom, 1), target_of(TargetKind::LiveRoom, 2), 999];
    let request =
        ScoreRequest { base_scores: vec![0.3, 0.3, 0.3], ..score_request(Scene::Live, TargetKind::LiveRoom, &rooms) };
    let before = client.score_with(request.clone()).await;
    assert!((before.boost_weights[0] - 1.0).abs() > 0.01);
    let nameless = SetKillSwitchRequest { on: true, ..SetKillSwitchRequest::default() };
    refusal(client.policies.clone().set_kill_switch(nameless).await).is(Code::InvalidArgument, "BAD_REQUEST", "reason");
    client.kill(true, "prices ran away").await;
    let check = async |client: &Client| {
        let killed = client.score_with(request.clone()).await;
        assert_eq!(killed.boost_weights, [1.0, 0.0, 1.0]);
        assert_eq!(killed.adjusted_scores, [0.3, f32::MIN, 0.3]);
        assert_eq!(killed.trust_scores, before.trust_scores, "scores go on");
        assert_eq!(killed.labels, before.labels);
        let explained = client.explain(1).await;
        let weight = explained.weight.expect("a weight");
        assert!(weight.kill_switch && (weight.weight - 1.0).abs() < f64::EPSILON, "{weight:?}");
        assert!((explained.row.expect("a row").boost_weight - 1.0).abs() < f32::EPSILON);
        let switch = client.status().await.kill_switch.expect("it is shown");
        assert_eq!((switch.reason.as_str(), switch.since), ("prices ran away", Some(instant(NOW))));
    };
    check(client).await;
    let metrics = get(server.addresses.http, "/metrics").await.1;
    assert!(metrics.contains("trustflow_kill_switch 1"), "{metrics}");
    let server = server.restart().await;
    check(&server.client).await;
    server.client.kill(false, "").await;
    assert_eq!(server.client.score_with(request).await.boost_weights, before.boost_weights);
    assert_eq!(server.client.status().await.kill_switch, None);
}

fn write(folder: &Path, files: &[PolicyFile]) {
    for file in files {
        let path = folder.join(&file.path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, &file.content).expect("written");
    }
}

/// A server that watches a policy folder closely.
async fn watching(folder: PathBuf) -> Server {
    Server::start_with(NOW, |settings| {
        settings.policy = Some(folder);
        settings.policy_watch_ms = 20;
    })
    .await
}

#[tokio::test]
async fn a_changed_folder_is_published_and_a_bad_edit_keeps_the_last_good_one() {
    let folder = TempDir::new().expect("a folder");
    write(folder.path(), &shipped());
    let server = watching(folder.path().to_owned()).await;
    let client = &server.client;
    assert_eq!(client.served().await, (1, 2_000));
    write(folder.path(), &with_ttl(1_500));
    until("the edit serves", async || holds(client.served().await == (2, 1_500))).await;

    // An editor that writes beside and moves.
    let beside = folder.path().join(".score.toml.new");
    let score = with_ttl(1_600).into_iter().find(|file| file.path == "score.toml").expect("the file");
    fs::write(&beside, &score.content).expect("written");
    fs::rename(&beside, folder.path().join("score.toml")).expect("moved");
    until("the move serves", async || holds(client.served().await == (3, 1_600))).await;

    let revision = client.status().await.revision;
    write(folder.path(), &with_ttl(9_000_000));
    let configured = until("the problem is said", async || {
        let configured = client.status().await.configured_policy.expect("it is said");
        if configured.problems.is_empty() { Err(String::new()) } else { Ok(configured) }
    })
    .await;
    assert!(configured.watched && configured.problems[0].line > 1, "{configured:?}");
    assert_eq!((client.served().await, client.status().await.revision), ((3, 1_600), revision), "nothing was logged");
    let metrics = get(server.addresses.http, "/metrics").await.1;
    assert!(metrics.contains("trustflow_policy_watch_problems 1"), "{metrics}");

    // A restart in the middle of it serves the last good one.
    let server = server.restart().await;
    let client = &server.client;
    assert_eq!(client.served().await, (3, 1_600));
    assert_eq!(client.status().await.configured_policy.expect("it is said").problems.len(), 1);
    write(folder.path(), &with_ttl(1_700));
    until("the repair serves", async || holds(client.served().await == (4, 1_700))).await;
    let repaired =
        async || holds(client.status().await.configured_policy.is_some_and(|found| found.problems.is_empty()));
    until("the problem is gone", repaired).await;

    // The folder goes away and comes back as it was.
    let away = folder.path().with_extension("away");
    fs::rename(folder.path(), &away).expect("moved");
    let gone = async || holds(client.status().await.configured_policy.is_some_and(|found| !found.problems.is_empty()));
    until("it is said", gone).await;
    fs::rename(&away, folder.path()).expect("moved");
    until("it is back", repaired).await;
    assert_eq!(client.served().await, (4, 1_700));
}

#[tokio::test]
async fn links_that_are_swapped_are_seen() {
    let folder = TempDir::new().expect("a folder");
    let mount = folder.path().join("mount");
    // As a mounted ConfigMap lies: links to `..data`, which is a link to the folder of a generation.
    for (generation, ms) in [("..one", 2_000), ("..two", 1_500)] {
        write(&mount.join(generation), &with_ttl(ms));
    }
    symlink("..one", mount.join("..data")).expect("a link");
    let roots = ["score.toml", "rights.toml", "violations.toml", "life_cycle.toml", "providers.toml"];
    for name in roots.into_iter().chain(["programmes", "rules"]) {
        symlink(Path::new("..data").join(name), mount.join(name)).expect("a link");
    }
    let server = watching(mount.clone()).await;
    let client = &server.client;
    assert_eq!(client.served().await, (1, 2_000));
    let files = client.policies.clone().get_policy(GetPolicyRequest { version: 1 }).await.expect("a version");
    assert_eq!(files.into_inner().files.len(), shipped().len(), "each file once");
    symlink("..two", mount.join("..data_new")).expect("a link");
    fs::rename(mount.join("..data_new"), mount.join("..data")).expect("swapped");
    until("the other generation serves", async || holds(client.served().await == (2, 1_500))).await;
}

#[tokio::test]
async fn a_version_published_over_rpc_outlives_a_restart_until_the_folder_changes() {
    let folder = TempDir::new().expect("a folder");
    write(folder.path(), &shipped());
    let server = watching(folder.path().to_owned()).await;
    server.client.publish_files(with_ttl(1_500)).await;
    let server = server.restart().await;
    assert_eq!(server.client.served().await, (2, 1_500));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.client.served().await, (2, 1_500), "reading the same folder again changes nothing");
    let stopped = server.stop().await;
    write(folder.path(), &with_ttl(1_700));
    let server = stopped.start_at(NOW).await;
    assert_eq!(server.client.served().await, (3, 1_700));

    // The embedded policy is a source like any other.
    let server = Server::start().await;
    server.client.publish_files(with_ttl(1_500)).await;
    let server = server.restart().await;
    assert_eq!(server.client.served().await, (2, 1_500));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_does_all_of_it() {
    let folder = TempDir::new().expect("a folder");
    let (good, bad) = (folder.path().join("good"), folder.path().join("bad"));
    write(&good, &with_ttl(1_500));
    write(&bad, &with_ttl(9_000_000));
    let (good, bad) = (good.to_str().expect("a path"), bad.to_str().expect("a path"));
    let server = Server::start().await;
    let url = format!("http://{}", server.addresses.grpc);
    let client = async |args: &[&str]| {
        let args: Vec<String> =
            ["policy"].iter().chain(args).chain(&["--server", &url]).map(ToString::to_string).collect();
        let output = tokio::task::spawn_blocking(move || run(&args.iter().map(String::as_str).collect::<Vec<_>>()))
            .await
            .expect("no panic");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    for command in ["check", "validate", "publish"] {
        let (code, said) = client(&[command, bad]).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.starts_with("score.toml:") && said.contains("kept for more than an hour; write at most"),
            "{said}"
        );
    }
    assert_eq!(client(&["check", good]).await.0, Some(0));
    assert_eq!(client(&["check", "nowhere"]).await.0, Some(1));
    assert_eq!(client(&["validate", good]).await.0, Some(0));
    let (_, said) = client(&["diff", "1", good]).await;
    assert_eq!(said, "~ score: cache_ttl_ms = 2000 → 1500\n");
    let (code, said) = client(&["publish", good, "--author", "ann", "--comment", "shorter"]).await;
    assert!(code == Some(0) && said.starts_with("version 2 serves (revision"), "{said}");
    let (_, said) = client(&["list"]).await;
    assert!(said.contains("serving") && said.contains("ann") && said.contains("shorter"), "{said}");
    let out = folder.path().join("out");
    assert_eq!(client(&["get", "1", "--out", out.to_str().expect("a path")]).await.0, Some(0));
    for file in shipped() {
        assert_eq!(fs::read_to_string(out.join(&file.path)).expect("written"), file.content);
    }
    assert_eq!(client(&["rollback", "1", "--reason", "worse"]).await.0, Some(0));
    assert_eq!(server.client.served().await, (1, 2_000));
    assert_eq!(client(&["kill-switch", "on"]).await.0, Some(2), "a reason is missing");
    assert_eq!(client(&["kill-switch", "on", "--reason", "test"]).await.0, Some(0));
    assert!(server.client.status().await.kill_switch.is_some());
    let (_, said) = client(&["list", "--json"]).await;
    let list: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(list["versions"][0]["version"], 2);
}
