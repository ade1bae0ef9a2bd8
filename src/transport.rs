//! Serves HTTP/2: each connection is one task, which also runs the calls that come over it.
//!
//! Calls are short, and one read brings many. Run side by side in the task of their connection, all their answers leave
//! in one write. A task for each call, as tonic's own server has it, comes to a write for each answer, which is a third
//! of what a small Score costs (`docs/performance.md`).

use std::convert::Infallible;
use std::net::SocketAddr;
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
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::Service;
use tracing::{debug, error, warn};

use crate::auth::Peer;
use crate::preface::{Begun, PREFACE, PREFACE_BYTES};
use crate::telemetry::{ConnectionMetrics, Handshake};
use crate::tls::{Tls, client_names};

/// Bytes of one call that a client may send ahead.
pub const STREAM_WINDOW: u32 = 1 << 20;
/// Bytes of all calls of a connection that a client may send ahead.
pub const CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes of the headers of one call.
const HEADERS: u32 = 16 << 10;
/// Bytes of an answer that wait for a slow reader beside what it has asked for.
const SEND_BUFFER: usize = 256 << 10;
/// Calls that a client may take back before they were looked at, and calls with errors of the protocol: then its
/// connection ends. Clients that give up on calls in earnest stay far below.
const MAX_TAKEN_BACK: usize = 128;
const MAX_WRONG: usize = 256;
/// Bytes that are read of a connection that did not begin as one of HTTP/2.
const PARTING_BYTES: u64 = 64 << 10;
/// After so long without a byte the system asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Pause after a connection could not be accepted, which mostly means too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a server bears.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls of one connection at a time.
    pub max_concurrent_streams: u32,
    /// Connections; more are closed at once.
    pub max_connections: usize,
    /// TLS handshakes at a time, of clients that have begun to speak; more wait their turn.
    pub max_handshakes: usize,
    /// Time for a handshake, silence before it and its turn included; then for the first bytes of HTTP/2.
    pub handshake: Duration,
    /// How long the other side may leave unread what was sent to it.
    pub stall: Duration,
}

/// How TLS comes about on new connections.
#[derive(Clone)]
struct Handshakes {
    tls: watch::Receiver<Option<Tls>>,
    turns: Arc<Semaphore>,
    patience: Duration,
    metrics: ConnectionMetrics,
}

impl Handshakes {
    /// Shakes hands, unless the other side takes too long or is not right.
    async fn shake(self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        // Pinned here, so that a connection that is given up is counted before the other side can see its end.
        let shaken = pin!(tokio::time::timeout(self.patience, async {
            // Who has said nothing yet waits without a turn: the silent would keep out those who have something to say.
            stream.peek(&mut [0]).await?;
            // Held until the handshake is over. An error would mean that turns are no longer given, which never is.
            let _turn = self.turns.acquire().await;
            let tls = self.tls.borrow().clone();
            let tls = tls.ok_or_else(|| std::io::Error::other("no certificate has been read"))?;
            TlsAcceptor::from(tls).accept(stream).await
        }));
        let (stream, outcome) = match shaken.await {
            Ok(Ok(stream)) => (Some(stream), Handshake::Done),
            Ok(Err(error)) => {
                debug!(%error, "a handshake failed");
                (None, Handshake::Failed)
            }
            Err(_) => (None, Handshake::TimedOut),
        };
        self.metrics.shaken(outcome);
        stream
    }
}

/// Serves a listener until `stop` says so, then lets the calls in flight end. `connect` makes the service of a
/// connection. With `tls` connections are secured as it says when they are made.
pub async fn serve<S, C>(
    listener: TcpListener,
    connect: C,
    tls: Option<watch::Receiver<Option<Tls>>>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) where
    C: Fn(Peer) -> S + Clone + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let metrics = ConnectionMetrics::default();
    let turns = Arc::new(Semaphore::new(limits.max_handshakes.min(Semaphore::MAX_PERMITS)));
    let patience = limits.handshake;
    let handshakes = tls.map(|tls| Handshakes { tls, turns, patience, metrics: metrics.clone() });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // Closed at once, so that the other side knows; the log would fill.
                Ok(_) if connections.len() >= limits.max_connections => metrics.refused(),
                Ok((stream, address)) => {
                    let connected = Connected { stream, address, limits, stop: stop.clone() };
                    connections.spawn(connected.serve(handshakes.clone(), connect.clone()));
                }
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stop) => break,
        }
        metrics.open(connections.len());
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    metrics.open(0);
}

/// A connection that was accepted.
struct Connected {
    stream: TcpStream,
    address: SocketAddr,
    limits: Limits,
    stop: watch::Receiver<bool>,
}

impl Connected {
    /// Serves it to its end.
    async fn serve<S, C>(self, handshakes: Option<Handshakes>, connect: C)
    where
        C: Fn(Peer) -> S,
        S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        let Self { stream, address, limits, mut stop } = self;
        if let Err(error) = configure(&stream, limits.stall) {
            // The other side has gone already, or the system lacks an option: it is served all the same.
            debug!(%error, "a connection keeps the system's settings");
        }
        let Some(handshakes) = handshakes else {
            let service = connect(Peer { address, names: Vec::new() });
            return connection(stream, service, limits, stop).await;
        };
        let secured = tokio::select! {
            secured = handshakes.shake(stream) => secured,
            () = stopped(&mut stop) => None,
        };
        if let Some(stream) = secured {
            let service = connect(Peer { address, names: client_names(stream.get_ref().1) });
            connection(stream, service, limits, stop).await;
        }
    }
}

/// Serves the calls of one connection.
async fn connection<I, S>(mut stream: I, service: S, limits: Limits, mut stop: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut preface = [0; PREFACE_BYTES];
    tokio::select! {
        read = tokio::time::timeout(limits.handshake, stream.read_exact(&mut preface)) => {
            if !matches!(read, Ok(Ok(_))) {
                debug!("a connection did not begin");
                return;
            }
        }
        () = stopped(&mut stop) => return,
    }
    if preface != *PREFACE {
        debug!("a connection began with something else than HTTP/2");
        return part(stream, limits.handshake).await;
    }
    let stream = Begun { preface, read: 0, stream };
    let calls = Calls::default();
    let http = http2::Builder::new(calls.clone())
        .max_concurrent_streams(limits.max_concurrent_streams)
        .max_header_list_size(HEADERS)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_TAKEN_BACK)
        .max_local_error_reset_streams(MAX_WRONG)
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

/// Ends a connection in an orderly way: what the other side has sent is read, up to a bound, since closing before would
/// look like a failure of the network to it.
async fn part<I: AsyncRead + AsyncWrite + Unpin>(mut stream: I, patience: Duration) {
    let parting = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(PARTING_BYTES), &mut tokio::io::sink()).await
    };
    // Who has gone already needs no parting.
    let _ = tokio::time::timeout(patience, parting).await;
}

/// Answers go out at once: an answer of two packets must not wait for an acknowledgement. The system finds out who has
/// gone without a word, or has stopped reading; pings of HTTP/2 would look at the clock for every frame.
fn configure(stream: &TcpStream, stall: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    SockRef::from(stream).set_tcp_user_timeout(Some(stall))?;
    #[cfg(not(target_os = "linux"))]
    let _ = stall;
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
