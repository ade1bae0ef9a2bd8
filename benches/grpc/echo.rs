//! The yardstick: a tonic server that decodes a `ScoreRequest` with prost and encodes a prebuilt `ScoreResponse`.
//!
//! It is this executable, run again with `--echo FILE...`; each file holds one encoded answer, chosen by the number
//! of targets asked for. The answer is encoded anew for every call, but never cloned.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Ready, ready};
use std::net::{Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};

use prost::Message;
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::{ProstCodec, ProstDecoder};
use trustflow::proto::{ScoreRequest, ScoreResponse};

use crate::sink::Sink;

/// The first argument that turns the executable into the echo server.
pub(crate) const FLAG: &str = "--echo";

/// The transport settings of the server under test.
fn transport(builder: Server) -> Server {
    builder.tcp_nodelay(true).max_concurrent_streams(1024)
}

/// Runs until it is killed.
pub(crate) fn run(files: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let mut answers = Vec::new();
    for file in files {
        answers.push(ScoreResponse::decode(std::fs::read(file)?.as_slice())?);
    }
    // One allocation that lives as long as the process: a call borrows its answer.
    let echo = Echo { answers: Box::leak(answers.into_boxed_slice()) };
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(serve(echo))
}

async fn serve(echo: Echo) -> Result<(), Box<dyn Error>> {
    let incoming = TcpIncoming::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?.with_nodelay(Some(true));
    println!("listening grpc={} http=none", incoming.local_addr()?);
    transport(Server::builder()).add_service(echo).add_service(Sink).serve_with_incoming(incoming).await?;
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
