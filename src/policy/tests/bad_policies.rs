//! Policies that are refused, and what is said about them.

use crate::domain::PolicyText;
use crate::policy::{Dictionary, Problem, compile, embedded};

/// The shipped policy with the first `from` of a file replaced by `to`.
fn edited(file: &str, from: &str, to: &str) -> PolicyText {
    let mut text = embedded();
    let (_, content) = text.files.iter_mut().find(|(path, _)| path == file).expect("the file");
    assert!(content.contains(from), "{file} has no {from:?}");
    *content = content.replacen(from, to, 1);
    text
}

fn problems(text: &PolicyText) -> Vec<Problem> {
    let mut dictionary = Dictionary::default();
    let problems = compile(text, 1, &mut dictionary).expect_err("must be refused");
    assert_eq!(dictionary, Dictionary::default(), "the dictionary is untouched");
    problems
}

/// The line of the first occurrence in the edited file.
fn line_of(text: &PolicyText, file: &str, part: &str) -> u32 {
    let (_, content) = text.files.iter().find(|(path, _)| path == file).expect("the file");
    let position = content.lines().position(|line| line.contains(part)).expect("the part");
    u32::try_from(position + 1).expect("a short file")
}

/// What is replaced in `score.toml`, by what, the message and the remedy.
const SCORE_MISTAKES: &[(&str, &str, &str, &str)] = &[
    ("weight_ceiling = 10.0", "weight_ceiling = 0.5", "the weight ceiling is 0.5", "write a number from 1 to 100"),
    ("cache_ttl_ms = 2000", "cache_ttl_ms = 9000000", "kept for more than an hour", "at most 3600000"),
    ("cache_ttl_ms = 2000", "cache_ttl = 2000", "unknown field `cache_ttl`", "did you mean `cache_ttl_ms`?"),
    ("cache_ttl_ms = 2000", "cache_ttl_ms = \"2 s\"", "invalid type: string", ""),
    (
        "first_sale_counter = \"paid_orders\"",
        "first_sale_counter = \"paid_oders\"",
        "no counter `paid_oders`",
        "`paid_orders`",
    ),
    ("first_sale_counter = \"paid_orders\"", "first_sale_counter = \"buyers_14d\"", "is a level, not a flow", ""),
    ("name = \"paid_items\"", "name = \"paid_orders\"", "counter `paid_orders` is declared twice", "remove one"),
    ("name = \"paid_items\"", "name = \"Paid-Items\"", "counter name `Paid-Items`", "lower-case"),
    (
        "governance = { weight = 0.25,",
        "governance = { weight = 0.26,",
        "the weights of the layers add up to 1.01, not 1",
        "-0.01",
    ),
    ("live = [[0, 0.60], [45, 0.85],", "live = [[0, 0.60], [0, 0.85],", "the tilt of live: x of point 1", "x rising"),
    (
        "live = [[0, 0.60],",
        "live = [[0, 1.60],",
        "the tilt of live: the curve turns at point 2",
        "y only rising or falling",
    ),
    (
        "store = [[0, 0.80], [65, 1.00], [100, 1.10]]",
        "store = [[0, 1.2], [100, 1.0]]",
        "the tilt of store falls",
        "let it rise",
    ),
    ("store = [[0, 0.80],", "store = [[0, 0.0],", "the tilt of store has the value 0", "values lie from 0.01"),
    ("min_score = 0.0", "min_score = 5.0", "the lowest tier begins at 5", "begin at 0"),
    ("min_score = 70.0", "min_score = 45.0", "tier `trusted` begins at 45, `standard` at 45", "sort tiers"),
    ("min_score = 82.0", "min_score = 101.0", "the lowest score of a tier is 101", "0 to 100"),
    ("id = \"trusted\"", "id = \"standard\"", "tier `standard` is declared twice", "another id"),
    (
        "id = \"complaint_rate_365d\"",
        "id = \"complaint_rate_30d\"",
        "signal `complaint_rate_30d` is declared twice",
        "",
    ),
    ("kind = \"derived\"", "kind = \"derivd\"", "unknown variant `derivd`", "did you mean `derived`?"),
    (
        "denominator = [\"submitted_listings\"]",
        "denominator = [\"submitted_listing\"]",
        "no counter `submitted_listing`",
        "did you mean `submitted_listings`?",
    ),
    ("window = \"week\"", "window = \"fortnight\"", "\"fortnight\" is not a window", "30d from opening"),
    ("window = \"30d from first_sale\"", "window = \"30d from birth\"", "is not a window", ""),
    ("window = \"week\"\n", "", "the flow `shipped_on_time` needs a window", "add `window = \"30d\"`"),
    (
        "denominator = [\"buyers_14d\"]",
        "denominator = [\"buyers_14d\"]\nwindow = \"14d\"",
        "levels have no window",
        "remove `window`",
    ),
    (
        "prior_mean = 0.01",
        "prior_mean = 0.5",
        "prior mean 0.5 lies outside the curve, which goes from 0 to 0.1",
        "inside the curve",
    ),
    ("prior_mean = 0.01", "prior_mean = 1.5", "the prior mean is 1.5", "from 0 to 1"),
    ("prior_strength = 50", "prior_strength = 0", "the prior strength is 0", ""),
    ("prior_strength = 50\n", "", "signal `intercepted_listing_rate_90d` of kind share has no `prior_strength`", "add"),
    (
        "derived = \"violation_points\"",
        "derived = \"violation_points\"\nscale = 2",
        "kind derived has no `scale`",
        "remove `scale`",
    ),
    ("offset_days = 365", "offset_days = 0", "growth over the same days", "shift"),
    (
        "parts = [\"product_experience\"",
        "parts = [\"product_experiences\"",
        "no signal `product_experiences` stands above",
        "`product_experience`",
    ),
    (
        "over = \"price_index\"",
        "over = \"repurchase_14d\"",
        "no signal `repurchase_14d` stands above `experience_price_ratio`",
        "",
    ),
    (
        "weight = 0.08\n",
        "weight = 0.07\n",
        "the weights of the governance signals add up to 0.99, not 1",
        "0.01 in all",
    ),
    (
        "curve = [[0, 1], [4, 0.75]",
        "curve = [[0, 2], [4, 0.75]",
        "the curve of `violation_points` has the value 2",
        "from 0 to 1",
    ),
    (
        "applies = 'merchant.ships_goods && !(\"ships_by_others\" in merchant.tags)'",
        "applies = 'trust.score > 3'",
        "`trust.score` is not known while signals are computed",
        "sees merchant",
    ),
    (
        "applies = 'merchant.ships_goods && !(\"ships_by_others\" in merchant.tags)'",
        "applies = 'measured.price_index'",
        "is not known while signals",
        "",
    ),
    (
        "applies = 'merchant.ships_goods && !(\"ships_by_others\" in merchant.tags)'",
        "applies = 'merchant.ships_good'",
        "no column `merchant.ships_good`",
        "did you mean `merchant.ships_goods`?",
    ),
    ("[[signal]]", "[[signal]]\ncolour = 1", "unknown field `colour`", ""),
    (
        "numerator = [\"complaints\"]",
        "numerator = [\"bad_orders\"]",
        "`bad_orders` is known only afterwards",
        "read it in an [[outcome]]",
    ),
    (
        "first_sale_counter = \"paid_orders\"",
        "first_sale_counter = \"bad_orders\"",
        "`bad_orders` is known only afterwards",
        "",
    ),
    ("bad = [\"bad_orders\"]", "bad = [\"bad_order\"]", "no counter `bad_order`", "did you mean `bad_orders`?"),
    ("bad = [\"bad_orders\"]", "bad = [\"price_index\"]", "is a level, not a flow", "name flows"),
    ("bad = [\"bad_orders\"]", "bad = []", "no counter is named", "name at least one"),
    ("of = [\"paid_orders\"]\nmin = 5", "of = [\"paid_orders\"]\nmin = 0", "without anything to count", "at least 1"),
    ("id = \"late_handover\"", "id = \"violations\"", "`violations` is built in", "another id"),
    ("id = \"late_handover\"", "id = \"bad_orders\"", "outcome `bad_orders` is declared twice", ""),
    (
        "plain_average = [\"timely_shipping_90d\"",
        "plain_average = [\"timely_shiping_90d\"",
        "no signal `timely_shiping_90d`",
        "did you mean `timely_shipping_90d`?",
    ),
    ("[layer]", "[layer", "", "policy/default"),
];

#[test]
fn mistakes_in_the_score_are_named_with_line_and_remedy() {
    for &(from, to, message, suggestion) in SCORE_MISTAKES {
        let text = edited("score.toml", from, to);
        let found = problems(&text);
        let hit =
            found.iter().find(|problem| problem.message.contains(message) && problem.suggestion.contains(suggestion));
        let hit = hit.unwrap_or_else(|| panic!("{to:?}: {found:?}"));
        assert_eq!(hit.file, "score.toml");
        assert!(hit.line > 1, "{hit}");
    }
}

/// The file, what is replaced, by what, the message and the remedy.
const OTHER_MISTAKES: &[(&str, &str, &str, &str, &str)] = &[
    (
        "rights.toml",
        "last_day = \"2024-12-31\"",
        "last_day = \"2024-12-32\"",
        "\"2024-12-32\" is not a date",
        "YYYY-MM-DD",
    ),
    ("rights.toml", "last_day = \"2024-12-31\"", "last_day = 2024-12-31", "invalid type", "in quotes, dates too"),
    ("rights.toml", "last_day = \"2024-12-31\"", "last_day = \"2020-12-31\"", "is before the first", "exchange them"),
    (
        "rights.toml",
        "first_day = \"2022-03-20\", value",
        "first_day = \"2020-03-20\", value",
        "is not after the value before",
        "sort",
    ),
    ("rights.toml", "weight = 0.25", "weight = 0.3", "the weights of the rights add up to 1.05", "-0.05"),
    (
        "rights.toml",
        "id = \"refund_without_return\"",
        "id = \"seven_day_no_reason\"",
        "right `seven_day_no_reason` is declared twice",
        "",
    ),
    (
        "violations.toml",
        "scope = \"item\"",
        "scope = \"video\"",
        "unknown variant `video`",
        "use one of merchant, item",
    ),
    ("violations.toml", "short_video = 0.2 }", "short_video = 1.2 }", "a factor of a violation is 1.2", "from 0 to 1"),
    (
        "violations.toml",
        "short_video = 0.2 }",
        "shortvideo = 0.2 }",
        "unknown field `shortvideo`",
        "did you mean `short_video`?",
    ),
    ("violations.toml", "decay_days = 365\n", "", "points that never decay", "add `decay_days`"),
    ("violations.toml", "default_days = 7", "default_days = 0", "0 days", "1 to 3660"),
    (
        "rules/force_majeure.toml",
        "first_day = \"2022-03-14\"",
        "first_day = \"14 March\"",
        "\"14 March\" is not a date",
        "",
    ),
    ("rules/force_majeure.toml", "id = \"jilin\"", "id = \" \"", "region without a name", ""),
    ("rules/high_in_stock_waiver.toml", "bp = 7000", "bp = 70000", "share of 70000 basis points", "10000"),
    (
        "rules/high_in_stock_waiver.toml",
        "lightning_buy_in_denominator = true",
        "",
        "missing field `lightning_buy_in_denominator`",
        "add",
    ),
    ("programmes/kuai_brand.toml", "kind = \"support\"", "", "missing field `kind`", "add `kind = ...`"),
    (
        "programmes/kuai_brand.toml",
        "kind = \"support\"",
        "kind = \"modifier\"",
        "a modifier needs `modifies` and `factor`",
        "",
    ),
    (
        "programmes/kuai_brand.toml",
        "kind = \"support\"",
        "kind = \"hard\"",
        "a hard programme lifts nothing itself",
        "",
    ),
    (
        "programmes/kuai_brand.toml",
        "area = \"traffic\"",
        "area = \"trafic\"",
        "unknown variant `trafic`",
        "did you mean `traffic`?",
    ),
    ("programmes/kuai_brand.toml", "scenes = [\"all\"]", "scenes = []", "a programme without a scene", ""),
    ("programmes/kuai_brand.toml", "scenes = [\"all\"]", "scenes = [\"shelf\"]", "unknown variant `shelf`", ""),
    ("programmes/kuai_brand.toml", "seed = \"001\"", "seed = \"first\"", "seed \"first\"", "\"002\""),
    ("programmes/kuai_brand.toml", "uplift = 0.8", "uplift = 12", "an uplift is 12", "from 0 to 9"),
    (
        "programmes/kuai_brand.toml",
        "when = 'true', uplift = 0.3",
        "when = '', uplift = 0.3",
        "empty expression",
        "write `true`",
    ),
    (
        "programmes/kuai_brand.toml",
        "labels = [\"KUAI_BRAND\"]",
        "labels = [\"EXCLUDED\"]",
        "unknown variant `EXCLUDED`",
        "",
    ),
    ("programmes/kuai_brand.toml", "labels = [\"KUAI_BRAND\"]", "stacking_group = \"A B\"", "stacking group `A B`", ""),
    ("programmes/kuai_brand.toml", "cases = [", "constant = 0.1\ncases = [", "the uplift is not clear", "exactly one"),
    (
        "programmes/kuai_brand.toml",
        "\"kuai_brand\" &&",
        "\"kuaibrand\" &&",
        "no kind of merchant `kuaibrand`",
        "did you mean `kuai_brand`?",
    ),
    ("programmes/trust_purchase.toml", "by_trust = [[60, 0.05]", "by_trust = [[60, 0.5]", "the curve turns", ""),
    (
        "programmes/trust_purchase.toml",
        "\"fresh_food\" in",
        "\"fresh_food\" inn",
        "not a CEL expression",
        "write comparisons",
    ),
];

#[test]
fn mistakes_elsewhere_are_named_too() {
    for &(file, from, to, message, suggestion) in OTHER_MISTAKES {
        let found = problems(&edited(file, from, to));
        let hit = found.iter().find(|p| p.message.contains(message) && p.suggestion.contains(suggestion));
        let hit = hit.unwrap_or_else(|| panic!("{to:?}: {found:?}"));
        assert_eq!(hit.file, file);
    }
}

#[test]
fn a_problem_points_at_its_line() {
    let file = "programmes/trust_purchase.toml";
    let text = edited(file, "signal.liable_refund_rate_30d", "signal.liable_refund_rate");
    let found = problems(&text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].line, line_of(&text, file, "signal.liable_refund_rate <="), "inside a text of many lines");
    assert_eq!(
        found[0].to_string(),
        format!(
            "{file}:{}: `signal.liable_refund_rate <= 0.125`: there is no signal `liable_refund_rate`; did you mean \
             `liable_refund_rate_30d`?",
            found[0].line
        )
    );
    let text = edited("score.toml", "denominator = [\"buyers_90d\"]", "denominator = [\"buyers_90\"]");
    assert_eq!(problems(&text)[0].line, line_of(&text, "score.toml", "[\"buyers_90\"]"));
}

#[test]
fn all_problems_come_at_once() {
    let mut text = edited("score.toml", "weight_ceiling = 10.0", "weight_ceiling = 0.0");
    for (path, content) in &mut text.files {
        match path.as_str() {
            "rights.toml" => *content = content.replace("2024-12-31", "2024-13-31"),
            "programmes/kuai_brand.toml" => {
                *content = content.replace("merchant.kind", "merchant.sort").replace("trust.score", "trust.scor");
            }
            "programmes/new_merchant_launch.toml" => *content = content.replace("uplift = 1.5", "uplift = -1.5"),
            _ => {}
        }
    }
    let found = problems(&text);
    let files: Vec<&str> = found.iter().map(|problem| problem.file.as_str()).collect();
    assert!(files.is_sorted() && found.len() >= 6, "{found:?}");
    for file in ["score.toml", "rights.toml", "programmes/kuai_brand.toml", "programmes/new_merchant_launch.toml"] {
        assert!(files.contains(&file), "{file}: {found:?}");
    }
}

#[test]
fn files_are_known_by_name() {
    let with = |path: &str| {
        let mut text = embedded();
        text.files.push((path.into(), String::new()));
        compile(&text, 1, &mut Dictionary::default())
    };
    let message =
        |path: &str| with(path).expect_err("refused").iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(message("scores.toml").contains("`scores.toml` is not a file of a policy; did you mean `score.toml`?"));
    assert!(message("score.toml").contains("the file is there twice"));
    assert!(message("programmes/Big-Brand.toml").contains("the file names the programme `Big-Brand`"));
    assert!(with("README.md").is_ok(), "what is not TOML is not policy");
    let mut text = embedded();
    text.files.retain(|(path, _)| path != "score.toml");
    let found = problems(&text);
    assert!(found.iter().any(|p| p.file == "score.toml" && p.message == "the file is missing"), "{found:?}");
}

#[test]
fn the_waiver_needs_its_counters() {
    let text = edited("score.toml", "name = \"lightning_buy_orders\"", "name = \"flash_orders\"");
    let found = problems(&text);
    assert!(found.iter().any(|p| p.file.ends_with("high_in_stock_waiver.toml") && p.message.contains("lightning_buy")));
}

#[test]
fn at_most_64_programmes_have_bits() {
    let mut text = embedded();
    let is_programme = |file: &&(String, String)| file.0.starts_with("programmes/");
    let shipped = text.files.iter().filter(is_programme).count();
    let content =
        text.files.iter().find(|(path, _)| path == "programmes/long_tail_floor.toml").expect("a file").1.clone();
    for number in shipped..64 {
        text.files.push((format!("programmes/extra_{number}.toml"), content.clone()));
    }
    assert!(compile(&text, 1, &mut Dictionary::default()).is_ok(), "64 fit");
    text.files.push(("programmes/one_more.toml".into(), content));
    let found = problems(&text);
    assert!(found.iter().any(|problem| problem.message == "more than 64 live programmes"), "{found:?}");
}
