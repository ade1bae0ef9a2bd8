//! Outcomes and rejections ⇄ protobuf.

use super::nouns::decision;
use super::{DecodeProblem, known, pb, required};
use crate::domain::{ChunkOutcome, CounterId, Day, MerchantId, Outcome, PolicyOutcome, Rejection, Timestamp};

impl From<&Outcome> for pb::Outcome {
    fn from(outcome: &Outcome) -> Self {
        use pb::outcome::Kind;
        let kind = match outcome {
            Outcome::Done => Kind::Done(pb::Done {}),
            Outcome::Items(items) => Kind::Items(pb::ItemOutcomes {
                taken: items.iter().map(Result::is_ok).collect(),
                rejections: items.iter().filter_map(|item| item.as_ref().err()).map(Into::into).collect(),
            }),
            Outcome::Violation(decision) => Kind::Violation(pb::Decision::from(*decision).into()),
            Outcome::Chunk(chunk) => Kind::Chunk(chunk.into()),
            Outcome::Policy(PolicyOutcome { version, policy_revision, is_unchanged }) => {
                Kind::Policy(pb::PolicyOutcome {
                    version: *version,
                    policy_revision: *policy_revision,
                    is_unchanged: *is_unchanged,
                })
            }
            Outcome::Rejected(rejection) => Kind::Rejected(rejection.into()),
            Outcome::Session(session) => Kind::Session(*session),
            Outcome::Leases(granted) => Kind::Leases(pb::Leases { granted: granted.clone() }),
            Outcome::Report(report) => Kind::Report(report.into()),
            Outcome::Package(number) => Kind::Package(*number),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::Outcome> for Outcome {
    type Error = DecodeProblem;

    fn try_from(message: pb::Outcome) -> Result<Self, DecodeProblem> {
        use pb::outcome::Kind;
        Ok(match required(message.kind, "outcome.kind")? {
            Kind::Done(pb::Done {}) => Self::Done,
            Kind::Items(items) => Self::Items(item_outcomes(items)?),
            Kind::Violation(value) => Self::Violation(decision(value, "outcome.violation")?),
            Kind::Chunk(chunk) => Self::Chunk(chunk.try_into()?),
            Kind::Policy(pb::PolicyOutcome { version, policy_revision, is_unchanged }) => {
                Self::Policy(PolicyOutcome { version, policy_revision, is_unchanged })
            }
            Kind::Rejected(rejection) => Self::Rejected(rejection.try_into()?),
            Kind::Session(session) => Self::Session(session),
            Kind::Leases(leases) => Self::Leases(leases.granted),
            Kind::Report(report) => Self::Report(report.into()),
            Kind::Package(number) => Self::Package(number),
        })
    }
}

fn item_outcomes(message: pb::ItemOutcomes) -> Result<Vec<Result<(), Rejection>>, DecodeProblem> {
    const REJECTIONS: &str = "outcome.items.rejections";
    let mut rejections = message.rejections.into_iter();
    let mut items = Vec::with_capacity(message.taken.len());
    for taken in message.taken {
        items.push(if taken { Ok(()) } else { Err(required(rejections.next(), REJECTIONS)?.try_into()?) });
    }
    match rejections.next() {
        None => Ok(items),
        Some(_) => Err(DecodeProblem::invalid(REJECTIONS, "are more than the items refused")),
    }
}

impl From<&ChunkOutcome> for pb::ChunkOutcome {
    fn from(chunk: &ChunkOutcome) -> Self {
        let refused = |(position, rejection): &(u32, Rejection)| pb::RefusedItem {
            position: *position,
            rejection: Some(rejection.into()),
        };
        Self {
            skipped: chunk.skipped,
            profiles: chunk.profiles.iter().map(refused).collect(),
            rows: chunk.rows.iter().map(refused).collect(),
        }
    }
}

impl TryFrom<pb::ChunkOutcome> for ChunkOutcome {
    type Error = DecodeProblem;

    fn try_from(message: pb::ChunkOutcome) -> Result<Self, DecodeProblem> {
        let refused = |item: pb::RefusedItem| -> Result<(u32, Rejection), DecodeProblem> {
            Ok((item.position, required(item.rejection, "refused_item.rejection")?.try_into()?))
        };
        Ok(Self {
            skipped: message.skipped,
            profiles: message.profiles.into_iter().map(refused).collect::<Result<_, _>>()?,
            rows: message.rows.into_iter().map(refused).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Rejection> for pb::Rejection {
    fn from(rejection: &Rejection) -> Self {
        use pb::rejection::Kind;
        let plain = |plain: pb::Plainly| Kind::Plain(plain.into());
        let kind = match rejection {
            Rejection::NotFound { what, id } => Kind::NotFound(pb::NotFound { what: what.clone(), id: *id }),
            Rejection::EtagMismatch { actual } => Kind::EtagMismatch(*actual),
            Rejection::UnknownCounter { counter } => Kind::UnknownCounter(counter.0.into()),
            Rejection::DayInFuture { day, latest } => {
                Kind::DayInFuture(pb::DayInFuture { day: day.0, latest: latest.0 })
            }
            Rejection::ViolationExists { id } => Kind::ViolationExists(*id),
            Rejection::OccursInFuture => plain(pb::Plainly::OccursInFuture),
            Rejection::RequestIdReused => plain(pb::Plainly::RequestIdReused),
            Rejection::TransitionPending => plain(pb::Plainly::TransitionPending),
            Rejection::DayNotOver { day } => Kind::DayNotOver(day.0),
            Rejection::DayAlreadyClosed { day, last } => {
                Kind::DayAlreadyClosed(pb::DayAlreadyClosed { day: day.0, last: last.0 })
            }
            Rejection::NothingToActivate { began } => Kind::NothingToActivate(*began),
            Rejection::ImportGap { sequence, committed } => {
                Kind::ImportGap(pb::ImportGap { sequence: *sequence, committed: *committed })
            }
            Rejection::BadPolicy { problem } => Kind::BadPolicy(problem.clone()),
            Rejection::NoProgrammeBit { shortage } => Kind::NoProgrammeBit(shortage.clone()),
            Rejection::SessionOver { session } => Kind::SessionOver(*session),
            Rejection::ReportTooOld { row, oldest } => Kind::ReportTooOld(pb::RowTime { row: *row, limit: oldest.0 }),
            Rejection::ExposureInFuture { row, latest } => {
                Kind::ExposureInFuture(pb::RowTime { row: *row, limit: latest.0 })
            }
            Rejection::UnknownProgramme { programme } => Kind::UnknownProgramme(programme.clone()),
            Rejection::ProgrammeWithout { programme, what } => {
                Kind::ProgrammeWithout(pb::ProgrammeWithout { programme: programme.clone(), what: what.clone() })
            }
            Rejection::ScenesBeyondBudget { programme, scenes, total } => {
                let (programme, scenes, total) = (programme.clone(), *scenes, *total);
                Kind::ScenesBeyondBudget(pb::ScenesBeyondBudget { programme, scenes, total })
            }
            Rejection::NotMember { merchant } => Kind::NotMember(merchant.0),
            Rejection::GuaranteeRuns { merchant, until } => {
                Kind::GuaranteeRuns(pb::GuaranteeRuns { merchant: merchant.0, until: until.0 })
            }
            Rejection::PackageShort { available } => Kind::PackageShort(*available),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::Rejection> for Rejection {
    type Error = DecodeProblem;

    fn try_from(message: pb::Rejection) -> Result<Self, DecodeProblem> {
        use pb::rejection::Kind;
        Ok(match required(message.kind, "rejection.kind")? {
            Kind::NotFound(pb::NotFound { what, id }) => Self::NotFound { what, id },
            Kind::EtagMismatch(actual) => Self::EtagMismatch { actual },
            Kind::UnknownCounter(counter) => {
                Self::UnknownCounter { counter: counter_id(counter, "rejection.unknown_counter")? }
            }
            Kind::DayInFuture(pb::DayInFuture { day, latest }) => {
                Self::DayInFuture { day: Day(day), latest: Day(latest) }
            }
            Kind::ViolationExists(id) => Self::ViolationExists { id },
            Kind::Plain(plain) => match known(plain, "rejection.plain")? {
                pb::Plainly::OccursInFuture => Self::OccursInFuture,
                pb::Plainly::RequestIdReused => Self::RequestIdReused,
                pb::Plainly::TransitionPending => Self::TransitionPending,
                pb::Plainly::Unspecified => return Err(DecodeProblem::Missing { field: "rejection.plain" }),
            },
            Kind::DayNotOver(day) => Self::DayNotOver { day: Day(day) },
            Kind::DayAlreadyClosed(pb::DayAlreadyClosed { day, last }) => {
                Self::DayAlreadyClosed { day: Day(day), last: Day(last) }
            }
            Kind::NothingToActivate(began) => Self::NothingToActivate { began },
            Kind::ImportGap(pb::ImportGap { sequence, committed }) => Self::ImportGap { sequence, committed },
            Kind::BadPolicy(problem) => Self::BadPolicy { problem },
            Kind::NoProgrammeBit(shortage) => Self::NoProgrammeBit { shortage },
            Kind::SessionOver(session) => Self::SessionOver { session },
            Kind::ReportTooOld(pb::RowTime { row, limit }) => Self::ReportTooOld { row, oldest: Timestamp(limit) },
            Kind::ExposureInFuture(pb::RowTime { row, limit }) => {
                Self::ExposureInFuture { row, latest: Timestamp(limit) }
            }
            Kind::UnknownProgramme(programme) => Self::UnknownProgramme { programme },
            Kind::ScenesBeyondBudget(pb::ScenesBeyondBudget { programme, scenes, total }) => {
                Self::ScenesBeyondBudget { programme, scenes, total }
            }
            Kind::ProgrammeWithout(pb::ProgrammeWithout { programme, what }) => {
                Self::ProgrammeWithout { programme, what }
            }
            Kind::NotMember(merchant) => Self::NotMember { merchant: MerchantId(merchant) },
            Kind::GuaranteeRuns(pb::GuaranteeRuns { merchant, until }) => {
                Self::GuaranteeRuns { merchant: MerchantId(merchant), until: Timestamp(until) }
            }
            Kind::PackageShort(available) => Self::PackageShort { available },
        })
    }
}

fn counter_id(value: u32, field: &'static str) -> Result<CounterId, DecodeProblem> {
    let id = u16::try_from(value).map_err(|_| DecodeProblem::invalid(field, format!("{value} is out of range")))?;
    Ok(CounterId(id))
}
