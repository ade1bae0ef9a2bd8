//! Commands: what the one ordered log holds, and what applying one comes to.

use super::{
    CounterId, Day, DayFacts, Decision, ExposureRow, FactKey, FieldMask, HeldRight, ItemId, ItemKind, MerchantId,
    NewGuarantee, PolicyOutcome, PolicyPublish, Profile, ProfileKey, ProgrammeChange, Renewal, ReportOutcome, Scene,
    Subject, Timestamp, Violation,
};

/// Version of the meaning of commands that this program writes. Since 2, a policy text that was published before keeps
/// its version. Since 3, every command of a caller says who asked, with a request id or without.
pub const SEMANTICS: u32 = 3;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// When the writer took it; state time moves to it.
    pub stamp: Timestamp,
    /// The node that wrote it.
    pub node: u32,
    /// Version of its meaning.
    pub semantics: u32,
    /// Who asked for it; none means the server itself.
    pub request: Option<RequestKey>,
    /// What to do.
    pub body: Body,
}

/// Who asks for a write, and which request it is: repeating one with an id answers the first outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// Who sent it; empty for anonymous callers.
    pub identity: String,
    /// The address it came from, without the port; empty where that is not known.
    pub peer: String,
    /// The method called.
    pub method: String,
    /// The caller's id for it, at most 128 bytes; empty means it is never a duplicate.
    pub request_id: String,
    /// Hash of the payload: the same id with another payload is refused.
    pub payload_hash: u128,
}

impl RequestKey {
    /// Whether it can be told from others, and so be a duplicate.
    #[must_use]
    pub fn has_id(&self) -> bool {
        !self.request_id.is_empty()
    }

    /// What it is remembered by: a repetition may come from another address.
    #[must_use]
    pub fn without_peer(&self) -> Self {
        let Self { identity, method, request_id, payload_hash, .. } = self;
        let (identity, method, request_id) = (identity.clone(), method.clone(), request_id.clone());
        Self { identity, peer: String::new(), method, request_id, payload_hash: *payload_hash }
    }
}

/// What a command does.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Nothing but moving time.
    Tick,
    /// Creates or updates profiles.
    UpsertProfiles {
        /// The profiles, each with the revision it must still have.
        profiles: Vec<Upsert>,
        /// Fields to change; none replaces all.
        mask: Option<FieldMask>,
    },
    /// Removes a profile.
    DeleteProfile {
        /// Which.
        key: ProfileKey,
        /// The revision it must still have, if any.
        expected_revision: Option<u64>,
    },
    /// Records facts.
    RecordFacts {
        /// Target-days.
        rows: Vec<FactRow>,
    },
    /// Records a violation. Its decision field is what `apply` makes it.
    RecordViolation(Violation),
    /// Revokes a violation.
    RevokeViolation {
        /// Whose.
        merchant: MerchantId,
        /// Which.
        violation_id: u64,
    },
    /// Replaces the rights of a merchant.
    SetRights {
        /// Whose.
        merchant: MerchantId,
        /// All of them.
        rights: Vec<HeldRight>,
    },
    /// One chunk of an import.
    ImportChunk {
        /// Names the import.
        import_id: String,
        /// Position in it, from 1.
        sequence: u64,
        /// Profiles to create or replace.
        profiles: Vec<Profile>,
        /// Facts, applied after the profiles.
        rows: Vec<FactRow>,
    },
    /// Begins to move the windows to end with a day.
    CloseDay {
        /// The day.
        day: Day,
    },
    /// Begins to replace the policy, or has it replaced at its time.
    PublishPolicy(PolicyPublish),
    /// Lets an earlier version of the policy serve again, and drops the one that waits for its time.
    RollbackPolicy {
        /// Which.
        version: u64,
        /// The policy revision it follows from, if that matters.
        expected_revision: Option<u64>,
        /// Who asks for it.
        author: String,
        /// Why.
        reason: String,
    },
    /// Makes all weights neutral, or ends that.
    SetKillSwitch {
        /// Whether weights are neutral from now on.
        is_on: bool,
        /// Who asks for it.
        author: String,
        /// Why.
        reason: String,
    },
    /// Makes what `CloseDay`, `PublishPolicy` or `RollbackPolicy` began current.
    Activate {
        /// Revision of the command that began it.
        began: u64,
    },
    /// A node begins to serve. Leases of its earlier sessions are kept for reports still to come, then released.
    OpenSession,
    /// What a node gives back of its leases and asks for more.
    RenewLeases {
        /// Its session, which must be the last it opened.
        session: u32,
        /// What it wants of each account.
        renewals: Vec<Renewal>,
    },
    /// Exposures that were delivered.
    ReportExposures {
        /// What was shown.
        rows: Vec<ExposureRow>,
    },
    /// Changes a programme beside the policy.
    ChangeProgramme {
        /// Which, by id.
        programme: String,
        /// How.
        change: ProgrammeChange,
        /// Revision of the last change it follows from, 0 for none, if that matters.
        expected_revision: Option<u64>,
        /// Who asks for it.
        author: String,
        /// Why.
        reason: String,
    },
    /// Promises members of a programme the exposures of its guarantee, from now on.
    BeginGuarantees {
        /// Bit of the programme.
        bit: u8,
        /// To whom.
        guarantees: Vec<NewGuarantee>,
    },
    /// Gives a merchant a package of exposures.
    GrantPackage {
        /// Whose.
        merchant: MerchantId,
        /// How many.
        exposures: u64,
        /// What is not spent is void from then on; none keeps it for ever.
        expires_at: Option<Timestamp>,
        /// Who gives it.
        author: String,
        /// Why.
        reason: String,
    },
    /// Moves exposures of a merchant's packages to a scene, or back.
    AssignPackage {
        /// Whose.
        merchant: MerchantId,
        /// Which scene.
        scene: Scene,
        /// How many.
        exposures: u64,
        /// Back from the scene: only what is neither spent there nor leased.
        is_release: bool,
    },
}

/// A profile to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upsert {
    /// The profile; its revision field is not read.
    pub profile: Profile,
    /// The revision the stored profile must still have, if any.
    pub expected_revision: Option<u64>,
}

/// Facts of one subject on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactRow {
    /// Whom they are about.
    pub subject: Subject,
    /// The day.
    pub day: Day,
    /// The counters.
    pub facts: DayFacts,
}

impl FactRow {
    /// Where it stands.
    #[must_use]
    pub fn key(&self) -> FactKey {
        FactKey { day: self.day, subject: self.subject }
    }
}

/// The files of a policy: path inside the folder and content, sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyText {
    /// `embedded`, or the folder it was read from.
    pub source: String,
    /// The files.
    pub files: Vec<(String, String)>,
}

/// What applying a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done as asked.
    Done,
    /// A batch: one result per item.
    Items(Vec<Result<(), Rejection>>),
    /// A violation was recorded.
    Violation(Decision),
    /// An import chunk was taken.
    Chunk(ChunkOutcome),
    /// A change of policy was taken.
    Policy(PolicyOutcome),
    /// A session was opened: its number.
    Session(u32),
    /// Exposures granted to each renewal, in its order.
    Leases(Vec<u64>),
    /// Exposures were counted.
    Report(ReportOutcome),
    /// A package was given: its number.
    Package(u64),
    /// Nothing was changed.
    Rejected(Rejection),
}

impl Outcome {
    /// What it came to, unless it was rejected.
    ///
    /// # Errors
    /// Why it was rejected.
    pub fn accepted(self) -> Result<Self, Rejection> {
        if let Self::Rejected(rejection) = self { Err(rejection) } else { Ok(self) }
    }
}

/// What became of an import chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkOutcome {
    /// It had been taken before and was skipped.
    pub skipped: bool,
    /// Profiles that were refused, by position in the chunk's list.
    pub profiles: Vec<(u32, Rejection)>,
    /// Rows of facts that were refused, by position.
    pub rows: Vec<(u32, Rejection)>,
}

/// Why `apply` refused something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such profile, violation or policy version.
    #[error("{what} {id} is not registered")]
    NotFound {
        /// `merchant`, `product`, ...
        what: String,
        /// Its id.
        id: u64,
    },
    /// The profile or the policy changed since it was read.
    #[error("changed since it was read: its revision is {actual}")]
    EtagMismatch {
        /// The revision it has now; 0 if it is not registered.
        actual: u64,
    },
    /// A counter id that the policy's dictionary does not have.
    #[error("counter {} is not in the dictionary", counter.0)]
    UnknownCounter {
        /// The id.
        counter: CounterId,
    },
    /// Facts of a day that is too far ahead.
    #[error("day {day} is after tomorrow ({latest})")]
    DayInFuture {
        /// The day.
        day: Day,
        /// The last day facts may be of.
        latest: Day,
    },
    /// A violation id was used before.
    #[error("violation {id} is recorded already")]
    ViolationExists {
        /// The id.
        id: u64,
    },
    /// A violation cannot occur after state time.
    #[error("occurred_at is after the present state time")]
    OccursInFuture,
    /// The request id came with another payload before.
    #[error("request id was used with another payload")]
    RequestIdReused,
    /// The day to close is not over.
    #[error("day {day} is not over")]
    DayNotOver {
        /// The day.
        day: Day,
    },
    /// The day is closed already.
    #[error("day {day} is closed already; the last closed day is {last}")]
    DayAlreadyClosed {
        /// The day.
        day: Day,
        /// The last closed day.
        last: Day,
    },
    /// Another day or policy is being made current.
    #[error("another change of day or policy is still being prepared")]
    TransitionPending,
    /// `Activate` of something that is not being prepared.
    #[error("nothing that began at revision {began} is being prepared")]
    NothingToActivate {
        /// The revision named.
        began: u64,
    },
    /// A chunk came out of order.
    #[error("chunk {sequence} does not follow chunk {committed}")]
    ImportGap {
        /// The chunk sent.
        sequence: u64,
        /// The last one taken.
        committed: u64,
    },
    /// The policy text does not compile.
    #[error("policy does not compile: {problem}")]
    BadPolicy {
        /// The first problem.
        problem: String,
    },
    /// A programme finds no free bit.
    #[error("no programme bit is free: {shortage}")]
    NoProgrammeBit {
        /// Which bit comes free next, and when.
        shortage: String,
    },
    /// Leases are renewed by a session that another has followed.
    #[error("session {session} is not the current one of its node")]
    SessionOver {
        /// The session named.
        session: u32,
    },
    /// A row of a report occurred before the time that reports are remembered for.
    #[error("rows[{row}] occurred before {}, the earliest instant that can still be reported", oldest.0)]
    ReportTooOld {
        /// Position of the row.
        row: u32,
        /// The earliest instant that can be reported.
        oldest: Timestamp,
    },
    /// A row of a report lies ahead.
    #[error("rows[{row}] occurred after {}, 10 minutes ahead of state time", latest.0)]
    ExposureInFuture {
        /// Position of the row.
        row: u32,
        /// The last instant that can be reported.
        latest: Timestamp,
    },
    /// No programme of the serving policy has the id or bit.
    #[error("there is no programme {programme}")]
    UnknownProgramme {
        /// Its id, or `bit 7`.
        programme: String,
    },
    /// The programme has no such budget.
    #[error("programme {programme} has no {what}")]
    ProgrammeWithout {
        /// Its id.
        programme: String,
        /// `budget`, `budget of its own in mall`, `guarantee`.
        what: String,
    },
    /// Budgets of scenes would be more than the whole they are parts of.
    #[error(
        "the scenes' own budgets of {programme} would be {scenes} exposures together, of {total} over all: lower those \
         of the scenes first (adjust with a scene), raise the whole first, or pause the programme"
    )]
    ScenesBeyondBudget {
        /// Its id.
        programme: String,
        /// Exposures of the scenes' own budgets.
        scenes: u64,
        /// Exposures over all scenes.
        total: u64,
    },
    /// The merchant is not a member of the programme.
    #[error("merchant {} is not a member of the programme", merchant.0)]
    NotMember {
        /// Which.
        merchant: MerchantId,
    },
    /// A guarantee of the programme is running for the merchant.
    #[error("merchant {} has a guarantee of the programme until {}", merchant.0, until.0)]
    GuaranteeRuns {
        /// Which.
        merchant: MerchantId,
        /// When it ends.
        until: Timestamp,
    },
    /// Fewer exposures of packages can be moved.
    #[error("only {available} exposures can be moved")]
    PackageShort {
        /// How many can.
        available: u64,
    },
}

impl Rejection {
    /// A profile is not registered.
    #[must_use]
    pub fn not_found(key: ProfileKey) -> Self {
        let (what, id) = match key {
            ProfileKey::Merchant(id) => ("merchant", id.0),
            ProfileKey::Item(ItemId { kind: ItemKind::LiveRoom, id }) => ("live room", id),
            ProfileKey::Item(ItemId { kind: ItemKind::Product, id }) => ("product", id),
            ProfileKey::Item(ItemId { kind: ItemKind::ShortVideo, id }) => ("short video", id),
            ProfileKey::Provider(id) => ("service provider", id.0),
        };
        Self::NotFound { what: what.to_owned(), id }
    }
}
