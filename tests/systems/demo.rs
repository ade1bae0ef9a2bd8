//! In the demo the campaigns are on, and have members.

use std::collections::BTreeMap;

use trustflow::demo::{FIRST_GENERATED, live_room_id, product_id, short_video_id};
use trustflow::domain::MerchantId;
use trustflow::proto::{ExplainScoreRequest, Scene, TargetKind};

use crate::common::Server;
use crate::common::calls::SCENES;

/// A Saturday evening: category days are on as well.
const NOW: &str = "2026-11-21T20:00:00+08:00";
/// Programmes that must have members at least.
const ENOUGH: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_has_members_for_its_programmes() {
    let server = Server::start_with(NOW, |settings| settings.demo = true).await;
    let mut members: BTreeMap<String, usize> = BTreeMap::new();
    let named = (1..=33).chain(FIRST_GENERATED..FIRST_GENERATED + 300);
    for id in named {
        let merchant = MerchantId(id);
        let scene: Scene = SCENES[usize::try_from(id).expect("small") % SCENES.len()];
        let mut places = vec![
            (Scene::Live, TargetKind::LiveRoom, live_room_id(merchant, 0)),
            (scene, TargetKind::Merchant, id),
            (Scene::Mall, TargetKind::Product, product_id(merchant, 0)),
        ];
        if id < FIRST_GENERATED {
            places.push((Scene::Search, TargetKind::Product, product_id(merchant, 1)));
            places.push((Scene::ShortVideo, TargetKind::ShortVideo, short_video_id(merchant, 0)));
        }
        for (scene, kind, target_id) in places {
            let request = ExplainScoreRequest {
                scene: scene.into(),
                target_kind: kind.into(),
                target_id,
                ..ExplainScoreRequest::default()
            };
            let explained = server.client.explain_with(request).await;
            for programme in explained.programmes {
                *members.entry(programme.id).or_default() += usize::from(programme.eligible);
            }
        }
    }
    println!("{members:#?}");
    let live = members.values().filter(|count| **count > 0).count();
    assert!(live >= ENOUGH, "only {live} programmes have members");
    let empty: Vec<&String> = members.iter().filter(|(_, count)| **count == 0).map(|(id, _)| id).collect();
    assert!(empty.is_empty(), "nobody is in {empty:?}");
}
