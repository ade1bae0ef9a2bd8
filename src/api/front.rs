//! What every call meets first: `ScoringService` answers at once, everything else is routed, within the time that the
//! caller gives it.

use std::convert::Infallible;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;
use tonic::service::Routes;

use tower::Service;

use super::{ScoringApi, patience};
use crate::proto::scoring_service_server::ScoringServiceServer;

type Scoring = ScoringServiceServer<ScoringApi>;

/// All services. The router looks at every path and wraps every body: the hot path goes past it.
#[derive(Clone)]
pub struct Front {
    scoring: Scoring,
    routes: Routes,
}

impl Front {
    /// The hot path, and the routes to all else.
    #[must_use]
    pub fn new(scoring: Scoring, routes: Routes) -> Self {
        Self { scoring, routes: routes.prepare() }
    }
}

/// Whether a path is one of the hot service: `/trustflow.v1.ScoringService/Score`.
fn is_scoring(path: &str) -> bool {
    let method = path.strip_prefix('/').and_then(|path| path.strip_prefix(Scoring::NAME));
    method.is_some_and(|method| method.starts_with('/'))
}

impl Service<Request<Incoming>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        if is_scoring(request.uri().path()) {
            return self.scoring.call(request);
        }
        let patience = patience(request.headers());
        let call = self.routes.call(request);
        Box::pin(async move {
            let Some(patience) = patience else { return call.await };
            let Ok(answered) = tokio::time::timeout(patience, call).await else {
                return Ok(Status::deadline_exceeded("the caller's deadline has passed").into_http());
            };
            answered
        })
    }
}
