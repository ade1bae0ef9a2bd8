//! What happens when the disk or the clock cannot be trusted any more: writes stop with a clear error, reads go on, and
//! after reopening everything acknowledged is there.

#[cfg(test)]
#[path = "support/small_policy.rs"]
mod small_policy;

#[cfg(test)]
mod failures {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    use trustflow::clock::{Clock, SystemClock};
    use trustflow::domain::{
        Body, Command, Merchant, MerchantId, MerchantKind, Outcome, Scene, TargetKind, Timestamp, Upsert, Words,
    };
    use trustflow::engine::{Engine, ScoreQuery, WriteError, WriteStatus, WriterSettings};
    use trustflow::log::{EmbeddedLog, Log, LogError, Revision};
    use trustflow::state::State;
    use trustflow::store::{AuditRetention, DataFolder};

    use crate::small_policy::small_policy;

    const SETTINGS: WriterSettings =
        WriterSettings { node: 1, log_retain: 1_000, close_days: false, audit: AuditRetention::DEFAULT };

    /// When the log fails.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Failure {
        /// Nothing reaches the disk.
        Append,
        /// The entries are there, but nobody can say so.
        Sync,
    }

    /// A log whose n-th append fails, and every one after it.
    struct FailingLog {
        log: EmbeddedLog,
        failure: Failure,
        appends_left: Arc<AtomicU64>,
    }

    impl Log for FailingLog {
        fn append(&mut self, commands: &[Command]) -> Result<(), LogError> {
            let left = self.appends_left.load(Ordering::SeqCst);
            if left > 0 {
                self.appends_left.store(left - 1, Ordering::SeqCst);
                return self.log.append(commands);
            }
            if self.failure == Failure::Sync {
                self.log.append(commands)?;
            }
            Err(LogError::Other("the disk is gone".to_owned()))
        }

        fn last(&self) -> Revision {
            self.log.last()
        }

        fn read_after<'a>(
            &'a self,
            revision: Revision,
        ) -> Box<dyn Iterator<Item = Result<(Revision, Command), LogError>> + 'a> {
            self.log.read_after(revision)
        }

        fn trim(&mut self, upto: Revision) -> Result<bool, LogError> {
            self.log.trim(upto)
        }
    }

    fn failing(path: &Path, failure: Failure, appends_left: &Arc<AtomicU64>) -> Engine {
        let folder = DataFolder::open(path).expect("opens");
        let (log, store) = (folder.log().expect("the log"), folder.store().expect("the store"));
        let log = FailingLog { log, failure, appends_left: appends_left.clone() };
        Engine::start(Box::new(log), store, Arc::new(SystemClock::default()), SETTINGS).expect("starts")
    }

    fn merchants(ids: std::ops::Range<u64>, name: &str) -> Body {
        let merchant = |id| Merchant {
            id: MerchantId(id),
            name: name.to_owned(),
            kind: MerchantKind::Ordinary,
            opened_at: None,
            categories: Words::default(),
            region: String::new(),
            origin_belt: String::new(),
            fan_count: 0,
            service_provider: None,
            tags: Words::default(),
            prior_identity_violation: false,
            enrolments: vec![],
            revision: 0,
        };
        let upsert = |id| Upsert { profile: merchant(id).into(), expected_revision: None };
        Body::UpsertProfiles { profiles: ids.map(upsert).collect(), mask: None }
    }

    fn count(engine: &Engine) -> u64 {
        engine.read(State::merchant_count) as u64
    }

    fn weight(engine: &Engine, id: u64) -> f32 {
        let query = ScoreQuery {
            scene: Scene::Live,
            kind: TargetKind::Merchant,
            target_ids: &[id],
            merchant_ids: &[],
            base_scores: &[],
            layers: false,
            ad_price: false,
        };
        engine.score(&query).trust_scores[0]
    }

    fn assert_poisoned<T: std::fmt::Debug>(result: &Result<T, WriteError>) {
        assert!(matches!(result, Err(WriteError::Poisoned { cause }) if cause.contains("disk")), "{result:?}");
    }

    async fn fails_at(appends: u64, failure: Failure) {
        let folder = tempfile::tempdir().expect("a folder");
        let appends_left = Arc::new(AtomicU64::new(u64::MAX));
        let engine = failing(folder.path(), failure, &appends_left);
        let published = engine.publish_policy(small_policy(0)).await;
        assert!(matches!(published, Ok(Outcome::Policy(_))), "{published:?}");
        let mut status = engine.watch_write_status();
        assert_eq!(*status.borrow_and_update(), WriteStatus::Ok);

        // Two merchants a write, until the log fails.
        appends_left.store(appends, Ordering::SeqCst);
        let mut acknowledged = 0;
        let failed = loop {
            let next = acknowledged + 2;
            match engine.write(None, merchants(acknowledged + 1..next + 1, "x")).await {
                Ok(_) => acknowledged = next,
                Err(error) => break Err::<(), _>(error),
            }
        };
        assert_poisoned(&failed);
        assert_eq!(acknowledged, appends * 2);
        status.changed().await.expect("the writer lives");
        assert!(matches!(&*status.borrow_and_update(), WriteStatus::Poisoned { .. }));

        // Reads go on and see what was acknowledged, no more.
        let revision = engine.hot().revision();
        assert_eq!(count(&engine), acknowledged);
        assert!((1..=acknowledged).all(|id| weight(&engine, id) > 0.0));
        assert!((acknowledged + 1..acknowledged + 5).all(|id| weight(&engine, id) == 0.0));

        // Nothing is written any more, not even when the disk comes back, nor by the writer itself.
        appends_left.store(u64::MAX, Ordering::SeqCst);
        assert_poisoned(&engine.write(None, merchants(100..101, "y")).await);
        assert_poisoned(&engine.publish_policy(small_policy(1)).await);
        assert_poisoned(&engine.close_day(None, trustflow::domain::Day(19_000)).await);
        let _ = engine.accept_time();
        assert_poisoned(&engine.write(None, Body::Tick).await);
        assert_eq!((engine.hot().revision(), count(&engine)), (revision, acknowledged));
        engine.shut_down();
        drop(engine);

        let engine = Engine::open(folder.path(), Arc::new(SystemClock::default()), SETTINGS).expect("reopens");
        assert_eq!(engine.write_status(), WriteStatus::Ok);
        // What was neither acknowledged nor refused for good is there as a whole or not at all.
        let unknown = if failure == Failure::Sync { 2 } else { 0 };
        assert_eq!(count(&engine), acknowledged + unknown);
        assert!(engine.hot().revision() >= revision, "revisions never go back");
        engine.write(None, merchants(100..101, "z")).await.expect("writes are taken again");
        engine.shut_down();
    }

    #[tokio::test]
    async fn a_failed_append_poisons_writes() {
        for appends in [0, 1, 4] {
            fails_at(appends, Failure::Append).await;
        }
    }

    #[tokio::test]
    async fn a_failed_sync_poisons_writes() {
        for appends in [0, 3] {
            fails_at(appends, Failure::Sync).await;
        }
    }

    #[tokio::test]
    async fn a_closing_that_fails_half_way_answers_its_caller() {
        let folder = tempfile::tempdir().expect("a folder");
        let appends_left = Arc::new(AtomicU64::new(u64::MAX));
        let engine = failing(folder.path(), Failure::Append, &appends_left);
        let published = engine.publish_policy(small_policy(0)).await;
        assert!(matches!(published, Ok(Outcome::Policy(_))), "{published:?}");
        // The closing is logged, its activation is not.
        appends_left.store(1, Ordering::SeqCst);
        let closed = engine.close_day(None, trustflow::domain::Day(19_000));
        let closed = tokio::time::timeout(std::time::Duration::from_secs(20), closed).await.expect("it answers");
        assert_poisoned(&closed);
        engine.shut_down();
        drop(engine);

        let engine = Engine::open(folder.path(), Arc::new(SystemClock::default()), SETTINGS).expect("reopens");
        engine.wait_for_day(trustflow::domain::Day(19_000)).await.expect("the closing is finished");
        engine.shut_down();
    }

    /// A clock that the test turns.
    struct TestClock {
        wall: AtomicI64,
        monotonic: AtomicI64,
    }

    impl TestClock {
        fn pass(&self, wall_ms: i64, monotonic_ms: i64) {
            // The writer reads the monotonic clock second: it must never see more of it than of the wall.
            self.wall.fetch_add(wall_ms, Ordering::SeqCst);
            self.monotonic.fetch_add(monotonic_ms, Ordering::SeqCst);
        }
    }

    impl Clock for TestClock {
        fn now(&self) -> Timestamp {
            Timestamp(self.wall.load(Ordering::SeqCst))
        }

        fn monotonic_ms(&self) -> i64 {
            self.monotonic.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn a_jump_of_the_wall_clock_stops_writes_until_it_is_accepted() {
        const MINUTE_MS: i64 = 60_000;
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(TestClock { wall: AtomicI64::new(1_700_000_000_000), monotonic: AtomicI64::new(0) });
        let engine = Engine::open(folder.path(), clock.clone(), SETTINGS).expect("starts");
        let mut status = engine.watch_write_status();
        let mut next = 0;
        let mut write = async || {
            next += 1;
            engine.write(None, merchants(next..next + 1, "x")).await.map(|_| ())
        };
        assert_eq!(write().await, Ok(()));
        for small in [9 * MINUTE_MS, -18 * MINUTE_MS, 9 * MINUTE_MS] {
            clock.pass(small, 0);
            assert_eq!(write().await, Ok(()), "less than ten minutes off");
        }
        // Hours that pass on both clocks are no jump, however little they disagree each time.
        for _ in 0..6 {
            clock.pass(9 * MINUTE_MS, 9 * MINUTE_MS);
            clock.pass(9 * MINUTE_MS, 8 * MINUTE_MS);
            assert_eq!(write().await, Ok(()));
        }
        for jump in [11 * MINUTE_MS, -12 * MINUTE_MS] {
            let before = engine.read(|state| state.meta().now);
            status.borrow_and_update();
            clock.pass(jump, 0);
            let refused = write().await;
            assert!(matches!(refused, Err(WriteError::ClockJumped { .. })), "{refused:?}");
            assert!(matches!(&*status.borrow_and_update(), WriteStatus::ClockJumped { .. }));
            assert_eq!(engine.read(|state| state.meta().now), before, "state time stands still");
            assert!(weight(&engine, 1) > 0.0, "reads go on");
            assert_eq!(engine.accept_time(), clock.now());
            assert_eq!(write().await, Ok(()), "accepted");
            assert!(engine.read(|state| state.meta().now) >= before, "state time never goes back");
        }
        engine.shut_down();
    }

    #[tokio::test]
    async fn a_restart_on_a_clock_that_went_back_keeps_state_time() {
        const HOURS_MS: i64 = 5 * 3_600_000;
        let folder = tempfile::tempdir().expect("a folder");
        let clock = |wall| Arc::new(TestClock { wall: AtomicI64::new(wall), monotonic: AtomicI64::new(0) });
        let engine = Engine::open(folder.path(), clock(1_700_000_000_000), SETTINGS).expect("starts");
        engine.write(None, merchants(1..2, "x")).await.expect("taken");
        let before = engine.read(|state| state.meta().now);
        engine.shut_down();
        drop(engine);

        // Nothing is there to compare a clock with at the start: it is said in the log, and state time waits.
        let behind = clock(1_700_000_000_000 - HOURS_MS);
        let engine = Engine::open(folder.path(), behind.clone(), SETTINGS).expect("starts");
        engine.write(None, merchants(2..3, "x")).await.expect("writes are taken");
        assert_eq!(engine.read(|state| state.meta().now), before, "state time never goes back");
        behind.pass(HOURS_MS + 60_000, HOURS_MS + 60_000);
        engine.write(None, merchants(3..4, "x")).await.expect("taken");
        assert!(engine.read(|state| state.meta().now) > before, "it goes on once the clock has caught up");
        assert_eq!(count(&engine), 3);
        engine.shut_down();
    }
}
