//! Disks that fail at any step of a commit, and disks that are full: writes stop with a clear refusal, reads go on, and
//! once there is space again a restart has everything that was acknowledged.
//!
//! `TRUSTFLOW_IO_ROUNDS` sets how often each fails, `TRUSTFLOW_IO_SEED` when.

#[cfg(test)]
#[path = "support/dice.rs"]
mod dice;
#[cfg(test)]
#[path = "support/mixed.rs"]
mod mixed;
#[cfg(test)]
#[path = "support/rounds.rs"]
mod rounds;
#[cfg(test)]
#[path = "support/small_disk.rs"]
mod small_disk;
#[cfg(test)]
#[path = "support/small_policy.rs"]
mod small_policy;
#[cfg(test)]
#[path = "support/spending.rs"]
mod spending;

#[cfg(test)]
mod failing_disks {
    use std::path::Path;
    use std::sync::Arc;

    use trustflow::clock::{Clock, SystemClock};
    use trustflow::domain::{Body, Timestamp};
    use trustflow::engine::{Engine, Faults, Step, WriteError, WriteStatus};
    use trustflow::store::DataFolder;

    use crate::dice::Dice;
    use crate::mixed::{Acknowledged, SETTINGS, check, check_replay, write};
    use crate::rounds::setting;
    use crate::small_disk::SmallDisk;

    const ROUNDS: u64 = 5;
    const SEED: u64 = 20_230_114;
    const STEPS: [Step; 5] = [Step::Append, Step::Appended, Step::Applied, Step::Written, Step::Building];
    const PASSES: u64 = 25;
    const DISK_MIB: u64 = 48;

    /// Fails at a step, and at everything after it.
    struct FailsAt {
        step: Step,
        passes: u64,
    }

    impl Faults for FailsAt {
        fn at(&mut self, step: Step) -> Result<(), String> {
            if step != self.step {
                return Ok(());
            }
            self.passes = self.passes.saturating_sub(1);
            if self.passes == 0 { Err("input/output error".to_owned()) } else { Ok(()) }
        }
    }

    fn open(folder: &Path, faults: FailsAt) -> Engine {
        let folder = DataFolder::open(folder).expect("opens");
        let (log, store) = (Box::new(folder.log().expect("the log")), folder.store().expect("the store"));
        Engine::start_with(log, store, Arc::new(SystemClock::default()), SETTINGS, Box::new(faults)).expect("starts")
    }

    /// Writes from a number on until writes are refused; answers what was acknowledged and the last number sent.
    async fn until_refused(engine: &Engine, began: Timestamp, next: u64) -> (Vec<Acknowledged>, u64) {
        let (mut acknowledged, mut sent) = (vec![Acknowledged { n: next - 1, revision: 0 }], next - 1);
        let ended = write(engine, began, next..next + 10_000, |n, done| {
            sent = sent.max(n);
            acknowledged.extend(done);
        });
        let refused = ended.await.expect_err("it fails some time");
        assert!(matches!(refused, WriteError::Poisoned { .. }), "{refused}");
        (acknowledged, sent)
    }

    /// Everything is refused from now on, and read as before.
    async fn check_refusals(engine: &Engine) {
        let revision = engine.hot().revision();
        assert!(matches!(engine.write_status(), WriteStatus::Poisoned { .. }));
        for _ in 0..3 {
            let refused = engine.write(None, Body::Tick).await;
            assert!(matches!(refused, Err(WriteError::Poisoned { .. })), "{refused:?}");
        }
        assert_eq!(engine.hot().revision(), revision, "reads go on, where they were");
        engine.read(|state| assert!(state.policy().version > 0));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_error_at_any_step_of_a_commit_stops_writes_and_loses_nothing() {
        let (rounds, seed) = (setting("TRUSTFLOW_IO_ROUNDS", ROUNDS), setting("TRUSTFLOW_IO_SEED", SEED));
        let (mut dice, folder) = (Dice::new(seed), tempfile::tempdir().expect("a folder"));
        let began = SystemClock::default().now();
        let (mut next, mut total) = (1, 0);
        for round in 0..rounds {
            let step = STEPS[usize::try_from(round).expect("small") % STEPS.len()];
            // The first policy comes to be before anything fails.
            let engine = open(folder.path(), FailsAt { step, passes: 8 + dice.below(PASSES) });
            let (acknowledged, sent) = until_refused(&engine, began, next).await;
            check_refusals(&engine).await;
            engine.shut_down();
            drop(engine);
            let engine = Engine::open(folder.path(), Arc::new(SystemClock::default()), SETTINGS).expect("recovers");
            check(&engine, began, &acknowledged, sent).await;
            engine.shut_down();
            total += acknowledged.len();
            next = sent + 1;
        }
        check_replay(folder.path());
        println!("{rounds} errors at {} steps, {total} writes acknowledged (seed {seed})", STEPS.len());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_full_disk_stops_writes_and_loses_nothing() {
        let (rounds, seed) = (setting("TRUSTFLOW_IO_ROUNDS", ROUNDS), setting("TRUSTFLOW_IO_SEED", SEED));
        let Some(disk) = SmallDisk::mount(DISK_MIB) else { return };
        let (mut dice, folder) = (Dice::new(seed), disk.path().join("data"));
        let began = SystemClock::default().now();
        let (mut next, mut total) = (1, 0);
        for _ in 0..rounds {
            let clock = Arc::new(SystemClock::default());
            let engine = Engine::open(&folder, clock.clone(), SETTINGS).expect("there is space again");
            // Leaves a little, less each time or more, so that it runs out at different moments.
            let ballast = disk.fill(64 + dice.below(400));
            let (acknowledged, sent) = until_refused(&engine, began, next).await;
            check_refusals(&engine).await;
            engine.shut_down();
            drop(engine);
            drop(ballast);
            let engine = Engine::open(&folder, clock, SETTINGS).expect("recovers once there is space");
            check(&engine, began, &acknowledged, sent).await;
            engine.shut_down();
            total += acknowledged.len();
            next = sent + 1;
        }
        check_replay(&folder);
        println!("{rounds} times full, {total} writes acknowledged (seed {seed})");
    }
}
