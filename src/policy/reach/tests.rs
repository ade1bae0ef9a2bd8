//! What is called impossible never happens: random expressions against random merchants.

use super::search::{STEPS_IN_ALL, STEPS_PER_SEARCH};
use super::{Reach, highest_scores, tier_scores};
use crate::domain::{
    CounterId, Day, DayFacts, Enrolment, HeldRight, Merchant, MerchantId, MerchantKind, ProviderId, ServiceProvider,
    Timestamp,
};
use crate::policy::Dictionary;
use crate::policy::columns::{Scope, Stages};
use crate::policy::counters::{Counters, declare};
use crate::policy::layout::LayoutBuilder;
use crate::policy::lower::lower;
use crate::policy::problem::{Problems, Report};
use crate::policy::schema::CounterFile;
use crate::traffic::{ProgrammeWindow, Stage};
use crate::trust::{
    Anchors, Check, Clocks, Curve, Dimension, FactsLayout, Layer, LayerScore, MerchantFacts, MerchantView, Predicate,
    ProviderView, Seen, Signal, SignalKind, SignalRow, SignalState, Tier, Trust, TrustView,
};
use proptest::prelude::*;

const TODAY: Day = Day(19_000);
const STAGES: [(&str, &str); 3] = [
    ("entry", "!(merchant.days_since_opening >= 1) || merchant.fan_count == 0"),
    ("growth", "trust.score < 70 || \"gold\" in merchant.tags"),
    ("mature", "merchant.fan_count >= 1"),
];

/// What expressions of the tests see.
struct Ground {
    counters: Counters,
    signals: Vec<Signal>,
    tiers: Vec<Tier>,
}

impl Ground {
    fn new() -> Self {
        let counter = |name: &str, kind: &str| -> CounterFile {
            let text = format!("name = \"{name}\"\nkind = \"{kind}\"\nunit = \"\"\ndescription = \"\"");
            toml::from_str(&text).expect("a counter")
        };
        let mut problems = Problems::default();
        let files = vec![counter("paid", "flow"), counter("price", "level")];
        let counters = declare(files, &mut Dictionary::default(), &mut Report::new("score.toml", "", &mut problems));
        let signal = |id: &str, layer, kind| Signal {
            id: id.to_owned(),
            name: String::new(),
            name_zh: String::new(),
            layer,
            dimension: Dimension::AfterSales,
            kind,
            prior_mean: 0.5,
            prior_strength: 1.0,
            curve: Curve::new(vec![(0.0, 0.0), (1.0, 1.0)]).expect("a curve"),
            weight: 1.0,
            applies: Predicate::default(),
        };
        let (numerator, denominator) = (Vec::new(), Vec::new());
        let share = SignalKind::Share { numerator: numerator.clone(), denominator: denominator.clone() };
        let mean = SignalKind::Mean { numerator, denominator, scale: 1.0 };
        let tier = |id: &str, min_score| Tier {
            id: id.to_owned(),
            name: String::new(),
            name_zh: String::new(),
            min_score,
            ad_price_factor: 1.0,
        };
        Self {
            counters,
            signals: vec![signal("share", Layer::Governance, share), signal("mean", Layer::Experience, mean)],
            tiers: vec![tier("watch", 0.0), tier("standard", 45.0), tier("trusted", 70.0)],
        }
    }

    fn lower(&self, text: &str, layout: &mut LayoutBuilder) -> Predicate {
        let ids = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (signals, tiers, rights) =
            (ids(&["share", "mean"]), ids(&["watch", "standard", "trusted"]), ids(&["seven"]));
        let (stages, no_logistics) = (ids(&STAGES.map(|(id, _)| id)), ids(&["virtual"]));
        let scope = Scope {
            counters: &self.counters,
            signals: Some(&signals),
            tiers: &tiers,
            rights: Some(&rights),
            stages: Stages::Ids(&stages),
            no_logistics: &no_logistics,
            items: false,
        };
        lower(text, &scope, layout).unwrap_or_else(|refusals| panic!("{text}: {refusals:?}"))
    }

    fn stages(&self, layout: &mut LayoutBuilder) -> Vec<Stage> {
        let stage = |(id, when): (&str, &str), layout: &mut LayoutBuilder| Stage {
            id: id.to_owned(),
            name: String::new(),
            name_zh: String::new(),
            when: self.lower(when, layout),
        };
        STAGES.into_iter().map(|named| stage(named, layout)).collect()
    }

    /// Whether an expression is called impossible.
    fn is_refuted(&self, predicate: &Predicate, stages: &[Stage]) -> bool {
        let tiers = tier_scores(&self.tiers);
        let highest = highest_scores(&self.signals, [0.25, 0.25, 0.5], [0.5; 3]);
        let names: Vec<&str> = stages.iter().map(|stage| stage.id.as_str()).collect();
        let reach = Reach::new(&tiers, &self.signals, highest).with_stages(stages, &names);
        let (holds, _) = reach.node(predicate);
        let is_refuted = reach.refuted(&[&holds]).is_some();
        assert!(STEPS_IN_ALL - reach.known.steps.get() <= STEPS_PER_SEARCH, "a search goes on for ever");
        is_refuted
    }
}

/// A merchant, its facts and its score.
#[derive(Clone, Debug)]
struct Someone {
    merchant: Merchant,
    paid: Option<u64>,
    price: Option<u64>,
    holds_right: bool,
    provider: Option<(Option<u8>, bool, Option<u32>)>,
    score: f64,
    layers: [f64; 3],
    rows: [(u8, f64); 2],
}

impl Someone {
    fn meets(&self, ground: &Ground, layout: &FactsLayout, stages: &[Stage], predicate: &Predicate) -> bool {
        let mut facts = MerchantFacts::empty(layout);
        let cells = [(0, self.paid), (1, self.price)];
        let row: Vec<(CounterId, u64)> =
            cells.into_iter().filter_map(|(id, value)| Some((CounterId(id), value?))).collect();
        let anchors = Anchors::of(&self.merchant);
        facts.write_row(layout, &anchors, TODAY, TODAY, &DayFacts::default(), &DayFacts::new(row));
        let right = HeldRight { right: "seven".to_owned(), from: Timestamp(0), until: None };
        let rights = if self.holds_right { vec![right] } else { vec![] };
        let profile = self.provider.map(|(capability, is_gold, _)| ServiceProvider {
            id: ProviderId(1),
            name: String::new(),
            capabilities: capability.map(|score| [score; 5]),
            tags: is_gold.then(|| "gold".to_owned()).into_iter().collect(),
            revision: 0,
        });
        let rank = self.provider.and_then(|(_, _, rank)| rank);
        let view = MerchantView {
            merchant: &self.merchant,
            facts: (&facts).into(),
            rights: &rights,
            violations: &[],
            provider: profile.as_ref().map(|profile| ProviderView { profile, rank }),
            facts_day: TODAY,
            now: TODAY.start(),
            packages: 0,
        };
        let tier = ground.tiers.iter().rposition(|tier| tier.min_score <= self.score).unwrap_or(0);
        let layers = self.layers.map(|score| LayerScore { score, is_prior: false });
        let trust = Trust { score: self.score, gate: 1.0, layers, tier };
        let rows = self.rows.map(|(state, smoothed)| SignalRow {
            state: [SignalState::Measured, SignalState::NoData, SignalState::NotApplicable, SignalState::Disabled]
                [usize::from(state)],
            numerator: 0.0,
            denominator: 0.0,
            smoothed,
            value: 0.0,
            effective_weight: 0.0,
        });
        let unstaged = TrustView { trust: &trust, signals: &rows, tier: &ground.tiers[tier].id, stage: "" };
        let unstaged_seen = Seen::merchant(&view, Some(&unstaged));
        let stage = stages.iter().find(|stage| stage.when.holds(&unstaged_seen)).map_or("", |stage| &stage.id);
        let trust = TrustView { stage, ..unstaged };
        let seen = Seen::merchant(&view, Some(&trust));
        let holds = predicate.holds(&seen);
        assert_eq!(Check::new(predicate).holds(&seen), holds, "what is left out does not matter: {predicate:?}");
        assert_eq!(Clocks::new([predicate]).next_change(&seen), predicate.next_change(&seen), "{predicate:?}");
        holds
    }
}

fn some_of(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop::sample::select(texts).prop_map(str::to_owned), 0..3)
}

fn merchant() -> impl Strategy<Value = Merchant> {
    let kinds = vec![MerchantKind::Ordinary, MerchantKind::KuaiBrand, MerchantKind::Brand];
    (
        prop::sample::select(kinds),
        prop::option::of(-1_i32..4),
        some_of(&["clothing", "virtual"]),
        prop::sample::select(vec!["", "a"]),
        0_u64..4,
        some_of(&["gold", "x"]),
        any::<bool>(),
        prop::collection::vec(-2_i32..3, 0..2),
    )
        .prop_map(|(kind, age, categories, region, fan_count, tags, prior_identity_violation, enrolled)| {
            Merchant {
                id: MerchantId(1),
                name: String::new(),
                kind,
                opened_at: age.map(|age| TODAY.plus(-age).start()),
                categories: categories.into(),
                region: region.to_owned(),
                origin_belt: String::new(),
                fan_count,
                service_provider: None,
                tags: tags.into(),
                prior_identity_violation,
                enrolments: enrolled
                    .into_iter()
                    .map(|days| Enrolment { list: "a".into(), day: TODAY.plus(-days) })
                    .collect(),
                revision: 0,
            }
        })
}

fn someone() -> impl Strategy<Value = Someone> {
    let scores = vec![0.0, 44.9, 45.0, 60.0, 69.9, 70.0, 80.0, 87.5];
    let rank = prop::option::of(1_u32..4);
    let provider = prop::option::of((prop::option::of(prop::sample::select(vec![0_u8, 50, 100])), any::<bool>(), rank));
    let rows =
        ((0_u8..4, prop::sample::select(vec![0.0, 0.5, 1.0])), (0_u8..4, prop::sample::select(vec![0.0, 1.0, 9.0])));
    (
        merchant(),
        prop::option::of(0_u64..4),
        prop::option::of(0_u64..4),
        any::<bool>(),
        provider,
        prop::sample::select(scores),
        [0.0..=1.0, 0.5..=0.5, 0.0..=1.0],
        rows,
    )
        .prop_map(|(merchant, paid, price, holds_right, provider, score, layers, rows)| Someone {
            merchant,
            paid,
            price,
            holds_right,
            provider,
            score,
            layers,
            rows: [rows.0, rows.1],
        })
}

/// One comparison.
fn atom() -> impl Strategy<Value = String> {
    let numbers = vec![
        ("trust.score", vec!["0", "45", "69.9", "70", "87.5", "100"]),
        ("trust.governance", vec!["0", "50", "100"]),
        ("trust.consumer_rights", vec!["0", "50"]),
        ("merchant.fan_count", vec!["-1", "0", "0.5", "1", "2"]),
        ("merchant.days_since_opening", vec!["-1", "0", "1", "2"]),
        ("merchant.days_since_enrolment[\"a\"]", vec!["-1", "0", "1"]),
        ("signal.share", vec!["0", "0.5", "1"]),
        ("signal.mean", vec!["0", "1", "5"]),
        ("facts.paid_7d", vec!["0", "1", "2"]),
        ("level.price", vec!["0", "1", "2"]),
        ("facts.paid_7d / merchant.fan_count", vec!["0", "0.5", "1"]),
        ("level.price / facts.paid_7d", vec!["0", "1"]),
        ("provider.rank", vec!["1", "2"]),
        ("provider.fulfilment", vec!["0", "50", "100"]),
    ];
    let number = prop::sample::select(numbers).prop_flat_map(|(column, constants)| {
        (prop::sample::select(vec!["<", "<=", "==", "!=", ">=", ">"]), prop::sample::select(constants))
            .prop_map(move |(operator, constant)| format!("{column} {operator} {constant}"))
    });
    let others = vec![
        "trust.tier == \"watch\"",
        "trust.tier != \"trusted\"",
        "trust.tier in [\"standard\", \"trusted\"]",
        "merchant.stage == \"entry\"",
        "merchant.stage == \"growth\"",
        "merchant.stage in [\"mature\", \"growth\"]",
        "merchant.kind == \"brand\"",
        "merchant.kind in [\"ordinary\", \"kuai_brand\"]",
        "merchant.region == \"a\"",
        "merchant.region in [\"a\", \"b\"]",
        "merchant.main_category == \"virtual\"",
        "merchant.main_category in [\"clothing\", \"virtual\"]",
        "\"clothing\" in merchant.categories",
        "\"virtual\" in merchant.categories",
        "\"gold\" in merchant.tags",
        "\"a\" in merchant.enrolments",
        "\"gold\" in provider.tags",
        "\"seven\" in rights.held",
        "merchant.ships_goods",
        "merchant.prior_identity_violation",
        "measured.share",
        "measured.mean",
    ];
    prop_oneof![number, prop::sample::select(others).prop_map(str::to_owned)]
}

fn expression() -> impl Strategy<Value = String> {
    let node = |inner: BoxedStrategy<String>| {
        let list = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            3 => list.clone().prop_map(|parts| format!("({})", parts.join(" && "))),
            2 => list.prop_map(|parts| format!("({})", parts.join(" || "))),
            1 => inner.prop_map(|part| format!("!({part})")),
        ]
    };
    atom().boxed().prop_recursive(4, 24, 3, move |inner| node(inner.boxed())).boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn what_is_called_impossible_never_happens(
        text in expression(),
        people in prop::collection::vec(someone(), 40),
    ) {
        let ground = Ground::new();
        let mut layout = LayoutBuilder::default();
        let stages = ground.stages(&mut layout);
        let predicate = ground.lower(&text, &mut layout);
        let (layout, _) = layout.build(None);
        if ground.is_refuted(&predicate, &stages) {
            for someone in &people {
                prop_assert!(!someone.meets(&ground, &layout, &stages, &predicate), "{text}: {someone:?}");
            }
        }
    }

    #[test]
    fn what_somebody_meets_is_never_called_impossible(
        texts in prop::collection::vec(atom(), 12),
        someone in someone(),
    ) {
        // All that holds of one merchant, and the negation of all that does not, hold together.
        let ground = Ground::new();
        let mut layout = LayoutBuilder::default();
        let stages = ground.stages(&mut layout);
        let atoms: Vec<Predicate> = texts.iter().map(|text| ground.lower(text, &mut layout)).collect();
        let (built, _) = layout.build(None);
        let outcomes = atoms.iter().map(|atom| someone.meets(&ground, &built, &stages, atom));
        let parts: Vec<String> = texts.iter().zip(outcomes)
            .map(|(text, holds)| if holds { format!("({text})") } else { format!("!({text})") }).collect();
        let text = parts.join(" && ");
        let mut layout = LayoutBuilder::default();
        let stages = ground.stages(&mut layout);
        let predicate = ground.lower(&text, &mut layout);
        prop_assert!(!ground.is_refuted(&predicate, &stages), "{text}");
    }
}

#[test]
fn contradictions_are_found() {
    let ground = Ground::new();
    let cases = [
        ("merchant.fan_count > 1 && merchant.fan_count < 2", true),
        ("merchant.fan_count > 1 && merchant.fan_count < 3 && merchant.fan_count != 2", true),
        ("merchant.fan_count > 1 && merchant.fan_count < 3", false),
        ("merchant.fan_count == 1.5", true),
        ("!(merchant.fan_count >= 0)", true),
        ("!(merchant.days_since_opening >= 0) && !(merchant.days_since_opening < 0)", false),
        ("merchant.days_since_opening < 0 && merchant.days_since_opening == -3", false),
        ("trust.score > 45 && trust.tier == \"watch\"", true),
        ("trust.score >= 45 && trust.score < 70 && trust.tier != \"standard\"", true),
        ("signal.share > 1", true),
        ("signal.mean > 1", false),
        ("measured.share && !(signal.share >= 0)", true),
        ("!measured.share && !(signal.share >= 0)", false),
        ("level.price / facts.paid_7d > 1 && facts.paid_7d == 0", true),
        ("level.price / facts.paid_7d < 0", true),
        ("!merchant.ships_goods && \"clothing\" in merchant.categories", true),
        ("merchant.main_category == \"clothing\" && !(\"clothing\" in merchant.categories)", true),
        ("\"a\" in merchant.enrolments && merchant.days_since_enrolment[\"a\"] < 0", true),
        ("\"a\" in merchant.enrolments && !(\"b\" in merchant.enrolments)", false),
        ("merchant.kind != \"brand\" && merchant.kind != \"ordinary\" && merchant.kind != \"kuai_brand\"", true),
        ("merchant.region != \"a\" && merchant.region == \"a\"", true),
        ("merchant.stage == \"growth\" && merchant.fan_count == 0", true),
        ("merchant.stage == \"mature\" && trust.score < 70", true),
        ("merchant.stage == \"mature\" && merchant.fan_count == 2", false),
        ("(trust.score < 10 || trust.score > 80) && trust.score > 20 && trust.score < 70", true),
        // The best of each layer: 100, the prior of 50 and 100.
        ("trust.score > 87.6", true),
    ];
    for (text, expected) in cases {
        let mut layout = LayoutBuilder::default();
        let stages = ground.stages(&mut layout);
        let predicate = ground.lower(text, &mut layout);
        assert_eq!(ground.is_refuted(&predicate, &stages), expected, "{text}");
    }
}

#[test]
fn too_many_alternatives_are_not_refuted_and_cost_little() {
    // Pigeons and holes: six tags, five of which may hold, in every combination; 63 comparisons that contradict.
    let ground = Ground::new();
    let tag = |pigeon: usize, hole: usize| format!("\"p{pigeon}h{hole}\" in merchant.tags");
    let mut parts: Vec<String> = Vec::new();
    for pigeon in 0..5 {
        parts.push(format!("({})", (0..4).map(|hole| tag(pigeon, hole)).collect::<Vec<_>>().join(" || ")));
    }
    for pair in 0..10 {
        let (a, b) = [(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)][pair];
        parts.push(format!("!({} && {})", tag(a, pair % 4), tag(b, pair % 4)));
    }
    let mut layout = LayoutBuilder::default();
    let stages = ground.stages(&mut layout);
    let predicate = ground.lower(&parts.join(" && "), &mut layout);
    assert!(!ground.is_refuted(&predicate, &stages));
}

#[test]
fn windows_meet_where_days_and_hours_do() {
    let day = |text: &str| Day::parse(text);
    let only = |wanted: usize| Some(std::array::from_fn(|weekday| weekday == wanted));
    let window = ProgrammeWindow::default();
    let dated = ProgrammeWindow { first: day("2022-11-07"), last: day("2022-11-09"), ..window.clone() };
    let sunday = ProgrammeWindow { weekdays: only(6), ..window.clone() };
    let monday = ProgrammeWindow { weekdays: only(0), ..window.clone() };
    let evening = ProgrammeWindow { hours: Some((19, 24)), ..window.clone() };
    let morning = ProgrammeWindow { hours: Some((0, 19)), ..window.clone() };
    assert!(super::open_together(&dated, &monday) && super::open_together(&window, &sunday));
    assert!(!super::open_together(&dated, &sunday), "7 to 9 November 2022 are Monday to Wednesday");
    assert!(!super::open_together(&monday, &sunday) && !super::open_together(&evening, &morning));
    assert!(super::opens(&dated) && !super::opens(&ProgrammeWindow { weekdays: only(6), ..dated }));
}
