//! Chunks of an import: columns → rows.

use tonic::Status;

use super::facts::{UNKNOWN_COUNTER, check_day};
use super::profiles::ProfileMessage;
use super::scoring::target_kind;
use super::status::{Reason, item_status, rejection_to_item};
use super::validate::{Fields, Problem};
use crate::domain::{
    Body, ChunkOutcome, CounterId, Day, DayFacts, FactRow, ItemId, ItemKind, MAX_CELLS_PER_ROW, MerchantId, Profile,
    Subject,
};
use crate::policy::Policy;
use crate::proto::{self, ImportSection};
use tonic_types::pb;

/// Most rows and profiles of one chunk.
const MAX_ITEMS: usize = 10_000;
/// Most refused items that are reported one by one.
const MAX_REPORTED: usize = 1_000;

/// Where an item of a chunk stood.
type Place = (ImportSection, u32);

/// A chunk that was checked: the command, and where its items stood.
pub struct CheckedChunk {
    /// The command.
    pub body: Body,
    sequence: u64,
    profiles: Vec<Place>,
    rows: Vec<Place>,
    wrong: Vec<(Place, pb::Status)>,
}

/// What became of an import so far.
#[derive(Debug, Default)]
pub struct ImportReport {
    /// The response being made.
    pub response: proto::ImportResponse,
}

impl ImportReport {
    /// Counts a chunk that was applied.
    pub fn applied(&mut self, chunk: ChunkPlaces, revision: u64, outcome: &ChunkOutcome) {
        let response = &mut self.response;
        response.revision = response.revision.max(revision);
        response.committed_sequence = response.committed_sequence.max(chunk.sequence);
        if outcome.skipped {
            response.skipped_chunks += 1;
            return;
        }
        let mut refused = chunk.wrong;
        let places = [(&chunk.profiles, &outcome.profiles), (&chunk.rows, &outcome.rows)];
        for (places, rejections) in places {
            for (index, rejection) in rejections {
                let place = usize::try_from(*index).ok().and_then(|index| places.get(index));
                refused.extend(place.map(|place| (*place, rejection_to_item(&Err(rejection.clone())))));
            }
        }
        let all = chunk.profiles.len() + chunk.rows.len();
        let by_state = outcome.profiles.len() + outcome.rows.len();
        response.accepted_items += (all - by_state.min(all)) as u64;
        response.rejected_items += refused.len() as u64;
        for ((section, index), status) in refused {
            if response.results.len() < MAX_REPORTED {
                response.results.push(proto::ImportItemStatus {
                    sequence: chunk.sequence,
                    section: i32::from(section),
                    index,
                    status: Some(status),
                });
            }
        }
    }
}

/// Where the items of a chunk stood, for reporting on it once it is applied.
pub struct ChunkPlaces {
    sequence: u64,
    profiles: Vec<Place>,
    rows: Vec<Place>,
    wrong: Vec<(Place, pb::Status)>,
}

impl CheckedChunk {
    /// The command, and the places of its items.
    #[must_use]
    pub fn split(self) -> (Body, ChunkPlaces) {
        let Self { body, sequence, profiles, rows, wrong } = self;
        (body, ChunkPlaces { sequence, profiles, rows, wrong })
    }
}

/// Checks a chunk; items that are wrong are left out and reported.
///
/// # Errors
/// `INVALID_ARGUMENT` when the chunk itself is malformed.
pub fn chunk(policy: &Policy, request: proto::ImportRequest) -> Result<CheckedChunk, Status> {
    let facts = request.facts.unwrap_or_default();
    check_chunk(&request.import_id, request.sequence, &facts, {
        request.merchants.len()
            + request.products.len()
            + request.live_rooms.len()
            + request.short_videos.len()
            + request.service_providers.len()
            + facts.ids.len()
    })?;
    let mut checked = Collected {
        profiles: Vec::new(),
        profile_places: Vec::new(),
        rows: Vec::new(),
        row_places: Vec::new(),
        wrong: Vec::new(),
    };
    checked.profiles(request.merchants, ImportSection::Merchants);
    checked.profiles(request.products, ImportSection::Products);
    checked.profiles(request.live_rooms, ImportSection::LiveRooms);
    checked.profiles(request.short_videos, ImportSection::ShortVideos);
    checked.profiles(request.service_providers, ImportSection::ServiceProviders);
    checked.facts(policy, &facts)?;
    Ok(CheckedChunk {
        body: Body::ImportChunk {
            import_id: request.import_id,
            sequence: request.sequence,
            profiles: checked.profiles,
            rows: checked.rows,
        },
        sequence: request.sequence,
        profiles: checked.profile_places,
        rows: checked.row_places,
        wrong: checked.wrong,
    })
}

fn check_chunk(import_id: &str, sequence: u64, facts: &proto::FactColumns, items: usize) -> Result<(), Status> {
    let mut fields = Fields::default();
    fields.check((1..=128).contains(&import_id.len()), "import_id", "must have 1 to 128 bytes");
    fields.check(sequence > 0, "sequence", "must be at least 1");
    fields.check(items <= MAX_ITEMS, "facts", "a chunk has at most 10000 rows and profiles");
    fields.check(facts.days.len() == facts.ids.len(), "facts.days", "must be as long as facts.ids");
    fields.check(facts.cell_counts.len() == facts.ids.len(), "facts.cell_counts", "must be as long as facts.ids");
    let cells: u64 = facts.cell_counts.iter().map(|count| u64::from(*count)).sum();
    fields.check(cells == facts.counters.len() as u64, "facts.counters", "must have one entry per cell");
    fields.check(facts.values.len() == facts.counters.len(), "facts.values", "must be as long as facts.counters");
    fields.check(facts.counter_names.len() <= 1_024, "facts.counter_names", "must have at most 1024 entries");
    fields.finish()
}

struct Collected {
    profiles: Vec<Profile>,
    profile_places: Vec<Place>,
    rows: Vec<FactRow>,
    row_places: Vec<Place>,
    wrong: Vec<(Place, pb::Status)>,
}

impl Collected {
    fn profiles<M: ProfileMessage>(&mut self, messages: Vec<M>, section: ImportSection) {
        for (index, message) in (0_u32..).zip(messages) {
            match message.into_profile(&format!("{}[{index}].", M::LIST)) {
                Ok((profile, _)) => {
                    self.profiles.push(profile);
                    self.profile_places.push((section, index));
                }
                Err(problems) => self.wrong.push(((section, index), item_status(&problems))),
            }
        }
    }

    fn facts(&mut self, policy: &Policy, facts: &proto::FactColumns) -> Result<(), Status> {
        let mut fields = Fields::below("facts.");
        let kind = match facts.target_kind {
            0 => None,
            kind => target_kind(&mut fields, "target_kind", kind).item(),
        };
        fields.finish()?;
        let dictionary: Vec<Option<CounterId>> = facts.counter_names.iter().map(|name| policy.counter(name)).collect();
        let (mut counters, mut values) = (facts.counters.as_slice(), facts.values.as_slice());
        self.rows.reserve(facts.ids.len());
        self.row_places.reserve(facts.ids.len());
        let rows = facts.ids.iter().zip(&facts.days).zip(&facts.cell_counts);
        for (index, ((id, day), count)) in (0_u32..).zip(rows) {
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            // As many counters as the counts add up to, and as many values, were checked before.
            let (row_counters, row_values);
            (row_counters, counters) = counters.split_at(count.min(counters.len()));
            (row_values, values) = values.split_at(count.min(values.len()));
            let row = Row { index, kind, id: *id, day: Day(*day), counters: row_counters, values: row_values };
            match row.check(&dictionary, &facts.counter_names) {
                Ok(row) => {
                    self.rows.push(row);
                    self.row_places.push((ImportSection::Facts, index));
                }
                Err(problems) => self.wrong.push(((ImportSection::Facts, index), item_status(&problems))),
            }
        }
        Ok(())
    }
}

struct Row<'a> {
    index: u32,
    kind: Option<ItemKind>,
    id: u64,
    day: Day,
    counters: &'a [u32],
    values: &'a [u64],
}

impl Row<'_> {
    fn check(self, dictionary: &[Option<CounterId>], names: &[String]) -> Result<FactRow, Vec<Problem>> {
        let known = |index: u32| dictionary.get(usize::try_from(index).ok()?).copied().flatten();
        let mut cells = Vec::with_capacity(self.counters.len());
        cells.extend(self.counters.iter().zip(self.values).filter_map(|(index, value)| Some((known(*index)?, *value))));
        let is_right = self.id != 0
            && self.day >= crate::domain::FIRST_FACTS_DAY
            && cells.len() == self.counters.len()
            && (1..=MAX_CELLS_PER_ROW).contains(&cells.len());
        if is_right {
            let subject = match self.kind {
                None => Subject::Merchant(MerchantId(self.id)),
                Some(kind) => Subject::Item(ItemId { kind, id: self.id }),
            };
            return Ok(FactRow { subject, day: self.day, facts: DayFacts::new(cells) });
        }
        let row = self.index;
        let mut fields = Fields::below("facts.");
        fields.id(&format!("ids[{row}]"), self.id);
        check_day(&mut fields, &format!("days[{row}]"), self.day);
        let count = self.counters.len();
        fields.check((1..=MAX_CELLS_PER_ROW).contains(&count), &format!("cell_counts[{row}]"), "must be 1 to 256");
        for index in self.counters.iter().filter(|index| known(**index).is_none()) {
            match usize::try_from(*index).ok().and_then(|index| names.get(index)) {
                Some(name) => fields.wrong_for(&format!("counters[{name:?}]"), UNKNOWN_COUNTER, Reason::UnknownCounter),
                None => fields.wrong("counters", format!("{index} is not a position in counter_names")),
            }
        }
        Err(fields.done().err().unwrap_or_default())
    }
}
