//! The names that expressions may use, and the typed columns they stand for.

use super::counters::Counters;
use super::expression::Refusal;
use super::layout::LayoutBuilder;
use super::model::CounterKind;
use super::problem::did_you_mean;
use crate::domain::{Capability, Scene, TargetKind};
use crate::trust::{Anchor, FlagColumn, Layer, ListColumn, NumberColumn, Span, TextColumn, Window};

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
    /// Ids of the stages of the life cycle.
    pub(super) stages: Stages<'a>,
    /// Categories without logistics.
    pub(super) no_logistics: &'a [String],
    /// Whether expressions may look at products, rooms and videos.
    pub(super) items: bool,
}

/// What is known of the stages of the life cycle.
#[derive(Clone, Copy)]
pub(super) enum Stages<'a> {
    /// A merchant's stage is not known yet where the expression stands.
    Hidden,
    /// Their file could not be read: what is said about it is enough.
    Unread,
    /// Their ids.
    Ids(&'a [String]),
}

/// Whom a column is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The merchant, its provider, its trust.
    Merchant,
    /// Items of a kind.
    Item(TargetKind),
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
    /// A day, compared with a date.
    Date(NumberColumn),
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
pub(super) const FIXED: [&str; 41] = [
    "merchant.fan_count",
    "merchant.days_since_opening",
    "merchant.days_since_first_sale",
    "merchant.days_since_enrolment[\"list\"]",
    "merchant.enrolled_on[\"list\"]",
    "merchant.kind",
    "merchant.region",
    "merchant.origin_belt",
    "merchant.main_category",
    "merchant.tags",
    "merchant.categories",
    "merchant.enrolments",
    "merchant.packages",
    "merchant.stage",
    "merchant.prior_identity_violation",
    "merchant.ships_goods",
    "provider.traffic_marketing",
    "provider.anchor_incubation",
    "provider.fulfilment",
    "provider.supply_chain",
    "provider.live_operation",
    "provider.rank",
    "provider.tags",
    "rights.held",
    "trust.score",
    "trust.tier",
    "trust.governance",
    "trust.consumer_rights",
    "trust.experience",
    "product.tags",
    "product.categories",
    "product.main_category",
    "product.virtual",
    "product.promoters",
    "product.days_since_listing",
    "product.facts.counter_30d",
    "room.tags",
    "room.days_since_start",
    "room.facts.counter_30d",
    "video.tags",
    "video.days_since_posting",
];

impl Scope<'_> {
    /// The column that a path names, and whom it is about.
    pub(super) fn column(&self, path: &[&str], layout: &mut LayoutBuilder) -> Result<(Column, About), Refusal> {
        let column = match path {
            ["product", name] => return self.item(path, TargetKind::Product, product(name)),
            ["room", name] => return self.item(path, TargetKind::LiveRoom, item(name, "days_since_start")),
            ["video", name] => return self.item(path, TargetKind::ShortVideo, item(name, "days_since_posting")),
            [noun @ ("product" | "room" | "video"), "facts", name] => {
                let kind = match *noun {
                    "product" => TargetKind::Product,
                    "room" => TargetKind::LiveRoom,
                    _ => TargetKind::ShortVideo,
                };
                let column = self.facts(name, layout, About::Item(kind))?;
                return self.item(path, kind, Some(column));
            }
            ["merchant", name] => self.merchant(name).ok_or_else(|| self.unknown(path)),
            ["provider", name] => provider(name).ok_or_else(|| self.unknown(path)),
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
            ["facts", name] => self.facts(name, layout, About::Merchant),
            ["level", name] => self.level(name, layout),
            _ => Err(self.unknown(path)),
        };
        Ok((column?, About::Merchant))
    }

    /// A column of items of a kind, where expressions may see them.
    fn item(&self, path: &[&str], kind: TargetKind, column: Option<Column>) -> Result<(Column, About), Refusal> {
        let column = column.ok_or_else(|| self.unknown(path))?;
        if !self.items {
            return Err(Refusal::new(
                "",
                format!("`{}` is not known here", path.join(".")),
                "only `eligibility` and `item_uplift` of programmes see products, rooms and videos",
            ));
        }
        Ok((column, About::Item(kind)))
    }

    fn merchant(&self, name: &str) -> Option<Column> {
        let text = |column| Column::Text { column, known: Known::Any };
        let list = |column| Column::List { column, known: Known::Any };
        Some(match name {
            "fan_count" => Column::Number(NumberColumn::FanCount),
            "days_since_opening" => Column::Number(NumberColumn::DaysSinceOpening),
            "days_since_first_sale" => Column::Number(NumberColumn::DaysSinceFirstSale),
            "stage" => {
                let known = match self.stages {
                    Stages::Hidden => return None,
                    Stages::Unread => Known::Any,
                    Stages::Ids(ids) => Known::OneOf("stage", ids.to_vec()),
                };
                Column::Text { column: TextColumn::Stage, known }
            }
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
            "packages" => {
                let scenes = Scene::ALL.map(|scene| scene.name().to_owned()).to_vec();
                Column::List { column: ListColumn::Packages, known: Known::OneOf("scene", scenes) }
            }
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

    /// A counter and its window, e.g. `<counter>_30d`; see [`span`].
    fn facts(&self, name: &str, layout: &mut LayoutBuilder, about: About) -> Result<Column, Refusal> {
        if self.counters.get(name).is_some_and(|counter| counter.kind == CounterKind::Level) {
            let message = format!("`{name}` is a level, not a flow");
            return Err(Refusal::new("", message, format!("write `level.{name}`")));
        }
        let splits = || name.match_indices('_').map(|(at, _)| name.split_at(at));
        let parted = |(counter, rest): (&'_ str, &'_ str)| {
            let window = window(rest.strip_prefix('_').unwrap_or_default())?;
            Some((counter.to_owned(), window))
        };
        // Names of counters may end like windows: one that is declared goes first.
        let declared = splits().filter(|(counter, _)| self.counters.get(counter).is_some()).find_map(parted);
        let Some((counter, window)) = declared.or_else(|| splits().find_map(parted)) else {
            return Err(Refusal::new(
                "",
                format!("`facts.{name}` has no window"),
                format!("write `facts.{name}_30d`, `facts.{name}_week` or `facts.{name}_lifetime`"),
            ));
        };
        let counter = self.counters.flow(&counter).map_err(|(message, fix)| Refusal::new("", message, fix))?;
        if let About::Item(_) = about {
            if matches!(window.span, Span::From(..)) {
                let fix = "use `_30d`, `_week` or `_lifetime`";
                return Err(Refusal::new("", "items have no opening, first sale or enrolment", fix));
            }
            let sum = layout.item_sum(counter, &window).ok_or_else(too_many)?;
            return Ok(Column::Number(NumberColumn::ItemSum(sum)));
        }
        let sum = layout.sum(counter, &window).ok_or_else(too_many)?;
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
    if path == ["merchant", "enrolled_on"] {
        return Ok(Column::Date(NumberColumn::EnrolmentDay(key)));
    }
    let message = format!("`{}` takes no key", path.join("."));
    let fix = "only merchant.days_since_enrolment[\"list\"] and merchant.enrolled_on[\"list\"] do";
    Err(Refusal::new("", message, fix))
}

fn too_many() -> Refusal {
    Refusal::new("", "the policy needs too many window sums", "use windows that signals use already")
}

/// Columns of the merchant's service provider.
fn provider(name: &str) -> Option<Column> {
    Some(match name {
        "rank" => Column::Number(NumberColumn::ProviderRank),
        "tags" => Column::List { column: ListColumn::ProviderTags, known: Known::Any },
        _ => {
            let capability = Capability::ALL.into_iter().find(|capability| capability.name() == name)?;
            Column::Number(NumberColumn::Capability(capability))
        }
    })
}

/// Columns that items of every kind have; `age` is what a kind calls its age in days.
fn item(name: &str, age: &str) -> Option<Column> {
    match name {
        "tags" => Some(Column::List { column: ListColumn::ItemTags, known: Known::Any }),
        _ if name == age => Some(Column::Number(NumberColumn::ItemAge)),
        _ => None,
    }
}

fn product(name: &str) -> Option<Column> {
    Some(match name {
        "categories" => Column::List { column: ListColumn::ItemCategories, known: Known::Any },
        "main_category" => Column::Text { column: TextColumn::ItemMainCategory, known: Known::Any },
        "virtual" => Column::Flag(FlagColumn::ItemVirtual),
        "promoters" => Column::Number(NumberColumn::Promoters),
        _ => return item(name, "days_since_listing"),
    })
}

/// `30d`, `week`, `lifetime`; `30d_before_30d`, the 30 days before those; `90d_from_first_sale` and
/// `30d_from_opening`, the first days of a merchant's life.
fn window(text: &str) -> Option<Window> {
    let plain = |span| Some(Window { span, offset_days: 0 });
    if let Some((span, offset)) = text.split_once("_before_") {
        return Some(Window { span: Span::Days(days(span)?), offset_days: days(offset)? });
    }
    if let Some((span, anchor)) = text.split_once("_from_") {
        let anchor = match anchor {
            "opening" => Anchor::Opening,
            "first_sale" => Anchor::FirstSale,
            _ => return None,
        };
        return plain(Span::From(anchor, days(span)?));
    }
    match text {
        "week" => plain(Span::NaturalWeek),
        "lifetime" => plain(Span::Lifetime),
        _ => plain(Span::Days(days(text)?)),
    }
}

/// `<N>d`, N from 1 to 3660.
pub(super) fn days(text: &str) -> Option<u16> {
    let digits = text.strip_suffix('d').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|days| (1..=3_660).contains(days))
}
