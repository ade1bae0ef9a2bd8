//! The rules of the ledgers at their exact bounds: windows of reports, deadlines of reservations, leases across crashes,
//! packages, guarantees, switches.

#[cfg(test)]
#[allow(dead_code, reason = "histories need the rest")]
#[path = "support/machine.rs"]
mod machine;
#[cfg(test)]
#[path = "support/small_policy.rs"]
mod small_policy;
#[cfg(test)]
#[path = "support/spending.rs"]
mod spending;

#[cfg(test)]
mod rules {
    mod left;

    use trustflow::domain::{
        AccountKey, BUCKET_MS, Body, DAY_MS, Day, ExposureRow, Merchant, MerchantId, MerchantKind, NewGuarantee,
        Outcome, Profile, ProgrammeChange, REPORT_AHEAD_MS, REPORT_WINDOW_MS, RESERVATION_MS, Rejection, Renewal,
        ReportOutcome, RequestKey, ReservationId, Scene, Scope, TargetKind, Timestamp, Upsert, Words,
    };
    use trustflow::state::Applied;

    use crate::machine::Machine;
    use crate::spending::spending_policy;

    const DAY: Day = Day(19_401);
    const NOON: i64 = 12 * 3_600_000;

    struct Life {
        machine: Machine,
        now: Timestamp,
    }

    impl Life {
        /// Three merchants that opened the day before, at noon.
        fn begin() -> Self {
            let mut life = Self { machine: Machine::new(), now: DAY.start().plus_ms(NOON) };
            life.apply(Body::PublishPolicy(spending_policy(0).into()));
            let began = life.machine.state.transition().expect("it begins").began;
            life.apply(Body::Activate { began });
            for id in 1..=3 {
                life.apply(merchant(id));
            }
            life
        }

        fn apply(&mut self, body: Body) -> Outcome {
            let outcome = self.machine.apply(self.now, None, body).outcome;
            self.machine.finish();
            outcome
        }

        fn at(&mut self, now: Timestamp) {
            self.now = now;
            self.apply(Body::Tick);
        }

        fn report(&mut self, id: &str, payload_hash: u128, rows: Vec<ExposureRow>) -> Applied {
            let key = RequestKey {
                identity: String::new(),
                peer: String::new(),
                method: "ReportExposures".to_owned(),
                request_id: id.to_owned(),
                payload_hash,
            };
            self.machine.apply(self.now, Some(key), Body::ReportExposures { rows })
        }

        fn counted(&mut self, id: &str, rows: Vec<ExposureRow>) -> ReportOutcome {
            let outcome = self.report(id, 1, rows).outcome;
            let Outcome::Report(counted) = outcome else { unreachable!("{outcome:?}") };
            counted
        }

        fn bit(&self, id: &str) -> u8 {
            let programmes = &self.machine.state.policy().programmes;
            programmes.iter().find(|programme| programme.id == id).expect(id).bit
        }

        fn mask(&self, id: &str) -> u64 {
            1 << self.bit(id)
        }

        fn open(&mut self) -> u32 {
            let outcome = self.apply(Body::OpenSession);
            let Outcome::Session(session) = outcome else { unreachable!("{outcome:?}") };
            session
        }

        fn renew(&mut self, session: u32, account: AccountKey, wanted: u64, returned: u64) -> u64 {
            let renewals = vec![Renewal { account, wanted, returned }];
            let outcome = self.apply(Body::RenewLeases { session, renewals });
            let Outcome::Leases(granted) = outcome else { unreachable!("{outcome:?}") };
            granted[0]
        }

        /// Delivered, leased, orphaned, late.
        fn balance(&self, key: &AccountKey) -> (u64, u64, u64, u64) {
            let account = self.machine.state.account(key).cloned().unwrap_or_default();
            (account.delivered, account.leased(), account.orphaned(), account.late)
        }

        fn push_month(&self) -> AccountKey {
            AccountKey { bit: self.bit("push"), scope: Scope::Programme, period: self.now.day().first_of_month() }
        }

        fn change(&mut self, change: ProgrammeChange, expected_revision: Option<u64>) -> Outcome {
            let (author, reason) = ("ops".to_owned(), "a test".to_owned());
            self.apply(Body::ChangeProgramme { programme: "push".into(), change, expected_revision, author, reason })
        }
    }

    fn merchant(id: u64) -> Body {
        let profile = Profile::from(Merchant {
            id: MerchantId(id),
            name: String::new(),
            kind: MerchantKind::Ordinary,
            opened_at: Some(DAY.plus(-1).start()),
            categories: Words::default(),
            region: String::new(),
            origin_belt: String::new(),
            fan_count: 0,
            service_provider: None,
            tags: Words::default(),
            prior_identity_violation: false,
            enrolments: vec![],
            revision: 0,
        });
        Body::UpsertProfiles { profiles: vec![Upsert { profile, expected_revision: None }], mask: None }
    }

    fn shown(merchant: u64, programmes: u64, exposures: u64, occurred_at: Timestamp) -> ExposureRow {
        ExposureRow {
            kind: TargetKind::Merchant,
            target: merchant,
            merchant: None,
            scene: Scene::Mall,
            policy_version: 1,
            programmes,
            reservations: vec![],
            exposures,
            clicks: 0,
            orders: 0,
            gmv_fen: 0,
            occurred_at,
        }
    }

    #[test]
    fn a_report_is_taken_within_its_window_and_as_a_whole() {
        let mut life = Life::begin();
        let now = life.now;
        let (oldest, latest) = (now.plus_ms(-REPORT_WINDOW_MS), now.plus_ms(REPORT_AHEAD_MS));
        let cases = [
            (oldest.plus_ms(-1), Some(Rejection::ReportTooOld { row: 1, oldest })),
            (oldest, None),
            (latest, None),
            (latest.plus_ms(1), Some(Rejection::ExposureInFuture { row: 1, latest })),
        ];
        for (nth, (at, refused)) in cases.into_iter().enumerate() {
            let rows = vec![shown(1, life.mask("push"), 5, now), shown(1, life.mask("push"), 3, at)];
            let before = life.machine.state.delivered(life.bit("push"));
            let outcome = life.report(&nth.to_string(), 1, rows).outcome;
            let after = life.machine.state.delivered(life.bit("push"));
            match refused {
                Some(rejection) => assert_eq!((outcome, after), (Outcome::Rejected(rejection), before)),
                None => assert_eq!(after.0, before.0 + 8, "{outcome:?}"),
            }
        }
        // A refused report was not remembered: mended, it can come under its id.
        let rows = vec![shown(1, 0, 1, now)];
        assert!(matches!(life.report("0", 9, rows).outcome, Outcome::Report(_)));
    }

    #[test]
    fn a_report_counts_once_for_as_long_as_its_rows_could() {
        let mut life = Life::begin();
        let (began, push) = (life.now, life.mask("push"));
        let ahead = began.plus_ms(REPORT_AHEAD_MS);
        let rows = vec![shown(1, push, 7, ahead)];
        let first = life.report("r", 1, rows.clone());
        life.machine.write(0);
        life.machine.restart();
        for at in [began, ahead.plus_ms(REPORT_WINDOW_MS)] {
            life.at(at);
            let again = life.report("r", 1, rows.clone());
            assert_eq!(again.revision, first.revision);
            assert!(matches!(again.outcome, Outcome::Report(ReportOutcome { is_duplicate: true, exposures: 0, .. })));
            let other = life.report("r", 2, rows.clone()).outcome;
            assert_eq!(other, Outcome::Rejected(Rejection::RequestIdReused));
        }
        life.at(ahead.plus_ms(REPORT_WINDOW_MS + 1));
        assert_eq!(life.machine.state.remembered_reports(), 0);
        let outcome = life.report("r", 1, rows).outcome;
        assert!(matches!(outcome, Outcome::Rejected(Rejection::ReportTooOld { row: 0, .. })), "{outcome:?}");
        assert_eq!(life.machine.state.delivered(life.bit("push")), (7, 0));
    }

    #[test]
    fn reservations_are_on_time_until_their_deadline() {
        for (after_ms, late) in [(0, 0), (1, 1)] {
            let mut life = Life::begin();
            let session = life.open();
            let key = life.push_month();
            assert_eq!(life.renew(session, key, 10, 0), 10);
            let bucket = ReservationId::bucket_of(life.now);
            let mut row = shown(1, life.mask("push"), 3, life.now);
            row.reservations = vec![ReservationId::new(session, bucket, 1), ReservationId::new(session, bucket, 2)];
            let deadline = row.reservations[0].deadline();
            assert_eq!(deadline, life.now.plus_ms(BUCKET_MS + RESERVATION_MS), "noon begins a bucket");
            life.now = deadline.plus_ms(after_ms);
            let outcome = life.counted("r", vec![row]);
            assert_eq!((outcome.exposures, outcome.late), (3, 2 * late));
            // A node that is alive has made late ones available again by itself.
            let leased = if late == 0 { 8 } else { 10 };
            assert_eq!(life.balance(&key), (3, leased, 0, 2 * late));
        }
    }

    #[test]
    fn leases_of_a_crashed_session_wait_for_reports_and_are_released() {
        let mut life = Life::begin();
        let first = life.open();
        let key = life.push_month();
        assert_eq!(life.renew(first, key, 300, 0), 300);
        let id = ReservationId::new(first, ReservationId::bucket_of(life.now), 1);
        let shown_at = life.now;
        let second = life.open();
        assert_eq!(second, first + 1);
        assert_eq!(life.balance(&key), (0, 0, 300, 0));
        assert_eq!(life.renew(second, key, 300, 0), 200, "what is left of 500");
        let old = Body::RenewLeases { session: first, renewals: vec![] };
        assert_eq!(life.apply(old), Outcome::Rejected(Rejection::SessionOver { session: first }));
        assert_eq!(life.renew(second, key, 0, 150), 0);
        assert_eq!(life.balance(&key), (0, 50, 300, 0));

        // Reported after its deadline: it comes out of what the crash left.
        life.machine.write(0);
        life.machine.restart();
        life.now = shown_at.plus_ms(DAY_MS);
        let row = ExposureRow { reservations: vec![id], ..shown(1, life.mask("push"), 1, shown_at) };
        assert_eq!(life.counted("late", vec![row]).late, 1);
        assert_eq!(life.balance(&key), (1, 50, 299, 1));

        let until = shown_at.plus_ms(RESERVATION_MS + REPORT_WINDOW_MS);
        life.at(until.plus_ms(-1));
        assert_eq!(life.balance(&key), (1, 50, 299, 1));
        life.at(until);
        assert_eq!(life.balance(&key), (1, 50, 0, 1));
    }

    #[test]
    fn leases_are_of_the_present_period_and_of_one_that_begins_shortly() {
        let mut life = Life::begin();
        let session = life.open();
        let bit = life.bit("launch");
        let scene = Scope::Scene(Scene::Live);
        let key = |period| AccountKey { bit, scope: scene, period };
        life.at(DAY.plus(1).start().plus_ms(-60_001));
        assert_eq!(life.renew(session, key(DAY.plus(1)), 5, 0), 0);
        life.at(DAY.plus(1).start().plus_ms(-60_000));
        assert_eq!(life.renew(session, key(DAY.plus(1)), 5, 0), 5);
        assert_eq!(life.renew(session, key(DAY), 500, 0), 80, "until the last millisecond");
        life.at(DAY.plus(1).start());
        assert_eq!(life.renew(session, key(DAY), 5, 5), 0);
        assert_eq!(life.balance(&key(DAY)), (0, 75, 0, 0), "what was returned stays in its period");
        let unknown = AccountKey { bit: 63, scope: Scope::Programme, period: Day(0) };
        assert_eq!(life.renew(session, unknown, 5, 5), 0);
        let none = AccountKey { bit, scope: Scope::Scene(Scene::Mall), period: DAY.plus(1) };
        assert_eq!(life.renew(session, none, 5, 0), 0, "no budget of its own");
    }

    #[test]
    fn exposures_count_in_the_period_in_which_they_were_shown_or_reserved() {
        let mut life = Life::begin();
        let session = life.open();
        let midnight = DAY.plus(1).start();
        life.at(midnight.plus_ms(-1));
        let bit = life.bit("launch");
        let own = |period| AccountKey { bit, scope: Scope::Programme, period };
        assert_eq!(life.renew(session, own(DAY), 10, 0), 10);
        let id = ReservationId::new(session, ReservationId::bucket_of(life.now), 0);
        life.at(midnight.plus_ms(5_000));
        let mask = life.mask("launch");
        let rows = vec![
            shown(1, mask, 4, midnight.plus_ms(-1)),
            shown(1, mask, 6, midnight),
            ExposureRow { reservations: vec![id], ..shown(1, mask, 2, midnight) },
        ];
        life.counted("r", rows);
        assert_eq!(life.balance(&own(DAY)), (5, 9, 0, 0), "reserved before midnight");
        assert_eq!(life.balance(&own(DAY.plus(1))), (7, 0, 0, 0));
        // Kept for 8 days after its end, then only its sum is.
        life.at(DAY.plus(9).start().plus_ms(-1));
        assert_eq!(life.balance(&own(DAY)).0, 5);
        life.at(DAY.plus(9).start());
        assert!(life.machine.state.account(&own(DAY)).is_none());
        assert_eq!(life.machine.state.delivered(bit), (12, 0));
        assert_eq!(life.machine.state.members_reached(bit, DAY.plus(1)), 1);
    }

    #[test]
    fn delivery_is_a_fact_beyond_every_limit() {
        let mut life = Life::begin();
        let mask = life.mask("launch") | 1 << 60;
        let outcome = life.counted("r", vec![shown(1, mask, 1_000, life.now), shown(99, mask, 5, life.now)]);
        // 120 for scenes without their own, 150 outside the tail, 100 a member, 70 its cap; of the budget also what was
        // shown of who is not registered.
        let over_budget = 885 + 850 + 900 + 930;
        let expected = ReportOutcome { exposures: 1_005, unattributed: 1_005, over_budget, ..ReportOutcome::default() };
        assert_eq!(outcome, expected);
        assert_eq!(life.machine.state.unattributed(), 1_005);
        assert_eq!(life.machine.state.recent_exposures(MerchantId(1)), 1_000);
        assert_eq!(
            life.machine.state.hour_counts(Scene::Mall).map(|(_, hours)| hours.iter().sum::<u64>()).sum::<u64>(),
            1_005
        );
        let session = life.open();
        let key = AccountKey { bit: life.bit("launch"), scope: Scope::Programme, period: DAY };
        assert_eq!(life.renew(session, key, 1, 0), 0);
    }

    #[test]
    fn switches_work_at_once_and_are_remembered() {
        let mut life = Life::begin();
        let session = life.open();
        let (key, mask) = (life.push_month(), life.mask("push"));
        let is_open = |life: &Life| life.machine.state.hot().world().open() & mask != 0;
        assert!(is_open(&life));
        assert_eq!(life.change(ProgrammeChange::Pause, Some(0)), Outcome::Done);
        let revision = life.machine.log.0.len() as u64;
        assert!(!is_open(&life));
        assert_eq!(life.renew(session, key, 5, 0), 0);
        let stale = life.change(ProgrammeChange::Resume, Some(0));
        assert_eq!(stale, Outcome::Rejected(Rejection::EtagMismatch { actual: revision }));
        life.machine.write(0);
        life.machine.restart();
        assert!(!is_open(&life));
        assert_eq!(life.change(ProgrammeChange::Resume, Some(revision)), Outcome::Done);
        assert!(is_open(&life));
        let adjust = |scene, exposures| ProgrammeChange::AdjustBudget { scene, exposures };
        assert_eq!(life.change(adjust(None, Some(7)), None), Outcome::Done);
        assert_eq!(life.renew(session, key, 50, 0), 7);
        let without = life.change(adjust(Some(Scene::Live), Some(7)), None);
        assert!(matches!(without, Outcome::Rejected(Rejection::ProgrammeWithout { .. })), "{without:?}");
        for _ in 0..30 {
            life.change(adjust(None, None), None);
        }
        let row = life.machine.state.switch(life.bit("push")).expect("a row");
        assert_eq!((row.changes.len(), row.revision), (20, life.machine.log.0.len() as u64));
        assert_eq!(life.renew(session, key, 500, 0), 493);
    }

    #[test]
    fn guarantees_are_for_members_and_count_every_exposure() {
        let mut life = Life::begin();
        let bit = life.bit("launch");
        let holdout = life.machine.state.policy().programmes[0].holdout.clone().expect("a holdout");
        let inside: Vec<u64> = (1..=3).filter(|id| !holdout.holds_out(MerchantId(*id))).collect();
        let member = inside[0];
        let new = |merchant, expected| NewGuarantee { merchant: MerchantId(merchant), expected };
        let began = life.now;
        let guarantees = vec![new(member, Some(99)), new(77, None)];
        let outcome = life.apply(Body::BeginGuarantees { bit, guarantees });
        let Outcome::Items(results) = outcome else { unreachable!("{outcome:?}") };
        assert_eq!(results[0], Ok(()));
        assert!(matches!(results[1], Err(Rejection::NotFound { .. })));
        for id in (1..=3).filter(|id| holdout.holds_out(MerchantId(*id))) {
            let outcome = life.apply(Body::BeginGuarantees { bit, guarantees: vec![new(id, None)] });
            assert_eq!(outcome, Outcome::Items(vec![Err(Rejection::NotMember { merchant: MerchantId(id) })]));
        }
        let until = began.plus_ms(7 * DAY_MS);
        let again = life.apply(Body::BeginGuarantees { bit, guarantees: vec![new(member, None)] });
        let runs = Rejection::GuaranteeRuns { merchant: MerchantId(member), until };
        assert_eq!(again, Outcome::Items(vec![Err(runs)]));
        let push = life.bit("push");
        let none = life.apply(Body::BeginGuarantees { bit: push, guarantees: vec![] });
        assert!(matches!(none, Outcome::Rejected(Rejection::ProgrammeWithout { .. })), "{none:?}");

        // The first instant of the window is the last before the guarantee.
        life.now = until.plus_ms(-1);
        let rows = vec![
            shown(member, 0, 1, began.plus_ms(-1)),
            shown(member, 0, 10, began),
            shown(member, 0, 100, until.plus_ms(-1)),
            shown(member, 0, 1_000, until),
        ];
        life.counted("r", rows);
        let state = &life.machine.state;
        let (key, row) = state.guarantees(bit).next().expect("one");
        assert_eq!((key.merchant, key.from, row.until), (MerchantId(member), began, until));
        assert_eq!((row.target, row.delivered, row.is_feasible), (100, 110, false));
        assert!(state.guarantee_at(bit, MerchantId(member), until).is_none());
        life.at(until);
        let outcome = life.apply(Body::BeginGuarantees { bit, guarantees: vec![new(member, Some(100))] });
        assert_eq!(outcome, Outcome::Items(vec![Ok(())]), "the first has ended");
        life.at(until.plus_ms(35 * DAY_MS - 1));
        assert_eq!(life.machine.state.guarantees(bit).count(), 2);
        life.at(until.plus_ms(35 * DAY_MS));
        assert_eq!(life.machine.state.guarantees(bit).count(), 1);
    }

    fn grant(merchant: u64, exposures: u64, expires_at: Option<Timestamp>) -> Body {
        let (author, reason) = ("ops".to_owned(), "growth".to_owned());
        Body::GrantPackage { merchant: MerchantId(merchant), exposures, expires_at, author, reason }
    }

    fn assign(exposures: u64, is_release: bool) -> Body {
        Body::AssignPackage { merchant: MerchantId(1), scene: Scene::Mall, exposures, is_release }
    }

    #[test]
    fn packages_move_are_spent_and_expire() {
        let mut life = Life::begin();
        let mask = life.mask("scene_package");
        let is_member = |life: &Life| {
            let hot = life.machine.state.hot();
            let slot = hot.merchant_slot(MerchantId(1)).expect("a slot");
            hot.world().table.read(slot).programmes & mask != 0
        };
        let short = |available| Outcome::Rejected(Rejection::PackageShort { available });
        let expiry = life.now.plus_ms(1_000);
        assert_eq!(life.apply(grant(1, 30, None)), Outcome::Package(1));
        assert_eq!(life.apply(grant(1, 10, Some(expiry))), Outcome::Package(2));
        assert!(matches!(life.apply(grant(99, 10, None)), Outcome::Rejected(Rejection::NotFound { .. })));
        assert!(!is_member(&life));
        assert_eq!(life.apply(assign(41, false)), short(40));
        assert_eq!(life.apply(assign(25, false)), Outcome::Done);
        assert!(is_member(&life));
        let unassigned = |life: &Life| -> Vec<u64> {
            life.machine.state.packages(MerchantId(1)).map(|(_, row)| row.unassigned).collect()
        };
        assert_eq!(unassigned(&life), [15, 0], "what expires first goes first");

        // 4 are spent, 3 leased.
        let session = life.open();
        let wallet = life.machine.state.wallet_key(MerchantId(1), Scene::Mall).expect("a programme");
        assert_eq!(life.renew(session, wallet, 3, 0), 3);
        life.counted("spent", vec![shown(1, mask, 4, life.now)]);
        assert_eq!(life.apply(assign(19, true)), short(18));
        assert_eq!(life.apply(assign(5, true)), Outcome::Done);
        assert_eq!(unassigned(&life), [20, 0], "what expires last comes back first");
        life.at(expiry);
        let granted = |life: &Life| life.machine.state.wallets(MerchantId(1)).map(|(_, row)| row.granted).sum::<u64>();
        assert_eq!(granted(&life), 17, "of the 10 that expire, 7 are spent or leased");
        assert_eq!(life.renew(session, wallet, 0, 3), 0);

        assert!(is_member(&life));
        life.counted("empty", vec![shown(1, mask, 13, life.now)]);
        life.machine.finish();
        assert!(!is_member(&life), "all 17 are spent");
        life.machine.write(0);
        life.machine.restart();
        assert!(!is_member(&life));
        assert_eq!(life.apply(assign(20, false)), Outcome::Done);
        assert!(is_member(&life));
        assert_eq!(life.machine.state.delivered(life.bit("scene_package")), (17, 0));
    }
}
