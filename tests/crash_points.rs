//! Ends the process at every named step of a commit, again and again on one data folder: what was acknowledged is there
//! and answers as it did, nothing is torn, reports count once, and the whole log replayed elsewhere gives the same state.
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
    use trustflow::domain::Timestamp;
    use trustflow::engine::{Engine, Faults, Step};
    use trustflow::store::DataFolder;

    use crate::dice::Dice;
    use crate::mixed::{Acknowledged, SETTINGS, check, check_replay, write};
    use crate::rounds::setting;

    const ROUNDS: u64 = 8;
    const SEED: u64 = 20_230_113;
    const STEPS: [Step; 6] =
        [Step::Append, Step::Appended, Step::Applied, Step::Written, Step::Published, Step::Building];
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
        let step = STEPS[step.parse::<usize>().expect("a number")];
        let faults = Box::new(EndsAt { step, passes: passes.parse().expect("a number") });
        let (next, began) = (next.parse().expect("a number"), Timestamp(began.parse().expect("a number")));
        let folder = DataFolder::open(Path::new(folder)).expect("opens");
        let (log, store) = (Box::new(folder.log().expect("the log")), folder.store().expect("the store"));
        let engine = Engine::start_with(log, store, Arc::new(SystemClock::default()), SETTINGS, faults);
        let engine = engine.expect("starts");
        let said = write(&engine, began, next..next + 10_000, |n, acknowledged| {
            let line = acknowledged.map_or_else(|| format!("sent {n}"), |to| format!("done {n} {}", to.revision));
            writeln!(std::io::stdout(), "{line}").expect("a pipe");
        });
        said.await.expect("writes until it ends");
    }

    /// Runs the child to its end; answers what it had acknowledged and the last number it sent.
    fn crash(told: &str) -> (Vec<Acknowledged>, u64) {
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        child.args(["--exact", "points::child", "--ignored", "--nocapture"]).env(CHILD, told);
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
            let step = usize::try_from(round).expect("small") % STEPS.len();
            let passes = dice.below(PASSES);
            let told = format!("{}|{step}|{passes}|{next}|{}", folder.path().display(), began.0);
            let (acknowledged, sent) = crash(&told);
            total += acknowledged.len();

            let engine = Engine::open(folder.path(), Arc::new(SystemClock::default()), SETTINGS).expect("recovers");
            engine.wait_for_first_policy().await.expect("there is a policy");
            let known: Vec<Acknowledged> =
                [Acknowledged { n: next - 1, revision: 0 }].into_iter().chain(acknowledged).collect();
            check(&engine, began, &known, sent).await;
            engine.shut_down();
            next = sent + 1;
        }
        check_replay(folder.path());
        println!("{rounds} ends at {} steps, {total} writes acknowledged (seed {seed})", STEPS.len());
    }
}
