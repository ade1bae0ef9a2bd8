//! A deterministic simulation: a seed draws commands of every kind, steps of the clock, how commands come in groups, when
//! rows are written, and where the process ends. Each time the state is recovered from a copy of the files as they stood,
//! and has the hash of a twin that never ended; the log, replayed from its beginning, gives it too; and the same seed gives
//! the same hashes again.
//!
//! `TRUSTFLOW_SIMULATIONS` sets how many seeds, `TRUSTFLOW_SIMULATION_SEED` the first.

#[cfg(test)]
#[path = "support/dice.rs"]
mod dice;
#[cfg(test)]
#[path = "support/life.rs"]
mod life;
#[cfg(test)]
#[allow(dead_code, reason = "what readers see is for other tests")]
#[path = "support/machine.rs"]
mod machine;
#[cfg(test)]
#[path = "support/rounds.rs"]
mod rounds;
#[cfg(test)]
#[path = "support/small_policy.rs"]
mod small_policy;
#[cfg(test)]
#[path = "support/spending.rs"]
mod spending;
#[cfg(test)]
#[path = "support/spending_steps.rs"]
mod spending_steps;

#[cfg(test)]
mod simulation {
    use std::fs;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::path::Path;

    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    use tempfile::TempDir;
    use trustflow::domain::Command;
    use trustflow::engine::recover;
    use trustflow::log::{EmbeddedLog, Log};
    use trustflow::state::{State, Transition};
    use trustflow::store::{DataFolder, Store};

    use crate::dice::Dice;
    use crate::life::{Life, STEPS, Step, VARIANTS, step};
    use crate::machine::Machine;
    use crate::rounds::setting;

    const SEEDS: u64 = 3;
    const FIRST_SEED: u64 = 1;
    /// Most commands that are committed together.
    const GROUP: u64 = 6;
    /// One group in so many is followed by the end of the process.
    const ENDS: u64 = 4;

    /// The commands of a life without an end, from a seed.
    fn commands(seed: u64) -> Vec<Command> {
        let bytes: Vec<u8> = (0..4).flat_map(|part| (seed + part).to_le_bytes()).collect();
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let mut life = Life::begin(usize::try_from(seed).expect("small") % VARIANTS);
        for _ in 0..STEPS {
            let drawn = step().new_tree(&mut runner).expect("a step").current();
            // It never ends; where others end is decided later.
            if !matches!(drawn, Step::Restart) {
                life.step(drawn);
            }
        }
        life.end();
        life.machine.log.0
    }

    /// One process: its files, and what it has in memory.
    struct Process {
        folder: TempDir,
        // The lock of the folder.
        _data: DataFolder,
        log: EmbeddedLog,
        store: Store,
        state: State,
    }

    impl Process {
        /// Starts on a folder.
        fn start(folder: TempDir) -> Self {
            let data = DataFolder::open(folder.path()).expect("opens");
            let (log, store) = (data.log().expect("the log"), data.store().expect("the store"));
            let state = recover(&log, &store).expect("recovers");
            Self { folder, _data: data, log, store, state }
        }

        /// Ends as if killed: what goes on is a copy of the files as they stand, before anything is closed.
        fn end(self) -> Self {
            Self::start(image(self.folder.path()))
        }

        /// The hash of what another process makes of the files as they stand.
        fn hash(&self) -> u128 {
            let mut process = Self::start(image(self.folder.path()));
            process.write(usize::MAX);
            process.store.state_hash().expect("hashes").1
        }

        fn append(&mut self, group: &[Command]) {
            self.log.append(group).expect("appended");
        }

        fn apply(&mut self, revision: u64, command: &Command) {
            self.state.apply(revision, command, &self.store).expect("applies");
            if self.state.transition().is_some_and(Transition::is_waiting) {
                // Those of the group that are not applied yet have no rows.
                self.state.finish(revision);
                let rows = self.state.take_rows(0);
                self.store.write(revision, rows).expect("written");
                self.state.start_transition(&self.store);
            }
        }

        fn write(&mut self, stale: usize) {
            self.state.finish(self.log.last());
            let rows = self.state.take_rows(stale);
            self.store.write(self.log.last(), rows).expect("written");
        }

        fn advance(&mut self, budget: usize) {
            self.state.finish(self.log.last());
            self.state.advance_transition(budget, &self.store).expect("advances");
        }
    }

    /// A copy of a folder.
    fn image(from: &Path) -> TempDir {
        fn copy(from: &Path, to: &Path) {
            for entry in fs::read_dir(from).expect("a folder") {
                let (file, target) = {
                    let entry = entry.expect("reads");
                    (entry.path(), to.join(entry.file_name()))
                };
                if file.is_dir() {
                    fs::create_dir(&target).expect("created");
                    copy(&file, &target);
                } else {
                    fs::copy(&file, &target).expect("copied");
                }
            }
        }
        let to = TempDir::new().expect("a folder");
        copy(from, to.path());
        to
    }

    /// Where a process ends.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum End {
        /// Before the group is in the log: it is sent again.
        Before,
        /// Behind the log.
        Appended,
        /// With a part of the group applied.
        Applying,
        /// With the group applied, and no rows of it.
        Applied,
        /// Behind the rows.
        Written,
        /// While a second world is built.
        Building,
    }

    const ALL_ENDS: [End; 6] = [End::Before, End::Appended, End::Applying, End::Applied, End::Written, End::Building];

    /// What a run came to: the hash at every end and at the last command, and how often it ended where.
    #[derive(Debug, PartialEq, Eq)]
    struct Run {
        hashes: Vec<(u64, u128)>,
        ends: [u32; ALL_ENDS.len()],
    }

    /// Commits a group as far as the end that is drawn for it.
    fn commit(process: &mut Process, group: &[Command], end: Option<End>, dice: &mut Dice) {
        if end == Some(End::Before) {
            return;
        }
        let first = process.log.last() + 1;
        process.append(group);
        if end == Some(End::Appended) {
            return;
        }
        let applied = if end == Some(End::Applying) { group.len() / 2 } else { group.len() };
        for (revision, command) in (first..).zip(group.iter().take(applied)) {
            process.apply(revision, command);
        }
        if matches!(end, Some(End::Applying | End::Applied)) {
            return;
        }
        if end == Some(End::Written) || dice.below(3) > 0 {
            process.write(usize::try_from(dice.below(4)).expect("small"));
        }
        if end == Some(End::Building) || dice.below(2) == 0 {
            process.advance(usize::try_from(1 + dice.below(30)).expect("small"));
        }
    }

    /// Lives the commands with ends in between, beside a twin that never ends.
    fn live(seed: u64, commands: &[Command]) -> Run {
        let mut dice = Dice::new(seed);
        let mut process = Process::start(TempDir::new().expect("a folder"));
        let mut twin = Machine::new();
        let mut run = Run { hashes: Vec::new(), ends: [0; ALL_ENDS.len()] };
        let mut rest = commands;
        while !rest.is_empty() {
            let size = usize::try_from(1 + dice.below(GROUP)).expect("small").min(rest.len());
            let (group, behind) = rest.split_at(size);
            let drawn = usize::try_from(dice.below(ALL_ENDS.len() as u64 * ENDS)).expect("small");
            let end = ALL_ENDS.get(drawn).copied();
            commit(&mut process, group, end, &mut dice);
            if end != Some(End::Before) {
                rest = behind;
                for command in group {
                    twin.apply(command.stamp, command.request.clone(), command.body.clone());
                }
                assert_eq!(process.log.last(), twin.log.last(), "both logs are as long");
            }
            if let (Some(end), Some(count)) = (end, run.ends.get_mut(drawn)) {
                process = process.end();
                *count += 1;
                let (revision, hash) = (process.log.last(), process.hash());
                assert_eq!(hash, twin.hash(), "after the end {end:?} at revision {revision}");
                run.hashes.push((revision, hash));
            }
        }
        let hash = process.hash();
        assert_eq!(hash, twin.hash(), "at the last command");
        let elsewhere = TempDir::new().expect("a folder");
        let empty = DataFolder::open(elsewhere.path()).expect("opens").store().expect("the store");
        let mut replayed = recover(&process.log, &empty).expect("replays");
        let rows = replayed.take_rows(usize::MAX);
        empty.write(process.log.last(), rows).expect("written");
        assert_eq!(empty.state_hash().expect("hashes").1, hash, "the log, replayed");
        run.hashes.push((process.log.last(), hash));
        run
    }

    #[test]
    fn whatever_ends_when_the_seed_says_so_is_as_if_it_had_not() {
        let first = setting("TRUSTFLOW_SIMULATION_SEED", FIRST_SEED);
        let mut ends = [0; ALL_ENDS.len()];
        for seed in first..first + setting("TRUSTFLOW_SIMULATIONS", SEEDS) {
            let run = catch_unwind(AssertUnwindSafe(|| {
                let sent = commands(seed);
                let run = live(seed, &sent);
                assert_eq!(commands(seed), sent, "the same seed gives the same commands");
                assert_eq!(live(seed, &sent), run, "the same seed gives the same hashes");
                run
            }));
            let run = run.unwrap_or_else(|panic| {
                println!("seed {seed}: TRUSTFLOW_SIMULATION_SEED={seed} TRUSTFLOW_SIMULATIONS=1 repeats it");
                resume_unwind(panic)
            });
            ends.iter_mut().zip(run.ends).for_each(|(all, more)| *all += more);
        }
        println!("ends {:?}", ALL_ENDS.iter().zip(ends).collect::<Vec<_>>());
        assert!(ends.iter().sum::<u32>() > 0, "nothing ever ended");
    }
}
