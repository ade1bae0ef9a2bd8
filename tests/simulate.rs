//! A simulation says what publishing then does, and changes nothing itself.

mod common;

use common::calls::{facts, merchant};
use common::{Client, Server, plus, refusal};
use tonic::Code;
use trustflow::proto::{
    GetStateHashRequest, GetStatusRequest, Merchant, MerchantKind, PolicyFile, PublishPolicyRequest, Scene,
    ScoreRequest, ScoreResponse, SimulatePolicyRequest, SimulatePolicyResponse, TargetKind,
};

/// Merchants of the population.
const COUNT: u64 = 600;
/// The day that is closed at the start.
const CLOSED: &str = "2023-02-28";

fn shipped() -> Vec<PolicyFile> {
    let files = trustflow::policy::embedded().files;
    files.into_iter().map(|(path, content)| PolicyFile { path, content }).collect()
}

/// The shipped policy with another weighting of layers, another bound, one programme less, and one more that needs a
/// window which nothing had before.
fn candidate() -> Vec<PolicyFile> {
    let mut files = shipped();
    let mut edit = |path: &str, from: &str, to: &str| {
        let file = files.iter_mut().find(|file| file.path == path).expect(path);
        assert!(file.content.contains(from), "{path} has no {from}");
        file.content = file.content.replace(from, to);
    };
    edit("programmes/kuai_brand.toml", "trust.score >= 55", "trust.score >= 62");
    edit("score.toml", "cache_ttl_ms = 2000", "cache_ttl_ms = 1000");
    edit("score.toml", "[0, 0.60], [45, 0.85], [65, 1.00]", "[0, 0.50], [45, 0.70], [65, 1.00]");
    files.retain(|file| file.path != "programmes/service_provider.toml");
    files.push(PolicyFile {
        path: "programmes/busy.toml".to_owned(),
        content: "name = \"Busy\"\nname_zh = \"忙\"\nseed = \"002\"\narea = \"traffic\"\nkind = \"support\"\n\
                  scenes = [\"live\"]\neligibility = 'facts.paid_orders_33d >= 40'\nuplift = { constant = 0.7 }\n\
                  [budget]\nexposures = 1000000\nperiod = \"day\"\n"
            .to_owned(),
    });
    files
}

/// Every kind of merchant, young and old, with and without facts.
async fn populate(client: &Client) {
    let made = |id: u64| Merchant {
        kind: match id % 3 {
            0 => MerchantKind::Ordinary.into(),
            1 => MerchantKind::KuaiBrand.into(),
            _ => MerchantKind::Brand.into(),
        },
        opened_at: Some(common::instant(&format!("{}T00:00:00+08:00", plus(CLOSED, -days(id % 400))))),
        fan_count: id * 37 % 9_000_000,
        ..merchant(id)
    };
    client.upsert((1..=COUNT).map(made).collect()).await;
    let mut rows = Vec::new();
    for id in (1..=COUNT).filter(|id| id % 5 != 0) {
        for back in [0, 10, 25, 32, 40] {
            let orders = id % 23;
            let counters = [
                ("paid_orders", orders),
                ("shipments_due", orders),
                ("shipped_on_time", orders.saturating_sub(id % 7)),
                ("reviews", orders),
                ("negative_reviews", id % 4),
                ("exposures_live", orders * 1_000),
            ];
            rows.push(facts(id, &plus(CLOSED, -back), &counters));
        }
    }
    for rows in rows.chunks(1_000) {
        client.record(rows.to_vec()).await;
    }
}

/// Rooms nobody registered, each with its owner: what a simulation speaks about.
async fn scores(client: &Client, scene: Scene) -> ScoreResponse {
    let request = ScoreRequest {
        scene: scene.into(),
        target_kind: TargetKind::LiveRoom.into(),
        target_ids: (1..=COUNT).map(|id| 1_000_000 + id).collect(),
        merchant_ids: (1..=COUNT).collect(),
        ..ScoreRequest::default()
    };
    client.score_with(request).await
}

async fn members(client: &Client) -> Vec<(String, u64)> {
    let status = client.admin.clone().get_status(GetStatusRequest {}).await.expect("a status").into_inner();
    status.programmes.into_iter().map(|programme| (programme.id, programme.members)).collect()
}

async fn simulate(client: &Client, request: SimulatePolicyRequest) -> SimulatePolicyResponse {
    client.policies.clone().simulate_policy(request).await.expect("simulated").into_inner()
}

fn days(count: u64) -> i32 {
    i32::try_from(count).expect("few days")
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value)).sum::<f64>() / f64::from(u32::try_from(values.len()).expect("few"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_simulated_is_what_publishing_does() {
    let server = Server::start().await;
    let client = &server.client;
    populate(client).await;
    let hash = |client: &Client| {
        let mut admin = client.admin.clone();
        async move { admin.get_state_hash(GetStateHashRequest {}).await.expect("a hash").into_inner().state_hash }
    };
    let (hash_before, members_before) = (hash(client).await, members(client).await);
    let before = scores(client, Scene::Live).await;

    let request = SimulatePolicyRequest { files: candidate(), movers: 50, ..SimulatePolicyRequest::default() };
    let simulated = simulate(client, request).await;
    assert_eq!(hash(client).await, hash_before, "nothing changed");
    assert_eq!(scores(client, Scene::Live).await, before, "nothing changed");
    assert_eq!(simulated.merchants, COUNT);
    assert!(simulated.backfilled, "the candidate sums 33 days, which nothing did before");

    let publish = PublishPolicyRequest { files: candidate(), ..PublishPolicyRequest::default() };
    client.policies.clone().publish_policy(publish).await.expect("published");
    let (after, members_after) = (scores(client, Scene::Live).await, members(client).await);

    let distribution = simulated.scores.expect("scores");
    let close = |a: f64, b: f64, what: &str| assert!((a - b).abs() < 1e-4, "{what}: {a} and {b}");
    close(distribution.before.expect("before").mean, mean(&before.trust_scores), "mean score before");
    close(distribution.after.expect("after").mean, mean(&after.trust_scores), "mean score after");
    let live = simulated.weights.iter().find(|entry| entry.scene() == Scene::Live).expect("live");
    let weights = live.weights.clone().expect("weights");
    close(weights.before.expect("before").mean, mean(&before.boost_weights), "mean weight before");
    close(weights.after.expect("after").mean, mean(&after.boost_weights), "mean weight after");

    for programme in &simulated.programmes {
        let count = |list: &[(String, u64)]| list.iter().find(|(id, _)| *id == programme.id).map_or(0, |(_, n)| *n);
        assert_eq!(programme.before, count(&members_before), "{} before", programme.id);
        assert_eq!(programme.after, count(&members_after), "{} after", programme.id);
        assert_eq!(programme.before + programme.entered - programme.left, programme.after, "{}", programme.id);
    }
    let programme = |id: &str| simulated.programmes.iter().find(|p| p.id == id).expect(id);
    assert!(programme("busy").entered > 0 && programme("busy").before == 0, "{:?}", programme("busy"));
    assert!(programme("busy").exposures_per_day_after > 0.0, "its members were shown lately");
    assert!(programme("kuai_brand").left > 0, "{:?}", programme("kuai_brand"));

    assert_eq!(simulated.movers.len(), 50);
    let distance = |mover: &trustflow::proto::Mover| (mover.weight_after - mover.weight_before).abs();
    assert!(simulated.movers.windows(2).all(|pair| distance(&pair[0]) >= distance(&pair[1])), "farthest first");
    for mover in &simulated.movers {
        let at = usize::try_from(mover.merchant_id - 1).expect("small");
        let (score, weight) = (after.trust_scores.get(at), after.boost_weights.get(at));
        assert_eq!(Some(mover.score_after.to_bits()), score.map(|score| score.to_bits()));
        close(mover.weight_after, weight.copied().map_or(f64::NAN, f64::from), "a mover's weight");
        assert!(!mover.reasons.is_empty(), "{mover:?}");
    }
    let weights = before.boost_weights.iter().zip(&after.boost_weights);
    let most = weights.map(|(before, after)| f64::from((after - before).abs())).fold(0.0, f64::max);
    close(distance(&simulated.movers[0]), most, "the farthest mover");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_can_be_simulated_and_what_is_wrong_is_said() {
    let server = Server::start().await;
    let client = &server.client;
    populate(client).await;
    let same = simulate(client, SimulatePolicyRequest::default()).await;
    assert_eq!((same.movers.len(), same.merchants), (0, COUNT), "the serving version moves nobody");
    assert!(same.programmes.iter().all(|programme| programme.entered == 0 && programme.left == 0));
    assert!(same.tiers.iter().all(|flow| flow.from == flow.to));

    let refused = |request| async { refusal(client.policies.clone().simulate_policy(request).await) };
    let unknown = refused(SimulatePolicyRequest { version: 99, ..SimulatePolicyRequest::default() }).await;
    assert_eq!((unknown.code, unknown.reason.as_str()), (Code::NotFound, "NOT_REGISTERED"));
    let mut files = shipped();
    files[0].content.push_str("nonsense = 1\n");
    let bad = refused(SimulatePolicyRequest { files, ..SimulatePolicyRequest::default() }).await;
    assert_eq!((bad.code, bad.reason.as_str()), (Code::InvalidArgument, "BAD_POLICY"));
    let many = refused(SimulatePolicyRequest { movers: 1_001, ..SimulatePolicyRequest::default() }).await;
    assert_eq!(many.fields, ["movers"]);
}
