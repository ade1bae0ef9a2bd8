//! Medians, bars, and where figures go: to the terminal, and as JSON lines to the file that docs/performance.md is made of.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use crate::args::Args;
use crate::clock;

/// Smallest, middle and largest of some figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one figure; all zero without any.
    pub(crate) fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or_default();
        let last = figures.len().saturating_sub(1);
        let median = f64::midpoint(at(last / 2), at(figures.len() / 2));
        Self { min: at(0), median, max: at(last) }
    }

    /// The three with so many digits after the point.
    pub(crate) fn text(self, digits: usize) -> String {
        format!("{:.digits$} / {:.digits$} / {:.digits$}", self.min, self.median, self.max)
    }
}

/// A figure that is promised: the gate must hold, the goal is aimed at.
pub(crate) struct Bar {
    what: String,
    figure: f64,
    unit: &'static str,
    /// Whether the figure must stay below, rather than reach.
    is_limit: bool,
    gate: f64,
    goal: Option<f64>,
}

impl Bar {
    /// A figure that must not exceed its gate.
    pub(crate) fn at_most(what: String, figure: f64, unit: &'static str, gate: f64) -> Self {
        Self { what, figure, unit, is_limit: true, gate, goal: None }
    }

    /// A figure that must reach its gate.
    pub(crate) fn at_least(what: String, figure: f64, unit: &'static str, gate: f64) -> Self {
        Self { what, figure, unit, is_limit: false, gate, goal: None }
    }

    /// With a goal beyond the gate.
    pub(crate) fn goal(self, goal: f64) -> Self {
        Self { goal: Some(goal), ..self }
    }

    fn keeps(&self, limit: f64) -> bool {
        if self.is_limit { self.figure <= limit } else { self.figure >= limit }
    }

    fn cells(&self) -> [String; 5] {
        let sign = if self.is_limit { "≤" } else { "≥" };
        let text = |figure: f64| format!("{figure:.2} {}", self.unit);
        let held = match self.goal {
            _ if !self.keeps(self.gate) => "NO",
            Some(goal) if !self.keeps(goal) => "gate, not the goal",
            Some(_) => "gate and goal",
            None => "yes",
        };
        let bar = |limit: f64| format!("{sign} {}", text(limit));
        let goal = self.goal.map_or_else(|| "-".to_owned(), bar);
        [self.what.clone(), text(self.figure), bar(self.gate), goal, held.to_owned()]
    }
}

const BARS_HEAD: [&str; 5] = ["what", "figure", "gate", "goal", "held"];

/// Everything measured.
pub(crate) struct Report {
    run: BTreeMap<&'static str, Value>,
    out: Option<File>,
    tables: Vec<Table>,
    bars: Vec<Bar>,
    /// What could not be measured here.
    notes: Vec<String>,
}

struct Table {
    part: &'static str,
    title: &'static str,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Report {
    /// An empty one. With a file, every line is written there as soon as it is known.
    pub(crate) fn new(args: &Args) -> Result<Self, Box<dyn Error>> {
        let out = match &args.out {
            Some(path) => {
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                Some(File::options().create(true).append(true).open(path)?)
            }
            None => None,
        };
        let is_real = !args.echo_as_target;
        let run = BTreeMap::from([
            ("run", json!(clock::unix_seconds())),
            ("day", json!(clock::yesterday().plus(1).to_string())),
            ("commit", json!(commit())),
            ("machine", json!(machine())),
            ("build", json!(build())),
            ("quick", json!(args.quick)),
            ("real", json!(is_real)),
        ]);
        Ok(Self { run, out, tables: Vec::new(), bars: Vec::new(), notes: Vec::new() })
    }

    /// Starts a table; `row` fills it.
    pub(crate) fn table(&mut self, part: &'static str, title: &'static str, head: &[&str]) {
        let head = head.iter().map(|&cell| cell.to_owned()).collect();
        self.tables.push(Table { part, title, head, rows: Vec::new() });
    }

    /// Adds a row to the table of that title, and shows it at once as progress.
    pub(crate) fn row(&mut self, title: &str, cells: Vec<String>) {
        eprintln!("  {}", cells.join("  "));
        if let Some(table) = self.tables.iter_mut().find(|table| table.title == title) {
            let line = json!({ "kind": "row", "title": title, "head": table.head, "cells": cells });
            let part = table.part;
            table.rows.push(cells);
            self.write(part, &line);
        }
    }

    /// Adds a bar.
    pub(crate) fn bar(&mut self, part: &'static str, bar: Bar) {
        self.write(part, &json!({ "kind": "bar", "cells": bar.cells() }));
        self.bars.push(bar);
    }

    /// Says that something was left out, and why.
    pub(crate) fn note(&mut self, part: &'static str, text: String) {
        eprintln!("!!!! {text}");
        self.write(part, &json!({ "kind": "note", "text": text }));
        self.notes.push(text);
    }

    /// Whether every gate holds.
    pub(crate) fn holds(&self) -> bool {
        self.bars.iter().all(|bar| bar.keeps(bar.gate))
    }

    /// Prints all tables and bars as markdown.
    #[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
    pub(crate) fn print(&self) {
        let text = |key: &str| self.run.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        println!("\nmachine: {}; commit {}; {}", text("machine"), text("commit"), text("build"));
        for table in self.tables.iter().filter(|table| !table.rows.is_empty()) {
            println!("\n### {}\n", table.title);
            print_rows(&table.head, &table.rows);
        }
        if !self.bars.is_empty() {
            println!("\n### Bars\n");
            let rows: Vec<Vec<String>> = self.bars.iter().map(|bar| bar.cells().into()).collect();
            print_rows(&BARS_HEAD.map(str::to_owned), &rows);
        }
        for note in &self.notes {
            println!("\n!!!! {note}");
        }
    }

    fn write(&mut self, part: &'static str, line: &Value) {
        let Some(out) = &mut self.out else { return };
        let mut fields: BTreeMap<&str, Value> = self.run.clone();
        fields.insert("part", json!(part));
        if let Value::Object(line) = line {
            fields.extend(line.iter().map(|(key, value)| (key.as_str(), value.clone())));
        }
        if let Err(error) = writeln!(out, "{}", json!(fields)) {
            eprintln!("!!!! the figures cannot be written: {error}");
        }
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn print_rows(head: &[String], rows: &[Vec<String>]) {
    println!("| {} |", head.join(" | "));
    println!("|{}", "---|".repeat(head.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

/// What it runs on.
fn machine() -> String {
    let cores = thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let field = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim_start_matches([' ', '\t', ':']).to_owned()
    };
    let model = field("/proc/cpuinfo", "model name");
    let kib: u64 = field("/proc/meminfo", "MemTotal:").trim_end_matches("kB").trim().parse().unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let gib = (kib + (1 << 19)) >> 20;
    format!("{cores} cores, {model}, {gib} GiB, Linux {}, load average {load} at the start", kernel.trim())
}

/// The commit that was built, marked if the tree has changes on top of it.
fn commit() -> String {
    let git = |words: &[&str]| {
        let output = Command::new("git").args(words).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(hash) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_owned() };
    let is_clean = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/performance.md"])
        .is_some_and(|changes| changes.is_empty());
    if is_clean { hash } else { format!("{hash} with changes") }
}

/// The profile, which names the folder of the program.
fn build() -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_trustflow")).parent().and_then(Path::file_name);
    let profile = folder.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if cfg!(debug_assertions) {
        return format!("{profile} profile, UNOPTIMISED: figures mean nothing");
    }
    format!("{profile} profile")
}
