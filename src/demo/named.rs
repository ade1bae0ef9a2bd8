//! The merchants that the platform's own publications name, with the figures they publish.
//!
//! Figures that a merchant reached in the past are told as of now: "monthly GMV" is that of the last thirty days.

use super::counters::Flow;
use super::facts::Standing;
use super::script::merchant;
use super::sheet::{ORDINARY, Sheet, Stage};
use crate::domain::{MerchantKind, Scene};

/// Kuai brand "YeXin": monthly GMV 2 M to 10 M+, orders above 700 yuan, fan purchase rate 76.71 %.
pub(super) const YEXIN: u64 = 1;
/// Kuai brand "Lairun": repurchase 40 % in 30 days, 76 % in 90.
pub(super) const LAIRUN: u64 = 2;
/// In the first week of the New Merchant Launch Plan, above one million exposures already.
pub(super) const PANJIN_BAISHI_RICE: u64 = 3;
/// New, above 1.5 M of monthly GMV.
pub(super) const DOUBLE_STAR: u64 = 4;
/// Cai Jiatong's fur: four accounts, 1.3 M fans, a session of 15 M.
pub(super) const CC_DATONGTONG: u64 = 5;
/// Truck repair: from short video to a first session above 1 M.
pub(super) const ZHANG_MING: u64 = 6;
/// A session of nearly 4 M on a category day.
pub(super) const SHENZHEN_OUHUO_CHAOJIE: u64 = 7;
/// Luggage: a session of nearly 10 M.
pub(super) const YINIAN: u64 = 8;
/// Seven hours a day on air, fan repurchase above 80 %, a session above 1 M.
pub(super) const TONGERPU_DAHAI: u64 = 9;
/// Daily seeding videos, four sessions above 1 M, GMV up by more than 230 % on the year before.
pub(super) const JUNJUN: u64 = 10;

/// The levels of a trusted merchant.
pub(super) const TRUSTED: Standing = Standing {
    price_index: 8_900,
    shopping_experience: 489,
    repeat_customer_index: 8_600,
    fan_purchase_rate: 4_200,
    repeat_buyers: [2_400, 3_800, 6_400],
};

/// Writes them all.
pub(super) fn write(stage: &mut Stage) {
    for sheet in kuai_brands().into_iter().chain(newcomers()).chain(sessions()).chain(fur()).chain(brands()) {
        stage.merchant(sheet, None);
    }
}

fn kuai_brands() -> Vec<Sheet> {
    vec![
        merchant(YEXIN, "YeXin 快品牌女装", "womens_wear")
            .kind(MerchantKind::KuaiBrand)
            .tagged("benchmark")
            .tagged("womens_wear_circle")
            .from("guangdong", "guangzhou")
            .fans(2_600_000)
            .opened(150)
            .served_by(9_000)
            .enrolled("double_11", 20)
            .package(Scene::Live)
            .orders_a_day(&[(0, 490), (30, 300), (60, 180), (90, 95)])
            .order_value(720)
            .careful()
            .share(Flow::GmvLiveFen, 8_800)
            .share(Flow::GmvShortVideoFen, 500)
            .share(Flow::GmvSearchFen, 200)
            .share(Flow::GmvMallFen, 200)
            .share(Flow::GmvStoreFen, 200)
            .share(Flow::FollowPageGmvFen, 4_500)
            .yuan_per_thousand(Flow::ExposuresLive, 1_250)
            .yuan_per_thousand(Flow::FollowPageExposures, 3_200)
            .standing(TRUSTED)
            .fan_purchase_rate(7_671)
            .trust_purchase()
            .room("Ye Xin 叶昕")
            .room("YeXin Daily 日播间")
            .goods("YeXin Silk Blouse 真丝衬衫", 6, &["new_release"])
            .goods("YeXin Wool Coat 羊毛大衣", 60, &["big_sale"])
            .goods("YeXin Knit Dress 针织连衣裙", 90, &["daily_sale"])
            .videos(3),
        merchant(LAIRUN, "Lairun 快品牌护肤", "skin_care")
            .kind(MerchantKind::KuaiBrand)
            .tagged("benchmark")
            .fans(3_100_000)
            .served_by(9_001)
            .package(Scene::ShortVideo)
            .package(Scene::Mall)
            .orders_a_day(&[(0, 2_100), (30, 1_900), (60, 1_800), (90, 1_500), (180, 1_200), (365, 800)])
            .order_value(168)
            .careful()
            .share(Flow::FollowPageGmvFen, 5_000)
            .yuan_per_thousand(Flow::FollowPageExposures, 1_600)
            .standing(TRUSTED)
            .repurchase([2_500, 4_000, 7_600])
            .trust_purchase()
            .room("Xiaochong 小崇")
            .room("Lairun Skin Care Class 护肤课堂")
            .goods("Lairun Repair Cream 修护面霜", 3, &["new_release"])
            .goods("Lairun Essence 精华液", 120, &["daily_sale"])
            .videos(3),
    ]
}

fn newcomers() -> Vec<Sheet> {
    vec![
        merchant(PANJIN_BAISHI_RICE, "Panjin Baishi Rice 盘锦大米", "rice")
            .from("liaoning", "panjin")
            .fans(9_400)
            .opened(5)
            .enrolled("doujin", 5)
            .enrolled("new_star", 5)
            .orders_a_day(&[(0, 640)])
            .order_value(69)
            .share(Flow::ShippedOnTime, 9_860)
            .share(Flow::PromisedOrders, 8_300)
            // 230,000 exposures a day: above a million within five days.
            .yuan_per_thousand(Flow::ExposuresLive, 140)
            .weekly(Flow::IdleExposures, 50_000)
            .right("fake_one_compensates_ten")
            .right("seven_day_no_reason")
            .right("return_freight_compensation")
            .room("Baishi Farm 稻田直播")
            .goods("Panjin Crab-field Rice 10 kg 蟹田大米", 5, &["new_release"])
            .goods("Panjin Rice Gift Box 大米礼盒", 3, &["new_release"])
            .videos(3),
        merchant(DOUBLE_STAR, "Double Star Outlet Store 双星奥莱店", "shoes")
            .from("shandong", "")
            .fans(38_000)
            .opened(25)
            .enrolled("doujin", 25)
            .orders_a_day(&[(0, 640)])
            .order_value(99)
            .share(Flow::ShippedOnTime, 9_790)
            .right("seven_day_no_reason")
            .right("return_freight_compensation")
            .room("Double Star Outlet 双星特卖")
            .goods("Double Star Running Shoes 跑鞋", 20, &["daily_sale"])
            .goods("Double Star Canvas Shoes 帆布鞋", 10, &["clearance"])
            .videos(2),
        merchant(ZHANG_MING, "Zhang Ming Truck Repair 张明修卡车", "auto_parts")
            .from("jilin", "")
            .fans(4_300_000)
            .opened(70)
            .enrolled("double_11", 20)
            .enrolled("doujin", 70)
            .orders_a_day(&[(0, 420), (30, 260), (60, 180)])
            .session(4, 7_600)
            .order_value(140)
            .share(Flow::GmvLiveFen, 5_000)
            .share(Flow::GmvShortVideoFen, 4_000)
            .share(Flow::GmvSearchFen, 500)
            .share(Flow::GmvMallFen, 400)
            .share(Flow::GmvStoreFen, 100)
            .share(Flow::ShippedOnTime, 9_820)
            .weekly(Flow::SeedingVideos, 21)
            .right("fake_one_compensates_ten")
            .right("official_authenticity")
            .right("seven_day_no_reason")
            .room("Zhang Ming 张明")
            .goods("Diesel Filter 柴油滤芯", 60, &["daily_sale"])
            .goods("Air Filter 空气滤芯", 60, &["daily_sale"])
            .goods("Blow Gun 吹尘枪", 8, &["new_release"])
            .videos(3),
    ]
}

fn sessions() -> Vec<Sheet> {
    vec![
        merchant(SHENZHEN_OUHUO_CHAOJIE, "Shenzhen Ouhuo Chaojie 深圳欧货潮姐", "womens_wear")
            .from("guangdong", "shenzhen")
            .tagged("womens_wear_circle")
            .fans(820_000)
            .opened(400)
            .enrolled("double_11", 20)
            .orders_a_day(&[(0, 900), (30, 600), (90, 450)])
            .session(5, 11_300)
            .order_value(320)
            .share(Flow::ShippedOnTime, 9_840)
            .share(Flow::PromisedOrders, 7_600)
            .standing(Standing { shopping_experience: 468, repeat_customer_index: 6_900, ..ORDINARY })
            .trust_purchase()
            .room("Chaojie 潮姐")
            .goods("European-style Down Coat 欧货羽绒服", 12, &["big_sale"])
            .goods("Thermal Set 保暖套装", 30, &["daily_sale"])
            .videos(3),
        merchant(YINIAN, "Yinian Luggage 一念箱包", "luggage")
            .from("hebei", "baigou")
            .fans(1_150_000)
            .opened(520)
            .enrolled("double_11", 20)
            .orders_a_day(&[(0, 1_500), (30, 1_100), (90, 800)])
            .session(6, 57_000)
            .order_value(168)
            .careful()
            .standing(Standing { shopping_experience: 475, repeat_customer_index: 6_400, ..ORDINARY })
            .trust_purchase()
            .room("Yinian 一念")
            .goods("Yinian Trolley Case 拉杆箱", 15, &["big_sale"])
            .goods("Yinian Crossbody Bag 斜挎包", 40, &["daily_sale"])
            .videos(3),
    ]
}

fn fur() -> Vec<Sheet> {
    let in_circle = |id, name| merchant(id, name, "fur").also_sells("womens_wear").tagged("womens_wear_circle");
    vec![
        in_circle(CC_DATONGTONG, "CC Datongtong 皮草")
            .from("zhejiang", "haining")
            .tagged("quality_mink")
            .fans(1_300_000)
            .opened(2_400)
            .enrolled("double_11", 20)
            .enrolled("quality_mink", 20)
            .orders_a_day(&[(0, 160), (30, 90), (60, 60), (90, 40), (365, 200)])
            .session(7, 4_600)
            .order_value(3_200)
            .share(Flow::GmvLiveFen, 9_000)
            .share(Flow::GmvShortVideoFen, 500)
            .share(Flow::GmvSearchFen, 200)
            .share(Flow::GmvMallFen, 100)
            .share(Flow::GmvStoreFen, 100)
            .yuan_per_thousand(Flow::ExposuresLive, 900)
            .yuan_per_thousand(Flow::FollowPageExposures, 2_100)
            .careful()
            .standing(Standing { fan_purchase_rate: 3_900, ..TRUSTED })
            .trust_purchase()
            .room("Cai Jiatong 蔡佳彤")
            .room("CC Datongtong Haining 海宁店")
            .room("CC Datongtong Outlet 特卖")
            .room("CC Datongtong Tongerpu 佟二堡店")
            .goods("Quality Mink Coat 品质貂大衣", 9, &["quality_mink", "new_release"])
            .goods("Mink Short Jacket 貂皮短款", 40, &["quality_mink", "big_sale"])
            .videos(3),
        in_circle(TONGERPU_DAHAI, "Tongerpu Dahai Fur 佟二堡大海皮草")
            .from("liaoning", "tongerpu")
            .enrolled("spring_non_stop", 12)
            .fans(560_000)
            .opened(900)
            .orders_a_day(&[(0, 110), (30, 70), (365, 75)])
            .session(3, 620)
            .order_value(1_450)
            .careful()
            .weekly(Flow::BroadcastMinutes, 7 * 7 * 60)
            .weekly(Flow::SeedingVideos, 7)
            .standing(TRUSTED)
            .repurchase([4_600, 8_050, 8_400])
            .trust_purchase()
            .room("Dahai 大海")
            .goods("Dahai Low-price Fur Vest 宠粉皮草马甲", 5, &["big_sale"])
            .videos(3),
        in_circle(JUNJUN, "Junjun Fur Factory 君君吖皮草工厂直营")
            .from("liaoning", "tongerpu")
            .enrolled("spring_non_stop", 12)
            .fans(430_000)
            .opened(800)
            .orders_a_day(&[(0, 120), (30, 80), (365, 64)])
            .session(1, 850)
            .session(4, 900)
            .session(8, 870)
            .session(12, 910)
            .order_value(1_300)
            .careful()
            .weekly(Flow::BroadcastMinutes, 7 * 7 * 60 + 90)
            .weekly(Flow::SeedingVideos, 7)
            .standing(TRUSTED)
            .trust_purchase()
            .room("Junjun 君君")
            .goods("Junjun Factory Fur Coat 工厂直营皮草", 7, &["new_release"])
            .videos(3),
    ]
}

/// A TOP brand for each segment of followers; repurchase grows with them. On the year before, GMV is up more than
/// 25-fold in clothing, 8-fold in beauty, 5-fold in appliances and in tea and wine.
fn brands() -> Vec<Sheet> {
    let brand = |id, name, category, anchor: &str, goods: &str| {
        merchant(id, name, category)
            .kind(MerchantKind::Brand)
            .tagged("top_brand")
            .room(anchor)
            .goods(goods, 20, &["daily_sale"])
            .videos(2)
    };
    vec![
        brand(11, "Beichen Outdoor 北辰户外旗舰店", "womens_wear", "Beichen 北辰", "Beichen Shell Jacket 冲锋衣")
            .fans(72_000)
            .orders_a_day(&[(0, 170), (30, 120), (60, 80), (90, 50), (180, 20), (365, 6)])
            .order_value(360)
            .repurchase([600, 1_400, 2_600])
            .right("official_authenticity"),
        brand(12, "Lanmei Beauty 兰美美妆旗舰店", "beauty", "Lanmei 兰美", "Lanmei Lipstick 口红")
            .fans(640_000)
            .orders_a_day(&[(0, 950), (30, 800), (90, 600), (180, 300), (365, 100)])
            .order_value(129)
            .repurchase([1_300, 2_300, 4_100])
            .trust_purchase(),
        brand(13, "Haotian Appliances 昊天电器旗舰店", "appliances", "Haotian 昊天", "Haotian Air Fryer 空气炸锅")
            .also_sells("digital")
            .fans(3_400_000)
            .orders_a_day(&[(0, 1_900), (90, 1_500), (180, 900), (365, 310)])
            .order_value(310)
            .careful()
            .repurchase([1_900, 3_000, 5_200])
            .trust_purchase(),
        brand(14, "Guzhen Tea and Wine 古镇茶酒旗舰店", "tea_wine", "Guzhen 古镇", "Guzhen Aged Liquor 年份酒")
            .fans(7_800_000)
            .orders_a_day(&[(0, 4_200), (90, 3_600), (180, 2_000), (365, 690)])
            .order_value(220)
            .careful()
            .standing(TRUSTED)
            .repurchase([2_800, 4_200, 6_700])
            .trust_purchase(),
    ]
}
