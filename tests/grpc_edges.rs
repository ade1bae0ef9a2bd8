//! Calls that no honest client of gRPC sends: each has its answer, and the server answers a good call after it.
//!
//! Both ways through the server are tried: that of `ScoringService`, and the routed one. Clients that flood or stall are
//! in `overload.rs`, requests that are well formed and wrong in `bad_input.rs`.

mod common;

use std::future::poll_fn;
use std::net::SocketAddr;

use common::calls::score_request;
use common::{Client, PATIENCE, Server};
use h2::client::SendRequest;
use prost::Message;
use tokio::net::TcpStream;
use tonic::codegen::Bytes;
use tonic::codegen::http::{HeaderName, HeaderValue, Method, Request, Response};
use tonic::{Code, Status};
use trustflow::proto::{GetMerchantRequest, ImportRequest, Scene, TargetKind};

const SCORE: &str = "/trustflow.v1.ScoringService/Score";
const GET_MERCHANT: &str = "/trustflow.v1.ProfileService/GetMerchant";
const IMPORT: &str = "/trustflow.v1.ProfileService/Import";

/// What comes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// A status of gRPC.
    Grpc(Code),
    /// Another status than 200 of HTTP.
    Http(u16),
    /// The server takes the call or the connection back.
    Reset,
}

use Answer::{Grpc, Http, Reset};

/// A call as it is sent.
#[derive(Clone)]
struct Call {
    method: Method,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The body in the pieces in which it is sent.
    pieces: Vec<Vec<u8>>,
}

/// A message behind its flag and its length.
fn framed(flag: u8, length: usize, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(length).expect("four bytes").to_be_bytes();
    [&[flag][..], &length, message].concat()
}

fn whole(message: &[u8]) -> Vec<u8> {
    framed(0, message.len(), message)
}

impl Call {
    /// A good call of a method.
    fn to(path: &str) -> Self {
        let message = match path {
            SCORE => score_request(Scene::Live, TargetKind::Merchant, &[1]).encode_to_vec(),
            IMPORT => ImportRequest { import_id: "x".to_owned(), ..ImportRequest::default() }.encode_to_vec(),
            _ => GetMerchantRequest { merchant_id: 404, min_revision: 0 }.encode_to_vec(),
        };
        let call =
            Self { method: Method::POST, path: path.to_owned(), headers: Vec::new(), pieces: vec![whole(&message)] };
        call.header("te", b"trailers").header("content-type", b"application/grpc")
    }

    /// The same with a header set.
    fn header(mut self, name: &str, value: &[u8]) -> Self {
        let name: HeaderName = name.parse().expect("a name");
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, HeaderValue::from_bytes(value).expect("a value")));
        self
    }

    /// The same without a header.
    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other.as_str() != name);
        self
    }

    /// The same with another body.
    fn body(self, pieces: &[Vec<u8>]) -> Self {
        Self { pieces: pieces.to_vec(), ..self }
    }

    fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    fn path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// Sends it; answers what comes of it.
    async fn send(self, sender: &mut SendRequest<Bytes>) -> Answer {
        let mut request = Request::new(());
        *request.method_mut() = self.method;
        *request.uri_mut() = format!("http://localhost{}", self.path).parse().expect("a path");
        request.headers_mut().extend(self.headers);
        let (answer, mut body) = sender.send_request(request, self.pieces.is_empty()).expect("sent");
        let last = self.pieces.len().saturating_sub(1);
        for (number, piece) in self.pieces.into_iter().enumerate() {
            // The server may have answered and taken the rest of the call back.
            if body.send_data(piece.into(), number == last).is_err() {
                break;
            }
        }
        match tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time") {
            Ok(response) => outcome(response).await,
            Err(_) => Reset,
        }
    }
}

async fn outcome(response: Response<h2::RecvStream>) -> Answer {
    let (head, mut body) = response.into_parts();
    if head.status != 200 {
        return Http(head.status.as_u16());
    }
    if let Some(status) = Status::from_header_map(&head.headers) {
        return Grpc(status.code());
    }
    while let Some(data) = body.data().await {
        if data.is_err() {
            return Reset;
        }
    }
    match body.trailers().await {
        Ok(Some(trailers)) => Grpc(Status::from_header_map(&trailers).expect("a status at the end").code()),
        _ => Reset,
    }
}

async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender.ready().await.expect("ready")
}

/// What a good call to a method comes to. Nobody is registered.
fn good(path: &str) -> Answer {
    match path {
        SCORE => Grpc(Code::Ok),
        IMPORT => Grpc(Code::InvalidArgument),
        _ => Grpc(Code::NotFound),
    }
}

/// Cases of one table on a connection each, and a good call on the same connection and on another one after each.
async fn check(address: SocketAddr, path: &str, cases: Vec<(&str, Call, Answer)>) {
    for (case, call, expected) in cases {
        let mut sender = connect(address).await;
        assert_eq!(call.send(&mut sender).await, expected, "{path}: {case}");
        if expected != Reset {
            let mut sender = sender.ready().await.expect("the connection goes on");
            assert_eq!(Call::to(path).send(&mut sender).await, good(path), "{path}: behind {case}");
        }
        let mut other = connect(address).await;
        assert_eq!(Call::to(SCORE).send(&mut other).await, good(SCORE), "{path}: beside {case}");
    }
}

#[tokio::test]
async fn what_is_no_call_of_grpc_is_told_so() {
    let server = Server::start().await;
    for path in [SCORE, GET_MERCHANT] {
        let call = || Call::to(path);
        let kind = |kind: &str| call().header("content-type", kind.as_bytes());
        let cases = vec![
            ("the content type of HTML", kind("text/html"), Http(415)),
            ("the content type of JSON", kind("application/json"), Http(415)),
            ("the content type of gRPC-Web", kind("application/grpc-web+proto"), Http(415)),
            ("messages of JSON", kind("application/grpc+json"), Http(415)),
            ("no content type", call().without("content-type"), Http(415)),
            ("protobuf, said in full", kind("application/grpc+proto"), good(path)),
            ("parameters of the content type", kind("application/grpc;charset=utf-8"), good(path)),
            ("GET", call().method(Method::GET).body(&[]), Http(405)),
            ("GET with a body", call().method(Method::GET), Http(405)),
            ("PUT", call().method(Method::PUT), Http(405)),
            ("OPTIONS", call().method(Method::OPTIONS).body(&[]), Http(405)),
            ("no `te`, which proxies take away", call().without("te"), good(path)),
        ];
        check(server.addresses.grpc, path, cases).await;
    }
}

#[tokio::test]
async fn paths_that_are_no_method_are_unimplemented() {
    let server = Server::start().await;
    for path in [
        "/",
        "//",
        "/trustflow.v1.ScoringService",
        "/trustflow.v1.ScoringService/",
        "/trustflow.v1.ScoringService/Score/",
        "/trustflow.v1.ScoringService/score",
        "/trustflow.v1.ScoringService/Scor%65",
        "/trustflow.v1.ScoringService/%ff%",
        "/trustflow.v1.NoService/Score",
        "/trustflow.v1.ProfileService/NoMethod",
        "/trustflow.v1.ProfileService/..%2fAdminService/GetStatus",
        "/trustflow.v2.ScoringService/Score",
    ] {
        let call = Call::to(SCORE).path(path);
        check(server.addresses.grpc, SCORE, vec![(path, call, Grpc(Code::Unimplemented))]).await;
    }
    // What follows a question mark is no part of a path.
    let call = Call::to(SCORE).path(&format!("{SCORE}?x=%zz"));
    check(server.addresses.grpc, SCORE, vec![("a query", call, good(SCORE))]).await;
}

#[tokio::test]
async fn frames_that_are_wrong_are_refused() {
    let server = Server::start().await;
    for path in [SCORE, GET_MERCHANT, IMPORT] {
        let call = || Call::to(path);
        let message = call().pieces.concat().split_off(5);
        let encoding = |name: &str| call().header("grpc-encoding", name.as_bytes());
        let bytes = |pieces: &[Vec<u8>]| call().body(pieces);
        let compressed = [framed(1, message.len(), &message)];
        let bytewise: Vec<Vec<u8>> = whole(&message).into_iter().map(|byte| vec![byte]).collect();
        let cases = vec![
            ("an unknown compression", encoding("br"), Grpc(Code::Unimplemented)),
            ("a compression that is not offered", encoding("gzip").body(&compressed), Grpc(Code::Unimplemented)),
            ("no compression, said in words", encoding("identity"), good(path)),
            ("compressed, by nothing", bytes(&compressed), Grpc(Code::Internal)),
            ("a flag that does not exist", bytes(&[framed(2, message.len(), &message)]), Grpc(Code::Internal)),
            ("longer than the body", bytes(&[framed(0, message.len() + 1, &message)]), Grpc(Code::Internal)),
            ("four of five bytes of a header", bytes(&[vec![0; 4]]), Grpc(Code::Internal)),
            ("a header without its message", bytes(&[framed(0, 9, &[])]), nothing(path)),
            ("4 GiB", bytes(&[framed(0, 0xffff_ffff, &message)]), Grpc(Code::OutOfRange)),
            ("a byte more than 4 MiB", bytes(&[framed(0, (4 << 20) + 1, &message)]), Grpc(Code::OutOfRange)),
            ("no body", bytes(&[]), nothing(path)),
            ("an empty body", bytes(&[vec![]]), nothing(path)),
            ("no message, but its header", bytes(&[whole(&[])]), empty(path)),
            // The first message of a unary call is the call.
            ("two messages", bytes(&[whole(&message), whole(&message)]), good(path)),
            ("byte by byte", bytes(&bytewise), good(path)),
            ("bytes that are no message", bytes(&[whole(&[0xff; 40])]), Grpc(Code::Internal)),
            ("a string that is no UTF-8", bytes(&[whole(&not_utf8(path))]), Grpc(Code::Internal)),
            ("groups within groups", bytes(&[whole(&[0xfb, 0x01].repeat(10_000))]), Grpc(Code::Internal)),
        ];
        check(server.addresses.grpc, path, cases).await;
    }
}

/// No message at all: a unary call lacks what it is about, an import brings nothing.
fn nothing(path: &str) -> Answer {
    Grpc(if path == IMPORT { Code::Ok } else { Code::Internal })
}

/// A message without a field set.
fn empty(path: &str) -> Answer {
    if path == IMPORT { good(path) } else { Grpc(Code::InvalidArgument) }
}

/// A message whose first string holds half a character; or, where it has none, a number that does not end.
fn not_utf8(path: &str) -> Vec<u8> {
    if path == GET_MERCHANT { vec![0x08, 0xff] } else { vec![0x0a, 2, 0xe4, 0xbf] }
}

#[tokio::test]
async fn odd_headers_do_no_harm() {
    let server = Server::start().await;
    for path in [SCORE, GET_MERCHANT] {
        let call = || Call::to(path);
        let timeout = |text: &[u8]| call().header("grpc-timeout", text);
        let mut many = call();
        for number in 0..2_000 {
            many = many.header(&format!("x-{number}"), b"v");
        }
        let cases = vec![
            ("metadata of 20 KiB", call().header("x-long", &[b'a'; 20 << 10]), Http(431)),
            // More than a frame: the connection ends before the rest is read.
            ("2,000 headers", many, Reset),
            ("headers of 12 KiB", call().header("x-long", &[b'a'; 12 << 10]), good(path)),
            // Times that are none count as not given.
            ("a timeout without a unit", timeout(b"10"), good(path)),
            ("a timeout of an unknown unit", timeout(b"10x"), good(path)),
            ("a timeout of too many digits", timeout(b"123456789S"), good(path)),
            ("a negative timeout", timeout(b"-1S"), good(path)),
            // No time at all, if a sign counted.
            ("a timeout with a sign", timeout(b"+0S"), good(path)),
            ("a timeout with a blank", timeout(b"0 S"), good(path)),
            ("a timeout that is no text", timeout(b"\xe5\xbf\xab"), good(path)),
            ("an empty timeout", timeout(b""), good(path)),
            ("the longest timeout", timeout(b"99999999H"), good(path)),
            ("binary metadata that is no base64", call().header("x-mark-bin", b"%%%"), good(path)),
            ("a credential that is no text", call().header("authorization", b"Bearer \xff"), good(path)),
            ("a status of the caller's", call().header("grpc-status", b"13"), good(path)),
            ("an encoding nobody knows, for the answer", call().header("grpc-accept-encoding", b"\xff,,"), good(path)),
            ("a length that is not the body's", call().header("content-length", b"3"), Reset),
        ];
        check(server.addresses.grpc, path, cases).await;
    }
    let mut sender = connect(server.addresses.grpc).await;
    let huge = Call::to(SCORE).header("x-long", &vec![b'a'; 4 << 20]).send(&mut sender).await;
    assert!(matches!(huge, Http(431) | Reset), "a header of 4 MiB: {huge:?}");
    let mut other = connect(server.addresses.grpc).await;
    assert_eq!(Call::to(SCORE).send(&mut other).await, good(SCORE));
}

/// Begins a call and sends a part of its message.
async fn begin(sender: &mut SendRequest<Bytes>, path: &str) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    let request = Request::post(format!("http://localhost{path}")).header("content-type", "application/grpc");
    let (answer, mut body) = sender.send_request(request.body(()).expect("a request"), false).expect("sent");
    body.send_data(framed(0, 1_000, &[8; 10]).into(), false).expect("sent");
    // The connection has sent it once it can take more.
    body.reserve_capacity(1);
    poll_fn(|context| body.poll_capacity(context)).await.expect("open").expect("room");
    (answer, body)
}

#[tokio::test]
async fn calls_that_end_in_the_middle_leave_nothing() {
    let server = Server::start().await;
    let hash = server.client.hash().await;
    for path in [SCORE, GET_MERCHANT, IMPORT] {
        let mut sender = connect(server.addresses.grpc).await;
        for reason in [h2::Reason::CANCEL, h2::Reason::NO_ERROR, h2::Reason::PROTOCOL_ERROR] {
            let (answer, mut body) = begin(&mut sender, path).await;
            body.send_reset(reason);
            assert!(answer.await.is_err(), "{path}: a call that was taken back");
        }
        // Half closed by the client, while the message is not whole.
        let (answer, mut body) = begin(&mut sender, path).await;
        body.send_data(Bytes::new(), true).expect("sent");
        let answer = tokio::time::timeout(PATIENCE, answer).await.expect("in time").expect("an answer");
        assert_eq!(outcome(answer).await, Grpc(Code::Internal), "{path}: half closed");
        // Trailers instead of the rest.
        let (answer, mut body) = begin(&mut sender, path).await;
        body.send_trailers([("x".parse().expect("a name"), HeaderValue::from_static("y"))].into_iter().collect())
            .expect("sent");
        let answer = tokio::time::timeout(PATIENCE, answer).await.expect("in time").expect("an answer");
        assert_eq!(outcome(answer).await, nothing(path), "{path}: trailers in a message");
        assert_eq!(Call::to(path).send(&mut sender).await, good(path), "{path}: the connection goes on");
        // The whole connection goes, with a call on it.
        let _call = begin(&mut sender, path).await;
        drop(sender);
        let mut other = connect(server.addresses.grpc).await;
        assert_eq!(Call::to(path).send(&mut other).await, good(path), "{path}: others are served");
    }
    assert_eq!(server.client.hash().await, hash, "something was kept of half a call");
    Client::connect(server.addresses.grpc).await.status().await;
}
