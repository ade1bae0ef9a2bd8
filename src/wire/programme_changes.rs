//! What operators do to programmes, and packages: requests → commands.

use tonic::Status;

use super::profiles::{etag, expected_revision};
use super::programmes::optional_scene;
use super::scoring;
use super::time::optional_time;
use super::validate::Fields;
use crate::domain::{Body, MerchantId, ProgrammeChange, Scene};
use crate::proto;

/// Longest reason, in bytes.
const MAX_REASON: usize = 4_096;

/// What every change of a programme says beside what it does.
struct Said<'a> {
    id: &'a str,
    etag: &'a str,
    reason: &'a str,
    author: &'a str,
}

fn why(fields: &mut Fields, reason: &str, author: &str) {
    let is_given = !reason.trim().is_empty() && reason.len() <= MAX_REASON;
    fields.check(is_given, "reason", "must have 1 to 4096 bytes");
    fields.text("author", author);
}

fn change(mut fields: Fields, said: &Said, change: ProgrammeChange) -> Result<Body, Status> {
    fields.check(!said.id.is_empty(), "id", "must be given");
    why(&mut fields, said.reason, said.author);
    let expected_revision = expected_revision(&mut fields, said.etag);
    fields.finish()?;
    Ok(Body::ChangeProgramme {
        programme: said.id.to_owned(),
        change,
        expected_revision,
        author: said.author.to_owned(),
        reason: said.reason.to_owned(),
    })
}

/// The command of a `PauseProgramme`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn pause(request: &proto::PauseProgrammeRequest) -> Result<Body, Status> {
    let proto::PauseProgrammeRequest { id, etag, reason, author, .. } = request;
    change(Fields::default(), &Said { id, etag, reason, author }, ProgrammeChange::Pause)
}

/// The command of a `ResumeProgramme`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn resume(request: &proto::ResumeProgrammeRequest) -> Result<Body, Status> {
    let proto::ResumeProgrammeRequest { id, etag, reason, author, .. } = request;
    change(Fields::default(), &Said { id, etag, reason, author }, ProgrammeChange::Resume)
}

/// The command of an `AdjustBudget`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn adjust(request: &proto::AdjustBudgetRequest) -> Result<Body, Status> {
    let mut fields = Fields::default();
    let scene = optional_scene(&mut fields, request.scene);
    let is_one = request.exposures.is_some() != request.reset;
    fields.check(is_one, "exposures", "must be given, or reset must be set, not both");
    let proto::AdjustBudgetRequest { id, etag, reason, author, exposures, .. } = request;
    let adjust = ProgrammeChange::AdjustBudget { scene, exposures: *exposures };
    change(fields, &Said { id, etag, reason, author }, adjust)
}

/// The etag of a programme that was changed at a revision.
#[must_use]
pub fn programme_etag(revision: u64) -> String {
    etag(revision)
}

/// The command of a `GrantPackage`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn grant(request: &proto::GrantPackageRequest) -> Result<Body, Status> {
    let mut fields = Fields::default();
    fields.id("merchant_id", request.merchant_id);
    fields.check(request.exposures > 0, "exposures", "must be at least 1");
    why(&mut fields, &request.reason, &request.author);
    let expires_at = optional_time(&mut fields, "expires_at", request.expires_at);
    fields.finish()?;
    Ok(Body::GrantPackage {
        merchant: MerchantId(request.merchant_id),
        exposures: request.exposures,
        expires_at,
        author: request.author.clone(),
        reason: request.reason.clone(),
    })
}

fn moved(merchant: u64, scene: i32, exposures: u64, is_release: bool) -> Result<Body, Status> {
    let mut fields = Fields::default();
    fields.id("merchant_id", merchant);
    let scene: Scene = scoring::scene(&mut fields, "scene", scene);
    fields.check(exposures > 0, "exposures", "must be at least 1");
    fields.finish()?;
    Ok(Body::AssignPackage { merchant: MerchantId(merchant), scene, exposures, is_release })
}

/// The command of an `AssignPackage`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn assign(request: &proto::AssignPackageRequest) -> Result<Body, Status> {
    moved(request.merchant_id, request.scene, request.exposures, false)
}

/// The command of a `ReleasePackage`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field.
pub fn release(request: &proto::ReleasePackageRequest) -> Result<Body, Status> {
    moved(request.merchant_id, request.scene, request.exposures, true)
}

/// Checks the id of a merchant.
///
/// # Errors
/// `INVALID_ARGUMENT` when it is 0.
pub fn merchant_id(id: u64) -> Result<(), Status> {
    let mut fields = Fields::default();
    fields.id("merchant_id", id);
    fields.finish()
}
