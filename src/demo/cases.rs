//! Named merchants that stand at the bounds of a rule or under a penalty.

use super::counters::Flow;
use super::facts::Standing;
use super::script::merchant;
use super::sheet::{ORDINARY, Sheet, Stage};

/// Meets the bounds of the high-in-stock waiver by one order: 3001 paid, 2101 promised, exactly 97 % timely.
pub(super) const WAIVER_MET: u64 = 15;
/// Misses them by one order: 3000 paid. Its violation of today stands.
pub(super) const WAIVER_MISSED: u64 = 16;
/// Meets them, and used this week's waiver today.
pub(super) const WAIVER_USED: u64 = 17;
/// Banned.
pub(super) const BANNED: u64 = 18;
/// May not use the cart.
pub(super) const CART_SUSPENDED: u64 = 19;
/// All goods delisted.
pub(super) const DELISTED: u64 = 20;
/// Muted: no effect on traffic.
pub(super) const MUTED: u64 = 21;
/// Its first short video is shown less.
pub(super) const REDUCED_VIDEO: u64 = 22;
/// New, but its owner ran a punished shop before (马甲).
pub(super) const PRIOR_IDENTITY: u64 = 23;
/// Sells virtual goods.
pub(super) const VIRTUAL_GOODS: u64 = 24;
/// Broadcasts for public welfare.
pub(super) const PUBLIC_WELFARE: u64 = 25;
/// Local catering, orders up by 145 % on the month before.
pub(super) const LOCAL_CATERING: u64 = 26;
/// Used phones with the warranty of 180 days.
pub(super) const USED_PHONES: u64 = 27;
/// Owns the goods of the curated pool that others promote.
pub(super) const SELECTED_POOL: u64 = 28;
/// Five months old with above 2 M of monthly GMV: grown out of the launch plan.
pub(super) const GRADUATE: u64 = 29;
/// Registered, never a fact.
pub(super) const NO_FACTS: u64 = 30;
/// A late shipment to a region that force majeure may cover.
pub(super) const FORCE_MAJEURE: u64 = 31;
/// Poor service throughout.
pub(super) const POOR_SERVICE: u64 = 32;
/// A violation that ended, and its points decay.
pub(super) const REFORMED: u64 = 33;

/// Writes them all.
pub(super) fn write(stage: &mut Stage) {
    for sheet in waivers().into_iter().chain(punished()).chain(kinds_of_goods()).chain(others()) {
        stage.merchant(sheet, None);
    }
}

/// In every seven days in a row: these paid orders, 2101 promised, 3000 shipments due, 2910 on time.
fn in_stock(id: u64, name: &str, paid: u64) -> Sheet {
    merchant(id, name, "womens_wear")
        .from("guangdong", "guangzhou")
        .fans(240_000)
        .orders_a_week(paid)
        .order_value(89)
        .weekly(Flow::PromisedOrders, 2_101)
        .share(Flow::LightningBuyOrders, 0)
        .weekly(Flow::ShipmentsDue, 3_000)
        .weekly(Flow::ShippedOnTime, 2_910)
        .room("Stock Manager 仓库小妹")
        .goods("24-hour T-shirt 24小时发货T恤", 30, &["daily_sale"])
        .videos(1)
        .right("seven_day_no_reason")
}

fn waivers() -> Vec<Sheet> {
    vec![
        in_stock(WAIVER_MET, "In-stock Met 高现货达标店", 3_001),
        in_stock(WAIVER_MISSED, "In-stock Missed 高现货差一单店", 3_000).offence("overtime_unshipped", 0, 7),
        in_stock(WAIVER_USED, "In-stock Used 高现货已用豁免店", 3_001).offence("overtime_unshipped", 0, 7),
    ]
}

fn small(id: u64, name: &str, category: &str) -> Sheet {
    merchant(id, name, category)
        .fans(52_000)
        .orders_a_day(&[(0, 90)])
        .order_value(110)
        .room("Anchor 主播")
        .goods("Everyday Item 日常款", 40, &["daily_sale"])
        .goods("Clearance Item 清仓款", 120, &["clearance"])
        .videos(2)
        .right("seven_day_no_reason")
}

fn punished() -> Vec<Sheet> {
    vec![
        small(BANNED, "Banned Shop 已封禁店", "digital")
            .careless()
            .share(Flow::InterceptedListings, 4_000)
            .share(Flow::AuthenticityFailures, 3_500)
            .offence("counterfeit", 12, 90)
            .offence("ban", 10, 3_650),
        small(CART_SUSPENDED, "Cart Suspended 暂停购物车店", "beauty").careless().offence("suspend_cart", 2, 7),
        small(DELISTED, "Delisted Shop 下架全部商品店", "shoes").careless().offence("delist_all", 3, 15),
        small(MUTED, "Muted Shop 禁言店", "fresh_food").offence("mute", 1, 7),
        small(REDUCED_VIDEO, "Reduced Video 短视频减少推荐店", "luggage").reduced_video(2, 14),
        small(PRIOR_IDENTITY, "Second Try 马甲新店", "rice").opened(4).prior_identity(),
        small(REFORMED, "Reformed Shop 已改正店", "furniture").offence("false_advertising", 40, 10),
    ]
}

fn kinds_of_goods() -> Vec<Sheet> {
    vec![
        merchant(VIRTUAL_GOODS, "Kuaichong Recharge 快充话费", "virtual_goods")
            .enrolled("virtual_goods", 45)
            .fans(310_000)
            .opened(300)
            .orders_a_day(&[(0, 1_300), (30, 900)])
            .order_value(48)
            .ships_nothing()
            .room("Recharge Host 充值主播")
            .goods("Mobile Recharge 50 话费充值", 45, &["daily_sale"])
            .goods("Video Membership 影视会员", 45, &["daily_sale"])
            .videos(2)
            .right("seven_day_no_reason"),
        merchant(LOCAL_CATERING, "Changchun Hotpot 长春老火锅", "local_services")
            .from("jilin", "")
            .enrolled("virtual_goods", 30)
            .fans(26_000)
            .opened(200)
            .orders_a_day(&[(0, 245), (30, 100)])
            .order_value(88)
            .ships_nothing()
            .room("Hotpot Boss 火锅老板")
            .goods("Hotpot Set for Four 四人火锅套餐", 28, &["daily_sale"])
            .videos(1),
        merchant(USED_PHONES, "Renewed Phones 焕新二手机", "used_phones")
            .fans(470_000)
            .orders_a_day(&[(0, 150)])
            .order_value(1_150)
            .careful()
            .trust_purchase()
            .right("used_phone_warranty_180")
            .room("Phone Inspector 验机师")
            .goods("Inspected Used Phone 官方验机二手机", 25, &["daily_sale"])
            .videos(2),
        merchant(SELECTED_POOL, "Selected Pool Warehouse 自营精选仓", "fresh_food")
            .also_sells("tea_wine")
            .also_sells("health_care")
            .tagged("selected_pool")
            .fans(15_000)
            .orders_a_day(&[(0, 600), (30, 350)])
            .order_value(95)
            .careful()
            .room("Warehouse 仓播")
            .promoted_goods("Selected Milk 精选牛奶", 30, &["selected_pool"], &[CART_SUSPENDED, PUBLIC_WELFARE, 1_000])
            .promoted_goods("Selected Wine 精选红酒", 30, &["selected_pool"], &[PUBLIC_WELFARE, 1_001])
            .promoted_goods("Selected Vitamins 精选维生素", 30, &["selected_pool"], &[1_002, 1_003])
            .trust_purchase(),
    ]
}

fn others() -> Vec<Sheet> {
    let poor = Standing { price_index: 12_400, shopping_experience: 352, repeat_customer_index: 1_300, ..ORDINARY };
    vec![
        small(PUBLIC_WELFARE, "Welfare Orchard 公益助农果园", "fresh_food")
            .from("shaanxi", "")
            .tagged_room("Orchard Village 果园村", &["public_welfare"])
            .enrolled("warm_spring", 20),
        merchant(GRADUATE, "Northeast Grain 东北粮仓", "rice")
            .from("heilongjiang", "")
            .fans(210_000)
            .opened(150)
            .enrolled("doujin", 150)
            .orders_a_day(&[(0, 1_050), (30, 640), (60, 380), (90, 160)])
            .order_value(66)
            .careful()
            .trust_purchase()
            .room("Granary 粮仓主播")
            .goods("Northeast Rice 5 kg 东北大米", 60, &["daily_sale"])
            .videos(2),
        merchant(NO_FACTS, "Just Registered 刚入驻店", "womens_wear")
            .opened(1)
            .without_facts()
            .room("Newcomer 新人")
            .goods("First Item 首件商品", 1, &["new_release"]),
        small(FORCE_MAJEURE, "Jilin Snow Foods 吉林雪乡食品", "fresh_food").from("jilin", "").offence_about_order(
            "overtime_unshipped",
            "jilin",
            "guangdong",
        ),
        small(POOR_SERVICE, "Slow and Sloppy 差评店", "appliances")
            .careless()
            .standing(poor)
            .repurchase([100, 250, 600])
            .offence("overtime_unshipped", 3, 7),
    ]
}
