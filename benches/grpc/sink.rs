//! A `ProfileService` that takes imports and forgets them: shows how fast the benchmark's own client can send.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{ClientStreamingService, Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use trustflow::proto::{CloseDayRequest, CloseDayResponse, ImportRequest, ImportResponse};

#[derive(Clone)]
pub(crate) struct Sink;

impl NamedService for Sink {
    const NAME: &'static str = "trustflow.v1.ProfileService";
}

impl Service<http::Request<Body>> for Sink {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/trustflow.v1.ProfileService/Import" => {
                    Grpc::new(ProstCodec::default()).client_streaming(Import, request).await
                }
                "/trustflow.v1.ProfileService/CloseDay" => {
                    Grpc::new(ProstCodec::default()).unary(CloseDay, request).await
                }
                _ => Status::unimplemented("the echo server only takes imports").into_http(),
            })
        })
    }
}

struct Import;

impl ClientStreamingService<ImportRequest> for Import {
    type Response = ImportResponse;
    type Future = BoxFuture<Response<ImportResponse>, Status>;

    fn call(&mut self, request: Request<Streaming<ImportRequest>>) -> Self::Future {
        Box::pin(async move {
            let mut chunks = request.into_inner();
            let mut answer = ImportResponse::default();
            while let Some(chunk) = chunks.message().await? {
                let rows = chunk.facts.map_or(0, |facts| facts.ids.len());
                let items = chunk.merchants.len() + chunk.live_rooms.len() + rows;
                answer.accepted_items += u64::try_from(items).unwrap_or_default();
                answer.committed_sequence = chunk.sequence;
            }
            Ok(Response::new(answer))
        })
    }
}

struct CloseDay;

impl UnaryService<CloseDayRequest> for CloseDay {
    type Response = CloseDayResponse;
    type Future = Ready<Result<Response<CloseDayResponse>, Status>>;

    fn call(&mut self, _: Request<CloseDayRequest>) -> Self::Future {
        ready(Ok(Response::new(CloseDayResponse::default())))
    }
}
