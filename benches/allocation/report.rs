//! The table, its means, and what of it misses a gate.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::BTreeMap;

use super::args::{Args, Mode};
use super::data::Reached;
use super::judge::Verdict;

/// Points that a row may lie below the reference.
const TOLERANCE: f64 = 0.05;

/// A control on a combination with a forecast.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Stream, set, variant, forecast.
    pub(crate) key: [String; 4],
    /// Our mode, or the baseline.
    pub(crate) control: String,
    pub(crate) is_ours: bool,
    /// What is divided by: the optimum, or a bound of it.
    pub(crate) optimum: f64,
    /// By seed.
    pub(crate) verdicts: Vec<Verdict>,
    /// Seconds of a run, the mean.
    pub(crate) wall: f64,
    /// Why there is no verdict.
    pub(crate) failure: Option<String>,
    /// What the reference reached: the hybrid for ours, the control of the same name for a baseline.
    pub(crate) reference: Option<Reached>,
}

/// Means over seeds, and the worst of them.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    value: f64,
    penalised: f64,
    worst: f64,
    overspend: u64,
    cap_excess: u64,
    shortfall: f64,
    coverage: f64,
}

impl Row {
    fn figures(&self) -> Option<Figures> {
        let count = self.verdicts.len();
        let mean = |part: fn(&Verdict) -> f64| self.verdicts.iter().map(part).sum::<f64>() / count as f64;
        let least = |part: fn(&Verdict) -> f64| self.verdicts.iter().map(part).fold(f64::INFINITY, f64::min);
        let share = |value: f64| 100.0 * value / self.optimum;
        (count > 0 && self.failure.is_none()).then(|| Figures {
            value: share(mean(|one| one.value)),
            penalised: share(mean(|one| one.penalised)),
            worst: share(least(|one| one.penalised)),
            overspend: self.verdicts.iter().map(|one| one.overspend).max().unwrap_or_default(),
            cap_excess: self.verdicts.iter().map(|one| one.cap_excess).max().unwrap_or_default(),
            shortfall: mean(|one| one.shortfall),
            coverage: least(|one| one.coverage),
        })
    }

    /// What is wrong with it, by the gates of slate mode.
    fn misses(&self, mode: Mode) -> Vec<String> {
        let Some(figures) = self.figures() else {
            return vec![self.failure.clone().unwrap_or_else(|| "no figures".to_owned())];
        };
        let mut misses: Vec<String> = self.verdicts.iter().flat_map(|one| one.errors.iter().take(1).cloned()).collect();
        if mode != Mode::Slate {
            return misses;
        }
        if figures.overspend > 0 || figures.cap_excess > 0 {
            misses.push(format!("{} over budgets, {} over caps", figures.overspend, figures.cap_excess));
        }
        if let Some(reference) = self.reference {
            let least = reference.penalised - TOLERANCE;
            if figures.penalised < least {
                misses.push(format!("{:.3} is below {least:.3}", figures.penalised));
            }
            if figures.coverage < reference.coverage_99pct {
                misses.push(format!("coverage {:.1} is below {:.1}", figures.coverage, reference.coverage_99pct));
            }
        }
        misses
    }

    /// Whether it comes half the way from the reference to 100, with every guarantee at 99 %.
    fn reaches_goal(&self) -> bool {
        let both = self.figures().zip(self.reference);
        both.is_some_and(|(figures, reference)| {
            let is_clean = figures.overspend == 0 && figures.cap_excess == 0 && figures.coverage >= 100.0;
            is_clean && figures.penalised >= f64::midpoint(reference.penalised, 100.0)
        })
    }
}

/// Prints everything; whether all gates hold.
pub(crate) fn print(args: &Args, rows: &[Row]) -> bool {
    table(rows);
    means(rows);
    let ours: Vec<&Row> = rows.iter().filter(|row| row.is_ours).collect();
    if ours.is_empty() {
        return true;
    }
    let mut missed = 0;
    println!();
    for row in &ours {
        for miss in row.misses(args.mode) {
            missed += 1;
            println!("gate missed: {}: {miss}", row.key.join("|"));
        }
    }
    missed += modes(args, &ours);
    if missed == 0 {
        println!("all gates hold");
    }
    let measured = ours.iter().filter(|row| row.reference.is_some()).count();
    if measured > 0 && args.mode == Mode::Slate {
        let reached = ours.iter().filter(|row| row.reaches_goal()).count();
        println!("goal (half the distance to 100): reached by {reached} of {measured}");
    }
    missed == 0
}

/// The shares that the other modes are to reach, by set; how many are missed.
fn modes(args: &Args, ours: &[&Row]) -> usize {
    let least = match args.mode {
        Mode::Slate => return 0,
        Mode::Adjusted => [("caps", 99.7), ("support", 99.7)],
        Mode::Weights => [("caps", 99.4), ("support", 97.0)],
    };
    let mut missed = 0;
    for (set, least) in least {
        let of: Vec<f64> = ours
            .iter()
            .filter(|row| row.key[1] == set)
            .filter_map(|row| row.figures().map(|figures| figures.penalised))
            .collect();
        let mean = of.iter().sum::<f64>() / (of.len().max(1) as f64);
        if !of.is_empty() && mean < least {
            missed += 1;
            println!("gate missed: {set} in {} mode: a mean of {mean:.3} is below {least}", args.mode.name());
        }
    }
    missed
}

fn table(rows: &[Row]) {
    println!(
        "{:<14} {:<14} {:<8} {:<8} {:<13} {:>8} {:>8} {:>8} {:>8} {:>7} {:>6} {:>5} {:>7} {:>6} {:>7}",
        "stream",
        "set",
        "variant",
        "forecast",
        "mode",
        "value%",
        "penal.%",
        "worst%",
        "ref.%",
        "diff",
        "over",
        "cap+",
        "short%",
        "cov99",
        "wall s"
    );
    for row in rows {
        let [stream, set, variant, forecast] = &row.key;
        print!("{stream:<14} {set:<14} {variant:<8} {forecast:<8} {:<13} ", row.control);
        let Some(one) = row.figures() else {
            println!("failed: {}", row.failure.as_deref().unwrap_or_default());
            continue;
        };
        let reference = row.reference.map_or("-".to_owned(), |one| format!("{:.3}", one.penalised));
        let diff = row.reference.map_or("-".to_owned(), |other| format!("{:+.3}", one.penalised - other.penalised));
        println!(
            "{:>8.3} {:>8.3} {:>8.3} {reference:>8} {diff:>7} {:>6} {:>5} {:>7.3} {:>6.1} {:>7.2}",
            one.value, one.penalised, one.worst, one.overspend, one.cap_excess, one.shortfall, one.coverage, row.wall
        );
    }
}

fn means(rows: &[Row]) {
    let mut groups: BTreeMap<(bool, &str, String), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        // Names of random sets say nothing when they are put together.
        let set = if row.reference.is_some() || row.is_ours && row.key[1].len() < 8 { &row.key[1] } else { "other" };
        for group in ["all".to_owned(), format!("set {set}"), format!("forecast {}", row.key[3])] {
            groups.entry((!row.is_ours, &row.control, group)).or_default().push(row);
        }
    }
    println!("\nmeans");
    for ((_, control, group), rows) in &groups {
        let figures: Vec<Figures> = rows.iter().filter_map(|row| row.figures()).collect();
        if figures.is_empty() {
            continue;
        }
        let count = figures.len() as f64;
        let mean = |part: fn(&Figures) -> f64| figures.iter().map(part).sum::<f64>() / count;
        let diffs: Vec<f64> =
            rows.iter().filter_map(|row| Some(row.figures()?.penalised - row.reference?.penalised)).collect();
        let diff = if diffs.is_empty() {
            String::new()
        } else {
            format!(", {:+.3} points to the reference", diffs.iter().sum::<f64>() / diffs.len() as f64)
        };
        println!(
            "{control:<13} {group:<18} {:>3} rows: value {:.3} %, penalised {:.3} %{diff}; shortfall {:.3} %, coverage {:.1} %, \
             rows that overspend {}",
            figures.len(),
            mean(|one| one.value),
            mean(|one| one.penalised),
            mean(|one| one.shortfall),
            mean(|one| one.coverage),
            figures.iter().filter(|one| one.overspend + one.cap_excess > 0).count(),
        );
    }
}
