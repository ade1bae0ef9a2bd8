//! What libFuzzer is given (`fuzz/`), without it: every corpus, and some thousands of inputs made of it by changing bytes,
//! all from one seed. `UPDATE=1` writes the seeds of the corpora anew.

#[cfg(test)]
#[path = "support/dice.rs"]
mod dice;
#[cfg(test)]
#[path = "support/rounds.rs"]
mod rounds;
#[cfg(test)]
#[path = "support/fuzz_seeds.rs"]
mod seeds;
#[cfg(test)]
#[path = "../fuzz/targets/mod.rs"]
mod targets;

#[cfg(test)]
mod smoke {
    use std::fs;
    use std::path::{Path, PathBuf};

    use crate::dice::Dice;
    use crate::rounds::setting;
    use crate::{seeds, targets};

    const SEED: u64 = 20_230_114;
    /// Longest input that is made.
    const MAX_BYTES: usize = 8_192;
    /// What inputs are changed into: the ends of ranges.
    const BYTES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'\n', b'9'];

    fn corpus(target: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
    }

    /// The files of a corpus, by name.
    fn files(target: &str) -> Vec<(String, Vec<u8>)> {
        let folder = fs::read_dir(corpus(target)).expect("a corpus");
        let file = |entry: std::io::Result<fs::DirEntry>| {
            let path = entry.expect("reads").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("reads"))
        };
        let mut files: Vec<_> = folder.map(file).collect();
        files.sort();
        files
    }

    /// One input of others.
    fn changed(inputs: &[(String, Vec<u8>)], dice: &mut Dice) -> Vec<u8> {
        let mut pick = |sides: usize| usize::try_from(dice.below(sides as u64)).expect("small");
        let mut input = inputs[pick(inputs.len())].1.clone();
        for _ in 0..=pick(4) {
            let at = pick(input.len() + 1);
            match pick(7) {
                0 => input.truncate(at),
                1 => input.insert(at, BYTES[pick(BYTES.len())]),
                2 => {
                    let other = &inputs[pick(inputs.len())].1;
                    let from = pick(other.len() + 1);
                    input.splice(at.., other[from..].iter().copied());
                }
                3 => {
                    let part: Vec<u8> = input[at..].iter().take(pick(64)).copied().collect();
                    input.splice(at..at, part.repeat(1 + pick(4)));
                }
                _ if input.is_empty() => input.push(BYTES[pick(BYTES.len())]),
                4 => input[at.min(at.saturating_sub(1))] ^= 1 << pick(8),
                5 => input[at.saturating_sub(1)] = BYTES[pick(BYTES.len())],
                _ => drop(input.remove(at.saturating_sub(1))),
            }
        }
        input.truncate(MAX_BYTES);
        input
    }

    /// Runs a target over its corpus and some changed inputs. One that fails is written beside the corpus.
    fn check(target: &str, run: fn(&[u8]), seeds: &[Vec<u8>], runs: u64) {
        update(target, seeds);
        let inputs = files(target);
        for seed in seeds {
            assert!(inputs.iter().any(|(_, input)| input == seed), "{target}: UPDATE=1 writes seeds that changed");
        }
        for (name, input) in &inputs {
            assert!(std::panic::catch_unwind(|| run(input)).is_ok(), "fuzz/corpus/{target}/{name} fails");
        }
        let seed = setting("TRUSTFLOW_FUZZ_SEED", SEED);
        let mut dice = Dice::new(seed);
        for number in 0..setting("TRUSTFLOW_FUZZ_RUNS", runs) {
            let input = changed(&inputs, &mut dice);
            if std::panic::catch_unwind(|| run(&input)).is_err() {
                let path = corpus(target).join(format!("failed-{number}"));
                fs::write(&path, input).expect("written");
                panic!("{target}: input {number} of seed {seed} fails; it stands in {}", path.display());
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "settings of tests alone")]
    fn update(target: &str, seeds: &[Vec<u8>]) {
        if std::env::var("UPDATE").is_err() {
            return;
        }
        fs::create_dir_all(corpus(target)).expect("a folder");
        for (name, _) in files(target).into_iter().filter(|(name, _)| name.starts_with("seed-")) {
            fs::remove_file(corpus(target).join(name)).expect("removed");
        }
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(corpus(target).join(format!("seed-{number:02}")), seed).expect("written");
        }
    }

    #[test]
    fn hot_codec() {
        check("hot_codec", targets::hot_codec, &seeds::hot_codec(), 20_000);
    }

    #[test]
    fn rpc_messages() {
        check("rpc_messages", targets::rpc_messages, &seeds::rpc_messages(), 10_000);
    }

    #[test]
    fn policy_text() {
        check("policy_text", targets::policy_text, &seeds::policy_text(), 400);
    }

    #[test]
    fn expressions() {
        check("expressions", targets::expressions, &seeds::expressions(), 1_000);
    }

    #[test]
    fn import_files() {
        check("import_files", targets::import_files, &seeds::import_files(), 4_000);
    }

    #[test]
    fn store_rows() {
        check("store_rows", targets::store_rows, &seeds::store_rows(), 20_000);
    }

    #[test]
    fn log_entries() {
        check("log_entries", targets::log_entries, &seeds::log_entries(), 20_000);
    }

    #[test]
    fn backup_files() {
        check("backup_files", targets::backup_files, &seeds::backup_files(), 2_000);
    }
}
