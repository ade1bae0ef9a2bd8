//! Reports of exposures end to end: counted once across kills and restarts, late and out of order, beyond budgets, for
//! ids that nobody knows; refused as a whole and by name when something is wrong.

mod common;

#[cfg(test)]
mod reports {
    use tonic::Code;
    use trustflow::domain::{AccountKey, Day, MerchantId, Scope};
    use trustflow::engine::recover;
    use trustflow::policy::{Dictionary, Policy, compile, embedded};
    use trustflow::proto::exposure_service_client::ExposureServiceClient;
    use trustflow::proto::{ExposureRow, ReportExposuresRequest, ReportExposuresResponse, Scene, TargetKind};
    use trustflow::store::DataFolder;

    use crate::common::calls::{items_of, merchant};
    use crate::common::process::{Process, get, run};
    use crate::common::{Client, NOW, Server, instant, refusal};

    /// Seven days and ten minutes from now, to the millisecond.
    const OLDEST: &str = "2023-02-22T07:00:00+08:00";
    const TOO_OLD: &str = "2023-02-22T06:59:59.999+08:00";
    const LATEST: &str = "2023-03-01T07:10:00+08:00";
    const TOO_NEW: &str = "2023-03-01T07:10:00.001+08:00";

    fn policy() -> Policy {
        compile(&embedded(), 1, &mut Dictionary::default()).expect("the shipped policy compiles")
    }

    fn mask(policy: &Policy, id: &str) -> u64 {
        policy.programmes.iter().find(|programme| programme.id == id).expect(id).mask()
    }

    fn shown(merchant_id: u64, programmes: u64, exposures: u64, at: &str) -> ExposureRow {
        ExposureRow {
            target_kind: TargetKind::Merchant.into(),
            target_id: merchant_id,
            scene: Scene::Live.into(),
            policy_version: 1,
            programmes,
            exposures,
            occurred_at: Some(instant(at)),
            ..ExposureRow::default()
        }
    }

    async fn send(
        client: &Client,
        report_id: &str,
        rows: Vec<ExposureRow>,
    ) -> Result<ReportExposuresResponse, tonic::Status> {
        let request = ReportExposuresRequest { report_id: report_id.to_owned(), rows };
        let mut exposures = ExposureServiceClient::new(client.channel.clone()).max_decoding_message_size(16 << 20);
        exposures.report_exposures(request).await.map(tonic::Response::into_inner)
    }

    fn metric(page: &str, name: &str) -> u64 {
        let line = page.lines().find(|line| line.starts_with(name) && !line.starts_with('#')).expect(name);
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_report_counts_once_across_a_kill_and_a_restart() {
        let policy = policy();
        let (launch, brand) = (mask(&policy, "upward_mobility"), mask(&policy, "kuai_brand"));
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let server = Process::simulated(&data, NOW);
        let client = server.client().await;
        client.register(merchant(1)).await;
        client.register(merchant(2)).await;
        let (room, product, _) = items_of(2);
        // Late before early; items count for their owners, or for whom the row names; 9 is nobody, bit 63 nothing.
        let item = |kind: TargetKind, target_id, exposures, at| ExposureRow {
            target_kind: kind.into(),
            target_id,
            ..shown(0, launch, exposures, at)
        };
        let rows = vec![
            shown(1, launch, 3, "2023-03-01T06:59:00+08:00"),
            shown(1, launch, 40, OLDEST),
            item(TargetKind::LiveRoom, room, 500, NOW),
            ExposureRow { merchant_id: 1, ..item(TargetKind::Product, product, 6_000, LATEST) },
            shown(9, launch, 70_000, NOW),
            item(TargetKind::ShortVideo, 12_345, 80_000, NOW),
            shown(2, 1 << 63, 900_000, NOW),
            // Beyond every limit of a member's share.
            shown(2, brand, 1_000_000_000_000_000, NOW),
        ];
        let first = send(&client, "first", rows.clone()).await.expect("counted");
        assert!(!first.duplicate && first.revision > 0);
        let hash = client.hash().await;
        let again = send(&client, "first", rows.clone()).await.expect("known");
        assert_eq!(again, ReportExposuresResponse { revision: first.revision, duplicate: true });
        assert_eq!(client.hash().await, hash, "nothing changed");
        let (_, page) = get(server.http, "/metrics").await;
        for (name, expected) in [
            ("trustflow_exposure_reports_total", 1),
            ("trustflow_exposure_duplicates_total", 1),
            ("trustflow_exposure_rows_total", 8),
            ("trustflow_exposures_total", 1_000_000_001_056_543),
            ("trustflow_unattributed_exposures_total", 1_050_000),
            ("trustflow_late_exposures_total", 0),
            ("trustflow_reservations_mismatched_total", 0),
            ("trustflow_remembered_reports", 1),
        ] {
            assert_eq!(metric(&page, name), expected, "{name}");
        }
        assert!(metric(&page, "trustflow_over_budget_exposures_total") > 0);
        // Killed, not stopped.
        server.signal("KILL");
        let _ = server.end();

        let server = Process::simulated(&data, NOW);
        let client = server.client().await;
        let again = send(&client, "first", rows.clone()).await.expect("known");
        assert_eq!(again, ReportExposuresResponse { revision: first.revision, duplicate: true });
        let other = send(&client, "first", rows[..1].to_vec()).await;
        refusal(other).is_plain(Code::AlreadyExists, "REQUEST_ID_REUSED");

        // The same from a file, twice.
        let file = folder.path().join("rows.jsonl");
        let line = r#"{"target_kind":"merchant","target_id":1,"scene":"mall","exposures":7,"occurred_at":"2023-03-01T06:00:00+08:00"}"#;
        std::fs::write(&file, format!("{line}\n")).expect("written");
        let (file, url) = (file.display().to_string(), server.url());
        for duplicates in [0, 1] {
            let args = ["exposure", "report", &file, "--server", &url, "--json"].map(str::to_owned);
            let output = tokio::task::spawn_blocking(move || run(&args.each_ref().map(String::as_str))).await;
            let output = output.expect("no panic");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!((answer["rows"].as_u64(), answer["duplicates"].as_u64()), (Some(1), Some(duplicates)));
        }
        drop(client);
        server.stop().await;

        let opened = DataFolder::open(&data).expect("opens");
        let state = recover(&opened.log().expect("the log"), &opened.store().expect("the store")).expect("recovers");
        let bit = |id: &str| policy.programmes.iter().find(|programme| programme.id == id).expect(id).bit;
        let members: u64 = state
            .accounts_in(bit("upward_mobility"))
            .filter(|(key, _)| key.scope == Scope::Member(MerchantId(1)))
            .map(|(_, account)| account.delivered)
            .sum();
        assert_eq!(members, 6_043);
        // What nobody is registered for was shown all the same.
        assert_eq!(state.delivered(bit("upward_mobility")), (156_543, 0));
        assert_eq!(state.delivered(bit("kuai_brand")), (1_000_000_000_000_000, 0));
        assert_eq!(state.recent_exposures(MerchantId(1)), 6_050);
        assert_eq!((state.remembered_reports(), state.unattributed()), (2, 1_050_000));
        assert_eq!(state.session_of(1), Some(2), "one for each start");
        let unknown = AccountKey { bit: 63, scope: Scope::Programme, period: Day(0) };
        assert!(state.account(&unknown).is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_wrong_is_named_and_nothing_of_it_counts() {
        let policy = policy();
        let (launch, brand) = (mask(&policy, "upward_mobility"), mask(&policy, "kuai_brand"));
        let server = Server::start().await;
        let client = &server.client;
        client.register(merchant(1)).await;
        let good = || shown(1, launch, 1, NOW);
        let hash = client.hash().await;
        let wrong: Vec<(&str, ExposureRow)> = vec![
            ("programmes", shown(1, launch | mask(&policy, "scene_package"), 1, NOW)),
            ("target_kind", ExposureRow { target_kind: 0, ..good() }),
            ("target_kind", ExposureRow { target_kind: 77, ..good() }),
            ("target_id", ExposureRow { target_id: 0, ..good() }),
            ("scene", ExposureRow { scene: 0, ..good() }),
            ("exposures", ExposureRow { exposures: 1_000_000_000_000_001, ..good() }),
            ("gmv_fen", ExposureRow { gmv_fen: u64::MAX, ..good() }),
            ("reservation_ids", ExposureRow { reservation_ids: vec![1, 2], ..good() }),
            ("occurred_at", ExposureRow { occurred_at: None, ..good() }),
        ];
        for (field, row) in wrong {
            let refused = refusal(send(client, "r", vec![good(), row]).await);
            refused.is(Code::InvalidArgument, "BAD_REQUEST", &format!("rows[1].{field}"));
        }
        let reserved = ExposureRow { reservation_ids: vec![1; 50_001], exposures: 50_001, ..good() };
        refusal(send(client, "r", vec![reserved.clone(), reserved]).await).is(
            Code::InvalidArgument,
            "BAD_REQUEST",
            "rows",
        );
        let (none, many) = (vec![], vec![good(); 10_001]);
        refusal(send(client, "r", none).await).is(Code::InvalidArgument, "BAD_REQUEST", "rows");
        refusal(send(client, "r", many).await).is(Code::InvalidArgument, "BAD_REQUEST", "rows");
        refusal(send(client, "", vec![good()]).await).is(Code::InvalidArgument, "BAD_REQUEST", "report_id");
        let long = "r".repeat(129);
        refusal(send(client, &long, vec![good()]).await).is(Code::InvalidArgument, "BAD_REQUEST", "report_id");
        let all_wrong = vec![ExposureRow::default(); 10_000];
        let refused = refusal(send(client, "r", all_wrong).await);
        assert!((20..100).contains(&refused.fields.len()), "as many as fit: {}", refused.fields.len());
        for (at, reason) in [(TOO_OLD, "REPORT_TOO_OLD"), (TOO_NEW, "EXPOSURE_IN_FUTURE")] {
            let refused = refusal(send(client, "r", vec![good(), shown(1, launch, 1, at)]).await);
            refused.is(Code::InvalidArgument, reason, "rows[1].occurred_at");
        }
        assert_eq!(client.hash().await, hash, "nothing of it was counted");
        // A support programme beside a hard one is how it is; and the bounds themselves are taken.
        assert!(policy.programmes.iter().any(|p| p.mask() == brand));
        let taken = vec![shown(1, launch, 1, OLDEST), shown(1, launch, 1, LATEST), shown(1, 0, 0, NOW)];
        assert!(!send(client, "r", taken).await.expect("counted").duplicate);
        assert_ne!(client.hash().await, hash);
        // Under another policy its bits may have stood for others.
        let both = launch | mask(&policy, "scene_package");
        let older = ExposureRow { policy_version: 77, ..shown(1, both, 1, NOW) };
        assert!(!send(client, "older", vec![older]).await.expect("counted").duplicate);
        server.stop().await;
    }
}
