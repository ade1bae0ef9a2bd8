//! A population to try the service with: the merchants that the platform's publications name, borderline cases
//! of the rules, and 20,000 generated merchants. Pure: the same `now` and dictionary give the same population,
//! and another day only shifts its dates. Beside it: the policy with its campaigns on now ([`current`]).
//!
//! Ids are fixed:
//!
//! | what | ids |
//! |---|---|
//! | named merchants | 1 to 33 (of 1 to 99) |
//! | generated merchants | 1000 to 20999 |
//! | live room k of merchant m | 1,000,000 + 10 m + k; k = 0 always exists |
//! | product k of merchant m | 2,000,000 + 10 m + k; k = 0 always exists |
//! | short video k of merchant m | 3,000,000 + 10 m + k |
//! | violation k of merchant m | 4,000,000 + 10 m + k |
//! | service providers | 9000 to 9011 |
//!
//! Facts end with the day before `now`, Asia/Shanghai. The last fourteen days are told by the day for named, new
//! and larger merchants and by the week for the others; what is older stands in lumps on the last day of their
//! spans, so that windows of 14, 30, 60, 90 and 365 days come out exactly. Counters with the value 0 are not sent.

mod cases;
mod counters;
mod dates;
mod facts;
mod generated;
mod named;
mod random;
mod script;
mod sheet;
mod words;

#[cfg(test)]
mod tests;

pub use dates::current;

use facts::Dictionary;
use sheet::Stage;

use crate::domain::{Body, CounterId, FactRow, HeldRight, MerchantId, Profile, Scene, Timestamp, Violation};

/// Id of the first generated merchant.
pub const FIRST_GENERATED: u64 = 1_000;
/// How many merchants are generated; their ids follow each other.
pub const GENERATED_COUNT: u64 = 20_000;
/// Id of the first service provider.
pub const FIRST_PROVIDER: u64 = 9_000;
/// How many service providers there are; their ids follow each other.
pub const PROVIDER_COUNT: u64 = 12;

/// Everything to load, in this order: profiles, rows, close the last day, rights, violations, packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Population {
    /// Service providers, merchants and their items; owners before what they own.
    pub profiles: Vec<Profile>,
    /// Facts of merchants, and of the items of named merchants.
    pub rows: Vec<FactRow>,
    /// Rights, for the merchants that hold any.
    pub rights: Vec<(MerchantId, Vec<HeldRight>)>,
    /// Violations to record. Their decisions are taken when they are recorded.
    pub violations: Vec<Violation>,
    /// Traffic packages, each assigned to a scene.
    pub packages: Vec<Package>,
}

/// A traffic package and the scene that its merchant chose for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// Whose.
    pub merchant: MerchantId,
    /// For which scene.
    pub scene: Scene,
    /// Exposures.
    pub exposures: u64,
}

impl Package {
    /// What gives it and assigns it.
    #[must_use]
    pub fn commands(self) -> [Body; 2] {
        let Self { merchant, scene, exposures } = self;
        let (author, reason) = ("demo".to_owned(), "a package of the demo".to_owned());
        [
            Body::GrantPackage { merchant, exposures, expires_at: None, author, reason },
            Body::AssignPackage { merchant, scene, exposures, is_release: false },
        ]
    }
}

/// The id of a merchant's live room at a position below 10.
#[must_use]
pub const fn live_room_id(merchant: MerchantId, position: u64) -> u64 {
    1_000_000 + 10 * merchant.0 + position
}

/// The id of a merchant's product at a position below 10.
#[must_use]
pub const fn product_id(merchant: MerchantId, position: u64) -> u64 {
    2_000_000 + 10 * merchant.0 + position
}

/// The id of a merchant's short video at a position below 10.
#[must_use]
pub const fn short_video_id(merchant: MerchantId, position: u64) -> u64 {
    3_000_000 + 10 * merchant.0 + position
}

/// The id of a merchant's violation at a position below 10.
#[must_use]
pub const fn violation_id(merchant: MerchantId, position: u64) -> u64 {
    4_000_000 + 10 * merchant.0 + position
}

/// The population as of `now`. Counters that `counter` does not know are left out.
#[must_use]
pub fn population(now: Timestamp, counter: &dyn Fn(&str) -> Option<CounterId>) -> Population {
    populate(now, counter, GENERATED_COUNT)
}

fn populate(now: Timestamp, counter: &dyn Fn(&str) -> Option<CounterId>, generated: u64) -> Population {
    let mut stage = Stage::new(now, Dictionary::new(counter));
    providers(&mut stage);
    named::write(&mut stage);
    cases::write(&mut stage);
    generated::write(&mut stage, generated);
    stage.finish()
}

/// Service providers from strong to weak in the five capabilities.
fn providers(stage: &mut Stage) {
    const NAMES: [(&str, [u8; 5]); 12] = [
        ("Xinghe Operations 星河代运营", [95, 93, 96, 92, 97]),
        ("Tongxin Live 同心直播服务", [90, 88, 85, 87, 92]),
        ("Chanye Belt Partners 产业带合伙人", [78, 70, 86, 95, 80]),
        ("Kuaipin Incubator 快品孵化", [86, 92, 80, 82, 88]),
        ("Yunfan Traffic 云帆流量", [93, 60, 55, 50, 75]),
        ("Hongtu Anchors 宏图主播学院", [62, 91, 50, 45, 78]),
        ("Suda Fulfilment 速达履约", [40, 35, 94, 83, 52]),
        ("Baihui Supply 百汇供应链", [45, 30, 82, 93, 50]),
        ("Lantian Studio 蓝天工作室", [66, 64, 61, 60, 68]),
        ("Jichu Agency 基础服务社", [52, 50, 55, 48, 54]),
        ("Xinshou Services 新手服务商", [35, 40, 38, 30, 42]),
        ("Guoqi Agency 掉队服务商", [15, 20, 18, 12, 16]),
    ];
    for (id, (name, capabilities)) in (FIRST_PROVIDER..).zip(NAMES) {
        let tags = if id == FIRST_PROVIDER { vec!["gold_operator".to_owned()] } else { Vec::new() };
        stage.provider(id, name.to_owned(), capabilities, tags);
    }
}
