//! Places, categories and name parts of the generated merchants, in Chinese and English.

/// A category: its id, names, typical order value in yuan, share in a thousand of the merchants.
pub(super) struct Category {
    pub(super) id: &'static str,
    pub(super) chinese: &'static str,
    pub(super) english: &'static str,
    pub(super) order_yuan: u64,
    pub(super) share: u64,
    /// Whether nothing is shipped.
    pub(super) is_virtual: bool,
}

const fn category(
    id: &'static str,
    chinese: &'static str,
    english: &'static str,
    order_yuan: u64,
    share: u64,
) -> Category {
    Category { id, chinese, english, order_yuan, share, is_virtual: false }
}

/// Every category; shares sum to a thousand.
pub(super) const CATEGORIES: [Category; 18] = [
    category("womens_wear", "女装", "Womenswear", 120, 220),
    category("fresh_food", "生鲜", "Fresh Food", 50, 110),
    category("beauty", "美妆", "Beauty", 90, 90),
    category("shoes", "鞋靴", "Shoes", 110, 80),
    category("skin_care", "护肤", "Skin Care", 140, 70),
    category("tea_wine", "茶酒", "Tea and Wine", 160, 60),
    category("furniture", "家具", "Furniture", 300, 50),
    category("rice", "米面粮油", "Rice and Oil", 60, 50),
    category("appliances", "家电", "Appliances", 350, 45),
    category("digital", "数码", "Digital", 260, 45),
    category("luggage", "箱包", "Luggage", 150, 45),
    category("auto_parts", "汽配", "Auto Parts", 130, 35),
    category("fur", "皮草", "Fur", 1_800, 25),
    category("health_care", "保健", "Health Care", 150, 15),
    category("plus_size_wear", "大码女装", "Plus-size Wear", 130, 15),
    category("used_phones", "二手手机", "Used Phones", 900, 10),
    Category {
        id: "virtual_goods",
        chinese: "虚拟充值",
        english: "Virtual Goods",
        order_yuan: 50,
        share: 20,
        is_virtual: true,
    },
    Category {
        id: "local_services",
        chinese: "本地生活",
        english: "Local Services",
        order_yuan: 80,
        share: 15,
        is_virtual: true,
    },
];

/// A place: region id, belt id and names of the city.
pub(super) struct Place {
    pub(super) region: &'static str,
    pub(super) belt: &'static str,
    pub(super) chinese: &'static str,
    pub(super) english: &'static str,
}

const fn place(region: &'static str, belt: &'static str, chinese: &'static str, english: &'static str) -> Place {
    Place { region, belt, chinese, english }
}

/// Cities merchants send from. The belt counts only for merchants of its trade.
pub(super) const PLACES: [Place; 20] = [
    place("guangdong", "guangzhou", "广州", "Guangzhou"),
    place("guangdong", "shenzhen", "深圳", "Shenzhen"),
    place("zhejiang", "hangzhou", "杭州", "Hangzhou"),
    place("henan", "zhengzhou", "郑州", "Zhengzhou"),
    place("hubei", "wuhan", "武汉", "Wuhan"),
    place("zhejiang", "haining", "海宁", "Haining"),
    place("liaoning", "tongerpu", "佟二堡", "Tongerpu"),
    place("hebei", "baigou", "白沟", "Baigou"),
    place("fujian", "putian", "莆田", "Putian"),
    place("liaoning", "panjin", "盘锦", "Panjin"),
    place("jilin", "", "长春", "Changchun"),
    place("shanghai", "", "上海", "Shanghai"),
    place("shandong", "", "临沂", "Linyi"),
    place("sichuan", "", "成都", "Chengdu"),
    place("heilongjiang", "", "哈尔滨", "Harbin"),
    place("jiangsu", "", "苏州", "Suzhou"),
    place("yunnan", "", "昆明", "Kunming"),
    place("shaanxi", "", "西安", "Xi'an"),
    place("hunan", "", "长沙", "Changsha"),
    place("guangxi", "", "南宁", "Nanning"),
];

/// Whether a trade is the one of a belt.
pub(super) fn belongs_to_belt(category: &str, belt: &str) -> bool {
    match category {
        "womens_wear" | "plus_size_wear" => {
            matches!(belt, "guangzhou" | "shenzhen" | "hangzhou" | "zhengzhou" | "wuhan")
        }
        "fur" => matches!(belt, "haining" | "tongerpu"),
        "luggage" => belt == "baigou",
        "shoes" => belt == "putian",
        "rice" => belt == "panjin",
        _ => false,
    }
}

/// First halves of shop names.
pub(super) const SHOP_NAMES: [(&str, &str); 24] = [
    ("晨光", "Chenguang"),
    ("老铁", "Laotie"),
    ("小鹿", "Xiaolu"),
    ("金穗", "Jinsui"),
    ("山河", "Shanhe"),
    ("云上", "Yunshang"),
    ("安心", "Anxin"),
    ("百顺", "Baishun"),
    ("春风", "Chunfeng"),
    ("大姐", "Dajie"),
    ("福满", "Fuman"),
    ("广源", "Guangyuan"),
    ("好运", "Haoyun"),
    ("佳禾", "Jiahe"),
    ("康宁", "Kangning"),
    ("兰亭", "Lanting"),
    ("木棉", "Mumian"),
    ("南山", "Nanshan"),
    ("平安", "Pingan"),
    ("青禾", "Qinghe"),
    ("瑞祥", "Ruixiang"),
    ("诚实", "Chengshi"),
    ("同乐", "Tongle"),
    ("喜洋", "Xiyang"),
];

/// Names of presenters.
pub(super) const ANCHORS: [&str; 16] = [
    "小雨",
    "阿强",
    "丽姐",
    "大鹏",
    "小美",
    "老王",
    "婷婷",
    "志远",
    "Xiaoyu",
    "Aqiang",
    "Sister Li",
    "Dapeng",
    "Xiaomei",
    "Lao Wang",
    "Tingting",
    "Zhiyuan",
];

/// What is said of a product.
pub(super) const GOODS_NAMES: [(&str, &str); 10] = [
    ("经典款", "Classic"),
    ("新款", "New Arrival"),
    ("家庭装", "Family Pack"),
    ("礼盒", "Gift Box"),
    ("加厚", "Extra Warm"),
    ("直播专享", "Live Special"),
    ("工厂直发", "Factory Direct"),
    ("精选", "Selected"),
    ("清仓", "Clearance"),
    ("日常款", "Everyday"),
];

/// Phases of goods: new release, big sale, daily sale, clearance.
pub(super) const PHASES: [&str; 4] = ["new_release", "big_sale", "daily_sale", "clearance"];
