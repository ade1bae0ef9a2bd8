//! Programmes as operators run them: what they spend and whom they reach, pauses, budgets, packages, forecasts; and what
//! a restart keeps.

mod common;
#[path = "support/operator.rs"]
mod operator;

use std::sync::Arc;

use common::calls::{merchant, violation};
use common::process::run;
use common::{NOW, Server, instant, refusal};
use operator::{Operator, shown, tagged};
use tonic::Code;
use trustflow::clock::SimulatedClock;
use trustflow::domain::{Body, MerchantId, NewGuarantee, Outcome, Timestamp};
use trustflow::engine::{Engine, WriterSettings};
use trustflow::proto::{
    AdjustBudgetRequest, AssignPackageRequest, BudgetPeriod, ExposureRow, ForecastObstacle, ForecastVerdict,
    GetProgrammeRequest, GrantPackageRequest, GuaranteeState, LiftMetric, ListMembersRequest, ListPackagesRequest,
    ListProgrammesRequest, MemberFilter, PauseProgrammeRequest, ProgrammeEventKind, ProgrammeServing, ProgrammeView,
    ReleasePackageRequest, ResumeProgrammeRequest, Scene, TargetBasis,
};
use trustflow::store::AuditRetention;

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-6 * expected.abs().max(1.0)
}

/// A server with the two programmes and merchants 1 to 4, of whom 1 to 3 are in the campaign.
async fn campaign() -> Server {
    let server = Server::start().await;
    server.client.publish_programmes().await;
    server.client.upsert(vec![tagged(1, "push"), tagged(2, "push"), tagged(3, "push"), merchant(4)]).await;
    server
}

#[tokio::test]
async fn what_is_reported_is_delivered_and_paced() {
    let server = campaign().await;
    let client = &server.client;
    let before = client.shown("push").await;
    assert_eq!((before.serving(), before.members, before.held_out), (ProgrammeServing::Works, 3, 0));
    assert_eq!(before.budgets[0].target_basis(), TargetBasis::OpenHours);
    let bit = 1 << before.bit;
    client.report("a", vec![shown(1, Scene::Live, bit, 75), shown(2, Scene::Live, bit, 15)]).await;
    client.report("b", vec![shown(2, Scene::Mall, bit, 10), shown(4, Scene::Live, 0, 1_000)]).await;
    client.report("b", vec![shown(2, Scene::Mall, bit, 10), shown(4, Scene::Live, 0, 1_000)]).await;

    let push = client.shown("push").await;
    let [whole, mall] = push.budgets.as_slice() else { unreachable!("{push:?}") };
    assert_eq!((whole.exposures, whole.delivered, whole.left, whole.late), (10_000, 100, 9_900, 0));
    assert_eq!((mall.scene(), mall.exposures, mall.delivered), (Scene::Mall, 2_000, 10));
    assert_eq!((whole.period(), whole.begins_at), (BudgetPeriod::Window, Some(instant("2023-03-01T00:00:00+08:00"))));
    assert_eq!(whole.ends_at, Some(instant("2023-03-11T00:00:00+08:00")));
    // Seven of 240 hours, all alike: the only hour that is known has the mean.
    assert_eq!(whole.target_basis(), TargetBasis::ExpectedTraffic);
    assert!(near(whole.target.expect("a target"), 10_000.0 * 7.0 / 240.0), "{whole:?}");
    assert!(near(whole.pace.expect("a pace"), 100.0 / (10_000.0 * 7.0 / 240.0)), "{whole:?}");
    assert!(near(whole.share_at_end.expect("a forecast"), 0.342_857_142), "{whole:?}");
    assert_eq!(whole.spent_at, None, "not before its end");

    let spread = push.concentration.expect("in full view");
    assert_eq!((spread.exposures, spread.merchants, spread.largest_merchant_id), (100, 2, 1));
    assert!(near(spread.largest_share, 0.75) && near(spread.herfindahl, 0.625) && near(spread.top_percent_share, 0.75));
    assert_eq!(spread.max_member_share, Some(0.6));
    assert_eq!((push.members_today, push.daily_members), (2, 5));

    let listed = client.listed("push").await;
    assert_eq!(listed.budgets, push.budgets);
    assert_eq!((listed.concentration, listed.members), (None, 3), "basic view");
    let request = ListProgrammesRequest { page_size: 2, view: ProgrammeView::Full.into(), ..Default::default() };
    let page = client.programmes().list_programmes(request.clone()).await.expect("a page").into_inner();
    assert_eq!(page.programmes.len(), 2);
    let request = ListProgrammesRequest { page_token: page.next_page_token, ..request };
    let next = client.programmes().list_programmes(request).await.expect("a page").into_inner();
    assert!(page.programmes[1].id < next.programmes[0].id, "by id");
}

#[tokio::test]
async fn a_pause_ends_what_it_lifts_until_it_is_resumed() {
    let server = campaign().await;
    let client = &server.client;
    let etag = client.shown("push").await.etag;
    let (lifted, charged) = client.weighed(Scene::Live, 1).await;
    let (plain, _) = client.weighed(Scene::Live, 4).await;
    let bit = 1_u64 << client.shown("push").await.bit;
    assert!(lifted > plain && charged & bit != 0, "{lifted} {plain}");

    let paused = PauseProgrammeRequest {
        request_id: "p1".into(),
        id: "push".into(),
        etag: etag.clone(),
        reason: "complaints".into(),
        author: "ann".into(),
    };
    let first = client.programmes().pause_programme(paused.clone()).await.expect("paused").into_inner();
    let again = client.programmes().pause_programme(paused.clone()).await.expect("answered again").into_inner();
    assert_eq!(first, again);
    let other = PauseProgrammeRequest { reason: "another".into(), ..paused.clone() };
    refusal(client.programmes().pause_programme(other).await).is_plain(Code::AlreadyExists, "REQUEST_ID_REUSED");
    let (weight, charged) = client.weighed(Scene::Live, 1).await;
    assert!((weight - plain).abs() < 1e-6 && charged & bit == 0, "{weight} {plain}");
    let push = client.listed("push").await;
    assert_eq!((push.serving(), push.paused), (ProgrammeServing::Paused, true));
    assert_eq!(push.serving_text, "paused on 2023-03-01 by ann: complaints");

    let resume = |etag: &str| ResumeProgrammeRequest {
        id: "push".into(),
        etag: etag.to_owned(),
        reason: "over".into(),
        ..ResumeProgrammeRequest::default()
    };
    let stale = client.programmes().resume_programme(resume(&etag)).await;
    refusal(stale).is_plain(Code::Aborted, "ETAG_MISMATCH");
    let resumed = client.programmes().resume_programme(resume(&first.etag)).await.expect("resumed").into_inner();
    assert!((client.weighed(Scene::Live, 1).await.0 - lifted).abs() < 1e-6);
    let shown = client.get("push").await;
    assert_eq!(shown.programme.as_ref().map(|push| push.etag.clone()), Some(resumed.etag));
    let events: Vec<_> = shown.events.iter().map(|event| (event.kind(), event.reason.as_str())).collect();
    let expected = [(ProgrammeEventKind::Resumed, "over"), (ProgrammeEventKind::Paused, "complaints")];
    assert_eq!(events, expected, "newest first");

    let silent = PauseProgrammeRequest { id: "push".into(), ..PauseProgrammeRequest::default() };
    refusal(client.programmes().pause_programme(silent).await).is(Code::InvalidArgument, "BAD_REQUEST", "reason");
    let unknown =
        PauseProgrammeRequest { id: "nothing".into(), reason: "x".into(), ..PauseProgrammeRequest::default() };
    refusal(client.programmes().pause_programme(unknown).await).is_plain(Code::NotFound, "UNKNOWN_PROGRAMME");
    let unknown = GetProgrammeRequest { id: "nothing".into(), min_revision: 0 };
    refusal(client.programmes().get_programme(unknown).await).is_plain(Code::NotFound, "UNKNOWN_PROGRAMME");
}

#[tokio::test]
async fn a_budget_is_adjusted_below_what_is_spent_and_set_back() {
    let server = campaign().await;
    let client = &server.client;
    let bit = 1 << client.shown("push").await.bit;
    client.report("a", vec![shown(1, Scene::Live, bit, 100), shown(1, Scene::Mall, bit, 50)]).await;
    let request = AdjustBudgetRequest { exposures: Some(60), ..AdjustBudgetRequest::default() };
    // The mall has 2,000 of its own, which would go on.
    let beyond = client.adjust(request.clone()).await.expect_err("the mall has more");
    assert!(beyond.message.contains("2000 exposures together, of 60 over all"), "{}", beyond.message);
    beyond.is_plain(Code::FailedPrecondition, "SCENES_BEYOND_BUDGET");
    let etag = client.shown("push").await.etag;
    let mall = AdjustBudgetRequest { exposures: Some(50), scene: Scene::Mall.into(), etag, ..Default::default() };
    client.adjust(mall.clone()).await.expect("adjusted");
    let etag = client.adjust(request).await.expect("adjusted");
    client.adjust(mall).await.expect_err("an old etag").is_plain(Code::Aborted, "ETAG_MISMATCH");
    let push = client.shown("push").await;
    let [whole, mall] = push.budgets.as_slice() else { unreachable!("{push:?}") };
    assert_eq!((whole.exposures, whole.policy_exposures, whole.adjusted), (60, 10_000, true));
    assert_eq!((whole.delivered, whole.left, mall.exposures, mall.left), (150, 0, 50, 0));
    assert_eq!(push.serving(), ProgrammeServing::Spent);
    assert_eq!(push.etag, etag);

    let server = server.restart().await;
    let client = &server.client;
    let kept = client.get("push").await;
    let after = kept.programme.expect("the programme");
    assert_eq!((&after.budgets, &after.etag), (&push.budgets, &push.etag));
    assert_eq!(kept.events.len(), 2);
    assert_eq!((kept.events[0].kind(), kept.events[0].exposures), (ProgrammeEventKind::BudgetAdjusted, Some(60)));

    let reset = AdjustBudgetRequest { reset: true, ..AdjustBudgetRequest::default() };
    client.adjust(reset.clone()).await.expect("set back");
    let push = client.shown("push").await;
    assert_eq!((push.serving(), push.budgets[0].exposures), (ProgrammeServing::Works, 10_000));
    assert!(push.budgets[1].adjusted, "the mall's stays");
    let neither = client.adjust(AdjustBudgetRequest::default()).await.expect_err("neither");
    neither.is(Code::InvalidArgument, "BAD_REQUEST", "exposures");
    let both = AdjustBudgetRequest { exposures: Some(1), ..reset.clone() };
    client.adjust(both).await.expect_err("both").is(Code::InvalidArgument, "BAD_REQUEST", "exposures");
    let search = AdjustBudgetRequest { scene: Scene::Search.into(), ..reset };
    client.adjust(search).await.expect_err("none").is_plain(Code::FailedPrecondition, "PROGRAMME_WITHOUT");
}

#[tokio::test]
async fn members_come_in_pages_with_their_caps_and_shares() {
    let server = campaign().await;
    let client = &server.client;
    let bit = 1 << client.shown("push").await.bit;
    client.report("a", vec![shown(1, Scene::Live, bit, 500), shown(2, Scene::Live, bit, 300)]).await;
    let of = |filter: MemberFilter, page_size: u32, page_token: &str| ListMembersRequest {
        id: "push".into(),
        filter: filter.into(),
        page_size,
        page_token: page_token.to_owned(),
        min_revision: 0,
    };
    let first = client.members(of(MemberFilter::Unspecified, 2, "")).await;
    let ids: Vec<u64> = first.members.iter().map(|member| member.merchant_id).collect();
    assert_eq!(ids, [1, 2]);
    let member = &first.members[0];
    assert_eq!((member.exposures, member.cap, member.cap_exposures, member.capped_out), (500, Some(500), 500, true));
    assert!(near(member.share, 0.625) && member.member && !member.held_out && member.guarantee.is_none());
    let second = client.members(of(MemberFilter::Unspecified, 2, &first.next_page_token)).await;
    assert_eq!((second.members.len(), second.members[0].merchant_id), (1, 3));
    assert_eq!(second.next_page_token, "");
    let capped = client.members(of(MemberFilter::CappedOut, 0, "")).await;
    assert_eq!(capped.members.iter().map(|member| member.merchant_id).collect::<Vec<_>>(), [1]);
    assert!(client.members(of(MemberFilter::HeldOut, 0, "")).await.members.is_empty());
}

#[tokio::test]
async fn packages_lift_where_they_are_assigned_until_they_are_empty() {
    let server = campaign().await;
    let client = &server.client;
    let bit = 1_u64 << client.listed("scene_package").await.bit;
    let (plain, _) = client.weighed(Scene::Mall, 4).await;
    let grant = GrantPackageRequest {
        request_id: "g".into(),
        merchant_id: 4,
        exposures: 1_000,
        reason: "reward".into(),
        expires_at: Some(instant("2023-04-01T00:00:00+08:00")),
        author: "ann".into(),
    };
    let granted = client.programmes().grant_package(grant.clone()).await.expect("granted").into_inner();
    let packages = granted.packages.expect("packages");
    assert_eq!((packages.granted, packages.unassigned, packages.grants.len()), (1_000, 1_000, 1));
    let again = client.programmes().grant_package(grant).await.expect("answered again").into_inner();
    assert_eq!((again.revision, again.packages), (granted.revision, Some(packages)), "once");
    assert!((client.weighed(Scene::Mall, 4).await.0 - plain).abs() < 1e-6, "in no scene yet");

    let assign = |scene: Scene, exposures| AssignPackageRequest {
        merchant_id: 4,
        scene: scene.into(),
        exposures,
        ..AssignPackageRequest::default()
    };
    let too_much = client.programmes().assign_package(assign(Scene::Mall, 1_001)).await;
    refusal(too_much).is_plain(Code::FailedPrecondition, "PACKAGE_SHORT");
    client.programmes().assign_package(assign(Scene::Mall, 600)).await.expect("assigned");
    let (lifted, programmes) = client.weighed(Scene::Mall, 4).await;
    assert!(lifted > plain && programmes & bit != 0, "{lifted} {plain}");
    assert_eq!(client.weighed(Scene::Live, 4).await.1 & bit, 0, "in no other scene");

    client.report("a", vec![shown(4, Scene::Mall, bit, 200)]).await;
    let release = |exposures| ReleasePackageRequest {
        merchant_id: 4,
        scene: Scene::Mall.into(),
        exposures,
        ..ReleasePackageRequest::default()
    };
    let too_much = client.programmes().release_package(release(401)).await;
    refusal(too_much).is_plain(Code::FailedPrecondition, "PACKAGE_SHORT");
    client.programmes().release_package(release(100)).await.expect("released");
    let packages = client.packages(4).await;
    assert_eq!((packages.granted, packages.unassigned), (1_000, 500));
    let mall = &packages.scenes[0];
    assert_eq!((mall.scene(), mall.assigned, mall.delivered, mall.left), (Scene::Mall, 500, 200, 300));

    let server = server.restart().await;
    let client = &server.client;
    assert_eq!(client.packages(4).await, packages);
    assert!((client.weighed(Scene::Mall, 4).await.0 - lifted).abs() < 1e-6);
    client.report("b", vec![shown(4, Scene::Mall, bit, 300)]).await;
    let (weight, programmes) = client.weighed(Scene::Mall, 4).await;
    assert!((weight - plain).abs() < 1e-6 && programmes & bit == 0, "empty: {weight} {plain}");
    assert_eq!(client.packages(4).await.scenes[0].left, 0);

    let nobody = ListPackagesRequest { merchant_id: 99, min_revision: 0 };
    refusal(client.programmes().list_packages(nobody).await).is_plain(Code::NotFound, "NOT_REGISTERED");
    let nothing = client.programmes().assign_package(assign(Scene::Mall, 0)).await;
    refusal(nothing).is(Code::InvalidArgument, "BAD_REQUEST", "exposures");
}

#[tokio::test]
async fn lift_is_measured_against_those_held_out() {
    let server = campaign().await;
    let client = &server.client;
    client.upsert((1_001..=1_200).map(|id| tagged(id, "trial")).collect()).await;
    let held_out: Vec<u64> = {
        let request = ListMembersRequest {
            id: "trial".into(),
            filter: MemberFilter::HeldOut.into(),
            page_size: 1_000,
            ..ListMembersRequest::default()
        };
        client.members(request).await.members.iter().map(|member| member.merchant_id).collect()
    };
    let trial = client.shown("trial").await;
    assert_eq!(trial.members + trial.held_out, 200);
    assert_eq!(usize::try_from(trial.held_out), Ok(held_out.len()));
    let of = |id: u64| {
        let (exposures, orders) = if held_out.contains(&id) { (10, 1) } else { (20, 4) };
        ExposureRow { orders, gmv_fen: orders * 5_000, ..shown(id, Scene::Live, 0, exposures) }
    };
    client.report("a", (1_001..=1_200).map(of).collect()).await;
    let lift = client.shown("trial").await.lift.expect("in full view");
    assert_eq!((lift.treated_merchants, lift.holdout_merchants), (trial.members, trial.held_out));
    let measure = |metric: LiftMetric| lift.measures.iter().find(|found| found.metric() == metric).expect("measured");
    let exposures = measure(LiftMetric::ExposuresPerMerchant);
    assert_eq!((exposures.treated, exposures.holdout), (Some(20.0), Some(10.0)));
    let orders = measure(LiftMetric::OrdersPerThousand);
    let (difference, ratio) = (orders.difference.expect("enough"), orders.ratio.expect("enough"));
    assert!(near(difference.value, 100.0) && near(difference.lower, 100.0), "all alike: {orders:?}");
    assert!(near(ratio.value, 2.0) && orders.not_enough_data.is_empty());
    let repurchase = measure(LiftMetric::Repurchase);
    assert_eq!((repurchase.treated, &repurchase.difference), (None, &None));
    assert!(repurchase.not_enough_data.starts_with("not enough data: 0 of 30"), "{repurchase:?}");
}

/// Begins guarantees as control does, on the data folder of a server that is stopped.
async fn with_guarantees(server: Server, bit: u8, guarantees: Vec<NewGuarantee>) -> Server {
    let stopped = server.stop().await;
    let now: jiff::Timestamp = NOW.parse().expect("a time");
    let (data, begins) = (stopped.settings.data.clone(), Timestamp(now.as_millisecond()));
    let clock = Arc::new(SimulatedClock::new(begins, 0.0));
    let (node, log_retain) = (stopped.settings.node, stopped.settings.log_retain);
    let settings = WriterSettings { node, log_retain, close_days: true, audit: AuditRetention::DEFAULT };
    let opened = tokio::task::spawn_blocking(move || Engine::open(&data, clock, settings));
    let engine = opened.await.expect("no panic").expect("it opens");
    let written = engine.write(None, Body::BeginGuarantees { bit, guarantees }).await.expect("written");
    assert!(matches!(&written.outcome, Outcome::Items(items) if items.iter().all(Result::is_ok)), "{written:?}");
    tokio::task::spawn_blocking(move || engine.shut_down()).await.expect("no panic");
    stopped.start_at(NOW).await
}

#[tokio::test]
async fn guarantees_are_covered_foretold_and_listed() {
    let server = campaign().await;
    server.client.upsert((1_001..=1_030).map(|id| tagged(id, "trial")).collect()).await;
    let everyone = ListMembersRequest { id: "trial".into(), page_size: 1_000, ..ListMembersRequest::default() };
    let members = server.client.members(everyone).await.members;
    let treated: Vec<u64> = members.iter().filter(|member| member.member).map(|member| member.merchant_id).collect();
    let [met, nearly, missed, banned] = treated[..4] else { unreachable!("{treated:?}") };
    let bit = u8::try_from(server.client.shown("trial").await.bit).expect("a bit");
    let new = |(id, expected)| NewGuarantee { merchant: MerchantId(id), expected };
    let guarantees = [(met, Some(500)), (nearly, None), (missed, Some(7)), (banned, Some(500))].map(new);
    let server = with_guarantees(server, bit, guarantees.into()).await;
    let client = &server.client;

    client.advance("2023-03-01T13:00:00+08:00").await;
    let delivered = |id: u64, exposures: u64| ExposureRow {
        occurred_at: Some(instant("2023-03-01T12:30:00+08:00")),
        ..shown(id, Scene::Live, 1 << bit, exposures)
    };
    client.report("a", vec![delivered(met, 120), delivered(nearly, 99), delivered(missed, 3)]).await;
    client.punish(violation(1, banned, "ban")).await;
    let coverage = client.shown("trial").await.coverage.expect("in full view");
    assert_eq!((coverage.counted, coverage.running, coverage.running_met, coverage.excluded), (0, 3, 1, 1));
    assert_eq!((coverage.infeasible, coverage.coverage_99), (1, None));
    let asked = ListMembersRequest {
        id: "trial".into(),
        filter: MemberFilter::Guaranteed.into(),
        ..ListMembersRequest::default()
    };
    let states = async || {
        let page = client.members(asked.clone()).await;
        let state = |member: &trustflow::proto::ProgrammeMember| {
            (member.merchant_id, member.guarantee.as_ref().expect("a guarantee").state())
        };
        page.members.iter().map(state).collect::<Vec<_>>()
    };
    let expected = [
        (met, GuaranteeState::Met),
        (nearly, GuaranteeState::Running),
        (missed, GuaranteeState::Running),
        (banned, GuaranteeState::Suspended),
    ];
    assert_eq!(states().await, expected);

    // Six of 24 hours: 99 are on the way to 396, 3 to 12.
    let forecast = async |id| client.forecast("trial", id).await.expect("a forecast");
    assert_eq!(forecast(met).await.verdict(), ForecastVerdict::Met);
    let soon = forecast(nearly).await;
    assert_eq!((soon.verdict(), soon.wanted, soon.delivered), (ForecastVerdict::Likely, 100, 99));
    assert!(soon.met_at.is_some() && soon.expected_at_end == Some(100.0), "{soon:?}");
    assert!(soon.basis.is_some_and(|basis| basis.traffic_known && basis.observed_hours == 1));
    let never = forecast(missed).await;
    assert_eq!((never.verdict(), never.met_at), (ForecastVerdict::Unlikely, None));
    let excluded = forecast(banned).await;
    assert_eq!(excluded.verdict(), ForecastVerdict::Cannot);
    assert_eq!(excluded.obstacles().collect::<Vec<_>>(), [ForecastObstacle::Excluded]);

    client.advance("2023-03-02T07:30:00+08:00").await;
    let coverage = client.shown("trial").await.coverage.expect("in full view");
    assert_eq!((coverage.counted, coverage.delivered_99, coverage.delivered_100), (3, 2, 1));
    assert_eq!((coverage.promised, coverage.delivered, coverage.excluded, coverage.running), (300, 202, 1, 0));
    assert!(near(coverage.coverage_99.expect("counted"), 2.0 / 3.0));
    assert_eq!(states().await[2], (missed, GuaranteeState::Missed));
    let over = forecast(missed).await;
    assert_eq!((over.verdict(), over.obstacles().next()), (ForecastVerdict::Cannot, Some(ForecastObstacle::Ended)));

    refusal(client.forecast("trial", treated[5]).await).is_plain(Code::FailedPrecondition, "PROGRAMME_WITHOUT");
    refusal(client.forecast("trial", 99).await).is_plain(Code::NotFound, "NOT_REGISTERED");
}

#[tokio::test]
async fn a_budget_is_foretold_and_what_stands_in_its_way() {
    let server = campaign().await;
    let client = &server.client;
    let push = client.shown("push").await;
    let fresh = client.forecast("push", 0).await.expect("a forecast");
    assert_eq!((fresh.wanted, fresh.verdict()), (10_000, ForecastVerdict::Unlikely), "nothing came in seven hours");
    client.report("a", vec![shown(1, Scene::Live, 1 << push.bit, 1_000)]).await;
    let fast = client.forecast("push", 0).await.expect("a forecast");
    // 1,000 in seven of 240 hours: 10,000 after 70.
    assert_eq!((fast.verdict(), fast.expected_at_end), (ForecastVerdict::Uncertain, Some(10_000.0)));
    let met = fast.met_at.expect("before the end").seconds - instant("2023-03-03T22:00:00+08:00").seconds;
    assert!(met.abs() <= 1, "{met} s off");
    client.pause("push", "complaints").await;
    let paused = client.forecast("push", 0).await.expect("a forecast");
    assert_eq!((paused.verdict(), paused.met_at), (ForecastVerdict::Cannot, None));
    assert_eq!(paused.obstacles().collect::<Vec<_>>(), [ForecastObstacle::Paused]);
    refusal(client.forecast("trust_purchase", 0).await).is_plain(Code::FailedPrecondition, "PROGRAMME_WITHOUT");
    refusal(client.forecast("nothing", 0).await).is_plain(Code::NotFound, "UNKNOWN_PROGRAMME");
    refusal(client.forecast("", 0).await).is(Code::InvalidArgument, "BAD_REQUEST", "programme_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_says_the_same() {
    let server = campaign().await;
    let address = format!("http://{}", server.addresses.grpc);
    let said = |args: &[&str]| {
        let output = run(&[args, &["--server", &address]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{args:?}: {text} {}", String::from_utf8_lossy(&output.stderr));
        text
    };
    let listed = said(&["programme", "list", "--full"]);
    assert!(listed.contains("push") && listed.contains("10,000"), "{listed}");
    said(&["programme", "pause", "push", "--reason", "complaints", "--author", "ann"]);
    let shown = said(&["programme", "show", "push"]);
    assert!(shown.contains("paused on 2023-03-01 by ann: complaints"), "{shown}");
    said(&["programme", "resume", "push", "--reason", "over"]);
    said(&["programme", "adjust", "push", "--scene", "mall", "--exposures", "100", "--reason", "less"]);
    let json: serde_json::Value = serde_json::from_str(&said(&["programme", "show", "push", "--json"])).expect("JSON");
    assert_eq!(json["programme"]["budgets"][1]["exposures"], 100);
    assert_eq!(json["events"][0]["kind"], "budget_adjusted");
    assert!(said(&["programme", "members", "push"]).contains("merchant 3"));
    said(&["package", "grant", "4", "1000", "--reason", "reward"]);
    said(&["package", "assign", "4", "short-video", "600"]);
    let packages = said(&["package", "release", "4", "short-video", "100"]);
    assert!(packages.contains("1,000 exposures granted, 500 of them in no scene"), "{packages}");
    assert!(said(&["forecast", "programme", "push"]).contains("verdict"));
    let refused = run(&["forecast", "guarantee", "push", "1", "--server", &address]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("PROGRAMME_WITHOUT"));
}
