//! Errors → gRPC status with google.rpc details. Reasons are documented in docs/errors.md.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt, pb};

use super::validate::{Problem, bad_request, message};
use crate::auth::Denial;
use crate::domain::{ProfileKey, Rejection};
use crate::engine::{ReadError, TrustPurchaseError, WriteError};
use crate::policy;
use crate::proto;
use crate::store::StoreError;

/// Domain of every `ErrorInfo`.
pub(super) const DOMAIN: &str = "trustflow.v1";

/// Reasons of `ErrorInfo`, each meaning one thing for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Fields are wrong: mend the request.
    BadRequest,
    /// Not registered: register it first.
    NotRegistered,
    /// It changed since it was read: read again.
    EtagMismatch,
    /// A counter that the policy does not declare.
    UnknownCounter,
    /// Facts of a day after tomorrow.
    DayInFuture,
    /// The violation id was used before.
    ViolationExists,
    /// The violation would occur in the future.
    OccursInFuture,
    /// The request id came with another payload: use a new id.
    RequestIdReused,
    /// The day is not over.
    DayNotOver,
    /// The day is closed.
    DayAlreadyClosed,
    /// Another change of day or policy is being prepared: try again.
    TransitionPending,
    /// Chunks must come in order.
    ImportGap,
    /// The policy does not compile.
    BadPolicy,
    /// No programme bit is free: wait until one is.
    NoProgrammeBit,
    /// The revision did not come in time: try again.
    RevisionNotReached,
    /// The write queue is full: try again later.
    QueueFull,
    /// A commit failed: an operator must look.
    WritesPoisoned,
    /// The wall clock jumped: an operator must look.
    ClockJumped,
    /// The server stops: try another.
    ShuttingDown,
    /// Only simulated time moves.
    ClockNotSimulated,
    /// Another simulation is running: try again when it is done.
    SimulationRunning,
    /// Another backup is running: try again when it is done.
    BackupRunning,
    /// The store cannot be read: an operator must look.
    StoreFailed,
    /// The policy has no Trust Purchase.
    NoTrustPurchase,
    /// Who asks does not promote the product.
    NotPromoter,
    /// Other searches keep the server busy: try again later.
    TooManySearches,
    /// Exposures were shown too long ago to be reported.
    ReportTooOld,
    /// Exposures would be shown in the future.
    ExposureInFuture,
    /// The programme is not in the policy that serves.
    UnknownProgramme,
    /// The programme has no such budget or guarantee.
    ProgrammeWithout,
    /// Budgets of scenes would be more than the whole.
    ScenesBeyondBudget,
    /// The merchant is not a member of the programme.
    NotMember,
    /// A guarantee of the programme is running for the merchant.
    GuaranteeRuns,
    /// Fewer exposures of packages are free.
    PackageShort,
    /// Another session of the node followed.
    SessionOver,
    /// No credential came with the call: send one.
    CredentialsMissing,
    /// The credential is not good: get another.
    CredentialsInvalid,
    /// The credential has expired: get a new one.
    CredentialsExpired,
    /// The caller's roles do not open the method.
    RoleMissing,
    /// More calls a second than the server takes: try again later.
    RateLimited,
    /// More calls at a time than the server takes: try again later.
    TooManyCalls,
}

impl Reason {
    /// Every reason with its code.
    pub const ALL: [(Self, Code); 41] = [
        (Self::BadRequest, Code::InvalidArgument),
        (Self::NotRegistered, Code::NotFound),
        (Self::EtagMismatch, Code::Aborted),
        (Self::UnknownCounter, Code::InvalidArgument),
        (Self::DayInFuture, Code::InvalidArgument),
        (Self::ViolationExists, Code::AlreadyExists),
        (Self::OccursInFuture, Code::InvalidArgument),
        (Self::RequestIdReused, Code::AlreadyExists),
        (Self::DayNotOver, Code::FailedPrecondition),
        (Self::DayAlreadyClosed, Code::FailedPrecondition),
        (Self::TransitionPending, Code::Unavailable),
        (Self::ImportGap, Code::OutOfRange),
        (Self::BadPolicy, Code::InvalidArgument),
        (Self::NoProgrammeBit, Code::FailedPrecondition),
        (Self::RevisionNotReached, Code::Unavailable),
        (Self::QueueFull, Code::ResourceExhausted),
        (Self::WritesPoisoned, Code::Unavailable),
        (Self::ClockJumped, Code::Unavailable),
        (Self::ShuttingDown, Code::Unavailable),
        (Self::ClockNotSimulated, Code::FailedPrecondition),
        (Self::SimulationRunning, Code::ResourceExhausted),
        (Self::BackupRunning, Code::ResourceExhausted),
        (Self::StoreFailed, Code::Internal),
        (Self::NoTrustPurchase, Code::FailedPrecondition),
        (Self::NotPromoter, Code::FailedPrecondition),
        (Self::TooManySearches, Code::ResourceExhausted),
        (Self::ReportTooOld, Code::InvalidArgument),
        (Self::ExposureInFuture, Code::InvalidArgument),
        (Self::UnknownProgramme, Code::NotFound),
        (Self::ProgrammeWithout, Code::FailedPrecondition),
        (Self::ScenesBeyondBudget, Code::FailedPrecondition),
        (Self::NotMember, Code::FailedPrecondition),
        (Self::GuaranteeRuns, Code::AlreadyExists),
        (Self::PackageShort, Code::FailedPrecondition),
        (Self::SessionOver, Code::Aborted),
        (Self::CredentialsMissing, Code::Unauthenticated),
        (Self::CredentialsInvalid, Code::Unauthenticated),
        (Self::CredentialsExpired, Code::Unauthenticated),
        (Self::RoleMissing, Code::PermissionDenied),
        (Self::RateLimited, Code::ResourceExhausted),
        (Self::TooManyCalls, Code::ResourceExhausted),
    ];

    /// The reason as it is sent.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "BAD_REQUEST",
            Self::NotRegistered => "NOT_REGISTERED",
            Self::EtagMismatch => "ETAG_MISMATCH",
            Self::UnknownCounter => "UNKNOWN_COUNTER",
            Self::DayInFuture => "DAY_IN_FUTURE",
            Self::ViolationExists => "VIOLATION_EXISTS",
            Self::OccursInFuture => "OCCURS_IN_FUTURE",
            Self::RequestIdReused => "REQUEST_ID_REUSED",
            Self::DayNotOver => "DAY_NOT_OVER",
            Self::DayAlreadyClosed => "DAY_ALREADY_CLOSED",
            Self::TransitionPending => "TRANSITION_PENDING",
            Self::ImportGap => "IMPORT_GAP",
            Self::BadPolicy => "BAD_POLICY",
            Self::NoProgrammeBit => "NO_PROGRAMME_BIT",
            Self::RevisionNotReached => "REVISION_NOT_REACHED",
            Self::QueueFull => "QUEUE_FULL",
            Self::WritesPoisoned => "WRITES_POISONED",
            Self::ClockJumped => "CLOCK_JUMPED",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::ClockNotSimulated => "CLOCK_NOT_SIMULATED",
            Self::SimulationRunning => "SIMULATION_RUNNING",
            Self::BackupRunning => "BACKUP_RUNNING",
            Self::StoreFailed => "STORE_FAILED",
            Self::NoTrustPurchase => "NO_TRUST_PURCHASE",
            Self::NotPromoter => "NOT_PROMOTER",
            Self::TooManySearches => "TOO_MANY_SEARCHES",
            Self::ReportTooOld => "REPORT_TOO_OLD",
            Self::ExposureInFuture => "EXPOSURE_IN_FUTURE",
            Self::UnknownProgramme => "UNKNOWN_PROGRAMME",
            Self::ProgrammeWithout => "PROGRAMME_WITHOUT",
            Self::ScenesBeyondBudget => "SCENES_BEYOND_BUDGET",
            Self::NotMember => "NOT_MEMBER",
            Self::GuaranteeRuns => "GUARANTEE_RUNS",
            Self::PackageShort => "PACKAGE_SHORT",
            Self::SessionOver => "SESSION_OVER",
            Self::CredentialsMissing => "CREDENTIALS_MISSING",
            Self::CredentialsInvalid => "CREDENTIALS_INVALID",
            Self::CredentialsExpired => "CREDENTIALS_EXPIRED",
            Self::RoleMissing => "ROLE_MISSING",
            Self::RateLimited => "RATE_LIMITED",
            Self::TooManyCalls => "TOO_MANY_CALLS",
        }
    }

    /// The code it is sent with.
    #[must_use]
    pub fn code(self) -> Code {
        Self::ALL.iter().find(|(reason, _)| *reason == self).map_or(Code::Internal, |(_, code)| *code)
    }
}

fn reason_of(rejection: &Rejection) -> Reason {
    match rejection {
        Rejection::NotFound { .. } => Reason::NotRegistered,
        Rejection::EtagMismatch { .. } => Reason::EtagMismatch,
        Rejection::UnknownCounter { .. } => Reason::UnknownCounter,
        Rejection::DayInFuture { .. } => Reason::DayInFuture,
        Rejection::ViolationExists { .. } => Reason::ViolationExists,
        Rejection::OccursInFuture => Reason::OccursInFuture,
        Rejection::RequestIdReused => Reason::RequestIdReused,
        Rejection::DayNotOver { .. } => Reason::DayNotOver,
        Rejection::DayAlreadyClosed { .. } => Reason::DayAlreadyClosed,
        Rejection::TransitionPending | Rejection::NothingToActivate { .. } => Reason::TransitionPending,
        Rejection::ImportGap { .. } => Reason::ImportGap,
        Rejection::BadPolicy { .. } => Reason::BadPolicy,
        Rejection::NoProgrammeBit { .. } => Reason::NoProgrammeBit,
        Rejection::SessionOver { .. } => Reason::SessionOver,
        Rejection::ReportTooOld { .. } => Reason::ReportTooOld,
        Rejection::ExposureInFuture { .. } => Reason::ExposureInFuture,
        Rejection::UnknownProgramme { .. } => Reason::UnknownProgramme,
        Rejection::ProgrammeWithout { .. } => Reason::ProgrammeWithout,
        Rejection::ScenesBeyondBudget { .. } => Reason::ScenesBeyondBudget,
        Rejection::NotMember { .. } => Reason::NotMember,
        Rejection::GuaranteeRuns { .. } => Reason::GuaranteeRuns,
        Rejection::PackageShort { .. } => Reason::PackageShort,
    }
}

fn status(reason: Reason, text: String, retry: Option<Duration>) -> Status {
    let mut details = ErrorDetails::with_error_info(reason.name(), DOMAIN, HashMap::<String, String>::new());
    if let Some(retry) = retry {
        details.set_retry_info(Some(retry));
    }
    Status::with_error_details(reason.code(), text, details)
}

/// A refusal that ends by itself.
pub(super) fn retry(reason: Reason, text: &str, after_ms: u64) -> Status {
    status(reason, text.to_owned(), Some(Duration::from_millis(after_ms)))
}

/// A rejection of a whole request.
#[must_use]
pub fn rejected_status(rejection: &Rejection) -> Status {
    let reason = reason_of(rejection);
    if let Rejection::ReportTooOld { row, .. } | Rejection::ExposureInFuture { row, .. } = rejection {
        let mut details = ErrorDetails::with_error_info(reason.name(), DOMAIN, HashMap::<String, String>::new());
        details.add_bad_request_violation(format!("rows[{row}].occurred_at"), rejection.to_string());
        return Status::with_error_details(reason.code(), rejection.to_string(), details);
    }
    let retry = (reason == Reason::TransitionPending).then_some(Duration::from_secs(1));
    status(reason, rejection.to_string(), retry)
}

/// Bytes of the problems that an error carries. Errors travel in the headers of HTTP/2, which callers limit to 16 KiB;
/// `ValidatePolicy` answers every problem, however many there are.
const MAX_PROBLEM_BYTES: usize = 4_096;

/// A policy text that has problems. The fields are `file:line`.
#[must_use]
pub fn bad_policy(problems: &[policy::Problem]) -> Status {
    let mut details = ErrorDetails::new();
    let mut bytes = 0;
    for problem in problems {
        let (field, description) =
            (format!("{}:{}", problem.file, problem.line), format!("{}; {}", problem.message, problem.suggestion));
        bytes += field.len() + description.len();
        if bytes > MAX_PROBLEM_BYTES {
            break;
        }
        details.add_bad_request_violation(field, description);
    }
    details.set_error_info(Reason::BadPolicy.name(), DOMAIN, HashMap::<String, String>::new());
    let first: String = problems.first().map(ToString::to_string).unwrap_or_default().chars().take(300).collect();
    let text = match problems.len() {
        1 => format!("the policy has a problem: {first}"),
        count => format!("the policy has {count} problems; ValidatePolicy answers all of them; the first: {first}"),
    };
    Status::with_error_details(Reason::BadPolicy.code(), text, details)
}

/// A profile that is not registered.
#[must_use]
pub fn not_registered(key: ProfileKey) -> Status {
    rejected_status(&Rejection::not_found(key))
}

/// A write that was not taken.
#[must_use]
pub fn write_status(error: &WriteError) -> Status {
    if matches!(error, WriteError::ClockWouldGoBack { .. }) {
        let (field, reason) = ("to".to_owned(), Reason::BadRequest);
        return bad_request(&[Problem { field, description: error.to_string(), reason }]);
    }
    let (reason, retry) = match error {
        WriteError::QueueFull { retry_ms } => (Reason::QueueFull, Some(Duration::from_millis(u64::from(*retry_ms)))),
        WriteError::Poisoned { .. } => (Reason::WritesPoisoned, None),
        WriteError::ClockJumped { .. } => (Reason::ClockJumped, None),
        WriteError::ShuttingDown => (Reason::ShuttingDown, Some(Duration::from_secs(1))),
        WriteError::ClockNotSimulated => (Reason::ClockNotSimulated, None),
        WriteError::ClockWouldGoBack { .. } => (Reason::BadRequest, None),
    };
    status(reason, error.to_string(), retry)
}

/// A read that was not answered.
#[must_use]
pub fn read_status(error: &ReadError) -> Status {
    match error {
        ReadError::RevisionNotReached { .. } => {
            status(Reason::RevisionNotReached, error.to_string(), Some(Duration::from_millis(100)))
        }
        ReadError::Store(_) => status(Reason::StoreFailed, error.to_string(), None),
        // Nobody hears of it.
        ReadError::Abandoned => Status::cancelled(error.to_string()),
    }
}

/// A call that did not pass the gate.
#[must_use]
pub fn denied_status(denial: &Denial) -> Status {
    let reason = match denial {
        Denial::Missing => Reason::CredentialsMissing,
        Denial::Invalid(_) => Reason::CredentialsInvalid,
        Denial::Expired => Reason::CredentialsExpired,
        Denial::WrongRole { .. } => Reason::RoleMissing,
    };
    status(reason, denial.to_string(), None)
}

/// A store that cannot be read.
#[must_use]
pub fn store_status(error: &StoreError) -> Status {
    status(Reason::StoreFailed, error.to_string(), None)
}

/// Why there is no status of Trust Purchase.
pub(super) fn trust_purchase_status(error: &TrustPurchaseError) -> Status {
    let reason = match error {
        TrustPurchaseError::NoProgramme => Reason::NoTrustPurchase,
        TrustPurchaseError::NotPromoter { .. } => Reason::NotPromoter,
        TrustPurchaseError::NotRegistered(_) => Reason::NotRegistered,
    };
    status(reason, error.to_string(), None)
}

/// A search that was not begun.
#[must_use]
pub fn too_many_searches() -> Status {
    let text = "as many searches are under way as the server does at a time; try again".to_owned();
    status(Reason::TooManySearches, text, Some(Duration::from_millis(200)))
}

/// A call beyond what the server takes a second.
#[must_use]
pub fn rate_limited(after: Duration) -> Status {
    status(Reason::RateLimited, "more calls a second than are taken; try again later".to_owned(), Some(after))
}

/// A call beyond what the server takes at a time.
#[must_use]
pub fn too_many_calls() -> Status {
    let text = "as many calls are under way as the server takes at a time; try again".to_owned();
    status(Reason::TooManyCalls, text, Some(Duration::from_millis(200)))
}

/// The status of one item of a batch.
#[must_use]
pub fn rejection_to_item(result: &Result<(), Rejection>) -> pb::Status {
    match result {
        Ok(()) => pb::Status { code: 0, message: String::new(), details: Vec::new() },
        Err(rejection) => to_pb(reason_of(rejection), rejection.to_string()),
    }
}

/// The status of one item whose fields are wrong.
#[must_use]
pub fn item_status(problems: &[Problem]) -> pb::Status {
    // Several things wrong are a bad request; one kind of thing keeps its reason.
    let first = problems.first().map_or(Reason::BadRequest, |problem| problem.reason);
    let reason = if problems.iter().all(|problem| problem.reason == first) { first } else { Reason::BadRequest };
    let mut status = to_pb(reason, message(problems));
    let violation = |problem: &Problem| pb::bad_request::FieldViolation {
        field: problem.field.clone(),
        description: problem.description.clone(),
        ..pb::bad_request::FieldViolation::default()
    };
    let fields = pb::BadRequest { field_violations: problems.iter().map(violation).collect() };
    status.details.push(detail("BadRequest", &fields));
    status
}

fn to_pb(reason: Reason, message: String) -> pb::Status {
    let info = pb::ErrorInfo { reason: reason.name().to_owned(), domain: DOMAIN.to_owned(), metadata: HashMap::new() };
    pb::Status { code: i32::from(reason.code()), message, details: vec![detail("ErrorInfo", &info)] }
}

/// A detail of `google.rpc`.
fn detail(name: &str, message: &impl prost::Message) -> prost_types::Any {
    prost_types::Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value: message.encode_to_vec() }
}

/// The items of a batch: which were refused before anything was written, and why.
#[derive(Default)]
pub struct Batch {
    refused: Vec<Option<pb::Status>>,
}

impl Batch {
    /// Notes the next item: right, or wrong for these problems.
    pub(super) fn push(&mut self, problems: Option<&[Problem]>) {
        self.refused.push(problems.map(item_status));
    }

    /// A mark of which items were refused, to be part of what a repeated request must repeat: a policy published in
    /// between can turn a refused item into a right one.
    #[must_use]
    pub fn mark(&self) -> u128 {
        let refused: Vec<u8> = self.refused.iter().map(|status| u8::from(status.is_some())).collect();
        if refused.contains(&1) { xxhash_rust::xxh3::xxh3_128(&refused) } else { 0 }
    }

    /// One status per item, in request order, from what applying the right ones came to.
    ///
    /// # Errors
    /// `INTERNAL` when there are fewer results than right items, which no command comes to.
    pub fn statuses(self, results: &[Result<(), Rejection>]) -> Result<Vec<proto::ItemStatus>, Status> {
        let mut results = results.iter();
        let mut statuses = Vec::with_capacity(self.refused.len());
        for (index, refused) in (0_u32..).zip(self.refused) {
            let status = refused.or_else(|| results.next().map(rejection_to_item));
            let status = status.ok_or_else(|| Status::internal("an item has no result; please report this"))?;
            statuses.push(proto::ItemStatus { index, status: Some(status) });
        }
        Ok(statuses)
    }
}
