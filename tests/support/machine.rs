//! A state over a real store and a log in memory, driven as the writer drives it but with every choice of when left to
//! the test; and what it must hold, recomputed from the facts that were accepted.

use std::collections::BTreeMap;

use tempfile::TempDir;
use trustflow::domain::{
    Body, Command, Day, DayFacts, FactKey, FactRow, MerchantId, Outcome, RequestKey, SEMANTICS, Subject, TargetKind,
    Timestamp,
};
use trustflow::engine::recover;
use trustflow::log::{Log, LogError, Revision};
use trustflow::state::{Applied, NOTHING_CLOSED, State, Transition};
use trustflow::store::{DataFolder, Store};
use trustflow::traffic::{ItemClass, MerchantRecord, materialise};
use trustflow::trust::{Anchor, Anchors, LevelId, Span, SumId, Window};

/// Facts that were accepted, as they stand.
pub(crate) type Facts = BTreeMap<(Day, MerchantId), DayFacts>;

/// A log that forgets nothing and syncs nothing.
#[derive(Clone, Default)]
pub(crate) struct MemoryLog(pub(crate) Vec<Command>);

impl Log for MemoryLog {
    fn append(&mut self, commands: &[Command]) -> Result<(), LogError> {
        self.0.extend_from_slice(commands);
        Ok(())
    }

    fn last(&self) -> Revision {
        self.0.len() as u64
    }

    fn read_after<'a>(
        &'a self,
        revision: Revision,
    ) -> Box<dyn Iterator<Item = Result<(Revision, Command), LogError>> + 'a> {
        let numbered = (1..).zip(self.0.iter().cloned());
        Box::new(numbered.skip_while(move |(at, _)| *at <= revision).map(Ok))
    }

    fn trim(&mut self, _: Revision) -> Result<bool, LogError> {
        Ok(false)
    }
}

/// One reader of the log with its own store.
pub(crate) struct Machine {
    _folder: TempDir,
    pub(crate) store: Store,
    pub(crate) state: State,
    pub(crate) log: MemoryLog,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let store = DataFolder::open(folder.path()).expect("opens").store().expect("opens");
        Self { _folder: folder, store, state: State::default(), log: MemoryLog::default() }
    }

    /// Appends and applies a command; visible only after [`Self::finish`].
    pub(crate) fn apply(&mut self, stamp: Timestamp, request: Option<RequestKey>, body: Body) -> Applied {
        let command = Command { stamp, node: 1, semantics: SEMANTICS, request, body };
        self.log.append(std::slice::from_ref(&command)).expect("appended");
        let applied = self.state.apply(self.log.last(), &command, &self.store).expect("applies");
        if self.state.transition().is_some_and(Transition::is_waiting) {
            self.write(0);
            self.state.start_transition(&self.store);
        }
        applied
    }

    pub(crate) fn finish(&mut self) {
        self.state.finish(self.log.last());
    }

    /// Writes what changed, and some sums of an earlier day.
    pub(crate) fn write(&mut self, stale: usize) {
        self.finish();
        let rows = self.state.take_rows(stale);
        self.store.write(self.log.last(), rows).expect("written");
    }

    pub(crate) fn advance(&mut self, budget: usize) {
        self.finish();
        self.state.advance_transition(budget, &self.store).expect("advances");
    }

    /// Loses what is in memory and recovers from what was written and the log.
    pub(crate) fn restart(&mut self) {
        self.state = recover(&self.log, &self.store).expect("recovers");
    }

    /// Everything in the store, and the hash of it.
    pub(crate) fn hash(&mut self) -> u128 {
        self.write(usize::MAX);
        self.store.state_hash().expect("hashes").1
    }

    /// What readers see, by id.
    pub(crate) fn visible(&self) -> Visible {
        let hot = self.state.hot();
        let world = hot.world();
        let record = |id| hot.merchant_slot(MerchantId(id)).map(|slot| world.table.read(slot));
        let videos = hot.targets(TargetKind::ShortVideo);
        let item = |id| {
            let record = videos.locate(&world, id, 0);
            let owner = self.state.entry(record.merchant_slot)?.id.0;
            // Positions of classes follow the order in which they came up; readers see what they hold.
            Some((Some(owner), world.classes.get(record.class).cloned()))
        };
        Visible {
            policy: world.policy.version,
            facts_day: world.facts_day,
            merchants: (1..=MERCHANTS).map(|id| record(id).filter(|record| record.is_registered)).collect(),
            items: (1..=VIDEOS).map(item).collect(),
            remembered: self.state.remembered_requests(),
            progress: self.state.import_progress("import"),
        }
    }
}

/// What readers see, by id.
#[derive(Debug, PartialEq)]
pub(crate) struct Visible {
    policy: u64,
    facts_day: Day,
    merchants: Vec<Option<MerchantRecord>>,
    items: Vec<Option<(Option<u64>, Option<ItemClass>)>>,
    remembered: usize,
    progress: u64,
}

/// Ids of merchants and videos are 1 to this.
pub(crate) const MERCHANTS: u64 = 5;
pub(crate) const VIDEOS: u64 = 3;

/// Takes accepted rows into the facts.
pub(crate) fn accept(facts: &mut Facts, rows: &[FactRow], is_accepted: impl Fn(usize) -> bool) {
    for (_, row) in rows.iter().enumerate().filter(|(index, _)| is_accepted(*index)) {
        if let Subject::Merchant(id) = row.subject {
            facts.entry((row.day, id)).or_default().merge(&row.facts);
        }
    }
}

/// The rows of a command that its outcome accepts.
pub(crate) fn accept_outcome(facts: &mut Facts, body: &Body, outcome: &Outcome) {
    match (body, outcome) {
        (Body::RecordFacts { rows }, Outcome::Items(results)) => accept(facts, rows, |index| results[index].is_ok()),
        (Body::ImportChunk { rows, .. }, Outcome::Chunk(chunk)) if !chunk.skipped => {
            accept(facts, rows, |index| chunk.rows.iter().all(|(refused, _)| *refused as usize != index));
        }
        _ => {}
    }
}

/// Checks sums, levels, first sale and record of every registered merchant against the facts.
pub(crate) fn check(machine: &mut Machine, facts: &Facts, context: &str) {
    machine.finish();
    let state = &machine.state;
    let layout = &state.policy().model.layout;
    for id in (1..=MERCHANTS).map(MerchantId) {
        let Some(slot) = state.hot().merchant_slot(id) else { continue };
        let Some(view) = state.view(slot) else { continue };
        let rows: Vec<(Day, &DayFacts)> = facts
            .iter()
            .filter(|((day, merchant), _)| *merchant == id && *day <= view.facts_day)
            .map(|((day, _), row)| (*day, row))
            .collect();
        let sold = |row: &DayFacts| layout.first_sale_counter().and_then(|counter| row.get(counter)) > Some(0);
        let first_sale = rows.iter().find(|(_, row)| sold(row)).map(|(day, _)| *day);
        assert_eq!(view.facts.first_sale(), first_sale, "{context}: first sale of {id:?}");

        let anchors = Anchors { first_sale, ..Anchors::of(view.merchant) };
        for (index, (counter, window)) in layout.sums().iter().enumerate() {
            let sum = SumId(u16::try_from(index).expect("few sums"));
            let anchor = anchor_of(window).and_then(|anchor| anchors.day(anchor));
            let range = window.range(view.facts_day, anchor);
            let counts = |day: Day| range.is_some_and(|range| range.contains(day));
            let cells = || rows.iter().filter_map(|(day, row)| Some((*day, row.get(*counter)?)));
            let expected: u64 = cells().filter(|(day, _)| counts(*day)).map(|(_, value)| value).sum();
            let name = format!("{context}: {id:?} counter {} over {}", counter.0, window.describe());
            assert_eq!(view.facts.stored().sum(sum), expected, "{name} on {}", view.facts_day);
            // A window that begins with a day of the merchant's life has no range of its own: sent at all is enough.
            if anchor_of(window).is_none() {
                let sent = |day: Day| range.is_some_and(|range| range.first <= day);
                let expected = cells().any(|(day, _)| counts(day));
                assert_eq!(view.facts.last_sent(sum).is_some_and(sent), expected, "{name}: sent");
            }
        }
        for (index, counter) in layout.levels().iter().enumerate() {
            let level = LevelId(u16::try_from(index).expect("few levels"));
            let expected = rows.iter().rev().find_map(|(day, row)| Some((*day, row.get(*counter)?)));
            let found = view.facts.stored().level(level).map(|level| (level.day, level.value));
            assert_eq!(found, expected, "{context}: level {} of {id:?}", counter.0);
        }
        let policy = state.policy();
        let made = materialise(&policy.rules(state.disabled()), &view, &mut Vec::new());
        let world = state.hot().world();
        assert_eq!(world.table.read(slot), made.record, "{context}: record of {id:?} at {}", state.meta().now.0);
        assert!(made.next_change.is_none_or(|at| state.next_due() <= Some(at)), "{context}: {id:?} is due at no time");
    }
}

/// Checks that the store holds the accepted facts and no others.
pub(crate) fn check_stored(machine: &mut Machine, facts: &Facts) {
    machine.write(usize::MAX);
    for ((day, id), row) in facts {
        let key = FactKey { day: *day, subject: Subject::Merchant(*id) };
        assert_eq!(machine.store.facts(key).expect("reads").as_ref(), Some(row), "{key:?}");
    }
    let all = trustflow::trust::DayRange { first: NOTHING_CLOSED, last: Day(100_000) };
    assert_eq!(machine.store.snapshot().day(all).count(), facts.len());
}

fn anchor_of(window: &Window) -> Option<&Anchor> {
    match &window.span {
        Span::From(anchor, _) => Some(anchor),
        Span::Days(_) | Span::NaturalWeek | Span::Lifetime => None,
    }
}
