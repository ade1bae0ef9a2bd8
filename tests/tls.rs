//! The way to the server: TLS, certificates of clients, certificates that change, slow and many connections, and what
//! must never be seen of secrets. Against the real program.

mod common;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use common::access::{
    AUDIENCE, Authority, ISSUER, Issued, Issuer, call, call_as, claims, connect_tls, eventually, jwks, series,
    token_entry, write,
};
use common::process::{Process, get, run};
use common::{NOW, PATIENCE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

const SCORE: &str = "/trustflow.v1.ScoringService/Score";
const STATUS: &str = "/trustflow.v1.AdminService/GetStatus";
const EXPIRY: &str = "trustflow_tls_certificate_expiry_timestamp_seconds";
/// The beginnings of 2040 and 2050, in seconds since 1970.
const END: f64 = 2_208_988_800.0;
const END_2050: f64 = 2_524_608_000.0;

/// A folder with what a secured server reads.
struct Files {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Files {
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().expect("a folder"), authority: Authority::new() };
        files.put_server(&files.authority);
        write(files.path(), "ca.pem", &files.authority.pem());
        files
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a certificate of the server there, signed by an authority.
    fn put_server(&self, authority: &Authority) {
        self.put(&authority.issue("localhost"));
    }

    fn put(&self, own: &Issued) {
        write(self.path(), "server.pem", &own.certificate);
        write(self.path(), "server.key", &own.key);
    }

    fn text(&self, name: &str) -> String {
        self.path().join(name).to_str().expect("a path").to_owned()
    }

    /// Flags for TLS, and more.
    fn flags(&self, more: &[&str]) -> Vec<String> {
        let (cert, key) = (self.text("server.pem"), self.text("server.key"));
        let fixed =
            ["--now", NOW, "--clock-rate", "0", "--credentials-watch-ms", "20", "--tls-cert", &cert, "--tls-key", &key];
        fixed.iter().chain(more).map(|flag| (*flag).to_owned()).collect()
    }

    fn serve(&self, more: &[&str]) -> Process {
        let flags = self.flags(more);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Process::serve(&self.path().join("data"), &flags).expect("it serves")
    }
}

/// What a failed start said.
fn refused(files: &Files, more: &[&str]) -> String {
    let data = files.text("data");
    let output = run(&[&["serve", "--data", &data, "--http", "127.0.0.1:0"][..], more].concat());
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_secured_and_certificates_change_without_a_restart() {
    let files = Files::new();
    let server = files.serve(&[]);
    let port = server.grpc.port();
    let channel = connect_tls(port, &files.authority, None).await.expect("a connection");
    assert_eq!(call(&channel, STATUS, &[]).await.code, Code::Ok);
    let end = async || series(&get(server.http, "/metrics").await.1, EXPIRY)[""];
    assert!((end().await - END).abs() < 0.5, "{}", end().await);
    let stranger = Authority::new();
    assert!(connect_tls(port, &stranger, None).await.is_err(), "signed by another authority");
    let plain = tonic::transport::Endpoint::from_shared(format!("http://{}", server.grpc)).expect("an address");
    let plain = plain.connect_lazy();
    let mut grpc = tonic_health::pb::health_client::HealthClient::new(plain);
    let asked = tokio::time::timeout(PATIENCE, grpc.check(tonic_health::pb::HealthCheckRequest::default())).await;
    assert!(asked.expect("an end").is_err(), "not secured");

    let next = Authority::new();
    files.put(&next.issue_until("localhost", 2_050));
    eventually("the new certificate", async || connect_tls(port, &next, None).await.is_ok()).await;
    assert!(connect_tls(port, &files.authority, None).await.is_err(), "the old certificate is gone");
    assert!((end().await - END_2050).abs() < 0.5, "{}", end().await);
    assert_eq!(call(&channel, STATUS, &[]).await.code, Code::Ok, "open connections stay");

    // A key that does not go with the certificate.
    write(files.path(), "server.key", &Authority::new().issue("localhost").key);
    let problem = async || series(&get(server.http, "/metrics").await.1, "trustflow_credential_problem");
    eventually("the problem", async || problem().await[r#"{file="tls"}"#] > 0.5).await;
    assert!(connect_tls(port, &next, None).await.is_ok(), "the last good pair serves on");
    assert!((end().await - END_2050).abs() < 0.5, "that of the pair that serves: {}", end().await);
    files.put_server(&files.authority);
    eventually("the mended pair", async || connect_tls(port, &files.authority, None).await.is_ok()).await;
    assert!(problem().await[r#"{file="tls"}"#] < 0.5);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_of_clients_are_asked_for_and_have_roles() {
    let files = Files::new();
    let clients = Authority::new();
    let authorities = write(files.path(), "clients.pem", &clients.pem());
    let entry = |name: &str, subject: &str, role: &str| {
        format!("[[certificate]]\nname = {name:?}\nsubject = {subject:?}\nroles = [{role:?}]\n")
    };
    let text = entry("recommender", "recommender.internal", "scorer")
        + &entry("console", "spiffe://test/console", "admin")
        + &token_entry("viewer", "tok-viewer", &["viewer"], "");
    let tokens = write(files.path(), "tokens.toml", &text);
    let paths = [authorities, tokens].map(|path| path.to_str().expect("a path").to_owned());
    let server = files.serve(&["--tls-client-ca", &paths[0], "--tokens", &paths[1]]);
    let port = server.grpc.port();
    let connect = async |own: &Issued| connect_tls(port, &files.authority, Some(own)).await;

    let recommender = connect(&clients.issue("recommender.internal")).await.expect("a connection");
    assert_eq!(call(&recommender, SCORE, &[]).await.code, Code::InvalidArgument, "passed the gate");
    call(&recommender, STATUS, &[]).await.is_plain(Code::PermissionDenied, "ROLE_MISSING");
    // Who sends a token is who the token says, and a bad one is bad.
    call_as(&recommender, SCORE, "tok-viewer").await.is_plain(Code::PermissionDenied, "ROLE_MISSING");
    call_as(&recommender, SCORE, "tok-unknown").await.is_plain(Code::Unauthenticated, "CREDENTIALS_INVALID");
    assert_eq!(call(&recommender, SCORE, &[]).await.code, Code::InvalidArgument, "the certificate is not forgotten");

    let console = connect(&clients.issue("spiffe://test/console")).await.expect("a connection");
    assert_eq!(call(&console, STATUS, &[]).await.code, Code::Ok);
    let unnamed = connect(&clients.issue("unnamed.internal")).await.expect("a connection");
    call(&unnamed, SCORE, &[]).await.is_plain(Code::Unauthenticated, "CREDENTIALS_MISSING");
    assert_eq!(call_as(&unnamed, "/trustflow.v1.InsightService/GetRules", "tok-viewer").await.code, Code::Ok);

    for (what, own) in [("another authority", Some(Authority::new().issue("recommender.internal"))), ("none", None)] {
        // In TLS 1.3 the client hears of it with its first call.
        if let Ok(channel) = connect_tls(port, &files.authority, own.as_ref()).await {
            let answer = tokio::time::timeout(PATIENCE, tonic_health_of(channel)).await.expect("an end");
            assert!(answer.is_err(), "a certificate of {what}");
        }
    }
    // An entry that goes takes the role with it, on open connections too.
    write(files.path(), "tokens.toml", &entry("console", "spiffe://test/console", "admin"));
    eventually("the end of the role", async || call(&recommender, SCORE, &[]).await.code == Code::Unauthenticated)
        .await;
    let metrics = get(server.http, "/metrics").await.1;
    let handshakes = series(&metrics, "trustflow_tls_handshakes_total");
    assert!(handshakes[r#"{outcome="ok"}"#] >= 3.0 && handshakes[r#"{outcome="failed"}"#] >= 2.0, "{handshakes:?}");
    server.stop().await;
}

/// Asks for health, which is open to all who have a connection.
async fn tonic_health_of(channel: tonic::transport::Channel) -> Result<(), tonic::Status> {
    let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
    client.check(tonic_health::pb::HealthCheckRequest::default()).await.map(|_| ())
}

/// Whether the other side ends a connection in time.
async fn is_closed(mut stream: TcpStream, within: Duration) -> bool {
    let mut bytes = [0; 64];
    loop {
        match tokio::time::timeout(within, stream.read(&mut bytes)).await {
            Err(_) => return false,
            Ok(Ok(0) | Err(_)) => return true,
            Ok(Ok(_)) => {}
        }
    }
}

async fn dial(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_handshakes_end_and_do_not_keep_others_out() {
    let files = Files::new();
    let server = files.serve(&["--handshake-ms", "3000", "--max-handshakes", "4"]);
    let mut slow = Vec::new();
    for n in 0..3 {
        let mut stream = dial(server.grpc).await;
        if n > 0 {
            // The beginning of a greeting.
            stream.write_all(&[0x16, 0x03, 0x01]).await.expect("sent");
        }
        slow.push(stream);
    }
    let channel = connect_tls(server.grpc.port(), &files.authority, None).await.expect("beside the slow ones");
    assert_eq!(call(&channel, STATUS, &[]).await.code, Code::Ok);
    for stream in slow {
        assert!(is_closed(stream, PATIENCE).await);
    }
    assert_eq!(call(&channel, STATUS, &[]).await.code, Code::Ok, "what is secured has no such limit");
    let metrics = get(server.http, "/metrics").await.1;
    assert!(series(&metrics, "trustflow_tls_handshakes_total")[r#"{outcome="timeout"}"#] >= 3.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_take_no_turn_of_those_who_speak() {
    let files = Files::new();
    let server = files.serve(&["--handshake-ms", "5000", "--max-handshakes", "2"]);
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(dial(server.grpc).await);
    }
    let channel = connect_tls(server.grpc.port(), &files.authority, None).await.expect("beside the silent ones");
    assert_eq!(call(&channel, STATUS, &[]).await.code, Code::Ok);
    let handshakes = async || series(&get(server.http, "/metrics").await.1, "trustflow_tls_handshakes_total");
    assert!(handshakes().await[r#"{outcome="timeout"}"#] < 0.5, "without waiting for the end of the silent ones");
    for stream in silent {
        assert!(is_closed(stream, PATIENCE).await, "silence has an end");
    }
    assert!(handshakes().await[r#"{outcome="timeout"}"#] > 3.5);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let flags = ["--now", NOW, "--clock-rate", "0", "--max-connections", "3"];
    let server = Process::serve(&folder.path().join("data"), &flags).expect("it serves");
    let client = server.client().await;
    client.status().await;
    let held = [dial(server.grpc).await, dial(server.grpc).await];
    // Taken in the order of their coming.
    assert!(is_closed(dial(server.grpc).await, PATIENCE).await, "one too many");
    client.status().await;
    let metrics = get(server.http, "/metrics").await.1;
    assert!(series(&metrics, "trustflow_connections_refused_total")[""] >= 1.0);
    drop(held);
    let has_room = async || !is_closed(dial(server.grpc).await, Duration::from_millis(200)).await;
    eventually("room", has_room).await;
    drop(client);
    server.stop().await;
}

#[test]
fn a_server_that_others_reach_needs_tls_and_authentication() {
    let files = Files::new();
    let tokens = write(files.path(), "tokens.toml", &token_entry("a", "tok-a", &["viewer"], ""));
    let tokens = tokens.to_str().expect("a path");
    let (cert, key) = (files.text("server.pem"), files.text("server.key"));
    let public = ["--listen", "0.0.0.0:0"];
    let tls = ["--tls-cert", cert.as_str(), "--tls-key", key.as_str()];
    let auth = ["--tokens", tokens];
    for (more, lacks) in [
        (public.to_vec(), "lacks TLS (tls_cert and tls_key) and authentication"),
        ([&public[..], &tls].concat(), "lacks authentication (tokens or jwks)"),
        ([&public[..], &auth].concat(), "lacks TLS (tls_cert and tls_key)"),
        (["--tls-cert", cert.as_str()].to_vec(), "go together"),
        (["--tls-client-ca", cert.as_str()].to_vec(), "tls_client_ca needs"),
        (["--jwks", tokens].to_vec(), "jwks needs jwt_issuer and jwt_audience"),
        (["--jwt-issuer", "x"].to_vec(), "need jwks"),
        (["--handshake-ms", "0"].to_vec(), "at least 1"),
        (["--tokens", "missing.toml"].to_vec(), "missing.toml"),
        (["--tokens", key.as_str()].to_vec(), "tokens ("),
        (["--tls-cert", cert.as_str(), "--tls-key", tokens].to_vec(), "no private key in PEM"),
    ] {
        let said = refused(&files, &more);
        assert!(said.contains(lacks), "{more:?}: {said}");
        assert!(!said.contains("PRIVATE KEY") && !said.contains("sha256 ="), "{said}");
    }
    let started = |more: &[&str]| {
        let flags = [&["--now", NOW, "--clock-rate", "0"][..], &public, more].concat();
        let server = Process::serve(&files.path().join("data"), &flags).expect("it serves");
        server.signal("TERM");
        server.end().1
    };
    assert!(!started(&[&tls[..], &auth].concat()).contains("INSECURE"));
    assert!(started(&["--insecure"]).contains("INSECURE"), "loudly");
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Runs a client command against a server.
async fn client(files: &Files, port: u16, args: &[&str]) -> (bool, String, String) {
    let url = format!("https://localhost:{port}");
    let ca = files.text("ca.pem");
    let args: Vec<String> = args.iter().chain(&["--server", &url, "--ca", &ca]).map(|arg| (*arg).to_owned()).collect();
    let run = move || run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let output = tokio::task::spawn_blocking(run).await.expect("no panic");
    let (stdout, stderr) = text(&output);
    (output.status.success(), stdout, stderr)
}

/// Makes a token by the command; answers it and its entry.
fn new_token(out: &Path, name: &str, more: &[&str]) -> (String, String) {
    let output = run(&[&["token", "new", name, "--out", out.to_str().expect("a path")][..], more].concat());
    let (entry, problem) = text(&output);
    assert!(output.status.success(), "{problem}");
    let token = std::fs::read_to_string(out).expect("written").trim().to_owned();
    assert!(!entry.contains(&token) && !problem.contains(&token), "the token goes to the file only");
    (token, entry)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_seen_anywhere() {
    let files = Files::new();
    let issuer = Issuer::new("k1");
    let path = |name: &str| -> PathBuf { files.path().join(name) };
    let (admin, entry) = new_token(&path("admin.token"), "admin", &["--role", "admin"]);
    let (scorer, other) = new_token(
        &path("scorer.token"),
        "s.1",
        &["--role", "scorer", "--role", "viewer", "--expires", "2099-01-01T00:00:00Z"],
    );
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path("admin.token")).expect("there").permissions());
    assert_eq!(mode & 0o777, 0o600);
    write(files.path(), "tokens.toml", &(entry.clone() + &other));
    write(files.path(), "jwks.json", &jwks(&[&issuer]));
    let (tokens, keys) = (files.text("tokens.toml"), files.text("jwks.json"));
    let flags =
        ["--tokens", &tokens, "--jwks", &keys, "--jwt-issuer", ISSUER, "--jwt-audience", AUDIENCE, "--log", "trace"];
    let server = files.serve(&flags);
    let port = server.grpc.port();

    let jwt = issuer.sign(&claims("ann", &["operator"]));
    let bad_jwt = Issuer::new("k1").sign(&claims("eve", &["operator"]));
    let channel = connect_tls(port, &files.authority, None).await.expect("a connection");
    let unknown = "tfk_0123456789abcdef-unknown";
    let mut said = String::new();
    for token in [admin.as_str(), &scorer, &jwt, &bad_jwt, unknown] {
        for method in [SCORE, STATUS, "/trustflow.v1.PolicyService/ListPolicyVersions"] {
            said += &call_as(&channel, method, token).await.message;
        }
    }
    let token_file = files.text("admin.token");
    for args in [
        &["admin", "tokens", "--token-file", &token_file][..],
        &["admin", "tokens", "--json", "--token-file", &token_file],
        &["status", "--token-file", &token_file],
    ] {
        let (is_ok, stdout, stderr) = client(&files, port, args).await;
        assert!(is_ok, "{args:?}: {stderr}");
        said += &(stdout + &stderr);
    }
    assert!(said.contains("token:s.1") && said.contains("2099-01-01"), "{said}");
    let (is_ok, stdout, stderr) = client(&files, port, &["status", "--token", unknown]).await;
    assert!(!is_ok && stderr.contains("CREDENTIALS_INVALID"), "{stderr}");
    said += &(stdout + &stderr);
    let (is_ok, _, stderr) = client(&files, port, &["status"]).await;
    assert!(!is_ok && stderr.contains("CREDENTIALS_MISSING"), "{stderr}");
    // A broken file, whose broken line is a secret.
    write(files.path(), "tokens.toml", &format!("{entry}{scorer}\n"));
    let problem = async || series(&get(server.http, "/metrics").await.1, "trustflow_credential_problem");
    eventually("the problem", async || problem().await[r#"{file="tokens"}"#] > 0.5).await;
    let metrics = get(server.http, "/metrics").await.1;
    drop(channel);
    server.signal("TERM");
    let (status, log) = tokio::task::spawn_blocking(|| server.end()).await.expect("no panic");
    assert!(status.success());
    assert!(log.contains("token:admin") && log.contains("jwt:ann"), "identities are logged");

    let hashes = entry.lines().chain(other.lines()).filter_map(|line| line.strip_prefix("sha256 = "));
    let mut secrets: Vec<String> = hashes.map(|hash| hash.trim_matches('"').to_owned()).collect();
    assert_eq!(secrets.len(), 2);
    secrets.extend([admin, scorer, jwt, bad_jwt, unknown.to_owned()]);
    let key = std::fs::read_to_string(path("server.key")).expect("there");
    secrets.push(key.lines().nth(1).expect("a line").to_owned());
    for (place, text) in [("answers", said), ("the log", log), ("/metrics", metrics)] {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} is seen in {place}");
        }
    }
}

#[test]
fn tokens_are_not_sent_in_the_clear_and_not_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(folder.path(), "a.token", "keep");
    let out = file.to_str().expect("a path");
    let (_, problem) = text(&run(&["token", "new", "a", "--role", "viewer", "--out", out]));
    assert!(problem.contains("a.token") && std::fs::read_to_string(out).expect("there") == "keep", "{problem}");
    let (entry, token) = text(&run(&["token", "new", "a", "--role", "viewer"]));
    assert!(entry.contains("sha256 = ") && token.contains("tfk_"));
    let (_, problem) = text(&run(&["token", "new", "a", "--role", "root"]));
    assert!(problem.contains("roles are scorer, ingester"), "{problem}");
    let (_, problem) = text(&run(&["status", "--server", "http://trustflow.invalid:1", "--token", "tfk_1"]));
    assert!(problem.contains("in the clear") && !problem.contains("tfk_1"), "{problem}");
    let (_, problem) = text(&run(&["status", "--server", "http://127.0.0.1:1", "--ca", out]));
    assert!(problem.contains("https://"), "{problem}");
}
