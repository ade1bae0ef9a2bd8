//! The program on a disk that runs full, as callers and operators see it: a clear refusal, reads that go on, health that
//! says so, and after a restart with space everything that was acknowledged.

#[cfg(test)]
mod common;
#[cfg(test)]
#[path = "support/small_disk.rs"]
mod small_disk;

#[cfg(test)]
mod full_disk {
    use tonic::Code;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use trustflow::proto::{BatchUpsertMerchantsRequest, Merchant, Scene, TargetKind};

    use crate::common::calls::merchant;
    use crate::common::process::{Process, get};
    use crate::common::{Client, NOW, refusal};
    use crate::small_disk::SmallDisk;

    /// A merchant of some 16 KiB, so that a disk is soon full.
    fn large(id: u64) -> BatchUpsertMerchantsRequest {
        let categories = (0..60).map(|n| format!("{id}-{n}-{}", "x".repeat(200))).collect();
        let merchants = vec![Merchant { categories, ..merchant(id) }];
        BatchUpsertMerchantsRequest { request_id: id.to_string(), merchants, update_mask: None }
    }

    async fn health(client: &Client, service: &str) -> i32 {
        let request = HealthCheckRequest { service: service.to_owned() };
        HealthClient::new(client.channel.clone()).check(request).await.expect("health").into_inner().status
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_full_disk_is_said_clearly_and_recovered_from() {
        let Some(disk) = SmallDisk::mount(48) else { return };
        let data = disk.path().join("data");
        let program = Process::simulated(&data, NOW);
        let client = program.client().await;
        assert_eq!(get(program.http, "/readyz").await.0, 200);
        let ballast = disk.fill(1_024);
        let mut revisions = Vec::new();
        let refused = loop {
            let next = revisions.len() as u64 + 1;
            match client.profiles.clone().batch_upsert_merchants(large(next)).await {
                Ok(answer) => revisions.push(answer.into_inner().revision),
                Err(status) => break refusal::<()>(Err(status)),
            }
        };
        assert!(!revisions.is_empty(), "some were taken");
        refused.is_plain(Code::Unavailable, "WRITES_POISONED");
        assert!(refused.message.contains("No space left"), "{refused:?}");
        refusal(client.close("2023-02-28").await).is_plain(Code::Unavailable, "WRITES_POISONED");

        // Reads go on.
        let ids: Vec<u64> = (1..=revisions.len() as u64).collect();
        let scored = client.score(Scene::Live, TargetKind::Merchant, &ids).await;
        assert!(scored.trust_scores.iter().all(|score| *score > 0.0));
        assert!(client.status().await.writes.contains("refused"));
        let (code, why) = get(program.http, "/readyz").await;
        assert!(code == 503 && why.contains("writes are refused"), "{code} {why}");
        assert_eq!(get(program.http, "/healthz").await.0, 200);
        assert_eq!(health(&client, "trustflow.v1.ScoringService").await, 1, "SERVING");
        assert_eq!(health(&client, "trustflow.v1.ProfileService").await, 2, "NOT_SERVING");

        drop((client, program, ballast));
        let program = Process::simulated(&data, NOW);
        let client = program.client().await;
        for (id, revision) in (1..).zip(&revisions) {
            let again = client.profiles.clone().batch_upsert_merchants(large(id)).await.expect("taken");
            assert_eq!(again.into_inner().revision, *revision, "merchant {id}: its first outcome");
        }
        let next = revisions.len() as u64 + 1;
        client.profiles.clone().batch_upsert_merchants(large(next)).await.expect("what was refused is taken now");
        assert_eq!(client.status().await.merchants, next);
        drop(client);
        program.stop().await;
    }
}
