//! The policy that the program carries.

use super::sample::{Sample, day, embedded_policy};
use crate::domain::{Scene, TargetKind};
use crate::policy::{CounterKind, Dictionary, Policy, compile, embedded, text_hash};
use crate::traffic::ProgrammeKind;
use crate::trust::{Anchor, Layer, Span};
use std::collections::BTreeSet;

#[test]
fn it_compiles() {
    let mut dictionary = Dictionary::default();
    match compile(&embedded(), 7, &mut dictionary) {
        Ok(policy) => assert_eq!((policy.version, policy.source.as_str()), (7, "embedded")),
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{}", lines.join("\n"));
        }
    }
}

#[test]
fn it_is_the_folder_policy_default() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policy/default");
    let mut on_disk = Vec::new();
    for folder in ["", "rules", "programmes"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("the folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            if path.extension().is_some_and(|extension| extension == "toml") {
                on_disk.push(if folder.is_empty() { name } else { format!("{folder}/{name}") });
            }
        }
    }
    on_disk.sort();
    let carried: Vec<String> = embedded().files.into_iter().map(|(path, _)| path).collect();
    assert_eq!(carried, on_disk, "EMBEDDED names every file, sorted");
}

#[test]
fn the_same_text_gives_the_same_policy() {
    let (mut one, mut two) = (Dictionary::default(), Dictionary::default());
    let policy = compile(&embedded(), 1, &mut one).expect("compiles");
    assert_eq!(compile(&embedded(), 1, &mut two).expect("compiles"), policy);
    assert_eq!(one, two);
    let before = one.clone();
    assert_eq!(compile(&embedded(), 1, &mut one).expect("compiles"), policy, "known names keep their numbers");
    assert_eq!(one, before);
}

#[test]
fn it_uses_all_layers_dimensions_kinds_and_windows() {
    let policy = embedded_policy();
    let signals = &policy.model.signals;
    assert!(signals.len() >= 80, "{} signals", signals.len());
    for layer in Layer::ALL {
        assert!(signals.iter().filter(|signal| signal.layer == layer).count() >= 10, "{}", layer.name());
    }
    let dimensions: BTreeSet<&str> = signals.iter().map(|signal| signal.dimension.name()).collect();
    assert_eq!(dimensions.len(), 6, "{dimensions:?}");
    let kinds: BTreeSet<&str> = signals.iter().map(|signal| signal.kind.name()).collect();
    assert_eq!(Vec::from_iter(kinds), ["composite", "derived", "growth", "level", "mean", "share"]);
    let windows: Vec<(&Span, u16)> =
        policy.model.layout.sums().iter().map(|(_, window)| (&window.span, window.offset_days)).collect();
    let spans = [
        Span::NaturalWeek,
        Span::Days(7),
        Span::Days(30),
        Span::Days(90),
        Span::Days(365),
        Span::Lifetime,
        Span::From(Anchor::FirstSale, 30),
        Span::From(Anchor::Opening, 30),
    ];
    for span in spans {
        assert!(windows.contains(&(&span, 0)), "{span:?}");
    }
    assert!(windows.contains(&(&Span::Days(30), 30)) && windows.contains(&(&Span::Days(30), 365)), "MoM and YoY");
}

#[test]
fn it_declares_the_counters_that_importers_send() {
    let policy = embedded_policy();
    let kind = |name: &str| policy.counters.iter().find(|counter| counter.name == name).map(|counter| counter.kind);
    for flow in ["paid_orders", "gmv_fen", "shipped_on_time", "negative_reviews", "review_points", "new_buyer_orders"] {
        assert_eq!(kind(flow), Some(CounterKind::Flow), "{flow}");
    }
    for level in ["price_index", "shopping_experience_score", "buyers_90d", "repeat_buyers_14d"] {
        assert_eq!(kind(level), Some(CounterKind::Level), "{level}");
    }
    assert_eq!(policy.counters.len(), 85);
    assert_eq!(policy.model.layout.first_sale_counter(), policy.counter("paid_orders"));
    let waiver = policy.waiver_counters.expect("a waiver");
    assert_eq!(Some(waiver.shipments_due), policy.counter("shipments_due"));
}

#[test]
fn a_signal_names_the_counters_it_reads() {
    let policy = embedded_policy();
    let read = |id: &str| {
        let index = policy.model.signals.iter().position(|signal| signal.id == id).expect("a signal");
        let name = |id| policy.counters.iter().find(|c| c.id == id).expect("declared").name.clone();
        policy.signal_counters(index).into_iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(read("timely_shipping_90d"), ["shipments_due", "shipped_on_time"]);
    assert_eq!(read("repurchase_30d"), ["buyers_30d", "repeat_buyers_30d"]);
    assert_eq!(read("gmv_growth_mom"), ["gmv_fen"]);
    assert_eq!(read("price_index"), ["price_index"]);
    assert!(read("experience_price_ratio").is_empty() && read("violation_points").is_empty());
    assert!(policy.signal_counters(9_999).is_empty());
}

#[test]
fn rights_are_dated() {
    let policy = embedded_policy();
    let right = |id: &str| policy.model.rights.iter().find(|right| right.id == id).expect("a right");
    let sample = Sample::default();
    let refund = right("refund_without_return");
    assert!(refund.applies(&sample.merchant, day("2024-12-31")));
    assert!(!refund.applies(&sample.merchant, day("2025-01-01")), "ended with 2024");
    let freight = right("return_freight_compensation");
    assert_eq!(freight.parameter(day("2022-01-01")), Some(30));
    assert_eq!(freight.parameter(day("2022-04-01")), Some(90));
    assert_eq!(right("fake_one_compensates_ten").parameter(day("2023-01-01")), Some(10));
    let phones = right("used_phone_warranty_180");
    assert!(!phones.applies(&sample.merchant, day("2023-01-01")));
    let mut used = sample.merchant.clone();
    used.categories = vec!["used_phones".into()].into();
    assert!(phones.applies(&used, day("2023-01-01")));
    used.categories = vec!["fresh_food".into()].into();
    assert!(!right("seven_day_no_reason").applies(&used, day("2023-01-01")));
}

#[test]
fn violations_do_what_seed_004_says() {
    let policy = embedded_policy();
    let kind = |id: &str| policy.model.violations.kind(id).expect("a type");
    let at = |id: &str, target: TargetKind| kind(id).factors[target.index()];
    let none = |id: &str, targets: &[TargetKind]| {
        TargetKind::ALL.into_iter().all(|target| (at(id, target) == 0.0) == targets.contains(&target))
    };
    assert!(none("ban", &TargetKind::ALL) && kind("ban").closes_gate);
    assert!(none("delist_all", &[TargetKind::Product]));
    assert!(none("suspend_cart", &[TargetKind::LiveRoom, TargetKind::ShortVideo]));
    assert!(none("mute", &[]) && TargetKind::ALL.into_iter().all(|target| at("mute", target) >= 1.0));
    assert!(kind("reduce_short_video").is_item_scoped && at("reduce_short_video", TargetKind::ShortVideo) < 1.0);
    let overtime = kind("overtime_unshipped");
    assert!(overtime.is_waivable && overtime.is_exempt_by_force_majeure && overtime.default_days == Some(7));
    let waiver = policy.model.violations.waiver.as_ref().expect("a waiver");
    assert_eq!(
        (waiver.paid_orders_above, waiver.promised_share_above_bp, waiver.timely_share_at_least_bp),
        (3_000, 7_000, 9_700)
    );
}

#[test]
fn programmes_are_sorted_and_keep_their_bits() {
    let mut dictionary = Dictionary {
        counters: vec!["old".into()],
        programme_bits: vec!["gone".into(), String::new(), "trust_purchase".into()],
        ..Dictionary::default()
    };
    let policy = compile(&embedded(), 1, &mut dictionary).expect("compiles");
    assert!(policy.programmes.is_sorted_by(|a, b| a.id < b.id));
    assert_eq!(policy.programmes.len(), 24);
    let bits: Vec<&str> = dictionary.programme_bits.iter().map(String::as_str).collect();
    assert_eq!(
        bits[..5],
        ["gone", "big_brand", "trust_purchase", "category_day", "double_11"],
        "its own, else the next"
    );
    let stand = |p: &crate::traffic::Programme| bits[usize::from(p.bit)] == p.id;
    assert!(policy.programmes.iter().all(stand), "{bits:?}");
    assert_eq!(policy.counter("paid_orders").map(|id| id.0), Some(1), "ids go on after what was declared before");
    let find = |id: &str| policy.programmes.iter().find(|programme| programme.id == id).expect(id);
    let tilt = find("trust_purchase");
    assert_eq!(tilt.kind, ProgrammeKind::Tilt);
    assert_eq!(Scene::ALL.map(|scene| tilt.works_in(scene)), [true, false, false, true, true, true]);
    let rules = |scene| policy.weight_rules.in_scene(scene, u64::MAX, false);
    for (id, live, mall) in [("trust_purchase", true, true), ("mall_launch", false, true), ("new_star", true, false)] {
        let works = |scene| rules(scene).in_scene & find(id).mask() != 0;
        assert_eq!((works(Scene::Live), works(Scene::Mall)), (live, mall), "{id}");
    }
    assert_eq!((rules(Scene::Live).hard, rules(Scene::Live).tilts), (0, tilt.mask()));
    assert_eq!(rules(Scene::Mall).modifiers, find("mall_launch").mask());
}

#[test]
fn the_hash_knows_paths_and_contents_only() {
    let mut text = embedded();
    let hash = text_hash(&text);
    assert_eq!(hash.len(), 32);
    text.files.reverse();
    "elsewhere".clone_into(&mut text.source);
    assert_eq!(text_hash(&text), hash);
    text.files[0].1.push('\n');
    assert_ne!(text_hash(&text), hash);
}

#[test]
fn equal_layouts_have_equal_fingerprints() {
    let mut dictionary = Dictionary::default();
    let policy = compile(&embedded(), 1, &mut dictionary).expect("compiles");
    let mut text = embedded();
    let score = text.files.iter_mut().find(|(path, _)| path == "score.toml").expect("score.toml");
    score.1 = score.1.replace("weight_ceiling = 10.0", "weight_ceiling = 9.0");
    let other = compile(&text, 2, &mut dictionary).expect("compiles");
    assert_eq!(other.layout_fingerprint, policy.layout_fingerprint);
    assert_ne!(other.hash, policy.hash);
    let score = text.files.iter_mut().find(|(path, _)| path == "score.toml").expect("score.toml");
    score.1 = score.1.replacen("window = \"90d\"", "window = \"91d\"", 1);
    let third = compile(&text, 3, &mut dictionary).expect("compiles");
    assert_ne!(third.layout_fingerprint, policy.layout_fingerprint);
    assert_ne!(Policy::empty().layout_fingerprint, policy.layout_fingerprint);
}
