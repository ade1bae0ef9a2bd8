//! Serves HTTP/2: each connection is one task, which also runs the calls that come over it.
//!
//! Calls are short, and one read brings many. Run side by side in the task of their connection, all their answers leave
//! in one write. A task for each call, as tonic's own server has it, comes to a write for each answer, which is a third
//! of what a small Score costs (`docs/performance.md`).

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::Service;
use tracing::{debug, error, warn};

/// Bytes of one call that a client may send ahead.
pub const STREAM_WINDOW: u32 = 1 << 20;
/// Bytes of all calls of a connection that a client may send ahead.
pub const CONNECTION_WINDOW: u32 = 4 << 20;
/// After so long without a byte the system asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Pause after a connection could not be accepted, which mostly means too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves a listener until `stop` says so, then lets the calls in flight end.
pub async fn serve<S>(listener: TcpListener, service: S, max_concurrent_streams: u32, mut stop: watch::Receiver<bool>)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, service.clone(), max_concurrent_streams, stop.clone()));
                }
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection to its end.
async fn connection<S>(stream: TcpStream, service: S, max_concurrent_streams: u32, mut stop: watch::Receiver<bool>)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    if let Err(error) = configure(&stream) {
        // The other side has gone already, or the system lacks an option: it is served all the same.
        debug!(%error, "a connection keeps the system's settings");
    }
    let calls = Calls::default();
    let http = http2::Builder::new(calls.clone())
        .max_concurrent_streams(max_concurrent_streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = pin!(Connection { http, calls, running: FuturesUnordered::new() });
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().project().http.graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended early");
    }
}

/// Answers go out at once: an answer of two packets must not wait for an acknowledgement. The system finds out who has
/// gone without a word; pings of HTTP/2 would look at the clock for every frame.
fn configure(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a connection puts the calls that begin.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<Call>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Calls {
    fn execute(&self, call: F) {
        // A panic ends its call, not those beside it.
        let call = AssertUnwindSafe(call).catch_unwind().map(|ended| {
            if ended.is_err() {
                error!("a call panicked; please report this");
            }
        });
        self.0.lock().push(Box::pin(call));
    }
}

pin_project! {
    /// A connection and the calls that run on it.
    struct Connection<H> {
        #[pin]
        http: H,
        calls: Calls,
        running: FuturesUnordered<Call>,
    }
}

impl<H: Future> Future for Connection<H> {
    type Output = H::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<H::Output> {
        let this = self.project();
        // Writes the answers there are, reads what has come, begins its calls.
        if let Poll::Ready(ended) = this.http.poll(context) {
            return Poll::Ready(ended);
        }
        this.running.extend(this.calls.0.lock().drain(..));
        // A call that answers wakes the connection, which is polled again for writing.
        while let Poll::Ready(Some(())) = this.running.poll_next_unpin(context) {}
        Poll::Pending
    }
}
