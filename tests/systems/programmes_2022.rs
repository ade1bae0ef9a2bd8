//! The campaigns of 2022 and the winter after it, as they came.

use trustflow::proto::{MerchantKind, Scene, TargetKind};

use crate::driver::{Case, Driver};
use crate::rules;
use crate::setup::{average, good};

const TRUST: &str = "trust.score";

fn warm_spring() -> Case {
    let member = good().list("warm_spring", 0);
    Case::new("warm_spring", Scene::Live, TargetKind::LiveRoom, member.clone(), 0.2)
        .refused("\"warm_spring\" in merchant.enrolments", good())
        .refused(TRUST, member.turned_bad())
        .lift(0.2, good().with(|setup| setup.region = "jilin"))
        .not_in(Scene::Search)
        .not_for(TargetKind::Product)
}

fn virtual_goods() -> Case {
    let goods = good().sells("mobile_recharge").with(|setup| setup.product_virtual = true);
    let member = goods.clone().list("virtual_goods", 1);
    Case::new("virtual_goods", Scene::Mall, TargetKind::Product, member.clone(), 0.3)
        .refused("\"virtual_goods\" in merchant.enrolments", goods.clone())
        // Enrolled from the day after tomorrow on.
        .refused("\"virtual_goods\" in merchant.enrolments", goods.list("virtual_goods", -2))
        .refused("product.virtual", member.clone().with(|setup| setup.product_virtual = false))
        // Local catering: up by 150 %; from next to nothing is no growth.
        .lift(0.5, member.clone().fact(40, "paid_orders", 400))
        .lift(0.3, member.clone().fact(40, "paid_orders", 420))
        .lift(0.3, member.fact(40, "paid_orders", 20))
}

fn selected_pool() -> Case {
    let member = good().with(|setup| {
        setup.product_tags = vec!["selected_pool"];
        setup.product_categories = vec!["fresh_food"];
    });
    Case::new("selected_pool", Scene::Search, TargetKind::Product, member.clone(), 0.25)
        .refused("\"selected_pool\" in product.tags", member.clone().with(|setup| setup.product_tags.clear()))
        .refused("product.main_category", member.clone().with(|s| s.product_categories = vec!["furniture"]))
        .refused(TRUST, member.turned_bad())
        .not_for(TargetKind::LiveRoom)
}

fn festival() -> Case {
    let member = good().sells("furniture");
    Case::new("real_good_things_festival", Scene::Store, TargetKind::Merchant, member, 0.35)
        .refused("trust.tier", average().sells("furniture"))
        .refused("merchant.main_category", good())
}

fn welfare() -> Case {
    let member = good().with(|setup| setup.room_tags = vec!["public_welfare"]);
    Case::new("public_welfare_live", Scene::Live, TargetKind::LiveRoom, member.clone(), 0.5)
        .refused("\"public_welfare\" in room.tags", good())
        .lift(1.0, member.with(|setup| setup.region = "shanghai"))
        .not_in(Scene::ShortVideo)
        .not_for(TargetKind::Product)
}

fn kuai() -> Case {
    let member = good().with(|setup| setup.kind = MerchantKind::KuaiBrand);
    Case::new("kuai_brand", Scene::Mall, TargetKind::Product, member, 0.3)
}

fn spring() -> Case {
    let wear = good().sells("womens_wear");
    let member = wear.clone().list("spring_non_stop", 2);
    let on_air = |minutes, videos| {
        member.clone().fact(2, "broadcast_minutes", minutes).fact(2, "seeding_videos", videos).gmv(370, 300_000)
    };
    Case::new("spring_non_stop", Scene::ShortVideo, TargetKind::ShortVideo, member.clone(), 0.25)
        .refused("\"spring_non_stop\" in merchant.enrolments", wear)
        .refused("merchant.main_category", good().list("spring_non_stop", 2))
        .refused(TRUST, member.clone().turned_bad())
        // 7 hours a day and a video a day; one minute or one video less.
        .lift(0.6, on_air(30 * 7 * 60, 30))
        .lift(0.25, on_air(30 * 7 * 60 - 1, 30))
        .lift(0.25, on_air(30 * 7 * 60, 29))
        // 200,000 yuan: 47 % above the year before, and just not.
        .lift(0.5, member.clone().gmv(370, 136_000))
        .lift(0.25, member.clone().gmv(370, 137_000))
        .lift(0.4, member.tag("womens_wear_circle"))
}

/// The merchant chooses the scene in which its package works, and it works until it is spent.
async fn packages(driver: &mut Driver) {
    use trustflow::domain::Scene as Chosen;
    const EXPOSURES: u64 = 1_000;
    let scenes = [
        (Scene::Live, Chosen::Live),
        (Scene::ShortVideo, Chosen::ShortVideo),
        (Scene::ImageText, Chosen::ImageText),
        (Scene::Search, Chosen::Search),
        (Scene::Mall, Chosen::Mall),
        (Scene::Store, Chosen::Store),
    ];
    let mut given = Vec::new();
    for (scene, chosen) in scenes {
        let lift = if scene == Scene::Mall { 1.0 } else { 0.5 };
        let case = Case::new("scene_package", scene, TargetKind::Merchant, good(), lift);
        let id = driver.fresh_id(None);
        driver.put(id, &case.setup).await;
        driver.expect_not(&case, id, (scene, case.kind), "merchant.packages").await;
        given.push((case, id, chosen));
    }
    let packages: Vec<_> = given.iter().map(|(_, id, chosen)| (*id, *chosen, EXPOSURES)).collect();
    driver.give_packages(&packages).await;
    for (at, (case, id, _)) in given.iter().enumerate() {
        driver.expect_lift(case, *id, case.scene, case.lift).await;
        let elsewhere = scenes[(at + 1) % scenes.len()].0;
        driver.expect_not(case, *id, (elsewhere, case.kind), "does not work in scene").await;
        driver.penalise(case, *id).await;
        driver.spend(case, *id, EXPOSURES - 1).await;
        driver.expect_lift(case, *id, case.scene, case.lift).await;
        driver.spend(case, *id, 1).await;
        driver.expect_not(case, *id, (case.scene, case.kind), "merchant.packages").await;
    }
}

pub(crate) async fn run(driver: &mut Driver) {
    // 18 March: nothing has begun.
    rules::claim_window(driver, 30).await;
    for case in [warm_spring(), virtual_goods(), selected_pool(), festival(), welfare()] {
        driver.run_closed(&case).await;
    }
    driver.go("2022-03-21T07:00").await;
    rules::claim_window(driver, 90).await;
    for case in [warm_spring(), virtual_goods(), selected_pool()] {
        driver.run(&case).await;
    }
    for case in [festival(), welfare()] {
        driver.run_closed(&case).await;
    }
    driver.go("2022-03-23T07:00").await;
    for case in [festival(), welfare()] {
        driver.run(&case).await;
    }
    driver.go("2022-04-01T07:00").await;
    for case in [festival(), welfare()] {
        driver.run_closed(&case).await;
    }
    rules::force_majeure(driver).await;
    driver.go("2022-06-01T07:00").await;
    driver.run_closed(&warm_spring()).await;
    rules::force_majeure(driver).await;

    // The mall: its launch doubles the lift of others, there and then only.
    driver.go("2022-10-19T07:00").await;
    driver.run_closed(&Case::new("scene_package", Scene::Live, TargetKind::Merchant, good(), 0.5)).await;
    let (doubled, id) = (kuai(), driver.fresh_id(None));
    driver.put(id, &doubled.setup).await;
    driver.expect_lift(&doubled, id, Scene::Mall, Some(0.3)).await;
    let launch = Case::new("mall_launch", Scene::Mall, TargetKind::Product, doubled.setup.clone(), 0.3);
    driver.expect_not(&launch, id, (Scene::Mall, TargetKind::Product), "outside its window").await;
    driver.go("2022-10-20T07:00").await;
    driver.put(id, &doubled.setup).await;
    driver.expect_lift(&doubled, id, Scene::Mall, Some(0.6)).await;
    driver.expect_lift(&doubled, id, Scene::Search, Some(0.3)).await;
    driver.expect_not(&launch, id, (Scene::Search, TargetKind::Product), "does not work in scene").await;
    packages(driver).await;
    driver.go("2022-11-12T07:00").await;
    driver.put(id, &doubled.setup).await;
    driver.expect_lift(&doubled, id, Scene::Mall, Some(0.3)).await;
    driver.expect_not(&launch, id, (Scene::Mall, TargetKind::Product), "outside its window").await;

    driver.go("2023-01-12T07:00").await;
    driver.run_closed(&spring()).await;
    driver.go("2023-01-20T07:00").await;
    driver.run(&spring()).await;
    driver.go("2023-01-30T07:00").await;
    driver.run_closed(&spring()).await;
}
