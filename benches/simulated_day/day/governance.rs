//! What operations do meanwhile: merchants open, violations are recorded and revoked, packages are given, facts arrive.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tonic::Status;
use trustflow::domain::Timestamp;
use trustflow::proto::{
    AssignPackageRequest, BatchUpsertLiveRoomsRequest, BatchUpsertMerchantsRequest, BatchUpsertProductsRequest,
    BatchUpsertShortVideosRequest, DayFacts, GrantPackageRequest, RecordFactsRequest, RecordViolationRequest,
    RevokeViolationRequest, Scene, SetRightsRequest, TargetKind,
};

use super::Options;
use super::books::Exclusion;
use super::chance::Chance;
use super::load::rights;
use super::population::{Member, Population, instant};
use super::world::World;

/// How often something of this happens in a run.
const EVENTS: u32 = 120;
/// Violations that exclude, what they exclude, and for how many hours.
const VIOLATIONS: [(&str, &[TargetKind], i64); 3] = [
    ("ban", &[TargetKind::LiveRoom, TargetKind::Product, TargetKind::ShortVideo, TargetKind::Merchant], 6),
    ("suspend_cart", &[TargetKind::LiveRoom, TargetKind::ShortVideo], 4),
    ("delist_all", &[TargetKind::Product], 12),
];
const HOUR_MS: i64 = 3_600_000;
const LOOK: Duration = Duration::from_millis(100);

/// One write. It is sent until it is acknowledged, always the same.
#[derive(Clone, Debug)]
enum Step {
    Merchants(BatchUpsertMerchantsRequest),
    Products(BatchUpsertProductsRequest),
    LiveRooms(BatchUpsertLiveRoomsRequest),
    ShortVideos(BatchUpsertShortVideosRequest),
    Rights(SetRightsRequest),
    Violate(RecordViolationRequest, &'static [TargetKind], Timestamp),
    Revoke(RevokeViolationRequest),
    Facts(RecordFactsRequest),
    Grant(GrantPackageRequest),
    Assign(AssignPackageRequest),
}

/// What is still to be done.
#[derive(Debug)]
pub(crate) struct Agenda {
    chance: Chance,
    /// When something happens.
    events: VecDeque<Timestamp>,
    next: u64,
    steps: VecDeque<Step>,
    /// Violations that were recorded: merchant and number.
    recorded: Vec<(u64, u64)>,
    /// Assignments that were sent, by request.
    assigned: BTreeSet<String>,
}

impl Agenda {
    /// Spread over the run; a package and a violation come at once.
    pub(crate) fn new(options: &Options) -> Self {
        let length = options.until().0 - options.from.0;
        let at = |number: u32| options.from.plus_ms(length * i64::from(number) / i64::from(EVENTS));
        Self {
            chance: Chance::new(options.seed, 0xA6E7),
            events: (0..EVENTS).map(at).collect(),
            next: 0,
            steps: VecDeque::new(),
            recorded: Vec::new(),
            assigned: BTreeSet::new(),
        }
    }

    /// What is due becomes steps.
    fn plan(&mut self, world: &World, now: Timestamp) {
        while self.events.front().is_some_and(|at| *at <= now) {
            self.events.pop_front();
            self.next += 1;
            match self.next % 6 {
                0 => self.open(world, now),
                1 => self.package(&world.population(), &world.options),
                2 | 4 => self.violate(&world.population(), now),
                3 => self.revoke(),
                _ => self.facts(&world.population(), now),
            }
        }
    }

    fn id(&self, what: &str) -> String {
        format!("operations-{}-{what}", self.next)
    }

    fn open(&mut self, world: &World, now: Timestamp) {
        let member: Member = world.with_population(|population| population.open(&world.options, now));
        self.steps.push_back(Step::Merchants(BatchUpsertMerchantsRequest {
            request_id: self.id("merchant"),
            merchants: vec![member.profile()],
            update_mask: None,
        }));
        self.steps.push_back(Step::Products(BatchUpsertProductsRequest {
            request_id: self.id("products"),
            products: member.products(),
            update_mask: None,
        }));
        self.steps.push_back(Step::LiveRooms(BatchUpsertLiveRoomsRequest {
            request_id: self.id("room"),
            live_rooms: vec![member.live_room()],
            update_mask: None,
        }));
        self.steps.push_back(Step::ShortVideos(BatchUpsertShortVideosRequest {
            request_id: self.id("video"),
            short_videos: vec![member.short_video()],
            update_mask: None,
        }));
        self.steps.push_back(Step::Rights(rights(&member)));
    }

    fn violate(&mut self, population: &Population, now: Timestamp) {
        let merchant = &population.members[population.urn.draw(&mut self.chance)];
        let (kind, kinds, hours) = *self.chance.one_of(&VIOLATIONS);
        let until = now.plus_ms(hours * HOUR_MS);
        self.recorded.push((merchant.id, self.next));
        let request = RecordViolationRequest {
            request_id: self.id("violation"),
            violation_id: self.next,
            merchant_id: merchant.id,
            r#type: kind.to_owned(),
            effective_until: Some(instant(until)),
            ..RecordViolationRequest::default()
        };
        self.steps.push_back(Step::Violate(request, kinds, until));
    }

    fn revoke(&mut self) {
        // Half of them end by themselves.
        if self.chance.is(0.5) || self.recorded.is_empty() {
            return;
        }
        let place = self.chance.below(self.recorded.len() as u64) as usize;
        let (merchant_id, violation_id) = self.recorded.swap_remove(place);
        let request_id = self.id("revoke");
        self.steps.push_back(Step::Revoke(RevokeViolationRequest { request_id, violation_id, merchant_id }));
    }

    fn facts(&mut self, population: &Population, now: Timestamp) {
        let day = now.day();
        let first = self.chance.below(population.members.len() as u64) as usize;
        let facts = population.members.iter().skip(first).take(200).map(|member| DayFacts {
            merchant_id: member.id,
            date: day.to_string(),
            counters: member.facts(day).into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ..DayFacts::default()
        });
        let facts: Vec<DayFacts> = facts.filter(|facts| !facts.counters.is_empty()).collect();
        if !facts.is_empty() {
            self.steps.push_back(Step::Facts(RecordFactsRequest { request_id: self.id("facts"), facts }));
        }
    }

    fn package(&mut self, population: &Population, options: &Options) {
        let merchant = &population.members[population.urn.draw(&mut self.chance)];
        let scene = *self.chance.one_of(&[Scene::Live, Scene::Mall]);
        // So small that most of them are used up before the end.
        let exposures = options.crowd * (5 + self.chance.below(20));
        let (merchant_id, author) = (merchant.id, "simulated day".to_owned());
        self.steps.push_back(Step::Grant(GrantPackageRequest {
            request_id: self.id("grant"),
            merchant_id,
            exposures,
            reason: "a package of the simulated day".to_owned(),
            expires_at: None,
            author,
        }));
        let request_id = self.id("assign");
        self.steps.push_back(Step::Assign(AssignPackageRequest {
            request_id,
            merchant_id,
            scene: scene.into(),
            exposures,
        }));
    }
}

/// Does what is due until everyone is to finish.
pub(crate) async fn operate(world: World) {
    while !world.is_over() {
        world.agenda().plan(&world, world.time.at_least());
        loop {
            let step = world.agenda().steps.front().cloned();
            let Some(step) = step else { break };
            match take(&world, step.clone()).await {
                Err(_) if world.is_killed() => return,
                Err(status) => world.books().breach("writes are taken", format!("{status:?} for {step:?}")),
                Ok(revision) => world.books().acknowledged_at(revision),
            }
            world.agenda().steps.pop_front();
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn take(world: &World, step: Step) -> Result<u64, Status> {
    let mut profiles = world.profiles();
    let (what, revision) = match step {
        Step::Merchants(request) => {
            ("merchants opened", profiles.batch_upsert_merchants(request).await?.into_inner().revision)
        }
        Step::Products(request) => ("", profiles.batch_upsert_products(request).await?.into_inner().revision),
        Step::LiveRooms(request) => ("", profiles.batch_upsert_live_rooms(request).await?.into_inner().revision),
        Step::ShortVideos(request) => ("", profiles.batch_upsert_short_videos(request).await?.into_inner().revision),
        Step::Rights(request) => ("", profiles.set_rights(request).await?.into_inner().revision),
        Step::Facts(request) => ("batches of facts", profiles.record_facts(request).await?.into_inner().revision),
        Step::Violate(request, kinds, until) => {
            let (merchant, violation) = (request.merchant_id, request.violation_id);
            let revision = profiles.record_violation(request).await?.into_inner().revision;
            let from_ms = world.now_ms();
            let exclusion = Exclusion { violation, kinds: kinds.to_vec(), until, from_ms, revoked_ms: None };
            world.books().exclusions.entry(merchant).or_default().push(exclusion);
            ("violations that exclude", revision)
        }
        Step::Revoke(request) => {
            world.books().begin_revocation(request.merchant_id, request.violation_id);
            ("violations revoked", profiles.revoke_violation(request).await?.into_inner().revision)
        }
        Step::Grant(request) => {
            ("packages granted", world.programmes().grant_package(request).await?.into_inner().revision)
        }
        Step::Assign(request) => {
            let (merchant, scene, exposures) = (request.merchant_id, request.scene(), request.exposures);
            // Before it is sent: from then on more may be spent.
            let is_new = world.agenda().assigned.insert(request.request_id.clone());
            if is_new {
                world.books().assign(merchant, scene, exposures);
            }
            ("packages assigned", world.programmes().assign_package(request).await?.into_inner().revision)
        }
    };
    if !what.is_empty() {
        world.books().tally.add(what, 1);
    }
    Ok(revision)
}
