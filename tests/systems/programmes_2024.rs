//! The programmes of 2024, as they came.

use trustflow::proto::{Scene, TargetKind};

use crate::driver::{Case, Driver};
use crate::setup::{Setup, average, good, plain};

const TRUST: &str = "trust.score";

fn origin_belt() -> Case {
    let member = good().sells("womens_wear").with(|setup| setup.belt = "guangzhou");
    Case::new("origin_belt", Scene::Live, TargetKind::LiveRoom, member.clone(), 0.35)
        .refused("merchant.origin_belt", good().sells("womens_wear"))
        .refused("merchant.main_category", good().with(|setup| setup.belt = "guangzhou"))
        .refused(TRUST, member.clone().turned_bad())
        .lift(0.35, good().sells("fur").with(|setup| setup.belt = "tongerpu"))
        // Too large for the second pool as well.
        .lift(0.2, member.gmv(2, 60_000_000))
}

fn new_star() -> Case {
    let member = good().list("new_star", 10);
    Case::new("new_star", Scene::ShortVideo, TargetKind::ShortVideo, member.clone(), 0.5)
        .refused("\"new_star\" in merchant.enrolments", good())
        .refused("days_since_enrolment", good().list("new_star", 180))
        .refused("merchant.fan_count", member.clone().with(|setup| setup.fans = 1_000_000))
        .refused("prior_identity_violation", member.clone().with(|setup| setup.prior_identity = true))
        .lift(0.35, member.clone().with(|setup| setup.fans = 999_999))
        .lift(0.5, member.list("new_star", 179))
        .not_in(Scene::Mall)
}

fn double_11() -> Case {
    let member = good().list("double_11", 1);
    Case::new("double_11", Scene::Live, TargetKind::LiveRoom, member.clone(), 0.35)
        .refused("\"double_11\" in merchant.enrolments", good())
        .refused(TRUST, member.turned_bad())
        .lift(0.25, average().list("double_11", 1))
        .not_in(Scene::Store)
}

fn growth_reward() -> Case {
    // 200,000 yuan now.
    let grown_from = |yuan| good().gmv(40, yuan);
    Case::new("growth_reward", Scene::Search, TargetKind::Merchant, grown_from(160_000), 0.2)
        .refused("facts.gmv_fen_30d / facts.gmv_fen_30d_before_30d", grown_from(170_000))
        .refused("facts.gmv_fen_30d_before_30d >= 1000000", grown_from(9_000))
        .refused("facts.gmv_fen_30d_before_30d >= 1000000", good())
        .refused(TRUST, grown_from(100_000).turned_bad())
        .lift(0.35, grown_from(130_000))
        .lift(0.5, grown_from(100_000))
}

/// Signed up some days ago, sold for the first time some days ago, for so many yuan.
fn signed_up(list_days: i32, first_sale: i32, yuan: u64) -> Setup {
    plain().list("doujin", list_days).fact(first_sale, "paid_orders", 10).gmv(first_sale, yuan)
}

/// On 5 November.
fn doujin() -> Case {
    let never_sold = plain().list("doujin", 5);
    Case::new("doujin", Scene::Live, TargetKind::LiveRoom, signed_up(5, 10, 90_000), 0.25)
        .refused("merchant.days_since_first_sale >= 0", never_sold)
        .refused("\"doujin\" in merchant.enrolments", signed_up(-1, 10, 90_000))
        .refused("merchant.enrolled_on[\"doujin\"] >=", signed_up(14, 10, 90_000))
        .refused("merchant.days_since_first_sale < 120", signed_up(5, 120, 600_000))
        .refused("prior_identity", signed_up(5, 10, 90_000).with(|setup| setup.prior_identity = true))
        // The first day of sign-up.
        .lift(0.25, signed_up(13, 10, 90_000))
        .lift(0.5, signed_up(5, 10, 100_000))
        .lift(0.7, signed_up(5, 50, 300_000))
        .lift(0.9, signed_up(5, 80, 500_000))
        .lift(0.9, signed_up(5, 119, 500_000))
        // Sold on the 61st day what the second tier asks for in 60, and the third for more.
        .lift(0.25, signed_up(5, 80, 50_000).gmv(5, 300_000))
}

pub(crate) async fn run(driver: &mut Driver) {
    for case in [origin_belt(), new_star()] {
        driver.run_closed(&case).await;
    }
    driver.go("2024-04-01T07:00").await;
    driver.run(&origin_belt()).await;
    driver.go("2024-07-01T07:00").await;
    driver.run(&new_star()).await;
    driver.go("2024-10-17T07:00").await;
    for case in [double_11(), growth_reward(), doujin()] {
        driver.run_closed(&case).await;
    }
    driver.go("2024-11-05T07:00").await;
    for case in [double_11(), growth_reward(), doujin()] {
        driver.run(&case).await;
    }
    driver.go("2024-11-12T07:00").await;
    for case in [double_11(), growth_reward()] {
        driver.run_closed(&case).await;
    }
    // Sign-up ended; the tiers go on.
    driver.go("2025-01-10T07:00").await;
    let late = Case::new("doujin", Scene::Live, TargetKind::LiveRoom, signed_up(10, 10, 90_000), 0.25)
        .refused("merchant.enrolled_on[\"doujin\"] <=", signed_up(9, 10, 90_000));
    driver.run(&late).await;
    driver.go("2025-04-01T07:00").await;
    driver.run_closed(&doujin()).await;
}
