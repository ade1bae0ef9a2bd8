//! What every call meets first: the gate, if there is one. Then `ScoringService` answers at once, and everything else is
//! routed, within the time that the caller gives it.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::codegen::http::header::AUTHORIZATION;
use tonic::codegen::http::{HeaderValue, Request, Response};
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service;
use tracing::{debug, info};

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
}

impl Front {
    /// The hot path, and the routes to all else.
    #[must_use]
    pub fn new(scoring: Scoring, routes: Routes) -> Self {
        Self { scoring, routes: routes.prepare(), session: None }
    }

    /// The same for one connection, which passes a gate or need not.
    #[must_use]
    pub fn for_connection(&self, session: Option<Session>) -> Self {
        Self { session: session.map(Arc::new), ..self.clone() }
    }
}

/// A call of somebody known, to be logged when it has ended.
struct CallOf {
    caller: Arc<Caller>,
    session: Arc<Session>,
    path: String,
}

impl CallOf {
    /// What operators and admins do is rare and changes much; the calls of others are many.
    fn ended(&self, answered: &Result<Response<Body>, Infallible>) {
        let status = answered.as_ref().ok().and_then(|response| Status::from_header_map(response.headers()));
        let code = status.map_or(Code::Ok, |status| status.code());
        let (identity, peer, method) = (&self.caller.identity, self.session.peer().address, &self.path);
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

impl Service<Request<Incoming>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let is_scoring = is_scoring(request.uri().path());
        let mut call_of = None;
        if let Some(session) = &self.session {
            let headers = request.headers().get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
            match session.admit(request.uri().path(), headers) {
                Err(denial) => {
                    let denied = wire::denied_status(&denial).into_http();
                    return Box::pin(std::future::ready(Ok(denied)));
                }
                // Scores do not depend on who asks.
                Ok(Some(caller)) if !is_scoring => {
                    let path = request.uri().path().to_owned();
                    request.extensions_mut().insert(caller.clone());
                    call_of = Some(CallOf { caller, session: session.clone(), path });
                }
                Ok(_) => {}
            }
            // Nothing behind the gate needs it, and so nothing can show it.
            request.headers_mut().remove(AUTHORIZATION);
        }
        if is_scoring {
            return self.scoring.call(request);
        }
        let patience = patience(request.headers());
        let call = self.routes.call(request);
        Box::pin(async move {
            let answered = match patience {
                None => call.await,
                Some(patience) => tokio::time::timeout(patience, call)
                    .await
                    .unwrap_or_else(|_| Ok(Status::deadline_exceeded("the caller's deadline has passed").into_http())),
            };
            if let Some(call_of) = call_of {
                call_of.ended(&answered);
            }
            answered
        })
    }
}
