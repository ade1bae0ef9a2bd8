//! More than the server takes on: refused before work is done, with the time to come back; and clients that flood or
//! stall, which end without others noticing.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::access::{eventually, series, token_entry, write};
use common::calls::{facts, merchant};
use common::process::get;
use common::{Client, NOW, PATIENCE, Server, plus};
use h2::client::SendRequest;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::Bytes;
use tonic::codegen::http::Request;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use trustflow::proto::{
    BatchUpsertMerchantsRequest, GetRulesRequest, ImportRequest, ScoreRequest, ValidateScoresRequest,
};

const SCORE: &str = "/trustflow.v1.ScoringService/Score";
const UPSERT: &str = "/trustflow.v1.ProfileService/BatchUpsertMerchants";

/// A connection of HTTP/2 that sends what no client of gRPC would.
async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender.ready().await.expect("ready")
}

/// Sends the headers of a call and, if there is one, its message; answers with the status.
async fn call(sender: &mut SendRequest<Bytes>, path: &str, timeout: &str, message: Option<Vec<u8>>) -> Status {
    let request = Request::post(format!("http://localhost{path}"))
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .header("grpc-timeout", timeout);
    let (answer, mut body) = sender.send_request(request.body(()).expect("a request"), false).expect("sent");
    if let Some(message) = message {
        let length = u32::try_from(message.len()).expect("short").to_be_bytes();
        body.send_data([&[0][..], &length, &message].concat().into(), true).expect("sent");
    }
    let answer = tokio::time::timeout(PATIENCE, answer).await.expect("in time").expect("an answer");
    Status::from_header_map(answer.headers()).unwrap_or_else(|| Status::ok(""))
}

/// A refusal for too many calls, and the time after which to come back.
fn pause(status: &Status, reason: &str) -> Duration {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some(reason), "{status:?}");
    let pause = details.retry_info().and_then(|info| info.retry_delay).expect("says when to come back");
    assert!(!pause.is_zero() && pause <= Duration::from_secs(2), "{pause:?}");
    pause
}

async fn score(client: &Client) -> Result<(), Status> {
    let request = ScoreRequest { scene: 1, target_kind: 1, target_ids: vec![1], ..ScoreRequest::default() };
    client.scoring.clone().score(request).await.map(|_| ())
}

/// Fails unless the server scores for everybody else.
async fn serves(server: &Server) {
    let other = Client::connect(server.addresses.grpc).await;
    score(&other).await.expect("others are served");
}

#[tokio::test]
async fn calls_beyond_the_rate_are_refused_until_it_allows_more() {
    let server = Server::start_with(NOW, |settings| settings.max_calls_per_second = 5).await;
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(score(&server.client).await);
    }
    let refused: Vec<Status> = answers.into_iter().filter_map(Result::err).collect();
    assert!(!refused.is_empty(), "ten calls at once at five a second");
    let longest = refused.iter().map(|status| pause(status, "RATE_LIMITED")).max().unwrap_or_default();
    // Load balancers ask how a server is that has much to do.
    let health = tonic_health::pb::health_client::HealthClient::new(server.client.channel.clone());
    for _ in 0..10 {
        health.clone().check(tonic_health::pb::HealthCheckRequest::default()).await.expect("health is answered");
    }
    tokio::time::sleep(longest).await;
    eventually("an answer", async || score(&server.client).await.is_ok()).await;
    let metrics = get(server.addresses.http, "/metrics").await;
    let counted = series(&metrics.1, "trustflow_calls_refused_total");
    assert!(
        counted.get("{reason=\"RATE_LIMITED\",identity=\"none\"}").is_some_and(|count| *count >= 1.0),
        "{counted:?}"
    );
}

#[tokio::test]
async fn each_identity_has_a_rate_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let entries = token_entry("a", "tok-a", &["scorer"], "") + &token_entry("b", "tok-b", &["scorer"], "");
    let tokens = write(folder.path(), "tokens.toml", &entries);
    let server = Server::start_with(NOW, |settings| {
        settings.tokens = Some(tokens);
        settings.max_calls_per_identity = 1;
    })
    .await;
    let call = async |token: &str| common::access::call_as(&server.client.channel, SCORE, token).await.reason;
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(call("tok-a").await);
    }
    assert!(answers.iter().any(|reason| reason == "RATE_LIMITED"), "{answers:?}");
    assert_ne!(call("tok-b").await, "RATE_LIMITED", "one that calls much takes nothing from another");
}

#[tokio::test]
async fn imports_that_fill_their_bound_leave_scores_alone() {
    let server = Server::start_with(NOW, |settings| settings.max_calls_in_flight = 2).await;
    let mut imports = Vec::new();
    for _ in 0..2 {
        let (sender, receiver) = tokio::sync::mpsc::channel::<ImportRequest>(1);
        let mut profiles = server.client.profiles.clone();
        let ended = tokio::spawn(async move { profiles.import(ReceiverStream::new(receiver)).await });
        imports.push((sender, ended));
    }
    let rules = async || server.client.insight.clone().get_rules(GetRulesRequest {}).await;
    eventually("a refusal", async || rules().await.is_err_and(|status| !pause(&status, "TOO_MANY_CALLS").is_zero()))
        .await;
    score(&server.client).await.expect("scores go on");
    for (sender, ended) in imports {
        drop(sender);
        // An import of nothing is wrong, but it ends.
        let _ = ended.await.expect("ended");
    }
    eventually("an answer", async || rules().await.is_ok()).await;
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_does_nothing() {
    let server = Server::start().await;
    let before = server.client.status().await.revision;
    let mut sender = connect(server.addresses.grpc).await;
    let merchants = vec![merchant(1)];
    let upsert = BatchUpsertMerchantsRequest { merchants, ..BatchUpsertMerchantsRequest::default() };
    for (path, message) in [(UPSERT, upsert.encode_to_vec()), (SCORE, ScoreRequest::default().encode_to_vec())] {
        let status = call(&mut sender, path, "0m", Some(message)).await;
        assert_eq!(status.code(), Code::DeadlineExceeded, "{path}: {status:?}");
    }
    assert_eq!(server.client.status().await.revision, before, "nothing was written");
    let status = call(&mut sender, SCORE, "10S", Some(ScoreRequest::default().encode_to_vec())).await;
    assert_eq!(status.code(), Code::InvalidArgument, "a call in time is looked at: {status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_work_ends_when_nobody_waits_for_it() {
    const CLOSED: &str = "2023-02-28";
    let server = Server::start().await;
    let client = &server.client;
    client.upsert((1..=200).map(merchant).collect()).await;
    for back in 0..60 {
        let shipped = |id: u64| [("shipments_due", 10), ("shipped_on_time", id % 10), ("paid_orders", 10)];
        let rows = (1..=200).map(|id| facts(id, &plus(CLOSED, -back), &shipped(id)));
        client.record(rows.collect()).await;
    }
    let long = ValidateScoresRequest {
        from_date: plus(CLOSED, -50),
        to_date: plus(CLOSED, -10),
        every_days: 1,
        horizon_days: 7,
        resamples: 2_000,
        ..ValidateScoresRequest::default()
    };
    let short = ValidateScoresRequest { to_date: long.from_date.clone(), resamples: 1, ..long.clone() };
    let mut insight = client.insight.clone();
    let mut limited = tonic::Request::new(long);
    limited.set_timeout(Duration::from_secs(2));
    let ended = insight.validate_scores(limited).await.expect_err("it takes minutes");
    assert!(matches!(ended.code(), Code::DeadlineExceeded | Code::Cancelled), "{ended}");
    // One at a time: it waits until the other has ended.
    let found = tokio::time::timeout(PATIENCE / 2, insight.validate_scores(short)).await.expect("in time");
    let outcomes = found.expect("validated").into_inner().outcomes;
    assert!(outcomes.iter().any(|outcome| outcome.dates.len() == 1), "{outcomes:?}");
    server.stop().await;
}

#[tokio::test]
async fn scores_that_never_come_whole_are_few_and_end() {
    let server = Server::start_with(NOW, |settings| settings.max_scores_waiting = 2).await;
    let sender = connect(server.addresses.grpc).await;
    let unfinished = (0..10).map(|_| {
        let mut sender = sender.clone();
        tokio::spawn(async move { call(&mut sender, SCORE, "2S", None).await })
    });
    let unfinished: Vec<_> = unfinished.collect();
    serves(&server).await;
    let mut ended = 0;
    for answer in unfinished {
        let status = answer.await.expect("ended");
        if status.code() == Code::DeadlineExceeded {
            ended += 1;
        } else {
            pause(&status, "TOO_MANY_CALLS");
        }
    }
    assert_eq!(ended, 2, "as many as there are places");
}

/// Reads until the other side has ended the connection.
async fn ends(mut stream: TcpStream) {
    let read = async { while stream.read(&mut [0; 1_024]).await.is_ok_and(|bytes| bytes > 0) {} };
    tokio::time::timeout(PATIENCE, read).await.expect("the connection ends");
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A connection that has sent its preface and empty settings.
async fn begin(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.addresses.grpc).await.expect("a connection");
    stream.write_all(&[PREFACE, &frame(4, 0, 0, &[])].concat()).await.expect("sent");
    stream
}

/// Sends something over and over until the connection ends.
async fn flood(mut stream: impl AsyncWriteExt + Unpin, mut more: impl FnMut() -> Vec<u8>) {
    let sent = async { while stream.write_all(&more()).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, sent).await.expect("the connection ends");
}

#[tokio::test]
async fn who_never_begins_http2_is_let_go() {
    let server = Server::start_with(NOW, |settings| settings.handshake_ms = 200).await;
    let silent = TcpStream::connect(server.addresses.grpc).await.expect("a connection");
    let mut slow = TcpStream::connect(server.addresses.grpc).await.expect("a connection");
    slow.write_all(&PREFACE[..10]).await.expect("sent");
    serves(&server).await;
    ends(silent).await;
    ends(slow).await;
    serves(&server).await;
}

#[tokio::test]
async fn endless_headers_end_their_connection() {
    let server = Server::start().await;
    let mut stream = begin(&server).await;
    stream.write_all(&frame(1, 0, 1, &[0x83, 0x86, 0x84])).await.expect("sent");
    // A header without indexing, name `x` and 100 bytes of value, again and again: none of the frames is the last.
    let header = [&[0, 1, b'x', 100][..], &[b'a'; 100]].concat();
    let (reader, writer) = stream.into_split();
    flood(writer, || frame(9, 0, 1, &header.repeat(100))).await;
    drop(reader);
    serves(&server).await;
}

#[tokio::test]
async fn calls_that_are_begun_and_taken_back_end_their_connection() {
    let server = Server::start().await;
    let (mut reader, writer) = begin(&server).await.into_split();
    let reading = tokio::spawn(async move { while reader.read(&mut [0; 1_024]).await.is_ok_and(|bytes| bytes > 0) {} });
    let mut id = 1;
    flood(writer, || {
        let mut frames = Vec::new();
        for _ in 0..500 {
            frames.extend(frame(1, 0x5, id, &[0x83, 0x86, 0x84]));
            frames.extend(frame(3, 0, id, &8_u32.to_be_bytes()));
            id += 2;
        }
        frames
    })
    .await;
    reading.await.expect("ended");
    serves(&server).await;
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn who_never_reads_is_let_go() {
    let server = Server::start_with(NOW, |settings| settings.stall_ms = 1_000).await;
    let stream = begin(&server).await;
    let flooding = tokio::spawn(async move {
        // Each ping is to be answered, and no answer is read.
        let (_reader, writer) = stream.into_split();
        flood(writer, || frame(6, 0, 0, &[0; 8]).repeat(1_000)).await;
    });
    serves(&server).await;
    flooding.await.expect("ended");
    serves(&server).await;
}

/// The headers of a Score, without those that a server need not have.
fn score_headers() -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    // `:method` POST and `:scheme` http by number, then `:path` and `content-type` with their values.
    [&[0x83, 0x86, 0x04][..], &text(SCORE), &[0x0f, 0x10], &text("application/grpc")].concat()
}

/// Bodies under way when a call is refused must not count against the connection, which others call over.
#[tokio::test]
async fn refusals_that_meet_bodies_under_way_leave_their_connection_alone() {
    let server = Server::start_with(NOW, |settings| settings.max_calls_per_second = 1).await;
    let (mut reader, mut writer) = begin(&server).await.into_split();
    let reading = tokio::spawn(async move { while reader.read(&mut [0; 1_024]).await.is_ok_and(|bytes| bytes > 0) {} });
    let message = ScoreRequest { scene: 1, target_kind: 1, target_ids: vec![1], ..ScoreRequest::default() };
    let message = message.encode_to_vec();
    let body = [&[0][..], &u32::try_from(message.len()).expect("short").to_be_bytes(), &message].concat();
    let headers = score_headers();
    for first in (1..2_001_u32).step_by(80) {
        let ids = (first..first + 80).step_by(2);
        let all = |kind, flags, payload: &[u8]| {
            ids.clone().flat_map(|id| frame(kind, flags, id, payload)).collect::<Vec<u8>>()
        };
        writer.write_all(&all(1, 0x4, &headers)).await.expect("sent");
        tokio::time::sleep(Duration::from_millis(10)).await;
        writer.write_all(&all(0, 0x1, &body)).await.expect("sent");
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!reading.is_finished(), "the connection was ended");
}
