//! What every call meets first: whether it is gRPC at all, the gate, if there is one, and the limits of what the server
//! takes on. Then `ScoringService` answers at once, and everything else is routed, within the time that the caller gives
//! it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use tonic::body::Body;
use tonic::codegen::http::header::{ACCEPT, ALLOW, AUTHORIZATION, CONTENT_TYPE};
use tonic::codegen::http::{HeaderValue, Method, Request, Response, StatusCode};
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, Status};
use tower::Service;
use tracing::{debug, info};

use super::limits::{Answer, Bounds, CallLimits, Score, deadline_passed};
use super::{ScoringApi, patience};
use crate::auth::{Access, Caller, Role, Session, access};
use crate::proto::scoring_service_server::ScoringServiceServer;
use crate::wire;

type Scoring = ScoringServiceServer<ScoringApi>;

/// All services. The router looks at every path and wraps every body: the hot path goes past it.
#[derive(Clone)]
pub struct Front {
    scoring: Scoring,
    routes: Routes,
    /// The connection at the gate; none where everybody may come in.
    session: Option<Arc<Session>>,
    /// The other side of the connection.
    peer: TcpConnectInfo,
    bounds: Arc<Bounds>,
}

impl Front {
    /// The hot path, and the routes to all else.
    #[must_use]
    pub fn new(scoring: Scoring, routes: Routes, limits: CallLimits) -> Self {
        let (bounds, peer) = (Arc::new(Bounds::new(limits)), TcpConnectInfo { local_addr: None, remote_addr: None });
        Self { scoring, routes: routes.prepare(), session: None, peer, bounds }
    }

    /// The same for one connection, which passes a gate or need not.
    #[must_use]
    pub fn for_connection(&self, peer: SocketAddr, session: Option<Session>) -> Self {
        let peer = TcpConnectInfo { local_addr: None, remote_addr: Some(peer) };
        Self { session: session.map(Arc::new), peer, ..self.clone() }
    }
}

/// A call of somebody known. It is logged when it ends, answered or not: who goes away before the answer may have
/// changed something all the same.
struct CallOf {
    caller: Arc<Caller>,
    session: Arc<Session>,
    path: String,
    code: Code,
}

impl CallOf {
    fn ended(mut self, answered: &Result<Response<Body>, Infallible>) {
        let status = answered.as_ref().ok().and_then(|response| Status::from_header_map(response.headers()));
        self.code = status.map_or(Code::Ok, |status| status.code());
    }
}

impl Drop for CallOf {
    fn drop(&mut self) {
        let (identity, peer) = (&self.caller.identity, self.session.peer().address);
        let (method, code) = (&self.path, self.code);
        // What operators and admins do is rare and changes much; the calls of others are many.
        if matches!(access(method), Some(Access::Role(Role::Operator | Role::Admin))) {
            info!(%identity, %peer, method, ?code, "a call");
        } else {
            debug!(%identity, %peer, method, ?code, "a call");
        }
    }
}

/// Whether a path is one of the hot service: `/trustflow.v1.ScoringService/Score`.
fn is_scoring(path: &str) -> bool {
    let method = path.strip_prefix('/').and_then(|path| path.strip_prefix(Scoring::NAME));
    method.is_some_and(|method| method.starts_with('/'))
}

/// The answer to what is no call of gRPC, in HTTP's own words: other clients would take gRPC's, whose HTTP status is
/// always 200, for success.
fn no_grpc(request: &Request<Incoming>) -> Option<Response<Body>> {
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let (status, asked, value, words) = if request.method() != Method::POST {
        (StatusCode::METHOD_NOT_ALLOWED, ALLOW, "POST", "a call of gRPC is a POST request\n")
    } else if kind.is_none_or(|kind| !is_grpc(kind)) {
        let words = "the content-type of a call must be application/grpc or application/grpc+proto\n";
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, ACCEPT, "application/grpc, application/grpc+proto", words)
    } else {
        return None;
    };
    let mut response = Response::new(Body::new(words.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(asked, HeaderValue::from_static(value));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Some(response)
}

/// Whether a content type is that of gRPC with messages of protobuf.
fn is_grpc(kind: &[u8]) -> bool {
    let Some(rest) = kind.strip_prefix(b"application/grpc") else { return false };
    let rest = rest.strip_prefix(b"+proto").unwrap_or(rest);
    rest.first().is_none_or(|next| *next == b';')
}

fn refused(status: Status, request: Request<Incoming>) -> Answer {
    Answer::refused(status.into_http(), Body::new(request.into_body()))
}

impl Service<Request<Incoming>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(answer) = no_grpc(&request) {
            return Answer::refused(answer, Body::new(request.into_body()));
        }
        let is_scoring = is_scoring(request.uri().path());
        let mut caller = None;
        if let Some(session) = &self.session {
            let headers = request.headers().get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
            match session.admit(request.uri().path(), headers) {
                Err(denial) => return refused(wire::denied_status(&denial), request),
                Ok(admitted) => caller = admitted,
            }
            // Nothing behind the gate needs it, and so nothing can show it.
            request.headers_mut().remove(AUTHORIZATION);
        }
        let patience = patience(request.headers());
        if patience == Some(Duration::ZERO) {
            return refused(deadline_passed(), request);
        }
        // A server that has much to do is alive: health is always answered.
        let is_limited = is_scoring || access(request.uri().path()) != Some(Access::Open);
        if is_limited && let Err(refusal) = self.bounds.count(caller.as_deref()) {
            return refused(refusal, request);
        }
        if is_scoring {
            // Scores do not depend on who asks.
            let (call, bounds) = (self.scoring.call(request), self.bounds.clone());
            return Answer::Score(Score { call, patience, caller, bounds, waiting: None });
        }
        let place = match is_limited.then(|| self.bounds.begin(caller.as_deref())).transpose() {
            Ok(place) => place,
            Err(refusal) => return refused(refusal, request),
        };
        request.extensions_mut().insert(self.peer.clone());
        let call_of = caller.zip(self.session.clone()).map(|(caller, session)| {
            let path = request.uri().path().to_owned();
            request.extensions_mut().insert(caller.clone());
            CallOf { caller, session, path, code: Code::Cancelled }
        });
        let call = self.routes.call(request);
        Answer::Other(Box::pin(async move {
            let _place = place;
            let answered = match patience {
                None => call.await,
                Some(patience) => {
                    tokio::time::timeout(patience, call).await.unwrap_or_else(|_| Ok(deadline_passed().into_http()))
                }
            };
            if let Some(call_of) = call_of {
                call_of.ended(&answered);
            }
            answered
        }))
    }
}
