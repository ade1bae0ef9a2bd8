//! What expressions mean: text → holds or not, for sample merchants.

use super::sample::{Sample, day, embedded_policy};
use crate::domain::{Enrolment, MerchantKind};
use crate::policy::columns::{Scope, Stages};
use crate::policy::counters::{Counters, declare};
use crate::policy::layout::LayoutBuilder;
use crate::policy::lower::lower;
use crate::policy::problem::{Problems, Report};
use crate::policy::schema::CounterFile;
use crate::policy::{Dictionary, Policy, compile, embedded};
use crate::trust::{Predicate, Seen};
use proptest::prelude::*;

/// A Kuai brand of 20 days with some facts.
fn brand() -> Sample {
    let mut sample = Sample::default()
        .with(&[("paid_orders", 40), ("price_index", 9_000), ("reviews", 50), ("negative_reviews", 1)])
        .holding(&["seven_day_no_reason"])
        .opened(20);
    sample.merchant.kind = MerchantKind::KuaiBrand;
    sample.merchant.fan_count = 250_000;
    sample.merchant.tags = vec!["public_welfare".into()].into();
    sample.merchant.origin_belt = "tongerpu".into();
    sample.packages = crate::domain::Scene::Live.mask() | crate::domain::Scene::Mall.mask();
    sample.merchant.enrolments = vec![
        Enrolment { list: "doujin".into(), day: day("2023-02-03") },
        Enrolment { list: "later".into(), day: day("2023-03-01") },
    ];
    sample
}

/// The shipped policy with one more programme of this eligibility.
fn with_programme(eligibility: &str) -> Policy {
    let mut text = embedded();
    let file = format!(
        "name = \"x\"\nname_zh = \"x\"\nseed = \"001\"\narea = \"traffic\"\nkind = \"tilt\"\nscenes = [\"all\"]\n\
         eligibility = '''{eligibility}'''\nuplift = {{ constant = 0.1 }}\n"
    );
    text.files.push(("programmes/probe.toml".into(), file));
    compile(&text, 1, &mut Dictionary::default()).unwrap_or_else(|problems| panic!("{eligibility}: {problems:?}"))
}

fn probe(policy: &Policy) -> &Predicate {
    &policy.programmes.iter().find(|programme| programme.id == "probe").expect("the probe").eligibility
}

#[test]
fn expressions_hold_or_do_not() {
    let cases = [
        ("true", true),
        ("merchant.fan_count >= 250000", true),
        ("merchant.fan_count > 250000", false),
        ("250000 <= merchant.fan_count", true),
        ("1e5 < merchant.fan_count && merchant.fan_count < 1000000", true),
        ("merchant.fan_count != 250000", false),
        ("merchant.days_since_opening == 20", true),
        ("merchant.days_since_opening < 20 || merchant.kind == \"brand\"", false),
        ("merchant.days_since_enrolment[\"doujin\"] <= 30", true),
        ("merchant.days_since_enrolment[\"doujin\"] == 10", true),
        ("merchant.days_since_enrolment[\"none\"] >= 0", false),
        ("!(merchant.days_since_enrolment[\"none\"] >= 0)", true),
        ("merchant.kind == \"kuai_brand\"", true),
        ("\"kuai_brand\" == merchant.kind", true),
        ("merchant.kind != 'kuai_brand'", false),
        ("merchant.kind in [\"brand\", \"kuai_brand\"]", true),
        ("!(merchant.region in [\"hangzhou\"])", false),
        ("merchant.origin_belt == \"tongerpu\" && merchant.main_category == \"clothing\"", true),
        ("\"public_welfare\" in merchant.tags", true),
        ("\"(odd) && \" in merchant.tags", false),
        ("\"clothing\" in merchant.categories && !(\"fur\" in merchant.categories)", true),
        ("\"doujin\" in merchant.enrolments", true),
        ("\"later\" in merchant.enrolments", false),
        ("\"live\" in merchant.packages", true),
        ("\"mall\" in merchant.packages", true),
        ("\"search\" in merchant.packages", false),
        ("merchant.prior_identity_violation", false),
        ("!merchant.prior_identity_violation", true),
        ("merchant.prior_identity_violation == false", true),
        ("merchant.ships_goods != false", true),
        ("true == merchant.ships_goods", true),
        ("trust.score > 0 && trust.score <= 100", true),
        ("trust.tier == \"standard\" || trust.tier == \"trusted\"", true),
        ("trust.tier in [\"watch\"]", false),
        ("trust.governance > 50 && trust.consumer_rights > 10.5 && trust.experience > 10", true),
        ("signal.price_index < 1 && measured.price_index", true),
        ("measured.claims_honoured_365d", false),
        ("signal.claims_honoured_365d == 0.95", true),
        ("\"seven_day_no_reason\" in rights.held", true),
        ("\"official_authenticity\" in rights.held", false),
        ("facts.paid_orders_30d >= 40 && facts.paid_orders_week == 40", true),
        ("facts.paid_orders_lifetime == 40 && facts.paid_orders_1d > 39.5", true),
        ("level.price_index == 9000", true),
        ("level.fan_purchase_rate >= 0", false),
        // && binds more strongly than ||, as in CEL.
        ("true == merchant.ships_goods || merchant.fan_count < 1 && merchant.fan_count < 1", true),
        ("(merchant.ships_goods || merchant.fan_count < 1) && merchant.fan_count < 1", false),
        ("((merchant.ships_goods)) && (!(merchant.fan_count < 0))", true),
        ("!!merchant.ships_goods", true),
        ("merchant.fan_count > -5", true),
        ("facts.paid_orders_30d / facts.paid_orders_lifetime == 1", true),
        ("2 > facts.negative_reviews_30d / facts.reviews_30d", true),
        ("facts.paid_orders_30d / facts.complaints_30d > 0", false),
    ];
    for (text, expected) in cases {
        let policy = with_programme(text);
        let met = brand().record(&policy).0;
        let position = policy.programmes.iter().position(|p| p.id == "probe").expect("the probe");
        assert_eq!(met.programmes[position].is_met, expected, "{text}");
    }
}

#[test]
fn a_condition_keeps_the_text_it_was_written_as() {
    let policy = with_programme("trust.score>=60.50 &&\n !( \"a b\" in merchant.tags || merchant.fan_count != 7 )");
    let texts: Vec<&str> = probe(&policy).conditions.iter().map(|condition| condition.text.as_str()).collect();
    assert_eq!(texts, ["trust.score>=60.50", "\"a b\" in merchant.tags", "merchant.fan_count != 7"]);
}

#[test]
fn a_comparison_that_is_turned_round_is_shown_negated_once() {
    let policy = with_programme("merchant.region != \"nowhere\" && merchant.prior_identity_violation == false");
    let shown = brand().view(&policy, |view| probe(&policy).results(&Seen::merchant(view, None)));
    let shown: Vec<(&str, bool)> = shown.iter().map(|result| (result.text.as_str(), result.holds)).collect();
    let expected =
        [("!(merchant.region == \"nowhere\")", true), ("!(merchant.prior_identity_violation == true)", true)];
    assert_eq!(shown, expected);
}

#[test]
fn expressions_share_the_sums_of_signals() {
    let sums = embedded_policy().model.layout.sums().len();
    assert_eq!(with_programme("facts.paid_orders_30d > 1").model.layout.sums().len(), sums);
    assert_eq!(with_programme("facts.paid_orders_31d > 1").model.layout.sums().len(), sums + 1);
}

/// Lowers with one flow and one signal in scope; the message and suggestion of the first refusal.
fn refusal(text: &str) -> Option<String> {
    let mut problems = Problems::default();
    let file: CounterFile =
        toml::from_str("name = \"paid_orders\"\nkind = \"flow\"\nunit = \"\"\ndescription = \"\"").expect("a counter");
    let counters: Counters =
        declare(vec![file], &mut Dictionary::default(), &mut Report::new("score.toml", "", &mut problems));
    let (signals, tiers, rights) =
        (vec!["price_index".to_owned()], vec!["trusted".to_owned()], vec!["seven".to_owned()]);
    let scope = Scope {
        counters: &counters,
        signals: Some(&signals),
        tiers: &tiers,
        rights: Some(&rights),
        stages: Stages::Hidden,
        no_logistics: &[],
        items: false,
    };
    let refusals = lower(text, &scope, &mut LayoutBuilder::default()).err()?;
    refusals.first().map(|refusal| format!("{}; {}", refusal.message, refusal.suggestion))
}

#[test]
fn what_is_no_flat_predicate_is_refused_with_a_reason() {
    let cases = [
        ("", "empty expression; write `true`"),
        ("merchant.tags.exists(t, t == \"x\")", "`exists(...)` is a function or macro"),
        ("size(merchant.tags) > 2", "`size(...)` is a function or macro"),
        ("has(merchant.region)", "`has(...)` is a function or macro"),
        ("merchant.fan_count + 1 > 2", "arithmetic is not supported: `+`"),
        ("merchant.fan_count // 2 > 2", "expressions have no comments"),
        ("merchant.fan_count / 2 > 2", "a ratio of something else than two number columns"),
        ("merchant.region / merchant.fan_count > 2", "a ratio of something else than two number columns"),
        ("merchant.enrolled_on[\"x\"] > \"1 May\"", "\"1 May\" is not a date; write YYYY-MM-DD"),
        ("merchant.enrolled_on[\"x\"] > 3", "a date column against a number"),
        ("merchant.fan_count - 1 > 2", "not a column or a constant"),
        ("merchant.fan_count / 2 > 2", "a ratio of something else than two number columns"),
        ("merchant.fan_count > 2 // more", "expressions have no comments"),
        ("merchant.ships_goods ? true : false", "`? :` is not supported"),
        ("merchant.fan_cout > 2", "there is no column `merchant.fan_cout`; did you mean `merchant.fan_count`?"),
        ("shop.fans > 2", "there is no column `shop.fans`"),
        ("merchant > 2", "there is no column `merchant`"),
        ("signal.price_indx < 1", "there is no signal `price_indx`; did you mean `price_index`?"),
        ("facts.paid_order_30d > 1", "there is no counter `paid_order`; did you mean `paid_orders`?"),
        ("facts.paid_orders > 1", "`facts.paid_orders` has no window; write `facts.paid_orders_30d`"),
        ("facts.paid_orders_0d > 1", "has no window"),
        ("level.paid_orders > 1", "`paid_orders` is a flow, not a level"),
        ("trust.tier == \"trustd\"", "there is no tier `trustd`; did you mean `trusted`?"),
        ("merchant.kind == \"brandy\"", "there is no kind of merchant `brandy`; did you mean `brand`?"),
        ("\"eight\" in rights.held", "there is no right `eight`"),
        ("merchant.kind < \"brand\"", "texts and flags have no order; use == or !="),
        ("merchant.fan_count == \"many\"", "a number column against a text"),
        ("merchant.fan_count", "a number column where true or false is needed"),
        ("merchant.tags == \"x\"", "a list is not compared"),
        ("merchant.fan_count in [1, 2]", "a text is needed here"),
        ("merchant.fan_count > trust.score", "a comparison of two columns"),
        ("1 > 2", "a comparison of two constants"),
        ("true && merchant.ships_goods", "true or false where true or false is needed"),
        ("merchant.fan_count > 1e300", "number is out of range"),
        ("merchant.region == null", "bytes and null are not supported"),
        ("(merchant.fan_count) > 3", "parentheses inside a comparison"),
        ("merchant.fan_count > 3 &&", "not a CEL expression"),
        ("merchant.fan_count > 3 & merchant.ships_goods", "not a CEL expression"),
        ("merchant.fan_count >", "not a CEL expression"),
        ("(merchant.ships_goods", "brackets do not match"),
        ("merchant.ships_goods)", "brackets do not match"),
        ("merchant.region == \"a", "text without an end"),
        ("merchant.region == r\"a\"", "texts have no prefix"),
        ("merchant.region == \"\"\"a\"\"\"", "texts have no prefix and no triple quotes"),
        ("merchant.region == \"\\u0041\"", "with a backslash"),
        ("merchant.地区 == \"a\"", "unexpected character: `地`"),
        ("{\"a\": 1}", "unexpected character: `{`"),
        ("merchant.region[\"x\"] == \"a\"", "`merchant.region` takes no key"),
        ("merchant.days_since_enrolment > 1", "did you mean `merchant.days_since_enrolment[\"list\"]`?"),
    ];
    for (text, expected) in cases {
        let found = refusal(text).unwrap_or_else(|| panic!("{text} was not refused"));
        assert!(found.contains(expected), "{text}: {found}");
    }
}

#[test]
fn expressions_are_bounded_before_they_are_parsed() {
    let one = "merchant.ships_goods";
    let many = |count: usize| vec![one; count].join(" && ");
    assert_eq!(refusal(&many(64)), None);
    assert!(refusal(&many(65)).is_some_and(|message| message.contains("more than 64 comparisons")));
    let nested = |depth: usize| format!("{}{one}{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(refusal(&nested(32)), None);
    assert!(refusal(&nested(33)).is_some_and(|message| message.contains("nested too deeply")));
    let long = format!("merchant.region in [{}]", vec!["\"region\""; 1_000].join(","));
    assert!(refusal(&long).is_some_and(|message| message.contains("at most 4096")));
    for attack in ["!", "-", ".a", "[0]", "<1", "-!"] {
        let text = format!("merchant{}", attack.repeat(4_000 / attack.len()));
        assert!(refusal(&text).is_some(), "{attack}");
        let text = format!("{}merchant", attack.repeat(4_000 / attack.len()));
        assert!(refusal(&text).is_some(), "{attack}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_fail(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "merchant", ".", "fan_count", "(", ")", "[", "]", "&&", "||", "!", "==", "!=", "<", ">=", "in", " ",
                "\"", "'", "x", "1", "1.5e3", "0x1F", "1u", "-", "true", "null", ",", "\n", "b", "trust.score", "家",
                "signal.price_index", "as", "for", "..", "9999999999999999999", "1.", ".5", "`", "_",
            ]),
            0..60,
        ),
    ) {
        let text: String = parts.concat();
        let _ = refusal(&text);
    }
}
