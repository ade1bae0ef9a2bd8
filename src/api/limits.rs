//! What the server takes on: calls a second, of everybody and of each identity, and calls at a time. What is beyond is
//! refused before anything is made of its body, so that refusing stays far cheaper than answering.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::Response;
use tonic::codegen::{Body as _, BoxFuture, Bytes};

use crate::auth::Caller;
use crate::telemetry;
use crate::wire::{self, Reason};

/// After so many calls, identities whose rate is back at rest are forgotten: between two times no more can come.
const SWEEP: u32 = 16_384;
/// How much of the body of a call that is refused is waited for, and for how long. Requests that are longer, and callers
/// that are slower, are few.
const BODY_BYTES: usize = 64 << 10;
const BODY_TIME: Duration = Duration::from_secs(1);

/// What the server takes on.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// Calls a second of everybody together; 0 sets no limit.
    pub per_second: u32,
    /// Calls a second of each identity; 0 sets no limit.
    pub per_identity: u32,
    /// Calls under way at a time, those of `ScoringService` left out: it is answered first.
    pub in_flight: usize,
    /// Calls of `ScoringService` at a time that could not be answered at once.
    pub scores_waiting: usize,
    /// How long these wait whose caller sets no deadline.
    pub longest_score: Duration,
}

/// What is under way, measured against the limits.
pub(super) struct Bounds {
    all: Option<DefaultDirectRateLimiter>,
    each: Option<DefaultKeyedRateLimiter<String>>,
    calls: AtomicU32,
    in_flight: Arc<Semaphore>,
    scores_waiting: Arc<Semaphore>,
    longest_score: Duration,
    clock: DefaultClock,
}

/// A rate, a tenth of a second of which may come at once; none for 0.
fn quota(per_second: u32) -> Option<Quota> {
    let burst = NonZeroU32::new(per_second / 10).unwrap_or(NonZeroU32::MIN);
    NonZeroU32::new(per_second).map(|rate| Quota::per_second(rate).allow_burst(burst))
}

impl Bounds {
    pub(super) fn new(limits: CallLimits) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self {
            all: quota(limits.per_second).map(RateLimiter::direct),
            each: quota(limits.per_identity).map(RateLimiter::keyed),
            calls: AtomicU32::new(0),
            in_flight: semaphore(limits.in_flight),
            scores_waiting: semaphore(limits.scores_waiting),
            longest_score: limits.longest_score,
            clock: DefaultClock::default(),
        }
    }

    /// Counts a call against its identity's rate and that of all. Where nobody is asked, all are one identity.
    pub(super) fn count(&self, caller: Option<&Caller>) -> Result<(), Status> {
        if let Some(each) = &self.each {
            if self.calls.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
                each.retain_recent();
            }
            let unnamed = String::new();
            let identity = caller.map_or(&unnamed, |caller| &caller.identity);
            each.check_key(identity).map_err(|until| rate_limited(until.wait_time_from(self.clock.now()), caller))?;
        }
        match &self.all {
            Some(all) => all.check().map_err(|until| rate_limited(until.wait_time_from(self.clock.now()), caller)),
            None => Ok(()),
        }
    }

    /// A place among the calls under way, kept until the call is answered.
    pub(super) fn begin(&self, caller: Option<&Caller>) -> Result<OwnedSemaphorePermit, Status> {
        self.in_flight.clone().try_acquire_owned().map_err(|_| too_many_calls(caller))
    }
}

fn rate_limited(after: Duration, caller: Option<&Caller>) -> Status {
    refused(Reason::RateLimited, caller);
    // At rates of thousands a second, callers that came back after a part of a millisecond would be a flood.
    wire::rate_limited(after.max(Duration::from_millis(1)))
}

fn too_many_calls(caller: Option<&Caller>) -> Status {
    refused(Reason::TooManyCalls, caller);
    wire::too_many_calls()
}

fn refused(reason: Reason, caller: Option<&Caller>) {
    telemetry::call_refused(reason.name(), caller.map_or("none", Caller::label));
}

/// A call whose time is over.
pub(super) fn deadline_passed() -> Status {
    Status::deadline_exceeded("the caller's deadline has passed")
}

type Answered = Result<Response<Body>, Infallible>;

/// The answer to a call, now or later.
pub enum Answer {
    /// A refusal.
    Refused(Refused),
    /// Of the hot path.
    Score(Score),
    /// Of everything else.
    Other(BoxFuture<Response<Body>, Infallible>),
}

impl Answer {
    /// A refusal of a call whose body nobody will read.
    pub(super) fn refused(answer: Response<Body>, body: Body) -> Self {
        Self::Refused(Refused { answer: Some(answer), body, left: BODY_BYTES, timer: None })
    }
}

impl Future for Answer {
    type Output = Answered;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answered> {
        match self.get_mut() {
            Self::Refused(refused) => Pin::new(refused).poll(context),
            Self::Score(score) => Pin::new(score).poll(context),
            Self::Other(call) => call.as_mut().poll(context),
        }
    }
}

/// A refusal, which is told once the body of the call has come: what is still under way when a call is over counts as
/// an error of its connection in HTTP/2, and hundreds of those would end it, with all the calls of others on it. Nothing
/// of the body is kept.
pub struct Refused {
    answer: Option<Response<Body>>,
    body: Body,
    /// Bytes that are still waited for.
    left: usize,
    /// The end of waiting, once there is something to wait for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Refused {
    /// Reads what has come of the body; ready once it is whole, or too long.
    fn drain(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while !self.body.is_end_stream() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    match self.left.checked_sub(bytes) {
                        Some(left) => self.left = left,
                        None => break,
                    }
                }
                // The caller has gone, or the body is over.
                Some(Err(_)) | None => break,
            }
        }
        Poll::Ready(())
    }
}

impl Future for Refused {
    type Output = Answered;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answered> {
        let this = self.get_mut();
        if this.drain(context).is_pending() {
            let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(BODY_TIME)));
            ready!(timer.as_mut().poll(context));
        }
        // Polled again after that, it never answers, as every future may.
        this.answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer)))
    }
}

/// A call of the hot path. Most are answered when they are first looked at; one that is not has to have a place among
/// those that wait, and its time: what came of its request so far is in memory.
pub struct Score {
    pub(super) call: BoxFuture<Response<Body>, Infallible>,
    pub(super) patience: Option<Duration>,
    pub(super) caller: Option<Arc<Caller>>,
    pub(super) bounds: Arc<Bounds>,
    pub(super) waiting: Option<(OwnedSemaphorePermit, Pin<Box<Sleep>>)>,
}

impl Future for Score {
    type Output = Answered;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answered> {
        let this = self.get_mut();
        if let Poll::Ready(answered) = this.call.as_mut().poll(context) {
            return Poll::Ready(answered);
        }
        let timer = match &mut this.waiting {
            Some((_, timer)) => timer,
            waiting @ None => match this.bounds.scores_waiting.clone().try_acquire_owned() {
                Ok(place) => {
                    let patience = this.patience.unwrap_or(this.bounds.longest_score);
                    &mut waiting.insert((place, Box::pin(sleep(patience)))).1
                }
                Err(_) => return Poll::Ready(Ok(too_many_calls(this.caller.as_deref()).into_http())),
            },
        };
        timer.as_mut().poll(context).map(|()| Ok(deadline_passed().into_http()))
    }
}
