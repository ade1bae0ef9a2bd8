//! The shipped policy as the run reads it: what each programme may spend; and a copy of it that is tighter.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use trustflow::domain::{Day, Timestamp};

use super::Outcome;

/// Keys whose figures are exposures that are spent, promised or allowed. `max_exposures_30d` is who belongs to the long
/// tail, and stays.
const SCALED: [&str; 7] = ["exposures", "live", "short_video", "image_text", "search", "mall", "store"];

/// How often something begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Period {
    /// Never.
    Window,
    /// On 1 January.
    Year,
    /// On the first of the month.
    Month,
    /// On Monday.
    Week,
    /// At midnight.
    Day,
}

impl Period {
    /// First day of the period that a day lies in.
    pub(crate) fn first(self, day: Day) -> Day {
        let text = day.to_string();
        let begins = |prefix: usize, rest: &str| Day::parse(&format!("{}{rest}", &text[..prefix])).unwrap_or(day);
        match self {
            Self::Window => Day(0),
            Self::Year => begins(4, "-01-01"),
            Self::Month => begins(7, "-01"),
            Self::Week => day.week().monday(),
            Self::Day => day,
        }
    }

    /// Whether two instants lie in one.
    pub(crate) fn is_one(self, a: Timestamp, b: Timestamp) -> bool {
        self.first(a.day()) == self.first(b.day())
    }
}

/// What a programme file says that matters here.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Programme {
    /// What it may spend.
    pub(crate) budget: Option<Budget>,
    /// What it promises.
    pub(crate) guarantee: Option<Guarantee>,
    /// What a member may have.
    pub(crate) cap: Option<Cap>,
}

/// A budget.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Budget {
    /// In each period, all scenes together.
    pub(crate) exposures: u64,
    /// How often it begins anew.
    pub(crate) period: Period,
    /// Largest share of one member.
    pub(crate) max_member_share: Option<f64>,
    /// Budgets of single scenes.
    #[serde(default)]
    pub(crate) by_scene: BTreeMap<String, u64>,
}

/// A guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Guarantee {
    /// Exposures promised.
    pub(crate) exposures: u64,
    /// Within so many days.
    pub(crate) days: u16,
}

/// A cap.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Cap {
    /// Exposures allowed.
    pub(crate) exposures: u64,
    /// In which period.
    pub(crate) period: Period,
}

impl Budget {
    /// What one scene may spend, and whether of its own.
    pub(crate) fn of(&self, scene: &str) -> (u64, bool) {
        match self.by_scene.get(scene) {
            Some(own) => (*own, true),
            None => (self.exposures.saturating_sub(self.by_scene.values().sum()), false),
        }
    }

    /// What one member may have of it.
    pub(crate) fn of_member(&self) -> Option<u64> {
        let millionths = (self.max_member_share? * 1e6).round() as u128;
        u64::try_from(u128::from(self.exposures) * millionths / 1_000_000).ok()
    }
}

/// The programmes by id.
pub(crate) type Programmes = BTreeMap<String, Programme>;

/// Where the shipped policy stands.
pub(crate) fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policy").join("default")
}

/// Reads the programmes of a folder.
pub(crate) fn read(folder: &Path) -> Outcome<Programmes> {
    let mut programmes = Programmes::new();
    for entry in fs::read_dir(folder.join("programmes"))? {
        let path = entry?.path();
        let id = path.file_stem().and_then(|stem| stem.to_str()).ok_or("a file without a name")?.to_owned();
        programmes.insert(id, toml::from_str(&fs::read_to_string(&path)?)?);
    }
    Ok(programmes)
}

/// Copies the shipped policy with budgets, caps and guarantees divided, at least 1 each. Nothing else changes: it is
/// the text that is edited.
pub(crate) fn tighten(to: &Path, divisor: u64) -> Outcome<()> {
    copy(&shipped(), to, &|path, text| {
        if path.parent().is_some_and(|folder| folder.ends_with("programmes")) { tight(&text, divisor) } else { text }
    })
}

fn copy(from: &Path, to: &Path, change: &dyn Fn(&Path, String) -> String) -> Outcome<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().ok_or("a path without a name")?);
        if path.is_dir() {
            copy(&path, &target, change)?;
        } else {
            fs::write(target, change(&path, fs::read_to_string(&path)?))?;
        }
    }
    Ok(())
}

/// Divides the figures in `[budget]`, `[budget.by_scene]`, `[cap]` and `[guarantee]`.
fn tight(text: &str, divisor: u64) -> String {
    let mut is_spending = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            is_spending = ["[budget]", "[budget.by_scene]", "[cap]", "[guarantee]"].contains(&line.trim());
        }
        lines.push(if is_spending { divided(line, divisor) } else { None }.unwrap_or_else(|| line.to_owned()));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// `exposures = 1_000 # why` with the figure divided; none for other lines.
fn divided(line: &str, divisor: u64) -> Option<String> {
    let (key, value) = line.split_once('=')?;
    let figure = value.split('#').next()?.trim().replace('_', "");
    let exposures: u64 = SCALED.contains(&key.trim()).then(|| figure.parse().ok())??;
    Some(format!("{key}= {}", (exposures / divisor).max(1)))
}
