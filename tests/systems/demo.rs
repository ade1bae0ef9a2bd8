//! In the demo the campaigns are on, and have members.

use std::collections::BTreeMap;
use std::sync::Arc;

use trustflow::clock::{Clock, SimulatedClock};
use trustflow::demo::{self, FIRST_GENERATED, live_room_id, product_id, short_video_id};
use trustflow::domain::{Body, MerchantId, Outcome, Profile, Scene, Subject, TargetKind, Timestamp};
use trustflow::engine::{Engine, ExplainQuery, WriterSettings, due_day};
use trustflow::policy::embedded;
use trustflow::store::AuditRetention;

/// A Thursday, 20:00 in Shanghai.
const NOW: &str = "2026-11-19T20:00:00+08:00";
/// The Saturday after: category days are on as well, and two days closed. Service providers are ranked at the first
/// close and have their places from the second on.
const LATER: [&str; 2] = ["2026-11-20T20:00:00+08:00", "2026-11-21T20:00:00+08:00"];
/// Programmes that must have members at least.
const ENOUGH: usize = 12;
/// The named merchants and the first generated ones stand for all.
const GENERATED: u64 = 400;

fn time(text: &str) -> Timestamp {
    let time: jiff::Timestamp = text.parse().expect("a time");
    Timestamp(time.as_millisecond())
}

/// An engine with a part of the demo, loaded as `serve --demo` does it.
async fn start(folder: &std::path::Path) -> Engine {
    let now = time(NOW);
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(now, 0.0));
    let settings = WriterSettings { node: 1, log_retain: 10_000, close_days: true, audit: AuditRetention::DEFAULT };
    let engine = Engine::open(folder, clock, settings).expect("it opens");
    let policy = demo::current(embedded(), now.day());
    let published = engine.publish_policy(policy).await.expect("published");
    assert!(!matches!(published, Outcome::Rejected(_)), "{published:?}");
    engine.wait_for_day(due_day(now)).await.expect("closed");

    let policy = engine.read(|state| state.policy().clone());
    let mut population = demo::population(now, &|name| policy.counter(name));
    let is_in = |merchant: u64| merchant < FIRST_GENERATED + GENERATED;
    population.profiles.retain(|profile| match profile {
        Profile::Merchant(merchant) => is_in(merchant.id.0),
        Profile::Provider(_) => true,
        item @ (Profile::Product(_) | Profile::LiveRoom(_) | Profile::ShortVideo(_)) => {
            item.owner().is_some_and(|owner| is_in(owner.0))
        }
    });
    population.rows.retain(|row| match row.subject {
        Subject::Merchant(merchant) => is_in(merchant.0),
        Subject::Item(item) => is_in(item.id % 1_000_000 / 10),
    });
    population.rights.retain(|(merchant, _)| is_in(merchant.0));
    let profiles = population.profiles;
    let chunk = |sequence, profiles, rows| Body::ImportChunk { import_id: "demo".to_owned(), sequence, profiles, rows };
    let mut bodies = vec![chunk(1, profiles, Vec::new()), chunk(2, Vec::new(), population.rows)];
    bodies.extend(population.rights.into_iter().map(|(merchant, rights)| Body::SetRights { merchant, rights }));
    let packages = population.packages.into_iter().filter(|package| is_in(package.merchant.0));
    bodies.extend(packages.flat_map(demo::Package::commands));
    for body in bodies {
        let written = engine.begin_write(None, body).expect("taken").outcome().await.expect("written").outcome;
        assert!(!matches!(written, Outcome::Rejected(_)), "{written:?}");
    }
    engine
}

/// Targets that take part in each programme now.
fn members(engine: &Engine) -> BTreeMap<String, usize> {
    let mut members: BTreeMap<String, usize> = BTreeMap::new();
    for id in (1..=33).chain(FIRST_GENERATED..FIRST_GENERATED + GENERATED) {
        let merchant = MerchantId(id);
        let anywhere = Scene::ALL[usize::try_from(id).expect("small") % Scene::COUNT];
        for (scene, kind, target_id) in [
            (Scene::Live, TargetKind::LiveRoom, live_room_id(merchant, 0)),
            (anywhere, TargetKind::Merchant, id),
            (Scene::Mall, TargetKind::Product, product_id(merchant, 0)),
            (Scene::Search, TargetKind::Product, product_id(merchant, 1)),
            (Scene::ShortVideo, TargetKind::ShortVideo, short_video_id(merchant, 0)),
        ] {
            let query = ExplainQuery { scene, kind, target_id, merchant_id: 0, base_score: None };
            let explained = engine.explain(&query).expect("explained");
            let programmes = explained.merchant.map(|merchant| merchant.programmes).unwrap_or_default();
            for (programme, found) in explained.policy.programmes.iter().zip(programmes) {
                let takes_part = found.member.is_member() && found.is_open && found.is_in_scene && found.takes_target;
                *members.entry(programme.id.clone()).or_default() += usize::from(takes_part);
            }
        }
    }
    println!("{members:#?}");
    members
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_has_members_for_its_programmes() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = start(folder.path()).await;
    let live = members(&engine).values().filter(|count| **count > 0).count();
    assert!(live >= ENOUGH, "only {live} programmes have members");
    for later in LATER {
        engine.advance_clock(None, time(later)).await.expect("time moves");
    }
    let later = members(&engine);
    let empty: Vec<&String> = later.iter().filter(|(_, count)| **count == 0).map(|(id, _)| id).collect();
    assert!(empty.is_empty(), "nobody is in {empty:?}");
    tokio::task::spawn_blocking(move || engine.shut_down()).await.expect("a clean stop");
}
