//! Puts merchants into a server, moves its clock, and compares what it answers with what a table says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trustflow::clock::SimulatedClock;
use trustflow::domain::{Body, MerchantId, Outcome, PolicyText, Timestamp};
use trustflow::engine::{Engine, WriterSettings};
use trustflow::policy::{Dictionary, Policy, compile, embedded};
use trustflow::proto::exposure_service_client::ExposureServiceClient;
use trustflow::proto::{
    BatchUpsertLiveRoomsRequest, BatchUpsertProductsRequest, BatchUpsertServiceProvidersRequest,
    BatchUpsertShortVideosRequest, DayFacts, Enrolment, ExplainScoreRequest, ExplainScoreResponse, ExposureRow,
    HeldRight, Label, LiveRoom, Product, ProgrammeExplanation, ReportExposuresRequest, Scene, ServiceProvider,
    ShortVideo, TargetKind,
};
use trustflow::store::AuditRetention;
use trustflow::traffic::{Programme, ProgrammeKind, Uplift};

use crate::common::calls::{items_of, target_of, violation};
use crate::common::{Client, Server, codes, instant, plus};
use crate::coverage::Coverage;
use crate::setup::Setup;

/// A programme, a merchant that is in it, and what keeps it out.
pub(crate) struct Case {
    pub(crate) programme: &'static str,
    pub(crate) scene: Scene,
    pub(crate) kind: TargetKind,
    /// A member.
    pub(crate) setup: Setup,
    /// Its lift; none where the trust score decides.
    pub(crate) lift: Option<f64>,
    /// The label of members.
    pub(crate) label: Option<Label>,
    /// What keeps a merchant out: part of the reason, and how it looks then. The first one is "not yet".
    pub(crate) refused: Vec<(&'static str, Setup)>,
    /// Other members and their lifts.
    pub(crate) lifts: Vec<(Option<f64>, Setup)>,
    /// A scene in which it does not work.
    pub(crate) not_in: Option<Scene>,
    /// A kind of target for which it does not work.
    pub(crate) not_for: Option<TargetKind>,
}

impl Case {
    pub(crate) fn new(programme: &'static str, scene: Scene, kind: TargetKind, setup: Setup, lift: f64) -> Self {
        Self {
            programme,
            scene,
            kind,
            setup,
            lift: Some(lift),
            label: None,
            refused: Vec::new(),
            lifts: Vec::new(),
            not_in: None,
            not_for: None,
        }
    }

    pub(crate) fn refused(mut self, why: &'static str, setup: Setup) -> Self {
        self.refused.push((why, setup));
        self
    }

    pub(crate) fn lift(mut self, lift: f64, setup: Setup) -> Self {
        self.lifts.push((Some(lift), setup));
        self
    }

    pub(crate) fn not_in(mut self, scene: Scene) -> Self {
        self.not_in = Some(scene);
        self
    }

    pub(crate) fn not_for(mut self, kind: TargetKind) -> Self {
        self.not_for = Some(kind);
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// Counters of which the latest value counts.
const LEVELS: [&str; 5] =
    ["price_index", "shopping_experience_score", "repeat_customer_index", "buyers_30d", "repeat_buyers_30d"];

/// What was sent of a merchant: item or not, day, counter.
type Sent = BTreeSet<(bool, String, &'static str)>;

pub(crate) struct Driver {
    // Kept for its folder and its task; away only while packages are given.
    server: Option<Server>,
    pub(crate) client: Client,
    pub(crate) policy: Policy,
    pub(crate) coverage: Coverage,
    pub(crate) today: String,
    next: u64,
    next_violation: u64,
    sent: BTreeMap<u64, Sent>,
}

impl Driver {
    pub(crate) async fn start(now: &str) -> Self {
        let server = Server::start_at(now).await;
        let text: PolicyText = embedded();
        let policy = compile(&text, 1, &mut Dictionary::default()).expect("the shipped policy compiles");
        Self {
            client: server.client.clone(),
            server: Some(server),
            policy,
            coverage: Coverage::default(),
            today: now[..10].to_owned(),
            next: 1,
            next_violation: 1,
            sent: BTreeMap::new(),
        }
    }

    /// Gives packages, each for one scene, between two runs of the server.
    pub(crate) async fn give_packages(&mut self, packages: &[(u64, trustflow::domain::Scene, u64)]) {
        let now = self.client.now().await;
        let server = self.server.take().expect("it serves");
        let stopped = server.stop().await;
        let time: jiff::Timestamp = now.parse().expect("a time");
        let clock = SimulatedClock::new(Timestamp(time.as_millisecond()), 0.0);
        let settings =
            WriterSettings { node: 1, log_retain: 10_000, close_days: false, audit: AuditRetention::DEFAULT };
        let engine = Engine::open(&stopped.settings.data, Arc::new(clock), settings).expect("it opens");
        for (id, scene, exposures) in packages.iter().copied() {
            let merchant = MerchantId(id);
            let (author, reason) = ("operations".to_owned(), "growth".to_owned());
            let grant = Body::GrantPackage { merchant, exposures, expires_at: None, author, reason };
            let assign = Body::AssignPackage { merchant, scene, exposures, is_release: false };
            for body in [grant, assign] {
                let outcome = engine.write(None, body).await.expect("written").outcome;
                assert!(!matches!(outcome, Outcome::Rejected(_)), "{outcome:?}");
            }
        }
        tokio::task::spawn_blocking(move || engine.shut_down()).await.expect("a clean stop");
        let server = stopped.start_at(&now).await;
        self.client = server.client.clone();
        self.server = Some(server);
    }

    /// Reports exposures that were charged to a programme.
    pub(crate) async fn spend(&self, case: &Case, id: u64, exposures: u64) {
        let row = ExposureRow {
            target_kind: case.kind.into(),
            target_id: target_of(case.kind, id),
            scene: case.scene.into(),
            programmes: self.programme(case.programme).mask(),
            exposures,
            occurred_at: Some(instant(&self.client.now().await)),
            ..ExposureRow::default()
        };
        let report_id = format!("{} {id} {exposures}", case.programme);
        let request = ReportExposuresRequest { report_id, rows: vec![row] };
        let mut client = ExposureServiceClient::new(self.client.channel.clone());
        client.report_exposures(request).await.expect("counted");
    }

    /// Moves to a time, e.g. `2022-03-21T07:00`.
    pub(crate) async fn go(&mut self, time: &str) {
        self.client.advance(&format!("{time}:00+08:00")).await;
        time[..10].clone_into(&mut self.today);
    }

    pub(crate) fn programme(&self, id: &str) -> &Programme {
        self.policy.programmes.iter().find(|programme| programme.id == id).expect(id)
    }

    /// An id that no holdout holds, or that one holds.
    pub(crate) fn fresh_id(&mut self, held_out_of: Option<&str>) -> u64 {
        loop {
            let id = self.next;
            self.next += 1;
            let mut held = self.policy.programmes.iter().filter(|programme| {
                programme.holdout.as_ref().is_some_and(|holdout| holdout.holds_out(MerchantId(id)))
            });
            let wanted = match held_out_of {
                None => held.next().is_none(),
                Some(programme) => held.any(|other| other.id == programme),
            };
            if wanted {
                return id;
            }
        }
    }

    fn day(&self, before: i32) -> String {
        plus(&self.today, -before)
    }

    /// Registers or changes a merchant and its items so that nothing else is known of it.
    pub(crate) async fn put(&mut self, id: u64, setup: &Setup) {
        let at = |before: i32| instant(&format!("{}T00:30:00+08:00", self.day(before)));
        let (room, product, video) = items_of(id);
        let mut provider_id = setup.provider_id;
        if let Some((capabilities, tags)) = &setup.provider {
            provider_id = 900_000 + id;
            self.provider(provider_id, *capabilities, tags).await;
        }
        let mut merchant = setup.merchant(id);
        merchant.opened_at = setup.opened.map(at);
        merchant.service_provider_id = provider_id;
        let enrolment = |(list, before): &(&str, i32)| Enrolment { list: (*list).to_owned(), date: self.day(*before) };
        merchant.enrolments = setup.enrolments.iter().map(enrolment).collect();
        self.client.upsert(vec![merchant]).await;

        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let mut profiles = self.client.profiles.clone();
        let live_rooms = vec![LiveRoom {
            live_room_id: room,
            merchant_id: id,
            tags: texts(&setup.room_tags),
            ..LiveRoom::default()
        }];
        let request = BatchUpsertLiveRoomsRequest { live_rooms, ..Default::default() };
        let answer = profiles.batch_upsert_live_rooms(request).await.expect("a room").into_inner();
        assert_eq!(codes(&answer.results), [tonic::Code::Ok]);
        let products = vec![Product {
            product_id: product,
            merchant_id: id,
            tags: texts(&setup.product_tags),
            categories: texts(&setup.product_categories),
            r#virtual: setup.product_virtual,
            listed_at: setup.product_listed.map(at),
            promoter_ids: setup.promoters.clone(),
            ..Product::default()
        }];
        let request = BatchUpsertProductsRequest { products, ..Default::default() };
        let answer = profiles.batch_upsert_products(request).await.expect("a product").into_inner();
        assert_eq!(codes(&answer.results), [tonic::Code::Ok]);
        let short_videos = vec![ShortVideo { short_video_id: video, merchant_id: id, ..ShortVideo::default() }];
        let request = BatchUpsertShortVideosRequest { short_videos, ..Default::default() };
        let answer = profiles.batch_upsert_short_videos(request).await.expect("a video").into_inner();
        assert_eq!(codes(&answer.results), [tonic::Code::Ok]);

        self.record(id, setup).await;
        let held = |right: &&str| HeldRight { right: (*right).to_owned(), ..HeldRight::default() };
        self.client.grant(id, setup.rights.iter().map(held).collect()).await;
    }

    /// Sends the facts of a setup; flows that were sent before and are not in it become 0.
    async fn record(&mut self, id: u64, setup: &Setup) {
        let mut days: BTreeMap<(bool, String), BTreeMap<&'static str, u64>> = BTreeMap::new();
        for (is_item, date, counter) in self.sent.get(&id).into_iter().flatten() {
            if !LEVELS.contains(counter) {
                days.entry((*is_item, date.clone())).or_default().insert(counter, 0);
            }
        }
        let of_merchant = setup.facts.iter().map(|fact| (false, fact));
        for (is_item, (before, counter, value)) in
            of_merchant.chain(setup.product_facts.iter().map(|fact| (true, fact)))
        {
            let date = self.day(*before);
            days.entry((is_item, date.clone())).or_default().insert(counter, *value);
            self.sent.entry(id).or_default().insert((is_item, date, counter));
        }
        let rows = days.into_iter().map(|((is_item, date), counters)| DayFacts {
            merchant_id: id,
            date,
            counters: counters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            target_kind: if is_item { TargetKind::Product.into() } else { 0 },
            target_id: if is_item { items_of(id).1 } else { 0 },
        });
        let rows: Vec<DayFacts> = rows.collect();
        if !rows.is_empty() {
            self.client.record(rows).await;
        }
    }

    pub(crate) async fn provider(&self, id: u64, capabilities: [u32; 5], tags: &[&str]) {
        let service_providers = vec![ServiceProvider {
            service_provider_id: id,
            name: format!("provider {id}"),
            capabilities: capabilities.to_vec(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..ServiceProvider::default()
        }];
        let request = BatchUpsertServiceProvidersRequest { service_providers, ..Default::default() };
        let mut profiles = self.client.profiles.clone();
        let answer = profiles.batch_upsert_service_providers(request).await.expect("a provider").into_inner();
        assert_eq!(codes(&answer.results), [tonic::Code::Ok]);
    }

    /// Explains one target and keeps what it showed.
    pub(crate) async fn explain(&mut self, id: u64, scene: Scene, kind: TargetKind) -> ExplainScoreResponse {
        let request = ExplainScoreRequest {
            scene: scene.into(),
            target_kind: kind.into(),
            target_id: target_of(kind, id),
            ..ExplainScoreRequest::default()
        };
        let explained = self.client.explain_with(request).await;
        self.coverage.see(&explained);
        explained
    }

    /// The merchant's target is in a programme and gets its lift, in Score as in Explain.
    pub(crate) async fn expect_lift(&mut self, case: &Case, id: u64, scene: Scene, lift: Option<f64>) {
        let what = format!("{} on {}, merchant {id} in {scene:?}", case.programme, self.today);
        let explained = self.explain(id, scene, case.kind).await;
        let shown = shown(&explained, case.programme);
        assert!(shown.eligible, "{what}: not eligible: {:?}\n{}", shown.reasons, summary(&explained));
        let row = explained.row.as_ref().expect("a row");
        let scored = self.client.score(scene, case.kind, &[target_of(case.kind, id)]).await;
        assert_eq!(scored.boost_weights[0].to_bits(), row.boost_weight.to_bits(), "{what}");
        if let Some(label) = case.label {
            assert!(scored.labels[0] & label as u32 != 0, "{what}: without {label:?}");
        }
        let weight = explained.weight.as_ref().expect("a weight");
        let score = explained.trust.as_ref().expect("a score").score;
        let programme = self.programme(case.programme);
        let by_trust = match &programme.uplift {
            Uplift::ByTrust(curve) => curve.at(score),
            Uplift::Constant(lift) => *lift,
            Uplift::Cases(_) => 0.0,
        };
        if programme.kind == ProgrammeKind::Tilt {
            let of_score = self.policy.model.tilt[scene_index(scene)].at(score);
            let expected = of_score * (1.0 + by_trust);
            assert!(by_trust > 0.01 && (weight.tilt - expected).abs() < 2e-3, "{what}: tilt {}", weight.tilt);
            return;
        }
        let lift = lift.unwrap_or(by_trust * shown.item_factor);
        assert!(shown.charged, "{what}: another one is charged\n{}", summary(&explained));
        assert!(scored.programmes[0] >> programme.bit & 1 == 1, "{what}: its bit is not reported");
        assert!(lift > 0.0, "{what}: a lift of nothing");
        let without = weight.tilt * weight.penalty * weight.item_factor;
        let (found, expected) = (f64::from(row.boost_weight), (without * (1.0 + lift)).min(weight.ceiling));
        assert!((found - expected).abs() < 2e-3, "{what}: {found} instead of {expected}, a lift of {lift}");
    }

    /// The merchant's target is not in a programme; a reason says why.
    pub(crate) async fn expect_not(&mut self, case: &Case, id: u64, place: (Scene, TargetKind), why: &str) {
        let (scene, kind) = place;
        let what = format!("{} on {}, merchant {id} as {kind:?} in {scene:?}", case.programme, self.today);
        let explained = self.explain(id, scene, kind).await;
        let shown = shown(&explained, case.programme);
        assert!(!shown.eligible && !shown.charged, "{what}: eligible in spite of {why}\n{}", summary(&explained));
        let found = shown.reasons.iter().any(|reason| reason.contains(why));
        assert!(found, "{what}: {why} is no reason: {:?}", shown.reasons);
        let scored = self.client.score(scene, kind, &[target_of(kind, id)]).await;
        let bit = 1_u64 << self.programme(case.programme).bit;
        assert_eq!(scored.programmes[0] & bit, 0, "{what}: reported in spite of {why}");
    }

    /// Drives one programme through not yet, eligible, elsewhere, no longer, again and penalised.
    pub(crate) async fn run(&mut self, case: &Case) {
        let id = self.fresh_id(None);
        let here = (case.scene, case.kind);
        if let Some((why, setup)) = case.refused.first() {
            self.put(id, setup).await;
            self.expect_not(case, id, here, why).await;
        }
        self.put(id, &case.setup).await;
        self.expect_lift(case, id, case.scene, case.lift).await;
        if let Some(scene) = case.not_in {
            self.expect_not(case, id, (scene, case.kind), "does not work in scene").await;
        }
        if let Some(kind) = case.not_for {
            self.expect_not(case, id, (case.scene, kind), "does not work for targets of kind").await;
        }
        for (lift, setup) in &case.lifts {
            self.put(id, setup).await;
            self.expect_lift(case, id, case.scene, *lift).await;
        }
        for (why, setup) in &case.refused {
            self.put(id, setup).await;
            self.expect_not(case, id, here, why).await;
            let label = case.label.map_or(0, |label| label as u32);
            let scored = self.client.score(case.scene, case.kind, &[target_of(case.kind, id)]).await;
            assert_eq!(scored.labels[0] & label, 0, "{}: labelled in spite of {why}", case.programme);
        }
        self.put(id, &case.setup).await;
        self.expect_lift(case, id, case.scene, case.lift).await;
        self.penalise(case, id).await;
    }

    /// A member that is banned weighs nothing and counts against nothing; one that is not, as before.
    pub(crate) async fn penalise(&mut self, case: &Case, id: u64) {
        let punishment = self.next_violation;
        self.next_violation += 1;
        self.client.punish(violation(punishment, id, "ban")).await;
        let explained = self.explain(id, case.scene, case.kind).await;
        let row = explained.row.as_ref().expect("a row");
        let excluded = Label::Excluded as u32 | Label::Penalised as u32;
        assert!(row.boost_weight < 1e-9 && row.programmes == 0, "{}: a banned merchant: {row:?}", case.programme);
        assert_eq!(row.labels & excluded, excluded, "{}", case.programme);
        assert!(!shown(&explained, case.programme).charged, "{}", case.programme);
        self.client.revoke(punishment, id).await;
        self.expect_lift(case, id, case.scene, case.lift).await;
    }

    /// The member of a case, outside the programme's window.
    pub(crate) async fn run_closed(&mut self, case: &Case) {
        let id = self.fresh_id(None);
        self.put(id, &case.setup).await;
        self.expect_not(case, id, (case.scene, case.kind), "outside its window").await;
        let scored = self.client.score(case.scene, case.kind, &[target_of(case.kind, id)]).await;
        let label = case.label.map_or(0, |label| label as u32);
        assert_eq!(scored.labels[0] & label, 0, "{}: labelled while it is closed", case.programme);
    }

    /// A violation id that was not used.
    pub(crate) fn fresh_violation(&mut self) -> u64 {
        self.next_violation += 1;
        self.next_violation - 1
    }
}

/// A programme of an explanation.
pub(crate) fn shown<'a>(explained: &'a ExplainScoreResponse, programme: &str) -> &'a ProgrammeExplanation {
    explained.programmes.iter().find(|shown| shown.id == programme).expect(programme)
}

/// Score, stage, and who takes part with what.
fn summary(explained: &ExplainScoreResponse) -> String {
    let trust = explained.trust.as_ref().map_or(0.0, |trust| trust.score);
    let eligible = explained.programmes.iter().filter(|programme| programme.eligible);
    let eligible: Vec<String> =
        eligible.map(|p| format!("{} {:.3}{}", p.id, p.uplift, if p.charged { "*" } else { "" })).collect();
    format!("trust {trust}, stage {}, eligible {}", explained.stage, eligible.join(", "))
}

fn scene_index(scene: Scene) -> usize {
    crate::common::calls::SCENES.iter().position(|other| *other == scene).expect("a scene")
}
