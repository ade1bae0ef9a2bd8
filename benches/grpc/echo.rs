//! The yardstick: a tonic server that decodes a `ScoreRequest` with prost and encodes a prebuilt `ScoreResponse`.
//!
//! It has the windows, the streams and the workers of the server under test, and is this executable, run again with
//! `--echo FILE...`; each file holds one encoded answer, chosen by the number of targets asked for. The answer is
//! encoded anew for every call, but never cloned.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Ready, ready};
use std::net::{Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::{ProstCodec, ProstDecoder};
use trustflow::config::Settings;
use trustflow::proto::{ScoreRequest, ScoreResponse};
use trustflow::transport::{CONNECTION_WINDOW, STREAM_WINDOW};

use crate::sink::Sink;

/// The first argument that turns the executable into the echo server.
pub(crate) const FLAG: &str = "--echo";

/// What may differ from the server under test, as `KEY=VALUE` before the files. Nothing does by default.
struct Changes {
    server: Server,
    nodelay: bool,
    /// Worker threads; none serves on the thread that accepts connections as well.
    workers: Option<usize>,
}

impl Changes {
    fn none() -> Self {
        let server = Server::builder()
            .max_concurrent_streams(Settings::default().max_concurrent_streams)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        Self { server, nodelay: true, workers: Some(1) }
    }

    fn change(mut self, key: &str, value: &str) -> Result<Self, Box<dyn Error>> {
        match key {
            "nodelay" => self.nodelay = value.parse()?,
            "workers" => self.workers = Some(value.parse()?),
            "runtime" if value == "current-thread" => self.workers = None,
            "windows" => {
                let bytes: u32 = value.parse()?;
                self.server = self.server.initial_stream_window_size(bytes).initial_connection_window_size(bytes);
            }
            "adaptive-windows" => self.server = self.server.http2_adaptive_window(Some(value.parse()?)),
            "frame" => self.server = self.server.max_frame_size(Some(value.parse()?)),
            "streams" => self.server = self.server.max_concurrent_streams(Some(value.parse()?)),
            "keepalive-s" => {
                let interval = Duration::from_secs(value.parse()?);
                self.server = self.server.http2_keepalive_interval(Some(interval));
            }
            "age-ms" => self.server = self.server.max_connection_age(Duration::from_millis(value.parse()?)),
            _ => return Err(format!("the echo server has no setting {key}={value}").into()),
        }
        Ok(self)
    }

    fn runtime(&self) -> std::io::Result<Runtime> {
        match self.workers {
            Some(workers) => Builder::new_multi_thread().worker_threads(workers).enable_all().build(),
            None => Builder::new_current_thread().enable_all().build(),
        }
    }
}

/// Runs until it is killed.
pub(crate) fn run(words: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let (mut answers, mut changes) = (Vec::new(), Changes::none());
    for word in words {
        match word.split_once('=') {
            Some((key, value)) => changes = changes.change(key, value)?,
            None => answers.push(ScoreResponse::decode(std::fs::read(word)?.as_slice())?),
        }
    }
    // One allocation that lives as long as the process: a call borrows its answer.
    let echo = Echo { answers: Box::leak(answers.into_boxed_slice()) };
    changes.runtime()?.block_on(serve(echo, changes))
}

async fn serve(echo: Echo, changes: Changes) -> Result<(), Box<dyn Error>> {
    let incoming = TcpIncoming::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?.with_nodelay(Some(changes.nodelay));
    println!("listening grpc={} http=none", incoming.local_addr()?);
    let mut server = changes.server;
    server.add_service(echo).add_service(Sink).serve_with_incoming(incoming).await?;
    Ok(())
}

#[derive(Clone)]
struct Echo {
    answers: &'static [ScoreResponse],
}

impl NamedService for Echo {
    const NAME: &'static str = "trustflow.v1.ScoringService";
}

/// As tonic generates it, with the borrowing codec.
impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = Score(self.answers);
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/trustflow.v1.ScoringService/Score" => Grpc::new(BorrowingCodec).unary(method, request).await,
                _ => Status::unimplemented("the echo server only scores").into_http(),
            })
        })
    }
}

struct Score(&'static [ScoreResponse]);

impl UnaryService<ScoreRequest> for Score {
    type Response = &'static ScoreResponse;
    type Future = Ready<Result<Response<Self::Response>, Status>>;

    fn call(&mut self, request: Request<ScoreRequest>) -> Self::Future {
        let targets = request.get_ref().target_ids.len();
        ready(match self.0.iter().find(|answer| answer.trust_scores.len() == targets) {
            Some(answer) => Ok(Response::new(answer)),
            None => Err(Status::failed_precondition("no prebuilt answer of that size")),
        })
    }
}

struct BorrowingCodec;

impl Codec for BorrowingCodec {
    type Encode = &'static ScoreResponse;
    type Decode = ScoreRequest;
    type Encoder = BorrowingEncoder;
    type Decoder = ProstDecoder<ScoreRequest>;

    fn encoder(&mut self) -> BorrowingEncoder {
        BorrowingEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<ScoreResponse, ScoreRequest>::raw_decoder(BufferSettings::default())
    }
}

struct BorrowingEncoder;

impl Encoder for BorrowingEncoder {
    type Item = &'static ScoreResponse;
    type Error = Status;

    fn encode(&mut self, answer: Self::Item, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        answer.encode(into).map_err(|error| Status::internal(error.to_string()))
    }
}

/// An answer of typical values, for runs without a real server.
pub(crate) fn typical_answer(targets: usize) -> ScoreResponse {
    ScoreResponse {
        policy_version: 1,
        revision: 1_000_000,
        cache_ttl_ms: 1_000,
        trust_scores: vec![71.5; targets],
        boost_weights: vec![1.25; targets],
        programmes: vec![0b1010; targets],
        labels: vec![2; targets],
        ..ScoreResponse::default()
    }
}
