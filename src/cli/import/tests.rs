//! Cutting into chunks, and sending them to a server that breaks off.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::any;
use indicatif::ProgressBar;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::server::Grpc;
use tonic::service::Routes;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::super::client::{Bearer, Link};
use super::{CHUNK_PROFILES, CHUNK_ROWS, CliError, Plan, Report, item_error, rest, send};
use crate::proto::{
    GetImportProgressRequest, GetImportProgressResponse, ImportItemStatus, ImportRequest, ImportResponse,
    ImportSection, Merchant, TargetKind,
};

fn plan() -> Plan {
    let mut plan = Plan::new("test".to_owned());
    plan.merchants(&vec![Merchant::default(); CHUNK_PROFILES + 1]);
    for day in 0..=i32::try_from(CHUNK_ROWS).expect("small") {
        plan.facts(TargetKind::Merchant, 7, day, [("paid_orders", 1), ("reviews", 2)].into_iter());
    }
    plan.facts(TargetKind::Product, 9, 0, [("reviews", 3)].into_iter());
    plan
}

#[test]
fn chunks_are_numbered_without_gaps_and_bounded() {
    let plan = plan();
    let sequences: Vec<u64> = plan.chunks.iter().map(|chunk| chunk.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
    let sizes: Vec<usize> =
        plan.chunks.iter().map(|chunk| chunk.facts.as_ref().map_or(0, |facts| facts.ids.len())).collect();
    assert_eq!(sizes, [0, 0, CHUNK_ROWS, 1, 1], "another kind of target opens a chunk");
    let last = plan.chunks.last().and_then(|chunk| chunk.facts.clone()).expect("facts");
    assert_eq!((last.counter_names.len(), last.counters, last.values), (1, vec![0], vec![3]), "its own dictionary");
}

#[test]
fn a_resumed_import_sends_the_rest_alone() {
    let chunks = Arc::new(plan().chunks);
    let sent: Vec<u64> = rest(chunks, 3, ProgressBar::hidden()).map(|chunk| chunk.sequence).collect();
    assert_eq!(sent, [4, 5]);
}

#[test]
fn an_item_error_names_the_item() {
    let status = tonic_types::Status { code: 3, message: "no such counter".to_owned(), details: Vec::new() };
    let section = ImportSection::Facts.into();
    let item = ImportItemStatus { sequence: 4, section, index: 0, status: Some(status) };
    let text = item_error(&item, &plan().chunks);
    assert_eq!(text, "facts of merchant 7 on 1983-09-10: no such counter [INVALID_ARGUMENT]");
}

/// What a server that only knows imports has seen.
#[derive(Default)]
struct Seen {
    /// Last chunk taken.
    committed: u64,
    /// Chunks after which the next call breaks off.
    break_after: Option<u64>,
    /// Sequences received, over all calls.
    received: Vec<u64>,
}

type Shared = Arc<Mutex<Seen>>;

async fn take(seen: Shared, request: Request<Streaming<ImportRequest>>) -> Result<Response<ImportResponse>, Status> {
    let mut chunks = request.into_inner();
    let mut answer = ImportResponse::default();
    while let Some(chunk) = chunks.message().await? {
        let mut seen = seen.lock().expect("not poisoned");
        if seen.break_after == Some(seen.committed) {
            seen.break_after = None;
            return Err(Status::unavailable("shutting down"));
        }
        seen.received.push(chunk.sequence);
        assert_eq!(chunk.sequence, seen.committed + 1, "no gaps");
        seen.committed = chunk.sequence;
        answer.accepted_items += super::items_in(&chunk);
        answer.committed_sequence = seen.committed;
    }
    Ok(Response::new(answer))
}

/// A server with the two methods that an import needs.
async fn serve(seen: Shared) -> Link {
    let imports = Arc::clone(&seen);
    let import = any(move |request: axum::extract::Request| async move {
        let codec = ProstCodec::<ImportResponse, ImportRequest>::default();
        Grpc::new(codec).client_streaming(service_fn(move |request| take(Arc::clone(&imports), request)), request).await
    });
    let progress = any(move |request: axum::extract::Request| async move {
        let codec = ProstCodec::<GetImportProgressResponse, GetImportProgressRequest>::default();
        let answer = move |_: Request<GetImportProgressRequest>| {
            let committed_sequence = seen.lock().expect("not poisoned").committed;
            async move { Ok::<_, Status>(Response::new(GetImportProgressResponse { committed_sequence, revision: 0 })) }
        };
        Grpc::new(codec).unary(service_fn(answer), request).await
    });
    let router = Router::new()
        .route("/trustflow.v1.ProfileService/Import", import)
        .route("/trustflow.v1.ProfileService/GetImportProgress", progress);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(
        Server::builder().add_routes(Routes::from(router)).serve_with_incoming(TcpListenerStream::new(listener)),
    );
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    Link::new(endpoint.connect().await.expect("a connection"), Bearer::default())
}

#[tokio::test]
async fn a_broken_import_goes_on_where_it_stopped() {
    let seen: Shared = Arc::new(Mutex::new(Seen { break_after: Some(3), ..Seen::default() }));
    let channel = serve(Arc::clone(&seen)).await;
    let broken = send(channel.clone(), plan()).await.err().expect("an error");
    assert!(matches!(broken, CliError::ImportBroken { .. }), "{broken}");
    assert!(broken.to_string().contains("shutting down [UNAVAILABLE]"), "{broken}");

    let Report { chunks, skipped, accepted, refused, .. } = send(channel.clone(), plan()).await.expect("the rest");
    assert_eq!((chunks, skipped, accepted, refused), (5, 3, 2, 0));
    assert_eq!(seen.lock().expect("not poisoned").received, [1, 2, 3, 4, 5], "every chunk once");

    let again = send(channel, plan()).await.expect("nothing to do");
    assert_eq!((again.skipped, again.accepted), (5, 0));
    assert!(again.text().contains("all 5 chunks had been taken before"));
}

#[tokio::test]
async fn a_name_of_a_longer_import_is_refused() {
    let seen: Shared = Arc::new(Mutex::new(Seen { committed: 6, ..Seen::default() }));
    let problem = send(serve(seen).await, plan()).await.err().expect("an error").to_string();
    assert!(problem.starts_with("--import-id: the server took 6 chunks"), "{problem}");
}
