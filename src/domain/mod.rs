//! The platform's nouns: ids, days and weeks, profiles, facts, violations and rights. Pure std, no I/O.
#![deny(clippy::arithmetic_side_effects, clippy::as_conversions)]

mod allocation;
mod audit;
mod command;
mod facts;
mod ids;
mod items;
mod merchant;
mod number;
mod policy;
mod profile;
mod right;
mod time;
mod violation;
mod wanted;
mod words;

pub use allocation::{
    AccountKey, BUCKET_MS, ExposureRow, NewGuarantee, ProgrammeChange, REPORT_AHEAD_MS, REPORT_WINDOW_DAYS,
    REPORT_WINDOW_MS, RESERVATION_MS, Renewal, ReportOutcome, ReservationId, Scope,
};
pub use audit::{AUDITED_SUBJECTS, AuditChange, AuditEntry, AuditSubject};
pub use command::{
    Body, ChunkOutcome, Command, FactRow, Outcome, PolicyText, Rejection, RequestKey, SEMANTICS, Upsert,
};
pub use facts::{CounterId, DayFacts, FIRST_FACTS_DAY, FactKey, MAX_CELLS_PER_ROW};
pub use ids::{ItemId, ItemKind, MerchantId, ProviderId, Scene, Subject, TargetKind};
pub use items::{Capability, LiveRoom, Product, ServiceProvider, ShortVideo};
pub use merchant::{Enrolment, Merchant, MerchantKind};
pub use number::{count_to_f64, share, to_f32};
pub use policy::{PolicyOutcome, PolicyPublish, PolicyState};
pub use profile::{
    FieldMask, LIVE_ROOM_FIELDS, MERCHANT_FIELDS, PRODUCT_FIELDS, PROVIDER_FIELDS, Profile, ProfileKey,
    SHORT_VIDEO_FIELDS,
};
pub use right::HeldRight;
pub use time::{DAY_MS, Day, HOUR_MS, Timestamp, WEEK_HOURS, Week};
pub use violation::{Decision, OrderContext, Violation};
pub use wanted::Wanted;
pub use words::Words;
