//! Every system of the shipped policy over gRPC, on one server, as time goes by: each programme through eligible, not
//! yet, no longer and penalised, each rule through its two sides. Fails when a system has no effect, and when a
//! condition of the policy was never seen to hold or never seen to fail. Prints what was seen (`--nocapture`).
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "a wrong index fails the test; coverage is printed")]

mod common;
#[path = "systems/coverage.rs"]
mod coverage;
#[path = "systems/demo.rs"]
mod demo;
#[path = "systems/driver.rs"]
mod driver;
#[path = "systems/programmes_2022.rs"]
mod programmes_2022;
#[path = "systems/programmes_2024.rs"]
mod programmes_2024;
#[path = "systems/rules.rs"]
mod rules;
#[path = "systems/setup.rs"]
mod setup;
#[path = "systems/standing.rs"]
mod standing;

use driver::Driver;

/// Every programme of DESIGN section 8.
const PROGRAMMES: [&str; 24] = [
    "warm_spring",
    "virtual_goods",
    "selected_pool",
    "real_good_things_festival",
    "public_welfare_live",
    "kuai_brand",
    "big_brand",
    "service_provider",
    "new_merchant_launch",
    "upward_mobility",
    "new_star",
    "hot_product",
    "doujin",
    "origin_belt",
    "category_day",
    "growth_reward",
    "double_11",
    "long_tail_floor",
    "mall_launch",
    "scene_package",
    "new_product_super",
    "trust_purchase",
    "promotion_reward",
    "spring_non_stop",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_system_works() {
    let mut driver = Driver::start("2022-03-18T07:00:00+08:00").await;
    let shipped: Vec<&str> = driver.policy.programmes.iter().map(|programme| programme.id.as_str()).collect();
    let mut named = PROGRAMMES.to_vec();
    named.sort_unstable();
    assert_eq!(shipped, named, "a file for every programme, and none beside them");

    programmes_2022::run(&mut driver).await;
    standing::run(&mut driver).await;
    rules::rights(&mut driver).await;
    rules::violations(&mut driver).await;
    rules::high_in_stock_waiver(&mut driver).await;
    programmes_2024::run(&mut driver).await;

    driver.coverage.print(&driver.policy);
    driver.coverage.check(&driver.policy);
}
