//! Thin gRPC services: check, hand over, answer. Also the HTTP side: metrics and health.

mod admin;
mod backup;
mod exposure;
mod front;
mod http;
mod insight;
mod limits;
mod measure;
mod policy;
mod profile;
mod programme;
mod scoring;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::codegen::http::HeaderMap;
use tonic::{Request, Status};

use crate::auth::Caller;
use crate::domain::{Outcome, Wanted};
use crate::engine::Engine;
use crate::state::Applied;
use crate::wire::{self, Sender};

pub use admin::AdminApi;
pub use exposure::ExposureApi;
pub use front::Front;
pub use http::{HttpState, router};
pub use insight::InsightApi;
pub use limits::CallLimits;
pub use measure::MeasureLayer;
pub use policy::PolicyApi;
pub use profile::ProfileApi;
pub use programme::ProgrammeApi;
pub use scoring::ScoringApi;

/// Waits for the revision a request asks for, at most until its deadline.
#[derive(Clone)]
pub struct Waiter {
    engine: Arc<Engine>,
    max_wait: Duration,
}

impl Waiter {
    /// Waits at most `max_wait` for callers that set no deadline.
    #[must_use]
    pub fn new(engine: Arc<Engine>, max_wait: Duration) -> Self {
        Self { engine, max_wait }
    }

    async fn wait(&self, min_revision: u64, deadline: Option<Duration>) -> Result<(), Status> {
        if min_revision == 0 {
            return Ok(());
        }
        let patience = deadline.unwrap_or(self.max_wait);
        self.engine.wait_for(min_revision, patience).await.map_err(|error| wire::read_status(&error))
    }
}

/// Who sends a request, and what is in it.
fn signed<T>(request: Request<T>) -> (Sender, T) {
    let caller = request.extensions().get::<Arc<Caller>>();
    let identity = caller.map(|caller| caller.identity.clone()).unwrap_or_default();
    let peer = request.remote_addr().map(|address| address.ip().to_canonical().to_string());
    (Sender { identity, peer: peer.unwrap_or_default() }, request.into_inner())
}

/// Whose name a change is kept under: what the caller says, and who the caller was found to be.
fn author(sender: &Sender, said: &str) -> String {
    match (sender.identity.as_str(), said) {
        ("", said) => said.to_owned(),
        (identity, "") => identity.to_owned(),
        (identity, said) => format!("{said} ({identity})"),
    }
}

/// The time a caller gives a call.
fn deadline<T>(request: &Request<T>) -> Option<Duration> {
    patience(request.metadata().as_ref())
}

/// What the header `grpc-timeout` says: one to eight digits and a unit.
fn patience(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    // A number in Rust may have a sign, one of gRPC has none.
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// What a write came to, unless it was rejected, and its revision.
fn accepted(applied: Applied) -> Result<(u64, Outcome), Status> {
    let outcome = applied.outcome.accepted().map_err(|rejection| wire::rejected_status(&rejection))?;
    Ok((applied.revision, outcome))
}

/// An outcome that does not belong to the command; no command comes to one.
fn unexpected(outcome: &Outcome) -> Status {
    Status::internal(format!("unexpected outcome {outcome:?}; please report this"))
}

/// Works off the path at a time; others wait. Work that was begun goes on when its caller gives up, and so calls that
/// are begun and given up in turn would heap it up without this.
static OFF_THE_PATH: Semaphore = Semaphore::const_new(64);

/// Runs work that reads the disk where it does not hold up requests.
async fn off_the_path<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    let turn = OFF_THE_PATH.acquire().await.map_err(|_| Status::unavailable("the server stops"))?;
    let work = move || {
        let _turn = turn;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| Status::internal(format!("a reading task failed: {error}")))
}

/// The same for work that takes long. It is told once nobody waits for it any more: its caller has taken the call back or
/// is gone, or the time that it gave is over.
async fn off_the_path_while_wanted<T: Send + 'static>(
    work: impl FnOnce(&Wanted) -> T + Send + 'static,
) -> Result<T, Status> {
    let left = CancellationToken::new();
    let wanted = Wanted::as_long_as({
        let left = left.clone();
        move || !left.is_cancelled()
    });
    // A call that is not waited for is dropped, wherever it stands, and this with it.
    let _leaving = left.drop_guard();
    off_the_path(move || work(&wanted)).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tonic::codegen::http::HeaderMap;

    use super::{Wanted, off_the_path_while_wanted, patience};

    #[test]
    fn deadlines_are_read_as_grpc_writes_them() {
        let cases = [
            ("250m", Some(Duration::from_millis(250))),
            ("2S", Some(Duration::from_secs(2))),
            ("99999999u", Some(Duration::from_micros(99_999_999))),
            ("999999999m", None),
            ("m", None),
            ("5", None),
            ("", None),
            ("-1S", None),
            ("+5S", None),
            (" 5S", None),
            ("5 S", None),
            ("5S ", None),
            ("5s", None),
            ("5.0S", None),
            ("0x5S", None),
        ];
        for (text, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().expect("a header"));
            assert_eq!(patience(&headers), expected, "{text:?}");
        }
    }

    #[tokio::test]
    async fn long_work_hears_that_nobody_waits_for_it() {
        let (begun, has_begun) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        let call = off_the_path_while_wanted(move |wanted| {
            begun.send(wanted.is_over()).expect("it is waited for");
            while !wanted.is_over() {
                std::thread::sleep(Duration::from_millis(1));
            }
            ended.send(()).expect("it is waited for");
        });
        let call = tokio::spawn(call);
        assert!(!has_begun.await.expect("it begins"), "somebody waits");
        call.abort();
        tokio::time::timeout(Duration::from_secs(60), has_ended).await.expect("in time").expect("it ends");
        assert!(!off_the_path_while_wanted(Wanted::is_over).await.expect("done"), "waited for to its end");
    }
}
