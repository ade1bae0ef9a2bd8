//! Medians, and the tables that are printed.

use std::fs;
use std::thread;

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
}

/// A bar that must hold.
pub(crate) struct Gate {
    what: String,
    measured: String,
    limit: String,
    pub(crate) holds: bool,
}

impl Gate {
    /// A figure that must not exceed its limit.
    pub(crate) fn at_most(what: String, measured: f64, limit: f64, unit: &str) -> Self {
        let text = |figure: f64| format!("{figure:.2} {unit}");
        Self { what, measured: text(measured), limit: format!("<= {}", text(limit)), holds: measured <= limit }
    }

    /// A figure that must reach its limit.
    pub(crate) fn at_least(what: String, measured: f64, limit: f64, unit: &str) -> Self {
        let text = |figure: f64| format!("{figure:.2} {unit}");
        Self { what, measured: text(measured), limit: format!(">= {}", text(limit)), holds: measured >= limit }
    }
}

/// Everything measured, to be printed at the end.
#[derive(Default)]
pub(crate) struct Report {
    tables: Vec<Table>,
    /// Bars that `--gate` enforces.
    pub(crate) gates: Vec<Gate>,
    /// Stricter bars, shown only.
    pub(crate) aims: Vec<Gate>,
}

struct Table {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Report {
    /// Starts a table; `row` fills it.
    pub(crate) fn table(&mut self, title: &str, head: &[&str]) {
        let head = head.iter().map(|&cell| cell.to_owned()).collect();
        self.tables.push(Table { title: title.to_owned(), head, rows: Vec::new() });
    }

    /// Adds a row to the table of that title, and shows it at once as progress.
    pub(crate) fn row(&mut self, title: &str, cells: Vec<String>) {
        eprintln!("  {}", cells.join("  "));
        if let Some(table) = self.tables.iter_mut().find(|table| table.title == title) {
            table.rows.push(cells);
        }
    }

    /// Prints all tables and the gates as markdown.
    pub(crate) fn print(&self) {
        println!("\n{}", machine());
        for table in self.tables.iter().filter(|table| !table.rows.is_empty()) {
            println!("\n### {}\n", table.title);
            print_rows(&table.head, &table.rows);
        }
        print_bars("Gates", &self.gates);
        print_bars("Stricter bars, not enforced", &self.aims);
    }
}

fn print_bars(title: &str, bars: &[Gate]) {
    if bars.is_empty() {
        return;
    }
    let rows: Vec<Vec<String>> = bars
        .iter()
        .map(|bar| {
            let verdict = if bar.holds { "pass" } else { "FAIL" };
            vec![bar.what.clone(), bar.measured.clone(), bar.limit.clone(), verdict.to_owned()]
        })
        .collect();
    println!("\n### {title}\n");
    print_rows(&["what", "measured", "limit", "verdict"].map(str::to_owned), &rows);
}

fn print_rows(head: &[String], rows: &[Vec<String>]) {
    println!("| {} |", head.join(" | "));
    println!("|{}", "---|".repeat(head.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

/// What it ran on.
fn machine() -> String {
    let cores = thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    let build = if cfg!(debug_assertions) { "UNOPTIMISED build, figures mean nothing" } else { "optimised build" };
    format!(
        "machine: {cores} cores, {}; load average {}; {build}",
        model.trim_start_matches([' ', '\t', ':']),
        load.join(" ")
    )
}
