//! Policies that are wrong in different ways, each with all that is said about it; and policies made to harm.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use trustflow::domain::PolicyText;
use trustflow::policy::{Dictionary, compile};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies").join(name)
}

/// The TOML files below a folder, by path inside it.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                let name = path.strip_prefix(folder).expect("inside").to_string_lossy().replace('\\', "/");
                found.insert(name, fs::read_to_string(&path).expect("text"));
            }
        }
    }
    found
}

fn text(files: BTreeMap<String, String>) -> PolicyText {
    PolicyText { source: "test".to_owned(), files: files.into_iter().collect() }
}

fn said(text: &PolicyText) -> Vec<String> {
    let mut dictionary = Dictionary::default();
    match compile(text, 1, &mut dictionary) {
        Ok(_) => Vec::new(),
        Err(problems) => {
            assert_eq!(dictionary, Dictionary::default(), "the dictionary is untouched");
            problems.iter().map(ToString::to_string).collect()
        }
    }
}

#[test]
fn the_base_is_right() {
    assert_eq!(said(&text(files(&folder("base")))), Vec::<String>::new());
}

/// Each folder of `bad` holds the files that differ from `base`, and what is said in `expected.txt`. With UPDATE=1 in
/// the environment that file is written anew: read it before you commit it.
#[test]
fn all_that_is_wrong_is_said() {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(folder("bad")).expect("bad").map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    assert!(folders.len() >= 24, "{} bad policies", folders.len());
    let mut wrong = Vec::new();
    for bad in folders {
        let mut all = files(&folder("base"));
        all.extend(files(&bad));
        let found = said(&text(all)).join("\n") + "\n";
        let expected = bad.join("expected.txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, &found).expect("written");
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if found != wanted || found.trim().is_empty() {
            wrong.push(format!("{}\nfound:\n{found}expected:\n{wanted}", bad.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The base with one file more, or in the place of one.
fn with(path: &str, content: impl Into<String>) -> PolicyText {
    let mut all = files(&folder("base"));
    all.insert(path.to_owned(), content.into());
    text(all)
}

/// A file of the base, with the first `from` replaced.
fn edited(path: &str, from: &str, to: &str) -> PolicyText {
    let content = files(&folder("base")).remove(path).expect("the file");
    assert!(content.contains(from), "{path} has no {from}");
    with(path, content.replacen(from, to, 1))
}

/// A tilt programme for everybody.
fn programme(eligibility: &str, more: &str) -> String {
    format!(
        "name = \"x\"\nname_zh = \"x\"\nseed = \"001\"\narea = \"traffic\"\nkind = \"tilt\"\nscenes = [\"all\"]\n\
         eligibility = '''{eligibility}'''\n{more}\n"
    )
}

/// Refused, with bounded words.
fn refused(what: &str, text: &PolicyText, message: &str) {
    let said = said(text);
    assert!(said.iter().any(|line| line.contains(message)), "{what}: no {message:?} in {:?}", said.first());
    assert!(said.len() <= 200, "{what}: {} problems", said.len());
    assert!(said.iter().all(|line| line.len() < 2_500), "{what}: endless words");
}

#[test]
fn sizes_are_refused_before_anything_is_read() {
    let mib = 1 << 20;
    refused("a file", &with("programmes/x.toml", "#".repeat(mib + 1)), "files have at most 1 MiB");
    refused("ten", &with("programmes/x.toml", format!("name = \"{}\"", "x".repeat(10 * mib))), "bytes in all");
    let many = |count: usize, bytes: usize| {
        let mut all = files(&folder("base"));
        all.extend((0..count).map(|number| (format!("programmes/p{number}.toml"), "#".repeat(bytes))));
        text(all)
    };
    refused("all", &many(5, mib - 1), "bytes in all, at most 4194304 are read");
    refused("files", &many(5_000, 1), "files, at most 256 are read");
    for path in ["", "../score.toml", "programmes/../../x.toml", "/score.toml", "programmes//x.toml", "C:\\x.toml"] {
        let found = said(&with(path, ""));
        assert_eq!(found.len(), 1, "{path}: {found:?}");
    }
    refused("NUL", &with("programmes/x\0.toml", ""), "path with control characters");
    refused("long", &with(&format!("programmes/{}.toml", "x".repeat(300)), ""), "paths have 1 to 255 bytes");
    let not_policy = with("notes/README.md", "#".repeat(mib));
    assert_eq!(said(&not_policy), Vec::<String>::new(), "what is not TOML counts by size only");
}

#[test]
fn toml_made_to_harm_is_refused() {
    let deep = 100_000;
    let key = |n: usize| format!("k{n} = 1\n");
    let file = "programmes/x.toml";
    let cases = [
        ("arrays", format!("x = {}{}", "[".repeat(deep), "]".repeat(deep)), ""),
        ("open arrays", format!("x = {}", "[".repeat(deep)), ""),
        ("inline tables", format!("x = {}1{}", "{ a = ".repeat(deep), " }".repeat(deep)), ""),
        ("dotted keys", format!("x{} = 1", ".a".repeat(deep)), ""),
        ("dotted tables", format!("[x{}]\n", ".a".repeat(deep)), ""),
        ("array tables", "[[x.y]]\n".repeat(deep), ""),
        ("keys", (0..40_000).map(key).collect(), "unknown field"),
        ("one key", format!("{} = 1", "k".repeat(1_000_000)), "unknown field"),
        ("NUL", "name = \"a\0b\"".to_owned(), ""),
        ("NUL outside", "\0".repeat(1_000), ""),
        ("quotes", "\"".repeat(100_000), ""),
        ("enormous number", programme("true", "uplift = { constant = 1e999 }"), "overflow"),
        ("no number", programme("true", "uplift = { constant = nan }"), "an uplift is NaN"),
        ("many digits", programme("true", &format!("uplift = {{ constant = {} }}", "9".repeat(100_000))), ""),
        ("curve of nothing", programme("true", "uplift = { by_trust = [[0, nan], [inf, 1]] }"), "NaN"),
        ("a date", programme("true", "first_day = 2022-99-99\nuplift = { constant = 0.1 }"), ""),
        ("a day", programme("true", "first_day = \"99999999999-01-01\"\nuplift = { constant = 0.1 }"), "is not a date"),
        ("no day", programme("true", "first_day = \"2023-02-29\"\nuplift = { constant = 0.1 }"), "is not a date"),
    ];
    for (what, content, message) in cases {
        refused(what, &with(file, content), message);
    }
}

#[test]
fn lists_without_an_end_are_refused() {
    let points = |count: usize| (0..count).map(|n| format!("[{n}, 0.1]")).collect::<Vec<_>>().join(", ");
    let file = "programmes/x.toml";
    let curve = |count: usize| programme("true", &format!("uplift = {{ by_trust = [{}] }}", points(count)));
    assert_eq!(said(&with(file, curve(256))), Vec::<String>::new());
    refused("points", &with(file, curve(30_000)), "30000 points of the uplift, at most 256 are read");
    let cases = |count: usize| {
        let case = |n: usize| format!("{{ when = 'merchant.fan_count == {n}', uplift = 0.1 }}");
        let cases: Vec<String> = (0..count).map(case).collect();
        programme("true", &format!("[uplift]\ncases = [{}]", cases.join(",\n")))
    };
    assert_eq!(said(&with(file, cases(32))), Vec::<String>::new());
    refused("cases", &with(file, cases(15_000)), "15000 cases, at most 32 are read");
    let stage = |n: usize| {
        format!("[[stage]]\nid = \"s{n}\"\nname = \"\"\nname_zh = \"\"\nwhen = 'merchant.fan_count == {n}'\n")
    };
    refused("stages", &with("life_cycle.toml", (0..9_000).map(stage).collect::<String>()), "stages, at most 32");
    let region =
        |n: usize| format!("[[region]]\nid = \"r{n}\"\nfirst_day = \"2022-01-01\"\nlast_day = \"2022-01-02\"\n");
    let regions: String = (0..10_000).map(region).collect();
    refused("regions", &with("rules/force_majeure.toml", regions), "regions, at most 4096");
    let right = |n: usize| format!("[[right]]\nid = \"r{n}\"\nname = \"\"\nname_zh = \"\"\nweight = 0.0001\n");
    refused("rights", &with("rights.toml", (0..10_000).map(right).collect::<String>()), "rights, at most 256");
    let violation =
        |n: usize| format!("[[violation]]\nid = \"v{n}\"\nname = \"\"\nname_zh = \"\"\nscope = \"item\"\npoints = 0\n");
    let violations: String = (0..8_000).map(violation).collect();
    refused("violations", &with("violations.toml", violations), "violations, at most 256");

    let score = files(&folder("base")).remove("score.toml").expect("the score");
    let signal = |n: usize| {
        format!(
            "[[signal]]\nid = \"x{n}\"\nname = \"\"\nname_zh = \"\"\nlayer = \"governance\"\ndimension = \"after_sales\"\n\
             kind = \"share\"\nnumerator = [\"none{n}\"]\ndenominator = [\"nothing{n}\"]\nwindow = \"7d\"\n\
             prior_mean = 0\nprior_strength = 1\ncurve = [[0, 0]]\nweight = 0\n"
        )
    };
    let signals: String = (0..4_000).map(signal).collect();
    refused("signals", &with("score.toml", score.clone() + &signals), "signals, at most 512");
    let counter = |n: usize| {
        format!(
            "{{ name = \"counter_with_a_long_name_number_{n}\", kind = \"flow\", unit = \"\", description = \"\" }},\n"
        )
    };
    let counters: String = (0..9_000).map(counter).collect();
    let more = score.replacen("counter = [", &format!("counter = [{counters}"), 1);
    refused("counters", &with("score.toml", more), "more than 4096 counters");
    let names: Vec<String> = (0..20_000).map(|n| format!("\"counter_{n}\"")).collect();
    let wide = score.replacen("[\"complaints\"]", &format!("[{}]", names.join(", ")), 1);
    refused("names", &with("score.toml", wide), "20000 names, at most 64 are read");
    refused(
        "an unknown name",
        &edited("score.toml", "\"complaints\"]", &format!("\"{}\"]", "z".repeat(900_000))),
        "no counter",
    );
}

#[test]
fn expressions_made_to_harm_end_quickly() {
    let file = "programmes/x.toml";
    let constant = "uplift = { constant = 0.1 }";
    // Every way to choose one of three, twenty-one times: 10 billion terms.
    let choice = |n: usize| {
        format!("(merchant.fan_count == {n} || \"a{n}\" in merchant.tags || merchant.days_since_opening == {n})")
    };
    let choices = |count: usize| (0..count).map(choice).collect::<Vec<_>>().join(" && ");
    assert_eq!(said(&with(file, programme(&choices(21), constant))), Vec::<String>::new());
    // The same, and nobody can: too many alternatives to say so, and so it passes.
    let pigeon = |n: usize| format!("(merchant.fan_count == {} || merchant.fan_count == {})", 2 * n, 2 * n + 1);
    let impossible = (0..31).map(pigeon).collect::<Vec<_>>().join(" && ");
    let found = said(&with(file, programme(&impossible, constant)));
    assert!(found.len() <= 1, "{found:?}");
    // The same in every programme there may be, in each of 32 cases, all in one exclusive group.
    let case = |n: usize| format!("{{ when = '''merchant.region == \"r{n}\" && {}''', uplift = 0.1 }}", choices(8));
    let cases = (0..32).map(case).collect::<Vec<_>>().join(",\n");
    let mut all = files(&folder("base"));
    for number in 0..59 {
        let more = format!("exclusive_group = \"g\"\n[uplift]\ncases = [{cases}]");
        all.insert(format!("programmes/p{number}.toml"), programme(&choices(21), &more));
    }
    refused("all at once", &text(all), "of the exclusive group `g`");
    for attack in ["!", "(", "-", "a.", "[", "&&", "\"", "(!(", "x == \"\" || "] {
        let eligibility = attack.repeat(800_000 / attack.len());
        refused(attack, &with(file, programme(&eligibility, constant)), "at most 4096 are read");
        let eligibility = attack.repeat(4_000 / attack.len());
        assert!(!said(&with(file, programme(&eligibility, constant))).is_empty(), "{attack}");
    }
}

#[test]
fn comparing_hostile_texts_takes_little_memory() {
    let text = |content: String| PolicyText { source: String::new(), files: vec![("score.toml".to_owned(), content)] };
    let name = "k".repeat(200_000);
    let many = (0..60_000).fold(String::new(), |many, n| many + "k" + &n.to_string() + " = 1\n");
    let before = text(format!("[{name}]\n"));
    let after = text(format!("[{name}]\n{many}"));
    let changes = trustflow::policy::diff(&before, &after).expect("both are TOML");
    assert_eq!(changes.len(), 10_001, "and a last one that says there are more");
    let bytes: usize = changes.iter().map(|change| change.path.len() + change.before.len() + change.after.len()).sum();
    assert!(bytes < 10_000_000, "{bytes} bytes");
    assert!(trustflow::policy::diff(&before, &text("#".repeat(5 << 20))).is_err(), "too large to be looked at");
}
