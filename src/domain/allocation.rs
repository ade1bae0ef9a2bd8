//! Words of allocation that commands speak: accounts, leases, reservations, reports of exposures (DESIGN section 7).

use super::{DAY_MS, Day, MerchantId, Scene, TargetKind, Timestamp};

/// Length of the span of time that a reservation's id names.
pub const BUCKET_MS: i64 = 10_000;
/// How long after the end of its bucket a reservation may be reported on time.
pub const RESERVATION_MS: i64 = 600_000;
/// Exposures may be reported so long after they occurred, and what a crash left undecided is kept for them so long.
pub const REPORT_WINDOW_DAYS: i32 = 7;
/// The same in milliseconds.
pub const REPORT_WINDOW_MS: i64 = 7 * DAY_MS;
/// Clocks of those who report may be ahead of the server's by this much.
pub const REPORT_AHEAD_MS: i64 = 600_000;

/// Whose part of a programme's exposures an account keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The budget over all scenes without their own.
    Programme,
    /// The budget of one scene.
    Scene(Scene),
    /// What members outside the long tail may use of the budget.
    Head,
    /// One member's share of the budget, in the budget's period. Kept without a limit, too: concentration is seen by it.
    Member(MerchantId),
    /// One member's cap, in the cap's period.
    Cap(MerchantId),
    /// The package that one merchant assigned to a scene.
    Wallet(MerchantId, Scene),
}

/// Names an account: a programme's exposures of one scope in one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey {
    /// Bit of the programme.
    pub bit: u8,
    /// Whose part.
    pub scope: Scope,
    /// First day of the period; day 0 where there is only one.
    pub period: Day,
}

/// Id of a reservation: the session of the node that granted it, the span of time in which, and a number that keeps
/// ids apart.
///
/// From the highest bit: 18 bits of session, 26 bits of bucket (tens of seconds since 2020-01-01T00:00:00Z), 20 bits of
/// sequence. 0 is no reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId(pub u64);

/// 2020-01-01T00:00:00Z.
const BUCKETS_FROM_MS: i64 = 1_577_836_800_000;
const SESSION_BITS: u32 = 18;
const BUCKET_BITS: u32 = 26;
const SEQUENCE_BITS: u32 = 20;
const SESSION_FROM: u32 = BUCKET_BITS + SEQUENCE_BITS;
const _: () = assert!(SESSION_BITS + SESSION_FROM == u64::BITS);

fn low(value: u64, bits: u32) -> u64 {
    value & 1_u64.wrapping_shl(bits).wrapping_sub(1)
}

impl ReservationId {
    /// The bucket of an instant.
    #[must_use]
    pub fn bucket_of(at: Timestamp) -> u32 {
        u32::try_from(at.0.saturating_sub(BUCKETS_FROM_MS).div_euclid(BUCKET_MS)).unwrap_or(0)
    }

    /// An id; parts beyond their bits are cut off.
    #[must_use]
    pub fn new(session: u32, bucket: u32, sequence: u32) -> Self {
        let session = low(u64::from(session), SESSION_BITS) << SESSION_FROM;
        let bucket = low(u64::from(bucket), BUCKET_BITS) << SEQUENCE_BITS;
        Self(session | bucket | low(u64::from(sequence), SEQUENCE_BITS))
    }

    /// The session it was granted in.
    #[must_use]
    pub fn session(self) -> u32 {
        u32::try_from(self.0 >> SESSION_FROM).unwrap_or(0)
    }

    /// The bucket it was granted in.
    #[must_use]
    pub fn bucket(self) -> u32 {
        u32::try_from(low(self.0 >> SEQUENCE_BITS, BUCKET_BITS)).unwrap_or(0)
    }

    /// The first instant of the bucket it was granted in.
    #[must_use]
    pub fn granted_from(self) -> Timestamp {
        Timestamp(BUCKETS_FROM_MS.saturating_add(i64::from(self.bucket()).saturating_mul(BUCKET_MS)))
    }

    /// The last instant at which a report of it is on time.
    #[must_use]
    pub fn deadline(self) -> Timestamp {
        Self::deadline_of(self.bucket())
    }

    /// The last instant at which a report of a reservation of a bucket is on time.
    #[must_use]
    pub fn deadline_of(bucket: u32) -> Timestamp {
        let end = i64::from(bucket).saturating_add(1).saturating_mul(BUCKET_MS);
        Timestamp(BUCKETS_FROM_MS.saturating_add(end).saturating_add(RESERVATION_MS))
    }
}

/// Exposures of one target in one scene, as delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposureRow {
    /// What the target is.
    pub kind: TargetKind,
    /// Its id.
    pub target: u64,
    /// For whom it counts; by default the owner.
    pub merchant: Option<MerchantId>,
    /// Where it was shown.
    pub scene: Scene,
    /// Version of the policy that answered.
    pub policy_version: u64,
    /// Bits of the programmes that each exposure counts against, as answered.
    pub programmes: u64,
    /// Reservations that were delivered, at most one per exposure.
    pub reservations: Vec<ReservationId>,
    /// Exposures.
    pub exposures: u64,
    /// Clicks.
    pub clicks: u64,
    /// Orders.
    pub orders: u64,
    /// Value of the orders, in fen.
    pub gmv_fen: u64,
    /// When they were shown.
    pub occurred_at: Timestamp,
}

/// What a node asks of one account. It charges in memory only what it holds a lease of, so that nothing that a crash
/// forgets can be spent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Which account.
    pub account: AccountKey,
    /// Exposures it wants to hold more.
    pub wanted: u64,
    /// Exposures it holds, has not charged, and gives back.
    pub returned: u64,
}

/// A change that operations make to a programme beside the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgrammeChange {
    /// It lifts nobody and charges nothing until it is resumed.
    Pause,
    /// It works again.
    Resume,
    /// Its budget, in every period, is this from now on.
    AdjustBudget {
        /// Of one scene; none for the budget over all scenes.
        scene: Option<Scene>,
        /// Exposures; none for what the policy says.
        exposures: Option<u64>,
    },
}

/// A guarantee that is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewGuarantee {
    /// To whom.
    pub merchant: MerchantId,
    /// Exposures that the forecast expects the merchant to be a candidate for within the period, if it knows.
    pub expected: Option<u64>,
}

/// What becomes of a report of exposures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportOutcome {
    /// It had been taken before: nothing was counted.
    pub is_duplicate: bool,
    /// Exposures of all its rows.
    pub exposures: u64,
    /// Of these, for reservations that came after their deadline.
    pub late: u64,
    /// Exposures that name no registered merchant, and for every bit of a programme that does not serve and of which no
    /// account is kept, its exposures.
    pub unattributed: u64,
    /// Exposures by which accounts went further beyond their limits, summed over accounts.
    pub over_budget: u64,
    /// Reservations that cannot be of their row, granted long before it or after: counted as exposures without one.
    pub mismatched: u64,
}

#[cfg(test)]
mod tests {
    use super::{BUCKET_MS, RESERVATION_MS, ReservationId};
    use crate::domain::Timestamp;

    #[test]
    fn a_deadline_follows_the_end_of_its_bucket() {
        let at = Timestamp(1_790_000_000_000);
        for (granted, bucket_begins) in [(at, at), (at.plus_ms(9_999), at), (at.plus_ms(10_000), at.plus_ms(10_000))] {
            let id = ReservationId::new(1, ReservationId::bucket_of(granted), 0);
            assert_eq!(id.granted_from(), bucket_begins);
            assert_eq!(id.deadline(), bucket_begins.plus_ms(BUCKET_MS + RESERVATION_MS));
        }
    }

    #[test]
    fn an_id_is_its_parts() {
        let at = Timestamp(1_790_000_000_000);
        let bucket = ReservationId::bucket_of(at);
        let id = ReservationId::new(77, bucket, 1_048_575);
        assert_eq!((id.session(), id.bucket()), (77, bucket));
        let deadline = id.deadline();
        assert!(deadline.0 > at.0 + RESERVATION_MS && deadline.0 <= at.0 + RESERVATION_MS + BUCKET_MS);
        assert_eq!(ReservationId::new((1 << 18) + 1, bucket, (1 << 20) + 3), ReservationId::new(1, bucket, 3));
    }
}
