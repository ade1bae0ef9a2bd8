//! Scores and weights as recommenders see them, and explanations that agree with them to the last bit.
#![allow(clippy::indexing_slicing, reason = "a wrong index fails the test, as it should")]

mod common;

use common::calls::{KINDS, SCENES, facts, items_of, merchant, score_request, signal, target_of, violation};
use common::{Client, Server, instant};
use trustflow::proto::{
    ExplainScoreRequest, ExplainScoreResponse, GetRulesRequest, HeldRight, Label, Merchant, MerchantKind, Scene,
    ScoreRequest, ScoreResponse, SignalState, TargetKind,
};

/// One row of a response, as bits: adjusted score and extra columns where they were asked for.
fn row(scores: &ScoreResponse, at: usize) -> Vec<u64> {
    let float = |column: &[f32]| column.get(at).map(|value| u64::from(value.to_bits()));
    let floats = [
        &scores.trust_scores,
        &scores.boost_weights,
        &scores.adjusted_scores,
        &scores.governance_scores,
        &scores.consumer_rights_scores,
        &scores.experience_scores,
        &scores.ad_price_factors,
    ];
    let mut row: Vec<u64> = floats.iter().filter_map(|column| float(column)).collect();
    row.push(scores.programmes[at]);
    row.push(u64::from(scores.labels[at]));
    row
}

/// The row of an explanation, in the same form.
fn explained_row(explained: &ExplainScoreResponse) -> Vec<u64> {
    let row = explained.row.as_ref().expect("a row");
    let mut bits: Vec<u64> = [Some(row.trust_score), Some(row.boost_weight), row.adjusted_score]
        .into_iter()
        .flatten()
        .chain([row.governance_score, row.consumer_rights_score, row.experience_score, row.ad_price_factor])
        .map(|value| u64::from(value.to_bits()))
        .collect();
    bits.push(row.programmes);
    bits.push(u64::from(row.labels));
    bits
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
}

const UNKNOWN: u64 = 987_654_321;

/// Three merchants that differ: good, plain, and bad with a penalty.
async fn market() -> Server {
    let server = Server::start().await;
    let client = &server.client;
    for id in 1..=3 {
        client.register(merchant(id)).await;
    }
    let sales = [("paid_orders", 100), ("shipments_due", 100), ("reviews", 50)];
    client
        .record(vec![
            facts(1, "2023-02-27", &[&sales[..], &[("shipped_on_time", 100), ("negative_reviews", 0)]].concat()),
            facts(3, "2023-02-27", &[&sales[..], &[("shipped_on_time", 20), ("negative_reviews", 30)]].concat()),
        ])
        .await;
    client.punish(violation(1, 3, "false_advertising")).await;
    server
}

#[tokio::test]
async fn an_unknown_id_is_neutral_and_never_an_error() {
    let server = market().await;
    for kind in KINDS {
        for scene in SCENES {
            let base_scores = vec![0.25];
            let request = ScoreRequest { base_scores, ..score_request(scene, kind, &[UNKNOWN]) };
            let scores = server.client.score_with(request).await;
            assert_eq!(scores.labels, [1], "{kind:?} {scene:?}: UNKNOWN and nothing else");
            assert_eq!(scores.trust_scores, [0.0]);
            assert_eq!(scores.boost_weights, [1.0]);
            assert_eq!(scores.adjusted_scores, [0.25]);
            assert_eq!(scores.programmes, [0]);
            assert_eq!(scores.ad_price_factors, [1.0]);
        }
    }
    let zero = server.client.score(Scene::Live, TargetKind::Product, &[0, u64::MAX]).await;
    assert_eq!(zero.labels, [1, 1], "even ids that no profile can have");
}

#[tokio::test]
async fn an_unregistered_target_counts_as_the_merchant_sent_with_it() {
    let server = market().await;
    for kind in [TargetKind::LiveRoom, TargetKind::Product, TargetKind::ShortVideo, TargetKind::Merchant] {
        let target_ids = vec![UNKNOWN, UNKNOWN, UNKNOWN, target_of(kind, 2)];
        // The owner that is registered with an item stands above the one that is sent.
        let merchant_ids = vec![1, UNKNOWN, 3, 1];
        let request = ScoreRequest { target_ids, merchant_ids, ..score_request(Scene::Mall, kind, &[]) };
        let scores = server.client.score_with(request).await;
        let own = server.client.score(Scene::Mall, kind, &[1, 2, 3].map(|id| target_of(kind, id))).await;
        assert_eq!(row(&scores, 0), row(&own, 0), "{kind:?}");
        assert_eq!(scores.labels[1], 1, "{kind:?}: neither is registered");
        assert_eq!(row(&scores, 2), row(&own, 2), "{kind:?}: penalties of the merchant hold");
        assert_eq!(row(&scores, 3), row(&own, 1), "{kind:?}");
    }
}

#[tokio::test]
async fn a_registered_merchant_without_data_scores_its_priors() {
    let server = Server::start().await;
    server.client.register(merchant(7)).await;
    let scores = server.client.score(Scene::Live, TargetKind::Merchant, &[7]).await;
    assert_eq!(scores.labels, [0]);
    assert!((60.0..70.0).contains(&scores.trust_scores[0]), "an average merchant: {scores:?}");
    let explained = server.client.explain(7).await;
    let trust = explained.trust.expect("registered");
    for signal in trust.layers.iter().flat_map(|layer| &layer.signals) {
        let priors = signal.kind != "derived" && signal.kind != "composite";
        if priors && signal.state() == SignalState::NoData {
            assert_eq!(signal.smoothed.to_bits(), signal.prior_mean.to_bits(), "{}", signal.id);
        }
        assert_ne!(signal.state(), SignalState::Disabled, "{}: nothing was withheld from anyone yet", signal.id);
    }
    let no_data = trust.layers.iter().flat_map(|layer| &layer.signals).filter(|s| s.state() == SignalState::NoData);
    assert!(no_data.count() > 30);
}

#[tokio::test]
async fn columns_stand_in_request_order_for_every_kind_and_scene() {
    let server = market().await;
    for kind in KINDS {
        for scene in SCENES {
            let ids = [target_of(kind, 3), UNKNOWN, target_of(kind, 1), target_of(kind, 2), target_of(kind, 1)];
            let base_scores = vec![0.1, 0.2, 0.3, 0.4, 0.5];
            let request = ScoreRequest { base_scores: base_scores.clone(), ..score_request(scene, kind, &ids) };
            let all = server.client.score_with(request).await;
            for (at, id) in ids.iter().enumerate() {
                let request = ScoreRequest { base_scores: vec![base_scores[at]], ..score_request(scene, kind, &[*id]) };
                let alone = server.client.score_with(request).await;
                assert_eq!(row(&all, at), row(&alone, 0), "{kind:?} {scene:?} at {at}");
            }
            let trust = &all.trust_scores;
            assert!(trust[2] > trust[3] && trust[3] > trust[0], "{kind:?} {scene:?}: good, plain, bad: {trust:?}");
            let weights = &all.boost_weights;
            assert!(weights[2] > weights[3] && weights[3] > weights[0], "{kind:?} {scene:?}: {weights:?}");
        }
    }
}

#[tokio::test]
async fn extra_columns_come_only_when_asked_for() {
    let server = market().await;
    let ids = [1, 2, 3];
    let plain = ScoreRequest { columns: Vec::new(), ..score_request(Scene::Live, TargetKind::Merchant, &ids) };
    let scores = server.client.score_with(plain).await;
    assert_eq!((scores.trust_scores.len(), scores.programmes.len(), scores.labels.len()), (3, 3, 3));
    assert!(scores.adjusted_scores.is_empty() && scores.ad_price_factors.is_empty());
    assert!(scores.governance_scores.is_empty() && scores.experience_scores.is_empty());
    let full = server.client.score(Scene::Live, TargetKind::Merchant, &ids).await;
    let layers = [&full.governance_scores, &full.consumer_rights_scores, &full.experience_scores];
    for layer in layers {
        assert_eq!(layer.len(), 3);
        assert!(layer.iter().all(|score| (0.0..=100.0).contains(score)), "{layer:?}");
    }
    // Layer weights of score.toml.
    for at in 0..3 {
        let [g, c, e] = layers.map(|layer| f64::from(layer[at]));
        assert!((0.25f64.mul_add(g, 0.30f64.mul_add(c, 0.45 * e)) - f64::from(full.trust_scores[at])).abs() < 1e-4);
    }
    assert_eq!(full.ad_price_factors.len(), 3);
    assert_eq!(full.policy_version, 1);
    assert_eq!(full.cache_ttl_ms, 2_000);
    assert_eq!(full.revision, server.client.status().await.revision);
}

#[tokio::test]
async fn adjusted_is_base_times_weight_and_the_lowest_float_when_excluded() {
    let server = market().await;
    server.client.punish(violation(9, 2, "delist_all")).await;
    let ids = [1, 2, 3].map(|id| target_of(TargetKind::Product, id));
    let base_scores = vec![0.3, 0.7, 123.456];
    let request =
        ScoreRequest { base_scores: base_scores.clone(), ..score_request(Scene::Search, TargetKind::Product, &ids) };
    let scores = server.client.score_with(request).await;
    for at in [0, 2] {
        let product = f64::from(base_scores[at]) * f64::from(scores.boost_weights[at]);
        let relative = (product - f64::from(scores.adjusted_scores[at])).abs() / product;
        assert!(relative < 1e-6, "{at}: {product} against {}", scores.adjusted_scores[at]);
    }
    assert_eq!(scores.boost_weights[1].to_bits(), 0.0f32.to_bits());
    assert_eq!(scores.adjusted_scores[1].to_bits(), f32::MIN.to_bits());
    assert_eq!(scores.programmes[1], 0, "what is not shown counts against nothing");
}

#[tokio::test]
async fn an_exposure_is_charged_to_at_most_one_support_programme() {
    let server = Server::start().await;
    let client = &server.client;
    let opened = |at: &str| Some(instant(at));
    let kuai = MerchantKind::KuaiBrand.into();
    let mut new_kuai = merchant(1);
    (new_kuai.kind, new_kuai.opened_at) = (kuai, opened("2023-02-27T09:00:00+08:00"));
    let mut old_kuai = merchant(2);
    old_kuai.kind = kuai;
    let mut newcomer = merchant(3);
    newcomer.opened_at = opened("2023-02-27T09:00:00+08:00");
    let mut brand = merchant(4);
    brand.kind = MerchantKind::Brand.into();
    client.upsert(vec![new_kuai, old_kuai, newcomer, brand, merchant(5)]).await;

    let status = client.status().await;
    let bit = |id: &str| 1_u64 << status.programmes.iter().find(|programme| programme.id == id).expect(id).bit;
    let support: u64 =
        status.programmes.iter().filter(|programme| programme.kind == "support").map(|p| bit(&p.id)).sum();
    for scene in SCENES {
        let scores = client.score(scene, TargetKind::Merchant, &[1, 2, 3, 4, 5]).await;
        let [launch, kuai_brand, big_brand] = ["new_merchant_launch", "kuai_brand", "big_brand"].map(bit);
        let expected = [launch, kuai_brand, launch, big_brand, 0];
        assert_eq!(scores.programmes, expected, "{scene:?}: the larger uplift is charged");
        assert!(scores.programmes.iter().all(|bits| (bits & support).count_ones() <= 1));
        let [kuai, brand, new] = [Label::KuaiBrand, Label::Brand, Label::NewMerchant].map(|l| l as u32);
        assert_eq!(scores.labels, [kuai | new, kuai, new, brand, 0], "{scene:?}: members of both carry both labels");
        let ratio = scores.boost_weights[1] / scores.boost_weights[4];
        assert!((ratio - 1.3).abs() < 0.02, "a Kuai brand is lifted by 30 %: {ratio}");
    }
}

async fn agree(client: &Client, scene: Scene, kind: TargetKind, target_id: u64, base_score: Option<f32>) {
    let base_scores = base_score.into_iter().collect();
    let scored = client.score_with(ScoreRequest { base_scores, ..score_request(scene, kind, &[target_id]) }).await;
    let request = ExplainScoreRequest {
        scene: scene.into(),
        target_kind: kind.into(),
        target_id,
        base_score,
        ..ExplainScoreRequest::default()
    };
    let explained = client.explain_with(request).await;
    assert_eq!(scored.revision, explained.revision);
    assert_eq!(row(&scored, 0), explained_row(&explained), "{kind:?} {target_id} in {scene:?}: bit for bit");
    recomputes(&explained);
}

/// Follows an explanation from raw counts to the weight.
fn recomputes(explained: &ExplainScoreResponse) {
    let row = explained.row.as_ref().expect("a row");
    let weight = explained.weight.as_ref().expect("a weight");
    let Some(trust) = &explained.trust else {
        assert_eq!((row.labels, row.boost_weight.to_bits()), (Label::Unknown as u32, 1.0f32.to_bits()));
        return;
    };
    let mut sum = 0.0;
    for layer in &trust.layers {
        let mut score = 0.0;
        let applies = |state| matches!(state, SignalState::Measured | SignalState::NoData);
        let total: f64 = layer.signals.iter().filter(|s| applies(s.state())).map(|s| s.weight).sum();
        for signal in layer.signals.iter().filter(|signal| applies(signal.state())) {
            let (n, d, m, k) = (signal.numerator, signal.denominator, signal.prior_mean, signal.prior_strength);
            let counted = !["derived", "composite"].contains(&signal.kind.as_str());
            if counted && signal.state() == SignalState::NoData {
                assert!(close(signal.smoothed, m), "{}: the prior stands in", signal.id);
            } else if counted {
                assert!(close(signal.smoothed, (n + m * k) / (d + k)), "{}: (n + m k) / (d + k)", signal.id);
            }
            let value = on_curve(&signal.curve.iter().map(|p| (p.x, p.y)).collect::<Vec<_>>(), signal.smoothed);
            assert!(close(signal.value, value.clamp(0.0, 1.0)), "{}: the curve at smoothed", signal.id);
            assert!(close(signal.effective_weight, signal.weight / total), "{}: weights renormalise", signal.id);
            assert!(close(signal.contribution, signal.effective_weight * signal.value), "{}", signal.id);
            score += signal.contribution;
        }
        assert!(!layer.prior && close(layer.score, score), "{}: the sum of contributions", layer.layer);
        assert!(close(layer.points, 100.0 * trust.gate * layer.weight * layer.score), "{}", layer.layer);
        sum += layer.weight * layer.score;
    }
    assert!(close(trust.score, 100.0 * trust.gate * sum), "trust = 100 · gate · Σ weight · layer");
    assert!((f64::from(row.trust_score) - trust.score).abs() < 1e-5);
    let product = weight.tilt * weight.penalty * weight.item_factor * (1.0 + weight.uplift);
    assert!(close(weight.weight, product.min(weight.ceiling)), "{weight:?}");
    let charged: u64 = explained.programmes.iter().filter(|p| p.charged).map(|p| 1 << p.bit).sum();
    assert_eq!(charged, row.programmes, "the programmes shown as charged are those reported");
}

/// A piecewise-linear curve, constant beyond its ends: written here a second time, on purpose.
fn on_curve(points: &[(f64, f64)], x: f64) -> f64 {
    let (first, last) = (points[0], points[points.len() - 1]);
    if x <= first.0 {
        return first.1;
    }
    for pair in points.windows(2) {
        let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
        if x <= bx {
            return ay + (by - ay) * (x - ax) / (bx - ax);
        }
    }
    last.1
}

#[tokio::test]
async fn the_explanation_is_the_score_bit_for_bit() {
    let server = market().await;
    let client = &server.client;
    client.punish(violation(20, 1, "overtime_unshipped")).await;
    let mut video = violation(21, 2, "reduce_short_video");
    (video.target_kind, video.target_id) = (TargetKind::ShortVideo.into(), items_of(2).2);
    client.punish(video).await;
    client.register(merchant(4)).await;
    client.punish(violation(22, 4, "ban")).await;
    for kind in KINDS {
        for scene in SCENES {
            for id in 1..=4 {
                agree(client, scene, kind, target_of(kind, id), Some(0.123_456_7)).await;
            }
        }
        agree(client, Scene::Store, kind, UNKNOWN, Some(7.5)).await;
        agree(client, Scene::Store, kind, target_of(kind, 3), None).await;
    }
}

/// A small random number generator: the same population every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::try_from(self.below(list.len() as u64)).expect("small")]
    }
}

/// Merchants of every sort: brands and newcomers, trusted, penalised, with some counters and without.
async fn populate(client: &Client, count: u64) {
    let mut dice = Dice(7);
    let rules = client.insight.clone().get_rules(GetRulesRequest {}).await.expect("rules").into_inner();
    for id in 1..=count {
        let opened = ["2019-05-05", "2022-02-02", "2022-12-24", "2023-02-10", "2023-02-26", "2023-03-09"];
        let mark = (dice.below(3) != 0).then(|| "benchmark".to_owned());
        let profile = Merchant {
            kind: i32::try_from(dice.below(4)).expect("small"),
            opened_at: Some(instant(&format!("{}T09:00:00+08:00", dice.pick(&opened)))),
            categories: vec![dice.pick(&["womens_wear", "fresh_food", "used_phones", "local_services"]).to_owned()],
            prior_identity_violation: dice.below(8) == 0,
            tags: mark.into_iter().collect(),
            ..merchant(id)
        };
        client.register(profile).await;
        let mut rows = Vec::new();
        for back in (1..100).step_by(7).take(usize::try_from(dice.below(14)).expect("small")) {
            let counters: Vec<(&str, u64)> = (0..=dice.below(40))
                .map(|_| {
                    let at = dice.below(rules.counters.len() as u64);
                    (rules.counters[usize::try_from(at).expect("small")].name.as_str(), dice.below(500))
                })
                .collect();
            rows.push(facts(id, &common::plus("2023-03-01", -back), &counters));
        }
        if !rows.is_empty() {
            client.record(rows).await;
        }
        let held = |right: &String| HeldRight { right: right.clone(), ..HeldRight::default() };
        client.grant(id, rules.rights.iter().filter(|_| dice.below(2) == 0).map(held).collect()).await;
        if dice.below(3) == 0 {
            let types =
                ["mute", "ban", "delist_all", "suspend_cart", "overtime_unshipped", "counterfeit", "false_advertising"];
            client.punish(violation(id, id, dice.pick(&types))).await;
        }
    }
}

#[tokio::test]
async fn the_explanation_is_the_score_for_a_mixed_population() {
    const COUNT: u64 = 60;
    let server = Server::start().await;
    let client = &server.client;
    populate(client, COUNT).await;
    // Another day, so that windows moved and signals without counters are disabled.
    client.advance("2023-03-05T07:00:00+08:00").await;
    let ids: Vec<u64> = (1..=COUNT).collect();
    let labels = client.score(Scene::Live, TargetKind::Merchant, &ids).await.labels;
    for label in [Label::KuaiBrand, Label::Brand, Label::NewMerchant, Label::Penalised, Label::Benchmark] {
        assert!(labels.iter().any(|bits| bits & label as u32 != 0), "{label:?}");
    }
    for (at, id) in ids.iter().enumerate() {
        let kind = KINDS[at % 4];
        agree(client, SCENES[at % 6], kind, target_of(kind, *id), [None, Some(0.37)][at % 2]).await;
        agree(client, SCENES[(at + 1) % 6], TargetKind::Merchant, *id, Some(1e-30)).await;
    }
}

#[tokio::test]
async fn a_signal_that_does_not_apply_is_left_out_and_not_zero() {
    let server = Server::start().await;
    let client = &server.client;
    let mut recharge = merchant(1);
    recharge.categories = vec!["mobile_recharge".to_owned()];
    client.upsert(vec![recharge, merchant(2)]).await;
    let (virtual_goods, goods) = (client.explain(1).await, client.explain(2).await);
    let shipping = "timely_shipping_30d";
    assert_eq!(signal(&virtual_goods, shipping).state(), SignalState::NotApplicable);
    assert_eq!(signal(&virtual_goods, shipping).effective_weight.to_bits(), 0.0f64.to_bits());
    assert_eq!(signal(&goods, shipping).state(), SignalState::NoData);
    let share = |explained: &ExplainScoreResponse| signal(explained, "refund_rate_30d").effective_weight;
    assert!(share(&virtual_goods) > share(&goods), "the others weigh more");
    recomputes(&virtual_goods);
}
