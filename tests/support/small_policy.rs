//! A small policy with every kind of window, in variants that differ in their layout.

use std::fmt::Write;

use trustflow::domain::PolicyText;

/// Signals of a variant: name, kind and its keys, whether a larger figure is better.
const COMMON: [(&str, &str, bool); 8] = [
    ("on_time_7d", SHARE_ON_TIME_7D, true),
    (
        "bad_first_sale",
        "kind = \"share\"\nnumerator = [\"bad\"]\ndenominator = [\"paid\"]\nwindow = \"20d from first_sale\"\n",
        false,
    ),
    ("bad_week", "kind = \"share\"\nnumerator = [\"bad\"]\ndenominator = [\"paid\"]\nwindow = \"week\"\n", false),
    ("paid_growth", "kind = \"growth\"\ncounter = \"paid\"\nwindow = \"10d\"\noffset_days = 10\n", true),
    ("paid_ever", "kind = \"growth\"\ncounter = \"paid\"\nwindow = \"lifetime\"\noffset_days = 15\n", true),
    (
        "on_time_opening",
        "kind = \"share\"\nnumerator = [\"on_time\"]\ndenominator = [\"due\"]\nwindow = \"30d from opening\"\n",
        true,
    ),
    (
        "bad_club",
        "kind = \"share\"\nnumerator = [\"bad\"]\ndenominator = [\"due\"]\nwindow = \"15d from enrolment:club\"\n",
        false,
    ),
    ("price", "kind = \"level\"\ncounter = \"price_index\"\nscale = 0.0001\n", false),
];

const SHARE_ON_TIME_7D: &str =
    "kind = \"share\"\nnumerator = [\"on_time\"]\ndenominator = [\"due\"]\nwindow = \"7d\"\n";

/// Signals that a variant has beside or instead of the common ones.
const OTHERS: [(&str, &str, bool); 8] = [
    ("on_time_30d", "kind = \"share\"\nnumerator = [\"on_time\"]\ndenominator = [\"due\"]\nwindow = \"30d\"\n", true),
    (
        "bad_shifted",
        "kind = \"share\"\nnumerator = [\"bad\"]\ndenominator = [\"paid\"]\nwindow = \"20d\"\noffset_days = 7\n",
        false,
    ),
    (
        "trial_first",
        "kind = \"mean\"\nnumerator = [\"trial\"]\ndenominator = [\"due\"]\nscale = 1\nwindow = \"10d from first_sale\"\n",
        true,
    ),
    (
        "bad_opening",
        "kind = \"share\"\nnumerator = [\"bad\"]\ndenominator = [\"due\"]\nwindow = \"40d from opening\"\noffset_days = 5\n",
        false,
    ),
    (
        "bad_last_week",
        "kind = \"share\"\nnumerator = [\"bad\"]\ndenominator = [\"due\"]\nwindow = \"week\"\noffset_days = 7\n",
        false,
    ),
    (
        "paid_90d",
        "kind = \"mean\"\nnumerator = [\"paid\"]\ndenominator = [\"due\"]\nscale = 1\nwindow = \"90d\"\n",
        true,
    ),
    ("bad_ever", "kind = \"share\"\nnumerator = [\"bad\"]\ndenominator = [\"paid\"]\nwindow = \"lifetime\"\n", false),
    (
        "trial_club",
        "kind = \"mean\"\nnumerator = [\"trial\"]\ndenominator = [\"due\"]\nscale = 1\nwindow = \"60d from enrolment:club\"\noffset_days = 3\n",
        true,
    ),
];

const HEAD: &str = r#"
cache_ttl_ms = 1000
weight_ceiling = CEILING
first_sale_counter = "FIRST_SALE"
no_logistics = []
counter = [
    { name = "paid", kind = "flow", unit = "orders", description = "Orders paid" },
    { name = "due", kind = "flow", unit = "orders", description = "Orders due" },
    { name = "on_time", kind = "flow", unit = "orders", description = "Of these, on time" },
    { name = "bad", kind = "flow", unit = "orders", description = "Bad ones" },
    { name = "trial", kind = "flow", unit = "orders", description = "Trial orders" },
    { name = "price_index", kind = "level", unit = "1/10000", description = "Price" },
]
[layer]
governance = { weight = 0.25, prior = 0.5 }
consumer_rights = { weight = 0.25, prior = 0.5 }
experience = { weight = 0.5, prior = 0.5 }
[tilt]
live = [[0, LOW], [100, HIGH]]
short_video = [[0, LOW], [100, HIGH]]
image_text = [[0, LOW], [100, HIGH]]
search = [[0, LOW], [100, HIGH]]
mall = [[0, LOW], [100, HIGH]]
store = [[0, LOW], [100, HIGH]]
[[tier]]
id = "standard"
name = "Standard"
name_zh = "标准"
min_score = 0.0
ad_price_factor = 1.0
[[signal]]
id = "violation_points"
name = "Violation points"
name_zh = "违规积分"
layer = "governance"
dimension = "social_evaluation"
kind = "derived"
derived = "violation_points"
prior_mean = 0.0
curve = [[0, 1], [36, 0]]
weight = 1.0
"#;

const VIOLATIONS: &str = r#"
[[violation]]
id = "reduce"
name = "Reduce one video"
name_zh = "减少推荐"
scope = "item"
factors = { short_video = VIDEO }
points = 1.3
decay_days = 30
[[violation]]
id = "fake"
name = "Fake goods"
name_zh = "售假"
scope = "merchant"
factors = { live_room = 0.7, product = 0.7, merchant = 0.7, short_video = 0.7 }
points = 3.1
decay_days = 70
default_days = 3
[[violation]]
id = "ban"
name = "Ban"
name_zh = "封禁"
scope = "merchant"
factors = { live_room = 0.0, product = 0.0, merchant = 0.0, short_video = 0.0 }
closes_gate = true
points = 7.7
decay_days = 100
"#;

const PROGRAMME: &str = r#"
name = "Launch"
name_zh = "启航"
seed = "002"
area = "traffic"
kind = "support"
scenes = ["all"]
eligibility = '''merchant.days_since_opening >= 0 && merchant.days_since_opening < 30 && facts.paid_30d > 5'''
[uplift]
cases = [
    { when = 'merchant.days_since_opening < 7', uplift = 1.5 },
    { when = 'true', uplift = 0.5 },
]
[budget]
exposures = 1_000_000
period = "day"
"#;

/// The text of a variant, 0 to 3. 0 and 3 have one layout and differ in what they make of it.
pub(crate) fn small_policy(variant: usize) -> PolicyText {
    let (signals, first_sale): (Vec<_>, _) = match variant {
        1 => (COMMON[..4].iter().chain(&OTHERS[..4]).collect(), "paid"),
        2 => (COMMON[4..].iter().chain(&OTHERS[4..]).collect(), "trial"),
        _ => (COMMON.iter().collect(), "paid"),
    };
    let (low, high, ceiling, video) = if variant == 3 { (2.0, 3.0, 90.0, 0.5) } else { (0.5, 1.5, 10.0, 0.2) };
    let mut score = HEAD
        .replace("FIRST_SALE", first_sale)
        .replace("CEILING", &format!("{ceiling:.1}"))
        .replace("LOW", &format!("{low:.1}"))
        .replace("HIGH", &format!("{high:.1}"));
    for (id, keys, rises) in signals {
        let curve = if *rises { "[[0, 0], [2, 1]]" } else { "[[0, 1], [2, 0]]" };
        let _ = write!(
            score,
            "[[signal]]\nid = \"{id}\"\nname = \"x\"\nname_zh = \"x\"\nlayer = \"experience\"\n\
             dimension = \"after_sales\"\n{keys}prior_mean = 0.3\nprior_strength = 3\ncurve = {curve}\nweight = 0.125\n"
        );
    }
    let violations = VIOLATIONS.replace("VIDEO", &format!("{video:.1}"));
    let files =
        [("programmes/launch.toml", PROGRAMME.to_owned()), ("score.toml", score), ("violations.toml", violations)];
    let files = files.into_iter().map(|(path, text)| (path.to_owned(), text)).collect();
    PolicyText { source: format!("variant {variant}"), files }
}
