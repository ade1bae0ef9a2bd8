//! The typed columns that expressions of the policy read. A value that is not known meets no test.

use super::score::SignalState;
use super::signal::Layer;
use super::view::Seen;
use super::window::{LevelId, SumId};
use crate::domain::{Capability, Day, MerchantKind, Profile, Scene, Timestamp, count_to_f64};

/// Columns that hold numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum NumberColumn {
    /// Followers.
    FanCount,
    /// Whole days from the opening day to today; not known without an opening.
    DaysSinceOpening,
    /// Whole days from the first day with a paid order to today; not known before it.
    DaysSinceFirstSale,
    /// Whole days from enrolment on a list to today; not known without one.
    DaysSinceEnrolment(String),
    /// The day of enrolment on a list, in days since 1970-01-01; not known without one.
    EnrolmentDay(String),
    /// The trust score, 0 to 100.
    TrustScore,
    /// A layer score, 0 to 100.
    LayerScore(Layer),
    /// The smoothed value of a signal, by position; not known where it does not apply.
    Signal(u16),
    /// A windowed sum.
    Sum(SumId),
    /// The latest level, in its fixed-point unit; not known before the first.
    Level(LevelId),
    /// A capability of the merchant's service provider, 0 to 100; not known without one.
    Capability(Capability),
    /// Place of the service provider in the last round, from 1; not known where it was not ranked.
    ProviderRank,
    /// Whole days since the item was listed, posted or went on air; not known without that.
    ItemAge,
    /// Merchants that promote the product.
    Promoters,
    /// A windowed sum of the item; 0 where no facts were sent for it.
    ItemSum(SumId),
}

/// Columns that hold a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextColumn {
    /// `ordinary`, `kuai_brand` or `brand`.
    Kind,
    /// Region.
    Region,
    /// Industry belt.
    OriginBelt,
    /// First category.
    MainCategory,
    /// Trust tier.
    TrustTier,
    /// Stage of the merchant's life cycle.
    Stage,
    /// First category of the product.
    ItemMainCategory,
}

/// Columns that hold several texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListColumn {
    /// Marks.
    Tags,
    /// Categories.
    Categories,
    /// Lists it is enrolled on.
    Enrolments,
    /// Scenes in which something is left of its packages.
    Packages,
    /// Rights held at state time.
    Rights,
    /// Marks of the merchant's service provider.
    ProviderTags,
    /// Marks of the item.
    ItemTags,
    /// Categories of the product.
    ItemCategories,
}

/// Columns that are true or false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagColumn {
    /// The owner ran another shop that was punished.
    PriorIdentityViolation,
    /// Some category of it ships goods: not all are among these categories without logistics.
    ShipsGoods {
        /// Categories without logistics.
        no_logistics: Vec<String>,
    },
    /// A signal was computed from facts.
    SignalMeasured(u16),
    /// The product is virtual or a local service.
    ItemVirtual,
}

impl NumberColumn {
    /// Whether it counts days from one that [`Self::first_day`] answers.
    pub(super) fn counts_days(&self) -> bool {
        matches!(self, Self::DaysSinceOpening | Self::DaysSinceFirstSale | Self::DaysSinceEnrolment(_) | Self::ItemAge)
    }

    /// The day that a count of days counts from.
    pub(super) fn first_day(&self, seen: &Seen) -> Option<Day> {
        match self {
            Self::DaysSinceOpening => seen.merchant?.merchant.opened_at.map(Timestamp::day),
            Self::DaysSinceFirstSale => seen.merchant?.facts.first_sale(),
            Self::DaysSinceEnrolment(list) => seen.merchant?.merchant.enrolled(list),
            Self::ItemAge => began(seen.item?.profile).map(Timestamp::day),
            Self::FanCount
            | Self::EnrolmentDay(_)
            | Self::TrustScore
            | Self::LayerScore(_)
            | Self::Signal(_)
            | Self::Sum(_)
            | Self::Level(_)
            | Self::Capability(_)
            | Self::ProviderRank
            | Self::Promoters
            | Self::ItemSum(_) => None,
        }
    }

    /// The value; none where it is not known.
    #[must_use]
    pub fn value(&self, seen: &Seen) -> Option<f64> {
        match self {
            Self::FanCount => Some(count_to_f64(seen.merchant?.merchant.fan_count)),
            Self::DaysSinceOpening | Self::DaysSinceFirstSale | Self::DaysSinceEnrolment(_) | Self::ItemAge => {
                let first = self.first_day(seen)?;
                Some(f64::from(seen.now().day().days_since(first)))
            }
            Self::EnrolmentDay(list) => Some(f64::from(seen.merchant?.merchant.enrolled(list)?.0)),
            Self::TrustScore => seen.trust.map(|t| t.trust.score),
            Self::LayerScore(layer) => seen.trust.map(|t| 100.0 * t.trust.layer(*layer).score),
            Self::Signal(index) => {
                let row = seen.trust?.signals.get(usize::from(*index))?;
                matches!(row.state, SignalState::Measured | SignalState::NoData).then_some(row.smoothed)
            }
            Self::Sum(id) => Some(seen.merchant?.facts.sum(*id)),
            Self::Level(id) => seen.merchant?.facts.level(*id),
            Self::Capability(capability) => seen.merchant?.provider?.profile.capability(*capability).map(f64::from),
            Self::ProviderRank => seen.merchant?.provider?.rank.map(f64::from),
            Self::Promoters => match seen.item?.profile {
                Profile::Product(product) => u32::try_from(product.promoters.len()).ok().map(f64::from),
                Profile::Merchant(_) | Profile::LiveRoom(_) | Profile::ShortVideo(_) | Profile::Provider(_) => None,
            },
            Self::ItemSum(id) => Some(seen.item?.facts.map_or(0.0, |facts| count_to_f64(facts.sum(*id)))),
        }
    }
}

/// When an item came to be: listed, posted or on air.
fn began(profile: &Profile) -> Option<Timestamp> {
    match profile {
        Profile::Product(product) => product.listed_at,
        Profile::LiveRoom(room) => room.started_at,
        Profile::ShortVideo(video) => video.posted_at,
        Profile::Merchant(_) | Profile::Provider(_) => None,
    }
}

impl TextColumn {
    pub(super) fn value<'a>(self, seen: &Seen<'a>) -> Option<&'a str> {
        let merchant = seen.merchant.map(|view| view.merchant);
        match self {
            Self::Kind => Some(match merchant?.kind {
                MerchantKind::Ordinary => "ordinary",
                MerchantKind::KuaiBrand => "kuai_brand",
                MerchantKind::Brand => "brand",
            }),
            Self::Region => Some(&merchant?.region),
            Self::OriginBelt => Some(&merchant?.origin_belt),
            Self::MainCategory => merchant?.categories.first().map(String::as_str),
            Self::TrustTier => seen.trust.map(|t| t.tier),
            Self::Stage => seen.trust.map(|t| t.stage),
            Self::ItemMainCategory => match seen.item?.profile {
                Profile::Product(product) => product.categories.first().map(String::as_str),
                Profile::Merchant(_) | Profile::LiveRoom(_) | Profile::ShortVideo(_) | Profile::Provider(_) => None,
            },
        }
    }
}

impl ListColumn {
    pub(super) fn values<'a>(self, seen: &Seen<'a>) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        let texts = |texts: Option<&'a [String]>| Box::new(texts.unwrap_or_default().iter().map(String::as_str));
        let merchant = seen.merchant;
        match self {
            Self::Tags => texts(merchant.map(|view| view.merchant.tags.as_slice())),
            Self::Categories => texts(merchant.map(|view| view.merchant.categories.as_slice())),
            Self::Enrolments => {
                let today = seen.now().day();
                let enrolments = merchant.map(|view| view.merchant.enrolments.as_slice()).unwrap_or_default();
                Box::new(enrolments.iter().filter(move |e| e.day <= today).map(|e| e.list.as_str()))
            }
            Self::Packages => {
                let packages = merchant.map_or(0, |view| view.packages);
                Box::new(
                    Scene::ALL
                        .into_iter()
                        .filter(move |scene| packages & scene.mask() != 0)
                        .map(|scene| -> &'a str { scene.name() }),
                )
            }
            Self::Rights => {
                let now = seen.now();
                let rights = merchant.map(|view| view.rights).unwrap_or_default();
                Box::new(rights.iter().filter(move |r| r.held_at(now)).map(|r| r.right.as_str()))
            }
            Self::ProviderTags => {
                texts(merchant.and_then(|view| view.provider).map(|provider| provider.profile.tags.as_slice()))
            }
            Self::ItemTags => texts(seen.item.map(|view| match view.profile {
                Profile::Product(product) => product.tags.as_slice(),
                Profile::LiveRoom(room) => room.tags.as_slice(),
                Profile::ShortVideo(video) => video.tags.as_slice(),
                Profile::Merchant(_) | Profile::Provider(_) => &[],
            })),
            Self::ItemCategories => texts(seen.item.map(|view| match view.profile {
                Profile::Product(product) => product.categories.as_slice(),
                Profile::Merchant(_) | Profile::LiveRoom(_) | Profile::ShortVideo(_) | Profile::Provider(_) => &[],
            })),
        }
    }
}

impl ListColumn {
    /// Whether the list has an entry. Called for every merchant and programme: nothing is put together for it.
    pub(super) fn contains(self, seen: &Seen, entry: &str) -> bool {
        let has = |texts: &[String]| texts.iter().any(|text| text == entry);
        let merchant = seen.merchant;
        match self {
            Self::Tags => merchant.is_some_and(|view| has(&view.merchant.tags)),
            Self::Categories => merchant.is_some_and(|view| has(&view.merchant.categories)),
            Self::Enrolments => {
                let today = seen.now().day();
                merchant.is_some_and(|view| {
                    view.merchant.enrolments.iter().any(|enrolment| enrolment.day <= today && enrolment.list == entry)
                })
            }
            Self::Rights => {
                let now = seen.now();
                merchant.is_some_and(|view| view.rights.iter().any(|right| right.right == entry && right.held_at(now)))
            }
            Self::Packages | Self::ProviderTags | Self::ItemTags | Self::ItemCategories => {
                self.values(seen).any(|text| text == entry)
            }
        }
    }
}

impl FlagColumn {
    pub(super) fn value(&self, seen: &Seen) -> bool {
        let merchant = seen.merchant.map(|view| view.merchant);
        match self {
            Self::PriorIdentityViolation => merchant.is_some_and(|merchant| merchant.prior_identity_violation),
            Self::ShipsGoods { no_logistics } => merchant.is_some_and(|merchant| {
                let categories = &merchant.categories;
                categories.is_empty() || categories.iter().any(|category| !no_logistics.contains(category))
            }),
            Self::SignalMeasured(index) => seen
                .trust
                .and_then(|t| t.signals.get(usize::from(*index)))
                .is_some_and(|row| row.state == SignalState::Measured),
            Self::ItemVirtual => {
                matches!(seen.item.map(|view| view.profile), Some(Profile::Product(product)) if product.is_virtual)
            }
        }
    }
}
