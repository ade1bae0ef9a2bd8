//! Flips a bit in, or cuts, a file of a data folder: whatever is damaged, the folder is refused in words that say what to
//! do, or nothing that it held is missing or changed. Nothing damaged is ever served.
//!
//! `TRUSTFLOW_DAMAGE_ROUNDS` sets how often, `TRUSTFLOW_DAMAGE_SEED` where.

#[cfg(test)]
mod common;
#[cfg(test)]
#[path = "support/dice.rs"]
mod dice;
#[cfg(test)]
#[path = "support/rounds.rs"]
mod rounds;

#[cfg(test)]
mod damage {
    use std::fs::{self, OpenOptions};
    use std::os::unix::fs::FileExt;
    use std::path::{Path, PathBuf};

    use trustflow::proto::Merchant;

    use crate::common::calls::{facts, merchant, violation};
    use crate::common::process::{Process, run};
    use crate::common::{Client, NOW};
    use crate::dice::Dice;
    use crate::rounds::setting;

    const ROUNDS: u64 = 16;
    const SEED: u64 = 20_221_101;
    /// Batches of large merchants: enough that the database writes its tables.
    const BATCHES: u64 = 14;

    async fn fill(client: &Client) {
        for batch in 0..BATCHES {
            let long = |id| Merchant {
                categories: (0..60).map(|n| format!("{id}-{n}-{}", "x".repeat(200))).collect(),
                ..merchant(id)
            };
            client.upsert((batch * 200 + 1..batch * 200 + 201).map(long).collect()).await;
        }
        client.record((1..100).map(|id| facts(id, "2023-02-27", &[("paid_orders", id)])).collect()).await;
        for id in 1..20 {
            client.punish(violation(id, id, "mute")).await;
        }
    }

    /// All files under a folder, in order.
    fn files(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).expect("reads") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
        }
        found.sort();
        found
    }

    fn copy(from: &Path, to: &Path) {
        for file in files(from) {
            let target = to.join(file.strip_prefix(from).expect("inside"));
            fs::create_dir_all(target.parent().expect("a folder")).expect("made");
            fs::copy(&file, &target).expect("copied");
        }
    }

    /// What `verify` says of a folder: that it is whole, or why not.
    fn verify(folder: &Path) -> Result<String, String> {
        let output = run(&["verify", "--data", folder.to_str().expect("a path")]);
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        if output.status.success() {
            let said = text(output.stdout);
            // Without the name of the folder.
            Ok(said.split_once("whole").expect("it says so").1.to_owned())
        } else {
            Err(text(output.stderr))
        }
    }

    /// Whether a refusal says what to do.
    fn is_clear(error: &str) -> bool {
        let last = error.lines().last().unwrap_or_default();
        last.starts_with("error: ") && ["backup", "release that wrote it"].iter().any(|word| last.contains(word))
    }

    /// Damages a file somewhere; answers how.
    fn damage(file: &Path, dice: &mut Dice) -> Option<String> {
        let length = fs::metadata(file).expect("there").len();
        if length == 0 {
            return None;
        }
        let opened = OpenOptions::new().read(true).write(true).open(file).expect("opens");
        let at = dice.below(length);
        if dice.below(4) == 0 {
            opened.set_len(at).expect("cut");
            return Some(format!("cut at {at} of {length}"));
        }
        let mut byte = [0];
        opened.read_exact_at(&mut byte, at).expect("reads");
        let flipped = byte[0] ^ 1 << dice.below(8);
        opened.write_all_at(&[flipped], at).expect("writes");
        Some(format!("byte {at} of {length}: {} became {flipped}", byte[0]))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn damage_is_refused_with_its_remedy_or_does_no_harm() {
        let (rounds, seed) = (setting("TRUSTFLOW_DAMAGE_ROUNDS", ROUNDS), setting("TRUSTFLOW_DAMAGE_SEED", SEED));
        let (mut dice, scratch) = (Dice::new(seed), tempfile::tempdir().expect("a folder"));
        let data = scratch.path().join("data");
        let program = Process::simulated(&data, NOW);
        fill(&program.client().await).await;
        // Killed: nothing is flushed or finished.
        drop(program);
        let tables = files(&data).iter().filter(|file| file.to_string_lossy().contains("/tables/")).count();
        assert!(tables > 0, "the database wrote tables: {:?}", files(&data));
        let intact = scratch.path().join("intact");
        copy(&data, &intact);
        let whole = verify(&intact).expect("whole");
        fs::remove_dir_all(&intact).expect("removed");

        let (mut refused, mut harmless, mut problems) = (0, 0, Vec::new());
        for round in 0..rounds {
            let folder = scratch.path().join(format!("{round}"));
            copy(&data, &folder);
            let files = files(&folder);
            let file = &files[usize::try_from(dice.below(files.len() as u64)).expect("few")];
            let Some(how) = damage(file, &mut dice) else { continue };
            let how = format!("{}: {how} (seed {seed}, round {round})", file.display());
            match verify(&folder) {
                Ok(found) if found == whole => harmless += 1,
                Ok(found) => problems.push(format!("{how}: not noticed: {found}")),
                Err(error) if is_clear(&error) => refused += 1,
                Err(error) => problems.push(format!("{how}: {error}")),
            }
            fs::remove_dir_all(&folder).expect("removed");
        }
        assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
        println!("{rounds} times: {refused} refused, {harmless} without effect (seed {seed})");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn acknowledged_writes_that_a_journal_lost_are_missed() {
        let scratch = tempfile::tempdir().expect("a folder");
        let data = scratch.path().join("data");
        let program = Process::simulated(&data, NOW);
        let client = program.client().await;
        for id in 1..20 {
            client.upsert(vec![merchant(id)]).await;
        }
        drop(program);
        let journal = files(&data).into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "jnl"));
        let journal = journal.max().expect("a journal");
        let bytes = fs::read(&journal).expect("reads");
        let end = bytes.iter().rposition(|byte| *byte != 0).expect("something was written");
        // What is lost of the very end are rows, which the log makes again: it takes more to lose an entry.
        for (lost, hole) in [(2_000, false), (2_000, true), (6_000, false)] {
            let folder = scratch.path().join(format!("{lost} {hole}"));
            copy(&data, &folder);
            let file = folder.join(journal.strip_prefix(&data).expect("inside"));
            let kept = &bytes[..end - lost];
            let written = if hole { [kept, &vec![0; lost]].concat() } else { kept.to_vec() };
            fs::write(&file, written).expect("written");
            let error = verify(&folder).expect_err("the end is missing");
            assert!(is_clear(&error), "{error}");
            assert!(Process::serve(&folder, &["--now", NOW, "--clock-rate", "0"]).is_err(), "it does not serve");
            if !hole {
                assert!(error.contains("was acknowledged"), "{error}");
                // An operator without a backup goes on without what is lost.
                fs::remove_file(folder.join("acknowledged")).expect("removed");
                verify(&folder).expect("what is left is whole");
            }
        }
    }
}
