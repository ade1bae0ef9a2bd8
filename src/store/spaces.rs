//! The keyspaces of the store and how each is tuned.

use fjall::config::{BlockSizePolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions};

const MIB: u64 = 1 << 20;

/// A keyspace of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// Applied revision, clock, dictionary, transition.
    Meta,
    /// Policy versions.
    Policy,
    /// Profiles of every kind.
    Profiles,
    /// Window sums.
    Windows,
    /// Rights by merchant.
    Rights,
    /// Violations by merchant.
    Violations,
    /// Remembered write requests.
    Requests,
    /// Imports under way.
    Imports,
    /// Facts by day and subject.
    Facts,
    /// Accounts, guarantees, packages, and what reports add up to.
    Ledgers,
    /// Remembered reports of exposures.
    Reports,
    /// Entries of the audit trail.
    Audit,
}

impl Space {
    /// How many there are.
    const COUNT: usize = 12;
    /// All of them, in index order.
    pub(super) const ALL: [Self; Self::COUNT] = [
        Self::Meta,
        Self::Policy,
        Self::Profiles,
        Self::Windows,
        Self::Rights,
        Self::Violations,
        Self::Requests,
        Self::Imports,
        Self::Facts,
        Self::Ledgers,
        Self::Reports,
        Self::Audit,
    ];

    /// Its name in the database and in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Policy => "policy",
            Self::Profiles => "profiles",
            Self::Windows => "windows",
            Self::Rights => "rights",
            Self::Violations => "violations",
            Self::Requests => "requests",
            Self::Imports => "imports",
            Self::Facts => "facts",
            Self::Ledgers => "ledgers",
            Self::Reports => "reports",
            Self::Audit => "audit",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Meta => 0,
            Self::Policy => 1,
            Self::Profiles => 2,
            Self::Windows => 3,
            Self::Rights => 4,
            Self::Violations => 5,
            Self::Requests => 6,
            Self::Imports => 7,
            Self::Facts => 8,
            Self::Ledgers => 9,
            Self::Reports => 10,
            Self::Audit => 11,
        }
    }

    fn options(self) -> KeyspaceCreateOptions {
        match self {
            Self::Facts => looked_up(),
            Self::Profiles | Self::Windows => scanned(32 * MIB),
            Self::Requests | Self::Ledgers | Self::Reports | Self::Audit => scanned(16 * MIB),
            Self::Meta | Self::Policy | Self::Rights | Self::Violations | Self::Imports => scanned(8 * MIB),
        }
    }
}

/// Read one by one while rows are merged, and in ranges of days.
fn looked_up() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(64 * MIB)
}

/// Read as a whole at the start and never one by one: large blocks, no filters.
fn scanned(memtable_bytes: u64) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(memtable_bytes)
        .filter_policy(FilterPolicy::all(FilterPolicyEntry::None))
        .data_block_size_policy(BlockSizePolicy::all(32 * 1_024))
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
}

/// The store's keyspaces, opened.
#[derive(Clone)]
pub(super) struct Spaces([Keyspace; Space::COUNT]);

impl Spaces {
    /// Opens them, creating those that there are not.
    pub(super) fn open(db: &Database) -> Result<Self, fjall::Error> {
        let mut opened = Vec::with_capacity(Space::COUNT);
        for space in Space::ALL {
            opened.push(db.keyspace(space.name(), || space.options())?);
        }
        // One was pushed per element of an array of this length.
        Ok(Self(opened.try_into().map_err(|_| fjall::Error::Unrecoverable)?))
    }

    /// The keyspace.
    #[expect(clippy::indexing_slicing, reason = "an index below the length of the array")]
    pub(super) fn of(&self, space: Space) -> &Keyspace {
        &self.0[space.index()]
    }
}
