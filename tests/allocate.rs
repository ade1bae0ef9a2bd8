//! Slates and priced scores: what is shown, why, and what it is charged to; and that score, slate and explanation are
//! one arithmetic under whatever prices there are.
#![allow(
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "a wrong index fails the test; figures agree to the last bit"
)]

mod common;
#[path = "support/market.rs"]
mod market;

use std::time::Duration;

use common::{Server, refusal};
use market::{
    BANNED, CAPPED, HARD, LARGE, Market, NOW, PLAIN, PROMISED, SECOND, SMALL, SUPPORTED, UNKNOWN, exposures, reasons,
    room, score_query, shown,
};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use tonic::Code;
use trustflow::domain::{Body, MerchantId, ReservationId, Scene, TargetKind};
use trustflow::engine::{ControlSettings, ExplainQuery};
use trustflow::proto::{self, AllocateRequest};
use trustflow::traffic::{MemberPrice, SlotReason};

#[tokio::test]
async fn the_best_are_shown_and_short_slates_stay_short() {
    let market = Market::open().await;
    let slate = market.slate(&[(PLAIN, 0.2), (SECOND, 0.7), (UNKNOWN, 0.5), (BANNED, 9.0)], 3, true);
    assert_eq!(shown(&slate), [SECOND, UNKNOWN, PLAIN], "what is excluded fills nothing");
    assert_eq!(reasons(&slate), [SlotReason::Organic; 3]);
    assert!(slate.slots.iter().all(|slot| slot.programmes == 0 && slot.reservation.is_none()));
    assert_eq!((slate.slots[1].adjusted_score, slate.unknown), (0.5, 1), "an unknown id is neutral");
    let ids: Vec<usize> = slate.slots.iter().map(|slot| slot.candidate).collect();
    assert_eq!(ids, [1, 2, 0]);
    // Nothing but the excluded: an empty slate.
    assert!(market.slate(&[(BANNED, 9.0)], 1, true).slots.is_empty());
    // Worth nothing: shown only to fill.
    assert_eq!(shown(&market.slate(&[(PLAIN, 0.0), (SECOND, 0.5)], 2, false)), [SECOND]);
    let filled = market.slate(&[(PLAIN, 0.0), (SECOND, 0.5)], 2, true);
    assert_eq!((shown(&filled), reasons(&filled)), (vec![SECOND, PLAIN], vec![SlotReason::Organic, SlotReason::Fill]));
}

#[tokio::test]
async fn a_target_named_twice_takes_one_slot() {
    let market = Market::open().await;
    let slate = market.slate(&[(PLAIN, 0.5), (SECOND, 0.4), (PLAIN, 0.9)], 3, true);
    assert_eq!(shown(&slate), [PLAIN, SECOND]);
    assert_eq!(slate.slots[0].candidate, 2, "by the better of its scores");
}

#[tokio::test]
async fn exclusion_beats_a_guarantee_and_a_guarantee_beats_the_score() {
    let market = Market::open().await;
    market.must_serve(PROMISED);
    market.must_serve(BANNED);
    let candidates = [(PLAIN, 0.9), (PROMISED, 0.001), (BANNED, 0.8)];
    let slate = market.leased_slate(&candidates, 1, &[PROMISED]).await;
    assert_eq!(reasons(&slate), [SlotReason::Guarantee]);
    // Punished, and so nothing is done for it any more.
    market.ban(PROMISED).await;
    assert_eq!(shown(&market.slate(&candidates, 1, true)), [PLAIN]);
}

#[tokio::test]
async fn budgets_caps_and_the_kill_switch() {
    let market = Market::open().await;
    // A hard budget of 2: then not shown, not even to fill.
    let hard = [(HARD, 0.9), (PLAIN, 0.5)];
    let slate = market.leased_slate(&hard, 1, &[HARD]).await;
    let hard_mask = 1_u64 << market.bit("hard");
    assert_eq!((slate.slots[0].programmes, slate.slots[0].charged_programme.as_str()), (hard_mask, ""));
    assert_eq!(shown(&market.slate(&hard, 1, false)), [HARD], "the second");
    let slate = market.slate(&hard, 2, true);
    assert_eq!(shown(&slate), [PLAIN], "spent");
    // A support budget of 2: then organic.
    let support = [(SUPPORTED, 0.4), (PLAIN, 0.5)];
    let slate = market.leased_slate(&support, 1, &[SUPPORTED]).await;
    assert_eq!((reasons(&slate), slate.slots[0].charged_programme.as_str()), (vec![SlotReason::Support], "support"));
    let reservation = slate.slots[0].reservation.expect("charged");
    assert_eq!(reservation.bucket(), ReservationId::bucket_of(NOW));
    assert!(reservation.session() > 0);
    while market.slate(&support, 1, false).slots[0].charged_programme == "support" {}
    let slate = market.slate(&support, 2, false);
    assert_eq!((shown(&slate), reasons(&slate)), (vec![PLAIN, SUPPORTED], vec![SlotReason::Organic; 2]));
    // A cap of 1.
    let capped = [(CAPPED, 0.4), (PLAIN, 0.5)];
    market.leased_slate(&capped, 1, &[CAPPED]).await;
    assert_eq!(shown(&market.slate(&capped, 1, false)), [PLAIN]);
    // Nothing is charged and nothing is limited under the kill switch.
    market.write(Body::SetKillSwitch { is_on: true, author: String::new(), reason: "test".to_owned() }).await;
    market.must_serve(PROMISED);
    let slate = market.slate(&[(HARD, 0.9), (PROMISED, 0.1), (SUPPORTED, 0.4), (BANNED, 1.0)], 4, true);
    assert_eq!(shown(&slate), [HARD, SUPPORTED, PROMISED], "by base score");
    assert_eq!(reasons(&slate), [SlotReason::Organic; 3]);
    assert!(slate.slots.iter().all(|slot| slot.charged_programme.is_empty() && slot.reservation.is_none()));
    assert_eq!(slate.slots[0].adjusted_score, 0.9);
}

#[tokio::test]
async fn spent_budgets_show_in_scores() {
    let market = Market::open().await;
    let score = |ids: &[u64]| {
        let (target_ids, base_scores) = (ids.iter().map(|id| room(*id)).collect::<Vec<_>>(), vec![0.5; ids.len()]);
        market.engine.score(&score_query(&target_ids, &base_scores))
    };
    let before = score(&[HARD, SUPPORTED, CAPPED]);
    let spent = 1_u64 << market.bit("hard") | 1 << market.bit("support");
    market.price(|book| book.scenes[Scene::Live.index()].spent = spent);
    market.price_member(CAPPED, MemberPrice { spent: 1 << market.bit("capped"), ..MemberPrice::default() });
    let after = score(&[HARD, SUPPORTED, CAPPED]);
    assert_eq!((after.boost_weights[0], after.adjusted_scores[0]), (0.0, f32::MIN), "a hard budget stops");
    assert_eq!(after.boost_weights[1] * 2.0, before.boost_weights[1], "a support budget only stops lifting");
    assert_eq!(after.boost_weights[2] * 2.0, before.boost_weights[2], "so does a cap of a support programme");
    assert_eq!([after.programmes[1], after.programmes[2]], [0, 0]);
    // What may be on its way stops scores, not slates.
    market.price(|book| book.scenes[Scene::Live.index()].spent = 0);
    market.engine.hot().prices().set_stopped(Scene::Live, spent);
    assert_eq!(score(&[SUPPORTED]).boost_weights[0], after.boost_weights[1]);
    market.leased_slate(&[(SUPPORTED, 0.4)], 1, &[SUPPORTED]).await;
    // The same for the caps of single members.
    market.price_member(CAPPED, MemberPrice::default());
    let capped = market.engine.hot().merchant_slot(MerchantId(CAPPED)).expect("registered");
    market.engine.hot().prices().set_stopped_of(capped, 1 << market.bit("capped"));
    assert_eq!(score(&[CAPPED]).boost_weights[0], after.boost_weights[2]);
    let slate = market.leased_slate(&[(CAPPED, 0.4), (PLAIN, 0.5)], 1, &[CAPPED]).await;
    assert_eq!(slate.slots[0].charged_programme, "capped");
}

#[tokio::test]
async fn what_is_kept_for_the_long_tail_is_left_to_it_in_all_modes() {
    let market = Market::open().await;
    let tailed = 1_u64 << market.bit("tailed");
    let report = |count: u64| Body::ReportExposures { rows: vec![exposures(LARGE, count, tailed)] };
    // The first make it large, the others spend the half that is not kept.
    market.write(report(4)).await;
    market.write(report(5)).await;
    let settings = ControlSettings { turn_ms: 5, resolve_ms: 50, report_lag_ms: 0 };
    market.engine.start_control(settings).expect("threads");
    let ids = [room(LARGE), room(SMALL)];
    let mut programmes = Vec::new();
    for _ in 0..1_000 {
        programmes = market.engine.score(&score_query(&ids, &[])).programmes;
        if programmes == [0, tailed] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(programmes, [0, tailed]);
    let slate = market.leased_slate(&[(SMALL, 0.4), (PLAIN, 0.5)], 1, &[SMALL]).await;
    assert_eq!(slate.slots[0].charged_programme, "tailed");
    assert_eq!(shown(&market.slate(&[(LARGE, 0.4), (PLAIN, 0.5)], 1, false)), [PLAIN], "not lifted");
    market.engine.shut_down();
}

fn price() -> impl Strategy<Value = f32> {
    prop_oneof![Just(0.0_f32), 0.0_f32..2.0]
}

#[derive(Clone, Debug)]
struct Prices {
    lambda: Vec<f32>,
    discount: Vec<f32>,
    spent: u64,
    mean: f32,
    members: Vec<(f32, f32, bool)>,
    base: Vec<f32>,
}

fn prices() -> impl Strategy<Value = Prices> {
    let members = prop::collection::vec((-1.0_f32..1.0, 0.1_f32..5.0, any::<bool>()), 7);
    let base = prop::collection::vec(prop_oneof![Just(0.0_f32), 0.0_f32..3.0], 7);
    (
        prop::collection::vec(price(), 64),
        prop::collection::vec(0.01_f32..=1.0, 64),
        0..16_u64,
        0.01_f32..10.0,
        members,
        base,
    )
        .prop_map(|(lambda, discount, spent, mean, members, base)| Prices {
            lambda,
            discount,
            spent,
            mean,
            members,
            base,
        })
}

#[test]
fn score_slate_and_explanation_agree_to_the_last_bit_under_any_prices() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let market = runtime.block_on(Market::open());
    let merchants = [PLAIN, SECOND, HARD, SUPPORTED, CAPPED, PROMISED, BANNED];
    let ids: Vec<u64> = merchants.iter().map(|id| room(*id)).collect();
    proptest!(|(prices in prices())| {
        market.price(|book| {
            let scene = &mut book.scenes[Scene::Live.index()];
            scene.lambda.copy_from_slice(&prices.lambda);
            scene.discount.copy_from_slice(&prices.discount);
            scene.spent = prices.spent;
            scene.mean_base = [prices.mean; TargetKind::COUNT];
        });
        for (merchant, (additive, factor, must_serve)) in merchants.iter().zip(&prices.members) {
            let (additive, factor, must_serve) = (*additive, *factor, *must_serve);
            market.price_member(*merchant, MemberPrice { additive, factor, must_serve, spent: 0 });
        }
        let weights = market.engine.score(&score_query(&ids, &[]));
        let adjusted = market.engine.score(&score_query(&ids, &prices.base));
        let with_base = prices.base.iter().map(|base| Some(*base));
        for (at, (id, base)) in ids.iter().zip(with_base).enumerate() {
            let (scene, kind, merchant_id) = (Scene::Live, TargetKind::LiveRoom, 0);
            let query = |base_score| ExplainQuery { scene, kind, target_id: *id, merchant_id, base_score };
            for (base_score, columns) in [(None, &weights), (base, &adjusted)] {
                let explained = market.engine.explain(&query(base_score)).expect("explained");
                let response = trustflow::wire::explain_response(&query(base_score), &explained);
                let row = response.row.expect("a row");
                prop_assert_eq!(row.boost_weight.to_bits(), columns.boost_weights[at].to_bits());
                prop_assert_eq!(row.programmes, columns.programmes[at]);
                prop_assert_eq!(row.labels, columns.labels[at]);
                let score = columns.adjusted_scores.get(at).map(|score| score.to_bits());
                prop_assert_eq!(row.adjusted_score.map(f32::to_bits), score);
                if let Some(terms) = &response.adjusted && !terms.stopped {
                    let sum = terms.value - terms.hard_prices + terms.member_price + terms.support_gain;
                    prop_assert!((sum * response.mean_base_score - terms.adjusted).abs() < 1e-9, "{:?}", terms);
                }
                let weight = response.weight.expect("a weight");
                if row.boost_weight > 0.0 {
                    let product = weight.tilt * weight.penalty * weight.item_factor * weight.member_factor
                        * weight.hard_factor * (1.0 + weight.uplift) * weight.support_factor;
                    prop_assert!((product.min(weight.ceiling) - weight.weight).abs() < 1e-9, "{:?}", weight);
                }
            }
        }
        // A slate shows what Score ranks first, by the same figures, as long as budgets last.
        let candidates: Vec<(u64, f32)> = [PLAIN, SECOND].into_iter().zip(prices.base.iter().copied()).collect();
        for slot in market.slate(&candidates, 2, true).slots {
            prop_assert_eq!(slot.adjusted_score.to_bits(), adjusted.adjusted_scores[slot.candidate].to_bits());
        }
    });
}

fn request() -> AllocateRequest {
    AllocateRequest {
        scene: proto::Scene::Live.into(),
        target_kind: proto::TargetKind::LiveRoom.into(),
        target_ids: vec![1, 2],
        base_scores: vec![0.5, 0.25],
        slots: 2,
        ..AllocateRequest::default()
    }
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let server = Server::start().await;
    let cases: [(&str, AllocateRequest); 10] = [
        ("scene", AllocateRequest { scene: 0, ..request() }),
        ("target_kind", AllocateRequest { target_kind: 77, ..request() }),
        ("target_ids", AllocateRequest { target_ids: Vec::new(), ..request() }),
        ("target_ids", AllocateRequest { target_ids: vec![1; 1_001], ..request() }),
        ("merchant_ids", AllocateRequest { merchant_ids: vec![1], ..request() }),
        ("base_scores", AllocateRequest { base_scores: Vec::new(), ..request() }),
        ("base_scores[1]", AllocateRequest { base_scores: vec![0.5, f32::NAN], ..request() }),
        ("slots", AllocateRequest { slots: 0, ..request() }),
        ("slots", AllocateRequest { slots: 3, ..request() }),
        ("request_id", AllocateRequest { request_id: "x".repeat(129), ..request() }),
    ];
    for (field, request) in cases {
        let refused = refusal(server.client.scoring.clone().allocate(request).await);
        refused.is(Code::InvalidArgument, "BAD_REQUEST", field);
    }
    let slate = server.client.scoring.clone().allocate(request()).await.expect("a slate").into_inner();
    let ids: Vec<u64> = slate.slots.iter().map(|slot| slot.target_id).collect();
    assert_eq!((ids, slate.policy_version), (vec![1, 2], 1), "unknown ids are no error");
    assert_eq!(slate.slots[0].reason(), proto::SlotReason::Organic);
    let request = proto::ListUnderservedRequest { page_size: 1_001, ..proto::ListUnderservedRequest::default() };
    let refused = refusal(server.client.scoring.clone().list_underserved(request).await);
    refused.is(Code::InvalidArgument, "BAD_REQUEST", "scene");
    refused.is(Code::InvalidArgument, "BAD_REQUEST", "page_size");
}
