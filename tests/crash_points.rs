//! Ends the process at every named step of a commit, again and again on one data folder: what was acknowledged is there
//! and answers as it did, nothing is torn, reports count once, and the whole log replayed elsewhere gives the same state.
//! And before, within and behind trimming the log and the audit trail: only the oldest of them is gone.
//!
//! `TRUSTFLOW_CRASH_ROUNDS` sets how often, `TRUSTFLOW_CRASH_SEED` where.

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
#[path = "support/small_policy.rs"]
mod small_policy;
#[cfg(test)]
#[path = "support/spending.rs"]
mod spending;

#[cfg(test)]
mod points {
    use std::io::Write;
    use std::path::Path;
    use std::process::Command;
    use std::sync::Arc;

    use trustflow::clock::{Clock, SystemClock};
    use trustflow::domain::{Body, Timestamp};
    use trustflow::engine::{Engine, Faults, Step, WriterSettings};
    use trustflow::log::Log;
    use trustflow::store::{AuditRange, AuditRetention, DataFolder};

    use crate::dice::Dice;
    use crate::mixed::{Acknowledged, SETTINGS, check, check_replay, write};
    use crate::rounds::setting;

    const ROUNDS: u64 = 8;
    const SEED: u64 = 20_230_113;
    const OF_A_COMMIT: [Step; 6] =
        [Step::Append, Step::Appended, Step::Applied, Step::Written, Step::Published, Step::Building];
    /// Steps of trimming, and how often they pass before the process ends: before the first part, between two, behind the
    /// last. The log is trimmed in two parts, the audit trail in three.
    const OF_TRIMMING: [(Step, [u64; 3]); 2] = [(Step::TrimmingLog, [0, 1, 2]), (Step::TrimmingAudit, [0, 1, 3])];
    /// Keeps so little that nearly all of it is trimmed as soon as there is much.
    const KEPT: u64 = 100;
    const TRIMMING: WriterSettings = WriterSettings {
        log_retain: KEPT,
        audit: AuditRetention { max_entries: KEPT, ..AuditRetention::DEFAULT },
        ..SETTINGS
    };
    /// Writes that are more than one batch of the log and more than one slice of the audit trail.
    const MUCH: u64 = 4_300;
    /// Writes that are handed over at once.
    const AT_ONCE: u64 = 430;
    /// Times that a step passes at most before the process ends at it.
    const PASSES: u64 = 25;
    /// What the child is told: folder, step, passes, first number, began.
    const CHILD: &str = "TRUSTFLOW_CRASH_CHILD";

    #[expect(clippy::disallowed_methods, reason = "the parent tells by it what to do")]
    fn told() -> Option<String> {
        std::env::var(CHILD).ok()
    }

    /// Ends the process at a step.
    struct EndsAt {
        step: Step,
        passes: u64,
    }

    impl Faults for EndsAt {
        fn at(&mut self, step: Step) -> Result<(), String> {
            if step == self.step {
                if self.passes == 0 {
                    // As a kill would: nothing is flushed, nothing is finished, nobody is told.
                    std::process::abort();
                }
                self.passes -= 1;
            }
            Ok(())
        }
    }

    /// Not a test: the process that ends. It writes until then, and says what is acknowledged.
    #[tokio::test]
    #[ignore = "run by the test below, as a process of its own"]
    async fn child() {
        let Some(told) = told() else { return };
        let told: Vec<&str> = told.split('|').collect();
        let [folder, step, passes, next, began] = told.as_slice() else { panic!("{told:?}") };
        let mut steps = OF_A_COMMIT.into_iter().chain([Step::TrimmingLog, Step::TrimmingAudit]);
        let step = steps.find(|named| format!("{named:?}") == *step).expect("a step");
        let faults = Box::new(EndsAt { step, passes: passes.parse().expect("a number") });
        let settings = if OF_A_COMMIT.contains(&step) { SETTINGS } else { TRIMMING };
        let (next, began) = (next.parse().expect("a number"), Timestamp(began.parse().expect("a number")));
        let folder = DataFolder::open(Path::new(folder)).expect("opens");
        let (log, store) = (Box::new(folder.log().expect("the log")), folder.store().expect("the store"));
        let engine = Engine::start_with(log, store, Arc::new(SystemClock::default()), settings, faults);
        let engine = engine.expect("starts");
        let said = write(&engine, began, next..next + 10_000, |n, acknowledged| {
            let line = acknowledged.map_or_else(|| format!("sent {n}"), |to| format!("done {n} {}", to.revision));
            writeln!(std::io::stdout(), "{line}").expect("a pipe");
        });
        said.await.expect("writes until it ends");
    }

    /// Runs the child to its end; answers what it had acknowledged and the last number it sent.
    fn crash(folder: &Path, (step, passes): (Step, u64), next: u64, began: Timestamp) -> (Vec<Acknowledged>, u64) {
        let told = format!("{}|{step:?}|{passes}|{next}|{}", folder.display(), began.0);
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        child.args(["--exact", "points::child", "--ignored", "--nocapture"]).env(CHILD, &told);
        let output = child.output().expect("it runs");
        assert!(!output.status.success(), "it did not reach the step: {told}");
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        let (mut acknowledged, mut sent) = (Vec::new(), 0);
        for line in said.lines() {
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["sent", n] => sent = n.parse().expect("a number"),
                ["done", n, revision] => {
                    let (n, revision) = (n.parse().expect("a number"), revision.parse().expect("a number"));
                    acknowledged.push(Acknowledged { n, revision });
                }
                _ => {}
            }
        }
        assert!(sent > 0, "{}", String::from_utf8_lossy(&output.stderr));
        (acknowledged, sent)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn ending_at_any_step_of_a_commit_loses_nothing_acknowledged() {
        let (rounds, seed) = (setting("TRUSTFLOW_CRASH_ROUNDS", ROUNDS), setting("TRUSTFLOW_CRASH_SEED", SEED));
        let (mut dice, folder) = (Dice::new(seed), tempfile::tempdir().expect("a folder"));
        let began = SystemClock::default().now();
        let (mut next, mut total) = (1, 0);
        for round in 0..rounds {
            // Every step in turn.
            let step = OF_A_COMMIT[usize::try_from(round).expect("small") % OF_A_COMMIT.len()];
            let (acknowledged, sent) = crash(folder.path(), (step, dice.below(PASSES)), next, began);
            total += acknowledged.len();
            recover(folder.path(), began, (next, sent), acknowledged).await;
            next = sent + 1;
        }
        check_replay(folder.path());
        println!("{rounds} ends at {} steps, {total} writes acknowledged (seed {seed})", OF_A_COMMIT.len());
    }

    /// Starts again, and checks what the end left of the writes from one number to another.
    async fn recover(folder: &Path, began: Timestamp, (next, sent): (u64, u64), acknowledged: Vec<Acknowledged>) {
        let engine = open(folder, SETTINGS);
        engine.wait_for_first_policy().await.expect("there is a policy");
        let known: Vec<Acknowledged> =
            [Acknowledged { n: next - 1, revision: 0 }].into_iter().chain(acknowledged).collect();
        check(&engine, began, &known, sent).await;
        engine.shut_down();
    }

    fn open(folder: &Path, settings: WriterSettings) -> Engine {
        Engine::open(folder, Arc::new(SystemClock::default()), settings).expect("recovers")
    }

    /// Makes the log and the audit trail long.
    async fn fill(engine: &Engine) {
        for first in (0..MUCH).step_by(usize::try_from(AT_ONCE).expect("small")) {
            let switch = |n: u64| Body::SetKillSwitch {
                is_on: n.is_multiple_of(2),
                author: "ops".to_owned(),
                reason: n.to_string(),
            };
            let writes = (first..first + AT_ONCE).map(|n| engine.begin_write(None, switch(n + 1)).expect("taken"));
            for write in writes.collect::<Vec<_>>() {
                write.outcome().await.expect("written");
            }
        }
    }

    /// How many items there are, all of which can be read.
    fn count<T, E: std::fmt::Debug>(items: impl Iterator<Item = Result<T, E>>) -> u64 {
        items.inspect(|item| assert!(item.is_ok(), "{:?}", item.as_ref().err())).count() as u64
    }

    /// Revisions in the log and entries of changes in the audit trail; of both, nothing is missing in between.
    fn lengths(folder: &Path) -> (u64, u64) {
        let folder = DataFolder::open(folder).expect("opens");
        let (log, store) = (folder.log().expect("the log"), folder.store().expect("the store"));
        let revisions = count(log.read_after(log.trimmed()));
        assert_eq!(revisions, log.last() - log.trimmed());
        let changes = store.audit(&AuditRange { bulk: false, ..AuditRange::ALL }).expect("reads");
        let changes = count(changes);
        // The numbers of the first and the last say how many there must be.
        assert_eq!(store.audit_entries()[0], changes);
        (revisions, changes)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn ending_within_trimming_loses_nothing_acknowledged() {
        const NEXT: u64 = 10;
        let began = SystemClock::default().now();
        for (step, passes) in OF_TRIMMING.into_iter().flat_map(|(step, ends)| ends.map(|passes| (step, passes))) {
            let folder = tempfile::tempdir().expect("a folder");
            let engine = open(folder.path(), SETTINGS);
            write(&engine, began, 1..NEXT, |_, _| {}).await.expect("written");
            fill(&engine).await;
            engine.shut_down();
            drop(engine);
            let (revisions, changes) = lengths(folder.path());
            assert!(revisions >= MUCH && changes >= MUCH, "{revisions} revisions, {changes} changes");

            let (acknowledged, sent) = crash(folder.path(), (step, passes), NEXT, began);
            let (revisions, changes) = lengths(folder.path());
            let left = if step == Step::TrimmingLog { revisions } else { changes };
            match passes {
                0 => assert!(left >= MUCH, "{step:?} has not begun: {left}"),
                1 => assert!((2 * KEPT..MUCH).contains(&left), "{step:?} is on its way: {left}"),
                _ => assert!((KEPT..2 * KEPT).contains(&left), "{step:?} is at its end: {left}"),
            }
            assert!(revisions >= KEPT && changes >= KEPT, "{step:?}: {revisions} revisions, {changes} changes");
            recover(folder.path(), began, (NEXT, sent), acknowledged).await;
        }
    }
}
