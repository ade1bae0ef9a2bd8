//! No request sees half of a closing or half of a policy: every row of an answer follows from one policy and one day.

#[cfg(test)]
#[path = "support/small_policy.rs"]
mod small_policy;

#[cfg(test)]
mod answers {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use trustflow::clock::SimulatedClock;
    use trustflow::domain::{
        Body, CounterId, Day, DayFacts, Decision, FactRow, ItemId, ItemKind, Merchant, MerchantId, MerchantKind,
        Outcome, Profile, Scene, ShortVideo, Subject, TargetKind, Upsert, Violation, Words,
    };
    use trustflow::engine::{Engine, ScoreColumns, ScoreQuery, WriterSettings};
    use trustflow::store::AuditRetention;

    use crate::small_policy::small_policy;

    const FIRST: Day = Day(19_400);
    /// More than the writer's slice of background work.
    const MERCHANTS: u64 = 2_600;
    /// Merchants and videos that are scored; the videos of every other merchant are reduced by a violation.
    const SCORED: u64 = 100;
    const CHANGES: i32 = 12;

    fn profiles() -> Body {
        let merchant = |id| {
            Profile::from(Merchant {
                id: MerchantId(id),
                name: String::new(),
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
            })
        };
        let video = |id| {
            let merchant = MerchantId(id);
            Profile::from(ShortVideo { id, merchant, tags: Words::default(), posted_at: None, revision: 0 })
        };
        let upsert = |profile| Upsert { profile, expected_revision: None };
        let profiles = (1..=MERCHANTS).map(merchant).chain((1..=SCORED).map(video)).map(upsert).collect();
        Body::UpsertProfiles { profiles, mask: None }
    }

    /// The same facts for all, other ones each day.
    fn facts() -> Body {
        let row = |day: i32, id| {
            let due = CounterId(1);
            let on_time = CounterId(2);
            let kept = u64::try_from(day * 37 % 50).expect("positive");
            FactRow {
                subject: Subject::Merchant(MerchantId(id)),
                day: FIRST.plus(day),
                facts: DayFacts::new(vec![(due, 100), (on_time, kept)]),
            }
        };
        Body::RecordFacts { rows: (0..CHANGES).flat_map(|day| (1..=SCORED).map(move |id| row(day, id))).collect() }
    }

    fn violation(video: u64) -> Body {
        // Recorded against a merchant that is not scored: only the item's own factor changes.
        Body::RecordViolation(Violation {
            id: video,
            merchant: MerchantId(MERCHANTS),
            kind: "reduce".to_owned(),
            item: Some(ItemId { kind: ItemKind::ShortVideo, id: video }),
            occurred_at: FIRST.start(),
            effective_from: FIRST.start(),
            effective_until: None,
            order: None,
            decision: Decision::Applied,
            revoked: false,
        })
    }

    fn score(engine: &Engine, ids: &[u64]) -> ScoreColumns {
        engine.score(&ScoreQuery {
            scene: Scene::ShortVideo,
            kind: TargetKind::ShortVideo,
            target_ids: ids,
            merchant_ids: &[],
            base_scores: &[],
            layers: false,
            ad_price: false,
        })
    }

    /// What a row must be under the policy that the answer names. Odd versions are variant 0, even ones variant 3.
    fn check(columns: &ScoreColumns, ids: &[u64]) {
        let (low, high, reduced) = if columns.policy_version % 2 == 1 { (0.5, 1.5, 0.2) } else { (2.0, 3.0, 0.5) };
        for (index, id) in ids.iter().enumerate() {
            let trust = f64::from(columns.trust_scores[index]);
            let tilt = low + (high - low) * trust / 100.0;
            let expected = if id % 2 == 0 { tilt * reduced } else { tilt };
            let weight = f64::from(columns.boost_weights[index]);
            assert!(
                (weight - expected).abs() < 1e-3,
                "video {id} under version {}: weight {weight}, trust {trust}, expected {expected}",
                columns.policy_version
            );
        }
        let trusts: BTreeSet<u32> = columns.trust_scores.iter().map(|trust| trust.to_bits()).collect();
        assert_eq!(trusts.len(), 1, "all merchants have the same facts: {trusts:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_answer_mixes_two_policies_or_two_days() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(SimulatedClock::new(FIRST.plus(CHANGES + 1).start(), 0.0));
        let settings = WriterSettings { node: 1, log_retain: 1_000, close_days: false, audit: AuditRetention::DEFAULT };
        let engine = Arc::new(Engine::open(folder.path(), clock, settings).expect("starts"));
        let published = engine.publish_policy(small_policy(0)).await;
        assert!(matches!(published, Ok(Outcome::Policy(_))), "{published:?}");
        for body in [profiles(), facts()] {
            engine.write(None, body).await.expect("written");
        }
        for video in (2..=SCORED).step_by(2) {
            engine.write(None, violation(video)).await.expect("written");
        }

        let done = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(AtomicU64::new(0));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (engine, done, answers) = (engine.clone(), done.clone(), answers.clone());
                std::thread::spawn(move || {
                    let ids: Vec<u64> = (1..=SCORED).collect();
                    let mut seen = BTreeSet::new();
                    let mut revision = 0;
                    while !done.load(Ordering::Relaxed) {
                        let columns = score(&engine, &ids);
                        check(&columns, &ids);
                        assert!(columns.revision >= revision, "revisions never go back");
                        revision = columns.revision;
                        seen.insert((columns.policy_version, columns.trust_scores[0].to_bits()));
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                    seen
                })
            })
            .collect();
        for change in 0..CHANGES {
            let closed = engine.close_day(None, FIRST.plus(change)).await.expect("closed");
            assert_eq!(closed.outcome, Outcome::Done);
            let variant = if change % 2 == 0 { 3 } else { 0 };
            let published = engine.publish_policy(small_policy(variant)).await;
            assert!(matches!(published, Ok(Outcome::Policy(_))), "{published:?}");
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            let seen = reader.join().expect("every answer is of one world");
            assert!(seen.len() > 3, "the reader saw few worlds: {seen:?}");
        }
        println!("{} answers", answers.load(Ordering::Relaxed));
        engine.shut_down();
    }
}
