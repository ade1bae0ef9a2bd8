//! The names that expressions may use, and the typed columns they stand for.

use super::counters::Counters;
use super::expression::Refusal;
use super::layout::LayoutBuilder;
use super::model::CounterKind;
use super::problem::did_you_mean;
use crate::trust::{FlagColumn, Layer, ListColumn, NumberColumn, Span, TextColumn, Window};

/// What expressions can see.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The declared counters.
    pub(super) counters: &'a Counters,
    /// Ids of the signals, in policy order; `None` where there is no trust yet.
    pub(super) signals: Option<&'a [String]>,
    /// Ids of the tiers.
    pub(super) tiers: &'a [String],
    /// Ids of the rights; `None` when the catalogue could not be read.
    pub(super) rights: Option<&'a [String]>,
    /// Categories without logistics.
    pub(super) no_logistics: &'a [String],
}

/// The texts a column can hold, where they are known.
pub(super) enum Known {
    /// Any text.
    Any,
    /// One of these; what they are called.
    OneOf(&'static str, Vec<String>),
}

/// A column, by type.
pub(super) enum Column {
    /// A number.
    Number(NumberColumn),
    /// A text.
    Text {
        /// Which.
        column: TextColumn,
        /// What it can hold.
        known: Known,
    },
    /// A list of texts.
    List {
        /// Which.
        column: ListColumn,
        /// What it can hold.
        known: Known,
    },
    /// True or false.
    Flag(FlagColumn),
}

impl Known {
    /// Refuses a text that the column can never hold.
    pub(super) fn check(&self, text: &str) -> Result<(), Refusal> {
        match self {
            Self::OneOf(what, known) if !known.iter().any(|k| k == text) => Err(Refusal::new(
                "",
                format!("there is no {what} `{text}`"),
                did_you_mean(text, known.iter().map(String::as_str)),
            )),
            Self::OneOf(..) | Self::Any => Ok(()),
        }
    }
}

/// Names without a part that the policy declares.
const FIXED: [&str; 18] = [
    "merchant.fan_count",
    "merchant.days_since_opening",
    "merchant.days_since_enrolment[\"list\"]",
    "merchant.kind",
    "merchant.region",
    "merchant.origin_belt",
    "merchant.main_category",
    "merchant.tags",
    "merchant.categories",
    "merchant.enrolments",
    "merchant.prior_identity_violation",
    "merchant.ships_goods",
    "rights.held",
    "trust.score",
    "trust.tier",
    "trust.governance",
    "trust.consumer_rights",
    "trust.experience",
];

impl Scope<'_> {
    /// The column that a path names.
    pub(super) fn column(&self, path: &[&str], layout: &mut LayoutBuilder) -> Result<Column, Refusal> {
        match path {
            ["merchant", name] => self.merchant(name).ok_or_else(|| self.unknown(path)),
            ["rights", "held"] => Ok(Column::List {
                column: ListColumn::Rights,
                known: self.rights.map_or(Known::Any, |rights| Known::OneOf("right", rights.to_vec())),
            }),
            ["trust", name] => {
                self.signals(path)?;
                self.trust(name).ok_or_else(|| self.unknown(path))
            }
            ["signal", id] => self.signal(path, id).map(|index| Column::Number(NumberColumn::Signal(index))),
            ["measured", id] => self.signal(path, id).map(|index| Column::Flag(FlagColumn::SignalMeasured(index))),
            ["facts", name] => self.facts(name, layout),
            ["level", name] => self.level(name, layout),
            _ => Err(self.unknown(path)),
        }
    }

    fn merchant(&self, name: &str) -> Option<Column> {
        let text = |column| Column::Text { column, known: Known::Any };
        let list = |column| Column::List { column, known: Known::Any };
        Some(match name {
            "fan_count" => Column::Number(NumberColumn::FanCount),
            "days_since_opening" => Column::Number(NumberColumn::DaysSinceOpening),
            "kind" => {
                let kinds = ["ordinary", "kuai_brand", "brand"].map(String::from).to_vec();
                Column::Text { column: TextColumn::Kind, known: Known::OneOf("kind of merchant", kinds) }
            }
            "region" => text(TextColumn::Region),
            "origin_belt" => text(TextColumn::OriginBelt),
            "main_category" => text(TextColumn::MainCategory),
            "tags" => list(ListColumn::Tags),
            "categories" => list(ListColumn::Categories),
            "enrolments" => list(ListColumn::Enrolments),
            "prior_identity_violation" => Column::Flag(FlagColumn::PriorIdentityViolation),
            "ships_goods" => Column::Flag(FlagColumn::ShipsGoods { no_logistics: self.no_logistics.to_vec() }),
            _ => return None,
        })
    }

    fn trust(&self, name: &str) -> Option<Column> {
        Some(match name {
            "score" => Column::Number(NumberColumn::TrustScore),
            "tier" => Column::Text { column: TextColumn::TrustTier, known: Known::OneOf("tier", self.tiers.to_vec()) },
            _ => {
                let layer = Layer::ALL.into_iter().find(|layer| layer.name() == name)?;
                Column::Number(NumberColumn::LayerScore(layer))
            }
        })
    }

    /// The signals, where expressions may see trust.
    fn signals(&self, path: &[&str]) -> Result<&[String], Refusal> {
        self.signals.ok_or_else(|| {
            let message = format!("`{}` is not known while signals are computed", path.join("."));
            Refusal::new("", message, "`applies` sees merchant, rights, facts and level only")
        })
    }

    fn signal(&self, path: &[&str], id: &str) -> Result<u16, Refusal> {
        let signals = self.signals(path)?;
        let position = signals.iter().position(|signal| signal == id).and_then(|position| u16::try_from(position).ok());
        position.ok_or_else(|| {
            Refusal::new("", format!("there is no signal `{id}`"), did_you_mean(id, signals.iter().map(String::as_str)))
        })
    }

    /// `<counter>_<N>d`, `<counter>_week` or `<counter>_lifetime`.
    fn facts(&self, name: &str, layout: &mut LayoutBuilder) -> Result<Column, Refusal> {
        if self.counters.get(name).is_some_and(|counter| counter.kind == CounterKind::Level) {
            let message = format!("`{name}` is a level, not a flow");
            return Err(Refusal::new("", message, format!("write `level.{name}`")));
        }
        let split = name.rsplit_once('_').and_then(|(counter, window)| Some((counter, span(window)?)));
        let Some((counter, span)) = split else {
            return Err(Refusal::new(
                "",
                format!("`facts.{name}` has no window"),
                format!("write `facts.{name}_30d`, `facts.{name}_week` or `facts.{name}_lifetime`"),
            ));
        };
        let counter = self.counters.flow(counter).map_err(|(message, fix)| Refusal::new("", message, fix))?;
        let sum = layout.sum(counter, &Window { span, offset_days: 0 }).ok_or_else(too_many)?;
        Ok(Column::Number(NumberColumn::Sum(sum)))
    }

    fn level(&self, name: &str, layout: &mut LayoutBuilder) -> Result<Column, Refusal> {
        let counter = self.counters.level(name).map_err(|(message, fix)| Refusal::new("", message, fix))?;
        Ok(Column::Number(NumberColumn::Level(layout.level(counter).ok_or_else(too_many)?)))
    }

    fn unknown(&self, path: &[&str]) -> Refusal {
        let path = path.join(".");
        let signals = self.signals.unwrap_or_default().iter().map(|id| format!("signal.{id}"));
        let known: Vec<String> = FIXED.iter().map(|name| (*name).to_owned()).chain(signals).collect();
        let fix = did_you_mean(&path, known.iter().map(String::as_str));
        Refusal::new("", format!("there is no column `{path}`"), fix)
    }
}

/// The column that a path names with a key.
pub(super) fn indexed(path: &[&str], key: String) -> Result<Column, Refusal> {
    if path == ["merchant", "days_since_enrolment"] {
        return Ok(Column::Number(NumberColumn::DaysSinceEnrolment(key)));
    }
    let message = format!("`{}` takes no key", path.join("."));
    Err(Refusal::new("", message, "only merchant.days_since_enrolment[\"list\"] does"))
}

fn too_many() -> Refusal {
    Refusal::new("", "the policy needs too many window sums", "use windows that signals use already")
}

fn span(window: &str) -> Option<Span> {
    match window {
        "week" => Some(Span::NaturalWeek),
        "lifetime" => Some(Span::Lifetime),
        _ => days(window).map(Span::Days),
    }
}

/// `<N>d`, N from 1 to 3660.
pub(super) fn days(text: &str) -> Option<u16> {
    let digits = text.strip_suffix('d').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|days| (1..=3_660).contains(days))
}
